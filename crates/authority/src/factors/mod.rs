//! Ways in which a person proves who they are, one folder each, and the delays that keep guessing slow.
//!
//! Owns: what a factor is and what it knows to judge.
//!
//! Never does: keep sessions, or decide which factors are enough.
//!
//! Invariants:
//! - An unknown account costs what a known one costs.
//! - No number of failures by strangers shuts a person out for good.

#[cfg(test)]
mod contract;
pub mod passkey;
pub mod password;
pub mod recovery;
pub(crate) mod throttle;
pub mod totp;

/// What a proof says (NIST SP 800-63B-4 §2.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Something the person knows.
    Knowledge,
    /// Something the person has.
    Possession,
    /// Something the person is.
    Inherence,
}

/// What became of a proof.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// There was none.
    NotPresented,
    /// It is right.
    Accepted,
    /// It is wrong.
    Rejected,
}
