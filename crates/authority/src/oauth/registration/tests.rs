use super::*;
use crate::oauth::fixture::{World, basic, origin, strings, world};
use crate::oauth::ports::GrantStore as _;
use crate::oauth::records::{ConsentRecord, RevocationKind};
use serde_json::json;

fn body(change: fn(&mut Value)) -> Vec<u8> {
    let mut body = json!({"client_name": "App", "redirect_uris": ["https://app.example/cb"], "scope": "orders:read"});
    change(&mut body);
    body.to_string().into_bytes()
}

fn with(bearer: Option<&str>, body: Vec<u8>) -> RegistrationCall {
    let bearer = bearer.map(|it| Secret::new(it.to_owned()));
    RegistrationCall { bearer, body, origin: origin() }
}

async fn ready(mode: Registration) -> World {
    let world = world().await;
    let mut settings = (*world.oauth.settings()).clone();
    settings.registration = mode;
    world.oauth.configure(settings);
    world
}

async fn register(world: &World, change: fn(&mut Value)) -> Result<Object, ErrorCode> {
    let call = with(None, body(change));
    world.oauth.register(&call).await.map_err(|error| error.code())
}

fn text<'a>(object: &'a Object, name: &str) -> &'a str {
    object[name].as_str().unwrap()
}

#[tokio::test]
async fn rfc7591_s3_2_1_a_client_registers_itself() {
    let world = ready(Registration::Open).await;
    let answer = register(&world, |_| ()).await.unwrap();
    assert_eq!(world.events()[0].code, code::CLIENT_CREATED);
    let id = text(&answer, "client_id");
    assert_eq!(text(&answer, "token_endpoint_auth_method"), "client_secret_basic");
    assert!(text(&answer, "client_secret").starts_with("pcx_"));
    assert_eq!(answer["client_secret_expires_at"], 0);
    assert!(text(&answer, "registration_client_uri").ends_with(id));
    let client = world.oauth.known_client(id).unwrap();
    assert_eq!((client.origin, client.consent, client.pkce), (From::Dynamic, true, Pkce::Required));
    assert_eq!(client.scopes, ["orders:read"]);
    let public =
        register(&world, |it| it["token_endpoint_auth_method"] = json!("none")).await.unwrap();
    assert!(!public.contains_key("client_secret"));
}

#[tokio::test]
async fn rfc7591_s3_2_2_what_a_stranger_may_not_have() {
    let world = ready(Registration::Open).await;
    let metadata = ErrorCode::InvalidClientMetadata;
    for (change, code) in [
        (
            (|it| it["redirect_uris"] = json!(["http://app.example/cb"])) as fn(&mut Value),
            ErrorCode::InvalidRedirectUri,
        ),
        (
            |it| drop(it.as_object_mut().unwrap().remove("redirect_uris")),
            ErrorCode::InvalidRedirectUri,
        ),
        (|it| it["grant_types"] = json!(["client_credentials"]), metadata),
        (
            |it| {
                it["grant_types"] =
                    json!(["authorization_code", "urn:ietf:params:oauth:grant-type:jwt-bearer"])
            },
            metadata,
        ),
        (|it| it["grant_types"] = json!(["implicit"]), metadata),
        (|it| it["scope"] = json!("orders:read admin:write"), metadata),
        (|it| it["scope"] = json!(REGISTER_SCOPE), metadata),
        (|it| it["token_endpoint_auth_method"] = json!("private_key_jwt"), metadata),
        (|it| it["token_endpoint_auth_method"] = json!("tls_client_auth"), metadata),
        (|it| it["id_token_signed_response_alg"] = json!("none"), metadata),
        (|it| it["jwks_uri"] = json!("http://10.0.0.1/jwks"), metadata),
        (|it| it["sector_identifier_uri"] = json!("https://app.example/sector"), metadata),
        (|it| *it = json!([]), metadata),
    ] {
        world.after(HOUR_MS.unsigned_abs() / 1000);
        assert_eq!(register(&world, change).await.unwrap_err(), code);
        world.refusal();
    }
    assert_eq!(world.oauth.dynamic_clients(), 0);
}

#[tokio::test]
async fn oidc_registration_s5_the_sector_lists_the_redirect_uris() {
    let world = ready(Registration::Open).await;
    let sector = |it: &mut Value| it["sector_identifier_uri"] = json!("https://app.example/sector");
    world.pages.put("https://app.example/sector", 200, r#"["https://app.example/other"]"#);
    assert_eq!(register(&world, sector).await.unwrap_err(), ErrorCode::InvalidClientMetadata);
    world.pages.put("https://app.example/sector", 200, r#"["https://app.example/cb"]"#);
    assert!(register(&world, sector).await.is_ok());
}

#[tokio::test]
async fn registration_is_off_unless_allowed() {
    let world = ready(Registration::Off).await;
    assert_eq!(register(&world, |_| ()).await.unwrap_err(), ErrorCode::AccessDenied);
}

#[tokio::test]
async fn rfc7591_s5_open_registration_has_limits() {
    let world = ready(Registration::Open).await;
    for _ in 0..PER_ADDRESS {
        register(&world, |_| ()).await.unwrap();
    }
    assert_eq!(register(&world, |_| ()).await.unwrap_err(), ErrorCode::TemporarilyUnavailable);
    let mut elsewhere = with(None, body(|_| ()));
    elsewhere.origin.client_ip = Some("192.0.2.77".parse().unwrap());
    assert!(world.oauth.register(&elsewhere).await.is_ok());
    world.after(3600);
    assert!(register(&world, |_| ()).await.is_ok());
    let strangers = Strangers::default();
    let address = |n: u32| Some(IpAddr::V6((0x2001_0db8_u128 << 96 | u128::from(n)).into()));
    let taken = (0..PER_ADDRESS + 5).filter(|n| strangers.count(address(*n), world.now())).count();
    assert_eq!(taken, 20, "a /64 is one subscriber");
    let alone = Some("192.0.2.1".parse().unwrap());
    let taken = (0..2 * PER_HOUR).filter(|_| strangers.count(alone, world.now())).count();
    assert_eq!(taken, 20);
    let other = Some("192.0.2.2".parse().unwrap());
    assert!(strangers.count(other, world.now()), "who is refused uses up nobody else's share");
}

#[tokio::test]
async fn rfc7591_s3_an_initial_access_token_is_one_of_ours_with_the_scope() {
    let world = ready(Registration::Token).await;
    let made = world
        .client(&["client_credentials"], |it| it.scopes = strings(&[REGISTER_SCOPE, "orders:read"]))
        .await;
    let token = async |scope: &str| {
        let pairs = [("grant_type", "client_credentials"), ("scope", scope)];
        let call = basic(&made.client.id, made.secret.as_ref().unwrap().expose(), &pairs);
        world.oauth.token(&call).await.unwrap().access_token.expose().clone()
    };
    let (good, weak) = (token(REGISTER_SCOPE).await, token("orders:read").await);
    let ask = async |bearer: Option<&str>| {
        let answer = world.oauth.register(&with(bearer, body(|_| ()))).await;
        answer.map(drop).map_err(|error| error.code())
    };
    assert_eq!(ask(Some(&good)).await, Ok(()));
    assert_eq!(ask(Some(&weak)).await, Err(ErrorCode::InsufficientScope));
    assert_eq!(ask(None).await, Err(ErrorCode::InvalidToken));
    assert_eq!(ask(Some("x")).await, Err(ErrorCode::InvalidToken));
    world.after(300);
    assert_eq!(ask(Some(&good)).await, Err(ErrorCode::InvalidToken));
}

#[tokio::test]
async fn rfc7592_s2_a_client_manages_itself_and_nobody_else() {
    let world = ready(Registration::Open).await;
    let one = register(&world, |_| ()).await.unwrap();
    let two = register(&world, |_| ()).await.unwrap();
    let (id, token) = (text(&one, "client_id"), text(&one, "registration_access_token"));
    let shown = world.oauth.registration(id, &with(Some(token), Vec::new())).await.unwrap();
    assert_eq!(text(&shown, "client_name"), "App");
    assert!(!shown.contains_key("client_secret"), "shown once");
    world.events();
    for (id, bearer) in [
        (text(&two, "client_id"), Some(token)),
        (id, Some("pcg_wrong")),
        (id, None),
        (id, Some(text(&one, "client_secret"))),
        ("nobody", Some(token)),
    ] {
        let call = with(bearer, body(|_| ()));
        assert_eq!(
            world.oauth.registration(id, &call).await.unwrap_err().code(),
            ErrorCode::InvalidToken
        );
        assert_eq!(
            world.oauth.update_registration(id, &call).await.unwrap_err().code(),
            ErrorCode::InvalidToken
        );
        assert_eq!(
            world.oauth.remove_registration(id, &call).await.unwrap_err().code(),
            ErrorCode::InvalidToken
        );
    }
}

#[tokio::test]
async fn rfc7592_s2_2_an_update_replaces_the_whole() {
    let world = ready(Registration::Open).await;
    let one = register(&world, |_| ()).await.unwrap();
    let (id, token) = (text(&one, "client_id"), text(&one, "registration_access_token"));
    let update = async |change: &dyn Fn(&mut Value)| {
        let mut new = json!({"client_id": id, "redirect_uris": ["https://app.example/new"], "token_endpoint_auth_method": "none"});
        change(&mut new);
        let call = with(Some(token), new.to_string().into_bytes());
        world.oauth.update_registration(id, &call).await.map_err(|error| error.code())
    };
    for bad in [
        "registration_access_token",
        "client_secret_expires_at",
        "client_id_issued_at",
        "registration_client_uri",
    ] {
        let refused = update(&|it| it[bad] = json!("x")).await;
        assert_eq!(refused.unwrap_err(), ErrorCode::InvalidRequest, "{bad}");
    }
    assert_eq!(
        update(&|it| it["client_id"] = json!("other")).await.unwrap_err(),
        ErrorCode::InvalidRequest
    );
    assert_eq!(
        update(&|it| it["client_secret"] = json!("wrong")).await.unwrap_err(),
        ErrorCode::InvalidRequest
    );
    assert_eq!(
        update(&|it| it["scope"] = json!("admin:write")).await.unwrap_err(),
        ErrorCode::InvalidClientMetadata
    );
    update(&|_| ()).await.unwrap();
    let client = world.oauth.known_client(id).unwrap();
    assert_eq!(client.metadata.redirect_uris, ["https://app.example/new"]);
    assert!(client.secrets.is_empty() && client.scopes.is_empty());
}

#[tokio::test]
async fn rfc7592_s2_3_removal_ends_the_tokens() {
    let world = ready(Registration::Open).await;
    let one = register(&world, |_| ()).await.unwrap();
    let (id, token) = (text(&one, "client_id"), text(&one, "registration_access_token"));
    world.oauth.remove_registration(id, &with(Some(token), Vec::new())).await.unwrap();
    assert!(world.oauth.known_client(id).is_none());
    let revoked = world.store.revocation(RevocationKind::Client, id.to_owned(), world.now()).await;
    assert!(revoked.unwrap().is_some());
    let again = world.oauth.remove_registration(id, &with(Some(token), Vec::new())).await;
    assert_eq!(again.unwrap_err().code(), ErrorCode::InvalidToken);
}

#[tokio::test]
async fn clients_that_nobody_ever_used_make_room() {
    let world = ready(Registration::Open).await;
    let first = register(&world, |_| ()).await.unwrap();
    let first = world.oauth.known_client(text(&first, "client_id")).unwrap();
    let copy = |number: usize| ClientRecord { id: format!("d{number:05}"), ..(*first).clone() };
    for number in 1..DYNAMIC_CLIENTS {
        let client = copy(number);
        world.store.state().clients.insert(client.id.clone(), client);
    }
    // One of the file's administrators, one that a person uses, and one that a person agreed to.
    let admin = ClientRecord { origin: From::Admin, id: "a00000".to_owned(), ..(*first).clone() };
    let grant = world.grant(&copy(1), "ann", &["orders:read"]);
    let consent = ConsentRecord {
        user: "ann".to_owned(),
        client: "d00002".to_owned(),
        scopes: Vec::new(),
        resources: Vec::new(),
        authorization_details: Value::Null,
        at: world.now(),
    };
    {
        let mut state = world.store.state();
        state.clients.insert(admin.id.clone(), admin);
        state.grants.insert(grant.id.clone(), grant);
        state.consents.insert((consent.user.clone(), consent.client.clone()), consent);
    }
    world.oauth.load_clients().await.unwrap();
    let busy = Err(ErrorCode::TemporarilyUnavailable);
    assert_eq!(register(&world, |_| ()).await.map(|_| ()), busy, "none is old enough");
    world.clock.advance(UNUSED);
    assert_eq!(register(&world, |_| ()).await.map(|_| ()), busy, "nearly");
    world.clock.advance(Duration::from_secs(1));
    register(&world, |_| ()).await.unwrap();
    assert_eq!(world.oauth.dynamic_clients(), DYNAMIC_CLIENTS - ROOM + 1);
    let known = |id: &str| world.oauth.known_client(id).is_some();
    assert!(known("a00000") && known("d00001") && known("d00002") && !known("d00003"));
    let place = (RevocationKind::Client, "d00003".to_owned());
    assert!(world.store.state().revocations.contains_key(&place), "its tokens end with it");
    let gone = world.events().iter().filter(|it| it.code == code::CLIENT_REMOVED).count();
    assert_eq!(gone, ROOM, "each is recorded");
}
