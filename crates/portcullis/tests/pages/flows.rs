//! What people do on the pages, by hand: each with scripts and without.

use crate::stage::*;
use serde_json::json;
use testkit::{Person, WebDriver, encode, parameter, request};

/// A passphrase of the length that is asked for.
const PASSPHRASE: &str = "four words are long enough";

#[test]
fn a_password_is_set_behind_a_link_and_signs_in() {
    let stage = Stage::start();
    either_way(|browser, scripts| {
        let email = format!("ada.{scripts}@example.com");
        let link = stage.invite(&email);
        let code = link.split_once('#').expect("a code").1.to_owned();
        browser.open(&link);
        assert_eq!(browser.text("h1"), "Set your password");
        assert_eq!(browser.title(), format!("Set your password · {BRAND}"));
        // The script takes the code out of the address and spares the person the field.
        assert_eq!(browser.url().contains('#'), !scripts);
        assert_eq!(browser.is_shown("#code"), !scripts);
        let first = if scripts { "input#password" } else { "input#code" };
        assert_eq!(browser.focus(), first);
        if !scripts {
            browser.fill("#code", &code);
        }
        assert_eq!(browser.property("#code", "value"), json!(code));
        browser.fill("#password", PASSPHRASE);
        browser.click("button");
        assert_eq!(browser.text("h1"), "Your password is set");
        assert!(!browser.source().contains(PASSPHRASE) && !browser.source().contains(&code));
        browser.click("a.button");
        assert_eq!(browser.text("h1"), "Sign in");
        browser.fill("#email", &email);
        browser.fill("#password", "not the one");
        browser.click("button");
        assert_eq!(browser.text("#problem"), "That e-mail and password do not belong together.");
        assert_eq!(browser.property("#email", "value"), json!(email));
        assert_eq!(browser.property("#password", "value"), json!(""));
        browser.fill("#password", PASSPHRASE);
        browser.click("button");
        assert_eq!(browser.text("h1"), "How you sign in");
        // The link is worth nothing a second time.
        browser.open(&stage.at("/setup"));
        browser.fill("#code", &code);
        browser.fill("#password", PASSPHRASE);
        browser.click("button");
        assert!(browser.text("#problem").contains("was used"), "{}", browser.text("#problem"));
        quiet(browser);
    });
}

#[test]
fn the_first_administrators_link_keeps_asking_for_their_address() {
    let stage = Stage::start();
    let browser = WebDriver::start();
    browser.open(&stage.at("/setup?first=1#a-secret"));
    assert_eq!(browser.url(), stage.at("/setup?first=1"), "the secret is out of the address");
    assert_eq!(browser.focus(), "input#email");
    assert!(!browser.is_shown("#code"));
    assert_eq!(browser.property("#code", "value"), json!("a-secret"));
    quiet(&browser);
}

#[test]
fn a_client_sends_a_person_who_signs_in_and_allows_or_refuses() {
    let stage = Stage::start();
    let client = stage.client("Orders dashboard");
    either_way(|browser, scripts| {
        let person = Person::new(&stage.gate, "Ada Lovelace");
        browser.open(&stage.authorize(&client, &[]));
        assert_eq!(browser.text("h1"), "Sign in");
        assert!(browser.text(".for").contains("Orders dashboard"), "{}", browser.text(".for"));
        assert_eq!(browser.focus(), "input#email");
        browser.fill("#email", person.email());
        browser.fill("#password", "not the one");
        browser.click("button");
        assert!(browser.text("#problem").contains("do not belong together"));
        assert!(browser.text(".for").contains("Orders dashboard"), "who asks is still said");
        assert_eq!(browser.focus(), "input#password");
        sign_in(browser, &person);
        assert_eq!(browser.text("h1"), "Allow Orders dashboard?");
        assert!(browser.text(".for").contains(person.email()));
        assert!(browser.text("form").contains("See your orders and what became of them"));
        browser.click("button[value=deny]");
        let url = browser.url();
        assert!(url.starts_with(&stage.callback()), "{url}, scripts: {scripts}");
        assert_eq!(parameter(&url, "error").as_deref(), Some("access_denied"));
        browser.open(&stage.authorize(&client, &[]));
        browser.click("button[value=allow]");
        let url = browser.url();
        assert!(url.starts_with(&stage.callback()), "{url}, scripts: {scripts}");
        assert_eq!(parameter(&url, "state").as_deref(), Some("a state"));
        assert!(parameter(&url, "code").is_some(), "{url}");
        assert_eq!(browser.text("h1"), "Back at the shop");
        // Asked once more, they are not asked at all.
        browser.open(&stage.authorize(&client, &[]));
        assert!(parameter(&browser.url(), "code").is_some(), "{}", browser.url());
        quiet(browser);
    });
}

#[test]
fn an_answer_by_post_goes_on_by_itself_or_by_a_button() {
    let stage = Stage::start();
    let client = stage.client("Orders dashboard");
    either_way(|browser, scripts| {
        let person = Person::new(&stage.gate, "Ada Lovelace");
        let mode = [("response_mode", "form_post")];
        stage.sign_in(browser, &stage.authorize(&client, &mode), &person);
        browser.click("button[value=allow]");
        if scripts {
            // It has gone on, or is about to: the page's own script sends the form.
            let arrived = || browser.url().starts_with(&stage.callback());
            testkit::wait::until(testkit::PATIENCE, "the application", arrived);
        } else {
            assert_eq!(browser.text("h1"), "One moment");
            browser.click("button");
        }
        assert_eq!(browser.text("h1"), "Back at the shop");
        let posted = |seen: &testkit::Seen| seen.line().starts_with("POST /callback ");
        let last = stage.application.requests().into_iter().rev().find(posted).expect("a POST");
        let form = String::from_utf8_lossy(&last.body.kept).into_owned();
        let sent = |name: &str| parameter(&format!("?{form}"), name);
        assert_eq!(sent("state").as_deref(), Some("a state"), "{form}");
        assert!(sent("code").is_some(), "{form}");
        assert_eq!(sent("iss"), Some(stage.gate.control()), "{form}");
        assert_eq!(last.header("referer"), None, "nobody is told where people were");
        quiet(browser);
    });
}

#[test]
fn a_device_is_connected_or_refused() {
    let stage = Stage::start();
    let grants = ["--public", "--grant", "device_code"];
    let client = stage.client_at("Television", &stage.callback(), &grants);
    either_way(|browser, _| {
        let person = Person::new(&stage.gate, "Ada Lovelace");
        let told = stage.device(&client);
        let (code, secret) = (told["user_code"].as_str(), told["device_code"].as_str());
        let (code, secret) = (code.expect("a code"), secret.expect("a secret"));
        stage.sign_in(browser, &stage.at("/device"), &person);
        assert_eq!(browser.text("h1"), "Connect a device");
        assert_eq!(browser.focus(), "input#user_code");
        browser.fill("#user_code", "BBBB-BBBB");
        browser.click("button");
        assert!(browser.text("#problem").contains("No device waits"));
        // As people type: small letters, without the dash.
        browser.fill("#user_code", &code.replace('-', "").to_lowercase());
        browser.click("button");
        assert_eq!(browser.text("h1"), "Connect Television?");
        assert_eq!(browser.text(".usercode"), code);
        browser.click("button[value=allow]");
        assert_eq!(browser.text("h1"), "Connected");
        let ask = encode(&[
            ("grant_type", "urn:ietf:params:oauth:grant-type:device_code"),
            ("client_id", &client),
            ("device_code", secret),
        ]);
        let kind = ("content-type", "application/x-www-form-urlencoded");
        let token = request("POST", &stage.at("/oauth/token"), &[kind], ask.as_bytes());
        assert_eq!(token.status, 200, "{}", token.text());
        let told = stage.device(&client);
        browser.open(told["verification_uri_complete"].as_str().expect("an address"));
        browser.click("button[value=deny]");
        assert_eq!(browser.text("h1"), "Refused");
        quiet(browser);
    });
}

#[test]
fn signing_out_is_asked_and_leads_back() {
    let stage = Stage::start();
    let client = stage.client("Orders dashboard");
    either_way(|browser, _| {
        let person = Person::new(&stage.gate, "Ada Lovelace");
        stage.sign_in(browser, &stage.authorize(&client, &[]), &person);
        browser.click("button[value=allow]");
        browser.open(&stage.logout(&client));
        assert_eq!(browser.text("h1"), "Sign out?");
        assert!(browser.text(".for").contains(person.email()));
        browser.click("button[value=deny]");
        assert_eq!(browser.text("h1"), "You stay signed in");
        browser.open(&stage.authorize(&client, &[]));
        assert!(parameter(&browser.url(), "code").is_some(), "{}", browser.url());
        browser.open(&stage.logout(&client));
        browser.click("button[value=allow]");
        assert_eq!(browser.url(), stage.application.url() + "/goodbye?state=done");
        browser.open(&stage.authorize(&client, &[]));
        assert_eq!(browser.text("h1"), "Sign in");
        quiet(browser);
    });
}

#[test]
fn what_may_not_be_redirected_is_said_on_a_page() {
    let stage = Stage::start();
    let client = stage.client("Orders dashboard");
    either_way(|browser, _| {
        let elsewhere = [("redirect_uri", "https://evil.example/callback")];
        for url in [stage.authorize("nobody", &[]), stage.authorize(&client, &elsewhere)] {
            browser.open(&url);
            assert_eq!(browser.url(), url, "it stays here");
            assert_eq!(browser.text("h1"), "This request cannot go on");
            let said = browser.text(".panel p");
            assert!(said.starts_with(char::is_uppercase) && said.ends_with('.'), "{said}");
            assert!(browser.text("main").contains("Request "), "it can be looked up");
        }
        quiet(browser);
    });
}
