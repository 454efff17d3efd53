use super::*;
use crate::oauth::clients::CreatedClient;
use crate::oauth::fixture::{World, basic, world};
use crate::oauth::ports::GrantStore as _;
use protocol::oauth::ErrorCode;

async fn ready() -> (World, CreatedClient, String, String) {
    let world = world().await;
    world.user("anna").await;
    let made =
        world.client(&["authorization_code", "refresh_token", "client_credentials"], |_| ()).await;
    let grant = world.grant(&made.client, "anna", &["orders:read"]);
    let (text, refresh) = world.oauth.refresh_token(&grant, None).unwrap();
    world.store.create_grant(grant.clone(), Some(refresh), world.event()).await.unwrap();
    world.events();
    (world, made, text.expose().clone(), grant.id)
}

async fn token(
    world: &World,
    made: &CreatedClient,
    pairs: &[(&str, &str)],
) -> Result<String, ErrorCode> {
    let call = basic(&made.client.id, made.secret.as_ref().unwrap().expose(), pairs);
    let answer = world.oauth.token(&call).await.map_err(|error| error.code())?;
    Ok(answer.access_token.expose().clone())
}

async fn revoke(world: &World, made: &CreatedClient, token: &str) -> Result<(), ErrorCode> {
    let pairs = [("token", token), ("token_type_hint", "nonsense")];
    let call = basic(&made.client.id, made.secret.as_ref().unwrap().expose(), &pairs);
    world.oauth.revoke(&call).await.map_err(|error| error.code())
}

#[tokio::test]
async fn rfc7009_s2_1_a_refresh_token_takes_its_grant_with_it() {
    let (world, made, refresh, grant) = ready().await;
    let pairs = [("grant_type", "refresh_token"), ("refresh_token", refresh.as_str())];
    let access = token(&world, &made, &pairs).await.unwrap();
    world.events();
    assert_eq!(revoke(&world, &made, &refresh).await, Ok(()));
    assert_eq!(world.events()[0].code, code::TOKEN_REVOKED_ACT);
    let revoked = world.store.revocation(RevocationKind::Grant, grant, world.now()).await.unwrap();
    assert!(revoked.is_some());
    assert!(matches!(world.oauth.see(&access).await.unwrap(), Seen::Dead(_)));
    assert_eq!(token(&world, &made, &pairs).await, Err(ErrorCode::InvalidGrant));
}

#[tokio::test]
async fn rfc7009_s2_an_access_token_ends_alone() {
    let (world, made, _, _) = ready().await;
    let pairs = [("grant_type", "client_credentials")];
    let one = token(&world, &made, &pairs).await.unwrap();
    let two = token(&world, &made, &pairs).await.unwrap();
    assert_eq!(revoke(&world, &made, &one).await, Ok(()));
    assert!(matches!(world.oauth.see(&one).await.unwrap(), Seen::Dead(_)));
    assert!(matches!(world.oauth.see(&two).await.unwrap(), Seen::Alive(_)));
}

#[tokio::test]
async fn rfc7009_s2_1_nobody_revokes_another_client_s_token() {
    let (world, made, refresh, _) = ready().await;
    let pairs = [("grant_type", "client_credentials")];
    let access = token(&world, &made, &pairs).await.unwrap();
    let other = world.client(&["client_credentials"], |_| ()).await;
    for token in [&refresh, &access] {
        assert_eq!(revoke(&world, &other, token).await, Err(ErrorCode::InvalidGrant));
        assert!(world.refusal().contains("RFC 7009 §2.1"));
    }
    assert!(matches!(world.oauth.see(&access).await.unwrap(), Seen::Alive(_)));
}

#[tokio::test]
async fn rfc7009_s2_2_what_is_unknown_is_as_good_as_revoked() {
    let (world, made, _, _) = ready().await;
    assert_eq!(revoke(&world, &made, "nonsense").await, Ok(()));
    assert_eq!(revoke(&world, &made, "").await, Err(ErrorCode::InvalidRequest));
}
