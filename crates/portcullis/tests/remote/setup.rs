//! What these tests share: the command line of somebody at another machine.

use serde_json::Value;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use testkit::{Arrival, Gate, Output, Person};

/// One route, so that there is something to protect.
pub(crate) const ROUTE: &str = "[[upstream]]\nname = \"orders\"\nservers = [\"http://127.0.0.1:9\"]\n\
     [[route]]\nname = \"orders\"\npath = \"/orders/{**}\"\nupstream = \"orders\"\n\
     access = { jwt = { issuer = \"self\", scopes = [\"orders:read\"] } }\n";

/// Somebody's home folder.
pub(crate) struct Home {
    folder: tempfile::TempDir,
    roots: Option<PathBuf>,
}

impl Home {
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("a folder"), roots: None }
    }

    /// Trusts the certificate authority in this file.
    pub(crate) fn trusting(mut self, roots: PathBuf) -> Self {
        self.roots = Some(roots);
        self
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis"));
        command.args(args).arg("--json").env("HOME", self.folder.path());
        command.env_remove("XDG_CONFIG_HOME").current_dir(self.folder.path());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        if let Some(roots) = &self.roots {
            command.env("SSL_CERT_FILE", roots);
        }
        command
    }

    /// Runs a command to its end.
    pub(crate) fn run(&self, args: &[&str]) -> Output {
        let done = self.command(args).output().expect("the binary runs");
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
        Output {
            code: done.status.code().unwrap_or(-1),
            stdout: text(done.stdout),
            stderr: text(done.stderr),
        }
    }

    /// Runs a command at the gate of this data folder that reads `input`.
    pub(crate) fn run_with(&self, args: &[&str], data: &Path, input: &str) -> Output {
        let mut command = self.command(args);
        let mut child =
            command.arg("--data").arg(data).stdin(Stdio::piped()).spawn().expect("the binary runs");
        let mut stdin = child.stdin.take().expect("a pipe");
        stdin.write_all(input.as_bytes()).expect("it reads");
        drop(stdin);
        let done = child.wait_with_output().expect("it ends");
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
        Output {
            code: done.status.code().unwrap_or(-1),
            stdout: text(done.stdout),
            stderr: text(done.stderr),
        }
    }

    /// Runs a command that must succeed.
    pub(crate) fn done(&self, args: &[&str]) -> Value {
        let output = self.run(args);
        assert_eq!(output.code, 0, "{args:?}: {output:?}");
        output.json()
    }

    /// Starts `login`, and what it asks of the person.
    pub(crate) fn ask(&self, url: &str) -> (Child, Value) {
        let mut child = self.command(&["login", "--url", url]).spawn().expect("the binary runs");
        let mut line = String::new();
        let mut errors = BufReader::new(child.stderr.take().expect("a pipe"));
        errors.read_line(&mut line).expect("a line");
        let prompt = serde_json::from_str(&line).unwrap_or_else(|_| panic!("{line}"));
        (child, prompt)
    }

    /// Signs in; what `login` printed.
    pub(crate) fn login(&self, url: &str, person: &mut Person) -> Value {
        let (child, prompt) = self.ask(url);
        let page = prompt["verification_uri_complete"].as_str().expect("an address");
        match person.go(page) {
            Arrival::Page(page) => assert_eq!(page.title(), "Connected"),
            other => panic!("{other:?}"),
        }
        let done = child.wait_with_output().expect("it ends");
        assert_eq!(done.status.code(), Some(0));
        serde_json::from_slice(&done.stdout).expect("JSON")
    }

    /// The file with the tokens.
    pub(crate) fn credentials(&self) -> PathBuf {
        self.folder.path().join(".config/portcullis/credentials.json")
    }

    /// Its rights.
    pub(crate) fn mode(&self) -> u32 {
        std::fs::metadata(self.credentials()).expect("the file").mode() & 0o777
    }
}

/// A person with these roles.
pub(crate) fn person(gate: &Gate, name: &str, roles: &[&str]) -> Person {
    let person = Person::new(gate, name);
    let mut words = vec!["user", "roles", person.id()];
    for role in roles {
        words.extend(["--role", role]);
    }
    gate.done(&words);
    person
}
