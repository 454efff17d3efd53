//! What can go wrong, by blame.

use crate::sealing::SealError;
use base::IdError;

/// Why a port could not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PortError {
    /// Nothing was changed: the database did not answer, is full, or refused. Trying again may help.
    #[error("the store is unavailable: {0}")]
    Unavailable(String),
    /// The connection broke while the change was being committed. It may or may not have taken effect:
    /// look before trying again.
    #[error(
        "the store broke off during the commit, so the change may or may not have been made: {0}"
    )]
    Uncertain(String),
    /// Nothing was changed: what was to be made exists already.
    #[error("it exists already")]
    Conflict,
    /// What the database holds is not what this program writes.
    #[error("the store holds a row that cannot be read: {0}")]
    Corrupt(String),
}

/// Why a use case was refused or failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The caller's: an input breaks its rule.
    #[error("{field}: {problem}")]
    Invalid {
        /// Which input, as the command line names it.
        field: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// The caller's: there is nothing with this id.
    #[error("no {what} has the id {id}")]
    NotFound {
        /// `key`, `block` or `address entry`.
        what: &'static str,
        /// The id that was asked for, as far as it is printable.
        id: String,
    },
    /// The operator's: the database.
    #[error(transparent)]
    Store(#[from] PortError),
    /// The operator's: the master key and what is sealed under it.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// Nobody's: as much is under way as is allowed. Trying again helps.
    #[error("{0}")]
    Busy(&'static str),
    /// The system's: no randomness.
    #[error(transparent)]
    Randomness(#[from] IdError),
}

impl Error {
    pub(crate) fn invalid(field: &'static str, problem: impl Into<String>) -> Self {
        Self::Invalid { field, problem: problem.into() }
    }
}
