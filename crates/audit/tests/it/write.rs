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
        recorders[n as usize % 2].record(&allow(n));
    }
    wait(recorders[0].record_synced(&allow(1000))).unwrap();
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
            recorders[0].record(&allow(run * 300 + n));
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
        recorders[0].record(&if n % 9 == 0 { deny(n) } else { allow(n) });
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
    recorders[0].record(&allow(1));
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

/// Two runs, so two segments; the second begins with what follows from the first. With the bytes of the second
/// and the length of its first frame.
fn two_segments(dir: &std::path::Path) -> (std::path::PathBuf, Vec<u8>, usize) {
    for run in 0..2u64 {
        let (ledger, recorders) = real(dir);
        wait(ledger.append_synced(vec![admin(u128::from(run))])).unwrap();
        for n in 0..5 {
            let event = run * 10 + n;
            wait(recorders[0].record_synced(&if n < 3 { deny(event) } else { allow(event) }))
                .unwrap();
            recorders[0].record(&allow(event + 100));
        }
        ledger.close().unwrap();
    }
    let segment = files(&dir.join("segments")).pop().unwrap();
    let bytes = std::fs::read(&segment).unwrap();
    let open = 104 + u32::from_be_bytes(bytes[8..12].try_into().unwrap()) as usize;
    (segment, bytes, open)
}

/// Writes `bytes` with `change` and fitting checksums in place of a segment.
fn lie(segment: &std::path::Path, bytes: &[u8], change: impl FnOnce(&mut Vec<u8>)) {
    let mut changed = bytes.to_vec();
    change(&mut changed);
    audit::fuzzing::reseal(&mut changed);
    std::fs::write(segment, &changed).unwrap();
}

const TIME: &str = "its time lies before that of events in front of it";
const USAGE: &str = "the counters of the quotas are not those of the events";
const IDS: &str = "the known administrative ids are not those of the events";

/// `explain` passes over a segment when the next one was begun before the request came in.
#[test]
fn a_segment_that_says_it_began_too_early_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let (segment, bytes, _) = two_segments(dir.path());
    lie(&segment, &bytes, |it| {
        // Both times, by some 18 minutes.
        it[29] = it[29].wrapping_sub(16);
        it[37] = it[37].wrapping_sub(16);
    });
    let report = verify(dir.path()).unwrap();
    assert!(report.problems.len() == 1 && report.problems[0].what == TIME, "{report:?}");
}

#[test]
fn an_administrative_id_that_was_made_up_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let (segment, bytes, open) = two_segments(dir.path());
    // The last bytes of the first frame and of the last are an id.
    for at in [open - 1, bytes.len() - 1] {
        lie(&segment, &bytes, |it| it[at] ^= 1);
        let report = verify(dir.path()).unwrap();
        assert!(report.problems.len() == 1 && report.problems[0].what == IDS, "{report:?}");
    }
}

#[test]
fn counters_of_the_quotas_that_were_changed_are_found() {
    let dir = tempfile::tempdir().unwrap();
    let (segment, bytes, open) = two_segments(dir.path());
    // Of the segment's beginning and of its first batch: normal, denials, reserve.
    for frame in [0, open] {
        for field in [40, 48, 56] {
            lie(&segment, &bytes, |it| it[frame + field + 7] ^= 1);
            let report = verify(dir.path()).unwrap();
            assert!(!report.ok && report.problems.iter().all(|it| it.what == USAGE), "{report:?}");
        }
    }
}

#[test]
fn a_beginning_in_the_middle_of_a_segment_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let (segment, bytes, open) = two_segments(dir.path());
    // Behind its first batch, where a reader would stop.
    let batch =
        open + 104 + u32::from_be_bytes(bytes[open + 8..open + 12].try_into().unwrap()) as usize;
    lie(&segment, &bytes[..batch], |it| it.extend_from_slice(&bytes[..open]));
    let report = verify(dir.path()).unwrap();
    assert!(
        report.problems.iter().any(|it| it.what.contains("stands in its middle")),
        "{report:?}"
    );
}

/// A frame that says it is longer than the file looks like a torn tail, and readers stop in front of it.
#[test]
fn a_frame_that_hides_those_behind_it_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let (segment, bytes, open) = two_segments(dir.path());
    std::fs::remove_file(dir.path().join("checkpoint")).unwrap();
    for file in files(&dir.path().join("tile")) {
        std::fs::remove_file(file).unwrap();
    }
    let cut = &bytes[..bytes.len() - 1];
    lie(&segment, cut, |_| {});
    let honest = verify(dir.path()).unwrap();
    assert!(honest.ok && honest.torn_bytes > 0 && honest.entries == 22, "{honest:?}");
    lie(&segment, cut, |it| {
        it[open + 8] = 1;
        let crc = crc32fast::hash(&it[open..open + 100]);
        it[open + 100..open + 104].copy_from_slice(&crc.to_be_bytes());
    });
    let report = verify(dir.path()).unwrap();
    assert!(!report.ok && report.problems[0].what.contains("cut off"), "{report:?}");
}

fn schema_len(bytes: &[u8]) -> usize {
    u32::from_be_bytes(bytes[104..108].try_into().unwrap()) as usize
}

/// After a crash the last two segments are read again: what the last begins with is then checked at once.
#[test]
fn a_start_after_a_crash_refuses_a_segment_that_begins_with_a_lie() {
    let dir = tempfile::tempdir().unwrap();
    let (segment, bytes, open) = two_segments(dir.path());
    // Without its last byte the end is torn: the run counts as cut.
    let cut = &bytes[..bytes.len() - 1];
    let time =
        |it: &mut Vec<u8>| (it[29], it[37]) = (it[29].wrapping_sub(16), it[37].wrapping_sub(16));
    type Change<'a> = Box<dyn Fn(&mut Vec<u8>) + 'a>;
    let changes: [(Change<'_>, &str); 3] = [
        (Box::new(time), TIME),
        (Box::new(|it: &mut Vec<u8>| it[63] ^= 1), USAGE),
        (Box::new(move |it: &mut Vec<u8>| it[open - 1] ^= 1), IDS),
    ];
    for (change, what) in changes {
        lie(&segment, cut, |it| change(it));
        let refused = Ledger::open(options(dir.path(), Arc::new(RealDisk)), 1).unwrap_err();
        let text = refused.to_string();
        assert!(
            text.contains("00000000000000000011.seg, byte 0: ") && text.contains(what),
            "{text}"
        );
    }
    std::fs::write(&segment, cut).unwrap();
    let (ledger, _recorders) = Ledger::open(options(dir.path(), Arc::new(RealDisk)), 1).unwrap();
    assert_eq!(ledger.cut(), Some(22));
}

/// A clock that is set back does not make a segment begin before its events.
#[test]
fn a_clock_that_is_set_back_makes_no_false_alarm() {
    let dir = tempfile::tempdir().unwrap();
    for (run, at) in [90_000, 0, 30_000].into_iter().enumerate() {
        let clock = Arc::new(base::FakeClock::at(base::UnixMs(1_764_000_000_000 + at)));
        let options = audit::LedgerOptions { clock, ..options(dir.path(), Arc::new(RealDisk)) };
        let (ledger, recorders) = Ledger::open(options, 1).unwrap();
        recorders[0].record(&allow(60_000 + run as u64));
        ledger.close().unwrap();
    }
    let report = verify(dir.path()).unwrap();
    assert!(report.ok, "{:?}", report.problems);
    let reader = audit::Reader::new(dir.path().to_owned());
    assert!(reader.find(crate::fixture::request(60_000)).unwrap().is_some());
}

#[test]
fn a_segment_of_more_events_than_can_be_counted_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (ledger, _recorders) = real(dir.path());
    ledger.close().unwrap();
    drop(ledger);
    let first = dir.path().join("segments/00000000000000000000.seg");
    let bytes = std::fs::read(&first).unwrap();
    std::fs::remove_file(first).unwrap();
    std::fs::remove_file(dir.path().join("checkpoint")).unwrap();
    let segment = dir.path().join("segments/18446744073709551615.seg");
    let schema = schema_len(&bytes);
    lie(&segment, &bytes[..108 + schema], |it| {
        it[16..24].fill(0xff);
        it.extend_from_slice(&u64::MAX.to_be_bytes());
        it.push(8);
        for _level in 0..8 {
            it.extend_from_slice(&255u16.to_be_bytes());
            it.extend_from_slice(&[0; 255 * 32]);
        }
        it.extend_from_slice(&[0; 4]);
        let body = u32::try_from(it.len() - 104).unwrap();
        it[8..12].copy_from_slice(&body.to_be_bytes());
    });
    let refused = Ledger::open(options(dir.path(), Arc::new(RealDisk)), 1).unwrap_err();
    let text = refused.to_string();
    assert!(text.contains("18446744073709551615.seg, byte 0: the state of the tree"), "{text}");
    assert!(!verify(dir.path()).unwrap().ok);
}

fn copy(from: &std::path::Path, to: &std::path::Path) {
    for file in files(from) {
        let copy = to.join(file.strip_prefix(from).unwrap());
        std::fs::create_dir_all(copy.parent().unwrap()).unwrap();
        std::fs::copy(&file, copy).unwrap();
    }
}

/// As after `kill -9`: tiles that waited to be written together are gone, and come back from the segments.
#[test]
fn what_a_kill_leaves_behind_is_whole_after_the_next_start() {
    let (dir, killed) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let small = |dir: &std::path::Path| audit::LedgerOptions {
        segment_bytes: 100_000,
        ..options(dir, Arc::new(RealDisk))
    };
    let (ledger, recorders) = Ledger::open(small(dir.path()), 1).unwrap();
    for n in 0..3000 {
        recorders[0].record(&allow(n));
        if n % 100 == 99 {
            wait(recorders[0].record_synced(&allow(10_000 + n))).unwrap();
        }
    }
    copy(dir.path(), killed.path());
    assert!(files(&killed.path().join("segments")).len() > 4);
    ledger.close().unwrap();
    assert!(verify(dir.path()).unwrap().ok);
    let (ledger, _recorders) = Ledger::open(small(killed.path()), 1).unwrap();
    assert_eq!(ledger.cut(), Some(3030));
    ledger.close().unwrap();
    let report = verify(killed.path()).unwrap();
    assert!(report.ok && report.entries == 3031, "{:?}", report.problems);
    for n in 0..11 {
        assert!(killed.path().join(format!("tile/0/{n:03}")).exists(), "tile {n}");
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
        recorders[0].record(&deny(n));
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
        recorders[0].record(&allow(n));
    }
    wait(recorders[0].record_synced(&allow(5000))).unwrap();
    wait(ledger.append_synced(vec![admin(3)])).unwrap();
    ledger.close().unwrap();
    let metrics = ledger.metrics();
    assert!(metrics.lost > 100 && metrics.lost < 200, "{metrics:?}");
    let reader = audit::Reader::on(Arc::new(disk.clone()), crate::fixture::place());
    let (gaps, _tail) = reader.recent(usize::MAX, |it| it.kind == base::Kind::Gap).unwrap();
    // One at once, perhaps of a part, and one of the rest at the end.
    assert!((1..=2).contains(&gaps.len()), "{gaps:?}");
    assert_eq!(gaps.iter().map(|it| u64::from(it.count)).sum::<u64>(), metrics.lost);
    // Recorded, one strict, one administrative, the gaps.
    assert_eq!(metrics.synced, 200 - metrics.lost + 2 + gaps.len() as u64);
    assert!(verify_with(&disk, &crate::fixture::place(), None).unwrap().ok);
}

#[test]
fn a_full_reserve_refuses_strict_records() {
    let disk = SimulatedDisk::new();
    let quotas = Quotas { reserve_bytes: 0, ..Quotas::default() };
    let (ledger, recorders) =
        Ledger::open(audit::LedgerOptions { quotas, ..simulated(&disk) }, 1).unwrap();
    assert!(matches!(wait(recorders[0].record_synced(&allow(1))), Err(LedgerError::Full)));
    assert!(matches!(wait(ledger.append_synced(vec![admin(3)])), Err(LedgerError::Full)));
}

#[test]
fn a_full_ring_counts_what_it_cannot_take() {
    let disk = SimulatedDisk::new();
    let options = audit::LedgerOptions { ring: 64, ..simulated(&disk) };
    let (ledger, recorders) = Ledger::open(options, 1).unwrap();
    for n in 0..100_000 {
        recorders[0].record(&allow(n));
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
    assert!(matches!(wait(recorders[0].record_synced(&allow(1))), Err(LedgerError::Closed)));
    assert!(matches!(wait(ledger.append_synced(vec![admin(1)])), Err(LedgerError::Closed)));
}
