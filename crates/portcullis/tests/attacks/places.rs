//! Taking what others need: places on a listener, connections to an upstream, the patience of an issuer.

use crate::frames::*;
use crate::setup::{AUDIENCE, PATIENCE, jwt, keys_known, open, route, service, upstream};
use base::{Clock, SystemClock};
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;
use testkit::{Algorithm, Behaviour, Gate, Issuer, Key, RawClient, Response, Upstream, wait};

const GET: &str = "GET /a/x HTTP/1.1\r\nHost: localhost\r\n\r\n";

fn gate(listener: &str, up: &Upstream) -> Gate {
    Gate::builder().listener(listener).rest(&(upstream(up) + &open("a", "/a/{**}", ""))).start()
}

/// Another of the addresses by which this machine reaches itself.
fn from(last: u8, gate: &Gate) -> RawClient {
    RawClient::connect_from(IpAddr::V4(Ipv4Addr::new(127, 0, 0, last)), &gate.address())
}

/// How many events have this code, folded ones counted.
fn recorded(gate: &Gate, code: &str) -> i64 {
    let sql = format!("SELECT sum(count) FROM events WHERE code = '{code}'");
    gate.done(&["audit", "query", &sql])[0]["sum(count)"].as_i64().unwrap_or(0)
}

/// The refusal is whole, and the record tells more.
fn refused(gate: &Gate, answer: &Response, (status, code): (u16, &str)) {
    assert_eq!((answer.status, answer.code().as_str()), (status, code), "{answer:?}");
    assert!(answer.body.complete && answer.header("retry-after") == Some("1"), "{answer:?}");
    let problem = answer.json();
    let id = answer.header("x-request-id").expect("an id");
    assert_eq!(problem["request_id"], id);
    assert!(problem["detail"].as_str().is_some_and(|it| !it.is_empty()), "{problem}");
    wait::until(PATIENCE, "the record", || {
        let output = gate.cli(&["explain", id]);
        let told: serde_json::Value = serde_json::from_str(&output.stdout).unwrap_or_default();
        told["code"] == code && told["outcome"] == "deny" && told["phase"] == "accept"
    });
}

/// A caller for whom there is no room is told so like any other, and it is on record; a flood of them folds.
#[test]
fn a_full_listener_turns_callers_away_unseen() {
    let up = Upstream::ok();
    let gate = gate("max_connections = 4", &up);
    let mut held: Vec<RawClient> = (0..4).map(|_| RawClient::connect(&gate.address())).collect();
    for client in &mut held {
        assert_eq!(client.exchange(GET).status, 200);
    }
    refused(&gate, &RawClient::connect(&gate.address()).response(), (503, "gate.overloaded"));
    for _ in 0..300 {
        let _ = RawClient::connect(&gate.address()).try_response("GET");
    }
    wait::until(PATIENCE, "the flood's records", || recorded(&gate, "gate.overloaded") == 301);
}

/// One address takes all connections of a listener, and nobody else gets in.
#[test]
fn one_address_takes_all_connections() {
    let up = Upstream::ok();
    let gate = gate("max_connections = 64\nmax_connections_per_address = 3", &up);
    let mut held: Vec<RawClient> = (0..3).map(|_| from(1, &gate)).collect();
    for client in &mut held {
        assert_eq!(client.exchange(GET).status, 200);
    }
    refused(&gate, &from(1, &gate).response(), (429, "address.crowded"));
    assert_eq!(from(2, &gate).exchange(GET).status, 200, "another address is let in");
    held.pop();
    wait::until(PATIENCE, "a place", || {
        let mut client = from(1, &gate);
        let _ = client.try_send(GET.as_bytes());
        client.try_response("GET").is_ok_and(|answer| answer.status == 200)
    });
}

/// A trusted proxy brings many callers over its connections; those that it names with the PROXY protocol count.
#[test]
fn a_proxy_in_front_is_mistaken_for_one_caller() {
    let up = Upstream::ok();
    let limits = "max_connections = 64\nmax_connections_per_address = 2\n";
    let trusting = |header: &str| {
        let proxies =
            format!("proxies = {{ trusted = [\"127.0.0.1/32\"], header = \"{header}\" }}");
        gate(&format!("{limits}{proxies}"), &up)
    };
    let by_header = trusting("x-forwarded-for");
    let mut held: Vec<RawClient> = (0..8).map(|_| from(1, &by_header)).collect();
    for client in &mut held {
        assert_eq!(client.exchange(GET).status, 200);
    }
    let by_protocol = trusting("proxy-protocol");
    let named = |last: u8| {
        let mut client = from(1, &by_protocol);
        client.send(format!("PROXY TCP4 192.0.2.{last} 192.0.2.99 1000 80\r\n{GET}"));
        client
    };
    let mut held: Vec<RawClient> = (0..8).map(|number| named(number / 2)).collect();
    for client in &mut held {
        assert_eq!(client.response().status, 200);
    }
    refused(&by_protocol, &named(0).response(), (429, "address.crowded"));
    // Who is not trusted speaks for himself alone.
    let mut own: Vec<RawClient> = (0..2).map(|_| from(2, &by_protocol)).collect();
    for client in &mut own {
        assert_eq!(client.exchange(GET).status, 200);
    }
    refused(&by_protocol, &from(2, &by_protocol).response(), (429, "address.crowded"));
}

/// A body of which a byte comes within each time-out holds a connection here and one at the upstream for ever.
#[test]
fn a_body_drips_for_ever() {
    let up = Upstream::ok();
    let gate = gate("h2c = true\ntimeouts = { body = \"1s\" }", &up);
    let clock = SystemClock::new();
    for head in ["Content-Length: 1000000\r\n", "Transfer-Encoding: chunked\r\n"] {
        let byte: &[u8] = if head.starts_with('C') { b"x" } else { b"1\r\nx\r\n" };
        let mut client = RawClient::connect(&gate.address());
        client.patience(Duration::from_millis(250));
        client.send(format!("POST /a/x HTTP/1.1\r\nHost: localhost\r\n{head}\r\n"));
        let start = clock.monotonic();
        let answer = loop {
            let _ = client.try_send(byte);
            if let Ok(answer) = client.try_response("POST") {
                break answer;
            }
            assert!(clock.monotonic().since(start) < PATIENCE, "{head}");
        };
        assert_eq!((answer.status, answer.code().as_str()), (408, "body.timeout"), "{head}");
    }
    // Sixty-four bytes a second are slow, and enough: five seconds are more than two windows.
    let mut client = RawClient::connect(&gate.address());
    client.send("POST /a/x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 320\r\n\r\n");
    for _ in 0..20 {
        client.send([b'x'; 16]);
        wait::pause(Duration::from_millis(250));
    }
    assert_eq!(client.response().status, 200);
}

/// A call over gRPC, in which the caller says little for longer than any pace allows, goes on: it holds a stream and
/// no connection. Over HTTP/1.1 the name alone excuses nothing.
#[test]
fn a_conversation_is_taken_for_a_body_that_drips() {
    let up = crate::setup::raw_server(|stream| {
        let mut frames = Frames::accept(stream);
        // Answers once the caller has ended its body.
        while let Some(came) = frames.next() {
            if came.kind == DATA && came.flags & END_STREAM != 0 {
                let _ = frames.send(HEADERS, END_HEADERS | END_STREAM, came.stream, &[0x88]);
            }
        }
    });
    let gate = Gate::builder()
        .listener("h2c = true\ntimeouts = { body = \"1s\" }")
        .rest(&(service(&format!("http://{up}"), "protocol = \"h2\"") + &open("a", "/a/{**}", "")))
        .start();
    for (kind, passes) in [("application/grpc", true), ("application/json", false)] {
        let mut frames = Frames::connect(&gate.address(), &[]);
        let block = request("POST", "/a/x", &[("content-type", kind)]);
        frames.send(HEADERS, END_HEADERS, 1, &block).expect("a head");
        for _ in 0..16 {
            let _ = frames.send(DATA, 0, 1, b"x");
            wait::pause(Duration::from_millis(250));
        }
        let _ = frames.send(DATA, END_STREAM, 1, b"x");
        let sql = format!(
            "SELECT count(*) FROM events WHERE code = '{}'",
            if passes { "ok" } else { "body.timeout" }
        );
        wait::until(PATIENCE, kind, || {
            gate.done(&["audit", "query", &sql])[0]["count(*)"].as_i64() == Some(1)
        });
    }
}

/// What the HTTP/2 library ends a connection for stands in the ledger.
#[test]
fn a_broken_http2_connection_leaves_no_trace() {
    let up = Upstream::ok();
    let gate = gate("h2c = true", &up);
    // DATA on stream 0 (RFC 9113 §6.1), a HEADERS frame on an even stream (§5.1.1), nonsense in HPACK (§4.3).
    let broken: [&dyn Fn(&mut Frames); 3] = [
        &|frames| drop(frames.send(DATA, 0, 0, b"x")),
        &|frames| drop(frames.send(HEADERS, END_HEADERS, 2, &request("GET", "/a/x", &[]))),
        &|frames| drop(frames.send(HEADERS, END_HEADERS, 1, &[0xff; 64])),
    ];
    for (number, attack) in broken.iter().enumerate() {
        let mut frames = Frames::connect(&gate.address(), &[]);
        attack(&mut frames);
        assert!(frames.is_closed(PATIENCE), "{number}");
        let expect = number as i64 + 1;
        wait::until(PATIENCE, &format!("record {number}"), || {
            recorded(&gate, "request.malformed") == expect
        });
    }
    // Who leaves in order, or just leaves, has done nothing.
    let mut farewell = Frames::connect(&gate.address(), &[]);
    farewell.send(GOAWAY, 0, 0, &[0; 8]).expect("a farewell");
    drop(farewell);
    drop(Frames::connect(&gate.address(), &[]));
    let mut last = Frames::connect(&gate.address(), &[]);
    last.get(1, "/a/x", &[]);
    wait::until(PATIENCE, "the last", || recorded(&gate, "ok") == 1);
    assert_eq!(recorded(&gate, "request.malformed"), 3);
}

/// An issuer that says nothing holds each caller for as long as it is asked: for two fetches of five seconds each.
#[test]
fn a_silent_issuer_holds_its_callers() {
    let (up, known, silent) = (Upstream::ok(), Issuer::start(), Issuer::start());
    silent.behave(Behaviour::Silence);
    let access = |issuer| format!("access = {}", jwt(issuer, "read"));
    let rest = known.config("known", AUDIENCE)
        + &silent.config("silent", AUDIENCE)
        + &upstream(&up)
        + &route("known", "/known/{**}", &access("known"))
        + &route("silent", "/silent/{**}", &access("silent"));
    let gate = Gate::start(&rest);
    keys_known(&gate, 1);
    known.behave(Behaviour::Silence);
    let stranger = Key::generate(Algorithm::Es256, "stranger");
    let clock = SystemClock::new();
    // Where keys are at hand they decide; where there are none, nobody can know.
    for (path, token, expect) in [
        ("/known/x", stranger.token(&known.claims(AUDIENCE, "read")), (401, "token.unknown_key")),
        ("/silent/x", silent.token(AUDIENCE, "read"), (503, "issuer.unavailable")),
    ] {
        let start = clock.monotonic();
        let answer = gate.get(path, &[("authorization", &format!("Bearer {token}"))]);
        let waited = clock.monotonic().since(start);
        assert_eq!((answer.status, answer.code().as_str()), expect, "{answer:?}");
        assert!(waited < Duration::from_millis(4_500), "{path}: {waited:?}");
    }
    assert_eq!(up.count(), 0);
}
