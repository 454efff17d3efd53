//! What a caller is told when the gate says no: every status, in the shape of RFC 9457, with a stable code, an id
//! that `explain` knows, and nothing of what was sent.

use crate::stage::{AUDIENCE, ROUTES, SOON, Stage, problem, refused, service};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use testkit::{
    Algorithm, Answer, Authority, Behaviour, Gate, Issuer, Key, RawClient, Response, Upstream,
    free_port, wait,
};

/// Routes that refuse in ways that the standard ones do not.
const MORE: &str = r#"
[[ip_list]]
name = "elsewhere"
allow = ["203.0.113.0/24"]

[[ip_list]]
name = "banned"
allow = ["127.0.0.0/8"]
deny = ["127.0.0.1"]

[[route]]
name = "elsewhere"
path = "/elsewhere/{**}"
upstream = "orders"
ip = ["elsewhere"]
access = "public"

[[route]]
name = "banned"
path = "/banned/{**}"
upstream = "orders"
ip = ["banned"]
access = "public"

[[route]]
name = "reads"
path = "/reads/{**}"
methods = ["GET", "HEAD"]
upstream = "orders"
access = "public"

[[route]]
name = "small"
path = "/small/{**}"
upstream = "orders"
max_body = "10B"
access = "public"

[[route]]
name = "seldom"
path = "/seldom/{**}"
upstream = "orders"
rate = { limit = 1, per = "1h" }
access = "public"

[[route]]
name = "seldom-each"
path = "/each/{**}"
upstream = "orders"
rate = { limit = 1, per = "1h", by = "principal" }
access = { jwt = { issuer = "corp", scopes = ["read"] } }

[[route]]
name = "cors"
path = "/cors/{**}"
methods = ["GET"]
upstream = "orders"
cors = { origins = ["https://app.example"] }
access = { jwt = { issuer = "corp", scopes = ["read"] } }

[[upstream]]
name = "dead"
servers = ["http://127.0.0.1:@dead@"]
retries = 0

[[route]]
name = "dead"
path = "/dead/{**}"
upstream = "dead"
access = "public"
"#;

/// An upstream that answers, hangs, breaks off or babbles, by the path.
fn moody() -> Upstream {
    Upstream::start(|seen| match seen.target().rsplit('/').next().unwrap_or_default() {
        "silent" => Answer::Silence,
        "gone" => Answer::Close(Vec::new()),
        "half" => Answer::Close(b"HTTP/1.1 200 OK\r\nConte".to_vec()),
        "babble" => Answer::Bytes(b"SSH-2.0-OpenSSH_9.9\r\n\r\n".to_vec()),
        _ => Answer::ok("ok"),
    })
}

fn stage() -> Stage {
    let routes = ROUTES.to_owned() + &MORE.replace("@dead@", &free_port().to_string());
    let timeout = "[[route]]\nname = \"slow\"\npath = \"/slow/{**}\"\nupstream = \"orders\"\ntimeout = \"1s\"\naccess = \"public\"\n";
    Stage::with(
        moody(),
        "timeouts = { head = \"2s\", body = \"2s\", idle = \"30s\" }",
        &(routes + timeout),
    )
}

/// RFC 9457: each status that the gate itself gives, with its code, its id, and no more.
#[test]
fn rfc9457_every_status_is_a_problem() {
    let stage = stage();
    let get = |path: &str| stage.gate.get(path, &[]);
    let token = stage.token("nothing");
    let long = format!("/open/{}", "a".repeat(9000));
    let raw = |bytes: &str| stage.connect().exchange(bytes);
    let post = |path: &str, body: &[u8]| {
        testkit::request("POST", &(stage.gate.address() + path), &[], body)
    };
    let cases: Vec<(Response, u16, &str)> = vec![
        (raw("GARBAGE\r\n\r\n"), 400, "request.malformed"),
        (get("/open/../x"), 400, "path.ambiguous"),
        (get("/open/x?api_key=x"), 400, "key.in_url"),
        (raw("GET /open/x HTTP/1.1\r\n\r\n"), 400, "host.ambiguous"),
        (
            raw(
                "POST /open/x HTTP/1.1\r\nHost: g\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
            ),
            400,
            "framing.ambiguous",
        ),
        (
            raw("GET /open/x HTTP/1.1\r\nHost: g\r\nConnection: content-length\r\n\r\n"),
            400,
            "header.forbidden",
        ),
        (get("/api/x"), 401, "credential.missing"),
        (stage.get("/api/x", &token), 403, "scope.missing"),
        (get("/elsewhere/x"), 403, "address.not_listed"),
        (get("/banned/x"), 403, "address.denied"),
        (get("/nowhere"), 404, "route.not_found"),
        (post("/reads/x", b"x"), 405, "route.method_not_allowed"),
        (raw("GET /open/x HTTP/1.1\r\nHost: g\r\nX-Slow: "), 408, "head.timeout"),
        (post("/small/x", b"more than ten"), 413, "body.too_large"),
        (get(&long), 414, "target.too_long"),
        (
            raw("POST /open/x HTTP/1.1\r\nHost: g\r\nExpect: tea\r\nContent-Length: 1\r\n\r\nx"),
            417,
            "request.expectation",
        ),
        (stage.gate.get("/open/x", &[("x", &"a".repeat(40_000))]), 431, "head.too_large"),
        (get("/dead/x"), 502, "upstream.unreachable"),
        (get("/open/gone"), 502, "upstream.broken"),
        (get("/open/half"), 502, "upstream.broken"),
        (get("/open/babble"), 502, "upstream.broken"),
        (get("/slow/silent"), 504, "upstream.timeout"),
    ];
    let mut ids = BTreeSet::new();
    for (answer, status, code) in &cases {
        refused(answer, *status, code);
        assert!(ids.insert(answer.header("x-request-id").map(str::to_owned)), "an id came twice");
        assert_eq!(
            answer.json().as_object().map(serde_json::Map::len),
            Some(6),
            "{}",
            answer.text()
        );
        assert_eq!(answer.header("cache-control"), Some("no-store"), "{code}");
    }
    assert_eq!(
        post("/reads/x", b"x").header("allow").map(|allow| allow.contains("GET")),
        Some(true)
    );
    stage.alive();
}

/// RFC 9457, limits and bodies: what is refused on the way, and that no half of it arrives as a whole.
#[test]
fn rfc9457_limits_and_bodies() {
    let stage = stage();
    let get = |path: &str| stage.gate.get(path, &[]);
    let raw = |bytes: &str| stage.connect().exchange(bytes);
    // Limits: the first passes, the second does not, and says when to come again.
    assert_eq!(get("/seldom/x").status, 200);
    let limited = get("/seldom/x");
    refused(&limited, 429, "rate.exceeded");
    let seconds = limited.header("retry-after").and_then(|text| text.parse::<u32>().ok());
    assert!(seconds.is_some_and(|seconds| (1..=3600).contains(&seconds)), "{seconds:?}");
    let reader = stage.token("read");
    assert_eq!(stage.get("/each/x", &reader).status, 200);
    refused(&stage.get("/each/x", &reader), 429, "rate.exceeded");
    // A body that turns out too large on the way.
    let chunked = raw(
        "POST /small/x HTTP/1.1\r\nHost: g\r\nTransfer-Encoding: chunked\r\n\r\n14\r\n01234567890123456789\r\n0\r\n\r\n",
    );
    refused(&chunked, 413, "body.too_large");
    // A body that stops on the way.
    let stalled = raw("POST /open/stalled HTTP/1.1\r\nHost: g\r\nContent-Length: 10\r\n\r\nabc");
    refused(&stalled, 408, "body.timeout");
    let whole = stage.upstream.requests().into_iter().filter(|seen| seen.body.complete);
    assert!(
        whole.filter(|seen| seen.method() == "POST").count() == 0,
        "a cut body arrived as a whole"
    );
    stage.alive();
}

/// RFC 9457, the rest: a certificate's other host (421), an issuer that cannot be asked (503), servers that are
/// known to be ill (503).
#[test]
fn rfc9457_misdirected_and_unavailable() {
    let folder = tempfile::tempdir().expect("a folder");
    let authority = Authority::new();
    let (certificate, key) =
        authority.write(folder.path(), "gate", &["gate.example", "other.example"]);
    let upstream = Upstream::start(|_| Answer::status(500, "ill"));
    let issuer = Issuer::start();
    issuer.behave(Behaviour::Status(500));
    let gate = Gate::builder()
        .listener(&format!(
            "tls = {{ cert = \"{}\", key = \"{}\" }}",
            certificate.display(),
            key.display()
        ))
        .rest(&format!(
            "{}{}{ROUTES}",
            issuer.config("corp", AUDIENCE),
            service(&upstream, "health = { path = \"/healthz\", every = \"1s\", unhealthy = 1 }")
        ))
        .start();
    let ask = |host: &str, path: &str, token: &str| {
        let mut client =
            RawClient::connect_tls(&gate.address(), "gate.example", &authority, &["http/1.1"]);
        client.exchange(format!(
            "GET {path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\n\r\n"
        ))
    };
    for host in ["other.example", "gate.example.evil", "127.0.0.1", "*.example", "example"] {
        let answer = ask(host, "/open/x", "x");
        assert!(matches!(answer.status, 400 | 421), "{host}");
        problem(&answer);
    }
    refused(&ask("other.example", "/open/x", "x"), 421, "host.misdirected");
    refused(
        &ask("gate.example", "/api/x", &issuer.token(AUDIENCE, "read")),
        503,
        "issuer.unavailable",
    );
    wait::until(SOON, "an unhealthy upstream", || {
        ask("GATE.example.", "/open/x", "x").status == 503
    });
    refused(&ask("gate.example", "/open/x", "x"), 503, "upstream.unhealthy");
    assert!(upstream.requests().iter().all(|seen| seen.target() != "/api/x"));
}

/// Every kind of token problem is told apart, and none echoes the token (RFC 6750 §3).
#[test]
fn rfc6750_s3_token_problems_say_which_kind() {
    let stage = stage();
    let good = stage.issuer.claims(AUDIENCE, "read");
    let key = stage.issuer.key("k1");
    let now = good["iat"].as_i64().expect("a time");
    let with = |name: &str, value: Value| {
        let mut claims = good.clone();
        claims[name] = value;
        claims
    };
    let head = |extra: Value| {
        let mut header = json!({ "alg": "ES256", "kid": "k1", "typ": "at+jwt" });
        header
            .as_object_mut()
            .expect("an object")
            .extend(extra.as_object().expect("an object").clone());
        header
    };
    let stranger = Key::generate(Algorithm::Es256, "k1");
    let unknown = Key::generate(Algorithm::Es256, "k9");
    let cases = [
        (key.token(&with("exp", json!(now - 100))), "token.expired"),
        (key.token(&with("nbf", json!(now + 200))), "token.not_yet_valid"),
        (key.token(&with("aud", json!("billing-api"))), "token.wrong_audience"),
        (key.token(&with("iss", json!("https://nobody.example"))), "token.unknown_issuer"),
        (key.token(&with("exp", json!("soon"))), "token.claim_invalid"),
        (key.token(&with("cnf", json!({ "jkt": "abc" }))), "token.proof_missing"),
        (stranger.token(&good), "token.bad_signature"),
        (unknown.token(&good), "token.unknown_key"),
        (key.token_with(&head(json!({ "typ": "id+jwt" })), &good), "token.wrong_type"),
        (key.token_with(&head(json!({ "crit": ["x"], "x": 1 })), &good), "token.critical_header"),
        (key.token_with(&head(json!({ "alg": "ES384" })), &good), "token.algorithm_refused"),
        (key.token_of(b"not json", b"{}"), "token.malformed"),
        ("opaque-where-none-is-taken".to_owned(), "token.malformed"),
        ("eyJhbGciOiJFUzI1NiJ9.e30".to_owned(), "token.malformed"),
    ];
    for (token, code) in cases {
        let token = stage.secret(token);
        let answer = stage.get("/api/x", &token);
        refused(&answer, 401, code);
        let challenge = answer.header("www-authenticate").expect("a challenge");
        assert!(
            challenge.starts_with("Bearer ") && challenge.contains("error=\"invalid_token\""),
            "{challenge}"
        );
        assert!(challenge.contains("scope=\"read\""), "{challenge}");
        let said = String::from_utf8_lossy(&answer.head).into_owned() + &answer.text();
        let parts = token.split('.').filter(|part| part.len() > 8);
        for part in parts.chain([token.as_str()]) {
            assert!(!said.contains(part), "{code}: the token came back in {said}");
        }
    }
    stage.untouched();
}

/// RFC 6750 §3.1: none at all, one without the scope, one that is no bearer token, and keys.
#[test]
fn rfc6750_s3_1_other_credential_problems() {
    let stage = stage();
    let none = stage.gate.get("/api/x", &[]);
    // RFC 6750 §3.1: without a credential, no error code.
    assert!(!none.header("www-authenticate").expect("a challenge").contains("error"));
    let scope = stage.get("/api/x", &stage.token("nothing"));
    assert!(scope.header("www-authenticate").expect("a challenge").contains("insufficient_scope"));
    for (value, code) in [
        ("Basic dXNlcjpwYXNz", "credential.wrong_kind"),
        ("Bearer", "credential.malformed"),
        ("Bearer a b", "credential.malformed"),
        ("Bearer \u{e9}", "credential.malformed"),
    ] {
        refused(&stage.gate.get("/api/x", &[("authorization", value)]), 401, code);
    }
    let key = stage.key("read");
    let broken = key.replace("pcl_", "pcl_x");
    let (body, _) = key.split_at(key.len() - 1);
    for (key, code) in [
        (broken.as_str(), "key.malformed"),
        (body, "key.malformed"),
        ("pcl_", "key.malformed"),
        ("pcl_live_x_y", "key.malformed"),
    ] {
        let answer = stage.gate.get("/keys/x", &[("x-api-key", key)]);
        refused(&answer, 401, code);
        assert!(!answer.text().contains(key));
    }
    assert_eq!(stage.upstream.count(), 0);
}

/// Every answer carries an id: ours, one line, never the caller's or the upstream's.
#[test]
fn every_answer_has_a_request_id() {
    let upstream = Upstream::start(|seen| match seen.target().as_str() {
        "/open/named" => {
            Answer::with(200, &[("x-request-id", "theirs"), ("X-Request-ID", "again")], b"ok")
        }
        "/open/empty" => Answer::with(204, &[], b""),
        "/open/error" => Answer::status(500, "oops"),
        _ => Answer::ok("ok"),
    });
    let routes = ROUTES.to_owned() + &MORE.replace("@dead@", &free_port().to_string());
    let stage = Stage::with(upstream, "h2c = true", &routes);
    let key = stage.key("read");
    let mut ids = BTreeSet::new();
    let mut take = |answer: &Response, status: u16| {
        assert_eq!(answer.status, status, "{}", answer.text());
        let values = answer.values("x-request-id");
        assert_eq!(values.len(), 1, "{answer:?}");
        assert!(values[0].len() == 26 && ids.insert(values[0].to_owned()), "{values:?}");
    };
    let own = [("x-request-id", "mine")];
    for (path, status) in [
        ("/open/named", 200),
        ("/open/empty", 204),
        ("/open/error", 500),
        ("/open/x", 200),
        ("/api/x", 401),
        ("/nowhere", 404),
        ("/open/..", 400),
    ] {
        take(&stage.gate.get(path, &own), status);
        let head = testkit::request("HEAD", &(stage.gate.address() + path), &own, b"");
        let status = if path == "/open/empty" { 204 } else { status };
        take(&head, status);
    }
    take(&stage.gate.get("/keys/x", &[("x-api-key", &key)]), 200);
    let preflight = [("origin", "https://app.example"), ("access-control-request-method", "GET")];
    take(&testkit::request("OPTIONS", &(stage.gate.address() + "/cors/x"), &preflight, b""), 204);
    let stranger = [("origin", "https://evil.example"), ("access-control-request-method", "GET")];
    take(&testkit::request("OPTIONS", &(stage.gate.address() + "/cors/x"), &stranger, b""), 403);
    take(&stage.connect().exchange("GARBAGE\r\n\r\n"), 400);
    for seen in stage.upstream.requests() {
        assert_ne!(seen.header("x-request-id").as_deref(), Some("mine"));
    }
}

/// `explain` knows a refusal by the id that its caller was given, and says what to do.
#[test]
fn explain_knows_a_denial_by_its_id() {
    let stage = stage();
    let expired = {
        let mut claims = stage.issuer.claims(AUDIENCE, "read");
        claims["exp"] = json!(1_000_000_000);
        stage.secret(stage.issuer.sign(&claims))
    };
    let cases = [
        (stage.get("/api/x", &expired), "api", "token.expired", "authenticate", "deny"),
        (stage.get("/admin/x", &stage.token("read")), "admin", "scope.missing", "decide", "deny"),
        (stage.gate.get("/elsewhere/x", &[]), "elsewhere", "address.not_listed", "decide", "deny"),
        (stage.gate.get("/nowhere", &[]), "", "route.not_found", "route", "deny"),
        (stage.gate.get("/dead/x", &[]), "dead", "upstream.unreachable", "act", "error"),
        (stage.connect().exchange("GARBAGE\r\n\r\n"), "", "request.malformed", "accept", "deny"),
        (stage.get("/api/x", &stage.token("read")), "api", "ok", "act", "allow"),
    ];
    for (answer, route, code, phase, outcome) in cases {
        let id = answer.header("x-request-id").expect("an id");
        let mut said = Value::Null;
        wait::until(SOON, &format!("{code} in the ledger"), || {
            let output = stage.gate.cli(&["explain", id]);
            said = serde_json::from_str(&output.stdout).unwrap_or_default();
            output.code == 0
        });
        assert_eq!(said["request_id"], id, "{said}");
        assert_eq!((&said["code"], &said["outcome"]), (&json!(code), &json!(outcome)), "{said}");
        assert_eq!(said["route"].as_str().unwrap_or_default(), route, "{said}");
        if code != "ok" {
            assert_eq!(said["phase"], phase, "{said}");
        }
        for member in ["time", "reason", "fix"] {
            assert!(said[member].as_str().is_some_and(|text| !text.is_empty()), "{member}: {said}");
        }
    }
    let nobody = stage.gate.cli(&["explain", "01JD00000000000000000000ZZ"]);
    assert_ne!(nobody.code, 0, "{nobody:?}");
}

/// Every answer is one row of the ledger, whatever was asked and however it ended.
#[test]
fn every_exit_is_recorded_once() {
    let stage = stage();
    let token = stage.token("read");
    let mut ids: BTreeSet<String> = BTreeSet::new();
    let mut answers = 0;
    let mut take = |answer: Response| {
        answers += 1;
        ids.extend(answer.header("x-request-id").map(str::to_owned));
    };
    for path in [
        "/open/x",
        "/nowhere",
        "/open/..",
        "/api/x",
        "/admin/x",
        "/elsewhere/x",
        "/dead/x",
        "/open/gone",
        "/open/babble",
    ] {
        take(stage.gate.get(path, &[]));
        take(stage.get(path, &token));
        take(testkit::request("POST", &(stage.gate.address() + path), &[], b"body"));
        take(testkit::request("HEAD", &(stage.gate.address() + path), &[], b""));
    }
    for bytes in [
        "GARBAGE\r\n\r\n",
        "GET /open/x HTTP/1.1\r\n\r\n",
        "POST /open/x HTTP/1.0\r\nHost: g\r\nTransfer-Encoding: chunked\r\n\r\n",
        "GET /open/x HTTP/1.1\r\nHost: g\r\nConnection: close, upgrade\r\nUpgrade: websocket\r\n\r\n",
    ] {
        take(stage.connect().exchange(bytes));
    }
    let mut pipelined = stage.connect();
    pipelined.send("GET /open/1 HTTP/1.1\r\nHost: g\r\n\r\n".repeat(5));
    for _ in 0..5 {
        take(pipelined.response());
    }
    assert_eq!(ids.len(), answers, "an answer without an id of its own");
    let rows = || {
        let sql = "SELECT request_id, count FROM events WHERE kind = 'decision'";
        stage.gate.done(&["audit", "query", sql]).as_array().cloned().unwrap_or_default()
    };
    wait::until(SOON, "all decisions in the ledger", || rows().len() >= answers);
    let recorded: BTreeSet<String> =
        rows().iter().filter_map(|row| row["request_id"].as_str().map(str::to_owned)).collect();
    assert_eq!((rows().len(), recorded), (answers, ids));
    assert_eq!(stage.gate.done(&["audit", "verify"])["ok"], true);
}

/// No credential stands in any file or line of the gate, whatever became of it: after all kinds of use, and after
/// the gate has ended and written what it had to write.
#[test]
fn no_credential_is_written_anywhere() {
    let mut stage = stage();
    let bare = stage.key("read");
    let tokens = [stage.token("read"), stage.token("nothing")];
    let opaque = stage.secret("opaque-0123456789abcdefghij".to_owned());
    stage.get("/api/x", &opaque);
    stage.get("/keys/x", &opaque);
    let basic = stage.secret("dXNlcjpodW50ZXIyLWh1bnRlcjI=".to_owned());
    let cookie = stage.secret("s3ss10n-0123456789abcdef".to_owned());
    for token in tokens.iter().chain([&bare]) {
        for path in [
            "/open/x",
            "/api/x",
            "/keys/x",
            "/nowhere",
            "/open/..",
            "/dead/x",
            "/open/gone",
            "/small/x",
        ] {
            stage.get(path, token);
            stage.gate.get(path, &[("x-api-key", token)]);
            stage.gate.get(
                path,
                &[
                    ("cookie", &format!("session={cookie}")),
                    ("authorization", &format!("Basic {basic}")),
                ],
            );
            for url in [
                format!("{path}?access_token={token}"),
                format!("{path}?x={token}"),
                format!("/open/{token}"),
                format!("/{token}"),
            ] {
                stage.gate.get(&url, &[]);
            }
            let form = format!("access_token={token}&client_secret={token}");
            testkit::request("POST", &(stage.gate.address() + path), &[], form.as_bytes());
        }
    }
    // Malformed heads, with a credential where it does not belong.
    for token in &tokens {
        for bytes in [
            format!("GET /api/x HTTP/1.1\r\nAuthorization : Bearer {token}\r\n\r\n"),
            format!("{token}\r\n\r\n"),
            format!("GET /api/x HTTP/1.1\r\nHost: {token}\r\n\r\n"),
            format!("{token} /api/x HTTP/1.1\r\nHost: g\r\n\r\n"),
        ] {
            stage.connect().exchange(bytes);
        }
    }
    let listed = stage.gate.cli(&["key", "list"]);
    let (_, secret) = bare.rsplit_once('_').expect("a key");
    assert!(!listed.stdout.contains(secret), "the list shows a secret");
    stage.gate.sigterm();
    stage.gate.ended();
    // The end of every test looks for what was used; see `Stage`.
}
