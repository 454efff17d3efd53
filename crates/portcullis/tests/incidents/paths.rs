//! Incidents of paths: what is judged is what the upstream sees, and no reader of it can see another.

use crate::http2::{self, Came};
use crate::stage::{ROUTES, Stage, refused};
use std::collections::BTreeSet;
use testkit::RawClient;

/// The path as the most lenient server would read it: escapes decoded once, `\` read as `/`, parameters after `;`
/// cut off, slashes joined, dots resolved, letters in lower case.
fn lenient(target: &str) -> String {
    let path = target.split(['?', '#']).next().unwrap_or_default().as_bytes();
    let mut decoded = Vec::new();
    let mut at = 0;
    while let Some(byte) = path.get(at) {
        let escape = path.get(at + 1..at + 3).and_then(|two| std::str::from_utf8(two).ok());
        match escape.and_then(|two| u8::from_str_radix(two, 16).ok()).filter(|_| *byte == b'%') {
            Some(value) => {
                decoded.push(value);
                at += 3;
            }
            None => {
                decoded.push(*byte);
                at += 1;
            }
        }
    }
    let text = String::from_utf8_lossy(&decoded).to_ascii_lowercase().replace('\\', "/");
    let mut segments: Vec<&str> = Vec::new();
    for segment in text.split('/') {
        match segment.split([';', '\0']).next().unwrap_or_default() {
            "" | "." => {}
            ".." => drop(segments.pop()),
            plain => segments.push(plain),
        }
    }
    format!("/{}", segments.join("/"))
}

/// Sends each target without a credential, over HTTP/1.1 and HTTP/2, and holds what came of it against what any
/// upstream could make of it.
fn nobody_reaches_admin(stage: &Stage, targets: &BTreeSet<String>) {
    let gate = stage.gate.address();
    for target in targets {
        let before = stage.upstream.requests().len();
        let mut client = RawClient::connect(&gate);
        let answer = client.exchange(
            [b"GET ", target.as_bytes(), b" HTTP/1.1\r\nHost: gate\r\n\r\n".as_slice()].concat(),
        );
        assert!(matches!(answer.status, 200 | 400 | 401 | 404), "{target}: {}", answer.text());
        let came = http2::get(&gate, target, &[]);
        assert!(
            matches!(came, Came::Status(200 | 400 | 401 | 404) | Came::Reset(1)),
            "{target}: {came:?}"
        );
        for seen in &stage.upstream.requests()[before..] {
            let read = lenient(&seen.target());
            assert!(
                !read.starts_with("/admin") && !read.starts_with("/api"),
                "{target} was forwarded as {}, which can be read as {read}",
                seen.line()
            );
        }
    }
}

/// Row 5: Oathkeeper GHSA-p224-6x5r-fjpm. Dots lead nowhere.
#[test]
fn incident_05_path_traversal() {
    let stage = Stage::of("h2c = true", ROUTES);
    let mut targets = BTreeSet::new();
    for from in ["/open", "/open/a", "/open/a/b"] {
        for dots in [
            "..", ".", "%2e%2e", "%2E%2E", ".%2e", "%2e.", "%2E", "..;", "..;a=b", "..%00",
            "..%20", "...",
        ] {
            for slash in ["/", "//", "%2f", "%2F", "\\", "%5c", "%5C"] {
                for end in ["admin/x", "admin", "../admin/x", "%2e%2e/admin/x", "/admin/x"] {
                    targets.insert(format!("{from}{slash}{dots}{slash}{end}"));
                    targets.insert(format!("{from}/{dots}{slash}{end}"));
                }
            }
        }
    }
    nobody_reaches_admin(&stage, &targets);
    for plain in
        ["/open/../admin/x", "/open/%2e%2e/admin/x", "/open/./x", "/open/..", "/open/x/.", "/.."]
    {
        refused(&stage.gate.get(plain, &[]), 400, "path.ambiguous");
    }
    // What a server behind may trim (Windows) or decode once more leads nowhere either.
    for doubtful in [
        "/open/..%20/admin/x",
        "/open/.%20./x",
        "/open/x%20",
        "/open/%252e%252e/admin/x",
        "/%2561dmin/x",
    ] {
        refused(&stage.gate.get(doubtful, &[]), 400, "path.ambiguous");
    }
    // Dots that are no segments are plain characters.
    for harmless in ["/open/a..b", "/open/...", "/open/.well-known", "/open/v1.2"] {
        assert_eq!(stage.gate.get(harmless, &[]).status, 200, "{harmless}");
        assert_eq!(stage.upstream.last().target(), harmless);
    }
    stage.alive();
}

/// Paths that some server reads in another way.
const ODD_PATHS: &[&str] = &[
    "/open;/admin/x",
    "/open;x=/../admin",
    "/open/x;/../../admin",
    "/api../x",
    "/open../admin/x",
    "/open/%2",
    "/open/%",
    "/open/%zz",
    "/open/%u002e%u002e/admin",
    "/open/%c0%ae%c0%ae/admin",
    "/open/%c0%af../admin",
    "/open/%e0%80%af/admin",
    "/open/\u{ff0e}\u{ff0e}/admin",
    "/open/a b",
    "/open/x#/../admin",
    "/open/x?/../admin",
    "/open?/../../admin/x",
    "/open\\..\\admin",
    "/admin;/x",
    "/ADMIN/x",
    "/Admin/x",
    "/admin",
    "/admin/",
    "/admin//x",
    "/%61dmin/x",
    "/%61%64%6d%69%6e/x",
    "/adm%69n/x",
];

/// Row 6: Traefik CVE-2025-66490, CVE-2026-40912, CVE-2026-48020. The path that is judged is the path that is
/// forwarded.
#[test]
fn incident_06_path_judged_is_path_forwarded() {
    let stage = Stage::of("h2c = true", ROUTES);
    let mut targets = BTreeSet::new();
    for byte in 0..=255_u8 {
        // Each byte escaped, in both cases of its digits, at each place where it could split or join.
        for escape in [format!("%{byte:02x}"), format!("%{byte:02X}")] {
            targets.insert(format!("/open{escape}admin/x"));
            targets.insert(format!("/open/{escape}/admin/x"));
            targets.insert(format!("/open/{escape}admin"));
            targets.insert(format!("/{escape}admin/x"));
            targets.insert(format!("/admin{escape}/x"));
            targets.insert(format!("/admin{escape}x"));
        }
    }
    for odd in ODD_PATHS {
        targets.insert((*odd).to_owned());
    }
    nobody_reaches_admin(&stage, &targets);
    // What is escaped without need is decoded, judged and forwarded in one and the same form.
    let admin = stage.token("admin");
    for (sent, forwarded) in [
        ("/%61dmin/x", "/admin/x"),
        ("/admin/%7Eme", "/admin/~me"),
        ("/admin/%c3%a9", "/admin/%C3%A9"),
        ("/admin/a%20b", "/admin/a%20b"),
        ("/admin/a%3fb", "/admin/a%3Fb"),
        ("/admin/100%25", "/admin/100%25"),
    ] {
        refused(&stage.gate.get(sent, &[]), 401, "credential.missing");
        refused(&stage.get(sent, &stage.token("read")), 403, "scope.missing");
        assert_eq!(stage.get(sent, &admin).status, 200, "{sent}");
        assert_eq!(stage.upstream.last().target(), forwarded);
    }
    // The query is forwarded byte for byte; the absolute form names the same path.
    assert_eq!(stage.gate.get("/open/x?a=%2e%2e&b=//;c", &[]).status, 200);
    assert_eq!(stage.upstream.last().target(), "/open/x?a=%2e%2e&b=//;c");
    let absolute = |path: &str| {
        let gate = stage.gate.address();
        stage
            .connect()
            .exchange(format!("GET http://{gate}{path} HTTP/1.1\r\nHost: {gate}\r\n\r\n"))
    };
    refused(&absolute("/admin/x"), 401, "credential.missing");
    refused(&absolute("/open/../admin/x"), 400, "path.ambiguous");
    refused(&absolute("//admin/x"), 400, "path.ambiguous");
    assert_eq!(absolute("/open/x").status, 200);
    stage.alive();
}

/// Row 7: OPA-Envoy CVE-2026-26205, grpc-go CVE-2026-33186. Double slashes, and an HTTP/2 path without one.
#[test]
fn incident_07_slashes() {
    let stage = Stage::of("h2c = true", ROUTES);
    for path in [
        "//admin/x",
        "///admin/x",
        "/open//admin/x",
        "//open/x",
        "/open/x//",
        "//",
        "//gate/admin/x",
    ] {
        refused(&stage.gate.get(path, &[]), 400, "path.ambiguous");
        let came = http2::get(&stage.gate.address(), path, &[]);
        assert_eq!(came, Came::Status(400), "{path}");
    }
    for path in [
        "admin/x",
        "open/x",
        "",
        "*",
        "?x",
        "%2fadmin/x",
        "\\admin",
        "./admin/x",
        "../admin/x",
        "http://gate/admin/x",
        "http://gate/open/x",
        "gate:80/open/x",
        " /open/x",
        "\t/open/x",
        "#/open/x",
        "@/open/x",
        ":80/open/x",
    ] {
        let came = http2::get(&stage.gate.address(), path, &[]);
        // RFC 9113 §8.1.1: a malformed request is a stream error, or 400 where it can still be told. A fragment
        // is cut off before the gate sees it, and what is left names no route.
        let nothing = path.starts_with('#') && came == Came::Status(404);
        assert!(
            nothing || matches!(came, Came::Status(400) | Came::Reset(1)),
            "{path:?}: {came:?}"
        );
        // In HTTP/1.1 a target may be absolute (RFC 9112 §3.2.2); its path is judged.
        if !path.starts_with("http:") {
            let request = format!("GET {path} HTTP/1.1\r\nHost: gate\r\n\r\n");
            assert_eq!(stage.connect().exchange(request).status, 400, "{path:?}");
        }
    }
    stage.untouched();
    stage.alive();
}

/// Row 7, the other pseudo-header fields: each once, before all others, and none that is unknown (RFC 9113 §8.3).
#[test]
fn incident_07_pseudo_headers() {
    let stage = Stage::of("h2c = true", ROUTES);
    let gate = stage.gate.address();
    let method: (&[u8], &[u8]) = (b":method", b"GET");
    let scheme: (&[u8], &[u8]) = (b":scheme", b"http");
    let authority: (&[u8], &[u8]) = (b":authority", b"gate");
    let path: (&[u8], &[u8]) = (b":path", b"/open/x");
    let host: (&[u8], &[u8]) = (b"host", b"other");
    let malformed: [&[(&[u8], &[u8])]; 9] = [
        &[method, scheme, authority],
        &[method, scheme, authority, path, (b":path", b"/admin/x")],
        &[method, scheme, authority, path, authority],
        &[method, method, scheme, authority, path],
        &[method, scheme, authority, path, host],
        &[method, scheme, authority, host, path],
        &[method, scheme, path],
        &[method, scheme, authority, path, (b":odd", b"x")],
        &[(b":method", b"CONNECT"), scheme, authority, path],
    ];
    for (number, fields) in malformed.into_iter().enumerate() {
        let came = http2::send(&gate, fields, b"");
        assert!(
            matches!(came, Came::Status(400) | Came::Reset(1) | Came::GoAway(1)),
            "number {number}: {came:?}"
        );
    }
    stage.untouched();
    assert_eq!(http2::send(&gate, &[method, scheme, authority, path], b""), Came::Status(200));
    stage.alive();
}

/// Row 20: agentgateway CVE-2026-29791. What stands in a body stays in the body.
#[test]
fn incident_20_body_arguments() {
    let stage = Stage::standard();
    let token = stage.token("read");
    let bearer = format!("Bearer {token}");
    let post = |path: &str, kind: &str, body: &str| {
        let url = stage.gate.address() + path;
        let headers = [("authorization", bearer.as_str()), ("content-type", kind)];
        testkit::request("POST", &url, &headers, body.as_bytes())
    };
    // The head without what differs by nature: the request's own id, the body's length.
    let shape = || {
        let head = String::from_utf8(stage.upstream.last().head).expect("ASCII");
        let varies = ["content-length", "content-type", "x-request-id", "portcullis-request-id"];
        let keep = |line: &&str| !varies.iter().any(|name| line.starts_with(name));
        head.lines().filter(keep).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(post("/api/mcp", "application/json", "{}").status, 200);
    let plain = shape();
    assert_eq!(plain[0], "POST /api/mcp HTTP/1.1");
    let arguments = r#"{"path":"/admin/x","url":"http://127.0.0.1/admin","method":"DELETE","host":"evil",
        "headers":{"Portcullis-Subject":"root","Authorization":"Bearer x"},"authorization":"Basic eA==",
        "Portcullis-Subject":"root","query":{"access_token":"x"},"_method":"DELETE","../../admin":"%2e%2e"}"#;
    let call = format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"../admin","arguments":{arguments}}}}}"#
    );
    let form = "path=/admin/x&_method=DELETE&host=evil&Portcullis-Subject=root&x=1%0d%0aPortcullis-Subject:%20root";
    let parts = "--b\r\nPortcullis-Subject: root\r\nContent-Disposition: form-data; name=\"path\"\r\n\r\n/admin/x\r\n--b--";
    let request = "GET /admin/x HTTP/1.1\r\nHost: gate\r\nPortcullis-Subject: root\r\n\r\n";
    for (kind, body) in [
        ("application/json", arguments),
        ("application/json", call.as_str()),
        ("application/x-www-form-urlencoded", form),
        ("multipart/form-data; boundary=b", parts),
        ("message/http", request),
    ] {
        assert_eq!(post("/api/mcp", kind, body).status, 200, "{kind}");
        assert_eq!(shape(), plain, "{kind}");
        assert_eq!(stage.upstream.last().body.kept, body.as_bytes(), "{kind}");
    }
    let last = stage.upstream.last();
    assert_eq!(last.header("portcullis-subject").as_deref(), Some("alice"));
    assert_eq!(stage.upstream.count(), 6);
}
