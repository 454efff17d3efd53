//! `kill -9` at any moment: what was acknowledged is there.

use crate::rig::{NODE, Rig, START, created, key};
use authority::{Cursor, Feed as _, KeyId, KeyStore as _, Outbox as _};
use std::collections::HashSet;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::{Arc, mpsc};
use std::time::Duration;
use store::{Store, StoreUrl};

/// Where the child finds its database.
const DATABASE: &str = "PORTCULLIS_TEST_DATABASE";
/// How often the child is killed, in short.
const KILLS: u32 = 12;

/// Not a test of its own: the child that is killed. It prints each key once it is acknowledged.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "runs as the child of acknowledged_acts_survive_kill_9"]
async fn child_that_writes_until_it_is_killed() {
    let Some(path) = std::env::var_os(DATABASE) else { return };
    let store = Store::open(&StoreUrl::Sqlite(PathBuf::from(path)), START).await.unwrap();
    let out = Arc::new(std::sync::Mutex::new(std::io::stdout()));
    let writers = (0..8).map(|_| {
        let (store, out) = (store.clone(), out.clone());
        tokio::spawn(async move {
            loop {
                let key = key();
                let id = key.id;
                if store.create_key(key, created()).await.is_err() {
                    return;
                }
                writeln!(out.lock().unwrap(), "kept {id}").unwrap();
            }
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.unwrap();
    }
}

/// Lets the child write, kills it after `span` (counted from its first acknowledgement), and returns what
/// it said.
fn write_and_kill(database: &PathBuf, span: Duration) -> Vec<KeyId> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "faults::child_that_writes_until_it_is_killed",
            "--ignored",
            "--nocapture",
        ])
        .env(DATABASE, database)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let (first, begun) = mpsc::channel();
    let reader = std::thread::spawn(move || {
        let mut kept = Vec::new();
        for line in lines.map_while(Result::ok) {
            // The line that was being written may be cut.
            if let Some(id) = line.split("kept ").nth(1).and_then(|id| id.parse().ok()) {
                kept.push(id);
                let _ = first.send(());
            }
        }
        kept
    });
    begun.recv_timeout(Duration::from_secs(60)).expect("the child acknowledges something");
    testkit::wait::pause(span);
    child.kill().unwrap();
    child.wait().unwrap();
    reader.join().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn acknowledged_acts_survive_kill_9() {
    let rig = Rig::sqlite().await;
    let StoreUrl::Sqlite(database) = rig.url.clone() else { unreachable!() };
    let mut kept: HashSet<KeyId> = HashSet::new();
    let kills = testkit::rounds(KILLS);
    for round in 0..kills {
        let span = Duration::from_micros(u64::from(round) * 7_919 % 60_000);
        kept.extend(write_and_kill(&database, span));
        let store = Store::open(&rig.url, START).await.unwrap();
        for id in &kept {
            assert!(store.key(*id).await.unwrap().is_some(), "{id} was acknowledged");
        }
    }
    // What was not acknowledged is whole or absent: as many events and feed rows as keys.
    let store = Store::open(&rig.url, START).await.unwrap();
    let mut sink = crate::following::Sink::default();
    authority::Snapshots::load(&store, START, &mut sink).await.unwrap();
    let (mut feed, mut from) = (0, Cursor::default());
    loop {
        let rows = store.changes_since(from, 1_000).await.unwrap().rows;
        let Some(last) = rows.last() else { break };
        from = last.place;
        feed += rows.len();
    }
    let mut events = 0;
    loop {
        let rows = store.take(NODE, 1_000).await.unwrap();
        if rows.is_empty() {
            break;
        }
        events += rows.len();
        store.mark_done(rows.iter().map(|row| row.event.id).collect(), START).await.unwrap();
    }
    println!("{kills} kills, {} acknowledged, {} there", kept.len(), sink.keys.len());
    // A handful of kills, some at once, may leave few.
    assert!(kept.len() > 9 * kills as usize || kills < KILLS, "{} acknowledged", kept.len());
    assert_eq!((feed, events), (sink.keys.len(), sink.keys.len()));
}
