//! Who may ask the control API.

use super::*;
use crate::oauth::fixture::{ISSUER, ORDERS, World, actor, origin, strings, world};
use crate::oauth::mint::AccessAsk;
use crate::oauth::ports::GrantStore as _;
use crate::oauth::records::{Revocation, RevocationKind};
use base::code;
use protocol::Algorithm;
use protocol::b64;
use protocol::oauth::claim::Cnf;
use protocol::oauth::exchange::Actor as Act;
use protocol::oauth::{AuthorizationDetails, ScopeSet};
use protocol::sign::SigningKey;

const ANN: &str = "ann000000000";
const ALL: [&str; 3] = ["admin:operate", "admin:read", "admin:write"];
const API: &str = "https://login.example/api";

struct Stage {
    world: World,
    client: ClientRecord,
}

/// What is unusual about a token.
#[derive(Default)]
struct Odd<'a> {
    subject: Option<&'a str>,
    audience: Option<Vec<Box<str>>>,
    cnf: Option<&'a Cnf>,
    actor: Option<&'a Act>,
}

async fn stage(roles: &[&str]) -> Stage {
    let world = world().await;
    world.user(ANN).await;
    world.oauth.set_roles(&actor(), ANN, &strings(roles)).await.unwrap();
    let client = cli_client(&world.oauth.settings());
    world.oauth.declare(vec![client.clone()]).unwrap();
    // What was issued at the moment of the change is dead.
    world.after(1);
    world.events();
    Stage { world, client }
}

impl Stage {
    fn token(&self, scopes: &[&str], odd: &Odd<'_>) -> String {
        let scopes = ScopeSet::of(scopes.iter().copied()).unwrap();
        let ask = AccessAsk {
            client: &self.client,
            subject: odd.subject.unwrap_or(ANN),
            grant: "grant0000000",
            scopes: &scopes,
            audience: &odd.audience.clone().unwrap_or_else(|| vec![API.into()]),
            cnf: odd.cnf,
            actor: odd.actor,
            exchanged_from: &[],
            details: &AuthorizationDetails::default(),
            login: None,
            until: None,
        };
        self.world.oauth.access_token(&ask).unwrap().text.expose().clone()
    }

    async fn ask(&self, token: &str, scope: &str) -> Result<AdminCaller, OAuthError> {
        self.world.oauth.admin_caller(&call(&[&format!("Bearer {token}")], scope)).await
    }

    async fn refused(&self, token: &str) -> String {
        let error = self.ask(token, "admin:read").await.unwrap_err();
        assert_eq!(error.code(), ErrorCode::InvalidToken, "{error:?}");
        self.world.refusal()
    }
}

fn call<'a>(headers: &[&str], scope: &'a str) -> AdminCall<'a> {
    AdminCall {
        method: "GET",
        path: "/api/v1/keys",
        authorization: headers.iter().map(|it| it.as_bytes().to_vec()).collect(),
        dpop: Vec::new(),
        scope,
        origin: origin(),
    }
}

#[tokio::test]
async fn roles_are_judged_at_each_request() {
    let check = async |roles: &[&str], may: &[&str]| {
        let stage = stage(roles).await;
        let token = stage.token(&ALL, &Odd::default());
        for scope in ALL {
            let answer = stage.ask(&token, scope).await;
            match may.contains(&scope) {
                true => assert_eq!(&*answer.unwrap().subject, ANN, "{roles:?} {scope}"),
                false => {
                    let code = answer.unwrap_err().code();
                    assert_eq!(code, ErrorCode::InsufficientScope, "{roles:?} {scope}");
                    assert!(stage.world.refusal().contains("no role"), "{roles:?} {scope}");
                }
            }
        }
    };
    check(&["administrator"], &ALL).await;
    check(&["operator"], &["admin:operate", "admin:read"]).await;
    check(&["auditor"], &["admin:read"]).await;
    check(&["staff"], &[]).await;
    check(&[], &[]).await;
}

#[tokio::test]
async fn rfc6750_s3_1_a_token_gives_no_more_than_its_scopes() {
    let stage = stage(&["administrator"]).await;
    let token = stage.token(&["admin:read", "orders:read"], &Odd::default());
    let caller = stage.ask(&token, "admin:read").await.unwrap();
    assert_eq!((&*caller.client, caller.scheme), (CLI_CLIENT, Scheme::Jwt));
    assert!(!format!("{caller:?}").contains(&token));
    let error = stage.ask(&token, "admin:write").await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::InsufficientScope);
    assert!(stage.world.refusal().contains("has not the scope admin:write"));
}

#[tokio::test]
async fn rfc9068_s4_the_control_api_is_the_only_audience() {
    let stage = stage(&["administrator"]).await;
    for audience in [
        vec![ORDERS.into()],
        vec![ISSUER.into()],
        vec![API.into(), ORDERS.into()],
        vec!["https://login.example/api/".into()],
    ] {
        let odd = Odd { audience: Some(audience), ..Odd::default() };
        let rule = stage.refused(&stage.token(&ALL, &odd)).await;
        assert!(rule.contains("audience"), "{rule}");
    }
}

#[tokio::test]
async fn rfc8693_s4_1_nobody_acts_for_somebody_else() {
    let stage = stage(&["administrator"]).await;
    let act = Act::read(&serde_json::json!({"sub": "bob000000000"})).unwrap();
    let odd = Odd { actor: Some(&act), ..Odd::default() };
    let rule = stage.refused(&stage.token(&ALL, &odd)).await;
    assert!(rule.contains("exchanged"), "{rule}");
}

#[tokio::test]
async fn what_is_dead_is_dead_at_once() {
    let revocation = |kind, value: &str, now: UnixMs| Revocation {
        kind,
        value: value.to_owned(),
        not_before: now,
        until: UnixMs(now.0 + 3_630_000),
    };
    for kind in [RevocationKind::Grant, RevocationKind::Client, RevocationKind::Subject] {
        let stage = stage(&["administrator"]).await;
        let token = stage.token(&ALL, &Odd::default());
        let caller = stage.ask(&token, "admin:read").await.unwrap();
        assert!(stage.world.oauth.admin_still(&caller).await);
        let value = match kind {
            RevocationKind::Grant => "grant0000000",
            RevocationKind::Client => CLI_CLIENT,
            _ => ANN,
        };
        let ended = revocation(kind, value, stage.world.now());
        stage.world.store.revoke(ended, stage.world.event()).await.unwrap();
        stage.world.events();
        stage.refused(&token).await;
        assert!(!stage.world.oauth.admin_still(&caller).await);
    }
    let stage = stage(&["administrator"]).await;
    let token = stage.token(&ALL, &Odd::default());
    let caller = stage.ask(&token, "admin:read").await.unwrap();
    stage.world.after(301);
    assert!(stage.refused(&token).await.contains("expired"));
    assert!(!stage.world.oauth.admin_still(&caller).await);
}

#[tokio::test]
async fn a_closed_account_and_an_unknown_subject_are_nobody() {
    let stage = stage(&["administrator"]).await;
    stage.world.oauth.disable_user(&actor(), ANN).await.unwrap();
    stage.world.after(1);
    stage.world.events();
    assert!(stage.refused(&stage.token(&ALL, &Odd::default())).await.contains("closed"));
    let odd = Odd { subject: Some("somebody"), ..Odd::default() };
    assert!(stage.refused(&stage.token(&ALL, &odd)).await.contains("neither"));
}

#[tokio::test]
async fn a_client_for_itself_has_what_its_record_says() {
    let stage = stage(&[]).await;
    let odd = Odd { subject: Some(CLI_CLIENT), ..Odd::default() };
    let caller = stage.ask(&stage.token(&["admin:read"], &odd), "admin:read").await.unwrap();
    assert_eq!(&*caller.subject, CLI_CLIENT);
    let mut bare = stage.client.clone();
    bare.scopes = strings(&["orders:read"]);
    let token = stage.token(&["admin:read"], &odd);
    stage.world.oauth.declare(vec![bare]).unwrap();
    let error = stage.ask(&token, "admin:read").await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::InsufficientScope);
}

#[tokio::test]
async fn rfc9449_s7_2_a_bound_token_needs_its_proof() {
    let stage = stage(&["administrator"]).await;
    let key = SigningKey::generate(Algorithm::Es256).unwrap();
    let cnf = Cnf::key(key.id());
    let token = stage.token(&ALL, &Odd { cnf: Some(&cnf), ..Odd::default() });
    assert!(stage.refused(&token).await.contains("came as Bearer"));
    let proof = |method: &str, uri: &str, jti: &str| {
        let mut jwk = key.public().to_json();
        jwk.retain(|name, _| matches!(name.as_str(), "kty" | "crv" | "x" | "y"));
        let header = serde_json::json!({"alg": "ES256", "typ": "dpop+jwt", "jwk": jwk});
        let hash =
            b64::encode(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, token.as_bytes()));
        let claims = serde_json::json!({
            "htm": method, "htu": uri, "iat": stage.world.now().seconds(), "jti": jti, "ath": hash,
        });
        let input =
            format!("{}.{}", b64::encode(header.to_string()), b64::encode(claims.to_string()));
        format!("{input}.{}", b64::encode(key.sign(input.as_bytes()).unwrap()))
    };
    let ask = async |method: &str, uri: &str, jti: &str| {
        let header = format!("DPoP {token}");
        let mut call = call(&[&header], "admin:read");
        call.dpop = vec![proof(method, uri, jti).into_bytes()];
        let answer = stage.world.oauth.admin_caller(&call).await;
        answer.map_err(|error| error.code())
    };
    let own = format!("{ISSUER}/api/v1/keys");
    ask("GET", &own, "a").await.unwrap();
    let wrong = Some(ErrorCode::InvalidDpopProof);
    assert_eq!(ask("GET", &own, "a").await.err(), wrong, "used before");
    assert_eq!(ask("POST", &own, "b").await.err(), wrong, "of another method");
    assert_eq!(ask("GET", &format!("{ISSUER}/api/v1/users"), "c").await.err(), wrong);
}

#[tokio::test]
async fn rfc6750_s3_1_without_a_token_nothing_is_recorded() {
    let stage = stage(&["administrator"]).await;
    let error = stage.world.oauth.admin_caller(&call(&[], "admin:read")).await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::InvalidToken);
    assert!(stage.world.events().is_empty());
    for header in ["Basic QTpC", "Bearer", "Bearer nonsense", "portcullis_session=x"] {
        let error = stage.world.oauth.admin_caller(&call(&[header], "admin:read")).await;
        assert_eq!(error.unwrap_err().code(), ErrorCode::InvalidToken, "{header}");
        let events = stage.world.events();
        assert_eq!(events.len(), 1, "{header}");
        assert_eq!(events[0].code, code::OAUTH_REFUSED);
    }
}

#[tokio::test]
async fn a_command_line_is_signed_in_by_its_person() {
    // That the built-in client passes the rules of all clients.
    let stage = stage(&["auditor"]).await;
    let kept = stage.world.oauth.known_client(CLI_CLIENT).unwrap();
    assert_eq!(kept.resources, [API]);
    assert!(kept.secrets.is_empty());
    let metadata = stage.world.oauth.admin_metadata();
    assert_eq!(metadata.resource, API);
    assert_eq!(metadata.authorization_servers, [ISSUER]);
    let url = stage.world.oauth.settings().admin_metadata_url();
    assert_eq!(url, "https://login.example/.well-known/oauth-protected-resource/api");
}
