//! What the configuration says to the data plane, compiled.

use crate::hygiene;
use crate::metrics::RouteMetrics;
use crate::upstream::Upstream;
use access::address::{AddressHeader, TrustedProxies};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// How long a connection may take, and how often it may wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// From the first byte of a head to its last, and for the TLS handshake.
    pub head: Duration,
    /// Between two bytes of a body, and for the caller to take what we send.
    pub body: Duration,
    /// Between two requests.
    pub idle: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self { head: seconds(10), body: seconds(30), idle: seconds(75) }
    }
}

/// Which proxies in front are believed, and what.
#[derive(Debug, Clone)]
pub struct Proxies {
    /// Their addresses; empty: nobody.
    pub trusted: TrustedProxies,
    /// What they send.
    pub header: ProxyHeader,
}

/// What trusted proxies send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProxyHeader {
    /// A header of each request.
    Header(AddressHeader),
    /// The PROXY protocol, once at the start of a connection.
    ProxyProtocol,
}

/// Certificate and key of a listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate chain, PEM.
    pub cert: PathBuf,
    /// The private key, PEM.
    pub key: PathBuf,
}

/// The origin under which callers know a listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicOrigin {
    /// Whether it is reached over TLS.
    pub https: bool,
    /// Host name or address; IPv6 without brackets.
    pub host: Box<str>,
    /// The port, unless it is the scheme's own.
    pub port: Option<u16>,
}

impl PublicOrigin {
    /// Where the authority sends browsers back to, on another host where one is given.
    pub fn callback(&self, host: Option<&str>) -> String {
        self.url(host, crate::browser::CALLBACK)
    }

    /// The URL of a canonical path, on another host where one is given.
    pub(crate) fn url(&self, host: Option<&str>, path: &str) -> String {
        let scheme = if self.https { "https" } else { "http" };
        let host = host.unwrap_or(&self.host);
        let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
        let port = self.port.map(|port| format!(":{port}")).unwrap_or_default();
        format!("{scheme}://{host}{port}{path}")
    }
}

/// One listener.
#[derive(Debug, Clone)]
pub struct ListenerSettings {
    /// Its name.
    pub name: Arc<str>,
    /// Where it listens.
    pub bind: SocketAddr,
    /// What callers call it.
    pub public: PublicOrigin,
    /// TLS, if any.
    pub tls: Option<TlsFiles>,
    /// Proxies in front.
    pub proxies: Proxies,
    /// Connections held at once, over all shards.
    pub max_connections: usize,
    /// Those among them that one address may hold (a /64 of IPv6); trusted proxies are not counted.
    pub max_per_address: usize,
    /// Time-outs.
    pub timeouts: Timeouts,
    /// Whether HTTP/2 is offered by ALPN.
    pub http2: bool,
    /// Whether HTTP/2 without TLS is taken, by prior knowledge.
    pub h2c: bool,
}

/// How an upstream is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UpstreamProtocol {
    /// HTTP/1.1
    Http1,
    /// HTTP/2: by ALPN over TLS, by prior knowledge without.
    Http2,
}

/// One server of an upstream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerSettings {
    /// Whether TLS is spoken.
    pub tls: bool,
    /// Host name or address.
    pub host: String,
    /// Port.
    pub port: u16,
    /// Its share, 1 to 1000.
    pub weight: u32,
    /// The built-in echo instead of a server.
    pub echo: bool,
}

impl ServerSettings {
    /// `host` or `host:port` as it goes into a `Host` header.
    pub fn authority(&self) -> String {
        let default = if self.tls { 443 } else { 80 };
        let host =
            if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        if self.port == default { host } else { format!("{host}:{}", self.port) }
    }
}

/// TLS towards an upstream.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct UpstreamTls {
    /// A file of CA certificates instead of the system's.
    pub ca: Option<PathBuf>,
    /// The name that the certificate must bear instead of the host.
    pub server_name: Option<String>,
}

/// Active health checks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HealthSettings {
    /// The path asked; a 2xx or 3xx is healthy.
    pub path: String,
    /// How often.
    pub every: Duration,
    /// How long it may take.
    pub timeout: Duration,
    /// Good answers in a row until a server is taken back.
    pub healthy: u32,
    /// Bad answers in a row until it is left out.
    pub unhealthy: u32,
}

/// One upstream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpstreamSettings {
    /// Its name.
    pub name: Arc<str>,
    /// Its servers; never empty.
    pub servers: Vec<ServerSettings>,
    /// How they are spoken to.
    pub protocol: UpstreamProtocol,
    /// TLS.
    pub tls: UpstreamTls,
    /// Whether each request carries a signed assertion.
    pub assertion: bool,
    /// To the first byte of the answer's head.
    pub timeout: Duration,
    /// To make a connection.
    pub connect_timeout: Duration,
    /// Further servers tried when no connection can be made.
    pub retries: u32,
    /// Active checks.
    pub health: Option<HealthSettings>,
    /// Idle connections kept per shard and server.
    pub keep_alive: usize,
    /// How long an idle connection is kept.
    pub idle: Duration,
}

/// What `Host` the upstream sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum HostHeader {
    /// The server's own.
    #[default]
    Upstream,
    /// The caller's.
    Keep,
}

/// Headers set and removed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HeaderRules {
    /// Set, replacing what was there.
    pub set: Vec<(Box<str>, Box<str>)>,
    /// Removed.
    pub remove: Vec<Box<str>>,
}

impl HeaderRules {
    /// Whether `name` is set or removed, in this or another spelling that an upstream reads as the same: what the
    /// operator sets must not stand beside what the caller would have it be.
    pub(crate) fn touches(&self, name: &[u8]) -> bool {
        let is = |other: &str| hygiene::reads_as(name, other.as_bytes());
        self.remove.iter().any(|other| is(other)) || self.set.iter().any(|(other, _)| is(other))
    }
}

/// Cross-origin rules of a route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CorsSettings {
    /// Origins, or `*`.
    pub origins: Vec<String>,
    /// Headers that scripts may send.
    pub headers: Vec<String>,
    /// Whether cookies and the like may come along.
    pub credentials: bool,
    /// How long a preflight may be kept.
    pub max_age: Duration,
}

/// What the gateway does for a route once it may pass.
#[derive(Debug)]
pub struct Act {
    /// Where it goes.
    pub upstream: Arc<Upstream>,
    /// Taken off the front of the path; `None`: nothing.
    pub strip_prefix: Option<Box<str>>,
    /// `Host` towards the upstream.
    pub host_header: HostHeader,
    /// Request headers.
    pub request_headers: HeaderRules,
    /// Response headers.
    pub response_headers: HeaderRules,
    /// Cross-origin rules.
    pub cors: Option<CorsSettings>,
    /// Bytes of request body at most; `None`: any.
    pub max_body: Option<u64>,
    /// Instead of the upstream's time-out.
    pub timeout: Option<Duration>,
    /// Whether the caller's credential goes on.
    pub forward_credential: bool,
    /// The methods of the route, for preflights; `None`: any.
    pub methods: Option<Vec<String>>,
    /// Whether the route is found by its host, so that the host of a request is one that it names.
    pub by_host: bool,
    /// Where the metadata of its protected resource lies (RFC 9728), for challenges.
    pub metadata_url: Option<Box<str>>,
    /// The route's counters.
    pub metrics: RouteMetrics,
}
