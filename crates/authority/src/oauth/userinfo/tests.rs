//! The rules of userinfo.

use super::*;
use crate::oauth::clients::CreateClient;
use crate::oauth::fixture::{ISSUER, World, origin, world};
use crate::oauth::mint::AccessAsk;
use crate::oauth::ports::GrantStore as _;
use crate::oauth::records::{ClientRecord, GrantRecord, Revocation, RevocationKind};
use protocol::AlgorithmSet;
use protocol::oauth::claim::Cnf;
use protocol::oauth::{AuthorizationDetails, ScopeSet};
use serde_json::{Value, json};

const ANN: &str = "ann000000000";

struct Stage {
    world: World,
    client: ClientRecord,
}

async fn stage(change: impl FnOnce(&mut CreateClient)) -> Stage {
    let world = world().await;
    world.user(ANN).await;
    let client = world.client(&["authorization_code"], change).await.client;
    Stage { world, client }
}

impl Stage {
    async fn grant(&self, scopes: &[&str], claims: Value) -> GrantRecord {
        let mut grant = self.world.grant(&self.client, ANN, scopes);
        grant.claims = claims;
        self.world.store.create_grant(grant.clone(), None, self.world.event()).await.unwrap();
        grant
    }

    fn token(&self, grant: &GrantRecord, cnf: Option<&Cnf>) -> String {
        let scopes = ScopeSet::of(grant.scopes.iter().map(String::as_str)).unwrap();
        let ask = AccessAsk {
            client: &self.client,
            subject: ANN,
            grant: &grant.id,
            scopes: &scopes,
            audience: &[ISSUER.into()],
            cnf,
            actor: None,
            exchanged_from: &[],
            details: &AuthorizationDetails::default(),
            login: Some(grant),
            until: None,
        };
        self.world.oauth.access_token(&ask).unwrap().text.expose().clone()
    }

    async fn ask(&self, header: &str) -> Result<Userinfo, OAuthError> {
        self.world.oauth.userinfo(&call(&[header])).await
    }
}

fn call(headers: &[&str]) -> UserinfoCall {
    UserinfoCall {
        method: "GET",
        authorization: headers.iter().map(|it| it.as_bytes().to_vec()).collect(),
        form_token: None,
        dpop: Vec::new(),
        origin: origin(),
    }
}

fn json_of(answer: Result<Userinfo, OAuthError>) -> Value {
    match answer {
        Ok(Userinfo::Json(object)) => Value::Object(object),
        other => panic!("JSON and not {other:?}"),
    }
}

#[tokio::test]
async fn oidc_core_s5_4_claims_follow_scopes_and_the_claims_parameter() {
    let stage = stage(|_| ()).await;
    let bare = stage.grant(&["openid"], Value::Null).await;
    let answer = json_of(stage.ask(&format!("Bearer {}", stage.token(&bare, None))).await);
    assert_eq!(answer, json!({"sub": ANN}));
    let wide = stage.grant(&["openid", "email"], Value::Null).await;
    let answer = json_of(stage.ask(&format!("bearer {}", stage.token(&wide, None))).await);
    let email = format!("{ANN}@example.com");
    assert_eq!(answer, json!({"sub": ANN, "email": email, "email_verified": true}));
    let asked = stage.grant(&["openid"], json!({"userinfo": {"name": {}}})).await;
    let answer = json_of(stage.ask(&format!("Bearer {}", stage.token(&asked, None))).await);
    assert_eq!(answer, json!({"sub": ANN, "name": "Anna"}));
}

#[tokio::test]
async fn rfc6750_s2_one_token_by_one_method() {
    let stage = stage(|_| ()).await;
    let grant = stage.grant(&["openid"], Value::Null).await;
    let token = stage.token(&grant, None);
    let header = format!("Bearer {token}");
    let form =
        UserinfoCall { form_token: Some(Secret::new(token.clone())), method: "POST", ..call(&[]) };
    json_of(stage.world.oauth.userinfo(&form).await);
    let both = UserinfoCall { form_token: Some(Secret::new(token)), ..call(&[&header]) };
    for (wrong, code) in [
        (both, ErrorCode::InvalidRequest),
        (call(&[&header, &header]), ErrorCode::InvalidRequest),
        (call(&[]), ErrorCode::InvalidToken),
        (call(&["Basic QTpC"]), ErrorCode::InvalidToken),
        (call(&["Bearer"]), ErrorCode::InvalidToken),
        (call(&["Bearer nonsense"]), ErrorCode::InvalidToken),
    ] {
        let refused = stage.world.oauth.userinfo(&wrong).await.unwrap_err();
        assert_eq!(refused.code(), code, "{wrong:?}");
        stage.world.refusal();
    }
}

#[tokio::test]
async fn oidc_core_s5_3_1_only_tokens_about_a_person_with_the_scope() {
    let stage = stage(|_| ()).await;
    let narrow = stage.grant(&["email"], Value::Null).await;
    let refused = stage.ask(&format!("Bearer {}", stage.token(&narrow, None))).await.unwrap_err();
    assert_eq!(refused.code(), ErrorCode::InsufficientScope);
    let unknown = stage.world.grant(&stage.client, ANN, &["openid"]);
    let refused = stage.ask(&format!("Bearer {}", stage.token(&unknown, None))).await.unwrap_err();
    assert_eq!(refused.code(), ErrorCode::InvalidToken);
}

#[tokio::test]
async fn what_has_ended_is_refused() {
    let stage = stage(|_| ()).await;
    let grant = stage.grant(&["openid"], Value::Null).await;
    let header = format!("Bearer {}", stage.token(&grant, None));
    json_of(stage.ask(&header).await);
    stage.world.after(301);
    assert_eq!(stage.ask(&header).await.unwrap_err().code(), ErrorCode::InvalidToken);
    let header = format!("Bearer {}", stage.token(&grant, None));
    json_of(stage.ask(&header).await);
    let revocation = Revocation {
        kind: RevocationKind::Grant,
        value: grant.id.clone(),
        not_before: stage.world.now(),
        until: stage.world.now().plus(std::time::Duration::from_secs(3600)),
    };
    stage.world.store.revoke(revocation, stage.world.event()).await.unwrap();
    assert_eq!(stage.ask(&header).await.unwrap_err().code(), ErrorCode::InvalidToken);
}

#[tokio::test]
async fn rfc9449_s7_2_a_bound_token_is_no_bearer_token() {
    let stage = stage(|_| ()).await;
    let grant = stage.grant(&["openid"], Value::Null).await;
    let cnf = Cnf::key("NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
    let bound = stage.token(&grant, Some(&cnf));
    let refused = stage.ask(&format!("Bearer {bound}")).await.unwrap_err();
    assert_eq!(refused.code(), ErrorCode::InvalidToken);
    let refused = stage.ask(&format!("DPoP {bound}")).await.unwrap_err();
    assert_eq!(refused.code(), ErrorCode::InvalidDpopProof);
    let free = stage.token(&grant, None);
    let refused = stage.ask(&format!("DPoP {free}")).await.unwrap_err();
    assert_eq!(refused.code(), ErrorCode::InvalidToken);
    let certificate = stage.token(&grant, Some(&Cnf::certificate("hash")));
    let refused = stage.ask(&format!("Bearer {certificate}")).await.unwrap_err();
    assert_eq!(refused.code(), ErrorCode::InvalidToken);
}

#[tokio::test]
async fn oidc_core_s5_3_2_signed_answers_name_issuer_and_client() {
    let signed = |client: &mut CreateClient| {
        client.metadata.userinfo_signed_response_alg = Some("ES256".to_owned());
    };
    let stage = stage(signed).await;
    let grant = stage.grant(&["openid"], Value::Null).await;
    let header = format!("Bearer {}", stage.token(&grant, None));
    let Userinfo::Jwt(text) = stage.ask(&header).await.unwrap() else { panic!("a JWT") };
    let jws = protocol::jws::Compact::parse(text.as_bytes(), 8192).unwrap();
    jws.verify(&stage.world.oauth.key_set(), AlgorithmSet::ALL).unwrap();
    let claims: Value = serde_json::from_slice(jws.payload()).unwrap();
    assert_eq!(claims, json!({"sub": ANN, "iss": ISSUER, "aud": stage.client.id}));
}

#[tokio::test]
async fn oidc_core_s8_1_pairwise_clients_know_people_by_other_names() {
    let pairwise = |client: &mut CreateClient| {
        client.metadata.subject_type = "pairwise".to_owned();
    };
    let stage = stage(pairwise).await;
    let grant = stage.grant(&["openid"], Value::Null).await;
    let answer = json_of(stage.ask(&format!("Bearer {}", stage.token(&grant, None))).await);
    let subject = answer.get("sub").and_then(Value::as_str).unwrap();
    assert_eq!(subject, stage.world.oauth.subject_of(&stage.client, ANN));
    assert_ne!(subject, ANN);
}

#[tokio::test]
async fn rfc9449_s11_1_a_proof_is_used_once_at_userinfo() {
    use protocol::sign::SigningKey;
    let stage = stage(|_| ()).await;
    let grant = stage.grant(&["openid"], Value::Null).await;
    let key = SigningKey::generate(protocol::Algorithm::Es256).unwrap();
    let other = SigningKey::generate(protocol::Algorithm::Es256).unwrap();
    let token = stage.token(&grant, Some(&Cnf::key(key.id())));
    let header = format!("DPoP {token}");
    let proved = |key: &SigningKey, jti: &str| UserinfoCall {
        dpop: vec![proof_for(&stage.world, key, jti, &token)],
        ..call(&[&header])
    };
    let stolen = stage.world.oauth.userinfo(&proved(&other, "a")).await.unwrap_err();
    assert_eq!(stolen.code(), ErrorCode::InvalidToken, "RFC 9449 §7.1: the proof of another key");
    let good = proved(&key, "b");
    json_of(stage.world.oauth.userinfo(&good).await);
    let again = stage.world.oauth.userinfo(&good).await.unwrap_err();
    assert_eq!(again.code(), ErrorCode::InvalidDpopProof);
    json_of(stage.world.oauth.userinfo(&proved(&key, "c")).await);
}

/// A proof for GET of userinfo with this token.
fn proof_for(world: &World, key: &protocol::sign::SigningKey, jti: &str, token: &str) -> Vec<u8> {
    use protocol::b64;
    let claims = json!({
        "htm": "GET", "htu": format!("{ISSUER}{USERINFO_PATH}"), "iat": world.now().seconds(),
        "jti": jti, "ath": protocol::oauth::pkce::challenge_s256(token),
    });
    let mut jwk = key.public().to_json();
    jwk.retain(|name, _| matches!(name.as_str(), "kty" | "crv" | "x" | "y"));
    let header = json!({"alg": key.algorithm().as_str(), "typ": "dpop+jwt", "jwk": jwk});
    let input = format!("{}.{}", b64::encode(header.to_string()), b64::encode(claims.to_string()));
    let signature = key.sign(input.as_bytes()).unwrap();
    format!("{input}.{}", b64::encode(signature)).into_bytes()
}
