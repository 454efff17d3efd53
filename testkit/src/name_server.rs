//! A name server that says what the test wants, over UDP.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// The kinds of record that are answered (RFC 1035 §3.2.2, RFC 3596 §2.1).
const A: u16 = 1;
const AAAA: u16 = 28;
/// Where a question begins: after the header (RFC 1035 §4.1.1).
const HEADER: usize = 12;
/// How often the thread looks whether it should end.
const LOOK: Duration = Duration::from_millis(50);

#[derive(Debug, Default)]
struct Shared {
    names: Mutex<HashMap<String, (Vec<IpAddr>, u32)>>,
    questions: AtomicU64,
    silent: AtomicBool,
    ended: AtomicBool,
}

/// A name server on 127.0.0.1. It ends when it is dropped.
#[derive(Debug)]
pub struct NameServer {
    address: SocketAddr,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl NameServer {
    /// One that knows no name yet: all do not exist.
    ///
    /// # Panics
    /// When no socket is to be had.
    pub fn start() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        socket.set_read_timeout(Some(LOOK)).expect("a time-out");
        let address = socket.local_addr().expect("an address");
        let shared = Arc::new(Shared::default());
        let own = shared.clone();
        let thread = std::thread::spawn(move || serve(&socket, &own));
        Self { address, shared, thread: Some(thread) }
    }

    /// `127.0.0.1:PORT`.
    pub fn address(&self) -> String {
        self.address.to_string()
    }

    /// `name` (lower case) has these addresses from now on, for `ttl` seconds each.
    ///
    /// # Panics
    /// When one of them is no address.
    pub fn set(&self, name: &str, addresses: &[&str], ttl: u32) {
        let addresses = addresses.iter().map(|it| it.parse().expect("an address")).collect();
        let mut names = self.shared.names.lock().unwrap_or_else(PoisonError::into_inner);
        names.insert(name.to_owned(), (addresses, ttl));
    }

    /// Answers nothing, or answers again.
    pub fn silent(&self, silent: bool) {
        self.shared.silent.store(silent, Ordering::SeqCst);
    }

    /// How many questions came so far, those included that were not answered.
    pub fn questions(&self) -> u64 {
        self.shared.questions.load(Ordering::SeqCst)
    }
}

impl Drop for NameServer {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn serve(socket: &UdpSocket, shared: &Shared) {
    let mut packet = [0; 1500];
    while !shared.ended.load(Ordering::SeqCst) {
        let Ok((length, peer)) = socket.recv_from(&mut packet) else { continue };
        shared.questions.fetch_add(1, Ordering::SeqCst);
        if !shared.silent.load(Ordering::SeqCst)
            && let Some(answer) = answer(shared, &packet[..length])
        {
            let _ = socket.send_to(&answer, peer);
        }
    }
}

/// RFC 1035 §4.1: header, the question again, answers that point at its name. What is no question gets none.
fn answer(shared: &Shared, packet: &[u8]) -> Option<Vec<u8>> {
    let mut name = Vec::new();
    let mut at = HEADER;
    loop {
        let length = usize::from(*packet.get(at)?);
        at += 1;
        if length == 0 {
            break;
        }
        name.push(String::from_utf8(packet.get(at..at + length)?.to_ascii_lowercase()).ok()?);
        at += length;
    }
    let kind = u16::from_be_bytes([*packet.get(at)?, *packet.get(at + 1)?]);
    let names = shared.names.lock().unwrap_or_else(PoisonError::into_inner);
    let known = names.get(&name.join("."));
    let mut records = Vec::new();
    for address in known.iter().flat_map(|(addresses, _)| addresses) {
        match address {
            IpAddr::V4(it) if kind == A => records.push(it.octets().to_vec()),
            IpAddr::V6(it) if kind == AAAA => records.push(it.octets().to_vec()),
            _ => {}
        }
    }
    // RFC 1035 §4.1.1: 3 is "no such name".
    let code = if known.is_some() { 0 } else { 3 };
    let mut out = packet.get(..2)?.to_vec();
    out.extend([0x81, 0x80 | code, 0, 1, 0, u8::try_from(records.len()).ok()?, 0, 0, 0, 0]);
    out.extend(packet.get(HEADER..at + 4)?);
    for data in records {
        out.extend([0xc0, 12]);
        out.extend(kind.to_be_bytes());
        out.extend([0, 1]);
        out.extend(known.map_or(0, |it| it.1).to_be_bytes());
        out.extend(u16::try_from(data.len()).ok()?.to_be_bytes());
        out.extend(data);
    }
    Some(out)
}
