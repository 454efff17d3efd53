//! Answers of a true passkey that no browser would give, and attempts to do with less than a passkey.

use crate::passkeys::{add, unoffered};
use crate::second::{forget, type_app};
use crate::stage::*;
use serde_json::{Value, json};
use testkit::{Abilities, Credential, Person, WebDriver, parameter, wait};

/// User present and verified (WebAuthn L3 §6.1).
const THERE: u8 = 0b101;
/// What a sign-in's answer says that it is (WebAuthn L3 §7.2 step 11).
const GET: &str = "webauthn.get";

/// Sends an answer to the sign-in page's question, made from its challenge.
fn send(browser: &WebDriver, answer: impl Fn(&str) -> String) {
    let options = browser.run("return document.querySelector('#passkey').dataset.options;", &[]);
    let options: Value = serde_json::from_str(options.as_str().expect("options")).expect("JSON");
    let text = answer(options["challenge"].as_str().expect("a challenge"));
    browser.run(
        "window.here = true; const form = document.querySelector('#passkey'); \
         form.elements.answer.value = arguments[0]; HTMLFormElement.prototype.submit.call(form);",
        &[json!(text)],
    );
    wait::until(testkit::PATIENCE, "the answer", || {
        browser.run("return !window.here && document.readyState === 'complete';", &[])
            == json!(true)
    });
}

/// A person with a passkey, and the passkey itself.
fn stolen(stage: &Stage, browser: &WebDriver) -> (Person, Credential) {
    unoffered(browser);
    let authenticator = browser.authenticator(Abilities::PASSKEY);
    let person = Person::new(&stage.gate, "Ada Lovelace");
    stage.sign_in(browser, &stage.at("/login"), &person);
    add(stage, browser, "My laptop");
    forget(browser);
    (person, authenticator.credentials().remove(0))
}

/// What is sent of a key whose last answer had a counter: from the challenge, and that counter.
type Forgery<'a> = Box<dyn Fn(&str, u32) -> String + 'a>;

/// What would be let in if one of the checks of WebAuthn L3 §7.2 were not made.
fn forgeries<'a>(key: &'a Credential, own: &'a str) -> Vec<(String, Forgery<'a>)> {
    let port = own.rsplit_once(':').expect("a port").1;
    let mut all: Vec<(String, Forgery<'a>)> = Vec::new();
    // Step 13, §13.4.9: `evil-example.com` is not `example.com`.
    for origin in [
        format!("http://evil-localhost:{port}"),
        format!("http://localhost.evil-example.com:{port}"),
        format!("http://evil-example.com:{port}"),
        format!("https://localhost:{port}"),
        "http://localhost:1".to_owned(),
        "http://localhost".to_owned(),
        format!("{own}/"),
        own.to_uppercase(),
        String::new(),
    ] {
        let what = format!("origin {origin:?}");
        all.push((
            what,
            Box::new(move |it, last| key.answer(&client(GET, it, &origin), next(last))),
        ));
    }
    // Step 15.
    for rp in ["evil-localhost", "evil-example.com", "LOCALHOST", "localhost.", ""] {
        let made =
            move |it: &str, last: u32| key.answer(&client(GET, it, own), (rp, THERE, last + 1));
        all.push((format!("relying party {rp:?}"), Box::new(made)));
    }
    // Steps 16 and 17; step 22.
    for (what, flags, forward) in
        [("nobody there", 0, 1), ("not verified", 1, 1), ("the same counter", THERE, 0)]
    {
        let made = move |it: &str, last: u32| {
            key.answer(&client(GET, it, own), ("localhost", flags, last + forward))
        };
        all.push((what.to_owned(), Box::new(made)));
    }
    let back = move |it: &str, last: u32| {
        key.answer(&client(GET, it, own), ("localhost", THERE, last - 1))
    };
    all.push(("a counter that goes back".to_owned(), Box::new(back)));
    // Steps 11 and 12, and a page in a frame of somebody else's.
    let made =
        move |it: &str, last: u32| key.answer(&client("webauthn.create", it, own), next(last));
    all.push(("another purpose".to_owned(), Box::new(made)));
    let made = move |_: &str, last: u32| {
        key.answer(&client(GET, "AAAAAAAAAAAAAAAAAAAAAA", own), next(last))
    };
    all.push(("another challenge".to_owned(), Box::new(made)));
    let framed = move |it: &str, last: u32| {
        let mut data = client(GET, it, own);
        data["crossOrigin"] = json!(true);
        key.answer(&data, next(last))
    };
    all.push(("in a frame".to_owned(), Box::new(framed)));
    all
}

fn client(kind: &str, challenge: &str, origin: &str) -> Value {
    json!({ "type": kind, "challenge": challenge, "origin": origin, "crossOrigin": false })
}

fn next(last: u32) -> (&'static str, u8, u32) {
    ("localhost", THERE, last + 1)
}

/// WebAuthn L3 §7.2: an answer with a right signature counts only where all else is right, too.
#[test]
fn attack_a_true_key_answers_for_another_origin_or_with_an_older_counter() {
    let stage = Stage::start();
    let browser = WebDriver::start();
    let (_person, key) = stolen(&stage, &browser);
    let own = stage.gate.control();
    let first = u32::try_from(key.counter()).expect("a counter");
    // The true answer between the others: it goes on working, and no delay hides what is judged.
    for (last, (what, forged)) in (first..).zip(forgeries(&key, &own)) {
        forget(&browser);
        browser.open(&stage.at("/login"));
        send(&browser, |it| key.answer(&client(GET, it, &own), next(last)));
        assert_eq!(
            browser.text("h1"),
            "You are signed in",
            "before {what}: {}",
            browser.text("main")
        );
        forget(&browser);
        browser.open(&stage.at("/login"));
        send(&browser, |it| forged(it, last + 1));
        assert_eq!(browser.text("h1"), "Sign in", "{what}");
        let said = browser.text("#passkey-problem");
        assert!(said.contains("not accepted"), "{what}: {said}");
    }
    quiet(&browser);
}

/// Whoever has the password, and even an app or a recovery code, has less than a passkey: what asks for one gets one.
#[test]
fn attack_less_than_a_passkey_stands_for_a_passkey() {
    let stage =
        Stage::start_with("[[sign_in]]\nname = \"vault\"\ngroups = [\"vault\"]\nacr = \"phr\"\n");
    let client = stage.client("Orders dashboard");
    let browser = WebDriver::start();
    let (person, _key) = stolen(&stage, &browser);
    let authenticator = browser.authenticator(Abilities::PASSKEY);
    authenticator.add(&_key);
    browser.open(&stage.at("/login?next=/account/methods"));
    browser.click("#passkey button");
    let (secret, _) = type_app(&stage, &browser);
    browser.click("form[action='/account/methods/codes'] button");
    let recovery = browser.text(".codes li:first-child code");
    drop(authenticator);
    let wanted = [("acr_values", "phr")];
    // With the password and the app, what asks for a passkey is as closed as before.
    forget(&browser);
    stage.sign_in(&browser, &stage.authorize(&client, &[]), &person);
    browser.fill("#code", &crate::second::code(&secret, 1));
    browser.click("form.panel button");
    assert_eq!(browser.text("h1"), "Allow Orders dashboard?");
    browser.open(&stage.authorize(&client, &wanted));
    assert_eq!(browser.text("h1"), "One more step");
    assert!(!browser.has("#code") && !browser.has("#recovery"), "{}", browser.text("main"));
    // Forms of the factors that are not offered, sent all the same.
    for (factor, proof) in
        [("recovery", &*recovery), ("totp", "123456"), ("password", "x"), ("", "")]
    {
        browser.open(&stage.authorize(&client, &wanted));
        browser.run(
            "window.here = true; const form = document.querySelector('#passkey'); \
             form.elements.factor.value = arguments[0]; const code = document.createElement('input'); \
             code.name = 'code'; code.value = arguments[1]; form.append(code); \
             HTMLFormElement.prototype.submit.call(form);",
            &[json!(factor), json!(proof)],
        );
        wait::until(testkit::PATIENCE, "the answer", || {
            browser.run("return !window.here && document.readyState === 'complete';", &[])
                == json!(true)
        });
        assert!(parameter(&browser.url(), "code").is_none(), "{factor}: {}", browser.url());
        assert!(
            browser.text("h1") != "Allow Orders dashboard?",
            "{factor}: {}",
            browser.text("main")
        );
    }
    // Nor where the account itself asks for it, on the account's own pages.
    stage.gate.done(&["user", "roles", person.id(), "--role", "vault"]);
    forget(&browser);
    stage.sign_in(&browser, &stage.at("/login?next=/account/methods"), &person);
    assert_eq!(browser.text("h1"), "One more step");
    assert!(!browser.has("#code") && !browser.has("#recovery"), "{}", browser.text("main"));
    for path in ["/account", "/account/methods", "/device"] {
        browser.open(&stage.at(path));
        assert_eq!(browser.text("h1"), "One more step", "{path}");
    }
}
