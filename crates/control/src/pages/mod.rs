//! Pages: the one at the root of the control address, and those on which people sign in and decide.
//!
//! Invariants: no page needs a script; none loads anything from elsewhere or can be framed; what is shown was
//! escaped.

pub(crate) mod forms;
mod root;

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
        let goes_to = self.goes_to.map(|origin| format!(" {origin}")).unwrap_or_default();
        let policy = format!(
            "default-src 'none'; style-src 'self'; img-src 'self'; script-src 'self'; base-uri 'none'; \
             form-action 'self'{goes_to}; frame-ancestors 'none'"
        );
        html(self.status, self.html, &policy)
    }
}

fn html(status: StatusCode, html: Result<String, askama::Error>, policy: &str) -> Response {
    // WHY the policy cannot fail: `origin_of` lets nothing through that could not stand in a header.
    let (Ok(html), Ok(policy)) = (html, HeaderValue::try_from(policy)) else {
        return Problem::new(code::INTERNAL).into_response();
    };
    let mut response = (status, [(CONTENT_TYPE, "text/html; charset=utf-8")], html).into_response();
    response.headers_mut().insert(CONTENT_SECURITY_POLICY, policy);
    response
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
    let fits =
        |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':' | '[' | ']');
    host.chars().all(fits).then(|| format!("{scheme}://{host}"))
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
}
