//! API keys: `pcl_<env>_<id>_<secret><check>`.
//!
//! Owns: the format, its check characters, drawing a new key.
//!
//! Never does: store or compare a secret; `Debug` shows the id only.

use base::{Code, IdError, Secret, base62, code};
use std::fmt;

/// What every key begins with, so that scanners find it.
pub const PREFIX: &str = "pcl_";
/// Characters of the id.
pub const ID_CHARS: usize = 12;
/// Characters of the secret: 62³² is more than 2¹⁹⁰.
pub const SECRET_CHARS: usize = 32;
/// Characters of the check: CRC-32 in base62.
pub const CHECK_CHARS: usize = 6;
/// Characters of the environment's name; keeps the whole key under 80 characters.
pub const ENVIRONMENT_CHARS: usize = 16;

/// Why a text is not an API key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ApiKeyError {
    /// It does not begin with [`PREFIX`]: another kind of credential.
    #[error("the text is no API key")]
    NotAKey,
    /// Its parts are not as they must be.
    #[error("the API key is malformed")]
    Malformed,
    /// Its check characters are wrong: a typing or copying mistake.
    #[error("the API key's check characters are wrong")]
    Check,
}

impl ApiKeyError {
    /// Its stable code.
    pub fn code(&self) -> Code {
        code::KEY_MALFORMED
    }
}

/// A well-formed API key.
#[derive(Clone)]
pub struct ApiKey {
    environment: Box<str>,
    id: Box<str>,
    secret: Secret<String>,
}

impl ApiKey {
    /// Whether `credential` is to be treated as an API key. Costs four comparisons.
    pub fn looks_like(credential: &[u8]) -> bool {
        credential.starts_with(PREFIX.as_bytes())
    }

    /// Reads a key.
    ///
    /// # Errors
    /// See [`ApiKeyError`].
    pub fn parse(text: &str) -> Result<Self, ApiKeyError> {
        let rest = text.strip_prefix(PREFIX).ok_or(ApiKeyError::NotAKey)?;
        let mut parts = rest.split('_');
        let (Some(environment), Some(id), Some(tail), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(ApiKeyError::Malformed);
        };
        let sound = is_environment(environment)
            && id.len() == ID_CHARS
            && tail.len() == SECRET_CHARS + CHECK_CHARS
            && base62::is(id.as_bytes())
            && base62::is(tail.as_bytes());
        if !sound {
            return Err(ApiKeyError::Malformed);
        }
        let (body, check) =
            text.split_at_checked(text.len() - CHECK_CHARS).ok_or(ApiKeyError::Malformed)?;
        // Not a defence: the check only tells a mistake from an attempt. No constant time is needed.
        if check.as_bytes() != check_of(body) {
            return Err(ApiKeyError::Check);
        }
        let secret = tail.get(..SECRET_CHARS).ok_or(ApiKeyError::Malformed)?;
        Ok(Self {
            environment: environment.into(),
            id: id.into(),
            secret: Secret::new(secret.to_owned()),
        })
    }

    /// Draws a new key for `environment`.
    ///
    /// # Errors
    /// `Malformed` when the environment is not 1 to 16 of `a`–`z` and `0`–`9`, or the system has no
    /// randomness to give.
    pub fn generate(environment: &str) -> Result<Self, IdError> {
        Self::with_id(environment, &base62::random(ID_CHARS)?)
    }

    /// Draws a new secret for the key `id`: rotation.
    ///
    /// # Errors
    /// As [`ApiKey::generate`], and `Malformed` when `id` is no key's id.
    pub fn with_id(environment: &str, id: &str) -> Result<Self, IdError> {
        if !is_environment(environment) || !is_id(id) {
            return Err(IdError::Malformed);
        }
        let secret = Secret::new(base62::random(SECRET_CHARS)?);
        Ok(Self { environment: environment.into(), id: id.into(), secret })
    }

    /// The environment that it is for.
    pub fn environment(&self) -> &str {
        &self.environment
    }

    /// Its id: public, and what it is looked up by.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Its id as bytes, for tables that are keyed by it.
    pub fn id_bytes(&self) -> [u8; ID_CHARS] {
        let mut out = [0; ID_CHARS];
        for (to, from) in out.iter_mut().zip(self.id.bytes()) {
            *to = from;
        }
        out
    }

    /// Its secret part.
    pub fn secret(&self) -> &Secret<String> {
        &self.secret
    }

    /// The whole key, to be shown once.
    pub fn to_text(&self) -> Secret<String> {
        let body = Secret::new(format!(
            "{PREFIX}{}_{}_{}",
            self.environment,
            self.id,
            self.secret.expose()
        ));
        let mut text = String::with_capacity(body.expose().len() + CHECK_CHARS);
        text.push_str(body.expose());
        text.extend(check_of(body.expose()).map(char::from));
        Secret::new(text)
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ApiKey({PREFIX}{}_{}_…)", self.environment, self.id)
    }
}

/// Whether `text` is the id of a key.
pub fn is_id(text: &str) -> bool {
    text.len() == ID_CHARS && base62::is(text.as_bytes())
}

fn is_environment(text: &str) -> bool {
    (1..=ENVIRONMENT_CHARS).contains(&text.len())
        && text.bytes().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit())
}

fn check_of(body: &str) -> [u8; CHECK_CHARS] {
    base62::encode_u32(crc32fast::hash(body.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_generated_key_reads_back() {
        let key = ApiKey::generate("live").unwrap();
        let text = key.to_text();
        assert_eq!(text.expose().len(), 4 + 4 + 1 + 12 + 1 + 32 + 6);
        assert!(ApiKey::looks_like(text.expose().as_bytes()));
        let read = ApiKey::parse(text.expose()).unwrap();
        assert_eq!((read.id(), read.environment()), (key.id(), "live"));
        assert_eq!(read.secret(), key.secret());
    }

    #[test]
    fn the_check_is_the_crc32_of_what_stands_before_it() {
        // Computed apart, with zlib.
        let body = "pcl_dev_000000000000_00000000000000000000000000000000";
        assert_eq!(&check_of(body), b"4FUUw2");
        assert!(ApiKey::parse(&format!("{body}4FUUw2")).is_ok());
        assert_eq!(ApiKey::parse(&format!("{body}zzzzzz")).err(), Some(ApiKeyError::Check));
    }

    #[test]
    fn malformed_keys_are_refused() {
        let good = ApiKey::generate("test").unwrap().to_text().expose().clone();
        for bad in [
            "pcl_",
            "pcl_a_b_c",
            "pcl_test__",
            "pcl_TEST_000000000000_0",
            "pcl___",
            &format!("{good}0"),
            &format!("{good}_"),
            &good[..good.len() - 1],
            &good.replace("test", "muchtoolonganame0"),
            &good.replace("test", ""),
            &good.replace("test", "te-t"),
        ] {
            assert_eq!(ApiKey::parse(bad).err(), Some(ApiKeyError::Malformed), "{bad}");
        }
        assert_eq!(ApiKey::parse("eyJ").err(), Some(ApiKeyError::NotAKey));
        assert!(ApiKey::generate("Live").is_err());
        assert!(ApiKey::with_id("live", "short").is_err());
    }

    #[test]
    fn debug_hides_the_secret() {
        let key = ApiKey::generate("live").unwrap();
        assert!(!format!("{key:?}").contains(key.secret().expose()));
    }

    proptest! {
        #[test]
        fn nothing_panics(text in "pcl_[a-z0-9é]{0,9}_[A-Za-z0-9é]{0,13}_[A-Za-z0-9é]{0,40}") {
            let _ = ApiKey::parse(&text);
        }

        #[test]
        fn one_changed_character_is_noticed(at in 4usize..60, to in "[a-z0-9]") {
            let good = ApiKey::generate("live").unwrap().to_text().expose().clone();
            let mut bad = good.clone();
            bad.replace_range(at..at + 1, &to);
            prop_assert!(bad == good || ApiKey::parse(&bad).is_err());
        }
    }
}
