use super::*;
use crate::algorithm::Algorithm;
use crate::oauth::AuthorizationRequest;
use crate::sign::{Signer, SigningKey};
use base::limits::CLOCK_SKEW;
use proptest::prelude::*;
use serde_json::json;
use std::sync::{Arc, LazyLock};

const NOW: UnixMs = UnixMs(1_764_000_000_000);
const ISSUER: &str = "https://login.example";
const TYP: &str = "oauth-authz-req+jwt";

static KEY: LazyLock<Arc<SigningKey>> =
    LazyLock::new(|| Arc::new(SigningKey::generate(Algorithm::Es256).unwrap()));

fn claims() -> Value {
    json!({"iss": "app", "aud": [ISSUER, "https://x.example"], "client_id": "app",
        "nbf": NOW.seconds(), "exp": NOW.seconds() + 300, "jti": "J", "response_type": "code",
        "redirect_uri": "https://app.example/cb", "scope": "openid", "max_age": 60,
        "claims": {"id_token": {"email": null}}, "authorization_details": [{"type": "a"}],
        "resource": ["https://api.example/a", "https://api.example/b"], "unknown": {"x": 1}})
}

fn read_as(typ: &str, claims: &Value, signing: bool) -> Result<RequestObject, RequestObjectError> {
    let text = Signer::new(KEY.clone(), typ).sign(claims).unwrap();
    verify(&text, signing)
}

fn verify(text: &str, message_signing: bool) -> Result<RequestObject, RequestObjectError> {
    RequestObject::read(
        text,
        &RequestObjectExpectation {
            client_id: "app",
            issuer: ISSUER,
            keys: &KeySet::new(vec![KEY.public().clone()]),
            algorithms: AlgorithmSet::DEFAULT,
            message_signing,
            now: NOW,
            skew: CLOCK_SKEW,
        },
    )
}

fn edit(edits: &[(&str, Value)]) -> Value {
    let mut claims = claims();
    for (name, value) in edits {
        match value {
            Value::Null => drop(claims.as_object_mut().unwrap().remove(*name)),
            value => claims[*name] = value.clone(),
        }
    }
    claims
}

fn with(name: &str, value: Value) -> Result<RequestObject, RequestObjectError> {
    read_as(TYP, &edit(&[(name, value)]), true)
}

#[test]
fn rfc9101_s4_parameters_come_out_of_the_object() {
    let object = read_as(TYP, &claims(), true).unwrap();
    assert_eq!(object.jti.as_deref(), Some("J"));
    let request = AuthorizationRequest::read(&object.params).unwrap();
    assert_eq!((&*request.client_id, request.max_age), ("app", Some(60)));
    assert!(request.is_openid() && request.claims.id_token.contains_key("email"));
    assert_eq!((request.resource.len(), request.authorization_details.entries().len()), (2, 1));
    assert!(object.params.get("unknown").is_none() && object.params.get("iss").is_none());
    let lone = edit(&[("client_id", Value::Null), ("resource", json!("urn:a"))]);
    let object = read_as("JWT", &lone, true).unwrap();
    assert_eq!(
        (object.params.get("client_id"), object.params.get("resource")),
        (Some("app"), Some("urn:a"))
    );
}

#[test]
fn rfc9101_s6_2_the_signature_is_the_client_s() {
    let other = Arc::new(SigningKey::generate(Algorithm::Es256).unwrap());
    let forged = Signer::new(other, TYP).sign(&claims()).unwrap();
    assert_eq!(verify(&forged, false), Err(JwtError::UnknownKey.into()));
    let none = format!("{}.{}.", crate::b64::encode(r#"{"alg":"none"}"#), crate::b64::encode("{}"));
    let outcome = verify(&none, false);
    assert!(matches!(outcome, Err(RequestObjectError::Token(JwtError::AlgorithmRefused(_)))));
}

#[test]
fn rfc9101_s10_8_no_other_kind_of_jwt() {
    for typ in ["at+jwt", "dpop+jwt", "client-authentication+jwt"] {
        assert_eq!(read_as(typ, &claims(), false), Err(JwtError::WrongType.into()), "{typ}");
    }
    assert_eq!(with("sub", json!("app")), Err(RequestObjectError::Client));
    assert!(with("sub", json!("anna")).is_ok());
}

#[test]
fn rfc9101_s5_the_object_is_of_the_client_and_for_this_issuer() {
    for name in ["iss", "client_id"] {
        assert_eq!(with(name, json!("other")), Err(RequestObjectError::Client));
    }
    assert_eq!(with("iss", Value::Null), Err(RequestObjectError::Client));
    for aud in [Value::Null, json!("https://x.example"), json!("https://login.example/")] {
        assert_eq!(with("aud", aud), Err(RequestObjectError::Audience));
    }
}

#[test]
fn rfc9101_s4_a_request_in_a_request_is_refused() {
    assert_eq!(with("request", json!("x")), Err(RequestObjectError::Nested));
    assert_eq!(with("request_uri", json!("urn:x")), Err(RequestObjectError::Nested));
}

#[test]
fn fapi2_message_signing_s5_3_1_lifetime() {
    let second = NOW.seconds();
    let times = |nbf: Value, exp: Value| edit(&[("nbf", nbf), ("exp", exp)]);
    for (claims, standard, signing) in [
        (times(json!(second), json!(second + 3600)), true, true),
        (times(json!(second), json!(second + 3601)), true, false),
        (times(json!(second - 3600), json!(second)), true, true),
        (times(json!(second - 3700), json!(second - 10)), true, false),
        (times(Value::Null, json!(second + 60)), true, false),
        (times(json!(second), Value::Null), true, false),
        (times(json!(second + 31), json!(second + 60)), false, false),
        (times(json!(second - 60), json!(second - 30)), false, false),
    ] {
        assert_eq!(read_as(TYP, &claims, false).is_ok(), standard, "{claims}");
        assert_eq!(read_as(TYP, &claims, true).is_ok(), signing, "{claims}");
    }
}

#[test]
fn rfc9101_s4_parameters_have_their_types() {
    for (name, bad) in [
        ("state", json!(1)),
        ("scope", json!(["openid"])),
        ("prompt", json!({})),
        ("max_age", json!(-1)),
        ("max_age", json!([])),
        ("claims", json!([])),
        ("authorization_details", json!({})),
        ("resource", json!([1])),
    ] {
        assert_eq!(with(name, bad), Err(RequestObjectError::Parameter(name)));
    }
    let many = vec!["urn:a"; super::super::params::REPEATED_VALUES + 1];
    assert_eq!(with("resource", json!(many)), Err(ParamsError::TooMany.into()));
}

proptest! {
    #[test]
    fn nothing_panics(text in any::<String>()) {
        let _ = verify(&text, true);
    }
}
