//! Getting through with a credential that was revoked meanwhile.

use crate::setup::{PATIENCE, route};
use socket2::{Domain, Socket, Type};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;
use testkit::{Gate, RawClient, Upstream};

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
    testkit::wait::pause(Duration::from_millis(300));
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
