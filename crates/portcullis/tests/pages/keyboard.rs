//! The same by keyboard alone: nothing is clicked, and what has the focus can be seen.

use crate::stage::*;
use testkit::{Person, TAB, WebDriver, parameter};

/// Types wherever the focus is.
fn type_text(browser: &WebDriver, text: &str) {
    browser.press(text);
}

/// What has the focus is marked by a line of at least two pixels (WCAG 2.4.7, 2.4.13).
fn is_marked(browser: &WebDriver) {
    let width = browser.run(
        "const it = getComputedStyle(document.activeElement); \
         return it.outlineStyle === 'none' ? 0 : parseFloat(it.outlineWidth);",
        &[],
    );
    assert!(width.as_f64() >= Some(2.0), "{} at {}: {width}", browser.focus(), browser.url());
}

#[test]
fn wcag_2_1_1_everything_is_done_by_keyboard() {
    let stage = Stage::start();
    let client = stage.client("Orders dashboard");
    either_way(|browser, _| {
        let person = Person::new(&stage.gate, "Ada Lovelace");
        browser.open(&stage.authorize(&client, &[]));
        assert_eq!(browser.focus(), "input#email");
        is_marked(browser);
        type_text(browser, person.email());
        browser.press(TAB);
        assert_eq!(browser.focus(), "input#password");
        is_marked(browser);
        type_text(browser, "not the one");
        browser.enter();
        assert_eq!(browser.focus(), "input#password", "the field with the problem");
        type_text(browser, person.password());
        browser.press(TAB);
        is_marked(browser);
        browser.enter();
        assert_eq!(browser.text("h1"), "Allow Orders dashboard?");
        browser.press(TAB);
        assert_eq!(
            browser.focus(),
            "button[answer=allow]",
            "nothing that is not seen comes before"
        );
        is_marked(browser);
        browser.press(TAB);
        assert_eq!(browser.focus(), "button[answer=deny]");
        is_marked(browser);
        browser.enter();
        assert_eq!(parameter(&browser.url(), "error").as_deref(), Some("access_denied"));
        quiet(browser);
    });
}

#[test]
fn wcag_2_1_1_a_device_is_connected_by_keyboard() {
    let stage = Stage::start();
    let client =
        stage.client_at("Television", &stage.callback(), &["--public", "--grant", "device_code"]);
    let person = Person::new(&stage.gate, "Ada Lovelace");
    let browser = WebDriver::without_scripts();
    stage.sign_in(&browser, &stage.at("/device"), &person);
    let told = stage.device(&client);
    type_text(&browser, told["user_code"].as_str().expect("a code"));
    browser.enter();
    assert_eq!(browser.text("h1"), "Connect Television?");
    // Enter alone decides nothing: no button has the focus.
    assert_eq!(browser.focus(), "body");
    browser.press(TAB);
    browser.enter();
    assert_eq!(browser.text("h1"), "Connected");
    quiet(&browser);
}
