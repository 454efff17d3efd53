//! Passkeys: adding one, being asked for it, and where it does not work.

use super::{BOTH, Look, PHONE};
use crate::passkeys::{add, press, unoffered};
use crate::second::{forget, type_app};
use crate::stage::*;
use serde_json::json;
use testkit::{Abilities, Person, WebDriver};

/// The button on the page with one's ways of signing in.
const ADD: &str = "form[action='/account/methods/passkey'] button";

pub(super) fn take(stage: &Stage, browser: &WebDriver, at: &mut Look<'_>) {
    unoffered(browser);
    forget(browser);
    let person = Person::new(&stage.gate, "Ada Lovelace");
    stage.sign_in(browser, &stage.at("/login?next=/account/methods"), &person);
    browser.click(ADD);
    at("add-passkey", "Add a passkey", BOTH);
    let authenticator = browser.authenticator(Abilities::PASSKEY);
    add(stage, browser, "My laptop");
    browser.click(ADD);
    press(browser, "form.panel button");
    at("add-passkey-known", "Add a passkey", PHONE);
    browser.run("document.querySelector('form.panel').elements.answer.value = '{}';", &[]);
    browser.run("const form = document.querySelector('form.panel'); form.submit();", &[]);
    arrived(browser, "#problem:not([hidden])");
    at("add-passkey-refused", "Add a passkey", PHONE);
    type_app(stage, browser);
    at("methods-many", "How you sign in", PHONE);
    forget(browser);
    stage.sign_in(browser, &stage.at("/login?next=/account"), &person);
    at("second-step-passkey", "One more step", BOTH);
    authenticator.verified(false);
    forget(browser);
    browser.open(&stage.at("/login"));
    press(browser, "#passkey button");
    at("sign-in-passkey-none", "Sign in", PHONE);
    authenticator.verified(true);
    without(stage, browser, &person, at);
    // Its account has forgotten it.
    stage.gate.done(&["user", "reset-factors", person.id()]);
    forget(browser);
    browser.open(&stage.at("/login"));
    browser.click("#passkey button");
    at("sign-in-passkey-refused", "Sign in", BOTH);
}

/// Browsers that have no passkeys, or run no scripts.
fn without(stage: &Stage, browser: &WebDriver, person: &Person, at: &mut Look<'_>) {
    let source = "delete window.PublicKeyCredential;";
    let kept =
        browser.devtools("Page.addScriptToEvaluateOnNewDocument", &json!({ "source": source }));
    stage.sign_in(browser, &stage.at("/login?next=/account"), person);
    at("second-step-no-passkeys", "One more step", PHONE);
    browser.devtools("Page.removeScriptToEvaluateOnNewDocument", &kept);
    browser.scripts(false);
    browser.open(&stage.at("/account"));
    as_loaded(browser);
    at("second-step-no-scripts", "One more step", PHONE);
    forget(browser);
    let other = Person::new(&stage.gate, "Bert");
    stage.sign_in(browser, &stage.at("/login?next=/account/methods"), &other);
    browser.scripts(false);
    browser.click(ADD);
    as_loaded(browser);
    at("add-passkey-no-scripts", "Add a passkey", PHONE);
    forget(browser);
}

fn arrived(browser: &WebDriver, css: &str) {
    testkit::wait::until(testkit::PATIENCE, "the page", || {
        browser.has(css) && browser.is_shown(css)
    });
}

/// Lets scripts run again, and leaves the page as it is without.
fn as_loaded(browser: &WebDriver) {
    browser.run(
        "for (const it of document.querySelectorAll('noscript')) it.replaceWith(...it.childNodes);",
        &[],
    );
    assert!(browser.text("main").contains("Passkeys need JavaScript"), "{}", browser.text("main"));
    browser.scripts(true);
}
