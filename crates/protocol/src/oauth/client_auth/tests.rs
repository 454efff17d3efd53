use super::*;
use crate::algorithm::{Algorithm, AlgorithmSet};
use crate::error::JwtError;
use crate::jwk::KeySet;
use crate::oauth::params::encode;
use crate::sign::{Signer, SigningKey};
use base::UnixMs;
use base::limits::CLOCK_SKEW;
use proptest::prelude::*;
use serde_json::{Value, json};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

const NOW: UnixMs = UnixMs(1_764_000_000_000);
const ISSUER: &str = "https://login.example";
const TOKEN: &str = "https://login.example/token";

static KEY: LazyLock<Arc<SigningKey>> =
    LazyLock::new(|| Arc::new(SigningKey::generate(Algorithm::Es256).unwrap()));

fn params(pairs: &[(&str, &str)]) -> Params {
    Params::parse(encode(pairs.iter().copied()).as_bytes()).unwrap()
}

fn header(id: &str, secret: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{id}:{secret}")))
}

fn code(authorization: &[&[u8]], pairs: &[(&str, &str)]) -> ErrorCode {
    read(authorization, &params(pairs)).unwrap_err().code()
}

fn claims() -> Value {
    json!({"iss": "app", "sub": "app", "aud": ISSUER, "jti": "1", "exp": NOW.seconds() + 60,
        "iat": NOW.seconds()})
}

fn signed(typ: &str, claims: &Value) -> String {
    Signer::new(KEY.clone(), typ).sign(claims).unwrap()
}

fn judge(token: &str, also: &[&str]) -> Result<OnceOnly, AssertionError> {
    ClientAssertion::parse(token)?.validate(&AssertionExpectation {
        client_id: "app",
        issuer: ISSUER,
        also,
        keys: &KeySet::new(vec![KEY.public().clone()]),
        algorithms: AlgorithmSet::DEFAULT,
        now: NOW,
        skew: CLOCK_SKEW,
    })
}

fn with(name: &str, value: Value) -> Result<OnceOnly, AssertionError> {
    let mut claims = claims();
    claims[name] = value;
    judge(&signed("JWT", &claims), &[])
}

#[test]
fn rfc6749_s2_3_1_basic_is_form_decoded() {
    let value = header("a%3Ab", "x%2By+z:%25");
    let read = read(&[value.as_bytes()], &params(&[("client_id", "a:b")])).unwrap();
    assert_eq!(&*read.client_id, "a:b");
    assert_eq!(read.credential, Credential::Basic(Secret::new("x+y z:%".to_owned())));
    assert!(!format!("{read:?}").contains("x+y"));
}

#[test]
fn rfc7617_s2_what_is_no_basic_credential_is_refused() {
    for bad in [
        "",
        "Basic",
        "Basic ",
        "Bearer abc",
        "Basic !",
        "Basic YQ==",
        "Basic OmI=",
        "Basic YTolRkY=",
        "Basic YTpiAA==",
        "Basic YTpi YTpi",
        "DPoP a",
    ] {
        assert_eq!(code(&[bad.as_bytes()], &[]), ErrorCode::InvalidClient, "{bad}");
    }
}

#[test]
fn rfc6749_s2_3_one_method_a_request() {
    let basic = header("app", "s");
    let token = signed("JWT", &claims());
    let assertion = [("client_assertion", &*token), ("client_assertion_type", JWT_BEARER)];
    let post = [("client_id", "app"), ("client_secret", "s")];
    let basic = basic.as_bytes();
    assert_eq!(code(&[basic], &post), ErrorCode::InvalidRequest);
    assert_eq!(code(&[basic], &assertion), ErrorCode::InvalidRequest);
    assert_eq!(code(&[], &[post, assertion].concat()), ErrorCode::InvalidRequest);
    assert_eq!(code(&[basic, basic], &[]), ErrorCode::InvalidRequest);
    assert_eq!(code(&[basic], &[("client_id", "other")]), ErrorCode::InvalidRequest);
    assert_eq!(code(&[], &[]), ErrorCode::InvalidClient);
    assert_eq!(code(&[], &[("client_secret", "s")]), ErrorCode::InvalidClient);

    let post = read(&[], &params(&post)).unwrap();
    assert_eq!(post.credential, Credential::Post(Secret::new("s".to_owned())));
    let none = read(&[], &params(&[("client_id", "app")])).unwrap();
    assert_eq!(none.credential, Credential::None);
    let read = read(&[], &params(&assertion)).unwrap();
    assert_eq!(
        (&*read.client_id, read.credential),
        ("app", Credential::Assertion(Secret::new(token)))
    );
}

#[test]
fn rfc7521_s4_2_assertion_and_type_stand_together() {
    let token = signed("JWT", &claims());
    assert_eq!(code(&[], &[("client_assertion", &token)]), ErrorCode::InvalidRequest);
    assert_eq!(code(&[], &[("client_assertion_type", JWT_BEARER)]), ErrorCode::InvalidRequest);
    let saml = "urn:ietf:params:oauth:client-assertion-type:saml2-bearer";
    let pairs = [("client_assertion", &*token), ("client_assertion_type", saml)];
    assert_eq!(code(&[], &pairs), ErrorCode::InvalidClient);
    let pairs = [("client_assertion", "a.b.c"), ("client_assertion_type", JWT_BEARER)];
    assert_eq!(code(&[], &pairs), ErrorCode::InvalidClient);
    let pairs = [
        ("client_assertion", &*token),
        ("client_assertion_type", JWT_BEARER),
        ("client_id", "other"),
    ];
    assert_eq!(code(&[], &pairs), ErrorCode::InvalidRequest);
}

#[test]
fn rfc7523_s3_a_good_assertion() {
    let once = judge(&signed("JWT", &claims()), &[]).unwrap();
    let until = NOW.plus(Duration::from_secs(60)).plus(CLOCK_SKEW);
    assert_eq!(once, OnceOnly { jti: "1".into(), until });
    assert!(judge(&signed("client-authentication+jwt", &claims()), &[]).is_ok());
}

#[test]
fn rfc7523_s3_issuer_and_subject_are_the_client() {
    for name in ["iss", "sub"] {
        assert_eq!(with(name, json!("other")), Err(AssertionError::NotTheClient));
        let mut claims = claims();
        claims.as_object_mut().unwrap().remove(name);
        assert_eq!(judge(&signed("JWT", &claims), &[]), Err(AssertionError::NotTheClient));
    }
}

#[test]
fn fapi2_s5_3_2_1_the_issuer_as_a_string_is_the_only_audience() {
    for bad in [
        json!(TOKEN),
        json!([ISSUER, TOKEN]),
        json!([ISSUER, ISSUER]),
        json!([]),
        json!([ISSUER]),
        json!("https://login.example/"),
        json!([TOKEN]),
    ] {
        assert_eq!(with("aud", bad.clone()), Err(AssertionError::Audience), "{bad}");
    }
}

#[test]
fn rfc7523_s3_the_token_endpoint_is_an_audience_where_it_is_taken() {
    for (aud, good) in [
        (json!(TOKEN), true),
        (json!([ISSUER, TOKEN]), true),
        (json!(ISSUER), true),
        (json!([ISSUER]), true),
        (json!([]), false),
        (json!([ISSUER, "https://evil.example"]), false),
    ] {
        let mut claims = claims();
        claims["aud"] = aud.clone();
        assert_eq!(judge(&signed("JWT", &claims), &[TOKEN]).is_ok(), good, "{aud}");
    }
}

#[test]
fn rfc7523_s3_times() {
    let second = NOW.seconds();
    assert_eq!(with("exp", json!(second - 30)), Err(JwtError::Expired.into()));
    assert!(with("exp", json!(second + 3600)).is_ok());
    assert_eq!(with("exp", json!(second + 3631)), Err(AssertionError::TooLong));
    assert_eq!(with("nbf", json!(second + 31)), Err(JwtError::NotYetValid("nbf").into()));
    assert_eq!(with("iat", json!(second + 31)), Err(JwtError::NotYetValid("iat").into()));
    assert!(with("iat", json!(second + 10)).is_ok());
    let mut claims = claims();
    claims.as_object_mut().unwrap().remove("exp");
    assert_eq!(judge(&signed("JWT", &claims), &[]), Err(JwtError::ClaimInvalid("exp").into()));
}

#[test]
fn oidc_core_s9_jti_is_required() {
    assert_eq!(with("jti", json!("")), Err(AssertionError::NoJti));
    assert_eq!(with("jti", json!("x".repeat(JTI_BYTES + 1))), Err(AssertionError::NoJti));
    let mut claims = claims();
    claims.as_object_mut().unwrap().remove("jti");
    assert_eq!(judge(&signed("JWT", &claims), &[]), Err(AssertionError::NoJti));
}

#[test]
fn rfc8725_s3_11_another_type_or_key_is_refused() {
    for typ in ["at+jwt", "oauth-authz-req+jwt", "dpop+jwt", "logout+jwt"] {
        assert_eq!(judge(&signed(typ, &claims()), &[]), Err(JwtError::WrongType.into()), "{typ}");
    }
    let other = Arc::new(SigningKey::generate(Algorithm::Es256).unwrap());
    let forged = Signer::new(other, "JWT").sign(&claims()).unwrap();
    assert_eq!(judge(&forged, &[]), Err(JwtError::UnknownKey.into()));
}

proptest! {
    #[test]
    fn nothing_panics(value in proptest::collection::vec(any::<u8>(), 0..64), text in any::<String>()) {
        let _ = read(&[&value], &Params::default());
        let basic = format!("Basic {}", STANDARD.encode(&value));
        let _ = read(&[basic.as_bytes()], &Params::default());
        let _ = ClientAssertion::parse(&text);
    }
}
