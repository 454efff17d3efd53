//! Authorization details (RFC 9396) as people read them before they agree.
//!
//! Invariant: what does not fit is said to be missing; nobody agrees to what was silently left out.

use crate::pages::forms::DetailView;
use serde_json::Value;

/// Facts of one detail that are shown: some screens of a telephone.
const FACTS: usize = 60;
/// Characters of each name and value.
const FACT_CHARS: usize = 300;
/// Between the names of members within each other.
const WITHIN: &str = " › ";

/// RFC 9396 §6.1 asks that people see what they agree to: every member, in its own words.
pub(super) fn view(value: &Value) -> DetailView {
    let kind = value.get("type").and_then(Value::as_str).unwrap_or_default().to_owned();
    let mut found = Facts { shown: Vec::new(), missing: 0 };
    for (name, value) in value.as_object().into_iter().flatten() {
        if name != "type" {
            found.take(name, value);
        }
    }
    if found.missing > 0 {
        let words = format!("{} more that do not fit here", found.missing);
        found.shown.push(("Not shown".to_owned(), words));
    }
    DetailView { kind, facts: found.shown }
}

struct Facts {
    shown: Vec<(String, String)>,
    missing: usize,
}

impl Facts {
    /// One member, with those within it. Depth is bounded by the parser of the request.
    fn take(&mut self, name: &str, value: &Value) {
        match value {
            Value::Object(members) if !members.is_empty() => {
                for (inner, value) in members {
                    self.take(&format!("{name}{WITHIN}{inner}"), value);
                }
            }
            Value::Array(items) if items.iter().any(|it| it.is_object() || it.is_array()) => {
                for (at, value) in items.iter().enumerate() {
                    self.take(&format!("{name}{WITHIN}{}", at + 1), value);
                }
            }
            Value::Array(items) if !items.is_empty() => {
                self.add(name, &items.iter().map(plain).collect::<Vec<_>>().join(", "));
            }
            other => self.add(name, &plain(other)),
        }
    }

    fn add(&mut self, name: &str, text: &str) {
        match self.shown.len() < FACTS {
            true => self.shown.push((cut(name), cut(text))),
            false => self.missing += 1,
        }
    }
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(FACT_CHARS) {
        Some((at, _)) => format!("{}… (longer)", text.get(..at).unwrap_or_default()),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn facts(value: &Value) -> Vec<(String, String)> {
        view(value).facts
    }

    #[test]
    fn rfc9396_s6_1_every_member_is_shown_in_words() {
        let payment = json!({
            "type": "payment_initiation",
            "actions": ["initiate", "status"],
            "amount": { "currency": "EUR", "value": "123.50" },
            "to": [{ "iban": "DE1" }, { "iban": "DE2" }],
            "urgent": true,
            "none": {},
        });
        let expect = [
            ("actions", "initiate, status"),
            ("amount › currency", "EUR"),
            ("amount › value", "123.50"),
            ("none", "{}"),
            ("to › 1 › iban", "DE1"),
            ("to › 2 › iban", "DE2"),
            ("urgent", "true"),
        ];
        let mut shown = facts(&payment);
        shown.sort();
        assert_eq!(shown, expect.map(|(name, text)| (name.to_owned(), text.to_owned())));
        assert_eq!(view(&payment).kind, "payment_initiation");
    }

    #[test]
    fn what_does_not_fit_is_said_to_be_missing() {
        let many: serde_json::Map<_, _> =
            (0..FACTS + 5).map(|at| (format!("m{at}"), json!(at))).collect();
        let shown = facts(&Value::Object(many));
        assert_eq!(shown.len(), FACTS + 1);
        assert_eq!(shown.last().unwrap().1, "5 more that do not fit here");
        let long = facts(&json!({ "text": "ü".repeat(FACT_CHARS + 1) }));
        assert!(long[0].1.ends_with("… (longer)"), "{long:?}");
        assert_eq!(
            facts(&json!({ "text": "ü".repeat(FACT_CHARS) }))[0].1.chars().count(),
            FACT_CHARS
        );
    }
}
