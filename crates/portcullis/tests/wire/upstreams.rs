//! Real servers behind the gate: nginx, an HTTP/2-only server, servers with certificates of their own.

use crate::stage::{SOON, curl, open, upstream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use testkit::{Authority, Gate, Node, RawClient, free_port, wait};

/// nginx with a folder of its own; ended when dropped.
struct Nginx {
    child: Child,
    port: u16,
}

impl Nginx {
    fn start(folder: &Path) -> Self {
        let port = free_port();
        let html = folder.join("html/api");
        std::fs::create_dir_all(&html).expect("a folder");
        std::fs::write(html.join("page"), "x".repeat(100_000)).expect("a page");
        let config = format!(
            "daemon off; master_process off; pid {0}/pid; error_log {0}/error.log;\n\
             events {{}}\n\
             http {{ access_log off; client_body_temp_path {0}/body; keepalive_requests 3; server {{\n\
             listen 127.0.0.1:{port}; root {0}/html; gzip off; client_max_body_size 0;\n\
             location /api/moved {{ return 302 /api/page; }}\n\
             location /api/put {{ dav_methods PUT; create_full_put_path on; }}\n\
             }} }}\n",
            folder.display()
        );
        std::fs::write(folder.join("nginx.conf"), config).expect("a configuration");
        let mut command = Command::new("nginx");
        command.arg("-p").arg(folder).arg("-c").arg(folder.join("nginx.conf"));
        command.arg("-e").arg(folder.join("error.log")).stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().expect("nginx runs");
        let server = Self { child, port };
        wait::until(SOON, "nginx", || std::net::TcpStream::connect(("127.0.0.1", port)).is_ok());
        server
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn nginx_serves_pages_ranges_and_uploads_through_the_gate() {
    let folder = tempfile::tempdir().expect("a folder");
    let nginx = Nginx::start(folder.path());
    let gate = Gate::start(&(upstream("api", &[nginx.url()], "") + &open("api", "")));
    let url = |path: &str| format!("http://{}{path}", gate.address());
    // nginx ends each connection after three requests: none of ours may fail for that.
    for round in 0..20 {
        let page = curl(&[&url("/api/page")]);
        assert_eq!((page.status, page.body.len()), (200, 100_000), "{round}: {page:?}");
    }
    let part = curl(&["--range", "10-19", &url("/api/page")]);
    assert_eq!((part.status, part.body.len()), (206, 10));
    assert_eq!(part.header("content-range"), Some("bytes 10-19/100000"));
    let etag = curl(&[&url("/api/page")]).header("etag").expect("a tag").to_owned();
    let same = curl(&["-H", &format!("If-None-Match: {etag}"), &url("/api/page")]);
    assert_eq!((same.status, same.body.len()), (304, 0));
    let moved = curl(&[&url("/api/moved")]);
    assert_eq!(moved.status, 302, "{moved:?}");
    let put = curl(&["--request", "PUT", "--data-binary", "kept", &url("/api/put/new")]);
    assert_eq!(put.status, 201, "{put:?}");
    assert_eq!(curl(&[&url("/api/put/new")]).body, b"kept");
    assert_eq!(curl(&["--head", &url("/api/page")]).header("content-length"), Some("100000"));
}

/// The upstream speaks HTTP/2 only; callers speak either.
fn check_h2(url: &str, lines: &str, authority: &str) {
    let rest = upstream("api", &[url.to_owned()], &format!("protocol = \"h2\"\n{lines}"))
        + &open("api", "");
    let gate = Gate::builder().listener("h2c = true").rest(&rest).start();
    let url = |path: &str| format!("http://{}{path}", gate.address());
    let body = "x".repeat(300_000);
    let file = gate.folder().join("body");
    std::fs::write(&file, &body).expect("a file");
    let data = format!("@{}", file.display());
    for version in ["--http1.1", "--http2-prior-knowledge"] {
        let echoed = curl(&[version, "--data-binary", &data, &url("/api/echo")]);
        assert!(
            echoed.status == 200 && echoed.body == body.as_bytes(),
            "{version}: {}",
            echoed.status
        );
        assert_eq!(echoed.header("x-authority"), Some(authority), "{version}");
        assert_eq!(curl(&[version, &url("/api/empty")]).status, 204, "{version}");
        let trailers = curl(&[version, &url("/api/trailers")]);
        assert_eq!(
            (trailers.body.as_slice(), trailers.header("x-sum")),
            (&b"hello world"[..], Some("11"))
        );
        let refused = curl(&[version, &url("/api/refused")]);
        assert_eq!(refused.status, 502, "{version}: {refused:?}");
        // The server ends the connection after an answer: the next request goes over a new one.
        for round in 0..5 {
            let last = curl(&[version, &url("/api/goodbye")]);
            assert_eq!(
                (last.status, last.body.as_slice()),
                (200, &b"goodbye"[..]),
                "{version} {round}"
            );
            let next = curl(&[version, &url("/api/echo")]);
            assert_eq!(next.status, 200, "{version} {round}: {next:?}");
        }
    }
}

#[test]
fn an_http2_only_upstream_serves_callers_of_both_versions() {
    let server = Node::start("http2.mjs", &["serve"]);
    let url = server.url();
    check_h2(&url, "", url.trim_start_matches("http://"));
}

#[test]
fn an_https_upstream_is_believed_by_its_own_authority_only() {
    let folder = tempfile::tempdir().expect("a folder");
    let authority = Authority::new();
    let (certificate, key) = authority.write(folder.path(), "server", &["orders.internal"]);
    let files = [certificate.display().to_string(), key.display().to_string()];
    let server = Node::start("http2.mjs", &["serve", &files[0], &files[1]]);
    let ca = folder.path().join("ca.pem").display().to_string();
    let named = format!("tls = {{ ca = {ca:?}, server_name = \"orders.internal\" }}");
    check_h2(&server.url(), &named, server.url().trim_start_matches("https://"));
    // Another name, another authority, the system's authorities, HTTP/1.1 alone: no byte of a request goes out.
    let other = folder.path().join("other");
    std::fs::create_dir(&other).expect("a folder");
    Authority::new().write(&other, "x", &["x"]);
    let others = other.join("ca.pem").display().to_string();
    let h2 = "protocol = \"h2\"\n";
    for (lines, why) in [
        (format!("{h2}tls = {{ ca = {ca:?} }}"), "the name"),
        (
            format!("{h2}tls = {{ ca = {others:?}, server_name = \"orders.internal\" }}"),
            "the authority",
        ),
        (format!("{h2}tls = {{ server_name = \"orders.internal\" }}"), "the system's authorities"),
        (named.clone(), "the protocol"),
    ] {
        let gate = Gate::start(&(upstream("api", &[server.url()], &lines) + &open("api", "")));
        let answer = gate.get("/api/echo", &[]);
        assert_eq!((answer.status, answer.code().as_str()), (502, "upstream.unreachable"), "{why}");
    }
}

#[test]
fn an_https_upstream_speaks_http1() {
    let folder = tempfile::tempdir().expect("a folder");
    let (certificate, key) = Authority::new().write(folder.path(), "server", &["127.0.0.1"]);
    let files = [certificate.display().to_string(), key.display().to_string()];
    let server = Node::start("websocket.mjs", &["serve", &files[0], &files[1]]);
    let ca = folder.path().join("ca.pem").display().to_string();
    let lines = format!("tls = {{ ca = {ca:?} }}");
    let gate = Gate::start(&(upstream("api", &[server.url()], &lines) + &open("api", "")));
    let mut client = RawClient::connect(&gate.address());
    for _ in 0..3 {
        // A WebSocket server has nothing to say to this but that it is one.
        assert_eq!(client.exchange("GET /api/x HTTP/1.1\r\nhost: a\r\n\r\n").status, 426);
    }
}

/// RFC 9113 §5.1.2: a connection takes so many streams at once and no more; those that last for hours must not keep
/// others waiting.
#[test]
fn rfc9113_s5_1_2_more_streams_than_one_connection_takes_get_another() {
    let server = Node::start("http2.mjs", &["serve"]);
    let rest = upstream("api", &[server.url()], "protocol = \"h2\"\ntimeout = \"5s\"");
    let gate = Gate::start(&(rest + &open("api", "")));
    let mut held: Vec<RawClient> = (0..20)
        .map(|_| {
            let mut client = RawClient::connect(&gate.address());
            client.send("GET /api/hold HTTP/1.1\r\nhost: a\r\n\r\n");
            client
        })
        .collect();
    for (number, client) in held.iter_mut().enumerate() {
        assert_eq!(client.response_head().status, 200, "stream {number}");
    }
    for _ in 0..10 {
        assert_eq!(gate.get("/api/echo", &[]).status, 200);
    }
}
