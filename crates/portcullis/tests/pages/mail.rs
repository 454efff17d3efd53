//! The mail that a person gets when their ways to sign in change: over a real server (npm's smtp-server), and kept.

use crate::second::add_app;
use crate::stage::*;
use serde_json::{Value, json};
use std::path::Path;
use std::time::Duration;
use testkit::{Authority, Node, Person, WebDriver, wait};

/// How the subject of such a message begins.
const CHANGE: &str = "Your sign-in methods at ";

/// What a change of methods must say to `person`, and what it must not hold.
fn check(to: &str, subject: &str, text: &str, person: &Person) {
    assert_eq!(to, person.email());
    assert!(subject.starts_with(CHANGE), "{subject}");
    for part in
        ["An authenticator app, “My phone”, was added.", "From: 127.0.0.1", "If it was not you"]
    {
        assert!(text.contains(part), "{part:?} is not in {text}");
    }
}

fn received(folder: &Path, number: usize) -> Option<Value> {
    let text = std::fs::read(folder.join(format!("{number}.json"))).ok()?;
    serde_json::from_slice(&text).ok()
}

fn is_change(message: &Value) -> bool {
    message["subject"].as_str().is_some_and(|it| it.starts_with(CHANGE))
}

#[test]
fn a_change_of_methods_is_mailed() {
    let folder = tempfile::tempdir().expect("a folder");
    let (cert, key) = Authority::new().write(folder.path(), "mail", &["localhost"]);
    let asked = json!({
        "folder": folder.path(), "cert": cert, "key": key, "starttls": true,
        "user": "gate", "password": "hunter2",
    });
    let server = Node::start("smtp.mjs", &[&asked.to_string()]);
    let stage = Stage::start_with(&format!(
        "[mail]\nserver = \"smtp://127.0.0.1:{}\"\nfrom = \"Orders <no-reply@orders.example>\"\n\
         username = \"gate\"\npassword = \"hunter2\"\nca = {:?}\n",
        server.ready()["port"],
        folder.path().join("ca.pem")
    ));
    let browser = WebDriver::start();
    let person = Person::new(&stage.gate, "Ada Lovelace");
    stage.sign_in(&browser, &stage.at("/login"), &person);
    add_app(&stage, &browser);
    // The certificate is for another name than the address in the file: nothing may be sent, and the log says why.
    stage.gate.wait_for_log("TLS with the mail server failed", Duration::from_secs(20));
    assert!(received(folder.path(), 1).is_none());
    assert!(!stage.gate.log().contains(person.email()), "an address stands in the log");
    let listed = stage.gate.done(&["mail", "list"]);
    assert_eq!(listed, json!([]));
}

#[test]
fn a_change_of_methods_reaches_the_person() {
    let folder = tempfile::tempdir().expect("a folder");
    let (cert, key) = Authority::new().write(folder.path(), "mail", &["127.0.0.1"]);
    let asked = json!({
        "folder": folder.path(), "cert": cert, "key": key, "secure": true,
        "user": "gate", "password": "hunter2",
    });
    let server = Node::start("smtp.mjs", &[&asked.to_string()]);
    let stage = Stage::start_with(&format!(
        "[mail]\nserver = \"smtps://127.0.0.1:{}\"\nfrom = \"Orders <no-reply@orders.example>\"\n\
         username = \"gate\"\npassword = \"hunter2\"\nca = {:?}\n",
        server.ready()["port"],
        folder.path().join("ca.pem")
    ));
    let browser = WebDriver::start();
    let person = Person::new(&stage.gate, "Ada Lovelace");
    stage.sign_in(&browser, &stage.at("/login"), &person);
    add_app(&stage, &browser);
    // The invitation comes first, and other news may.
    let news = || (1..10).map_while(|number| received(folder.path(), number)).find(is_change);
    wait::until(Duration::from_secs(20), "the mail", || news().is_some());
    let seen = news().expect("a message");
    let text = |name: &str| seen[name].as_str().unwrap_or_default().to_owned();
    check(seen["to"][0].as_str().unwrap_or_default(), &text("subject"), &text("text"), &person);
    assert_eq!((seen["user"].as_str(), seen["secure"].as_bool()), (Some("gate"), Some(true)));
    assert!(!stage.gate.log().contains(person.email()), "an address stands in the log");
}

#[test]
fn without_a_server_an_administrator_reads_it() {
    let stage = Stage::start();
    let browser = WebDriver::start();
    let person = Person::new(&stage.gate, "Ada Lovelace");
    stage.sign_in(&browser, &stage.at("/login"), &person);
    add_app(&stage, &browser);
    let listed = stage.gate.done(&["mail", "list"]);
    let change = listed.as_array().into_iter().flatten().find(|it| is_change(it));
    let number = change.unwrap_or_else(|| panic!("{listed}"))["number"].to_string();
    assert!(listed[0].get("text").is_none(), "{listed}");
    let shown = stage.gate.done(&["mail", "show", &number]);
    let text = |name: &str| shown[name].as_str().unwrap_or_default().to_owned();
    check(&text("to"), &text("subject"), &text("text"), &person);
    // That it was shown stands in the ledger.
    wait::until(Duration::from_secs(10), "the record", || {
        let rows = stage.gate.done(&[
            "audit",
            "query",
            "SELECT principal FROM events WHERE code = 'mail.shown'",
        ]);
        rows.as_array().is_some_and(|rows| rows.len() == 1)
    });
    assert_eq!(stage.gate.cli(&["mail", "show", "99"]).code, 1);
}
