//! `/api/v1/clients`.

use super::{Endpoint, json, listing};
use crate::api::Api;
use crate::input::{Ask, Body, Id, PageAsk};
use crate::openapi::Operation;
use crate::ports::{ActError, Caller};
use crate::problem::Problem;
use crate::time::rfc3339;
use authority::oauth::clients::{CreateClient, CreatedClient, grade};
use authority::oauth::ports::TextPage;
use authority::oauth::records::{ClientRecord, Pkce, Profile, RefreshRotation, TokenFormat};
use axum::extract::State;
use axum::response::Response;
use axum::routing::{get, post};
use http::StatusCode;
use protocol::oauth::metadata::ClientMetadata;
use serde::Deserialize;
use serde_json::{Value, json as object};
use std::time::Duration;

pub(super) fn endpoints() -> Vec<Endpoint> {
    let clients = |summary| Operation::new("clients", summary);
    vec![
        Endpoint {
            method: "post",
            path: "/api/v1/clients",
            handler: post(create),
            operation: clients("Makes a client; its secret is shown now and never again")
                .takes("NewClient")
                .answers(201, "The client, once this node knows it", "CreatedClient"),
        },
        Endpoint {
            method: "get",
            path: "/api/v1/clients",
            handler: get(list),
            operation: clients("Lists clients by id; those of the file come first")
                .paged()
                .answers(200, "A page of clients", "ClientList"),
        },
        Endpoint {
            method: "get",
            path: "/api/v1/clients/{id}",
            handler: get(show),
            operation: clients("Shows a client, without its secret")
                .by_id("The client's id")
                .answers(200, "The client", "Client"),
        },
        Endpoint {
            method: "post",
            path: "/api/v1/clients/{id}/rotate-secret",
            handler: post(rotate),
            operation: clients("Makes a new secret; the old one goes on for an overlap")
                .by_id("The client's id")
                .takes("SecretRotation")
                .answers(200, "The client with its new secret", "CreatedClient"),
        },
        Endpoint {
            method: "post",
            path: "/api/v1/clients/{id}/disable",
            handler: post(disable),
            operation: clients("Refuses a client and all its tokens from now on")
                .by_id("The client's id")
                .answers(200, "The client, once this node's gate refuses it", "Client"),
        },
        Endpoint {
            method: "post",
            path: "/api/v1/clients/{id}/enable",
            handler: post(enable),
            operation: clients("Takes a client back in; its old tokens stay dead")
                .by_id("The client's id")
                .answers(200, "The client", "Client"),
        },
        Endpoint {
            method: "get",
            path: "/api/v1/clients/{id}/grade",
            handler: get(rules),
            operation: clients("Says which rules of the specifications a client meets")
                .by_id("The client's id")
                .answers(200, "The rules", "Grade"),
        },
    ]
}

/// What a new client shall be.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct NewClient {
    name: String,
    #[serde(default)]
    grants: Vec<String>,
    #[serde(default)]
    redirect_uris: Vec<String>,
    #[serde(default)]
    post_logout_redirect_uris: Vec<String>,
    #[serde(default)]
    scopes: Vec<String>,
    #[serde(default)]
    resources: Vec<String>,
    /// How it proves itself; by default a secret, or nothing for `public`.
    auth: Option<String>,
    #[serde(default)]
    profile: Profile,
    #[serde(default)]
    pkce: Pkce,
    #[serde(default)]
    token_format: TokenFormat,
    refresh: Option<RefreshRotation>,
    access_token_seconds: Option<u32>,
    consent: Option<bool>,
    jwks: Option<Value>,
    jwks_uri: Option<String>,
    application_type: Option<String>,
    #[serde(default)]
    dpop: bool,
    backchannel_logout_uri: Option<String>,
}

/// Short words for the long grant types.
const GRANTS: [(&str, &str); 3] = [
    ("device_code", "urn:ietf:params:oauth:grant-type:device_code"),
    ("token_exchange", "urn:ietf:params:oauth:grant-type:token-exchange"),
    ("jwt_bearer", "urn:ietf:params:oauth:grant-type:jwt-bearer"),
];

fn grant(name: String) -> String {
    let long = GRANTS.iter().find(|(short, _)| *short == name);
    long.map_or(name, |(_, long)| (*long).to_owned())
}

impl From<NewClient> for CreateClient {
    fn from(ask: NewClient) -> Self {
        let grants: Vec<String> = match (ask.grants.is_empty(), ask.redirect_uris.is_empty()) {
            (false, _) => ask.grants.into_iter().map(grant).collect(),
            (true, true) => vec!["client_credentials".to_owned()],
            (true, false) => vec!["authorization_code".to_owned(), "refresh_token".to_owned()],
        };
        let keys = ask.jwks.is_some() || ask.jwks_uri.is_some();
        let auth = ask.auth.unwrap_or_else(|| {
            if keys { "private_key_jwt" } else { "client_secret_basic" }.to_owned()
        });
        let code = grants.iter().any(|it| it == "authorization_code");
        Self {
            name: ask.name.clone(),
            profile: ask.profile,
            pkce: ask.pkce,
            token_format: ask.token_format,
            refresh: ask.refresh.unwrap_or(match ask.profile {
                Profile::Standard => RefreshRotation::Rotate,
                _ => RefreshRotation::Keep,
            }),
            access_token_seconds: ask.access_token_seconds,
            scopes: ask.scopes.clone(),
            resources: ask.resources,
            consent: ask.consent.unwrap_or(true),
            metadata: ClientMetadata {
                redirect_uris: ask.redirect_uris,
                post_logout_redirect_uris: ask.post_logout_redirect_uris,
                token_endpoint_auth_method: auth,
                response_types: if code { vec!["code".to_owned()] } else { Vec::new() },
                grant_types: grants,
                client_name: Some(ask.name),
                scope: (!ask.scopes.is_empty()).then(|| ask.scopes.join(" ")),
                jwks: ask.jwks,
                jwks_uri: ask.jwks_uri,
                application_type: ask.application_type.unwrap_or_else(|| "web".to_owned()),
                subject_type: "public".to_owned(),
                dpop_bound_access_tokens: ask.dpop,
                backchannel_logout_uri: ask.backchannel_logout_uri,
                ..ClientMetadata::default()
            },
        }
    }
}

/// A client as lists show it: never a MAC of a secret.
fn view(client: &ClientRecord) -> Value {
    let moment = |at: Option<base::UnixMs>| at.map(rfc3339);
    object!({
        "client_id": client.id,
        "name": client.name,
        "profile": client.profile,
        "origin": client.origin,
        "auth": client.metadata.token_endpoint_auth_method,
        "grants": client.metadata.grant_types,
        "redirect_uris": client.metadata.redirect_uris,
        "scopes": client.scopes,
        "resources": client.resources,
        "pkce": client.pkce,
        "token_format": client.token_format,
        "refresh": client.refresh,
        "consent": client.consent,
        "secrets": client.secrets.len(),
        "created_at": rfc3339(client.created_at),
        "created_by": client.created_by,
        "disabled_at": moment(client.disabled_at),
    })
}

/// RFC 7591 calls a client's id and secret so, and scripts rely on it.
fn created(made: &CreatedClient) -> Value {
    let secret = made.secret.as_ref().map(|it| it.expose().as_str());
    object!({ "client_id": made.client.id, "client_secret": secret })
}

async fn create(
    State(api): State<Api>,
    by: Caller,
    Body(ask): Body<NewClient>,
) -> Result<Response, Problem> {
    let made = api.oauth()?.create_client(&by.actor(), ask.into()).await.map_err(ActError::from)?;
    api.in_force(made.seq, "the client is kept").await?;
    Ok(json(StatusCode::CREATED, &created(&made)))
}

async fn list(
    State(api): State<Api>,
    _: Caller,
    Ask(ask): Ask<PageAsk>,
) -> Result<Response, Problem> {
    let page = ask.page()?;
    let rows = page.rows;
    let page = TextPage { after: page.after.unwrap_or_default(), rows };
    let clients = api.oauth()?.list_clients(page).await.map_err(ActError::from)?;
    let views: Vec<Value> = clients.iter().map(|it| view(it)).collect();
    Ok(listing("clients", &views, rows, |it| {
        it.get("client_id").and_then(Value::as_str).unwrap_or_default()
    }))
}

async fn show(State(api): State<Api>, _: Caller, Id(id): Id) -> Result<Response, Problem> {
    let client = api.oauth()?.show_client(&id).await.map_err(ActError::from)?;
    Ok(json(StatusCode::OK, &view(&client)))
}

/// How long the old secret goes on.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SecretRotation {
    overlap_seconds: Option<u64>,
}

async fn rotate(
    State(api): State<Api>,
    by: Caller,
    Id(id): Id,
    Body(ask): Body<SecretRotation>,
) -> Result<Response, Problem> {
    let overlap = ask.overlap_seconds.map(Duration::from_secs);
    let made = api
        .oauth()?
        .rotate_client_secret(&by.actor(), &id, overlap)
        .await
        .map_err(ActError::from)?;
    api.in_force(made.seq, "the new secret is kept").await?;
    Ok(json(StatusCode::OK, &created(&made)))
}

async fn disable(State(api): State<Api>, by: Caller, Id(id): Id) -> Result<Response, Problem> {
    let done = api.oauth()?.disable_client(&by.actor(), &id).await.map_err(ActError::from)?;
    api.in_force(done.seq, "the client is disabled in the store").await?;
    Ok(json(StatusCode::OK, &view(&done.record)))
}

async fn enable(State(api): State<Api>, by: Caller, Id(id): Id) -> Result<Response, Problem> {
    let done = api.oauth()?.enable_client(&by.actor(), &id).await.map_err(ActError::from)?;
    api.in_force(done.seq, "the client is enabled in the store").await?;
    Ok(json(StatusCode::OK, &view(&done.record)))
}

async fn rules(State(api): State<Api>, _: Caller, Id(id): Id) -> Result<Response, Problem> {
    let oauth = api.oauth()?;
    let client = oauth.show_client(&id).await.map_err(ActError::from)?;
    let rules = grade(&client, oauth.now());
    Ok(json(StatusCode::OK, &object!({ "client_id": client.id, "rules": rules })))
}
