//! Reading what a request asks: body, query and path; and which way it came in.
//!
//! Invariant: a field that is not known is refused, never ignored.

use crate::problem::Problem;
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use base::code;
use http::header::CONTENT_TYPE;
use http::request::Parts;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::de::DeserializeOwned;
use std::net::SocketAddr;
use std::time::Duration;

/// Bytes of a request's body; the largest sensible one, an SQL text, has a few KB.
const BODY_BYTES: usize = 64 * 1024;
/// How long a body may take to arrive.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);
/// Rows of a page unless said.
const PAGE_DEFAULT: u32 = 100;
/// Rows of a page at most: some 300 KB of JSON.
const PAGE_LARGEST: u32 = 1000;

/// Which way a request came in. Put into each request by the accept loop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Via {
    /// Over the unix socket, from the user with this id, who was checked.
    Socket {
        /// The peer's user id.
        uid: u32,
    },
    /// Over the network.
    Tcp {
        /// Our address of the connection.
        local: SocketAddr,
        /// The client: who is at the other end, or whom trusted proxies name.
        peer: SocketAddr,
    },
}

/// A JSON body.
#[derive(Debug)]
pub(crate) struct Body<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        // WHY: a browser sends JSON across origins only after a preflight, which nobody answers here.
        if !is_json(&parts) {
            return Err(Problem::new(code::API_MEDIA_TYPE));
        }
        let reading = Limited::new(body, BODY_BYTES).collect();
        let bytes = match tokio::time::timeout(BODY_TIMEOUT, reading).await {
            Ok(Ok(body)) => body.to_bytes(),
            Ok(Err(error)) if error.is::<LengthLimitError>() => {
                return Err(Problem::with(code::BODY_TOO_LARGE, "the API takes at most 64 KiB"));
            }
            Ok(Err(_)) => return Err(Problem::new(code::REQUEST_MALFORMED)),
            Err(_) => return Err(Problem::new(code::BODY_TIMEOUT)),
        };
        serde_json::from_slice(&bytes)
            .map(Self)
            .map_err(|error| Problem::with(code::API_INVALID, format!("body: {error}")))
    }
}

fn is_json(parts: &Parts) -> bool {
    let media_type = parts.headers.get(CONTENT_TYPE).and_then(|it| it.to_str().ok()).unwrap_or("");
    let essence = media_type.split(';').next().unwrap_or("").trim();
    essence.eq_ignore_ascii_case("application/json")
}

/// The query.
#[derive(Debug)]
pub(crate) struct Ask<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Ask<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        Query::try_from_uri(&parts.uri)
            .map(|Query(value)| Self(value))
            .map_err(|error| Problem::with(code::API_INVALID, format!("query: {}", root(&error))))
    }
}

/// The innermost message: that of serde, which names the field.
fn root(error: &dyn std::error::Error) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}

/// The one parameter of the path, an id.
#[derive(Debug)]
pub(crate) struct Id(pub(crate) String);

impl<S: Send + Sync> FromRequestParts<S> for Id {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let read = Path::<String>::from_request_parts(parts, state).await;
        let Path(id) = read.map_err(|_| Problem::invalid("path", "the id cannot be read"))?;
        Ok(Self(id))
    }
}

/// The part of a listing that is asked for.
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PageAsk {
    pub(crate) limit: Option<u32>,
    pub(crate) after: Option<String>,
}

impl PageAsk {
    pub(crate) fn page(self) -> Result<crate::ports::Page, Problem> {
        page(self.limit, self.after)
    }
}

pub(crate) fn page(
    limit: Option<u32>,
    after: Option<String>,
) -> Result<crate::ports::Page, Problem> {
    let rows = limit.unwrap_or(PAGE_DEFAULT);
    if !(1..=PAGE_LARGEST).contains(&rows) {
        return Err(Problem::invalid("limit", "must lie between 1 and 1000"));
    }
    Ok(crate::ports::Page { after, rows })
}
