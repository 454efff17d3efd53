//! Events and ledgers for tests.

use audit::disk::{Disk, RealDisk, SimulatedDisk};
use audit::{Ledger, LedgerOptions, Recorder};
use base::{
    Event, EventId, FakeClock, Kind, NodeId, Outcome, Phase, RequestId, Secret, UnixMs, code,
};
use std::future::Future;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;

pub(crate) const NODE: NodeId = NodeId(7);
pub(crate) const START: UnixMs = UnixMs(1_764_000_000_000);

pub(crate) fn request(n: u64) -> RequestId {
    RequestId::compose(UnixMs(START.0 + i64::try_from(n).unwrap()), NODE, n)
}

pub(crate) fn allow(n: u64) -> Event {
    let id = request(n);
    let mut event = Event::new(id.into(), id.time(), NODE, Kind::Decision, code::OK);
    event.request_id = Some(id);
    event.phase = Some(Phase::Act);
    event.route = Some("orders-read".into());
    event.method = Some("GET".into());
    event.host = Some("api.example.com".into());
    event.path = Some(format!("/orders/{n}").into());
    event.client_ip = Some("192.0.2.17".parse().unwrap());
    event.principal = Some("alice@example.com".into());
    event.status = 200;
    event.latency_us = 1234;
    event
}

pub(crate) fn deny(n: u64) -> Event {
    let mut event = allow(n);
    event.outcome = Outcome::Deny;
    event.code = code::KEY_UNKNOWN;
    event.phase = Some(Phase::Authenticate);
    event.status = 401;
    event.principal = None;
    event
}

pub(crate) fn admin(n: u128) -> Event {
    let id = EventId((n | 1 << 127).to_be_bytes());
    Event::new(id, START, NODE, Kind::Admin, code::KEY_CREATED)
}

pub(crate) fn options(dir: &Path, disk: Arc<dyn Disk>) -> LedgerOptions {
    let clock = Arc::new(FakeClock::at(START));
    let seed = Secret::new([7; 32]);
    LedgerOptions { disk, ..LedgerOptions::new(dir.to_owned(), NODE, seed, clock) }
}

pub(crate) fn real(dir: &Path) -> (Ledger, Vec<Recorder>) {
    Ledger::open(options(dir, Arc::new(RealDisk)), 2).unwrap()
}

pub(crate) fn place() -> PathBuf {
    PathBuf::from("/ledger")
}

pub(crate) fn simulated(disk: &SimulatedDisk) -> LedgerOptions {
    options(&place(), Arc::new(disk.clone()))
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Waits for a future on this thread.
pub(crate) fn wait<F: Future>(future: F) -> F::Output {
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => return output,
            Poll::Pending => std::thread::park(),
        }
    }
}

/// Every file below a folder.
pub(crate) fn files(dir: &Path) -> Vec<PathBuf> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { all.extend(files(&path)) } else { all.push(path) }
    }
    all.sort();
    all
}
