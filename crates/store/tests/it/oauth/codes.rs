//! Grants and codes.

use super::{
    DAY, HOUR, MINUTE, at, code, event, grant, issued, mac, refresh, revocation, together, within,
};
use crate::both_engines;
use crate::rig::{Rig, START};
use authority::oauth::ports::{CodeCompany, GrantStore as _, PeopleStore as _, Redeemed, Rotated};
use authority::oauth::records::{
    AccessRecord, ConsentRecord, GrantRecord, Mac, PushedRecord, Revocation, RevocationKind,
};
use authority::{Change, PortError};
use base::{Outcome, code as codes};
use serde_json::json;
use std::collections::HashSet;
use store::{Store, StoreUrl};

both_engines!(
    a_code_is_read_back_as_it_was_written,
    a_code_is_redeemed_once,
    rfc6749_s4_1_2_a_code_used_twice_ends_its_grant,
    an_expired_code_is_gone,
    a_code_of_a_dead_grant_is_gone,
    a_revocation_of_client_or_subject_ends_what_was_granted_before_it,
    fifty_redemptions_at_once_give_one_token,
    a_pushed_request_is_spent_by_its_code,
    rfc9126_a_pushed_request_expires,
    one_of_fifty_codes_spends_the_pushed_request,
    a_consent_is_remembered_and_replaced,
    a_grant_is_revoked_once_and_for_all,
    grants_of_a_person_are_those_that_live,
    an_opaque_token_lives_until_its_end,
    once_is_once,
    what_cannot_be_a_key_finds_nothing,
    a_second_grant_of_the_same_id_leaves_no_trace,
);

/// Keeps a grant with its code.
async fn given(store: &Store) -> (GrantRecord, Mac) {
    let (grant, mac) = (grant(), mac());
    let company = CodeCompany::default();
    let given = event(codes::GRANT_GIVEN, 0);
    store.create_code(grant.clone(), (mac, code(&grant)), company, given).await.unwrap();
    (grant, mac)
}

async fn a_code_is_read_back_as_it_was_written(rig: Rig) {
    let (grant, mac) = given(&rig.store).await;
    let kept = rig.store.code(mac).await.unwrap();
    assert_eq!(kept, Some((code(&grant), grant.clone())));
    assert_eq!(rig.store.grant(grant.id.clone()).await.unwrap(), Some(grant.clone()));
    assert_eq!(rig.store.code(super::mac()).await.unwrap(), None);
    let mut bare = super::grant();
    (bare.user, bare.session, bare.auth_time, bare.acr) = (None, None, None, None);
    (bare.nonce, bare.dpop_jkt, bare.claims) = (None, None, json!(null));
    let mut with = code(&bare);
    (with.redirect_uri, with.challenge) = (None, None);
    let other = super::mac();
    let company = CodeCompany::default();
    rig.store.create_code(bare.clone(), (other, with.clone()), company, issued()).await.unwrap();
    assert_eq!(rig.store.code(other).await.unwrap(), Some((with, bare)));
    assert_eq!((rig.events().await.len(), rig.feed().await.len()), (2, 0));
}

async fn a_second_grant_of_the_same_id_leaves_no_trace(rig: Rig) {
    let (grant, _) = given(&rig.store).await;
    let mac = mac();
    let company = CodeCompany::default();
    let refused =
        rig.store.create_code(grant.clone(), (mac, code(&grant)), company, issued()).await;
    assert_eq!(refused, Err(PortError::Conflict));
    assert_eq!(rig.store.code(mac).await.unwrap(), None);
    assert_eq!(rig.events().await.len(), 1);
}

async fn a_code_is_redeemed_once(rig: Rig) {
    let (grant, mac) = given(&rig.store).await;
    let first = refresh(&grant, 5);
    let token = issued();
    let done = rig.store.redeem_code(mac, Some(first.clone()), at(5), token.clone()).await.unwrap();
    assert_eq!(done, Redeemed::Now(grant.clone()));
    let kept = rig.store.refresh(first.mac).await.unwrap();
    assert_eq!(kept, Some((first.record, grant.clone())));
    assert_eq!(rig.events().await.last(), Some(&token));
    assert!(rig.feed().await.is_empty());
    assert!(rig.store.code(mac).await.unwrap().is_some(), "it is kept, to be known again");
}

async fn rfc6749_s4_1_2_a_code_used_twice_ends_its_grant(rig: Rig) {
    let (grant, mac) = given(&rig.store).await;
    let first = refresh(&grant, 5);
    rig.store.redeem_code(mac, Some(first.clone()), at(5), issued()).await.unwrap();
    // Long after the code's own end.
    let again = rig.store.redeem_code(mac, Some(refresh(&grant, 9)), at(30 * MINUTE), issued());
    let Redeemed::Twice { grant: ended, seq } = again.await.unwrap() else { panic!("not twice") };
    assert_eq!(ended, grant.id);
    let kept = rig.store.grant(grant.id.clone()).await.unwrap().unwrap();
    assert_eq!(kept.revoked_at, Some(at(30 * MINUTE)));
    let feed = rig.feed().await;
    assert_eq!(feed.len(), 1);
    assert_eq!(feed[0].place.seq, seq);
    let Some(Change::Revoked(revoked)) = &feed[0].change else { panic!("no revocation") };
    assert_eq!((revoked.kind, &revoked.value), (RevocationKind::Grant, &grant.id));
    assert!(revoked.until >= at(30 * MINUTE + HOUR), "as long as a token of it may live");
    let last = rig.events().await.pop().unwrap();
    assert_eq!((last.code, last.outcome), (codes::GRANT_REVOKED, Outcome::Deny));
    assert!(last.detail.unwrap().contains(&grant.id));
    let dead = rig.store.refresh(first.mac).await.unwrap().unwrap().1;
    assert!(dead.revoked_at.is_some(), "what was issued on it is dead");
    assert_eq!(rig.store.refresh(refresh(&grant, 9).mac).await.unwrap(), None);
}

async fn an_expired_code_is_gone(rig: Rig) {
    let (grant, mac) = given(&rig.store).await;
    let first = refresh(&grant, 0);
    for late in [MINUTE, MINUTE + 1, DAY] {
        let done = rig.store.redeem_code(mac, Some(first.clone()), at(late), issued()).await;
        assert_eq!(done.unwrap(), Redeemed::Gone);
    }
    let unknown = rig.store.redeem_code(super::mac(), Some(first.clone()), START, issued()).await;
    assert_eq!(unknown.unwrap(), Redeemed::Gone);
    assert_eq!(rig.store.refresh(first.mac).await.unwrap(), None);
    assert_eq!(rig.events().await.len(), 1);
    let in_time = rig.store.redeem_code(mac, None, at(MINUTE - 1), issued()).await.unwrap();
    assert_eq!(in_time, Redeemed::Now(grant));
}

async fn a_code_of_a_dead_grant_is_gone(rig: Rig) {
    let (revoked, mac) = given(&rig.store).await;
    let act = event(codes::GRANT_REVOKED, 1);
    rig.store.revoke_grant(revoked.id, at(1), at(HOUR), act).await.unwrap().unwrap();
    assert_eq!(rig.store.redeem_code(mac, None, at(2), issued()).await.unwrap(), Redeemed::Gone);
    let mut short = grant();
    short.expires_at = at(10);
    let mac = super::mac();
    let company = CodeCompany::default();
    rig.store.create_code(short.clone(), (mac, code(&short)), company, issued()).await.unwrap();
    assert_eq!(rig.store.redeem_code(mac, None, at(10), issued()).await.unwrap(), Redeemed::Gone);
}

async fn a_revocation_of_client_or_subject_ends_what_was_granted_before_it(rig: Rig) {
    for (kind, value, user) in
        [(RevocationKind::Subject, "alice", "alice"), (RevocationKind::Client, "app", "carol")]
    {
        let (mut grant, mac) = (grant(), mac());
        grant.user = Some(user.to_owned());
        let (other, token) = (GrantRecord { id: super::id(), ..grant.clone() }, refresh(&grant, 0));
        let company = CodeCompany::default();
        rig.store.create_code(grant.clone(), (mac, code(&grant)), company, issued()).await.unwrap();
        rig.store.create_grant(other.clone(), Some(token.clone()), issued()).await.unwrap();
        assert_eq!(rig.store.grants_of_user(user.to_owned(), at(4)).await.unwrap().len(), 2);
        let act = event(codes::GRANT_REVOKED, 3);
        rig.store.revoke(revocation(kind, value, 3), act).await.unwrap();
        let done = rig.store.redeem_code(mac, None, at(4), issued()).await.unwrap();
        assert_eq!(done, Redeemed::Gone);
        assert_eq!(rig.store.grants_of_user(user.to_owned(), at(4)).await.unwrap(), []);
        // It holds grants dead even after gates may have forgotten it.
        rig.store.sweep(at(2 * DAY)).await.unwrap();
        assert_eq!(rig.store.revocation(kind, value.to_owned(), at(2 * DAY)).await.unwrap(), None);
        let kept = rig.store.grant(other.id).await.unwrap().unwrap();
        assert_eq!(kept.revoked_at, Some(at(3)));
        let child = refresh(&grant, 0);
        let done = rig.store.rotate_refresh(token.mac, child, within(2 * DAY), issued()).await;
        assert!(matches!(done.unwrap(), Rotated::Gone));
    }
    let mut later = grant();
    (later.created_at, later.user) = (at(4), Some("alice".to_owned()));
    rig.store.create_grant(later.clone(), None, issued()).await.unwrap();
    assert_eq!(rig.store.grant(later.id.clone()).await.unwrap(), Some(later), "what is new lives");
    let mut same_moment = grant();
    (same_moment.created_at, same_moment.user) = (at(3), None);
    rig.store.create_grant(same_moment.clone(), None, issued()).await.unwrap();
    let kept = rig.store.grant(same_moment.id).await.unwrap().unwrap();
    assert_eq!(kept.revoked_at, Some(at(3)), "at or before");
}

async fn fifty_redemptions_at_once_give_one_token(rig: Rig) {
    // SQLite has one writer, which belongs to one node.
    let other = match rig.url {
        StoreUrl::Postgres(_) => Store::open(&rig.url, START).await.unwrap(),
        StoreUrl::Sqlite(_) => rig.store.clone(),
    };
    for round in 1..=5 {
        let (grant, mac) = given(&rig.store).await;
        let tokens: Vec<_> = (0..50).map(|_| refresh(&grant, 1)).collect();
        let done = together(tokens.iter().cloned().enumerate().map(|(number, token)| {
            let store = if number % 2 == 0 { other.clone() } else { rig.store.clone() };
            async move { store.redeem_code(mac, Some(token), at(1), issued()).await }
        }))
        .await;
        let now = done.iter().filter(|it| matches!(it, Redeemed::Now(_))).count();
        let twice: HashSet<_> = done
            .iter()
            .filter_map(|it| match it {
                Redeemed::Twice { grant: ended, seq } if *ended == grant.id => Some(*seq),
                _ => None,
            })
            .collect();
        assert_eq!((now, twice.len()), (1, 49));
        assert!(rig.store.grant(grant.id).await.unwrap().unwrap().revoked_at.is_some());
        let mut kept = 0;
        for token in tokens {
            kept += usize::from(rig.store.refresh(token.mac).await.unwrap().is_some());
        }
        assert_eq!(kept, 1);
        let counts = (rig.events().await.len(), rig.feed().await.len());
        assert_eq!(counts, (51 * round, 49 * round));
    }
}

fn pushed() -> PushedRecord {
    PushedRecord {
        client: "app".to_owned(),
        params: "scope=openid&state=%00".to_owned(),
        dpop_jkt: None,
        expires_at: at(90_000),
    }
}

async fn a_pushed_request_is_spent_by_its_code(rig: Rig) {
    let request = mac();
    rig.store.push(request, pushed(), issued()).await.unwrap();
    assert_eq!(rig.store.pushed(request, START).await.unwrap(), Some(pushed()));
    let company = || CodeCompany { pushed: Some(request), ..CodeCompany::default() };
    let (first, one) = (grant(), mac());
    rig.store.create_code(first.clone(), (one, code(&first)), company(), issued()).await.unwrap();
    assert_eq!(rig.store.pushed(request, START).await.unwrap(), None);
    let (second, two) = (grant(), mac());
    let again =
        rig.store.create_code(second.clone(), (two, code(&second)), company(), issued()).await;
    assert_eq!(again, Err(PortError::Conflict));
    assert_eq!(rig.store.code(two).await.unwrap(), None);
    assert_eq!(rig.store.grant(second.id).await.unwrap(), None);
    assert_eq!(rig.events().await.len(), 2);
}

async fn rfc9126_a_pushed_request_expires(rig: Rig) {
    let request = mac();
    rig.store.push(request, pushed(), issued()).await.unwrap();
    assert!(rig.store.pushed(request, at(89_999)).await.unwrap().is_some());
    assert_eq!(rig.store.pushed(request, at(90_000)).await.unwrap(), None);
    assert_eq!(rig.store.push(request, pushed(), issued()).await, Err(PortError::Conflict));
}

async fn one_of_fifty_codes_spends_the_pushed_request(rig: Rig) {
    let request = mac();
    rig.store.push(request, pushed(), issued()).await.unwrap();
    let done = together((0..50).map(|_| {
        let store = rig.store.clone();
        let (grant, mac) = (grant(), mac());
        let company = CodeCompany { pushed: Some(request), ..CodeCompany::default() };
        async move {
            match store.create_code(grant.clone(), (mac, code(&grant)), company, issued()).await {
                Ok(()) => Ok(true),
                Err(PortError::Conflict) => Ok(false),
                Err(error) => Err(error),
            }
        }
    }))
    .await;
    assert_eq!(done.into_iter().filter(|it| *it).count(), 1);
}

async fn a_consent_is_remembered_and_replaced(rig: Rig) {
    let mut consent = ConsentRecord {
        user: "alice".to_owned(),
        client: "app".to_owned(),
        scopes: vec!["openid".to_owned()],
        resources: vec![],
        authorization_details: json!(null),
        at: START,
    };
    let find = || rig.store.consent("alice".to_owned(), "app".to_owned());
    assert_eq!(find().await.unwrap(), None);
    for scopes in [vec!["openid"], vec!["openid", "orders:read"]] {
        consent.scopes = scopes.into_iter().map(str::to_owned).collect();
        let (grant, mac) = (grant(), mac());
        let company = CodeCompany { consent: Some(consent.clone()), ..CodeCompany::default() };
        rig.store.create_code(grant.clone(), (mac, code(&grant)), company, issued()).await.unwrap();
        assert_eq!(find().await.unwrap(), Some(consent.clone()));
    }
}

async fn a_grant_is_revoked_once_and_for_all(rig: Rig) {
    let revoke = |id: &str, ms: i64, until: i64| {
        let act = event(codes::GRANT_REVOKED, ms);
        rig.store.revoke_grant(id.to_owned(), at(ms), at(until), act)
    };
    assert_eq!(revoke("none", 1, 2).await.unwrap(), None);
    assert_eq!((rig.events().await.len(), rig.feed().await.len()), (0, 0));
    let (grant, _) = given(&rig.store).await;
    let first = revoke(&grant.id, 10, HOUR).await.unwrap().unwrap();
    let again = revoke(&grant.id, 20, 2 * HOUR).await.unwrap().unwrap();
    assert!(again > first);
    // An earlier one that comes late takes nothing back.
    revoke(&grant.id, 5, MINUTE).await.unwrap().unwrap();
    let kept = rig.store.grant(grant.id.clone()).await.unwrap().unwrap();
    assert_eq!(kept.revoked_at, Some(at(10)));
    let expected = Revocation {
        kind: RevocationKind::Grant,
        value: grant.id.clone(),
        not_before: at(20),
        until: at(2 * HOUR),
    };
    let find = |ms: i64| rig.store.revocation(RevocationKind::Grant, grant.id.clone(), at(ms));
    assert_eq!(find(2 * HOUR - 1).await.unwrap(), Some(expected));
    assert_eq!(find(2 * HOUR).await.unwrap(), None);
    let other = rig.store.revocation(RevocationKind::Token, grant.id.clone(), START).await;
    assert_eq!(other.unwrap(), None);
    assert_eq!((rig.events().await.len(), rig.feed().await.len()), (4, 3));
}

async fn grants_of_a_person_are_those_that_live(rig: Rig) {
    let mut expected = Vec::new();
    for (ends, revoked, user) in
        [(5, false, "alice"), (99, true, "alice"), (99, false, "alice"), (99, false, "bob")]
    {
        let mut grant = grant();
        (grant.expires_at, grant.user) = (at(ends), Some(user.to_owned()));
        rig.store.create_grant(grant.clone(), None, issued()).await.unwrap();
        if revoked {
            let act = event(codes::GRANT_REVOKED, 1);
            rig.store.revoke_grant(grant.id, at(1), at(2), act).await.unwrap();
        } else if user == "alice" {
            expected.push(grant);
        }
    }
    let listed = |ms: i64| rig.store.grants_of_user("alice".to_owned(), at(ms));
    let mut all = listed(4).await.unwrap();
    all.sort_by_key(|it| it.expires_at);
    assert_eq!(all, expected);
    assert_eq!(listed(5).await.unwrap(), expected[1..]);
    assert_eq!(listed(99).await.unwrap(), []);
}

async fn an_opaque_token_lives_until_its_end(rig: Rig) {
    let token = AccessRecord { claims: json!({"sub": "alice", "n": 1.25}), expires_at: at(300) };
    let mac = mac();
    rig.store.put_access(mac, token.clone(), issued()).await.unwrap();
    assert_eq!(rig.store.access(mac, at(299)).await.unwrap(), Some(token.clone()));
    assert_eq!(rig.store.access(mac, at(300)).await.unwrap(), None);
    assert_eq!(rig.store.access(super::mac(), START).await.unwrap(), None);
    assert_eq!(rig.store.put_access(mac, token, issued()).await, Err(PortError::Conflict));
    assert_eq!(rig.events().await.len(), 1);
}

async fn once_is_once(rig: Rig) {
    for _ in 0..5 {
        let what = mac();
        let done = together((0..50).map(|number| {
            let store = rig.store.clone();
            async move { store.once(what, at(number)).await }
        }))
        .await;
        assert_eq!(done.into_iter().filter(|it| *it).count(), 1);
        assert!(!rig.store.once(what, at(DAY)).await.unwrap());
    }
    assert!(rig.events().await.is_empty());
}

async fn what_cannot_be_a_key_finds_nothing(rig: Rig) {
    for odd in ["", "\0", "a\0b", "%", "' OR 1=1 --", "\u{10ffff}"] {
        let odd = || odd.to_owned();
        assert_eq!(rig.store.grant(odd()).await.unwrap(), None);
        let found = rig.store.revocation(RevocationKind::Token, odd(), START).await;
        assert_eq!(found.unwrap(), None);
        let act = event(codes::GRANT_REVOKED, 1);
        assert_eq!(rig.store.revoke_grant(odd(), START, START, act).await.unwrap(), None);
        assert_eq!(rig.store.consent(odd(), odd()).await.unwrap(), None);
        assert_eq!(rig.store.grants_of_user("alice".to_owned(), START).await.unwrap(), []);
    }
}
