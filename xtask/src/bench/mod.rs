//! `cargo xtask bench`: what a request costs, beside nginx, HAProxy and Envoy in the same run.
//!
//! Owns: the method (`bench/README.md`). Never does: compare figures of different runs. The processes listen
//! on fixed ports from 7000 to 7530 of 127.0.0.1.

pub(crate) mod authority;
mod cases;
mod gate;
mod load;
mod peers;
mod process;
mod report;

use crate::{parts, workspace};
use anyhow::{Context, Result, bail};
use base::{Clock, Monotonic, SystemClock};
use cases::{CASES, Case, Credential, Proxy};
use load::{Latency, Load, Sample, Send};
use process::Process;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// Rounds of which the median is taken, and seconds of each measurement.
const FULL: (u32, u32) = (5, 5);
/// The same for a look whether everything starts.
const QUICK: (u32, u32) = (1, 1);
/// Different tokens for the load in which none comes twice: more than a full run of the three cases sends.
const TOKENS: u32 = 600_000;

/// What was measured of one case.
pub(crate) struct Outcome {
    /// Which.
    pub(crate) case: &'static Case,
    /// One sample a round.
    pub(crate) samples: Vec<Sample>,
    /// One a round, where the case asks for it.
    pub(crate) latencies: Vec<Latency>,
    /// Resident memory of its process after all load, in MiB.
    pub(crate) resident_mib: f64,
}

/// What a run measured.
pub(crate) struct Run {
    /// One a case.
    pub(crate) outcomes: Vec<Outcome>,
    /// How long `key create` took where there were a million keys; it returns once every shard knows the key.
    pub(crate) one_more_key: Option<Duration>,
}

/// Measures the cases whose name holds one of the words, or all.
///
/// # Errors
/// When something is missing, does not start, or answers anything but 2xx.
pub(crate) fn run(args: &[String]) -> Result<()> {
    let quick = args.iter().any(|arg| arg == "--quick");
    let words: Vec<String> =
        args.iter().filter(|arg| *arg != "--quick").map(|word| word.to_lowercase()).collect();
    let chosen: Vec<&'static Case> = CASES.iter().filter(|case| wanted(case, &words)).collect();
    if chosen.is_empty() {
        bail!("no case has a name with {words:?}");
    }
    let folder = prepare(&chosen)?;
    let run = measure(&folder, &chosen, if quick { QUICK } else { FULL })?;
    let command = std::iter::once("cargo xtask bench").chain(args.iter().map(String::as_str));
    let command = command.collect::<Vec<_>>().join(" ");
    print!("{}", report::markdown(&run, &process::machine(), &command));
    Ok(())
}

/// nginx is in every run: without it there is no ratio.
fn wanted(case: &Case, words: &[String]) -> bool {
    let name = format!("{} {}", case.proxy.name(), case.what).to_lowercase();
    words.is_empty() || case.proxy == Proxy::Nginx || words.iter().any(|word| name.contains(word))
}

/// Finds the peers, builds what is measured, and makes keys and tokens.
fn prepare(chosen: &[&Case]) -> Result<PathBuf> {
    parts::debian(parts::FOR_BENCH)?;
    let mut cargo = workspace::cargo();
    cargo.args(["build", "--release", "--package", "bench"]);
    if chosen.iter().any(|case| case.proxy.is_gate()) {
        cargo.args(["--package", "portcullis"]);
    }
    workspace::run(&mut cargo)?;
    let folder = workspace::target().join("bench");
    std::fs::create_dir_all(&folder).context("cannot make target/bench")?;
    let cold = chosen.iter().any(|case| case.credential == Credential::Cold);
    let mut tokens = Command::new(workspace::target().join("release/bench-tokens"));
    workspace::run(tokens.arg(&folder).arg(if cold { TOKENS } else { 1 }.to_string()))?;
    peers::lay(&folder)?;
    Ok(folder)
}

fn measure(folder: &Path, chosen: &[&'static Case], plan: (u32, u32)) -> Result<Run> {
    let (rounds, seconds) = plan;
    let _upstream = peers::upstream(folder)?;
    let mut running = BTreeMap::new();
    for case in chosen {
        if let std::collections::btree_map::Entry::Vacant(place) = running.entry(case.proxy) {
            place.insert(start(folder, case.proxy)?);
        }
    }
    let keys = Keys::make(folder, chosen)?;
    let mut outcomes: Vec<Outcome> = chosen
        .iter()
        .map(|case| Outcome { case, samples: Vec::new(), latencies: Vec::new(), resident_mib: 0.0 })
        .collect();
    let mut next_token = 0;
    for round in 1..=rounds {
        for outcome in &mut outcomes {
            let case = outcome.case;
            eprintln!("round {round} of {rounds}: {}, {}", case.proxy.name(), case.what);
            let process: &Process = running.get(&case.proxy).context("it was started")?;
            let url = format!("http://127.0.0.1:{}{}", case.port, case.path);
            let send = send(folder, case.credential, &keys)?;
            let load = Load { folder, url: &url, send: &send };
            outcome.samples.push(load.measure(process, seconds, &mut next_token)?);
            if case.latency {
                outcome.latencies.push(load.latency(seconds)?);
            }
        }
    }
    for outcome in &mut outcomes {
        let process = running.get(&outcome.case.proxy).context("it was started")?;
        outcome.resident_mib = process.resident_mib();
    }
    Ok(Run { outcomes, one_more_key: keys.one_more })
}

/// The API keys of the gates that are measured with one.
#[derive(Default)]
struct Keys {
    plain: String,
    of_many: String,
    one_more: Option<Duration>,
}

impl Keys {
    fn make(folder: &Path, chosen: &[&'static Case]) -> Result<Self> {
        let asked = |credential| chosen.iter().any(|case| case.credential == credential);
        let mut keys = Self::default();
        if asked(Credential::Key) {
            keys.plain = gate::key(folder, "gate")?;
        }
        if asked(Credential::KeyOfMany) {
            let clock = SystemClock::new();
            keys.of_many = gate::key(folder, "gate-keys")?;
            let passed = clock.monotonic().since(Monotonic::default());
            keys.one_more = Some(passed);
        }
        Ok(keys)
    }
}

fn start(folder: &Path, proxy: Proxy) -> Result<Process> {
    match proxy {
        Proxy::Nginx => peers::nginx(folder),
        Proxy::Haproxy => peers::haproxy(folder),
        Proxy::Envoy => peers::envoy(folder),
        Proxy::Gate => gate::start(folder, "gate", 7500, gate::PLAIN),
        Proxy::GateRoutes => gate::start(folder, "gate-routes", 7510, gate::ROUTES),
        Proxy::GatePrefixes => gate::start(folder, "gate-prefixes", 7520, gate::PREFIXES),
        Proxy::GateKeys => gate::start_with_keys(folder, "gate-keys", 7530),
    }
}

fn send(folder: &Path, credential: Credential, keys: &Keys) -> Result<Send> {
    let bearer = |token: &str| Send::Same(Some(format!("Authorization: Bearer {}", token.trim())));
    let token = |name: &str| {
        std::fs::read_to_string(folder.join(name)).with_context(|| format!("cannot read {name}"))
    };
    Ok(match credential {
        Credential::None => Send::Same(None),
        Credential::Es256 => bearer(&token("es.token")?),
        Credential::Rs256 => bearer(&token("rs.token")?),
        Credential::Key => bearer(&keys.plain),
        Credential::KeyOfMany => bearer(&keys.of_many),
        Credential::Cold => Send::Cold,
    })
}
