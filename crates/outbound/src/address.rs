//! Which addresses a URL from outside may lead to. Pure.
//!
//! Invariant: what is not known to be public is refused, in every form that IPv6 gives to an IPv4 address.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A range of IPv4 addresses and why it is refused.
struct V4Range {
    base: u32,
    bits: u32,
    why: &'static str,
}

const fn v4(a: u8, b: u8, c: u8, bits: u32, why: &'static str) -> V4Range {
    V4Range { base: u32::from_be_bytes([a, b, c, 0]), bits, why }
}

/// IANA's special-purpose registry (RFC 6890) as far as it is not globally reachable, and multicast.
const REFUSED_V4: &[V4Range] = &[
    v4(0, 0, 0, 8, "this network"),
    v4(10, 0, 0, 8, "private"),
    v4(100, 64, 0, 10, "carrier-grade NAT"),
    v4(127, 0, 0, 8, "loopback"),
    v4(169, 254, 0, 16, "link-local"),
    v4(172, 16, 0, 12, "private"),
    v4(192, 0, 0, 24, "protocol assignments"),
    v4(192, 0, 2, 24, "documentation"),
    v4(192, 88, 99, 24, "6to4 relay"),
    v4(192, 168, 0, 16, "private"),
    v4(198, 18, 0, 15, "benchmarking"),
    v4(198, 51, 100, 24, "documentation"),
    v4(203, 0, 113, 24, "documentation"),
    v4(224, 0, 0, 4, "multicast"),
    v4(240, 0, 0, 4, "reserved"),
];

/// A cloud's host service that answers on a public-looking address.
const HOST_SERVICE: Ipv4Addr = Ipv4Addr::new(168, 63, 129, 16);

/// Why a URL from outside may not lead to `address`; `None` when it is public.
pub fn refusal(address: IpAddr) -> Option<&'static str> {
    match address {
        IpAddr::V4(address) => refusal_v4(address),
        IpAddr::V6(address) => refusal_v6(address),
    }
}

fn refusal_v4(address: Ipv4Addr) -> Option<&'static str> {
    if address == HOST_SERVICE {
        return Some("host service");
    }
    let number = u32::from(address);
    let inside = |range: &&V4Range| (number ^ range.base) >> (32 - range.bits) == 0;
    REFUSED_V4.iter().find(inside).map(|range| range.why)
}

fn refusal_v6(address: Ipv6Addr) -> Option<&'static str> {
    if let Some(inner) = embedded_v4(address) {
        return refusal_v4(inner);
    }
    match address.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0] => Some("unspecified"),
        [0, 0, 0, 0, 0, 0, 0, 1] => Some("loopback"),
        // RFC 4193: unique local.
        [a, ..] if a & 0xfe00 == 0xfc00 => Some("unique local"),
        // RFC 4291 §2.5.6, and the deprecated site-local range beside it.
        [a, ..] if a & 0xff80 == 0xfe80 => Some("link-local"),
        [a, ..] if a & 0xff00 == 0xff00 => Some("multicast"),
        // RFC 4380 (Teredo) and the rest of 2001::/23: tunnels and protocol assignments.
        [0x2001, b, ..] if b & 0xfe00 == 0 => Some("protocol assignments"),
        [0x2001, 0x0db8, ..] => Some("documentation"),
        [0x3fff, b, ..] if b & 0xf000 == 0 => Some("documentation"),
        // RFC 4291 §2.4: global unicast is 2000::/3; nothing else is allotted.
        [a, ..] if a & 0xe000 == 0x2000 => None,
        _ => Some("not global unicast"),
    }
}

/// The IPv4 address that a gateway, or the kernel, would take out of an IPv6 address.
fn embedded_v4(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let join = |high: u16, low: u16| Ipv4Addr::from((u32::from(high) << 16) | u32::from(low));
    match address.segments() {
        // RFC 4291 §2.5.5.2: v4-mapped.
        [0, 0, 0, 0, 0, 0xffff, high, low] => Some(join(high, low)),
        // RFC 2765 §2.1: v4-translated.
        [0, 0, 0, 0, 0xffff, 0, high, low] => Some(join(high, low)),
        // RFC 6052 §2.1: the well-known NAT64 prefix.
        [0x0064, 0xff9b, 0, 0, 0, 0, high, low] => Some(join(high, low)),
        // RFC 3056 §2: 6to4.
        [0x2002, high, low, ..] => Some(join(high, low)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_public_is_refused() {
        let refused = [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "10.255.255.255",
            "100.64.0.1",
            "100.100.100.200",
            "100.127.255.255",
            "127.0.0.1",
            "127.255.255.254",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.1",
            "192.0.0.192",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.7",
            "203.0.113.7",
            "224.0.0.1",
            "239.255.255.255",
            "240.0.0.1",
            "255.255.255.255",
            "168.63.129.16",
            "::",
            "::1",
            "::2",
            "::127.0.0.1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::ffff:169.254.169.254",
            "::ffff:0:10.0.0.1",
            "64:ff9b::127.0.0.1",
            "64:ff9b::a9fe:a9fe",
            "64:ff9b:1::8.8.8.8",
            "100::1",
            "2002:7f00:1::",
            "2002:a00:1::1",
            "2002:a9fe:a9fe::1",
            "2001::1",
            "2001:0:4136:e378:8000:63bf:3fff:fdd2",
            "2001:10::1",
            "2001:db8::1",
            "3fff::1",
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1",
            "febf::1",
            "fec0::1",
            "ff02::1",
            "4000::1",
            "5f00::1",
        ];
        for text in refused {
            assert!(refusal(text.parse().unwrap()).is_some(), "{text} must be refused");
        }
    }

    #[test]
    fn what_is_public_is_taken() {
        let taken = [
            "1.1.1.1",
            "8.8.8.8",
            "9.255.255.255",
            "11.0.0.1",
            "100.63.255.255",
            "100.128.0.1",
            "126.255.255.255",
            "128.0.0.1",
            "169.253.255.255",
            "172.15.255.255",
            "172.32.0.1",
            "192.0.1.1",
            "192.167.255.255",
            "198.17.255.255",
            "198.20.0.1",
            "223.255.255.255",
            "2606:4700::1111",
            "2001:4860:4860::8888",
            "2001:200::1",
            "64:ff9b::8.8.8.8",
            "2002:808:808::1",
            "::ffff:8.8.8.8",
            "2a00::1",
            "3ffe::1",
        ];
        for text in taken {
            assert_eq!(refusal(text.parse().unwrap()), None, "{text} is public");
        }
    }
}
