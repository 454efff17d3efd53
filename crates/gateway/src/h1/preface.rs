//! Telling HTTP/2 with prior knowledge from HTTP/1.1 by its first bytes.

/// The client's connection preface (RFC 9113 §3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// What the first bytes of a connection say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Prefix {
    /// The HTTP/2 preface is there.
    Yes,
    /// It is something else.
    No,
    /// Too few bytes to tell.
    NeedMore,
}

/// Whether `bytes`, the first of a connection, are the HTTP/2 preface (RFC 9113 §3.4).
pub fn is_h2_preface(bytes: &[u8]) -> Prefix {
    if bytes.starts_with(PREFACE) {
        Prefix::Yes
    } else if PREFACE.starts_with(bytes) {
        Prefix::NeedMore
    } else {
        Prefix::No
    }
}
