//! Passkeys in a real browser, with authenticators in its software (WebAuthn L3 §11).

use crate::second::forget;
use crate::stage::*;
use serde_json::json;
use std::time::Duration;
use testkit::{Abilities, Person, WebDriver, parameter, wait};

/// How long the browser may take over what it does by itself.
const BY_ITSELF: Duration = Duration::from_secs(20);

/// Adds a passkey to the account that is signed in; whether with it came recovery codes.
pub(crate) fn add(stage: &Stage, browser: &WebDriver, name: &str) -> bool {
    browser.open(&stage.at("/account/methods"));
    browser.click("form[action='/account/methods/passkey'] button");
    assert_eq!(browser.text("h1"), "Add a passkey");
    browser.fill("#name", name);
    browser.click("form.panel button");
    let codes = browser.text("h1") == "Your recovery codes";
    if codes {
        browser.click("a.button");
    }
    assert!(browser.text("main").contains(name), "{}", browser.text("main"));
    codes
}

/// Presses a button whose answer is a word on the same page.
pub(crate) fn press(browser: &WebDriver, css: &str) -> String {
    browser.run("document.querySelector(arguments[0]).click();", &[json!(css)]);
    wait::until(BY_ITSELF, "a word about it", || browser.is_shown("[data-problem]"));
    browser.text("[data-problem]")
}

/// Waits until the browser has gone on by itself to the page with this heading.
fn arrives(browser: &WebDriver, heading: &str) {
    let there = "const it = document.querySelector('h1'); return it ? it.innerText : '';";
    wait::until(BY_ITSELF, heading, || browser.run(there, &[]) == json!(heading));
}

/// A person with a passkey who has forgotten their cookies since.
fn with_passkey(stage: &Stage, browser: &WebDriver) -> Person {
    let person = Person::new(&stage.gate, "Ada Lovelace");
    stage.sign_in(browser, &stage.at("/login"), &person);
    assert!(add(stage, browser, "My laptop"));
    forget(browser);
    person
}

/// From now on pages do not have the browser offer passkeys before a button is pressed. WHY: these authenticators answer
/// that offer at once, as no person would.
pub(crate) fn unoffered(browser: &WebDriver) {
    let source = "delete PublicKeyCredential.isConditionalMediationAvailable;";
    browser.devtools("Page.addScriptToEvaluateOnNewDocument", &json!({ "source": source }));
}

/// What was recorded of failed sign-ins, the last one first or not.
fn failures(stage: &Stage) -> String {
    let tail =
        ["audit", "tail", "-n", "50", "--filter", "code=login.failed", "--filter", "outcome=deny"];
    stage.gate.done(&tail).to_string()
}

#[test]
fn the_browser_offers_the_passkey_and_nothing_is_typed() {
    let stage = Stage::start();
    let client = stage.client("Orders dashboard");
    let browser = WebDriver::start();
    let authenticator = browser.authenticator(Abilities::PASSKEY);
    let person = with_passkey(&stage, &browser);
    let held = authenticator.credentials();
    assert!(held.len() == 1 && held[0].is_resident());
    assert_eq!(held[0].user().as_deref(), Some(person.id()));
    let autocomplete = "return document.querySelector('#email').autocomplete;";
    browser.open(&stage.authorize(&client, &[("acr_values", "phr")]));
    arrives(&browser, "Allow Orders dashboard?");
    browser.click("button[value=allow]");
    assert!(parameter(&browser.url(), "code").is_some(), "{}", browser.url());
    assert_eq!(authenticator.credentials()[0].counter(), held[0].counter() + 1);
    drop(authenticator);
    forget(&browser);
    browser.open(&stage.at("/login"));
    assert_eq!(browser.run(autocomplete, &[]), json!("username webauthn"));
    quiet(&browser);
}

#[test]
fn a_passkey_signs_in_by_its_button_only_when_it_knows_its_person() {
    let stage = Stage::start();
    let browser = WebDriver::start();
    unoffered(&browser);
    let authenticator = browser.authenticator(Abilities::PASSKEY);
    let person = with_passkey(&stage, &browser);
    browser.open(&stage.at("/login"));
    authenticator.verified(false);
    let said = press(&browser, "#passkey button");
    assert_eq!(said, "No passkey was used. Try again, or sign in in another way.");
    assert_eq!(browser.text("h1"), "Sign in");
    // What was typed before is still there.
    authenticator.verified(true);
    browser.click("#passkey button");
    assert_eq!(browser.text("h1"), "You are signed in");
    // It was proved a moment ago: another one may be added, and this one may not be added twice.
    browser.open(&stage.at("/account/methods"));
    assert!(browser.text(".rows").contains("My laptop"), "{}", browser.text("main"));
    assert!(browser.text(".rows").contains("last used"), "{}", browser.text("main"));
    browser.click("form[action='/account/methods/passkey'] button");
    let said = press(&browser, "form.panel button");
    assert_eq!(said, "This device or key has a passkey for your account already.");
    let key = browser.authenticator(Abilities { roaming: true, ..Abilities::PASSKEY });
    assert!(!add(&stage, &browser, "The key on my ring"));
    assert_eq!(key.credentials().len(), 1);
    // Each opens the account; the one that is removed does not any more.
    let at = "form[action='/account/methods/remove'] button[aria-label='Remove My laptop']";
    browser.click(at);
    assert!(!browser.text("main").contains("My laptop"), "{}", browser.text("main"));
    forget(&browser);
    drop(key);
    browser.open(&stage.at("/login"));
    browser.click("#passkey button");
    assert_eq!(browser.text("h1"), "Sign in");
    assert!(browser.text("#passkey-problem").contains("not accepted"));
    assert!(!browser.source().contains(person.email()), "nobody is named");
    quiet(&browser);
}

#[test]
fn an_old_security_key_is_a_second_step_and_nothing_alone() {
    let stage = Stage::start();
    let client = stage.client("Orders dashboard");
    let browser = WebDriver::start();
    unoffered(&browser);
    let authenticator = browser.authenticator(Abilities::SECURITY_KEY);
    let person = with_passkey(&stage, &browser);
    assert!(
        authenticator.credentials().is_empty() || !authenticator.credentials()[0].is_resident()
    );
    browser.open(&stage.at("/login"));
    let said = press(&browser, "#passkey button");
    assert!(said.contains("No passkey was used"), "{said}");
    stage.sign_in(&browser, &stage.authorize(&client, &[("acr_values", "phr")]), &person);
    assert_eq!(browser.text("h1"), "One more step");
    // Whoever has the password alone sees nothing of the account.
    browser.open(&stage.at("/account/methods"));
    assert_eq!(browser.text("h1"), "One more step");
    browser.open(&stage.authorize(&client, &[("acr_values", "phr")]));
    browser.click("#passkey button");
    assert_eq!(browser.text("h1"), "Allow Orders dashboard?");
    browser.click("button[value=allow]");
    assert!(parameter(&browser.url(), "code").is_some(), "{}", browser.url());
    // A fresh proof, and only that.
    browser.open(&stage.authorize(&client, &[("acr_values", "phr"), ("max_age", "0")]));
    assert_eq!(browser.text("h1"), "One more step");
    browser.click("#passkey button");
    assert!(parameter(&browser.url(), "code").is_some(), "{}", browser.url());
    quiet(&browser);
}

#[test]
fn webauthn_s6_1_1_a_copy_is_refused_and_recorded() {
    let stage = Stage::start();
    let browser = WebDriver::start();
    unoffered(&browser);
    let authenticator = browser.authenticator(Abilities::PASSKEY);
    let person = with_passkey(&stage, &browser);
    let copied = authenticator.credentials().remove(0);
    for _ in 0..2 {
        forget(&browser);
        browser.open(&stage.at("/login"));
        browser.click("#passkey button");
        assert_eq!(browser.text("h1"), "You are signed in");
    }
    let used = authenticator.credentials().remove(0);
    authenticator.remove(&used);
    authenticator.add(&copied);
    forget(&browser);
    browser.open(&stage.at("/login"));
    browser.click("#passkey button");
    assert_eq!(browser.text("h1"), "Sign in");
    assert!(browser.text("#passkey-problem").contains("not accepted"));
    wait::until(BY_ITSELF, "the record", || failures(&stage).contains("may be a copy"));
    let recorded = failures(&stage);
    assert!(recorded.contains(person.id()), "{recorded}");
    let told = || stage.gate.done(&["mail", "list"]).to_string();
    wait::until(BY_ITSELF, "the letter", || told().contains("A passkey of yours was refused"));
    // The true one goes on.
    authenticator.remove(&copied);
    authenticator.add(&used);
    browser.open(&stage.at("/login"));
    browser.click("#passkey button");
    assert_eq!(browser.text("h1"), "You are signed in");
    quiet(&browser);
}

#[test]
fn an_answer_is_worth_nothing_a_second_time_or_elsewhere() {
    let stage = Stage::start();
    let browser = WebDriver::start();
    unoffered(&browser);
    let _authenticator = browser.authenticator(Abilities::PASSKEY);
    let _person = with_passkey(&stage, &browser);
    browser.open(&stage.at("/login"));
    // The form as it goes to the server, taken down on its way.
    let taken = browser.run_async(
        "const done = arguments[0], form = document.querySelector('#passkey'); \
         form.submit = () => done(Array.from(new FormData(form)).map((it) => it.map(String))); \
         form.querySelector('button').click();",
        &[],
    );
    let send = |fields: &serde_json::Value| {
        let script = "const form = document.querySelector('#passkey'); \
                      for (const [name, value] of arguments[0]) \
                        if (name !== 'csrf') form.elements[name].value = value; \
                      HTMLFormElement.prototype.submit.call(form);";
        browser.run(script, std::slice::from_ref(fields));
    };
    send(&taken);
    arrives(&browser, "You are signed in");
    forget(&browser);
    browser.open(&stage.at("/login"));
    send(&taken);
    wait::until(BY_ITSELF, "a word", || {
        browser.has("#passkey-problem") && browser.is_shown("#passkey-problem")
    });
    assert_eq!(browser.text("#passkey-problem"), "That took too long. Try again.");
    // The answer to another page's challenge.
    browser.open(&stage.at("/login"));
    let fresh = browser.property("#passkey input[name=state]", "value");
    let mut mixed = taken.clone();
    for pair in mixed.as_array_mut().expect("pairs") {
        if pair[0] == json!("state") {
            pair[1] = fresh.clone();
        }
    }
    send(&mixed);
    wait::until(BY_ITSELF, "a word", || {
        browser.has("#passkey-problem") && browser.text("#passkey-problem").contains("accepted")
    });
    wait::until(BY_ITSELF, "the record", || failures(&stage).contains("another challenge"));
    quiet(&browser);
}

#[test]
fn without_scripts_the_pages_say_so_and_everything_else_works() {
    let stage = Stage::start();
    let browser = WebDriver::without_scripts();
    let person = Person::new(&stage.gate, "Ada Lovelace");
    browser.open(&stage.at("/login"));
    assert!(!browser.is_shown("#passkey"));
    sign_in(&browser, &person);
    assert_eq!(browser.text("h1"), "You are signed in");
    browser.open(&stage.at("/account/methods"));
    browser.click("form[action='/account/methods/passkey'] button");
    assert_eq!(browser.text("h1"), "Add a passkey");
    assert!(!browser.is_shown("form.panel"));
    assert!(browser.text("main").contains("Passkeys need JavaScript"), "{}", browser.text("main"));
}
