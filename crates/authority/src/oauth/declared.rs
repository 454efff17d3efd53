//! People who stand in the configuration file.
//!
//! Owns: making the store's accounts say what the file says, at each start and reload.
//!
//! Never does: touch a factor that a person has enrolled, or give out a set-up text other than by mail.
//!
//! Invariants:
//! - What the file says of an account is said by nobody else; see [`super::users::may_change`].
//! - Who stands in the file no more is closed: sessions end and tokens are dead in the same transaction.
//! - Doing it twice changes and records nothing.

use super::OAuth;
use super::ports::TextPage;
use super::records::{InFile, SessionRecord, UserRecord};
use super::setup::SETUP;
use super::users::{email, missing, roles};
use crate::actor::Actor;
use crate::error::{Error, PortError};
use crate::factors::password;
use crate::ports::PAGE_ROWS;
use crate::text;
use aws_lc_rs::digest::{SHA256, digest};
use base::{Secret, code};
use std::collections::HashSet;

/// Who makes these changes, in the record.
const FILE: &str = "file";
/// How often a change is tried again that another one came before.
const TRIES: usize = 3;

/// A person as the file declares them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeclaredPerson {
    email: String,
    name: Option<String>,
    groups: Vec<String>,
    password_hash: Option<Secret<String>>,
    disabled: bool,
}

impl DeclaredPerson {
    /// A person with this address, open, without anything else.
    ///
    /// # Errors
    /// [`Error::Invalid`] when it is no address.
    pub fn new(address: &str) -> Result<Self, Error> {
        let email = email(address)?;
        Ok(Self { email, name: None, groups: Vec::new(), password_hash: None, disabled: false })
    }

    /// The address in the form in which it is kept.
    #[must_use]
    pub fn email(&self) -> &str {
        &self.email
    }

    /// The full name.
    ///
    /// # Errors
    /// [`Error::Invalid`] when it is too long or holds what hides.
    pub fn set_name(&mut self, name: &str) -> Result<(), Error> {
        self.name = text::optional_line("name", Some(name), text::NAME_CHARS)?;
        Ok(())
    }

    /// Groups and roles.
    ///
    /// # Errors
    /// [`Error::Invalid`] when one is malformed, or there are too many.
    pub fn set_groups(&mut self, groups: &[String]) -> Result<(), Error> {
        self.groups = roles(groups)?;
        Ok(())
    }

    /// A password's hash, of this program or another.
    ///
    /// # Errors
    /// [`Error::Invalid`] when it is none, or costs too much to check.
    pub fn set_password_hash(&mut self, hash: Secret<String>) -> Result<(), Error> {
        password::importable(hash.expose())
            .map_err(|broken| Error::invalid("password_hash", broken.to_string()))?;
        self.password_hash = Some(hash);
        Ok(())
    }

    /// Whether the account is closed.
    pub fn set_disabled(&mut self, disabled: bool) {
        self.disabled = disabled;
    }

    /// Writes into an account what the file says; whether that gave it another password.
    fn put(&self, user: &mut UserRecord, now: base::UnixMs) -> bool {
        user.name.clone_from(&self.name);
        user.roles.clone_from(&self.groups);
        match self.disabled {
            true => {
                user.disabled_at.get_or_insert(now);
                user.directory.closed_at = None;
            }
            false => user.disabled_at = None,
        }
        let hash = self.password_hash.as_ref();
        let said = hash.map(|it| hex::encode(digest(&SHA256, it.expose().as_bytes())));
        let before = user.declared.take().and_then(|it| it.hash);
        // What stands there as before was replaced by what the person chose, or at their sign-in.
        let fresh = said.is_some() && said != before;
        if let Some(hash) = hash.filter(|_| fresh) {
            user.password = Some(hash.expose().clone());
            user.password_beside = false;
            user.setup = None;
        }
        user.declared = Some(InFile { hash: said });
        fresh
    }
}

impl OAuth {
    /// Makes accounts say what the file says: makes those that are not there, changes those that differ, closes those that
    /// stood there and do not any more.
    ///
    /// # Errors
    /// As the store says; then it must be called again, and does the rest.
    pub async fn declare_people(&self, people: &[DeclaredPerson]) -> Result<(), Error> {
        let actor = Actor::local(FILE);
        let named: HashSet<&str> = people.iter().map(DeclaredPerson::email).collect();
        // WHY first: whoever was taken out must not wait for whoever was put in.
        let mut after = String::new();
        loop {
            let page = TextPage { after, rows: PAGE_ROWS };
            let rows = self.parts.store.declared_users(page).await?;
            let Some(last) = rows.last() else { break };
            after = last.id.clone();
            for user in rows.iter().filter(|user| !named.contains(user.email.as_str())) {
                self.undeclare(&actor, &user.id).await?;
            }
        }
        for person in people {
            self.declare_person(&actor, person).await?;
        }
        Ok(())
    }

    async fn undeclare(&self, actor: &Actor, id: &str) -> Result<(), Error> {
        let now = self.parts.clock.now();
        let close = |user: &mut UserRecord| {
            user.declared = None;
            user.disabled_at.get_or_insert(now);
            user.directory.closed_at = None;
            true
        };
        self.by_file(actor, id, "closed: no longer in the file", close).await
    }

    async fn declare_person(&self, actor: &Actor, person: &DeclaredPerson) -> Result<(), Error> {
        let now = self.parts.clock.now();
        if let Some(user) = self.parts.store.user_by_email(person.email.clone()).await? {
            let put = |user: &mut UserRecord| person.put(user, now);
            return self.by_file(actor, &user.id, "as the file says", put).await;
        }
        let mut user = self.blank_user(actor, person.email.clone())?;
        person.put(&mut user, now);
        let wants = user.password.is_none() && !person.disabled;
        let setup = match wants {
            true => Some(self.fresh_setup(&mut user, SETUP)?),
            false => None,
        };
        match self.keep_user(actor, user.clone(), setup).await {
            Ok(made) => {
                if let Some(setup) = made.setup {
                    self.send_invitation(&user, &setup).await;
                }
                Ok(())
            }
            // Another node reads the same file.
            Err(Error::Store(PortError::Conflict)) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Changes an account in the name of the file, if there is anything to change; `change` says whether what was issued
    /// ends whatever else changed.
    async fn by_file(
        &self,
        actor: &Actor,
        id: &str,
        what: &str,
        change: impl Fn(&mut UserRecord) -> bool,
    ) -> Result<(), Error> {
        for _ in 0..TRIES {
            let Some(before) = self.parts.store.user(id.to_owned()).await? else {
                return Err(missing(id));
            };
            let mut after = before.clone();
            let ends = change(&mut after);
            if after == before {
                return Ok(());
            }
            let closes = after.disabled_at.is_some() && before.disabled_at.is_none();
            let narrower = ends || closes || after.roles != before.roles;
            let sessions = match narrower {
                true => self.sessions_of(id).await?,
                false => Vec::<SessionRecord>::new(),
            };
            let revoke = narrower.then(|| self.subject_revocation(id));
            after.updated_at = self.parts.clock.now();
            let event = self.act(actor, code::USER_CHANGED, Some(id), what)?;
            if self.parts.store.replace_user(before, after, revoke, event).await?.is_some() {
                for ended in &sessions {
                    self.tell_clients(ended).await?;
                }
                return Ok(());
            }
        }
        Err(Error::Store(PortError::Unavailable("the account keeps changing".to_owned())))
    }
}

#[cfg(test)]
mod tests;
