//! Mail to people: over SMTP, or kept in memory where no server is configured.
//!
//! Owns: the sink for development ([`MailSink`]).
//!
//! Invariant: neither an address nor a text of a message stands in a log line or an error.

mod sink;

pub use sink::{KEPT_MESSAGES, Kept, MailSink};
