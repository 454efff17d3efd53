//! Health, metrics and the API's own description.

use super::{Endpoint, json};
use crate::api::Api;
use crate::openapi::{Operation, document};
use crate::problem::Problem;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::StatusCode;
use http::header::CONTENT_TYPE;

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![
        Endpoint {
            method: "get",
            path: "/livez",
            handler: get(live),
            operation: Operation::new("node", "Whether the process answers")
                .open()
                .answers(200, "It does", "Live"),
        },
        Endpoint {
            method: "get",
            path: "/readyz",
            handler: get(ready),
            operation: Operation::new("node", "Whether the node serves, and where; else 503")
                .open()
                .answers(200, "It serves", "Up"),
        },
        Endpoint {
            method: "get",
            path: "/metrics",
            handler: get(metrics),
            operation: Operation::new("node", "Metrics in the text format of Prometheus")
                .open()
                .answers_text(200, "The metrics"),
        },
        Endpoint {
            method: "get",
            path: "/.well-known/jwks.json",
            handler: get(keys),
            operation: Operation::new("node", "The keys that this node signs assertions with")
                .open()
                .answers(200, "A JWK set (RFC 7517 §5)", "Anything"),
        },
        Endpoint {
            method: "get",
            path: "/.well-known/oauth-protected-resource/api",
            handler: get(resource),
            operation: Operation::new("node", "Who issues tokens for this API, and its scopes")
                .open()
                .answers(200, "Metadata of a protected resource (RFC 9728 §2)", "Anything"),
        },
        Endpoint {
            method: "get",
            path: "/api/openapi.json",
            handler: get(description),
            operation: Operation::new("node", "This description").open().answers(
                200,
                "OpenAPI 3.1",
                "Anything",
            ),
        },
    ]
}

async fn live() -> Response {
    json(StatusCode::OK, &serde_json::json!({ "live": true }))
}

async fn ready(State(api): State<Api>) -> Result<Response, Problem> {
    Ok(json(StatusCode::OK, &api.health.check()?))
}

async fn metrics(State(api): State<Api>) -> Response {
    let text = (api.metrics)();
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(CONTENT_TYPE, kind)], text).into_response()
}

async fn keys(State(api): State<Api>) -> Response {
    json(StatusCode::OK, &(api.keys)())
}

async fn resource(State(api): State<Api>) -> Result<Response, Problem> {
    Ok(json(StatusCode::OK, &api.oauth()?.admin_metadata()))
}

async fn description() -> Response {
    json(StatusCode::OK, &document())
}
