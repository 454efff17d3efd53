//! The administration of people: rules of signing in, and what administrators do to accounts.

use crate::setup::{Home, ROUTE, person};
use testkit::{Arrival, Browser, Gate, Landing};

#[test]
fn a_rule_for_a_group_leads_a_person_without_a_second_factor_to_the_page_to_add_one() {
    let rule = "[[sign_in]]\nname = \"operators\"\ngroups = [\"ops\"]\nacr = \"aal2\"\n";
    let gate = Gate::start(&format!("{ROUTE}{rule}"));
    let lands = |name: &str, group: &str| {
        let (mut asking, prompt) = Home::new().ask(&gate.control());
        let page = prompt["verification_uri_complete"].as_str().expect("an address");
        let arrival = person(&gate, name, &[group]).go(page);
        asking.kill().and_then(|()| asking.wait()).expect("it ends");
        let Arrival::Page(page) = arrival else { panic!("it leads elsewhere") };
        assert_eq!(page.response.status, 200, "{}", page.response.text());
        page.title()
    };
    assert_eq!(lands("Ada", "ops"), "How you sign in");
    // Who is not of the group is asked for nothing more.
    assert_eq!(lands("Eve", "sales"), "Connected");
}

#[test]
fn a_person_who_has_lost_everything_begins_anew() {
    let gate = Gate::start(ROUTE);
    let mut ada = person(&gate, "Ada", &["ops"]);
    let methods = gate.control() + "/account/methods";
    assert!(matches!(ada.go(&methods), Arrival::Page(page) if page.title() == "How you sign in"));
    let shown = gate.done(&["user", "show", ada.id()]);
    let kinds: Vec<_> = shown["authenticators"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|it| it["kind"].as_str().expect("a word").to_owned())
        .collect();
    assert!(kinds.contains(&"device".to_owned()), "{shown}");
    assert!(!shown.to_string().contains("sealed"), "{shown}");
    let done = gate.done(&["user", "reset-factors", ada.id()]);
    assert_eq!(done["user"]["has_password"], false);
    let link = done["setup_url"].as_str().expect("a link").to_owned();
    let again = gate.done(&["user", "show", ada.id()]);
    assert_eq!(again["authenticators"], serde_json::json!([]));
    // Nothing of before lets in: neither the session nor the password.
    let Arrival::Page(page) = ada.go(&methods) else { panic!("it leads elsewhere") };
    assert_eq!((page.response.status, &*page.title()), (401, "Sign in"));
    // The person is told, and the link of the invitation is the one that is mailed.
    let mails = gate.done(&["mail", "list"]).to_string();
    assert!(mails.contains("methods_changed"), "{mails}");
    set_password(&gate, &link);
    assert!(matches!(ada.go(&methods), Arrival::Page(page) if page.title() == "How you sign in"));
    assert_eq!(gate.done(&["user", "end-sessions", ada.id()])["ended"], 1);
    let said = gate.done(&["audit", "tail", "-n", "200"]).to_string();
    assert!(said.contains("authenticator.removed"), "{said}");
}

fn set_password(gate: &Gate, link: &str) {
    let (page, secret) = link.split_once('#').expect("a secret behind #");
    let mut browser = Browser::new(&gate.control());
    let Landing::Page(page) = browser.open(page) else { panic!("it leads elsewhere") };
    let form = page.form().expect("a form").with("code", secret);
    let form = form.with("password", "correct horse battery staple");
    let Landing::Page(done) = browser.send(&page, &form) else { panic!("it leads elsewhere") };
    assert_eq!(done.response.status, 200, "{}", done.response.text());
}

#[test]
fn the_glass_is_broken_on_the_machine_itself_only() {
    let gate = Gate::start(ROUTE);
    let mut root = person(&gate, "Root", &["administrator"]);
    let home = Home::new();
    home.login(&gate.control(), &mut root);
    let url = gate.control();
    let refused = home.run(&["user", "reset-factors", root.id(), "--break-glass", "--url", &url]);
    assert_eq!(refused.code, 1, "{refused:?}");
    assert!(refused.stderr.contains("api.local"), "{refused:?}");
    // The only administrator is shut out of everything.
    gate.done(&["user", "disable", root.id()]);
    let done = gate.done(&["user", "reset-factors", root.id(), "--break-glass"]);
    assert_eq!(done["user"]["disabled_at"], serde_json::Value::Null);
    set_password(&gate, done["setup_url"].as_str().expect("a link"));
    home.login(&gate.control(), &mut root);
    let users = home.done(&["user", "list", "--url", &url]);
    assert_eq!(users.as_array().map(Vec::len), Some(1));
    let said = gate.done(&["audit", "tail", "-n", "200"]).to_string();
    assert!(said.contains("break_glass"), "{said}");
}

#[test]
fn an_invitation_is_mailed_unless_it_shall_not_be() {
    let gate = Gate::start(ROUTE);
    let ann = gate.done(&["user", "create", "--email", "ann@example.com"]);
    assert_eq!(ann["mailed"], true);
    let bob = gate.done(&["user", "create", "--email", "bob@example.com", "--no-mail"]);
    assert_eq!(bob["mailed"], false);
    let mails = gate.done(&["mail", "list"]).to_string();
    assert!(mails.contains("ann@example.com") && !mails.contains("bob@example.com"), "{mails}");
    let invited = gate.done(&["user", "invite", bob["id"].as_str().expect("an id")]);
    assert_eq!(invited["mailed"], true);
    assert_ne!(invited["setup_url"], bob["setup_url"]);
    set_password(&gate, invited["setup_url"].as_str().expect("a link"));
}

#[test]
fn groups_are_made_shown_and_removed() {
    let gate = Gate::start(ROUTE);
    let made = gate.done(&["group", "create", "ops", "--scope", "orders:write"]);
    assert_eq!(made["scopes"], serde_json::json!(["orders:write"]));
    gate.done(&[
        "group",
        "create",
        "sales",
        "--scope",
        "orders:write",
        "--description",
        "They sell",
    ]);
    let names = gate.done(&["group", "list"]);
    assert_eq!((&names[0]["name"], &names[1]["name"]), (&"ops".into(), &"sales".into()));
    assert_eq!(gate.done(&["group", "show", "sales"])["description"], "They sell");
    assert_eq!(gate.done(&["group", "remove", "ops"])["opened"], serde_json::json!([]));
    let last = gate.done(&["group", "remove", "sales"]);
    assert_eq!(last["opened"], serde_json::json!(["orders:write"]));
    assert_eq!(gate.done(&["group", "list"]), serde_json::json!([]));
    assert_eq!(gate.cli(&["group", "show", "sales"]).code, 1);
    assert_eq!(gate.cli(&["group", "create", "x", "--scope", "admin:write"]).code, 1);
}
