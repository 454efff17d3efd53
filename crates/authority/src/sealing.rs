//! The master key and what is sealed under it.
//!
//! Sealed blobs are AES-256-GCM with a random nonce: `01 | key id (8) | nonce (12) | ciphertext and tag`. The
//! associated data is the format, the key id and the purpose, so that a blob cannot be passed off as another.
//! Random nonces are safe for 2³² blobs (NIST SP 800-38D §8.3); an installation seals some dozens.

use crate::error::Error;
use crate::files;
use crate::ports::SealedStore;
use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::{digest, hmac};
use base::{IdError, Secret, UnixMs, random_array};
use std::path::{Path, PathBuf};

const VERSION: u8 = 1;
const KEY_ID_BYTES: usize = 8;
const HEAD_BYTES: usize = 1 + KEY_ID_BYTES;
/// The file in the data folder.
const MASTER_FILE: &str = "master.key";
/// Bytes of the file that are read at most: 64 characters and a line end.
const MASTER_FILE_BYTES: u64 = 66;
/// The name of the pepper's row, and its purpose.
const PEPPER: &str = "api-key-pepper";

/// Why a secret cannot be sealed or opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// Secrets are sealed already, and the key that opens them is not there.
    #[error(
        "{path} is missing, but secrets are sealed under it: put the file back from its backup (or copy it from another node)"
    )]
    MasterMissing {
        /// Where it should be.
        path: PathBuf,
    },
    /// The file is not what was written into it.
    #[error("{path} is not a master key: it must hold 64 hexadecimal characters")]
    MasterMalformed {
        /// Where it is.
        path: PathBuf,
    },
    /// Others could read or change the file.
    #[error("{path} can be read or written by others (mode {mode:03o}): make it 0600")]
    Exposed {
        /// Where it is.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// A file cannot be read or written.
    #[error("{path}: {problem}")]
    File {
        /// Where it is.
        path: PathBuf,
        /// What the system said.
        problem: String,
    },
    /// The blob was sealed under another key.
    #[error(
        "{purpose} is sealed under another master key (id {id}): put the right {MASTER_FILE} in place"
    )]
    OtherKey {
        /// What was to be opened.
        purpose: &'static str,
        /// The id of the key that it was sealed under.
        id: String,
    },
    /// The blob was changed, cut, or is of another purpose or format.
    #[error("what is sealed as {0} is damaged")]
    Damaged(&'static str),
    /// The cipher refused; a bug.
    #[error("the cipher failed")]
    Cipher,
    /// No random bytes.
    #[error(transparent)]
    Randomness(#[from] IdError),
}

/// The key under which everything else is sealed: 256 bits.
#[derive(Debug)]
pub struct MasterKey(Secret<[u8; 32]>);

impl MasterKey {
    /// Reads `master.key` of the data folder; makes it (mode 0600, durable before this returns) when it is
    /// not there and `first_start` holds, that is when nothing is sealed yet.
    ///
    /// # Errors
    /// When the file is missing although secrets are sealed, malformed, exposed or cannot be read or made.
    pub fn open(data_dir: &Path, first_start: bool) -> Result<Self, SealError> {
        let path = data_dir.join(MASTER_FILE);
        let text = match files::read_private(&path, MASTER_FILE_BYTES)? {
            Some(text) => text,
            None if !first_start => return Err(SealError::MasterMissing { path }),
            None => {
                let key = Secret::new(random_array::<32>()?);
                let text = Secret::new(hex::encode(key.expose()) + "\n");
                // WHY: another process may have won the race, so what counts is what lies there afterwards.
                files::create_private(&path, text.expose().as_bytes())?;
                files::read_private(&path, MASTER_FILE_BYTES)?
                    .ok_or(SealError::MasterMissing { path: path.clone() })?
            }
        };
        let text = str::from_utf8(text.expose()).map(str::trim_end).unwrap_or_default();
        Self::from_hex(text).ok_or(SealError::MasterMalformed { path })
    }

    /// From 64 hexadecimal characters.
    pub fn from_hex(text: &str) -> Option<Self> {
        let mut key = [0u8; 32];
        hex::decode_to_slice(text, &mut key).ok()?;
        Some(Self(Secret::new(key)))
    }

    /// Names the key without telling it.
    fn id(&self) -> [u8; KEY_ID_BYTES] {
        let mut context = digest::Context::new(&digest::SHA256);
        context.update(b"portcullis master key id\0");
        context.update(self.0.expose());
        let mut id = [0u8; KEY_ID_BYTES];
        id.iter_mut().zip(context.finish().as_ref()).for_each(|(to, from)| *to = *from);
        id
    }
}

/// Seals and opens secrets under the master key.
pub struct Sealer {
    key: RandomizedNonceKey,
    id: [u8; KEY_ID_BYTES],
}

impl std::fmt::Debug for Sealer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Sealer({})", hex::encode(self.id))
    }
}

impl Sealer {
    /// A sealer under `master`.
    ///
    /// # Errors
    /// [`SealError::Cipher`] when the cipher cannot be set up.
    pub fn new(master: &MasterKey) -> Result<Self, SealError> {
        let key = RandomizedNonceKey::new(&AES_256_GCM, master.0.expose())
            .map_err(|_| SealError::Cipher)?;
        Ok(Self { key, id: master.id() })
    }

    /// Seals `plain` for `purpose`.
    ///
    /// # Errors
    /// [`SealError::Cipher`] when the cipher fails.
    pub fn seal(&self, purpose: &'static str, plain: &[u8]) -> Result<Vec<u8>, SealError> {
        let mut body = plain.to_vec();
        let nonce = self
            .key
            .seal_in_place_append_tag(Aad::from(associated(&self.id, purpose)), &mut body)
            .map_err(|_| SealError::Cipher)?;
        let mut blob = Vec::with_capacity(HEAD_BYTES + NONCE_LEN + body.len());
        blob.push(VERSION);
        blob.extend_from_slice(&self.id);
        blob.extend_from_slice(nonce.as_ref());
        blob.extend_from_slice(&body);
        Ok(blob)
    }

    /// Opens what [`Self::seal`] made for the same purpose.
    ///
    /// # Errors
    /// [`SealError::OtherKey`] when it is sealed under another key, [`SealError::Damaged`] when it is not
    /// what was sealed.
    pub fn open(&self, purpose: &'static str, blob: &[u8]) -> Result<Secret<Vec<u8>>, SealError> {
        let damaged = SealError::Damaged(purpose);
        let (head, rest) = blob.split_at_checked(HEAD_BYTES).ok_or(damaged.clone())?;
        let (nonce, sealed) = rest.split_at_checked(NONCE_LEN).ok_or(damaged.clone())?;
        let (version, id) = head.split_first().ok_or(damaged.clone())?;
        if *version != VERSION {
            return Err(damaged);
        }
        if id != self.id {
            return Err(SealError::OtherKey { purpose, id: hex::encode(id) });
        }
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| damaged.clone())?;
        let mut body = sealed.to_vec();
        let length = self
            .key
            .open_in_place(nonce, Aad::from(associated(&self.id, purpose)), &mut body)
            .map_err(|_| damaged)?
            .len();
        body.truncate(length);
        Ok(Secret::new(body))
    }
}

fn associated(id: &[u8; KEY_ID_BYTES], purpose: &str) -> Vec<u8> {
    [b"portcullis sealed 1\0".as_slice(), id, purpose.as_bytes()].concat()
}

/// The key under which secrets of API keys are hashed. Whoever has the database but not the pepper cannot
/// test guesses.
pub struct Pepper {
    key: hmac::Key,
    bytes: Secret<[u8; 32]>,
}

impl std::fmt::Debug for Pepper {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Pepper(…)")
    }
}

impl Pepper {
    /// A pepper of these bytes.
    pub fn new(bytes: [u8; 32]) -> Self {
        Self { key: hmac::Key::new(hmac::HMAC_SHA256, &bytes), bytes: Secret::new(bytes) }
    }

    /// The installation's pepper; drawn at the first start.
    ///
    /// # Errors
    /// When the store does not answer, or the row cannot be opened.
    pub async fn open(
        store: &dyn SealedStore,
        sealer: &Sealer,
        now: UnixMs,
    ) -> Result<Self, Error> {
        let blob = match store.sealed(PEPPER).await? {
            Some(blob) => blob,
            None => {
                let fresh = Secret::new(random_array::<32>()?);
                let sealed = sealer.seal(PEPPER, fresh.expose())?;
                // WHY: another node may have been first; the one that is kept counts.
                store.put_sealed_if_absent(PEPPER, sealed, now).await?
            }
        };
        let plain = sealer.open(PEPPER, &blob)?;
        let bytes: [u8; 32] =
            plain.expose().as_slice().try_into().map_err(|_| SealError::Damaged(PEPPER))?;
        Ok(Self::new(bytes))
    }

    /// HMAC-SHA-256 of the whole text of a key, so that one key's MAC is of no use for another id.
    pub fn mac(&self, key: &[u8]) -> [u8; 32] {
        let tag = hmac::sign(&self.key, key);
        let mut out = [0u8; 32];
        out.iter_mut().zip(tag.as_ref()).for_each(|(to, from)| *to = *from);
        out
    }

    /// The bytes, for the gate that checks keys.
    pub fn bytes(&self) -> &Secret<[u8; 32]> {
        &self.bytes
    }
}
