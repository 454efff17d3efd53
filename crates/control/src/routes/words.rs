//! `/api/v1/scopes`: what scopes mean, in words that people read at consent.

use super::{Endpoint, json};
use crate::api::Api;
use crate::input::{Body, Id};
use crate::openapi::Operation;
use crate::ports::{ActError, Caller};
use crate::problem::Problem;
use authority::oauth::DescribedScope;
use authority::oauth::records::ScopeRecord;
use axum::extract::State;
use axum::response::Response;
use axum::routing::{delete, get, post};
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json as object};

pub(super) fn endpoints() -> Vec<Endpoint> {
    let scopes = |summary| Operation::new("scopes", summary);
    vec![
        Endpoint {
            method: "post",
            path: "/api/v1/scopes",
            handler: post(set),
            operation: scopes("Says what a scope means, in words that people read at consent")
                .takes("NewScope")
                .answers(200, "The scope", "Scope"),
        },
        Endpoint {
            method: "get",
            path: "/api/v1/scopes",
            handler: get(list),
            operation: scopes("Lists the scopes that have words, by name").answers(
                200,
                "The scopes",
                "ScopeList",
            ),
        },
        Endpoint {
            method: "delete",
            path: "/api/v1/scopes/{id}",
            handler: delete(remove),
            operation: scopes("Forgets a scope's words; those of the file hold again")
                .by_id("The scope")
                .answers(200, "The scope", "RemovedScope"),
        },
    ]
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct NewScope {
    name: String,
    description: String,
}

fn view(scope: &ScopeRecord, declared: bool) -> Value {
    object!({
        "name": scope.name,
        "description": scope.description,
        "origin": if declared { "file" } else { "admin" },
    })
}

async fn set(
    State(api): State<Api>,
    by: Caller,
    Body(ask): Body<NewScope>,
) -> Result<Response, Problem> {
    let done = api.oauth()?.describe_scope(&by.actor(), &ask.name, &ask.description).await;
    let done = done.map_err(ActError::from)?;
    api.in_force(done.seq, "the words are kept").await?;
    Ok(json(StatusCode::OK, &view(&done.record, false)))
}

async fn list(State(api): State<Api>, _: Caller) -> Result<Response, Problem> {
    let scopes = api.oauth()?.described_scopes().await.map_err(ActError::from)?;
    let each = |it: &DescribedScope| view(&it.scope, it.declared);
    let views: Vec<Value> = scopes.iter().map(each).collect();
    Ok(json(StatusCode::OK, &object!({ "scopes": views, "next": null })))
}

async fn remove(State(api): State<Api>, by: Caller, Id(id): Id) -> Result<Response, Problem> {
    let seq = api.oauth()?.forget_scope(&by.actor(), &id).await.map_err(ActError::from)?;
    api.in_force(seq, "the words are removed").await?;
    Ok(json(StatusCode::OK, &object!({ "name": id })))
}
