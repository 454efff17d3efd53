//! curl over HTTP/1.1 and HTTP/2, in plain and over TLS: every shape of request and answer.

use crate::stage::{Curl, curl, listener, open, tls, upstream};
use std::path::PathBuf;
use testkit::{Answer, Authority, Gate, Seen, Upstream};

/// Bytes of headers in the answer of `/api/large`: near the limit of a response's head.
const LARGE: usize = 30_000;

struct Stage {
    gate: Gate,
    upstream: Upstream,
    _folder: tempfile::TempDir,
    ca: PathBuf,
    tls_port: u16,
}

/// A way to reach the gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    H1,
    H2c,
    TlsH1,
    TlsH2,
}

const WAYS: [Way; 4] = [Way::H1, Way::H2c, Way::TlsH1, Way::TlsH2];

impl Way {
    fn version(self) -> &'static str {
        match self {
            Self::H1 | Self::TlsH1 => "1.1",
            Self::H2c | Self::TlsH2 => "2",
        }
    }
}

impl Stage {
    fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        Authority::new().write(folder.path(), "server", &["localhost"]);
        let upstream = Upstream::start(answer);
        let (secure, tls_port) = listener("secure", &tls(folder.path(), "server"));
        let rest = secure + &self::upstream("api", &[upstream.url()], "") + &open("api", "");
        let gate = Gate::builder().listener("h2c = true").rest(&rest).start();
        let ca = folder.path().join("ca.pem");
        Self { gate, upstream, _folder: folder, ca, tls_port }
    }

    fn curl(&self, way: Way, path: &str, args: &[&str]) -> Curl {
        let ca = self.ca.display().to_string();
        let url = match way {
            Way::H1 | Way::H2c => format!("http://{}{path}", self.gate.address()),
            Way::TlsH1 | Way::TlsH2 => format!("https://localhost:{}{path}", self.tls_port),
        };
        let mut all = match way {
            Way::H1 => vec!["--http1.1"],
            Way::H2c => vec!["--http2-prior-knowledge"],
            Way::TlsH1 => vec!["--http1.1", "--cacert", &ca],
            Way::TlsH2 => vec!["--http2", "--cacert", &ca],
        };
        all.extend(args);
        all.push(&url);
        let done = curl(&all);
        assert_eq!(done.exit, 0, "{way:?} {path} {args:?}: {done:?}");
        assert_eq!(done.version, way.version(), "{way:?} {path}: {done:?}");
        done
    }
}

fn answer(seen: &Seen) -> Answer {
    match seen.target().split(['?', '/']).nth(2).unwrap_or_default() {
        "empty" => Answer::Bytes(b"HTTP/1.1 204 No Content\r\nx-kind: empty\r\n\r\n".to_vec()),
        "unchanged" => Answer::Bytes(
            b"HTTP/1.1 304 Not Modified\r\netag: \"a\"\r\ncontent-length: 5\r\n\r\n".to_vec(),
        ),
        "head" => Answer::Bytes(b"HTTP/1.1 200 OK\r\ncontent-length: 12345\r\n\r\n".to_vec()),
        "chunks" => Answer::Bytes(
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntrailer: x-sum\r\n\r\n\
              5\r\nhello\r\n6\r\n world\r\n0\r\nx-sum: 11\r\n\r\n"
                .to_vec(),
        ),
        "until-close" => Answer::Close(b"HTTP/1.1 200 OK\r\n\r\nto the end".to_vec()),
        "early-hints" => Answer::Bytes(
            b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n\
              HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
                .to_vec(),
        ),
        "large" => {
            let value = "v".repeat(1000);
            let lines: Vec<(String, &str)> =
                (0..LARGE / 1010).map(|n| (format!("x-h{n}"), value.as_str())).collect();
            let lines: Vec<(&str, &str)> = lines.iter().map(|(n, v)| (n.as_str(), *v)).collect();
            Answer::with(200, &lines, b"large")
        }
        _ => Answer::with(200, &[("x-length", &seen.body.length.to_string())], &seen.body.kept),
    }
}

#[test]
fn answers_without_a_body_have_none() {
    let stage = Stage::start();
    for way in WAYS {
        let empty = stage.curl(way, "/api/empty", &[]);
        assert_eq!((empty.status, empty.body.len()), (204, 0), "{way:?}");
        assert_eq!(empty.header("x-kind"), Some("empty"), "{way:?}");
        assert_eq!(empty.header("content-length"), None, "{way:?}");
        let unchanged = stage.curl(way, "/api/unchanged", &[]);
        assert_eq!((unchanged.status, unchanged.body.len()), (304, 0), "{way:?}");
        assert_eq!(unchanged.header("etag"), Some("\"a\""), "{way:?}");
        let head = stage.curl(way, "/api/head", &["--head"]);
        assert_eq!((head.status, head.header("content-length")), (200, Some("12345")), "{way:?}");
        for done in [empty, unchanged, head] {
            assert!(done.header("x-request-id").is_some(), "{way:?}: {done:?}");
        }
    }
}

#[test]
fn bodies_and_trailers_come_down_however_they_are_framed() {
    let stage = Stage::start();
    for way in WAYS {
        let chunks = stage.curl(way, "/api/chunks", &[]);
        assert_eq!(chunks.body, b"hello world", "{way:?}");
        assert_eq!(chunks.header("x-sum"), Some("11"), "{way:?}: the trailer is lost");
        let closed = stage.curl(way, "/api/until-close", &[]);
        assert_eq!(closed.body, b"to the end", "{way:?}");
        let hinted = stage.curl(way, "/api/early-hints", &[]);
        assert_eq!((hinted.status, hinted.body.as_slice()), (200, &b"ok"[..]), "{way:?}");
        let large = stage.curl(way, "/api/large", &[]);
        assert_eq!(large.body, b"large", "{way:?}");
        let lines = large.heads.lines().filter(|line| line.starts_with("x-h")).count();
        assert_eq!(lines, LARGE / 1010, "{way:?}: headers are lost");
    }
}

#[test]
fn bodies_go_up_however_they_are_framed() {
    let stage = Stage::start();
    let file = tempfile::NamedTempFile::new().expect("a file");
    let sent: Vec<u8> = (0..300_000_u32).map(|n| n.to_le_bytes()[0]).collect();
    std::fs::write(file.path(), &sent).expect("it is written");
    let data = format!("@{}", file.path().display());
    let path = file.path().display().to_string();
    for way in WAYS {
        let known = stage.curl(way, "/api/echo", &["--data-binary", &data, "-H", "Expect:"]);
        assert!(known.body == sent, "{way:?}: {} of {} bytes", known.body.len(), sent.len());
        assert_eq!(stage.upstream.last().header("content-length").as_deref(), Some("300000"));
        // Chunks in HTTP/1.1; in HTTP/2 a body without a length.
        let chunked = stage.curl(
            way,
            "/api/echo",
            &[
                "-T",
                &path,
                "-X",
                "POST",
                "-H",
                "Transfer-Encoding: chunked",
                "-H",
                "Content-Length:",
                "-H",
                "Expect:",
            ],
        );
        assert!(chunked.body == sent, "{way:?}: {} of {} bytes", chunked.body.len(), sent.len());
        let nothing = stage.curl(way, "/api/echo", &["-X", "POST", "--data", ""]);
        assert_eq!((nothing.status, nothing.header("x-length")), (200, Some("0")), "{way:?}");
    }
    let framings: Vec<_> = stage
        .upstream
        .requests()
        .iter()
        .map(|seen| (seen.header("transfer-encoding"), seen.header("content-length")))
        .collect();
    assert!(framings.iter().all(|(coding, length)| coding.is_none() || length.is_none()));
    assert!(framings.iter().any(|(coding, _)| coding.as_deref() == Some("chunked")));
}

/// RFC 9110 §10.1.1: the caller is told to go on once the gate lets it pass, and not before.
#[test]
fn rfc9110_s10_1_1_continue_is_said_to_those_who_may_pass() {
    let stage = Stage::start();
    for way in WAYS {
        let args =
            ["--data-binary", "hello", "-H", "Expect: 100-continue", "--expect100-timeout", "15"];
        let done = stage.curl(way, "/api/echo", &args);
        assert_eq!(done.body, b"hello", "{way:?}");
        assert!(done.heads.contains(" 100"), "{way:?}: {}", done.heads);
        // This curl forgets an answer over HTTP/2 that ends before its body was sent.
        if way.version() == "1.1" {
            let refused = stage.curl(way, "/nowhere", &args);
            assert_eq!(refused.status, 404, "{way:?}");
            assert!(!refused.heads.contains(" 100"), "{way:?}: {}", refused.heads);
        }
    }
}

#[test]
fn connections_are_used_again() {
    let stage = Stage::start();
    // This curl does not use a connection of HTTP/2 by prior knowledge twice.
    for way in [Way::H1, Way::TlsH1, Way::TlsH2] {
        let ca = stage.ca.display().to_string();
        let url = match way {
            Way::H1 | Way::H2c => format!("http://{}/api/echo", stage.gate.address()),
            Way::TlsH1 | Way::TlsH2 => format!("https://localhost:{}/api/echo", stage.tls_port),
        };
        let version = match way {
            Way::H1 | Way::TlsH1 => "--http1.1",
            Way::H2c => "--http2-prior-knowledge",
            Way::TlsH2 => "--http2",
        };
        let sink = ["--output", "/dev/null"];
        let args =
            [&[version, "--cacert", &ca][..], &sink, &[&url], &sink, &[&url], &[&url]].concat();
        let done = curl(&args);
        assert_eq!((done.exit, done.connects), (0, 1), "{way:?}: {done:?}");
    }
    // Nine requests, one after the other, needed one connection to the upstream for each shard at most.
    let shards = std::thread::available_parallelism().map_or(1, usize::from) as u64;
    assert!(stage.upstream.connections() <= shards, "{} connections", stage.upstream.connections());
}

#[test]
fn an_old_client_is_served() {
    let stage = Stage::start();
    let ask = |path: &str| curl(&["--http1.0", &format!("http://{}{path}", stage.gate.address())]);
    let done = ask("/api/echo");
    assert_eq!((done.exit, done.status), (0, 200), "{done:?}");
    // RFC 9112 §6.1: an HTTP/1.0 client knows no chunks.
    let chunks = ask("/api/chunks");
    assert_eq!((chunks.exit, chunks.body.as_slice()), (0, &b"hello world"[..]), "{chunks:?}");
    assert_eq!(chunks.header("transfer-encoding"), None);
    assert_eq!(stage.upstream.last().line(), "GET /api/chunks HTTP/1.1");
}

/// A refusal comes while a large body is still on its way: the caller must be able to read it all the same.
#[test]
fn a_refused_upload_is_told_why() {
    let stage = Stage::start();
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), vec![0; 3_000_000]).expect("it is written");
    let data = format!("@{}", file.path().display());
    for way in WAYS {
        for _ in 0..5 {
            let refused = stage.curl(way, "/nowhere", &["--data-binary", &data, "-H", "Expect:"]);
            assert_eq!(refused.status, 404, "{way:?}: {refused:?}");
        }
    }
    assert_eq!(stage.upstream.count(), 0);
}
