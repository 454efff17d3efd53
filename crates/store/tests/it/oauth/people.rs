//! People and their sessions.

use super::{HOUR, at, code, event, grant, id, issued, mac, refresh, revocation, together};
use crate::both_engines;
use crate::rig::{Rig, START};
use authority::oauth::ports::{CodeCompany, GrantStore as _, PeopleStore as _, Redeemed, TextPage};
use authority::oauth::records::{
    GrantRecord, InFile, Mac, RevocationKind, SessionRecord, UserRecord,
};
use authority::{Change, PortError};
use base::code as codes;
use std::collections::BTreeSet;
use store::Store;

both_engines!(
    what_is_redeemed_is_read_with_its_person_as_it_is_now,
    a_person_is_read_back_as_they_were_written,
    an_address_belongs_to_one_person,
    a_person_is_replaced_if_they_are_as_before,
    a_revocation_ends_all_sessions_of_the_person,
    people_are_listed_by_id_page_by_page,
    a_session_lives_until_its_end,
    a_session_is_replaced_and_loses_no_client,
    clients_that_join_at_once_all_join,
    a_session_is_ended_once,
    sessions_end_while_codes_are_given,
    people_are_found_by_what_a_directory_calls_them,
    those_of_the_file_are_listed_apart,
);

pub(crate) fn user(email: &str) -> UserRecord {
    let mut claims = serde_json::Map::new();
    claims.insert("locale".to_owned(), "de".into());
    claims.insert("address".to_owned(), serde_json::json!({"country": "\u{d6}"}));
    UserRecord {
        id: id(),
        email: email.to_owned(),
        email_verified: true,
        name: Some("\u{c4}lice".to_owned()),
        claims,
        roles: vec!["operator".to_owned()],
        password: Some("$argon2id$v=19$m=19456,t=2,p=1$c2FsdA$aGFzaA".to_owned()),
        password_beside: false,
        setup: Some(("5a".repeat(32), at(HOUR))),
        created_at: START,
        created_by: "uid:0".to_owned(),
        updated_at: START,
        disabled_at: None,
        directory: Default::default(),
        declared: None,
    }
}

async fn people_are_found_by_what_a_directory_calls_them(rig: Rig) {
    let store = &rig.store;
    let called = |external: Option<&str>| {
        let mut user = user(&format!("{}@example.com", id()));
        user.directory.external_id = external.map(str::to_owned);
        user
    };
    let (one, other, none) = (called(Some("e-7")), called(Some("e-7")), called(None));
    for user in [&one, &other, &none] {
        store.create_user(user.clone(), event(codes::USER_CREATED, 0)).await.unwrap();
    }
    let found = store.users_by_external_id("e-7".to_owned()).await.unwrap();
    let ids = |users: &[UserRecord]| users.iter().map(|it| it.id.clone()).collect::<BTreeSet<_>>();
    assert_eq!(ids(&found), BTreeSet::from([one.id.clone(), other.id.clone()]));
    let mut after = one.clone();
    after.directory.external_id = Some("e-8".to_owned());
    store
        .replace_user(one.clone(), after.clone(), None, event(codes::USER_CHANGED, 1))
        .await
        .unwrap();
    assert_eq!(store.users_by_external_id("e-7".to_owned()).await.unwrap(), [other]);
    assert_eq!(store.users_by_external_id("e-8".to_owned()).await.unwrap(), [after]);
    assert!(store.users_by_external_id("E-8".to_owned()).await.unwrap().is_empty());
    assert!(store.users_by_external_id("\0".to_owned()).await.unwrap().is_empty());
}

async fn those_of_the_file_are_listed_apart(rig: Rig) {
    let store = &rig.store;
    let page = |after: &str, rows: u32| TextPage { after: after.to_owned(), rows };
    let mut declared = Vec::new();
    for place in [None, Some(InFile::default()), Some(InFile { hash: Some("aa".to_owned()) })] {
        let user = UserRecord { declared: place, ..user(&format!("{}@example.com", id())) };
        store.create_user(user.clone(), event(codes::USER_CREATED, 0)).await.unwrap();
        declared.extend(user.declared.is_some().then_some(user));
    }
    declared.sort_by(|a, b| a.id.cmp(&b.id));
    assert_eq!(store.declared_users(page("", 10)).await.unwrap(), declared);
    assert_eq!(store.declared_users(page("", 1)).await.unwrap(), declared[..1]);
    assert_eq!(store.declared_users(page(&declared[0].id, 10)).await.unwrap(), declared[1..]);
    let after = UserRecord { declared: None, ..declared[0].clone() };
    let done = store.replace_user(declared[0].clone(), after, None, event(codes::USER_CHANGED, 1));
    done.await.unwrap();
    assert_eq!(store.declared_users(page("", 10)).await.unwrap(), declared[1..]);
}

pub(super) fn session(user: &str) -> SessionRecord {
    SessionRecord {
        id: id(),
        user: user.to_owned(),
        auth_time: START,
        amr: vec!["pwd".to_owned()],
        acr: "aal1".to_owned(),
        created_at: START,
        expires_at: at(12 * HOUR),
        used_at: None,
        user_agent: "Mozilla/5.0".to_owned(),
        client_ip: Some("2001:db8::1".parse().unwrap()),
        clients: vec![],
        proofs: Vec::new(),
    }
}

pub(super) async fn made(store: &Store, email: &str) -> UserRecord {
    let user = user(email);
    store.create_user(user.clone(), event(codes::USER_CREATED, 0)).await.unwrap();
    user
}

pub(super) async fn begun(store: &Store, user: &str) -> (Mac, SessionRecord) {
    let (mac, session) = (mac(), session(user));
    store.create_session(mac, session.clone(), event(codes::USER_CREATED, 0)).await.unwrap();
    (mac, session)
}

async fn what_is_redeemed_is_read_with_its_person_as_it_is_now(rig: Rig) {
    let store = &rig.store;
    let ada = user("ada@example.com");
    let of = |person: Option<&str>| GrantRecord { user: person.map(str::to_owned), ..grant() };
    let (hers, nobodys, strangers) = (of(Some(&ada.id)), of(None), of(Some("nobody")));
    let mut kept = Vec::new();
    for grant in [&hers, &nobodys, &strangers] {
        let (one, token) = (mac(), refresh(grant, 0));
        let company = CodeCompany::default();
        store.create_code(grant.clone(), (one, code(grant)), company, issued()).await.unwrap();
        assert!(matches!(
            store.redeem_code(one, Some(token.clone()), at(1), issued()).await.unwrap(),
            Redeemed::Now(_)
        ));
        kept.push((grant.clone(), one, token));
    }
    let check = async |person: Option<&UserRecord>| {
        for (grant, one, token) in &kept {
            let person = person.filter(|it| grant.user.as_ref() == Some(&it.id)).cloned();
            let found = store.code_and_person(*one).await.unwrap();
            assert_eq!(found, Some((code(grant), grant.clone(), person.clone())));
            let found = store.refresh_and_person(token.mac).await.unwrap();
            assert_eq!(found, Some((token.record.clone(), grant.clone(), person)));
        }
    };
    check(None).await;
    store.create_user(ada.clone(), event(codes::USER_CREATED, 0)).await.unwrap();
    check(Some(&ada)).await;
    let closed = UserRecord { disabled_at: Some(at(2)), ..ada.clone() };
    let act = event(codes::USER_CREATED, 2);
    store.replace_user(ada, closed.clone(), None, act).await.unwrap().unwrap();
    check(Some(&closed)).await;
    assert_eq!(store.code_and_person(mac()).await.unwrap(), None);
    assert_eq!(store.refresh_and_person(mac()).await.unwrap(), None);
}

async fn a_person_is_read_back_as_they_were_written(rig: Rig) {
    let user = made(&rig.store, "alice@example.com").await;
    assert!(rig.store.user(user.id.clone()).await.unwrap() == Some(user.clone()));
    let by_email = rig.store.user_by_email("alice@example.com".to_owned()).await.unwrap();
    assert!(by_email == Some(user.clone()));
    assert_eq!(rig.changes().await, [Change::UserChanged(user.id)]);
    for odd in ["", "\0", "Alice@example.com", "alice@example.com ", "%@example.com"] {
        assert_eq!(rig.store.user_by_email(odd.to_owned()).await.unwrap(), None);
        assert_eq!(rig.store.user(odd.to_owned()).await.unwrap(), None);
    }
}

async fn an_address_belongs_to_one_person(rig: Rig) {
    let alice = made(&rig.store, "alice@example.com").await;
    let bob = made(&rig.store, "bob@example.com").await;
    let second = user("alice@example.com");
    let refused = rig.store.create_user(second, event(codes::USER_CREATED, 0)).await;
    assert_eq!(refused, Err(PortError::Conflict));
    let moved = UserRecord { email: alice.email.clone(), ..bob.clone() };
    let act = event(codes::USER_CHANGED, 0);
    let refused = rig.store.replace_user(bob.clone(), moved, None, act).await;
    assert_eq!(refused, Err(PortError::Conflict));
    let done = together((0..20).map(|_| {
        let store = rig.store.clone();
        async move {
            match store.create_user(user("carol@example.com"), event(codes::USER_CREATED, 0)).await
            {
                Ok(_) => Ok(true),
                Err(PortError::Conflict) => Ok(false),
                Err(error) => Err(error),
            }
        }
    }))
    .await;
    assert_eq!(done.into_iter().filter(|it| *it).count(), 1);
    assert_eq!((rig.events().await.len(), rig.feed().await.len()), (3, 3));
}

async fn a_person_is_replaced_if_they_are_as_before(rig: Rig) {
    let first = made(&rig.store, "alice@example.com").await;
    begun(&rig.store, &first.id).await;
    let second = UserRecord { email: "a@example.com".to_owned(), setup: None, ..first.clone() };
    let replace = |before: &UserRecord, after: &UserRecord| {
        let act = event(codes::USER_CHANGED, 1);
        rig.store.replace_user(before.clone(), after.clone(), None, act)
    };
    let seq = replace(&first, &second).await.unwrap().unwrap();
    assert_eq!(rig.feed().await.last().unwrap().place.seq, seq);
    assert!(rig.store.user(first.id.clone()).await.unwrap() == Some(second.clone()));
    let found = |email: &str| rig.store.user_by_email(email.to_owned());
    assert_eq!(found("alice@example.com").await.unwrap(), None);
    assert!(found("a@example.com").await.unwrap() == Some(second.clone()));
    assert_eq!(replace(&first, &second).await.unwrap(), None);
    let other = UserRecord { id: id(), ..second.clone() };
    assert_eq!(replace(&second, &other).await.unwrap(), None, "an id never changes");
    assert_eq!(rig.store.sessions(first.id, START).await.unwrap().len(), 1, "sessions go on");
    assert_eq!((rig.events().await.len(), rig.feed().await.len()), (3, 2));
}

async fn a_revocation_ends_all_sessions_of_the_person(rig: Rig) {
    let user = made(&rig.store, "alice@example.com").await;
    let (one, _) = begun(&rig.store, &user.id).await;
    let (two, _) = begun(&rig.store, &user.id).await;
    let (others, kept) = begun(&rig.store, "bob").await;
    let after = UserRecord { disabled_at: Some(at(3)), ..user.clone() };
    let cut = revocation(RevocationKind::Subject, &user.id, 3);
    let act = event(codes::USER_CHANGED, 3);
    let seq = rig.store.replace_user(user.clone(), after, Some(cut.clone()), act).await.unwrap();
    let feed = rig.feed().await;
    assert_eq!(feed.last().map(|row| row.place.seq), seq);
    assert_eq!(feed.last().unwrap().change, Some(Change::Revoked(cut)));
    for mac in [one, two] {
        assert_eq!(rig.store.session(mac, START).await.unwrap(), None);
    }
    assert_eq!(rig.store.session(others, START).await.unwrap(), Some(kept));
}

async fn people_are_listed_by_id_page_by_page(rig: Rig) {
    let mut all = Vec::new();
    for number in 0..5 {
        all.push(made(&rig.store, &format!("{number}@example.com")).await);
    }
    all.sort_by(|a, b| a.id.cmp(&b.id));
    let first = rig.store.users(TextPage { after: String::new(), rows: 3 }).await.unwrap();
    let after = first.last().unwrap().id.clone();
    let rest = rig.store.users(TextPage { after, rows: 3 }).await.unwrap();
    assert!([first, rest].concat() == all);
}

async fn a_session_lives_until_its_end(rig: Rig) {
    let (mac, session) = begun(&rig.store, "alice").await;
    let find = |ms: i64| rig.store.session(mac, at(ms));
    assert_eq!(find(12 * HOUR - 1).await.unwrap(), Some(session.clone()));
    assert_eq!(find(12 * HOUR).await.unwrap(), None);
    assert_eq!(rig.store.session(super::mac(), START).await.unwrap(), None);
    let listed = |ms: i64| rig.store.sessions("alice".to_owned(), at(ms));
    assert_eq!(listed(12 * HOUR - 1).await.unwrap(), std::slice::from_ref(&session));
    assert_eq!(listed(12 * HOUR).await.unwrap(), []);
    let again = rig.store.create_session(super::mac(), session, issued()).await;
    assert_eq!(again, Err(PortError::Conflict));
    assert_eq!((rig.events().await.len(), rig.feed().await.len()), (1, 0));
}

async fn joined(store: &Store, session: &str, client: &str) -> Result<(), PortError> {
    let (mut grant, mac) = (grant(), mac());
    grant.client = client.to_owned();
    let company = CodeCompany { session: Some(session.to_owned()), ..CodeCompany::default() };
    store.create_code(grant.clone(), (mac, code(&grant)), company, issued()).await
}

async fn a_session_is_replaced_and_loses_no_client(rig: Rig) {
    let (mac, mut session) = begun(&rig.store, "alice").await;
    for client in ["one", "two", "one"] {
        joined(&rig.store, &session.id, client).await.unwrap();
    }
    // The caller has not seen the two yet.
    session.clients = vec!["three".to_owned(), "one".to_owned()];
    (session.auth_time, session.expires_at) = (at(7), at(2 * HOUR));
    assert!(rig.store.replace_session(mac, session.clone()).await.unwrap());
    session.clients.push("two".to_owned());
    assert_eq!(rig.store.session(mac, START).await.unwrap(), Some(session.clone()));
    assert_eq!(rig.store.session(mac, at(2 * HOUR)).await.unwrap(), None);
    let other = SessionRecord { id: id(), ..session.clone() };
    assert!(!rig.store.replace_session(mac, other).await.unwrap(), "it is another session");
    assert!(!rig.store.replace_session(super::mac(), session.clone()).await.unwrap());
    joined(&rig.store, "none", "one").await.unwrap();
}

async fn clients_that_join_at_once_all_join(rig: Rig) {
    let (mac, session) = begun(&rig.store, "alice").await;
    together((0..40).map(|number| {
        let (store, id) = (rig.store.clone(), session.id.clone());
        async move { joined(&store, &id, &format!("client {}", number % 20)).await }
    }))
    .await;
    let clients = rig.store.session(mac, START).await.unwrap().unwrap().clients;
    let expected: BTreeSet<_> = (0..20).map(|number| format!("client {number}")).collect();
    assert_eq!(clients.len(), 20);
    assert_eq!(clients.into_iter().collect::<BTreeSet<_>>(), expected);
}

async fn a_session_is_ended_once(rig: Rig) {
    let (mac, mut session) = begun(&rig.store, "alice").await;
    joined(&rig.store, &session.id, "app").await.unwrap();
    session.clients.push("app".to_owned());
    let end = || rig.store.end_session(session.id.clone(), event(codes::USER_CHANGED, 1));
    assert_eq!(end().await.unwrap(), Some(session.clone()));
    assert_eq!(end().await.unwrap(), None);
    assert_eq!(rig.store.session(mac, START).await.unwrap(), None);
    assert!(!rig.store.replace_session(mac, session.clone()).await.unwrap());
    assert_eq!(rig.events().await.len(), 3);
    // What rests on it ends with it, once.
    let told = rig.changes().await;
    let ends = told.iter().filter_map(|it| match it {
        Change::Revoked(it) => Some((it.kind, it.value.as_str())),
        _ => None,
    });
    assert_eq!(ends.collect::<Vec<_>>(), [(RevocationKind::Session, session.id.as_str())]);
    assert_eq!(rig.store.grants_of_user("alice".to_owned(), START).await.unwrap().len(), 1);
}

async fn sessions_end_while_codes_are_given(rig: Rig) {
    let user = made(&rig.store, "alice@example.com").await;
    let mut ids = Vec::new();
    for _ in 0..8 {
        ids.push(begun(&rig.store, &user.id).await.1.id);
    }
    together((0..48).map(|number| {
        let (store, user, id) = (rig.store.clone(), user.clone(), ids[number % 8].clone());
        async move {
            match number % 6 {
                0 => {
                    let cut = revocation(RevocationKind::Subject, &user.id, 3);
                    let act = event(codes::USER_CHANGED, 3);
                    store.replace_user(user.clone(), user, Some(cut), act).await?;
                }
                1 => drop(store.end_session(id, event(codes::USER_CHANGED, 1)).await?),
                2 => drop(store.sweep(at(13 * HOUR)).await?),
                _ => joined(&store, &id, "app").await?,
            }
            Ok(())
        }
    }))
    .await;
    assert_eq!(rig.store.sessions(user.id, START).await.unwrap(), []);
}
