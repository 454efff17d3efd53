//! What a directory does to accounts and groups.

use super::super::*;
use crate::actor::Actor;
use crate::oauth::fixture::{World, actor, origin, world};
use crate::oauth::{CreateUser, SignIn};
use base::{Secret, code};

const PASSWORD: &str = "four words are long enough";

fn place() -> Place {
    Place { base: "https://admin.example/scim/v2".to_owned(), moment: |at| at.0.to_string() }
}

fn directory() -> Actor {
    Actor { principal: "directory".into(), ..actor() }
}

fn user(more: Value) -> Value {
    let mut body = json!({ "schemas": [USER], "userName": "ann@example.com" });
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body
}

fn patch(operations: Value) -> Value {
    json!({ "schemas": [patch::PATCH_OP], "Operations": operations })
}

async fn made(world: &World, more: Value) -> Value {
    let made = world.oauth.scim_create_user(&directory(), &place(), &user(more)).await;
    made.unwrap().resource
}

fn id(resource: &Value) -> &str {
    resource["id"].as_str().unwrap()
}

async fn change(world: &World, id: &str, operations: Value) -> Result<Value, Refused> {
    let body = patch(operations);
    let done = world.oauth.scim_patch_user(&directory(), &place(), (id, None), &body).await;
    done.map(|it| it.resource)
}

async fn group(world: &World, name: &str, members: &[&str]) -> Result<Value, Refused> {
    let members: Vec<Value> = members.iter().map(|id| json!({ "value": id })).collect();
    let body = json!({ "schemas": [GROUP], "displayName": name, "members": members });
    let done = world.oauth.scim_create_group(&directory(), &place(), &body).await;
    done.map(|it| it.resource)
}

/// An account that an administrator has made, with roles.
async fn other(world: &World, email: &str, roles: &[&str]) -> String {
    let ask = CreateUser {
        email: email.to_owned(),
        name: None,
        roles: roles.iter().map(|it| (*it).to_owned()).collect(),
        password: Some(Secret::new(PASSWORD.to_owned())),
    };
    world.oauth.create_user(&actor(), ask).await.unwrap().id
}

async fn signs_in(world: &World, email: &str) -> bool {
    let ask = SignIn {
        email: email.to_owned(),
        password: Secret::new(PASSWORD.to_owned()),
        session: None,
        browser: None,
    };
    world.oauth.sign_in(ask, &origin()).await.unwrap().is_ok()
}

#[tokio::test]
async fn a_user_is_made_and_shown_without_secrets() {
    let world = world().await;
    let ann = made(
        &world,
        json!({ "userName": " Ann@Example.COM", "externalId": "7", "displayName": "Ann Lee",
            "name": { "givenName": "Ann" }, "roles": ["administrator"], "groups": [{ "value": "administrator" }] }),
    )
    .await;
    assert_eq!(ann["userName"], "ann@example.com");
    assert_eq!(ann["name"], json!({ "givenName": "Ann", "formatted": "Ann Lee" }));
    assert_eq!((&ann["active"], &ann["externalId"]), (&json!(true), &json!("7")));
    let kept = world.oauth.show_user(id(&ann)).await.unwrap();
    assert!(kept.roles.is_empty() && kept.password.is_none() && kept.setup.is_none());
    assert!(!kept.email_verified);
    let event = world.events().pop().unwrap();
    assert_eq!(event.code, code::USER_CREATED);
    assert_eq!(event.principal.as_deref(), Some("directory"));
}

#[tokio::test]
async fn an_address_in_another_spelling_is_the_same_account() {
    let world = world().await;
    other(&world, "eve@example.com", &["administrator"]).await;
    for spelling in ["eve@example.com", "EVE@example.com", " Eve@Example.Com "] {
        let body = user(json!({ "userName": spelling }));
        let refused = world.oauth.scim_create_user(&directory(), &place(), &body).await;
        let refused = refused.expect_err(spelling);
        assert_eq!((refused.status, refused.scim_type), (409, Some("uniqueness")));
    }
    let ann = made(&world, json!({})).await;
    let rename = json!([{ "op": "replace", "path": "userName", "value": "EVE@EXAMPLE.COM" }]);
    assert_eq!(change(&world, id(&ann), rename).await.unwrap_err().status, 409);
    for wrong in ["ann", "", "a@b@c", "x@deleted.invalid"] {
        let body = user(json!({ "userName": wrong }));
        let refused = world.oauth.scim_create_user(&directory(), &place(), &body).await;
        assert_eq!(refused.expect_err(wrong).scim_type, Some("invalidValue"));
    }
}

#[tokio::test]
async fn a_password_is_never_taken() {
    let world = world().await;
    let body = user(json!({ "Password": "of the directory's choice" }));
    let refused = world.oauth.scim_create_user(&directory(), &place(), &body).await.unwrap_err();
    assert_eq!(refused.scim_type, Some("mutability"));
    assert_eq!(world.events().pop().unwrap().code, code::ACT_REFUSED);
    let bob = other(&world, "bob@example.com", &[]).await;
    let put = json!({ "schemas": [USER], "userName": "bob@example.com", "password": "x" });
    let refused = world.oauth.scim_replace_user(&directory(), &place(), (&bob, None), &put).await;
    assert_eq!(refused.unwrap_err().scim_type, Some("mutability"));
    assert!(signs_in(&world, "bob@example.com").await);
}

#[tokio::test]
async fn what_is_not_active_is_closed_with_its_sessions() {
    let world = world().await;
    let bob = other(&world, "bob@example.com", &[]).await;
    assert!(signs_in(&world, "bob@example.com").await);
    assert_eq!(world.store.state().sessions.len(), 1);
    let off = json!([{ "op": "replace", "value": { "active": "False" } }]);
    assert_eq!(change(&world, &bob, off).await.unwrap()["active"], false);
    assert!(world.store.state().sessions.is_empty());
    assert_eq!(world.store.state().revocations.len(), 1);
    assert!(!signs_in(&world, "bob@example.com").await);
    // Who does not speak of it does not open it.
    let put = json!({ "schemas": [USER], "userName": "bob@example.com" });
    let done = world.oauth.scim_replace_user(&directory(), &place(), (&bob, None), &put).await;
    assert_eq!(done.unwrap().resource["active"], false);
    let on = json!([{ "op": "replace", "path": "active", "value": true }]);
    assert_eq!(change(&world, &bob, on.clone()).await.unwrap()["active"], true);
    assert!(signs_in(&world, "bob@example.com").await);
    // What an administrator has closed stays closed, whatever happened before: also where the directory was first.
    let off = json!([{ "op": "replace", "path": "active", "value": false }]);
    assert_eq!(change(&world, &bob, off).await.unwrap()["active"], false);
    world.oauth.disable_user(&actor(), &bob).await.unwrap();
    assert_eq!(change(&world, &bob, on).await.unwrap_err().status, 403);
    assert!(!signs_in(&world, "bob@example.com").await);
}

#[tokio::test]
async fn attack_a_link_that_went_to_another_address_opens_nothing() {
    let world = world().await;
    let bob = other(&world, "bobb@example.com", &[]).await;
    let setup = world.oauth.renew_setup(&actor(), &bob).await.unwrap().setup.unwrap();
    let mail = json!([{ "op": "replace", "path": "userName", "value": "bob@example.com" }]);
    change(&world, &bob, mail).await.unwrap();
    let password = Secret::new("a password of somebody else".to_owned());
    let ask = crate::oauth::CompleteSetup { setup, email: None, password };
    assert!(world.oauth.set_password(ask, &origin()).await.is_err());
    assert!(world.store.state().users[&bob].setup.is_none());
}

#[tokio::test]
async fn who_administers_this_gate_is_not_the_directorys() {
    let world = world().await;
    for role in RESERVED {
        let email = format!("{role}@example.com");
        let id = other(&world, &email, &[role]).await;
        let off = json!([{ "op": "replace", "path": "active", "value": false }]);
        assert_eq!(change(&world, &id, off).await.unwrap_err().status, 403);
        let mail = json!([{ "op": "replace", "path": "userName", "value": "mine@example.com" }]);
        assert_eq!(change(&world, &id, mail).await.unwrap_err().status, 403);
        let gone = world.oauth.scim_delete_user(&directory(), &place(), (&id, None)).await;
        assert_eq!(gone.unwrap_err().status, 403);
        assert!(signs_in(&world, &email).await);
        assert!(world.events().iter().any(|it| it.code == code::ACT_REFUSED));
        // It may be in groups all the same, and keeps its role.
        group(&world, &format!("x-{role}"), &[&id]).await.unwrap();
        let kept = world.oauth.show_user(&id).await.unwrap();
        assert_eq!(kept.roles, [role.to_owned(), format!("x-{role}")]);
    }
}

#[tokio::test]
async fn a_role_of_this_gate_is_no_group() {
    let world = world().await;
    let ann = made(&world, json!({})).await;
    for name in ["administrator", "Operator", " AUDITOR "] {
        assert_eq!(group(&world, name, &[id(&ann)]).await.unwrap_err().status, 403, "{name}");
    }
    assert_eq!(group(&world, "\u{fc}", &[]).await.unwrap_err().scim_type, Some("invalidValue"));
    let sales = group(&world, "Sales Team", &[id(&ann)]).await.unwrap();
    assert_eq!(sales["id"], "Sales-Team");
    // Another display name is only that.
    let body = patch(json!([{ "op": "replace", "path": "displayName", "value": "administrator" }]));
    let renamed =
        world.oauth.scim_patch_group(&directory(), &place(), ("Sales-Team", None), &body).await;
    assert_eq!(renamed.unwrap().resource["id"], "Sales-Team");
    assert_eq!(world.oauth.show_user(id(&ann)).await.unwrap().roles, ["Sales-Team"]);
}

#[tokio::test]
async fn members_join_and_leave_and_a_deleted_group_is_left() {
    let world = world().await;
    let ann = made(&world, json!({})).await;
    let bob = made(&world, json!({ "userName": "bob@example.com" })).await;
    let sales = group(&world, "sales", &[id(&ann)]).await.unwrap();
    assert_eq!(sales["members"][0]["value"], ann["id"]);
    let roles = async |of: &Value| world.oauth.show_user(id(of)).await.unwrap().roles;
    let body = patch(json!([
        { "op": "add", "path": "members", "value": [{ "value": id(&bob) }] },
        { "op": "remove", "path": format!("members[value eq \"{}\"]", id(&ann)) },
    ]));
    let ask = ("sales", None);
    let done = world.oauth.scim_patch_group(&directory(), &place(), ask, &body).await.unwrap();
    assert!(done.seq.is_some());
    assert_eq!((roles(&ann).await.len(), roles(&bob).await), (0, vec!["sales".to_owned()]));
    let nobody = patch(json!([{ "op": "add", "path": "members", "value": { "value": "nobody" } }]));
    let refused = world.oauth.scim_patch_group(&directory(), &place(), ask, &nobody).await;
    assert_eq!(refused.unwrap_err().scim_type, Some("invalidValue"));
    assert_eq!(group(&world, "sales", &[]).await.unwrap_err().status, 409);
    world.oauth.scim_delete_group(&directory(), &place(), ask).await.unwrap();
    assert!(roles(&bob).await.is_empty());
    let gone = world.oauth.scim_group(&place(), "sales", &Query::default()).await;
    assert_eq!(gone.unwrap_err().status, 404);
}

#[tokio::test]
async fn rfc7644_s3_14_a_change_of_what_was_not_seen_is_refused() {
    let world = world().await;
    let ann = made(&world, json!({})).await;
    let seen = ann["meta"]["version"].as_str().unwrap().to_owned();
    let body = patch(json!([{ "op": "replace", "path": "displayName", "value": "A" }]));
    let ask = (id(&ann), Some(seen.as_str()));
    let done = world.oauth.scim_patch_user(&directory(), &place(), ask, &body).await.unwrap();
    assert_ne!(done.resource["meta"]["version"], seen);
    let stale = world.oauth.scim_patch_user(&directory(), &place(), ask, &body).await;
    assert_eq!(stale.unwrap_err().status, 412);
    let stale = world.oauth.scim_delete_user(&directory(), &place(), ask).await;
    assert_eq!(stale.unwrap_err().status, 412);
    let any = (id(&ann), Some("*"));
    assert!(world.oauth.scim_patch_user(&directory(), &place(), any, &body).await.is_ok());
}

#[tokio::test]
async fn rfc7644_s3_6_a_deleted_user_is_gone_and_its_id_is_not_used_again() {
    let world = world().await;
    let bob = other(&world, "bob@example.com", &["sales"]).await;
    assert!(signs_in(&world, "bob@example.com").await);
    let ask = (bob.as_str(), None);
    world.oauth.scim_delete_user(&directory(), &place(), ask).await.unwrap();
    assert!(world.store.state().sessions.is_empty());
    assert_eq!(world.oauth.scim_user(&place(), &bob).await.unwrap_err().status, 404);
    let again = world.oauth.scim_delete_user(&directory(), &place(), ask).await;
    assert_eq!(again.unwrap_err().status, 404);
    let listed = world.oauth.scim_users(&place(), &Query::default()).await.unwrap();
    assert_eq!(listed["totalResults"], 0);
    let kept = world.oauth.show_user(&bob).await.unwrap();
    assert!(kept.disabled_at.is_some() && kept.password.is_none() && kept.roles.is_empty());
    assert!(!format!("{:?}{}", kept, kept.email).contains("bob"));
    let new = made(&world, json!({ "userName": "bob@example.com" })).await;
    assert_ne!(new["id"], bob);
}

#[tokio::test]
async fn users_are_found_by_name_and_by_what_the_directory_calls_them() {
    let world = world().await;
    let ann = made(&world, json!({ "externalId": "7" })).await;
    made(&world, json!({ "userName": "bob@example.com", "externalId": "8" })).await;
    let find = async |filter: &str| {
        let query = Query { filter: Some(filter.to_owned()), ..Query::default() };
        world.oauth.scim_users(&place(), &query).await.map(|it| it["Resources"].clone())
    };
    let only = json!([ann]);
    for filter in [
        r#"userName eq "ANN@example.com""#,
        r#"externalId eq "7""#,
        r#"userName sw "ann" and active eq true"#,
    ] {
        assert_eq!(find(filter).await.unwrap(), only, "{filter}");
    }
    assert_eq!(find(r#"userName eq "nobody""#).await.unwrap(), json!([]));
    assert_eq!(find("userName").await.unwrap_err().scim_type, Some("invalidFilter"));
}
