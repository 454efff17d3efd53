use super::*;
use crate::oauth::fixture::{World, actor, basic, strings, world};
use crate::oauth::ports::GrantStore as _;
use protocol::Algorithm;
use protocol::oauth::ErrorCode;
use protocol::sign::SigningKey;
use serde_json::json;

fn invalid(ask: CreateClient) -> &'static str {
    match judge(ask) {
        Err(Error::Invalid { field, .. }) => field,
        other => panic!("{other:?}"),
    }
}

fn judge(ask: CreateClient) -> Result<ClientRecord, Error> {
    let mut client = record(ask);
    check(&mut client).map(|()| client)
}

fn record(ask: CreateClient) -> ClientRecord {
    ClientRecord {
        id: "client".to_owned(),
        name: ask.name,
        profile: ask.profile,
        pkce: ask.pkce,
        token_format: ask.token_format,
        refresh: ask.refresh,
        access_token_seconds: ask.access_token_seconds,
        scopes: ask.scopes,
        resources: ask.resources,
        metadata: ask.metadata,
        secrets: Vec::new(),
        registration: None,
        document_sha256: None,
        consent: ask.consent,
        origin: Origin::Admin,
        created_at: UnixMs(0),
        created_by: String::new(),
        disabled_at: None,
    }
}

fn web() -> CreateClient {
    CreateClient {
        name: "Web".to_owned(),
        metadata: ClientMetadata {
            redirect_uris: strings(&["https://app.example/cb"]),
            ..ClientMetadata::default()
        },
        ..CreateClient::default()
    }
}

fn with(change: impl FnOnce(&mut CreateClient)) -> CreateClient {
    let mut ask = web();
    change(&mut ask);
    ask
}

fn jwks() -> serde_json::Value {
    let key = SigningKey::generate(Algorithm::Es256).unwrap();
    json!({"keys": [key.public().to_json()]})
}

#[test]
fn rfc7591_s2_defaults_are_written_out() {
    let client = judge(web()).unwrap();
    assert_eq!(client.metadata.grant_types, ["authorization_code"]);
    assert_eq!(client.metadata.response_types, ["code"]);
    assert_eq!(client.metadata.token_endpoint_auth_method, "client_secret_basic");
    assert_eq!((client.pkce, client.consent), (Pkce::Required, true));
}

#[test]
fn oauth21_s10_neither_implicit_nor_password() {
    for grant in ["implicit", "password", "", "urn:x"] {
        let ask = with(|it| it.metadata.grant_types = strings(&[grant]));
        assert_eq!(invalid(ask), "metadata");
    }
    assert_eq!(invalid(with(|it| it.metadata.response_types = strings(&["token"]))), "metadata");
}

#[test]
fn rfc6749_s4_4_client_credentials_are_for_confidential_clients() {
    let ask = with(|it| {
        it.metadata.token_endpoint_auth_method = "none".to_owned();
        it.metadata.grant_types = strings(&["authorization_code", "client_credentials"]);
    });
    assert_eq!(invalid(ask), "metadata");
}

#[test]
fn rfc9700_s2_1_redirect_uris_are_whole_and_safe() {
    for bad in [
        "http://app.example/cb",
        "https://app.example/*",
        "https://app.example/cb#f",
        "https://user@app.example/cb",
        "javascript:alert(1)",
        "/cb",
        "myapp:/cb",
    ] {
        assert_eq!(
            invalid(with(|it| it.metadata.redirect_uris = strings(&[bad]))),
            "redirect_uris"
        );
    }
    assert_eq!(
        invalid(with(|it| it.metadata.redirect_uris = vec!["https://a.example/".to_owned(); 33])),
        "metadata"
    );
    let none = with(|it| {
        it.metadata.redirect_uris.clear();
        it.metadata.grant_types = strings(&["authorization_code"]);
    });
    assert_eq!(invalid(none), "redirect_uris");
}

#[test]
fn rfc7591_s2_keys_come_in_one_way_and_are_usable() {
    let keys = |change: fn(&mut ClientMetadata)| {
        with(|it| {
            it.metadata.token_endpoint_auth_method = "private_key_jwt".to_owned();
            change(&mut it.metadata);
        })
    };
    assert_eq!(invalid(keys(|_| ())), "metadata");
    assert_eq!(invalid(keys(|it| it.jwks = Some(json!({"keys": []})))), "metadata");
    assert_eq!(
        invalid(keys(|it| it.jwks = Some(json!({"keys": [{"kty": "oct", "k": "AAAA"}]})))),
        "metadata"
    );
    assert_eq!(
        invalid(keys(|it| {
            it.jwks = Some(jwks());
            it.jwks_uri = Some("https://app.example/jwks".to_owned());
        })),
        "metadata"
    );
    assert_eq!(
        invalid(keys(|it| it.jwks_uri = Some("http://app.example/jwks".to_owned()))),
        "metadata"
    );
    assert!(judge(keys(|it| it.jwks = Some(jwks()))).is_ok());
}

#[test]
fn oauth21_s4_3_1_refresh_tokens_are_bound_or_rotated() {
    assert_eq!(invalid(with(|it| it.refresh = RefreshRotation::Keep)), "refresh");
    let bound = with(|it| {
        it.refresh = RefreshRotation::Keep;
        it.metadata.dpop_bound_access_tokens = true;
    });
    assert!(judge(bound).is_ok());
}

#[test]
fn oauth21_s7_5_1_public_clients_use_pkce() {
    let public = with(|it| {
        it.pkce = Pkce::Optional;
        it.metadata.token_endpoint_auth_method = "none".to_owned();
    });
    assert_eq!(invalid(public), "pkce");
    assert!(judge(with(|it| it.pkce = Pkce::Optional)).is_ok());
}

fn fapi(profile: Profile) -> CreateClient {
    with(|it| {
        it.profile = profile;
        it.metadata.jwks = Some(jwks());
    })
}

#[test]
fn fapi2_s5_3_2_the_profile_switches_on_what_it_needs_and_refuses_the_rest() {
    let client = judge(fapi(Profile::Fapi2Security)).unwrap();
    assert_eq!(client.metadata.token_endpoint_auth_method, "private_key_jwt");
    assert!(client.metadata.require_pushed_authorization_requests);
    assert!(client.metadata.dpop_bound_access_tokens);
    assert_eq!(client.refresh, RefreshRotation::Keep);
    let signing = judge(fapi(Profile::Fapi2MessageSigning)).unwrap().metadata;
    assert!(signing.require_signed_request_object);
    assert_eq!(signing.authorization_signed_response_alg.as_deref(), Some("ES256"));
    assert_eq!(signing.introspection_signed_response_alg.as_deref(), Some("ES256"));
    for (field, change) in [
        (
            "token_endpoint_auth_method",
            (|it| it.metadata.token_endpoint_auth_method = "client_secret_basic".to_owned())
                as fn(&mut CreateClient),
        ),
        ("pkce", |it| it.pkce = Pkce::Optional),
        ("redirect_uris", |it| it.metadata.redirect_uris = strings(&["http://127.0.0.1/cb"])),
        ("id_token_signed_response_alg", |it| {
            it.metadata.id_token_signed_response_alg = Some("RS256".to_owned())
        }),
        ("token_endpoint_auth_signing_alg", |it| {
            it.metadata.token_endpoint_auth_signing_alg = Some("RS256".to_owned())
        }),
    ] {
        let mut ask = fapi(Profile::Fapi2Security);
        change(&mut ask);
        assert_eq!(invalid(ask), field);
    }
}

#[test]
fn a_grade_names_what_could_be_better() {
    let unmet = |client: &ClientRecord| {
        let rules = grade(client, UnixMs(0));
        rules
            .into_iter()
            .filter(|it| it.met == Met::No)
            .map(|it| (it.source, it.section))
            .collect::<Vec<_>>()
    };
    let mut best = judge(fapi(Profile::Fapi2MessageSigning)).unwrap();
    best.scopes = strings(&["a"]);
    best.resources = strings(&["https://api.example/"]);
    assert_eq!(unmet(&best), []);
    let plain = unmet(&judge(with(|it| it.pkce = Pkce::Optional)).unwrap());
    for expect in [("OAuth 2.1", "4.1.1"), ("RFC 9700", "2.2.1"), ("FAPI 2.0", "Security 5.3.2.1")]
    {
        assert!(plain.contains(&expect), "{expect:?} of {plain:?}");
    }
}

async fn token(world: &World, id: &str, secret: &str) -> Result<(), ErrorCode> {
    let call = basic(id, secret, &[("grant_type", "client_credentials")]);
    world.oauth.token(&call).await.map(drop).map_err(|error| error.code())
}

#[tokio::test]
async fn a_rotated_secret_overlaps_with_the_old_one_for_a_time() {
    let world = world().await;
    let made = world.client(&["client_credentials"], |_| ()).await;
    let (id, old) = (made.client.id, made.secret.unwrap());
    let new = world.oauth.rotate_client_secret(&actor(), &id, None).await.unwrap().secret.unwrap();
    assert_eq!(token(&world, &id, old.expose()).await, Ok(()));
    assert_eq!(token(&world, &id, new.expose()).await, Ok(()));
    world.after(SECRET_OVERLAP.as_secs());
    assert_eq!(token(&world, &id, old.expose()).await, Err(ErrorCode::InvalidClient));
    assert_eq!(token(&world, &id, new.expose()).await, Ok(()));
    let last = world.oauth.rotate_client_secret(&actor(), &id, Some(Duration::ZERO)).await.unwrap();
    assert_eq!(last.client.secrets.len(), 2, "expired ones are forgotten");
    assert_eq!(token(&world, &id, new.expose()).await, Err(ErrorCode::InvalidClient));
    let (who, long) = (actor(), Some(SECRET_OVERLAP_LONGEST * 2));
    let refused = world.oauth.rotate_client_secret(&who, &id, long).await;
    assert!(matches!(refused, Err(Error::Invalid { field: "overlap", .. })));
}

#[tokio::test]
async fn what_ends_a_client_ends_its_tokens() {
    let world = world().await;
    let made = world.client(&["client_credentials"], |_| ()).await;
    let (id, secret) = (made.client.id, made.secret.unwrap());
    world.oauth.disable_client(&actor(), &id).await.unwrap();
    assert_eq!(token(&world, &id, secret.expose()).await, Err(ErrorCode::InvalidClient));
    let kind = RevocationKind::Client;
    let revoked = world.store.revocation(kind, id.clone(), world.now()).await.unwrap().unwrap();
    assert_eq!(revoked.not_before, world.now().plus(HEARD));
    world.oauth.enable_client(&actor(), &id).await.unwrap();
    assert_eq!(token(&world, &id, secret.expose()).await, Ok(()));
    world.after(1);
    world.oauth.remove_client(&actor(), &id).await.unwrap();
    assert_eq!(token(&world, &id, secret.expose()).await, Err(ErrorCode::InvalidClient));
    let revoked = world.store.revocation(kind, id.clone(), world.now()).await.unwrap().unwrap();
    assert_eq!(revoked.not_before, world.now().plus(HEARD));
    let again = world.oauth.remove_client(&actor(), &id).await;
    assert!(matches!(again, Err(Error::NotFound { .. })));
}

#[tokio::test]
async fn clients_of_the_file_are_read_only() {
    let world = world().await;
    let mut declared = record(web());
    declared.id = "from-file".to_owned();
    world.oauth.declare(vec![declared]).unwrap();
    assert_eq!(world.oauth.show_client("from-file").await.unwrap().origin, Origin::File);
    let page = TextPage { after: String::new(), rows: 10 };
    assert_eq!(world.oauth.list_clients(page).await.unwrap().len(), 1);
    let (who, id) = (actor(), "from-file");
    assert!(matches!(world.oauth.disable_client(&who, id).await, Err(Error::Invalid { .. })));
    assert!(matches!(world.oauth.remove_client(&who, id).await, Err(Error::Invalid { .. })));
    assert!(matches!(
        world.oauth.rotate_client_secret(&who, id, None).await,
        Err(Error::Invalid { .. })
    ));
    let refused = world.events();
    assert_eq!(refused.iter().filter(|it| it.code == code::ACT_REFUSED).count(), 3);
    let mut bad = record(web());
    bad.metadata.redirect_uris = strings(&["javascript:x"]);
    assert!(world.oauth.declare(vec![bad]).is_err());
    assert!(world.oauth.known_client("from-file").is_some(), "a bad file changes nothing");
}

#[tokio::test]
async fn a_client_that_is_taken_out_of_the_file_loses_its_tokens_once() {
    let world = world().await;
    let named = |id: &str| ClientRecord { id: id.to_owned(), ..record(web()) };
    world.oauth.declare(vec![named("a"), named("b")]).unwrap();
    world.oauth.end_vanished_clients().await.unwrap();
    assert!(world.events().is_empty());
    world.oauth.declare(vec![named("b")]).unwrap();
    assert!(world.oauth.known_client("a").is_none(), "at once");
    world.oauth.end_vanished_clients().await.unwrap();
    world.oauth.end_vanished_clients().await.unwrap();
    let events = world.events();
    assert_eq!(events.iter().filter(|it| it.code == code::CLIENT_REMOVED).count(), 1);
    let ended =
        |id: &str| world.store.revocation(RevocationKind::Client, id.to_owned(), world.now());
    assert!(ended("a").await.unwrap().is_some() && ended("b").await.unwrap().is_none());
    // Another start, from a file without the other.
    let settings = (*world.oauth.settings()).clone();
    let next = crate::oauth::fixture::node(&world.store, &world.clock, &world.pages, settings);
    next.end_vanished_clients().await.unwrap();
    assert!(ended("b").await.unwrap().is_some());
}

#[tokio::test]
async fn another_node_learns_of_a_client_by_the_feed() {
    let world = world().await;
    let settings = (*world.oauth.settings()).clone();
    let other = crate::oauth::fixture::node(&world.store, &world.clock, &world.pages, settings);
    other.start().await.unwrap();
    let made = world.client(&["client_credentials"], |_| ()).await;
    assert!(other.known_client(&made.client.id).is_none());
    let change = crate::Change::ClientChanged(made.client.id.clone());
    other.changed(&change).await.unwrap();
    assert_eq!(other.known_client(&made.client.id).as_deref(), Some(&made.client));
}
