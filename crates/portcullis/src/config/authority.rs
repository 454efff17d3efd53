//! `[authority]`: the built-in issuer; `[[client]]`: clients declared in the file.

use super::pem::read_certificates;
use super::problem::ProblemCode;
use super::reader::{Field, Named, Reader, Section};
use authority::factors::passkey::Anchors;
use base::Secret;
use protocol::jws::Algorithm;
use protocol::oauth::is_scope_token;
use std::path::PathBuf;
use std::time::Duration;

/// The longest life of an access token: a revocation is remembered for so long.
const LONGEST_TOKEN: Duration = Duration::from_secs(3600);
/// The longest time that a grant may live.
const LONGEST_GRANT: Duration = Duration::from_secs(366 * 86_400);
/// Scopes with words, and clients of one file.
const SCOPES: usize = 1024;
const CLIENTS: usize = 1024;
/// Redirect URIs of one client.
const URIS: usize = 64;

/// `[authority]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authority {
    /// `name`: what its pages call the organisation. Default `Portcullis`.
    pub name: String,
    /// `algorithm`: how its tokens are signed. Default `ES256`.
    pub algorithm: Algorithm,
    /// `access_token`: how long they live. Default 5 minutes, at most an hour.
    pub access_token: Duration,
    /// `refresh_idle`: how long a refresh token may lie unused. Default 14 days.
    pub refresh_idle: Duration,
    /// `refresh_absolute`: how long a grant lives whatever happens. Default 90 days.
    pub refresh_absolute: Duration,
    /// `session`: how long a sign-in lasts. Default 12 hours.
    pub session: Duration,
    /// `session_idle`: how long a sign-in may lie unused. Default an hour.
    pub session_idle: Duration,
    /// `registration`: who may register clients. Default `off`.
    pub registration: Registration,
    /// `client_documents`: whether URLs of client ID metadata documents are client ids. Default true.
    pub client_documents: bool,
    /// `passkey_makers`: the roots of makers of security keys who are trusted, DER. Read from a file of PEM.
    pub passkey_makers: Vec<Vec<u8>>,
    /// `scopes`: what scopes mean, in words that people read at consent.
    pub scopes: Vec<(String, String)>,
}

/// Who may register clients by themselves (RFC 7591).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Registration {
    /// Nobody.
    Off,
    /// Whoever shows an initial access token.
    Token,
    /// Everybody, within limits.
    Open,
}

/// How a client proves itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientAuth {
    /// Not at all: a public client.
    None,
    /// HTTP Basic.
    Basic,
    /// In the body.
    Post,
    /// A signed assertion.
    PrivateKeyJwt,
}

/// Which rules a client is held to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    /// OAuth 2.1.
    Standard,
    /// FAPI 2.0 Security Profile.
    Fapi2Security,
    /// FAPI 2.0 Message Signing.
    Fapi2MessageSigning,
}

/// One `[[client]]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Client {
    /// `name`: what people call it, and its `client_id`.
    pub name: String,
    /// `secret`, unless it is public or signs.
    pub secret: Option<Secret<String>>,
    /// `auth`: how it proves itself. Default `client_secret_basic` with a secret, `private_key_jwt` with `jwks_file`, else `none`.
    pub auth: ClientAuth,
    /// `jwks_file`: its public keys.
    pub jwks_file: Option<PathBuf>,
    /// `jwks_uri`: where they are.
    pub jwks_uri: Option<String>,
    /// `grants`. Default `authorization_code` and `refresh_token` with `redirect_uris`, else `client_credentials`.
    pub grants: Vec<String>,
    /// `redirect_uris`.
    pub redirect_uris: Vec<String>,
    /// `post_logout_redirect_uris`.
    pub post_logout_redirect_uris: Vec<String>,
    /// `backchannel_logout_uri`: where it is told that a person has signed out.
    pub backchannel_logout_uri: Option<String>,
    /// `scopes` that it may ask for; sorted.
    pub scopes: Vec<String>,
    /// `profile`. Default `standard`.
    pub profile: Profile,
    /// `pkce`: whether a code needs a challenge. Default true.
    pub pkce: bool,
    /// `consent`: whether people are asked. Default true.
    pub consent: bool,
}

impl Default for Authority {
    fn default() -> Self {
        let days = |n: u64| Duration::from_secs(n * 86_400);
        Self {
            name: "Portcullis".to_owned(),
            algorithm: Algorithm::Es256,
            access_token: Duration::from_secs(300),
            refresh_idle: days(14),
            refresh_absolute: days(90),
            session: Duration::from_secs(12 * 3600),
            session_idle: Duration::from_secs(3600),
            registration: Registration::Off,
            client_documents: true,
            passkey_makers: Vec::new(),
            scopes: Vec::new(),
        }
    }
}

/// Reads `[authority]`, which may be absent.
pub(super) fn read_authority(reader: &mut Reader<'_>, root: &mut Section<'_>) -> Authority {
    let default = Authority::default();
    let Some(mut section) = root.read(reader, "authority", |reader, field| reader.table(field))
    else {
        return default;
    };
    let name = section.read(reader, "name", |reader, field| {
        let name = reader.text(field)?;
        if name.chars().count() > 60 || name.chars().any(char::is_control) {
            reader.problem(ProblemCode::Value, &field.at, "may have at most 60 characters");
        }
        Some(name)
    });
    let words = [
        ("ES256", Algorithm::Es256),
        ("EdDSA", Algorithm::EdDsa),
        ("PS256", Algorithm::Ps256),
        ("RS256", Algorithm::Rs256),
    ];
    let algorithm = section.read(reader, "algorithm", |reader, field| reader.word(field, &words));
    let span = |low: u64, high: Duration| {
        move |reader: &mut Reader<'_>, field: &Field<'_>| {
            reader.duration(field, Duration::from_secs(low), high)
        }
    };
    let access_token = section.read(reader, "access_token", span(10, LONGEST_TOKEN));
    let refresh_idle = section.read(reader, "refresh_idle", span(60, LONGEST_GRANT));
    let refresh_absolute = section.read(reader, "refresh_absolute", span(60, LONGEST_GRANT));
    let session = section.read(reader, "session", span(60, LONGEST_GRANT));
    let session_idle = section.read(reader, "session_idle", span(60, LONGEST_GRANT));
    let who =
        [("off", Registration::Off), ("token", Registration::Token), ("open", Registration::Open)];
    let registration =
        section.read(reader, "registration", |reader, field| reader.word(field, &who));
    let client_documents = section.read(reader, "client_documents", Reader::boolean);
    let passkey_makers = section.read(reader, "passkey_makers", read_makers);
    let scopes = section.read(reader, "scopes", read_words);
    section.finish(reader);
    Authority {
        name: name.unwrap_or(default.name),
        algorithm: algorithm.unwrap_or(default.algorithm),
        access_token: access_token.unwrap_or(default.access_token),
        refresh_idle: refresh_idle.unwrap_or(default.refresh_idle),
        refresh_absolute: refresh_absolute.unwrap_or(default.refresh_absolute),
        session: session.unwrap_or(default.session),
        session_idle: session_idle.unwrap_or(default.session_idle),
        registration: registration.unwrap_or(default.registration),
        client_documents: client_documents.unwrap_or(default.client_documents),
        passkey_makers: passkey_makers.unwrap_or_default(),
        scopes: scopes.unwrap_or_default(),
    }
}

/// Roots that the factor takes, so that a start cannot fail for them later.
fn read_makers(reader: &mut Reader<'_>, field: &Field<'_>) -> Option<Vec<Vec<u8>>> {
    let (path, certificates) = read_certificates(reader, field)?;
    let roots: Vec<Vec<u8>> = certificates.iter().map(|it| it.to_vec()).collect();
    if Anchors::new(&roots).is_none() {
        let message = format!("{} holds a certificate that is no root", path.display());
        reader.problem(ProblemCode::Unreadable, &field.at, message);
        return None;
    }
    Some(roots)
}

fn read_words(reader: &mut Reader<'_>, field: &Field<'_>) -> Option<Vec<(String, String)>> {
    let entries = reader.table(field)?.entries();
    if entries.len() > SCOPES {
        reader.problem(ProblemCode::Value, &field.at, format!("more than {SCOPES} scopes"));
        return None;
    }
    let mut words = Vec::new();
    for (scope, field) in entries {
        if !is_scope_token(scope) {
            reader.problem(ProblemCode::Value, &field.at, format!("{scope:?} is not a scope"));
        }
        if let Some(text) = reader.text(&field) {
            if text.chars().count() > 200 {
                let message = "may have at most 200 characters";
                reader.problem(ProblemCode::Value, &field.at, message);
            }
            words.push((scope.to_owned(), text));
        }
    }
    Some(words)
}

/// Reads every `[[client]]`.
pub(super) fn read_clients(reader: &mut Reader<'_>, root: &mut Section<'_>) -> Vec<Client> {
    let mut clients = Vec::new();
    for section in reader.tables(root, Named::Client) {
        if clients.len() == CLIENTS {
            let message = format!("more than {CLIENTS} clients");
            reader.problem(ProblemCode::Value, &section.at, message);
            break;
        }
        clients.push(read_client(reader, section));
    }
    clients
}

fn read_client(reader: &mut Reader<'_>, mut section: Section<'_>) -> Client {
    let name = reader.name(&mut section, Named::Client);
    let secret = section.read(reader, "secret", |reader, field| reader.secret(field));
    let jwks_file = section
        .read(reader, "jwks_file", |reader, field| reader.text(field))
        .map(|path| reader.resolve(&path));
    let jwks_uri = section.read(reader, "jwks_uri", Reader::url).map(|it| it.as_str().to_owned());
    let words = [
        ("none", ClientAuth::None),
        ("client_secret_basic", ClientAuth::Basic),
        ("client_secret_post", ClientAuth::Post),
        ("private_key_jwt", ClientAuth::PrivateKeyJwt),
    ];
    let auth = section.read(reader, "auth", |reader, field| reader.word(field, &words));
    let auth = auth.unwrap_or(if secret.is_some() {
        ClientAuth::Basic
    } else if jwks_file.is_some() || jwks_uri.is_some() {
        ClientAuth::PrivateKeyJwt
    } else {
        ClientAuth::None
    });
    let at = section.at.clone();
    let grants = section.read(reader, "grants", |reader, field| reader.some(field, read_grant));
    let redirect_uris = section.read(reader, "redirect_uris", read_uris).unwrap_or_default();
    let after = section.read(reader, "post_logout_redirect_uris", read_uris);
    let told = section.read(reader, "backchannel_logout_uri", Reader::url);
    let scopes = section.read(reader, "scopes", |reader, field| reader.scopes(field));
    let rules = [
        ("standard", Profile::Standard),
        ("fapi2-security", Profile::Fapi2Security),
        ("fapi2-message-signing", Profile::Fapi2MessageSigning),
    ];
    let profile = section.read(reader, "profile", |reader, field| reader.word(field, &rules));
    let pkce = section.read(reader, "pkce", |reader, field| {
        reader.word(field, &[("required", true), ("optional", false)])
    });
    let consent = section.read(reader, "consent", Reader::boolean);
    section.finish(reader);
    let needs_secret = matches!(auth, ClientAuth::Basic | ClientAuth::Post);
    if needs_secret != secret.is_some() {
        let message = if needs_secret {
            "this client proves itself by a secret, and none is given"
        } else {
            "a secret is given, and this client does not prove itself by one"
        };
        reader.hinted(ProblemCode::Value, &at, message, "secret = { env = \"NAME\" }");
    }
    if auth == ClientAuth::PrivateKeyJwt && jwks_file.is_none() && jwks_uri.is_none() {
        let message = "this client signs, and its public keys are not given";
        reader.hinted(ProblemCode::Value, &at, message, "jwks_file = \"keys.json\"");
    }
    let default = match redirect_uris.is_empty() {
        true => vec!["client_credentials".to_owned()],
        false => vec!["authorization_code".to_owned(), "refresh_token".to_owned()],
    };
    Client {
        name,
        secret,
        auth,
        jwks_file,
        jwks_uri,
        grants: grants.unwrap_or(default),
        redirect_uris,
        post_logout_redirect_uris: after.unwrap_or_default(),
        backchannel_logout_uri: told.map(|it| it.as_str().to_owned()),
        scopes: scopes.unwrap_or_default(),
        profile: profile.unwrap_or(Profile::Standard),
        pkce: pkce.unwrap_or(true),
        consent: consent.unwrap_or(true),
    }
}

/// The grants by their names in RFC 7591, the long ones by short names.
fn read_grant(reader: &mut Reader<'_>, field: &Field<'_>) -> Option<String> {
    let words = [
        ("authorization_code", "authorization_code"),
        ("refresh_token", "refresh_token"),
        ("client_credentials", "client_credentials"),
        ("device_code", "urn:ietf:params:oauth:grant-type:device_code"),
        ("token_exchange", "urn:ietf:params:oauth:grant-type:token-exchange"),
        ("jwt_bearer", "urn:ietf:params:oauth:grant-type:jwt-bearer"),
    ];
    reader.word(field, &words).map(str::to_owned)
}

fn read_uris(reader: &mut Reader<'_>, field: &Field<'_>) -> Option<Vec<String>> {
    let uris = reader.some(field, |reader, item| reader.text(item))?;
    if uris.len() > URIS {
        reader.problem(ProblemCode::Value, &field.at, format!("more than {URIS} addresses"));
    }
    Some(uris)
}
