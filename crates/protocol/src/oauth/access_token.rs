//! The claims of our own access tokens (RFC 9068 §2.2).
//!
//! Invariant: [`crate::jwt::Claims::parse`] reads what this writes.

use super::authorize::AuthorizationDetails;
use super::claim::{Audience, Cnf, ExtraClaims, Seconds};
use super::exchange::Actor;
use super::scope::ScopeSet;
use crate::jwt::Claims;
use serde::Serialize;
use serde_json::Value;

/// `typ` of an access token (RFC 9068 §2.1).
pub const TYP: &str = "at+jwt";

/// The claim that names the clients to which those tokens were issued from which this one was exchanged: it ends with each of
/// them. A claim of our own; the token's own client is not among them.
pub const EXCHANGED_FROM: &str = "exchanged_from";
/// How many there are at most: as often as a token may be handed on by clients that differ.
pub const EXCHANGED_FROM_MOST: usize = 8;

/// What a token of ours says in [`EXCHANGED_FROM`]; `None` when that is not a list of at most [`EXCHANGED_FROM_MOST`] texts.
pub fn exchanged_from(claims: &Claims) -> Option<Vec<Box<str>>> {
    match claims.other.get(EXCHANGED_FROM) {
        None => Some(Vec::new()),
        Some(Value::Array(list)) if list.len() <= EXCHANGED_FROM_MOST => {
            list.iter().map(|it| it.as_str().map(Into::into)).collect()
        }
        Some(_) => None,
    }
}

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
    /// [`EXCHANGED_FROM`]; left out when empty.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub exchanged_from: &'a [Box<str>],
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
    use base::UnixMs;
    use serde_json::json;

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
            exchanged_from: &["shop".into()],
            authorization_details: &details,
            extra: &extra,
        };
        let text = serde_json::to_vec(&claims).unwrap();
        let read = Claims::parse(&text).unwrap();
        assert_eq!(read.subject.as_deref(), Some("anna"));
        assert_eq!(read.audiences, audience);
        assert_eq!(read.expires_at, Some(UnixMs(1_764_000_300_000)));
        assert_eq!(read.scopes, scope);
        assert_eq!(read.confirmation.as_ref().unwrap().jkt.as_deref(), Some("K"));
        assert_eq!(read.other.get("gid"), Some(&json!("G")));
        assert_eq!(exchanged_from(&read), Some(vec!["shop".into()]));
        assert_eq!(read.other.get("groups"), Some(&json!(["ops"])));
        assert_eq!(read.other.get("act"), Some(&json!({"sub": "agent"})));
        let claims: Value = serde_json::from_slice(&text).unwrap();
        assert_eq!(claims["aud"], "https://api.example/orders");
        assert!(claims.get("nbf").is_none() && claims.get("sid").is_none());
    }

    #[test]
    fn what_names_no_clients_is_no_lineage() {
        let of = |value: Value| {
            exchanged_from(&Claims {
                other: [(EXCHANGED_FROM.to_owned(), value)].into_iter().collect(),
                ..Claims::default()
            })
        };
        assert_eq!(exchanged_from(&Claims::default()), Some(vec![]));
        assert_eq!(of(json!(["a", "b"])), Some(vec!["a".into(), "b".into()]));
        for wrong in [json!("a"), json!(null), json!([1]), json!({}), json!(vec!["x"; 9])] {
            assert_eq!(of(wrong.clone()), None, "{wrong}");
        }
    }

    #[test]
    fn rfc7519_s4_1_3_several_audiences_are_an_array() {
        let of = |aud: &[Box<str>]| serde_json::to_value(Audience(aud)).unwrap();
        assert_eq!(of(&["a".into(), "b".into()]), json!(["a", "b"]));
        assert_eq!(of(&["a".into()]), json!("a"));
    }
}
