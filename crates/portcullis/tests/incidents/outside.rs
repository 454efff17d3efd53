//! Incidents of whatever the gate asks of others: no answer, and no wrong one, opens the door.

use crate::stage::{SOON, problem};
use serde_json::{Value, json};
use std::time::Duration;
use testkit::{
    Algorithm, Behaviour, Endpoint, Gate, Issuer, Key, RawClient, Response, Upstream, free_port,
    jose, wait,
};

/// A gate that knows an issuer's keys by discovery, by their address, and an issuer of opaque tokens.
struct Asking {
    gate: Gate,
    issuer: Issuer,
    upstream: Upstream,
}

impl Asking {
    fn start(behaviour: Behaviour) -> Self {
        let issuer = Issuer::start();
        issuer.behave(behaviour);
        let upstream = Upstream::ok();
        let gate = Gate::start(&config(&issuer.url(), &upstream));
        Self { gate, issuer, upstream }
    }

    fn get(&self, path: &str, token: &str) -> Response {
        let mut client = RawClient::connect(&self.gate.address());
        // Two questions of five seconds each, and something for a busy machine.
        client.patience(SOON * 2);
        client.exchange(format!(
            "GET {path} HTTP/1.1\r\nHost: gate\r\nAuthorization: Bearer {token}\r\n\r\n"
        ))
    }

    /// That a request is refused and the upstream left alone.
    #[track_caller]
    fn refuses(&self, path: &str, token: &str, what: &str) -> String {
        let answer = self.get(path, token);
        assert!(matches!(answer.status, 401 | 503), "{what}: {} {}", answer.status, answer.text());
        assert!(!answer.text().contains(token), "{what}: the token came back");
        assert_eq!(self.upstream.count(), 0, "{what}: the upstream was reached");
        problem(&answer)
    }
}

fn config(url: &str, upstream: &Upstream) -> String {
    let route = |name: &str| {
        format!(
            "[[route]]\nname = \"{name}\"\npath = \"/{name}/{{**}}\"\nupstream = \"orders\"\n\
             access = {{ jwt = {{ issuer = \"{name}\", scopes = [\"read\"] }} }}\n"
        )
    };
    format!(
        "[[issuer]]\nname = \"signed\"\nissuer = \"{url}\"\naudience = [\"orders-api\"]\n\
         [[issuer]]\nname = \"opaque\"\nissuer = \"{url}/opaque\"\naudience = [\"orders-api\"]\nalgorithms = []\n\
         introspection = {{ url = \"{url}/introspect\", client_id = \"gate\", client_secret = \"0123456789abcdef\" }}\n\
         [[upstream]]\nname = \"orders\"\nservers = [\"{}\"]\n{}{}",
        upstream.url(),
        route("signed"),
        route("opaque"),
    )
}

/// What an issuer says of a live token.
fn active(issuer: &Issuer) -> Value {
    let mut claims = issuer.claims("orders-api", "read");
    claims["active"] = json!(true);
    claims["iss"] = json!(format!("{}/opaque", issuer.url()));
    claims
}

/// Whatever comes back at once and is no proper answer.
fn nonsense() -> Vec<Behaviour> {
    let mut all: Vec<Behaviour> =
        [204, 301, 401, 403, 404, 500, 503].into_iter().map(Behaviour::Status).collect();
    all.extend([
        Behaviour::Garbage,
        Behaviour::Huge(300 * 1024),
        Behaviour::Huge(8 * 1024 * 1024),
        Behaviour::Redirect("http://127.0.0.1:9/".to_owned()),
    ]);
    all
}

/// Row 18: ingress-nginx CVE-2026-24513. Introspection that fails, in each way.
#[test]
fn incident_18_introspection_fails() {
    let stage = Asking::start(Behaviour::Honest);
    for (number, behaviour) in nonsense().into_iter().enumerate() {
        stage.issuer.behave_at(Endpoint::Introspection, behaviour.clone());
        let token = format!("opaque-{number}");
        stage.issuer.introspects(&token, active(&stage.issuer));
        for _ in 0..2 {
            let code = stage.refuses("/opaque/x", &token, &format!("{behaviour:?}"));
            assert_eq!(code, "issuer.unavailable", "{behaviour:?}");
        }
    }
    stage.issuer.behave(Behaviour::Honest);
    stage.issuer.introspects("good", active(&stage.issuer));
    let answer = stage.get("/opaque/x", "good");
    assert_eq!(answer.status, 200, "{}", answer.text());
    // A failure is not remembered as an answer.
    assert_eq!(stage.get("/opaque/x", "opaque-3").status, 200);
}

/// Row 18: introspection that answers something else than the truth.
#[test]
fn incident_18_introspection_lies() {
    let stage = Asking::start(Behaviour::Honest);
    let good = active(&stage.issuer);
    let with = |name: &str, value: Value| {
        let mut changed = good.clone();
        changed[name] = value;
        changed
    };
    let now = good["iat"].as_i64().expect("a time");
    let documents = [
        json!(null),
        json!([]),
        json!("active"),
        json!(true),
        json!(1),
        json!({}),
        json!([good]),
        json!({ "error": "invalid_client" }),
        json!({ "ACTIVE": true, "sub": "alice" }),
        with("active", json!(false)),
        with("active", json!(null)),
        with("active", json!("true")),
        with("active", json!("false")),
        with("active", json!(1)),
        with("active", json!([true])),
        with("exp", json!(now - 60)),
        with("exp", json!("9999999999")),
        with("exp", json!([now + 60])),
        with("nbf", json!(now + 600)),
        with("nbf", json!("0")),
        with("iat", json!(now + 600)),
        with("aud", json!("billing-api")),
        with("aud", json!(["billing-api"])),
        with("aud", json!({ "orders-api": true })),
        with("iss", json!("https://other.example")),
        with("iss", json!(7)),
        with("sub", json!(["alice"])),
        with("sub", json!("alice\r\nPortcullis-Scopes: admin")),
        with("cnf", json!({ "jkt": "x" })),
    ];
    for (number, document) in documents.into_iter().enumerate() {
        stage.issuer.behave_at(Endpoint::Introspection, Behaviour::Document(document.clone()));
        stage.refuses("/opaque/x", &format!("lie-{number}"), &document.to_string());
    }
    stage.issuer.behave(Behaviour::Honest);
    stage.issuer.introspects("good", active(&stage.issuer));
    assert_eq!(stage.get("/opaque/x", "good").status, 200);
    // The issuer was told the token in the body, under the gate's own name, and nowhere else.
    for seen in stage.issuer.requests() {
        assert!(
            !seen.target().contains("lie-") && !seen.target().contains("good"),
            "{}",
            seen.line()
        );
    }
}

/// Row 18: introspection that never answers, or too slowly, or is not there.
#[test]
fn incident_18_introspection_is_silent_or_slow() {
    for behaviour in [Behaviour::Silence, Behaviour::Drip(Duration::from_millis(200))] {
        let stage = Asking::start(Behaviour::Honest);
        stage.issuer.introspects("token", active(&stage.issuer));
        stage.issuer.behave_at(Endpoint::Introspection, behaviour.clone());
        let code = stage.refuses("/opaque/x", "token", &format!("{behaviour:?}"));
        assert_eq!(code, "issuer.unavailable");
        // The gate itself is not slow.
        assert_eq!(stage.gate.get("/nowhere", &[]).status, 404);
        stage.issuer.behave(Behaviour::Honest);
        assert_eq!(stage.get("/opaque/x", "token").status, 200);
    }
}

/// Row 18: the issuer cannot be reached at all.
#[test]
fn incident_18_nobody_answers() {
    let upstream = Upstream::ok();
    let url = format!("http://127.0.0.1:{}", free_port());
    let gate = Gate::start(&config(&url, &upstream));
    let key = Key::generate(Algorithm::Es256, "k1");
    let issuer = Issuer::start();
    let mut claims = issuer.claims("orders-api", "read");
    claims["iss"] = json!(url);
    for (path, token) in [("/signed/x", key.token(&claims)), ("/opaque/x", "opaque".to_owned())] {
        let answer = gate.get(path, &[("authorization", &format!("Bearer {token}"))]);
        assert_eq!((answer.status, problem(&answer).as_str()), (503, "issuer.unavailable"));
    }
    assert_eq!(upstream.count(), 0);
}

/// Row 18: keys that cannot be fetched, or are none.
#[test]
fn incident_18_keys_fail() {
    let mut ways: Vec<(Endpoint, Behaviour)> = Vec::new();
    for behaviour in nonsense() {
        ways.push((Endpoint::Keys, behaviour.clone()));
        ways.push((Endpoint::Discovery, behaviour));
    }
    let attacker = Key::generate(Algorithm::Es256, "k1");
    for document in [
        json!(null),
        json!([]),
        json!({}),
        json!({ "keys": null }),
        json!({ "keys": {} }),
        json!({ "keys": [] }),
        json!({ "keys": [null, 7, "k1", []] }),
        json!({ "keys": [{}] }),
        json!({ "keys": [{ "kty": "oct", "kid": "k1", "k": jose::b64("secret") }] }),
        json!({ "keys": [{ "kty": "EC", "kid": "k1", "crv": "P-256", "x": "AA", "y": "AA" }] }),
        json!({ "keys": [{ "kty": "RSA", "kid": "k1", "n": "AQ", "e": "AQ" }] }),
        json!({ "KEYS": [attacker.jwk()] }),
    ] {
        ways.push((Endpoint::Keys, Behaviour::Document(document)));
    }
    for document in [
        json!(null),
        json!([]),
        json!({}),
        json!({ "issuer": "https://other.example", "jwks_uri": "http://127.0.0.1:9/" }),
        json!({ "jwks_uri": "http://127.0.0.1:9/jwks" }),
        json!({ "issuer": 7 }),
    ] {
        ways.push((Endpoint::Discovery, Behaviour::Document(document)));
    }
    // The gates start side by side, since each needs an issuer that never told the truth.
    for some in ways.chunks(4) {
        std::thread::scope(|scope| {
            for (endpoint, behaviour) in some {
                scope.spawn(move || keys_fail(*endpoint, behaviour));
            }
        });
    }
}

fn keys_fail(endpoint: Endpoint, behaviour: &Behaviour) {
    let issuer = Issuer::start();
    issuer.behave_at(endpoint, behaviour.clone());
    let upstream = Upstream::ok();
    let gate = Gate::start(&config(&issuer.url(), &upstream));
    let stage = Asking { gate, issuer, upstream };
    let what = format!("{endpoint:?} {behaviour:?}");
    let claims = stage.issuer.claims("orders-api", "read");
    let good = stage.issuer.sign(&claims);
    let code = stage.refuses("/signed/x", &good, &what);
    assert!(matches!(code.as_str(), "issuer.unavailable" | "token.unknown_key"), "{what}: {code}");
    for forged in [
        jose::unsigned(&claims),
        jose::hs256(b"secret", &json!({ "alg": "HS256", "kid": "k1" }), &claims),
        jose::hs256(b"", &json!({ "alg": "HS256", "kid": "k1" }), &claims),
        Key::generate(Algorithm::Es256, "k1").token(&claims),
    ] {
        stage.refuses("/signed/x", &forged, &what);
    }
}

/// Row 18: an issuer's answer that points elsewhere is not followed, whatever stands there.
#[test]
fn incident_18_redirections_are_not_followed() {
    let attacker = Key::generate(Algorithm::Es256, "k1");
    let set = jose::key_set([&attacker]);
    let elsewhere = Upstream::start(move |seen| match seen.target().as_str() {
        "/jwks" => testkit::Answer::json(200, &set),
        _ => testkit::Answer::json(200, &json!({ "active": true, "sub": "root", "scope": "read" })),
    });
    for endpoint in [Endpoint::Keys, Endpoint::Discovery, Endpoint::Introspection] {
        let stage = Asking::start(Behaviour::Honest);
        let target = match endpoint {
            Endpoint::Keys => "/jwks",
            _ => "/other",
        };
        stage.issuer.behave_at(endpoint, Behaviour::Redirect(elsewhere.url() + target));
        let forged = attacker.token(&stage.issuer.claims("orders-api", "read"));
        stage.refuses("/signed/x", &forged, "a forged token");
        stage.refuses("/opaque/x", "forged", "a forged token");
        assert_eq!(elsewhere.count(), 0, "{endpoint:?}: the redirection was followed");
    }
}

/// Row 18: keys that never come, and an issuer that recovers.
#[test]
fn incident_18_keys_are_silent_or_slow_and_come_back() {
    let slow = Asking::start(Behaviour::Drip(Duration::from_millis(100)));
    let token = slow.issuer.token("orders-api", "read");
    assert_eq!(slow.refuses("/signed/x", &token, "one byte at a time"), "issuer.unavailable");
    let stage = Asking::start(Behaviour::Silence);
    let token = stage.issuer.token("orders-api", "read");
    assert_eq!(stage.refuses("/signed/x", &token, "silence"), "issuer.unavailable");
    assert_eq!(stage.gate.get("/nowhere", &[]).status, 404);
    stage.issuer.behave(Behaviour::Honest);
    // The regular fetch tries again five seconds after a failure.
    wait::until(SOON * 3, "the issuer's recovery", || stage.get("/signed/x", &token).status == 200);
}
