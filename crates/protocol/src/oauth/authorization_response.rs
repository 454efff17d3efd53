//! The answer to an authorization request (RFC 6749 §4.1.2, RFC 9207, JARM).
//!
//! Owns: its parameters, the URL that carries them, the claims of a signed answer.
//!
//! Never does: judge whether the redirect URI is the client's.

use super::error::OAuthError;
use super::params::encode;
use crate::json::Object;
use base::{Secret, UnixMs};
use serde_json::Value;
use std::time::Duration;

/// How long a signed answer is valid (JARM §2.1 recommends 10 minutes at most).
pub const JARM_LIFETIME: Duration = Duration::from_secs(600);
/// `typ` of a signed answer: JARM names none.
pub const TYP: &str = "JWT";

/// What is answered.
#[derive(Debug, Clone)]
pub enum Answered {
    /// A code.
    Code(Secret<String>),
    /// An error.
    Error(OAuthError),
}

/// An answer.
#[derive(Debug, Clone)]
pub struct AuthorizationResponse<'a> {
    /// Code or error.
    pub outcome: &'a Answered,
    /// `state`, as it was asked.
    pub state: Option<&'a str>,
    /// Our issuer: `iss` (RFC 9207 §2).
    pub issuer: &'a str,
    /// `session_state` (OpenID Connect Session Management §2), where it is offered.
    pub session_state: Option<&'a str>,
}

impl<'a> AuthorizationResponse<'a> {
    /// Its parameters in their order.
    pub fn parameters(&self) -> Vec<(&'static str, &'a str)> {
        let mut out = match self.outcome {
            Answered::Code(code) => vec![("code", code.expose().as_str())],
            Answered::Error(error) => error.members(),
        };
        out.extend(self.state.map(|state| ("state", state)));
        // RFC 9207 §2: in answers and errors alike.
        out.push(("iss", self.issuer));
        out.extend(self.session_state.map(|state| ("session_state", state)));
        out
    }

    /// The claims of the signed answer to `client_id` (JARM §2.1).
    pub fn jwt_claims(&self, client_id: &str, now: UnixMs) -> Object {
        let mut claims = Object::new();
        for (name, value) in self.parameters() {
            claims.insert(name.to_owned(), Value::from(value));
        }
        claims.insert("iss".to_owned(), Value::from(self.issuer));
        claims.insert("aud".to_owned(), Value::from(client_id));
        claims.insert("exp".to_owned(), Value::from(now.plus(JARM_LIFETIME).seconds()));
        claims
    }
}

/// The redirect URI with these parameters in its query; a query that it has already stays (RFC 6749 §3.1.2).
pub fn location(redirect_uri: &str, parameters: &[(&str, &str)]) -> String {
    let separator = match redirect_uri.split_once('?') {
        None => "?",
        Some((_, "")) => "",
        Some((_, query)) if query.ends_with('&') => "",
        Some(_) => "&",
    };
    format!("{redirect_uri}{separator}{}", encode(parameters.iter().copied()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oauth::error::ErrorCode;
    use serde_json::json;

    const ISSUER: &str = "https://login.example";

    #[test]
    fn rfc6749_s3_1_2_the_query_of_the_redirect_uri_stays() {
        let pairs = [("code", "a b"), ("state", "x&y")];
        for (uri, expect) in [
            ("https://a/cb", "https://a/cb?code=a+b&state=x%26y"),
            ("https://a/cb?p=1", "https://a/cb?p=1&code=a+b&state=x%26y"),
            ("https://a/cb?", "https://a/cb?code=a+b&state=x%26y"),
        ] {
            assert_eq!(location(uri, &pairs), expect);
        }
    }

    #[test]
    fn rfc9207_s2_iss_stands_in_answers_and_errors() {
        let error = OAuthError::new(ErrorCode::AccessDenied, "the person said no");
        for outcome in [Answered::Code(Secret::new("C".to_owned())), Answered::Error(error)] {
            let answer = AuthorizationResponse {
                outcome: &outcome,
                state: Some("s"),
                issuer: ISSUER,
                session_state: None,
            };
            assert!(answer.parameters().contains(&("iss", ISSUER)));
            assert!(answer.parameters().contains(&("state", "s")));
        }
    }

    #[test]
    fn jarm_s2_1_claims() {
        let outcome = Answered::Code(Secret::new("C".to_owned()));
        let answer = AuthorizationResponse {
            outcome: &outcome,
            state: Some("s"),
            issuer: ISSUER,
            session_state: None,
        };
        let claims = Value::Object(answer.jwt_claims("app", UnixMs(1_764_000_000_000)));
        let expect =
            json!({"iss": ISSUER, "aud": "app", "exp": 1_764_000_600, "code": "C", "state": "s"});
        assert_eq!(claims, expect);
        assert!(!format!("{answer:?}").contains("\"C\""));
    }
}
