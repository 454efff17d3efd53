//! Endpoints that programs call: token, introspection, revocation, pushed requests, device authorization.

use super::answer::{for_every_origin, json, preflight, refusal};
use super::{Issuer, form};
use authority::oauth::ClientCall;
use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::{options, post};
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName, HeaderValue, Request, StatusCode};
use protocol::oauth::{ErrorCode, OAuthError};

/// Values of one header that are looked at; more than one is refused by those who read them.
const VALUES: usize = 4;
/// RFC 9449 §4.1 and §8.
const DPOP: &str = "dpop";
const DPOP_NONCE: HeaderName = HeaderName::from_static("dpop-nonce");

pub(super) fn routes() -> Router<Issuer> {
    Router::new()
        .route("/oauth/token", post(token).merge(options(preflight)))
}

fn values(headers: &HeaderMap, name: impl http::header::AsHeaderName) -> Vec<Vec<u8>> {
    headers.get_all(name).iter().take(VALUES).map(|it| it.as_bytes().to_vec()).collect()
}

/// Reads a call; whether it tries HTTP authentication stands beside it.
async fn call(request: Request<Body>) -> Result<(ClientCall, bool), Response> {
    let basic = request.headers().contains_key(AUTHORIZATION);
    let (parts, params) = form::body(request).await.map_err(|error| refusal(&error, basic))?;
    let Some(origin) = form::origin(&parts) else {
        return Err(StatusCode::INTERNAL_SERVER_ERROR.into_response());
    };
    // RFC 9700 §4.3.1 and OAuth 2.1 §3.2.2: nothing of a token request stands in its URL.
    if parts.uri.query().is_some_and(|query| !query.is_empty()) {
        let error = OAuthError::new(
            ErrorCode::InvalidRequest,
            "parameters belong into the body, not into the address",
        );
        return Err(refusal(&error, basic));
    }
    let authorization = values(&parts.headers, AUTHORIZATION);
    let dpop = values(&parts.headers, DPOP);
    Ok((ClientCall { params, authorization, dpop, certificate: None, origin }, basic))
}

/// The answer to a call, with the nonce that the next proof must hold.
fn answered(issuer: &Issuer, response: Response) -> Response {
    let _ = issuer;
    for_every_origin(response)
}

async fn token(State(issuer): State<Issuer>, request: Request<Body>) -> Response {
    let (call, basic) = match call(request).await {
        Ok(read) => read,
        Err(response) => return for_every_origin(response),
    };
    let response = match issuer.oauth().token(&call).await {
        Ok(token) => json(StatusCode::OK, &token),
        Err(error) => refusal(&error, basic),
    };
    answered(&issuer, response)
}
