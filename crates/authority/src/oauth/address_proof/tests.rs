//! Proving an address, and how it is attacked.

use super::*;
use crate::oauth::fixture::{World, actor, origin, world};
use crate::oauth::prove::tests::{App, PASSWORD, account, enrol, prove, secret, sign_in};
use crate::oauth::{CreateUser, Presented, RecoverPassword, SignedIn};

const ANN: &str = "ann@example.com";
const NEW: &str = "ann@new.example";

async fn ask(world: &World, of: &SignedIn, address: &str) -> Result<(), ProofRefused> {
    let done = world.oauth.ask_address_proof(Some(&of.text), address, &origin()).await.unwrap();
    world.oauth.write_address_proof(done?).await.unwrap();
    Ok(())
}

fn letters(world: &World) -> Vec<base::Message> {
    let state = world.store.state();
    state.posted.iter().filter(|it| it.kind() == "address_proof").cloned().collect()
}

/// The code of the newest letter, which went to `to`.
fn code(world: &World, to: &str) -> Secret<String> {
    let all = letters(world);
    let letter = all.last().unwrap();
    assert_eq!(letter.to().as_str(), to);
    let line = letter.text().expose().lines().find(|it| it.starts_with("    ")).unwrap();
    secret(line.trim())
}

async fn type_in(world: &World, of: &SignedIn, code: &Secret<String>) -> Result<Proved, Error> {
    world.oauth.prove_address(Some(&of.text), code, &origin()).await.map(|done| done.unwrap())
}

fn wrong<T: std::fmt::Debug>(result: Result<T, Error>) -> &'static str {
    match result.unwrap_err() {
        Error::Invalid { field, .. } => field,
        other => unreachable!("{other}"),
    }
}

fn user(world: &World, id: &str) -> UserRecord {
    world.store.state().users[id].clone()
}

/// A person with two factors who has just signed in.
async fn stage() -> (World, String, App, SignedIn) {
    let world = world().await;
    let id = account(&world).await;
    let first = sign_in(&world, PASSWORD, None).await.unwrap();
    let (app, changed) = enrol(&world, &first.text).await;
    world.events();
    (world, id, app, changed.session.unwrap())
}

#[tokio::test]
async fn an_address_counts_as_proved_once_its_code_came_back() {
    let (world, id, _, session) = stage().await;
    assert!(!user(&world, &id).email_verified, "nobody has shown it yet");
    let claims = world.oauth.person_claims(&id).await.unwrap();
    assert_eq!(claims["email_verified"], false);
    ask(&world, &session, " ANN@example.com").await.unwrap();
    assert!(!user(&world, &id).email_verified, "a letter alone shows nothing");
    let code = code(&world, ANN);
    let done = type_in(&world, &session, &code).await.unwrap();
    assert_eq!(done, Proved { address: ANN.to_owned(), changed: false });
    assert_eq!(world.oauth.person_claims(&id).await.unwrap()["email_verified"], true);
    assert!(world.oauth.current(Some(&session.text)).await.unwrap().is_some());
    // Once; and there is nothing more to ask for.
    assert_eq!(wrong(type_in(&world, &session, &code).await), "code");
    let again = world.oauth.ask_address_proof(Some(&session.text), ANN, &origin()).await;
    assert_eq!(wrong(again), "email");
    let events = format!("{:?}", world.events());
    assert!(!events.contains(ANN) && !events.contains(code.expose().as_str()), "{events}");
}

#[tokio::test]
async fn another_address_is_the_accounts_once_it_is_proved() {
    let (world, id, app, session) = stage().await;
    world.after(30);
    let half = sign_in(&world, PASSWORD, None).await.unwrap();
    let other = prove(&world, &half.text, Presented::Totp(app.code(&world))).await.unwrap();
    let link = Some(("00".to_owned(), world.now().plus(Duration::from_secs(3600))));
    world.store.state().users.get_mut(&id).unwrap().setup = link;
    ask(&world, &session, NEW).await.unwrap();
    assert_eq!(user(&world, &id).email, ANN);
    let done = type_in(&world, &session, &code(&world, NEW)).await.unwrap();
    assert_eq!(done, Proved { address: NEW.to_owned(), changed: true });
    let now = user(&world, &id);
    assert_eq!((now.email.as_str(), now.email_verified), (NEW, true));
    assert_eq!(now.setup, None, "a link that went to the old address");
    // The old address is told, and nothing else is sent there; who else was signed in is not any more.
    let state = world.store.state().posted.clone();
    let told = state.last().unwrap();
    assert_eq!(told.to().as_str(), ANN);
    assert!(told.text().expose().contains("was changed"), "{:?}", told.text().expose());
    assert!(world.oauth.current(Some(&other.text)).await.unwrap().is_none());
    assert!(world.oauth.current(Some(&session.text)).await.unwrap().is_some());
}

#[tokio::test]
async fn attack_a_stolen_session_changes_no_address() {
    let (world, id, _, session) = stage().await;
    world.after(301);
    let refused = ask(&world, &session, NEW).await.unwrap_err();
    assert!(matches!(refused, ProofRefused::Prove(it) if it.totp));
    let half = sign_in(&world, PASSWORD, None).await.unwrap();
    let refused = ask(&world, &half, NEW).await.unwrap_err();
    assert_eq!(refused, ProofRefused::NotSignedIn);
    assert!(letters(&world).is_empty());
    assert_eq!(user(&world, &id).email, ANN);
    // To show one's own needs no more than the session: nothing is changed by it.
    ask(&world, &session, ANN).await.unwrap();
}

#[tokio::test]
async fn asvs_6_6_2_the_code_of_another_session_is_none() {
    let (world, id, app, session) = stage().await;
    ask(&world, &session, NEW).await.unwrap();
    let code = code(&world, NEW);
    world.after(30);
    let half = sign_in(&world, PASSWORD, None).await.unwrap();
    assert!(world.oauth.prove_address(Some(&half.text), &code, &origin()).await.unwrap().is_err());
    let other = prove(&world, &half.text, Presented::Totp(app.code(&world))).await.unwrap();
    assert_eq!(wrong(type_in(&world, &other, &code).await), "code");
    let refusal = world.events().into_iter().rfind(|it| it.code == code::ACT_REFUSED).unwrap();
    assert_eq!(refusal.principal.as_deref(), Some(&*id));
    // Nobody's, without a session; and still good where it was asked for, after one step more too.
    assert!(world.oauth.prove_address(None, &code, &origin()).await.unwrap().is_err());
    world.after(30);
    let renewed = prove(&world, &session.text, Presented::Totp(app.code(&world))).await.unwrap();
    assert!(type_in(&world, &renewed, &code).await.is_ok());
}

#[tokio::test]
async fn a_code_ends_after_ten_minutes_and_with_what_it_was_asked_for() {
    for change in ["time", "address", "meanwhile", "taken", "closed", "session"] {
        let (world, id, _, session) = stage().await;
        ask(&world, &session, NEW).await.unwrap();
        let code = code(&world, NEW);
        match change {
            "time" => world.after(600),
            // Somebody else (a directory) gave the account another address.
            "address" => {
                world.store.state().users.get_mut(&id).unwrap().email = "x@y.example".to_owned();
            }
            // The person has proved a third one since.
            "meanwhile" => {
                ask(&world, &session, "ann@third.example").await.unwrap();
                let third = self::code(&world, "ann@third.example");
                assert!(type_in(&world, &session, &third).await.unwrap().changed);
            }
            "taken" => {
                let ask = CreateUser {
                    email: NEW.to_owned(),
                    name: None,
                    roles: Vec::new(),
                    password: Some(secret(PASSWORD)),
                };
                world.oauth.create_user(&actor(), ask).await.unwrap();
            }
            "closed" => drop(world.oauth.disable_user(&actor(), &id).await.unwrap()),
            _ => drop(world.oauth.end_sessions(&actor(), &id).await.unwrap()),
        }
        let before = user(&world, &id).email;
        let done = world.oauth.prove_address(Some(&session.text), &code, &origin()).await;
        match change {
            "closed" | "session" => {
                assert_eq!(done.unwrap().unwrap_err(), ProofRefused::NotSignedIn, "{change}");
            }
            _ => assert_eq!(wrong(done), "code", "{change}"),
        }
        assert_eq!(user(&world, &id).email, before, "{change}");
        assert_ne!(before, NEW);
    }
}

#[tokio::test]
async fn attack_a_code_of_one_kind_is_none_of_the_other() {
    let (world, id, _, session) = stage().await;
    let browser = secret("cookie");
    ask(&world, &session, ANN).await.unwrap();
    let proof = code(&world, ANN);
    let recover = RecoverPassword {
        code: proof.clone(),
        browser: browser.clone(),
        password: secret("seven quiet lamps at noon"),
    };
    assert_eq!(wrong(world.oauth.recover_password(&recover, &origin()).await), "code");
    let due = world.oauth.recover(ANN, &browser, &origin()).unwrap().unwrap();
    world.oauth.write_letter(due).await.unwrap();
    let text = {
        let state = world.store.state();
        let letter = state.posted.iter().rfind(|it| it.kind() == "recovery").unwrap();
        let line = letter.text().expose().lines().find(|it| it.starts_with("    ")).unwrap();
        secret(line.trim())
    };
    assert_eq!(wrong(type_in(&world, &session, &text).await), "code");
    assert!(!user(&world, &id).email_verified);
    // Strangers who ask for recovery void no proof.
    for _ in 0..3 {
        world.after(60);
        let due = world.oauth.recover(ANN, &secret("stranger"), &origin()).unwrap().unwrap();
        world.oauth.write_letter(due).await.unwrap();
    }
    assert!(type_in(&world, &session, &proof).await.is_ok());
}

#[tokio::test]
async fn who_sets_a_password_by_a_letter_has_shown_the_address() {
    let (world, id, _, _) = stage().await;
    let browser = secret("cookie");
    let due = world.oauth.recover(ANN, &browser, &origin()).unwrap().unwrap();
    world.oauth.write_letter(due).await.unwrap();
    let code = {
        let state = world.store.state();
        let letter = state.posted.iter().rfind(|it| it.kind() == "recovery").unwrap();
        let line = letter.text().expose().lines().find(|it| it.starts_with("    ")).unwrap();
        secret(line.trim())
    };
    let password = secret("seven quiet lamps at noon");
    let ask = RecoverPassword { code, browser, password };
    world.oauth.recover_password(&ask, &origin()).await.unwrap().unwrap();
    assert!(user(&world, &id).email_verified);
}

#[tokio::test]
async fn nobody_learns_whose_an_address_is() {
    let (world, _, _, session) = stage().await;
    let taken = CreateUser {
        email: NEW.to_owned(),
        name: None,
        roles: Vec::new(),
        password: Some(secret(PASSWORD)),
    };
    world.oauth.create_user(&actor(), taken).await.unwrap();
    // Both may be asked for, and both are too early at the same time.
    ask(&world, &session, NEW).await.unwrap();
    assert!(letters(&world).is_empty(), "nobody could use it");
    ask(&world, &session, "ann@free.example").await.unwrap();
    assert_eq!(letters(&world).len(), 1);
    let guess = type_in(&world, &session, &secret("0000-0000-00000")).await;
    assert_eq!(wrong(guess), "code");
}

#[tokio::test]
async fn guesses_and_letters_are_bounded() {
    let (world, _, _, session) = stage().await;
    let guess = secret("0000-0000-00000");
    let mut tried = 0;
    while world.oauth.prove_address(Some(&session.text), &guess, &origin()).await.is_err() {
        tried += 1;
        assert!(tried < 100);
    }
    assert_eq!(tried, TRIED.free + 1);
    // Letters to one address, and of one person to any.
    let mut sent = 0;
    let early = loop {
        match ask(&world, &session, &format!("ann{sent}@new.example")).await {
            Ok(()) => sent += 1,
            Err(refused) => break refused,
        }
    };
    assert_eq!(sent, PERSON.free + 1);
    assert!(matches!(early, ProofRefused::Later(RecoverRefused::TooEarly(_))));
}

#[tokio::test]
async fn what_a_directory_keeps_is_changed_there() {
    let (world, id, _, session) = stage().await;
    let change =
        |change: fn(&mut UserRecord)| change(world.store.state().users.get_mut(&id).unwrap());
    ask(&world, &session, NEW).await.unwrap();
    change(|user| user.declared = Some(crate::oauth::records::InFile::default()));
    // Taken over since the letter was sent.
    let late = code(&world, NEW);
    let late = world.oauth.prove_address(Some(&session.text), &late, &origin()).await.unwrap();
    assert_eq!(late.unwrap_err(), ProofRefused::Directory);
    assert_eq!(ask(&world, &session, NEW).await.unwrap_err(), ProofRefused::Directory);
    change(|user| {
        user.declared = None;
        user.directory.external_id = Some("7".to_owned());
    });
    assert_eq!(ask(&world, &session, NEW).await.unwrap_err(), ProofRefused::Directory);
    ask(&world, &session, ANN).await.unwrap();
    assert!(type_in(&world, &session, &code(&world, ANN)).await.is_ok());
    for odd in ["no address", "", "a@b@c", "x@deleted.invalid"] {
        let done = world.oauth.ask_address_proof(Some(&session.text), odd, &origin()).await;
        assert_eq!(wrong(done), "email", "{odd}");
    }
}

#[tokio::test]
async fn a_letter_that_cannot_be_written_is_recorded() {
    let (world, id, _, session) = stage().await;
    let due = world.oauth.ask_address_proof(Some(&session.text), ANN, &origin()).await.unwrap();
    world.store.state().broken = true;
    world.events();
    world.oauth.post_address_proof(due.unwrap()).await;
    let events = world.events();
    let failed = events.iter().find(|it| it.code == code::MAIL_FAILED).unwrap();
    assert_eq!(failed.outcome, Outcome::Error);
    assert!(!format!("{failed:?}").contains(ANN), "no address stands in it");
    assert!(!user(&world, &id).email_verified);
}
