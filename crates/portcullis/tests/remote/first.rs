//! The set-up link of the first administrator.

use crate::setup::{Home, ROUTE};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use std::io::{BufRead as _, BufReader, Lines};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use testkit::{Browser, Gate, Landing, request};

const PASSWORD: &str = "correct horse battery staple";

/// A gate on a terminal: `script` gives it one, and the shell says its process id first.
struct OnTerminal {
    script: Child,
    pid: Pid,
    ready: Value,
    _lines: Lines<BufReader<ChildStdout>>,
}

impl OnTerminal {
    fn start(config: &Path, data: &Path) -> Self {
        let (config, data) = (config.display(), data.display());
        let gate = env!("CARGO_BIN_EXE_portcullis");
        let line = format!("echo $$; exec {gate} up --json --config {config} --data {data}");
        let mut script = Command::new("script");
        script.args(["-qec", &line, "/dev/null"]).stdin(Stdio::null()).stdout(Stdio::piped());
        let mut script = script.stderr(Stdio::null()).spawn().expect("script runs");
        let mut lines = BufReader::new(script.stdout.take().expect("a pipe")).lines();
        let mut next = || lines.next().expect("a line").expect("text").trim().to_owned();
        let pid = Pid::from_raw(next().parse().expect("a process id"));
        let ready = loop {
            // On a terminal the log comes between.
            if let Ok(ready) = serde_json::from_str::<Value>(&next())
                && ready.get("gateway").is_some()
            {
                break ready;
            }
        };
        Self { script, pid, ready, _lines: lines }
    }
}

impl Drop for OnTerminal {
    fn drop(&mut self) {
        let _ = kill(self.pid, Signal::SIGKILL);
        let _ = self.script.kill();
        let _ = self.script.wait();
    }
}

#[test]
fn the_first_administrator_sets_up_with_the_link_on_the_terminal() {
    let folder = tempfile::tempdir().expect("a folder");
    let config = folder.path().join("portcullis.toml");
    std::fs::write(&config, Gate::builder().rest(ROUTE).file()).expect("it is written");
    let data = folder.path().join("data");
    let gate = OnTerminal::start(&config, &data);
    let control = gate.ready["control"].as_str().expect("an address").to_owned();
    let link = gate.ready["setup_url"].as_str().expect("a link").to_owned();
    let (page, secret) = link.split_once('#').expect("a secret behind #");
    assert_eq!(page, format!("{control}/setup?first=1"));
    // Nobody else learns it.
    let ready = request("GET", &(control.clone() + "/readyz"), &[], b"");
    assert_eq!(ready.status, 200);
    assert!(!ready.text().contains(secret), "{}", ready.text());
    let ready: Value = serde_json::from_str(&ready.text()).expect("JSON");
    assert_eq!(ready["setup_url"], Value::Null);
    let mut browser = Browser::new(&control);
    let set_up = |browser: &mut Browser, email: &str| {
        let Landing::Page(page) = browser.open(page) else { panic!("it leads elsewhere") };
        let form = page.form().expect("a form").with("code", secret).with("email", email);
        let Landing::Page(done) = browser.send(&page, &form.with("password", PASSWORD)) else {
            panic!("it leads elsewhere")
        };
        done.response.status
    };
    assert_eq!(set_up(&mut browser, "ada@example.com"), 200);
    assert_eq!(set_up(&mut browser, "eve@example.com"), 400, "it works once");
    let data_text = data.display().to_string();
    let users = Home::new().done(&["user", "list", "--data", &data_text]);
    assert_eq!(users.as_array().map(Vec::len), Some(1), "{users}");
    assert_eq!(users[0]["roles"], serde_json::json!(["administrator"]));
    drop(gate);
    // There is somebody now.
    let gate = OnTerminal::start(&config, &data);
    assert_eq!(gate.ready["setup_url"], Value::Null);
}

#[test]
fn off_a_terminal_no_link_is_printed() {
    let gate = Gate::start(ROUTE);
    assert_eq!(gate.ready()["setup_url"], Value::Null);
    assert_eq!(gate.done(&["user", "list"]), serde_json::json!([]), "nobody was made for it");
}
