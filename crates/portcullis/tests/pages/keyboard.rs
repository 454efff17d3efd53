//! The same by keyboard alone: nothing is clicked, and what has the focus can be seen.

use crate::recovery::letter;
use crate::second::{code, forget};
use crate::stage::*;
use serde_json::json;
use testkit::{Person, TAB, WebDriver, parameter};

/// Presses of the Tab key after which a person would have given up.
const PATIENCE: usize = 30;

/// Types wherever the focus is.
fn type_text(browser: &WebDriver, text: &str) {
    browser.press(text);
}

/// What has the focus is marked by a line of at least two pixels (WCAG 2.4.7, 2.4.13).
fn is_marked(browser: &WebDriver) {
    let width = browser.run(
        "const it = getComputedStyle(document.activeElement); \
         return it.outlineStyle === 'none' ? 0 : parseFloat(it.outlineWidth);",
        &[],
    );
    assert!(width.as_f64() >= Some(2.0), "{} at {}: {width}", browser.focus(), browser.url());
}

/// Goes on with the Tab key until that which matches has the focus.
fn to(browser: &WebDriver, css: &str) {
    let there =
        || browser.run("return document.activeElement.matches(arguments[0]);", &[json!(css)]);
    let found = (0..PATIENCE).any(|_| {
        browser.press(TAB);
        there() == json!(true)
    });
    assert!(found, "{css} is not reached at {}", browser.url());
    is_marked(browser);
}

/// Types what the page asks for at a sign-in, from the field that has the focus on.
fn type_sign_in(browser: &WebDriver, person: &Person) {
    assert_eq!(browser.focus(), "input#email");
    type_text(browser, person.email());
    browser.press(TAB);
    type_text(browser, person.password());
    browser.enter();
}

#[test]
fn wcag_2_1_1_everything_is_done_by_keyboard() {
    let stage = Stage::start();
    let client = stage.client("Orders dashboard");
    either_way(|browser, _| {
        let person = Person::new(&stage.gate, "Ada Lovelace");
        browser.open(&stage.authorize(&client, &[]));
        assert_eq!(browser.focus(), "input#email");
        is_marked(browser);
        type_text(browser, person.email());
        browser.press(TAB);
        assert_eq!(browser.focus(), "input#password");
        is_marked(browser);
        type_text(browser, "not the one");
        browser.enter();
        assert_eq!(browser.focus(), "input#password", "the field with the problem");
        type_text(browser, person.password());
        browser.press(TAB);
        is_marked(browser);
        browser.enter();
        assert_eq!(browser.text("h1"), "Allow Orders dashboard?");
        browser.press(TAB);
        assert_eq!(
            browser.focus(),
            "button[answer=allow]",
            "nothing that is not seen comes before"
        );
        is_marked(browser);
        browser.press(TAB);
        assert_eq!(browser.focus(), "button[answer=deny]");
        is_marked(browser);
        browser.enter();
        assert_eq!(parameter(&browser.url(), "error").as_deref(), Some("access_denied"));
        quiet(browser);
    });
}

#[test]
fn wcag_2_1_1_a_device_is_connected_by_keyboard() {
    let stage = Stage::start();
    let client =
        stage.client_at("Television", &stage.callback(), &["--public", "--grant", "device_code"]);
    let person = Person::new(&stage.gate, "Ada Lovelace");
    let browser = WebDriver::without_scripts();
    stage.sign_in(&browser, &stage.at("/device"), &person);
    let told = stage.device(&client);
    type_text(&browser, told["user_code"].as_str().expect("a code"));
    browser.enter();
    assert_eq!(browser.text("h1"), "Connect Television?");
    // Enter alone decides nothing: no button has the focus.
    assert_eq!(browser.focus(), "body");
    browser.press(TAB);
    browser.enter();
    assert_eq!(browser.text("h1"), "Connected");
    quiet(&browser);
}

#[test]
fn wcag_2_1_1_two_steps_are_set_up_and_taken_by_keyboard() {
    let stage = Stage::start();
    let client = stage.client("Orders dashboard");
    either_way(|browser, _| {
        let person = Person::new(&stage.gate, "Ada Lovelace");
        browser.open(&stage.at("/login?next=/account/methods"));
        type_sign_in(browser, &person);
        to(browser, "form[action='/account/methods/app'] button");
        browser.space();
        assert_eq!(browser.focus(), "input#code");
        let secret: String = browser.text("form code").split_whitespace().collect();
        type_text(browser, "000000");
        browser.enter();
        assert_eq!(browser.focus(), "input#code", "the field with the problem");
        type_text(browser, &code(&secret, 0));
        browser.enter();
        assert_eq!(browser.text("h1"), "Your recovery codes");
        let kept = browser.text(".codes li:last-child code");
        to(browser, "a.button");
        browser.enter();
        assert!(
            browser.text("main").contains("My phone")
                || browser.text("main").contains("Authenticator")
        );
        // New codes: the old ones are worth nothing.
        to(browser, "form[action='/account/methods/codes'] button");
        browser.enter();
        let fresh = browser.text(".codes li:last-child code");
        assert_ne!(fresh, kept);
        leave_and_return(&stage, browser, &person, &client);
        type_text(browser, &code(&secret, 1));
        browser.enter();
        assert_eq!(browser.text("h1"), "Allow Orders dashboard?");
        to(browser, "button[value=allow]");
        browser.space();
        assert!(parameter(&browser.url(), "code").is_some(), "{}", browser.url());
        leave_and_return(&stage, browser, &person, &client);
        to(browser, "summary");
        browser.press(" ");
        to(browser, "#recovery");
        type_text(browser, &fresh);
        browser.enter();
        assert!(parameter(&browser.url(), "code").is_some(), "{}", browser.url());
        // The app goes, and with it the codes.
        browser.open(&stage.at("/account/methods"));
        to(browser, "form[action='/account/methods/remove'] button");
        browser.enter();
        assert!(browser.text("main").contains("None yet"), "{}", browser.text("main"));
        quiet(browser);
    });
}

/// Signs out and goes to the second step of the next sign-in.
fn leave_and_return(stage: &Stage, browser: &WebDriver, person: &Person, client: &str) {
    browser.open(&stage.at("/oauth/logout"));
    to(browser, "button[value=allow]");
    browser.enter();
    assert_eq!(browser.text("h1"), "You are signed out");
    browser.open(&stage.authorize(client, &[]));
    type_sign_in(browser, person);
    assert_eq!(browser.text("h1"), "One more step");
    assert_eq!(browser.focus(), "input#code");
}

#[test]
fn wcag_2_1_1_a_forgotten_password_is_set_anew_by_keyboard() {
    let stage = Stage::start();
    either_way(|browser, scripts| {
        let person = Person::new(&stage.gate, "Ada Lovelace");
        browser.open(&stage.at("/login"));
        to(browser, "a[href='/recover']");
        browser.enter();
        assert_eq!(browser.focus(), "input#email");
        is_marked(browser);
        type_text(browser, person.email());
        browser.enter();
        assert_eq!(browser.focus(), "input#code");
        let sent = letter(&stage, person.email(), 1);
        for (typed, password, focus) in [
            (sent.as_str(), "passwordpassword", "input#password"),
            ("not the code", "seven quiet lamps at noon", "input#code"),
        ] {
            // The code's field comes first, wherever the problem was.
            browser.run("document.querySelector('#code').focus();", &[]);
            type_text(browser, typed);
            browser.press(TAB);
            type_text(browser, password);
            browser.enter();
            assert_eq!(browser.focus(), focus, "the field with the problem; scripts: {scripts}");
        }
        to(browser, "#problem a");
        browser.enter();
        assert_eq!(browser.text("h1"), "Forgot your password?");
        browser.open(&stage.at("/recover/set"));
        type_text(browser, &sent);
        browser.press(TAB);
        type_text(browser, "seven quiet lamps at noon");
        browser.enter();
        assert_eq!(browser.text("h1"), "Your password is set");
        to(browser, "a.button");
        browser.enter();
        assert_eq!(browser.text("h1"), "Sign in");
        quiet(browser);
    });
}

#[test]
fn wcag_2_1_1_sessions_and_applications_are_ended_by_keyboard() {
    let stage = Stage::start();
    let client = stage.client("Orders dashboard");
    either_way(|browser, _| {
        let person = Person::new(&stage.gate, "Ada Lovelace");
        browser.open(&stage.authorize(&client, &[]));
        type_sign_in(browser, &person);
        to(browser, "button[value=allow]");
        browser.space();
        for _ in 0..2 {
            forget(browser);
            browser.open(&stage.at("/login?next=/account"));
            type_sign_in(browser, &person);
        }
        assert_eq!(browser.text("h1"), "Your account");
        to(browser, "form[action='/account/sessions/end'] button[aria-label]");
        browser.space();
        to(browser, "form[action='/account/applications/end'] button");
        browser.enter();
        assert!(browser.text("main").contains("No application acts for you"));
        to(browser, "form[action='/account/sessions/end'] button");
        browser.enter();
        assert!(!browser.has("form[action='/account/sessions/end']"), "{}", browser.text("main"));
        to(browser, "a[href='/account/methods']");
        browser.enter();
        assert_eq!(browser.text("h1"), "How you sign in");
        quiet(browser);
    });
}

/// ASVS 7.4.4: signing out is easy to find on each page that needs a sign-in.
#[test]
fn wcag_2_1_1_signing_out_is_found_on_the_account_s_pages() {
    let stage = Stage::start();
    either_way(|browser, _| {
        let person = Person::new(&stage.gate, "Ada Lovelace");
        for path in ["/account", "/account/methods"] {
            browser.open(&stage.at(&format!("/login?next={path}")));
            type_sign_in(browser, &person);
            to(browser, "a[href='/oauth/logout']");
            browser.enter();
            to(browser, "button[value=allow]");
            browser.enter();
            assert_eq!(browser.text("h1"), "You are signed out", "{path}");
            browser.open(&stage.at(path));
            assert_eq!(browser.text("h1"), "Sign in", "{path}");
        }
        quiet(browser);
    });
}

#[test]
fn wcag_2_1_1_another_provider_is_reached_by_keyboard() {
    let (provider, section) = crate::elsewhere::provider();
    let stage = Stage::start_with(&section);
    crate::elsewhere::introduce(&stage, &provider);
    either_way(|browser, scripts| {
        browser.open(&stage.at("/login?next=/account/methods"));
        to(browser, "a[href^='/login/with?provider=corp']");
        browser.enter();
        assert!(browser.url().starts_with(&provider.url()), "{}", browser.url());
        let name = if scripts { "ada" } else { "grace" };
        crate::elsewhere::at_provider(browser, &provider, name);
        assert_eq!(browser.text("h1"), "How you sign in");
        // What is not possible is said where it was tried.
        to(browser, "form[action='/account/methods/remove'] button");
        browser.space();
        assert_eq!(browser.focus(), "button", "the button beside the problem");
        assert!(browser.text("#problem").contains("only way"), "{}", browser.text("main"));
        to(browser, "a[href='/account']");
        browser.enter();
        assert_eq!(browser.text("h1"), "Your account");
    });
}

#[test]
fn wcag_2_1_1_an_address_is_let_in_by_keyboard() {
    let stage = Stage::start_with(crate::addresses::LISTS);
    either_way(|browser, _| {
        let person = Person::new(&stage.gate, "Ada Lovelace");
        stage.gate.done(&["user", "roles", person.id(), "--role", "ops"]);
        browser.open(&stage.at("/login?next=/account/methods"));
        type_sign_in(browser, &person);
        crate::second::add_app(&stage, browser);
        to(browser, "a[href='/account']");
        browser.enter();
        to(browser, "a[href='/account/addresses']");
        browser.enter();
        to(browser, "form[action='/account/addresses/allow'] button");
        browser.space();
        assert!(browser.text("[role=status]").contains("is let in"), "{}", browser.text("main"));
        to(browser, "form[action='/account/addresses/end'] button");
        browser.enter();
        assert!(browser.text("[role=status]").contains("ended"), "{}", browser.text("main"));
        to(browser, "a[href='/oauth/logout']");
        browser.enter();
        quiet(browser);
    });
}
