//! The traits through which the program reaches what it does not own. `outbound` implements them.

use crate::Secret;
use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;
use std::time::Duration;

/// A boxed future that may cross threads.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// One request to somebody else's server.
#[derive(Debug, Clone)]
pub struct FetchRequest {
    /// An absolute `http` or `https` URL.
    pub url: String,
    /// A form body; when present the method is POST, else GET.
    pub form: Option<Vec<(String, Secret<String>)>>,
    /// User name and password of HTTP Basic authentication.
    pub basic: Option<(String, Secret<String>)>,
    /// An access token (RFC 6750 §2.1). Never together with `basic`: there is one `Authorization`.
    pub bearer: Option<Secret<String>>,
    /// The `Accept` header.
    pub accept: &'static str,
    /// Whether the URL stands in the operator's file. Only then may it lead to private addresses.
    pub operator: bool,
    /// How long the whole exchange may take.
    pub timeout: Duration,
    /// How many bytes of body are read at most; more is an error.
    pub max_bytes: usize,
}

/// What came back.
#[derive(Debug, Clone)]
pub struct FetchResponse {
    /// The status code.
    pub status: u16,
    /// The media type, without parameters, lower case.
    pub media_type: String,
    /// The body.
    pub body: Vec<u8>,
}

/// Why nothing usable came back.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FetchError {
    /// The URL is not one that may be fetched.
    #[error("the address may not be fetched: {0}")]
    Refused(String),
    /// No connection, a broken one, or TLS failed.
    #[error("no answer: {0}")]
    Unreachable(String),
    /// It took longer than allowed.
    #[error("no answer within {0:?}")]
    Timeout(Duration),
    /// The body is larger than allowed.
    #[error("the answer is larger than {0} bytes")]
    TooLarge(usize),
}

/// Fetches documents: key sets, metadata, introspection answers.
pub trait Fetch: Send + Sync + std::fmt::Debug {
    /// Performs one request. Redirects are not followed.
    fn fetch(&self, request: FetchRequest) -> BoxFuture<'_, Result<FetchResponse, FetchError>>;
}

/// The addresses of a name and how long they may be kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolved {
    /// IPv4 and IPv6 addresses, sorted, without repeats.
    pub addresses: Vec<IpAddr>,
    /// What the records allow.
    pub ttl: Duration,
}

/// Why a name gave no addresses.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ResolveError {
    /// The name exists and has no address, or does not exist.
    #[error("the name has no address")]
    NoAddress,
    /// No resolver answered.
    #[error("no resolver answered: {0}")]
    Unreachable(String),
}

/// Resolves names to addresses.
pub trait Resolve: Send + Sync + std::fmt::Debug {
    /// All addresses of `name`.
    fn resolve<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Resolved, ResolveError>>;
}
