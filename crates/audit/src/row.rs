//! An event that is borrowed: what the writer works on, wherever the event lies.
//!
//! Owns: the order of an event's texts, which is that of their columns.

use base::{Code, Event, EventId, Kind, NodeId, Outcome, Phase, RequestId, Scheme, UnixMs};
use std::net::IpAddr;

/// Texts of an event.
pub(crate) const TEXTS: usize = 10;

/// What is no text.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Head {
    pub(crate) id: EventId,
    pub(crate) time: UnixMs,
    pub(crate) request_id: Option<RequestId>,
    pub(crate) node: NodeId,
    pub(crate) kind: Kind,
    pub(crate) outcome: Outcome,
    pub(crate) phase: Option<Phase>,
    pub(crate) client_ip: Option<IpAddr>,
    pub(crate) scheme: Option<Scheme>,
    pub(crate) status: u16,
    pub(crate) latency_us: u32,
    pub(crate) upstream_us: u32,
    pub(crate) bytes_in: u64,
    pub(crate) bytes_out: u64,
    pub(crate) count: u32,
    pub(crate) trace_id: Option<[u8; 16]>,
}

impl Head {
    /// The latest time that the event bears.
    pub(crate) fn latest(&self) -> i64 {
        self.request_id.map_or(self.time.0, |id| id.time().0.max(self.time.0))
    }
}

/// A borrowed event.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Row<'a> {
    pub(crate) head: Head,
    /// Code (always there), route, method, host, path, principal, client, credential, issuer, detail.
    pub(crate) texts: [Option<&'a str>; TEXTS],
}

impl<'a> From<&'a Event> for Row<'a> {
    fn from(event: &'a Event) -> Self {
        // Named one by one, so that a new field is not forgotten.
        let Event {
            id,
            time,
            request_id,
            node,
            kind,
            outcome,
            code,
            phase,
            route,
            method,
            host,
            path,
            client_ip,
            principal,
            client_id,
            credential_id,
            issuer,
            scheme,
            status,
            latency_us,
            upstream_us,
            bytes_in,
            bytes_out,
            count,
            detail,
            trace_id,
        } = event;
        let head = Head {
            id: *id,
            time: *time,
            request_id: *request_id,
            node: *node,
            kind: *kind,
            outcome: *outcome,
            phase: *phase,
            client_ip: *client_ip,
            scheme: *scheme,
            status: *status,
            latency_us: *latency_us,
            upstream_us: *upstream_us,
            bytes_in: *bytes_in,
            bytes_out: *bytes_out,
            count: *count,
            trace_id: *trace_id,
        };
        let texts = [
            Some(code.as_str()),
            route.as_deref(),
            method.as_deref(),
            host.as_deref(),
            path.as_deref(),
            principal.as_deref(),
            client_id.as_deref(),
            credential_id.as_deref(),
            issuer.as_deref(),
            detail.as_deref(),
        ];
        Self { head, texts }
    }
}

impl Row<'_> {
    /// The event, owned.
    pub(crate) fn to_event(self) -> Event {
        let Self { head, texts } = self;
        let [code, route, method, host, path, principal, client_id, credential_id, issuer, detail] =
            texts;
        Event {
            id: head.id,
            time: head.time,
            request_id: head.request_id,
            node: head.node,
            kind: head.kind,
            outcome: head.outcome,
            code: Code::read(code.unwrap_or_default()),
            phase: head.phase,
            route: route.map(Into::into),
            method: method.map(|it| it.to_owned().into()),
            host: host.map(Into::into),
            path: path.map(Into::into),
            client_ip: head.client_ip,
            principal: principal.map(Into::into),
            client_id: client_id.map(Into::into),
            credential_id: credential_id.map(Into::into),
            issuer: issuer.map(Into::into),
            scheme: head.scheme,
            status: head.status,
            latency_us: head.latency_us,
            upstream_us: head.upstream_us,
            bytes_in: head.bytes_in,
            bytes_out: head.bytes_out,
            count: head.count,
            detail: detail.map(Into::into),
            trace_id: head.trace_id,
        }
    }
}
