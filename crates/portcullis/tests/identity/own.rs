//! Tokens of the built-in authority at the gate: scopes, audience, revocation; JWTs and opaque ones.

use crate::setup::*;
use serde_json::Value;
use testkit::jose::b64;
use testkit::{Gate, Response, Upstream, wait};

/// A client of the authority.
pub(crate) struct Client {
    pub(crate) id: String,
    secret: String,
}

impl Client {
    /// A client that acts for itself, with these scopes.
    pub(crate) fn new(gate: &Gate, name: &str, more: &[&str]) -> Self {
        let args = ["client", "create", "--name", name, "--grant", "client_credentials"];
        let made = gate.done(&[&args, more].concat());
        let text = |field: &str| made[field].as_str().expect("a text").to_owned();
        Self { id: text("client_id"), secret: text("client_secret") }
    }

    /// POST of a form to an endpoint of the authority, with further headers.
    pub(crate) fn post(
        &self,
        gate: &Gate,
        endpoint: &str,
        form: &str,
        headers: &[(&str, &str)],
    ) -> Response {
        let basic = format!("Basic {}", basic(&self.id, &self.secret));
        let own = [
            ("authorization", basic.as_str()),
            ("content-type", "application/x-www-form-urlencoded"),
        ];
        let url = gate.control() + endpoint;
        testkit::request("POST", &url, &[&own, headers].concat(), form.as_bytes())
    }

    /// An access token with this scope.
    pub(crate) fn token(&self, gate: &Gate, scope: &str) -> String {
        let form = format!("grant_type=client_credentials&scope={scope}");
        let answer = self.post(gate, "/oauth/token", &form, &[]);
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()["access_token"].as_str().expect("a token").to_owned()
    }
}

/// RFC 7617 §2. What the authority makes needs no form encoding.
fn basic(id: &str, secret: &str) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(format!("{id}:{secret}"))
}

/// A gate whose routes take tokens of `self`.
fn start() -> (Gate, Upstream) {
    let up = Upstream::ok();
    let config = upstream(&up)
        + &route("read", "/read/{**}", &jwt("self", "read"))
        + &route("write", "/write/{**}", &jwt("self", "write"));
    (Gate::start(&config), up)
}

const FORMATS: [&str; 2] = ["jwt", "opaque"];

#[test]
fn a_token_of_the_authority_passes_and_its_scope_and_audience_count() {
    let (gate, up) = start();
    for format in FORMATS {
        let name = format!("job-{format}");
        let more = ["--scope", "read", "--scope", "write", "--token-format", format];
        let client = Client::new(&gate, &name, &more);
        let token = client.token(&gate, "read");
        assert_eq!(token.starts_with("pca_"), format == "opaque");
        for round in 0..2 {
            assert_eq!(answer(&gate, "/read/x", &token), passed(), "{format} {round}");
            let seen = up.last();
            assert_eq!(seen.header("portcullis-client"), Some(client.id.clone()), "{format}");
            assert_eq!(seen.header("portcullis-scopes").as_deref(), Some("read"), "{format}");
            assert_eq!(seen.header("authorization"), None, "{format}");
        }
        // The other route is another resource, so the token is not for it; one for both lacks its scope.
        assert_eq!(answer(&gate, "/write/x", &token), refused(401, "token.wrong_audience"));
        let base = format!("http://{}", gate.address());
        let both = format!("read&resource={base}/read/&resource={base}/write/");
        let token = client.token(&gate, &both);
        assert_eq!(answer(&gate, "/read/x", &token), passed(), "{format}");
        let short = get(&gate, "/write/x", &token);
        assert_eq!(said(&short), refused(403, "scope.missing"), "{format}");
        let challenge = short.header("www-authenticate").expect("a challenge");
        for part in [
            "error=\"insufficient_scope\"".to_owned(),
            "scope=\"write\"".to_owned(),
            format!("resource_metadata=\"{base}/.well-known/oauth-protected-resource/write/\""),
        ] {
            assert!(challenge.contains(&part), "{part} in {challenge}");
        }
    }
    // Nothing that only looks like one.
    let unknown = format!("pca_{}", b64([7; 32]));
    assert_eq!(answer(&gate, "/read/x", &unknown), refused(401, "token.inactive"));
}

#[test]
fn a_token_that_is_given_back_is_dead_within_a_second() {
    let (gate, _up) = start();
    for format in FORMATS {
        let more = ["--scope", "read", "--token-format", format];
        let client = Client::new(&gate, &format!("job-{format}"), &more);
        let (token, other) = (client.token(&gate, "read"), client.token(&gate, "read"));
        // Warm on every shard.
        for seen in everywhere(&gate, "/read/x", &token) {
            assert_eq!(seen, passed(), "{format}");
        }
        let given_back = client.post(&gate, "/oauth/revoke", &format!("token={token}"), &[]);
        assert_eq!(given_back.status, 200, "{}", given_back.text());
        dead(&gate, &token, format);
        assert_eq!(answer(&gate, "/read/x", &other), passed(), "{format}");
    }
}

/// Waits at most a second until a token is dead, and looks whether it is so everywhere. A shard that has not seen an
/// opaque token hears from the authority that it is not active; one that has, judges it by the revocation.
fn dead(gate: &Gate, token: &str, what: &str) {
    let mut expect = vec![refused(401, "token.revoked")];
    if what == "opaque" {
        expect.push(refused(401, "token.inactive"));
    }
    let ended = || expect.contains(&answer(gate, "/read/x", token));
    wait::until(second(), "the end of a token", ended);
    for seen in everywhere(gate, "/read/x", token) {
        assert!(expect.contains(&seen), "{what}: {seen:?}");
    }
}

#[test]
fn what_a_disabled_client_has_is_dead_within_a_second() {
    let (gate, _up) = start();
    for format in FORMATS {
        let more = ["--scope", "read", "--token-format", format];
        let client = Client::new(&gate, &format!("job-{format}"), &more);
        let token = client.token(&gate, "read");
        for seen in everywhere(&gate, "/read/x", &token) {
            assert_eq!(seen, passed(), "{format}");
        }
        gate.done(&["client", "disable", &client.id]);
        dead(&gate, &token, format);
        let form = "grant_type=client_credentials&scope=read";
        let again = client.post(&gate, "/oauth/token", form, &[]);
        assert_eq!(again.json()["error"], Value::from("invalid_client"), "{}", again.text());
    }
}
