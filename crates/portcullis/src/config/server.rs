//! `[server]` and `[log]`.

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
    /// `store`: where the state is kept. Default SQLite in `data_dir`.
    pub store: Store,
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
            public_url: local_url(default_control.port()),
            control: default_control,
            store: Store::Sqlite,
            stale_limit: Duration::from_secs(30),
        };
    };
    let data_dir = section.read(reader, "data_dir", |reader, field| reader.text(field));
    let public_url = section.read(reader, "public_url", Reader::origin);
    let control = section.read(reader, "control", Reader::bind).unwrap_or(default_control);
    let store = section.read(reader, "store", read_store).unwrap_or(Store::Sqlite);
    let stale_limit = section.read(reader, "stale_limit", |reader, field| {
        reader.duration(field, Duration::from_secs(1), LONGEST_STALE)
    });
    section.read(reader, "role", read_role);
    section.not_available(
        reader,
        &[
            ("admin", "the console and /api share the address of `control`"),
            ("tls", "the control port speaks plain HTTP; keep it on a loopback address"),
            ("proxies", "the control port takes the socket's peer as the client"),
            ("shared", "counters and replay caches are in process"),
        ],
    );
    if !control.ip().is_loopback() {
        let message = "the control port speaks plain HTTP and is not on a loopback address";
        let at = section.at.clone();
        reader.hinted(ProblemCode::PlainCredential, &at, message, "bind it to 127.0.0.1 or [::1]");
    }
    section.finish(reader);
    Server {
        data_dir: reader.resolve(data_dir.as_deref().unwrap_or("data")),
        public_url: public_url.unwrap_or_else(|| local_url(control.port())),
        control,
        store,
        stale_limit: stale_limit.unwrap_or(Duration::from_secs(30)),
    }
}

/// `http://localhost:PORT`.
fn local_url(port: u16) -> WebUrl {
    WebUrl::on(false, "localhost", port)
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
