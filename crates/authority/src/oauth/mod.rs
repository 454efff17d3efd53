//! The authorization server: OAuth 2.1 and OpenID Connect.
//!
//! Owns: clients, people, sessions, grants and tokens; which request is right and what it brings. Its [`ports`]
//! are kept by a store.
//!
//! Never does: HTTP, HTML or SQL. Time and requests come in as arguments.
//!
//! Invariants:
//! - What is issued can be ended: by token, by grant, by client, by subject.
//! - Codes, refresh tokens and secrets are known to the store as MACs only.

#[cfg(any(test, feature = "memory"))]
pub mod memory;
pub mod ports;
pub mod records;
pub mod secrets;
pub mod settings;

use crate::error::Error;
use crate::ports::AuditLog;
use crate::sealing::{Pepper, Sealer};
use arc_swap::ArcSwap;
use base::{BoxFuture, Clock, Code, Event, EventId, Fetch, Kind, NodeId, Outcome, RequestId, code};
use ports::OAuthStore;
use protocol::oauth::OAuthError;
use settings::Settings;
use std::net::IpAddr;
use std::sync::Arc;

/// Takes evidence straight to the ledger, for what touches no table.
pub trait Evidence: Send + Sync {
    /// Records the event; answers once it is on disk.
    ///
    /// # Errors
    /// A sentence, when the ledger cannot take it. Then nothing may be issued on it.
    fn record_synced(&self, event: Event) -> BoxFuture<'_, Result<(), String>>;
}

/// Where a request came from; stands in the events that it causes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// The request's id.
    pub request_id: RequestId,
    /// The true address of who asks.
    pub client_ip: Option<IpAddr>,
    /// The browser or program as it calls itself, cut to 200 characters.
    pub user_agent: String,
}

/// What the use cases are wired from.
#[derive(Clone)]
pub struct Parts {
    /// Keeps everything.
    pub store: Arc<dyn OAuthStore>,
    /// Takes events that come with no change.
    pub audit: Arc<dyn AuditLog>,
    /// Takes events of tokens that touch no table.
    pub evidence: Arc<dyn Evidence>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Makes MACs.
    pub pepper: Arc<Pepper>,
    /// Seals signing keys and, for seconds, refresh tokens.
    pub sealer: Arc<Sealer>,
    /// Fetches clients' keys and documents.
    pub fetch: Arc<dyn Fetch>,
    /// This node.
    pub node: NodeId,
}

/// The use cases. One for the whole process.
pub struct OAuth {
    pub(crate) parts: Parts,
    settings: ArcSwap<Settings>,
}

impl std::fmt::Debug for OAuth {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OAuth").field("node", &self.parts.node).finish_non_exhaustive()
    }
}

impl OAuth {
    /// The use cases over these parts.
    pub fn new(parts: Parts, settings: Settings) -> Self {
        Self { parts, settings: ArcSwap::from_pointee(settings) }
    }

    /// The settings in force.
    pub fn settings(&self) -> Arc<Settings> {
        self.settings.load_full()
    }

    /// Puts new settings in force.
    pub fn configure(&self, settings: Settings) {
        self.settings.store(Arc::new(settings));
    }

    /// An event of the authority: `code` happened at the request of `origin`.
    pub(crate) fn event(&self, origin: &Origin, code: Code) -> Result<Event, Error> {
        let now = self.parts.clock.now();
        let mut event = Event::new(EventId::random()?, now, self.parts.node, Kind::Admin, code);
        event.request_id = Some(origin.request_id);
        event.client_ip = origin.client_ip;
        Ok(event)
    }

    /// Records that a request was refused: `explain` shows `rule`, which the caller is not told.
    pub(crate) async fn refused(
        &self,
        origin: &Origin,
        client: Option<&str>,
        error: &OAuthError,
        rule: &str,
    ) -> Result<(), Error> {
        let mut event = self.event(origin, code::OAUTH_REFUSED)?;
        event.outcome = Outcome::Deny;
        event.status = error.status();
        event.client_id = client.map(Arc::from);
        event.detail = Some(format!("{}: {rule}", error.code().as_str()).into());
        Ok(self.parts.audit.record(event).await?)
    }
}
