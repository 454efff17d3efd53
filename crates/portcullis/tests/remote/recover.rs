//! "Forgot your password?" over the network: the whole way, and how it is attacked.

use crate::setup::{ROUTE, person};
use std::time::Duration;
use testkit::{Arrival, Browser, Gate, Landing, Page, wait};

const NEW: &str = "seven quiet lamps at noon";

fn page(landing: Landing) -> Page {
    match landing {
        Landing::Page(page) => page,
        Landing::Elsewhere(url) => panic!("it leads to {url}"),
    }
}

/// Asks for a letter; the page that comes.
fn ask(gate: &Gate, browser: &mut Browser, address: &str) -> Page {
    let asking = page(browser.open(&(gate.control() + "/recover")));
    let form = asking.form().expect("a form").with("email", address);
    page(browser.send(&asking, &form))
}

fn letters(gate: &Gate) -> Vec<serde_json::Value> {
    let listed = gate.done(&["mail", "list"]);
    let all = listed.as_array().cloned().unwrap_or_default();
    all.into_iter().filter(|it| it["kind"] == "recovery").collect()
}

/// The code of the newest letter, once there are `count`.
fn code(gate: &Gate, count: usize) -> String {
    wait::until(Duration::from_secs(10), "a letter", || letters(gate).len() == count);
    let number = letters(gate)[0]["number"].to_string();
    let message = gate.done(&["mail", "show", &number]);
    let text = message["text"].as_str().expect("a text");
    let code = text.lines().find_map(|line| line.strip_prefix("    ")).expect("a code");
    assert!(text.contains(&format!("/recover/set#{code}")), "{text}");
    code.to_owned()
}

fn set(browser: &mut Browser, from: &Page, code: &str, password: &str) -> Page {
    let form = from.form().expect("a form").with("code", code).with("password", password);
    page(browser.send(from, &form))
}

#[test]
fn a_forgotten_password_is_set_anew_in_the_browser_that_asked() {
    let gate = Gate::start(ROUTE);
    let mut ada = person(&gate, "Ada", &["ops"]);
    let (email, methods) = (ada.email().to_owned(), gate.control() + "/account/methods");
    assert!(matches!(ada.go(&methods), Arrival::Page(page) if page.response.status == 200));
    let mut browser = Browser::new(&gate.control());
    let waiting = ask(&gate, &mut browser, &email);
    assert_eq!((waiting.response.status, &*waiting.title()), (200, "Set a new password"));
    assert!(waiting.response.text().contains("is on its way"), "{}", waiting.response.text());
    let code = code(&gate, 1);
    // Whoever has read the letter and sits elsewhere gains nothing, and spends nothing.
    let mut thief = Browser::new(&gate.control());
    let elsewhere = page(thief.open(&(gate.control() + "/recover/set")));
    let refused = set(&mut thief, &elsewhere, &code, NEW);
    assert_eq!(refused.response.status, 400);
    assert!(refused.response.text().contains("in another browser"));
    let short = set(&mut browser, &waiting, &code, "password1");
    assert_eq!(short.response.status, 400);
    assert!(short.response.text().contains("very easy to guess"), "{}", short.response.text());
    assert!(!short.response.text().contains("password1"));
    let done = set(&mut browser, &short, &code, NEW);
    assert_eq!((done.response.status, &*done.title()), (200, "Your password is set"));
    // Nobody is signed in by it, and who was is not any more.
    assert!(!browser.cookies().keys().any(|it| it.contains("session")));
    let mut asked = page(browser.open(&methods));
    assert_eq!((asked.response.status, &*asked.title()), (200, "Sign in"));
    let form = asked.form().expect("a form").with("email", &email).with("password", NEW);
    asked = page(browser.send(&asked, &form));
    assert_eq!(asked.response.status, 200, "{}", asked.response.text());
    let spent = set(&mut browser, &waiting, &code, "another long password");
    assert_eq!(spent.response.status, 400);
    let mails = gate.done(&["mail", "list"]).to_string();
    assert!(mails.contains("methods_changed"), "{mails}");
    assert!(!gate.log().contains(&code));
    let events = gate.done(&["audit", "tail", "-n", "200"]).to_string();
    assert!(events.contains("code from a letter") && !events.contains(&code), "{events}");
}

#[test]
fn nobody_learns_by_asking_who_has_an_account() {
    let gate = Gate::start(ROUTE);
    let ada = person(&gate, "Ada", &["ops"]);
    let answer = |address: &str| {
        let mut browser = Browser::new(&gate.control());
        let page = ask(&gate, &mut browser, address);
        let token = page.form().expect("a form").value("csrf").expect("a token").to_owned();
        (page.response.status, page.response.text().replace(&token, ""))
    };
    for _ in 0..3 {
        assert_eq!(answer(ada.email()), answer("nobody@example.com"));
    }
    // The fourth of one network is the last without a delay.
    answer(ada.email());
    answer("nobody@example.com");
    for address in [ada.email(), "nobody@example.com"] {
        let (status, text) = answer(address);
        assert_eq!(status, 429, "{text}");
    }
    // A form of another site is none.
    let url = gate.control() + "/recover";
    let forged = Browser::new(&gate.control()).once("POST", &url, "email=nobody%40example.com");
    assert_eq!(forged.status, 403);
}
