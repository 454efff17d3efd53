//! Two factors in a real browser, with codes that Debian's oathtool makes: with scripts and without.

use crate::stage::*;
use std::process::Command;
use testkit::{Person, WebDriver, get, parameter};

/// What an app shows now, or `steps` later (RFC 6238 by somebody else's hand).
pub(crate) fn code(secret: &str, steps: u32) -> String {
    let mut oathtool = Command::new("oathtool");
    let now = format!("now + {} seconds", 30 * steps);
    let output = oathtool.args(["--totp", "--base32", "--now", &now, secret]).output();
    let output = output.expect("oathtool is installed: cargo xtask test");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// What adding an app brings.
pub(crate) struct Added {
    pub(crate) secret: String,
    /// The code that added it: spent.
    pub(crate) used: String,
    pub(crate) codes: Vec<String>,
}

/// Adds an app to the account that is signed in: its secret, and the code that added it.
pub(crate) fn type_app(stage: &Stage, browser: &WebDriver) -> (String, String) {
    browser.open(&stage.at("/account/methods"));
    assert_eq!(browser.text("h1"), "How you sign in");
    browser.click("form[action='/account/methods/app'] button");
    assert_eq!(browser.text("h1"), "Add an authenticator app");
    let secret: String = browser.text("form code").split_whitespace().collect();
    assert!(secret.len() >= 32, "160 bits at least: {secret}");
    browser.fill("#name", "My phone");
    browser.fill("#code", "000000");
    browser.click("form.panel button");
    assert!(browser.text("#problem").contains("not right"), "{}", browser.text("main"));
    let used = code(&secret, 0);
    browser.fill("#code", &used);
    browser.click("form.panel button");
    (secret, used)
}

/// Adds the first app, with which recovery codes come.
pub(crate) fn add_app(stage: &Stage, browser: &WebDriver) -> Added {
    let (secret, used) = type_app(stage, browser);
    assert_eq!(browser.text("h1"), "Your recovery codes", "{}", browser.text("main"));
    let codes: Vec<_> = browser.text(".codes").split_whitespace().map(str::to_owned).collect();
    let codes: Vec<_> = codes.into_iter().filter(|it| it.len() > 4).collect();
    assert_eq!(codes.len(), 10, "{codes:?}");
    browser.click("a.button");
    assert!(browser.text("main").contains("My phone"), "{}", browser.text("main"));
    Added { secret, used, codes }
}

/// Forgets all cookies: another browser.
pub(crate) fn forget(browser: &WebDriver) {
    browser.devtools("Network.clearBrowserCookies", &serde_json::json!({}));
}

#[test]
fn an_app_is_added_and_asked_for_from_then_on() {
    let stage = Stage::start();
    let client = stage.client("Orders dashboard");
    either_way(|browser, _| {
        let person = Person::new(&stage.gate, "Ada Lovelace");
        stage.sign_in(browser, &stage.at("/login"), &person);
        let Added { secret, used, codes } = add_app(&stage, browser);
        forget(browser);
        stage.sign_in(browser, &stage.authorize(&client, &[]), &person);
        assert_eq!(browser.text("h1"), "One more step");
        assert!(browser.text(".for").contains(person.email()));
        assert_eq!(browser.focus(), "input#code");
        // The password alone opens nothing: neither the account's page nor the client.
        browser.open(&stage.at("/account/methods"));
        assert_eq!(browser.text("h1"), "One more step");
        browser.open(&stage.authorize(&client, &[]));
        assert_eq!(browser.text("h1"), "One more step");
        browser.fill("#code", "000000");
        browser.click("form.panel button");
        assert!(browser.text("#problem").contains("not right"));
        assert!(!browser.source().contains("000000"));
        // The code that added the app is spent; the next one is good.
        browser.fill("#code", &used);
        browser.click("form.panel button");
        assert!(browser.text("#problem").contains("used before"), "{}", browser.text("main"));
        browser.fill("#code", &code(&secret, 1));
        browser.click("form.panel button");
        assert_eq!(browser.text("h1"), "Allow Orders dashboard?");
        browser.click("button[value=allow]");
        assert!(parameter(&browser.url(), "code").is_some(), "{}", browser.url());
        // A recovery code stands in, once.
        for (attempt, works) in [true, false].into_iter().enumerate() {
            forget(browser);
            stage.sign_in(browser, &stage.authorize(&client, &[]), &person);
            browser.touch("summary");
            browser.fill("#recovery", &codes[0].to_lowercase().replace('-', " "));
            browser.click("details button");
            let passed = parameter(&browser.url(), "code").is_some();
            assert_eq!(passed, works, "attempt {attempt}: {}", browser.text("body"));
        }
        assert!(browser.text("#problem").contains("used before"), "{}", browser.text("main"));
        quiet(browser);
    });
}

#[test]
fn rfc9470_s5_a_client_that_asks_for_more_gets_one_question() {
    let stage = Stage::start();
    let client = stage.client("Orders dashboard");
    either_way(|browser, _| {
        let person = Person::new(&stage.gate, "Ada Lovelace");
        let wanted = [("acr_values", "aal2")];
        stage.sign_in(browser, &stage.authorize(&client, &wanted), &person);
        assert_eq!(browser.text("h1"), "A second step is needed");
        browser.click("a.button");
        let Added { secret, .. } = add_app(&stage, browser);
        // The app was shown a moment ago: nothing is asked.
        browser.open(&stage.authorize(&client, &wanted));
        assert_eq!(browser.text("h1"), "Allow Orders dashboard?");
        browser.click("button[value=allow]");
        assert!(parameter(&browser.url(), "code").is_some(), "{}", browser.url());
        // What is too old is asked for, and only that: no password.
        browser.open(&stage.authorize(&client, &[("acr_values", "aal2"), ("max_age", "0")]));
        assert_eq!(browser.text("h1"), "One more step");
        browser.fill("#code", &code(&secret, 1));
        browser.click("form.panel button");
        assert!(parameter(&browser.url(), "code").is_some(), "{}", browser.url());
        // Nothing that the person has cannot be phished.
        browser.open(&stage.authorize(&client, &[("acr_values", "phr")]));
        let error = parameter(&browser.url(), "error");
        assert_eq!(error.as_deref(), Some("unmet_authentication_requirements"));
        quiet(browser);
    });
}

#[test]
fn another_person_may_come_instead_at_the_second_step() {
    let stage = Stage::start();
    let client = stage.client("Orders dashboard");
    let browser = WebDriver::start();
    let (ada, eve) = (Person::new(&stage.gate, "Ada"), Person::new(&stage.gate, "Eve"));
    stage.sign_in(&browser, &stage.at("/login"), &ada);
    add_app(&stage, &browser);
    forget(&browser);
    stage.sign_in(&browser, &stage.authorize(&client, &[]), &ada);
    let cookies = browser.cookies();
    let begun = |path: &str| get(&stage.at(path), &[("cookie", &cookies)]).text();
    assert!(begun("/account").contains("One more step"));
    browser.click("button.link");
    assert_eq!(browser.text("h1"), "Sign in");
    // What Ada had proved is worth nothing any more, to whoever has kept the cookie.
    let left = begun("/account");
    assert!(left.contains("Sign in") && !left.contains("One more step"), "{left}");
    sign_in(&browser, &eve);
    assert_eq!(browser.text("h1"), "Allow Orders dashboard?");
    assert!(browser.text(".for").contains(eve.email()));
}

#[test]
fn a_person_sees_and_ends_their_sessions_and_applications() {
    let stage = Stage::start();
    let client = stage.client("Orders dashboard");
    either_way(|browser, _| {
        let person = Person::new(&stage.gate, "Ada Lovelace");
        stage.sign_in(browser, &stage.authorize(&client, &[]), &person);
        browser.click("button[value=allow]");
        forget(browser);
        stage.sign_in(browser, &stage.at("/account"), &person);
        assert_eq!(browser.text("h1"), "Your account");
        assert!(browser.text("main").contains("this one"), "{}", browser.text("main"));
        assert!(browser.text("main").contains("Orders dashboard"));
        assert!(browser.text("main").contains("orders:read"), "{}", browser.text("main"));
        browser.click("form[action='/account/applications/end'] button");
        assert!(browser.text("main").contains("No application acts for you"));
        assert!(browser.has("input[value=others]"));
        browser.click("form[action='/account/sessions/end'] button");
        assert!(!browser.has("form[action='/account/sessions/end']"), "one is left: this one");
        // What was allowed is asked for again.
        browser.open(&stage.authorize(&client, &[]));
        assert_eq!(browser.text("h1"), "Allow Orders dashboard?");
        quiet(browser);
    });
}
