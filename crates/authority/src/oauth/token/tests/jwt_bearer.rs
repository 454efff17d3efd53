use super::*;
use crate::oauth::clients::JWT_BEARER;
use crate::oauth::fixture::actor;
use crate::oauth::trust::AddTrust;
use protocol::sign::{Signer, SigningKey};
use serde_json::{Map, Value, json};
use std::sync::Arc;

const CI: &str = "https://ci.example";

struct Federation {
    world: World,
    key: Arc<SigningKey>,
    client: String,
    rule: String,
}

async fn federation(change: impl FnOnce(&mut AddTrust)) -> Federation {
    let world = world().await;
    let key = Arc::new(SigningKey::generate(protocol::Algorithm::Es256).unwrap());
    let made = world.client(&[JWT_BEARER], |_| ()).await;
    let mut ask = AddTrust {
        name: "ci".to_owned(),
        issuer: CI.to_owned(),
        jwks_uri: None,
        subject: "repo:org/*:ref:refs/heads/main".to_owned(),
        audience: String::new(),
        claims: Map::new(),
        client: made.client.id.clone(),
        scopes: strings(&["orders:read"]),
    };
    change(&mut ask);
    let rule = world.oauth.add_trust(&actor(), ask).await.unwrap().record.id;
    world.events();
    let metadata = json!({"issuer": CI, "jwks_uri": "https://ci.example/keys"});
    world.pages.put(
        "https://ci.example/.well-known/openid-configuration",
        200,
        metadata.to_string(),
    );
    let keys = json!({"keys": [key.public().to_json()]});
    world.pages.put("https://ci.example/keys", 200, keys.to_string());
    Federation { world, key, client: made.client.id, rule }
}

impl Federation {
    fn assertion(&self, typ: &str, change: fn(&mut Value)) -> String {
        let now = self.world.now().seconds();
        let mut claims = json!({
            "iss": CI, "sub": "repo:org/app:ref:refs/heads/main", "aud": ISSUER, "iat": now, "exp": now + 120,
            "environment": "prod",
        });
        change(&mut claims);
        Signer::new(Arc::clone(&self.key), typ).sign(&claims).unwrap()
    }

    async fn ask(
        &self,
        assertion: &str,
        more: &[(&str, &str)],
    ) -> Result<TokenResponse, ErrorCode> {
        let mut pairs = vec![("grant_type", JWT_BEARER), ("assertion", assertion)];
        pairs.extend_from_slice(more);
        self.world.oauth.token(&call(&pairs)).await.map_err(|error| error.code())
    }

    async fn refused(&self, assertion: &str, word: &str) {
        assert_eq!(self.ask(assertion, &[]).await.unwrap_err(), ErrorCode::InvalidGrant, "{word}");
        let rule = self.world.refusal();
        assert!(rule.contains(word), "{rule} names {word}");
    }
}

#[tokio::test]
async fn rfc7523_s2_1_a_trusted_token_becomes_the_client_without_a_secret() {
    let it = federation(|_| ()).await;
    let answer = it.ask(&it.assertion("JWT", |_| ()), &[]).await.unwrap();
    let claims = claims(&it.world, &answer, ORDERS);
    assert_eq!(claims.subject.as_deref(), Some(&*it.client));
    assert_eq!(claims.scopes.to_string(), "orders:read", "at most what the rule says");
    assert_eq!(answer.expires_in, 120, "not longer than the assertion");
    assert!(answer.refresh_token.is_none());
    let again = it.ask(&it.assertion("JWT", |_| ()), &[("scope", "orders:write")]).await;
    assert_eq!(again.unwrap_err(), ErrorCode::InvalidScope);
    assert_eq!(it.world.pages.fetched("https://ci.example/keys"), 1);
}

#[tokio::test]
async fn rfc7523_s3_what_the_assertion_must_say() {
    let it =
        federation(|ask| drop(ask.claims.insert("environment".to_owned(), json!("prod")))).await;
    for (change, word) in [
        ((|it| it["iss"] = json!("https://evil.example")) as fn(&mut Value), "no trust rule"),
        (|it| it["sub"] = json!("repo:evil/app:ref:refs/heads/main"), "pattern"),
        (|it| it["sub"] = json!("repo:org/app:ref:refs/heads/main:x"), "pattern"),
        (|it| drop(it.as_object_mut().unwrap().remove("sub")), "pattern"),
        (|it| it["aud"] = json!("https://other.example"), "audience"),
        (|it| it["exp"] = json!(1), "expired"),
        (|it| it["environment"] = json!("test"), "environment"),
        (|it| it["cnf"] = json!({"jkt": "x"}), "bound"),
    ] {
        it.refused(&it.assertion("JWT", change), word).await;
    }
    it.refused(&it.assertion("at+jwt", |_| ()), "").await;
    it.refused("x", "").await;
    let stranger = Federation {
        key: Arc::new(SigningKey::generate(protocol::Algorithm::Es256).unwrap()),
        ..it
    };
    stranger.refused(&stranger.assertion("JWT", |_| ()), "").await;
}

#[tokio::test]
async fn a_platforms_token_serves_until_it_ends() {
    let it = federation(|_| ()).await;
    let text = it.assertion("JWT", |it| it["jti"] = json!("j1"));
    assert!(it.ask(&text, &[]).await.is_ok());
    assert!(it.ask(&text, &[]).await.is_ok(), "a pod reads the same file again");
    it.world.clock.advance(std::time::Duration::from_secs(2 * 3600));
    assert!(it.ask(&text, &[]).await.is_err());
}

#[tokio::test]
async fn a_rule_ends_with_its_client_and_with_itself() {
    let it = federation(|_| ()).await;
    let named = it.ask(&it.assertion("JWT", |_| ()), &[("client_id", &it.client)]).await;
    assert!(named.is_ok());
    let other = it.ask(&it.assertion("JWT", |_| ()), &[("client_id", "another")]).await;
    assert_eq!(other.unwrap_err(), ErrorCode::InvalidGrant);
    it.world.oauth.disable_client(&actor(), &it.client).await.unwrap();
    it.world.events();
    it.refused(&it.assertion("JWT", |_| ()), "disabled").await;
    it.world.oauth.enable_client(&actor(), &it.client).await.unwrap();
    it.world.oauth.remove_trust(&actor(), &it.rule).await.unwrap();
    it.world.events();
    it.refused(&it.assertion("JWT", |_| ()), "no trust rule").await;
}
