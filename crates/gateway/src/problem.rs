//! What the caller is told when a request does not pass: problem details (RFC 9457) and challenges.
//!
//! INVARIANT: the text depends on the code alone; nothing that the caller sent, and no detail of the record,
//! comes back.

use crate::caller::HeadOut;
use crate::h1::encode;
use access::Denial;
use base::{Code, Phase, RequestId, code};
use bytes::{Bytes, BytesMut};

/// An answer of our own.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Bytes,
}

/// A refusal as an answer.
pub(crate) fn answer(denial: &Denial, id: RequestId, allow: Option<&str>) -> Answer {
    let status = denial.code.status();
    let mut headers = vec![
        ("content-type", "application/problem+json".to_owned()),
        ("cache-control", "no-store".to_owned()),
    ];
    if let Some(value) = challenge(denial) {
        headers.push(("www-authenticate", value));
    }
    if let Some(after) = denial.retry_after {
        // RFC 9110 §10.2.3: whole seconds; rounded up, since a second too early is one too many.
        headers.push(("retry-after", after.as_millis().div_ceil(1000).max(1).to_string()));
    }
    if let Some(allow) = allow {
        headers.push(("allow", allow.to_owned()));
    }
    Answer { status, headers, body: body(&denial.code, status, id) }
}

/// An answer as the last bytes of an HTTP/1.1 connection.
pub(crate) fn last_answer(answer: &Answer, id: &[u8], date: &[u8]) -> BytesMut {
    let mut out = BytesMut::with_capacity(1024);
    encode::write_status_line(&mut out, answer.status);
    let mut head = HeadOut::H1(&mut out);
    for (name, value) in &answer.headers {
        head.put(name.as_bytes(), value.as_bytes());
    }
    head.put(b"date", date);
    head.put(b"x-request-id", id);
    head.put(b"connection", b"close");
    encode::write_number(&mut out, "content-length", answer.body.len() as u64);
    encode::end_head(&mut out);
    out.extend_from_slice(&answer.body);
    out
}

fn body(code: &Code, status: u16, id: RequestId) -> Bytes {
    let info = code.info();
    let text = serde_json::json!({
        "type": format!("urn:portcullis:error:{code}"),
        "title": info.map_or("The request was refused", |info| info.title),
        "status": status,
        "detail": info.map_or("", |info| info.fix),
        "code": code.as_str(),
        "request_id": id.to_string(),
    });
    let mut text = text.to_string();
    text.push('\n');
    Bytes::from(text)
}

/// RFC 6750 §3: a 401 always carries a challenge, a 403 for a missing scope names the scopes.
fn challenge(denial: &Denial) -> Option<String> {
    let scope = denial.scopes.as_deref();
    let mut value = String::from("Bearer realm=\"portcullis\"");
    let error = match denial.code.status() {
        // RFC 6750 §3.1: no error code where no credential was sent.
        401 if denial.code == code::CREDENTIAL_MISSING => None,
        401 => Some("invalid_token"),
        403 if denial.code == code::SCOPE_MISSING => Some("insufficient_scope"),
        400 if denial.phase == Phase::Authenticate => Some("invalid_request"),
        _ => return None,
    };
    if let Some(error) = error {
        let title = denial.code.info().map_or("", |info| info.title);
        value.push_str(&format!(", error=\"{error}\", error_description=\"{title}\""));
    }
    if let Some(scope) = scope.filter(|scope| !scope.is_empty()) {
        // Scopes come from the configuration and are checked against RFC 6749 §3.3: no quote, no backslash.
        value.push_str(&format!(", scope=\"{scope}\""));
    }
    Some(value)
}
