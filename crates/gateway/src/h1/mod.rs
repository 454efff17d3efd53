//! HTTP/1.1 on the wire, for both sides of the gate.
//!
//! Owns: reading heads ([`parse_request`], [`parse_response`]), decoding and encoding bodies
//! ([`BodyDecoder`], [`encode`]), and one buffered connection ([`Conn`]).
//!
//! Never does: routing, time-outs, deciding what is forwarded.
//!
//! Invariants: httparse only splits lines into tokens; every rule on framing is judged here, and a head that
//! two readers could frame differently is refused (RFC 9112 §11.2). Nothing read is trusted before its head is
//! whole. No buffer grows beyond a named bound, and nothing is lost when a caller stops polling.

mod body;
mod conn;
mod date;
pub mod encode;
mod names;
mod preface;
mod request;
mod response;
pub(crate) mod rules;
pub(crate) mod target;
mod token;

#[cfg(test)]
mod tests;

pub use body::{BodyDecoder, BodyError, Decoded, Stop, Wire};
pub use conn::{Conn, READ_WINDOW, WRITE_WINDOW};
pub use date::DateCache;
pub use names::trailer_allowed;
pub use preface::{Prefix, is_h2_preface};
pub(crate) use request::METHOD_BYTES;
pub use request::parse_request;
pub use response::parse_response;
