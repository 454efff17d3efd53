//! A provider that says what it is told to, and an authority that knows two of them.

use super::super::*;
use crate::oauth::memory::Memory;
use crate::oauth::settings::Settings;
use base::{BoxFuture, Clock as _, FakeClock, Fetch, FetchError, FetchRequest, FetchResponse};
use protocol::Algorithm;
use protocol::jwk::KeySet;
use protocol::sign::{Signer, SigningKey};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Mutex;

pub(super) use crate::oauth::fixture::origin;

pub(super) const ISSUER: &str = "https://corp.example";
pub(super) const OTHER: &str = "https://other.example";
pub(super) const BACK: &str = "https://login.example/login/callback/corp";
const DISCOVERY: &str = "/.well-known/openid-configuration";

/// The outside.
#[derive(Debug, Default)]
pub(super) struct Net {
    pages: Mutex<BTreeMap<String, (u16, String)>>,
    requests: Mutex<Vec<FetchRequest>>,
}

impl Net {
    pub(super) fn put(&self, url: &str, status: u16, body: &str) {
        self.pages.lock().unwrap().insert(url.to_owned(), (status, body.to_owned()));
    }

    /// The last request for a URL.
    pub(super) fn asked(&self, url: &str) -> FetchRequest {
        self.requests.lock().unwrap().iter().rev().find(|it| it.url == url).cloned().unwrap()
    }

    pub(super) fn times(&self, url: &str) -> usize {
        self.requests.lock().unwrap().iter().filter(|it| it.url == url).count()
    }
}

impl Fetch for Net {
    fn fetch(&self, request: FetchRequest) -> BoxFuture<'_, Result<FetchResponse, FetchError>> {
        let page = self.pages.lock().unwrap().get(&request.url).cloned();
        let answer = match page {
            None => Err(FetchError::Unreachable("no such page".to_owned())),
            Some((_, body)) if body.len() > request.max_bytes => {
                Err(FetchError::TooLarge(request.max_bytes))
            }
            Some((status, body)) => Ok(FetchResponse {
                status,
                media_type: "application/json".to_owned(),
                body: body.into_bytes(),
            }),
        };
        self.requests.lock().unwrap().push(request);
        Box::pin(std::future::ready(answer))
    }
}

pub(super) struct Stage {
    pub(super) oauth: OAuth,
    pub(super) store: Arc<Memory>,
    pub(super) clock: Arc<FakeClock>,
    pub(super) net: Arc<Net>,
    pub(super) key: Arc<SigningKey>,
}

pub(super) fn provider(name: &str, issuer: &str) -> Provider {
    Provider {
        name: name.to_owned(),
        display_name: "Corp".to_owned(),
        issuer: issuer.to_owned(),
        client_id: "us".to_owned(),
        client_secret: Some(Secret::new("shared".to_owned())),
        client_auth: None,
        scopes: vec!["openid".to_owned(), "email".to_owned()],
        groups_claim: "groups".to_owned(),
        groups: Vec::new(),
        acr: Vec::new(),
        amr: Vec::new(),
        create: vec!["example.com".to_owned()],
    }
}

pub(super) async fn stage(change: impl FnOnce(&mut Settings)) -> Stage {
    let mut settings = Settings::new("https://login.example");
    settings.providers = vec![provider("corp", ISSUER), provider("other", OTHER)];
    change(&mut settings);
    let (store, clock) =
        (Arc::new(Memory::default()), Arc::new(FakeClock::at(crate::oauth::fixture::START)));
    let net = Arc::new(Net::default());
    let oauth = OAuth::new(Memory::parts(&store, &clock, Arc::clone(&net) as _), settings);
    oauth.start().await.unwrap();
    let key = Arc::new(SigningKey::generate(Algorithm::Es256).unwrap());
    let stage = Stage { oauth, store, clock, net, key };
    for issuer in [ISSUER, OTHER] {
        stage.net.put(&format!("{issuer}/keys"), 200, &stage.keys());
        stage.net.put(&format!("{issuer}{DISCOVERY}"), 200, &document(issuer).to_string());
    }
    stage
}

fn document(issuer: &str) -> Value {
    json!({
        "issuer": issuer,
        "authorization_endpoint": format!("{issuer}/authorize"),
        "token_endpoint": format!("{issuer}/token"),
        "jwks_uri": format!("{issuer}/keys"),
        "userinfo_endpoint": format!("{issuer}/me"),
    })
}

/// The browser of who signs in.
pub(super) fn visitor() -> Secret<String> {
    Secret::new("this browser".to_owned())
}

pub(super) fn ask(provider: &str) -> Leave {
    Leave {
        provider: provider.to_owned(),
        visitor: visitor(),
        proceed: "next:/device".to_owned(),
        fresh: false,
    }
}

pub(super) fn query(url: &str) -> Params {
    Params::parse(url.split_once('?').unwrap().1.as_bytes()).unwrap()
}

/// What the browser brings when it comes back from where `left` sent it.
pub(super) fn brings(provider: &str, left: &Left) -> CameBack {
    let mut params = Params::default();
    params.push("code", "the code").unwrap();
    params.push("state", query(&left.url).get("state").unwrap()).unwrap();
    CameBack {
        provider: provider.to_owned(),
        params,
        away: Some(left.away.clone()),
        visitor: Some(visitor()),
        session: None,
        browser: None,
    }
}

impl Stage {
    pub(super) fn now(&self) -> UnixMs {
        self.clock.now()
    }

    pub(super) fn keys(&self) -> String {
        Value::Object(KeySet::new(vec![self.key.public().clone()]).to_json()).to_string()
    }

    pub(super) fn metadata(&self, change: impl FnOnce(&mut Value)) {
        let mut all = document(ISSUER);
        change(&mut all);
        self.net.put(&format!("{ISSUER}{DISCOVERY}"), 200, &all.to_string());
    }

    pub(super) async fn leave(&self) -> Left {
        self.oauth.leave(ask("corp"), &origin()).await.unwrap().unwrap()
    }

    /// The claims of a good ID token for this trip.
    pub(super) fn claims(&self, left: &Left) -> Value {
        let now = self.now().seconds();
        json!({
            "iss": ISSUER, "sub": "anna", "aud": "us", "exp": now + 300, "iat": now,
            "auth_time": now, "nonce": query(&left.url).get("nonce").unwrap(),
            "email": "anna@example.com", "email_verified": true, "name": "Anna",
        })
    }

    pub(super) fn sign(&self, claims: &Value) -> String {
        Signer::new(Arc::clone(&self.key), "JWT").sign(claims).unwrap()
    }

    /// Lets the token endpoint give this ID token.
    pub(super) fn gives(&self, id_token: &str) {
        let answer = json!({"access_token": "AT", "token_type": "Bearer", "id_token": id_token});
        self.net.put(&format!("{ISSUER}/token"), 200, &answer.to_string());
        self.net.put(&format!("{OTHER}/token"), 200, &answer.to_string());
    }

    /// Lets the token endpoint give a good ID token, but for this.
    pub(super) fn says(&self, left: &Left, change: impl FnOnce(&mut Value)) {
        let mut claims = self.claims(left);
        change(&mut claims);
        self.gives(&self.sign(&claims));
    }

    /// Comes back with whatever the token endpoint gives.
    pub(super) async fn back(&self, left: &Left) -> Result<Returned, FederationRefused> {
        self.arrive(brings("corp", left)).await
    }

    pub(super) async fn arrive(&self, back: CameBack) -> Result<Returned, FederationRefused> {
        self.oauth.come_home(back, &origin()).await.unwrap().map_err(|it| it.why)
    }

    /// Comes back as it should be.
    pub(super) async fn home(&self, left: &Left) -> Result<Returned, FederationRefused> {
        self.says(left, |_| {});
        self.back(left).await
    }

    /// Why the last trip failed, as the record says.
    pub(super) fn recorded(&self) -> String {
        let events = std::mem::take(&mut self.store.state().events);
        let failed = events.iter().rev().find(|it| it.code == base::code::LOGIN_FAILED);
        failed.and_then(|it| it.detail.as_deref().map(str::to_owned)).unwrap_or_default()
    }
}
