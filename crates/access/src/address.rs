//! The client's address: the socket's peer, or what trusted proxies say.
//!
//! Owns: walking `X-Forwarded-For` and `Forwarded` (RFC 7239) from the socket leftward.
//!
//! Never does: trust the leftmost entry because it stands there, look at a header that an untrusted peer
//! sent, or guess.
//!
//! Invariants:
//! - The answer is the first address, from the socket leftward over all header lines, that is no trusted
//!   proxy; when all are trusted, the leftmost. What stands further left was written by somebody who is not
//!   trusted and is never looked at in `X-Forwarded-For`.
//! - A list of trusted proxies without entries trusts nobody.
//! - When a trusted proxy says something that is no address (`unknown`, `_hidden`, a mistake), or nothing of
//!   its own caller, there is no answer but an error: any other choice would judge somebody else's address.

use crate::iplist::NetSet;
use base::limits::FORWARDED_HOPS;
use ipnet::IpNet;
use std::net::{IpAddr, Ipv6Addr};

mod forwarded;
#[cfg(test)]
mod tests;

/// The proxies whose word is taken. Empty trusts nobody.
#[derive(Debug, Clone, Default)]
pub struct TrustedProxies(NetSet);

impl TrustedProxies {
    /// These nets are trusted.
    pub fn new(nets: impl IntoIterator<Item = IpNet>) -> Self {
        Self(NetSet::new(nets))
    }

    /// Whether an address is a trusted proxy's; mapped IPv4 counts as IPv4.
    pub fn contains(&self, ip: IpAddr) -> bool {
        self.0.contains(ip)
    }
}

/// Which header the trusted proxies write. Only one is ever read, or a caller could fill in the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AddressHeader {
    /// `X-Forwarded-For`: addresses separated by commas.
    XForwardedFor,
    /// `Forwarded`, RFC 7239.
    Forwarded,
}

impl AddressHeader {
    /// The header's name in lower case.
    pub fn name(self) -> &'static str {
        match self {
            Self::XForwardedFor => "x-forwarded-for",
            Self::Forwarded => "forwarded",
        }
    }
}

/// Where a request comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientAddress {
    /// The client's address; a mapped IPv4 address as IPv4.
    pub ip: IpAddr,
    /// How many trusted proxies stand between it and us; 0 when the peer is the client.
    pub hops: usize,
}

/// Why the client's address is not known. Answered with `address.malformed`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AddressDoubt {
    /// What a trusted proxy wrote is no address.
    #[error("a trusted proxy named a caller that is no address")]
    Unreadable,
    /// A trusted proxy's `Forwarded` element says nothing of its caller, or says it twice.
    #[error("a trusted proxy did not say which caller it had")]
    NoCaller,
    /// The header breaks the grammar of RFC 7239 §4.
    #[error("the forwarded header is malformed")]
    Malformed,
    /// More than [`FORWARDED_HOPS`] elements to walk.
    #[error("the address header has more than {FORWARDED_HOPS} hops")]
    TooManyHops,
}

/// Finds the client's address. `lines` are the values of all lines of `header`, in the order of the request.
///
/// # Errors
/// When a trusted proxy's word cannot be read; the request is then refused.
pub fn client_address<'a>(
    peer: IpAddr,
    trusted: &TrustedProxies,
    header: AddressHeader,
    lines: impl DoubleEndedIterator<Item = &'a [u8]>,
) -> Result<ClientAddress, AddressDoubt> {
    let mut walk = Walk { trusted, ip: peer.to_canonical(), hops: 0, elements: 0 };
    for line in lines.rev() {
        if !trusted.contains(walk.ip) {
            break;
        }
        match header {
            AddressHeader::XForwardedFor => walk.line(line.rsplit(|byte| *byte == b','), node)?,
            AddressHeader::Forwarded => {
                let elements = forwarded::elements(line)?;
                walk.line(elements.iter().rev(), forwarded::caller)?;
            }
        }
    }
    Ok(ClientAddress { ip: walk.ip, hops: walk.hops })
}

/// Where the walk stands.
struct Walk<'t> {
    trusted: &'t TrustedProxies,
    ip: IpAddr,
    hops: usize,
    elements: usize,
}

impl Walk<'_> {
    /// Takes the elements of one line, the last one first, while the address is a trusted proxy's.
    fn line<'a>(
        &mut self,
        elements: impl Iterator<Item = &'a [u8]>,
        read: impl Fn(&'a [u8]) -> Result<IpAddr, AddressDoubt>,
    ) -> Result<(), AddressDoubt> {
        for element in elements {
            if !self.trusted.contains(self.ip) {
                break;
            }
            self.elements += 1;
            if self.elements > FORWARDED_HOPS {
                return Err(AddressDoubt::TooManyHops);
            }
            let element = element.trim_ascii();
            // RFC 9110 §5.6.1.2: empty list elements are ignored, but not without number.
            if !element.is_empty() {
                self.ip = read(element)?.to_canonical();
                self.hops += 1;
            }
        }
        Ok(())
    }
}

/// An address with or without a port: `192.0.2.7`, `192.0.2.7:80`, `2001:db8::1`, `[2001:db8::1]`,
/// `[2001:db8::1]:80` (RFC 7239 §6, and what proxies write into `X-Forwarded-For`).
fn node(text: &[u8]) -> Result<IpAddr, AddressDoubt> {
    std::str::from_utf8(text).ok().and_then(parse_node).ok_or(AddressDoubt::Unreadable)
}

fn parse_node(text: &str) -> Option<IpAddr> {
    if let Some(inner) = text.strip_prefix('[') {
        let (v6, port) = inner.split_once(']')?;
        let port = port.strip_prefix(':').map_or(port.is_empty(), is_port);
        return v6.parse::<Ipv6Addr>().ok().filter(|_| port).map(IpAddr::V6);
    }
    match text.split_once(':') {
        // WHY: two colons make it a bare IPv6 address, which cannot have a port.
        Some((v4, port)) if !port.contains(':') => {
            v4.parse().ok().filter(|_| is_port(port)).map(IpAddr::V4)
        }
        _ => text.parse().ok(),
    }
}

/// RFC 7239 §6.3: a port is one to five digits, or an obfuscated one that begins with `_`.
fn is_port(text: &str) -> bool {
    match text.strip_prefix('_') {
        Some(rest) => {
            !rest.is_empty()
                && rest
                    .bytes()
                    .all(|c| c.is_ascii_alphanumeric() || matches!(c, b'.' | b'_' | b'-'))
        }
        None => {
            (1..=5).contains(&text.len())
                && text.bytes().all(|c| c.is_ascii_digit())
                && text.parse::<u16>().is_ok()
        }
    }
}
