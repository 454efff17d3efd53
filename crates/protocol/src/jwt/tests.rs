//! The rules of claims and validity.

use super::*;
use crate::algorithm::Algorithm;
use crate::sign::{Signer, SigningKey};
use base::limits::CLOCK_SKEW;
use base::{CodeInfo, UnixMs};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::collections::HashSet;
use std::sync::Arc;

const NOW: i64 = 1_764_000_000;

fn claims() -> Value {
    json!({
        "iss": "https://login.example", "sub": "u1", "aud": ["other", "orders"], "exp": NOW + 300,
        "nbf": NOW, "iat": NOW, "jti": "t1", "client_id": "c1", "scope": "orders:read orders:write",
        "groups": ["ops"],
    })
}

fn with(name: &str, value: impl Into<Value>) -> Value {
    let mut claims = claims();
    claims[name] = value.into();
    claims
}

fn without(name: &str) -> Value {
    let mut claims = claims();
    claims.as_object_mut().unwrap().remove(name);
    claims
}

fn parse(claims: &Value) -> Result<Claims, JwtError> {
    Claims::parse(claims.to_string().as_bytes())
}

fn judge(claims: &Value, typ: Option<&str>) -> Result<(), JwtError> {
    let audiences = ["orders".to_owned(), "stock".to_owned()];
    let expectation = Expectation {
        issuer: "https://login.example",
        audiences: &audiences,
        types: TokenTypes::ACCESS,
        now: UnixMs(NOW * 1000),
        skew: CLOCK_SKEW,
    };
    let header = Header { algorithm: Algorithm::Es256, key_id: None, typ: typ.map(Into::into) };
    parse(claims)?.validate(&header, &expectation)
}

fn check(claims: &Value, expect: Result<(), JwtError>) {
    assert_eq!(judge(claims, None), expect, "{claims}");
}

#[test]
fn a_good_token_is_taken_and_its_claims_are_typed() {
    check(&claims(), Ok(()));
    let read = parse(&claims()).unwrap();
    assert_eq!(read.subject.as_deref(), Some("u1"));
    assert_eq!(read.client(), Some("c1"));
    assert_eq!(read.expires_at, Some(UnixMs((NOW + 300) * 1000)));
    assert!(read.scopes.contains("orders:write"));
    assert_eq!(read.other.len(), 1);
    assert_eq!(read.claim("groups").unwrap().as_ref(), &json!(["ops"]));
    assert_eq!(read.claim("aud").unwrap().as_ref(), &json!(["other", "orders"]));
    assert_eq!(read.claim("scope").unwrap().as_ref(), "orders:read orders:write");
    assert_eq!(read.claim("exp"), None);
    assert_eq!(parse(&without("client_id")).unwrap().client(), None);
    assert_eq!(parse(&with("azp", "c2")).unwrap().client(), Some("c1"));
}

#[test]
fn rfc7519_s4_1_4_expired_is_refused() {
    check(&with("exp", NOW - 29), Err(JwtError::ClaimInvalid("nbf")));
    let mut old = without("nbf");
    for (exp, expect) in
        [(NOW - 29, Ok(())), (NOW - 30, Err(JwtError::Expired)), (0, Err(JwtError::Expired))]
    {
        old["exp"] = exp.into();
        check(&old, expect);
    }
    check(&without("exp"), Err(JwtError::ClaimInvalid("exp")));
}

#[test]
fn rfc7519_s4_1_5_not_yet_valid_is_refused() {
    check(&with("nbf", NOW + 30), Ok(()));
    check(&with("nbf", NOW + 31), Err(JwtError::NotYetValid("nbf")));
    check(&with("nbf", NOW + 301), Err(JwtError::ClaimInvalid("nbf")));
    check(&with("iat", NOW + 30), Ok(()));
    check(&with("iat", NOW + 31), Err(JwtError::NotYetValid("iat")));
    check(&without("nbf"), Ok(()));
    check(&without("iat"), Ok(()));
}

#[test]
fn rfc7519_s2_dates_of_another_type_are_refused() {
    let object = claims().to_string();
    for name in ["exp", "nbf", "iat", "auth_time"] {
        for bad in [
            "\"1764000300\"",
            "1764000300.5",
            "1764000300.0",
            "1.7640003e9",
            "-1",
            "-0",
            "-0.0",
            "9007199254740992",
            "18446744073709551615",
            "99999999999999999999",
            "1e300",
            "null",
            "true",
            "[1764000300]",
            "{}",
            "\"\"",
        ] {
            let mut parts: Vec<String> = vec![format!("\"{name}\":{bad}")];
            let rest: serde_json::Map<_, _> = serde_json::from_str(&object).unwrap();
            parts.extend(
                rest.iter()
                    .filter(|(own, _)| *own != name)
                    .map(|(own, value)| format!("{:?}:{value}", own)),
            );
            let text = format!("{{{}}}", parts.join(","));
            let read = Claims::parse(text.as_bytes());
            assert_eq!(read.err(), Some(JwtError::ClaimInvalid(name)), "{text}");
        }
        let text = object.replacen('{', &format!("{{\"x\":1e400,\"{name}_\":"), 1);
        assert!(matches!(Claims::parse(text.as_bytes()), Err(JwtError::Malformed(_))));
    }
    check(&with("exp", 9_007_199_254_740_991i64), Ok(()));
}

#[test]
fn rfc7519_s4_1_texts_of_another_type_are_refused() {
    for name in ["iss", "sub", "jti", "client_id", "azp", "acr", "sid"] {
        for bad in [
            json!(1),
            json!(null),
            json!(["a"]),
            json!({}),
            json!(true),
            json!("a\nb"),
            json!("\0"),
        ] {
            check(&with(name, bad), Err(JwtError::ClaimInvalid(name)));
        }
    }
    for bad in
        [json!(1), json!(null), json!({}), json!([1]), json!(["orders", null]), json!([["orders"]])]
    {
        check(&with("aud", bad), Err(JwtError::ClaimInvalid("aud")));
    }
    check(&with("aud", vec!["orders"; 65]), Err(JwtError::ClaimInvalid("aud")));
    check(&with("amr", "pwd"), Err(JwtError::ClaimInvalid("amr")));
    check(&with("events", "x"), Err(JwtError::ClaimInvalid("events")));
}

#[test]
fn rfc7519_s4_1_3_the_audience_is_required_and_exact() {
    check(&with("aud", "orders"), Ok(()));
    check(&with("aud", "stock"), Ok(()));
    for other in [json!("Orders"), json!("orders/"), json!(""), json!([]), json!(["a", "b"])] {
        check(&with("aud", other), Err(JwtError::WrongAudience));
    }
    check(&without("aud"), Err(JwtError::WrongAudience));
}

#[test]
fn rfc9068_s4_the_issuer_is_exact() {
    for other in ["https://login.example/", "https://LOGIN.example", "http://login.example", ""] {
        check(&with("iss", other), Err(JwtError::WrongIssuer));
    }
    check(&without("iss"), Err(JwtError::WrongIssuer));
}

#[test]
fn rfc9068_s2_1_the_type_is_that_of_an_access_token() {
    for good in [None, Some("JWT"), Some("jwt"), Some("at+jwt"), Some("application/AT+JWT")] {
        assert_eq!(judge(&claims(), good), Ok(()), "{good:?}");
    }
    for bad in
        ["logout+jwt", "id+jwt", "secevent+jwt", "", "application/", "dpop+jwt", "JWT ", "é/é"]
    {
        assert_eq!(judge(&claims(), Some(bad)), Err(JwtError::WrongType), "{bad}");
    }
    assert!(!TokenTypes::AT_JWT.takes(None) && !TokenTypes::AT_JWT.takes(Some("JWT")));
}

#[test]
fn rfc8693_s4_2_scopes() {
    let scopes = |claims: &Value| parse(claims).map(|it| it.scopes.to_string());
    let bare = without("scope");
    let scp = |value: Value| {
        let mut claims = bare.clone();
        claims["scp"] = value;
        scopes(&claims)
    };
    assert_eq!(scopes(&bare), Ok(String::new()));
    assert_eq!(scp(json!("b a")), Ok("a b".to_owned()));
    assert_eq!(scp(json!(["b", "a"])), Ok("a b".to_owned()));
    for bad in [json!(1), json!(null), json!(["a b"]), json!([1]), json!({}), json!("a  b")] {
        assert_eq!(scp(bad), Err(JwtError::ClaimInvalid("scp")));
    }
    for bad in [json!(1), json!(null), json!(["a"]), json!({}), json!("a\tb")] {
        assert_eq!(scopes(&with("scope", bad)), Err(JwtError::ClaimInvalid("scope")));
    }
    // `scope` has the word where both stand.
    assert_eq!(scopes(&with("scp", "admin")), Ok("orders:read orders:write".to_owned()));
}

#[test]
fn rfc7800_s3_1_a_confirmation_is_never_overlooked() {
    let cnf = |value: Value| parse(&with("cnf", value)).map(|it| it.confirmation);
    let of = |jkt: Option<&str>, x5t: Option<&str>, other| {
        let (jkt, x5t_s256) = (jkt.map(Into::into), x5t.map(Into::into));
        Ok(Some(Confirmation { jkt, x5t_s256, other }))
    };
    assert_eq!(cnf(json!({"jkt": "a"})), of(Some("a"), None, false));
    assert_eq!(cnf(json!({"x5t#S256": "b"})), of(None, Some("b"), false));
    assert_eq!(cnf(json!({"jkt": "a", "kid": "c"})), of(Some("a"), None, true));
    assert_eq!(cnf(json!({})), of(None, None, true));
    for bad in [json!(null), json!("a"), json!([]), json!({"jkt": 1})] {
        assert_eq!(cnf(bad), Err(JwtError::ClaimInvalid("cnf")));
    }
}

#[test]
fn rfc7519_s4_duplicate_claims_are_refused() {
    for bad in [r#"{"exp":1,"exp":2}"#, r#"{"exp":1,"a":{"b":1,"b":2}}"#, "[]", "", "{}x", "\"a\""]
    {
        assert!(matches!(Claims::parse(bad.as_bytes()), Err(JwtError::Malformed(_))), "{bad}");
    }
}

#[test]
fn claims_come_out_only_after_the_signature() {
    let key = Arc::new(SigningKey::generate(Algorithm::Es256).unwrap());
    let keys = KeySet::new(vec![key.public().clone()]);
    let signed = Signer::new(key, "at+jwt").sign(&claims()).unwrap();
    assert!(Token::looks_like(signed.as_bytes()) && !Token::looks_like(b"pcl_a.b.c"));
    let token = Token::parse(signed.as_bytes(), 4096).unwrap();
    assert_eq!(token.unverified().issuer(), Some("https://login.example"));
    let verified = token.verify(&keys, AlgorithmSet::DEFAULT).unwrap();
    assert_eq!(verified.claims, parse(&claims()).unwrap());
    assert_eq!(verified.header.typ.as_deref(), Some("at+jwt"));

    let token = Token::parse(signed.as_bytes(), 4096).unwrap();
    let outcome = token.verify(&KeySet::default(), AlgorithmSet::DEFAULT);
    assert_eq!(outcome.err(), Some(JwtError::UnknownKey));
}

#[test]
fn every_error_has_a_code_of_its_own() {
    let errors = [
        JwtError::Malformed(""),
        JwtError::Expired,
        JwtError::NotYetValid("nbf"),
        JwtError::WrongAudience,
        JwtError::WrongIssuer,
        JwtError::UnknownKey,
        JwtError::BadSignature,
        JwtError::AlgorithmRefused(crate::AlgorithmFault::None),
        JwtError::WrongType,
        JwtError::CriticalHeader,
        JwtError::ClaimInvalid("exp"),
    ];
    let mut seen = HashSet::new();
    for error in errors {
        let code = error.code();
        assert_eq!(code.status(), 401);
        assert!(CodeInfo::find(code.as_str()).is_some() && seen.insert(code));
    }
}

proptest! {
    #[test]
    fn nothing_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = Claims::parse(&bytes);
        let _ = Token::parse(&bytes, 150).map(|token| token.verify(&KeySet::default(), AlgorithmSet::ALL));
    }

    #[test]
    fn any_time_is_judged(exp in any::<u64>(), nbf in any::<u64>(), now in any::<i64>(), skew in any::<u32>()) {
        if let Ok(claims) = parse(&json!({"exp": exp, "nbf": nbf})) {
            let outcome = times(&claims, UnixMs(now), std::time::Duration::from_millis(skew.into()));
            let (exp, nbf) = (i128::from(exp) * 1000, i128::from(nbf) * 1000);
            let (now, skew) = (i128::from(now), i128::from(skew));
            prop_assert_eq!(outcome.is_ok(), exp >= nbf && now < exp + skew && nbf <= now + skew);
        }
    }
}
