//! People and clients who stand in the configuration file, and what happens when they do not any more.

use super::rules_stage::{App, claims, error, good, robot, routes, shop, status, text};
use crate::setup::SOON;
use serde_json::{Value, json};
use std::time::Duration;
use testkit::{Arrival, Gate, Person, Response, Upstream, wait};

/// PyPI's bcrypt 5.0.0, 10 rounds, of the password that every [`Person`] has.
const HASH: &str = "$2b$10$0Lxj5DVMIV.kwgLDmnzLl.HJmDtn1LKi6ccx6XxRkwgmbEX77nYIC";

fn user(email: &str, more: &str) -> String {
    format!("[[user]]\nemail = \"{email}\"\n{more}\n")
}

fn shown(gate: &Gate, id: &str) -> Value {
    gate.done(&["user", "show", id])
}

#[test]
fn who_is_taken_out_of_the_file_is_shut_out_within_a_second() {
    let up = Upstream::ok();
    let client = "[[client]]\nname = \"nightly\"\nsecret = \"a long secret of the night\"\n\
         auth = \"client_secret_post\"\nscopes = [\"orders:read\"]\n";
    let mut gate = Gate::start(&format!("{client}{}", routes(&up)));
    let mut ada = Person::new(&gate, "Ada");
    let app = shop(&gate, &[]);
    let nightly =
        App { id: "nightly".to_owned(), secret: Some("a long secret of the night".to_owned()) };
    let declared = user(ada.email(), "name = \"Ada L.\"\ngroups = [\"ops\"]");
    gate.rewrite(&format!("{declared}{client}{}", routes(&up)));
    gate.sighup();
    wait::until(SOON, "the account is the file's", || shown(&gate, ada.id())["origin"] == "file");
    let account = shown(&gate, ada.id());
    assert_eq!((&account["name"], &account["roles"]), (&json!("Ada L."), &json!(["ops"])));
    let mut tokens = Value::Null;
    // What was issued in the second in which the roles changed is dead.
    wait::until(SOON, "a token that lives", || {
        tokens = app.tokens(&gate, &mut ada);
        status(&gate, "/orders/1", &text(&tokens, "access_token")) == 200
    });
    let (access, renew) = (text(&tokens, "access_token"), text(&tokens, "refresh_token"));
    let own = nightly.own_token(&gate, &[]);
    // Warm: both are known to the shards.
    for token in [&access, &own, &access, &own] {
        assert_eq!(status(&gate, "/orders/1", token), 200);
    }
    gate.rewrite(&routes(&up));
    gate.sighup();
    for (token, what) in [(&access, "the person's token"), (&own, "the client's token")] {
        wait::until(SOON, what, || status(&gate, "/orders/1", token) == 401);
    }
    let refresh = [("grant_type", "refresh_token"), ("refresh_token", renew.as_str())];
    assert_eq!(error(&app.token(&gate, &refresh)), "invalid_grant");
    let refused = nightly.token(&gate, &[("grant_type", "client_credentials")]);
    assert_eq!(error(&refused), "invalid_client");
    let methods = gate.control() + "/account/methods";
    assert!(matches!(ada.go(&methods), Arrival::Page(page) if page.title() == "Sign in"));
    let account = shown(&gate, ada.id());
    assert_eq!((&account["origin"], account["disabled_at"].is_string()), (&json!("admin"), true));
    // Put back, the person comes in as before, and nothing that was issued lives again.
    gate.rewrite(&format!("{declared}{client}{}", routes(&up)));
    gate.sighup();
    wait::until(SOON, "the account is open", || shown(&gate, ada.id())["disabled_at"].is_null());
    assert_eq!(status(&gate, "/orders/1", &access), 401);
    assert_eq!(status(&gate, "/orders/1", &own), 401);
    assert!(matches!(ada.go(&methods), Arrival::Page(page) if page.title() == "How you sign in"));
    // Also who was taken out while nothing ran.
    let mut own = String::new();
    wait::until(Duration::from_secs(15), "a token of the client that lives", || {
        own = nightly.own_token(&gate, &[]);
        status(&gate, "/orders/1", &own) == 200
    });
    gate.sigterm();
    gate.ended();
    gate.rewrite(&routes(&up));
    gate.restart();
    assert!(shown(&gate, ada.id())["disabled_at"].is_string());
    wait::until(SOON, "the client's token", || status(&gate, "/orders/1", &own) == 401);
}

#[test]
fn who_stands_in_the_file_is_read_only_elsewhere() {
    let up = Upstream::ok();
    let hash = format!("password_hash = \"{HASH}\"\ngroups = [\"ops\"]");
    let gate = Gate::start(&format!("{}{}", user("ada@example.com", &hash), routes(&up)));
    let all = gate.done(&["user", "list"]);
    assert_eq!((&all[0]["email"], &all[0]["origin"]), (&json!("ada@example.com"), &json!("file")));
    let id = text(&all[0], "id");
    let line = gate.folder().join("line.jsonl");
    std::fs::write(&line, "{\"email\":\"ada@example.com\",\"groups\":[]}").expect("a file");
    let line = line.display().to_string();
    for args in [
        vec!["user", "disable", &id],
        vec!["user", "roles", &id, "--role", "administrator"],
        vec!["user", "import", &line, "--update"],
    ] {
        let refused = gate.cli(&args);
        assert_eq!(refused.code, 1, "{args:?}: {refused:?}");
        let said = format!("{}{}", refused.stdout, refused.stderr);
        assert!(said.contains("configuration file"), "{args:?}: {said}");
    }
    // A directory neither.
    let directory = robot(&gate, &["admin:scim"], &[]);
    let resource = gate.control() + "/api";
    let token = directory.own_token(&gate, &[("resource", &resource), ("scope", "admin:scim")]);
    let close = json!({
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
        "Operations": [{ "op": "replace", "path": "active", "value": false }],
    });
    for (method, body) in [("PATCH", close.to_string()), ("DELETE", String::new())] {
        let answer = scim(&gate, method, &format!("/Users/{id}"), (&token, &body));
        assert_eq!(answer.status, 403, "{method}: {}", answer.text());
        assert!(answer.text().contains("configuration file"), "{}", answer.text());
    }
    let joins = json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:Group"],
        "displayName": "sales", "members": [{ "value": id }],
    });
    let answer = scim(&gate, "POST", "/Groups", (&token, &joins.to_string()));
    assert_eq!(answer.status, 403, "{}", answer.text());
    assert_eq!(shown(&gate, &id), gate.done(&["user", "show", &id]));
    assert_eq!(shown(&gate, &id)["roles"], json!(["ops"]));
    assert_eq!(claims(&token)["sub"], directory.id);
}

fn scim(gate: &Gate, method: &str, path: &str, (token, body): (&str, &str)) -> Response {
    let authorization = format!("Bearer {token}");
    let headers =
        [("content-type", "application/scim+json"), ("authorization", authorization.as_str())];
    let url = format!("{}/scim/v2{path}", gate.control());
    testkit::request(method, &url, &headers, body.as_bytes())
}

#[test]
fn who_has_no_hash_in_the_file_is_invited_and_a_bad_file_changes_nothing() {
    let up = Upstream::ok();
    let mut gate = Gate::start(&routes(&up));
    let secret = gate.folder().join("hash.txt");
    std::fs::write(&secret, format!("{HASH}\n")).expect("a file");
    let with = format!("password_hash = {{ file = \"{}\" }}", secret.display());
    let (one, two) = (user("one@example.com", &with), user("two@example.com", ""));
    gate.rewrite(&format!("{one}{two}{}", routes(&up)));
    gate.sighup();
    let people = || gate.done(&["user", "list"]).as_array().cloned().unwrap_or_default();
    wait::until(SOON, "the accounts", || people().len() == 2);
    let mails = || gate.done(&["mail", "list"]).to_string();
    wait::until(SOON, "a letter", || mails().contains("two@example.com"));
    assert!(!mails().contains("one@example.com"));
    let before = people();
    let bad =
        user("three@example.com", "groups = [\"a b\"]") + &user("nobody", "password_hash = \"x\"");
    gate.rewrite(&format!("{one}{bad}{}", routes(&up)));
    gate.sighup();
    wait::until(SOON, "the refusal", || gate.log().contains("refused; the running one stays"));
    let log = gate.log();
    for said in ["user[1].groups", "user[2].email", "user[2].password_hash"] {
        assert!(log.contains(said), "{said}: {log}");
    }
    assert_eq!(gate.done(&["user", "list"]).as_array(), Some(&before));
    assert!(!gate.log().contains(HASH));
    good(&testkit::get(&(gate.control() + "/readyz"), &[]));
}
