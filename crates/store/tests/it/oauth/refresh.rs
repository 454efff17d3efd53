//! Refresh tokens.

use super::{DAY, HOUR, at, event, grant, issued, mac, refresh, together, within};
use crate::both_engines;
use crate::rig::{Rig, START};
use authority::Change;
use authority::oauth::ports::{GrantStore as _, Rotated};
use authority::oauth::records::{GrantRecord, NewRefresh, RevocationKind};
use base::{Outcome, code as codes};
use std::collections::HashSet;
use store::{Store, StoreUrl};

both_engines!(
    a_parent_gives_one_child,
    the_same_parent_gives_the_same_child_within_the_window,
    rfc9700_s4_14_2_reuse_after_the_window_ends_the_grant,
    reuse_is_known_for_as_long_as_the_grant_would_live,
    an_expired_token_is_gone,
    a_token_of_a_dead_grant_is_gone,
    fifty_uses_at_once_give_one_child,
    fifty_reuses_at_once_end_the_grant,
    a_chain_of_uses_at_once_stays_one_chain,
    a_wiped_child_is_neither_given_nor_held_against_anybody,
    a_token_that_is_kept_moves_its_end,
    uses_and_revocations_at_once_end_in_a_dead_grant,
);

/// Keeps a grant and its first token.
async fn given(store: &Store) -> (GrantRecord, NewRefresh) {
    let grant = grant();
    let first = refresh(&grant, 0);
    store.create_grant(grant.clone(), Some(first.clone()), issued()).await.unwrap();
    (grant, first)
}

async fn a_parent_gives_one_child(rig: Rig) {
    let (grant, first) = given(&rig.store).await;
    let kept = rig.store.refresh(first.mac).await.unwrap();
    assert_eq!(kept, Some((first.record.clone(), grant.clone())));
    let child = refresh(&grant, 5);
    let used = event(codes::TOKEN_REFRESHED, 5);
    let done = rig.store.rotate_refresh(first.mac, child.clone(), within(5), used.clone()).await;
    assert!(matches!(done.unwrap(), Rotated::Now(it) if it == grant));
    let kept = rig.store.refresh(child.mac).await.unwrap();
    assert_eq!(kept, Some((child.record, grant)));
    assert!(rig.store.refresh(first.mac).await.unwrap().is_some(), "it is kept, to be known again");
    assert_eq!(rig.events().await.last(), Some(&used));
    assert!(rig.feed().await.is_empty());
    let unknown = rig.store.rotate_refresh(mac(), first, within(5), issued()).await.unwrap();
    assert!(matches!(unknown, Rotated::Gone));
    assert_eq!(rig.events().await.len(), 2);
}

async fn the_same_parent_gives_the_same_child_within_the_window(rig: Rig) {
    let (grant, first) = given(&rig.store).await;
    let child = refresh(&grant, 5);
    rig.store.rotate_refresh(first.mac, child.clone(), within(5), issued()).await.unwrap();
    // A clock that is behind, the same moment, and the last one.
    for ms in [4, 5, 5_000, 10_005] {
        let other = refresh(&grant, ms);
        let done = rig.store.rotate_refresh(first.mac, other.clone(), within(ms), issued()).await;
        let Rotated::Same(of, sealed) = done.unwrap() else { panic!("not the same at {ms}") };
        assert_eq!((of, &sealed), (grant.clone(), child.sealed.expose()));
        assert_eq!(rig.store.refresh(other.mac).await.unwrap(), None);
    }
    assert_eq!(rig.events().await.len(), 6, "each has brought an access token");
}

async fn rfc9700_s4_14_2_reuse_after_the_window_ends_the_grant(rig: Rig) {
    let (grant, first) = given(&rig.store).await;
    let child = refresh(&grant, 5);
    rig.store.rotate_refresh(first.mac, child.clone(), within(5), issued()).await.unwrap();
    let third = refresh(&grant, 9);
    let reuse = rig.store.rotate_refresh(first.mac, third.clone(), within(10_006), issued()).await;
    let Rotated::Reused { grant: ended, seq } = reuse.unwrap() else { panic!("not reused") };
    assert_eq!(ended, grant.id);
    let feed = rig.feed().await;
    assert_eq!((feed.len(), feed[0].place.seq), (1, seq));
    let Some(Change::Revoked(revoked)) = &feed[0].change else { panic!("no revocation") };
    assert_eq!((revoked.kind, &revoked.value), (RevocationKind::Grant, &grant.id));
    assert_eq!((revoked.not_before, revoked.until >= at(10_006 + HOUR)), (at(10_006), true));
    let last = rig.events().await.pop().unwrap();
    assert_eq!((last.code, last.outcome), (codes::GRANT_REVOKED, Outcome::Deny));
    // The family is dead: the child, the parent, and nothing else was made.
    for dead in [child.mac, first.mac] {
        let done = rig.store.rotate_refresh(dead, third.clone(), within(10_007), issued()).await;
        assert!(matches!(done.unwrap(), Rotated::Gone));
    }
    assert_eq!(rig.store.refresh(third.mac).await.unwrap(), None);
}

async fn reuse_is_known_for_as_long_as_the_grant_would_live(rig: Rig) {
    let (grant, first) = given(&rig.store).await;
    let child = refresh(&grant, 5);
    rig.store.rotate_refresh(first.mac, child.clone(), within(5), issued()).await.unwrap();
    rig.store.sweep(at(89 * DAY)).await.unwrap();
    let reuse =
        rig.store.rotate_refresh(first.mac, child, within(89 * DAY), issued()).await.unwrap();
    assert!(matches!(reuse, Rotated::Reused { .. }), "even though it would have expired unused");
}

async fn an_expired_token_is_gone(rig: Rig) {
    let (grant, first) = given(&rig.store).await;
    let child = refresh(&grant, 1);
    for late in [14 * DAY, 14 * DAY + 1] {
        let done = rig.store.rotate_refresh(first.mac, child.clone(), within(late), issued()).await;
        assert!(matches!(done.unwrap(), Rotated::Gone));
    }
    let done = rig.store.rotate_refresh(first.mac, child, within(14 * DAY - 1), issued()).await;
    assert!(matches!(done.unwrap(), Rotated::Now(_)));
}

async fn a_token_of_a_dead_grant_is_gone(rig: Rig) {
    let (grant, first) = given(&rig.store).await;
    let child = refresh(&grant, 1);
    rig.store.rotate_refresh(first.mac, child.clone(), within(1), issued()).await.unwrap();
    let act = event(codes::GRANT_REVOKED, 2);
    rig.store.revoke_grant(grant.id, at(2), at(HOUR), act).await.unwrap().unwrap();
    for token in [&first, &child] {
        let third = refresh(&super::grant(), 3);
        let done = rig.store.rotate_refresh(token.mac, third, within(3), issued()).await.unwrap();
        assert!(matches!(done, Rotated::Gone), "not even within the window");
        let kept = rig.store.keep_refresh(token.mac, at(DAY), at(3), issued()).await.unwrap();
        assert_eq!(kept, None);
    }
    let mut short = super::grant();
    short.expires_at = at(10);
    let first = refresh(&short, 0);
    rig.store.create_grant(short.clone(), Some(first.clone()), issued()).await.unwrap();
    let late = rig.store.rotate_refresh(first.mac, refresh(&short, 10), within(10), issued()).await;
    assert!(matches!(late.unwrap(), Rotated::Gone));
}

/// Two nodes at PostgreSQL, one at SQLite, whose one writer belongs to one process.
async fn nodes(rig: &Rig) -> [Store; 2] {
    match rig.url {
        StoreUrl::Postgres(_) => [rig.store.clone(), Store::open(&rig.url, START).await.unwrap()],
        StoreUrl::Sqlite(_) => [rig.store.clone(), rig.store.clone()],
    }
}

async fn fifty_at_once(
    rig: &Rig,
    parent: &NewRefresh,
    grant: &GrantRecord,
    ms: i64,
) -> Vec<(Rotated, NewRefresh)> {
    let nodes = nodes(rig).await;
    let mac = parent.mac;
    together((0..50).map(|number| {
        let store = nodes[number % 2].clone();
        let child = refresh(grant, ms);
        async move {
            let done = store.rotate_refresh(mac, child.clone(), within(ms), issued()).await?;
            Ok((done, child))
        }
    }))
    .await
}

async fn fifty_uses_at_once_give_one_child(rig: Rig) {
    for _ in 0..5 {
        let (grant, first) = given(&rig.store).await;
        let done = fifty_at_once(&rig, &first, &grant, 1).await;
        let made: Vec<_> =
            done.iter().filter(|(it, _)| matches!(it, Rotated::Now(_))).map(|it| &it.1).collect();
        assert_eq!(made.len(), 1);
        let same = done.iter().filter(
            |(it, _)| matches!(it, Rotated::Same(_, sealed) if sealed == made[0].sealed.expose()),
        );
        assert_eq!(same.count(), 49);
        for (_, child) in &done {
            let kept = rig.store.refresh(child.mac).await.unwrap().is_some();
            assert_eq!(kept, child.mac == made[0].mac);
        }
        assert_eq!(rig.store.grant(grant.id.clone()).await.unwrap(), Some(grant));
    }
}

async fn fifty_reuses_at_once_end_the_grant(rig: Rig) {
    let (grant, first) = given(&rig.store).await;
    fifty_at_once(&rig, &first, &grant, 1).await;
    let done = fifty_at_once(&rig, &first, &grant, 20_000).await;
    assert!(done.iter().any(|(it, _)| matches!(it, Rotated::Reused { .. })));
    assert!(done.iter().all(|(it, _)| matches!(it, Rotated::Reused { .. } | Rotated::Gone)));
    assert!(rig.store.grant(grant.id).await.unwrap().unwrap().revoked_at.is_some());
    assert!(!rig.feed().await.is_empty());
}

async fn a_chain_of_uses_at_once_stays_one_chain(rig: Rig) {
    let (grant, mut parent) = given(&rig.store).await;
    let mut chain = HashSet::from([parent.mac]);
    for round in 1..6 {
        let done = fifty_at_once(&rig, &parent, &grant, round).await;
        let next = done.into_iter().find(|(it, _)| matches!(it, Rotated::Now(_))).unwrap().1;
        assert!(chain.insert(next.mac));
        parent = next;
    }
    assert!(rig.store.refresh(parent.mac).await.unwrap().unwrap().1.revoked_at.is_none());
}

async fn a_wiped_child_is_neither_given_nor_held_against_anybody(rig: Rig) {
    let (grant, first) = given(&rig.store).await;
    let child = refresh(&grant, 0);
    rig.store.rotate_refresh(first.mac, child.clone(), within(0), issued()).await.unwrap();
    rig.store.sweep(at(12_000)).await.unwrap();
    let same = rig.store.rotate_refresh(first.mac, child.clone(), within(10_000), issued()).await;
    assert!(matches!(same.unwrap(), Rotated::Same(..)), "the sweep leaves nodes two seconds");
    let swept = rig.store.sweep(at(12_001)).await.unwrap();
    assert_eq!(swept.authority, 1);
    let late = rig.store.rotate_refresh(first.mac, child.clone(), within(10_000), issued()).await;
    assert!(matches!(late.unwrap(), Rotated::Gone));
    assert_eq!(rig.store.grant(grant.id.clone()).await.unwrap().unwrap().revoked_at, None);
    let reuse = rig.store.rotate_refresh(first.mac, child, within(10_001), issued()).await.unwrap();
    assert!(matches!(reuse, Rotated::Reused { .. }), "that it was spent is not forgotten");
}

async fn a_token_that_is_kept_moves_its_end(rig: Rig) {
    let (grant, first) = given(&rig.store).await;
    let keep =
        |until: i64, now: i64| rig.store.keep_refresh(first.mac, at(until), at(now), issued());
    assert_eq!(keep(20 * DAY, DAY).await.unwrap(), Some(grant.clone()));
    assert_eq!(keep(15 * DAY, DAY).await.unwrap(), Some(grant.clone()));
    let kept = rig.store.refresh(first.mac).await.unwrap().unwrap().0;
    assert_eq!(kept.expires_at, at(20 * DAY), "never to an earlier time");
    assert_eq!(keep(40 * DAY, 20 * DAY).await.unwrap(), None, "it has ended");
    let unknown = rig.store.keep_refresh(mac(), at(DAY), START, issued()).await.unwrap();
    assert_eq!(unknown, None);
    let child = refresh(&grant, 1);
    rig.store.rotate_refresh(first.mac, child, within(DAY), issued()).await.unwrap();
    assert_eq!(keep(40 * DAY, DAY).await.unwrap(), None, "it is spent");
    assert_eq!(rig.events().await.len(), 4);
}

async fn uses_and_revocations_at_once_end_in_a_dead_grant(rig: Rig) {
    for _ in 0..3 {
        let (grant, first) = given(&rig.store).await;
        let nodes = nodes(&rig).await;
        together((0..40i64).map(|number| {
            let (store, grant) = (nodes[number as usize % 2].clone(), grant.clone());
            let (mac, child) = (first.mac, refresh(&grant, 1));
            async move {
                let act = event(codes::GRANT_REVOKED, 1);
                match number % 4 {
                    0 => drop(store.revoke_grant(grant.id, at(1), at(HOUR), act).await?),
                    // Reuse, for whoever comes after a use.
                    1 => drop(store.rotate_refresh(mac, child, within(20_000), issued()).await?),
                    2 => drop(store.sweep(at(1)).await?),
                    _ => drop(store.rotate_refresh(mac, child, within(1), issued()).await?),
                }
                Ok(())
            }
        }))
        .await;
        assert!(rig.store.grant(grant.id.clone()).await.unwrap().unwrap().revoked_at.is_some());
        let child = refresh(&grant, 2);
        let done = rig.store.rotate_refresh(first.mac, child, within(2), issued()).await.unwrap();
        assert!(matches!(done, Rotated::Gone));
    }
}
