//! The rules of RP-initiated and back-channel logout.

use super::*;
use crate::oauth::clients::CreateClient;
use crate::oauth::fixture::{ISSUER, World, actor, origin, world};
use crate::oauth::sessions::SignIn;
use crate::oauth::users::CreateUser;
use base::UnixMs;
use protocol::oauth::ErrorCode;
use protocol::oidc::LOGOUT_EVENT;

const PASSWORD: &str = "four words are long enough";
const BACK: &str = "https://app.example/bye";
const CHANNEL: &str = "https://app.example/backchannel";

struct Stage {
    world: World,
    client: Arc<ClientRecord>,
    user: String,
    session: SessionText,
}

fn registered(client: &mut CreateClient) {
    client.metadata.post_logout_redirect_uris = vec![BACK.to_owned()];
    client.metadata.backchannel_logout_uri = Some(CHANNEL.to_owned());
}

async fn stage() -> Stage {
    let world = world().await;
    let ask = CreateUser {
        email: "ann@example.com".to_owned(),
        name: None,
        roles: vec![],
        password: Some(Secret::new(PASSWORD.to_owned())),
    };
    let user = world.oauth.create_user(&actor(), ask).await.unwrap().id;
    let client = world.client(&["authorization_code"], registered).await.client;
    let session = sign_in(&world).await;
    Stage { world, client: Arc::new(client), user, session }
}

async fn sign_in(world: &World) -> SessionText {
    let ask = SignIn {
        email: "ann@example.com".to_owned(),
        password: Secret::new(PASSWORD.to_owned()),
        session: None,
        browser: None,
    };
    world.oauth.sign_in(ask, &origin()).await.unwrap().unwrap().text
}

impl Stage {
    async fn session_id(&self) -> String {
        let current = self.world.oauth.current(Some(&self.session)).await.unwrap().unwrap();
        current.session.id
    }

    async fn hint(&self, session: Option<String>) -> String {
        let mut grant = self.world.grant(&self.client, &self.user, &["openid"]);
        grant.session = session;
        let access = Secret::new("access".to_owned());
        let token = self.world.oauth.id_token(&self.client, &grant, &access).await.unwrap();
        token.unwrap().expose().clone()
    }

    async fn ask(&self, pairs: &[(&str, &str)], csrf: Option<String>) -> LogoutStep {
        let mut params = Params::default();
        for (name, value) in pairs {
            params.push(*name, *value).unwrap();
        }
        let session = Some(self.session.clone());
        let call = LogoutCall { params, session, csrf, origin: origin() };
        self.world.oauth.logout(&call).await
    }

    async fn signed_in(&self) -> bool {
        self.world.oauth.current(Some(&self.session)).await.unwrap().is_some()
    }
}

#[tokio::test]
async fn rp_initiated_logout_s2_a_hint_of_this_session_is_enough() {
    let stage = stage().await;
    let hint = stage.hint(Some(stage.session_id().await)).await;
    // An expired ID token is still a hint.
    stage.world.after(3600);
    let pairs =
        [("id_token_hint", hint.as_str()), ("post_logout_redirect_uri", BACK), ("state", "a b")];
    let step = stage.ask(&pairs, None).await;
    assert_eq!(step, LogoutStep::Redirect { url: format!("{BACK}?state=a+b") });
    assert!(!stage.signed_in().await);
    // Once more, with nobody signed in.
    let step = stage.ask(&pairs, None).await;
    assert_eq!(step, LogoutStep::Redirect { url: format!("{BACK}?state=a+b") });
}

#[tokio::test]
async fn rp_initiated_logout_s2_else_the_person_is_asked() {
    let stage = stage().await;
    let other = stage.hint(Some("anothersess1".to_owned())).await;
    let pairs: [Vec<(&str, &str)>; 3] = [
        vec![("client_id", stage.client.id.as_str()), ("post_logout_redirect_uri", BACK)],
        vec![("id_token_hint", other.as_str()), ("post_logout_redirect_uri", BACK)],
        vec![],
    ];
    for pairs in pairs {
        let LogoutStep::Confirm { csrf, .. } = stage.ask(&pairs, None).await else {
            panic!("a question")
        };
        assert!(stage.signed_in().await);
        for forged in [String::new(), stage.world.oauth.csrf(&stage.session, "logout")] {
            let step = stage.ask(&pairs, Some(forged)).await;
            assert!(matches!(step, LogoutStep::Confirm { .. }));
        }
        // The token belongs to this very call.
        let wider = [pairs.clone(), vec![("state", "x")]].concat();
        assert!(matches!(stage.ask(&wider, Some(csrf.clone())).await, LogoutStep::Confirm { .. }));
        assert!(stage.signed_in().await);
        if pairs.is_empty() {
            assert_eq!(stage.ask(&pairs, Some(csrf)).await, LogoutStep::Done);
        }
    }
    assert!(!stage.signed_in().await);
}

#[tokio::test]
async fn rp_initiated_logout_s3_nobody_is_sent_to_an_address_that_is_not_registered() {
    let stage = stage().await;
    let hint = stage.hint(Some(stage.session_id().await)).await;
    for bad in ["https://app.example/bye?x=1", "https://evil.example/", "https://app.example/bye/"]
    {
        let pairs = [("id_token_hint", hint.as_str()), ("post_logout_redirect_uri", bad)];
        let LogoutStep::ErrorPage(page) = stage.ask(&pairs, None).await else {
            panic!("an error page")
        };
        assert_eq!(page.code, ErrorCode::InvalidRequest);
        assert!(stage.signed_in().await, "nothing was ended");
    }
    // Without a client there is no way back, whoever says yes.
    let pairs = [("post_logout_redirect_uri", "https://evil.example/")];
    let LogoutStep::Confirm { csrf, client, .. } = stage.ask(&pairs, None).await else {
        panic!("a question")
    };
    assert_eq!(client, None);
    assert_eq!(stage.ask(&pairs, Some(csrf)).await, LogoutStep::Done);
}

#[tokio::test]
async fn rp_initiated_logout_s2_a_hint_that_is_none_ends_nothing() {
    let stage = stage().await;
    let hint = stage.hint(Some(stage.session_id().await)).await;
    let (head, tail) = hint.split_at(hint.len() - 10);
    let other = if tail.starts_with('A') { "B" } else { "A" };
    let broken = format!("{head}{other}{}", &tail[1..]);
    let client = [("id_token_hint", hint.as_str()), ("client_id", "another")];
    for pairs in [
        vec![("id_token_hint", "nonsense")],
        vec![("id_token_hint", broken.as_str())],
        client.to_vec(),
    ] {
        let step = stage.ask(&pairs, None).await;
        assert!(matches!(step, LogoutStep::ErrorPage(_)), "{step:?}");
        assert!(stage.signed_in().await);
    }
}

#[tokio::test]
async fn back_channel_logout_s2_4_the_token_names_session_person_and_event() {
    let stage = stage().await;
    let notice = Notice {
        client: stage.client.id.clone(),
        user: stage.user.clone(),
        session: "session12345".to_owned(),
    };
    let text = stage.world.oauth.logout_token(&stage.client, &notice).unwrap();
    let token = protocol::jwt::Token::parse(text.as_bytes(), 8192).unwrap();
    assert_eq!(token.header().typ.as_deref(), Some("logout+jwt"));
    let claims = token.verify(&stage.world.oauth.key_set(), AlgorithmSet::ALL).unwrap().claims;
    assert_eq!(claims.issuer.as_deref(), Some(ISSUER));
    assert_eq!(claims.subject.as_deref(), Some(stage.user.as_str()));
    assert_eq!(claims.session_id.as_deref(), Some("session12345"));
    assert_eq!(*claims.audiences, [stage.client.id.as_str().into()]);
    assert!(claims.events.unwrap().contains_key(LOGOUT_EVENT));
    assert!(claims.other.get("nonce").is_none());
    let exp = claims.expires_at.unwrap_or(UnixMs(0));
    assert!(exp.since(stage.world.now()) <= Duration::from_secs(120));
    // RFC 8725 §3.11: it is no hint.
    let step = stage.ask(&[("id_token_hint", &text)], None).await;
    assert!(matches!(step, LogoutStep::ErrorPage(_)));
}

#[tokio::test]
async fn back_channel_logout_s2_5_each_client_of_the_session_is_told() {
    let stage = stage().await;
    let mut current = stage.world.oauth.current(Some(&stage.session)).await.unwrap().unwrap();
    current.session.clients = vec!["gone".to_owned(), stage.client.id.clone()];
    stage.world.oauth.tell_clients(&current.session).await.unwrap();
    let mut queue = stage.world.oauth.people.logouts.receive.lock().await;
    let notice = queue.try_recv().unwrap();
    assert!(queue.try_recv().is_err(), "one client is gone");
    drop(queue);
    stage.world.pages.put(CHANNEL, 200, "");
    stage.world.oauth.try_to_tell(&notice).await.unwrap();
    stage.world.pages.put(CHANNEL, 204, "");
    stage.world.oauth.try_to_tell(&notice).await.unwrap();
    assert_eq!(stage.world.pages.fetched(CHANNEL), 2);
    stage.world.pages.put(CHANNEL, 400, "");
    assert!(stage.world.oauth.try_to_tell(&notice).await.is_err());
}

#[tokio::test]
async fn a_client_that_cannot_be_told_is_tried_thrice_and_recorded() {
    let stage = stage().await;
    stage.world.pages.put(CHANNEL, 500, "");
    stage.world.events();
    let notice = Notice {
        client: stage.client.id.clone(),
        user: stage.user.clone(),
        session: "session12345".to_owned(),
    };
    stage.world.oauth.deliver(notice, &[Duration::ZERO; TRIES.len()]).await;
    assert_eq!(stage.world.pages.fetched(CHANNEL), 3);
    let events = stage.world.events();
    assert_eq!(events.len(), 1);
    assert_eq!((events[0].outcome, events[0].code.clone()), (Outcome::Error, code::LOGOUT));
}

#[tokio::test]
async fn the_queue_is_bounded_and_says_so() {
    let stage = stage().await;
    let mut current = stage.world.oauth.current(Some(&stage.session)).await.unwrap().unwrap();
    current.session.clients = vec![stage.client.id.clone(); QUEUE];
    stage.world.oauth.tell_clients(&current.session).await.unwrap();
    stage.world.events();
    current.session.clients.truncate(1);
    stage.world.oauth.tell_clients(&current.session).await.unwrap();
    assert_eq!(stage.world.events().len(), 1);
}

#[tokio::test]
async fn rfc9700_s4_11_2_a_hint_of_ones_own_client_leads_nobody_there() {
    let stage = stage().await;
    let hint = stage.hint(Some(stage.session_id().await)).await;
    let mut stranger = (*stage.client).clone();
    stranger.origin = From::Dynamic;
    stage.world.store.state().clients.insert(stranger.id.clone(), stranger.clone());
    stage.world.oauth.reload_client(&stranger.id).await.unwrap();
    let pairs = [("id_token_hint", hint.as_str()), ("post_logout_redirect_uri", BACK)];
    let step = stage.ask(&pairs, None).await;
    assert_eq!(step, LogoutStep::Redirect { url: BACK.to_owned() }, "the session's own hint");
    // Whoever else opens the same address.
    assert_eq!(stage.ask(&pairs, None).await, LogoutStep::Done);
}

#[tokio::test]
async fn attack_half_a_sign_in_does_not_outlive_its_sign_out() {
    use crate::oauth::prove::tests::enrol;
    let mut stage = stage().await;
    enrol(&stage.world, &stage.session).await;
    stage.session = sign_in(&stage.world).await;
    assert!(!stage.signed_in().await, "half of it");
    let LogoutStep::Confirm { csrf, .. } = stage.ask(&[], None).await else {
        panic!("the person is asked")
    };
    assert_eq!(stage.ask(&[], Some(csrf)).await, LogoutStep::Done);
    assert!(stage.world.oauth.standing(Some(&stage.session)).await.unwrap().is_none());
}
