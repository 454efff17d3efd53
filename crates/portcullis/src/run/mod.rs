//! `portcullis up`: everything wired together, started in order, stopped in order.

mod answers;
mod compile;
mod descriptors;
mod edge;
mod events;
mod follow;
mod issuers;
mod ledger;
mod names;
mod own;
mod post;
mod reload;
mod resources;
mod sign_ins;
mod start;
mod state;

use crate::cli::{Exit, UpArgs};
use crate::config::{self, Config};
use audit::Ledger;
use authority::Authority;
use authority::oauth::OAuth;
use base::{Clock, NodeId, code};
use control::{Api, ControlSocket, Door, Health, Parts, Up};
use events::Events;
use gateway::{AccessLog, Gate, Metrics};
use start::Started;
use state::State;
use std::io::{IsTerminal as _, Write};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use store::Store;

/// How long requests under way may take after SIGTERM.
const DRAIN: Duration = Duration::from_secs(30);
/// Threads of the control plane's runtime: requests of people and background work, never traffic.
const CONTROL_THREADS: usize = 2;
/// Why the gate did not start.
type Failure = String;

/// Runs `up` until it is told to stop.
pub fn up(args: &UpArgs, data: Option<&Path>, json: bool) -> Exit {
    let mut watched = reload::Watched::new(args.config.clone());
    let config = match read(watched.path()) {
        Ok(config) => config,
        Err(text) => {
            complain(&text, json);
            return Exit::Refused;
        }
    };
    logging(&config);
    descriptors::raise(&config);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(CONTROL_THREADS)
        .thread_name("control")
        .enable_all()
        .build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => {
            complain(&format!("no threads for the control plane: {error}"), json);
            return Exit::Refused;
        }
    };
    let data = data.unwrap_or(&config.server.data_dir).to_owned();
    watched.follow(&config);
    match runtime.block_on(run(config, watched, data, json)) {
        Ok(()) => Exit::Done,
        Err(text) => {
            complain(&text, json);
            Exit::Refused
        }
    }
}

fn complain(text: &str, json: bool) {
    if json {
        let text = serde_json::json!({ "error": text });
        eprintln!("{text}");
    } else {
        eprintln!("error: {text}");
    }
}

/// The configuration at `path`, or the built-in one.
fn read(path: Option<&Path>) -> Result<Config, Failure> {
    let report = match path {
        Some(path) => Config::load(path).map_err(|error| format!("{}: {error}", path.display()))?,
        None => Config::embedded_default(),
    };
    let file = path.unwrap_or(Path::new("built-in")).display().to_string();
    match report.config {
        Some(config) => Ok(config),
        None => {
            let problems: Vec<String> =
                report.problems.iter().map(|problem| problem.render(&file)).collect();
            Err(format!(
                "the configuration has mistakes; nothing was started\n{}",
                problems.join("\n")
            ))
        }
    }
}

fn logging(config: &Config) {
    use tracing_subscriber::EnvFilter;
    // A second start in one process (tests) finds a subscriber there already.
    let _ = tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new(config.log.level.as_str()))
        .with_writer(std::io::stderr)
        .try_init();
}

/// The data folder, for this user only.
fn data_folder(path: &Path) -> Result<(), Failure> {
    let failed = |error: std::io::Error| format!("{}: {error}", path.display());
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(failed)?;
    let mode = std::fs::metadata(path).map_err(failed)?.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o700)).map_err(failed)?;
    }
    Ok(())
}

fn text(error: impl std::fmt::Display) -> Failure {
    error.to_string()
}

/// Everything that runs.
struct Running {
    gate: Arc<Gate>,
    state: Arc<State>,
    issuers: Arc<issuers::Issuers>,
    metrics: Arc<Metrics>,
    events: Events,
    ledger: Arc<Ledger>,
    clock: Arc<dyn Clock>,
    node: NodeId,
    oauth: Arc<OAuth>,
    post: post::Post,
    pepper: Arc<authority::Pepper>,
    /// The node's own public key, a JWK: it signs assertions.
    node_key: Arc<serde_json::Value>,
    /// How the control plane's addresses are reached.
    door: tokio::sync::watch::Sender<Door>,
}

async fn run(
    config: Config,
    watched: reload::Watched,
    data: PathBuf,
    json: bool,
) -> Result<(), Failure> {
    let signals = reload::Signals::listen();
    data_folder(&data)?;
    // The socket comes first: it is what makes sure that no other gate runs on this folder.
    let socket = ControlSocket::open(&data).map_err(text)?;
    let ports = edge::listen(&config).await?;
    let door = edge::door(&config)?;
    let opened = start::open(&config, &data).await?;
    let Started { running, store, follower, authority, resolve } =
        start::start(&config, opened).await?;
    let applied = Arc::new(store::Applied::new());
    let health = Arc::new(Health::starting());
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let api = api(&running, authority, (&applied, &health), data.join("ledger"));
    let up = ready(&running.gate, &config.listeners, &ports, config.server.tls.is_some())?;
    running.door.send_replace(door);
    let door = running.door.subscribe();
    let mut servers = ports.serve(&running, (&config, door), &api, &stopped)?;
    servers.push(tokio::spawn(control::serve_socket(socket, api, stopped)));
    let watch = (config.server.stale_limit, health.clone(), up.clone());
    background(&running, (store.clone(), follower), applied, watch);
    let (state, clock) = (running.state.clone(), running.clock.clone());
    tokio::spawn(names::keep(state, resolve, clock, running.events.clone()));
    let setup_url = edge::first_link(&running.oauth, std::io::stdout().is_terminal()).await?;
    // INVARIANT: the link is printed and never kept: what /readyz answers is public.
    health.ready(up.clone());
    running.events.say(code::NODE_STARTED);
    let up = Up { setup_url, ..up };
    announce(&up, watched.path().is_none(), &data, json);
    reload::until_stopped(&running, config, watched, signals).await;
    health.unready(code::SHUTTING_DOWN.as_str());
    let left = running.gate.drain(DRAIN).await;
    if left > 0 {
        tracing::warn!(left, "connections were closed before they ended");
    }
    stop.send_replace(true);
    for server in servers {
        let _ = tokio::time::timeout(Duration::from_secs(10), server).await;
    }
    running.post.close().await;
    running.events.say(code::NODE_STOPPED);
    let ledger = running.ledger.clone();
    let closed = tokio::task::spawn_blocking(move || ledger.close()).await;
    store.close().await;
    closed.map_err(text)?.map_err(text)
}

/// The control plane's edge over everything.
fn api(
    running: &Running,
    authority: Arc<Authority>,
    (applied, health): (&Arc<store::Applied>, &Arc<Health>),
    ledger: PathBuf,
) -> Api {
    let (state, clock) = (running.state.clone(), running.clock.clone());
    Api::new(Parts {
        admin: authority,
        oauth: Some(running.oauth.clone()),
        applied: Arc::new(answers::InForce(applied.clone())),
        ledger: Arc::new(ledger::Reads::new(ledger, clock.clone())),
        ip_test: Arc::new(answers::Lists { state, clock }),
        witness: Arc::new(answers::Seen(running.events.clone())),
        mail: Arc::new(running.post.clone()),
        health: health.clone(),
        keys: {
            let (oauth, node_key) = (running.oauth.clone(), running.node_key.clone());
            Arc::new(move || start::published(&oauth, &node_key))
        },
        metrics: {
            let (metrics, ledger) = (running.metrics.clone(), running.ledger.clone());
            let post = running.post.clone();
            Arc::new(move || ledger::metrics(&metrics, &ledger, &post.metrics()))
        },
    })
}

/// Starts what runs beside.
fn background(
    running: &Running,
    (store, follower): (Store, store::Follower),
    applied: Arc<store::Applied>,
    watch: (Duration, Arc<Health>, Up),
) {
    let node = running.node;
    let (state, clock) = (running.state.clone(), running.clock.clone());
    let contact = Arc::new(Mutex::new(follower.contact()));
    tokio::spawn(follow::feed(
        store.clone(),
        follower,
        (state.clone(), applied, running.oauth.clone()),
        (clock.clone(), contact.clone()),
    ));
    tokio::spawn(own::tick(running.oauth.clone(), state.clone()));
    tokio::spawn(follow::watch(
        (state.clone(), running.oauth.clone()),
        clock.clone(),
        contact,
        watch,
    ));
    tokio::spawn(follow::drain(store.clone(), running.ledger.clone(), node, clock.clone()));
    tokio::spawn(follow::live(store, node, clock));
    tokio::spawn(issuers::keep(running.issuers.clone(), state));
}

fn access_log(config: &Config) -> Result<Option<AccessLog>, Failure> {
    let out: Box<dyn Write + Send> = match &config.log.access {
        config::AccessLog::Off => return Ok(None),
        config::AccessLog::Stdout => Box::new(std::io::stdout()),
        config::AccessLog::File(path) => Box::new(
            std::fs::OpenOptions::new()
                .create(true)
                .append(true)
                .open(path)
                .map_err(|error| format!("{}: {error}", path.display()))?,
        ),
    };
    AccessLog::start(out).map(Some).map_err(text)
}

/// Where everything is reached.
fn ready(
    gate: &Gate,
    listeners: &[config::Listener],
    ports: &edge::Ports,
    tls: bool,
) -> Result<Up, Failure> {
    let gateway = gate.bound().into_iter().map(|bound| {
        // WHY: `localhost` and 127.0.0.1 lead to the same port, and are two audiences, two resources and two `htu` of
        // a proof. What is printed is the one that the gate goes by.
        let own = listeners.iter().find(|it| *it.name == *bound.name).map(|it| &it.public_url);
        let own = own.filter(|it| it.is_loopback() && it.is_https() == bound.tls);
        if let Some(own) = own.filter(|it| it.port() == bound.address.port()) {
            return own.origin().to_owned();
        }
        let scheme = if bound.tls { "https" } else { "http" };
        format!("{scheme}://{}:{}", edge::shown(bound.address.ip()), bound.address.port())
    });
    let (control, admin) = ports.urls(tls)?;
    Ok(Up { gateway: gateway.collect(), control, admin, setup_url: None })
}

/// Says that the gate is ready, and what to type next.
fn announce(up: &Up, defaults: bool, data: &Path, json: bool) {
    let mut out = std::io::stdout().lock();
    let written = if json {
        serde_json::to_string(up).map_err(Into::into).and_then(|line| writeln!(out, "{line}"))
    } else {
        let gateway = up.gateway.join("  ");
        let mut text =
            format!("Portcullis is up.\n\n  gateway  {gateway}\n  control  {}\n", up.control);
        if let Some(admin) = &up.admin {
            text.push_str(&format!("  admin    {admin}\n"));
        }
        if let Some(link) = &up.setup_url {
            text.push_str(&format!(
                "\nNobody administers this gate yet. Set up the first account here; the link works once, \
                 within an hour:\n\n  {link}\n"
            ));
        }
        if defaults {
            let base = up.gateway.first().map_or("http://localhost:8000", String::as_str);
            let folder = match data == Path::new("data") {
                true => String::new(),
                false => format!(" --data {}", data.display()),
            };
            // As it was called, so that what is printed can be typed as it stands.
            let program = std::env::args().next().filter(|it| it.contains('/'));
            let program = program.as_deref().unwrap_or("portcullis");
            text.push_str(&format!(
                "\nTry it, in another terminal:\n\n  \
                 curl -i {base}/echo/hello\n      401, and it says what is missing\n\n  \
                 KEY=$({program} key create --name first --scope echo:read{folder} | head -1)\n      \
                 makes an API key; it is shown this once\n\n  \
                 curl -i {base}/echo/hello -H \"Authorization: Bearer $KEY\"\n      \
                 200, with what an upstream would be told\n"
            ));
        }
        writeln!(out, "{text}")
    };
    // A closed standard output does not stop the gate.
    let _ = written.and_then(|()| out.flush());
}
