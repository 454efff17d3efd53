//! Programs of Node.js that tests speak with: a real issuer, WebSocket and gRPC peers.
//!
//! The scripts lie in `testkit/node`; their packages in `target/parts`, where `cargo xtask test` puts them.

use crate::{places, wait};
use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc;
use std::time::Duration;

/// How long a script may take until it is ready.
const START: Duration = Duration::from_secs(30);

/// A running script. It is killed when it is dropped.
#[derive(Debug)]
pub struct Node {
    child: Child,
    ready: Value,
}

impl Node {
    /// Starts `testkit/node/SCRIPT` (or an absolute path) with `args` and waits for the line of JSON that says
    /// it is ready.
    ///
    /// # Panics
    /// When it is not ready in time.
    pub fn start(script: &str, args: &[&str]) -> Self {
        let mut child = command(script, args)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("node runs");
        let stdout = child.stdout.take().expect("a pipe");
        let (sender, receiver) = mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                // Later lines are read too, so that the pipe never fills.
                let _ = sender.send(line);
            }
        });
        // A package may print a warning of its own before.
        let mut printed = String::new();
        let ready = loop {
            let Ok(line) = receiver.recv_timeout(START) else {
                panic!("{script} is not ready: {printed}");
            };
            match serde_json::from_str(&line) {
                Ok(ready) => break ready,
                Err(_) => printed = printed + &line + "\n",
            }
        };
        Self { child, ready }
    }

    /// What it said when it was ready; by custom `url` says where it listens.
    pub fn ready(&self) -> &Value {
        &self.ready
    }

    /// `url` of what it said.
    ///
    /// # Panics
    /// When it said none.
    pub fn url(&self) -> String {
        self.ready["url"].as_str().expect("an address").to_owned()
    }

    /// Ends it.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        wait::until(START, "the script's end", || !matches!(self.child.try_wait(), Ok(None)));
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs `testkit/node/SCRIPT` with `args` to its end.
///
/// # Panics
/// When node cannot be run.
pub fn node(script: &str, args: &[&str]) -> Output {
    command(script, args).stdin(Stdio::null()).output().expect("node runs")
}

fn command(script: &str, args: &[&str]) -> Command {
    let mut command = Command::new("node");
    command.arg(places::workspace().join("testkit/node").join(script)).args(args);
    command.env("PORTCULLIS_TEST_PARTS", places::parts());
    command
}
