//! Address headers: whatever a caller writes, the walk ends at an untrusted hop or at the peer.

#![no_main]

use access::address::{AddressHeader, TrustedProxies, client_address};
use access::iplist::{Entry, parse_net};
use libfuzzer_sys::fuzz_target;
use std::net::IpAddr;

fuzz_target!(|data: &[u8]| {
    if let Ok(text) = std::str::from_utf8(data) {
        let _ = text.parse::<Entry>();
        let _ = parse_net(text);
    }
    let inner: TrustedProxies = TrustedProxies::new(["10.0.0.0/8".parse().expect("a network")]);
    let nobody = TrustedProxies::new([]);
    let (outside, proxy): (IpAddr, IpAddr) = ([192, 0, 2, 1].into(), [10, 0, 0, 1].into());
    let lines: Vec<&[u8]> = data.split(|byte| *byte == b'\n').collect();
    for header in [AddressHeader::XForwardedFor, AddressHeader::Forwarded] {
        for trusted in [&inner, &nobody] {
            // Nobody whom we do not trust can say who they are.
            let found = client_address(outside, trusted, header, lines.iter().copied());
            assert_eq!(found.map(|it| (it.ip, it.hops)), Ok((outside, 0)));
        }
        if let Ok(found) = client_address(proxy, &inner, header, lines.iter().copied()) {
            assert!(found.hops > 0 || found.ip == proxy);
        }
    }
});
