//! What is kept and known of people beyond the account: their authenticators, what a session proves, and what is asked.
//!
//! Owns: authenticators' records, levels, sign-in policies.
//!
//! Never does: judge a proof (the factors do) or keep sessions.

pub mod level;
pub mod policy;
pub mod records;

pub use level::{Level, Proof};
pub use policy::{Need, Offers, Policy};
pub use records::{AuthenticatorData, AuthenticatorRecord, FactorKind, KeptCode};
