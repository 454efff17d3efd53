//! People's own keys, against a store in memory.

use super::*;
use crate::oauth::fixture::{World, actor, origin, world};
use crate::oauth::prove::tests::{PASSWORD, account, enrol, sign_in};
use crate::oauth::{PutGroup, SignedIn};

async fn group(world: &World, name: &str, scopes: &[&str]) {
    let scopes = scopes.iter().map(|it| (*it).to_owned()).collect();
    let ask = PutGroup { name: name.to_owned(), description: String::new(), scopes };
    world.oauth.put_group(&actor(), &ask).await.unwrap();
}

/// Ann of the group `shop`, who has just shown two factors.
async fn ann(world: &World) -> (String, SignedIn) {
    group(world, "shop", &["orders:read", "orders:write"]).await;
    let id = account(world).await;
    world.oauth.set_roles(&actor(), &id, &["shop".to_owned()]).await.unwrap();
    let first = sign_in(world, PASSWORD, None).await.unwrap();
    let (_, changed) = enrol(world, &first.text).await;
    (id, changed.session.unwrap())
}

fn ask(scopes: &[&str], days: &str) -> AskOwnKey {
    AskOwnKey {
        name: "Nightly report".to_owned(),
        scopes: scopes.iter().map(|it| (*it).to_owned()).collect(),
        days: days.to_owned(),
    }
}

async fn make(world: &World, by: &SignedIn, ask: AskOwnKey) -> Result<MadeOwnKey, MethodRefused> {
    world.oauth.make_own_key(Some(&by.text), &ask, &origin()).await.unwrap()
}

fn kept(world: &World, made: &MadeOwnKey) -> KeyRecord {
    world.store.state().keys[&made.record.id].clone()
}

#[tokio::test]
async fn a_key_belongs_to_its_person_and_is_told_of() {
    let world = world().await;
    let (id, ann) = ann(&world).await;
    let made = make(&world, &ann, ask(&["orders:read"], "")).await.unwrap();
    let key = kept(&world, &made);
    assert_eq!(key.owner.as_deref(), Some(&*id));
    assert_eq!(key.expires_at, Some(world.now().plus(KEY_DEFAULT)), "90 days unless said");
    assert_eq!(key.mac, world.oauth.parts.pepper.mac(made.key.expose().as_bytes()));
    let event = world.events().into_iter().rev().find(|it| it.code == code::KEY_CREATED).unwrap();
    assert_eq!(event.principal.as_deref(), Some(&*id));
    assert!(!format!("{event:?}").contains(made.key.expose().as_str()));
    let state = world.store.state();
    let letter = state.posted.last().unwrap();
    assert_eq!(letter.kind(), "own_key_made");
    assert!(!letter.text().expose().contains(made.key.expose().as_str()));
}

#[tokio::test]
async fn attack_no_scope_but_those_that_the_persons_groups_give() {
    let world = world().await;
    let (_, ann) = ann(&world).await;
    group(&world, "staff", &["salaries:read"]).await;
    for scope in ["salaries:read", "admin:write", "openid", "open:to-all", "scim", "orders:*"] {
        let refused = make(&world, &ann, ask(&["orders:read", scope], "")).await.unwrap_err();
        assert!(matches!(refused, MethodRefused::Invalid("scope", _)), "{scope}: {refused:?}");
    }
    let none = make(&world, &ann, ask(&[], "")).await.unwrap_err();
    assert!(matches!(none, MethodRefused::Invalid("scope", _)));
    for days in ["0", "366", "-1", "4294967295", "x", "1.5"] {
        let refused = make(&world, &ann, ask(&["orders:read"], days)).await.unwrap_err();
        assert!(matches!(refused, MethodRefused::Invalid("days", _)), "{days}: {refused:?}");
    }
    assert!(world.store.state().keys.is_empty());
}

#[tokio::test]
async fn a_key_takes_two_fresh_factors_even_where_the_account_has_one() {
    let world = world().await;
    group(&world, "shop", &["orders:read"]).await;
    let id = account(&world).await;
    world.oauth.set_roles(&actor(), &id, &["shop".to_owned()]).await.unwrap();
    let first = sign_in(&world, PASSWORD, None).await.unwrap();
    let refused = make(&world, &first, ask(&["orders:read"], "")).await.unwrap_err();
    assert_eq!(refused, MethodRefused::Enrol);
    let (_, changed) = enrol(&world, &first.text).await;
    let both = changed.session.unwrap();
    world.after(301);
    let refused = make(&world, &both, ask(&["orders:read"], "")).await.unwrap_err();
    assert!(matches!(refused, MethodRefused::Prove(_)), "{refused:?}");
    // Half a sign-in is none.
    let half = sign_in(&world, PASSWORD, None).await.unwrap();
    let refused = make(&world, &half, ask(&["orders:read"], "")).await.unwrap_err();
    assert!(matches!(refused, MethodRefused::Prove(_)), "{refused:?}");
    assert!(world.oauth.own_keys(Some(&half.text)).await.unwrap().is_none());
}

#[tokio::test]
async fn a_person_has_so_many_keys_and_makes_so_many_a_day() {
    let world = world().await;
    let (_, ann) = ann(&world).await;
    let mut last = None;
    for _ in 0..OWN_KEYS_MOST {
        last = Some(make(&world, &ann, ask(&["orders:read"], "")).await.unwrap());
    }
    let refused = make(&world, &ann, ask(&["orders:read"], "")).await.unwrap_err();
    assert_eq!(refused, MethodRefused::TooMany);
    let mut made = OWN_KEYS_MOST;
    loop {
        let id = last.unwrap().record.id.to_string();
        let ended = world.oauth.end_own_key(Some(&ann.text), &id, &origin()).await.unwrap();
        assert_eq!(ended, Some(true));
        last = make(&world, &ann, ask(&["orders:read"], "")).await.ok();
        if last.is_none() {
            break;
        }
        made += 1;
    }
    assert_eq!(made, OWN_KEYS_MADE_MOST, "rows of ended ones stay");
}

#[tokio::test]
async fn a_key_ends_with_its_account_and_with_all_that_was_issued() {
    let world = world().await;
    let (id, ann) = ann(&world).await;
    for (what, end) in [("disable", 0), ("end sessions", 1), ("reset", 2)] {
        let made = match end {
            0 => make(&world, &ann, ask(&["orders:read"], "")).await.unwrap(),
            _ => {
                world.oauth.enable_user(&actor(), &id).await.unwrap();
                let record = KeyRecord {
                    revoked_at: None,
                    ..world.store.state().keys.values().next().unwrap().clone()
                };
                world.store.state().keys.insert(record.id, record.clone());
                MadeOwnKey { record, key: Secret::new(String::new()) }
            }
        };
        match end {
            0 => drop(world.oauth.disable_user(&actor(), &id).await.unwrap()),
            1 => drop(world.oauth.end_sessions(&actor(), &id).await.unwrap()),
            _ => drop(world.oauth.reset_factors(&actor(), &id).await.unwrap()),
        }
        assert!(kept(&world, &made).revoked_at.is_some(), "{what}");
        assert!(world.events().iter().any(|it| it.code == code::KEY_REVOKED_ACT), "{what}");
    }
}

#[tokio::test]
async fn a_key_loses_what_its_persons_groups_do_not_give_any_more() {
    let world = world().await;
    let (id, ann) = ann(&world).await;
    let made = make(&world, &ann, ask(&["orders:read", "orders:write"], "")).await.unwrap();
    group(&world, "shop", &["orders:write", "orders:more"]).await;
    let now = kept(&world, &made);
    assert_eq!((now.scopes, now.revoked_at), (vec!["orders:write".to_owned()], None));
    let narrowed = world.events().into_iter().find(|it| it.code == code::KEY_NARROWED).unwrap();
    assert_eq!(narrowed.principal.as_deref(), Some(&*actor().principal), "who brought it");
    // What is lost does not come back.
    group(&world, "shop", &["orders:read", "orders:write"]).await;
    assert_eq!(kept(&world, &made).scopes, ["orders:write"]);
    world.oauth.set_roles(&actor(), &id, &["other".to_owned()]).await.unwrap();
    assert!(kept(&world, &made).revoked_at.is_some(), "no scope is left");
}

#[tokio::test]
async fn attack_nobody_ends_or_sees_another_persons_key() {
    let world = world().await;
    let (_, ann) = ann(&world).await;
    let made = make(&world, &ann, ask(&["orders:read"], "")).await.unwrap();
    let other = crate::oauth::CreateUser {
        email: "bob@example.com".to_owned(),
        name: None,
        roles: vec!["shop".to_owned()],
        password: Some(Secret::new(PASSWORD.to_owned())),
    };
    world.oauth.create_user(&actor(), other).await.unwrap();
    let ask = crate::oauth::SignIn {
        email: "bob@example.com".to_owned(),
        password: Secret::new(PASSWORD.to_owned()),
        session: None,
        browser: None,
    };
    let bob = world.oauth.sign_in(ask, &origin()).await.unwrap().unwrap();
    let seen = world.oauth.own_keys(Some(&bob.text)).await.unwrap().unwrap();
    assert!(seen.keys.is_empty() && seen.must_add);
    let id = made.record.id.to_string();
    let ended = world.oauth.end_own_key(Some(&bob.text), &id, &origin()).await.unwrap();
    assert_eq!(ended, Some(false));
    assert!(kept(&world, &made).revoked_at.is_none());
}
