//! The ledger's files: frames, record batches, notes, names.
//!
//! The first byte chooses: a segment, a message of events, a note, names of files. A segment is judged as it
//! is and with fitting checksums, as somebody would write it who wants to deceive: what `verify` calls good are the
//! events that were recorded, and every reader sees all of them.

#![no_main]

use audit::{Reader, Record, fuzzing, verify_with};
use fuzz::ledger::{Files, Original, dir, events, segment};
use libfuzzer_sys::fuzz_target;
use std::sync::{Arc, LazyLock};

static ORIGINAL: LazyLock<Original> = LazyLock::new(Original::read);

/// A panic of the decoder of Arrow is caught by the ledger's reader, and is no finding.
fn let_arrow_panic() {
    let abort = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        let file = info.location().map_or("", |place| place.file());
        if !["/arrow-", "/flatbuffers-"].iter().any(|name| file.contains(name)) {
            abort(info);
        }
    }));
}

fn read_segment(bytes: &[u8]) {
    assert!(fuzzing::frames_hold(bytes));
    let files = ORIGINAL.files.copy();
    files.put(&segment(), bytes);
    let report = verify_with(&files, dir(), Some(&ORIGINAL.key)).expect("readable");
    let read = events(&files);
    if report.ok {
        assert_eq!(
            (report.entries, &report.root),
            (ORIGINAL.report.entries, &ORIGINAL.report.root)
        );
        assert_eq!(read.as_ref(), Some(&ORIGINAL.events));
        sees_all(&files);
    }
    // A start never goes on from less than was signed for.
    if let Ok(entries) = fuzzing::recover(&files, dir(), &ORIGINAL.key) {
        assert!(entries >= ORIGINAL.report.entries);
    }
}

/// The times of the events as queries write them.
static TIMES: LazyLock<Vec<String>> = LazyLock::new(|| {
    let all = reader(&ORIGINAL.files).query("SELECT time FROM events").expect("good");
    all.iter().map(|row| row["time"].as_str().expect("text").to_owned()).collect()
});

fn reader(files: &Files) -> Reader {
    Reader::on(Arc::new(files.clone()), dir().to_owned())
}

/// Whoever looks for one of the events finds it.
fn sees_all(files: &Files) {
    let reader = reader(files);
    for time in TIMES.iter() {
        let sql = format!("SELECT id FROM events WHERE time = '{time}'");
        assert!(!reader.query(&sql).expect("good").is_empty(), "{time} is hidden from queries");
    }
    for id in ORIGINAL.events.iter().filter_map(|event| event.request_id) {
        let found = reader.find(id).expect("good");
        assert_eq!(found, self::reader(&ORIGINAL.files).find(id).expect("good"), "{id} is hidden");
        assert!(matches!(found, Some(Record::Own(_))));
    }
}

fn read_names(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let files = ORIGINAL.files.copy();
    let mut strange = false;
    for line in text.lines().take(16) {
        let path = dir().join(line.trim_start_matches('/'));
        // Only what lies below the ledger's folder, and is not there yet.
        let plain = path.strip_prefix(dir()).is_ok_and(|rest| {
            rest.iter().count() > 0 && rest.iter().all(|part| part != ".." && part != ".")
        });
        if plain && !ORIGINAL.files.has(&path) {
            files.put(&path, line.as_bytes());
            strange |= !line.ends_with(".tmp");
        }
    }
    let report = verify_with(&files, dir(), Some(&ORIGINAL.key)).expect("readable");
    assert!(!(strange && report.ok), "a file that nobody wrote");
    let _ = fuzzing::recover(&files, dir(), &ORIGINAL.key);
}

fuzz_target!(init: let_arrow_panic(), |data: &[u8]| {
    let Some((kind, data)) = data.split_first() else { return };
    match kind % 4 {
        0 => {
            read_segment(data);
            let mut sealed = data.to_vec();
            fuzzing::reseal(&mut sealed);
            read_segment(&sealed);
        }
        1 => {
            let count = u32::from(kind / 4);
            if let Some((events, holds)) = fuzzing::rows(data, count) {
                assert!(holds && events.len() == count as usize);
            }
            let _ = fuzzing::schema(data);
        }
        2 => {
            let (signed, keys_hold) = fuzzing::notes(data, std::slice::from_ref(&ORIGINAL.key));
            let checkpoint = ORIGINAL.files.bytes(&dir().join("checkpoint"));
            assert!(keys_hold && (!signed || checkpoint.as_deref() == Some(data)));
        }
        _ => read_names(data),
    }
});
