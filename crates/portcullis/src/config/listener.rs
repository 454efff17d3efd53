//! `[[listener]]`: where requests come in.

use super::pem::read_pair;
use super::problem::ProblemCode;
use super::reader::{At, Field, Named, Reader, Section};
use super::server::Server;
use super::url::WebUrl;
use ipnet::IpNet;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;
use toml::de::DeValue;

/// Listeners of one file; each costs a socket a shard.
const LISTENERS: usize = 64;
/// Connections a listener holds unless said otherwise; at about 2 KB idle each this is 32 MB.
pub const DEFAULT_CONNECTIONS: u32 = 16_384;
/// The share of them that one address holds unless said otherwise, as a divisor: four addresses fill a listener, and
/// a large office behind one still has thousands.
const ADDRESS_SHARE: u32 = 4;
/// Connections that one address may always hold: browsers open six, and tests a few dozen.
const ADDRESS_LEAST: u32 = 64;
/// Networks of trusted proxies; they are walked for each hop.
const TRUSTED: usize = 256;
/// The longest time-out of a listener.
const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// One listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listener {
    /// Its name.
    pub name: String,
    /// `bind`: the address it listens on.
    pub bind: SocketAddr,
    /// `public_url`: how callers reach it. Default from `bind` and `tls`; `0.0.0.0` becomes `localhost`.
    pub public_url: WebUrl,
    /// `tls`: certificate and key. Default none: plain HTTP.
    pub tls: Option<TlsFiles>,
    /// `proxies`: who may say where a request came from. Default: nobody.
    pub proxies: Option<Proxies>,
    /// `max_connections`: open at once, over all shards. Default [`DEFAULT_CONNECTIONS`].
    pub max_connections: u32,
    /// `max_connections_per_address`: those that one address (a /64 of IPv6) may hold; trusted proxies are not
    /// counted. Default a quarter, at least 64, never more than `max_connections`.
    pub max_per_address: u32,
    /// `timeouts`.
    pub timeouts: Timeouts,
    /// `http2`: offer HTTP/2 by ALPN. Default true; needs `tls`.
    pub http2: bool,
    /// `h2c`: take HTTP/2 with prior knowledge on a plain listener. Default false.
    pub h2c: bool,
}

/// Files of a certificate chain and its key, PEM.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TlsFiles {
    /// The chain, leaf first.
    pub cert: PathBuf,
    /// The private key.
    pub key: PathBuf,
}

/// Proxies in front of a listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proxies {
    /// `trusted`: networks whose word is taken. Empty trusts nobody.
    pub trusted: Vec<IpNet>,
    /// `header`: how they say it.
    pub header: AddressHeader,
}

/// How a proxy names the client's address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AddressHeader {
    /// `X-Forwarded-For`.
    XForwardedFor,
    /// `Forwarded` (RFC 7239).
    Forwarded,
    /// PROXY protocol, version 1 or 2, before the first byte of TLS or HTTP.
    ProxyProtocol,
}

/// How long a listener waits for a caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// `head`: from the first byte of a request (or of the connection) to the end of its headers. Default 10 s.
    pub head: Duration,
    /// `body`: between two pieces of a body. Default 30 s.
    pub body: Duration,
    /// `idle`: between two requests of a connection. Default 75 s.
    pub idle: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            head: Duration::from_secs(10),
            body: Duration::from_secs(30),
            idle: Duration::from_secs(75),
        }
    }
}

/// Reads every `[[listener]]`; without one there is nothing to serve.
pub(super) fn read_listeners(
    reader: &mut Reader<'_>,
    root: &mut Section<'_>,
    server: &Server,
) -> Vec<(Listener, At)> {
    let sections = reader.tables(root, Named::Listener);
    if sections.is_empty() {
        let hint = "add [[listener]] with name = \"api\" and bind = \"127.0.0.1:8000\"";
        reader.hinted(ProblemCode::Missing, &root.at, "no [[listener]] is declared", hint);
    }
    let mut taken = HashMap::from([(server.control, "server.control".to_owned())]);
    taken.extend(server.admin.map(|admin| (admin, "server.admin".to_owned())));
    let mut listeners = Vec::new();
    for section in sections {
        if listeners.len() == LISTENERS {
            let message = format!("more than {LISTENERS} listeners");
            reader.problem(ProblemCode::Value, &section.at, message);
            break;
        }
        let at = section.at.clone();
        listeners.extend(read_listener(reader, section, &mut taken).map(|listener| (listener, at)));
    }
    listeners
}

fn read_listener(
    reader: &mut Reader<'_>,
    mut section: Section<'_>,
    taken: &mut HashMap<SocketAddr, String>,
) -> Option<Listener> {
    let name = reader.name(&mut section, Named::Listener);
    let bind = section.require(reader, "bind", |reader, field| {
        let bind = reader.bind(field)?;
        check_taken(reader, field, bind, taken);
        Some(bind)
    });
    let public_url = section.read(reader, "public_url", Reader::origin);
    let has_tls = section.has("tls");
    // A `tls` that cannot be read is an error already; it must not also count as none.
    let tls = section.read(reader, "tls", read_tls).or_else(|| has_tls.then(TlsFiles::default));
    let proxies = section.read(reader, "proxies", read_proxies);
    let max_connections = section
        .read(reader, "max_connections", |reader, field| reader.integer(field, 1, 1_000_000));
    let max_per_address = section.read(reader, "max_connections_per_address", |reader, field| {
        reader.integer(field, 1, 1_000_000)
    });
    let timeouts = section.read(reader, "timeouts", read_timeouts).unwrap_or_default();
    let http2 = section.read(reader, "http2", Reader::boolean);
    let h2c_field = section.field("h2c");
    let h2c = h2c_field.as_ref().and_then(|field| reader.boolean(field)).unwrap_or(false);
    if let Some(field) = h2c_field.filter(|_| h2c && has_tls) {
        let hint = "over TLS, HTTP/2 is offered by ALPN; see `http2`";
        reader.hinted(ProblemCode::Conflict, &field.at, "`h2c` is for listeners without TLS", hint);
    }
    section.read(reader, "client_certificates", read_client_certificates);
    section.not_available(reader, &[("client_ca", "client certificates are not checked")]);
    section.finish(reader);
    let bind = bind?;
    let count = |read: Option<u64>| read.and_then(|count| u32::try_from(count).ok());
    let max_connections = count(max_connections).unwrap_or(DEFAULT_CONNECTIONS);
    let share = (max_connections / ADDRESS_SHARE).max(ADDRESS_LEAST);
    Some(Listener {
        name,
        bind,
        public_url: public_url.unwrap_or_else(|| default_url(bind, has_tls)),
        tls,
        proxies,
        max_connections,
        max_per_address: count(max_per_address).unwrap_or(share).min(max_connections),
        timeouts,
        http2: http2.unwrap_or(true),
        h2c,
    })
}

fn default_url(bind: SocketAddr, tls: bool) -> WebUrl {
    let ip = bind.ip();
    let host = if ip.is_unspecified() { "localhost".to_owned() } else { ip.to_string() };
    WebUrl::on(tls, &host, bind.port())
}

fn check_taken(
    reader: &mut Reader<'_>,
    field: &Field<'_>,
    bind: SocketAddr,
    taken: &mut HashMap<SocketAddr, String>,
) {
    let clash = taken.iter().find(|(other, _)| {
        other.port() == bind.port()
            && (other.ip() == bind.ip()
                || other.ip().is_unspecified()
                || bind.ip().is_unspecified())
    });
    if let Some((_, place)) = clash {
        let message = format!("{bind} is already taken by {place}");
        reader.hinted(ProblemCode::Conflict, &field.at, message, "choose another port");
    }
    taken.insert(bind, field.at.path.clone());
}

pub(super) fn read_tls(reader: &mut Reader<'_>, field: &Field<'_>) -> Option<TlsFiles> {
    let later = |reader: &mut Reader<'_>, what: &str| {
        let message = format!("{what} is not available yet");
        let hint = "write tls = { cert = \"server.pem\", key = \"server.key\" }";
        reader.hinted(ProblemCode::NotAvailable, &field.at, message, hint);
    };
    if let DeValue::String(text) = field.value {
        if text == "internal-ca" {
            later(reader, "the internal CA");
        } else {
            reader.wrong_type(field, "a table with `cert` and `key`");
        }
        return None;
    }
    let mut table = reader.table(field)?;
    if table.field("acme").is_some() {
        later(reader, "ACME");
        return None;
    }
    let pair = read_pair(reader, &mut table);
    table.finish(reader);
    pair.map(|(cert, key)| TlsFiles { cert, key })
}

fn read_client_certificates(reader: &mut Reader<'_>, field: &Field<'_>) -> Option<()> {
    let words = [("none", "none"), ("request", "request"), ("require", "require")];
    let word = reader.word(field, &words)?;
    if word != "none" {
        let message = "client certificates are not available yet";
        reader.problem(ProblemCode::NotAvailable, &field.at, message);
    }
    Some(())
}

pub(super) fn read_proxies(reader: &mut Reader<'_>, field: &Field<'_>) -> Option<Proxies> {
    let mut table = reader.table(field)?;
    let trusted = table.require(reader, "trusted", |reader, field| {
        let networks = reader.each(field, read_trusted)?;
        if networks.len() > TRUSTED {
            let message = format!("more than {TRUSTED} networks");
            reader.problem(ProblemCode::Value, &field.at, message);
        }
        Some(networks)
    });
    let header = table.require(reader, "header", |reader, field| {
        reader.word(
            field,
            &[
                ("x-forwarded-for", AddressHeader::XForwardedFor),
                ("forwarded", AddressHeader::Forwarded),
                ("proxy-protocol", AddressHeader::ProxyProtocol),
            ],
        )
    });
    table.finish(reader);
    Some(Proxies { trusted: trusted?, header: header? })
}

fn read_trusted(reader: &mut Reader<'_>, field: &Field<'_>) -> Option<IpNet> {
    let network = reader.network(field)?;
    if network.prefix_len() == 0 {
        let message = format!("{network} trusts everybody: any caller could claim any address");
        let hint = "name the networks of the proxies in front";
        reader.hinted(ProblemCode::FailOpen, &field.at, message, hint);
        return None;
    }
    Some(network)
}

fn read_timeouts(reader: &mut Reader<'_>, field: &Field<'_>) -> Option<Timeouts> {
    let mut table = reader.table(field)?;
    let default = Timeouts::default();
    let mut span = |reader: &mut Reader<'_>, key, default| {
        let read = |reader: &mut Reader<'_>, field: &Field<'_>| {
            reader.duration(field, Duration::from_millis(100), LONGEST)
        };
        table.read(reader, key, read).unwrap_or(default)
    };
    let timeouts = Timeouts {
        head: span(reader, "head", default.head),
        body: span(reader, "body", default.body),
        idle: span(reader, "idle", default.idle),
    };
    table.finish(reader);
    Some(timeouts)
}
