//! Limits by address, by route and by principal.

use crate::setup::*;
use testkit::{Gate, Response, Upstream, wait};

fn start(up: &Upstream) -> Gate {
    let limited = |by: &str| {
        let rate = format!("rate = {{ limit = 3, per = \"6s\", by = \"{by}\" }}\n");
        route(by, &format!("/{by}"), &(rate + &api_key("a")))
    };
    Gate::builder()
        .listener("proxies = { trusted = [\"127.0.0.1\"], header = \"x-forwarded-for\" }")
        .rest(&(upstream(up) + &limited("address") + &limited("route") + &limited("principal")))
        .start()
}

/// A call over a new connection each time, so that all shards are reached: they count together.
fn call(gate: &Gate, path: &str, key: &str, ip: &str) -> Response {
    gate.get(path, &[("x-api-key", key), ("x-forwarded-for", ip)])
}

/// How many of `times` calls pass; the last refusal is looked at.
fn passes(gate: &Gate, up: &Upstream, times: usize, one: impl Fn() -> Response) -> usize {
    let count = up.count();
    let mut passed = 0;
    for _ in 0..times {
        let answer = one();
        if answer.status == 200 {
            passed += 1;
            continue;
        }
        assert_eq!(said(&answer), refused(429, "rate.exceeded"), "{}", gate.log());
        let wait: u64 =
            answer.header("retry-after").expect("Retry-After").parse().expect("seconds");
        assert!((1..=6).contains(&wait), "{wait}");
    }
    assert_eq!(up.count() - count, passed as u64);
    passed
}

#[test]
fn each_limit_counts_what_it_says() {
    let up = Upstream::ok();
    let gate = start(&up);
    let ((_, a), (_, b)) = (key(&gate, "a", "a"), key(&gate, "b", "a"));
    let (one, two) = ("192.0.2.1", "192.0.2.2");
    // By address: two keys of one address share, two addresses do not.
    let run = |path: &str, key: &str, ip: &str, times: usize| {
        passes(&gate, &up, times, || call(&gate, path, key, ip))
    };
    let within = |passed: usize, least: usize| (least..=least + 1).contains(&passed);
    // A cell comes back every two seconds; on a slow machine one more may pass.
    assert!(within(run("/address", &a, one, 5), 3));
    assert!(within(run("/address", &b, one, 2), 0));
    assert!(within(run("/address", &a, two, 5), 3));
    assert!(within(run("/route", &a, one, 2), 2));
    assert!(within(run("/route", &b, two, 4), 1));
    assert!(within(run("/principal", &a, one, 5), 3));
    assert!(within(run("/principal", &a, two, 2), 0));
    assert!(within(run("/principal", &b, one, 5), 3));
    // Who did not pass the door pays nothing of a principal's limit; a wrong key is no principal.
    assert_eq!(said(&call(&gate, "/principal", "pcl_x", two)), refused(401, "key.malformed"));
}

#[test]
fn waiting_as_long_as_retry_after_says_is_enough() {
    let up = Upstream::ok();
    let gate = start(&up);
    let (_, a) = key(&gate, "a", "a");
    let mut refusal = None;
    for _ in 0..5 {
        let answer = call(&gate, "/principal", &a, "192.0.2.1");
        if answer.status == 429 {
            refusal = Some(answer);
            break;
        }
    }
    let refusal = refusal.expect("a refusal");
    let seconds: u64 =
        refusal.header("retry-after").expect("Retry-After").parse().expect("seconds");
    wait::pause(std::time::Duration::from_secs(seconds));
    assert_eq!(said(&call(&gate, "/principal", &a, "192.0.2.1")), passed());
}
