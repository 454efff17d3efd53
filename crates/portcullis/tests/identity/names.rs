//! `dns:` entries of address lists, against a name server that changes its mind and falls silent.

use crate::setup::*;
use std::time::Duration;
use testkit::{Gate, NameServer, Upstream, wait};

/// A lifetime of 5 s counts as 30 (`docs/configuration.md`), and the gate looks every half second.
const SOONEST: Duration = Duration::from_secs(29);
/// 30 s, the 8 s that a silent server is waited for, and what a busy machine adds.
const LATEST: Duration = Duration::from_secs(75);

/// A gate whose list `vpn` holds `dns:vpn.test`, which is 192.0.2.7 for 5 s.
fn start(names: &NameServer, up: &Upstream) -> Gate {
    names.set("vpn.test", &["192.0.2.7", "2001:db8::7"], 5);
    let lists = "[[ip_list]]\nname = \"vpn\"\nallow = [\"dns:vpn.test\"]\n";
    let open = route("a", "/a", "access = \"public\"\nmethods = [\"GET\"]\nip = [\"vpn\"]");
    let gate = Gate::builder()
        .server(&format!("resolver = \"{}\"", names.address()))
        .listener("proxies = { trusted = [\"127.0.0.1\"], header = \"x-forwarded-for\" }")
        .rest(&(lists.to_owned() + &upstream(up) + &open))
        .start();
    wait::until(PATIENCE, "the first answer", || from(&gate, "192.0.2.7") == passed());
    gate
}

fn from(gate: &Gate, address: &str) -> (u16, String) {
    said(&gate.get("/a", &[("x-forwarded-for", address)]))
}

fn recorded(gate: &Gate, code: &str) -> Vec<String> {
    let sql = format!("SELECT detail FROM events WHERE code = '{code}'");
    let rows = gate.done(&["audit", "query", &sql]);
    let rows = rows.as_array().cloned().unwrap_or_default();
    rows.iter().filter_map(|row| row["detail"].as_str().map(str::to_owned)).collect()
}

#[test]
fn a_name_is_followed_to_its_new_address_after_30_seconds() {
    let (names, up) = (NameServer::start(), Upstream::ok());
    let gate = start(&names, &up);
    let no = refused(403, "address.not_listed");
    assert_eq!(from(&gate, "2001:db8::7"), passed());
    assert_eq!(from(&gate, "192.0.2.8"), no);
    let asked = names.questions();
    names.set("vpn.test", &["192.0.2.8"], 5);
    let passing = || {
        let moved = from(&gate, "192.0.2.8") == passed();
        if !moved {
            wait::pause(Duration::from_millis(250));
        }
        moved
    };
    let waited = wait::until(LATEST, "the new address", passing);
    assert!(waited > SOONEST - Duration::from_secs(5), "asked again after {waited:?} already");
    assert_eq!(names.questions() - asked, 2, "one question for each kind of address");
    for address in ["192.0.2.7", "2001:db8::7"] {
        assert_eq!(from(&gate, address), no, "the old address");
    }
    let expect = ["vpn.test: from 192.0.2.7 2001:db8::7 to 192.0.2.8"];
    assert_eq!(recorded(&gate, "ip.name_changed"), expect);
}

#[test]
fn while_the_name_server_is_silent_the_last_good_answer_counts() {
    let (names, up) = (NameServer::start(), Upstream::ok());
    let gate = start(&names, &up);
    names.silent(true);
    let noticed = || {
        let noticed = !recorded(&gate, "ip.name_unresolved").is_empty();
        if !noticed {
            wait::pause(Duration::from_millis(500));
        }
        noticed
    };
    wait::until(LATEST, "its silence", noticed);
    assert_eq!(from(&gate, "192.0.2.7"), passed());
    assert_eq!(from(&gate, "192.0.2.8"), refused(403, "address.not_listed"));
    // It speaks again, and the name has moved meanwhile.
    names.set("vpn.test", &["192.0.2.8"], 5);
    names.silent(false);
    wait::until(LATEST, "the new address", || from(&gate, "192.0.2.8") == passed());
    assert_eq!(from(&gate, "192.0.2.7"), refused(403, "address.not_listed"));
    assert_eq!(recorded(&gate, "ip.name_unresolved").len(), 1, "said once");
    assert_eq!(recorded(&gate, "ip.name_changed").len(), 1);
}
