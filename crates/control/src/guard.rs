//! What stands before every handler: which host is asked, what TCP may ask at all, and the headers that
//! every answer carries.
//!
//! Invariant: a request without a known way in is refused; TCP reaches a handler only for a path of
//! [`PUBLIC_PATHS`] and [`AUTHORITY_PATHS`], and below `/api/v1` only through the one that asks for a token.

use crate::api::Api;
use crate::input::Via;
use crate::problem::Problem;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use base::code;
use futures_util::FutureExt;
use http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, HOST, HeaderName, REFERRER_POLICY};
use http::header::{X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS};
use http::uri::Authority;
use http::{HeaderMap, HeaderValue};
use std::collections::BTreeSet;
use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::panic::AssertUnwindSafe;

/// What is answered at every address, and why: health for load balancers, and what pages look like.
const COMMON_PATHS: [&str; 7] = [
    "/assets/mark.svg",
    "/assets/portcullis.css",
    "/assets/setup.js",
    "/assets/passkey.js",
    "/assets/submit.js",
    "/livez",
    "/readyz",
];
/// What the administrators' address answers to somebody who shows no credential: the page for people, metrics for the
/// scraper, the description of the API and who issues tokens for it. None holds a secret or anything personal.
const ADMIN_PATHS: [&str; 4] =
    ["/", "/metrics", "/api/openapi.json", "/.well-known/oauth-protected-resource/api"];
/// Public keys, for upstreams and resource servers.
const KEYS_PATH: &str = "/.well-known/jwks.json";
/// All that is answered over TCP to somebody who shows no credential, beside the authority's own.
pub const PUBLIC_PATHS: [&str; 12] = [
    "/",
    "/assets/mark.svg",
    "/assets/portcullis.css",
    "/assets/setup.js",
    "/assets/passkey.js",
    "/assets/submit.js",
    "/livez",
    "/readyz",
    "/metrics",
    "/.well-known/jwks.json",
    "/.well-known/oauth-protected-resource/api",
    "/api/openapi.json",
];
/// The authority's endpoints and pages, which judge by themselves who asks.
pub const AUTHORITY_PATHS: [&str; 40] = [
    "/account",
    "/account/addresses",
    "/account/addresses/allow",
    "/account/addresses/end",
    "/account/applications/end",
    "/account/email",
    "/account/email/ask",
    "/account/email/code",
    "/account/events",
    "/account/keys",
    "/account/keys/end",
    "/account/keys/new",
    "/account/sessions/end",
    "/account/methods",
    "/account/methods/app",
    "/account/methods/app/add",
    "/account/methods/passkey",
    "/account/methods/passkey/add",
    "/account/methods/codes",
    "/account/methods/remove",
    "/.well-known/openid-configuration",
    "/.well-known/oauth-authorization-server",
    "/oauth/authorize",
    "/oauth/decide",
    "/oauth/par",
    "/oauth/token",
    "/oauth/introspect",
    "/oauth/revoke",
    "/oauth/userinfo",
    "/oauth/device_authorization",
    "/oauth/register",
    "/oauth/logout",
    "/oauth/logout/decide",
    "/login",
    "/login/with",
    "/account/methods/link",
    "/device",
    "/setup",
    "/recover",
    "/recover/set",
];
/// Where people come back to from another provider, whose name follows.
const CALLBACK: &str = authority::oauth::CALLBACK_PATH;
/// The API: behind it [`crate::admission`] asks for a token.
const API: &str = "/api/v1/";
/// What a directory asks (RFC 7644); here too [`crate::admission`] asks for a token.
const SCIM: &str = "/scim/v2/";
/// RFC 7592: below it stands one client's registration.
const REGISTRATION: &str = "/oauth/register/";
/// What is answered under any name: a load balancer asks by address.
const ANY_HOST: [&str; 2] = ["/livez", "/readyz"];

/// What an address serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Surface {
    /// The authority: its endpoints, its pages, the public keys.
    pub authority: bool,
    /// The API, its description, the console and the metrics.
    pub admin: bool,
}

impl Surface {
    /// Everything, at one address.
    pub const ALL: Self = Self { authority: true, admin: true };

    /// Whether a path is answered here at all.
    fn answers(self, path: &str) -> bool {
        let registration = || path.strip_prefix(REGISTRATION).is_some_and(|id| !id.contains('/'));
        let callback = || path.strip_prefix(CALLBACK).is_some_and(|it| !it.contains('/'));
        COMMON_PATHS.contains(&path)
            || (self.authority
                && (path == KEYS_PATH
                    || AUTHORITY_PATHS.contains(&path)
                    || registration()
                    || callback()))
            || (self.admin
                && (ADMIN_PATHS.contains(&path) || path.starts_with(API) || path.starts_with(SCIM)))
    }
}

/// The names under which the control address may be asked. Without this check a page of anybody could reach
/// it from a browser inside, by letting its own name lead here (DNS rebinding).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Names {
    hosts: BTreeSet<String>,
}

impl Names {
    /// The hosts of these URLs or authorities (`https://login.example`, `localhost:8001`); what is neither
    /// is passed over. The address of the connection itself always counts, and the names of the local host
    /// where that is a loopback address.
    pub fn new<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        let hosts = names.into_iter().filter_map(|name| {
            let rest = name.split_once("://").map_or(name, |(_, rest)| rest);
            let authority = rest.split('/').next().unwrap_or(rest);
            authority.parse::<Authority>().ok().map(|it| it.host().to_ascii_lowercase())
        });
        Self { hosts: hosts.collect() }
    }

    fn know(&self, authority: &str, local: SocketAddr) -> bool {
        // RFC 9110 §7.2: a Host is a host and an optional port, nothing else.
        let Ok(authority) = authority.parse::<Authority>() else { return false };
        if authority.as_str().contains('@') {
            return false;
        }
        let host = authority.host().to_ascii_lowercase();
        let literal = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
        let local = local.ip().to_canonical();
        self.hosts.contains(&host)
            || literal.is_ok_and(|it| it.to_canonical() == local)
            || (local.is_loopback() && host == "localhost")
    }
}

/// Whether a request may go on to the router.
pub(crate) fn admit(request: &Request, names: &Names, surface: Surface) -> Result<(), Problem> {
    let path = request.uri().path();
    match request.extensions().get::<Via>() {
        Some(Via::Socket { .. }) => Ok(()),
        Some(Via::Tcp { local, .. }) => {
            if !ANY_HOST.contains(&path) {
                host(request, names, *local)?;
            }
            match surface.answers(path) {
                true => Ok(()),
                false => Err(Problem::new(code::API_NOT_FOUND)),
            }
        }
        None => Err(Problem::new(code::API_UNAUTHENTICATED)),
    }
}

fn host(request: &Request, names: &Names, local: SocketAddr) -> Result<(), Problem> {
    let mut hosts = request.headers().get_all(HOST).iter();
    let (Some(host), None) = (hosts.next(), hosts.next()) else {
        return Err(Problem::new(code::HOST_AMBIGUOUS));
    };
    let host = host.to_str().map_err(|_| Problem::new(code::HOST_AMBIGUOUS))?;
    // RFC 9112 §3.2.2: the authority of an absolute target stands above Host; both must be ours.
    let target = request.uri().authority().map(Authority::as_str);
    if names.know(host, local) && target.is_none_or(|it| names.know(it, local)) {
        Ok(())
    } else {
        Err(Problem::new(code::HOST_MISDIRECTED))
    }
}

/// RFC 6797 §6.1: for a year, browsers ask for nothing here but over TLS. Not for names below this one, which are
/// somebody else's to promise.
pub(crate) const TRANSPORT: HeaderValue = HeaderValue::from_static("max-age=31536000");

/// Whether the host asked for is a name that a browser may keep to TLS.
///
/// WHY not `localhost`: the promise holds for all ports of a host, and other programs of a developer's machine speak
/// plain HTTP there. RFC 6797 §8.1.1: an address is no known host.
pub(crate) fn is_public_name(headers: &HeaderMap) -> bool {
    let host = headers.get(HOST).and_then(|it| it.to_str().ok()?.parse::<Authority>().ok());
    host.is_some_and(|it| {
        let host = it.host().to_ascii_lowercase();
        let literal = host.starts_with('[') || host.parse::<IpAddr>().is_ok();
        !literal && host != "localhost" && !host.ends_with(".localhost")
    })
}

/// Runs a handler; a panic becomes a 500 and harms nobody else.
pub(crate) async fn caught(api: &Api, handler: impl Future<Output = Response>) -> Response {
    match AssertUnwindSafe(handler).catch_unwind().await {
        Ok(response) => response,
        Err(_) => {
            api.witness.panicked();
            Problem::new(code::INTERNAL).into_response()
        }
    }
}

/// The headers that every answer carries, unless its handler has set them.
pub(crate) fn harden(headers: &mut HeaderMap) {
    const HEADERS: [(HeaderName, &str); 5] = [
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (CACHE_CONTROL, "no-store"),
        (CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
        (REFERRER_POLICY, "no-referrer"),
        (X_FRAME_OPTIONS, "DENY"),
    ];
    for (name, value) in HEADERS {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_address_serves_its_own() {
        let authority = Surface { authority: true, admin: false };
        let admin = Surface { authority: false, admin: true };
        let check = |path: &str, at_authority: bool, at_admin: bool| {
            assert_eq!(authority.answers(path), at_authority, "{path}");
            assert_eq!(admin.answers(path), at_admin, "{path}");
            assert_eq!(Surface::ALL.answers(path), at_authority || at_admin, "{path}");
        };
        for path in PUBLIC_PATHS.iter().chain(&AUTHORITY_PATHS) {
            assert!(Surface::ALL.answers(path), "{path}");
        }
        for path in AUTHORITY_PATHS {
            check(path, true, false);
        }
        for path in ["/", "/metrics", "/api/openapi.json", "/api/v1/keys", "/scim/v2/Users"] {
            check(path, false, true);
        }
        check("/livez", true, true);
        check("/.well-known/jwks.json", true, false);
        check("/oauth/register/abc", true, false);
        check("/login/callback/corp", true, false);
        check("/login/callback/corp/x", false, false);
        check("/login/callback", false, false);
        for path in ["/oauth/register/abc/d", "/api/v1", "/api/v2/keys", "//api/v1/keys", ""] {
            check(path, false, false);
        }
    }

    #[test]
    fn rfc6797_s8_1_1_addresses_and_localhost_are_not_kept_to_tls() {
        let check = |host: &str, expect: bool| {
            let mut headers = HeaderMap::new();
            headers.insert(HOST, host.parse().unwrap());
            assert_eq!(is_public_name(&headers), expect, "{host}");
        };
        check("login.example", true);
        check("LOGIN.example:8443", true);
        check("localhost", false);
        check("LocalHost:8001", false);
        check("gate.localhost", false);
        check("192.0.2.1:8001", false);
        check("[2001:db8::1]:8001", false);
        check("", false);
        assert!(!is_public_name(&HeaderMap::new()));
    }

    #[test]
    fn names_are_ours_or_refused() {
        let names = Names::new(["https://Login.Example:8443/x", "gate.internal", "[::1]:80"]);
        let check = |host: &str, local: &str, expect: bool| {
            assert_eq!(names.know(host, local.parse().unwrap()), expect, "{host} at {local}");
        };
        check("login.example", "10.0.0.5:8001", true);
        check("LOGIN.example:9", "10.0.0.5:8001", true);
        check("gate.internal", "10.0.0.5:8001", true);
        check("10.0.0.5:8001", "10.0.0.5:8001", true);
        check("10.0.0.6:8001", "10.0.0.5:8001", false);
        check("localhost:8001", "127.0.0.1:8001", true);
        check("localhost:8001", "[::ffff:127.0.0.1]:8001", true);
        check("127.0.0.1", "[::ffff:127.0.0.1]:8001", true);
        check("localhost", "10.0.0.5:8001", false);
        check("[::1]:8001", "[::1]:8001", true);
        check("evil.example", "127.0.0.1:8001", false);
        check("localhost.evil.example", "127.0.0.1:8001", false);
        check("localhost@evil.example", "127.0.0.1:8001", false);
        check("evil@localhost", "127.0.0.1:8001", false);
        check("", "127.0.0.1:8001", false);
    }
}
