//! Client authentication at the token endpoint and its kin (RFC 6749 §2.3, RFC 7521 §4.2, RFC 7523 §2.2).
//!
//! Owns: finding the one method that a request uses, and judging a signed assertion.
//!
//! Never does: know a secret or a key; what was presented is compared elsewhere.
//!
//! Invariant: a request that uses two methods gets none.

mod assertion;
#[cfg(test)]
mod tests;

pub use assertion::{
    ASSERTION_LIFETIME, AssertionError, AssertionExpectation, ClientAssertion, JTI_BYTES, OnceOnly,
};

use super::authorize::CLIENT_ID_CHARS;
use super::error::{ErrorCode, OAuthError};
use super::params::{Params, decode};
use base::Secret;
use base::limits::CREDENTIAL_BYTES;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

/// The only type of assertion (RFC 7523 §2.2).
pub const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
/// Bytes of a client secret.
pub const SECRET_BYTES: usize = 1024;

/// How a client authenticates (the registry of RFC 7591 §2 and RFC 8705 §2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AuthMethod {
    /// Not at all: a public client.
    None,
    /// A secret in the `Authorization` header: the default of RFC 7591 §2.
    #[default]
    ClientSecretBasic,
    /// A secret in the body.
    ClientSecretPost,
    /// A signed assertion.
    PrivateKeyJwt,
    /// A certificate of a known CA (RFC 8705 §2.1).
    TlsClientAuth,
    /// A certificate that was registered itself (RFC 8705 §2.2).
    SelfSignedTlsClientAuth,
}

impl AuthMethod {
    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::ClientSecretBasic => "client_secret_basic",
            Self::ClientSecretPost => "client_secret_post",
            Self::PrivateKeyJwt => "private_key_jwt",
            Self::TlsClientAuth => "tls_client_auth",
            Self::SelfSignedTlsClientAuth => "self_signed_tls_client_auth",
        }
    }

    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::None,
        Self::ClientSecretBasic,
        Self::ClientSecretPost,
        Self::PrivateKeyJwt,
        Self::TlsClientAuth,
        Self::SelfSignedTlsClientAuth,
    ];

    /// The method of that name.
    pub fn read(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|method| method.as_str() == name)
    }

    /// Whether it rests on a secret that both sides know.
    pub fn is_shared_secret(self) -> bool {
        matches!(self, Self::ClientSecretBasic | Self::ClientSecretPost)
    }
}

/// What a request presents, and for which client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Presented {
    /// The client. With an assertion it is only claimed: its `iss`.
    pub client_id: Box<str>,
    /// The credential.
    pub credential: Credential,
}

/// A client's credential, not checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Credential {
    /// Only the client's id: a public client, or one that shows a certificate.
    None,
    /// A secret in the `Authorization` header.
    Basic(Secret<String>),
    /// A secret in the body.
    Post(Secret<String>),
    /// A signed assertion.
    Assertion(Secret<String>),
}

/// Finds how a client authenticates. `authorization` are the values of all `Authorization` headers.
///
/// # Errors
/// `invalid_request` when two methods are used or a parameter does not fit, `invalid_client` when the
/// header cannot be read or no client is named.
pub fn read(authorization: &[&[u8]], params: &Params) -> Result<Presented, OAuthError> {
    let secret = params.get("client_secret");
    let assertion = assertion(params)?;
    let header = match authorization {
        [] => None,
        [value] => Some(basic(value)?),
        _ => return Err(request("more than one Authorization header")),
    };
    let methods = [header.is_some(), secret.is_some(), assertion.is_some()];
    // RFC 6749 §2.3: one method a request.
    if methods.into_iter().filter(|used| *used).count() > 1 {
        return Err(request("more than one way of client authentication"));
    }
    let body_id = params.get("client_id");
    let (client_id, credential) = match (header, secret, assertion) {
        (Some((id, secret)), ..) => (id, Credential::Basic(secret)),
        (None, Some(secret), _) if secret.len() <= SECRET_BYTES => {
            (named(body_id)?, Credential::Post(Secret::new(secret.to_owned())))
        }
        (None, Some(_), _) => return Err(refused("the client secret is too long")),
        (None, None, Some(text)) => {
            let id =
                ClientAssertion::parse(text).map_err(|_| refused("the assertion is malformed"))?;
            let id = id.claimed_client().ok_or_else(|| refused("the assertion names no client"))?;
            (id.into(), Credential::Assertion(Secret::new(text.to_owned())))
        }
        (None, None, None) => (named(body_id)?, Credential::None),
    };
    // RFC 7521 §4.2: a client_id beside the credential names the same client.
    if body_id.is_some_and(|id| *id != *client_id) {
        return Err(request("client_id is not that of the credential"));
    }
    match client_id.len() <= CLIENT_ID_CHARS && client_id.bytes().all(|c| matches!(c, b' '..=b'~'))
    {
        true => Ok(Presented { client_id, credential }),
        false => Err(refused("the client id is malformed")),
    }
}

fn named(id: Option<&str>) -> Result<Box<str>, OAuthError> {
    id.map(Into::into).ok_or_else(|| refused("no client is named"))
}

/// RFC 7521 §4.2: assertion and type stand together.
fn assertion(params: &Params) -> Result<Option<&str>, OAuthError> {
    match (params.get("client_assertion"), params.get("client_assertion_type")) {
        (None, None) => Ok(None),
        (Some(text), Some(JWT_BEARER)) if text.len() <= CREDENTIAL_BYTES => Ok(Some(text)),
        (Some(_), Some(JWT_BEARER)) => Err(refused("the assertion is too long")),
        (Some(_), Some(_)) => Err(refused("the type of client assertion is not offered")),
        _ => Err(request("client_assertion and client_assertion_type stand together")),
    }
}

/// RFC 7617 §2 with the encoding of RFC 6749 §2.3.1.
fn basic(value: &[u8]) -> Result<(Box<str>, Secret<String>), OAuthError> {
    let unreadable = || refused("the Authorization header is not a Basic credential");
    let (scheme, rest) = value.split_at_checked(6).ok_or_else(unreadable)?;
    if !scheme.eq_ignore_ascii_case(b"Basic ") || rest.len() > CREDENTIAL_BYTES {
        return Err(unreadable());
    }
    let decoded = STANDARD.decode(rest.trim_ascii()).map_err(|_| unreadable())?;
    let decoded = Secret::new(decoded);
    let bytes = decoded.expose();
    let colon = bytes.iter().position(|c| *c == b':').ok_or_else(unreadable)?;
    let (id, secret) = bytes.split_at_checked(colon).ok_or_else(unreadable)?;
    // RFC 6749 §2.3.1: both are form-encoded before they are joined.
    let part = |text: &[u8]| decode(text).map_err(|_| unreadable());
    let (id, secret) = (part(id)?, part(secret.get(1..).unwrap_or_default())?);
    let secret = Secret::new(secret.into_string());
    let control = id.chars().chain(secret.expose().chars()).any(char::is_control);
    match !id.is_empty() && !control && secret.expose().len() <= SECRET_BYTES {
        true => Ok((id, secret)),
        false => Err(unreadable()),
    }
}

fn request(text: &'static str) -> OAuthError {
    OAuthError::new(ErrorCode::InvalidRequest, text)
}

fn refused(text: &'static str) -> OAuthError {
    OAuthError::new(ErrorCode::InvalidClient, text)
}
