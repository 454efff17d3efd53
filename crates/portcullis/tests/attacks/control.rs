//! The control plane from the network.

use crate::setup::{PATIENCE, open, upstream};
use std::net::IpAddr;
use testkit::{Authority, Gate, RawClient, Upstream, wait};

/// DNS rebinding: a page of anybody lets its own name lead to the control address, and asks under that name.
#[test]
fn a_page_of_somebody_else_reads_the_control_plane() {
    let up = Upstream::ok();
    let gate = Gate::start(&(upstream(&up) + &open("a", "/{**}", "")));
    let control = gate.control();
    let address = control.trim_start_matches("http://").to_owned();
    let port = address.rsplit(':').next().expect("a port").to_owned();
    let ask = |head: &str| {
        let mut client = RawClient::connect(&address);
        let answer = client.exchange(format!("{head}\r\nConnection: close\r\n\r\n"));
        (answer.status, answer.text())
    };
    for path in ["/", "/metrics", "/api/openapi.json", "/api/v1/keys", "/.well-known/jwks.json"] {
        for host in [
            "evil.example",
            &format!("evil.example:{port}"),
            &format!("localhost.evil.example:{port}"),
            "localhost@evil.example",
            "evil.example\r\nHost: localhost",
            "192.0.2.1",
            "[::1%lo]",
            "",
        ] {
            let (status, text) = ask(&format!("GET {path} HTTP/1.1\r\nHost: {host}"));
            assert!((400..500).contains(&status), "{path} as {host}: {status} {text}");
        }
        let (status, text) =
            ask(&format!("GET http://evil.example{path} HTTP/1.1\r\nHost: localhost:{port}"));
        assert!((400..500).contains(&status), "{path}: {status} {text}");
    }
}

/// Over the network nothing of the API answers, however its path is written.
#[test]
fn the_control_api_answers_over_the_network() {
    let up = Upstream::ok();
    let gate = Gate::start(&(upstream(&up) + &open("a", "/{**}", "")));
    let address = gate.control().trim_start_matches("http://").to_owned();
    for method in ["GET", "POST", "DELETE", "PUT", "PATCH", "OPTIONS", "HEAD"] {
        for path in [
            "/api/v1/keys",
            "/api/v1/keys/",
            "//api/v1/keys",
            "/./api/v1/keys",
            "/metrics/../api/v1/keys",
            "/metrics/..%2fapi/v1/keys",
            "/%61pi/v1/keys",
            "/API/v1/keys",
            "/api/openapi.json/../v1/keys",
            "/api/openapi.json%00/../v1/keys",
            "/api/v1/keys?x=/livez",
            "/livez;/api/v1/keys",
            "/api\\v1\\keys",
        ] {
            let mut client = RawClient::connect(&address);
            client.send(format!(
                "{method} {path} HTTP/1.1\r\nHost: {address}\r\nX-Original-URL: /livez\r\n\
                 X-Forwarded-For: 127.0.0.1\r\nContent-Length: 2\r\n\
                 Content-Type: application/json\r\nConnection: close\r\n\r\n{{}}"
            ));
            let Ok(answer) = client.try_response(method) else { continue };
            assert!((400..500).contains(&answer.status), "{method} {path}: {}", answer.status);
            assert!(!answer.text().contains("\"keys\""), "{method} {path}");
        }
    }
}

/// One address holds its share of the control address and no more: the others go on.
#[test]
fn one_address_takes_all_connections_of_the_control_address() {
    /// As `control` has it: a quarter of 1,024.
    const SHARE: usize = 256;
    let up = Upstream::ok();
    let gate = Gate::start(&(upstream(&up) + &open("a", "/{**}", "")));
    let address = gate.control().trim_start_matches("http://").replace("localhost", "127.0.0.1");
    let from = |last: u8| RawClient::connect_from(IpAddr::from([127, 0, 0, last]), &address);
    let ask = format!("GET /livez HTTP/1.1\r\nHost: {address}\r\n\r\n");
    let mut held: Vec<RawClient> = (0..SHARE).map(|_| from(9)).collect();
    for client in &mut held {
        assert_eq!(client.exchange(&ask).status, 200);
    }
    let mut more = from(9);
    let turned = more.response();
    assert_eq!((turned.status, turned.code()), (429, "address.crowded".to_owned()));
    assert!(turned.header("retry-after").is_some());
    assert_eq!(from(1).exchange(&ask).status, 200, "another address is let in");
    held.pop();
    wait::until(PATIENCE, "a place", || {
        let mut client = from(9);
        let _ = client.try_send(ask.as_bytes());
        client.try_response("GET").is_ok_and(|answer| answer.status == 200)
    });
    let sql = "SELECT client_ip, outcome FROM events WHERE code = 'address.crowded'";
    let rows = gate.done(&["audit", "query", sql]);
    assert_eq!(rows[0]["client_ip"], "127.0.0.9", "{rows}");
    assert_eq!(rows[0]["outcome"], "deny", "{rows}");
}

/// RFC 6797: who came over TLS once is never led to plain HTTP again; `localhost` is left to its other programs.
#[test]
fn rfc6797_s7_1_a_browser_is_kept_to_tls() {
    const KEPT: Option<&str> = Some("max-age=31536000");
    let up = Upstream::ok();
    let rest = upstream(&up) + &open("a", "/{**}", "");
    let file = |lines: &str| {
        format!(
            "version = 1\n[server]\ncontrol = \"127.0.0.1:@control@\"\n{lines}\n\
             [[listener]]\nname = \"api\"\nbind = \"127.0.0.1:@gateway@\"\n{rest}"
        )
    };
    let ask = |client: &mut RawClient, host: &str, path: &str| {
        let answer = client.exchange(format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n"));
        answer.header("strict-transport-security").map(str::to_owned)
    };
    // A proxy in front speaks TLS.
    let behind = Gate::builder().whole(&file("public_url = \"https://login.example\"")).start();
    let address = behind.control().trim_start_matches("http://").to_owned();
    let mut client = RawClient::connect(&address);
    for path in ["/login", "/.well-known/openid-configuration", "/api/v1/keys"] {
        assert_eq!(ask(&mut client, "login.example", path).as_deref(), KEPT, "{path}");
    }
    assert_eq!(ask(&mut client, "localhost", "/login"), None);
    assert_eq!(ask(&mut client, "evil.example", "/login"), None, "not ours to promise");
    // We do.
    let folder = tempfile::tempdir().expect("a folder");
    let authority = Authority::new();
    let (cert, key) = authority.write(folder.path(), "server", &["gate.test", "localhost"]);
    let tls = format!("tls = {{ cert = {:?}, key = {:?} }}\n", cert, key);
    let url = "public_url = \"https://gate.test\"\n";
    let secure = Gate::builder().whole(&file(&(tls + url))).start();
    let address = secure.control().trim_start_matches("https://").to_owned();
    let mut client = RawClient::connect_tls(&address, "gate.test", &authority, &[]);
    assert_eq!(ask(&mut client, "gate.test", "/login").as_deref(), KEPT);
    assert_eq!(ask(&mut client, "localhost", "/login"), None);
    // Plain HTTP promises nothing (RFC 6797 §7.2).
    let plain = Gate::start(&rest);
    let address = plain.control().trim_start_matches("http://").to_owned();
    assert_eq!(ask(&mut RawClient::connect(&address), "localhost", "/login"), None);
}
