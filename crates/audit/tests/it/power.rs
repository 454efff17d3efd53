//! The disk fails: power cuts, full disks, failing syncs.

use crate::fixture::{admin, allow, deny, place, simulated, wait};
use audit::disk::{Disk, SimulatedDisk};
use audit::{Ledger, LedgerError, LedgerOptions, Reader, verify_with};
use base::{EventId, code};
use std::collections::HashSet;
use std::sync::Arc;
use std::thread;

/// One run under load that is cut at a moment that depends on the seed. Gives the disk as it is found then, and
/// the strict and administrative events that were acknowledged before the cut.
fn run_and_cut(disk: &SimulatedDisk, seed: u64) -> (SimulatedDisk, Vec<EventId>) {
    let options = LedgerOptions { segment_bytes: 20_000, ..simulated(disk) };
    let (ledger, mut recorders) = Ledger::open(options, 2).unwrap();
    let (load, strict) = (recorders.remove(0), recorders.remove(0));
    let mut acknowledged = Vec::new();
    if !seed.is_multiple_of(4) {
        disk.cut_after(1 + seed * 7 % 41);
    }
    let cut = thread::scope(|scope| {
        scope.spawn(|| {
            for n in 0..200 + (seed % 7) * 50 {
                load.record(&if n % 5 == 0 { deny(n) } else { allow(n) });
            }
        });
        for n in 0..seed % 23 {
            match seed % 8 {
                1 if n == 3 => disk.limit(Some(seed * 37 % 9000)),
                1 if n == 9 => disk.limit(None),
                2 if n == 4 => disk.fail_syncs(1),
                3 if n == 4 => disk.fail_syncs(3),
                _ => {}
            }
            let (event, done) = if n % 3 == 0 {
                let event = admin(u128::from(seed * 1000 + n));
                (event.clone(), wait(ledger.append_synced(vec![event])))
            } else {
                let event = allow(1_000_000 + seed * 1000 + n);
                (event.clone(), wait(strict.record_synced(&event)))
            };
            if done.is_ok() {
                acknowledged.push(event.id);
            }
        }
        disk.cut(seed)
    });
    drop((ledger, load, strict));
    (cut, acknowledged)
}

#[test]
fn power_cuts_lose_nothing_that_was_acknowledged() {
    let rounds = u64::from(testkit::rounds(200));
    let mut disk = SimulatedDisk::new();
    let mut acknowledged = Vec::new();
    let (mut cuts, mut torn) = (0_u64, 0_u64);
    for seed in 0..rounds {
        let (found, more) = run_and_cut(&disk, seed);
        disk = found;
        acknowledged.extend(more);
        if seed.is_multiple_of(2) {
            // The power goes again, in the midst of the recovery.
            disk.cut_after(seed % 14);
            drop(Ledger::open(simulated(&disk), 1));
            disk = disk.cut(seed);
        }
        let (ledger, _recorders) = Ledger::open(simulated(&disk), 1).unwrap();
        assert!(ledger.cut().is_some(), "seed {seed}");
        let while_running = verify_with(&disk, &place(), None).unwrap();
        assert!(while_running.ok, "seed {seed}: {:?}", while_running.problems);
        let reader = Reader::on(Arc::new(disk.clone()), place());
        let (all, _tail) = reader.recent(usize::MAX, |_| true).unwrap();
        let ids: HashSet<EventId> = all.iter().map(|event| event.id).collect();
        for id in &acknowledged {
            assert!(ids.contains(id), "seed {seed}: {id:?} is missing");
        }
        let last = all.last().unwrap();
        assert_eq!(last.code, code::LEDGER_CUT, "seed {seed}");
        cuts += all.iter().filter(|event| event.code == code::LEDGER_CUT).count() as u64;
        torn += u64::from(!last.detail.as_deref().unwrap().contains("; 0 torn bytes"));
        if seed % 5 == 4 {
            // Small ledgers and grown ones; ones that ended in order and ones that did not.
            ledger.close().unwrap();
            let report = verify_with(&disk, &place(), None).unwrap();
            assert!(report.ok && report.closed, "seed {seed}: {:?}", report.problems);
            disk = SimulatedDisk::new();
            acknowledged.clear();
        } else if seed % 3 == 0 {
            ledger.close().unwrap();
        } else {
            disk = disk.cut(seed);
        }
    }
    println!(
        "{rounds} rounds, {cuts} records of cuts read, {torn} torn tails, nothing acknowledged lost"
    );
    assert!(cuts > rounds, "{cuts} cuts: the test must not be idle");
    // A handful of rounds may leave no tail that is torn.
    assert!(torn > rounds / 10 || rounds < 20, "{torn} torn: the test must not be idle");
}

#[test]
fn a_full_disk_refuses_and_recovers() {
    let disk = SimulatedDisk::new();
    let (ledger, recorders) = Ledger::open(simulated(&disk), 1).unwrap();
    wait(recorders[0].record_synced(&allow(1))).unwrap();
    disk.limit(Some(1000));
    for n in 2..100 {
        recorders[0].record(&allow(n));
    }
    let full = wait(recorders[0].record_synced(&allow(100)));
    assert!(matches!(full, Err(LedgerError::Full)), "{full:?}");
    disk.limit(None);
    wait(recorders[0].record_synced(&allow(101))).unwrap();
    ledger.close().unwrap();
    let report = verify_with(&disk, &place(), None).unwrap();
    assert!(report.ok, "{:?}", report.problems);
    assert!(ledger.metrics().lost >= 1);
}

#[test]
fn a_failed_sync_is_never_called_a_success() {
    let disk = SimulatedDisk::new();
    let (ledger, recorders) = Ledger::open(simulated(&disk), 1).unwrap();
    wait(recorders[0].record_synced(&allow(1))).unwrap();
    // The next sync is then that of a segment.
    while disk.read(&place().join("checkpoint")).is_err() {
        thread::yield_now();
    }
    disk.fail_syncs(1);
    assert!(wait(recorders[0].record_synced(&allow(2))).is_err());
    wait(recorders[0].record_synced(&allow(3))).unwrap();
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
        wait(recorders[0].record_synced(&allow(n))).unwrap();
    }
    let found = disk.cut(0);
    let segment = place().join("segments/00000000000000000000.seg");
    found.flip(&segment, 6000, 4);
    let opened = Ledger::open(simulated(&found), 1);
    assert!(matches!(opened, Err(LedgerError::Damaged(_))), "{opened:?}");
    assert!(!verify_with(&found, &place(), None).unwrap().ok);
}
