//! Ends without order: `kill -9` under load, and a disk that is full.

use crate::stage::{SOON, open, upstream};
use serde_json::Value;
use std::collections::{BTreeSet, HashSet};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use testkit::{Gate, RawClient, Upstream, wait};

/// A strict and a normal route over one upstream.
fn routes(server: &Upstream) -> String {
    let urls = [server.url()];
    upstream("strict", &urls, "")
        + &upstream("normal", &urls, "")
        + &open("strict", "audit = \"strict\"")
        + &open("normal", "")
}

fn rows(gate: &Gate, sql: &str) -> Vec<Value> {
    gate.done(&["audit", "query", sql]).as_array().cloned().unwrap_or_default()
}

fn texts(rows: &[Value], column: &str) -> HashSet<String> {
    rows.iter().filter_map(|row| row[column].as_str().map(str::to_owned)).collect()
}

/// What the gate has acknowledged, and must know ever after.
#[derive(Debug, Default)]
struct Acknowledged {
    strict: Mutex<BTreeSet<String>>,
    keys: Mutex<BTreeSet<String>>,
    revoked: Mutex<BTreeSet<String>>,
    blocks: Mutex<BTreeSet<String>>,
}

fn add(to: &Mutex<BTreeSet<String>>, id: &str) {
    to.lock().expect("a lock").insert(id.to_owned());
}

/// Requests on both routes over one connection until it breaks; every answer is an acknowledgement.
fn requests(address: &str, acknowledged: &Acknowledged, ended: &AtomicBool) {
    let mut client = RawClient::connect(address);
    while !ended.load(Ordering::SeqCst) {
        for path in ["/strict/x", "/normal/x"] {
            let request = format!("GET {path} HTTP/1.1\r\nhost: a\r\n\r\n");
            if client.try_send(request.as_bytes()).is_err() {
                return;
            }
            let Ok(answer) = client.try_response("GET") else { return };
            assert_eq!(answer.status, 200, "{}", answer.text());
            if path == "/strict/x" {
                add(&acknowledged.strict, answer.header("x-request-id").expect("an id"));
            }
        }
    }
}

/// Changes through the command line until the gate is gone; exit 0 is an acknowledgement.
fn changes(data: &Path, acknowledged: &Acknowledged, ended: &AtomicBool) {
    let data = data.display().to_string();
    let change = |args: &[&str]| {
        let output = testkit::run(&[args, &["--json", "--data", &data]].concat());
        (output.code == 0).then(|| output.json())
    };
    for number in 0.. {
        if ended.load(Ordering::SeqCst) {
            return;
        }
        let Some(key) = change(&["key", "create", "--name", "n", "--scope", "s"]) else { return };
        let key = key["id"].as_str().expect("an id");
        add(&acknowledged.keys, key);
        if number % 3 == 0 {
            let Some(block) = change(&["block", "subject", &format!("nobody-{key}")]) else {
                return;
            };
            add(&acknowledged.blocks, block["id"].as_str().expect("an id"));
        }
        if number % 3 == 1 {
            let Some(_) = change(&["key", "revoke", key]) else { return };
            add(&acknowledged.revoked, key);
        }
    }
}

/// That all is there, in the store and in the ledger.
fn check_acknowledged(gate: &Gate, acknowledged: &Acknowledged) {
    let all = |ids: &Mutex<BTreeSet<String>>| ids.lock().expect("a lock").clone();
    let report = gate.done(&["audit", "verify"]);
    assert_eq!(report["ok"], true, "{report}");
    let strict = rows(
        gate,
        "SELECT request_id FROM events WHERE route = 'strict' AND kind = 'decision' LIMIT 1000000",
    );
    let recorded = texts(&strict, "request_id");
    for id in all(&acknowledged.strict) {
        assert!(recorded.contains(&id), "the strict decision {id} is lost");
    }
    let listed = gate.done(&["key", "list"]);
    let listed = listed.as_array().expect("a list");
    for id in all(&acknowledged.keys) {
        let key = listed.iter().find(|key| key["id"] == id.as_str());
        let key = key.unwrap_or_else(|| panic!("the key {id} is lost"));
        let revoked = all(&acknowledged.revoked).contains(&id);
        assert!(!revoked || !key["revoked_at"].is_null(), "the revocation of {id} is lost: {key}");
    }
    let blocks = gate.done(&["block", "list"]);
    let blocks: HashSet<&str> = blocks
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|block| block["id"].as_str())
        .collect();
    for id in all(&acknowledged.blocks) {
        assert!(blocks.contains(id.as_str()), "the block {id} is lost");
    }
    // What was changed stands in the ledger as well, once the drainer has caught up, and once each.
    let expected = all(&acknowledged.keys).len()
        + all(&acknowledged.revoked).len()
        + all(&acknowledged.blocks).len();
    wait::until(SOON, "the records of the changes", || {
        rows(gate, "SELECT kind FROM events WHERE kind = 'admin' LIMIT 1000000").len() >= expected
    });
}

/// Crashes of one gate before another begins: what is read at the end stays small.
const CRASHES: u32 = 10;

#[test]
fn kill_under_load_loses_nothing_acknowledged() {
    let rounds = testkit::rounds(3);
    let server = Upstream::ok();
    let (mut strict, mut keys) = (0, 0);
    for first in (0..rounds).step_by(CRASHES as usize) {
        let crashes = CRASHES.min(rounds - first);
        let acknowledged = crash(&server, first..first + crashes);
        strict += acknowledged.strict.into_inner().expect("a lock").len();
        keys += acknowledged.keys.into_inner().expect("a lock").len();
    }
    println!("{rounds} crashes, {strict} strict decisions and {keys} keys acknowledged, none lost");
    assert!(strict > rounds as usize && keys > 0, "too little happened to show anything");
}

/// One gate that is killed once for each of `rounds`.
fn crash(server: &Upstream, rounds: Range<u32>) -> Acknowledged {
    let mut gate = Gate::start(&routes(server));
    let acknowledged = Acknowledged::default();
    for round in rounds.clone() {
        let ended = AtomicBool::new(false);
        let (address, data) = (gate.address(), gate.data().to_path_buf());
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| requests(&address, &acknowledged, &ended));
            }
            scope.spawn(|| changes(&data, &acknowledged, &ended));
            // A different moment each time.
            wait::pause(Duration::from_millis(400 + u64::from(round * 137 % 500)));
            gate.kill9();
            ended.store(true, Ordering::SeqCst);
        });
        gate.restart();
    }
    check_acknowledged(&gate, &acknowledged);
    let cuts = "SELECT code FROM events WHERE code = 'ledger.cut'";
    assert_eq!(rows(&gate, cuts).len(), rounds.len(), "each crash leaves one record of itself");
    // After an end in order there is nothing to tell.
    gate.sigterm();
    gate.ended();
    gate.restart();
    assert_eq!(rows(&gate, cuts).len(), rounds.len());
    acknowledged
}

/// A file system of a few megabytes in memory; unmounted when dropped.
struct Small(PathBuf);

impl Small {
    /// `None` where none may be mounted.
    fn mount(folder: &Path, size: &str) -> Option<Self> {
        std::fs::create_dir_all(folder).expect("a folder");
        let mut command = Command::new("mount");
        command.args(["-t", "tmpfs", "-o", &format!("size={size},mode=0700"), "tmpfs"]).arg(folder);
        let done = command.stderr(std::process::Stdio::null()).status();
        done.is_ok_and(|status| status.success()).then(|| Self(folder.to_path_buf()))
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

/// Takes whatever is left.
fn fill(folder: &Path) -> PathBuf {
    use std::io::Write;
    let path = folder.join("filler");
    let mut file = std::fs::File::create(&path).expect("a file");
    for size in [64 * 1024, 4096, 1] {
        let piece = vec![0; size];
        while file.write_all(&piece).is_ok() {}
    }
    path
}

#[test]
fn a_full_disk_stops_strict_routes_and_nothing_else() {
    let folder = tempfile::tempdir().expect("a folder");
    let Some(_small) = Small::mount(&folder.path().join("small"), "24m") else {
        println!("no file system may be mounted here: nothing was shown");
        return;
    };
    let server = Upstream::ok();
    // The ledger alone lies on the small disk: the store must go on, or no revocation could.
    let data = folder.path().join("data");
    std::fs::create_dir(&data).expect("a folder");
    let ledger = folder.path().join("small/ledger");
    std::fs::create_dir(&ledger).expect("a folder");
    std::os::unix::fs::symlink(&ledger, data.join("ledger")).expect("a link");
    let rest = routes(&server)
        + "[[route]]\nname = \"keys\"\npath = \"/keys/{**}\"\nupstream = \"normal\"\naccess = { api_key = { scopes = [\"s\"] } }\n";
    let mut gate = Gate::builder().data(&data).rest(&rest).start();
    let made = gate.done(&["key", "create", "--name", "n", "--scope", "s"]);
    let (id, key) = (made["id"].as_str().expect("an id"), made["key"].as_str().expect("a key"));
    let with_key = [("authorization", format!("Bearer {key}"))];
    let with_key = [(with_key[0].0, with_key[0].1.as_str())];
    assert_eq!(gate.get("/strict/x", &[]).status, 200);
    assert_eq!(gate.get("/keys/x", &with_key).status, 200);
    let filler = fill(&folder.path().join("small"));
    // What was set aside may take a few records yet.
    let mut last = 0;
    wait::until(SOON, "the strict route to be refused", || {
        let before = server.count();
        let answer = gate.get("/strict/x", &[]);
        last = answer.status;
        let refused = answer.code() == "ledger.unavailable";
        assert!(refused == (server.count() == before), "refused, and yet forwarded");
        refused
    });
    assert_eq!(last, 503);
    for _ in 0..20 {
        assert_eq!(gate.get("/normal/x", &[]).status, 200, "a normal route waits for nobody");
    }
    // The kill switch works whatever the disk.
    assert_eq!(gate.get("/keys/x", &with_key).status, 200);
    gate.done(&["key", "revoke", id]);
    wait::until(SOON, "the revocation", || gate.get("/keys/x", &with_key).status == 401);
    let before = server.count();
    assert_eq!(gate.get("/strict/x", &[]).status, 503);
    assert_eq!(server.count(), before);
    // Space again: strict requests pass again, and what was lost meanwhile is told.
    std::fs::remove_file(filler).expect("the filler");
    wait::until(SOON, "the strict route to pass again", || {
        gate.get("/strict/x", &[]).status == 200
    });
    wait::until(SOON, "the gap record", || {
        !rows(&gate, "SELECT code FROM events WHERE code = 'ledger.gap'").is_empty()
    });
    wait::until(SOON, "the revocation's record", || {
        rows(&gate, "SELECT code FROM events WHERE kind = 'admin'").len() == 2
    });
    let report = gate.done(&["audit", "verify"]);
    assert_eq!(report["ok"], true, "{report}");
    gate.kill9();
}

/// Where the store lies on the full disk as well, a change may fail, but it says so; and it works again once there
/// is space.
#[test]
fn a_full_store_acknowledges_nothing_that_it_does_not_hold() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    let Some(_small) = Small::mount(&data, "24m") else {
        println!("no file system may be mounted here: nothing was shown");
        return;
    };
    let server = Upstream::ok();
    let mut gate = Gate::builder().data(&data).rest(&routes(&server)).start();
    let create = |gate: &Gate| gate.cli(&["key", "create", "--name", "n", "--scope", "s"]);
    let mut made = vec![create(&gate).json()];
    let filler = fill(&data);
    let mut refused = 0;
    for _ in 0..20 {
        let output = create(&gate);
        match output.code {
            0 => made.push(output.json()),
            _ => {
                refused += 1;
                assert!(
                    !output.stderr.is_empty() || !output.stdout.is_empty(),
                    "it failed without a word"
                );
            }
        }
        assert_eq!(gate.get("/normal/x", &[]).status, 200);
    }
    assert!(refused > 0, "a full disk took twenty keys");
    std::fs::remove_file(filler).expect("the filler");
    wait::until(SOON, "keys to be made again", || {
        let output = create(&gate);
        if output.code == 0 {
            made.push(output.json());
        }
        output.code == 0
    });
    wait::until(SOON, "the strict route to pass again", || {
        gate.get("/strict/x", &[]).status == 200
    });
    let listed = gate.done(&["key", "list"]);
    let listed = texts(listed.as_array().expect("a list"), "id");
    assert_eq!(listed, texts(&made, "id"));
    gate.kill9();
}
