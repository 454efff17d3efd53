//! Signed tree heads and signed gap records.
//!
//! A tree head is a C2SP tlog-checkpoint in a C2SP signed-note: the origin, the size, the root in base64, an
//! empty line, and one Ed25519 signature. The public halves of the keys that signed stand in `keys`, a
//! verifier key (C2SP signed-note) a line, the one in use last.

use crate::error::LedgerError;
use crate::hash::{Hash, sha256};
use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use base::{Event, NodeId, Secret};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;

/// C2SP signed-note: the type of an Ed25519 key.
const ED25519_TYPE: u8 = 1;
/// Lines of `keys` that are read at most; a node's key changes rarely.
const KEYS: usize = 64;
/// What separates the text of a gap record from its signature.
const SIGNATURE: &str = "; signature ";

/// The key that signs.
pub(crate) struct Signer {
    pair: Ed25519KeyPair,
    key: VerifierKey,
}

impl std::fmt::Debug for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Signer").field("key", &self.key.to_string()).finish_non_exhaustive()
    }
}

/// The public half of a key, with its name: written `name+hash+base64` (C2SP signed-note).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifierKey {
    name: String,
    public: [u8; 32],
}

impl VerifierKey {
    /// The first four bytes of `SHA-256(name || 0x0A || type || key)`.
    fn hash(&self) -> [u8; 4] {
        let mut bytes = self.name.clone().into_bytes();
        bytes.extend_from_slice(&[b'\n', ED25519_TYPE]);
        bytes.extend_from_slice(&self.public);
        let [a, b, c, d, ..] = sha256(&bytes);
        [a, b, c, d]
    }

    fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ED25519, self.public).verify(message, signature).is_ok()
    }
}

impl std::fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut key = vec![ED25519_TYPE];
        key.extend_from_slice(&self.public);
        let hash = u32::from_be_bytes(self.hash());
        write!(f, "{}+{hash:08x}+{}", self.name, BASE64.encode(key))
    }
}

impl std::str::FromStr for VerifierKey {
    type Err = LedgerError;

    /// # Errors
    /// When it is not exactly what `Display` writes of an Ed25519 key.
    fn from_str(text: &str) -> Result<Self, LedgerError> {
        let mut parts = text.splitn(3, '+');
        let read = || {
            let (name, _, key) = (parts.next()?, parts.next()?, parts.next()?);
            let key = BASE64.decode(key).ok()?;
            let (kind, public) = key.split_first()?;
            let public = <[u8; 32]>::try_from(public).ok()?;
            (*kind == ED25519_TYPE).then(|| Self { name: name.to_owned(), public })
        };
        let mut read = read;
        read().filter(|key| key.to_string() == text).ok_or(LedgerError::Key)
    }
}

/// A tree head: so many leaves, this root.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TreeHead {
    pub(crate) size: u64,
    pub(crate) root: Hash,
}

impl TreeHead {
    fn text(&self, origin: &str) -> String {
        format!("{origin}\n{}\n{}\n", self.size, BASE64.encode(self.root))
    }

    /// Reads a signed tree head and checks that one of `keys` signed it.
    pub(crate) fn open(note: &[u8], keys: &[VerifierKey]) -> Option<Self> {
        let note = std::str::from_utf8(note).ok()?;
        let (text, signature) = note.split_once("\n\n— ")?;
        let (name, blob) = signature.strip_suffix('\n')?.split_once(' ')?;
        let blob = BASE64.decode(blob).ok()?;
        let (hash, signature) = blob.split_first_chunk::<4>()?;
        let mut lines = text.split('\n');
        let (origin, size, root) = (lines.next()?, lines.next()?, lines.next()?);
        let root = BASE64.decode(root).ok()?.try_into().ok()?;
        let head = Self { size: size.parse().ok()?, root };
        let signed = format!("{text}\n");
        // Only the one spelling that we write: no extension lines, no leading zeros.
        let canonical = lines.next().is_none() && head.text(origin) == signed && origin == name;
        let key = keys.iter().find(|key| key.name == name && key.hash() == *hash)?;
        (canonical && key.verifies(signed.as_bytes(), signature)).then_some(head)
    }
}

impl Signer {
    /// The signer of a node's ledger.
    pub(crate) fn new(node: NodeId, seed: &Secret<[u8; 32]>) -> Result<Self, LedgerError> {
        let pair =
            Ed25519KeyPair::from_seed_unchecked(seed.expose()).map_err(|_| LedgerError::Key)?;
        let public = pair.public_key().as_ref().try_into().map_err(|_| LedgerError::Key)?;
        Ok(Self { pair, key: VerifierKey { name: format!("portcullis/{node}"), public } })
    }

    /// The public half.
    pub(crate) fn key(&self) -> &VerifierKey {
        &self.key
    }

    /// The signed note of a tree head.
    pub(crate) fn tree_head(&self, head: &TreeHead) -> String {
        let text = head.text(&self.key.name);
        let mut blob = self.key.hash().to_vec();
        blob.extend_from_slice(self.pair.sign(text.as_bytes()).as_ref());
        format!("{text}\n— {} {}\n", self.key.name, BASE64.encode(blob))
    }

    /// Signs a gap record: what it says is in `detail`, the signature follows there.
    pub(crate) fn sign_gap(&self, event: &mut Event, detail: &str) {
        let signature = self.pair.sign(gap_message(event, detail).as_bytes());
        let signature = BASE64.encode(signature.as_ref());
        event.detail = Some(format!("{detail}{SIGNATURE}{signature}").into());
    }
}

/// Whether one of `keys` signed this gap record.
pub(crate) fn gap_is_signed(event: &Event, keys: &[VerifierKey]) -> bool {
    let parts = event.detail.as_deref().and_then(|it| it.rsplit_once(SIGNATURE));
    let Some((detail, signature)) = parts else { return false };
    let Ok(signature) = BASE64.decode(signature) else { return false };
    let message = gap_message(event, detail);
    keys.iter().any(|key| key.verifies(message.as_bytes(), &signature))
}

fn gap_message(event: &Event, detail: &str) -> String {
    let Event { node, code, time, count, id, .. } = event;
    let id = u128::from_be_bytes(id.0);
    format!("portcullis gap v1\n{node}\n{id:032x}\n{code}\n{}\n{count}\n{detail}\n", time.0)
}

/// Reads the file `keys`. Nothing when a line is not a key.
pub(crate) fn read_keys(bytes: &[u8]) -> Option<Vec<VerifierKey>> {
    let text = std::str::from_utf8(bytes).ok()?.strip_suffix('\n')?;
    let keys: Vec<VerifierKey> =
        text.split('\n').map(|it| it.parse().ok()).collect::<Option<_>>()?;
    (keys.len() <= KEYS).then_some(keys)
}

/// Writes the file `keys`.
pub(crate) fn write_keys(keys: &[VerifierKey]) -> String {
    keys.iter().rev().take(KEYS).rev().map(|key| format!("{key}\n")).collect()
}

/// A root as it is shown.
pub(crate) fn show(root: &Hash) -> String {
    BASE64.encode(root)
}
