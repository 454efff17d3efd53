//! API keys that belong to people: which they have, making one, ending one, and what becomes of them when the account or
//! its groups change.
//!
//! Never does: let a key stand for its person. A key is a principal of its own, has no level and satisfies no `mfa`.
//!
//! Invariants:
//! - A key never holds a scope that its owner's groups do not give: that is judged when it is made, and again in each
//!   transaction that changes the account or a group. What is lost does not come back.
//! - A key is made on a fresh proof of two factors, in a session that still lives when it is kept.
//! - It is shown once, its person is told by mail, and it ends with the account.

use super::methods::{FRESH, MethodRefused};
use super::records::{GroupRecord, UserRecord};
use super::sessions::{SessionText, Standing};
use super::{OAuth, Origin};
use crate::error::{Error, PortError};
use crate::keys::{KEY_DEFAULT, draw};
use crate::mail::{OwnKeyMade, Seen};
use crate::people::Level;
use crate::people::policy::Missing;
use crate::records::{KeyId, KeyRecord};
use crate::text;
use base::{Event, EventId, Secret, UnixMs, code};
use std::sync::Arc;
use std::time::Duration;

/// Keys of one person that live at the same time: a few programs on a few machines.
pub const OWN_KEYS_MOST: usize = 20;
/// Keys that one person may make within [`OWN_KEYS_WINDOW`]: a row stays of each, however soon it is ended.
pub const OWN_KEYS_MADE_MOST: usize = 50;
/// The time in which those are counted.
pub const OWN_KEYS_WINDOW: Duration = DAY;
/// The longest that a person's own key may live: 90 days, as [`KEY_DEFAULT`]. An administrator may make longer ones.
pub const OWN_KEY_LONGEST: Duration = DAY.saturating_mul(365);
/// The shortest: a day.
const OWN_KEY_SHORTEST: Duration = DAY;
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// The environment's word in the texts of people's keys.
const ENV: &str = "live";
/// Characters of a key's name.
const NAME_CHARS: usize = 60;

/// What a person's new key shall be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AskOwnKey {
    /// What the person calls it: 1 to 60 characters.
    pub name: String,
    /// At least one of those that the person may give.
    pub scopes: Vec<String>,
    /// How many days it lives, as it was typed: 1 to 365; empty: 90.
    pub days: String,
}

/// A person's new key. The text is shown now and never again.
#[derive(Debug, Clone)]
pub struct MadeOwnKey {
    /// What is kept.
    pub record: KeyRecord,
    /// The whole text.
    pub key: Secret<String>,
}

/// A person's keys, and what a new one may hold.
#[derive(Debug, Clone)]
pub struct OwnKeys {
    /// The person.
    pub user: UserRecord,
    /// Those that live, the latest first.
    pub keys: Vec<KeyRecord>,
    /// The scopes that the person's groups give, with their words.
    pub scopes: Vec<super::ScopeView>,
    /// Whether a second factor is to be added before a key can be made.
    pub must_add: bool,
}

/// A key that is to be kept for its owner.
#[derive(Debug, Clone)]
pub struct NewOwnKey {
    /// The key; its owner is named in it.
    pub key: KeyRecord,
    /// The owner as the caller has judged them.
    pub owner: UserRecord,
    /// The session in which it is made.
    pub session: String,
}

/// What became of a key that was to be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeptOwnKey {
    /// It is kept; the sequence number of the change.
    Now(i64),
    /// The account, its groups or the session have changed meanwhile; nothing is kept.
    Changed,
    /// The person has as many as they may have, or has made as many of late as they may; nothing is kept.
    TooMany,
}

/// What is to become of a person's key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// It stays as it is.
    Stays,
    /// It keeps these scopes only.
    Narrower(Vec<String>),
    /// It ends, and why.
    Ends(&'static str),
}

/// The scopes that members of these groups may put on a key of their own, sorted. WHY no scope that is open to all: who
/// asks for that with a token is held by what the client may ask, and a key has no client.
pub fn given_scopes(roles: &[String], groups: &[GroupRecord]) -> Vec<String> {
    let own = groups.iter().filter(|it| roles.contains(&it.name));
    let mut scopes: Vec<String> = own.flat_map(|it| it.scopes.iter().cloned()).collect();
    scopes.sort_unstable();
    scopes.dedup();
    scopes
}

/// What is to become of `key` once its owner is `owner` and these are the groups. `ended`: whether all that was issued
/// for the owner ends.
pub fn fate(key: &KeyRecord, owner: &UserRecord, ended: bool, groups: &[GroupRecord]) -> Fate {
    if owner.disabled_at.is_some() {
        return Fate::Ends("its owner's account is closed");
    }
    if ended {
        return Fate::Ends("all that was issued for its owner was ended");
    }
    let given = given_scopes(&owner.roles, groups);
    let left: Vec<String> = key.scopes.iter().filter(|it| given.contains(it)).cloned().collect();
    match left.len() {
        same if same == key.scopes.len() => Fate::Stays,
        // WHY not a key without scopes: a route that asks for none would let it pass.
        0 => Fate::Ends("its owner's groups give none of its scopes any more"),
        _ => Fate::Narrower(left),
    }
}

/// The event that tells of a key's fate, beside the event of the change that brought it; `None` where it stays.
///
/// # Errors
/// When the system has no randomness to give.
pub fn fate_event(cause: &Event, key: &KeyRecord, fate: &Fate) -> Result<Option<Event>, PortError> {
    let (code, detail) = match fate {
        Fate::Stays => return Ok(None),
        Fate::Narrower(scopes) => (code::KEY_NARROWED, format!("scopes {:?}", scopes.join(" "))),
        Fate::Ends(why) => (code::KEY_REVOKED_ACT, (*why).to_owned()),
    };
    let id = EventId::random().map_err(|it| PortError::Unavailable(it.to_string()))?;
    Ok(Some(Event {
        id,
        code,
        credential_id: Some(Arc::from(key.id.as_str())),
        detail: Some(detail.into()),
        ..cause.clone()
    }))
}

type Answered<T> = Result<Result<T, MethodRefused>, Error>;

impl OAuth {
    /// What a person has, for their own page; `None` when nobody is signed in, or not enough.
    ///
    /// # Errors
    /// As the store says.
    pub async fn own_keys(&self, session: Option<&SessionText>) -> Result<Option<OwnKeys>, Error> {
        let Some(standing) = self.standing(session).await? else { return Ok(None) };
        if !self.baseline(&standing).is_met(&standing.current.session.proofs) {
            return Ok(None);
        }
        let must_add = !standing.owned.iter().any(|it| it.kind().is_second());
        let user = standing.current.user;
        let groups = self.parts.store.groups().await?;
        let given = given_scopes(&user.roles, &groups);
        let mut keys = self.parts.store.own_keys(user.id.clone(), self.parts.clock.now()).await?;
        keys.sort_by_key(|it| std::cmp::Reverse(it.created_at));
        Ok(Some(OwnKeys { scopes: self.scope_views(&given).await?, user, keys, must_add }))
    }

    /// The session, if it proves two factors freshly enough to make a key.
    ///
    /// # Errors
    /// As the store says.
    pub async fn may_make_keys(&self, session: Option<&SessionText>) -> Answered<Standing> {
        let Some(standing) = self.standing(session).await? else {
            return Ok(Err(MethodRefused::NotSignedIn));
        };
        let now = self.parts.clock.now();
        let mut need = self.baseline(&standing);
        need.level = need.level.max(Level::Aal2);
        need.not_before(now.minus(FRESH));
        Ok(match standing.missing(&need, now) {
            Missing::Nothing => Ok(standing),
            Missing::Proof(offers) => Err(MethodRefused::Prove(offers)),
            Missing::Enrolment => Err(MethodRefused::Enrol),
            Missing::Unreachable => Err(MethodRefused::Unreachable),
        })
    }

    /// Makes a key for the person who is signed in.
    ///
    /// # Errors
    /// As the store says.
    pub async fn make_own_key(
        &self,
        session: Option<&SessionText>,
        ask: &AskOwnKey,
        origin: &Origin,
    ) -> Answered<MadeOwnKey> {
        let standing = match self.may_make_keys(session).await? {
            Ok(standing) => standing,
            Err(refused) => return Ok(Err(refused)),
        };
        let user = standing.current.user;
        let groups = self.parts.store.groups().await?;
        let (record, key) = match self.draft_own_key(&user, ask, &groups) {
            Ok(drafted) => drafted,
            Err(Error::Invalid { field, problem }) => {
                return Ok(Err(MethodRefused::Invalid(field, problem)));
            }
            Err(error) => return Err(error),
        };
        let mut event = self.own_key_event(&user, &record, origin, code::KEY_CREATED)?;
        let scopes = record.scopes.join(" ");
        event.detail = Some(format!("name {:?}, scopes {scopes:?}", record.name).into());
        let new = NewOwnKey {
            key: record.clone(),
            owner: user.clone(),
            session: standing.current.session.id,
        };
        match self.parts.store.create_own_key(new, event).await? {
            KeptOwnKey::Now(_) => {}
            KeptOwnKey::Changed => return Ok(Err(MethodRefused::Gone)),
            KeptOwnKey::TooMany => return Ok(Err(MethodRefused::TooMany)),
        }
        let at = self.parts.clock.now();
        let seen = Seen { at, address: origin.client_ip, user_agent: &origin.user_agent };
        let letter = OwnKeyMade { name: &record.name, scopes: &record.scopes, seen };
        self.tell(&user, |sender, to| letter.to(sender, to)).await;
        Ok(Ok(MadeOwnKey { record, key }))
    }

    fn draft_own_key(
        &self,
        user: &UserRecord,
        ask: &AskOwnKey,
        groups: &[GroupRecord],
    ) -> Result<(KeyRecord, Secret<String>), Error> {
        let name = text::line("name", ask.name.trim(), NAME_CHARS)?;
        let scopes = text::scopes(&ask.scopes)?;
        let given = given_scopes(&user.roles, groups);
        if scopes.is_empty() {
            return Err(Error::invalid("scope", "choose at least one"));
        }
        if scopes.iter().any(|it| !given.contains(it)) {
            return Err(Error::invalid("scope", "your groups do not give all of these"));
        }
        let lifetime = lifetime(&ask.days)?;
        let key = draw(ENV)?;
        let now = self.parts.clock.now();
        let record = KeyRecord {
            id: key.id().parse()?,
            env: key.environment().to_owned(),
            name,
            mac: self.parts.pepper.mac(key.to_text().expose().as_bytes()),
            scopes,
            routes: None,
            created_at: now,
            expires_at: Some(now.plus(lifetime)),
            revoked_at: None,
            revoked_reason: None,
            created_by: user.id.clone(),
            owner: Some(user.id.clone()),
        };
        Ok((record, key.to_text()))
    }

    fn own_key_event(
        &self,
        user: &UserRecord,
        key: &KeyRecord,
        origin: &Origin,
        code: base::Code,
    ) -> Result<Event, Error> {
        let mut event = self.event(origin, code)?;
        event.principal = Some(Arc::from(user.id.as_str()));
        event.credential_id = Some(Arc::from(key.id.as_str()));
        Ok(event)
    }

    /// Ends one of the person's keys; whether it was theirs and lived. `None`: nobody is signed in.
    ///
    /// # Errors
    /// As the store says.
    pub async fn end_own_key(
        &self,
        session: Option<&SessionText>,
        id: &str,
        origin: &Origin,
    ) -> Result<Option<bool>, Error> {
        let Some(current) = self.current(session).await? else { return Ok(None) };
        let (user, now) = (current.user, self.parts.clock.now());
        let mut keys = self.parts.store.own_keys(user.id.clone(), now).await?.into_iter();
        let Some(key) = keys.find(|it| it.id.as_str() == id) else { return Ok(Some(false)) };
        let mut event = self.own_key_event(&user, &key, origin, code::KEY_REVOKED_ACT)?;
        event.detail = Some(ENDED_BY_OWNER.into());
        Ok(Some(self.parts.store.end_own_key((user.id, key.id), now, event).await?.is_some()))
    }
}

/// Why a key ended that its owner has ended.
pub const ENDED_BY_OWNER: &str = "ended by its owner";

fn lifetime(days: &str) -> Result<Duration, Error> {
    let typed = days.trim();
    if typed.is_empty() {
        return Ok(KEY_DEFAULT);
    }
    let days = typed.parse::<u32>().ok().and_then(|it| DAY.checked_mul(it));
    days.filter(|it| (OWN_KEY_SHORTEST..=OWN_KEY_LONGEST).contains(it))
        .ok_or_else(|| Error::invalid("days", "must be a number from 1 to 365"))
}

/// Keeps people's own keys.
pub trait OwnKeyStore: Send + Sync {
    /// Keeps a key of a person, if the account still is as the caller has judged it, the session lives, the groups give
    /// all scopes of the key, and the person has fewer than [`OWN_KEYS_MOST`] that live and has made fewer than
    /// [`OWN_KEYS_MADE_MOST`] of late. INVARIANT: no change of the account or of a group comes in between.
    fn create_own_key(&self, new: NewOwnKey, event: Event) -> crate::Answer<'_, KeptOwnKey>;
    /// A person's keys that live at `now`, by id.
    fn own_keys(&self, owner: String, now: UnixMs) -> crate::Answer<'_, Vec<KeyRecord>>;
    /// Ends a person's key that lives; `None` when there is none (then nothing is written).
    fn end_own_key(
        &self,
        key: (String, KeyId),
        now: UnixMs,
        event: Event,
    ) -> crate::Answer<'_, Option<i64>>;
}

#[cfg(test)]
mod tests;
