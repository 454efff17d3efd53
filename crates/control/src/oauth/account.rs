//! The page on which people see where they are signed in and what they have allowed, and end it.

use super::Issuer;
use super::answer::see_other;
use super::person::{Visit, forged, own_login};
use super::second::{self, broken};
use crate::pages::forms::{Account, AppView, SessionView, page};
use crate::pages::words::words;
use authority::oauth::{OwnClient, OwnSession};
use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use http::StatusCode;

/// Where it is.
pub(super) const ACCOUNT: &str = "/account";
/// The name of the page's forms, for their CSRF token.
pub(super) const FORM: &str = "account";
/// What the form says instead of an id to end all sessions but this one. No id is that short.
const OTHERS: &str = "others";

pub(super) fn routes() -> Router<Issuer> {
    Router::new()
        .route(ACCOUNT, get(account))
        .route("/account/sessions/end", post(end_session))
        .route("/account/applications/end", post(end_client))
}

async fn account(State(issuer): State<Issuer>, visit: Visit) -> Response {
    let session = visit.session();
    let Some(text) = &session else { return own_login(&issuer, &visit, None) };
    if let Some(step) = second::own_step(&issuer, &visit, text, None).await {
        return step;
    }
    let own = match issuer.oauth().own_account(session.as_ref(), &visit.origin).await {
        Ok(Some(own)) => own,
        Ok(None) => return own_login(&issuer, &visit, None),
        Err(_) => return broken(&issuer, &visit),
    };
    let template = Account {
        t: words(),
        brand: issuer.brand(),
        csrf: issuer.oauth().csrf(text, FORM),
        account: own.user.email,
        said: None,
        proved: own.user.email_verified,
        addresses: !issuer.oauth().lists_for(&own.user.roles).is_empty(),
        sessions: own.sessions.iter().map(session_view).collect(),
        clients: own.clients.into_iter().map(app_view).collect(),
    };
    page(StatusCode::OK, &template, None).into_response()
}

fn session_view(own: &OwnSession) -> SessionView {
    let it = &own.session;
    let named = (words().with)(None, Some(&it.user_agent));
    SessionView {
        id: it.id.clone(),
        browser: named.unwrap_or_else(|| words().another_program.to_owned()),
        this: own.this,
        since: moment(it.created_at),
        from: it.client_ip.map(|it| it.to_string()),
        how: if it.acr == "aal1" { words().one_step } else { words().two_steps },
    }
}

/// Day and minute, in UTC.
pub(super) fn moment(at: base::UnixMs) -> String {
    let text = crate::time::rfc3339(at);
    let (day, time) = text.split_once('T').unwrap_or((&text, ""));
    format!("{day} {} UTC", time.get(..5).unwrap_or_default())
}

fn app_view(it: OwnClient) -> AppView {
    AppView {
        id: it.id,
        name: it.name,
        since: crate::time::day(it.since),
        scopes: it.scopes.join(" "),
        used: match it.used {
            Some((at, network)) => (words().client_used)(&moment(at), network.as_deref()),
            None => words().client_unused.to_owned(),
        },
    }
}

async fn end_session(State(issuer): State<Issuer>, visit: Visit) -> Response {
    if !visit.is_of_session(&issuer, FORM) {
        return forged(&issuer, &visit);
    }
    let (session, oauth) = (visit.session(), issuer.oauth());
    let done = match visit.param("id") {
        OTHERS => {
            let ended = oauth.end_other_sessions(session.as_ref(), &visit.origin).await;
            ended.map(|it| it.is_some())
        }
        id => {
            let ended = oauth.end_own_session(session.as_ref(), id, &visit.origin).await;
            ended.map(|it| it.is_some())
        }
    };
    went(&issuer, &visit, done)
}

async fn end_client(State(issuer): State<Issuer>, visit: Visit) -> Response {
    if !visit.is_of_session(&issuer, FORM) {
        return forged(&issuer, &visit);
    }
    let session = visit.session();
    let client = visit.param("client");
    let done = issuer.oauth().end_own_client(session.as_ref(), client, &visit.origin).await;
    went(&issuer, &visit, done.map(|it| it.is_some()))
}

/// Back to the page; what was not there is gone all the same.
fn went(issuer: &Issuer, visit: &Visit, done: Result<bool, authority::Error>) -> Response {
    match done {
        Ok(true) => see_other(&issuer.oauth().settings().url(ACCOUNT)),
        Ok(false) => own_login(issuer, visit, None),
        Err(_) => broken(issuer, visit),
    }
}
