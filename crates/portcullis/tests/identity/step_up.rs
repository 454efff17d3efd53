//! Step-up at the gate (RFC 9470): a level and a freshness that a route asks for, cold, warm, live, over both versions of
//! HTTP; and everything that must never pass for them.

use crate::dpop::Holder;
use crate::own::Client;
use crate::setup::*;
use serde_json::{Value, json};
use std::process::Command;
use std::time::Duration;
use testkit::{Answer, Gate, Issuer, RawClient, Response, Seen, Upstream, wait};

/// Between two events of the stream.
const TICK: Duration = Duration::from_millis(50);

/// `corp` orders its words, `flat` does not.
struct It {
    up: Upstream,
    corp: Issuer,
    flat: Issuer,
    gate: Gate,
}

fn streams(seen: &Seen) -> Answer {
    if !seen.target().ends_with("/events") {
        return Answer::ok("ok");
    }
    Answer::takeover(|socket| {
        use std::io::Write;
        let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\
                    transfer-encoding: chunked\r\n\r\n";
        let mut result = socket.write_all(head.as_bytes());
        while result.is_ok() {
            result = socket.write_all(b"9\r\ndata: x\n\n\r\n");
            wait::pause(TICK);
        }
    })
}

fn start() -> It {
    let (up, corp, flat) = (Upstream::start(streams), Issuer::start(), Issuer::start());
    let token = |issuer: &str, mfa: &str| {
        format!("{{ jwt = {{ issuer = \"{issuer}\", scopes = [\"read\"]{mfa} }} }}")
    };
    let strong = ", mfa = { acr = \"high\", max_age = \"5m\" }";
    let key = "{ api_key = { scopes = [\"read\"] } }";
    let access = |rule: &str| format!("access = {rule}");
    let (plain, other) = (token("corp", ""), token("flat", ""));
    let rest = corp.config("corp", AUDIENCE)
        // `whole` asks for a word that `self` and `corp` both have.
        + "acr = [\"low\", \"mid\", \"aal2\", \"high\"]\n"
        + &flat.config("flat", AUDIENCE)
        + &upstream(&up)
        + &route("weak", "/weak/{**}", &access(&plain))
        + &route("strong", "/strong/{**}", &access(&token("corp", strong)))
        + &route(
            "whole",
            "/whole/{**}",
            &format!(
                "mfa = {{ acr = \"aal2\" }}\naccess = {{ any = [{key}, {plain}, {}] }}",
                token("self", "").replace("read", "own")
            ),
        )
        + &route(
            "wide",
            "/wide/{**}",
            &format!("mfa = {{ max_age = \"5m\" }}\naccess = {{ any = [{key}, {plain}, {other}] }}"),
        )
        + &route(
            "either",
            "/either/{**}",
            &access(&format!("{{ any = [{}, {key}] }}", token("corp", strong))),
        )
        + &route(
            "exact",
            "/exact/{**}",
            &access(&token("flat", ", mfa = { acr = \"mid\" }")),
        )
        + &route(
            "shadow",
            "/shadow/{**}",
            &format!("mfa = {{ acr = \"high\" }}\nshadow = [\"mfa\"]\naccess = {plain}"),
        )
        + &route(
            "own",
            "/own/{**}",
            &access(&token("self", ", mfa = { acr = \"aal1\" }").replace("read", "own")),
        );
    let gate = Gate::builder().listener("h2c = true").rest(&rest).start();
    keys_known(&gate, 2);
    It { up, corp, flat, gate }
}

fn token_of(issuer: &Issuer, claims: &Value) -> String {
    let mut all = issuer.claims(AUDIENCE, "read");
    for (name, value) in claims.as_object().expect("claims") {
        all[name] = value.clone();
    }
    issuer.sign(&all)
}

impl It {
    fn token(&self, acr: &str, age: i64) -> String {
        token_of(&self.corp, &json!({ "acr": acr, "auth_time": now() - age }))
    }

    /// Never passes at `path`, on any shard, cold or warm; the upstream is not touched. What is said of it.
    fn never(&self, path: &str, bearer: &str) -> Response {
        let count = self.up.count();
        let needed = vec![refused(401, "step_up.required"); 16];
        assert_eq!(everywhere(&self.gate, path, bearer), needed);
        let response = get(&self.gate, path, bearer);
        assert_eq!(self.up.count(), count, "{path}");
        response
    }

    fn passes(&self, path: &str, bearer: &str) {
        assert_eq!(everywhere(&self.gate, path, bearer), vec![passed(); 16], "{path}");
    }
}

/// The challenge for the way that was used.
fn challenge(response: &Response) -> String {
    let all = response.values("www-authenticate");
    let used = all.into_iter().find(|it| it.contains("error="));
    used.expect("a challenge with an error").to_owned()
}

#[test]
fn rfc9470_s3_a_lower_acr_never_passes_however_cached() {
    let it = start();
    for acr in ["", "low", "mid", "HIGH", "high ", "higher", "low mid high", "high,high"] {
        let token = it.token(acr, 5);
        // First where nothing is asked, on every shard: then the token is verified and cached everywhere.
        it.passes("/weak/x", &token);
        let told = it.never("/strong/x", &token);
        let said = challenge(&told);
        assert!(said.starts_with("Bearer "), "{said}");
        for part in
            ["error=\"insufficient_user_authentication\"", "acr_values=\"high\"", "max_age=\"300\""]
        {
            assert!(said.contains(part), "{said}");
        }
        it.passes("/weak/x", &token);
    }
    let good = it.token("high", 5);
    it.passes("/strong/x", &good);
    it.passes("/weak/x", &good);
    // The order of one issuer is not that of another.
    let flat = |acr: &str| token_of(&it.flat, &json!({ "acr": acr, "auth_time": now() }));
    it.passes("/exact/x", &flat("mid"));
    for acr in ["high", "low", "aal3", "phrh"] {
        it.never("/exact/x", &flat(acr));
    }
}

#[test]
fn openid_core_s3_1_2_1_max_age_ends_on_a_warm_token_and_on_a_stream() {
    let it = start();
    let token = it.token("high", 296);
    it.passes("/strong/x", &token);
    let mut stream = RawClient::connect(&it.gate.address());
    stream.send(format!(
        "GET /strong/events HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\r\n"
    ));
    assert_eq!(stream.response_head().status, 200);
    assert!(!stream.read_some().expect("an event").is_empty());
    let mut kept = RawClient::connect(&it.gate.address());
    wait::until(PATIENCE, "the end of max_age", || {
        again(&mut kept, "/strong/x", &token) == refused(401, "step_up.required")
    });
    assert!(stream.is_closed(second()), "the stream goes on");
    it.never("/strong/x", &token);
    // The token itself is good for minutes.
    it.passes("/weak/x", &token);
    // From the future, beyond what clocks differ by; and as old as may be.
    it.never("/strong/x", &it.token("high", -45));
    it.passes("/strong/x", &it.token("high", -20));
    it.never("/strong/x", &it.token("high", 301));
    it.never("/strong/x", &token_of(&it.corp, &json!({ "acr": "high" })));
}

#[test]
fn keys_and_tokens_of_clients_never_pass() {
    let it = start();
    let (_, key) = key(&it.gate, "k", "read");
    for path in ["/whole/x", "/wide/x"] {
        let told = it.never(path, &key);
        assert!(challenge(&told).contains("insufficient_user_authentication"));
        let count = it.up.count();
        let sent = it.gate.get(path, &[("x-api-key", &key)]);
        assert_eq!((said(&sent), it.up.count()), (refused(401, "step_up.required"), count));
    }
    // The key lends nothing to a weak token, and the token nothing to the key.
    let (weak, strong) = (it.token("low", 5), it.token("high", 5));
    for (token, status) in [(&weak, 401), (&strong, 200)] {
        let bearer = format!("Bearer {token}");
        let both = [("authorization", bearer.as_str()), ("x-api-key", key.as_str())];
        assert_eq!(it.gate.get("/whole/x", &both).status, status);
    }
    // Where an alternative does not ask for it, the alternative stands.
    it.passes("/either/x", &key);
    it.passes("/either/x", &strong);
    it.never("/either/x", &weak);
    // A client's own token: of another issuer, whatever it writes into it; and of ours.
    let claims = json!({ "sub": "shop", "client_id": "shop", "acr": "high", "auth_time": now() });
    for path in ["/strong/x", "/whole/x", "/wide/x"] {
        it.never(path, &token_of(&it.corp, &claims));
    }
    for format in ["jwt", "opaque"] {
        let more = ["--scope", "own", "--token-format", format];
        let client = Client::new(&it.gate, &format!("job-{format}"), &more);
        let token = client.token(&it.gate, "own");
        it.never("/own/x", &token);
    }
}

#[test]
fn attack_acr_and_auth_time_of_other_types() {
    let it = start();
    let (good, at) = (json!("high"), json!(now()));
    let wrong = [
        ("acr", json!(["high"])),
        ("acr", json!(3)),
        ("acr", json!(true)),
        ("acr", json!({ "values": ["high"] })),
        ("acr", json!(null)),
        ("acr", json!("high\u{0}")),
        ("auth_time", json!(now().to_string())),
        ("auth_time", json!(now() as f64 + 0.5)),
        ("auth_time", json!(-1)),
        ("auth_time", json!(1u64 << 53)),
        ("auth_time", json!(u64::MAX)),
        ("auth_time", json!(null)),
        ("auth_time", json!([now()])),
        ("auth_time", json!(true)),
    ];
    for (name, value) in wrong {
        let mut claims = json!({ "acr": good, "auth_time": at });
        claims[name] = value.clone();
        let token = token_of(&it.corp, &claims);
        let count = it.up.count();
        for path in ["/strong/x", "/weak/x", "/strong/x"] {
            let came = answer(&it.gate, path, &token);
            assert_eq!(came, refused(401, "token.claim_invalid"), "{name} {value} {path}");
        }
        assert_eq!(it.up.count(), count, "{name} {value}");
    }
    for (acr, auth_time) in [(json!("x".repeat(4_000)), at.clone()), (good, json!(0))] {
        let token = token_of(&it.corp, &json!({ "acr": acr, "auth_time": auth_time }));
        it.never("/strong/x", &token);
    }
}

#[test]
fn http2_is_judged_and_challenged_alike() {
    let it = start();
    let ask = |path: &str, token: &str| {
        let bearer = format!("authorization: Bearer {token}");
        let url = it.gate.url() + path;
        let args = ["-s", "--http2-prior-knowledge", "-D", "-", "-o", "/dev/null", "-H", &bearer];
        let out = Command::new("curl").args(args).arg(url).output().expect("curl");
        String::from_utf8(out.stdout).expect("text")
    };
    let weak = it.token("mid", 5);
    for _ in 0..8 {
        assert!(ask("/weak/x", &weak).starts_with("HTTP/2 200"));
        let told = ask("/strong/x", &weak);
        assert!(told.starts_with("HTTP/2 401"), "{told}");
        assert!(told.contains("error=\"insufficient_user_authentication\""), "{told}");
        assert!(told.contains("acr_values=\"high\", max_age=\"300\""), "{told}");
    }
    assert!(ask("/strong/x", &it.token("high", 5)).starts_with("HTTP/2 200"));
    assert!(ask("/strong/x", &it.token("high", 301)).starts_with("HTTP/2 401"));
}

#[test]
fn the_record_says_which_sign_in_there_was_and_which_is_asked() {
    let it = start();
    let told = it.never("/strong/x", &it.token("low", 400));
    let id = told.header("x-request-id").expect("an id").to_owned();
    let explained = it.gate.done(&["explain", &id]);
    assert_eq!(explained["code"], "step_up.required");
    assert_eq!(explained["phase"], "decide");
    let text = explained.to_string();
    assert!(text.contains("acr low, 40"), "{text}");
    assert!(text.contains("asked: acr high, at most 300 s ago"), "{text}");
    assert!(text.contains("acr_values"), "{text}");
    // The caller is told what to do, and nothing of what was there.
    assert!(!told.text().contains("low"), "{}", told.text());
    // In shadow it is recorded and not enforced.
    let passed = get(&it.gate, "/shadow/x", &it.token("low", 5));
    assert_eq!(passed.status, 200);
    let id = passed.header("x-request-id").expect("an id").to_owned();
    let text = it.gate.done(&["explain", &id]).to_string();
    assert!(text.contains("would_deny") && text.contains("step_up.required"), "{text}");
}

#[test]
fn rfc9449_s7_1_a_bound_token_is_challenged_under_its_own_scheme() {
    let (it, holder) = (start(), Holder::new());
    let url = format!("http://{}/strong/x", it.gate.address());
    let bound = |acr: &str| {
        let cnf = json!({ "jkt": holder.thumbprint() });
        token_of(&it.corp, &json!({ "acr": acr, "auth_time": now(), "cnf": cnf }))
    };
    for (acr, status) in [("mid", 401), ("high", 200)] {
        let token = bound(acr);
        for _ in 0..4 {
            let authorization = format!("DPoP {token}");
            let proof = holder.proof("GET", &url, Some(&token));
            let sent = [("authorization", authorization.as_str()), ("dpop", proof.as_str())];
            let told = it.gate.get("/strong/x", &sent);
            assert_eq!(told.status, status, "{}", told.text());
            if status == 401 {
                let said = challenge(&told);
                assert!(said.starts_with("DPoP "), "{said}");
                assert!(said.contains("insufficient_user_authentication"), "{said}");
                assert!(said.contains("acr_values=\"high\", max_age=\"300\""), "{said}");
            }
        }
    }
}
