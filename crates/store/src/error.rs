//! What can go wrong, and how the driver's errors become the ports'.

use authority::PortError;
use std::path::PathBuf;

/// Why a store cannot be opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// The address is none that a store can have.
    #[error("not a store: give postgres://… or a path")]
    Url,
    /// The file cannot be made or opened.
    #[error("{path}: {problem}")]
    File {
        /// The database file.
        path: PathBuf,
        /// What the system said.
        problem: String,
    },
    /// The database does not answer, or refuses us.
    #[error("the database cannot be opened: {0}")]
    Unavailable(String),
    /// The database was written by a newer version of this program.
    #[error(
        "the database has schema {found}, this program knows up to {known}: run the newer version"
    )]
    Newer {
        /// What the database has.
        found: i64,
        /// What this program knows.
        known: i64,
    },
    /// A migration that was applied is not the one that this program carries.
    #[error("migration {version} of the database is not the one that this program carries")]
    Changed {
        /// Which one.
        version: i64,
    },
}

impl From<PortError> for OpenError {
    fn from(error: PortError) -> Self {
        Self::Unavailable(error.to_string())
    }
}

/// The driver's errors, outside a commit. Texts of servers are passed on, their details (which may hold
/// values) are not.
pub(crate) fn port(error: sqlx::Error) -> PortError {
    match error {
        sqlx::Error::Database(error) if error.is_unique_violation() => PortError::Conflict,
        sqlx::Error::Database(error) => PortError::Unavailable(error.message().to_owned()),
        sqlx::Error::ColumnDecode { index, .. } => PortError::Corrupt(format!("column {index}")),
        sqlx::Error::PoolTimedOut => PortError::Unavailable("no connection is free".to_owned()),
        error => PortError::Unavailable(error.to_string()),
    }
}
