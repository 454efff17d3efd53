//! `id_token_hint`: an ID token that we issued, shown to us again (OpenID Connect Core §3.1.2.1,
//! RP-Initiated Logout §2).

use crate::algorithm::AlgorithmSet;
use crate::error::JwtError;
use crate::jwk::KeySet;
use crate::jwt::Token;
use base::limits::CREDENTIAL_BYTES;

/// Why a hint says nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HintError {
    /// Its form or signature.
    #[error(transparent)]
    Token(#[from] JwtError),
    /// It is not an ID token of ours.
    #[error("the hint is not an ID token of this issuer")]
    NotAnIdToken,
}

/// What a hint says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdTokenHint {
    /// `sub`, as the client knows the person.
    pub subject: Box<str>,
    /// The client that the token was issued to.
    pub client_id: Box<str>,
    /// `sid`.
    pub session_id: Option<Box<str>>,
}

impl IdTokenHint {
    /// Reads a hint. `keys` are all of ours, retired ones included.
    ///
    /// # Errors
    /// See [`HintError`].
    pub fn read(
        text: &str,
        issuer: &str,
        keys: &KeySet,
        algorithms: AlgorithmSet,
    ) -> Result<Self, HintError> {
        let token = Token::parse(text.as_bytes(), CREDENTIAL_BYTES)?;
        let signed = token.verify(keys, algorithms)?;
        // RFC 8725 §3.11: the same keys sign access tokens, logout tokens and answers; each says its type or
        // has a claim that an ID token has not.
        let claims = signed.claims;
        let typ = signed.header.typ.as_deref();
        let plain = typ.is_none_or(|typ| typ.eq_ignore_ascii_case(super::ID_TOKEN_TYP));
        if !plain || claims.events.is_some() || claims.client_id.is_some() {
            return Err(HintError::NotAnIdToken);
        }
        if claims.issuer.as_deref() != Some(issuer) {
            return Err(JwtError::WrongIssuer.into());
        }
        // RP-Initiated Logout §2: a hint may be expired; it is not an authentication.
        let (Some(subject), [audience], true) =
            (claims.subject, claims.audiences.as_slice(), claims.issued_at.is_some())
        else {
            return Err(HintError::NotAnIdToken);
        };
        let client_id = claims.authorized_party.unwrap_or_else(|| audience.clone());
        Ok(Self { subject, client_id, session_id: claims.session_id })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::algorithm::Algorithm;
    use crate::sign::{Signer, SigningKey};
    use serde_json::{Value, json};
    use std::sync::{Arc, LazyLock};

    const ISSUER: &str = "https://login.example";

    static KEY: LazyLock<Arc<SigningKey>> =
        LazyLock::new(|| Arc::new(SigningKey::generate(Algorithm::Es256).unwrap()));

    fn read(typ: &str, claims: &Value) -> Result<IdTokenHint, HintError> {
        let token = Signer::new(KEY.clone(), typ).sign(claims).unwrap();
        let keys = KeySet::new(vec![KEY.public().clone()]);
        IdTokenHint::read(&token, ISSUER, &keys, AlgorithmSet::DEFAULT)
    }

    fn claims() -> Value {
        json!({"iss": ISSUER, "sub": "anna", "aud": "app", "exp": 100, "iat": 1, "sid": "S"})
    }

    fn with(name: &str, value: Value) -> Result<IdTokenHint, HintError> {
        let mut claims = claims();
        claims[name] = value;
        read("JWT", &claims)
    }

    #[test]
    fn oidc_rp_logout_s2_an_expired_hint_is_taken() {
        let hint = read("JWT", &claims()).unwrap();
        let expect = IdTokenHint {
            subject: "anna".into(),
            client_id: "app".into(),
            session_id: Some("S".into()),
        };
        assert_eq!(hint, expect);
    }

    #[test]
    fn rfc8725_s3_11_other_tokens_of_ours_are_no_hints() {
        for typ in ["at+jwt", "logout+jwt", "token-introspection+jwt"] {
            assert_eq!(read(typ, &claims()), Err(HintError::NotAnIdToken), "{typ}");
        }
        assert_eq!(with("events", json!({})), Err(HintError::NotAnIdToken));
        assert_eq!(with("client_id", json!("app")), Err(HintError::NotAnIdToken));
        assert_eq!(with("aud", json!(["app", "b"])), Err(HintError::NotAnIdToken));
        assert_eq!(with("iss", json!("https://evil.example")), Err(JwtError::WrongIssuer.into()));
        let mut jarm = claims();
        jarm.as_object_mut().unwrap().remove("sub");
        assert_eq!(read("JWT", &jarm), Err(HintError::NotAnIdToken));
    }

    #[test]
    fn a_hint_that_we_did_not_sign_says_nothing() {
        let other = Arc::new(SigningKey::generate(Algorithm::Es256).unwrap());
        let token = Signer::new(other, "JWT").sign(&claims()).unwrap();
        let keys = KeySet::new(vec![KEY.public().clone()]);
        let read = IdTokenHint::read(&token, ISSUER, &keys, AlgorithmSet::DEFAULT);
        assert_eq!(read, Err(JwtError::UnknownKey.into()));
    }
}
