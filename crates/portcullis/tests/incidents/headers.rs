//! Incidents of headers: who the caller is, where it comes from, and what it cannot have dropped.

use crate::http2::{self, Came};
use crate::stage::{ROUTES, Stage, problem, refused};
use std::net::IpAddr;
use testkit::{RawClient, Seen, Upstream};

/// A route that only one address may use, one that only another host may, and the open ones.
const PLACES: &str = r#"
[[ip_list]]
name = "office"
allow = ["10.1.2.3/32"]

[[route]]
name = "office"
path = "/office/{**}"
upstream = "orders"
ip = ["office"]
access = "public"

[[route]]
name = "internal"
host = "internal.example"
path = "/internal/{**}"
upstream = "orders"
access = "public"

[[route]]
name = "strict-office"
path = "/both/{**}"
upstream = "orders"
ip = ["office"]
access = { jwt = { issuer = "corp", scopes = ["read"] } }
"#;

/// Headers by which a caller could claim to be somewhere, or to ask for something, else.
const CLAIMS: &[(&str, &str)] = &[
    ("X-Forwarded-For", "10.1.2.3"),
    ("X-Forwarded-For", "10.1.2.3, 127.0.0.1"),
    ("X-Forwarded-For", "127.0.0.1, 10.1.2.3"),
    ("x_forwarded_for", "10.1.2.3"),
    ("X-Forwarded-Host", "internal.example"),
    ("X_Forwarded_Host", "internal.example"),
    ("X-Forwarded-Proto", "https"),
    ("X-Forwarded-Port", "443"),
    ("X-Forwarded-Uri", "/office/x"),
    ("X-Forwarded-Method", "DELETE"),
    ("X-Forwarded-Prefix", "/admin"),
    ("X-Forwarded-Server", "internal.example"),
    ("X-Forwarded-User", "root"),
    ("X-Forwarded", "for=10.1.2.3"),
    ("Forwarded", "for=10.1.2.3;host=internal.example;proto=https"),
    ("Forwarded", "for=\"[::1]\", for=10.1.2.3"),
    ("X-Real-IP", "10.1.2.3"),
    ("X_Real_Ip", "10.1.2.3"),
    ("X-Original-URL", "/office/x"),
    ("X-Original-Host", "internal.example"),
    ("X-Rewrite-URL", "/office/x"),
];

/// What only the gate may say, as an upstream behind a CGI-like server would read the names.
fn said_by_the_gate(seen: &Seen) -> Vec<(String, String)> {
    let ours = [
        "portcullis-",
        "client-cert",
        "x-forwarded",
        "x-original-",
        "x-rewrite-url",
        "forwarded",
        "x-real-ip",
    ];
    let fold = |name: &str| {
        name.chars()
            .map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' })
            .collect::<String>()
    };
    let mut all: Vec<(String, String)> = seen
        .headers()
        .into_iter()
        .map(|(name, value)| (fold(&name), value))
        .filter(|(name, _)| ours.iter().any(|start| name.starts_with(start)))
        .filter(|(name, _)| name != "portcullis-request-id")
        .collect();
    all.sort();
    all
}

/// What the gate says of a caller without a name.
fn of_a_stranger(host: &str) -> Vec<(String, String)> {
    [("x-forwarded-for", "127.0.0.1"), ("x-forwarded-host", host), ("x-forwarded-proto", "http")]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .to_vec()
}

/// What the gate says of `alice`.
fn of_alice(host: &str) -> Vec<(String, String)> {
    let mut all = of_a_stranger(host);
    for (name, value) in [("client", "shop"), ("scopes", "read"), ("subject", "alice")] {
        all.push((format!("portcullis-{name}"), value.to_owned()));
    }
    all.sort();
    all
}

/// Row 8: oauth2-proxy CVE-2026-40575, Oathkeeper GHSA-vhr5-ggp3-qq85. Nobody is trusted unless named.
#[test]
fn incident_08_untrusted_forwarding_headers() {
    for listener in [
        "",
        "proxies = { trusted = [], header = \"x-forwarded-for\" }",
        "proxies = { trusted = [], header = \"forwarded\" }",
        "proxies = { trusted = [\"127.0.0.2/32\"], header = \"x-forwarded-for\" }",
        "proxies = { trusted = [\"127.0.0.2/32\"], header = \"forwarded\" }",
    ] {
        let listener = format!("{listener}\nh2c = true");
        let stage = Stage::of(&listener, &(ROUTES.to_owned() + PLACES));
        let gate = stage.gate.address();
        let bearer = format!("Bearer {}", stage.token("read"));
        for (name, value) in CLAIMS {
            let claim = (*name, *value);
            for path in ["/office/x", "/both/x"] {
                let headers = [claim, ("authorization", bearer.as_str())];
                refused(&stage.gate.get(path, &headers), 403, "address.not_listed");
            }
            refused(&stage.gate.get("/internal/x", &[claim]), 404, "route.not_found");
            refused(&stage.gate.get("/admin/x", &[claim]), 401, "credential.missing");
            let lower = name.to_ascii_lowercase();
            assert_eq!(http2::get(&gate, "/office/x", &[(&lower, value)]), Came::Status(403));
            assert_eq!(http2::get(&gate, "/internal/x", &[(&lower, value)]), Came::Status(404));
        }
        stage.untouched();
        for (name, value) in CLAIMS {
            assert_eq!(stage.gate.get("/open/x", &[(name, value)]).status, 200);
            assert_eq!(said_by_the_gate(&stage.upstream.last()), of_a_stranger(&gate), "{name}");
            let lower = name.to_ascii_lowercase();
            assert_eq!(http2::get(&gate, "/open/x", &[(&lower, value)]), Came::Status(200));
            assert_eq!(said_by_the_gate(&stage.upstream.last()), of_a_stranger(&gate), "{name}");
        }
    }
}

/// Row 8, second half: of a proxy that is named, the last hop that is not trusted counts, and no earlier one.
#[test]
fn incident_08_trusted_proxies() {
    let routes = ROUTES.to_owned() + PLACES;
    let proxies = "proxies = { trusted = [\"127.0.0.2/32\", \"192.0.2.0/24\"], header = \"x-forwarded-for\" }";
    let stage = Stage::of(proxies, &routes);
    let proxy: IpAddr = "127.0.0.2".parse().expect("an address");
    let ask = |from: IpAddr, lines: &str| {
        let mut client = RawClient::connect_from(from, &stage.gate.address());
        client.exchange(format!("GET /office/x HTTP/1.1\r\nHost: gate\r\n{lines}\r\n"))
    };
    for good in [
        "X-Forwarded-For: 10.1.2.3\r\n",
        "X-Forwarded-For: 203.0.113.9, 10.1.2.3\r\n",
        "X-Forwarded-For: 10.1.2.3, 192.0.2.7\r\n",
        "X-Forwarded-For: 203.0.113.9\r\nX-Forwarded-For: 10.1.2.3\r\n",
        "X-Forwarded-For: ::ffff:10.1.2.3\r\n",
    ] {
        assert_eq!(ask(proxy, good).status, 200, "{good}");
        assert_eq!(stage.upstream.last().values("x-forwarded-for"), ["10.1.2.3"]);
    }
    let count = stage.upstream.count();
    for bad in [
        "",
        "X-Forwarded-For: 10.1.2.3, 203.0.113.9\r\n",
        "X-Forwarded-For: 10.1.2.3\r\nX-Forwarded-For: 203.0.113.9\r\n",
        "Forwarded: for=10.1.2.3\r\n",
        "X-Real-IP: 10.1.2.3\r\n",
        "X_Forwarded_For: 10.1.2.3\r\n",
        "X-Forwarded-For: 203.0.113.9\r\nx_forwarded_for: 10.1.2.3\r\n",
    ] {
        refused(&ask(proxy, bad), 403, "address.not_listed");
    }
    for unreadable in [
        "X-Forwarded-For: unknown\r\n".to_owned(),
        "X-Forwarded-For: 10.1.2.3, 999.1.1.1\r\n".to_owned(),
        format!("X-Forwarded-For: 10.1.2.3{}\r\n", ", 192.0.2.1".repeat(200)),
    ] {
        let answer = ask(proxy, &unreadable);
        assert!(matches!(answer.status, 400 | 403), "{unreadable}: {}", answer.text());
    }
    refused(
        &ask("127.0.0.3".parse().expect("an address"), "X-Forwarded-For: 10.1.2.3\r\n"),
        403,
        "address.not_listed",
    );
    assert_eq!(stage.upstream.count(), count);
}

/// Row 8, RFC 7239: the same for `Forwarded`, where it is the header that is believed.
#[test]
fn incident_08_trusted_forwarded() {
    let routes = ROUTES.to_owned() + PLACES;
    let proxies =
        "proxies = { trusted = [\"127.0.0.2/32\", \"192.0.2.0/24\"], header = \"forwarded\" }";
    let stage = Stage::of(proxies, &routes);
    let ask = |lines: &str| {
        let proxy = "127.0.0.2".parse().expect("an address");
        let mut client = RawClient::connect_from(proxy, &stage.gate.address());
        client.exchange(format!("GET /office/x HTTP/1.1\r\nHost: gate\r\n{lines}\r\n\r\n"))
    };
    for good in [
        "Forwarded: for=10.1.2.3",
        "Forwarded: FOR=\"10.1.2.3:5000\";proto=https",
        "Forwarded: for=203.0.113.9, by=192.0.2.1;for=10.1.2.3",
        "Forwarded: for=10.1.2.3, for=192.0.2.7",
        "Forwarded: for=203.0.113.9\r\nForwarded: for=10.1.2.3",
    ] {
        assert_eq!(ask(good).status, 200, "{good}");
        assert_eq!(stage.upstream.last().values("x-forwarded-for"), ["10.1.2.3"]);
        assert!(stage.upstream.last().values("forwarded").is_empty());
    }
    let count = stage.upstream.count();
    for bad in [
        "Forwarded: for=10.1.2.3, for=203.0.113.9",
        "Forwarded: for=10.1.2.3, for=unknown",
        "Forwarded: for=10.1.2.3, for=_hidden",
        "Forwarded: for=10.1.2.3, proto=https",
        "Forwarded: by=10.1.2.3",
        "Forwarded: for=\"203.0.113.9, for=10.1.2.3\"",
        "Forwarded: for=203.0.113.9;for=10.1.2.3",
        "Forwarded: for=\"10.1.2.3",
        "Forwarded: for=10.1.2.3.evil",
        "X-Forwarded-For: 10.1.2.3",
    ] {
        let answer = ask(bad);
        assert!(matches!(answer.status, 400 | 403), "{bad}: {}", answer.text());
        problem(&answer);
    }
    assert_eq!(stage.upstream.count(), count);
}

/// Row 8, once more: the PROXY protocol is believed from trusted peers alone, and expected of them.
#[test]
fn incident_08_proxy_protocol() {
    let routes = ROUTES.to_owned() + PLACES;
    let proxies = "proxies = { trusted = [\"127.0.0.2/32\"], header = \"proxy-protocol\" }";
    let stage = Stage::of(proxies, &routes);
    let ask = |from: &str, before: &str| {
        let from = from.parse().expect("an address");
        let mut client = RawClient::connect_from(from, &stage.gate.address());
        let request = "GET /office/x HTTP/1.1\r\nHost: gate\r\nX-Forwarded-For: 10.1.2.3\r\n\r\n";
        client.send(before.to_owned() + request);
        client.try_response("GET")
    };
    let claim = "PROXY TCP4 10.1.2.3 10.0.0.1 5000 80\r\n";
    assert_eq!(ask("127.0.0.2", claim).expect("an answer").status, 200);
    assert_eq!(stage.upstream.last().values("x-forwarded-for"), ["10.1.2.3"]);
    refused(&ask("127.0.0.1", claim).expect("an answer"), 400, "request.malformed");
    refused(&ask("127.0.0.1", "").expect("an answer"), 403, "address.not_listed");
    let elsewhere = "PROXY TCP4 203.0.113.9 10.0.0.1 5000 80\r\n";
    refused(&ask("127.0.0.2", elsewhere).expect("an answer"), 403, "address.not_listed");
    assert!(ask("127.0.0.2", &(elsewhere.to_owned() + claim)).expect("an answer").status == 400);
    assert!(ask("127.0.0.2", "").is_err(), "a trusted peer without its header was answered");
    assert_eq!(stage.upstream.count(), 1);
}

/// Names that only the gate may write.
const IDENTITY: &[&str] = &[
    "Portcullis-Subject",
    "Portcullis-Client",
    "Portcullis-Scopes",
    "Portcullis-Assertion",
    "Portcullis-Request-Id",
    "Portcullis-Groups",
    "Client-Cert",
    "Client-Cert-Chain",
    "X-Forwarded-Client-Cert",
    "X-Request-Id",
    "X-Forwarded-User",
];

/// The spellings of `name` that readers take for the same most often.
fn usual(name: &str) -> Vec<String> {
    let odd = name
        .chars()
        .enumerate()
        .map(|(at, c)| if at % 2 == 0 { c.to_ascii_lowercase() } else { c.to_ascii_uppercase() });
    vec![
        name.to_owned(),
        name.to_ascii_lowercase(),
        odd.collect(),
        name.replacen('-', "_", 1),
        name.to_ascii_uppercase().replace('-', "_"),
        name.replace('-', "."),
    ]
}

/// Every spelling of `name` that some reader takes for the same: each mark that a token may hold (RFC 9110 §5.6.2)
/// becomes `_` in some environment.
fn spellings(name: &str) -> Vec<String> {
    let mut all = usual(name);
    all.push(name.to_ascii_uppercase());
    all.extend("_!#$%&'*+^`|~".chars().map(|mark| name.replace('-', &mark.to_string())));
    all
}

/// Row 9: Traefik CVE-2026-39858, CVE-2026-35051, Caddy CVE-2026-52845. No spelling of an identity header passes.
#[test]
fn incident_09_identity_header_spellings() {
    let stage = Stage::of("h2c = true", ROUTES);
    let gate = stage.gate.address();
    let bearer = format!("Bearer {}", stage.token("read"));
    let auth = ("authorization", bearer.as_str());
    for name in IDENTITY {
        for spelling in spellings(name) {
            for lines in [vec![(spelling.as_str(), "root")], vec![(spelling.as_str(), "root"); 3]] {
                let with_token = [vec![auth], lines.clone(), vec![("accept", "*/*")]].concat();
                assert_eq!(stage.gate.get("/api/x", &with_token).status, 200, "{spelling}");
                let seen = stage.upstream.last();
                assert_eq!(said_by_the_gate(&seen), of_alice(&gate), "{spelling}");
                no_trace(&seen, &spelling);
            }
            let lower = spelling.to_ascii_lowercase();
            let fields = [("authorization", bearer.as_str()), (lower.as_str(), "root")];
            assert_eq!(http2::get(&gate, "/api/x", &fields), Came::Status(200), "{spelling}");
            let seen = stage.upstream.last();
            assert_eq!(said_by_the_gate(&seen), of_alice(&gate), "{spelling} over HTTP/2");
            no_trace(&seen, &spelling);
        }
    }
    let count = stage.upstream.count();
    // RFC 9113 §8.2.1: no capitals in HTTP/2.
    for name in [
        "Portcullis-Subject",
        "PORTCULLIS-SUBJECT",
        "portcullis-Subject",
        "portcullis subject",
        "portcullis-subject ",
    ] {
        let came = http2::get(&gate, "/api/x", &[("authorization", &bearer), (name, "root")]);
        assert!(
            matches!(came, Came::Reset(1) | Came::GoAway(_) | Came::Status(400)),
            "{name}: {came:?}"
        );
    }
    // What is no field name is no request.
    for line in [
        "Portcullis-Subject : root",
        " Portcullis-Subject: root",
        "Portcullis Subject: root",
        "Accept: a\r\n Portcullis-Subject: root",
        "Accept: a\r\n\tb",
        ": root",
        "Portcullis-Subject",
    ] {
        let request = format!(
            "GET /api/x HTTP/1.1\r\nHost: gate\r\nAuthorization: {bearer}\r\n{line}\r\n\r\n"
        );
        let answer = stage.connect().exchange(request);
        refused(&answer, 400, "request.malformed");
    }
    assert_eq!(stage.upstream.count(), count);
}

/// That nothing of the value `root` is left, and that the request's id is ours, once.
fn no_trace(seen: &Seen, spelling: &str) {
    for (name, value) in seen.headers() {
        assert!(!value.contains("root"), "{spelling} arrived as {name}: {value}");
    }
    for name in ["x-request-id", "portcullis-request-id"] {
        assert_eq!(seen.values(name).len(), 1, "{spelling}: {name}");
    }
}

/// Row 9, in trailers: an upstream that merges them into the head must not find an identity there either.
#[test]
fn incident_09_identity_in_trailers() {
    let stage = Stage::of("h2c = true", ROUTES);
    let gate = stage.gate.address();
    let bearer = format!("Bearer {}", stage.token("read"));
    for name in IDENTITY.iter().chain(&[
        "Authorization",
        "X-Api-Key",
        "Forwarded",
        "X-Real-IP",
        "Cookie",
        "Host",
    ]) {
        for spelling in spellings(name) {
            let answer = stage.connect().exchange(format!(
                "POST /api/x HTTP/1.1\r\nHost: gate\r\nAuthorization: {bearer}\r\nTransfer-Encoding: chunked\r\n\
                 Trailer: {spelling}\r\n\r\n2\r\nok\r\n0\r\n{spelling}: root\r\nGrpc-Status: 0\r\n\r\n"
            ));
            let trailers = match answer.status {
                200 => stage.upstream.last().body.trailers,
                400 => continue,
                _ => panic!("{spelling}: {}", answer.text()),
            };
            assert!(trailers.iter().all(|(_, value)| value != "root"), "{spelling}: {trailers:?}");
            let lower = spelling.to_ascii_lowercase();
            let auth = ("authorization", bearer.as_str());
            let trailers = [(lower.as_str(), "root"), ("grpc-status", "0")];
            let came = http2::post_with_trailers(&gate, "/api/x", &[auth], b"ok", &trailers);
            assert!(
                matches!(came, Came::Status(200 | 400) | Came::Reset(1)),
                "{spelling}: {came:?}"
            );
            let trailers = stage.upstream.last().body.trailers;
            assert!(trailers.iter().all(|(_, value)| value != "root"), "{spelling}: {trailers:?}");
        }
    }
    // What is harmless does arrive, so that the test above looks at something.
    let harmless = [("grpc-status", "0")];
    let auth = ("authorization", bearer.as_str());
    let came = http2::post_with_trailers(&gate, "/api/x", &[auth], b"ok", &harmless);
    assert_eq!(came, Came::Status(200));
    let trailers = stage.upstream.last().body.trailers;
    assert_eq!(trailers, [("grpc-status".to_owned(), "0".to_owned())]);
}

/// A path, a credential for it, and the names of what the gate says then.
type Caller<'c> = (&'c str, Vec<(&'c str, &'c str)>, &'c [&'c str]);

/// Row 10: Caddy CVE-2026-30851, APISIX CVE-2026-39998. Where the scheme has no value for a header, there is none.
#[test]
fn incident_10_no_value_no_header() {
    let stage = Stage::of("h2c = true", ROUTES);
    let gate = stage.gate.address();
    let key = stage.key("read");
    // A token without client and scope, one without a subject, a key, and nobody at all.
    let mut bare = stage.issuer.claims(crate::stage::AUDIENCE, "read");
    bare.as_object_mut().expect("claims").remove("client_id");
    let bare = format!("Bearer {}", stage.secret(stage.issuer.sign(&bare)));
    let mut nameless = stage.issuer.claims(crate::stage::AUDIENCE, "read");
    nameless.as_object_mut().expect("claims").remove("sub");
    let nameless = format!("Bearer {}", stage.secret(stage.issuer.sign(&nameless)));
    let callers: [Caller<'_>; 4] = [
        ("/open/x", vec![], &[]),
        ("/api/x", vec![("authorization", &bare)], &["portcullis-scopes", "portcullis-subject"]),
        ("/keys/x", vec![("x-api-key", &key)], &["portcullis-scopes", "portcullis-subject"]),
        ("/api/x", vec![("authorization", &nameless)], &["portcullis-client", "portcullis-scopes"]),
    ];
    for (path, credential, known) in callers {
        for name in IDENTITY {
            for spelling in usual(name) {
                let headers = [credential.clone(), vec![(spelling.as_str(), "root")]].concat();
                let count = stage.upstream.count();
                let answer = stage.gate.get(path, &headers);
                let lower = spelling.to_ascii_lowercase();
                let fields = [credential.clone(), vec![(lower.as_str(), "root")]].concat();
                let came = http2::get(&gate, path, &fields);
                if answer.status == 401 {
                    // A token that names nobody may be refused as a whole.
                    assert_eq!((came, stage.upstream.count()), (Came::Status(401), count));
                    continue;
                }
                assert_eq!((answer.status, came), (200, Came::Status(200)), "{spelling}");
                for seen in stage.upstream.requests().iter().rev().take(2) {
                    no_trace(seen, &spelling);
                    let said = said_by_the_gate(seen);
                    let names: Vec<&str> = said.iter().map(|(name, _)| name.as_str()).collect();
                    let names: Vec<&str> = names
                        .into_iter()
                        .filter(|name| {
                            name.starts_with("portcullis-") || name.starts_with("client-cert")
                        })
                        .collect();
                    assert_eq!(names, known, "{path} with {spelling}");
                }
            }
        }
    }
}

/// Row 11: Oathkeeper GHSA-w9mr-28mw-j8hg, Kong CVE-2026-6338. Nobody can have our headers dropped on the way.
#[test]
fn incident_11_connection_names_our_headers() {
    let stage = Stage::of("h2c = true", ROUTES);
    let gate = stage.gate.address();
    let bearer = format!("Bearer {}", stage.token("read"));
    let ask = |lines: &str| {
        stage.connect().exchange(format!(
            "GET /api/x HTTP/1.1\r\nHost: {gate}\r\nAuthorization: {bearer}\r\nX-Kept: 1\r\n{lines}\r\n\r\n"
        ))
    };
    for name in IDENTITY.iter().chain(&["X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto"])
    {
        for spelling in usual(name) {
            for lines in [
                format!("Connection: {spelling}"),
                format!("Connection: close, {spelling}"),
                format!("Connection: {spelling},keep-alive\r\n{name}: root"),
                format!("Connection: keep-alive\r\nConnection: {spelling}"),
                format!("connection:\t{spelling}\t"),
                format!("Proxy-Connection: {spelling}"),
                format!("Keep-Alive: {spelling}"),
            ] {
                let answer = ask(&lines);
                if answer.status == 400 {
                    problem(&answer);
                    continue;
                }
                assert_eq!(answer.status, 200, "{lines}: {}", answer.text());
                let seen = stage.upstream.last();
                assert_eq!(said_by_the_gate(&seen), of_alice(&gate), "{lines}");
                no_trace(&seen, &lines);
                for hop in ["connection", "proxy-connection", "keep-alive"] {
                    assert!(seen.values(hop).is_empty(), "{lines}: {hop} arrived");
                }
            }
        }
    }
}

/// Row 11, second half: nor any header that frames a message or says what a caller may.
#[test]
fn incident_11_connection_names_what_must_arrive() {
    let stage = Stage::of("h2c = true", ROUTES);
    let gate = stage.gate.address();
    let bearer = format!("Bearer {}", stage.token("read"));
    let ask = |lines: &str| {
        stage.connect().exchange(format!(
            "GET /api/x HTTP/1.1\r\nHost: {gate}\r\nAuthorization: {bearer}\r\nX-Kept: 1\r\n{lines}\r\n\r\n"
        ))
    };
    let count = stage.upstream.count();
    for name in [
        "Content-Length",
        "Transfer-Encoding",
        "Host",
        "Authorization",
        "Cookie",
        "X-Api-Key",
        "Content-Type",
        "Traceparent",
        "Origin",
    ] {
        for spelling in [name.to_owned(), name.to_ascii_lowercase(), name.replace('-', "_")] {
            for lines in [
                format!("Connection: {spelling}"),
                format!("Connection: x, {spelling}, y"),
                format!("Connection: x\r\nConnection: {spelling}"),
            ] {
                refused(&ask(&lines), 400, "header.forbidden");
                let body = format!("{lines}\r\nContent-Length: 5");
                refused(&ask(&body), 400, "header.forbidden");
            }
        }
    }
    for odd in [
        "Connection: portcullis subject",
        "Connection: \"portcullis-subject\"",
        "Connection: a=b;c",
        "Connection: @",
    ] {
        refused(&ask(odd), 400, "request.malformed");
    }
    assert_eq!(stage.upstream.count(), count);
    // What a caller may have dropped is dropped, and nothing else.
    assert_eq!(ask("Connection: close, x-mine\r\nX-Mine: 1").status, 200);
    let seen = stage.upstream.last();
    assert_eq!((seen.values("x-mine").len(), seen.values("x-kept").len()), (0, 1));
    // RFC 9113 §8.2.2: HTTP/2 knows no such field.
    for (name, value) in [
        ("connection", "portcullis-subject"),
        ("proxy-connection", "x"),
        ("keep-alive", "x"),
        ("transfer-encoding", "chunked"),
        ("upgrade", "websocket"),
        ("te", "chunked"),
    ] {
        let came = http2::get(&gate, "/api/x", &[("authorization", &bearer), (name, value)]);
        assert!(matches!(came, Came::Reset(1) | Came::Status(400)), "{name}: {came:?}");
    }
    assert_eq!(stage.upstream.count(), count + 1);
}

/// Row 13, as far as there are rules on headers: Envoy CVE-2026-26308, Istio CVE-2026-31838. A credential that is
/// repeated or joined is none, wherever the good one stands.
#[test]
fn incident_13_repeated_and_joined_credentials() {
    let stage = Stage::of("h2c = true", ROUTES);
    let (good, key) = (stage.token("read"), stage.key("read"));
    let bad = stage.token("nothing");
    let (good, bad) = (format!("Bearer {good}"), format!("Bearer {bad}"));
    let gate = stage.gate.address();
    for pair in [[&good, &bad], [&bad, &good], [&good, &good]] {
        let twice = [("authorization", pair[0].as_str()), ("Authorization", pair[1].as_str())];
        refused(&stage.gate.get("/api/x", &twice), 400, "credential.multiple");
        let lower = [("authorization", pair[0].as_str()), ("authorization", pair[1].as_str())];
        assert_eq!(http2::get(&gate, "/api/x", &lower), Came::Status(400));
        for joined in [
            format!("{}, {}", pair[0], pair[1]),
            format!("{},{}", pair[0], &pair[1][7..]),
            format!("{} {}", pair[0], &pair[1][7..]),
        ] {
            let answer = stage.gate.get("/api/x", &[("authorization", &joined)]);
            assert_eq!(answer.status, 401, "{}", answer.text());
        }
    }
    let other = stage.key("nothing");
    for pair in [[&key, &other], [&other, &key], [&key, &key]] {
        let twice = [("x-api-key", pair[0].as_str()), ("X-API-Key", pair[1].as_str())];
        refused(&stage.gate.get("/keys/x", &twice), 400, "credential.multiple");
        let joined = format!("{}, {}", pair[0], pair[1]);
        assert_eq!(stage.gate.get("/keys/x", &[("x-api-key", &joined)]).status, 401);
        let both = [("x-api-key", pair[0].as_str()), ("x_api_key", pair[1].as_str())];
        let answer = stage.gate.get("/keys/x", &both);
        let expected = if pair[0] == &key { 200 } else { 403 };
        assert_eq!(answer.status, expected, "{}", answer.text());
    }
    let credentials = ["authorization", "x-api-key", "x_api_key"];
    for seen in stage.upstream.requests() {
        assert!(credentials.iter().all(|name| seen.values(name).is_empty()), "{}", seen.line());
    }
    stage.alive();
}

/// Cookies ignore ports, so those of the gate pass it in neither direction, whatever stands beside them.
#[test]
fn our_cookies_never_pass() {
    let upstream = Upstream::start(|_| {
        let cookies = [
            ("set-cookie", "a=1; Path=/"),
            ("set-cookie", "__Host-portcullis_session=forged; Path=/; Secure"),
            ("Set-Cookie", " portcullis_session=forged"),
            ("set-cookie", "PORTCULLIS_CSRF=forged"),
            ("portcullis-subject", "root"),
        ];
        testkit::Answer::with(200, &cookies, b"ok")
    });
    let stage = Stage::with(upstream, "h2c = true", ROUTES);
    let session = stage.secret("5e5510n-of-somebody-0123456789".to_owned());
    for name in [
        "portcullis_session",
        "__Host-portcullis_session",
        "__Host-portcullis",
        "Portcullis_Session",
    ] {
        let own = format!("{name}={session}");
        for cookies in [
            vec![format!("a=1; {own}; b=2")],
            vec![format!("{own};a=1;b=2")],
            vec![format!("a=1; b=2;{own}")],
            vec!["a=1".to_owned(), own.clone(), "b=2".to_owned()],
            vec![own.clone(), format!("a=1;  {own}; b=2")],
        ] {
            let lines: Vec<(&str, &str)> =
                cookies.iter().map(|cookie| ("cookie", cookie.as_str())).collect();
            let answer = stage.gate.get("/open/x", &lines);
            assert_eq!(answer.values("set-cookie"), ["a=1; Path=/"]);
            assert!(answer.values("portcullis-subject").is_empty());
            let arrived = |seen: Seen| seen.values("cookie").join("; ").replace(' ', "");
            assert_eq!(arrived(stage.upstream.last()), "a=1;b=2", "{cookies:?}");
            assert_eq!(http2::get(&stage.gate.address(), "/open/x", &lines), Came::Status(200));
            assert_eq!(arrived(stage.upstream.last()), "a=1;b=2", "{cookies:?} over HTTP/2");
        }
    }
}
