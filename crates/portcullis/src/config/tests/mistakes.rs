//! All mistakes at once.

use super::*;

const MISTAKES: &str = r#"version = 1
[server]
contrl = "127.0.0.1:8001"
role = "gate"
stale_limit = "soon"
[[listener]]
name = "api"
bind = "8000"
max_connections = "many"
proxies = { trusted = ["0.0.0.0/0"], header = "x-real-ip" }
[[issuer]]
name = "corp"
issuer = "https://login.corp.example"
algorithms = ["HS256"]
[[ip_list]]
name = "office"
allow = ["192.0.2.7/24"]
[[upstream]]
name = "orders"
servers = ["127.0.0.1:9000"]
retries = 99
[[route]]
name = "orders-read"
path = "orders/{**}"
methods = ["get"]
upstream = "order"
ip = ["offise"]
rate = { limit = 0, per = "1m" }
audit = "sometimes"
policy = ["x.cedar"]
[route.access]
any = [{ jwt = { issuer = "self" } }, { api_keys = {} }]
[[sink]]
name = "siem"
"#;

#[test]
fn twenty_mistakes_are_reported_together_with_their_lines() {
    let report = report(MISTAKES);
    assert!(report.config.is_none());
    let found: Vec<_> = report.problems.iter().map(|it| (it.line, it.code.as_str())).collect();
    assert_eq!(
        found,
        [
            (3, "unknown_key"),
            (4, "not_available"),
            (5, "value"),
            (8, "value"),
            (9, "type"),
            (10, "fail_open"),
            (10, "value"),
            (11, "fail_open"),
            (14, "fail_open"),
            (17, "value"),
            (20, "value"),
            (21, "value"),
            (24, "value"),
            (25, "value"),
            (26, "reference"),
            (27, "reference"),
            (28, "value"),
            (29, "value"),
            (30, "not_available"),
            (32, "no_scopes"),
            (32, "fail_open"),
            (32, "unknown_key"),
            (33, "not_available"),
        ],
        "{:#?}",
        report.problems
    );
    let shown: Vec<_> = report.problems.iter().filter(|it| it.hint.is_some()).collect();
    assert!(shown.len() >= 12);
}

#[test]
fn mistakes_of_syntax_do_not_hide_the_others() {
    let text = BASE
        .replace("bind = \"127.0.0.1:8000\"", "bind = = 1")
        .replace("\"office\"\n", "\"a b\"\n");
    let report = report(&text);
    let codes: Vec<_> = report.problems.iter().map(|it| (it.line, it.code.as_str())).collect();
    assert!(codes.contains(&(6, "syntax")), "{codes:?}");
    assert!(codes.contains(&(14, "value")), "{codes:?}");
}

#[test]
fn problems_are_bounded() {
    let text =
        format!("version = 1\n{}", (0..5000).map(|i| format!("k{i} = 1\n")).collect::<String>());
    let report = report(&text);
    assert_eq!(report.problems.len(), PROBLEMS);
}

#[test]
fn what_follows_from_a_mistake_of_syntax_is_left_out() {
    let lines = |text: &str| {
        let report = report(text);
        assert!(report.config.is_none());
        report.problems.iter().map(|it| (it.line, it.code.as_str())).collect::<Vec<_>>()
    };
    assert_eq!(lines("hello"), [(1, "syntax")]);
    assert_eq!(lines(&BASE.replace("name = \"api\"", "name = \"api")), [(5, "syntax")]);
    // An array without an end swallows what follows.
    assert_eq!(lines(&BASE.replace("9000\"]", "9000\"")), [(21, "syntax"), (27, "syntax")]);
    // A section without a name is missed by nobody while it cannot be read.
    assert_eq!(lines(&BASE.replace("name = \"orders\"", "name: \"orders\"")), [(18, "syntax")]);
    let both = BASE.replace("name = \"corp\"", "name = corp").replace("[\"GET\"]", "[\"get\"]");
    assert_eq!(lines(&both), [(9, "syntax"), (24, "value")]);
}

#[test]
fn a_thousand_warnings_do_not_hide_an_error() {
    let mut text = BASE.to_owned();
    for i in 0..PROBLEMS + 10 {
        text.push_str(&format!(
            "[[route]]\nname = \"p{i}\"\npath = \"/p{i}\"\nupstream = \"orders\"\naccess = {{ api_key = {{}} }}\n"
        ));
    }
    assert!(sound(&text).routes.len() > PROBLEMS);
    text.push_str("[[route]]\nname = \"open\"\npath = \"/open\"\nupstream = \"orders\"\n");
    let report = report(&text);
    assert_eq!(
        (report.config.is_none(), report.errors(), report.problems.len()),
        (true, 1, PROBLEMS)
    );
}
