//! Processes that are measured: started on a core, and asked of the system what they used.

use crate::workspace;
use anyhow::{Context, Result, bail};
use base::{Clock, SystemClock};
use std::collections::BTreeSet;
use std::fs::File;
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

/// How long a process may take until its port takes connections.
const START: Duration = Duration::from_secs(60);
/// How often the port is tried.
const TRY: Duration = Duration::from_millis(20);
/// Clock ticks a second in `/proc/PID/stat`; a constant of Linux's interface to programs.
const TICKS: f64 = 100.0;

/// A running process with all its children. It ends when it is dropped.
pub(crate) struct Process {
    name: String,
    child: Child,
}

impl Process {
    /// Starts `program` with `args` in `folder` on `core`, and waits until it listens on `port`.
    ///
    /// # Errors
    /// When it does not start; the error names the file with what it printed.
    pub(crate) fn start(
        name: &str,
        core: usize,
        folder: &Path,
        (program, args): (PathBuf, Vec<String>),
        port: u16,
    ) -> Result<Self> {
        if TcpStream::connect(address(port)).is_ok() {
            bail!("port {port} is taken; {name} needs it");
        }
        let log = folder.join(format!("{name}.out"));
        let out = File::create(&log).context("cannot make a log")?;
        let mut command = Command::new("taskset");
        command.args(["-c", &core.to_string()]).arg(program).args(args).current_dir(folder);
        command.stdin(Stdio::null()).stderr(out.try_clone()?).stdout(out);
        let child = command.spawn().context("taskset (of util-linux) is needed")?;
        let mut process = Self { name: name.to_owned(), child };
        process.wait(port).with_context(|| format!("see {}", log.display()))?;
        Ok(process)
    }

    fn wait(&mut self, port: u16) -> Result<()> {
        let clock = SystemClock::new();
        let start = clock.monotonic();
        while clock.monotonic().since(start) < START {
            if let Some(status) = self.child.try_wait()? {
                bail!("{} ended at once: {status}", self.name);
            }
            if TcpStream::connect(address(port)).is_ok() {
                return Ok(());
            }
            pause(TRY);
        }
        bail!("{} does not listen on {port}", self.name)
    }

    /// User and system time of the process and its children so far, in seconds.
    pub(crate) fn cpu_seconds(&self) -> f64 {
        self.tree().iter().map(|pid| ticks(*pid).unwrap_or(0) as f64).sum::<f64>() / TICKS
    }

    /// Resident memory of the process and its children in MiB.
    pub(crate) fn resident_mib(&self) -> f64 {
        self.tree().iter().map(|pid| resident_kib(*pid).unwrap_or(0) as f64).sum::<f64>() / 1024.0
    }

    fn tree(&self) -> BTreeSet<u32> {
        let mut found = BTreeSet::from([self.child.id()]);
        let mut open = vec![self.child.id()];
        while let Some(pid) = open.pop() {
            for child in children(pid) {
                if found.insert(child) {
                    open.push(child);
                }
            }
        }
        found
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // The children first: a master that is killed cannot end its workers any more.
        for pid in self.tree() {
            let _ = Command::new("kill").arg(pid.to_string()).stderr(Stdio::null()).status();
        }
        let clock = SystemClock::new();
        let start = clock.monotonic();
        while clock.monotonic().since(start) < Duration::from_secs(5) {
            if matches!(self.child.try_wait(), Ok(Some(_))) {
                return;
            }
            pause(TRY);
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The kernel and the processor, in a few words.
pub(crate) fn machine() -> String {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or("?");
    let cores = info.lines().filter(|line| line.starts_with("processor")).count();
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let rustc = workspace::output(Command::new("rustc").arg("--version")).unwrap_or_default();
    format!(
        "{cores} × {}, Linux {}, {}",
        model.trim_start_matches(['\t', ' ', ':']),
        kernel.trim(),
        rustc.trim()
    )
}

/// Lets `span` pass.
pub(crate) fn pause(span: Duration) {
    let (_sender, receiver) = mpsc::channel::<()>();
    let _ = receiver.recv_timeout(span);
}

fn address(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

/// utime and stime, fields 14 and 15 of `/proc/PID/stat` (proc(5)); the second field may hold blanks.
fn ticks(pid: u32) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(user + system)
}

fn resident_kib(pid: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.split_whitespace().next()?.parse().ok()
}

fn children(pid: u32) -> Vec<u32> {
    let Ok(tasks) = std::fs::read_dir(format!("/proc/{pid}/task")) else { return Vec::new() };
    tasks
        .flatten()
        .filter_map(|task| std::fs::read_to_string(task.path().join("children")).ok())
        .flat_map(|text| {
            text.split_whitespace().filter_map(|id| id.parse().ok()).collect::<Vec<_>>()
        })
        .collect()
}
