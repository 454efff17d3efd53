//! The gate as a client: what it is told, and of whom nothing.

use super::*;
use crate::oauth::ports::{CodeCompany, GrantStore as _, PeopleStore as _};
use crate::oauth::records::{CodeRecord, GrantRecord, SessionRecord};
use crate::oauth::secrets::Purpose;
use crate::oauth::{GATE_CLIENT, GateCode, GateSession, gate_client};
use base::Secret;
use protocol::oauth::pkce::challenge_s256;
use std::time::Duration;

const CALLBACK: &str = "https://api.example/.portcullis/callback";
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";

/// A world with a person who has signed in, and the gate's client.
async fn stage() -> World {
    let world = world().await;
    let client = gate_client(&world.oauth.settings(), vec![CALLBACK.to_owned()]);
    world.oauth.declare(vec![client]).unwrap();
    world.user("anna").await;
    let session = SessionRecord {
        id: "login".to_owned(),
        user: "anna".to_owned(),
        auth_time: world.now(),
        amr: Vec::new(),
        acr: "aal1".to_owned(),
        created_at: world.now(),
        expires_at: world.now().plus(Duration::from_secs(3_600)),
        user_agent: String::new(),
        client_ip: None,
        clients: Vec::new(),
        proofs: Vec::new(),
        used_at: None,
    };
    world.store.create_session([1; 32], session, world.event()).await.unwrap();
    world
}

async fn code(
    world: &World,
    change: impl FnOnce(&mut CodeRecord, &mut GrantRecord),
) -> Secret<String> {
    let client = world.oauth.known_client(GATE_CLIENT).unwrap();
    let text = Purpose::Code.fresh().unwrap();
    let mut grant = world.grant(&client, "anna", &["openid"]);
    grant.session = Some("login".to_owned());
    grant.nonce = Some("n1".to_owned());
    let mut record = CodeRecord {
        grant: grant.id.clone(),
        client: GATE_CLIENT.to_owned(),
        redirect_uri: Some(CALLBACK.to_owned()),
        challenge: Some(challenge_s256(VERIFIER)),
        expires_at: world.now().plus(Duration::from_secs(60)),
    };
    change(&mut record, &mut grant);
    let mac = Purpose::Code.mac(&world.oauth.parts.pepper, text.expose());
    let company = CodeCompany::default();
    world.store.create_code(grant, (mac, record), company, world.event()).await.unwrap();
    world.events();
    text
}

async fn redeem(
    world: &World,
    code: &Secret<String>,
    (redirect_uri, verifier): (&str, &str),
) -> Result<GateSession, ErrorCode> {
    let ask = GateCode {
        code: code.clone(),
        redirect_uri: redirect_uri.to_owned(),
        verifier: Secret::new(verifier.to_owned()),
    };
    let told = world.oauth.gate_redeem(&ask, &call(&[]).origin).await;
    told.map_err(|error| error.code())
}

async fn renew(world: &World, session: &GateSession) -> Result<GateSession, ErrorCode> {
    let told = world.oauth.gate_renew(&session.refresh, &call(&[]).origin).await;
    told.map_err(|error| error.code())
}

const GOOD: (&str, &str) = (CALLBACK, VERIFIER);

#[tokio::test]
async fn the_gate_is_told_who_signed_in_once_and_what_is_true_later() {
    let world = stage().await;
    let code = code(&world, |_, _| {}).await;
    let first = redeem(&world, &code, GOOD).await.unwrap();
    assert_eq!((first.subject.as_str(), first.session.as_str()), ("anna", "login"));
    assert_eq!(first.nonce.as_deref(), Some("n1"));
    assert_eq!(codes(&world), [code::SESSION_BEGUN]);
    // The same text for as long as it lives, whoever asked before.
    let second = renew(&world, &first).await.unwrap();
    let third = renew(&world, &first).await.unwrap();
    assert_eq!(second.refresh.expose(), first.refresh.expose());
    assert_eq!((third.grant.as_str(), third.nonce), (first.grant.as_str(), None));
    assert_eq!(codes(&world), [code::TOKEN_REFRESHED, code::TOKEN_REFRESHED]);
    // RFC 6749 §4.1.2: a second use ends it.
    assert!(matches!(redeem(&world, &code, GOOD).await, Err(ErrorCode::InvalidGrant)));
    assert!(matches!(renew(&world, &first).await, Err(ErrorCode::InvalidGrant)));
}

#[tokio::test]
async fn a_session_at_the_gate_ends_with_the_login_and_with_the_account() {
    for how in ["signed out", "too old", "closed", "the grant"] {
        let world = stage().await;
        let code = code(&world, |_, _| {}).await;
        let session = redeem(&world, &code, GOOD).await.unwrap();
        match how {
            "signed out" => {
                world.store.end_session("login".to_owned(), world.event()).await.unwrap();
            }
            "too old" => world.after(3_600),
            "closed" => {
                let before = world.store.user("anna".to_owned()).await.unwrap().unwrap();
                let after = crate::oauth::records::UserRecord {
                    disabled_at: Some(world.now()),
                    ..before.clone()
                };
                world.store.replace_user(before, after, None, world.event()).await.unwrap();
            }
            _ => world.oauth.gate_end(&session.refresh, &call(&[]).origin).await.unwrap(),
        }
        assert!(matches!(renew(&world, &session).await, Err(ErrorCode::InvalidGrant)), "{how}");
        // Signing out there takes the login along.
        if how == "the grant" {
            assert!(world.store.sessions("anna".to_owned(), world.now()).await.unwrap().is_empty());
        }
    }
}

#[tokio::test]
async fn attack_codes_and_tokens_of_others_are_nothing_to_the_gate() {
    let world = stage().await;
    let good = code(&world, |_, _| {}).await;
    for wrong in [
        ("https://evil.example/.portcullis/callback", VERIFIER),
        ("", VERIFIER),
        (CALLBACK, &*"A".repeat(43)),
        (CALLBACK, ""),
    ] {
        assert!(matches!(redeem(&world, &good, wrong).await, Err(ErrorCode::InvalidGrant)));
    }
    // None of these spent it.
    assert!(redeem(&world, &good, GOOD).await.is_ok());
    let others = code(&world, |code, _| code.client = "app".to_owned()).await;
    assert!(matches!(redeem(&world, &others, GOOD).await, Err(ErrorCode::InvalidGrant)));
    let bare = code(&world, |code, _| code.challenge = None).await;
    assert!(matches!(redeem(&world, &bare, GOOD).await, Err(ErrorCode::InvalidGrant)));
    let nobody = Secret::new("pcr_nothing".to_owned());
    assert!(world.oauth.gate_renew(&nobody, &call(&[]).origin).await.is_err());
    assert!(world.oauth.gate_end(&nobody, &call(&[]).origin).await.is_err());
    // Where no route takes sessions, the gate is no client at all.
    world.oauth.declare(Vec::new()).unwrap();
    let late = Purpose::Code.fresh().unwrap();
    assert!(matches!(redeem(&world, &late, GOOD).await, Err(ErrorCode::InvalidClient)));
}
