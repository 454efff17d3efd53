//! Accounts and set-up texts.

use super::*;
use crate::oauth::CompleteSetup;
use crate::oauth::fixture::{World, actor, origin, strings, world};
use crate::oauth::{SignIn, SignInRefused};

const PASSWORD: &str = "four words are long enough";

fn secret(text: &str) -> Secret<String> {
    Secret::new(text.to_owned())
}

fn ask(email: &str) -> CreateUser {
    CreateUser { email: email.to_owned(), name: None, roles: vec![], password: None }
}

async fn set(world: &World, setup: &Secret<String>, password: &str) -> Result<String, Error> {
    let ask = CompleteSetup { setup: setup.clone(), email: None, password: secret(password) };
    world.oauth.set_password(ask, &origin()).await.map(|done| done.user)
}

async fn sign_in(world: &World, email: &str, password: &str) -> Result<(), SignInRefused> {
    let ask = SignIn {
        email: email.to_owned(),
        password: secret(password),
        session: None,
        browser: None,
    };
    world.oauth.sign_in(ask, &origin()).await.unwrap().map(drop)
}

#[tokio::test]
async fn a_set_up_text_sets_one_password_once() {
    let world = world().await;
    let made = world.oauth.create_user(&actor(), ask(" Ann@Example.COM ")).await.unwrap();
    let setup = made.setup.unwrap();
    assert!(setup.expose().starts_with("pcu_"));
    assert!(!format!("{:?}", world.store.state().users).contains(setup.expose().as_str()));
    let short = set(&world, &setup, "too short").await;
    assert!(matches!(short, Err(Error::Invalid { field: "password", .. })));
    assert_eq!(set(&world, &setup, PASSWORD).await.unwrap(), made.id);
    let again = set(&world, &setup, "another long password").await;
    assert!(matches!(again, Err(Error::Invalid { field: "setup", .. })));
    assert_eq!(sign_in(&world, "ann@example.com", PASSWORD).await, Ok(()));
    let kept = format!("{:?}", world.store.state().events);
    assert!(!kept.contains(PASSWORD) && !kept.contains("example.com"), "{kept}");
}

#[tokio::test]
async fn a_set_up_text_ends_after_a_day_and_is_nobody_elses() {
    let world = world().await;
    let ann = world.oauth.create_user(&actor(), ask("ann@example.com")).await.unwrap();
    let bob = world.oauth.create_user(&actor(), ask("bob@example.com")).await.unwrap();
    let (ann_setup, bob_setup) = (ann.setup.unwrap(), bob.setup.unwrap());
    let mixed = format!("{}{}", &ann_setup.expose()[..47], bob.id);
    for wrong in ["", "pcu_", &mixed, &"\u{e4}".repeat(30), &"x".repeat(59)] {
        let refused = set(&world, &secret(wrong), PASSWORD).await;
        assert!(matches!(refused, Err(Error::Invalid { field: "setup", .. })), "{wrong}");
    }
    world.after(24 * 3600 - 1);
    set(&world, &bob_setup, PASSWORD).await.unwrap();
    world.after(1);
    assert!(set(&world, &ann_setup, PASSWORD).await.is_err());
}

#[tokio::test]
async fn the_first_administrator_has_an_hour_and_no_second_one_comes_by_that_way() {
    let world = world().await;
    let first = world.oauth.bootstrap(&actor()).await.unwrap().unwrap();
    let second = world.oauth.bootstrap(&actor()).await.unwrap().unwrap();
    let complete = |setup: &Secret<String>, email: Option<&str>| CompleteSetup {
        setup: setup.clone(),
        email: email.map(str::to_owned),
        password: secret(PASSWORD),
    };
    let done = |ask| async { world.oauth.set_password(ask, &origin()).await.map(|it| it.user) };
    assert!(done(complete(&first, Some("root@example.com"))).await.is_err());
    let without = done(complete(&second, None)).await;
    assert!(matches!(without, Err(Error::Invalid { field: "email", .. })));
    let id = done(complete(&second, Some("root@example.com"))).await.unwrap();
    assert_eq!(world.oauth.show_user(&id).await.unwrap().roles, ["administrator"]);
    assert_eq!(world.oauth.bootstrap(&actor()).await.unwrap(), None);

    let world = crate::oauth::fixture::world().await;
    let late = world.oauth.bootstrap(&actor()).await.unwrap().unwrap();
    world.after(3600);
    let refused = world.oauth.set_password(complete(&late, Some("a@b.example")), &origin()).await;
    assert!(refused.is_err());
}

#[tokio::test]
async fn closing_an_account_ends_sessions_and_tokens() {
    let world = world().await;
    let mut with = ask("ann@example.com");
    with.password = Some(secret(PASSWORD));
    let made = world.oauth.create_user(&actor(), with).await.unwrap();
    assert_eq!(made.setup, None);
    let asked = SignIn {
        email: "ann@example.com".to_owned(),
        password: secret(PASSWORD),
        session: None,
        browser: None,
    };
    let signed = world.oauth.sign_in(asked, &origin()).await.unwrap().unwrap();
    assert!(world.oauth.current(Some(&signed.text)).await.unwrap().is_some());
    world.oauth.disable_user(&actor(), &made.id).await.unwrap();
    assert!(world.oauth.current(Some(&signed.text)).await.unwrap().is_none());
    let place = (RevocationKind::Subject, made.id.clone());
    assert_eq!(world.store.state().revocations.get(&place).unwrap().not_before, world.now());
    assert_eq!(sign_in(&world, "ann@example.com", PASSWORD).await, Err(SignInRefused::Wrong));
    world.oauth.enable_user(&actor(), &made.id).await.unwrap();
    assert_eq!(sign_in(&world, "ann@example.com", PASSWORD).await, Ok(()));
}

#[tokio::test]
async fn a_new_password_after_a_lost_one_signs_everybody_out() {
    let world = world().await;
    let mut with = ask("ann@example.com");
    with.password = Some(secret(PASSWORD));
    let made = world.oauth.create_user(&actor(), with).await.unwrap();
    let asked = SignIn {
        email: "ann@example.com".to_owned(),
        password: secret(PASSWORD),
        session: None,
        browser: None,
    };
    let thief = world.oauth.sign_in(asked, &origin()).await.unwrap().unwrap();
    let setup = world.oauth.renew_setup(&actor(), &made.id).await.unwrap().setup.unwrap();
    set(&world, &setup, "quite another password").await.unwrap();
    assert!(world.oauth.current(Some(&thief.text)).await.unwrap().is_none());
    assert_eq!(sign_in(&world, "ann@example.com", PASSWORD).await, Err(SignInRefused::Wrong));
}

#[tokio::test]
async fn narrower_roles_end_tokens() {
    let world = world().await;
    let mut with = ask("ann@example.com");
    with.roles = strings(&["operator", "administrator", "operator"]);
    let made = world.oauth.create_user(&actor(), with).await.unwrap();
    let roles = strings(&["operator"]);
    let done = world.oauth.set_roles(&actor(), &made.id, &roles).await.unwrap();
    assert_eq!(done.record.roles, ["operator"]);
    assert_eq!(world.store.state().revocations.len(), 1);
    let bad = world.oauth.set_roles(&actor(), &made.id, &strings(&["a b"])).await;
    assert!(matches!(bad, Err(Error::Invalid { field: "role", .. })));
    let none = world.oauth.set_roles(&actor(), "nobody", &roles).await;
    assert!(matches!(none, Err(Error::NotFound { what: "user", .. })));
}

#[tokio::test]
async fn one_account_an_address() {
    let world = world().await;
    world.oauth.create_user(&actor(), ask("ann@example.com")).await.unwrap();
    let twice = world.oauth.create_user(&actor(), ask("ANN@example.com")).await;
    assert!(matches!(twice, Err(Error::Store(PortError::Conflict))));
    for bad in ["", "a", "@", "a@", "@b", "a@b@c", "a b@c.d", "a@b\nc", "a@.b", &"a".repeat(600)] {
        let refused = world.oauth.create_user(&actor(), ask(bad)).await;
        assert!(matches!(refused, Err(Error::Invalid { field: "email", .. })), "{bad:?}");
    }
}

#[tokio::test]
async fn oidc_core_s5_1_a_profile_has_standard_claims() {
    let world = world().await;
    let made = world.oauth.create_user(&actor(), ask("ann@example.com")).await.unwrap();
    let claims = |name: &str| Object::from_iter([(name.to_owned(), "x".into())]);
    let set = async |name: &str| {
        world.oauth.set_profile(&actor(), &made.id, Some("Ann"), &claims(name)).await
    };
    let done = set("given_name").await.unwrap();
    assert_eq!(
        (done.record.name.as_deref(), &done.record.claims),
        (Some("Ann"), &claims("given_name"))
    );
    assert!(world.store.state().revocations.is_empty());
    for bad in ["sub", "email", "email_verified", "acr", "roles", ""] {
        let refused = set(bad).await;
        assert!(matches!(refused, Err(Error::Invalid { field: "claims", .. })), "{bad}");
    }
}
