//! `WWW-Authenticate` values for tokens (RFC 6750 §3, RFC 9449 §7.1, RFC 9470 §3, RFC 9728 §5.1).
//!
//! Invariant: what comes out is one header value of printable ASCII. A value that cannot be quoted in it
//! loses the characters that are at fault; it never ends the header or begins another parameter.

use crate::algorithm::{Algorithm, AlgorithmSet};
use crate::oauth::ScopeSet;
use std::fmt::Write as _;

/// The error of a challenge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChallengeError {
    /// The request is malformed (400).
    InvalidRequest,
    /// The token is malformed, expired, revoked or otherwise invalid (401).
    InvalidToken,
    /// The token lacks a scope (403).
    InsufficientScope,
    /// The person must authenticate again, or more strongly (401, RFC 9470 §3).
    InsufficientUserAuthentication,
    /// The DPoP proof is missing or wrong (401, RFC 9449 §7.1).
    InvalidDpopProof,
    /// The DPoP proof needs a nonce of the server (401, RFC 9449 §9).
    UseDpopNonce,
}

impl ChallengeError {
    /// Its name in the header.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InvalidRequest => "invalid_request",
            Self::InvalidToken => "invalid_token",
            Self::InsufficientScope => "insufficient_scope",
            Self::InsufficientUserAuthentication => "insufficient_user_authentication",
            Self::InvalidDpopProof => "invalid_dpop_proof",
            Self::UseDpopNonce => "use_dpop_nonce",
        }
    }
}

/// A challenge in the making.
#[derive(Debug, Clone)]
pub struct Challenge {
    value: String,
    empty: bool,
}

impl Challenge {
    /// `Bearer` without parameters.
    pub fn bearer() -> Self {
        Self { value: "Bearer".to_owned(), empty: true }
    }

    /// `DPoP` without parameters (RFC 9449 §7.1).
    pub fn dpop() -> Self {
        Self { value: "DPoP".to_owned(), empty: true }
    }

    /// Adds `algs` (RFC 9449 §7.1): what proofs may be signed with.
    #[must_use]
    pub fn algorithms(self, algorithms: AlgorithmSet) -> Self {
        self.parameter("algs", &names(algorithms).join(" "))
    }

    /// Adds `realm`.
    #[must_use]
    pub fn realm(self, realm: &str) -> Self {
        self.parameter("realm", realm)
    }

    /// Adds `error`. RFC 6750 §3.1: left out when the request had no credential.
    #[must_use]
    pub fn error(self, error: ChallengeError) -> Self {
        self.parameter("error", error.as_str())
    }

    /// Adds `error_description`.
    #[must_use]
    pub fn description(self, text: &str) -> Self {
        self.parameter("error_description", text)
    }

    /// Adds `scope`: what would suffice.
    #[must_use]
    pub fn scopes(self, scopes: &ScopeSet) -> Self {
        if scopes.is_empty() { self } else { self.parameter("scope", &scopes.to_string()) }
    }

    /// Adds `scope` from a text of scopes; nothing when it is empty.
    #[must_use]
    pub fn scope(self, scope: &str) -> Self {
        if scope.is_empty() { self } else { self.parameter("scope", scope) }
    }

    /// Adds `acr_values` (RFC 9470 §3): what would suffice, separated by spaces.
    #[must_use]
    pub fn acr_values(self, acr: &str) -> Self {
        self.parameter("acr_values", acr)
    }

    /// Adds `max_age` (RFC 9470 §3): how many seconds old the authentication may be.
    #[must_use]
    pub fn max_age(self, seconds: u64) -> Self {
        self.parameter("max_age", &seconds.to_string())
    }

    /// Adds `resource_metadata` (RFC 9728 §5.1): the URL of the protected resource's metadata.
    #[must_use]
    pub fn resource_metadata(self, url: &str) -> Self {
        self.parameter("resource_metadata", url)
    }

    /// The header's value.
    pub fn into_value(self) -> String {
        self.value
    }

    fn parameter(mut self, name: &'static str, value: &str) -> Self {
        let separator = if self.empty { " " } else { ", " };
        let _ = write!(self.value, "{separator}{name}=\"");
        // RFC 6750 §3: values have neither `"` nor `\`, so nothing needs a quoted pair; RFC 9110 §5.5: no
        // control characters in a field value.
        self.value
            .extend(value.chars().filter(|c| matches!(c, ' '..='~') && !matches!(c, '"' | '\\')));
        self.value.push('"');
        self.empty = false;
        self
    }
}

/// The names of algorithms, for challenges and metadata.
pub fn names(algorithms: AlgorithmSet) -> Vec<&'static str> {
    let all = Algorithm::ALL.into_iter();
    all.filter(|it| algorithms.contains(*it)).map(Algorithm::as_str).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn rfc6750_s3_1_no_error_without_a_credential() {
        assert_eq!(Challenge::bearer().into_value(), "Bearer");
        assert_eq!(Challenge::bearer().realm("orders").into_value(), "Bearer realm=\"orders\"");
    }

    #[test]
    fn rfc9449_s7_1_dpop_names_its_algorithms() {
        let algorithms = AlgorithmSet::of(&[Algorithm::Ps256, Algorithm::Es256]);
        let value = Challenge::dpop()
            .algorithms(algorithms)
            .error(ChallengeError::InvalidDpopProof)
            .scope("a b")
            .scope("")
            .into_value();
        let expect = "DPoP algs=\"ES256 PS256\", error=\"invalid_dpop_proof\", scope=\"a b\"";
        assert_eq!(value, expect);
    }

    #[test]
    fn rfc9470_s3_step_up() {
        let value = Challenge::bearer()
            .error(ChallengeError::InsufficientUserAuthentication)
            .acr_values("aal2")
            .max_age(900)
            .into_value();
        let expect = "Bearer error=\"insufficient_user_authentication\", acr_values=\"aal2\", max_age=\"900\"";
        assert_eq!(value, expect);
    }

    #[test]
    fn rfc9728_s5_1_resource_metadata_and_scopes() {
        let value = Challenge::bearer()
            .error(ChallengeError::InsufficientScope)
            .scopes(&ScopeSet::parse("b a").unwrap())
            .resource_metadata("https://api.example/.well-known/oauth-protected-resource")
            .into_value();
        let expect = "Bearer error=\"insufficient_scope\", scope=\"a b\", \
            resource_metadata=\"https://api.example/.well-known/oauth-protected-resource\"";
        assert_eq!(value, expect);
    }

    proptest! {
        #[test]
        fn rfc9110_s5_5_nothing_can_be_injected(text in any::<String>()) {
            let value = Challenge::bearer().realm(&text).description(&text).into_value();
            prop_assert!(value.bytes().all(|c| (0x20..0x7f).contains(&c)));
            prop_assert_eq!(value.matches('"').count(), 4);
            prop_assert!(!value.contains('\\'));
        }
    }
}
