//! Passkeys with sessions, against a store in memory and an authenticator in software.

use crate::factors::passkey::Anchors;
use crate::factors::passkey::soft::{ELIGIBLE, PRESENT, Soft, VERIFIED};
use crate::oauth::fixture::{World, origin, world, world_with};
use crate::oauth::prove::tests::{PASSWORD, account, enrol, sign_in};
use crate::oauth::settings::Settings;
use crate::oauth::{
    AddPasskey, Changed, MethodRefused, PasskeyAsk, SessionText, ShownPasskey, SignInRefused,
    SignedIn,
};
use crate::people::{AuthenticatorData, FactorKind, Level, Policy};
use base::code;
use serde_json::Value;

/// An authenticator at the world's authority.
fn soft(world: &World) -> Soft {
    let origin = world.oauth.settings().issuer.clone();
    let rp = origin.split("://").nth(1).unwrap().split([':', '/']).next().unwrap().to_owned();
    Soft { origin, rp, ..Soft::new() }
}

fn options(ask: &PasskeyAsk) -> Value {
    serde_json::from_str(&ask.options).unwrap()
}

async fn add(
    world: &World,
    session: &SessionText,
    soft: &mut Soft,
) -> Result<Changed, MethodRefused> {
    let ask = world.oauth.new_passkey(Some(session)).await.unwrap()?;
    let answer = soft.create(&options(&ask));
    let shown = ShownPasskey { state: ask.state, answer };
    let ask = AddPasskey { shown, name: " My laptop ".to_owned() };
    world.oauth.add_passkey(Some(session), &ask, &origin()).await.unwrap()
}

/// Ann with a passkey, and the session in which she added it.
async fn with_passkey(world: &World) -> (Soft, SignedIn) {
    account(world).await;
    let first = sign_in(world, PASSWORD, None).await.unwrap();
    let mut soft = soft(world);
    let changed = add(world, &first.text, &mut soft).await.unwrap();
    assert_eq!(changed.codes.len(), 10);
    (soft, changed.session.unwrap())
}

async fn show(
    world: &World,
    shown: &ShownPasskey,
    session: Option<&SessionText>,
) -> Result<SignedIn, SignInRefused> {
    world.oauth.show_passkey(shown, session, None, &origin()).await.unwrap()
}

/// Signs in with nothing but the passkey.
async fn discover(world: &World, soft: &mut Soft) -> Result<SignedIn, SignInRefused> {
    let ask = world.oauth.ask_any_passkey().unwrap().unwrap();
    let answer = soft.get(&options(&ask));
    show(world, &ShownPasskey { state: ask.state, answer }, None).await
}

/// Shows the passkey beside what was proved.
async fn beside(
    world: &World,
    session: &SessionText,
    (soft, verify): (&mut Soft, bool),
) -> Result<SignedIn, SignInRefused> {
    let standing = world.oauth.standing(Some(session)).await.unwrap().unwrap();
    let ask = world.oauth.ask_own_passkey(&standing, verify).unwrap().unwrap();
    let answer = soft.get(&options(&ask));
    show(world, &ShownPasskey { state: ask.state, answer }, Some(session)).await
}

/// The one refusal that was recorded since the last look says this.
fn refused_last(world: &World, why: &str) {
    let events = world.events();
    let refused: Vec<_> = events.iter().filter(|it| it.code == code::LOGIN_FAILED).collect();
    assert_eq!(refused.len(), 1, "each refusal is recorded once: {events:?}");
    let detail = refused[0].detail.as_deref().unwrap();
    assert!(detail.contains(why), "{detail}");
}

#[tokio::test]
async fn a_passkey_signs_in_with_no_name_and_no_password() {
    let world = world().await;
    let (mut soft, session) = with_passkey(&world).await;
    assert_eq!(session.session.acr, "phr");
    let own = world.oauth.own_methods(Some(&session.text)).await.unwrap().unwrap();
    assert_eq!(own.authenticators[0].name, "My laptop");
    world.after(60);
    let alone = discover(&world, &mut soft).await.unwrap();
    assert_eq!(alone.session.acr, "phr");
    assert!(alone.session.amr.contains(&"mfa".to_owned()));
    assert_ne!(alone.session.id, session.session.id);
    assert!(world.oauth.current(Some(&alone.text)).await.unwrap().is_some());
    let own = world.oauth.own_methods(Some(&alone.text)).await.unwrap().unwrap();
    assert_eq!(own.authenticators[0].last_used_at, Some(world.now()));
    let event = world.events().pop().unwrap();
    assert_eq!((event.code, event.detail.as_deref()), (code::LOGIN, Some("passkey: phr")));
}

#[tokio::test]
async fn without_verification_it_is_one_factor_beside_a_password_and_none_alone() {
    let world = world().await;
    let (mut soft, _) = with_passkey(&world).await;
    soft.flags = PRESENT;
    let alone = discover(&world, &mut soft).await;
    assert_eq!(alone.unwrap_err(), SignInRefused::NoMatch);
    refused_last(&world, "not verified");
    let half = sign_in(&world, PASSWORD, None).await.unwrap();
    assert!(world.oauth.current(Some(&half.text)).await.unwrap().is_none());
    let must = beside(&world, &half.text, (&mut soft, true)).await;
    assert_eq!(must.unwrap_err(), SignInRefused::NoMatch);
    let whole = beside(&world, &half.text, (&mut soft, false)).await.unwrap();
    assert_eq!(whole.session.acr, "phr");
    assert!(world.oauth.current(Some(&whole.text)).await.unwrap().is_some());
    assert!(world.oauth.standing(Some(&half.text)).await.unwrap().is_none());
}

#[tokio::test]
async fn an_answer_counts_once_even_without_a_counter() {
    let world = world().await;
    let (mut soft, _) = with_passkey(&world).await;
    let row = || async {
        let handle = format!("passkey:{}", protocol::b64::encode(&soft.id));
        world.oauth.parts.store.authenticator_by_handle(handle).await.unwrap().unwrap()
    };
    // A passkey that is copied between devices has none.
    let mut before = row().await;
    let kept = before.clone();
    if let AuthenticatorData::Passkey { credential, .. } = &mut before.data {
        credential["counter"] = 0.into();
    }
    assert!(world.oauth.parts.store.replace_authenticator(kept, before, None).await.unwrap());
    soft.counter = 0;
    let ask = world.oauth.ask_any_passkey().unwrap().unwrap();
    let shown = ShownPasskey { answer: soft.get(&options(&ask)), state: ask.state };
    show(&world, &shown, None).await.unwrap();
    assert_eq!(show(&world, &shown, None).await.unwrap_err(), SignInRefused::NotBegun);
    refused_last(&world, "used before");
    // Nor in another spelling of the state.
    for state in [shown.state.to_ascii_uppercase(), format!("{}=", shown.state), String::new()] {
        let other = ShownPasskey { state, ..shown.clone() };
        assert_eq!(show(&world, &other, None).await.unwrap_err(), SignInRefused::NotBegun);
    }
    // Nor with the state of another page.
    let other = world.oauth.ask_any_passkey().unwrap().unwrap();
    let other = ShownPasskey { state: other.state, ..shown };
    assert_eq!(show(&world, &other, None).await.unwrap_err(), SignInRefused::NoMatch);
    refused_last(&world, "another challenge");
}

#[tokio::test]
async fn a_page_does_not_ask_for_ever() {
    let world = world().await;
    let (mut soft, _) = with_passkey(&world).await;
    let ask = world.oauth.ask_any_passkey().unwrap().unwrap();
    let shown = ShownPasskey { answer: soft.get(&options(&ask)), state: ask.state };
    world.after(15 * 60);
    assert_eq!(show(&world, &shown, None).await.unwrap_err(), SignInRefused::NotBegun);
}

#[tokio::test]
async fn what_was_asked_in_one_session_counts_in_no_other() {
    let world = world().await;
    let (mut soft, _) = with_passkey(&world).await;
    let half = sign_in(&world, PASSWORD, None).await.unwrap();
    let other = sign_in(&world, PASSWORD, None).await.unwrap();
    let standing = world.oauth.standing(Some(&half.text)).await.unwrap().unwrap();
    let ask = world.oauth.ask_own_passkey(&standing, false).unwrap().unwrap();
    let shown = ShownPasskey { answer: soft.get(&options(&ask)), state: ask.state };
    for session in [None, Some(&other.text)] {
        assert_eq!(show(&world, &shown, session).await.unwrap_err(), SignInRefused::NotBegun);
    }
    show(&world, &shown, Some(&half.text)).await.unwrap();
}

#[tokio::test]
async fn a_copy_is_refused_recorded_and_counted() {
    let world = world().await;
    let (mut soft, session) = with_passkey(&world).await;
    discover(&world, &mut soft).await.unwrap();
    discover(&world, &mut soft).await.unwrap();
    soft.counter = 1;
    assert_eq!(discover(&world, &mut soft).await.unwrap_err(), SignInRefused::NoMatch);
    refused_last(&world, "the counter went from 3 to 2: it may be a copy");
    // A form that is sent twice is no copy.
    let ask = world.oauth.ask_any_passkey().unwrap().unwrap();
    let mut true_one =
        Soft { counter: 3, user: soft.user.clone(), id: soft.id.clone(), ..self::soft(&world) };
    std::mem::swap(&mut true_one.key, &mut soft.key);
    let shown = ShownPasskey { answer: true_one.get(&options(&ask)), state: ask.state };
    show(&world, &shown, None).await.unwrap();
    assert_eq!(show(&world, &shown, None).await.unwrap_err(), SignInRefused::NotBegun);
    refused_last(&world, "it was used before");
    std::mem::swap(&mut true_one.key, &mut soft.key);
    soft.counter = 1;
    assert_eq!(discover(&world, &mut soft).await.unwrap_err(), SignInRefused::NoMatch);
    refused_last(&world, "the counter went from 4 to 2: it may be a copy");
    let failures = || async {
        let own = world.oauth.own_methods(Some(&session.text)).await.unwrap().unwrap();
        own.authenticators[0].failures
    };
    assert_eq!(failures().await, 1);
    // What only sounds like it counts for nothing: strangers could shut it.
    let mut stranger = self::soft(&world);
    stranger.id = soft.id.clone();
    stranger.user = soft.user.clone();
    assert_eq!(discover(&world, &mut stranger).await.unwrap_err(), SignInRefused::NoMatch);
    refused_last(&world, "the signature is wrong");
    assert_eq!(failures().await, 1);
    soft.counter = 4;
    discover(&world, &mut soft).await.unwrap();
    assert_eq!(failures().await, 0);
}

#[tokio::test]
async fn a_copy_is_told_to_its_person_once_a_passkey_and_day() {
    let world = world().await;
    let (mut soft, _) = with_passkey(&world).await;
    discover(&world, &mut soft).await.unwrap();
    discover(&world, &mut soft).await.unwrap();
    let told = || {
        let state = world.store.state();
        let letters = state.posted.iter().filter(|it| it.kind() == "passkey_copied");
        letters.map(|it| it.text().expose().clone()).collect::<Vec<_>>()
    };
    for _ in 0..3 {
        soft.counter = 1;
        discover(&world, &mut soft).await.unwrap_err();
    }
    let letters = told();
    assert_eq!(letters.len(), 1, "once a day: {letters:?}");
    assert!(letters[0].contains("your passkey “My laptop”"), "{}", letters[0]);
    world.after(24 * 60 * 60);
    soft.counter = 1;
    discover(&world, &mut soft).await.unwrap_err();
    assert_eq!(told().len(), 2, "another day");
    // What anybody can send who knows the credential's id sends no letters.
    let mut stranger = self::soft(&world);
    (stranger.id, stranger.user) = (soft.id.clone(), soft.user.clone());
    world.after(24 * 60 * 60);
    discover(&world, &mut stranger).await.unwrap_err();
    assert_eq!(told().len(), 2);
}

#[tokio::test]
async fn whoever_is_not_known_learns_nothing() {
    let world = world().await;
    let (mut soft, session) = with_passkey(&world).await;
    let mut stranger = self::soft(&world);
    stranger.user = soft.user.clone();
    assert_eq!(discover(&world, &mut stranger).await.unwrap_err(), SignInRefused::NoMatch);
    refused_last(&world, "no account has this credential");
    for answer in ["", "{}", "[]", "x"] {
        let ask = world.oauth.ask_any_passkey().unwrap().unwrap();
        let shown = ShownPasskey { state: ask.state, answer: answer.to_owned() };
        assert_eq!(show(&world, &shown, None).await.unwrap_err(), SignInRefused::NoMatch);
    }
    // A key that is removed is a stranger's.
    let own = world.oauth.own_methods(Some(&session.text)).await.unwrap().unwrap();
    let id = own.authenticators[0].id.clone();
    world.oauth.remove_method(Some(&session.text), &id, &origin()).await.unwrap().unwrap();
    assert_eq!(discover(&world, &mut soft).await.unwrap_err(), SignInRefused::NoMatch);
}

#[tokio::test]
async fn several_for_one_person_and_one_person_for_each() {
    let world = world().await;
    let (mut soft, session) = with_passkey(&world).await;
    let mut second = self::soft(&world);
    second.flags = PRESENT | VERIFIED | ELIGIBLE;
    let changed = add(&world, &session.text, &mut second).await.unwrap();
    assert!(changed.codes.is_empty());
    let session = changed.session.unwrap();
    let own = world.oauth.own_methods(Some(&session.text)).await.unwrap().unwrap();
    assert_eq!(own.authenticators.len(), 2);
    let again = add(&world, &session.text, &mut soft).await.unwrap_err();
    let said = "This passkey is added already.".to_owned();
    assert_eq!(again, MethodRefused::Invalid("answer", said));
    discover(&world, &mut second).await.unwrap();
    discover(&world, &mut soft).await.unwrap();
}

#[tokio::test]
async fn adding_asks_for_what_the_account_has() {
    let world = world().await;
    account(&world).await;
    let mut key = soft(&world);
    assert!(matches!(
        world.oauth.new_passkey(None).await.unwrap().unwrap_err(),
        MethodRefused::NotSignedIn
    ));
    let first = sign_in(&world, PASSWORD, None).await.unwrap();
    let (_, changed) = enrol(&world, &first.text).await;
    let whole = changed.session.unwrap();
    // Who has stolen the password adds nothing.
    let half = sign_in(&world, PASSWORD, None).await.unwrap();
    let refused = add(&world, &half.text, &mut key).await.unwrap_err();
    assert!(matches!(refused, MethodRefused::Prove(it) if it.totp));
    // The page of one session is worth nothing in another.
    let ask = world.oauth.new_passkey(Some(&whole.text)).await.unwrap().unwrap();
    let shown = ShownPasskey { answer: key.create(&options(&ask)), state: ask.state };
    let ask = AddPasskey { shown, name: String::new() };
    let refused = world.oauth.add_passkey(Some(&half.text), &ask, &origin()).await.unwrap();
    assert!(matches!(refused.unwrap_err(), MethodRefused::Prove(_)));
    let made = world.oauth.add_passkey(Some(&whole.text), &ask, &origin()).await.unwrap();
    let renewed = made.unwrap().session.unwrap();
    let twice = world.oauth.add_passkey(Some(&renewed.text), &ask, &origin()).await.unwrap();
    assert!(matches!(twice.unwrap_err(), MethodRefused::Invalid("answer", _)));
    world.after(6 * 60);
    let stale = world.oauth.new_passkey(Some(&renewed.text)).await.unwrap().unwrap_err();
    assert!(matches!(stale, MethodRefused::Prove(it) if it.passkey.is_some()));
}

#[tokio::test]
async fn where_a_maker_must_vouch_others_are_refused() {
    let mut settings = Settings::new("https://login.example.com");
    settings.sign_in = vec![Policy {
        name: "vault".to_owned(),
        groups: Vec::new(),
        clients: Vec::new(),
        level: Level::Aal3,
        max_age: None,
        factors: vec![FactorKind::Passkey],
    }];
    settings.passkey_makers = Anchors::default();
    let world = world_with(settings).await;
    account(&world).await;
    let first = sign_in(&world, PASSWORD, None).await.unwrap();
    let ask = world.oauth.new_passkey(Some(&first.text)).await.unwrap().unwrap();
    assert_eq!(options(&ask)["attestation"], "direct");
    let mut soft = soft(&world);
    let refused = add(&world, &first.text, &mut soft).await.unwrap_err();
    assert!(matches!(refused, MethodRefused::Invalid("answer", why) if why.contains("makers")));
    refused_last(&world, "does not vouch");
}

#[tokio::test]
async fn no_passkeys_where_browsers_have_none() {
    let world = world_with(Settings::new("https://192.0.2.1")).await;
    account(&world).await;
    assert!(world.oauth.ask_any_passkey().unwrap().is_none());
    let first = sign_in(&world, PASSWORD, None).await.unwrap();
    let none = world.oauth.new_passkey(Some(&first.text)).await.unwrap();
    assert_eq!(none.unwrap_err(), MethodRefused::Unreachable);
}
