//! Signing in: fixation, delays, enumeration.

use super::*;
use crate::oauth::fixture::{World, actor, origin, world};
use crate::oauth::users::CreateUser;
use crate::people::records::FAILURES_MOST;
use base::Code;

const PASSWORD: &str = "four words are long enough";
const ANN: &str = "ann@example.com";

async fn stage() -> World {
    let world = world().await;
    for (email, name) in [(ANN, "Ann"), ("bob@example.com", "Bob")] {
        let ask = CreateUser {
            email: email.to_owned(),
            name: Some(name.to_owned()),
            roles: vec![],
            password: Some(Secret::new(PASSWORD.to_owned())),
        };
        world.oauth.create_user(&actor(), ask).await.unwrap();
    }
    world.events();
    world
}

async fn sign_in(
    world: &World,
    email: &str,
    password: &str,
    session: Option<&SessionText>,
    from: &str,
) -> Result<SignedIn, SignInRefused> {
    let ask = SignIn {
        email: email.to_owned(),
        password: Secret::new(password.to_owned()),
        session: session.cloned(),
        browser: None,
    };
    let origin = Origin { client_ip: Some(from.parse().unwrap()), ..origin() };
    world.oauth.sign_in(ask, &origin).await.unwrap()
}

fn codes(world: &World) -> Vec<Code> {
    world.events().into_iter().map(|event| event.code).collect()
}

#[tokio::test]
async fn no_fixation_each_sign_in_brings_a_new_text() {
    let world = stage().await;
    let planted = Purpose::Session.fresh().unwrap();
    let first = sign_in(&world, ANN, PASSWORD, Some(&planted), "192.0.2.1").await.unwrap();
    assert_ne!(first.text, planted);
    assert!(world.oauth.current(Some(&planted)).await.unwrap().is_none());
    world.after(60);
    let second = sign_in(&world, ANN, PASSWORD, Some(&first.text), "192.0.2.1").await.unwrap();
    assert_ne!(second.text, first.text);
    assert_eq!(second.session.id, first.session.id);
    assert_eq!(second.session.auth_time, world.now());
    assert!(world.oauth.current(Some(&first.text)).await.unwrap().is_none());
    let current = world.oauth.current(Some(&second.text)).await.unwrap().unwrap();
    assert_eq!(
        (current.user.email.as_str(), current.session.amr.as_slice()),
        (ANN, ["pwd".to_owned()].as_slice())
    );
}

#[tokio::test]
async fn another_person_in_the_same_browser_gets_another_session() {
    let world = stage().await;
    let ann = sign_in(&world, ANN, PASSWORD, None, "192.0.2.1").await.unwrap();
    let bob =
        sign_in(&world, "bob@example.com", PASSWORD, Some(&ann.text), "192.0.2.1").await.unwrap();
    assert_ne!(bob.session.id, ann.session.id);
    assert!(world.oauth.current(Some(&ann.text)).await.unwrap().is_none());
    assert_eq!(codes(&world), [code::LOGIN, code::LOGOUT, code::LOGIN]);
}

#[tokio::test]
async fn a_session_ends_at_its_time_and_by_sign_out() {
    let world = stage().await;
    let ann = sign_in(&world, ANN, PASSWORD, None, "192.0.2.1").await.unwrap();
    let other = sign_in(&world, ANN, PASSWORD, None, "192.0.2.1").await.unwrap();
    assert!(world.oauth.sign_out(&ann.text, &origin()).await.unwrap());
    assert!(!world.oauth.sign_out(&ann.text, &origin()).await.unwrap());
    assert!(world.oauth.current(Some(&other.text)).await.unwrap().is_some());
    world.after(12 * 3600);
    assert!(world.oauth.current(Some(&other.text)).await.unwrap().is_none());
    let debug = format!("{other:?}");
    assert!(!debug.contains("pcs_"), "{debug}");
}

#[tokio::test]
async fn nist_800_63b_s2_2_3_a_session_that_lies_unused_is_over() {
    let world = stage().await;
    let used = sign_in(&world, ANN, PASSWORD, None, "192.0.2.1").await.unwrap();
    let left = sign_in(&world, ANN, PASSWORD, None, "192.0.2.1").await.unwrap();
    let stands = async |text| world.oauth.current(Some(text)).await.unwrap().is_some();
    let shown = async || {
        let own = world.oauth.own_account(Some(&used.text), &origin()).await.unwrap();
        own.map_or(0, |own| own.sessions.len())
    };
    for minutes in (0..715).step_by(55) {
        assert!(stands(&used.text).await, "{minutes}");
        assert_eq!(shown().await, if minutes < 60 { 2 } else { 1 }, "{minutes}");
        world.after(55 * 60);
    }
    assert!(!stands(&left.text).await);
    // However much it is used, it ends after twelve hours.
    world.after(6 * 60);
    assert!(!stands(&used.text).await);
}

#[tokio::test]
async fn attack_what_is_removed_while_it_is_judged_begins_no_session() {
    let world = stage().await;
    let ann = sign_in(&world, ANN, PASSWORD, None, "192.0.2.1").await.unwrap();
    let user = world.oauth.current(Some(&ann.text)).await.unwrap().unwrap().user;
    let gone = Proof::new(FactorKind::Passkey, Some("removed".to_owned()), world.now());
    let begun = world.oauth.begin_session(&user, gone, None, &origin()).await;
    assert!(matches!(begun, Err(Error::Busy(_))), "{begun:?}");
    assert_eq!(world.oauth.sessions_of(&user.id).await.unwrap().len(), 1, "only the one before");
}

#[tokio::test]
async fn unknown_people_and_wrong_passwords_get_the_same_words_and_one_event_each() {
    let world = stage().await;
    for (email, password) in [
        (ANN, "not the right password"),
        ("nobody@example.com", PASSWORD),
        ("no address at all", PASSWORD),
        ("", ""),
    ] {
        let refused = sign_in(&world, email, password, None, "192.0.2.9").await;
        assert_eq!(refused.unwrap_err(), SignInRefused::Wrong, "{email}");
        assert_eq!(codes(&world), [code::LOGIN_FAILED], "{email}");
    }
}

#[tokio::test]
async fn delays_grow_alike_for_accounts_that_are_not_there() {
    let world = stage().await;
    for email in [ANN, "nobody@example.com"] {
        let from = if email == ANN { "192.0.2.1" } else { "192.0.2.2" };
        for _ in 0..6 {
            let refused = sign_in(&world, email, "wrong", None, from).await.unwrap_err();
            assert_eq!(refused, SignInRefused::Wrong);
        }
        world.events();
        for _ in 0..3 {
            let refused = sign_in(&world, email, PASSWORD, None, from).await.unwrap_err();
            assert_eq!(refused, SignInRefused::TooEarly(Duration::from_secs(1)), "{email}");
        }
        // One record for the delay, however often somebody knocks.
        assert_eq!(codes(&world), [code::LOGIN_FAILED]);
    }
}

#[tokio::test]
async fn strangers_never_lock_a_person_out_for_good() {
    let world = stage().await;
    // From many networks: the account's own delay grows to its longest and no further.
    for n in 0..60 {
        let from = format!("198.51.100.{n}");
        let _ = sign_in(&world, ANN, "wrong", None, &from).await;
    }
    let SignInRefused::TooEarly(wait) =
        sign_in(&world, ANN, PASSWORD, None, "192.0.2.1").await.unwrap_err()
    else {
        panic!("it is delayed")
    };
    assert!(wait <= Duration::from_secs(30));
    world.after(wait.as_secs() + 1);
    sign_in(&world, ANN, PASSWORD, None, "192.0.2.1").await.unwrap();
    // Success forgives.
    sign_in(&world, ANN, PASSWORD, None, "192.0.2.1").await.unwrap();
}

#[tokio::test]
async fn a_network_in_which_the_person_has_signed_in_keeps_its_way() {
    let world = stage().await;
    sign_in(&world, ANN, PASSWORD, None, "192.0.2.1").await.unwrap();
    for n in 0..60 {
        let from = format!("198.51.100.{n}");
        let _ = sign_in(&world, ANN, "wrong", None, &from).await;
    }
    assert!(sign_in(&world, ANN, PASSWORD, None, "192.0.2.2").await.is_err());
    sign_in(&world, ANN, PASSWORD, None, "192.0.2.1").await.unwrap();
}

#[tokio::test]
async fn one_session_is_ended_and_only_of_its_person() {
    let world = stage().await;
    let ann = sign_in(&world, ANN, PASSWORD, None, "192.0.2.1").await.unwrap();
    let bob = sign_in(&world, "bob@example.com", PASSWORD, None, "192.0.2.1").await.unwrap();
    let (user, id) = (ann.session.user.as_str(), ann.session.id.as_str());
    assert_eq!(world.oauth.sessions_of(user).await.unwrap(), std::slice::from_ref(&ann.session));
    let wrong = world.oauth.end_session_of(&actor(), user, &bob.session.id).await;
    assert!(matches!(wrong, Err(Error::NotFound { what: "session", .. })));
    assert!(world.oauth.current(Some(&bob.text)).await.unwrap().is_some());
    world.oauth.end_session_of(&actor(), user, id).await.unwrap();
    assert!(world.oauth.current(Some(&ann.text)).await.unwrap().is_none());
    assert!(world.oauth.end_session_of(&actor(), user, id).await.is_err());
}

#[tokio::test]
async fn csrf_tokens_belong_to_one_cookie_and_one_form() {
    let world = stage().await;
    let cookie = Secret::new("cookie".to_owned());
    let token = world.oauth.csrf(&cookie, "login");
    assert!(world.oauth.csrf_holds(&cookie, "login", &token));
    assert!(!world.oauth.csrf_holds(&cookie, "consent", &token));
    assert!(!world.oauth.csrf_holds(&Secret::new("other".to_owned()), "login", &token));
    for bad in ["", "AAAA", &token[1..], &format!("{token}A")] {
        assert!(!world.oauth.csrf_holds(&cookie, "login", bad), "{bad}");
    }
}

#[tokio::test]
async fn an_unknown_account_waits_for_a_hash_like_a_known_one_and_a_full_queue_counts_nothing() {
    let mut world = stage().await;
    world.oauth.people.pool = password::Pool::new(1, 0);
    let (go, wait) = std::sync::mpsc::channel::<()>();
    let oauth = &world.oauth;
    let held = oauth.people.pool.run(move || wait.recv().is_ok());
    let guesses = async {
        tokio::task::yield_now().await;
        // Were the unknown account answered without hashing, it would get another answer than this.
        for _ in 0..100 {
            for email in [ANN, "nobody@example.com", "no address"] {
                let refused = sign_in(&world, email, PASSWORD, None, "192.0.2.1").await;
                assert_eq!(refused.unwrap_err(), SignInRefused::Busy, "{email}");
            }
        }
        go.send(()).unwrap();
    };
    let (held, ()) = tokio::join!(held, guesses);
    assert_eq!(held, Ok(true));
    assert!(world.events().is_empty());
    sign_in(&world, ANN, PASSWORD, None, "192.0.2.1").await.unwrap();
}

#[test]
fn a_network_is_an_address_or_a_subscriber() {
    let of = |text: &str| network(Some(text.parse().unwrap()));
    assert_eq!(of("192.0.2.1"), of("::ffff:192.0.2.1"));
    assert_ne!(of("192.0.2.1"), of("192.0.2.2"));
    assert_eq!(of("2001:db8:1:2::1"), of("2001:db8:1:2:ffff::9"));
    assert_ne!(of("2001:db8:1:2::1"), of("2001:db8:1:3::1"));
}

#[tokio::test]
async fn who_registers_itself_fills_the_disk_no_more_than_who_has_no_secret() {
    let world = world().await;
    let made = world.client(&["authorization_code"], |_| ()).await.client;
    let kept = |origin_of: From| {
        let client = ClientRecord { origin: origin_of, ..made.clone() };
        (0..200).filter(|_| world.oauth.may_keep_row(&client, &origin()).is_ok()).count()
    };
    assert_eq!(kept(From::Admin), 200);
    assert_eq!(kept(From::Dynamic), 120);
    assert_eq!(kept(From::Document), 0, "of the same network");
}

#[tokio::test]
async fn a_hash_from_elsewhere_is_replaced_at_the_next_right_sign_in() {
    let world = stage().await;
    // Argon2id at a tenth of our cost.
    let weak = {
        let cost = argon2::Params::new(2048, 1, 1, None).unwrap();
        let argon2 = argon2::Argon2::new(argon2::Algorithm::Argon2id, argon2::Version::V0x13, cost);
        let hash = argon2::PasswordHasher::hash_password_with_salt(
            &argon2,
            PASSWORD.as_bytes(),
            b"salt of elsewhere",
        );
        hash.unwrap().to_string()
    };
    let kept = |world: &World| {
        let state = world.store.state();
        state.users.values().find(|it| it.email == ANN).unwrap().password.clone().unwrap()
    };
    for user in world.store.state().users.values_mut().filter(|it| it.email == ANN) {
        user.password = Some(weak.clone());
    }
    sign_in(&world, ANN, "not the right words", None, "192.0.2.1").await.unwrap_err();
    assert_eq!(kept(&world), weak, "a wrong password replaces nothing");
    sign_in(&world, ANN, PASSWORD, None, "192.0.2.1").await.unwrap();
    let fresh = kept(&world);
    assert!(fresh != weak && !password::needs_rehash(&fresh), "{fresh}");
    world.events();
    sign_in(&world, ANN, PASSWORD, None, "192.0.2.1").await.unwrap();
    assert_eq!(kept(&world), fresh);
    assert_eq!(codes(&world), [code::LOGIN]);
}

#[tokio::test]
async fn attack_a_busy_server_counts_no_shut_password_down() {
    let mut world = stage().await;
    let refused = sign_in(&world, ANN, "wrong", None, "192.0.2.1").await;
    assert_eq!(refused.unwrap_err(), SignInRefused::Wrong);
    let count = |set: Option<u32>| {
        let mut state = world.store.state();
        let mut rows = state.authenticators.values_mut();
        let row = rows.find(|it| it.kind() == FactorKind::Password).unwrap();
        row.failures = set.unwrap_or(row.failures);
        row.failures
    };
    count(Some(FAILURES_MOST));
    world.oauth.people.pool = password::Pool::new(1, 0);
    let (go, wait) = std::sync::mpsc::channel::<()>();
    let held = world.oauth.people.pool.run(move || wait.recv().is_ok());
    let guesses = async {
        tokio::task::yield_now().await;
        for _ in 0..10 {
            let refused = sign_in(&world, ANN, PASSWORD, None, "192.0.2.1").await;
            assert_eq!(refused.unwrap_err(), SignInRefused::Busy);
        }
        go.send(()).unwrap();
    };
    let (held, ()) = tokio::join!(held, guesses);
    assert_eq!(held, Ok(true));
    let count = |world: &World| {
        let state = world.store.state();
        let mut rows = state.authenticators.values();
        rows.find(|it| it.kind() == FactorKind::Password).unwrap().failures
    };
    assert_eq!(count(&world), FAILURES_MOST);
    let refused = sign_in(&world, ANN, PASSWORD, None, "192.0.2.1").await;
    assert_eq!(refused.unwrap_err(), SignInRefused::Wrong, "it is still shut");
}

#[tokio::test]
async fn attack_a_sign_in_under_way_outlives_no_change_of_the_password() {
    let mut world = stage().await;
    world.oauth.people.pool = password::Pool::new(1, 4);
    let (go, wait) = std::sync::mpsc::channel::<()>();
    let held = world.oauth.people.pool.run(move || wait.recv().is_ok());
    let thief = sign_in_raw(&world, ANN, PASSWORD);
    let owner = async {
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
        // The old hash is read, and waits to be compared.
        let mut state = world.store.state();
        let ann = state.users.values_mut().find(|it| it.email == ANN).unwrap();
        ann.password = Some("another one".to_owned());
        let id = ann.id.clone();
        drop(state);
        go.send(()).unwrap();
        id
    };
    let (held, thief, id) = tokio::join!(held, thief, owner);
    assert_eq!(held, Ok(true));
    assert!(matches!(thief, Err(Error::Busy(_))), "{thief:?}");
    assert!(world.oauth.sessions_of(&id).await.unwrap().is_empty());
}

async fn sign_in_raw(
    world: &World,
    email: &str,
    password: &str,
) -> Result<Result<SignedIn, SignInRefused>, Error> {
    let password = Secret::new(password.to_owned());
    let ask = SignIn { email: email.to_owned(), password, session: None, browser: None };
    world.oauth.sign_in(ask, &origin()).await
}

#[tokio::test]
async fn attack_another_persons_browser_is_not_known_to_this_account() {
    let world = stage().await;
    let known = |email: &'static str, browser: Option<BrowserText>, password: &'static str| {
        let password = Secret::new(password.to_owned());
        let ask = SignIn { email: email.to_owned(), password, session: None, browser };
        let world = &world;
        async move { world.oauth.sign_in(ask, &origin()).await.unwrap() }
    };
    let bob = known("bob@example.com", None, PASSWORD).await.unwrap();
    let ann = known(ANN, None, PASSWORD).await.unwrap();
    // What fails with Bob's cookie is counted to strangers, and not to Bob or to Ann's own browser.
    assert!(known(ANN, bob.browser.clone(), "wrong").await.is_err());
    let rows: Vec<_> = world.store.state().authenticators.values().cloned().collect();
    for row in rows {
        let expect = u32::from(row.kind() == FactorKind::Password && row.user == ann.session.user);
        assert_eq!(row.failures, expect, "{row:?}");
    }
    // Being known opens nothing: Ann is known by another text afterwards.
    let again = known(ANN, bob.browser.clone(), PASSWORD).await.unwrap();
    assert!(again.browser.is_some() && again.browser != bob.browser);
}
