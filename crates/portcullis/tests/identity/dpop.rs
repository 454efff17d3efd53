//! Proof of possession (RFC 9449) at the gate: tokens of the authority and of others.

use crate::own::Client;
use crate::setup::*;
use serde_json::{Value, json};
use std::sync::atomic::{AtomicU64, Ordering};
use testkit::jose::{Algorithm, Key, b64, sha256};
use testkit::{Gate, Issuer, Response, Upstream};

/// A client's key, and the proofs that it makes.
pub(crate) struct Holder {
    key: Key,
    made: AtomicU64,
}

impl Holder {
    pub(crate) fn new() -> Self {
        Self { key: Key::generate(Algorithm::Es256, "own"), made: AtomicU64::new(0) }
    }

    /// RFC 9449 §4.2: only what the key needs.
    fn jwk(&self) -> Value {
        let jwk = self.key.jwk();
        json!({"crv": jwk["crv"], "kty": jwk["kty"], "x": jwk["x"], "y": jwk["y"]})
    }

    /// RFC 7638 §3: the members in their order, without white space.
    pub(crate) fn thumbprint(&self) -> String {
        b64(sha256(self.jwk().to_string().as_bytes()))
    }

    fn claims(&self, method: &str, uri: &str, token: Option<&str>) -> Value {
        let jti = format!("proof-{}", self.made.fetch_add(1, Ordering::Relaxed));
        let mut claims = json!({"jti": jti, "htm": method, "htu": uri, "iat": now()});
        if let Some(token) = token {
            claims["ath"] = b64(sha256(token.as_bytes())).into();
        }
        claims
    }

    fn sign(&self, claims: &Value) -> String {
        let header = json!({"typ": "dpop+jwt", "alg": "ES256", "jwk": self.jwk()});
        self.key.token_with(&header, claims)
    }

    pub(crate) fn proof(&self, method: &str, uri: &str, token: Option<&str>) -> String {
        self.sign(&self.claims(method, uri, token))
    }
}

struct Stage {
    gate: Gate,
    up: Upstream,
    issuer: Issuer,
    holder: Holder,
}

impl Stage {
    fn start() -> Self {
        let (up, issuer) = (Upstream::ok(), Issuer::start());
        let access = "access = { any = [{ jwt = { issuer = \"self\", scopes = [\"read\"] } }, \
                      { jwt = { issuer = \"corp\", scopes = [\"read\"] } }] }";
        let config = issuer.config("corp", AUDIENCE)
            + &upstream(&up)
            + &route("read", "/read/{**}", access)
            + &route("hosted", "/{**}", &format!("host = \"*.example\"\n{access}"))
            + &route("through", "/through/{**}", &format!("forward_credential = true\n{access}"));
        let gate = Gate::start(&config);
        keys_known(&gate, 1);
        Self { gate, up, issuer, holder: Holder::new() }
    }

    /// The URL of a path as callers write it.
    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.gate.address())
    }

    /// A token of the foreign issuer that is bound to the holder's key.
    fn foreign(&self) -> String {
        let mut claims = self.issuer.claims(AUDIENCE, "read");
        claims["cnf"] = json!({"jkt": self.holder.thumbprint()});
        self.issuer.sign(&claims)
    }

    /// A token of the authority, asked for with a proof.
    fn own(&self, format: &str) -> String {
        let more = ["--scope", "read", "--token-format", format];
        let client = Client::new(&self.gate, &format!("job-{format}"), &more);
        let url = self.gate.control() + "/oauth/token";
        let form = "grant_type=client_credentials&scope=read";
        let mut claims = self.holder.claims("POST", &url, None);
        let ask = |claims: &Value| {
            let proof = self.holder.sign(claims);
            client.post(&self.gate, "/oauth/token", form, &[("dpop", &proof)])
        };
        // RFC 9449 §8: the authority asks for its nonce first.
        let first = ask(&claims);
        claims["jti"] = json!(format!("with-nonce-{format}"));
        claims["nonce"] = json!(first.header("dpop-nonce").expect("a nonce"));
        let document = ask(&claims).json();
        assert_eq!(document["token_type"], "DPoP", "{document}");
        document["access_token"].as_str().expect("a token").to_owned()
    }

    fn call(&self, path: &str, token: &str, proofs: &[&str]) -> Response {
        let authorization = format!("DPoP {token}");
        let mut headers = vec![("authorization", authorization.as_str())];
        headers.extend(proofs.iter().map(|proof| ("dpop", *proof)));
        self.gate.get(path, &headers)
    }

    fn said(&self, token: &str, proofs: &[&str]) -> (u16, String) {
        said(&self.call("/read/x", token, proofs))
    }
}

#[test]
fn rfc9449_s7_1_a_bound_token_passes_with_a_fresh_proof_each_time() {
    let stage = Stage::start();
    let url = stage.url("/read/x");
    for (what, token) in
        [("foreign", stage.foreign()), ("jwt", stage.own("jwt")), ("opaque", stage.own("opaque"))]
    {
        let fresh = || stage.holder.proof("GET", &url, Some(&token));
        for round in 0..3 {
            assert_eq!(stage.said(&token, &[&fresh()]), passed(), "{what} {round}");
            let seen = stage.up.last();
            assert_eq!((seen.header("dpop"), seen.header("authorization")), (None, None), "{what}");
        }
        let count = stage.up.count();
        let used = fresh();
        assert_eq!(stage.said(&token, &[&used]), passed(), "{what}");
        // From whichever shard.
        for _ in 0..8 {
            assert_eq!(stage.said(&token, &[&used]), refused(401, "dpop.replayed"), "{what}");
        }
        assert_eq!(answer(&stage.gate, "/read/x", &token), refused(401, "token.proof_missing"));
        let proof = fresh();
        let bearer = [("authorization", format!("Bearer {token}")), ("dpop", proof)];
        let bearer: Vec<_> = bearer.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let stolen = stage.gate.get("/read/x", &bearer);
        assert_eq!(said(&stolen), refused(401, "token.proof_missing"), "{what}");
        assert!(stolen.values("www-authenticate")[0].contains("error=\"invalid_token\""));
        assert_eq!(stage.said(&token, &[]), refused(401, "dpop.missing"), "{what}");
        assert_eq!(stage.said(&token, &[&fresh(), &fresh()]), refused(401, "dpop.invalid"));
        assert_eq!(stage.up.count(), count + 1, "{what}");
    }
}

#[test]
fn rfc9449_s4_3_a_proof_for_anything_else_is_refused() {
    let stage = Stage::start();
    let (token, url) = (stage.foreign(), stage.url("/read/x"));
    let count = stage.up.count();
    let with = |name: &str, value: Value| {
        let mut claims = stage.holder.claims("GET", &url, Some(&token));
        claims[name] = value;
        stage.holder.sign(&claims)
    };
    let other = Holder::new();
    for (what, proof, code) in [
        ("method", with("htm", json!("POST")), "dpop.wrong_request"),
        ("path", with("htu", json!(stage.url("/read/y"))), "dpop.wrong_request"),
        ("case", with("htu", json!(stage.url("/READ/x"))), "dpop.wrong_request"),
        ("scheme", with("htu", json!(url.replace("http:", "https:"))), "dpop.wrong_request"),
        ("no scheme", with("htu", json!(stage.gate.address() + "/read/x")), "dpop.wrong_request"),
        (
            "localhost",
            with("htu", json!(url.replace("127.0.0.1", "localhost"))),
            "dpop.wrong_request",
        ),
        ("host", with("htu", json!("http://evil.example/read/x")), "dpop.wrong_request"),
        ("token", with("ath", json!(b64(sha256(b"another")))), "dpop.wrong_token"),
        ("no token", stage.holder.proof("GET", &url, None), "dpop.wrong_token"),
        ("old", with("iat", json!(now() - 120)), "dpop.stale"),
        ("future", with("iat", json!(now() + 60)), "dpop.stale"),
        ("no id", with("jti", json!("")), "dpop.invalid"),
        ("garbage", "garbage".to_owned(), "dpop.invalid"),
        ("key", other.proof("GET", &url, Some(&token)), "dpop.wrong_key"),
    ] {
        let refusal = stage.call("/read/x", &token, &[&proof]);
        assert_eq!(said(&refusal), refused(401, code), "{what}");
        let challenge = refusal.values("www-authenticate")[1];
        let error = if what == "key" { "invalid_token" } else { "invalid_dpop_proof" };
        assert!(challenge.starts_with("DPoP algs=\""), "{challenge}");
        assert!(challenge.contains(&format!("error=\"{error}\"")), "{what}: {challenge}");
    }
    let unbound = stage.issuer.token(AUDIENCE, "read");
    let proof = stage.holder.proof("GET", &url, Some(&unbound));
    assert_eq!(stage.said(&unbound, &[&proof]), refused(401, "dpop.not_bound"));
    assert_eq!(stage.up.count(), count);
    // The query is no part of the URL that is proven.
    let proof = stage.holder.proof("GET", &url, Some(&token));
    assert_eq!(said(&stage.call("/read/x?page=2", &token, &[&proof])), passed());
}

#[test]
fn rfc9449_s11_1_of_many_uses_of_one_proof_at_once_one_passes() {
    let stage = Stage::start();
    let (token, address) = (stage.foreign(), stage.gate.address());
    for round in 0..5 {
        let authorization = format!("DPoP {token}");
        let proof = stage.holder.proof("GET", &stage.url("/read/x"), Some(&token));
        let headers = [("authorization", authorization.as_str()), ("dpop", proof.as_str())];
        let call = || said(&testkit::get(&format!("{address}/read/x"), &headers));
        let answers: Vec<_> = std::thread::scope(|scope| {
            let calls: Vec<_> = (0..16).map(|_| scope.spawn(call)).collect();
            calls.into_iter().map(|call| call.join().expect("an answer")).collect()
        });
        let first = answers.iter().filter(|answer| **answer == passed()).count();
        let again = refused(401, "dpop.replayed");
        let later = answers.iter().filter(|answer| **answer == again).count();
        assert_eq!((first, later), (1, 15), "{round}: {answers:?}");
    }
}

#[test]
fn a_route_of_a_host_is_proven_for_that_host() {
    let stage = Stage::start();
    let token = stage.foreign();
    let authorization = format!("DPoP {token}");
    for (host, expect) in
        [("a.example", passed()), ("b.example", refused(401, "dpop.wrong_request"))]
    {
        let url = stage.url("/x").replace("127.0.0.1", "a.example");
        let proof = stage.holder.proof("GET", &url, Some(&token));
        let headers = [("authorization", authorization.as_str()), ("dpop", &proof)];
        assert_eq!(said(&get_at(&stage.gate, host, "/x", &headers)), expect, "{host}");
    }
}

#[test]
fn this_machine_has_several_names() {
    let stage = Stage::start();
    let token = stage.foreign();
    let authorization = format!("DPoP {token}");
    let url = stage.url("/read/x").replace("127.0.0.1", "localhost");
    for (host, expect) in [
        ("localhost", passed()),
        ("127.0.0.1", refused(401, "dpop.wrong_request")),
        ("evil.test", refused(401, "dpop.wrong_request")),
    ] {
        let proof = stage.holder.proof("GET", &url, Some(&token));
        let headers = [("authorization", authorization.as_str()), ("dpop", &proof)];
        assert_eq!(said(&get_at(&stage.gate, host, "/read/x", &headers)), expect, "{host}");
    }
    // A name that is not this machine's is no name of a listener that is, whatever the proof says.
    let url = stage.url("/read/x").replace("127.0.0.1", "evil.test");
    let proof = stage.holder.proof("GET", &url, Some(&token));
    let headers = [("authorization", authorization.as_str()), ("dpop", &proof)];
    let evil = get_at(&stage.gate, "evil.test", "/read/x", &headers);
    assert_eq!(said(&evil), refused(401, "dpop.wrong_request"));
}

#[test]
fn token_and_proof_go_on_only_where_the_route_says_so() {
    let stage = Stage::start();
    let (token, url) = (stage.foreign(), stage.url("/through/x"));
    let proof = stage.holder.proof("GET", &url, Some(&token));
    assert_eq!(said(&stage.call("/through/x", &token, &[&proof])), passed());
    let seen = stage.up.last();
    assert_eq!(seen.header("dpop"), Some(proof));
    assert_eq!(seen.header("authorization"), Some(format!("DPoP {token}")));
}

#[test]
fn a_bound_token_that_is_blocked_is_dead_whatever_is_proven() {
    let stage = Stage::start();
    let (token, url) = (stage.foreign(), stage.url("/read/x"));
    let fresh = || stage.holder.proof("GET", &url, Some(&token));
    assert_eq!(stage.said(&token, &[&fresh()]), passed());
    let jti = testkit::jose::unb64(token.split('.').nth(1).expect("claims"));
    let claims: Value = serde_json::from_slice(&jti).expect("claims");
    let jti = claims["jti"].as_str().expect("a jti");
    stage.gate.done(&["block", "token", jti]);
    assert_eq!(stage.said(&token, &[&fresh()]), refused(401, "token.revoked"));
}

fn asked(dpop: &str) -> Stage {
    let (up, issuer) = (Upstream::ok(), Issuer::start());
    let access = "access = { any = [{ jwt = { issuer = \"self\", scopes = [\"read\"] } }, \
                  { jwt = { issuer = \"corp\", scopes = [\"read\"] } }, \
                  { api_key = { scopes = [\"read\"] } }] }";
    let config = issuer.config("corp", AUDIENCE)
        + &upstream(&up)
        + &route("read", "/read/{**}", &format!("dpop = \"{dpop}\"\n{access}"))
        + &route("open", "/open/{**}", access);
    let gate = Gate::start(&config);
    keys_known(&gate, 1);
    Stage { gate, up, issuer, holder: Holder::new() }
}

#[test]
fn a_route_may_insist_on_possession() {
    let stage = asked("required");
    let (url, bound) = (stage.url("/read/x"), stage.foreign());
    let bare = stage.issuer.token(AUDIENCE, "read");
    let (_, key) = key(&stage.gate, "a", "read");
    for (what, token) in [("token", &bare), ("key", &key)] {
        assert_eq!(answer(&stage.gate, "/open/x", token), passed(), "{what}");
        let refusal = stage.gate.get("/read/x", &[("authorization", &format!("Bearer {token}"))]);
        assert_eq!(said(&refusal), refused(401, "dpop.required"), "{what}");
        assert!(refusal.values("www-authenticate")[1].contains("error=\"invalid_token\""));
    }
    let by_header = stage.gate.get("/read/x", &[("x-api-key", &key)]);
    assert_eq!(said(&by_header), refused(401, "dpop.required"));
    assert_eq!(said(&stage.gate.get("/read/x", &[])), refused(401, "credential.missing"));
    // A stolen key rides on nobody's proof.
    let mut weak = stage.issuer.claims(AUDIENCE, "other");
    weak["cnf"] = json!({"jkt": stage.holder.thumbprint()});
    let weak = stage.issuer.sign(&weak);
    for beside in [None, Some(("x-api-key", key.as_str()))] {
        let proof = stage.holder.proof("GET", &url, Some(&weak));
        let authorization = format!("DPoP {weak}");
        let mut headers = vec![("authorization", authorization.as_str()), ("dpop", &proof)];
        headers.extend(beside);
        let said = said(&stage.gate.get("/read/x", &headers));
        assert_eq!(said, refused(403, "scope.missing"), "{beside:?}");
    }
    let passing = stage.call("/read/x", &bound, &[&stage.holder.proof("GET", &url, Some(&bound))]);
    assert_eq!((said(&passing), passing.header("dpop-nonce")), (passed(), None));
    // RFC 9728 §2
    for (path, expect) in [("read", json!(true)), ("open", Value::Null)] {
        let document =
            stage.gate.get(&format!("/.well-known/oauth-protected-resource/{path}"), &[]).json();
        assert_eq!(document["dpop_bound_access_tokens_required"], expect, "{document}");
    }
}

#[test]
fn rfc9449_s9_a_route_may_ask_for_its_own_nonce() {
    let stage = asked("nonce");
    let (url, token) = (stage.url("/read/x"), stage.foreign());
    let with = |nonce: Value| {
        let mut claims = stage.holder.claims("GET", &url, Some(&token));
        claims["nonce"] = nonce;
        stage.call("/read/x", &token, &[&stage.holder.sign(&claims)])
    };
    let plain = stage.holder.proof("GET", &url, Some(&token));
    let first = stage.call("/read/x", &token, &[&plain]);
    assert_eq!(said(&first), refused(401, "dpop.nonce"));
    let challenge = first.values("www-authenticate")[1];
    assert!(challenge.contains("error=\"use_dpop_nonce\""), "{challenge}");
    let nonce = first.header("dpop-nonce").expect("a nonce").to_owned();
    let authority = {
        let client = Client::new(&stage.gate, "asks", &["--scope", "read"]);
        let to = stage.gate.control() + "/oauth/token";
        let proof = stage.holder.proof("POST", &to, None);
        let form = "grant_type=client_credentials&scope=read";
        let answer = client.post(&stage.gate, "/oauth/token", form, &[("dpop", &proof)]);
        answer.header("dpop-nonce").expect("a nonce").to_owned()
    };
    assert_ne!(nonce, authority, "one is not taken for the other");
    for made_up in [json!("made-up"), json!(""), json!(authority), json!(7), json!([nonce.clone()])]
    {
        let refusal = with(made_up.clone());
        assert_eq!(refusal.status, 401, "{made_up}");
        assert!(refusal.header("dpop-nonce").is_some(), "{made_up}");
    }
    assert_eq!(stage.up.count(), 0);
    let second = with(json!(nonce));
    assert_eq!(said(&second), passed());
    // RFC 9449 §8.2: the answer brings the next one; who sends no proof gets none.
    assert!(second.header("dpop-nonce").is_some_and(|next| !next.is_empty()));
    assert_eq!(stage.gate.get("/read/x", &[]).header("dpop-nonce"), None);
}
