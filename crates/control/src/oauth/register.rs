//! Dynamic registration (RFC 7591) and its management (RFC 7592).

use super::answer::{for_every_origin, json, no_store, preflight};
use super::machine::values;
use super::{Issuer, form};
use authority::oauth::registration::RegistrationCall;
use axum::Router;
use axum::body::Body;
use axum::extract::{FromRequest, Path, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use base::Secret;
use http::header::{AUTHORIZATION, CONTENT_TYPE, WWW_AUTHENTICATE};
use http::{HeaderValue, Request, StatusCode};
use http_body_util::{BodyExt, Limited};
use protocol::bearer;
use protocol::oauth::{ErrorCode, OAuthError};
use std::time::Duration;

/// Bytes of metadata: with a key set of a dozen keys some 20 KB.
const BODY_BYTES: usize = 64 * 1024;
/// How long it may take to arrive.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

pub(super) fn routes() -> Router<Issuer> {
    Router::new()
        .route("/oauth/register", post(register).options(preflight))
        .route("/oauth/register/{id}", get(show).put(update).delete(remove))
}

/// A call without a body.
struct Bare(RegistrationCall);

/// A call with metadata.
struct Sent(RegistrationCall);

impl FromRequest<Issuer> for Bare {
    type Rejection = Response;

    async fn from_request(request: Request<Body>, issuer: &Issuer) -> Result<Self, Response> {
        call(issuer, request, false).await.map(Self)
    }
}

impl FromRequest<Issuer> for Sent {
    type Rejection = Response;

    async fn from_request(request: Request<Body>, issuer: &Issuer) -> Result<Self, Response> {
        call(issuer, request, true).await.map(Self)
    }
}

/// Reads a call. `takes`: whether it has a body, which is JSON.
async fn call(
    issuer: &Issuer,
    request: Request<Body>,
    takes: bool,
) -> Result<RegistrationCall, Response> {
    let (parts, body) = request.into_parts();
    let Some(origin) = form::origin(&parts) else {
        return Err(StatusCode::INTERNAL_SERVER_ERROR.into_response());
    };
    let wrong = |text: &'static str| {
        let error = OAuthError::new(ErrorCode::InvalidClientMetadata, text);
        refused(&issuer.oauth().unreadable(&origin, error))
    };
    let bearer = match values(&parts.headers, AUTHORIZATION).as_slice() {
        [] => None,
        [one] => match bearer::parse(one) {
            Ok(found) => found.map(|it| Secret::new(it.as_str().to_owned())),
            Err(_) => return Err(wrong("the Authorization header cannot be read")),
        },
        _ => return Err(wrong("there is more than one Authorization header")),
    };
    let mut bytes = Vec::new();
    if takes {
        let media_type = parts.headers.get(CONTENT_TYPE).and_then(|it| it.to_str().ok());
        let essence = media_type.unwrap_or("").split(';').next().unwrap_or("").trim();
        // RFC 7591 §3.1: application/json. It also keeps forms of other sites out.
        if !essence.eq_ignore_ascii_case("application/json") {
            return Err(wrong("the body must be application/json"));
        }
        let reading = Limited::new(body, BODY_BYTES).collect();
        bytes = match tokio::time::timeout(BODY_TIMEOUT, reading).await {
            Ok(Ok(body)) => body.to_bytes().to_vec(),
            Ok(Err(_)) => {
                return Err(wrong("the body could not be read, or is larger than 64 KiB"));
            }
            Err(_) => return Err(wrong("the body did not arrive in time")),
        };
    }
    Ok(RegistrationCall { bearer, body: bytes, origin })
}

/// RFC 7591 §3.2.2; for a token that does not do, RFC 6750 §3.
fn refused(error: &OAuthError) -> Response {
    let status = StatusCode::from_u16(error.status()).unwrap_or(StatusCode::BAD_REQUEST);
    let mut response = json(status, &error.to_json());
    if status == StatusCode::UNAUTHORIZED {
        let challenge = HeaderValue::from_static("Bearer error=\"invalid_token\"");
        response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
    }
    response
}

async fn register(State(issuer): State<Issuer>, request: Request<Body>) -> Response {
    let call = match call(&issuer, request, true).await {
        Ok(call) => call,
        Err(response) => return for_every_origin(response),
    };
    for_every_origin(match issuer.oauth().register(&call).await {
        // RFC 7591 §3.2.1: 201.
        Ok(client) => json(StatusCode::CREATED, &client),
        Err(error) => refused(&error),
    })
}

async fn show(State(issuer): State<Issuer>, Path(id): Path<String>, Bare(call): Bare) -> Response {
    match issuer.oauth().registration(&id, &call).await {
        Ok(client) => json(StatusCode::OK, &client),
        Err(error) => refused(&error),
    }
}

async fn update(
    State(issuer): State<Issuer>,
    Path(id): Path<String>,
    Sent(call): Sent,
) -> Response {
    match issuer.oauth().update_registration(&id, &call).await {
        Ok(client) => json(StatusCode::OK, &client),
        Err(error) => refused(&error),
    }
}

async fn remove(
    State(issuer): State<Issuer>,
    Path(id): Path<String>,
    Bare(call): Bare,
) -> Response {
    match issuer.oauth().remove_registration(&id, &call).await {
        Ok(()) => {
            // RFC 7592 §2.3: 204.
            let mut response = StatusCode::NO_CONTENT.into_response();
            no_store(response.headers_mut());
            response
        }
        Err(error) => refused(&error),
    }
}
