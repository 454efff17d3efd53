//! How single claims are written.

use crate::json::Object;
use base::UnixMs;
use serde::ser::SerializeSeq as _;
use serde::{Serialize, Serializer};

/// Claims that have a meaning of their own here; no configuration may write over them.
const RESERVED: [&str; 30] = [
    "iss",
    "sub",
    "aud",
    "exp",
    "nbf",
    "iat",
    "jti",
    "client_id",
    "azp",
    "scope",
    "scp",
    "cnf",
    "act",
    "may_act",
    "acr",
    "amr",
    "auth_time",
    "sid",
    "nonce",
    "at_hash",
    "c_hash",
    "s_hash",
    "events",
    "gid",
    "authorization_details",
    "active",
    "token_type",
    "token_introspection",
    "typ",
    "_claim_names",
];

/// A moment as NumericDate (RFC 7519 §2): whole seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Seconds(pub UnixMs);

impl Serialize for Seconds {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_i64(self.0.seconds())
    }
}

impl From<UnixMs> for Seconds {
    fn from(moment: UnixMs) -> Self {
        Self(moment)
    }
}

/// An `aud` (RFC 7519 §4.1.3): a string for one, an array for more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Audience<'a>(pub &'a [Box<str>]);

impl Serialize for Audience<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if let [one] = self.0 {
            return serializer.serialize_str(one);
        }
        let mut array = serializer.serialize_seq(Some(self.0.len()))?;
        for audience in self.0 {
            array.serialize_element(audience)?;
        }
        array.end()
    }
}

/// Further claims, none of which is one that this crate writes itself.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(transparent)]
pub struct ExtraClaims(Object);

impl ExtraClaims {
    /// The claims of `claims` that are not reserved; others are left out.
    pub fn of(mut claims: Object) -> Self {
        claims.retain(|name, _| !RESERVED.contains(&name.as_str()));
        Self(claims)
    }

    /// The claims.
    pub fn members(&self) -> &Object {
        &self.0
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// To what a token is bound (RFC 7800 §3.1).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, serde::Deserialize)]
pub struct Cnf {
    /// The thumbprint of a DPoP key (RFC 9449 §6.1).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jkt: Option<Box<str>>,
    /// The hash of a client certificate (RFC 8705 §3.1).
    #[serde(default, rename = "x5t#S256", skip_serializing_if = "Option::is_none")]
    pub x5t_s256: Option<Box<str>>,
}

impl Cnf {
    /// Bound to the DPoP key with this thumbprint.
    pub fn key(jkt: impl Into<Box<str>>) -> Self {
        Self { jkt: Some(jkt.into()), x5t_s256: None }
    }

    /// Bound to the certificate with this hash.
    pub fn certificate(x5t_s256: impl Into<Box<str>>) -> Self {
        Self { jkt: None, x5t_s256: Some(x5t_s256.into()) }
    }
}
