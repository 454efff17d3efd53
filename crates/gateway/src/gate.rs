//! The gate as a whole: shards started, listeners opened and replaced, drained at the end.

use crate::assertion::Assertions;
use crate::browser::SignIns;
use crate::health;
use crate::live::LiveIndex;
use crate::log::AccessLog;
use crate::lookup::Lookups;
use crate::metrics::Metrics;
use crate::place::Crowd;
use crate::pool::Pool;
use crate::settings::{Act, ListenerSettings};
use crate::shard::{self, IdleIndex, Order, Shard};
use crate::tls::ServerTls;
use access::Snapshots;
use access::limit::Counters;
use access::schemes::Tools;
use access::verified::VerifiedCache;
use arc_swap::{ArcSwap, ArcSwapOption};
use audit::{Ledger, Recorder};
use base::{Clock, NodeId, RequestIds};
use protocol::sign::Signer;
use socket2::{Domain, Protocol, Socket, Type};
use std::cell::RefCell;
use std::net::{SocketAddr, TcpListener};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::{mpsc, watch};

/// Connections that wait to be taken by a shard (the system may hold fewer: `net.core.somaxconn`).
const BACKLOG: i32 = 4096;

/// What the gate is built from.
#[derive(Debug)]
pub struct GateParts {
    /// The state.
    pub snapshots: Arc<Snapshots<Act>>,
    /// Fingerprints and pepper.
    pub tools: Tools,
    /// Where limits count.
    pub counters: Arc<dyn Counters>,
    /// Who asks issuers.
    pub lookups: Arc<dyn Lookups>,
    /// Who asks the authority about people in browsers.
    pub sign_ins: Arc<dyn SignIns>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// The metrics.
    pub metrics: Arc<Metrics>,
    /// The access log, where asked.
    pub log: Option<AccessLog>,
    /// This node.
    pub node: NodeId,
    /// Signs assertions to upstreams.
    pub assertions: Option<Arc<Signer>>,
    /// The `iss` of assertions.
    pub assertion_issuer: String,
    /// The control plane's runtime, for health checks.
    pub control: tokio::runtime::Handle,
    /// For what the gate itself has to say.
    pub ledger: Arc<Ledger>,
    /// One for each shard.
    pub recorders: Vec<Recorder>,
}

/// Why the gate cannot start or take a new configuration.
#[derive(Debug, thiserror::Error)]
pub enum GateError {
    /// Somebody else listens there.
    #[error("{address} is taken by another program")]
    Taken {
        /// Where.
        address: SocketAddr,
    },
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// Certificate or key cannot be used.
    #[error("listener {name}: {reason}")]
    Tls {
        /// The listener.
        name: Arc<str>,
        /// What is wrong.
        reason: String,
    },
    /// No thread, or no randomness.
    #[error("cannot start a shard: {0}")]
    Shard(String),
}

/// A listener and where it really listens.
#[derive(Debug, Clone)]
pub struct Bound {
    /// Its name.
    pub name: Arc<str>,
    /// The address, with the port that the system chose where 0 was asked.
    pub address: SocketAddr,
    /// Whether it speaks TLS.
    pub tls: bool,
}

/// What all shards share.
#[derive(Debug)]
pub(crate) struct GateShared {
    pub(crate) snapshots: Arc<Snapshots<Act>>,
    pub(crate) tools: Tools,
    pub(crate) counters: Arc<dyn Counters>,
    pub(crate) lookups: Arc<dyn Lookups>,
    pub(crate) sign_ins: Arc<dyn SignIns>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) log: ArcSwap<Option<AccessLog>>,
    pub(crate) node: NodeId,
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) assertion_issuer: String,
    pub(crate) open: AtomicUsize,
    draining: AtomicBool,
}

impl GateShared {
    pub(crate) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }
}

/// One listener, across reloads.
#[derive(Debug)]
pub(crate) struct Listener {
    settings: ArcSwap<ListenerSettings>,
    tls: ArcSwapOption<ServerTls>,
    pub(crate) open: AtomicUsize,
    pub(crate) crowd: Crowd,
    pub(crate) closed: watch::Sender<bool>,
    /// Counts how often what its connections were made under has ended: TLS, the way they name their caller, or
    /// the listener itself.
    epoch: AtomicU32,
    bound: SocketAddr,
}

impl Listener {
    pub(crate) fn settings(&self) -> arc_swap::Guard<Arc<ListenerSettings>> {
        self.settings.load()
    }

    /// A connection of another epoch than this ends with its request.
    pub(crate) fn epoch(&self) -> u32 {
        self.epoch.load(Ordering::Relaxed)
    }

    pub(crate) fn tls(&self) -> Option<Arc<ServerTls>> {
        self.tls.load_full()
    }

    fn describe(&self) -> Bound {
        let settings = self.settings.load();
        Bound { name: settings.name.clone(), address: self.bound, tls: settings.tls.is_some() }
    }
}

/// The running gate.
#[derive(Debug)]
pub struct Gate {
    shared: Arc<GateShared>,
    orders: Vec<mpsc::UnboundedSender<Order>>,
    listeners: Mutex<Vec<Arc<Listener>>>,
    health: tokio::task::JoinHandle<()>,
}

impl Gate {
    /// Starts a shard for each recorder and opens the listeners.
    ///
    /// # Errors
    /// [`GateError`]; nothing is left running then.
    pub fn start(parts: GateParts, listeners: &[ListenerSettings]) -> Result<Self, GateError> {
        let shared = Arc::new(GateShared {
            snapshots: parts.snapshots,
            tools: parts.tools,
            counters: parts.counters,
            lookups: parts.lookups,
            sign_ins: parts.sign_ins,
            clock: parts.clock,
            metrics: parts.metrics,
            log: ArcSwap::from_pointee(parts.log),
            node: parts.node,
            ledger: parts.ledger,
            assertion_issuer: parts.assertion_issuer,
            open: AtomicUsize::new(0),
            draining: AtomicBool::new(false),
        });
        let mut opened = Vec::new();
        for settings in listeners {
            opened.push(open(settings, parts.recorders.len())?);
        }
        let mut orders = Vec::new();
        for (number, recorder) in parts.recorders.into_iter().enumerate() {
            orders.push(spawn(number, shared.clone(), recorder, parts.assertions.clone())?);
        }
        let health = parts.control.spawn(health::run(shared.clone()));
        let gate = Self { shared, orders, listeners: Mutex::default(), health };
        for (listener, sockets) in opened {
            gate.listen(listener, sockets);
        }
        Ok(gate)
    }

    fn listen(&self, listener: Arc<Listener>, sockets: Vec<TcpListener>) {
        for (orders, socket) in self.orders.iter().zip(sockets) {
            // A shard that is gone took its connections with it; nothing is left to tell it.
            let _ = orders.send(Order::Listen(listener.clone(), socket));
        }
        self.lock().push(listener);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Arc<Listener>>> {
        self.listeners.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Where the gate listens.
    pub fn bound(&self) -> Vec<Bound> {
        self.lock().iter().map(|listener| listener.describe()).collect()
    }

    /// Takes a new set of listeners. Those whose address stays keep their sockets and connections; certificates
    /// are read again.
    ///
    /// # Errors
    /// [`GateError`]; the running listeners stay as they are.
    pub fn reload(&self, listeners: &[ListenerSettings]) -> Result<(), GateError> {
        let mut plans = Vec::new();
        let running = self.lock().clone();
        for settings in listeners {
            let kept = running.iter().find(|it| it.settings.load().bind == settings.bind);
            match kept {
                Some(listener) => {
                    plans.push((Some((listener.clone(), tls(settings)?)), settings, None))
                }
                None => plans.push((None, settings, Some(open(settings, self.orders.len())?))),
            }
        }
        let mut next = Vec::new();
        for (kept, settings, opened) in plans {
            if let Some((listener, tls)) = kept {
                let before = listener.settings.load_full();
                listener.tls.store(tls.map(Arc::new));
                listener.settings.store(Arc::new(settings.clone()));
                // What is settled when a connection is made cannot change under it.
                if before.tls.is_some() != settings.tls.is_some()
                    || before.proxies.header != settings.proxies.header
                {
                    listener.epoch.fetch_add(1, Ordering::Relaxed);
                }
                next.push(listener);
            } else if let Some((listener, sockets)) = opened {
                self.listen(listener.clone(), sockets);
                next.push(listener);
            }
        }
        for listener in &running {
            if !next.iter().any(|it| Arc::ptr_eq(it, listener)) {
                listener.epoch.fetch_add(1, Ordering::Relaxed);
                listener.closed.send_replace(true);
            }
        }
        *self.lock() = next;
        for orders in &self.orders {
            let _ = orders.send(Order::Wake);
        }
        Ok(())
    }

    /// Replaces the access log.
    pub fn replace_log(&self, log: Option<AccessLog>) {
        self.shared.log.store(Arc::new(log));
    }

    /// Connections open now.
    pub fn connections(&self) -> usize {
        self.shared.open.load(Ordering::Relaxed)
    }

    /// Stops listening, lets requests under way end, and closes idle connections; for at most `patience`.
    /// Returns how many connections were left.
    pub async fn drain(&self, patience: Duration) -> usize {
        self.shared.draining.store(true, Ordering::Relaxed);
        for listener in self.lock().iter() {
            listener.closed.send_replace(true);
        }
        let end = tokio::time::Instant::now() + patience;
        while self.connections() > 0 && tokio::time::Instant::now() < end {
            for orders in &self.orders {
                let _ = orders.send(Order::Wake);
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        self.health.abort();
        self.connections()
    }
}

fn tls(settings: &ListenerSettings) -> Result<Option<ServerTls>, GateError> {
    settings
        .tls
        .as_ref()
        .map(|files| ServerTls::new(files, settings.http2))
        .transpose()
        .map_err(|reason| GateError::Tls { name: settings.name.clone(), reason })
}

type Opened = (Arc<Listener>, Vec<TcpListener>);

fn open(settings: &ListenerSettings, shards: usize) -> Result<Opened, GateError> {
    let tls = tls(settings)?;
    // WHY: with SO_REUSEPORT a second gate would silently share the port; so it is probed without first.
    let probe = bind(settings.bind, false)?;
    let address = probe
        .local_addr()
        .map_err(|source| GateError::Listen { address: settings.bind, source })?;
    drop(probe);
    let sockets: Result<Vec<_>, _> = (0..shards).map(|_| bind(address, true)).collect();
    let listener = Listener {
        settings: ArcSwap::from_pointee(settings.clone()),
        tls: ArcSwapOption::from(tls.map(Arc::new)),
        open: AtomicUsize::new(0),
        crowd: Crowd::default(),
        closed: watch::Sender::new(false),
        epoch: AtomicU32::new(0),
        bound: address,
    };
    Ok((Arc::new(listener), sockets?))
}

fn bind(address: SocketAddr, reuse_port: bool) -> Result<TcpListener, GateError> {
    let failed = |source: std::io::Error| match source.kind() {
        std::io::ErrorKind::AddrInUse => GateError::Taken { address },
        _ => GateError::Listen { address, source },
    };
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))
        .map_err(failed)?;
    socket.set_reuse_address(true).map_err(failed)?;
    if reuse_port {
        socket.set_reuse_port(true).map_err(failed)?;
    }
    socket.bind(&address.into()).map_err(failed)?;
    socket.listen(BACKLOG).map_err(failed)?;
    socket.set_nonblocking(true).map_err(failed)?;
    Ok(socket.into())
}

fn spawn(
    number: usize,
    gate: Arc<GateShared>,
    recorder: Recorder,
    assertions: Option<Arc<Signer>>,
) -> Result<mpsc::UnboundedSender<Order>, GateError> {
    let shard_error = |error: &dyn std::fmt::Display| GateError::Shard(error.to_string());
    let number_byte = u8::try_from(number).map_err(|error| shard_error(&error))?;
    let ids = RequestIds::new(gate.node, number_byte).map_err(|error| shard_error(&error))?;
    let (orders, received) = mpsc::unbounded_channel();
    std::thread::Builder::new()
        .name(format!("shard-{number}"))
        .spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build_local(Default::default());
            let runtime = match runtime {
                Ok(runtime) => runtime,
                Err(error) => {
                    tracing::error!(%error, number, "a shard has no runtime");
                    return;
                }
            };
            let shard = Rc::new(Shard {
                gate,
                cache: VerifiedCache::default(),
                recorder,
                ids,
                pool: Pool::default(),
                live: LiveIndex::default(),
                idle: IdleIndex::default(),
                dates: RefCell::default(),
                assertions: Assertions::new(assertions),
            });
            runtime.block_on(shard::run(shard, received));
        })
        .map_err(|error| shard_error(&error))?;
    Ok(orders)
}
