//! `[[upstream]]`: the services behind the gate.

use super::pem::read_roots;
use super::problem::ProblemCode;
use super::reader::{Field, Named, Reader, Section};
use super::text::host_name;
use super::url::WebUrl;
use std::path::PathBuf;
use std::time::Duration;
use toml::de::DeValue;

/// Servers of one upstream; weighted round robin walks them.
const SERVERS: usize = 256;
/// The built-in echo service, which only the built-in configuration may name.
pub(super) const BUILTIN_ECHO: &str = "builtin:echo";
/// Idle connections kept for each server and shard unless said otherwise.
pub const DEFAULT_KEEP_ALIVE: u32 = 128;
/// The longest wait for an upstream.
pub(super) const LONGEST_WAIT: Duration = Duration::from_secs(3600);

/// One upstream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upstream {
    /// Its name, which routes refer to.
    pub name: String,
    /// `servers`: never empty.
    pub servers: Vec<UpstreamServer>,
    /// `protocol`: what is spoken to it. Default HTTP/1.1.
    pub protocol: UpstreamProtocol,
    /// `tls`: how its certificate is judged; only with `https` servers.
    pub tls: UpstreamTls,
    /// `assertion`: send it a signed `Portcullis-Assertion`. Default false.
    pub assertion: bool,
    /// `timeout`: from the end of the request to the head of its answer. Default 60 s.
    pub timeout: Duration,
    /// `connect_timeout`: for TCP and TLS together. Default 5 s.
    pub connect_timeout: Duration,
    /// `idle`: how long an unused connection is kept. Default 60 s.
    pub idle: Duration,
    /// `keep_alive`: unused connections kept for each server and shard. Default [`DEFAULT_KEEP_ALIVE`].
    pub keep_alive: u32,
    /// `retries`: further servers tried when no connection could be made, or when an idempotent request met
    /// a connection that had gone stale. Default 1, at most 5.
    pub retries: u32,
    /// `health`: active checks. Default none.
    pub health: Option<Health>,
}

/// One server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpstreamServer {
    /// Where it is.
    pub target: Target,
    /// `weight`: its share of the requests, 1 to 1000. Default 1.
    pub weight: u32,
}

/// Where a server is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// An origin: scheme, host, port.
    Url(WebUrl),
    /// The echo service inside the process.
    BuiltinEcho,
}

/// What is spoken to an upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UpstreamProtocol {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2: by ALPN over TLS, with prior knowledge in plain.
    Http2,
}

/// How an upstream's certificate is judged.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct UpstreamTls {
    /// `ca`: roots in PEM, instead of those of the system.
    pub ca: Option<PathBuf>,
    /// `server_name`: the name that the certificate must bear, instead of the URL's host.
    pub server_name: Option<String>,
}

/// Active health checks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    /// `path`: asked with GET; any 2xx or 3xx is healthy.
    pub path: String,
    /// `every`. Default 5 s.
    pub every: Duration,
    /// `timeout`. Default 2 s.
    pub timeout: Duration,
    /// `healthy`: good answers in a row until it is used again. Default 2.
    pub healthy: u32,
    /// `unhealthy`: bad answers in a row until it is no longer used. Default 3.
    pub unhealthy: u32,
}

/// Reads every `[[upstream]]`. `builtin` says whether the file is the built-in one.
pub(super) fn read_upstreams(
    reader: &mut Reader<'_>,
    root: &mut Section<'_>,
    builtin: bool,
) -> Vec<Upstream> {
    let sections = reader.tables(root, Named::Upstream);
    sections.into_iter().map(|section| read_upstream(reader, section, builtin)).collect()
}

fn read_upstream(reader: &mut Reader<'_>, mut section: Section<'_>, builtin: bool) -> Upstream {
    let name = reader.name(&mut section, Named::Upstream);
    let servers = section.require(reader, "servers", |reader, field| {
        let servers = reader.some(field, |reader, item| read_server(reader, item, builtin))?;
        if servers.len() > SERVERS {
            reader.problem(ProblemCode::Value, &field.at, format!("more than {SERVERS} servers"));
        }
        Some(servers)
    });
    let servers = servers.unwrap_or_default();
    let words = [("http1", UpstreamProtocol::Http1), ("h2", UpstreamProtocol::Http2)];
    let protocol = section.read(reader, "protocol", |reader, field| reader.word(field, &words));
    let secure =
        servers.iter().all(|server| matches!(&server.target, Target::Url(url) if url.is_https()));
    let tls = section.read(reader, "tls", |reader, field| read_tls(reader, field, secure));
    let assertion = section.read(reader, "assertion", Reader::boolean);
    let mut wait = |reader: &mut Reader<'_>, key, default| {
        let read = |reader: &mut Reader<'_>, field: &Field<'_>| {
            reader.duration(field, Duration::from_millis(10), LONGEST_WAIT)
        };
        section.read(reader, key, read).unwrap_or(Duration::from_secs(default))
    };
    let timeout = wait(reader, "timeout", 60);
    let connect_timeout = wait(reader, "connect_timeout", 5);
    let idle = wait(reader, "idle", 60);
    let keep_alive = count(reader, &mut section, "keep_alive", (0, 4096), DEFAULT_KEEP_ALIVE);
    let retries = count(reader, &mut section, "retries", (0, 5), 1);
    let health = section.read(reader, "health", read_health);
    section.finish(reader);
    Upstream {
        name,
        servers,
        protocol: protocol.unwrap_or(UpstreamProtocol::Http1),
        tls: tls.unwrap_or_default(),
        assertion: assertion.unwrap_or(false),
        timeout,
        connect_timeout,
        idle,
        keep_alive,
        retries,
        health,
    }
}

fn count(
    reader: &mut Reader<'_>,
    section: &mut Section<'_>,
    key: &'static str,
    (low, high): (u64, u64),
    default: u32,
) -> u32 {
    let read = section.read(reader, key, |reader, field| reader.integer(field, low, high));
    read.and_then(|count| u32::try_from(count).ok()).unwrap_or(default)
}

fn read_server(
    reader: &mut Reader<'_>,
    field: &Field<'_>,
    builtin: bool,
) -> Option<UpstreamServer> {
    match field.value {
        DeValue::String(text) if builtin && text == BUILTIN_ECHO => {
            Some(UpstreamServer { target: Target::BuiltinEcho, weight: 1 })
        }
        DeValue::String(_) => {
            let url = read_target(reader, field)?;
            Some(UpstreamServer { target: Target::Url(url), weight: 1 })
        }
        DeValue::Table(_) => {
            let mut table = reader.table(field)?;
            let url = table.require(reader, "url", read_target);
            let weight = count(reader, &mut table, "weight", (1, 1000), 1);
            table.finish(reader);
            Some(UpstreamServer { target: Target::Url(url?), weight })
        }
        _ => {
            reader.wrong_type(field, "a URL or { url = \"…\", weight = 1 }");
            None
        }
    }
}

fn read_target(reader: &mut Reader<'_>, field: &Field<'_>) -> Option<WebUrl> {
    let text = reader.text(field)?;
    let bare = !text.contains("://") && WebUrl::parse(&format!("http://{text}")).is_ok();
    if bare {
        let message = format!("{text:?} has no scheme");
        let hint = format!("write \"http://{text}\" or \"https://{text}\"");
        reader.hinted(ProblemCode::Value, &field.at, message, hint);
        return None;
    }
    reader.origin(field)
}

fn read_tls(reader: &mut Reader<'_>, field: &Field<'_>, secure: bool) -> Option<UpstreamTls> {
    let mut table = reader.table(field)?;
    let ca = table.read(reader, "ca", read_roots);
    let server_name = table.read(reader, "server_name", |reader, field| {
        let text = reader.text(field)?;
        let name = host_name(&text);
        if name.is_none() {
            reader.problem(ProblemCode::Value, &field.at, format!("{text:?} is not a host name"));
        }
        name
    });
    table.finish(reader);
    if !secure {
        let hint = "begin their URLs with https://, or leave `tls` out";
        let message = "`tls` is given, but not all servers are https";
        reader.hinted(ProblemCode::Conflict, &field.at, message, hint);
    }
    Some(UpstreamTls { ca, server_name })
}

fn read_health(reader: &mut Reader<'_>, field: &Field<'_>) -> Option<Health> {
    let mut table = reader.table(field)?;
    let path = table.require(reader, "path", |reader, field| {
        let text = reader.text(field)?;
        let sound =
            text.starts_with('/') && text.bytes().all(|b| (0x21..=0x7e).contains(&b) && b != b'#');
        if !sound {
            let message = "the path begins with `/` and has visible ASCII characters only";
            reader.problem(ProblemCode::Value, &field.at, message);
            return None;
        }
        Some(text)
    });
    let span = |reader: &mut Reader<'_>, field: &Field<'_>| {
        reader.duration(field, Duration::from_millis(100), LONGEST_WAIT)
    };
    let every = table.read(reader, "every", span).unwrap_or(Duration::from_secs(5));
    let timeout = table.read(reader, "timeout", span).unwrap_or(Duration::from_secs(2));
    let healthy = count(reader, &mut table, "healthy", (1, 100), 2);
    let unhealthy = count(reader, &mut table, "unhealthy", (1, 100), 3);
    table.finish(reader);
    Some(Health { path: path?, every, timeout, healthy, unhealthy })
}
