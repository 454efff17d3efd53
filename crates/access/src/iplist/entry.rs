//! One entry of a list, as it stands in the file or on the command line.

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use std::net::{IpAddr, Ipv4Addr};

/// The side of a list that an entry stands on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Side {
    /// Lets in.
    Allow,
    /// Keeps out.
    Deny,
}

/// A parsed entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// Addresses.
    Net(IpNet),
    /// A name whose addresses count, lower case, without `dns:` and without the final dot.
    Name(Box<str>),
}

/// Characters of a host name (RFC 1035 §2.3.4).
const NAME_CHARS: usize = 253;
/// Characters of one label of a host name (RFC 1035 §2.3.4).
const LABEL_CHARS: usize = 63;

/// Why an entry cannot be read; the text is the hint.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EntryError {
    /// Neither an address, a prefix nor a name.
    #[error(
        "not an address; write one like 192.0.2.7, 192.0.2.0/24, 2001:db8::/32 or dns:vpn.example.com"
    )]
    Address,
    /// The length after `/` is not a number that fits.
    #[error("the prefix length must be a number from 0 to {max}")]
    Length {
        /// The greatest length of the address's family.
        max: u8,
    },
    /// Bits beyond the prefix length are set: perhaps another prefix was meant.
    #[error("the address has bits beyond its prefix length; write {network} or {address}")]
    HostBits {
        /// The prefix that contains the address.
        network: IpNet,
        /// The address alone.
        address: IpAddr,
    },
    /// A prefix of mapped IPv4 addresses that is shorter than the mapping.
    #[error(
        "a prefix of ::ffff:0:0 must have a length of 96 at least; write the IPv4 prefix instead"
    )]
    Mapped,
    /// Not a host name.
    #[error("not a host name after dns:; write one like dns:vpn.example.com")]
    Name,
}

impl std::str::FromStr for Entry {
    type Err = EntryError;

    fn from_str(text: &str) -> Result<Self, EntryError> {
        match text.strip_prefix("dns:") {
            Some(name) => host_name(name).map(Self::Name),
            None => parse_net(text).map(Self::Net),
        }
    }
}

/// An address or a prefix in CIDR notation (RFC 4632 §3.1, RFC 4291 §2.3). Mapped IPv4 becomes IPv4.
///
/// # Errors
/// When it is neither, or has bits set beyond its length (`10.0.0.1/8`), with a hint what to write.
pub fn parse_net(text: &str) -> Result<IpNet, EntryError> {
    let (address, length) = match text.split_once('/') {
        Some((address, length)) => (address, Some(length)),
        None => (text, None),
    };
    let address: IpAddr = address.parse().map_err(|_| EntryError::Address)?;
    let max = if address.is_ipv4() { 32 } else { 128 };
    let length = match length {
        None => max,
        Some(digits) => prefix_length(digits, max).ok_or(EntryError::Length { max })?,
    };
    let net = match address {
        IpAddr::V4(v4) => Ipv4Net::new(v4, length).map(IpNet::V4),
        IpAddr::V6(v6) => match v6.to_ipv4_mapped() {
            Some(v4) => return mapped(v4, length),
            None => Ipv6Net::new(v6, length).map(IpNet::V6),
        },
    };
    whole(net.map_err(|_| EntryError::Length { max })?)
}

fn mapped(v4: Ipv4Addr, length: u8) -> Result<IpNet, EntryError> {
    let length = length.checked_sub(96).ok_or(EntryError::Mapped)?;
    whole(IpNet::V4(Ipv4Net::new(v4, length).map_err(|_| EntryError::Mapped)?))
}

/// A decimal number without sign or leading zeros.
fn prefix_length(digits: &str, max: u8) -> Option<u8> {
    let plain = digits.bytes().all(|c| c.is_ascii_digit())
        && !(digits.len() > 1 && digits.starts_with('0'));
    digits.parse().ok().filter(|length| plain && *length <= max)
}

fn whole(net: IpNet) -> Result<IpNet, EntryError> {
    if net.trunc() == net {
        Ok(net)
    } else {
        Err(EntryError::HostBits { network: net.trunc(), address: net.addr() })
    }
}

fn host_name(text: &str) -> Result<Box<str>, EntryError> {
    let name = text.strip_suffix('.').unwrap_or(text);
    let label = |label: &str| {
        (1..=LABEL_CHARS).contains(&label.len())
            && label.bytes().all(|c| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'_'))
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    // WHY: `dns:192.0.2.7` is most likely a mistake, and an address needs no resolver.
    let address = name.bytes().all(|c| c.is_ascii_digit() || c == b'.');
    if name.len() > NAME_CHARS || address || !name.split('.').all(label) {
        return Err(EntryError::Name);
    }
    Ok(name.to_ascii_lowercase().into_boxed_str())
}
