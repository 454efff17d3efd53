//! Metadata of a protected resource (RFC 9728).

use crate::oauth::uri::Uri;
use serde::Serialize;

/// Where it lies (RFC 9728 §3).
pub const RESOURCE_WELL_KNOWN: &str = "/.well-known/oauth-protected-resource";

/// Metadata of a protected resource (RFC 9728 §2).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ProtectedResourceMetadata {
    /// `resource`: its identifier, the audience of its tokens.
    pub resource: String,
    /// `authorization_servers`: issuers whose tokens it takes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub authorization_servers: Vec<String>,
    /// `scopes_supported`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub scopes_supported: Vec<String>,
    /// `bearer_methods_supported`: `header`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub bearer_methods_supported: Vec<String>,
    /// `resource_name`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resource_name: Option<String>,
    /// `resource_documentation`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resource_documentation: Option<String>,
    /// `authorization_details_types_supported`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub authorization_details_types_supported: Vec<String>,
    /// `tls_client_certificate_bound_access_tokens`.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub tls_client_certificate_bound_access_tokens: bool,
    /// `dpop_signing_alg_values_supported`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub dpop_signing_alg_values_supported: Vec<String>,
    /// `dpop_bound_access_tokens_required`.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub dpop_bound_access_tokens_required: bool,
}

/// The URL of the metadata of `resource` (RFC 9728 §3.1): the well-known path goes between host and path.
/// `None` when the resource is no http or https URL without query and fragment.
pub fn resource_metadata_url(resource: &str) -> Option<String> {
    let uri = Uri::parse(resource)?;
    uri.web_host()?;
    if uri.query.is_some() || uri.fragment.is_some() {
        return None;
    }
    let origin = resource.strip_suffix(uri.path)?;
    // RFC 9728 §3.1: a slash that ends at the host is removed.
    let path = if uri.path == "/" { "" } else { uri.path };
    Some(format!("{origin}{RESOURCE_WELL_KNOWN}{path}"))
}
