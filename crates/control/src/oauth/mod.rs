//! The authority over HTTP: endpoints for clients, pages for people.
//!
//! Owns: reading requests and writing answers as RFC 6749 and its kin ask; which endpoint answers other origins; the
//! cookies.
//!
//! Never does: decide. What a request brings is said by [`authority::oauth::OAuth`].
//!
//! Invariants: no answer with a token or a code may be stored; a redirect after a POST is a 303, so that no form goes
//! on to somebody else (RFC 9700 §4.12).

mod account;
mod addresses;
mod answer;
mod details;
mod device;
mod email;
mod events;
mod federation;
mod form;
mod keys;
mod logout;
mod machine;
mod methods;
mod passkey;
mod person;
mod recover;
mod register;
mod second;
mod userinfo;

pub(crate) use form::Tagged;

use crate::api::Api;
use authority::oauth::OAuth;
use axum::Router;
use base::{Clock, IdError, NodeId, RequestId, RequestIds};
use std::sync::{Arc, Mutex, PoisonError};

/// Ids of the control plane's requests come from a shard number that no shard has.
const SHARD: u8 = 255;

/// The authority as the edge serves it. Cheap to clone.
#[derive(Clone)]
pub struct Issuer {
    inner: Arc<Inner>,
    /// What the gate beside it says of addresses, and when it has taken up a change.
    gate: Option<Api>,
}

struct Inner {
    oauth: Arc<OAuth>,
    brand: String,
    clock: Arc<dyn Clock>,
    ids: Mutex<RequestIds>,
}

impl std::fmt::Debug for Issuer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Issuer").field("brand", &self.inner.brand).finish_non_exhaustive()
    }
}

impl Issuer {
    /// Serves `oauth`; its pages call the organisation `brand`.
    ///
    /// # Errors
    /// When the system has no randomness to give.
    pub fn new(
        oauth: Arc<OAuth>,
        brand: String,
        clock: Arc<dyn Clock>,
        node: NodeId,
    ) -> Result<Self, IdError> {
        let ids = Mutex::new(RequestIds::new(node, SHARD)?);
        Ok(Self { inner: Arc::new(Inner { oauth, brand, clock, ids }), gate: None })
    }

    /// The same, with the gate that stands beside it: its pages say what that one judges.
    #[must_use]
    pub fn beside(self, gate: Api) -> Self {
        Self { gate: Some(gate), ..self }
    }

    fn gate(&self) -> Option<&Api> {
        self.gate.as_ref()
    }

    pub(crate) fn next_id(&self) -> RequestId {
        let ids = self.inner.ids.lock().unwrap_or_else(PoisonError::into_inner);
        ids.next(self.inner.clock.now())
    }

    fn oauth(&self) -> &Arc<OAuth> {
        &self.inner.oauth
    }

    fn brand(&self) -> String {
        self.inner.brand.clone()
    }
}

/// The endpoints and pages.
pub(crate) fn routes(issuer: Issuer) -> Router {
    machine::routes()
        .merge(person::routes())
        .merge(account::routes())
        .merge(addresses::routes())
        .merge(email::routes())
        .merge(keys::routes())
        .merge(events::routes())
        .merge(recover::routes())
        .merge(methods::routes())
        .merge(passkey::routes())
        .merge(federation::routes())
        .merge(device::routes())
        .merge(userinfo::routes())
        .merge(logout::routes())
        .merge(register::routes())
        .with_state(issuer)
}
