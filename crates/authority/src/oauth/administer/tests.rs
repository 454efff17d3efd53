//! What administrators do to people's ways of signing in.

use super::*;
use crate::oauth::fixture::{World, actor, origin, world};
use crate::oauth::records::RevocationKind;
use crate::oauth::{CompleteSetup, CreateUser, SignIn, SignInRefused};
use crate::people::FactorKind;
use base::UnixMs;

const PASSWORD: &str = "four words are long enough";

fn secret(text: &str) -> Secret<String> {
    Secret::new(text.to_owned())
}

fn ask(email: &str) -> CreateUser {
    CreateUser { email: email.to_owned(), name: None, roles: vec![], password: None }
}

async fn set(world: &World, setup: &Secret<String>) -> Result<String, Error> {
    let ask = CompleteSetup { setup: setup.clone(), email: None, password: secret(PASSWORD) };
    world.oauth.set_password(ask, &origin()).await.map(|done| done.user)
}

async fn sign_in(world: &World) -> Result<crate::oauth::SignedIn, SignInRefused> {
    let ask = SignIn {
        email: "ann@example.com".to_owned(),
        password: secret(PASSWORD),
        session: None,
        browser: None,
    };
    world.oauth.sign_in(ask, &origin()).await.unwrap()
}

/// Ann with a password and codes on paper.
async fn ann(world: &World) -> String {
    let made = world.oauth.create_user(&actor(), ask("ann@example.com")).await.unwrap();
    set(world, &made.setup.unwrap()).await.unwrap();
    let row = AuthenticatorRecord {
        id: "a".repeat(12),
        user: made.id.clone(),
        name: "Phone".to_owned(),
        handle: None,
        data: AuthenticatorData::Totp {
            sealed: "00".to_owned(),
            algorithm: "SHA1".to_owned(),
            last_step: None,
            drift: 0,
        },
        created_at: UnixMs(1),
        last_used_at: None,
        failures: 100,
        failed: None,
    };
    world.store.state().authenticators.insert(row.id.clone(), row);
    made.id
}

#[tokio::test]
async fn a_new_beginning_takes_everything() {
    let world = world().await;
    let id = ann(&world).await;
    let signed_in = sign_in(&world).await.unwrap();
    let reset = world.oauth.reset_factors(&actor(), &id).await.unwrap();
    // The app, and the count of wrong passwords. The browser that only began to sign in was never known.
    assert_eq!(reset.removed, 2);
    assert_eq!(world.oauth.authenticators_of(&id).await.unwrap(), []);
    assert!(world.oauth.standing(Some(&signed_in.text)).await.unwrap().is_none());
    assert_eq!(sign_in(&world).await.err(), Some(SignInRefused::Wrong), "the password is gone");
    let revoked = (RevocationKind::Subject, id.clone());
    assert!(world.store.state().revocations.contains_key(&revoked));
    let posted = world.store.state().posted.len();
    assert_eq!(posted, 1, "the person is told");
    let kept = format!("{:?}", world.store.state().events);
    assert!(!kept.contains(reset.setup.expose().as_str()));
    set(&world, &reset.setup).await.unwrap();
    let again = sign_in(&world).await.unwrap();
    assert!(world.oauth.current(Some(&again.text)).await.unwrap().is_some(), "one factor again");
}

#[tokio::test]
async fn a_new_beginning_is_recorded_and_nobody_is_reset_who_is_not_there() {
    let world = world().await;
    let id = ann(&world).await;
    world.oauth.reset_factors(&actor(), &id).await.unwrap();
    let events = world.events();
    let mut said = events.iter().filter(|it| it.code == code::AUTHENTICATOR_REMOVED);
    let event = said.next().unwrap();
    assert_eq!(event.principal.as_deref(), Some(&*actor().principal));
    assert_eq!(event.credential_id.as_deref(), Some(&*id));
    assert!(said.next().is_none(), "one event an outcome");
    let refused = world.oauth.reset_factors(&actor(), "nobody").await;
    assert!(matches!(refused, Err(Error::NotFound { .. })));
    assert!(world.events().iter().any(|it| it.code == code::ACT_REFUSED));
}

#[tokio::test]
async fn breaking_the_glass_opens_a_closed_account_and_says_so() {
    let world = world().await;
    let id = ann(&world).await;
    world.oauth.disable_user(&actor(), &id).await.unwrap();
    // The plain reset leaves it closed.
    let reset = world.oauth.reset_factors(&actor(), &id).await.unwrap();
    assert!(set(&world, &reset.setup).await.is_err());
    let reset = world.oauth.break_glass(&actor(), &id).await.unwrap();
    let said = world.events().iter().filter(|it| it.code == code::BREAK_GLASS).count();
    assert_eq!(said, 1);
    let from_afar = Actor { scheme: Scheme::Jwt, ..actor() };
    let refused = world.oauth.break_glass(&from_afar, &id).await;
    assert!(matches!(refused, Err(Error::Invalid { field: "break_glass", .. })));
    set(&world, &reset.setup).await.unwrap();
    assert!(sign_in(&world).await.is_ok());
}

#[tokio::test]
async fn sessions_end_everywhere_and_factors_stay() {
    let world = world().await;
    let id = ann(&world).await;
    let first = sign_in(&world).await.unwrap();
    let second = sign_in(&world).await.unwrap();
    let ended = world.oauth.end_sessions(&actor(), &id).await.unwrap();
    assert_eq!(ended.record, 2);
    for signed_in in [first, second] {
        assert!(world.oauth.standing(Some(&signed_in.text)).await.unwrap().is_none());
    }
    let revoked = (RevocationKind::Subject, id.clone());
    assert!(world.store.state().revocations.contains_key(&revoked));
    let kinds = world.oauth.authenticators_of(&id).await.unwrap();
    assert!(kinds.iter().any(|it| it.kind() == FactorKind::Totp));
    assert!(sign_in(&world).await.is_ok());
    let refused = world.oauth.end_sessions(&actor(), "nobody").await;
    assert!(matches!(refused, Err(Error::NotFound { .. })));
}

#[tokio::test]
async fn an_invitation_mails_a_link_whose_secret_stands_behind_the_hash() {
    let world = world().await;
    let made = world.oauth.create_user(&actor(), ask("ann@example.com")).await.unwrap();
    let invited = world.oauth.invite(&actor(), &made.id).await.unwrap();
    assert!(invited.mailed);
    let url = world.oauth.setup_url(&invited.setup);
    let (page, behind) = url.expose().split_once('#').unwrap();
    assert!(page.ends_with("/setup"));
    assert_eq!(behind, invited.setup.expose());
    let posted = world.store.state().posted.clone();
    assert_eq!(posted.len(), 1);
    assert_eq!(posted[0].to().as_str(), "ann@example.com");
    assert!(posted[0].text().expose().contains(url.expose().as_str()));
    // The link of before is dead.
    assert!(set(&world, &made.setup.unwrap()).await.is_err());
    set(&world, &invited.setup).await.unwrap();
}
