//! Audit events as text in the outbox. The ledger has an encoding of its own; this one lives for seconds.
//!
//! Invariant: what is read back equals what was written, whatever version wrote it. Fields are only added,
//! with a default.

use crate::rows::corrupt;
use authority::PortError;
use base::{Code, Event, EventId, Kind, NodeId, Outcome, Phase, RequestId, Scheme, UnixMs};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::net::IpAddr;

/// Bytes of an unreadable row that are kept in the ledger; an act's event has some 500.
const GAP_TEXT: usize = 4_096;

#[derive(Serialize, Deserialize)]
struct Stored<'a> {
    id: String,
    time: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    request_id: Option<String>,
    node: u32,
    kind: u8,
    outcome: u8,
    code: Cow<'a, str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    phase: Option<u8>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    route: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    method: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    host: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    path: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    client_ip: Option<IpAddr>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    principal: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    client_id: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    credential_id: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    issuer: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    scheme: Option<u8>,
    status: u16,
    latency_us: u32,
    upstream_us: u32,
    bytes_in: u64,
    bytes_out: u64,
    count: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    detail: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    trace_id: Option<String>,
}

/// The event as text.
pub(crate) fn write(event: &Event) -> Result<String, PortError> {
    let stored = Stored {
        id: hex::encode(event.id.0),
        time: event.time.0,
        request_id: event.request_id.map(|it| it.to_string()),
        node: event.node.0,
        kind: event.kind as u8,
        outcome: event.outcome as u8,
        code: event.code.as_str().into(),
        phase: event.phase.map(|it| it as u8),
        route: event.route.as_deref().map(Into::into),
        method: event.method.as_deref().map(Into::into),
        host: event.host.as_deref().map(Into::into),
        path: event.path.as_deref().map(Into::into),
        client_ip: event.client_ip,
        principal: event.principal.as_deref().map(Into::into),
        client_id: event.client_id.as_deref().map(Into::into),
        credential_id: event.credential_id.as_deref().map(Into::into),
        issuer: event.issuer.as_deref().map(Into::into),
        scheme: event.scheme.map(|it| it as u8),
        status: event.status,
        latency_us: event.latency_us,
        upstream_us: event.upstream_us,
        bytes_in: event.bytes_in,
        bytes_out: event.bytes_out,
        count: event.count,
        detail: event.detail.as_deref().map(Into::into),
        trace_id: event.trace_id.map(hex::encode),
    };
    serde_json::to_string(&stored).map_err(|_| corrupt("an event cannot be written"))
}

fn sixteen(text: &str) -> Result<[u8; 16], PortError> {
    let mut bytes = [0u8; 16];
    hex::decode_to_slice(text, &mut bytes).map_err(|_| corrupt("an event's id is malformed"))?;
    Ok(bytes)
}

fn numbered<T>(number: Option<u8>, read: impl Fn(u8) -> Option<T>) -> Result<Option<T>, PortError> {
    number.map(|it| read(it).ok_or_else(|| corrupt("an event's number is unknown"))).transpose()
}

/// The event that was written as `text`.
pub(crate) fn read(text: &str) -> Result<Event, PortError> {
    let it: Stored<'_> =
        serde_json::from_str(text).map_err(|_| corrupt("an event is malformed"))?;
    let unknown = || corrupt("an event's number is unknown");
    let request_id: Option<RequestId> = it
        .request_id
        .map(|id| id.parse().map_err(|_| corrupt("a request id is malformed")))
        .transpose()?;
    Ok(Event {
        id: EventId(sixteen(&it.id)?),
        time: UnixMs(it.time),
        request_id,
        node: NodeId(it.node),
        kind: Kind::from_number(it.kind).ok_or_else(unknown)?,
        outcome: Outcome::from_number(it.outcome).ok_or_else(unknown)?,
        code: Code::read(&it.code),
        phase: numbered(it.phase, Phase::from_number)?,
        route: it.route.as_deref().map(Into::into),
        method: it.method.map(|text| Cow::Owned(text.into_owned())),
        host: it.host.as_deref().map(Into::into),
        path: it.path.as_deref().map(Into::into),
        client_ip: it.client_ip,
        principal: it.principal.as_deref().map(Into::into),
        client_id: it.client_id.as_deref().map(Into::into),
        credential_id: it.credential_id.as_deref().map(Into::into),
        issuer: it.issuer.as_deref().map(Into::into),
        scheme: numbered(it.scheme, Scheme::from_number)?,
        status: it.status,
        latency_us: it.latency_us,
        upstream_us: it.upstream_us,
        bytes_in: it.bytes_in,
        bytes_out: it.bytes_out,
        count: it.count,
        detail: it.detail.as_deref().map(Into::into),
        trace_id: it.trace_id.as_deref().map(sixteen).transpose()?,
    })
}

/// The event that was written as `text`; where it cannot be read (a newer version wrote it, or the row is
/// damaged), a gap that holds the text, so that it neither holds up what comes after it nor is lost.
pub(crate) fn read_or_gap(id: EventId, node: NodeId, text: &str) -> Event {
    let unreadable = match read(text) {
        Ok(event) if event.id == id => return event,
        Ok(_) => "another event's id".to_owned(),
        Err(error) => error.to_string(),
    };
    let field = |name: &str| {
        let value: Option<serde_json::Value> = serde_json::from_str(text).ok();
        value.and_then(|it| it.get(name)?.as_i64())
    };
    let node = field("node").and_then(|it| u32::try_from(it).ok()).map_or(node, NodeId);
    let time = UnixMs(field("time").unwrap_or(0));
    let mut gap = Event::new(id, time, node, Kind::Gap, base::code::LEDGER_GAP);
    gap.outcome = Outcome::Error;
    let end = text.floor_char_boundary(GAP_TEXT.min(text.len()));
    let kept = text.get(..end).unwrap_or_default();
    gap.detail = Some(format!("an outbox row cannot be read ({unreadable}): {kept}").into());
    gap
}

#[cfg(test)]
mod tests {
    use super::*;
    use base::code;

    fn full() -> Event {
        let mut event = Event::new(
            EventId([7; 16]),
            UnixMs(1_764_000_000_123),
            NodeId(0xdead_beef),
            Kind::Decision,
            code::TOKEN_EXPIRED,
        );
        event.request_id = Some(RequestId::from_bytes([9; 16]));
        event.outcome = Outcome::Deny;
        event.phase = Some(Phase::Decide);
        event.route = Some("orders".into());
        event.method = Some("GET".into());
        event.host = Some("a.example".into());
        event.path = Some("/\u{e4}/\"".into());
        event.client_ip = Some("2001:db8::1".parse().unwrap());
        event.principal = Some("\u{0}\u{1f600}".into());
        event.client_id = Some("c".into());
        event.credential_id = Some("k".into());
        event.issuer = Some("corp".into());
        event.scheme = Some(Scheme::Jwt);
        event.status = 401;
        (event.latency_us, event.upstream_us) = (u32::MAX, 2);
        (event.bytes_in, event.bytes_out) = (u64::MAX, 4);
        event.count = 5;
        event.detail = Some("d".into());
        event.trace_id = Some([3; 16]);
        event
    }

    #[test]
    fn what_is_read_equals_what_was_written() {
        let bare =
            Event::new(EventId([0; 16]), UnixMs(-1), NodeId(0), Kind::Gap, Code::read("no.such"));
        for event in [full(), bare] {
            assert_eq!(read(&write(&event).unwrap()).unwrap(), event);
        }
    }

    #[test]
    fn what_cannot_be_read_becomes_a_gap_that_keeps_the_text() {
        let written = write(&full()).unwrap();
        let read = |id, text: &str| read_or_gap(EventId(id), NodeId(1), text);
        assert_eq!(read([7; 16], &written), full());
        for (id, text) in [
            ([8; 16], written.clone()),
            ([7; 16], written.replace("\"kind\":1", "\"kind\":200")),
            ([7; 16], "\u{e4}".repeat(5_000)),
            ([7; 16], String::new()),
        ] {
            let gap = read(id, &text);
            assert_eq!((gap.id, gap.kind), (EventId(id), Kind::Gap));
            let kept: String = text.chars().take(100).collect();
            assert!(gap.detail.unwrap().contains(&kept));
        }
        let newer = written.replace("\"kind\":1", "\"kind\":200");
        assert_eq!(read([7; 16], &newer).time, full().time);
    }

    #[test]
    fn nonsense_is_an_error() {
        for text in ["", "{}", "null", "{\"id\":\"00\"}"] {
            assert!(matches!(read(text), Err(PortError::Corrupt(_))));
        }
    }
}
