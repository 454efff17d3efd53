//! The claims of an ID token (OpenID Connect Core §2).

use crate::algorithm::Algorithm;
use crate::b64;
use crate::oauth::claim::{ExtraClaims, Seconds};
use aws_lc_rs::digest::{self, SHA256, SHA384, SHA512};
use serde::Serialize;

/// The claims of an ID token.
#[derive(Debug, Clone, Serialize)]
pub struct IdTokenClaims<'a> {
    /// `iss`: our issuer.
    #[serde(rename = "iss")]
    pub issuer: &'a str,
    /// `sub`: the person, as this client knows them.
    #[serde(rename = "sub")]
    pub subject: &'a str,
    /// `aud`: the client.
    #[serde(rename = "aud")]
    pub client_id: &'a str,
    /// `exp`.
    #[serde(rename = "exp")]
    pub expires_at: Seconds,
    /// `iat`.
    #[serde(rename = "iat")]
    pub issued_at: Seconds,
    /// `auth_time`: when the person authenticated.
    #[serde(rename = "auth_time", skip_serializing_if = "Option::is_none")]
    pub authenticated_at: Option<Seconds>,
    /// `nonce`, as it was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nonce: Option<&'a str>,
    /// `acr`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub acr: Option<&'a str>,
    /// `amr` (RFC 8176).
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub amr: &'a [Box<str>],
    /// `azp`: only where another than the audience asked.
    #[serde(rename = "azp", skip_serializing_if = "Option::is_none")]
    pub authorized_party: Option<&'a str>,
    /// `sid` (OpenID Connect Back-Channel Logout §2.1).
    #[serde(rename = "sid", skip_serializing_if = "Option::is_none")]
    pub session_id: Option<&'a str>,
    /// `at_hash`: see [`token_hash`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at_hash: Option<&'a str>,
    /// `c_hash`: see [`token_hash`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub c_hash: Option<&'a str>,
    /// What the person's data says, where it was asked for in the ID token.
    #[serde(flatten, skip_serializing_if = "ExtraClaims::is_empty")]
    pub extra: &'a ExtraClaims,
}

/// `at_hash` of an access token, `c_hash` of a code: the base64url of the left half of its hash, with the
/// hash function of the ID token's algorithm (OpenID Connect Core §3.1.3.6, §3.3.2.11).
pub fn token_hash(algorithm: Algorithm, token: &str) -> String {
    let function = match algorithm {
        Algorithm::Es256 | Algorithm::Ps256 | Algorithm::Rs256 => &SHA256,
        Algorithm::Es384 | Algorithm::Ps384 | Algorithm::Rs384 => &SHA384,
        // Ed25519 hashes with SHA-512 (RFC 8032 §5.1).
        Algorithm::Ps512 | Algorithm::Rs512 | Algorithm::EdDsa => &SHA512,
    };
    let hash = digest::digest(function, token.as_bytes());
    let half = hash.as_ref().get(..hash.as_ref().len() / 2);
    b64::encode(half.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use base::UnixMs;
    use serde_json::{Value, json};

    #[test]
    fn oidc_core_a3_at_hash_example() {
        let token = "jHkWEdUXMU1BwAsC4vtUsZwnNvTIxEl0z9K3vx5KF0Y";
        assert_eq!(token_hash(Algorithm::Rs256, token), "77QmUPtjPfzWtF2AnpK9RQ");
        assert_eq!(token_hash(Algorithm::Es256, token), "77QmUPtjPfzWtF2AnpK9RQ");
        assert_eq!(token_hash(Algorithm::Es384, token).len(), 32);
        assert_eq!(token_hash(Algorithm::EdDsa, token).len(), 43);
    }

    #[test]
    fn oidc_core_a4_c_hash_example() {
        let code = "Qcb0Orv1zh30vL1MPRsbm-diHiMwcLyZvn1arpZv-Jxf_11jnpEX3Tgfvk";
        assert_eq!(token_hash(Algorithm::Rs256, code), "LDktKdoQak3Pk0cnXxCltA");
    }

    #[test]
    fn oidc_core_s2_required_claims_and_nothing_that_was_not_asked() {
        let Value::Object(extra) = json!({"email": "a@b.example", "aud": "evil", "acr": "aal9"})
        else {
            panic!()
        };
        let extra = ExtraClaims::of(extra);
        let claims = IdTokenClaims {
            issuer: "https://login.example",
            subject: "anna",
            client_id: "app",
            expires_at: Seconds(UnixMs(1_764_000_300_000)),
            issued_at: Seconds(UnixMs(1_764_000_000_000)),
            authenticated_at: None,
            nonce: Some("n"),
            acr: None,
            amr: &[],
            authorized_party: None,
            session_id: None,
            at_hash: None,
            c_hash: None,
            extra: &extra,
        };
        let expect = json!({"iss": "https://login.example", "sub": "anna", "aud": "app",
            "exp": 1_764_000_300, "iat": 1_764_000_000, "nonce": "n", "email": "a@b.example"});
        assert_eq!(serde_json::to_value(&claims).unwrap(), expect);
    }
}
