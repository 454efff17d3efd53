//! What is known of providers: their metadata and their keys.
//!
//! Owns: fetching them, keeping them, when they are fetched again.
//!
//! Invariants:
//! - At most one fetch of one document at a time, and at most one in [`UNKNOWN_KEY_FETCH`], whatever is asked.
//! - An endpoint is reached over TLS, or it is on this machine.
//! - A URL that does not lie at the provider's own place never leads to a private address (the fetcher sees to that).

use super::provider::{Provider, ProviderAuth};
use crate::oauth::OAuth;
use crate::oauth::remote_keys::FETCH_TIME;
use base::limits::{DOCUMENT_BYTES, UNKNOWN_KEY_FETCH};
use base::{FetchRequest, UnixMs};
use protocol::json::{self, Object};
use protocol::jwk::KeySet;
use protocol::oauth::Discovery;
use protocol::oauth::uri::{Uri, is_loopback};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How long metadata and keys are used without asking again.
const FRESH: Duration = Duration::from_secs(3600);
/// How long they are used while the provider does not answer: a key that was withdrawn lives no longer.
const STALE: Duration = Duration::from_secs(24 * 3600);
/// Providers that are remembered, those of former configurations too.
const PROVIDERS: usize = 128;

/// What is needed of a provider's metadata (OpenID Connect Discovery §3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Metadata {
    pub(super) authorization_endpoint: String,
    pub(super) token_endpoint: String,
    pub(super) jwks_uri: String,
    pub(super) userinfo_endpoint: Option<String>,
    /// RFC 9207 §3: its answers always say whose they are.
    pub(super) says_issuer: bool,
    pub(super) auth: ProviderAuth,
    /// It knows `prompt=login`.
    pub(super) prompts: bool,
}

impl Metadata {
    /// Reads the metadata of `issuer`; why it is not usable.
    pub(super) fn read(document: &[u8], issuer: &str) -> Result<Self, String> {
        let all = json::object(document, DOCUMENT_BYTES).map_err(|error| error.to_string())?;
        // OpenID Connect Discovery §4.3: identical to the issuer that was asked.
        if all.get("issuer").and_then(Value::as_str) != Some(issuer) {
            return Err("its metadata is of another issuer".to_owned());
        }
        let lists = |name: &str, word: &str| match all.get(name) {
            Some(Value::Array(words)) => Some(words.iter().any(|it| it.as_str() == Some(word))),
            _ => None,
        };
        let methods = "token_endpoint_auth_methods_supported";
        // §3: client_secret_basic where nothing is said.
        let basic = lists(methods, "client_secret_basic").unwrap_or(true);
        let post = lists(methods, "client_secret_post").unwrap_or(false);
        let required = |name| endpoint(&all, name)?.ok_or(format!("its metadata has no {name}"));
        Ok(Self {
            authorization_endpoint: required("authorization_endpoint")?,
            token_endpoint: required("token_endpoint")?,
            jwks_uri: required("jwks_uri")?,
            userinfo_endpoint: endpoint(&all, "userinfo_endpoint")?,
            says_issuer: all.get("authorization_response_iss_parameter_supported")
                == Some(&Value::Bool(true)),
            auth: if post && !basic { ProviderAuth::Post } else { ProviderAuth::Basic },
            prompts: lists("prompt_values_supported", "login").unwrap_or(false),
        })
    }
}

fn endpoint(all: &Object, name: &str) -> Result<Option<String>, String> {
    let url = match all.get(name) {
        None => return Ok(None),
        Some(Value::String(url)) => url,
        Some(_) => return Err(format!("its {name} is no text")),
    };
    let parsed = Uri::parse(url).filter(|it| it.fragment.is_none());
    let host = parsed.as_ref().and_then(Uri::web_host);
    // OpenID Connect Core §3.1.2, §3.1.3: TLS. On the machine itself nobody sits on the way.
    let private = |it: &Uri<'_>| it.is("https") || host.is_some_and(is_loopback);
    match parsed.filter(|it| host.is_some() && private(it)) {
        Some(_) => Ok(Some(url.clone())),
        None => Err(format!("its {name} is no https URL")),
    }
}

/// A document, when it was fetched, and when that was last tried.
#[derive(Debug)]
struct Kept<T> {
    value: Option<(Arc<T>, UnixMs)>,
    tried_at: Option<UnixMs>,
}

impl<T> Default for Kept<T> {
    fn default() -> Self {
        Self { value: None, tried_at: None }
    }
}

impl<T> Kept<T> {
    fn within(&self, span: Duration, now: UnixMs) -> Option<Arc<T>> {
        let value = self.value.as_ref().filter(|(_, at)| now.since(*at) < span);
        value.map(|(value, _)| Arc::clone(value))
    }

    /// Whether it may be fetched now; from then on it was tried.
    fn may_try(&mut self, now: UnixMs) -> bool {
        let open = self.tried_at.is_none_or(|tried| now.since(tried) >= UNKNOWN_KEY_FETCH);
        if open {
            self.tried_at = Some(now);
        }
        open
    }

    fn settle(&mut self, fetched: Result<T, String>, now: UnixMs) -> Result<Arc<T>, String> {
        match fetched {
            Ok(value) => {
                let value = Arc::new(value);
                self.value = Some((Arc::clone(&value), now));
                Ok(value)
            }
            Err(problem) => self.within(STALE, now).ok_or(problem),
        }
    }
}

/// What is known of one provider.
#[derive(Debug, Default)]
struct Known {
    metadata: tokio::sync::Mutex<Kept<Metadata>>,
    keys: tokio::sync::Mutex<Kept<KeySet>>,
}

/// What is known of all.
#[derive(Debug, Default)]
pub(crate) struct Providers {
    known: Mutex<BTreeMap<String, Arc<Known>>>,
}

impl Providers {
    fn of(&self, issuer: &str) -> Arc<Known> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= PROVIDERS && !known.contains_key(issuer) {
            known.clear();
        }
        Arc::clone(known.entry(issuer.to_owned()).or_default())
    }
}

const A_MOMENT_AGO: &str = "it did not answer a moment ago";

impl OAuth {
    /// The metadata of a provider.
    ///
    /// # Errors
    /// Why it is not known, for the record.
    pub(super) async fn provider_metadata(
        &self,
        provider: &Provider,
    ) -> Result<Arc<Metadata>, String> {
        let known = self.providers.of(&provider.issuer);
        // Whoever waits here finds what the first one has fetched.
        let mut kept = known.metadata.lock().await;
        let now = self.parts.clock.now();
        if let Some(metadata) = kept.within(FRESH, now) {
            return Ok(metadata);
        }
        if !kept.may_try(now) {
            return kept.within(STALE, now).ok_or_else(|| A_MOMENT_AGO.to_owned());
        }
        let [place, _] = Discovery::places(&provider.issuer);
        let body = self.provider_document(provider, &place).await;
        let read = body.and_then(|body| Metadata::read(&body, &provider.issuer));
        kept.settle(read, now)
    }

    /// The keys of a provider. When `wanted` does not find its key among them, they are fetched again, if that was not
    /// done lately.
    ///
    /// # Errors
    /// Why there are none, for the record.
    pub(super) async fn provider_keys(
        &self,
        (provider, metadata): (&Provider, &Metadata),
        wanted: impl Fn(&KeySet) -> bool,
    ) -> Result<Arc<KeySet>, String> {
        let known = self.providers.of(&provider.issuer);
        let mut kept = known.keys.lock().await;
        let now = self.parts.clock.now();
        if let Some(keys) = kept.within(FRESH, now).filter(|keys| wanted(keys)) {
            return Ok(keys);
        }
        if !kept.may_try(now) {
            return kept.within(STALE, now).ok_or_else(|| A_MOMENT_AGO.to_owned());
        }
        let body = self.provider_document(provider, &metadata.jwks_uri).await;
        let read = body.and_then(|it| KeySet::parse(&it).map_err(|error| error.to_string()));
        kept.settle(read, now)
    }

    async fn provider_document(&self, provider: &Provider, url: &str) -> Result<Vec<u8>, String> {
        let request = FetchRequest {
            url: url.to_owned(),
            form: None,
            basic: None,
            bearer: None,
            accept: "application/json",
            operator: provider.is_own(url),
            timeout: FETCH_TIME,
            max_bytes: DOCUMENT_BYTES,
        };
        let response = self.parts.fetch.fetch(request).await.map_err(|error| error.to_string())?;
        match response.status {
            200 => Ok(response.body),
            other => Err(format!("it answered with the status {other}")),
        }
    }
}
