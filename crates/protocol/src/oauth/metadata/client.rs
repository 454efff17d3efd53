//! What a client says of itself (RFC 7591 §2, OpenID Connect Registration 1.0 §2).
//!
//! Owns the typed form of client metadata as it is kept and shown. Members that are not known here are left out
//! when metadata is read, as RFC 7591 §2 asks.

use super::{GrantType, check};
use crate::json::Object;
use crate::oauth::OAuthError;
use crate::oauth::client_auth::AuthMethod;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Client metadata. Names stand as they were written; [`ClientMetadata::read`] takes only those on offer.
/// A member that is absent is empty.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ClientMetadata {
    /// Where codes may be sent.
    pub redirect_uris: Vec<String>,
    /// `none`, `client_secret_basic`, `client_secret_post`, `private_key_jwt`, `tls_client_auth`,
    /// `self_signed_tls_client_auth`.
    pub token_endpoint_auth_method: String,
    /// The grants that it may use.
    pub grant_types: Vec<String>,
    /// Only `code`.
    pub response_types: Vec<String>,
    /// What people call it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_name: Option<String>,
    /// Its home page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_uri: Option<String>,
    /// Its mark.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub logo_uri: Option<String>,
    /// Its privacy policy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy_uri: Option<String>,
    /// Its terms.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tos_uri: Option<String>,
    /// The scopes that it may ask for, separated by spaces.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
    /// Who answers for it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub contacts: Vec<String>,
    /// Its public keys, by value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jwks: Option<Value>,
    /// Its public keys, by reference.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jwks_uri: Option<String>,
    /// `web` or `native`.
    pub application_type: String,
    /// `public` or `pairwise`.
    pub subject_type: String,
    /// The list of redirect URIs that share pairwise subjects.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sector_identifier_uri: Option<String>,
    /// How its ID tokens are signed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id_token_signed_response_alg: Option<String>,
    /// How its userinfo answers are signed; absent: they are JSON.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub userinfo_signed_response_alg: Option<String>,
    /// How its request objects are signed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_object_signing_alg: Option<String>,
    /// How its client assertions are signed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_endpoint_auth_signing_alg: Option<String>,
    /// How its authorization responses are signed (JARM).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authorization_signed_response_alg: Option<String>,
    /// How its introspection answers are signed (RFC 9701).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub introspection_signed_response_alg: Option<String>,
    /// RFC 9126 §6: only pushed requests.
    pub require_pushed_authorization_requests: bool,
    /// RFC 9101 §10.5: only signed requests.
    pub require_signed_request_object: bool,
    /// RFC 9449 §5.2: only bound tokens.
    pub dpop_bound_access_tokens: bool,
    /// RFC 8705 §3.4: only bound tokens.
    pub tls_client_certificate_bound_access_tokens: bool,
    /// Which certificate authenticates it, with the method `tls_client_auth`.
    #[serde(flatten)]
    pub tls: TlsSubject,
    /// Where people may be sent after logout.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub post_logout_redirect_uris: Vec<String>,
    /// Where logout tokens are sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backchannel_logout_uri: Option<String>,
    /// Whether logout tokens must name the session.
    pub backchannel_logout_session_required: bool,
    /// Seconds since the last login at most, unless a request says otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default_max_age: Option<u64>,
    /// Whether ID tokens must say when the login was.
    pub require_auth_time: bool,
    /// Levels of login that are asked for unless a request says otherwise.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub default_acr_values: Vec<String>,
    /// RFC 9396 §10: the types that it may ask for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub authorization_details_types: Vec<String>,
    /// Which software this is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub software_id: Option<String>,
    /// Which version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub software_version: Option<String>,
}

/// The subject of a client's certificate (RFC 8705 §2.1.2): exactly one member with `tls_client_auth`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct TlsSubject {
    /// `tls_client_auth_subject_dn` (RFC 4514).
    #[serde(rename = "tls_client_auth_subject_dn", skip_serializing_if = "Option::is_none")]
    pub subject_dn: Option<Box<str>>,
    /// `tls_client_auth_san_dns`.
    #[serde(rename = "tls_client_auth_san_dns", skip_serializing_if = "Option::is_none")]
    pub san_dns: Option<Box<str>>,
    /// `tls_client_auth_san_uri`.
    #[serde(rename = "tls_client_auth_san_uri", skip_serializing_if = "Option::is_none")]
    pub san_uri: Option<Box<str>>,
    /// `tls_client_auth_san_ip`.
    #[serde(rename = "tls_client_auth_san_ip", skip_serializing_if = "Option::is_none")]
    pub san_ip: Option<Box<str>>,
    /// `tls_client_auth_san_email`.
    #[serde(rename = "tls_client_auth_san_email", skip_serializing_if = "Option::is_none")]
    pub san_email: Option<Box<str>>,
}

impl TlsSubject {
    /// Those that are given.
    pub fn given(&self) -> impl Iterator<Item = &str> {
        let all = [&self.subject_dn, &self.san_dns, &self.san_uri, &self.san_ip, &self.san_email];
        all.into_iter().filter_map(|it| it.as_deref())
    }
}

impl ClientMetadata {
    /// Reads what a client sends (RFC 7591 §3.1) or an administrator enters. Members that are not known and
    /// members that are null are left out. Grants, response types, kind and subject type get the defaults of
    /// RFC 7591 §2 and OpenID Connect Registration §2; the authentication method stays empty when absent,
    /// since its default hangs on the client's profile.
    ///
    /// # Errors
    /// `invalid_redirect_uri`, `invalid_client_metadata`.
    pub fn read(object: Object) -> Result<Self, OAuthError> {
        check::read(object, None)
    }

    /// Its method of authentication; `client_secret_basic` when it names none (RFC 7591 §2), `None` when it
    /// names one that is not known.
    pub fn auth_method(&self) -> Option<AuthMethod> {
        match self.token_endpoint_auth_method.as_str() {
            "" => Some(AuthMethod::ClientSecretBasic),
            name => AuthMethod::read(name),
        }
    }

    /// Whether the client may use this grant.
    pub fn may(&self, grant: GrantType) -> bool {
        self.grant_types.iter().any(|own| own == grant.as_str())
    }

    /// Whether `asked` is one of its redirect URIs; see [`crate::oauth::redirect::matches()`].
    pub fn has_redirect_uri(&self, asked: &str) -> bool {
        self.redirect_uris.iter().any(|own| crate::oauth::redirect::matches(own, asked))
    }

    /// Its sector, for pairwise subjects; see [`crate::oidc::sector`].
    pub fn sector(&self) -> Option<String> {
        crate::oidc::sector(self.sector_identifier_uri.as_deref(), &self.redirect_uris)
    }
}
