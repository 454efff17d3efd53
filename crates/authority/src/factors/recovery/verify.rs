//! Which of the kept codes it is. Pure.

use super::config::CODES;
use crate::oauth::secrets::same_hex;
use base::UnixMs;
use serde::{Deserialize, Serialize};

/// A code as it is kept.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptCode {
    /// The MAC of its normal form under the pepper, in hexadecimal.
    pub mac: String,
    /// When it was used; it is never good again.
    pub spent_at: Option<UnixMs>,
}

impl std::fmt::Debug for KeptCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KeptCode").field("spent_at", &self.spent_at).finish_non_exhaustive()
    }
}

/// The place of the code with this MAC among those kept, unless it is spent. All are compared, in constant time each;
/// no more than [`CODES`] are looked at.
#[must_use]
pub fn verify(kept: &[KeptCode], mac: &[u8; 32]) -> Option<usize> {
    let mut found = None;
    for (place, code) in kept.iter().take(CODES).enumerate() {
        // WHY not `find`: no early end.
        if same_hex(&code.mac, mac) && code.spent_at.is_none() {
            found = Some(place);
        }
    }
    found
}

/// How many are still good.
#[must_use]
pub fn left(kept: &[KeptCode]) -> usize {
    kept.iter().take(CODES).filter(|code| code.spent_at.is_none()).count()
}
