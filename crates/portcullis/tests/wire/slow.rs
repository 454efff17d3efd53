//! Callers that are slow on purpose: thousands of them, beside others who must not notice.

use crate::stage::{SOON, open, resident_kib, upstream};
use base::{Clock, SystemClock};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;
use testkit::{Gate, RawClient, Upstream, wait};

/// HTTP/2's preface with empty SETTINGS (RFC 9113 §3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

fn gate(timeouts: &str, server: &Upstream) -> Gate {
    Gate::builder()
        .listener(&format!(
            "h2c = true\nmax_connections_per_address = 16384\ntimeouts = {{ {timeouts} }}"
        ))
        .rest(&(upstream("api", &[server.url()], "") + &open("api", "")))
        .start()
}

/// As many descriptors for this test as the system allows; how many those are.
fn own_descriptors() -> u64 {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).expect("a limit");
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard).expect("the limit is raised");
    hard
}

fn is_open(stream: &mut TcpStream) -> bool {
    let _ = stream.set_nonblocking(true);
    let mut bytes = [0; 4096];
    loop {
        match stream.read(&mut bytes) {
            Ok(0) => return false,
            Ok(_) => {}
            Err(error) => return error.kind() == std::io::ErrorKind::WouldBlock,
        }
    }
}

/// The worst time of `count` requests of a caller with a kept connection.
fn worst(client: &mut RawClient, count: usize) -> Duration {
    let clock = SystemClock::new();
    let mut times: Vec<Duration> = (0..count)
        .map(|_| {
            let start = clock.monotonic();
            let answer = client.exchange("GET /api/x HTTP/1.1\r\nhost: a\r\n\r\n");
            assert_eq!(answer.status, 200);
            clock.monotonic().since(start)
        })
        .collect();
    times.sort();
    // One in a hundred may have met another test on this machine.
    times[times.len() - 1 - times.len() / 100]
}

#[test]
fn slow_connections_by_the_thousand_harm_nobody() {
    let count = if testkit::soak() { 10_000 } else { 2_000 };
    let hard = own_descriptors();
    assert!(hard > count + 500, "the system allows {hard} open files");
    let server = Upstream::ok();
    let gate = gate("head = \"8s\", body = \"5s\", idle = \"8s\"", &server);
    let mut client = RawClient::connect(&gate.address());
    let before = (worst(&mut client, 200), resident_kib(gate.pid()));
    // A third silent, a third in the middle of a head, a third in the middle of HTTP/2's beginning.
    let mut slow: Vec<TcpStream> = (0..count)
        .map(|number| {
            let mut stream = TcpStream::connect(gate.address()).expect("a connection");
            let bytes: &[u8] = match number % 3 {
                0 => b"",
                1 => b"GET /api/x HTTP/1.1\r\nhost: a\r\nx-slow: ",
                _ => &PREFACE[..10],
            };
            stream.write_all(bytes).expect("it is taken");
            stream
        })
        .collect();
    let during = (worst(&mut client, 200), resident_kib(gate.pid()));
    let open = slow.iter_mut().map(is_open).filter(|open| *open).count();
    println!(
        "{count} slow connections ({open} open): worst of 200 requests {:?}, before {:?}; \
         {} KiB resident, before {}",
        during.0, before.0, during.1, before.1
    );
    assert_eq!(open as u64, count, "they were meant to be there");
    assert!(during.0 < Duration::from_millis(250), "{during:?}, before {before:?}");
    let each = during.1.saturating_sub(before.1) / count;
    assert!(each < 8, "{each} KiB for each");
    // Those in a head go on with a byte now and then; it does not help them.
    wait::until(Duration::from_secs(40), "their end", || {
        for stream in slow.iter_mut().skip(1).step_by(3).take(100) {
            let _ = stream.write(b"x");
        }
        wait::pause(Duration::from_millis(200));
        !slow.iter_mut().any(is_open)
    });
    assert_eq!(gate.get("/api/x", &[]).status, 200);
}

/// The clock of a head runs from its first byte to its last, however they drip.
#[test]
fn a_head_that_drips_is_408_in_time() {
    let server = Upstream::ok();
    let gate = gate("head = \"1s\", body = \"30s\", idle = \"30s\"", &server);
    for first in ["", "GET /api/x HTTP/1.1\r\nhost: a\r\n\r\n"] {
        let mut client = RawClient::connect(&gate.address());
        if !first.is_empty() {
            assert_eq!(client.exchange(first).status, 200);
        }
        let took = wait::until(SOON, "the gate to give up", || {
            wait::pause(Duration::from_millis(50));
            client.patience(Duration::from_millis(1));
            let sent = client.try_send(b"G").is_ok();
            !sent || client.stream().peek(&mut [0]).is_ok()
        });
        assert!(took > Duration::from_millis(800), "{took:?}");
        client.patience(SOON);
        let answer = client.response();
        assert_eq!((answer.status, answer.code().as_str()), (408, "head.timeout"));
        assert!(client.is_closed(SOON));
    }
}

#[test]
fn a_body_that_stalls_is_given_up() {
    let server = Upstream::ok();
    let gate = gate("head = \"5s\", body = \"1s\", idle = \"30s\"", &server);
    for framing in
        ["content-length: 10\r\n\r\nhalf", "transfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n"]
    {
        let mut client = RawClient::connect(&gate.address());
        client.send(format!("POST /api/x HTTP/1.1\r\nhost: a\r\n{framing}"));
        let answer = client.response();
        assert_eq!((answer.status, answer.code().as_str()), (408, "body.timeout"));
        assert!(client.is_closed(SOON), "{framing}");
    }
    assert!(
        server.requests().iter().all(|seen| !seen.body.complete),
        "half a body became a request"
    );
}

#[test]
fn a_body_that_stalls_over_http2_is_given_up() {
    const HEADERS: u8 = 1;
    const END_HEADERS: u8 = 4;
    let server = Upstream::ok();
    let gate = gate("head = \"5s\", body = \"1s\", idle = \"30s\"", &server);
    let mut client = RawClient::connect(&gate.address());
    let head = frame(HEADERS, END_HEADERS, 1, &request("POST", "/api/x"));
    client.send([PREFACE, &head, &frame(0, 0, 1, b"half")].concat());
    let mut read = Vec::new();
    while !String::from_utf8_lossy(&read).contains("body.timeout") {
        let bytes = client.read_some().expect("an answer");
        assert!(!bytes.is_empty(), "{}", String::from_utf8_lossy(&read));
        read.extend(bytes);
    }
}

/// An idle connection is closed without a word, since nothing was asked.
#[test]
fn an_idle_connection_ends_in_silence() {
    let server = Upstream::ok();
    let gate = gate("head = \"1s\", body = \"1s\", idle = \"1s\"", &server);
    for first in ["", "GET /api/x HTTP/1.1\r\nhost: a\r\n\r\n"] {
        let mut client = RawClient::connect(&gate.address());
        if !first.is_empty() {
            assert_eq!(client.exchange(first).status, 200);
        }
        client.patience(SOON);
        assert_eq!(client.read_some().expect("the end"), b"", "{first}");
    }
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("a frame").to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// A request's head as literal fields that are never indexed (RFC 7541 §6.2.3).
fn request(method: &str, path: &str) -> Vec<u8> {
    let literal = |name: &str, value: &str| {
        let length = |text: &str| u8::try_from(text.len()).expect("a short text");
        [&[0x10, length(name)], name.as_bytes(), &[length(value)], value.as_bytes()].concat()
    };
    [(":method", method), (":scheme", "http"), (":authority", "a"), (":path", path)]
        .iter()
        .flat_map(|(name, value)| literal(name, value))
        .collect()
}

/// Callers over HTTP/2 that keep a connection without using it: whatever they leave undone, it ends.
#[test]
fn an_http2_connection_that_does_nothing_ends() {
    const HEADERS: u8 = 1;
    const END_STREAM: u8 = 1;
    const END_HEADERS: u8 = 4;
    // SETTINGS_INITIAL_WINDOW_SIZE = 0: nothing may be sent to us.
    let no_window = frame(4, 0, 0, &[0, 4, 0, 0, 0, 0]);
    let whole = frame(HEADERS, END_STREAM | END_HEADERS, 1, &request("GET", "/api/x"));
    let refused = frame(HEADERS, END_STREAM | END_HEADERS, 1, &request("GET", "/none"));
    let half = frame(HEADERS, END_STREAM, 1, &request("GET", "/api/x"));
    let cases = [
        ("silence", Vec::new()),
        ("a head that does not end", half),
        ("an answer that is not taken", [no_window.clone(), whole].concat()),
        ("a refusal that is not taken", [no_window, refused].concat()),
    ];
    let server = Upstream::ok();
    let gate = gate("head = \"1s\", body = \"1s\", idle = \"1s\"", &server);
    for (what, bytes) in cases {
        let mut client = RawClient::connect(&gate.address());
        client.send([PREFACE, &bytes].concat());
        // Neither SETTINGS nor PING are ever answered.
        assert!(client.is_closed(SOON), "{what} keeps the connection");
    }
}

/// One that is used is not idle, however long a stream takes.
#[test]
fn an_http2_stream_outlives_the_idle_time() {
    let server = Upstream::start(|_| {
        testkit::Answer::takeover(|socket| {
            wait::pause(Duration::from_secs(3));
            let _ = socket.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nlate");
        })
    });
    let gate = gate("head = \"1s\", body = \"1s\", idle = \"1s\"", &server);
    let late = crate::stage::curl(&[
        "--http2-prior-knowledge",
        &format!("http://{}/api/x", gate.address()),
    ]);
    assert_eq!((late.status, late.body.as_slice()), (200, &b"late"[..]), "{late:?}");
}

/// Systems begin with 1024 descriptors, of which a flood of callers would leave none for the upstreams.
#[test]
fn the_gate_takes_all_descriptors_that_it_may_have() {
    let folder = tempfile::tempdir().expect("a folder");
    let script = folder.path().join("few");
    let text = format!("#!/bin/sh\nulimit -S -n 64\nexec {} \"$@\"\n", testkit::binary().display());
    std::fs::write(&script, text).expect("a script");
    std::fs::set_permissions(&script, std::os::unix::fs::PermissionsExt::from_mode(0o700))
        .expect("a script");
    let server = Upstream::ok();
    let gate = Gate::builder()
        .program(&script)
        .rest(&(upstream("api", &[server.url()], "") + &open("api", "")))
        .start();
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", gate.pid())).expect("limits");
    let line = limits.lines().find(|line| line.starts_with("Max open files")).expect("a line");
    let words: Vec<&str> = line.split_whitespace().collect();
    assert_eq!(words[3], words[4], "{line}");
}
