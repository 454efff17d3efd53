//! Commands against a gate that answers from a table.

use super::*;
use bytes::Bytes;
use clap::{CommandFactory, Parser};
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use tokio::net::UnixListener;

/// What one exchange is: what must come in, and what goes out.
struct Exchange {
    asked: &'static str,
    body: Value,
    status: u16,
    answer: String,
}

fn exchange(asked: &'static str, body: Value, answer: Value) -> Exchange {
    Exchange { asked, body, status: 200, answer: answer.to_string() }
}

type Seen = Arc<Mutex<Vec<(String, Value)>>>;

/// A folder with a gate behind `control.sock`.
struct FakeGate {
    folder: tempfile::TempDir,
    seen: Seen,
}

impl FakeGate {
    fn start(exchanges: &[Exchange]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(folder.path().join("control.sock")).unwrap();
        let seen = Seen::default();
        let table: Arc<Vec<_>> =
            Arc::new(exchanges.iter().map(|it| (it.asked, it.status, it.answer.clone())).collect());
        let notes = Arc::clone(&seen);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (table, notes) = (Arc::clone(&table), Arc::clone(&notes));
                let service = service_fn(move |request| {
                    answer(request, Arc::clone(&table), Arc::clone(&notes))
                });
                let connection = hyper::server::conn::http1::Builder::new();
                tokio::spawn(connection.serve_connection(TokioIo::new(stream), service));
            }
        });
        Self { folder, seen }
    }

    async fn run(&self, words: &[&str]) -> (Exit, String, String) {
        let data = self.folder.path().to_str().unwrap();
        let start = ["portcullis", "--data", data];
        let cli = Cli::try_parse_from(start.iter().chain(words)).unwrap();
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let exit = run(&cli, Streams { out: &mut out, err: &mut err }).await;
        (exit, String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap())
    }
}

async fn answer(
    request: Request<Incoming>,
    table: Arc<Vec<(&'static str, u16, String)>>,
    seen: Seen,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let asked = format!("{} {}", request.method(), request.uri());
    let body = request.into_body().collect().await.unwrap().to_bytes();
    let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
    seen.lock().unwrap().push((asked.clone(), body));
    let row = table.iter().find(|(path, _, _)| *path == asked);
    let (status, text) =
        row.map_or((404, "{}".to_owned()), |(_, status, text)| (*status, text.clone()));
    Ok(Response::builder().status(status).body(Full::new(Bytes::from(text))).unwrap())
}

/// Runs a command against one exchange, once for a person and once for a script.
async fn check(words: &[&str], exchange: Exchange, text: &str) {
    let body = exchange.body.clone();
    let expected: Value = serde_json::from_str(&exchange.answer).unwrap();
    let asked = exchange.asked;
    let gate = FakeGate::start(&[exchange]);
    let (exit, out, err) = gate.run(words).await;
    assert_eq!((exit, err.as_str()), (Exit::Done, ""), "{words:?}");
    assert!(out.contains(text), "{words:?}: {out}");
    assert_eq!(*gate.seen.lock().unwrap(), [(asked.to_owned(), body)], "{words:?}");
    let mut words = words.to_vec();
    words.push("--json");
    let (exit, out, _) = gate.run(&words).await;
    assert_eq!(exit, Exit::Done);
    let found: Value = serde_json::from_str(&out).unwrap();
    // A listing is printed as its rows, without the page around them.
    let rows = expected
        .as_object()
        .and_then(|it| it.contains_key("next").then(|| it.values().find(|v| v.is_array())));
    match rows.flatten() {
        Some(rows) => assert_eq!(found, *rows),
        None => assert_eq!(found, expected),
    }
}

#[test]
fn the_command_line_is_well_formed() {
    Cli::command().debug_assert();
}

#[tokio::test]
async fn keys() {
    let created =
        json!({ "id": "abc", "key": "pcl_live_abc_x", "scopes": ["a", "b"], "expires_at": null });
    let body = json!({ "name": "n", "scopes": ["a", "b"], "expires_in_seconds": 2_592_000, "env": "live", "routes": null });
    check(
        &["key", "create", "--name", "n", "--scope", "a", "--scope", "b", "--expires", "30d"],
        exchange("POST /api/v1/keys", body, created),
        "pcl_live_abc_x\n",
    )
    .await;
    let key = json!({ "id": "abc", "name": "n", "scopes": ["a"], "revoked_at": null });
    check(
        &["key", "show", "a/b"],
        exchange("GET /api/v1/keys/a%2Fb", Value::Null, key.clone()),
        "scopes     a",
    )
    .await;
    check(
        &["key", "list"],
        exchange(
            "GET /api/v1/keys?limit=1000",
            Value::Null,
            json!({ "keys": [key.clone()], "next": null }),
        ),
        "ID   NAME  ENV  SCOPES  CREATED  EXPIRES  REVOKED\nabc  n     -    a",
    )
    .await;
    check(
        &["key", "revoke", "abc", "--reason", "lost"],
        exchange("POST /api/v1/keys/abc/revoke", json!({ "reason": "lost" }), key),
        "the key abc is revoked",
    )
    .await;
}

#[tokio::test]
async fn blocks() {
    let block = json!({ "id": "b1", "kind": "subject", "value": "eve", "expires_at": null });
    let body = json!({ "kind": "subject", "value": "eve", "issuer": "corp", "reason": null, "expires_in_seconds": 3600 });
    check(
        &["block", "subject", "eve", "--issuer", "corp", "--for", "1h"],
        exchange("POST /api/v1/blocks", body, block.clone()),
        "the subject eve is blocked for good",
    )
    .await;
    check(
        &["block", "list"],
        exchange(
            "GET /api/v1/blocks?limit=1000",
            Value::Null,
            json!({ "blocks": [], "next": null }),
        ),
        "nothing is blocked",
    )
    .await;
    check(
        &["block", "remove", "b1"],
        exchange("DELETE /api/v1/blocks/b1", Value::Null, block),
        "the subject eve is no longer blocked",
    )
    .await;
}

#[tokio::test]
async fn addresses() {
    let entry = json!({ "id": "e1", "address": "203.0.113.7/32", "list": "office", "expires_at": "2026-01-01T00:00:00Z" });
    let body = json!({ "address": "203.0.113.7", "list": "office", "expires_in_seconds": 28800, "note": null });
    check(
        &["ip", "allow", "203.0.113.7", "--list", "office", "--for", "8h"],
        exchange("POST /api/v1/ip/entries", body, entry.clone()),
        "203.0.113.7/32 is on the list office until 2026-01-01T00:00:00Z",
    )
    .await;
    check(
        &["ip", "list", "--list", "a&b"],
        exchange(
            "GET /api/v1/ip/entries?list=a%26b&limit=1000",
            Value::Null,
            json!({ "entries": [entry.clone()], "next": null }),
        ),
        "203.0.113.7/32",
    )
    .await;
    check(
        &["ip", "remove", "e1"],
        exchange("DELETE /api/v1/ip/entries/e1", Value::Null, entry),
        "is off the list office",
    )
    .await;
    let verdict = json!({ "address": "::1", "lists": [{ "list": "office", "verdict": "deny", "rule": "::/0", "source": "file" }] });
    check(
        &["ip", "test", "::1"],
        exchange("GET /api/v1/ip/test?address=%3A%3A1", Value::Null, verdict),
        "::1: office: deny by ::/0 (file)",
    )
    .await;
}

#[tokio::test]
async fn records() {
    let record = json!({
        "request_id": "r1", "time": "t", "route": "orders", "outcome": "deny", "phase": "authenticate",
        "code": "token.expired", "reason": "The token's `exp` has passed.", "fix": "Ask again.",
        "method": "GET", "path": "/orders/\u{1b}[31m", "status": 401,
    });
    check(
        &["explain", "r1"],
        exchange("GET /api/v1/explain/r1", Value::Null, record),
        "asked for  GET /orders/\u{fffd}[31m",
    )
    .await;
    let event = json!({ "time": "t", "kind": "decision", "outcome": "deny", "status": 401, "method": "GET",
        "path": "/a", "code": "token.expired", "request_id": "r1", "count": 3 });
    check(
        &["audit", "tail", "-n", "5", "--filter", "outcome=deny"],
        exchange("GET /api/v1/audit/events?limit=5&outcome=deny", Value::Null, json!([event])),
        "t  deny   401  GET /a  token.expired  count=3  r1",
    )
    .await;
    check(
        &["audit", "query", "SELECT code FROM events"],
        exchange(
            "POST /api/v1/audit/query",
            json!({ "sql": "SELECT code FROM events" }),
            json!([{ "code": "ok", "n": 2 }]),
        ),
        "code  n\nok    2",
    )
    .await;
}

#[tokio::test]
async fn a_tail_that_is_followed_prints_each_line() {
    let lines = "{\"kind\":\"system\",\"code\":\"node.started\"}\n\n{\"kind\":\"gap\",\"code\":\"ledger.gap\"}\n";
    let exchange = Exchange {
        asked: "GET /api/v1/audit/events?limit=20&follow=true",
        body: Value::Null,
        status: 200,
        answer: lines.to_owned(),
    };
    let gate = FakeGate::start(&[exchange]);
    let (exit, out, _) = gate.run(&["audit", "tail", "-f"]).await;
    assert_eq!((exit, out.lines().count()), (Exit::Done, 2), "{out}");
}

#[tokio::test]
async fn a_listing_is_read_to_its_end() {
    let gate = FakeGate::start(&[
        exchange(
            "GET /api/v1/blocks?limit=1000",
            Value::Null,
            json!({ "blocks": [{ "id": "a" }], "next": "a" }),
        ),
        exchange(
            "GET /api/v1/blocks?limit=1000&after=a",
            Value::Null,
            json!({ "blocks": [{ "id": "b" }], "next": null }),
        ),
    ]);
    let (_, out, _) = gate.run(&["block", "list", "--json"]).await;
    assert_eq!(serde_json::from_str::<Value>(&out).unwrap(), json!([{ "id": "a" }, { "id": "b" }]));
}

#[tokio::test]
async fn what_the_gate_refuses_is_said() {
    let refused = |status, answer: &str| Exchange {
        asked: "GET /api/v1/keys/x",
        body: Value::Null,
        status,
        answer: answer.to_owned(),
    };
    let problem = r#"{"type":"urn:x","title":"No such thing","status":404,"code":"api.not_found","detail":"no key has the id x"}"#;
    let gate = FakeGate::start(&[refused(404, problem)]);
    let (exit, out, err) = gate.run(&["key", "show", "x"]).await;
    assert_eq!((exit, out.as_str()), (Exit::Refused, ""));
    assert_eq!(err, "error: No such thing: no key has the id x (api.not_found)\n");
    let (_, out, err) = gate.run(&["key", "show", "x", "--json"]).await;
    let error: Value = serde_json::from_str(&err).unwrap();
    assert_eq!((out.as_str(), error["code"].as_str()), ("", Some("api.not_found")));
    for (status, body) in [(500, "oops"), (200, "not JSON"), (302, "{}")] {
        let gate = FakeGate::start(&[refused(status, body)]);
        let (exit, out, err) = gate.run(&["key", "show", "x"]).await;
        assert_eq!((exit, out.as_str()), (Exit::Refused, ""), "{status}");
        assert!(err.contains("no usable answer"), "{err}");
    }
}

async fn alone(words: &[&str]) -> (Exit, String, String) {
    let cli = Cli::try_parse_from(["portcullis"].iter().chain(words)).unwrap();
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let exit = run(&cli, Streams { out: &mut out, err: &mut err }).await;
    (exit, String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap())
}

#[tokio::test]
async fn without_a_gate_the_way_to_start_one_is_said() {
    let (exit, _, err) = alone(&["key", "list", "--data", "/nowhere"]).await;
    assert_eq!(exit, Exit::Refused);
    assert_eq!(
        err,
        "error: no gate runs on /nowhere: start it with `portcullis up --data /nowhere`\n"
    );
}

#[tokio::test]
async fn commands_of_later_features_are_refused() {
    for words in [
        &["cert", "issue", "--client", "x"][..],
        &["ca", "export"],
        &["alert", "list"],
        &["scan", "."],
        &["scan", "--rules", "gitleaks"],
        &["replay"],
        &["backup"],
        &["restore", "x"],
        &["doctor"],
        &["key", "rotate", "x"],
        &["audit", "export"],
        &["audit", "receipt", "x"],
    ] {
        let (exit, out, err) = alone(words).await;
        assert_eq!((exit, out.as_str()), (Exit::Usage, ""), "{words:?}");
        assert!(err.contains("not_available: "), "{words:?}: {err}");
    }
}

#[tokio::test]
async fn a_token_is_not_sent_just_anywhere() {
    for words in [
        &["--url", "http://gate.example", "key", "list"][..],
        &["--url", "https://gate.example/api", "key", "list"],
        &["login", "--url", "http://gate.example"],
        &["login"],
        &["--url", "https://gate.example", "audit", "verify"],
    ] {
        let (exit, out, err) = alone(words).await;
        assert_eq!((exit, out.as_str()), (Exit::Usage, ""), "{words:?}");
        assert!(err.starts_with("error: "), "{words:?}: {err}");
    }
}

/// A gate on a port of this machine that says of itself what `documents` make of its own URL.
async fn liar(documents: impl Fn(&str) -> [Value; 2]) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let [resource, server] = documents(&url).map(|it| it.to_string());
    let table = Arc::new(vec![
        ("GET /.well-known/oauth-protected-resource/api", 200, resource),
        ("GET /.well-known/oauth-authorization-server", 200, server),
        ("POST /oauth/device_authorization", 400, json!({ "error": "invalid_client" }).to_string()),
    ]);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let table = Arc::clone(&table);
            let service =
                service_fn(move |request| answer(request, Arc::clone(&table), Seen::default()));
            let connection = hyper::server::conn::http1::Builder::new();
            tokio::spawn(connection.serve_connection(TokioIo::new(stream), service));
        }
    });
    url
}

#[tokio::test]
async fn rfc9728_s3_3_rfc8414_s3_3_a_gate_speaks_for_itself_only() {
    let victim = "https://gate.example";
    let server = |issuer: &str, token: &str| {
        json!({
            "issuer": issuer, "token_endpoint": token,
            "device_authorization_endpoint": format!("{issuer}/oauth/device_authorization"),
        })
    };
    let resource = |resource: &str, issuer: &str| json!({ "resource": format!("{resource}/api"), "authorization_servers": [issuer] });
    // Tokens for another gate, which this one would get to see.
    let url = liar(|own| [resource(victim, own), server(own, own)]).await;
    let (exit, _, err) = alone(&["login", "--url", &url]).await;
    assert_eq!(exit, Exit::Usage, "{err}");
    assert!(err.contains("goes by the name https://gate.example"), "{err}");
    // An authority that is somebody else.
    let url = liar(|own| [resource(own, own), server(victim, own)]).await;
    let (exit, _, err) = alone(&["login", "--url", &url]).await;
    assert_eq!(exit, Exit::Refused, "{err}");
    assert!(err.contains("somebody else"), "{err}");
    // Codes that would be exchanged elsewhere.
    let url = liar(|own| [resource(own, own), server(own, "https://evil.example/token")]).await;
    let (_, _, err) = alone(&["login", "--url", &url]).await;
    assert!(err.contains("token_endpoint") && err.contains("elsewhere"), "{err}");
    // Plain HTTP to another machine.
    let url = liar(|own| [resource(own, "http://login.example"), server(own, own)]).await;
    let (exit, _, err) = alone(&["login", "--url", &url]).await;
    assert_eq!(exit, Exit::Usage, "{err}");
    // What is right is asked, and what the authority says is said.
    let url = liar(|own| [resource(own, own), server(own, &format!("{own}/oauth/token"))]).await;
    let (exit, _, err) = alone(&["login", "--url", &url]).await;
    assert_eq!(exit, Exit::Refused, "{err}");
    assert!(err.contains("not signed in: invalid_client"), "{err}");
}

#[tokio::test]
async fn clients() {
    let created = json!({ "client_id": "c1", "client_secret": "pcs_x" });
    let body = json!({
        "name": "n", "grants": ["client_credentials"], "redirect_uris": [],
        "post_logout_redirect_uris": [], "scopes": ["a", "b"], "resources": [], "auth": null,
        "profile": "standard", "pkce": "required", "token_format": "jwt", "consent": true,
        "jwks": null, "jwks_uri": null, "dpop": false, "backchannel_logout_uri": null,
    });
    check(
        &["client", "create", "--name", "n", "--grant", "client_credentials", "--scope", "a b"],
        exchange("POST /api/v1/clients", body, created),
        "client_secret  pcs_x",
    )
    .await;
    let client = json!({ "client_id": "c1", "name": "n", "grants": ["client_credentials"] });
    check(
        &["client", "list"],
        exchange(
            "GET /api/v1/clients?limit=1000",
            Value::Null,
            json!({ "clients": [client.clone()], "next": null }),
        ),
        "c1         n",
    )
    .await;
    check(
        &["client", "show", "https://x"],
        exchange("GET /api/v1/clients/https%3A%2F%2Fx", Value::Null, client),
        "grants         client_credentials",
    )
    .await;
}

#[tokio::test]
async fn accounts() {
    let made = json!({ "id": "u1", "setup_url": "http://x/setup#s" });
    let body = json!({ "email": "a@b", "name": null, "roles": ["auditor"], "mail": true });
    check(
        &["user", "create", "--email", "a@b", "--role", "auditor"],
        exchange("POST /api/v1/users", body, made),
        "http://x/setup#s",
    )
    .await;
    let user = json!({ "id": "u1", "roles": ["auditor", "ops"] });
    check(
        &["user", "roles", "u1", "--role", "auditor", "--role", "ops"],
        exchange("POST /api/v1/users/u1/roles", json!({ "roles": ["auditor", "ops"] }), user),
        "the account u1 has the roles auditor ops; it must sign in again",
    )
    .await;
    let user = json!({ "id": "u1", "roles": [] });
    check(
        &["user", "roles", "u1"],
        exchange("POST /api/v1/users/u1/roles", json!({ "roles": [] }), user),
        "the account u1 has no role",
    )
    .await;
}

#[tokio::test]
async fn trust_and_words() {
    let rule = json!({ "id": "t1", "issuer": "https://ci", "subject": "repo:a/*", "client": "c1" });
    let body = json!({
        "name": "CI", "issuer": "https://ci", "jwks_uri": null, "subject": "repo:a/*",
        "audience": null, "claims": { "ref": "refs/heads/main" }, "client": "c1",
        "scopes": ["deploy"],
    });
    let words = ["trust", "put", "--name", "CI", "--issuer", "https://ci", "--subject", "repo:a/*"];
    let rest = ["--client", "c1", "--scope", "deploy", "--claim", "ref=refs/heads/main"];
    check(
        &[&words[..], &rest[..]].concat(),
        exchange("POST /api/v1/trust", body, rule.clone()),
        "tokens of https://ci whose subject is repo:a/* become the client c1",
    )
    .await;
    check(
        &["trust", "list"],
        exchange("GET /api/v1/trust", Value::Null, json!({ "rules": [rule], "next": null })),
        "t1",
    )
    .await;
    check(
        &["trust", "remove", "t1"],
        exchange("DELETE /api/v1/trust/t1", Value::Null, json!({ "id": "t1" })),
        "the rule t1 is removed",
    )
    .await;
    let scope = json!({ "name": "orders:read", "description": "See orders", "origin": "admin" });
    check(
        &["scope", "set", "orders:read", "See orders"],
        exchange(
            "POST /api/v1/scopes",
            json!({ "name": "orders:read", "description": "See orders" }),
            scope.clone(),
        ),
        "orders:read means: See orders",
    )
    .await;
    check(
        &["scope", "list"],
        exchange("GET /api/v1/scopes", Value::Null, json!({ "scopes": [scope], "next": null })),
        "See orders",
    )
    .await;
    check(
        &["scope", "remove", "orders:read"],
        exchange(
            "DELETE /api/v1/scopes/orders%3Aread",
            Value::Null,
            json!({ "name": "orders:read" }),
        ),
        "the words of orders:read are removed",
    )
    .await;
}

#[test]
fn what_cannot_be_typed() {
    for words in [
        &["key", "create", "--name", "x"][..],
        &["key", "create", "--name", "x", "--scope", "a", "--expires", "30"],
        &["key", "create", "--name", "x", "--scope", "a", "--env", "prod"],
        &["ip", "allow", "1.2.3.4", "--list", "x"],
        &["ip", "allow", "1.2.3.4", "--list", "x", "--for", "0s"],
        &["block"],
        &["trust", "put", "--name", "x"],
        &["scope", "set", "x"],
        &["block", "subject"],
        &["audit", "tail", "-n", "0"],
        &["audit", "tail", "--filter", "path=/x"],
        &["check", "a", "--config", "b"],
        &["frobnicate"],
    ] {
        let error = Cli::try_parse_from(["portcullis"].iter().chain(words)).unwrap_err();
        assert_eq!(error.exit_code(), 2, "{words:?}");
    }
}

#[tokio::test]
async fn check_says_what_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let good = write(
        "good.toml",
        "version = 1\n[[listener]]\nname = \"a\"\nbind = \"127.0.0.1:8000\"\n[[upstream]]\nname = \"u\"\nservers = [\"http://127.0.0.1:1\"]\n[[route]]\nname = \"r\"\npath = \"/\"\nmethods = [\"GET\"]\nupstream = \"u\"\naccess = \"public\"\n",
    );
    let (exit, out, _) = alone(&["check", &good]).await;
    assert_eq!(exit, Exit::Done);
    assert!(out.ends_with(": no problems (1 listener, 1 upstream, 1 route)\n"), "{out}");
    let (exit, out, _) = alone(&["check", "--config", &good, "--json"]).await;
    assert_eq!((exit, out.as_str()), (Exit::Done, "[]\n"));
    let bad = write("bad.toml", "version = 1\nservr = 1\n");
    let (exit, out, _) = alone(&["check", &bad]).await;
    assert_eq!(exit, Exit::Refused);
    assert!(out.contains("did you mean `server`?") && out.contains("2 errors, 1 warning"), "{out}");
    let (exit, out, _) = alone(&["check", &bad, "--json"]).await;
    let problems: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(exit, Exit::Refused);
    assert_eq!(problems[2]["line"], 2);
    assert_eq!(problems[2]["code"], "unknown_key");
    let (exit, _, err) = alone(&["check", "/nowhere/x.toml"]).await;
    assert_eq!(exit, Exit::Usage);
    assert!(err.contains("/nowhere/x.toml"));
}

#[tokio::test]
async fn a_ledger_that_is_not_there_is_no_sound_ledger() {
    let (exit, out, err) = alone(&["audit", "verify", "--data", "/nowhere", "--json"]).await;
    assert_eq!((exit, out.as_str()), (Exit::Usage, ""));
    assert!(err.contains("/nowhere/ledger"), "{err}");
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("ledger")).unwrap();
    std::fs::write(folder.path().join("ledger/stranger"), "x").unwrap();
    let data = folder.path().to_str().unwrap();
    let (exit, out, _) = alone(&["audit", "verify", "--data", data, "--json"]).await;
    let report: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((exit, report["ok"].as_bool()), (Exit::Refused, Some(false)), "{out}");
}
