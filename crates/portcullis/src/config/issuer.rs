//! `[[issuer]]`: whose tokens are taken.

use super::mfa::read_order;
use super::problem::ProblemCode;
use super::reader::{Field, Named, Reader, Section};
use super::url::WebUrl;
use access::issuer::KeySource;
use base::Secret;
use protocol::jwk::KeySet;
use protocol::jws::{Algorithm, AlgorithmFault, AlgorithmSet};
use std::collections::HashMap;
use std::path::PathBuf;
use std::time::Duration;

/// Issuers of one file; each has a key set of its own in memory.
const ISSUERS: usize = 256;
/// Audiences of one issuer.
const AUDIENCES: usize = 64;

/// One issuer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issuer {
    /// Its name, which routes refer to.
    pub name: String,
    /// `issuer`: the `iss` of its tokens, compared byte by byte.
    pub issuer: String,
    /// `audience`: what `aud` must contain one of; never empty.
    pub audience: Vec<String>,
    /// `algorithms`: what its tokens may be signed with. Empty: its tokens are opaque.
    pub algorithms: AlgorithmSet,
    /// Where its keys come from: `jwks_uri`, `jwks_file`, else its metadata. Nowhere when its tokens are
    /// opaque.
    pub keys: KeySource,
    /// `introspection`: how its opaque tokens are asked for.
    pub introspection: Option<Introspection>,
    /// `acr`: its words for how strongly somebody signed in, the lowest first. Empty: a word is met by itself alone.
    pub acr: Vec<String>,
}

/// Token introspection (RFC 7662).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Introspection {
    /// `url`: the introspection endpoint.
    pub url: WebUrl,
    /// `client_id`: the user name of HTTP Basic authentication.
    pub client_id: String,
    /// `client_secret`: its password.
    pub client_secret: Secret<String>,
    /// `cache`: how long an answer is kept at most. Default 30 s, at most 60 s; 0 keeps none.
    pub cache: Duration,
}

/// Reads every `[[issuer]]`.
pub(super) fn read_issuers(reader: &mut Reader<'_>, root: &mut Section<'_>) -> Vec<Issuer> {
    let mut urls = HashMap::new();
    let mut issuers = Vec::new();
    for section in reader.tables(root, Named::Issuer) {
        if issuers.len() == ISSUERS {
            let message = format!("more than {ISSUERS} issuers");
            reader.problem(ProblemCode::Value, &section.at, message);
            break;
        }
        issuers.extend(read_issuer(reader, section, &mut urls));
    }
    issuers
}

fn read_issuer(
    reader: &mut Reader<'_>,
    mut section: Section<'_>,
    urls: &mut HashMap<String, String>,
) -> Option<Issuer> {
    let name = reader.name(&mut section, Named::Issuer);
    if name == "self" {
        let message = "\"self\" is the name of the built-in authority";
        reader.problem(ProblemCode::Value, &section.at, message);
    }
    let issuer_field = section.field("issuer");
    let issuer = match &issuer_field {
        Some(field) => read_identifier(reader, field, urls),
        None => {
            let at = section.at.clone();
            reader.problem(ProblemCode::Missing, &at, "`issuer` is missing");
            None
        }
    };
    let audience = read_audience(reader, &mut section);
    let introspection = section.read(reader, "introspection", read_introspection);
    let algorithms = section.field("algorithms").map_or(Some(AlgorithmSet::DEFAULT), |field| {
        read_algorithms(reader, &field, introspection.is_some())
    });
    let opaque = algorithms.is_some_and(AlgorithmSet::is_empty);
    let discovery = issuer_field.filter(|_| issuer.is_some() && !opaque);
    let keys = read_keys(reader, &mut section, discovery, opaque);
    let acr = section.read(reader, "acr", read_order).unwrap_or_default();
    section.finish(reader);
    Some(Issuer {
        name,
        issuer: issuer?,
        audience: audience?,
        algorithms: algorithms?,
        keys: keys?,
        introspection,
        acr,
    })
}

fn read_identifier(
    reader: &mut Reader<'_>,
    field: &Field<'_>,
    urls: &mut HashMap<String, String>,
) -> Option<String> {
    let text = reader.text(field)?;
    if text.len() > 1024 || text.chars().any(char::is_control) {
        reader.problem(ProblemCode::Value, &field.at, "not an issuer identifier");
        return None;
    }
    if let Some(first) = urls.insert(text.clone(), field.at.path.clone()) {
        let message = format!("{first} is the same issuer");
        let hint = "a token goes to the issuer that its `iss` names; declare each once";
        reader.hinted(ProblemCode::Duplicate, &field.at, message, hint);
    }
    Some(text)
}

fn read_audience(reader: &mut Reader<'_>, section: &mut Section<'_>) -> Option<Vec<String>> {
    let hint = "write audience = [\"…\"], the `aud` that its tokens for this API carry";
    let Some(field) = section.field("audience") else {
        let message = "an issuer without `audience` would let tokens for other services in";
        reader.hinted(ProblemCode::FailOpen, &section.at, message, hint);
        return None;
    };
    let audience = reader.each(&field, |reader, item| reader.text(item))?;
    if audience.is_empty() {
        let message = "an empty `audience` would let tokens for other services in";
        reader.hinted(ProblemCode::FailOpen, &field.at, message, hint);
        return None;
    }
    if audience.len() > AUDIENCES {
        reader.problem(ProblemCode::Value, &field.at, format!("more than {AUDIENCES} audiences"));
    }
    Some(audience)
}

fn read_algorithms(
    reader: &mut Reader<'_>,
    field: &Field<'_>,
    introspects: bool,
) -> Option<AlgorithmSet> {
    let list = reader.each(field, read_algorithm)?;
    let set: AlgorithmSet = list.into_iter().collect();
    let empty = reader.list(field)?.is_empty();
    if empty && !introspects {
        let message = "without an algorithm and without `introspection` no token could be checked";
        reader.problem(ProblemCode::Value, &field.at, message);
    }
    (empty || !set.is_empty()).then_some(set)
}

fn read_algorithm(reader: &mut Reader<'_>, field: &Field<'_>) -> Option<Algorithm> {
    let text = reader.text(field)?;
    match text.parse::<Algorithm>() {
        Ok(algorithm) => Some(algorithm),
        // RFC 8725 §3.1, §3.2: no `none`, and no algorithm whose checker could also sign.
        Err(AlgorithmFault::None | AlgorithmFault::Symmetric) => {
            let message =
                format!("{text:?} is never taken: whoever checks such a token can make one");
            reader.problem(ProblemCode::FailOpen, &field.at, message);
            None
        }
        Err(_) => reader.word(field, &Algorithm::ALL.map(|it| (it.as_str(), it))),
    }
}

fn read_keys(
    reader: &mut Reader<'_>,
    section: &mut Section<'_>,
    discovery: Option<Field<'_>>,
    opaque: bool,
) -> Option<KeySource> {
    let uri_field = section.field("jwks_uri");
    let file_field = section.field("jwks_file");
    let uri = uri_field.as_ref().and_then(|field| fetched_url(reader, field));
    let file = file_field.as_ref().and_then(|field| read_key_file(reader, field));
    if let Some(field) = uri_field.as_ref().or(file_field.as_ref()).filter(|_| opaque) {
        let message = "`algorithms` is empty, so its tokens are opaque and need no keys";
        reader.problem(ProblemCode::Conflict, &field.at, message);
    }
    match (uri_field, file_field) {
        (Some(_), Some(field)) => {
            let message = "`jwks_uri` and `jwks_file` exclude each other";
            reader.problem(ProblemCode::Conflict, &field.at, message);
            None
        }
        (Some(_), None) => uri.map(|url| KeySource::Uri(url.as_str().to_owned())),
        (None, Some(_)) => file.map(KeySource::File),
        (None, None) if opaque => Some(KeySource::Nowhere),
        (None, None) => fetched_url(reader, &discovery?).map(|_| KeySource::Discovery),
    }
}

/// A URL that is fetched for something that must be authentic.
fn fetched_url(reader: &mut Reader<'_>, field: &Field<'_>) -> Option<WebUrl> {
    let url = reader.url(field)?;
    if !url.is_https() && !url.is_loopback() {
        let message = "fetched over plain HTTP: whoever sits on the way decides who is let in";
        reader.hinted(ProblemCode::PlainCredential, &field.at, message, "use https");
    }
    Some(url)
}

fn read_key_file(reader: &mut Reader<'_>, field: &Field<'_>) -> Option<PathBuf> {
    let (path, bytes) = reader.file(field)?;
    let problem = match KeySet::parse(&bytes) {
        Err(error) => format!("is no JSON Web Key Set: {error}"),
        Ok(set) => match (set.is_empty(), set.skipped().first()) {
            (false, _) => return Some(path),
            (true, None) => "holds no key".to_owned(),
            (true, Some(skipped)) => format!("holds no usable key: {}", skipped.reason),
        },
    };
    let shown = path.display();
    reader.problem(ProblemCode::Unreadable, &field.at, format!("{shown} {problem}"));
    None
}

fn read_introspection(reader: &mut Reader<'_>, field: &Field<'_>) -> Option<Introspection> {
    let mut table = reader.table(field)?;
    let url = table.require(reader, "url", fetched_url);
    let client_id = table.require(reader, "client_id", |reader, field| reader.text(field));
    let client_secret =
        table.require(reader, "client_secret", |reader, field| reader.secret(field));
    let cache = table.read(reader, "cache", |reader, field| {
        reader.duration(field, Duration::ZERO, base::limits::VERIFIED_TTL)
    });
    table.finish(reader);
    Some(Introspection {
        url: url?,
        client_id: client_id?,
        client_secret: client_secret?,
        cache: cache.unwrap_or(Duration::from_secs(30)),
    })
}
