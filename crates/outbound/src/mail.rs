//! Mail to people: over SMTP, or kept in memory where no server is configured.
//!
//! Owns: the sink for development ([`MailSink`]), one delivery over SMTP ([`Smtp`]), and the queue before it
//! ([`MailQueue`]).
//!
//! Invariants: neither an address nor a text of a message, nor what a server said, stands in a log line or an error;
//! whoever sends a message never waits for a server.

mod compose;
mod queue;
mod sink;
mod smtp;
mod stream;

pub use queue::{Carried, Delivery, MailQueue, Told, WAITING};
pub use sink::{KEPT_MESSAGES, Kept, MailSink};
pub use smtp::{DELIVERY, Security, Smtp, SmtpError, SmtpServer, is_near};
