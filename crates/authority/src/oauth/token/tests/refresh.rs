use super::*;
use crate::oauth::clients::CreatedClient;
use crate::oauth::ports::GrantStore as _;
use crate::oauth::records::{RefreshRotation, RevocationKind};

async fn refreshing(
    change: impl FnOnce(&mut crate::oauth::clients::CreateClient),
) -> (World, CreatedClient, String, String) {
    let world = world().await;
    world.user("anna").await;
    let made = world.client(&["authorization_code", "refresh_token"], change).await;
    let grant = world.grant(&made.client, "anna", &["openid", "orders:read", "orders:write"]);
    let (text, refresh) = world.oauth.refresh_token(&grant, None).unwrap();
    world.store.create_grant(grant.clone(), Some(refresh), world.event()).await.unwrap();
    world.events();
    (world, made, text.expose().clone(), grant.id)
}

async fn ask(
    world: &World,
    made: &CreatedClient,
    token: &str,
    more: &[(&str, &str)],
) -> Result<TokenResponse, ErrorCode> {
    let mut pairs = vec![("grant_type", "refresh_token"), ("refresh_token", token)];
    pairs.extend_from_slice(more);
    let secret = made.secret.as_ref().unwrap();
    let call = basic(&made.client.id, secret.expose(), &pairs);
    world.oauth.token(&call).await.map_err(|error| error.code())
}

fn child(answer: &TokenResponse) -> String {
    answer.refresh_token.as_ref().unwrap().expose().clone()
}

#[tokio::test]
async fn rfc6749_s6_a_refresh_token_gives_a_new_pair() {
    let (world, made, token, grant) = refreshing(|_| ()).await;
    let answer = ask(&world, &made, &token, &[]).await.unwrap();
    assert_eq!(codes(&world), [code::TOKEN_REFRESHED]);
    let claims = claims(&world, &answer, ORDERS);
    assert_eq!(claims.other["gid"], grant.as_str());
    assert_ne!(child(&answer), token);
    let id_token = answer.id_token.unwrap();
    let id_token = Token::parse(id_token.expose().as_bytes(), 8192).unwrap();
    let id_token = id_token.verify(&world.oauth.key_set(), AlgorithmSet::DEFAULT).unwrap().claims;
    assert!(!id_token.other.contains_key("nonce"), "OpenID Connect Core §12.2");
}

#[tokio::test]
async fn rfc7662_s2_2_a_refresh_token_is_active_until_it_is_spent() {
    use crate::oauth::introspect::Answer;
    let (world, made, token, _) = refreshing(|_| ()).await;
    let active = async |token: &str| {
        let secret = made.secret.as_ref().unwrap();
        let call = basic(&made.client.id, secret.expose(), &[("token", token)]);
        match world.oauth.introspect(&call, false).await.unwrap() {
            Answer::Plain(said) => said["active"] == true,
            other => panic!("{other:?}"),
        }
    };
    assert!(active(&token).await);
    let next = child(&ask(&world, &made, &token, &[]).await.unwrap());
    assert!(!active(&token).await, "spent");
    assert!(active(&next).await);
}

#[tokio::test]
async fn the_same_parent_within_the_window_gives_the_same_child() {
    let (world, made, token, _) = refreshing(|_| ()).await;
    let first = child(&ask(&world, &made, &token, &[]).await.unwrap());
    world.after(10);
    assert_eq!(child(&ask(&world, &made, &token, &[]).await.unwrap()), first);
}

#[tokio::test]
async fn rfc9700_s4_14_2_a_spent_token_ends_the_family() {
    let (world, made, token, grant) = refreshing(|_| ()).await;
    let first = child(&ask(&world, &made, &token, &[]).await.unwrap());
    world.after(11);
    world.events();
    assert_eq!(ask(&world, &made, &token, &[]).await.unwrap_err(), ErrorCode::InvalidGrant);
    assert!(world.refusal().contains("RFC 9700 §4.14.2"));
    let revoked = world.store.revocation(RevocationKind::Grant, grant, world.now()).await.unwrap();
    assert!(revoked.is_some());
    assert_eq!(ask(&world, &made, &first, &[]).await.unwrap_err(), ErrorCode::InvalidGrant);
}

#[tokio::test]
async fn rfc6749_s6_bound_to_its_client() {
    let (world, _, token, _) = refreshing(|_| ()).await;
    let other = world.client(&["authorization_code", "refresh_token"], |_| ()).await;
    assert_eq!(ask(&world, &other, &token, &[]).await.unwrap_err(), ErrorCode::InvalidGrant);
    assert!(world.refusal().contains("another client"));
}

#[tokio::test]
async fn rfc6749_s6_scope_and_resource_only_narrower() {
    let (world, made, token, _) = refreshing(|_| ()).await;
    for (name, value, code) in [
        ("scope", "stock:read", ErrorCode::InvalidScope),
        ("scope", "orders:read profile", ErrorCode::InvalidScope),
        ("resource", STOCK, ErrorCode::InvalidTarget),
        ("resource", "https://evil.example/", ErrorCode::InvalidTarget),
    ] {
        assert_eq!(
            ask(&world, &made, &token, &[(name, value)]).await.unwrap_err(),
            code,
            "{value}"
        );
    }
    let narrow = ask(&world, &made, &token, &[("scope", "orders:read")]).await.unwrap();
    assert_eq!(narrow.scope.to_string(), "orders:read");
    let whole = ask(&world, &made, &child(&narrow), &[]).await.unwrap();
    assert_eq!(whole.scope.len(), 3, "the grant itself is not narrowed");
}

#[tokio::test]
async fn rfc6749_s6_no_scope_that_the_client_may_have_and_the_grant_has_not() {
    let world = world().await;
    world.user("anna").await;
    let made = world.client(&["authorization_code", "refresh_token"], |_| ()).await;
    let grant = world.grant(&made.client, "anna", &["openid", "orders:read"]);
    let (text, refresh) = world.oauth.refresh_token(&grant, None).unwrap();
    world.store.create_grant(grant, Some(refresh), world.event()).await.unwrap();
    for wider in ["orders:write", "orders:read orders:write"] {
        let refused = ask(&world, &made, text.expose(), &[("scope", wider)]).await;
        assert_eq!(refused.unwrap_err(), ErrorCode::InvalidScope, "{wider}");
    }
    let answer = ask(&world, &made, text.expose(), &[]).await.unwrap();
    assert_eq!(answer.scope.to_string(), "openid orders:read");
}

#[tokio::test]
async fn idle_and_absolute_ends_hold() {
    let (world, made, token, _) = refreshing(|_| ()).await;
    world.after(86_399);
    let last = child(&ask(&world, &made, &token, &[]).await.unwrap());
    world.after(1);
    assert_eq!(ask(&world, &made, &last, &[]).await.unwrap_err(), ErrorCode::InvalidGrant);
    let (world, made, token, _) = refreshing(|_| ()).await;
    let mut settings = (*world.oauth.settings()).clone();
    settings.refresh_idle = std::time::Duration::from_secs(60);
    world.oauth.configure(settings);
    let next = child(&ask(&world, &made, &token, &[]).await.unwrap());
    world.after(60);
    assert_eq!(ask(&world, &made, &next, &[]).await.unwrap_err(), ErrorCode::InvalidGrant);
}

#[tokio::test]
async fn fapi2_s5_3_2_1_a_kept_token_is_not_rotated() {
    let (world, made, token, _) = refreshing(|ask| {
        ask.refresh = RefreshRotation::Keep;
        ask.metadata.dpop_bound_access_tokens = true;
    })
    .await;
    let key = protocol::sign::SigningKey::generate(protocol::Algorithm::Es256).unwrap();
    let secret = made.secret.as_ref().unwrap();
    let pairs = [("grant_type", "refresh_token"), ("refresh_token", token.as_str())];
    for jti in ["a", "b"] {
        world.after(100);
        let call = basic(&made.client.id, secret.expose(), &pairs);
        let call = crate::oauth::fixture::dpop_call(&world, call, &key, jti);
        assert_eq!(child(&world.oauth.token(&call).await.unwrap()), token);
    }
}

#[tokio::test]
async fn what_is_no_refresh_token_is_refused() {
    let (world, made, token, _) = refreshing(|_| ()).await;
    for bad in
        ["x", "pcr_", &format!("{token}x"), &format!("{token}.jkt"), &token.replace("pcr_", "pcc_")]
    {
        assert_eq!(ask(&world, &made, bad, &[]).await.unwrap_err(), ErrorCode::InvalidGrant);
    }
    assert_eq!(ask(&world, &made, "", &[]).await.unwrap_err(), ErrorCode::InvalidRequest);
}

#[tokio::test]
async fn who_left_the_group_loses_the_scope_at_the_next_token() {
    use crate::oauth::PutGroup;
    use crate::oauth::fixture::actor;
    let (world, made, token, _) = refreshing(|_| ()).await;
    let scopes = |answer: &TokenResponse| answer.scope.to_string();
    let roles = |roles: &[&str]| {
        let mut state = world.store.state();
        state.users.get_mut("anna").unwrap().roles = strings(roles);
    };
    let answer = ask(&world, &made, &token, &[]).await.unwrap();
    assert_eq!(scopes(&answer), "openid orders:read orders:write");
    // The scope becomes a group's while the grant lives.
    let group = PutGroup {
        name: "ops".to_owned(),
        description: String::new(),
        scopes: strings(&["orders:write"]),
    };
    world.oauth.put_group(&actor(), &group).await.unwrap();
    let answer = ask(&world, &made, &child(&answer), &[]).await.unwrap();
    assert_eq!(scopes(&answer), "openid orders:read");
    let claims = claims(&world, &answer, ORDERS);
    assert!(!claims.scopes.contains("orders:write"));
    let next = child(&answer);
    let refused = ask(&world, &made, &next, &[("scope", "orders:write")]).await;
    assert_eq!(refused.unwrap_err(), ErrorCode::InvalidScope);
    // A member has it, until they leave.
    roles(&["ops"]);
    let answer = ask(&world, &made, &next, &[]).await.unwrap();
    assert_eq!(scopes(&answer), "openid orders:read orders:write");
    roles(&["sales"]);
    let answer = ask(&world, &made, &child(&answer), &[]).await.unwrap();
    assert_eq!(scopes(&answer), "openid orders:read");
}
