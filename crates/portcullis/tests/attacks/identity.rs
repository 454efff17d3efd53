//! Being taken for somebody else.

use crate::frames::{END_HEADERS, END_STREAM, Frames, HEADERS, request};
use crate::setup::{AUDIENCE, PATIENCE, jwt, keys_known, open, route, service, upstream};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use testkit::{Algorithm, Gate, Issuer, Key, RawClient, Seen, Upstream};

fn get(gate: &Gate, path: &str, bearer: &str) -> u16 {
    gate.get(path, &[("authorization", &format!("Bearer {bearer}"))]).status
}

fn assertion(seen: &Seen) -> Value {
    let token = seen.header("portcullis-assertion").expect("an assertion");
    let claims = token.split('.').nth(1).expect("three parts");
    let claims = URL_SAFE_NO_PAD.decode(claims).expect("base64url");
    serde_json::from_slice(&claims).expect("JSON")
}

/// Two issuers choose their subjects and token ids freely. What one signed must never make the upstream see what
/// the other said, however alike the tokens look.
#[test]
fn an_assertion_made_for_one_issuer_serves_a_caller_of_another() {
    let (up, corp, partner) = (Upstream::ok(), Issuer::start(), Issuer::start());
    let rules =
        format!("[route.access]\nany = [{}, {}]", jwt("corp", "read"), jwt("partner", "read"));
    let gate = Gate::start(
        &(corp.config("corp", AUDIENCE)
            + &partner.config("partner", AUDIENCE)
            + &service(&up.url(), "assertion = true")
            + &route("a", "/a/{**}", &rules)),
    );
    keys_known(&gate, 2);
    let token = |issuer: &Issuer, scope: &str, client: &str| {
        let mut claims = issuer.claims(AUDIENCE, scope);
        claims["sub"] = json!("alice");
        claims["jti"] = json!("the-same");
        claims["client_id"] = json!(client);
        issuer.sign(&claims)
    };
    // Shards have caches of their own: often enough for both to meet in one.
    for _ in 0..8 {
        assert_eq!(get(&gate, "/a/x", &token(&corp, "read write admin", "shop")), 200);
        let said = assertion(&up.last());
        assert_eq!(said["subject_issuer"], "corp");
        assert_eq!(said["scope"], "admin read write");
        assert_eq!(get(&gate, "/a/x", &token(&partner, "read", "shop")), 200);
        let said = assertion(&up.last());
        assert_eq!(said["subject_issuer"], "partner", "{said}");
        assert_eq!(said["scope"], "read", "{said}");
        // The same issuer, with other scopes and another client under one id.
        assert_eq!(get(&gate, "/a/x", &token(&corp, "read", "till")), 200);
        let said = assertion(&up.last());
        assert_eq!(
            (&said["scope"], &said["client_id"]),
            (&json!("read"), &json!("till")),
            "{said}"
        );
    }
}

/// What the operator sets or removes is set or removed in every spelling that an upstream reads as the same.
#[test]
fn a_header_that_the_operator_sets_is_spelled_otherwise() {
    let up = Upstream::ok();
    let rules = "[route.headers]\nset = { \"X-Tenant\" = \"blue\" }\nremove = [\"X-Debug-Token\"]";
    let gate = Gate::start(&(upstream(&up) + &open("a", "/{**}", rules)));
    for name in ["X-Tenant", "x_tenant", "X-tenant", "X.Tenant", "x_Tenant"] {
        assert_eq!(gate.get("/a", &[(name, "red"), ("x_debug_token", "1")]).status, 200);
        let seen = up.last();
        let tenants: Vec<_> = seen
            .headers()
            .into_iter()
            .filter(|(name, _)| name.to_ascii_lowercase().replace(['_', '.'], "-") == "x-tenant")
            .collect();
        assert_eq!(tenants.len(), 1, "{name}: {tenants:?}");
        assert_eq!(tenants[0].1, "blue", "{name}");
        let text = String::from_utf8_lossy(&seen.head).to_ascii_lowercase().replace('_', "-");
        assert!(!text.contains("x-debug-token"), "{text}");
    }
}

/// CVE-2016-5385: a CGI-like upstream takes `Proxy` for the proxy that it should use itself.
#[test]
fn a_caller_names_the_upstreams_own_proxy() {
    let up = Upstream::ok();
    let gate = Gate::start(&(upstream(&up) + &open("a", "/{**}", "")));
    assert_eq!(gate.get("/a", &[("Proxy", "http://evil.example:8080"), ("X-A", "b")]).status, 200);
    assert_eq!(up.last().values("proxy"), Vec::<String>::new());
    assert_eq!(up.last().header("x-a").as_deref(), Some("b"));
}

/// Headers that would name a caller, or the address that was asked for, come too late in trailers, in any spelling.
#[test]
fn identity_comes_behind_the_body() {
    let up = Upstream::ok();
    let gate = Gate::start(&(upstream(&up) + &open("a", "/{**}", "")));
    for name in [
        "Portcullis-Subject",
        "portcullis_subject",
        "X-Forwarded-For",
        "x_forwarded_user",
        "Client-Cert",
        "X-Original-URL",
        "x_rewrite_url",
        "Authorization",
        "Cookie",
        "Proxy",
    ] {
        let mut client = RawClient::connect(&gate.address());
        let answer = client.exchange(format!(
            "POST /a HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\
             Trailer: {name}\r\n\r\n3\r\nabc\r\n0\r\n{name}: admin\r\nX-Sum: 7\r\n\r\n"
        ));
        if answer.status == 200 {
            let trailers = up.last().body.trailers;
            assert_eq!(trailers, [("x-sum".to_owned(), "7".to_owned())], "{name}");
        } else {
            assert_eq!(answer.status, 400, "{name}");
        }
    }
}

/// A verified token is kept. It must not outlive what made it good: an issuer of the same name that is now another
/// one, takes other algorithms, or is meant for somebody else.
#[test]
fn a_warm_token_outlives_a_reload_that_ends_its_trust() {
    let up = Upstream::ok();
    let keys = [Key::generate(Algorithm::Rs256, "r1"), Key::generate(Algorithm::Es256, "k1")];
    let (old, new) = (Issuer::with_keys(keys), Issuer::start());
    let config = |issuer: &Issuer, audience: &str, algorithm: &str| {
        issuer.config("corp", audience)
            + &format!("algorithms = [\"{algorithm}\"]\n")
            + &upstream(&up)
            + &route("a", "/a/{**}", &format!("access = {}", jwt("corp", "read")))
    };
    let mut gate = Gate::start(&config(&old, AUDIENCE, "RS256"));
    keys_known(&gate, 1);
    let token = old.token(AUDIENCE, "read");
    let everywhere = |gate: &Gate| (0..12).map(|_| get(gate, "/a/x", &token)).collect::<Vec<_>>();
    assert_eq!(everywhere(&gate), [200; 12]);
    for (other, what) in [
        (config(&old, "others-api", "RS256"), "audience"),
        (config(&old, AUDIENCE, "ES256"), "algorithms"),
        (config(&new, AUDIENCE, "RS256"), "issuer"),
    ] {
        let log = gate.log().matches("the configuration was reloaded").count();
        gate.rewrite(&other);
        testkit::wait::until(PATIENCE, "the reload", || {
            gate.log().matches("the configuration was reloaded").count() > log
        });
        let said = everywhere(&gate);
        assert!(said.iter().all(|status| matches!(status, 401 | 503)), "{what}: {said:?}");
        let log = gate.log().matches("the configuration was reloaded").count();
        gate.rewrite(&config(&old, AUDIENCE, "RS256"));
        testkit::wait::until(PATIENCE, "the reload back", || {
            gate.log().matches("the configuration was reloaded").count() > log
        });
        testkit::wait::until(PATIENCE, "trust again", || everywhere(&gate) == [200; 12]);
    }
}

/// RFC 9110 §9.3.8: an answer to TRACE shows the request as it arrived, and so what the gate put into it.
#[test]
fn a_trace_shows_what_only_the_upstream_may_see() {
    let up = Upstream::ok();
    let rules = "[route.headers]\nset = { \"Authorization\" = \"Basic c2VjcmV0\" }";
    let gate = Gate::builder()
        .listener("h2c = true")
        .rest(&(upstream(&up) + &open("a", "/{**}", rules)))
        .start();
    assert_eq!(testkit::request("TRACE", &(gate.url() + "/a"), &[], &[]).status, 400);
    let mut frames = Frames::connect(&gate.address(), &[]);
    let block = request("TRACE", "/a", &[]);
    frames.send(HEADERS, END_HEADERS | END_STREAM, 1, &block).expect("a request");
    while let Some(came) = frames.next() {
        if came.stream == 1 && came.flags & END_STREAM != 0 {
            break;
        }
    }
    assert_eq!(up.count(), 0);
}

/// Tokens without a subject are not one principal: a client must not use up, or hide behind, the limit of another.
#[test]
fn clients_without_a_subject_share_one_limit() {
    let (up, corp) = (Upstream::ok(), Issuer::start());
    let lines = format!(
        "access = {}\nrate = {{ limit = 3, per = \"1h\", by = \"principal\" }}",
        jwt("corp", "read")
    );
    let gate = Gate::start(
        &(corp.config("corp", AUDIENCE) + &upstream(&up) + &route("a", "/a/{**}", &lines)),
    );
    keys_known(&gate, 1);
    let token = |client: &str| {
        let mut claims = corp.claims(AUDIENCE, "read");
        claims.as_object_mut().expect("an object").remove("sub");
        claims["client_id"] = json!(client);
        corp.sign(&claims)
    };
    let said: Vec<u16> = (0..5).map(|_| get(&gate, "/a/x", &token("shop"))).collect();
    if said[0] == 401 {
        // A token without a subject is refused as a whole: that is as good.
        return;
    }
    assert_eq!(said, [200, 200, 200, 429, 429]);
    assert_eq!(get(&gate, "/a/x", &token("till")), 200);
}
