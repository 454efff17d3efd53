//! A person ends their own, and nobody else's.

use crate::oauth::fixture::{origin, world};
use crate::oauth::ports::GrantStore as _;
use crate::oauth::prove::tests::{PASSWORD, account, enrol, sign_in};
use crate::oauth::{CreateUser, SignIn};

#[tokio::test]
async fn sessions_are_seen_and_ended_by_their_person_only() {
    let world = world().await;
    account(&world).await;
    let (here, there) = (
        sign_in(&world, PASSWORD, None).await.unwrap(),
        sign_in(&world, PASSWORD, None).await.unwrap(),
    );
    let own = world.oauth.own_account(Some(&here.text), &origin()).await.unwrap().unwrap();
    assert_eq!(own.sessions.len(), 2);
    assert!(own.sessions[0].this && own.sessions[0].session.id == here.session.id);
    let eve = CreateUser {
        email: "eve@example.com".to_owned(),
        name: None,
        roles: Vec::new(),
        password: Some(crate::oauth::prove::tests::secret(PASSWORD)),
    };
    world.oauth.create_user(&crate::oauth::fixture::actor(), eve).await.unwrap();
    let ask = SignIn {
        email: "eve@example.com".to_owned(),
        password: crate::oauth::prove::tests::secret(PASSWORD),
        session: None,
        browser: None,
    };
    let eve = world.oauth.sign_in(ask, &origin()).await.unwrap().unwrap();
    let id = &there.session.id;
    let tried = world.oauth.end_own_session(Some(&eve.text), id, &origin()).await.unwrap();
    assert_eq!(tried, Some(false));
    assert!(world.oauth.current(Some(&there.text)).await.unwrap().is_some());
    assert_eq!(world.oauth.end_own_session(None, id, &origin()).await.unwrap(), None);
    let ended = world.oauth.end_other_sessions(Some(&here.text), &origin()).await.unwrap();
    assert_eq!(ended, Some(1));
    assert!(world.oauth.current(Some(&there.text)).await.unwrap().is_none());
    assert!(world.oauth.current(Some(&here.text)).await.unwrap().is_some());
}

#[tokio::test]
async fn what_an_application_was_allowed_ends_with_one_act() {
    let world = world().await;
    let id = account(&world).await;
    let client = world.client(&["authorization_code"], |_| ()).await.client;
    let here = sign_in(&world, PASSWORD, None).await.unwrap();
    for _ in 0..3 {
        let grant = world.grant(&client, &id, &["orders:read"]);
        world.store.create_grant(grant, None, world.event()).await.unwrap();
    }
    let own = world.oauth.own_account(Some(&here.text), &origin()).await.unwrap().unwrap();
    assert_eq!((own.clients.len(), own.clients[0].grants), (1, 3));
    assert_eq!(own.clients[0].name, "App");
    let ended = world.oauth.end_own_client(Some(&here.text), &client.id, &origin()).await.unwrap();
    assert_eq!(ended, Some(true));
    assert!(world.store.grants_of_user(id, world.now()).await.unwrap().is_empty());
    let again = world.oauth.end_own_client(Some(&here.text), &client.id, &origin()).await.unwrap();
    assert_eq!(again, Some(false));
}

#[tokio::test]
async fn half_a_sign_in_sees_nothing() {
    let world = world().await;
    account(&world).await;
    let first = sign_in(&world, PASSWORD, None).await.unwrap();
    enrol(&world, &first.text).await;
    let half = sign_in(&world, PASSWORD, None).await.unwrap();
    assert!(world.oauth.own_account(Some(&half.text), &origin()).await.unwrap().is_none());
    let id = &half.session.id;
    assert_eq!(world.oauth.end_own_session(Some(&half.text), id, &origin()).await.unwrap(), None);
    assert_eq!(world.oauth.end_other_sessions(Some(&half.text), &origin()).await.unwrap(), None);
    assert_eq!(world.oauth.end_own_client(Some(&half.text), "x", &origin()).await.unwrap(), None);
}
