//! A trusted issuer: what the configuration says of it, and the keys that it publishes now.
//!
//! INVARIANT: every distinct key set has a generation of its own, unique in the process; a verified token
//! remembers the generation it was verified under, so a key that leaves the set takes its tokens with it.

use arc_swap::ArcSwap;
use protocol::jwk::KeySet;
use protocol::jws::AlgorithmSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

static GENERATIONS: AtomicU64 = AtomicU64::new(1);

/// Where the keys of an issuer come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeySource {
    /// OpenID Connect Discovery or RFC 8414 metadata below the issuer's URL.
    Discovery,
    /// The key set's own URL.
    Uri(String),
    /// A file on this machine.
    File(std::path::PathBuf),
    /// None: the issuer's tokens are opaque.
    Nowhere,
    /// The authority in this very process, which hands its keys over whenever they change.
    Own,
}

/// What the configuration says of an issuer.
#[derive(Debug, Clone, PartialEq)]
pub struct IssuerSettings {
    /// The configured name.
    pub name: Arc<str>,
    /// The exact `iss`.
    pub issuer: String,
    /// The audiences that count as us; never empty.
    pub audiences: Vec<String>,
    /// The algorithms that its tokens may be signed with.
    pub algorithms: AlgorithmSet,
    /// Where its keys are.
    pub source: KeySource,
    /// Where its opaque tokens are taken to (RFC 7662), if anywhere. Who answers there is who vouches for them.
    pub introspection: Option<String>,
    /// Whether a route has a rule on claims of its tokens; else they are not kept.
    pub claim_rules: bool,
}

/// The keys of an issuer at one moment.
#[derive(Debug)]
pub struct IssuerKeys {
    /// The keys.
    pub set: KeySet,
    /// Unique for this set in this process.
    pub generation: u64,
}

/// A trusted issuer.
#[derive(Debug)]
pub struct Issuer {
    /// Its settings.
    pub settings: IssuerSettings,
    keys: ArcSwap<IssuerKeys>,
}

impl Issuer {
    /// An issuer with no keys yet.
    pub fn new(settings: IssuerSettings) -> Self {
        let keys = IssuerKeys { set: KeySet::default(), generation: next_generation() };
        Self { settings, keys: ArcSwap::from_pointee(keys) }
    }

    /// The keys now.
    pub fn keys(&self) -> arc_swap::Guard<Arc<IssuerKeys>> {
        self.keys.load()
    }

    /// Puts a fetched set in force. Returns whether it differs from the one before; where it does not, the
    /// generation stays and no cached token is verified again.
    pub fn replace_keys(&self, set: KeySet) -> bool {
        if self.keys.load().set.fingerprint() == set.fingerprint() {
            return false;
        }
        self.keys.store(Arc::new(IssuerKeys { set, generation: next_generation() }));
        true
    }

    /// Whether one of `audiences` counts as us.
    pub fn takes_audience(&self, audiences: &[Box<str>]) -> bool {
        audiences.iter().any(|aud| self.settings.audiences.iter().any(|ours| **aud == **ours))
    }
}

fn next_generation() -> u64 {
    GENERATIONS.fetch_add(1, Ordering::Relaxed)
}
