//! "Forgot your password?": a letter with a code, and the new password that is set with it.
//!
//! Never does: sign anybody in, touch a second factor, or tell whether an address has an account.
//!
//! Invariants:
//! - A code sets one password, once, within [`RECOVERY`], in the browser that asked for it.
//! - What is asked of an address with an account and of one without costs the caller the same: the letter is written
//!   after the answer.
//! - The second factor is asked for at the next sign-in as it was before.

use super::ports::Spent;
use super::records::{LetterPurpose, LetterRecord, UserRecord};
use super::secrets::{self, Purpose};
use super::sessions::network;
use super::users::email;
use super::{OAuth, Origin, PasswordSet};
use crate::error::Error;
use crate::factors::recovery as codes;
use crate::factors::throttle::Rule;
use crate::mail::{Link, MethodChange, Recovery, Seen};
use base::{Outcome, Secret, code};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::OwnedSemaphorePermit;

/// How long a code holds.
pub const RECOVERY: Duration = Duration::from_secs(10 * 60);
/// Codes of one person that hold at a time; the oldest makes room. More than somebody needs who asks once more.
pub const LETTERS_MOST: u32 = 3;
/// Letters that are being written at once; each is two looks into the store and one row.
pub(super) const WRITING_MOST: usize = 32;

/// The page on which the new password is set.
pub const RECOVER_PAGE: &str = "/recover/set";

/// Letters to one address that one network asks for.
const PAIR: Rule = Rule {
    free: 3,
    first: Duration::from_secs(30),
    longest: Duration::from_secs(15 * 60),
    forget: Duration::from_secs(60 * 60),
};
/// Letters to one address that anybody asks for. WHY no longer: strangers must not be able to shut its owner out, and with
/// this they cannot void the owner's code by asking for [`LETTERS_MOST`] others before it ends.
const ADDRESS: Rule = Rule {
    free: 5,
    first: Duration::from_secs(30),
    longest: Duration::from_secs(5 * 60),
    forget: Duration::from_secs(60 * 60),
};
/// Letters to any addresses that one network asks for. WHY so many: an office has one address.
const NETWORK: Rule = Rule {
    free: 20,
    first: Duration::from_secs(1),
    longest: Duration::from_secs(5 * 60),
    forget: Duration::from_secs(60 * 60),
};
/// Codes that one network tries. A code has 65 bits; the delay spares the store.
const TRIED: Rule = Rule {
    free: 20,
    first: Duration::from_secs(1),
    longest: Duration::from_secs(5 * 60),
    forget: Duration::from_secs(60 * 60),
};

/// A letter that may be written.
#[derive(Debug)]
pub struct LetterDue {
    address: String,
    browser: String,
    origin: Origin,
    _place: OwnedSemaphorePermit,
}

/// A new password, with the code from the letter.
#[derive(Debug, Clone)]
pub struct RecoverPassword {
    /// The code as typed.
    pub code: Secret<String>,
    /// The cookie of the browser.
    pub browser: Secret<String>,
    /// The new password.
    pub password: Secret<String>,
}

/// Why it did not go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RecoverRefused {
    /// Too many attempts of late.
    #[error("too many attempts; wait a moment and try again")]
    TooEarly(Duration),
    /// Too many letters are being written.
    #[error("too many people ask at this moment; try again")]
    Busy,
}

impl OAuth {
    /// Takes note that the browser with this cookie asks for a letter to `address`. What it brings is the same whether
    /// there is an account or not; what is due is written by [`Self::post_letter`], after the answer.
    ///
    /// # Errors
    /// The outer: [`Error::Invalid`] for `email` that is no address. The inner: why not now.
    pub fn recover(
        &self,
        address: &str,
        browser: &Secret<String>,
        origin: &Origin,
    ) -> Result<Result<LetterDue, RecoverRefused>, Error> {
        let address = email(address)?;
        let net = network(origin.client_ip);
        let mut counted = vec![
            (self.count_key("recover-pair", &format!("{net}\0{address}")), PAIR),
            (self.count_key("recover-network", &net), NETWORK),
        ];
        // WHY: strangers who ask from everywhere must not delay the person at home.
        if !self.is_known(&address, origin.client_ip) {
            counted.push((self.count_key("recover-address", &address), ADDRESS));
        }
        if let Err(early) = self.people.throttle.attempt(&counted, self.parts.clock.now()) {
            return Ok(Err(RecoverRefused::TooEarly(early.wait)));
        }
        let Some(place) = self.people.letters.place() else {
            return Ok(Err(RecoverRefused::Busy));
        };
        let browser = hex::encode(self.browser_mac(browser));
        Ok(Ok(LetterDue { address, browser, origin: origin.clone(), _place: place }))
    }

    fn browser_mac(&self, browser: &Secret<String>) -> [u8; 32] {
        let text = Secret::new(format!("browser\0{}", browser.expose()));
        Purpose::Letter.mac(&self.parts.pepper, text.expose())
    }

    fn letter_mac(&self, code: &Secret<String>) -> [u8; 32] {
        let text = Secret::new(format!("code\0{}", code.expose()));
        Purpose::Letter.mac(&self.parts.pepper, text.expose())
    }

    /// Writes the letter that is due. Nobody waits for it, so what fails is recorded.
    pub async fn post_letter(&self, due: LetterDue) {
        let origin = due.origin.clone();
        let Err(failure) = self.write_letter(due).await else { return };
        let detail = format!("recovery: it could not be written: {failure}");
        if let Ok(mut event) = self.denial(&origin, code::MAIL_FAILED, detail) {
            event.outcome = Outcome::Error;
            self.parts.evidence.record_denial(event);
        }
    }

    /// Writes the letter, where there is an account with a password. Who has none cannot have forgotten it: a link of an
    /// administrator sets the first one.
    ///
    /// # Errors
    /// As the store says, or when there is no randomness.
    pub(crate) async fn write_letter(&self, due: LetterDue) -> Result<(), Error> {
        let user = self.parts.store.user_by_email(due.address.clone()).await?;
        let Some(user) = user.filter(may_recover) else { return Ok(()) };
        let now = self.parts.clock.now();
        let code = codes::code()?;
        let Some(normal) = codes::normal(code.expose()) else { return Ok(()) };
        let letter = LetterRecord {
            user: user.id.clone(),
            email: user.email.clone(),
            browser: due.browser,
            created_at: now,
            expires_at: now.plus(RECOVERY),
            purpose: LetterPurpose::Recovery,
            before: None,
        };
        let mut event = self.event(&due.origin, code::RECOVERY_ASKED)?;
        event.principal = Some(Arc::from(user.id.as_str()));
        event.credential_id = Some(Arc::from(user.id.as_str()));
        event.detail = Some("a letter to set a new password was asked for".into());
        self.parts.store.put_letter(self.letter_mac(&normal), letter, LETTERS_MOST, event).await?;
        // Behind `#`, so that it reaches neither a server nor a log on the way.
        let url = format!("{}#{}", self.settings().url(RECOVER_PAGE), code.expose());
        let url = Secret::new(url);
        let seen =
            Seen { at: now, address: due.origin.client_ip, user_agent: &due.origin.user_agent };
        let link = Link { url: url.expose(), works_for: RECOVERY };
        self.tell(&user, |sender, to| Recovery { code: code.expose(), link, seen }.to(sender, to))
            .await;
        Ok(())
    }

    /// Sets a new password with a code. All sessions end and what was issued is dead; nobody is signed in, and the second
    /// factor stays.
    ///
    /// # Errors
    /// The outer: [`Error::Invalid`] for `code` (wrong, spent, expired, another browser's: which of them is not told) and
    /// for `password`, with which the code is not spent. The inner: why not now.
    pub async fn recover_password(
        &self,
        ask: &RecoverPassword,
        origin: &Origin,
    ) -> Result<Result<PasswordSet, RecoverRefused>, Error> {
        let key = self.count_key("recover-code", &network(origin.client_ip));
        if let Err(early) = self.people.throttle.attempt(&[(key, TRIED)], self.parts.clock.now()) {
            return Ok(Err(RecoverRefused::TooEarly(early.wait)));
        }
        let normal = codes::normal(ask.code.expose());
        let mac = normal.map(|normal| self.letter_mac(&normal));
        let Some((mac, user)) = self.letter_of(mac, ask).await? else {
            return self.code_refused(origin);
        };
        // The code was right.
        self.people.throttle.forgive(&[], &[key]);
        let beside = self.has_second_factor(&user.id).await?;
        let mut after = user.clone();
        let strength = self.choose_password(&mut after, &ask.password, beside).await?;
        after.setup = None;
        // Whoever has typed the code reads what is sent to this address.
        after.email_verified = true;
        let now = self.parts.clock.now();
        after.updated_at = now;
        let sessions = self.sessions_of(&user.id).await?;
        let revoke = self.subject_revocation(&user.id);
        let mut event = self.event(origin, code::USER_CHANGED)?;
        event.principal = Some(Arc::from(user.id.as_str()));
        event.credential_id = Some(Arc::from(user.id.as_str()));
        event.detail = Some("a new password was set with a code from a letter".into());
        let id = user.id.clone();
        let spent = Spent { mac, now, revoke };
        if self.parts.store.spend_letter(spent, user, after.clone(), event).await?.is_none() {
            // Somebody was faster with the same code, or the account changed meanwhile.
            return self.code_refused(origin);
        }
        self.forget_password_failures(&id).await?;
        for ended in &sessions {
            self.tell_clients(ended).await?;
        }
        self.tell_change(&after, MethodChange::PasswordSet, origin).await;
        Ok(Ok(PasswordSet { user: id, strength }))
    }

    /// The letter's person, if this browser asked for it and the account is as it was then.
    async fn letter_of(
        &self,
        mac: Option<[u8; 32]>,
        ask: &RecoverPassword,
    ) -> Result<Option<([u8; 32], UserRecord)>, Error> {
        let Some(mac) = mac else { return Ok(None) };
        let letter = self.parts.store.letter(mac, self.parts.clock.now()).await?;
        // OWASP ASVS 5.0 6.6.2: another browser's code is none, and stays good for the one that asked.
        let browser = self.browser_mac(&ask.browser);
        let right = |it: &LetterRecord| {
            it.purpose == LetterPurpose::Recovery && secrets::same_hex(&it.browser, &browser)
        };
        let letter = letter.filter(right);
        let Some(letter) = letter else { return Ok(None) };
        let user = self.parts.store.user(letter.user).await?;
        let same = |user: &UserRecord| may_recover(user) && user.email == letter.email;
        Ok(user.filter(same).map(|user| (mac, user)))
    }

    /// Anybody can come with any code, so it is recorded as what strangers do.
    fn code_refused<T>(&self, origin: &Origin) -> Result<T, Error> {
        let words =
            "this code is not right, was used, has expired, or was asked for in another browser";
        let refusal = Error::invalid("code", words);
        let detail = format!("{}: {refusal}", code::USER_CHANGED);
        let event = self.denial(origin, code::ACT_REFUSED, detail)?;
        self.parts.evidence.record_denial(event);
        Err(refusal)
    }
}

/// Whether the account's password may be set anew by mail.
fn may_recover(user: &UserRecord) -> bool {
    user.disabled_at.is_none() && user.password.is_some()
}

#[cfg(test)]
mod tests;
