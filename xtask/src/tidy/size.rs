//! How long a Rust file may be, without its tests.

use super::{Findings, Source};

/// Lines at which a file is too long.
const STOP: usize = 800;
/// Lines that a file aims to stay below.
const AIM: usize = 400;

/// Finds files that are too long, and notes those on the way there.
pub(super) fn check(sources: &[Source], findings: &mut Findings) {
    for source in sources {
        if !source.path.ends_with(".rs") || is_test(&source.path) {
            continue;
        }
        let lines = lines_without_tests(&source.text);
        if lines > STOP {
            findings.error(format!("{}: {lines} lines without tests, {STOP} at most", source.path));
        } else if lines > AIM {
            findings.note(format!("{}: {lines} lines without tests, aim at {AIM}", source.path));
        }
    }
}

/// Whether a file holds nothing but tests.
pub(super) fn is_test(path: &str) -> bool {
    path.ends_with("/tests.rs") || path.contains("/tests/") || path.ends_with("_tests.rs")
}

/// The lines of a file less its modules under `#[cfg(test)]`, which rustfmt lets begin and end at the margin.
pub(super) fn lines_without_tests(text: &str) -> usize {
    let mut count = 0_usize;
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        let inline =
            lines.peek().is_some_and(|next| next.starts_with("mod ") && next.ends_with('{'));
        if line != "#[cfg(test)]" || !inline {
            count += 1;
            continue;
        }
        for rest in lines.by_ref() {
            if rest == "}" {
                break;
            }
        }
    }
    count
}
