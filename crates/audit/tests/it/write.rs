//! Appending, closing, opening again, damage.

use crate::fixture::{admin, allow, deny, files, options, real, simulated, wait};
use audit::disk::{RealDisk, SimulatedDisk};
use audit::{Ledger, LedgerError, Quotas, verify, verify_with};
use std::sync::Arc;

#[test]
fn what_is_recorded_is_there_and_verifies() {
    let dir = tempfile::tempdir().unwrap();
    let (ledger, recorders) = real(dir.path());
    for n in 0..1000 {
        recorders[n as usize % 2].record(allow(n));
    }
    wait(recorders[0].record_synced(allow(1000))).unwrap();
    let running = verify(dir.path()).unwrap();
    assert!(running.ok, "{:?}", running.problems);
    assert!(!running.closed);
    ledger.close().unwrap();
    let report = verify(dir.path()).unwrap();
    assert!(report.ok, "{:?}", report.problems);
    assert_eq!((report.entries, report.signed_entries, report.closed), (1001, 1001, true));
    assert_eq!(ledger.metrics().synced, 1001);
    assert_eq!(ledger.metrics().lost, 0);
}

#[test]
fn a_ledger_goes_on_where_it_ended() {
    let dir = tempfile::tempdir().unwrap();
    for run in 0..4u64 {
        let (ledger, recorders) = real(dir.path());
        assert_eq!(ledger.cut(), None);
        for n in 0..300 {
            recorders[0].record(allow(run * 300 + n));
        }
        ledger.close().unwrap();
    }
    let report = verify(dir.path()).unwrap();
    assert!(report.ok, "{:?}", report.problems);
    assert_eq!(report.entries, 1200);
}

#[test]
fn only_one_process_writes() {
    let dir = tempfile::tempdir().unwrap();
    let (_ledger, _recorders) = real(dir.path());
    let second = Ledger::open(options(dir.path(), Arc::new(RealDisk)), 1);
    assert!(matches!(second, Err(LedgerError::Locked(_))));
}

#[test]
fn an_administrative_event_is_appended_once() {
    let disk = SimulatedDisk::new();
    let (ledger, _recorders) = Ledger::open(simulated(&disk), 1).unwrap();
    let events: Vec<_> = (0..10).map(admin).collect();
    wait(ledger.append_synced(events.clone())).unwrap();
    wait(ledger.append_synced(events.clone())).unwrap();
    // Power cut: recognised from the replayed segment.
    let disk = disk.cut(1);
    let (ledger, _recorders) = Ledger::open(simulated(&disk), 1).unwrap();
    wait(ledger.append_synced(events.clone())).unwrap();
    ledger.close().unwrap();
    // In order: recognised from the state.
    let (ledger, _recorders) = Ledger::open(simulated(&disk), 1).unwrap();
    wait(ledger.append_synced(events)).unwrap();
    ledger.close().unwrap();
    let report = verify_with(&disk, &crate::fixture::place(), None).unwrap();
    assert!(report.ok, "{:?}", report.problems);
    assert_eq!(report.entries, 11, "ten and the record of the cut");
}

#[test]
fn a_flipped_byte_in_any_file_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let (ledger, recorders) = real(dir.path());
    for n in 0..700 {
        recorders[0].record(if n % 9 == 0 { deny(n) } else { allow(n) });
    }
    wait(ledger.append_synced(vec![admin(1)])).unwrap();
    ledger.close().unwrap();
    let clean = verify(dir.path()).unwrap();
    assert!(clean.ok, "{:?}", clean.problems);
    let files = files(dir.path());
    assert!(files.len() >= 7, "{files:?}");
    for file in files {
        let bytes = std::fs::read(&file).unwrap();
        let step = (bytes.len() / 60).max(1);
        let ends = bytes.len().saturating_sub(3)..bytes.len();
        for at in (0..bytes.len()).step_by(step).chain(ends) {
            let mut changed = bytes.clone();
            changed[at] ^= 1 << (at % 8);
            std::fs::write(&file, &changed).unwrap();
            let report = verify(dir.path()).unwrap();
            assert!(!report.ok, "{} byte {at}", file.display());
            assert!(!report.problems.is_empty());
        }
        std::fs::write(&file, &bytes).unwrap();
    }
    assert_eq!(verify(dir.path()).unwrap(), clean);
}

/// Readers pass over a frame by the times and the flag in its header, so a header that is written anew with a
/// fitting checksum could hide events from them.
#[test]
fn a_header_that_hides_its_events_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let (ledger, recorders) = real(dir.path());
    recorders[0].record(allow(1));
    ledger.close().unwrap();
    let file = dir.path().join("segments/00000000000000000000.seg");
    let bytes = std::fs::read(&file).unwrap();
    let frame = 104 + u32::from_be_bytes(bytes[8..12].try_into().unwrap()) as usize;
    // The flag of completions, the first time, the last time.
    for (at, mask) in [(7, 1), (24, 0x40), (31, 1), (32, 0x40), (39, 1)] {
        let mut changed = bytes.clone();
        changed[frame + at] ^= mask;
        audit::fuzzing::reseal(&mut changed);
        std::fs::write(&file, &changed).unwrap();
        let report = verify(dir.path()).unwrap();
        assert!(!report.ok && report.problems.len() == 1, "byte {at}: {:?}", report.problems);
        assert!(report.problems[0].to_string().ends_with("does not describe its events"));
    }
}

#[test]
fn a_flood_of_denials_is_folded() {
    let disk = SimulatedDisk::new();
    // A clock that stands: on a busy machine a second might end in the middle of the flood.
    let clock = Arc::new(base::FakeClock::at(base::UnixMs(1_764_000_000_000)));
    let options = audit::LedgerOptions { clock, ..simulated(&disk) };
    let (ledger, recorders) = Ledger::open(options, 1).unwrap();
    for n in 0..1000 {
        recorders[0].record(deny(n));
    }
    ledger.close().unwrap();
    let metrics = ledger.metrics();
    assert_eq!((metrics.folded, metrics.synced), (900, 101));
    assert!(verify_with(&disk, &crate::fixture::place(), None).unwrap().ok);
}

#[test]
fn what_exceeds_a_quota_is_counted_and_the_reserve_holds() {
    let disk = SimulatedDisk::new();
    let quotas = Quotas { normal_bytes: 10_000, denial_bytes: 5_000, ..Quotas::default() };
    let (ledger, recorders) =
        Ledger::open(audit::LedgerOptions { quotas, ..simulated(&disk) }, 1).unwrap();
    for n in 0..200 {
        recorders[0].record(allow(n));
    }
    wait(recorders[0].record_synced(allow(5000))).unwrap();
    wait(ledger.append_synced(vec![admin(3)])).unwrap();
    ledger.close().unwrap();
    let metrics = ledger.metrics();
    assert!(metrics.lost > 100 && metrics.lost < 200, "{metrics:?}");
    // Recorded, one strict, one administrative, one gap.
    assert_eq!(metrics.synced, 200 - metrics.lost + 3);
    assert!(verify_with(&disk, &crate::fixture::place(), None).unwrap().ok);
}

#[test]
fn a_full_reserve_refuses_strict_records() {
    let disk = SimulatedDisk::new();
    let quotas = Quotas { reserve_bytes: 0, ..Quotas::default() };
    let (ledger, recorders) =
        Ledger::open(audit::LedgerOptions { quotas, ..simulated(&disk) }, 1).unwrap();
    assert!(matches!(wait(recorders[0].record_synced(allow(1))), Err(LedgerError::Full)));
    assert!(matches!(wait(ledger.append_synced(vec![admin(3)])), Err(LedgerError::Full)));
}

#[test]
fn a_full_ring_counts_what_it_cannot_take() {
    let disk = SimulatedDisk::new();
    let options = audit::LedgerOptions { ring: 64, ..simulated(&disk) };
    let (ledger, recorders) = Ledger::open(options, 1).unwrap();
    for n in 0..100_000 {
        recorders[0].record(allow(n));
    }
    ledger.close().unwrap();
    let metrics = ledger.metrics();
    assert!(metrics.lost > 0, "{metrics:?}");
    assert!(metrics.synced + metrics.lost > 100_000, "{metrics:?}");
    assert!(verify_with(&disk, &crate::fixture::place(), None).unwrap().ok);
}

#[test]
fn after_close_nothing_is_taken() {
    let disk = SimulatedDisk::new();
    let (ledger, recorders) = Ledger::open(simulated(&disk), 1).unwrap();
    ledger.close().unwrap();
    assert!(matches!(wait(recorders[0].record_synced(allow(1))), Err(LedgerError::Closed)));
    assert!(matches!(wait(ledger.append_synced(vec![admin(1)])), Err(LedgerError::Closed)));
}
