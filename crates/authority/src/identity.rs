//! Which node this is, and the key with which it signs.

use crate::error::Error;
use crate::files;
use crate::ports::SealedStore;
use crate::sealing::{MasterKey, Pepper, SealError, Sealer};
use base::{Clock, NodeId, Secret, random_array};
use std::path::Path;

/// The file in the data folder. It is the node's own: several nodes may share a database, never a folder.
const FILE: &str = "node.sealed";
/// Bytes of the file that are read at most; it has 73.
const FILE_BYTES: u64 = 256;
const PURPOSE: &str = "node-identity";

/// A node's id and signing seed, kept sealed in its data folder.
#[derive(Debug)]
pub struct NodeIdentity {
    /// The id, drawn at random at the first start.
    pub node: NodeId,
    /// The seed of the node's Ed25519 key (RFC 8032 §5.1.5), for ledger heads, gap records and assertions.
    pub seed: Secret<[u8; 32]>,
}

impl NodeIdentity {
    /// Reads the identity, or draws one when there is none.
    ///
    /// # Errors
    /// When the file cannot be read, made or opened.
    pub fn open(data_dir: &Path, sealer: &Sealer) -> Result<Self, SealError> {
        let path = data_dir.join(FILE);
        if files::read_private(&path, FILE_BYTES)?.is_none() {
            let fresh = Secret::new(random_array::<36>()?);
            files::create_private(&path, &sealer.seal(PURPOSE, fresh.expose())?)?;
        }
        let blob = files::read_private(&path, FILE_BYTES)?.ok_or(SealError::Damaged(PURPOSE))?;
        let plain = sealer.open(PURPOSE, blob.expose())?;
        let (id, seed) = plain.expose().split_at_checked(4).ok_or(SealError::Damaged(PURPOSE))?;
        let damaged = |_| SealError::Damaged(PURPOSE);
        Ok(Self {
            node: NodeId(u32::from_be_bytes(id.try_into().map_err(damaged)?)),
            seed: Secret::new(seed.try_into().map_err(damaged)?),
        })
    }

    /// Whether the folder holds an identity.
    pub(crate) fn exists(data_dir: &Path) -> bool {
        // WHY: what cannot be looked at counts as there, so that no master key is made over it.
        data_dir.join(FILE).try_exists().unwrap_or(true)
    }
}

/// All secrets that a node needs at its start.
#[derive(Debug)]
pub struct Keyring {
    /// Seals and opens further secrets.
    pub sealer: Sealer,
    /// The pepper of API keys.
    pub pepper: Pepper,
    /// This node.
    pub identity: NodeIdentity,
}

impl Keyring {
    /// Opens the keyring; makes what is not there yet at the first start. The master key is made only when
    /// nothing is sealed, neither in the store nor in the folder.
    ///
    /// # Errors
    /// When a key is missing, malformed, exposed, does not fit, or the store does not answer.
    pub async fn open(
        data_dir: &Path,
        store: &dyn SealedStore,
        clock: &dyn Clock,
    ) -> Result<Self, Error> {
        let first_start = !NodeIdentity::exists(data_dir) && !store.any_sealed().await?;
        let sealer = Sealer::new(&MasterKey::open(data_dir, first_start)?)?;
        let pepper = Pepper::open(store, &sealer, clock.now()).await?;
        let identity = NodeIdentity::open(data_dir, &sealer)?;
        Ok(Self { sealer, pepper, identity })
    }
}
