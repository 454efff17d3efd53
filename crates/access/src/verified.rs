//! The verified-credential cache of one shard.
//!
//! INVARIANT: an entry says only "this token was verified under that generation of its issuer's keys".
//! Audience, scope, time, binding and revocation are judged again on every hit, by the caller.

use aws_lc_rs::hmac;
use base::{Code, UnixMs, limits};
use quick_cache::unsync::Cache;
use std::cell::RefCell;
use std::sync::Arc;

use crate::credential::Credential;

/// A keyed hash of a credential: HMAC-SHA-256 under a key of this process.
pub type Fingerprint = [u8; 32];

/// How long a rejection is remembered. Short: it only blunts floods of one bad token.
const REJECTED_MS: i64 = 10_000;

/// Makes fingerprints. One a process, so that shards agree on ids derived from them.
#[derive(Clone)]
pub struct Fingerprints(Arc<hmac::Key>);

impl Fingerprints {
    /// With a random key.
    ///
    /// # Errors
    /// When the system has no randomness to give.
    pub fn new() -> Result<Self, base::IdError> {
        let key = base::random_array::<32>()?;
        Ok(Self(Arc::new(hmac::Key::new(hmac::HMAC_SHA256, &key))))
    }

    /// Of one credential.
    pub fn of(&self, credential: &[u8]) -> Fingerprint {
        let tag = hmac::sign(&self.0, credential);
        let mut out = [0; 32];
        for (to, from) in out.iter_mut().zip(tag.as_ref()) {
            *to = *from;
        }
        out
    }
}

impl std::fmt::Debug for Fingerprints {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Fingerprints(…)")
    }
}

/// What the cache knows of a token.
#[derive(Debug, Clone)]
pub struct Verified {
    /// What it says.
    pub credential: Arc<Credential>,
    /// Which issuer, by its place in the policy's list; judged against the name on use.
    pub issuer: Arc<str>,
    /// Under which generation of the issuer's keys.
    pub generation: u64,
    /// When the entry ends at the latest.
    pub until: UnixMs,
}

#[derive(Debug, Clone)]
struct Rejected {
    code: Code,
    generation: u64,
    until: UnixMs,
}

/// The cache. Single-threaded: each shard has its own.
#[derive(Debug)]
pub struct VerifiedCache {
    good: RefCell<Cache<Fingerprint, Verified>>,
    bad: RefCell<Cache<Fingerprint, Rejected>>,
}

impl Default for VerifiedCache {
    fn default() -> Self {
        Self {
            good: RefCell::new(Cache::new(limits::VERIFIED_ENTRIES)),
            bad: RefCell::new(Cache::new(limits::REJECTED_ENTRIES)),
        }
    }
}

impl VerifiedCache {
    /// The entry of a token, while it lasts.
    pub fn find(&self, fingerprint: &Fingerprint, now: UnixMs) -> Option<Verified> {
        let good = self.good.borrow();
        good.get(fingerprint).filter(|entry| now < entry.until).cloned()
    }

    /// Remembers a verified token for at most min(exp, 60 s).
    pub fn remember(
        &self,
        fingerprint: Fingerprint,
        credential: Arc<Credential>,
        generation: u64,
        now: UnixMs,
    ) {
        self.remember_until(fingerprint, credential, generation, now.plus(limits::VERIFIED_TTL));
    }

    /// Remembers a verified token until `longest` or its own end, whichever is sooner.
    pub fn remember_until(
        &self,
        fingerprint: Fingerprint,
        credential: Arc<Credential>,
        generation: u64,
        longest: UnixMs,
    ) {
        let Some(issuer) = credential.issuer.clone() else { return };
        let until = credential.expires_at.map_or(longest, |end| end.min(longest));
        self.good
            .borrow_mut()
            .insert(fingerprint, Verified { credential, issuer, generation, until });
    }

    /// The code of a token that failed verification a moment ago under the same keys.
    pub fn rejected(
        &self,
        fingerprint: &Fingerprint,
        generation: u64,
        now: UnixMs,
    ) -> Option<Code> {
        let bad = self.bad.borrow();
        let entry = bad.get(fingerprint)?;
        (now < entry.until && entry.generation == generation).then(|| entry.code.clone())
    }

    /// Remembers a token whose signature is wrong.
    pub fn reject(&self, fingerprint: Fingerprint, code: Code, generation: u64, now: UnixMs) {
        let until = UnixMs(now.0.saturating_add(REJECTED_MS));
        self.bad.borrow_mut().insert(fingerprint, Rejected { code, generation, until });
    }
}
