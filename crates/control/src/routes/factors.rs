//! `/api/v1/users/{id}/…`: what administrators do to a person's ways of signing in.
//!
//! Never does: show a secret of an authenticator.

use super::users::{invitation, view};
use super::{Endpoint, json};
use crate::api::Api;
use crate::input::Id;
use crate::openapi::Operation;
use crate::ports::{ActError, Caller};
use crate::problem::Problem;
use crate::time::rfc3339;
use authority::oauth::{Reset, codes_left};
use authority::people::{AuthenticatorRecord, FactorKind};
use axum::extract::State;
use axum::response::Response;
use axum::routing::post;
use base::{Scheme, code};
use http::StatusCode;
use serde_json::{Value, json as object};

pub(super) fn endpoints() -> Vec<Endpoint> {
    let users = |summary| Operation::new("users", summary).by_id("The account's id");
    vec![
        Endpoint {
            method: "post",
            path: "/api/v1/users/{id}/invite",
            handler: post(invite),
            operation: users("Makes a new set-up link and mails it; the old one is dead").answers(
                200,
                "The account's id, the link, and whether it was mailed",
                "CreatedUser",
            ),
        },
        Endpoint {
            method: "post",
            path: "/api/v1/users/{id}/reset-factors",
            handler: post(reset),
            operation: users("Takes all of a person's ways of signing in, to be set up anew").answers(
                200,
                "The account and its new set-up link, once this node's gate refuses its old tokens",
                "ResetUser",
            ),
        },
        Endpoint {
            method: "post",
            path: "/api/v1/users/{id}/break-glass",
            handler: post(break_glass),
            operation: users(
                "The same for a closed account too, at the socket of the machine itself only",
            )
            .answers(
                200,
                "The account, open, and its new set-up link",
                "ResetUser",
            ),
        },
        Endpoint {
            method: "post",
            path: "/api/v1/users/{id}/end-sessions",
            handler: post(end_sessions),
            operation: users("Signs a person out everywhere: sessions and tokens end").answers(
                200,
                "How many sessions there were, once this node's gate refuses the old tokens",
                "EndedSessions",
            ),
        },
    ]
}

/// What is shown of an authenticator.
pub(super) fn shown(record: &AuthenticatorRecord) -> Value {
    let name = Some(&record.name).filter(|name| !name.is_empty());
    object!({
        "id": record.id,
        "kind": record.kind().as_str(),
        "name": name,
        "created_at": rfc3339(record.created_at),
        "last_used_at": record.last_used_at.map(rfc3339),
        "failures": record.failures,
        "shut": record.is_shut(),
        "codes_left": codes_left(record),
        "second_factor": record.kind().is_second() || record.kind() == FactorKind::Recovery,
    })
}

async fn invite(State(api): State<Api>, by: Caller, Id(id): Id) -> Result<Response, Problem> {
    let oauth = api.oauth()?;
    let made = oauth.invite(&by.actor(), &id).await.map_err(ActError::from)?;
    api.in_force(made.seq, "the new link is kept").await?;
    let link = oauth.setup_url(&made.setup);
    Ok(json(StatusCode::OK, &invitation(&made.id, Some(&link), made.mailed)))
}

async fn reset(State(api): State<Api>, by: Caller, Id(id): Id) -> Result<Response, Problem> {
    let done = api.oauth()?.reset_factors(&by.actor(), &id).await.map_err(ActError::from)?;
    begun_anew(&api, done).await
}

async fn break_glass(State(api): State<Api>, by: Caller, Id(id): Id) -> Result<Response, Problem> {
    // The use case refuses who is not local, and records it.
    let done = api.oauth()?.break_glass(&by.actor(), &id).await;
    if by.scheme != Scheme::Local {
        return Err(Problem::new(code::API_LOCAL));
    }
    let done = done.map_err(ActError::from)?;
    begun_anew(&api, done).await
}

async fn begun_anew(api: &Api, done: Reset) -> Result<Response, Problem> {
    api.in_force(done.seq, "the account begins anew").await?;
    let link = api.oauth()?.setup_url(&done.setup);
    let answer = object!({
        "user": view(&done.user),
        "removed": done.removed,
        "setup_url": link.expose(),
    });
    Ok(json(StatusCode::OK, &answer))
}

async fn end_sessions(State(api): State<Api>, by: Caller, Id(id): Id) -> Result<Response, Problem> {
    let done = api.oauth()?.end_sessions(&by.actor(), &id).await.map_err(ActError::from)?;
    api.in_force(done.seq, "the sessions are ended").await?;
    Ok(json(StatusCode::OK, &object!({ "id": id, "ended": done.record })))
}
