//! `/api/v1/keys`.

use super::{Endpoint, json, listing};
use crate::api::Api;
use crate::input::{Ask, Body, Id, PageAsk};
use crate::openapi::Operation;
use crate::ports::Caller;
use crate::problem::Problem;
use crate::views::{NewKey, Revocation};
use axum::extract::State;
use axum::response::Response;
use axum::routing::{get, post};
use http::StatusCode;

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![
        Endpoint {
            method: "post",
            path: "/api/v1/keys",
            handler: post(create),
            operation: Operation::new(
                "keys",
                "Makes an API key; its text is shown now and never again",
            )
            .takes("NewKey")
            .answers(201, "The key, once this node's gate knows it", "CreatedKey"),
        },
        Endpoint {
            method: "get",
            path: "/api/v1/keys",
            handler: get(list),
            operation: Operation::new("keys", "Lists API keys by id").paged().answers(
                200,
                "A page of keys",
                "KeyList",
            ),
        },
        Endpoint {
            method: "get",
            path: "/api/v1/keys/{id}",
            handler: get(show),
            operation: Operation::new("keys", "Shows an API key, without its text")
                .by_id("The key's id")
                .answers(200, "The key", "Key"),
        },
        Endpoint {
            method: "post",
            path: "/api/v1/keys/{id}/revoke",
            handler: post(revoke),
            operation: Operation::new("keys", "Revokes an API key for good")
                .by_id("The key's id")
                .takes("Revocation")
                .answers(200, "The key, once this node's gate refuses it", "Key"),
        },
    ]
}

async fn create(
    State(api): State<Api>,
    by: Caller,
    Body(ask): Body<NewKey>,
) -> Result<Response, Problem> {
    let done = api.admin.create_key(by, ask).await?;
    let id = &done.record.id;
    api.in_force(done.seq, &format!("the key {id} is kept; revoke it and make another")).await?;
    Ok(json(StatusCode::CREATED, &done.record))
}

async fn list(
    State(api): State<Api>,
    _: Caller,
    Ask(ask): Ask<PageAsk>,
) -> Result<Response, Problem> {
    let page = ask.page()?;
    let full = page.rows;
    let keys = api.admin.keys(page).await?;
    Ok(listing("keys", &keys, full, |key| &key.id))
}

async fn show(State(api): State<Api>, _: Caller, Id(id): Id) -> Result<Response, Problem> {
    Ok(json(StatusCode::OK, &api.admin.key(id).await?))
}

async fn revoke(
    State(api): State<Api>,
    by: Caller,
    Id(id): Id,
    Body(ask): Body<Revocation>,
) -> Result<Response, Problem> {
    let done = api.admin.revoke_key(by, id, ask.reason).await?;
    api.in_force(done.seq, "the key is revoked in the store").await?;
    Ok(json(StatusCode::OK, &done.record))
}
