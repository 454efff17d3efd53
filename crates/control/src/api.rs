//! What the handlers share.

use crate::health::Health;
use crate::mail::KeptMail;
use crate::ports::{Admin, Applied, IpTest, Ledger, Witness};
use crate::problem::Problem;
use authority::oauth::OAuth;
use base::code;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// How long an acknowledgement waits until the shards know the change. The feed is followed in process, so
/// this takes milliseconds; more means that the node has lost the feed.
const APPLIED_TIMEOUT: Duration = Duration::from_secs(5);
/// Queries over the ledger that run at once: each may take a core.
const QUERIES: usize = 2;
/// Followers of the ledger at once: terminals of people.
const FOLLOWERS: usize = 16;

/// What the binary hands to the edge.
pub struct Parts {
    /// The authority's use cases.
    pub admin: Arc<dyn Admin>,
    /// The authority; without it there are neither clients nor accounts.
    pub oauth: Option<Arc<OAuth>>,
    /// When the gate has taken up a change.
    pub applied: Arc<dyn Applied>,
    /// The ledger.
    pub ledger: Arc<dyn Ledger>,
    /// The address lists.
    pub ip_test: Arc<dyn IpTest>,
    /// Who takes note of what the edge sees.
    pub witness: Arc<dyn Witness>,
    /// Messages that are kept instead of sent.
    pub mail: Arc<dyn KeptMail>,
    /// The node's health.
    pub health: Arc<Health>,
    /// The public keys of authority and node, a JWK set.
    pub keys: Arc<dyn Fn() -> serde_json::Value + Send + Sync>,
    /// Renders the metrics as OpenMetrics text.
    pub metrics: Arc<dyn Fn() -> String + Send + Sync>,
}

struct Inner {
    parts: Parts,
    queries: Arc<Semaphore>,
    followers: Arc<Semaphore>,
}

/// The state of the API; cheap to clone.
#[derive(Clone)]
pub struct Api {
    inner: Arc<Inner>,
}

impl std::fmt::Debug for Api {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Api").finish_non_exhaustive()
    }
}

impl std::ops::Deref for Api {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.inner.parts
    }
}

impl Api {
    /// The API over these parts.
    pub fn new(parts: Parts) -> Self {
        let (queries, followers) = (Semaphore::new(QUERIES), Semaphore::new(FOLLOWERS));
        let inner = Inner { parts, queries: Arc::new(queries), followers: Arc::new(followers) };
        Self { inner: Arc::new(inner) }
    }

    /// Waits until the change numbered `seq` is in force at this node; `what` names what was done.
    pub(crate) async fn in_force(&self, seq: i64, what: &str) -> Result<(), Problem> {
        tokio::time::timeout(APPLIED_TIMEOUT, self.applied.applied(seq))
            .await
            .map_err(|_| Problem::with(code::ACT_NOT_IN_FORCE, what))
    }

    /// The authority.
    pub(crate) fn oauth(&self) -> Result<&Arc<OAuth>, Problem> {
        self.oauth.as_ref().ok_or_else(|| Problem::new(code::API_NOT_FOUND))
    }

    pub(crate) fn query_slot(&self) -> Result<OwnedSemaphorePermit, Problem> {
        slot(&self.inner.queries)
    }

    pub(crate) fn follower_slot(&self) -> Result<OwnedSemaphorePermit, Problem> {
        slot(&self.inner.followers)
    }
}

fn slot(of: &Arc<Semaphore>) -> Result<OwnedSemaphorePermit, Problem> {
    Arc::clone(of).try_acquire_owned().map_err(|_| Problem::new(code::API_BUSY))
}
