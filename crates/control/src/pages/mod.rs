//! Pages: the one at the root of the control address, and those on which people sign in and decide.
//!
//! Invariants: no page needs a script; none loads anything from elsewhere or can be framed; what is shown was
//! escaped.

pub(crate) mod forms;

use crate::api::Api;
use crate::problem::Problem;
use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use base::code;
use http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use http::{HeaderValue, StatusCode, Uri};

const STYLE: &str = include_str!("portcullis.css");
const FRAME: &str = include_str!("root.html");
/// Only our own style sheet; nothing else is loaded, sent or framed.
const POLICY: &str = "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

pub(crate) fn routes() -> Router<Api> {
    Router::new()
        .route("/", get(root))
        .route("/assets/portcullis.css", get(style))
        .route("/assets/submit.js", get(async || script(include_str!("submit.js"))))
        .route("/assets/setup.js", get(async || script(include_str!("setup.js"))))
}

fn script(text: &'static str) -> Response {
    let headers = [(CONTENT_TYPE, "text/javascript; charset=utf-8"), (CACHE_CONTROL, "max-age=300")];
    (headers, text).into_response()
}

/// A page on its way out.
#[derive(Debug)]
pub(crate) struct Page {
    status: StatusCode,
    html: Result<String, askama::Error>,
    /// The origin that the page's form may lead to, beside ours.
    goes_to: Option<String>,
}

impl IntoResponse for Page {
    fn into_response(self) -> Response {
        let Ok(html) = self.html else { return Problem::new(code::INTERNAL).into_response() };
        let goes_to = self.goes_to.map(|origin| format!(" {origin}")).unwrap_or_default();
        let policy = format!(
            "default-src 'none'; style-src 'self'; script-src 'self'; base-uri 'none'; \
             form-action 'self'{goes_to}; frame-ancestors 'none'"
        );
        let mut response =
            (self.status, [(CONTENT_TYPE, "text/html; charset=utf-8")], html).into_response();
        match HeaderValue::try_from(policy) {
            Ok(policy) => drop(response.headers_mut().insert(CONTENT_SECURITY_POLICY, policy)),
            // WHY: `origin_of` lets nothing through that could not stand in a header.
            Err(_) => return Problem::new(code::INTERNAL).into_response(),
        }
        response
    }
}

/// What a policy calls the place of a URL: scheme, host and port, or the scheme alone where it has no host
/// (private-use schemes, RFC 8252 §7.1).
pub(crate) fn origin_of(url: &str) -> Option<String> {
    let (scheme, _) = url.split_once(':')?;
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '.' | '-');
    if !scheme.starts_with(|c: char| c.is_ascii_alphabetic()) || !scheme.chars().all(plain) {
        return None;
    }
    let web = scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https");
    if !web {
        return Some(format!("{scheme}:"));
    }
    let uri: Uri = url.parse().ok()?;
    let authority = uri.authority()?;
    let host = authority.as_str();
    // A policy's words end at `;`, `,` and spaces; user information has no place in an origin.
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':' | '[' | ']');
    host.chars().all(fits).then(|| format!("{scheme}://{host}"))
}

/// The host of a URL as people read it; the scheme where there is none.
pub(crate) fn host_of(url: &str) -> String {
    let host = url.parse::<Uri>().ok().and_then(|it| it.host().map(str::to_owned));
    host.or_else(|| url.split_once(':').map(|(scheme, _)| format!("{scheme}:"))).unwrap_or_default()
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
    fn an_origin_cannot_change_the_policy() {
        let check = |url: &str, expect: Option<&str>| {
            assert_eq!(origin_of(url).as_deref(), expect, "{url}");
        };
        check("https://app.example/cb?x=1", Some("https://app.example"));
        check("http://127.0.0.1:4711/", Some("http://127.0.0.1:4711"));
        check("http://[::1]:80/x", Some("http://[::1]:80"));
        check("com.example.app:/cb", Some("com.example.app:"));
        check("https://a.example;script-src/", None);
        check("https://u@a.example/", None);
        check("x y:/", None);
        check("/relative", None);
    }

    #[test]
    fn a_url_cannot_leave_its_place() {
        let page = render("allow", "Running", &["http://x/<script>\"&'".to_owned()]);
        assert!(!page.contains("<script"));
        assert!(page.contains("http://x/&lt;script&gt;&quot;&amp;&#39;"));
        assert!(!page.contains('{'), "every place is filled");
    }
}
