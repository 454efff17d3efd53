//! What happened, as its person sees it.

use super::*;
use crate::oauth::Presented;
use crate::oauth::fixture::{origin, world};
use crate::oauth::prove::tests::{PASSWORD, account, enrol, prove, sign_in};
use crate::people::FactorKind;

#[tokio::test]
async fn the_steps_of_one_sign_in_are_told_once() {
    let world = world().await;
    account(&world).await;
    let first = sign_in(&world, PASSWORD, None).await.unwrap();
    let (app, _) = enrol(&world, &first.text).await;
    world.after(3600);
    let half = sign_in(&world, PASSWORD, None).await.unwrap();
    assert!(world.oauth.own_news(Some(&half.text), &origin()).await.unwrap().is_none(), "half");
    world.after(10);
    let whole = prove(&world, &half.text, Presented::Totp(app.code(&world))).await.unwrap();
    let own = world.oauth.own_news(Some(&whole.text), &origin()).await.unwrap().unwrap();
    let logins: Vec<_> = own.news.iter().filter(|it| it.code == "login").collect();
    assert_eq!(logins[0].detail.as_deref(), Some("password, totp: aal2"));
    assert!(own.news.iter().all(|it| it.code != "logout"), "nothing has ended: {:?}", own.news);
}

#[tokio::test]
async fn failures_are_told_in_one_spell_and_what_was_right_is_none() {
    let world = world().await;
    account(&world).await;
    let first = sign_in(&world, PASSWORD, None).await.unwrap();
    let seen = async |by: &crate::oauth::SignedIn| {
        let own = world.oauth.own_news(Some(&by.text), &origin()).await.unwrap().unwrap();
        own.authenticators.into_iter().map(|it| (it.kind(), it.failed.unwrap())).collect::<Vec<_>>()
    };
    assert_eq!(seen(&first).await, [], "the right password was no failure");
    for _ in 0..3 {
        world.after(3700);
        sign_in(&world, "wrong, and long enough", None).await.unwrap_err();
    }
    let last = world.now();
    world.after(3700);
    let later = sign_in(&world, PASSWORD, None).await.unwrap();
    let failed = seen(&later).await;
    assert_eq!(failed.len(), 1, "{failed:?}");
    assert_eq!((failed[0].0, failed[0].1.count, failed[0].1.at), (FactorKind::Password, 3, last));
    // Two days later it is another spell.
    world.after(2 * 24 * 60 * 60);
    let fresh = sign_in(&world, "wrong, and long enough", None).await;
    fresh.unwrap_err();
    let again = sign_in(&world, PASSWORD, None).await.unwrap();
    let own = world.oauth.own_news(Some(&again.text), &origin()).await.unwrap().unwrap();
    let spell = own.authenticators.iter().find(|it| it.kind() == FactorKind::Password).unwrap();
    assert_eq!(spell.failed.as_ref().map(|it| it.count), Some(1));
}

#[test]
fn an_address_is_kept_as_its_network() {
    let check = |address: &str, expect: &str| {
        assert_eq!(place(address.parse().unwrap()), expect);
    };
    check("198.51.100.7", "198.51.100.0/24");
    check("::ffff:198.51.100.7", "198.51.100.0/24");
    check("2001:db8:1:2:3::4", "2001:db8:1::/48");
}

#[tokio::test]
async fn attack_many_sign_ins_hide_no_change() {
    let world = world().await;
    account(&world).await;
    let first = sign_in(&world, PASSWORD, None).await.unwrap();
    let (app, _) = enrol(&world, &first.text).await;
    for _ in 0..2 * NEWS_SHOWN {
        world.after(60);
        sign_in(&world, PASSWORD, None).await.unwrap();
    }
    let half = sign_in(&world, PASSWORD, None).await.unwrap();
    let whole = prove(&world, &half.text, Presented::Totp(app.code(&world))).await.unwrap();
    let own = world.oauth.own_news(Some(&whole.text), &origin()).await.unwrap().unwrap();
    let of = |code: Code| own.news.iter().filter(|it| it.code == code.as_str()).count();
    assert_eq!(of(code::LOGIN), NEWS_SHOWN);
    assert!(of(code::AUTHENTICATOR_ADDED) > 0);
}
