//! The PROXY protocol, versions 1 and 2, as a receiver (HAProxy's `proxy-protocol.txt`).
//!
//! Owns: reading the header from the first bytes of a connection.
//!
//! Never does: decide whether the peer may send one. Whoever calls it has asked
//! [`crate::address::TrustedProxies`] first; the header of an untrusted peer is not read but refused.
//!
//! Invariants: a header is whole or there is none; what does not begin like a header is an error at its
//! first wrong byte, so that nobody waits for more; never more than [`V1_BYTES`] or [`V2_BYTES`] are asked
//! for. A mapped IPv4 address comes out as IPv4.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

mod crc32c;
#[cfg(test)]
mod tests;

/// Bytes of a version 1 header, line end included (`proxy-protocol.txt` §2.1).
pub const V1_BYTES: usize = 107;
/// Bytes of a version 2 header. §2.2 has senders stay below 536; the longest that we know of, with TLS,
/// authority and unique-id TLVs, has about 700.
pub const V2_BYTES: usize = 1024;

const V1_SIGNATURE: &[u8] = b"PROXY ";
const V2_SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
/// Signature, command, family and length of a version 2 header.
const V2_FIXED: usize = 16;
/// The TLV with a checksum over the whole header (§2.2.3).
const TLV_CRC32C: u8 = 0x03;

/// What the first bytes hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parse {
    /// The beginning of a header; read more and ask again.
    Incomplete,
    /// A whole header.
    Done {
        /// What it says.
        header: ProxyHeader,
        /// How many bytes it takes; what follows belongs to the connection.
        consumed: usize,
    },
}

/// What a proxy says of the connection that it forwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ProxyHeader {
    /// Where the connection comes from. `None` when the proxy does not say (`UNKNOWN`, `UNSPEC`, a Unix
    /// socket, or its own health check): then the socket's own peer is the client.
    pub source: Option<SocketAddr>,
    /// Where it was made to.
    pub destination: Option<SocketAddr>,
    /// Whether the proxy speaks for itself (`LOCAL`), as in a health check.
    pub local: bool,
}

/// Why there is no header. The connection is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProxyError {
    /// The bytes do not begin like a header.
    #[error("the connection does not begin with a proxy header")]
    NoHeader,
    /// Longer than [`V1_BYTES`] or [`V2_BYTES`].
    #[error("the proxy header is too long")]
    TooLong,
    /// A version, command or transport that does not exist, or no stream.
    #[error("the proxy header has an unknown version, command or family")]
    Unsupported,
    /// Addresses, ports or lengths that are wrong.
    #[error("the proxy header is malformed")]
    Malformed,
    /// The checksum is not that of the header.
    #[error("the proxy header's checksum is wrong")]
    Checksum,
}

/// Reads a header from the first bytes of a connection.
///
/// # Errors
/// When no header begins here, or it is malformed.
pub fn parse(bytes: &[u8]) -> Result<Parse, ProxyError> {
    if begins(bytes, V2_SIGNATURE) {
        return if bytes.len() < V2_FIXED { Ok(Parse::Incomplete) } else { version_2(bytes) };
    }
    if begins(bytes, V1_SIGNATURE) {
        return version_1(bytes);
    }
    Err(ProxyError::NoHeader)
}

/// Whether `bytes` and `signature` agree as far as both go.
fn begins(bytes: &[u8], signature: &[u8]) -> bool {
    bytes.iter().zip(signature).all(|(a, b)| a == b)
}

fn version_1(bytes: &[u8]) -> Result<Parse, ProxyError> {
    let seen = bytes.get(..V1_BYTES).unwrap_or(bytes);
    let Some(end) = seen.windows(2).position(|pair| pair == b"\r\n") else {
        return if bytes.len() < V1_BYTES {
            Ok(Parse::Incomplete)
        } else {
            Err(ProxyError::TooLong)
        };
    };
    let line = seen.get(V1_SIGNATURE.len()..end).ok_or(ProxyError::Malformed)?;
    let line = std::str::from_utf8(line).map_err(|_| ProxyError::Malformed)?;
    let consumed = end + 2;
    let mut words = line.split(' ');
    let family = words.next();
    // §2.1: after UNKNOWN the receiver ignores what stands before the line end.
    if family == Some("UNKNOWN") {
        return Ok(Parse::Done { header: ProxyHeader::default(), consumed });
    }
    let (Some(source), Some(destination), Some(from), Some(to), None) =
        (words.next(), words.next(), words.next(), words.next(), words.next())
    else {
        return Err(ProxyError::Malformed);
    };
    let address = |text: &str| match family {
        Some("TCP4") => text.parse().map(IpAddr::V4).map_err(|_| ProxyError::Malformed),
        Some("TCP6") => text.parse().map(IpAddr::V6).map_err(|_| ProxyError::Malformed),
        _ => Err(ProxyError::Unsupported),
    };
    let header = ProxyHeader {
        source: Some(socket(address(source)?, port(from)?)),
        destination: Some(socket(address(destination)?, port(to)?)),
        local: false,
    };
    Ok(Parse::Done { header, consumed })
}

/// §2.1: a decimal number without leading zeros.
fn port(text: &str) -> Result<u16, ProxyError> {
    let plain = text.bytes().all(|c| c.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    text.parse().ok().filter(|_| plain).ok_or(ProxyError::Malformed)
}

fn socket(ip: IpAddr, port: u16) -> SocketAddr {
    SocketAddr::new(ip.to_canonical(), port)
}

fn version_2(bytes: &[u8]) -> Result<Parse, ProxyError> {
    let mut cursor = Cursor(bytes.get(V2_SIGNATURE.len()..).unwrap_or_default());
    let (command, family) = (cursor.byte()?, cursor.byte()?);
    let length = usize::from(u16::from_be_bytes(cursor.array()?));
    let local = match command {
        0x20 => true,
        0x21 => false,
        _ => return Err(ProxyError::Unsupported),
    };
    let consumed = V2_FIXED + length;
    if consumed > V2_BYTES {
        return Err(ProxyError::TooLong);
    }
    let Some(whole) = bytes.get(..consumed) else {
        return Ok(Parse::Incomplete);
    };
    let mut cursor = Cursor(whole.get(V2_FIXED..).unwrap_or_default());
    // §2.2: the addresses of LOCAL are discarded, and whatever its family says, it must be accepted.
    if local {
        return Ok(Parse::Done { header: ProxyHeader { local, ..Default::default() }, consumed });
    }
    let addresses = match family {
        0x00 => None,
        0x11 => {
            let (source, destination) =
                (Ipv4Addr::from(cursor.array()?), Ipv4Addr::from(cursor.array()?));
            Some((source.into(), destination.into()))
        }
        0x21 => {
            let (source, destination) =
                (Ipv6Addr::from(cursor.array::<16>()?), Ipv6Addr::from(cursor.array::<16>()?));
            Some((source.into(), destination.into()))
        }
        0x31 => {
            cursor.array::<216>()?;
            None
        }
        _ => return Err(ProxyError::Unsupported),
    };
    let mut header = ProxyHeader::default();
    if let Some((source, destination)) = addresses {
        header.source = Some(socket(source, u16::from_be_bytes(cursor.array()?)));
        header.destination = Some(socket(destination, u16::from_be_bytes(cursor.array()?)));
    }
    // §2.2: with UNSPEC all that follows is skipped, TLVs or not.
    if family != 0x00 {
        check_tlvs(whole, cursor)?;
    }
    Ok(Parse::Done { header, consumed })
}

/// Walks the TLVs: their lengths must fill the header, and a checksum must be right. Nothing else of them
/// is used.
fn check_tlvs(whole: &[u8], mut cursor: Cursor<'_>) -> Result<(), ProxyError> {
    while !cursor.0.is_empty() {
        let kind = cursor.byte()?;
        let length = usize::from(u16::from_be_bytes(cursor.array()?));
        let at = whole.len() - cursor.0.len();
        let value = cursor.take(length)?;
        if kind == TLV_CRC32C {
            // §2.2.3: computed over the whole header with the checksum itself taken as zero.
            let claimed = u32::from_be_bytes(value.try_into().map_err(|_| ProxyError::Malformed)?);
            let zeroed = whole
                .iter()
                .enumerate()
                .map(|(i, b)| if (at..at + 4).contains(&i) { 0 } else { *b });
            if crc32c::checksum(zeroed) != claimed {
                return Err(ProxyError::Checksum);
            }
        }
    }
    Ok(())
}

/// Bytes that are taken from the front.
struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], ProxyError> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(ProxyError::Malformed)?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], ProxyError> {
        self.take(N)?.try_into().map_err(|_| ProxyError::Malformed)
    }

    fn byte(&mut self) -> Result<u8, ProxyError> {
        self.array::<1>().map(|[byte]| byte)
    }
}
