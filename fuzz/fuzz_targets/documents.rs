//! Introspection answers and issuer metadata.

#![no_main]

use base::UnixMs;
use base::limits::CLOCK_SKEW;
use libfuzzer_sys::fuzz_target;
use protocol::oauth::{Discovery, Introspection};

const ISSUER: &str = "https://login.example";

fuzz_target!(|data: &[u8]| {
    if let Ok(Introspection::Active(token)) = Introspection::parse(data) {
        let ours = ["orders".to_owned()];
        if token.validate(ISSUER, &ours, UnixMs(1_764_000_000_000), CLOCK_SKEW).is_ok() {
            assert!(token.claims.audiences.iter().any(|aud| **aud == *"orders"));
        }
    }
    if let Ok(read) = Discovery::parse(data, ISSUER) {
        assert!(read.jwks_uri.starts_with("http") && !read.jwks_uri.contains(['#', ' ', '\n']));
    }
    if let Ok(text) = std::str::from_utf8(data) {
        let _ = Discovery::places(text);
    }
});
