//! What most incidents need: a gate with an issuer before it and an upstream behind it, and a look for secrets at
//! the end of each test.

use serde_json::Value;
use std::cell::RefCell;
use std::path::Path;
use std::time::Duration;
use testkit::{Algorithm, Gate, Issuer, Key, RawClient, Response, Upstream};

/// How long anything that must happen soon may take on a busy machine.
pub(crate) const SOON: Duration = Duration::from_secs(10);

/// The audience of the standard routes.
pub(crate) const AUDIENCE: &str = "orders-api";

/// Four routes over one upstream: `/open` for everybody, `/api` with the scope `read`, `/admin` with the scope
/// `admin`, `/keys` for API keys with the scope `read`.
pub(crate) const ROUTES: &str = r#"
[[route]]
name = "open"
path = "/open/{**}"
upstream = "orders"
access = "public"

[[route]]
name = "api"
path = "/api/{**}"
upstream = "orders"
access = { jwt = { issuer = "corp", scopes = ["read"] } }

[[route]]
name = "admin"
path = "/admin/{**}"
upstream = "orders"
access = { jwt = { issuer = "corp", scopes = ["admin"] } }

[[route]]
name = "keys"
path = "/keys/{**}"
upstream = "orders"
access = { api_key = { scopes = ["read"] } }
"#;

/// A gate between an issuer and an upstream.
///
/// Whatever the test is about: when it ends well, none of the credentials that it used stands in any file that the
/// gate wrote, nor in what it printed.
pub(crate) struct Stage {
    pub(crate) gate: Gate,
    pub(crate) issuer: Issuer,
    pub(crate) upstream: Upstream,
    secrets: RefCell<Vec<String>>,
}

impl Stage {
    /// The standard routes, and tokens of an ES256 key `k1` and an RS256 key `r1`.
    pub(crate) fn standard() -> Self {
        Self::of("", ROUTES)
    }

    /// The standard issuer and upstream, with the test's own listener lines and routes.
    pub(crate) fn of(listener: &str, routes: &str) -> Self {
        Self::with(Upstream::ok(), listener, routes)
    }

    /// The same over an upstream of the test's own.
    pub(crate) fn with(upstream: Upstream, listener: &str, routes: &str) -> Self {
        let keys = [Key::generate(Algorithm::Es256, "k1"), Key::generate(Algorithm::Rs256, "r1")];
        let issuer = Issuer::with_keys(keys);
        let rest = format!(
            "{}algorithms = [\"ES256\", \"RS256\"]\n\n{}\n{routes}",
            issuer.config("corp", AUDIENCE),
            service(&upstream, ""),
        );
        let gate = Gate::builder()
            .listener(listener)
            .rest(&format!(
                "[log]\nlevel = \"debug\"\naccess = {{ file = \"access.log\" }}\n{rest}"
            ))
            .start();
        let stage = Self { gate, issuer, upstream, secrets: RefCell::default() };
        stage.settle();
        stage
    }

    /// Waits until the issuer's keys are there, so that no test races with the first fetch.
    fn settle(&self) {
        testkit::wait::until(SOON, "the issuer's keys", || {
            self.issuer.fetches(testkit::Endpoint::Keys) > 0
        });
    }

    /// A good token with this scope.
    pub(crate) fn token(&self, scope: &str) -> String {
        self.secret(self.issuer.token(AUDIENCE, scope))
    }

    /// Remembers a credential of the test.
    pub(crate) fn secret(&self, credential: String) -> String {
        self.secrets.borrow_mut().push(credential.clone());
        credential
    }

    /// An API key with this scope.
    pub(crate) fn key(&self, scope: &str) -> String {
        let made = self.gate.done(&["key", "create", "--name", "test", "--scope", scope]);
        self.secret(made["key"].as_str().expect("a key").to_owned())
    }

    /// GET of `path` with `token` as bearer.
    pub(crate) fn get(&self, path: &str, token: &str) -> Response {
        self.gate.get(path, &[("authorization", &format!("Bearer {token}"))])
    }

    /// A connection to the gate.
    pub(crate) fn connect(&self) -> RawClient {
        RawClient::connect(&self.gate.address())
    }

    /// That not one request has come through.
    #[track_caller]
    pub(crate) fn untouched(&self) {
        let seen: Vec<String> = self.upstream.requests().iter().map(|seen| seen.line()).collect();
        assert!(seen.is_empty(), "the upstream saw {seen:?}");
    }

    /// That all is well with a good credential: whatever was refused before was refused for its own sake.
    #[track_caller]
    pub(crate) fn alive(&self) {
        let answer = self.get("/api/alive", &self.token("read"));
        assert_eq!(answer.status, 200, "{}", answer.text());
    }

    fn look_for_secrets(&self) {
        let secrets = self.secrets.borrow();
        let marks: Vec<&str> = secrets.iter().flat_map(|secret| marks(secret)).collect();
        let mut found = Vec::new();
        search(self.gate.folder(), &marks, &mut found);
        for line in self.gate.printed() {
            if marks.iter().any(|mark| line.contains(mark)) {
                found.push("standard output".to_owned());
            }
        }
        assert!(found.is_empty(), "a credential stands in {found:?}");
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let log = self.gate.log();
            assert!(!log.contains("panicked"), "the gate panicked:\n{log}");
            self.look_for_secrets();
        }
    }
}

/// An `[[upstream]]` called `orders`, with further lines.
pub(crate) fn service(upstream: &Upstream, lines: &str) -> String {
    format!("[[upstream]]\nname = \"orders\"\nservers = [\"{}\"]\n{lines}\n", upstream.url())
}

/// The parts of a credential that nobody may find: the last of its parts is the signature of a token and the secret
/// of a key; what is too short to be told from other text does not count.
fn marks(secret: &str) -> impl Iterator<Item = &str> {
    let last = secret.rsplit(['.', '_']).next().unwrap_or_default();
    [secret, last].into_iter().filter(|mark| mark.len() >= 16)
}

/// Looks through every file under `folder` but the configuration.
fn search(folder: &Path, marks: &[&str], found: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            search(&path, marks, found);
            continue;
        }
        let is_config = path.extension().is_some_and(|extension| extension == "toml");
        let bytes = std::fs::read(&path).unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes);
        if !is_config && marks.iter().any(|mark| text.contains(mark)) {
            found.push(path.display().to_string());
        }
    }
}

/// What a refusal must look like, whatever it is about (RFC 9457 §3); its code.
#[track_caller]
pub(crate) fn problem(answer: &Response) -> String {
    let body: Value = answer.json();
    assert_eq!(answer.header("content-type"), Some("application/problem+json"), "{answer:?}");
    assert_eq!(body["status"], answer.status, "{answer:?}");
    assert_eq!(answer.header("x-request-id"), body["request_id"].as_str(), "{answer:?}");
    for member in ["type", "title", "code", "request_id"] {
        assert!(body[member].as_str().is_some_and(|text| !text.is_empty()), "{member}: {body}");
    }
    answer.code()
}

/// That an answer is a refusal with this status and code.
#[track_caller]
pub(crate) fn refused(answer: &Response, status: u16, code: &str) {
    assert_eq!((answer.status, problem(answer).as_str()), (status, code), "{}", answer.text());
}
