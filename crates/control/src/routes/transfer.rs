//! `/api/v1/users/import` and `/api/v1/users/export`.

use super::{Endpoint, json};
use crate::api::Api;
use crate::input::{self, Body};
use crate::openapi::Operation;
use crate::ports::{ActError, Caller};
use crate::problem::Problem;
use authority::oauth::ports::TextPage;
use authority::oauth::{ExportedPerson, ImportRules, LINES_MOST, LineDone};
use axum::extract::State;
use axum::response::Response;
use axum::routing::post;
use http::StatusCode;
use http::header::{CACHE_CONTROL, HeaderValue};
use serde::Deserialize;
use serde_json::{Value, json as object};

pub(super) fn endpoints() -> Vec<Endpoint> {
    let users = |summary| Operation::new("users", summary);
    vec![
        Endpoint {
            method: "post",
            path: "/api/v1/users/import",
            handler: post(import),
            operation: users(
                "Brings up to 100 people from elsewhere; each is judged by itself, and the same \
                 ones may come again",
            )
            .takes("Import")
            .answers(200, "What became of each, in their order", "ImportResult"),
        },
        Endpoint {
            method: "post",
            path: "/api/v1/users/export",
            handler: post(export),
            operation: users("Takes a page of people out, as the import takes them; recorded")
                .takes("Export")
                .answers(200, "A page of people", "ExportResult"),
        },
    ]
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Import {
    people: Vec<Value>,
    #[serde(default)]
    dry_run: bool,
    #[serde(default)]
    update: bool,
    #[serde(default)]
    with_roles: bool,
    #[serde(default)]
    invite: bool,
}

fn shown(line: &LineDone) -> Value {
    let problem = line.problem.as_ref();
    object!({
        "outcome": line.outcome.as_str(),
        "id": line.id,
        "differs": line.differs,
        "field": problem.map(|(field, _)| *field),
        "problem": problem.map(|(_, problem)| problem),
        "mailed": line.mailed,
    })
}

async fn import(
    State(api): State<Api>,
    by: Caller,
    Body(ask): Body<Import>,
) -> Result<Response, Problem> {
    if ask.people.len() > LINES_MOST {
        return Err(Problem::invalid("people", &format!("may be at most {LINES_MOST}")));
    }
    let Import { people, dry_run, update, with_roles, invite } = ask;
    let rules = ImportRules { dry_run, update, with_roles, invite };
    let done = api.oauth()?.import_people(&by.actor(), &people, rules).await;
    let done = done.map_err(ActError::from)?;
    if let Some(last) = done.iter().filter_map(|line| line.seq).max() {
        api.in_force(last, "the people are kept").await?;
    }
    let results: Vec<Value> = done.iter().map(shown).collect();
    Ok(json(StatusCode::OK, &object!({ "results": results })))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Export {
    limit: Option<u32>,
    after: Option<String>,
    #[serde(default)]
    with_hashes: bool,
}

/// A person as the import takes them.
fn person(it: &ExportedPerson) -> Value {
    let user = &it.user;
    let mut line = object!({
        "id": user.id,
        "email": user.email,
        "email_verified": user.email_verified,
        "name": user.name,
        "groups": user.roles,
        "claims": user.claims,
        "disabled": user.disabled_at.is_some(),
        "external_id": user.directory.external_id,
        "second_factor": it.second_factor,
    });
    if let (Some(hash), Value::Object(fields)) = (&it.password_hash, &mut line) {
        fields.insert("password_hash".to_owned(), hash.expose().clone().into());
        fields.insert("password_beside".to_owned(), user.password_beside.into());
    }
    line
}

async fn export(
    State(api): State<Api>,
    by: Caller,
    Body(ask): Body<Export>,
) -> Result<Response, Problem> {
    let page = input::page(ask.limit, ask.after)?;
    let page = TextPage { after: page.after.unwrap_or_default(), rows: page.rows };
    let out = api.oauth()?.export_people(&by.actor(), page, ask.with_hashes).await;
    let out = out.map_err(ActError::from)?;
    let people: Vec<Value> = out.people.iter().map(person).collect();
    let mut response = json(StatusCode::OK, &object!({ "people": people, "next": out.next }));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}
