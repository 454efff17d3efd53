//! What only SQLite can do to us: a file that is shared, a disk that is full.

use crate::following::{Sink, changes};
use crate::rig::{Rig, START, created, key};
use authority::{
    Block, Change, IpEntry, KeyRecord, KeyStore as _, PortError, SnapshotSink, Snapshots as _,
};
use base::{Clock as _, SystemClock};
use sqlx::{Connection as _, SqliteConnection};
use std::os::unix::fs::PermissionsExt as _;
use store::Follower;

#[tokio::test]
async fn the_files_are_the_owners_only() {
    let rig = Rig::sqlite().await;
    rig.store.create_key(key(), created()).await.unwrap();
    for entry in rig.folder.path().read_dir().unwrap() {
        let entry = entry.unwrap();
        let mode = entry.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{:?}", entry.file_name());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lock_that_is_held_too_long_is_a_clear_error_and_passes() {
    let rig = Rig::sqlite().await;
    let file = rig.folder.path().join("portcullis.db");
    let mut other = SqliteConnection::connect(file.to_str().unwrap()).await.unwrap();
    sqlx::raw_sql("BEGIN IMMEDIATE").execute(&mut other).await.unwrap();
    let refused = rig.store.create_key(key(), created()).await;
    assert!(matches!(refused, Err(PortError::Unavailable(_))), "{refused:?}");
    sqlx::raw_sql("ROLLBACK").execute(&mut other).await.unwrap();
    rig.store.create_key(key(), created()).await.unwrap();
    assert_eq!(rig.events().await.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_keys_load_page_by_page_and_one_more_is_heard() {
    let rig = Rig::sqlite().await;
    let file = rig.folder.path().join("portcullis.db");
    let mut other = SqliteConnection::connect(file.to_str().unwrap()).await.unwrap();
    // Fewer than a million, so that the test stays short; the pages are what matters.
    let many = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000) \
         INSERT INTO api_keys SELECT printf('%012d', i), 'live', 'n', randomblob(32), 'echo:read', \
         NULL, 0, NULL, NULL, NULL, 'uid:0', NULL FROM n";
    sqlx::raw_sql(many).execute(&mut other).await.unwrap();
    let mut sink = Sink::default();
    let cursor = rig.store.load(START, &mut sink).await.unwrap();
    assert_eq!(sink.keys.len(), 20_000);
    assert!(sink.keys.is_sorted_by_key(|key| key.id));
    let mut follower = Follower::new(rig.store.clone(), rig.clock.clone(), cursor);
    let one = key();
    rig.store.create_key(one.clone(), created()).await.unwrap();
    assert_eq!(changes(&mut follower).await.changes[0].1, Change::KeyUpserted(one));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement: how long a million keys take to load"]
async fn measure_a_million_keys() {
    let rig = Rig::sqlite().await;
    let file = rig.folder.path().join("portcullis.db");
    let mut other = SqliteConnection::connect(file.to_str().unwrap()).await.unwrap();
    let many = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000000) \
         INSERT INTO api_keys SELECT printf('%012d', i), 'live', 'n', randomblob(32), 'echo:read', \
         NULL, 0, NULL, NULL, NULL, 'uid:0', NULL FROM n";
    sqlx::raw_sql(many).execute(&mut other).await.unwrap();
    let clock = SystemClock::new();
    let start = clock.monotonic();
    let mut sink = Counting(0);
    rig.store.load(START, &mut sink).await.unwrap();
    println!("{} keys in {:?}", sink.0, clock.monotonic().since(start));
}

struct Counting(usize);

impl SnapshotSink for Counting {
    fn expect_keys(&mut self, _: usize) {}
    fn key(&mut self, _: KeyRecord) {
        self.0 += 1;
    }
    fn block(&mut self, _: Block) {}
    fn ip(&mut self, _: IpEntry) {}
    fn revocation(&mut self, _: authority::oauth::records::Revocation) {}
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement: how many keys can be made in a second by so many callers"]
async fn measure_group_commit() {
    for (name, rig) in [("sqlite", Rig::sqlite().await), ("postgres", Rig::postgres().await)] {
        for callers in [1, 8, 64] {
            let clock = SystemClock::new();
            let start = clock.monotonic();
            let tasks: Vec<_> = (0..callers)
                .map(|_| {
                    let store = rig.store.clone();
                    tokio::spawn(async move {
                        for _ in 0..50 {
                            store.create_key(key(), created()).await.unwrap();
                        }
                    })
                })
                .collect();
            for task in tasks {
                task.await.unwrap();
            }
            let took = clock.monotonic().since(start);
            println!("{name}, {callers} callers: {:?} a key", took / (callers * 50));
        }
    }
}
