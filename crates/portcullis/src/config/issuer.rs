//! `[[issuer]]`: whose tokens are taken.

use super::problem::ProblemCode;
use super::reader::{Field, Named, Reader, Section};
use super::url::WebUrl;
use base::Secret;
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
    /// `algorithms`: what its tokens may be signed with.
    pub algorithms: Vec<Algorithm>,
    /// Where its keys come from.
    pub keys: KeySource,
    /// `introspection`: how its opaque tokens are asked for.
    pub introspection: Option<Introspection>,
}

impl Issuer {
    /// The algorithms of an issuer that names none.
    pub const DEFAULT_ALGORITHMS: [Algorithm; 4] =
        [Algorithm::Es256, Algorithm::Ps256, Algorithm::EdDsa, Algorithm::Rs256];
}

/// Where an issuer's keys come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeySource {
    /// Its metadata (OpenID Connect Discovery 1.0 §4, RFC 8414), from this URL.
    Discovery(WebUrl),
    /// `jwks_uri`.
    Uri(WebUrl),
    /// `jwks_file`.
    File(PathBuf),
}

/// Signature algorithms (RFC 7518 §3.1, RFC 8037, RFC 9864).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Algorithm {
    /// ECDSA, P-256, SHA-256.
    Es256,
    /// ECDSA, P-384, SHA-384.
    Es384,
    /// RSASSA-PSS, SHA-256.
    Ps256,
    /// RSASSA-PSS, SHA-384.
    Ps384,
    /// RSASSA-PSS, SHA-512.
    Ps512,
    /// RSASSA-PKCS1-v1_5, SHA-256.
    Rs256,
    /// RSASSA-PKCS1-v1_5, SHA-384.
    Rs384,
    /// RSASSA-PKCS1-v1_5, SHA-512.
    Rs512,
    /// Ed25519, under its names `EdDSA` and `Ed25519`.
    EdDsa,
}

impl Algorithm {
    /// Its name as in `alg`; of the two names of Ed25519 the older.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Es256 => "ES256",
            Self::Es384 => "ES384",
            Self::Ps256 => "PS256",
            Self::Ps384 => "PS384",
            Self::Ps512 => "PS512",
            Self::Rs256 => "RS256",
            Self::Rs384 => "RS384",
            Self::Rs512 => "RS512",
            Self::EdDsa => "EdDSA",
        }
    }
}

const ALGORITHMS: [(&str, Algorithm); 10] = [
    ("ES256", Algorithm::Es256),
    ("ES384", Algorithm::Es384),
    ("PS256", Algorithm::Ps256),
    ("PS384", Algorithm::Ps384),
    ("PS512", Algorithm::Ps512),
    ("RS256", Algorithm::Rs256),
    ("RS384", Algorithm::Rs384),
    ("RS512", Algorithm::Rs512),
    ("EdDSA", Algorithm::EdDsa),
    ("Ed25519", Algorithm::EdDsa),
];

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
    let algorithms = section.read(reader, "algorithms", |reader, field| {
        let mut list = reader.some(field, read_algorithm)?;
        list.sort_unstable();
        list.dedup();
        Some(list)
    });
    let introspection = section.read(reader, "introspection", read_introspection);
    let discovery = issuer_field.as_ref().zip(issuer.as_deref());
    let keys = read_keys(reader, &mut section, discovery);
    section.finish(reader);
    Some(Issuer {
        name,
        issuer: issuer?,
        audience: audience?,
        algorithms: algorithms.unwrap_or_else(|| Issuer::DEFAULT_ALGORITHMS.to_vec()),
        keys: keys?,
        introspection,
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

fn read_algorithm(reader: &mut Reader<'_>, field: &Field<'_>) -> Option<Algorithm> {
    let text = reader.text(field)?;
    let lower = text.to_ascii_lowercase();
    // RFC 8725 §3.1, §3.2: no `none`, and no algorithm whose checker could also sign.
    if lower == "none" || lower.starts_with("hs") {
        let message =
            format!("{text:?} is never taken: whoever can check such a token can make one");
        reader.problem(ProblemCode::FailOpen, &field.at, message);
        return None;
    }
    reader.word(field, &ALGORITHMS)
}

fn read_keys(
    reader: &mut Reader<'_>,
    section: &mut Section<'_>,
    discovery: Option<(&Field<'_>, &str)>,
) -> Option<KeySource> {
    let uri_field = section.field("jwks_uri");
    let file_field = section.field("jwks_file");
    let uri = uri_field.as_ref().and_then(|field| fetched_url(reader, field));
    let file = file_field.as_ref().and_then(|field| read_key_file(reader, field));
    match (uri_field, file_field) {
        (Some(_), Some(field)) => {
            let message = "`jwks_uri` and `jwks_file` exclude each other";
            reader.problem(ProblemCode::Conflict, &field.at, message);
            None
        }
        (Some(_), None) => uri.map(KeySource::Uri),
        (None, Some(_)) => file.map(KeySource::File),
        (None, None) => {
            let (field, _) = discovery?;
            fetched_url(reader, field).map(KeySource::Discovery)
        }
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
    let document: Option<serde_json::Value> = serde_json::from_slice(&bytes).ok();
    let keys =
        document.as_ref().and_then(|value| value.get("keys")).and_then(|keys| keys.as_array());
    let problem = match keys {
        None => "is no JSON Web Key Set",
        Some(keys) if keys.is_empty() => "holds no key",
        Some(_) => return Some(path),
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
