//! Groups and the scopes that they open.

use super::*;
use crate::oauth::fixture::{World, actor, strings, world};

fn group(name: &str, scopes: &[&str]) -> PutGroup {
    PutGroup {
        name: name.to_owned(),
        description: "Who does it".to_owned(),
        scopes: strings(scopes),
    }
}

async fn user(world: &World, id: &str, roles: &[&str]) -> UserRecord {
    world.user(id).await;
    let before = world.oauth.show_user(id).await.unwrap();
    world.oauth.set_roles(&actor(), id, &strings(roles)).await.unwrap();
    UserRecord { roles: strings(roles), ..before }
}

#[tokio::test]
async fn a_scope_that_a_group_names_is_its_members_alone() {
    let world = world().await;
    let asked = || strings(&["orders:read", "orders:write", "admin:read"]);
    let (ops, eve) =
        (user(&world, "ann", &["ops"]).await, user(&world, "eve", &["sales", "auditor"]).await);
    assert_eq!(world.oauth.of_person(asked(), &ops), ["orders:read", "orders:write"]);
    world.oauth.put_group(&actor(), &group("ops", &["orders:write"])).await.unwrap();
    assert_eq!(world.oauth.of_person(asked(), &ops), ["orders:read", "orders:write"]);
    assert_eq!(world.oauth.of_person(asked(), &eve), ["orders:read", "admin:read"]);
    // Any group that names it will do.
    world.oauth.put_group(&actor(), &group("sales", &["orders:write"])).await.unwrap();
    assert_eq!(world.oauth.of_person(asked(), &eve), asked());
    // The last one that goes opens it, and that is said.
    let removed = world.oauth.remove_group(&actor(), "sales").await.unwrap();
    assert_eq!(removed.opened, Vec::<String>::new());
    assert_eq!(world.oauth.of_person(asked(), &eve), ["orders:read", "admin:read"]);
    let removed = world.oauth.remove_group(&actor(), "ops").await.unwrap();
    assert_eq!(removed.opened, ["orders:write"]);
    assert_eq!(world.oauth.of_person(asked(), &eve), asked());
}

#[tokio::test]
async fn what_a_group_may_name_is_checked_and_recorded() {
    let world = world().await;
    let refused = async |ask: PutGroup| world.oauth.put_group(&actor(), &ask).await.err();
    for (name, scope) in
        [("a b", "x"), ("", "x"), ("a", "x y"), ("a", "admin:write"), ("a", "openid")]
    {
        let error = refused(group(name, &[scope])).await;
        assert!(matches!(error, Some(Error::Invalid { .. })), "{name} {scope}");
    }
    let events = world.events();
    assert_eq!(events.iter().filter(|it| it.code == code::ACT_REFUSED).count(), 5);
    world.oauth.put_group(&actor(), &group("ops", &["b", "a"])).await.unwrap();
    let events = world.events();
    assert_eq!(events.iter().filter(|it| it.code == code::GROUP_CHANGED).count(), 1);
    assert_eq!(world.oauth.show_group("ops").await.unwrap().scopes, ["a", "b"]);
    let gone = world.oauth.remove_group(&actor(), "sales").await;
    assert!(matches!(gone, Err(Error::NotFound { what: "group", .. })));
}
