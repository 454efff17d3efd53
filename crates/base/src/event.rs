//! The audit event: one typed row for each decision and each administrative act.

use crate::clock::UnixMs;
use crate::codes::Code;
use crate::ids::{EventId, NodeId, RequestId};
use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;

/// What sort of row this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Kind {
    /// The gateway judged a request (and, on a normal route, finished it).
    Decision = 1,
    /// A request on a strict route, or a stream, ended; joins the decision by `request_id`.
    Completion = 2,
    /// Somebody changed something: a key, a block, an address.
    Admin = 3,
    /// The product itself: start, stop, reload, an issuer unreachable, a name that changed its addresses.
    System = 4,
    /// Something could not be recorded; `count` says how many, `detail` why.
    Gap = 5,
}

impl Kind {
    /// Its word in queries.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Decision => "decision",
            Self::Completion => "completion",
            Self::Admin => "admin",
            Self::System => "system",
            Self::Gap => "gap",
        }
    }

    /// From its number in a record.
    pub fn from_number(number: u8) -> Option<Self> {
        [Self::Decision, Self::Completion, Self::Admin, Self::System, Self::Gap]
            .into_iter()
            .find(|kind| *kind as u8 == number)
    }
}

/// How it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Outcome {
    /// Let through, or done.
    Allow = 1,
    /// Refused.
    Deny = 2,
    /// Neither: something broke, here or at the upstream.
    Error = 3,
}

impl Outcome {
    /// Its word in queries.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
            Self::Error => "error",
        }
    }

    /// From its number in a record.
    pub fn from_number(number: u8) -> Option<Self> {
        [Self::Allow, Self::Deny, Self::Error].into_iter().find(|it| *it as u8 == number)
    }
}

/// The nine phases of a request, in order (`docs/life-of-a-request.md`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Phase {
    /// Peer address, true client address, coarse lists.
    Accept = 1,
    /// Client certificate facts.
    Tls = 2,
    /// Canonical path, match on host, path and method, CORS preflight.
    Route = 3,
    /// Sizes, times, limits by address and by route.
    Limit = 4,
    /// The route's schemes.
    Authenticate = 5,
    /// Scopes, claims, lists, policy.
    Decide = 6,
    /// Limits by principal, once-only ids.
    Spend = 7,
    /// Strip, add, forward.
    Act = 8,
    /// Write it down.
    Record = 9,
}

impl Phase {
    /// All phases, in order.
    pub const ALL: [Self; 9] = [
        Self::Accept,
        Self::Tls,
        Self::Route,
        Self::Limit,
        Self::Authenticate,
        Self::Decide,
        Self::Spend,
        Self::Act,
        Self::Record,
    ];

    /// Its word in queries.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Accept => "accept",
            Self::Tls => "tls",
            Self::Route => "route",
            Self::Limit => "limit",
            Self::Authenticate => "authenticate",
            Self::Decide => "decide",
            Self::Spend => "spend",
            Self::Act => "act",
            Self::Record => "record",
        }
    }

    /// From its number in a record.
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|phase| *phase as u8 == number)
    }
}

/// How a principal proved itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Scheme {
    /// A signed JWT access token.
    Jwt = 1,
    /// An opaque token, introspected (RFC 7662).
    Opaque = 2,
    /// An API key.
    ApiKey = 3,
    /// A client certificate.
    Mtls = 4,
    /// A browser session.
    Session = 5,
    /// The operating system's user at the control socket.
    Local = 6,
}

impl Scheme {
    /// Its word in queries and in configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Jwt => "jwt",
            Self::Opaque => "opaque",
            Self::ApiKey => "api_key",
            Self::Mtls => "mtls",
            Self::Session => "session",
            Self::Local => "local",
        }
    }

    /// From its number in a record.
    pub fn from_number(number: u8) -> Option<Self> {
        [Self::Jwt, Self::Opaque, Self::ApiKey, Self::Mtls, Self::Session, Self::Local]
            .into_iter()
            .find(|it| *it as u8 == number)
    }
}

/// One row of the ledger. Flat; optional where the phase did not get that far.
///
/// INVARIANT: no secret enters: credentials appear by id only, query values and bodies not at all.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// Unique across nodes.
    pub id: EventId,
    /// When, by the node's clock.
    pub time: UnixMs,
    /// The request, when there is one.
    pub request_id: Option<RequestId>,
    /// Which node.
    pub node: NodeId,
    /// What sort of row.
    pub kind: Kind,
    /// How it ended.
    pub outcome: Outcome,
    /// The stable code: `ok`, a denial's, or an act's (`key.created`).
    pub code: Code,
    /// The phase that decided.
    pub phase: Option<Phase>,
    /// The route's name.
    pub route: Option<Arc<str>>,
    /// The method, upper case.
    pub method: Option<Cow<'static, str>>,
    /// The host asked for, without port.
    pub host: Option<Box<str>>,
    /// The canonical path, without query. Personal.
    pub path: Option<Box<str>>,
    /// The true client address. Personal.
    pub client_ip: Option<IpAddr>,
    /// The subject. Personal.
    pub principal: Option<Arc<str>>,
    /// The OAuth client.
    pub client_id: Option<Arc<str>>,
    /// The key's id, or the token's `jti` or keyed hash.
    pub credential_id: Option<Arc<str>>,
    /// The token's issuer by its configured name.
    pub issuer: Option<Arc<str>>,
    /// How the principal proved itself.
    pub scheme: Option<Scheme>,
    /// The status answered; 0 where none was.
    pub status: u16,
    /// From the request's head read to the response's last byte, microseconds.
    pub latency_us: u32,
    /// Of which the upstream's, to its response head, microseconds.
    pub upstream_us: u32,
    /// Body bytes received from the caller.
    pub bytes_in: u64,
    /// Body bytes sent to the caller.
    pub bytes_out: u64,
    /// How many folded rows this one stands for; else 1.
    pub count: u32,
    /// What `explain` says beyond the code: the rule, claim, list or upstream in question.
    pub detail: Option<Box<str>>,
    /// The W3C trace id, when the request had one.
    pub trace_id: Option<[u8; 16]>,
}

impl Event {
    /// A row with nothing but what every row has.
    pub fn new(id: EventId, time: UnixMs, node: NodeId, kind: Kind, code: Code) -> Self {
        Self {
            id,
            time,
            request_id: None,
            node,
            kind,
            outcome: Outcome::Allow,
            code,
            phase: None,
            route: None,
            method: None,
            host: None,
            path: None,
            client_ip: None,
            principal: None,
            client_id: None,
            credential_id: None,
            issuer: None,
            scheme: None,
            status: 0,
            latency_us: 0,
            upstream_us: 0,
            bytes_in: 0,
            bytes_out: 0,
            count: 1,
            detail: None,
            trace_id: None,
        }
    }
}
