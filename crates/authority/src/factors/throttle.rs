//! Delays that grow with failures.
//!
//! Invariants:
//! - Memory is bounded: two generations of at most [`GENERATION`] entries.
//! - A delay never exceeds its rule's longest, so nobody is shut out for good.
//! - An attempt counts as a failure from its beginning until it is forgiven: any number at once gain nothing.

use base::UnixMs;
use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Entries of one generation; at some 48 bytes each, both hold 3 MB.
const GENERATION: usize = 32 * 1024;

/// A keyed hash of what is counted: who asks, from where.
pub(crate) type Key = [u8; 16];

/// How delays grow.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rule {
    /// Failures that cost nothing.
    pub(crate) free: u32,
    /// The delay after the next one; each further one doubles it.
    pub(crate) first: Duration,
    /// No delay is longer.
    pub(crate) longest: Duration,
    /// After so long without a failure, all are forgotten.
    pub(crate) forget: Duration,
}

impl Rule {
    fn delay(&self, failures: u32) -> Duration {
        match failures.checked_sub(self.free) {
            None | Some(0) => Duration::ZERO,
            Some(over) => {
                let factor = 1u32.checked_shl(over - 1).unwrap_or(u32::MAX);
                self.first.saturating_mul(factor).min(self.longest)
            }
        }
    }
}

/// An attempt that came too early.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TooEarly {
    /// How long to wait.
    pub(crate) wait: Duration,
    /// Whether this is the first one within the delay, and so worth a record.
    pub(crate) first: bool,
}

#[derive(Debug, Clone, Copy, Default)]
struct Entry {
    failures: u32,
    last: UnixMs,
    until: UnixMs,
    told: bool,
}

#[derive(Debug, Default)]
struct Generations {
    young: HashMap<Key, Entry>,
    old: HashMap<Key, Entry>,
}

impl Generations {
    fn entry(&self, key: &Key) -> Entry {
        self.young.get(key).or_else(|| self.old.get(key)).copied().unwrap_or_default()
    }

    fn put(&mut self, key: Key, entry: Entry) {
        if self.young.len() >= GENERATION && !self.young.contains_key(&key) {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(key, entry);
    }

    fn remove(&mut self, key: &Key) {
        self.young.remove(key);
        self.old.remove(key);
    }
}

/// The failures of late, in this process.
#[derive(Debug, Default)]
pub(crate) struct Throttle(Mutex<Generations>);

impl Throttle {
    fn table(&self) -> MutexGuard<'_, Generations> {
        // WHY: a panic elsewhere leaves counters, and any counters are better than none.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins an attempt that counts for each of `keys`, unless one of them must wait.
    ///
    /// # Errors
    /// The longest wait; then nothing was counted.
    pub(crate) fn attempt(&self, keys: &[(Key, Rule)], now: UnixMs) -> Result<(), TooEarly> {
        let mut table = self.table();
        let mut early: Option<TooEarly> = None;
        for (key, rule) in keys {
            let entry = table.entry(key);
            // A clock that was set back shuts nobody out.
            let wait = entry.until.since(now).min(rule.longest);
            if !wait.is_zero() {
                let first = !entry.told;
                table.put(*key, Entry { told: true, ..entry });
                let so_far = early.unwrap_or(TooEarly { wait: Duration::ZERO, first: false });
                early =
                    Some(TooEarly { wait: wait.max(so_far.wait), first: first || so_far.first });
            }
        }
        if let Some(early) = early {
            return Err(early);
        }
        for (key, rule) in keys {
            let entry = table.entry(key);
            let forgotten = now.since(entry.last) >= rule.forget;
            let failures = if forgotten { 1 } else { entry.failures.saturating_add(1) };
            let until = now.plus(rule.delay(failures));
            table.put(*key, Entry { failures, last: now, until, told: false });
        }
        Ok(())
    }

    /// The attempt was right: what counted for `forget` is forgotten, and for `take_back` counts one less.
    pub(crate) fn forgive(&self, forget: &[Key], take_back: &[Key]) {
        let mut table = self.table();
        forget.iter().for_each(|key| table.remove(key));
        for key in take_back {
            let entry = table.entry(key);
            if entry.failures <= 1 {
                table.remove(key);
            } else {
                let failures = entry.failures - 1;
                table.put(*key, Entry { failures, until: entry.last, ..entry });
            }
        }
    }
}

/// How often something may be done in a window of time.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Allowance {
    /// So often.
    pub(crate) times: u32,
    /// Within this time, counted from the first.
    pub(crate) within: Duration,
}

/// What was done of late, in this process; as bounded as the failures.
#[derive(Debug, Default)]
pub(crate) struct Windows(Mutex<Generations>);

impl Windows {
    /// Counts once for each of `keys`, if all still have room; whether they had.
    pub(crate) fn take(&self, keys: &[(Key, Allowance)], now: UnixMs) -> bool {
        let mut table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let counted: Vec<(Key, Entry, Allowance)> = keys
            .iter()
            .map(|(key, allowance)| {
                let entry = table.entry(key);
                // A window that has ended, or that begins in the future because the clock was set back, is none.
                let over = now < entry.last || now.since(entry.last) >= allowance.within;
                let entry = if over { Entry { last: now, ..Entry::default() } } else { entry };
                (*key, entry, *allowance)
            })
            .collect();
        if counted.iter().any(|(_, entry, allowance)| entry.failures >= allowance.times) {
            return false;
        }
        for (key, entry, _) in counted {
            table.put(key, Entry { failures: entry.failures.saturating_add(1), ..entry });
        }
        true
    }
}

/// Keys that were right of late, in this process; as bounded as the failures.
#[derive(Debug, Default)]
pub(crate) struct Known(Mutex<(HashSet<Key>, HashSet<Key>)>);

impl Known {
    /// Remembers a key.
    pub(crate) fn insert(&self, key: Key) {
        let mut both = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (young, old) = &mut *both;
        if young.len() >= GENERATION {
            *old = std::mem::take(young);
        }
        young.insert(key);
    }

    /// Whether it is remembered.
    pub(crate) fn contains(&self, key: &Key) -> bool {
        let both = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        both.0.contains(key) || both.1.contains(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULE: Rule = Rule {
        free: 3,
        first: Duration::from_secs(1),
        longest: Duration::from_secs(8),
        forget: Duration::from_secs(60),
    };
    const A: Key = [1; 16];
    const B: Key = [2; 16];

    fn at(seconds: i64) -> UnixMs {
        UnixMs(1_000_000_000 + seconds * 1000)
    }

    #[test]
    fn delays_grow_to_their_longest_and_no_further() {
        let delays: Vec<u64> = (0..9).map(|n| RULE.delay(n).as_secs()).collect();
        assert_eq!(delays, [0, 0, 0, 0, 1, 2, 4, 8, 8]);
        assert_eq!(RULE.delay(u32::MAX), RULE.longest);
    }

    #[test]
    fn too_early_is_refused_without_counting() {
        let throttle = Throttle::default();
        for _ in 0..4 {
            throttle.attempt(&[(A, RULE)], at(0)).unwrap();
        }
        let early = throttle.attempt(&[(A, RULE), (B, RULE)], at(0)).unwrap_err();
        assert_eq!(early, TooEarly { wait: Duration::from_secs(1), first: true });
        assert!(!throttle.attempt(&[(A, RULE)], at(0)).unwrap_err().first);
        throttle.attempt(&[(A, RULE)], at(1)).unwrap();
        let early = throttle.attempt(&[(A, RULE)], at(1)).unwrap_err();
        assert_eq!(early, TooEarly { wait: Duration::from_secs(2), first: true });
        throttle.attempt(&[(B, RULE)], at(1)).unwrap();
    }

    #[test]
    fn never_for_good_and_forgotten_after_a_while() {
        let throttle = Throttle::default();
        let mut now = at(0);
        for _ in 0..100 {
            while let Err(early) = throttle.attempt(&[(A, RULE)], now) {
                assert!(early.wait <= RULE.longest);
                now = now.plus(early.wait);
            }
        }
        now = now.plus(RULE.forget);
        for _ in 0..4 {
            throttle.attempt(&[(A, RULE)], now).unwrap();
        }
        assert!(throttle.attempt(&[(A, RULE)], now).is_err());
        // The clock is set back by a day.
        let early = throttle.attempt(&[(A, RULE)], now.minus(Duration::from_secs(86_400)));
        assert!(early.unwrap_err().wait <= RULE.longest);
    }

    #[test]
    fn success_forgives() {
        let throttle = Throttle::default();
        for _ in 0..4 {
            throttle.attempt(&[(A, RULE), (B, RULE)], at(0)).unwrap();
        }
        throttle.forgive(&[A], &[B]);
        for _ in 0..4 {
            throttle.attempt(&[(A, RULE)], at(0)).unwrap();
        }
        throttle.attempt(&[(B, RULE)], at(0)).unwrap();
        assert!(throttle.attempt(&[(B, RULE)], at(0)).is_err());
    }

    #[test]
    fn a_window_has_room_for_so_many() {
        let windows = Windows::default();
        let two = Allowance { times: 2, within: Duration::from_secs(60) };
        let three = Allowance { times: 3, within: Duration::from_secs(60) };
        assert!(windows.take(&[(A, two), (B, three)], at(0)));
        assert!(windows.take(&[(A, two), (B, three)], at(59)));
        // What is refused counts nowhere.
        assert!(!windows.take(&[(A, two), (B, three)], at(59)));
        assert!(windows.take(&[(B, three)], at(59)));
        assert!(!windows.take(&[(B, three)], at(59)));
        assert!(windows.take(&[(A, two), (B, three)], at(60)));
        assert!(windows.take(&[(A, two)], at(-1000)));
    }

    #[test]
    fn memory_is_bounded() {
        let throttle = Throttle::default();
        for n in 0..u32::try_from(GENERATION * 3).unwrap() {
            let mut key = [0; 16];
            key.iter_mut().zip(n.to_be_bytes()).for_each(|(to, from)| *to = from);
            throttle.attempt(&[(key, RULE)], at(0)).unwrap();
        }
        let table = throttle.table();
        assert!(table.young.len() + table.old.len() <= 2 * GENERATION);
    }
}
