//! The pages on which people see, make and end their own API keys.

use super::Issuer;
use super::account::moment;
use super::answer::see_other;
use super::methods::refuse;
use super::person::{Visit, forged, message, own_login, sentence};
use super::second::{self, broken};
use crate::pages::forms::{KeyForm, KeyMade, KeyView, Keys, ScopeView, page};
use crate::pages::words::words;
use authority::oauth::{AskOwnKey, MethodRefused, OwnKeys};
use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use http::StatusCode;

/// Where they are listed.
pub(super) const KEYS: &str = "/account/keys";
/// Where one is made.
pub(super) const NEW: &str = "/account/keys/new";
/// The name of the pages' forms, for their CSRF token.
const FORM: &str = "keys";
/// How a scope's input is called: this, and its name.
const SCOPE: &str = "scope:";

pub(super) fn routes() -> Router<Issuer> {
    Router::new()
        .route(KEYS, get(keys))
        .route(NEW, get(new).post(make))
        .route("/account/keys/end", post(end))
}

/// What the person has; else the page that they must see before.
async fn own(issuer: &Issuer, visit: &Visit) -> Result<OwnKeys, Response> {
    let session = visit.session();
    let Some(text) = &session else { return Err(own_login(issuer, visit, None)) };
    if let Some(step) = second::own_step(issuer, visit, text, None).await {
        return Err(step);
    }
    match issuer.oauth().own_keys(session.as_ref()).await {
        Ok(Some(own)) => Ok(own),
        Ok(None) => Err(own_login(issuer, visit, None)),
        Err(_) => Err(broken(issuer, visit)),
    }
}

fn csrf(issuer: &Issuer, visit: &Visit) -> String {
    visit.session().map(|text| issuer.oauth().csrf(&text, FORM)).unwrap_or_default()
}

async fn keys(State(issuer): State<Issuer>, visit: Visit) -> Response {
    let own = match own(&issuer, &visit).await {
        Ok(own) => own,
        Err(response) => return response,
    };
    let view = |it: &authority::KeyRecord| KeyView {
        id: it.id.to_string(),
        name: it.name.clone(),
        line: (words().key_line)(
            &crate::time::day(it.created_at),
            &it.expires_at.map(crate::time::day).unwrap_or_default(),
        ),
        scopes: it.scopes.join(" "),
    };
    let template = Keys {
        t: words(),
        brand: issuer.brand(),
        csrf: csrf(&issuer, &visit),
        account: own.user.email,
        keys: own.keys.iter().map(view).collect(),
        may: !own.scopes.is_empty(),
        must_add: own.must_add,
    };
    page(StatusCode::OK, &template, None).into_response()
}

async fn new(State(issuer): State<Issuer>, visit: Visit) -> Response {
    match issuer.oauth().may_make_keys(visit.session().as_ref()).await {
        Ok(Ok(_)) => form(&issuer, &visit, None).await,
        Ok(Err(refused)) => refuse(&issuer, &visit, refused).await,
        Err(_) => broken(&issuer, &visit),
    }
}

/// The form, with what was typed and what is wrong with it.
async fn form(issuer: &Issuer, visit: &Visit, error: Option<(&'static str, String)>) -> Response {
    let own = match own(issuer, visit).await {
        Ok(own) => own,
        Err(response) => return response,
    };
    if own.scopes.is_empty() {
        return see_other(&issuer.oauth().settings().url(KEYS));
    }
    let chosen = chosen(visit);
    let scope = |it: authority::oauth::ScopeView| {
        (chosen.contains(&it.name), ScopeView { name: it.name, words: it.words })
    };
    let status = if error.is_some() { StatusCode::BAD_REQUEST } else { StatusCode::OK };
    let template = KeyForm {
        t: words(),
        brand: issuer.brand(),
        csrf: csrf(issuer, visit),
        name: visit.param("name").to_owned(),
        days: visit.param("days").to_owned(),
        scopes: own.scopes.into_iter().map(scope).collect(),
        error,
    };
    page(status, &template, None).into_response()
}

/// The scopes that are ticked.
fn chosen(visit: &Visit) -> Vec<String> {
    visit
        .params
        .iter()
        .filter_map(|(name, _)| name.strip_prefix(SCOPE))
        .map(str::to_owned)
        .collect()
}

async fn make(State(issuer): State<Issuer>, visit: Visit) -> Response {
    if !visit.is_of_session(&issuer, FORM) {
        return forged(&issuer, &visit);
    }
    let ask = AskOwnKey {
        name: visit.param("name").to_owned(),
        scopes: chosen(&visit),
        days: visit.param("days").to_owned(),
    };
    let session = visit.session();
    match issuer.oauth().make_own_key(session.as_ref(), &ask, &visit.origin).await {
        Ok(Ok(made)) => {
            let template = KeyMade {
                t: words(),
                brand: issuer.brand(),
                name: made.record.name,
                key: made.key.expose().clone(),
                ends: made.record.expires_at.map(moment).unwrap_or_default(),
            };
            page(StatusCode::OK, &template, None).into_response()
        }
        Ok(Err(MethodRefused::Invalid(field, why))) => {
            form(&issuer, &visit, Some((field, sentence(&why)))).await
        }
        Ok(Err(MethodRefused::TooMany)) => {
            let (title, text, fix) = words().key_many;
            message(&issuer, StatusCode::CONFLICT, (title, text, Some(fix)), None)
        }
        Ok(Err(refused)) => refuse(&issuer, &visit, refused).await,
        Err(_) => broken(&issuer, &visit),
    }
}

async fn end(State(issuer): State<Issuer>, visit: Visit) -> Response {
    if !visit.is_of_session(&issuer, FORM) {
        return forged(&issuer, &visit);
    }
    let (session, id) = (visit.session(), visit.param("id"));
    match issuer.oauth().end_own_key(session.as_ref(), id, &visit.origin).await {
        // What was not there is gone all the same.
        Ok(Some(_)) => see_other(&issuer.oauth().settings().url(KEYS)),
        Ok(None) => own_login(&issuer, &visit, None),
        Err(_) => broken(&issuer, &visit),
    }
}
