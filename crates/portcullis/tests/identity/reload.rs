//! Configuration and certificates replaced under traffic, and the end of the process.

use crate::setup::*;
use std::io::{Read, Write};
use std::sync::mpsc;
use std::time::Duration;
use testkit::{Answer, Authority, Gate, RawClient, Seen, Upstream, wait};

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

    gate.rewrite(&first);
    wait::until(SOON, "the first file", || plain(&mut kept, "/a") == 200);
    assert!(!stream.read_some().expect("the stream goes on").is_empty());
    assert!(!stream.is_closed(Duration::from_millis(100)));
}

#[test]
fn requests_under_way_never_see_a_reload() {
    let up = Upstream::start(streams);
    let first = upstream(&up) + &open("all", "/{**}");
    let mut gate = Gate::start(&first);
    let (stop, stopped) = mpsc::channel::<()>();
    let address = gate.address();
    let traffic = std::thread::spawn(move || {
        let mut kept = RawClient::connect(&address);
        let mut count = 0_u32;
        while stopped.try_recv().is_err() {
            assert_eq!(plain(&mut kept, "/kept"), 200);
            // A connection that waits in the queue while listeners change hands is not lost.
            assert_eq!(testkit::get(&format!("{address}/new"), &[]).status, 200);
            count += 1;
        }
        count
    });
    for round in 0..6 {
        gate.rewrite(&(first.clone() + &open("other", &format!("/round{round}"))));
        gate.sighup();
        let text = "the configuration was reloaded";
        wait::until(PATIENCE, "a reload", || gate.log().matches(text).count() > round);
    }
    stop.send(()).expect("traffic goes on");
    assert!(traffic.join().expect("no request failed") > 6);
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
    let answer = slow.response();
    assert_eq!((answer.status, answer.text().as_str()), (200, "slow"));
    assert!(slow.is_closed(PATIENCE));
    let (status, took) = timed(|| gate.ended());
    assert_eq!(status.code(), Some(0), "{}", gate.log());
    assert!(took < Duration::from_secs(5), "{took:?}");
}
