//! What introspection answers (RFC 7662 §2.2, RFC 9470 §6.2, RFC 9701).

use super::authorize::AuthorizationDetails;
use super::claim::{Audience, Cnf, Seconds};
use super::exchange::Actor;
use super::scope::ScopeSet;
use super::token_response::TokenType;
use serde::ser::SerializeMap as _;
use serde::{Serialize, Serializer};

/// `typ` of a signed answer (RFC 9701 §5).
pub const TYP: &str = "token-introspection+jwt";
/// The media type that asks for a signed answer (RFC 9701 §4).
pub const MEDIA_TYPE: &str = "application/token-introspection+jwt";

/// What is said of a token.
#[derive(Debug, Clone)]
pub enum IntrospectionResponse<'a> {
    /// Nothing but that it is not active: unknown, expired, revoked and foreign tokens look alike
    /// (RFC 7662 §2.2).
    Inactive,
    /// It is active.
    Active(Box<ActiveToken<'a>>),
}

/// An active token.
#[derive(Debug, Clone, Serialize)]
pub struct ActiveToken<'a> {
    /// `scope`.
    #[serde(skip_serializing_if = "ScopeSet::is_empty")]
    pub scope: &'a ScopeSet,
    /// `client_id`.
    pub client_id: &'a str,
    /// `username`, for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub username: Option<&'a str>,
    /// `token_type`; left out for a refresh token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_type: Option<TokenType>,
    /// `exp`.
    #[serde(rename = "exp", skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Seconds>,
    /// `iat`.
    #[serde(rename = "iat", skip_serializing_if = "Option::is_none")]
    pub issued_at: Option<Seconds>,
    /// `nbf`.
    #[serde(rename = "nbf", skip_serializing_if = "Option::is_none")]
    pub not_before: Option<Seconds>,
    /// `sub`.
    #[serde(rename = "sub", skip_serializing_if = "Option::is_none")]
    pub subject: Option<&'a str>,
    /// `aud`.
    #[serde(rename = "aud", skip_serializing_if = "nobody")]
    pub audience: Audience<'a>,
    /// `iss`.
    #[serde(rename = "iss")]
    pub issuer: &'a str,
    /// `jti`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jti: Option<&'a str>,
    /// `acr` (RFC 9470 §6.2).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub acr: Option<&'a str>,
    /// `amr`.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub amr: &'a [Box<str>],
    /// `auth_time` (RFC 9470 §6.2).
    #[serde(rename = "auth_time", skip_serializing_if = "Option::is_none")]
    pub authenticated_at: Option<Seconds>,
    /// `cnf` (RFC 9449 §6.2, RFC 8705 §3.2).
    #[serde(rename = "cnf", skip_serializing_if = "Option::is_none")]
    pub confirmation: Option<&'a Cnf>,
    /// `act` (RFC 8693 §4.1).
    #[serde(rename = "act", skip_serializing_if = "Option::is_none")]
    pub actor: Option<&'a Actor>,
    /// `authorization_details` (RFC 9396 §9.2).
    #[serde(skip_serializing_if = "AuthorizationDetails::is_empty")]
    pub authorization_details: &'a AuthorizationDetails,
}

impl Serialize for IntrospectionResponse<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Active<'t, 'a> {
            active: bool,
            #[serde(flatten)]
            token: &'t ActiveToken<'a>,
        }
        match self {
            Self::Active(token) => Active { active: true, token }.serialize(serializer),
            Self::Inactive => {
                let mut map = serializer.serialize_map(Some(1))?;
                map.serialize_entry("active", &false)?;
                map.end()
            }
        }
    }
}

/// The claims of a signed answer (RFC 9701 §5). Neither `sub` nor `exp`, so that it is never taken for an
/// access token.
#[derive(Debug, Clone, Serialize)]
pub struct IntrospectionJwt<'a> {
    /// `iss`: our issuer.
    #[serde(rename = "iss")]
    pub issuer: &'a str,
    /// `aud`: the resource server that asked.
    #[serde(rename = "aud")]
    pub audience: &'a str,
    /// `iat`.
    #[serde(rename = "iat")]
    pub issued_at: Seconds,
    /// What is said of the token.
    pub token_introspection: IntrospectionResponse<'a>,
}

fn nobody(audience: &Audience<'_>) -> bool {
    audience.0.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oauth::Introspection;
    use base::UnixMs;
    use serde_json::json;

    #[test]
    fn rfc7662_s2_2_what_is_written_is_read() {
        let inactive = serde_json::to_value(IntrospectionResponse::Inactive).unwrap();
        assert_eq!(inactive, json!({"active": false}));
        let scope = ScopeSet::parse("orders:read").unwrap();
        let audience: Vec<Box<str>> = vec!["orders".into()];
        let (cnf, details) = (Cnf::certificate("C"), AuthorizationDetails::default());
        let token = ActiveToken {
            scope: &scope,
            client_id: "app",
            username: None,
            token_type: Some(TokenType::Bearer),
            expires_at: Some(Seconds(UnixMs(1_764_000_000_000))),
            issued_at: None,
            not_before: None,
            subject: Some("anna"),
            audience: Audience(&audience),
            issuer: "https://login.example",
            jti: Some("J"),
            acr: Some("aal2"),
            amr: &[],
            authenticated_at: None,
            confirmation: Some(&cnf),
            actor: None,
            authorization_details: &details,
        };
        let answer = IntrospectionResponse::Active(Box::new(token));
        let text = serde_json::to_vec(&answer).unwrap();
        let Ok(Introspection::Active(read)) = Introspection::parse(&text) else { panic!() };
        assert_eq!(read.claims.subject.as_deref(), Some("anna"));
        assert_eq!(read.claims.scopes, scope);
        assert_eq!(read.claims.confirmation.unwrap().x5t_s256.as_deref(), Some("C"));

        let jwt = IntrospectionJwt {
            issuer: "https://login.example",
            audience: "orders",
            issued_at: Seconds(UnixMs(1_764_000_000_000)),
            token_introspection: answer,
        };
        let jwt = serde_json::to_value(&jwt).unwrap();
        // RFC 9701 §5: no `sub` and no `exp` beside `token_introspection`.
        assert!(jwt.get("sub").is_none() && jwt.get("exp").is_none());
        assert_eq!(jwt["token_introspection"]["active"], true);
    }
}
