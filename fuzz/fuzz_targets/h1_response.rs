//! Responses of HTTP/1.1: the head, and a body in each framing.

#![no_main]

use bytes::BytesMut;
use gateway::h1::{BodyDecoder, Stop, Wire, encode, parse_response};
use gateway::head::{Framing, HeadError, HeadLimits, Known};
use http::Method;
use libfuzzer_sys::fuzz_target;

/// All of a chunked body that arrives in pieces, written anew.
fn relayed(data: &[u8], piece: usize, wire: Wire) -> Option<BytesMut> {
    let mut decoder = BodyDecoder::new(Framing::Chunked);
    let (mut from, mut to) = (BytesMut::new(), BytesMut::new());
    for piece in data.chunks(piece) {
        from.extend_from_slice(piece);
        if decoder.relay(&mut from, &mut to, wire, usize::MAX).ok()?.1 == Stop::End {
            if wire == Wire::Chunked {
                encode::write_last_chunk(&mut to, decoder.trailers());
            }
            return Some(to);
        }
    }
    None
}

fuzz_target!(|data: &[u8]| {
    for method in [Method::GET, Method::HEAD] {
        let mut buf = BytesMut::from(data);
        match parse_response(&mut buf, &method, &HeadLimits::RESPONSE) {
            Err(error) => assert!(matches!(error, HeadError::Broken(_))),
            Ok(None) => assert_eq!(&buf[..], data),
            Ok(Some(head)) => {
                assert!((100..600).contains(&head.status));
                let lengths = head.headers.count(Known::ContentLength);
                let codings = head.headers.count(Known::TransferEncoding);
                assert!(lengths + codings <= 1);
                match head.framing {
                    Framing::Length(_) => assert_eq!(lengths, 1),
                    Framing::Chunked => assert_eq!(codings, 1),
                    Framing::UntilClose => assert!(lengths + codings == 0 && !head.keep_alive),
                    Framing::None => {}
                }
            }
        }
    }

    // A body is the same however it arrives, and however its chunks were cut on the way.
    let whole = relayed(data, data.len().max(1), Wire::Plain);
    assert_eq!(relayed(data, 1, Wire::Plain), whole);
    if let Some(chunked) = relayed(data, 7, Wire::Chunked) {
        assert_eq!(relayed(&chunked, 3, Wire::Plain), whole);
    }
});
