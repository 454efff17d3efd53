//! What every store must do.

use crate::both_engines;
use crate::rig::{NODE, Rig, START, created, event, key};
use authority::{
    AuditLog as _, Block, BlockId, BlockKind, BlockStore as _, Change, IpEntry, IpId, IpStore as _,
    KeyFilter, KeyStore as _, NodeStore as _, Outbox as _, Page, PortError, SealedStore as _,
};
use base::{NodeId, UnixMs, code};
use std::collections::HashSet;
use std::time::Duration;
use store::Store;

both_engines!(
    a_key_is_read_back_as_it_was_written,
    a_second_key_of_the_same_id_leaves_no_trace,
    keys_are_listed_by_id_page_by_page,
    a_revocation_keeps_its_first_time_and_is_announced_again,
    an_act_on_nothing_leaves_no_trace,
    change_event_and_feed_row_come_together,
    a_block_is_replaced_and_keeps_its_id,
    address_entries_are_replaced_listed_and_removed,
    the_first_sealed_blob_stays,
    rows_are_taken_in_order_and_once,
    many_rows_are_marked_at_once,
    an_event_is_kept_once,
    rows_of_a_dead_node_are_adopted_unless_it_lives,
    concurrent_intentions_are_all_kept,
    a_sweep_removes_what_is_old_only,
    what_is_acknowledged_is_there_after_reopening,
    a_closed_store_says_so,
);

async fn a_key_is_read_back_as_it_was_written(rig: Rig) {
    let mut bare = key();
    (bare.routes, bare.expires_at, bare.scopes) = (None, None, vec![]);
    for key in [key(), bare] {
        rig.store.create_key(key.clone(), created()).await.unwrap();
        assert_eq!(rig.store.key(key.id).await.unwrap(), Some(key));
    }
    assert_eq!(rig.store.key(key().id).await.unwrap(), None);
}

async fn a_second_key_of_the_same_id_leaves_no_trace(rig: Rig) {
    let first = key();
    rig.store.create_key(first.clone(), created()).await.unwrap();
    let mut second = first.clone();
    second.name = "other".to_owned();
    let refused = rig.store.create_key(second, created()).await;
    assert_eq!(refused, Err(PortError::Conflict));
    assert_eq!(rig.store.key(first.id).await.unwrap(), Some(first));
    assert_eq!((rig.events().await.len(), rig.feed().await.len()), (1, 1));
}

async fn keys_are_listed_by_id_page_by_page(rig: Rig) {
    let mut all = Vec::new();
    for number in 0..7 {
        let mut key = key();
        key.expires_at = (number > 0).then_some(UnixMs(START.0 + number));
        rig.store.create_key(key.clone(), created()).await.unwrap();
        all.push(key);
    }
    // Bytes decide the order, whatever the locale of the server.
    all.sort_by_key(|key| key.id);
    let mut listed = Vec::new();
    let mut page = Page { after: None, rows: 3 };
    loop {
        let part = rig.store.keys(KeyFilter::All, page).await.unwrap();
        assert!(part.len() <= 3);
        let Some(last) = part.last() else { break };
        page.after = Some(last.id);
        listed.extend(part);
    }
    assert_eq!(listed, all);
    let dead = all.iter().find(|key| key.expires_at.is_none()).unwrap().id;
    rig.store.revoke_key(dead, START, None, event(code::KEY_REVOKED_ACT)).await.unwrap();
    let live = KeyFilter::LiveAt(UnixMs(START.0 + 3));
    let live = rig.store.keys(live, Page::default()).await.unwrap();
    assert_eq!(live.len(), 3, "of six with an end, those that end at 4, 5 and 6");
}

async fn a_revocation_keeps_its_first_time_and_is_announced_again(rig: Rig) {
    let key = key();
    rig.store.create_key(key.clone(), created()).await.unwrap();
    let revoke = |at: i64, reason: Option<&str>| {
        let event = event(code::KEY_REVOKED_ACT);
        rig.store.revoke_key(key.id, UnixMs(at), reason.map(str::to_owned), event)
    };
    let (first, seq) = revoke(5, None).await.unwrap().unwrap();
    assert_eq!((first.revoked_at, first.revoked_reason), (Some(UnixMs(5)), None));
    let (second, again) = revoke(6, Some("leaked")).await.unwrap().unwrap();
    assert_eq!((second.revoked_at, second.revoked_reason), (Some(UnixMs(5)), None));
    assert!(again > seq);
    let revoked = Change::KeyRevoked { id: key.id, until: key.expires_at };
    assert_eq!(rig.changes().await[1..], [revoked.clone(), revoked]);
    assert_eq!(rig.events().await.len(), 3);
}

async fn an_act_on_nothing_leaves_no_trace(rig: Rig) {
    let id = BlockId::random().unwrap();
    let event = || event(code::BLOCK_REMOVED);
    assert_eq!(rig.store.revoke_key(id, START, None, event()).await.unwrap(), None);
    assert_eq!(rig.store.remove_block(id, event()).await.unwrap(), None);
    assert_eq!(rig.store.remove_ip(id, event()).await.unwrap(), None);
    assert_eq!((rig.events().await.len(), rig.feed().await.len()), (0, 0));
}

async fn change_event_and_feed_row_come_together(rig: Rig) {
    let (key, event) = (key(), created());
    let seq = rig.store.create_key(key.clone(), event.clone()).await.unwrap();
    assert_eq!(rig.events().await, [event]);
    let feed = rig.feed().await;
    assert_eq!(feed.len(), 1);
    assert_eq!((feed[0].place.seq, feed[0].settled), (seq, true));
    assert_eq!(feed[0].change, Some(Change::KeyUpserted(key)));
    rig.store.record(crate::rig::event(code::ACT_REFUSED)).await.unwrap();
    assert_eq!((rig.events().await.len(), rig.feed().await.len()), (2, 1));
}

fn block(issuer: Option<&str>, expires_at: Option<i64>) -> Block {
    Block {
        id: BlockId::random().unwrap(),
        kind: BlockKind::Subject,
        issuer: issuer.map(str::to_owned),
        value: "auth0|\u{fc}\u{2028}".to_owned(),
        created_at: START,
        expires_at: expires_at.map(UnixMs),
        reason: Some("left".to_owned()),
        created_by: "uid:0".to_owned(),
    }
}

async fn a_block_is_replaced_and_keeps_its_id(rig: Rig) {
    let first = block(None, None);
    let put = |block: Block| rig.store.put_block(block, event(code::BLOCK_ADDED));
    assert_eq!(put(first.clone()).await.unwrap().0, first);
    let other = put(block(Some("corp"), Some(START.0 + 5))).await.unwrap().0;
    assert_ne!(other.id, first.id, "another issuer is another block");
    let mut changed = block(None, Some(START.0 + 9));
    changed.reason = None;
    let kept = put(changed.clone()).await.unwrap().0;
    assert_eq!(kept, Block { id: first.id, ..changed });
    let events = rig.events().await;
    assert_eq!(events[2].credential_id.as_deref(), Some(first.id.as_str()));
    let listed = |now| rig.store.blocks(UnixMs(now), Page::default());
    assert_eq!(listed(START.0).await.unwrap().len(), 2);
    assert_eq!(
        listed(START.0 + 5).await.unwrap(),
        std::slice::from_ref(&kept),
        "its end is no longer in it"
    );
    let gone = rig.store.remove_block(first.id, event(code::BLOCK_REMOVED)).await.unwrap();
    assert_eq!(gone.unwrap().0, kept);
    let changes = rig.changes().await;
    assert_eq!(changes, [Change::BlockUpserted(other), Change::BlockRemoved(first.id)]);
}

async fn address_entries_are_replaced_listed_and_removed(rig: Rig) {
    let entry = |list: &str, net: &str, end: i64| IpEntry {
        owner: None,
        id: IpId::random().unwrap(),
        list: list.to_owned(),
        net: net.parse().unwrap(),
        created_at: START,
        expires_at: UnixMs(START.0 + end),
        note: None,
        created_by: "uid:0".to_owned(),
    };
    let put = |entry: IpEntry| rig.store.put_ip(entry, event(code::IP_ALLOWED));
    let four = put(entry("office", "203.0.113.7/32", 5)).await.unwrap().0;
    let six = put(entry("office", "2001:db8::/32", 9)).await.unwrap().0;
    let longer = put(entry("office", "203.0.113.7/32", 7)).await.unwrap().0;
    assert_eq!((longer.id, longer.expires_at.0), (four.id, START.0 + 7));
    put(entry("home", "203.0.113.7/32", 9)).await.unwrap();
    let listed = |list: Option<&str>, now: i64| {
        rig.store.ips(list.map(str::to_owned), UnixMs(START.0 + now), Page::default())
    };
    assert_eq!(listed(None, 0).await.unwrap().len(), 3);
    assert_eq!(listed(Some("office"), 7).await.unwrap(), std::slice::from_ref(&six));
    assert_eq!(listed(Some("none"), 0).await.unwrap(), []);
    let gone = rig.store.remove_ip(six.id, event(code::IP_REMOVED)).await.unwrap();
    assert_eq!(gone.unwrap().0, six);
    assert_eq!(rig.changes().await.last(), Some(&Change::IpRemoved(six.id)));
}

async fn the_first_sealed_blob_stays(rig: Rig) {
    assert!(!rig.store.any_sealed().await.unwrap());
    assert_eq!(rig.store.sealed("pepper").await.unwrap(), None);
    let puts = (0..8u8).map(|it| rig.store.put_sealed_if_absent("pepper", vec![it; 9], START));
    let kept: HashSet<Vec<u8>> = all(puts).await.into_iter().collect();
    assert_eq!(kept.len(), 1, "all are told of the same one");
    assert_eq!(rig.store.sealed("pepper").await.unwrap(), kept.into_iter().next());
    assert!(rig.store.any_sealed().await.unwrap());
}

/// Runs them all at the same time.
async fn all<T>(these: impl Iterator<Item = impl Future<Output = Result<T, PortError>>>) -> Vec<T> {
    let mut running: Vec<_> = these.map(Box::pin).collect();
    let mut done = Vec::new();
    std::future::poll_fn(|cx| {
        running.retain_mut(|it| match it.as_mut().poll(cx) {
            std::task::Poll::Ready(value) => {
                done.push(value.unwrap());
                false
            }
            std::task::Poll::Pending => true,
        });
        if running.is_empty() { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
    done
}

async fn rows_are_taken_in_order_and_once(rig: Rig) {
    let events: Vec<_> = (0..5).map(|_| event(code::ACT_REFUSED)).collect();
    for event in &events {
        rig.store.record(event.clone()).await.unwrap();
    }
    let two = rig.store.take(NODE, 2).await.unwrap();
    assert_eq!([&two[0].event, &two[1].event], [&events[0], &events[1]]);
    assert!(rig.store.take(NodeId(8), 9).await.unwrap().is_empty(), "they are another node's");
    let ids = vec![events[1].id, events[0].id, created().id];
    rig.store.mark_done(ids.clone(), START).await.unwrap();
    rig.store.mark_done(ids, START).await.unwrap();
    assert_eq!(rig.events().await, events[2..]);
}

async fn many_rows_are_marked_at_once(rig: Rig) {
    for count in [1, 31, 32, 33, 100] {
        let events: Vec<_> = (0..count).map(|_| event(code::ACT_REFUSED)).collect();
        for event in &events {
            rig.store.record(event.clone()).await.unwrap();
        }
        let left = event(code::ACT_REFUSED);
        rig.store.record(left.clone()).await.unwrap();
        let ids: Vec<_> = events.iter().map(|event| event.id).collect();
        rig.store.mark_done(ids.clone(), START).await.unwrap();
        assert_eq!(rig.events().await, std::slice::from_ref(&left));
        let again = rig.store.record(events[0].clone()).await;
        assert_eq!(again, Err(PortError::Conflict), "its id is still known");
        rig.store.mark_done(vec![left.id], START).await.unwrap();
    }
    rig.store.mark_done(vec![], START).await.unwrap();
    let swept = rig.store.sweep(START.plus(Duration::from_secs(25 * 3600))).await.unwrap();
    assert_eq!(swept.outbox, 202);
}

async fn an_event_is_kept_once(rig: Rig) {
    let event = event(code::ACT_REFUSED);
    rig.store.record(event.clone()).await.unwrap();
    assert_eq!(rig.store.record(event.clone()).await, Err(PortError::Conflict));
    rig.store.mark_done(vec![event.id], START).await.unwrap();
    assert_eq!(rig.store.record(event).await, Err(PortError::Conflict));
    assert_eq!(rig.events().await, []);
}

async fn rows_of_a_dead_node_are_adopted_unless_it_lives(rig: Rig) {
    let other = NodeId(u32::MAX);
    let mut event = event(code::ACT_REFUSED);
    event.node = other;
    rig.store.record(event.clone()).await.unwrap();
    let seen = rig.store.others_with_rows(NODE).await.unwrap();
    assert_eq!((seen.len(), seen[0].node, seen[0].beat), (1, other, 0));
    assert!(rig.store.others_with_rows(other).await.unwrap().is_empty());
    rig.store.beat(other, START).await.unwrap();
    assert_eq!(rig.store.adopt(NODE, seen[0]).await.unwrap(), 0, "it has given a sign of life");
    let seen = rig.store.others_with_rows(NODE).await.unwrap();
    assert_eq!(seen[0].beat, 1);
    assert_eq!(rig.store.adopt(NODE, seen[0]).await.unwrap(), 1);
    assert_eq!(rig.events().await, [event], "the event still says who wrote it");
    assert!(rig.store.take(other, 9).await.unwrap().is_empty());
}

async fn concurrent_intentions_are_all_kept(rig: Rig) {
    let keys: Vec<_> = (0..600).map(|_| key()).collect();
    let seqs = all(keys.iter().map(|key| rig.store.create_key(key.clone(), created()))).await;
    assert_eq!(seqs.iter().collect::<HashSet<_>>().len(), 600);
    for key in &keys {
        assert!(rig.store.key(key.id).await.unwrap().is_some());
    }
    assert_eq!((rig.events().await.len(), rig.feed().await.len()), (600, 600));
}

async fn a_sweep_removes_what_is_old_only(rig: Rig) {
    let old = created();
    rig.store.create_key(key(), old.clone()).await.unwrap();
    let mut young = created();
    young.time = START.plus(Duration::from_secs(3_000));
    rig.store.create_key(key(), young).await.unwrap();
    rig.store.mark_done(vec![old.id], START).await.unwrap();
    rig.store.put_block(block(None, Some(START.0 + 1)), event(code::BLOCK_ADDED)).await.unwrap();
    let swept = rig.store.sweep(START.plus(Duration::from_secs(3_599))).await.unwrap();
    assert_eq!((swept.feed, swept.outbox, swept.expired), (0, 0, 0));
    let late = START.plus(Duration::from_secs(8 * 24 * 3600));
    let swept = rig.store.sweep(late).await.unwrap();
    assert_eq!((swept.feed, swept.outbox, swept.expired), (3, 1, 1));
    assert_eq!(rig.events().await.len(), 2, "what the ledger has not got stays");
}

async fn what_is_acknowledged_is_there_after_reopening(rig: Rig) {
    let key = key();
    rig.store.create_key(key.clone(), created()).await.unwrap();
    let again = Store::open(&rig.url, START).await.unwrap();
    assert_eq!(again.key(key.id).await.unwrap(), Some(key));
}

async fn a_closed_store_says_so(rig: Rig) {
    let waiting = rig.store.clone();
    let waiting = tokio::spawn(async move { waiting.create_key(key(), created()).await });
    let within = tokio::time::timeout(Duration::from_secs(30), rig.store.close()).await;
    within.expect("closing ends");
    let waited = waiting.await.unwrap();
    assert!(matches!(waited, Ok(_) | Err(PortError::Unavailable(_))), "{waited:?}");
    let write = rig.store.create_key(key(), created()).await;
    assert!(matches!(write, Err(PortError::Unavailable(_))), "{write:?}");
    let read = rig.store.key(key().id).await;
    assert!(matches!(read, Err(PortError::Unavailable(_))), "{read:?}");
    rig.store.close().await;
}
