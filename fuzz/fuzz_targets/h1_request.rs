//! Requests of HTTP/1.1: the head, and the body behind it.

#![no_main]

use bytes::BytesMut;
use gateway::h1::{BodyDecoder, Decoded, encode, parse_request};
use gateway::head::{Framing, HeadLimits, Known, RequestHead};
use libfuzzer_sys::fuzz_target;

/// The head as it would be forwarded, with everything.
fn written(head: &RequestHead) -> BytesMut {
    let mut out = BytesMut::new();
    encode::write_request_line(&mut out, &head.method, head.path(), head.query())
        .expect("a target that was read can be written");
    for field in head.headers.fields() {
        encode::write_field(&mut out, field);
    }
    encode::end_head(&mut out);
    out
}

fuzz_target!(|data: &[u8]| {
    let limits = &HeadLimits::REQUEST;
    let mut buf = BytesMut::from(data);
    let whole = parse_request(&mut buf, limits);

    // The verdict does not depend on how the bytes arrive.
    let (first, rest) = data.split_at(data.len() / 2);
    let mut cut = BytesMut::from(first);
    match parse_request(&mut cut, limits) {
        Err(_) => assert!(whole.is_err()),
        Ok(Some(_)) => assert!(matches!(whole, Ok(Some(_)))),
        Ok(None) => {
            assert_eq!(&cut[..], first);
            cut.extend_from_slice(rest);
            assert_eq!(parse_request(&mut cut, limits).is_err(), whole.is_err());
        }
    }

    let Ok(Some(head)) = whole else { return };
    assert_eq!(head.headers.count(Known::Host), 1);
    assert!(head.path().starts_with(b"/") && !head.authority().is_empty());
    let lengths = head.headers.count(Known::ContentLength);
    let codings = head.headers.count(Known::TransferEncoding);
    match head.framing {
        Framing::None => assert_eq!((lengths, codings), (0, 0)),
        Framing::Length(_) => assert_eq!((lengths, codings), (1, 0)),
        Framing::Chunked => assert_eq!((lengths, codings), (0, 1)),
        Framing::UntilClose => panic!("a request never lasts until the connection ends"),
    }

    // What is written is one message, and reads back as the same.
    let mut out = written(&head);
    if head.version == gateway::head::Version::Http11 && out.len() <= limits.bytes {
        let again = parse_request(&mut out, limits).expect("valid").expect("whole");
        assert!(out.is_empty());
        assert_eq!((again.path(), again.query()), (head.path(), head.query()));
        assert_eq!((again.framing, again.upgrade), (head.framing, head.upgrade));
        assert!(again.headers.iter().eq(head.headers.iter()));
    }

    let mut decoder = BodyDecoder::new(head.framing);
    let (before, mut body) = (buf.len(), 0);
    while let Ok(Decoded::Data(count)) = decoder.decode(&mut buf) {
        assert!(count > 0);
        body += count;
        decoder.consume(&mut buf, count);
    }
    assert!(body + buf.len() <= before);
});
