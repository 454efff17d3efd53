//! What is written, byte for byte.

use base::UnixMs;
use bytes::BytesMut;
use http::Method;

use crate::h1::{DateCache, encode};
use crate::head::Headers;

#[test]
fn a_request_is_written_as_it_is_read() {
    let mut out = BytesMut::new();
    encode::write_request_line(&mut out, &Method::POST, b"/a%20b", Some(b"c=d")).unwrap();
    encode::write_header(&mut out, b"Host", b"a.example").unwrap();
    encode::write_number(&mut out, "content-length", 12);
    encode::end_head(&mut out);
    assert_eq!(
        &out[..],
        b"POST /a%20b?c=d HTTP/1.1\r\nHost: a.example\r\ncontent-length: 12\r\n\r\n"
    );
}

#[test]
fn a_status_line_has_its_reason() {
    for (status, expect) in [
        (200, "HTTP/1.1 200 OK\r\n"),
        (404, "HTTP/1.1 404 Not Found\r\n"),
        (599, "HTTP/1.1 599 \r\n"),
        (7, "HTTP/1.1 500 Internal Server Error\r\n"),
        (1000, "HTTP/1.1 500 Internal Server Error\r\n"),
    ] {
        let mut out = BytesMut::new();
        encode::write_status_line(&mut out, status);
        assert_eq!(out, expect.as_bytes());
    }
}

#[test]
fn nothing_that_ends_a_line_is_written() {
    let mut out = BytesMut::new();
    for value in [&b"a\r\nX: y"[..], b"a\n", b"a\r", b"a\0", b"\x7f"] {
        assert!(encode::write_header(&mut out, b"portcullis-subject", value).is_err());
    }
    for name in [&b"a\r\nb"[..], b"a:", b"", b"a b"] {
        assert!(encode::write_header(&mut out, name, b"v").is_err());
    }
    for (path, query) in [
        (&b"/a b"[..], None),
        (b"/a\r\nX: y", None),
        (b"a", None),
        (b"", None),
        (b"/", Some(&b"a b"[..])),
        (b"/", Some(b"\n")),
        (b"/\xc3\xa9", None),
    ] {
        assert!(encode::write_request_line(&mut out, &Method::GET, path, query).is_err());
    }
    assert!(out.is_empty());
}

#[test]
fn chunks_are_written_with_their_size() {
    for (len, size) in [(1, "1"), (15, "f"), (16, "10"), (255, "ff"), (4096, "1000")] {
        let mut out = BytesMut::new();
        let data = vec![b'x'; len];
        encode::write_chunk(&mut out, &data);
        let text = String::from_utf8(data).unwrap();
        assert_eq!(out, format!("{size}\r\n{text}\r\n").as_bytes());
    }
    let mut out = BytesMut::new();
    encode::write_chunk(&mut out, b"");
    assert!(out.is_empty(), "an empty chunk would end the body");
    let mut trailers = Headers::new();
    trailers.push(b"grpc-status", b"0").unwrap();
    trailers.push(b"Content-Length", b"5").unwrap();
    encode::write_last_chunk(&mut out, Some(&trailers));
    assert_eq!(&out[..], b"0\r\ngrpc-status: 0\r\n\r\n");
}

#[test]
fn rfc9110_s5_6_7_dates() {
    let mut cache = DateCache::new();
    for (second, expect) in [
        (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
        (784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT"),
        (951_782_400, "Tue, 29 Feb 2000 00:00:00 GMT"),
        (951_868_799, "Tue, 29 Feb 2000 23:59:59 GMT"),
        (1_709_164_800, "Thu, 29 Feb 2024 00:00:00 GMT"),
        (1_735_689_599, "Tue, 31 Dec 2024 23:59:59 GMT"),
        (4_107_542_400, "Mon, 01 Mar 2100 00:00:00 GMT"),
        (-1, "Wed, 31 Dec 1969 23:59:59 GMT"),
    ] {
        let now = UnixMs(second * 1000 + 999);
        assert_eq!(std::str::from_utf8(cache.at(now)).unwrap(), expect);
        assert_eq!(std::str::from_utf8(cache.at(now)).unwrap(), expect, "and from the cache");
    }
    for far in [i64::MAX, i64::MIN] {
        assert_eq!(cache.at(UnixMs(far)).len(), 29);
    }
}
