//! Set-up texts: how a person chooses a password, and how the first administrator comes in.
//!
//! Never does: keep a text or a password.
//!
//! Invariant: a text sets one password, once, before its end.

use super::ports::TextPage;
use super::records::UserRecord;
use super::secrets::{self, Purpose};
use super::users::{ADMINISTRATOR, CreatedUser, ID_CHARS, email};
use super::{OAuth, Origin};
use crate::actor::Actor;
use crate::error::{Error, PortError};
use crate::factors::password::{self, Strength};
use base::{Secret, code};
use std::sync::Arc;
use std::time::Duration;

/// How long a set-up text holds.
pub const SETUP: Duration = Duration::from_secs(24 * 60 * 60);
/// How long the one of the first administrator holds.
pub const SETUP_FIRST: Duration = Duration::from_secs(60 * 60);
/// Characters of a set-up text: prefix, 256 bits, the account's id.
const SETUP_CHARS: usize = 4 + 43 + ID_CHARS;

/// From this [`Strength::score`] on, a password is not called weak.
pub(crate) const GOOD: u8 = 3;

/// A password that was set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PasswordSet {
    /// Whose: the account's id.
    pub user: String,
    /// How well it withstands guessing.
    pub strength: Strength,
}

impl PasswordSet {
    /// What the person should know of a password that is allowed and weak.
    #[must_use]
    pub fn advice(&self) -> Option<&'static str> {
        (self.strength.score < GOOD).then_some(self.strength.words)
    }
}

/// A set-up that is being completed.
#[derive(Debug, Clone)]
pub struct CompleteSetup {
    /// The text from the link.
    pub setup: Secret<String>,
    /// The address; needed by the first administrator only, else ignored.
    pub email: Option<String>,
    /// The password.
    pub password: Secret<String>,
}

impl OAuth {
    /// Writes a fresh set-up text into the record and gives it out.
    pub(super) fn fresh_setup(
        &self,
        user: &mut UserRecord,
        holds: Duration,
    ) -> Result<Secret<String>, Error> {
        // The account's id stands at its end, so that it can be found without an index over secrets.
        let text = Secret::new(format!("{}{}", Purpose::Setup.fresh()?.expose(), user.id));
        let mac = Purpose::Setup.mac(&self.parts.pepper, text.expose());
        user.setup = Some((hex::encode(mac), self.parts.clock.now().plus(holds)));
        Ok(text)
    }

    /// The set-up text of the first administrator, valid for an hour, as long as nobody has completed one. `None`
    /// when there is anybody.
    ///
    /// # Errors
    /// As the store says.
    pub async fn bootstrap(&self, actor: &Actor) -> Result<Option<Secret<String>>, Error> {
        let page = TextPage { after: String::new(), rows: 2 };
        let users = self.parts.store.users(page).await?;
        match users.as_slice() {
            [] => {
                let mut user = self.blank_user(actor, String::new())?;
                user.roles = vec![ADMINISTRATOR.to_owned()];
                let setup = self.fresh_setup(&mut user, SETUP_FIRST)?;
                match self.keep_user(actor, user, Some(setup)).await {
                    Ok(made) => Ok(made.setup),
                    // Another node was first; it prints the link.
                    Err(Error::Store(PortError::Conflict)) => Ok(None),
                    Err(error) => Err(error),
                }
            }
            [before] if is_first(before) => {
                let mut after = before.clone();
                let setup = self.fresh_setup(&mut after, SETUP_FIRST)?;
                let event = self.act(actor, code::USER_CHANGED, Some(&before.id), "set-up text")?;
                let kept =
                    self.parts.store.replace_user(before.clone(), after, None, event).await?;
                Ok(kept.map(|_| setup))
            }
            _ => Ok(None),
        }
    }

    /// A new set-up text for an account, for who has lost the password. The old password goes on until then.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is none (recorded).
    pub async fn renew_setup(&self, actor: &Actor, id: &str) -> Result<CreatedUser, Error> {
        let mut setup = None;
        let change = |user: &mut UserRecord| {
            setup = Some(self.fresh_setup(user, SETUP)?);
            Ok(())
        };
        let done = self.change_user(actor, id, "set-up text", change).await?;
        Ok(CreatedUser { id: done.record.id, setup, seq: done.seq })
    }

    /// Sets the password with a set-up text, which is spent by it. Who had a password before is signed out
    /// everywhere.
    ///
    /// # Errors
    /// [`Error::Invalid`] for `setup` (unknown, spent or expired: which of them is not told), `email` and
    /// `password`; recorded as `act.refused`.
    pub async fn set_password(
        &self,
        ask: CompleteSetup,
        origin: &Origin,
    ) -> Result<PasswordSet, Error> {
        let actor = Actor {
            principal: Arc::from("set-up"),
            scheme: base::Scheme::Session,
            client_ip: origin.client_ip,
        };
        let user = match self.user_of_setup(&ask.setup).await? {
            Some(user) => user,
            None => {
                let refusal = Error::invalid("setup", "this link was used or has expired");
                // Anybody can come with any text, so it is recorded as what strangers do.
                let detail = format!("{}: {refusal}", code::USER_CHANGED);
                let event = self.denial(origin, code::ACT_REFUSED, detail)?;
                self.parts.evidence.record_denial(event);
                return Err(refusal);
            }
        };
        let id = user.id.clone();
        match self.completed(user, &ask, origin).await {
            Err(refusal) => self.act_refused(&actor, code::USER_CHANGED, Some(&id), refusal).await,
            done => done,
        }
    }

    async fn completed(
        &self,
        user: UserRecord,
        ask: &CompleteSetup,
        origin: &Origin,
    ) -> Result<PasswordSet, Error> {
        let mut after = user.clone();
        if is_first(&user) {
            after.email = email(ask.email.as_deref().unwrap_or_default())?;
        }
        let beside = self.has_second_factor(&user.id).await?;
        let strength = self.choose_password(&mut after, &ask.password, beside).await?;
        after.setup = None;
        after.updated_at = self.parts.clock.now();
        // Whoever knew the old password must not stay signed in beside the one who has set the new one.
        let revoke = user.password.is_some().then(|| self.subject_revocation(&user.id));
        let mut event = self.event(origin, code::USER_CHANGED)?;
        event.principal = Some(Arc::from(user.id.as_str()));
        event.credential_id = Some(Arc::from(user.id.as_str()));
        event.detail = Some("a password was set with a set-up text".into());
        let id = user.id.clone();
        match self.parts.store.replace_user(user, after, revoke, event).await? {
            Some(_) => {
                self.forget_password_failures(&id).await?;
                Ok(PasswordSet { user: id, strength })
            }
            // Somebody was faster with the same text.
            None => Err(Error::invalid("setup", "this link was used or has expired")),
        }
    }

    async fn user_of_setup(&self, text: &Secret<String>) -> Result<Option<UserRecord>, Error> {
        let text = text.expose();
        if text.len() != SETUP_CHARS || !text.is_ascii() {
            return Ok(None);
        }
        let id = text.get(SETUP_CHARS - ID_CHARS..).unwrap_or_default();
        let user = self.parts.store.user(id.to_owned()).await?;
        let now = self.parts.clock.now();
        let mac = Purpose::Setup.mac(&self.parts.pepper, text);
        let holds = |user: &UserRecord| {
            let setup = user.setup.as_ref();
            user.disabled_at.is_none()
                && setup.is_some_and(|(kept, until)| now < *until && secrets::same_hex(kept, &mac))
        };
        Ok(user.filter(holds))
    }

    /// Whether nobody comes in with the person's password alone.
    pub(super) async fn has_second_factor(&self, user: &str) -> Result<bool, Error> {
        let owned = self.parts.store.authenticators(user.to_owned()).await?;
        Ok(owned.iter().any(|it| it.kind().is_second()))
    }

    /// Writes the hash of a password that may be chosen into the record. `beside`: a second factor goes with it.
    ///
    /// # Errors
    /// [`Error::Invalid`] for `password`, with the rule that it breaks and how well it withstands guessing.
    pub(crate) async fn choose_password(
        &self,
        user: &mut UserRecord,
        chosen: &Secret<String>,
        beside: bool,
    ) -> Result<Strength, Error> {
        let settings = self.settings();
        let context = password::Context {
            email: &user.email,
            name: user.name.as_deref(),
            host: settings.issuer_host(),
            has_second_factor: beside,
        };
        let strength = password::strength(chosen, &context);
        password::judge(chosen, &context).map_err(|broken| {
            let told = format!("{broken} (this one is {})", strength.words);
            let told = if strength.score < GOOD { told } else { broken.to_string() };
            Error::invalid("password", told)
        })?;
        let alone = password::Context { has_second_factor: false, ..context };
        let only_beside = password::judge(chosen, &alone).is_err();
        let chosen = chosen.clone();
        let hashed = self.people.pool.run(move || password::hash(&chosen)).await;
        let hashed =
            hashed.map_err(|_| Error::Busy("too many people sign in at this moment"))??;
        user.password = Some(hashed);
        user.password_beside = only_beside;
        Ok(strength)
    }

    /// Hashes a password that was just right anew, where the kept hash is of another kind or cost. What cannot be done
    /// now is done at a later sign-in.
    pub(super) async fn rehash(
        &self,
        user: UserRecord,
        right: &Secret<String>,
        origin: &Origin,
    ) -> Result<UserRecord, Error> {
        if !user.password.as_deref().is_some_and(password::needs_rehash) {
            return Ok(user);
        }
        let right = right.clone();
        let hashed = self.people.pool.run(move || password::hash(&right)).await;
        // A full queue, or a password in a form that is not chosen any more: the old hash is as good as it was.
        let Ok(Ok(hashed)) = hashed else { return Ok(user) };
        let after = UserRecord { password: Some(hashed), ..user.clone() };
        let mut event = self.event(origin, code::USER_CHANGED)?;
        event.principal = Some(Arc::from(user.id.as_str()));
        event.credential_id = Some(Arc::from(user.id.as_str()));
        event.detail = Some(super::news::REHASHED.into());
        // Another change came between: that one counts.
        let kept = self.parts.store.replace_user(user.clone(), after.clone(), None, event).await?;
        Ok(if kept.is_some() { after } else { user })
    }
}

/// The account of the first administrator, before anybody has completed it.
fn is_first(user: &UserRecord) -> bool {
    user.email.is_empty() && user.password.is_none()
}
