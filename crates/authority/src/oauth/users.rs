//! People's accounts: make, list, show, disable, enable, roles, profile.
//!
//! Never does: tell a stranger whether an address has an account.
//!
//! Invariant: what closes an account, or gives it other roles, ends its sessions and its tokens in the same
//! transaction.

use super::OAuth;
use super::ports::TextPage;
use super::records::{InDirectory, Revocation, RevocationKind, UserRecord};
use super::settings::ACCESS_TOKEN_LONGEST;
use super::setup::SETUP;
use crate::actor::Actor;
use crate::authority::Done;
use crate::error::{Error, PortError};
use crate::text;
use base::limits::CLOCK_SKEW;
use base::{Secret, base62, code};
use protocol::json::Object;
use protocol::oidc::STANDARD_CLAIMS;
use std::time::Duration;
use unicode_normalization::UnicodeNormalization as _;

/// The role that may do everything.
pub const ADMINISTRATOR: &str = "administrator";
/// Characters of an account's id.
pub(super) const ID_CHARS: usize = 12;
/// Bytes of an e-mail address (RFC 5321 §4.5.3.1.3, without the angle brackets).
const EMAIL_BYTES: usize = 254;
/// Roles and groups of one account; each stands in tokens.
pub(super) const ROLES: usize = 50;
/// How often a change is tried again that another one came before.
const TRIES: usize = 3;
/// What is said of an account that the file declares.
pub(super) const READ_ONLY: &str = "stands in the configuration file; change it there (`portcullis block subject` shuts it out at once)";

/// What a new account shall be.
#[derive(Debug, Clone)]
pub struct CreateUser {
    /// The address that the person signs in with.
    pub email: String,
    /// The full name.
    pub name: Option<String>,
    /// Roles and groups.
    pub roles: Vec<String>,
    /// A password; without one, the person sets it with the set-up text.
    pub password: Option<Secret<String>>,
}

/// A new account. The set-up text is shown now and never again.
#[derive(Debug, Clone)]
pub struct CreatedUser {
    /// Its id, the `sub` of its tokens.
    pub id: String,
    /// With what the person sets the first password, within [`SETUP`]; `None` when one was given.
    pub setup: Option<Secret<String>>,
    /// The sequence number of the change.
    pub seq: i64,
}

impl OAuth {
    /// Makes an account.
    ///
    /// # Errors
    /// [`Error::Invalid`] when an input breaks its rule (recorded as `act.refused`), `Conflict` when the address
    /// has an account; else as the store says.
    pub async fn create_user(&self, actor: &Actor, ask: CreateUser) -> Result<CreatedUser, Error> {
        match self.draft_user(actor, &ask, SETUP).await {
            Ok((user, setup)) => self.keep_user(actor, user, setup).await,
            Err(refusal) => self.act_refused(actor, code::USER_CREATED, None, refusal).await,
        }
    }

    async fn draft_user(
        &self,
        actor: &Actor,
        ask: &CreateUser,
        holds: Duration,
    ) -> Result<(UserRecord, Option<Secret<String>>), Error> {
        let mut user = self.blank_user(actor, email(&ask.email)?)?;
        user.name = text::optional_line("name", ask.name.as_deref(), text::NAME_CHARS)?;
        user.roles = roles(&ask.roles)?;
        let setup = match &ask.password {
            // Until a second factor is enrolled, the password stands alone.
            Some(chosen) => {
                self.choose_password(&mut user, chosen, false).await?;
                None
            }
            None => Some(self.fresh_setup(&mut user, holds)?),
        };
        Ok((user, setup))
    }

    pub(super) fn blank_user(&self, actor: &Actor, email: String) -> Result<UserRecord, Error> {
        let now = self.parts.clock.now();
        Ok(UserRecord {
            id: base62::random(ID_CHARS)?,
            email,
            email_verified: false,
            name: None,
            claims: serde_json::Map::new(),
            roles: Vec::new(),
            password: None,
            password_beside: false,
            setup: None,
            created_at: now,
            created_by: actor.principal.to_string(),
            updated_at: now,
            disabled_at: None,
            directory: InDirectory::default(),
            declared: None,
        })
    }

    pub(super) async fn keep_user(
        &self,
        actor: &Actor,
        user: UserRecord,
        setup: Option<Secret<String>>,
    ) -> Result<CreatedUser, Error> {
        let detail = format!("roles {:?}", user.roles.join(" "));
        let event = self.act(actor, code::USER_CREATED, Some(&user.id), &detail)?;
        let id = user.id.clone();
        let seq = self.parts.store.create_user(user, event).await?;
        Ok(CreatedUser { id, setup, seq })
    }

    /// One account.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is none.
    pub async fn show_user(&self, id: &str) -> Result<UserRecord, Error> {
        self.parts.store.user(id.to_owned()).await?.ok_or_else(|| missing(id))
    }

    /// The account with this address.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is none.
    pub async fn user_by_email(&self, address: &str) -> Result<UserRecord, Error> {
        let found = self.parts.store.user_by_email(email(address)?).await?;
        found.ok_or_else(|| missing("with this e-mail address"))
    }

    /// Accounts by id.
    ///
    /// # Errors
    /// As the store says.
    pub async fn list_users(&self, page: TextPage) -> Result<Vec<UserRecord>, Error> {
        Ok(self.parts.store.users(page).await?)
    }

    /// Closes an account: its sessions end, its tokens are dead.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is none (recorded).
    pub async fn disable_user(&self, actor: &Actor, id: &str) -> Result<Done<UserRecord>, Error> {
        let now = self.parts.clock.now();
        let change = |user: &mut UserRecord| {
            user.disabled_at.get_or_insert(now);
            // INVARIANT: what an administrator has closed, a directory does not open.
            user.directory.closed_at = None;
            Ok(())
        };
        self.change_user(actor, id, "disabled", change).await
    }

    /// Opens it again. What was revoked stays dead.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is none (recorded).
    pub async fn enable_user(&self, actor: &Actor, id: &str) -> Result<Done<UserRecord>, Error> {
        let change = |user: &mut UserRecord| {
            user.disabled_at = None;
            Ok(())
        };
        self.change_user(actor, id, "enabled", change).await
    }

    /// Gives an account other roles and groups. Its tokens end, so that none says more than the account may; its
    /// sessions too.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is none, [`Error::Invalid`] when a role is malformed (both recorded).
    pub async fn set_roles(
        &self,
        actor: &Actor,
        id: &str,
        wanted: &[String],
    ) -> Result<Done<UserRecord>, Error> {
        let change = |user: &mut UserRecord| {
            user.roles = roles(wanted)?;
            Ok(())
        };
        self.change_user(actor, id, "roles", change).await
    }

    /// Sets what a person's profile says: the full name and further standard claims (OpenID Connect Core §5.1).
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is none, [`Error::Invalid`] when a claim is not one of the standard's that can
    /// be set, or the whole is too large (both recorded).
    pub async fn set_profile(
        &self,
        actor: &Actor,
        id: &str,
        name: Option<&str>,
        claims: &Object,
    ) -> Result<Done<UserRecord>, Error> {
        let change = |user: &mut UserRecord| {
            user.name = text::optional_line("name", name, text::NAME_CHARS)?;
            user.claims = profile(claims)?;
            Ok(())
        };
        self.change_user(actor, id, "profile", change).await
    }

    /// Changes an account; tried again when another change came between.
    pub(super) async fn change_user(
        &self,
        actor: &Actor,
        id: &str,
        what: &str,
        change: impl FnMut(&mut UserRecord) -> Result<(), Error>,
    ) -> Result<Done<UserRecord>, Error> {
        self.change_user_as(actor, id, (what, false), change).await
    }

    /// Ends sessions and tokens of an account, and changes nothing else.
    pub(super) async fn change_and_revoke(
        &self,
        actor: &Actor,
        id: &str,
        what: &str,
    ) -> Result<Done<UserRecord>, Error> {
        self.change_user_as(actor, id, (what, true), |_| Ok(())).await
    }

    async fn change_user_as(
        &self,
        actor: &Actor,
        id: &str,
        (what, ends): (&str, bool),
        mut change: impl FnMut(&mut UserRecord) -> Result<(), Error>,
    ) -> Result<Done<UserRecord>, Error> {
        for _ in 0..TRIES {
            let Some(before) = self.parts.store.user(id.to_owned()).await? else {
                return self.act_refused(actor, code::USER_CHANGED, Some(id), missing(id)).await;
            };
            let mut after = before.clone();
            if let Err(refusal) = change(&mut after).and_then(|()| may_change(&before, &after)) {
                return self.act_refused(actor, code::USER_CHANGED, Some(id), refusal).await;
            }
            after.updated_at = self.parts.clock.now();
            let narrower = ends || after.disabled_at.is_some() || after.roles != before.roles;
            let revoke = narrower.then(|| self.subject_revocation(id));
            let event = self.act(actor, code::USER_CHANGED, Some(id), what)?;
            let done = self.parts.store.replace_user(before, after.clone(), revoke, event).await?;
            if let Some(seq) = done {
                return Ok(Done { record: after, seq });
            }
        }
        Err(Error::Store(PortError::Unavailable("the account keeps changing".to_owned())))
    }

    /// All that was issued for this person until now.
    pub(super) fn subject_revocation(&self, id: &str) -> Revocation {
        let now = self.parts.clock.now();
        Revocation {
            kind: RevocationKind::Subject,
            value: id.to_owned(),
            not_before: now,
            until: now.plus(ACCESS_TOKEN_LONGEST).plus(CLOCK_SKEW),
        }
    }
}

/// What the configuration file says of an account is changed there only. Passwords and factors are the person's own.
pub(super) fn may_change(before: &UserRecord, after: &UserRecord) -> Result<(), Error> {
    let own = UserRecord {
        password: after.password.clone(),
        password_beside: after.password_beside,
        setup: after.setup.clone(),
        updated_at: after.updated_at,
        ..before.clone()
    };
    match before.declared.is_none() || own == *after {
        true => Ok(()),
        false => Err(Error::invalid("user", READ_ONLY)),
    }
}

/// An e-mail address in the form in which it is kept: NFC, lower case.
pub(crate) fn email(typed: &str) -> Result<String, Error> {
    let problem = |text: &str| Err(Error::invalid("email", text));
    // WHY: before anything is done with it.
    if typed.len() > EMAIL_BYTES * 2 {
        return problem("is too long");
    }
    let address = typed.trim().nfc().collect::<String>().to_lowercase();
    if address.len() > EMAIL_BYTES {
        return problem("is too long");
    }
    let hidden = |c: char| c.is_whitespace() || c.is_control() || "<>()[],;:\\\"".contains(c);
    match address.split_once('@') {
        Some((local, domain))
            if !local.is_empty()
                && !domain.is_empty()
                && !domain.contains('@')
                && !domain.starts_with('.')
                && !domain.ends_with('.')
                && text::line("email", &address, EMAIL_BYTES).is_ok()
                && !address.contains(hidden) =>
        {
            Ok(address)
        }
        _ => problem("must look like name@example.com"),
    }
}

pub(super) fn roles(given: &[String]) -> Result<Vec<String>, Error> {
    if given.len() > ROLES {
        return Err(Error::invalid("role", format!("at most {ROLES} may be named")));
    }
    let read = |role: &String| text::config_name("role", role);
    let mut roles = given.iter().map(read).collect::<Result<Vec<_>, _>>()?;
    roles.sort_unstable();
    roles.dedup();
    Ok(roles)
}

/// Claims that have a place of their own in the record.
const OWN_PLACE: [&str; 4] = ["name", "email", "email_verified", "updated_at"];
/// Bytes of all claims of one person: they are read at each sign-in.
const CLAIMS_BYTES: usize = 8 * 1024;

pub(super) fn profile(claims: &Object) -> Result<Object, Error> {
    let settable = |name: &String| {
        STANDARD_CLAIMS.contains(&name.as_str()) && !OWN_PLACE.contains(&name.as_str())
    };
    if let Some(other) = claims.keys().find(|name| !settable(name)) {
        let other: String = other.escape_default().take(64).collect();
        return Err(Error::invalid("claims", format!("`{other}` cannot be set")));
    }
    let bytes = serde_json::to_vec(claims).map_or(usize::MAX, |text| text.len());
    match bytes <= CLAIMS_BYTES {
        true => Ok(claims.clone()),
        false => Err(Error::invalid("claims", format!("may have at most {CLAIMS_BYTES} bytes"))),
    }
}

pub(super) fn missing(id: &str) -> Error {
    Error::NotFound { what: "user", id: id.escape_default().take(64).collect() }
}

#[cfg(test)]
mod tests;
