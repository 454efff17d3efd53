//! Redirect URIs: which may be registered, and which of a request is the registered one.
//!
//! Owns: the comparison of RFC 9700 §4.1.3, the rules of registration.
//!
//! Never does: match by pattern, prefix or host.
//!
//! Invariant: what [`matches()`] lets pass differs from the registered text in nothing but the port of a
//! loopback address.

use super::uri::{Uri, is_loopback, is_loopback_address};
use serde::{Deserialize, Serialize};

/// What kind of client it is (OpenID Connect Registration §2, `application_type`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ApplicationType {
    /// Runs on a server or in a browser.
    #[default]
    Web,
    /// Runs on a person's device.
    Native,
}

/// Why a redirect URI is not registered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RedirectFault {
    /// Not an absolute URI by RFC 3986.
    #[error("the redirect URI is not an absolute URI")]
    Syntax,
    /// RFC 6749 §3.1.2.
    #[error("the redirect URI has a fragment")]
    Fragment,
    /// A user before the host: what people read is not where it leads.
    #[error("the redirect URI names a user")]
    User,
    /// `*`: it would be taken for a pattern, and patterns are not matched.
    #[error("the redirect URI has a wildcard")]
    Wildcard,
    /// `.` or `..` segments: a browser goes elsewhere than the text says.
    #[error("the redirect URI has dot segments")]
    DotSegments,
    /// `http` to another machine.
    #[error("the redirect URI uses http and does not lead to this machine")]
    Insecure,
    /// A scheme that is not `https`, nor `http` to this machine, nor one that a native app owns.
    #[error("the scheme of the redirect URI is not allowed")]
    Scheme,
}

/// Whether a client of this kind may register `uri`.
///
/// # Errors
/// The rule that it breaks.
pub fn validate(uri: &str, application: ApplicationType) -> Result<(), RedirectFault> {
    if uri.contains('*') {
        return Err(RedirectFault::Wildcard);
    }
    let parsed = Uri::parse(uri).ok_or(RedirectFault::Syntax)?;
    // RFC 6749 §3.1.2: no fragment.
    if parsed.fragment.is_some() {
        return Err(RedirectFault::Fragment);
    }
    if parsed.authority.is_some_and(|it| it.user) {
        return Err(RedirectFault::User);
    }
    if parsed.has_dot_segments() {
        return Err(RedirectFault::DotSegments);
    }
    if parsed.is("https") || parsed.is("http") {
        let host = parsed.web_host().ok_or(RedirectFault::Syntax)?;
        // RFC 9700 §2.6, RFC 8252 §7.3: http only within the machine.
        return match parsed.is("https") || is_loopback(host) {
            true => Ok(()),
            false => Err(RedirectFault::Insecure),
        };
    }
    // RFC 8252 §7.1, §8.4: a private-use scheme is a domain name in reverse, so it has a dot. None of those
    // that a browser runs or opens by itself (javascript, data, file, blob, …) has one.
    let private = application == ApplicationType::Native && parsed.scheme.contains('.');
    match private {
        true => Ok(()),
        false => Err(RedirectFault::Scheme),
    }
}

/// Whether `asked` is the redirect URI that was registered as `registered`.
///
/// The comparison is of texts, byte by byte (RFC 9700 §4.1.3). With `http` to `127.0.0.1` or `[::1]` the
/// port may be any, since an app gets it from its system (RFC 8252 §7.3). `localhost`, which OAuth 2.1
/// discourages and which may resolve to another machine, has that freedom only where it was registered
/// without a port: who wrote a port meant it.
pub fn matches(registered: &str, asked: &str) -> bool {
    registered == asked || matches_loopback(registered, asked)
}

fn matches_loopback(registered: &str, asked: &str) -> bool {
    let (Some(own), Some(theirs)) = (Uri::parse(registered), Uri::parse(asked)) else {
        return false;
    };
    let (Some(home), Some(port)) = (own.authority, theirs.authority) else { return false };
    let free = is_loopback_address(home.host) || (home.host == "localhost" && home.port.is_none());
    // Schemes and hosts are compared as they were written; only the port is left out.
    own.scheme == "http"
        && theirs.scheme == "http"
        && free
        && home.host == port.host
        && !home.user
        && !port.user
        && (own.path, own.query) == (theirs.path, theirs.query)
        && own.fragment.is_none()
        && theirs.fragment.is_none()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn rfc9700_s4_1_3_redirect_uris_are_compared_as_texts() {
        let registered = "https://app.example/cb?a=1";
        assert!(matches(registered, registered));
        for other in [
            "https://app.example/cb",
            "https://app.example/cb?a=1&b=2",
            "https://app.example/cb/?a=1",
            "https://app.example:443/cb?a=1",
            "https://APP.example/cb?a=1",
            "http://app.example/cb?a=1",
            "https://app.example/cb?a=1#",
            "https://app.example/x/../cb?a=1",
            "https://app.example/%63b?a=1",
            "https://app.example.evil/cb?a=1",
            "https://u@app.example/cb?a=1",
            "",
        ] {
            assert!(!matches(registered, other), "{other}");
        }
    }

    #[test]
    fn rfc8252_s7_3_any_port_of_a_loopback_address() {
        for (registered, asked) in [
            ("http://127.0.0.1/cb", "http://127.0.0.1:51004/cb"),
            ("http://127.0.0.1:1/cb", "http://127.0.0.1:2/cb"),
            ("http://127.0.0.1:1/cb", "http://127.0.0.1/cb"),
            ("http://[::1]/cb?x", "http://[::1]:9/cb?x"),
            ("http://localhost/cb", "http://localhost:9/cb"),
        ] {
            assert!(matches(registered, asked), "{registered} {asked}");
        }
        for (registered, asked) in [
            ("http://localhost:1/cb", "http://localhost:2/cb"),
            ("http://127.0.0.1/cb", "http://localhost/cb"),
            ("http://127.0.0.1/cb", "http://127.0.0.2/cb"),
            ("http://127.0.0.1/cb", "https://127.0.0.1:9/cb"),
            ("https://127.0.0.1/cb", "https://127.0.0.1:9/cb"),
            ("http://127.0.0.1/cb", "http://127.0.0.1:9/cb2"),
            ("http://127.0.0.1/cb", "http://127.0.0.1:9/cb?x"),
            ("http://127.0.0.1/cb", "http://127.0.0.1:9/cb#f"),
            ("http://127.0.0.1/cb", "http://127.0.0.1:9@evil.example/cb"),
            ("http://127.0.0.1/cb", "http://u@127.0.0.1:9/cb"),
            ("http://127.0.0.1/cb", "http://127.0.0.1.evil.example:9/cb"),
            ("http://127.0.0.1/cb", "http://127.0.0.1:9\\@evil.example/cb"),
        ] {
            assert!(!matches(registered, asked), "{registered} {asked}");
        }
    }

    #[test]
    fn what_may_be_registered() {
        use ApplicationType::{Native, Web};
        for (uri, application, expect) in [
            ("https://app.example/cb", Web, Ok(())),
            ("https://app.example/cb?x=1", Native, Ok(())),
            ("http://127.0.0.1/cb", Native, Ok(())),
            ("http://[::1]:80/cb", Web, Ok(())),
            ("http://localhost:3000/cb", Web, Ok(())),
            ("com.example.app:/cb", Native, Ok(())),
            ("com.example.app:/cb", Web, Err(RedirectFault::Scheme)),
            ("myapp:/cb", Native, Err(RedirectFault::Scheme)),
            ("javascript:alert(1)", Native, Err(RedirectFault::Scheme)),
            ("data:text/html,x.y", Native, Err(RedirectFault::Scheme)),
            ("urn:ietf:wg:oauth:2.0:oob", Native, Err(RedirectFault::Scheme)),
            ("http://app.example/cb", Web, Err(RedirectFault::Insecure)),
            ("http://127.0.0.1.nip.io/cb", Web, Err(RedirectFault::Insecure)),
            ("https://app.example/cb#", Web, Err(RedirectFault::Fragment)),
            ("https://u:p@app.example/cb", Web, Err(RedirectFault::User)),
            ("https://*.example/cb", Web, Err(RedirectFault::Wildcard)),
            ("https://app.example/a/../cb", Web, Err(RedirectFault::DotSegments)),
            ("https://app.example/%2e%2E/cb", Web, Err(RedirectFault::DotSegments)),
            ("https://good.example%40evil.example/cb", Web, Err(RedirectFault::Syntax)),
            ("http://localhost%2eevil.example/cb", Web, Err(RedirectFault::Syntax)),
            ("vbscript:x", Native, Err(RedirectFault::Scheme)),
            ("https:///cb", Web, Err(RedirectFault::Syntax)),
            ("https:cb", Web, Err(RedirectFault::Syntax)),
            ("/cb", Web, Err(RedirectFault::Syntax)),
            ("https://app.example/c b", Web, Err(RedirectFault::Syntax)),
        ] {
            assert_eq!(validate(uri, application), expect, "{uri}");
        }
    }

    proptest! {
        #[test]
        fn rfc9700_s4_1_3_nothing_but_a_loopback_port_is_free(
            a in "https?://(127\\.0\\.0\\.1|a)(:[12])?/[ab]?", b in "https?://(127\\.0\\.0\\.1|a)(:[12])?/[ab]?"
        ) {
            let bare = |text: &str| text.replace(":1/", "/").replace(":2/", "/");
            let loopback = a.starts_with("http://127.0.0.1");
            prop_assert_eq!(matches(&a, &b), a == b || (loopback && bare(&a) == bare(&b)));
        }
    }
}
