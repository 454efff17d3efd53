use super::limiter::{STRIPE_KEYS, STRIPES};
use super::*;
use proptest::prelude::*;
use std::net::Ipv4Addr;

const START: u64 = 1_000_000_000_000;

fn rate(limit: u32, per: Duration) -> Rate {
    Rate::new(limit, per, By::Address).unwrap()
}

fn at(since_start: Duration) -> Monotonic {
    Monotonic(START + u64::try_from(since_start.as_nanos()).unwrap())
}

fn passes(limiter: &Limiter, rate: &Rate, ip: &str, now: Duration) -> bool {
    let key = LimitKey::address("r", 0, ip.parse().unwrap());
    matches!(limiter.spend(&key, rate, at(now)), Spend::Ok { .. })
}

#[test]
fn a_burst_passes_and_comes_back_evenly() {
    let (limiter, rate) = (Limiter::new(), rate(3, Duration::from_secs(60)));
    let key = LimitKey::route("orders", 0);
    let spend = |seconds: u64| limiter.spend(&key, &rate, at(Duration::from_secs(seconds)));
    let wait = Duration::from_secs;
    assert_eq!(spend(0), Spend::Ok { remaining: 2, reset: wait(20) });
    assert_eq!(spend(0), Spend::Ok { remaining: 1, reset: wait(40) });
    assert_eq!(spend(0), Spend::Ok { remaining: 0, reset: wait(60) });
    assert_eq!(spend(0), Spend::Exceeded { retry_after: wait(20) });
    assert_eq!(spend(19), Spend::Exceeded { retry_after: wait(1) });
    assert_eq!(spend(20), Spend::Ok { remaining: 0, reset: wait(60) });
    assert_eq!(spend(21), Spend::Exceeded { retry_after: wait(19) });
    // After the whole period without a request all is there again, and no more than that.
    assert_eq!(spend(1000), Spend::Ok { remaining: 2, reset: wait(20) });
}

#[test]
fn keys_do_not_share() {
    let (limiter, rate) = (Limiter::new(), rate(1, Duration::from_secs(60)));
    let ip: IpAddr = "192.0.2.1".parse().unwrap();
    for key in [
        LimitKey::address("r", 0, ip),
        LimitKey::address("r", 1, ip),
        LimitKey::address("q", 0, ip),
        LimitKey::route("r", 0),
        LimitKey::principal("r", 0, (Scheme::Jwt, Some("iss"), "sub")),
        LimitKey::principal("r", 0, (Scheme::Jwt, Some("is"), "ssub")),
        LimitKey::principal("r", 0, (Scheme::Jwt, None, "sub")),
        LimitKey::principal("r", 0, (Scheme::ApiKey, Some("iss"), "sub")),
    ] {
        assert!(
            matches!(limiter.spend(&key, &rate, at(Duration::ZERO)), Spend::Ok { .. }),
            "{key:?}"
        );
        assert!(matches!(limiter.spend(&key, &rate, at(Duration::ZERO)), Spend::Exceeded { .. }));
    }
    assert_eq!(limiter.keys(), 8);
}

#[test]
fn rfc6177_an_ipv6_caller_is_its_64() {
    let (limiter, rate) = (Limiter::new(), rate(1, Duration::from_secs(60)));
    assert!(passes(&limiter, &rate, "2001:db8::1", Duration::ZERO));
    assert!(!passes(&limiter, &rate, "2001:db8::ffff:2", Duration::ZERO));
    assert!(passes(&limiter, &rate, "2001:db8:0:1::1", Duration::ZERO));
    assert!(passes(&limiter, &rate, "192.0.2.1", Duration::ZERO));
    assert!(!passes(&limiter, &rate, "::ffff:192.0.2.1", Duration::ZERO));
    assert!(passes(&limiter, &rate, "192.0.2.2", Duration::ZERO));
}

#[test]
fn rates_out_of_range_are_refused() {
    let new = |limit, per| Rate::new(limit, per, By::Route);
    let second = Duration::from_secs(1);
    assert_eq!(new(0, second), Err(RateError::Limit));
    assert_eq!(new(1, Duration::ZERO), Err(RateError::Per));
    assert_eq!(new(1, PER_LONGEST + second), Err(RateError::Per));
    assert_eq!(new(u32::MAX, second), Err(RateError::TooFast));
    assert_eq!(new(1, second).unwrap().with_burst(0), Err(RateError::Burst));
    assert_eq!(new(1, PER_LONGEST).unwrap().with_burst(101), Err(RateError::Burst));
    assert_eq!(new(1, PER_LONGEST).unwrap().with_burst(100).unwrap().burst(), 100);
    assert!(new(1_000_000_000, second).is_ok());
}

#[test]
fn a_cost_beyond_the_burst_never_passes() {
    let rate = rate(5, Duration::from_secs(1));
    let now = Monotonic(START);
    assert!(matches!(check(None, now, &rate, 5), Checked::Pass { remaining: 0, .. }));
    assert_eq!(check(None, now, &rate, 6), Checked::Refuse { retry_after: None });
    assert_eq!(check(None, now, &rate, u32::MAX), Checked::Refuse { retry_after: None });
    assert!(matches!(check(None, now, &rate, 0), Checked::Pass { remaining: 5, .. }));
}

#[test]
fn a_state_far_ahead_locks_nobody_out() {
    // A reload made the rate stricter in its burst, or the clock went back.
    let rate = rate(2, Duration::from_secs(2));
    let far = Some(Tat(Monotonic(u64::MAX)));
    let refused = check(far, Monotonic(START), &rate, 1);
    assert_eq!(refused, Checked::Refuse { retry_after: Some(Duration::from_secs(1)) });
}

#[test]
fn a_flood_of_keys_stays_bounded_and_frees_nobody_who_used_more() {
    let limiter = Limiter::new();
    let rate = rate(10, Duration::from_secs(3600));
    let used_up = "198.51.100.1";
    for _ in 0..10 {
        assert!(passes(&limiter, &rate, used_up, Duration::ZERO));
    }
    // Twice as many new callers as the table holds, one request each, all within the hour.
    let flood = u32::try_from(STRIPES * STRIPE_KEYS * 2).unwrap();
    for n in 0..flood {
        let ip = Ipv4Addr::from_bits(0x0a00_0000 | n).to_string();
        assert!(passes(&limiter, &rate, &ip, Duration::from_millis(1)));
    }
    assert!(limiter.keys() <= STRIPES * STRIPE_KEYS);
    assert!(!passes(&limiter, &rate, used_up, Duration::from_millis(2)));
}

#[test]
fn keys_whose_time_has_passed_make_room() {
    let limiter = Limiter::new();
    let rate = rate(10, Duration::from_secs(1));
    for n in 0..u32::try_from(STRIPES * STRIPE_KEYS * 2).unwrap() {
        // A second each 100,000 requests: most of what is there has passed.
        let now = Duration::from_micros(u64::from(n) * 10);
        assert!(passes(&limiter, &rate, &Ipv4Addr::from_bits(n).to_string(), now));
    }
    assert!(limiter.keys() <= STRIPES * STRIPE_KEYS);
}

/// The leaky bucket, by its level in nanoseconds of work.
struct Bucket {
    level: u128,
    last: u64,
}

impl Bucket {
    fn spend(&mut self, now: u64, rate: &Rate, cost: u32) -> bool {
        self.level = self.level.saturating_sub(u128::from(now - self.last));
        self.last = now;
        let after = self.level + u128::from(rate.interval) * u128::from(cost);
        let passes = after <= u128::from(rate.interval) * u128::from(rate.burst());
        if passes {
            self.level = after;
        }
        passes
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn agrees_with_the_leaky_bucket(
        limit in 1u32..50,
        per_ms in 1u64..100_000,
        burst in 1u32..60,
        steps in prop::collection::vec((0u64..3_000_000_000, 0u32..4), 1..80),
    ) {
        let rate = rate(limit, Duration::from_millis(per_ms)).with_burst(burst).unwrap();
        let (mut state, mut now) = (None, START);
        let mut bucket = Bucket { level: 0, last: START };
        for (wait, cost) in steps {
            now += wait;
            let expect = bucket.spend(now, &rate, cost);
            match check(state, Monotonic(now), &rate, cost) {
                Checked::Pass { tat, remaining } => {
                    prop_assert!(expect);
                    let left = u128::from(rate.tolerance) - bucket.level;
                    prop_assert_eq!(u128::from(remaining), left / u128::from(rate.interval));
                    state = Some(tat);
                }
                Checked::Refuse { retry_after } => {
                    prop_assert!(!expect);
                    // Waiting as long as it says is enough, and a nanosecond less is not.
                    if let Some(wait) = retry_after {
                        let later = now + u64::try_from(wait.as_nanos()).unwrap();
                        let passes = |now| matches!(check(state, Monotonic(now), &rate, cost), Checked::Pass { .. });
                        prop_assert!(passes(later) && !passes(later - 1));
                    }
                }
            }
        }
    }

    #[test]
    fn no_window_lets_more_pass_than_burst_and_rate(
        limit in 1u32..20,
        gaps in prop::collection::vec(0u64..400_000_000, 1..120),
    ) {
        let rate = rate(limit, Duration::from_secs(1));
        let (mut state, mut now, mut passed) = (None, START, Vec::new());
        for gap in gaps {
            now += gap;
            if let Checked::Pass { tat, .. } = check(state, Monotonic(now), &rate, 1) {
                state = Some(tat);
                passed.push(now);
            }
        }
        for (i, first) in passed.iter().enumerate() {
            for (j, last) in passed.iter().enumerate().skip(i) {
                let most = u64::from(limit) + (last - first) / rate.interval;
                prop_assert!(u64::try_from(j - i + 1).unwrap() <= most);
            }
        }
    }
}
