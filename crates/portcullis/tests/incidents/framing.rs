//! Incidents of message framing: where one request ends and the next begins is never in doubt, on neither side.

use crate::stage::{ROUTES, SOON, Stage, problem, refused};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use testkit::{Answer, Gate, RawClient, Upstream, wait};

/// Answers to read at most on one connection; more than any test sends requests.
const ANSWERS: usize = 8;
/// How long a connection may take to end where it must.
const END: Duration = Duration::from_secs(5);

/// The last request on a connection; its answer says that all before were taken for whole requests, and that the
/// connection was kept open until here.
const END_OF_TEST: &str =
    "GET /end?access_token=none HTTP/1.1\r\nHost: gate\r\nConnection: close\r\n\r\n";
/// What stands for that answer in a list of statuses.
const KEPT: u16 = 0;

/// Sends `bytes` and a last request, and takes all statuses that come until the connection ends.
fn statuses(gate: &str, bytes: &[u8]) -> Vec<u16> {
    let mut client = RawClient::connect(gate);
    client.send([bytes, END_OF_TEST.as_bytes()].concat());
    let mut all = Vec::new();
    while all.len() < ANSWERS {
        match client.try_response("GET") {
            Ok(answer) if answer.code() == "key.in_url" => all.push(KEPT),
            Ok(answer) => all.push(answer.status),
            Err(_) => break,
        }
    }
    all
}

/// Method, target and body of what the upstream saw since its `from`th request.
fn seen(stage: &Stage, from: usize) -> Vec<(String, String)> {
    let requests = stage.upstream.requests();
    let all = requests[from..].iter();
    all.map(|seen| (seen.line(), String::from_utf8_lossy(&seen.body.kept).into_owned())).collect()
}

/// Sends `bytes` on one connection: which statuses come, and what exactly goes up.
#[track_caller]
fn check(stage: &Stage, bytes: &str, expect: &[u16], up: &[(&str, &str)]) {
    let from = stage.upstream.requests().len();
    let came = statuses(&stage.gate.address(), bytes.as_bytes());
    assert_eq!(came, expect, "{bytes:?}");
    let up: Vec<(String, String)> =
        up.iter().map(|(line, body)| (format!("{line} HTTP/1.1"), (*body).to_owned())).collect();
    assert_eq!(seen(stage, from), up, "{bytes:?}");
}

/// A request that nobody without a credential may make; for hiding behind others.
const HIDDEN: &str = "GET /admin/hidden HTTP/1.1\r\nHost: gate\r\n\r\n";
/// One that everybody may make.
const PLAIN: &str = "GET /open/next HTTP/1.1\r\nHost: gate\r\n\r\n";

/// Row 16: Pingora CVE-2026-2833. A request that follows an upgrade is judged, or never sent.
#[test]
fn incident_16_upgrade_with_a_pipelined_request() {
    let stage = Stage::standard();
    let upgrade =
        |options: &str| format!("GET /open/ws HTTP/1.1\r\nHost: gate\r\n{options}\r\n\r\n");
    let websocket = upgrade(
        "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    );
    // The upstream does not switch: the connection ends after its answer, whatever follows.
    check(&stage, &(websocket.clone() + HIDDEN), &[200], &[("GET /open/ws", "")]);
    check(&stage, &(websocket + PLAIN), &[200], &[("GET /open/ws", "")]);
    // What is no WebSocket is no upgrade, and what follows is a request like any other.
    for options in [
        "Connection: Upgrade\r\nUpgrade: foo",
        "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__",
        "Connection: Upgrade\r\nUpgrade: websocket, h2c",
        "Connection: Upgrade\r\nUpgrade: TLS/1.0",
        "Upgrade: websocket",
        "Connection: Upgrade",
    ] {
        check(&stage, &(upgrade(options) + HIDDEN), &[200, 401, KEPT], &[("GET /open/ws", "")]);
        for name in ["connection", "upgrade", "http2-settings"] {
            assert!(stage.upstream.last().values(name).is_empty(), "{options}: {name} arrived");
        }
        let both = [("GET /open/ws", ""), ("GET /open/next", "")];
        check(&stage, &(upgrade(options) + PLAIN), &[200, 200, KEPT], &both);
    }
    // An upgrade with a body, or by another method, is none.
    let body = "POST /open/ws HTTP/1.1\r\nHost: gate\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 4\r\n\r\nbody";
    check(&stage, &(body.to_owned() + HIDDEN), &[200, 401, KEPT], &[("POST /open/ws", "body")]);
    // On a route that refuses, neither the upgrade nor what follows arrives.
    let refused =
        "GET /admin/ws HTTP/1.1\r\nHost: gate\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
    check(&stage, &(refused.to_owned() + HIDDEN), &[401, 401, KEPT], &[]);
}

/// Row 16, the other side: an upstream that switches protocols unasked is not believed.
#[test]
fn incident_16_upgrade_unasked() {
    let upstream = Upstream::start(|_| {
        Answer::Bytes(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n".to_vec())
    });
    let stage = Stage::with(upstream, "", ROUTES);
    for options in ["", "Connection: Upgrade\r\nUpgrade: foo\r\n", "Upgrade: websocket\r\n"] {
        let request = format!("GET /open/x HTTP/1.1\r\nHost: gate\r\n{options}\r\n");
        let mut client = stage.connect();
        refused(&client.exchange(&request), 502, "upstream.broken");
    }
    assert_eq!(stage.upstream.connections(), 3, "a connection that switched was used again");
}

/// Row 16: Pingora CVE-2026-2835. HTTP/1.0 knows no chunks.
#[test]
fn incident_16_http10_with_transfer_encoding() {
    let stage = Stage::standard();
    for version in ["1.0", "1.1"] {
        for extra in [
            "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
            "Content-Length: 50\r\nTransfer-Encoding: chunked\r\n",
            "Connection: keep-alive\r\nTransfer-Encoding: chunked\r\n",
        ] {
            if version == "1.1" && !extra.contains("Length") {
                continue;
            }
            for hidden in [HIDDEN, PLAIN] {
                let bytes = format!(
                    "POST /open/x HTTP/{version}\r\nHost: gate\r\n{extra}\r\n0\r\n\r\n{hidden}"
                );
                check(&stage, &bytes, &[400], &[]);
            }
        }
    }
    // HTTP/1.0 persists only when it says so, and is forwarded as HTTP/1.1.
    let old = "GET /open/old HTTP/1.0\r\nHost: gate\r\n\r\n";
    check(&stage, &(old.to_owned() + PLAIN), &[200], &[("GET /open/old", "")]);
    let kept = "GET /open/old HTTP/1.0\r\nHost: gate\r\nConnection: keep-alive\r\n\r\n";
    check(&stage, &(kept.to_owned() + HIDDEN), &[200, 401, KEPT], &[("GET /open/old", "")]);
    check(&stage, "GET /open/old HTTP/1.0\r\n\r\n", &[400], &[]);
    check(&stage, "GET /open/old\r\n\r\n", &[400], &[]);
    stage.alive();
}

/// Ways to say how long a body is that readers take differently.
const LENGTHS: &[&str] = &[
    "Content-Length: 5\r\nTransfer-Encoding: chunked",
    "Transfer-Encoding: chunked\r\nContent-Length: 5",
    "Transfer-Encoding: chunked\r\nContent_Length: 5",
    "Content-Length: 5\r\nTransfer_Encoding: chunked",
    "Transfer_Encoding: chunked",
    "Content_Length: 5",
    "Content-Length: 5\r\nContent-Length: 5",
    "Content-Length: 5\r\nContent-Length: 6",
    "Content-Length: 5\r\ncontent-length: 0",
    "Content-Length: 5, 5",
    "Content-Length: +5",
    "Content-Length: -5",
    "Content-Length: 05",
    "Content-Length: 0x5",
    "Content-Length: 5.0",
    "Content-Length: 5 5",
    "Content-Length: 5;",
    "Content-Length: ",
    "Content-Length:\t5",
    "Content-Length: 99999999999999999999",
    "Content-Length: 18446744073709551621",
    "Content-Length : 5",
    " Content-Length: 5",
    "X: y\r\n Content-Length: 5",
    "Transfer-Encoding: Chunked",
    "Transfer-Encoding: CHUNKED",
    "Transfer-Encoding:\tchunked",
    "Transfer-Encoding: \u{b}chunked",
    "Transfer-Encoding: chunked\t",
    "Transfer-Encoding: chunked;q=1",
    "Transfer-Encoding: \"chunked\"",
    "Transfer-Encoding: chunked, chunked",
    "Transfer-Encoding: chunked, identity",
    "Transfer-Encoding: identity, chunked",
    "Transfer-Encoding: gzip, chunked",
    "Transfer-Encoding: identity",
    "Transfer-Encoding: xchunked",
    "Transfer-Encoding: chunkedx",
    "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
    "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
    "Transfer-Encoding: \r\nTransfer-Encoding: chunked",
    "Transfer-Encoding : chunked",
    " Transfer-Encoding: chunked",
    "X: y\r\n Transfer-Encoding: chunked",
    "Transfer-Encoding:\r\n chunked",
    "X: y\nTransfer-Encoding: chunked",
    "X: y\rTransfer-Encoding: chunked",
    "X: \0\r\nTransfer-Encoding: chunked\r\nContent-Length: 5",
    "Transfer-Encoding\0: chunked",
    "\u{ff}Transfer-Encoding: chunked\r\nContent-Length: 5",
];

/// Request lines that are none.
const REQUEST_LINES: &[&str] = &[
    "GET  /open/x HTTP/1.1",
    "GET /open/x  HTTP/1.1",
    "GET /open/x HTTP/1.1 ",
    " GET /open/x HTTP/1.1",
    "GET /open/x HTTP/1.1 x",
    "GET /open/x HTTP/1.2",
    "GET /open/x HTTP/2.0",
    "GET /open/x HTTP/11",
    "GET /open/x http/1.1",
    "GET\t/open/x\tHTTP/1.1",
    "G@T /open/x HTTP/1.1",
    "GET /open/x",
    "/open/x HTTP/1.1",
    "CONNECT gate:443 HTTP/1.1",
    "CONNECT /open/x HTTP/1.1",
    "OPTIONS * HTTP/1.1",
    "GET /open/x\0 HTTP/1.1",
    "GET /open/\u{e9} HTTP/1.1",
];

/// What is not exactly one host.
const HOSTS: &[&str] = &[
    "",
    "Host: gate\r\nHost: gate",
    "Host: gate\r\nHost: other",
    "Host: ",
    "Host: a b",
    "Host: a,b",
    "Host: user@gate",
    "Host: gate/x",
    "Host: gate:x",
    "Host: gate:99999",
    "Host: [::1",
    "Host : gate",
    "Host: gate\r\n x",
];

/// Row 16: Envoy CVE-2024-23326 and its like. A length that can be read in two ways is refused.
#[test]
fn incident_16_ambiguous_lengths() {
    let stage = Stage::standard();
    for length in LENGTHS {
        for method in ["POST", "GET"] {
            for body in ["0\r\n\r\n", "5\r\nhello\r\n0\r\n\r\n", "hello"] {
                let bytes = format!(
                    "{method} /open/x HTTP/1.1\r\nHost: gate\r\n{length}\r\n\r\n{body}{HIDDEN}"
                );
                check(&stage, &bytes, &[400], &[]);
            }
        }
    }
    for line in REQUEST_LINES {
        check(&stage, &format!("{line}\r\nHost: gate\r\n\r\n{HIDDEN}"), &[400], &[]);
    }
    for hosts in HOSTS {
        check(&stage, &format!("GET /open/x HTTP/1.1\r\n{hosts}\r\n\r\n{HIDDEN}"), &[400], &[]);
    }
    check(
        &stage,
        &format!("GET http://other/open/x HTTP/1.1\r\nHost: gate\r\n\r\n{HIDDEN}"),
        &[400],
        &[],
    );
    check(&stage, &format!("GET /open/x HTTP/1.1\nHost: gate\n\n{HIDDEN}"), &[400], &[]);
    stage.alive();
}

/// Row 16: chunks that readers read differently.
#[test]
fn incident_16_broken_chunks() {
    let stage = Stage::standard();
    let head = "POST /open/x HTTP/1.1\r\nHost: gate\r\nTransfer-Encoding: chunked\r\n\r\n";
    for chunks in [
        "0x5\r\nhello\r\n0\r\n\r\n",
        "+5\r\nhello\r\n0\r\n\r\n",
        "-5\r\nhello\r\n0\r\n\r\n",
        " 5\r\nhello\r\n0\r\n\r\n",
        "\r\n5\r\nhello\r\n0\r\n\r\n",
        "5\nhello\r\n0\r\n\r\n",
        "5\r\nhello0\r\n\r\n",
        "5\r\nhello\n0\r\n\r\n",
        "5\r\nhelloXX0\r\n\r\n",
        "5\r\nhello\r\n0\n\n",
        "g\r\nhello\r\n0\r\n\r\n",
        ";\r\nhello\r\n0\r\n\r\n",
        "10000000000000005\r\nhello\r\n0\r\n\r\n",
        "ffffffffffffffff\r\nhello\r\n0\r\n\r\n",
        "00000000000000000000000000000005\r\nhello\r\n0\r\n\r\n",
        "5;\nx\r\nhello\r\n0\r\n\r\n",
        "5;a=\"\n\"\r\nhello\r\n0\r\n\r\n",
        "5\r\r\nhello\r\n0\r\n\r\n",
        "5\r\nhello\r\n0\r\nX : y\r\n\r\n",
        "5\r\nhello\r\n0\r\n y: z\r\n\r\n",
        "5\r\nhello\r\n0\r\nX\r\n\r\n",
    ] {
        let from = stage.upstream.requests().len();
        let came = statuses(&stage.gate.address(), format!("{head}{chunks}{HIDDEN}").as_bytes());
        // The upstream's connection may have begun; it must never have got a whole request, nor another.
        assert!(came.is_empty() || came == [400], "{chunks:?}: {came:?}");
        let whole =
            stage.upstream.requests()[from..].iter().filter(|seen| seen.body.complete).count();
        assert_eq!(whole, 0, "{chunks:?}");
    }
    // What is in order goes up in plain chunks of the gate's own, and the next request is judged.
    for chunks in [
        "5\r\nhello\r\n0\r\n\r\n",
        "05\r\nhello\r\n00\r\n\r\n",
        "2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n",
        "5\r\nhello\r\n0\r\nX: y\r\n\r\n",
    ] {
        check(
            &stage,
            &format!("{head}{chunks}{HIDDEN}"),
            &[200, 401, KEPT],
            &[("POST /open/x", "hello")],
        );
    }
    stage.alive();
}

/// Row 16: Pingora CVE-2025-4366. A body that nobody read is never the next request.
#[test]
fn incident_16_undrained_body() {
    let stage = Stage::standard();
    for path in ["/admin/x", "/nowhere", "/open/../x", "/keys/x"] {
        for hidden in [HIDDEN, PLAIN] {
            let status = match path {
                "/nowhere" => 404,
                "/open/../x" => 400,
                _ => 401,
            };
            let length = hidden.len();
            let bytes = format!(
                "POST {path} HTTP/1.1\r\nHost: gate\r\nContent-Length: {length}\r\n\r\n{hidden}{PLAIN}"
            );
            check(&stage, &bytes, &[status], &[]);
            let chunked = format!(
                "POST {path} HTTP/1.1\r\nHost: gate\r\nTransfer-Encoding: chunked\r\n\r\n{length:x}\r\n{hidden}\r\n0\r\n\r\n{PLAIN}"
            );
            check(&stage, &chunked, &[status], &[]);
            // A caller that asked first and sends all the same.
            let expects = format!(
                "POST {path} HTTP/1.1\r\nHost: gate\r\nExpect: 100-continue\r\nContent-Length: {length}\r\n\r\n{hidden}{PLAIN}"
            );
            check(&stage, &expects, &[status], &[]);
            // Nobody is told to send what nobody will read.
            let answer = stage.connect().exchange(&expects);
            assert!(answer.interim.is_empty(), "{path}: told to go on, then refused");
        }
    }
    // Body and next request in one piece, where all is well.
    let both = [
        ("POST /open/x", "GET /admin/hidden HTTP/1.1\r\nHost: gate\r\n\r\n"),
        ("GET /open/next", ""),
    ];
    let length = HIDDEN.len();
    for method in ["POST", "GET", "DELETE"] {
        let line = format!("{method} /open/x");
        let up = [(line.as_str(), both[0].1), both[1]];
        let bytes = format!(
            "{line} HTTP/1.1\r\nHost: gate\r\nContent-Length: {length}\r\n\r\n{HIDDEN}{PLAIN}"
        );
        check(&stage, &bytes, &[200, 200, KEPT], &up);
    }
}

/// Row 16: requests that wait behind a refusal are judged one by one.
#[test]
fn incident_16_pipelining_after_denial() {
    let stage = Stage::standard();
    let token = stage.token("admin");
    let good =
        format!("GET /admin/good HTTP/1.1\r\nHost: gate\r\nAuthorization: Bearer {token}\r\n\r\n");
    // Neither the credential nor the refusal of one request reaches the next.
    let bytes = format!("{HIDDEN}{PLAIN}{good}{HIDDEN}{PLAIN}");
    check(
        &stage,
        &bytes,
        &[401, 200, 200, 401, 200, KEPT],
        &[("GET /open/next", ""), ("GET /admin/good", ""), ("GET /open/next", "")],
    );
    let requests = stage.upstream.requests();
    assert!(requests[1].header("portcullis-subject").is_some());
    for anonymous in [&requests[0], &requests[2]] {
        assert!(
            anonymous.values("portcullis-subject").is_empty(),
            "an identity stuck to the connection"
        );
    }
    let close = "GET /open/last HTTP/1.1\r\nHost: gate\r\nConnection: close\r\n\r\n";
    check(&stage, &format!("{close}{PLAIN}"), &[200], &[("GET /open/last", "")]);
    check(&stage, &format!("{HIDDEN}garbage\r\n\r\n{PLAIN}"), &[401, 400], &[]);
    // Empty lines before a request line are skipped (RFC 9112 §2.2), and nothing else is.
    check(
        &stage,
        &format!("\r\n{PLAIN}\r\n{HIDDEN}"),
        &[200, 401, KEPT],
        &[("GET /open/next", "")],
    );
    // A letter too many is another method, not the rest of the request before.
    let stray = [("GET /open/next", ""), ("xGET /open/next", "")];
    check(&stage, &format!("{PLAIN}x{PLAIN}"), &[200, 200, KEPT], &stray);
}

/// An upstream below HTTP: it keeps every byte of each connection, and answers each with one script of bytes, sent
/// as soon as a head is there.
struct Bytes {
    address: String,
    kept: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl Bytes {
    fn start(answer: &'static [u8]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address").to_string();
        let kept: Arc<Mutex<Vec<Vec<u8>>>> = Arc::default();
        let own = Arc::clone(&kept);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let number = lock(&own).len();
                lock(&own).push(Vec::new());
                let own = Arc::clone(&own);
                std::thread::spawn(move || keep(stream, &own, number, answer));
            }
        });
        Self { address, kept }
    }

    fn connections(&self) -> Vec<String> {
        lock(&self.kept).iter().map(|bytes| String::from_utf8_lossy(bytes).into_owned()).collect()
    }

    fn gate(&self, listener: &str) -> Gate {
        let routes = ROUTES.split("[[route]]").nth(1).expect("the open route");
        Gate::builder()
            .listener(listener)
            .rest(&format!(
                "[[upstream]]\nname = \"orders\"\nservers = [\"http://{}\"]\n[[route]]{routes}",
                self.address
            ))
            .start()
    }
}

fn keep(mut stream: TcpStream, kept: &Mutex<Vec<Vec<u8>>>, number: usize, answer: &[u8]) {
    let mut chunk = [0; 4096];
    let mut answered = false;
    while let Ok(count @ 1..) = stream.read(&mut chunk) {
        lock(kept)[number].extend_from_slice(&chunk[..count]);
        let whole = lock(kept)[number].windows(4).any(|four| four == b"\r\n\r\n");
        if whole && !answered {
            answered = true;
            let _ = stream.write_all(answer);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Row 16: Pingora CVE-2026-2833, once more: while the upstream has not answered an upgrade, nothing follows it.
#[test]
fn incident_16_nothing_follows_an_unanswered_upgrade() {
    let upstream = Bytes::start(b"");
    let gate = upstream.gate("");
    let mut client = RawClient::connect(&gate.address());
    let upgrade =
        "GET /open/ws HTTP/1.1\r\nHost: gate\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
    client.send(format!("{upgrade}{HIDDEN}{PLAIN}"));
    wait::until(SOON, "the upgrade", || upstream.connections().concat().ends_with("\r\n\r\n"));
    client.send(PLAIN);
    client.patience(Duration::from_millis(300));
    assert!(client.read_some().is_err(), "the gate answered for the upstream");
    let all = upstream.connections();
    assert_eq!((all.len(), all[0].matches("HTTP/1.1").count()), (1, 1), "{all:?}");
    assert!(all[0].ends_with("connection: upgrade\r\nupgrade: websocket\r\n\r\n"), "{all:?}");
}

/// Row 16: an answer that comes before the body is read ends both connections.
#[test]
fn incident_16_early_response() {
    for answer in [
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok".as_slice(),
        b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 204 No Content\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    ] {
        let upstream = Bytes::start(answer);
        let gate = upstream.gate("");
        let mut client = RawClient::connect(&gate.address());
        client.send("POST /open/x HTTP/1.1\r\nHost: gate\r\nContent-Length: 1000\r\n\r\nstart");
        let early = client.response();
        assert!(matches!(early.status, 200 | 204 | 401), "{early:?}");
        // What follows belongs to the body, so whatever it looks like it is no request.
        let _ = client.try_send(PLAIN.as_bytes());
        assert!(client.is_closed(END), "the connection takes another request");
        let mut next = RawClient::connect(&gate.address());
        assert!(matches!(next.exchange(PLAIN).status, 200 | 204 | 401));
        wait::until(SOON, "the second connection", || upstream.connections().len() == 2);
        let seen = upstream.connections();
        assert!(
            seen[0].starts_with("POST /open/x HTTP/1.1\r\n")
                && seen[0].matches("HTTP/1.1").count()
                    <= 1 + usize::from(seen[0].contains("/open/next"))
        );
        // The first connection carries one request; the next request has one of its own.
        assert!(
            !seen[0].contains("portcullis-request-id")
                || seen[0].matches("portcullis-request-id").count() == 1,
            "{}",
            seen[0]
        );
        assert!(seen[1].starts_with("GET /open/next HTTP/1.1\r\n"), "{}", seen[1]);
        assert_eq!(seen[1].matches("HTTP/1.1").count(), 1, "{}", seen[1]);
    }
}

/// Row 16: the exact bytes that go up, for requests that a parser could be led astray by.
#[test]
fn incident_16_exact_bytes() {
    let cases = [
        (
            "GET /open/a?b=c HTTP/1.1\r\nHOST: Gate\r\nX-One:   spaced  out \t\r\nx-ONE: two\r\n\
             Connection: x-gone\r\nX-Gone: 1\r\n\r\n",
            "GET /open/a?b=c HTTP/1.1",
            "x-one: spaced  out\r\nx-one: two\r\n",
            "\r\n",
        ),
        (
            "POST /open/a HTTP/1.1\r\nHost: gate\r\nContent-Length: 4\r\nTE: trailers\r\nConnection: TE\r\n\r\nbody",
            "POST /open/a HTTP/1.1",
            "",
            "content-length: 4\r\n\r\nbody",
        ),
        (
            "POST /open/a HTTP/1.1\r\nHost: gate\r\nTransfer-Encoding: chunked\r\n\r\n\
             2;ext=\"a\"\r\nok\r\n0\r\nX-Late: 1\r\n\r\n",
            "POST /open/a HTTP/1.1",
            "",
            "transfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nx-late: 1\r\n\r\n",
        ),
        (
            "GET /open/a HTTP/1.0\r\nHost: gate\r\nConnection: keep-alive\r\nKeep-Alive: 5\r\n\r\n",
            "GET /open/a HTTP/1.1",
            "",
            "\r\n",
        ),
    ];
    for (sent, line, fields, end) in cases {
        let upstream = Bytes::start(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        let gate = upstream.gate("");
        let answer = RawClient::connect(&gate.address()).exchange(sent);
        assert_eq!(answer.status, 200, "{sent:?}");
        let id = answer.header("x-request-id").expect("an id");
        let expected = format!(
            "{line}\r\nhost: {}\r\n{fields}portcullis-request-id: {id}\r\nx-request-id: {id}\r\n\
             x-forwarded-for: 127.0.0.1\r\nx-forwarded-host: gate\r\nx-forwarded-proto: http\r\n{end}",
            upstream.address
        );
        let all = || upstream.connections().concat();
        wait::until(SOON, "all bytes of the request", || all().len() >= expected.len());
        assert_eq!(all(), expected, "{sent:?}");
    }
}

/// Row 16, answers: what an upstream sends beyond its answer is nobody's answer.
#[test]
fn incident_16_answers_out_of_turn() {
    let poison = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison";
    let scripts: Vec<(String, u16, &str)> = vec![
        (format!("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok{poison}"), 200, "ok"),
        (format!("HTTP/1.1 204 No Content\r\n\r\n{poison}"), 204, ""),
        (format!("HTTP/1.1 304 Not Modified\r\nContent-Length: 6\r\n\r\n{poison}"), 304, ""),
        (
            format!(
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n{poison}"
            ),
            200,
            "ok",
        ),
        (
            format!(
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n2\r\nok\r\n0\r\n\r\n{poison}"
            ),
            502,
            "",
        ),
        (
            format!("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 50\r\n\r\nok{poison}"),
            502,
            "",
        ),
        (format!("HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\nok{poison}"), 502, ""),
        (
            format!(
                "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n{poison}"
            ),
            502,
            "",
        ),
        (format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nok{poison}"), 502, ""),
        (format!("HTTP/1.1 200 OK\r\nX : y\r\nContent-Length: 2\r\n\r\nok{poison}"), 502, ""),
        (format!("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n x\r\n\r\nok{poison}"), 502, ""),
        (format!("HTTP/1.1 99 Odd\r\nContent-Length: 2\r\n\r\nok{poison}"), 502, ""),
        (format!("garbage\r\n\r\n{poison}"), 502, ""),
        (format!("HTTP/1.1 204 No Content\r\nContent-Length: 2\r\n\r\nok{poison}"), 502, ""),
    ];
    for (script, status, body) in scripts {
        let shown = script.clone();
        let upstream = Upstream::start(move |seen| match seen.target().as_str() {
            "/open/first" => Answer::Bytes(script.clone().into_bytes()),
            other => Answer::ok(other),
        });
        let stage = Stage::with(upstream, "", ROUTES);
        let mut client = stage.connect();
        for _ in 0..3 {
            let answer = client.exchange("GET /open/first HTTP/1.1\r\nHost: gate\r\n\r\n");
            assert_eq!(answer.status, status, "{shown:?}: {}", answer.text());
            match status {
                502 => assert_eq!(problem(&answer), "upstream.broken"),
                _ => assert_eq!(answer.text(), body, "{shown:?}"),
            }
            let next = client.exchange("GET /open/second HTTP/1.1\r\nHost: gate\r\n\r\n");
            assert_eq!((next.status, next.text().as_str()), (200, "/open/second"), "{shown:?}");
        }
    }
}

/// Row 16, answers to HEAD: the length speaks of a body that does not come.
#[test]
fn incident_16_answers_to_head() {
    let upstream = Upstream::start(|seen| match seen.method().as_str() {
        "HEAD" => Answer::Bytes(b"HTTP/1.1 200 OK\r\nContent-Length: 30\r\n\r\n".to_vec()),
        _ => Answer::ok(&seen.target()),
    });
    let stage = Stage::with(upstream, "", ROUTES);
    let mut client = stage.connect();
    for _ in 0..3 {
        client.send("HEAD /open/x HTTP/1.1\r\nHost: gate\r\n\r\n");
        let answer = client.try_response("HEAD").expect("an answer");
        assert_eq!((answer.status, answer.header("content-length")), (200, Some("30")));
        let next = client.exchange("GET /open/next HTTP/1.1\r\nHost: gate\r\n\r\n");
        assert_eq!(next.text(), "/open/next");
        client.send("HEAD /admin/x HTTP/1.1\r\nHost: gate\r\n\r\n");
        let denied = client.try_response("HEAD").expect("an answer");
        assert_eq!(denied.status, 401);
        let next = client.exchange("GET /open/after HTTP/1.1\r\nHost: gate\r\n\r\n");
        assert_eq!(next.text(), "/open/after");
    }
}

/// Row 16 over HTTP/2: frames say where a body ends, and nothing else is believed.
#[test]
fn incident_16_http2_lengths() {
    use crate::http2::{Came, send};
    let stage = Stage::of("h2c = true", ROUTES);
    let gate = stage.gate.address();
    let ask = |extra: &[(&[u8], &[u8])], body: &[u8]| {
        let fields: Vec<(&[u8], &[u8])> = [
            &[
                (b":method".as_slice(), b"POST".as_slice()),
                (b":scheme", b"http"),
                (b":authority", b"gate"),
                (b":path", b"/open/x"),
            ],
            extra,
        ]
        .concat();
        send(&gate, &fields, body)
    };
    let hidden = HIDDEN.as_bytes();
    let bad: [&[(&[u8], &[u8])]; 9] = [
        &[(b"content-length", b"5")],
        &[(b"content-length", b"0")],
        &[(b"content-length", b"5"), (b"content-length", b"46")],
        &[(b"content-length", b"x")],
        &[(b"transfer-encoding", b"chunked")],
        &[(b"transfer_encoding", b"chunked")],
        &[(b"content_length", b"5")],
        &[(b"x", b"y\r\ntransfer-encoding: chunked")],
        &[(b"x: y\r\ntransfer-encoding", b"chunked")],
    ];
    for extra in bad {
        let came = ask(extra, hidden);
        assert!(
            matches!(came, Came::Status(400) | Came::Reset(1) | Came::GoAway(_)),
            "{extra:?}: {came:?}"
        );
    }
    assert!(
        stage.upstream.requests().iter().all(|seen| !seen.body.complete),
        "a whole request arrived"
    );
    let count = stage.upstream.requests().len();
    assert_eq!(ask(&[], hidden), Came::Status(200));
    let seen = stage.upstream.last();
    assert_eq!(
        (seen.line().as_str(), seen.body.kept.as_slice()),
        ("POST /open/x HTTP/1.1", hidden)
    );
    assert_eq!(seen.header("transfer-encoding").as_deref(), Some("chunked"));
    assert_eq!(stage.upstream.requests().len(), count + 1);
}
