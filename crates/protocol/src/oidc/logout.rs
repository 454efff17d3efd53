//! Logout tokens (OpenID Connect Back-Channel Logout §2.4).

use crate::json::Object;
use crate::oauth::claim::Seconds;
use base::UnixMs;
use serde::{Serialize, Serializer};
use serde_json::Value;
use std::time::Duration;

/// The event that a logout token tells of (§2.4).
pub const LOGOUT_EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";
/// `typ` of a logout token (§2.4).
pub const LOGOUT_TYP: &str = "logout+jwt";
/// How long a logout token is valid (§2.4 recommends 2 minutes at most).
pub const LOGOUT_LIFETIME: Duration = Duration::from_secs(120);

/// The claims of a logout token. There is no `nonce`, so that it is never taken for an ID token (§2.4).
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LogoutTokenClaims<'a> {
    /// `iss`: our issuer.
    #[serde(rename = "iss")]
    issuer: &'a str,
    /// `aud`: the client.
    #[serde(rename = "aud")]
    client_id: &'a str,
    /// `iat`.
    #[serde(rename = "iat")]
    issued_at: Seconds,
    /// `exp`.
    #[serde(rename = "exp")]
    expires_at: Seconds,
    /// `jti`.
    jti: &'a str,
    #[serde(flatten)]
    whose: Whose<'a>,
    #[serde(serialize_with = "event")]
    events: (),
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
struct Whose<'a> {
    #[serde(rename = "sub", skip_serializing_if = "Option::is_none")]
    subject: Option<&'a str>,
    #[serde(rename = "sid", skip_serializing_if = "Option::is_none")]
    session_id: Option<&'a str>,
}

impl<'a> LogoutTokenClaims<'a> {
    /// The token with which `issuer` tells `client_id` of a logout; the draft is finished by
    /// saying whose. `jti` must be unique.
    pub fn draft(
        issuer: &'a str,
        client_id: &'a str,
        jti: &'a str,
        now: UnixMs,
    ) -> LogoutDraft<'a> {
        LogoutDraft(Self {
            issuer,
            client_id,
            issued_at: Seconds(now),
            expires_at: Seconds(now.plus(LOGOUT_LIFETIME)),
            jti,
            whose: Whose { subject: None, session_id: None },
            events: (),
        })
    }
}

/// A logout token that does not say yet whose logout it is.
#[derive(Debug, Clone)]
pub struct LogoutDraft<'a>(LogoutTokenClaims<'a>);

impl<'a> LogoutDraft<'a> {
    /// All sessions of this person (`sub`).
    pub fn subject(self, subject: &'a str) -> LogoutTokenClaims<'a> {
        self.whose(Some(subject), None)
    }

    /// One session (`sid`) of this person.
    pub fn session(self, subject: &'a str, session_id: &'a str) -> LogoutTokenClaims<'a> {
        self.whose(Some(subject), Some(session_id))
    }

    fn whose(self, subject: Option<&'a str>, session_id: Option<&'a str>) -> LogoutTokenClaims<'a> {
        LogoutTokenClaims { whose: Whose { subject, session_id }, ..self.0 }
    }
}

/// §2.4: an object whose only member names the event, with an empty object for value.
fn event<S: Serializer>((): &(), serializer: S) -> Result<S::Ok, S::Error> {
    let events = [(LOGOUT_EVENT.to_owned(), Value::Object(Object::new()))];
    Object::from_iter(events).serialize(serializer)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn oidc_backchannel_s2_4_claims() {
        let now = UnixMs(1_764_000_000_000);
        let of = || LogoutTokenClaims::draft("https://login.example", "app", "J", now);
        let mut expect = json!({"iss": "https://login.example", "aud": "app", "iat": 1_764_000_000,
            "exp": 1_764_000_120, "jti": "J", "sub": "anna",
            "events": {"http://schemas.openid.net/event/backchannel-logout": {}}});
        assert_eq!(serde_json::to_value(of().subject("anna")).unwrap(), expect);
        expect["sid"] = json!("S");
        assert_eq!(serde_json::to_value(of().session("anna", "S")).unwrap(), expect);
    }
}
