//! Compact JWS and JWT.
//!
//! The input is tried as a token, and, split at the first newline, as a header and claims that are encoded
//! first, so that the fuzzer reaches behind the base64.

#![no_main]

use base::UnixMs;
use base::limits::{CLOCK_SKEW, CREDENTIAL_BYTES};
use libfuzzer_sys::fuzz_target;
use protocol::jwk::KeySet;
use protocol::jws::Compact;
use protocol::jwt::{Claims, Expectation, Token, TokenTypes};
use protocol::{AlgorithmSet, b64};
use std::sync::LazyLock;

static KEYS: LazyLock<KeySet> = LazyLock::new(|| {
    KeySet::parse(include_bytes!("../seeds/jwk/three-kinds")).expect("the seed is a key set")
});

fn judge(token: &[u8]) {
    let found = Compact::parse(token, CREDENTIAL_BYTES).and_then(|jws| jws.unverified_issuer());
    let Ok(token) = Token::parse(token, CREDENTIAL_BYTES) else { return };
    // The quick look and the strict one see the same issuer.
    assert_eq!(found.as_ref().map(Option::as_deref), Ok(token.unverified().issuer()));
    assert!(token.verify(&KEYS, AlgorithmSet::ALL).is_err(), "a signature was forged");
}

fuzz_target!(|data: &[u8]| {
    judge(data);
    let Some(at) = data.iter().position(|byte| *byte == b'\n') else { return };
    let (header, claims) = data.split_at(at);
    let claims = &claims[1..];
    let token = format!("{}.{}.{}", b64::encode(header), b64::encode(claims), "A".repeat(86));
    judge(token.as_bytes());
    if let Ok(read) = Claims::parse(claims) {
        let header = r#"{"alg":"ES256"}"#;
        let token = format!("{}.{}.", b64::encode(header), b64::encode(claims));
        let token = Token::parse(token.as_bytes(), usize::MAX).expect("claims that were read once");
        let expectation = Expectation {
            issuer: "https://login.example",
            audiences: &["orders".to_owned()],
            types: TokenTypes::ACCESS,
            now: UnixMs(1_764_000_000_000),
            skew: CLOCK_SKEW,
        };
        if read.validate(token.header(), &expectation).is_ok() {
            assert!(read.expires_at.is_some() && !read.audiences.is_empty());
        }
    }
});
