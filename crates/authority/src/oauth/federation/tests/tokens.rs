//! ID tokens that are not good (OpenID Connect Core §3.1.3.7), and answers that are none.

use super::super::*;
use super::stage::{ISSUER, OTHER, Stage, brings, query, stage};
use protocol::oidc::token_hash;
use protocol::sign::{Signer, SigningKey};
use protocol::{Algorithm, b64};
use serde_json::{Value, json};

/// Makes a token of good claims.
type Attempt = Box<dyn Fn(&Value) -> String>;

async fn refused(stage: &Stage, change: impl FnOnce(&mut Value)) -> String {
    let left = stage.leave().await;
    stage.says(&left, change);
    let result = stage.back(&left).await;
    assert_eq!(result.map(|_| ()), Err(FederationRefused::Wrong));
    stage.recorded()
}

#[tokio::test]
async fn oidc_core_s3_1_3_7_claims_that_do_not_hold_are_refused() {
    let stage = stage(|_| {}).await;
    let now = stage.now().seconds();
    let checks: [(&str, Value, &str); 17] = [
        ("iss", OTHER.into(), "issuer"),
        ("iss", format!("{ISSUER}/").into(), "issuer"),
        ("aud", "another".into(), "audience"),
        ("aud", json!(["another"]), "audience"),
        ("aud", json!(["us", "another"]), "azp"),
        ("azp", "another".into(), "azp"),
        ("nonce", "of somebody else".into(), "nonce"),
        ("nonce", Value::Null, "nonce"),
        ("nonce", json!([]), "nonce"),
        ("exp", (now - 31).into(), "expired"),
        ("iat", (now - 31).into(), "older"),
        ("iat", (now + 31).into(), "iat"),
        ("sub", "".into(), "nobody"),
        ("sub", "x".repeat(256).into(), "nobody"),
        ("at_hash", token_hash(Algorithm::Es256, "another token").into(), "at_hash"),
        ("events", json!({}), "no ID token"),
        ("exp", "soon".into(), "exp"),
    ];
    for (name, value, expect) in checks {
        let why = refused(&stage, |claims| claims[name] = value.clone()).await;
        assert!(why.contains(expect), "{name} {value}: {why}");
        stage.clock.advance(Duration::from_secs(0));
    }
    for (name, expect) in
        [("nonce", "nonce"), ("iat", "older"), ("sub", "nobody"), ("aud", "audience")]
    {
        let why =
            refused(&stage, |claims| drop(claims.as_object_mut().unwrap().remove(name))).await;
        assert!(why.contains(expect), "{name}: {why}");
    }
    assert_eq!(stage.store.state().users.len(), 0);
    // The good ones.
    for (name, value) in [
        ("aud", json!(["us"])),
        ("azp", "us".into()),
        ("at_hash", token_hash(Algorithm::Es256, "AT").into()),
    ] {
        let left = stage.leave().await;
        stage.says(&left, |claims| claims[name] = value.clone());
        assert!(stage.back(&left).await.is_ok(), "{name} {value}");
    }
    let left = stage.leave().await;
    stage.says(&left, |claims| {
        claims["aud"] = json!(["us", "another"]);
        claims["azp"] = "us".into();
    });
    assert!(stage.back(&left).await.is_ok());
}

#[tokio::test]
async fn rfc8725_s3_1_no_other_key_or_algorithm_signs() {
    let stage = stage(|_| {}).await;
    let mut attempts: Vec<Attempt> = Vec::new();
    let plain = |header: Value, claims: &Value| {
        format!("{}.{}", b64::encode(header.to_string()), b64::encode(claims.to_string()))
    };
    // RFC 8725 §2.1: not signed at all.
    attempts.push(Box::new(move |claims| format!("{}.", plain(json!({"alg": "none"}), claims))));
    // The public key as the secret of an HMAC.
    let public = stage.keys();
    attempts.push(Box::new(move |claims| {
        let input = plain(json!({"alg": "HS256", "typ": "JWT"}), claims);
        let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, public.as_bytes());
        format!("{input}.{}", b64::encode(aws_lc_rs::hmac::sign(&key, input.as_bytes())))
    }));
    // Somebody else's key under the right name, and in the header.
    let kid = stage.key.public().id().unwrap().to_owned();
    let evil = Arc::new(SigningKey::generate(Algorithm::Es256).unwrap());
    attempts.push(Box::new(move |claims| {
        let jwk = Value::Object(evil.public().to_json());
        let input = plain(json!({"alg": "ES256", "kid": kid, "jwk": jwk}), claims);
        format!("{input}.{}", b64::encode(evil.sign(input.as_bytes()).unwrap()))
    }));
    let evil = Arc::new(SigningKey::generate(Algorithm::EdDsa).unwrap());
    attempts.push(Box::new(move |claims| Signer::new(evil.clone(), "JWT").sign(claims).unwrap()));
    // Another kind of token of the same keys.
    let own = Arc::clone(&stage.key);
    attempts.push(Box::new(move |claims| Signer::new(own.clone(), "at+jwt").sign(claims).unwrap()));
    attempts.push(Box::new(|_| "not.a.token".to_owned()));
    attempts.push(Box::new(|_| String::new()));
    attempts.push(Box::new(|_| "x".repeat(40_000)));
    for (at, attempt) in attempts.iter().enumerate() {
        let left = stage.leave().await;
        stage.gives(&attempt(&stage.claims(&left)));
        let result = stage.back(&left).await.map(|_| ());
        assert_eq!(result, Err(FederationRefused::Wrong), "attempt {at}: {}", stage.recorded());
    }
    assert_eq!(stage.store.state().users.len(), 0);
}

#[tokio::test]
async fn a_new_key_is_fetched() {
    let mut stage = stage(|_| {}).await;
    stage.home(&stage.leave().await).await.unwrap();
    stage.key = Arc::new(SigningKey::generate(Algorithm::Es256).unwrap());
    stage.net.put(&format!("{ISSUER}/keys"), 200, &stage.keys());
    stage.clock.advance(Duration::from_secs(31));
    stage.home(&stage.leave().await).await.unwrap();
}

#[tokio::test]
async fn rfc6749_s5_2_answers_of_the_token_endpoint() {
    let stage = stage(|_| {}).await;
    let checks = [
        (400, r#"{"error":"invalid_grant"}"#.to_owned(), FederationRefused::Wrong),
        (401, r#"{"error":"invalid_client"}"#.to_owned(), FederationRefused::Unavailable),
        (500, String::new(), FederationRefused::Unavailable),
        (302, String::new(), FederationRefused::Unavailable),
        (200, "<html>".to_owned(), FederationRefused::Wrong),
        (200, "{}".to_owned(), FederationRefused::Wrong),
        (200, r#"{"id_token":"a","id_token":"b"}"#.to_owned(), FederationRefused::Wrong),
        (
            200,
            format!("{{\"id_token\":\"{}\"}}", "x".repeat(70_000)),
            FederationRefused::Unavailable,
        ),
    ];
    for (status, body, expect) in checks {
        let left = stage.leave().await;
        stage.net.put(&format!("{ISSUER}/token"), status, &body);
        let result = stage.back(&left).await.map(|_| ());
        assert_eq!(result, Err(expect), "{status} {}", body.len());
    }
}

#[tokio::test]
async fn rfc6749_s4_1_2_1_errors_of_the_provider() {
    let stage = stage(|_| {}).await;
    for (error, expect) in [
        ("access_denied", FederationRefused::Denied),
        ("login_required", FederationRefused::Denied),
        ("temporarily_unavailable", FederationRefused::Unavailable),
    ] {
        let left = stage.leave().await;
        let mut back = brings("corp", &left);
        back.params = Params::default();
        back.params.push("error", error).unwrap();
        back.params.push("state", query(&left.url).get("state").unwrap()).unwrap();
        assert_eq!(stage.arrive(back).await.map(|_| ()), Err(expect), "{error}");
        assert!(stage.recorded().contains(error));
    }
    let left = stage.leave().await;
    let mut back = brings("corp", &left);
    back.params = Params::default();
    back.params.push("state", query(&left.url).get("state").unwrap()).unwrap();
    assert_eq!(stage.arrive(back).await.map(|_| ()), Err(FederationRefused::Wrong));
}

#[tokio::test]
async fn oidc_core_s5_3_2_userinfo_is_about_the_same_person() {
    let stage = stage(|_| {}).await;
    let bare = |claims: &mut Value| {
        claims.as_object_mut().unwrap().retain(|name, _| !name.starts_with("email"));
    };
    let me = format!("{ISSUER}/me");
    let says = |body: Value| stage.net.put(&me, 200, &body.to_string());
    says(json!({"sub": "eve", "email": "eve@example.com", "email_verified": true}));
    assert!(refused(&stage, bare).await.contains("somebody else"));
    says(json!({"email": "eve@example.com", "email_verified": true}));
    assert!(refused(&stage, bare).await.contains("somebody else"));
    says(json!({"sub": "anna", "email": "anna@example.com", "email_verified": true}));
    let left = stage.leave().await;
    stage.says(&left, bare);
    assert!(stage.back(&left).await.is_ok());
    let asked = stage.net.asked(&me);
    assert_eq!(asked.bearer.unwrap().expose(), "AT");
    assert!(asked.form.is_none());
    assert!(stage.oauth.user_by_email("anna@example.com").await.unwrap().email_verified);
}

#[tokio::test]
async fn who_says_the_address_says_whether_it_was_verified() {
    let stage = stage(|_| {}).await;
    let me = format!("{ISSUER}/me");
    stage.net.put(&me, 200, &json!({"sub": "anna", "email": "boss@example.com"}).to_string());
    let left = stage.leave().await;
    stage.says(&left, |claims| drop(claims.as_object_mut().unwrap().remove("email")));
    let result = stage.back(&left).await.map(|_| ());
    assert_eq!(result, Err(FederationRefused::NotLinked));
    assert_eq!(stage.store.state().users.len(), 0);
}
