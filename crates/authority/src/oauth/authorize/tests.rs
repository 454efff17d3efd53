//! The rules of the authorization endpoint.

use super::*;
use crate::oauth::clients::CreateClient;
use crate::oauth::fixture::{ISSUER, ORDERS, STOCK, World, actor, origin, world};
use crate::oauth::records::{ClientRecord, GrantRecord, Origin as From_, Pkce, Profile};
use crate::oauth::sessions::SignIn;
use crate::oauth::users::CreateUser;
use base::code;
use std::collections::BTreeMap;
use std::sync::Arc;

const PASSWORD: &str = "four words are long enough";
const ANN: &str = "ann@example.com";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
const CALLBACK: &str = "https://app.example/cb";
const GRANTS: [&str; 2] = ["authorization_code", "refresh_token"];

struct Stage {
    world: World,
    client: Arc<ClientRecord>,
    user: String,
}

async fn stage(change: impl FnOnce(&mut CreateClient)) -> Stage {
    let world = world().await;
    let ask = CreateUser {
        email: ANN.to_owned(),
        name: Some("Ann".to_owned()),
        roles: vec![],
        password: Some(Secret::new(PASSWORD.to_owned())),
    };
    let user = world.oauth.create_user(&actor(), ask).await.unwrap().id;
    let made = world.client(&GRANTS, change).await;
    Stage { world, client: Arc::new(made.client), user }
}

impl Stage {
    async fn sign_in(&self, old: Option<&SessionText>) -> SessionText {
        let ask = SignIn {
            email: ANN.to_owned(),
            password: Secret::new(PASSWORD.to_owned()),
            session: old.cloned(),
            browser: None,
        };
        let text = self.world.oauth.sign_in(ask, &origin()).await.unwrap().unwrap().text;
        self.world.events();
        text
    }

    /// The usual request with these parameters changed; an empty value leaves one out.
    fn params(&self, change: &[(&str, &str)]) -> Params {
        let mut all = BTreeMap::from([
            ("client_id", self.client.id.as_str()),
            ("redirect_uri", CALLBACK),
            ("response_type", "code"),
            ("scope", "openid orders:read"),
            ("state", "the state"),
            ("nonce", "n-1"),
            ("code_challenge", CHALLENGE),
            ("code_challenge_method", "S256"),
        ]);
        all.extend(change.iter().copied());
        let mut params = Params::default();
        for (name, value) in all {
            params.push(name, value).unwrap();
        }
        params
    }

    async fn ask(&self, change: &[(&str, &str)], session: Option<&SessionText>) -> Step {
        self.send(self.params(change), session).await
    }

    async fn send(&self, params: Params, session: Option<&SessionText>) -> Step {
        let ask = Asked { params, session: session.cloned(), origin: origin() };
        self.world.oauth.authorize(ask).await
    }

    async fn go_on(&self, text: &str, session: Option<&SessionText>) -> Step {
        let mut params = Params::default();
        params.push(CONTINUE, text).unwrap();
        self.send(params, session).await
    }

    async fn agree(&self, view: &ConsentView, session: &SessionText) -> Step {
        self.decide(view, session, true, None).await
    }

    async fn decide(
        &self,
        view: &ConsentView,
        session: &SessionText,
        allow: bool,
        scopes: Option<Vec<String>>,
    ) -> Step {
        let answer = ConsentAnswer {
            continue_text: view.continue_text.clone(),
            csrf: view.csrf.clone(),
            allow,
            scopes,
        };
        self.world.oauth.decide(answer, Some(session.clone()), &origin()).await
    }

    /// The grant that the code of this answer brings.
    fn grant(&self, step: &Step) -> GrantRecord {
        let answer = redirect(step);
        let code = answer.get("code").expect("a code");
        let mac = Purpose::Code.mac(&self.world.oauth.parts.pepper, code);
        let state = self.world.store.state();
        let (kept, _) = state.codes.get(&mac).unwrap();
        state.grants.get(&kept.grant).unwrap().clone()
    }
}

/// The parameters of a redirect to the client.
fn redirect(step: &Step) -> BTreeMap<String, String> {
    let Step::Redirect { url } = step else { panic!("a redirect and not {step:?}") };
    let (place, query) = url.expose().split_once('?').unwrap();
    assert_eq!(place, CALLBACK);
    let params = Params::parse(query.as_bytes()).unwrap();
    params.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

fn error(step: &Step) -> String {
    let answer = redirect(step);
    assert_eq!(answer.get("iss").map(String::as_str), Some(ISSUER), "RFC 9207 §2");
    assert_eq!(answer.get("state").map(String::as_str), Some("the state"));
    assert!(!answer.contains_key("code"));
    answer.get("error").expect("an error").clone()
}

fn consent(step: Step) -> ConsentView {
    let Step::Consent(view) = step else { panic!("a question and not {step:?}") };
    *view
}

fn login(step: Step) -> LoginView {
    let Step::Login(view) = step else { panic!("a sign-in and not {step:?}") };
    *view
}

fn shown(step: &Step) -> ErrorPage {
    let Step::ErrorPage(page) = step else { panic!("an error page and not {step:?}") };
    page.clone()
}

#[tokio::test]
async fn from_a_stranger_to_a_code() {
    let stage = stage(|_| ()).await;
    let view = login(stage.ask(&[("login_hint", ANN)], None).await);
    assert_eq!((view.reason, view.login_hint.as_deref()), (LoginReason::NotSignedIn, Some(ANN)));
    let session = stage.sign_in(None).await;
    let view = consent(stage.go_on(&view.continue_text, Some(&session)).await);
    let names: Vec<&str> = view.scopes.iter().map(|it| it.name.as_str()).collect();
    assert_eq!(names, ["openid", "orders:read"]);
    assert_eq!((view.client.host.as_str(), view.email.as_str()), ("app.example", ANN));
    let step = stage.agree(&view, &session).await;
    let answer = redirect(&step);
    assert_eq!(answer.get("state").unwrap(), "the state");
    assert_eq!(answer.get("iss").unwrap(), ISSUER);
    let grant = stage.grant(&step);
    assert_eq!(grant.user.as_deref(), Some(stage.user.as_str()));
    assert_eq!(grant.scopes, ["openid", "orders:read"]);
    assert_eq!((grant.nonce.as_deref(), grant.acr.as_deref()), (Some("n-1"), Some("aal1")));
    let codes: Vec<_> = stage.world.events().into_iter().map(|it| it.code).collect();
    assert_eq!(codes, [code::GRANT_GIVEN]);
    // The client has joined the session, for logout.
    let current = stage.world.oauth.current(Some(&session)).await.unwrap().unwrap();
    assert_eq!(current.session.clients, std::slice::from_ref(&stage.client.id));
    assert!(!format!("{step:?}").contains("pcc_"));
}

#[tokio::test]
async fn consent_is_remembered_for_what_was_agreed_to_and_no_more() {
    let stage = stage(|_| ()).await;
    let session = stage.sign_in(None).await;
    let view = consent(stage.ask(&[], Some(&session)).await);
    stage.agree(&view, &session).await;
    stage.grant(&stage.ask(&[], Some(&session)).await);
    stage.grant(&stage.ask(&[("scope", "openid")], Some(&session)).await);
    consent(stage.ask(&[("scope", "openid orders:read orders:write")], Some(&session)).await);
    consent(stage.ask(&[("resource", ORDERS)], Some(&session)).await);
    consent(stage.ask(&[("prompt", "consent")], Some(&session)).await);
    let view = consent(stage.ask(&[("scope", "openid email")], Some(&session)).await);
    stage.agree(&view, &session).await;
    stage.grant(&stage.ask(&[("scope", "openid email orders:read")], Some(&session)).await);
}

#[tokio::test]
async fn rfc6749_s4_1_2_1_no_redirect_for_an_unknown_client_or_redirect_uri() {
    let stage = stage(|_| ()).await;
    for (change, code) in [
        ([("client_id", "nobody")], ErrorCode::InvalidClient),
        ([("client_id", "")], ErrorCode::InvalidRequest),
        ([("redirect_uri", "")], ErrorCode::InvalidRequest),
        ([("redirect_uri", "https://app.example/cb/")], ErrorCode::InvalidRequest),
        ([("redirect_uri", "https://app.example/cb?x=1")], ErrorCode::InvalidRequest),
        ([("redirect_uri", "https://app.example.evil.example/cb")], ErrorCode::InvalidRequest),
        ([("redirect_uri", "https://app.example/cb#f")], ErrorCode::InvalidRequest),
        ([("redirect_uri", "javascript:alert(1)")], ErrorCode::InvalidRequest),
    ] {
        let page = shown(&stage.ask(&change, None).await);
        assert_eq!(page.code, code, "{change:?}");
        stage.world.refusal();
    }
    stage.world.oauth.disable_client(&actor(), &stage.client.id).await.unwrap();
    assert_eq!(shown(&stage.ask(&[], None).await).code, ErrorCode::InvalidClient);
}

#[tokio::test]
async fn rfc6749_s4_1_2_1_other_errors_go_to_the_client_and_into_the_record() {
    let stage = stage(|_| ()).await;
    for (change, code) in [
        ([("response_type", "token")], "unsupported_response_type"),
        ([("response_type", "code id_token")], "unsupported_response_type"),
        ([("response_type", "")], "invalid_request"),
        ([("scope", "openid stock:read")], "invalid_scope"),
        ([("scope", "admin:write")], "invalid_scope"),
        ([("resource", "https://other.example/")], "invalid_target"),
        ([("authorization_details", "[{\"type\":\"pay\"}]")], "invalid_authorization_details"),
        ([("authorization_details", "{}")], "invalid_authorization_details"),
        ([("prompt", "none login")], "invalid_request"),
        ([("max_age", "-1")], "invalid_request"),
        ([("claims", "[]")], "invalid_request"),
        ([("registration", "{}")], "registration_not_supported"),
        ([("id_token_hint", "nonsense")], "invalid_request"),
    ] {
        let session = stage.sign_in(None).await;
        assert_eq!(error(&stage.ask(&change, Some(&session)).await), code, "{change:?}");
        let recorded = stage.world.refusal();
        assert!(recorded.starts_with(code), "{recorded}");
    }
}

#[tokio::test]
async fn rfc9700_s2_1_1_pkce_is_required_and_plain_is_refused() {
    let public = |client: &mut CreateClient| {
        client.metadata.token_endpoint_auth_method = "none".to_owned();
    };
    let stage = stage(public).await;
    for change in [
        vec![("code_challenge", ""), ("code_challenge_method", "")],
        vec![("code_challenge_method", "plain")],
        vec![("code_challenge_method", "")],
        vec![("code_challenge", "short")],
    ] {
        assert_eq!(error(&stage.ask(&change, None).await), "invalid_request", "{change:?}");
    }
}

#[tokio::test]
async fn rfc9700_s2_1_1_pkce_is_optional_only_where_the_record_says_so() {
    let without = [("code_challenge", ""), ("code_challenge_method", "")];
    let strict = stage(|_| ()).await;
    assert_eq!(error(&strict.ask(&without, None).await), "invalid_request");
    let lenient = stage(|client| client.pkce = Pkce::Optional).await;
    login(lenient.ask(&without, None).await);
}

#[tokio::test]
async fn oidc_core_s3_1_2_1_prompt_none_shows_no_page() {
    let stage = stage(|_| ()).await;
    let none = [("prompt", "none")];
    assert_eq!(error(&stage.ask(&none, None).await), "login_required");
    let session = stage.sign_in(None).await;
    assert_eq!(error(&stage.ask(&none, Some(&session)).await), "consent_required");
    let view = consent(stage.ask(&[], Some(&session)).await);
    stage.agree(&view, &session).await;
    stage.grant(&stage.ask(&none, Some(&session)).await);
    stage.world.after(100);
    let old = [("prompt", "none"), ("max_age", "99")];
    assert_eq!(error(&stage.ask(&old, Some(&session)).await), "login_required");
}

#[tokio::test]
async fn oidc_core_s3_1_2_1_prompt_login_needs_a_sign_in_after_the_request() {
    let stage = stage(|_| ()).await;
    for (change, reason) in [
        ([("prompt", "login")], LoginReason::Again),
        ([("prompt", "select_account")], LoginReason::Choose),
        ([("max_age", "59")], LoginReason::TooLongAgo),
        ([("max_age", "0")], LoginReason::TooLongAgo),
    ] {
        let session = stage.sign_in(None).await;
        stage.world.after(60);
        let view = login(stage.ask(&change, Some(&session)).await);
        assert_eq!(view.reason, reason);
        // Going on without signing in gains nothing.
        login(stage.go_on(&view.continue_text, Some(&session)).await);
        stage.world.after(5);
        let session = stage.sign_in(Some(&session)).await;
        let view = consent(stage.go_on(&view.continue_text, Some(&session)).await);
        // Neither does the answer of an older session.
        let grant = stage.grant(&stage.agree(&view, &session).await);
        assert_eq!(grant.auth_time, Some(stage.world.now()));
        stage.world.store.state().consents.clear();
    }
}

#[tokio::test]
async fn oidc_core_s3_1_2_1_max_age_of_a_young_sign_in_is_met() {
    let stage = stage(|_| ()).await;
    let session = stage.sign_in(None).await;
    stage.world.after(60);
    consent(stage.ask(&[("max_age", "60")], Some(&session)).await);
    let strict = |client: &mut CreateClient| client.metadata.default_max_age = Some(30);
    let stage = self::stage(strict).await;
    let session = stage.sign_in(None).await;
    stage.world.after(60);
    login(stage.ask(&[], Some(&session)).await);
}

#[tokio::test]
async fn rfc9470_s5_a_sign_in_that_a_gate_would_refuse_is_not_fresh() {
    let stage = stage(|_| ()).await;
    let pass = |milliseconds| stage.world.clock.advance(Duration::from_millis(milliseconds));
    pass(700);
    let session = stage.sign_in(None).await;
    // The token will say the second that had begun 700 ms before.
    pass(59_300);
    consent(stage.ask(&[("max_age", "60")], Some(&session)).await);
    pass(1);
    let view = login(stage.ask(&[("max_age", "60")], Some(&session)).await);
    assert_eq!(view.reason, LoginReason::TooLongAgo);
    // What is proved for the request itself is always fresh.
    let session = stage.sign_in(Some(&session)).await;
    consent(stage.go_on(&view.continue_text, Some(&session)).await);
}

#[tokio::test]
async fn a_request_that_waits_cannot_be_forged_and_ends_after_half_an_hour() {
    let stage = stage(|_| ()).await;
    let text = login(stage.ask(&[], None).await).continue_text;
    let session = stage.sign_in(None).await;
    let (body, mac) = text.split_once('.').unwrap();
    let mut bytes = b64::decode(body.as_bytes()).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    let changed = format!("{}.{mac}", b64::encode(&bytes));
    for forged in [changed.as_str(), body, &format!("{body}."), ".", "x.y", &format!("{text}A")] {
        let page = shown(&stage.go_on(forged, Some(&session)).await);
        assert_eq!(page.status, 400, "{forged}");
    }
    stage.world.after(30 * 60);
    consent(stage.go_on(&text, Some(&session)).await);
    stage.world.after(1);
    shown(&stage.go_on(&text, Some(&session)).await);
}

#[tokio::test]
async fn a_request_that_could_not_wait_is_refused_at_once() {
    let stage = stage(|_| ()).await;
    let long = |chars: usize| "x".repeat(chars);
    let page = shown(&stage.ask(&[("more", &long(22 * 1024))], None).await);
    assert_eq!(page.code, ErrorCode::InvalidRequest);
    let view = login(stage.ask(&[("more", &long(21 * 1024))], None).await);
    let session = stage.sign_in(None).await;
    consent(stage.go_on(&view.continue_text, Some(&session)).await);
}

#[tokio::test]
async fn rfc9700_s4_7_csrf_at_consent() {
    let stage = stage(|_| ()).await;
    let session = stage.sign_in(None).await;
    let view = consent(stage.ask(&[], Some(&session)).await);
    let other = consent(stage.ask(&[("state", "other")], Some(&session)).await);
    let thief = stage.sign_in(None).await;
    for (csrf, session) in [
        (String::new(), &session),
        (other.csrf, &session),
        (view.csrf.clone(), &thief),
        (stage.world.oauth.csrf(&session, "consent"), &session),
    ] {
        let forged = ConsentView { csrf, ..view.clone() };
        shown(&stage.agree(&forged, session).await);
    }
    assert!(stage.world.store.state().grants.is_empty());
    // Without a session there is nobody to answer.
    let answer = ConsentAnswer {
        continue_text: view.continue_text.clone(),
        csrf: view.csrf.clone(),
        allow: true,
        scopes: None,
    };
    login(stage.world.oauth.decide(answer, None, &origin()).await);
    stage.grant(&stage.agree(&view, &session).await);
}

#[tokio::test]
async fn a_person_says_no_or_gives_less() {
    let stage = stage(|_| ()).await;
    let session = stage.sign_in(None).await;
    let wide = [("scope", "openid orders:read orders:write")];
    let view = consent(stage.ask(&wide, Some(&session)).await);
    assert_eq!(error(&stage.decide(&view, &session, false, None).await), "access_denied");
    let codes: Vec<_> = stage.world.events().into_iter().map(|it| it.code).collect();
    assert_eq!(codes, [code::GRANT_DENIED]);
    let kept = vec!["orders:write".to_owned(), "admin:write".to_owned(), "email".to_owned()];
    let step = stage.decide(&view, &session, true, Some(kept)).await;
    assert_eq!(stage.grant(&step).scopes, ["openid", "orders:write"]);
    // What was left out is asked for again.
    consent(stage.ask(&[], Some(&session)).await);
}

#[tokio::test]
async fn oidc_core_s11_offline_access_needs_the_grant_and_a_yes() {
    let offline = [("scope", "openid offline_access")];
    let stage = stage(|_| ()).await;
    let session = stage.sign_in(None).await;
    let view = consent(stage.ask(&offline, Some(&session)).await);
    let grant = stage.grant(&stage.agree(&view, &session).await);
    assert!(grant.scopes.contains(&"offline_access".to_owned()));
    let without = |client: &mut CreateClient| {
        client.metadata.grant_types = vec!["authorization_code".to_owned()];
    };
    let stage = self::stage(without).await;
    let session = stage.sign_in(None).await;
    let view = consent(stage.ask(&offline, Some(&session)).await);
    let grant = stage.grant(&stage.agree(&view, &session).await);
    assert_eq!(grant.scopes, ["openid"]);
}

#[tokio::test]
async fn oauth21_s7_3_1_a_program_that_cannot_be_told_from_others_is_always_asked_about() {
    let native = |client: &mut CreateClient| {
        client.metadata.token_endpoint_auth_method = "none".to_owned();
        client.metadata.application_type = "native".to_owned();
        client.metadata.redirect_uris = vec!["http://127.0.0.1/cb".to_owned()];
    };
    let stage = stage(native).await;
    let session = stage.sign_in(None).await;
    let local = [("redirect_uri", "http://127.0.0.1:50123/cb")];
    let view = consent(stage.ask(&local, Some(&session)).await);
    assert!(view.client.local && view.client.registered);
    let Step::Redirect { url } = stage.agree(&view, &session).await else { panic!("a redirect") };
    assert!(url.expose().starts_with("http://127.0.0.1:50123/cb?code="));
    consent(stage.ask(&local, Some(&session)).await);
}

#[tokio::test]
async fn rfc9700_s4_11_2_strangers_are_not_redirected_to_without_a_person() {
    let stage = stage(|_| ()).await;
    let mut stranger = (*stage.client).clone();
    stranger.origin = From_::Dynamic;
    stage.world.store.state().clients.insert(stranger.id.clone(), stranger.clone());
    stage.world.oauth.reload_client(&stranger.id).await.unwrap();
    let page = shown(&stage.ask(&[("response_type", "token")], None).await);
    assert_eq!(page.code, ErrorCode::UnsupportedResponseType);
    assert_eq!(error(&stage.ask(&[("prompt", "none")], None).await), "login_required");
    let session = stage.sign_in(None).await;
    let view = consent(stage.ask(&[], Some(&session)).await);
    assert!(!view.client.registered);
}

#[tokio::test]
async fn rfc9700_s4_11_2_a_document_of_anybody_is_no_open_redirect() {
    let stage = stage(|_| ()).await;
    let url = "https://evil.example/client.json";
    let document = serde_json::json!({
        "client_id": url, "client_name": "Evil", "redirect_uris": ["https://evil.example/phish"],
        "token_endpoint_auth_method": "none", "grant_types": ["authorization_code"],
    });
    stage.world.pages.put(url, 200, document.to_string());
    let evil = [("client_id", url), ("redirect_uri", "https://evil.example/phish")];
    for more in [("prompt", "none"), ("response_type", "token"), ("scope", "admin:write")] {
        shown(&stage.ask(&[evil[0], evil[1], more], None).await);
    }
}

#[tokio::test]
async fn oidc_core_s5_5_claims_that_are_asked_for_one_by_one_are_agreed_to() {
    let stage = stage(|_| ()).await;
    let session = stage.sign_in(None).await;
    let only = ("scope", "openid");
    let view = consent(stage.ask(&[only], Some(&session)).await);
    stage.agree(&view, &session).await;
    stage.grant(&stage.ask(&[only], Some(&session)).await);
    for (wish, scope) in [
        (r#"{"userinfo":{"email":null}}"#, "email"),
        (r#"{"id_token":{"phone_number":{"essential":true}}}"#, "phone"),
        (r#"{"id_token":{"birthdate":null}}"#, "profile"),
    ] {
        let ask = [only, ("claims", wish)];
        let view = consent(stage.ask(&ask, Some(&session)).await);
        let names: Vec<&str> = view.scopes.iter().map(|it| it.name.as_str()).collect();
        assert_eq!(names, ["openid", scope]);
        stage.agree(&view, &session).await;
        let grant = stage.grant(&stage.ask(&ask, Some(&session)).await);
        assert_eq!(grant.scopes, ["openid"], "tokens get no scope by it");
    }
}

#[tokio::test]
async fn rfc8707_s2_what_was_agreed_to_at_one_resource_is_not_given_at_another() {
    let stage = stage(|_| ()).await;
    let session = stage.sign_in(None).await;
    let read = ("scope", "openid orders:read");
    let write = ("scope", "openid orders:write");
    let (orders, stock) = (("resource", ORDERS), ("resource", STOCK));
    let view = consent(stage.ask(&[read, orders], Some(&session)).await);
    stage.agree(&view, &session).await;
    stage.grant(&stage.ask(&[read, orders], Some(&session)).await);
    // Without a resource the audience would be wherever the scopes lead.
    consent(stage.ask(&[read], Some(&session)).await);
    let view = consent(stage.ask(&[write, stock], Some(&session)).await);
    stage.agree(&view, &session).await;
    consent(stage.ask(&[read, stock], Some(&session)).await);
    consent(stage.ask(&[write, orders], Some(&session)).await);
}

#[tokio::test]
async fn fapi2_s5_3_2_2_only_pushed_requests() {
    let stage = stage(|_| ()).await;
    let mut strict = (*stage.client).clone();
    strict.profile = Profile::Fapi2Security;
    stage.world.store.state().clients.insert(strict.id.clone(), strict.clone());
    stage.world.oauth.reload_client(&strict.id).await.unwrap();
    assert_eq!(error(&stage.ask(&[], None).await), "invalid_request");
    let strict = Arc::new(strict);
    let pushed =
        stage.world.oauth.push(&strict, &stage.params(&[]), None, &origin()).await.unwrap();
    let mut params = Params::default();
    params.push("client_id", strict.id.as_str()).unwrap();
    params.push("request_uri", pushed.request_uri.as_str()).unwrap();
    login(stage.send(params, None).await);
    let http = stage.params(&[("redirect_uri", "http://127.0.0.1/cb")]);
    assert!(stage.world.oauth.push(&strict, &http, None, &origin()).await.is_err());
}

#[tokio::test]
async fn rfc9126_s2_a_pushed_request_is_brought_in_time_by_its_client_and_used_once() {
    let stage = stage(|client| client.consent = false).await;
    let oauth = &stage.world.oauth;
    let session = stage.sign_in(None).await;
    let jkt = Some("NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs".to_owned());
    let request = stage.params(&[]);
    let pushed = oauth.push(&stage.client, &request, jkt.clone(), &origin()).await.unwrap();
    assert!(pushed.request_uri.starts_with("urn:ietf:params:oauth:request_uri:pcp_"));
    assert_eq!(pushed.expires_in, 90);
    let by = |client: &str, uri: &str| {
        let mut params = Params::default();
        params.push("client_id", client).unwrap();
        params.push("request_uri", uri).unwrap();
        params
    };
    let own = by(&stage.client.id, &pushed.request_uri);
    let other = stage.world.client(&GRANTS, |_| ()).await.client;
    let page = shown(&stage.send(by(&other.id, &pushed.request_uri), Some(&session)).await);
    assert_eq!(page.code, ErrorCode::InvalidRequestUri);
    stage.world.after(89);
    // A person who signs in takes longer than the request lives.
    let view = login(stage.send(own.clone(), None).await);
    stage.world.after(600);
    let session = stage.sign_in(Some(&session)).await;
    let grant = stage.grant(&stage.go_on(&view.continue_text, Some(&session)).await);
    assert_eq!(grant.dpop_jkt, jkt);
    let page = shown(&stage.go_on(&view.continue_text, Some(&session)).await);
    assert_eq!(page.code, ErrorCode::InvalidRequestUri);
    // Too late from the start.
    let late = oauth.push(&stage.client, &request, None, &origin()).await.unwrap();
    let late = by(&stage.client.id, &late.request_uri);
    stage.world.after(90);
    assert_eq!(shown(&stage.send(late, Some(&session)).await).code, ErrorCode::InvalidRequestUri);
}

#[tokio::test]
async fn rfc9126_s2_1_a_push_keeps_all_rules_already() {
    let stage = stage(|_| ()).await;
    for (change, code) in [
        (("request_uri", "urn:x"), ErrorCode::InvalidRequest),
        (("redirect_uri", "https://evil.example/"), ErrorCode::InvalidRequest),
        (("scope", "admin:write"), ErrorCode::InvalidScope),
        (("client_id", "another"), ErrorCode::InvalidRequest),
        (("code_challenge", ""), ErrorCode::InvalidRequest),
    ] {
        let params = stage.params(&[change]);
        let refused = stage.world.oauth.push(&stage.client, &params, None, &origin()).await;
        assert_eq!(refused.unwrap_err().code(), code, "{change:?}");
        stage.world.refusal();
    }
    let keys = [("dpop_jkt", "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs")];
    let other = Some(CHALLENGE.to_owned());
    let refused =
        stage.world.oauth.push(&stage.client, &stage.params(&keys), other, &origin()).await;
    assert_eq!(refused.unwrap_err().code(), ErrorCode::InvalidDpopProof);
}

#[tokio::test]
async fn form_post_and_signed_answers() {
    let stage = stage(|client| client.consent = false).await;
    let session = stage.sign_in(None).await;
    let step = stage.ask(&[("response_mode", "form_post")], Some(&session)).await;
    let Step::FormPost { action, fields } = &step else { panic!("a form and not {step:?}") };
    assert_eq!(action, CALLBACK);
    let names: Vec<&str> = fields.iter().map(|it| it.0).collect();
    assert_eq!(names, ["code", "state", "iss"]);
    // JARM §2.3.1: one signed parameter.
    let answer = redirect(&stage.ask(&[("response_mode", "jwt")], Some(&session)).await);
    assert_eq!(answer.keys().collect::<Vec<_>>(), ["response"]);
    let token = protocol::jwt::Token::parse(answer["response"].as_bytes(), 8192).unwrap();
    let signed = token.verify(&stage.world.oauth.key_set(), protocol::AlgorithmSet::ALL).unwrap();
    assert_eq!(signed.claims.issuer.as_deref(), Some(ISSUER));
    assert_eq!(*signed.claims.audiences, [stage.client.id.as_str().into()]);
    assert!(signed.claims.claim("code").is_some() && signed.claims.claim("state").is_some());
    let refused = [("response_mode", "form_post.jwt"), ("scope", "admin:write")];
    let step = stage.ask(&refused, Some(&session)).await;
    assert!(matches!(step, Step::FormPost { .. }), "{step:?}");
    assert_eq!(error(&stage.ask(&[("response_mode", "fragment")], None).await), "invalid_request");
}

#[tokio::test]
async fn oidc_core_s3_1_2_1_a_hint_names_who_must_answer() {
    let stage = stage(|client| client.consent = false).await;
    let session = stage.sign_in(None).await;
    let wish = |subject: &str| format!(r#"{{"id_token":{{"sub":{{"value":"{subject}"}}}}}}"#);
    let own = wish(&stage.user);
    stage.grant(&stage.ask(&[("claims", &own)], Some(&session)).await);
    let other = wish("someoneelse1");
    let view = login(stage.ask(&[("claims", &other)], Some(&session)).await);
    assert_eq!(view.reason, LoginReason::OtherPerson);
    let silent = [("claims", other.as_str()), ("prompt", "none")];
    assert_eq!(error(&stage.ask(&silent, Some(&session)).await), "login_required");
}

#[tokio::test]
async fn oidc_core_s5_5_1_1_an_essential_acr_that_cannot_be_reached_fails() {
    let stage = stage(|client| client.consent = false).await;
    let session = stage.sign_in(None).await;
    let wish =
        |acr: &str| format!(r#"{{"id_token":{{"acr":{{"essential":true,"values":["{acr}"]}}}}}}"#);
    stage.grant(&stage.ask(&[("claims", &wish("aal1"))], Some(&session)).await);
    let refused = stage.ask(&[("claims", &wish("urn:gold"))], Some(&session)).await;
    assert_eq!(error(&refused), "unmet_authentication_requirements");
    // What is not known is only a wish, and one of several is enough.
    stage.grant(&stage.ask(&[("acr_values", "urn:gold")], Some(&session)).await);
    let grant = stage.grant(&stage.ask(&[("acr_values", "aal3 aal1")], Some(&session)).await);
    assert_eq!(grant.acr.as_deref(), Some("aal1"));
    // Who has no second factor may add one, and gets nothing before.
    for asked in [("acr_values", "aal2"), ("claims", &wish("aal2"))] {
        let view = login(stage.ask(&[asked], Some(&session)).await);
        assert_eq!(view.reason, LoginReason::Enrolment);
        let silent = stage.ask(&[asked, ("prompt", "none")], Some(&session)).await;
        assert_eq!(error(&silent), "login_required");
    }
}

#[tokio::test]
async fn scopes_of_the_control_api_follow_the_roles() {
    let wide = |client: &mut CreateClient| {
        client.scopes = vec!["admin:read".to_owned(), "admin:write".to_owned()];
        client.consent = false;
    };
    let stage = stage(wide).await;
    let session = stage.sign_in(None).await;
    let both = [("scope", "openid admin:read admin:write")];
    assert_eq!(stage.grant(&stage.ask(&both, Some(&session)).await).scopes, ["openid"]);
    let roles = vec!["auditor".to_owned()];
    stage.world.oauth.set_roles(&actor(), &stage.user, &roles).await.unwrap();
    let session = stage.sign_in(None).await;
    let grant = stage.grant(&stage.ask(&both, Some(&session)).await);
    assert_eq!(grant.scopes, ["admin:read", "openid"]);
}

#[tokio::test]
async fn a_refusal_waits_for_no_ledger_and_its_record_is_bounded() {
    let stage = stage(|_| ()).await;
    stage.world.ledger.broken.store(true, std::sync::atomic::Ordering::SeqCst);
    let long = format!("https://api.example/{}", "x".repeat(1900));
    assert_eq!(error(&stage.ask(&[("resource", &long)], None).await), "invalid_target");
    let refusal = stage.world.refusal();
    assert!(
        refusal.starts_with("invalid_target: RFC 8707") && refusal.chars().count() == 512,
        "{refusal}"
    );
}

/// Signed requests.
mod objects {
    use super::*;
    use protocol::Algorithm;
    use protocol::sign::{Signer, SigningKey};
    use serde_json::{Value, json};

    struct Signing {
        stage: Stage,
        key: Arc<SigningKey>,
    }

    async fn signing(change: impl FnOnce(&mut CreateClient)) -> Signing {
        let key = Arc::new(SigningKey::generate(Algorithm::Es256).unwrap());
        let jwks = json!({"keys": [Value::Object(key.public().to_json())]});
        let stage = stage(|client| {
            client.metadata.jwks = Some(jwks);
            client.consent = false;
            change(client);
        })
        .await;
        Signing { stage, key }
    }

    impl Signing {
        fn claims(&self) -> Value {
            let now = self.stage.world.now().seconds();
            let mut claims = json!({
                "iss": self.stage.client.id, "aud": ISSUER, "nbf": now, "exp": now + 300,
                "jti": "object-1",
            });
            for (name, value) in self.stage.params(&[]).iter() {
                claims[name] = Value::from(value);
            }
            claims
        }

        fn sign(&self, claims: &Value) -> String {
            Signer::new(Arc::clone(&self.key), "oauth-authz-req+jwt").sign(claims).unwrap()
        }

        async fn send(&self, object: &str, session: Option<&SessionText>) -> Step {
            let mut params = Params::default();
            params.push("client_id", self.stage.client.id.as_str()).unwrap();
            params.push("request", object).unwrap();
            // RFC 9101 §6.3: what stands beside the object does not count.
            params.push("scope", "openid orders:write").unwrap();
            params.push("redirect_uri", "https://evil.example/").unwrap();
            self.stage.send(params, session).await
        }
    }

    #[tokio::test]
    async fn rfc9101_s6_3_only_what_stands_in_the_object_counts() {
        let signing = signing(|_| ()).await;
        let session = signing.stage.sign_in(None).await;
        let object = signing.sign(&signing.claims());
        let grant = signing.stage.grant(&signing.send(&object, Some(&session)).await);
        assert_eq!(grant.scopes, ["openid", "orders:read"]);
    }

    #[tokio::test]
    async fn rfc9101_s10_2_an_object_with_a_jti_is_answered_once() {
        let signing = signing(|_| ()).await;
        let object = signing.sign(&signing.claims());
        // It may be looked at as often as a browser reloads.
        login(signing.send(&object, None).await);
        let view = login(signing.send(&object, None).await);
        let session = signing.stage.sign_in(None).await;
        // A person who signs in takes longer than it is valid.
        signing.stage.world.after(600);
        let step = signing.stage.go_on(&view.continue_text, Some(&session)).await;
        signing.stage.grant(&step);
        let again = signing.stage.go_on(&view.continue_text, Some(&session)).await;
        assert_eq!(error(&again), "invalid_request_object");
    }

    #[tokio::test]
    async fn rfc9101_s6_2_what_is_not_the_clients_is_shown_and_not_sent() {
        let signing = signing(|_| ()).await;
        let good = signing.sign(&signing.claims());
        let other = Signing {
            key: Arc::new(SigningKey::generate(Algorithm::Es256).unwrap()),
            stage: self::signing(|_| ()).await.stage,
        };
        let change = |name: &str, value: Value| {
            let mut claims = signing.claims();
            claims[name] = value;
            signing.sign(&claims)
        };
        let none = format!("{}.{}.", b64::encode(r#"{"alg":"none"}"#), b64::encode("{}"));
        for bad in [
            other.sign(&signing.claims()),
            none,
            "nonsense".to_owned(),
            format!("{good}A"),
            change("aud", json!("https://other.example")),
            change("iss", json!("another")),
            change("client_id", json!("another")),
            change("exp", json!(1)),
            change("request_uri", json!("urn:x")),
            change("scope", json!(["openid"])),
        ] {
            let page = shown(&signing.send(&bad, None).await);
            assert_eq!(page.code, ErrorCode::InvalidRequestObject, "{bad}");
            signing.stage.world.refusal();
        }
    }

    #[tokio::test]
    async fn oidc_core_s6_what_is_not_taken_is_told_where_the_client_may_be_told() {
        let signing = signing(|_| ()).await;
        let stage = &signing.stage;
        let none = format!("{}.{}.", b64::encode(r#"{"alg":"none"}"#), b64::encode("{}"));
        let refused = stage.ask(&[("request", none.as_str())], None).await;
        assert_eq!(error(&refused), "invalid_request_object");
        let fetch = [("request_uri", "https://app.example/request.jwt")];
        assert_eq!(error(&stage.ask(&fetch, None).await), "request_uri_not_supported");
        assert_eq!(stage.world.pages.fetched("https://app.example/request.jwt"), 0);
        let both = [("request", "x"), ("request_uri", "urn:x")];
        shown(&stage.ask(&both, None).await);
    }

    #[tokio::test]
    async fn rfc9101_s10_5_a_client_that_must_sign_is_held_to_it() {
        let must = |client: &mut CreateClient| client.metadata.require_signed_request_object = true;
        let signing = signing(must).await;
        let stage = &signing.stage;
        assert_eq!(error(&stage.ask(&[], None).await), "invalid_request");
        let oauth = &stage.world.oauth;
        let bare = oauth.push(&stage.client, &stage.params(&[]), None, &origin()).await;
        assert_eq!(bare.unwrap_err().code(), ErrorCode::InvalidRequest);
        let mut params = Params::default();
        params.push("client_id", stage.client.id.as_str()).unwrap();
        params.push("request", signing.sign(&signing.claims())).unwrap();
        let pushed = oauth.push(&stage.client, &params, None, &origin()).await.unwrap();
        let twice = oauth.push(&stage.client, &params, None, &origin()).await;
        assert_eq!(twice.unwrap_err().code(), ErrorCode::InvalidRequestObject);
        let mut params = Params::default();
        params.push("client_id", stage.client.id.as_str()).unwrap();
        params.push("request_uri", pushed.request_uri.as_str()).unwrap();
        let session = stage.sign_in(None).await;
        stage.grant(&stage.send(params, Some(&session)).await);
    }

    #[tokio::test]
    async fn fapi2_message_signing_s5_3_1_objects_have_bounded_times() {
        let signing = signing(|_| ()).await;
        let mut strict = (*signing.stage.client).clone();
        strict.profile = Profile::Fapi2MessageSigning;
        let world = &signing.stage.world;
        world.store.state().clients.insert(strict.id.clone(), strict.clone());
        world.oauth.reload_client(&strict.id).await.unwrap();
        let strict = Arc::new(strict);
        let push = async |claims: &Value| {
            let mut params = Params::default();
            params.push("client_id", strict.id.as_str()).unwrap();
            params.push("request", signing.sign(claims)).unwrap();
            world.oauth.push(&strict, &params, None, &origin()).await
        };
        push(&signing.claims()).await.unwrap();
        for missing in ["nbf", "exp"] {
            let mut claims = signing.claims();
            claims["jti"] = json!(missing);
            claims.as_object_mut().unwrap().remove(missing);
            let refused = push(&claims).await.unwrap_err();
            assert_eq!(refused.code(), ErrorCode::InvalidRequestObject, "{missing}");
        }
        let plain = signing.stage.params(&[]);
        let refused = world.oauth.push(&strict, &plain, None, &origin()).await.unwrap_err();
        assert_eq!(refused.code(), ErrorCode::InvalidRequest);
    }
}

#[tokio::test]
async fn oidc_core_s3_1_2_1_an_id_token_of_this_client_is_a_hint() {
    let stage = stage(|client| client.consent = false).await;
    let session = stage.sign_in(None).await;
    let other = stage.world.client(&GRANTS, |_| ()).await.client;
    stage.world.user("someoneelse1").await;
    let hint = async |client: &ClientRecord, user: &str| {
        let grant = stage.world.grant(client, user, &["openid"]);
        let access = Secret::new("access".to_owned());
        stage.world.oauth.id_token(client, &grant, &access).await.unwrap().unwrap()
    };
    let own = hint(&stage.client, &stage.user).await;
    stage.grant(&stage.ask(&[("id_token_hint", own.expose())], Some(&session)).await);
    let elses = hint(&stage.client, "someoneelse1").await;
    let view = login(stage.ask(&[("id_token_hint", elses.expose())], Some(&session)).await);
    assert_eq!(view.reason, LoginReason::OtherPerson);
    let foreign = hint(&other, &stage.user).await;
    let refused = stage.ask(&[("id_token_hint", foreign.expose())], Some(&session)).await;
    assert_eq!(error(&refused), "invalid_request");
}

#[tokio::test]
async fn fapi2_s5_3_2_1_no_code_lives_longer_than_a_minute() {
    let stage = stage(|_| ()).await;
    let mut settings = (*stage.world.oauth.settings()).clone();
    settings.code = Duration::from_secs(600);
    stage.world.oauth.configure(settings);
    let session = stage.sign_in(None).await;
    let view = consent(stage.ask(&[], Some(&session)).await);
    let step = stage.agree(&view, &session).await;
    let code = redirect(&step).remove("code").unwrap();
    let mac = Purpose::Code.mac(&stage.world.oauth.parts.pepper, &code);
    let end = stage.world.store.state().codes.get(&mac).unwrap().0.expires_at;
    assert_eq!(end, stage.world.now().plus(Duration::from_secs(60)));
}

#[tokio::test]
async fn attack_prompt_login_is_met_by_no_code_alone() {
    use crate::oauth::Presented;
    use crate::oauth::prove::tests::{enrol, prove};
    let stage = stage(|_| ()).await;
    let first = stage.sign_in(None).await;
    let (app, changed) = enrol(&stage.world, &first).await;
    let old = changed.session.unwrap().text;
    for (prompt, reason) in [("login", LoginReason::Again), ("select_account", LoginReason::Choose)]
    {
        stage.world.after(60);
        let view = login(stage.ask(&[("prompt", prompt)], Some(&old)).await);
        assert_eq!(view.reason, reason);
    }
    let view = login(stage.ask(&[("prompt", "login")], Some(&old)).await);
    // Who sits down at the open browser with the person's phone, and does not know the password.
    let code = Presented::Totp(app.code(&stage.world));
    let session = prove(&stage.world, &old, code).await.unwrap().text;
    let again = login(stage.go_on(&view.continue_text, Some(&session)).await);
    assert_eq!(again.reason, LoginReason::Again);
    // And the password alone is not both.
    stage.world.after(60);
    let view = login(stage.ask(&[("prompt", "login")], Some(&session)).await);
    let session = stage.sign_in(Some(&session)).await;
    let again = login(stage.go_on(&view.continue_text, Some(&session)).await);
    assert!(matches!(again.reason, LoginReason::More(it) if it.totp && !it.password));
}
