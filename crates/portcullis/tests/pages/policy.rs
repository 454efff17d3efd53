//! What the pages' content security policy stops in a real browser, and what it must let through.

use crate::stage::*;
use serde_json::json;
use testkit::{Answer, Person, Upstream, WebDriver, get};

/// Bytes of a sign-in page with everything that it loads.
const SIGN_IN_BYTES: usize = 30 * 1024;
/// How often the page is loaded to see how soon it comes.
const LOADS: usize = 21;

#[test]
fn what_is_injected_does_nothing_and_is_complained_of() {
    let stage = Stage::start();
    let back = "https://orders.example/callback";
    let client = stage.client_at("Orders dashboard", back, &[]);
    let thief = Upstream::ok();
    let browser = WebDriver::start();
    let tries = [
        "document.body.append(Object.assign(document.createElement('img'), { src: at + '/image' }))",
        "document.body.append(Object.assign(document.createElement('iframe'), { src: at + '/frame' }))",
        "document.head.append(Object.assign(document.createElement('script'), { src: at + '/code' }))",
        "document.head.append(Object.assign(document.createElement('script'), \
           { textContent: 'window.injected = true' }))",
        "document.head.append(Object.assign(document.createElement('style'), \
           { textContent: 'body { color: red }' }))",
        "fetch(at + '/fetch').catch(() => 0)",
        "const form = document.querySelector('form'); form.action = at + '/form'; form.submit()",
    ];
    for script in tries {
        browser.open(&stage.authorize(&client, &[("redirect_uri", back)]));
        quiet(&browser);
        browser.run(&format!("const at = arguments[0]; {script};"), &[json!(thief.url())]);
        testkit::wait::until(testkit::PATIENCE, "a complaint", || {
            browser.console().iter().any(|line| line.contains("Content Security Policy"))
        });
        assert_eq!(browser.run("return window.injected === true;", &[]), json!(false), "{script}");
        assert_eq!(browser.text("h1"), "Sign in", "{script}");
    }
    assert_eq!(thief.count(), 0, "{:?}", thief.requests());
}

#[test]
fn a_page_of_ours_cannot_be_framed() {
    let stage = Stage::start();
    let client = stage.client("Orders dashboard");
    let url = stage.authorize(&client, &[]);
    let html = format!("<!doctype html><title>Trap</title><iframe src=\"{url}\"></iframe>");
    let trap = Upstream::start(move |_| page(&html));
    let browser = WebDriver::start();
    browser.open(&trap.url());
    testkit::wait::until(testkit::PATIENCE, "a complaint", || {
        browser.console().iter().any(|line| line.contains("frame"))
    });
}

/// Applications that are themselves the front of others send people on from their callback. Browsers hold that to the
/// `form-action` of the page that sent the form.
#[test]
fn a_callback_may_send_people_on_to_somebody_else() {
    let stage = Stage::start();
    let onward = Upstream::start(|_| page("<!doctype html><title>Deep</title><h1>Further on</h1>"));
    let to = format!("http://localhost:{}/deep", onward.address().port());
    let broker = Upstream::start(move |_| Answer::with(302, &[("location", &to)], b""));
    let back = broker.url() + "/callback";
    let client = stage.client_at("Broker", &back, &[]);
    either_way(|browser, _| {
        let person = Person::new(&stage.gate, "Ada Lovelace");
        let url = stage.authorize(&client, &[("redirect_uri", &back)]);
        stage.sign_in(browser, &url, &person);
        browser.click("button[value=allow]");
        assert_eq!(browser.text("h1"), "Further on", "{}", browser.url());
        quiet(browser);
    });
}

#[test]
fn a_sign_in_page_weighs_less_than_30_kilobytes() {
    let stage = Stage::start();
    let client = stage.client("Orders dashboard");
    let browser = WebDriver::start();
    browser.open(&stage.authorize(&client, &[]));
    let loaded =
        browser.run("return performance.getEntriesByType('resource').map(it => it.name);", &[]);
    let mut urls = vec![browser.url()];
    urls.extend(
        loaded.as_array().into_iter().flatten().filter_map(|it| it.as_str()).map(str::to_owned),
    );
    urls.push(stage.at("/assets/mark.svg"));
    urls.dedup();
    assert!(urls.iter().all(|url| url.starts_with(&stage.gate.control())), "{urls:?}");
    let answers: Vec<_> = urls.iter().map(|url| get(url, &[])).collect();
    assert!(answers.iter().all(|it| it.status == 200), "{urls:?}");
    let bytes: usize = answers.iter().map(|it| it.head.len() + it.body.kept.len()).sum();
    assert!(bytes < SIGN_IN_BYTES, "{bytes} bytes: {urls:?}");
}

/// How long the first byte takes is told and not judged: a busy machine would be measured, and a build for debugging.
#[test]
fn a_sign_in_page_tells_how_soon_its_first_byte_comes() {
    let stage = Stage::start();
    let client = stage.client("Orders dashboard");
    let browser = WebDriver::start();
    let mut waits: Vec<f64> = (0..LOADS)
        .map(|_| {
            browser.open(&stage.authorize(&client, &[]));
            let waited = browser.run(
                "const it = performance.getEntriesByType('navigation')[0]; \
                 return it.responseStart - it.requestStart;",
                &[],
            );
            waited.as_f64().expect("milliseconds")
        })
        .collect();
    waits.sort_by(f64::total_cmp);
    println!("first byte of the sign-in page: {:.1} ms (median of {LOADS})", waits[LOADS / 2]);
    assert!(waits.iter().all(|it| *it > 0.0), "{waits:?}");
}
