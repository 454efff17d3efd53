//! The rules of compact JWS.

use super::*;
use crate::sign::{Signer, SigningKey};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::sync::Arc;

const MAX: usize = base::limits::CREDENTIAL_BYTES;

struct Issuer {
    key: Arc<SigningKey>,
    keys: KeySet,
}

fn issuer(algorithm: Algorithm) -> Issuer {
    let key = Arc::new(SigningKey::generate(algorithm).unwrap());
    let keys = KeySet::new(vec![key.public().clone()]);
    Issuer { key, keys }
}

impl Issuer {
    /// A token with any header that the issuer really signed.
    fn token(&self, header: &str) -> String {
        let input = format!("{}.{}", b64::encode(header), b64::encode("{}"));
        let signature = self.key.sign(input.as_bytes()).unwrap();
        format!("{input}.{}", b64::encode(signature))
    }

    fn check(&self, token: &str, expect: Result<(), JwtError>) {
        let outcome = Compact::parse(token.as_bytes(), MAX)
            .and_then(|jws| verify(&jws, &self.keys, AlgorithmSet::ALL));
        assert_eq!(outcome, expect, "{token}");
    }
}

fn header(of: &Issuer, more: Value) -> String {
    let mut header = json!({"alg": of.key.algorithm().as_str(), "kid": of.key.id()});
    for (name, value) in more.as_object().unwrap() {
        header[name] = value.clone();
    }
    header.to_string()
}

#[test]
fn rfc7515_a_3_the_specifications_own_example() {
    let keys = br#"{"keys":[{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}]}"#;
    let token = "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";
    let keys = KeySet::parse(keys).unwrap();
    let jws = Compact::parse(token.as_bytes(), MAX).unwrap();
    assert_eq!(verify(&jws, &keys, AlgorithmSet::DEFAULT), Ok(()));
    let allowed = AlgorithmSet::of(&[Algorithm::Rs256]);
    let refused = JwtError::AlgorithmRefused(AlgorithmFault::NotAllowed);
    assert_eq!(verify(&jws, &keys, allowed), Err(refused));
}

#[test]
fn rfc8037_a_4_the_specifications_own_example() {
    let keys = br#"{"keys":[{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;
    let token = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";
    let jws = Compact::parse(token.as_bytes(), MAX).unwrap();
    assert_eq!(jws.verify(&KeySet::parse(keys).unwrap(), AlgorithmSet::DEFAULT), Ok(()));
    assert_eq!(jws.payload(), b"Example of Ed25519 signing");
}

#[test]
fn rfc9864_s2_ed25519_is_edsa_by_its_full_name() {
    let issuer = issuer(Algorithm::EdDsa);
    let named = header(&issuer, json!({"alg": "Ed25519"}));
    issuer.check(&issuer.token(&named), Ok(()));
}

#[test]
fn rfc7515_s7_1_exactly_three_parts_of_base64url() {
    let issuer = issuer(Algorithm::Es256);
    let good = issuer.token(&header(&issuer, json!({})));
    issuer.check(&good, Ok(()));
    let parts: Vec<&str> = good.split('.').collect();
    let three = Err(JwtError::Malformed("it has not three parts"));
    for bad in
        ["", ".", parts[0], &format!("{}.{}", parts[0], parts[1]), &format!("{good}."), "....."]
    {
        issuer.check(bad, three);
    }
    let is_malformed =
        |token: &str| matches!(Compact::parse(token.as_bytes(), MAX), Err(JwtError::Malformed(_)));
    for bad in [
        format!(" {good}"),
        format!("{good} "),
        format!("{good}="),
        format!("{good}\n"),
        good.replacen('e', "%65", 1),
        format!(".{}.{}", parts[1], parts[2]),
        format!("{}=.{}.{}", parts[0], parts[1], parts[2]),
    ] {
        assert!(is_malformed(&bad), "{bad}");
    }
    assert!(Compact::parse(good.as_bytes(), good.len() - 1).is_err());
}

#[test]
fn rfc7515_s4_the_header_is_a_strict_object() {
    let issuer = issuer(Algorithm::Es256);
    let kid = issuer.key.id();
    for bad in [
        format!(r#"{{"alg":"ES256","alg":"ES256","kid":"{kid}"}}"#),
        format!(r#"{{"alg":"ES256","kid":"{kid}"}} x"#),
        format!(r#"{{"alg":["ES256"],"kid":"{kid}"}}"#),
        format!(r#"{{"alg":null,"kid":"{kid}"}}"#),
        format!(r#"{{"kid":"{kid}"}}"#),
        r#"{"alg":"ES256","kid":1}"#.to_owned(),
        format!(r#"{{"alg":"ES256","kid":"{kid}","typ":["JWT"]}}"#),
        "[]".to_owned(),
        "\"ES256\"".to_owned(),
        String::new(),
    ] {
        let token = issuer.token(&bad);
        let outcome = Compact::parse(token.as_bytes(), MAX);
        assert!(matches!(outcome, Err(JwtError::Malformed(_))), "{bad}");
    }
}

#[test]
fn rfc8725_s3_2_none_and_symmetric_algorithms_are_refused() {
    let issuer = issuer(Algorithm::Es256);
    for (alg, fault) in [
        ("none", AlgorithmFault::None),
        ("nOnE", AlgorithmFault::None),
        ("HS256", AlgorithmFault::Symmetric),
        ("HS512", AlgorithmFault::Symmetric),
        ("ES512", AlgorithmFault::Unknown),
        ("es256", AlgorithmFault::Unknown),
        ("", AlgorithmFault::Unknown),
    ] {
        let token = issuer.token(&header(&issuer, json!({"alg": alg})));
        issuer.check(&token, Err(JwtError::AlgorithmRefused(fault)));
        let (unsigned, _) = token.rsplit_once('.').unwrap();
        issuer.check(&format!("{unsigned}."), Err(JwtError::AlgorithmRefused(fault)));
    }
}

#[test]
fn rfc7515_s4_1_11_critical_headers_are_not_understood() {
    let issuer = issuer(Algorithm::Es256);
    for more in [
        json!({"crit": ["exp"], "exp": 1}),
        json!({"crit": ["b64"], "b64": true}),
        json!({"crit": []}),
        json!({"crit": null}),
        json!({"crit": "exp"}),
        json!({"b64": false}),
        json!({"b64": "true"}),
    ] {
        issuer.check(&issuer.token(&header(&issuer, more)), Err(JwtError::CriticalHeader));
    }
}

#[test]
fn rfc8725_s3_10_a_key_that_a_token_brings_is_not_used() {
    let (issuer, stranger) = (issuer(Algorithm::Es256), issuer(Algorithm::Es256));
    for (more, expect) in [
        (json!({"jwk": stranger.key.public().to_json()}), JwtError::UnknownKey),
        (json!({"jku": "https://evil.example/keys"}), JwtError::UnknownKey),
        (json!({"x5u": "https://evil.example/keys"}), JwtError::UnknownKey),
        (json!({"x5c": ["MIIB"]}), JwtError::UnknownKey),
        (json!({"kid": issuer.key.id()}), JwtError::BadSignature),
        (
            json!({"kid": issuer.key.id(), "jwk": stranger.key.public().to_json()}),
            JwtError::BadSignature,
        ),
    ] {
        issuer.check(&stranger.token(&header(&stranger, more)), Err(expect));
    }
    // Beside a good signature such a header does no harm.
    let with_jku = header(&issuer, json!({"jku": "https://evil.example/keys"}));
    issuer.check(&issuer.token(&with_jku), Ok(()));
}

#[test]
fn rfc7518_s3_4_a_signature_has_the_length_of_its_algorithm() {
    let issuer = issuer(Algorithm::Es256);
    let good = issuer.token(&header(&issuer, json!({})));
    let (input, signature) = good.rsplit_once('.').unwrap();
    let signature = b64::decode(signature.as_bytes()).unwrap();
    for bad in [
        vec![],
        signature[..63].to_vec(),
        [&signature[..], &[0]].concat(),
        [&[0], &signature[..]].concat(),
        vec![0; 64],
        vec![0xff; 64],
        vec![0; 1024],
    ] {
        issuer.check(&format!("{input}.{}", b64::encode(bad)), Err(JwtError::BadSignature));
    }
    // 20 KB: refused by its length, before it is decoded.
    let long = format!("{input}.{}", "A".repeat(20_000));
    let outcome = Compact::parse(long.as_bytes(), usize::MAX);
    assert_eq!(outcome.err(), Some(JwtError::BadSignature));
    issuer.check(&long, Err(JwtError::Malformed("it is too long")));
}

#[test]
fn a_key_of_another_kind_is_unknown() {
    let (ec, ed) = (issuer(Algorithm::Es256), issuer(Algorithm::EdDsa));
    let token = ed.token(&header(&ed, json!({"kid": ec.key.id()})));
    ec.check(&token, Err(JwtError::UnknownKey));
    // The signature of another algorithm, under a name that fits the key.
    let confused = ed.token(&header(&ec, json!({})));
    ec.check(&confused, Err(JwtError::BadSignature));
}

#[test]
fn one_kid_for_two_keys_in_rotation() {
    let (old, new) = (issuer(Algorithm::Es256), issuer(Algorithm::Es256));
    let both = [&old, &new].map(|it| {
        let mut jwk = it.key.public().to_json();
        jwk.insert("kid".to_owned(), "k".into());
        Value::Object(jwk)
    });
    let keys = KeySet::parse(json!({"keys": both}).to_string().as_bytes()).unwrap();
    for issuer in [old, new] {
        let issuer = Issuer { keys: keys.clone(), ..issuer };
        issuer.check(&issuer.token(r#"{"alg":"ES256","kid":"k"}"#), Ok(()));
        // Without a `kid` there would be a choice.
        issuer.check(&issuer.token(r#"{"alg":"ES256"}"#), Err(JwtError::UnknownKey));
    }
}

#[test]
fn the_signer_makes_what_verifies() {
    let issuer = issuer(Algorithm::Es256);
    let token = Signer::new(issuer.key.clone(), "at+jwt").sign(&json!({"sub": "a"})).unwrap();
    issuer.check(&token, Ok(()));
}

#[test]
fn the_issuer_is_found_before_the_signature() {
    let read = |payload: &str| {
        let token = format!("{}.{}.", b64::encode(r#"{"alg":"ES256"}"#), b64::encode(payload));
        Compact::parse(token.as_bytes(), MAX).unwrap().unverified_issuer()
    };
    assert_eq!(read(r#"{"a":[{}],"iss":"x"}"#), Ok(Some("x".to_owned())));
    assert_eq!(read("{}"), Ok(None));
    assert_eq!(read(r#"{"iss":["x"]}"#), Err(JwtError::ClaimInvalid("iss")));
    for bad in ["", "[]", "null", "\"x\"", "[\"x\"]", "{} {}", r#"{"iss":"x","iss":"x"}"#] {
        assert!(matches!(read(bad), Err(JwtError::Malformed(_))), "{bad}");
    }
    let deep = format!("{{\"a\":{}", "[".repeat(9000));
    assert!(read(&deep).is_err());
}

proptest! {
    #[test]
    fn nothing_panics(token in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = Compact::parse(&token, 256);
    }

    #[test]
    fn any_header_is_an_answer(header in r#"\{("(alg|kid|crit|b64)":("ES256"|"none"|true|\[\]|1),?){0,4}\}"#) {
        let token = format!("{}.e30.AAAA", b64::encode(header));
        let _ = Compact::parse(token.as_bytes(), 1024);
    }

    #[test]
    fn one_changed_byte_is_noticed(at in any::<proptest::sample::Index>(), to in "[A-Za-z0-9_.-]") {
        let issuer = issuer(Algorithm::EdDsa);
        let good = issuer.token(&header(&issuer, json!({})));
        let mut bad = good.clone();
        let at = at.index(good.len());
        bad.replace_range(at..=at, &to);
        let outcome = Compact::parse(bad.as_bytes(), MAX)
            .and_then(|jws| verify(&jws, &issuer.keys, AlgorithmSet::ALL));
        prop_assert_eq!(outcome.is_ok(), bad == good);
    }
}
