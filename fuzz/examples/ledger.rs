//! Writes the ledger that the fuzz targets know, into the folder that is named.

use audit::{Ledger, LedgerOptions};
use base::{
    Event, EventId, FakeClock, Kind, NodeId, Outcome, Phase, RequestId, Scheme, Secret, UnixMs,
    code,
};
use std::sync::Arc;

const START: i64 = 1_764_000_000_000;

fn main() {
    let dir = std::env::args().nth(1).expect("the folder");
    let clock = Arc::new(FakeClock::at(UnixMs(START)));
    let options = LedgerOptions::new(dir.into(), NodeId(7), Secret::new([7; 32]), clock);
    let (ledger, recorders) = Ledger::open(options, 1).expect("an empty folder");
    for n in 0..3 {
        recorders[0].record(&request(n));
    }
    let id = EventId([0x80; 16]);
    let admin = Event::new(id, UnixMs(START), NodeId(7), Kind::Admin, code::KEY_CREATED);
    wait(ledger.append_synced(vec![admin])).expect("a disk without end");
    let mut completion = request(2);
    (completion.kind, completion.id) = (Kind::Completion, EventId([0x90; 16]));
    recorders[0].record(&completion);
    ledger.close().expect("a disk without end");
}

fn request(n: u64) -> Event {
    let time = UnixMs(START + 10_000 * i64::try_from(n).expect("few"));
    let id = RequestId::compose(time, NodeId(7), n);
    let mut event = Event::new(id.into(), time, NodeId(7), Kind::Decision, code::OK);
    event.request_id = Some(id);
    event.phase = Some(Phase::Act);
    event.route = Some("orders-read".into());
    event.method = Some("GET".into());
    event.host = Some("api.example.com".into());
    event.path = Some(format!("/orders/{n}").into());
    event.client_ip =
        Some(["192.0.2.17", "2001:db8::1", "192.0.2.18"][n as usize].parse().expect("an address"));
    event.principal = (n > 0).then(|| "alice@example.com".into());
    event.scheme = Some(Scheme::Jwt);
    event.status = 200;
    event.latency_us = 1234;
    if n == 1 {
        event.outcome = Outcome::Deny;
        (event.code, event.status) = (code::KEY_UNKNOWN, 401);
        event.trace_id = Some([9; 16]);
    }
    event
}

fn wait<F: Future>(future: F) -> F::Output {
    let mut future = std::pin::pin!(future);
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    loop {
        match future.as_mut().poll(&mut context) {
            std::task::Poll::Ready(output) => return output,
            std::task::Poll::Pending => std::thread::yield_now(),
        }
    }
}
