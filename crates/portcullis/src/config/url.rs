//! `http` and `https` URLs of the file.

use super::problem::ProblemCode;
use super::reader::{Field, Reader};
use super::text::host_name;
use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

/// An absolute `http` or `https` URL without user information and fragment.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct WebUrl {
    text: String,
    https: bool,
    host: String,
    port: u16,
    authority_end: usize,
}

impl WebUrl {
    /// Reads a URL.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        if text.len() > 2048 || !text.bytes().all(|b| (0x21..=0x7e).contains(&b)) {
            return Err("a URL has only visible ASCII characters, at most 2048");
        }
        if text.contains(['\\', '"', '<', '>', '`', '{', '}', '|', '^']) {
            return Err("the URL has a character that must be percent-encoded");
        }
        let (scheme, rest) =
            text.split_once("://").ok_or("a URL begins with http:// or https://")?;
        let https = match scheme.to_ascii_lowercase().as_str() {
            "http" => false,
            "https" => true,
            _ => return Err("a URL begins with http:// or https://"),
        };
        if rest.contains('#') {
            return Err("the URL must not have a fragment");
        }
        let length = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, _) = rest.split_at_checked(length).unwrap_or((rest, ""));
        if authority.contains('@') {
            return Err("the URL must not hold a user name or password");
        }
        let (host, port) = split_authority(authority)?;
        let port = port.unwrap_or(if https { 443 } else { 80 });
        let authority_end = text.len() - rest.len() + length;
        Ok(Self { text: text.to_owned(), https, host, port, authority_end })
    }

    /// The origin of a host that is known to be well formed. The scheme's own port is left out.
    pub(super) fn on(https: bool, host: &str, port: u16) -> Self {
        let scheme = if https { "https" } else { "http" };
        let shown = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
        let own = if https { 443 } else { 80 };
        let port_text = if port == own { String::new() } else { format!(":{port}") };
        let text = format!("{scheme}://{shown}{port_text}");
        let authority_end = text.len();
        Self { text, https, host: host.to_owned(), port, authority_end }
    }

    /// The URL exactly as written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether the scheme is `https`.
    pub fn is_https(&self) -> bool {
        self.https
    }

    /// The host in lower case; IPv6 addresses without brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port, the scheme's own when none is written.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Scheme and authority, without path.
    pub fn origin(&self) -> &str {
        self.text.get(..self.authority_end).unwrap_or(&self.text)
    }

    /// Path and query; empty when none is written.
    pub fn path(&self) -> &str {
        self.text.get(self.authority_end..).unwrap_or_default()
    }

    /// Whether the host is `localhost` or a loopback address.
    pub fn is_loopback(&self) -> bool {
        self.host == "localhost" || self.host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
    }
}

/// Host and port of what stands between `://` and the path.
pub(super) fn split_authority(authority: &str) -> Result<(String, Option<u16>), &'static str> {
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest.split_once(']').ok_or("the address lacks its `]`")?;
            let host: Ipv6Addr = host.parse().map_err(|_| "not an IPv6 address")?;
            (host.to_string(), port)
        }
        None => {
            let at = authority.find(':').unwrap_or(authority.len());
            let (host, port) = authority.split_at_checked(at).unwrap_or((authority, ""));
            let address = host.parse::<std::net::Ipv4Addr>().is_ok();
            let name = if address { Some(host.to_owned()) } else { host_name(host) };
            (name.ok_or("the URL's host is neither a host name nor an address")?, port)
        }
    };
    match port.strip_prefix(':') {
        None if port.is_empty() => Ok((host, None)),
        Some(digits) if !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) => {
            let port: u16 = digits.parse().map_err(|_| "the port is too large")?;
            if port == 0 { Err("the port must not be 0") } else { Ok((host, Some(port))) }
        }
        _ => Err("what follows the host must be a port"),
    }
}

impl fmt::Debug for WebUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.text, f)
    }
}

impl fmt::Display for WebUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Reader<'_> {
    /// A URL.
    pub(super) fn url(&mut self, field: &Field<'_>) -> Option<WebUrl> {
        let text = self.text(field)?;
        match WebUrl::parse(&text) {
            Ok(url) => Some(url),
            Err(why) => {
                self.problem(ProblemCode::Value, &field.at, why);
                None
            }
        }
    }

    /// A URL without path or query: an origin.
    pub(super) fn origin(&mut self, field: &Field<'_>) -> Option<WebUrl> {
        let url = self.url(field)?;
        if !matches!(url.path(), "" | "/") {
            let message = "only scheme, host and port can stand here";
            let hint = format!("write {:?}", url.origin());
            self.hinted(ProblemCode::Value, &field.at, message, hint);
            return None;
        }
        WebUrl::parse(url.origin()).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts() {
        let url = WebUrl::parse("https://API.example.com/a?b").unwrap();
        assert_eq!((url.host(), url.port(), url.path()), ("api.example.com", 443, "/a?b"));
        assert_eq!(url.origin(), "https://API.example.com");
        let url = WebUrl::parse("http://[::1]:9000").unwrap();
        assert_eq!((url.host(), url.port(), url.path()), ("::1", 9000, ""));
        assert!(url.is_loopback());
    }

    #[test]
    fn refused() {
        for text in [
            "",
            "ftp://x",
            "http://",
            "http://u:p@x",
            "http://x#f",
            "http://x:0",
            "http://x:99999",
            "http://x:+1",
            "http://x:",
            "http://[::1",
            "http://[x]",
            "http://a b",
            "http://-a",
            "http://x\\y",
            "https://ä",
            "http://127.1/",
        ] {
            assert!(WebUrl::parse(text).is_err(), "{text}");
        }
    }
}
