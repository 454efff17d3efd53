//! Changes of a person's own ways of signing in. What they share with signing in is tried with `prove`.

use crate::oauth::fixture::{origin, world};
use crate::oauth::prove::tests::{PASSWORD, account, enrol, prove, sign_in};
use crate::oauth::{MethodRefused, Presented, SignInRefused};

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
