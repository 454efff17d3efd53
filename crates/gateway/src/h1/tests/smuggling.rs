//! Requests that two readers could take for different ones: each is refused, however it is cut into reads.

use bytes::BytesMut;

use crate::h1::parse_request;
use crate::head::{HeadError, HeadLimits};

const MALFORMED: &str = "request.malformed";
const FRAMING: &str = "framing.ambiguous";
const HOST: &str = "host.ambiguous";
const FORBIDDEN: &str = "header.forbidden";

/// What is said of `input` when it arrives at once.
fn at_once(input: &[u8]) -> Result<bool, HeadError> {
    let mut buf = BytesMut::from(input);
    parse_request(&mut buf, &HeadLimits::REQUEST).map(|head| head.is_some())
}

/// What is said of `input` when it arrives byte by byte.
fn by_bytes(input: &[u8]) -> Result<bool, HeadError> {
    let mut buf = BytesMut::new();
    for byte in input {
        buf.extend_from_slice(&[*byte]);
        if parse_request(&mut buf, &HeadLimits::REQUEST)?.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

#[track_caller]
fn refused(name: &str, input: &[u8], code: &str) {
    for (how, result) in [("at once", at_once(input)), ("by bytes", by_bytes(input))] {
        match result {
            Err(error) => assert_eq!(error.code().as_str(), code, "{name}, {how}: {error}"),
            Ok(whole) => panic!("{name}, {how}: let through (whole: {whole})"),
        }
    }
}

/// A POST with these lines after a valid `Host`.
fn post(lines: &str) -> Vec<u8> {
    format!("POST /x HTTP/1.1\r\nHost: a.example\r\n{lines}\r\n\r\n").into_bytes()
}

/// A GET with these lines and nothing else.
fn get(lines: &str) -> Vec<u8> {
    format!("GET /x HTTP/1.1\r\n{lines}\r\n\r\n").into_bytes()
}

#[test]
fn rfc9112_s6_3_two_framings_are_refused() {
    for (name, lines) in [
        ("CL.TE", "Content-Length: 6\r\nTransfer-Encoding: chunked"),
        ("TE.CL", "Transfer-Encoding: chunked\r\nContent-Length: 6"),
        ("CL.TE, case", "content-length: 6\r\ntRANSFER-eNCODING: chunked"),
        ("CL.0 with TE", "Content-Length: 0\r\nTransfer-Encoding: chunked"),
        ("TE.TE", "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked"),
        ("TE.TE identity first", "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked"),
        ("TE.TE identity last", "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity"),
        ("TE.TE cow", "Transfer-Encoding: chunked\r\nTransfer-encoding: cow"),
        ("CL twice, different", "Content-Length: 6\r\nContent-Length: 7"),
        ("CL twice, equal", "Content-Length: 6\r\nContent-Length: 6"),
        ("CL far apart", "Content-Length: 6\r\nX-A: b\r\nX-C: d\r\ncontent-length: 0"),
        ("CL folded by underscore", "Content_Length: 6"),
        ("CL folded beside CL", "Content-Length: 6\r\nContent_Length: 7"),
        ("CL folded by dot", "Content.Length: 6"),
        ("TE folded by another mark", "Transfer~Encoding: chunked"),
        ("TE folded by underscore", "Transfer_Encoding: chunked"),
        ("TE folded beside CL", "Content-Length: 6\r\ntransfer_encoding: chunked"),
    ] {
        refused(name, &post(lines), FRAMING);
    }
}

#[test]
fn rfc9112_s6_1_only_chunked_alone_is_a_coding() {
    for value in [
        "xchunked",
        "chunkedx",
        "x chunked",
        "chunked, identity",
        "identity, chunked",
        "identity",
        "chunked, chunked",
        "chunked,",
        ",chunked",
        ", chunked",
        "gzip, chunked",
        "chunked, gzip",
        "gzip",
        "compress",
        "deflate",
        "chunked;q=1",
        "chunked ;a=b",
        "\"chunked\"",
        "'chunked'",
        "Chunked",
        "CHUNKED",
        "chun ked",
        "chunke\u{212a}",
        "chunked\u{a0}",
        "\tchunked",
        " \tchunked",
        "chunked\t",
        "chunked \t ",
        "",
        " ",
    ] {
        refused(value, &post(&format!("Transfer-Encoding: {value}")), FRAMING);
        refused(value, &post(&format!("Transfer-Encoding:{value}")), FRAMING);
    }
}

#[test]
fn rfc9112_s5_whitespace_and_control_characters_in_fields_are_refused() {
    for (name, lines) in [
        ("space before colon", "Transfer-Encoding : chunked"),
        ("tab before colon", "Transfer-Encoding\t: chunked"),
        ("space before colon of CL", "Content-Length : 6"),
        ("space before the name", " Transfer-Encoding: chunked"),
        ("tab before the name", "\tTransfer-Encoding: chunked"),
        ("space in the name", "Transfer Encoding: chunked"),
        ("vertical tab before the value", "Transfer-Encoding: \u{b}chunked"),
        ("vertical tab after the value", "Transfer-Encoding: chunked\u{b}"),
        ("form feed before the value", "Transfer-Encoding: \u{c}chunked"),
        ("NUL before the value", "Transfer-Encoding: \0chunked"),
        ("NUL after the value", "Transfer-Encoding: chunked\0"),
        ("backspace in the value", "Transfer-Encoding: chunked\u{8}"),
        ("DEL in the value", "Transfer-Encoding: chunked\u{7f}"),
        ("NUL in the name", "Transfer-Encoding\0: chunked"),
        ("control in the name", "Transfer\u{1}-Encoding: chunked"),
        ("DEL in the name", "Transfer-Encoding\u{7f}: chunked"),
        ("non-ASCII in the name", "Transfer\u{2010}Encoding: chunked"),
        ("no name", ": chunked"),
        ("no colon", "Transfer-Encoding chunked"),
        ("no colon, empty", "Transfer-Encoding"),
        ("quoted name", "\"Transfer-Encoding\": chunked"),
        ("parenthesis in the name", "Transfer(Encoding): chunked"),
        ("obs-fold with space", "Transfer-Encoding:\r\n chunked"),
        ("obs-fold with tab", "Transfer-Encoding:\r\n\tchunked"),
        ("obs-fold behind a value", "X-A: b\r\n Transfer-Encoding: chunked"),
        ("obs-fold of CL", "Content-Length: 6\r\n 7"),
        ("obs-fold at once", " X-A: b"),
        ("bare CR in a value", "X-A: b\rTransfer-Encoding: chunked"),
        ("bare CR at a value's end", "X-A: b\r\r\nTransfer-Encoding: chunked"),
        ("bare CR before the name", "\rTransfer-Encoding: chunked"),
        ("bare CR in the name", "Transfer-\rEncoding: chunked"),
        ("bare CR before colon", "Transfer-Encoding\r: chunked"),
        ("bare LF between fields", "X-A: b\nTransfer-Encoding: chunked"),
        ("bare LF in a value", "X-A: b\n c"),
        ("LF CR", "X-A: b\n\rTransfer-Encoding: chunked"),
        ("NUL line end", "X-A: b\0\r\nX-C: d"),
    ] {
        refused(name, &post(lines), MALFORMED);
    }
}

#[test]
fn rfc9112_s2_2_lines_end_with_cr_lf_only() {
    for (name, input) in [
        ("all LF", "GET / HTTP/1.1\nHost: a\n\n"),
        ("LF after the request line", "GET / HTTP/1.1\nHost: a\r\n\r\n"),
        ("LF after a field", "GET / HTTP/1.1\r\nHost: a\n\r\n"),
        ("LF as the empty line", "GET / HTTP/1.1\r\nHost: a\r\n\n"),
        ("LF as the empty line, more behind", "GET / HTTP/1.1\r\nHost: a\r\n\nX: y\r\n\r\n"),
        ("LF LF ends early", "GET / HTTP/1.1\r\nHost: a\n\nGET /admin HTTP/1.1\r\nHost: a\r\n\r\n"),
        ("LF before", "\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"),
        ("CR before", "\rGET / HTTP/1.1\r\nHost: a\r\n\r\n"),
        ("two empty lines before", "\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"),
        ("empty line and LF before", "\r\n\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"),
        ("space before", " GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
        ("CR after the request line", "GET / HTTP/1.1\rHost: a\r\n\r\n"),
        ("CR CR LF", "GET / HTTP/1.1\r\r\nHost: a\r\n\r\n"),
        ("CR LF CR X", "GET / HTTP/1.1\r\nHost: a\r\n\rX: y\r\n\r\n"),
    ] {
        refused(name, input.as_bytes(), MALFORMED);
    }
}

#[test]
fn rfc9112_s3_the_request_line_has_one_form() {
    for (name, line) in [
        ("two spaces before the target", "GET  / HTTP/1.1"),
        ("two spaces before the version", "GET /  HTTP/1.1"),
        ("space at the end", "GET / HTTP/1.1 "),
        ("tab for space", "GET\t/ HTTP/1.1"),
        ("tab before the version", "GET /\tHTTP/1.1"),
        ("HTTP/0.9", "GET /"),
        ("no version", "GET / "),
        ("version 1.2", "GET / HTTP/1.2"),
        ("version 2.0", "GET / HTTP/2.0"),
        ("version 1", "GET / HTTP/1"),
        ("version 1.10", "GET / HTTP/1.10"),
        ("version 01.1", "GET / HTTP/01.1"),
        ("lower-case http", "GET / http/1.1"),
        ("other protocol", "GET / ICAP/1.0"),
        ("space in the target", "GET /a b HTTP/1.1"),
        ("a second version", "GET / HTTP/1.1 HTTP/1.1"),
        ("no method", " / HTTP/1.1"),
        ("method with a colon", "GE:T / HTTP/1.1"),
        ("method with NUL", "GE\0T / HTTP/1.1"),
        ("method too long", "ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEFG / HTTP/1.1"),
        ("NUL in the target", "GET /\0 HTTP/1.1"),
        ("DEL in the target", "GET /\u{7f} HTTP/1.1"),
        ("raw UTF-8 in the target", "GET /\u{e9} HTTP/1.1"),
        ("fragment", "GET /a#b HTTP/1.1"),
        ("target without a slash", "GET a HTTP/1.1"),
        ("query alone", "GET ?a HTTP/1.1"),
        ("asterisk", "OPTIONS * HTTP/1.1"),
        ("asterisk for GET", "GET * HTTP/1.1"),
        ("CONNECT", "CONNECT a.example:443 HTTP/1.1"),
        ("CONNECT with a path", "CONNECT / HTTP/1.1"),
        ("authority form", "GET a.example:80 HTTP/1.1"),
        ("other scheme", "GET ftp://a.example/ HTTP/1.1"),
        ("scheme without slashes", "GET http:/a.example/ HTTP/1.1"),
        ("scheme alone", "GET http: HTTP/1.1"),
        ("HTTP/2 preface", "PRI * HTTP/2.0"),
    ] {
        refused(name, format!("{line}\r\nHost: a.example\r\n\r\n").as_bytes(), MALFORMED);
    }
}

#[test]
fn rfc9112_s3_2_one_host_and_one_only() {
    for (name, lines) in [
        ("none", "X-A: b"),
        ("two, different", "Host: a.example\r\nHost: b.example"),
        ("two, equal", "Host: a.example\r\nHost: a.example"),
        ("two, in another case", "Host: a.example\r\nhOST: b.example"),
        ("empty", "Host: "),
        ("list", "Host: a.example, b.example"),
        ("two names", "Host: a.example b.example"),
        ("tab between", "Host: a.example\tb.example"),
        ("userinfo", "Host: user@a.example"),
        ("userinfo that looks like a host", "Host: b.example:80@a.example"),
        ("path", "Host: a.example/x"),
        ("query", "Host: a.example?x"),
        ("fragment", "Host: a.example#x"),
        ("backslash", "Host: a.example\\x"),
        ("scheme", "Host: http://a.example"),
        ("escape", "Host: a%2eexample"),
        ("port letters", "Host: a.example:http"),
        ("port empty", "Host: a.example:"),
        ("port too large", "Host: a.example:65536"),
        ("port with sign", "Host: a.example:+80"),
        ("port with zeros", "Host: a.example:000080"),
        ("two ports", "Host: a.example:80:81"),
        ("port only", "Host: :80"),
        ("empty label", "Host: a..example"),
        ("leading dot", "Host: .example"),
        ("dot", "Host: ."),
        ("non-ASCII", "Host: \u{e9}.example"),
        ("IPv6 without brackets", "Host: ::1"),
        ("IPv6 not closed", "Host: [::1"),
        ("IPv6 with a zone", "Host: [fe80::1%25eth0]"),
        ("IPv6 and a name", "Host: [::1]a.example"),
        ("IPvFuture", "Host: [v1.a]"),
        ("name in brackets", "Host: [a.example]"),
        ("semicolon", "Host: a.example;b"),
        ("quotes", "Host: \"a.example\""),
    ] {
        refused(name, &get(lines), HOST);
    }
    let long = format!("Host: {}.example", "a".repeat(300));
    refused("too long", &get(&long), HOST);
    refused("HTTP/1.0 without Host", b"GET / HTTP/1.0\r\n\r\n", HOST);
    refused("no field at all", b"GET / HTTP/1.1\r\n\r\n", HOST);
}

#[test]
fn rfc9112_s3_2_2_an_absolute_target_names_the_same_host() {
    for (name, target) in [
        ("another host", "http://b.example/x"),
        ("with a port", "http://a.example:80/x"),
        ("with userinfo", "http://u@a.example/x"),
        ("with the host as userinfo", "http://a.example@b.example/x"),
        ("without authority", "http:///x"),
        ("a longer host", "http://a.example.evil/x"),
        ("query at once", "http://b.example?x"),
        ("host alone", "http://b.example"),
        ("backslash", "http://a.example\\x/"),
        ("https too", "https://b.example/"),
    ] {
        let input = format!("GET {target} HTTP/1.1\r\nHost: a.example\r\n\r\n");
        refused(name, input.as_bytes(), HOST);
    }
}

#[test]
fn rfc9110_s8_6_a_length_is_one_plain_number() {
    for value in [
        "+6",
        "-6",
        "06",
        "00",
        "0x6",
        "6,6",
        "6, 6",
        "6,7",
        "6 7",
        "6.0",
        "6e1",
        "6;",
        "6\t",
        "\t6",
        "\"6\"",
        "six",
        "",
        " ",
        "\u{ff16}",
        "9223372036854775808",
        "18446744073709551616",
        "18446744073709551622",
        "99999999999999999999999999",
        "6a",
        "6_0",
    ] {
        refused(value, &post(&format!("Content-Length: {value}")), FRAMING);
    }
}

#[test]
fn rfc9112_s6_1_http_1_0_knows_no_coding() {
    for lines in [
        "Transfer-Encoding: chunked",
        "Transfer-Encoding: identity",
        "Transfer-Encoding: chunked\r\nContent-Length: 6",
    ] {
        let input = format!("POST / HTTP/1.0\r\nHost: a\r\n{lines}\r\n\r\n");
        refused(lines, input.as_bytes(), FRAMING);
    }
}

#[test]
fn incident_11_connection_does_not_drop_what_was_judged() {
    for name in [
        "Content-Length",
        "content-length",
        "Transfer-Encoding",
        "Host",
        "Authorization",
        "X-API-Key",
        "X_API_Key",
        "X-Forwarded-For",
        "x_forwarded_for",
        "X-Forwarded-Host",
        "X-Forwarded-Client-Cert",
        "Forwarded",
        "Portcullis-Subject",
        "PORTCULLIS_SUBJECT",
        "Portcullis-Anything",
        "Client-Cert",
        "Client_Cert_Chain",
        "Cookie",
        "Origin",
        "X-Real-IP",
        "DPoP",
        "Traceparent",
        "close, Portcullis-Subject",
        "keep-alive,Authorization",
        "X-Own\r\nConnection: Host",
    ] {
        refused(name, &get(&format!("Host: a\r\nConnection: {name}")), FORBIDDEN);
    }
    for value in ["close; x", "\"close\"", "a b", "close, (x)", "\u{e9}"] {
        refused(value, &get(&format!("Host: a\r\nConnection: {value}")), MALFORMED);
    }
}

#[test]
fn rfc9110_s10_1_1_other_expectations_are_refused() {
    for lines in [
        "Expect: 200-ok",
        "Expect: ",
        "Expect: 100-continue, x",
        "Expect: 100-continue\r\nExpect: 100-continue",
        "Expect: 100-continue;a=b",
    ] {
        refused(lines, &get(&format!("Host: a\r\n{lines}")), "request.expectation");
    }
}

#[test]
fn sizes_are_bounded() {
    let many: String = (0..100).map(|at| format!("x-{at}: y\r\n")).collect();
    let input = format!("GET / HTTP/1.1\r\nHost: a\r\n{many}\r\n");
    refused("101 fields", input.as_bytes(), "head.too_large");

    let input = format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "y".repeat(32 * 1024));
    let result = at_once(input.as_bytes()).map_err(|error| error.code());
    assert_eq!(result, Err(base::code::HEAD_TOO_LARGE));
    let (endless, _) = input.as_bytes().split_at(32 * 1024);
    let result = at_once(endless).map_err(|error| error.code());
    assert_eq!(result, Err(base::code::HEAD_TOO_LARGE), "before the end is seen");

    for input in [
        format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "y".repeat(8 * 1024)),
        format!("GET /{}", "y".repeat(9 * 1024)),
    ] {
        assert_eq!(at_once(input.as_bytes()), Err(HeadError::TargetTooLong));
    }
}

#[test]
fn what_is_no_http_is_refused_at_once() {
    // A TLS ClientHello, the beginning of a PROXY header of version 2, and the like.
    for input in [&b"\x16\x03\x01\x02\x00\x01"[..], b"\0", b"\x0d\x0a\x0d\x0a\x00", b"{\"a\":1}"] {
        assert!(matches!(at_once(input), Err(HeadError::Malformed(_))), "{input:?}");
    }
}
