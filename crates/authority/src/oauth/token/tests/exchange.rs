use super::*;
use crate::oauth::clients::{CreatedClient, EXCHANGE};
use crate::oauth::fixture::dpop_call;
use crate::oauth::mint::AccessAsk;
use crate::oauth::records::GrantRecord;
use protocol::oauth::claim::Cnf;
use protocol::oauth::exchange::Actor;
use protocol::oauth::{AuthorizationDetails, ScopeSet};
use protocol::sign::SigningKey;
use serde_json::json;

const ACCESS: &str = "urn:ietf:params:oauth:token-type:access_token";

struct Exchange {
    world: World,
    /// The client of the person.
    app: CreatedClient,
    /// The service that exchanges.
    service: CreatedClient,
    grant: GrantRecord,
}

async fn exchange() -> Exchange {
    let world = world().await;
    world.user("anna").await;
    let app = world.client(&["authorization_code"], |_| ()).await;
    let service = world
        .client(&["client_credentials", EXCHANGE], |ask| {
            ask.scopes = strings(&["orders:read", "stock:read"]);
            ask.resources = strings(&[ORDERS, STOCK]);
        })
        .await;
    let grant = world.grant(&app.client, "anna", &["orders:read", "orders:write"]);
    Exchange { world, app, service, grant }
}

impl Exchange {
    fn token(&self, cnf: Option<&Cnf>, actor: Option<&Actor>) -> String {
        let minted = self.world.oauth.access_token(&AccessAsk {
            client: &self.app.client,
            subject: "anna",
            grant: &self.grant.id,
            scopes: &ScopeSet::parse("orders:read orders:write").unwrap(),
            audience: &[ORDERS.into(), "https://third.example/".into()],
            cnf,
            actor,
            exchanged_from: &[],
            details: &AuthorizationDetails::default(),
            login: Some(&self.grant),
            until: None,
        });
        minted.ok().unwrap().text.expose().clone()
    }

    fn call(&self, subject: &str, more: &[(&str, &str)]) -> crate::oauth::ClientCall {
        let mut pairs = vec![
            ("grant_type", EXCHANGE),
            ("subject_token", subject),
            ("subject_token_type", ACCESS),
        ];
        pairs.retain(|(name, _)| !more.iter().any(|(own, _)| own == name));
        pairs.extend_from_slice(more);
        basic(&self.service.client.id, self.service.secret.as_ref().unwrap().expose(), &pairs)
    }

    async fn ask(&self, subject: &str, more: &[(&str, &str)]) -> Result<TokenResponse, ErrorCode> {
        self.world.oauth.token(&self.call(subject, more)).await.map_err(|error| error.code())
    }
}

#[tokio::test]
async fn rfc8693_s2_impersonation_is_never_wider_than_the_subject_token() {
    let it = exchange().await;
    let token = it.token(None, None);
    it.world.after(100);
    let answer = it.ask(&token, &[]).await.unwrap();
    let claims = claims(&it.world, &answer, ORDERS);
    assert_eq!(claims.subject.as_deref(), Some("anna"));
    assert_eq!(claims.client_id.as_deref(), Some(&*it.service.client.id));
    assert_eq!(claims.scopes.to_string(), "orders:read", "both the token's and the client's");
    assert_eq!(claims.audiences, [ORDERS.into()]);
    assert_eq!(claims.other["gid"], it.grant.id.as_str(), "it ends with the grant");
    assert_eq!(answer.expires_in, 200, "and with the token");
    assert!(claims.acr.is_none(), "a login is not handed on");
    let json = serde_json::to_value(&answer).unwrap();
    assert_eq!(json["issued_token_type"], ACCESS);
    for (name, value, code) in [
        ("audience", STOCK, ErrorCode::InvalidTarget),
        ("resource", STOCK, ErrorCode::InvalidTarget),
        ("scope", "stock:read", ErrorCode::InvalidScope),
        ("scope", "orders:write", ErrorCode::InvalidScope),
        (
            "requested_token_type",
            "urn:ietf:params:oauth:token-type:refresh_token",
            ErrorCode::InvalidRequest,
        ),
        (
            "subject_token_type",
            "urn:ietf:params:oauth:token-type:id_token",
            ErrorCode::InvalidRequest,
        ),
    ] {
        assert_eq!(it.ask(&token, &[(name, value)]).await.unwrap_err(), code, "{name} {value}");
    }
}

#[tokio::test]
async fn rfc8693_s2_1_only_living_tokens_of_ours_that_concern_the_client() {
    use crate::oauth::ports::GrantStore as _;
    let it = exchange().await;
    let token = it.token(None, None);
    for bad in ["x", &format!("{token}x"), "pca_x"] {
        assert_eq!(it.ask(bad, &[]).await.unwrap_err(), ErrorCode::InvalidRequest);
    }
    let stranger = it.world.client(&["client_credentials", EXCHANGE], |_| ()).await;
    let secret = stranger.secret.as_ref().unwrap();
    let pairs = [
        ("grant_type", EXCHANGE),
        ("subject_token", token.as_str()),
        ("subject_token_type", ACCESS),
    ];
    it.world.events();
    let refused = it.world.oauth.token(&basic(&stranger.client.id, secret.expose(), &pairs)).await;
    assert_eq!(refused.unwrap_err().code(), ErrorCode::InvalidRequest);
    assert!(it.world.refusal().contains("neither the client's nor for it"));
    it.world.store.create_grant(it.grant.clone(), None, it.world.event()).await.unwrap();
    let now = it.world.now();
    it.world
        .store
        .revoke_grant(it.grant.id.clone(), now, base::UnixMs(now.0 + 3_600_000), it.world.event())
        .await
        .unwrap();
    it.world.events();
    assert_eq!(it.ask(&token, &[]).await.unwrap_err(), ErrorCode::InvalidRequest);
    assert!(it.world.refusal().contains("revoked by its grant"));
    it.world.after(300);
    assert_eq!(it.ask(&token, &[]).await.unwrap_err(), ErrorCode::InvalidRequest);
}

#[tokio::test]
async fn rfc8693_s4_1_delegation_names_the_actor_and_those_before() {
    let it = exchange().await;
    let own = [("grant_type", "client_credentials")];
    let secret = it.service.secret.as_ref().unwrap();
    let actor =
        it.world.oauth.token(&basic(&it.service.client.id, secret.expose(), &own)).await.unwrap();
    let token = it.token(None, Some(&Actor::of("gateway")));
    let more =
        [("actor_token", actor.access_token.expose().as_str()), ("actor_token_type", ACCESS)];
    let answer = it.ask(&token, &more).await.unwrap();
    let id = it.service.client.id.as_str();
    let act = &claims(&it.world, &answer, ORDERS).other["act"];
    assert_eq!(*act, json!({"sub": id, "client_id": id, "act": {"sub": "gateway"}}));
    let silent = it.ask(&token, &[]).await.unwrap();
    let act = &claims(&it.world, &silent, ORDERS).other["act"];
    assert_eq!(*act, json!({"sub": "gateway"}), "impersonation does not wash a delegation off");
}

#[tokio::test]
async fn rfc9449_s7_a_bound_token_is_exchanged_with_its_key_only() {
    let it = exchange().await;
    let key = SigningKey::generate(protocol::Algorithm::Es256).unwrap();
    let other = SigningKey::generate(protocol::Algorithm::Es256).unwrap();
    let token = it.token(Some(&Cnf::key(key.id())), None);
    assert_eq!(it.ask(&token, &[]).await.unwrap_err(), ErrorCode::InvalidRequest);
    let stolen = dpop_call(&it.world, it.call(&token, &[]), &other, "a");
    assert_eq!(it.world.oauth.token(&stolen).await.unwrap_err().code(), ErrorCode::InvalidRequest);
    let proved = dpop_call(&it.world, it.call(&token, &[]), &key, "b");
    let answer = it.world.oauth.token(&proved).await.unwrap();
    let bound = claims(&it.world, &answer, ORDERS).confirmation.unwrap();
    assert_eq!(bound.jkt.as_deref(), Some(key.id()));
}

/// What a client handed on ends with it: the token that was made of its token, and what was made of that.
#[tokio::test]
async fn an_exchanged_token_ends_with_each_client_that_it_came_from() {
    let it = exchange().await;
    let next = it
        .world
        .client(&["client_credentials", EXCHANGE], |ask| {
            ask.scopes = strings(&["orders:read"]);
            ask.resources = strings(&[ORDERS]);
        })
        .await;
    let first = it.ask(&it.token(None, None), &[]).await.unwrap();
    let secret = next.secret.as_ref().unwrap().expose().clone();
    let second = |subject: &str| {
        let pairs =
            [("grant_type", EXCHANGE), ("subject_token", subject), ("subject_token_type", ACCESS)];
        basic(&next.client.id, &secret, &pairs)
    };
    let last = it.world.oauth.token(&second(first.access_token.expose())).await.unwrap();
    let of =
        |answer: &TokenResponse| claims(&it.world, answer, ORDERS).other["exchanged_from"].clone();
    let (app, service) = (it.app.client.id.clone(), it.service.client.id.clone());
    let mut both = [app.clone(), service.clone()];
    both.sort();
    assert_eq!(of(&first), json!([app]));
    assert_eq!(of(&last), json!(both));
    let lives = async |answer: &TokenResponse| {
        it.world.oauth.introspect_own(&answer.access_token).await.unwrap().is_some()
    };
    assert!(lives(&first).await && lives(&last).await);
    it.world.oauth.disable_client(&actor(), &service).await.unwrap();
    assert!(!lives(&first).await && !lives(&last).await);
    assert_eq!(
        it.ask(first.access_token.expose(), &[]).await.unwrap_err(),
        ErrorCode::InvalidClient
    );
    it.world.after(6);
    it.world.oauth.enable_client(&actor(), &service).await.unwrap();
    let first = it.ask(&it.token(None, None), &[]).await.unwrap();
    let last = it.world.oauth.token(&second(first.access_token.expose())).await.unwrap();
    assert!(lives(&last).await);
    it.world.oauth.disable_client(&actor(), &app).await.unwrap();
    assert!(!lives(&first).await && !lives(&last).await, "two hands away");
}
