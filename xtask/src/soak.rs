//! `cargo xtask soak`: the long forms of what `test` does in short.

use crate::{parts, workspace};
use anyhow::{Result, bail};
use std::process::Command;

/// Something long to run.
struct Step {
    /// What it is called on the command line.
    name: &'static str,
    /// What it shows.
    shows: &'static str,
    /// How it is run.
    work: Work,
}

enum Work {
    /// A fuzz target under `fuzz/`, for `FUZZ_SECONDS`.
    Fuzz,
    /// Tests whose names hold this, with `PORTCULLIS_SOAK_ROUNDS` telling them how often.
    Tests { package: &'static str, filter: &'static str, rounds: u32 },
}

/// How long each fuzz target runs: what the project promises for a release.
const FUZZ_SECONDS: u32 = 600;
/// How long each runs with `--short`: enough to see that it builds and starts.
const SHORT_FUZZ_SECONDS: u32 = 10;
/// How many rounds the other steps do with `--short`.
const SHORT_ROUNDS: u32 = 2;

const STEPS: &[Step] = &[
    fuzz("request_line", "request line and canonical path"),
    fuzz("address_headers", "X-Forwarded-For and Forwarded"),
    fuzz("proxy_protocol", "PROXY protocol v1 and v2"),
    fuzz("jwt", "compact JWS, its header and claims"),
    fuzz("config", "portcullis.toml"),
    fuzz("event", "canonical leaves and record batches"),
    Step {
        name: "ledger_cuts",
        shows: "nothing acknowledged is lost when unsynced writes are",
        work: Work::Tests { package: "audit", filter: "cut", rounds: 200 },
    },
    Step {
        name: "kill",
        shows: "kill -9 under load loses nothing strict, and the gap is recorded",
        work: Work::Tests { package: "portcullis", filter: "kill", rounds: 200 },
    },
    Step {
        name: "slow_peers",
        shows: "10,000 idle and slow connections harm no other",
        work: Work::Tests { package: "portcullis", filter: "slow", rounds: 1 },
    },
    Step {
        name: "issuer",
        shows: "a slow, silent or lying issuer lets nothing through",
        work: Work::Tests { package: "portcullis", filter: "issuer", rounds: 20 },
    },
    Step {
        name: "database",
        shows: "PostgreSQL restarted under load",
        work: Work::Tests { package: "store", filter: "restart", rounds: 20 },
    },
];

const fn fuzz(name: &'static str, shows: &'static str) -> Step {
    Step { name, shows, work: Work::Fuzz }
}

/// Runs the named steps, or all; every step runs, even after one has failed.
///
/// # Errors
/// When a step fails or a name is unknown.
pub(crate) fn run(args: &[String]) -> Result<()> {
    let short = args.iter().any(|arg| arg == "--short");
    let names: Vec<&String> = args.iter().filter(|arg| *arg != "--short").collect();
    if let Some(unknown) = names.iter().find(|name| STEPS.iter().all(|step| step.name != **name)) {
        let known: Vec<&str> = STEPS.iter().map(|step| step.name).collect();
        bail!("there is no step {unknown:?}; there are {}", known.join(", "));
    }
    let chosen: Vec<&Step> = STEPS
        .iter()
        .filter(|step| names.is_empty() || names.iter().any(|n| *n == step.name))
        .collect();
    if chosen.iter().any(|step| matches!(step.work, Work::Fuzz)) {
        ready_to_fuzz()?;
    }
    if chosen.iter().any(|step| matches!(step.work, Work::Tests { .. })) {
        parts::debian(parts::FOR_TESTS)?;
        parts::node()?;
        workspace::run(workspace::cargo().args(["build", "--package", "portcullis"]))?;
    }
    let mut failed = Vec::new();
    for step in chosen {
        workspace::step(&format!("{}: {}", step.name, step.shows));
        if let Err(error) = one(step, short) {
            eprintln!("{}: {error:#}", step.name);
            failed.push(step.name);
        }
    }
    if !failed.is_empty() {
        bail!("failed: {}", failed.join(", "));
    }
    Ok(())
}

fn one(step: &Step, short: bool) -> Result<()> {
    match &step.work {
        Work::Fuzz => {
            let seconds = if short { SHORT_FUZZ_SECONDS } else { FUZZ_SECONDS };
            let mut cargo = Command::new("cargo");
            cargo.current_dir(workspace::root());
            cargo.args(["+nightly", "fuzz", "run", "--fuzz-dir", "fuzz", step.name, "--"]);
            cargo.args([format!("-max_total_time={seconds}"), "-rss_limit_mb=2048".to_owned()]);
            workspace::run(&mut cargo)
        }
        Work::Tests { package, filter, rounds } => {
            let rounds = if short { SHORT_ROUNDS.min(*rounds) } else { *rounds };
            let mut cargo = workspace::cargo();
            // Ignored tests are those that only make sense here.
            cargo.args(["test", "--package", package, "--", "--include-ignored", filter]);
            cargo.env("PORTCULLIS_SOAK_ROUNDS", rounds.to_string());
            crate::test::environment(&mut cargo);
            workspace::run(&mut cargo)
        }
    }
}

fn ready_to_fuzz() -> Result<()> {
    let nightly = Command::new("cargo").args(["+nightly", "--version"]).output();
    if !nightly.is_ok_and(|out| out.status.success()) {
        bail!(
            "fuzzing needs a nightly toolchain; install it with `rustup toolchain install nightly`"
        );
    }
    if workspace::find_program("cargo-fuzz").is_none() {
        println!("installing cargo-fuzz (cargo)");
        workspace::run(workspace::cargo().args(["install", "--locked", "--quiet", "cargo-fuzz"]))?;
    }
    Ok(())
}
