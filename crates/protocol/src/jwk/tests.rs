//! The rules of keys and key sets.

use super::*;
use crate::json;
use base::limits::KEY_SET_KEYS;
use proptest::prelude::*;
use serde_json::json;

const EC_X: &str = "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU";
const EC_Y: &str = "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0";
const ED_X: &str = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
/// The modulus of RFC 7638 §3.1.
const RSA_N: &str = "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw";

fn ec() -> Value {
    json!({"kty": "EC", "crv": "P-256", "x": EC_X, "y": EC_Y})
}

fn ed() -> Value {
    json!({"kty": "OKP", "crv": "Ed25519", "x": ED_X})
}

fn rsa() -> Value {
    json!({"kty": "RSA", "n": RSA_N, "e": "AQAB"})
}

fn with(mut jwk: Value, name: &str, value: impl Into<Value>) -> Value {
    jwk[name] = value.into();
    jwk
}

fn read(jwk: &Value) -> Result<Key, SkipReason> {
    Key::read(jwk.as_object().unwrap())
}

fn check(jwk: Value, expect: SkipReason) {
    assert_eq!(read(&jwk).err(), Some(expect), "{jwk}");
}

fn set(keys: &[Value]) -> KeySet {
    KeySet::parse(json!({"keys": keys}).to_string().as_bytes()).unwrap()
}

#[test]
fn rfc7638_s3_thumbprints() {
    let of = |jwk: &Value| crate::b64::encode(read(jwk).unwrap().thumbprint());
    assert_eq!(of(&rsa()), "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
    // RFC 8037 §A.3
    assert_eq!(of(&ed()), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
    assert_eq!(of(&with(rsa(), "kid", "other")), of(&rsa()));
}

#[test]
fn rfc8725_s3_1_an_algorithm_fits_one_kind_of_key() {
    for (jwk, fitting) in [
        (ec(), &[Algorithm::Es256][..]),
        (ed(), &[Algorithm::EdDsa][..]),
        (rsa(), &Algorithm::RSA[..]),
        (with(rsa(), "alg", "PS384"), &[Algorithm::Ps384][..]),
        (with(ed(), "alg", "Ed25519"), &[Algorithm::EdDsa][..]),
        (with(ed(), "alg", "EdDSA"), &[Algorithm::EdDsa][..]),
    ] {
        let key = read(&jwk).unwrap();
        for algorithm in Algorithm::ALL {
            assert_eq!(key.fits(algorithm), fitting.contains(&algorithm), "{jwk} {algorithm}");
        }
    }
}

#[test]
fn rfc7517_s4_4_an_algorithm_that_does_not_fit_its_key_is_skipped() {
    for alg in ["RS256", "ES384", "EdDSA", "ES521", "HS256", "none", "RSA-OAEP", ""] {
        check(with(ec(), "alg", alg), SkipReason::Algorithm);
    }
    check(with(ec(), "alg", 7), SkipReason::Shape);
}

#[test]
fn rfc7517_s4_2_keys_for_other_uses_are_skipped() {
    check(with(ec(), "use", "enc"), SkipReason::NotForSignatures);
    check(with(ec(), "use", "SIG"), SkipReason::NotForSignatures);
    check(with(ec(), "use", Value::Null), SkipReason::Shape);
    check(with(ec(), "key_ops", json!(["sign"])), SkipReason::NotForSignatures);
    check(with(ec(), "key_ops", json!([])), SkipReason::NotForSignatures);
    check(with(ec(), "key_ops", "verify"), SkipReason::Shape);
    assert!(read(&with(ec(), "key_ops", json!(["verify"]))).is_ok());
    assert!(read(&with(ec(), "use", "sig")).is_ok());
}

#[test]
fn rfc8725_s2_1_symmetric_and_private_keys_are_skipped() {
    check(json!({"kty": "oct", "k": "AAAA"}), SkipReason::Symmetric);
    for name in ["d", "p", "q", "dp", "dq", "qi", "oth", "k"] {
        check(with(rsa(), name, "AQAB"), SkipReason::Private);
    }
    check(with(ec(), "d", "AQAB"), SkipReason::Private);
}

#[test]
fn rfc7518_s6_2_1_points_are_on_their_curve_and_of_full_length() {
    check(with(ec(), "y", EC_X), SkipReason::NotAPoint);
    check(with(ec(), "x", "AQAB"), SkipReason::Encoding);
    check(with(ec(), "x", format!("AAAA{EC_X}")), SkipReason::Encoding);
    check(with(ec(), "x", format!("{EC_X}=")), SkipReason::Encoding);
    check(with(ec(), "crv", "P-384"), SkipReason::Encoding);
    check(with(ec(), "crv", "P-521"), SkipReason::UnknownKind);
    check(with(ec(), "crv", "secp256k1"), SkipReason::UnknownKind);
    check(with(ec(), "kty", "OKP"), SkipReason::UnknownKind);
    check(with(ec(), "kty", "RSA"), SkipReason::Shape);
    check(with(ed(), "x", "AQAB"), SkipReason::Encoding);
    check(with(ed(), "crv", "X25519"), SkipReason::UnknownKind);
    check(json!({"kty": "EC", "x": EC_X, "y": EC_Y}), SkipReason::Shape);
    check(json!({"kty": "EC", "crv": "P-256", "x": EC_X}), SkipReason::Shape);
    check(json!({}), SkipReason::Shape);
}

#[test]
fn rfc7518_s3_3_rsa_keys_have_2048_bits_or_more() {
    let number = |bytes: Vec<u8>| crate::b64::encode(bytes);
    let modulus = crate::b64::decode(RSA_N.as_bytes()).unwrap();
    let of_bytes = |n: usize| [&[0x80u8][..], &vec![1; n - 1]].concat();
    let short = [&[0x7f][..], &vec![1; 255]].concat();
    check(with(rsa(), "n", number(short)), SkipReason::RsaSize);
    check(with(rsa(), "n", number(of_bytes(128))), SkipReason::RsaSize);
    check(with(rsa(), "n", number(of_bytes(1025))), SkipReason::RsaSize);
    check(with(rsa(), "n", ""), SkipReason::Encoding);
    check(with(rsa(), "n", number([&[0][..], &modulus].concat())), SkipReason::Encoding);
    check(with(rsa(), "e", number(vec![0, 1, 0, 1])), SkipReason::Encoding);
    let even = [&modulus[..255], &[2]].concat();
    check(with(rsa(), "n", number(even)), SkipReason::Weak);
    for weak in [vec![1], vec![2], vec![1, 0, 0], vec![1, 0, 0, 0, 1]] {
        check(with(rsa(), "e", number(weak)), SkipReason::Weak);
    }
    assert!(read(&with(rsa(), "e", "Aw")).is_ok());
}

#[test]
fn the_fingerprint_of_a_faulty_generator_is_known() {
    assert!(roca::is_weak(&[1, 0, 1]));
    assert!(roca::is_weak(&65537u128.pow(7).to_be_bytes()));
    assert!(!roca::is_weak(&crate::b64::decode(RSA_N.as_bytes()).unwrap()));
}

#[test]
fn rfc8032_s8_9_ed25519_keys_of_small_order_are_refused() {
    let mut tried = 0;
    for mut point in small_order::POINTS {
        for sign in [0, 0x80] {
            point[31] = (point[31] & 0x7f) | sign;
            check(with(ed(), "x", crate::b64::encode(point)), SkipReason::Weak);
            tried += 1;
        }
    }
    assert_eq!(tried, 14);
}

#[test]
fn a_set_with_unusable_keys_is_usable() {
    let set = set(&[
        with(json!({"kty": "oct", "k": "AAAA"}), "kid", "mac"),
        json!("nonsense"),
        with(ec(), "kid", "good"),
        json!({"kty": "AKP", "pub": "AAAA"}),
    ]);
    assert_eq!(set.keys().len(), 1);
    let reasons: Vec<_> = set.skipped().iter().map(|it| it.reason).collect();
    assert_eq!(reasons, [SkipReason::Symmetric, SkipReason::Shape, SkipReason::UnknownKind]);
    assert_eq!(set.skipped()[0].id.as_deref(), Some("mac"));
}

#[test]
fn a_malformed_document_is_refused() {
    for bad in
        ["", "[]", "null", "{}", r#"{"keys":{}}"#, r#"{"keys":[],"keys":[]}"#, "{\"keys\":[]} x"]
    {
        assert!(KeySet::parse(bad.as_bytes()).is_err(), "{bad}");
    }
    let key = r#"{"keys":[{"kty":"EC","kty":"RSA"}]}"#;
    let duplicate = JwkError::Json(json::JsonError::Duplicate);
    assert_eq!(KeySet::parse(key.as_bytes()).err(), Some(duplicate));
    let long = format!(r#"{{"keys":[],"a":"{}"}}"#, "a".repeat(base::limits::DOCUMENT_BYTES));
    let too_long = JwkError::Json(json::JsonError::TooLong);
    assert_eq!(KeySet::parse(long.as_bytes()).err(), Some(too_long));
    assert!(KeySet::parse(br#"{"keys":[]}"#).unwrap().is_empty());
}

#[test]
fn a_set_is_read_up_to_its_bound() {
    let keys: Vec<Value> =
        (0..KEY_SET_KEYS + 2).map(|n| with(ed(), "kid", n.to_string())).collect();
    let set = set(&keys);
    assert_eq!(set.keys().len(), KEY_SET_KEYS);
    let reasons: Vec<_> = set.skipped().iter().map(|it| it.reason).collect();
    assert_eq!(reasons, [SkipReason::TooMany]);
}

#[test]
fn rfc7515_s4_1_4_keys_are_found_by_id_and_algorithm() {
    let set = set(&[
        with(ec(), "kid", "a"),
        with(ed(), "kid", "a"),
        with(rsa(), "kid", "b"),
        with(with(rsa(), "kid", "b"), "alg", "PS256"),
        with(rsa(), "kid", "c"),
    ]);
    let count = |kid, algorithm| set.find(kid, algorithm).count();
    assert_eq!(count(Some("a"), Algorithm::Es256), 1);
    assert_eq!(count(Some("a"), Algorithm::EdDsa), 1);
    assert_eq!(count(Some("a"), Algorithm::Rs256), 0);
    assert_eq!(count(Some("b"), Algorithm::Ps256), 2);
    assert_eq!(count(Some("b"), Algorithm::Rs256), 1);
    assert_eq!(count(Some("A"), Algorithm::Es256), 0);
    assert_eq!(count(Some(""), Algorithm::Es256), 0);
    // Without an id only where there is no choice.
    assert_eq!(count(None, Algorithm::Es256), 1);
    assert_eq!(count(None, Algorithm::Rs256), 0);
    assert_eq!(count(None, Algorithm::Es384), 0);
    let same: Vec<Value> = (0..9).map(|_| with(ed(), "kid", "a")).collect();
    assert_eq!(self::set(&same).find(Some("a"), Algorithm::EdDsa).count(), SAME_KID_KEYS);
}

#[test]
fn the_fingerprint_follows_the_keys_and_not_their_order() {
    let (a, b) = (with(ec(), "kid", "a"), with(ed(), "kid", "b"));
    let of = |keys: &[&Value]| {
        let keys: Vec<Value> = keys.iter().map(|key| (*key).clone()).collect();
        *set(&keys).fingerprint()
    };
    assert_eq!(of(&[&a, &b]), of(&[&b, &a]));
    assert_ne!(of(&[&a, &b]), of(&[&a]));
    assert_ne!(of(&[&a]), of(&[&with(a.clone(), "kid", "c")]));
    assert_ne!(of(&[&a]), of(&[&ec()]));
    assert_ne!(of(&[&ec()]), of(&[&with(ec(), "kid", "")]));
    assert_ne!(of(&[&a]), of(&[&with(a.clone(), "alg", "ES256")]));
    assert_eq!(of(&[&a]), of(&[&with(a.clone(), "x5t", "ignored")]));
}

#[test]
fn a_published_key_reads_back() {
    for jwk in [ec(), ed(), rsa(), with(with(rsa(), "alg", "PS512"), "kid", "é")] {
        let key = read(&jwk).unwrap();
        let again = Key::read(&key.to_json()).unwrap();
        assert_eq!(again.thumbprint(), key.thumbprint());
        assert_eq!((again.id(), again.algorithm()), (key.id(), key.algorithm()));
    }
}

#[test]
fn keys_cross_threads() {
    fn shared<T: Send + Sync + Clone>() {}
    shared::<KeySet>();
}

proptest! {
    #[test]
    fn nothing_panics(n in "[A-Za-z0-9_-]{0,400}", e in "[A-Za-z0-9_-]{0,8}", x in "[A-Za-z0-9_-]{40,66}") {
        let _ = read(&with(with(rsa(), "n", n), "e", e));
        let _ = read(&with(ec(), "x", x.clone()));
        let _ = read(&with(ed(), "x", x.clone()));
        let _ = read(&with(with(ec(), "crv", "P-384"), "x", x));
    }
}
