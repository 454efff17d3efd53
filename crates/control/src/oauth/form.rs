//! Reading what OAuth requests carry: forms, queries, cookies, and who asks.

use super::Issuer;
use crate::input::Via;
use authority::oauth::Origin;
use axum::body::Body;
use base::{RequestId, Secret};
use http::header::{CONTENT_TYPE, COOKIE, USER_AGENT};
use http::request::Parts;
use http::{HeaderMap, Request};
use http_body_util::{BodyExt, Limited};
use protocol::oauth::{ErrorCode, OAuthError, Params};
use std::time::Duration;

/// Bytes of a form; a request object with its certificate chain and authorization details has some 20 KB.
const FORM_BYTES: usize = 128 * 1024;
/// How long a form may take to arrive.
const FORM_TIMEOUT: Duration = Duration::from_secs(10);
/// Characters that are kept of what a browser calls itself.
const USER_AGENT_CHARS: usize = 200;

/// A request's id. Put into each request by the accept loop.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tagged(pub(crate) RequestId);

/// How long a browser is known; browsers keep no cookie for longer than 400 days (RFC 6265bis §5.5).
const KNOWN_SECONDS: u32 = 400 * 86_400;

/// Where a request came from.
pub(crate) fn origin(parts: &Parts) -> Option<Origin> {
    let Tagged(request_id) = *parts.extensions.get::<Tagged>()?;
    let client_ip = match parts.extensions.get::<Via>()? {
        Via::Tcp { peer, .. } => Some(peer.ip().to_canonical()),
        Via::Socket { .. } => None,
    };
    let user_agent = parts.headers.get(USER_AGENT).and_then(|it| it.to_str().ok()).unwrap_or("");
    let user_agent = user_agent.chars().take(USER_AGENT_CHARS).collect();
    Some(Origin { request_id, client_ip, user_agent })
}

/// A request that cannot be read. It has been recorded.
#[derive(Debug)]
pub(crate) struct Unreadable {
    /// What the caller is told.
    pub(crate) error: OAuthError,
    /// By which the record is found.
    pub(crate) id: Option<RequestId>,
}

impl Unreadable {
    fn record(issuer: &Issuer, parts: &Parts, error: OAuthError) -> Self {
        match origin(parts) {
            Some(origin) => {
                let id = Some(origin.request_id);
                Self { error: issuer.oauth().unreadable(&origin, error), id }
            }
            // The accept loop gives every request an id; without one there is nothing to find a record by.
            None => Self { error: ErrorCode::ServerError.into(), id: None },
        }
    }
}

/// The parameters of a POST.
///
/// # Errors
/// `invalid_request`, with what is wrong; it is recorded.
pub(crate) async fn body(
    issuer: &Issuer,
    request: Request<Body>,
) -> Result<(Parts, Params), Unreadable> {
    let (parts, body) = request.into_parts();
    match form(&parts, body).await {
        Ok(params) => Ok((parts, params)),
        Err(error) => Err(Unreadable::record(issuer, &parts, error)),
    }
}

async fn form(parts: &Parts, body: Body) -> Result<Params, OAuthError> {
    let wrong = |text: &'static str| OAuthError::new(ErrorCode::InvalidRequest, text);
    let media_type = parts.headers.get(CONTENT_TYPE).and_then(|it| it.to_str().ok()).unwrap_or("");
    let essence = media_type.split(';').next().unwrap_or("").trim();
    // RFC 6749 §4.1.3 and its kin: application/x-www-form-urlencoded in the request's body.
    if !essence.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
        return Err(wrong("the body must be application/x-www-form-urlencoded"));
    }
    let reading = Limited::new(body, FORM_BYTES).collect();
    let bytes = match tokio::time::timeout(FORM_TIMEOUT, reading).await {
        Ok(Ok(body)) => body.to_bytes(),
        Ok(Err(_)) => return Err(wrong("the body could not be read, or is larger than 128 KiB")),
        Err(_) => return Err(wrong("the body did not arrive in time")),
    };
    Params::parse(&bytes).map_err(|error| invalid(&error))
}

/// The parameters of a query.
///
/// # Errors
/// `invalid_request`, with what is wrong; it is recorded.
pub(crate) fn query(issuer: &Issuer, parts: &Parts) -> Result<Params, Unreadable> {
    Params::parse(parts.uri.query().unwrap_or("").as_bytes())
        .map_err(|error| Unreadable::record(issuer, parts, invalid(&error)))
}

fn invalid(error: &protocol::oauth::ParamsError) -> OAuthError {
    OAuthError::new(ErrorCode::InvalidRequest, error.to_string())
}

/// The session's cookie. Over TLS the `__Host-` prefix keeps other hosts and paths from setting it
/// (RFC 6265bis §4.1.3.2); without TLS browsers refuse the prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cookies {
    /// Whether the issuer is reached over TLS.
    pub(crate) secure: bool,
}

impl Cookies {
    /// For this issuer.
    pub(crate) fn of(issuer: &str) -> Self {
        Self { secure: issuer.starts_with("https://") }
    }

    fn name(self, what: &str) -> String {
        if self.secure { format!("__Host-{what}") } else { what.to_owned() }
    }

    /// The value of the cookie, if it came exactly once.
    pub(crate) fn read(self, headers: &HeaderMap, what: &str) -> Option<Secret<String>> {
        let name = self.name(what);
        let mut values = headers
            .get_all(COOKIE)
            .iter()
            .filter_map(|line| line.to_str().ok())
            .flat_map(|line| line.split(';'))
            .filter_map(|pair| pair.trim().split_once('='))
            .filter(|(key, _)| *key == name)
            .map(|(_, value)| value);
        let first = values.next()?;
        // WHY: a second cookie of the name was planted by somebody; neither is believed.
        values.next().is_none().then(|| Secret::new(first.to_owned()))
    }

    /// Whether the cookie came at all, once or more often.
    pub(crate) fn came(self, headers: &HeaderMap, what: &str) -> bool {
        let name = self.name(what);
        let lines = headers.get_all(COOKIE).iter().filter_map(|line| line.to_str().ok());
        let pairs = lines.flat_map(|line| line.split(';'));
        pairs.filter_map(|pair| pair.trim().split_once('=')).any(|(key, _)| key == name)
    }

    /// The header that sets it. `SameSite=Lax`: it comes along when a client sends the browser here.
    pub(crate) fn set(self, what: &str, value: &Secret<String>) -> String {
        let secure = if self.secure { "; Secure" } else { "" };
        format!("{}={}; Path=/; HttpOnly; SameSite=Lax{secure}", self.name(what), value.expose())
    }

    /// The header that sets a cookie which outlives the browser: what a browser is known by that has signed in before.
    pub(crate) fn keep(self, what: &str, value: &Secret<String>) -> String {
        format!("{}; Max-Age={KNOWN_SECONDS}", self.set(what, value))
    }

    /// The header that removes it.
    pub(crate) fn clear(self, what: &str) -> String {
        let secure = if self.secure { "; Secure" } else { "" };
        format!("{}=; Path=/; HttpOnly; SameSite=Lax; Max-Age=0{secure}", self.name(what))
    }
}

/// The cookie of a session.
pub(crate) const SESSION: &str = "portcullis_session";
/// The cookie of a browser that has no session yet: its forms are bound to it.
pub(crate) const VISIT: &str = "portcullis_visit";
/// The cookie by which a browser is known that has signed in before. It is no proof of anything.
pub(crate) const BROWSER: &str = "portcullis_browser";

/// The cookie that waits while its person is at another provider. Sealed.
pub(crate) const AWAY: &str = "portcullis_away";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_that_comes_twice_is_not_believed() {
        let cookies = Cookies { secure: false };
        let check = |line: &str, expect: Option<&str>| {
            let mut headers = HeaderMap::new();
            headers.insert(COOKIE, line.parse().unwrap());
            let found = cookies.read(&headers, SESSION);
            assert_eq!(found.as_ref().map(|it| it.expose().as_str()), expect, "{line}");
            let came = line.split("; ").any(|it| it.starts_with("portcullis_session="));
            assert_eq!(cookies.came(&headers, SESSION), came, "{line}");
        };
        check("portcullis_session=a", Some("a"));
        check("x=1; portcullis_session=a; y=2", Some("a"));
        check("portcullis_session=a; portcullis_session=b", None);
        check("__Host-portcullis_session=a", None);
        check("x=portcullis_session", None);
    }

    #[test]
    fn a_cookie_over_tls_is_bound_to_its_host() {
        let secret = Secret::new("v".to_owned());
        let set = Cookies::of("https://login.example").set(SESSION, &secret);
        assert_eq!(set, "__Host-portcullis_session=v; Path=/; HttpOnly; SameSite=Lax; Secure");
        assert!(!Cookies::of("http://localhost:8001").set(SESSION, &secret).contains("Secure"));
    }
}
