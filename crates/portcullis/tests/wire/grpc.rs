//! gRPC between npm `@grpc/grpc-js` on both sides, over HTTP/2 without TLS.

use crate::stage::upstream;
use serde_json::{Value, json};
use testkit::{Gate, Node, node};

/// Status codes of gRPC.
const PERMISSION_DENIED: u32 = 7;
const UNAVAILABLE: u32 = 14;
const UNAUTHENTICATED: u32 = 16;

struct Stage {
    gate: Gate,
    key: String,
    server: Node,
}

impl Stage {
    fn start() -> Self {
        let server = Node::start("grpc.mjs", &["serve"]);
        let rest = upstream("echo", &[server.url()], "protocol = \"h2\"")
            + "[[route]]\nname = \"echo\"\npath = \"/echo.Echo/{**}\"\nmethods = [\"POST\"]\n\
               upstream = \"echo\"\naccess = { api_key = { scopes = [\"echo\"] } }\n";
        let gate = Gate::builder().listener("h2c = true").rest(&rest).start();
        let made = gate.done(&["key", "create", "--name", "t", "--scope", "echo"]);
        let key = format!("Bearer {}", made["key"].as_str().expect("a key"));
        Self { gate, key, server }
    }

    fn ask(&self, mode: &str, authorization: &str) -> Value {
        let output = node("grpc.mjs", &[mode, &self.gate.address(), authorization]);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {output:?}"))
    }
}

#[test]
fn calls_of_every_kind_end_with_their_trailers() {
    let stage = Stage::start();
    let result = stage.ask("call", &stage.key);
    let expected = json!({
        "once": { "code": 0, "text": "hello", "count": "1" },
        "many": { "code": 0, "messages": 100, "count": "100" },
        "chat": { "code": 0, "messages": 10, "count": "10" },
        // A status of the service itself is its answer, not ours.
        "refuse": { "code": PERMISSION_DENIED, "text": null, "count": null },
    });
    assert_eq!(result, expected);
}

#[test]
fn a_refusal_is_a_status_that_clients_know() {
    let mut stage = Stage::start();
    assert_eq!(stage.ask("once", "")["code"], UNAUTHENTICATED);
    stage.server.kill();
    assert_eq!(stage.ask("once", &stage.key)["code"], UNAVAILABLE);
}
