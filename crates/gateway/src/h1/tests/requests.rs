//! Requests that pass, and what is read from them.

use bytes::BytesMut;
use http::{HeaderMap, HeaderValue, Method, Request};

use crate::h1::{Prefix, is_h2_preface, parse_request};
use crate::head::{Framing, HeadError, HeadLimits, Headers, Known, RequestHead, Upgrade, Version};

fn parsed(input: &str) -> RequestHead {
    let mut buf = BytesMut::from(input.as_bytes());
    parse_request(&mut buf, &HeadLimits::REQUEST).expect(input).expect(input)
}

/// A line of what matters, to compare at a glance.
fn summary(head: &RequestHead) -> String {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    format!(
        "{} {} {} {} {:?} {:?} keep={} expect={} upgrade={:?}",
        head.method,
        text(head.authority()),
        text(head.path()),
        head.query().map_or_else(|| "-".to_owned(), text),
        head.version,
        head.framing,
        head.keep_alive,
        head.expect_continue,
        head.upgrade,
    )
}

fn fields(headers: &Headers) -> Vec<(String, String)> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    headers.iter().map(|(name, value)| (text(name), text(value))).collect()
}

/// Requests, and what is read from them.
const PLAIN: &[(&str, &str)] = &[
    ("GET / HTTP/1.1\r\nHost: a\r\n\r\n", "GET a / - Http11 None keep=true expect=false"),
    ("\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", "GET a / - Http11 None keep=true expect=false"),
    (
        "GET /a/b?c=d?e HTTP/1.1\r\nHOST: A.Example:8080\r\n\r\n",
        "GET a.example:8080 /a/b c=d?e Http11 None keep=true expect=false",
    ),
    (
        "GET /? HTTP/1.1\r\nHost:[::1]:80\r\n\r\n",
        "GET [::1]:80 /  Http11 None keep=true expect=false",
    ),
    (
        "GET http://A.example/x?y HTTP/1.1\r\nHost: a.Example\r\n\r\n",
        "GET a.example /x y Http11 None keep=true expect=false",
    ),
    (
        "GET HTTP://a.example?y HTTP/1.1\r\nHost: a.example\r\n\r\n",
        "GET a.example / y Http11 None keep=true expect=false",
    ),
    (
        "GET https://a.example HTTP/1.1\r\nHost: a.example\r\n\r\n",
        "GET a.example / - Http11 None keep=true expect=false",
    ),
    ("GET / HTTP/1.0\r\nHost: a\r\n\r\n", "GET a / - Http10 None keep=false expect=false"),
    (
        "GET / HTTP/1.0\r\nHost: a\r\nConnection: Keep-Alive\r\n\r\n",
        "GET a / - Http10 None keep=true expect=false",
    ),
    (
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: TE,, Close\r\nTE: trailers\r\n\r\n",
        "GET a / - Http11 None keep=false expect=false",
    ),
    (
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive\r\nConnection: close\r\n\r\n",
        "GET a / - Http11 None keep=false expect=false",
    ),
    (
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length:  12 \r\n\r\n",
        "POST a / - Http11 Length(12) keep=true expect=false",
    ),
    (
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length:0\r\n\r\n",
        "POST a / - Http11 Length(0) keep=true expect=false",
    ),
    (
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 999999999999999999\r\n\r\n",
        "POST a / - Http11 Length(999999999999999999) keep=true expect=false",
    ),
    (
        "GET / HTTP/1.1\r\nHost: a\r\ntransfer-encoding:chunked\r\n\r\n",
        "GET a / - Http11 Chunked keep=true expect=false",
    ),
    (
        "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-Continue\r\n\r\n",
        "PUT a / - Http11 Length(3) keep=true expect=true",
    ),
    (
        "PUT / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n\r\n",
        "PUT a / - Http11 None keep=true expect=false",
    ),
    (
        "PUT / HTTP/1.0\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n",
        "PUT a / - Http10 Length(3) keep=false expect=false",
    ),
    (
        "M-SEARCH /~a.b HTTP/1.1\r\nHost: my_service.\r\n\r\n",
        "M-SEARCH my_service. /~a.b - Http11 None keep=true expect=false",
    ),
];

#[test]
fn what_is_plain_passes() {
    for (input, expect) in PLAIN {
        assert_eq!(summary(&parsed(input)), format!("{expect} upgrade=None"), "{input:?}");
    }
}

#[test]
fn rfc9110_s7_8_upgrade_needs_one_protocol_and_a_connection_option() {
    for (lines, expect) in [
        ("Connection: Upgrade\r\nUpgrade: websocket", Some(Upgrade::WebSocket)),
        ("Connection: keep-alive, upgrade\r\nUpgrade: WebSocket", Some(Upgrade::WebSocket)),
        ("Connection: upgrade\r\nUpgrade: tunnel/1.0", Some(Upgrade::Other)),
        ("Upgrade: websocket", None),
        ("Connection: upgrade", None),
        ("Connection: close\r\nUpgrade: websocket", None),
        ("Connection: upgrade\r\nUpgrade: h2c", None),
        ("Connection: Upgrade, HTTP2-Settings\r\nUpgrade: H2C\r\nHTTP2-Settings: AAMAAABk", None),
        ("Connection: upgrade\r\nUpgrade: websocket, h2c", None),
        ("Connection: upgrade\r\nUpgrade: websocket\r\nUpgrade: h2c", None),
        ("Connection: upgrade\r\nUpgrade: web socket", None),
        ("Connection: upgrade\r\nUpgrade: websocket\r\nContent-Length: 3", None),
        ("Connection: upgrade\r\nUpgrade: websocket\r\nTransfer-Encoding: chunked", None),
    ] {
        let head = parsed(&format!("GET / HTTP/1.1\r\nHost: a\r\n{lines}\r\n\r\n"));
        assert_eq!(head.upgrade, expect, "{lines}");
    }
    let lines = "Host: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n";
    assert_eq!(parsed(&format!("POST / HTTP/1.1\r\n{lines}")).upgrade, None);
    assert_eq!(parsed(&format!("GET / HTTP/1.0\r\n{lines}")).upgrade, None);
}

#[test]
fn fields_keep_order_and_repetition() {
    let head = parsed(
        "GET / HTTP/1.1\r\nHost: a\r\nX-One:  1 \t\r\nx-two:\r\nAUTHORIZATION: Bearer t\r\nX-ONE: \u{e9}\r\n\r\n",
    );
    let expect = [
        ("host", "a"),
        ("x-one", "1"),
        ("x-two", ""),
        ("authorization", "Bearer t"),
        ("x-one", "\u{e9}"),
    ];
    let got = fields(&head.headers);
    assert!(got.iter().map(|(name, value)| (name.as_str(), value.as_str())).eq(expect), "{got:?}");
    let headers = &head.headers;
    assert_eq!(headers.len(), 5);
    assert_eq!(headers.first(Known::Authorization), Some(&b"Bearer t"[..]));
    assert_eq!(headers.first("authorization"), headers.first(Known::Authorization));
    assert_eq!(headers.count("x-one"), 2);
    assert_eq!(headers.all("x-one").last(), Some("\u{e9}".as_bytes()));
    assert_eq!(headers.first("x-two"), Some(&b""[..]));
    assert_eq!(headers.first("x-three"), None);
    assert_eq!(headers.count(Known::Cookie), 0);
}

#[test]
fn rfc9110_s7_6_1_nominated_fields_are_hop_by_hop() {
    let head = parsed(
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: X-Own, x-other\r\nX-OWN: 1\r\nX-Kept: 2\r\nTE: trailers\r\nx-own: 3\r\nKeep-Alive: 5\r\nProxy-Authorization: Basic x\r\nTrailer: x-t\r\n\r\n",
    );
    let passed: Vec<_> = head
        .headers
        .fields()
        .filter(|field| !field.is_hop_by_hop())
        .map(|field| String::from_utf8_lossy(field.name()).into_owned())
        .collect();
    assert_eq!(passed, ["host", "x-kept", "trailer"]);
    let many: Vec<_> = (0..17).map(|at| format!("x-{at}")).collect();
    let input = format!("GET / HTTP/1.1\r\nHost: a\r\nConnection: {}\r\n\r\n", many.join(","));
    let result = parse_request(&mut BytesMut::from(input.as_bytes()), &HeadLimits::REQUEST);
    assert!(matches!(result, Err(HeadError::HeadTooLarge(_))));
}

#[test]
fn a_head_is_the_same_however_it_is_cut() {
    let input = b"\r\nPOST /a?b HTTP/1.1\r\nHost: a.example\r\nX-A: b\r\nX-C:\r\nContent-Length: 4\r\nConnection: x-a\r\n\r\nbodyGET / HTTP/1.1\r\n";
    let whole = {
        let mut buf = BytesMut::from(&input[..]);
        let head = parse_request(&mut buf, &HeadLimits::REQUEST).unwrap().unwrap();
        assert_eq!(&buf[..], b"bodyGET / HTTP/1.1\r\n");
        head
    };
    for cut in 0..input.len() {
        let mut buf = BytesMut::from(&input[..cut]);
        let first = parse_request(&mut buf, &HeadLimits::REQUEST).unwrap();
        let head = first.unwrap_or_else(|| {
            assert_eq!(&buf[..], &input[..cut], "nothing is taken before the head is whole");
            buf.extend_from_slice(&input[cut..]);
            parse_request(&mut buf, &HeadLimits::REQUEST).unwrap().unwrap()
        });
        assert_eq!(summary(&head), summary(&whole));
        assert_eq!(fields(&head.headers), fields(&whole.headers));
    }
    let mut buf = BytesMut::new();
    for (at, byte) in input.iter().enumerate() {
        buf.extend_from_slice(&[*byte]);
        if let Some(head) = parse_request(&mut buf, &HeadLimits::REQUEST).unwrap() {
            assert_eq!(&input[at + 1..at + 5], b"body");
            assert_eq!(summary(&head), summary(&whole));
            return;
        }
    }
    panic!("never whole");
}

#[test]
fn pipelined_requests_are_read_one_by_one() {
    let one = "GET /1 HTTP/1.1\r\nHost: a\r\n\r\n";
    let two = "\r\nGET /2 HTTP/1.1\r\nHost: b\r\n\r\n";
    let mut buf = BytesMut::from(format!("{one}{two}").as_bytes());
    let mut first = parse_request(&mut buf, &HeadLimits::REQUEST).unwrap().unwrap();
    let second = parse_request(&mut buf, &HeadLimits::REQUEST).unwrap().unwrap();
    assert!(buf.is_empty());
    first.headers.push(b"X-Added", b"late").unwrap();
    assert_eq!(first.path(), b"/1");
    assert_eq!(first.headers.first("x-added"), Some(&b"late"[..]));
    assert_eq!(second.path(), b"/2");
    assert_eq!(second.authority(), b"b");
}

#[test]
fn a_full_head_passes() {
    let many: String = (0..99).map(|at| format!("x-{at}: y\r\n")).collect();
    assert_eq!(parsed(&format!("GET / HTTP/1.1\r\nHost: a\r\n{many}\r\n")).headers.len(), 100);
    let path = "y".repeat(8 * 1024 - 1);
    assert_eq!(parsed(&format!("GET /{path} HTTP/1.1\r\nHost: a\r\n\r\n")).path().len(), 8192);
    let start = "GET / HTTP/1.1\r\nHost: a\r\nx: ";
    let value = "v".repeat(32 * 1024 - start.len() - 4);
    let head = parsed(&format!("{start}{value}\r\n\r\n"));
    assert_eq!(head.headers.first("x").map(<[u8]>::len), Some(value.len()));
}

#[test]
fn lists_are_changed_in_place() {
    let mut headers = Headers::new();
    headers.push(b"X-A", b" 1 ").unwrap();
    headers.push(b"Cookie", b"c").unwrap();
    headers.push(b"x-a", b"2").unwrap();
    for (name, value) in [
        (&b""[..], &b"v"[..]),
        (b"a b", b"v"),
        (b"a:", b"v"),
        (b"a", b"v\r\nx: y"),
        (b"a", b"v\0"),
        (b"a", b"v\nw"),
        (b"a\r\n", b"v"),
    ] {
        assert!(headers.push(name, value).is_err(), "{name:?} {value:?}");
    }
    assert_eq!(
        fields(&headers),
        fields(&{
            let mut map = HeaderMap::new();
            map.append("x-a", HeaderValue::from_static("1"));
            map.append("x-a", HeaderValue::from_static("2"));
            map.append("cookie", HeaderValue::from_static("c"));
            let mut copied = Headers::from_map(&map).unwrap();
            copied.remove("cookie");
            copied.remove("x-a");
            assert!(copied.is_empty());
            for (name, value) in [("x-a", "1"), ("cookie", "c"), ("x-a", "2")] {
                copied.push(name.as_bytes(), value.as_bytes()).unwrap();
            }
            copied
        })
    );
    headers.remove("x-a");
    assert_eq!(headers.len(), 1);
    headers.retain(|field| field.known() != Known::Cookie);
    assert!(headers.is_empty());
}

#[test]
fn debug_hides_values() {
    let head =
        parsed("GET /p?key=sesame HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer sesame\r\n\r\n");
    let shown = format!("{head:?}");
    assert!(shown.contains("authorization") && !shown.contains("sesame"), "{shown}");
}

#[test]
fn rfc9113_s3_4_the_preface_is_recognised() {
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    for cut in 0..preface.len() {
        assert_eq!(is_h2_preface(&preface[..cut]), Prefix::NeedMore);
    }
    assert_eq!(is_h2_preface(preface), Prefix::Yes);
    assert_eq!(is_h2_preface(&[&preface[..], b"more"].concat()), Prefix::Yes);
    for other in [&b"GET / HTTP/1.1\r\n"[..], b"PRI * HTTP/2.0\r\n\r\nSM\r\n\rx", b"PUT", b"\r\n"] {
        assert_eq!(is_h2_preface(other), Prefix::No);
    }
}

fn h2(
    method: Method,
    uri: &str,
    fields: &[(&'static str, &'static str)],
    ended: bool,
) -> Result<RequestHead, HeadError> {
    let mut request = Request::builder().method(method).uri(uri);
    for (name, value) in fields {
        request = request.header(*name, *value);
    }
    let (parts, ()) = request.body(()).unwrap().into_parts();
    RequestHead::from_h2(&parts, ended, &HeadLimits::REQUEST)
}

#[test]
fn rfc9113_s8_3_1_http_2_heads_follow_the_same_rules() {
    let head = h2(Method::POST, "https://A.example/x?y=z", &[("x-a", "b")], false).unwrap();
    let expect = "POST a.example /x y=z Http2 Chunked keep=true expect=false upgrade=None";
    assert_eq!(summary(&head), expect);
    assert_eq!(head.headers.first("x-a"), Some(&b"b"[..]));
    let head = h2(Method::GET, "/x", &[("host", "B.example:81")], true).unwrap();
    let expect = "GET b.example:81 /x - Http2 None keep=true expect=false upgrade=None";
    assert_eq!(summary(&head), expect);
    let long = [("content-length", "12"), ("te", "trailers")];
    let head = h2(Method::POST, "https://a/", &long, false).unwrap();
    assert_eq!((head.framing, head.version), (Framing::Length(12), Version::Http2));
    let crumbs = [("cookie", "a=1"), ("x-a", "b"), ("cookie", "c=2")];
    let head = h2(Method::GET, "https://a/", &crumbs, true).unwrap();
    assert_eq!(head.headers.all("cookie").collect::<Vec<_>>(), [b"a=1; c=2"]);

    let refused = |uri: &str, fields: &[(&'static str, &'static str)], code: &str| {
        let error = h2(Method::GET, uri, fields, true).unwrap_err();
        assert_eq!(error.code().as_str(), code, "{uri} {fields:?}");
    };
    refused("/x", &[], "host.ambiguous");
    refused("https://a/", &[("host", "b")], "host.ambiguous");
    refused("https://u@a/", &[], "host.ambiguous");
    refused("/x", &[("host", "a"), ("host", "a")], "host.ambiguous");
    refused("*", &[("host", "a")], "request.malformed");
    refused("https://a/", &[("connection", "close")], "request.malformed");
    refused("https://a/", &[("transfer-encoding", "chunked")], "request.malformed");
    refused("https://a/", &[("upgrade", "websocket")], "request.malformed");
    refused("https://a/", &[("keep-alive", "5")], "request.malformed");
    refused("https://a/", &[("proxy-connection", "close")], "request.malformed");
    refused("https://a/", &[("te", "gzip")], "request.malformed");
    refused("https://a/", &[("content-length", "1")], "framing.ambiguous");
    refused("https://a/", &[("content-length", "+1")], "framing.ambiguous");
    refused("https://a/", &[("content-length", "0"), ("content-length", "0")], "framing.ambiguous");
    refused("https://a/", &[("content_length", "1")], "framing.ambiguous");
    refused("https://a/", &[("expect", "x")], "request.expectation");
    let error = h2(Method::CONNECT, "https://a/", &[], false).unwrap_err();
    assert!(matches!(error, HeadError::Malformed(_)));
}
