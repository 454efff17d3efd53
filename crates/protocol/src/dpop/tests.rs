use super::*;
use crate::algorithm::Algorithm;
use crate::sign::SigningKey;
use base::Secret;
use proptest::prelude::*;
use serde_json::json;
use std::sync::LazyLock;

const NOW: UnixMs = UnixMs(1_764_000_000_000);
const URI: &str = "https://login.example/token";

static KEY: LazyLock<SigningKey> =
    LazyLock::new(|| SigningKey::generate(Algorithm::Es256).unwrap());

fn header() -> Value {
    json!({"typ": "dpop+jwt", "alg": "ES256", "jwk": KEY.public().to_json()})
}

fn claims() -> Value {
    json!({"jti": "1", "htm": "POST", "htu": URI, "iat": NOW.seconds()})
}

fn signed(header: &Value, claims: &Value) -> String {
    let input = format!("{}.{}", b64::encode(header.to_string()), b64::encode(claims.to_string()));
    let signature = KEY.sign(input.as_bytes()).unwrap();
    format!("{input}.{}", b64::encode(signature))
}

fn expect() -> Expectation<'static> {
    Expectation {
        method: "POST",
        uri: URI,
        access_token: None,
        algorithms: AlgorithmSet::DEFAULT,
        nonces: None,
        now: NOW,
    }
}

fn judge(header: &Value, claims: &Value) -> Result<Proof, DpopError> {
    verify(&[signed(header, claims).as_bytes()], &expect())
}

fn with_claim(name: &str, value: Value) -> Result<Proof, DpopError> {
    let mut claims = claims();
    claims[name] = value;
    judge(&header(), &claims)
}

fn without(name: &str) -> Result<Proof, DpopError> {
    let mut claims = claims();
    claims.as_object_mut().unwrap().remove(name);
    judge(&header(), &claims)
}

fn with_header(name: &str, value: Value) -> Result<Proof, DpopError> {
    let mut header = header();
    header[name] = value;
    judge(&header, &claims())
}

#[test]
fn rfc9449_s4_3_a_good_proof() {
    let proof = judge(&header(), &claims()).unwrap();
    let until = NOW.plus(PROOF_AGE).plus(CLOCK_SKEW);
    let expect =
        Proof { jkt: KEY.id().into(), jti: "1".into(), issued_at: NOW, nonce: None, until };
    assert_eq!(proof, expect);
    // A `kid` beside the key changes nothing.
    assert!(with_header("kid", json!("other")).is_ok());
}

#[test]
fn rfc9449_s4_3_check_1_one_header() {
    let proof = signed(&header(), &claims());
    let proof = proof.as_bytes();
    assert_eq!(verify(&[], &expect()), Err(DpopError::Missing));
    assert_eq!(verify(&[proof, proof], &expect()), Err(DpopError::Several));
    let joined = [proof, b", ", proof].concat();
    assert!(verify(&[&joined], &expect()).is_err());
}

#[test]
fn rfc9449_s4_3_check_3_required_claims() {
    assert_eq!(without("jti"), Err(DpopError::Jti));
    assert_eq!(without("htm"), Err(DpopError::Method));
    assert_eq!(without("htu"), Err(DpopError::Uri));
    assert_eq!(without("iat"), Err(DpopError::Stale));
    assert_eq!(with_claim("jti", json!("")), Err(DpopError::Jti));
    assert_eq!(with_claim("jti", json!("x".repeat(JTI_BYTES + 1))), Err(DpopError::Jti));
    assert_eq!(with_claim("jti", json!(1)), Err(JwtError::ClaimInvalid("jti").into()));
    assert_eq!(with_claim("iat", json!("1")), Err(JwtError::ClaimInvalid("iat").into()));
}

#[test]
fn rfc9449_s4_3_check_4_type() {
    assert_eq!(with_header("typ", json!("JWT")), Err(JwtError::WrongType.into()));
    let mut bare = header();
    bare.as_object_mut().unwrap().remove("typ");
    assert_eq!(judge(&bare, &claims()), Err(JwtError::WrongType.into()));
}

#[test]
fn rfc9449_s4_3_check_5_algorithm() {
    for bad in ["none", "HS256", "ES256K"] {
        let outcome = with_header("alg", json!(bad));
        assert!(matches!(outcome, Err(DpopError::Token(JwtError::AlgorithmRefused(_)))), "{bad}");
    }
    // RFC 8725 §3.1: the key is used with no other algorithm than its own.
    assert_eq!(with_header("alg", json!("EdDSA")), Err(JwtError::UnknownKey.into()));
    let only = Expectation { algorithms: AlgorithmSet::of(&[Algorithm::EdDsa]), ..expect() };
    let outcome = verify(&[signed(&header(), &claims()).as_bytes()], &only);
    assert!(matches!(outcome, Err(DpopError::Token(JwtError::AlgorithmRefused(_)))));
}

#[test]
fn rfc9449_s4_3_check_6_signature() {
    let other = SigningKey::generate(Algorithm::Es256).unwrap();
    let jwk = Value::Object(other.public().to_json());
    assert_eq!(with_header("jwk", jwk), Err(JwtError::BadSignature.into()));
    let proof = signed(&header(), &claims());
    let (input, signature) = proof.rsplit_once('.').unwrap();
    let (head, _) = input.split_once('.').unwrap();
    let forged = format!("{head}.{}.{signature}", b64::encode(json!({"jti": "2"}).to_string()));
    assert_eq!(verify(&[forged.as_bytes()], &expect()), Err(JwtError::BadSignature.into()));
}

#[test]
fn rfc9449_s4_3_check_7_no_private_key() {
    let mut jwk = header()["jwk"].clone();
    jwk["d"] = json!("AA");
    assert_eq!(with_header("jwk", jwk), Err(DpopError::Key(SkipReason::Private)));
    let secret = json!({"kty": "oct", "k": "AA"});
    assert_eq!(with_header("jwk", secret), Err(DpopError::Key(SkipReason::Symmetric)));
    for bad in [json!(null), json!("x"), json!({})] {
        assert_eq!(with_header("jwk", bad), Err(DpopError::Key(SkipReason::Shape)));
    }
}

#[test]
fn rfc9449_s4_3_check_8_method() {
    for bad in ["GET", "post", "POST ", ""] {
        assert_eq!(with_claim("htm", json!(bad)), Err(DpopError::Method), "{bad}");
    }
}

#[test]
fn rfc9449_s4_3_check_9_uri() {
    for good in [
        "https://login.example:443/token",
        "HTTPS://LOGIN.example/token?a=b#c",
        "https://login.example/%74oken",
        "https://login.example/x/../token",
    ] {
        assert!(with_claim("htu", json!(good)).is_ok(), "{good}");
    }
    for bad in [
        "https://login.example/Token",
        "https://login.example/token/",
        "http://login.example/token",
        "https://login.example:8443/token",
        "https://evil.example/token",
        "https://login.example",
        "https://u@login.example/token",
        "/token",
        "",
        "https://login.example/token%2F",
    ] {
        assert_eq!(with_claim("htu", json!(bad)), Err(DpopError::Uri), "{bad}");
    }
    // What cannot be compared is not equal.
    let odd = Expectation { uri: "token", ..expect() };
    let proof = signed(&header(), &json!({"jti": "1", "htm": "POST", "htu": "token", "iat": 1}));
    assert_eq!(verify(&[proof.as_bytes()], &odd), Err(DpopError::Uri));
}

#[test]
fn rfc9449_s4_3_check_11_age() {
    let second = NOW.seconds();
    assert!(with_claim("iat", json!(second - 89)).is_ok());
    assert_eq!(with_claim("iat", json!(second - 90)), Err(DpopError::Stale));
    assert!(with_claim("iat", json!(second + 30)).is_ok());
    assert_eq!(with_claim("iat", json!(second + 31)), Err(DpopError::Stale));
    assert_eq!(with_claim("exp", json!(second - 30)), Err(DpopError::Stale));
    assert_eq!(with_claim("nbf", json!(second + 31)), Err(DpopError::Stale));
}

#[test]
fn rfc9449_s4_3_check_12_access_token() {
    let at = |token: &'static [u8], claims: &Value| {
        let expect = Expectation { access_token: Some(token), ..expect() };
        verify(&[signed(&header(), claims).as_bytes()], &expect)
    };
    let mut claims = claims();
    assert_eq!(at(b"token", &claims), Err(DpopError::AccessToken));
    claims["ath"] = json!(b64::encode(digest(&SHA256, b"token")));
    assert!(at(b"token", &claims).is_ok());
    assert_eq!(at(b"other", &claims), Err(DpopError::AccessToken));
}

#[test]
fn rfc9449_s4_2_ath_example() {
    // RFC 9449 §7.1.
    let token = "Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU";
    let ath = b64::encode(digest(&SHA256, token.as_bytes()));
    assert_eq!(ath, "fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEo");
}

fn maker(key: u8) -> NonceMaker {
    NonceMaker::new(&Secret::new([key; 32]), Duration::from_secs(60)).unwrap()
}

#[test]
fn rfc9449_s8_a_nonce_is_asked_for() {
    let maker = maker(7);
    let with = |nonce: Option<String>| {
        let mut claims = claims();
        if let Some(nonce) = nonce {
            claims["nonce"] = json!(nonce);
        }
        let expect = Expectation { nonces: Some(&maker), ..expect() };
        verify(&[signed(&header(), &claims).as_bytes()], &expect)
    };
    assert_eq!(with(None), Err(DpopError::UseNonce));
    assert_eq!(with(Some("x".to_owned())), Err(DpopError::UseNonce));
    let nonce = maker.current(NOW);
    assert_eq!(with(Some(nonce.clone())).unwrap().nonce.as_deref(), Some(&*nonce));
    assert_eq!(OAuthError::from(DpopError::UseNonce).code(), ErrorCode::UseDpopNonce);
    assert_eq!(OAuthError::from(DpopError::Jti).code(), ErrorCode::InvalidDpopProof);
}

#[test]
fn rfc9449_s8_2_nonces_live_for_two_steps() {
    let maker_ = maker(7);
    let start = UnixMs(NOW.0.div_euclid(60_000) * 60_000);
    let nonce = maker_.current(start);
    let at = |seconds| start.plus(Duration::from_secs(seconds));
    assert!(maker_.accepts(&nonce, at(59)) && !maker_.ages(&nonce, at(59)));
    assert!(maker_.accepts(&nonce, at(119)) && maker_.ages(&nonce, at(119)));
    assert!(!maker_.accepts(&nonce, at(120)));
    // Another node's clock is a little ahead; a guess at the far future is none.
    assert!(maker_.accepts(&nonce, start.minus(Duration::from_secs(5))));
    assert!(!maker_.accepts(&nonce, start.minus(Duration::from_secs(6))));
    assert!(!maker(8).accepts(&nonce, at(1)) && maker(7).accepts(&nonce, at(1)));
    assert!(!maker_.accepts("", start));
    for bad in [59, 151] {
        let made = NonceMaker::new(&Secret::new([0; 32]), Duration::from_secs(bad));
        assert_eq!(made.err(), Some(NonceStepError));
    }
    assert_eq!(format!("{maker_:?}"), "NonceMaker(60000 ms)");
}

proptest! {
    #[test]
    fn nothing_panics(bytes in proptest::collection::vec(any::<u8>(), 0..100), text in any::<String>()) {
        let _ = verify(&[&bytes], &expect());
        let proof = format!("{}.{}.{}", b64::encode(&text), b64::encode(&bytes), b64::encode(&bytes));
        let _ = verify(&[proof.as_bytes()], &expect());
        let _ = maker(1).accepts(&text, NOW);
    }
}
