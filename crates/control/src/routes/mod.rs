//! The endpoints: one file a resource; each endpoint stands beside its description.

mod addresses;
mod blocks;
mod clients;
mod factors;
mod groups;
mod keys;
mod ledger;
mod mail;
mod node;
mod scim;
mod scopes;
mod signing;
mod transfer;
mod trust;
mod users;
mod words;

pub(crate) use scopes::scope_of;

use crate::admission::require;
use crate::api::Api;
use crate::openapi::Operation;
use crate::problem::Problem;
use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::MethodRouter;
use base::code;
use http::StatusCode;
use http::header::CONTENT_TYPE;
use serde::Serialize;

/// One method of one path, with its description.
pub(crate) struct Endpoint {
    /// Lower case, as OpenAPI wants it.
    pub(crate) method: &'static str,
    /// The path with its parameters in braces.
    pub(crate) path: &'static str,
    /// Who answers.
    pub(crate) handler: MethodRouter<Api>,
    /// What is said of it.
    pub(crate) operation: Operation,
}

/// All endpoints. The router and the description are made from this one list.
pub(crate) fn endpoints() -> Vec<Endpoint> {
    let resources = [
        node::endpoints(),
        keys::endpoints(),
        blocks::endpoints(),
        addresses::endpoints(),
        clients::endpoints(),
        users::endpoints(),
        transfer::endpoints(),
        factors::endpoints(),
        groups::endpoints(),
        trust::endpoints(),
        words::endpoints(),
        signing::endpoints(),
        mail::endpoints(),
    ];
    resources.into_iter().flatten().chain(ledger::endpoints()).collect()
}

/// The router of the API, health and page.
///
/// It does not check the host: [`crate::serve_tcp`] does, before it.
///
/// INVARIANT: nothing below `/api/v1` and `/scim/v2` is reached but through [`require`] with the scope of the table.
pub fn router(api: Api) -> Router {
    let routes = endpoints().into_iter().fold(crate::pages::routes(), |router, endpoint| {
        let handler = match scope_of(endpoint.method, endpoint.path) {
            Some(scope) => {
                endpoint.handler.route_layer(from_fn_with_state((api.clone(), scope), require))
            }
            None => endpoint.handler,
        };
        router.route(endpoint.path, handler)
    });
    routes
        .merge(scim::routes(&api))
        .fallback(async || Problem::new(code::API_NOT_FOUND))
        .method_not_allowed_fallback(async || Problem::new(code::METHOD_NOT_ALLOWED))
        .with_state(api)
}

/// A JSON answer.
pub(crate) fn json(status: StatusCode, value: &impl Serialize) -> Response {
    match serde_json::to_vec(value) {
        Ok(body) => (status, [(CONTENT_TYPE, "application/json")], body).into_response(),
        Err(_) => Problem::new(code::INTERNAL).into_response(),
    }
}

/// A page of a listing: the rows under `name`, and under `next` the id to go on `after`, or null.
pub(crate) fn listing<T: Serialize>(
    name: &str,
    rows: &[T],
    full: u32,
    id: impl Fn(&T) -> &str,
) -> Response {
    let more = u32::try_from(rows.len()).is_ok_and(|len| len >= full);
    let next = rows.last().filter(|_| more).map(id);
    json(StatusCode::OK, &serde_json::json!({ name: rows, "next": next }))
}
