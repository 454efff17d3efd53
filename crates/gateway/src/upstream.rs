//! An upstream: its servers, which of them is up, and whose turn it is. Shared by all shards.

use crate::settings::UpstreamSettings;
use crate::tls::ClientTls;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

static IDS: AtomicU64 = AtomicU64::new(1);

/// Failures to connect in a row after which a server is left out for [`PASSIVE_MS`] (nginx: 1 and 10 s).
const PASSIVE_FAILURES: u32 = 3;
/// How long a server without active checks is left out.
const PASSIVE_MS: u64 = 5_000;

/// Why an upstream cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum UpstreamError {
    /// Its CA file cannot be used.
    #[error("upstream {name}: {reason}")]
    Tls {
        /// The upstream.
        name: Arc<str>,
        /// What is wrong.
        reason: String,
    },
}

/// An upstream.
#[derive(Debug)]
pub struct Upstream {
    /// What the file says.
    pub settings: UpstreamSettings,
    /// Unique in the process, for pools.
    pub(crate) id: u64,
    pub(crate) tls: Option<ClientTls>,
    /// What the CA file held when it was read.
    ca: Option<Vec<u8>>,
    servers: Vec<Server>,
}

#[derive(Debug)]
pub(crate) struct Server {
    /// By the active check; true until it says otherwise.
    pub(crate) healthy: AtomicBool,
    failures: AtomicU32,
    /// Milliseconds of the monotonic clock until which it is left out.
    out_until: AtomicU64,
    pub(crate) authority: String,
}

impl Upstream {
    /// Sets an upstream up.
    ///
    /// # Errors
    /// When its TLS settings cannot be used.
    pub fn new(settings: UpstreamSettings) -> Result<Self, UpstreamError> {
        // Read before the authorities are: where both differ, the next reload reads them again.
        let ca = ca(&settings);
        let tls = if settings.servers.iter().any(|server| server.tls) {
            Some(
                ClientTls::new(&settings.tls, settings.protocol)
                    .map_err(|reason| UpstreamError::Tls { name: settings.name.clone(), reason })?,
            )
        } else {
            None
        };
        let servers = settings.servers.iter().map(|server| Server {
            healthy: AtomicBool::new(true),
            failures: AtomicU32::new(0),
            out_until: AtomicU64::new(0),
            authority: server.authority(),
        });
        let servers = servers.collect();
        Ok(Self { id: IDS.fetch_add(1, Ordering::Relaxed), tls, ca, servers, settings })
    }

    /// Whether this is what these settings make now: the file of authorities may hold others than it did.
    pub fn is_as(&self, settings: &UpstreamSettings) -> bool {
        self.settings == *settings && self.ca == ca(settings)
    }

    pub(crate) fn server(&self, index: usize) -> Option<&Server> {
        self.servers.get(index)
    }

    /// `None` when there are several servers; else the one, within, if its active check holds.
    pub(crate) fn only(&self) -> Option<Option<usize>> {
        match self.servers.as_slice() {
            [server] => Some(server.healthy.load(Ordering::Relaxed).then_some(0)),
            _ => None,
        }
    }

    /// The next server by smooth weighted round robin over those that are up, leaving out `tried`.
    pub(crate) fn choose(
        &self,
        turn: &mut Vec<i64>,
        tried: &[usize],
        now_ms: u64,
    ) -> Option<usize> {
        turn.resize(self.servers.len(), 0);
        // Where all are passively out, better a try than a refusal; an active check is believed.
        for passive_too in [true, false] {
            let up = |index: usize, server: &Server| {
                server.healthy.load(Ordering::Relaxed)
                    && !tried.contains(&index)
                    && (!passive_too || server.out_until.load(Ordering::Relaxed) <= now_ms)
            };
            let mut total = 0i64;
            let mut best: Option<(usize, i64)> = None;
            for (index, server) in self.servers.iter().enumerate() {
                if !up(index, server) {
                    continue;
                }
                let weight = self.settings.servers.get(index).map_or(1, |it| i64::from(it.weight));
                total += weight;
                if let Some(credit) = turn.get_mut(index) {
                    *credit += weight;
                    if best.is_none_or(|(_, most)| *credit > most) {
                        best = Some((index, *credit));
                    }
                }
            }
            if let Some((index, _)) = best {
                if let Some(credit) = turn.get_mut(index) {
                    *credit -= total;
                }
                return Some(index);
            }
        }
        None
    }

    /// A connection could not be made.
    pub(crate) fn failed(&self, index: usize, now_ms: u64) {
        if let Some(server) = self.servers.get(index)
            && server.failures.fetch_add(1, Ordering::Relaxed) + 1 >= PASSIVE_FAILURES
        {
            server.out_until.store(now_ms.saturating_add(PASSIVE_MS), Ordering::Relaxed);
        }
    }

    /// A connection was made.
    pub(crate) fn succeeded(&self, index: usize) {
        if let Some(server) = self.servers.get(index)
            && server.failures.load(Ordering::Relaxed) != 0
        {
            server.failures.store(0, Ordering::Relaxed);
            server.out_until.store(0, Ordering::Relaxed);
        }
    }
}

fn ca(settings: &UpstreamSettings) -> Option<Vec<u8>> {
    std::fs::read(settings.tls.ca.as_ref()?).ok()
}
