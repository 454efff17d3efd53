//! What happened to a person's account of late, for the person to look at.
//!
//! Owns: what of an event is kept for that, and for how long. The ledger is the record; this is a short copy of a part of
//! it, written in the same transaction as the event, and nobody judges by it.
//!
//! Invariants:
//! - It is bounded: [`NEWS_MOST`] of each class and person, for [`NEWS_KEPT`]. What comes and goes often never pushes out
//!   what changes an account.
//! - Of an address it holds the network, and of a browser its name for itself, cut.

use super::browsers::AGENT_CHARS;
use super::sessions::SessionText;
use super::{OAuth, Origin};
use crate::error::Error;
use crate::people::AuthenticatorRecord;
use crate::people::records::place;
use crate::ports::Answer;
use base::{Code, Event, Outcome, UnixMs, code};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// How long it is kept (personal data).
pub const NEWS_KEPT: Duration = Duration::from_secs(90 * 24 * 60 * 60);
/// How many of each class are kept of one person: more than twice as many as the keys that may be made and ended in a day.
pub const NEWS_MOST: u32 = 250;
/// How many of each class are shown. WHY of each: a hundred sign-ins hide no change.
pub const NEWS_SHOWN: usize = 25;
/// Characters of a detail that are kept.
const DETAIL_CHARS: usize = 200;

/// How often such a thing happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NewsClass {
    /// Sign-ins, sessions that ended, what applications were given, addresses that were let in.
    Often = 0,
    /// Changes of the account, its ways of signing in and its keys.
    Seldom = 1,
}

/// Something that happened to an account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewsRecord {
    /// When.
    pub at: UnixMs,
    /// The event's code.
    pub code: String,
    /// What the event says beyond that, cut.
    pub detail: Option<String>,
    /// The session, key or authenticator in question.
    pub about: Option<String>,
    /// The client in question.
    pub client: Option<String>,
    /// Whether an administrator or a directory did it.
    pub by_other: bool,
    /// Whether it was done because something was misused.
    pub refused: bool,
    /// The network that it came from: an IPv4 /24 or an IPv6 /48.
    pub network: Option<String>,
    /// The browser as it called itself, where it was noted.
    pub user_agent: Option<String>,
}

impl NewsRecord {
    /// What is kept of an event; `None` for what is no news.
    pub fn of(event: &Event, user_agent: Option<&str>) -> Option<Self> {
        let detail = event.detail.as_deref();
        let quiet = QUIET.iter().any(|(code, said)| event.code == *code && detail == Some(said));
        let cut = |text: &str, most: usize| text.chars().take(most).collect::<String>();
        (!quiet).then(|| Self {
            at: event.time,
            code: event.code.as_str().to_owned(),
            detail: detail.map(|it| cut(it, DETAIL_CHARS)),
            about: event.credential_id.as_deref().map(str::to_owned),
            client: event.client_id.as_deref().map(str::to_owned),
            by_other: event.scheme.is_some(),
            refused: event.outcome == Outcome::Deny,
            network: event.client_ip.map(place),
            user_agent: user_agent.map(|it| cut(it, AGENT_CHARS)),
        })
    }

    /// How often such a thing happens.
    pub fn class(&self) -> NewsClass {
        let often =
            [code::LOGIN, code::LOGOUT, code::GRANT_GIVEN, code::GRANT_REVOKED, code::IP_ALLOWED];
        match often.iter().any(|it| it.as_str() == self.code) {
            true => NewsClass::Often,
            false => NewsClass::Seldom,
        }
    }
}

/// The detail of the end of a session that goes on under another text.
pub(super) const REPLACED: &str = "replaced by a new sign-in in the same browser";
/// The detail of a change that nobody sees: the same password, kept otherwise.
pub(super) const REHASHED: &str = "the password was hashed anew";
/// What is recorded and no news.
const QUIET: [(Code, &str); 2] = [(code::LOGOUT, REPLACED), (code::USER_CHANGED, REHASHED)];

/// What a person sees of what happened to their account.
#[derive(Debug, Clone)]
pub struct OwnNews {
    /// The address that the person signs in with.
    pub email: String,
    /// What happened, the latest first; at most [`NEWS_SHOWN`] of each class.
    pub news: Vec<NewsRecord>,
    /// The person's authenticators: their names, and the failures that they have seen.
    pub authenticators: Vec<AuthenticatorRecord>,
    /// The names of clients that the news speak of, where they are known.
    pub clients: std::collections::BTreeMap<String, String>,
}

/// Keeps what happened to accounts. It is written by the intentions that it tells of.
pub trait NewsStore: Send + Sync {
    /// What happened to an account after `since`, the latest first, at most `rows`.
    fn news(&self, user: String, since: UnixMs, rows: u32) -> Answer<'_, Vec<NewsRecord>>;
}

impl OAuth {
    /// What happened to the account of who is signed in; `None` when nobody is, or not enough.
    ///
    /// # Errors
    /// As the store says.
    pub async fn own_news(
        &self,
        session: Option<&SessionText>,
        origin: &Origin,
    ) -> Result<Option<OwnNews>, Error> {
        let Some(standing) = self.standing(session).await? else { return Ok(None) };
        if !self.baseline(&standing).is_met(&standing.current.session.proofs) {
            return Ok(None);
        }
        let since = self.parts.clock.now().minus(NEWS_KEPT);
        let user = standing.current.user;
        let rows = NEWS_MOST.saturating_mul(2);
        let mut news = self.parts.store.news(user.id, since, rows).await?;
        steps_of_one_sign_in(&mut news);
        let mut shown = [0, 0];
        news.retain(|it| {
            let [often, seldom] = &mut shown;
            let count = if it.class() == NewsClass::Often { often } else { seldom };
            *count += 1;
            *count <= NEWS_SHOWN
        });
        let mut clients = std::collections::BTreeMap::new();
        for id in news.iter().filter_map(|it| it.client.as_ref()) {
            if !clients.contains_key(id)
                && let Some(client) = self.client(id, origin).await?
            {
                clients.insert(id.clone(), client.name.clone());
            }
        }
        let mut authenticators = standing.owned;
        authenticators.retain(|it| it.failed.as_ref().is_some_and(|it| it.at >= since));
        Ok(Some(OwnNews { email: user.email, news, authenticators, clients }))
    }
}

/// Each step of a sign-in is an event; people see it once, with all steps. Expects the latest first.
fn steps_of_one_sign_in(news: &mut Vec<NewsRecord>) {
    let mut kept: Vec<NewsRecord> = Vec::with_capacity(news.len());
    for it in news.drain(..) {
        let is_step = |later: &&mut NewsRecord| {
            later.code == it.code
                && it.code == code::LOGIN.as_str()
                && later.about.is_some()
                && later.about == it.about
                && later.at.since(it.at) < STEPS
        };
        match kept.last_mut().filter(is_step) {
            Some(later) => {
                // `password: aal1` before `totp: aal2`.
                let how = |text: &Option<String>| text.clone().unwrap_or_default();
                let before = how(&it.detail);
                let first = before.split_once(": ").map_or(before.as_str(), |(kind, _)| kind);
                later.detail = Some(format!("{first}, {}", how(&later.detail)));
            }
            None => kept.push(it),
        }
    }
    *news = kept;
}

/// How far the steps of one sign-in lie apart at most.
const STEPS: Duration = Duration::from_secs(15 * 60);

#[cfg(test)]
mod tests;
