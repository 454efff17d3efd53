//! Whatever the text, an answer comes.

use super::*;
use proptest::prelude::*;

/// Checks what must hold of every report.
fn holds(text: &str) {
    let report = report(text);
    assert_eq!(report.config.is_some(), report.errors() == 0);
    for problem in &report.problems {
        assert!(problem.line >= 1 && problem.column >= 1);
        assert!(!problem.render("f").is_empty());
    }
}

proptest! {
    #[test]
    fn any_text(text in any::<String>()) {
        holds(&text);
    }

    #[test]
    fn any_value_of_any_key(
        mark in prop::sample::select(vec!["server", "listener", "issuer", "ip_list", "upstream", "route"]),
        key in prop::sample::select(vec![
            "bind", "tls", "proxies", "audience", "jwks_uri", "introspection", "allow", "deny", "servers",
            "health", "host", "rate", "cors", "headers", "ip", "shadow", "strip_prefix", "resource",
        ]),
        value in prop::sample::select(vec![
            "1", "-1", "1.5", "true", "\"\"", "\"x\"", "[]", "[[]]", "[1]", "[\"\"]", "{}", "{ a = 1 }",
            "1979-05-27", "{ set = 1, origins = 1, limit = [], url = {} }", "[{}]", "[{ url = 1 }]",
            "nan", "0x10", "\"\\u0000\"", "99999999999999999999",
        ]),
    ) {
        holds(&with(mark, &format!("{key} = {value}")));
    }

    #[test]
    fn the_base_with_a_piece_cut_out(start in 0usize..700, length in 0usize..60) {
        let (start, end) = (start.min(BASE.len()), (start + length).min(BASE.len()));
        holds(&format!("{}{}", &BASE[..start], &BASE[end..]));
    }
}
