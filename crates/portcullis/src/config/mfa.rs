//! `mfa`: how, and how lately, the person behind a token must have signed in (RFC 9470).
//!
//! Invariant: an `mfa` that nobody could ever meet is refused, for it would close a route without saying so.

use super::Config;
use super::issuer::Issuer;
use super::problem::ProblemCode;
use super::reader::{At, Field, Reader};
use super::route::Route;
use super::rule::{Access, Rule, SELF};
use access::mfa::{self, ACR_BYTES, OWN_LEVELS};
use std::time::Duration;

/// The least `max_age`: whoever has just signed in needs this long to come back with the token.
const YOUNGEST: Duration = Duration::from_secs(10);
/// The most: beyond a year or so the rule says nothing any more.
const OLDEST: Duration = Duration::from_secs(400 * 24 * 3600);
/// Words in the order of one issuer.
const WORDS: usize = 16;

/// What is asked of the person's sign-in; at least one of the two.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mfa {
    /// `acr`: how strong it was.
    pub acr: Option<String>,
    /// `max_age`: how long ago at most.
    pub max_age: Option<Duration>,
}

/// Reads `mfa`, of a route or of a `jwt`.
pub(super) fn read_mfa(reader: &mut Reader<'_>, field: &Field<'_>) -> Option<Mfa> {
    let mut table = reader.table(field)?;
    let acr = table.field("acr");
    let max_age = table.field("max_age");
    table.finish(reader);
    if acr.is_none() && max_age.is_none() {
        let message = "nothing is asked for, which every sign-in meets";
        let hint = "write acr = \"aal2\", max_age = \"15m\", or both";
        reader.hinted(ProblemCode::FailOpen, &field.at, message, hint);
        return None;
    }
    let word = acr.as_ref().map(|field| read_acr(reader, field));
    let age = max_age.as_ref().map(|field| reader.duration(field, YOUNGEST, OLDEST));
    if let (Some(field), Some(Some(age))) = (&max_age, age)
        && age.subsec_nanos() != 0
    {
        // RFC 9470 §3, OpenID Connect Core §3.1.2.1: whole seconds.
        reader.problem(ProblemCode::Value, &field.at, "must be whole seconds");
        return None;
    }
    // INVARIANT: a rule that lost a part is not a rule; it could only be weaker.
    Some(Mfa { acr: transposed(word)?, max_age: transposed(age)? })
}

fn transposed<T>(read: Option<Option<T>>) -> Option<Option<T>> {
    match read {
        None => Some(None),
        Some(value) => value.map(Some),
    }
}

/// Reads `acr` of an issuer: its words, the lowest first.
pub(super) fn read_order(reader: &mut Reader<'_>, field: &Field<'_>) -> Option<Vec<String>> {
    let words = reader.some(field, read_acr)?;
    if words.len() > WORDS {
        reader.problem(ProblemCode::Value, &field.at, format!("more than {WORDS} words"));
        return None;
    }
    for (at, word) in words.iter().enumerate() {
        if words.iter().take(at).any(|it| it == word) {
            let message = format!("{word:?} stands twice: a word has one place in the order");
            reader.problem(ProblemCode::Duplicate, &field.at, message);
            return None;
        }
    }
    Some(words)
}

/// One word of `acr`. RFC 9470 §3: words stand in a challenge, separated by spaces.
fn read_acr(reader: &mut Reader<'_>, field: &Field<'_>) -> Option<String> {
    let text = reader.text(field)?;
    let sound = |c: char| c.is_ascii_graphic() && !matches!(c, '"' | '\\');
    if text.len() > ACR_BYTES || !text.chars().all(sound) {
        let message = "not a word that can stand in `acr_values`";
        reader.problem(ProblemCode::Value, &field.at, message);
        return None;
    }
    Some(text)
}

/// Looks whether anybody can meet the `mfa` of a route.
pub(super) fn lint(reader: &mut Reader<'_>, config: &Config, route: &Route, at: &At) {
    let rule = match (&route.access, &route.mfa) {
        (Access::Public, None) => return,
        (Access::Public, Some(_)) => {
            let message = "a public route asks nobody who they are, so nobody can meet its `mfa`";
            let hint = "write [route.access] with a jwt of the people's issuer, or leave `mfa` out";
            reader.hinted(ProblemCode::Conflict, at, message, hint);
            return;
        }
        (Access::Rule(rule), _) => rule,
    };
    words(reader, config, (route, rule), at);
    if let Some(asked) = &route.mfa
        && !reachable(config, rule, asked)
    {
        let message = "no credential that the route takes can meet its `mfa`";
        let hint = "API keys prove no sign-in: add a jwt alternative, or write the mfa in the jwt \
                    beside which a key is needed";
        reader.hinted(ProblemCode::Conflict, at, message, hint);
    }
}

/// Each word is one of the issuer that it is asked of, where its words are known.
fn words(reader: &mut Reader<'_>, config: &Config, (route, rule): (&Route, &Rule), at: &At) {
    for leaf in rule.leaves() {
        let (issuer, own) = match leaf {
            Rule::Jwt(jwt) => (jwt.issuer.as_str(), &jwt.mfa),
            // Who signs in to a browser does so at our own authority.
            Rule::Session(session) => (SELF, &session.mfa),
            _ => continue,
        };
        let asked = [route.mfa.as_ref(), own.as_ref()];
        for word in asked.into_iter().flatten().filter_map(|it| it.acr.as_deref()) {
            let known = known(config, issuer);
            if known.is_empty() || known.contains(&word) {
                continue;
            }
            let message = format!("{word:?} is no `acr` of issuer {issuer:?}");
            let hint = format!("one of {}, the lowest first", known.join(", "));
            reader.hinted(ProblemCode::Reference, at, message, hint);
        }
    }
}

/// The words of an issuer; empty where they are not known.
fn known<'c>(config: &'c Config, issuer: &str) -> Vec<&'c str> {
    if issuer == SELF {
        return OWN_LEVELS.iter().copied().flatten().copied().collect();
    }
    let found = config.issuers.iter().find(|it| it.name == issuer);
    found.map(|it| it.acr.iter().map(String::as_str).collect()).unwrap_or_default()
}

/// Whether a credential that meets `rule` can meet `asked` as well.
fn reachable(config: &Config, rule: &Rule, asked: &Mfa) -> bool {
    match rule {
        Rule::Any(rules) => rules.iter().any(|rule| reachable(config, rule, asked)),
        Rule::All(rules) => rules.iter().all(|rule| reachable(config, rule, asked)),
        Rule::ApiKey(_) => false,
        Rule::Jwt(jwt) => possible(config, (&jwt.issuer, jwt.mfa.as_ref()), asked),
        Rule::Session(session) => possible(config, (SELF, session.mfa.as_ref()), asked),
    }
}

/// Whether somebody of `issuer` can meet their alternative's own `mfa` and `asked` together.
fn possible(config: &Config, (issuer, own): (&str, Option<&Mfa>), asked: &Mfa) -> bool {
    let of = |mfa: &Mfa| compile(mfa, Some(issuer), &config.issuers);
    let both = match own {
        Some(own) => of(own).and(&of(asked)),
        None => of(asked),
    };
    !both.acr.is_some_and(|acr| acr.is_unreachable())
}

/// What is asked of tokens of `issuer`; `None`: of credentials that have none.
pub(crate) fn compile(mfa: &Mfa, issuer: Option<&str>, issuers: &[Issuer]) -> mfa::Mfa {
    let of = |word: &str| {
        let known = match issuer {
            Some(SELF) | None => mfa::Acr::own(word),
            Some(name) => {
                let issuer = issuers.iter().find(|it| it.name == name);
                issuer.and_then(|it| mfa::Acr::ordered(word, &it.acr))
            }
        };
        known.unwrap_or_else(|| mfa::Acr::exact(word))
    };
    mfa::Mfa { acr: mfa.acr.as_deref().map(of), max_age: mfa.max_age }
}
