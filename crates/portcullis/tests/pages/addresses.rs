//! "Let my address in": a route that opens to known addresses only, a person, and the page between them.

use crate::second::{add_app, code, forget};
use crate::stage::*;
use crate::tour::Look;
use serde_json::Value;
use std::time::Duration;
use testkit::{Answer, Person, Upstream, WebDriver, encode, request, wait};

/// How long a revocation may take (design: within a second).
const SECOND: Duration = Duration::from_secs(1);
/// One office that everybody in `ops` may let themselves into, also from this machine, and one list that is not theirs.
pub(crate) const LISTS: &str = "[[ip_list]]\nname = \"office\"\nallow = []\n\
                     self_service = { groups = [\"ops\"], for = \"8h\", private = true }\n\
                     [[ip_list]]\nname = \"vault\"\nallow = []\n\
                     self_service = { groups = [\"keepers\"], private = true }\n\
                     [[ip_list]]\nname = \"world\"\nallow = []\nself_service = { groups = [\"ops\"] }\n";

struct Office {
    stage: Stage,
    _orders: Upstream,
}

impl Office {
    fn start() -> Self {
        let orders = Upstream::start(|_| Answer::with(200, &[], b"orders"));
        let route = |list: &str| {
            format!(
                "[[route]]\nname = \"{list}\"\npath = \"/{list}\"\nmethods = [\"GET\"]\n\
                 upstream = \"orders\"\naccess = \"public\"\nip = [\"{list}\"]\n"
            )
        };
        let upstream =
            format!("[[upstream]]\nname = \"orders\"\nservers = [\"{}\"]\n", orders.url());
        let more = format!("{LISTS}{upstream}{}{}", route("office"), route("vault"));
        Self { stage: Stage::start_with(&more), _orders: orders }
    }

    fn member(&self, name: &str) -> Person {
        let person = Person::new(&self.stage.gate, name);
        self.stage.gate.done(&["user", "roles", person.id(), "--role", "ops"]);
        person
    }

    fn status(&self) -> u16 {
        self.stage.gate.get("/office", &[]).status
    }

    fn shuts(&self, what: &str) {
        wait::until(SECOND, what, || self.status() == 403);
    }

    fn entries(&self) -> Vec<Value> {
        let listed = self.stage.gate.done(&["ip", "list"]);
        listed.as_array().cloned().unwrap_or_default()
    }

    fn page(&self) -> String {
        self.stage.at("/account/addresses")
    }

    fn events(&self, code: &str) -> Vec<Value> {
        let sql = format!("SELECT principal, detail, client_ip FROM events WHERE code = '{code}'");
        let rows = self.stage.gate.done(&["audit", "query", &sql]);
        rows.as_array().cloned().unwrap_or_default()
    }
}

/// The page before and after, for whoever looks at all pages.
pub(crate) fn tour(stage: &Stage, browser: &WebDriver, at: &mut Look<'_>) {
    forget(browser);
    let person = Person::new(&stage.gate, "Ada Lovelace");
    stage.gate.done(&["user", "roles", person.id(), "--role", "ops"]);
    stage.sign_in(browser, &stage.at("/login"), &person);
    let page = stage.at("/account/addresses");
    browser.open(&page);
    at("addresses-empty", "Your network address", &[360]);
    browser.click(ALLOW);
    at("addresses-second-step", "A second step is needed", &[]);
    add_app(stage, browser);
    browser.open(&page);
    browser.click(ALLOW);
    at("addresses", "Your network address", &[1280, 360]);
}

const ALLOW: &str = "form[action='/account/addresses/allow'] button";
const END: &str = "form[action='/account/addresses/end'] button";

#[test]
fn a_person_lets_their_address_in_until_they_sign_out() {
    let office = Office::start();
    let stage = &office.stage;
    let browser = WebDriver::start();
    let person = office.member("Ada Lovelace");
    stage.sign_in(&browser, &stage.at("/login"), &person);
    let added = add_app(stage, &browser);
    assert_eq!(office.status(), 403);
    browser.open(&stage.at("/account"));
    browser.click("a[href='/account/addresses']");
    assert_eq!(browser.text("h1"), "Your network address");
    let page = browser.text("main");
    assert!(page.contains("127.0.0.1") && page.contains("this machine itself"), "{page}");
    assert!(!page.contains("vault"), "what is not theirs is not shown: {page}");
    assert!(page.contains("many people may stand behind one"), "`world` takes no such address");
    assert_eq!(browser.text(ALLOW), "Let me in for 8 hours");
    browser.click(ALLOW);
    // The answer came once the gate heeds it.
    assert_eq!(office.status(), 200, "{}", browser.text("main"));
    assert!(browser.text("[role=status]").contains("let in"), "{}", browser.text("main"));
    assert!(browser.text("main").contains("this session"), "{}", browser.text("main"));
    let [entry] = &office.entries()[..] else { panic!("one entry") };
    assert_eq!(
        (entry["address"].as_str(), entry["list"].as_str()),
        (Some("127.0.0.1/32"), Some("office"))
    );
    assert_eq!(entry["owner"].as_str(), Some(person.id()));
    let allowed = office.events("ip.allowed");
    assert_eq!(allowed.len(), 1, "{allowed:?}");
    assert_eq!(allowed[0]["principal"].as_str(), Some(person.id()));
    assert_eq!(allowed[0]["client_ip"].as_str(), Some("127.0.0.1"));
    let mails = stage.gate.done(&["mail", "list"]).to_string();
    assert!(mails.contains("address_allowed"), "{mails}");
    // One step more in the same session leaves it standing.
    let client = stage.client("Orders dashboard");
    let wanted = [("acr_values", "aal2"), ("max_age", "0")];
    browser.open(&stage.authorize(&client, &wanted));
    browser.fill("#code", &code(&added.secret, 1));
    browser.click("form.panel button");
    assert_eq!(browser.text("h1"), "Allow Orders dashboard?");
    assert_eq!(office.status(), 200);
    browser.open(&stage.logout(&client));
    browser.click("button[value=allow]");
    office.shuts("the sign-out");
    assert!(office.entries().is_empty());
    let ended = office.events("ip.removed");
    assert!(ended[0]["detail"].as_str().is_some_and(|it| it.contains("has ended")), "{ended:?}");
    quiet(&browser);
}

#[test]
fn a_person_ends_it_and_an_administrator_too() {
    let office = Office::start();
    let stage = &office.stage;
    let browser = WebDriver::without_scripts();
    let person = office.member("Ada Lovelace");
    stage.sign_in(&browser, &stage.at("/login"), &person);
    add_app(stage, &browser);
    let let_in = || {
        browser.open(&office.page());
        browser.click(ALLOW);
        assert_eq!(office.status(), 200, "{}", browser.text("main"));
    };
    let_in();
    browser.click(END);
    assert_eq!(office.status(), 403, "the answer came once the gate heeds it");
    assert!(browser.text("[role=status]").contains("ended"));
    let_in();
    let id = office.entries()[0]["id"].as_str().expect("an id").to_owned();
    stage.gate.done(&["ip", "remove", &id]);
    office.shuts("the administrator");
    let_in();
    stage.gate.done(&["user", "roles", person.id(), "--role", "dev"]);
    office.shuts("the group is gone");
}

#[test]
fn attack_a_stale_proof_and_forged_forms_let_nothing_in() {
    let office = Office::start();
    let stage = &office.stage;
    let browser = WebDriver::start();
    let person = office.member("Ada Lovelace");
    stage.sign_in(&browser, &stage.at("/login"), &person);
    // One factor does not do, though the account asks for no more.
    browser.open(&office.page());
    browser.click(ALLOW);
    assert_eq!(browser.text("h1"), "A second step is needed", "{}", browser.text("main"));
    add_app(stage, &browser);
    browser.open(&office.page());
    let csrf = browser.property("input[name=csrf]", "value");
    let csrf = csrf.as_str().expect("a token").to_owned();
    let cookies = browser.cookies();
    let url = stage.at("/account/addresses/allow");
    let post = |cookie: &str, more: &[(&str, &str)], fields: &[(&str, &str)]| {
        let mut headers =
            vec![("content-type", "application/x-www-form-urlencoded"), ("cookie", cookie)];
        headers.extend(more);
        request("POST", &url, &headers, encode(fields).as_bytes())
    };
    let list = ("list", "office");
    let token = ("csrf", csrf.as_str());
    assert_eq!(post("", &[], &[list, token]).status, 403, "nobody's");
    assert_eq!(post(&cookies, &[], &[list]).status, 403, "without the form's token");
    assert_eq!(post(&cookies, &[], &[list, ("csrf", "AAAA")]).status, 403, "with another token");
    let foreign = [("origin", "https://evil.example")];
    assert_eq!(post(&cookies, &foreign, &[list, token]).status, 403, "from elsewhere");
    let cross = [("sec-fetch-site", "cross-site")];
    assert_eq!(post(&cookies, &cross, &[list, token]).status, 403, "from elsewhere");
    // A token of the API opens no page, whatever it may do there.
    let bearer = [("authorization", "Bearer whatever")];
    assert_eq!(post("", &bearer, &[list, token]).status, 403);
    assert!(office.entries().is_empty());
    // Addresses that are named are not heard: neither in headers of nobody that is trusted, nor in the form.
    let said = [("x-forwarded-for", "203.0.113.9"), ("forwarded", "for=203.0.113.9")];
    let fields =
        [list, token, ("address", "203.0.113.9"), ("ip", "203.0.113.9"), ("net", "0.0.0.0/0")];
    let done = post(&cookies, &said, &fields);
    assert_eq!(done.status, 303, "{}", done.text());
    let [entry] = &office.entries()[..] else { panic!("{:?}", office.entries()) };
    assert_eq!(entry["address"].as_str(), Some("127.0.0.1/32"));
    // The list of another group, with a token that is right.
    assert_eq!(post(&cookies, &[], &[("list", "vault"), token]).status, 403);
    assert_eq!(post(&cookies, &[], &[("list", "world"), token]).status, 403);
    // What was right a moment ago is worth nothing after the session.
    stage.gate.done(&["user", "end-sessions", person.id()]);
    office.shuts("all sessions are ended");
    let replayed = post(&cookies, &[], &[list, token]);
    assert!(replayed.text().contains("Sign in"), "{}", replayed.text());
    assert!(office.entries().is_empty());
    assert_eq!(office.status(), 403);
}

#[test]
fn what_the_file_takes_back_counts_at_once() {
    let office = Office::start();
    let browser = WebDriver::without_scripts();
    let person = office.member("Ada Lovelace");
    let login = office.stage.at("/login");
    office.stage.sign_in(&browser, &login, &person);
    add_app(&office.stage, &browser);
    browser.open(&office.page());
    browser.click(ALLOW);
    assert_eq!(office.status(), 200);
    let file = std::fs::read_to_string(office.stage.gate.config()).expect("the file");
    let taken =
        file.replace("groups = [\"ops\"], for = \"8h\"", "groups = [\"chiefs\"], for = \"8h\"");
    assert_ne!(file, taken);
    std::fs::write(office.stage.gate.config(), taken).expect("to be written");
    office.stage.gate.sighup();
    wait::until(Duration::from_secs(5), "the file", || office.status() == 403);
    browser.open(&office.page());
    assert!(!browser.text("main").contains("Let me in for 8 hours"), "{}", browser.text("main"));
}
