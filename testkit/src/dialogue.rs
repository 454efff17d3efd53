//! A program that asks the test while it runs: a client of somebody else's, that needs a person for a moment.
//!
//! The program writes one JSON object a line. One with `ask` gets one line of JSON in return; one with `result` is
//! its last word. Other lines are kept for the message of a failure.

use crate::{places, wait};
use serde_json::Value;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

/// How long a program may think between two lines. It waits for a server that answers at once, and for the interval of
/// a device flow, which is five seconds.
const THINKING: Duration = Duration::from_secs(60);

/// Ends the program when the test fails.
struct Ends(Child);

impl Drop for Ends {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Runs a script of Node.js with `facts` as its argument, answers what it asks, and gives its result.
///
/// # Panics
/// When it ends without one, or thinks for too long.
pub fn converse(script: &Path, facts: &Value, answer: impl FnMut(&Value) -> Value) -> Value {
    let mut node = Command::new("node");
    node.arg(script);
    talk(node, facts, answer)
}

/// The same with a script of Python, which sees the packages in `target/parts/python`.
///
/// # Panics
/// As [`converse`].
pub fn converse_python(script: &Path, facts: &Value, answer: impl FnMut(&Value) -> Value) -> Value {
    let mut python = Command::new(places::parts().join("python/bin/python"));
    python.arg("-u").arg(script);
    talk(python, facts, answer)
}

fn talk(mut program: Command, facts: &Value, mut answer: impl FnMut(&Value) -> Value) -> Value {
    program.arg(facts.to_string()).env("PORTCULLIS_TEST_PARTS", places::parts());
    program.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = Ends(program.spawn().expect("the program runs"));
    let mut stdin = child.0.stdin.take().expect("a pipe");
    let (sender, lines) = mpsc::channel();
    let out = child.0.stdout.take().expect("a pipe");
    let errors = child.0.stderr.take().expect("a pipe");
    read(out, sender.clone(), true);
    read(errors, sender, false);
    let mut printed = String::new();
    while let Ok((line, is_output)) = lines.recv_timeout(THINKING) {
        let value: Value = match serde_json::from_str(&line) {
            Ok(value) if is_output => value,
            _ => Value::Null,
        };
        if let Some(result) = value.get("result") {
            drop(stdin);
            wait::until(THINKING, "the program's end", || !matches!(child.0.try_wait(), Ok(None)));
            return result.clone();
        }
        if value.get("ask").is_some() {
            let said = answer(&value).to_string() + "\n";
            stdin.write_all(said.as_bytes()).expect("the program listens");
        } else {
            printed = printed + &line + "\n";
        }
    }
    panic!("no result:\n{printed}");
}

fn read(
    from: impl std::io::Read + Send + 'static,
    to: mpsc::Sender<(String, bool)>,
    is_output: bool,
) {
    std::thread::spawn(move || {
        for line in BufReader::new(from).lines().map_while(Result::ok) {
            let _ = to.send((line, is_output));
        }
    });
}
