//! Step-up: how, and how lately, the person behind a token signed in (RFC 9470).
//!
//! Owns the words of `acr` and their order. Never does: look at anything but the credential and the time.
//!
//! INVARIANT: what is not known does not count: no `auth_time`, no `acr`, or one that is not a word of the rule, is not
//! met. Only tokens of people can meet a rule: an API key proves no sign-in, and neither does a token that a client got
//! for itself.

use crate::credential::Credential;
use base::{Scheme, UnixMs, limits};
use std::sync::Arc;
use std::time::Duration;

#[cfg(test)]
mod tests;

/// Bytes of an `acr` that are kept of a token; a longer one is no word of any rule.
pub const ACR_BYTES: usize = 128;

/// The words of our own authority, the lowest first; words of one row mean the same.
///
/// WHY: NIST SP 800-63B-4 §2 orders its three levels, and asks of AAL3 that it cannot be phished, with a key that never
/// leaves its hardware. That is `phrh` of OpenID Connect EAP ACR Values 1.0 §2; `phr` does not ask for the hardware, so it
/// stands below it, and above `aal2`, which may be phished (ADR 11).
pub const OWN_LEVELS: [&[&str]; 4] = [&["aal1"], &["aal2"], &["phr"], &["aal3", "phrh"]];

/// What a route asks about the person's sign-in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mfa {
    /// How strong it was.
    pub acr: Option<Acr>,
    /// How long ago it was at most.
    pub max_age: Option<Duration>,
}

/// A word of `acr`, and what meets it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acr {
    asked: Arc<str>,
    accepted: Arc<[Box<str>]>,
}

/// What a challenge asks for (RFC 9470 §3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// `acr_values`.
    pub acr: Option<Arc<str>>,
    /// `max_age`.
    pub max_age: Option<Duration>,
}

impl Acr {
    /// A word of an issuer whose order is not known: nothing but the word itself meets it.
    pub fn exact(word: &str) -> Self {
        Self { asked: word.into(), accepted: Arc::new([word.into()]) }
    }

    /// A word of our own authority; `None` when it is none of them.
    pub fn own(word: &str) -> Option<Self> {
        let from = OWN_LEVELS.iter().position(|level| level.contains(&word))?;
        let higher = OWN_LEVELS.iter().skip(from).copied().flatten();
        Some(Self { asked: word.into(), accepted: higher.map(|it| Box::from(*it)).collect() })
    }

    /// A word of an issuer whose words are `order`, the lowest first; `None` when it is none of them.
    pub fn ordered(word: &str, order: &[impl AsRef<str>]) -> Option<Self> {
        let from = order.iter().position(|it| it.as_ref() == word)?;
        let higher = order.iter().skip(from);
        Some(Self { asked: word.into(), accepted: higher.map(|it| it.as_ref().into()).collect() })
    }

    /// Whether `word` meets it.
    pub fn is_met_by(&self, word: &str) -> bool {
        self.accepted.iter().any(|it| **it == *word)
    }

    /// Whether nothing meets it.
    pub fn is_unreachable(&self) -> bool {
        self.accepted.is_empty()
    }

    fn and(&self, other: &Self) -> Self {
        let both = self.accepted.iter().filter(|it| other.is_met_by(it));
        let accepted: Arc<[Box<str>]> = both.cloned().collect();
        // What meets the higher word meets the lower one too, so the higher one is asked for.
        let higher = if accepted.len() == other.accepted.len() { other } else { self };
        Self { asked: higher.asked.clone(), accepted }
    }
}

impl Mfa {
    /// What asks for both.
    #[must_use]
    pub fn and(&self, other: &Self) -> Self {
        let acr = match (&self.acr, &other.acr) {
            (Some(one), Some(two)) => Some(one.and(two)),
            (one, two) => one.as_ref().or(two.as_ref()).cloned(),
        };
        let max_age = self.max_age.into_iter().chain(other.max_age).min();
        Self { acr, max_age }
    }

    /// What a challenge says of it.
    pub fn asked(&self) -> Asked {
        Asked { acr: self.acr.as_ref().map(|it| it.asked.clone()), max_age: self.max_age }
    }

    /// Judges `credential`. Gives the last moment at which it is met, if it ends.
    ///
    /// # Errors
    /// What is not met, for the record.
    pub fn judge(&self, credential: &Credential, now: UnixMs) -> Result<Option<UnixMs>, String> {
        let unmet = |what: String| Err(format!("{what}; asked: {}", self.asked()));
        if !matches!(credential.scheme, Scheme::Jwt | Scheme::Opaque | Scheme::Session) {
            return unmet("no sign-in stands behind a credential of this kind".to_owned());
        }
        // RFC 9068 §2.2: the subject of a token that a client got for itself is the client.
        if credential.subject.is_empty()
            || credential.client_id.as_deref() == Some(&*credential.subject)
        {
            return unmet("the token speaks for no person".to_owned());
        }
        // WHY: asked for even where only `acr` is: some issuers write a level into what clients get for themselves.
        let Some(at) = credential.authenticated_at else {
            return unmet("auth_time is missing".to_owned());
        };
        if at > now.plus(limits::CLOCK_SKEW) {
            return unmet("auth_time lies in the future".to_owned());
        }
        let held = credential.acr.as_deref();
        let seen = || format!("acr {}, {} s ago", held.unwrap_or("none"), now.since(at).as_secs());
        if let Some(acr) = &self.acr
            && !held.is_some_and(|held| acr.is_met_by(held))
        {
            return unmet(seen());
        }
        let Some(max_age) = self.max_age else { return Ok(None) };
        // OpenID Connect Core §3.1.2.1: more seconds than max_age have passed. Nothing is forgiven on this side: a clock
        // that is late costs the person one more prompt, and not the rule its meaning.
        let last = at.plus(max_age);
        if now > last { unmet(seen()) } else { Ok(Some(last)) }
    }
}

impl std::fmt::Display for Asked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (&self.acr, self.max_age) {
            (Some(acr), Some(age)) => write!(f, "acr {acr}, at most {} s ago", age.as_secs()),
            (Some(acr), None) => write!(f, "acr {acr}"),
            (None, Some(age)) => write!(f, "at most {} s ago", age.as_secs()),
            (None, None) => f.write_str("a person"),
        }
    }
}
