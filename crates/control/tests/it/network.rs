//! What the control address answers over TCP.

use crate::client::OnPort;
use control::{PUBLIC_PATHS, Up, document};
use std::sync::atomic::Ordering;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Every endpoint of the description with its method, parameters filled in.
pub(crate) fn every_endpoint() -> Vec<(String, String)> {
    let document = document();
    let paths = document["paths"].as_object().unwrap();
    let each = paths.iter().flat_map(|(path, methods)| {
        let path = path.replace("{id}", "x").replace("{request_id}", "x");
        let methods = methods.as_object().unwrap();
        methods.keys().map(move |method| (method.to_ascii_uppercase(), path.clone()))
    });
    each.collect()
}

#[tokio::test]
async fn unauthenticated_over_tcp_is_401_for_every_endpoint() {
    let edge = OnPort::start().await;
    let mut refused = 0;
    for (method, path) in every_endpoint() {
        let body = (method == "POST").then_some("{}");
        let answer = edge.call(&method, &path, body).await;
        if PUBLIC_PATHS.contains(&path.as_str()) {
            assert_ne!(answer.status, 401, "{method} {path}");
        } else {
            answer.problem(401, "api.unauthenticated");
            assert!(answer.header("www-authenticate").unwrap().starts_with("Bearer"));
            refused += 1;
        }
    }
    assert_eq!(refused, 47, "every endpoint below /api/v1");
    assert!(edge.world.admin.callers.lock().unwrap().is_empty());
}

#[tokio::test]
async fn no_spelling_of_a_path_gets_past() {
    let edge = OnPort::start().await;
    for path in [
        "/api/v1/keys/",
        "/api/v1//keys",
        "//api/v1/keys",
        "/%61pi/v1/keys",
        "/api/v1/%6beys",
        "/livez/../api/v1/keys",
        "/livez/api/v1/keys",
        "/API/v1/keys",
        "/api/openapi.json/../v1/keys",
        "/api/v1/keys?x=/livez",
    ] {
        let status = edge.get(path).await.status;
        assert!(status == 401 || status == 404, "{path}: {status}");
    }
    let authorised = "GET /api/v1/keys HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer x\r\n\
                      X-Forwarded-For: 127.0.0.1\r\nConnection: close\r\n\r\n";
    edge.send(authorised).await.problem(401, "api.unauthenticated");
}

#[tokio::test]
async fn ready_says_where() {
    let edge = OnPort::start().await;
    assert_eq!(edge.get("/livez").await.status, 200);
    edge.get("/readyz").await.problem(503, "gate.starting");
    edge.world.health.ready(Up {
        gateway: vec!["http://localhost:8000".to_owned()],
        control: "http://localhost:8001".to_owned(),
        admin: None,
        setup_url: None,
    });
    let ready = edge.get("/readyz").await;
    assert_eq!(ready.status, 200);
    let line = r#"{"gateway":["http://localhost:8000"],"control":"http://localhost:8001","setup_url":null}"#;
    assert_eq!(ready.body, line);
    edge.world.health.unready("draining");
    assert_eq!(edge.get("/readyz").await.problem(503, "gate.draining"), "draining");
    edge.world.health.unready("state.stale");
    assert_eq!(edge.get("/readyz").await.problem(503, "state.stale"), "");
    edge.world.health.unready("token.expired");
    edge.get("/readyz").await.problem(503, "gate.draining");
    assert_eq!(edge.get("/livez").await.status, 200);
}

#[tokio::test]
async fn metrics_are_text() {
    let edge = OnPort::start().await;
    let metrics = edge.get("/metrics").await;
    assert_eq!((metrics.status, metrics.body.as_str()), (200, "portcullis_up 1\n"));
    assert!(
        metrics
            .header("content-type")
            .unwrap()
            .starts_with("application/openmetrics-text; version=1.0.0")
    );
}

#[tokio::test]
async fn a_foreign_host_is_misdirected() {
    let edge = OnPort::start().await;
    let port = edge.address.port();
    let with = |path: &str, hosts: &str| {
        format!("GET {path} HTTP/1.1\r\n{hosts}Connection: close\r\n\r\n")
    };
    for host in ["localhost", "LOCALHOST", "127.0.0.1", "login.example", "login.example:443"] {
        let answer = edge.send(&with("/metrics", &format!("Host: {host}\r\n"))).await;
        assert_eq!(answer.status, 200, "{host}");
    }
    let own = format!("Host: localhost:{port}\r\n");
    assert_eq!(edge.send(&with("/metrics", &own)).await.status, 200);
    for path in ["/", "/metrics", "/api/v1/keys", "/api/openapi.json"] {
        let answer = edge.send(&with(path, "Host: evil.example\r\n")).await;
        answer.problem(421, "host.misdirected");
    }
    edge.send(&with("http://evil.example/metrics", "Host: localhost\r\n"))
        .await
        .problem(421, "host.misdirected");
    for hosts in ["", "Host: localhost\r\nHost: localhost\r\n"] {
        edge.send(&with("/metrics", hosts)).await.problem(400, "host.ambiguous");
    }
    for path in ["/livez", "/readyz"] {
        let status = edge.send(&with(path, "Host: 10.1.2.3\r\n")).await.status;
        assert_ne!(status, 421, "{path}");
    }
}

#[tokio::test]
async fn every_answer_is_hardened() {
    let edge = OnPort::start().await;
    for path in ["/", "/livez", "/readyz", "/metrics", "/api/openapi.json", "/api/v1/keys", "/x"] {
        let answer = edge.get(path).await;
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{path}");
        assert_eq!(answer.header("cache-control"), Some("no-store"), "{path}");
        assert_eq!(answer.header("x-frame-options"), Some("DENY"), "{path}");
        let policy = answer.header("content-security-policy").unwrap();
        assert!(policy.starts_with("default-src 'none'"), "{path}: {policy}");
        assert!(!policy.contains("unsafe"), "{path}: {policy}");
    }
}

#[tokio::test]
async fn the_page_says_that_the_gate_runs_and_what_to_type() {
    let edge = OnPort::start().await;
    assert!(edge.get("/").await.body.contains("Starting"));
    edge.world.health.ready(Up {
        gateway: vec!["http://localhost:8000".to_owned()],
        control: "http://localhost:8001".to_owned(),
        admin: None,
        setup_url: Some("http://localhost:8001/setup#secret".to_owned()),
    });
    let page = edge.get("/").await;
    assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"));
    assert!(page.body.contains("Running") && page.body.contains("http://localhost:8000/echo/"));
    assert!(page.body.contains("portcullis key create"));
    assert!(!page.body.contains("<script") && !page.body.contains("#secret"));
    assert!(!page.body.contains("style="), "the policy lets no style in but the sheet");
    let style = edge.get("/assets/portcullis.css").await;
    assert_eq!(style.header("content-type"), Some("text/css; charset=utf-8"));
    assert!(style.body.contains("prefers-color-scheme: dark"));
}

#[tokio::test(start_paused = true)]
async fn a_head_that_does_not_come_is_given_up() {
    let edge = OnPort::start().await;
    for start in ["", "GET /livez HT", "GET /livez HTTP/1.1\r\nHost: localhost\r\nX: "] {
        let mut stream = edge.connect().await;
        stream.write_all(start.as_bytes()).await.unwrap();
        let mut rest = Vec::new();
        // Time goes on by itself while nothing else can: the end comes from the gate.
        let _ = stream.read_to_end(&mut rest).await;
        assert!(!rest.starts_with(b"HTTP/1.1 200"), "{start:?}");
    }
}

#[tokio::test]
async fn large_heads_are_refused() {
    let edge = OnPort::start().await;
    let long = format!(
        "GET /livez HTTP/1.1\r\nHost: localhost\r\nX: {}\r\nConnection: close\r\n\r\n",
        "x".repeat(40_000)
    );
    assert_eq!(edge.send(&long).await.status, 431);
    let many = format!(
        "GET /livez HTTP/1.1\r\nHost: localhost\r\n{}Connection: close\r\n\r\n",
        "X: y\r\n".repeat(200)
    );
    assert_eq!(edge.send(&many).await.status, 431);
    assert_eq!(edge.send("\0\0\0\r\n\r\n").await.status, 400);
    assert_eq!(edge.get("/livez").await.status, 200);
    assert_eq!(edge.world.witness.panics.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn the_loop_stops_and_lets_go_of_the_port() {
    let edge = OnPort::start().await;
    assert_eq!(edge.get("/livez").await.status, 200);
    edge.stop.send(true).unwrap();
    edge.task.await.unwrap();
    assert!(tokio::net::TcpStream::connect(edge.address).await.is_err());
}
