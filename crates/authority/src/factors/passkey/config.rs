//! Who we are to authenticators, and what is asked of them.

use super::data::sha256;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// How long the browser waits for the person, as a hint to it (WebAuthn L3 §15.1: five minutes).
pub(super) const PATIENCE: Duration = Duration::from_secs(5 * 60);
/// Characters of a name that an authenticator shows (WebAuthn L3 §5.4.1: authenticators may cut at 64 bytes).
pub(super) const NAME_CHARS: usize = 64;

/// Why an issuer cannot have passkeys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotARelyingParty {
    /// Browsers offer them on https and, for trying out, on http://localhost only.
    #[error("passkeys need https, or http://localhost")]
    Insecure,
    /// The host is an address, not a name (WebAuthn L3 §5.1.2).
    #[error("passkeys need a host name, not an address")]
    NoName,
    /// It is no URL.
    #[error("the issuer is no URL with a host")]
    NoUrl,
}

/// Whether the authenticator must verify the person, by PIN or biometric.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verification {
    /// It must.
    Required,
    /// It should if it can; whether it has is told.
    Preferred,
}

impl Verification {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Required => "required",
            Self::Preferred => "preferred",
        }
    }
}

/// The relying party that an issuer is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Relying {
    pub(super) id: String,
    pub(super) id_hash: [u8; 32],
    pub(super) origin: String,
    pub(super) name: String,
}

impl Relying {
    /// The relying party of this issuer: its host is the id, its origin the only one that answers may come from. `name`
    /// is what authenticators show.
    ///
    /// # Errors
    /// When browsers would offer no passkeys there.
    pub fn of(issuer: &str, name: &str) -> Result<Self, NotARelyingParty> {
        let (scheme, rest) = issuer.split_once("://").ok_or(NotARelyingParty::NoUrl)?;
        let scheme = scheme.to_ascii_lowercase();
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let authority = authority.to_ascii_lowercase();
        let (host, port) = match authority.rsplit_once(':') {
            // Within brackets there are colons too, and an address is no name anyway.
            Some(_) if authority.starts_with('[') => return Err(NotARelyingParty::NoName),
            Some((host, port)) => (host, Some(port)),
            None => (&*authority, None),
        };
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
        let digits = |port: &str| !port.is_empty() && port.bytes().all(|it| it.is_ascii_digit());
        if host.is_empty() || !host.bytes().all(plain) || !port.is_none_or(digits) {
            return Err(NotARelyingParty::NoUrl);
        }
        // WHATWG URL §3.5: a host whose last label is a number is an IPv4 address.
        let last = host.trim_end_matches('.').rsplit('.').next().unwrap_or_default();
        if last.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(NotARelyingParty::NoName);
        }
        let local = host == "localhost" || host.ends_with(".localhost");
        let usual = match &*scheme {
            "https" => "443",
            "http" if local => "80",
            _ => return Err(NotARelyingParty::Insecure),
        };
        // WHATWG HTML §7.1.1: an origin leaves its scheme's usual port out.
        let origin = match port.filter(|port| *port != usual) {
            Some(port) => format!("{scheme}://{host}:{port}"),
            None => format!("{scheme}://{host}"),
        };
        let name = if name.is_empty() { host } else { name };
        let name = name.chars().take(NAME_CHARS).collect();
        Ok(Self { id: host.to_owned(), id_hash: sha256(host.as_bytes()), origin, name })
    }

    /// The id: the host.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The origin that answers come from.
    pub fn origin(&self) -> &str {
        &self.origin
    }
}
