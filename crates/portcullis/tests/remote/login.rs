//! `portcullis login` and `--url`.

use crate::setup::{Home, ROUTE, person};
use serde_json::Value;
use std::time::Duration;
use testkit::{Authority, Gate};

/// The code of a refusal on standard error.
fn code(stderr: &str) -> String {
    let error: Value = serde_json::from_str(stderr).unwrap_or_else(|_| panic!("{stderr}"));
    error["code"].as_str().expect("a code").to_owned()
}

#[test]
fn an_auditor_reads_from_elsewhere_until_the_role_is_gone() {
    let gate = Gate::start(ROUTE);
    let url = gate.control();
    let home = Home::new();
    let refused = home.run(&["key", "list", "--url", &url]);
    assert_eq!((refused.code, code(&refused.stderr).as_str()), (1, "not_signed_in"));
    let mut ada = person(&gate, "Ada", &["auditor"]);
    let said = home.login(&url, &mut ada);
    assert_eq!((&said["url"], &said["scope"]), (&url.as_str().into(), &"admin:read".into()));
    assert_eq!(home.mode(), 0o600);
    assert_eq!(home.done(&["key", "list", "--url", &url]), serde_json::json!([]));
    let refused = home.run(&["key", "create", "--name", "x", "--scope", "a", "--url", &url]);
    assert_eq!((refused.code, code(&refused.stderr).as_str()), (1, "scope.missing"));
    // Another name of the same place is another place.
    let other = url.replace("localhost", "127.0.0.1");
    let refused = home.run(&["key", "list", "--url", &other]);
    assert_eq!(code(&refused.stderr), "not_signed_in");
    let refused = home.run(&["login", "--url", &other]);
    assert_eq!(refused.code, 2);
    assert!(refused.stderr.contains(&format!("use --url {url}")), "{}", refused.stderr);
    gate.done(&["user", "roles", ada.id()]);
    let refused = home.run(&["key", "list", "--url", &url]);
    assert_eq!((refused.code, code(&refused.stderr).as_str()), (1, "not_signed_in"));
}

#[test]
fn an_administrator_acts_under_their_own_name_and_signs_out() {
    let gate = Gate::start(ROUTE);
    let url = gate.control();
    let (home, mut ada) = (Home::new(), person(&gate, "Ada", &["administrator"]));
    let said = home.login(&url, &mut ada);
    assert_eq!(said["scope"], "admin:operate admin:read admin:write");
    let key = home.done(&["key", "create", "--name", "ci", "--scope", "a", "--url", &url]);
    let sql = "SELECT * FROM events WHERE code = 'key.created'";
    let events = home.done(&["audit", "query", sql, "--url", &url]);
    assert_eq!(events[0]["principal"], ada.id());
    assert_eq!(
        (&events[0]["scheme"], &events[0]["client_ip"]),
        (&"jwt".into(), &"127.0.0.1".into())
    );
    assert_eq!(events[0]["credential_id"], key["id"]);
    // An access token that is about to end is exchanged.
    let text = std::fs::read_to_string(home.credentials()).expect("the file");
    let mut kept: Value = serde_json::from_str(&text).expect("JSON");
    let before = kept[&url]["refresh_token"].clone();
    kept[&url]["expires_at"] = 0.into();
    std::fs::write(home.credentials(), kept.to_string()).expect("it is written");
    home.done(&["key", "list", "--url", &url]);
    let text = std::fs::read_to_string(home.credentials()).expect("the file");
    let after: Value = serde_json::from_str(&text).expect("JSON");
    assert_ne!(after[&url]["refresh_token"], before);
    assert_eq!(home.mode(), 0o600);
    home.done(&["login", "--forget", "--url", &url]);
    let refused = home.run(&["key", "list", "--url", &url]);
    assert_eq!(code(&refused.stderr), "not_signed_in");
    // What was kept is dead at the gate, too.
    std::fs::write(home.credentials(), after.to_string()).expect("it is written");
    let refused = home.run(&["key", "list", "--url", &url]);
    assert_eq!(code(&refused.stderr), "not_signed_in", "{refused:?}");
}

#[test]
fn over_tls_with_an_address_of_its_own() {
    let folder = tempfile::tempdir().expect("a folder");
    let (cert, key) = Authority::new().write(folder.path(), "control", &["localhost"]);
    let admin = testkit::free_port();
    let builder = Gate::builder();
    let control = builder.control_port();
    let text = format!(
        "version = 1\n[server]\ncontrol = \"127.0.0.1:@control@\"\nadmin = \"127.0.0.1:{admin}\"\n\
         tls = {{ cert = {cert:?}, key = {key:?} }}\n[[listener]]\nname = \"api\"\n\
         bind = \"127.0.0.1:@gateway@\"\n{ROUTE}"
    );
    let gate = builder.whole(&text).start();
    assert_eq!(gate.control(), format!("https://localhost:{control}"));
    let own = format!("https://localhost:{admin}");
    assert_eq!(gate.ready()["admin"], own.as_str());
    let home = Home::new().trusting(folder.path().join("ca.pem"));
    let (mut child, prompt) = home.ask(&own);
    let page = prompt["verification_uri"].as_str().expect("an address");
    assert_eq!(page, format!("https://localhost:{control}/device"), "the authority is apart");
    child.kill().expect("it runs");
    child.wait().expect("it has ended");
    // The API is not at the authority's address.
    let refused = home.run(&["login", "--url", &gate.control()]);
    assert_eq!(refused.code, 1, "{refused:?}");
    assert!(refused.stderr.contains("404"), "{refused:?}");
    // Whom this machine does not trust gets nothing.
    let refused = Home::new().run(&["login", "--url", &own]);
    assert_eq!(refused.code, 1, "{refused:?}");
    // Another certificate is taken up while the gate runs.
    let next = tempfile::tempdir().expect("a folder");
    let (fresh_cert, fresh_key) = Authority::new().write(next.path(), "control", &["localhost"]);
    for (from, to) in [(fresh_key, key), (fresh_cert, cert)] {
        std::fs::rename(from, to).expect("it is replaced");
    }
    let home = Home::new().trusting(next.path().join("ca.pem"));
    testkit::wait::until(Duration::from_secs(10), "the new certificate", || {
        // The authority is not at the administrators' address, and says so: TLS is fine.
        home.run(&["login", "--url", &gate.control()]).stderr.contains("404")
    });
}
