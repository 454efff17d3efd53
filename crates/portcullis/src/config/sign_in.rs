//! `[[sign_in]]`: how people of some groups, or at some clients, must sign in.
//!
//! Invariant: a rule that nobody could ever meet, and one that asks for nothing, are refused.

use super::problem::ProblemCode;
use super::reader::{At, Field, Named, Reader, Section};
use super::text::is_name;
use authority::people::{FactorKind, Level, Policy};
use std::time::Duration;

/// Rules of one file. All are looked at whenever a session is.
const RULES: usize = 64;
/// Groups, and clients, of one rule.
const NAMES: usize = 64;
/// Characters of a client's id; some are URLs.
const CLIENT_CHARS: usize = 512;
/// The least `max_age`: whoever has just proved themselves needs this long to come back with the code.
const YOUNGEST: Duration = Duration::from_secs(10);
/// The most: beyond a year or so the rule says nothing any more.
const OLDEST: Duration = Duration::from_secs(400 * 86_400);

/// Reads every `[[sign_in]]`.
pub(super) fn read_sign_in(reader: &mut Reader<'_>, root: &mut Section<'_>) -> Vec<Policy> {
    let mut rules: Vec<(Policy, At)> = Vec::new();
    for section in reader.tables(root, Named::SignIn) {
        if rules.len() == RULES {
            let message = format!("more than {RULES} rules");
            reader.problem(ProblemCode::Value, &section.at, message);
            break;
        }
        let at = section.at.clone();
        if let Some(rule) = read_rule(reader, section) {
            for (before, _) in &rules {
                agree(reader, (before, &rule), &at);
            }
            rules.push((rule, at));
        }
    }
    rules.into_iter().map(|(rule, _)| rule).collect()
}

fn read_rule(reader: &mut Reader<'_>, mut section: Section<'_>) -> Option<Policy> {
    let at = section.at.clone();
    let name = reader.name(&mut section, Named::SignIn);
    let groups = section.read(reader, "groups", |reader, field| names(reader, field, group));
    let clients = section.read(reader, "clients", |reader, field| names(reader, field, client));
    let words = [
        ("aal1", Level::Aal1),
        ("aal2", Level::Aal2),
        ("phr", Level::Phr),
        ("aal3", Level::Aal3),
        ("phrh", Level::Aal3),
    ];
    let has = ["acr", "max_age", "factors"].map(|key| section.has(key));
    let acr = section.read(reader, "acr", |reader, field| reader.word(field, &words));
    let max_age = section.read(reader, "max_age", read_age);
    let kinds = [("totp", FactorKind::Totp), ("passkey", FactorKind::Passkey)];
    let factors = section.read(reader, "factors", |reader, field| {
        reader.some(field, |reader, item| reader.word(item, &kinds))
    });
    section.finish(reader);
    if !has.contains(&true) || (has == [true, false, false] && acr == Some(Level::Aal1)) {
        let message = "nothing is asked for, which every sign-in meets";
        reader.hinted(ProblemCode::FailOpen, &at, message, "write acr = \"aal2\"");
        return None;
    }
    let factors = factors.unwrap_or_default();
    // A second factor that is named is asked for.
    let least = if factors.is_empty() { Level::Aal1 } else { Level::Aal2 };
    let level = acr.unwrap_or(least);
    if level < least {
        let message = "`factors` names second factors, and aal1 asks for none";
        reader.hinted(ProblemCode::Conflict, &at, message, "write acr = \"aal2\"");
        return None;
    }
    if !reaches(level, &factors) {
        let message = format!("{} is reached by passkeys alone", level.as_str());
        reader.hinted(ProblemCode::Conflict, &at, message, "write factors = [\"passkey\"]");
        return None;
    }
    Some(Policy {
        name,
        groups: groups.unwrap_or_default(),
        clients: clients.unwrap_or_default(),
        level,
        max_age,
        factors,
    })
}

/// Whether these second factors (none: any) can reach the level.
fn reaches(level: Level, factors: &[FactorKind]) -> bool {
    level < Level::Phr || factors.is_empty() || factors.contains(&FactorKind::Passkey)
}

/// Two rules that hold for the same people at the same client must be met together by somebody.
fn agree(reader: &mut Reader<'_>, (one, other): (&Policy, &Policy), at: &At) {
    let meet = |one: &[String], other: &[String]| {
        one.is_empty() || other.is_empty() || one.iter().any(|it| other.contains(it))
    };
    if !meet(&one.groups, &other.groups) || !meet(&one.clients, &other.clients) {
        return;
    }
    let both: Vec<FactorKind> = match (one.factors.is_empty(), other.factors.is_empty()) {
        (true, _) => other.factors.clone(),
        (_, true) => one.factors.clone(),
        _ => one.factors.iter().copied().filter(|it| other.factors.contains(it)).collect(),
    };
    let none_left = both.is_empty() && !(one.factors.is_empty() && other.factors.is_empty());
    if none_left || !reaches(one.level.max(other.level), &both) {
        let message = format!("nobody can meet this and {:?} together", one.name);
        let hint = "all rules that match hold: let both name a factor, or other groups";
        reader.hinted(ProblemCode::Conflict, at, message, hint);
    }
}

/// Reads groups, at least one.
pub(super) fn read_groups(reader: &mut Reader<'_>, field: &Field<'_>) -> Option<Vec<String>> {
    names(reader, field, group)
}

fn names(
    reader: &mut Reader<'_>,
    field: &Field<'_>,
    read: fn(&mut Reader<'_>, &Field<'_>) -> Option<String>,
) -> Option<Vec<String>> {
    // INVARIANT: an empty list is refused, for it would hold for everybody.
    let mut names = reader.some(field, read)?;
    if names.len() > NAMES {
        reader.problem(ProblemCode::Value, &field.at, format!("more than {NAMES} names"));
    }
    names.sort();
    names.dedup();
    Some(names)
}

fn group(reader: &mut Reader<'_>, field: &Field<'_>) -> Option<String> {
    let text = reader.text(field)?;
    if is_name(&text) {
        return Some(text);
    }
    let hint = "1 to 64 of A-Z, a-z, 0-9, '-', '_', '.'";
    reader.hinted(ProblemCode::Value, &field.at, format!("{text:?} is not a group"), hint);
    None
}

fn client(reader: &mut Reader<'_>, field: &Field<'_>) -> Option<String> {
    let text = reader.text(field)?;
    if (1..=CLIENT_CHARS).contains(&text.len()) && text.bytes().all(|c| c.is_ascii_graphic()) {
        return Some(text);
    }
    let hint = "the client_id: the name of a [[client]], or what `client list` shows";
    reader.hinted(ProblemCode::Value, &field.at, format!("{text:?} is not a client"), hint);
    None
}

fn read_age(reader: &mut Reader<'_>, field: &Field<'_>) -> Option<Duration> {
    let age = reader.duration(field, YOUNGEST, OLDEST)?;
    if age.subsec_nanos() != 0 {
        // OpenID Connect Core §3.1.2.1: whole seconds.
        reader.problem(ProblemCode::Value, &field.at, "must be whole seconds");
        return None;
    }
    Some(age)
}
