//! Commands of the binary, run to their end.

use crate::{places, wait};
use serde_json::Value;
use std::fs::File;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

/// How long a command may take.
const COMMAND: Duration = Duration::from_secs(60);

/// What a command printed.
#[derive(Debug, Clone)]
pub struct Output {
    /// Its exit code; -1 when it was ended by a signal.
    pub code: i32,
    /// Its standard output.
    pub stdout: String,
    /// Its standard error.
    pub stderr: String,
}

impl Output {
    /// The standard output as JSON.
    ///
    /// # Panics
    /// When it is none; the message shows everything the command printed.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// Runs the binary with `args` to its end.
///
/// # Panics
/// When it cannot be run, or does not end in time.
pub fn run(args: &[&str]) -> Output {
    let folder = tempfile::tempdir().expect("a folder");
    let (out, err) = (folder.path().join("out"), folder.path().join("err"));
    let mut command = Command::new(places::binary());
    command.args(args).stdin(Stdio::null());
    command.stdout(File::create(&out).expect("a file"));
    command.stderr(File::create(&err).expect("a file"));
    let mut child = command.spawn().expect("the binary runs");
    let status = wait_for(&mut child, COMMAND, &format!("the end of {args:?}"));
    let read = |path: &Path| std::fs::read_to_string(path).unwrap_or_default();
    Output { code: status.code().unwrap_or(-1), stdout: read(&out), stderr: read(&err) }
}

/// Waits until `child` has ended.
pub(crate) fn wait_for(child: &mut Child, within: Duration, what: &str) -> ExitStatus {
    let mut status = None;
    wait::until(within, what, || {
        status = child.try_wait().ok().flatten();
        status.is_some()
    });
    status.expect("an exit status")
}
