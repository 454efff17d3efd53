use super::*;
use proptest::prelude::*;

fn done(bytes: &[u8]) -> (ProxyHeader, usize) {
    match parse(bytes) {
        Ok(Parse::Done { header, consumed }) => (header, consumed),
        other => panic!("{other:?} of {}", String::from_utf8_lossy(bytes)),
    }
}

fn check_v1(line: &str, expect: Result<Option<(&str, &str)>, ProxyError>) {
    let bytes = [line.as_bytes(), b"\r\nGET /"].concat();
    let expect = expect.map(|pair| {
        let header = ProxyHeader {
            source: pair.map(|(source, _)| source.parse().unwrap()),
            destination: pair.map(|(_, destination)| destination.parse().unwrap()),
            local: false,
        };
        Parse::Done { header, consumed: line.len() + 2 }
    });
    assert_eq!(parse(&bytes), expect, "{line}");
}

/// A version 2 header.
fn v2(command: u8, family: u8, body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(body.len()).unwrap().to_be_bytes();
    [V2_SIGNATURE, &[command, family], &length, body].concat()
}

const V4: [u8; 12] = [192, 0, 2, 7, 198, 51, 100, 1, 0x04, 0xd2, 0, 80];

fn v6(source: &str) -> Vec<u8> {
    let source: Ipv6Addr = source.parse().unwrap();
    [&source.octets()[..], &Ipv6Addr::LOCALHOST.octets(), &[0x04, 0xd2, 0x01, 0xbb]].concat()
}

fn tlv(kind: u8, value: &[u8]) -> Vec<u8> {
    [&[kind][..], &u16::try_from(value.len()).unwrap().to_be_bytes(), value].concat()
}

#[test]
fn s2_1_lines_are_read() {
    check_v1(
        "PROXY TCP4 192.0.2.7 198.51.100.1 1234 80",
        Ok(Some(("192.0.2.7:1234", "198.51.100.1:80"))),
    );
    check_v1("PROXY TCP6 2001:db8::7 ::1 65535 0", Ok(Some(("[2001:db8::7]:65535", "[::1]:0"))));
    check_v1("PROXY TCP6 ::ffff:192.0.2.7 ::1 1 2", Ok(Some(("192.0.2.7:1", "[::1]:2"))));
    check_v1("PROXY UNKNOWN", Ok(None));
    check_v1("PROXY UNKNOWN ffff:f...f:ffff whatever stands here", Ok(None));
}

#[test]
fn s2_1_what_is_wrong_is_refused() {
    for line in [
        "PROXY TCP4 192.0.2.7 198.51.100.1 1234",
        "PROXY TCP4 192.0.2.7 198.51.100.1 1234 80 ",
        "PROXY TCP4  192.0.2.7 198.51.100.1 1234 80",
        "PROXY TCP4 192.0.2.7 198.51.100.1 1234 65536",
        "PROXY TCP4 192.0.2.7 198.51.100.1 +1 80",
        "PROXY TCP4 192.0.2.7 198.51.100.1 01 80",
        "PROXY TCP4 192.0.2.7 198.51.100.1  80",
        "PROXY TCP4 2001:db8::7 ::1 1 2",
        "PROXY TCP6 192.0.2.7 ::1 1 2",
        "PROXY TCP4 192.0.2 198.51.100.1 1 2",
        "PROXY TCP4",
        "PROXY ",
        "PROXY TCP4 192.0.2.7 198.51.100.1 1 2\n",
    ] {
        check_v1(line, Err(ProxyError::Malformed));
    }
    check_v1("PROXY UDP4 192.0.2.7 198.51.100.1 1 2", Err(ProxyError::Unsupported));
    check_v1("PROXY tcp4 192.0.2.7 198.51.100.1 1 2", Err(ProxyError::Unsupported));
    let long = format!("PROXY UNKNOWN {}", "x".repeat(V1_BYTES));
    check_v1(&long, Err(ProxyError::TooLong));
    // With its line end, 107 bytes just fit.
    check_v1(&format!("PROXY UNKNOWN {}", "x".repeat(V1_BYTES - 16)), Ok(None));
    check_v1(&format!("PROXY UNKNOWN {}", "x".repeat(V1_BYTES - 15)), Err(ProxyError::TooLong));
}

#[test]
fn what_is_no_header_is_refused_at_once() {
    for bytes in [
        &b"G"[..],
        b"GET / HTTP/1.1\r\n",
        b"PROXI",
        b"\r\n\r\n\0\r\nQUIT\r",
        b"\x16\x03\x01",
        b"\r\nP",
        b"proxy ",
    ] {
        assert_eq!(parse(bytes), Err(ProxyError::NoHeader), "{bytes:?}");
    }
}

#[test]
fn s2_2_addresses_are_read() {
    let (header, consumed) = done(&[&v2(0x21, 0x11, &V4)[..], b"rest"].concat());
    assert_eq!(consumed, 28);
    assert_eq!(header.source, Some("192.0.2.7:1234".parse().unwrap()));
    assert_eq!(header.destination, Some("198.51.100.1:80".parse().unwrap()));
    assert!(!header.local);
    let (header, consumed) = done(&v2(0x21, 0x21, &v6("2001:db8::7")));
    assert_eq!((header.source, consumed), (Some("[2001:db8::7]:1234".parse().unwrap()), 52));
    let (header, _) = done(&v2(0x21, 0x21, &v6("::ffff:192.0.2.7")));
    assert_eq!(header.source, Some("192.0.2.7:1234".parse().unwrap()));
}

#[test]
fn s2_2_without_addresses_the_peer_counts() {
    let local = ProxyHeader { local: true, ..Default::default() };
    for (bytes, expect) in [
        (v2(0x20, 0x00, &[]), local),
        (v2(0x20, 0x11, &V4), local),
        (v2(0x20, 0xff, b"?"), local),
        (v2(0x21, 0x00, b"anything"), ProxyHeader::default()),
        (v2(0x21, 0x31, &[0; 216]), ProxyHeader::default()),
    ] {
        assert_eq!(done(&bytes), (expect, bytes.len()));
    }
}

#[test]
fn s2_2_what_is_wrong_is_refused() {
    for (command, family) in [
        (0x22, 0x11),
        (0x11, 0x11),
        (0x31, 0x11),
        (0x21, 0x12),
        (0x21, 0x22),
        (0x21, 0x41),
        (0x21, 0x10),
    ] {
        assert_eq!(parse(&v2(command, family, &V4)), Err(ProxyError::Unsupported));
    }
    assert_eq!(parse(&v2(0x21, 0x11, &V4[..11])), Err(ProxyError::Malformed));
    assert_eq!(parse(&v2(0x21, 0x21, &V4)), Err(ProxyError::Malformed));
    assert_eq!(parse(&v2(0x21, 0x31, &V4)), Err(ProxyError::Malformed));
    // The length is judged before the bytes are there.
    let long = v2(0x21, 0x11, &[0; V2_BYTES]);
    assert_eq!(parse(&long[..16]), Err(ProxyError::TooLong));
    assert_eq!(
        parse(&v2(0x21, 0x11, &[&V4[..], &tlv(4, &[0; V2_BYTES - 31])].concat())).unwrap(),
        Parse::Done { header: done(&v2(0x21, 0x11, &V4)).0, consumed: V2_BYTES }
    );
}

#[test]
fn s2_2_tlvs_must_fill_the_header() {
    let with = |tail: &[u8]| parse(&v2(0x21, 0x11, &[&V4[..], tail].concat()));
    assert!(with(&[tlv(1, b"h2"), tlv(2, b"host"), tlv(4, b"")].concat()).is_ok());
    for tail in [&[1u8][..], &[1, 0], &[1, 0, 1], &[1, 0xff, 0xff, 0]] {
        assert_eq!(with(tail), Err(ProxyError::Malformed));
    }
    assert_eq!(with(&tlv(3, &[0; 3])), Err(ProxyError::Malformed));
}

#[test]
fn s2_2_3_the_checksum_must_be_right() {
    // RFC 3720 B.4: 32 bytes of zeros, and the usual check value.
    assert_eq!(crc32c::checksum([0; 32].into_iter()), 0x8a91_36aa);
    assert_eq!(crc32c::checksum(b"123456789".iter().copied()), 0xe306_9283);
    let mut bytes = v2(0x21, 0x11, &[&V4[..], &tlv(2, b"host"), &tlv(3, &[0; 4])].concat());
    let at = bytes.len() - 4;
    let sum = crc32c::checksum(bytes.iter().copied());
    bytes[at..].copy_from_slice(&sum.to_be_bytes());
    assert!(parse(&bytes).is_ok());
    for i in [13, 16, 20, 33, at] {
        let mut wrong = bytes.clone();
        wrong[i] ^= 1;
        assert!(parse(&wrong).is_err(), "{i}");
    }
    bytes[17] ^= 1;
    assert_eq!(parse(&bytes), Err(ProxyError::Checksum));
}

/// Every beginning of a header is incomplete, and what follows it changes nothing.
fn each_prefix(bytes: &[u8]) {
    let (header, consumed) = done(bytes);
    for end in 0..consumed {
        assert_eq!(parse(&bytes[..end]), Ok(Parse::Incomplete), "{end}");
    }
    assert_eq!(done(&[bytes, b"PROXY \r\n"].concat()), (header, consumed));
}

#[test]
fn a_header_may_come_byte_by_byte() {
    each_prefix(b"PROXY TCP4 192.0.2.7 198.51.100.1 1234 80\r\n");
    each_prefix(b"PROXY UNKNOWN\r\n");
    each_prefix(&v2(0x21, 0x11, &[&V4[..], &tlv(2, b"host")].concat()));
    each_prefix(&v2(0x21, 0x21, &v6("2001:db8::7")));
    each_prefix(&v2(0x20, 0x00, &[]));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn parsing_never_panics_nor_takes_more_than_there_is(
        start in prop::sample::select(vec![&b""[..], b"PROXY TCP4 ", b"\r\n\r\n\0\r\nQUIT\n\x21", b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x20"]),
        tail in prop::collection::vec(any::<u8>(), 0..80),
    ) {
        let bytes = [start, &tail[..]].concat();
        if let Ok(Parse::Done { consumed, .. }) = parse(&bytes) {
            prop_assert!(consumed <= bytes.len());
        }
    }

    #[test]
    fn both_versions_say_what_was_written(source in any::<[u8; 4]>(), destination in any::<[u8; 4]>(), from in any::<u16>(), to in any::<u16>()) {
        let ip = |octets: [u8; 4]| Ipv4Addr::from(octets);
        let text = format!("PROXY TCP4 {} {} {from} {to}\r\n", ip(source), ip(destination));
        let body = [&source[..], &destination, &from.to_be_bytes(), &to.to_be_bytes()].concat();
        prop_assert_eq!(done(text.as_bytes()).0, done(&v2(0x21, 0x11, &body)).0);
        prop_assert_eq!(done(text.as_bytes()).0.source, Some(SocketAddr::new(ip(source).into(), from)));
    }
}
