//! OpenID Connect Back-Channel Logout 1.0, over the network: a client of the file, on this machine, is told.

use crate::setup::{CALLBACK, Stage};
use serde_json::Value;
use testkit::jose::{b64, sha256, unb64};
use testkit::{Arrival, Person, Upstream, encode, parameter, request, wait};

const VERIFIER: &str = "a-verifier-of-forty-three-characters-or-more";

#[test]
fn backchannel_logout_s2_5_a_client_is_told_who_signed_out() {
    let shop = Upstream::ok();
    let stage = Stage::with(&format!(
        "[[client]]\nname = \"shop\"\nredirect_uris = [\"{CALLBACK}\"]\nscopes = [\"openid\"]\n\
         consent = false\nbackchannel_logout_uri = \"{}/out\"\n",
        shop.url()
    ));
    let mut person = Person::new(&stage.gate, "Ada");
    let challenge = b64(sha256(VERIFIER.as_bytes()));
    let ask = encode(&[
        ("client_id", "shop"),
        ("response_type", "code"),
        ("redirect_uri", CALLBACK),
        ("scope", "openid"),
        ("code_challenge", &challenge),
        ("code_challenge_method", "S256"),
    ]);
    let back = person.authorize(&format!("{}/oauth/authorize?{ask}", stage.issuer()));
    let code = parameter(&back, "code").expect("a code");
    let body = encode(&[
        ("grant_type", "authorization_code"),
        ("client_id", "shop"),
        ("code", &code),
        ("redirect_uri", CALLBACK),
        ("code_verifier", VERIFIER),
    ]);
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let answer =
        request("POST", &format!("{}/oauth/token", stage.issuer()), &form, body.as_bytes());
    let tokens: Value = serde_json::from_str(&answer.text()).expect("JSON");
    let id = claims(tokens["id_token"].as_str().expect("an ID token"));

    // Without a hint the person is asked, and says yes.
    let Arrival::Page(page) = person.go(&format!("{}/oauth/logout", stage.issuer())) else {
        panic!("the logout leads elsewhere")
    };
    assert_eq!(page.title(), "You are signed out");
    wait::until(testkit::PATIENCE, "the client is told", || shop.count() > 0);
    let seen = shop.last();
    assert_eq!((seen.method(), seen.target()), ("POST".to_owned(), "/out".to_owned()));
    let body = String::from_utf8(seen.body.kept.clone()).expect("text");
    let token = body.strip_prefix("logout_token=").expect("§2.5: one parameter");
    let told = claims(token);
    // §2.4: whose session, for whom, an event, never a nonce.
    assert_eq!((&told["iss"], &told["aud"]), (&id["iss"], &id["aud"]));
    assert_eq!((&told["sub"], &told["sid"]), (&id["sub"], &id["sid"]));
    let event = "http://schemas.openid.net/event/backchannel-logout";
    assert!(told["events"][event].is_object(), "{told}");
    assert!(told.get("nonce").is_none(), "{told}");
    assert!(told["jti"].is_string() && told["exp"].is_number(), "{told}");
}

fn claims(token: &str) -> Value {
    let part = token.split('.').nth(1).expect("three parts");
    serde_json::from_slice(&unb64(part)).expect("JSON")
}
