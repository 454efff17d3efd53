//! The claims of our own access tokens (RFC 9068 §2.2).
//!
//! Invariant: [`crate::jwt::Claims::parse`] reads what this writes.

use super::authorize::AuthorizationDetails;
use super::claim::{Audience, Cnf, ExtraClaims, Seconds};
use super::exchange::Actor;
use super::scope::ScopeSet;
use serde::Serialize;

/// `typ` of an access token (RFC 9068 §2.1).
pub const TYP: &str = "at+jwt";

/// The claims of an access token.
#[derive(Debug, Clone, Serialize)]
pub struct AccessTokenClaims<'a> {
    /// `iss`: our issuer.
    #[serde(rename = "iss")]
    pub issuer: &'a str,
    /// `sub`: the person, or the client that acts for itself.
    #[serde(rename = "sub")]
    pub subject: &'a str,
    /// `aud`: the resources.
    #[serde(rename = "aud")]
    pub audience: Audience<'a>,
    /// `client_id`.
    pub client_id: &'a str,
    /// `iat`.
    #[serde(rename = "iat")]
    pub issued_at: Seconds,
    /// `nbf`.
    #[serde(rename = "nbf", skip_serializing_if = "Option::is_none")]
    pub not_before: Option<Seconds>,
    /// `exp`.
    #[serde(rename = "exp")]
    pub expires_at: Seconds,
    /// `jti`.
    pub jti: &'a str,
    /// `gid`: the grant that it comes from, so that revoking the grant revokes it.
    #[serde(rename = "gid", skip_serializing_if = "Option::is_none")]
    pub grant_id: Option<&'a str>,
    /// `scope`; left out when empty.
    #[serde(skip_serializing_if = "ScopeSet::is_empty")]
    pub scope: &'a ScopeSet,
    /// `auth_time` (RFC 9068 §2.2.1).
    #[serde(rename = "auth_time", skip_serializing_if = "Option::is_none")]
    pub authenticated_at: Option<Seconds>,
    /// `acr` (RFC 9068 §2.2.1).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub acr: Option<&'a str>,
    /// `amr` (RFC 9068 §2.2.1).
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub amr: &'a [Box<str>],
    /// `sid`: the login session, where the token ends with it.
    #[serde(rename = "sid", skip_serializing_if = "Option::is_none")]
    pub session_id: Option<&'a str>,
    /// `cnf` (RFC 7800 §3.1).
    #[serde(rename = "cnf", skip_serializing_if = "Option::is_none")]
    pub confirmation: Option<&'a Cnf>,
    /// `act` (RFC 8693 §4.1).
    #[serde(rename = "act", skip_serializing_if = "Option::is_none")]
    pub actor: Option<&'a Actor>,
    /// `authorization_details` (RFC 9396 §9.1).
    #[serde(skip_serializing_if = "AuthorizationDetails::is_empty")]
    pub authorization_details: &'a AuthorizationDetails,
    /// Further claims, such as `groups` (RFC 9068 §2.2.3.1).
    #[serde(flatten, skip_serializing_if = "ExtraClaims::is_empty")]
    pub extra: &'a ExtraClaims,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jwt::Claims;
    use base::UnixMs;
    use serde_json::{Value, json};

    const NOW: UnixMs = UnixMs(1_764_000_000_999);

    #[test]
    fn rfc9068_s2_2_what_is_written_is_read() {
        let audience: Vec<Box<str>> = vec!["https://api.example/orders".into()];
        let scope = ScopeSet::parse("orders:read").unwrap();
        let details = AuthorizationDetails::parse(r#"[{"type":"a"}]"#).unwrap();
        let extra = json!({"groups": ["ops"], "sub": "root", "gid": "x", "iss": "evil"});
        let Value::Object(extra) = extra else { panic!() };
        let (extra, amr) = (ExtraClaims::of(extra), ["pwd".into(), "otp".into()]);
        let (cnf, actor) = (Cnf::key("K"), Actor::of("agent"));
        let claims = AccessTokenClaims {
            issuer: "https://login.example",
            subject: "anna",
            audience: Audience(&audience),
            client_id: "app",
            issued_at: Seconds(NOW),
            not_before: None,
            expires_at: Seconds(UnixMs(NOW.0 + 300_000)),
            jti: "J",
            grant_id: Some("G"),
            scope: &scope,
            authenticated_at: Some(Seconds(NOW)),
            acr: Some("aal2"),
            amr: &amr,
            session_id: None,
            confirmation: Some(&cnf),
            actor: Some(&actor),
            authorization_details: &details,
            extra: &extra,
        };
        let text = serde_json::to_vec(&claims).unwrap();
        let read = Claims::parse(&text).unwrap();
        assert_eq!(read.subject.as_deref(), Some("anna"));
        assert_eq!(read.audiences, audience);
        assert_eq!(read.expires_at, Some(UnixMs(1_764_000_300_000)));
        assert_eq!(read.scopes, scope);
        assert_eq!(read.confirmation.unwrap().jkt.as_deref(), Some("K"));
        assert_eq!(read.other.get("gid"), Some(&json!("G")));
        assert_eq!(read.other.get("groups"), Some(&json!(["ops"])));
        assert_eq!(read.other.get("act"), Some(&json!({"sub": "agent"})));
        let claims: Value = serde_json::from_slice(&text).unwrap();
        assert_eq!(claims["aud"], "https://api.example/orders");
        assert!(claims.get("nbf").is_none() && claims.get("sid").is_none());
    }

    #[test]
    fn rfc7519_s4_1_3_several_audiences_are_an_array() {
        let of = |aud: &[Box<str>]| serde_json::to_value(Audience(aud)).unwrap();
        assert_eq!(of(&["a".into(), "b".into()]), json!(["a", "b"]));
        assert_eq!(of(&["a".into()]), json!("a"));
    }
}
