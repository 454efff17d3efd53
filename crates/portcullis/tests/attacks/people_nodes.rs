//! What an attacker wins who shows one proof of a person's in many browsers at the same moment, at two nodes.

use crate::authority_nodes::Nodes;
use std::process::Command;
use testkit::{Browser, Gate, Landing, Page, Person, Response, encode, request};

/// Browsers that have shown the password and not yet the second step.
const BROWSERS: usize = 6;
/// The form of the second step.
const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");

fn page(landing: Landing) -> Page {
    match landing {
        Landing::Page(page) => page,
        Landing::Elsewhere(url) => panic!("it leads to {url}"),
    }
}

/// What an app shows now, or `steps` later: Debian's oathtool.
fn code(secret: &str, steps: u32) -> String {
    let now = format!("now + {} seconds", 30 * steps);
    let args = ["--totp", "--base32", "--now", &now, secret];
    let output = Command::new("oathtool").args(args).output().expect("oathtool is installed");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// Sends the form of a page with these values; the page that comes.
fn send(browser: &mut Browser, from: &Page, values: &[(&str, &str)]) -> Page {
    let form = from.form().unwrap_or_else(|| panic!("{}", from.response.text()));
    let filled = values.iter().fold(form, |form, (name, value)| form.with(name, value));
    page(browser.send(from, &filled))
}

/// Signs in as far as the password goes.
fn half(gate: &Gate, person: &Person) -> (Browser, Page) {
    let mut browser = Browser::new(&gate.control());
    let asked = page(browser.open(&(gate.control() + "/login?next=/account/methods")));
    let values = [("email", person.email()), ("password", person.password())];
    let next = send(&mut browser, &asked, &values);
    (browser, next)
}

/// Adds an app: its secret, and the recovery codes that come with it.
fn enrol(gate: &Gate, person: &Person) -> (String, Vec<String>) {
    let (mut browser, methods) = half(gate, person);
    let adding = send(&mut browser, &methods, &[]);
    let text = adding.response.text();
    let shown = text.split_once("Text to type: <code>").and_then(|it| it.1.split_once("</code>"));
    let secret: String = shown.expect("a secret").0.split_whitespace().collect();
    let done = send(&mut browser, &adding, &[("code", &code(&secret, 0))]).response.text();
    let codes = done.split("<li><code>").skip(1).filter_map(|it| it.split_once("</code>"));
    let codes: Vec<_> = codes.map(|(code, _)| code.to_owned()).collect();
    assert_eq!(codes.len(), 10, "{done}");
    (secret, codes)
}

/// What each browser sends in the second step, all at once, at both nodes in turn; how many are let in.
fn race(nodes: &Nodes, waiting: &[(Browser, Page)], (factor, proof): (&str, &str)) -> usize {
    let both = nodes.both().map(Gate::control);
    let both = &both;
    let answers: Vec<Response> = std::thread::scope(|scope| {
        let asked: Vec<_> = waiting
            .iter()
            .enumerate()
            .map(|(number, (browser, page))| {
                scope.spawn(move || {
                    let form = page.form().expect("a form");
                    let form = form.with("factor", factor).with("code", proof);
                    let pairs = browser.cookies().iter().map(|(k, v)| format!("{k}={v}"));
                    let cookies = pairs.collect::<Vec<_>>().join("; ");
                    let url = both[number % 2].clone() + "/login";
                    let body = encode(&form.fields);
                    request("POST", &url, &[FORM, ("cookie", &cookies)], body.as_bytes())
                })
            })
            .collect();
        asked.into_iter().map(|it| it.join().expect("an answer")).collect()
    });
    let session = |it: &Response| {
        it.values("set-cookie").iter().any(|it| it.starts_with("portcullis_session=pcs_"))
    };
    let (good, bad): (Vec<_>, Vec<_>) = answers.iter().partition(|it| session(it));
    for answer in bad {
        assert!(matches!(answer.status, 401 | 429 | 503), "{}", answer.text());
    }
    good.len()
}

/// RFC 6238 §5.2, issue 4: of many uses of one code, and of the last recovery code, at two nodes at once one counts.
#[test]
fn one_code_of_an_app_and_the_last_recovery_code_let_two_browsers_in() {
    let nodes = Nodes::start();
    let [one, _] = nodes.both();
    let person = Person::new(one, "Ada");
    let (secret, codes) = enrol(one, &person);
    let waiting: Vec<_> = (0..BROWSERS).map(|_| half(one, &person)).collect();
    assert!(waiting.iter().all(|(_, page)| page.title() == "One more step"));
    assert_eq!(race(&nodes, &waiting, ("totp", &code(&secret, 1))), 1, "one code of the app");
    for spent in &codes[..9] {
        let (mut browser, asked) = half(one, &person);
        let values = [("factor", "recovery"), ("code", spent.as_str())];
        let inside = send(&mut browser, &asked, &values);
        assert_eq!(inside.title(), "How you sign in", "{}", inside.response.text());
    }
    let waiting: Vec<_> = (0..BROWSERS).map(|_| half(one, &person)).collect();
    assert_eq!(race(&nodes, &waiting, ("recovery", &codes[9])), 1, "the last recovery code");
    let waiting: Vec<_> = (0..2).map(|_| half(one, &person)).collect();
    assert_eq!(race(&nodes, &waiting, ("recovery", &codes[9])), 0, "it is spent");
}

/// ASVS 7.2.4: each proof brings a new session text, and what was known before is worth nothing after.
#[test]
fn a_session_that_was_known_before_a_proof_becomes_the_persons() {
    let gate = Gate::start("");
    let (ada, eve) = (Person::new(&gate, "Ada"), Person::new(&gate, "Eve"));
    let (secret, _) = enrol(&gate, &ada);
    let account = gate.control() + "/account";
    let opened = |session: &str| {
        let cookie = format!("portcullis_session={session}");
        testkit::get(&account, &[("cookie", &cookie)]).text()
    };
    let session = |browser: &Browser| browser.cookies()["portcullis_session"].clone();
    // Between the two steps.
    let (mut browser, asked) = half(&gate, &ada);
    let before = session(&browser);
    let inside = send(&mut browser, &asked, &[("code", &code(&secret, 1))]);
    assert_eq!(inside.title(), "How you sign in", "{}", inside.response.text());
    let after = session(&browser);
    assert_ne!(before, after);
    assert!(opened(&after).contains("<h1>Your account</h1>"));
    for known in [before.as_str(), "pcs_x"] {
        let shown = opened(known);
        assert!(
            !shown.contains("Your account") && !shown.contains(ada.email()),
            "{known}: {shown}"
        );
    }
    // One that somebody else has planted: their own.
    let (theirs, _) = half(&gate, &eve);
    let planted = session(&theirs);
    let login = gate.control() + "/login?next=/account";
    let cookie = format!("portcullis_session={planted}");
    let page = Page { url: login.clone(), response: testkit::get(&login, &[("cookie", &cookie)]) };
    let visit = page.response.values("set-cookie").into_iter().find(|it| it.contains("_visit="));
    let visit = visit.and_then(|it| it.split(';').next()).expect("a visit").to_owned();
    let form = page.form().expect("a form");
    let form = form.with("email", ada.email()).with("password", ada.password());
    let cookies = format!("{cookie}; {visit}");
    let url = gate.control() + "/login";
    let body = encode(&form.fields);
    let answer = request("POST", &url, &[FORM, ("cookie", &cookies)], body.as_bytes());
    let fresh = answer.values("set-cookie").into_iter().find(|it| it.contains("_session=pcs_"));
    assert!(fresh.is_some_and(|it| !it.contains(&planted)), "{}", answer.text());
    let shown = opened(&planted);
    assert!(!shown.contains(ada.email()), "{shown}");
    // It has ended with the sign-in: nobody is there.
    assert!(shown.contains("<h1>Sign in</h1>"), "{shown}");
}

/// RP-Initiated Logout 1.0 §6: another site, with whose forms no cookie comes, takes no cookie away; and one that was
/// planted beside the person's keeps nobody signed in who was told otherwise.
#[test]
fn a_form_of_another_site_signs_somebody_out_or_a_planted_cookie_keeps_them_in() {
    let gate = Gate::start("");
    let url = gate.control() + "/oauth/logout";
    let taken = |cookies: &[&str]| {
        let mut headers = vec![FORM, ("origin", "https://evil.example")];
        headers.extend(cookies.iter().map(|it| ("cookie", *it)));
        let answer = request("POST", &url, &headers, b"");
        assert_eq!(answer.status, 200, "{}", answer.text());
        let gone = |it: &&str| it.starts_with("portcullis_session=;") && it.contains("Max-Age=0");
        answer.values("set-cookie").iter().any(gone)
    };
    assert!(!taken(&[]));
    assert!(!taken(&["portcullis_visit=x; portcullis_browser=y"]));
    assert!(taken(&["portcullis_session=pcs_x"]));
    assert!(taken(&["portcullis_session=pcs_x; portcullis_session=pcs_y"]));
}
