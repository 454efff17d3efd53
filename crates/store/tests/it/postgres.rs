//! What only PostgreSQL can do to us: numbers that commit out of order, several nodes, restarts.

use crate::following::{Sink, changes};
use crate::rig::{Rig, START, created, event, key};
use authority::{Change, Cursor, Feed as _, KeyStore as _, PortError, Snapshots as _};
use base::{Clock as _, SystemClock, code};
use sqlx::{Connection as _, PgConnection};
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use store::{Follower, Store};

/// Opens a transaction that has written to the feed and does not end; it names `subject`.
async fn open_transaction(rig: &Rig, subject: &str) -> PgConnection {
    let url = rig.postgres.as_ref().unwrap().url();
    let mut conn = PgConnection::connect(&url).await.unwrap();
    let write = format!(
        "BEGIN; INSERT INTO feed (xid, kind, subject, written_at) \
         VALUES (pg_current_xact_id()::text::bigint, 4, '{subject}', 0)"
    );
    sqlx::raw_sql(sqlx::AssertSqlSafe(write)).execute(&mut conn).await.unwrap();
    conn
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_cursor_waits_for_open_transactions_and_changes_do_not() {
    let rig = Rig::postgres().await;
    let mut follower = Follower::new(rig.store.clone(), rig.clock.clone(), Cursor::default());
    let key = key();
    let open = open_transaction(&rig, "aaaaaaaaaaaa").await;
    rig.store.create_key(key.clone(), created()).await.unwrap();
    let act = event(code::KEY_REVOKED_ACT);
    rig.store.revoke_key(key.id, START, None, act).await.unwrap();
    let mut heard = Vec::new();
    while heard.len() < 2 {
        let batch = changes(&mut follower).await;
        assert!(batch.early, "they lie above the cursor");
        assert_eq!(batch.cursor, Cursor::default(), "which stands still");
        heard.extend(batch.changes);
    }
    assert!(matches!(heard[1].1, Change::KeyRevoked { .. }));
    // The open transaction commits, with a lower number than what was heard.
    let mut open = open;
    sqlx::raw_sql("COMMIT").execute(&mut open).await.unwrap();
    let batch = changes(&mut follower).await;
    assert!(
        matches!(batch.changes[0].1, Change::BlockRemoved(id) if id.as_str() == "aaaaaaaaaaaa")
    );
    assert!(batch.cursor > Cursor::default());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_cursor_does_not_jump_over_what_appeared_while_a_look_had_many_pages() {
    let rig = Rig::postgres().await;
    let mut follower = Follower::new(rig.store.clone(), rig.clock.clone(), Cursor::default());
    let mut open = open_transaction(&rig, "aaaaaaaaaaaa").await;
    let many = "INSERT INTO feed (xid, kind, subject, written_at) \
         SELECT pg_current_xact_id()::text::bigint, 4, 'bbbbbbbbbbbb', 0 FROM generate_series(1, 1500)";
    rig.postgres.as_ref().unwrap().psql(many).unwrap();
    let first = changes(&mut follower).await;
    assert_eq!((first.changes.len(), first.early), (1_000, true));
    sqlx::raw_sql("COMMIT").execute(&mut open).await.unwrap();
    let second = changes(&mut follower).await;
    assert_eq!(second.changes.len(), 500);
    assert_eq!(second.cursor, Cursor::default(), "settled, but not next to the cursor");
    let third = changes(&mut follower).await;
    assert!(
        matches!(third.changes[0].1, Change::BlockRemoved(id) if id.as_str() == "aaaaaaaaaaaa")
    );
    assert!(third.cursor > Cursor::default());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_snapshot_beside_an_open_transaction_misses_nothing_of_it() {
    let rig = Rig::postgres().await;
    let mut open = open_transaction(&rig, "aaaaaaaaaaaa").await;
    rig.store.create_key(key(), created()).await.unwrap();
    let mut sink = Sink::default();
    let cursor = rig.store.load(START, &mut sink).await.unwrap();
    assert_eq!(sink.keys.len(), 1);
    sqlx::raw_sql("COMMIT").execute(&mut open).await.unwrap();
    let mut follower = Follower::new(rig.store.clone(), rig.clock.clone(), cursor);
    let mut heard = Vec::new();
    while !heard.iter().any(|change| matches!(change, Change::BlockRemoved(_))) {
        heard.extend(changes(&mut follower).await.changes.into_iter().map(|(_, change)| change));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_of_one_node_reaches_the_other() {
    let rig = Rig::postgres().await;
    let other = Store::open(&rig.url, START).await.unwrap();
    let mut follower = Follower::new(other, rig.clock.clone(), Cursor::default());
    let key = key();
    rig.store.create_key(key.clone(), created()).await.unwrap();
    assert_eq!(changes(&mut follower).await.changes[0].1, Change::KeyUpserted(key));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_announcement_wakes_the_other_node() {
    let rig = Rig::postgres().await;
    let other = Store::open(&rig.url, START).await.unwrap();
    // The listener needs a moment to stand; each announcement is another chance.
    let mut seen = other.wait(0, Duration::ZERO).await;
    let woken = async {
        loop {
            rig.store.create_key(key(), created()).await.unwrap();
            let now = other.wait(seen, Duration::from_secs(1)).await;
            if now != seen {
                return now;
            }
        }
    };
    seen = tokio::time::timeout(Duration::from_secs(30), woken).await.unwrap();
    assert!(seen > 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_of_another_cluster_are_forgotten_when_opening() {
    let rig = Rig::postgres().await;
    let foreign = "INSERT INTO feed (xid, kind, subject, written_at) \
         VALUES (9000000000, 1, 'aaaaaaaaaaaa', 0); UPDATE feed_floor SET xid = 9000000000";
    rig.postgres.as_ref().unwrap().psql(foreign).unwrap();
    let again = Store::open(&rig.url, START).await.unwrap();
    let page = again.changes_since(Cursor::default(), 9).await.unwrap();
    assert_eq!((page.rows.len(), page.lost), (0, false));
    let elsewhere = Cursor { xid: 9_000_000_000, seq: 1 };
    assert!(again.changes_since(elsewhere, 9).await.unwrap().lost);
}

/// What a writer was told.
#[derive(Default)]
struct Told {
    kept: Vec<authority::KeyId>,
    refused: usize,
    uncertain: usize,
}

async fn write_until(store: Store, stop: Arc<AtomicBool>) -> Told {
    let mut told = Told::default();
    while !stop.load(Ordering::SeqCst) {
        let key = key();
        let id = key.id;
        match store.create_key(key, created()).await {
            Ok(_) => told.kept.push(id),
            Err(PortError::Unavailable(_)) => told.refused += 1,
            Err(PortError::Uncertain(_)) => told.uncertain += 1,
            Err(error) => panic!("{error}"),
        }
    }
    told
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_restarted_under_load_loses_nothing_acknowledged() {
    let mut rig = Rig::postgres().await;
    let clock = Arc::new(SystemClock::new());
    let mut follower = Follower::new(rig.store.clone(), clock.clone(), Cursor::default());
    let stop = Arc::new(AtomicBool::new(false));
    let writers: Vec<_> =
        (0..8).map(|_| tokio::spawn(write_until(rig.store.clone(), stop.clone()))).collect();
    let mut server = rig.postgres.take().unwrap();
    let restarts = testkit::rounds(3);
    for _ in 0..restarts {
        server = tokio::task::spawn_blocking(move || {
            testkit::wait::pause(Duration::from_millis(300));
            server.restart().unwrap();
            server
        })
        .await
        .unwrap();
        let asked = clock.monotonic();
        while rig.store.create_key(key(), created()).await.is_err() {}
        let took = clock.monotonic().since(asked);
        println!("writing again after {took:?}");
        assert!(took < Duration::from_secs(5), "the pool recovers with the server");
    }
    stop.store(true, Ordering::SeqCst);
    let mut kept = HashSet::new();
    let (mut refused, mut uncertain) = (0, 0);
    for writer in writers {
        let told = writer.await.unwrap();
        kept.extend(told.kept);
        refused += told.refused;
        uncertain += told.uncertain;
    }
    println!("{restarts} restarts, {} kept, {refused} refused, {uncertain} uncertain", kept.len());
    assert!(kept.len() > 8 && refused + uncertain > 0, "there was load before and after");
    let mut sink = Sink::default();
    rig.store.load(START, &mut sink).await.unwrap();
    let there: HashSet<_> = sink.keys.iter().map(|key| key.id).collect();
    assert!(kept.is_subset(&there), "everything acknowledged is there");
    // One key after each restart is the test's own.
    assert!(
        there.len() <= kept.len() + uncertain + restarts as usize,
        "and nothing that was refused"
    );
    // The follower has lived through it, and misses nothing either.
    let mut heard = HashSet::new();
    while !there.is_subset(&heard) {
        for (_, change) in changes(&mut follower).await.changes {
            if let Change::KeyUpserted(key) = change {
                heard.insert(key.id);
            }
        }
    }
    server.stop();
    let contact = follower.contact();
    let silent = tokio::time::timeout(Duration::from_secs(1), follower.next()).await;
    assert!(silent.is_err() && contact.age(clock.monotonic()) >= Duration::from_millis(900));
    let down = rig.store.create_key(key(), created()).await;
    assert!(matches!(down, Err(PortError::Unavailable(_))), "{down:?}");
}
