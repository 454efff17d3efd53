//! From a URL to what is asked of whom. Pure.
//!
//! Invariant: the host that is judged, resolved and named in `Host` and SNI is one and the same string.

use base::limits::REQUEST_TARGET_BYTES;
use http::Uri;
use http::uri::Authority;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Bytes of a host name (RFC 1035 §2.3.4).
const HOST_BYTES: usize = 253;
/// Ports that a URL from outside may name: HTTPS, and its usual second port. A third would let a document
/// aim the gate at services that are not web servers.
const OUTSIDE_PORTS: [u16; 2] = [443, 8443];

/// Who is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Host {
    /// A name, to be resolved; lower case.
    Name(String),
    /// An address literal.
    Address(IpAddr),
}

impl Host {
    /// As TLS and the resolver want it: an IPv6 address without brackets.
    pub(crate) fn text(&self) -> String {
        match self {
            Self::Name(name) => name.clone(),
            Self::Address(address) => address.to_string(),
        }
    }
}

/// A URL taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    /// Whether TLS is spoken.
    pub(crate) secure: bool,
    /// Who is asked.
    pub(crate) host: Host,
    /// The TCP port.
    pub(crate) port: u16,
    /// The `Host` header (RFC 9110 §7.2).
    pub(crate) authority: String,
    /// Path and query.
    pub(crate) path: String,
}

impl Target {
    /// Reads `url`; the reason when it may not be fetched. `operator` says whose URL it is.
    pub(crate) fn read(url: &str, operator: bool) -> Result<Self, &'static str> {
        if url.len() > REQUEST_TARGET_BYTES {
            return Err("the URL is longer than 8 KiB");
        }
        if url.contains('#') || !url.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err("the URL has a fragment, a space or a character outside ASCII");
        }
        let uri: Uri = url.parse().map_err(|_| "not an absolute URL")?;
        let secure = match uri.scheme_str() {
            Some("https") => true,
            Some("http") if operator => false,
            Some("http") => return Err("https is needed"),
            _ => return Err("the scheme is neither https nor http"),
        };
        let authority = uri.authority().ok_or("the URL has no host")?;
        // RFC 9110 §4.2.4: userinfo in a URL is refused, it serves to disguise the host.
        if authority.as_str().contains('@') {
            return Err("the URL has a user name");
        }
        let port = port(authority, secure)?;
        if !operator && !OUTSIDE_PORTS.contains(&port) {
            return Err("the port is not 443 or 8443");
        }
        let path = uri.path_and_query().map_or("/", |it| it.as_str()).to_owned();
        let host = host(authority.host())?;
        Ok(Self { secure, host, port, authority: authority.as_str().to_ascii_lowercase(), path })
    }
}

fn port(authority: &Authority, secure: bool) -> Result<u16, &'static str> {
    let bare = authority.as_str().len() == authority.host().len();
    match authority.port_u16() {
        Some(0) => Err("the port is 0"),
        Some(port) => Ok(port),
        None if bare => Ok(if secure { 443 } else { 80 }),
        None => Err("the port is not a number"),
    }
}

fn host(text: &str) -> Result<Host, &'static str> {
    if let Some(inner) = text.strip_prefix('[') {
        let inner = inner.strip_suffix(']').ok_or("the host is not an address")?;
        let address: Ipv6Addr = inner.parse().map_err(|_| "the host is not an address")?;
        return Ok(Host::Address(IpAddr::V6(address)));
    }
    if let Ok(address) = text.parse::<Ipv4Addr>() {
        return Ok(Host::Address(IpAddr::V4(address)));
    }
    name(text).map(Host::Name)
}

/// A host name in lower case; not one that some parser would read as an IPv4 address (`127.1`,
/// `0x7f000001`, `2130706433`).
fn name(text: &str) -> Result<String, &'static str> {
    let known = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
    if text.is_empty() || text.len() > HOST_BYTES || !text.bytes().all(known) {
        return Err("the host is not a name");
    }
    let labels = text.strip_suffix('.').unwrap_or(text);
    if labels.split('.').any(|label| label.is_empty() || label.len() > 63) {
        return Err("the host is not a name");
    }
    let last = labels.rsplit('.').next().unwrap_or(labels).to_ascii_lowercase();
    let hex = last.strip_prefix("0x").is_some_and(|it| it.bytes().all(|b| b.is_ascii_hexdigit()));
    if hex || last.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err("the host is a disguised address");
    }
    Ok(text.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(url: &str, operator: bool, expect: Result<(&str, u16, &str), &str>) {
        let got = Target::read(url, operator);
        match (&got, expect) {
            (Ok(target), Ok((host, port, path))) => {
                assert_eq!(
                    (target.host.text().as_str(), target.port, target.path.as_str()),
                    (host, port, path),
                    "{url}"
                );
            }
            (Err(why), Err(part)) => assert!(why.contains(part), "{url}: {why}"),
            _ => panic!("{url}: {got:?}, expected {expect:?}"),
        }
    }

    #[test]
    fn urls_from_outside() {
        check("https://Login.Example/jwks?a=b", false, Ok(("login.example", 443, "/jwks?a=b")));
        check("https://login.example:8443", false, Ok(("login.example", 8443, "/")));
        check("https://[2606:4700::1]/x", false, Ok(("2606:4700::1", 443, "/x")));
        check("http://login.example/", false, Err("https is needed"));
        check("https://login.example:22/", false, Err("port"));
        check("https://login.example:80/", false, Err("port"));
        check("https://login.example:/", false, Err("port"));
        check("https://login.example:99999/", false, Err(""));
        check("https://user@login.example/", false, Err("user name"));
        check("https://user:pw@login.example/", false, Err("user name"));
        check("https://good.example@127.0.0.1/", false, Err("user name"));
        check("file:///etc/passwd", false, Err(""));
        check("gopher://login.example/", false, Err("scheme"));
        check("ftp://login.example/", false, Err("scheme"));
        check("/jwks", false, Err("scheme"));
        check("login.example", false, Err("scheme"));
        check("https://login.example/#x", false, Err("fragment"));
        check("https://login.example/a b", false, Err("space"));
        check("https://login.example/\r\nX: y", false, Err("space"));
        check("https://löwe.example/", false, Err("ASCII"));
        check("https://127.1/", false, Err("disguised"));
        check("https://0x7f000001/", false, Err("disguised"));
        check("https://2130706433/", false, Err("disguised"));
        check("https://0177.0.0.1/", false, Err("disguised"));
        check("https://a..b/", false, Err("not a name"));
        check("https://[fe80::1%25eth0]/", false, Err(""));
        check("https:///x", false, Err(""));
        check("", false, Err("not an absolute URL"));
    }

    #[test]
    fn urls_of_the_operator() {
        check("http://127.0.0.1:9000/jwks", true, Ok(("127.0.0.1", 9000, "/jwks")));
        check("http://keycloak:8080/", true, Ok(("keycloak", 8080, "/")));
        check("http://localhost", true, Ok(("localhost", 80, "/")));
        check("https://user@host/", true, Err("user name"));
        check("http://host:0/", true, Err("port"));
        check(&format!("https://host/{}", "a".repeat(9000)), true, Err("longer"));
    }
}
