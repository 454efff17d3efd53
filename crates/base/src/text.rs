//! Alphabets for ids: base62 and Crockford's base32.

use crate::ids::IdError;

const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const CROCKFORD: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// `N` bytes of the operating system's randomness.
///
/// # Errors
/// When the system has none to give; the caller must then refuse what it was about to do.
pub fn random_array<const N: usize>() -> Result<[u8; N], IdError> {
    let mut bytes = [0u8; N];
    getrandom::fill(&mut bytes).map_err(|_| IdError::NoRandomness)?;
    Ok(bytes)
}

/// Base62 text.
pub mod base62 {
    use super::{BASE62, IdError, random_array};

    /// `len` random base62 characters, each drawn without bias (bytes of 248 and more are drawn again).
    ///
    /// # Errors
    /// When the system has no randomness to give.
    pub fn random(len: usize) -> Result<String, IdError> {
        let mut out = String::with_capacity(len);
        while out.len() < len {
            for byte in random_array::<64>()? {
                if byte < 248
                    && out.len() < len
                    && let Some(c) = BASE62.get(usize::from(byte % 62))
                {
                    out.push(char::from(*c));
                }
            }
        }
        Ok(out)
    }

    /// `value` in exactly six base62 characters, zero-padded on the left (62⁶ > 2³²).
    pub fn encode_u32(value: u32) -> [u8; 6] {
        let mut out = [b'0'; 6];
        let mut rest = value;
        for slot in out.iter_mut().rev() {
            let digit = usize::try_from(rest % 62).unwrap_or(0);
            *slot = BASE62.get(digit).copied().unwrap_or(b'0');
            rest /= 62;
        }
        out
    }

    /// Whether every byte of `text` is a base62 character.
    pub fn is(text: &[u8]) -> bool {
        text.iter().all(u8::is_ascii_alphanumeric)
    }
}

/// Crockford's base32, lower case, for 128-bit ids (26 characters).
pub mod crockford {
    use super::{CROCKFORD, IdError};

    /// The 26 characters of a 128-bit value, most significant first.
    pub fn encode(value: u128) -> [u8; 26] {
        let mut out = [b'0'; 26];
        let mut rest = value;
        for slot in out.iter_mut().rev() {
            let digit = usize::try_from(rest & 31).unwrap_or(0);
            *slot = CROCKFORD.get(digit).copied().unwrap_or(b'0');
            rest >>= 5;
        }
        out
    }

    /// Reads what [`encode`] wrote; upper case is taken too.
    ///
    /// # Errors
    /// When the text is not 26 characters of the alphabet, or exceeds 128 bits.
    pub fn decode(text: &str) -> Result<u128, IdError> {
        if text.len() != 26 || text.as_bytes().first().is_some_and(|c| *c > b'7') {
            return Err(IdError::Malformed);
        }
        let mut value = 0u128;
        for c in text.bytes() {
            let digit = CROCKFORD
                .iter()
                .position(|d| *d == c.to_ascii_lowercase())
                .ok_or(IdError::Malformed)?;
            value = (value << 5) | digit as u128;
        }
        Ok(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crockford_round_trips() {
        for value in [0, 1, u128::MAX, 0x0123_4567_89ab_cdef] {
            let text = String::from_utf8(crockford::encode(value).to_vec()).unwrap();
            assert_eq!(crockford::decode(&text).unwrap(), value);
        }
        assert!(crockford::decode("80000000000000000000000000").is_err());
        assert!(crockford::decode("short").is_err());
    }

    #[test]
    fn base62_is_of_the_length_asked() {
        let text = base62::random(32).unwrap();
        assert_eq!(text.len(), 32);
        assert!(base62::is(text.as_bytes()));
        assert_eq!(&base62::encode_u32(61), b"00000z");
    }
}
