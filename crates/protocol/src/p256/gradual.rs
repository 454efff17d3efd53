//! When a key gets a table, and how many there are.

use super::Prepared;
use std::fmt;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

/// Tables in the process. Each has 256 KiB, so all of them take 2 MiB and the generator's 0.25; an issuer has
/// two keys or three, and seldom more than one in use. Zero switches the tables off.
pub(super) const TABLES: usize = 8;
/// Signatures after which a key gets a table: making one takes as long as about fifty verifications by the
/// library, and a key that is seldom used should cost no memory. Where there was no room, as many later it
/// is tried again.
pub(super) const AFTER: u32 = 64;

static IN_USE: AtomicUsize = AtomicUsize::new(0);

/// A key's table, or the way to it. Clones share it.
#[derive(Clone, Default)]
pub(crate) struct Gradual(Arc<State>);

#[derive(Default)]
struct State {
    verified: AtomicU32,
    making: Mutex<()>,
    table: OnceLock<(Prepared, Option<Room>)>,
}

impl Gradual {
    /// Whether the table shows that `signature` is right. False, too, as long as there is none.
    pub(crate) fn accepts(&self, hash: impl FnOnce() -> [u8; 32], signature: &[u8]) -> bool {
        let (Some((table, _)), Ok(signature)) = (self.0.table.get(), signature.try_into()) else {
            return false;
        };
        table.accepts(&hash(), signature)
    }

    /// Counts a signature that the library found right, and makes the table when it is time: once a key,
    /// about 2 ms, and as much the first time for the generator. Other threads do not wait for it.
    pub(crate) fn verified(&self, x: &[u8; 32], y: &[u8; 32]) {
        let state = &*self.0;
        let before = state.verified.fetch_add(1, Ordering::Relaxed);
        if before % AFTER != AFTER - 1 || state.table.get().is_some() {
            return;
        }
        let Ok(_alone) = state.making.try_lock() else { return };
        if state.table.get().is_none()
            && let Some(room) = Room::take()
        {
            let _first = state.table.set((Prepared::new(x, y), Some(room)));
        }
    }

    /// What [`Self::accepts`] says with a table, which is made, beyond [`TABLES`], where there is none.
    pub(crate) fn judged(&self, key: [&[u8; 32]; 2], hash: [u8; 32], signature: &[u8]) -> bool {
        let [x, y] = key;
        self.0.table.get_or_init(|| (Prepared::new(x, y), None));
        self.accepts(|| hash, signature)
    }
}

/// Neither coordinates nor table: a line.
impl fmt::Debug for Gradual {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.table.get().is_some() { "Prepared" } else { "Unprepared" })
    }
}

/// A place among [`TABLES`], given back when dropped.
struct Room;

impl Room {
    fn take() -> Option<Self> {
        let more = |taken: usize| (taken < TABLES).then_some(taken + 1);
        IN_USE.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).ok()?;
        Some(Self)
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        IN_USE.fetch_sub(1, Ordering::Relaxed);
    }
}
