//! What is swept away, and when.

use super::{DAY, HOUR, MINUTE, at, code, grant, issued, mac, refresh, within};
use crate::both_engines;
use crate::rig::Rig;
use authority::oauth::ports::{
    CodeCompany, DeviceStore as _, GrantStore as _, LetterStore as _, PeopleStore as _, Redeemed,
    Rotated,
};
use authority::oauth::records::{
    AccessRecord, DeviceRecord, DeviceState, LetterRecord, PushedRecord, SessionRecord,
};

both_engines!(
    short_lived_things_go_after_their_end,
    a_spent_code_is_known_while_its_tokens_may_live,
    an_unused_code_takes_its_grant_with_it,
    a_grant_goes_with_its_refresh_tokens,
    many_rows_go_in_one_sweep,
);

async fn swept(rig: &Rig, ms: i64) -> u64 {
    rig.store.sweep(at(ms)).await.unwrap().authority
}

async fn short_lived_things_go_after_their_end(rig: Rig) {
    let end = at(MINUTE);
    let pushed = PushedRecord {
        client: "app".to_owned(),
        params: String::new(),
        dpop_jkt: None,
        expires_at: end,
    };
    rig.store.push(mac(), pushed, issued()).await.unwrap();
    let access = AccessRecord { claims: serde_json::Value::Null, expires_at: end };
    rig.store.put_access(mac(), access, issued()).await.unwrap();
    let what = mac();
    rig.store.once(what, end).await.unwrap();
    let device = DeviceRecord {
        user_code: "BCDFGHJK".to_owned(),
        client: "app".to_owned(),
        scopes: vec![],
        resources: vec![],
        authorization_details: serde_json::Value::Null,
        state: DeviceState::Waiting,
        next_poll_at: at(0),
        interval_seconds: 5,
        expires_at: end,
    };
    rig.store.create_device(mac(), device, issued()).await.unwrap();
    let session = SessionRecord {
        id: super::id(),
        user: "alice".to_owned(),
        auth_time: at(0),
        amr: vec![],
        acr: String::new(),
        created_at: at(0),
        expires_at: end,
        used_at: None,
        user_agent: String::new(),
        client_ip: None,
        clients: vec![],
        proofs: Vec::new(),
    };
    rig.store.create_session(mac(), session, issued()).await.unwrap();
    let letter = LetterRecord {
        user: "alice".to_owned(),
        email: String::new(),
        browser: String::new(),
        created_at: at(0),
        expires_at: end,
        purpose: Default::default(),
        before: None,
    };
    rig.store.put_letter(mac(), letter, 1, issued()).await.unwrap();
    // Five minutes, for clocks that differ.
    assert_eq!(swept(&rig, 6 * MINUTE).await, 0);
    assert!(!rig.store.once(what, end).await.unwrap());
    assert_eq!(swept(&rig, 6 * MINUTE + 1).await, 6);
    assert_eq!(swept(&rig, DAY).await, 0);
}

async fn a_spent_code_is_known_while_its_tokens_may_live(rig: Rig) {
    let (grant, mac) = (grant(), mac());
    let company = CodeCompany::default();
    rig.store.create_code(grant.clone(), (mac, code(&grant)), company, issued()).await.unwrap();
    rig.store.redeem_code(mac, None, at(1), issued()).await.unwrap();
    assert_eq!(swept(&rig, MINUTE + HOUR).await, 0);
    let again = rig.store.redeem_code(mac, None, at(MINUTE + HOUR), issued()).await.unwrap();
    assert!(matches!(again, Redeemed::Twice { .. }));
    assert_eq!(swept(&rig, MINUTE + HOUR + 1).await, 1);
    let again = rig.store.redeem_code(mac, None, at(2 * HOUR), issued()).await.unwrap();
    assert_eq!(again, Redeemed::Gone);
    assert!(rig.store.grant(grant.id).await.unwrap().is_some(), "the grant is not its code");
}

async fn an_unused_code_takes_its_grant_with_it(rig: Rig) {
    let (grant, mac) = (grant(), mac());
    let company = CodeCompany::default();
    rig.store.create_code(grant.clone(), (mac, code(&grant)), company, issued()).await.unwrap();
    assert_eq!(swept(&rig, MINUTE + HOUR).await, 0);
    assert_eq!(swept(&rig, MINUTE + HOUR + 1).await, 2);
    assert_eq!(rig.store.grant(grant.id).await.unwrap(), None);
    assert_eq!(rig.store.code(mac).await.unwrap(), None);
}

async fn a_grant_goes_with_its_refresh_tokens(rig: Rig) {
    let mut grant = grant();
    grant.expires_at = at(DAY);
    let mut token = refresh(&grant, 0);
    let first = token.mac;
    rig.store.create_grant(grant.clone(), Some(token.clone()), issued()).await.unwrap();
    for ms in 1..4 {
        let child = refresh(&grant, ms);
        rig.store.rotate_refresh(token.mac, child.clone(), within(ms), issued()).await.unwrap();
        token = child;
    }
    assert_eq!(swept(&rig, HOUR).await, 3, "sealed children");
    assert_eq!(swept(&rig, DAY + HOUR).await, 0);
    assert!(rig.store.refresh(first).await.unwrap().is_some());
    assert_eq!(swept(&rig, DAY + HOUR + 1).await, 5);
    assert_eq!(rig.store.refresh(first).await.unwrap(), None);
    assert_eq!(rig.store.grant(grant.id.clone()).await.unwrap(), None);
    let done = rig.store.rotate_refresh(first, token, within(2 * DAY), issued()).await.unwrap();
    assert!(matches!(done, Rotated::Gone));
}

async fn many_rows_go_in_one_sweep(rig: Rig) {
    super::together((0..2_500).map(|_| {
        let store = rig.store.clone();
        async move { store.once(mac(), at(0)).await }
    }))
    .await;
    assert_eq!(swept(&rig, DAY).await, 2_500);
}
