//! `any` and `all`, scopes, claims and audiences.

use crate::setup::*;
use serde_json::{Value, json};
use testkit::{Gate, Issuer, Upstream};

const NESTED: &str = "[route.access]\nany = [\n\
    { all = [{ api_key = { scopes = [\"a\"] } }, { any = [\n\
        { jwt = { issuer = \"corp\", scopes = [\"deep\"] } },\n\
        { jwt = { issuer = \"other\", scopes = [\"deep\"] } } ] }] },\n\
    { jwt = { issuer = \"corp\", scopes = [\"alone\", \"really\"] } },\n]";

struct Both {
    up: Upstream,
    corp: Issuer,
    other: Issuer,
    gate: Gate,
}

fn start() -> Both {
    let (up, corp, other) = (Upstream::ok(), Issuer::start(), Issuer::start());
    let ruled = "access = { jwt = { issuer = \"corp\", claims = { team = [\"a\", 7, true] } } }";
    let narrow = "access = { jwt = { issuer = \"corp\", audience = [\"narrow\"] } }";
    let two = format!(
        "[[issuer]]\nname = \"corp\"\nissuer = \"{}\"\naudience = [\"{AUDIENCE}\", \"narrow\"]\n",
        corp.url()
    );
    let gate = Gate::start(
        &(two
            + &other.config("other", AUDIENCE)
            + &upstream(&up)
            + &route("scoped", "/scoped", &jwt("corp", "read"))
            + &route("ruled", "/ruled", ruled)
            + &route("narrow", "/narrow", narrow)
            + &route("nested", "/nested", NESTED)
            + &route("open", "/open", "access = \"public\"\nmethods = [\"GET\"]")),
    );
    keys_known(&gate, 2);
    Both { up, corp, other, gate }
}

impl Both {
    /// A token of `corp` with `read` and what else is given; null takes a claim away.
    fn token(&self, claims: &Value) -> String {
        let mut all = self.corp.claims(AUDIENCE, "read");
        for (name, value) in claims.as_object().expect("claims") {
            if value.is_null() {
                all.as_object_mut().expect("claims").remove(name);
            } else {
                all[name] = value.clone();
            }
        }
        self.corp.sign(&all)
    }

    fn check(&self, path: &str, claims: &Value, expect: &(u16, String)) {
        let token = self.token(claims);
        let count = self.up.count();
        // Cold, then from the cache.
        for _ in 0..3 {
            assert_eq!(answer(&self.gate, path, &token), *expect, "{path} {claims}");
        }
        assert_eq!(self.up.count() - count, if expect.0 == 200 { 3 } else { 0 });
    }
}

#[test]
fn scopes_come_from_scope_or_scp() {
    let it = start();
    let missing = refused(403, "scope.missing");
    for (claims, expect) in [
        (json!({ "scope": "write read" }), passed()),
        (json!({ "scope": "write" }), missing.clone()),
        (json!({ "scope": "reader" }), missing.clone()),
        (json!({ "scope": null }), missing.clone()),
        (json!({ "scope": null, "scp": ["write", "read"] }), passed()),
        (json!({ "scope": null, "scp": "write read" }), passed()),
        (json!({ "scope": null, "scp": ["write read"] }), refused(401, "token.claim_invalid")),
        (json!({ "scope": null, "scp": ["write"] }), missing),
        (json!({ "scope": null, "scp": [1] }), refused(401, "token.claim_invalid")),
        (json!({ "scope": ["read"] }), refused(401, "token.claim_invalid")),
        // RFC 7800 §3: bound to a key that nobody proves to have.
        (json!({ "cnf": { "jkt": "x" } }), refused(401, "token.proof_missing")),
        (json!({ "cnf": {} }), refused(401, "token.proof_missing")),
    ] {
        it.check("/scoped", &claims, &expect);
    }
}

#[test]
fn claims_and_audiences_are_ruled_by_the_route() {
    let it = start();
    let mismatch = refused(403, "claim.mismatch");
    for (claims, expect) in [
        (json!({ "team": "a" }), passed()),
        (json!({ "team": 7 }), passed()),
        (json!({ "team": true }), passed()),
        (json!({ "team": ["b", "a"] }), passed()),
        (json!({ "team": "A" }), mismatch.clone()),
        (json!({ "team": "7" }), mismatch.clone()),
        (json!({ "team": { "a": 1 } }), mismatch.clone()),
        (json!({ "team": [["a"]] }), mismatch.clone()),
        (json!({}), mismatch),
    ] {
        it.check("/ruled", &claims, &expect);
    }
    let wrong = refused(401, "token.wrong_audience");
    for (claims, expect) in [
        (json!({ "aud": "narrow" }), passed()),
        (json!({ "aud": ["x", "narrow"] }), passed()),
        (json!({ "aud": AUDIENCE }), wrong.clone()),
        (json!({ "aud": "else" }), wrong.clone()),
        (json!({ "aud": [] }), wrong),
    ] {
        it.check("/narrow", &claims, &expect);
    }
}

#[test]
fn key_and_token_together_meet_a_nested_rule() {
    let it = start();
    let (_, a) = key(&it.gate, "a", "a");
    let (_, b) = key(&it.gate, "b", "b");
    let deep = it.token(&json!({ "scope": "deep" }));
    let alone = it.token(&json!({ "scope": "alone really" }));
    let half = it.token(&json!({ "scope": "alone" }));
    let foreign = it.other.token(AUDIENCE, "deep");
    let call = |token: Option<&str>, key: Option<&str>| {
        let bearer = token.map(|token| format!("Bearer {token}"));
        let mut headers = Vec::new();
        headers.extend(bearer.as_deref().map(|value| ("authorization", value)));
        headers.extend(key.map(|value| ("x-api-key", value)));
        said(&it.gate.get("/nested", &headers))
    };
    let count = it.up.count();
    assert_eq!(call(Some(&deep), Some(&a)), passed());
    assert_eq!(call(Some(&foreign), Some(&a)), passed());
    assert_eq!(call(Some(&alone), None), passed());
    assert_eq!(call(Some(&alone), Some(&b)), passed(), "a key that is not asked for does no harm");
    assert_eq!(it.up.count(), count + 4);
    for (token, key, expect) in [
        (None, None, refused(401, "credential.missing")),
        (None, Some(&*a), refused(401, "credential.wrong_kind")),
        (Some(&*deep), None, refused(403, "scope.missing")),
        (Some(&*deep), Some(&*b), refused(403, "scope.missing")),
        (Some(&*half), Some(&*a), refused(403, "scope.missing")),
        (Some(&*a), None, refused(401, "credential.wrong_kind")),
        // An invalid credential ends the request, whatever else would meet the rule.
        (Some(&*alone), Some("pcl_live_x"), refused(401, "key.malformed")),
        (Some("eyJx.eyJ.x"), Some(&*a), refused(401, "token.malformed")),
    ] {
        let said = call(token, key);
        assert_eq!(said, expect);
    }
    assert_eq!(it.up.count(), count + 4);
    // Both revoked parts stop the whole.
    it.gate.done(&["block", "subject", "alice", "--issuer", "corp"]);
    assert_eq!(call(Some(&deep), Some(&a)), refused(401, "token.revoked"));
    assert_eq!(call(Some(&foreign), Some(&a)), passed());
}

#[test]
fn a_cached_token_is_judged_anew_on_every_route() {
    let it = start();
    let token = it.token(&json!({}));
    assert_eq!(everywhere(&it.gate, "/scoped", &token), vec![passed(); 16]);
    assert_eq!(everywhere(&it.gate, "/ruled", &token), vec![refused(403, "claim.mismatch"); 16]);
    assert_eq!(
        everywhere(&it.gate, "/narrow", &token),
        vec![refused(401, "token.wrong_audience"); 16]
    );
    assert_eq!(everywhere(&it.gate, "/nested", &token), vec![refused(403, "scope.missing"); 16]);
    let foreign = it.other.token(AUDIENCE, "read deep");
    assert_eq!(answer(&it.gate, "/nested", &foreign), refused(401, "credential.wrong_kind"));
    assert_eq!(
        everywhere(&it.gate, "/scoped", &foreign),
        vec![refused(401, "token.wrong_issuer"); 16]
    );
    // A public route asks nobody, and tells the upstream nothing.
    assert_eq!(answer(&it.gate, "/open", &token), passed());
    assert_eq!(it.up.last().header("portcullis-subject"), None);
}
