//! An issuer of tokens that serves discovery, keys and introspection, and that lies when it is told to.

use crate::jose::{Algorithm, Key, key_set};
use crate::upstream::{Answer, Seen, Upstream};
use base::{Clock, SystemClock};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// What the issuer is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Endpoint {
    /// `/.well-known/openid-configuration` and `/.well-known/oauth-authorization-server`.
    Discovery,
    /// `/jwks`.
    Keys,
    /// `/introspect` (RFC 7662).
    Introspection,
}

impl Endpoint {
    const ALL: [Self; 3] = [Self::Discovery, Self::Keys, Self::Introspection];

    fn of(path: &str) -> Option<Self> {
        match path {
            "/.well-known/openid-configuration" | "/.well-known/oauth-authorization-server" => {
                Some(Self::Discovery)
            }
            "/jwks" => Some(Self::Keys),
            "/introspect" => Some(Self::Introspection),
            _ => None,
        }
    }
}

/// How the issuer answers.
#[derive(Debug, Clone, PartialEq)]
pub enum Behaviour {
    /// As it should.
    Honest,
    /// With this status and an empty JSON object.
    Status(u16),
    /// With 200 and bytes that are no JSON.
    Garbage,
    /// Not at all.
    Silence,
    /// As it should, one byte at a time with this pause.
    Drip(Duration),
    /// With 200 and this document instead of the true one.
    Document(Value),
    /// With 200 and so many bytes.
    Huge(usize),
    /// With a redirection to this address.
    Redirect(String),
}

struct State {
    keys: Vec<Arc<Key>>,
    behaviour: HashMap<Endpoint, Behaviour>,
    introspection: HashMap<String, Value>,
    fetches: HashMap<Endpoint, u64>,
}

/// The issuer; its identifier is its address.
pub struct Issuer {
    server: Upstream,
    state: Arc<Mutex<State>>,
    tokens: AtomicU64,
}

impl std::fmt::Debug for Issuer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Issuer({})", self.url())
    }
}

impl Issuer {
    /// An honest issuer with one ES256 key, `k1`.
    pub fn start() -> Self {
        Self::with_keys([Key::generate(Algorithm::Es256, "k1")])
    }

    /// An honest issuer with these keys; the first signs.
    pub fn with_keys(keys: impl IntoIterator<Item = Key>) -> Self {
        let state = Arc::new(Mutex::new(State {
            keys: keys.into_iter().map(Arc::new).collect(),
            behaviour: HashMap::new(),
            introspection: HashMap::new(),
            fetches: HashMap::new(),
        }));
        let own = Arc::clone(&state);
        let server = Upstream::start(move |seen| answer(&own, seen));
        Self { server, state, tokens: AtomicU64::new(0) }
    }

    /// Its identifier (`iss`) and address.
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// Every request it got.
    pub fn requests(&self) -> Vec<Seen> {
        self.server.requests()
    }

    /// How often an endpoint was asked.
    pub fn fetches(&self, endpoint: Endpoint) -> u64 {
        self.state().fetches.get(&endpoint).copied().unwrap_or(0)
    }

    /// Behaves like this at every endpoint from now on.
    pub fn behave(&self, behaviour: Behaviour) {
        for endpoint in Endpoint::ALL {
            self.behave_at(endpoint, behaviour.clone());
        }
    }

    /// Behaves like this at one endpoint from now on.
    pub fn behave_at(&self, endpoint: Endpoint, behaviour: Behaviour) {
        self.state().behaviour.insert(endpoint, behaviour);
    }

    /// Publishes one more key; the first goes on signing.
    pub fn add_key(&self, key: Key) {
        self.state().keys.push(Arc::new(key));
    }

    /// Withdraws a key.
    pub fn remove_key(&self, kid: &str) {
        self.state().keys.retain(|key| key.kid() != kid);
    }

    /// Replaces all keys; the first signs.
    pub fn replace_keys(&self, keys: impl IntoIterator<Item = Key>) {
        self.state().keys = keys.into_iter().map(Arc::new).collect();
    }

    /// The key called `kid`.
    ///
    /// # Panics
    /// When there is none.
    pub fn key(&self, kid: &str) -> Arc<Key> {
        let state = self.state();
        Arc::clone(state.keys.iter().find(|key| key.kid() == kid).expect("a key of that id"))
    }

    /// Claims that any gate takes that knows this issuer and `audience`: valid for five minutes.
    pub fn claims(&self, audience: &str, scope: &str) -> Value {
        let now = SystemClock::new().now().seconds();
        let number = self.tokens.fetch_add(1, Ordering::SeqCst);
        json!({
            "iss": self.url(),
            "aud": audience,
            "sub": "alice",
            "client_id": "shop",
            "scope": scope,
            "iat": now,
            "exp": now + 300,
            "jti": format!("t{number}"),
        })
    }

    /// A token of those claims, signed with the first key.
    pub fn token(&self, audience: &str, scope: &str) -> String {
        self.sign(&self.claims(audience, scope))
    }

    /// A token of whatever claims, signed with the first key.
    ///
    /// # Panics
    /// When the issuer has no key.
    pub fn sign(&self, claims: &Value) -> String {
        let key = Arc::clone(self.state().keys.first().expect("a key"));
        key.token(claims)
    }

    /// Answers the introspection of `token` with `answer` from now on; any other token is inactive.
    pub fn introspects(&self, token: &str, answer: Value) {
        self.state().introspection.insert(token.to_owned(), answer);
    }

    /// An `[[issuer]]` of a gate's configuration that finds this issuer by discovery.
    pub fn config(&self, name: &str, audience: &str) -> String {
        format!(
            "[[issuer]]\nname = \"{name}\"\nissuer = \"{}\"\naudience = [\"{audience}\"]\n",
            self.url()
        )
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

fn answer(state: &Mutex<State>, seen: &Seen) -> Answer {
    let target = seen.target();
    let path = target.split('?').next().unwrap_or_default();
    let Some(endpoint) = Endpoint::of(path) else { return Answer::status(404, "") };
    let mut state = lock(state);
    *state.fetches.entry(endpoint).or_default() += 1;
    let behaviour = state.behaviour.get(&endpoint).cloned().unwrap_or(Behaviour::Honest);
    let truth = || Answer::json(200, &document(&state, endpoint, seen));
    match behaviour {
        Behaviour::Honest => truth(),
        Behaviour::Status(status) => Answer::json(status, &json!({})),
        Behaviour::Garbage => Answer::status(200, "\u{0}<html>{]"),
        Behaviour::Silence => Answer::Silence,
        Behaviour::Document(document) => Answer::json(200, &document),
        Behaviour::Huge(length) => Answer::status(200, &" ".repeat(length)),
        Behaviour::Redirect(to) => Answer::with(302, &[("location", &to)], b""),
        Behaviour::Drip(pause) => match truth() {
            Answer::Bytes(bytes) => Answer::Drip(bytes, pause),
            other => other,
        },
    }
}

fn document(state: &State, endpoint: Endpoint, seen: &Seen) -> Value {
    let url = format!("http://{}", seen.header("host").unwrap_or_default());
    match endpoint {
        Endpoint::Discovery => json!({
            "issuer": url,
            "jwks_uri": format!("{url}/jwks"),
            "introspection_endpoint": format!("{url}/introspect"),
            "authorization_endpoint": format!("{url}/authorize"),
            "token_endpoint": format!("{url}/token"),
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["ES256", "RS256"],
        }),
        Endpoint::Keys => key_set(state.keys.iter().map(AsRef::as_ref)),
        Endpoint::Introspection => {
            // Tokens of this kit need no escapes in a form.
            let form = String::from_utf8_lossy(&seen.body.kept).into_owned();
            let token = form.split('&').find_map(|pair| pair.strip_prefix("token="));
            token
                .and_then(|token| state.introspection.get(token).cloned())
                .unwrap_or_else(|| json!({ "active": false }))
        }
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}
