//! Why a query cannot be answered.

/// Why a query cannot be answered. Positions count characters from 1.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QueryError {
    /// The text is not a query.
    #[error("at character {position}: {what}")]
    Syntax {
        /// Where.
        position: usize,
        /// What stands there, and what could.
        what: String,
    },
    /// The text is a query, but not one that makes sense.
    #[error("{0}")]
    Meaning(String),
    /// It would read, keep or give more than is allowed.
    #[error("too many {0}; narrow the query, for example by time, or add LIMIT")]
    TooMuch(&'static str),
}
