//! `/api/v1/trust`: whose tokens stand for which client (RFC 7523).

use super::{Endpoint, json};
use crate::api::Api;
use crate::input::{Body, Id};
use crate::openapi::Operation;
use crate::ports::{ActError, Caller};
use crate::problem::Problem;
use crate::time::rfc3339;
use authority::oauth::records::TrustRecord;
use authority::oauth::trust::AddTrust;
use axum::extract::State;
use axum::response::Response;
use axum::routing::{delete, get, post};
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Map, Value, json as object};

pub(super) fn endpoints() -> Vec<Endpoint> {
    let trust = |summary| Operation::new("trust", summary);
    vec![
        Endpoint {
            method: "post",
            path: "/api/v1/trust",
            handler: post(put),
            operation: trust("Lets tokens of another issuer stand for a client")
                .takes("NewTrust")
                .answers(201, "The rule, once this node knows it", "Trust"),
        },
        Endpoint {
            method: "get",
            path: "/api/v1/trust",
            handler: get(list),
            operation: trust("Lists trust rules by id").answers(200, "The rules", "TrustList"),
        },
        Endpoint {
            method: "delete",
            path: "/api/v1/trust/{id}",
            handler: delete(remove),
            operation: trust("Removes a trust rule; tokens that it gave end by time")
                .by_id("The rule's id")
                .answers(200, "The rule's id", "RemovedTrust"),
        },
    ]
}

/// What a new rule shall say.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct NewTrust {
    name: String,
    issuer: String,
    jwks_uri: Option<String>,
    subject: String,
    audience: Option<String>,
    #[serde(default)]
    claims: Map<String, Value>,
    client: String,
    #[serde(default)]
    scopes: Vec<String>,
}

impl From<NewTrust> for AddTrust {
    fn from(ask: NewTrust) -> Self {
        Self {
            name: ask.name,
            issuer: ask.issuer,
            jwks_uri: ask.jwks_uri,
            subject: ask.subject,
            audience: ask.audience.unwrap_or_default(),
            claims: ask.claims,
            client: ask.client,
            scopes: ask.scopes,
        }
    }
}

fn view(rule: &TrustRecord) -> Value {
    object!({
        "id": rule.id,
        "name": rule.name,
        "issuer": rule.issuer,
        "jwks_uri": rule.jwks_uri,
        "subject": rule.subject,
        "audience": (!rule.audience.is_empty()).then_some(&rule.audience),
        "claims": rule.claims,
        "client": rule.client,
        "scopes": rule.scopes,
        "created_at": rfc3339(rule.created_at),
        "created_by": rule.created_by,
    })
}

async fn put(
    State(api): State<Api>,
    by: Caller,
    Body(ask): Body<NewTrust>,
) -> Result<Response, Problem> {
    let done = api.oauth()?.add_trust(&by.actor(), ask.into()).await.map_err(ActError::from)?;
    api.in_force(done.seq, "the rule is kept").await?;
    Ok(json(StatusCode::CREATED, &view(&done.record)))
}

async fn list(State(api): State<Api>, _: Caller) -> Result<Response, Problem> {
    let rules = api.oauth()?.trusts().await.map_err(ActError::from)?;
    let views: Vec<Value> = rules.iter().map(view).collect();
    Ok(json(StatusCode::OK, &object!({ "rules": views, "next": null })))
}

async fn remove(State(api): State<Api>, by: Caller, Id(id): Id) -> Result<Response, Problem> {
    let seq = api.oauth()?.remove_trust(&by.actor(), &id).await.map_err(ActError::from)?;
    api.in_force(seq, "the rule is removed").await?;
    Ok(json(StatusCode::OK, &object!({ "id": id })))
}
