use super::*;
use crate::oauth::clients::CreateClient;
use crate::oauth::fixture::{World, actor, call, origin, world};
use crate::oauth::ports::{CodeCompany, GrantStore as _};
use crate::oauth::records::CodeRecord;
use crate::oauth::secrets::Purpose;
use protocol::oauth::pkce::challenge_s256;
use serde_json::json;

const URL: &str = "https://app.example/client.json";
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";

fn document(redirect: &str) -> String {
    json!({
        "client_id": URL, "client_name": "App", "redirect_uris": [redirect],
        "grant_types": ["authorization_code", "refresh_token", "client_credentials"],
        "token_endpoint_auth_method": "none",
    })
    .to_string()
    .replace(",\"client_credentials\"", "")
}

async fn find(world: &World, url: &str) -> Option<Arc<ClientRecord>> {
    world.oauth.client(url, &origin()).await.unwrap()
}

#[tokio::test]
async fn a_url_is_a_client_whose_document_is_fetched_and_kept_for_a_time() {
    let world = world().await;
    world.pages.put(URL, 200, document("https://app.example/cb"));
    for _ in 0..3 {
        let client = find(&world, URL).await.unwrap();
        assert_eq!((client.id.as_str(), client.origin), (URL, Origin::Document));
        assert!(client.consent && client.secrets.is_empty() && client.scopes.is_empty());
    }
    assert_eq!(world.pages.fetched(URL), 1);
    world.after(FRESH.as_secs());
    find(&world, URL).await.unwrap();
    assert_eq!(world.pages.fetched(URL), 2);
    world.pages.put(URL, 500, "");
    world.after(FRESH.as_secs());
    assert!(find(&world, URL).await.is_some(), "a known one goes on while its server is down");
    world.after(STALE.as_secs());
    assert!(find(&world, URL).await.is_none(), "but not for ever");
    assert!(world.events().is_empty(), "nothing is stored for strangers");
}

#[tokio::test]
async fn what_is_no_document_is_no_client_and_says_why() {
    let world = world().await;
    let other = document("https://app.example/cb").replace(URL, "https://evil.example/client.json");
    let long = format!("{{\"client_id\":\"{URL}\",\"x\":\"{}\"}}", "a".repeat(DOCUMENT_BYTES));
    let secret = document("https://app.example/cb").replace("\"none\"", "\"client_secret_basic\"");
    for (status, body, word) in [
        (200, other, "client_id"),
        (200, long, "larger"),
        (200, "[]".to_owned(), ""),
        (200, document("http://app.example/cb"), ""),
        (200, secret, ""),
        (302, document("https://app.example/cb"), "302"),
    ] {
        world.after(FRESH.as_secs());
        world.pages.put(URL, status, body);
        assert!(find(&world, URL).await.is_none(), "{word}");
        let problem = world.oauth.document_problem(URL).await.unwrap();
        assert!(problem.contains(word), "{problem} names {word}");
    }
    for no_url in [
        "https://app.example/",
        "https://app.example",
        "http://app.example/c",
        "https://u@app.example/c",
        "https://app.example/a/../c",
    ] {
        world.pages.put(no_url, 200, document("https://app.example/cb").replace(URL, no_url));
        assert!(find(&world, no_url).await.is_none());
        assert_eq!(world.pages.fetched(no_url), 0, "{no_url}");
    }
}

#[tokio::test]
async fn strangers_cannot_make_this_server_ask_without_end() {
    let world = world().await;
    for n in 0..STRANGERS_PER_MINUTE + 10 {
        let url = format!("https://app.example/{n}");
        world.pages.put(&url, 404, "");
        let mut from = origin();
        from.client_ip = Some(std::net::Ipv4Addr::from(0xC633_6400 + n / 20).into());
        assert!(world.oauth.client(&url, &from).await.unwrap().is_none());
        let expect = usize::from(n < STRANGERS_PER_MINUTE);
        assert_eq!(world.pages.fetched(&url), expect, "{n}");
    }
    world.after(60);
    let url = "https://app.example/later";
    world.pages.put(url, 404, "");
    find(&world, url).await;
    find(&world, url).await;
    assert_eq!(world.pages.fetched(url), 1, "a failure is remembered for a while");
    world.after(60);
    let own = (0..STRANGERS_PER_MINUTE).map(|n| format!("https://app.example/own/{n}"));
    let own: Vec<String> = own.collect();
    for url in &own {
        world.pages.put(url, 404, "");
        find(&world, url).await;
    }
    let fetched: usize = own.iter().map(|url| world.pages.fetched(url)).sum();
    assert!(fetched < own.len() / 2, "one network uses up what is everybody's: {fetched}");
}

#[tokio::test]
async fn documents_may_be_off() {
    let world = world().await;
    let mut settings = (*world.oauth.settings()).clone();
    settings.client_documents = false;
    world.oauth.configure(settings);
    world.pages.put(URL, 200, document("https://app.example/cb"));
    assert!(find(&world, URL).await.is_none());
    assert_eq!(world.pages.fetched(URL), 0);
}

/// Redeems a code for the client of the document, so that it is let in.
async fn let_in(world: &World) {
    world.user("anna").await;
    let client = find(world, URL).await.unwrap();
    let grant = world.grant(&client, "anna", &["orders:read"]);
    let code = Purpose::Code.fresh().unwrap();
    let record = CodeRecord {
        grant: grant.id.clone(),
        client: URL.to_owned(),
        redirect_uri: None,
        challenge: Some(challenge_s256(VERIFIER)),
        expires_at: world.now().plus(Duration::from_secs(60)),
    };
    let mac = Purpose::Code.mac(&world.oauth.parts.pepper, code.expose());
    let company = CodeCompany::default();
    world.store.create_code(grant, (mac, record), company, world.event()).await.unwrap();
    let pairs = [
        ("grant_type", "authorization_code"),
        ("client_id", URL),
        ("code", code.expose().as_str()),
        ("code_verifier", VERIFIER),
    ];
    let answer = world.oauth.token(&call(&pairs)).await.unwrap();
    assert!(answer.refresh_token.is_some());
    assert_eq!(answer.scope.to_string(), "orders:read");
    world.events();
}

#[tokio::test]
async fn a_change_of_a_document_that_was_let_in_is_told() {
    let world = world().await;
    world.pages.put(URL, 200, document("https://app.example/cb"));
    let_in(&world).await;
    let pinned = world.oauth.known_client(URL).unwrap();
    world.after(FRESH.as_secs());
    find(&world, URL).await.unwrap();
    assert!(world.events().is_empty(), "the same document is no news");
    world.after(FRESH.as_secs());
    world.pages.put(URL, 200, document("https://app.example/other"));
    find(&world, URL).await.unwrap();
    let events = world.events();
    assert_eq!(events.len(), 1);
    assert_eq!(events[0].code, code::CLIENT_DOCUMENT_CHANGED);
    let detail = events[0].detail.as_deref().unwrap();
    assert!(detail.contains("redirect URIs changed"), "{detail}");
    assert!(detail.contains(pinned.document_sha256.as_deref().unwrap()));
    let now = world.oauth.known_client(URL).unwrap();
    assert_eq!(now.metadata.redirect_uris, ["https://app.example/other"]);
    assert_eq!((now.created_at > pinned.created_at, now.created_at), (true, world.now()));
}

#[tokio::test]
async fn what_an_administrator_says_of_a_document_s_client_counts_at_once() {
    let world = world().await;
    world.pages.put(URL, 200, document("https://app.example/cb"));
    let_in(&world).await;
    find(&world, URL).await.unwrap();
    let narrow = |client: &mut ClientRecord| {
        client.resources = vec![crate::oauth::fixture::STOCK.to_owned()];
        Ok(None)
    };
    world.oauth.change_client(&actor(), URL, "limited", narrow).await.unwrap();
    assert_eq!(find(&world, URL).await.unwrap().resources.len(), 1);
    world.after(FRESH.as_secs());
    assert_eq!(find(&world, URL).await.unwrap().resources.len(), 1, "and after the next fetch");
    world.pages.put(URL, 404, "");
    world.after(STALE.as_secs());
    assert!(find(&world, URL).await.is_none(), "a client whose document is gone is gone");
}

#[tokio::test]
async fn an_administrator_s_no_outlives_the_document() {
    let world = world().await;
    world.pages.put(URL, 200, document("https://app.example/cb"));
    let_in(&world).await;
    world.oauth.disable_client(&actor(), URL).await.unwrap();
    world.after(FRESH.as_secs());
    world.pages.put(URL, 200, document("https://app.example/other"));
    assert!(find(&world, URL).await.unwrap().disabled_at.is_some());
    let made = world.client(&["client_credentials"], |_: &mut CreateClient| ()).await;
    assert_ne!(made.client.id, URL);
}
