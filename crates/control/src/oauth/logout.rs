//! Signing out at a client's wish (OpenID Connect RP-Initiated Logout 1.0).

use super::Issuer;
use super::answer::see_other;
use super::form::SESSION;
use super::person::{Visit, message, with_cookie};
use crate::pages::forms::{Logout, page};
use authority::oauth::{LogoutCall, LogoutStep};
use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use http::StatusCode;
use protocol::oauth::{ErrorCode, OAuthError, Params};

pub(super) fn routes() -> Router<Issuer> {
    Router::new()
        .route("/oauth/logout", get(asked).post(asked))
        .route("/oauth/logout/decide", post(decided))
}

async fn asked(State(issuer): State<Issuer>, visit: Visit) -> Response {
    let params = visit.params.clone();
    go_on(&issuer, &visit, params, None).await
}

async fn decided(State(issuer): State<Issuer>, visit: Visit) -> Response {
    if visit.param("answer") != "allow" {
        let said = ("You stay signed in", "Nothing has changed.", None);
        return message(&issuer, StatusCode::OK, said, None);
    }
    let Ok(params) = Params::parse(visit.param("continue").as_bytes()) else {
        let text = "The page sent something unexpected.";
        let error = OAuthError::new(ErrorCode::InvalidRequest, text);
        issuer.oauth().unreadable(&visit.origin, error);
        let said = ("This request cannot be read", text, None);
        let id = visit.origin.request_id.to_string();
        return message(&issuer, StatusCode::BAD_REQUEST, said, Some(id));
    };
    // A page of somebody else has no token; then the person is asked once more.
    let csrf = visit.is_from_us(&issuer).then(|| visit.param("csrf").to_owned());
    go_on(&issuer, &visit, params, csrf).await
}

async fn go_on(issuer: &Issuer, visit: &Visit, params: Params, csrf: Option<String>) -> Response {
    let session = visit.session();
    let call = LogoutCall { params, session: session.clone(), csrf, origin: visit.origin.clone() };
    // WHY only where one came: browsers send none with a form of another site, and a cookie that is removed in answer to
    // that would sign the person out all the same (RP-Initiated Logout 1.0 §6). Beside a planted one it goes, too.
    let came = visit.cookies.came(&visit.parts.headers, SESSION);
    let gone = came.then(|| visit.cookies.clear(SESSION));
    match issuer.oauth().logout(&call).await {
        LogoutStep::Redirect { url } => with_cookie(see_other(&url), gone),
        LogoutStep::Done => {
            let said = ("You are signed out", "You can close this page.", None);
            with_cookie(message(issuer, StatusCode::OK, said, None), gone)
        }
        LogoutStep::Confirm { query, csrf, client } => {
            let current = issuer.oauth().current(session.as_ref()).await.ok().flatten();
            let goes_to = call.params.get("post_logout_redirect_uri").map(str::to_owned);
            let template = Logout {
                brand: issuer.brand(),
                account: current.map(|it| it.user.email).unwrap_or_default(),
                client,
                csrf,
                proceed: query,
            };
            page(StatusCode::OK, &template, goes_to.as_deref()).into_response()
        }
        LogoutStep::ErrorPage(error) => {
            let status = StatusCode::from_u16(error.status).unwrap_or(StatusCode::BAD_REQUEST);
            let said = ("This request cannot go on", &*error.description, Some(error.fix));
            message(issuer, status, said, Some(visit.origin.request_id.to_string()))
        }
    }
}
