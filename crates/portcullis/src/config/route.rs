//! `[[route]]`: which requests go where, and who may make them.

use super::header::{Cors, HeaderRules, read_cors, read_header_rules, read_methods};
use super::mfa::{Mfa, read_mfa};
use super::problem::ProblemCode;
use super::reader::{At, Field, Named, Reader, Section};
use super::rule::{Access, Rule, read_access};
use super::upstream::LONGEST_WAIT;
use super::url::WebUrl;
use access::limit::{By, Rate};
use access::path;
use access::policy::Possession;
use access::table::{HostPattern, MethodSet, PathPattern};
use std::fmt::Display;
use std::str::FromStr;
use std::time::Duration;
use toml::de::DeValue;

/// Limits of one route.
const RATES: usize = 8;
/// Lists of one route.
const LISTS: usize = 32;
/// The largest body that a route takes unless said otherwise; bodies are streamed, so it costs no memory.
pub const DEFAULT_MAX_BODY: u64 = 10 << 30;
/// The longest window of a rate.
const LONGEST_WINDOW: Duration = Duration::from_secs(24 * 3600);

/// One route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// Its name; unique, it stands in records.
    pub name: String,
    /// `host`: a name, or `*.` and a name. Default: every host.
    pub host: Option<HostPattern>,
    /// `path`.
    pub path: PathPattern,
    /// `methods`. Default: every method.
    pub methods: Option<MethodSet>,
    /// `upstream`: the name of an `[[upstream]]`.
    pub upstream: String,
    /// `strip_prefix`: taken off the path before it is forwarded.
    pub strip_prefix: Option<String>,
    /// `host_header`. Default: the upstream's.
    pub host_header: HostHeader,
    /// `headers`: of the request to the upstream.
    pub headers: HeaderRules,
    /// `response_headers`: of the answer to the caller.
    pub response_headers: HeaderRules,
    /// `resource`: the protected resource's identifier (RFC 9728). Default: the first listener's URL and the
    /// path up to its first `{`.
    pub resource: String,
    /// `cors`. Default: preflights are requests like any other.
    pub cors: Option<Cors>,
    /// `ip`: names of lists, one of which must hold the client's address. Empty: every address.
    pub ip: Vec<String>,
    /// `rate`: all of them hold.
    pub rates: Vec<Rate>,
    /// `audit`. Default normal.
    pub audit: AuditLevel,
    /// `shadow`: rules that are judged and recorded, but not enforced.
    pub shadow: Shadow,
    /// `max_body`: bytes of a request's body. Default [`DEFAULT_MAX_BODY`].
    pub max_body: u64,
    /// `timeout`: instead of the upstream's.
    pub timeout: Option<Duration>,
    /// `forward_credential`: whether the upstream sees the caller's credential. Default false.
    pub forward_credential: bool,
    /// `mfa`: how everybody must have signed in; binds every alternative of `access`.
    pub mfa: Option<Mfa>,
    /// `dpop`: whether credentials must be bound to a key (RFC 9449). Default: where they are, a proof is asked.
    pub dpop: Possession,
    /// `access`: who may use it.
    pub access: Access,
}

/// Which `Host` the upstream sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HostHeader {
    /// That of its URL.
    Upstream,
    /// That of the request.
    Keep,
}

/// How sure the record must be before the upstream is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuditLevel {
    /// Recorded within milliseconds; nobody waits.
    Normal,
    /// Recorded and synced before the upstream is reached.
    Strict,
}

/// Rules that are not enforced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Shadow {
    /// Limits.
    pub rate: bool,
    /// Address lists.
    pub ip: bool,
    /// The route's own `mfa`; those in alternatives are part of `access`.
    pub mfa: bool,
}

/// Reads every `[[route]]`; sections that it refers to were read before.
pub(super) fn read_routes(
    reader: &mut Reader<'_>,
    root: &mut Section<'_>,
    listener: Option<&WebUrl>,
) -> Vec<(Route, At)> {
    let mut routes = Vec::new();
    for section in reader.tables(root, Named::Route) {
        let at = section.at.clone();
        routes.extend(read_route(reader, section, listener).map(|route| (route, at)));
    }
    routes
}

fn read_route(
    reader: &mut Reader<'_>,
    mut section: Section<'_>,
    listener: Option<&WebUrl>,
) -> Option<Route> {
    let name = reader.name(&mut section, Named::Route);
    let host = section.read(reader, "host", read_parsed::<HostPattern>);
    let path = section.require(reader, "path", read_parsed::<PathPattern>);
    let methods = section.read(reader, "methods", read_methods);
    let upstream = section.require(reader, "upstream", |reader, field| {
        let name = reader.text(field)?;
        reader.refer(Named::Upstream, &name, &field.at);
        Some(name)
    });
    let strip_prefix = section.read(reader, "strip_prefix", |reader, field| {
        read_strip_prefix(reader, field, path.as_ref())
    });
    let words = [("upstream", HostHeader::Upstream), ("keep", HostHeader::Keep)];
    let host_header =
        section.read(reader, "host_header", |reader, field| reader.word(field, &words));
    let headers = section.read(reader, "headers", read_header_rules).unwrap_or_default();
    let response_headers = section.read(reader, "response_headers", read_header_rules);
    let resource = section.read(reader, "resource", Reader::url);
    let cors = section.read(reader, "cors", read_cors);
    let words = [("normal", AuditLevel::Normal), ("strict", AuditLevel::Strict)];
    let audit = section.read(reader, "audit", |reader, field| reader.word(field, &words));
    let max_body = section.read(reader, "max_body", |reader, field| reader.size(field));
    let timeout = section.read(reader, "timeout", |reader, field| {
        reader.duration(field, Duration::from_millis(10), LONGEST_WAIT)
    });
    let forward_credential = section.read(reader, "forward_credential", Reader::boolean);
    let dpop = section.read(reader, "dpop", read_dpop);
    let rules = read_rules(reader, &mut section);
    section.not_available(reader, &[("policy", "policies are not judged")]);
    section.finish(reader);
    let path = path?;
    let resource = match (resource, listener) {
        (Some(url), _) => url.as_str().to_owned(),
        (None, Some(listener)) => format!("{listener}{}", url_path(path.literal_prefix())),
        (None, None) => url_path(path.literal_prefix()),
    };
    Some(Route {
        name,
        host,
        path,
        methods,
        upstream: upstream?,
        strip_prefix,
        host_header: host_header.unwrap_or(HostHeader::Upstream),
        headers,
        response_headers: response_headers.unwrap_or_default(),
        resource,
        cors,
        ip: rules.ip,
        rates: rules.rates,
        audit: audit.unwrap_or(AuditLevel::Normal),
        shadow: rules.shadow,
        max_body: max_body.unwrap_or(DEFAULT_MAX_BODY),
        timeout,
        forward_credential: forward_credential.unwrap_or(false),
        mfa: rules.mfa?,
        dpop: dpop.unwrap_or_default(),
        access: rules.access?,
    })
}

fn read_dpop(reader: &mut Reader<'_>, field: &Field<'_>) -> Option<Possession> {
    let words = [
        ("optional", Possession::Optional),
        ("required", Possession::Required),
        ("nonce", Possession::Nonce),
    ];
    reader.word(field, &words)
}

/// The conditions of a route.
struct Rules {
    ip: Vec<String>,
    rates: Vec<Rate>,
    shadow: Shadow,
    /// `None` when it cannot be read.
    mfa: Option<Option<Mfa>>,
    access: Option<Access>,
}

fn read_rules(reader: &mut Reader<'_>, section: &mut Section<'_>) -> Rules {
    let access = match section.field("access") {
        Some(field) => read_access(reader, &field),
        None => {
            let at = section.at.clone();
            let message = "a route without `access` would be open to everybody";
            let hint = "add [route.access], or write access = \"public\" if that is meant";
            reader.hinted(ProblemCode::FailOpen, &at, message, hint);
            None
        }
    };
    let ip = section.read(reader, "ip", read_ip).unwrap_or_default();
    let rates = section
        .read(reader, "rate", |reader, field| read_rates(reader, field, access.as_ref()))
        .unwrap_or_default();
    let mfa = match section.field("mfa") {
        Some(field) => read_mfa(reader, &field).map(Some),
        None => Some(None),
    };
    let there =
        Shadow { rate: !rates.is_empty(), ip: !ip.is_empty(), mfa: !matches!(mfa, Some(None)) };
    let shadow = section.field("shadow");
    let shadow = shadow.map(|field| read_shadow(reader, &field, there));
    Rules { ip, rates, shadow: shadow.unwrap_or_default(), mfa, access }
}

/// A value that reads itself and says what is wrong.
fn read_parsed<T>(reader: &mut Reader<'_>, field: &Field<'_>) -> Option<T>
where
    T: FromStr,
    T::Err: Display,
{
    let text = reader.text(field)?;
    match text.parse() {
        Ok(value) => Some(value),
        Err(error) => {
            reader.problem(ProblemCode::Value, &field.at, error.to_string());
            None
        }
    }
}

/// A path as it stands in a URL: a pattern may hold characters beyond ASCII.
fn url_path(text: &str) -> String {
    let escape = |byte: u8| match byte.is_ascii() {
        true => char::from(byte).to_string(),
        false => format!("%{byte:02X}"),
    };
    text.bytes().map(escape).collect()
}

fn read_strip_prefix(
    reader: &mut Reader<'_>,
    field: &Field<'_>,
    path: Option<&PathPattern>,
) -> Option<String> {
    let text = reader.text(field)?;
    let trimmed = text.strip_suffix('/').unwrap_or(&text);
    // What is stripped is compared with canonical paths.
    let sound = path::canonical(trimmed.as_bytes()).is_ok_and(|canonical| canonical == trimmed);
    if !sound || trimmed == "/" || trimmed.contains(['{', '}']) {
        let message = "not a plain path such as \"/orders\"";
        reader.problem(ProblemCode::Value, &field.at, message);
        return None;
    }
    let covers = |path: &PathPattern| {
        let rest = path.as_str().strip_prefix(trimmed);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    if path.is_some_and(|path| !covers(path)) {
        let message = format!("the route's path does not begin with {trimmed:?}");
        reader.problem(ProblemCode::Conflict, &field.at, message);
        return None;
    }
    Some(trimmed.to_owned())
}

fn read_ip(reader: &mut Reader<'_>, field: &Field<'_>) -> Option<Vec<String>> {
    // An empty list would mean "no list", and so every address.
    let mut names = reader.some(field, |reader, item| {
        let name = reader.text(item)?;
        reader.refer(Named::IpList, &name, &item.at);
        Some(name)
    })?;
    if names.len() > LISTS {
        reader.problem(ProblemCode::Value, &field.at, format!("more than {LISTS} lists"));
    }
    names.sort();
    names.dedup();
    Some(names)
}

fn read_rates(
    reader: &mut Reader<'_>,
    field: &Field<'_>,
    access: Option<&Access>,
) -> Option<Vec<Rate>> {
    if let DeValue::Table(_) = field.value {
        return read_rate(reader, field, access).map(|rate| vec![rate]);
    }
    let rates = reader.some(field, |reader, item| read_rate(reader, item, access))?;
    if rates.len() > RATES {
        reader.problem(ProblemCode::Value, &field.at, format!("more than {RATES} limits"));
    }
    Some(rates)
}

fn read_rate(reader: &mut Reader<'_>, field: &Field<'_>, access: Option<&Access>) -> Option<Rate> {
    let most = u64::from(u32::MAX);
    let mut table = reader.table(field)?;
    let limit = table.require(reader, "limit", |reader, field| reader.integer(field, 1, most));
    let per = table.require(reader, "per", |reader, field| {
        reader.duration(field, Duration::from_secs(1), LONGEST_WINDOW)
    });
    let by = table.field("by");
    let by = by.and_then(|field| read_rate_by(reader, &field, access));
    let burst = table.read(reader, "burst", |reader, field| reader.integer(field, 1, most));
    table.finish(reader);
    let limit = u32::try_from(limit?).ok()?;
    let burst = burst.and_then(|burst| u32::try_from(burst).ok()).unwrap_or(limit);
    let rate = Rate::new(limit, per?, by.unwrap_or(By::Address));
    match rate.and_then(|rate| rate.with_burst(burst)) {
        Ok(rate) => Some(rate),
        Err(error) => {
            reader.problem(ProblemCode::Value, &field.at, error.to_string());
            None
        }
    }
}

fn read_rate_by(reader: &mut Reader<'_>, field: &Field<'_>, access: Option<&Access>) -> Option<By> {
    let words = [("address", By::Address), ("principal", By::Principal), ("route", By::Route)];
    let by = reader.word(field, &words)?;
    if by == By::Principal && access.is_some_and(Access::is_public) {
        let message = "a public route has no principal to count: the limit would never hold";
        reader.hinted(ProblemCode::FailOpen, &field.at, message, "write by = \"address\"");
    }
    Some(by)
}

fn read_shadow(reader: &mut Reader<'_>, field: &Field<'_>, there: Shadow) -> Shadow {
    let words = ["ip", "rate", "policy", "mfa"].map(|word| (word, word));
    let mut shadow = Shadow::default();
    for item in reader.list(field).unwrap_or_default() {
        let Some(word) = reader.word(&item, &words) else { continue };
        let present = match word {
            "ip" => {
                shadow.ip = true;
                there.ip
            }
            "rate" => {
                shadow.rate = true;
                there.rate
            }
            "mfa" => {
                shadow.mfa = true;
                there.mfa
            }
            _ => {
                let message = format!("`{word}` is not available yet");
                reader.problem(ProblemCode::NotAvailable, &item.at, message);
                true
            }
        };
        if !present {
            let message = format!("the route has no `{word}` to shadow");
            reader.problem(ProblemCode::NoEffect, &item.at, message);
        }
    }
    shadow
}

impl Route {
    /// The rules that its credentials are judged by; empty for a public route.
    pub fn credential_rules(&self) -> Vec<&Rule> {
        match &self.access {
            Access::Public => Vec::new(),
            Access::Rule(rule) => rule.leaves(),
        }
    }
}
