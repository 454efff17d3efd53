//! SCIM over the network: PyPI's scim2-tester and scim2-client, and who may not come.

use crate::setup::ROUTE;
use serde_json::{Value, json};
use testkit::{Gate, Response, converse_python, encode, request};

const JSON: (&str, &str) = ("content-type", "application/scim+json");

/// A client that an administrator has made, and a token for the control API.
fn token(gate: &Gate, scope: &str) -> String {
    let made = gate.done(&[
        "client",
        "create",
        "--name",
        "Directory",
        "--auth",
        "client_secret_post",
        "--grant",
        "client_credentials",
        "--scope",
        scope,
    ]);
    let text = |name: &str| made[name].as_str().expect("a text").to_owned();
    let form = encode(&[
        ("grant_type", "client_credentials".to_owned()),
        ("client_id", text("client_id")),
        ("client_secret", text("client_secret")),
        ("scope", scope.to_owned()),
        ("resource", format!("{}/api", gate.control())),
    ]);
    let headers = [("content-type", "application/x-www-form-urlencoded")];
    let url = format!("{}/oauth/token", gate.control());
    let response = request("POST", &url, &headers, form.as_bytes());
    assert_eq!(response.status, 200, "{}", response.text());
    response.json()["access_token"].as_str().expect("a token").to_owned()
}

fn ask(gate: &Gate, method: &str, path: &str, token: &str, body: &Value) -> Response {
    let authorization = format!("Bearer {token}");
    let headers = [JSON, ("authorization", authorization.as_str())];
    let url = format!("{}/scim/v2{path}", gate.control());
    request(method, &url, &headers, body.to_string().as_bytes())
}

fn python(gate: &Gate, flow: &str) -> Value {
    let script = testkit::workspace().join("crates/portcullis/tests/remote/scim_tester.py");
    let facts = json!({
        "flow": flow, "base": format!("{}/scim/v2", gate.control()),
        "token": token(gate, "admin:scim"),
    });
    converse_python(&script, &facts, |question| panic!("{question} is asked"))
}

#[test]
fn scim2_tester_finds_nothing_but_what_is_meant() {
    let gate = Gate::start(ROUTE);
    let result = python(&gate, "check");
    let bad: Vec<String> = result["bad"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|it| it["reason"].as_str().unwrap_or_default().to_owned())
        .collect();
    // An account is open or closed, so `active` always has a value: removed, it is the default, true.
    let meant = |reason: &String| reason.contains("active") && reason.contains("remove");
    let rest: Vec<&String> = bad.iter().filter(|it| !meant(it)).collect();
    assert!(rest.is_empty(), "{rest:#?}\n{}", result["counts"]);
    assert!(bad.len() <= 1, "{bad:#?}");
    assert!(result["counts"]["SUCCESS"].as_u64() > Some(40), "{}", result["counts"]);
}

#[test]
fn scim2_client_lets_a_person_join_and_leave() {
    let gate = Gate::start(ROUTE);
    let result = python(&gate, "life");
    assert_eq!(result["groups"], json!(["Sales-Team"]), "{result}");
    assert_eq!(result["active"], false);
    let user = gate.done(&["user", "show", result["id"].as_str().expect("an id")]);
    assert!(user["disabled_at"].is_string(), "{user}");
    assert_eq!(user["roles"], json!([]));
    let of = |code: &str| {
        let sql = format!("SELECT * FROM events WHERE code = '{code}' ORDER BY time");
        gate.done(&["audit", "query", &sql]).as_array().cloned().expect("rows")
    };
    let (people, groups) = (of("user.changed"), of("group.changed"));
    // Joins, is closed, leaves; and the group is made and goes.
    assert!(people.len() >= 3 && groups.len() >= 2, "{people:?} {groups:?}");
    for event in people.iter().chain(&groups) {
        assert!(event["principal"].as_str().is_some_and(|it| !it.starts_with("uid:")), "{event}");
    }
}

#[test]
fn scim_is_for_clients_with_its_scope_and_for_nothing_else() {
    let gate = Gate::start(ROUTE);
    let none = request("GET", &format!("{}/scim/v2/Users", gate.control()), &[], b"");
    assert_eq!(none.status, 401);
    assert!(none.header("www-authenticate").is_some_and(|it| it.starts_with("Bearer")));
    // RFC 7644 §3.12: also what stands before speaks SCIM.
    assert_eq!(none.header("content-type"), Some("application/scim+json"));
    assert_eq!(none.json()["status"], "401");
    let writer = token(&gate, "admin:write");
    let scim = token(&gate, "admin:scim");
    for path in ["/Users", "/Groups", "/Schemas", "/ServiceProviderConfig", "/nothing"] {
        let refused = ask(&gate, "GET", path, &writer, &Value::Null);
        assert_eq!((refused.status, &refused.json()["status"]), (403, &json!("403")), "{path}");
        assert_eq!(ask(&gate, "GET", path, "nonsense", &Value::Null).status, 401, "{path}");
    }
    let authorization = format!("Bearer {scim}");
    let users = format!("{}/api/v1/users", gate.control());
    let other = request("GET", &users, &[("authorization", &authorization)], b"");
    assert_eq!(other.status, 403, "the directory has no other right");
}

#[test]
fn what_scim_refuses_is_said_in_its_words() {
    let gate = Gate::start(ROUTE);
    let scim = token(&gate, "admin:scim");
    let user = "urn:ietf:params:scim:schemas:core:2.0:User";
    let check = |method: &str, path: &str, body: Value, expect: (u16, Value)| {
        let response = ask(&gate, method, path, &scim, &body);
        let said = response.json();
        assert_eq!((response.status, said["scimType"].clone()), expect, "{method} {path}: {said}");
        assert_eq!(said["status"], expect.0.to_string());
        assert_eq!(said["schemas"], json!(["urn:ietf:params:scim:api:messages:2.0:Error"]));
        assert!(said["detail"].is_string());
    };
    let with = |name: &str, value: &str| json!({ "schemas": [user], "userName": "a@example.com", name: value });
    check("GET", "/Users/nobody", Value::Null, (404, Value::Null));
    check("GET", "/Users?filter=userName", Value::Null, (400, json!("invalidFilter")));
    check("GET", "/Users?count=x", Value::Null, (400, json!("invalidValue")));
    check("POST", "/Users", json!([]), (400, json!("invalidSyntax")));
    check("POST", "/Users", json!({ "userName": "a@example.com" }), (400, json!("invalidSyntax")));
    check("POST", "/Users", with("password", "x"), (400, json!("mutability")));
    check("POST", "/Users", with("userName", "x"), (400, json!("invalidValue")));
    check("POST", "/Users", with("displayName", &"x".repeat(300_000)), (413, Value::Null));
    check("POST", "/Bulk", json!({}), (501, Value::Null));
    check("PUT", "/Users", json!({}), (405, Value::Null));
    check("GET", "/Me", Value::Null, (501, Value::Null));
    let made = ask(&gate, "POST", "/Users", &scim, &with("nickName", "A"));
    assert_eq!(made.status, 201, "{}", made.text());
    let place = made.json()["meta"]["location"].as_str().expect("a place").to_owned();
    assert_eq!(made.header("location"), Some(place.as_str()));
    assert_eq!(made.header("etag"), made.json()["meta"]["version"].as_str());
    check("POST", "/Users", with("userName", "A@Example.COM"), (409, json!("uniqueness")));
}
