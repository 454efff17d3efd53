//! Writing answers.

use axum::response::{IntoResponse, Response};
use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, CACHE_CONTROL, CONTENT_TYPE, LOCATION,
    PRAGMA, RETRY_AFTER, WWW_AUTHENTICATE,
};
use http::{HeaderMap, HeaderValue, StatusCode};
use protocol::oauth::{ErrorCode, OAuthError};
use serde::Serialize;

/// JSON that nobody may keep (RFC 6749 §5.1).
pub(super) fn json(status: StatusCode, value: &impl Serialize) -> Response {
    let body = serde_json::to_vec(value).unwrap_or_default();
    let mut response = (status, body).into_response();
    no_store(response.headers_mut());
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// A document that everybody may keep for some minutes.
pub(super) fn document(value: &impl Serialize) -> Response {
    let mut response = json(StatusCode::OK, value);
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("public, max-age=300"));
    headers.remove(PRAGMA);
    response
}

pub(super) fn no_store(headers: &mut HeaderMap) {
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(PRAGMA, HeaderValue::from_static("no-cache"));
}

/// RFC 6749 §5.2. `basic`: the client tried HTTP authentication, so the answer carries its challenge.
pub(super) fn refusal(error: &OAuthError, basic: bool) -> Response {
    let status = StatusCode::from_u16(error.status()).unwrap_or(StatusCode::BAD_REQUEST);
    let unknown = error.code() == ErrorCode::InvalidClient;
    let status = if unknown && basic { StatusCode::UNAUTHORIZED } else { status };
    let mut response = json(status, &error.to_json());
    if status == StatusCode::SERVICE_UNAVAILABLE {
        // RFC 9110 §10.2.3: nothing was issued, and it may be tried again.
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
    }
    if unknown && basic {
        let challenge = HeaderValue::from_static("Basic realm=\"portcullis\", charset=\"UTF-8\"");
        response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
    }
    response
}

/// RFC 9700 §4.12: a 303 turns whatever came into a GET.
pub(super) fn see_other(url: &str) -> Response {
    match HeaderValue::try_from(url) {
        Ok(url) => (StatusCode::SEE_OTHER, [(LOCATION, url)]).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

/// Lets scripts of every origin read this answer. No cookie goes along: it says nothing that a program without a
/// browser could not ask for.
pub(super) fn for_every_origin(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    headers.insert(
        ACCESS_CONTROL_EXPOSE_HEADERS,
        HeaderValue::from_static("DPoP-Nonce, WWW-Authenticate, X-Request-Id, Retry-After"),
    );
    response
}

/// A preflight for such an answer.
pub(super) async fn preflight() -> Response {
    let headers = [
        (ACCESS_CONTROL_ALLOW_METHODS, "GET, POST"),
        (ACCESS_CONTROL_ALLOW_HEADERS, "Authorization, Content-Type, DPoP, MCP-Protocol-Version"),
        (ACCESS_CONTROL_MAX_AGE, "600"),
    ];
    for_every_origin((StatusCode::NO_CONTENT, headers).into_response())
}
