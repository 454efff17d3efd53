//! Factors against programs that others wrote.

#![expect(clippy::unwrap_used, reason = "fixtures of tests are tests")]

mod totp;
