use super::*;
use crate::iplist::parse_net;
use proptest::prelude::*;

use AddressDoubt as Doubt;
use AddressHeader::{Forwarded, XForwardedFor};

fn walk(header: AddressHeader, peer: &str, lines: &[&str]) -> Result<(String, usize), Doubt> {
    let trusted = ["10.0.0.0/8", "2001:db8:1::/48"].map(|net| parse_net(net).unwrap());
    let lines = lines.iter().map(|line| line.as_bytes());
    client_address(peer.parse().unwrap(), &TrustedProxies::new(trusted), header, lines)
        .map(|client| (client.ip.to_string(), client.hops))
}

fn xff(peer: &str, lines: &[&str], expect: Result<(&str, usize), Doubt>) {
    let expect = expect.map(|(ip, hops)| (ip.to_owned(), hops));
    assert_eq!(walk(XForwardedFor, peer, lines), expect, "{peer} {lines:?}");
}

fn fwd(lines: &[&str], expect: Result<(&str, usize), Doubt>) {
    let expect = expect.map(|(ip, hops)| (ip.to_owned(), hops));
    assert_eq!(walk(Forwarded, "10.0.0.1", lines), expect, "{lines:?}");
}

#[test]
fn an_untrusted_peer_is_the_client_whatever_it_says() {
    xff("192.0.2.1", &["198.51.100.1"], Ok(("192.0.2.1", 0)));
    xff("192.0.2.1", &["10.0.0.2, nonsense"], Ok(("192.0.2.1", 0)));
    xff("::ffff:192.0.2.1", &["198.51.100.1"], Ok(("192.0.2.1", 0)));
    xff("2001:db8:2::1", &["198.51.100.1"], Ok(("2001:db8:2::1", 0)));
}

#[test]
fn an_empty_list_trusts_nobody() {
    let lines = [&b"198.51.100.1"[..]];
    for peer in ["127.0.0.1", "::1", "10.0.0.1"] {
        let peer: IpAddr = peer.parse().unwrap();
        let got =
            client_address(peer, &TrustedProxies::default(), XForwardedFor, lines.into_iter());
        assert_eq!(got, Ok(ClientAddress { ip: peer, hops: 0 }));
    }
}

#[test]
fn the_walk_stops_at_the_first_untrusted_hop_over_all_lines() {
    xff("10.0.0.1", &[], Ok(("10.0.0.1", 0)));
    xff("10.0.0.1", &["198.51.100.1"], Ok(("198.51.100.1", 1)));
    xff("::ffff:10.0.0.1", &["198.51.100.1"], Ok(("198.51.100.1", 1)));
    xff("10.0.0.1", &["1.1.1.1, 198.51.100.1"], Ok(("198.51.100.1", 1)));
    xff("10.0.0.1", &["1.1.1.1", "198.51.100.1,10.0.0.2"], Ok(("198.51.100.1", 2)));
    xff(
        "10.0.0.1",
        &["1.1.1.1, 198.51.100.1", "10.0.0.3", "::ffff:10.0.0.2"],
        Ok(("198.51.100.1", 3)),
    );
    // What the client wrote is not even read.
    xff("10.0.0.1", &["unknown, \u{fffd}, 198.51.100.1"], Ok(("198.51.100.1", 1)));
    xff("10.0.0.1", &["garbage", "198.51.100.1"], Ok(("198.51.100.1", 1)));
}

#[test]
fn when_all_are_trusted_the_leftmost_is_the_client() {
    xff("10.0.0.1", &["10.0.0.4, 10.0.0.3", "10.0.0.2"], Ok(("10.0.0.4", 3)));
}

#[test]
fn ports_and_brackets_are_taken() {
    for (text, expect) in [
        ("198.51.100.1:1234", "198.51.100.1"),
        ("[2001:db8::7]:443", "2001:db8::7"),
        ("[2001:db8::7]", "2001:db8::7"),
        ("2001:db8::7", "2001:db8::7"),
        ("::ffff:198.51.100.1", "198.51.100.1"),
        ("[::ffff:198.51.100.1]:80", "198.51.100.1"),
        ("\t 198.51.100.1 ", "198.51.100.1"),
    ] {
        xff("10.0.0.1", &[text], Ok((expect, 1)));
    }
}

#[test]
fn what_a_trusted_proxy_says_must_be_an_address() {
    for text in [
        "unknown",
        "_hidden",
        "localhost",
        "198.51.100",
        "198.51.100.1:",
        "198.51.100.1:99999",
        "198.51.100.1:+1",
        "[2001:db8::7",
        "2001:db8::7]",
        "[198.51.100.1]",
        "[2001:db8::7]443",
        "fe80::1%eth0",
        "\"198.51.100.1\"",
        "0198.51.100.1",
        "198.51.100.1 198.51.100.2",
        "\u{0661}",
    ] {
        xff("10.0.0.1", &[text], Err(Doubt::Unreadable));
        xff("10.0.0.1", &[&format!("{text}, 10.0.0.2")], Err(Doubt::Unreadable));
    }
}

#[test]
fn rfc9110_s5_6_1_empty_elements_are_ignored_within_bounds() {
    xff("10.0.0.1", &["198.51.100.1, ,", ""], Ok(("198.51.100.1", 1)));
    xff("10.0.0.1", &[&",".repeat(FORWARDED_HOPS - 1)], Ok(("10.0.0.1", 0)));
    xff("10.0.0.1", &[&",".repeat(FORWARDED_HOPS)], Err(Doubt::TooManyHops));
    xff("10.0.0.1", &[""; FORWARDED_HOPS + 1], Err(Doubt::TooManyHops));
    xff("10.0.0.1", &["10.0.0.2"; FORWARDED_HOPS + 1], Err(Doubt::TooManyHops));
    xff("10.0.0.1", &["10.0.0.2"; FORWARDED_HOPS], Ok(("10.0.0.2", FORWARDED_HOPS)));
}

#[test]
fn rfc7239_s4_elements_are_read() {
    fwd(&["for=198.51.100.1"], Ok(("198.51.100.1", 1)));
    fwd(&["For=\"[2001:db8:cafe::17]:4711\""], Ok(("2001:db8:cafe::17", 1)));
    fwd(&["for=192.0.2.60;proto=http;by=203.0.113.43"], Ok(("192.0.2.60", 1)));
    fwd(&["proto=https; FOR = x"], Err(Doubt::Malformed));
    fwd(&["proto=https ; FOR=\"192.0.2.43:_port\" ;"], Ok(("192.0.2.43", 1)));
    fwd(&["for=1.1.1.1, for=192.0.2.43", "for=10.0.0.9;host=\"a,b;c\""], Ok(("192.0.2.43", 2)));
    fwd(&["for=192.0.2.43;by=\"a\\\",b\", for=10.0.0.9"], Ok(("192.0.2.43", 2)));
    fwd(&["for=[2001:db8::7]:1"], Ok(("2001:db8::7", 1)));
    fwd(&["for=10.0.0.3", "", "for=10.0.0.2,"], Ok(("10.0.0.3", 2)));
}

#[test]
fn rfc7239_s4_what_breaks_the_grammar_is_refused() {
    for line in [
        "for",
        "=1.2.3.4",
        "for=",
        "for=\"1.2.3.4",
        "for=\"1.2.3.4\"x",
        "f r=1.2.3.4",
        "for=1.2 .3",
    ] {
        fwd(&[line], Err(Doubt::Malformed));
    }
    fwd(&["for=unknown"], Err(Doubt::Unreadable));
    fwd(&["for=\"_gazonk\""], Err(Doubt::Unreadable));
    fwd(&["for=\"1.2.3.\\4\""], Err(Doubt::Unreadable));
    fwd(&["proto=https"], Err(Doubt::NoCaller));
    fwd(&["for=1.2.3.4;For=5.6.7.8"], Err(Doubt::NoCaller));
    fwd(&["for=1.2.3.4,".repeat(FORWARDED_HOPS).as_str()], Err(Doubt::TooManyHops));
}

#[test]
fn a_quote_that_a_caller_opens_cannot_swallow_what_a_proxy_appends() {
    for own in ["for=1.1.1.1;x=\"", "for=\"1.1.1.1", "for=1.1.1.1;by=\"\\", "\""] {
        for appended in
            ["for=198.51.100.1", "for=\"198.51.100.1:80\"", "for=\"[2001:db8::7]\";proto=http"]
        {
            let got = walk(Forwarded, "10.0.0.1", &[&format!("{own}, {appended}")]);
            assert!(got.is_err(), "{own} {appended}: {got:?}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn agrees_with_the_model(hops in prop::collection::vec((any::<bool>(), any::<u8>(), any::<bool>()), 0..12)) {
        // Hops from the left; the peer is trusted. `true`: a trusted proxy. The last flag breaks the line.
        let address = |(trusted, n, _): &(bool, u8, bool)| {
            format!("{}.0.0.{n}", if *trusted { "10" } else { "192" })
        };
        for header in [XForwardedFor, Forwarded] {
            let mut lines = vec![String::new()];
            for hop in &hops {
                if hop.2 {
                    lines.push(String::new());
                }
                let line = lines.last_mut().unwrap();
                if !line.is_empty() {
                    line.push_str(", ");
                }
                line.push_str(if header == Forwarded { "for=" } else { "" });
                line.push_str(&address(hop));
            }
            let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
            let expect = match hops.iter().rposition(|(trusted, _, _)| !trusted) {
                Some(at) => (address(&hops[at]), hops.len() - at),
                None => (hops.first().map_or("10.0.0.1".to_owned(), address), hops.len()),
            };
            prop_assert_eq!(walk(header, "10.0.0.1", &lines), Ok(expect));
        }
    }

    #[test]
    fn walking_never_panics(lines in prop::collection::vec("[0-9a-f.:,;=\"\\\\ for\\[\\]_]{0,60}", 0..4)) {
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        let _ = walk(XForwardedFor, "10.0.0.1", &lines);
        let _ = walk(Forwarded, "10.0.0.1", &lines);
    }

    #[test]
    fn a_caller_never_chooses_its_address(
        own in "[0-9a-f.:,;=\"\\\\ for\\[\\]_]{0,60}",
        quoted in any::<bool>(),
    ) {
        // Whatever the caller sends, the proxy appends the caller's true address.
        let appended = if quoted { "for=\"198.51.100.1:80\"" } else { "for=198.51.100.1" };
        let true_ip = "198.51.100.1".to_owned();
        for (header, line) in [
            (Forwarded, format!("{own}, {appended}")),
            (XForwardedFor, format!("{own}, 198.51.100.1")),
        ] {
            if let Ok((ip, _)) = walk(header, "10.0.0.1", &[&line]) {
                prop_assert_eq!(&ip, &true_ip);
            }
        }
    }
}
