//! PostgreSQL as the store: the same answers, its restarts and its loss.

use crate::setup::*;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;
use testkit::postgres::PrivatePostgres;
use testkit::{Gate, RawClient, Upstream, wait};

fn start(up: &Upstream, postgres: &PrivatePostgres, more: &str) -> Gate {
    Gate::builder()
        .server(&format!("store = \"{}\"\n{more}", postgres.url()))
        .rest(&(upstream(up) + &route("orders", "/orders/{**}", &api_key("orders:read"))))
        .start()
}

#[test]
fn keys_live_in_postgres_and_its_restart_stops_no_request() {
    let mut postgres = PrivatePostgres::start().expect("PostgreSQL");
    let up = Upstream::ok();
    let gate = start(&up, &postgres, "stale_limit = \"20s\"");
    let (id, key) = self::key(&gate, "a", "orders:read");
    let (_, kept) = self::key(&gate, "b", "orders:read");
    assert_eq!(answer(&gate, "/orders/1", &key), passed());
    let (_, took) = timed(|| gate.done(&["key", "revoke", &id]));
    assert!(took < second(), "{took:?}");
    assert_eq!(everywhere(&gate, "/orders/1", &key), vec![refused(401, "key.revoked"); 16]);

    let (stop, count, address) = (AtomicBool::new(false), AtomicU32::new(0), gate.address());
    std::thread::scope(|scope| {
        let _ended = Ends(&stop);
        scope.spawn(|| {
            let mut client = RawClient::connect(&address);
            while !stop.load(Ordering::SeqCst) {
                assert_eq!(again(&mut client, "/orders/1", &kept), passed());
                count.fetch_add(1, Ordering::SeqCst);
            }
        });
        postgres.restart().expect("PostgreSQL comes back");
        let before = count.load(Ordering::SeqCst);
        wait::until(PATIENCE, "requests after", || count.load(Ordering::SeqCst) > before + 20);
        stop.store(true, Ordering::SeqCst);
    });
    // Acts work again, and reach the shards.
    let mut made = None;
    wait::until(PATIENCE, "an act after the restart", || {
        let output = gate.cli(&["key", "create", "--name", "c", "--scope", "orders:read"]);
        made = (output.code == 0).then(|| output.json());
        made.is_some()
    });
    let made = made.expect("a key");
    assert_eq!(answer(&gate, "/orders/1", made["key"].as_str().expect("a key")), passed());
    assert_eq!(answer(&gate, "/orders/1", &key), refused(401, "key.revoked"));
}

#[test]
fn a_lost_feed_closes_the_gate_after_its_limit_and_opens_it_again() {
    let mut postgres = PrivatePostgres::start().expect("PostgreSQL");
    let up = Upstream::ok();
    let gate = start(&up, &postgres, "stale_limit = \"2s\"");
    let (_, key) = self::key(&gate, "a", "orders:read");
    assert_eq!(answer(&gate, "/orders/1", &key), passed());
    postgres.stop();
    let mut client = RawClient::connect(&gate.address());
    let took = wait::until(PATIENCE, "the limit", || {
        let said = again(&mut client, "/orders/1", &key);
        assert!(said == passed() || said == refused(503, "state.stale"), "{said:?}");
        said != passed()
    });
    assert!(took > Duration::from_secs(1) && took < Duration::from_secs(5), "{took:?}");
    let count = up.count();
    let output = gate.cli(&["key", "create", "--name", "b", "--scope", "orders:read"]);
    assert_eq!((output.code, output.stdout.as_str()), (1, ""), "{output:?}");
    assert_eq!(everywhere(&gate, "/orders/1", &key), vec![refused(503, "state.stale"); 16]);
    assert_eq!(up.count(), count);
    let ready = testkit::get(&format!("{}/readyz", gate.control()), &[]);
    assert_eq!(ready.status, 503, "{}", ready.text());
    postgres.restart().expect("PostgreSQL comes back");
    wait::until(PATIENCE, "the feed", || answer(&gate, "/orders/1", &key) == passed());
    assert_eq!(everywhere(&gate, "/orders/1", &key), vec![passed(); 16]);
    wait::until(PATIENCE, "readiness", || {
        testkit::get(&format!("{}/readyz", gate.control()), &[]).status == 200
    });
}

#[test]
fn what_one_node_says_another_heeds_within_a_second() {
    let postgres = PrivatePostgres::start().expect("PostgreSQL");
    let up = Upstream::ok();
    let one = start(&up, &postgres, "");
    // Nodes of one installation share the key that seals their secrets.
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    std::fs::create_dir(&data).expect("a folder");
    std::fs::copy(one.data().join("master.key"), data.join("master.key")).expect("the master key");
    let two = Gate::builder()
        .server(&format!("store = \"{}\"", postgres.url()))
        .rest(&(upstream(&up) + &route("orders", "/orders/{**}", &api_key("orders:read"))))
        .data(&data)
        .start();
    let (id, key) = self::key(&one, "a", "orders:read");
    wait::until(second(), "the key at the other node", || {
        answer(&two, "/orders/1", &key) == passed()
    });
    assert_eq!(everywhere(&two, "/orders/1", &key), vec![passed(); 16]);
    let block = one.done(&["block", "subject", &id]);
    let revoked = refused(401, "key.revoked");
    wait::until(second(), "the block", || answer(&two, "/orders/1", &key) == revoked);
    assert_eq!(everywhere(&two, "/orders/1", &key), vec![revoked.clone(); 16]);
    two.done(&["block", "remove", block["id"].as_str().expect("an id")]);
    wait::until(second(), "its end", || answer(&one, "/orders/1", &key) == passed());
    two.done(&["key", "revoke", &id]);
    assert_eq!(answer(&two, "/orders/1", &key), revoked);
    wait::until(second(), "the revocation", || answer(&one, "/orders/1", &key) == revoked);
    assert_eq!(everywhere(&one, "/orders/1", &key), vec![revoked; 16]);
    // Without that key a node does not start on a store with sealed rows, rather than make another.
    let stranger = Gate::builder()
        .server(&format!("store = \"{}\"", postgres.url()))
        .rest(&(upstream(&up) + &route("orders", "/orders/{**}", &api_key("orders:read"))))
        .try_start();
    assert_eq!(stranger.err().map(|output| output.code), Some(1));
}

#[test]
fn a_database_that_falls_silent_is_as_good_as_lost_and_is_found_again() {
    let postgres = PrivatePostgres::start().expect("PostgreSQL");
    let up = Upstream::ok();
    let gate = start(&up, &postgres, "stale_limit = \"2s\"");
    let (_, key) = self::key(&gate, "a", "orders:read");
    assert_eq!(answer(&gate, "/orders/1", &key), passed());
    // No connection ends, nothing answers: as a network that swallows every packet.
    postgres.freeze_sessions();
    let stale = refused(503, "state.stale");
    let took = wait::until(PATIENCE, "the limit", || answer(&gate, "/orders/1", &key) == stale);
    assert!(took < Duration::from_secs(5), "{took:?}");
    // An act is done over a new session, or refused; it does not hang, and does not end without a word.
    let (output, took) =
        timed(|| gate.cli(&["key", "create", "--name", "b", "--scope", "orders:read"]));
    assert!(output.code == 0 || output.code == 1, "{output:?}");
    assert_ne!(output.stdout.is_empty(), output.stderr.is_empty(), "{output:?}");
    assert!(took < Duration::from_secs(20), "{took:?}");
    // New sessions are served: the gate finds its way back without the old ones.
    wait::until(Duration::from_secs(25), "the way back", || {
        answer(&gate, "/orders/1", &key) == passed()
    });
    postgres.thaw();
    assert_eq!(everywhere(&gate, "/orders/1", &key), vec![passed(); 16]);
}
