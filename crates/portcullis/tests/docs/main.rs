//! What the documents show is so: configurations are read by the product, commands are run as they stand.

#![expect(clippy::unwrap_used, reason = "a test stops at the first mistake")]

use portcullis::config::{Config, Nothing};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn documents() -> Vec<PathBuf> {
    let mut found = vec![root().join("README.md")];
    for folder in ["docs", "docs/guides"] {
        for entry in std::fs::read_dir(root().join(folder)).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|it| it == "md") {
                found.push(path);
            }
        }
    }
    found
}

/// The fenced blocks of a document that are marked with exactly `mark`.
fn blocks(text: &str, mark: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut open: Option<(bool, Vec<&str>)> = None;
    for line in text.lines() {
        open = match (open, line.strip_prefix("```")) {
            (None, Some(info)) => Some((info.trim() == mark, Vec::new())),
            (Some((wanted, lines)), Some(_)) => {
                if wanted {
                    found.push(lines.join("\n"));
                }
                None
            }
            (Some((wanted, mut lines)), None) => {
                lines.push(line);
                Some((wanted, lines))
            }
            (None, None) => None,
        };
    }
    found
}

#[test]
fn every_whole_configuration_in_the_documents_has_no_mistake() {
    let mut seen = 0;
    for document in documents() {
        let text = std::fs::read_to_string(&document).unwrap();
        for block in blocks(&text, "toml") {
            if !block.contains("version = 1") {
                continue;
            }
            seen += 1;
            let report = Config::read(&block, Path::new("/etc/gate"), &Nothing);
            let errors: Vec<String> = report
                .problems
                .iter()
                // Certificates, key sets and variables of examples are not on this machine.
                .filter(|it| it.is_error() && it.code.as_str() != "unreadable")
                .map(|it| it.render(&document.display().to_string()))
                .collect();
            assert!(errors.is_empty(), "{}", errors.join("\n"));
        }
    }
    assert!(seen >= 3, "only {seen} configurations were found");
}

#[test]
fn every_command_in_the_guides_exists() {
    let mut seen = 0;
    for document in documents() {
        let text = std::fs::read_to_string(&document).unwrap();
        for line in text.lines().filter_map(|line| line.strip_prefix("portcullis ")) {
            let words: Vec<&str> = line.split_whitespace().take_while(|it| it.is_ascii()).collect();
            let commands: Vec<&str> = words
                .iter()
                .take(2)
                .copied()
                .filter(|it| it.bytes().all(|c| c.is_ascii_lowercase()))
                .collect();
            seen += 1;
            let help = testkit::run(&[&commands[..], &["--help"]].concat());
            assert_eq!(help.code, 0, "{}: portcullis {line}\n{help:?}", document.display());
        }
    }
    assert!(seen >= 8, "only {seen} commands were found");
}

/// A process that is killed when it is dropped.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn the_first_screen_works_as_it_is_printed() {
    let folder = tempfile::tempdir().unwrap();
    let mut up = Command::new(env!("CARGO_BIN_EXE_portcullis"))
        .arg("up")
        .current_dir(folder.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .unwrap();
    let printed = BufReader::new(up.stdout.take().unwrap());
    let _up = Killed(up);
    let mut commands = Vec::new();
    for line in printed.lines() {
        let line = line.unwrap();
        let line = line.trim();
        if line.starts_with("curl ") || line.starts_with("KEY=") {
            commands.push(line.to_owned());
        }
        if line.starts_with("200,") {
            break;
        }
    }
    assert_eq!(commands.len(), 3, "{commands:?}");
    let shell = Command::new("sh")
        .args(["-c", &commands.join("\n")])
        .current_dir(folder.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&shell.stdout);
    let refused = said.find("HTTP/1.1 401 ").expect("a 401");
    let passed = said.find("HTTP/1.1 200 ").expect("a 200");
    assert!(refused < passed, "{said}");
    assert!(said.contains("credential.missing") && said.contains("portcullis-subject"), "{said}");
}

#[test]
fn a_second_gate_says_which_port_is_taken_and_ends() {
    let gate = testkit::Gate::start(
        "[[upstream]]\nname = \"e\"\nservers = [\"http://127.0.0.1:9\"]\n[[route]]\nname = \"r\"\n\
         path = \"/\"\nmethods = [\"GET\"]\nupstream = \"e\"\naccess = \"public\"\n",
    );
    let other = tempfile::tempdir().unwrap();
    let config = gate.config().to_str().unwrap().to_owned();
    let data = other.path().to_str().unwrap().to_owned();
    let second = testkit::run(&["up", "--config", &config, "--data", &data]);
    assert_eq!(second.code, 1);
    assert!(second.stderr.contains("is taken by another program"), "{second:?}");
    // The first one serves on.
    testkit::wait::until(Duration::from_secs(5), "the first gate", || {
        gate.get("/nothing", &[]).status == 404
    });
}
