//! Introspection answers (RFC 7662 §2.2).

use crate::error::JwtError;
use crate::json;
use crate::jwt::Claims;
use base::UnixMs;
use base::limits::DOCUMENT_BYTES;
use serde_json::Value;
use std::time::Duration;

/// An answer says nothing that can be relied on. The token is then neither active nor inactive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum IntrospectionError {
    /// Not a strict JSON object.
    #[error("the introspection answer is malformed")]
    Json(#[from] json::JsonError),
    /// `active` is missing or not a boolean.
    #[error("the introspection answer has no boolean `active`")]
    NoActive,
    /// A member of an active answer has the wrong type.
    #[error("the member {0} of the introspection answer has the wrong type")]
    Member(&'static str),
}

/// What the issuer says of an opaque token.
#[derive(Debug, Clone, PartialEq)]
pub enum Introspection {
    /// Unknown, expired, revoked, or not for us: RFC 7662 does not say which.
    Inactive,
    /// The token is good, as far as the issuer can tell.
    Active(Box<Introspected>),
}

/// An active token.
#[derive(Debug, Clone, PartialEq)]
pub struct Introspected {
    /// Its claims; none is required. Types are as strict as those of a JWT.
    pub claims: Claims,
    /// `token_type`, as it was written.
    pub token_type: Option<Box<str>>,
    /// `username`.
    pub username: Option<Box<str>>,
}

impl Introspection {
    /// Reads an answer.
    ///
    /// # Errors
    /// See [`IntrospectionError`].
    pub fn parse(document: &[u8]) -> Result<Self, IntrospectionError> {
        let mut answer = json::object(document, DOCUMENT_BYTES)?;
        // RFC 7662 §2.2: `active` is required and a boolean; "true" and 1 are not.
        match answer.remove("active") {
            Some(Value::Bool(true)) => {}
            Some(Value::Bool(false)) => return Ok(Self::Inactive),
            _ => return Err(IntrospectionError::NoActive),
        }
        let mut text = |name| match answer.remove(name) {
            None => Ok(None),
            Some(Value::String(text)) if !text.chars().any(char::is_control) => {
                Ok(Some(text.into_boxed_str()))
            }
            Some(_) => Err(IntrospectionError::Member(name)),
        };
        let (token_type, username) = (text("token_type")?, text("username")?);
        let claims = Claims::from_object(answer)
            .map_err(|error| IntrospectionError::Member(error.claim().unwrap_or("claims")))?;
        Ok(Self::Active(Box::new(Introspected { claims, token_type, username })))
    }
}

impl Introspected {
    /// Judges what the answer says against us: the issuer where it names one, the audience, the times that
    /// it has. RFC 7662 §4 leaves these checks to whoever asks.
    ///
    /// # Errors
    /// `WrongIssuer`, `WrongAudience`, `Expired`, `NotYetValid`.
    pub fn validate(
        &self,
        issuer: &str,
        audiences: &[String],
        now: UnixMs,
        skew: Duration,
    ) -> Result<(), JwtError> {
        if self.claims.issuer.as_deref().is_some_and(|own| own != issuer) {
            return Err(JwtError::WrongIssuer);
        }
        crate::jwt::audience(&self.claims, audiences)?;
        match self.claims.expires_at {
            Some(_) => crate::jwt::times(&self.claims, now, skew),
            None => {
                let ending = Claims { expires_at: Some(UnixMs(i64::MAX)), ..self.claims.clone() };
                crate::jwt::times(&ending, now, skew)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base::limits::CLOCK_SKEW;
    use proptest::prelude::*;
    use serde_json::json;

    const NOW: UnixMs = UnixMs(1_764_000_000_000);

    fn parse(answer: &Value) -> Result<Introspection, IntrospectionError> {
        Introspection::parse(answer.to_string().as_bytes())
    }

    fn judge(answer: Value) -> Result<(), JwtError> {
        let Ok(Introspection::Active(token)) = parse(&answer) else { panic!("{answer}") };
        token.validate("https://login.example", &["orders".to_owned()], NOW, CLOCK_SKEW)
    }

    #[test]
    fn rfc7662_s2_2_active_is_a_boolean() {
        assert_eq!(parse(&json!({"active": false, "exp": "x"})), Ok(Introspection::Inactive));
        assert!(matches!(parse(&json!({"active": true})), Ok(Introspection::Active(_))));
        for bad in
            [json!({}), json!({"active": "true"}), json!({"active": 1}), json!({"active": null})]
        {
            assert_eq!(parse(&bad), Err(IntrospectionError::NoActive), "{bad}");
        }
        for bad in ["", "[]", "true", r#"{"active":false,"active":true}"#, "<html>"] {
            let read = Introspection::parse(bad.as_bytes());
            assert!(matches!(read, Err(IntrospectionError::Json(_))), "{bad}");
        }
    }

    #[test]
    fn rfc7662_s2_2_members_have_their_types() {
        for (name, bad) in [
            ("exp", json!("1764000300")),
            ("nbf", json!(1.5)),
            ("scope", json!(["a"])),
            ("sub", json!(1)),
            ("aud", json!([1])),
            ("cnf", json!("x")),
            ("client_id", json!(null)),
            ("username", json!(1)),
            ("token_type", json!("a\n")),
        ] {
            let mut answer = json!({"active": true});
            answer[name] = bad;
            assert_eq!(parse(&answer), Err(IntrospectionError::Member(name)));
        }
    }

    #[test]
    fn rfc7662_s4_what_the_answer_says_is_judged() {
        let good = json!({"active": true, "aud": "orders", "scope": "a", "token_type": "Bearer"});
        let with = |name: &str, value: Value| {
            let mut answer = good.clone();
            answer[name] = value;
            judge(answer)
        };
        assert_eq!(judge(good.clone()), Ok(()));
        assert_eq!(with("iss", json!("https://login.example")), Ok(()));
        assert_eq!(with("iss", json!("https://evil.example")), Err(JwtError::WrongIssuer));
        assert_eq!(with("aud", json!("other")), Err(JwtError::WrongAudience));
        assert_eq!(judge(json!({"active": true})), Err(JwtError::WrongAudience));
        let second = NOW.seconds();
        assert_eq!(with("exp", json!(second - 29)), Ok(()));
        assert_eq!(with("exp", json!(second - 30)), Err(JwtError::Expired));
        assert_eq!(with("nbf", json!(second + 31)), Err(JwtError::NotYetValid("nbf")));
        assert_eq!(with("iat", json!(second + 31)), Err(JwtError::NotYetValid("iat")));
    }

    proptest! {
        #[test]
        fn nothing_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Introspection::parse(&bytes);
        }
    }
}
