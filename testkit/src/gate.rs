//! The real binary, run with a configuration of the test's own.

use crate::builder::Builder;
use crate::client::{self, Response};
use crate::command::{Output, run, wait_for};
use crate::{places, wait};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

/// How long the gate may take until it is ready: far more than the second it promises, for busy machines.
const START: Duration = Duration::from_secs(30);
/// How long it may take to end after SIGTERM.
const END: Duration = Duration::from_secs(30);
/// Lines of the log that a failing test prints.
const LOG_LINES: usize = 60;

#[derive(Debug)]
struct Running {
    child: Child,
    ready: Value,
    lines: Receiver<String>,
}

/// A running gate. It is killed when it is dropped; a test that fails then prints the end of its log.
#[derive(Debug)]
pub struct Gate {
    builder: Builder,
    folder: tempfile::TempDir,
    config: PathBuf,
    data: PathBuf,
    log: PathBuf,
    running: Option<Running>,
}

impl Gate {
    /// Lays the files of `builder` and starts it.
    ///
    /// # Errors
    /// When it ends before it is ready.
    pub(crate) fn launch(builder: Builder) -> Result<Self, Output> {
        let folder = tempfile::tempdir().expect("a folder");
        let config = folder.path().join("portcullis.toml");
        std::fs::write(&config, builder.file()).expect("the configuration is written");
        let data = builder.data.clone().unwrap_or_else(|| folder.path().join("data"));
        let log = folder.path().join("log");
        let mut gate = Self { builder, folder, config, data, log, running: None };
        gate.run()?;
        Ok(gate)
    }

    /// A gate with one listener on free ports of 127.0.0.1; the rest is the test's.
    pub fn builder() -> Builder {
        Builder {
            server: String::new(),
            listener: String::new(),
            rest: String::new(),
            whole: None,
            data: None,
            variables: Vec::new(),
            arguments: Vec::new(),
            program: None,
            ports: (places::free_port(), places::free_port()),
        }
    }

    /// A running gate with these issuers, lists, upstreams and routes.
    ///
    /// # Panics
    /// When it does not start.
    pub fn start(rest: &str) -> Self {
        Self::builder().rest(rest).start()
    }

    /// Starts it again, with the same files and ports, after it has ended.
    ///
    /// # Panics
    /// When it does not start, or still runs.
    pub fn restart(&mut self) {
        assert!(self.running.is_none(), "it still runs");
        self.run().unwrap_or_else(|output| panic!("the gate did not start: {output:?}"));
    }

    /// Its first gateway address as it says itself, `http://…`.
    pub fn url(&self) -> String {
        self.urls().into_iter().next().expect("a gateway address")
    }

    /// All its gateway addresses.
    pub fn urls(&self) -> Vec<String> {
        let list = self.ready()["gateway"].as_array().cloned().unwrap_or_default();
        list.iter().filter_map(Value::as_str).map(str::to_owned).collect()
    }

    /// `127.0.0.1:PORT` of the listener.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.builder.ports.0)
    }

    /// GET of `path` with these headers, over a connection of its own.
    ///
    /// # Panics
    /// When no answer comes.
    pub fn get(&self, path: &str, headers: &[(&str, &str)]) -> Response {
        client::get(&(self.address() + path), headers)
    }

    /// The control plane's address as the gate says itself.
    pub fn control(&self) -> String {
        self.ready()["control"].as_str().expect("a control address").to_owned()
    }

    /// The line it printed when it was ready.
    ///
    /// # Panics
    /// When it does not run.
    pub fn ready(&self) -> &Value {
        &self.running.as_ref().expect("a running gate").ready
    }

    /// Its data folder.
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// Its configuration file.
    pub fn config(&self) -> &Path {
        &self.config
    }

    /// A folder for files of the test, beside the configuration.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Replaces the third part of the configuration (see [`Builder::rest`]) on disk; the gate reads it when
    /// it notices, or on [`Self::sighup`].
    ///
    /// # Panics
    /// When the file cannot be written.
    pub fn rewrite(&mut self, rest: &str) {
        self.builder.rest = rest.to_owned();
        // As an editor does it: the whole file appears at once.
        let new = self.config.with_extension("new");
        std::fs::write(&new, self.builder.file()).expect("the configuration is written");
        std::fs::rename(&new, &self.config).expect("the configuration is replaced");
    }

    /// What it has logged so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Waits until its log holds `text`.
    ///
    /// # Panics
    /// When it does not within `within`.
    pub fn wait_for_log(&self, text: &str, within: Duration) {
        wait::until(within, &format!("{text:?} in the log"), || self.log().contains(text));
    }

    /// The lines it has printed since it was ready.
    pub fn printed(&self) -> Vec<String> {
        self.running.as_ref().map(|running| running.lines.try_iter().collect()).unwrap_or_default()
    }

    /// Runs `portcullis ARGS --json --data DIR` to its end.
    ///
    /// # Panics
    /// When the binary cannot be run, or does not end in time.
    pub fn cli(&self, args: &[&str]) -> Output {
        let mut all = args.to_vec();
        let data = self.data.to_string_lossy();
        all.extend(["--json", "--data", &data]);
        run(&all)
    }

    /// The same, and the JSON of a command that must succeed.
    ///
    /// # Panics
    /// When it does not.
    pub fn done(&self, args: &[&str]) -> Value {
        let output = self.cli(args);
        assert_eq!(output.code, 0, "{args:?}: {output:?}\n{}", self.log());
        output.json()
    }

    /// Its process id.
    ///
    /// # Panics
    /// When it does not run.
    pub fn pid(&self) -> u32 {
        self.running.as_ref().expect("a running gate").child.id()
    }

    /// Its resident memory in KiB.
    pub fn resident_kib(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid()));
        let status = status.unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
    }

    /// Kills it, as a power cut would.
    pub fn kill9(&mut self) {
        if let Some(mut running) = self.running.take() {
            let _ = running.child.kill();
            let _ = running.child.wait();
        }
    }

    /// Asks it to end, without waiting.
    pub fn sigterm(&self) {
        self.signal(Signal::SIGTERM);
    }

    /// Asks it to read its configuration again, without waiting.
    pub fn sighup(&self) {
        self.signal(Signal::SIGHUP);
    }

    /// Waits until it has ended.
    ///
    /// # Panics
    /// When it does not run, or does not end in time.
    pub fn ended(&mut self) -> ExitStatus {
        let mut running = self.running.take().expect("a running gate");
        wait_for(&mut running.child, END, "the gate's end")
    }

    fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.pid()).expect("a process id"));
        kill(pid, signal).expect("the signal is sent");
    }

    fn run(&mut self) -> Result<(), Output> {
        let log = File::options().create(true).append(true).open(&self.log).expect("a log");
        let program = self.builder.program.clone().unwrap_or_else(places::binary);
        let mut command = Command::new(program);
        command.args(["up", "--json"]).arg("--config").arg(&self.config);
        command.arg("--data").arg(&self.data).args(&self.builder.arguments);
        command.envs(self.builder.variables.iter().cloned());
        command.current_dir(self.folder.path());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log);
        let mut child = command.spawn().expect("the binary runs");
        let lines = lines(child.stdout.take().expect("a pipe"));
        let mut printed = String::new();
        while let Ok(line) = lines.recv_timeout(START) {
            match serde_json::from_str::<Value>(&line) {
                Ok(ready) if ready.get("gateway").is_some() => {
                    self.running = Some(Running { child, ready, lines });
                    return Ok(());
                }
                _ => printed = printed + &line + "\n",
            }
        }
        // Its output has ended, or nothing came for too long.
        if child.try_wait().is_ok_and(|ended| ended.is_none()) {
            let _ = child.kill();
        }
        let code = child.wait().ok().and_then(|status| status.code()).unwrap_or(-1);
        Err(Output { code, stdout: printed, stderr: self.log() })
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        // A gate that ended by itself explains more than its log does.
        let ended =
            self.running.as_mut().and_then(|running| running.child.try_wait().ok().flatten());
        self.kill9();
        if std::thread::panicking() {
            if let Some(status) = ended {
                eprintln!("the gate had ended before: {status}");
            }
            let log = self.log();
            let lines: Vec<&str> = log.lines().collect();
            let from = lines.len().saturating_sub(LOG_LINES);
            eprintln!("the gate's log:\n{}", lines[from..].join("\n"));
        }
    }
}

fn lines(stdout: ChildStdout) -> Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    receiver
}
