//! The table of ASVS and NIST SP 800-63B-4 names tests that are there.

use std::collections::HashSet;
use std::path::Path;

/// Folders below each other at most; the deepest source lies at six.
const DEPTH: usize = 12;

/// Collects the names of all functions below a folder.
fn functions(folder: &Path, depth: usize, names: &mut HashSet<String>) {
    assert!(depth > 0, "{} is too deep", folder.display());
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            functions(&path, depth - 1, names);
        } else if path.extension().is_some_and(|it| it == "rs") {
            let text = std::fs::read_to_string(&path).unwrap();
            let after = text.lines().filter_map(|line| line.trim_start().split_once("fn "));
            let name = |rest: &str| rest.split(['(', '<']).next().unwrap_or_default().to_owned();
            names.extend(after.map(|(_, rest)| name(rest)));
        }
    }
}

#[test]
fn each_test_that_is_named_exists() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let table = std::fs::read_to_string(here.join("asvs.md")).unwrap();
    let mut names = HashSet::new();
    functions(&here.join("../crates"), DEPTH, &mut names);
    functions(&here.join("tests"), DEPTH, &mut names);
    // `crate: module::test`, among other things in back quotes.
    let named: Vec<&str> = table
        .split('`')
        .skip(1)
        .step_by(2)
        .filter_map(|quoted| quoted.split_once(": ")?.1.rsplit_once("::"))
        .map(|(_, test)| test)
        .collect();
    assert!(named.len() > 100, "{} are named", named.len());
    for test in named {
        assert!(names.contains(test), "{test} is named and is not there");
    }
}

#[test]
fn each_row_has_a_result() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let table = std::fs::read_to_string(here.join("asvs.md")).unwrap();
    let results = ["passes", "in part: ", "by decision", "not yet", "no: ", "no for ", "n/a: "];
    let mut rows = 0;
    for line in table.lines().filter(|line| {
        line.starts_with("| ") && !line.starts_with("| number") && !line.starts_with("| section")
    }) {
        let cells: Vec<&str> = line.trim().trim_matches('|').split('|').map(str::trim).collect();
        let [_, asked, test, result] = cells.as_slice() else { panic!("{line}") };
        assert!(!asked.is_empty(), "{line}");
        assert!(results.iter().any(|it| result.starts_with(it)), "{line}");
        // What is said to pass is shown.
        assert!(!result.starts_with("passes") || test.contains("::"), "{line}");
        rows += 1;
    }
    assert!(rows > 100, "{rows} rows");
}
