//! Metadata: of clients (RFC 7591), of this server (RFC 8414), of protected resources (RFC 9728).
//!
//! Owns: the members, their types, defaults and bounds, and what fits together.
//!
//! Never does: fetch a document, or decide whether a client may be registered.
//!
//! Invariant: a [`ClientMetadata`] that was read by [`ClientMetadata::read`] is consistent; members that are not
//! known are not in it.

mod check;
mod client;
mod document;
mod resource;
mod server;
#[cfg(test)]
mod tests;

pub use check::{JWKS_BYTES, LIST_ENTRIES, METADATA_BYTES, NAME_CHARS, REDIRECT_URIS, TEXT_BYTES};
pub use client::{ClientMetadata, TlsSubject};
pub use document::{ClientIdUrlFault, client_id_url, read_document};
pub use resource::{ProtectedResourceMetadata, RESOURCE_WELL_KNOWN, resource_metadata_url};
pub use server::ServerMetadata;

use serde::{Deserialize, Serialize};

/// A grant that a client may use (RFC 7591 §2, `grant_types`). Implicit and password are not offered
/// (RFC 9700 §2.1.2, §2.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum GrantType {
    /// RFC 6749 §4.1.
    #[serde(rename = "authorization_code")]
    AuthorizationCode,
    /// RFC 6749 §6.
    #[serde(rename = "refresh_token")]
    RefreshToken,
    /// RFC 6749 §4.4.
    #[serde(rename = "client_credentials")]
    ClientCredentials,
    /// RFC 8628 §3.4.
    #[serde(rename = "urn:ietf:params:oauth:grant-type:device_code")]
    DeviceCode,
    /// RFC 8693 §2.1.
    #[serde(rename = "urn:ietf:params:oauth:grant-type:token-exchange")]
    TokenExchange,
    /// RFC 7523 §2.1.
    #[serde(rename = "urn:ietf:params:oauth:grant-type:jwt-bearer")]
    JwtBearer,
}

impl GrantType {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::AuthorizationCode,
        Self::RefreshToken,
        Self::ClientCredentials,
        Self::DeviceCode,
        Self::TokenExchange,
        Self::JwtBearer,
    ];

    /// Its name in `grant_type`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AuthorizationCode => "authorization_code",
            Self::RefreshToken => "refresh_token",
            Self::ClientCredentials => "client_credentials",
            Self::DeviceCode => "urn:ietf:params:oauth:grant-type:device_code",
            Self::TokenExchange => super::exchange::GRANT_TYPE,
            Self::JwtBearer => "urn:ietf:params:oauth:grant-type:jwt-bearer",
        }
    }

    /// The grant of that name.
    pub fn read(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|grant| grant.as_str() == name)
    }
}
