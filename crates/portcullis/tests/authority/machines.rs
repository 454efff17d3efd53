//! Flows of programs and devices.

use crate::setup::*;
use serde_json::{Value, json};
use testkit::Person;

const LIBRARIES: [&str; 2] = ["openid-client", "oauth4webapi"];

#[test]
fn client_credentials_for_every_method() {
    let stage = Stage::start();
    for auth in ["client_secret_basic", "client_secret_post", "private_key_jwt"] {
        let client = stage.client(
            "Nightly job",
            &["--auth", auth, "--grant", "client_credentials", "--scope", SCOPE],
        );
        let client = client.with("scope", SCOPE);
        for library in LIBRARIES {
            for discovery in ["oidc", "oauth2"] {
                let client = client.clone().with("discovery", discovery);
                let result = client.alone(library, "client_credentials");
                let what = format!("{library}, {auth}, {discovery}: {result}");
                let token = result["tokens"]["access_token"].as_str().expect("a token");
                assert!(stage.passes(token), "{what}");
                assert_eq!(result["metadata"]["issuer"], stage.issuer().as_str(), "{what}");
                assert_eq!(result["tokens"]["refresh_token"], Value::Null, "{what}");
            }
        }
    }
}

#[test]
fn a_device_gets_its_token_when_its_person_agrees() {
    let stage = Stage::start();
    let scopes: Vec<&str> = SCOPES.split(' ').collect();
    let args = ["--public", "--grant", "device_code", "--grant", "refresh_token", "--scope"];
    let client = stage.client("Television", &[&args[..], &scopes[..]].concat());
    for library in LIBRARIES {
        let mut person = Person::new(&stage.gate, "Ada");
        let result = client.flow(library, "device", &mut person);
        let token = result["tokens"]["access_token"].as_str().expect("a token");
        assert!(stage.passes(token), "{library}: {result}");
        assert_eq!(person.saw(), ["Sign in", "Connect Television?"], "{library}");
        if library == "oauth4webapi" {
            let codes = ["authorization_pending", "slow_down"].map(|it| json!(it));
            let early = [&result["early"][0]["error"], &result["early"][1]["error"]];
            assert_eq!(early, [&codes[0], &codes[1]], "{result}");
            // RFC 8628 §3.5: the session has concluded.
            assert_eq!(result["again"]["error"], "expired_token", "{result}");
        }
    }
}

#[test]
fn a_device_is_told_that_its_person_refuses() {
    let stage = Stage::start();
    let args = ["--public", "--grant", "device_code", "--scope", SCOPE];
    let client = stage.client("Television", &args).with("scope", SCOPE);
    let mut person = Person::new(&stage.gate, "Ada");
    person.allow(false);
    let result = client.flow("openid-client", "device_refused", &mut person);
    assert_eq!(result["error"], "access_denied", "{result}");
}

#[test]
fn tokens_bound_to_a_key_with_nonces_of_the_server() {
    let stage = Stage::start();
    let mut person = Person::new(&stage.gate, "Ada");
    let shop = stage.shop(&["--dpop"]).with("dpop", true).with("api", stage.api());
    let args = ["--dpop", "--grant", "client_credentials", "--scope", SCOPE];
    let job = stage.client("Nightly job", &args);
    let job = job.with("dpop", true).with("scope", SCOPE).with("api", stage.api());
    for library in LIBRARIES {
        for (what, result) in [
            ("code", shop.flow(library, "code", &mut person)),
            ("client credentials", job.alone(library, "client_credentials")),
        ] {
            let what = format!("{library}, {what}: {result}");
            // The library has compared the type in its own way; RFC 9449 §5 says DPoP.
            let kind = result["tokens"]["token_type"].as_str().unwrap_or_default();
            assert!(kind.eq_ignore_ascii_case("dpop"), "{what}");
            assert_eq!(result["called"], 200, "{what}");
            // Without its key it is worth nothing.
            let token = result["tokens"]["access_token"].as_str().expect("a token");
            assert_eq!(stage.call(token).status, 401, "{what}");
            if library == "oauth4webapi" {
                assert!(result["nonces"].as_u64() >= Some(1), "a nonce was asked for: {what}");
            }
        }
    }
}
