//! Properties: no input makes the codec panic, and what it writes it reads back.

use bytes::BytesMut;
use http::Method;
use proptest::collection::vec;
use proptest::prelude::*;

use crate::h1::{BodyDecoder, Decoded, Stop, Wire, encode, parse_request, parse_response};
use crate::head::{Framing, HeadLimits, Headers, RequestHead};

/// Bytes that are likely to come near the grammar.
fn near() -> impl Strategy<Value = Vec<u8>> {
    let pieces = prop::sample::select(vec![
        "GET ",
        "POST ",
        "/",
        "/a?b",
        " HTTP/1.1",
        " HTTP/1.0",
        "HTTP/1.1 200 OK",
        "HTTP/1.1 204 X",
        "\r\n",
        "\r\n",
        "\r\n",
        "\n",
        "\r",
        "\r\n\r\n",
        "Host: a",
        "Host:",
        "Content-Length: 5",
        "Content-Length: 05",
        "Transfer-Encoding: chunked",
        "Connection: close",
        "Connection: x-a",
        "X-A: b",
        ": ",
        " ",
        "\t",
        "\0",
        "a",
        "5",
        "0",
        ";e=f",
        "hello",
        "Expect: 100-continue",
        "Upgrade: websocket",
        "Connection: upgrade",
        "http://a/",
        "\u{e9}",
    ]);
    let piece = prop_oneof![
        9 => pieces.prop_map(|piece| piece.as_bytes().to_vec()),
        1 => vec(any::<u8>(), 0..4),
    ];
    vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

fn token() -> impl Strategy<Value = String> {
    "[a-z0-9!#$%&'*+.^_`|~-]{1,20}"
}

/// A list that a proxy may pass on: no name with a meaning to the codec.
fn fields() -> impl Strategy<Value = Vec<(String, String)>> {
    vec(
        (token().prop_map(|name| format!("x-{name}")), "[!-~]([ -~\u{80}-\u{ff}]{0,40}[!-~])?"),
        0..20,
    )
}

fn read(input: &[u8]) -> Option<RequestHead> {
    parse_request(&mut BytesMut::from(input), &HeadLimits::REQUEST).ok().flatten()
}

/// All of a body that arrives in pieces of `step` bytes.
fn relay(mut decoder: BodyDecoder, input: &[u8], step: usize, wire: Wire) -> Option<BytesMut> {
    let (mut from, mut to) = (BytesMut::new(), BytesMut::new());
    for piece in input.chunks(step.max(1)) {
        from.extend_from_slice(piece);
        match decoder.relay(&mut from, &mut to, wire, usize::MAX).ok()?.1 {
            Stop::End => return Some(to),
            Stop::More | Stop::Full => {}
        }
    }
    None
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(input in prop_oneof![vec(any::<u8>(), 0..600), near()]) {
        let mut buf = BytesMut::from(&input[..]);
        if let Ok(Some(head)) = parse_request(&mut buf, &HeadLimits::REQUEST) {
            prop_assert!(head.path().starts_with(b"/"));
            prop_assert!(!head.authority().is_empty());
            prop_assert_eq!(head.headers.count("host"), 1);
            let both = head.headers.count("content-length") + head.headers.count("transfer-encoding");
            prop_assert!(both <= 1);
            prop_assert_eq!(both == 0, head.framing == Framing::None);
        }
        for method in [Method::GET, Method::HEAD] {
            let mut buf = BytesMut::from(&input[..]);
            let _ = parse_response(&mut buf, &method, &HeadLimits::RESPONSE);
        }
        for framing in [Framing::Chunked, Framing::Length(7), Framing::UntilClose, Framing::None] {
            let (mut decoder, mut buf) = (BodyDecoder::new(framing), BytesMut::from(&input[..]));
            // Each turn takes at least a byte or stops.
            for _ in 0..=input.len() {
                match decoder.decode(&mut buf) {
                    Ok(Decoded::Data(count)) => decoder.consume(&mut buf, count),
                    _ => break,
                }
            }
        }
    }

    #[test]
    fn the_first_verdict_is_the_last(input in near(), cut in any::<prop::sample::Index>()) {
        // What is refused early is refused when it is whole, and what passes passes however it is cut.
        let cut = cut.index(input.len() + 1);
        let whole = parse_request(&mut BytesMut::from(&input[..]), &HeadLimits::REQUEST);
        let mut buf = BytesMut::from(&input[..cut]);
        match parse_request(&mut buf, &HeadLimits::REQUEST) {
            Err(_) => prop_assert!(whole.is_err()),
            Ok(Some(head)) => {
                let whole = whole.unwrap().unwrap();
                prop_assert_eq!(whole.path(), head.path());
            }
            Ok(None) => {
                prop_assert_eq!(&buf[..], &input[..cut]);
                buf.extend_from_slice(&input[cut..]);
                let rest = parse_request(&mut buf, &HeadLimits::REQUEST);
                prop_assert_eq!(rest.is_err(), whole.is_err());
            }
        }
    }

    #[test]
    fn what_is_written_is_read_back(
        path in "/[!\"$-~]{0,60}",
        query in proptest::option::of("[!\"$-~]{0,60}"),
        fields in fields(),
    ) {
        let path = path.replace('?', "_");
        let mut out = BytesMut::new();
        let query = query.as_deref().map(str::as_bytes);
        encode::write_request_line(&mut out, &Method::PATCH, path.as_bytes(), query).unwrap();
        encode::write_header(&mut out, b"host", b"a.example").unwrap();
        for (name, value) in &fields {
            encode::write_header(&mut out, name.as_bytes(), value.as_bytes()).unwrap();
        }
        encode::end_head(&mut out);
        let head = read(&out).unwrap();
        prop_assert_eq!(head.path(), path.as_bytes());
        prop_assert_eq!(head.query(), query);
        let got: Vec<_> = head.headers.iter().skip(1).collect();
        let sent: Vec<_> =
            fields.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())).collect();
        prop_assert_eq!(got, sent);
    }

    #[test]
    fn chunks_come_back_whole(
        pieces in vec(vec(any::<u8>(), 0..300), 0..12),
        step in 1_usize..400,
    ) {
        let mut out = BytesMut::new();
        for piece in &pieces {
            encode::write_chunk(&mut out, piece);
        }
        let mut trailers = Headers::new();
        trailers.push(b"grpc-status", b"0").unwrap();
        encode::write_last_chunk(&mut out, Some(&trailers));
        let body = relay(BodyDecoder::new(Framing::Chunked), &out, step, Wire::Plain).unwrap();
        prop_assert_eq!(&body[..], pieces.concat());

        // And once more through a relay that cuts the chunks elsewhere.
        let mut again = relay(BodyDecoder::new(Framing::Chunked), &out, step, Wire::Chunked).unwrap();
        encode::write_last_chunk(&mut again, None);
        let body = relay(BodyDecoder::new(Framing::Chunked), &again, 7, Wire::Plain).unwrap();
        prop_assert_eq!(&body[..], pieces.concat());
    }
}
