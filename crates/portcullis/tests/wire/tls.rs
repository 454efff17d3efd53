//! TLS on the caller's side: versions, the post-quantum key exchange, protocols, certificates that change.

use crate::stage::{SOON, curl, open, tls, upstream};
use std::path::Path;
use std::process::{Command, Stdio};
use testkit::{Authority, Gate, RawClient, Upstream, wait};

const GET: &str = "GET /api/x HTTP/1.1\r\nhost: localhost\r\n\r\n";

fn gate(folder: &Path, lines: &str, server: &Upstream) -> Gate {
    Gate::builder()
        .listener(&format!("{}\n{lines}", tls(folder, "server")))
        .rest(&(upstream("api", &[server.url()], "") + &open("api", "")))
        .start()
}

/// What `openssl s_client` says of a handshake with these options.
fn s_client(gate: &Gate, args: &[&str]) -> String {
    let address = gate.address();
    let mut command = Command::new("openssl");
    command.args(["s_client", "-connect", &address, "-servername", "localhost"]).args(args);
    let output = command.stdin(Stdio::null()).output().expect("openssl runs");
    String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
}

#[test]
fn tls_1_2_and_1_3_are_spoken_and_nothing_older() {
    let folder = tempfile::tempdir().expect("a folder");
    Authority::new().write(folder.path(), "server", &["localhost"]);
    let server = Upstream::ok();
    let gate = gate(folder.path(), "", &server);
    let ca = folder.path().join("ca.pem").display().to_string();
    let url =
        format!("https://localhost:{}/api/x", gate.address().rsplit(':').next().expect("a port"));
    for version in [&["--tlsv1.2", "--tls-max", "1.2"][..], &["--tlsv1.3"]] {
        let done = curl(&[version, &["--cacert", &ca, &url]].concat());
        assert_eq!((done.exit, done.status), (0, 200), "{version:?}: {done:?}");
    }
    for version in ["-tls1", "-tls1_1"] {
        let said = s_client(&gate, &[version, "-cipher", "DEFAULT@SECLEVEL=0"]);
        assert!(
            said.contains(" alert ") && said.contains("no peer certificate"),
            "{version}: {said}"
        );
    }
    // No key exchange without forward secrecy, no CBC, no SHA-1.
    for cipher in ["AES128-SHA", "AES128-GCM-SHA256", "ECDHE-ECDSA-AES128-SHA"] {
        let said = s_client(&gate, &["-tls1_2", "-cipher", &format!("{cipher}:@SECLEVEL=0")]);
        assert!(said.contains("alert handshake failure"), "{cipher}: {said}");
    }
    assert_eq!(server.count(), 2);
}

#[test]
fn a_client_that_can_gets_the_post_quantum_key_exchange() {
    let folder = tempfile::tempdir().expect("a folder");
    let authority = Authority::new();
    authority.write(folder.path(), "server", &["localhost"]);
    let server = Upstream::ok();
    let gate = gate(folder.path(), "", &server);
    let mut client =
        RawClient::connect_tls(&gate.address(), "localhost", &authority, &["http/1.1"]);
    assert_eq!(client.exchange(GET).status, 200);
    let tls = client.tls().expect("TLS");
    let group = tls.negotiated_key_exchange_group().expect("a group").name();
    assert_eq!(group, rustls::NamedGroup::X25519MLKEM768);
    // A client that cannot gets what it can.
    let said = s_client(&gate, &["-groups", "P-256"]);
    assert!(said.contains("ECDH, prime256v1"), "{said}");
}

#[test]
fn the_protocol_is_one_that_both_speak() {
    let folder = tempfile::tempdir().expect("a folder");
    let authority = Authority::new();
    authority.write(folder.path(), "server", &["localhost"]);
    let server = Upstream::ok();
    for (lines, offered, agreed) in [
        ("", &["h2", "http/1.1"][..], Some(&b"h2"[..])),
        ("", &["http/1.1"], Some(b"http/1.1")),
        ("", &[], None),
        ("http2 = false", &["h2", "http/1.1"], Some(b"http/1.1")),
    ] {
        let gate = gate(folder.path(), lines, &server);
        let mut client = RawClient::connect_tls(&gate.address(), "localhost", &authority, offered);
        // Whatever is spoken, the handshake is over once bytes have come back.
        client.send(GET);
        assert!(!client.read_some().expect("an answer").is_empty());
        assert_eq!(client.tls().expect("TLS").alpn_protocol(), agreed, "{lines} {offered:?}");
    }
}

#[test]
fn a_certificate_that_changes_is_taken_without_a_restart() {
    let folder = tempfile::tempdir().expect("a folder");
    let first = Authority::new();
    first.write(folder.path(), "server", &["localhost"]);
    let server = Upstream::ok();
    let gate = gate(folder.path(), "", &server);
    let connect = |authority: &Authority| {
        RawClient::connect_tls(&gate.address(), "localhost", authority, &["http/1.1"])
    };
    let takes = |authority: &Authority| connect(authority).try_send(GET.as_bytes()).is_ok();
    let mut old = connect(&first);
    assert_eq!(old.exchange(GET).status, 200);
    // Files that do not belong together are refused, and the running certificate stays.
    std::fs::write(folder.path().join("server.pem"), Authority::new().issue(&["localhost"]).0)
        .expect("a file");
    gate.sighup();
    gate.wait_for_log("server.pem", SOON);
    assert!(takes(&first), "a bad pair of files replaced the good one");
    let second = Authority::new();
    second.write(folder.path(), "server", &["localhost"]);
    // Noticed without being told.
    wait::until(SOON, "the new certificate", || takes(&second));
    assert!(!takes(&first));
    assert_eq!(old.exchange(GET).status, 200, "a connection was cut by the change");
}

/// A caller without TLS on a port with TLS, and half a handshake: both end, and nobody else notices.
#[test]
fn what_is_no_handshake_ends() {
    let folder = tempfile::tempdir().expect("a folder");
    let authority = Authority::new();
    authority.write(folder.path(), "server", &["localhost"]);
    let server = Upstream::ok();
    let gate = gate(folder.path(), "timeouts = { head = \"1s\" }", &server);
    for bytes in [GET.as_bytes(), b"\x16\x03\x01\x02\x00\x01", b""] {
        let mut client = RawClient::connect(&gate.address());
        client.send(bytes);
        assert!(client.is_closed(SOON), "{bytes:?}");
    }
    let mut client = RawClient::connect_tls(&gate.address(), "localhost", &authority, &[]);
    assert_eq!(client.exchange(GET).status, 200);
    assert_eq!(server.count(), 1);
}
