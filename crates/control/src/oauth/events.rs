//! The page on which people see what happened to their account.

use super::Issuer;
use super::account::{FORM, moment};
use super::person::{Visit, own_login};
use super::second::{self, broken};
use crate::pages::forms::{NewsPage, NewsView, page};
use crate::pages::words::words;
use authority::people::AuthenticatorRecord;
use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::StatusCode;

/// Where it is.
pub(super) const EVENTS: &str = "/account/events";

pub(super) fn routes() -> Router<Issuer> {
    Router::new().route(EVENTS, get(events))
}

async fn events(State(issuer): State<Issuer>, visit: Visit) -> Response {
    let session = visit.session();
    let Some(text) = &session else { return own_login(&issuer, &visit, None) };
    if let Some(step) = second::own_step(&issuer, &visit, text, None).await {
        return step;
    }
    let own = match issuer.oauth().own_news(session.as_ref(), &visit.origin).await {
        Ok(Some(own)) => own,
        Ok(None) => return own_login(&issuer, &visit, None),
        Err(_) => return broken(&issuer, &visit),
    };
    let client = |id: &str| own.clients.get(id).cloned().unwrap_or_else(|| id.to_owned());
    let view = |it: &authority::oauth::NewsRecord| NewsView {
        at: moment(it.at),
        what: (words().happened)(it, &client),
        place: (words().with)(it.network.as_deref(), it.user_agent.as_deref()),
    };
    let mut failed: Vec<_> = own.authenticators.iter().filter_map(failure).collect();
    failed.sort_by_key(|it| std::cmp::Reverse(it.0));
    let template = NewsPage {
        t: words(),
        brand: issuer.brand(),
        csrf: issuer.oauth().csrf(text, FORM),
        account: own.email.clone(),
        news: own.news.iter().map(view).collect(),
        failed: failed.into_iter().map(|(_, view)| view).collect(),
    };
    page(StatusCode::OK, &template, None).into_response()
}

fn failure(it: &AuthenticatorRecord) -> Option<(base::UnixMs, NewsView)> {
    let failed = it.failed.as_ref()?;
    let view = NewsView {
        at: moment(failed.at),
        what: (words().failures)(it.kind(), &it.name, failed.count),
        place: (words().with)(failed.network.as_deref(), Some(&failed.user_agent)),
    };
    Some((failed.at, view))
}
