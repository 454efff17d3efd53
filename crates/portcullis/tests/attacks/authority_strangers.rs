//! What somebody wins who registers clients of their own.

use crate::authority_stage::*;
use serde_json::{Value, json};
use testkit::{Gate, Person, Response};

const OPEN: &str = "[authority]\nregistration = \"open\"\n";

fn send(gate: &Gate, method: &str, path: &str, token: &str, body: &Value) -> Response {
    let bearer = format!("Bearer {token}");
    let headers = [("content-type", "application/json"), ("authorization", bearer.as_str())];
    let body = if body.is_null() { String::new() } else { body.to_string() };
    testkit::request(method, &(gate.control() + path), &headers, body.as_bytes())
}

fn register(gate: &Gate, body: &Value) -> Value {
    let json = [("content-type", "application/json")];
    let url = gate.control() + "/oauth/register";
    let made = testkit::request("POST", &url, &json, body.to_string().as_bytes());
    assert_eq!(made.status, 201, "{}", made.text());
    made.json()
}

/// Somebody has stolen a registration access token, or was friendly at first: people agreed to a client that led to
/// one place, and it leads to another one now.
#[test]
fn an_agreement_follows_a_client_that_moves_away() {
    let (gate, _up) = gate(OPEN);
    let body = |uri: &str| {
        json!({"redirect_uris": [uri], "token_endpoint_auth_method": "none",
        "client_name": "Friendly"})
    };
    let made = register(&gate, &body(CALLBACK));
    let (id, token) = (text(&made, "client_id"), text(&made, "registration_access_token"));
    let app = App { id: id.clone(), secret: None };
    let scope = ("scope", "openid");
    let mut person = Person::new(&gate, "Ada");
    let url = request_url(&gate, &app, &[scope]);
    person.authorize(&url);
    assert_eq!(person.saw().last().map(String::as_str), Some("Allow Friendly?"));
    person.authorize(&url);
    assert_eq!(person.saw(), Vec::<String>::new());
    let evil = "https://evil.example/steal";
    let mut update = body(evil);
    update["client_id"] = json!(id);
    let path = format!("/oauth/register/{id}");
    assert_eq!(send(&gate, "PUT", &path, &token, &update).status, 200);
    let moved = request_url(&gate, &app, &[scope, ("redirect_uri", evil)]);
    person.allow(false);
    let back = person.authorize(&moved);
    assert_eq!(person.saw(), ["Allow Friendly?"], "{back}");
    assert!(back.contains("error=access_denied"), "{back}");
}

/// RFC 7592 §2: a registration access token is for one client, and gives nothing but its registration.
#[test]
fn one_registration_opens_another_or_more_than_itself() {
    let (gate, _up) = gate(OPEN);
    let body = json!({"redirect_uris": [CALLBACK], "token_endpoint_auth_method": "none"});
    let (one, two) = (register(&gate, &body), register(&gate, &body));
    let token = text(&one, "registration_access_token");
    let own = format!("/oauth/register/{}", text(&one, "client_id"));
    let admins = robot(&gate, &["orders:read"], &[]).id;
    let elses = [text(&two, "client_id"), admins, "portcullis-cli".to_owned(), "%2e%2e".to_owned()];
    for id in elses {
        let path = format!("/oauth/register/{id}");
        for method in ["GET", "PUT", "DELETE"] {
            let status = send(&gate, method, &path, &token, &body).status;
            assert!(matches!(status, 401 | 404), "{method} {path}: {status}");
        }
    }
    for path in ["/api/v1/clients", "/oauth/userinfo"] {
        assert_eq!(send(&gate, "GET", path, &token, &Value::Null).status, 401, "{path}");
    }
    for wrong in ["pcg_x", &text(&two, "registration_access_token")] {
        assert_eq!(send(&gate, "GET", &own, wrong, &Value::Null).status, 401, "{wrong}");
    }
    // What only administrators say is not theirs to say, neither at first nor later.
    let id = text(&one, "client_id");
    for (name, value) in [
        ("scope", json!("admin:write")),
        ("grant_types", json!(["client_credentials"])),
        ("redirect_uris", json!(["http://evil.example/"])),
        ("registration_access_token", json!("pcg_mine")),
        ("client_id", json!("portcullis-cli")),
    ] {
        let mut update = body.clone();
        update["client_id"] = json!(id);
        update[name] = value;
        let status = send(&gate, "PUT", &own, &token, &update).status;
        assert_eq!(status, 400, "{name}");
    }
    let shown = send(&gate, "GET", &own, &token, &Value::Null).json();
    assert_eq!(shown["redirect_uris"], json!([CALLBACK]), "{shown}");
    assert_eq!(send(&gate, "DELETE", &own, &token, &Value::Null).status, 204);
    assert_eq!(send(&gate, "GET", &own, &token, &Value::Null).status, 401);
}

/// A client that anybody made authenticates, and fills the store with requests that it pushes.
#[test]
fn a_client_of_ones_own_keeps_what_a_public_one_may_not() {
    let (gate, _up) = gate(OPEN);
    let body =
        json!({"redirect_uris": [CALLBACK], "token_endpoint_auth_method": "client_secret_post"});
    let made = register(&gate, &body);
    let app = App { id: text(&made, "client_id"), secret: Some(text(&made, "client_secret")) };
    let fields = [
        ("response_type", "code"),
        ("redirect_uri", CALLBACK),
        ("scope", "openid"),
        ("code_challenge", CHALLENGE),
        ("code_challenge_method", "S256"),
    ];
    let push = || app.call(&gate, "/oauth/par", &fields).status;
    let said: Vec<u16> = (0..150).map(|_| push()).collect();
    assert_eq!(said.iter().filter(|it| **it == 201).count(), 120, "{said:?}");
}
