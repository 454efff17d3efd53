//! Opaque tokens, asked for at their issuer (RFC 7662).

use crate::setup::*;
use serde_json::{Value, json};
use std::time::Duration;
use testkit::{Behaviour, Endpoint, Gate, Issuer, RawClient, Upstream, wait};

struct Opaque {
    up: Upstream,
    issuer: Issuer,
    gate: Gate,
}

fn start(cache: &str) -> Opaque {
    let (up, issuer) = (Upstream::ok(), Issuer::start());
    let config = format!(
        "{}algorithms = []\nintrospection = {{ url = \"{}/introspect\", client_id = \"gate way\", \
         client_secret = \"s&cret\", cache = \"{cache}\" }}\n",
        issuer.config("corp", AUDIENCE),
        issuer.url()
    );
    let gate = Gate::start(
        &(config + &upstream(&up) + &route("read", "/read/{**}", &jwt("corp", "read"))),
    );
    Opaque { up, issuer, gate }
}

impl Opaque {
    fn active(&self) -> Value {
        json!({ "active": true, "aud": AUDIENCE, "scope": "read", "sub": "alice",
                "client_id": "shop", "exp": now() + 300, "iss": self.issuer.url() })
    }

    fn asked(&self) -> u64 {
        self.issuer.fetches(Endpoint::Introspection)
    }
}

#[test]
fn rfc7662_answers_are_judged_and_the_upstream_sees_only_what_is_good() {
    let it = start("30s");
    let with = |name: &str, value: Value| {
        let mut answer = it.active();
        answer[name] = value;
        answer
    };
    let mut bare = it.active();
    bare.as_object_mut().expect("an object").remove("aud");
    let unavailable = refused(503, "issuer.unavailable");
    for (token, document, expect) in [
        ("good", it.active(), passed()),
        ("inactive", json!({ "active": false }), refused(401, "token.inactive")),
        ("other-aud", with("aud", json!("else")), refused(401, "token.wrong_audience")),
        ("no-aud", bare, refused(401, "token.wrong_audience")),
        ("expired", with("exp", json!(now() - 31)), refused(401, "token.expired")),
        ("early", with("nbf", json!(now() + 60)), refused(401, "token.not_yet_valid")),
        ("other-iss", with("iss", json!("https://x.test")), refused(401, "token.wrong_issuer")),
        ("bound", with("cnf", json!({ "jkt": "x" })), refused(401, "token.proof_missing")),
        ("no-scope", with("scope", json!("write")), refused(403, "scope.missing")),
        ("crlf", with("sub", json!("a\r\nx: y")), unavailable.clone()),
        ("text-active", json!({ "active": "true", "aud": AUDIENCE }), unavailable.clone()),
        ("no-active", json!({ "aud": AUDIENCE, "scope": "read" }), unavailable.clone()),
        ("list", json!([it.active()]), unavailable.clone()),
        ("text-exp", with("exp", json!("1999999999")), unavailable),
    ] {
        it.issuer.introspects(token, document);
        let count = it.up.count();
        assert_eq!(answer(&it.gate, "/read/x", token), expect, "{token}");
        assert_eq!(it.up.count() - count, u64::from(expect.0 == 200), "{token}");
    }
    let question = it.issuer.requests().into_iter().find(|seen| seen.target() == "/introspect");
    let question = question.expect("a question");
    // RFC 6749 §2.3.1: form-encoded before it becomes Basic. gate+way:s%26cret
    assert_eq!(question.header("authorization").as_deref(), Some("Basic Z2F0ZSt3YXk6cyUyNmNyZXQ="));
    assert_eq!(question.method(), "POST");
    let form = String::from_utf8_lossy(&question.body.kept).into_owned();
    assert!(form.contains("token=good"), "{form}");
    // A JWT of an issuer whose tokens are opaque is none.
    let jwt = it.issuer.token(AUDIENCE, "read");
    assert_eq!(answer(&it.gate, "/read/x", &jwt).0, 401);
}

#[test]
fn an_endpoint_that_fails_leaves_the_upstream_untouched() {
    let it = start("30s");
    it.issuer.introspects("good", it.active());
    let lies = [
        Behaviour::Status(401),
        Behaviour::Status(403),
        Behaviour::Status(500),
        Behaviour::Status(503),
        Behaviour::Status(204),
        Behaviour::Garbage,
        Behaviour::Huge(1 << 20),
        Behaviour::Redirect(it.issuer.url() + "/introspect"),
        Behaviour::Silence,
        Behaviour::Drip(Duration::from_millis(300)),
    ];
    for lie in lies {
        it.issuer.behave_at(Endpoint::Introspection, lie.clone());
        let (said, took) = timed(|| answer(&it.gate, "/read/x", "good"));
        assert_eq!(said, refused(503, "issuer.unavailable"), "{lie:?}");
        assert!(took < Duration::from_secs(9), "{lie:?} took {took:?}");
    }
    assert_eq!(it.up.count(), 0);
    it.issuer.behave(Behaviour::Honest);
    assert_eq!(answer(&it.gate, "/read/x", "good"), passed());
}

#[test]
fn an_answer_is_kept_for_its_time_and_no_longer() {
    let it = start("2s");
    it.issuer.introspects("good", it.active());
    // One connection stays on one shard, which has a cache of its own.
    let mut client = RawClient::connect(&it.gate.address());
    for _ in 0..20 {
        assert_eq!(again(&mut client, "/read/x", "good"), passed());
    }
    let asked = it.asked();
    assert!(asked <= 2, "asked {asked} times");
    // Its issuer has ended it: the kept answer serves at most two seconds more.
    it.issuer.introspects("good", json!({ "active": false }));
    let took = wait::until(PATIENCE, "the end of what is kept", || {
        let said = again(&mut client, "/read/x", "good");
        assert!(said == passed() || said == refused(401, "token.inactive"), "{said:?}");
        said != passed()
    });
    assert!(took < Duration::from_secs(3), "{took:?}");
    // A refusal is kept too, so that a flood of one bad token is no flood at the issuer.
    let asked = it.asked();
    for _ in 0..20 {
        assert_eq!(again(&mut client, "/read/x", "good"), refused(401, "token.inactive"));
    }
    assert!(it.asked() <= asked + 1);
}

#[test]
fn an_issuer_that_goes_away_leaves_only_what_is_kept() {
    let it = start("1s");
    it.issuer.introspects("good", it.active());
    let mut client = RawClient::connect(&it.gate.address());
    assert_eq!(again(&mut client, "/read/x", "good"), passed());
    it.issuer.behave(Behaviour::Status(500));
    wait::until(PATIENCE, "the end of what is kept", || {
        let said = again(&mut client, "/read/x", "good");
        assert!(said == passed() || said == refused(503, "issuer.unavailable"), "{said:?}");
        said != passed()
    });
    let count = it.up.count();
    for _ in 0..5 {
        assert_eq!(again(&mut client, "/read/x", "good"), refused(503, "issuer.unavailable"));
    }
    assert_eq!(it.up.count(), count);
}

#[test]
fn without_a_cache_every_request_is_asked_for() {
    let it = start("0s");
    it.issuer.introspects("good", it.active());
    for number in 1..=5 {
        assert_eq!(answer(&it.gate, "/read/x", "good"), passed());
        assert_eq!(it.asked(), number);
    }
    it.issuer.introspects("good", json!({ "active": false }));
    assert_eq!(answer(&it.gate, "/read/x", "good"), refused(401, "token.inactive"));
}

#[test]
fn a_burst_of_one_token_is_one_question() {
    let it = start("30s");
    it.issuer.introspects("good", it.active());
    // About a second for the answer: all of the burst are there before it is.
    it.issuer.behave_at(Endpoint::Introspection, Behaviour::Drip(Duration::from_millis(4)));
    let address = it.gate.address();
    std::thread::scope(|scope| {
        for _ in 0..150 {
            scope.spawn(|| assert_eq!(answer_at(&address, "/read/x", "good"), passed()));
        }
    });
    assert!(it.asked() <= 4, "asked {} times", it.asked());
    assert_eq!(it.up.count(), 150);
}

#[test]
fn skew_is_forgiven_to_opaque_tokens_too() {
    let it = start("30s");
    let mut ending = it.active();
    ending["exp"] = json!(now() - 5);
    it.issuer.introspects("ending", ending);
    assert_eq!(answer(&it.gate, "/read/x", "ending"), passed());
    assert_eq!(answer(&it.gate, "/read/x", "ending"), passed());
}

#[test]
fn a_block_stops_a_kept_answer() {
    let it = start("60s");
    it.issuer.introspects("good", it.active());
    assert_eq!(everywhere(&it.gate, "/read/x", "good"), vec![passed(); 16]);
    let made = it.gate.done(&["block", "client", "shop"]);
    assert_eq!(everywhere(&it.gate, "/read/x", "good"), vec![refused(401, "token.revoked"); 16]);
    it.gate.done(&["block", "remove", made["id"].as_str().expect("an id")]);
    assert_eq!(everywhere(&it.gate, "/read/x", "good"), vec![passed(); 16]);
}
