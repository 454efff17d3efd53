//! A verified credential: who calls, and what the proof allows.
//!
//! INVARIANT: a value of [`Credential`] exists only after a scheme verified the proof. What may change
//! while the proof stays good (time, audience, scopes asked, revocation) is judged at each use, not here.

use base::{Scheme, UnixMs};
use protocol::oauth::ScopeSet;
use std::sync::Arc;

/// What a scheme learnt from a proof that holds.
#[derive(Debug, Clone, PartialEq)]
pub struct Credential {
    /// How it was proved.
    pub scheme: Scheme,
    /// The configured name of the issuer; none for keys.
    pub issuer: Option<Arc<str>>,
    /// The bare subject: `sub` of a token, the id of a key.
    pub subject: Arc<str>,
    /// The OAuth client, from `client_id` or `azp`.
    pub client_id: Option<Arc<str>>,
    /// The key's id, the token's `jti`, or a keyed hash of the token where it has none.
    pub id: Arc<str>,
    /// Whether `id` is the token's own `jti`.
    pub id_is_jti: bool,
    /// The grant that it was issued on (`gid`); only tokens of the built-in authority name one.
    pub grant: Option<Arc<str>>,
    /// The clients from whose tokens it was exchanged (RFC 8693); only tokens of the built-in authority name any. It ends with
    /// each of them.
    pub lineage: Vec<Arc<str>>,
    /// RFC 9449 §6.1: the thumbprint of the key that each use must prove; none for bearer tokens.
    pub key: Option<Arc<str>>,
    /// The scopes that it carries.
    pub scopes: ScopeSet,
    /// For whom it was issued; empty for keys.
    pub audiences: Vec<Box<str>>,
    /// All other claims, for claim rules.
    pub claims: serde_json::Map<String, serde_json::Value>,
    /// When it was issued, if it says so.
    pub issued_at: Option<UnixMs>,
    /// When it starts to be valid, if it says so.
    pub not_before: Option<UnixMs>,
    /// When it stops being valid; none for a key without expiry.
    pub expires_at: Option<UnixMs>,
    /// How strongly the person signed in (`acr`), if it says so and the word is at most [`crate::mfa::ACR_BYTES`] long.
    pub acr: Option<Box<str>>,
    /// When the person signed in (`auth_time`), if it says so.
    pub authenticated_at: Option<UnixMs>,
    /// Routes that a key is limited to; empty: all.
    pub routes: Vec<Box<str>>,
}

impl Credential {
    /// What limits by principal count on: scheme, issuer and subject, so that a key can never share a
    /// count with a person of the same name. A token without a subject counts for its client, or for itself: all
    /// of them together would let one client use up the others' limit.
    pub fn principal_key(&self) -> (Scheme, Option<&str>, &str) {
        let name = match &*self.subject {
            "" => self.client_id.as_deref().unwrap_or(&self.id),
            subject => subject,
        };
        (self.scheme, self.issuer.as_deref(), name)
    }
}
