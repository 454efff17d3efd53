use super::*;
use crate::oauth::clients::CreateClient;
use protocol::oauth::client_auth::JWT_BEARER;
use protocol::sign::{Signer, SigningKey};
use serde_json::{Value, json};
use std::sync::Arc;

const GRANT: (&str, &str) = ("grant_type", "client_credentials");
const JWKS: &str = "https://app.example/jwks";

fn key() -> Arc<SigningKey> {
    Arc::new(SigningKey::generate(protocol::Algorithm::Es256).unwrap())
}

fn set(keys: &[&SigningKey]) -> Value {
    json!({"keys": keys.iter().map(|key| key.public().to_json()).collect::<Vec<_>>()})
}

fn with_keys(ask: &mut CreateClient, jwks: Option<Value>) {
    ask.metadata.token_endpoint_auth_method = "private_key_jwt".to_owned();
    ask.metadata.jwks_uri = jwks.is_none().then(|| JWKS.to_owned());
    ask.metadata.jwks = jwks;
}

fn assertion(
    world: &World,
    key: &Arc<SigningKey>,
    client: &str,
    jti: &str,
    change: fn(&mut Value),
) -> String {
    let now = world.now().seconds();
    let mut claims = json!({
        "iss": client, "sub": client, "aud": ISSUER, "iat": now, "exp": now + 60, "jti": jti,
    });
    change(&mut claims);
    Signer::new(Arc::clone(key), "JWT").sign(&claims).unwrap()
}

async fn ask(world: &World, assertion: &str) -> Result<(), ErrorCode> {
    let pairs = [GRANT, ("client_assertion_type", JWT_BEARER), ("client_assertion", assertion)];
    world.oauth.token(&call(&pairs)).await.map(drop).map_err(|error| error.code())
}

#[tokio::test]
async fn rfc7523_s3_an_assertion_is_of_the_client_for_us_and_used_once() {
    let (world, own) = (world().await, key());
    let made = world.client(&["client_credentials"], |it| with_keys(it, Some(set(&[&own])))).await;
    assert!(made.secret.is_none());
    let id = made.client.id.as_str();
    let good = assertion(&world, &own, id, "j1", |_| ());
    assert_eq!(ask(&world, &good).await, Ok(()));
    world.events();
    assert_eq!(ask(&world, &good).await, Err(ErrorCode::InvalidClient));
    assert!(world.refusal().contains("used before"));
    for (bad, word) in [
        (
            assertion(&world, &own, id, "j2", |it| it["aud"] = json!("https://other.example")),
            "issuer alone",
        ),
        (assertion(&world, &own, id, "j3", |it| it["exp"] = json!(1)), "expired"),
        (assertion(&world, &own, id, "j4", |it| it["sub"] = json!("other")), "not of the client"),
        (assertion(&world, &own, id, "", |_| ()), "jti"),
        (assertion(&world, &key(), id, "j5", |_| ()), ""),
        (assertion(&world, &own, "nobody", "j6", |_| ()), "no client"),
    ] {
        assert_eq!(ask(&world, &bad).await, Err(ErrorCode::InvalidClient));
        let rule = world.refusal();
        assert!(rule.contains(word), "{rule}");
    }
    // RFC 7523 §3: the token endpoint is an audience that a client of the standard profile may name.
    let endpoint = assertion(&world, &own, id, "j7", |it| {
        it["aud"] = json!("https://login.example/oauth/token")
    });
    assert_eq!(ask(&world, &endpoint).await, Ok(()));
}

#[tokio::test]
async fn fapi2_s5_3_2_1_only_the_issuer_is_the_audience() {
    let (world, own) = (world().await, key());
    let made = world.client(&["client_credentials"], |it| {
        with_keys(it, Some(set(&[&own])));
        it.profile = crate::oauth::records::Profile::Fapi2Security;
    });
    let id = made.await.client.id;
    let endpoint = assertion(&world, &own, &id, "j1", |it| {
        it["aud"] = json!("https://login.example/oauth/token")
    });
    assert_eq!(ask(&world, &endpoint).await, Err(ErrorCode::InvalidClient));
    let issuer = assertion(&world, &own, &id, "j2", |_| ());
    assert_eq!(
        ask(&world, &issuer).await,
        Err(ErrorCode::InvalidDpopProof),
        "it is known, and must prove its key"
    );
}

#[tokio::test]
async fn keys_by_reference_are_fetched_once_and_again_for_an_unknown_one_but_not_too_often() {
    let (world, first, second) = (world().await, key(), key());
    let made = world.client(&["client_credentials"], |it| with_keys(it, None)).await;
    let id = made.client.id.as_str();
    assert_eq!(
        ask(&world, &assertion(&world, &first, id, "a", |_| ())).await,
        Err(ErrorCode::InvalidClient)
    );
    world.pages.put(JWKS, 200, set(&[&first]).to_string());
    assert_eq!(
        ask(&world, &assertion(&world, &first, id, "b", |_| ())).await,
        Err(ErrorCode::InvalidClient),
        "not again at once"
    );
    world.after(30);
    for jti in ["c", "d", "e"] {
        assert_eq!(ask(&world, &assertion(&world, &first, id, jti, |_| ())).await, Ok(()));
    }
    assert_eq!(world.pages.fetched(JWKS), 1);
    world.pages.put(JWKS, 200, set(&[&second]).to_string());
    assert_eq!(
        ask(&world, &assertion(&world, &second, id, "f", |_| ())).await,
        Err(ErrorCode::InvalidClient)
    );
    assert_eq!(world.pages.fetched(JWKS), 1, "at most one fetch in 30 s");
    world.after(30);
    assert_eq!(ask(&world, &assertion(&world, &second, id, "g", |_| ())).await, Ok(()));
    assert_eq!(world.pages.fetched(JWKS), 2);
    world.pages.put(JWKS, 500, "");
    world.after(3600);
    assert_eq!(
        ask(&world, &assertion(&world, &second, id, "h", |_| ())).await,
        Ok(()),
        "known keys go on"
    );
    world.after(86_400);
    assert_eq!(
        ask(&world, &assertion(&world, &second, id, "i", |_| ())).await,
        Err(ErrorCode::InvalidClient),
        "not for ever"
    );
}

#[tokio::test]
async fn rfc6749_s2_3_one_method_and_the_registered_one() {
    let world = world().await;
    let own = key();
    let signed =
        world.client(&["client_credentials"], |it| with_keys(it, Some(set(&[&own])))).await;
    let shared = world.client(&["client_credentials"], |_| ()).await;
    let secret = shared.secret.unwrap();
    let text = assertion(&world, &own, &signed.client.id, "a", |_| ());
    let both = basic(
        &shared.client.id,
        secret.expose(),
        &[GRANT, ("client_assertion_type", JWT_BEARER), ("client_assertion", &text)],
    );
    assert_eq!(world.oauth.token(&both).await.unwrap_err().code(), ErrorCode::InvalidRequest);
    let wrong = assertion(&world, &own, &shared.client.id, "b", |_| ());
    assert_eq!(ask(&world, &wrong).await, Err(ErrorCode::InvalidClient));
    let by_secret = basic(&signed.client.id, secret.expose(), &[GRANT]);
    assert_eq!(world.oauth.token(&by_secret).await.unwrap_err().code(), ErrorCode::InvalidClient);
}

#[tokio::test]
async fn rfc6749_s2_3_the_right_secret_by_another_method_and_none_at_all() {
    let world = world().await;
    let made = world.client(&["client_credentials"], |_| ()).await;
    let secret = made.secret.unwrap();
    assert!(world.oauth.token(&basic(&made.client.id, secret.expose(), &[GRANT])).await.is_ok());
    let id = ("client_id", made.client.id.as_str());
    world.events();
    for wrong in [call(&[GRANT, id, ("client_secret", secret.expose())]), call(&[GRANT, id])] {
        assert_eq!(world.oauth.token(&wrong).await.unwrap_err().code(), ErrorCode::InvalidClient);
        assert!(world.refusal().contains("is registered for client_secret_basic"));
    }
}

#[tokio::test]
async fn rfc7523_s3_once_means_once_on_all_nodes() {
    let (world, own) = (world().await, key());
    let made = world.client(&["client_credentials"], |it| with_keys(it, Some(set(&[&own])))).await;
    let settings = (*world.oauth.settings()).clone();
    let other = crate::oauth::fixture::node(&world.store, &world.clock, &world.pages, settings);
    other.start().await.unwrap();
    let text = assertion(&world, &own, &made.client.id, "j1", |_| ());
    let pairs = [GRANT, ("client_assertion_type", JWT_BEARER), ("client_assertion", &text)];
    assert!(other.token(&call(&pairs)).await.is_ok());
    assert_eq!(ask(&world, &text).await, Err(ErrorCode::InvalidClient));
    assert_eq!(other.dpop_nonce(), world.oauth.dpop_nonce(), "each node takes the others' nonces");
}

#[tokio::test]
async fn what_a_record_quotes_is_bounded() {
    let world = world().await;
    let made = world.client(&["client_credentials"], |_| ()).await;
    let secret = made.secret.unwrap();
    let long = format!("https://evil.example/{}", "a".repeat(2000));
    let refused = basic(&made.client.id, secret.expose(), &[GRANT, ("resource", &long)]);
    assert_eq!(world.oauth.token(&refused).await.unwrap_err().code(), ErrorCode::InvalidTarget);
    assert!(world.refusal().len() < 600);
}
