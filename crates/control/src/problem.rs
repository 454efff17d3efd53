//! Refusals as RFC 9457 problem details.

use crate::ports::{ActError, LedgerError};
use axum::response::{IntoResponse, Response};
use base::{Code, code};
use http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, StatusCode};
use serde::Serialize;

/// Characters of a detail: a message that quotes input stays readable, and an answer stays small.
const DETAIL_CHARS: usize = 600;
/// What `type` begins with; the code follows.
pub(crate) const TYPE_PREFIX: &str = "urn:portcullis:error:";

/// What may simply be tried again, since nothing was changed; after a second, which most of it lasts.
const AGAIN: [Code; 3] = [code::API_BUSY, code::STORE_UNAVAILABLE, code::LEDGER_UNAVAILABLE];

/// A refusal on its way to the caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The stable code.
    pub code: Code,
    /// What the code does not say: the field, the place.
    pub detail: Option<String>,
}

/// RFC 9457 §3.1.
#[derive(Serialize)]
struct Shape<'a> {
    r#type: String,
    title: &'a str,
    status: u16,
    code: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<&'a str>,
}

impl Problem {
    /// A problem with nothing to add to its code.
    pub fn new(code: Code) -> Self {
        Self { code, detail: None }
    }

    /// A problem that says more; control characters are taken out, length is bounded.
    pub fn with(code: Code, detail: impl AsRef<str>) -> Self {
        let plain = detail.as_ref().chars().filter(|c| !c.is_control()).take(DETAIL_CHARS);
        Self { code, detail: Some(plain.collect()) }
    }

    /// A value that breaks its rule.
    pub fn invalid(field: &str, problem: &str) -> Self {
        Self::with(code::API_INVALID, format!("{field}: {problem}"))
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status =
            StatusCode::from_u16(self.code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let shape = Shape {
            r#type: format!("{TYPE_PREFIX}{}", self.code),
            title: self.code.info().map_or("Refused", |info| info.title),
            status: status.as_u16(),
            code: self.code.as_str(),
            detail: self.detail.as_deref(),
        };
        let body = serde_json::to_vec(&shape).unwrap_or_default();
        let mut response = (status, body).into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if status == StatusCode::UNAUTHORIZED {
            // RFC 9110 §15.5.2: a 401 carries a challenge.
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if AGAIN.contains(&self.code) {
            headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}

impl From<ActError> for Problem {
    fn from(error: ActError) -> Self {
        let text = error.to_string();
        match error {
            ActError::Invalid { .. } => Self::with(code::API_INVALID, text),
            ActError::NotFound { .. } => Self::with(code::API_NOT_FOUND, text),
            ActError::Conflict => Self::new(code::API_CONFLICT),
            ActError::Unavailable(why) => Self::with(code::STORE_UNAVAILABLE, why),
            ActError::Uncertain(why) => Self::with(code::STORE_UNCERTAIN, why),
            ActError::Busy(what) => Self::with(code::API_BUSY, what),
            ActError::Broken(why) => Self::with(code::INTERNAL, why),
        }
    }
}

impl From<LedgerError> for Problem {
    fn from(error: LedgerError) -> Self {
        match error {
            LedgerError::Query(why) => Self::with(code::QUERY_INVALID, why),
            LedgerError::Unavailable(why) => Self::with(code::LEDGER_UNAVAILABLE, why),
        }
    }
}
