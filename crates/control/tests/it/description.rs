//! The description and what is described are one.

use crate::authority::WithAuthority;
use crate::client::{OnPort, OnSocket};
use control::document;
use serde_json::Value;
use std::collections::BTreeSet;

#[tokio::test]
async fn every_described_endpoint_exists() {
    let stage = WithAuthority::start().await;
    let (_, token) = stage.signed_in("ann", &["administrator"]).await;
    let lines = format!("Authorization: Bearer {token}\r\n");
    let document = document();
    for (path, methods) in document["paths"].as_object().unwrap() {
        let url = path.replace("{id}", "x").replace("{request_id}", "x");
        for (method, operation) in methods.as_object().unwrap() {
            let body = (method == "post").then_some("{}");
            let method = method.to_ascii_uppercase();
            let answer = stage.edge.call_with((&method, &url), body, &lines).await;
            assert_ne!(answer.status, 405, "{method} {path}");
            let missing = answer.status == 404 && !answer.body.contains('x');
            assert!(!missing, "{method} {path}: {answer:?}");
            assert!(operation["responses"]["default"].is_object(), "{method} {path}");
            assert!(!operation["summary"].as_str().unwrap().is_empty());
        }
    }
}

#[test]
fn the_contracts_paths_are_described() {
    let document = document();
    let mut found = BTreeSet::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for method in methods.as_object().unwrap().keys() {
            found.insert(format!("{method} {path}"));
        }
    }
    let expect = [
        "delete /api/v1/blocks/{id}",
        "delete /api/v1/groups/{id}",
        "delete /api/v1/ip/entries/{id}",
        "delete /api/v1/scopes/{id}",
        "delete /api/v1/trust/{id}",
        "get /.well-known/jwks.json",
        "get /.well-known/oauth-protected-resource/api",
        "get /api/openapi.json",
        "get /api/v1/audit/events",
        "get /api/v1/blocks",
        "get /api/v1/clients",
        "get /api/v1/clients/{id}",
        "get /api/v1/clients/{id}/grade",
        "get /api/v1/explain/{request_id}",
        "get /api/v1/groups",
        "get /api/v1/groups/{id}",
        "get /api/v1/ip/entries",
        "get /api/v1/ip/test",
        "get /api/v1/keys",
        "get /api/v1/keys/{id}",
        "get /api/v1/mail",
        "get /api/v1/mail/{id}",
        "get /api/v1/scopes",
        "get /api/v1/signing-keys",
        "get /api/v1/trust",
        "get /api/v1/users",
        "get /api/v1/users/{id}",
        "get /livez",
        "get /metrics",
        "get /readyz",
        "post /api/v1/audit/query",
        "post /api/v1/blocks",
        "post /api/v1/clients",
        "post /api/v1/clients/{id}/disable",
        "post /api/v1/clients/{id}/enable",
        "post /api/v1/clients/{id}/rotate-secret",
        "post /api/v1/groups",
        "post /api/v1/ip/entries",
        "post /api/v1/keys",
        "post /api/v1/keys/{id}/revoke",
        "post /api/v1/scopes",
        "post /api/v1/trust",
        "post /api/v1/users",
        "post /api/v1/users/export",
        "post /api/v1/users/import",
        "post /api/v1/users/{id}/break-glass",
        "post /api/v1/users/{id}/disable",
        "post /api/v1/users/{id}/enable",
        "post /api/v1/users/{id}/end-sessions",
        "post /api/v1/users/{id}/invite",
        "post /api/v1/users/{id}/reset-factors",
        "post /api/v1/users/{id}/roles",
        "post /api/v1/users/{id}/setup",
    ];
    assert_eq!(found, expect.into_iter().map(str::to_owned).collect());
}

#[tokio::test]
async fn the_description_is_served_and_its_references_lead_somewhere() {
    let edge = OnPort::start().await;
    let served = edge.get("/api/openapi.json").await.json();
    assert_eq!(served["openapi"], "3.1.0");
    assert_eq!(served, document());
    let mut ids = BTreeSet::new();
    for methods in served["paths"].as_object().unwrap().values() {
        for operation in methods.as_object().unwrap().values() {
            assert!(ids.insert(operation["operationId"].as_str().unwrap().to_owned()));
        }
    }
    check_references(&served, &served);
}

fn check_references(value: &Value, document: &Value) {
    match value {
        Value::Object(map) => {
            if let Some(Value::String(reference)) = map.get("$ref") {
                let pointer = reference.trim_start_matches('#');
                assert!(document.pointer(pointer).is_some(), "{reference} leads nowhere");
            }
            map.values().for_each(|value| check_references(value, document));
        }
        Value::Array(list) => list.iter().for_each(|value| check_references(value, document)),
        _ => {}
    }
}

/// An answer has the properties of its schema: all of them, and no other.
pub(crate) fn check_shape(value: &Value, schema: &str) {
    let document = document();
    let schema = &document["components"]["schemas"][schema];
    let names = |value: &Value| -> BTreeSet<String> {
        value.as_object().unwrap().keys().cloned().collect()
    };
    // A schema, or several that hold together.
    let parts = schema["allOf"].as_array().cloned().unwrap_or_else(|| vec![schema.clone()]);
    let mut expect = BTreeSet::new();
    for part in parts {
        let part = match part["$ref"].as_str().and_then(|it| it.rsplit('/').next()) {
            Some(name) => document["components"]["schemas"][name].clone(),
            None => part,
        };
        expect.extend(names(&part["properties"]));
    }
    assert_eq!(names(value), expect);
}

#[tokio::test]
async fn answers_have_the_shape_that_is_described() {
    let edge = OnSocket::start().await;
    let key = edge.post("/api/v1/keys", r#"{"name":"ci","scopes":["a"]}"#).await.json();
    check_shape(&key, "CreatedKey");
    let keys = edge.get("/api/v1/keys").await.json();
    check_shape(&keys, "KeyList");
    check_shape(&keys["keys"][0], "Key");
    let block = edge.post("/api/v1/blocks", r#"{"kind":"token","value":"jti"}"#).await.json();
    check_shape(&block, "Block");
    check_shape(&edge.get("/api/v1/blocks").await.json(), "BlockList");
    let entry = r#"{"address":"192.0.2.1","list":"office","expires_in_seconds":60}"#;
    check_shape(&edge.post("/api/v1/ip/entries", entry).await.json(), "IpEntry");
    check_shape(&edge.get("/api/v1/ip/entries").await.json(), "IpEntryList");
    let test = edge.get("/api/v1/ip/test?address=192.0.2.1").await.json();
    check_shape(&test, "IpTest");
    check_shape(&test["lists"][0], "IpVerdict");
    let events = edge.get("/api/v1/audit/events").await.json();
    check_shape(&events[0], "Event");
    let id = crate::fakes::denied(1).request_id.unwrap();
    check_shape(&edge.get(&format!("/api/v1/explain/{id}")).await.json(), "Explanation");
    check_shape(&edge.get("/livez").await.json(), "Live");
}
