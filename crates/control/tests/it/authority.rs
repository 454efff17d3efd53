//! A real authority over a real store, and people who sign in to it.

use crate::client::OnPort;
use crate::fakes::world_beside;
use authority::oauth::settings::Settings;
use authority::oauth::{
    CLI_CLIENT, ClientCall, CreateUser, DeviceDecision, DeviceStep, Evidence, OAuth, Origin, Parts,
    SignIn, cli_client,
};
use authority::{Actor, MasterKey, Pepper, Sealer};
use aws_lc_rs::digest::{SHA256, digest};
use base::{
    BoxFuture, Clock, Event, Fetch, FetchError, FetchRequest, FetchResponse, Mail, MailError,
    Message, NodeId, RequestIds, Secret, SystemClock,
};
use control::{Issuer, Surface};
use protocol::b64;
use protocol::oauth::Params;
use protocol::oauth::params::encode;
use protocol::sign::SigningKey;
use serde_json::json;
use std::sync::Arc;
use store::{Store, StoreUrl};

pub(crate) const ISSUER: &str = "https://login.example";
const PASSWORD: &str = "correct horse battery staple";
const DEVICE: &str = "urn:ietf:params:oauth:grant-type:device_code";

#[derive(Debug)]
struct Nowhere;

impl Fetch for Nowhere {
    fn fetch(&self, request: FetchRequest) -> BoxFuture<'_, Result<FetchResponse, FetchError>> {
        Box::pin(async move { Err(FetchError::Unreachable(request.url)) })
    }
}

impl Mail for Nowhere {
    fn send(&self, _: Message) -> BoxFuture<'_, Result<(), MailError>> {
        Box::pin(async { Err(MailError::Closed) })
    }
}

impl Evidence for Nowhere {
    fn record_denial(&self, _: Event) {}

    fn record_synced(&self, _: Event) -> BoxFuture<'_, Result<(), String>> {
        Box::pin(async { Ok(()) })
    }
}

/// The edge on a port, with an authority.
pub(crate) struct WithAuthority {
    pub(crate) edge: OnPort,
    pub(crate) oauth: Arc<OAuth>,
    pub(crate) store: Store,
    folder: tempfile::TempDir,
}

fn origin() -> Origin {
    let now = SystemClock::new().now();
    Origin {
        request_id: RequestIds::new(NodeId(1), 0).unwrap().next(now),
        client_ip: Some("192.0.2.1".parse().unwrap()),
        user_agent: "test".to_owned(),
    }
}

fn call(pairs: &[(&str, &str)]) -> ClientCall {
    ClientCall {
        params: Params::parse(encode(pairs.iter().copied()).as_bytes()).unwrap(),
        authorization: Vec::new(),
        dpop: Vec::new(),
        certificate: None,
        origin: origin(),
    }
}

/// A proof of possession (RFC 9449 §4.2) for this request, with this token.
pub(crate) fn proof(
    key: &SigningKey,
    (method, uri): (&str, &str),
    nonce: Option<String>,
    token: Option<&str>,
) -> String {
    let mut claims = json!({
        "htm": method, "htu": uri, "iat": SystemClock::new().now().seconds(),
        "jti": b64::encode(base::random_array::<16>().unwrap()),
    });
    if let Some(nonce) = nonce {
        claims["nonce"] = nonce.into();
    }
    if let Some(token) = token {
        claims["ath"] = b64::encode(digest(&SHA256, token.as_bytes())).into();
    }
    let mut jwk = key.public().to_json();
    jwk.retain(|name, _| matches!(name.as_str(), "kty" | "crv" | "x" | "y"));
    let header = json!({ "alg": "ES256", "typ": "dpop+jwt", "jwk": jwk });
    let input = format!("{}.{}", b64::encode(header.to_string()), b64::encode(claims.to_string()));
    format!("{input}.{}", b64::encode(key.sign(input.as_bytes()).unwrap()))
}

impl WithAuthority {
    pub(crate) async fn start() -> Self {
        Self::start_with(Surface::ALL).await
    }

    pub(crate) async fn start_with(surface: Surface) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let url = StoreUrl::Sqlite(folder.path().join("portcullis.db"));
        let store = Store::open(&url, clock.now()).await.unwrap();
        let registry = Arc::new(store.clone());
        let master = MasterKey::from_hex(&"5a".repeat(32)).unwrap();
        let parts = Parts {
            store: registry.clone(),
            audit: registry,
            evidence: Arc::new(Nowhere),
            clock: clock.clone(),
            pepper: Arc::new(Pepper::new([9; 32])),
            sealer: Arc::new(Sealer::new(&master).unwrap()),
            fetch: Arc::new(Nowhere),
            mail: Arc::new(Nowhere),
            node: NodeId(1),
        };
        let settings = Settings::new(ISSUER);
        let cli = cli_client(&settings);
        let oauth = Arc::new(OAuth::new(parts, settings));
        oauth.declare(vec![cli]).unwrap();
        oauth.start().await.unwrap();
        let issuer = Issuer::new(oauth.clone(), "Test".to_owned(), clock, NodeId(1)).unwrap();
        let edge = OnPort::start_with(world_beside(oauth.clone()), Some(issuer), surface).await;
        Self { edge, oauth, store, folder }
    }

    /// The id of a person with these roles, and what `portcullis login` brings them.
    pub(crate) async fn signed_in(&self, name: &str, roles: &[&str]) -> (String, String) {
        self.signed_in_with(name, roles, None).await
    }

    /// The same; the token is bound to this key, if there is one.
    pub(crate) async fn signed_in_with(
        &self,
        name: &str,
        roles: &[&str],
        key: Option<&SigningKey>,
    ) -> (String, String) {
        let email = format!("{name}@example.com");
        let ask = CreateUser {
            email: email.clone(),
            name: None,
            roles: roles.iter().map(|it| (*it).to_owned()).collect(),
            password: Some(Secret::new(PASSWORD.to_owned())),
        };
        let id = self.oauth.create_user(&Actor::local("uid:0"), ask).await.unwrap().id;
        let api = format!("{ISSUER}/api");
        let scopes = "admin:operate admin:read admin:write";
        let ask = [("client_id", CLI_CLIENT), ("scope", scopes), ("resource", &api)];
        let device = self.oauth.device_authorization(&call(&ask)).await.unwrap();
        let ask = SignIn {
            email,
            password: Secret::new(PASSWORD.to_owned()),
            session: None,
            browser: None,
        };
        let session = self.oauth.sign_in(ask, &origin()).await.unwrap().unwrap().text;
        let view = self.oauth.device_view(&device.user_code, Some(&session), &origin()).await;
        let DeviceStep::Ask(view) = view.unwrap() else { unreachable!("the page asks") };
        let decision = DeviceDecision { user_code: view.user_code, csrf: view.csrf, allow: true };
        let done = self.oauth.device_decide(&decision, Some(&session), &origin()).await.unwrap();
        assert_eq!(done, DeviceStep::Done(true));
        let code = device.device_code.expose().clone();
        let ask = [("client_id", CLI_CLIENT), ("grant_type", DEVICE), ("device_code", &code)];
        let mut ask = call(&ask);
        if let Some(key) = key {
            let nonce = self.oauth.dpop_nonce();
            let place = ("POST", format!("{ISSUER}/oauth/token"));
            ask.dpop = vec![proof(key, (place.0, &place.1), nonce, None).into_bytes()];
        }
        let tokens = self.oauth.token(&ask).await.unwrap();
        assert!(self.folder.path().exists());
        (id, tokens.access_token.expose().clone())
    }
}
