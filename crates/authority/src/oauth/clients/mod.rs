//! Clients: make, list, show, change, end.
//!
//! Owns: the copy of all clients in memory, which follows the feed; clients that stand in the configuration.
//!
//! Never does: keep a secret, or show one a second time.
//!
//! Invariants:
//! - A client of the file is never changed by an act.
//! - What ends a client ends its tokens in the same transaction. One that is taken out of the file is refused at once, and
//!   its tokens end as soon as the store can be told.

mod grade;
mod kept;
mod rules;
#[cfg(test)]
mod tests;

pub use grade::{Met, Rule, grade};
pub use rules::{
    CLIENT_CREDENTIALS, CODE, DEVICE, EXCHANGE, JWT_BEARER, PERSONAL_SCOPES, REFRESH, auth_method,
};
pub(crate) use rules::{GRANTS, check};

use super::OAuth;
use super::ports::TextPage;
use super::records::{
    ClientRecord, ClientSecret, Origin, Pkce, Profile, RefreshRotation, Revocation, RevocationKind,
    TokenFormat,
};
use super::secrets::Purpose;
use super::settings::ACCESS_TOKEN_LONGEST;
use super::token::GATE_CLIENT;
use crate::actor::Actor;
use crate::authority::Done;
use crate::error::{Error, PortError};
use crate::ports::PAGE_ROWS;
use base::limits::CLOCK_SKEW;
use base::{Secret, UnixMs, base62, code};
use protocol::oauth::metadata::ClientMetadata;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

/// Characters of a client's id that we draw.
const ID_CHARS: usize = 12;
/// How long an old secret goes on unless said otherwise.
pub const SECRET_OVERLAP: Duration = Duration::from_secs(24 * 60 * 60);
/// The longest overlap: a week. What takes longer should have two clients.
pub const SECRET_OVERLAP_LONGEST: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// Secrets that one client may have at once: the new one and the one that it replaces.
const SECRETS: usize = 2;
/// How often a change is tried again that another one came before.
const TRIES: usize = 3;

/// The clients in memory.
#[derive(Debug, Default)]
pub(crate) struct Clients {
    kept: RwLock<kept::Kept>,
    declared: RwLock<BTreeMap<String, Arc<ClientRecord>>>,
    /// Held while rows are read, so that an older reading never replaces a newer one.
    reading: tokio::sync::Mutex<()>,
}

/// What a new client shall be.
#[derive(Debug, Clone, PartialEq)]
pub struct CreateClient {
    /// What people call it: 1 to 100 characters.
    pub name: String,
    /// Which rules hold.
    pub profile: Profile,
    /// PKCE.
    pub pkce: Pkce,
    /// Its access tokens.
    pub token_format: TokenFormat,
    /// Its refresh tokens.
    pub refresh: RefreshRotation,
    /// Seconds that its access tokens live, 10 to 3600.
    pub access_token_seconds: Option<u32>,
    /// The scopes that it may ask for.
    pub scopes: Vec<String>,
    /// The resources that it may ask for.
    pub resources: Vec<String>,
    /// Whether people are asked for consent.
    pub consent: bool,
    /// Redirect URIs, grants, authentication method, keys and the rest.
    pub metadata: ClientMetadata,
}

impl Default for CreateClient {
    fn default() -> Self {
        Self {
            name: String::new(),
            profile: Profile::default(),
            pkce: Pkce::default(),
            token_format: TokenFormat::default(),
            refresh: RefreshRotation::default(),
            access_token_seconds: None,
            scopes: Vec::new(),
            resources: Vec::new(),
            consent: true,
            metadata: ClientMetadata::default(),
        }
    }
}

/// A client that was made, or whose secret was. The secret is shown now and never again.
#[derive(Debug, Clone, PartialEq)]
pub struct CreatedClient {
    /// As it is kept.
    pub client: ClientRecord,
    /// Its secret, where it has one.
    pub secret: Option<Secret<String>>,
    /// The sequence number of the change.
    pub seq: i64,
}

impl OAuth {
    /// Reads all clients.
    pub(crate) async fn load_clients(&self) -> Result<(), Error> {
        let _one = self.clients.reading.lock().await;
        let mut all = kept::Kept::default();
        let mut after = String::new();
        loop {
            let page = TextPage { after: after.clone(), rows: PAGE_ROWS };
            let rows = self.parts.store.clients(page).await?;
            let Some(last) = rows.last() else { break };
            after.clone_from(&last.id);
            rows.iter().for_each(|row| all.put(row));
        }
        *self.clients.kept.write().unwrap_or_else(PoisonError::into_inner) = all;
        Ok(())
    }

    /// Reads one client anew.
    pub(crate) async fn reload_client(&self, id: &str) -> Result<(), Error> {
        let _one = self.clients.reading.lock().await;
        let row = self.parts.store.client(id.to_owned()).await?;
        let mut kept = self.clients.kept.write().unwrap_or_else(PoisonError::into_inner);
        match row {
            Some(row) => kept.put(&row),
            None => kept.remove(id),
        }
        Ok(())
    }

    /// Puts the clients of the configuration file in place of those declared before.
    ///
    /// # Errors
    /// [`Error::Invalid`] for the first that breaks a rule; then nothing changes.
    pub fn declare(&self, clients: Vec<ClientRecord>) -> Result<(), Error> {
        let mut declared = BTreeMap::new();
        for mut client in clients {
            client.origin = Origin::File;
            // The gate's own is not anybody's registration: it may have many hosts, and has no key on purpose.
            if client.id != GATE_CLIENT {
                check(&mut client)?;
            }
            declared.insert(client.id.clone(), Arc::new(client));
        }
        *self.clients.declared.write().unwrap_or_else(PoisonError::into_inner) = declared;
        Ok(())
    }

    /// Ends all that clients have which stood in the file and do not any more, also those that were taken out while no node
    /// ran, and takes note of those that stand there.
    ///
    /// # Errors
    /// As the store says; then it must be called again, and does the rest.
    pub async fn end_vanished_clients(&self) -> Result<(), Error> {
        let mut noted = BTreeSet::new();
        let mut after = String::new();
        loop {
            let page = TextPage { after, rows: PAGE_ROWS };
            let rows = self.parts.store.declared_clients(page).await?;
            let Some(last) = rows.last() else { break };
            after = last.clone();
            noted.extend(rows);
        }
        let stand: BTreeSet<String> =
            self.declared_clients().into_iter().map(|client| client.id.clone()).collect();
        for id in noted.difference(&stand) {
            let actor = Actor::local("file");
            let event =
                self.act(&actor, code::CLIENT_REMOVED, Some(id), "no longer in the file")?;
            let revoke = revocation(id, self.parts.clock.now());
            self.parts.store.remove_declared_client(id.clone(), revoke, event).await?;
        }
        for id in stand.difference(&noted) {
            self.parts.store.put_declared_client(id.clone()).await?;
        }
        Ok(())
    }

    /// The client with this id as this node knows it, disabled or not. One that the file declares goes before one
    /// that is kept.
    pub fn known_client(&self, id: &str) -> Option<Arc<ClientRecord>> {
        let Clients { declared, kept, .. } = &self.clients;
        let declared = declared.read().unwrap_or_else(PoisonError::into_inner).get(id).cloned();
        declared.or_else(|| kept.read().unwrap_or_else(PoisonError::into_inner).find(id))
    }

    /// How many clients have registered themselves.
    pub(crate) fn dynamic_clients(&self) -> usize {
        self.clients.kept.read().unwrap_or_else(PoisonError::into_inner).dynamic()
    }

    /// Makes a client.
    ///
    /// # Errors
    /// [`Error::Invalid`] when an input breaks its rule (recorded as `act.refused`); else as the store says.
    pub async fn create_client(
        &self,
        actor: &Actor,
        ask: CreateClient,
    ) -> Result<CreatedClient, Error> {
        match self.draft(actor, ask) {
            Ok((client, secret)) => {
                let detail = format!("name {:?}, {}", client.name, summary(&client));
                let event = self.act(actor, code::CLIENT_CREATED, Some(&client.id), &detail)?;
                let seq = self.parts.store.create_client(client.clone(), event).await?;
                self.reload_client(&client.id).await?;
                Ok(CreatedClient { client, secret, seq })
            }
            Err(refusal) => self.act_refused(actor, code::CLIENT_CREATED, None, refusal).await,
        }
    }

    fn draft(
        &self,
        actor: &Actor,
        ask: CreateClient,
    ) -> Result<(ClientRecord, Option<Secret<String>>), Error> {
        let mut client = ClientRecord {
            id: base62::random(ID_CHARS)?,
            name: ask.name,
            profile: ask.profile,
            pkce: ask.pkce,
            token_format: ask.token_format,
            refresh: ask.refresh,
            access_token_seconds: ask.access_token_seconds,
            scopes: ask.scopes,
            resources: ask.resources,
            metadata: ask.metadata,
            secrets: Vec::new(),
            registration: None,
            document_sha256: None,
            consent: ask.consent,
            origin: Origin::Admin,
            created_at: self.parts.clock.now(),
            created_by: actor.principal.to_string(),
            disabled_at: None,
        };
        check(&mut client)?;
        let secret = self.fresh_secret(&mut client)?;
        Ok((client, secret))
    }

    /// Gives the client its first secret when its method needs one.
    pub(crate) fn fresh_secret(
        &self,
        client: &mut ClientRecord,
    ) -> Result<Option<Secret<String>>, Error> {
        if !auth_method(client).is_some_and(|method| method.is_shared_secret()) {
            return Ok(None);
        }
        let secret = Purpose::ClientSecret.fresh()?;
        client.secrets.push(self.client_secret(&secret));
        Ok(Some(secret))
    }

    /// What is kept of a secret; for clients that stand in the configuration file.
    pub fn client_secret(&self, secret: &Secret<String>) -> ClientSecret {
        ClientSecret {
            mac: hex::encode(Purpose::ClientSecret.mac(&self.parts.pepper, secret.expose())),
            created_at: self.parts.clock.now(),
            expires_at: None,
        }
    }

    /// One client, of the file or kept.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is none.
    pub async fn show_client(&self, id: &str) -> Result<Arc<ClientRecord>, Error> {
        if let Some(client) = self.known_client(id) {
            return Ok(client);
        }
        let kept = self.parts.store.client(id.to_owned()).await?;
        kept.map(Arc::new).ok_or_else(|| missing(id))
    }

    fn declared_clients(&self) -> Vec<Arc<ClientRecord>> {
        let declared = self.clients.declared.read().unwrap_or_else(PoisonError::into_inner);
        declared.values().cloned().collect()
    }

    /// Clients by id: those of the file come with the first page.
    ///
    /// # Errors
    /// As the store says.
    pub async fn list_clients(&self, page: TextPage) -> Result<Vec<Arc<ClientRecord>>, Error> {
        let mut all: Vec<_> = match page.after.is_empty() {
            true => self.declared_clients(),
            false => Vec::new(),
        };
        all.extend(self.parts.store.clients(page).await?.into_iter().map(Arc::new));
        Ok(all)
    }

    /// Makes a new secret; the old one goes on for `overlap` ([`SECRET_OVERLAP`] unless said).
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Invalid`] when the client has no secret, is of the file, or the overlap is
    /// too long.
    pub async fn rotate_client_secret(
        &self,
        actor: &Actor,
        id: &str,
        overlap: Option<Duration>,
    ) -> Result<CreatedClient, Error> {
        let overlap = overlap.unwrap_or(SECRET_OVERLAP);
        let now = self.parts.clock.now();
        let mut fresh = None;
        let done = self
            .change_client(actor, id, "its secret was replaced", |client| {
                if overlap > SECRET_OVERLAP_LONGEST {
                    return Err(Error::invalid("overlap", "may be at most 7 days"));
                }
                client.secrets.retain(|secret| secret.expires_at.is_none_or(|end| now < end));
                // The newest old one is kept.
                let surplus = client.secrets.len().saturating_sub(SECRETS - 1);
                client.secrets.drain(..surplus);
                for old in &mut client.secrets {
                    let end = now.plus(overlap);
                    old.expires_at = Some(old.expires_at.map_or(end, |own| own.min(end)));
                }
                fresh = self.fresh_secret(client)?;
                match fresh {
                    Some(_) => Ok(None),
                    None => Err(Error::invalid("client", "does not authenticate with a secret")),
                }
            })
            .await?;
        Ok(CreatedClient { client: done.record, secret: fresh, seq: done.seq })
    }

    /// Refuses a client and all its tokens from now on.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Invalid`] when it is of the file.
    pub async fn disable_client(
        &self,
        actor: &Actor,
        id: &str,
    ) -> Result<Done<ClientRecord>, Error> {
        let now = self.parts.clock.now();
        self.change_client(actor, id, "disabled", |client| {
            client.disabled_at.get_or_insert(now);
            Ok(Some(revocation(id, now)))
        })
        .await
    }

    /// Takes a client back in. What it had before (access tokens, grants, refresh tokens) stays dead.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Invalid`] when it is of the file.
    pub async fn enable_client(
        &self,
        actor: &Actor,
        id: &str,
    ) -> Result<Done<ClientRecord>, Error> {
        self.change_client(actor, id, "enabled", |client| {
            client.disabled_at = None;
            Ok(None)
        })
        .await
    }

    /// Removes a client and ends all its tokens.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Invalid`] when it is of the file.
    pub async fn remove_client(&self, actor: &Actor, id: &str) -> Result<i64, Error> {
        let refusal = match self.declared_client(id) {
            true => read_only(),
            false => {
                let event = self.act(actor, code::CLIENT_REMOVED, Some(id), "")?;
                let revoke = revocation(id, self.parts.clock.now());
                match self.parts.store.remove_client(id.to_owned(), revoke, event).await? {
                    Some(seq) => {
                        self.reload_client(id).await?;
                        return Ok(seq);
                    }
                    None => missing(id),
                }
            }
        };
        self.act_refused(actor, code::CLIENT_REMOVED, Some(id), refusal).await
    }

    /// Changes a kept client: `change` says how, and what is revoked with it.
    pub(crate) async fn change_client(
        &self,
        actor: &Actor,
        id: &str,
        word: &str,
        mut change: impl FnMut(&mut ClientRecord) -> Result<Option<Revocation>, Error>,
    ) -> Result<Done<ClientRecord>, Error> {
        let act = code::CLIENT_CHANGED;
        if self.declared_client(id) {
            return self.act_refused(actor, act, Some(id), read_only()).await;
        }
        for _ in 0..TRIES {
            let Some(before) = self.parts.store.client(id.to_owned()).await? else {
                return self.act_refused(actor, act, Some(id), missing(id)).await;
            };
            let mut after = before.clone();
            let revoke = match change(&mut after) {
                Ok(revoke) => revoke,
                Err(refusal) => return self.act_refused(actor, act, Some(id), refusal).await,
            };
            let event = self.act(actor, act.clone(), Some(id), word)?;
            let replaced = self.parts.store.replace_client(before, after.clone(), revoke, event);
            if let Some(seq) = replaced.await? {
                self.reload_client(id).await?;
                return Ok((after, seq).into());
            }
        }
        // Somebody else changes it all the time.
        Err(PortError::Conflict.into())
    }

    fn declared_client(&self, id: &str) -> bool {
        let declared = self.clients.declared.read().unwrap_or_else(PoisonError::into_inner);
        declared.contains_key(id)
    }
}

/// How long a node may go on giving tokens to a client that has ended: nodes hear of it within a second, and their clocks
/// are apart by less than the rest.
pub(crate) const HEARD: Duration = Duration::from_secs(5);

/// What ends all tokens of a client that were issued until now, or are issued by who has not heard of it yet: they touch
/// no table that would know. Who is taken back in within [`HEARD`] waits for its end.
pub(crate) fn revocation(id: &str, now: UnixMs) -> Revocation {
    let not_before = now.plus(HEARD);
    let until = not_before.plus(ACCESS_TOKEN_LONGEST).plus(CLOCK_SKEW);
    Revocation { kind: RevocationKind::Client, value: id.to_owned(), not_before, until }
}

fn summary(client: &ClientRecord) -> String {
    format!(
        "grants {:?}, scopes {:?}, authentication {}",
        client.metadata.grant_types,
        client.scopes.join(" "),
        client.metadata.token_endpoint_auth_method
    )
}

fn read_only() -> Error {
    Error::invalid("client", "stands in the configuration file; change it there")
}

fn missing(id: &str) -> Error {
    Error::NotFound { what: "client", id: id.escape_default().take(64).collect() }
}
