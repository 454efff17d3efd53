//! The table of steps on small examples, and against the tree itself.

use super::steps::{self, Length, TESTS, Work, check_table, found};
use super::{Outcome, choose};
use crate::tidy::{Findings, Source};
use std::collections::BTreeSet;

fn source(path: &str, text: &str) -> Source {
    Source { path: path.to_owned(), text: text.to_owned() }
}

#[test]
fn tests_are_found_with_their_package() {
    let text = concat!(
        "fn helper() {}\n#[test]\nfn first() {}\n#[tokio::test(flavor = \"x\")]\n#[igno",
        "re = \"long\"]\nasync fn second() {\n    fn inner() {}\n}\nfn third() {}\n"
    );
    let tests = found(&source("crates/store/tests/it/faults.rs", text));
    let short: Vec<(&str, &str, &str, bool)> = tests
        .iter()
        .map(|t| (t.package.as_str(), t.name.as_str(), t.place.as_str(), t.ignored))
        .collect();
    assert_eq!(
        short,
        [
            ("store", "faults::first", "crates/store/tests/it/faults.rs:3", false),
            ("store", "faults::second", "crates/store/tests/it/faults.rs:6", true),
        ]
    );
    assert!(found(&source("README.md", text)).is_empty());
    assert_eq!(found(&source("testkit/tests/it/main.rs", text))[0].package, "testkit");
}

#[test]
fn an_ignored_test_without_a_step_is_an_error() {
    let text = concat!(
        "#[test]\n#[igno",
        "re = \"an hour\"]\nfn nobody_runs_this() {}\n#[test]\nfn b() {}"
    );
    let tests = found(&source("crates/store/tests/it/a.rs", text));
    let mut findings = Findings::default();
    check_table(&[], &tests, &mut findings);
    assert_eq!(findings.errors.len(), 1, "{:?}", findings.errors);
    assert!(findings.errors[0].contains("a.rs:3"), "{:?}", findings.errors);
}

#[test]
fn a_filter_that_finds_nothing_is_an_error() {
    let mut findings = Findings::default();
    check_table(TESTS, &[], &mut findings);
    assert_eq!(findings.errors.len(), TESTS.iter().map(|step| step.filters.len()).sum::<usize>());
}

/// The rule itself, on the tree as it is: every ignored test is run by a step.
#[test]
fn every_ignored_test_belongs_to_a_step() {
    let sources = crate::tidy::sources().unwrap();
    let mut findings = Findings::default();
    super::check(&sources, &mut findings);
    assert!(findings.errors.is_empty(), "{:?}", findings.errors);
    // And it looks at something.
    assert!(sources.iter().flat_map(found).filter(|test| test.ignored).count() >= 4);
}

/// What `testkit::rounds` is asked for in a package belongs to a step that gives rounds, or to nobody.
#[test]
fn steps_with_rounds_reach_a_test_that_asks_for_them() {
    let sources = crate::tidy::sources().unwrap();
    for step in TESTS.iter().filter(|step| matches!(step.length, Length::Rounds(_))) {
        let folder = format!("crates/{}/tests/", step.package);
        let asks = |source: &&Source| {
            source.path.starts_with(&folder)
                && source.text.contains("testkit::rounds(")
                && step.filters.iter().any(|filter| source.text.contains(filter))
        };
        assert!(sources.iter().any(|source| asks(&source)), "{:?}", step.filters);
    }
}

#[test]
fn names_and_options_choose_steps() {
    let steps = steps::all();
    let count = |args: &[&str]| {
        let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
        choose(&steps, &args).map(|chosen| chosen.len())
    };
    assert_eq!(count(&[]).unwrap(), steps.len());
    assert_eq!(count(&["--tests"]).unwrap(), TESTS.len());
    assert_eq!(count(&["--short", "kill", "jwt"]).unwrap(), 2);
    assert!(count(&["kil"]).is_err());
    assert!(count(&["--shrot"]).is_err());
    let names: BTreeSet<&str> = steps.iter().map(|step| step.name.as_str()).collect();
    assert_eq!(names.len(), steps.len(), "a name stands for one step");
}

#[test]
fn the_summary_is_json() {
    let steps = steps::all();
    let step = steps.iter().find(|step| matches!(step.work, Work::Tests(_))).unwrap();
    let line = Outcome { step, seconds: 7, ok: false }.line(false);
    let json: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!(json["step"], step.name.as_str());
    assert_eq!((json["seconds"].as_u64(), json["result"].as_str()), (Some(7), Some("failed")));
    assert_eq!(json["length"], "1000 rounds");
}
