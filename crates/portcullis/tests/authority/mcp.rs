//! An MCP server that knows nothing of OAuth, behind the gate; clients that know nothing but its address.

use crate::setup::*;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use testkit::{Gate, Node, Person, converse, free_port};

/// The scope of the MCP server's route.
const TOOLS: &str = "tools:call";

struct Server {
    gate: Gate,
    _node: Node,
}

impl Server {
    fn start(lines: &str) -> Self {
        let node = Node::start("mcp.mjs", &["/mcp"]);
        let gate = Gate::start(&format!(
            "[authority]\nregistration = \"open\"\n{lines}\n\
             [[upstream]]\nname = \"mcp\"\nservers = [\"{}\"]\n\
             [[route]]\nname = \"mcp\"\npath = \"/mcp\"\nupstream = \"mcp\"\n\
             access = {{ jwt = {{ issuer = \"self\", scopes = [\"{TOOLS}\"] }} }}\n",
            node.url()
        ));
        Self { gate, _node: node }
    }

    fn url(&self) -> String {
        self.gate.url() + "/mcp"
    }
}

#[test]
fn a_client_that_knows_only_the_address_signs_its_person_in_and_calls_a_tool() {
    let server = Server::start("");
    let mut person = Person::new(&server.gate, "Ada");
    let facts = json!({ "url": server.url(), "redirect_uri": "http://127.0.0.1:4711/callback" });
    let result = converse(&script("mcp"), &facts, |question| answer(question, &mut person));
    assert_eq!(person.saw(), ["Sign in", "Allow Agent?"], "{result}");
    assert_eq!(result["tools"], json!(["whoami"]), "{result}");
    let said = &result["answer"];
    assert_eq!(said["subject"], person.id(), "{result}");
    // The server never sees the credential, and learns what it is worth.
    assert_eq!(said["authorization"], Value::Null, "{result}");
    let scopes = said["scopes"].as_str().unwrap_or_default();
    assert!(scopes.split(' ').any(|scope| scope == TOOLS), "{result}");
    // It went by the metadata of the resource, which names the authority (RFC 9728 §5).
    let asked = result["asked"].to_string();
    assert!(asked.contains("/.well-known/oauth-protected-resource/mcp 200"), "{asked}");
    assert!(asked.contains("/.well-known/oauth-authorization-server 200"), "{asked}");
    let url = result["url"].as_str().expect("an address");
    assert_eq!(testkit::parameter(url, "resource"), Some(server.url()), "{url}");
}

#[test]
fn a_token_for_another_resource_opens_no_server() {
    let server = Server::start(
        "[[route]]\nname = \"other\"\npath = \"/other\"\nupstream = \"mcp\"\n\
         access = { jwt = { issuer = \"self\", scopes = [\"tools:call\"] } }\n",
    );
    let args = ["client", "create", "--name", "Job", "--grant", "client_credentials"];
    let made = server.gate.done(&[&args[..], &["--scope", TOOLS]].concat());
    let id = made["client_id"].as_str().expect("an id");
    let secret = made["client_secret"].as_str().expect("a secret");
    let other = server.gate.url() + "/other";
    let form = testkit::encode(&[
        ("grant_type", "client_credentials"),
        ("client_id", id),
        ("client_secret", secret),
        ("resource", &other),
    ]);
    let url = server.gate.control() + "/oauth/token";
    let kind = [("content-type", "application/x-www-form-urlencoded")];
    let answer = testkit::request("POST", &url, &kind, form.as_bytes());
    // The client's default method is HTTP Basic; in the body its secret is refused (RFC 6749 §2.3.1).
    assert_eq!(answer.status, 401, "{}", answer.text());
    let made = server
        .gate
        .done(&[&args[..], &["--scope", TOOLS, "--auth", "client_secret_post"]].concat());
    let form = testkit::encode(&[
        ("grant_type", "client_credentials"),
        ("client_id", made["client_id"].as_str().expect("an id")),
        ("client_secret", made["client_secret"].as_str().expect("a secret")),
        ("resource", &other),
    ]);
    let answer = testkit::request("POST", &url, &kind, form.as_bytes());
    assert_eq!(answer.status, 200, "{}", answer.text());
    let token = answer.json()["access_token"].as_str().expect("a token").to_owned();
    let bearer = format!("Bearer {token}");
    let call = |path: &str| server.gate.get(path, &[("authorization", &bearer)]);
    let refused = call("/mcp");
    assert_eq!((refused.status, refused.code().as_str()), (401, "token.wrong_audience"));
    assert_eq!(call("/other").status, 404, "it passes the gate, and the server has no such path");
}

/// Runs `conformance ARGS` and gives the checks that it wrote. `visit` gets each address that it prints.
fn conformance(args: &[&str], mut visit: impl FnMut(&str)) -> Vec<Value> {
    let parts = testkit::parts();
    let folder = tempfile::tempdir().expect("a folder");
    let mut node = Command::new("node");
    node.arg("--import").arg(script("glob"));
    node.arg(parts.join("node_modules/@modelcontextprotocol/conformance/dist/index.js"));
    node.args(args).arg("--output-dir").arg(folder.path());
    node.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::inherit());
    let mut child = node.spawn().expect("node runs");
    let mut printed = String::new();
    for line in BufReader::new(child.stdout.take().expect("a pipe")).lines().map_while(Result::ok) {
        if line.starts_with("http://") {
            visit(&line);
        }
        printed = printed + &line + "\n";
    }
    let status = child.wait().expect("its end");
    assert!(status.success(), "{status}\n{printed}");
    let mut checks = Vec::new();
    for file in files(folder.path()).into_iter().filter(|file| file.ends_with("checks.json")) {
        let text = std::fs::read_to_string(file).expect("a file");
        let list: Vec<Value> = serde_json::from_str(&text).expect("a list of checks");
        checks.extend(list);
    }
    checks
}

#[test]
fn mcp_conformance_of_the_authorization_server_has_no_failure() {
    let server = Server::start("");
    let mut person = Person::new(&server.gate, "Ada");
    let port = free_port();
    let back = format!("http://127.0.0.1:{port}/callback");
    let made = server.gate.done(&[
        "client",
        "create",
        "--name",
        "Conformance",
        "--public",
        "--redirect-uri",
        &back,
        "--scope",
        TOOLS,
    ]);
    let id = made["client_id"].as_str().expect("an id");
    let (issuer, resource, port) = (server.gate.control(), server.url(), port.to_string());
    let args = ["--url", &issuer, "--client-id", id, "--resource", &resource, "--port", &port];
    let checks = conformance(&[&["authorization"], &args[..]].concat(), |url| {
        let back = person.authorize(url);
        assert_eq!(testkit::get(&back, &[]).status, 200, "{back}");
    });
    let status = |check: &Value| check["status"].as_str().unwrap_or_default().to_owned();
    let of = |id: &str| checks.iter().find(|it| it["id"] == id).map(status);
    for check in &checks {
        assert!(matches!(&*status(check), "SUCCESS" | "INFO"), "{check}");
    }
    for id in ["authorization-server-metadata", "authorization-code-grant"] {
        assert_eq!(of(id).as_deref(), Some("SUCCESS"), "{id}: {checks:?}");
    }
}
