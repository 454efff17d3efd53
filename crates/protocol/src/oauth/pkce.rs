//! Proof Key for Code Exchange (RFC 7636), with S256 only.
//!
//! Never does: `plain`, which protects nothing once the request is seen (RFC 9700 §2.1.1).

use crate::b64;
use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{SHA256, digest};

/// The only method (RFC 7636 §4.2).
pub const METHOD: &str = "S256";
/// Characters of a verifier (RFC 7636 §4.1).
pub const VERIFIER_CHARS: std::ops::RangeInclusive<usize> = 43..=128;

/// Whether `text` is a verifier: 43 to 128 unreserved characters (RFC 7636 §4.1).
pub fn is_verifier(text: &str) -> bool {
    let unreserved = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'.' | b'_' | b'~');
    VERIFIER_CHARS.contains(&text.len()) && text.bytes().all(unreserved)
}

/// Whether `text` may be a challenge of S256: the base64url of 32 bytes.
pub fn is_challenge(text: &str) -> bool {
    b64::decode(text.as_bytes()).is_ok_and(|hash| hash.len() == 32)
}

/// The challenge of a verifier (RFC 7636 §4.2).
pub fn challenge_s256(verifier: &str) -> String {
    b64::encode(digest(&SHA256, verifier.as_bytes()))
}

/// Whether `verifier` is well-formed and belongs to `challenge`; compared in constant time.
#[must_use]
pub fn matches(challenge: &str, verifier: &str) -> bool {
    // RFC 7636 §4.6: BASE64URL-ENCODE(SHA256(ASCII(code_verifier))) == code_challenge.
    let own = challenge_s256(verifier);
    is_verifier(verifier) && verify_slices_are_equal(own.as_bytes(), challenge.as_bytes()).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

    #[test]
    fn rfc7636_appendix_b_example() {
        assert_eq!(challenge_s256(VERIFIER), CHALLENGE);
        assert!(matches(CHALLENGE, VERIFIER) && is_challenge(CHALLENGE));
    }

    #[test]
    fn rfc7636_s4_6_verifier_must_match() {
        assert!(!matches(CHALLENGE, &VERIFIER.replace('d', "e")));
        assert!(!matches(CHALLENGE, CHALLENGE));
        assert!(!matches(CHALLENGE, ""));
        assert!(!matches("", ""));
        // RFC 7636 §4.2: what `plain` would take.
        assert!(!matches(VERIFIER, VERIFIER));
    }

    #[test]
    fn rfc7636_s4_1_verifier_has_43_to_128_unreserved_characters() {
        assert!(is_verifier(&"a".repeat(43)) && is_verifier(&"-._~".repeat(32)));
        for bad in ["a".repeat(42), "a".repeat(129), "+".repeat(43), "\u{e4}".repeat(43)] {
            assert!(!is_verifier(&bad), "{bad}");
            assert!(!matches(&challenge_s256(&bad), &bad), "{bad}");
        }
        for bad in ["", &CHALLENGE[1..], &format!("{CHALLENGE}A"), &format!("{CHALLENGE}=")] {
            assert!(!is_challenge(bad), "{bad}");
        }
    }
}
