//! The incident of rules that lie within others: a child never forgets what its parent asks.

use crate::stage::{AUDIENCE, ROUTES, Stage, refused};
use serde_json::json;
use testkit::Gate;

/// Each alternative of each of these asks what the one before it asks, and more.
const NESTED: &str = r#"
[[route]]
name = "parent"
path = "/n/{**}"
upstream = "orders"
access = { jwt = { issuer = "corp", scopes = ["read"] } }

[[route]]
name = "child"
path = "/n/child/{**}"
upstream = "orders"
access = { all = [
  { jwt = { issuer = "corp", scopes = ["read"] } },
  { jwt = { issuer = "corp", scopes = ["write"] } },
] }

[[route]]
name = "grandchild"
path = "/n/child/grandchild/{**}"
upstream = "orders"
access = { all = [
  { all = [{ jwt = { issuer = "corp", scopes = ["read"] } }, { any = [
    { jwt = { issuer = "corp", scopes = ["write"], claims = { team = "blue" } } },
    { all = [{ jwt = { issuer = "corp", scopes = ["write"] } }, { api_key = { scopes = ["read"] } }] },
  ] }] },
] }

[[route]]
name = "override"
path = "/n/child/open/{**}"
upstream = "orders"
access = "public"
"#;

/// Row 17: Envoy Gateway #8781, #9958, over the network: whatever the deepest route lets in, its parents let in.
#[test]
fn incident_17_nested_rules() {
    let stage = Stage::of("", &(ROUTES.to_owned() + NESTED));
    let key = stage.key("read");
    let weak_key = stage.key("nothing");
    let mut reached = [0; 3];
    for scope in ["", "read", "write", "read write", "admin", "READ", "read,write", "readwrite"] {
        for team in [
            json!("blue"),
            json!("red"),
            json!(["red", "blue"]),
            json!(["red"]),
            json!(null),
            json!({ "blue": 1 }),
        ] {
            let mut claims = stage.issuer.claims(AUDIENCE, scope);
            claims["team"] = team.clone();
            let bearer = format!("Bearer {}", stage.secret(stage.issuer.sign(&claims)));
            for key in [None, Some(&key), Some(&weak_key)] {
                let mut headers = vec![("authorization", bearer.as_str())];
                headers.extend(key.map(|key| ("x-api-key", key.as_str())));
                let statuses = ["/n/x", "/n/child/x", "/n/child/grandchild/x"]
                    .map(|path| stage.gate.get(path, &headers).status);
                // Only the grandchild looks at keys: elsewhere a second credential is none of the route's business.
                let (read, write) = (
                    scope.starts_with("read") && matches!(scope, "read" | "read write"),
                    scope.ends_with("write") && matches!(scope, "write" | "read write"),
                );
                let blue = team == json!("blue") || team == json!(["red", "blue"]);
                let good_key =
                    headers.last().is_some_and(|(_, value)| *value == key_text(key, &weak_key));
                let expected = [read, read && write, read && write && (blue || good_key)];
                for (at, (status, expected)) in statuses.into_iter().zip(expected).enumerate() {
                    let what = format!(
                        "route {at}, scope {scope:?}, team {team}, headers {}",
                        headers.len()
                    );
                    assert_eq!(status == 200, expected, "{what}: {status}");
                    assert!(matches!(status, 200 | 401 | 403), "{what}: {status}");
                    reached[at] += usize::from(status == 200);
                }
            }
        }
    }
    assert!(reached[0] > reached[1] && reached[1] > reached[2] && reached[2] > 0, "{reached:?}");
    // Without any credential nothing is reached but what says so itself.
    for path in
        ["/n/x", "/n/child/x", "/n/child/grandchild/x", "/n/child/openx", "/n/child/open/../x"]
    {
        assert!(matches!(stage.gate.get(path, &[]).status, 400 | 401), "{path}");
    }
    assert_eq!(stage.gate.get("/n/child/open/x", &[]).status, 200);
    refused(&stage.gate.get("/n/child", &[]), 401, "credential.missing");
}

/// The good key, if it is the one that was sent.
fn key_text<'k>(sent: Option<&'k String>, weak: &str) -> &'k str {
    sent.map(String::as_str).filter(|key| *key != weak).unwrap_or_default()
}

/// Row 17: a route without a rule of its own is not open; it does not start.
#[test]
fn incident_17_no_rule_is_no_route() {
    let parent = NESTED.split("[[route]]").nth(1).expect("the parent");
    let upstream = "[[issuer]]\nname = \"corp\"\nissuer = \"https://corp.example\"\naudience = [\"a\"]\n\
                    [[upstream]]\nname = \"orders\"\nservers = [\"http://127.0.0.1:9\"]\n";
    for (access, code) in [
        ("", "missing"),
        ("access = { any = [] }", "value"),
        ("access = { all = [] }", "value"),
        ("access = {}", "value"),
        ("access = { all = [{ any = [] }] }", "value"),
        (
            "access = { any = [\"public\", { jwt = { issuer = \"corp\", scopes = [\"a\"] } }] }",
            "type",
        ),
        ("access = { all = [\"public\"] }", "type"),
        ("access = \"open\"", "value"),
        ("access = true", "type"),
        (
            "access = { jwt = { issuer = \"corp\", scopes = [\"a\"] }, api_key = { scopes = [\"a\"] } }",
            "conflict",
        ),
        ("access = { jwt = { scopes = [\"a\"] } }", "missing"),
        ("access = { jwt = { issuer = \"nobody\", scopes = [\"a\"] } }", "reference"),
        ("acess = \"public\"", "unknown_key"),
    ] {
        let child = format!(
            "[[route]]\nname = \"c\"\npath = \"/n/c/{{**}}\"\nupstream = \"orders\"\n{access}\n"
        );
        let refused =
            Gate::builder().rest(&format!("{upstream}[[route]]{parent}{child}")).try_start();
        let output = refused.expect_err(access);
        let said = output.stdout + &output.stderr;
        assert_eq!(output.code, 1, "{access}: {said}");
        // Which word it is matters less than that it is refused for the rule's sake.
        assert!(said.contains("access") || said.contains("acess"), "{access} ({code}): {said}");
    }
}
