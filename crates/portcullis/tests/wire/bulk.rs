//! Bodies of any size at constant memory, and streams that arrive as they are sent.

use crate::stage::{open, resident_kib, upstream};
use std::io::{Read, Write};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc;
use std::time::Duration;
use testkit::{Answer, Gate, Node, RawClient, Upstream, wait};

/// The most that the gate may hold in memory, whatever passes through it.
const RESIDENT_KIB: u64 = 60 * 1024;
/// How often its memory is looked at.
const LOOK: Duration = Duration::from_millis(20);

/// Bytes of a body.
fn size() -> u64 {
    if testkit::soak() { 4 << 30 } else { 256 << 20 }
}

/// Runs `work` and checks all the while what the gate holds.
fn watched(gate: &Gate, what: &str, work: impl FnOnce()) {
    let (over, most) = (AtomicBool::new(false), AtomicU64::new(0));
    let pid = gate.pid();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::SeqCst) {
                most.fetch_max(resident_kib(pid), Ordering::SeqCst);
                wait::pause(LOOK);
            }
        });
        // Ends the watch also when the work fails.
        let _end = Defer(&over);
        work();
    });
    let most = most.load(Ordering::SeqCst);
    println!("{what}: {} MiB with {} KiB resident", size() >> 20, most);
    assert!(most < RESIDENT_KIB, "{what}: {most} KiB resident");
}

struct Defer<'a>(&'a AtomicBool);

impl Drop for Defer<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// Counts what comes in; sends as much as asked.
fn server() -> Upstream {
    Upstream::start(|seen| {
        if seen.method() != "GET" {
            return Answer::ok(&seen.body.length.to_string());
        }
        let chunked = seen.target().ends_with("chunked");
        Answer::takeover(move |socket| {
            let framing = if chunked {
                "transfer-encoding: chunked".to_owned()
            } else {
                format!("content-length: {}", size())
            };
            let _ = write!(socket, "HTTP/1.1 200 OK\r\n{framing}\r\n\r\n");
            let piece = vec![7; 1 << 20];
            for _ in 0..size() >> 20 {
                if chunked {
                    let _ = socket.write_all(b"100000\r\n");
                }
                if socket.write_all(&piece).is_err() {
                    return;
                }
                if chunked {
                    let _ = socket.write_all(b"\r\n");
                }
            }
            if chunked {
                let _ = socket.write_all(b"0\r\n\r\n");
            }
        })
    })
}

#[test]
fn bodies_pass_down_at_constant_memory() {
    let server = server();
    let gate = Gate::builder()
        .listener("h2c = true")
        .rest(&(upstream("api", &[server.url()], "") + &open("api", "")))
        .start();
    for path in ["/api/length", "/api/chunked"] {
        watched(&gate, &format!("HTTP/1.1 {path}"), || {
            let mut client = RawClient::connect(&gate.address());
            let answer = client.exchange(format!("GET {path} HTTP/1.1\r\nhost: a\r\n\r\n"));
            assert_eq!((answer.body.length, answer.body.complete), (size(), true));
        });
    }
    watched(&gate, "HTTP/2 down", || {
        let url = format!("http://{}/api/length", gate.address());
        let said =
            bulk_curl(&["--output", "/dev/null", "--write-out", "%{size_download}", &url], 0);
        assert_eq!(said, size().to_string());
    });
}

#[test]
fn bodies_pass_up_at_constant_memory() {
    let server = server();
    let gate = Gate::builder()
        .listener("h2c = true")
        .rest(&(upstream("api", &[server.url()], "") + &open("api", "")))
        .start();
    watched(&gate, "HTTP/1.1 up", || {
        let mut client = RawClient::connect(&gate.address());
        client
            .send(format!("POST /api/x HTTP/1.1\r\nhost: a\r\ncontent-length: {}\r\n\r\n", size()));
        let piece = vec![7; 1 << 20];
        for _ in 0..size() >> 20 {
            client.send(&piece);
        }
        assert_eq!(client.response().text(), size().to_string());
    });
    watched(&gate, "HTTP/2 up", || {
        let url = format!("http://{}/api/x", gate.address());
        let said = bulk_curl(&["--request", "POST", "--upload-file", "-", &url], size());
        assert_eq!(said, size().to_string());
    });
}

#[test]
fn bodies_pass_to_an_http2_upstream_at_constant_memory() {
    let server = Node::start("http2.mjs", &["serve"]);
    let rest = upstream("api", &[server.url()], "protocol = \"h2\"") + &open("api", "");
    let gate = Gate::builder().listener("h2c = true").rest(&rest).start();
    watched(&gate, "HTTP/2 to HTTP/2", || {
        let url = format!("http://{}/api/count", gate.address());
        let head = ["--dump-header", "-", "--output", "/dev/null"];
        let args = [&head[..], &["--request", "POST", "--upload-file", "-", &url]].concat();
        let said = bulk_curl(&args, size());
        assert!(said.contains(&format!("x-length: {}", size())), "{said}");
    });
}

/// A sender that a slow reader holds up is not read ahead of: the gate's buffers stay small.
#[test]
fn a_slow_reader_holds_its_sender_up() {
    let server = server();
    let gate = Gate::start(&(upstream("api", &[server.url()], "") + &open("api", "")));
    watched(&gate, "slow readers", || {
        let mut clients: Vec<RawClient> = (0..50)
            .map(|_| {
                let mut client = RawClient::connect(&gate.address());
                client.send("GET /api/length HTTP/1.1\r\nhost: a\r\n\r\n");
                client
            })
            .collect();
        for client in &mut clients {
            assert_eq!(client.response_head().status, 200);
        }
        // A thousand pieces each, then all at once go away.
        for _ in 0..20 {
            for client in &mut clients {
                assert!(!client.read_some().expect("bytes").is_empty());
            }
        }
    });
}

/// curl over HTTP/2 with so many bytes to send; what it prints.
fn bulk_curl(args: &[&str], send: u64) -> String {
    let mut command = Command::new("curl");
    command.args(["--silent", "--http2-prior-knowledge", "--noproxy", "*"]).args(args);
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("curl runs");
    let mut stdin = child.stdin.take().expect("a pipe");
    let piece = vec![7; 1 << 20];
    for _ in 0..send >> 20 {
        if stdin.write_all(&piece).is_err() {
            break;
        }
    }
    drop(stdin);
    let output = child.wait_with_output().expect("curl ends");
    assert!(output.status.success(), "{:?}", output.status);
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// A way to read a stream: what comes next, as text.
type Next = Box<dyn FnMut() -> String>;

/// A program that is ended when it is dropped.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn over_h1(gate: &Gate) -> Next {
    let mut client = RawClient::connect(&gate.address());
    client.send("GET /api/events HTTP/1.1\r\nhost: a\r\n\r\n");
    assert_eq!(client.response_head().header("content-type"), Some("text/event-stream"));
    Box::new(move || {
        let bytes = client.read_some().expect("the next event");
        assert!(!bytes.is_empty(), "the stream ended");
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

fn over_h2(gate: &Gate) -> Next {
    let url = format!("http://{}/api/events", gate.address());
    let mut command = Command::new("curl");
    command.args(["--silent", "--no-buffer", "--http2-prior-knowledge", "--max-time", "15", &url]);
    let mut child = Ended(command.stdout(Stdio::piped()).spawn().expect("curl runs"));
    let mut stdout = child.0.stdout.take().expect("a pipe");
    Box::new(move || {
        let _running = &child;
        let mut bytes = [0; 4096];
        let count = stdout.read(&mut bytes).expect("the next event");
        assert!(count > 0, "the stream ended");
        String::from_utf8_lossy(&bytes[..count]).into_owned()
    })
}

/// Events of an upstream that sends the next one only once the last was seen: one that were held back would
/// hold all back.
#[test]
fn events_arrive_one_by_one() {
    for framing in ["transfer-encoding: chunked\r\n", ""] {
        for open_stream in [over_h1, over_h2] {
            check_events(framing, open_stream);
        }
    }
}

fn check_events(framing: &'static str, open_stream: fn(&Gate) -> Next) {
    let (release, wait_for) = mpsc::channel::<()>();
    let wait_for = std::sync::Mutex::new(Some(wait_for));
    let server = Upstream::start(move |_| {
        let wait_for = wait_for.lock().expect("a lock").take().expect("one request");
        Answer::takeover(move |socket| {
            let head =
                format!("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n{framing}\r\n");
            let _ = socket.write_all(head.as_bytes());
            for number in 0.. {
                let event = format!("data: {number}\n\n");
                let event = if framing.is_empty() {
                    event
                } else {
                    format!("{:x}\r\n{event}\r\n", event.len())
                };
                if socket.write_all(event.as_bytes()).is_err() || wait_for.recv().is_err() {
                    return;
                }
            }
        })
    });
    let gate = Gate::builder()
        .listener("h2c = true")
        .rest(&(upstream("api", &[server.url()], "") + &open("api", "")))
        .start();
    let mut next = open_stream(&gate);
    let mut read = String::new();
    for number in 0..20 {
        let event = format!("data: {number}\n\n");
        while !read.contains(&event) {
            read += &next();
        }
        release.send(()).expect("the upstream waits");
    }
}
