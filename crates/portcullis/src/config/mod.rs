//! The configuration file: TOML text in, a typed [`Config`] or a list of [`Problem`]s out.
//!
//! Owns: the meaning of every key, its bounds and its default, and the places where secrets come from.
//!
//! Never does: start anything, use the network, or stop at the first mistake.
//!
//! Invariants: a [`Config`] exists only for a file without errors; keys that are unknown or not built yet are
//! errors, never ignored; no problem shows a secret.

mod address;
mod authority;
mod header;
mod issuer;
mod lint;
mod listener;
mod mail;
mod mfa;
mod pem;
mod problem;
mod provider;
mod reader;
mod route;
mod rule;
mod secret;
mod self_service;
mod server;
mod session;
mod sign_in;
mod syntax;
#[cfg(test)]
mod tests;
mod text;
mod typed;
mod upstream;
mod url;
mod user;
mod value;

pub use ::authority::people::Policy as SignIn;
pub use access::iplist::Entry as IpEntry;
pub use access::issuer::KeySource;
pub use access::limit::{By, Rate};
pub use access::table::{HostPattern, MethodSet, PathPattern};
pub use address::IpList;
pub use authority::{Authority, Client, ClientAuth, Profile, Registration};
pub use header::{Cors, HeaderRules, Origins};
pub use issuer::{Introspection, Issuer};
pub use listener::{AddressHeader, DEFAULT_CONNECTIONS, Listener, Proxies, Timeouts, TlsFiles};
pub use mail::Mail;
pub use mfa::Mfa;
pub(crate) use mfa::compile as compile_mfa;
pub use problem::{PROBLEMS, Problem, ProblemCode, Severity};
pub use protocol::jws::{Algorithm, AlgorithmSet};
pub use route::{AuditLevel, DEFAULT_MAX_BODY, HostHeader, Route, Shadow};
pub use rule::{Access, ApiKeyRule, ClaimRule, ClaimValue, JwtRule, Rule, SELF};
pub use secret::{FILE_BYTES, Nothing, Surroundings, System};
pub use server::{AccessLog, Log, LogLevel, Server, Store};
pub use session::SessionRule;
pub use text::parse_duration;
pub use upstream::{
    DEFAULT_KEEP_ALIVE, Health, Target, Upstream, UpstreamProtocol, UpstreamServer, UpstreamTls,
};
pub use url::WebUrl;

use lint::Places;
use reader::{At, Reader, Section};
use std::io::{self, Read};
use std::path::Path;
use toml::de::DeTable;

/// Bytes of a configuration file. 100,000 networks take 2 MB, 10,000 routes about 3.
pub const CONFIG_BYTES: u64 = 32 << 20;

/// The configuration of `portcullis up` without a file (design §3).
pub const EMBEDDED: &str = include_str!("embedded.toml");

/// One whole, valid configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// `[server]`.
    pub server: Server,
    /// `[log]`.
    pub log: Log,
    /// `[authority]`.
    pub authority: Authority,
    /// `[[client]]`.
    pub clients: Vec<Client>,
    /// `[[user]]`.
    pub users: Vec<::authority::oauth::DeclaredPerson>,
    /// `[[sign_in]]`: how people must sign in.
    pub sign_in: Vec<SignIn>,
    /// `[[provider]]`: where else people may sign in.
    pub providers: Vec<::authority::oauth::federation::Provider>,
    /// `[mail]`; without it messages are kept in memory.
    pub mail: Option<Mail>,
    /// `[[listener]]`; at least one.
    pub listeners: Vec<Listener>,
    /// `[[issuer]]`.
    pub issuers: Vec<Issuer>,
    /// `[[ip_list]]`.
    pub ip_lists: Vec<IpList>,
    /// `[[upstream]]`.
    pub upstreams: Vec<Upstream>,
    /// `[[route]]`, in the order of the file.
    pub routes: Vec<Route>,
}

/// What reading a file gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The configuration, when there is no error.
    pub config: Option<Config>,
    /// Errors and warnings in the order of the file.
    pub problems: Vec<Problem>,
}

impl Report {
    /// How many problems are errors.
    pub fn errors(&self) -> usize {
        self.problems.iter().filter(|problem| problem.is_error()).count()
    }
}

impl Config {
    /// Reads a file.
    ///
    /// # Errors
    /// When the file cannot be read, is not UTF-8, or is larger than [`CONFIG_BYTES`]. Mistakes in it are in
    /// the report.
    pub fn load(path: &Path) -> io::Result<Report> {
        let mut text = String::new();
        std::fs::File::open(path)?.take(CONFIG_BYTES + 1).read_to_string(&mut text)?;
        if text.len() as u64 > CONFIG_BYTES {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, "larger than 32 MiB"));
        }
        Ok(Self::read(&text, path.parent().unwrap_or(Path::new("")), &System))
    }

    /// Reads a text whose relative paths start at `base`.
    pub fn read(text: &str, base: &Path, around: &dyn Surroundings) -> Report {
        read(text, Reader::new(text, base, around), false)
    }

    /// The configuration of `portcullis up` without a file. It has no errors; a test says so.
    pub fn embedded_default() -> Report {
        read(EMBEDDED, Reader::new(EMBEDDED, Path::new(""), &Nothing), true)
    }

    /// The upstream of that name.
    pub fn upstream(&self, name: &str) -> Option<&Upstream> {
        self.upstreams.iter().find(|upstream| upstream.name == name)
    }
}

fn read(text: &str, mut reader: Reader<'_>, builtin: bool) -> Report {
    let (document, errors) = DeTable::parse_recoverable(text);
    for error in &errors {
        let at = At { span: error.span().unwrap_or(0..0), path: String::new() };
        reader.problem(ProblemCode::Syntax, &at, error.message());
    }
    let config =
        read_sections(&mut reader, Section::new(document.get_ref(), At::default()), builtin);
    let sound = errors.is_empty() && !reader.failed();
    Report { config: config.filter(|_| sound), problems: reader.into_problems() }
}

fn read_sections(reader: &mut Reader<'_>, mut root: Section<'_>, builtin: bool) -> Option<Config> {
    let version = root.require(reader, "version", |reader, field| reader.integer(field, 1, 1));
    let server = server::read_server(reader, &mut root);
    let log = server::read_log(reader, &mut root);
    let authority = authority::read_authority(reader, &mut root);
    let clients = authority::read_clients(reader, &mut root);
    let users = user::read_users(reader, &mut root);
    let sign_in = sign_in::read_sign_in(reader, &mut root);
    let mail = mail::read_mail(reader, &mut root);
    let providers = provider::read_providers(reader, &mut root);
    let (listeners, listener_places): (Vec<_>, Vec<_>) =
        listener::read_listeners(reader, &mut root, &server).into_iter().unzip();
    let issuers = issuer::read_issuers(reader, &mut root);
    let ip_lists = address::read_ip_lists(reader, &mut root);
    let upstreams = upstream::read_upstreams(reader, &mut root, builtin);
    let listener_url = listeners.first().map(|listener| &listener.public_url);
    let (routes, route_places): (Vec<_>, Vec<_>) =
        route::read_routes(reader, &mut root, listener_url).into_iter().unzip();
    if routes.is_empty() && root.field("route").is_none() {
        let hint = "add [[route]] with name, path, upstream and access";
        let message = "no [[route]] is declared: every request gets 404";
        reader.hinted(ProblemCode::NoEffect, &root.at, message, hint);
    }
    root.not_available(
        reader,
        &[
            ("policy", "policies are not judged"),
            ("alert", "there are no alert rules"),
            ("sink", "records stay in the ledger"),
        ],
    );
    root.finish(reader);
    let config = Config {
        server,
        log,
        authority,
        clients,
        users,
        sign_in,
        mail,
        providers,
        listeners,
        issuers,
        ip_lists,
        upstreams,
        routes,
    };
    let places = Places { routes: route_places, listeners: listener_places };
    lint::lint(reader, &config, &places);
    version.map(|_| config)
}
