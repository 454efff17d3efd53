//! Bodies, in all their framings.

use bytes::BytesMut;

use crate::h1::{BodyDecoder, BodyError, Decoded, Stop, Wire, encode, trailer_allowed};
use crate::head::{Framing, HeadError};

/// All of the body in `input`, what is left behind it, and the trailers.
fn decode(input: &[u8]) -> Result<(String, String, Vec<String>), BodyError> {
    let mut decoder = BodyDecoder::new(Framing::Chunked);
    let (mut buf, mut body) = (BytesMut::from(input), Vec::new());
    loop {
        match decoder.decode(&mut buf)? {
            Decoded::Data(count) => body.extend_from_slice(&decoder.take(&mut buf, count)),
            Decoded::More => {
                return decoder.eof().map(|()| unreachable!("chunked does not end so"));
            }
            Decoded::End => break,
        }
    }
    let names = decoder.trailers().into_iter().flat_map(|trailers| trailers.iter());
    let names = names.map(|(name, _)| String::from_utf8_lossy(name).into_owned()).collect();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ok((text(&body), text(&buf), names))
}

/// The same, byte by byte; `None` when it never ends.
fn decode_by_bytes(input: &[u8]) -> Option<Result<String, BodyError>> {
    let mut decoder = BodyDecoder::new(Framing::Chunked);
    let (mut buf, mut body) = (BytesMut::new(), Vec::new());
    for byte in input {
        buf.extend_from_slice(&[*byte]);
        loop {
            match decoder.decode(&mut buf) {
                Err(error) => return Some(Err(error)),
                Ok(Decoded::Data(count)) => {
                    body.extend_from_slice(&buf[..count]);
                    decoder.consume(&mut buf, count);
                }
                Ok(Decoded::More) => break,
                Ok(Decoded::End) => return Some(Ok(String::from_utf8(body).unwrap())),
            }
        }
    }
    None
}

#[test]
fn rfc9112_s7_1_chunks_are_joined() {
    for (input, body, rest) in [
        ("0\r\n\r\n", "", ""),
        ("5\r\nhello\r\n0\r\n\r\n", "hello", ""),
        ("5\r\nhello\r\n6\r\n world\r\n0\r\n\r\nGET /", "hello world", "GET /"),
        ("A\r\n0123456789\r\n0\r\n\r\n", "0123456789", ""),
        ("a\r\n0123456789\r\n00\r\n\r\n", "0123456789", ""),
        ("0000000000000005\r\nhello\r\n0\r\n\r\n", "hello", ""),
        ("5;a=b\r\nhello\r\n0;c\r\n\r\n", "hello", ""),
        ("5;a=\"b c\";d\r\nhello\r\n0\r\n\r\n", "hello", ""),
        ("2\r\n\r\n\r\n0\r\n\r\n", "\r\n", ""),
    ] {
        let got = decode(input.as_bytes()).expect(input);
        assert_eq!((got.0.as_str(), got.1.as_str()), (body, rest), "{input:?}");
        let end = input.len() - rest.len();
        assert_eq!(decode_by_bytes(&input.as_bytes()[..end]).unwrap().unwrap(), body, "{input:?}");
        assert!(decode_by_bytes(&input.as_bytes()[..end - 1]).is_none(), "{input:?} ends early");
    }
}

#[test]
fn rfc9112_s7_1_chunks_that_can_be_read_in_two_ways_are_refused() {
    for input in [
        "\r\nhello",
        "x\r\n",
        "-5\r\nhello\r\n",
        "+5\r\nhello\r\n",
        "0x5\r\nhello\r\n",
        " 5\r\nhello\r\n",
        "5 \r\nhello\r\n",
        "5\t\r\nhello\r\n",
        "5 ;a\r\nhello\r\n",
        "5\nhello\r\n",
        "5\rhello\r\n",
        "5\r\rhello\r\n",
        "5\r\nhelloX\r\n",
        "5\r\nhello\n0\r\n\r\n",
        "5\r\nhello\r0\r\n\r\n",
        "5\r\nhello0\r\n\r\n",
        "5\r\nhell\r\n0\r\n\r\n",
        "5;\nhello\r\n",
        "5;a\nb\r\nhello\r\n",
        "5;a\rb\r\nhello\r\n",
        "5;a\r\r\nhello\r\n",
        "5;a\0\r\nhello\r\n",
        "5;a=\u{e9}\r\nhello\r\n",
        "5,a\r\nhello\r\n",
        "5=a\r\nhello\r\n",
        "00000000000000005\r\nhello\r\n",
        "10000000000000000\r\n",
        "8000000000000000\r\n",
        "ffffffffffffffff\r\n",
        "fffffffffffffffff\r\n",
        "5g\r\nhello\r\n",
        "0\r\nX : y\r\n\r\n",
        "0\r\n X: y\r\n\r\n",
        "0\r\nX: y\n\r\n",
        "0\r\nX: y\n\n",
        "0\r\n\n",
        "0\n\r\n",
        "0\r\n\rX",
        "0\r\nX: y\r\n z\r\n\r\n",
        "0\r\nX: \0\r\n\r\n",
        "0\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "0\r\nTransfer-Encoding: chunked\r\n\r\n",
        "0\r\nContent-Length: 5\r\n\r\n",
        "0\r\nHost: b\r\n\r\n",
    ] {
        let result = decode(input.as_bytes());
        let refused = |error: &BodyError| !matches!(error, BodyError::Truncated);
        assert!(result.as_ref().is_err_and(refused), "{input:?}: {result:?}");
        let result = decode_by_bytes(input.as_bytes());
        assert!(matches!(&result, Some(Err(error)) if refused(error)), "{input:?}: {result:?}");
    }
}

#[test]
fn rfc9112_s7_1_1_extensions_are_bounded() {
    let line = |bytes: usize| format!("1;{}\r\nx\r\n", "e".repeat(bytes - 1));
    assert!(decode(format!("{}0\r\n\r\n", line(256)).as_bytes()).is_ok());
    let error = decode(format!("{}0\r\n\r\n", line(257)).as_bytes()).unwrap_err();
    assert_eq!(error, BodyError::Chunk("an extension is too long"));
    let endless = format!("1;{}", "e".repeat(300));
    assert!(matches!(decode(endless.as_bytes()), Err(BodyError::Chunk(_))));
    assert!(decode(format!("{}0\r\n\r\n", line(256).repeat(64)).as_bytes()).is_ok());
    let error = decode(format!("{}0\r\n\r\n", line(256).repeat(65)).as_bytes()).unwrap_err();
    assert_eq!(error, BodyError::Chunk("too many extensions"));
}

#[test]
fn rfc9110_s6_5_1_trailers_do_not_change_the_head() {
    let input = "1\r\nx\r\n0\r\nGrpc-Status: 0\r\nAuthorization: Bearer x\r\nPortcullis-Subject: a\r\nportcullis_subject: a\r\nContent-Type: x\r\nX_Forwarded_For: 1\r\nX-Sum: 1\r\n\r\nrest";
    let (body, rest, names) = decode(input.as_bytes()).unwrap();
    assert_eq!((body.as_str(), rest.as_str()), ("x", "rest"));
    assert_eq!(names, ["grpc-status", "x-sum"]);
    for name in ["cookie", "set-cookie", "if-match", "client_cert", "dpop", "connection", "host"] {
        assert!(!trailer_allowed(name.as_bytes()), "{name}");
    }
    let many: String = (0..33).map(|at| format!("x-{at}: y\r\n")).collect();
    let error = decode(format!("0\r\n{many}\r\n").as_bytes()).unwrap_err();
    assert!(matches!(error, BodyError::Trailers(HeadError::HeadTooLarge(_))));
    let error = decode(format!("0\r\nx: {}", "y".repeat(9000)).as_bytes()).unwrap_err();
    assert!(matches!(error, BodyError::Trailers(HeadError::HeadTooLarge(_))));
}

#[test]
fn a_length_ends_where_it_says() {
    let mut decoder = BodyDecoder::new(Framing::Length(5));
    let mut buf = BytesMut::from(&b"hel"[..]);
    assert_eq!(decoder.decode(&mut buf), Ok(Decoded::Data(3)));
    assert_eq!(decoder.decode(&mut buf), Ok(Decoded::Data(3)), "asking changes nothing");
    decoder.consume(&mut buf, 2);
    assert_eq!(decoder.decode(&mut buf), Ok(Decoded::Data(1)));
    assert_eq!(&decoder.take(&mut buf, 99)[..], b"l");
    assert_eq!(decoder.decode(&mut buf), Ok(Decoded::More));
    assert_eq!(decoder.eof(), Err(BodyError::Truncated));
    buf.extend_from_slice(b"loGET /");
    assert_eq!(decoder.decode(&mut buf), Ok(Decoded::Data(2)));
    assert_eq!(&decoder.take(&mut buf, usize::MAX)[..], b"lo", "not a byte of the next request");
    assert!(decoder.is_end());
    assert_eq!(decoder.decode(&mut buf), Ok(Decoded::End));
    decoder.consume(&mut buf, 3);
    assert_eq!(&buf[..], b"GET /", "nothing is consumed behind the end");
    for framing in [Framing::None, Framing::Length(0)] {
        assert!(BodyDecoder::new(framing).is_end());
    }
}

#[test]
fn rfc9112_s8_only_a_body_until_close_may_end_with_the_connection() {
    let mut decoder = BodyDecoder::new(Framing::UntilClose);
    let mut buf = BytesMut::from(&b"0\r\n\r\n"[..]);
    assert_eq!(decoder.decode(&mut buf), Ok(Decoded::Data(5)));
    decoder.consume(&mut buf, 5);
    assert_eq!(decoder.decode(&mut buf), Ok(Decoded::More));
    assert_eq!(decoder.eof(), Ok(()));
    assert!(decoder.is_end());
    for input in
        ["", "5", "5\r\n", "5\r\nhel", "5\r\nhello\r\n", "5\r\nhello\r\n0\r\n", "0\r\nX: y\r\n"]
    {
        assert_eq!(decode(input.as_bytes()).unwrap_err(), BodyError::Truncated, "{input:?}");
    }
}

#[test]
fn relaying_stops_at_the_window() {
    let mut decoder = BodyDecoder::new(Framing::Chunked);
    let mut from = BytesMut::from(&b"6\r\nfoobar\r\n3\r\nbaz\r\n0\r\n\r\nGET"[..]);
    let mut to = BytesMut::new();
    assert_eq!(decoder.relay(&mut from, &mut to, Wire::Plain, 4), Ok((4, Stop::Full)));
    assert_eq!(decoder.relay(&mut from, &mut to, Wire::Plain, 4), Ok((0, Stop::Full)));
    to.clear();
    assert_eq!(decoder.relay(&mut from, &mut to, Wire::Chunked, 64), Ok((5, Stop::End)));
    encode::write_last_chunk(&mut to, decoder.trailers());
    assert_eq!(&to[..], b"2\r\nar\r\n3\r\nbaz\r\n0\r\n\r\n");
    assert_eq!(&from[..], b"GET");
}
