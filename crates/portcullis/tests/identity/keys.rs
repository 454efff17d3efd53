//! API keys: made, listed, shown and revoked on the command line, and taken at the gate.

use crate::setup::*;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use testkit::{Gate, RawClient, Upstream, run, wait};

fn start(up: &Upstream) -> Gate {
    Gate::start(
        &(upstream(up)
            + &route("orders", "/orders/{**}", &api_key("orders:read"))
            + &route("bills", "/bills/{**}", &api_key("bills:read"))),
    )
}

fn fields(value: &Value) -> BTreeSet<&str> {
    value.as_object().expect("an object").keys().map(String::as_str).collect()
}

#[test]
fn key_commands_print_what_scripts_rely_on() {
    let up = Upstream::ok();
    let gate = start(&up);
    let create = ["key", "create", "--name", "ci", "--scope", "orders:read", "--scope", "a:b"];
    let made = gate.done(&[&create[..], &["--expires", "30d"]].concat());
    assert_eq!(fields(&made), BTreeSet::from(["id", "key", "scopes", "expires_at"]));
    assert_eq!(made["scopes"], json!(["a:b", "orders:read"]));
    let (id, key) = (made["id"].as_str().expect("an id"), made["key"].as_str().expect("a key"));
    // Design §5: pcl_<env>_<id 12>_<secret 32><check 6>.
    let parts: Vec<&str> = key.split('_').collect();
    assert_eq!(parts.len(), 4, "{key}");
    assert_eq!((parts[0], parts[1], parts[2]), ("pcl", "live", id));
    assert_eq!((parts[2].len(), parts[3].len()), (12, 38));
    assert!(parts[2..].concat().bytes().all(|byte| byte.is_ascii_alphanumeric()));
    assert!(made["expires_at"].as_str().is_some_and(|at| at.contains('T') && at.ends_with('Z')));

    let listed = gate.done(&["key", "list"]);
    let listed = listed.as_array().expect("a list");
    assert_eq!(listed.len(), 1);
    let shown = gate.done(&["key", "show", id]);
    assert_eq!(listed[0], shown);
    assert_eq!((&shown["id"], &shown["name"]), (&json!(id), &json!("ci")));
    assert_eq!(shown["expires_at"], made["expires_at"]);
    assert_eq!(shown["revoked_at"], Value::Null);
    for output in [gate.cli(&["key", "list"]), gate.cli(&["key", "show", id])] {
        assert!(!output.stdout.contains(parts[3]), "the secret is shown once");
    }

    let revoked = gate.done(&["key", "revoke", id, "--reason", "left"]);
    assert_eq!((&revoked["id"], &revoked["revoked_reason"]), (&json!(id), &json!("left")));
    assert!(revoked["revoked_at"].is_string());
    // Again is no mistake, and changes nothing.
    assert_eq!(gate.done(&["key", "revoke", id])["revoked_at"], revoked["revoked_at"]);
    for (args, code) in [
        (&["key", "show", "AAAAAAAAAAAA"][..], 1),
        (&["key", "revoke", "AAAAAAAAAAAA"], 1),
        (&["key", "create", "--name", "x"], 2),
        (&["key", "create", "--name", "x", "--scope", "a\"b"], 1),
        (&["key", "create", "--name", "x", "--scope", "a", "--expires", "soon"], 2),
    ] {
        let output = gate.cli(args);
        assert_eq!(output.code, code, "{args:?}: {output:?}");
        assert!(output.stdout.is_empty() && !output.stderr.is_empty(), "{args:?}: {output:?}");
    }
    // The secret is nowhere in the data folder, nor in the log.
    assert!(!gate.log().contains(parts[3]));
    for file in files(gate.data()) {
        let bytes = std::fs::read(&file).unwrap_or_default();
        let secret = parts[3].as_bytes();
        let leaked = bytes.windows(secret.len()).any(|window| window == secret);
        assert!(!leaked, "the secret stands in {}", file.display());
    }
}

#[test]
fn a_key_is_taken_in_two_headers_and_nowhere_else() {
    let up = Upstream::ok();
    let gate = start(&up);
    let (id, key) = self::key(&gate, "k", "orders:read");
    assert_eq!(answer(&gate, "/orders/1", &key), passed());
    let seen = up.last();
    assert_eq!(seen.header("portcullis-subject").as_deref(), Some(&*id));
    assert_eq!(seen.header("authorization"), None);
    let by_header = |value: &str| said(&gate.get("/orders/1", &[("x-api-key", value)]));
    assert_eq!(by_header(&key), passed());
    assert_eq!(up.last().header("x-api-key"), None);
    assert!(!String::from_utf8_lossy(&up.last().head).contains(&key));

    let count = up.count();
    let bearer = format!("Bearer {key}");
    let in_url = [
        format!("/orders/1?key={key}"),
        format!("/orders/{key}"),
        format!("/nowhere/{key}?a=b"),
        "/orders/1?access_token=x".to_owned(),
        format!("/orders/1?q={}", key.replace('_', "%5F")),
        format!("/orders/1?q={}", key.replacen('p', "%70", 1)),
    ];
    for path in &in_url {
        let refusal = gate.get(path, &[("authorization", &bearer)]);
        assert_eq!(said(&refusal), refused(400, "key.in_url"), "{path}");
        assert!(!refusal.text().contains(&key));
    }
    assert_eq!(
        said(&gate.get("/orders/1", &[("x-api-key", &key), ("X-Api-Key", &key)])),
        refused(400, "credential.multiple")
    );
    // One letter of the secret, then of the check characters: a slip, told apart from a stranger's key.
    for at in [20, key.len() - 1] {
        let mut typo = key.clone().into_bytes();
        typo[at] = if typo[at] == b'a' { b'b' } else { b'a' };
        let typo = String::from_utf8(typo).expect("text");
        assert_eq!(answer(&gate, "/orders/1", &typo), refused(401, "key.malformed"));
        assert_eq!(by_header(&typo), refused(401, "key.malformed"));
    }
    for cut in
        ["pcl_", "pcl_live", &key[..key.len() - 1], &(key.clone() + "x"), &key.to_uppercase()]
    {
        let said = by_header(cut);
        assert_eq!(said, refused(401, "key.malformed"), "{cut}");
    }
    assert_eq!(answer(&gate, "/bills/1", &key), refused(403, "scope.missing"));
    assert_eq!(up.count(), count);
}

#[test]
fn an_unknown_id_and_a_wrong_secret_look_the_same() {
    let (up, other_up) = (Upstream::ok(), Upstream::ok());
    let (gate, other) = (start(&up), start(&other_up));
    let (_, stranger) = self::key(&other, "k", "orders:read");
    let (id, own) = self::key(&gate, "k", "orders:read");
    // Our id under the other's secret, with check characters that fit.
    let secret = &stranger[stranger.len() - 38..stranger.len() - 6];
    let body = format!("pcl_live_{id}_{secret}");
    let forged = format!("{body}{}", check(&body));
    let strip = |bearer: &str| {
        let answer = get(&gate, "/orders/1", bearer);
        let mut body = answer.json();
        body["request_id"] = Value::Null;
        let headers: Vec<(String, String)> = answer
            .headers
            .iter()
            .filter(|(name, _)| name != "x-request-id" && name != "date")
            .cloned()
            .collect();
        (answer.status, body, headers)
    };
    let unknown = strip(&stranger);
    assert_eq!((unknown.0, &unknown.1["code"]), (401, &json!("key.unknown")));
    assert_eq!(strip(&forged), unknown);
    assert_eq!(up.count(), 0);
    assert_eq!(answer(&gate, "/orders/1", &own), passed());
    // Revoked: only who has the secret is told so.
    gate.done(&["key", "revoke", &id]);
    assert_eq!(strip(&forged), unknown);
    assert_eq!(answer(&gate, "/orders/1", &own), refused(401, "key.revoked"));
}

/// CRC-32 (IEEE) of `text` in six characters of base62.
fn check(text: &str) -> String {
    let mut crc = u32::MAX;
    for byte in text.bytes() {
        crc ^= u32::from(byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg());
        }
    }
    let digits = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let (mut rest, mut out) = (!crc, Vec::new());
    for _ in 0..6 {
        out.push(digits[(rest % 62) as usize]);
        rest /= 62;
    }
    out.reverse();
    String::from_utf8(out).expect("text")
}

#[test]
fn a_key_expires() {
    let up = Upstream::ok();
    let gate = start(&up);
    let made =
        gate.done(&["key", "create", "--name", "k", "--scope", "orders:read", "--expires", "2s"]);
    let key = made["key"].as_str().expect("a key");
    assert_eq!(answer(&gate, "/orders/1", key), passed());
    let mut client = RawClient::connect(&gate.address());
    wait::until(PATIENCE, "its end", || again(&mut client, "/orders/1", key) != passed());
    assert_eq!(everywhere(&gate, "/orders/1", key), vec![refused(401, "key.expired"); 16]);
}

#[test]
fn a_new_key_is_known_everywhere_when_its_command_returns() {
    let up = Upstream::ok();
    let gate = start(&up);
    // Connections on every shard that were there before the keys.
    let mut clients: Vec<RawClient> = (0..8).map(|_| RawClient::connect(&gate.address())).collect();
    for client in &mut clients {
        assert_eq!(again(client, "/orders/1", "pcl_"), refused(401, "key.malformed"));
    }
    for round in 0..50 {
        let (_, key) = self::key(&gate, &format!("k{round}"), "orders:read");
        for client in &mut clients {
            assert_eq!(again(client, "/orders/1", &key), passed(), "round {round}");
        }
    }
}

#[test]
fn a_revoked_key_is_refused_everywhere_when_its_command_returns() {
    let up = Upstream::ok();
    let gate = start(&up);
    let mut clients: Vec<RawClient> = (0..8).map(|_| RawClient::connect(&gate.address())).collect();
    for round in 0..5 {
        let (id, key) = self::key(&gate, &format!("k{round}"), "orders:read");
        for client in &mut clients {
            assert_eq!(again(client, "/orders/1", &key), passed());
        }
        let (_, took) = timed(|| gate.done(&["key", "revoke", &id]));
        assert!(took < second(), "revoking took {took:?}");
        let count = up.count();
        for client in &mut clients {
            assert_eq!(again(client, "/orders/1", &key), refused(401, "key.revoked"));
        }
        assert_eq!(everywhere(&gate, "/orders/1", &key), vec![refused(401, "key.revoked"); 16]);
        assert_eq!(up.count(), count);
    }
}

#[test]
fn keys_and_their_ends_outlive_a_restart() {
    let up = Upstream::ok();
    let mut gate = start(&up);
    let (_, kept) = self::key(&gate, "kept", "orders:read");
    let (gone, revoked) = self::key(&gate, "gone", "orders:read");
    gate.done(&["key", "revoke", &gone]);
    gate.kill9();
    gate.restart();
    assert_eq!(answer(&gate, "/orders/1", &kept), passed());
    assert_eq!(answer(&gate, "/orders/1", &revoked), refused(401, "key.revoked"));
}

#[test]
fn a_limit_that_is_not_there_yet_is_refused_and_not_forgotten() {
    let up = Upstream::ok();
    let gate = start(&up);
    let create = ["key", "create", "--name", "k", "--scope", "orders:read", "--route", "orders"];
    assert_eq!(gate.cli(&create).code, 1);
    assert_eq!(gate.done(&["key", "list"]), json!([]));
}

#[test]
fn keys_made_at_once_are_all_known_when_their_commands_return() {
    let up = Upstream::ok();
    let gate = start(&up);
    let (address, data) = (gate.address(), gate.data().to_string_lossy().into_owned());
    std::thread::scope(|scope| {
        for maker in 0..4 {
            let (address, data) = (&address, &data);
            scope.spawn(move || {
                for round in 0..5 {
                    let name = format!("k{maker}-{round}");
                    let create = ["key", "create", "--name", &name, "--scope", "orders:read"];
                    let made = run(&[&create[..], &["--json", "--data", data]].concat());
                    assert_eq!(made.code, 0, "{made:?}");
                    let made = made.json();
                    let key = made["key"].as_str().expect("a key");
                    for _ in 0..4 {
                        assert_eq!(answer_at(address, "/orders/1", key), passed(), "{name}");
                    }
                }
            });
        }
    });
    assert_eq!(gate.done(&["key", "list"]).as_array().map(Vec::len), Some(20));
}

#[test]
fn under_load_no_request_passes_after_the_revocation_was_said() {
    let up = Upstream::ok();
    let gate = start(&up);
    let (id, key) = self::key(&gate, "k", "orders:read");
    let (said, over) = (AtomicBool::new(false), AtomicBool::new(false));
    let (address, passed_before) = (gate.address(), AtomicU32::new(0));
    std::thread::scope(|scope| {
        let _ended = Ends(&over);
        for _ in 0..4 {
            scope.spawn(|| {
                let mut client = RawClient::connect(&address);
                while !over.load(Ordering::SeqCst) {
                    let late = said.load(Ordering::SeqCst);
                    let answer = again(&mut client, "/orders/1", &key);
                    if answer == passed() {
                        assert!(!late, "a request passed after its key was said to be revoked");
                        passed_before.fetch_add(1, Ordering::SeqCst);
                    } else {
                        assert_eq!(answer, refused(401, "key.revoked"));
                    }
                }
            });
        }
        wait::until(PATIENCE, "load", || passed_before.load(Ordering::SeqCst) > 100);
        let (_, took) = timed(|| gate.done(&["key", "revoke", &id]));
        said.store(true, Ordering::SeqCst);
        assert!(took < second(), "{took:?}");
        let count = up.count();
        wait::pause(std::time::Duration::from_millis(200));
        over.store(true, Ordering::SeqCst);
        assert!(up.count() <= count + 4, "only what was on its way");
    });
}
