use super::*;
use crate::oauth::fixture::{World, actor, strings, world};

fn check(pattern: &str, subject: &str, expect: bool) {
    assert_eq!(meets(pattern, subject), expect, "{pattern} {subject}");
}

#[test]
fn a_star_stands_for_a_run_without_colon_and_slash() {
    check("repo:org/app:ref:refs/heads/main", "repo:org/app:ref:refs/heads/main", true);
    check("repo:org/app:ref:refs/heads/main", "repo:org/app:ref:refs/heads/main2", false);
    check("repo:org/*:ref:refs/heads/main", "repo:org/app:ref:refs/heads/main", true);
    check("repo:org/*:ref:refs/heads/main", "repo:org/app/x:ref:refs/heads/main", false);
    check("repo:org/*:ref:refs/heads/main", "repo:org/app:ref:x:ref:refs/heads/main", false);
    check("repo:org/*", "repo:org/app:ref:refs/heads/main", false);
    check("repo:org/*", "repo:org/", true);
    check("repo:org/*", "repo:organisation/x", false);
    check("*-prod", "a-prod-prod", true);
    check("*-prod", "a-production", false);
    check("a*b*c", "abc", true);
    check("a*b*c", "axbxbxc", true);
    check("a*b*c", "axbx:c", false);
    check("a**c", "abc", true);
    check("", "", true);
    check("", "a", false);
    check("\u{e4}*", "\u{e4}\u{f6}", true);
    let (pattern, long) = ("a*".repeat(250), "a".repeat(1000));
    check(&format!("{pattern}b"), &long, false);
    check(&pattern, &long, true);
    check("a*", &"a".repeat(1025), false);
}

fn ask(client: &str) -> AddTrust {
    AddTrust {
        name: "ci".to_owned(),
        issuer: "https://ci.example".to_owned(),
        jwks_uri: None,
        subject: "repo:org/*:ref:refs/heads/main".to_owned(),
        audience: String::new(),
        claims: Map::new(),
        client: client.to_owned(),
        scopes: strings(&["orders:read"]),
    }
}

#[tokio::test]
async fn a_rule_of_the_same_name_is_replaced() {
    let (world, id) = ready().await;
    let first = world.oauth.add_trust(&actor(), ask(&id)).await.unwrap().record;
    let mut narrower = ask(&id);
    narrower.subject = "repo:acme/shop:ref:refs/heads/main".to_owned();
    let second = world.oauth.add_trust(&actor(), narrower.clone()).await.unwrap().record;
    assert_eq!((&second.id, &second.subject), (&first.id, &narrower.subject));
    assert_eq!(world.oauth.trusts().await.unwrap(), std::slice::from_ref(&second));
    // A refused change leaves it as it is.
    let mut bad = ask(&id);
    bad.issuer = "http://ci.example".to_owned();
    world.oauth.add_trust(&actor(), bad).await.unwrap_err();
    assert_eq!(world.oauth.trusts().await.unwrap(), std::slice::from_ref(&second));
    let mut other = ask(&id);
    other.name = "another".to_owned();
    world.oauth.add_trust(&actor(), other).await.unwrap();
    assert_eq!(world.oauth.trusts().await.unwrap().len(), 2);
}

async fn ready() -> (World, String) {
    let world = world().await;
    let made = world.client(&[JWT_BEARER], |_| ()).await;
    (world, made.client.id)
}

#[tokio::test]
async fn a_rule_is_narrow_and_gives_no_more_than_its_client_has() {
    let (world, id) = ready().await;
    let other = world.client(&["client_credentials"], |_| ()).await.client.id;
    for (field, change) in [
        ("issuer", (|it| it.issuer = "http://ci.example".to_owned()) as fn(&mut AddTrust)),
        ("issuer", |it| it.issuer = crate::oauth::fixture::ISSUER.to_owned()),
        ("jwks_uri", |it| it.jwks_uri = Some("http://ci.example/k".to_owned())),
        ("subject", |it| it.subject = "*".to_owned()),
        ("subject", |it| it.subject = "*:*/*".to_owned()),
        ("subject", |it| it.subject = String::new()),
        ("scope", |it| it.scopes = strings(&["stock:read"])),
        ("scope", |it| it.scopes = strings(&["openid"])),
        ("client", |it| it.client = "nobody".to_owned()),
        ("name", |it| it.name = String::new()),
    ] {
        let mut bad = ask(&id);
        change(&mut bad);
        let refused = world.oauth.add_trust(&actor(), bad).await;
        assert!(
            matches!(refused, Err(Error::Invalid { field: own, .. }) if own == field),
            "{field}"
        );
    }
    let unfit = world.oauth.add_trust(&actor(), ask(&other)).await;
    assert!(matches!(unfit, Err(Error::Invalid { field: "client", .. })));
    let rule = world.oauth.add_trust(&actor(), ask(&id)).await.unwrap().record;
    assert_eq!(world.oauth.trusts().await.unwrap(), std::slice::from_ref(&rule));
    world.oauth.remove_trust(&actor(), &rule.id).await.unwrap();
    assert!(matches!(
        world.oauth.remove_trust(&actor(), &rule.id).await,
        Err(Error::NotFound { .. })
    ));
}
