//! "Forgot your password?", with all that goes wrong on the way.

use super::{BOTH, Look, NONE, PHONE};
use crate::recovery::{ask, letter};
use crate::second::forget;
use crate::stage::*;
use testkit::{Person, WebDriver};

pub(super) fn take(stage: &Stage, browser: &WebDriver, at: &mut Look<'_>) {
    let person = Person::new(&stage.gate, "Ada Lovelace");
    forget(browser);
    browser.open(&stage.at("/recover"));
    at("recover", "Forgot your password?", BOTH);
    unchecked(browser);
    browser.fill("#email", "ada at example.com");
    browser.click("button");
    at("recover-wrong", "Forgot your password?", PHONE);
    ask(stage, browser, person.email());
    assert!(browser.text("[role=status]").contains("on its way"), "{}", browser.text("main"));
    at("recover-sent", "Set a new password", BOTH);
    let code = letter(stage, person.email(), 1);
    browser.fill("#code", "not the code that was sent");
    browser.fill("#password", "four words are long enough");
    browser.click("button");
    at("recover-no-code", "Set a new password", PHONE);
    browser.fill("#code", &code);
    browser.fill("#password", "passwordpassword");
    browser.click("button");
    at("recover-weak", "Set a new password", PHONE);
    browser.fill("#code", &code);
    browser.fill("#password", "four words are long enough");
    browser.click("button");
    at("recover-done", "Your password is set", PHONE);
    // WHY by another page: the address is the same but for what stands behind its #.
    browser.open(&stage.at("/"));
    browser.open(&stage.at(&format!("/recover/set#{code}")));
    browser.fill("#password", "four words are long enough");
    browser.click("button");
    at("recover-spent", "Set a new password", PHONE);
    for _ in 0..5 {
        ask(stage, browser, "nobody@example.com");
    }
    at("recover-early", "Forgot your password?", NONE);
}

/// The browser lets everything through, as another program would.
pub(super) fn unchecked(browser: &WebDriver) {
    browser.run("for (const it of document.forms) it.noValidate = true;", &[]);
}
