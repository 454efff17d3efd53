//! Whose address it is: the letter with a code and a link, and what applications are told.

use crate::second::forget;
use crate::stage::*;
use crate::tour::Look;
use serde_json::Value;
use std::time::Duration;
use testkit::jose::unb64;
use testkit::{Person, WebDriver, encode, get, parameter, request, wait};

/// RFC 7636 appendix B, the verifier of the stage's challenge.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
/// Letters that prove an address.
const PROOF: &str = "address_proof";

fn letters(stage: &Stage, kind: &str, to: &str) -> Vec<Value> {
    let listed = stage.gate.done(&["mail", "list"]);
    let all = listed.as_array().cloned().unwrap_or_default();
    all.into_iter().filter(|it| it["kind"] == kind && it["to"] == to).collect()
}

/// What the newest letter of this kind to this address says, once there is one.
fn letter(stage: &Stage, kind: &str, to: &str) -> String {
    wait::until(Duration::from_secs(10), "a letter", || !letters(stage, kind, to).is_empty());
    let number = letters(stage, kind, to)[0]["number"].to_string();
    let message = stage.gate.done(&["mail", "show", &number]);
    message["text"].as_str().expect("a text").to_owned()
}

fn code(text: &str) -> String {
    let code = text.lines().find_map(|line| line.strip_prefix("    ")).expect("a code");
    code.to_owned()
}

fn link(text: &str) -> String {
    let begin = text.find("http").map(|at| &text[at..]).expect("a link");
    begin.split_whitespace().next().expect("a link").to_owned()
}

/// What a client that the person agrees to is told of the address: in the ID token, and at userinfo.
fn told(stage: &Stage, browser: &WebDriver, client: &str) -> [(Value, Value); 2] {
    // Beside an access token, the ID token has only what is asked of it itself (OpenID Connect Core §5.4, §5.5).
    let claims = r#"{"id_token":{"email":null,"email_verified":null}}"#;
    browser.open(&stage.authorize(client, &[("claims", claims)]));
    if browser.has("button[value=allow]") {
        browser.click("button[value=allow]");
    }
    let code = parameter(&browser.url(), "code").unwrap_or_else(|| panic!("{}", browser.source()));
    let callback = stage.callback();
    let body = encode(&[
        ("grant_type", "authorization_code"),
        ("client_id", client),
        ("code", &code),
        ("redirect_uri", &callback),
        ("code_verifier", VERIFIER),
    ]);
    let kind = ("content-type", "application/x-www-form-urlencoded");
    let answer = request("POST", &stage.at("/oauth/token"), &[kind], body.as_bytes());
    assert_eq!(answer.status, 200, "{}", answer.text());
    let tokens = answer.json();
    let text = |name: &str| tokens[name].as_str().expect("a token").to_owned();
    let claims = text("id_token").split('.').nth(1).map(unb64).expect("claims");
    let claims: Value = serde_json::from_slice(&claims).expect("JSON");
    let bearer = format!("Bearer {}", text("access_token"));
    let info = get(&stage.at("/oauth/userinfo"), &[("authorization", &bearer)]);
    assert_eq!(info.status, 200, "{}", info.text());
    [claims, info.json()].map(|it| (it["email"].clone(), it["email_verified"].clone()))
}

fn client(stage: &Stage) -> String {
    stage.client_at("Orders dashboard", &stage.callback(), &["--public"])
}

const ASK_OWN: &str = "section form[action='/account/email/ask'] button";
const ASK_OTHER: &str = "form.panel[action='/account/email/ask'] button";
const CONFIRM: &str = "form[action='/account/email/code'] button";

#[test]
fn an_address_is_confirmed_by_a_code_and_changed_by_another() {
    let stage = Stage::start();
    let client = client(&stage);
    either_way(|browser, scripts| {
        let person = Person::new(&stage.gate, "Ada Lovelace");
        stage.sign_in(browser, &stage.at("/login"), &person);
        for (email, verified) in told(&stage, browser, &client) {
            assert_eq!(email, person.email());
            assert_eq!(verified, false, "nobody has shown it yet");
        }
        browser.open(&stage.at("/account"));
        assert!(browser.text("main").contains("not confirmed"), "{}", browser.text("main"));
        browser.click("a[href='/account/email']");
        assert_eq!(browser.text("h1"), "Your e-mail address");
        browser.click(ASK_OWN);
        assert_eq!(browser.text("h1"), "Confirm your address");
        let text = letter(&stage, PROOF, person.email());
        browser.fill("#code", "0000-0000-00000");
        browser.click(CONFIRM);
        assert!(browser.text("#problem").contains("not right"), "{}", browser.text("main"));
        assert!(!browser.source().contains("0000-0000"), "what was typed is not shown again");
        match scripts {
            // The link does the same, and its secret goes out of the address.
            true => {
                browser.open(&stage.at("/account"));
                browser.open(&link(&text));
                wait::until(Duration::from_secs(5), "the script", || !browser.url().contains('#'));
                browser.click(CONFIRM);
            }
            false => {
                browser.fill("#code", &code(&text).to_lowercase().replace('-', " "));
                browser.click(CONFIRM);
            }
        }
        assert!(
            browser.text("main").contains("Your address is confirmed"),
            "{}",
            browser.text("main")
        );
        assert!(told(&stage, browser, &client).iter().all(|(_, verified)| *verified == true));
        // Another one counts once its code came back, and not before.
        let new = format!("ada.new.{scripts}@example.com");
        browser.open(&stage.at("/account/email"));
        browser.fill("#email", &new);
        browser.click(ASK_OTHER);
        assert_eq!(browser.text("h1"), "Confirm your address", "{}", browser.text("main"));
        let text = letter(&stage, PROOF, &new);
        for (email, _) in told(&stage, browser, &client) {
            assert_eq!(email, person.email());
        }
        browser.open(&stage.at("/account/email/code"));
        browser.fill("#code", &code(&text));
        browser.click(CONFIRM);
        assert!(browser.text("main").contains(&new), "{}", browser.text("main"));
        for (email, verified) in told(&stage, browser, &client) {
            assert_eq!((email, verified), (new.clone().into(), true.into()));
        }
        // The old address is told; the new one signs in, and the old one does not.
        let text = letter(&stage, "methods_changed", person.email());
        assert!(text.contains("was changed"), "{text}");
        forget(browser);
        stage.sign_in(browser, &stage.at("/account"), &person);
        assert!(
            browser.text("main").contains("do not belong together"),
            "{}",
            browser.text("main")
        );
        browser.fill("#email", &new);
        browser.fill("#password", person.password());
        browser.click("button");
        assert_eq!(browser.text("h1"), "Your account", "{}", browser.text("main"));
        quiet(browser);
    });
}

#[test]
fn attack_a_code_is_worth_nothing_elsewhere_or_twice_and_forms_are_ours() {
    let stage = Stage::start();
    let (ada, eve) = (Person::new(&stage.gate, "Ada"), Person::new(&stage.gate, "Eve"));
    let (browser, thief) = (WebDriver::start(), WebDriver::start());
    stage.sign_in(&browser, &stage.at("/account/email"), &ada);
    stage.sign_in(&thief, &stage.at("/account/email"), &eve);
    // Eve names Ada's address: the same page, no letter, and no word of whose it is.
    thief.fill("#email", ada.email());
    thief.click(ASK_OTHER);
    assert_eq!(thief.text("h1"), "Confirm your address");
    assert!(thief.text("[role=status]").contains("on its way"), "{}", thief.text("main"));
    let of_taken = thief.text("main").replace(eve.email(), "");
    thief.open(&stage.at("/account/email"));
    thief.fill("#email", "nobody@example.com");
    thief.click(ASK_OTHER);
    assert_eq!(thief.text("main").replace(eve.email(), ""), of_taken);
    letter(&stage, PROOF, "nobody@example.com");
    assert!(letters(&stage, PROOF, ada.email()).is_empty(), "nobody could use it");
    browser.click(ASK_OWN);
    let text = letter(&stage, PROOF, ada.email());
    // Eve has read Ada's letter.
    thief.open(&stage.at("/account"));
    thief.open(&link(&text));
    thief.click(CONFIRM);
    assert!(thief.text("#problem").contains("another session"), "{}", thief.text("main"));
    browser.fill("#code", &code(&text));
    browser.click(CONFIRM);
    assert!(browser.text("main").contains("confirmed"));
    browser.open(&stage.at("/account/email/code"));
    browser.fill("#code", &code(&text));
    browser.click(CONFIRM);
    assert!(browser.text("#problem").contains("was used"), "{}", browser.text("main"));
    assert!(!stage.gate.log().contains(&code(&text)));
    // A form of another site is none.
    let kind = ("content-type", "application/x-www-form-urlencoded");
    for path in ["/account/email/ask", "/account/email/code"] {
        let body = encode(&[("email", "x@example.com"), ("code", "x")]);
        let forged = request("POST", &stage.at(path), &[kind], body.as_bytes());
        assert_eq!(forged.status, 403, "{path}");
    }
    let events = stage.gate.done(&["audit", "tail", "-n", "200"]).to_string();
    assert!(events.contains("the address was proved"), "{events}");
    assert!(!events.contains(&code(&text)) && !events.contains(ada.email()), "{events}");
}

/// The pages, for whoever looks at all of them.
pub(crate) fn tour(stage: &Stage, browser: &WebDriver, at: &mut Look<'_>) {
    forget(browser);
    let person = Person::new(&stage.gate, "Ada Lovelace");
    stage.sign_in(browser, &stage.at("/account/email"), &person);
    at("email", "Your e-mail address", &[1280, 360]);
    browser.fill("#email", person.email());
    browser.click(ASK_OTHER);
    at("email-code", "Confirm your address", &[360]);
    browser.fill("#code", "0000");
    browser.click(CONFIRM);
    at("email-code-wrong", "Confirm your address", &[]);
}
