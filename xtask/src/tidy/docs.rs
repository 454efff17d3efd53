//! Whether the documentation says what the code says.

use super::{Findings, Source};
use crate::errors;
use base::Phase;
use std::collections::BTreeMap;

/// The commands that the README shows on its first screen.
const README_COMMANDS: [&str; 2] = ["cargo run", "cargo xtask test"];
/// Lines of a first screen.
const FIRST_SCREEN: usize = 40;

/// Compares each page with what it repeats.
pub(super) fn check(sources: &[Source], findings: &mut Findings) {
    let page = |path: &str| sources.iter().find(|source| source.path == path);
    if page(errors::PATH).is_none_or(|source| source.text != errors::page()) {
        findings.error(format!("{}: not up to date; run `cargo xtask errors`", errors::PATH));
    }
    if let Some(source) = page("docs/life-of-a-request.md") {
        phases(&source.text, findings);
    }
    if let Some(source) = page("README.md") {
        readme(&source.text, findings);
    }
    decisions(sources.iter().map(|source| source.path.as_str()), findings);
}

/// Each phase has a heading `## N. Name`, in order, and no other heading claims to be one.
pub(super) fn phases(text: &str, findings: &mut Findings) {
    let headings: Vec<&str> = text
        .lines()
        .filter_map(|line| line.strip_prefix("## "))
        .filter(|heading| heading.starts_with(|c: char| c.is_ascii_digit()))
        .collect();
    let wanted: Vec<String> =
        Phase::ALL.iter().map(|phase| format!("{}. {phase:?}", *phase as u8)).collect();
    if headings != wanted {
        findings.error(format!(
            "docs/life-of-a-request.md: its numbered headings are {headings:?}, the phases {wanted:?}"
        ));
    }
}

fn readme(text: &str, findings: &mut Findings) {
    for command in README_COMMANDS {
        if !text.lines().take(FIRST_SCREEN).any(|line| line.contains(command)) {
            findings.error(format!(
                "README.md: `{command}` does not stand in the first {FIRST_SCREEN} lines"
            ));
        }
    }
}

/// Each decision has a number of its own.
pub(super) fn decisions<'a>(paths: impl Iterator<Item = &'a str>, findings: &mut Findings) {
    let mut taken: BTreeMap<&str, &str> = BTreeMap::new();
    for name in paths.filter_map(|path| path.strip_prefix("docs/adr/")) {
        let Some((number, _)) = name.split_once('-') else {
            findings.error(format!("docs/adr/{name}: its name does not begin with a number"));
            continue;
        };
        if number.len() != 4 || !number.bytes().all(|b| b.is_ascii_digit()) {
            findings.error(format!("docs/adr/{name}: its name does not begin with four digits"));
        } else if let Some(other) = taken.insert(number, name) {
            findings.error(format!("docs/adr/{name}: has the number of {other}"));
        }
    }
}
