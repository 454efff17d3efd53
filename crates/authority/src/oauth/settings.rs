//! What the configuration says of the authority.

use super::federation::Provider;
use super::own_addresses::SelfService;
use super::records::ScopeRecord;
use crate::factors::passkey::Anchors;
use crate::people::Policy;
use protocol::Algorithm;
use std::time::Duration;

/// A protected resource: a route, or several, behind one audience.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resource {
    /// The RFC 8707 identifier: an absolute URI.
    pub uri: String,
    /// The scopes that any of its routes asks of `self`, sorted.
    pub scopes: Vec<String>,
}

/// Who may register clients by themselves (RFC 7591).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Registration {
    /// Nobody.
    #[default]
    Off,
    /// Whoever shows an initial access token.
    Token,
    /// Everybody, within limits.
    Open,
}

/// The authority's settings.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// The issuer: an absolute URL without query, fragment or slash at the end.
    pub issuer: String,
    /// What the organisation calls itself, in mail.
    pub name: String,
    /// How access tokens and ID tokens are signed unless a client says otherwise.
    pub algorithm: Algorithm,
    /// How long an access token lives; the default of the design is five minutes, an hour at most.
    pub access_token: Duration,
    /// How long an ID token lives.
    pub id_token: Duration,
    /// How long a code lives; a minute at most.
    pub code: Duration,
    /// How long a refresh token may lie unused.
    pub refresh_idle: Duration,
    /// How long a grant lives whatever happens.
    pub refresh_absolute: Duration,
    /// How long the same parent gets the same child.
    pub refresh_window: Duration,
    /// How long a session lives whatever happens.
    pub session: Duration,
    /// How long a session may lie unused.
    pub session_idle: Duration,
    /// How long a device code lives.
    pub device: Duration,
    /// How long a pushed request lives.
    pub pushed: Duration,
    /// Dynamic registration.
    pub registration: Registration,
    /// Whether URLs of client ID metadata documents are taken as client ids.
    pub client_documents: bool,
    /// How long a signing key is published before it signs, and how long it signs.
    pub key_published: Duration,
    /// How long a key signs.
    pub key_signing: Duration,
    /// What the file says of scopes; the store's words stand above it.
    pub scope_words: Vec<ScopeRecord>,
    /// What the gate protects, in the order of its routes.
    pub resources: Vec<Resource>,
    /// Further resources that routes do not name (userinfo and the control API are always there).
    pub extra_audiences: Vec<String>,
    /// Who signs in how (`[[sign_in]]`). All that match hold.
    pub sign_in: Vec<Policy>,
    /// The makers of authenticators who are trusted, where policies ask who made one.
    pub passkey_makers: Anchors,
    /// Where else people may sign in (`[[provider]]`), in the order of the file.
    pub providers: Vec<Provider>,
    /// To which address lists people may add themselves, in the order of the file.
    pub self_service: Vec<SelfService>,
    /// Where the control API is reached, when it has an address of its own: an origin, without slash at the end.
    pub admin_url: Option<String>,
}

/// How long any access token may live: a revocation must be remembered for so long.
pub const ACCESS_TOKEN_LONGEST: Duration = Duration::from_secs(3600);

/// Where the token endpoint lies below the issuer.
pub const TOKEN_PATH: &str = "/oauth/token";
/// Where requests are pushed to (RFC 9126), below the issuer.
pub const PUSH_PATH: &str = "/oauth/par";

impl Settings {
    /// The defaults of the design for this issuer.
    pub fn new(issuer: &str) -> Self {
        let minutes = |n: u64| Duration::from_secs(n * 60);
        let days = |n: u64| Duration::from_secs(n * 86_400);
        let issuer = issuer.trim_end_matches('/').to_owned();
        Self {
            name: host(&issuer).to_owned(),
            issuer,
            algorithm: Algorithm::Es256,
            access_token: minutes(5),
            id_token: minutes(5),
            code: Duration::from_secs(60),
            refresh_idle: days(14),
            refresh_absolute: days(90),
            refresh_window: Duration::from_secs(10),
            session: minutes(12 * 60),
            session_idle: minutes(60),
            device: minutes(10),
            pushed: Duration::from_secs(90),
            registration: Registration::Off,
            client_documents: true,
            key_published: days(1),
            key_signing: days(30),
            scope_words: Vec::new(),
            resources: Vec::new(),
            extra_audiences: Vec::new(),
            sign_in: Vec::new(),
            passkey_makers: Anchors::default(),
            providers: Vec::new(),
            self_service: Vec::new(),
            admin_url: None,
        }
    }

    /// The resource identifier of the control API, whose scopes are `admin:*`.
    pub fn admin_resource(&self) -> String {
        format!("{}/api", self.admin_url.as_deref().unwrap_or(&self.issuer))
    }

    /// The host of the issuer, with its port: what people know this authority by.
    pub fn issuer_host(&self) -> &str {
        host(&self.issuer)
    }

    /// The URL of an endpoint below the issuer.
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.issuer)
    }
}

fn host(issuer: &str) -> &str {
    let rest = issuer.split_once("://").map_or(issuer, |(_, rest)| rest);
    rest.split('/').next().unwrap_or(rest)
}
