//! Accounts as SCIM users (RFC 7643 §4.1).
//!
//! Invariant: `userName` is the e-mail address that the person signs in with, in the form in which it is kept; two
//! spellings of one address are one account.

use super::filter::{Filter, member};
use super::patch::{self, Attribute, Shape};
use super::{
    Place, Query, Refused, USER, Written, groups_of, is_reserved, matches, no_password, object,
    schema, text, with_meta,
};
use crate::actor::Actor;
use crate::error::{Error, PortError};
use crate::oauth::OAuth;
use crate::oauth::records::UserRecord;
use crate::oauth::users::email;
use crate::text::NAME_CHARS;
use base::{UnixMs, code};
use serde_json::{Map, Value, json};

/// Characters of what the directory calls a resource.
pub(in crate::oauth) const EXTERNAL_ID_CHARS: usize = 255;
/// Where the addresses of deleted accounts end; nobody receives mail there (RFC 2606 §2).
pub(in crate::oauth) const DELETED: &str = "@deleted.invalid";
/// How often a change is tried again that another one came before.
const TRIES: usize = 3;
/// Which attribute is which claim of OpenID Connect.
const PLAIN: [(&str, &str); 3] =
    [("nickName", "nickname"), ("locale", "locale"), ("timezone", "zoneinfo")];
const NAMES: [(&str, &str); 3] =
    [("givenName", "given_name"), ("familyName", "family_name"), ("middleName", "middle_name")];
/// What a client may name in a PATCH.
pub(super) const ATTRIBUTES: [Attribute; 13] = [
    ("userName", Shape::One),
    ("externalId", Shape::One),
    ("displayName", Shape::One),
    ("nickName", Shape::One),
    ("locale", Shape::One),
    ("timezone", Shape::One),
    ("active", Shape::One),
    ("name", Shape::Parts(&["givenName", "familyName", "middleName"])),
    ("emails", Shape::ReadOnly),
    ("groups", Shape::ReadOnly),
    ("id", Shape::ReadOnly),
    ("meta", Shape::ReadOnly),
    ("schemas", Shape::ReadOnly),
];

/// Whether a directory sees the account: not a deleted one, and not the first one before it is set up.
pub(in crate::oauth) fn is_seen(user: &UserRecord) -> bool {
    !user.email.is_empty() && !user.email.ends_with(DELETED)
}

/// What a directory says of an account.
#[derive(Debug)]
struct Wanted {
    email: String,
    name: Option<String>,
    external_id: Option<String>,
    claims: Vec<(&'static str, Option<String>)>,
    /// `None`: as it is.
    active: Option<bool>,
}

impl Wanted {
    fn read(body: &Map<String, Value>) -> Result<Self, Refused> {
        for name in body.keys() {
            no_password(name)?;
        }
        let Some(Value::String(address)) = member(body, "userName") else {
            return Err(Refused::bad("invalidValue", "userName must be an e-mail address"));
        };
        let email = email(address).map_err(|_| {
            Refused::bad("invalidValue", "userName must be an e-mail address: name@example.com")
        })?;
        if email.ends_with(DELETED) {
            return Err(Refused::bad("invalidValue", "userName has a domain that is not used"));
        }
        let empty = Map::new();
        let parts = match member(body, "name") {
            None | Some(Value::Null) => &empty,
            Some(Value::Object(parts)) => parts,
            Some(_) => return Err(Refused::bad("invalidValue", "name must be an object")),
        };
        let mut claims = Vec::new();
        for (source, pairs) in [(body, PLAIN), (parts, NAMES)] {
            for (attribute, claim) in pairs {
                claims.push((claim, text(source, (attribute, attribute), NAME_CHARS)?));
            }
        }
        let name = match text(body, ("displayName", "displayName"), NAME_CHARS)? {
            None => text(parts, ("formatted", "name.formatted"), NAME_CHARS)?,
            shown => shown,
        };
        let external = ("externalId", "externalId");
        let external_id = text(body, external, EXTERNAL_ID_CHARS)?;
        Ok(Self { email, name, external_id, claims, active: active(body)? })
    }

    /// Writes it into the account.
    fn put(&self, user: &mut UserRecord, now: UnixMs) -> Result<(), Refused> {
        if user.email != self.email {
            user.email.clone_from(&self.email);
            // Nobody has shown that the new one is theirs.
            user.email_verified = false;
            // What was mailed to the old one opens nothing for whoever reads that.
            user.setup = None;
        }
        user.name.clone_from(&self.name);
        user.directory.external_id.clone_from(&self.external_id);
        for (claim, value) in &self.claims {
            match value {
                Some(value) => user.claims.insert((*claim).to_owned(), value.clone().into()),
                None => user.claims.remove(*claim),
            };
        }
        match (self.active, user.disabled_at) {
            (Some(false), None) => {
                user.disabled_at = Some(now);
                user.directory.closed_at = Some(now);
            }
            (Some(true), Some(at)) if user.directory.closed_at == Some(at) => {
                user.disabled_at = None;
                user.directory.closed_at = None;
            }
            (Some(true), Some(_)) => {
                return Err(Refused::new(403, "an administrator has closed this account"));
            }
            (Some(true), None) | (Some(false), Some(_)) | (None, _) => {}
        }
        Ok(())
    }
}

/// WHY texts too: a widespread client sends `"False"`.
fn active(body: &Map<String, Value>) -> Result<Option<bool>, Refused> {
    match member(body, "active") {
        // RFC 7644 §3.5.1: what is left out is left as it is. A closed account is not opened by silence.
        None | Some(Value::Null) => Ok(None),
        Some(Value::Bool(active)) => Ok(Some(*active)),
        Some(Value::String(word)) if word.eq_ignore_ascii_case("true") => Ok(Some(true)),
        Some(Value::String(word)) if word.eq_ignore_ascii_case("false") => Ok(Some(false)),
        Some(_) => Err(Refused::bad("invalidValue", "active must be true or false")),
    }
}

/// What of an account a client may write.
fn writable(user: &UserRecord) -> Map<String, Value> {
    let claim = |name: &str| user.claims.get(name).filter(|it| it.is_string()).cloned();
    let parts = |pairs: [(&str, &str); 3]| {
        let part = |(attribute, name): (&str, &str)| Some((attribute.to_owned(), claim(name)?));
        pairs.into_iter().filter_map(part).collect::<Map<_, _>>()
    };
    let mut body = parts(PLAIN);
    let name = parts(NAMES);
    if !name.is_empty() {
        body.insert("name".to_owned(), name.into());
    }
    body.insert("userName".to_owned(), user.email.clone().into());
    body.insert("active".to_owned(), user.disabled_at.is_none().into());
    let texts = [("displayName", &user.name), ("externalId", &user.directory.external_id)];
    for (attribute, text) in texts {
        if let Some(text) = text {
            body.insert(attribute.to_owned(), text.clone().into());
        }
    }
    body
}

/// An account as a SCIM resource.
pub(super) fn view(place: &Place, user: &UserRecord) -> Value {
    let mut body = writable(user);
    // Where there are no parts there is no name either, but the one that is shown.
    if let (Some(full), Some(Value::Object(name))) = (&user.name, body.get_mut("name")) {
        name.insert("formatted".to_owned(), full.clone().into());
    }
    let group = |name: &String| {
        json!({
            "value": name, "$ref": format!("{}/Groups/{name}", place.base), "type": "direct",
        })
    };
    let groups: Vec<Value> = groups_of(user).map(group).collect();
    body.insert("schemas".to_owned(), json!([USER]));
    body.insert("id".to_owned(), user.id.clone().into());
    body.insert(
        "emails".to_owned(),
        json!([{ "value": user.email, "type": "work", "primary": true }]),
    );
    if !groups.is_empty() {
        body.insert("groups".to_owned(), groups.into());
    }
    let resource = ("User", "Users", user.id.as_str());
    with_meta(place, Value::Object(body), resource, (user.created_at, user.updated_at))
}

/// An account that administers this gate is not the directory's to change.
fn changeable(user: &UserRecord) -> Result<(), Refused> {
    if user.declared.is_some() {
        return Err(Refused::new(403, "this account stands in the gate's configuration file"));
    }
    match user.roles.iter().any(|role| is_reserved(role)) {
        true => Err(Refused::new(403, "this account has a role of this gate; change it there")),
        false => Ok(()),
    }
}

impl OAuth {
    async fn scim_account(&self, id: &str) -> Result<UserRecord, Refused> {
        let found = self.parts.store.user(id.to_owned()).await?;
        found.filter(is_seen).ok_or_else(|| Refused::of("user"))
    }

    /// One user.
    ///
    /// # Errors
    /// 404 when there is none.
    pub async fn scim_user(&self, place: &Place, id: &str) -> Result<Value, Refused> {
        Ok(view(place, &self.scim_account(id).await?))
    }

    /// Users that a query wants, as a list response.
    ///
    /// # Errors
    /// 400 `invalidFilter`, or `tooMany` when there are more than [`super::SCANNED`] to look through.
    pub async fn scim_users(&self, place: &Place, query: &Query) -> Result<Value, Refused> {
        let filter = query.read_filter()?;
        let users = match filter.as_ref().and_then(|it| it.only_equal("username")) {
            // What is no address is nobody's.
            Some(name) => match email(name) {
                Ok(email) => self.parts.store.user_by_email(email).await?.into_iter().collect(),
                Err(_) => Vec::new(),
            },
            None => match filter.as_ref().and_then(|it| it.only_equal("externalid")) {
                Some(external) => {
                    self.parts.store.users_by_external_id(external.to_owned()).await?
                }
                None => self.directory_accounts().await?,
            },
        };
        let holds = |it: &Value| {
            let by_name = filter.as_ref().is_some_and(|it| it.only_equal("username").is_some());
            let asked = |filter: &Filter| it.as_object().is_some_and(|it| filter.holds(it));
            by_name || filter.as_ref().is_none_or(asked)
        };
        let seen = users.iter().filter(|it| is_seen(it)).map(|it| view(place, it));
        Ok(query.page(seen.filter(holds).collect()))
    }

    /// Makes an account. It has no password: the person signs in elsewhere, or is invited.
    ///
    /// # Errors
    /// 400 when a value breaks its rule (recorded), 409 `uniqueness` when the address has an account.
    pub async fn scim_create_user(
        &self,
        actor: &Actor,
        place: &Place,
        body: &Value,
    ) -> Result<Written, Refused> {
        let body = object(body)?;
        schema(body, USER)?;
        let wanted = match Wanted::read(body) {
            Ok(wanted) => wanted,
            Err(refused) => {
                return Err(self.scim_refused(actor, code::USER_CREATED, None, refused).await);
            }
        };
        let mut user = self.blank_user(actor, wanted.email.clone())?;
        let now = self.parts.clock.now();
        wanted.put(&mut user, now)?;
        let made = self.keep_user(actor, user.clone(), None).await?;
        Ok(Written { resource: view(place, &user), seq: Some(made.seq) })
    }

    /// Replaces what a directory says of an account. What closes it ends its sessions and tokens.
    ///
    /// # Errors
    /// As [`Self::scim_create_user`]; 404, 403 for an account that is not the directory's to change, 412 when it is
    /// not as `if_match` says.
    pub async fn scim_replace_user(
        &self,
        actor: &Actor,
        place: &Place,
        (id, if_match): (&str, Option<&str>),
        body: &Value,
    ) -> Result<Written, Refused> {
        let body = object(body)?;
        schema(body, USER)?;
        self.scim_change(actor, place, (id, if_match), |_| Wanted::read(body)).await
    }

    /// Changes parts of what a directory says of an account.
    ///
    /// # Errors
    /// As [`Self::scim_replace_user`], and what RFC 7644 §3.5.2 says of operations.
    pub async fn scim_patch_user(
        &self,
        actor: &Actor,
        place: &Place,
        (id, if_match): (&str, Option<&str>),
        body: &Value,
    ) -> Result<Written, Refused> {
        let body = object(body)?;
        let wanted = |user: &UserRecord| {
            let mut resource = writable(user);
            patch::apply(&mut resource, &ATTRIBUTES, body)?;
            Wanted::read(&resource)
        };
        self.scim_change(actor, place, (id, if_match), wanted).await
    }

    async fn scim_change(
        &self,
        actor: &Actor,
        place: &Place,
        (id, if_match): (&str, Option<&str>),
        wanted: impl Fn(&UserRecord) -> Result<Wanted, Refused>,
    ) -> Result<Written, Refused> {
        self.scim_account(id).await?;
        let sessions = self.sessions_of(id).await?;
        let now = self.parts.clock.now();
        let mut why = None;
        let change = |user: &mut UserRecord| {
            let checked = changeable(user)
                .and_then(|()| matches(if_match, &view(place, user)))
                .and_then(|()| wanted(user))
                .and_then(|it| it.put(user, now));
            checked.map_err(|refused| {
                let words = refused.detail.clone();
                why = Some(refused);
                Error::invalid("scim", words)
            })
        };
        match self.change_user(actor, id, "by the directory", change).await {
            Ok(done) => {
                // The sessions have ended with the account; their clients are told.
                if done.record.disabled_at.is_some() {
                    for ended in &sessions {
                        self.tell_clients(ended).await?;
                    }
                }
                Ok(Written { resource: view(place, &done.record), seq: Some(done.seq) })
            }
            Err(error) => Err(why.unwrap_or_else(|| error.into())),
        }
    }

    /// Deletes an account: what it says of the person goes, with all ways of signing in, sessions and tokens. Its id is
    /// never used again.
    ///
    /// # Errors
    /// 404, 403 and 412 as [`Self::scim_replace_user`].
    pub async fn scim_delete_user(
        &self,
        actor: &Actor,
        place: &Place,
        (id, if_match): (&str, Option<&str>),
    ) -> Result<Written, Refused> {
        for _ in 0..TRIES {
            let before = self.scim_account(id).await?;
            let allowed =
                changeable(&before).and_then(|()| matches(if_match, &view(place, &before)));
            if let Err(refused) = allowed {
                return Err(self.scim_refused(actor, code::USER_CHANGED, Some(id), refused).await);
            }
            let sessions = self.sessions_of(id).await?;
            let now = self.parts.clock.now();
            let mut after = self.blank_user(actor, format!("{id}{DELETED}"))?;
            after.id.clone_from(&before.id);
            after.created_at = before.created_at;
            after.created_by.clone_from(&before.created_by);
            after.disabled_at = Some(before.disabled_at.unwrap_or(now));
            let event =
                self.act(actor, code::USER_CHANGED, Some(id), "deleted by the directory")?;
            let revoke = self.subject_revocation(id);
            let store = &self.parts.store;
            if let Some((seq, _)) = store.reset_user(before, after, revoke, event).await? {
                for ended in &sessions {
                    self.tell_clients(ended).await?;
                }
                return Ok(Written { resource: Value::Null, seq: Some(seq) });
            }
        }
        Err(PortError::Unavailable("the account keeps changing".to_owned()).into())
    }

    /// Records that an act was refused to a directory.
    pub(super) async fn scim_refused(
        &self,
        actor: &Actor,
        act: base::Code,
        target: Option<&str>,
        refused: Refused,
    ) -> Refused {
        let told = Error::invalid("scim", refused.detail.clone());
        match self.act_refused::<()>(actor, act, target, told).await {
            // WHY: what cannot be recorded is not answered as if it were.
            Err(Error::Store(error)) => error.into(),
            _ => refused,
        }
    }
}
