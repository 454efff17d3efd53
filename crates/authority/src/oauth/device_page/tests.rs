//! The rules of device authorization.

use super::*;
use crate::oauth::fixture::{ORDERS, World, actor, call, origin, world};
use crate::oauth::sessions::SignIn;
use crate::oauth::users::CreateUser;

const PASSWORD: &str = "four words are long enough";

struct Stage {
    world: World,
    client: ClientRecord,
    session: SessionText,
}

async fn stage() -> Stage {
    let world = world().await;
    let ask = CreateUser {
        email: "ann@example.com".to_owned(),
        name: None,
        roles: vec!["auditor".to_owned()],
        password: Some(Secret::new(PASSWORD.to_owned())),
    };
    world.oauth.create_user(&actor(), ask).await.unwrap();
    let ask = SignIn {
        email: "ann@example.com".to_owned(),
        password: Secret::new(PASSWORD.to_owned()),
        session: None,
        browser: None,
    };
    let session = world.oauth.sign_in(ask, &origin()).await.unwrap().unwrap().text;
    let client = world
        .client(&[DEVICE], |client| {
            client.metadata.token_endpoint_auth_method = "none".to_owned();
            client.scopes.extend(["admin:read".to_owned(), "admin:write".to_owned()]);
        })
        .await
        .client;
    Stage { world, client, session }
}

impl Stage {
    async fn ask(&self, pairs: &[(&str, &str)]) -> Result<DeviceAnswer, OAuthError> {
        let mut all = vec![("client_id", self.client.id.as_str())];
        all.extend(pairs);
        self.world.oauth.device_authorization(&call(&all)).await
    }

    async fn view(&self, typed: &str) -> DeviceStep {
        self.world.oauth.device_view(typed, Some(&self.session), &origin()).await.unwrap()
    }

    async fn decide(&self, view: &DeviceView, allow: bool) -> DeviceStep {
        let ask =
            DeviceDecision { user_code: view.user_code.clone(), csrf: view.csrf.clone(), allow };
        self.world.oauth.device_decide(&ask, Some(&self.session), &origin()).await.unwrap()
    }
}

fn asked(step: DeviceStep) -> DeviceView {
    let DeviceStep::Ask(view) = step else { panic!("a question and not {step:?}") };
    *view
}

#[tokio::test]
async fn rfc8628_s3_from_the_device_to_a_grant() {
    let stage = stage().await;
    let wish = [("scope", "openid orders:read admin:read admin:write"), ("resource", ORDERS)];
    let answer = stage.ask(&wish).await.unwrap();
    assert_eq!((answer.expires_in, answer.interval), (600, 5));
    assert_eq!(answer.user_code.len(), 9);
    let complete = format!("{}?user_code={}", answer.verification_uri, answer.user_code);
    assert_eq!(answer.verification_uri_complete, complete);
    // RFC 8628 §6.1: case, hyphen and spaces do not matter.
    let typed = answer.user_code.to_lowercase().replace('-', " ");
    let view = asked(stage.view(&typed).await);
    let names: Vec<&str> = view.scopes.iter().map(|it| it.name.as_str()).collect();
    assert_eq!(names, ["admin:read", "openid", "orders:read"]);
    assert_eq!(view.user_code, answer.user_code);
    assert_eq!(stage.decide(&view, true).await, DeviceStep::Done(true));
    let grant = stage.world.store.state().grants.values().next().unwrap().clone();
    assert_eq!(grant.scopes, ["admin:read", "openid", "orders:read"]);
    assert_eq!(grant.resources, [ORDERS]);
    let current = stage.world.oauth.current(Some(&stage.session)).await.unwrap().unwrap();
    assert_eq!(current.session.clients, std::slice::from_ref(&stage.client.id));
    // Decided is decided.
    assert_eq!(stage.view(&answer.user_code).await, DeviceStep::Unknown);
    assert_eq!(stage.decide(&view, false).await, DeviceStep::Unknown);
    assert!(!format!("{answer:?}").contains("pcd_"));
}

#[tokio::test]
async fn a_person_says_no() {
    let stage = stage().await;
    let answer = stage.ask(&[("scope", "openid")]).await.unwrap();
    let view = asked(stage.view(&answer.user_code).await);
    assert_eq!(stage.decide(&view, false).await, DeviceStep::Done(false));
    assert!(stage.world.store.state().grants.is_empty());
    assert_eq!(stage.world.events().last().unwrap().code, code::GRANT_DENIED);
}

#[tokio::test]
async fn nobody_decides_without_a_session_or_from_another_page() {
    let stage = stage().await;
    let answer = stage.ask(&[("scope", "openid")]).await.unwrap();
    let nobody = stage.world.oauth.device_view(&answer.user_code, None, &origin()).await.unwrap();
    assert_eq!(nobody, DeviceStep::Login);
    let other = stage.ask(&[("scope", "openid")]).await.unwrap();
    let other = asked(stage.view(&other.user_code).await);
    let view = asked(stage.view(&answer.user_code).await);
    for csrf in [String::new(), other.csrf, stage.world.oauth.csrf(&stage.session, "device")] {
        let forged = DeviceView { csrf, ..view.clone() };
        assert_eq!(stage.decide(&forged, true).await, DeviceStep::Forged);
    }
    assert!(stage.world.store.state().grants.is_empty());
}

#[tokio::test]
async fn rfc8628_s5_1_guesses_are_slowed_down() {
    let stage = stage().await;
    let answer = stage.ask(&[("scope", "openid")]).await.unwrap();
    for _ in 0..6 {
        assert_eq!(stage.view("BBBB-BBBB").await, DeviceStep::Unknown);
    }
    assert_eq!(stage.view(&answer.user_code).await, DeviceStep::TooEarly(Duration::from_secs(2)));
    stage.world.after(2);
    asked(stage.view(&answer.user_code).await);
    for bad in ["", "AAAA-AAAA", "BBBB", &"B".repeat(100), "B\u{c4}BBBBBB"] {
        assert_eq!(plain(bad), None, "{bad}");
    }
}

#[tokio::test]
async fn rfc8628_s3_2_a_code_ends() {
    let stage = stage().await;
    let answer = stage.ask(&[("scope", "openid")]).await.unwrap();
    let view = asked(stage.view(&answer.user_code).await);
    stage.world.after(600);
    assert_eq!(stage.view(&answer.user_code).await, DeviceStep::Unknown);
    assert_eq!(stage.decide(&view, true).await, DeviceStep::Unknown);
}

#[tokio::test]
async fn rfc8628_s3_1_what_the_client_may_not_ask() {
    let stage = stage().await;
    for (pairs, code) in [
        ([("scope", "stock:read")], ErrorCode::InvalidScope),
        ([("scope", "a  b")], ErrorCode::InvalidScope),
        ([("resource", "https://other.example/")], ErrorCode::InvalidTarget),
        ([("resource", "relative")], ErrorCode::InvalidTarget),
        ([("authorization_details", "[{\"type\":\"x\"}]")], ErrorCode::InvalidAuthorizationDetails),
    ] {
        assert_eq!(stage.ask(&pairs).await.unwrap_err().code(), code, "{pairs:?}");
        stage.world.refusal();
    }
    let other = stage.world.client(&["client_credentials"], |_| ()).await;
    let secret = other.secret.unwrap();
    let call = crate::oauth::fixture::basic(&other.client.id, secret.expose(), &[]);
    let refused = stage.world.oauth.device_authorization(&call).await.unwrap_err();
    assert_eq!(refused.code(), ErrorCode::UnauthorizedClient);
}

#[tokio::test]
async fn nobody_fills_the_disk_in_the_name_of_a_public_client() {
    let stage = stage().await;
    for _ in 0..120 {
        stage.ask(&[("scope", "openid")]).await.unwrap();
    }
    let refused = stage.ask(&[("scope", "openid")]).await.unwrap_err();
    assert_eq!(refused.code(), ErrorCode::TemporarilyUnavailable);
    stage.world.after(60);
    stage.ask(&[("scope", "openid")]).await.unwrap();
}

#[test]
fn codes_have_letters_that_spell_nothing() {
    for _ in 0..100 {
        let code = fresh_user_code().unwrap();
        assert!(code.len() == 8 && code.bytes().all(|c| LETTERS.contains(&c)), "{code}");
        assert_eq!(plain(&shown(&code)).as_deref(), Some(code.as_str()));
    }
}

#[tokio::test]
async fn attack_a_device_is_no_way_around_the_rules_of_its_client() {
    use crate::oauth::prove::tests::enrol;
    use crate::people::{Level, Policy};
    let mut stage = stage().await;
    let mut settings = (*stage.world.oauth.settings()).clone();
    settings.sign_in = vec![Policy {
        name: "this client".to_owned(),
        groups: Vec::new(),
        clients: vec![stage.client.id.clone()],
        level: Level::Aal2,
        max_age: Some(Duration::from_secs(300)),
        factors: Vec::new(),
    }];
    stage.world.oauth.configure(settings);
    let answer = stage.ask(&[]).await.unwrap();
    let missing = |step: DeviceStep| match step {
        DeviceStep::More(more) => more.missing,
        other => panic!("{other:?}"),
    };
    assert_eq!(missing(stage.view(&answer.user_code).await), Missing::Enrolment);
    let forced = DeviceDecision {
        csrf: stage.world.oauth.csrf(&stage.session, &form(&plain(&answer.user_code).unwrap())),
        user_code: answer.user_code.clone(),
        allow: true,
    };
    let step = stage.world.oauth.device_decide(&forced, Some(&stage.session), &origin()).await;
    assert_eq!(missing(step.unwrap()), Missing::Enrolment, "neither seen nor answered");
    let (_, changed) = enrol(&stage.world, &stage.session).await;
    stage.session = changed.session.unwrap().text;
    let view = asked(stage.view(&answer.user_code).await);
    // The page was open for longer than the rule allows.
    stage.world.after(301);
    let step = stage.decide(&view, true).await;
    assert!(matches!(missing(step), Missing::Proof(it) if it.totp && !it.password));
    assert_eq!(stage.world.store.state().grants.len(), 0);
}
