//! `cargo xtask bench-authority`: what tokens cost, beside oidc-provider in the same run, and beside 1,000 logins.

use super::process;
use crate::{parts, workspace};
use anyhow::{Context, Result};
use std::process::Command;

/// Seconds of each measurement, and rounds of which the median is taken.
const FULL: (u32, u32) = (5, 5);
/// The same for a look whether everything starts.
const QUICK: (u32, u32) = (1, 1);

/// Builds what is measured, and measures; prints Markdown.
///
/// # Errors
/// When something is missing, does not start, or answers with an error.
pub(crate) fn run(args: &[String]) -> Result<()> {
    let (seconds, rounds) = if args.iter().any(|arg| arg == "--quick") { QUICK } else { FULL };
    parts::node()?;
    let mut cargo = workspace::cargo();
    cargo.args(["build", "--release", "--package", "bench", "--package", "portcullis"]);
    workspace::run(&mut cargo)?;
    let folder = workspace::target().join("bench/authority");
    std::fs::create_dir_all(&folder).context("cannot make target/bench/authority")?;
    let release = workspace::target().join("release");
    println!("`cargo xtask bench-authority` on {}; median of {rounds}.\n", process::machine());
    let binaries = [release.join("portcullis"), release.join("bench-oauth")];
    let mut python = Command::new("python3");
    python.arg(workspace::root().join("bench/load/authority.py")).args(&binaries);
    python.args([parts::folder(), folder.clone()]);
    workspace::run(python.args([seconds.to_string(), rounds.to_string()]))?;
    println!("\nBeside people who sign in all at once:\n");
    let mut python = Command::new("python3");
    python.arg(workspace::root().join("bench/load/logins.py")).args(&binaries);
    workspace::run(python.arg(folder.join("logins")).arg((2 * seconds).to_string()))
}
