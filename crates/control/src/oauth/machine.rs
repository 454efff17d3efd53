//! Endpoints that programs call: token, introspection, revocation, pushed requests, device authorization.

use super::answer::{document, for_every_origin, json, preflight, refusal};
use super::{Issuer, form};
use authority::oauth::ClientCall;
use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, options, post};
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName, HeaderValue, Request, StatusCode};
use protocol::oauth::{ErrorCode, OAuthError};
use serde_json::json as object;

/// Values of one header that are looked at; more than one is refused by those who read them.
const VALUES: usize = 4;
/// RFC 9449 §4.1 and §8.
pub(super) const DPOP: &str = "dpop";
pub(super) const DPOP_NONCE: HeaderName = HeaderName::from_static("dpop-nonce");

pub(super) fn routes() -> Router<Issuer> {
    Router::new()
        .route("/oauth/token", post(token).merge(options(preflight)))
        .route("/oauth/introspect", post(introspect))
        .route("/oauth/revoke", post(revoke).merge(options(preflight)))
        .route("/oauth/par", post(push).merge(options(preflight)))
        .route("/oauth/device_authorization", post(device).merge(options(preflight)))
        .route("/.well-known/openid-configuration", get(metadata).merge(options(preflight)))
        .route("/.well-known/oauth-authorization-server", get(metadata).merge(options(preflight)))
}

pub(super) fn values(headers: &HeaderMap, name: impl http::header::AsHeaderName) -> Vec<Vec<u8>> {
    headers.get_all(name).iter().take(VALUES).map(|it| it.as_bytes().to_vec()).collect()
}

/// Reads a call; whether it tries HTTP authentication stands beside it.
async fn call(issuer: &Issuer, request: Request<Body>) -> Result<(ClientCall, bool), Response> {
    let basic = request.headers().contains_key(AUTHORIZATION);
    let read = form::body(issuer, request).await;
    let (parts, params) = read.map_err(|it| refusal(&it.error, basic))?;
    let Some(origin) = form::origin(&parts) else {
        return Err(StatusCode::INTERNAL_SERVER_ERROR.into_response());
    };
    // RFC 9700 §4.3.1 and OAuth 2.1 §3.2.2: nothing of a token request stands in its URL.
    if parts.uri.query().is_some_and(|query| !query.is_empty()) {
        let error = OAuthError::new(
            ErrorCode::InvalidRequest,
            "parameters belong into the body, not into the address",
        );
        return Err(refusal(&issuer.oauth().unreadable(&origin, error), basic));
    }
    let authorization = values(&parts.headers, AUTHORIZATION);
    let dpop = values(&parts.headers, DPOP);
    Ok((ClientCall { params, authorization, dpop, certificate: None, origin }, basic))
}

/// The answer to a call, with the nonce that the next proof must hold.
fn answered(issuer: &Issuer, mut response: Response) -> Response {
    let nonce = issuer.oauth().dpop_nonce();
    if let Some(nonce) = nonce.and_then(|it| HeaderValue::try_from(it).ok()) {
        response.headers_mut().insert(DPOP_NONCE, nonce);
    }
    for_every_origin(response)
}

async fn token(State(issuer): State<Issuer>, request: Request<Body>) -> Response {
    let (call, basic) = match call(&issuer, request).await {
        Ok(read) => read,
        Err(response) => return for_every_origin(response),
    };
    let response = match issuer.oauth().token(&call).await {
        Ok(token) => json(StatusCode::OK, &token),
        Err(error) => refusal(&error, basic),
    };
    answered(&issuer, response)
}

async fn push(State(issuer): State<Issuer>, request: Request<Body>) -> Response {
    let (call, basic) = match call(&issuer, request).await {
        Ok(read) => read,
        Err(response) => return for_every_origin(response),
    };
    let response = match issuer.oauth().take_push(&call).await {
        // RFC 9126 §2.2: 201.
        Ok(pushed) => {
            let body =
                object!({ "request_uri": pushed.request_uri, "expires_in": pushed.expires_in });
            json(StatusCode::CREATED, &body)
        }
        Err(error) => refusal(&error, basic),
    };
    answered(&issuer, response)
}

async fn device(State(issuer): State<Issuer>, request: Request<Body>) -> Response {
    let (call, basic) = match call(&issuer, request).await {
        Ok(read) => read,
        Err(response) => return for_every_origin(response),
    };
    let response = match issuer.oauth().device_authorization(&call).await {
        Ok(answer) => json(
            StatusCode::OK,
            &object!({
                "device_code": answer.device_code.expose(),
                "user_code": answer.user_code,
                "verification_uri": answer.verification_uri,
                "verification_uri_complete": answer.verification_uri_complete,
                "expires_in": answer.expires_in,
                "interval": answer.interval,
            }),
        ),
        Err(error) => refusal(&error, basic),
    };
    for_every_origin(response)
}

async fn revoke(State(issuer): State<Issuer>, request: Request<Body>) -> Response {
    let (call, basic) = match call(&issuer, request).await {
        Ok(read) => read,
        Err(response) => return for_every_origin(response),
    };
    let response = match issuer.oauth().revoke(&call).await {
        // RFC 7009 §2.2: 200, whether there was such a token or not.
        Ok(()) => StatusCode::OK.into_response(),
        Err(error) => refusal(&error, basic),
    };
    for_every_origin(response)
}

async fn introspect(State(issuer): State<Issuer>, request: Request<Body>) -> Response {
    let accepts = request.headers().get(http::header::ACCEPT);
    let signed = accepts.is_some_and(|it| it.as_bytes() == INTROSPECTION_JWT.as_bytes());
    let (call, basic) = match call(&issuer, request).await {
        Ok(read) => read,
        Err(response) => return response,
    };
    match issuer.oauth().introspect(&call, signed).await {
        Ok(answer) => answer_of(answer),
        Err(error) => refusal(&error, basic),
    }
}

/// RFC 9701 §5.
const INTROSPECTION_JWT: &str = "application/token-introspection+jwt";

fn answer_of(answer: authority::oauth::introspect::Answer) -> Response {
    use authority::oauth::introspect::Answer;
    match answer {
        Answer::Plain(value) => json(StatusCode::OK, &value),
        Answer::Signed(jwt) => {
            let mut response = (StatusCode::OK, jwt).into_response();
            super::answer::no_store(response.headers_mut());
            response
                .headers_mut()
                .insert(http::header::CONTENT_TYPE, HeaderValue::from_static(INTROSPECTION_JWT));
            response
        }
    }
}

/// RFC 8414 §3, OpenID Connect Discovery 1.0 §4.
async fn metadata(State(issuer): State<Issuer>) -> Response {
    for_every_origin(document(&issuer.oauth().metadata()))
}
