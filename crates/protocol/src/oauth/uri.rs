//! URIs (RFC 3986), as far as an authorization server must take them apart.
//!
//! Owns: splitting, the characters that are allowed, the normal form of http and https URIs.
//!
//! Never does: repair. What is no URI by the grammar is none, so that no browser can read it differently.
//!
//! Invariant: a parsed text is ASCII without space, control characters, `\`, `"`, `<`, `>`, `^`, `` ` ``,
//! `{`, `|` and `}`, and every `%` begins an escape.

use std::fmt::Write as _;

/// Characters of a URI in a request or a document.
pub const URI_CHARS: usize = 2048;

/// An absolute URI, split.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Uri<'a> {
    /// The scheme, as it was written.
    pub scheme: &'a str,
    /// What stands after `//`.
    pub authority: Option<Authority<'a>>,
    /// The path; may be empty.
    pub path: &'a str,
    /// What stands after `?`.
    pub query: Option<&'a str>,
    /// What stands after `#`.
    pub fragment: Option<&'a str>,
}

/// The authority of a URI (RFC 3986 §3.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Authority<'a> {
    /// Whether a user stands before the host.
    pub user: bool,
    /// The host, as it was written; IPv6 with its brackets.
    pub host: &'a str,
    /// The port, where one is written.
    pub port: Option<u16>,
}

impl<'a> Uri<'a> {
    /// Splits an absolute URI; `None` when `text` is none, or is longer than [`URI_CHARS`].
    pub fn parse(text: &'a str) -> Option<Self> {
        if text.len() > URI_CHARS || !legal(text.as_bytes()) {
            return None;
        }
        let (scheme, rest) = text.split_once(':')?;
        // RFC 3986 §3.1: scheme = ALPHA *( ALPHA / DIGIT / "+" / "-" / "." )
        let scheme_char = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'+' | b'-' | b'.');
        if !scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            || !scheme.bytes().all(scheme_char)
        {
            return None;
        }
        let (rest, fragment) = cut(rest, '#');
        let (rest, query) = cut(rest, '?');
        let (authority, path) = match rest.strip_prefix("//") {
            None => (None, rest),
            Some(rest) => {
                let end = rest.find('/').unwrap_or(rest.len());
                let (authority, path) = rest.split_at_checked(end)?;
                (Some(Authority::parse(authority)?), path)
            }
        };
        let foreign = |part: &str| part.contains(['#', '[', ']']);
        if foreign(path) || query.is_some_and(foreign) || fragment.is_some_and(foreign) {
            return None;
        }
        Some(Self { scheme, authority, path, query, fragment })
    }

    /// Whether the scheme is `name`, without regard to case (RFC 3986 §3.1).
    pub fn is(&self, name: &str) -> bool {
        self.scheme.eq_ignore_ascii_case(name)
    }

    /// The host of an http or https URI that has one and names no user.
    pub fn web_host(&self) -> Option<&'a str> {
        let authority = self.authority.filter(|it| !it.user && !it.host.is_empty())?;
        (self.is("https") || self.is("http")).then_some(authority.host)
    }

    /// Whether a segment of the path is `.` or `..`, written out or escaped.
    pub fn has_dot_segments(&self) -> bool {
        let bare = |segment: &str| segment.replace("%2e", ".").replace("%2E", ".");
        self.path.split('/').map(bare).any(|segment| segment == "." || segment == "..")
    }

    /// An http or https URI without query and fragment in its normal form: scheme and host in lower case, no
    /// default port, escapes only where needed and in upper case, no dot segments, `/` for an empty path
    /// (RFC 3986 §6.2.2, §6.2.3). `None` for other URIs and where a user is named.
    pub fn normal_web(&self) -> Option<String> {
        let host = self.web_host()?.to_ascii_lowercase();
        let scheme = self.scheme.to_ascii_lowercase();
        let default = if scheme == "https" { 443 } else { 80 };
        let mut out = format!("{scheme}://{host}");
        if let Some(port) = self.authority.and_then(|it| it.port).filter(|port| *port != default) {
            let _ = write!(out, ":{port}");
        }
        out.push_str(&without_dots(&normal_escapes(self.path)));
        Some(out)
    }
}

impl<'a> Authority<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let (user, rest) = match text.rsplit_once('@') {
            None => (false, text),
            Some((user, _)) if user.contains(['@', '[', ']']) => return None,
            Some((_, rest)) => (true, rest),
        };
        let end = if rest.starts_with('[') {
            rest.find(']')? + 1
        } else {
            rest.find(':').unwrap_or(rest.len())
        };
        let (host, port) = rest.split_at_checked(end)?;
        let port = match port.strip_prefix(':') {
            // RFC 3986 §3.2.3 allows an empty port; one spelling is enough.
            Some(digits) if !digits.is_empty() && digits.bytes().all(|c| c.is_ascii_digit()) => {
                Some(digits.parse::<u16>().ok()?)
            }
            None if port.is_empty() => None,
            _ => return None,
        };
        let fits = match host.strip_prefix('[') {
            Some(address) => address.strip_suffix(']')?.parse::<std::net::Ipv6Addr>().is_ok(),
            // WHY: RFC 3986 §3.2.2 allows escapes and more; a name that DNS can have does not, and what a
            // browser makes of the rest is not what a person reads.
            None => {
                host.bytes().all(|c| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'.' | b'_'))
            }
        };
        fits.then_some(Self { user, host, port })
    }
}

/// Whether `text` is an absolute URI without fragment (RFC 8707 §2, RFC 6749 §3.1.2).
pub fn is_absolute(text: &str) -> bool {
    Uri::parse(text).is_some_and(|uri| uri.fragment.is_none())
}

/// Whether `text` is an https URL with a host and without user and fragment.
pub fn is_https(text: &str) -> bool {
    let uri = Uri::parse(text);
    uri.is_some_and(|uri| uri.is("https") && uri.web_host().is_some() && uri.fragment.is_none())
}

/// Whether `host` is this machine by address or name.
pub fn is_loopback(host: &str) -> bool {
    is_loopback_address(host) || host.eq_ignore_ascii_case("localhost")
}

/// Whether `host` is this machine by address (RFC 8252 §7.3).
pub fn is_loopback_address(host: &str) -> bool {
    host == "127.0.0.1" || host == "[::1]"
}

fn cut(text: &str, at: char) -> (&str, Option<&str>) {
    text.split_once(at).map_or((text, None), |(before, after)| (before, Some(after)))
}

/// RFC 3986 §2: unreserved, reserved, and complete escapes.
fn legal(text: &[u8]) -> bool {
    let escape = |at: usize| {
        text.get(at + 1..at + 3).is_some_and(|hex| hex.iter().all(u8::is_ascii_hexdigit))
    };
    text.iter().enumerate().all(|(at, c)| match c {
        b'%' => escape(at),
        b'-' | b'.' | b'_' | b'~' | b':' | b'/' | b'?' | b'#' | b'[' | b']' | b'@' | b'!' => true,
        b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b',' | b';' | b'=' => true,
        other => other.is_ascii_alphanumeric(),
    })
}

/// RFC 3986 §6.2.2.1, §6.2.2.2: escapes in upper case, none of unreserved characters.
fn normal_escapes(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    let mut rest = path;
    while let Some((before, after)) = rest.split_once('%') {
        out.push_str(before);
        let (hex, tail) = after.split_at_checked(2).unwrap_or((after, ""));
        match u8::from_str_radix(hex, 16).map(char::from) {
            Ok(c) if c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_' | '~') => out.push(c),
            _ => {
                out.push('%');
                out.push_str(&hex.to_ascii_uppercase());
            }
        }
        rest = tail;
    }
    out.push_str(rest);
    out
}

/// RFC 3986 §5.2.4, for a path that is empty or begins with `/`.
fn without_dots(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    let mut segments = path.split('/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        let last = segments.peek().is_none();
        match segment {
            "." | ".." => {
                if segment == ".." {
                    kept.pop();
                }
                if last {
                    kept.push("");
                }
            }
            other => kept.push(other),
        }
    }
    format!("/{}", kept.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn rfc3986_s3_parts() {
        let uri = Uri::parse("https://u@[::1]:8443/a/b?c=/d?#e").unwrap();
        let authority = Authority { user: true, host: "[::1]", port: Some(8443) };
        assert_eq!((uri.scheme, uri.authority, uri.path), ("https", Some(authority), "/a/b"));
        assert_eq!((uri.query, uri.fragment), (Some("c=/d?"), Some("e")));
        let uri = Uri::parse("com.example.app:/cb").unwrap();
        assert_eq!((uri.scheme, uri.authority, uri.path), ("com.example.app", None, "/cb"));
        for bad in [
            "",
            "a",
            "/a",
            "//a/b",
            "1a:b",
            "a b:c",
            ":a",
            "https://a b",
            "https://a\\b",
            "https://a/%",
            "https://a/%2",
            "https://a/%zz",
            "https://a:/",
            "https://a:x/",
            "https://a:65536/",
            "https://a:80:80/",
            "https://[::1/",
            "https://[zz]/",
            "https://a[b]/",
            "https://a/[",
            "https://a/b#c#d",
            "https://\u{e4}.example/",
            "https://a@b@c/",
            "https://a%40b/",
            "https://a%2e/",
            "https://a,b/",
            "https://a!/",
            "https://a/\"",
        ] {
            assert_eq!(Uri::parse(bad), None, "{bad}");
        }
        assert_eq!(Uri::parse(&format!("https://a/{}", "b".repeat(URI_CHARS))), None);
    }

    #[test]
    fn rfc3986_s6_2_2_normal_form() {
        for (text, expect) in [
            ("HTTPS://Example.COM", "https://example.com/"),
            ("https://a:443/b", "https://a/b"),
            ("http://a:80", "http://a/"),
            ("http://a:443", "http://a:443/"),
            ("https://a/%7euser/%2f%c3%a4?q#f", "https://a/~user/%2F%C3%A4"),
            ("https://a/b/../c/./d/..", "https://a/c/"),
            ("https://a/../../b", "https://a/b"),
            ("https://a/b/%2e%2E/c", "https://a/c"),
            ("https://a/b//c/", "https://a/b//c/"),
        ] {
            assert_eq!(Uri::parse(text).unwrap().normal_web().unwrap(), expect, "{text}");
        }
        assert_eq!(Uri::parse("https://u@a/").unwrap().normal_web(), None);
        assert_eq!(Uri::parse("ftp://a/").unwrap().normal_web(), None);
    }

    proptest! {
        #[test]
        fn nothing_panics(text in any::<String>()) {
            let _ = Uri::parse(&text).map(|uri| (uri.normal_web(), uri.has_dot_segments()));
        }

        #[test]
        fn the_normal_form_is_stable(text in "https?://[aB](:80)?(/[a.%2eE~]{0,4}){0,4}(\\?q)?") {
            if let Some(normal) = Uri::parse(&text).and_then(|uri| uri.normal_web()) {
                let again = Uri::parse(&normal).and_then(|uri| uri.normal_web());
                prop_assert_eq!(again, Some(normal));
            }
        }
    }
}
