//! What there is to soak: the table, and the rule that no test is left out of it.

use super::FUZZ_SECONDS;
use crate::tidy::{Findings, Source};
use crate::workspace;

/// Something long to run.
pub(super) struct Step {
    /// What it is called on the command line.
    pub(super) name: String,
    /// What it shows.
    pub(super) shows: &'static str,
    /// How it is run.
    pub(super) work: Work,
}

/// How a step is run.
pub(super) enum Work {
    /// The fuzz target of the step's name, for [`FUZZ_SECONDS`].
    Fuzz,
    /// Tests, ignored ones included.
    Tests(&'static Tests),
}

/// Tests that are run long.
pub(super) struct Tests {
    name: &'static str,
    shows: &'static str,
    /// The package that they belong to.
    pub(super) package: &'static str,
    /// Parts of their names; a test is run when it holds one of them.
    pub(super) filters: &'static [&'static str],
    /// How much of them.
    pub(super) length: Length,
}

/// How long a test goes on.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Length {
    /// So many rounds, which the test itself makes: it asks `testkit::rounds`.
    Rounds(u32),
    /// The test is run so many times over.
    Times(u32),
    /// Once. Where its length can be chosen, it asks `testkit::soak` for the full one.
    Full,
}

/// Every step but the fuzz targets. An ignored test has to belong to one of them.
pub(super) const TESTS: &[Tests] = &[
    Tests {
        name: "ledger_cuts",
        shows: "power cuts that discard unsynced writes lose nothing acknowledged",
        package: "audit",
        filters: &["power_cuts"],
        length: Length::Rounds(1_000),
    },
    Tests {
        name: "kill",
        shows: "kill -9 under load loses nothing acknowledged",
        package: "portcullis",
        filters: &["kill_under_load"],
        length: Length::Rounds(200),
    },
    Tests {
        name: "authority_kill",
        shows: "kill -9 between the steps of the authority undoes nothing acknowledged",
        package: "portcullis",
        filters: &["what_the_authority_has_acknowledged"],
        length: Length::Rounds(200),
    },
    Tests {
        name: "store_kill",
        shows: "kill -9 amid changes of the store loses nothing acknowledged",
        package: "store",
        // The second is the child of the first and does nothing of its own.
        filters: &["acknowledged_acts_survive_kill_9", "child_that_writes_until_it_is_killed"],
        length: Length::Rounds(200),
    },
    Tests {
        name: "disk",
        shows: "a full disk stops strict routes only, and nothing is acknowledged that is not kept",
        package: "portcullis",
        filters: &["a_full_disk", "a_full_store"],
        length: Length::Times(5),
    },
    Tests {
        name: "bodies",
        shows: "4 GiB pass in either direction in 60 MB",
        package: "portcullis",
        filters: &["constant_memory"],
        length: Length::Full,
    },
    Tests {
        name: "slow",
        shows: "10,000 idle and slow connections harm no other",
        package: "portcullis",
        filters: &["slow_connections", "a_slow_reader", "a_slow_head"],
        length: Length::Full,
    },
    Tests {
        name: "upstream",
        shows: "an upstream that dies amid a body is told as what it is",
        package: "portcullis",
        filters: &["faults::"],
        length: Length::Times(5),
    },
    Tests {
        name: "issuer",
        shows: "a slow, silent or lying issuer lets nothing through",
        package: "portcullis",
        filters: &["an_issuer_that", "silent_or_slow", "survive_the_issuer"],
        length: Length::Times(20),
    },
    Tests {
        name: "withdrawn_key",
        shows: "a withdrawn key stops its tokens though no token with another arrives",
        package: "portcullis",
        filters: &["a_withdrawn_key_stops_its_tokens"],
        length: Length::Full,
    },
    Tests {
        name: "database",
        shows: "PostgreSQL restarted under load loses nothing acknowledged",
        package: "store",
        filters: &["restarted_under_load"],
        length: Length::Rounds(20),
    },
    Tests {
        name: "store_size",
        shows: "how long a million keys take to load, how fast keys are made and tokens rotated",
        package: "store",
        filters: &["measure_"],
        length: Length::Full,
    },
];

/// Every step: the fuzz targets that there are, then the tests.
pub(super) fn all() -> Vec<Step> {
    let fuzz = fuzz_targets().into_iter().map(|name| Step {
        name,
        shows: "no input makes the parser panic, hang, grow or break its promise",
        work: Work::Fuzz,
    });
    let tests = TESTS.iter().map(|tests| Step {
        name: tests.name.to_owned(),
        shows: tests.shows,
        work: Work::Tests(tests),
    });
    fuzz.chain(tests).collect()
}

/// How long a step is, for people.
pub(super) fn length(work: &Work) -> String {
    match work {
        Work::Fuzz => format!("{FUZZ_SECONDS} s"),
        Work::Tests(Tests { length: Length::Rounds(rounds), .. }) => format!("{rounds} rounds"),
        Work::Tests(Tests { length: Length::Times(times), .. }) => format!("{times} times"),
        Work::Tests(Tests { length: Length::Full, .. }) => "full length".to_owned(),
    }
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

/// A rule of `tidy`: each ignored test belongs to a step, and each step's filters find something.
pub(crate) fn check(sources: &[Source], findings: &mut Findings) {
    let tests: Vec<Found> = sources.iter().flat_map(found).collect();
    check_table(TESTS, &tests, findings);
}

/// A test, as it stands in a file.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) place: String,
    pub(super) package: String,
    /// The file's name and the function's: `crash::kill_under_load`.
    pub(super) name: String,
    pub(super) ignored: bool,
}

/// Compares the table with the tests that there are.
pub(super) fn check_table(table: &[Tests], tests: &[Found], findings: &mut Findings) {
    let taken = |step: &Tests, filter: &str, test: &Found| {
        step.package == test.package && test.name.contains(filter)
    };
    for test in tests.iter().filter(|test| test.ignored) {
        let belongs = |step: &Tests| step.filters.iter().any(|filter| taken(step, filter, test));
        if !table.iter().any(belongs) {
            findings.error(format!(
                "{}: {} is ignored, and no step of `cargo xtask soak` runs it",
                test.place, test.name
            ));
        }
    }
    for step in table {
        for filter in step.filters {
            if !tests.iter().any(|test| taken(step, filter, test)) {
                findings.error(format!(
                    "the soak's step {} names {filter:?}, and {} has no such test",
                    step.name, step.package
                ));
            }
        }
    }
}

/// The functions of a file that are marked as tests.
pub(super) fn found(source: &Source) -> Vec<Found> {
    let Some((package, file)) = package(&source.path) else { return Vec::new() };
    let (mut tests, mut test, mut ignored) = (Vec::new(), false, false);
    for (number, line) in source.text.lines().enumerate() {
        let line = line.trim_start();
        if line.starts_with("#[test]") || line.starts_with("#[tokio::test") {
            test = true;
        } else if line.starts_with("#[ignore") {
            ignored = true;
        } else if let Some(name) = function(line) {
            if test {
                let place = format!("{}:{}", source.path, number + 1);
                let name = format!("{file}::{name}");
                tests.push(Found { place, package: package.to_owned(), name, ignored });
            }
            (test, ignored) = (false, false);
        }
    }
    tests
}

/// The name of the function that begins on this line.
fn function(line: &str) -> Option<&str> {
    let rest = line.strip_prefix("pub ").unwrap_or(line);
    let rest = rest.strip_prefix("async ").unwrap_or(rest);
    let name = rest.strip_prefix("fn ")?;
    name.split(|c: char| !c.is_alphanumeric() && c != '_').next()
}

/// The package that a file of Rust belongs to, named as its folder is, and the file's own name.
fn package(path: &str) -> Option<(&str, &str)> {
    let (folders, file) = path.rsplit_once('/')?;
    let file = file.strip_suffix(".rs")?;
    let mut folders = folders.split('/');
    let first = folders.next()?;
    Some((if first == "crates" { folders.next()? } else { first }, file))
}
