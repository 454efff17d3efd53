//! "Forgot your password?", and how it is attacked.

use super::*;
use crate::oauth::SignInRefused;
use crate::oauth::fixture::{World, actor, origin, world};
use crate::oauth::prove::tests::{PASSWORD, account, enrol, secret, sign_in};

const ANN: &str = "ann@example.com";
const NEW: &str = "seven quiet lamps at noon";

fn browser(name: &str) -> Secret<String> {
    secret(&format!("cookie of {name}"))
}

async fn ask(world: &World, address: &str, of: &str) -> Result<(), RecoverRefused> {
    let due = world.oauth.recover(address, &browser(of), &origin()).unwrap()?;
    world.oauth.write_letter(due).await.unwrap();
    Ok(())
}

/// The code of the newest letter.
fn code(world: &World) -> Secret<String> {
    let state = world.store.state();
    let letter = state.posted.iter().rev().find(|it| it.kind() == "recovery").unwrap();
    let line = letter.text().expose().lines().find(|it| it.starts_with("    ")).unwrap();
    secret(line.trim())
}

async fn set(
    world: &World,
    code: &Secret<String>,
    of: &str,
    password: &str,
) -> Result<PasswordSet, Error> {
    let ask =
        RecoverPassword { code: code.clone(), browser: browser(of), password: secret(password) };
    world.oauth.recover_password(&ask, &origin()).await.map(|done| done.unwrap())
}

fn wrong<T: std::fmt::Debug>(result: Result<T, Error>) -> &'static str {
    match result.unwrap_err() {
        Error::Invalid { field, .. } => field,
        other => unreachable!("{other}"),
    }
}

fn letters(world: &World) -> usize {
    world.store.state().posted.iter().filter(|it| it.kind() == "recovery").count()
}

#[tokio::test]
async fn a_code_sets_one_password_once_and_ends_what_was_issued() {
    let world = world().await;
    let id = account(&world).await;
    let thief = sign_in(&world, PASSWORD, None).await.unwrap();
    ask(&world, " ANN@example.com", "home").await.unwrap();
    let code = code(&world);
    // A refused password leaves the code as good as it was.
    assert_eq!(wrong(set(&world, &code, "home", "short").await), "password");
    let kept = format!("{:?}", world.store.state().letters);
    assert!(!kept.contains(code.expose().as_str()) && !kept.contains(ANN), "{kept}");
    world.after(1);
    assert_eq!(set(&world, &code, "home", NEW).await.unwrap().user, id);
    assert_eq!(wrong(set(&world, &code, "home", "another long password").await), "code");
    assert!(world.oauth.standing(Some(&thief.text)).await.unwrap().is_none());
    let revoked = world.store.state().revocations.values().any(|it| it.value == id);
    assert!(revoked);
    assert_eq!(sign_in(&world, PASSWORD, None).await.unwrap_err(), SignInRefused::Wrong);
    sign_in(&world, NEW, None).await.unwrap();
    let told = world
        .store
        .state()
        .posted
        .iter()
        .any(|it| it.text().expose().contains("new password was set"));
    assert!(told);
    let events = format!("{:?}", world.events());
    assert!(!events.contains(ANN) && !events.contains(code.expose().as_str()));
}

#[tokio::test]
async fn recovery_never_bypasses_the_second_factor() {
    let world = world().await;
    account(&world).await;
    let first = sign_in(&world, PASSWORD, None).await.unwrap();
    enrol(&world, &first.text).await;
    ask(&world, ANN, "home").await.unwrap();
    set(&world, &code(&world), "home", NEW).await.unwrap();
    let half = sign_in(&world, NEW, None).await.unwrap();
    assert!(world.oauth.current(Some(&half.text)).await.unwrap().is_none());
    assert!(world.oauth.may_change(Some(&half.text)).await.unwrap().is_err());
    let own = world.store.state().authenticators.values().any(|it| it.kind().is_second());
    assert!(own);
}

#[tokio::test]
async fn asvs_6_6_2_the_code_of_another_browser_is_none() {
    let world = world().await;
    account(&world).await;
    // The thief asks, and has the owner tell the code; or the owner asks, and the thief reads the letter.
    ask(&world, ANN, "home").await.unwrap();
    let code = code(&world);
    assert_eq!(wrong(set(&world, &code, "elsewhere", NEW).await), "code");
    assert!(world.events().iter().any(|it| it.code == code::ACT_REFUSED));
    set(&world, &code, "home", NEW).await.unwrap();
}

#[tokio::test]
async fn a_code_ends_after_ten_minutes_and_with_the_account() {
    for change in ["time", "closed", "address", "password"] {
        let world = world().await;
        let id = account(&world).await;
        ask(&world, ANN, "home").await.unwrap();
        let code = code(&world);
        world.after(599);
        let mut other = None;
        match change {
            "time" => world.after(1),
            "closed" => other = Some(world.oauth.disable_user(&actor(), &id).await.unwrap()),
            "address" => {
                let mut state = world.store.state();
                state.users.get_mut(&id).unwrap().email = "new@example.com".to_owned();
            }
            _ => drop(world.oauth.reset_factors(&actor(), &id).await.unwrap()),
        }
        drop(other);
        assert_eq!(wrong(set(&world, &code, "home", NEW).await), "code", "{change}");
    }
}

#[tokio::test]
async fn a_person_has_three_codes_and_one_that_is_used_voids_the_others() {
    let world = world().await;
    account(&world).await;
    // Whoever has signed in from here is held up by strangers as little as possible.
    sign_in(&world, PASSWORD, None).await.unwrap();
    let mut all = Vec::new();
    for _ in 0..4 {
        world.after(120);
        ask(&world, ANN, "home").await.unwrap();
        all.push(code(&world));
    }
    assert_eq!(world.store.state().letters.len(), 3);
    assert_eq!(wrong(set(&world, &all[0], "home", NEW).await), "code");
    set(&world, &all[2], "home", NEW).await.unwrap();
    assert_eq!(wrong(set(&world, &all[3], "home", "another long password").await), "code");
    assert!(world.store.state().letters.is_empty());
}

#[tokio::test]
async fn nobody_learns_whether_there_is_an_account() {
    let world = world().await;
    account(&world).await;
    let ask_of = CreateUserWithout("bob@example.com");
    ask_of.made(&world).await;
    world.events();
    for address in [ANN, "nobody@example.com", "bob@example.com"] {
        for _ in 0..3 {
            ask(&world, address, "stranger").await.unwrap();
        }
        // The fourth is the last that is free of a delay.
        ask(&world, address, "stranger").await.unwrap();
        let early = ask(&world, address, "stranger").await.unwrap_err();
        assert_eq!(early, RecoverRefused::TooEarly(Duration::from_secs(30)), "{address}");
    }
    // Who has no account, or no password yet, gets nothing.
    assert_eq!(letters(&world), 4);
    assert!(world.oauth.recover("no address", &browser("x"), &origin()).is_err());
}

struct CreateUserWithout(&'static str);

impl CreateUserWithout {
    async fn made(&self, world: &World) {
        let ask = crate::oauth::CreateUser {
            email: self.0.to_owned(),
            name: None,
            roles: Vec::new(),
            password: None,
        };
        world.oauth.create_user(&actor(), ask).await.unwrap();
    }
}

#[tokio::test]
async fn guesses_and_letters_are_bounded() {
    let world = world().await;
    account(&world).await;
    let guess = RecoverPassword {
        code: secret("0000-0000-00000"),
        browser: browser("home"),
        password: secret(NEW),
    };
    let mut tried = 0;
    while world.oauth.recover_password(&guess, &origin()).await.is_err() {
        tried += 1;
        assert!(tried < 100);
    }
    assert_eq!(tried, TRIED.free + 1);
    // Letters that wait to be written hold their place.
    let mut due = Vec::new();
    let refused = loop {
        let address = format!("{}@example.com", due.len());
        let from = Some(std::net::IpAddr::from([192, 0, 2, due.len() as u8]));
        let origin = Origin { client_ip: from, ..origin() };
        match world.oauth.recover(&address, &browser("x"), &origin).unwrap() {
            Ok(one) => due.push(one),
            Err(refused) => break refused,
        }
    };
    assert_eq!((due.len(), refused), (WRITING_MOST, RecoverRefused::Busy));
    due.clear();
    ask(&world, ANN, "home").await.unwrap();
}

#[tokio::test]
async fn a_letter_that_cannot_be_written_is_recorded() {
    let world = world().await;
    account(&world).await;
    for (address, broken, records) in
        [(ANN, true, 1), ("nobody@example.com", true, 0), (ANN, false, 0)]
    {
        world.store.state().broken = broken;
        let due = world.oauth.recover(address, &browser("home"), &origin()).unwrap().unwrap();
        world.events();
        world.oauth.post_letter(due).await;
        let events = world.events();
        let failed: Vec<_> = events.iter().filter(|it| it.code == code::MAIL_FAILED).collect();
        assert_eq!(failed.len(), records, "{address}, broken: {broken}");
        for event in failed {
            assert_eq!(event.outcome, Outcome::Error);
            let said = format!("{event:?}");
            assert!(said.contains("recovery") && !said.contains(ANN), "{said}");
        }
    }
    assert_eq!(letters(&world), 1, "what could not be kept was not sent");
}
