//! `headers`, `response_headers` and `cors` of a route.

use super::problem::ProblemCode;
use super::reader::{Field, Reader};
use super::text::is_token;
use super::url::WebUrl;
use access::table::MethodSet;
use base::Secret;
use std::time::Duration;
use toml::de::DeValue;

/// Headers that one rule sets or removes.
const HEADERS: usize = 64;
/// Bytes of a header's value.
const VALUE_BYTES: usize = 4096;
/// Origins of one route.
const ORIGINS: usize = 256;
/// The longest time that browsers keep a preflight's answer (theirs is 24 h at most).
const LONGEST_MAX_AGE: Duration = Duration::from_secs(24 * 3600);

/// Headers that frame a message or steer the connection; a rule must not touch them (RFC 9110 §7.6.1,
/// RFC 9112 §6).
const FRAMING: [&str; 11] = [
    "connection",
    "content-length",
    "host",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Beginnings of header names that the gate itself writes.
const OURS: [&str; 4] = ["portcullis-", "client-cert", "x-forwarded-", "x-request-id"];

/// What happens to headers on their way.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HeaderRules {
    /// `set`: replaces all of that name. Names in lower case, sorted; values may be secrets.
    pub set: Vec<(String, Secret<String>)>,
    /// `remove`: names in lower case.
    pub remove: Vec<String>,
}

/// Cross-origin requests of browsers (the Fetch standard's CORS protocol).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cors {
    /// `origins`: whose scripts may read answers.
    pub origins: Origins,
    /// `headers`: request headers that a preflight may ask for, in lower case.
    pub headers: Vec<String>,
    /// `credentials`: whether cookies may be sent. Default false.
    pub credentials: bool,
    /// `max_age`: how long a browser keeps the answer. Default 10 min.
    pub max_age: Duration,
}

/// Whose scripts may read answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origins {
    /// `["*"]`: everybody's; never together with `credentials`.
    Any,
    /// These, as browsers write them.
    Listed(Vec<String>),
}

/// Reads `headers` or `response_headers`.
pub(super) fn read_header_rules(reader: &mut Reader<'_>, field: &Field<'_>) -> Option<HeaderRules> {
    let mut table = reader.table(field)?;
    let set = table.read(reader, "set", read_set).unwrap_or_default();
    let remove = table.read(reader, "remove", |reader, field| reader.each(field, read_header_name));
    let remove = remove.unwrap_or_default();
    table.finish(reader);
    if set.len() > HEADERS || remove.len() > HEADERS {
        let message = format!("more than {HEADERS} headers");
        reader.problem(ProblemCode::Value, &field.at, message);
    }
    Some(HeaderRules { set, remove })
}

fn read_set(reader: &mut Reader<'_>, field: &Field<'_>) -> Option<Vec<(String, Secret<String>)>> {
    let mut set: Vec<(String, Secret<String>)> = Vec::new();
    for (name, field) in reader.table(field)?.entries() {
        // WHY: the value is read first, so that it is hidden from every later problem.
        let value = reader.secret(&field);
        let name = check_header_name(reader, name, &field);
        let Some((name, value)) = name.zip(value) else { continue };
        let text = value.expose();
        // RFC 9110 §5.5: field values; control characters would start another header.
        let sound = text.len() <= VALUE_BYTES
            && text.trim() == text
            && text.bytes().all(|b| b == b'\t' || (0x20..=0x7e).contains(&b));
        if !sound {
            let message =
                format!("a header's value has visible ASCII only, at most {VALUE_BYTES} bytes");
            reader.problem(ProblemCode::Value, &field.at, message);
        } else if set.iter().any(|(other, _)| *other == name) {
            let message = format!("`{name}` is set twice; case makes no difference");
            reader.problem(ProblemCode::Duplicate, &field.at, message);
        } else {
            set.push((name, value));
        }
    }
    set.sort_by(|a, b| a.0.cmp(&b.0));
    Some(set)
}

fn read_header_name(reader: &mut Reader<'_>, field: &Field<'_>) -> Option<String> {
    let name = reader.text(field)?;
    check_header_name(reader, &name, field)
}

fn check_header_name(reader: &mut Reader<'_>, name: &str, field: &Field<'_>) -> Option<String> {
    let lower = name.to_ascii_lowercase();
    let folded = lower.replace('_', "-");
    if !is_token(name) {
        reader.problem(ProblemCode::Value, &field.at, format!("{name:?} is not a header's name"));
        return None;
    }
    if FRAMING.contains(&folded.as_str()) || folded == "forwarded" {
        let message = format!("`{lower}` steers the connection or the routing and stays as it is");
        let hint = if folded == "host" { "see `host_header`" } else { "leave it out" };
        reader.hinted(ProblemCode::Value, &field.at, message, hint);
        return None;
    }
    if OURS.iter().any(|ours| folded.starts_with(ours)) {
        let message = format!("`{lower}` is written by the gate itself");
        reader.hinted(ProblemCode::Value, &field.at, message, "leave it out");
        return None;
    }
    Some(lower)
}

/// Reads `cors`.
pub(super) fn read_cors(reader: &mut Reader<'_>, field: &Field<'_>) -> Option<Cors> {
    let mut table = reader.table(field)?;
    let origins = table.require(reader, "origins", read_origins);
    let headers = table.read(reader, "headers", |reader, field| {
        reader.each(field, |reader, item| {
            let name = reader.text(item)?;
            if !is_token(&name) || name == "*" {
                let message = format!("{name:?} is not a header's name");
                reader.problem(ProblemCode::Value, &item.at, message);
                return None;
            }
            Some(name.to_ascii_lowercase())
        })
    });
    let credentials = table.read(reader, "credentials", Reader::boolean).unwrap_or(false);
    let max_age = table.read(reader, "max_age", |reader, field| {
        reader.duration(field, Duration::ZERO, LONGEST_MAX_AGE)
    });
    table.finish(reader);
    let origins = origins?;
    if credentials && origins == Origins::Any {
        let message = "any web page could act with the cookies of whoever visits it";
        let hint = "name the origins, or leave `credentials` out";
        reader.hinted(ProblemCode::FailOpen, &field.at, message, hint);
        return None;
    }
    Some(Cors {
        origins,
        headers: headers.unwrap_or_default(),
        credentials,
        max_age: max_age.unwrap_or(Duration::from_secs(600)),
    })
}

fn read_origins(reader: &mut Reader<'_>, field: &Field<'_>) -> Option<Origins> {
    if let DeValue::Array(items) = field.value
        && items.len() == 1
        && items.iter().any(|item| matches!(item.get_ref(), DeValue::String(text) if text == "*"))
    {
        return Some(Origins::Any);
    }
    let origins = reader.some(field, |reader, item| {
        let url = reader.origin(item)?;
        // RFC 6454 §6.2: as browsers serialise it: lower case, no default port, no slash.
        let plain = WebUrl::on(url.is_https(), url.host(), url.port());
        if plain != url {
            let hint = format!("write \"{plain}\"");
            reader.hinted(
                ProblemCode::Value,
                &item.at,
                "browsers write this origin otherwise",
                hint,
            );
            return None;
        }
        Some(plain.as_str().to_owned())
    })?;
    if origins.len() > ORIGINS {
        reader.problem(ProblemCode::Value, &field.at, format!("more than {ORIGINS} origins"));
    }
    Some(Origins::Listed(origins))
}

/// Reads a list of methods, each once.
pub(super) fn read_methods(reader: &mut Reader<'_>, field: &Field<'_>) -> Option<MethodSet> {
    let methods = reader.some(field, |reader, item| {
        let method = reader.text(item)?;
        if let Err(error) = MethodSet::new([method.as_str()]) {
            let hint = format!("write {:?}", method.to_ascii_uppercase());
            reader.hinted(ProblemCode::Value, &item.at, error.to_string(), hint);
            return None;
        }
        if matches!(method.as_str(), "CONNECT" | "TRACE") {
            let message = format!("{method} is never passed on");
            reader.problem(ProblemCode::Value, &item.at, message);
            return None;
        }
        Some(method)
    })?;
    MethodSet::new(methods.iter().map(String::as_str)).ok()
}
