//! Key sets that clients and trusted issuers publish.
//!
//! Owns: fetching them, keeping them, when they are fetched again.
//!
//! Never does: follow a URL of a client to a private address; the fetcher sees to that, since no URL here stands
//! in the operator's file.
//!
//! Invariants:
//! - At most one fetch of one URL at a time, and at most one in [`UNKNOWN_KEY_FETCH`], whatever is asked.
//! - Known keys go on while their server is down, for [`KEYS_STALE`] at most.

use base::limits::{DOCUMENT_BYTES, UNKNOWN_KEY_FETCH};
use base::{Clock, Fetch, FetchRequest, UnixMs};
use protocol::jwk::KeySet;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How long a set is used without asking again.
const KEYS_FRESH: Duration = Duration::from_secs(600);
/// How long a set is used while its server does not answer: a key that was withdrawn lives no longer.
const KEYS_STALE: Duration = Duration::from_secs(24 * 60 * 60);
/// How long one fetch may take; a client waits for it.
pub(crate) const FETCH_TIME: Duration = Duration::from_secs(5);
/// URLs that are remembered. At some KB each that is a few MB; the one that was tried longest ago goes first.
const URLS: usize = 1024;

/// What is known of one URL.
#[derive(Debug, Default)]
struct Kept {
    set: Option<(Arc<KeySet>, UnixMs)>,
    tried_at: Option<UnixMs>,
}

type Slot = Arc<tokio::sync::Mutex<Kept>>;

/// The key sets.
#[derive(Debug, Default)]
pub(crate) struct RemoteKeys(Mutex<BTreeMap<String, (Slot, UnixMs)>>);

impl RemoteKeys {
    fn slot(&self, url: &str, now: UnixMs) -> Slot {
        let mut slots = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if slots.len() >= URLS && !slots.contains_key(url) {
            let oldest =
                slots.iter().min_by_key(|(_, (_, used))| *used).map(|(url, _)| url.clone());
            if let Some(oldest) = oldest {
                slots.remove(&oldest);
            }
        }
        let (slot, used) = slots.entry(url.to_owned()).or_default();
        *used = now;
        Arc::clone(slot)
    }

    /// The set at `url`. When `wanted` does not find its key in it, it is fetched again, if that was not done
    /// lately.
    ///
    /// # Errors
    /// Why there is no set, for the record.
    pub(crate) async fn at(
        &self,
        url: &str,
        (fetch, clock): (&dyn Fetch, &dyn Clock),
        wanted: impl Fn(&KeySet) -> bool,
    ) -> Result<Arc<KeySet>, String> {
        let now = clock.now();
        let slot = self.slot(url, now);
        // Whoever waits here finds the set that the first one has fetched.
        let mut kept = slot.lock().await;
        let now = clock.now().max(now);
        let usable = |within: Duration| {
            let set = kept.set.as_ref().filter(|(_, at)| now.since(*at) < within);
            set.map(|(set, _)| Arc::clone(set))
        };
        if let Some(set) = usable(KEYS_FRESH).filter(|set| wanted(set)) {
            return Ok(set);
        }
        let known = usable(KEYS_STALE);
        if kept.tried_at.is_some_and(|tried| now.since(tried) < UNKNOWN_KEY_FETCH) {
            return known.ok_or_else(|| "its keys could not be fetched a moment ago".to_owned());
        }
        kept.tried_at = Some(now);
        match fetched(fetch, url).await {
            Ok(set) => {
                let set = Arc::new(set);
                kept.set = Some((Arc::clone(&set), now));
                Ok(set)
            }
            Err(problem) => known.ok_or(problem),
        }
    }
}

/// The body of a JSON document at a URL that comes from outside.
pub(crate) async fn document(
    fetch: &dyn Fetch,
    url: &str,
    max_bytes: usize,
) -> Result<Vec<u8>, String> {
    let request = FetchRequest {
        url: url.to_owned(),
        form: None,
        basic: None,
        accept: "application/json",
        // Such a URL is the outside's, never the operator's (RFC 9101 §10.4 names the attack).
        operator: false,
        timeout: FETCH_TIME,
        max_bytes,
    };
    let response = fetch.fetch(request).await.map_err(|error| error.to_string())?;
    match response.status {
        200 => Ok(response.body),
        other => Err(format!("the answer has the status {other}")),
    }
}

async fn fetched(fetch: &dyn Fetch, url: &str) -> Result<KeySet, String> {
    let body = document(fetch, url, DOCUMENT_BYTES).await?;
    KeySet::parse(&body).map_err(|error| error.to_string())
}
