use super::*;
use crate::oauth::fixture::{ORDERS, STOCK, World, actor, basic, call, strings, world};
use crate::oauth::records::TokenFormat;
use protocol::AlgorithmSet;
use protocol::jws::Compact;
use protocol::oauth::ErrorCode;
use serde_json::json;

struct Asked {
    world: World,
    /// The resource server's id and secret.
    server: (String, String),
    /// The caller's id and secret.
    caller: (String, String),
}

async fn asked(format: TokenFormat) -> Asked {
    let world = world().await;
    let server =
        world.client(&["client_credentials"], |it| it.resources = strings(&[ORDERS])).await;
    let caller = world.client(&["client_credentials"], |it| it.token_format = format).await;
    let of = |made: crate::oauth::clients::CreatedClient| {
        (made.client.id, made.secret.unwrap().expose().clone())
    };
    Asked { server: of(server), caller: of(caller), world }
}

impl Asked {
    async fn token(&self) -> String {
        let pairs = [("grant_type", "client_credentials")];
        let answer = self.world.oauth.token(&basic(&self.caller.0, &self.caller.1, &pairs)).await;
        answer.unwrap().access_token.expose().clone()
    }

    async fn say(&self, who: &(String, String), token: &str) -> Value {
        let call = basic(&who.0, &who.1, &[("token", token), ("token_type_hint", "refresh_token")]);
        match self.world.oauth.introspect(&call, false).await.unwrap() {
            Answer::Plain(value) => value,
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn rfc7662_s2_2_an_active_token_is_described_to_its_audience() {
    for format in [TokenFormat::Jwt, TokenFormat::Opaque] {
        let it = asked(format).await;
        let token = it.token().await;
        let said = it.say(&it.server, &token).await;
        assert_eq!(said["active"], true);
        assert_eq!(said["client_id"], it.caller.0);
        assert_eq!(said["aud"], ORDERS);
        assert_eq!(said["token_type"], "Bearer");
        assert_eq!(said["scope"], "orders:read orders:write");
        assert_eq!(said["exp"], it.world.now().seconds() + 300);
        assert_eq!(it.say(&it.caller, &token).await["active"], true, "its own, too");
        it.world.after(300);
        assert_eq!(it.say(&it.server, &token).await, json!({"active": false}));
    }
}

#[tokio::test]
async fn rfc7662_s2_2_what_is_not_for_the_one_who_asks_looks_unknown() {
    let it = asked(TokenFormat::Jwt).await;
    let token = it.token().await;
    let stranger =
        it.world.client(&["client_credentials"], |it| it.resources = strings(&[STOCK])).await;
    let stranger = (stranger.client.id, stranger.secret.unwrap().expose().clone());
    assert_eq!(it.say(&stranger, &token).await, json!({"active": false}));
    assert_eq!(it.say(&it.server, "nonsense").await, json!({"active": false}));
    assert_eq!(it.say(&it.server, &format!("{token}A")).await, json!({"active": false}));
}

#[tokio::test]
async fn rfc7662_s2_1_nobody_asks_without_authentication() {
    let it = asked(TokenFormat::Jwt).await;
    let token = it.token().await;
    let public = it.world.client(&["authorization_code"], |it| {
        it.metadata.token_endpoint_auth_method = "none".to_owned();
    });
    let public = public.await.client.id;
    it.world.events();
    for call in [
        call(&[("token", &token)]),
        call(&[("token", &token), ("client_id", &public)]),
        basic(&it.server.0, "wrong", &[("token", &token)]),
    ] {
        let refused = it.world.oauth.introspect(&call, false).await.unwrap_err();
        assert_eq!(refused.code(), ErrorCode::InvalidClient);
        it.world.refusal();
    }
    let bare = it.world.oauth.introspect(&basic(&it.server.0, &it.server.1, &[]), false).await;
    assert_eq!(bare.unwrap_err().code(), ErrorCode::InvalidRequest);
}

#[tokio::test]
async fn what_is_revoked_is_inactive() {
    let it = asked(TokenFormat::Jwt).await;
    let token = it.token().await;
    it.world.oauth.disable_client(&actor(), &it.caller.0).await.unwrap();
    assert_eq!(it.say(&it.server, &token).await, json!({"active": false}));
    it.world.oauth.enable_client(&actor(), &it.caller.0).await.unwrap();
    assert_eq!(it.say(&it.server, &token).await, json!({"active": false}), "it stays dead");
    let hasty = it.token().await;
    assert_eq!(it.say(&it.server, &hasty).await, json!({"active": false}), "of who has not heard");
    it.world.after(crate::oauth::clients::HEARD.as_secs() + 1);
    let fresh = it.token().await;
    assert_eq!(it.say(&it.server, &fresh).await["active"], true);
}

#[tokio::test]
async fn rfc9701_s5_a_signed_answer_is_no_access_token() {
    let it = asked(TokenFormat::Jwt).await;
    let token = it.token().await;
    let call = basic(&it.server.0, &it.server.1, &[("token", &token)]);
    let Answer::Signed(jwt) = it.world.oauth.introspect(&call, true).await.unwrap() else {
        panic!()
    };
    let jws = Compact::parse(jwt.as_bytes(), 8192).unwrap();
    jws.verify(&it.world.oauth.key_set(), AlgorithmSet::DEFAULT).unwrap();
    assert_eq!(jws.header().typ.as_deref(), Some("token-introspection+jwt"));
    let claims: Value = serde_json::from_slice(jws.payload()).unwrap();
    assert_eq!(claims["aud"], it.server.0);
    assert_eq!(claims["token_introspection"]["active"], true);
    assert!(claims.get("sub").is_none() && claims.get("exp").is_none());
    assert_eq!(it.say(&it.server, &jwt).await, json!({"active": false}));
}

#[tokio::test]
async fn rfc9068_s4_no_other_jwt_of_ours_is_an_access_token() {
    let it = asked(TokenFormat::Jwt).await;
    it.world.user("anna").await;
    let made = it.world.client(&["authorization_code"], |_| ()).await;
    let grant = it.world.grant(&made.client, "anna", &["openid"]);
    let beside = base::Secret::new(it.token().await);
    // Its audience is the client that asks: only its type says that it opens nothing.
    let id_token = it.world.oauth.id_token(&made.client, &grant, &beside).await.unwrap().unwrap();
    let who = (made.client.id, made.secret.unwrap().expose().clone());
    assert_eq!(it.say(&who, id_token.expose()).await, json!({"active": false}));
}
