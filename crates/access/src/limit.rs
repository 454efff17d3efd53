//! Rate limits: the generic cell rate algorithm, and the table of the process.
//!
//! Owns: what a rate is, the arithmetic, the port [`Counters`], and [`Limiter`], its implementation in
//! process.
//!
//! Never does: read a clock, wait for anything but a short lock, or know which request is counted.
//!
//! Invariants:
//! - A key never passes more than `burst` requests at once, and beyond that no more than `limit` in `per`.
//! - What is refused costs nothing: a caller that keeps asking is let in as soon as one that waited.
//! - The table is bounded, and its locks are held for one look-up (rarely for one sweep of a stripe).

use base::{Monotonic, Scheme};
use std::net::IpAddr;
use std::time::Duration;

mod limiter;
#[cfg(test)]
mod tests;

pub use limiter::Limiter;

/// Whom a limit counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum By {
    /// The client's address: an IPv4 address, or the /64 of an IPv6 address (which is what one subscriber
    /// gets at least, RFC 6177).
    Address,
    /// The principal of the credential.
    Principal,
    /// The route as a whole.
    Route,
}

/// The longest period of a rate. The greatest time that a counter can lie ahead stays far from overflow.
const PER_LONGEST: Duration = Duration::from_secs(366 * 24 * 60 * 60);

/// Why a rate cannot be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RateError {
    /// A limit of nothing would refuse everything.
    #[error("the limit must be 1 at least")]
    Limit,
    /// No time, or more than a year.
    #[error("the period must be longer than nothing and at most 366 days")]
    Per,
    /// More requests than the period has nanoseconds.
    #[error("the limit is higher than one request a nanosecond")]
    TooFast,
    /// A burst of nothing, or one that would take more than a century to regain.
    #[error("the burst must be 1 at least and be regained within a century")]
    Burst,
}

/// How many requests in which time, and whose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    limit: u32,
    per: Duration,
    /// Whose requests are counted.
    pub by: By,
    burst: u32,
    /// Nanoseconds that one request costs.
    interval: u64,
    /// Nanoseconds that a whole burst costs.
    tolerance: u64,
}

impl Rate {
    /// `limit` requests in each `per`, all of which may come at once.
    ///
    /// # Errors
    /// When either is out of range.
    pub fn new(limit: u32, per: Duration, by: By) -> Result<Self, RateError> {
        if limit == 0 {
            return Err(RateError::Limit);
        }
        if per.is_zero() || per > PER_LONGEST {
            return Err(RateError::Per);
        }
        let nanos = u64::try_from(per.as_nanos()).map_err(|_| RateError::Per)?;
        // WHY: rounded down, so that after `per` the whole limit is there again; the rate is then too high
        // by less than one nanosecond in each interval (for 1,000 requests a second, by one in a million).
        let interval = nanos / u64::from(limit);
        if interval == 0 {
            return Err(RateError::TooFast);
        }
        Self { limit, per, by, burst: limit, interval, tolerance: 0 }.with_burst(limit)
    }

    /// This rate with another burst than `limit`.
    ///
    /// # Errors
    /// When the burst is out of range.
    pub fn with_burst(self, burst: u32) -> Result<Self, RateError> {
        let tolerance = self.interval.saturating_mul(u64::from(burst));
        let century = u64::try_from(PER_LONGEST.as_nanos()).unwrap_or(u64::MAX).saturating_mul(100);
        if burst == 0 || tolerance > century {
            return Err(RateError::Burst);
        }
        Ok(Self { burst, tolerance, ..self })
    }

    /// Requests in each period.
    pub fn limit(&self) -> u32 {
        self.limit
    }

    /// The period.
    pub fn per(&self) -> Duration {
        self.per
    }

    /// Requests that may come at once.
    pub fn burst(&self) -> u32 {
        self.burst
    }
}

/// The theoretical arrival time of a key: when its last request would have come, had all come evenly. In the
/// past it means that nothing is used up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Tat(pub Monotonic);

/// What [`check`] gives back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Checked {
    /// The request passes; the new state must be kept.
    Pass {
        /// The new state.
        tat: Tat,
        /// Requests of cost 1 that would still pass now.
        remaining: u32,
    },
    /// The request does not pass; the state stays as it is.
    Refuse {
        /// When it would pass, if nothing else did until then. `None` when it never can, its cost being
        /// greater than the burst.
        retry_after: Option<Duration>,
    },
}

/// The generic cell rate algorithm (ITU-T I.371, virtual scheduling), as one pure step. A key without state
/// has used nothing.
pub fn check(state: Option<Tat>, now: Monotonic, rate: &Rate, cost: u32) -> Checked {
    let spent = rate.interval.saturating_mul(u64::from(cost));
    let from = state.map_or(now, |Tat(tat)| tat.max(now));
    // A clock that went back, or a rate that a reload has lowered, must not lock a key out for longer than a
    // burst takes.
    let from = from.0.min(now.0.saturating_add(rate.tolerance));
    let tat = from.saturating_add(spent);
    let ahead = tat.saturating_sub(now.0);
    if ahead > rate.tolerance {
        let wait = (spent <= rate.tolerance).then(|| Duration::from_nanos(ahead - rate.tolerance));
        return Checked::Refuse { retry_after: wait };
    }
    let remaining = (rate.tolerance - ahead) / rate.interval;
    Checked::Pass {
        tat: Tat(Monotonic(tat)),
        remaining: u32::try_from(remaining).unwrap_or(u32::MAX),
    }
}

/// Whose requests are counted: the concrete form of [`By`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Subject<'a> {
    /// An IPv4 address, or an IPv6 address whose lower half is zero.
    Address(IpAddr),
    /// A principal: its scheme's word, the issuer that names it, and its name there.
    Principal(&'static str, Option<&'a str>, &'a str),
    /// Everybody on the route.
    Route,
}

/// What is counted. It is the same on every node and after every reload, so that a reload frees nobody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct LimitKey<'a> {
    /// The route's name.
    pub route: &'a str,
    /// The limit's place in the route's list.
    pub position: usize,
    /// Whose requests.
    pub subject: Subject<'a>,
}

impl<'a> LimitKey<'a> {
    /// The requests of a client's address: IPv4 as it is (also when mapped), IPv6 as its /64.
    pub fn address(route: &'a str, position: usize, ip: IpAddr) -> Self {
        let prefix = match ip.to_canonical() {
            IpAddr::V6(v6) => IpAddr::V6((v6.to_bits() >> 64 << 64).into()),
            v4 => v4,
        };
        Self { route, position, subject: Subject::Address(prefix) }
    }

    /// The requests of a principal: its scheme, the issuer that names it, and its name there.
    pub fn principal(
        route: &'a str,
        position: usize,
        who: (Scheme, Option<&'a str>, &'a str),
    ) -> Self {
        let (scheme, issuer, name) = who;
        Self { route, position, subject: Subject::Principal(scheme.as_str(), issuer, name) }
    }

    /// Everybody's requests.
    pub fn route(route: &'a str, position: usize) -> Self {
        Self { route, position, subject: Subject::Route }
    }
}

/// What became of a request that was counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spend {
    /// It passes.
    Ok {
        /// Requests that would still pass now.
        remaining: u32,
        /// When the whole burst is there again.
        reset: Duration,
    },
    /// It does not.
    Exceeded {
        /// How long to wait; greater than zero.
        retry_after: Duration,
    },
}

/// Where requests are counted. It answers at once: counters that are shared between nodes keep a copy here.
pub trait Counters: Send + Sync + std::fmt::Debug {
    /// Counts one request of `key` under `rate`.
    fn spend(&self, key: &LimitKey<'_>, rate: &Rate, now: Monotonic) -> Spend;
}
