//! Trust rules, scopes' words, signing keys, clients and accounts, over the network.

use crate::authority::WithAuthority;
use crate::client::Answer;
use crate::description::check_shape;
use serde_json::{Value, json};

struct Stage {
    inner: WithAuthority,
    lines: String,
}

impl Stage {
    async fn start() -> Self {
        let inner = WithAuthority::start().await;
        let (_, token) = inner.signed_in("ann", &["administrator"]).await;
        Self { inner, lines: format!("Authorization: Bearer {token}\r\n") }
    }

    async fn ask(&self, method: &str, path: &str, body: Option<Value>) -> Answer {
        let body = body.map(|it| it.to_string());
        self.inner.edge.call_with((method, path), body.as_deref(), &self.lines).await
    }

    async fn done(&self, method: &str, path: &str, body: Option<Value>) -> Value {
        let answer = self.ask(method, path, body).await;
        assert!(answer.status < 300, "{method} {path}: {answer:?}");
        answer.json()
    }
}

#[tokio::test]
async fn a_trust_rule_is_made_listed_and_removed() {
    let stage = Stage::start().await;
    let grants = ["jwt_bearer"];
    let client = json!({ "name": "CI", "grants": grants, "scopes": ["deploy"] });
    let client = stage.done("POST", "/api/v1/clients", Some(client)).await;
    check_shape(&client, "CreatedClient");
    let rule = json!({
        "name": "main branch", "issuer": "https://ci.example", "subject": "repo:acme/*:ref:main",
        "client": client["client_id"], "scopes": ["deploy"], "claims": { "env": "production" },
    });
    let made = stage.done("POST", "/api/v1/trust", Some(rule.clone())).await;
    check_shape(&made, "Trust");
    assert_eq!(made["audience"], Value::Null);
    assert_eq!(made["claims"], json!({ "env": "production" }));
    let all = stage.done("GET", "/api/v1/trust", None).await;
    check_shape(&all, "TrustList");
    assert_eq!(all["rules"], json!([made]));
    for (field, value) in [
        ("issuer", json!("http://ci.example")),
        ("subject", json!("*")),
        ("client", json!("nobody")),
        ("scopes", json!(["admin:write"])),
        ("jwks_uri", json!("http://10.0.0.1/keys")),
    ] {
        let mut wrong = rule.clone();
        wrong[field] = value;
        stage.ask("POST", "/api/v1/trust", Some(wrong)).await.problem(400, "api.invalid");
    }
    let path = format!("/api/v1/trust/{}", made["id"].as_str().unwrap());
    check_shape(&stage.done("DELETE", &path, None).await, "RemovedTrust");
    stage.ask("DELETE", &path, None).await.problem(404, "api.not_found");
    assert_eq!(stage.done("GET", "/api/v1/trust", None).await["rules"], json!([]));
}

#[tokio::test]
async fn words_of_a_scope_are_set_listed_and_forgotten() {
    let stage = Stage::start().await;
    let scope = json!({ "name": "orders:read", "description": "See your orders" });
    let set = stage.done("POST", "/api/v1/scopes", Some(scope)).await;
    check_shape(&set, "Scope");
    let all = stage.done("GET", "/api/v1/scopes", None).await;
    check_shape(&all, "ScopeList");
    assert_eq!(all["scopes"], json!([set]));
    for (name, description) in
        [("two words", "x"), ("a", ""), ("a", "line\nline"), ("a", &"x".repeat(201))]
    {
        let wrong = json!({ "name": name, "description": description });
        stage.ask("POST", "/api/v1/scopes", Some(wrong)).await.problem(400, "api.invalid");
    }
    let path = "/api/v1/scopes/orders%3Aread";
    check_shape(&stage.done("DELETE", path, None).await, "RemovedScope");
    stage.ask("DELETE", path, None).await.problem(404, "api.not_found");
}

#[tokio::test]
async fn signing_keys_are_shown_without_their_private_halves() {
    let stage = Stage::start().await;
    let all = stage.done("GET", "/api/v1/signing-keys", None).await;
    check_shape(&all, "SigningKeyList");
    let first = &all["keys"][0];
    check_shape(first, "SigningKey");
    assert!(["signing", "published"].contains(&first["stage"].as_str().unwrap()), "{first}");
    for secret in ["\"d\"", "sealed", "\"p\"", "\"q\""] {
        assert!(!all.to_string().contains(secret), "{secret}");
    }
}

#[tokio::test]
async fn accounts_and_clients_have_the_shape_that_is_described() {
    let stage = Stage::start().await;
    let user = json!({ "email": "bob@example.com", "roles": ["auditor"] });
    let made = stage.done("POST", "/api/v1/users", Some(user)).await;
    check_shape(&made, "CreatedUser");
    let link = made["setup_url"].as_str().unwrap();
    assert!(link.starts_with("https://login.example/setup#"), "{link}");
    let path = format!("/api/v1/users/{}", made["id"].as_str().unwrap());
    let user = stage.done("GET", &path, None).await;
    check_shape(&user, "UserDetail");
    let secret = link.split_once('#').unwrap().1;
    assert!(!user.to_string().contains(secret), "no set-up text: {user}");
    let everybody = stage.done("GET", "/api/v1/users", None).await.to_string();
    assert!(!everybody.contains(secret) && !everybody.contains("$argon2"), "{everybody}");
    let roles = json!({ "roles": ["operator", "staff"] });
    let user = stage.done("POST", &format!("{path}/roles"), Some(roles)).await;
    assert_eq!(user["roles"], json!(["operator", "staff"]));
    let wrong = json!({ "roles": ["two words"] });
    let wrong = stage.ask("POST", &format!("{path}/roles"), Some(wrong)).await;
    wrong.problem(400, "api.invalid");
    let clients = stage.done("GET", "/api/v1/clients", None).await;
    check_shape(&clients, "ClientList");
    check_shape(&clients["clients"][0], "Client");
    assert_eq!(clients["clients"][0]["client_id"], "portcullis-cli");
    let path = "/api/v1/clients/portcullis-cli";
    check_shape(&stage.done("GET", &format!("{path}/grade"), None).await, "Grade");
    let refused = stage.ask("POST", &format!("{path}/disable"), None).await;
    assert_eq!(refused.status, 400, "what stands in the file or is built in stays: {refused:?}");
}
