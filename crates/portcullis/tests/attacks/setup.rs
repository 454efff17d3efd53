//! What the attacks share.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;
use testkit::{Gate, Upstream};

/// How long something may take that has no promise of its own; busy machines are slow.
pub(crate) const PATIENCE: Duration = Duration::from_secs(15);
/// The audience that the tests' issuers name.
pub(crate) const AUDIENCE: &str = "orders-api";

/// An `[[upstream]]` called `up`, with further lines.
pub(crate) fn service(url: &str, lines: &str) -> String {
    format!("[[upstream]]\nname = \"up\"\nservers = [\"{url}\"]\n{lines}\n")
}

/// The same over a scripted server.
pub(crate) fn upstream(to: &Upstream) -> String {
    service(&to.url(), "")
}

/// A `[[route]]` to `up`, with further lines.
pub(crate) fn route(name: &str, path: &str, lines: &str) -> String {
    format!("[[route]]\nname = \"{name}\"\npath = \"{path}\"\nupstream = \"up\"\n{lines}\n")
}

/// A route for everybody, with further lines.
pub(crate) fn open(name: &str, path: &str, lines: &str) -> String {
    route(name, path, &format!("access = \"public\"\n{lines}"))
}

/// A rule that takes tokens of one issuer.
pub(crate) fn jwt(issuer: &str, scope: &str) -> String {
    format!("{{ jwt = {{ issuer = \"{issuer}\", scopes = [\"{scope}\"] }} }}")
}

/// Waits until the gate has fetched the keys of so many issuers.
pub(crate) fn keys_known(gate: &Gate, issuers: i64) {
    let sql = "SELECT count(*) FROM events WHERE code = 'issuer.keys_changed'";
    testkit::wait::until(PATIENCE, "the issuers' keys", || {
        gate.done(&["audit", "query", sql])[0]["count(*)"].as_i64() >= Some(issuers)
    });
}

/// A server of which a test writes every byte: each connection goes to `serve`.
pub(crate) fn raw_server(serve: impl Fn(TcpStream) + Send + Sync + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("an address");
    let serve = std::sync::Arc::new(serve);
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let serve = std::sync::Arc::clone(&serve);
            std::thread::spawn(move || serve(stream));
        }
    });
    address
}

/// A server that answers each head at once with `answer`, whatever body is still to come, and hands over how many
/// bytes came after the head once the connection has ended.
pub(crate) fn hasty_server(answer: &'static [u8]) -> (SocketAddr, Receiver<u64>) {
    let (sender, bytes) = channel();
    let address = raw_server(move |mut stream| {
        let mut head = Vec::new();
        let mut byte = [0];
        while !head.ends_with(b"\r\n\r\n") {
            match stream.read(&mut byte) {
                Ok(1..) => head.push(byte[0]),
                _ => return,
            }
        }
        let _ = stream.write_all(answer);
        let (mut sum, mut rest) = (0, vec![0; 64 * 1024]);
        while let Ok(read @ 1..) = stream.read(&mut rest) {
            sum += read as u64;
        }
        let _ = sender.send(sum);
    });
    (address, bytes)
}
