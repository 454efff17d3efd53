//! Every field of every form with nothing in it, with too much, and with what nobody can type: what is said, where, and
//! what is kept.

use crate::second::{add_app, code, forget};
use crate::stage::*;
use serde_json::{Value, json};
use testkit::{Abilities, Person, WebDriver};

/// What is put into the fields that are good: each knows its own again.
const KEPT: &str = "kept.by.the.page@example.com";
/// A secret that no page may hold.
const SECRET: &str = "never-to-be-shown-again";

/// What is not shown as it is: it reorders what follows, and a tab.
const REVERSED: &str = "an\u{202e}example\u{2066}\tof hidden characters";

/// Sends the form of the field with one value, whatever the browser thinks of it. Hidden fields stay as they are.
const SEND: &str = "\
    const [css, bad, others] = arguments, field = document.querySelector(css), form = field.form; \
    for (const it of form.querySelectorAll('input:not([type=hidden])')) it.value = others[it.name] ?? ''; \
    field.value = bad; \
    HTMLFormElement.prototype.submit.call(form);";

/// What the page says of a field: whether it is marked, by which words it is described, whether it has the focus, the
/// status of the answer, and what each field of its form holds.
const SAID: &str = "\
    const [css] = arguments, wrong = document.querySelector('[aria-invalid=true]'); \
    const ids = (wrong && wrong.getAttribute('aria-describedby') || '').split(' '); \
    const words = ids.map((id) => document.getElementById(id)).filter((it) => it && it.matches('.error')); \
    const beside = words.filter((it) => it.closest('.field') === wrong.closest('.field')); \
    const form = document.querySelector(css)?.form, held = {}; \
    for (const it of form ? form.querySelectorAll('input:not([type=hidden])') : []) held[it.name] = it.value; \
    return { marked: wrong ? '#' + wrong.id : '', words: beside.map((it) => it.innerText).join(' '), \
      role: beside.map((it) => it.getAttribute('role')).join(' '), focus: document.activeElement === wrong, \
      held, title: document.title, name: document.querySelector(css)?.name, \
      status: performance.getEntriesByType('navigation')[0].responseStatus };";

/// A field, and how it is reached.
struct Field<'a> {
    css: &'static str,
    /// Whether what stands in it is a secret, which is never sent back.
    secret: bool,
    /// What the other fields of the form hold.
    others: Value,
    /// The field with which it is said; itself where there is none.
    at: Option<&'static str>,
    open: &'a dyn Fn(),
}

/// Fails unless the page says beside the field what to change.
fn check(browser: &WebDriver, field: &Field<'_>, bad: &str) {
    (field.open)();
    browser.run("window.here = true;", &[]);
    browser.run(SEND, &[json!(field.css), json!(bad), field.others.clone()]);
    testkit::wait::until(testkit::PATIENCE, "the answer", || {
        browser.run("return !window.here && document.readyState === 'complete';", &[])
            == json!(true)
    });
    let said = browser.run(SAID, &[json!(field.css)]);
    let what = format!("{} {:?}: {said}", field.css, &bad.chars().take(20).collect::<String>());
    assert_eq!(said["status"].as_u64().map(|it| it / 100), Some(4), "{what}");
    assert_eq!(said["marked"], json!(field.at.unwrap_or(field.css)), "{what}");
    assert!(said["words"].as_str().is_some_and(|it| it.len() > 10), "{what}");
    assert_eq!(said["role"], json!("alert"), "{what}");
    assert_eq!(said["focus"], json!(true), "{what}");
    assert!(said["title"].as_str().is_some_and(|it| it.starts_with("Please check: ")), "{what}");
    for (name, value) in field.others.as_object().into_iter().flatten() {
        let kept = if value == KEPT { value.clone() } else { json!("") };
        assert_eq!(said["held"][name], kept, "{name} beside {what}");
    }
    if field.secret {
        let name = said["name"].as_str().unwrap_or_default();
        assert_eq!(said["held"][name], json!(""), "{what}");
    }
    let source = browser.source();
    assert!(!source.contains(SECRET), "{what}");
    assert!(bad.len() < 12 || !field.secret || !source.contains(bad), "{what}");
    quiet(browser);
}

/// Fails unless each field of the list refuses nothing, too much, and what is hidden. Control characters, which nobody can
/// type, are refused for the whole request.
fn check_all(browser: &WebDriver, fields: &[Field<'_>]) {
    for field in fields {
        for bad in ["", &"overlong ".repeat(200), REVERSED] {
            check(browser, field, bad);
        }
    }
    for field in fields {
        (field.open)();
        browser.run("window.here = true;", &[]);
        let bad = format!("{SECRET}\u{7}\u{1b}[2J\u{0}");
        browser.run(SEND, &[json!(field.css), json!(bad), field.others.clone()]);
        testkit::wait::until(testkit::PATIENCE, "the answer", || {
            let there = "return !window.here && document.readyState === 'complete';";
            browser.run(there, &[]) == json!(true)
        });
        assert_eq!(browser.text("h1"), "This request cannot be read", "{}", field.css);
        assert!(!browser.source().contains(SECRET), "{}", browser.source());
    }
}

#[test]
fn who_is_not_signed_in_is_told_beside_the_field_what_to_change() {
    let stage = Stage::start();
    let browser = WebDriver::start();
    let client = stage.client("Orders dashboard");
    let login = || browser.open(&stage.authorize(&client, &[]));
    let setup = || browser.open(&stage.at("/setup?first=1"));
    let recover = || browser.open(&stage.at("/recover"));
    let set = || browser.open(&stage.at("/recover/set"));
    let field = |css, secret, others, at, open| Field { css, secret, others, at, open };
    check_all(
        &browser,
        &[
            // Which of the two is wrong is not told.
            field("#email", false, json!({ "password": SECRET }), Some("#password"), &login),
        ],
    );
    check_all(&browser, &[field("#password", true, json!({ "email": KEPT }), None, &login)]);
    check_all(&browser, &[field("#email", false, json!({}), None, &recover)]);
    check_all(&browser, &[field("#code", true, json!({ "password": SECRET }), None, &set)]);
    // WHY not the code of a set-up link: it is not spent by a password that does not do, and the person has it in the
    // address of the page that they came by.
    check_all(
        &browser,
        &[field("#code", false, json!({ "email": KEPT, "password": SECRET }), None, &setup)],
    );
}

#[test]
fn who_is_signed_in_is_told_beside_the_field_what_to_change() {
    let stage = Stage::start();
    let browser = WebDriver::start();
    let person = Person::new(&stage.gate, "Ada Lovelace");
    stage.sign_in(&browser, &stage.at("/login"), &person);
    let app = || {
        browser.open(&stage.at("/account/methods"));
        browser.click("form[action='/account/methods/app'] button");
    };
    let device = || browser.open(&stage.at("/device"));
    let field = |css, secret, others, open| Field { css, secret, others, at: None, open };
    check_all(&browser, &[field("#code", true, json!({ "name": KEPT }), &app)]);
    check_all(&browser, &[field("#user_code", false, json!({}), &device)]);
    names(&stage, &browser);
}

/// A name is judged once what it names was shown to work.
fn names(stage: &Stage, browser: &WebDriver) {
    for bad in ["overlong ".repeat(20), REVERSED.to_owned()] {
        browser.open(&stage.at("/account/methods"));
        browser.click("form[action='/account/methods/app'] button");
        let secret: String = browser.text("form code").split_whitespace().collect();
        let set = "const it = document.querySelector('#name'); it.removeAttribute('maxlength'); it.value = arguments[0];";
        browser.run(set, &[json!(bad)]);
        browser.fill("#code", &code(&secret, 0));
        browser.click("form.panel button");
        beside_the_name(browser, &bad);
        assert_eq!(browser.text("form code").split_whitespace().collect::<String>(), secret);
        let _key = browser.authenticator(Abilities::PASSKEY);
        browser.open(&stage.at("/account/methods"));
        browser.click("form[action='/account/methods/passkey'] button");
        browser.run(set, &[json!(bad)]);
        browser.click("form.panel button");
        beside_the_name(browser, &bad);
    }
    // And nothing was added meanwhile.
    browser.open(&stage.at("/account/methods"));
    assert!(browser.text("main").contains("None yet"), "{}", browser.text("main"));
}

fn beside_the_name(browser: &WebDriver, bad: &str) {
    let said = browser.run(SAID, &[json!("#name")]);
    assert_eq!((&said["marked"], &said["status"]), (&json!("#name"), &json!(400)), "{said}");
    assert!(said["words"].as_str().is_some_and(|it| it.len() > 10), "{said}");
    assert_eq!(said["focus"], json!(true), "{said}");
    let kept = said["held"]["name"].as_str().unwrap_or_default();
    assert_eq!(kept, bad, "{said}");
}

#[test]
fn the_second_step_is_told_beside_the_field_what_to_change() {
    let stage = Stage::start();
    let browser = WebDriver::start();
    for css in ["#code", "#recovery"] {
        let person = Person::new(&stage.gate, "Ada Lovelace");
        stage.sign_in(&browser, &stage.at("/login"), &person);
        add_app(&stage, &browser);
        let open = || {
            forget(&browser);
            stage.sign_in(&browser, &stage.at("/login?next=/account"), &person);
        };
        let field = Field { css, secret: true, others: json!({}), at: None, open: &open };
        check_all(&browser, &[field]);
    }
}

/// ASVS 6.2.6: what is typed is hidden; 6.2.7: pasting and password managers are not in the way.
#[test]
fn asvs_6_2_6_passwords_are_hidden_and_may_be_pasted() {
    let stage = Stage::start();
    let browser = WebDriver::start();
    for (path, purpose) in [
        ("/login", "current-password"),
        ("/setup", "new-password"),
        ("/recover/set", "new-password"),
    ] {
        browser.open(&stage.at(path));
        assert_eq!(browser.property("#password", "type"), json!("password"), "{path}");
        assert_eq!(browser.property("#password", "autocomplete"), json!(purpose), "{path}");
        browser.run(
            "const data = new DataTransfer(); data.setData('text/plain', 'pasted'); \
             const paste = new ClipboardEvent('paste', { clipboardData: data, cancelable: true, bubbles: true }); \
             window.taken = document.querySelector('#password').dispatchEvent(paste);",
            &[],
        );
        assert_eq!(
            browser.run("return window.taken;", &[]),
            json!(true),
            "{path}: pasting is allowed"
        );
    }
}
