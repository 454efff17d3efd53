//! Keeps what follows from a mistake of syntax out of the list of problems.
//!
//! Behind such a mistake the reader guesses, and what it then finds wrong with its own guesses helps nobody.
//! A file is cut at its headers (`[server]`, `[[route]]`); of a part with mistakes of syntax the first one is
//! kept, and what lies before it. Other parts are as they are.
//!
//! Invariant: a file with a problem keeps at least one.

use super::problem::{Problem, ProblemCode};

/// One part of the file: a header and what follows it.
struct Part<'t> {
    /// The first line, from 1.
    start: usize,
    /// The name in the header; empty before the first.
    name: &'t str,
    /// The line of its first mistake of syntax.
    broken: Option<usize>,
}

/// Takes out what only follows from mistakes of syntax. `problems` are in the order of the file.
pub(super) fn settle(text: &str, problems: Vec<Problem>) -> Vec<Problem> {
    if !problems.iter().any(|problem| problem.code == ProblemCode::Syntax) {
        return problems;
    }
    let mut parts = vec![Part { start: 1, name: "", broken: None }];
    for (index, line) in text.lines().enumerate() {
        parts.extend(header(line).map(|name| Part { start: index + 1, name, broken: None }));
    }
    let mut kept = Vec::with_capacity(problems.len());
    let mut others = Vec::new();
    for problem in problems {
        if problem.code != ProblemCode::Syntax {
            others.push(problem);
        } else if let Some(part) = part_of(&mut parts, problem.line)
            && part.broken.is_none()
        {
            part.broken = Some(problem.line);
            kept.push(problem);
        }
    }
    let broken: Vec<String> = parts
        .iter()
        .filter(|part| part.broken.is_some())
        .map(|part| format!("no [[{}]] is named", part.name))
        .collect();
    kept.extend(others.into_iter().filter(|problem| {
        let lost = broken.iter().any(|start| problem.message.starts_with(start));
        let part = part_of(&mut parts, problem.line);
        !lost && !problem.path.is_empty() && part.is_none_or(|part| stands(part, problem))
    }));
    kept.sort_by_key(|problem| problem.offset);
    kept
}

/// Whether a problem lies before the part's mistake, and not at its header, where missing keys are noted.
fn stands(part: &Part<'_>, problem: &Problem) -> bool {
    part.broken.is_none_or(|line| problem.line < line && problem.line > part.start)
}

fn part_of<'p, 't>(parts: &'p mut [Part<'t>], line: usize) -> Option<&'p mut Part<'t>> {
    let next = parts.partition_point(|part| part.start <= line);
    parts.get_mut(next.checked_sub(1)?)
}

/// The name of a header, `route` of `[[route]]` and of `[route.access]`.
fn header(line: &str) -> Option<&str> {
    let inner = line.trim_start().strip_prefix('[')?;
    let inner = inner.strip_prefix('[').unwrap_or(inner).trim_start();
    let length = inner.bytes().take_while(|b| b.is_ascii_alphanumeric() || *b == b'_').count();
    inner.get(..length).filter(|name| !name.is_empty())
}
