//! Device authorizations.

use super::{HOUR, MINUTE, at, event, grant, id, issued, mac, refresh, together};
use crate::both_engines;
use crate::rig::{Rig, START};
use authority::PortError;
use authority::oauth::ports::{DeviceStore as _, GrantStore as _, Polled};
use authority::oauth::records::{DeviceRecord, DeviceState, GrantKind, GrantRecord, Mac};
use base::code as codes;
use store::{Store, StoreUrl};

both_engines!(
    a_device_is_read_back_as_it_was_written,
    a_user_code_is_used_again_after_its_end_only,
    rfc8628_s3_5_early_polls_slow_down,
    an_allowed_device_gets_its_grant_once,
    a_denied_device_is_told_so,
    a_device_is_decided_once,
    a_device_of_another_client_is_gone,
    an_expired_device_is_gone,
    a_device_whose_grant_is_dead_is_gone,
    fifty_polls_at_once_give_one_grant,
);

fn device() -> DeviceRecord {
    DeviceRecord {
        user_code: id(),
        client: "app".to_owned(),
        scopes: vec!["openid".to_owned()],
        resources: vec![],
        authorization_details: serde_json::Value::Null,
        state: DeviceState::Waiting,
        next_poll_at: at(5_000),
        interval_seconds: 5,
        expires_at: at(10 * MINUTE),
    }
}

async fn asked(store: &Store) -> (Mac, DeviceRecord) {
    let (mac, device) = (mac(), device());
    store.create_device(mac, device.clone(), event(codes::GRANT_GIVEN, 0)).await.unwrap();
    (mac, device)
}

fn allowed() -> GrantRecord {
    GrantRecord { kind: GrantKind::Device, ..grant() }
}

async fn poll(store: &Store, mac: Mac, ms: i64) -> Polled {
    store.poll_device((mac, "app".to_owned()), None, at(ms), issued()).await.unwrap()
}

async fn decide(store: &Store, code: &str, grant: Option<GrantRecord>, ms: i64) -> bool {
    let act = event(codes::GRANT_GIVEN, ms);
    store.decide_device(code.to_owned(), grant, at(ms), act).await.unwrap()
}

async fn a_device_is_read_back_as_it_was_written(rig: Rig) {
    let (_, device) = asked(&rig.store).await;
    let find = |code: &str, ms: i64| rig.store.device_by_user_code(code.to_owned(), at(ms));
    let end = 10 * MINUTE;
    assert_eq!(find(&device.user_code, end - 1).await.unwrap(), Some(device.clone()));
    assert_eq!(find(&device.user_code, end).await.unwrap(), None);
    for odd in ["", "\0", "%"] {
        assert_eq!(find(odd, 0).await.unwrap(), None);
        assert!(!decide(&rig.store, odd, None, 0).await);
    }
    assert_eq!((rig.events().await.len(), rig.feed().await.len()), (1, 0));
}

async fn a_user_code_is_used_again_after_its_end_only(rig: Rig) {
    let (old, device) = asked(&rig.store).await;
    let again = |ms: i64| {
        let device = DeviceRecord { expires_at: at(HOUR), ..device.clone() };
        rig.store.create_device(mac(), device, event(codes::GRANT_GIVEN, ms))
    };
    assert_eq!(again(10 * MINUTE - 1).await, Err(PortError::Conflict));
    again(10 * MINUTE).await.unwrap();
    assert_eq!(poll(&rig.store, old, 10 * MINUTE).await, Polled::Gone);
    assert_eq!(rig.events().await.len(), 2);
}

async fn rfc8628_s3_5_early_polls_slow_down(rig: Rig) {
    let (mac, device) = asked(&rig.store).await;
    let expect = [
        // (when, answer, seconds between polls from then on)
        (4_999, Polled::TooEarly, 10),
        (5_000, Polled::TooEarly, 15),
        (20_000, Polled::Waiting, 15),
        (34_999, Polled::TooEarly, 20),
        (54_999, Polled::Waiting, 20),
    ];
    for (ms, answer, seconds) in expect {
        assert_eq!(poll(&rig.store, mac, ms).await, answer, "at {ms}");
        let now = rig.store.device_by_user_code(device.user_code.clone(), at(ms)).await.unwrap();
        let now = now.unwrap();
        assert_eq!(now.interval_seconds, seconds);
        assert_eq!(now.next_poll_at, at(ms + i64::from(seconds) * 1_000));
    }
    assert_eq!(rig.events().await.len(), 1, "polls are no acts");
}

async fn an_allowed_device_gets_its_grant_once(rig: Rig) {
    let (mac, device) = asked(&rig.store).await;
    let grant = allowed();
    assert!(decide(&rig.store, &device.user_code, Some(grant.clone()), 1).await);
    assert_eq!(rig.store.grant(grant.id.clone()).await.unwrap(), Some(grant.clone()));
    let mut token = refresh(&grant, 2);
    // The caller does not know the grant yet.
    token.record.grant = String::new();
    let polled = |token| rig.store.poll_device((mac, "app".to_owned()), token, at(2), issued());
    assert_eq!(polled(Some(token.clone())).await.unwrap(), Polled::Allowed(grant.clone()));
    let (kept, of) = rig.store.refresh(token.mac).await.unwrap().unwrap();
    assert_eq!((kept.grant, of), (grant.id.clone(), grant));
    assert_eq!(polled(None).await.unwrap(), Polled::Gone);
    assert_eq!(rig.events().await.len(), 3);
}

async fn a_denied_device_is_told_so(rig: Rig) {
    let (mac, device) = asked(&rig.store).await;
    assert!(decide(&rig.store, &device.user_code, None, 1).await);
    for _ in 0..2 {
        assert_eq!(poll(&rig.store, mac, 2).await, Polled::Denied);
    }
    assert_eq!(rig.events().await.len(), 2);
}

async fn a_device_is_decided_once(rig: Rig) {
    let (mac, device) = asked(&rig.store).await;
    let done = together((0..30).map(|number| {
        let (store, code) = (rig.store.clone(), device.user_code.clone());
        let grant = (number % 2 == 0).then(allowed);
        async move {
            let act = event(codes::GRANT_GIVEN, 1);
            let done = store.decide_device(code, grant.clone(), at(1), act).await?;
            Ok(done.then_some(grant))
        }
    }))
    .await;
    let decided: Vec<_> = done.into_iter().flatten().collect();
    assert_eq!(decided.len(), 1);
    let expected = match decided[0].clone() {
        Some(grant) => Polled::Allowed(grant),
        None => Polled::Denied,
    };
    assert_eq!(poll(&rig.store, mac, 2).await, expected);
    assert_eq!(rig.store.device_by_user_code(device.user_code, at(2)).await.unwrap(), None);
    assert!(rig.store.grants_of_user("alice".to_owned(), at(2)).await.unwrap().len() <= 1);
}

async fn a_device_of_another_client_is_gone(rig: Rig) {
    let (mac, device) = asked(&rig.store).await;
    decide(&rig.store, &device.user_code, Some(allowed()), 1).await;
    for other in ["other", "", "\0"] {
        let polled = rig.store.poll_device((mac, other.to_owned()), None, at(2), issued()).await;
        assert_eq!(polled.unwrap(), Polled::Gone);
    }
    assert_eq!(poll(&rig.store, super::mac(), 2).await, Polled::Gone);
    assert!(matches!(poll(&rig.store, mac, 2).await, Polled::Allowed(_)));
}

async fn an_expired_device_is_gone(rig: Rig) {
    let (mac, device) = asked(&rig.store).await;
    let end = 10 * MINUTE;
    assert!(!decide(&rig.store, &device.user_code, Some(allowed()), end).await);
    assert!(decide(&rig.store, &device.user_code, Some(allowed()), end - 1).await);
    assert_eq!(poll(&rig.store, mac, end).await, Polled::Gone);
    assert!(matches!(poll(&rig.store, mac, end - 1).await, Polled::Allowed(_)));
}

async fn a_device_whose_grant_is_dead_is_gone(rig: Rig) {
    let (mac, device) = asked(&rig.store).await;
    let grant = allowed();
    decide(&rig.store, &device.user_code, Some(grant.clone()), 1).await;
    let act = event(codes::GRANT_REVOKED, 2);
    rig.store.revoke_grant(grant.id, at(2), at(HOUR), act).await.unwrap().unwrap();
    assert_eq!(poll(&rig.store, mac, 3).await, Polled::Gone);
}

async fn fifty_polls_at_once_give_one_grant(rig: Rig) {
    let other = match rig.url {
        StoreUrl::Postgres(_) => Store::open(&rig.url, START).await.unwrap(),
        StoreUrl::Sqlite(_) => rig.store.clone(),
    };
    let (mac, device) = asked(&rig.store).await;
    let grant = allowed();
    decide(&rig.store, &device.user_code, Some(grant.clone()), 1).await;
    let tokens: Vec<_> = (0..50).map(|_| refresh(&grant, 2)).collect();
    let done = together(tokens.iter().cloned().enumerate().map(|(number, token)| {
        let store = if number % 2 == 0 { rig.store.clone() } else { other.clone() };
        let device = (mac, "app".to_owned());
        async move { store.poll_device(device, Some(token), at(2), issued()).await }
    }))
    .await;
    assert_eq!(done.iter().filter(|it| **it == Polled::Allowed(grant.clone())).count(), 1);
    assert_eq!(done.iter().filter(|it| **it == Polled::Gone).count(), 49);
    let mut kept = 0;
    for token in tokens {
        kept += usize::from(rig.store.refresh(token.mac).await.unwrap().is_some());
    }
    assert_eq!(kept, 1);
}
