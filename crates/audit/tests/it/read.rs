//! Reading: one request, the newest, what comes, queries.

use crate::fixture::{START, admin, allow, deny, place, request, simulated, wait};
use audit::disk::SimulatedDisk;
use audit::{Ledger, LedgerOptions, ReadError, Reader, Record, Recorder, verify_with};
use base::{Event, EventId, Kind, NodeId, Outcome, RequestId, UnixMs, code};
use serde_json::json;
use std::sync::Arc;

struct Bench {
    disk: SimulatedDisk,
    ledger: Ledger,
    recorder: Recorder,
    reader: Reader,
}

fn bench() -> Bench {
    let disk = SimulatedDisk::new();
    let options = LedgerOptions { segment_bytes: 30_000, ..simulated(&disk) };
    let (ledger, mut recorders) = Ledger::open(options, 1).unwrap();
    let reader = Reader::on(Arc::new(disk.clone()), place());
    Bench { disk, ledger, recorder: recorders.remove(0), reader }
}

impl Bench {
    fn sync(&self) {
        wait(self.ledger.append_synced(vec![admin(u128::from(rand()))])).unwrap();
    }
}

fn rand() -> u64 {
    u64::from_be_bytes(base::random_array().unwrap())
}

fn completion(n: u64) -> Event {
    let mut event = allow(n);
    event.kind = Kind::Completion;
    event.id = EventId::random().unwrap();
    (event.status, event.latency_us, event.bytes_out) = (201, 77_000, 4096);
    event
}

#[test]
fn a_request_is_found_by_its_id() {
    let bench = bench();
    for n in 0..2000 {
        bench.recorder.record(&allow(n * 50));
        if n % 100 == 0 {
            bench.sync();
        }
    }
    bench.recorder.record(&deny(7));
    bench.sync();
    for n in [0, 50, 99_950] {
        assert_eq!(bench.reader.find(request(n)).unwrap(), Some(Record::Own(allow(n))), "{n}");
    }
    assert_eq!(bench.reader.find(request(7)).unwrap(), Some(Record::Own(deny(7))));
    assert_eq!(bench.reader.find(request(8)).unwrap(), None);
}

#[test]
fn an_event_is_read_as_it_was_written() {
    let bench = bench();
    let mut event = deny(3);
    event.client_ip = Some("2001:db8::1".parse().unwrap());
    event.client_id = Some("crawler".into());
    event.credential_id = Some("Ab12".into());
    event.issuer = Some("corp".into());
    event.scheme = Some(base::Scheme::Jwt);
    (event.bytes_in, event.bytes_out, event.upstream_us) = (1, u64::MAX, 9);
    event.detail = Some("exp 2025".into());
    event.trace_id = Some([9; 16]);
    event.method = Some("PROPFIND".into());
    wait(bench.recorder.record_synced(&event.clone())).unwrap();
    assert_eq!(bench.reader.find(request(3)).unwrap(), Some(Record::Own(event)));
}

#[test]
fn a_record_under_a_later_time_is_found() {
    let bench = bench();
    let mut event = allow(5);
    event.time = UnixMs(START.0 + 90_000);
    wait(bench.recorder.record_synced(&event.clone())).unwrap();
    assert_eq!(bench.reader.find(request(5)).unwrap(), Some(Record::Own(event)));
}

#[test]
fn decision_and_completion_are_one_row() {
    let bench = bench();
    wait(bench.recorder.record_synced(&allow(1))).unwrap();
    bench.recorder.record(&completion(1));
    bench.recorder.record(&completion(2));
    bench.sync();
    let Some(Record::Own(found)) = bench.reader.find(request(1)).unwrap() else { panic!() };
    assert_eq!((found.kind, found.status, found.latency_us), (Kind::Decision, 201, 77_000));
    let sql = "select kind, status, bytes_out from events where request_id is not null order by kind desc";
    let rows = bench.reader.query(sql).unwrap();
    assert_eq!(
        json!(rows),
        json!([
            {"kind": "decision", "status": 201, "bytes_out": 4096},
            {"kind": "completion", "status": 201, "bytes_out": 4096},
        ])
    );
}

#[test]
fn a_folded_denial_is_explained_by_its_counted_record() {
    let bench = bench();
    for n in 0..500 {
        bench.recorder.record(&deny(n));
    }
    bench.ledger.close().unwrap();
    let Some(Record::Own(own)) = bench.reader.find(request(5)).unwrap() else { panic!() };
    assert_eq!(own, deny(5));
    for n in [100, 107, 300, 499] {
        let found = bench.reader.find(request(n)).unwrap();
        let Some(Record::Folded(folded)) = found else { panic!("{n}: {found:?}") };
        assert_eq!((folded.count, folded.outcome), (400, Outcome::Deny));
        assert!(folded.detail.unwrap().contains("folded: 400 denials from 192.0.2.0/24"));
    }
    let rows = bench.reader.query("select count(*) r, sum(count) n from events").unwrap();
    assert_eq!(json!(rows), json!([{"r": 101, "n": 500}]));
    let elsewhere = RequestId::compose(request(300).time(), NodeId(99), 300);
    assert_eq!(bench.reader.find(elsewhere).unwrap(), None, "another node's");
}

#[test]
fn the_newest_come_first_and_a_tail_misses_none() {
    let bench = bench();
    for n in 0..300 {
        bench.recorder.record(&allow(n));
    }
    bench.sync();
    let (newest, mut tail) = bench.reader.recent(3, |it| it.kind == Kind::Decision).unwrap();
    let ids: Vec<_> = newest.iter().map(|it| it.request_id.unwrap()).collect();
    assert_eq!(ids, [request(297), request(298), request(299)]);
    assert!(tail.next_events().unwrap().is_empty());
    let mut seen = Vec::new();
    for n in 300..1500 {
        bench.recorder.record(&allow(n));
        if n % 200 == 0 {
            bench.sync();
            seen.extend(tail.next_events().unwrap());
        }
    }
    bench.ledger.close().unwrap();
    let (_again, _recorders) = Ledger::open(simulated(&bench.disk), 1).unwrap();
    loop {
        let more = tail.next_events().unwrap();
        if more.is_empty() {
            break;
        }
        seen.extend(more);
    }
    let decisions = seen.iter().filter(|it| it.kind == Kind::Decision).count();
    assert_eq!(decisions, 1200);
}

#[test]
fn a_query_reads_only_the_time_it_asks_for_and_can_be_stopped() {
    let bench = bench();
    for n in 0..100 {
        bench.recorder.record(&allow(n * 60_000));
        bench.sync();
    }
    let from = "2025-11-24T17:00";
    let sql = format!("select count(*) n from events where kind = 'decision' and time >= '{from}'");
    assert_eq!(json!(bench.reader.query(&sql).unwrap()), json!([{"n": 40}]));
    let stopped = bench.reader.query_while(&sql, &|| false);
    assert!(matches!(stopped, Err(ReadError::Stopped)));
    assert!(matches!(bench.reader.query("select"), Err(ReadError::Query(_))));
}

#[test]
fn a_damaged_frame_is_an_error_and_not_an_omission() {
    let bench = bench();
    wait(bench.recorder.record_synced(&allow(1))).unwrap();
    bench.ledger.close().unwrap();
    bench.disk.flip(&place().join("segments/00000000000000000000.seg"), 5000, 1);
    let read = bench.reader.query("select count(*) from events");
    assert!(matches!(read, Err(ReadError::Damaged { .. })), "{read:?}");
}

#[test]
fn gap_records_are_signed() {
    let disk = SimulatedDisk::new();
    let (ledger, _recorders) = Ledger::open(simulated(&disk), 1).unwrap();
    let mut forged = Event::new(EventId([3; 16]), START, NodeId(7), Kind::Gap, code::LEDGER_GAP);
    forged.detail = Some("nothing is missing; signature AAAA".into());
    wait(ledger.append_synced(vec![forged])).unwrap();
    let report = verify_with(&disk, &place(), None).unwrap();
    assert!(!report.ok && report.problems[0].what.contains("not signed"), "{:?}", report.problems);
}

#[test]
fn another_key_is_noticed_when_one_is_pinned() {
    let bench = bench();
    bench.recorder.record(&allow(1));
    bench.ledger.close().unwrap();
    let own = bench.ledger.key().clone();
    assert!(verify_with(&bench.disk, &place(), Some(&own)).unwrap().ok);
    let other = SimulatedDisk::new();
    let options = LedgerOptions { seed: base::Secret::new([8; 32]), ..simulated(&other) };
    let (ledger, _recorders) = Ledger::open(options, 1).unwrap();
    let report = verify_with(&bench.disk, &place(), Some(ledger.key())).unwrap();
    assert!(!report.ok);
}

/// The small ledger of the fuzz targets is one of today's format and rules; with another they stop at once.
#[test]
fn the_ledger_of_the_fuzz_targets_is_good() {
    let folder =
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/fixtures/ledger");
    let report = audit::verify(&folder).unwrap();
    assert!(report.ok && report.closed && report.entries == 5, "{:?}", report.problems);
}
