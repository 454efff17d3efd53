//! The SQL reader of the ledger.

#![no_main]

use audit::Reader;
use fuzz::ledger::{Original, dir};
use libfuzzer_sys::fuzz_target;
use std::sync::{Arc, LazyLock};

static READER: LazyLock<Reader> =
    LazyLock::new(|| Reader::on(Arc::new(Original::read().files), dir().to_owned()));

fuzz_target!(|data: &[u8]| {
    let Ok(sql) = std::str::from_utf8(data) else { return };
    match READER.query(sql) {
        Err(error) => assert!(!error.to_string().is_empty()),
        Ok(all) => {
            // Without an ORDER BY too, the answer is the same each time, and LIMIT takes its first rows.
            if let Ok(first) = READER.query(&format!("{sql} LIMIT 1")) {
                assert!(first.iter().eq(all.iter().take(1)));
            }
        }
    }
});
