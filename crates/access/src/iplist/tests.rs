use super::*;
use proptest::prelude::*;

const NOW: UnixMs = UnixMs(1_000_000);

fn list(allow: Option<&[&str]>, deny: &[&str]) -> IpList {
    let mut builder = IpListBuilder::new();
    if let Some(allow) = allow {
        builder.declare(Side::Allow);
        allow.iter().for_each(|text| builder.add(Side::Allow, text.parse().unwrap()));
    }
    deny.iter().for_each(|text| builder.add(Side::Deny, text.parse().unwrap()));
    builder.build().unwrap()
}

fn runtime(side: Side, net: &str, id: &str, expires: UnixMs) -> OverlayEntry {
    let origin = Origin::Runtime { id: id.into(), expires };
    OverlayEntry { side, net: parse_net(net).unwrap(), origin }
}

fn named(net: &str, name: &str) -> OverlayEntry {
    let origin = Origin::Name(name.into());
    OverlayEntry { side: Side::Allow, net: parse_net(net).unwrap(), origin }
}

/// `+RULE`, `-RULE` or nothing.
fn judged(list: &IpList, ip: &str) -> String {
    match list.judge(ip.parse().unwrap(), NOW) {
        Verdict::Allowed { rule: Some(rule) } => format!("+{rule}"),
        Verdict::Allowed { rule: None } => "+".to_owned(),
        Verdict::Denied { rule } => format!("-{rule}"),
        Verdict::NotListed => String::new(),
    }
}

#[test]
fn deny_wins_and_the_longest_prefix_names_the_rule() {
    let list =
        list(Some(&["10.0.0.0/8", "10.1.0.0/16", "10.1.2.3"]), &["10.1.0.0/20", "10.1.1.0/24"]);
    assert_eq!(judged(&list, "10.2.0.0"), "+10.0.0.0/8");
    assert_eq!(judged(&list, "10.1.255.1"), "+10.1.0.0/16");
    assert_eq!(judged(&list, "10.1.1.1"), "-10.1.1.0/24");
    assert_eq!(judged(&list, "10.1.2.3"), "-10.1.0.0/20");
    assert_eq!(judged(&list, "11.0.0.0"), "");
    assert_eq!(judged(&list, "9.255.255.255"), "");
}

#[test]
fn the_edges_of_the_families_are_covered() {
    let list = list(Some(&["0.0.0.0/0", "255.255.255.255", "::/0", "ffff::/16"]), &[]);
    assert_eq!(judged(&list, "0.0.0.0"), "+0.0.0.0/0");
    assert_eq!(judged(&list, "255.255.255.255"), "+255.255.255.255");
    assert_eq!(judged(&list, "::"), "+::/0");
    assert_eq!(judged(&list, "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"), "+ffff::/16");
}

#[test]
fn mapped_addresses_are_ipv4() {
    let v4 = list(Some(&["192.0.2.0/24"]), &["::ffff:192.0.2.64/122"]);
    assert_eq!(judged(&v4, "::ffff:192.0.2.1"), "+192.0.2.0/24");
    assert_eq!(judged(&v4, "192.0.2.65"), "-192.0.2.64/26");
    let v6 = list(Some(&["::/0"]), &[]);
    assert_eq!(judged(&v6, "::ffff:192.0.2.1"), "");
    assert_eq!(judged(&v6, "192.0.2.1"), "");
}

#[test]
fn only_the_file_opens_a_list() {
    let open = list(None, &["192.0.2.66"]);
    assert_eq!(judged(&open, "192.0.2.1"), "+");
    assert_eq!(judged(&open, "192.0.2.66"), "-192.0.2.66");
    // An entry at run time does not close an open list to others, nor can it lift a denial.
    let more = vec![runtime(Side::Allow, "192.0.2.66", "e1", UnixMs(i64::MAX))];
    let open = open.with_overlay(more).unwrap();
    assert_eq!(judged(&open, "192.0.2.1"), "+");
    assert_eq!(judged(&open, "192.0.2.66"), "-192.0.2.66");

    assert_eq!(judged(&list(Some(&[]), &[]), "192.0.2.1"), "");
    assert_eq!(judged(&list(Some(&["dns:vpn.example.com"]), &[]), "192.0.2.1"), "");
    assert_eq!(IpListBuilder::new().build().unwrap_err(), ListError::Empty);
}

#[test]
fn an_overlay_adds_and_expires() {
    let base = list(Some(&["192.0.2.0/24", "dns:VPN.example.com."]), &[]);
    assert_eq!(base.names().collect::<Vec<_>>(), [(Side::Allow, "vpn.example.com")]);
    let list = base
        .with_overlay(vec![
            named("198.51.100.7", "vpn.example.com"),
            runtime(Side::Allow, "203.0.113.7", "gone", NOW),
            runtime(Side::Allow, "203.0.113.0/24", "wide", UnixMs(NOW.0 + 1)),
            runtime(Side::Allow, "203.0.113.8", "short", UnixMs(NOW.0 - 1)),
            runtime(Side::Allow, "203.0.113.8", "long", UnixMs(NOW.0 + 9)),
            runtime(Side::Deny, "192.0.2.9", "ban", UnixMs(NOW.0 + 1)),
        ])
        .unwrap();
    assert_eq!(judged(&list, "198.51.100.7"), "+dns:vpn.example.com (198.51.100.7)");
    assert_eq!(judged(&list, "203.0.113.7"), "+203.0.113.0/24 (run-time wide)");
    assert_eq!(judged(&list, "203.0.113.8"), "+203.0.113.8 (run-time long)");
    assert_eq!(judged(&list, "192.0.2.9"), "-192.0.2.9 (run-time ban)");
    let later = UnixMs(NOW.0 + 1);
    let ip = |text: &str| text.parse::<IpAddr>().unwrap();
    assert_eq!(list.judge(ip("203.0.113.7"), later), Verdict::NotListed);
    assert!(matches!(list.judge(ip("192.0.2.9"), later), Verdict::Allowed { .. }));
    // The list that was before is as it was.
    assert_eq!(judged(&base, "198.51.100.7"), "");
    assert_eq!(judged(&list.with_overlay(Vec::new()).unwrap(), "198.51.100.7"), "");

    let shown: Vec<_> = list
        .explain(ip("203.0.113.8"), NOW)
        .iter()
        .map(|m| format!("{}{}", m.rule, if m.expired { " expired" } else { "" }))
        .collect();
    assert_eq!(
        shown,
        [
            "203.0.113.8 (run-time short) expired",
            "203.0.113.8 (run-time long)",
            "203.0.113.0/24 (run-time wide)"
        ]
    );
}

#[test]
fn overlays_are_bounded() {
    let base = list(Some(&[]), &[]);
    let entry = runtime(Side::Allow, "192.0.2.1", "e", UnixMs(i64::MAX));
    assert!(base.with_overlay(vec![entry.clone(); OVERLAY_ENTRIES]).is_ok());
    let many = base.with_overlay(vec![entry; OVERLAY_ENTRIES + 1]);
    assert_eq!(many.unwrap_err(), ListError::OverlayFull(OVERLAY_ENTRIES + 1));
}

#[test]
fn entries_are_read_strictly() {
    let good = |text: &str, expect: &str| assert_eq!(parse_net(text).unwrap().to_string(), expect);
    good("192.0.2.7", "192.0.2.7/32");
    good("10.0.0.0/8", "10.0.0.0/8");
    good("0.0.0.0/0", "0.0.0.0/0");
    good("2001:DB8::/32", "2001:db8::/32");
    good("::ffff:1.2.3.0/120", "1.2.3.0/24");
    good("::ffff:1.2.3.4", "1.2.3.4/32");
    for text in [
        "",
        "10.0.0",
        "10.0.0.0/",
        "10.0.0.0/33",
        "10.0.0.0/+8",
        "10.0.0.0/08",
        "1.2.3.4 ",
        "010.0.0.0",
    ] {
        assert!(parse_net(text).is_err(), "{text}");
    }
    for text in
        ["::/129", "fe80::1%eth0", "[::1]", "*", "10.*", "10.0.0.0-10.0.0.9", "office", "DNS:a.b"]
    {
        assert!(text.parse::<Entry>().is_err(), "{text}");
    }
    assert_eq!(parse_net("::ffff:0:0/95"), Err(EntryError::Mapped));
    let error = parse_net("10.0.0.1/8").unwrap_err().to_string();
    assert!(error.ends_with("write 10.0.0.0/8 or 10.0.0.1"), "{error}");
    for text in ["dns:", "dns:a b", "dns:-a.b", "dns:a..b", "dns:192.0.2.7", "dns:http://a"] {
        assert_eq!(text.parse::<Entry>(), Err(EntryError::Name), "{text}");
    }
}

fn net() -> impl Strategy<Value = IpNet> {
    // Few bits vary, so that prefixes nest and repeat.
    prop_oneof![
        (0u32..16, 26u8..=32).prop_map(|(host, length)| {
            let bits = u32::from_be_bytes([192, 0, 2, 0]) | (host << 2);
            IpNet::new(IpAddr::V4(bits.into()), length).unwrap().trunc()
        }),
        (0u128..16, 120u8..=128).prop_map(|(host, length)| {
            IpNet::new(IpAddr::V6((0x2001_0db8_u128 << 96 | host << 3).into()), length)
                .unwrap()
                .trunc()
        }),
        prop::sample::select(vec!["0.0.0.0/0", "255.255.255.255", "::/0"])
            .prop_map(|text| parse_net(text).unwrap()),
    ]
}

fn side() -> impl Strategy<Value = Side> {
    prop_oneof![2 => Just(Side::Allow), 1 => Just(Side::Deny)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn agrees_with_the_model(
        base in prop::collection::vec((side(), net()), 0..20),
        over in prop::collection::vec((side(), net(), 0i64..4), 0..20),
        closed in any::<bool>(),
        asked in prop::collection::vec(net(), 1..20),
    ) {
        let mut builder = IpListBuilder::new();
        builder.declare(Side::Deny);
        if closed {
            builder.declare(Side::Allow);
        }
        let closed = closed || base.iter().any(|(side, _)| *side == Side::Allow);
        base.iter().for_each(|(side, net)| builder.add(*side, Entry::Net(*net)));
        let entries = over.iter().map(|(side, net, expires)| {
            let origin = Origin::Runtime { id: "e".into(), expires: UnixMs(*expires) };
            OverlayEntry { side: *side, net: *net, origin }
        });
        let list = builder.build().unwrap().with_overlay(entries.collect()).unwrap();
        for (ip, now) in asked.iter().map(|net| net.addr()).zip((0..3).cycle()) {
            // The longest prefix that matches, among those that count.
            let best = |wanted: Side| {
                let fixed = base.iter().filter(|(s, n)| *s == wanted && n.contains(&ip)).map(|(_, n)| n);
                let live = over.iter()
                    .filter(|(s, n, expires)| *s == wanted && n.contains(&ip) && *expires > now)
                    .map(|(_, n, _)| n);
                // The base names the rule where both match.
                fixed.max_by_key(|n| n.prefix_len()).or(live.max_by_key(|n| n.prefix_len()))
            };
            let got = match list.judge(ip, UnixMs(now)) {
                Verdict::Allowed { rule } => (Some(Side::Allow), rule.map(|rule| rule.net)),
                Verdict::Denied { rule } => (Some(Side::Deny), Some(rule.net)),
                Verdict::NotListed => (None, None),
            };
            let expect = match (best(Side::Deny), best(Side::Allow)) {
                (Some(net), _) => (Some(Side::Deny), Some(*net)),
                (None, Some(net)) => (Some(Side::Allow), Some(*net)),
                (None, None) if closed => (None, None),
                (None, None) => (Some(Side::Allow), None),
            };
            prop_assert_eq!(got, expect, "{} at {}", ip, now);
            let matching = list.explain(ip, UnixMs(now)).len();
            let all = base.iter().map(|(_, n)| n).chain(over.iter().map(|(_, n, _)| n));
            prop_assert_eq!(matching, all.filter(|n| n.contains(&ip)).count());
        }
    }

    #[test]
    fn reading_an_entry_never_panics(text in "(dns:)?[0-9a-f:./%]{0,20}") {
        let _ = text.parse::<Entry>();
    }

    #[test]
    fn a_set_agrees_with_its_nets(nets in prop::collection::vec(net(), 0..8), asked in net()) {
        let ip = asked.addr();
        let expect = nets.iter().any(|net| net.contains(&ip));
        prop_assert_eq!(NetSet::new(nets).contains(ip), expect);
    }
}
