//! `/api/v1/signing-keys`.

use super::{Endpoint, json};
use crate::api::Api;
use crate::openapi::Operation;
use crate::ports::{ActError, Caller};
use crate::problem::Problem;
use crate::time::rfc3339;
use axum::extract::State;
use axum::response::Response;
use axum::routing::get;
use http::StatusCode;
use serde_json::{Value, json as object};

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![Endpoint {
        method: "get",
        path: "/api/v1/signing-keys",
        handler: get(list),
        operation: Operation::new("authority", "The authority's signing keys, the newest first")
            .answers(200, "The keys, without their private halves", "SigningKeyList"),
    }]
}

async fn list(State(api): State<Api>, _: Caller) -> Result<Response, Problem> {
    let keys = api.oauth()?.signing_keys().await.map_err(ActError::from)?;
    let views: Vec<Value> = keys
        .iter()
        .map(|key| {
            object!({
                "kid": key.kid,
                "algorithm": key.algorithm,
                "stage": key.stage,
                "since": rfc3339(key.since),
                "public": key.public,
            })
        })
        .collect();
    Ok(json(StatusCode::OK, &object!({ "keys": views, "next": null })))
}
