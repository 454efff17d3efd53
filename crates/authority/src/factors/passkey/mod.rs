//! Passkeys and security keys (WebAuthn Level 3), as a relying party.
//!
//! Owns: what the browser is asked for, and whether what comes back is right: for this origin, this challenge, this
//! credential. It judges by itself over the signatures of `protocol` (`docs/adr/0013-passkeys.md`).
//!
//! Never does: keep a credential or a state, look up whose a credential is, or read a clock.
//!
//! Invariants:
//! - A state serves one ceremony: its keeper sees to it that it is used once and not for long.
//! - One origin, to the letter; no page in a frame; nothing that was signed for another purpose.
//! - What the browser adds by itself (transports, `credProps`) decides nothing: it is not signed.
//! - A counter that does not grow is a refusal. The keeper must write the new counter only over the one that was judged.

mod attest;
mod cbor;
mod config;
mod data;
mod key;
mod register;
#[cfg(test)]
pub(crate) mod soft;
#[cfg(test)]
mod tests;
mod verify;
#[cfg(test)]
mod vouching;

pub use attest::Anchors;
pub use config::{NotARelyingParty, Relying, Verification};
pub use data::RESPONSE_BYTES;
pub use register::{Attestation, Person, Registered, Registering};
pub use verify::{Authenticated, Authenticating, Claimed, Kept, handle_of};

use super::Kind;

/// The factor's name.
pub const NAME: &str = "passkey";
/// Its names in `amr` (RFC 8176 §2): a proof of possession, and somebody was there. WHY not `swk`: where nobody vouches
/// for the authenticator, nobody knows whether its key lies in software. WHY neither `pin` nor `fpt`: it tells that it
/// has verified the person, not how.
pub const AMR: &[&str] = &["pop", "user"];
/// The same, where its maker vouches that the key lies in hardware and stays there.
pub const AMR_HARDWARE: &[&str] = &["hwk", "user"];

/// Credentials that stand in one request: as many as a person can have of all kinds.
const CREDENTIALS_MOST: usize = 64;

/// What a proof proves. WHY knowledge where the person was verified: by a PIN or by a biometric, which nobody is told.
/// As knowledge it makes two kinds with possession, and none more beside a password.
pub fn kinds(user_verified: bool) -> &'static [Kind] {
    match user_verified {
        true => &[Kind::Possession, Kind::Knowledge],
        false => &[Kind::Possession],
    }
}

/// Why an answer is refused. None of it is told to the browser; it stands in the record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// It cannot be read.
    #[error("the {0} cannot be read")]
    Malformed(&'static str),
    /// It was made for the other ceremony, or for something else altogether.
    #[error("it was made for another purpose")]
    Purpose,
    /// It answers another challenge: an old one, or somebody else's.
    #[error("it answers another challenge")]
    Challenge,
    /// It was made on a page of another origin.
    #[error("it was made at another origin")]
    Origin,
    /// It was made on a page within a page of another site.
    #[error("it was made within a page of another site")]
    Framed,
    /// It was made for another relying party.
    #[error("it was made for another relying party")]
    RelyingParty,
    /// Nobody touched the authenticator.
    #[error("nobody was present")]
    NotPresent,
    /// The authenticator has not verified the person, who had to be.
    #[error("the person was not verified")]
    NotVerified,
    /// The authenticator contradicts itself, or what it said before, about being backed up.
    #[error("what it says of backups cannot be")]
    Backup,
    /// A key of a kind that was not asked for, or of a weak form.
    #[error("the key is of no kind that is taken")]
    Algorithm,
    /// The credential is registered already.
    #[error("the credential is registered already")]
    Registered,
    /// The credential is not among those that were asked for, or not the one that was looked up.
    #[error("the credential is not one that was asked for")]
    Unknown,
    /// The authenticator says that the credential is another person's, or not whose.
    #[error("the credential is another person's")]
    OtherPerson,
    /// The signature is wrong.
    #[error("the signature is wrong")]
    Signature,
    /// The attestation is wrong.
    #[error("the attestation is wrong: {0}")]
    Attestation(&'static str),
    /// The counter did not grow: there may be two authenticators with this key.
    #[error("the counter went from {kept} to {said}: it may be a copy")]
    Cloned {
        /// The counter that was known.
        kept: u32,
        /// The counter that came.
        said: u32,
    },
    /// A request could not be made: no random bytes, or too many credentials.
    #[error("the request cannot be made")]
    NotMade,
}
