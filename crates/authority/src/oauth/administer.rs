//! What administrators do to people's ways of signing in: look, force a new beginning, end sessions, invite.
//!
//! Never does: show a secret of an authenticator, or let anybody in.
//!
//! Invariants:
//! - A new beginning takes everything in one transaction: authenticators, password, sessions and tokens. In between
//!   there is no account with a password and without its second factor.
//! - The person is told by mail; what cannot be sent stops nothing.

use super::OAuth;
use super::records::UserRecord;
use super::setup::SETUP;
use crate::actor::Actor;
use crate::authority::Done;
use crate::error::{Error, PortError};
use crate::factors::recovery;
use crate::mail::{Invitation, Link, MethodChange, MethodsChanged, Seen};
use crate::people::{AuthenticatorData, AuthenticatorRecord};
use base::{Code, Scheme, Secret, code};

/// How often a change is tried again that another one came before.
const TRIES: usize = 3;

/// An account that begins anew. The set-up text is shown now and never again.
#[derive(Debug, Clone)]
pub struct Reset {
    /// The account as it is now, without a password.
    pub user: UserRecord,
    /// How many authenticators it had, those of browsers and counts among them.
    pub removed: u64,
    /// With what the person sets a password, within a day.
    pub setup: Secret<String>,
    /// The sequence number of the change.
    pub seq: i64,
}

/// An invitation. The set-up text is shown now and never again.
#[derive(Debug, Clone)]
pub struct Invited {
    /// The account's id.
    pub id: String,
    /// With what the person sets a password, within a day.
    pub setup: Secret<String>,
    /// Whether the link was given to the mail server, or to what keeps mail where there is none.
    pub mailed: bool,
    /// The sequence number of the change.
    pub seq: i64,
}

impl OAuth {
    /// The authenticators of a person, by id; whoever shows them shows neither data nor handle.
    ///
    /// # Errors
    /// As the store says.
    pub async fn authenticators_of(&self, user: &str) -> Result<Vec<AuthenticatorRecord>, Error> {
        Ok(self.parts.store.authenticators(user.to_owned()).await?)
    }

    /// Takes all of a person's ways of signing in, ends what was issued, and gives a set-up text for a new beginning.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is no such account (recorded).
    pub async fn reset_factors(&self, actor: &Actor, id: &str) -> Result<Reset, Error> {
        self.reset(actor, id, (code::AUTHENTICATOR_REMOVED, |_| {})).await
    }

    /// The same, from the machine itself, when nobody else can help: a closed account is opened too. The record says
    /// `break_glass`.
    ///
    /// # Errors
    /// As [`Self::reset_factors`], and [`Error::Invalid`] for whoever is not at the machine's own socket (recorded).
    pub async fn break_glass(&self, actor: &Actor, id: &str) -> Result<Reset, Error> {
        if actor.scheme != Scheme::Local {
            let refusal = Error::invalid("break_glass", "is for the machine itself only");
            return self.act_refused(actor, code::BREAK_GLASS, Some(id), refusal).await;
        }
        self.reset(actor, id, (code::BREAK_GLASS, |user| user.disabled_at = None)).await
    }

    async fn reset(
        &self,
        actor: &Actor,
        id: &str,
        (what, more): (Code, fn(&mut UserRecord)),
    ) -> Result<Reset, Error> {
        for _ in 0..TRIES {
            let Some(before) = self.parts.store.user(id.to_owned()).await? else {
                return self.act_refused(actor, what, Some(id), super::users::missing(id)).await;
            };
            let sessions = self.sessions_of(id).await?;
            let mut after = before.clone();
            more(&mut after);
            if let Err(refusal) = super::users::may_change(&before, &after) {
                return self.act_refused(actor, what, Some(id), refusal).await;
            }
            // WHY the password too: who knows it would add a second factor of their own.
            after.password = None;
            after.password_beside = false;
            let setup = self.fresh_setup(&mut after, SETUP)?;
            after.updated_at = self.parts.clock.now();
            let detail = "all ways of signing in, to be set up anew";
            let event = self.act(actor, what.clone(), Some(id), detail)?;
            let revoke = self.subject_revocation(id);
            let done = self.parts.store.reset_user(before, after.clone(), revoke, event).await?;
            if let Some((seq, removed)) = done {
                for ended in &sessions {
                    self.tell_clients(ended).await?;
                }
                self.tell_reset(actor, &after).await;
                return Ok(Reset { user: after, removed, setup, seq });
            }
        }
        Err(Error::Store(PortError::Unavailable("the account keeps changing".to_owned())))
    }

    async fn tell_reset(&self, actor: &Actor, user: &UserRecord) {
        let at = self.parts.clock.now();
        let seen = Seen { at, address: actor.client_ip, user_agent: "" };
        self.tell(user, |sender, to| {
            MethodsChanged { change: MethodChange::Reset, seen }.to(sender, to)
        })
        .await;
    }

    /// Signs a person out everywhere: sessions end, their clients are told, and what was issued is dead.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is no such account (recorded).
    pub async fn end_sessions(&self, actor: &Actor, id: &str) -> Result<Done<usize>, Error> {
        let sessions = self.sessions_of(id).await?;
        let done = self.change_and_revoke(actor, id, "sessions ended").await?;
        for ended in &sessions {
            self.tell_clients(ended).await?;
        }
        Ok(Done { record: sessions.len(), seq: done.seq })
    }

    /// Makes a new set-up text and mails the link behind which it is used; the old text is dead, the password goes on.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is no such account (recorded).
    pub async fn invite(&self, actor: &Actor, id: &str) -> Result<Invited, Error> {
        let made = self.renew_setup(actor, id).await?;
        let user = self.show_user(id).await?;
        let setup = made.setup.unwrap_or_else(|| Secret::new(String::new()));
        let mailed = self.send_invitation(&user, &setup).await;
        Ok(Invited { id: made.id, setup, mailed, seq: made.seq })
    }

    /// Where a set-up text is used. It stands behind `#`, so that it reaches neither a server nor a log on the way.
    #[must_use]
    pub fn setup_url(&self, setup: &Secret<String>) -> Secret<String> {
        Secret::new(format!("{}#{}", self.settings().url("/setup"), setup.expose()))
    }

    /// Mails the link; whether it was taken.
    pub async fn send_invitation(&self, user: &UserRecord, setup: &Secret<String>) -> bool {
        let url = self.setup_url(setup);
        let link = Link { url: url.expose(), works_for: SETUP };
        self.tell(user, |sender, to| Invitation { link }.to(sender, to)).await
    }
}

/// What is left of an authenticator that is used up: recovery codes.
#[must_use]
pub fn codes_left(record: &AuthenticatorRecord) -> Option<usize> {
    match &record.data {
        AuthenticatorData::Recovery { codes } => Some(recovery::left(codes)),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
