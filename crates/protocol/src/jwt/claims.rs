//! The claims and their types.

use crate::error::JwtError;
use crate::json::{self, Object};
use crate::oauth::ScopeSet;
use base::UnixMs;
use base::limits::CREDENTIAL_BYTES;
use serde_json::Value;
use std::borrow::Cow;

/// Entries of an array claim that are read (`aud`, `amr`). A token for more audiences is for everybody.
const ARRAY_ENTRIES: usize = 64;
/// Seconds from which a NumericDate is refused: 2⁵³, beyond which JSON numbers are not exact (RFC 8259 §6).
const DATE_LIMIT: u64 = 1 << 53;

/// What a token says of its bearer. Every registered claim that is present has its specified type.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Claims {
    /// `iss`.
    pub issuer: Option<Box<str>>,
    /// `sub`.
    pub subject: Option<Box<str>>,
    /// `aud`; empty when absent.
    pub audiences: Vec<Box<str>>,
    /// `exp`. Present in every JWT that [`Claims::parse`] takes.
    pub expires_at: Option<UnixMs>,
    /// `nbf`.
    pub not_before: Option<UnixMs>,
    /// `iat`.
    pub issued_at: Option<UnixMs>,
    /// `jti`.
    pub jti: Option<Box<str>>,
    /// `client_id` (RFC 8693 §4.3).
    pub client_id: Option<Box<str>>,
    /// `azp` (OpenID Connect Core §2).
    pub authorized_party: Option<Box<str>>,
    /// `scope` (RFC 8693 §4.2), or, where that is absent, `scp`.
    pub scopes: ScopeSet,
    /// `cnf` (RFC 7800 §3.1): the token is bound, and a proof is needed.
    pub confirmation: Option<Confirmation>,
    /// `acr`.
    pub acr: Option<Box<str>>,
    /// `amr`; empty when absent.
    pub amr: Vec<Box<str>>,
    /// `auth_time`.
    pub authenticated_at: Option<UnixMs>,
    /// `sid`.
    pub session_id: Option<Box<str>>,
    /// `events` (RFC 8417 §2.2): the token is a statement about events, not an access token.
    pub events: Option<Object>,
    /// All other claims, for the rules of routes.
    pub other: Object,
}

/// To what a token is bound.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Confirmation {
    /// `jkt`: the thumbprint of a DPoP key (RFC 9449 §6.1).
    pub jkt: Option<Box<str>>,
    /// `x5t#S256`: the hash of a client certificate (RFC 8705 §3.1).
    pub x5t_s256: Option<Box<str>>,
    /// Something else, or nothing that is understood: no proof can meet it.
    pub other: bool,
}

impl Claims {
    /// Reads the payload of a JWT.
    ///
    /// # Errors
    /// `Malformed` when it is no strict JSON object, `ClaimInvalid` when a registered claim has the wrong
    /// type or `exp` is missing.
    pub fn parse(payload: &[u8]) -> Result<Self, JwtError> {
        // RFC 7519 §7.2 step 10: the claims are a JSON object; §4: with unique names.
        let object = json::object(payload, CREDENTIAL_BYTES)
            .map_err(|_| JwtError::Malformed("the claims are not a strict JSON object"))?;
        let claims = Self::from_object(object)?;
        // RFC 9068 §2.2: `exp` is required. A token without an end would be one for ever.
        if claims.expires_at.is_none() {
            return Err(JwtError::ClaimInvalid("exp"));
        }
        Ok(claims)
    }

    /// Reads claims of which none is required.
    ///
    /// # Errors
    /// `ClaimInvalid` when a registered claim has the wrong type.
    pub(crate) fn from_object(mut from: Object) -> Result<Self, JwtError> {
        let scopes = scopes(&mut from)?;
        Ok(Self {
            issuer: text(&mut from, "iss")?,
            subject: text(&mut from, "sub")?,
            audiences: audiences(&mut from)?,
            expires_at: date(&mut from, "exp")?,
            not_before: date(&mut from, "nbf")?,
            issued_at: date(&mut from, "iat")?,
            jti: text(&mut from, "jti")?,
            client_id: text(&mut from, "client_id")?,
            authorized_party: text(&mut from, "azp")?,
            scopes,
            confirmation: confirmation(&mut from)?,
            acr: text(&mut from, "acr")?,
            amr: from.remove("amr").map_or(Ok(Vec::new()), |amr| texts(amr, "amr"))?,
            authenticated_at: date(&mut from, "auth_time")?,
            session_id: text(&mut from, "sid")?,
            events: events(&mut from)?,
            other: from,
        })
    }

    /// The client that the token was issued to: `client_id`, else `azp`.
    pub fn client(&self) -> Option<&str> {
        self.client_id.as_deref().or(self.authorized_party.as_deref())
    }

    /// A claim by its name in the token, for the rules of routes. `exp`, `nbf`, `iat`, `auth_time`, `cnf`
    /// and `events` have rules of their own and are not found here.
    pub fn claim(&self, name: &str) -> Option<Cow<'_, Value>> {
        let text =
            |value: &Option<Box<str>>| value.as_deref().map(|text| Cow::Owned(Value::from(text)));
        let texts = |values: &[Box<str>]| {
            let values = values.iter().map(|it| Value::from(&**it)).collect::<Vec<_>>();
            (!values.is_empty()).then_some(Cow::Owned(Value::Array(values)))
        };
        match name {
            "iss" => text(&self.issuer),
            "sub" => text(&self.subject),
            "jti" => text(&self.jti),
            "client_id" => text(&self.client_id),
            "azp" => text(&self.authorized_party),
            "acr" => text(&self.acr),
            "sid" => text(&self.session_id),
            "aud" => texts(&self.audiences),
            "amr" => texts(&self.amr),
            "scope" | "scp" => {
                (!self.scopes.is_empty()).then(|| Cow::Owned(Value::from(self.scopes.to_string())))
            }
            _ => self.other.get(name).map(Cow::Borrowed),
        }
    }
}

/// A string claim. These stand in headers and records, so control characters are refused.
fn text(from: &mut Object, name: &'static str) -> Result<Option<Box<str>>, JwtError> {
    from.remove(name).map(|value| one_text(value, name)).transpose()
}

fn one_text(value: Value, name: &'static str) -> Result<Box<str>, JwtError> {
    match value {
        Value::String(text) if !text.chars().any(char::is_control) => Ok(text.into()),
        _ => Err(JwtError::ClaimInvalid(name)),
    }
}

fn texts(value: Value, name: &'static str) -> Result<Vec<Box<str>>, JwtError> {
    match value {
        Value::Array(values) if values.len() <= ARRAY_ENTRIES => {
            values.into_iter().map(|value| one_text(value, name)).collect()
        }
        _ => Err(JwtError::ClaimInvalid(name)),
    }
}

/// RFC 7519 §4.1.3: a string, or an array of strings.
fn audiences(from: &mut Object) -> Result<Vec<Box<str>>, JwtError> {
    match from.remove("aud") {
        None => Ok(Vec::new()),
        Some(Value::Array(values)) => texts(Value::Array(values), "aud"),
        Some(value) => Ok(vec![one_text(value, "aud")?]),
    }
}

/// RFC 7519 §2 (NumericDate): seconds since 1970.
fn date(from: &mut Object, name: &'static str) -> Result<Option<UnixMs>, JwtError> {
    let Some(value) = from.remove(name) else { return Ok(None) };
    // WHY: RFC 7519 §2 allows fractions of a second; RFC 9068 tokens have none, and a number that parsers
    // round differently is one of the mistyped claims that have let expired tokens pass elsewhere. So only
    // integers from 0 to 2⁵³-1 are taken.
    let seconds = value.as_u64().filter(|seconds| *seconds < DATE_LIMIT);
    let seconds = seconds.and_then(|it| i64::try_from(it).ok());
    let millis = seconds.and_then(|it| it.checked_mul(1000));
    millis.map(|it| Some(UnixMs(it))).ok_or(JwtError::ClaimInvalid(name))
}

/// `scope` is one string (RFC 8693 §4.2); `scp`, where `scope` is absent, a string or an array.
fn scopes(from: &mut Object) -> Result<ScopeSet, JwtError> {
    let scp = from.remove("scp").map(|scp| match scp {
        Value::String(text) => ScopeSet::parse(&text).map_err(|_| JwtError::ClaimInvalid("scp")),
        Value::Array(values) => {
            let texts: Option<Vec<&str>> = values.iter().map(Value::as_str).collect();
            let scopes = texts.and_then(|texts| ScopeSet::of(texts).ok());
            scopes.ok_or(JwtError::ClaimInvalid("scp"))
        }
        _ => Err(JwtError::ClaimInvalid("scp")),
    });
    let scp = scp.transpose()?;
    match from.remove("scope") {
        None => Ok(scp.unwrap_or_default()),
        Some(Value::String(text)) => {
            ScopeSet::parse(&text).map_err(|_| JwtError::ClaimInvalid("scope"))
        }
        Some(_) => Err(JwtError::ClaimInvalid("scope")),
    }
}

/// RFC 7800 §3.1: an object; what is not understood is kept as `other`, so that it is never overlooked.
fn confirmation(from: &mut Object) -> Result<Option<Confirmation>, JwtError> {
    let mut cnf = match from.remove("cnf") {
        None => return Ok(None),
        Some(Value::Object(cnf)) => cnf,
        Some(_) => return Err(JwtError::ClaimInvalid("cnf")),
    };
    let part = |cnf: &mut Object, name| match cnf.remove(name) {
        None => Ok(None),
        Some(value) => one_text(value, "cnf").map(Some),
    };
    let (jkt, x5t_s256) = (part(&mut cnf, "jkt")?, part(&mut cnf, "x5t#S256")?);
    let other = !cnf.is_empty() || (jkt.is_none() && x5t_s256.is_none());
    Ok(Some(Confirmation { jkt, x5t_s256, other }))
}

fn events(from: &mut Object) -> Result<Option<Object>, JwtError> {
    match from.remove("events") {
        None => Ok(None),
        Some(Value::Object(events)) => Ok(Some(events)),
        Some(_) => Err(JwtError::ClaimInvalid("events")),
    }
}
