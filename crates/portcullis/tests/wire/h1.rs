//! HTTP/1.1 as no polite client speaks it: pipelined, in single bytes, half closed.

use crate::stage::{SOON, open, upstream};
use std::time::Duration;
use testkit::{Answer, Gate, RawClient, Upstream, wait};

fn echoing() -> (Gate, Upstream) {
    let server =
        Upstream::start(|seen| Answer::ok(&format!("{} {}", seen.target(), seen.body.length)));
    let gate = Gate::start(&(upstream("api", &[server.url()], "") + &open("api", "")));
    (gate, server)
}

/// RFC 9112 §9.3.2: answers come in the order of the requests.
#[test]
fn rfc9112_s9_3_2_pipelined_requests_are_answered_in_order() {
    let (gate, _server) = echoing();
    let mut client = RawClient::connect(&gate.address());
    let mut bytes = Vec::new();
    for number in 0..50 {
        let body = "x".repeat(number);
        bytes.extend(
            format!(
                "POST /api/{number} HTTP/1.1\r\nhost: a\r\ncontent-length: {number}\r\n\r\n{body}"
            )
            .bytes(),
        );
    }
    client.send(bytes);
    for number in 0..50 {
        let answer = client.response();
        assert_eq!((answer.status, answer.text()), (200, format!("/api/{number} {number}")));
    }
    // A pipelined request that is refused does not take the next with it.
    let answer = client
        .exchange("GET /none HTTP/1.1\r\nhost: a\r\n\r\nGET /api/z HTTP/1.1\r\nhost: a\r\n\r\n");
    assert_eq!(answer.status, 404);
    assert_eq!(client.response().text(), "/api/z 0");
}

#[test]
fn a_request_in_single_bytes_is_a_request() {
    let (gate, _server) = echoing();
    let mut client = RawClient::connect(&gate.address());
    let request = b"POST /api/slow HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\nx-t: 1\r\n\r\n";
    for byte in request {
        client.send([*byte]);
        wait::pause(Duration::from_millis(1));
    }
    assert_eq!(client.response().text(), "/api/slow 5");
}

/// Trailers that a caller sends reach the upstream, but none that would change the head (RFC 9110 §6.5.1).
#[test]
fn rfc9110_s6_5_1_trailers_go_up_without_what_belongs_in_a_head() {
    let (gate, server) = echoing();
    let mut client = RawClient::connect(&gate.address());
    let head =
        "POST /api/a HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n0\r\n";
    let trailers = "x-sum: 1\r\nauthorization: Bearer x\r\nportcullis-subject: root\r\nportcullis_scopes: all\r\ncookie: a=b\r\n\r\n";
    assert_eq!(client.exchange(format!("{head}{trailers}")).status, 200);
    let seen = server.last();
    assert_eq!(
        seen.body.trailers,
        [("x-sum".to_owned(), "1".to_owned())],
        "{:?}",
        seen.body.trailers
    );
}

#[test]
fn a_body_that_nobody_reads_ends_the_connection() {
    let (gate, server) = echoing();
    let mut client = RawClient::connect(&gate.address());
    client.send("POST /none HTTP/1.1\r\nhost: a\r\ncontent-length: 100\r\n\r\nGET /api/hidden HTTP/1.1\r\nhost: a\r\n\r\n");
    let answer = client.response();
    assert_eq!((answer.status, answer.header("connection")), (404, Some("close")));
    assert!(client.is_closed(SOON), "bytes of a body would be read as a request");
    assert_eq!(server.count(), 0);
}
