//! Keys, blocks and address entries over the socket.

use crate::client::OnSocket;
use base::Scheme;
use std::sync::atomic::Ordering;

#[tokio::test]
async fn a_key_is_made_shown_and_revoked() {
    let edge = OnSocket::start().await;
    let made = edge.post("/api/v1/keys", r#"{"name":"ci","scopes":["echo:read"]}"#).await;
    assert_eq!(made.status, 201, "{made:?}");
    assert_eq!(
        made.json(),
        serde_json::json!({
            "id": "key000000000", "key": "pcl_live_key000000000_secret",
            "scopes": ["echo:read"], "expires_at": "2025-11-24T16:00:00.123Z",
        })
    );
    let shown = edge.get("/api/v1/keys/key000000000").await;
    assert_eq!(shown.status, 200);
    assert_eq!(shown.json()["name"], "ci");
    assert!(!shown.body.contains("_secret"));
    let revoked = edge.post("/api/v1/keys/key000000000/revoke", r#"{"reason":"lost"}"#).await;
    assert_eq!(revoked.status, 200);
    assert_eq!(revoked.json()["revoked_reason"], "lost");
    let callers = edge.world.admin.callers.lock().unwrap();
    let uid = nix::unistd::geteuid();
    assert!(callers.iter().all(|by| by.scheme == Scheme::Local && by.client_ip.is_none()));
    assert!(callers.iter().all(|by| *by.principal == *format!("uid:{uid}")));
    assert_eq!(callers.len(), 2);
}

#[tokio::test]
async fn listings_go_on_after_the_last() {
    let edge = OnSocket::start().await;
    for _ in 0..3 {
        edge.post("/api/v1/keys", r#"{"name":"n","scopes":["a"]}"#).await;
    }
    let first = edge.get("/api/v1/keys?limit=2").await.json();
    assert_eq!(first["keys"].as_array().unwrap().len(), 2);
    assert_eq!(first["next"], "key000000001");
    let second = edge.get("/api/v1/keys?limit=2&after=key000000001").await.json();
    assert_eq!(second["keys"].as_array().unwrap().len(), 1);
    assert_eq!(second["next"], serde_json::Value::Null);
    for bad in ["limit=0", "limit=1001", "limit=-1", "limit=x", "limit=1&limit=2", "lim=1"] {
        let answer = edge.get(&format!("/api/v1/keys?{bad}")).await;
        let detail = answer.problem(400, "api.invalid");
        assert!(detail.contains("lim") || detail.contains("digit"), "{bad}: {detail}");
    }
}

#[tokio::test]
async fn blocks_and_entries_come_and_go() {
    let edge = OnSocket::start().await;
    let block = r#"{"kind":"subject","value":"mallory","issuer":"corp","reason":"left"}"#;
    let made = edge.post("/api/v1/blocks", block).await;
    assert_eq!((made.status, made.json()["kind"].as_str()), (201, Some("subject")));
    assert_eq!(edge.get("/api/v1/blocks").await.json()["blocks"][0]["value"], "mallory");
    assert_eq!(edge.call("DELETE", "/api/v1/blocks/block0000000", None).await.status, 200);
    let again = edge.call("DELETE", "/api/v1/blocks/block0000000", None).await;
    assert!(again.problem(404, "api.not_found").contains("block0000000"));

    let entry = r#"{"address":"203.0.113.7","list":"office","expires_in_seconds":28800}"#;
    let made = edge.post("/api/v1/ip/entries", entry).await;
    assert_eq!(made.status, 201);
    assert_eq!(made.json()["expires_at"], "2025-11-25T00:00:00.123Z");
    let listed = edge.get("/api/v1/ip/entries?list=office").await.json();
    assert_eq!(listed["entries"].as_array().unwrap().len(), 1);
    let other = edge.get("/api/v1/ip/entries?list=partners").await.json();
    assert_eq!(other["entries"].as_array().unwrap().len(), 0);
    assert_eq!(edge.call("DELETE", "/api/v1/ip/entries/entry0000000", None).await.status, 200);
}

#[tokio::test]
async fn a_list_that_does_not_exist_is_said() {
    let edge = OnSocket::start().await;
    let entry = r#"{"address":"203.0.113.7","list":"offise","expires_in_seconds":60}"#;
    let detail = edge.post("/api/v1/ip/entries", entry).await.problem(400, "api.invalid");
    assert!(detail.starts_with("list:"), "{detail}");
    let test = edge.get("/api/v1/ip/test?address=203.0.113.7&list=offise").await;
    test.problem(400, "api.invalid");
}

#[tokio::test]
async fn an_address_is_tested() {
    let edge = OnSocket::start().await;
    let all = edge.get("/api/v1/ip/test?address=::ffff:203.0.113.7").await.json();
    assert_eq!(all["address"], "203.0.113.7");
    assert_eq!(all["lists"].as_array().unwrap().len(), 2);
    let one = edge.get("/api/v1/ip/test?address=203.0.113.7&list=office").await.json();
    assert_eq!(one["lists"][0]["verdict"], "allow");
    let bad = edge.get("/api/v1/ip/test?address=example.com").await;
    assert!(bad.problem(400, "api.invalid").starts_with("address:"));
    let none = edge.get("/api/v1/ip/test").await;
    assert!(none.problem(400, "api.invalid").contains("address"));
}

#[tokio::test]
async fn bad_bodies_are_named_with_field_and_place() {
    let edge = OnSocket::start().await;
    for (body, parts) in [
        (r#"{"name":"a","scopes":["a"],"expire":1}"#, vec!["expire", "line 1 column"]),
        ("{\n\"name\": 5}", vec!["line 2 column 9"]),
        ("{\n\n", vec!["line 3"]),
        (r#"{"name":"a"}"#, vec!["scopes"]),
        (r#"{"name":"a","name":"b","scopes":[]}"#, vec!["duplicate field", "name"]),
        (r#"{"name":"a","scopes":["a"],"expires_in_seconds":-1}"#, vec!["-1"]),
        (r#"{"name":"a","scopes":[]}"#, vec!["scopes", "empty"]),
        ("", vec!["EOF"]),
        ("[]", vec!["body"]),
        (r#"{"name":"a","scopes":["a"]} x"#, vec!["trailing"]),
    ] {
        let detail = edge.post("/api/v1/keys", body).await.problem(400, "api.invalid");
        for part in parts {
            assert!(detail.contains(part), "{body}: {detail}");
        }
    }
    assert!(edge.world.admin.keys.lock().unwrap().is_empty());
}

#[tokio::test]
async fn deep_or_large_bodies_are_refused() {
    let edge = OnSocket::start().await;
    let deep = "[".repeat(60_000);
    edge.post("/api/v1/keys", &deep).await.problem(400, "api.invalid");
    let large = format!(r#"{{"name":"{}","scopes":[]}}"#, "x".repeat(70_000));
    edge.post("/api/v1/keys", &large).await.problem(413, "body.too_large");
    let chunked = format!(
        "POST /api/v1/keys HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: \
         application/json\r\nTransfer-Encoding: chunked\r\n\r\n11170\r\n{}\r\n0\r\n\r\n",
        " ".repeat(70_000)
    );
    let answer = crate::client::exchange(edge.connect().await, &chunked).await;
    answer.problem(413, "body.too_large");
}

#[tokio::test]
async fn a_body_that_is_not_json_is_refused() {
    let edge = OnSocket::start().await;
    let body = r#"{"name":"a","scopes":["a"]}"#;
    for kind in
        ["", "Content-Type: text/plain\r\n", "Content-Type: application/x-www-form-urlencoded\r\n"]
    {
        let request = format!(
            "POST /api/v1/keys HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{kind}Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let answer = crate::client::exchange(edge.connect().await, &request).await;
        answer.problem(415, "api.media_type");
    }
    assert!(edge.world.admin.keys.lock().unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_body_that_does_not_come_is_given_up() {
    let edge = OnSocket::start().await;
    let request = "POST /api/v1/keys HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: \
                   application/json\r\nContent-Length: 100\r\n\r\n{";
    let answer = crate::client::exchange(edge.connect().await, request).await;
    answer.problem(408, "body.timeout");
}

#[tokio::test(start_paused = true)]
async fn an_act_that_is_not_in_force_is_not_acknowledged() {
    let edge = OnSocket::start().await;
    edge.world.admin.stuck.store(true, Ordering::SeqCst);
    let made = edge.post("/api/v1/keys", r#"{"name":"ci","scopes":["a"]}"#).await;
    let detail = made.problem(503, "act.not_in_force");
    assert!(detail.contains("key000000000"), "{detail}");
    assert!(!made.body.contains("_secret"));
    let revoked = edge.post("/api/v1/keys/key000000000/revoke", "{}").await;
    revoked.problem(503, "act.not_in_force");
}

#[tokio::test]
async fn a_store_that_does_not_answer_is_said() {
    let edge = OnSocket::start().await;
    let answer = edge.post("/api/v1/blocks", r#"{"kind":"client","value":"down"}"#).await;
    assert_eq!(answer.problem(503, "store.unavailable"), "disk full");
}

#[tokio::test]
async fn what_does_not_exist_is_a_problem() {
    let edge = OnSocket::start().await;
    edge.get("/api/v1/nothing").await.problem(404, "api.not_found");
    edge.get("/nothing").await.problem(404, "api.not_found");
    edge.get("/api/v1/keys/").await.problem(404, "api.not_found");
    edge.get("/api/v1/keys/%FF").await.problem(400, "api.invalid");
    let answer = edge.call("DELETE", "/api/v1/keys", None).await;
    answer.problem(405, "route.method_not_allowed");
    // RFC 9110 §15.5.6: a 405 names the methods that are allowed.
    let allowed = answer.header("allow").unwrap();
    assert!(allowed.contains("GET") && allowed.contains("POST"), "{allowed}");
}

#[tokio::test]
async fn a_panic_harms_nobody_else_and_is_recorded() {
    let edge = OnSocket::start().await;
    let answer = edge.post("/api/v1/keys", r#"{"name":"panic","scopes":["a"]}"#).await;
    answer.problem(500, "gate.internal");
    assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
    assert_eq!(edge.world.witness.panics.load(Ordering::SeqCst), 1);
    assert_eq!(edge.get("/livez").await.status, 200);
}
