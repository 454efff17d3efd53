//! The disk fails: power cuts, full disks, failing syncs.

use crate::fixture::{admin, allow, deny, place, simulated, wait};
use audit::disk::SimulatedDisk;
use audit::{Ledger, LedgerError, LedgerOptions, verify_with};
use std::sync::Mutex;
use std::thread;

/// One run under load that is cut at a moment that depends on the seed. Gives the disk as it is found then, and
/// the ids of strict and administrative events that were acknowledged before the cut.
fn run_and_cut(disk: &SimulatedDisk, seed: u64) -> (SimulatedDisk, usize) {
    let options = LedgerOptions { segment_bytes: 20_000, ..simulated(disk) };
    let (ledger, mut recorders) = Ledger::open(options, 2).unwrap();
    let (load, strict) = (recorders.remove(0), recorders.remove(0));
    let acknowledged = Mutex::new(0usize);
    let target = usize::try_from(seed % 23).unwrap();
    let cut = thread::scope(|scope| {
        scope.spawn(|| {
            for n in 0..400 + (seed % 7) * 100 {
                load.record(if n % 5 == 0 { deny(n) } else { allow(n) });
            }
        });
        for n in 0..target as u64 {
            let done = if n % 3 == 0 {
                wait(ledger.append_synced(vec![admin(u128::from(seed * 1000 + n))]))
            } else {
                wait(strict.record_synced(allow(seed * 1000 + n)))
            };
            assert!(done.is_ok());
            *acknowledged.lock().unwrap() += 1;
        }
        disk.cut(seed)
    });
    drop((ledger, load, strict));
    (cut, acknowledged.into_inner().unwrap())
}

#[test]
fn two_hundred_cuts_lose_nothing_that_was_acknowledged() {
    let mut disk = SimulatedDisk::new();
    let mut acknowledged = 0;
    for seed in 0..200 {
        let (found, more) = run_and_cut(&disk, seed);
        acknowledged += more;
        disk = found;
        if seed % 10 == 9 {
            // Small ledgers and grown ones.
            let (ledger, _recorders) = Ledger::open(simulated(&disk), 1).unwrap();
            assert!(ledger.cut().is_some());
            let while_running = verify_with(&disk, &place(), None).unwrap();
            assert!(while_running.ok, "seed {seed}: {:?}", while_running.problems);
            ledger.close().unwrap();
            let report = verify_with(&disk, &place(), None).unwrap();
            assert!(report.ok, "seed {seed}: {:?}", report.problems);
            assert!(report.entries >= acknowledged as u64);
            (disk, acknowledged) = (SimulatedDisk::new(), 0);
        }
    }
}

#[test]
fn a_full_disk_refuses_and_recovers() {
    let disk = SimulatedDisk::new();
    let (ledger, recorders) = Ledger::open(simulated(&disk), 1).unwrap();
    wait(recorders[0].record_synced(allow(1))).unwrap();
    disk.limit(Some(1000));
    for n in 2..100 {
        recorders[0].record(allow(n));
    }
    let full = wait(recorders[0].record_synced(allow(100)));
    assert!(matches!(full, Err(LedgerError::Full)), "{full:?}");
    disk.limit(None);
    wait(recorders[0].record_synced(allow(101))).unwrap();
    ledger.close().unwrap();
    let report = verify_with(&disk, &place(), None).unwrap();
    assert!(report.ok, "{:?}", report.problems);
    assert!(ledger.metrics().lost >= 1);
}

#[test]
fn a_failed_sync_is_never_called_a_success() {
    let disk = SimulatedDisk::new();
    let (ledger, recorders) = Ledger::open(simulated(&disk), 1).unwrap();
    wait(recorders[0].record_synced(allow(1))).unwrap();
    disk.fail_syncs(1);
    assert!(wait(recorders[0].record_synced(allow(2))).is_err());
    wait(recorders[0].record_synced(allow(3))).unwrap();
    let report = verify_with(&disk, &place(), None).unwrap();
    assert!(report.ok, "{:?}", report.problems);
    assert_eq!(report.entries, 2);
    let found = disk.cut(5);
    let (ledger2, _recorders) = Ledger::open(simulated(&found), 1).unwrap();
    ledger2.close().unwrap();
    let report = verify_with(&found, &place(), None).unwrap();
    assert!(report.ok && report.entries >= 3, "{:?}", report.problems);
    drop(ledger);
}

#[test]
fn damage_before_the_tail_is_not_cut_away() {
    let disk = SimulatedDisk::new();
    let (_ledger, recorders) = Ledger::open(simulated(&disk), 1).unwrap();
    for n in 0..20 {
        wait(recorders[0].record_synced(allow(n))).unwrap();
    }
    let found = disk.cut(0);
    let segment = place().join("segments/00000000000000000000.seg");
    found.flip(&segment, 6000, 4);
    let opened = Ledger::open(simulated(&found), 1);
    assert!(matches!(opened, Err(LedgerError::Damaged(_))), "{opened:?}");
    assert!(!verify_with(&found, &place(), None).unwrap().ok);
}
