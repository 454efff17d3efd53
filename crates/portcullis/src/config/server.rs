//! `[server]` and `[log]`.

use super::listener::{Proxies, TlsFiles, read_proxies, read_tls};
use super::problem::ProblemCode;
use super::reader::{Field, Reader, Section};
use super::url::WebUrl;
use base::Secret;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;
use toml::de::DeValue;

/// The longest time that a gate may serve without news of revocations.
const LONGEST_STALE: Duration = Duration::from_secs(3600);

/// `[server]`: the process and its control plane.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// `data_dir`: SQLite, ledger, sealed keys. Default `data`, beside the file.
    pub data_dir: PathBuf,
    /// `public_url`: the authority's issuer. Default: `http://localhost` and the port of `control`.
    pub public_url: WebUrl,
    /// `control`: where the control plane listens. Default `127.0.0.1:8001`.
    pub control: SocketAddr,
    /// `admin`: where console, API and metrics listen instead. Default: with the authority on `control`.
    pub admin: Option<SocketAddr>,
    /// `admin_url`: how `admin` is reached. Default: by its own address.
    pub admin_url: Option<WebUrl>,
    /// `tls`: certificate and key of `control` and `admin`. Default none: plain HTTP.
    pub tls: Option<TlsFiles>,
    /// `proxies`: who in front of them may say where a request came from. Default: nobody.
    pub proxies: Option<Proxies>,
    /// `store`: where the state is kept. Default SQLite in `data_dir`.
    pub store: Store,
    /// `resolver`: the one name server that is asked. Default: those of the system.
    pub resolver: Option<SocketAddr>,
    /// `stale_limit`: how long the gate serves without news of revocations. Default 30 s, at most 1 h.
    pub stale_limit: Duration,
}

/// Where the state is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Store {
    /// SQLite, a file in `data_dir`.
    Sqlite,
    /// PostgreSQL, by its URL, which may hold a password.
    Postgres(Secret<String>),
}

/// `[log]`: what the process says of itself. The ledger is apart from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    /// `level`. Default `info`.
    pub level: LogLevel,
    /// `access`: one JSON line for each request. Default `off`.
    pub access: AccessLog,
}

/// How much is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogLevel {
    /// Only what failed.
    Error,
    /// And what looks wrong.
    Warn,
    /// And what changed.
    Info,
    /// And what happens.
    Debug,
}

impl LogLevel {
    /// Its word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
        }
    }
}

/// Where the access log goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AccessLog {
    /// Nowhere.
    Off,
    /// Standard output.
    Stdout,
    /// A file, appended to.
    File(PathBuf),
}

/// Reads `[server]`, which may be absent.
pub(super) fn read_server(reader: &mut Reader<'_>, root: &mut Section<'_>) -> Server {
    let default_control = SocketAddr::from(([127, 0, 0, 1], 8001));
    let Some(mut section) = root.read(reader, "server", |reader, field| reader.table(field)) else {
        return Server {
            data_dir: reader.resolve("data"),
            public_url: local_url(default_control.port(), false),
            control: default_control,
            admin: None,
            admin_url: None,
            tls: None,
            proxies: None,
            store: Store::Sqlite,
            resolver: None,
            stale_limit: Duration::from_secs(30),
        };
    };
    let data_dir = section.read(reader, "data_dir", |reader, field| reader.text(field));
    let public_url = section.read(reader, "public_url", read_public);
    let control = section.read(reader, "control", Reader::bind).unwrap_or(default_control);
    let (admin, admin_url) = read_admin(reader, &mut section, control);
    let has_tls = section.has("tls");
    // A `tls` that cannot be read is an error already; it must not also count as none.
    let tls = section.read(reader, "tls", read_tls).or_else(|| has_tls.then(TlsFiles::default));
    let proxies = section.read(reader, "proxies", read_proxies);
    let store = section.read(reader, "store", read_store).unwrap_or(Store::Sqlite);
    let resolver = section.read(reader, "resolver", read_resolver);
    let stale_limit = section.read(reader, "stale_limit", |reader, field| {
        reader.duration(field, Duration::from_secs(1), LONGEST_STALE)
    });
    section.read(reader, "role", read_role);
    section.not_available(reader, &[("shared", "counters and replay caches are in process")]);
    let open = [Some(control), admin].into_iter().flatten().find(|it| !it.ip().is_loopback());
    let behind_proxy = proxies.as_ref().is_some_and(|it| !it.trusted.is_empty());
    if let Some(open) = open.filter(|_| tls.is_none() && !behind_proxy) {
        let message = format!("{open} takes passwords and tokens, and speaks plain HTTP");
        let hint = "add tls = { cert = \"…\", key = \"…\" }, bind to 127.0.0.1, or name the proxy in front";
        let at = section.at.clone();
        reader.hinted(ProblemCode::PlainCredential, &at, message, hint);
    }
    section.finish(reader);
    Server {
        data_dir: reader.resolve(data_dir.as_deref().unwrap_or("data")),
        public_url: public_url.unwrap_or_else(|| local_url(control.port(), tls.is_some())),
        control,
        admin,
        admin_url: admin_url.or_else(|| admin.map(|it| address_url(it, tls.is_some()))),
        tls,
        proxies,
        store,
        resolver,
        stale_limit: stale_limit.unwrap_or(Duration::from_secs(30)),
    }
}

/// How people and programs elsewhere reach it; over plain HTTP their passwords and tokens can be read on the way.
fn read_public(reader: &mut Reader<'_>, field: &Field<'_>) -> Option<WebUrl> {
    let url = reader.origin(field)?;
    if !url.is_https() && !url.is_loopback() {
        let message = "passwords and tokens go to a plain HTTP address";
        let hint = "write the https address of the gate, or of the proxy in front of it";
        reader.hinted(ProblemCode::PlainCredential, &field.at, message, hint);
    }
    Some(url)
}

/// `admin` and `admin_url`, which needs it.
fn read_admin(
    reader: &mut Reader<'_>,
    section: &mut Section<'_>,
    control: SocketAddr,
) -> (Option<SocketAddr>, Option<WebUrl>) {
    let has_admin = section.has("admin");
    let admin = section.read(reader, "admin", |reader, field| {
        let admin = reader.bind(field)?;
        if admin.port() == control.port() {
            let message = format!("{admin} is already taken by server.control");
            reader.hinted(ProblemCode::Conflict, &field.at, message, "choose another port");
        }
        Some(admin)
    });
    let url = section.read(reader, "admin_url", |reader, field| {
        let url = read_public(reader, field)?;
        if !has_admin {
            let message = "`admin_url` says how `admin` is reached, and there is none";
            reader.hinted(
                ProblemCode::Conflict,
                &field.at,
                message,
                "add admin = \"127.0.0.1:8002\"",
            );
        }
        Some(url)
    });
    (admin, url)
}

/// How an address is reached that nobody has named: by itself, or as `localhost`.
fn address_url(address: SocketAddr, tls: bool) -> WebUrl {
    let ip = address.ip();
    match ip.is_unspecified() || ip.is_loopback() {
        true => local_url(address.port(), tls),
        false => WebUrl::on(tls, &ip.to_string(), address.port()),
    }
}

/// `http://localhost:PORT`, or the same over TLS.
fn local_url(port: u16, tls: bool) -> WebUrl {
    WebUrl::on(tls, "localhost", port)
}

fn read_role(reader: &mut Reader<'_>, field: &Field<'_>) -> Option<()> {
    let role =
        reader.word(field, &[("all", "all"), ("gate", "gate"), ("authority", "authority")])?;
    if role != "all" {
        let message = format!("the role {role:?} is not available yet");
        reader.hinted(
            ProblemCode::NotAvailable,
            &field.at,
            message,
            "leave it out, or write \"all\"",
        );
    }
    Some(())
}

fn read_resolver(reader: &mut Reader<'_>, field: &Field<'_>) -> Option<SocketAddr> {
    let server = reader.bind(field)?;
    if server.ip().is_unspecified() || server.ip().is_multicast() {
        let hint = "write the name server's own address, such as \"127.0.0.1:53\"";
        reader.hinted(ProblemCode::Value, &field.at, "nobody can be asked there", hint);
        return None;
    }
    Some(server)
}

fn read_store(reader: &mut Reader<'_>, field: &Field<'_>) -> Option<Store> {
    let url = reader.secret(field)?;
    let text = url.expose();
    if text == "sqlite" {
        return Some(Store::Sqlite);
    }
    if text.starts_with("postgres://") || text.starts_with("postgresql://") {
        return Some(Store::Postgres(url));
    }
    let hint = "write \"postgres://user@host/database\", or leave it out for SQLite in data_dir";
    reader.hinted(ProblemCode::Value, &field.at, "not a PostgreSQL URL", hint);
    None
}

/// Reads `[log]`, which may be absent.
pub(super) fn read_log(reader: &mut Reader<'_>, root: &mut Section<'_>) -> Log {
    let default = Log { level: LogLevel::Info, access: AccessLog::Off };
    let Some(mut section) = root.read(reader, "log", |reader, field| reader.table(field)) else {
        return default;
    };
    let level = section.read(reader, "level", |reader, field| {
        reader.word(
            field,
            &[
                ("error", LogLevel::Error),
                ("warn", LogLevel::Warn),
                ("info", LogLevel::Info),
                ("debug", LogLevel::Debug),
            ],
        )
    });
    let access = section.read(reader, "access", read_access_log);
    section.finish(reader);
    Log { level: level.unwrap_or(default.level), access: access.unwrap_or(default.access) }
}

fn read_access_log(reader: &mut Reader<'_>, field: &Field<'_>) -> Option<AccessLog> {
    if let DeValue::Table(_) = field.value {
        let mut table = reader.table(field)?;
        let path = table.require(reader, "file", |reader, field| reader.text(field));
        table.finish(reader);
        return path.map(|path| AccessLog::File(reader.resolve(&path)));
    }
    let to_stdout = reader.word(field, &[("off", false), ("stdout", true)])?;
    Some(if to_stdout { AccessLog::Stdout } else { AccessLog::Off })
}
