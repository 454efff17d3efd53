//! Events, queries and explanations over the socket.

use crate::client::{OnSocket, message};
use crate::fakes::{denied, foreign};
use control::views::ExplainView;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};

#[tokio::test]
async fn a_denial_is_explained() {
    let edge = OnSocket::start().await;
    let id = denied(1).request_id.unwrap().to_string();
    let answer = edge.get(&format!("/api/v1/explain/{id}")).await;
    assert_eq!(answer.status, 200);
    let view = answer.json();
    let expect = json!({
        "request_id": id, "time": "2025-11-24T16:00:00.123Z", "route": "orders-read",
        "outcome": "deny", "phase": "decide", "code": "scope.missing",
        "detail": "needs orders:read", "principal": "alice", "client_ip": "203.0.113.7",
        "method": "GET", "path": "/orders/1", "status": 403, "count": 1,
    });
    for (name, value) in expect.as_object().unwrap() {
        assert_eq!(&view[name], value, "{name}");
    }
    assert!(view["reason"].as_str().unwrap().contains("scope"));
    assert!(view["fix"].as_str().unwrap().ends_with('.'));
}

#[tokio::test]
async fn a_folded_denial_says_so() {
    let edge = OnSocket::start().await;
    let id = denied(250).request_id.unwrap();
    let view = edge.get(&format!("/api/v1/explain/{id}")).await.json();
    assert_eq!(view["count"], 250);
    assert!(view["reason"].as_str().unwrap().contains("stands for 250 denials"));
}

#[tokio::test]
async fn a_request_without_record_is_not_explained() {
    let edge = OnSocket::start().await;
    let id = denied(3).request_id.unwrap();
    let detail = edge.get(&format!("/api/v1/explain/{id}")).await.problem(404, "api.not_found");
    assert!(detail.contains("00000007"), "the node that has it is named: {detail}");
    edge.get("/api/v1/explain/nonsense").await.problem(400, "api.invalid");
}

#[test]
fn a_code_of_a_later_version_is_explained_as_far_as_it_goes() {
    let mut event = denied(1);
    event.code = foreign();
    let view = ExplainView::of("x".to_owned(), &event);
    assert_eq!(view.code, "no.such");
    assert!(!view.reason.is_empty() && !view.fix.is_empty());
}

#[tokio::test]
async fn events_are_filtered() {
    let edge = OnSocket::start().await;
    let all = edge.get("/api/v1/audit/events").await.json();
    assert_eq!(all.as_array().unwrap().len(), 3);
    assert_eq!(all[0]["kind"], "system");
    for (query, count) in [
        ("outcome=deny", 2),
        ("outcome=deny&limit=1", 1),
        ("code=scope.missing&route=orders-read", 2),
        ("route=other", 0),
    ] {
        let found = edge.get(&format!("/api/v1/audit/events?{query}")).await.json();
        assert_eq!(found.as_array().unwrap().len(), count, "{query}");
    }
    for bad in ["outcome=maybe", "limit=0", "limit=1001", "follow=perhaps", "since=1"] {
        edge.get(&format!("/api/v1/audit/events?{bad}")).await.problem(400, "api.invalid");
    }
}

#[tokio::test]
async fn events_are_followed_line_by_line() {
    let edge = OnSocket::start().await;
    let mut stream = BufReader::new(edge.connect().await);
    let path = "/api/v1/audit/events?follow=true&outcome=deny";
    stream.write_all(message("GET", path, "x", None).as_bytes()).await.unwrap();
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        stream.read_line(&mut head).await.unwrap();
    }
    assert!(head.to_ascii_lowercase().contains("application/x-ndjson"), "{head}");
    assert_eq!(event_line(&mut stream).await["count"], 1);
    for count in [7, 8] {
        edge.world.ledger.live.send(denied(count)).unwrap();
        assert_eq!(event_line(&mut stream).await["count"], count);
    }
}

/// The next JSON line out of the chunks.
async fn event_line<S: AsyncBufReadExt + Unpin>(stream: &mut S) -> Value {
    loop {
        let mut line = String::new();
        assert_ne!(stream.read_line(&mut line).await.unwrap(), 0, "the stream ended");
        if line.starts_with('{') {
            return serde_json::from_str(&line).unwrap();
        }
    }
}

#[tokio::test]
async fn followers_are_bounded() {
    let edge = OnSocket::start().await;
    let mut held = Vec::new();
    for _ in 0..16 {
        let mut stream = BufReader::new(edge.connect().await);
        let request = message("GET", "/api/v1/audit/events?follow=true", "x", None);
        stream.write_all(request.as_bytes()).await.unwrap();
        event_line(&mut stream).await;
        held.push(stream);
    }
    let refused = edge.get("/api/v1/audit/events?follow=true").await;
    refused.problem(503, "api.busy");
    assert_eq!(refused.header("retry-after"), Some("1"));
}

#[tokio::test]
async fn a_follower_does_not_hold_up_the_stop() {
    let edge = OnSocket::start().await;
    let mut stream = BufReader::new(edge.connect().await);
    let request = message("GET", "/api/v1/audit/events?follow=true", "x", None);
    stream.write_all(request.as_bytes()).await.unwrap();
    event_line(&mut stream).await;
    tokio::time::pause();
    edge.stop.send(true).unwrap();
    tokio::time::timeout(Duration::from_secs(30), edge.task).await.unwrap().unwrap();
}

#[tokio::test]
async fn queries_answer_rows() {
    let edge = OnSocket::start().await;
    let rows = edge.post("/api/v1/audit/query", r#"{"sql":"SELECT 1"}"#).await;
    assert_eq!((rows.status, rows.json()), (200, json!([{ "n": 1 }])));
    let bad = edge.post("/api/v1/audit/query", r#"{"sql":"DROP"}"#).await;
    assert_eq!(bad.problem(400, "query.invalid"), "unexpected word at 1");
    let lost = edge.post("/api/v1/audit/query", r#"{"sql":"lost"}"#).await;
    lost.problem(503, "ledger.unavailable");
    let long = format!(r#"{{"sql":"{}"}}"#, "x".repeat(20_000));
    edge.post("/api/v1/audit/query", &long).await.problem(400, "api.invalid");
}

#[tokio::test(start_paused = true)]
async fn a_query_without_end_is_given_up() {
    let edge = OnSocket::start().await;
    let slow = edge.post("/api/v1/audit/query", r#"{"sql":"slow"}"#).await;
    assert!(slow.problem(400, "query.invalid").contains("60 s"));
}
