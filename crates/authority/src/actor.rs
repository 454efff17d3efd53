//! Who acts.

use crate::error::Error;
use base::{Code, Event, EventId, Kind, NodeId, Outcome, Scheme, UnixMs, code};
use std::net::IpAddr;
use std::sync::Arc;

/// Whoever asks for a change; stands in the audit event of every act.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor {
    /// The subject: at the control socket `uid:1000` or the user's name.
    pub principal: Arc<str>,
    /// How the actor proved itself.
    pub scheme: Scheme,
    /// From where, when it came over the network.
    pub client_ip: Option<IpAddr>,
}

impl Actor {
    /// An event that says: this actor did `code` to `target`, at this time, as this node saw it.
    ///
    /// # Errors
    /// When the system has no randomness to give.
    pub(crate) fn act(
        &self,
        (now, node): (UnixMs, NodeId),
        code: Code,
        target: Option<&str>,
        detail: &str,
    ) -> Result<Event, Error> {
        let mut event = Event::new(EventId::random()?, now, node, Kind::Admin, code);
        event.principal = Some(self.principal.clone());
        event.scheme = Some(self.scheme);
        event.client_ip = self.client_ip;
        event.credential_id = target.map(Arc::from);
        event.detail = (!detail.is_empty()).then(|| detail.into());
        Ok(event)
    }

    /// An event that says: `act` was refused to this actor. `None` for what failed on our side: that is no
    /// refusal, and a store that does not answer cannot take a record.
    ///
    /// # Errors
    /// As [`Self::act`].
    pub(crate) fn refusal(
        &self,
        seen: (UnixMs, NodeId),
        act: &Code,
        target: Option<&str>,
        refusal: &Error,
    ) -> Result<Option<Event>, Error> {
        if !matches!(refusal, Error::Invalid { .. } | Error::NotFound { .. }) {
            return Ok(None);
        }
        let detail = format!("{act}: {refusal}");
        let mut event = self.act(seen, code::ACT_REFUSED, target, &detail)?;
        event.outcome = Outcome::Deny;
        Ok(Some(event))
    }

    /// The operating system's user at the control socket.
    pub fn local(principal: &str) -> Self {
        Self { principal: Arc::from(principal), scheme: Scheme::Local, client_ip: None }
    }
}
