//! What people look after on their own: keys, what happened, and what applications did; in a real browser, with scripts
//! and without.

use crate::second::{add_app, code, forget};
use crate::stage::*;
use crate::tour::Look;
use serde_json::json;
use std::time::Duration;
use testkit::{Person, TAB, Upstream, WebDriver, encode, parameter, request, wait};

/// Within which an ended key is refused.
const SOON: Duration = Duration::from_secs(1);
/// For the pages that say it after something was done.
const LATER: Duration = Duration::from_secs(10);
/// RFC 7636 appendix B: the verifier of the stage's challenge.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";

/// A gate with routes that take keys, and what stands behind it.
fn stage() -> (Stage, Upstream) {
    let behind = Upstream::start(|_| page("behind the gate"));
    let route = |name: &str, more: &str| {
        format!(
            "[[route]]\nname = \"{name}\"\npath = \"/{name}/{{**}}\"\nupstream = \"mirror\"\n{more}\n\
             access = {{ any = [{{ jwt = {{ issuer = \"self\", scopes = [\"orders:read\"] }} }}, \
             {{ api_key = {{ scopes = [\"orders:read\"] }} }}] }}\n"
        )
    };
    let upstream = format!("[[upstream]]\nname = \"mirror\"\nservers = [\"{}\"]\n", behind.url());
    let routes = upstream + &route("plain", "") + &route("strong", "mfa = { acr = \"aal2\" }");
    (Stage::start_with(&routes), behind)
}

/// Somebody of the group.
fn member(stage: &Stage) -> Person {
    let person = Person::new(&stage.gate, "Ada Lovelace");
    join(stage, &person);
    person
}

/// The status that a key gets at a route.
fn status(stage: &Stage, route: &str, key: &str) -> u16 {
    let bearer = format!("Bearer {key}");
    stage.gate.get(&format!("/{route}/x"), &[("authorization", &bearer)]).status
}

/// Makes a key on the page; its text.
fn make_key(stage: &Stage, browser: &WebDriver, name: &str, scopes: &[&str]) -> String {
    browser.open(&stage.at("/account/keys"));
    browser.click("a.primary");
    assert_eq!(browser.text("h1"), "Make a key", "{}", browser.text("main"));
    browser.fill("#name", name);
    for scope in scopes {
        browser.touch(&format!("input[name='scope:{scope}']"));
    }
    browser.click("form.panel button");
    assert_eq!(browser.text("h1"), "Your new key", "{}", browser.text("main"));
    let key = browser.text("#key");
    wait::until(LATER, "the key", || status(stage, "plain", &key) != 401);
    key
}

#[test]
fn an_own_key_takes_two_steps_is_shown_once_opens_and_is_ended() {
    let (stage, _behind) = stage();
    either_way(|browser, scripts| {
        let person = member(&stage);
        stage.sign_in(browser, &stage.at("/account/keys"), &person);
        assert_eq!(browser.text("h1"), "API keys");
        assert!(browser.text("main").contains("You have no key."));
        // With one factor there is no key, whichever page is asked for.
        browser.click("a.primary");
        assert_eq!(browser.text("h1"), "How you sign in");
        browser.open(&stage.at("/account/keys/new"));
        assert_eq!(browser.text("h1"), "How you sign in");
        add_app(&stage, browser);
        browser.open(&stage.at("/account"));
        browser.click("a[href='/account/keys']");
        browser.click("a.primary");
        assert_eq!(browser.text("h1"), "Make a key");
        assert_eq!(browser.focus(), "input#name");
        assert!(browser.text("fieldset").contains("See your orders and what became of them"));
        browser.fill("#name", "Nightly report");
        browser.click("form.panel button");
        assert!(browser.text("#scope-problem").contains("at least one"));
        assert_eq!(browser.property("#name", "value"), json!("Nightly report"), "it is kept");
        browser.touch("input[name='scope:orders:read']");
        browser.fill("#days", "9999");
        browser.click("form.panel button");
        assert!(browser.text("#days-problem").contains("1 to 365"));
        assert_eq!(browser.property("input[type=checkbox]", "checked"), json!(true));
        if scripts {
            // A form that asks for more than was offered.
            browser.run("document.querySelector('[name=\"scope:orders:write\"]').name = 'scope:admin:write';", &[]);
            browser.touch("input[name='scope:admin:write']");
            browser.fill("#days", "30");
            browser.click("form.panel button");
            assert!(browser.text("#scope-problem").contains("Your groups do not give"));
        }
        browser.fill("#days", "30");
        browser.click("form.panel button");
        assert_eq!(browser.text("h1"), "Your new key", "{}", browser.text("main"));
        let key = browser.text("#key");
        assert!(key.starts_with("pcl_live_"), "{key}");
        wait::until(LATER, "the key", || status(&stage, "plain", &key) == 200);
        // Whatever its person proved, a key has no level.
        assert_eq!(status(&stage, "strong", &key), 401);
        browser.click("a.primary");
        assert_eq!(browser.text("h1"), "API keys");
        let listed = browser.text("main");
        assert!(listed.contains("Nightly report") && listed.contains("orders:read"), "{listed}");
        assert!(!browser.source().contains(&key), "it is shown once");
        let mails = stage.gate.done(&["mail", "list"]).to_string();
        assert!(mails.contains("A new API key of your account"), "{mails}");
        browser.click("form[action='/account/keys/end'] button");
        assert!(browser.text("main").contains("You have no key."));
        wait::until(SOON, "the end", || status(&stage, "plain", &key) == 401);
        quiet(browser);
    });
}

#[test]
fn an_own_key_follows_its_owner_and_their_groups() {
    let (stage, _behind) = stage();
    let browser = WebDriver::start();
    let signed_in = |person: &Person| {
        forget(&browser);
        stage.sign_in(&browser, &stage.at("/account"), person);
        add_app(&stage, &browser);
    };
    // Closing the account.
    let person = member(&stage);
    signed_in(&person);
    let key = make_key(&stage, &browser, "One", &["orders:read"]);
    assert_eq!(status(&stage, "plain", &key), 200);
    stage.gate.done(&["user", "disable", person.id()]);
    wait::until(SOON, "the end", || status(&stage, "plain", &key) == 401);
    stage.gate.done(&["user", "enable", person.id()]);
    assert_eq!(status(&stage, "plain", &key), 401, "what has ended stays so");
    // Leaving the group: the key has no scope left.
    let person = member(&stage);
    signed_in(&person);
    let key = make_key(&stage, &browser, "Two", &["orders:read"]);
    stage.gate.done(&["user", "roles", person.id(), "--role", "other"]);
    wait::until(SOON, "the end", || status(&stage, "plain", &key) == 401);
    // The group gives less: the key is narrowed, and goes on with what is left.
    let person = member(&stage);
    signed_in(&person);
    let key = make_key(&stage, &browser, "Three", &["orders:read", "orders:write"]);
    stage.gate.done(&["group", "create", "shop", "--scope", "orders:write"]);
    wait::until(SOON, "the loss", || status(&stage, "plain", &key) == 403);
    let rows = stage.gate.done(&["key", "list"]).to_string();
    assert!(rows.contains("orders:write"), "{rows}");
    quiet(&browser);
}

#[test]
fn what_happened_is_told_and_what_to_do_about_it() {
    let (stage, _behind) = stage();
    either_way(|browser, _| {
        let person = member(&stage);
        // Somebody guesses, in another browser.
        browser.open(&stage.at("/login"));
        for _ in 0..2 {
            browser.fill("#email", person.email());
            browser.fill("#password", "not the one");
            browser.click("button");
        }
        forget(browser);
        stage.sign_in(browser, &stage.at("/account/events"), &person);
        let seen = browser.text("main");
        assert!(seen.contains("2 failed attempts with your password"), "{seen}");
        assert!(seen.contains("from 127.0.0.0/24 · Chrome"), "{seen}");
        assert!(seen.contains("Signed in with nothing but a password"), "{seen}");
        let added = add_app(&stage, browser);
        make_key(&stage, browser, "Nightly report", &["orders:read"]);
        forget(browser);
        stage.sign_in(browser, &stage.at("/account/events"), &person);
        assert_eq!(browser.text("h1"), "One more step");
        browser.fill("#code", &code(&added.secret, 1));
        browser.click("form.panel button");
        assert_eq!(browser.text("h1"), "What happened", "{}", browser.text("main"));
        let seen = browser.text("main");
        for part in [
            "Signed in with a password and an authenticator app",
            "An authenticator app was added",
            "New recovery codes were made",
            "An API key was made",
            "Something here was not you?",
        ] {
            assert!(seen.contains(part), "{part:?} is not in {seen}");
        }
        // The other session ends from here.
        browser.click("form[action='/account/sessions/end'] button");
        assert_eq!(browser.text("h1"), "Your account");
        assert!(!browser.text("main").contains("Sign out everywhere else"));
        browser.open(&stage.at("/account/events"));
        assert!(browser.text("main").contains("A session ended"));
        quiet(browser);
    });
}

#[test]
fn an_application_says_when_it_was_last_used() {
    let stage = Stage::start();
    let client = stage.client_at("Orders dashboard", &stage.callback(), &["--public"]);
    either_way(|browser, _| {
        let person = Person::new(&stage.gate, "Ada Lovelace");
        stage.sign_in(browser, &stage.authorize(&client, &[]), &person);
        browser.click("button[value=allow]");
        let granted = parameter(&browser.url(), "code").expect("a code");
        browser.open(&stage.at("/account"));
        assert!(browser.text("main").contains("not used yet"), "{}", browser.text("main"));
        let callback = stage.callback();
        let ask = encode(&[
            ("grant_type", "authorization_code"),
            ("client_id", &client),
            ("code", &granted),
            ("redirect_uri", &callback),
            ("code_verifier", VERIFIER),
        ]);
        let kind = ("content-type", "application/x-www-form-urlencoded");
        let answer = request("POST", &stage.at("/oauth/token"), &[kind], ask.as_bytes());
        assert_eq!(answer.status, 200, "{}", answer.text());
        browser.open(&stage.at("/account"));
        let seen = browser.text("main");
        assert!(seen.contains("last used") && seen.contains("from 127.0.0.0/24"), "{seen}");
        browser.open(&stage.at("/account/events"));
        let seen = browser.text("main");
        assert!(seen.contains("You allowed Orders dashboard to act for you"), "{seen}");
        quiet(browser);
    });
}

/// Puts somebody who is not signed in into a group whose scopes a key may have.
pub(crate) fn join(stage: &Stage, person: &Person) {
    stage.gate.done(&[
        "group",
        "create",
        "shop",
        "--scope",
        "orders:read",
        "--scope",
        "orders:write",
    ]);
    stage.gate.done(&["user", "roles", person.id(), "--role", "shop"]);
}

/// The pages of this file, for the tour. Who is signed in has an app, and has [joined](join).
pub(crate) fn sights(stage: &Stage, browser: &WebDriver, at: &mut Look<'_>) {
    browser.open(&stage.at("/account/keys"));
    at("keys-none", "API keys", &[360]);
    browser.click("a.primary");
    at("key-new", "Make a key", &[1280, 360]);
    browser.fill("#name", "Nightly report");
    browser.click("form.panel button");
    at("key-new-wrong", "Make a key", &[360]);
    browser.touch("input[name='scope:orders:read']");
    browser.click("form.panel button");
    at("key-made", "Your new key", &[1280, 360]);
    browser.click("a.primary");
    at("keys", "API keys", &[1280, 360]);
    browser.open(&stage.at("/account/events"));
    at("events", "What happened", &[1280, 360]);
}

#[test]
fn wcag_2_2_axe_finds_nothing_on_what_people_look_after() {
    let (stage, _behind) = stage();
    let browser = WebDriver::start();
    let person = member(&stage);
    stage.sign_in(&browser, &stage.at("/account"), &person);
    add_app(&stage, &browser);
    let folder = testkit::screens();
    let mut at = |name: &'static str, heading: &str, widths: &'static [u32]| {
        assert!(browser.text("h1").contains(heading), "{name}: {}", browser.text("h1"));
        let sight = crate::tour::Sight { name, widths };
        for dark in [false, true] {
            browser.dark(dark);
            let found = crate::sights::findings(&browser);
            assert!(found.is_empty(), "{name}, dark: {dark}: {found:#?}");
        }
        for (width, height) in [(1280, 800), (360, 740), (320, 640)] {
            browser.resize(width, height);
            let found = crate::sights::overflowing(&browser);
            assert!(found.is_empty(), "{name} at {width}: {found:#?}");
            let small = crate::sights::too_small(&browser);
            assert!(small.is_empty(), "{name} at {width}: {small:#?}");
        }
        if let Some(folder) = &folder {
            crate::sights::picture(&browser, &sight, folder);
        }
        quiet(&browser);
    };
    sights(&stage, &browser, &mut at);
    browser.open(&stage.at("/account"));
    at("account", "Your account", &[1280, 360]);
}

#[test]
fn wcag_2_1_1_a_key_is_made_and_ended_by_keyboard() {
    let (stage, _behind) = stage();
    either_way(|browser, _| {
        let person = member(&stage);
        stage.sign_in(browser, &stage.at("/account"), &person);
        add_app(&stage, browser);
        browser.open(&stage.at("/account/keys/new"));
        assert_eq!(browser.focus(), "input#name");
        browser.press("Nightly report");
        browser.press(TAB);
        browser.press(" ");
        assert_eq!(browser.property("input[type=checkbox]", "checked"), json!(true));
        browser.press(TAB);
        browser.press(TAB);
        assert_eq!(browser.focus(), "input#days");
        browser.press("7");
        browser.press(TAB);
        browser.enter();
        assert_eq!(browser.text("h1"), "Your new key", "{}", browser.text("main"));
        browser.press(TAB);
        browser.enter();
        assert_eq!(browser.text("h1"), "API keys");
        browser.press(TAB);
        browser.enter();
        assert!(browser.text("main").contains("You have no key."), "{}", browser.text("main"));
        quiet(browser);
    });
}
