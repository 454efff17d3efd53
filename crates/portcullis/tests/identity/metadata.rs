//! Metadata of protected resources (RFC 9728) and the challenges that lead to it.

use crate::setup::*;
use serde_json::json;
use testkit::{Answer, Gate, Issuer, Upstream};

const WELL_KNOWN: &str = "/.well-known/oauth-protected-resource";

/// A gate with several resources, an open catch-all and an issuer that can be discovered.
fn start(up: &Upstream, issuer: &Issuer) -> Gate {
    let both = "access = { any = [{ jwt = { issuer = \"self\", scopes = [\"read\"] } }, \
                { jwt = { issuer = \"corp\", scopes = [\"all\"] } }] }";
    let hosted = "host = \"orders.example\"\nresource = \"https://orders.example\"\n";
    let config = issuer.config("corp", AUDIENCE)
        + &upstream(up)
        + &route("read", "/read/{**}", both)
        + &route(
            "edit",
            "/read/{id}/edit",
            &format!("methods = [\"POST\"]\n{}", jwt("self", "write")),
        )
        + &route("hosted", "/{**}", &format!("{hosted}{}", jwt("self", "orders")))
        + &route("keys", "/keys/{**}", &api_key("read"))
        + &route("open", "/{**}", "methods = [\"GET\"]\naccess = \"public\"");
    Gate::start(&config)
}

#[test]
fn rfc9728_s3_each_protected_resource_says_who_issues_tokens_for_it() {
    let (up, issuer) = (Upstream::ok(), Issuer::start());
    let gate = start(&up, &issuer);
    let base = format!("http://{}", gate.address());
    let found = gate.get(&format!("{WELL_KNOWN}/read/"), &[]);
    assert_eq!(found.status, 200, "{}", found.text());
    assert_eq!(found.header("content-type"), Some("application/json"));
    assert_eq!(found.header("access-control-allow-origin"), Some("*"));
    let mut servers = [gate.control(), issuer.url()];
    servers.sort();
    let document = found.json();
    // RFC 9728 §3.3: the very identifier that the URL is made from.
    assert_eq!(document["resource"], format!("{base}/read/"));
    assert_eq!(document["authorization_servers"], json!(servers));
    assert_eq!(document["scopes_supported"], json!(["all", "read", "write"]));
    assert_eq!(document["bearer_methods_supported"], json!(["header"]));
    assert_eq!(document["resource_name"], "read");
    let algorithms = document["dpop_signing_alg_values_supported"].as_array().expect("a list");
    assert!(algorithms.contains(&json!("ES256")), "{document}");
    assert_eq!(gate.get(&format!("{WELL_KNOWN}/read"), &[]).json(), document);
    let root = get_at(&gate, "orders.example", WELL_KNOWN, &[]);
    assert_eq!(root.json()["resource"], "https://orders.example", "{}", root.text());
    // Under another host this is somebody else's.
    assert_eq!(said(&gate.get(WELL_KNOWN, &[])), refused(404, "route.not_found"));
    assert_eq!(up.count(), 0);
}

#[test]
fn nothing_below_the_well_known_path_reaches_an_upstream() {
    let (up, issuer) = (Upstream::ok(), Issuer::start());
    let gate = start(&up, &issuer);
    let ask = |method: &str, path: &str| {
        testkit::request(method, &format!("{}{WELL_KNOWN}{path}", gate.url()), &[], b"")
    };
    assert_eq!(said(&ask("GET", "/other")), refused(404, "route.not_found"));
    assert_eq!(said(&ask("GET", "/keys/")), refused(404, "route.not_found"));
    let posted = ask("POST", "/read/");
    assert_eq!(said(&posted), refused(405, "route.method_not_allowed"));
    assert_eq!(posted.header("allow"), Some("GET, HEAD, OPTIONS"));
    let head = ask("HEAD", "/read/");
    assert_eq!((head.status, head.body.kept.len()), (200, 0));
    let preflight = ask("OPTIONS", "/read/");
    assert_eq!(preflight.status, 204);
    assert_eq!(preflight.header("access-control-allow-origin"), Some("*"));
    assert_eq!(up.count(), 0);
    // What only begins alike is a path like any other.
    assert_eq!(ask("GET", "s").status, 200);
    assert_eq!(up.count(), 1);
    let sql = "SELECT count(*) FROM events WHERE kind = 'decision' AND path LIKE '/.well-known/%'";
    testkit::wait::until(PATIENCE, "six records", || {
        gate.done(&["audit", "query", sql])[0]["count(*)"].as_i64() == Some(6)
    });
}

#[test]
fn rfc6750_s3_challenges_name_what_is_missing() {
    let (up, issuer) = (Upstream::ok(), Issuer::start());
    let gate = start(&up, &issuer);
    let base = format!("http://{}", gate.address());
    let metadata = format!("resource_metadata=\"{base}{WELL_KNOWN}/read/\"");
    // RFC 6750 §3.1: no error where there was no credential.
    let none = gate.get("/read/x", &[]);
    let challenges = none.values("www-authenticate");
    assert_eq!((none.status, challenges.len()), (401, 2), "{challenges:?}");
    assert!(challenges[0].starts_with("Bearer ") && challenges[1].starts_with("DPoP algs=\""));
    for challenge in &challenges {
        assert!(!challenge.contains("error"), "{challenge}");
        assert!(challenge.contains("scope=\"all read\""), "{challenge}");
        assert!(challenge.contains(&metadata), "{challenge}");
    }
    // The error stands where the credential was sent.
    for (scheme, wrong, right) in [("Bearer", 0, 1), ("DPoP", 1, 0)] {
        let bad = gate.get("/read/x", &[("authorization", &format!("{scheme} eyJ.a.b"))]);
        let challenges = bad.values("www-authenticate");
        assert!(challenges[wrong].contains("error=\"invalid_token\""), "{challenges:?}");
        assert!(!challenges[right].contains("error="), "{challenges:?}");
    }
    // A route without tokens has neither metadata nor DPoP.
    let keys = gate.get("/keys/x", &[]);
    let challenges = keys.values("www-authenticate");
    assert_eq!(challenges.len(), 1);
    assert!(!challenges[0].contains("resource_metadata"), "{challenges:?}");
}

#[test]
fn our_own_cookies_never_pass_the_gate() {
    let set = [
        ("set-cookie", "portcullis_session=x; Path=/"),
        ("set-cookie", "kept=1"),
        ("set-cookie", "__Host-portcullis_visit=y; Secure; Path=/"),
    ];
    let up = Upstream::start(move |_| Answer::with(200, &set, b""));
    let gate = Gate::start(
        &(upstream(&up) + &route("open", "/{**}", "methods = [\"GET\"]\naccess = \"public\"")),
    );
    let cookies = "a=1; portcullis_session=s; __Host-portcullis_session=s; portcullis_visit=v; \
                   __Host-portcullis_visit=v; b=2";
    let answer = gate.get("/x", &[("cookie", cookies)]);
    assert_eq!(up.last().header("cookie").as_deref(), Some("a=1; b=2"));
    assert_eq!(answer.values("set-cookie"), ["kept=1"]);
}
