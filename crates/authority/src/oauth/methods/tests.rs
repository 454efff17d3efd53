//! Changes of a person's own ways of signing in. What they share with signing in is tried with `prove`.

use crate::oauth::fixture::{actor, origin, world};
use crate::oauth::prove::tests::{PASSWORD, account, enrol, prove, secret, sign_in};
use crate::oauth::{CompleteSetup, CreateUser, MethodRefused, Presented, SignInRefused};
use crate::people::FactorKind;
use base::Secret;

#[tokio::test]
async fn with_the_last_second_factor_go_the_recovery_codes() {
    let world = world().await;
    account(&world).await;
    let first = sign_in(&world, PASSWORD, None).await.unwrap();
    let (_, changed) = enrol(&world, &first.text).await;
    let session = changed.session.unwrap();
    let own = world.oauth.own_methods(Some(&session.text)).await.unwrap().unwrap();
    assert_eq!((own.authenticators.len(), own.recovery_left), (1, Some(10)));
    let id = own.authenticators[0].id.clone();
    world.oauth.remove_method(Some(&session.text), &id, &origin()).await.unwrap().unwrap();
    let own = world.oauth.own_methods(Some(&session.text)).await.unwrap().unwrap();
    assert_eq!((own.authenticators.len(), own.recovery_left), (0, None));
    let gone = world.oauth.remove_method(Some(&session.text), &id, &origin()).await.unwrap();
    assert_eq!(gone.unwrap_err(), MethodRefused::Gone);
    let alone = sign_in(&world, PASSWORD, None).await.unwrap();
    assert!(world.oauth.current(Some(&alone.text)).await.unwrap().is_some());
}

#[tokio::test]
async fn new_codes_void_the_old_ones() {
    let world = world().await;
    account(&world).await;
    let first = sign_in(&world, PASSWORD, None).await.unwrap();
    let (_, changed) = enrol(&world, &first.text).await;
    let session = changed.session.unwrap();
    let renewed = world.oauth.renew_codes(Some(&session.text), &origin()).await.unwrap().unwrap();
    assert_eq!(renewed.codes.len(), 10);
    let half = sign_in(&world, PASSWORD, None).await.unwrap();
    let old = Presented::Recovery(changed.codes[0].clone());
    let refused = prove(&world, &half.text, old).await;
    assert_eq!(refused.unwrap_err(), SignInRefused::NoMatch);
    let new = Presented::Recovery(renewed.codes[0].clone());
    assert!(prove(&world, &half.text, new).await.is_ok());
}

#[tokio::test]
async fn nist_800_63b_s3_1_1_2_a_short_password_never_stands_alone() {
    let world = world().await;
    let id = account(&world).await;
    let first = sign_in(&world, PASSWORD, None).await.unwrap();
    enrol(&world, &first.text).await;
    let setup = world.oauth.renew_setup(&actor(), &id).await.unwrap().setup.unwrap();
    let set = async |setup: Secret<String>, text: &str| {
        let ask = CompleteSetup { setup, email: None, password: secret(text) };
        world.oauth.set_password(ask, &origin()).await
    };
    // With a second factor, 8 characters are enough.
    const SHORT: &str = "zu7mqof2kw";
    assert!(set(setup, SHORT).await.is_ok());
    assert!(world.store.state().users.get(&id).unwrap().password_beside);
    let half = sign_in(&world, SHORT, None).await.unwrap();
    assert!(world.oauth.current(Some(&half.text)).await.unwrap().is_none());
    let codes = world.store.state().authenticators.clone();
    let own = codes.values().find(|it| it.kind() == FactorKind::Totp).unwrap().clone();
    // Were the second factor taken away by whatever way, the password would still not do alone.
    world.store.state().authenticators.remove(&own.id);
    assert!(world.oauth.current(Some(&half.text)).await.unwrap().is_none());
    world.store.state().authenticators.insert(own.id.clone(), own);
    let setup = world.oauth.renew_setup(&actor(), &id).await.unwrap().setup.unwrap();
    let done = set(setup, PASSWORD).await.unwrap();
    assert_eq!((done.user.as_str(), done.advice()), (id.as_str(), None));
    assert!(!world.store.state().users.get(&id).unwrap().password_beside);
}

#[tokio::test]
async fn the_last_second_factor_stays_beside_a_short_password() {
    let world = world().await;
    let id = account(&world).await;
    let first = sign_in(&world, PASSWORD, None).await.unwrap();
    let (_, changed) = enrol(&world, &first.text).await;
    let session = changed.session.unwrap();
    world.store.state().users.get_mut(&id).unwrap().password_beside = true;
    let own = world.oauth.own_methods(Some(&session.text)).await.unwrap().unwrap();
    let app = own.authenticators[0].id.clone();
    let kept = world.oauth.remove_method(Some(&session.text), &app, &origin()).await.unwrap();
    assert!(matches!(kept.unwrap_err(), MethodRefused::Invalid("method", _)));
    world.store.state().users.get_mut(&id).unwrap().password_beside = false;
    world.oauth.remove_method(Some(&session.text), &app, &origin()).await.unwrap().unwrap();
}

#[tokio::test]
async fn what_is_refused_says_how_well_it_withstands_guessing() {
    let world = world().await;
    let ask = CreateUser {
        email: "ann@example.com".to_owned(),
        name: Some("Marguerite Duras".to_owned()),
        roles: Vec::new(),
        password: None,
    };
    let made = world.oauth.create_user(&actor(), ask).await.unwrap();
    let setup = made.setup.unwrap();
    let set = async |text: &str| {
        let ask = CompleteSetup { setup: setup.clone(), email: None, password: secret(text) };
        world.oauth.set_password(ask, &origin()).await.unwrap_err().to_string()
    };
    let short = set("password1").await;
    assert!(short.contains("at least 15") && short.contains("this one is very easy"), "{short}");
    // NIST SP 800-63B-4 §3.1.1.2: the name and the host are words of the context.
    for named in ["marguerite duras 1", "login.example 2025"] {
        let refused = set(named).await;
        assert!(refused.contains("your name or the name of this site"), "{named}: {refused}");
    }
}

#[tokio::test]
async fn attack_new_codes_leave_no_other_session_behind() {
    let world = world().await;
    account(&world).await;
    let first = sign_in(&world, PASSWORD, None).await.unwrap();
    let (_, changed) = enrol(&world, &first.text).await;
    let session = changed.session.unwrap();
    let thief = sign_in(&world, PASSWORD, None).await.unwrap();
    let code = Presented::Recovery(changed.codes[0].clone());
    let thief = prove(&world, &thief.text, code).await.unwrap();
    world.oauth.renew_codes(Some(&session.text), &origin()).await.unwrap().unwrap();
    assert!(world.oauth.standing(Some(&thief.text)).await.unwrap().is_none());
    assert!(world.oauth.current(Some(&session.text)).await.unwrap().is_some());
}
