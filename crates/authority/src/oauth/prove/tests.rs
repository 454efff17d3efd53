//! Signing in with two factors, against a store in memory.

use crate::factors::totp::{self, TotpSecret};
use crate::oauth::fixture::{World, actor, origin, world, world_with};
use crate::oauth::settings::Settings;
use crate::oauth::{
    AddTotp, BrowserText, Changed, CreateUser, MethodRefused, Presented, SessionText, SignIn,
    SignInRefused, SignedIn,
};
use crate::people::policy::Missing;
use crate::people::{FactorKind, Level, Need, Policy};
use base::{Secret, code};

pub(crate) const PASSWORD: &str = "a long and quiet afternoon";

pub(crate) async fn account(world: &World) -> String {
    let ask = CreateUser {
        email: "ann@example.com".to_owned(),
        name: None,
        roles: Vec::new(),
        password: Some(secret(PASSWORD)),
    };
    world.oauth.create_user(&actor(), ask).await.unwrap().id
}

pub(crate) fn secret(text: &str) -> Secret<String> {
    Secret::new(text.to_owned())
}

pub(crate) async fn sign_in(
    world: &World,
    password: &str,
    old: Option<&SignedIn>,
) -> Result<SignedIn, SignInRefused> {
    let ask = SignIn {
        email: "ann@example.com".to_owned(),
        password: secret(password),
        session: old.map(|it| it.text.clone()),
        browser: old.and_then(|it| it.browser.clone()),
    };
    world.oauth.sign_in(ask, &origin()).await.unwrap()
}

/// What an app shows.
pub(crate) struct App(TotpSecret);

impl App {
    pub(crate) fn code(&self, world: &World) -> Secret<String> {
        secret(&crate::factors::totp::code_at(&self.0, totp::Algorithm::Sha1, world.now()))
    }
}

pub(crate) async fn enrol(world: &World, session: &SessionText) -> (App, Changed) {
    let fresh = world.oauth.new_totp(Some(session)).await.unwrap().unwrap();
    let app = App(TotpSecret::from_bytes(&unbase32(&fresh.base32)).unwrap());
    let ask = AddTotp { state: fresh.state, name: "My phone".to_owned(), code: app.code(world) };
    let changed = world.oauth.add_totp(Some(session), &ask, &origin()).await.unwrap().unwrap();
    (app, changed)
}

fn unbase32(text: &str) -> Vec<u8> {
    let (mut bits, mut have, mut out) = (0u32, 0, Vec::new());
    for c in text.bytes() {
        let value = if c.is_ascii_digit() { c - b'2' + 26 } else { c - b'A' };
        bits = (bits << 5) | u32::from(value);
        have += 5;
        if have >= 8 {
            have -= 8;
            out.push((bits >> have) as u8);
            bits &= (1 << have) - 1;
        }
    }
    out
}

pub(crate) async fn prove(
    world: &World,
    session: &SessionText,
    shown: Presented,
) -> Result<SignedIn, SignInRefused> {
    prove_in(world, session, shown, None).await
}

async fn prove_in(
    world: &World,
    session: &SessionText,
    shown: Presented,
    browser: Option<&BrowserText>,
) -> Result<SignedIn, SignInRefused> {
    world.oauth.prove(session, &shown, browser, &origin()).await.unwrap()
}

#[tokio::test]
async fn a_password_alone_opens_nothing_once_there_is_a_second_factor() {
    let world = world().await;
    account(&world).await;
    let first = sign_in(&world, PASSWORD, None).await.unwrap();
    assert_eq!(first.session.acr, "aal1");
    assert!(world.oauth.current(Some(&first.text)).await.unwrap().is_some());
    let (app, changed) = enrol(&world, &first.text).await;
    assert_eq!(changed.codes.len(), 10);
    let renewed = changed.session.unwrap();
    assert_eq!(
        (renewed.session.acr.as_str(), renewed.session.id.as_str()),
        ("aal2", &*first.session.id)
    );
    // The text of before is worth nothing: no session that was planted before goes on.
    assert!(world.oauth.standing(Some(&first.text)).await.unwrap().is_none());
    assert!(world.oauth.current(Some(&renewed.text)).await.unwrap().is_some());

    let half = sign_in(&world, PASSWORD, None).await.unwrap();
    assert!(world.oauth.current(Some(&half.text)).await.unwrap().is_none());
    assert!(
        matches!(world.oauth.own_methods(Some(&half.text)).await.unwrap(), Err(MethodRefused::Prove(it)) if it.totp && it.recovery && !it.password)
    );
    world.after(60);
    let whole = prove(&world, &half.text, Presented::Totp(app.code(&world)));
    let whole = whole.await.unwrap();
    assert_eq!(whole.session.amr, ["pwd", "otp", "mfa"]);
    assert!(world.oauth.current(Some(&whole.text)).await.unwrap().is_some());
    let mail = &world.store.state().posted;
    assert!(!mail.is_empty(), "the person was told of the change");
}

#[tokio::test]
async fn rfc6238_s5_2_a_code_counts_once_on_any_session() {
    let world = world().await;
    account(&world).await;
    let first = sign_in(&world, PASSWORD, None).await.unwrap();
    let (app, _) = enrol(&world, &first.text).await;
    // The code that enrolled it is spent.
    let (a, b) = (
        sign_in(&world, PASSWORD, None).await.unwrap(),
        sign_in(&world, PASSWORD, None).await.unwrap(),
    );
    let used = Presented::Totp(app.code(&world));
    assert_eq!(prove(&world, &a.text, used.clone()).await.unwrap_err(), SignInRefused::NoMatch);
    world.after(30);
    let code = Presented::Totp(app.code(&world));
    let tried = tokio::join!(async { prove(&world, &a.text, code.clone()).await.is_ok() }, async {
        prove(&world, &b.text, code.clone()).await.is_ok()
    },);
    assert_eq!(usize::from(tried.0) + usize::from(tried.1), 1);
}

#[tokio::test]
async fn an_enrolment_adds_one_secret_once_and_for_its_session_only() {
    let world = world().await;
    account(&world).await;
    let first = sign_in(&world, PASSWORD, None).await.unwrap();
    let fresh = world.oauth.new_totp(Some(&first.text)).await.unwrap().unwrap();
    let app = App(TotpSecret::from_bytes(&unbase32(&fresh.base32)).unwrap());
    let other = sign_in(&world, PASSWORD, None).await.unwrap();
    let ask = |code| AddTotp { state: fresh.state.clone(), name: String::new(), code };
    let stolen = world.oauth.add_totp(Some(&other.text), &ask(app.code(&world)), &origin()).await;
    assert_eq!(stolen.unwrap().unwrap_err(), MethodRefused::Gone);
    let wrong = world.oauth.add_totp(Some(&first.text), &ask(secret("000000")), &origin()).await;
    assert!(matches!(wrong.unwrap().unwrap_err(), MethodRefused::Invalid("code", _)));
    let done = world.oauth.add_totp(Some(&first.text), &ask(app.code(&world)), &origin()).await;
    let session = done.unwrap().unwrap().session.unwrap();
    world.after(30);
    let twice = world.oauth.add_totp(Some(&session.text), &ask(app.code(&world)), &origin()).await;
    assert!(twice.unwrap().is_err(), "one row a secret");
    // The other session of the person has ended.
    assert!(world.oauth.standing(Some(&other.text)).await.unwrap().is_none());
}

#[tokio::test]
async fn a_recovery_code_stands_in_once_and_the_last_one_is_raced_for() {
    let world = world().await;
    account(&world).await;
    let first = sign_in(&world, PASSWORD, None).await.unwrap();
    let (_, changed) = enrol(&world, &first.text).await;
    for code in &changed.codes[..9] {
        let half = sign_in(&world, PASSWORD, None).await.unwrap();
        let whole = prove(&world, &half.text, Presented::Recovery(code.clone()));
        assert_eq!(whole.await.unwrap().session.acr, "aal2");
        let half = sign_in(&world, PASSWORD, None).await.unwrap();
        let again = prove(&world, &half.text, Presented::Recovery(code.clone()));
        assert_eq!(again.await.unwrap_err(), SignInRefused::NoMatch);
        world.after(3700);
    }
    let last = Presented::Recovery(changed.codes[9].clone());
    let (a, b) = (
        sign_in(&world, PASSWORD, None).await.unwrap(),
        sign_in(&world, PASSWORD, None).await.unwrap(),
    );
    let tried = tokio::join!(async { prove(&world, &a.text, last.clone()).await.is_ok() }, async {
        prove(&world, &b.text, last.clone()).await.is_ok()
    },);
    assert_eq!(usize::from(tried.0) + usize::from(tried.1), 1, "one of two gets the last code");
}

#[tokio::test]
async fn nist_800_63b_s3_2_2_a_hundred_failures_shut_an_authenticator_and_strangers_shut_nobody_out()
 {
    let world = world().await;
    let id = account(&world).await;
    let known = sign_in(&world, PASSWORD, None).await.unwrap();
    assert!(known.browser.is_some());
    for _ in 0..100 {
        world.after(3700);
        assert_eq!(
            sign_in(&world, "wrong, and long enough", None).await.unwrap_err(),
            SignInRefused::Wrong
        );
    }
    world.after(3700);
    let stranger = sign_in(&world, PASSWORD, None).await;
    assert_eq!(
        stranger.unwrap_err(),
        SignInRefused::Wrong,
        "who has never been here cannot guess on"
    );
    let home = sign_in(&world, PASSWORD, Some(&known)).await.unwrap();
    assert!(home.browser.is_none(), "it is known already");
    // A second factor is shut likewise.
    let (app, _) = enrol(&world, &home.text).await;
    for _ in 0..100 {
        world.after(3700);
        let half = sign_in(&world, PASSWORD, Some(&known)).await.unwrap();
        let wrong = prove(&world, &half.text, Presented::Totp(secret("123456")));
        assert!(wrong.await.is_err());
    }
    world.after(3700);
    let half = sign_in(&world, PASSWORD, Some(&known)).await.unwrap();
    let right = prove(&world, &half.text, Presented::Totp(app.code(&world)));
    assert_eq!(right.await.unwrap_err(), SignInRefused::Shut);
    use crate::oauth::ports::AuthenticatorStore as _;
    let rows = world.store.authenticators(id).await.unwrap();
    let totp = rows.iter().find(|it| it.kind() == FactorKind::Totp).unwrap();
    assert_eq!(totp.failures, 100);
}

#[tokio::test]
async fn each_wrong_code_is_recorded_once_and_soon_delayed() {
    let world = world().await;
    account(&world).await;
    let first = sign_in(&world, PASSWORD, None).await.unwrap();
    enrol(&world, &first.text).await;
    let half = sign_in(&world, PASSWORD, None).await.unwrap();
    world.events();
    let guess = || prove(&world, &half.text, Presented::Totp(secret("123456")));
    for _ in 0..6 {
        assert_eq!(guess().await.unwrap_err(), SignInRefused::NoMatch);
    }
    assert!(matches!(guess().await.unwrap_err(), SignInRefused::TooEarly(_)));
    let failed = world.events().iter().filter(|it| it.code == code::LOGIN_FAILED).count();
    assert_eq!(failed, 7, "six wrong ones, one delay");
}

#[tokio::test]
async fn who_must_have_a_second_factor_gets_nothing_but_the_page_to_add_one() {
    let mut settings = Settings::new(crate::oauth::fixture::ISSUER);
    settings.sign_in = vec![Policy {
        name: "all".to_owned(),
        groups: Vec::new(),
        clients: Vec::new(),
        level: Level::Aal2,
        max_age: None,
        factors: Vec::new(),
    }];
    let world = world_with(settings).await;
    account(&world).await;
    let half = sign_in(&world, PASSWORD, None).await.unwrap();
    assert!(world.oauth.current(Some(&half.text)).await.unwrap().is_none());
    assert!(world.oauth.own_methods(Some(&half.text)).await.unwrap().unwrap().must_add);
    let (_, changed) = enrol(&world, &half.text).await;
    let whole = changed.session.unwrap();
    assert!(world.oauth.current(Some(&whole.text)).await.unwrap().is_some());
    let standing = world.oauth.standing(Some(&whole.text)).await.unwrap().unwrap();
    let need = Need { level: Level::Phr, ..Need::LEAST };
    assert_eq!(standing.missing(&need, world.now()), Missing::Unreachable);
}

#[tokio::test]
async fn a_stale_proof_changes_nothing() {
    let world = world().await;
    account(&world).await;
    let first = sign_in(&world, PASSWORD, None).await.unwrap();
    world.after(301);
    let stale = world.oauth.new_totp(Some(&first.text)).await.unwrap();
    assert!(matches!(stale.unwrap_err(), MethodRefused::Prove(it) if it.password));
    let first = sign_in(&world, PASSWORD, Some(&first)).await.unwrap();
    let (_, changed) = enrol(&world, &first.text).await;
    let session = changed.session.unwrap();
    let rows = world.oauth.own_methods(Some(&session.text)).await.unwrap().unwrap();
    let id = rows.authenticators[0].id.clone();
    world.after(301);
    // A fresh password is not a fresh second factor.
    let again = sign_in(&world, PASSWORD, Some(&session)).await.unwrap();
    let refused = world.oauth.remove_method(Some(&again.text), &id, &origin()).await.unwrap();
    assert!(matches!(refused.unwrap_err(), MethodRefused::Prove(it) if it.totp && !it.password));
}

#[tokio::test]
async fn a_new_password_opens_what_failures_have_shut_and_spares_no_second_factor() {
    let world = world().await;
    let id = account(&world).await;
    let first = sign_in(&world, PASSWORD, None).await.unwrap();
    enrol(&world, &first.text).await;
    for _ in 0..101 {
        world.after(3700);
        drop(sign_in(&world, "wrong, and long enough", None).await);
    }
    world.after(3700);
    assert!(sign_in(&world, PASSWORD, None).await.is_err());
    let setup = world.oauth.renew_setup(&actor(), &id).await.unwrap().setup.unwrap();
    let fresh = "another long and quiet afternoon";
    let ask = crate::oauth::CompleteSetup { setup, email: None, password: secret(fresh) };
    world.oauth.set_password(ask, &origin()).await.unwrap();
    let half = sign_in(&world, fresh, None).await.unwrap();
    assert!(
        world.oauth.current(Some(&half.text)).await.unwrap().is_none(),
        "the second step stays"
    );
}

#[tokio::test]
async fn attack_one_factor_alone_keeps_no_session_of_two_alive() {
    let world = world().await;
    account(&world).await;
    let first = sign_in(&world, PASSWORD, None).await.unwrap();
    let begun = world.now();
    let (app, changed) = enrol(&world, &first.text).await;
    let mut whole = changed.session.unwrap();
    let end = begun.plus(world.oauth.settings().session);
    // Codes alone, and the password alone.
    world.after(3000);
    whole = prove(&world, &whole.text, Presented::Totp(app.code(&world))).await.unwrap();
    assert_eq!(whole.session.expires_at, end);
    let pin = world.now().plus(world.oauth.settings().session);
    world.after(3000);
    whole = sign_in(&world, PASSWORD, Some(&whole)).await.unwrap();
    assert_eq!(whole.session.expires_at, pin);
    for _used in 0..13 {
        world.after(3000);
        assert!(world.oauth.standing(Some(&whole.text)).await.unwrap().is_some());
    }
    world.after(1200);
    assert!(world.oauth.standing(Some(&whole.text)).await.unwrap().is_none());
    // Nothing of it counts for the next one.
    let half = sign_in(&world, PASSWORD, Some(&whole)).await.unwrap();
    assert_eq!((half.session.acr.as_str(), half.session.proofs.len()), ("aal1", 1));
    assert!(world.oauth.current(Some(&half.text)).await.unwrap().is_none());
}

#[tokio::test]
async fn attack_half_a_sign_in_reaches_nothing_and_changes_nothing() {
    let world = world().await;
    account(&world).await;
    let first = sign_in(&world, PASSWORD, None).await.unwrap();
    let (app, changed) = enrol(&world, &first.text).await;
    let whole = changed.session.unwrap();
    let rows = world.oauth.own_methods(Some(&whole.text)).await.unwrap().unwrap();
    let id = rows.authenticators[0].id.clone();
    let half = sign_in(&world, PASSWORD, None).await.unwrap();
    let (oauth, text) = (&world.oauth, Some(&half.text));
    let refused = |it: Result<(), MethodRefused>| matches!(it, Err(MethodRefused::Prove(_)));
    assert!(oauth.own_account(text, &origin()).await.unwrap().is_none());
    assert!(oauth.end_other_sessions(text, &origin()).await.unwrap().is_none());
    let of = &whole.session.id;
    assert!(oauth.end_own_session(text, of, &origin()).await.unwrap().is_none());
    assert!(oauth.end_own_client(text, "any", &origin()).await.unwrap().is_none());
    assert!(refused(oauth.own_methods(text).await.unwrap().map(drop)));
    assert!(refused(oauth.new_totp(text).await.unwrap().map(drop)));
    assert!(refused(oauth.new_passkey(text).await.unwrap().map(drop)));
    assert!(refused(oauth.renew_codes(text, &origin()).await.unwrap().map(drop)));
    assert!(refused(oauth.remove_method(text, &id, &origin()).await.unwrap()));
    // A secret that the whole session began to add is not the half one's.
    let fresh = oauth.new_totp(Some(&whole.text)).await.unwrap().unwrap();
    let ask = AddTotp { state: fresh.state, name: String::new(), code: app.code(&world) };
    assert!(refused(oauth.add_totp(text, &ask, &origin()).await.unwrap().map(drop)));
    assert!(oauth.current(Some(&whole.text)).await.unwrap().is_some());
}

#[tokio::test]
async fn attack_a_stolen_password_adds_nothing_where_every_second_factor_is_shut_or_spent() {
    let world = world().await;
    account(&world).await;
    let first = sign_in(&world, PASSWORD, None).await.unwrap();
    enrol(&world, &first.text).await;
    for row in world.store.state().authenticators.values_mut() {
        if matches!(row.kind(), FactorKind::Totp | FactorKind::Recovery) {
            row.failures = crate::people::records::FAILURES_MOST;
        }
    }
    let half = sign_in(&world, PASSWORD, None).await.unwrap();
    let text = Some(&half.text);
    assert!(world.oauth.current(text).await.unwrap().is_none());
    let refused = world.oauth.new_totp(text).await.unwrap().map(drop);
    assert_eq!(refused.unwrap_err(), MethodRefused::Unreachable);
    let refused = world.oauth.own_methods(text).await.unwrap().map(drop);
    assert_eq!(refused.unwrap_err(), MethodRefused::Unreachable);
}

#[tokio::test]
async fn attack_an_app_is_added_by_no_session_that_has_ended_meanwhile() {
    use crate::oauth::ports::AuthenticatorStore as _;
    let world = world().await;
    let id = account(&world).await;
    let thief = sign_in(&world, PASSWORD, None).await.unwrap();
    let owner = sign_in(&world, PASSWORD, None).await.unwrap();
    // Both may add the first second factor; the owner is faster, and the thief's request is past its check.
    let standing = world.oauth.may_change(Some(&thief.text)).await.unwrap().unwrap();
    enrol(&world, &owner.text).await;
    let data = crate::people::AuthenticatorData::Password {};
    let late = world.oauth.fresh_record(&standing, "Mine".to_owned(), None, data).unwrap();
    let proof = crate::people::Proof::new(FactorKind::Totp, None, world.now());
    let text = Some(&thief.text);
    let added = world.oauth.added(text, standing, late, proof, &origin()).await.unwrap();
    assert!(added.is_err());
    let rows = world.store.authenticators(id).await.unwrap();
    assert!(rows.iter().all(|it| it.name != "Mine"));
}

#[tokio::test]
async fn nist_800_63b_s3_2_2_guesses_at_once_are_counted_before_they_are_judged() {
    let world = world().await;
    account(&world).await;
    let first = sign_in(&world, PASSWORD, None).await.unwrap();
    let (app, changed) = enrol(&world, &first.text).await;
    let session = changed.session.unwrap();
    let set = |failures: u32| {
        for it in world.store.state().authenticators.values_mut() {
            it.failures = failures;
        }
    };
    let last = crate::people::records::FAILURES_MOST - 1;
    for recovery in [false, true] {
        set(last);
        world.after(60);
        // Two who have both looked while there was one guess left.
        let standing = world.oauth.standing(Some(&session.text)).await.unwrap().unwrap();
        let (wrong, right) = match recovery {
            false => (secret("000000"), app.code(&world)),
            true => (secret("0000-0000-00000"), changed.codes[0].clone()),
        };
        let guess = async |typed: &Secret<String>| match recovery {
            false => world.oauth.prove_totp(&standing, typed, &origin()).await.unwrap(),
            true => world.oauth.prove_recovery(&standing, typed, &origin()).await.unwrap(),
        };
        assert_eq!(guess(&wrong).await.unwrap_err(), SignInRefused::NoMatch);
        assert_eq!(guess(&right).await.unwrap_err(), SignInRefused::Shut, "{recovery}");
        // Who is right counts none.
        set(last);
        assert!(guess(&right).await.is_ok(), "{recovery}");
        let state = world.store.state();
        let kind = if recovery { FactorKind::Recovery } else { FactorKind::Totp };
        let used = state.authenticators.values().find(|it| it.kind() == kind).unwrap();
        assert_eq!(used.failures, 0);
    }
}

#[tokio::test]
async fn the_code_of_another_app_counts_as_no_guess() {
    let world = world().await;
    account(&world).await;
    let first = sign_in(&world, PASSWORD, None).await.unwrap();
    let (one, changed) = enrol(&world, &first.text).await;
    let session = changed.session.unwrap();
    let (other, changed) = enrol(&world, &session.text).await;
    let session = changed.session.unwrap();
    for app in [&one, &other] {
        world.after(60);
        let standing = world.oauth.standing(Some(&session.text)).await.unwrap().unwrap();
        let code = app.code(&world);
        assert!(world.oauth.prove_totp(&standing, &code, &origin()).await.unwrap().is_ok());
        let state = world.store.state();
        assert!(state.authenticators.values().all(|it| it.failures == 0));
    }
}

#[tokio::test]
async fn attack_a_password_alone_makes_no_browser_known_and_pushes_none_out() {
    use crate::oauth::ports::AuthenticatorStore as _;
    use crate::people::records::DEVICES_MOST;
    let world = world().await;
    let id = account(&world).await;
    let home = sign_in(&world, PASSWORD, None).await.unwrap();
    assert!(home.browser.is_some(), "nothing else is asked for yet");
    let (app, _) = enrol(&world, &home.text).await;
    let known = async || {
        let rows = world.store.authenticators(id.clone()).await.unwrap();
        rows.into_iter().filter(|it| it.kind() == FactorKind::Device).map(|it| it.id).collect()
    };
    let before: Vec<String> = known().await;
    assert_eq!(before.len(), 1);
    let posted = world.store.state().posted.len();
    for _ in 0..=DEVICES_MOST {
        world.after(3700);
        let half = sign_in(&world, PASSWORD, None).await.unwrap();
        assert!(half.browser.is_none(), "half a sign-in");
        let wrong = prove(&world, &half.text, Presented::Totp(secret("123456")));
        assert!(wrong.await.is_err());
    }
    assert_eq!(known().await, before);
    assert_eq!(world.store.state().posted.len(), posted);
    // With the second step it is known, and one that is known already gets no other text.
    world.after(3700);
    let half = sign_in(&world, PASSWORD, None).await.unwrap();
    let whole = prove(&world, &half.text, Presented::Totp(app.code(&world))).await.unwrap();
    assert!(whole.browser.is_some());
    assert_eq!(known().await.len(), 2);
    world.after(3700);
    let half = sign_in(&world, PASSWORD, Some(&whole)).await.unwrap();
    let shown = Presented::Totp(app.code(&world));
    let again = prove_in(&world, &half.text, shown, whole.browser.as_ref()).await.unwrap();
    assert!(again.browser.is_none(), "it is known already");
    assert_eq!(known().await.len(), 2);
}
