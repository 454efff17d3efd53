//! RFC 7520 (JOSE cookbook) §3 and §4.

use crate::vectors::{load, public_part, set_of};
use base::limits::CREDENTIAL_BYTES;
use protocol::jwk::{KeySet, SkipReason};
use protocol::jws::{Algorithm, AlgorithmFault, AlgorithmSet, Compact};
use protocol::jwt::JwtError;
use serde_json::{Value, json};

/// What becomes of a vector.
enum Expect {
    /// The compact form verifies.
    Verifies,
    /// The compact form is refused because of its algorithm; the reason why we do not have it.
    Refused(AlgorithmFault, &'static str),
    /// There is no compact form.
    NoCompact(&'static str),
}

const HMAC: &str = "symmetric signatures are refused by design (RFC 8725 §2.1)";
const P521: &str = "ES512 is not among the algorithms on offer";

const SIGNATURES: [(&str, Expect); 8] = [
    ("rfc7520/jws/4_1.rsa_v15_signature.json", Expect::Verifies),
    ("rfc7520/jws/4_2.rsa-pss_signature.json", Expect::Verifies),
    ("rfc7520/jws/4_3.ecdsa_signature.json", Expect::Refused(AlgorithmFault::Unknown, P521)),
    (
        "rfc7520/jws/4_4.hmac-sha2_integrity_protection.json",
        Expect::Refused(AlgorithmFault::Symmetric, HMAC),
    ),
    (
        "rfc7520/jws/4_5.signature_with_detached_content.json",
        Expect::Refused(AlgorithmFault::Symmetric, HMAC),
    ),
    (
        "rfc7520/jws/4_6.protecting_specific_header_fields.json",
        Expect::NoCompact("its header is not protected in whole: JSON serialization only"),
    ),
    (
        "rfc7520/jws/4_7.protecting_content_only.json",
        Expect::NoCompact("its header is not protected at all: JSON serialization only"),
    ),
    (
        "rfc7520/jws/4_8.multiple_signatures.json",
        Expect::NoCompact("several signatures: JSON serialization only"),
    ),
];

#[test]
fn rfc7520_s4_signatures() {
    for (path, expect) in SIGNATURES {
        let Some(vector) = load::<Value>(path) else { continue };
        let compact = vector["output"]["compact"].as_str();
        match (expect, compact) {
            (Expect::Verifies, Some(token)) => {
                verifies(token, &vector);
                altered_is_refused(token, &vector["input"]["key"]);
            }
            (Expect::Refused(fault, reason), Some(token)) => {
                let outcome = Compact::parse(token.as_bytes(), CREDENTIAL_BYTES);
                assert_eq!(outcome.err(), Some(JwtError::AlgorithmRefused(fault)), "{path}");
                println!("refused: {path}: {reason}");
            }
            (Expect::NoCompact(reason), None) => {
                // What a JSON serialization is to us: not a token.
                let text = vector["output"]["json"].to_string();
                assert!(Compact::parse(text.as_bytes(), CREDENTIAL_BYTES).is_err(), "{path}");
                println!("skipped: {path}: {reason}");
            }
            (_, compact) => panic!("{path}: compact form: {compact:?}"),
        }
    }
}

fn verifies(token: &str, vector: &Value) {
    let keys = KeySet::parse(&set_of(&public_part(&vector["input"]["key"]))).unwrap();
    let jws = Compact::parse(token.as_bytes(), CREDENTIAL_BYTES).unwrap();
    assert_eq!(jws.payload(), vector["input"]["payload"].as_str().unwrap().as_bytes());
    assert_eq!(jws.header().algorithm.as_str(), vector["input"]["alg"]);
    assert_eq!(jws.verify(&keys, AlgorithmSet::ALL), Ok(()));
}

fn altered_is_refused(token: &str, key: &Value) {
    let keys = KeySet::parse(&set_of(&public_part(key))).unwrap();
    let (input, signature) = token.rsplit_once('.').unwrap();
    let (header, payload) = input.split_once('.').unwrap();
    let altered = format!("{header}.{}.{signature}", payload.replacen("SX", "SY", 1));
    let jws = Compact::parse(altered.as_bytes(), CREDENTIAL_BYTES).unwrap();
    assert_eq!(jws.verify(&keys, AlgorithmSet::ALL), Err(JwtError::BadSignature));
}

/// The multi-signature vector's RSA part, put together in compact form from what it gives: the only one of
/// its three whose algorithm we have, and its `kid` is not protected.
#[test]
fn rfc7520_s4_8_the_rsa_signature_alone() {
    let Some(vector) = load::<Value>("rfc7520/jws/4_8.multiple_signatures.json") else { return };
    let json = &vector["output"]["json"];
    let part = |value: &Value| value.as_str().unwrap().to_owned();
    let first = &json["signatures"][0];
    let token = format!(
        "{}.{}.{}",
        part(&first["protected"]),
        part(&json["payload"]),
        part(&first["signature"])
    );
    let keys = KeySet::parse(&set_of(&public_part(&vector["input"]["key"][0]))).unwrap();
    let jws = Compact::parse(token.as_bytes(), CREDENTIAL_BYTES).unwrap();
    assert_eq!(jws.header().algorithm, Algorithm::Rs256);
    assert_eq!(jws.verify(&keys, AlgorithmSet::ALL), Ok(()));
}

#[test]
fn rfc7520_s3_keys() {
    for (path, expect) in [
        ("rfc7520/jwk/3_1.ec_public_key.json", Some(SkipReason::UnknownKind)), // P-521
        ("rfc7520/jwk/3_2.ec_private_key.json", Some(SkipReason::Private)),
        ("rfc7520/jwk/3_3.rsa_public_key.json", None),
        ("rfc7520/jwk/3_4.rsa_private_key.json", Some(SkipReason::Private)),
        ("rfc7520/jwk/3_5.symmetric_key_mac_computation.json", Some(SkipReason::Symmetric)),
        ("rfc7520/jwk/3_6.symmetric_key_encryption.json", Some(SkipReason::Symmetric)),
    ] {
        let Some(jwk) = load::<Value>(path) else { continue };
        let set = KeySet::parse(&set_of(&jwk)).unwrap();
        assert_eq!(set.skipped().first().map(|it| it.reason), expect, "{path}");
        if expect.is_none() {
            assert_eq!(set.keys()[0].id(), Some("bilbo.baggins@hobbiton.example"));
            assert_eq!(set.to_json()["keys"][0]["n"], jwk["n"]);
            assert_eq!(json!(set.keys()[0].to_json()), jwk, "{path}");
        }
    }
}
