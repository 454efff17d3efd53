//! Message heads, the same for HTTP/1.1 and HTTP/2.
//!
//! Owns: the flat field list [`Headers`], [`RequestHead`], [`ResponseHead`], how a body is framed
//! ([`Framing`]), and what can be wrong with a head ([`HeadError`]).
//!
//! Never does: input or output, routing, or any judgement of paths beyond their characters.
//!
//! Invariants: a head exists only after every rule of RFC 9112 (or 9113) that concerns it held; field names
//! are in lower case; the authority is in lower case and equals `Host`; no `Debug` shows a field's value.

mod h2;
mod headers;
mod known;

use std::fmt;

use base::{Code, code};
use http::Method;

pub use headers::{Field, Headers, Key};
pub(crate) use headers::{Place, Places, Span, is_field_value, is_token, is_token_byte};
pub use known::Known;

/// Bounds of one head.
#[derive(Debug, Clone, Copy)]
pub struct HeadLimits {
    /// Bytes from the first of the start line to the empty line's last.
    pub bytes: usize,
    /// Field lines; at most [`MAX_FIELDS`] whatever is asked.
    pub fields: usize,
    /// Bytes of the request target.
    pub target: usize,
}

/// The most field lines that any head may have: the tokeniser's table lies on the stack (8 KiB).
pub const MAX_FIELDS: usize = 256;

impl HeadLimits {
    /// For what callers send.
    pub const REQUEST: Self = Self {
        bytes: base::limits::REQUEST_HEAD_BYTES,
        fields: base::limits::REQUEST_HEADERS,
        target: base::limits::REQUEST_TARGET_BYTES,
    };
    /// For what upstreams answer: as for requests in bytes, with more lines, since each cookie has its own.
    pub const RESPONSE: Self =
        Self { bytes: base::limits::REQUEST_HEAD_BYTES, fields: 200, target: 0 };
    /// For trailers: gRPC sends three short ones.
    pub const TRAILERS: Self = Self { bytes: 8 * 1024, fields: 32, target: 0 };
}

/// Why a head is refused. The text never holds anything that was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HeadError {
    /// The caller's head is not HTTP.
    #[error("malformed head: {0}")]
    Malformed(&'static str),
    /// No host, several, or one that is none.
    #[error("ambiguous host: {0}")]
    Host(&'static str),
    /// The body's length can be read in more than one way.
    #[error("ambiguous framing: {0}")]
    Framing(&'static str),
    /// A field asks for what would change how others are read.
    #[error("forbidden header: {0}")]
    Forbidden(&'static str),
    /// Too many fields, or too long.
    #[error("head too large: {0}")]
    HeadTooLarge(&'static str),
    /// The target is too long.
    #[error("request target too long")]
    TargetTooLong,
    /// An expectation other than `100-continue`.
    #[error("unknown expectation")]
    Expectation,
    /// The upstream's head is not what RFC 9112 allows.
    #[error("broken response head: {0}")]
    Broken(&'static str),
}

impl HeadError {
    /// The stable code that it answers with.
    pub fn code(&self) -> Code {
        match self {
            Self::Malformed(_) => code::REQUEST_MALFORMED,
            Self::Host(_) => code::HOST_AMBIGUOUS,
            Self::Framing(_) => code::FRAMING_AMBIGUOUS,
            Self::Forbidden(_) => code::HEADER_FORBIDDEN,
            Self::HeadTooLarge(_) => code::HEAD_TOO_LARGE,
            Self::TargetTooLong => code::TARGET_TOO_LONG,
            Self::Expectation => code::EXPECTATION_FAILED,
            Self::Broken(_) => code::UPSTREAM_BROKEN,
        }
    }
}

/// The protocol's version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    /// HTTP/1.0
    Http10,
    /// HTTP/1.1
    Http11,
    /// HTTP/2
    Http2,
}

/// How the end of a body is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// There is no body.
    None,
    /// This many bytes follow.
    Length(u64),
    /// The body says itself where it ends: chunked, or HTTP/2 frames without a length.
    Chunked,
    /// The body ends with the connection; responses only.
    UntilClose,
}

impl Framing {
    /// Whether no byte of body can come.
    pub fn is_empty(self) -> bool {
        matches!(self, Self::None | Self::Length(0))
    }
}

/// What an HTTP/1.1 connection is asked to become. The text is in the `upgrade` field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Upgrade {
    /// RFC 6455.
    WebSocket,
    /// Another single protocol.
    Other,
}

/// The head of a request.
///
/// INVARIANT: exactly one host; `headers` is the list that it was read with (fields may be pushed and removed,
/// the list must not be exchanged for another).
#[derive(Clone)]
pub struct RequestHead {
    /// The method; `CONNECT` and `TRACE` do not occur.
    pub method: Method,
    /// The version it came in.
    pub version: Version,
    /// The fields.
    pub headers: Headers,
    /// How the body ends.
    pub framing: Framing,
    /// Whether the connection may carry another request.
    pub keep_alive: bool,
    /// Whether the caller waits for `100 Continue` before it sends the body.
    pub expect_continue: bool,
    /// What the connection is asked to become; `h2c` is ignored (RFC 9113 §3.1 withdrew it).
    pub upgrade: Option<Upgrade>,
    pub(crate) target: Target,
}

/// Where path, query and authority lie in the head's text.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Target {
    pub(crate) path: Span,
    pub(crate) query: Option<Span>,
    pub(crate) authority: Span,
}

impl RequestHead {
    /// The path as it was sent, never empty, with its first slash, without query.
    pub fn path(&self) -> &[u8] {
        match self.target.path.of(self.headers.text()) {
            // RFC 9112 §3.2.1: an empty path of an absolute URI is sent on as "/".
            [] => b"/",
            path => path,
        }
    }

    /// What follows the first `?`, as it was sent.
    pub fn query(&self) -> Option<&[u8]> {
        self.target.query.map(|span| span.of(self.headers.text()))
    }

    /// The host, and the port where one was sent, in lower case.
    pub fn authority(&self) -> &[u8] {
        self.target.authority.of(self.headers.text())
    }
}

impl fmt::Debug for RequestHead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // WHY: a query may hold a credential, and Debug ends in logs.
        f.debug_struct("RequestHead")
            .field("method", &self.method)
            .field("path", &String::from_utf8_lossy(self.path()))
            .field("version", &self.version)
            .field("headers", &self.headers)
            .field("framing", &self.framing)
            .field("keep_alive", &self.keep_alive)
            .field("upgrade", &self.upgrade)
            .finish_non_exhaustive()
    }
}

/// The head of a response.
#[derive(Debug, Clone)]
pub struct ResponseHead {
    /// 100 to 599.
    pub status: u16,
    /// The version it came in.
    pub version: Version,
    /// The fields.
    pub headers: Headers,
    /// How the body ends.
    pub framing: Framing,
    /// Whether the connection may carry another request.
    pub keep_alive: bool,
}

impl ResponseHead {
    /// Whether another head follows for the same request: 1xx but not 101 (RFC 9110 §15.2).
    pub fn is_interim(&self) -> bool {
        (100..200).contains(&self.status) && self.status != 101
    }
}
