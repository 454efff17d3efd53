//! Opening what the gate stands on, and starting it.

use super::compile::{self, Compiled};
use super::events::Events;
use super::post::Post;
use super::state::State;
use super::{Failure, Running, access_log, follow, issuers, own, sign_ins, text};
use crate::config::{self, Config};
use access::limit::Limiter;
use access::replay::Replays;
use access::schemes::session::Sealer;
use access::schemes::{Tools, api_key};
use access::verified::Fingerprints;
use audit::{Ledger, LedgerOptions, Recorder};
use authority::oauth::OAuth;
use authority::{Authority, Keyring, Pepper};
use base::{Clock, Resolve, Secret, SystemClock};
use gateway::{Gate, GateParts, Metrics};
use protocol::dpop::{NONCE_STEP, NonceMaker};
use protocol::sign::{Signer, SigningKey};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use store::{Follower, Store, StoreUrl};

/// Shards at most: the shard's number is one byte of each request id.
const SHARDS: usize = 64;

/// What is open before anything serves.
pub(super) struct Opened {
    clock: Arc<dyn Clock>,
    store: Store,
    keyring: Keyring,
    ledger: Arc<Ledger>,
    recorders: Vec<Recorder>,
}

/// What serves, and what the rest is wired from.
pub(super) struct Started {
    pub(super) running: Running,
    pub(super) store: Store,
    pub(super) follower: Follower,
    pub(super) authority: Arc<Authority>,
    pub(super) resolve: Arc<dyn Resolve>,
}

/// Listens on the control address.
pub(super) async fn control_port(address: SocketAddr) -> Result<tokio::net::TcpListener, Failure> {
    tokio::net::TcpListener::bind(address).await.map_err(|error| match error.kind() {
        std::io::ErrorKind::AddrInUse => format!("{address} is taken by another program"),
        _ => format!("cannot listen on {address}: {error}"),
    })
}

/// Opens store, keys and ledger.
pub(super) async fn open(config: &Config, data: &Path) -> Result<Opened, Failure> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let store = open_store(config, data, clock.as_ref()).await?;
    let keyring = Keyring::open(data, &store, clock.as_ref()).await.map_err(text)?;
    let (node, seed) = (keyring.identity.node, keyring.identity.seed.clone());
    let options = LedgerOptions::new(data.join("ledger"), node, seed, clock.clone());
    let (ledger, recorders) = Ledger::open(options, shards()).map_err(text)?;
    Ok(Opened { clock, store, keyring, ledger: Arc::new(ledger), recorders })
}

/// Loads the state and starts the gate.
pub(super) async fn start(config: &Config, opened: Opened) -> Result<Started, Failure> {
    let Opened { clock, store, keyring, ledger, recorders } = opened;
    let node = keyring.identity.node;
    let events = Events::new(ledger.clone(), clock.clone(), node);
    let metrics = Arc::new(Metrics::new());
    let (loaded, follower) = follow::load(&store, &clock).await?;
    let compiled: Compiled = compile::compile(config, None, &metrics)?;
    let listeners = compiled.listeners.clone();
    let state = Arc::new(State::new(loaded, compiled));
    let resolve = resolver(config)?;
    let fetch = Arc::new(outbound::HttpFetch::new(resolve.clone(), None).map_err(text)?);
    let signer = Arc::new(assertion_signer(&keyring.identity.seed)?);
    let node_key = Arc::new(serde_json::Value::Object(signer.key().public().to_json()));
    let pepper = Arc::new(keyring.pepper);
    let registry = Arc::new(store.clone());
    let post = Post::new(config, resolve.clone(), clock.clone(), events.clone())?;
    let own = authority::oauth::Parts {
        store: registry.clone(),
        audit: registry.clone(),
        evidence: Arc::new(own::ToLedger(ledger.clone())),
        clock: clock.clone(),
        pepper: pepper.clone(),
        sealer: Arc::new(keyring.sealer),
        fetch: fetch.clone(),
        mail: post.mail(),
        node,
    };
    let oauth = begin_oauth(config, own, &state).await?;
    let issuers =
        Arc::new(issuers::Issuers::new(fetch, clock.clone(), events.clone(), oauth.clone()));
    issuers.configure(&config.issuers);
    let parts = GateParts {
        snapshots: state.snapshots.clone(),
        tools: tools(&pepper)?,
        counters: Arc::new(Limiter::new()),
        lookups: Arc::new(issuers::Port(issuers.clone())),
        sign_ins: Arc::new(sign_ins::Own::new(oauth.clone())),
        clock: clock.clone(),
        metrics: metrics.clone(),
        log: access_log(config)?,
        node,
        assertions: Some(signer),
        assertion_issuer: config.server.public_url.as_str().to_owned(),
        control: tokio::runtime::Handle::current(),
        ledger: ledger.clone(),
        recorders,
    };
    let gate = Arc::new(Gate::start(parts, &listeners).map_err(text)?);
    let authority = Arc::new(Authority::new(registry, clock.clone(), pepper.clone(), node));
    let running = Running {
        gate,
        state,
        issuers,
        metrics,
        events,
        ledger,
        clock,
        node,
        oauth,
        post,
        pepper,
        node_key,
        door: tokio::sync::watch::Sender::new(control::Door::default()),
    };
    Ok(Started { running, store, follower, authority, resolve })
}

/// What judging needs beside the state.
fn tools(pepper: &Pepper) -> Result<Tools, Failure> {
    Ok(Tools {
        fingerprints: Fingerprints::new().map_err(text)?,
        pepper: api_key::Pepper::new(pepper.bytes()),
        replays: Arc::new(Replays::new()),
        nonces: Arc::new(nonces(pepper)?),
        sessions: Sealer::new(pepper.bytes()).map_err(text)?,
    })
}

/// The authority, with the clients of the file and its keys; the gate knows these.
async fn begin_oauth(
    config: &Config,
    own: authority::oauth::Parts,
    state: &State,
) -> Result<Arc<OAuth>, Failure> {
    let pepper = own.pepper.clone();
    let oauth = Arc::new(OAuth::new(own, own::settings(config)));
    oauth.declare(own::clients(config, &pepper)?).map_err(text)?;
    oauth.start().await.map_err(text)?;
    oauth.end_vanished_clients().await.map_err(text)?;
    oauth.declare_people(&config.users).await.map_err(text)?;
    own::hand_over_keys(&oauth, state);
    Ok(oauth)
}

fn resolver(config: &Config) -> Result<Arc<dyn Resolve>, Failure> {
    let resolve = match config.server.resolver {
        Some(server) => outbound::DnsResolve::with_server(server),
        None => outbound::DnsResolve::system(),
    };
    Ok(Arc::new(resolve.map_err(text)?))
}

/// The keys at `/.well-known/jwks.json`: those that sign tokens, and the node's own, which signs assertions.
pub(super) fn published(oauth: &OAuth, node_key: &serde_json::Value) -> serde_json::Value {
    let mut set = oauth.jwks();
    if let Some(keys) = set.get_mut("keys").and_then(serde_json::Value::as_array_mut) {
        keys.push(node_key.clone());
    }
    set
}

async fn open_store(config: &Config, data: &Path, clock: &dyn Clock) -> Result<Store, Failure> {
    let url = match &config.server.store {
        config::Store::Sqlite => StoreUrl::Sqlite(data.join("portcullis.db")),
        config::Store::Postgres(url) => StoreUrl::parse(url.expose()).map_err(text)?,
    };
    Store::open(&url, clock.now()).await.map_err(text)
}

fn shards() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from).min(SHARDS)
}

/// The node's key signs assertions to upstreams; its public half is at `/.well-known/jwks.json`.
fn assertion_signer(seed: &Secret<[u8; 32]>) -> Result<Signer, Failure> {
    // RFC 8410 §7: the PKCS#8 of an Ed25519 key is a fixed head and the seed.
    const HEAD: [u8; 16] = [0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];
    let der = Secret::new([HEAD.as_slice(), seed.expose()].concat());
    let key = SigningKey::from_pkcs8(protocol::Algorithm::EdDsa, &der).map_err(text)?;
    Ok(Signer::new(Arc::new(key), "portcullis-assertion+jwt"))
}

/// Nonces of the gate's own: all nodes share the pepper, so each takes the others'.
fn nonces(pepper: &authority::Pepper) -> Result<NonceMaker, Failure> {
    let key = Secret::new(pepper.mac(b"gate\0dpop-nonce"));
    NonceMaker::new(&key, *NONCE_STEP.end()).map_err(text)
}
