//! `/api/v1/groups`: groups, and the scopes that only their members may give.

use super::{Endpoint, json};
use crate::api::Api;
use crate::input::{Body, Id};
use crate::openapi::Operation;
use crate::ports::{ActError, Caller};
use crate::problem::Problem;
use crate::time::rfc3339;
use authority::oauth::PutGroup;
use authority::oauth::records::GroupRecord;
use axum::extract::State;
use axum::response::Response;
use axum::routing::{delete, get, post};
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json as object};

pub(super) fn endpoints() -> Vec<Endpoint> {
    let groups = |summary| Operation::new("groups", summary);
    vec![
        Endpoint {
            method: "post",
            path: "/api/v1/groups",
            handler: post(put),
            operation: groups("Makes a group, or replaces the one of the same name")
                .takes("NewGroup")
                .answers(200, "The group", "Group"),
        },
        Endpoint {
            method: "get",
            path: "/api/v1/groups",
            handler: get(list),
            operation: groups("Lists groups by name").answers(200, "The groups", "GroupList"),
        },
        Endpoint {
            method: "get",
            path: "/api/v1/groups/{id}",
            handler: get(show),
            operation: groups("Shows a group").by_id("The group's name").answers(
                200,
                "The group",
                "Group",
            ),
        },
        Endpoint {
            method: "delete",
            path: "/api/v1/groups/{id}",
            handler: delete(remove),
            operation: groups("Removes a group; says which scopes are open to all from now on")
                .by_id("The group's name")
                .answers(
                    200,
                    "The group's name and the scopes that no group names any more",
                    "RemovedGroup",
                ),
        },
    ]
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct NewGroup {
    name: String,
    #[serde(default)]
    description: String,
    #[serde(default)]
    scopes: Vec<String>,
}

fn view(group: &GroupRecord) -> Value {
    object!({
        "name": group.name,
        "description": group.description,
        "scopes": group.scopes,
        "created_at": rfc3339(group.created_at),
        "created_by": group.created_by,
    })
}

async fn put(
    State(api): State<Api>,
    by: Caller,
    Body(ask): Body<NewGroup>,
) -> Result<Response, Problem> {
    let ask = PutGroup { name: ask.name, description: ask.description, scopes: ask.scopes };
    let done = api.oauth()?.put_group(&by.actor(), &ask).await.map_err(ActError::from)?;
    api.in_force(done.seq, "the group is kept").await?;
    Ok(json(StatusCode::OK, &view(&done.record)))
}

async fn list(State(api): State<Api>, _: Caller) -> Result<Response, Problem> {
    let groups = api.oauth()?.groups().await.map_err(ActError::from)?;
    let views: Vec<Value> = groups.iter().map(view).collect();
    Ok(json(StatusCode::OK, &object!({ "groups": views, "next": null })))
}

async fn show(State(api): State<Api>, _: Caller, Id(id): Id) -> Result<Response, Problem> {
    let group = api.oauth()?.show_group(&id).await.map_err(ActError::from)?;
    Ok(json(StatusCode::OK, &view(&group)))
}

async fn remove(State(api): State<Api>, by: Caller, Id(id): Id) -> Result<Response, Problem> {
    let gone = api.oauth()?.remove_group(&by.actor(), &id).await.map_err(ActError::from)?;
    api.in_force(gone.seq, "the group is removed").await?;
    let answer = object!({ "name": gone.name, "opened": gone.opened });
    Ok(json(StatusCode::OK, &answer))
}
