//! `cargo xtask soak`: the long forms of what `test` does in short.

use crate::{parts, workspace};
use anyhow::{Result, bail};
use std::process::Command;

/// Something long to run.
struct Step {
    /// What it is called on the command line.
    name: String,
    /// What it shows.
    shows: &'static str,
    /// How it is run.
    work: Work,
}

enum Work {
    /// A fuzz target under `fuzz/`, for `FUZZ_SECONDS`.
    Fuzz,
    /// Tests of `package` whose names hold `filter`, ignored ones included.
    Tests { package: &'static str, filter: &'static str, rounds: u32 },
}

/// How long each fuzz target runs: what the project promises for a release.
const FUZZ_SECONDS: u32 = 600;
/// How long each runs with `--short`: enough to see that it builds and starts.
const SHORT_FUZZ_SECONDS: u32 = 10;
/// How many rounds the other steps do with `--short`.
const SHORT_ROUNDS: u32 = 2;

/// Tests that take `PORTCULLIS_SOAK_ROUNDS` and `PORTCULLIS_SOAK` from the environment: name, what it shows,
/// package, part of the tests' names, rounds.
const TESTS: &[(&str, &str, &str, &str, u32)] = &[
    ("ledger_cuts", "nothing acknowledged is lost when unsynced writes are", "audit", "cut", 200),
    ("kill", "kill -9 under load loses nothing acknowledged", "portcullis", "kill", 200),
    ("disk", "a full disk stops strict routes only", "portcullis", "a_full", 1),
    ("bodies", "4 GB pass in either direction in 60 MB", "portcullis", "constant_memory", 1),
    ("slow", "10,000 idle and slow connections harm no other", "portcullis", "slow", 1),
    ("issuer", "a slow, silent or lying issuer lets nothing through", "portcullis", "issuer", 20),
    ("database", "PostgreSQL restarted under load", "store", "restarted", 20),
];

/// Every step: the fuzz targets that there are, then the tests.
fn steps() -> Vec<Step> {
    let fuzz = fuzz_targets().into_iter().map(|name| Step {
        name,
        shows: "no input makes the parser panic, hang or grow",
        work: Work::Fuzz,
    });
    let tests = TESTS.iter().map(|(name, shows, package, filter, rounds)| Step {
        name: (*name).to_owned(),
        shows,
        work: Work::Tests { package, filter, rounds: *rounds },
    });
    fuzz.chain(tests).collect()
}

fn fuzz_targets() -> Vec<String> {
    let folder = workspace::root().join("fuzz/fuzz_targets");
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| Some(entry.path().file_stem()?.to_str()?.to_owned()))
        .collect();
    names.sort();
    names
}

/// Runs the named steps, or all; every step runs, even after one has failed.
///
/// # Errors
/// When a step fails or a name is unknown.
pub(crate) fn run(args: &[String]) -> Result<()> {
    let short = args.iter().any(|arg| arg == "--short");
    let names: Vec<&String> = args.iter().filter(|arg| *arg != "--short").collect();
    let steps = steps();
    if let Some(unknown) = names.iter().find(|name| steps.iter().all(|step| step.name != ***name)) {
        let known: Vec<&str> = steps.iter().map(|step| step.name.as_str()).collect();
        bail!("there is no step {unknown:?}; there are {}", known.join(", "));
    }
    let wanted = |step: &&Step| names.is_empty() || names.iter().any(|name| **name == step.name);
    let chosen: Vec<&Step> = steps.iter().filter(wanted).collect();
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
            failed.push(step.name.as_str());
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
            let root = workspace::root();
            let (found, kept) =
                (format!("fuzz/corpus/{}", step.name), format!("fuzz/seeds/{}", step.name));
            std::fs::create_dir_all(root.join(&found))?;
            // Not the cargo that runs us: that one is bound to its own toolchain.
            let mut cargo = Command::new("cargo");
            cargo.current_dir(&root).args(["+nightly", "fuzz", "run", &step.name, &found]);
            if root.join(&kept).is_dir() {
                cargo.arg(kept);
            }
            cargo.arg("--");
            cargo.args([format!("-max_total_time={seconds}"), "-rss_limit_mb=2048".to_owned()]);
            workspace::run(&mut cargo)
        }
        Work::Tests { package, filter, rounds } => {
            let rounds = if short { SHORT_ROUNDS.min(*rounds) } else { *rounds };
            let mut cargo = crate::test::runner();
            // Ignored tests are those that only make sense here; none at all would show nothing.
            if crate::test::has_nextest() {
                cargo.args(["--profile", "soak", "--no-tests", "fail", "--run-ignored", "all"]);
                cargo.args(["--package", package, filter]);
            } else {
                cargo.args(["--package", package, filter, "--", "--include-ignored"]);
            }
            if !short {
                // `testkit::soak`: sizes and counts at full length.
                cargo.env("PORTCULLIS_SOAK", "1");
            }
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
