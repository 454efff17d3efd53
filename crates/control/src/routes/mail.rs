//! `/api/v1/mail`: what would have been sent, where no mail server is configured.

use super::{Endpoint, json};
use crate::api::Api;
use crate::openapi::Operation;
use crate::ports::{ActError, Caller};
use crate::problem::Problem;
use axum::extract::{Path, State};
use axum::response::Response;
use axum::routing::get;
use http::StatusCode;
use serde_json::{Value, json as object};

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![
        Endpoint {
            method: "get",
            path: "/api/v1/mail",
            handler: get(list),
            operation: Operation::new(
                "node",
                "The last messages of this node, the newest first, if they are kept",
            )
            .answers(200, "The messages, without what they say", "MailList"),
        },
        Endpoint {
            method: "get",
            path: "/api/v1/mail/{id}",
            handler: get(show),
            operation: Operation::new("node", "One message with all that it says; recorded")
                .by_id("The message's number")
                .answers(200, "The message", "Mail"),
        },
    ]
}

async fn list(State(api): State<Api>, _: Caller) -> Response {
    let kept = api.mail.list();
    let lines: Vec<Value> = kept.iter().flatten().map(|it| it.line()).collect();
    let answer = object!({ "messages": lines, "kept": kept.is_some(), "next": null });
    json(StatusCode::OK, &answer)
}

async fn show(
    State(api): State<Api>,
    caller: Caller,
    Path(number): Path<String>,
) -> Result<Response, Problem> {
    let known = number.parse().ok().and_then(|it| api.mail.show(it, &caller));
    let found = known.ok_or(ActError::NotFound { what: "message", id: number })?;
    Ok(json(StatusCode::OK, &found.whole()))
}
