//! What tests of the use cases stand on: a store in memory, a clock that is moved by hand, pages to fetch.

use super::memory::Memory;
use super::records::{ClientRecord, GrantKind, GrantRecord, UserRecord};
use super::settings::{Resource, Settings};
use super::{ClientCall, OAuth, Origin, Parts};
use crate::actor::Actor;
use crate::error::PortError;
use crate::oauth::clients::{CreateClient, CreatedClient};
use crate::ports::{Answer, AuditLog};
use base::{
    BoxFuture, Clock as _, Event, EventId, FakeClock, Fetch, FetchError, FetchRequest,
    FetchResponse, Kind, NodeId, RequestIds, UnixMs, code,
};
use protocol::b64;
use protocol::oauth::Params;
use protocol::oauth::metadata::ClientMetadata;
use protocol::oauth::params::encode;
use protocol::sign::SigningKey;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

pub(crate) const ISSUER: &str = "https://login.example";
pub(crate) const ORDERS: &str = "https://api.example/orders";
pub(crate) const STOCK: &str = "https://api.example/stock";
pub(crate) const START: UnixMs = UnixMs(1_764_000_000_000);

/// Pages of the outside, and how often each was fetched.
#[derive(Debug, Default)]
pub(crate) struct Pages(pub(crate) Mutex<BTreeMap<String, (u16, String, usize)>>);

impl Pages {
    pub(crate) fn put(&self, url: &str, status: u16, body: impl Into<String>) {
        let mut pages = self.0.lock().unwrap();
        let fetched = pages.get(url).map_or(0, |it| it.2);
        pages.insert(url.to_owned(), (status, body.into(), fetched));
    }

    pub(crate) fn fetched(&self, url: &str) -> usize {
        self.0.lock().unwrap().get(url).map_or(0, |it| it.2)
    }
}

impl Fetch for Pages {
    fn fetch(&self, request: FetchRequest) -> BoxFuture<'_, Result<FetchResponse, FetchError>> {
        assert!(!request.operator, "what comes from outside never leads to private addresses");
        let mut pages = self.0.lock().unwrap();
        let answer = match pages.get_mut(&request.url) {
            None => Err(FetchError::Unreachable("no such page".to_owned())),
            Some((status, body, fetched)) => {
                *fetched += 1;
                match body.len() > request.max_bytes {
                    true => Err(FetchError::TooLarge(request.max_bytes)),
                    false => Ok(FetchResponse {
                        status: *status,
                        media_type: "application/json".to_owned(),
                        body: body.clone().into_bytes(),
                    }),
                }
            }
        };
        Box::pin(std::future::ready(answer))
    }
}

/// Takes events, unless it is told to fail.
pub(crate) struct Ledger {
    pub(crate) store: Arc<Memory>,
    pub(crate) broken: AtomicBool,
    /// Where events go instead of the store, when it is there.
    pub(crate) apart: Mutex<Option<Vec<Event>>>,
}

impl AuditLog for Ledger {
    fn record(&self, event: Event) -> Answer<'_, ()> {
        match self.broken.load(Ordering::SeqCst) {
            true => Box::pin(async { Err(PortError::Unavailable("full".to_owned())) }),
            false => self.store.record(event),
        }
    }
}

impl super::Evidence for Ledger {
    fn record_denial(&self, event: Event) {
        super::Evidence::record_denial(&*self.store, event);
    }

    fn record_synced(&self, event: Event) -> BoxFuture<'_, Result<(), String>> {
        if let Some(apart) = self.apart.lock().unwrap().as_mut() {
            apart.push(event);
            return Box::pin(async { Ok(()) });
        }
        match self.broken.load(Ordering::SeqCst) {
            true => Box::pin(async { Err("full".to_owned()) }),
            false => super::Evidence::record_synced(&*self.store, event),
        }
    }
}

/// Everything.
pub(crate) struct World {
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) oauth: OAuth,
    pub(crate) store: Arc<Memory>,
    pub(crate) clock: Arc<FakeClock>,
    pub(crate) pages: Arc<Pages>,
}

pub(crate) async fn world() -> World {
    let mut settings = Settings::new(ISSUER);
    let scopes = |names: &[&str]| names.iter().map(|it| (*it).to_owned()).collect();
    settings.resources = vec![
        Resource { uri: ORDERS.to_owned(), scopes: scopes(&["orders:read", "orders:write"]) },
        Resource { uri: STOCK.to_owned(), scopes: scopes(&["stock:read"]) },
    ];
    world_with(settings).await
}

pub(crate) async fn world_with(settings: Settings) -> World {
    let (store, clock) = (Arc::new(Memory::default()), Arc::new(FakeClock::at(START)));
    let pages = Arc::new(Pages::default());
    let mut parts = parts(&store, &clock, &pages);
    let ledger = Arc::new(Ledger {
        store: Arc::clone(&store),
        broken: AtomicBool::new(false),
        apart: Mutex::new(None),
    });
    parts.audit = Arc::clone(&ledger) as _;
    parts.evidence = Arc::clone(&ledger) as _;
    let oauth = OAuth::new(parts, settings);
    oauth.start().await.unwrap();
    store.state().events.clear();
    World { ledger, oauth, store, clock, pages }
}

/// One more node over the same store.
pub(crate) fn node(
    store: &Arc<Memory>,
    clock: &Arc<FakeClock>,
    pages: &Arc<Pages>,
    settings: Settings,
) -> OAuth {
    OAuth::new(parts(store, clock, pages), settings)
}

fn parts(store: &Arc<Memory>, clock: &Arc<FakeClock>, pages: &Arc<Pages>) -> Parts {
    Memory::parts(store, clock, Arc::clone(pages) as _)
}

pub(crate) fn origin() -> Origin {
    let ids = RequestIds::new(NodeId(1), 0).unwrap();
    Origin {
        request_id: ids.next(START),
        client_ip: Some("192.0.2.1".parse().unwrap()),
        user_agent: "test".to_owned(),
    }
}

pub(crate) fn actor() -> Actor {
    Actor::local("uid:0")
}

/// A call with these parameters and nothing else.
pub(crate) fn call(pairs: &[(&str, &str)]) -> ClientCall {
    ClientCall {
        params: Params::parse(encode(pairs.iter().copied()).as_bytes()).unwrap(),
        authorization: Vec::new(),
        dpop: Vec::new(),
        certificate: None,
        origin: origin(),
    }
}

/// A call with a secret in the header.
pub(crate) fn basic(id: &str, secret: &str, pairs: &[(&str, &str)]) -> ClientCall {
    let text = base64_standard(format!("{id}:{secret}").as_bytes());
    ClientCall { authorization: vec![format!("Basic {text}").into_bytes()], ..call(pairs) }
}

fn base64_standard(bytes: &[u8]) -> String {
    let mut text = b64::encode(bytes).replace('-', "+").replace('_', "/");
    while !text.len().is_multiple_of(4) {
        text.push('=');
    }
    text
}

pub(crate) fn strings(all: &[&str]) -> Vec<String> {
    all.iter().map(|it| (*it).to_owned()).collect()
}

impl World {
    pub(crate) fn now(&self) -> UnixMs {
        self.clock.now()
    }

    pub(crate) fn after(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }

    /// A client with these grants and scopes; `change` has the last word.
    pub(crate) async fn client(
        &self,
        grants: &[&str],
        change: impl FnOnce(&mut CreateClient),
    ) -> CreatedClient {
        let redirect_uris = match grants.contains(&"authorization_code") {
            true => strings(&["https://app.example/cb"]),
            false => Vec::new(),
        };
        let mut ask = CreateClient {
            name: "App".to_owned(),
            scopes: strings(&["orders:read", "orders:write"]),
            metadata: ClientMetadata {
                grant_types: strings(grants),
                redirect_uris,
                ..ClientMetadata::default()
            },
            ..CreateClient::default()
        };
        change(&mut ask);
        let made = self.oauth.create_client(&actor(), ask).await.unwrap();
        self.events();
        made
    }

    pub(crate) async fn user(&self, id: &str) {
        use super::ports::PeopleStore as _;
        let user = UserRecord {
            id: id.to_owned(),
            email: format!("{id}@example.com"),
            email_verified: true,
            name: Some("Anna".to_owned()),
            claims: serde_json::Map::new(),
            roles: Vec::new(),
            password: None,
            password_beside: false,
            setup: None,
            created_at: self.now(),
            created_by: "test".to_owned(),
            updated_at: self.now(),
            disabled_at: None,
            directory: super::records::InDirectory::default(),
            declared: None,
        };
        self.store.create_user(user, self.event()).await.unwrap();
    }

    /// The events since the last look.
    pub(crate) fn events(&self) -> Vec<Event> {
        std::mem::take(&mut self.store.state().events)
    }

    pub(crate) fn event(&self) -> Event {
        let id = EventId::random().unwrap();
        Event::new(id, self.now(), NodeId(1), Kind::Admin, code::OK)
    }

    /// The detail of the one refusal that was recorded since the last look.
    pub(crate) fn refusal(&self) -> String {
        let events = self.events();
        let refused: Vec<_> = events.iter().filter(|it| it.code == code::OAUTH_REFUSED).collect();
        assert_eq!(refused.len(), 1, "each refusal is recorded once: {events:?}");
        refused[0].detail.as_deref().unwrap().to_owned()
    }

    pub(crate) fn grant(&self, client: &ClientRecord, user: &str, scopes: &[&str]) -> GrantRecord {
        GrantRecord {
            id: base::base62::random(12).unwrap(),
            kind: GrantKind::Code,
            client: client.id.clone(),
            user: Some(user.to_owned()),
            scopes: strings(scopes),
            resources: Vec::new(),
            authorization_details: serde_json::Value::Null,
            session: Some("session1".to_owned()),
            auth_time: Some(self.now()),
            amr: strings(&["pwd"]),
            acr: Some("aal1".to_owned()),
            nonce: Some("n-1".to_owned()),
            claims: serde_json::Value::Null,
            dpop_jkt: None,
            created_at: self.now(),
            expires_at: self.now().plus(Duration::from_secs(86_400)),
            revoked_at: None,
        }
    }
}

/// A DPoP proof for the token endpoint.
pub(crate) fn proof(world: &World, key: &SigningKey, jti: &str, nonce: Option<String>) -> String {
    let claims = serde_json::json!({
        "htm": "POST", "htu": format!("{ISSUER}/oauth/token"), "iat": world.now().seconds(), "jti": jti, "nonce": nonce,
    });
    let mut claims = claims;
    if nonce.is_none() {
        claims.as_object_mut().unwrap().remove("nonce");
    }
    let mut jwk = key.public().to_json();
    jwk.retain(|name, _| matches!(name.as_str(), "kty" | "crv" | "x" | "y"));
    let header =
        serde_json::json!({"alg": key.algorithm().as_str(), "typ": "dpop+jwt", "jwk": jwk});
    let input = format!("{}.{}", b64::encode(header.to_string()), b64::encode(claims.to_string()));
    let signature = key.sign(input.as_bytes()).unwrap();
    format!("{input}.{}", b64::encode(signature))
}

/// The call with a proof that holds.
pub(crate) fn dpop_call(
    world: &World,
    call: ClientCall,
    key: &SigningKey,
    jti: &str,
) -> ClientCall {
    let proof = proof(world, key, jti, world.oauth.dpop_nonce());
    ClientCall { dpop: vec![proof.into_bytes()], ..call }
}
