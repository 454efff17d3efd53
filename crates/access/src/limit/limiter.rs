//! The counters of one process: a striped, bounded table.

use super::{Checked, Counters, LimitKey, Rate, Spend, Tat, check};
use base::Monotonic;
use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Locks. With a dozen shards that hold one for 50 ns each, two meet in less than one request of a thousand.
pub(super) const STRIPES: usize = 64;
/// Keys of one stripe: 7/8 of 4096, which is how many a hash table of 4096 slots holds. In all 229,376 keys;
/// with 25 bytes a slot the whole table takes 6.5 MB when it is full, twice that after a long flood.
pub(super) const STRIPE_KEYS: usize = 3_584;
/// Keys that a sweep makes room for at least, so that a flood of new keys pays for one sweep (about 20 µs)
/// in each 224 requests.
const SWEEP_KEYS: usize = STRIPE_KEYS / 16;

/// 128 bits of keyed hash; whoever does not know the process's keys cannot aim at another's counter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Key(u64, u64);

/// Counters in process.
///
/// When a stripe is full, keys go whose time has passed (they have used nothing, so nothing is forgotten),
/// then those with the earliest time, which have used least.
///
/// WHY not refuse new keys: a flood of addresses would lock out everybody else. WHY the earliest time: to be
/// forgotten, a caller that has used up its limit needs the whole stripe filled with others that have used
/// up more, 3,584 of them, or 229,376 in all as it cannot aim at a stripe. Whoever commands that many
/// identities has that many limits anyway. What has used little and is forgotten gains little. Limits of short
/// periods go before those of long ones; to free one of them takes 224 new keys in its stripe, some 14,000 in
/// all, and gives back what the next second would have given anyway.
#[derive(Debug)]
pub struct Limiter {
    stripes: Box<[Mutex<Stripe>]>,
    hashers: [RandomState; 2],
}

impl Default for Limiter {
    fn default() -> Self {
        Self::new()
    }
}

impl Limiter {
    /// An empty table with new random hash keys.
    pub fn new() -> Self {
        Self {
            stripes: (0..STRIPES).map(|_| Mutex::default()).collect(),
            hashers: [RandomState::new(), RandomState::new()],
        }
    }

    /// How many keys are held.
    pub fn keys(&self) -> usize {
        self.stripes
            .iter()
            .map(|s| s.lock().unwrap_or_else(PoisonError::into_inner).tats.len())
            .sum()
    }

    fn hash(&self, key: &LimitKey<'_>) -> Key {
        let [first, second] = &self.hashers;
        Key(first.hash_one(key), second.hash_one(key))
    }
}

impl Counters for Limiter {
    fn spend(&self, key: &LimitKey<'_>, rate: &Rate, now: Monotonic) -> Spend {
        let key = self.hash(key);
        let place = usize::try_from(key.0 % STRIPES as u64).unwrap_or(0);
        let Some(stripe) = self.stripes.get(place) else {
            // Cannot be; and if it were, then closed.
            return Spend::Exceeded { retry_after: rate.per() };
        };
        stripe.lock().unwrap_or_else(PoisonError::into_inner).spend(key, rate, now)
    }
}

/// A key is a hash already: its second word, which did not choose the stripe, stands for itself.
#[derive(Debug, Clone, Copy, Default)]
struct Hashed(u64);

impl std::hash::Hasher for Hashed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        // Not reached by `Key`, whose words come through `write_u64`.
        bytes.iter().for_each(|byte| self.0 = self.0.rotate_left(8) ^ u64::from(*byte));
    }

    fn write_u64(&mut self, word: u64) {
        self.0 = word;
    }
}

#[derive(Debug, Default)]
struct Stripe {
    tats: HashMap<Key, Tat, std::hash::BuildHasherDefault<Hashed>>,
}

impl Stripe {
    fn spend(&mut self, key: Key, rate: &Rate, now: Monotonic) -> Spend {
        let state = self.tats.get_mut(&key);
        match check(state.as_deref().copied(), now, rate, 1) {
            Checked::Refuse { retry_after } => {
                let least = Duration::from_nanos(1);
                Spend::Exceeded { retry_after: retry_after.unwrap_or(rate.per()).max(least) }
            }
            Checked::Pass { tat, remaining } => {
                match state {
                    Some(state) => *state = tat,
                    None => self.insert(key, tat, now),
                }
                Spend::Ok { remaining, reset: tat.0.since(now) }
            }
        }
    }

    fn insert(&mut self, key: Key, tat: Tat, now: Monotonic) {
        if self.tats.len() >= STRIPE_KEYS {
            self.sweep(now);
        }
        self.tats.insert(key, tat);
    }

    /// Makes room for [`SWEEP_KEYS`] keys at least.
    fn sweep(&mut self, now: Monotonic) {
        self.tats.retain(|_, tat| tat.0 > now);
        let excess = (self.tats.len() + SWEEP_KEYS).saturating_sub(STRIPE_KEYS);
        if excess == 0 {
            return;
        }
        let mut order: Vec<(Tat, Key)> = self.tats.iter().map(|(key, tat)| (*tat, *key)).collect();
        if excess < order.len() {
            order.select_nth_unstable(excess);
        }
        for (_, key) in order.iter().take(excess) {
            self.tats.remove(key);
        }
    }
}
