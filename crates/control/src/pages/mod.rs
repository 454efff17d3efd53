//! The page at the root of the control address. It carries no script and asks nothing.

use crate::api::Api;
use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use base::code;
use http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE};

const STYLE: &str = include_str!("portcullis.css");
const FRAME: &str = include_str!("root.html");
/// Only our own style sheet; nothing else is loaded, sent or framed.
const POLICY: &str = "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

pub(crate) fn routes() -> Router<Api> {
    Router::new().route("/", get(root)).route("/assets/portcullis.css", get(style))
}

async fn style() -> Response {
    let headers = [(CONTENT_TYPE, "text/css; charset=utf-8"), (CACHE_CONTROL, "max-age=300")];
    (headers, STYLE).into_response()
}

async fn root(State(api): State<Api>) -> Response {
    let page = match api.health.check() {
        Ok(up) => render("allow", "Running", &up.gateway),
        Err(why) if why.code == code::NODE_STARTING => render("warn", "Starting", &[]),
        Err(_) => render("warn", "Not taking traffic", &[]),
    };
    let headers = [(CONTENT_TYPE, "text/html; charset=utf-8"), (CONTENT_SECURITY_POLICY, POLICY)];
    (headers, page).into_response()
}

fn render(tone: &str, word: &str, gateway: &[String]) -> String {
    let mut places = String::new();
    for url in gateway {
        places.push_str(&format!("<li><code>{}</code></li>", escape(url)));
    }
    if places.is_empty() {
        places.push_str("<li class=\"quiet\">No listener answers yet.</li>");
    }
    let base = gateway.first().map_or("http://localhost:8000", String::as_str);
    FRAME
        .replace("{tone}", tone)
        .replace("{word}", word)
        .replace("{places}", &places)
        .replace("{base}", &escape(base))
}

/// Text for HTML, in content and in quoted attributes.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            _ => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_cannot_leave_its_place() {
        let page = render("allow", "Running", &["http://x/<script>\"&'".to_owned()]);
        assert!(!page.contains("<script"));
        assert!(page.contains("http://x/&lt;script&gt;&quot;&amp;&#39;"));
        assert!(!page.contains('{'), "every place is filled");
    }
}
