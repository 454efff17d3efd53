//! `cargo xtask lint`: formatting, clippy, tidy, and cargo-deny where it is installed.

use crate::{tidy, workspace};
use anyhow::{Result, bail};

/// Runs every check, and fails at the end with the names of those that failed.
///
/// # Errors
/// When a check finds something.
pub(crate) fn run(args: &[String]) -> Result<()> {
    if let Some(arg) = args.first() {
        bail!("lint takes no argument, not even {arg:?}");
    }
    let mut failed = Vec::new();
    let mut check = |name: &'static str, result: Result<()>| {
        if let Err(error) = result {
            eprintln!("{name}: {error:#}");
            failed.push(name);
        }
    };
    workspace::step("format");
    check("format", workspace::run(workspace::cargo().args(["fmt", "--all", "--check"])));
    workspace::step("tidy");
    check("tidy", tidy::run(&[]));
    workspace::step("clippy");
    check("clippy", clippy());
    if workspace::find_program("cargo-deny").is_some() {
        workspace::step("deny");
        let mut deny = workspace::cargo();
        check("deny", workspace::run(deny.args(["deny", "check", "bans", "licenses", "sources"])));
    }
    if !failed.is_empty() {
        bail!("failed: {}", failed.join(", "));
    }
    Ok(())
}

fn clippy() -> Result<()> {
    let mut clippy = workspace::cargo();
    clippy.args(["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]);
    workspace::run(&mut clippy)
}
