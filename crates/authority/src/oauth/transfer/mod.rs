//! People who come from elsewhere and go elsewhere: import and export.
//!
//! Owns: what a line may say, what becomes of an account by it, what an export says.
//!
//! Never does: show a password's hash to whoever did not ask for it, or the secret of a second factor to anybody.
//!
//! Invariants:
//! - A line that was imported once changes nothing when it comes again.
//! - An account that is there is not changed unless that was asked for; its password and second factors never are.
//! - Roles of this gate come with a file only where that was asked for: a group of the same name elsewhere is none.
//! - An account, its second factors and its record are kept together or not at all.

mod line;
#[cfg(test)]
mod tests;

use super::OAuth;
use super::ports::TextPage;
use super::prove::TOTP_SEALED;
use super::records::UserRecord;
use super::scim::{is_reserved, is_seen};
use super::secrets::Purpose;
use super::setup::SETUP;
use super::users::ID_CHARS;
use crate::actor::Actor;
use crate::error::{Error, PortError};
use crate::people::{AuthenticatorData, AuthenticatorRecord};
use base::{Secret, base62, code};
use line::Line;
use serde_json::Value;

/// Lines of one call: each that is new is one commit, so that a call ends within a second or two.
pub const LINES_MOST: usize = 100;

/// What shall be done with lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ImportRules {
    /// Only look, and change and record nothing.
    pub dry_run: bool,
    /// Change accounts that are there and differ.
    pub update: bool,
    /// Take roles of this gate from the lines, and change accounts that hold one.
    pub with_roles: bool,
    /// Mail a set-up link to whoever is new and has no password.
    pub invite: bool,
}

/// What became of a line, or would.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LineOutcome {
    /// An account was made.
    Created,
    /// The account that was there was changed.
    Changed,
    /// The account that was there says the same.
    Unchanged,
    /// The account that was there says something else, and was left as it is.
    Kept,
    /// The line breaks a rule; nothing was done.
    Refused,
}

impl LineOutcome {
    /// Its word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Changed => "changed",
            Self::Unchanged => "unchanged",
            Self::Kept => "kept",
            Self::Refused => "refused",
        }
    }
}

/// One line that was worked off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LineDone {
    /// What became of it.
    pub outcome: LineOutcome,
    /// The account's id, where there is one.
    pub id: Option<String>,
    /// In what the account that was there differs from the line, after all.
    pub differs: Vec<&'static str>,
    /// Which member breaks its rule, and how.
    pub problem: Option<(&'static str, String)>,
    /// Whether the set-up link was given to the mail server.
    pub mailed: bool,
    /// The sequence number of the change.
    pub seq: Option<i64>,
}

impl LineDone {
    fn new(outcome: LineOutcome, id: Option<&str>) -> Self {
        let id = id.map(str::to_owned);
        Self { outcome, id, differs: Vec::new(), problem: None, mailed: false, seq: None }
    }

    fn refused(id: Option<&str>, problem: (&'static str, String)) -> Self {
        Self { problem: Some(problem), ..Self::new(LineOutcome::Refused, id) }
    }
}

/// A page of an export.
#[derive(Debug, Clone)]
pub struct ExportPage {
    /// The people, as an import takes them.
    pub people: Vec<ExportedPerson>,
    /// After which id the next page begins; `None`: there is none.
    pub next: Option<String>,
}

/// A person who goes elsewhere.
#[derive(Debug, Clone)]
pub struct ExportedPerson {
    /// The account.
    pub user: UserRecord,
    /// Whether the person has a second factor here, which does not go with them.
    pub second_factor: bool,
    /// The hash of the password, where it was asked for and there is one.
    pub password_hash: Option<Secret<String>>,
}

impl OAuth {
    /// Works lines off, one after the other; what one of them breaks harms no other.
    ///
    /// # Errors
    /// [`Error::Invalid`] when there are more than [`LINES_MOST`]. As the store says: then those before stay, and the
    /// same lines may come again.
    pub async fn import_people(
        &self,
        actor: &Actor,
        lines: &[Value],
        rules: ImportRules,
    ) -> Result<Vec<LineDone>, Error> {
        if lines.len() > LINES_MOST {
            let refusal = Error::invalid("people", format!("may be at most {LINES_MOST}"));
            return self.act_refused(actor, code::USER_CREATED, None, refusal).await;
        }
        let mut done = Vec::with_capacity(lines.len());
        for line in lines {
            done.push(match self.import_person(actor, line, rules).await {
                Err(Error::Invalid { field, problem }) => {
                    let refusal = Error::Invalid { field, problem: problem.clone() };
                    self.line_refused(actor, rules, refusal).await?;
                    LineDone::refused(None, (field, problem))
                }
                other => other?,
            });
        }
        Ok(done)
    }

    async fn line_refused(
        &self,
        actor: &Actor,
        rules: ImportRules,
        refusal: Error,
    ) -> Result<(), Error> {
        if rules.dry_run {
            return Ok(());
        }
        match self.act_refused::<()>(actor, code::USER_CREATED, None, refusal).await {
            Err(Error::Invalid { .. }) | Ok(()) => Ok(()),
            Err(error) => Err(error),
        }
    }

    async fn import_person(
        &self,
        actor: &Actor,
        line: &Value,
        rules: ImportRules,
    ) -> Result<LineDone, Error> {
        let line = Line::read(line)?;
        if !rules.with_roles {
            reserved(line.groups.as_deref().unwrap_or_default(), "groups")?;
        }
        let store = &self.parts.store;
        if let Some(user) = store.user_by_email(line.email.clone()).await? {
            if line.id.as_ref().is_some_and(|id| *id != user.id) {
                return Err(Error::invalid("id", "the account with this address has another id"));
            }
            return self.import_over(actor, &line, &user, rules).await;
        }
        // RFC 9068 §5, RFC 9700 §4.15: no person's `sub` is a client's id; their tokens would look alike.
        if line.id.as_ref().is_some_and(|id| self.known_client(id).is_some()) {
            return Err(Error::invalid("id", "is that of a client; leave it out"));
        }
        if let Some(id) = &line.id
            && store.user(id.clone()).await?.is_some()
        {
            let problem = "an account with another address has it; leave it out for a new account";
            return Err(Error::invalid("id", problem));
        }
        if rules.dry_run {
            return Ok(LineDone::new(LineOutcome::Created, line.id.as_deref()));
        }
        self.import_new(actor, &line, rules).await
    }

    async fn import_new(
        &self,
        actor: &Actor,
        line: &Line,
        rules: ImportRules,
    ) -> Result<LineDone, Error> {
        let mut user = self.blank_user(actor, line.email.clone())?;
        if let Some(id) = &line.id {
            user.id.clone_from(id);
        }
        line.put(&mut user, self.parts.clock.now());
        let wants = rules.invite && user.password.is_none() && user.disabled_at.is_none();
        let setup = match wants {
            true => Some(self.fresh_setup(&mut user, SETUP)?),
            false => None,
        };
        let apps = self.apps_of(line, &user.id)?;
        let detail = format!("imported: {}", line.says());
        let event = self.act(actor, code::USER_CREATED, Some(&user.id), &detail)?;
        let kept = self.parts.store.import_user(user.clone(), apps, event).await;
        let seq = match kept {
            Ok(seq) => seq,
            Err(PortError::Conflict) => return Err(self.taken(line).await?),
            Err(error) => return Err(error.into()),
        };
        let mailed = match &setup {
            Some(setup) => self.send_invitation(&user, setup).await,
            None => false,
        };
        let done = LineDone::new(LineOutcome::Created, Some(&user.id));
        Ok(LineDone { mailed, seq: Some(seq), ..done })
    }

    /// What of a line somebody else has.
    async fn taken(&self, line: &Line) -> Result<Error, Error> {
        let there = self.parts.store.user_by_email(line.email.clone()).await?.is_some();
        Ok(match there {
            true => Error::invalid("email", "an account with it was made at this moment"),
            false => Error::invalid("totp", "the secret, or the id, belongs to another account"),
        })
    }

    fn apps_of(&self, line: &Line, user: &str) -> Result<Vec<AuthenticatorRecord>, Error> {
        let now = self.parts.clock.now();
        let each = line.apps.iter().map(|app| {
            let sealed = self.parts.sealer.seal(TOTP_SEALED, app.secret.bytes())?;
            // One row a secret, as where people add one themselves.
            let text = Secret::new(hex::encode(app.secret.bytes()));
            let mac = Purpose::Once.mac(&self.parts.pepper, text.expose());
            Ok(AuthenticatorRecord {
                id: base62::random(ID_CHARS)?,
                user: user.to_owned(),
                name: app.name.clone(),
                handle: Some(format!("totp:{}", hex::encode(mac))),
                data: AuthenticatorData::Totp {
                    sealed: hex::encode(sealed),
                    algorithm: app.algorithm.name().to_owned(),
                    last_step: None,
                    drift: 0,
                },
                created_at: now,
                last_used_at: None,
                failures: 0,
                failed: None,
            })
        });
        each.collect()
    }

    async fn import_over(
        &self,
        actor: &Actor,
        line: &Line,
        user: &UserRecord,
        rules: ImportRules,
    ) -> Result<LineDone, Error> {
        let (id, differs) = (user.id.as_str(), line.differs(user));
        if differs.is_empty() {
            return Ok(LineDone::new(LineOutcome::Unchanged, Some(id)));
        }
        let now = self.parts.clock.now();
        let mut after = user.clone();
        line.put(&mut after, now);
        // What a line cannot do: open an account.
        let left = line.differs(&after);
        if !rules.update || after == *user {
            let kept = LineDone::new(LineOutcome::Kept, Some(id));
            return Ok(LineDone { differs, ..kept });
        }
        let may = |user: &UserRecord| match rules.with_roles {
            true => Ok(()),
            false => reserved(&user.roles, "email"),
        };
        let changed = LineDone { differs: left, ..LineDone::new(LineOutcome::Changed, Some(id)) };
        if rules.dry_run {
            may(user)?;
            super::users::may_change(user, &after)?;
            return Ok(changed);
        }
        let what = format!("imported: {}", differs.join(" "));
        let change = |user: &mut UserRecord| {
            may(user)?;
            line.put(user, now);
            Ok(())
        };
        match self.change_user(actor, id, &what, change).await {
            Ok(done) => Ok(LineDone { seq: Some(done.seq), ..changed }),
            // It is recorded already.
            Err(Error::Invalid { field, problem }) => {
                Ok(LineDone::refused(Some(id), (field, problem)))
            }
            Err(error) => Err(error),
        }
    }

    /// A page of people as an import takes them, and the record that they were given out.
    ///
    /// # Errors
    /// As the store says, or when it cannot be recorded; then nothing is given out.
    pub async fn export_people(
        &self,
        actor: &Actor,
        page: TextPage,
        with_hashes: bool,
    ) -> Result<ExportPage, Error> {
        let rows = page.rows;
        let after: String = page.after.chars().take(ID_CHARS).collect();
        let users = self.parts.store.users(page).await?;
        let full = u32::try_from(users.len()).is_ok_and(|count| count >= rows);
        let next = users.last().filter(|_| full).map(|user| user.id.clone());
        let mut people = Vec::with_capacity(users.len());
        for user in users.into_iter().filter(is_seen) {
            let second_factor = self.has_second_factor(&user.id).await?;
            let hash = user.password.as_ref().filter(|_| with_hashes);
            let password_hash = hash.map(|it| Secret::new(it.clone()));
            people.push(ExportedPerson { user, second_factor, password_hash });
        }
        let with = if with_hashes { "with" } else { "without" };
        let detail = format!("{} accounts after {after:?}, {with} password hashes", people.len());
        let event = self.act(actor, code::USERS_EXPORTED, None, &detail)?;
        self.parts.audit.record(event).await?;
        Ok(ExportPage { people, next })
    }
}

/// A group elsewhere that is called like a role of this gate is not one by that.
fn reserved(names: &[String], field: &'static str) -> Result<(), Error> {
    match names.iter().find(|name| is_reserved(name)) {
        None => Ok(()),
        Some(role) => Err(Error::invalid(
            field,
            format!("`{role}` is a role of this gate; say --with-roles if it is meant"),
        )),
    }
}
