//! A site behind the gate in a real browser: sent to sign in, back where one was, and out again; with scripts and
//! without. The gate is at 127.0.0.1 and the authority at `localhost`, which browsers take for two sites.

use crate::second::{add_app, code, forget};
use crate::stage::*;
use serde_json::{Value, json};
use testkit::{Person, WebDriver, wait};

/// Signs in where the browser is led to, and comes back.
fn visit(stage: &Stage, browser: &WebDriver, path: &str, person: &Person) {
    browser.open(&stage.site(path));
    assert!(browser.url().starts_with(&stage.gate.control()), "{}", browser.url());
    assert_eq!(browser.text("h1"), "Sign in");
    assert!(browser.text(".for").contains("127.0.0.1"), "{}", browser.text("main"));
    sign_in(browser, person);
}

/// What a script on the open page gets.
fn fetched(browser: &WebDriver, method: &str, url: &str) -> Value {
    browser.run_async(
        "const [method, url, done] = arguments; \
         fetch(url, { method, credentials: 'include' }) \
           .then(it => done(it.status), it => done(String(it)));",
        &[json!(method), json!(url)],
    )
}

#[test]
fn people_sign_in_come_back_where_they_were_and_sign_out() {
    let stage = Stage::start();
    either_way(|browser, scripts| {
        let person = Person::new(&stage.gate, "Ada Lovelace");
        visit(&stage, browser, "/site/orders?page=2", &person);
        assert_eq!(browser.url(), stage.site("/site/orders?page=2"));
        assert_eq!(browser.text("h1"), "Back at the shop");
        // From page to page nothing is asked; another tab, or a link from elsewhere, is let in too.
        browser.open(&stage.site("/site/other"));
        assert_eq!(browser.text("h1"), "Back at the shop");
        browser.open(&stage.at("/"));
        browser.open(&stage.site("/site/again"));
        assert_eq!(browser.text("h1"), "Back at the shop");
        if scripts {
            for method in ["GET", "POST", "DELETE"] {
                assert_eq!(fetched(browser, method, "/site/data"), 200, "{method}");
            }
            // A script cannot read the cookie.
            assert_eq!(browser.run("return document.cookie;", &[]), "");
        }
        quiet(browser);
        browser.open(&stage.site("/.portcullis/sign-out"));
        assert_eq!(browser.text("h1"), "Sign out?");
        browser.click("button");
        assert_eq!(browser.text("h1"), "Signed out");
        quiet(browser);
        browser.click("a");
        // It has ended at the authority too.
        browser.open(&stage.site("/site/orders"));
        assert_eq!(browser.text("h1"), "Sign in");
    });
}

#[test]
fn attack_csrf_from_another_origin_of_the_same_host() {
    let stage = Stage::start();
    let browser = WebDriver::start();
    let person = Person::new(&stage.gate, "Ada Lovelace");
    visit(&stage, &browser, "/site/orders", &person);
    let count = stage.application.count();
    // The application is on another port of the same host: the browser sends the cookie along, since it knows no
    // ports. The gate is what keeps it out.
    browser.open(&(stage.application.url() + "/evil"));
    for method in ["POST", "PUT", "DELETE"] {
        let got = fetched(&browser, method, &stage.site("/site/data"));
        assert_ne!(got, 200, "{method}");
    }
    browser.run(
        "const form = document.createElement('form'); form.method = 'post'; form.action = arguments[0]; \
         document.body.append(form); form.submit();",
        &[json!(stage.site("/site/data"))],
    );
    let told = || browser.source().contains("session.cross_site");
    wait::until(std::time::Duration::from_secs(10), "the refusal", told);
    browser.open(&(stage.application.url() + "/evil"));
    let socket = browser.run_async(
        "const [url, done] = arguments; const it = new WebSocket(url); \
         it.onopen = () => done('open'); it.onerror = () => done('closed');",
        &[json!(stage.site("/site/ws").replace("http:", "ws:"))],
    );
    assert_eq!(socket, "closed");
    // Only the page itself was asked of the application.
    let asked: Vec<_> = stage.application.requests().iter().map(|it| it.line()).collect();
    let reached = asked.iter().filter(|it| it.contains("/site/data") || it.contains("/site/ws"));
    assert_eq!(reached.count(), 0, "{asked:#?}");
    assert!(stage.application.count() > count);
    // Nobody is signed out by any of it.
    browser.open(&stage.site("/site/orders"));
    assert_eq!(browser.text("h1"), "Back at the shop");
}

#[test]
fn rfc9470_a_route_that_asks_for_more_gets_one_question() {
    let stage = Stage::start();
    either_way(|browser, _| {
        let person = Person::new(&stage.gate, "Ada Lovelace");
        forget(browser);
        visit(&stage, browser, "/site/orders", &person);
        // Without a second factor there is one to add first; it is asked for at the route that needs it.
        browser.open(&stage.site("/payroll/june"));
        assert_eq!(browser.text("h1"), "A second step is needed");
        browser.click("a.button");
        let added = add_app(&stage, browser);
        browser.open(&stage.site("/payroll/june"));
        assert_eq!(browser.url(), stage.site("/payroll/june"));
        assert_eq!(browser.text("h1"), "Back at the shop");
        // In another browser both are asked for on the way, once.
        forget(browser);
        browser.open(&stage.site("/payroll/july"));
        sign_in(browser, &person);
        assert_eq!(browser.text("h1"), "One more step");
        browser.fill("#code", &code(&added.secret, 1));
        browser.click("form.panel button");
        assert_eq!(browser.url(), stage.site("/payroll/july"));
        browser.open(&stage.site("/site/orders"));
        assert_eq!(browser.text("h1"), "Back at the shop");
        quiet(browser);
    });
}

#[test]
fn two_tabs_at_once_each_come_back_to_their_own() {
    let stage = Stage::start();
    let browser = WebDriver::start();
    let person = Person::new(&stage.gate, "Ada Lovelace");
    browser.open(&stage.site("/site/one"));
    let first = browser.url();
    browser.open(&stage.site("/site/two"));
    sign_in(&browser, &person);
    assert_eq!(browser.url(), stage.site("/site/two"));
    browser.open(&first);
    assert_eq!(browser.url(), stage.site("/site/one"));
    // The way back leads nowhere a second time, and says so.
    browser.open(&stage.site("/.portcullis/callback?code=x&state=y"));
    assert_eq!(browser.text("h1"), "Signing in was not completed");
    browser.open(&stage.site("/site/one"));
    assert_eq!(browser.text("h1"), "Back at the shop");
}
