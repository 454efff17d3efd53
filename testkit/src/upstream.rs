//! A scripted HTTP/1.1 server that keeps the exact bytes of what it was sent.

use crate::http::{self, Body, Framing, Reader};
use crate::wait;
use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Requests that are kept; later ones are only counted.
const KEPT: usize = 20_000;
/// Connections at a time, one thread each; more are closed at once.
const CONNECTIONS: usize = 2_000;

/// A request as it arrived.
#[derive(Debug, Clone)]
pub struct Seen {
    /// The exact bytes up to and with the empty line.
    pub head: Vec<u8>,
    /// Its body.
    pub body: Body,
    /// The how-manieth connection to this server it came over, from 1.
    pub connection: u64,
}

impl Seen {
    /// The request line.
    pub fn line(&self) -> String {
        http::first_line(&self.head)
    }

    /// The method.
    pub fn method(&self) -> String {
        self.line().split(' ').next().unwrap_or_default().to_owned()
    }

    /// The request target, as sent.
    pub fn target(&self) -> String {
        self.line().split(' ').nth(1).unwrap_or_default().to_owned()
    }

    /// All header lines, in their order and spelling.
    pub fn headers(&self) -> Vec<(String, String)> {
        http::headers(&self.head)
    }

    /// The values of every line called `name`, whatever its case.
    pub fn values(&self, name: &str) -> Vec<String> {
        let headers = self.headers();
        http::values(&headers, name).into_iter().map(str::to_owned).collect()
    }

    /// The value of `name` where exactly one line has that name.
    pub fn header(&self, name: &str) -> Option<String> {
        let mut values = self.values(name);
        if values.len() == 1 { values.pop() } else { None }
    }
}

/// What a script does with the socket itself.
pub type Takeover = Box<dyn FnOnce(&mut TcpStream) + Send>;

/// What the server does with a request.
pub enum Answer {
    /// These bytes, then the next request.
    Bytes(Vec<u8>),
    /// These bytes, then the end of the connection; also for an answer that breaks off.
    Close(Vec<u8>),
    /// Nothing, until the other side goes away.
    Silence,
    /// These bytes one by one, with a pause after each; then the end of the connection.
    Drip(Vec<u8>, Duration),
    /// Whatever the script writes and reads; then the end of the connection.
    Takeover(Takeover),
}

impl std::fmt::Debug for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Bytes(_) => "Bytes",
            Self::Close(_) => "Close",
            Self::Silence => "Silence",
            Self::Drip(..) => "Drip",
            Self::Takeover(_) => "Takeover",
        })
    }
}

impl Answer {
    /// 200 with `body` as text.
    pub fn ok(body: &str) -> Self {
        Self::status(200, body)
    }

    /// `status` with `body` as text.
    pub fn status(status: u16, body: &str) -> Self {
        Self::with(status, &[("content-type", "text/plain")], body.as_bytes())
    }

    /// `status` with `value` as JSON.
    pub fn json(status: u16, value: &serde_json::Value) -> Self {
        Self::with(status, &[("content-type", "application/json")], value.to_string().as_bytes())
    }

    /// `status` with these headers, a length and `body`.
    pub fn with(status: u16, headers: &[(&str, &str)], body: &[u8]) -> Self {
        let mut bytes = format!("HTTP/1.1 {status} Scripted\r\ncontent-length: {}\r\n", body.len());
        for (name, value) in headers {
            bytes += &format!("{name}: {value}\r\n");
        }
        Self::Bytes([bytes.as_bytes(), b"\r\n", body].concat())
    }

    /// A script that takes the socket over.
    pub fn takeover(script: impl FnOnce(&mut TcpStream) + Send + 'static) -> Self {
        Self::Takeover(Box::new(script))
    }
}

type Script = dyn Fn(&Seen) -> Answer + Send + Sync;

struct Shared {
    script: Box<Script>,
    seen: Mutex<Vec<Seen>>,
    count: AtomicU64,
    connections: AtomicU64,
    open: Mutex<HashMap<u64, TcpStream>>,
    ended: AtomicBool,
}

/// The server. It ends, with all its connections, when it is dropped.
pub struct Upstream {
    address: SocketAddr,
    shared: Arc<Shared>,
}

impl std::fmt::Debug for Upstream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Upstream({})", self.address)
    }
}

impl Upstream {
    /// A server on a free port of 127.0.0.1 that answers each request as `script` says.
    pub fn start(script: impl Fn(&Seen) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        Self::serve(listener, Box::new(script))
    }

    /// The same on an address of the caller's choice; for a server that comes back.
    pub fn start_at(
        address: SocketAddr,
        script: impl Fn(&Seen) -> Answer + Send + Sync + 'static,
    ) -> Self {
        Self::serve(TcpListener::bind(address).expect("the address is free"), Box::new(script))
    }

    /// A server that answers every request with 200 and `ok`.
    pub fn ok() -> Self {
        Self::start(|_| Answer::ok("ok"))
    }

    fn serve(listener: TcpListener, script: Box<Script>) -> Self {
        let address = listener.local_addr().expect("a bound socket has an address");
        let shared = Arc::new(Shared {
            script,
            seen: Mutex::default(),
            count: AtomicU64::new(0),
            connections: AtomicU64::new(0),
            open: Mutex::default(),
            ended: AtomicBool::new(false),
        });
        let own = Arc::clone(&shared);
        std::thread::spawn(move || accept(&listener, &own));
        Self { address, shared }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What has arrived so far.
    pub fn requests(&self) -> Vec<Seen> {
        lock(&self.shared.seen).clone()
    }

    /// The last that arrived.
    ///
    /// # Panics
    /// When nothing did.
    pub fn last(&self) -> Seen {
        lock(&self.shared.seen).last().cloned().expect("a request has arrived")
    }

    /// How many requests have arrived.
    pub fn count(&self) -> u64 {
        self.shared.count.load(Ordering::SeqCst)
    }

    /// How many connections have been made.
    pub fn connections(&self) -> u64 {
        self.shared.connections.load(Ordering::SeqCst)
    }

    /// Waits until `count` requests have arrived.
    ///
    /// # Panics
    /// When they do not within `within`.
    pub fn wait_for(&self, count: u64, within: Duration) {
        wait::until(within, "requests at the upstream", || self.count() >= count);
    }

    /// Closes every open connection, in the middle of whatever goes over it.
    pub fn cut_connections(&self) {
        for stream in lock(&self.shared.open).values() {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::SeqCst);
        // Wakes the accepting thread, which then sees that it is over.
        let _ = TcpStream::connect(self.address);
        self.cut_connections();
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    for stream in listener.incoming() {
        if shared.ended.load(Ordering::SeqCst) {
            return;
        }
        let Ok(stream) = stream else { continue };
        let number = shared.connections.fetch_add(1, Ordering::SeqCst) + 1;
        let Ok(handle) = stream.try_clone() else { continue };
        {
            let mut open = lock(&shared.open);
            if open.len() >= CONNECTIONS {
                continue;
            }
            open.insert(number, handle);
        }
        let shared = Arc::clone(shared);
        std::thread::spawn(move || {
            let _ = stream.set_nodelay(true);
            let _ = connection(stream, number, &shared);
            if let Some(stream) = lock(&shared.open).remove(&number) {
                let _ = stream.shutdown(Shutdown::Both);
            }
        });
    }
}

fn connection(stream: TcpStream, number: u64, shared: &Shared) -> std::io::Result<()> {
    let mut writer = stream.try_clone()?;
    let mut reader = Reader::new(stream);
    while let Some(head) = reader.head()? {
        let headers = http::headers(&head);
        if http::values(&headers, "expect").iter().any(|v| v.eq_ignore_ascii_case("100-continue")) {
            writer.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
        }
        // RFC 9112 §6.3: a request without length or coding has no body.
        let body = reader.body(http::framing(&headers, Framing::None))?;
        let seen = Seen { head, body, connection: number };
        let answer = (shared.script)(&seen);
        keep(shared, seen);
        match answer {
            Answer::Bytes(bytes) => writer.write_all(&bytes)?,
            Answer::Close(bytes) => return writer.write_all(&bytes),
            Answer::Silence => {
                let mut rest = [0; 4096];
                while reader.stream.read(&mut rest)? > 0 {}
                return Ok(());
            }
            Answer::Drip(bytes, pause) => {
                for byte in bytes {
                    writer.write_all(&[byte])?;
                    wait::pause(pause);
                }
                return Ok(());
            }
            Answer::Takeover(script) => {
                script(&mut writer);
                return Ok(());
            }
        }
    }
    Ok(())
}

fn keep(shared: &Shared, seen: Seen) {
    let mut all = lock(&shared.seen);
    if all.len() < KEPT {
        all.push(seen);
    }
    shared.count.fetch_add(1, Ordering::SeqCst);
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
