//! What upstreams answer.

use bytes::BytesMut;
use http::Method;

use crate::h1::parse_response;
use crate::head::{Framing, HeadError, HeadLimits, ResponseHead, Version};

fn parse(input: &[u8], method: &Method) -> Result<Option<ResponseHead>, HeadError> {
    parse_response(&mut BytesMut::from(input), method, &HeadLimits::RESPONSE)
}

#[test]
fn rfc9112_s6_3_the_length_of_a_response() {
    for (method, input, framing, keep) in [
        (Method::GET, "HTTP/1.1 200 OK\r\nContent-Length: 5", Framing::Length(5), true),
        (Method::GET, "HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked", Framing::Chunked, true),
        (Method::GET, "HTTP/1.1 200 OK\r\nX: y", Framing::UntilClose, false),
        (Method::GET, "HTTP/1.1 200\r\nX: y", Framing::UntilClose, false),
        (Method::GET, "HTTP/1.0 200 OK\r\nX: y", Framing::UntilClose, false),
        (Method::GET, "HTTP/1.0 200 OK\r\nContent-Length: 5", Framing::Length(5), false),
        (
            Method::GET,
            "HTTP/1.0 200 OK\r\nContent-Length: 5\r\nConnection: keep-alive",
            Framing::Length(5),
            true,
        ),
        (
            Method::GET,
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close",
            Framing::Length(5),
            false,
        ),
        (Method::HEAD, "HTTP/1.1 200 OK\r\nContent-Length: 5", Framing::None, true),
        (Method::HEAD, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked", Framing::None, true),
        (Method::HEAD, "HTTP/1.1 200 OK\r\nX: y", Framing::None, true),
        (Method::GET, "HTTP/1.1 304 Not Modified\r\nContent-Length: 5", Framing::None, true),
        (Method::GET, "HTTP/1.1 204 No Content\r\nX: y", Framing::None, true),
        (Method::GET, "HTTP/1.1 204 No Content\r\nContent-Length: 0", Framing::None, true),
        (Method::GET, "HTTP/1.1 100 Continue\r\nX: y", Framing::None, true),
        (Method::GET, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x", Framing::None, true),
        (Method::GET, "HTTP/1.1 599 \u{e9}\r\nContent-Length: 0", Framing::Length(0), true),
    ] {
        let head =
            parse(format!("{input}\r\n\r\n").as_bytes(), &method).expect(input).expect(input);
        assert_eq!((head.framing, head.keep_alive), (framing, keep), "{input}");
    }
}

#[test]
fn rfc9112_s11_1_a_response_that_could_be_two_is_broken() {
    for input in [
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 5",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5",
        "HTTP/1.1 200 OK\r\nContent-Length: 5, 5",
        "HTTP/1.1 200 OK\r\nContent-Length: +5",
        "HTTP/1.1 200 OK\r\nContent-Length: 05",
        "HTTP/1.1 200 OK\r\nContent-Length: 0x5",
        "HTTP/1.1 200 OK\r\nContent-Length:",
        "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: xchunked",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding:",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
        "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked",
        "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\nContent-Length: 6",
        "HTTP/1.1 204 No Content\r\nContent-Length: 5",
        "HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked",
        "HTTP/1.1 100 Continue\r\nContent-Length: 5",
        "HTTP/1.1 101 Switching Protocols\r\nTransfer-Encoding: chunked",
        "HTTP/1.1 200 OK\r\nX : y",
        "HTTP/1.1 200 OK\r\nX: y\r\n z",
        "HTTP/1.1 200 OK\r\nX: y\nZ: a",
        "HTTP/1.1 200 OK\r\nX: y\rZ: a",
        "HTTP/1.1 200 OK\nX: y",
        "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\nHTTP/1.1 200 OK",
        "HTTP/1.1 200 OK\r\nX: y\n\nHTTP/1.1 200 OK",
        "HTTP/1.1 200 OK\r\nX: \0",
        "HTTP/1.1 200 OK\r\nConnection: content-length\r\nContent-Length: 5",
        "HTTP/1.1 200 OK\r\nConnection: a b",
        "HTTP/1.1 099 X\r\nX: y",
        "HTTP/1.1 600 X\r\nX: y",
        "HTTP/1.1 20 X\r\nX: y",
        "HTTP/1.1 2000 X\r\nX: y",
        "HTTP/1.1 -20 X\r\nX: y",
        "HTTP/1.1  200 X\r\nX: y",
        "HTTP/1.2 200 OK\r\nX: y",
        "HTTP/2 200 OK\r\nX: y",
        "http/1.1 200 OK\r\nX: y",
        "\r\nHTTP/1.1 200 OK\r\nX: y",
        "<html>",
        "ICY 200 OK\r\nX: y",
    ] {
        let input = format!("{input}\r\n\r\n");
        let at_once = parse(input.as_bytes(), &Method::GET);
        assert!(matches!(at_once, Err(HeadError::Broken(_))), "{input}: {at_once:?}");
        let mut buf = BytesMut::new();
        let by_bytes = input.bytes().find_map(|byte| {
            buf.extend_from_slice(&[byte]);
            parse_response(&mut buf, &Method::GET, &HeadLimits::RESPONSE).transpose()
        });
        assert!(matches!(by_bytes, Some(Err(HeadError::Broken(_)))), "{input}: {by_bytes:?}");
    }
}

#[test]
fn rfc9110_s15_2_interim_responses_are_followed_by_another() {
    let mut buf = BytesMut::from(
        &b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"[..],
    );
    let first = parse_response(&mut buf, &Method::GET, &HeadLimits::RESPONSE).unwrap().unwrap();
    assert!(first.is_interim() && first.status == 103);
    let second = parse_response(&mut buf, &Method::GET, &HeadLimits::RESPONSE).unwrap().unwrap();
    assert!(!second.is_interim() && second.status == 200 && second.version == Version::Http11);
    assert_eq!(&buf[..], b"hi");
    let switch = parse(b"HTTP/1.1 101 Go\r\n\r\n", &Method::GET).unwrap().unwrap();
    assert!(!switch.is_interim());
}

#[test]
fn a_response_is_the_same_however_it_is_cut() {
    let input = b"HTTP/1.1 200 All well\r\nServer: x\r\nSet-Cookie: a\r\nSet-Cookie: b\r\nContent-Length: 2\r\n\r\nhi";
    for cut in 0..input.len() {
        let mut buf = BytesMut::from(&input[..cut]);
        let first = parse_response(&mut buf, &Method::GET, &HeadLimits::RESPONSE).unwrap();
        let head = first.unwrap_or_else(|| {
            buf.extend_from_slice(&input[cut..]);
            parse_response(&mut buf, &Method::GET, &HeadLimits::RESPONSE).unwrap().unwrap()
        });
        assert_eq!((head.status, head.framing), (200, Framing::Length(2)));
        assert_eq!(head.headers.all("set-cookie").collect::<Vec<_>>(), [b"a", b"b"]);
    }
}

#[test]
fn sizes_are_bounded() {
    let many: String = (0..201).map(|at| format!("x-{at}: y\r\n")).collect();
    let result = parse(format!("HTTP/1.1 200 OK\r\n{many}\r\n").as_bytes(), &Method::GET);
    assert!(matches!(result, Err(HeadError::Broken(_))));
    let endless = format!("HTTP/1.1 200 {}", "x".repeat(32 * 1024));
    let result = parse(endless.as_bytes(), &Method::GET);
    assert!(matches!(result, Err(HeadError::Broken(_))));
}
