//! People's authenticators: what may be used once is, and what changes ends the other sessions.

use super::{HOUR, at, event, id, mac, revocation, together};
use crate::both_engines;
use crate::rig::{Rig, START};
use authority::oauth::ports::{AuthenticatorStore as _, PeopleStore as _};
use authority::oauth::records::{RevocationKind, SessionRecord, UserRecord};
use authority::people::records::AUTHENTICATORS_MOST;
use authority::people::{AuthenticatorData, AuthenticatorRecord, KeptCode};
use authority::{Change, PortError};
use base::code as codes;
use store::Store;

both_engines!(
    an_authenticator_is_read_back_as_it_was_written,
    a_handle_belongs_to_one,
    of_many_that_use_the_last_code_at_once_one_does,
    a_person_has_no_more_than_there_may_be,
    a_change_ends_the_other_sessions,
    all_of_a_person_go_together,
    an_account_comes_with_its_authenticators_or_not_at_all,
);

pub(super) async fn person(store: &Store) -> String {
    let user = UserRecord {
        id: id(),
        email: format!("{}@example.com", id()),
        email_verified: true,
        name: None,
        claims: serde_json::Map::new(),
        roles: Vec::new(),
        password: None,
        password_beside: false,
        setup: None,
        created_at: START,
        created_by: "uid:0".to_owned(),
        updated_at: START,
        disabled_at: None,
        directory: Default::default(),
        declared: None,
    };
    store.create_user(user.clone(), event(codes::USER_CREATED, 0)).await.unwrap();
    user.id
}

async fn an_account_comes_with_its_authenticators_or_not_at_all(rig: Rig) {
    let store = &rig.store;
    let blank = store.user(person(store).await).await.unwrap().unwrap();
    let user = || UserRecord { id: id(), email: format!("{}@example.com", id()), ..blank.clone() };
    let of = |user: &UserRecord| AuthenticatorRecord { handle: Some(id()), ..app(&user.id) };
    let imported = |user: &UserRecord, owned: &[AuthenticatorRecord]| {
        store.import_user(user.clone(), owned.to_vec(), event(codes::USER_CREATED, 0))
    };
    let ann = user();
    let apps = vec![of(&ann), of(&ann)];
    imported(&ann, &apps).await.unwrap();
    assert_eq!(store.user(ann.id.clone()).await.unwrap(), Some(ann.clone()));
    assert_eq!(store.authenticators(ann.id.clone()).await.unwrap().len(), 2);
    let bob = user();
    let same = AuthenticatorRecord { id: id(), user: bob.id.clone(), ..apps[1].clone() };
    for (user, owned) in [
        (bob.clone(), vec![of(&bob), same]),
        (UserRecord { email: ann.email.clone(), ..bob.clone() }, vec![of(&bob)]),
        (UserRecord { id: ann.id.clone(), ..bob.clone() }, vec![of(&bob)]),
    ] {
        assert_eq!(imported(&user, &owned).await, Err(PortError::Conflict));
        assert!(store.authenticators(bob.id.clone()).await.unwrap().is_empty());
        assert_eq!(store.user(bob.id.clone()).await.unwrap(), None);
    }
}

fn codes_of(user: &str) -> AuthenticatorRecord {
    AuthenticatorRecord {
        id: id(),
        user: user.to_owned(),
        name: "Recovery \u{fc}".to_owned(),
        handle: Some(format!("recovery:{user}")),
        data: AuthenticatorData::Recovery {
            codes: vec![KeptCode { mac: "5a".repeat(32), spent_at: None }],
        },
        created_at: START,
        last_used_at: None,
        failures: 0,
        failed: None,
    }
}

pub(super) fn app(user: &str) -> AuthenticatorRecord {
    let data = AuthenticatorData::Totp {
        sealed: "00ff".to_owned(),
        algorithm: "SHA1".to_owned(),
        last_step: Some(7),
        drift: -1,
    };
    AuthenticatorRecord { id: id(), handle: None, data, ..codes_of(user) }
}

pub(super) async fn session(store: &Store, user: &str) -> SessionRecord {
    let session = SessionRecord {
        id: id(),
        user: user.to_owned(),
        auth_time: START,
        amr: Vec::new(),
        acr: "aal1".to_owned(),
        created_at: START,
        expires_at: at(12 * HOUR),
        used_at: None,
        user_agent: String::new(),
        client_ip: None,
        clients: Vec::new(),
        proofs: Vec::new(),
    };
    let event = event(codes::LOGIN, 0);
    store.create_session(mac(), session.clone(), event).await.unwrap();
    session
}

async fn ids(store: &Store, user: &str) -> Vec<String> {
    let all = store.sessions(user.to_owned(), START).await.unwrap();
    all.into_iter().map(|it| it.id).collect()
}

async fn an_authenticator_is_read_back_as_it_was_written(rig: Rig) {
    let store = &rig.store;
    let user = person(store).await;
    let (first, second) = (codes_of(&user), app(&user));
    for record in [&first, &second] {
        store.add_authenticator(record.clone(), None, None).await.unwrap();
    }
    let mut expect = vec![first.clone(), second];
    expect.sort_by(|a, b| a.id.cmp(&b.id));
    assert_eq!(store.authenticators(user.clone()).await.unwrap(), expect);
    let handle = first.handle.clone().unwrap();
    assert_eq!(store.authenticator_by_handle(handle).await.unwrap(), Some(first));
    assert_eq!(store.authenticator_by_handle("other\0".to_owned()).await.unwrap(), None);
    assert_eq!(store.authenticators("nobody".to_owned()).await.unwrap(), []);
}

async fn a_handle_belongs_to_one(rig: Rig) {
    let store = &rig.store;
    let user = person(store).await;
    store.add_authenticator(codes_of(&user), None, None).await.unwrap();
    let again = store.add_authenticator(codes_of(&user), None, None).await;
    assert_eq!(again, Err(PortError::Conflict));
    assert_eq!(store.authenticators(user).await.unwrap().len(), 1);
}

async fn of_many_that_use_the_last_code_at_once_one_does(rig: Rig) {
    let store = &rig.store;
    let user = person(store).await;
    let before = codes_of(&user);
    store.add_authenticator(before.clone(), None, None).await.unwrap();
    let spent = |ms: i64| {
        let codes = vec![KeptCode { mac: "5a".repeat(32), spent_at: Some(at(ms)) }];
        AuthenticatorRecord { data: AuthenticatorData::Recovery { codes }, ..before.clone() }
    };
    let tries = (0..20).map(|ms| {
        let (store, before, after) = (store.clone(), before.clone(), spent(ms));
        async move { store.replace_authenticator(before, after, None).await }
    });
    let won = together(tries).await.into_iter().filter(|it| *it).count();
    assert_eq!(won, 1);
    let gone = store.remove_authenticator(before, None, None).await.unwrap();
    assert!(!gone, "who has seen it as it was before removes nothing");
}

async fn a_person_has_no_more_than_there_may_be(rig: Rig) {
    let store = &rig.store;
    let user = person(store).await;
    for _ in 1..AUTHENTICATORS_MOST {
        store.add_authenticator(app(&user), None, None).await.unwrap();
    }
    let tries = (0..4).map(|_| {
        let (store, record) = (store.clone(), app(&user));
        async move { Ok(store.add_authenticator(record, None, None).await.is_ok()) }
    });
    assert_eq!(together(tries).await.into_iter().filter(|it| *it).count(), 1);
    assert_eq!(store.authenticators(user).await.unwrap().len(), AUTHENTICATORS_MOST);
}

async fn a_change_ends_the_other_sessions(rig: Rig) {
    let store = &rig.store;
    let (user, other) = (person(store).await, person(store).await);
    let kept = session(store, &user).await.id;
    let mut ended = Vec::new();
    for of in [&user, &user, &other] {
        ended.push(session(store, of).await.id);
    }
    ended.truncate(2);
    let record = app(&user);
    let event = || Some(event(codes::AUTHENTICATOR_ADDED, 0));
    store.add_authenticator(record.clone(), Some(kept.clone()), event()).await.unwrap();
    assert_eq!(ids(store, &user).await, std::slice::from_ref(&kept));
    assert_eq!(ids(store, &other).await.len(), 1);
    // What rests on them at the gate ends with them.
    let told = rig.changes().await;
    let mut gone: Vec<_> = told
        .iter()
        .filter_map(|it| match it {
            Change::Revoked(it) if it.kind == RevocationKind::Session => Some(it.value.clone()),
            _ => None,
        })
        .collect();
    gone.sort();
    ended.sort();
    assert_eq!(gone, ended);
    // A request whose session ended while it was judged adds nothing; neither does one with another person's session.
    for gone in ["never".to_owned(), ids(store, &other).await.remove(0)] {
        let late = store.add_authenticator(app(&user), Some(gone), event()).await;
        assert!(matches!(late, Err(PortError::Conflict)), "{late:?}");
    }
    assert_eq!(ids(store, &user).await, std::slice::from_ref(&kept));
    session(store, &user).await;
    assert!(store.remove_authenticator(record, Some(kept.clone()), event()).await.unwrap());
    assert_eq!(ids(store, &user).await, [kept]);
    let (record, ended) = (app(&user), Some("ended".to_owned()));
    store.add_authenticator(record.clone(), None, None).await.unwrap();
    let late = store.remove_authenticator(record, ended, event()).await;
    assert_eq!(late, Err(PortError::Conflict), "a session that has ended removes nothing");
    assert_eq!(store.authenticators(user).await.unwrap().len(), 1);
}

async fn all_of_a_person_go_together(rig: Rig) {
    let store = &rig.store;
    let (user, other) = (person(store).await, person(store).await);
    for of in [&user, &user, &other] {
        store.add_authenticator(app(of), None, None).await.unwrap();
        session(store, of).await;
    }
    let before = store.user(user.clone()).await.unwrap().unwrap();
    let after = UserRecord { password: None, ..before.clone() };
    let event = || event(codes::AUTHENTICATOR_REMOVED, 0);
    let revoke = || revocation(RevocationKind::Subject, &user, 1);
    let done = store.reset_user(before.clone(), after.clone(), revoke(), event()).await.unwrap();
    assert_eq!(done.map(|(_, removed)| removed), Some(2));
    assert_eq!(store.user(user.clone()).await.unwrap(), Some(after.clone()));
    // Whoever saw the account as it was before changes nothing.
    store.add_authenticator(app(&user), None, None).await.unwrap();
    let stale = UserRecord { name: Some("Old".to_owned()), ..before };
    assert_eq!(store.reset_user(stale, after.clone(), revoke(), event()).await.unwrap(), None);
    assert_eq!(store.authenticators(user.clone()).await.unwrap().len(), 1);
    let again = store.reset_user(after.clone(), after, revoke(), event()).await.unwrap();
    assert_eq!(again.map(|(_, removed)| removed), Some(1));
    assert_eq!(store.authenticators(user.clone()).await.unwrap(), []);
    assert_eq!(ids(store, &user).await, Vec::<String>::new());
    assert_eq!(store.authenticators(other.clone()).await.unwrap().len(), 1);
    assert_eq!(ids(store, &other).await.len(), 1);
}
