//! `docs/configuration.md` says what is so.
//!
//! A block ```` ```toml ```` is a whole file; ```` ```toml SECTION ```` is put into that section of the
//! base. Both must be without a problem.

use super::*;
use std::cell::RefCell;
use std::collections::BTreeSet;

const GUIDE: &str = include_str!("../../../../../docs/configuration.md");

thread_local! {
    /// Every key that was asked for in this thread, as `route.rate.limit`.
    static ASKED: RefCell<BTreeSet<String>> = const { RefCell::new(BTreeSet::new()) };
}

/// Takes note of the keys that a section knows.
pub(crate) fn note(path: &str, known: &[&'static str]) {
    let mut plain = String::new();
    let mut inside = false;
    for c in path.chars() {
        match c {
            '[' => inside = true,
            ']' => inside = false,
            _ if !inside => plain.push(c),
            _ => {}
        }
    }
    ASKED.with_borrow_mut(|asked| {
        asked.extend(known.iter().map(|key| format!("{plain}.{key}")));
    });
}

fn blocks() -> Vec<(String, String)> {
    let mut blocks = Vec::new();
    let mut open: Option<(String, String)> = None;
    for line in GUIDE.lines() {
        match (&mut open, line.strip_prefix("```")) {
            (None, Some(info)) => open = Some((info.to_owned(), String::new())),
            (Some(_), Some(_)) => blocks.extend(open.take()),
            (Some((_, text)), None) => text.push_str(&format!("{line}\n")),
            (None, None) => {}
        }
    }
    blocks
}

fn around() -> Around {
    let mut around = Around::usual();
    let url = "postgres://gate@localhost/gate".to_owned();
    around.variables.insert("GATE_DATABASE".to_owned(), url);
    around
}

#[test]
fn its_examples_are_without_a_problem() {
    let mut count = 0;
    for (info, text) in blocks() {
        let text = match info.strip_prefix("toml") {
            Some("") => text,
            Some(section) => with(section.trim(), &text),
            None => continue,
        };
        let report = Config::read(&text, Path::new("/etc/gate"), &around());
        assert_eq!(report.problems, [], "{text}");
        count += 1;
    }
    assert!(count >= 8);
}

#[test]
fn it_names_every_key() {
    its_examples_are_without_a_problem();
    let asked = ASKED.with_borrow(BTreeSet::clone);
    assert!(asked.len() > 100, "{asked:?}");
    for key in asked {
        let (section, key) = key.rsplit_once('.').unwrap();
        // The two keys of a secret stand in every section that has one; they are said once.
        if matches!(key, "env" | "file") {
            continue;
        }
        let section = section.split('.').next().unwrap();
        let heading = match section {
            "" => "## The file",
            "server" | "log" | "authority" | "mail" => &format!("## `[{section}]`"),
            _ => &format!("## `[[{section}]]`"),
        };
        let text = GUIDE.split(heading).nth(1).unwrap_or_else(|| panic!("no {heading}"));
        let text = text.split("\n## ").next().unwrap();
        // In examples a key stands bare, in text between backquotes.
        let named =
            [format!("`{key}`"), format!("{key} = ")].iter().any(|form| text.contains(form));
        assert!(named, "{heading} does not name {key}");
    }
}

const CODES: [(ProblemCode, &str); 15] = [
    (ProblemCode::Syntax, "syntax"),
    (ProblemCode::UnknownKey, "unknown_key"),
    (ProblemCode::Missing, "missing"),
    (ProblemCode::Type, "type"),
    (ProblemCode::Value, "value"),
    (ProblemCode::Duplicate, "duplicate"),
    (ProblemCode::Reference, "reference"),
    (ProblemCode::Conflict, "conflict"),
    (ProblemCode::Unreadable, "unreadable"),
    (ProblemCode::NotAvailable, "not_available"),
    (ProblemCode::FailOpen, "fail_open"),
    (ProblemCode::NoScopes, "no_scopes"),
    (ProblemCode::PublicWrite, "public_write"),
    (ProblemCode::PlainCredential, "plain_credential"),
    (ProblemCode::NoEffect, "no_effect"),
];

#[test]
fn codes_are_spelled_as_in_json() {
    for (code, word) in CODES {
        assert_eq!(serde_json::to_value(code).unwrap(), word);
        assert_eq!(code.as_str(), word);
        let severity = format!(
            "| `{word}` | {} |",
            match code.severity() {
                Severity::Error => "error",
                Severity::Warning => "warning",
            }
        );
        assert!(GUIDE.contains(&severity), "{severity}");
    }
}
