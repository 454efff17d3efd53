//! What happened, asked on the command line.

use crate::setup::*;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use testkit::{Gate, Upstream, run, wait};

fn start(up: &Upstream) -> Gate {
    Gate::start(
        &("[[ip_list]]\nname = \"none\"\nallow = []\n".to_owned()
            + &upstream(up)
            + &route("orders", "/orders/{**}", &api_key("orders:read"))
            + &route("strict", "/strict", &(api_key("orders:read") + "\naudit = \"strict\""))
            + &route(
                "inside",
                "/inside",
                &(api_key("orders:read") + "\nip = [\"none\"]\nshadow = [\"ip\"]"),
            )
            + &route(
                "shadow",
                "/shadow",
                &(api_key("orders:read")
                    + "\nrate = { limit = 2, per = \"1h\", by = \"principal\" }\nshadow = [\"rate\"]"),
            )),
    )
}

/// Rows of a query, once there are as many as expected: normal records are written a moment later.
fn rows(gate: &Gate, sql: &str, enough: impl Fn(&[Value]) -> bool) -> Vec<Value> {
    let mut found = Vec::new();
    wait::until(PATIENCE, sql, || {
        found = gate.done(&["audit", "query", sql]).as_array().expect("rows").clone();
        enough(&found)
    });
    found
}

#[test]
fn queries_tails_and_explanations_agree() {
    let up = Upstream::ok();
    let gate = start(&up);
    let (id, key) = self::key(&gate, "k", "orders:read");
    let (weak_id, weak) = self::key(&gate, "w", "else");
    for number in 0..7 {
        assert_eq!(answer(&gate, &format!("/orders/{number}"), &key), passed());
    }
    let denied = get(&gate, "/orders/1", &weak);
    let missing = gate.get("/orders/1", &[]);
    let nowhere = gate.get("/nowhere", &[]);
    assert_eq!(said(&denied), refused(403, "scope.missing"));
    let sql = "SELECT outcome, code, count(*) FROM events WHERE kind = 'decision' \
               GROUP BY outcome, code";
    let counted = rows(&gate, sql, |rows| rows.len() >= 4);
    let count = |outcome: &str, code: &str| {
        let row = counted.iter().find(|row| row["outcome"] == outcome && row["code"] == code);
        let row = row.unwrap_or_else(|| panic!("{outcome} {code} in {counted:?}"));
        row["count(*)"].as_i64().expect("a number")
    };
    assert_eq!(count("allow", "ok"), 7);
    assert_eq!(count("deny", "scope.missing"), 1);
    assert_eq!(count("deny", "credential.missing"), 1);
    assert_eq!(count("deny", "route.not_found"), 1);

    let one =
        rows(&gate, "SELECT * FROM events WHERE route = 'orders' AND path = '/orders/6'", |rows| {
            !rows.is_empty()
        });
    let row = &one[0];
    for (column, value) in [
        ("outcome", json!("allow")),
        ("method", json!("GET")),
        ("client_ip", json!("127.0.0.1")),
        ("principal", json!(id)),
        ("credential_id", json!(id)),
        ("scheme", json!("api_key")),
        ("status", json!(200)),
        ("count", json!(1)),
    ] {
        assert_eq!(row[column], value, "{column} of {row}");
    }
    assert!(row["latency_us"].as_u64().is_some_and(|it| it > 0), "{row}");

    let explained = |response: &testkit::Response| {
        let id = response.header("x-request-id").expect("an id").to_owned();
        let told = gate.done(&["explain", &id]);
        assert_eq!(told["request_id"], json!(id));
        let fields = ["request_id", "time", "route", "outcome", "phase", "code", "reason", "fix"];
        let has: BTreeSet<&str> =
            told.as_object().expect("an object").keys().map(String::as_str).collect();
        assert!(fields.iter().all(|field| has.contains(field)), "{told}");
        told
    };
    let told = explained(&denied);
    assert_eq!((&told["route"], &told["code"]), (&json!("orders"), &json!("scope.missing")));
    assert!(told["detail"].as_str().is_some_and(|it| it.contains("orders:read")), "{told}");
    assert_eq!(told["principal"], json!(weak_id), "who was refused");
    gate.done(&["key", "revoke", &weak_id]);
    let told = explained(&get(&gate, "/orders/1", &weak));
    let (code, who) = (&told["code"], &told["principal"]);
    assert_eq!((code, who), (&json!("key.revoked"), &json!(weak_id)));
    // Who only claims to be somebody is nobody.
    let forged = weak.replacen(&weak_id, &id, 1);
    assert_eq!(explained(&get(&gate, "/orders/1", &forged))["principal"], Value::Null);
    assert_eq!(explained(&missing)["code"], "credential.missing");
    let told = explained(&nowhere);
    assert_eq!((&told["route"], &told["code"]), (&Value::Null, &json!("route.not_found")));
    assert_eq!(gate.cli(&["explain", "nonsense"]).code, 1);

    let tail = gate.done(&["audit", "tail", "-n", "50", "--filter", "code=scope.missing"]);
    assert_eq!(tail.as_array().map(Vec::len), Some(1), "{tail}");
    let acts =
        gate.done(&["audit", "query", "SELECT code, principal FROM events WHERE kind = 'admin'"]);
    assert_eq!(acts.as_array().map(Vec::len), Some(3), "{acts}");
}

#[test]
fn a_query_that_cannot_be_answered_is_refused() {
    let up = Upstream::ok();
    let gate = start(&up);
    for sql in
        ["DELETE FROM events", "SELECT nonsense FROM events", "SELECT", "SELECT * FROM users"]
    {
        let output = gate.cli(&["audit", "query", sql]);
        assert_eq!(output.code, 1, "{sql}: {output:?}");
    }
}

#[test]
fn the_ledger_verifies_while_it_is_written_and_after() {
    let up = Upstream::ok();
    let mut gate = start(&up);
    let (_, key) = self::key(&gate, "k", "orders:read");
    for number in 0..10 {
        assert_eq!(answer(&gate, &format!("/orders/{number}"), &key), passed());
    }
    let sql = "SELECT count(*) FROM events WHERE route = 'orders'";
    rows(&gate, sql, |rows| rows[0]["count(*)"] == 10);
    let verified = gate.done(&["audit", "verify"]);
    assert_eq!(verified["ok"], true, "{verified}");
    let entries = verified["entries"].as_u64().expect("a number");
    assert!(entries >= 12, "{verified}");
    gate.sigterm();
    assert_eq!(gate.ended().code(), Some(0), "{}", gate.log());
    let offline = gate.done(&["audit", "verify"]);
    assert_eq!(offline["ok"], true, "{offline}");
    assert!(offline["entries"].as_u64() > Some(entries));
    assert!(offline["root"].is_string());
    // Nothing secret was written.
    let ledger = gate.data().join("ledger");
    let secret = &key.as_bytes()[key.len() - 38..];
    for file in files(&ledger) {
        let bytes = std::fs::read(&file).expect("read");
        assert!(!bytes.windows(secret.len()).any(|it| it == secret), "{}", file.display());
    }
    // One changed byte is found, whichever file it stands in.
    let data = gate.data().to_string_lossy().into_owned();
    let verify = || run(&["audit", "verify", "--json", "--data", &data]);
    for file in files(&ledger) {
        let bytes = std::fs::read(&file).expect("read");
        let mut changed = bytes.clone();
        let Some(byte) = changed.get_mut(bytes.len() / 2) else { continue };
        *byte ^= 1;
        std::fs::write(&file, changed).expect("written");
        let broken = verify();
        let found = (broken.code, broken.json()["ok"].clone());
        assert_eq!(found, (1, json!(false)), "{}: {broken:?}", file.display());
        std::fs::write(&file, bytes).expect("written");
    }
    assert_eq!(verify().code, 0);
}

#[test]
fn strict_decisions_and_shadow_are_recorded() {
    let up = Upstream::ok();
    let gate = start(&up);
    let (_, key) = self::key(&gate, "k", "orders:read");
    let answered = get(&gate, "/strict", &key);
    assert_eq!(said(&answered), passed());
    let id = answered.header("x-request-id").expect("an id");
    // Recorded before the upstream was asked: no waiting here.
    let sql = format!("SELECT kind, outcome FROM events WHERE request_id = '{id}'");
    let found = gate.done(&["audit", "query", &sql]);
    assert!(!found.as_array().expect("rows").is_empty(), "{found}");
    assert_eq!(found[0]["outcome"], "allow");
    assert_eq!(answer(&gate, "/inside", &key), passed());
    let inside = "SELECT detail FROM events WHERE route = 'inside'";
    let found = rows(&gate, inside, |rows| rows.len() == 1);
    assert_eq!(found[0]["detail"], "would_deny: address.not_listed");
    for _ in 0..5 {
        assert_eq!(answer(&gate, "/shadow", &key), passed());
    }
    let sql = "SELECT detail, outcome FROM events WHERE route = 'shadow'";
    let found = rows(&gate, sql, |rows| rows.len() == 5);
    let would = |row: &&Value| row["detail"].as_str().is_some_and(|it| it.contains("would_deny"));
    assert_eq!(found.iter().filter(would).count(), 3, "{found:?}");
    assert!(found.iter().all(|row| row["outcome"] == "allow"));
}

#[test]
fn a_tail_goes_on_with_what_comes() {
    let up = Upstream::ok();
    let gate = start(&up);
    let (_, key) = self::key(&gate, "k", "orders:read");
    assert_eq!(answer(&gate, "/orders/before", &key), passed());
    let mut tail = Command::new(testkit::binary())
        .args(["audit", "tail", "-f", "--json", "--filter", "route=orders", "--data"])
        .arg(gate.data())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the binary runs");
    let lines = BufReader::new(tail.stdout.take().expect("a pipe")).lines();
    let (sender, printed) = mpsc::channel();
    std::thread::spawn(move || lines.map_while(Result::ok).try_for_each(|line| sender.send(line)));
    let next = || {
        let line = printed.recv_timeout(PATIENCE).expect("a line");
        serde_json::from_str::<Value>(&line).expect("JSON")["path"].clone()
    };
    assert_eq!(next(), "/orders/before");
    for number in 0..20 {
        let path = format!("/orders/{number}");
        assert_eq!(answer(&gate, &path, &key), passed());
        assert_eq!(next(), path);
    }
    tail.kill().expect("it still runs");
    let _ = tail.wait();
}
