//! What the file does to accounts, and what nobody else may.

use super::*;
use crate::oauth::fixture::{World, actor, origin, world};
use crate::oauth::{SignIn, SignInRefused};
use crate::people::FactorKind;

/// PyPI's bcrypt, of "correct horse battery", as in the password's own tests.
const HASH: &str = "$2b$05$aZ1i79Hf8rPCTH0ottk9guaxRlIjgio4PsPGFvCdNbiwcbj6VSRYO";
const PASSWORD: &str = "correct horse battery";

fn person(address: &str) -> DeclaredPerson {
    DeclaredPerson::new(address).unwrap()
}

fn with_hash(address: &str, hash: &str) -> DeclaredPerson {
    let mut person = person(address);
    person.set_password_hash(Secret::new(hash.to_owned())).unwrap();
    person
}

async fn user(world: &World, address: &str) -> UserRecord {
    world.oauth.user_by_email(address).await.unwrap()
}

async fn sign_in(world: &World, address: &str, password: &str) -> Result<(), SignInRefused> {
    let ask = SignIn {
        email: address.to_owned(),
        password: Secret::new(password.to_owned()),
        session: None,
        browser: None,
    };
    world.oauth.sign_in(ask, &origin()).await.unwrap().map(drop)
}

fn events(world: &World) -> usize {
    world.store.state().events.len()
}

#[tokio::test]
async fn the_file_makes_changes_and_closes_accounts_and_twice_is_once() {
    let world = world().await;
    let mut ada = with_hash("Ada@Example.com", HASH);
    ada.set_name("Ada").unwrap();
    ada.set_groups(&["ops".to_owned()]).unwrap();
    let bob = person("bob@example.com");
    let both = [ada.clone(), bob];
    world.oauth.declare_people(&both).await.unwrap();
    let made = user(&world, "ada@example.com").await;
    assert_eq!((made.name.as_deref(), made.created_by.as_str()), (Some("Ada"), "file"));
    assert_eq!(made.roles, ["ops"]);
    assert!(made.setup.is_none());
    // Who has no password is invited.
    assert!(user(&world, "bob@example.com").await.setup.is_some());
    sign_in(&world, "ada@example.com", PASSWORD).await.unwrap();
    let count = events(&world);
    world.oauth.declare_people(&both).await.unwrap();
    assert_eq!(events(&world), count);
    // Hashed anew at the sign-in, and left so.
    assert!(user(&world, "ada@example.com").await.password.unwrap().starts_with("$argon2id$"));
    ada.set_groups(&[]).unwrap();
    world.oauth.declare_people(&[ada]).await.unwrap();
    assert!(world.oauth.sessions_of(&made.id).await.unwrap().is_empty());
    let gone = user(&world, "bob@example.com").await;
    assert!(gone.disabled_at.is_some() && gone.declared.is_none());
    // It is an account like others now.
    world.oauth.enable_user(&actor(), &gone.id).await.unwrap();
}

#[tokio::test]
async fn what_a_person_has_chosen_since_stays_until_the_file_says_another() {
    let world = world().await;
    world.oauth.declare_people(&[with_hash("a@example.com", HASH)]).await.unwrap();
    let made = user(&world, "a@example.com").await;
    let setup = world.oauth.renew_setup(&actor(), &made.id).await.unwrap().setup.unwrap();
    let chosen = "four words are long enough";
    let ask = crate::oauth::CompleteSetup {
        setup,
        email: None,
        password: Secret::new(chosen.to_owned()),
    };
    world.oauth.set_password(ask, &origin()).await.unwrap();
    world.oauth.declare_people(&[with_hash("a@example.com", HASH)]).await.unwrap();
    sign_in(&world, "a@example.com", chosen).await.unwrap();
    // The hash is taken out: nothing changes for the person.
    world.oauth.declare_people(&[person("a@example.com")]).await.unwrap();
    sign_in(&world, "a@example.com", chosen).await.unwrap();
    let other = "$2a$05$9gKWg02qBbDNbChc2uis4usC6lM.9iGj7COe4RgmTZxHRvxH9nNTS";
    world.oauth.declare_people(&[with_hash("a@example.com", other)]).await.unwrap();
    assert!(
        world.oauth.sessions_of(&made.id).await.unwrap().is_empty(),
        "the old one is worth nothing"
    );
    assert_eq!(sign_in(&world, "a@example.com", chosen).await, Err(SignInRefused::Wrong));
    sign_in(&world, "a@example.com", PASSWORD).await.unwrap();
}

#[tokio::test]
async fn an_account_of_the_file_is_read_only_elsewhere() {
    let world = world().await;
    world.oauth.declare_people(&[with_hash("a@example.com", HASH)]).await.unwrap();
    let id = user(&world, "a@example.com").await.id;
    let by = actor();
    let refused = |done: Result<(), Error>| match done {
        Err(Error::Invalid { field: "user", problem }) => assert!(problem.contains("file")),
        other => panic!("{other:?}"),
    };
    let oauth = &world.oauth;
    let before = user(&world, "a@example.com").await;
    let proved = UserRecord { email_verified: true, ..before.clone() };
    refused(crate::oauth::users::may_change(&before, &proved));
    refused(oauth.disable_user(&by, &id).await.map(drop));
    refused(oauth.set_roles(&by, &id, &["administrator".to_owned()]).await.map(drop));
    refused(oauth.set_profile(&by, &id, Some("Eve"), &Default::default()).await.map(drop));
    let rules = crate::oauth::ImportRules { update: true, ..Default::default() };
    for dry_run in [true, false] {
        let line = serde_json::json!({ "email": "a@example.com", "groups": ["x"] });
        let rules = crate::oauth::ImportRules { dry_run, ..rules };
        let done = oauth.import_people(&by, &[line], rules).await.unwrap().remove(0);
        assert_eq!(done.problem.map(|it| it.0), Some("user"));
    }
    assert_eq!(user(&world, "a@example.com").await.roles, Vec::<String>::new());
    // Ways of signing in are the person's, and an administrator helps with them as with others.
    oauth.end_sessions(&by, &id).await.unwrap();
    oauth.invite(&by, &id).await.unwrap();
    let reset = oauth.reset_factors(&by, &id).await.unwrap();
    assert!(reset.user.declared.is_some());
    let kinds = oauth.authenticators_of(&id).await.unwrap();
    assert!(kinds.iter().all(|it| it.kind() == FactorKind::Password), "{kinds:?}");
    // Whom the file has closed, nobody opens, the machine's own user neither.
    let mut closed = with_hash("a@example.com", HASH);
    closed.set_disabled(true);
    oauth.declare_people(&[closed]).await.unwrap();
    refused(oauth.enable_user(&by, &id).await.map(drop));
    refused(oauth.break_glass(&Actor::local("uid:0"), &id).await.map(drop));
    assert_eq!(sign_in(&world, "a@example.com", PASSWORD).await, Err(SignInRefused::Wrong));
}

#[test]
fn what_is_declared_is_checked() {
    assert!(DeclaredPerson::new("nobody").is_err());
    let mut a = person("a@example.com");
    assert!(a.set_groups(&["a b".to_owned()]).is_err());
    assert!(a.set_name("a\u{202e}b").is_err());
    assert!(a.set_password_hash(Secret::new("hunter2".to_owned())).is_err());
    let dear = Secret::new(HASH.replace("$05$", "$20$"));
    assert!(a.set_password_hash(dear).unwrap_err().to_string().contains("cost"));
    assert!(!format!("{:?}", with_hash("a@example.com", HASH)).contains(HASH));
}
