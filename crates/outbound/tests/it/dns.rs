//! The resolver against a name server of one packet's size.

use base::{Resolve, ResolveError};
use outbound::DnsResolve;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;
use tokio::net::UdpSocket;

const A: u16 = 1;
const AAAA: u16 = 28;

/// Answers questions for `two.test.` (addresses of both kinds), `four.test.` (IPv4 only) and `broken.test.`
/// (SERVFAIL); everything else does not exist.
async fn name_server() -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    tokio::spawn(async move {
        let mut packet = [0u8; 1500];
        while let Ok((len, peer)) = socket.recv_from(&mut packet).await {
            if let Some(reply) = packet.get(..len).and_then(reply) {
                let _ = socket.send_to(&reply, peer).await;
            }
        }
    });
    address
}

/// RFC 1035 §4.1: header, question, answers.
fn reply(question: &[u8]) -> Option<Vec<u8>> {
    let end = question.get(12..)?.iter().position(|byte| *byte == 0)? + 13;
    let name = question.get(12..end)?.to_ascii_lowercase();
    let kind = u16::from_be_bytes([*question.get(end)?, *question.get(end + 1)?]);
    let (code, records): (u8, Vec<(u32, Vec<u8>)>) = match (name.as_slice(), kind) {
        (b"\x03two\x04test\0", A) => (
            0,
            vec![(300, vec![192, 0, 2, 2]), (300, vec![192, 0, 2, 1]), (300, vec![192, 0, 2, 1])],
        ),
        (b"\x03two\x04test\0", AAAA) => {
            let mut address = vec![0x20, 0x01, 0x0d, 0xb8];
            address.extend([0u8; 11]);
            address.push(1);
            (0, vec![(42, address)])
        }
        (b"\x04four\x04test\0", A) => (0, vec![(7, vec![192, 0, 2, 9])]),
        (b"\x04four\x04test\0", _) => (0, Vec::new()),
        (b"\x06broken\x04test\0", _) => (2, Vec::new()),
        _ => (3, Vec::new()),
    };
    if name == b"\x05alias\x04test\0" && kind == A {
        return Some(alias(question, end));
    }
    let mut out = question.get(..2)?.to_vec();
    out.extend([0x81, 0x80 | code, 0, 1, 0, u8::try_from(records.len()).ok()?, 0, 0, 0, 0]);
    out.extend(question.get(12..end + 4)?);
    for (ttl, data) in records {
        out.extend([0xc0, 12]);
        out.extend(kind.to_be_bytes());
        out.extend([0, 1]);
        out.extend(ttl.to_be_bytes());
        out.extend(u16::try_from(data.len()).ok()?.to_be_bytes());
        out.extend(data);
    }
    Some(out)
}

/// `alias.test.` is `four.test.` for 5 s, and that has an address for 900 s.
fn alias(question: &[u8], end: usize) -> Vec<u8> {
    let target = b"\x04four\x04test\0";
    let mut out = question.get(..2).unwrap().to_vec();
    out.extend([0x81, 0x80, 0, 1, 0, 2, 0, 0, 0, 0]);
    out.extend(question.get(12..end + 4).unwrap());
    out.extend([0xc0, 12, 0, 5, 0, 1, 0, 0, 0, 5, 0, u8::try_from(target.len()).unwrap()]);
    out.extend(target);
    out.extend(target);
    out.extend([0, 1, 0, 1, 0, 0, 3, 132, 0, 4, 192, 0, 2, 9]);
    out
}

fn addresses(texts: &[&str]) -> Vec<IpAddr> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

#[tokio::test]
async fn both_kinds_of_address_come_with_the_smallest_ttl() {
    let resolver = DnsResolve::with_server(name_server().await).unwrap();
    let found = resolver.resolve("two.test").await.unwrap();
    assert_eq!(found.addresses, addresses(&["192.0.2.1", "192.0.2.2", "2001:db8::1"]));
    assert_eq!(found.ttl, Duration::from_secs(42));
}

#[tokio::test]
async fn one_kind_of_address_suffices() {
    let resolver = DnsResolve::with_server(name_server().await).unwrap();
    let found = resolver.resolve("four.test.").await.unwrap();
    assert_eq!(found.addresses, addresses(&["192.0.2.9"]));
    assert_eq!(found.ttl, Duration::from_secs(7));
}

#[tokio::test]
async fn an_alias_bounds_the_ttl_too() {
    let resolver = DnsResolve::with_server(name_server().await).unwrap();
    let found = resolver.resolve("alias.test").await.unwrap();
    assert_eq!(found.addresses, addresses(&["192.0.2.9"]));
    assert_eq!(found.ttl, Duration::from_secs(5));
}

#[tokio::test]
async fn a_name_that_does_not_exist_has_no_address() {
    let resolver = DnsResolve::with_server(name_server().await).unwrap();
    assert_eq!(resolver.resolve("missing.test").await, Err(ResolveError::NoAddress));
}

#[tokio::test]
async fn a_server_that_fails_is_not_a_name_without_address() {
    let resolver = DnsResolve::with_server(name_server().await).unwrap();
    let outcome = resolver.resolve("broken.test").await;
    assert!(matches!(outcome, Err(ResolveError::Unreachable(_))), "{outcome:?}");
}

#[tokio::test]
async fn a_silent_server_is_given_up() {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let resolver = DnsResolve::with_server(socket.local_addr().unwrap()).unwrap();
    tokio::time::pause();
    let outcome = resolver.resolve("two.test").await;
    assert!(matches!(outcome, Err(ResolveError::Unreachable(_))), "{outcome:?}");
}

#[tokio::test]
async fn nonsense_is_no_name() {
    let resolver = DnsResolve::with_server(name_server().await).unwrap();
    for name in ["", "a..b", &"x".repeat(300), "sp ace", "\0"] {
        assert!(resolver.resolve(name).await.is_err(), "{name:?}");
    }
}

#[tokio::test]
async fn the_local_host_needs_no_server() {
    let resolver = DnsResolve::system().unwrap();
    let found = resolver.resolve("localhost").await.unwrap();
    assert!(found.addresses.iter().all(IpAddr::is_loopback));
}
