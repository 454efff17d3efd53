//! "Forgot your password?" in a real browser: with scripts and without.

use crate::second::{add_app, code, forget};
use crate::stage::*;
use serde_json::json;
use testkit::{Person, WebDriver, wait};

/// A new passphrase.
const NEW: &str = "seven quiet lamps at noon";

/// Asks for a letter to `address`.
pub(crate) fn ask(stage: &Stage, browser: &WebDriver, address: &str) {
    browser.open(&stage.at("/recover"));
    browser.fill("#email", address);
    browser.click("button");
}

/// The code of the newest letter to `address`, once there are `count`.
pub(crate) fn letter(stage: &Stage, address: &str, count: usize) -> String {
    let letters = || {
        let listed = stage.gate.done(&["mail", "list"]);
        let mut all = listed.as_array().cloned().unwrap_or_default();
        all.retain(|it| it["kind"] == "recovery" && it["to"] == address);
        all
    };
    wait::until(testkit::PATIENCE, "a letter", || letters().len() == count);
    let shown = stage.gate.done(&["mail", "show", &letters()[0]["number"].to_string()]);
    let text = shown["text"].as_str().expect("a text");
    text.lines().find_map(|line| line.strip_prefix("    ")).expect("a code").to_owned()
}

#[test]
fn a_forgotten_password_is_set_anew() {
    let stage = Stage::start();
    either_way(|browser, scripts| {
        let person = Person::new(&stage.gate, "Ada Lovelace");
        browser.open(&stage.at("/login"));
        browser.click("a[href='/recover']");
        assert_eq!(browser.focus(), "input#email");
        ask(&stage, browser, person.email());
        assert_eq!(browser.text("h1"), "Set a new password");
        let code = letter(&stage, person.email(), 1);
        // The link of the letter: the script takes the code out of the address and spares the person the field.
        browser.open(&stage.at(&format!("/recover/set#{code}")));
        assert_eq!(browser.url().contains('#'), !scripts);
        assert_eq!(browser.is_shown("#code"), !scripts);
        if !scripts {
            browser.fill("#code", &code);
        }
        browser.fill("#password", "password1");
        browser.click("button");
        assert!(browser.text("#problem").contains("easy to guess"), "{}", browser.text("main"));
        assert_eq!(browser.property("#password", "value"), json!(""));
        browser.fill("#code", &code);
        browser.fill("#password", NEW);
        browser.click("button");
        assert_eq!(browser.text("h1"), "Your password is set");
        assert!(!browser.source().contains(NEW) && !browser.source().contains(&code));
        browser.click("a.button");
        browser.fill("#email", person.email());
        browser.fill("#password", NEW);
        browser.click("button");
        assert_eq!(browser.text("h1"), "You are signed in");
        // A code that was used offers a new one.
        browser.open(&stage.at("/recover/set"));
        browser.fill("#code", &code);
        browser.fill("#password", NEW);
        browser.click("button");
        assert!(browser.has("#problem a[href='/recover']"), "{}", browser.text("main"));
        quiet(browser);
    });
}

/// Issue 4: recovery never bypasses the second factor.
#[test]
fn attack_recovery_by_mail_goes_around_no_second_step() {
    let stage = Stage::start();
    let client = stage.client("Orders dashboard");
    either_way(|browser, _| {
        let person = Person::new(&stage.gate, "Ada Lovelace");
        stage.sign_in(browser, &stage.at("/login"), &person);
        let added = add_app(&stage, browser);
        forget(browser);
        ask(&stage, browser, person.email());
        browser.fill("#code", &letter(&stage, person.email(), 1));
        browser.fill("#password", NEW);
        browser.click("button");
        assert_eq!(browser.text("h1"), "Your password is set");
        // Nobody is signed in by it: neither to a page nor to a client.
        for path in ["/account", "/account/methods", "/device"] {
            browser.open(&stage.at(path));
            assert_eq!(browser.text("h1"), "Sign in", "{path}");
        }
        browser.open(&stage.authorize(&client, &[]));
        browser.fill("#email", person.email());
        browser.fill("#password", NEW);
        browser.click("button");
        for path in ["/account", "/account/methods", "/device"] {
            browser.open(&stage.at(path));
            assert_eq!(browser.text("h1"), "One more step", "{path}");
        }
        browser.open(&stage.authorize(&client, &[]));
        assert_eq!(browser.text("h1"), "One more step");
        browser.fill("#code", &code(&added.secret, 1));
        browser.click("form.panel button");
        assert_eq!(browser.text("h1"), "Allow Orders dashboard?");
        quiet(browser);
    });
}
