//! What is shown where nothing can go on, and to whom more is asked of than they have.

use super::{BOTH, Look, NONE, PHONE};
use crate::second::{add_app, forget};
use crate::stage::*;
use testkit::{Person, WebDriver};

pub(super) fn take(stage: &Stage, browser: &WebDriver, at: &mut Look<'_>) {
    forget(browser);
    let person = Person::new(&stage.gate, "Ada Lovelace");
    stage.sign_in(browser, &stage.at("/login"), &person);
    at("signed-in", "You are signed in", NONE);
    stage.gate.done(&["user", "roles", person.id(), "--role", "crew"]);
    forget(browser);
    stage.sign_in(browser, &stage.at("/login?next=/account"), &person);
    at("methods-must-add", "How you sign in", BOTH);
    add_app(stage, browser);
    forget(browser);
    // The session has ended between two pages.
    stage.sign_in(browser, &stage.at("/login?next=/account"), &person);
    browser.forget("portcullis_session");
    browser.fill("#code", "123456");
    browser.click("form.panel button");
    at("begin-again", "Please begin again", PHONE);
    stage.gate.done(&["user", "roles", person.id(), "--role", "vault"]);
    forget(browser);
    stage.sign_in(browser, &stage.at("/login?next=/account"), &person);
    at("needs-help", "Your account needs help", BOTH);
    forget(browser);
    browser.open(&stage.at("/login"));
    forget(browser);
    sign_in(browser, &person);
    at("too-old", "This page is too old", PHONE);
    browser.open(&stage.at("/login?next=/account&next=/device"));
    at("unreadable", "This request cannot be read", NONE);
    browser.open(&stage.at("/login"));
    // Each guess takes a while itself, so that the first delays go by.
    let delayed = (0..20).any(|_| {
        browser.fill("#email", "nobody@example.com");
        browser.fill("#password", "not the one");
        browser.click("button");
        browser.text("#problem").contains("many attempts")
    });
    assert!(delayed, "{}", browser.text("main"));
    at("sign-in-early", "Sign in", PHONE);
}
