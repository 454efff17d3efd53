//! Address lists, and whose address it is.

use crate::setup::*;
use serde_json::{Value, json};
use std::net::{IpAddr, Ipv4Addr};
use testkit::{Gate, RawClient, Response, Upstream, wait};

/// A proxy that is trusted, and one that is not.
const PROXY: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 1));
const STRANGER: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 9));

fn start(up: &Upstream, header: Option<&str>) -> Gate {
    let lists = "[[ip_list]]\nname = \"office\"\nallow = [\"192.0.2.0/24\", \"2001:db8::/32\"]\n\
                 deny = [\"192.0.2.66\"]\n[[ip_list]]\nname = \"local\"\nallow = [\"dns:localhost\"]\n\
                 [[ip_list]]\nname = \"closed\"\nallow = []\n\
                 [[ip_list]]\nname = \"but\"\ndeny = [\"198.51.100.0/24\"]\n";
    let open = |list: &str| {
        route(
            list,
            &format!("/{list}"),
            &format!("access = \"public\"\nmethods = [\"GET\"]\nip = [\"{list}\"]"),
        )
    };
    let trust = header.map(|header| {
        format!(
            "proxies = {{ trusted = [\"127.0.0.1\", \"10.0.0.0/8\"], header = \"{header}\" }}\n"
        )
    });
    Gate::builder()
        .listener(&trust.unwrap_or_default())
        .rest(
            &(lists.to_owned()
                + &upstream(up)
                + &open("office")
                + &open("local")
                + &open("closed")
                + &open("but")
                + &route("all", "/all", "access = \"public\"\nmethods = [\"GET\"]")),
        )
        .start()
}

fn call(gate: &Gate, from: IpAddr, path: &str, headers: &[(&str, &str)]) -> Response {
    let mut client = RawClient::connect_from(from, &gate.address());
    client.exchange(head(path, headers))
}

fn head(path: &str, headers: &[(&str, &str)]) -> String {
    let lines: String =
        headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n{lines}\r\n")
}

/// Sends address headers over the proxy; what the upstream is told, or the refusal's code.
fn seen(gate: &Gate, up: &Upstream, from: IpAddr, name: &str, lines: &[&str]) -> String {
    let headers: Vec<(&str, &str)> = lines.iter().map(|line| (name, *line)).collect();
    let count = up.count();
    let answer = call(gate, from, "/all", &headers);
    if answer.status != 200 {
        assert_eq!(up.count(), count);
        return answer.code();
    }
    let told = up.last();
    assert_eq!(told.values("forwarded"), Vec::<String>::new());
    told.header("x-forwarded-for").expect("one line")
}

#[test]
fn x_forwarded_for_is_walked_from_the_socket_to_the_first_stranger() {
    let up = Upstream::ok();
    let gate = start(&up, Some("x-forwarded-for"));
    let bad = "address.malformed";
    for (lines, expect) in [
        (&["203.0.113.7"][..], "203.0.113.7"),
        // What stands further left was written by who knows whom.
        (&["192.0.2.1, 203.0.113.7"], "203.0.113.7"),
        (&["192.0.2.1, 203.0.113.7, 10.1.2.3"], "203.0.113.7"),
        (&["192.0.2.1", "203.0.113.7"], "203.0.113.7"),
        (&["192.0.2.1", "203.0.113.7, 10.0.0.1", "10.0.0.2"], "203.0.113.7"),
        (&["192.0.2.1, 203.0.113.7", ""], "203.0.113.7"),
        (&["garbage, 203.0.113.7"], "203.0.113.7"),
        (&["10.0.0.1, 10.0.0.2"], "10.0.0.1"),
        (&["::ffff:203.0.113.7"], "203.0.113.7"),
        (&["2001:db8::7"], "2001:db8::7"),
        (&[], "127.0.0.1"),
        (&["203.0.113.7, unknown"], bad),
        (&["203.0.113.7 192.0.2.1"], bad),
        (&["0203.0.113.7"], bad),
    ] {
        assert_eq!(seen(&gate, &up, PROXY, "X-Forwarded-For", lines), expect, "{lines:?}");
    }
    // The other headers are not asked, and a stranger's are not believed.
    assert_eq!(seen(&gate, &up, PROXY, "Forwarded", &["for=192.0.2.1"]), "127.0.0.1");
    assert_eq!(seen(&gate, &up, PROXY, "X-Real-IP", &["192.0.2.1"]), "127.0.0.1");
    assert_eq!(seen(&gate, &up, STRANGER, "X-Forwarded-For", &["192.0.2.1"]), "127.0.0.9");
    assert_eq!(seen(&gate, &up, STRANGER, "X-Forwarded-For", &["garbage"]), "127.0.0.9");
}

#[test]
fn rfc7239_forwarded_is_walked_likewise() {
    let up = Upstream::ok();
    let gate = start(&up, Some("forwarded"));
    let bad = "address.malformed";
    for (lines, expect) in [
        (&["for=203.0.113.7"][..], "203.0.113.7"),
        (
            &["for=192.0.2.1, for=203.0.113.7;proto=https;by=10.0.0.1, FOR=\"10.0.0.2:80\""],
            "203.0.113.7",
        ),
        (&["for=192.0.2.1", "for=\"[2001:db8::7]:4711\""], "2001:db8::7"),
        (&["for=\"[::ffff:203.0.113.7]\""], "203.0.113.7"),
        (&[], "127.0.0.1"),
        (&["for=203.0.113.7, for=unknown"], bad),
        (&["for=203.0.113.7, for=_hidden"], bad),
        (&["for=203.0.113.7, proto=https"], bad),
        (&["for=192.0.2.1;for=203.0.113.7"], bad),
        (&["for=\"192.0.2.1, for=203.0.113.7"], bad),
    ] {
        assert_eq!(seen(&gate, &up, PROXY, "Forwarded", lines), expect, "{lines:?}");
    }
    assert_eq!(seen(&gate, &up, PROXY, "X-Forwarded-For", &["192.0.2.1"]), "127.0.0.1");
    assert_eq!(seen(&gate, &up, STRANGER, "Forwarded", &["for=192.0.2.1"]), "127.0.0.9");
}

#[test]
fn without_trusted_proxies_nobody_is_believed() {
    let up = Upstream::ok();
    let gate = start(&up, None);
    for name in ["X-Forwarded-For", "X-Real-IP", "True-Client-IP", "Client-IP"] {
        assert_eq!(seen(&gate, &up, PROXY, name, &["192.0.2.1"]), "127.0.0.1", "{name}");
    }
    assert_eq!(seen(&gate, &up, PROXY, "Forwarded", &["for=192.0.2.1"]), "127.0.0.1");
    let forwarded = [("x-forwarded-for", "192.0.2.1")];
    let said = said(&call(&gate, PROXY, "/office", &forwarded));
    assert_eq!(said, refused(403, "address.not_listed"));
}

/// A version 2 header (`proxy-protocol.txt` §2.2).
fn v2(command: u8, source: IpAddr) -> Vec<u8> {
    let mut addresses = Vec::new();
    let family = match source {
        IpAddr::V4(ip) => {
            addresses.extend(ip.octets());
            addresses.extend([127, 0, 0, 1]);
            0x11
        }
        IpAddr::V6(ip) => {
            addresses.extend(ip.octets());
            addresses.extend([0; 16]);
            0x21
        }
    };
    addresses.extend([0x10, 0x00, 0x00, 0x50]);
    let mut header = b"\r\n\r\n\0\r\nQUIT\n".to_vec();
    header.extend([0x20 | command, family, 0, addresses.len() as u8]);
    header.extend(addresses);
    header
}

#[test]
fn proxy_protocol_names_the_client_of_a_trusted_peer_only() {
    let up = Upstream::ok();
    let gate = start(&up, Some("proxy-protocol"));
    let ask = head("/all", &[("X-Forwarded-For", "192.0.2.1")]);
    let v4 = "203.0.113.7".parse().expect("an address");
    let v6 = "2001:db8::7".parse().expect("an address");
    let mapped = "::ffff:203.0.113.7".parse().expect("an address");
    for (header, expect) in [
        (b"PROXY TCP4 203.0.113.7 127.0.0.1 4711 80\r\n".to_vec(), "203.0.113.7"),
        (b"PROXY TCP6 2001:db8::7 ::1 4711 80\r\n".to_vec(), "2001:db8::7"),
        (b"PROXY UNKNOWN\r\n".to_vec(), "127.0.0.1"),
        (v2(1, v4), "203.0.113.7"),
        (v2(1, v6), "2001:db8::7"),
        (v2(1, mapped), "203.0.113.7"),
        // LOCAL: the proxy speaks for itself.
        (v2(0, v4), "127.0.0.1"),
    ] {
        let mut client = RawClient::connect_from(PROXY, &gate.address());
        client.send([&header[..], ask.as_bytes()].concat());
        assert_eq!(client.response().status, 200);
        assert_eq!(up.last().header("x-forwarded-for").as_deref(), Some(expect));
        // The header is said once; the next request on the connection has the same client.
        assert_eq!(client.exchange(&ask).status, 200);
        assert_eq!(up.last().header("x-forwarded-for").as_deref(), Some(expect));
    }
    let count = up.count();
    // In pieces.
    let mut client = RawClient::connect_from(PROXY, &gate.address());
    for byte in v2(1, v4) {
        client.send([byte]);
    }
    assert_eq!(client.exchange(&ask).status, 200);
    assert_eq!(up.last().header("x-forwarded-for").as_deref(), Some("203.0.113.7"));
    // A trusted peer without a header, or with a broken one, is not served.
    let broken = [&b""[..], b"PROXY TCP4 203.0.113.7\r\n", b"PROXY TCP4 a b 1 2\r\n", &[0x0d; 12]];
    for header in broken {
        let mut client = RawClient::connect_from(PROXY, &gate.address());
        let _ = client.try_send(&[header, ask.as_bytes()].concat());
        assert!(client.try_response("GET").is_err(), "{header:?}");
    }
    // A stranger is who it is; a header that it may not send is no HTTP.
    assert_eq!(call(&gate, STRANGER, "/all", &[]).status, 200);
    assert_eq!(up.last().header("x-forwarded-for").as_deref(), Some("127.0.0.9"));
    for header in [b"PROXY TCP4 192.0.2.1 127.0.0.1 4711 80\r\n".to_vec(), v2(1, v4)] {
        let mut client = RawClient::connect_from(STRANGER, &gate.address());
        let _ = client.try_send(&[&header[..], ask.as_bytes()].concat());
        assert!(client.try_response("GET").map_or(true, |answer| answer.status == 400));
    }
    assert_eq!(up.count(), count + 2);
}

#[test]
fn lists_let_in_and_keep_out() {
    let up = Upstream::ok();
    let gate = start(&up, Some("x-forwarded-for"));
    let from = |path: &str, ip: &str| said(&call(&gate, PROXY, path, &[("x-forwarded-for", ip)]));
    let (no, denied) = (refused(403, "address.not_listed"), refused(403, "address.denied"));
    for (path, ip, expect) in [
        ("/office", "192.0.2.1", passed()),
        ("/office", "::ffff:192.0.2.1", passed()),
        ("/office", "2001:db8:1::1", passed()),
        ("/office", "192.0.2.66", denied.clone()),
        ("/office", "::ffff:192.0.2.66", denied.clone()),
        ("/office", "192.0.3.1", no.clone()),
        ("/office", "2001:db9::1", no.clone()),
        ("/closed", "192.0.2.1", no.clone()),
        ("/but", "203.0.113.7", passed()),
        ("/but", "198.51.100.1", denied),
        ("/local", "203.0.113.7", no.clone()),
    ] {
        let count = up.count();
        assert_eq!(from(path, ip), expect, "{path} {ip}");
        assert_eq!(up.count() - count, u64::from(expect.0 == 200));
    }
    // `dns:localhost` is 127.0.0.1, once it was resolved.
    wait::until(PATIENCE, "localhost", || said(&call(&gate, PROXY, "/local", &[])) == passed());
    assert_eq!(said(&call(&gate, STRANGER, "/local", &[])), no);
}

#[test]
fn an_address_is_let_in_for_a_time() {
    let up = Upstream::ok();
    let gate = start(&up, Some("x-forwarded-for"));
    let from = |path: &str, ip: &str| said(&call(&gate, PROXY, path, &[("x-forwarded-for", ip)]));
    let no = refused(403, "address.not_listed");
    assert_eq!(from("/office", "203.0.113.7"), no);
    let allow = ["ip", "allow", "203.0.113.7", "--list", "office", "--for", "8h", "--note", "home"];
    let made = gate.done(&allow);
    for _ in 0..16 {
        assert_eq!(from("/office", "203.0.113.7"), passed());
    }
    assert_eq!(from("/office", "203.0.113.8"), no);
    assert_eq!(from("/closed", "203.0.113.7"), no, "another list");
    assert_eq!(gate.done(&["ip", "list"])[0]["id"], made["id"]);
    let id = made["id"].as_str().expect("an id");
    let tested =
        |ip: &str, list: &str| gate.done(&["ip", "test", ip, "--list", list])["lists"][0].clone();
    let found = tested("203.0.113.7", "office");
    assert_eq!((&found["verdict"], &found["source"]), (&json!("allow"), &json!("entry")));
    assert!(found["rule"].as_str().is_some_and(|rule| rule.contains("203.0.113.7")), "{found}");
    for (ip, list, verdict, rule, source) in [
        ("192.0.2.1", "office", "allow", json!("192.0.2.0/24"), json!("file")),
        ("::ffff:192.0.2.66", "office", "deny", json!("192.0.2.66"), json!("file")),
        ("198.51.100.9", "office", "none", Value::Null, Value::Null),
        ("198.51.100.9", "but", "deny", json!("198.51.100.0/24"), json!("file")),
    ] {
        let expect = json!({ "list": list, "verdict": verdict, "rule": rule, "source": source });
        assert_eq!(tested(ip, list), expect);
    }
    // Without a list, all are asked.
    let all = gate.done(&["ip", "test", "192.0.2.1"]);
    assert_eq!(all["lists"].as_array().map(Vec::len), Some(4));
    gate.done(&["ip", "remove", id]);
    for _ in 0..16 {
        assert_eq!(from("/office", "203.0.113.7"), no);
    }
    // One that a deny names stays out, whatever is allowed at run time.
    gate.done(&["ip", "allow", "192.0.2.66", "--list", "office", "--for", "1h"]);
    assert_eq!(from("/office", "192.0.2.66"), refused(403, "address.denied"));
    // A network, for two seconds.
    gate.done(&["ip", "allow", "198.51.100.0/28", "--list", "closed", "--for", "2s"]);
    assert_eq!(from("/closed", "198.51.100.15"), passed());
    assert_eq!(from("/closed", "198.51.100.16"), no);
    wait::until(PATIENCE, "its end", || from("/closed", "198.51.100.15") == no);
    for (args, code) in [
        (&["ip", "allow", "203.0.113.7", "--list", "nowhere", "--for", "1h"][..], 1),
        (&["ip", "allow", "203.0.113.7/24", "--list", "office", "--for", "1h"], 1),
        (&["ip", "allow", "nonsense", "--list", "office", "--for", "1h"], 1),
        (&["ip", "allow", "203.0.113.7", "--list", "office"], 2),
        (&["ip", "test", "nonsense"], 1),
    ] {
        let output = gate.cli(args);
        assert_eq!(output.code, code, "{args:?}: {output:?}");
    }
}
