//! What a browser knows beside what it shows: what a screen reader would say, its cookies, what it asked of whom.
//!
//! Owns: the WebDriver commands for them. Never does: judge what it finds.

use crate::webdriver::{ELEMENT, WebDriver, text};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// A request of the browser, or the answer to one.
#[derive(Debug, Clone)]
pub struct Asked {
    /// Its address.
    pub url: String,
    /// The page for which it was made; empty in an answer.
    pub page: String,
    /// What it is for, as the DevTools protocol says it: `Document`, `Stylesheet`, `Image`, …
    pub kind: String,
    /// The status; `None`: it is the request.
    pub status: Option<u16>,
    /// The headers, their names in small letters.
    pub headers: BTreeMap<String, String>,
}

impl WebDriver {
    /// What a screen reader calls that which has the focus (Accessible Name and Description Computation); empty where
    /// it would say nothing.
    pub fn label(&self) -> String {
        let active = self.get("/element/active");
        let id = active[ELEMENT].as_str().unwrap_or_default();
        text(&self.get(&format!("/element/{id}/computedlabel")))
    }

    /// The cookies that go to the page's address, those that scripts cannot read among them, as `NAME=VALUE; …`.
    pub fn cookies(&self) -> String {
        let all = self.get("/cookie");
        let pair = |it: &Value| format!("{}={}", text(&it["name"]), text(&it["value"]));
        all.as_array().into_iter().flatten().map(pair).collect::<Vec<_>>().join("; ")
    }

    /// Forgets a cookie of the page's address.
    pub fn forget(&self, name: &str) {
        self.delete(&format!("/cookie/{name}"));
    }

    /// What the browser asked of servers since this was last asked, in its order. Only where it is watched.
    ///
    /// # Panics
    /// When an entry is no JSON.
    pub fn network(&self) -> Vec<Asked> {
        let lines = self.post("/se/log", &json!({ "type": "performance" }));
        let entry = |line: &Value| {
            let entry = line["message"].as_str().unwrap_or_default();
            let mut entry: Value = serde_json::from_str(entry).expect("an entry");
            entry["message"].take()
        };
        lines.as_array().into_iter().flatten().map(entry).filter_map(|it| asked(&it)).collect()
    }
}

fn asked(message: &Value) -> Option<Asked> {
    let of = match message["method"].as_str()? {
        "Network.requestWillBeSent" => &message["params"]["request"],
        "Network.responseReceived" => &message["params"]["response"],
        _ => return None,
    };
    let lower = |(name, value): (&String, &Value)| (name.to_lowercase(), text(value));
    Some(Asked {
        url: text(&of["url"]),
        page: text(&message["params"]["documentURL"]),
        kind: text(&message["params"]["type"]),
        status: of["status"].as_u64().and_then(|it| u16::try_from(it).ok()),
        headers: of["headers"].as_object().into_iter().flatten().map(lower).collect(),
    })
}
