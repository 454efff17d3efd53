//! A browser of somebody else's that has no scripts, no styles and no idea of policies: forms, cookies and redirects.

use crate::stage::*;
use serde_json::json;
use testkit::{Person, converse_python, parameter};

#[test]
fn forms_cookies_and_redirects_are_enough() {
    let stage = Stage::start();
    let client = stage.client("Orders dashboard");
    let script = testkit::workspace().join("crates/portcullis/tests/pages/plain.py");
    for (answer, mode) in [("Allow", "query"), ("Refuse", "query"), ("Allow", "form_post")] {
        let person = Person::new(&stage.gate, "Ada Lovelace");
        let posted = mode == "form_post";
        let facts = json!({
            "url": stage.authorize(&client, &[("response_mode", mode)]),
            "email": person.email(),
            "password": person.password(),
            "answer": answer,
            "posted": posted,
        });
        let result = converse_python(&script, &facts, |question| panic!("{question} is asked"));
        let mut expect = vec![
            format!("Sign in · {BRAND}"),
            format!("Please check: Sign in · {BRAND}"),
            format!("Allow Orders dashboard? · {BRAND}"),
        ];
        if posted {
            expect.push(format!("One moment · {BRAND}"));
        }
        expect.push("Shop".to_owned());
        assert_eq!(result["seen"], json!(expect), "{answer}, {mode}: {result}");
        let url = result["url"].as_str().expect("an address");
        assert!(url.starts_with(&stage.callback()), "{answer}, {mode}: {url}");
        let sent = match posted {
            true => format!("?{}", String::from_utf8_lossy(&stage.application.last().body.kept)),
            false => url.to_owned(),
        };
        assert_eq!(parameter(&sent, "code").is_some(), answer == "Allow", "{sent}");
        assert_eq!(parameter(&sent, "error").is_some(), answer == "Refuse", "{sent}");
    }
}
