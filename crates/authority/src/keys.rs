//! API keys: create, list, show, revoke.

use crate::actor::Actor;
use crate::authority::{Authority, Done};
use crate::error::Error;
use crate::ports::Page;
use crate::records::{KeyFilter, KeyId, KeyRecord};
use crate::text;
use base::{IdError, Secret, UnixMs, code};
use protocol::apikey::{ApiKey, ENVIRONMENT_CHARS};
use std::time::Duration;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// How long a key lives unless said otherwise.
pub const KEY_DEFAULT: Duration = DAY.saturating_mul(90);
/// The longest that a key may live: ten years. What should outlive that should be rotated.
pub const KEY_LONGEST: Duration = DAY.saturating_mul(3650);
/// The shortest that makes sense.
const KEY_SHORTEST: Duration = Duration::from_secs(1);

/// What a new key shall be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreateKey {
    /// What people call it: 1 to 100 characters, not necessarily unique.
    pub name: String,
    /// The environment's word in the key's text: 1 to 16 lower-case letters or digits.
    pub env: String,
    /// What it may ask for; each by RFC 6749 §3.3, at most 100.
    pub scopes: Vec<String>,
    /// How long it lives, 1 s to ten years; `None`: [`KEY_DEFAULT`].
    pub expires: Option<Duration>,
}

/// A new key. The text is shown now and never again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreatedKey {
    /// The public part.
    pub id: KeyId,
    /// The whole text.
    pub key: Secret<String>,
    /// As they are kept: sorted, without repeats.
    pub scopes: Vec<String>,
    /// When it ends.
    pub expires_at: Option<UnixMs>,
    /// The sequence number of the change.
    pub seq: i64,
}

impl Authority {
    /// Makes a key.
    ///
    /// # Errors
    /// [`Error::Invalid`] when an input breaks its rule (recorded as `act.refused`); else as the store says.
    pub async fn create_key(&self, actor: &Actor, ask: CreateKey) -> Result<CreatedKey, Error> {
        match self.draft(actor, &ask) {
            Ok((record, key)) => self.keep(actor, record, key).await,
            Err(refusal) => self.refused(actor, code::KEY_CREATED, None, refusal).await,
        }
    }

    fn draft(&self, actor: &Actor, ask: &CreateKey) -> Result<(KeyRecord, Secret<String>), Error> {
        let lifetime = ask.expires.unwrap_or(KEY_DEFAULT);
        if !(KEY_SHORTEST..=KEY_LONGEST).contains(&lifetime) {
            return Err(Error::invalid("expires", "must lie between 1 second and 3650 days"));
        }
        let name = text::line("name", &ask.name, text::NAME_CHARS)?;
        let scopes = text::scopes(&ask.scopes)?;
        let key = draw(&ask.env)?;
        let now = self.clock.now();
        let record = KeyRecord {
            id: key.id().parse()?,
            env: key.environment().to_owned(),
            name,
            mac: self.pepper.mac(key.to_text().expose().as_bytes()),
            scopes,
            routes: None,
            created_at: now,
            expires_at: Some(now.plus(lifetime)),
            revoked_at: None,
            revoked_reason: None,
            created_by: actor.principal.to_string(),
            owner: None,
        };
        Ok((record, key.to_text()))
    }

    async fn keep(
        &self,
        actor: &Actor,
        record: KeyRecord,
        key: Secret<String>,
    ) -> Result<CreatedKey, Error> {
        let detail = format!("name {:?}, scopes {:?}", record.name, record.scopes.join(" "));
        let event = self.event(actor, code::KEY_CREATED, Some(record.id.as_str()), &detail)?;
        let (id, scopes, expires_at) = (record.id, record.scopes.clone(), record.expires_at);
        let seq = self.registry.create_key(record, event).await?;
        Ok(CreatedKey { id, key, scopes, expires_at, seq })
    }

    /// One key.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is none.
    pub async fn key(&self, id: KeyId) -> Result<KeyRecord, Error> {
        self.registry.key(id).await?.ok_or_else(|| missing(id))
    }

    /// Keys by id.
    ///
    /// # Errors
    /// As the store says.
    pub async fn keys(&self, filter: KeyFilter, page: Page) -> Result<Vec<KeyRecord>, Error> {
        Ok(self.registry.keys(filter, page).await?)
    }

    /// Revokes a key for good. One that is revoked already stays so, with its first time and reason, and the
    /// gate is told again.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is none, [`Error::Invalid`] when the reason breaks its rule (both
    /// recorded as `act.refused`).
    pub async fn revoke_key(
        &self,
        actor: &Actor,
        id: KeyId,
        reason: Option<&str>,
    ) -> Result<Done<KeyRecord>, Error> {
        let refusal = match text::optional_line("reason", reason, text::NOTE_CHARS) {
            Err(refusal) => refusal,
            Ok(reason) => {
                let said = reason.as_deref().unwrap_or_default();
                let event = self.event(actor, code::KEY_REVOKED_ACT, Some(id.as_str()), said)?;
                match self.registry.revoke_key(id, self.clock.now(), reason, event).await? {
                    Some(done) => return Ok(done.into()),
                    None => missing(id),
                }
            }
        };
        self.refused(actor, code::KEY_REVOKED_ACT, Some(id.as_str()), refusal).await
    }
}

pub(crate) fn draw(env: &str) -> Result<ApiKey, Error> {
    ApiKey::generate(env).map_err(|error| match error {
        IdError::NoRandomness => Error::Randomness(error),
        IdError::Malformed => Error::invalid(
            "env",
            format!("must be 1 to {ENVIRONMENT_CHARS} lower-case letters or digits"),
        ),
    })
}

fn missing(id: KeyId) -> Error {
    Error::NotFound { what: "key", id: id.to_string() }
}
