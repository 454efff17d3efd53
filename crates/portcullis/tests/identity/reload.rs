//! Configuration and certificates replaced under traffic, and the end of the process.

use crate::setup::*;
use serde_json::Value;
use std::io::{Read, Write};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;
use testkit::{Answer, Authority, Endpoint, Gate, Issuer, RawClient, Seen, Upstream, wait};

/// What a change of the file may take.
const SOON: Duration = Duration::from_secs(2);

/// Streams at `/stream` until the other side says stop, else says what it was asked.
fn streams(seen: &Seen) -> Answer {
    match seen.target().as_str() {
        "/stream" => Answer::takeover(|socket| {
            let head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
            let mut result = socket.write_all(head.as_bytes());
            for _ in 0..2000 {
                result = result.and_then(|()| socket.write_all(b"1\r\nx\r\n"));
                wait::pause(Duration::from_millis(20));
            }
            let _ = result;
        }),
        // Answers once the test lets it: a byte on the control connection is not there, so it waits a while.
        "/slow" => Answer::takeover(|socket| {
            wait::pause(Duration::from_millis(1500));
            let _ = socket.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nslow");
            let _ = socket.read(&mut [0; 64]);
        }),
        _ => Answer::ok("ok"),
    }
}

fn open(name: &str, path: &str) -> String {
    route(name, path, "access = \"public\"\nmethods = [\"GET\"]")
}

fn plain(client: &mut RawClient, path: &str) -> u16 {
    client.exchange(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n")).status
}

#[test]
fn a_changed_file_takes_effect_without_dropping_anything() {
    let up = Upstream::start(streams);
    let first = upstream(&up) + &open("all", "/{**}");
    let mut gate = Gate::start(&first);
    let mut kept = RawClient::connect(&gate.address());
    assert_eq!(plain(&mut kept, "/a"), 200);
    let mut stream = RawClient::connect(&gate.address());
    stream.send("GET /stream HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert_eq!(stream.response_head().status, 200);

    // Closed to everybody without a key: bites the connection that is there already.
    gate.rewrite(&(upstream(&up) + &route("all", "/{**}", &api_key("a"))));
    wait::until(SOON, "the new file", || plain(&mut kept, "/a") == 401);
    assert_eq!(said(&gate.get("/a", &[])), refused(401, "credential.missing"));
    assert!(!stream.read_some().expect("the stream goes on").is_empty());

    // A file with mistakes is refused as a whole: its good half opens nothing.
    gate.rewrite(
        &(first.clone() + "[[route]]\nname = \"broken\"\npath = \"/x\"\nupstrem = \"up\"\n"),
    );
    gate.wait_for_log("refused", PATIENCE);
    gate.wait_for_log("upstrem", PATIENCE);
    assert_eq!(plain(&mut kept, "/a"), 401);
    assert_eq!(said(&gate.get("/a", &[])), refused(401, "credential.missing"));

    // A file that is gone for a moment changes nothing either.
    let refusals = gate.log().matches("refused").count();
    std::fs::remove_file(gate.config()).expect("the file goes");
    wait::until(PATIENCE, "it is missed", || gate.log().matches("refused").count() > refusals);
    assert_eq!(plain(&mut kept, "/a"), 401);

    gate.rewrite(&first);
    wait::until(SOON, "the first file", || plain(&mut kept, "/a") == 200);
    assert!(!stream.read_some().expect("the stream goes on").is_empty());
}

#[test]
fn requests_under_way_never_see_a_reload() {
    let up = Upstream::start(streams);
    let first = upstream(&up) + &open("all", "/{**}");
    let mut gate = Gate::start(&first);
    let (stop, count, address) = (AtomicBool::new(false), AtomicUsize::new(0), gate.address());
    std::thread::scope(|scope| {
        let _ended = Ends(&stop);
        let traffic = scope.spawn(|| {
            let mut kept = RawClient::connect(&address);
            while !stop.load(Ordering::SeqCst) {
                assert_eq!(plain(&mut kept, "/kept"), 200);
                // A connection that waits in the queue while listeners change hands is not lost.
                assert_eq!(testkit::get(&format!("{address}/new"), &[]).status, 200);
                count.fetch_add(1, Ordering::SeqCst);
            }
        });
        for round in 0..6 {
            gate.rewrite(&(first.clone() + &open("other", &format!("/round{round}"))));
            gate.sighup();
            let reloads = || gate.log().matches("the configuration was reloaded").count();
            wait::until(PATIENCE, "a reload", || reloads() > round);
            let before = count.load(Ordering::SeqCst);
            wait::until(PATIENCE, "traffic", || {
                traffic.is_finished() || count.load(Ordering::SeqCst) > before + 2
            });
        }
        stop.store(true, Ordering::SeqCst);
        traffic.join().expect("no request failed");
    });
}

#[test]
fn sighup_reloads_what_did_not_seem_to_change() {
    let up = Upstream::ok();
    let gate = Gate::start(&(upstream(&up) + &open("all", "/{**}")));
    assert!(!gate.log().contains("the configuration was reloaded"));
    gate.sighup();
    gate.wait_for_log("the configuration was reloaded", SOON);
    assert_eq!(gate.get("/a", &[]).status, 200);
}

#[test]
fn new_handshakes_see_a_replaced_certificate() {
    let (up, one, two) = (Upstream::start(streams), Authority::new(), Authority::new());
    let folder = tempfile::tempdir().expect("a folder");
    let (cert, key) = one.write(folder.path(), "server", &["localhost"]);
    let gate = Gate::builder()
        .listener(&format!(
            "tls = {{ cert = \"{}\", key = \"{}\" }}",
            cert.display(),
            key.display()
        ))
        .rest(&(upstream(&up) + &open("all", "/{**}")))
        .start();
    let address = gate.address();
    let mut kept = RawClient::connect_tls(&address, "localhost", &one, &["http/1.1"]);
    assert_eq!(plain(&mut kept, "/a"), 200);
    let talks = |authority: &Authority| {
        let mut client = RawClient::connect_tls(&address, "localhost", authority, &["http/1.1"]);
        let sent = client.try_send(b"GET /a HTTP/1.1\r\nHost: localhost\r\n\r\n");
        sent.is_ok() && client.try_response("GET").is_ok_and(|answer| answer.status == 200)
    };
    assert!(talks(&one) && !talks(&two));
    // First only the certificate: it does not fit the key, so nothing changes.
    let (new_cert, new_key) = two.issue(&["localhost"]);
    std::fs::write(&cert, new_cert).expect("written");
    wait::until(PATIENCE, "a refusal", || gate.log().contains("refused"));
    assert!(talks(&one));
    std::fs::write(&key, new_key).expect("written");
    wait::until(SOON, "the new certificate", || talks(&two));
    assert!(!talks(&one));
    assert_eq!(plain(&mut kept, "/a"), 200, "a connection that stands goes on");
}

#[test]
fn sigterm_lets_requests_finish_and_takes_no_new_ones() {
    let up = Upstream::start(streams);
    let mut gate = Gate::start(&(upstream(&up) + &open("all", "/{**}")));
    let mut idle = RawClient::connect(&gate.address());
    assert_eq!(plain(&mut idle, "/a"), 200);
    let mut slow = RawClient::connect(&gate.address());
    slow.send("GET /slow HTTP/1.1\r\nHost: localhost\r\n\r\n");
    up.wait_for(2, PATIENCE);
    gate.sigterm();
    let address: std::net::SocketAddr = gate.address().parse().expect("an address");
    wait::until(PATIENCE, "closed doors", || std::net::TcpStream::connect(address).is_err());
    assert!(idle.is_closed(PATIENCE), "an idle connection ends");
    let ready = testkit::get(&format!("{}/readyz", gate.control()), &[]);
    assert_eq!(ready.status, 503, "{}", ready.text());
    let answer = slow.response();
    assert_eq!((answer.status, answer.text().as_str()), (200, "slow"));
    assert!(slow.is_closed(PATIENCE));
    let (status, took) = timed(|| gate.ended());
    assert_eq!(status.code(), Some(0), "{}", gate.log());
    assert!(took < Duration::from_secs(5), "{took:?}");
}

#[test]
fn a_reload_forgets_no_revocation_and_no_key_of_an_issuer_that_stays() {
    let (up, stays, goes) = (Upstream::ok(), Issuer::start(), Issuer::start());
    let routes = upstream(&up)
        + &route("keys", "/keys", &api_key("a"))
        + &route("stays", "/stays", &jwt("stays", "read"));
    let both = stays.config("stays", AUDIENCE)
        + &goes.config("goes", AUDIENCE)
        + &routes
        + &route("goes", "/goes", &jwt("goes", "read"));
    let mut gate = Gate::start(&both);
    keys_known(&gate, 2);
    let (id, revoked) = key(&gate, "k", "a");
    let (_, good) = key(&gate, "g", "a");
    gate.done(&["key", "revoke", &id]);
    gate.done(&["block", "token", "stolen"]);
    let token = stays.token(AUDIENCE, "read");
    let mut claims = stays.claims(AUDIENCE, "read");
    claims["jti"] = "stolen".into();
    let stolen = stays.sign(&claims);
    let lost = goes.token(AUDIENCE, "read");
    assert_eq!(everywhere(&gate, "/goes", &lost), vec![passed(); 16]);
    let fetched = stays.fetches(Endpoint::Keys);
    // The issuer goes, and with it what was verified in its name; the route takes another's tokens now.
    gate.rewrite(
        &(stays.config("stays", AUDIENCE)
            + &routes
            + &route("goes", "/goes", &jwt("stays", "read"))),
    );
    wait::until(SOON, "the new file", || answer(&gate, "/goes", &lost) != passed());
    let unknown = vec![refused(401, "token.unknown_issuer"); 16];
    assert_eq!(everywhere(&gate, "/goes", &lost), unknown);
    assert_eq!(everywhere(&gate, "/stays", &token), vec![passed(); 16]);
    assert_eq!(stays.fetches(Endpoint::Keys), fetched, "nothing was fetched again");
    assert_eq!(everywhere(&gate, "/stays", &stolen), vec![refused(401, "token.revoked"); 16]);
    assert_eq!(everywhere(&gate, "/keys", &revoked), vec![refused(401, "key.revoked"); 16]);
    assert_eq!(everywhere(&gate, "/keys", &good), vec![passed(); 16]);
    // Another audience takes effect on what is cached.
    gate.rewrite(&(stays.config("stays", "another-api") + &routes));
    wait::until(SOON, "the new file", || answer(&gate, "/stays", &token) != passed());
    let wrong = |said: &(u16, String)| *said == refused(401, "token.wrong_audience");
    wait::until(PATIENCE, "its keys", || wrong(&answer(&gate, "/stays", &token)));
    assert!(everywhere(&gate, "/stays", &token).iter().all(wrong));
}

#[test]
fn listeners_come_and_go_with_the_file() {
    let up = Upstream::ok();
    let first = upstream(&up) + &open("all", "/{**}");
    let mut gate = Gate::start(&first);
    let mut kept = RawClient::connect(&gate.address());
    let port = testkit::free_port();
    let second = |port: u16| {
        format!("[[listener]]\nname = \"second\"\nbind = \"127.0.0.1:{port}\"\n") + &first
    };
    let address = format!("127.0.0.1:{port}");
    let listens = || std::net::TcpStream::connect(&address).is_ok();
    assert!(!listens());
    gate.rewrite(&second(port));
    wait::until(SOON, "the second listener", listens);
    assert_eq!(testkit::get(&format!("{address}/a"), &[]).status, 200);
    // One whose port another program holds: the file is refused, what runs goes on.
    let other = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    gate.rewrite(&second(other.local_addr().expect("an address").port()));
    gate.wait_for_log("refused", PATIENCE);
    assert_eq!(testkit::get(&format!("{address}/a"), &[]).status, 200);
    assert_eq!(plain(&mut kept, "/a"), 200);
    gate.rewrite(&first);
    wait::until(SOON, "its end", || !listens());
    assert_eq!(plain(&mut kept, "/a"), 200);
}

#[test]
fn what_comes_right_after_it_is_ready_is_heard() {
    let up = Upstream::ok();
    let open = upstream(&up) + &open("all", "/{**}");
    let closed = upstream(&up) + &route("all", "/{**}", &api_key("a"));
    for _ in 0..5 {
        let mut gate = Gate::start(&open);
        gate.rewrite(&closed);
        wait::until(SOON, "the new file", || gate.get("/a", &[]).status == 401);
        gate.sigterm();
        assert_eq!(gate.ended().code(), Some(0), "{}", gate.log());
        gate.restart();
        let reloads = || gate.log().matches("the configuration was reloaded").count();
        let before = reloads();
        gate.sighup();
        wait::until(SOON, "a reload", || reloads() > before);
        gate.kill9();
        gate.restart();
        gate.sigterm();
        assert_eq!(gate.ended().code(), Some(0), "{}", gate.log());
    }
}

#[test]
fn a_moved_access_log_is_opened_anew_on_sighup() {
    let up = Upstream::ok();
    let log = "[log]\naccess = { file = \"access.log\" }\n";
    let gate = Gate::start(&(log.to_owned() + &upstream(&up) + &open("all", "/{**}")));
    let (file, moved) = (gate.folder().join("access.log"), gate.folder().join("access.log.1"));
    let lines = |file: &std::path::Path| {
        let text = std::fs::read_to_string(file).unwrap_or_default();
        text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect::<Vec<Value>>()
    };
    let key = "pcl_secret";
    assert_eq!(gate.get("/first", &[("x-api-key", key)]).status, 200);
    wait::until(PATIENCE, "a line", || lines(&file).len() == 1);
    let line = &lines(&file)[0];
    assert_eq!((&line["path"], &line["status"]), (&"/first".into(), &200.into()));
    std::fs::rename(&file, &moved).expect("moved");
    gate.sighup();
    gate.wait_for_log("the configuration was reloaded", PATIENCE);
    assert_eq!(gate.get("/second?access_token=x", &[]).status, 400);
    assert_eq!(gate.get("/third?q=private", &[]).status, 200);
    wait::until(PATIENCE, "two lines", || lines(&file).len() == 2);
    assert_eq!(lines(&moved).len(), 1);
    let text = std::fs::read_to_string(&file).expect("read");
    assert!(!text.contains("private") && !text.contains(key), "{text}");
}
