//! Words that may not stand in the tree.

use super::{Findings, Source};

/// Paths of the machine that something was built on say nothing to a reader and lead nowhere.
const MACHINE_PATHS: [&str; 2] = [concat!("/wo", "rk/"), concat!("/ro", "ot/")];
/// The folder beside the project.
const BESIDE: &str = concat!("sha", "red/");
/// The one thing of it that may be named, and by whom.
const VECTORS: (&str, &str) = ("conformance/", concat!("../sha", "red/vectors"));
/// Marks of unfinished code.
const UNFINISHED: [&str; 4] = [
    concat!("to", "do!("),
    concat!("unimple", "mented!("),
    concat!("FIX", "ME"),
    concat!("XX", "X:"),
];
/// A test that is left out has to say why: `#[ignore = "…"]`.
const SILENT_IGNORE: &str = concat!("#[igno", "re]");

/// Finds each word that may not stand where it stands.
pub(super) fn check(sources: &[Source], findings: &mut Findings) {
    for source in sources {
        for (number, line) in source.text.lines().enumerate() {
            for what in line_findings(&source.path, line) {
                findings.error(format!("{}:{}: {what}", source.path, number + 1));
            }
        }
    }
}

/// What is wrong with one line of the file at `path`.
pub(super) fn line_findings(path: &str, line: &str) -> Vec<String> {
    let mut found = Vec::new();
    for word in MACHINE_PATHS {
        if stands_alone(line, word) {
            found.push(format!("a path of the machine it was written on ({word})"));
        }
    }
    let (place, allowed) = VECTORS;
    let rest = if path.starts_with(place) { line.replace(allowed, "") } else { line.to_owned() };
    if stands_alone(&rest, BESIDE) {
        found.push(format!("a reference to what lies outside the project ({BESIDE})"));
    }
    if path.ends_with(".rs") {
        for word in UNFINISHED {
            if line.contains(word) {
                found.push(format!("unfinished code ({word})"));
            }
        }
        if line.contains(SILENT_IGNORE) {
            found.push("an ignored test without a reason".to_owned());
        }
    }
    found
}

/// Whether `word` stands in `line` other than as the end of a longer word.
fn stands_alone(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| {
        let before = line.get(..at).and_then(|before| before.chars().next_back());
        !before.is_some_and(|c| c.is_alphanumeric() || c == '_' || (c == '-' && word == BESIDE))
    })
}
