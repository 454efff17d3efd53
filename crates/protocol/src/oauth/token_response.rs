//! What the token endpoint and its neighbours answer.

use super::authorize::AuthorizationDetails;
use super::exchange::TokenKind;
use super::scope::ScopeSet;
use base::Secret;
use serde::{Serialize, Serializer};

/// How an access token is used (`token_type`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, serde::Deserialize)]
pub enum TokenType {
    /// Whoever has it may use it (RFC 6750).
    Bearer,
    /// With a proof of its key (RFC 9449 §5).
    DPoP,
    /// What was issued is no access token (RFC 8693 §2.2.1).
    #[serde(rename = "N_A")]
    NotApplicable,
}

/// A successful answer of the token endpoint (RFC 6749 §5.1).
#[derive(Debug, Clone, Serialize)]
pub struct TokenResponse {
    /// `access_token`.
    #[serde(serialize_with = "expose")]
    pub access_token: Secret<String>,
    /// `token_type`.
    pub token_type: TokenType,
    /// `expires_in`, in seconds.
    pub expires_in: u64,
    /// `refresh_token`.
    #[serde(serialize_with = "expose_some", skip_serializing_if = "Option::is_none")]
    pub refresh_token: Option<Secret<String>>,
    /// `scope`: always what was granted (RFC 6749 §3.3 asks for it when it differs from the request).
    #[serde(skip_serializing_if = "ScopeSet::is_empty")]
    pub scope: ScopeSet,
    /// `id_token` (OpenID Connect Core §3.1.3.3).
    #[serde(serialize_with = "expose_some", skip_serializing_if = "Option::is_none")]
    pub id_token: Option<Secret<String>>,
    /// `issued_token_type` (RFC 8693 §2.2.1), in answer to an exchange.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub issued_token_type: Option<TokenKind>,
    /// `authorization_details` (RFC 9396 §7).
    #[serde(skip_serializing_if = "AuthorizationDetails::is_empty")]
    pub authorization_details: AuthorizationDetails,
}

/// The answer to a device (RFC 8628 §3.2).
#[derive(Debug, Clone, Serialize)]
pub struct DeviceResponse {
    /// `device_code`.
    #[serde(serialize_with = "expose")]
    pub device_code: Secret<String>,
    /// `user_code`.
    pub user_code: String,
    /// `verification_uri`.
    pub verification_uri: String,
    /// `verification_uri_complete`: with the code in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verification_uri_complete: Option<String>,
    /// `expires_in`, in seconds.
    pub expires_in: u64,
    /// `interval`: seconds between two questions.
    pub interval: u64,
}

/// The answer to a pushed request (RFC 9126 §2.2), with status 201.
#[derive(Debug, Clone, Serialize)]
pub struct PushedResponse {
    /// `request_uri`.
    pub request_uri: String,
    /// `expires_in`, in seconds.
    pub expires_in: u64,
}

fn expose<S: Serializer>(secret: &Secret<String>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(secret.expose())
}

fn expose_some<S: Serializer>(
    secret: &Option<Secret<String>>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    secret.as_ref().map(Secret::expose).serialize(serializer)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn rfc6749_s5_1_members() {
        let mut answer = TokenResponse {
            access_token: Secret::new("A".to_owned()),
            token_type: TokenType::DPoP,
            expires_in: 300,
            refresh_token: Some(Secret::new("R".to_owned())),
            scope: ScopeSet::parse("b a").unwrap(),
            id_token: None,
            issued_token_type: None,
            authorization_details: AuthorizationDetails::default(),
        };
        let expect = json!({"access_token": "A", "token_type": "DPoP", "expires_in": 300,
            "refresh_token": "R", "scope": "a b"});
        assert_eq!(serde_json::to_value(&answer).unwrap(), expect);
        assert!(!format!("{answer:?}").contains("\"A\""));
        answer.token_type = TokenType::NotApplicable;
        answer.issued_token_type = Some(TokenKind::IdToken);
        let value = serde_json::to_value(&answer).unwrap();
        assert_eq!(value["token_type"], "N_A");
        assert_eq!(value["issued_token_type"], "urn:ietf:params:oauth:token-type:id_token");
    }
}
