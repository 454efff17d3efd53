//! The authorization server: OAuth 2.1 and OpenID Connect.
//!
//! Owns: clients, people, sessions, grants and tokens; which request is right and what it brings. Its [`ports`]
//! are kept by a store.
//!
//! Never does: HTTP, HTML or SQL. Time and requests come in as arguments.
//!
//! Invariants:
//! - What is issued can be ended: by token, by grant, by client, by subject.
//! - Codes, refresh tokens and secrets are known to the store as MACs only.

mod account;
mod address_proof;
mod admin;
mod administer;
mod authorize;
mod browsers;
mod client_auth;
pub mod clients;
mod declared;
mod describe;
mod described;
mod device_page;
mod documents;
pub mod federation;
#[cfg(test)]
pub(crate) mod fixture;
mod groups;
pub mod introspect;
mod living;
mod logout;
#[cfg(test)]
pub(crate) mod memory;
mod methods;
mod mint;
mod news;
mod own_addresses;
mod own_keys;
mod par;
mod passkeys;
pub mod ports;
mod proof;
mod prove;
pub mod records;
mod recover;
mod refusal;
pub mod registration;
mod remote_keys;
mod revoke;
pub mod scim;
mod scopes;
pub mod secrets;
mod sessions;
pub mod settings;
mod setup;
mod signing;
mod subjects;
mod token;
mod transfer;
pub mod trust;
pub mod userinfo;
mod users;

pub use account::{OwnAccount, OwnClient, OwnSession};
pub use address_proof::{ADDRESS_CODE_PAGE, ADDRESS_PROOF, ProofDue, ProofRefused, Proved};
pub use admin::{AdminCall, AdminCaller, CLI_CLIENT, cli_client};
pub use administer::{Invited, Reset, codes_left};
pub use authorize::{
    Asked, CONTINUE, CONTINUE_LONGEST, ClientView, ConsentAnswer, ConsentView, ErrorPage,
    LoginReason, LoginView, Step,
};
pub use client_auth::ClientCall;
pub use declared::DeclaredPerson;
pub use described::DescribedScope;
pub use device_page::{
    DEVICE_PAGE, DeviceAnswer, DeviceDecision, DeviceMore, DeviceStep, DeviceView,
};
pub use federation::{
    CALLBACK_PATH, CameBack, FederationRefused, Leave, Left, ProviderView, Returned, TripRefused,
};
pub use groups::{PutGroup, RemovedGroup};
pub use logout::{LogoutCall, LogoutStep};
pub use methods::{AddTotp, Changed, MethodRefused, NewTotp, OwnMethods};
pub use news::{NEWS_KEPT, NEWS_MOST, NEWS_SHOWN, NewsClass, NewsRecord, NewsStore, OwnNews};
pub use own_addresses::{
    AllowRefused, LIST_ADDRESSES_MOST, OWN_ADDRESSES_MOST, OwnAddress, OwnAddresses, Reach,
    SELF_SERVICE, SELF_SERVICE_LONGEST, SelfService,
};
pub use own_keys::{
    AskOwnKey, ENDED_BY_OWNER, Fate, KeptOwnKey, MadeOwnKey, NewOwnKey, OWN_KEY_LONGEST,
    OWN_KEYS_MADE_MOST, OWN_KEYS_MOST, OWN_KEYS_WINDOW, OwnKeyStore, OwnKeys, fate, fate_event,
    given_scopes,
};
pub use par::Pushed;
pub use passkeys::{AddPasskey, PasskeyAsk, ShownPasskey};
pub use prove::Presented;
pub use recover::{
    LETTERS_MOST, LetterDue, RECOVER_PAGE, RECOVERY, RecoverPassword, RecoverRefused,
};
pub use scopes::{ADMIN_SCOPES, ScopeView, admin_scopes};
pub use sessions::{BrowserText, Current, SessionText, SignIn, SignInRefused, SignedIn, Standing};
pub use setup::{CompleteSetup, PasswordSet, SETUP, SETUP_FIRST};
pub use signing::OFFERED;
pub use token::{GATE_CLIENT, GateCode, GateSession, gate_client};
pub use transfer::{ExportPage, ExportedPerson, ImportRules, LINES_MOST, LineDone, LineOutcome};
pub use userinfo::{USERINFO_PATH, Userinfo, UserinfoCall};
pub use users::{ADMINISTRATOR, CreateUser, CreatedUser};

use crate::actor::Actor;
use crate::error::Error;
use crate::ports::AuditLog;
use crate::records::Change;
use crate::sealing::{Pepper, Sealer};
use arc_swap::ArcSwap;
use base::{
    BoxFuture, Clock, Code, Event, EventId, Fetch, Kind, Mail, NodeId, Outcome, RequestId, code,
};
use ports::OAuthStore;
use protocol::oauth::OAuthError;
use settings::Settings;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Takes evidence straight to the ledger, for what touches no table.
pub trait Evidence: Send + Sync {
    /// Records that a request was refused; never waits. WHY apart from acts: anybody can be refused as often as they
    /// like, so a flood is folded and charged to the quota of denials, and writes nothing into the store.
    fn record_denial(&self, event: Event);

    /// Records the event; answers once it is on disk.
    ///
    /// # Errors
    /// A sentence, when the ledger cannot take it. Then nothing may be issued on it.
    fn record_synced(&self, event: Event) -> BoxFuture<'_, Result<(), String>>;
}

/// Characters of what a refusal's record says: what was sent stands in it, but not without bound.
const REFUSED_CHARS: usize = 512;
/// Characters of the client's id in such a record: enough to find a typing mistake.
const REFUSED_ID_CHARS: usize = 128;

fn cut(text: &str, chars: usize) -> String {
    // WHY in this order: half a secret is not recognised.
    secrets::without_secrets(text).chars().take(chars).collect()
}

/// Where a request came from; stands in the events that it causes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// The request's id.
    pub request_id: RequestId,
    /// The true address of who asks.
    pub client_ip: Option<IpAddr>,
    /// The browser or program as it calls itself, cut to 200 characters.
    pub user_agent: String,
}

/// What the use cases are wired from.
#[derive(Clone)]
pub struct Parts {
    /// Keeps everything.
    pub store: Arc<dyn OAuthStore>,
    /// Takes events that come with no change.
    pub audit: Arc<dyn AuditLog>,
    /// Takes events of tokens that touch no table.
    pub evidence: Arc<dyn Evidence>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Makes MACs.
    pub pepper: Arc<Pepper>,
    /// Seals signing keys and, for seconds, refresh tokens.
    pub sealer: Arc<Sealer>,
    /// Fetches clients' keys and documents.
    pub fetch: Arc<dyn Fetch>,
    /// Takes messages to people.
    pub mail: Arc<dyn Mail>,
    /// This node.
    pub node: NodeId,
}

/// The use cases. One for the whole process.
pub struct OAuth {
    pub(crate) parts: Parts,
    settings: ArcSwap<Settings>,
    signing: signing::Signing,
    clients: clients::Clients,
    people: sessions::People,
    remote_keys: remote_keys::RemoteKeys,
    documents: documents::Documents,
    providers: federation::metadata::Providers,
    strangers: registration::Strangers,
    trust: ArcSwap<Vec<records::TrustRecord>>,
    /// Groups with a record, by name.
    groups: ArcSwap<Vec<records::GroupRecord>>,
    /// For how many milliseconds nothing was heard of the store.
    silence_ms: AtomicU64,
}

/// How long the store may be silent while tokens are given that touch no table. Shorter than what a client's revocation
/// reaches into the future ([`clients::HEARD`]), so that who has not heard of its end gives nothing that lives on.
const SILENCE: Duration = Duration::from_secs(3);

impl std::fmt::Debug for OAuth {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OAuth").field("node", &self.parts.node).finish_non_exhaustive()
    }
}

impl OAuth {
    /// The use cases over these parts.
    pub fn new(parts: Parts, settings: Settings) -> Self {
        Self {
            parts,
            settings: ArcSwap::from_pointee(settings),
            signing: signing::Signing::default(),
            clients: clients::Clients::default(),
            people: sessions::People::default(),
            remote_keys: remote_keys::RemoteKeys::default(),
            documents: documents::Documents::default(),
            providers: federation::metadata::Providers::default(),
            strangers: registration::Strangers::default(),
            trust: ArcSwap::default(),
            groups: ArcSwap::default(),
            silence_ms: AtomicU64::new(0),
        }
    }

    /// Loads what is held in memory and makes the first keys; to be called once, before anything is served.
    ///
    /// # Errors
    /// As the store says, or when a key cannot be opened.
    pub async fn start(&self) -> Result<(), Error> {
        self.load_clients().await?;
        self.load_trusts().await?;
        self.load_groups().await?;
        self.start_keys().await
    }

    /// Takes note of a change that stands in the feed.
    ///
    /// # Errors
    /// As the store says; then it must be called again.
    pub async fn changed(&self, change: &Change) -> Result<(), Error> {
        match change {
            Change::ClientChanged(id) => self.reload_client(id).await,
            Change::SigningKeysChanged => self.reload_keys().await,
            Change::RulesChanged => {
                self.load_trusts().await?;
                self.load_groups().await
            }
            _ => Ok(()),
        }
    }

    /// Takes note of how long ago the store was last heard of: what it would say of clients is not known since.
    pub fn heard(&self, ago: Duration) {
        let ms = u64::try_from(ago.as_millis()).unwrap_or(u64::MAX);
        self.silence_ms.store(ms, Ordering::Release);
    }

    /// Whether the clients in memory are those of the store.
    pub(crate) fn is_in_touch(&self) -> bool {
        Duration::from_millis(self.silence_ms.load(Ordering::Acquire)) <= SILENCE
    }

    /// The time by the authority's clock.
    pub fn now(&self) -> base::UnixMs {
        self.parts.clock.now()
    }

    /// The settings in force.
    pub fn settings(&self) -> Arc<Settings> {
        self.settings.load_full()
    }

    /// Puts new settings in force.
    pub fn configure(&self, settings: Settings) {
        self.settings.store(Arc::new(settings));
    }

    /// An event of the authority: `code` happened at the request of `origin`.
    pub(crate) fn event(&self, origin: &Origin, code: Code) -> Result<Event, Error> {
        let now = self.parts.clock.now();
        let mut event = Event::new(EventId::random()?, now, self.parts.node, Kind::Admin, code);
        event.request_id = Some(origin.request_id);
        event.client_ip = origin.client_ip;
        Ok(event)
    }

    /// An event that says: `actor` did `code` to `target`.
    pub(crate) fn act(
        &self,
        actor: &Actor,
        code: Code,
        target: Option<&str>,
        detail: &str,
    ) -> Result<Event, Error> {
        actor.act((self.parts.clock.now(), self.parts.node), code, target, detail)
    }

    /// Records that `act` was refused, and gives the refusal back; see `Authority::refused`.
    pub(crate) async fn act_refused<T>(
        &self,
        actor: &Actor,
        act: Code,
        target: Option<&str>,
        refusal: Error,
    ) -> Result<T, Error> {
        let seen = (self.parts.clock.now(), self.parts.node);
        if let Some(event) = actor.refusal(seen, &act, target, &refusal)? {
            self.parts.audit.record(event).await?;
        }
        Err(refusal)
    }

    /// Records that a request was refused: `explain` shows `rule`, which the caller is not told.
    pub(crate) fn refused(
        &self,
        origin: &Origin,
        client: Option<&str>,
        error: &OAuthError,
        rule: &str,
    ) -> Result<(), Error> {
        let detail = format!("{}: {rule}", error.code().as_str());
        let mut event = self.denial(origin, code::OAUTH_REFUSED, detail)?;
        event.status = error.status();
        event.client_id = client.map(|id| cut(id, REFUSED_ID_CHARS).into());
        self.parts.evidence.record_denial(event);
        Ok(())
    }

    /// An event that says: something that anybody may try was refused.
    pub(crate) fn denial(
        &self,
        origin: &Origin,
        code: Code,
        detail: String,
    ) -> Result<Event, Error> {
        let mut event = self.event(origin, code)?;
        event.kind = Kind::Decision;
        event.outcome = Outcome::Deny;
        event.detail = Some(cut(&detail, REFUSED_CHARS).into());
        Ok(event)
    }
}
