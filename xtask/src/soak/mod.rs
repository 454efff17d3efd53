//! `cargo xtask soak`: the long forms of what `test` does in short.
//!
//! The last lines are for programs: one JSON object for each step that ran, with its name, how long it was to be,
//! the seconds it took, and `ok` or `failed`.

mod steps;
#[cfg(test)]
mod tests;

pub(crate) use steps::check;

use crate::{parts, workspace};
use anyhow::{Context, Result, bail};
use base::{Clock, SystemClock};
use std::collections::BTreeSet;
use std::process::Command;
use steps::{Length, Step, Tests, Work};

/// How long each fuzz target runs: what the project promises for a release.
const FUZZ_SECONDS: u32 = 600;
/// How long each runs with `--short`: enough to see that it builds and starts.
const SHORT_FUZZ_SECONDS: u32 = 10;
/// How many rounds the other steps do with `--short`.
const SHORT_ROUNDS: u32 = 2;
/// How much memory a fuzz target may take, in MiB: a parser of small inputs that takes more is a finding.
const FUZZ_MEMORY: u32 = 2048;

/// What came of a step.
struct Outcome<'a> {
    step: &'a Step,
    seconds: u64,
    ok: bool,
}

impl Outcome<'_> {
    /// One line of JSON.
    fn line(&self, short: bool) -> String {
        let length = if short { "short".to_owned() } else { steps::length(&self.step.work) };
        serde_json::json!({
            "step": self.step.name,
            "length": length,
            "seconds": self.seconds,
            "result": if self.ok { "ok" } else { "failed" },
        })
        .to_string()
    }
}

/// Runs the named steps, or all; every step runs, even after one has failed. `--list` names them instead,
/// `--tests` leaves out the fuzz targets.
///
/// # Errors
/// When a step fails or a name is unknown.
pub(crate) fn run(args: &[String]) -> Result<()> {
    let flag = |name: &str| args.iter().any(|arg| arg == name);
    let short = flag("--short");
    let steps = steps::all();
    let chosen = choose(&steps, args)?;
    if flag("--list") {
        for step in chosen {
            println!("{}: {} ({})", step.name, step.shows, steps::length(&step.work));
        }
        return Ok(());
    }
    prepare(&chosen)?;
    let clock = SystemClock::new();
    let mut outcomes = Vec::new();
    for step in chosen {
        workspace::step(&format!("{}: {}", step.name, step.shows));
        let start = clock.monotonic();
        let result = match step.work {
            Work::Fuzz => fuzz(&step.name, if short { SHORT_FUZZ_SECONDS } else { FUZZ_SECONDS }),
            Work::Tests(tests) => run_tests(tests, short),
        };
        if let Err(error) = &result {
            eprintln!("{}: {error:#}", step.name);
        }
        let seconds = clock.monotonic().since(start).as_secs();
        outcomes.push(Outcome { step, seconds, ok: result.is_ok() });
    }
    workspace::step("summary");
    for outcome in &outcomes {
        println!("{}", outcome.line(short));
    }
    let failed = outcomes.iter().filter(|outcome| !outcome.ok);
    let failed: Vec<&str> = failed.map(|outcome| outcome.step.name.as_str()).collect();
    if !failed.is_empty() {
        bail!("failed: {}", failed.join(", "));
    }
    Ok(())
}

/// The steps that `args` name; without names all, or with `--tests` all but the fuzz targets.
fn choose<'a>(steps: &'a [Step], args: &[String]) -> Result<Vec<&'a Step>> {
    let (flags, names): (Vec<&String>, Vec<&String>) =
        args.iter().partition(|arg| arg.starts_with('-'));
    let known = ["--short", "--list", "--tests"];
    if let Some(unknown) = flags.iter().find(|flag| !known.contains(&flag.as_str())) {
        bail!("there is no option {unknown}; there are {}", known.join(", "));
    }
    if let Some(unknown) = names.iter().find(|name| steps.iter().all(|step| step.name != ***name)) {
        let known: Vec<&str> = steps.iter().map(|step| step.name.as_str()).collect();
        bail!("there is no step {unknown:?}; there are {}", known.join(", "));
    }
    let tests_only = flags.iter().any(|flag| *flag == "--tests");
    let wanted = |step: &&Step| {
        let named = names.iter().any(|name| **name == step.name);
        named || (names.is_empty() && !(tests_only && matches!(step.work, Work::Fuzz)))
    };
    Ok(steps.iter().filter(wanted).collect())
}

/// Finds or installs what the chosen steps need.
fn prepare(chosen: &[&Step]) -> Result<()> {
    if chosen.iter().any(|step| matches!(step.work, Work::Fuzz)) {
        ready_to_fuzz()?;
    }
    let packages: BTreeSet<&str> = chosen
        .iter()
        .filter_map(|step| match step.work {
            Work::Tests(tests) => Some(tests.package),
            Work::Fuzz => None,
        })
        .collect();
    if packages.is_empty() {
        return Ok(());
    }
    parts::debian(parts::FOR_TESTS)?;
    parts::node()?;
    workspace::run(workspace::cargo().args(["build", "--package", "portcullis"]))?;
    // Here, and one by one as the steps will ask for them, so that no step's time is the compiler's.
    for package in packages {
        workspace::run(crate::test::runner().args(["--no-run", "--package", package]))?;
    }
    Ok(())
}

fn fuzz(name: &str, seconds: u32) -> Result<()> {
    let root = workspace::root();
    let (found, kept) = (format!("fuzz/corpus/{name}"), format!("fuzz/seeds/{name}"));
    std::fs::create_dir_all(root.join(&found))?;
    // Not the cargo that runs us: that one is bound to its own toolchain.
    let mut cargo = Command::new("cargo");
    cargo.current_dir(&root).args(["+nightly", "fuzz", "run", name, &found]);
    if root.join(&kept).is_dir() {
        cargo.arg(kept);
    }
    cargo.arg("--");
    let words = format!("fuzz/dictionaries/{name}.dict");
    if root.join(&words).is_file() {
        cargo.arg(format!("-dict={words}"));
    }
    cargo.args([format!("-max_total_time={seconds}"), format!("-rss_limit_mb={FUZZ_MEMORY}")]);
    workspace::run(&mut cargo)
}

fn run_tests(tests: &Tests, short: bool) -> Result<()> {
    let full = match tests.length {
        Length::Rounds(count) | Length::Times(count) => count,
        Length::Full => 1,
    };
    let count = if short { SHORT_ROUNDS.min(full) } else { full };
    if tests.length != Length::Times(full) {
        return workspace::run(&mut tests_once(tests, short, count));
    }
    for time in 1..=count {
        println!("-- {time} of {count}");
        workspace::run(&mut tests_once(tests, short, 1))
            .with_context(|| format!("run {time} of {count}"))?;
    }
    Ok(())
}

/// The command that runs `tests` once, with so many rounds where they ask for them.
fn tests_once(tests: &Tests, short: bool, rounds: u32) -> Command {
    let mut cargo = crate::test::runner();
    // Ignored tests are those that only make sense here; none at all would show nothing.
    if crate::test::has_nextest() {
        cargo.args(["--profile", "soak", "--no-tests", "fail", "--run-ignored", "all"]);
        cargo.args(["--package", tests.package]).args(tests.filters);
    } else {
        cargo.args(["--package", tests.package, "--", "--include-ignored", "--nocapture"]);
        cargo.args(tests.filters);
    }
    if !short {
        // `testkit::soak`: sizes and counts at full length.
        cargo.env("PORTCULLIS_SOAK", "1");
    }
    if matches!(tests.length, Length::Rounds(_)) {
        cargo.env("PORTCULLIS_SOAK_ROUNDS", rounds.to_string());
    }
    crate::test::environment(&mut cargo);
    cargo
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
