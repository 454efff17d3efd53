//! Pages: the one at the root of the control address, and those on which people sign in and decide.
//!
//! Invariants: no page needs a script; none loads anything from elsewhere or can be framed; what is shown was
//! escaped.

pub(crate) mod addresses;
pub(crate) mod email;
pub(crate) mod forms;
mod root;
pub(crate) mod words;

use crate::api::Api;
use crate::problem::Problem;
use axum::Router;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use base::code;
use http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use http::{HeaderValue, StatusCode, Uri};

/// Only our own style sheet and mark; nothing else is loaded, sent or framed.
const OWN_ONLY: &str = "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; \
                        frame-ancestors 'none'";

pub(crate) fn routes() -> Router<Api> {
    const SCRIPT: &str = "text/javascript; charset=utf-8";
    let asset = |kind: &'static str, text: &'static str| {
        get(async move || ([(CONTENT_TYPE, kind), (CACHE_CONTROL, "max-age=300")], text))
    };
    Router::new()
        .route("/", get(root::root))
        .route(
            "/assets/portcullis.css",
            asset("text/css; charset=utf-8", include_str!("portcullis.css")),
        )
        .route("/assets/mark.svg", asset("image/svg+xml", include_str!("mark.svg")))
        .route("/assets/submit.js", asset(SCRIPT, include_str!("submit.js")))
        .route("/assets/setup.js", asset(SCRIPT, include_str!("setup.js")))
        .route("/assets/passkey.js", asset(SCRIPT, include_str!("passkey.js")))
}

/// A page on its way out.
#[derive(Debug)]
pub(crate) struct Page {
    status: StatusCode,
    html: Result<String, askama::Error>,
    /// Where the page's form may lead to, beside ourselves, as a policy says it.
    goes_to: Option<String>,
}

impl IntoResponse for Page {
    fn into_response(self) -> Response {
        let goes_to = self.goes_to.map(|it| format!(" {it}")).unwrap_or_default();
        let policy = format!(
            "default-src 'none'; style-src 'self'; img-src 'self'; script-src 'self'; base-uri 'none'; \
             form-action 'self'{goes_to}; frame-ancestors 'none'"
        );
        html(self.status, self.html, &policy)
    }
}

fn html(status: StatusCode, html: Result<String, askama::Error>, policy: &str) -> Response {
    // WHY the policy cannot fail: `leads_to` lets nothing through that could not stand in a header.
    let (Ok(html), Ok(policy)) = (html, HeaderValue::try_from(policy)) else {
        return Problem::new(code::INTERNAL).into_response();
    };
    let mut response = (status, [(CONTENT_TYPE, "text/html; charset=utf-8")], html).into_response();
    response.headers_mut().insert(CONTENT_SECURITY_POLICY, policy);
    response
}

/// What a policy's `form-action` has to allow where a form leads to this URL: its scheme, and TLS to anywhere.
///
/// WHY not its origin alone: browsers hold every redirect after a form to the policy (CSP 3 §4.2.1), those of the client
/// too, and a client that is a broker sends people on to whomever it works for. WHY no host at all: that of an IPv6
/// address cannot be said in a policy.
fn leads_to(url: &str) -> Option<String> {
    let (scheme, _) = url.split_once(':')?;
    // RFC 3986 §3.1; a policy's words end at `;`, `,` and spaces.
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '.' | '-');
    if !scheme.starts_with(|c: char| c.is_ascii_alphabetic()) || !scheme.chars().all(plain) {
        return None;
    }
    let scheme = scheme.to_ascii_lowercase();
    Some(if scheme == "https" { "https:".to_owned() } else { format!("https: {scheme}:") })
}

/// The host of a URL as people read it; the scheme where there is none.
pub(crate) fn host_of(url: &str) -> String {
    let host = url.parse::<Uri>().ok().and_then(|it| it.host().map(str::to_owned));
    host.or_else(|| url.split_once(':').map(|(scheme, _)| format!("{scheme}:"))).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_cannot_change_the_policy() {
        let check = |url: &str, expect: Option<&str>| {
            assert_eq!(leads_to(url).as_deref(), expect, "{url}");
        };
        check("https://app.example/cb?x=1", Some("https:"));
        check("HTTPS://app.example/cb?x=1", Some("https:"));
        check("http://127.0.0.1:4711/", Some("https: http:"));
        check("http://[::1]:80/x", Some("https: http:"));
        check("com.example.app:/cb", Some("https: com.example.app:"));
        check("https://a.example;script-src/", Some("https:"));
        check("x y:/", None);
        check("x;script-src *:/", None);
        check("*:/", None);
        check(":/", None);
        check("/relative", None);
    }
}
