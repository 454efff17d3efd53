//! Issuers: fetching their keys in good time and on demand, and asking them about opaque tokens.
//!
//! INVARIANT: unknown keys cause at most one fetch in 30 s for each issuer, whoever asks and how often; a fetch
//! that fails changes nothing, so known keys go on verifying.

use super::events::Events;
use super::state::State;
use crate::config;
use access::issuer::{Issuer, KeySource};
use authority::oauth::OAuth;
use base::{BoxFuture, Clock, Fetch, FetchRequest, Monotonic, Outcome, Secret, code, limits};
use gateway::{LookupError, Lookups};
use protocol::jwk::KeySet;
use protocol::oauth::{Discovery, Introspected, Introspection};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How long an issuer may take to hand out its metadata, and its keys. A request waits for less (3 s).
const PATIENCE: Duration = Duration::from_secs(5);
/// How long an issuer may take to answer about one token: less than a request waits (3 s), so that no later request
/// joins a question that is given up already.
const ANSWER: Duration = Duration::from_millis(2_500);
/// How often keys are fetched when all is well: how long a key that was withdrawn may go on at most.
const EVERY: Duration = Duration::from_secs(60);
/// How soon a failed fetch is tried again.
const AGAIN: Duration = Duration::from_secs(5);
/// How often a key file is looked at.
const FILE_EVERY: Duration = Duration::from_secs(1);
/// How often it is looked whether the configuration has other issuers.
const LOOK: Duration = Duration::from_millis(200);
/// Introspections under way at once for one issuer; more are refused rather than queued.
const ASKING: usize = 64;

/// All issuers.
pub(super) struct Issuers {
    fetch: Arc<dyn Fetch>,
    clock: Arc<dyn Clock>,
    events: Events,
    runtime: tokio::runtime::Handle,
    own: Arc<OAuth>,
    own_asking: tokio::sync::Semaphore,
    book: Mutex<HashMap<Arc<str>, Arc<Entry>>>,
}

impl std::fmt::Debug for Issuers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Issuers")
    }
}

struct Entry {
    introspection: Option<config::Introspection>,
    /// When an unknown key last caused a fetch. Whoever fetches keys holds the lock, so that a late answer never
    /// replaces a newer one.
    demanded: tokio::sync::Mutex<Option<Monotonic>>,
    asking: tokio::sync::Semaphore,
    /// Questions under way, by token: a burst of requests with one token is one question. At most [`ASKING`]
    /// beside those that are refused at once.
    questions: Mutex<HashMap<String, Arc<Question>>>,
}

/// What was answered to one question, for all who wait for it.
type Question = tokio::sync::OnceCell<Result<(Introspection, Duration), LookupError>>;

impl Issuers {
    pub(super) fn new(
        fetch: Arc<dyn Fetch>,
        clock: Arc<dyn Clock>,
        events: Events,
        own: Arc<OAuth>,
    ) -> Self {
        let runtime = tokio::runtime::Handle::current();
        let own_asking = tokio::sync::Semaphore::new(ASKING);
        Self { fetch, clock, events, runtime, own, own_asking, book: Mutex::default() }
    }

    /// Takes up the issuers of a configuration.
    pub(super) fn configure(&self, issuers: &[config::Issuer]) {
        let mut book = self.book.lock().unwrap_or_else(PoisonError::into_inner);
        let mut next = HashMap::new();
        for issuer in issuers {
            let name: Arc<str> = issuer.name.as_str().into();
            let entry = match book.get(&name) {
                Some(kept) if kept.introspection == issuer.introspection => kept.clone(),
                _ => Arc::new(Entry {
                    introspection: issuer.introspection.clone(),
                    demanded: tokio::sync::Mutex::new(None),
                    asking: tokio::sync::Semaphore::new(ASKING),
                    questions: Mutex::default(),
                }),
            };
            next.insert(name, entry);
        }
        *book = next;
    }

    fn entry(&self, issuer: &Issuer) -> Option<Arc<Entry>> {
        let book = self.book.lock().unwrap_or_else(PoisonError::into_inner);
        book.get(&issuer.settings.name).cloned()
    }

    /// Fetches an issuer's keys and puts them in force.
    async fn load(&self, issuer: &Issuer) -> Result<(), String> {
        let document = match &issuer.settings.source {
            KeySource::Nowhere | KeySource::Own => return Ok(()),
            KeySource::File(path) => tokio::fs::read(path)
                .await
                .map_err(|error| format!("{}: {error}", path.display()))?,
            KeySource::Uri(uri) => self.document(uri.clone(), true).await?,
            KeySource::Discovery => {
                let own = &issuer.settings.issuer;
                let uri = self.discover(own).await?;
                // Metadata comes from outside: only at the issuer's own origin may it lead inward.
                let operator = origin(&uri) == origin(own);
                self.document(uri, operator).await?
            }
        };
        let set = KeySet::parse(&document).map_err(|error| error.to_string())?;
        if issuer.replace_keys(set) {
            let mut event = self.events.event(code::ISSUER_KEYS_CHANGED);
            event.issuer = Some(issuer.settings.name.clone());
            self.events.record(event);
        }
        Ok(())
    }

    async fn discover(&self, issuer: &str) -> Result<String, String> {
        let mut why = String::new();
        for place in Discovery::places(issuer) {
            let found = match self.document(place, true).await {
                Ok(document) => {
                    Discovery::parse(&document, issuer).map_err(|error| error.to_string())
                }
                Err(error) => Err(error),
            };
            match found {
                Ok(metadata) => return Ok(metadata.jwks_uri.to_string()),
                Err(error) => why = error,
            }
        }
        Err(why)
    }

    async fn document(&self, url: String, operator: bool) -> Result<Vec<u8>, String> {
        let request = FetchRequest {
            url,
            form: None,
            bearer: None,
            basic: None,
            accept: "application/json",
            operator,
            timeout: PATIENCE,
            max_bytes: limits::DOCUMENT_BYTES,
        };
        let answer = self.fetch.fetch(request).await.map_err(|error| error.to_string())?;
        if answer.status != 200 {
            return Err(format!("status {}", answer.status));
        }
        Ok(answer.body)
    }

    async fn demand(self: Arc<Self>, issuer: Arc<Issuer>) -> Result<(), LookupError> {
        let Some(entry) = self.entry(&issuer) else { return Ok(()) };
        let Ok(mut demanded) = entry.demanded.try_lock() else {
            // Somebody is fetching: what that brings is looked at first. Who still misses a key asks again.
            drop(entry.demanded.lock().await);
            return Ok(());
        };
        let now = self.clock.monotonic();
        if demanded.is_some_and(|last| now.since(last) < limits::UNKNOWN_KEY_FETCH) {
            return Ok(());
        }
        *demanded = Some(now);
        self.load_in_time(&issuer).await.map_err(LookupError::Unavailable)
    }

    /// A fetch from time to time, whoever else fetches.
    async fn renew(&self, issuer: &Issuer) -> Result<(), String> {
        let entry = self.entry(issuer);
        let _alone = match &entry {
            Some(entry) => Some(entry.demanded.lock().await),
            None => None,
        };
        self.load_in_time(issuer).await
    }

    async fn load_in_time(&self, issuer: &Issuer) -> Result<(), String> {
        let late = |_| Err("no answer in time".to_owned());
        tokio::time::timeout(PATIENCE, self.load(issuer)).await.unwrap_or_else(late)
    }

    async fn ask(
        self: Arc<Self>,
        issuer: Arc<Issuer>,
        token: Secret<String>,
    ) -> Result<(Introspection, Duration), LookupError> {
        if issuer.settings.source == KeySource::Own {
            return self.ask_own(&token).await;
        }
        let entry = self.entry(&issuer).ok_or_else(|| unavailable("no such issuer"))?;
        let book = || entry.questions.lock().unwrap_or_else(PoisonError::into_inner);
        let question = book().entry(token.expose().clone()).or_default().clone();
        let answer = question.get_or_init(|| self.question(&entry, token.clone())).await.clone();
        // Who comes now asks anew.
        let mut book = book();
        if book.get(token.expose()).is_some_and(|it| Arc::ptr_eq(it, &question)) {
            book.remove(token.expose());
        }
        answer
    }

    /// The authority in this process, about an opaque token of its own.
    ///
    /// INVARIANT: what comes back lives in the caches of shards for a minute, and every use of it is judged by the
    /// revocations that are in force then.
    async fn ask_own(
        &self,
        token: &Secret<String>,
    ) -> Result<(Introspection, Duration), LookupError> {
        let _place =
            self.own_asking.try_acquire().map_err(|_| unavailable("too many questions at once"))?;
        let found = self.own.introspect_own(token).await;
        let found = found.map_err(|error| unavailable(&error.to_string()))?;
        let answer = found.map_or(Introspection::Inactive, |claims| {
            Introspection::Active(Box::new(Introspected {
                claims,
                token_type: None,
                username: None,
            }))
        });
        Ok((answer, limits::VERIFIED_TTL))
    }

    async fn question(
        &self,
        entry: &Entry,
        token: Secret<String>,
    ) -> Result<(Introspection, Duration), LookupError> {
        let settings =
            entry.introspection.clone().ok_or_else(|| unavailable("it does not introspect"))?;
        let _place =
            entry.asking.try_acquire().map_err(|_| unavailable("too many questions at once"))?;
        let form = vec![
            ("token".to_owned(), token),
            ("token_type_hint".to_owned(), Secret::new("access_token".to_owned())),
        ];
        let request = FetchRequest {
            url: settings.url.as_str().to_owned(),
            form: Some(form),
            bearer: None,
            basic: Some((
                form_encoded(&settings.client_id),
                Secret::new(form_encoded(settings.client_secret.expose())),
            )),
            accept: "application/json",
            operator: true,
            timeout: ANSWER,
            max_bytes: limits::DOCUMENT_BYTES,
        };
        let answer =
            self.fetch.fetch(request).await.map_err(|error| unavailable(&error.to_string()))?;
        if answer.status != 200 {
            return Err(unavailable(&format!("status {}", answer.status)));
        }
        let answer =
            Introspection::parse(&answer.body).map_err(|error| unavailable(&error.to_string()))?;
        Ok((answer, settings.cache))
    }
}

fn unavailable(why: &str) -> LookupError {
    LookupError::Unavailable(why.to_owned())
}

/// The port that the shards ask through. The work runs on the control runtime, so that a caller who goes away
/// does not break off a fetch that others wait for.
#[derive(Debug, Clone)]
pub(super) struct Port(pub(super) Arc<Issuers>);

impl Lookups for Port {
    fn refresh(&self, issuer: Arc<Issuer>) -> BoxFuture<'_, Result<(), LookupError>> {
        let task = self.0.runtime.spawn(self.0.clone().demand(issuer));
        Box::pin(async move { joined(task.await) })
    }

    fn introspect(
        &self,
        issuer: Arc<Issuer>,
        token: Secret<String>,
    ) -> BoxFuture<'_, Result<(Introspection, Duration), LookupError>> {
        let task = self.0.runtime.spawn(self.0.clone().ask(issuer, token));
        Box::pin(async move { joined(task.await) })
    }
}

fn joined<T>(
    result: Result<Result<T, LookupError>, tokio::task::JoinError>,
) -> Result<T, LookupError> {
    result.unwrap_or_else(|error| Err(LookupError::Unavailable(error.to_string())))
}

/// Fetches the keys of all issuers of the policy in force, at the start and from time to time.
///
/// WHY: each issuer has a task of its own, so that one that is silent holds up no other.
pub(super) async fn keep(issuers: Arc<Issuers>, state: Arc<State>) {
    let mut kept: Vec<Kept> = Vec::new();
    loop {
        let policy = state.policy();
        // An issuer whose settings changed is a new object with empty keys: due at once.
        kept.retain(|kept| policy.issuers.iter().any(|issuer| Arc::ptr_eq(issuer, &kept.issuer)));
        for issuer in &policy.issuers {
            if !kept.iter().any(|kept| Arc::ptr_eq(issuer, &kept.issuer)) {
                let task = tokio::spawn(follow(issuers.clone(), issuer.clone()));
                kept.push(Kept { issuer: issuer.clone(), task });
            }
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// An issuer that is followed until this is dropped.
struct Kept {
    issuer: Arc<Issuer>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Fetches one issuer's keys for as long as it is in force.
async fn follow(issuers: Arc<Issuers>, issuer: Arc<Issuer>) {
    let name = &issuer.settings.name;
    let mut failing = false;
    loop {
        let result = issuers.renew(&issuer).await;
        let wait = match (&result, &issuer.settings.source) {
            (_, KeySource::File(_)) => FILE_EVERY,
            (Ok(()), _) => EVERY,
            _ => AGAIN,
        };
        if let Err(why) = &result
            && !failing
        {
            tracing::warn!(issuer = %name, why, "keys not fetched; known keys go on");
            let mut event = issuers.events.event(code::ISSUER_UNREACHABLE);
            event.outcome = Outcome::Error;
            event.issuer = Some(name.clone());
            event.detail = Some(why.clone().into());
            issuers.events.record(event);
        }
        failing = result.is_err();
        tokio::time::sleep(wait).await;
    }
}

/// Scheme, host and port of a URL as it is written.
fn origin(url: &str) -> &str {
    let start = url.find("://").map_or(0, |at| at + 3);
    let end = url.get(start..).and_then(|rest| rest.find('/')).map_or(url.len(), |at| start + at);
    url.get(..end).unwrap_or(url)
}

/// RFC 6749 §2.3.1: id and secret are form-encoded before they become HTTP Basic's user and password.
fn form_encoded(text: &str) -> String {
    use std::fmt::Write;
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'*' => {
                out.push(char::from(byte));
            }
            b' ' => out.push('+'),
            // Writing to a string cannot fail.
            _ => drop(write!(out, "%{byte:02X}")),
        }
    }
    out
}
