//! Getting through with a credential that was revoked meanwhile.

use crate::frames::*;
use crate::setup::{PATIENCE, route, upstream};
use socket2::{Domain, Socket, Type};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;
use testkit::{Answer, Gate, RawClient, Upstream, wait};

/// An address where a connection is neither made nor refused: a queue of one that is full.
pub(crate) struct BlackHole {
    pub(crate) address: SocketAddr,
    _listener: Socket,
    _queued: Vec<Socket>,
}

impl BlackHole {
    pub(crate) fn new() -> Self {
        let listener = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        let any: SocketAddr = "127.0.0.1:0".parse().expect("an address");
        listener.bind(&any.into()).expect("a free port");
        listener.listen(0).expect("a queue");
        let address = listener.local_addr().expect("an address").as_socket().expect("an address");
        let queued = (0..4)
            .map(|_| {
                let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
                socket.set_nonblocking(true).expect("a mode");
                let _ = socket.connect(&address.into());
                socket
            })
            .collect();
        let hole = Self { address, _listener: listener, _queued: queued };
        let probe = TcpStream::connect_timeout(&hole.address, Duration::from_millis(300));
        assert!(probe.is_err(), "the queue is not full");
        hole
    }
}

/// The first server takes its time to be given up. What is revoked in that time does not reach the second.
#[test]
fn a_key_that_is_revoked_while_a_server_is_tried_reaches_the_next() {
    let (hole, up) = (BlackHole::new(), Upstream::ok());
    let gate = Gate::start(&format!(
        "[[upstream]]\nname = \"up\"\nservers = [\"http://{}\", \"{}\"]\nretries = 1\n\
         connect_timeout = \"3s\"\n{}",
        hole.address,
        up.url(),
        route("a", "/a/{**}", "access = { api_key = { scopes = [\"read\"] } }"),
    ));
    let made = gate.done(&["key", "create", "--name", "k", "--scope", "read"]);
    let (id, key) = (made["id"].as_str().expect("an id"), made["key"].as_str().expect("a key"));
    // Servers take turns, in each shard: with a few at once, some begin with the one that is silent.
    let mut clients: Vec<RawClient> = (0..6)
        .map(|number| {
            let mut client = RawClient::connect(&gate.address());
            client.send(format!(
                "GET /a/{number} HTTP/1.1\r\nHost: localhost\r\nX-API-Key: {key}\r\n\r\n"
            ));
            client
        })
        .collect();
    wait::pause(Duration::from_millis(300));
    let before = up.count();
    assert!(before < 6, "nobody waits for the silent server");
    gate.done(&["key", "revoke", id]);
    let mut refused = 0;
    for client in &mut clients {
        client.patience(PATIENCE);
        refused += u64::from(client.response().status == 401);
    }
    assert_eq!(up.count(), before, "a revoked key came through");
    assert_eq!(refused, 6 - before);
}

/// An upload that goes on for as long as it likes, before the upstream says a word.
#[test]
fn an_upload_goes_on_under_a_revoked_key() {
    let up = Upstream::ok();
    let gate = Gate::builder()
        .listener("h2c = true")
        .rest(
            &(upstream(&up)
                + &route("a", "/a/{**}", "access = { api_key = { scopes = [\"read\"] } }")),
        )
        .start();
    let made = gate.done(&["key", "create", "--name", "k", "--scope", "read"]);
    let (id, key) = (made["id"].as_str().expect("an id"), made["key"].as_str().expect("a key"));
    let mut client = RawClient::connect(&gate.address());
    client.send(format!(
        "POST /a/x HTTP/1.1\r\nHost: localhost\r\nX-API-Key: {key}\r\n\
         Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"
    ));
    let mut frames = Frames::connect(&gate.address(), &[]);
    let block = request("POST", "/a/x", &[("x-api-key", key)]);
    frames.send(HEADERS, END_HEADERS, 1, &block).expect("a request");
    frames.send(DATA, 0, 1, b"abc").expect("a piece");
    wait::until(PATIENCE, "both uploads", || up.connections() == 2);
    gate.done(&["key", "revoke", id]);
    let mut pieces = 0;
    while client.try_send(b"3\r\nabc\r\n").is_ok() && pieces < 40 {
        wait::pause(Duration::from_millis(50));
        pieces += 1;
        let _ = frames.send(DATA, 0, 1, b"abc");
    }
    let answer = client.response();
    assert_eq!((answer.status, answer.code().as_str()), (401, "key.revoked"));
    assert!(pieces < 40, "the upload went on for two seconds");
    let ended = loop {
        match frames.next() {
            Some(came) if came.stream == 1 && came.kind == RESET => break true,
            Some(came) if came.stream == 1 && came.flags & END_STREAM != 0 => break true,
            Some(_) => {}
            None => break false,
        }
    };
    assert!(ended);
    let seen = up.requests();
    assert!(seen.iter().all(|seen| !seen.body.complete), "an upload was taken for complete");
}

/// On a strict route, and before a WebSocket, the decision is in the ledger before the upstream hears of it.
#[test]
fn an_upstream_is_asked_before_the_record_is_kept() {
    let up = Upstream::start(|_| Answer::Silence);
    let gate = Gate::builder()
        .listener("h2c = true")
        .rest(
            &(upstream(&up)
                + &route("s", "/s/{**}", "access = \"public\"\naudit = \"strict\"")
                + &route("n", "/n/{**}", "access = \"public\"")),
        )
        .start();
    let kept = |path: &str| {
        let sql = format!("SELECT outcome FROM events WHERE path = '{path}'");
        let rows = gate.done(&["audit", "query", &sql]);
        rows.as_array().is_some_and(|rows| rows.iter().any(|row| row["outcome"] == "allow"))
    };
    let mut plain = RawClient::connect(&gate.address());
    plain.send("GET /s/plain HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let mut frames = Frames::connect(&gate.address(), &[]);
    frames.get(1, "/s/h2", &[]);
    let mut socket = RawClient::connect(&gate.address());
    socket.send(
        "GET /n/socket HTTP/1.1\r\nHost: localhost\r\nConnection: upgrade\r\n\
         Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
    );
    up.wait_for(3, PATIENCE);
    for path in ["/s/plain", "/s/h2", "/n/socket"] {
        assert!(kept(path), "{path}");
    }
}
