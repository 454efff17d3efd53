//! Flows in which a person signs in and agrees.

use crate::setup::*;
use serde_json::{Value, json};
use testkit::{Arrival, Person, encode};

/// Both libraries do everything.
const LIBRARIES: [&str; 2] = ["openid-client", "oauth4webapi"];

/// What every code flow with every scope brings.
fn complete(stage: &Stage, person: &Person, result: &Value, what: &str) {
    assert_eq!(result["claims"]["sub"], person.id(), "{what}: {result}");
    assert_eq!(result["claims"]["iss"], stage.issuer().as_str(), "{what}");
    assert_eq!(result["userinfo"]["email"], person.email(), "{what}: {result}");
    assert_eq!(result["userinfo"]["sub"], person.id(), "{what}");
    assert!(result["tokens"]["refresh_token"].is_string(), "{what}: {result}");
}

fn token(tokens: &Value, name: &str) -> String {
    tokens[name].as_str().unwrap_or_else(|| panic!("no {name}: {tokens}")).to_owned()
}

#[test]
fn a_code_with_pkce_for_every_kind_of_client() {
    let stage = Stage::start();
    for auth in ["none", "client_secret_basic", "client_secret_post", "private_key_jwt"] {
        let client = stage.shop(&["--auth", auth]);
        for library in LIBRARIES {
            let what = format!("{library}, {auth}");
            let mut person = Person::new(&stage.gate, "Ada Lovelace");
            let result = client.flow(library, "code", &mut person);
            complete(&stage, &person, &result, &what);
            assert_eq!(person.saw(), ["Sign in", "Allow Shop?"], "{what}");
            // RFC 9207: the library has compared it; that it was there at all must be seen.
            let back = result["back"]["url"].as_str().expect("an address");
            assert_eq!(testkit::parameter(back, "iss"), Some(stage.issuer()), "{what}");
            let called = stage.call(&token(&result["tokens"], "access_token"));
            assert_eq!(called.status, 200, "{what}: {}", called.text());
            let seen = stage.upstream.last();
            assert_eq!(seen.header("portcullis-subject").as_deref(), Some(person.id()), "{what}");
            assert_eq!(seen.header("portcullis-client").as_deref(), Some(client.id()), "{what}");
        }
    }
}

#[test]
fn consent_is_remembered_and_a_session_asks_for_no_password() {
    let stage = Stage::start();
    let client = stage.shop(&[]);
    let mut person = Person::new(&stage.gate, "Ada");
    client.flow("openid-client", "code", &mut person);
    assert_eq!(person.saw(), ["Sign in", "Allow Shop?"]);
    client.flow("openid-client", "code", &mut person);
    assert_eq!(person.saw(), Vec::<String>::new());
    let asks = client.clone().with("parameters", json!({ "prompt": "login" }));
    asks.flow("openid-client", "code", &mut person);
    assert_eq!(person.saw(), ["Sign in"]);
    let asks = client.with("parameters", json!({ "prompt": "consent" }));
    asks.flow("openid-client", "code", &mut person);
    assert_eq!(person.saw(), ["Allow Shop?"]);
}

#[test]
fn pushed_signed_and_posted_requests() {
    let stage = Stage::start();
    let client = stage.shop(&["--auth", "private_key_jwt"]);
    let mut person = Person::new(&stage.gate, "Ada");
    for library in LIBRARIES {
        for (par, jar, mode) in [
            (true, false, "query"),
            (false, true, "query"),
            (true, true, "query"),
            (false, false, "form_post"),
            (false, false, "jwt"),
            (true, true, "jwt"),
        ] {
            let what = format!("{library}: PAR {par}, JAR {jar}, {mode}");
            let client = client.clone().with("par", par).with("jar", jar).with("mode", mode);
            let result = client.flow(library, "code", &mut person);
            complete(&stage, &person, &result, &what);
            let url = result["url"].as_str().expect("an address");
            assert_eq!(url.contains("request_uri="), par, "{what}: {url}");
            assert_eq!(url.contains("request="), jar && !par, "{what}: {url}");
            assert_eq!(result["back"]["form"].is_array(), mode == "form_post", "{what}: {result}");
            let back = result["back"]["url"].as_str().expect("an address");
            assert_eq!(testkit::parameter(back, "response").is_some(), mode == "jwt", "{what}");
            assert!(stage.passes(&token(&result["tokens"], "access_token")), "{what}");
        }
    }
}

#[test]
fn rfc6749_s4_1_2_a_code_that_comes_twice_ends_what_it_gave() {
    let stage = Stage::start();
    let client = stage.shop(&[]);
    let mut person = Person::new(&stage.gate, "Ada");
    for library in LIBRARIES {
        let result = client.flow(library, "replay", &mut person);
        assert_eq!(result["again"]["error"], "invalid_grant", "{library}: {result}");
        let token = token(&result["tokens"], "access_token");
        testkit::wait::until(SOON, "the end of the token", || !stage.passes(&token));
    }
}

#[test]
fn refresh_tokens_rotate_and_the_same_parent_has_one_child() {
    let stage = Stage::start();
    let client = stage.shop(&["--public"]);
    let mut person = Person::new(&stage.gate, "Ada");
    for library in LIBRARIES {
        let result = client.flow(library, "refresh", &mut person);
        let refresh = |which: &str| token(&result[which], "refresh_token");
        assert_ne!(refresh("first"), refresh("second"), "{library}");
        assert_eq!(refresh("second"), refresh("same"), "{library}");
        assert_ne!(refresh("second"), refresh("third"), "{library}");
        for which in ["first", "second", "same", "third"] {
            assert!(stage.passes(&token(&result[which], "access_token")), "{library}, {which}");
        }
    }
}

#[test]
fn rfc9700_s4_14_a_spent_refresh_token_ends_the_family() {
    let stage = Stage::start();
    let client = stage.shop(&["--public"]).with("wait", true);
    let mut person = Person::new(&stage.gate, "Ada");
    let result = client.flow("openid-client", "refresh", &mut person);
    assert_eq!(result["late"]["error"], "invalid_grant", "{result}");
    assert_eq!(result["dead"]["error"], "invalid_grant", "{result}");
    let token = token(&result["third"], "access_token");
    testkit::wait::until(SOON, "the end of the family", || !stage.passes(&token));
}

#[test]
fn introspection_and_revocation() {
    let stage = Stage::start();
    let client = stage.shop(&[]);
    let mut person = Person::new(&stage.gate, "Ada");
    for library in LIBRARIES {
        let result = client.flow(library, "end", &mut person);
        let before = &result["before"];
        assert_eq!(before["active"], true, "{library}: {result}");
        assert_eq!(before["sub"], person.id(), "{library}: {result}");
        assert_eq!(before["client_id"], client.id(), "{library}: {result}");
        assert_eq!(result["after"]["active"], false, "{library}: {result}");
        // RFC 7662 §2.2: nothing else is said of a token that is not active.
        assert_eq!(result["after"]["sub"], Value::Null, "{library}: {result}");
        assert_eq!(result["renewed"]["error"], "invalid_grant", "{library}: {result}");
        let token = token(&result["tokens"], "access_token");
        testkit::wait::until(SOON, "the end of the token", || !stage.passes(&token));
    }
}

#[test]
fn who_refuses_is_sent_back_with_an_error() {
    let stage = Stage::start();
    let client = stage.shop(&[]);
    let mut person = Person::new(&stage.gate, "Ada");
    person.allow(false);
    let result = client.flow("openid-client", "refused", &mut person);
    assert_eq!(result["error"], "access_denied", "{result}");
    let nobody = client.with("parameters", json!({ "prompt": "none" }));
    let mut stranger = Person::new(&stage.gate, "Bob");
    let result = nobody.flow("openid-client", "refused", &mut stranger);
    assert_eq!(result["error"], "login_required", "{result}");
}

#[test]
fn rp_initiated_logout_ends_the_session() {
    let stage = Stage::start();
    let client = stage.shop(&[]);
    let mut person = Person::new(&stage.gate, "Ada");
    let result = client.flow("openid-client", "logout", &mut person);
    let back = result["back"]["url"].as_str().expect("an address");
    assert_eq!(back, format!("{GOODBYE}?state=after"), "{result}");
    person.saw();
    client.flow("openid-client", "code", &mut person);
    assert_eq!(person.saw(), ["Sign in"]);
}

#[test]
fn rfc9700_s4_11_nobody_is_led_away_after_signing_in_or_out() {
    let stage = Stage::start();
    for next in [
        "https://evil.example/",
        "//evil.example/",
        "/\\evil.example/",
        "/device@evil.example",
        "/device\r\nlocation: https://evil.example/",
        "javascript:alert(1)",
    ] {
        let mut person = Person::new(&stage.gate, "Ada");
        let query = encode(&[("next", next)]);
        let arrival = person.go(&format!("{}/login?{query}", stage.issuer()));
        let Arrival::Page(page) = arrival else { panic!("{next:?} led to {arrival:?}") };
        assert_eq!(page.title(), "You are signed in", "{next:?}");
        let query = encode(&[("post_logout_redirect_uri", next), ("client_id", "x")]);
        let arrival = person.go(&format!("{}/oauth/logout?{query}", stage.issuer()));
        assert!(matches!(arrival, Arrival::Page(_)), "{next:?} led to {arrival:?}");
    }
}

#[test]
fn rfc7591_a_client_makes_itself_known_and_signs_its_person_in() {
    let stage = Stage::with("[authority]\nregistration = \"open\"");
    for auth in ["client_secret_basic", "client_secret_post", "none"] {
        let metadata = json!({
            "client_name": "Newcomer",
            "redirect_uris": [CALLBACK],
            "grant_types": ["authorization_code", "refresh_token"],
            "response_types": ["code"],
            "token_endpoint_auth_method": auth,
        });
        let facts = json!({
            "issuer": stage.issuer(),
            "metadata": metadata,
            "auth": auth,
            "redirect_uri": CALLBACK,
            "scope": SCOPES,
        });
        let client = Client { facts };
        let mut person = Person::new(&stage.gate, "Ada");
        let result = client.flow("openid-client", "code", &mut person);
        complete(&stage, &person, &result, auth);
        assert_eq!(person.saw(), ["Sign in", "Allow Newcomer?"], "{auth}");
        assert_eq!(result["client"]["token_endpoint_auth_method"], auth, "{result}");
        assert!(stage.passes(&token(&result["tokens"], "access_token")), "{auth}");
    }
    // Where nobody has said that strangers may, they may not.
    let closed = Stage::start();
    let kind = [("content-type", "application/json")];
    let body = json!({ "redirect_uris": [CALLBACK] }).to_string();
    let url = closed.issuer() + "/oauth/register";
    let answer = testkit::request("POST", &url, &kind, body.as_bytes());
    assert!((400..500).contains(&answer.status), "{}", answer.text());
    let metadata = testkit::get(&(closed.issuer() + "/.well-known/openid-configuration"), &[]);
    assert_eq!(metadata.json()["registration_endpoint"], Value::Null);
}
