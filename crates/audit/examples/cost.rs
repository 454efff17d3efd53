//! What the ledger costs: CPU time per event of both threads, the one that records and the one that writes.
//!
//! `cargo run --release -p audit --example cost [FOLDER [SECONDS [RATE…]]]`
//!
//! Each rate (events a second) runs twice, with the ledger and with events that are made and thrown away; the
//! difference of the process's CPU time (user and system) is the ledger's. FOLDER should lie on the disk that
//! is meant; what is written there stays.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a measurement stops at the first mistake")]

use audit::{Ledger, LedgerOptions, Recorder, verify};
use base::{
    Clock, Event, Kind, NodeId, Outcome, Phase, RequestIds, Scheme, Secret, SystemClock, code,
};
use nix::sys::resource::{UsageWho, getrusage};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

const NODE: NodeId = NodeId(1);
/// Events are made in bursts, as requests come in.
const BURST: Duration = Duration::from_millis(1);

struct Source {
    ids: RequestIds,
    clock: SystemClock,
    route: Arc<str>,
    principal: Arc<str>,
    client: Arc<str>,
    credential: Arc<str>,
    issuer: Arc<str>,
}

impl Source {
    fn new() -> Self {
        Self {
            ids: RequestIds::new(NODE, 0).unwrap(),
            clock: SystemClock::new(),
            route: "orders-read".into(),
            principal: "auth0|5f7c8ec7c33c6c004bbafe82".into(),
            client: "orders-ui".into(),
            credential: "0190b0a6-7c1e-7cc0".into(),
            issuer: "corp".into(),
        }
    }

    fn event(&self) -> Event {
        let now = self.clock.now();
        let id = self.ids.next(now);
        let mut event = Event::new(id.into(), now, NODE, Kind::Decision, code::OK);
        event.request_id = Some(id);
        event.outcome = Outcome::Allow;
        event.phase = Some(Phase::Act);
        event.route = Some(Arc::clone(&self.route));
        event.method = Some("GET".into());
        event.host = Some("api.example.com".into());
        event.path = Some("/orders/4711/items".into());
        event.client_ip = Some([203, 0, 113, 17].into());
        event.principal = Some(Arc::clone(&self.principal));
        event.client_id = Some(Arc::clone(&self.client));
        event.credential_id = Some(Arc::clone(&self.credential));
        event.issuer = Some(Arc::clone(&self.issuer));
        event.scheme = Some(Scheme::Jwt);
        event.status = 200;
        (event.latency_us, event.upstream_us, event.bytes_out) = (812, 640, 1500);
        event
    }
}

/// CPU time of the process, and of this thread.
fn cpu() -> [Duration; 2] {
    [UsageWho::RUSAGE_SELF, UsageWho::RUSAGE_THREAD].map(cpu_of)
}

fn cpu_of(who: UsageWho) -> Duration {
    let usage = getrusage(who).unwrap();
    let of = |it: nix::sys::time::TimeVal| {
        Duration::new(it.tv_sec().try_into().unwrap(), u32::try_from(it.tv_usec()).unwrap() * 1000)
    };
    of(usage.user_time()) + of(usage.system_time())
}

/// Makes `rate` events a second for `span`; gives the CPU time of one in µs, of the process and of this thread.
fn load(rate: u64, span: Duration, record: impl Fn(Event)) -> [f64; 2] {
    let source = Source::new();
    let (began, before) = (source.clock.monotonic(), cpu());
    let mut made = 0;
    loop {
        let passed = source.clock.monotonic().since(began);
        if passed >= span {
            let (per_event, [process, thread]) = (1e6 / made as f64, cpu());
            let [process_before, thread_before] = before;
            return [process - process_before, thread - thread_before]
                .map(|it| it.as_secs_f64() * per_event);
        }
        let due = u64::try_from(passed.as_micros()).unwrap() * rate / 1_000_000;
        for _ in made..due {
            record(source.event());
        }
        made = due;
        thread::park_timeout(BURST);
    }
}

fn open(dir: &Path) -> (Ledger, Recorder) {
    let options = LedgerOptions::new(
        dir.to_owned(),
        NODE,
        Secret::new([1; 32]),
        Arc::new(SystemClock::new()),
    );
    let (ledger, mut recorders) = Ledger::open(options, 1).unwrap();
    (ledger, recorders.pop().unwrap())
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().map_or_else(|| PathBuf::from("."), PathBuf::from);
    let seconds = arguments.next().map_or(5, |it| it.parse().unwrap());
    let span = Duration::from_secs(seconds);
    let mut rates: Vec<u64> = arguments.map(|it| it.parse().unwrap()).collect();
    if rates.is_empty() {
        rates.extend([20_000, 50_000, 100_000]);
    }
    for rate in rates {
        let without = load(rate, span, drop);
        // Kept: after many files were deleted ext4 searches long for a free inode.
        let dir = tempfile::tempdir_in(&folder).unwrap().keep();
        let (ledger, recorder) = open(&dir);
        let with = load(rate, span, |event| recorder.record(&event));
        ledger.close().unwrap();
        let metrics = ledger.metrics();
        println!(
            "{rate:>7} events/s: {:.2} µs an event, {:.2} where it is recorded (load alone {:.2}); \
             {} events, {} lost, {} syncs, {:.0} bytes an event",
            with[0] - without[0],
            with[1] - without[1],
            without[0],
            metrics.synced,
            metrics.lost,
            metrics.syncs,
            metrics.bytes as f64 / metrics.synced as f64,
        );
        let report = verify(&dir).unwrap();
        if !report.ok {
            panic!("{:?}", report.problems);
        }
    }
}
