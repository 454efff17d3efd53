//! All that leaves the process except proxied requests: documents over HTTP, names over DNS, and mail over SMTP.
//!
//! Owns: the client for key sets, metadata and introspection ([`HttpFetch`]), the resolver
//! ([`DnsResolve`]), and the judgement of which addresses a URL from outside may lead to ([`refusal`]).
//!
//! Never does: it never knows why something is asked, never follows a redirect, never keeps an answer,
//! never reads a proxy from the environment.
//!
//! Invariants: a URL that does not stand in the operator's file leads to public addresses over TLS only;
//! the address that was judged is the address that is connected to (one resolution, then the socket
//! address is pinned); every wait, head and body has a bound.

mod address;
mod dns;
mod fetch;
pub mod mail;
mod target;
mod tls;

pub use address::refusal;
pub use dns::DnsResolve;
pub use fetch::HttpFetch;
pub use mail::{MailQueue, MailSink, Smtp, SmtpError, SmtpServer};
pub use tls::SetupError;
