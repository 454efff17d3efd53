//! The control plane from the network.

use crate::setup::{open, upstream};
use testkit::{Gate, RawClient, Upstream};

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
