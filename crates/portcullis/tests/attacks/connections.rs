//! Holding connections, answers and work that cost the attacker nothing; and confusing who gets which answer.

use crate::frames::*;
use crate::revocation::BlackHole;
use crate::setup::{PATIENCE, open, raw_server, service, upstream};
use socket2::{Domain, Socket, Type};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;
use testkit::{Answer, Authority, Gate, RawClient, Upstream, free_port, wait};

const H2C: &str = "h2c = true\n";

fn gate(listener: &str, up: &Upstream) -> Gate {
    Gate::builder().listener(listener).rest(&(upstream(up) + &open("a", "/a/{**}", ""))).start()
}

/// A caller over HTTP/2 that never says another word, and answers no farewell, is let go.
#[test]
fn an_http2_connection_is_held_for_nothing() {
    let up = Upstream::ok();
    let gate = gate(&format!("{H2C}timeouts = {{ idle = \"1s\", head = \"1s\" }}"), &up);
    let mut silent = Frames::connect(&gate.address(), &[]);
    let mut used = Frames::connect(&gate.address(), &[]);
    used.get(1, "/a/x", &[]);
    // A head that never ends.
    let mut half = Frames::connect(&gate.address(), &[]);
    half.send(HEADERS, 0, 1, &request("GET", "/a/x", &[])).expect("half a head");
    for (frames, what) in [(&mut silent, "silent"), (&mut used, "used"), (&mut half, "half a head")]
    {
        assert!(frames.is_closed(Duration::from_secs(8)), "{what}");
    }
}

/// An answer that the caller gives no room for does not hold the connection for ever.
#[test]
fn an_answer_without_a_window_holds_an_http2_connection() {
    let up = Upstream::ok();
    let gate =
        gate(&format!("{H2C}timeouts = {{ idle = \"1s\", body = \"1s\", head = \"1s\" }}"), &up);
    for path in ["/nowhere", "/a/x"] {
        // SETTINGS_INITIAL_WINDOW_SIZE of nothing (RFC 9113 §6.5.2).
        let mut frames = Frames::connect(&gate.address(), &[(4, 0)]);
        frames.get(1, path, &[]);
        assert!(frames.is_closed(Duration::from_secs(10)), "{path}");
    }
}

/// Refusals that nobody reads end the connection as any other answer does.
#[test]
fn refusals_that_nobody_reads_hold_a_connection() {
    let up = Upstream::ok();
    let gate = gate("timeouts = { idle = \"1s\", body = \"1s\", head = \"1s\" }", &up);
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    socket.set_recv_buffer_size(4096).expect("a small buffer");
    let address: SocketAddr = gate.address().parse().expect("an address");
    socket.connect(&address.into()).expect("a connection");
    let mut stream = TcpStream::from(socket);
    stream.set_write_timeout(Some(Duration::from_millis(500))).expect("a time-out");
    // Nobody reads: soon neither side takes anything any more.
    let many = b"GET /nowhere HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(1000);
    while stream.write_all(&many).is_ok() {}
    let connections = || {
        let metrics = testkit::get(&format!("{}/metrics", gate.control()), &[]).text();
        let line = metrics.lines().find(|it| it.starts_with("portcullis_connections "));
        line.and_then(|it| it.split(' ').nth(1)?.parse::<u64>().ok()).expect("a gauge")
    };
    wait::until(PATIENCE, "the connection's end", || connections() == 0);
}

/// CVE-2023-44487: requests that are reset as soon as they are sent cost the attacker nothing; they must not pile
/// up here while a server does not answer.
#[test]
fn requests_that_are_reset_at_once_pile_up() {
    let hole = BlackHole::new();
    let gate = Gate::builder()
        .listener(H2C)
        .rest(
            &(service(
                &format!("http://{}", hole.address),
                "connect_timeout = \"20s\"\nretries = 0",
            ) + &open("a", "/a/{**}", "")),
        )
        .start();
    let files = || std::fs::read_dir(format!("/proc/{}/fd", gate.pid())).map_or(0, Iterator::count);
    let before = files();
    for _ in 0..4 {
        let mut frames = Frames::connect(&gate.address(), &[]);
        let block = request("GET", "/a/x", &[]);
        for number in 0..2_000u32 {
            let stream = 2 * number + 1;
            let bytes = [
                frame(HEADERS, END_HEADERS | END_STREAM, stream, &block),
                frame(RESET, 0, stream, &8u32.to_be_bytes()),
            ];
            if frames.bytes(&bytes.concat()).is_err() {
                break;
            }
            if number % 20 == 0 {
                // Now and then time to look at them, so that they count as accepted.
                wait::pause(Duration::from_millis(1));
            }
        }
        let now = files();
        assert!(now < before + 600, "{} descriptors", now - before);
    }
}

/// Frames that ask for an answer, or announce more to come, without end, from a caller that reads nothing.
#[test]
fn frames_without_end_fill_the_memory() {
    let up = Upstream::ok();
    let gate = gate(&format!("{H2C}timeouts = {{ idle = \"2s\" }}"), &up);
    let empty = literal("x-a", &"a".repeat(1000));
    let floods: [(&str, Vec<u8>); 5] = [
        ("ping", frame(PING, 0, 0, &[7; 8])),
        ("settings", frame(SETTINGS, 0, 0, &[0, 4, 0, 0, 0xff, 0xff])),
        ("continuation", frame(CONTINUATION, 0, 1, &empty)),
        ("empty data", frame(DATA, 0, 1, &[])),
        ("priority", frame(2, 0, 3, &[0, 0, 0, 0, 1])),
    ];
    let before = gate.resident_kib();
    for (what, one) in floods {
        let mut frames = Frames::connect(&gate.address(), &[]);
        let _ = frames.0.set_write_timeout(Some(Duration::from_millis(500)));
        match what {
            "continuation" => {
                let _ = frames.send(HEADERS, END_STREAM, 1, &request("GET", "/a/x", &[]));
            }
            "empty data" => {
                let _ = frames.send(HEADERS, END_HEADERS, 1, &request("POST", "/a/x", &[]));
            }
            _ => {}
        }
        let many = one.repeat(1 + 64 * 1024 / one.len());
        for _ in 0..400 {
            if frames.bytes(&many).is_err() {
                break;
            }
        }
        let grown = gate.resident_kib().saturating_sub(before);
        assert!(grown < 48 * 1024, "{what}: {grown} KiB more");
        assert_eq!(gate.get("/a/x", &[]).status, 200, "{what}");
    }
}

/// An upstream that sends a body where none can be (RFC 9110 §6.4.1) must not be able to write the caller's next
/// answer.
#[test]
fn a_body_where_none_can_be_becomes_the_next_answer() {
    let address = raw_server(|stream| {
        let mut frames = Frames::accept(stream);
        while let Some(came) = frames.next() {
            if came.kind != HEADERS {
                continue;
            }
            // The method and the path are read from the literal block of the gate's own encoder, or guessed from
            // the order: HEAD and GET take turns.
            let status = if came.stream % 4 == 1 { 0x89 } else { 0x88 };
            let evil = b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\nx-evil: 1\r\n\r\nevil";
            let _ = frames.send(HEADERS, END_HEADERS, came.stream, &[status]);
            let _ = frames.send(DATA, END_STREAM, came.stream, evil);
        }
    });
    let gate = Gate::start(
        &(service(&format!("http://{address}"), "protocol = \"h2\"") + &open("a", "/a/{**}", "")),
    );
    for first in ["GET", "HEAD", "GET", "HEAD", "HEAD", "GET"] {
        let mut client = RawClient::connect(&gate.address());
        client.send(format!("{first} /a/first HTTP/1.1\r\nHost: localhost\r\n\r\n"));
        let Ok(answer) = client.try_response(first) else { continue };
        if answer.status == 200 && first == "GET" {
            continue;
        }
        assert!(matches!(answer.status, 200 | 204 | 502), "{answer:?}");
        // Whatever comes next on this connection is an answer of the gate's own making.
        if client.try_send(b"GET /nowhere HTTP/1.1\r\nHost: localhost\r\n\r\n").is_ok()
            && let Ok(answer) = client.try_response("GET")
        {
            assert_eq!(answer.status, 404, "{first}: {}", String::from_utf8_lossy(&answer.head));
        }
    }
}

/// Ends a connection with a reset instead of in order.
fn abort(stream: &TcpStream) {
    let _ = socket2::SockRef::from(stream).set_linger(Some(Duration::ZERO));
}

/// How many decisions of requests for `path` stand in the ledger.
fn decisions(gate: &Gate, path: &str) -> i64 {
    let sql = format!("SELECT count(*) FROM events WHERE path = '{path}' AND kind = 'decision'");
    gate.done(&["audit", "query", &sql])[0]["count(*)"].as_i64().expect("a count")
}

/// Whenever the caller hangs up, or is cut, his request stands in the ledger: once.
#[test]
fn a_request_leaves_no_trace_by_hanging_up() {
    let up = Upstream::start(|seen| match seen.target() {
        target if target.ends_with("/silent") => Answer::Silence,
        target if target.ends_with("/drip") => Answer::Drip(
            b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\nabcdefghijklmnopqrstuvwxyz".to_vec(),
            Duration::from_millis(20),
        ),
        _ => Answer::with(200, &[], &vec![b'x'; 8 * 1024 * 1024]),
    });
    let gate = gate(&format!("{H2C}timeouts = {{ body = \"2s\" }}"), &up);
    // A reset at once may take the request away before it is read: then there is nothing to record.
    let (mut paths, mut perhaps) = (Vec::new(), Vec::new());
    for (number, (lines, body, last, pause)) in [
        ("", "", "silent", 0),
        ("", "", "silent", 50),
        ("", "", "drip", 300),
        ("", "", "big", 50),
        ("Content-Length: 100000\r\n", "half", "silent", 50),
        ("Transfer-Encoding: chunked\r\n", "4\r\nhalf", "silent", 50),
        ("Transfer-Encoding: chunked\r\n", "nonsense\r\n", "silent", 50),
        ("Expect: 100-continue\r\nContent-Length: 10\r\n", "", "silent", 50),
    ]
    .into_iter()
    .enumerate()
    {
        for hard in [false, true] {
            let path = format!("/a/{number}{hard}/{last}");
            let mut client = RawClient::connect(&gate.address());
            let method = if lines.is_empty() { "GET" } else { "POST" };
            client
                .send(format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\n{lines}\r\n{body}"));
            wait::pause(Duration::from_millis(pause.max(5)));
            if hard {
                abort(client.stream());
            }
            drop(client);
            if hard && pause == 0 { &mut perhaps } else { &mut paths }.push(path);
        }
    }
    for (number, (last, pause)) in
        [("silent", 0), ("silent", 50), ("drip", 300), ("big", 50)].into_iter().enumerate()
    {
        for how in ["reset", "closed", "aborted"] {
            let path = format!("/a/h2{number}{how}/{last}");
            let mut frames = Frames::connect(&gate.address(), &[]);
            frames.get(1, &path, &[]);
            wait::pause(Duration::from_millis(pause.max(5)));
            match how {
                "reset" => frames.send(RESET, 0, 1, &8u32.to_be_bytes()).expect("a reset"),
                "aborted" => abort(&frames.0),
                _ => {}
            }
            if how == "reset" {
                wait::pause(Duration::from_millis(50));
            }
            drop(frames);
            if how == "aborted" && pause == 0 { &mut perhaps } else { &mut paths }.push(path);
        }
    }
    let count = |path: &str| decisions(&gate, path);
    for path in &paths {
        wait::until(PATIENCE, path, || count(path) > 0);
    }
    for path in &paths {
        assert_eq!(count(path), 1, "{path}");
    }
    for path in &perhaps {
        assert!(count(path) <= 1, "{path}");
    }
}

/// Bytes that look like a request, sent to the upstream as a body, stay a body: in HTTP/2 with a length that does
/// not hold, too.
#[test]
fn a_length_that_does_not_hold_smuggles_a_request() {
    let up = Upstream::ok();
    let gate = gate(H2C, &up);
    let evil = b"GET /evil HTTP/1.1\r\nHost: localhost\r\n\r\n";
    for (length, ends) in [("0", true), ("1", true), ("5", true), ("1000", true), ("0", false)] {
        let mut frames = Frames::connect(&gate.address(), &[]);
        let block = request("POST", "/a/x", &[("content-length", length)]);
        let _ = frames.send(HEADERS, END_HEADERS, 1, &block);
        let _ = frames.send(DATA, if ends { END_STREAM } else { 0 }, 1, evil);
        let _ = frames.0.set_read_timeout(Some(Duration::from_millis(300)));
        while let Some(came) = frames.next() {
            if matches!(came.kind, RESET | GOAWAY) || came.flags & END_STREAM != 0 {
                break;
            }
        }
    }
    for name in ["transfer-encoding", "connection", "upgrade", "keep-alive", "te"] {
        let mut frames = Frames::connect(&gate.address(), &[]);
        let block = request("POST", "/a/x", &[(name, "chunked")]);
        let _ = frames.send(HEADERS, END_HEADERS, 1, &block);
        let _ = frames.send(DATA, END_STREAM, 1, &[b"0\r\n\r\n", &evil[..]].concat());
        let _ = frames.0.set_read_timeout(Some(Duration::from_millis(300)));
        while let Some(came) = frames.next() {
            if matches!(came.kind, RESET | GOAWAY) || came.flags & END_STREAM != 0 {
                break;
            }
        }
    }
    assert_eq!(gate.get("/a/last", &[]).status, 200);
    let seen: Vec<String> = up.requests().iter().map(testkit::Seen::target).collect();
    assert!(!seen.iter().any(|target| target.contains("evil")), "{seen:?}");
}

/// A body that never comes, for a stream that is open: its window is small, and so is what waits.
#[test]
fn streams_that_are_opened_and_left_fill_the_memory() {
    let up = Upstream::ok();
    let gate = gate(&format!("{H2C}timeouts = {{ body = \"2s\" }}"), &up);
    let before = gate.resident_kib();
    let mut held = Vec::new();
    for _ in 0..8 {
        let mut frames = Frames::connect(&gate.address(), &[]);
        for number in 0..128 {
            let block = request("POST", "/a/x", &[]);
            let _ = frames.send(HEADERS, END_HEADERS, 2 * number + 1, &block);
        }
        let _ = frames.send(WINDOW, 0, 0, &0x7fff_0000u32.to_be_bytes());
        held.push(frames);
    }
    assert_eq!(gate.get("/a/x", &[]).status, 200);
    let grown = gate.resident_kib().saturating_sub(before);
    assert!(grown < 64 * 1024, "{grown} KiB more");
    for mut frames in held {
        let mut rest = [0; 4096];
        assert!(frames.0.read(&mut rest).is_ok());
    }
    let _ = std::io::stdout().flush();
}

/// What comes before HTTP (a handshake, the header of a proxy in front) is waited for, but not for ever, and at no
/// cost.
#[test]
fn half_a_handshake_holds_a_connection_and_a_core() {
    let up = Upstream::ok();
    let folder = tempfile::tempdir().expect("a folder");
    let (cert, key) = Authority::new().write(folder.path(), "server", &["localhost"]);
    let port = free_port();
    let gate = Gate::builder()
        .listener(
            "timeouts = { head = \"3s\" }\n\
             proxies = { trusted = [\"127.0.0.0/8\"], header = \"proxy-protocol\" }",
        )
        .rest(
            &(format!(
                "[[listener]]\nname = \"tls\"\nbind = \"127.0.0.1:{port}\"\n\
                 timeouts = {{ head = \"3s\" }}\ntls = {{ cert = {cert:?}, key = {key:?} }}\n"
            ) + &upstream(&up)
                + &open("a", "/a/{**}", "")),
        )
        .start();
    let mut handshake = RawClient::connect(&format!("127.0.0.1:{port}"));
    handshake.send([0x16, 3, 1, 2, 0, 1]);
    let cpu = || {
        let stat =
            std::fs::read_to_string(format!("/proc/{}/stat", gate.pid())).expect("a process");
        let fields: Vec<&str> = stat.split(' ').collect();
        // utime and stime, in hundredths of a second (proc(5)).
        fields[13..15].iter().map(|ticks| ticks.parse::<u64>().expect("a number")).sum::<u64>()
    };
    let mut halves: Vec<RawClient> = (0..300)
        .map(|_| {
            let mut half = RawClient::connect(&gate.address());
            half.send("PROXY TCP4 192.0.2.7");
            half
        })
        .collect();
    let before = cpu();
    wait::pause(Duration::from_secs(2));
    let spent = cpu() - before;
    assert!(spent < 60, "{spent} hundredths of a second in two");
    assert!(handshake.is_closed(PATIENCE));
    assert!(halves.iter_mut().all(|half| half.is_closed(PATIENCE)));
}
