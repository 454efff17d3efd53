//! The userinfo endpoint (OpenID Connect Core §5.3).

use super::answer::{for_every_origin, json, no_store, preflight};
use super::machine::{DPOP, DPOP_NONCE, values};
use super::{Issuer, form};
use authority::oauth::userinfo::{Userinfo, UserinfoCall};
use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use base::Secret;
use http::header::{AUTHORIZATION, CONTENT_TYPE, WWW_AUTHENTICATE};
use http::{HeaderValue, Method, Request, StatusCode};
use protocol::oauth::{ErrorCode, OAuthError};

pub(super) fn routes() -> Router<Issuer> {
    Router::new().route("/oauth/userinfo", get(answer).post(answer).options(preflight))
}

async fn answer(State(issuer): State<Issuer>, request: Request<Body>) -> Response {
    for_every_origin(judged(&issuer, request).await)
}

async fn judged(issuer: &Issuer, request: Request<Body>) -> Response {
    let post = request.method() == Method::POST;
    let has_form = post && request.headers().contains_key(CONTENT_TYPE);
    let authorization = values(request.headers(), AUTHORIZATION);
    let dpop = values(request.headers(), DPOP);
    let (parts, form_token) = if has_form {
        match form::body(issuer, request).await {
            Ok((parts, params)) => {
                (parts, params.get("access_token").map(|it| Secret::new(it.to_owned())))
            }
            Err(unreadable) => return refused(issuer, &unreadable.error, false),
        }
    } else {
        (request.into_parts().0, None)
    };
    let Some(origin) = form::origin(&parts) else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    let bare = authorization.is_empty() && form_token.is_none();
    let by_proof = !dpop.is_empty();
    let method = if post { "POST" } else { "GET" };
    let call = UserinfoCall { method, authorization, form_token, dpop, origin };
    match issuer.oauth().userinfo(&call).await {
        Ok(Userinfo::Json(claims)) => json(StatusCode::OK, &claims),
        Ok(Userinfo::Jwt(text)) => {
            let mut response = (StatusCode::OK, text).into_response();
            no_store(response.headers_mut());
            let media_type = HeaderValue::from_static("application/jwt");
            response.headers_mut().insert(CONTENT_TYPE, media_type);
            response
        }
        // RFC 6750 §3.1: who shows nothing is told the scheme and no error.
        Err(_) if bare => challenged(issuer, StatusCode::UNAUTHORIZED, "Bearer".to_owned()),
        Err(error) => refused(issuer, &error, by_proof),
    }
}

/// RFC 6750 §3, RFC 9449 §7.1: the error stands in the challenge.
fn refused(issuer: &Issuer, error: &OAuthError, by_proof: bool) -> Response {
    let about_proof = matches!(error.code(), ErrorCode::InvalidDpopProof | ErrorCode::UseDpopNonce);
    let scheme = if by_proof || about_proof { "DPoP" } else { "Bearer" };
    let status = if about_proof {
        StatusCode::UNAUTHORIZED
    } else {
        StatusCode::from_u16(error.status()).unwrap_or(StatusCode::BAD_REQUEST)
    };
    let mut value = format!(
        "{scheme} error=\"{}\", error_description=\"{}\"",
        error.code().as_str(),
        error.description().replace(['"', '\\'], "'"),
    );
    if scheme == "DPoP" {
        value.push_str(", algs=\"ES256 PS256 EdDSA RS256\"");
    }
    if error.code() == ErrorCode::InsufficientScope {
        value.push_str(", scope=\"openid\"");
    }
    challenged(issuer, status, value)
}

fn challenged(issuer: &Issuer, status: StatusCode, value: String) -> Response {
    let mut response = status.into_response();
    no_store(response.headers_mut());
    if let Ok(value) = HeaderValue::try_from(value) {
        response.headers_mut().insert(WWW_AUTHENTICATE, value);
    }
    let nonce = issuer.oauth().dpop_nonce();
    if let Some(nonce) = nonce.and_then(|it| HeaderValue::try_from(it).ok()) {
        response.headers_mut().insert(DPOP_NONCE, nonce);
    }
    response
}
