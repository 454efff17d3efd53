//! The port through which the gateway asks what a scheme could not know.

use access::issuer::Issuer;
use base::{BoxFuture, Secret};
use protocol::oauth::Introspection;
use std::sync::Arc;
use std::time::Duration;

/// Why an issuer could not be asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LookupError {
    /// It did not answer, or answered nonsense.
    #[error("the issuer gave no usable answer: {0}")]
    Unavailable(String),
}

/// Asks issuers. Implementations bound how often and how long, and go on when whoever asked stops waiting.
pub trait Lookups: Send + Sync + std::fmt::Debug {
    /// Fetches the issuer's keys, at most once in 30 s whoever asks, and puts them in force. Returns when they
    /// are, or when they will not be.
    fn refresh(&self, issuer: Arc<Issuer>) -> BoxFuture<'_, Result<(), LookupError>>;

    /// Asks the issuer about an opaque token. Also says for how long the answer may be kept.
    fn introspect(
        &self,
        issuer: Arc<Issuer>,
        token: Secret<String>,
    ) -> BoxFuture<'_, Result<(Introspection, Duration), LookupError>>;
}
