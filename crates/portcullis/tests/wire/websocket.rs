//! WebSockets between the npm package `ws` on both sides.

use crate::stage::{SOON, listener, tls, upstream};
use serde_json::Value;
use testkit::{Authority, Gate, Node, RawClient, node};

/// Messages of 1 B, 2 B, … 1 MiB.
const MESSAGES: &str = "21";

struct Stage {
    gate: Gate,
    key: String,
    folder: tempfile::TempDir,
    tls_port: u16,
    _server: Node,
}

impl Stage {
    /// With the upstream behind TLS as well, or not.
    fn start(secure_upstream: bool) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        Authority::new().write(folder.path(), "server", &["localhost", "127.0.0.1"]);
        let file = |name: &str| folder.path().join(name).display().to_string();
        let (certificate, key) = (file("server.pem"), file("server.key"));
        let files = [certificate.as_str(), key.as_str()];
        let server = if secure_upstream {
            Node::start("websocket.mjs", &[&["serve"], &files[..]].concat())
        } else {
            Node::start("websocket.mjs", &["serve"])
        };
        let lines = if secure_upstream {
            format!("tls = {{ ca = {:?} }}", file("ca.pem"))
        } else {
            String::new()
        };
        let (listener, tls_port) = listener("secure", &tls(folder.path(), "server"));
        let rest = listener
            + &upstream("chat", &[server.url()], &lines)
            + "[[route]]\nname = \"chat\"\npath = \"/chat/{**}\"\nupstream = \"chat\"\n\
               access = { api_key = { scopes = [\"chat\"] } }\n";
        let gate = Gate::start(&rest);
        let made = gate.done(&["key", "create", "--name", "t", "--scope", "chat"]);
        let key = made["key"].as_str().expect("a key").to_owned();
        Self { gate, key, folder, tls_port, _server: server }
    }

    fn plain(&self) -> String {
        format!("ws://{}/chat/room", self.gate.address())
    }

    fn secure(&self) -> String {
        format!("wss://localhost:{}/chat/room", self.tls_port)
    }

    fn call(&self, url: &str, key: &str, ca: bool) -> Value {
        let authorization = if key.is_empty() { String::new() } else { format!("Bearer {key}") };
        let file = self.folder.path().join("ca.pem").display().to_string();
        let mut args = vec!["call", url, &authorization, MESSAGES];
        if ca {
            args.push(&file);
        }
        let output = node("websocket.mjs", &args);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {output:?}"))
    }
}

/// RFC 6455 §4.1, as a client sends it by hand.
fn handshake(headers: &str) -> String {
    format!(
        "GET /chat/room HTTP/1.1\r\nhost: a\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\
         sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n{headers}\r\n"
    )
}

#[test]
fn messages_up_to_a_megabyte_come_back() {
    let stage = Stage::start(false);
    for (url, ca) in [(stage.plain(), false), (stage.secure(), true)] {
        let result = stage.call(&url, &stage.key, ca);
        assert_eq!(result["status"], 101, "{url}: {result}");
        let headers = &result["headers"];
        assert_eq!(headers["authorization"], Value::Null, "the credential went on");
        assert_eq!(headers["portcullis-scopes"], "chat", "{headers}");
        assert_eq!(headers["x-forwarded-proto"], if ca { "https" } else { "http" });
    }
    // Both are recorded: the decision before the first byte, the completion at the end.
    testkit::wait::until(SOON, "the records", || {
        let rows = stage.gate.done(&[
            "audit",
            "query",
            "SELECT kind, status FROM events WHERE route = 'chat'",
        ]);
        rows.as_array()
            .is_some_and(|rows| rows.iter().filter(|row| row["status"] == 101).count() == 2)
    });
}

#[test]
fn messages_pass_to_an_upstream_behind_tls() {
    let stage = Stage::start(true);
    let result = stage.call(&stage.secure(), &stage.key, true);
    assert_eq!(result["status"], 101, "{result}");
}

#[test]
fn no_socket_is_opened_without_a_credential() {
    let stage = Stage::start(false);
    for key in ["", "pk_live_AAAAAAAA"] {
        let result = stage.call(&stage.plain(), key, false);
        assert_eq!(result["status"], 401, "{result}");
    }
    let mut client = RawClient::connect(&stage.gate.address());
    let answer = client.exchange(handshake(""));
    assert_eq!((answer.status, answer.code().as_str()), (401, "credential.missing"));
    assert_eq!(answer.header("upgrade"), None);
}

/// CVE-2026-2833: what follows a refused upgrade is a request like any other, judged like any other; what
/// follows an accepted one is none.
#[test]
fn a_request_behind_an_upgrade_never_passes_unjudged() {
    let stage = Stage::start(false);
    let credential = format!("authorization: Bearer {}\r\n", stage.key);
    let second = "GET /chat/second HTTP/1.1\r\nhost: a\r\n\r\n";
    let mut client = RawClient::connect(&stage.gate.address());
    client.send(handshake("") + second);
    assert_eq!(client.response().status, 401);
    assert_eq!(client.response().status, 401);
    // The server takes it for frames, finds none and hangs up: nothing of it is answered as HTTP.
    let mut client = RawClient::connect(&stage.gate.address());
    client.send(handshake(&credential) + second);
    assert_eq!(client.response().status, 101);
    let mut rest = Vec::new();
    while let Ok(bytes) = client.read_some() {
        if bytes.is_empty() {
            break;
        }
        rest.extend(bytes);
    }
    assert!(
        !rest.windows(5).any(|window| window == b"HTTP/"),
        "{}",
        String::from_utf8_lossy(&rest)
    );
}

#[test]
fn a_revoked_key_closes_its_sockets() {
    let stage = Stage::start(false);
    let made = stage.gate.done(&["key", "create", "--name", "t", "--scope", "chat"]);
    let key = made["key"].as_str().expect("a key");
    let mut client = RawClient::connect(&stage.gate.address());
    client.send(handshake(&format!("x-api-key: {key}\r\n")));
    assert_eq!(client.response().status, 101);
    stage.gate.done(&["key", "revoke", made["id"].as_str().expect("an id")]);
    assert!(client.is_closed(SOON), "the socket outlives its key");
}
