//! Once only: what was used and must not be used again for as long as it could be (DPoP proofs, RFC 9449 §11.1).
//!
//! Owns: the port [`ReplayCache`], and [`Replays`], its implementation in process.
//!
//! Never does: read a clock, judge what is used, or wait for anything but a short lock.
//!
//! Invariants:
//! - Of uses of the same thing at once, one is the first, whatever shards they are on.
//! - Nothing is forgotten before its time. A table that is full takes nothing new: it fails closed.

use base::Monotonic;
use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Locks, each held for one look-up; see `limit`.
const STRIPES: usize = 64;
/// Entries of one stripe: 7/8 of 8192, which is how many a hash table of 8192 slots holds. In all 458,752; a proof
/// is kept for 90 s at least, so that some 5,000 proofs a second fit, in 13 MB when it is full.
const STRIPE_ENTRIES: usize = 7_168;
/// How often a full stripe is swept at most: a sweep costs some 20 µs, and a flood must not pay it for each request.
const SWEEP_EVERY: Duration = Duration::from_secs(1);

/// What is used: an id that is unique to its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Once<'a> {
    /// Whose: the thumbprint of a DPoP key.
    pub key: &'a str,
    /// Which: the proof's `jti`.
    pub id: &'a str,
}

/// What became of a use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Used {
    /// It is the first.
    First,
    /// It was used before.
    Again,
    /// Nothing more can be remembered: nobody can say.
    Full,
}

/// Remembers what was used. It answers at once.
pub trait ReplayCache: Send + Sync + std::fmt::Debug {
    /// Whether it was used already; does not use it.
    fn knows(&self, once: Once<'_>, now: Monotonic) -> bool;

    /// Uses it, and remembers that until `until`.
    fn take(&self, once: Once<'_>, until: Monotonic, now: Monotonic) -> Used;
}

/// 128 bits of keyed hash; whoever does not know the process's keys cannot make two things meet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Key(u64, u64);

/// The table of one process.
#[derive(Debug)]
pub struct Replays {
    stripes: Box<[Mutex<Stripe>]>,
    hashers: [RandomState; 2],
    entries: usize,
}

#[derive(Debug, Default)]
struct Stripe {
    until: HashMap<Key, Monotonic>,
    swept: Monotonic,
}

impl Default for Replays {
    fn default() -> Self {
        Self::new()
    }
}

impl Replays {
    /// An empty table with new random hash keys.
    pub fn new() -> Self {
        Self::with_entries(STRIPE_ENTRIES)
    }

    fn with_entries(entries: usize) -> Self {
        Self {
            stripes: (0..STRIPES).map(|_| Mutex::default()).collect(),
            hashers: [RandomState::new(), RandomState::new()],
            entries,
        }
    }

    fn place(&self, once: Once<'_>) -> (Key, Option<&Mutex<Stripe>>) {
        let [first, second] = &self.hashers;
        let key = Key(first.hash_one(once), second.hash_one(once));
        (key, self.stripes.get(usize::try_from(key.0 % STRIPES as u64).unwrap_or(0)))
    }
}

impl ReplayCache for Replays {
    fn knows(&self, once: Once<'_>, now: Monotonic) -> bool {
        let (key, stripe) = self.place(once);
        // No stripe: cannot be; and if it were, then closed.
        stripe.is_none_or(|it| {
            let stripe = it.lock().unwrap_or_else(PoisonError::into_inner);
            stripe.until.get(&key).is_some_and(|until| now < *until)
        })
    }

    fn take(&self, once: Once<'_>, until: Monotonic, now: Monotonic) -> Used {
        let (key, Some(stripe)) = self.place(once) else { return Used::Full };
        let mut stripe = stripe.lock().unwrap_or_else(PoisonError::into_inner);
        stripe.take(key, (until, now), self.entries)
    }
}

impl Stripe {
    fn take(&mut self, key: Key, (until, now): (Monotonic, Monotonic), most: usize) -> Used {
        if let Some(kept) = self.until.get_mut(&key) {
            if now < *kept {
                return Used::Again;
            }
            *kept = until;
            return Used::First;
        }
        if self.until.len() >= most {
            if self.swept != Monotonic::default() && now.since(self.swept) < SWEEP_EVERY {
                return Used::Full;
            }
            self.swept = now;
            self.until.retain(|_, until| now < *until);
            if self.until.len() >= most {
                return Used::Full;
            }
        }
        self.until.insert(key, until);
        Used::First
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Monotonic {
        Monotonic(seconds * 1_000_000_000)
    }

    fn once<'a>(key: &'a str, id: &'a str) -> Once<'a> {
        Once { key, id }
    }

    #[test]
    fn rfc9449_s11_1_a_proof_is_taken_once_for_as_long_as_it_could_be_sent_again() {
        let replays = Replays::new();
        assert!(!replays.knows(once("k", "1"), at(1)));
        assert_eq!(replays.take(once("k", "1"), at(91), at(1)), Used::First);
        assert!(replays.knows(once("k", "1"), at(90)));
        assert_eq!(replays.take(once("k", "1"), at(91), at(90)), Used::Again);
        // Another key's proof, another proof, and parts cut elsewhere are others.
        for other in [once("l", "1"), once("k", "2"), once("k1", ""), once("", "k1")] {
            assert_eq!(replays.take(other, at(91), at(1)), Used::First, "{other:?}");
        }
        assert!(!replays.knows(once("k", "1"), at(91)));
        assert_eq!(replays.take(once("k", "1"), at(181), at(91)), Used::First);
        assert_eq!(replays.take(once("k", "1"), at(181), at(92)), Used::Again);
    }

    #[test]
    fn a_full_table_fails_closed_and_forgets_only_what_is_over() {
        let replays = Replays::with_entries(2);
        let ids: Vec<String> = (0..1_000).map(|it| it.to_string()).collect();
        let taken = |until, now| {
            let take = |id: &String| replays.take(once("k", id), at(until), at(now));
            ids.iter().map(take).collect::<Vec<_>>()
        };
        let first = taken(100, 1);
        let count = |of: &[Used], it| of.iter().filter(|used| **used == it).count();
        assert!(count(&first, Used::First) <= 2 * STRIPES && count(&first, Used::Full) > 0);
        // What was taken stays taken, however many others came; a full stripe takes nothing else.
        let again = taken(100, 50);
        assert_eq!(count(&again, Used::Again), count(&first, Used::First));
        assert_eq!(count(&again, Used::First), 0);
        let later = taken(300, 200);
        assert_eq!(count(&later, Used::First), count(&first, Used::First));
    }

    #[test]
    fn of_many_at_once_one_is_first() {
        let replays = Replays::new();
        let first = std::sync::atomic::AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    if replays.take(once("k", "1"), at(91), at(1)) == Used::First {
                        first.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                    }
                });
            }
        });
        assert_eq!(first.into_inner(), 1);
    }
}
