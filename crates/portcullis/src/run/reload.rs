//! Hot reload: on SIGHUP and when the file changes. A file with mistakes changes nothing.

use super::{Running, access_log, compile, edge, own};
use crate::config::Config;
use base::{Outcome, code};
use std::collections::HashMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// How often the file is looked at.
const LOOK: Duration = Duration::from_millis(500);

/// The signals that are listened to.
///
/// INVARIANT: they are listened to before anybody is told that the gate is ready; a signal that came earlier would
/// end the process without a word.
#[derive(Debug)]
pub(super) struct Signals {
    term: Option<Signal>,
    int: Option<Signal>,
    hup: Option<Signal>,
}

impl Signals {
    /// Listens from now on. What comes meanwhile is kept.
    pub(super) fn listen() -> Self {
        Self {
            term: listen(SignalKind::terminate()),
            int: listen(SignalKind::interrupt()),
            hup: listen(SignalKind::hangup()),
        }
    }
}

/// The files that matter (the configuration and the certificates), and when they were last changed.
///
/// INVARIANT: a file is looked at before it is read. One that changes in between is read again, and never missed.
#[derive(Debug)]
pub(super) struct Watched {
    path: Option<PathBuf>,
    seen: HashMap<PathBuf, Option<Stamp>>,
}

/// Time of the last change, length, and which file it is: one that replaces another may have the same length,
/// within one tick of the clock.
type Stamp = (SystemTime, u64, u64);

impl Watched {
    /// To be called before the configuration at `path` is read.
    pub(super) fn new(path: Option<PathBuf>) -> Self {
        let seen = path.iter().map(|path| (path.clone(), stamp(path))).collect();
        Self { path, seen }
    }

    /// Where the configuration stands, if it is in a file.
    pub(super) fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// To be called before the certificates that `config` names are read.
    pub(super) fn follow(&mut self, config: &Config) {
        for file in certificates(config) {
            self.seen.entry(file.clone()).or_insert_with(|| stamp(file));
        }
    }

    /// Lets go of files that `config` does not name.
    fn keep(&mut self, config: &Config) {
        let path = self.path.as_ref();
        self.seen.retain(|file, _| path == Some(file) || certificates(config).any(|it| it == file));
    }

    /// Whether a file changed since it was last looked at.
    fn look(&mut self) -> bool {
        let mut changed = false;
        for (file, seen) in &mut self.seen {
            let now = stamp(file);
            changed |= *seen != now;
            *seen = now;
        }
        changed
    }
}

fn certificates(config: &Config) -> impl Iterator<Item = &PathBuf> {
    let own = config.server.tls.as_ref();
    let tls = config.listeners.iter().filter_map(|it| it.tls.as_ref()).chain(own);
    let authorities = config.upstreams.iter().filter_map(|it| it.tls.ca.as_ref());
    tls.flat_map(|tls| [&tls.cert, &tls.key]).chain(authorities)
}

fn stamp(file: &Path) -> Option<Stamp> {
    let data = std::fs::metadata(file).ok()?;
    Some((data.modified().ok()?, data.len(), data.ino()))
}

/// Reloads whenever asked, until SIGTERM or SIGINT.
pub(super) async fn until_stopped(
    running: &Running,
    mut config: Config,
    mut watched: Watched,
    mut signals: Signals,
) {
    let mut ticks = tokio::time::interval(LOOK);
    // What the file said last and the store does not say yet.
    let mut behind = false;
    loop {
        let asked = tokio::select! {
            () = next(&mut signals.term) => return,
            () = next(&mut signals.int) => return,
            () = next(&mut signals.hup) => true,
            _ = ticks.tick() => false,
        };
        let changed = watched.look();
        if (asked || changed)
            && let Some(next) = reload(running, &config, &mut watched, asked)
        {
            config = next;
            watched.keep(&config);
            behind = true;
        }
        // INVARIANT: who was taken out of the file is ended however often the store fails meanwhile.
        behind = behind && !declared(running, &config).await;
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

/// Puts the file in force; returns it when it was.
fn reload(
    running: &Running,
    before: &Config,
    watched: &mut Watched,
    asked: bool,
) -> Option<Config> {
    match try_reload(running, before, watched, asked) {
        Ok(next) => {
            tracing::info!("the configuration was reloaded");
            running.events.say(code::CONFIG_RELOADED);
            Some(next)
        }
        Err(why) => {
            tracing::error!("the configuration was refused; the running one stays\n{why}");
            let mut event = running.events.event(code::CONFIG_REFUSED);
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
    watched: &mut Watched,
    asked: bool,
) -> Result<Config, String> {
    let next = match watched.path() {
        Some(path) => {
            let report =
                Config::load(path).map_err(|error| format!("{}: {error}", path.display()))?;
            let file = path.display().to_string();
            for warning in report.problems.iter().filter(|it| !it.is_error()) {
                tracing::warn!("{}", warning.render(&file));
            }
            report.config.ok_or_else(|| {
                let problems = report.problems.iter().filter(|it| it.is_error());
                problems.map(|problem| problem.render(&file)).collect::<Vec<_>>().join("\n")
            })?
        }
        None => before.clone(),
    };
    fixed(before, &next)?;
    watched.follow(&next);
    let policy = running.state.policy();
    let compiled = compile::compile(&next, Some(&policy), &running.metrics)?;
    // Whoever moves the access log away says so by SIGHUP: it is opened anew.
    let log =
        (asked || next.log.access != before.log.access).then(|| access_log(&next)).transpose()?;
    let clients = own::clients(&next, &running.pepper)?;
    let door = edge::door(&next)?;
    running.gate.reload(&compiled.listeners).map_err(|error| error.to_string())?;
    running.issuers.configure(&next.issuers);
    running.oauth.configure(own::settings(&next));
    running.oauth.declare(clients).map_err(|error| error.to_string())?;
    running.state.configure(compiled.policy, compiled.lists, compiled.self_service);
    own::hand_over_keys(&running.oauth, &running.state);
    if let Some(log) = log {
        running.gate.replace_log(log);
    }
    running.door.send_replace(door);
    Ok(next)
}

/// Makes the store say what the file says of clients and people; whether that is done.
async fn declared(running: &Running, config: &Config) -> bool {
    let clients = running.oauth.end_vanished_clients().await;
    // Neither waits for the other.
    let people = running.oauth.declare_people(&config.users).await;
    match clients.and(people) {
        Ok(()) => true,
        Err(error) => {
            tracing::warn!(%error, "the store does not say yet what the file says; it is tried again");
            false
        }
    }
}

/// What cannot change while the gate runs.
fn fixed(before: &Config, next: &Config) -> Result<(), String> {
    let (was, is) = (&before.server, &next.server);
    let addresses = was.control != is.control || was.admin != is.admin;
    // The names that these are asked under are fixed with them.
    let urls = was.public_url != is.public_url || was.admin_url != is.admin_url;
    let within = was.store != is.store || was.resolver != is.resolver;
    if addresses || urls || within || was.data_dir != is.data_dir {
        let keys = "data_dir, public_url, control, admin, admin_url, store and resolver";
        return Err(format!("[server] {keys} change with a restart only"));
    }
    if before.mail != next.mail {
        return Err("[mail] changes with a restart only".to_owned());
    }
    Ok(())
}
