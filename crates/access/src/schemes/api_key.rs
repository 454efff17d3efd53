//! API keys: looked up by id, compared in constant time under a pepper.

use super::{Context, Outcome, reject, reject_known};
use crate::credential::Credential;
use crate::live::still_good;
use aws_lc_rs::hmac;
use base::{Scheme, Secret, code};
use std::sync::Arc;

/// The sealed secret under which keys are stored: HMAC-SHA-256 of a key's text.
#[derive(Clone)]
pub struct Pepper(Arc<hmac::Key>);

impl Pepper {
    /// From its 32 bytes.
    pub fn new(bytes: &Secret<[u8; 32]>) -> Self {
        Self(Arc::new(hmac::Key::new(hmac::HMAC_SHA256, bytes.expose())))
    }

    /// What is stored of a key.
    pub fn mac(&self, key: &str) -> [u8; 32] {
        let tag = hmac::sign(&self.0, key.as_bytes());
        let mut out = [0; 32];
        for (to, from) in out.iter_mut().zip(tag.as_ref()) {
            *to = *from;
        }
        out
    }
}

impl std::fmt::Debug for Pepper {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Pepper(…)")
    }
}

/// Judges an API key.
pub fn authenticate<A>(ctx: &Context<'_, A>, text: &str) -> Outcome {
    if !ctx.route.takes_keys() {
        return Outcome::NotPresented;
    }
    let Ok(parsed) = protocol::apikey::ApiKey::parse(text) else {
        return reject(code::KEY_MALFORMED);
    };
    let id = parsed.id_bytes();
    let mac = ctx.tools.pepper.mac(text);
    let Some(stored) = ctx.snapshot.keys.find(&id) else {
        return reject(code::KEY_UNKNOWN);
    };
    // The secret is judged before anything is said of the key, and in constant time.
    if aws_lc_rs::constant_time::verify_slices_are_equal(&mac, &stored.mac).is_err() {
        return reject(code::KEY_UNKNOWN);
    }
    let id_text: Arc<str> = parsed.id().into();
    let credential = Arc::new(Credential {
        scheme: Scheme::ApiKey,
        issuer: None,
        subject: id_text.clone(),
        client_id: None,
        id: id_text,
        id_is_jti: false,
        scopes: stored.scopes.clone(),
        audiences: Vec::new(),
        claims: serde_json::Map::new(),
        issued_at: None,
        not_before: None,
        expires_at: stored.expires_at,
        acr: None,
        authenticated_at: None,
        routes: Vec::new(),
        grant: None,
        lineage: Vec::new(),
        key: None,
    });
    if let Err(code) = still_good(&credential, ctx.snapshot.standing(ctx.now)) {
        return reject_known(code, &credential);
    }
    if let Some(routes) = &stored.routes
        && !routes.iter().any(|route| **route == *ctx.route.name)
    {
        return reject_known(code::KEY_ROUTE, &credential);
    }
    Outcome::Accepted(credential)
}
