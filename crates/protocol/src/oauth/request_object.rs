//! Signed authorization requests (RFC 9101, OpenID Connect Core §6.1, FAPI 2.0 Message Signing §5.3).
//!
//! Owns: verifying the object and taking the parameters out of it.
//!
//! Never does: take a parameter from outside of the object (RFC 9101 §6.3), or fetch one.

use super::client_auth::JTI_BYTES;
use super::error::{ErrorCode, OAuthError};
use super::params::{Params, ParamsError};
use crate::algorithm::AlgorithmSet;
use crate::error::JwtError;
use crate::json::{self, Object};
use crate::jwk::KeySet;
use crate::jws::Compact;
use crate::jwt::{Claims, TokenTypes};
use base::UnixMs;
use serde_json::Value;
use std::time::Duration;

/// Bytes of a request object.
pub const OBJECT_BYTES: usize = super::params::VALUE_BYTES;
/// How much later than `nbf` `exp` may be, and so how old `nbf` (FAPI 2.0 Message Signing §5.3.1).
pub const SIGNED_LIFETIME: Duration = Duration::from_secs(3600);

/// Types of request objects (RFC 9101 §10.8); absent and `JWT` as OpenID Connect clients send them.
const TYPES: TokenTypes = TokenTypes { absent: true, names: &["oauth-authz-req+jwt", "JWT"] };
/// Parameters that are texts.
const TEXTS: [&str; 17] = [
    "response_type",
    "redirect_uri",
    "scope",
    "state",
    "nonce",
    "code_challenge",
    "code_challenge_method",
    "response_mode",
    "prompt",
    "acr_values",
    "login_hint",
    "id_token_hint",
    "ui_locales",
    "dpop_jkt",
    "display",
    "registration",
    "client_id",
];

/// Why an object is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RequestObjectError {
    /// Its form, signature, type or times.
    #[error(transparent)]
    Token(#[from] JwtError),
    /// `iss` or `client_id` is another, or `sub` is the client: that would be a client assertion.
    #[error("the request object is not of this client")]
    Client,
    /// `aud` does not name this issuer.
    #[error("the request object is not for this issuer")]
    Audience,
    /// `nbf` or `exp` is missing, or they lie too far apart or too far back.
    #[error("the request object is valid for too long")]
    TooLong,
    /// `request` or `request_uri` within the object.
    #[error("the request object holds another request")]
    Nested,
    /// A parameter has the wrong JSON type.
    #[error("the parameter {0} of the request object is of the wrong type")]
    Parameter(&'static str),
    /// A parameter is too long, or there are too many.
    #[error("the parameters of the request object do not fit")]
    Parameters(#[from] ParamsError),
}

impl From<RequestObjectError> for OAuthError {
    fn from(error: RequestObjectError) -> Self {
        Self::new(ErrorCode::InvalidRequestObject, error.to_string())
    }
}

/// What an object must be.
#[derive(Debug, Clone, Copy)]
pub struct RequestObjectExpectation<'a> {
    /// The client.
    pub client_id: &'a str,
    /// Our issuer.
    pub issuer: &'a str,
    /// The client's keys.
    pub keys: &'a KeySet,
    /// The algorithms that the client may use.
    pub algorithms: AlgorithmSet,
    /// Whether `nbf` and `exp` are required and bounded (FAPI 2.0 Message Signing).
    pub message_signing: bool,
    /// The time.
    pub now: UnixMs,
    /// How far the client's clock may be off.
    pub skew: Duration,
}

/// A request object that holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestObject {
    /// The parameters, `client_id` among them. All there are: what stands beside the object does not count.
    pub params: Params,
    /// `jti`, where it has one of at most [`JTI_BYTES`] bytes.
    pub jti: Option<Box<str>>,
}

impl RequestObject {
    /// Verifies an object and takes out its parameters.
    ///
    /// # Errors
    /// See [`RequestObjectError`].
    pub fn read(
        text: &str,
        expect: &RequestObjectExpectation<'_>,
    ) -> Result<Self, RequestObjectError> {
        let jws = Compact::parse(text.as_bytes(), OBJECT_BYTES)?;
        // RFC 9101 §10.8: no other kind of JWT is taken for a request.
        if !TYPES.takes(jws.header().typ.as_deref()) {
            return Err(JwtError::WrongType.into());
        }
        // RFC 9101 §6.2: by the client's key.
        jws.verify(expect.keys, expect.algorithms)?;
        let object = json::object(jws.payload(), OBJECT_BYTES)
            .map_err(|_| JwtError::Malformed("the claims are not a strict JSON object"))?;
        // RFC 9101 §4: never nested.
        if object.contains_key("request") || object.contains_key("request_uri") {
            return Err(RequestObjectError::Nested);
        }
        let claims = registered(&object)?;
        judge(&claims, expect)?;
        let jti = claims.jti.filter(|jti| !jti.is_empty() && jti.len() <= JTI_BYTES);
        Ok(Self { params: params(&object, expect.client_id)?, jti })
    }
}

/// The claims of RFC 7519; the parameters have types of their own.
fn registered(object: &Object) -> Result<Claims, JwtError> {
    let names = ["iss", "sub", "aud", "exp", "nbf", "iat", "jti", "client_id"];
    let of = |name: &str| object.get(name).map(|value| (name.to_owned(), value.clone()));
    Claims::from_object(names.into_iter().filter_map(of).collect())
}

fn judge(claims: &Claims, expect: &RequestObjectExpectation<'_>) -> Result<(), RequestObjectError> {
    let client = Some(expect.client_id);
    // RFC 9101 §5, OpenID Connect Core §6.1: issuer and client_id are the client. §10.8: `sub` is not, or
    // the object could be shown as a client assertion.
    let other = claims.client_id.is_some() && claims.client_id.as_deref() != client;
    if claims.issuer.as_deref() != client || other || claims.subject.as_deref() == client {
        return Err(RequestObjectError::Client);
    }
    // RFC 9101 §10.8: for this issuer.
    if !claims.audiences.iter().any(|aud| **aud == *expect.issuer) {
        return Err(RequestObjectError::Audience);
    }
    let (now, skew) = (expect.now, expect.skew);
    // RFC 7519 §4.1.4 and §4.1.5.
    if claims.expires_at.is_some_and(|exp| now >= exp.plus(skew)) {
        return Err(JwtError::Expired.into());
    }
    for (name, moment) in [("nbf", claims.not_before), ("iat", claims.issued_at)] {
        if moment.is_some_and(|moment| moment > now.plus(skew)) {
            return Err(JwtError::NotYetValid(name).into());
        }
    }
    if !expect.message_signing {
        return Ok(());
    }
    // FAPI 2.0 Message Signing §5.3.1: exp at most 60 minutes after nbf. Since it has not passed, nbf lies at
    // most 60 minutes back, too.
    match (claims.not_before, claims.expires_at) {
        (Some(begin), Some(end)) if end <= begin.plus(SIGNED_LIFETIME) => Ok(()),
        _ => Err(RequestObjectError::TooLong),
    }
}

/// RFC 9101 §4: parameters are texts; numbers, lists and objects stand as such.
fn params(object: &Object, client_id: &str) -> Result<Params, RequestObjectError> {
    let mut params = Params::default();
    for name in TEXTS {
        match object.get(name) {
            None => {}
            Some(Value::String(text)) => params.push(name, text.as_str())?,
            Some(_) => return Err(RequestObjectError::Parameter(name)),
        }
    }
    if params.get("client_id").is_none() {
        params.push("client_id", client_id)?;
    }
    for (name, fits) in [
        ("max_age", Value::is_u64 as fn(&Value) -> bool),
        ("claims", Value::is_object),
        ("authorization_details", Value::is_array),
    ] {
        match object.get(name) {
            None => {}
            Some(Value::String(text)) => params.push(name, text.as_str())?,
            Some(value) if fits(value) => params.push(name, value.to_string())?,
            Some(_) => return Err(RequestObjectError::Parameter(name)),
        }
    }
    let resources = match object.get("resource") {
        None => &[],
        Some(Value::Array(values)) => values.as_slice(),
        Some(value) => std::slice::from_ref(value),
    };
    for resource in resources {
        let text = resource.as_str().ok_or(RequestObjectError::Parameter("resource"))?;
        params.push("resource", text)?;
    }
    Ok(params)
}

#[cfg(test)]
mod tests;
