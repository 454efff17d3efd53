//! One person as a line of a file says them.
//!
//! Never does: repeat a value in what it says is wrong; a line may hold secrets.

use crate::error::Error;
use crate::factors::password;
use crate::factors::totp::{Algorithm, DIGITS, STEP_SECONDS, TotpSecret};
use crate::oauth::records::UserRecord;
use crate::oauth::scim::{DELETED, EXTERNAL_ID_CHARS};
use crate::oauth::users::{ID_CHARS, email, profile, roles};
use crate::text;
use base::Secret;
use protocol::json::Object;
use serde_json::{Map, Value};

/// The members that a line may have.
const MEMBERS: [&str; 12] = [
    "id",
    "email",
    "email_verified",
    "name",
    "groups",
    "claims",
    "disabled",
    "external_id",
    "password_hash",
    "password_beside",
    "second_factor",
    "totp",
];
/// Authenticator apps of one line; more than anybody carries about.
const APPS: usize = 5;
/// Characters of an authenticator's name.
const APP_NAME_CHARS: usize = 60;
/// What an app without a name is called.
const APP: &str = "Authenticator app";

/// What a line says of a person. What it leaves out is `None`.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) id: Option<String>,
    pub(super) email: String,
    pub(super) email_verified: Option<bool>,
    pub(super) name: Option<String>,
    pub(super) groups: Option<Vec<String>>,
    pub(super) claims: Option<Object>,
    pub(super) disabled: Option<bool>,
    pub(super) external_id: Option<String>,
    pub(super) password_hash: Option<Secret<String>>,
    /// The password is good only beside a second factor.
    pub(super) beside: bool,
    pub(super) apps: Vec<App>,
}

/// An authenticator app.
#[derive(Debug)]
pub(super) struct App {
    pub(super) name: String,
    pub(super) secret: TotpSecret,
    pub(super) algorithm: Algorithm,
}

impl Line {
    /// # Errors
    /// [`Error::Invalid`] for the first member that breaks its rule.
    pub(super) fn read(value: &Value) -> Result<Self, Error> {
        let Value::Object(body) = value else {
            return Err(Error::invalid("line", "must be a JSON object"));
        };
        known(body, &MEMBERS, "line")?;
        let hash = string(body, "password_hash")?;
        if let Some(hash) = hash {
            password::importable(hash)
                .map_err(|broken| Error::invalid("password_hash", broken.to_string()))?;
        }
        let second = flag(body, "second_factor")?.unwrap_or_default();
        let beside = flag(body, "password_beside")?.unwrap_or_default();
        Ok(Self {
            id: string(body, "id")?.map(id).transpose()?,
            email: address(string(body, "email")?)?,
            email_verified: flag(body, "email_verified")?,
            name: text::optional_line("name", string(body, "name")?, text::NAME_CHARS)?,
            groups: groups(body)?,
            claims: claims(body)?,
            disabled: flag(body, "disabled")?,
            external_id: text::optional_line(
                "external_id",
                string(body, "external_id")?,
                EXTERNAL_ID_CHARS,
            )?,
            // INVARIANT: who had two factors elsewhere does not come in with one here.
            beside: hash.is_some() && (second || beside),
            password_hash: hash.map(|it| Secret::new(it.to_owned())),
            apps: apps(body)?,
        })
    }

    /// Writes it into an account, new or not. A password that is there stays.
    ///
    /// INVARIANT: it opens no account: a file of last week does not know who was shut out since.
    pub(super) fn put(&self, user: &mut UserRecord, now: base::UnixMs) {
        if let Some(verified) = self.email_verified {
            user.email_verified = verified;
        }
        if let Some(name) = &self.name {
            user.name = Some(name.clone());
        }
        if let Some(groups) = &self.groups {
            user.roles.clone_from(groups);
        }
        if let Some(claims) = &self.claims {
            user.claims.clone_from(claims);
        }
        if let Some(external) = &self.external_id {
            user.directory.external_id = Some(external.clone());
        }
        if self.disabled == Some(true) {
            user.disabled_at.get_or_insert(now);
            user.directory.closed_at = None;
        }
        if let (None, Some(hash)) = (&user.password, &self.password_hash) {
            user.password = Some(hash.expose().clone());
            user.password_beside = self.beside;
            // The text would set another password.
            user.setup = None;
        }
    }

    /// The members in which it and the account are not one.
    pub(super) fn differs(&self, user: &UserRecord) -> Vec<&'static str> {
        fn other<T: PartialEq>(said: Option<&T>, is: Option<&T>) -> bool {
            said.is_some() && said != is
        }
        let external = user.directory.external_id.as_ref();
        let all = [
            ("email_verified", other(self.email_verified.as_ref(), Some(&user.email_verified))),
            ("name", other(self.name.as_ref(), user.name.as_ref())),
            ("groups", other(self.groups.as_ref(), Some(&user.roles))),
            ("claims", other(self.claims.as_ref(), Some(&user.claims))),
            ("disabled", other(self.disabled.as_ref(), Some(&user.disabled_at.is_some()))),
            ("external_id", other(self.external_id.as_ref(), external)),
            ("password_hash", self.password_hash.is_some() && user.password.is_none()),
        ];
        all.into_iter().filter(|(_, differs)| *differs).map(|(name, _)| name).collect()
    }

    /// What is recorded of it: words, and nothing personal.
    pub(super) fn says(&self) -> String {
        let kind = self.password_hash.as_ref().map(|it| password::kind_of(it.expose()));
        let groups = self.groups.as_ref().map(|it| it.join(" ")).unwrap_or_default();
        let password = kind.flatten().unwrap_or("none");
        format!("groups {groups:?}, password {password}, apps {}", self.apps.len())
    }
}

/// Refuses members that are not known: a misspelled one would be lost without a word.
fn known(body: &Map<String, Value>, names: &[&str], field: &'static str) -> Result<(), Error> {
    match body.keys().find(|name| !names.contains(&name.as_str())) {
        None => Ok(()),
        Some(other) => {
            let shown: String = other.escape_default().take(64).collect();
            let words = names.join(", ");
            Err(Error::invalid(field, format!("`{shown}` is not known; leave it out ({words})")))
        }
    }
}

fn string<'a>(body: &'a Map<String, Value>, name: &'static str) -> Result<Option<&'a str>, Error> {
    match body.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(Error::invalid(name, "must be a text")),
    }
}

fn flag(body: &Map<String, Value>, name: &'static str) -> Result<Option<bool>, Error> {
    match body.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Bool(flag)) => Ok(Some(*flag)),
        Some(_) => Err(Error::invalid(name, "must be true or false")),
    }
}

fn id(text: &str) -> Result<String, Error> {
    match text.len() == ID_CHARS && text.bytes().all(|c| c.is_ascii_alphanumeric()) {
        true => Ok(text.to_owned()),
        false => Err(Error::invalid(
            "id",
            format!(
                "must have {ID_CHARS} letters and digits, as an export writes it; leave it out for a new one"
            ),
        )),
    }
}

fn address(text: Option<&str>) -> Result<String, Error> {
    let Some(text) = text else { return Err(Error::invalid("email", "is missing")) };
    let address = email(text)?;
    match address.ends_with(DELETED) {
        true => Err(Error::invalid("email", "is that of a deleted account")),
        false => Ok(address),
    }
}

fn groups(body: &Map<String, Value>) -> Result<Option<Vec<String>>, Error> {
    let list = match body.get("groups") {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::Array(list)) => list,
        Some(_) => return Err(Error::invalid("groups", "must be a list of texts")),
    };
    let word = |it: &Value| it.as_str().map(str::to_owned);
    let words: Option<Vec<String>> = list.iter().map(word).collect();
    let words = words.ok_or_else(|| Error::invalid("groups", "must be a list of texts"))?;
    roles(&words).map(Some).map_err(|error| match error {
        Error::Invalid { problem, .. } => Error::Invalid { field: "groups", problem },
        other => other,
    })
}

fn claims(body: &Map<String, Value>) -> Result<Option<Object>, Error> {
    match body.get("claims") {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Object(claims)) => profile(claims).map(Some),
        Some(_) => Err(Error::invalid("claims", "must be an object")),
    }
}

fn apps(body: &Map<String, Value>) -> Result<Vec<App>, Error> {
    let list = match body.get("totp") {
        None | Some(Value::Null) => return Ok(Vec::new()),
        Some(Value::Array(list)) if list.len() <= APPS => list,
        Some(_) => {
            return Err(Error::invalid(
                "totp",
                format!("must be a list of at most {APPS} objects"),
            ));
        }
    };
    list.iter().map(app).collect()
}

fn app(value: &Value) -> Result<App, Error> {
    let wrong = |problem: &str| Error::invalid("totp", problem);
    let Value::Object(body) = value else { return Err(wrong("must be a list of objects")) };
    known(body, &["secret", "algorithm", "digits", "period", "name"], "totp")?;
    let text = |name: &str| body.get(name).and_then(Value::as_str);
    let secret = text("secret").and_then(TotpSecret::from_base32);
    let secret = secret.ok_or_else(|| wrong("secret: must be base32 text of 16 to 64 bytes"))?;
    let algorithm = match body.get("algorithm") {
        None | Some(Value::Null) => Algorithm::Sha1,
        Some(Value::String(name)) => match name.to_ascii_uppercase().replace('-', "").as_str() {
            "SHA1" => Algorithm::Sha1,
            "SHA256" => Algorithm::Sha256,
            _ => {
                return Err(wrong("algorithm: must be SHA1 or SHA256; let the person add it anew"));
            }
        },
        Some(_) => return Err(wrong("algorithm: must be a text")),
    };
    let fixed = [("digits", DIGITS as u64), ("period", STEP_SECONDS.unsigned_abs())];
    for (name, ours) in fixed {
        if body.get(name).is_some_and(|it| !it.is_null() && it.as_u64() != Some(ours)) {
            let told = format!("{name}: must be {ours} here; let the person add the app anew");
            return Err(wrong(&told));
        }
    }
    if body.get("name").is_some_and(|it| !it.is_null() && !it.is_string()) {
        return Err(wrong("name: must be a text"));
    }
    let name = text::optional_line("totp", text("name"), APP_NAME_CHARS)?;
    Ok(App { name: name.unwrap_or_else(|| APP.to_owned()), secret, algorithm })
}
