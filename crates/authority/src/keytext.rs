//! The text of an API key: `pcl_<env>_<id>_<secret><check>`. The one place that composes it.

use crate::error::Error;
use crate::records::KeyId;
use base::{IdError, Secret, base62};
use zeroize::Zeroizing;

/// Characters of the secret: 62³² is 190 bits.
const SECRET_CHARS: usize = 32;
/// Characters of the environment's word; keeps the whole key under 80 characters.
const ENV_CHARS: usize = 16;

/// A new key: its secret part, and the whole text that the caller gets once.
pub(crate) struct KeyText {
    pub(crate) secret: Secret<String>,
    pub(crate) whole: Secret<String>,
}

impl KeyText {
    /// Draws a secret and composes the text.
    pub(crate) fn draw(env: &str, id: KeyId) -> Result<Self, IdError> {
        let secret = Secret::new(base62::random(SECRET_CHARS)?);
        let mut whole = Zeroizing::new(String::with_capacity(80));
        whole.push_str("pcl_");
        whole.push_str(env);
        whole.push('_');
        whole.push_str(id.as_str());
        whole.push('_');
        whole.push_str(secret.expose());
        let check = base62::encode_u32(crc32(whole.as_bytes()));
        whole.extend(check.iter().map(|c| char::from(*c)));
        Ok(Self { secret, whole: Secret::new(std::mem::take(&mut *whole)) })
    }
}

/// The environment's word: it stands between underscores, so it may have none.
pub(crate) fn env(text: &str) -> Result<String, Error> {
    let good = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit();
    if text.is_empty() || text.len() > ENV_CHARS || !text.bytes().all(good) {
        return Err(Error::invalid(
            "env",
            format!("must be 1 to {ENV_CHARS} lower-case letters or digits"),
        ));
    }
    Ok(text.to_owned())
}

/// CRC-32 (ISO-HDLC), for catching typing mistakes; not a security measure.
fn crc32(bytes: &[u8]) -> u32 {
    bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg())
        })
    }) ^ u32::MAX
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crc_has_its_check_value() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
    }

    #[test]
    fn the_text_has_its_parts() {
        let id = KeyId::random().unwrap();
        let text = KeyText::draw("live", id).unwrap();
        let whole = text.whole.expose();
        assert_eq!(whole.len(), 4 + 5 + 13 + 32 + 6);
        assert!(whole.starts_with(&format!("pcl_live_{id}_{}", text.secret.expose())));
    }
}
