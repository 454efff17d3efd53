//! The authority's signing keys.
//!
//! Owns: making keys, the steps of their rotation, the set that is published.
//!
//! Never does: make an RSA key while a request waits; those are made by [`OAuth::tick`].
//!
//! Invariants:
//! - A key signs only after it was published for `key_published`, but for the first of its algorithm.
//! - A key that has signed stays published until everything that it signed has expired.
//! - Each step is compared and set in the store, so that any number of nodes may take it.

use super::OAuth;
use super::records::{KeyStage, SigningKeyRecord};
use super::settings::{ACCESS_TOKEN_LONGEST, Settings};
use crate::error::{Error, PortError};
use crate::sealing::{SealError, Sealer};
use arc_swap::ArcSwap;
use base::{Code, Event, EventId, Kind, UnixMs, code};
use protocol::Algorithm;
use protocol::jwk::KeySet;
use protocol::sign::{SignError, Signer, SigningKey};
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;

/// What private keys are sealed as.
const PURPOSE: &str = "signing-key";
/// The algorithms that are on offer, the cheapest first.
pub const OFFERED: [Algorithm; 4] =
    [Algorithm::Es256, Algorithm::EdDsa, Algorithm::Ps256, Algorithm::Rs256];
/// How long after a key was retired other nodes may go on signing with it: they follow the feed within a second
/// and stop serving when they have lost it for half a minute.
const STRAGGLERS: Duration = Duration::from_secs(300);

/// The keys as this node knows them.
#[derive(Debug, Default)]
pub(crate) struct Keys {
    records: Vec<(SigningKeyRecord, Arc<SigningKey>)>,
    set: Arc<KeySet>,
    document: Value,
}

/// The keys, and who may change them.
#[derive(Debug, Default)]
pub(crate) struct Signing {
    keys: ArcSwap<Keys>,
    /// Held while this node takes steps, so that it does not make a slow key twice.
    steps: tokio::sync::Mutex<()>,
    /// Held while rows are read, so that an older reading never replaces a newer one.
    reading: tokio::sync::Mutex<()>,
}

impl Keys {
    fn read(mut records: Vec<SigningKeyRecord>, sealer: &Sealer) -> Result<Self, Error> {
        // The newest first, so that the first one found is the one to use.
        records.sort_by(|a, b| (b.since, &b.kid).cmp(&(a.since, &a.kid)));
        let records = records
            .into_iter()
            .map(|record| open(&record, sealer).map(|key| (record, Arc::new(key))))
            .collect::<Result<Vec<_>, _>>()?;
        let set = KeySet::new(records.iter().map(|(_, key)| key.public().clone()).collect());
        let document = Value::Object(set.to_json());
        Ok(Self { records, set: Arc::new(set), document })
    }

    fn signing(&self, algorithm: Algorithm) -> Option<&Arc<SigningKey>> {
        let signs = |(record, key): &&(SigningKeyRecord, Arc<SigningKey>)| {
            record.stage == KeyStage::Signing && key.algorithm() == algorithm
        };
        self.records.iter().find(signs).map(|(_, key)| key)
    }

    fn of(&self, algorithm: Algorithm, stage: KeyStage) -> Vec<&SigningKeyRecord> {
        let fits = |record: &&SigningKeyRecord| {
            record.stage == stage && record.algorithm == algorithm.as_str()
        };
        self.records.iter().map(|(record, _)| record).filter(fits).collect()
    }
}

fn open(record: &SigningKeyRecord, sealer: &Sealer) -> Result<SigningKey, Error> {
    let corrupt = || PortError::Corrupt("a signing key cannot be read".to_owned());
    let algorithm: Algorithm = record.algorithm.parse().map_err(|_| corrupt())?;
    let sealed = hex::decode(&record.sealed).map_err(|_| SealError::Damaged(PURPOSE))?;
    let plain = sealer.open(PURPOSE, &sealed)?;
    let key = SigningKey::from_pkcs8(algorithm, &plain).map_err(|_| corrupt())?;
    // A row whose private half was exchanged would sign what the published half does not verify.
    match key.id() == record.kid {
        true => Ok(key),
        false => Err(corrupt().into()),
    }
}

/// One step of the rotation.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    Make(Algorithm, KeyStage),
    Move(String, KeyStage, Option<KeyStage>),
}

/// The next steps for one algorithm. Pure.
fn steps(keys: &Keys, algorithm: Algorithm, settings: &Settings, now: UnixMs) -> Vec<Step> {
    let published = keys.of(algorithm, KeyStage::Published);
    let signing = keys.of(algorithm, KeyStage::Signing);
    let mut steps = Vec::new();
    let promote = |key: &SigningKeyRecord| {
        Step::Move(key.kid.clone(), KeyStage::Published, Some(KeyStage::Signing))
    };
    match (signing.first(), published.first()) {
        // The first of its algorithm: no token names an older one, so nobody holds an older set for long.
        (None, None) => steps.push(Step::Make(algorithm, KeyStage::Signing)),
        (None, Some(next)) => steps.push(promote(next)),
        (Some(current), next) => {
            let used = now.since(current.since);
            match next {
                None if used.saturating_add(settings.key_published) >= settings.key_signing => {
                    steps.push(Step::Make(algorithm, KeyStage::Published));
                }
                Some(next)
                    if used >= settings.key_signing
                        && now.since(next.since) >= settings.key_published =>
                {
                    steps.push(promote(next));
                }
                _ => {}
            }
        }
    }
    let retire = |key: &&SigningKeyRecord| {
        Step::Move(key.kid.clone(), KeyStage::Signing, Some(KeyStage::Retired))
    };
    // The newest signs, all others retire.
    steps.extend(signing.iter().skip(1).map(retire));
    // WHY the session too: until it ends, its ID tokens come back as hints at logout (RP-Initiated Logout §2).
    let longest = ACCESS_TOKEN_LONGEST.max(settings.id_token).max(settings.session);
    let kept = longest.saturating_add(STRAGGLERS);
    let retired = keys.of(algorithm, KeyStage::Retired);
    let gone = retired.iter().filter(|key| now.since(key.since) >= kept);
    steps.extend(gone.map(|key| Step::Move(key.kid.clone(), KeyStage::Retired, None)));
    steps
}

impl OAuth {
    /// Reads the keys anew; to be called when the feed says that they have changed.
    ///
    /// # Errors
    /// As the store says, or when a key cannot be opened. The keys known so far stay in use.
    pub async fn reload_keys(&self) -> Result<(), Error> {
        let _one = self.signing.reading.lock().await;
        let records = self.parts.store.signing_keys().await?;
        let keys = Keys::read(records, &self.parts.sealer)?;
        self.signing.keys.store(Arc::new(keys));
        Ok(())
    }

    /// Takes the steps that are due; to be called every minute. Makes what is missing, RSA keys too: that takes
    /// seconds.
    ///
    /// # Errors
    /// As the store says; what was done stays done.
    pub async fn tick(&self) -> Result<(), Error> {
        self.rotate(&OFFERED).await
    }

    /// Makes sure that the algorithms that are cheap, and the one of the settings, have a key.
    pub(crate) async fn start_keys(&self) -> Result<(), Error> {
        self.reload_keys().await?;
        let first = self.settings().algorithm;
        self.rotate(&[Algorithm::Es256, Algorithm::EdDsa, first]).await
    }

    async fn rotate(&self, algorithms: &[Algorithm]) -> Result<(), Error> {
        let _one = self.signing.steps.lock().await;
        self.reload_keys().await?;
        let settings = self.settings();
        for algorithm in algorithms {
            // A step may make another one due: at most from published to signing, then from signing to retired.
            for _ in 0..2 {
                let keys = self.signing.keys.load_full();
                let due = steps(&keys, *algorithm, &settings, self.parts.clock.now());
                if due.is_empty() {
                    break;
                }
                for step in due {
                    self.step(step).await?;
                }
                self.reload_keys().await?;
            }
        }
        Ok(())
    }

    async fn step(&self, step: Step) -> Result<(), Error> {
        let now = self.parts.clock.now();
        match step {
            Step::Make(algorithm, stage) => {
                let (key, sealed) = self.make(algorithm).await?;
                let record = SigningKeyRecord {
                    kid: key.id().to_owned(),
                    algorithm: algorithm.as_str().to_owned(),
                    stage,
                    since: now,
                    public: Value::Object(key.public().to_json()),
                    sealed: hex::encode(sealed),
                };
                let event =
                    self.key_event(code::SIGNING_KEY_ADDED, &record.kid, algorithm.as_str())?;
                self.parts.store.add_signing_key(record, event).await?;
            }
            Step::Move(kid, from, to) => {
                let word = match to {
                    Some(KeyStage::Signing) => "it signs from now on",
                    Some(KeyStage::Retired) => "it no longer signs",
                    _ => "it is removed",
                };
                let event = self.key_event(code::SIGNING_KEY_STAGED, &kid, word)?;
                self.parts.store.stage_signing_key(kid, from, to, now, event).await?;
            }
        }
        Ok(())
    }

    async fn make(&self, algorithm: Algorithm) -> Result<(SigningKey, Vec<u8>), Error> {
        // WHY: an RSA key takes up to seconds, which no thread of a runtime may be held for.
        let made = tokio::task::spawn_blocking(move || SigningKey::generate(algorithm)).await;
        let failed = || Error::Seal(SealError::Cipher);
        let key = made.map_err(|_| failed())?.map_err(|_: SignError| failed())?;
        let plain = key.to_pkcs8().map_err(|_| failed())?;
        let sealed = self.parts.sealer.seal(PURPOSE, plain.expose())?;
        Ok((key, sealed))
    }

    fn key_event(&self, code: Code, kid: &str, detail: &str) -> Result<Event, Error> {
        let now = self.parts.clock.now();
        let mut event = Event::new(EventId::random()?, now, self.parts.node, Kind::System, code);
        event.credential_id = Some(Arc::from(kid));
        event.detail = Some(detail.into());
        Ok(event)
    }

    /// The JWK Set that is published (RFC 7517 §5).
    pub fn jwks(&self) -> Value {
        self.signing.keys.load().document.clone()
    }

    /// The same as keys, for the gate and for our own tokens that come back.
    pub fn key_set(&self) -> Arc<KeySet> {
        Arc::clone(&self.signing.keys.load().set)
    }

    /// A signer of tokens whose `typ` is `typ`; `None` while there is no key of this algorithm.
    pub fn signer(&self, algorithm: Algorithm, typ: &str) -> Option<Signer> {
        let keys = self.signing.keys.load();
        keys.signing(algorithm).map(|key| Signer::new(Arc::clone(key), typ))
    }
}

#[cfg(test)]
mod tests;
