//! Hot reload: on SIGHUP and when the file changes. A file with mistakes changes nothing.

use super::{Running, access_log, compile};
use crate::config::Config;
use base::{Outcome, code};
use std::path::PathBuf;
use std::time::{Duration, SystemTime};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// How often the file is looked at.
const LOOK: Duration = Duration::from_millis(500);

/// Reloads whenever asked, until SIGTERM or SIGINT.
pub(super) async fn until_stopped(running: &Running, mut config: Config, path: Option<PathBuf>) {
    let (mut term, mut int, mut hup) = (
        listen(SignalKind::terminate()),
        listen(SignalKind::interrupt()),
        listen(SignalKind::hangup()),
    );
    let mut seen = stamps(&config, path.as_ref());
    let mut ticks = tokio::time::interval(LOOK);
    loop {
        let asked = tokio::select! {
            () = next(&mut term) => return,
            () = next(&mut int) => return,
            () = next(&mut hup) => true,
            _ = ticks.tick() => false,
        };
        let now = stamps(&config, path.as_ref());
        if !asked && now == seen {
            continue;
        }
        if let Some(next) = reload(running, &config, path.as_ref()) {
            config = next;
        }
        seen = stamps(&config, path.as_ref());
    }
}

fn listen(kind: SignalKind) -> Option<Signal> {
    signal(kind).inspect_err(|error| tracing::error!(%error, "a signal cannot be heard")).ok()
}

async fn next(signal: &mut Option<Signal>) {
    match signal {
        Some(signal) => {
            signal.recv().await;
        }
        None => std::future::pending().await,
    }
}

/// When the files that matter were last changed: the configuration and the certificates.
fn stamps(config: &Config, path: Option<&PathBuf>) -> Vec<Option<(SystemTime, u64)>> {
    let tls = config.listeners.iter().filter_map(|it| it.tls.as_ref());
    let files = path.into_iter().chain(tls.flat_map(|tls| [&tls.cert, &tls.key]));
    files
        .map(|file| {
            let data = std::fs::metadata(file).ok()?;
            Some((data.modified().ok()?, data.len()))
        })
        .collect()
}

/// Puts the file in force; returns it when it was.
fn reload(running: &Running, before: &Config, path: Option<&PathBuf>) -> Option<Config> {
    match try_reload(running, before, path) {
        Ok(next) => {
            tracing::info!("the configuration was reloaded");
            running.events.say(code::CONFIG_RELOADED);
            Some(next)
        }
        Err(why) => {
            tracing::error!("the configuration was refused; the running one stays\n{why}");
            let mut event = running.events.new(code::CONFIG_REFUSED);
            event.outcome = Outcome::Error;
            event.detail = Some(why.lines().next().unwrap_or_default().into());
            running.events.record(event);
            None
        }
    }
}

fn try_reload(
    running: &Running,
    before: &Config,
    path: Option<&PathBuf>,
) -> Result<Config, String> {
    let next = match path {
        Some(path) => {
            let report =
                Config::load(path).map_err(|error| format!("{}: {error}", path.display()))?;
            let file = path.display().to_string();
            report.config.ok_or_else(|| {
                let problems = report.problems.iter().filter(|it| it.is_error());
                problems.map(|problem| problem.render(&file)).collect::<Vec<_>>().join("\n")
            })?
        }
        None => before.clone(),
    };
    fixed(before, &next)?;
    let policy = running.state.policy();
    let compiled = compile::compile(&next, Some(&policy), &running.metrics)?;
    let log = (next.log.access != before.log.access).then(|| access_log(&next)).transpose()?;
    running.gate.reload(&compiled.listeners).map_err(|error| error.to_string())?;
    running.issuers.configure(&next.issuers);
    running.state.configure(compiled.policy, compiled.lists);
    if let Some(log) = log {
        running.gate.replace_log(log);
    }
    Ok(next)
}

/// What cannot change while the gate runs.
fn fixed(before: &Config, next: &Config) -> Result<(), String> {
    let (was, is) = (&before.server, &next.server);
    if was.control != is.control || was.store != is.store || was.data_dir != is.data_dir {
        return Err("[server] data_dir, control and store change with a restart only".to_owned());
    }
    Ok(())
}
