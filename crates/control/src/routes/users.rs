//! `/api/v1/users`.

use super::{Endpoint, json, listing};
use crate::api::Api;
use crate::input::{Ask, Body, Id, PageAsk};
use crate::openapi::Operation;
use crate::ports::{ActError, Caller};
use crate::problem::Problem;
use crate::time::rfc3339;
use authority::oauth::ports::TextPage;
use authority::oauth::records::UserRecord;
use authority::oauth::{CreateUser, CreatedUser};
use axum::extract::State;
use axum::response::Response;
use axum::routing::{get, post};
use base::Secret;
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json as object};

pub(super) fn endpoints() -> Vec<Endpoint> {
    let users = |summary| Operation::new("users", summary);
    vec![
        Endpoint {
            method: "post",
            path: "/api/v1/users",
            handler: post(create),
            operation: users("Makes an account; its set-up link is shown now and never again")
                .takes("NewUser")
                .answers(201, "The account's id and set-up link", "CreatedUser"),
        },
        Endpoint {
            method: "get",
            path: "/api/v1/users",
            handler: get(list),
            operation: users("Lists accounts by id").paged().answers(
                200,
                "A page of accounts",
                "UserList",
            ),
        },
        Endpoint {
            method: "get",
            path: "/api/v1/users/{id}",
            handler: get(show),
            operation: users("Shows an account").by_id("The account's id").answers(
                200,
                "The account and its authenticators, without their secrets",
                "UserDetail",
            ),
        },
        Endpoint {
            method: "post",
            path: "/api/v1/users/{id}/setup",
            handler: post(setup),
            operation: users("Makes a new set-up link; the old one is dead")
                .by_id("The account's id")
                .answers(200, "The account's id and set-up link", "CreatedUser"),
        },
        Endpoint {
            method: "post",
            path: "/api/v1/users/{id}/roles",
            handler: post(roles),
            operation: users("Gives an account other roles; its sessions and tokens end")
                .by_id("The account's id")
                .takes("Roles")
                .answers(200, "The account, once this node's gate refuses its old tokens", "User"),
        },
        Endpoint {
            method: "post",
            path: "/api/v1/users/{id}/disable",
            handler: post(disable),
            operation: users("Closes an account: sessions and tokens end")
                .by_id("The account's id")
                .answers(200, "The account, once this node's gate refuses it", "User"),
        },
        Endpoint {
            method: "post",
            path: "/api/v1/users/{id}/enable",
            handler: post(enable),
            operation: users("Opens a closed account; its old tokens stay dead")
                .by_id("The account's id")
                .answers(200, "The account", "User"),
        },
    ]
}

/// What a new account shall be. There is no password here: the person sets it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct NewUser {
    email: String,
    name: Option<String>,
    #[serde(default)]
    roles: Vec<String>,
    /// Whether the link is mailed to the person.
    #[serde(default)]
    mail: bool,
}

pub(super) fn view(user: &UserRecord) -> Value {
    object!({
        "id": user.id,
        "email": user.email,
        "email_verified": user.email_verified,
        "name": user.name,
        "roles": user.roles,
        "origin": if user.declared.is_some() { "file" } else { "admin" },
        "has_password": user.password.is_some(),
        "created_at": rfc3339(user.created_at),
        "created_by": user.created_by,
        "disabled_at": user.disabled_at.map(rfc3339),
    })
}

/// An account's id and its set-up link.
pub(super) fn invitation(id: &str, link: Option<&Secret<String>>, mailed: bool) -> Value {
    object!({ "id": id, "setup_url": link.map(|it| it.expose()), "mailed": mailed })
}

fn created(api: &Api, made: &CreatedUser, mailed: bool) -> Result<Value, Problem> {
    let oauth = api.oauth()?;
    let link = made.setup.as_ref().map(|text| oauth.setup_url(text));
    Ok(invitation(&made.id, link.as_ref(), mailed))
}

async fn create(
    State(api): State<Api>,
    by: Caller,
    Body(ask): Body<NewUser>,
) -> Result<Response, Problem> {
    let (oauth, mail) = (api.oauth()?, ask.mail);
    let ask = CreateUser { email: ask.email, name: ask.name, roles: ask.roles, password: None };
    let made = oauth.create_user(&by.actor(), ask).await.map_err(ActError::from)?;
    api.in_force(made.seq, "the account is kept").await?;
    let mailed = match made.setup.as_ref().filter(|_| mail) {
        Some(setup) => {
            let user = oauth.show_user(&made.id).await.map_err(ActError::from)?;
            oauth.send_invitation(&user, setup).await
        }
        None => false,
    };
    Ok(json(StatusCode::CREATED, &created(&api, &made, mailed)?))
}

async fn setup(State(api): State<Api>, by: Caller, Id(id): Id) -> Result<Response, Problem> {
    let made = api.oauth()?.renew_setup(&by.actor(), &id).await.map_err(ActError::from)?;
    api.in_force(made.seq, "the new link is kept").await?;
    Ok(json(StatusCode::OK, &created(&api, &made, false)?))
}

async fn list(
    State(api): State<Api>,
    _: Caller,
    Ask(ask): Ask<PageAsk>,
) -> Result<Response, Problem> {
    let page = ask.page()?;
    let rows = page.rows;
    let page = TextPage { after: page.after.unwrap_or_default(), rows };
    let users = api.oauth()?.list_users(page).await.map_err(ActError::from)?;
    let views: Vec<Value> = users.iter().map(view).collect();
    Ok(listing("users", &views, rows, |it| {
        it.get("id").and_then(Value::as_str).unwrap_or_default()
    }))
}

async fn show(State(api): State<Api>, _: Caller, Id(id): Id) -> Result<Response, Problem> {
    let oauth = api.oauth()?;
    let user = oauth.show_user(&id).await.map_err(ActError::from)?;
    let owned = oauth.authenticators_of(&id).await.map_err(ActError::from)?;
    let mut answer = view(&user);
    if let Value::Object(fields) = &mut answer {
        let owned = owned.iter().map(super::factors::shown).collect();
        fields.insert("authenticators".to_owned(), Value::Array(owned));
    }
    Ok(json(StatusCode::OK, &answer))
}

/// The roles and groups from now on.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Roles {
    roles: Vec<String>,
}

async fn roles(
    State(api): State<Api>,
    by: Caller,
    Id(id): Id,
    Body(ask): Body<Roles>,
) -> Result<Response, Problem> {
    let done =
        api.oauth()?.set_roles(&by.actor(), &id, &ask.roles).await.map_err(ActError::from)?;
    api.in_force(done.seq, "the roles are kept").await?;
    Ok(json(StatusCode::OK, &view(&done.record)))
}

async fn disable(State(api): State<Api>, by: Caller, Id(id): Id) -> Result<Response, Problem> {
    let done = api.oauth()?.disable_user(&by.actor(), &id).await.map_err(ActError::from)?;
    api.in_force(done.seq, "the account is closed in the store").await?;
    Ok(json(StatusCode::OK, &view(&done.record)))
}

async fn enable(State(api): State<Api>, by: Caller, Id(id): Id) -> Result<Response, Problem> {
    let done = api.oauth()?.enable_user(&by.actor(), &id).await.map_err(ActError::from)?;
    api.in_force(done.seq, "the account is open in the store").await?;
    Ok(json(StatusCode::OK, &view(&done.record)))
}
