//! The page at the root of the control address, for people who have just started the gate: how it is, and what to type
//! next. It holds no secret and shows no visitor more than another.

use super::{OWN_ONLY, html};
use crate::api::Api;
use askama::Template;
use axum::extract::State;
use axum::response::Response;
use base::code;
use http::StatusCode;

/// What an example names where no listener answers yet.
const EXAMPLE: &str = "http://localhost:8000";

#[derive(Debug, Template)]
#[template(path = "root.html")]
struct Root {
    /// Which colour goes with `word`.
    tone: &'static str,
    /// How the gate is.
    word: &'static str,
    /// Where it listens.
    gateway: Vec<String>,
    /// An address for the example.
    base: String,
    /// The authority's identifier, where there is one.
    issuer: Option<String>,
}

pub(super) async fn root(State(api): State<Api>) -> Response {
    let (tone, word, gateway) = match api.health.check() {
        Ok(up) => ("allow", "Running", up.gateway.clone()),
        Err(why) if why.code == code::NODE_STARTING => ("warn", "Starting", Vec::new()),
        Err(_) => ("warn", "Not taking traffic", Vec::new()),
    };
    let issuer = api.oauth.as_ref().map(|it| it.settings().issuer.clone());
    let base = gateway.first().cloned().unwrap_or_else(|| EXAMPLE.to_owned());
    html(StatusCode::OK, Root { tone, word, gateway, base, issuer }.render(), OWN_ONLY)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_cannot_leave_its_place() {
        let url = "http://x/<script>\"&'".to_owned();
        let page = Root {
            tone: "allow",
            word: "Running",
            gateway: vec![url.clone()],
            base: url.clone(),
            issuer: Some(url),
        };
        let page = page.render().unwrap();
        assert!(!page.contains("<script"));
        assert_eq!(page.matches("http://x/&#60;script&#62;&#34;&#38;&#39;").count(), 4);
    }
}
