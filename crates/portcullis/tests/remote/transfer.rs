//! People who come with hashes that other programs made, sign in, and go on to another gate.

use crate::setup::{Home, ROUTE, person};
use serde_json::{Value, json};
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;
use testkit::{Browser, Gate, Landing, Output, Page};

/// The password under every hash below.
const PASSWORD: &str = "four quiet words at dawn";
/// Who made them: PyPI's bcrypt 5.0.0 (`hashpw`, 10 rounds), Python 3.11's `hashlib.pbkdf2_hmac` with 600,000 rounds in Django's
/// form, PyPI's passlib 1.7.4 (`pbkdf2_sha256`), Python's `hashlib.scrypt` (N 2^15) in the PHC form, and PyPI's argon2-cffi
/// 25.1.0 as it comes.
const HASHES: [(&str, &str); 5] = [
    ("bcrypt", "$2b$10$UozCshdVltX4X4D0EpWwf.yrUp3ZY.RObG3QGZrnAfObE7YycUxj6"),
    (
        "django",
        "pbkdf2_sha256$600000$5tiIGZZ0cH0keQNT$fhAvcPt/s07sdJm2Ykb3NQCWIuioaNdT2YWtE3we7s4=",
    ),
    (
        "passlib",
        "$pbkdf2-sha256$29000$MCbkfO99b21NibE2JmQshQ$RDftUKc7JM7nk5ktGyt5G2uPgUU42o5f0/A9DK1TTqE",
    ),
    (
        "scrypt",
        "$scrypt$ln=15,r=8,p=1$8+pPxxm2HeRJH683Ir2Rgg$UjQKbsJ9Lgt0rBG7BYmtGRIkPgCVdrw0WUg0LttPOTI",
    ),
    (
        "argon2",
        "$argon2id$v=19$m=65536,t=3,p=4$OxMX6X2DR6f1PBl6rzrjlw$6RolYeINDDLjIaN5VhHE25CO6bKpaBNAaw3dyxKYZq4",
    ),
];

fn address(name: &str) -> String {
    format!("{name}@example.com")
}

/// A file with these lines.
fn file(gate: &Gate, name: &str, lines: &[String]) -> PathBuf {
    let path = gate.folder().join(name);
    std::fs::write(&path, lines.join("\n")).expect("the file is written");
    path
}

fn line(name: &str, more: Value) -> String {
    let mut line = json!({ "email": address(name), "name": name });
    let (Value::Object(line), Value::Object(more)) = (&mut line, more) else { panic!("objects") };
    line.extend(more);
    Value::Object(line.clone()).to_string()
}

/// The title of the page to which signing in leads.
fn sign_in(gate: &Gate, email: &str, password: &str) -> String {
    sign_in_with(&mut Browser::new(&gate.control()), gate, email, password).title()
}

fn sign_in_with(browser: &mut Browser, gate: &Gate, email: &str, password: &str) -> Page {
    let Landing::Page(asked) = browser.open(&(gate.control() + "/account/methods")) else {
        panic!("it leads elsewhere")
    };
    let form = asked.form().expect("a form").with("email", email).with("password", password);
    let Landing::Page(page) = browser.send(&asked, &form) else { panic!("it leads elsewhere") };
    page
}

/// The lines of an export.
fn exported(output: &Output) -> Vec<Value> {
    assert_eq!(output.code, 0, "{output:?}");
    output.stdout.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

fn hash_of(people: &[Value], email: &str) -> String {
    let found = people.iter().find(|it| it["email"] == email).expect("a line");
    found["password_hash"].as_str().unwrap_or_default().to_owned()
}

fn events(gate: &Gate, code: &str) -> Vec<Value> {
    let sql = format!("SELECT * FROM events WHERE code = '{code}' ORDER BY time");
    gate.done(&["audit", "query", &sql]).as_array().cloned().unwrap_or_default()
}

#[test]
fn people_come_with_hashes_of_other_programs_sign_in_and_go_on_to_another_gate() {
    let gate = Gate::start(ROUTE);
    let url = gate.control();
    let mut root = person(&gate, "Root", &["administrator"]);
    let home = Home::new();
    home.login(&url, &mut root);
    let mut lines: Vec<String> = HASHES
        .iter()
        .map(|(name, hash)| line(name, json!({ "password_hash": hash, "groups": ["sales"] })))
        .collect();
    lines.push(line("closed", json!({ "password_hash": HASHES[0].1, "disabled": true })));
    lines.push(line("guest", json!({})));
    let path = file(&gate, "people.jsonl", &lines);
    let path = path.to_str().expect("a path");
    // Looking changes nothing.
    let would = home.done(&["user", "import", path, "--dry-run", "--url", &url]);
    assert_eq!((&would["created"], &would["dry_run"]), (&json!(7), &json!(true)), "{would}");
    assert_eq!(gate.done(&["user", "list"]).as_array().map(Vec::len), Some(1));
    let done = home.done(&["user", "import", path, "--url", &url]);
    assert_eq!((&done["created"], &done["refused"]), (&json!(7), &json!(0)), "{done}");
    // Once more is no more.
    let again = home.done(&["user", "import", path, "--url", &url]);
    assert_eq!((&again["created"], &again["unchanged"]), (&json!(0), &json!(7)), "{again}");
    // One event a person, by who did it, without a hash.
    let made = events(&gate, "user.created");
    let imported: Vec<&Value> = made
        .iter()
        .filter(|it| it["detail"].as_str().is_some_and(|it| it.starts_with("imported")))
        .collect();
    assert_eq!(imported.len(), 7, "{made:?}");
    assert!(imported.iter().all(|it| it["principal"] == root.id()), "{imported:?}");
    assert!(!json!(made).to_string().contains("$2b$"), "{made:?}");
    for (name, _) in HASHES {
        assert_eq!(sign_in(&gate, &address(name), "four quiet words at dusk"), "Sign in", "{name}");
        assert_eq!(sign_in(&gate, &address(name), PASSWORD), "How you sign in", "{name}");
    }
    assert_eq!(sign_in(&gate, &address("closed"), PASSWORD), "Sign in");
    // No secret goes out unless it is asked for, and then it is recorded.
    let plain = home.run(&["user", "export", "--url", &url]);
    assert_eq!(exported(&plain).len(), 8);
    assert!(!plain.stdout.contains("password") && !plain.stdout.contains('$'), "{plain:?}");
    let full = home.run(&["user", "export", "--with-hashes", "--url", &url]);
    let people = exported(&full);
    for (name, hash) in HASHES {
        let now = hash_of(&people, &address(name));
        assert!(now.starts_with("$argon2id$v=19$m=19456,t=2,p=1$") && now != hash, "{now}");
    }
    assert_eq!(hash_of(&people, &address("closed")), HASHES[0].1, "nobody has typed it");
    let records = events(&gate, "user.exported");
    let said: Vec<&str> = records.iter().filter_map(|it| it["detail"].as_str()).collect();
    assert_eq!(said.len(), 2, "{records:?}");
    assert!(
        said[0].ends_with("without password hashes") && said[1].ends_with("with password hashes")
    );
    assert!(records.iter().all(|it| it["principal"] == root.id()), "{records:?}");
    on_another_gate(&gate, root.id());
}

/// From one gate's export to the next one's import.
fn on_another_gate(gate: &Gate, root: &str) {
    let out = gate.folder().join("out.jsonl");
    let out = out.to_str().expect("a path");
    let told = gate.done(&["user", "export", "--with-hashes", "--out", out]);
    assert_eq!(told["exported"], 8);
    assert_eq!(std::fs::metadata(out).expect("the file").mode() & 0o777, 0o600);
    assert_eq!(gate.cli(&["user", "export", "--out", out]).code, 2, "it is there already");
    let next = Gate::start(ROUTE);
    // Roles of this gate come only where that is said.
    let wrong = next.cli(&["user", "import", out, "--all-or-nothing"]);
    assert_eq!(wrong.code, 1, "{wrong:?}");
    let told = wrong.json();
    assert_eq!(told["errors"][0]["field"], "groups", "{told}");
    assert!(told["errors"][0]["problem"].to_string().contains("--with-roles"), "{told}");
    assert_eq!(next.done(&["user", "list"]), json!([]));
    let done = next.done(&["user", "import", out, "--all-or-nothing", "--with-roles"]);
    assert_eq!(done["created"], 8, "{done}");
    for (name, _) in HASHES {
        assert_eq!(sign_in(&next, &address(name), PASSWORD), "How you sign in", "{name}");
    }
    assert_eq!(sign_in(&next, &address("closed"), PASSWORD), "Sign in");
    let shown = next.done(&["user", "show", root]);
    assert_eq!(shown["roles"], json!(["administrator"]), "{shown}");
    let same = next.done(&["user", "import", out, "--with-roles"]);
    assert_eq!(same["unchanged"], 8, "{same}");
}

#[test]
fn each_bad_line_is_named_and_harms_no_other() {
    let gate = Gate::start(ROUTE);
    gate.done(&["user", "create", "--email", "there@example.com", "--name", "There"]);
    let bomb = "$argon2id$v=19$m=4194304,t=50,p=8$OxMX6X2DR6f1PBl6rzrjlw$6RolYeINDDLjIaN5VhHE25CO6bKpaBNAaw3dyxKYZq4";
    let lines = vec![
        line("good", json!({ "password_hash": HASHES[0].1 })),
        String::new(),
        "{\"email\": \"a@example.com\", ".to_owned(),
        line("bomb", json!({ "password_hash": bomb })),
        line("md5", json!({ "password_hash": "5f4dcc3b5aa765d61d8327deb882cf99" })),
        line("typo", json!({ "passwordHash": HASHES[0].1 })),
        line("role", json!({ "groups": ["sales", "Administrator"] })),
        json!({ "email": "nobody", "name": "x" }).to_string(),
        line("good", json!({ "name": "Again" })),
        line("long", json!({ "name": "x".repeat(17_000) })),
        line("there", json!({ "name": "Another", "groups": ["ops"] })),
        line(
            "totp",
            json!({ "totp": [{ "secret": "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ", "digits": 8 }] }),
        ),
        "[1]".to_owned(),
        line("last", json!({ "password_hash": HASHES[2].1 })),
    ];
    let path = file(&gate, "bad.jsonl", &lines);
    let path = path.to_str().expect("a path");
    let before = gate.done(&["user", "list"]);
    let strict = gate.cli(&["user", "import", path, "--all-or-nothing"]);
    assert_eq!(strict.code, 1, "{strict:?}");
    assert_eq!(strict.json()["created"], 2, "what would be");
    assert_eq!(gate.done(&["user", "list"]), before);
    let output = gate.cli(&["user", "import", path]);
    assert_eq!(output.code, 1, "{output:?}");
    let told = output.json();
    let errors: Vec<(u64, &str)> = told["errors"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|it| (it["line"].as_u64().expect("a number"), it["field"].as_str().expect("a word")))
        .collect();
    let expect = [
        (3, "line"),
        (4, "password_hash"),
        (5, "password_hash"),
        (6, "line"),
        (7, "groups"),
        (8, "email"),
        (9, "email"),
        (10, "line"),
        (12, "totp"),
        (13, "line"),
    ];
    assert_eq!(errors, expect, "{told}");
    assert_eq!((&told["created"], &told["kept"]), (&json!(2), &json!(1)), "{told}");
    assert_eq!(told["differing"][0]["differs"], json!(["name", "groups"]), "{told}");
    for secret in ["4194304", "5f4dcc3b", HASHES[0].1, "GEZDGNBV"] {
        assert!(!output.stdout.contains(secret) && !output.stderr.contains(secret), "{output:?}");
        assert!(!gate.log().contains(secret));
    }
    assert_eq!(sign_in(&gate, &address("last"), PASSWORD), "How you sign in");
    a_line_changes_what_is_there(&gate, path);
}

fn a_line_changes_what_is_there(gate: &Gate, path: &str) {
    // What is there is changed where that is asked for, and ends what was issued.
    let there = || {
        let all = gate.done(&["user", "list"]);
        let found =
            all.as_array().expect("rows").iter().find(|it| it["email"] == "there@example.com");
        found.expect("the account").clone()
    };
    assert_eq!(there()["name"], "There");
    let changed = gate.cli(&["user", "import", path, "--update"]);
    assert_eq!(changed.json()["changed"], 1, "{changed:?}");
    assert_eq!((&there()["name"], &there()["roles"]), (&json!("Another"), &json!(["ops"])));
}

#[test]
fn a_file_of_last_week_opens_no_account_and_brings_no_old_password_back() {
    let gate = Gate::start(ROUTE);
    let mut ada = person(&gate, "Ada", &["administrator"]);
    let eve = person(&gate, "Eve", &["sales"]);
    gate.done(&["user", "disable", eve.id()]);
    let lines = [
        json!({ "email": ada.email(), "groups": [], "password_hash": HASHES[0].1, "disabled": true }).to_string(),
        json!({ "email": eve.email(), "groups": ["sales"], "disabled": false }).to_string(),
    ];
    let path = file(&gate, "old.jsonl", &lines);
    let path = path.to_str().expect("a path");
    let output = gate.cli(&["user", "import", path, "--update"]);
    let told = output.json();
    assert_eq!((&told["refused"], &told["kept"]), (&json!(1), &json!(1)), "{told}");
    assert_eq!(told["differing"][0]["differs"], json!(["disabled"]), "{told}");
    assert!(gate.done(&["user", "show", eve.id()])["disabled_at"].is_string());
    // The administrator stays one, open, and with their own password.
    assert_eq!(gate.done(&["user", "show", ada.id()])["roles"], json!(["administrator"]));
    assert_eq!(sign_in(&gate, ada.email(), PASSWORD), "Sign in");
    Home::new().login(&gate.control(), &mut ada);
}

#[test]
fn a_second_factor_comes_along_and_is_asked_for() {
    let gate = Gate::start(ROUTE);
    let secret = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";
    let app = json!([{ "secret": secret, "name": "Phone" }]);
    let lines = [
        line("two", json!({ "password_hash": HASHES[0].1, "totp": app })),
        // Had two factors elsewhere, and the second did not come along.
        line("one", json!({ "password_hash": HASHES[0].1, "second_factor": true })),
        // Nobody else may have the same secret: a code would count twice.
        line("same", json!({ "password_hash": HASHES[0].1, "totp": app })),
    ];
    let path = file(&gate, "two.jsonl", &lines);
    let output = gate.cli(&["user", "import", path.to_str().expect("a path")]);
    let told = output.json();
    assert_eq!(
        (&told["created"], &told["errors"][0]["field"]),
        (&json!(2), &json!("totp")),
        "{told}"
    );
    let mut browser = Browser::new(&gate.control());
    let asked = sign_in_with(&mut browser, &gate, &address("two"), PASSWORD);
    let form = asked.form().expect("a form");
    assert_eq!(form.value("factor"), Some("totp"), "{}", asked.response.text());
    let code = oathtool(secret);
    let Landing::Page(page) = browser.send(&asked, &form.with("code", &code)) else {
        panic!("it leads elsewhere")
    };
    assert_eq!(page.title(), "How you sign in", "{}", page.response.text());
    assert!(page.response.text().contains("Phone"));
    // Must add one before anything else.
    let page = sign_in_with(&mut Browser::new(&gate.control()), &gate, &address("one"), PASSWORD);
    assert_eq!(page.title(), "How you sign in");
    assert!(page.response.text().contains("second"), "{}", page.response.text());
    let all = exported(&gate.cli(&["user", "export", "--with-hashes"]));
    let two = all.iter().find(|it| it["email"] == address("two")).expect("a line");
    assert_eq!(two["second_factor"], true, "{two}");
    assert!(two.get("totp").is_none() && !json!(all).to_string().contains(secret), "{all:?}");
}

fn oathtool(secret: &str) -> String {
    let output = Command::new("oathtool").args(["--totp", "--base32", secret]).output();
    let output = output.expect("oathtool is installed: cargo xtask test");
    String::from_utf8(output.stdout).expect("text").trim().to_owned()
}

#[test]
fn only_administrators_take_people_in_and_out() {
    let gate = Gate::start(ROUTE);
    let url = gate.control();
    for role in ["operator", "auditor"] {
        let mut them = person(&gate, role, &[role]);
        let home = Home::new();
        home.login(&url, &mut them);
        let path = file(&gate, "one.jsonl", &[line("one", json!({}))]);
        let path = path.to_str().expect("a path");
        for args in [
            vec!["user", "export", "--url", &url],
            vec!["user", "export", "--with-hashes", "--url", &url],
            vec!["user", "import", path, "--url", &url],
            vec!["user", "import", path, "--dry-run", "--url", &url],
        ] {
            let refused = home.run(&args);
            assert_eq!(refused.code, 1, "{args:?}: {refused:?}");
            assert!(!refused.stdout.contains('@'), "{refused:?}");
        }
    }
    assert!(events(&gate, "user.exported").is_empty());
}

#[test]
fn whoever_comes_without_a_password_is_invited_where_that_is_asked_for() {
    let gate = Gate::start(ROUTE);
    let lines = [line("new", json!({})), line("old", json!({ "password_hash": HASHES[0].1 }))];
    let text = lines.join("\r\n");
    let output = Home::new().run_with(&["user", "import", "-", "--invite"], gate.data(), &text);
    assert_eq!(output.code, 0, "{output:?}");
    assert_eq!(output.json()["not_mailed"], 0);
    let mails = || gate.done(&["mail", "list"]).to_string();
    testkit::wait::until(Duration::from_secs(10), "a letter", || {
        mails().contains("new@example.com")
    });
    assert!(!mails().contains("old@example.com"));
}
