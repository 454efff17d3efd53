//! `cargo xtask test`: everything the tests need, then the tests. The runner's summary is the last line.

use crate::{parts, workspace};
use anyhow::Result;
use std::process::{Command, Stdio};

/// Runs the tests; `--unit` leaves out those that need other programs, further words go to the runner.
///
/// # Errors
/// When a part is missing, something does not build, or a test fails.
pub(crate) fn run(args: &[String]) -> Result<()> {
    let unit = args.iter().any(|arg| arg == "--unit");
    let rest: Vec<&String> = args.iter().filter(|arg| *arg != "--unit").collect();
    if !unit {
        workspace::step("parts");
        parts::debian(parts::FOR_TESTS)?;
        parts::node()?;
        parts::python_modules()?;
        workspace::step("build");
        workspace::run(workspace::cargo().args(["build", "--package", "portcullis"]))?;
    }
    workspace::step("tests");
    let mut runner = runner();
    if !rest.iter().any(|arg| arg.starts_with("-p") || arg.starts_with("--package")) {
        runner.arg("--workspace");
    }
    if unit {
        // The unit tests lie in the libraries and programs themselves, the others in `tests/it`.
        runner.args(["--lib", "--bins"]);
    } else {
        // Everything that has tests, libraries and programs too, but not examples in the documentation, which
        // would make the runner's last word "0 passed".
        runner.arg("--tests");
    }
    environment(&mut runner);
    runner.args(rest);
    workspace::run(&mut runner)
}

/// Tells tests where the parts and the binary are; `testkit::parts` reads it.
pub(crate) fn environment(runner: &mut Command) {
    runner.env("PORTCULLIS_TEST_PARTS", parts::folder());
    // Whoever names another binary wants to see that one tested.
    if std::env::var_os("PORTCULLIS_TEST_BINARY").is_none() {
        runner.env("PORTCULLIS_TEST_BINARY", workspace::target().join("debug/portcullis"));
    }
    if let Some(bin) = parts::postgres_bin() {
        runner.env("PORTCULLIS_TEST_POSTGRES", bin);
    }
}

/// The command that runs tests, ready for its options.
pub(crate) fn runner() -> Command {
    let mut cargo = workspace::cargo();
    if has_nextest() {
        cargo.args(["nextest", "run"]);
    } else {
        println!("cargo-nextest is not installed; taking cargo test");
        cargo.arg("test");
    }
    cargo
}

/// Whether cargo-nextest is installed.
pub(crate) fn has_nextest() -> bool {
    let mut cargo = workspace::cargo();
    cargo.args(["nextest", "--version"]).stdout(Stdio::null()).stderr(Stdio::null());
    cargo.status().is_ok_and(|status| status.success())
}
