//! Upstreams that break, are slow or are gone, and callers that go away.

use crate::stage::{SOON, curl, open, upstream};
use base::{Clock, SystemClock};
use serde_json::Value;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;
use testkit::{Answer, Gate, Node, RawClient, Response, Seen, Upstream, free_port, node, wait};

fn gate(servers: &[String], lines: &str, route: &str) -> Gate {
    Gate::builder()
        .listener("h2c = true\ntimeouts = { head = \"2s\", body = \"2s\", idle = \"4s\" }")
        .rest(&(upstream("api", servers, lines) + &open("api", route)))
        .start()
}

fn get(gate: &Gate) -> Response {
    gate.get("/api/x", &[])
}

fn post(gate: &Gate) -> Response {
    testkit::request("POST", &format!("{}/api/x", gate.address()), &[], b"body")
}

#[track_caller]
fn refused(answer: &Response, status: u16, code: &str) {
    assert_eq!((answer.status, answer.code().as_str()), (status, code), "{}", answer.text());
    assert!(answer.header("x-request-id").is_some());
}

/// The code that stands in the record of the request `id`.
fn recorded(gate: &Gate, id: &str) -> String {
    let explained = gate.done(&["explain", id]);
    explained["code"].as_str().unwrap_or_default().to_owned()
}

/// RFC 9112 §8: what breaks off must not look complete.
#[test]
fn rfc9112_s8_an_answer_that_breaks_off_is_not_complete() {
    let server = Upstream::start(|seen| match seen.target().as_str() {
        "/api/length" => {
            Answer::Close(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf".to_vec())
        }
        _ => Answer::Close(
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n".to_vec(),
        ),
    });
    let gate = gate(&[server.url()], "", "");
    for path in ["/api/length", "/api/chunked"] {
        let mut client = RawClient::connect(&gate.address());
        let answer = client.exchange(format!("GET {path} HTTP/1.1\r\nhost: a\r\n\r\n"));
        assert_eq!((answer.status, answer.body.complete), (200, false), "{path}: {answer:?}");
        assert_eq!(answer.text(), "half");
        assert!(client.is_closed(SOON), "{path}");
        let id = answer.header("x-request-id").expect("an id");
        assert_eq!(recorded(&gate, id), "upstream.broken", "{path}");
        let over_h2 = h2(&gate, path);
        // RFC 9113 §7: INTERNAL_ERROR, which may overtake what there was of the answer.
        assert_eq!(over_h2["reset"], 2, "{over_h2}");
    }
}

fn h2(gate: &Gate, path: &str) -> Value {
    let output = node("http2.mjs", &["get", &format!("http://{}{path}", gate.address())]);
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

#[test]
fn an_http2_answer_that_is_reset_is_not_complete() {
    let server = Node::start("http2.mjs", &["serve"]);
    let gate = gate(&[server.url()], "protocol = \"h2\"", "");
    let mut client = RawClient::connect(&gate.address());
    let answer = client.exchange("GET /api/broken HTTP/1.1\r\nhost: a\r\n\r\n");
    assert_eq!((answer.status, answer.body.complete), (200, false), "{answer:?}");
    assert!(client.is_closed(SOON));
    assert_eq!(h2(&gate, "/api/broken")["reset"], 2);
    // Other streams of the same connection go on.
    assert_eq!(
        curl(&["--http2-prior-knowledge", &format!("http://{}/api/echo", gate.address())]).status,
        200
    );
}

#[test]
fn no_head_and_a_broken_head_are_502() {
    for bytes in [
        &b""[..],
        b"HTTP/1.1 20",
        b"garbage\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab",
    ] {
        let server = Upstream::start(|_| Answer::Close(bytes.to_vec()));
        let gate = gate(&[server.url()], "", "");
        refused(&get(&gate), 502, "upstream.broken");
        refused(&post(&gate), 502, "upstream.broken");
    }
}

/// A server that answers one request on each connection and drops the second without a word.
fn forgetful() -> Upstream {
    let seen: std::sync::Mutex<std::collections::HashSet<u64>> = std::sync::Mutex::default();
    Upstream::start(move |request: &Seen| {
        let first = seen.lock().expect("a lock").insert(request.connection);
        if first { Answer::ok("ok") } else { Answer::Close(Vec::new()) }
    })
}

/// RFC 9110 §9.2.2: on a kept connection that has gone stale a GET is sent again, a POST is not.
#[test]
fn rfc9110_s9_2_2_only_idempotent_requests_are_sent_twice() {
    let server = forgetful();
    let gate = gate(&[server.url()], "", "");
    // One caller's connection is on one shard, which has one pool.
    let mut client = RawClient::connect(&gate.address());
    for round in 0..10 {
        let answer = client.exchange("GET /api/x HTTP/1.1\r\nhost: a\r\n\r\n");
        assert_eq!(answer.status, 200, "{round}: {}", answer.text());
    }
    let post = "POST /api/post HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\n\r\nbody";
    let answer = client.exchange(post);
    refused(&answer, 502, "upstream.broken");
    let posts = server.requests().iter().filter(|seen| seen.target() == "/api/post").count();
    assert_eq!(posts, 1, "a POST was sent twice");
    // The caller's own connection is none the worse.
    assert_eq!(client.exchange(post).status, 200);
}

#[test]
fn kept_connections_that_the_upstream_closes_fail_no_request() {
    let server = Upstream::ok();
    let gate = gate(&[server.url()], "", "");
    let mut client = RawClient::connect(&gate.address());
    for round in 0..20 {
        let answer =
            client.exchange("POST /api/x HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\n\r\nbody");
        assert_eq!(answer.status, 200, "{round}: {}", answer.text());
        server.cut_connections();
    }
}

#[test]
fn a_slow_head_is_504() {
    let server = Upstream::start(|seen| match seen.target().as_str() {
        "/api/drip" => Answer::Drip(b"HTTP/1.1 200 OK\r\n".repeat(100), Duration::from_millis(100)),
        _ => Answer::Silence,
    });
    let gate = gate(&[server.url()], "", "timeout = \"1s\"");
    for path in ["/api/x", "/api/drip"] {
        let clock = SystemClock::new();
        let start = clock.monotonic();
        refused(&gate.get(path, &[]), 504, "upstream.timeout");
        let took = clock.monotonic().since(start);
        assert!(took >= Duration::from_secs(1) && took < Duration::from_secs(5), "{took:?}");
    }
    let over_h2 = curl(&["--http2-prior-knowledge", &format!("http://{}/api/x", gate.address())]);
    assert_eq!(over_h2.status, 504);
}

#[test]
fn an_upstream_that_is_down_is_502() {
    let gate = gate(&[format!("http://127.0.0.1:{}", free_port())], "", "");
    for _ in 0..10 {
        refused(&get(&gate), 502, "upstream.unreachable");
        refused(&post(&gate), 502, "upstream.unreachable");
    }
}

#[test]
fn one_server_down_of_two_fails_no_request() {
    let server = Upstream::ok();
    let gate = gate(&[format!("http://127.0.0.1:{}", free_port()), server.url()], "", "");
    for round in 0..50 {
        assert_eq!(get(&gate).status, 200, "{round}");
        assert_eq!(post(&gate).status, 200, "{round}");
    }
    assert_eq!(server.count(), 100);
}

/// A server that comes back is used again, without an active check.
#[test]
fn a_server_that_comes_back_is_used_again() {
    let first = Upstream::ok();
    let second: SocketAddr = ([127, 0, 0, 1], free_port()).into();
    let gate = gate(&[first.url(), format!("http://{second}")], "", "");
    for _ in 0..20 {
        assert_eq!(get(&gate).status, 200);
    }
    let second = Upstream::start_at(second, |_| Answer::ok("second"));
    wait::until(Duration::from_secs(15), "the second server", || {
        assert_eq!(get(&gate).status, 200);
        second.count() > 0
    });
}

#[test]
fn the_health_check_takes_a_server_out_and_back() {
    let sick = Arc::new(AtomicBool::new(false));
    let flag = sick.clone();
    let first = Upstream::start(move |seen| match seen.target().as_str() {
        "/healthz" if flag.load(Ordering::SeqCst) => Answer::status(500, "sick"),
        "/healthz" => Answer::ok("well"),
        _ => Answer::ok("first"),
    });
    let second = Upstream::start(|_| Answer::ok("second"));
    let health = "health = { path = \"/healthz\", every = \"100ms\", healthy = 2, unhealthy = 2 }";
    let gate = gate(&[first.url(), second.url()], health, "");
    let served = |who: &str| (0..10).filter(|_| get(&gate).text() == who).count();
    assert!(served("first") > 0);
    sick.store(true, Ordering::SeqCst);
    wait::until(SOON, "the sick server to be left out", || served("first") == 0);
    assert_eq!(served("second"), 10);
    sick.store(false, Ordering::SeqCst);
    wait::until(SOON, "the server to be taken back", || served("first") > 0);
}

#[test]
fn without_a_healthy_server_nothing_is_sent() {
    let server = Upstream::start(|seen| match seen.target().as_str() {
        "/healthz" => Answer::status(503, "sick"),
        _ => Answer::ok("ok"),
    });
    let health = "health = { path = \"/healthz\", every = \"100ms\", unhealthy = 1 }";
    let gate = gate(&[server.url()], health, "");
    wait::until(SOON, "the sick server to be left out", || get(&gate).status == 503);
    refused(&get(&gate), 503, "upstream.unhealthy");
}

#[test]
fn weights_are_kept() {
    let servers = [Upstream::ok(), Upstream::ok(), Upstream::ok()];
    let [a, b, c] = &servers;
    let list = format!(
        "[[upstream]]\nname = \"api\"\nservers = [{:?}, {{ url = {:?}, weight = 3 }}, {{ url = {:?}, weight = 6 }}]\n",
        a.url(),
        b.url(),
        c.url()
    );
    let gate = Gate::start(&(list + &open("api", "")));
    for _ in 0..200 {
        assert_eq!(get(&gate).status, 200);
    }
    // Each shard has a turn of its own: at most one round of ten of each may be unfinished.
    for (server, expected) in servers.iter().zip([20_u64, 60, 120]) {
        assert!(
            server.count().abs_diff(expected) <= 12,
            "{} instead of {expected}",
            server.count()
        );
    }
    let heaviest =
        servers[2].count() > servers[1].count() && servers[1].count() > servers[0].count();
    assert!(heaviest);
}

/// Sends without end, and notes when nobody reads any more.
fn endless(ended: Arc<AtomicU64>) -> Upstream {
    Upstream::start(move |seen| {
        let ended = ended.clone();
        let silent = seen.target() == "/api/silent";
        Answer::takeover(move |socket| {
            if silent {
                let _ = socket.read(&mut [0]);
            } else {
                let _ = socket.write_all(b"HTTP/1.1 200 OK\r\n\r\n");
                while socket.write_all(&[7; 4096]).is_ok() {}
            }
            ended.fetch_add(1, Ordering::SeqCst);
        })
    })
}

#[test]
fn a_caller_that_goes_away_frees_the_upstream() {
    let ended = Arc::new(AtomicU64::new(0));
    let server = endless(ended.clone());
    let gate = gate(&[server.url()], "", "");
    let mut expected = 0;
    for path in ["/api/endless", "/api/silent"] {
        let mut client = RawClient::connect(&gate.address());
        client.send(format!("GET {path} HTTP/1.1\r\nhost: a\r\n\r\n"));
        server.wait_for(expected + 1, SOON);
        if path == "/api/endless" {
            assert_eq!(client.response_head().status, 200);
        }
        drop(client);
        expected += 1;
        wait::until(SOON, "the upstream's connection to end", || {
            ended.load(Ordering::SeqCst) == expected
        });
        // The same over HTTP/2, where only the stream ends.
        let url = format!("http://{}{path}", gate.address());
        let done = std::process::Command::new("curl")
            .args([
                "--silent",
                "--http2-prior-knowledge",
                "--max-time",
                "1",
                "--output",
                "/dev/null",
                &url,
            ])
            .status();
        assert!(done.is_ok_and(|status| status.code() == Some(28)), "curl gave up in time");
        expected += 1;
        wait::until(SOON, "the upstream's stream to end", || {
            ended.load(Ordering::SeqCst) == expected
        });
    }
}

/// A caller that does not read holds its upstream up for the body's time-out and no longer.
#[test]
fn a_caller_that_does_not_read_is_given_up() {
    let ended = Arc::new(AtomicU64::new(0));
    let server = endless(ended.clone());
    let gate = gate(&[server.url()], "", "");
    let mut client = RawClient::connect(&gate.address());
    client.send("GET /api/endless HTTP/1.1\r\nhost: a\r\n\r\n");
    assert_eq!(client.response_head().status, 200);
    wait::until(SOON, "the upstream's connection to end", || ended.load(Ordering::SeqCst) == 1);
}

/// An upstream that answers before it has read the request, politely or not.
fn hasty(rude: bool) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || {
                let (mut stream, mut bytes) = (stream, [0; 4096]);
                let _ = stream.read(&mut bytes);
                let answer = b"HTTP/1.1 413 Content Too Large\r\ncontent-length: 3\r\nconnection: close\r\n\r\nno\n";
                let _ = stream.write_all(answer);
                if !rude {
                    let _ = stream.shutdown(Shutdown::Write);
                    while stream.read(&mut bytes).is_ok_and(|count| count > 0) {}
                }
            });
        }
    });
    url
}

/// RFC 9110 §9.3: an answer may come before the request is complete, and is the answer.
#[test]
fn an_answer_before_the_end_of_an_upload_arrives() {
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), vec![7; 5_000_000]).expect("it is written");
    let data = format!("@{}", file.path().display());
    for rude in [false, true] {
        let gate = gate(&[hasty(rude)], "", "");
        let url = format!("http://{}/api/x", gate.address());
        for version in ["--http1.1", "--http2-prior-knowledge"] {
            for _ in 0..5 {
                let done = curl(&[version, "--data-binary", &data, "-H", "Expect:", &url]);
                assert_eq!(
                    (done.status, done.body.as_slice()),
                    (413, &b"no\n"[..]),
                    "{version}, rude: {rude}: {done:?}"
                );
            }
        }
        assert_eq!(get(&gate).status, 413, "the gate goes on");
    }
}

/// Connections of callers that are open now, as the gate counts them.
fn connections(gate: &Gate) -> u64 {
    let text = testkit::get(&(gate.control() + "/metrics"), &[]).text();
    let line = text.lines().find_map(|line| line.strip_prefix("portcullis_connections "));
    line.and_then(|count| count.trim().parse().ok()).unwrap_or_else(|| panic!("no count: {text}"))
}

/// A socket whose upstream stops reading ends when its caller does, and keeps nothing.
#[test]
fn a_socket_that_the_upstream_does_not_read_ends() {
    let (release, held) = mpsc::channel::<()>();
    let held = std::sync::Mutex::new(Some(held));
    let server = Upstream::start(move |_| {
        let held = held.lock().expect("a lock").take();
        Answer::takeover(move |socket| {
            let head = b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n";
            let _ = socket.write_all(head);
            // Reads nothing until the test is over.
            let _ = held.map(|held| held.recv());
        })
    });
    let gate = gate(&[server.url()], "", "");
    let mut client = RawClient::connect(&gate.address());
    client.send(
        "GET /api/x HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n",
    );
    assert_eq!(client.response().status, 101);
    client.patience(Duration::from_millis(500));
    while client.try_send(&[7; 65536]).is_ok() {}
    assert_eq!(connections(&gate), 1);
    drop(client);
    wait::until(Duration::from_secs(15), "the socket to end", || connections(&gate) == 0);
    drop(release);
}

/// A listener that is full says so, and takes callers again when one leaves.
#[test]
fn a_full_listener_says_so() {
    let server = Upstream::ok();
    let gate = Gate::builder()
        .listener("max_connections = 4")
        .rest(&(upstream("api", &[server.url()], "") + &open("api", "")))
        .start();
    let request = "GET /api/x HTTP/1.1\r\nhost: a\r\n\r\n";
    let mut clients: Vec<RawClient> = (0..4).map(|_| RawClient::connect(&gate.address())).collect();
    for client in &mut clients {
        assert_eq!(client.exchange(request).status, 200);
    }
    let mut one_more = RawClient::connect(&gate.address());
    let answer = one_more.response();
    assert_eq!((answer.status, answer.code().as_str()), (503, "gate.overloaded"), "{answer:?}");
    assert!(answer.body.complete && answer.header("retry-after").is_some(), "{answer:?}");
    assert!(one_more.is_closed(SOON));
    for client in &mut clients {
        assert_eq!(client.exchange(request).status, 200, "those who are in stay in");
    }
    clients.pop();
    wait::until(SOON, "a place", || {
        let mut client = RawClient::connect(&gate.address());
        let _ = client.try_send(request.as_bytes());
        client.try_response("GET").is_ok_and(|answer| answer.status == 200)
    });
}
