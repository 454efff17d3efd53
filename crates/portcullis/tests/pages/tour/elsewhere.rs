//! Signing in with another provider: what is shown on the way back, of which most is no.

use super::{BOTH, Look, NONE, PHONE, Scene};
use crate::elsewhere::at_provider;
use crate::second::forget;
use serde_json::json;
use testkit::{Person, WebDriver, get, parameter};

/// The link to the provider that answers.
const THERE: &str = "a[href^='/login/with?provider=corp']";

pub(super) fn take(scene: &Scene, browser: &WebDriver, at: &mut Look<'_>) {
    refused(scene, browser, at);
    linked(scene, browser, at);
    let Scene { stage, provider } = scene;
    // Whose account here came with the one there, and is all that they have.
    forget(browser);
    browser.open(&stage.at("/login?next=/account/methods"));
    browser.click(THERE);
    at_provider(browser, provider, "grace");
    at("methods-elsewhere", "How you sign in", NONE);
    browser.click("form[action='/account/methods/remove'] button");
    at("methods-only-way", "How you sign in", PHONE);
    let users = stage.gate.done(&["user", "list"]);
    let grace =
        users.as_array().into_iter().flatten().find(|it| it["email"] == "grace@example.com");
    let id = grace.and_then(|it| it["id"].as_str()).unwrap_or_else(|| panic!("{users}"));
    stage.gate.done(&["user", "disable", id]);
    forget(browser);
    browser.open(&stage.at("/login"));
    browser.click(THERE);
    at_provider(browser, provider, "grace");
    at("elsewhere-closed", "Your account is closed", NONE);
}

fn refused(scene: &Scene, browser: &WebDriver, at: &mut Look<'_>) {
    let Scene { stage, provider } = scene;
    forget(browser);
    browser.open(&stage.at("/login"));
    browser.click("a[href^='/login/with?provider=away']");
    at("elsewhere-away", "That is not possible now", PHONE);
    browser.open(&stage.at("/login"));
    browser.click(THERE);
    browser.click("a[href$='/abort']");
    at("elsewhere-refused", "You were not signed in", BOTH);
    browser.open(&stage.at("/login"));
    browser.click(THERE);
    at_provider(browser, provider, "eve");
    at("elsewhere-not-linked", "No account here belongs", PHONE);
    for (name, heading) in [("corp", "Please begin again"), ("nobody", "There is no such way")] {
        browser.open(&stage.at(&format!("/login/callback/{name}")));
        at(if name == "corp" { "elsewhere-again" } else { "elsewhere-unknown" }, heading, NONE);
    }
    // An answer that the provider never gave.
    browser.open(&stage.at("/login"));
    let link = browser.property(THERE, "href");
    let left = get(link.as_str().expect("a link"), &[("cookie", &browser.cookies())]);
    let away = left.values("set-cookie").into_iter().find(|it| it.starts_with("portcullis_away="));
    let cookie = away.and_then(|it| it.split(';').next()).expect("a cookie").to_owned();
    browser.run("document.cookie = arguments[0] + '; path=/';", &[json!(cookie)]);
    let state = parameter(left.header("location").expect("a way"), "state").expect("a state");
    let issuer = testkit::escape(&provider.url());
    browser.open(&stage.at(&format!("/login/callback/corp?code=none&state={state}&iss={issuer}")));
    at("elsewhere-wrong", "The answer cannot be used", NONE);
}

fn linked(scene: &Scene, browser: &WebDriver, at: &mut Look<'_>) {
    let Scene { stage, provider } = scene;
    for (name, heading) in [("Ada", "Your account is linked"), ("Bert", "It cannot be linked")] {
        forget(browser);
        let person = Person::new(&stage.gate, name);
        stage.sign_in(browser, &stage.at("/login?next=/account/methods"), &person);
        browser.click("a[href^='/account/methods/link?provider=corp']");
        at_provider(browser, provider, "anna");
        at(if name == "Ada" { "linked" } else { "elsewhere-taken" }, heading, NONE);
        if name == "Ada" {
            browser.click("a.button");
            at("methods-linked", "How you sign in", BOTH);
        }
    }
}
