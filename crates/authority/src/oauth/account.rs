//! What people see and end of their own: sessions, and what they have allowed to applications.
//!
//! Invariant: a person reaches nothing but their own, whatever id they name.

use super::records::{GrantRecord, SessionRecord, UserRecord};
use super::sessions::{Current, SessionText};
use super::{OAuth, Origin};
use crate::error::Error;
use crate::oauth::settings::ACCESS_TOKEN_LONGEST;
use base::limits::CLOCK_SKEW;
use base::{UnixMs, code};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A session of the person.
#[derive(Debug, Clone)]
pub struct OwnSession {
    /// What is kept.
    pub session: SessionRecord,
    /// Whether it is the one that asks.
    pub this: bool,
}

/// What a person has allowed to one application.
#[derive(Debug, Clone)]
pub struct OwnClient {
    /// The client's id.
    pub id: String,
    /// What it is called; the id, where it is gone.
    pub name: String,
    /// All scopes of what lives, sorted.
    pub scopes: Vec<String>,
    /// When it was last allowed.
    pub since: UnixMs,
    /// How many grants live.
    pub grants: usize,
    /// When it was last given a token, to the minute, and the network that it asked from.
    pub used: Option<(UnixMs, Option<String>)>,
}

/// A person's account.
#[derive(Debug, Clone)]
pub struct OwnAccount {
    /// The person.
    pub user: UserRecord,
    /// Their sessions, the latest first.
    pub sessions: Vec<OwnSession>,
    /// Their applications, by name.
    pub clients: Vec<OwnClient>,
}

impl OAuth {
    /// What a person has open and has allowed; `None` when nobody is signed in, or not enough.
    ///
    /// # Errors
    /// As the store says.
    pub async fn own_account(
        &self,
        session: Option<&SessionText>,
        origin: &Origin,
    ) -> Result<Option<OwnAccount>, Error> {
        let Some(current) = self.current(session).await? else { return Ok(None) };
        let mut sessions: Vec<OwnSession> = self
            .sessions_of(&current.user.id)
            .await?
            .into_iter()
            .filter(|session| !self.is_idle(session))
            .map(|session| OwnSession { this: session.id == current.session.id, session })
            .collect();
        sessions.sort_by_key(|it| (!it.this, std::cmp::Reverse(it.session.auth_time)));
        let clients = self.own_clients(&current, origin).await?;
        Ok(Some(OwnAccount { user: current.user, sessions, clients }))
    }

    async fn own_grants(&self, current: &Current) -> Result<Vec<GrantRecord>, Error> {
        let now = self.parts.clock.now();
        Ok(self.parts.store.grants_of_user(current.user.id.clone(), now).await?)
    }

    async fn own_clients(
        &self,
        current: &Current,
        origin: &Origin,
    ) -> Result<Vec<OwnClient>, Error> {
        let mut all: BTreeMap<String, OwnClient> = BTreeMap::new();
        let (user, now) = (current.user.id.clone(), self.parts.clock.now());
        let uses = self.parts.store.uses_of_grants(user, now).await?;
        let mut uses: BTreeMap<_, _> =
            uses.into_iter().map(|it| (it.grant, (it.at, it.network))).collect();
        for grant in self.own_grants(current).await? {
            let entry = all.entry(grant.client.clone()).or_insert_with(|| OwnClient {
                id: grant.client.clone(),
                name: grant.client.clone(),
                scopes: Vec::new(),
                since: grant.created_at,
                grants: 0,
                used: None,
            });
            let used = uses.remove(&grant.id);
            if used.as_ref().map(|it| it.0) > entry.used.as_ref().map(|it| it.0) {
                entry.used = used;
            }
            entry.since = entry.since.max(grant.created_at);
            entry.grants += 1;
            entry.scopes.extend(grant.scopes);
        }
        let mut listed = Vec::new();
        for (id, mut it) in all {
            it.scopes.sort_unstable();
            it.scopes.dedup();
            if let Some(client) = self.client(&id, origin).await? {
                it.name = client.name.clone();
            }
            listed.push(it);
        }
        listed.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(listed)
    }

    /// Ends one of the person's sessions; whether it was theirs. `None`: nobody is signed in.
    ///
    /// # Errors
    /// As the store says.
    pub async fn end_own_session(
        &self,
        session: Option<&SessionText>,
        id: &str,
        origin: &Origin,
    ) -> Result<Option<bool>, Error> {
        let Some(current) = self.current(session).await? else { return Ok(None) };
        let all = self.sessions_of(&current.user.id).await?;
        let Some(one) = all.iter().find(|it| it.id == id) else { return Ok(Some(false)) };
        self.end_this_session(one, origin).await?;
        Ok(Some(true))
    }

    /// Ends all sessions of the person but this one; how many. `None`: nobody is signed in.
    ///
    /// # Errors
    /// As the store says.
    pub async fn end_other_sessions(
        &self,
        session: Option<&SessionText>,
        origin: &Origin,
    ) -> Result<Option<usize>, Error> {
        let Some(current) = self.current(session).await? else { return Ok(None) };
        self.end_other_sessions_of(&current, origin).await.map(Some)
    }

    pub(super) async fn end_other_sessions_of(
        &self,
        current: &Current,
        origin: &Origin,
    ) -> Result<usize, Error> {
        let all = self.sessions_of(&current.user.id).await?;
        let mut ended = 0;
        for one in all.iter().filter(|it| it.id != current.session.id) {
            self.end_this_session(one, origin).await?;
            ended += 1;
        }
        Ok(ended)
    }

    /// Ends all that the person has allowed to an application: its tokens are dead everywhere, and it has to ask again.
    /// Whether there was anything. `None`: nobody is signed in.
    ///
    /// # Errors
    /// As the store says.
    pub async fn end_own_client(
        &self,
        session: Option<&SessionText>,
        client: &str,
        origin: &Origin,
    ) -> Result<Option<bool>, Error> {
        let Some(current) = self.current(session).await? else { return Ok(None) };
        let now = self.parts.clock.now();
        let until = now.plus(ACCESS_TOKEN_LONGEST).plus(CLOCK_SKEW);
        let mut any = false;
        // The consent first: what is asked for meanwhile is asked of the person.
        let event = self.own_event(&current, client, origin)?;
        let (user, of) = (current.user.id.clone(), client.to_owned());
        any |= self.parts.store.forget_consent(user, of, event).await?;
        loop {
            let grants = self.own_grants(&current).await?;
            let mut more = false;
            for grant in grants.into_iter().filter(|it| it.client == client) {
                let mut event = self.own_event(&current, client, origin)?;
                event.credential_id = Some(Arc::from(grant.id.as_str()));
                more |= self.parts.store.revoke_grant(grant.id, now, until, event).await?.is_some();
            }
            any |= more;
            // A listing has an end; what stands behind it comes with the next one.
            if !more {
                return Ok(Some(any));
            }
        }
    }

    fn own_event(
        &self,
        current: &Current,
        client: &str,
        origin: &Origin,
    ) -> Result<base::Event, Error> {
        let mut event = self.event(origin, code::GRANT_REVOKED)?;
        event.principal = Some(Arc::from(current.user.id.as_str()));
        event.client_id = Some(client.chars().take(128).collect::<String>().into());
        event.detail = Some("ended by the person".into());
        Ok(event)
    }
}

#[cfg(test)]
mod tests;
