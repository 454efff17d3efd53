//! Signing in with another provider (npm `oidc-provider`) in a real browser: with scripts and without.

use crate::stage::*;
use testkit::{Node, Person, WebDriver, request};

/// A provider, and the section that names it.
pub(crate) fn provider() -> (Node, String) {
    let provider = Node::start("provider.mjs", &[]);
    let section = format!(
        "[[provider]]\nname = \"corp\"\ndisplay_name = \"Example Corp\"\nissuer = \"{}\"\n\
         client_id = \"us\"\nclient_secret = \"shared\"\ncreate = [\"example.com\"]\n",
        provider.url()
    );
    (provider, section)
}

/// Tells the provider where people of the stage come back to.
pub(crate) fn introduce(stage: &Stage, provider: &Node) {
    let back = stage.at("/login/callback/corp");
    let url = provider.url() + "/test/redirect";
    assert_eq!(request("POST", &url, &[], back.as_bytes()).status, 200);
}

fn stage() -> (Stage, Node) {
    let (provider, section) = provider();
    let stage = Stage::start_with(&section);
    introduce(&stage, &provider);
    (stage, provider)
}

/// Signs in on the provider's own pages.
pub(crate) fn at_provider(browser: &WebDriver, provider: &Node, name: &str) {
    assert!(browser.url().starts_with(&provider.url()), "{}", browser.url());
    browser.fill("input[name=login]", name);
    browser.fill("input[name=password]", "anything");
    browser.click("button[type=submit]");
    // Consent.
    browser.click("button[type=submit]");
}

#[test]
fn people_go_there_and_come_back_to_where_they_were_going() {
    let (stage, provider) = stage();
    let client = stage.client("Orders dashboard");
    either_way(|browser, scripts| {
        let name = if scripts { "ada" } else { "grace" };
        browser.open(&stage.authorize(&client, &[]));
        assert!(browser.text("main").contains("Continue with Example Corp"));
        quiet(browser);
        browser.click("a[href^='/login/with']");
        at_provider(browser, &provider, name);
        assert!(
            browser.text("main").contains(&format!("{name}@example.com")),
            "{}",
            browser.text("main")
        );
        browser.click("button[value=allow]");
        assert_eq!(browser.text("h1"), "Back at the shop", "{}", browser.url());
        // On one's own page it stands, and the only way in cannot be taken away.
        browser.open(&stage.at("/account/methods"));
        assert!(browser.text("main").contains("Accounts elsewhere"), "{}", browser.text("main"));
        browser.click("form[action='/account/methods/remove'] button");
        assert!(browser.text("main").contains("only way"), "{}", browser.text("main"));
    });
}

#[test]
fn an_account_is_linked_and_unlinked() {
    let (stage, provider) = stage();
    either_way(|browser, _| {
        let person = Person::new(&stage.gate, "Bert");
        let name = person.email().split('@').next().expect("a name").to_owned();
        stage.sign_in(browser, &stage.at("/login?next=/account/methods"), &person);
        browser.click("a[href^='/account/methods/link']");
        at_provider(browser, &provider, &name);
        assert_eq!(browser.text("h1"), "Your account is linked", "{}", browser.text("main"));
        browser.click("a.button");
        assert!(browser.text("main").contains(&format!("Example Corp ({name}@example.com)")));
        browser.click("form[action='/account/methods/remove'] button");
        assert!(!browser.text("main").contains("linked 20"), "{}", browser.text("main"));
    });
}
