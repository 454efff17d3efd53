//! `[[provider]]`: where else people may sign in.
//!
//! Invariants: a preset is only a shorter way to write the same keys; what is not written is never believed.

use super::problem::ProblemCode;
use super::reader::{Field, Named, Reader, Section};
use super::text::is_name;
use super::url::WebUrl;
use authority::oauth::federation::{Provider, ProviderAuth};
use authority::people::Level;
use std::collections::HashMap;

/// Providers of one file; each is a button on the sign-in page.
const PROVIDERS: usize = 32;
/// Scopes, groups, words and domains of one provider.
const ENTRIES: usize = 256;
/// Characters of what stands on the button.
const NAME_CHARS: usize = 40;
/// Bytes of our `client_id` there, of a claim's name and of a group's.
const TEXT_BYTES: usize = 255;
/// What is asked for unless the file says otherwise.
const SCOPES: [&str; 3] = ["openid", "email", "profile"];

/// A provider that is known by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Preset {
    Google,
    Microsoft,
    Okta,
    Keycloak,
}

impl Preset {
    const WORDS: [(&'static str, Self); 4] = [
        ("google", Self::Google),
        ("microsoft", Self::Microsoft),
        ("okta", Self::Okta),
        ("keycloak", Self::Keycloak),
    ];

    fn display_name(self) -> &'static str {
        match self {
            Self::Google => "Google",
            Self::Microsoft => "Microsoft",
            Self::Okta => "Okta",
            Self::Keycloak => "Keycloak",
        }
    }

    /// The keys that belong to it.
    fn parameters(self) -> &'static [&'static str] {
        match self {
            Self::Google => &[],
            Self::Microsoft => &["tenant"],
            Self::Okta => &["domain"],
            Self::Keycloak => &["server", "realm"],
        }
    }
}

/// Reads every `[[provider]]`.
pub(super) fn read_providers(reader: &mut Reader<'_>, root: &mut Section<'_>) -> Vec<Provider> {
    let mut issuers = HashMap::new();
    let mut providers = Vec::new();
    for section in reader.tables(root, Named::Provider) {
        if providers.len() == PROVIDERS {
            let message = format!("more than {PROVIDERS} providers");
            reader.problem(ProblemCode::Value, &section.at, message);
            break;
        }
        providers.extend(read_provider(reader, section, &mut issuers));
    }
    providers
}

fn read_provider(
    reader: &mut Reader<'_>,
    mut section: Section<'_>,
    issuers: &mut HashMap<(String, String), String>,
) -> Option<Provider> {
    let name = reader.name(&mut section, Named::Provider);
    if name.starts_with('.') {
        let message = "a provider's name stands in an address, and does not begin with a dot";
        reader.problem(ProblemCode::Value, &section.at, message);
    }
    let preset = section.read(reader, "preset", |reader, field| reader.word(field, &Preset::WORDS));
    let issuer = read_issuer(reader, &mut section, preset);
    let display_name = section.read(reader, "display_name", read_display_name);
    let client_id =
        section.require(reader, "client_id", |reader, field| bounded(reader, field, "a client id"));
    let client_secret = section.read(reader, "client_secret", |reader, field| reader.secret(field));
    let words =
        [("client_secret_basic", ProviderAuth::Basic), ("client_secret_post", ProviderAuth::Post)];
    let client_auth =
        section.read(reader, "client_auth", |reader, field| reader.word(field, &words));
    if client_auth.is_some() && !section.has("client_secret") {
        let hint = "client_secret = { env = \"NAME\" }, or leave `client_auth` out";
        let message = "`client_auth` says how a secret is shown, and there is none";
        reader.hinted(ProblemCode::Missing, &section.at, message, hint);
    }
    let scopes = section.read(reader, "scopes", read_scopes);
    let claim = section
        .read(reader, "groups_claim", |reader, field| bounded(reader, field, "a claim's name"));
    let groups = section.read(reader, "groups", read_groups).unwrap_or_default();
    let acr = section.read(reader, "acr", read_levels).unwrap_or_default();
    let amr = section.read(reader, "amr", read_levels).unwrap_or_default();
    let create = section.read(reader, "create", read_create).unwrap_or_default();
    section.read(reader, "link", |reader, field| reader.word(field, &[("explicit", ())]));
    let at = section.at.clone();
    section.finish(reader);
    let (issuer, client_id) = (issuer?, client_id?);
    if let Some(first) = issuers.insert((issuer.clone(), client_id.clone()), at.path.clone()) {
        let message = format!("{first} is the same client of the same issuer");
        reader.hinted(ProblemCode::Duplicate, &at, message, "declare each once");
    }
    let known = preset.map(|it| it.display_name().to_owned());
    Some(Provider {
        display_name: display_name.or(known).unwrap_or_else(|| name.clone()),
        name,
        issuer,
        client_id,
        client_secret,
        client_auth,
        scopes: scopes.unwrap_or_else(|| SCOPES.map(str::to_owned).to_vec()),
        groups_claim: claim.unwrap_or_else(|| "groups".to_owned()),
        groups,
        acr,
        amr,
        create,
    })
}

/// The issuer as it is written, or as the preset's parameters make it.
fn read_issuer(
    reader: &mut Reader<'_>,
    section: &mut Section<'_>,
    preset: Option<Preset>,
) -> Option<String> {
    let issuer = section.field("issuer");
    let mut given = HashMap::new();
    for key in ["tenant", "domain", "server", "realm"] {
        let Some(field) = section.field(key) else { continue };
        if !preset.is_some_and(|it| it.parameters().contains(&key)) {
            let message = format!("`{key}` belongs to another preset");
            let hint = "tenant: \"microsoft\"; domain: \"okta\"; server and realm: \"keycloak\"";
            reader.hinted(ProblemCode::Conflict, &field.at, message, hint);
            continue;
        }
        given.insert(key, field);
    }
    match (issuer, preset) {
        (Some(field), None) => secure_url(reader, &field)
            .map(|_| ())
            // The identifier counts byte by byte, so it stays as it is written.
            .and_then(|()| reader.text(&field)),
        (Some(field), Some(_)) => {
            let message = "`issuer` and `preset` exclude each other";
            reader.problem(ProblemCode::Conflict, &field.at, message);
            None
        }
        (None, Some(preset)) => of_preset(reader, section, (preset, &given)),
        (None, None) if section.has("preset") => None,
        (None, None) => {
            let hint = "issuer = \"https://…\", or preset = \"google\", \"microsoft\", \"okta\" or \"keycloak\"";
            reader.hinted(ProblemCode::Missing, &section.at, "`issuer` is missing", hint);
            None
        }
    }
}

fn of_preset(
    reader: &mut Reader<'_>,
    section: &Section<'_>,
    (preset, given): (Preset, &HashMap<&'static str, Field<'_>>),
) -> Option<String> {
    let mut whole = true;
    for key in preset.parameters() {
        if !given.contains_key(key) {
            let message = format!("`{key}` is missing");
            reader.problem(ProblemCode::Missing, &section.at, message);
            whole = false;
        }
    }
    let mut word = |key: &str, sound: fn(&str) -> bool, hint: &str| {
        let field = given.get(key)?;
        let text = reader.text(field)?;
        if !sound(&text) {
            reader.hinted(ProblemCode::Value, &field.at, format!("not a {key}"), hint);
            return None;
        }
        Some(text)
    };
    let issuer = match preset {
        Preset::Google => Some("https://accounts.google.com".to_owned()),
        // WHY not "common" and its kin, or a domain: the tokens then bear another issuer than was asked.
        Preset::Microsoft => word(
            "tenant",
            is_uuid,
            "the directory (tenant) id: 8-4-4-4-12 hexadecimal digits",
        )
        .map(|tenant| {
            format!("https://login.microsoftonline.com/{}/v2.0", tenant.to_ascii_lowercase())
        }),
        Preset::Okta => {
            let hint = "domain = \"example.okta.com\"; for an authorization server of your own write `issuer`";
            word("domain", is_host, hint).map(|domain| format!("https://{domain}"))
        }
        Preset::Keycloak => {
            let realm = word("realm", is_segment, "realm = \"main\"");
            let server = given.get("server").and_then(|field| secure_url(reader, field));
            let server = server.map(|it| it.as_str().trim_end_matches('/').to_owned());
            server.zip(realm).map(|(server, realm)| format!("{server}/realms/{realm}"))
        }
    };
    issuer.filter(|_| whole)
}

/// A URL whose answers decide who somebody is.
fn secure_url(reader: &mut Reader<'_>, field: &Field<'_>) -> Option<WebUrl> {
    let url = reader.url(field)?;
    if !url.is_https() && !url.is_loopback() {
        let message = "over plain HTTP whoever sits on the way decides who signs in";
        reader.hinted(ProblemCode::Value, &field.at, message, "use https");
        return None;
    }
    Some(url)
}

fn is_uuid(text: &str) -> bool {
    let parts: Vec<usize> = text.split('-').map(str::len).collect();
    parts == [8, 4, 4, 4, 12] && text.bytes().all(|c| c == b'-' || c.is_ascii_hexdigit())
}

fn is_host(text: &str) -> bool {
    let label = |it: &str| {
        !it.is_empty()
            && it.len() <= 63
            && it.bytes().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-')
    };
    text.len() <= 253 && text.contains('.') && text.split('.').all(label)
}

fn is_segment(text: &str) -> bool {
    text.len() <= 64
        && !text.starts_with('.')
        && text.bytes().all(|c| c.is_ascii_alphanumeric() || b"-._~".contains(&c))
}

fn read_display_name(reader: &mut Reader<'_>, field: &Field<'_>) -> Option<String> {
    let text = reader.text(field)?;
    if text.trim().is_empty()
        || text.chars().count() > NAME_CHARS
        || text.chars().any(char::is_control)
    {
        let message = format!("must have 1 to {NAME_CHARS} characters, and no control characters");
        reader.problem(ProblemCode::Value, &field.at, message);
        return None;
    }
    Some(text)
}

fn bounded(reader: &mut Reader<'_>, field: &Field<'_>, what: &str) -> Option<String> {
    let text = reader.text(field)?;
    if text.len() > TEXT_BYTES || text.chars().any(char::is_control) {
        let message = format!("{what} has 1 to {TEXT_BYTES} bytes and no control characters");
        reader.problem(ProblemCode::Value, &field.at, message);
        return None;
    }
    Some(text)
}

fn read_scopes(reader: &mut Reader<'_>, field: &Field<'_>) -> Option<Vec<String>> {
    let scopes = reader.some(field, |reader, item| {
        let text = reader.text(item)?;
        if !protocol::oauth::is_scope_token(&text) {
            reader.problem(ProblemCode::Value, &item.at, format!("{text:?} is not a scope"));
        }
        Some(text)
    })?;
    few(reader, field, scopes.len())?;
    if !scopes.iter().any(|it| it == "openid") {
        let message = "without `openid` a provider does not say who signed in";
        let hint = "scopes = [\"openid\", \"email\", \"profile\"]";
        reader.hinted(ProblemCode::Value, &field.at, message, hint);
        return None;
    }
    Some(scopes)
}

fn few(reader: &mut Reader<'_>, field: &Field<'_>, count: usize) -> Option<()> {
    if count > ENTRIES {
        reader.problem(ProblemCode::Value, &field.at, format!("more than {ENTRIES} entries"));
        return None;
    }
    Some(())
}

/// Their groups, and which of ours each is.
fn read_groups(reader: &mut Reader<'_>, field: &Field<'_>) -> Option<Vec<(String, String)>> {
    let table = reader.table(field)?;
    let entries = table.entries();
    few(reader, field, entries.len())?;
    let mut groups = Vec::new();
    for (theirs, own) in entries {
        let Some(text) = reader.text(&own) else { continue };
        if !is_name(&text) {
            let message = format!("{text:?} is not a group of ours");
            let hint = "1 to 64 of A-Z, a-z, 0-9, '-', '_', '.'";
            reader.hinted(ProblemCode::Value, &own.at, message, hint);
        }
        groups.push((theirs.to_owned(), text));
    }
    Some(groups)
}

/// Their words, and which level of ours each is worth.
fn read_levels(reader: &mut Reader<'_>, field: &Field<'_>) -> Option<Vec<(String, Level)>> {
    // WHY not aal3: whether a key can leave its authenticator is known here only of what was added here.
    let words = [("aal1", Level::Aal1), ("aal2", Level::Aal2), ("phr", Level::Phr)];
    let table = reader.table(field)?;
    let entries = table.entries();
    few(reader, field, entries.len())?;
    let level =
        |(theirs, own): (&str, Field<'_>)| Some((theirs.to_owned(), reader.word(&own, &words)?));
    Some(entries.into_iter().filter_map(level).collect())
}

/// `"never"`, or the mail domains whose people get an account.
fn read_create(reader: &mut Reader<'_>, field: &Field<'_>) -> Option<Vec<String>> {
    if let toml::de::DeValue::String(_) = field.value {
        return reader.word(field, &[("never", ())]).map(|()| Vec::new());
    }
    let domains = reader.some(field, |reader, item| {
        let text = reader.text(item)?.to_lowercase();
        if !is_host(&text) {
            let message = format!("{text:?} is not a mail domain");
            let hint = "create = [\"example.com\"]; each sub-domain is one of its own";
            reader.hinted(ProblemCode::Value, &item.at, message, hint);
        }
        Some(text)
    })?;
    few(reader, field, domains.len())?;
    Some(domains)
}
