//! The configuration file.

#![no_main]

use libfuzzer_sys::fuzz_target;
use portcullis::config::{Config, PROBLEMS, Surroundings};
use std::io;
use std::path::Path;

/// Every file holds a certificate, every variable a word: parsing goes on behind them.
struct Around;

impl Surroundings for Around {
    fn file(&self, _: &Path) -> io::Result<Vec<u8>> {
        Ok(b"-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n".to_vec())
    }

    fn variable(&self, _: &str) -> Option<String> {
        Some("word".to_owned())
    }
}

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let report = Config::read(text, Path::new("/etc/gate"), &Around);
    assert_eq!(report.config.is_some(), report.errors() == 0);
    assert!(report.problems.len() <= PROBLEMS);
    for problem in &report.problems {
        assert!(
            problem.line >= 1
                && problem.column >= 1
                && problem.line <= text.matches('\n').count() + 1
        );
        assert!(!problem.render("portcullis.toml").is_empty());
    }
});
