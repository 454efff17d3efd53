//! The change feed, its follower, and snapshots.

use crate::both_engines;
use crate::rig::{Rig, START, created, event, key};
use authority::oauth::records::Revocation;
use authority::{
    Block, Change, Cursor, IpEntry, KeyId, KeyRecord, KeyStore as _, SnapshotSink, Snapshots as _,
};
use base::{Clock as _, UnixMs, code};
use std::collections::HashSet;
use std::time::Duration;
use store::{Applied, FEED_KEPT, Follower, Step, Store};

both_engines!(
    a_follower_hears_of_changes_in_their_order,
    a_change_carries_the_present_state,
    a_follower_that_was_away_too_long_is_lost,
    an_act_is_applied_when_the_follower_has_seen_it,
    a_snapshot_and_the_feed_after_it_miss_nothing,
    a_long_feed_is_read_page_by_page,
);

#[derive(Default)]
pub(crate) struct Sink {
    pub(crate) keys: Vec<KeyRecord>,
    pub(crate) blocks: Vec<Block>,
    pub(crate) ips: Vec<IpEntry>,
    pub(crate) revocations: Vec<Revocation>,
}

impl SnapshotSink for Sink {
    fn expect_keys(&mut self, count: usize) {
        self.keys.reserve(count);
    }
    fn key(&mut self, key: KeyRecord) {
        self.keys.push(key);
    }
    fn block(&mut self, block: Block) {
        self.blocks.push(block);
    }
    fn ip(&mut self, entry: IpEntry) {
        self.ips.push(entry);
    }
    fn revocation(&mut self, revocation: Revocation) {
        self.revocations.push(revocation);
    }
}

pub(crate) async fn changes(follower: &mut Follower) -> store::Batch {
    let step = tokio::time::timeout(Duration::from_secs(30), follower.next()).await;
    match step.expect("a change within 30 s") {
        Step::Changes(batch) => batch,
        Step::Lost => panic!("the follower is lost"),
    }
}

fn follower(rig: &Rig, from: Cursor) -> Follower {
    Follower::new(rig.store.clone(), rig.clock.clone(), from)
}

async fn a_follower_hears_of_changes_in_their_order(rig: Rig) {
    let mut follower = follower(&rig, Cursor::default());
    let mut expected = Vec::new();
    for _ in 0..3 {
        let key = key();
        let seq = rig.store.create_key(key.clone(), created()).await.unwrap();
        expected.push((seq, Change::KeyUpserted(key)));
    }
    let mut heard = Vec::new();
    while heard.len() < 3 {
        heard.extend(changes(&mut follower).await.changes);
    }
    heard.dedup();
    assert_eq!(heard, expected);
    let contact = follower.contact();
    rig.clock.advance(Duration::from_secs(9));
    assert_eq!(contact.age(rig.clock.monotonic()), Duration::from_secs(9));
    rig.store.create_key(key(), created()).await.unwrap();
    changes(&mut follower).await;
    assert_eq!(contact.age(rig.clock.monotonic()), Duration::ZERO);
}

async fn a_change_carries_the_present_state(rig: Rig) {
    let key = key();
    rig.store.create_key(key.clone(), created()).await.unwrap();
    let revoked = event(code::KEY_REVOKED_ACT);
    rig.store.revoke_key(key.id, UnixMs(3), None, revoked).await.unwrap();
    let Change::KeyUpserted(now) = &rig.changes().await[0] else { panic!("not the key") };
    assert_eq!(now.revoked_at, Some(UnixMs(3)), "a late reader does not bring a dead key to life");
}

async fn a_follower_that_was_away_too_long_is_lost(rig: Rig) {
    rig.store.create_key(key(), created()).await.unwrap();
    rig.store.create_key(key(), created()).await.unwrap();
    let mut there = follower(&rig, Cursor::default());
    while changes(&mut there).await.early {}
    let later = START.plus(FEED_KEPT).plus(Duration::from_millis(1));
    assert_eq!(rig.store.sweep(later).await.unwrap().feed, 2);
    let mut away = follower(&rig, Cursor::default());
    assert_eq!(away.next().await, Step::Lost);
    let fresh = rig.store.load(START, &mut Sink::default()).await.unwrap();
    let mut fresh = follower(&rig, fresh);
    let third = key();
    rig.store.create_key(third.clone(), created()).await.unwrap();
    for follower in [&mut there, &mut fresh] {
        assert_eq!(changes(follower).await.changes[0].1, Change::KeyUpserted(third.clone()));
    }
}

async fn an_act_is_applied_when_the_follower_has_seen_it(rig: Rig) {
    let applied = Applied::new();
    let mut follower = follower(&rig, Cursor::default());
    let seq = rig.store.create_key(key(), created()).await.unwrap();
    assert!(!applied.wait(seq, Duration::ZERO).await);
    let follow = async {
        applied.mark(&changes(&mut follower).await);
    };
    let (known, ()) = tokio::join!(applied.wait(seq, Duration::from_secs(30)), follow);
    assert!(known);
}

/// Keeps writing keys until `enough`, and says which.
async fn write_keys(store: Store, enough: usize) -> Vec<KeyId> {
    let mut ids = Vec::new();
    for _ in 0..enough {
        let key = key();
        store.create_key(key.clone(), created()).await.unwrap();
        ids.push(key.id);
    }
    ids
}

async fn a_snapshot_and_the_feed_after_it_miss_nothing(rig: Rig) {
    let writers: Vec<_> = (0..4).map(|_| tokio::spawn(write_keys(rig.store.clone(), 60))).collect();
    let mut rounds = Vec::new();
    for _ in 0..6 {
        let mut sink = Sink::default();
        let cursor = rig.store.load(START, &mut sink).await.unwrap();
        let known: HashSet<KeyId> = sink.keys.iter().map(|key| key.id).collect();
        rounds.push((follower(&rig, cursor), known));
    }
    let mut written = HashSet::new();
    for writer in writers {
        written.extend(writer.await.unwrap());
    }
    for (mut follower, mut known) in rounds {
        while known.len() < written.len() {
            for (_, change) in changes(&mut follower).await.changes {
                if let Change::KeyUpserted(key) = change {
                    known.insert(key.id);
                }
            }
        }
        assert_eq!(known, written);
    }
}

async fn a_long_feed_is_read_page_by_page(rig: Rig) {
    let writers: Vec<_> =
        (0..8).map(|_| tokio::spawn(write_keys(rig.store.clone(), 300))).collect();
    for writer in writers {
        writer.await.unwrap();
    }
    let mut follower = follower(&rig, Cursor::default());
    let mut known = HashSet::new();
    while known.len() < 2_400 {
        let batch = changes(&mut follower).await;
        assert!(batch.changes.len() <= 1_000);
        known.extend(batch.changes.iter().map(|(seq, _)| *seq));
    }
}
