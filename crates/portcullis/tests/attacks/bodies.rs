//! Bodies that are larger, or other, than the route allows.

use crate::setup::{PATIENCE, hasty_server, open, service};
use testkit::{Gate, RawClient};

/// The route's limit.
const LIMIT: u64 = 64 * 1024;
/// What buffers on the way may hold beyond it: two windows of 64 KiB, and chunk lines.
const SLACK: u64 = 192 * 1024;
/// An answer that has begun and does not end.
const BEGUN: &[u8] = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n";

fn gate(to: std::net::SocketAddr) -> Gate {
    Gate::start(
        &(service(&format!("http://{to}"), "") + &open("up", "/{**}", "max_body = \"64KiB\"")),
    )
}

/// The limit of a body that announces no length is counted while it streams: also when the upstream has begun to
/// answer already.
#[test]
fn a_body_outgrows_its_limit_once_the_answer_has_begun() {
    let (address, sent) = hasty_server(BEGUN);
    let gate = gate(address);
    let mut client = RawClient::connect(&gate.address());
    client.send("POST /a HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n");
    assert_eq!(client.response_head().status, 200);
    let chunk = [&b"4000\r\n"[..], &[b'x'; 0x4000], b"\r\n"].concat();
    for _ in 0..512 {
        if client.try_send(&chunk).is_err() {
            break;
        }
    }
    drop(client);
    let sent = sent.recv_timeout(PATIENCE).expect("the end of the upstream's connection");
    assert!(sent <= LIMIT + SLACK, "{sent} bytes of a body of at most {LIMIT} came through");
}

/// What stands behind a broken chunk is no body, whether the answer has begun or not.
#[test]
fn bytes_behind_a_broken_chunk_come_through() {
    let (address, sent) = hasty_server(BEGUN);
    let gate = gate(address);
    let mut client = RawClient::connect(&gate.address());
    client.send("POST /a HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n");
    assert_eq!(client.response_head().status, 200);
    client.send("3\r\nabc\r\n");
    // "xyz" is not as long as it says; the gate may hang up before the rest.
    let _ = client.try_send(format!("2\r\nxyz\r\n{}", "5\r\nsmugg\r\n".repeat(100)).as_bytes());
    drop(client);
    let sent = sent.recv_timeout(PATIENCE).expect("the end of the upstream's connection");
    assert!(sent < 64, "{sent} bytes came through");
}
