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
use protocol::oauth::Discovery;
use protocol::oauth::uri::is_https;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How long a set is used without asking again.
const KEYS_FRESH: Duration = Duration::from_secs(600);
/// How long an issuer's metadata is used without asking again.
const METADATA_FRESH: Duration = Duration::from_secs(3600);
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

/// What is known of an issuer: where its keys are, and when that was asked; or when it was asked in vain.
type Found = Arc<tokio::sync::Mutex<(Option<String>, Option<UnixMs>)>>;

/// The key sets.
#[derive(Debug, Default)]
pub(crate) struct RemoteKeys {
    slots: Mutex<BTreeMap<String, (Slot, UnixMs)>>,
    issuers: Mutex<BTreeMap<String, Found>>,
}

impl RemoteKeys {
    fn slot(&self, url: &str, now: UnixMs) -> Slot {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
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

    /// Where the keys of `issuer` are, by its metadata (RFC 8414 §3, OpenID Connect Discovery §4).
    ///
    /// # Errors
    /// Why that is not known, for the record.
    pub(crate) async fn discovered(
        &self,
        issuer: &str,
        (fetch, clock): (&dyn Fetch, &dyn Clock),
    ) -> Result<String, String> {
        let found = {
            let mut issuers = self.issuers.lock().unwrap_or_else(PoisonError::into_inner);
            // Only issuers of trust rules come here; their number is bounded, those of rules that are gone are not.
            if issuers.len() >= URLS && !issuers.contains_key(issuer) {
                issuers.clear();
            }
            Arc::clone(issuers.entry(issuer.to_owned()).or_default())
        };
        let mut found = found.lock().await;
        let now = clock.now();
        let tried = found.1.map(|at| now.since(at));
        match &found.0 {
            Some(url) if tried.is_some_and(|since| since < METADATA_FRESH) => {
                return Ok(url.clone());
            }
            known if tried.is_some_and(|since| since < UNKNOWN_KEY_FETCH) => {
                return known.clone().ok_or_else(|| "its metadata could not be fetched".to_owned());
            }
            _ => {}
        }
        found.1 = Some(now);
        let mut problem = String::new();
        for place in Discovery::places(issuer) {
            let body = document(fetch, &place, DOCUMENT_BYTES).await;
            let read = body.and_then(|body| {
                Discovery::parse(&body, issuer).map_err(|error| error.to_string())
            });
            match read {
                Ok(metadata) if is_https(&metadata.jwks_uri) => {
                    found.0 = Some(metadata.jwks_uri.clone());
                    return Ok(metadata.jwks_uri);
                }
                Ok(_) => "its jwks_uri is not https".clone_into(&mut problem),
                Err(why) => problem = why,
            }
        }
        found.0.clone().ok_or(problem)
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
        bearer: None,
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
