//! Strict base64url without padding (RFC 4648 §5, RFC 7515 §2).
//!
//! Invariant: one text for one value. Padding, white space, characters of the other alphabet and non-zero
//! trailing bits are refused, so that a credential cannot be respelled.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// The text is not base64url without padding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not base64url without padding")]
pub struct B64Error;

/// The bytes that `text` stands for.
///
/// # Errors
/// When the text is not canonical base64url without padding.
pub fn decode(text: &[u8]) -> Result<Vec<u8>, B64Error> {
    URL_SAFE_NO_PAD.decode(text).map_err(|_| B64Error)
}

/// The text of `bytes`.
pub fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Appends the text of `bytes` to `out`.
pub fn encode_into(bytes: impl AsRef<[u8]>, out: &mut String) {
    URL_SAFE_NO_PAD.encode_string(bytes, out);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn rfc7515_s2_padding_space_and_foreign_characters_are_refused() {
        assert_eq!(decode(b"Zm9v").unwrap(), b"foo");
        assert_eq!(decode(b"").unwrap(), b"");
        for bad in ["Zm8=", "Zm9v ", " Zm9v", "Zm\n9v", "Zm9+", "Zm9/", "Z", "Zm9vZ", "Zm9v\0"] {
            assert_eq!(decode(bad.as_bytes()), Err(B64Error), "{bad:?}");
        }
    }

    #[test]
    fn rfc4648_s3_5_trailing_bits_must_be_zero() {
        assert!(decode(b"Zg").is_ok());
        assert!(decode(b"Zh").is_err());
        assert!(decode(b"Zm9").is_err());
    }

    proptest! {
        #[test]
        fn what_is_encoded_decodes(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            prop_assert_eq!(decode(encode(&bytes).as_bytes()).unwrap(), bytes);
        }

        #[test]
        fn what_decodes_is_the_only_spelling(text in "[A-Za-z0-9_=+/ -]{0,12}") {
            if let Ok(bytes) = decode(text.as_bytes()) {
                prop_assert_eq!(encode(bytes), text);
            }
        }
    }
}
