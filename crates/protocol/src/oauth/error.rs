//! Error answers of the authorization server.
//!
//! Owns: the registered error codes, the status that goes with each, the JSON body of RFC 6749 §5.2.
//!
//! Never does: say more than a developer needs. What helps an attacker belongs into the record.
//!
//! Invariant: a description holds only the characters that RFC 6749 allows, so that it stands unchanged in
//! JSON, in a query and in a header.

use crate::json::Object;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::borrow::Cow;
use std::fmt;

/// Characters of a description; longer ones are cut.
pub const DESCRIPTION_CHARS: usize = 256;

macro_rules! codes {
    ($($(#[doc = $doc:literal])+ $name:ident = $text:literal, $status:literal;)+) => {
        /// A registered error code.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
        pub enum ErrorCode {
            $($(#[doc = $doc])+ #[serde(rename = $text)] $name,)+
        }

        impl ErrorCode {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            /// Its name in `error`.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text),+ }
            }

            /// The HTTP status of an answer that is not a redirect.
            pub fn status(self) -> u16 {
                match self { $(Self::$name => $status),+ }
            }
        }
    };
}

codes! {
    /// A parameter is missing, repeated or malformed (RFC 6749 §4.1.2.1, §5.2).
    InvalidRequest = "invalid_request", 400;
    /// Client authentication failed (RFC 6749 §5.2).
    InvalidClient = "invalid_client", 401;
    /// The code, token or assertion is invalid, expired, revoked or another client's (RFC 6749 §5.2).
    InvalidGrant = "invalid_grant", 400;
    /// The client may not do this (RFC 6749 §4.1.2.1, §5.2).
    UnauthorizedClient = "unauthorized_client", 400;
    /// The grant type is not offered (RFC 6749 §5.2).
    UnsupportedGrantType = "unsupported_grant_type", 400;
    /// The response type is not offered (RFC 6749 §4.1.2.1).
    UnsupportedResponseType = "unsupported_response_type", 400;
    /// A scope is unknown, malformed or more than may be had (RFC 6749 §5.2).
    InvalidScope = "invalid_scope", 400;
    /// The person or the server said no (RFC 6749 §4.1.2.1; RFC 8628 §3.5).
    AccessDenied = "access_denied", 400;
    /// Something is wrong with the server (RFC 6749 §4.1.2.1).
    ServerError = "server_error", 500;
    /// The server is overloaded or under maintenance (RFC 6749 §4.1.2.1).
    TemporarilyUnavailable = "temporarily_unavailable", 503;
    /// `prompt=none`, and nobody is logged in (OpenID Connect Core §3.1.2.6).
    LoginRequired = "login_required", 400;
    /// `prompt=none`, and consent is missing (OpenID Connect Core §3.1.2.6).
    ConsentRequired = "consent_required", 400;
    /// `prompt=none`, and a page must be shown (OpenID Connect Core §3.1.2.6).
    InteractionRequired = "interaction_required", 400;
    /// `prompt=none`, and an account must be chosen (OpenID Connect Core §3.1.2.6).
    AccountSelectionRequired = "account_selection_required", 400;
    /// The `request_uri` is unknown, used or expired (RFC 9101 §7; RFC 9126 §2.2).
    InvalidRequestUri = "invalid_request_uri", 400;
    /// The request object is invalid (RFC 9101 §7).
    InvalidRequestObject = "invalid_request_object", 400;
    /// `request` is not taken (OpenID Connect Core §3.1.2.6).
    RequestNotSupported = "request_not_supported", 400;
    /// `request_uri` is not taken (OpenID Connect Core §3.1.2.6).
    RequestUriNotSupported = "request_uri_not_supported", 400;
    /// `registration` is not taken (OpenID Connect Core §3.1.2.6).
    RegistrationNotSupported = "registration_not_supported", 400;
    /// A resource or audience is malformed, unknown or not to be had (RFC 8707 §2; RFC 8693 §2.2.2).
    InvalidTarget = "invalid_target", 400;
    /// The DPoP proof is invalid (RFC 9449 §5).
    InvalidDpopProof = "invalid_dpop_proof", 400;
    /// The DPoP proof must carry the nonce that is sent along (RFC 9449 §8).
    UseDpopNonce = "use_dpop_nonce", 400;
    /// The person has not decided yet (RFC 8628 §3.5).
    AuthorizationPending = "authorization_pending", 400;
    /// The client asks too often (RFC 8628 §3.5).
    SlowDown = "slow_down", 400;
    /// The device code is expired (RFC 8628 §3.5).
    ExpiredToken = "expired_token", 400;
    /// Tokens of this type are not revoked here (RFC 7009 §2.2.1).
    UnsupportedTokenType = "unsupported_token_type", 400;
    /// The access token is invalid (RFC 6750 §3.1).
    InvalidToken = "invalid_token", 401;
    /// The access token lacks a scope (RFC 6750 §3.1).
    InsufficientScope = "insufficient_scope", 403;
    /// The person must authenticate again or more strongly (RFC 9470 §3).
    InsufficientUserAuthentication = "insufficient_user_authentication", 401;
    /// A redirect URI is not taken at registration (RFC 7591 §3.2.2).
    InvalidRedirectUri = "invalid_redirect_uri", 400;
    /// A member of the client's metadata is invalid (RFC 7591 §3.2.2).
    InvalidClientMetadata = "invalid_client_metadata", 400;
    /// The software statement is invalid (RFC 7591 §3.2.2).
    InvalidSoftwareStatement = "invalid_software_statement", 400;
    /// The software statement is not trusted here (RFC 7591 §3.2.2).
    UnapprovedSoftwareStatement = "unapproved_software_statement", 400;
    /// An authorization detail is malformed, of an unknown type or not to be had (RFC 9396 §5).
    InvalidAuthorizationDetails = "invalid_authorization_details", 400;
    /// An essential `acr` cannot be reached (OpenID Connect Core Error Code unmet_authentication_requirements).
    UnmetAuthenticationRequirements = "unmet_authentication_requirements", 400;
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An error as a client sees it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {description}")]
pub struct OAuthError {
    code: ErrorCode,
    description: Cow<'static, str>,
}

impl OAuthError {
    /// An error; characters that may not stand in a description are left out, see [`describe`].
    pub fn new(code: ErrorCode, description: impl Into<Cow<'static, str>>) -> Self {
        Self { code, description: describe(description.into()) }
    }

    /// Its code.
    pub fn code(&self) -> ErrorCode {
        self.code
    }

    /// Its text for the developer.
    pub fn description(&self) -> &str {
        &self.description
    }

    /// The HTTP status of an answer that is not a redirect.
    pub fn status(&self) -> u16 {
        self.code.status()
    }

    /// The members of the answer (RFC 6749 §5.2): `error`, and `error_description` where there is one.
    pub fn members(&self) -> Vec<(&'static str, &str)> {
        let mut members = vec![("error", self.code.as_str())];
        if !self.description.is_empty() {
            members.push(("error_description", self.description()));
        }
        members
    }

    /// The JSON body (RFC 6749 §5.2).
    pub fn to_json(&self) -> Object {
        let members = self.members().into_iter();
        members.map(|(name, value)| (name.to_owned(), Value::from(value))).collect()
    }
}

impl From<ErrorCode> for OAuthError {
    fn from(code: ErrorCode) -> Self {
        Self { code, description: Cow::Borrowed("") }
    }
}

/// A text that may stand in `error_description`: at most [`DESCRIPTION_CHARS`] printable ASCII characters
/// without `"` and `\`. Others become `?`.
pub fn describe(text: Cow<'static, str>) -> Cow<'static, str> {
    // RFC 6749 §4.1.2.1, §5.2: %x20-21 / %x23-5B / %x5D-7E.
    let fits = |c: char| matches!(c, ' ' | '!' | '#'..='[' | ']'..='~');
    if text.len() <= DESCRIPTION_CHARS && text.chars().all(fits) {
        return text;
    }
    let kept = text.chars().take(DESCRIPTION_CHARS);
    kept.map(|c| if fits(c) { c } else { '?' }).collect::<String>().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn rfc6749_s5_2_body_and_status() {
        let error = OAuthError::new(ErrorCode::InvalidGrant, "the code was used");
        let body = Value::Object(error.to_json()).to_string();
        assert_eq!(body, r#"{"error":"invalid_grant","error_description":"the code was used"}"#);
        assert_eq!((error.status(), ErrorCode::InvalidClient.status()), (400, 401));
        let bare = OAuthError::from(ErrorCode::SlowDown);
        assert_eq!(Value::Object(bare.to_json()).to_string(), r#"{"error":"slow_down"}"#);
    }

    #[test]
    fn every_code_has_its_own_name_and_is_kept_by_it() {
        let mut names: Vec<_> = ErrorCode::ALL.iter().map(|it| it.as_str()).collect();
        for code in ErrorCode::ALL {
            assert_eq!(serde_json::to_value(code).unwrap(), code.as_str());
            assert!((400..600).contains(&code.status()));
        }
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), ErrorCode::ALL.len());
    }

    proptest! {
        #[test]
        fn rfc6749_s5_2_characters_of_a_description(text in any::<String>()) {
            let error = OAuthError::new(ErrorCode::InvalidRequest, text);
            let legal = |c: u8| matches!(c, 0x20..=0x21 | 0x23..=0x5b | 0x5d..=0x7e);
            prop_assert!(error.description().bytes().all(legal));
            prop_assert!(error.description().len() <= DESCRIPTION_CHARS);
        }
    }
}
