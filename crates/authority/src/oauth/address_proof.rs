//! "Is this your address?": a letter with a code and a link to the address that a person says is theirs.
//!
//! Never does: tell whether an address belongs to another account; sign anybody in.
//!
//! Invariants:
//! - A code proves one address, once, within [`ADDRESS_PROOF`], in the session that asked for it, for an account that still
//!   has the address that it had then.
//! - Another address counts only once its code came back. To ask for it takes a fresh proof of as much as the account asks
//!   for; the old address is told, and the person's other sessions end.
//! - What is asked of an address with an account and of one without costs the caller the same: the letter is written
//!   after the answer.

use super::ports::ProvenAddress;
use super::records::{LetterPurpose, LetterRecord, UserRecord};
use super::scim::DELETED;
use super::secrets::{self, Purpose};
use super::sessions::{Current, SessionText, network};
use super::users::email;
use super::{LETTERS_MOST, MethodRefused, OAuth, Origin, RecoverRefused};
use crate::error::{Error, PortError};
use crate::factors::recovery as codes;
use crate::factors::throttle::Rule;
use crate::mail::{AddressProof, Link, MethodChange};
use crate::people::Offers;
use base::{Outcome, Secret, code};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::OwnedSemaphorePermit;

/// How long a code holds.
pub const ADDRESS_PROOF: Duration = Duration::from_secs(10 * 60);
/// The page on which the code is typed.
pub const ADDRESS_CODE_PAGE: &str = "/account/email/code";

/// Letters that one person asks for, to whatever address.
const PERSON: Rule = Rule {
    free: 5,
    first: Duration::from_secs(30),
    longest: Duration::from_secs(15 * 60),
    forget: Duration::from_secs(60 * 60),
};
/// Letters to one address that anybody asks for. WHY not shared with those of recovery: nobody's way back in is delayed.
const ADDRESS: Rule = Rule {
    free: 5,
    first: Duration::from_secs(30),
    longest: Duration::from_secs(15 * 60),
    forget: Duration::from_secs(60 * 60),
};
/// Codes that one person tries. A code has 65 bits; the delay spares the store.
const TRIED: Rule = Rule {
    free: 10,
    first: Duration::from_secs(2),
    longest: Duration::from_secs(15 * 60),
    forget: Duration::from_secs(60 * 60),
};

/// A letter that may be written.
#[derive(Debug)]
pub struct ProofDue {
    user: UserRecord,
    address: String,
    browser: String,
    origin: Origin,
    _place: OwnedSemaphorePermit,
}

/// Why it did not go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProofRefused {
    /// Nobody is signed in, or not enough.
    NotSignedIn,
    /// One of these is to be proved first.
    Prove(Offers),
    /// Nothing that the person has reaches what is asked for.
    Unreachable,
    /// A directory elsewhere, or the configuration file, says which address it is.
    Directory,
    /// Not now.
    Later(RecoverRefused),
}

/// An address that was proved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proved {
    /// The address.
    pub address: String,
    /// Whether the account had another one before.
    pub changed: bool,
}

impl OAuth {
    /// The session of a person who looks at their address.
    ///
    /// # Errors
    /// As the store says.
    pub async fn own_email(&self, session: Option<&SessionText>) -> Result<Option<Current>, Error> {
        self.current(session).await
    }

    /// Takes note that a person asks for a letter to `address`: the one that they have, or another. What it brings is the
    /// same whoever has that address; what is due is written by [`Self::post_address_proof`], after the answer.
    ///
    /// # Errors
    /// The outer: [`Error::Invalid`] for `email` that is no address, or is proved already. The inner: why not.
    pub async fn ask_address_proof(
        &self,
        session: Option<&SessionText>,
        address: &str,
        origin: &Origin,
    ) -> Result<Result<ProofDue, ProofRefused>, Error> {
        let Some(Current { session: of, user }) = self.current(session).await? else {
            return Ok(Err(ProofRefused::NotSignedIn));
        };
        let address = email(address)?;
        if address.ends_with(DELETED) {
            return Err(Error::invalid("email", "must look like name@example.com"));
        }
        if address == user.email {
            if user.email_verified {
                return Err(Error::invalid(
                    "email",
                    "is your address, and it is confirmed already",
                ));
            }
        } else {
            match self.may_change(session).await? {
                Ok(_) => {}
                Err(MethodRefused::Prove(offers)) => return Ok(Err(ProofRefused::Prove(offers))),
                Err(MethodRefused::NotSignedIn) => return Ok(Err(ProofRefused::NotSignedIn)),
                Err(_) => return Ok(Err(ProofRefused::Unreachable)),
            }
            if !user.email_is_own() {
                return Ok(Err(ProofRefused::Directory));
            }
        }
        let counted = [
            (self.count_key("address-person", &user.id), PERSON),
            (self.count_key("address-letter", &address), ADDRESS),
        ];
        if let Err(early) = self.people.throttle.attempt(&counted, self.parts.clock.now()) {
            return Ok(Err(ProofRefused::Later(RecoverRefused::TooEarly(early.wait))));
        }
        let Some(place) = self.people.letters.place() else {
            return Ok(Err(ProofRefused::Later(RecoverRefused::Busy)));
        };
        let browser = hex::encode(self.asked_in(&of.id));
        Ok(Ok(ProofDue { user, address, browser, origin: origin.clone(), _place: place }))
    }

    /// WHY the session and not a cookie of its own: it is the browser that is signed in, and only it may go on.
    fn asked_in(&self, session: &str) -> [u8; 32] {
        let text = Secret::new(format!("session\0{session}"));
        Purpose::Letter.mac(&self.parts.pepper, text.expose())
    }

    /// INVARIANT: a code that proves an address is never one that sets a password, nor the other way round.
    fn address_mac(&self, code: &Secret<String>) -> [u8; 32] {
        let text = Secret::new(format!("address\0{}", code.expose()));
        Purpose::Letter.mac(&self.parts.pepper, text.expose())
    }

    /// Writes the letter that is due. Nobody waits for it, so what fails is recorded.
    pub async fn post_address_proof(&self, due: ProofDue) {
        let origin = due.origin.clone();
        let Err(failure) = self.write_address_proof(due).await else { return };
        let detail = format!("address_proof: it could not be written: {failure}");
        if let Ok(mut event) = self.denial(&origin, code::MAIL_FAILED, detail) {
            event.outcome = Outcome::Error;
            self.parts.evidence.record_denial(event);
        }
    }

    /// Writes the letter, unless the address is another account's: then nobody could use it.
    ///
    /// # Errors
    /// As the store says, or when there is no randomness.
    pub(crate) async fn write_address_proof(&self, due: ProofDue) -> Result<(), Error> {
        let taken = self.parts.store.user_by_email(due.address.clone()).await?;
        if taken.is_some_and(|it| it.id != due.user.id) {
            return Ok(());
        }
        let now = self.parts.clock.now();
        let code = codes::code()?;
        let Some(normal) = codes::normal(code.expose()) else { return Ok(()) };
        let letter = LetterRecord {
            user: due.user.id.clone(),
            email: due.address.clone(),
            browser: due.browser,
            created_at: now,
            expires_at: now.plus(ADDRESS_PROOF),
            purpose: LetterPurpose::Address,
            before: Some(due.user.email.clone()),
        };
        let mut event = self.event(&due.origin, code::USER_CHANGED)?;
        event.principal = Some(Arc::from(due.user.id.as_str()));
        event.credential_id = Some(Arc::from(due.user.id.as_str()));
        event.detail = Some("a letter to prove an address was asked for".into());
        self.parts.store.put_letter(self.address_mac(&normal), letter, LETTERS_MOST, event).await?;
        // Behind `#`, so that it reaches neither a server nor a log on the way.
        let url = format!("{}#{}", self.settings().url(ADDRESS_CODE_PAGE), code.expose());
        let url = Secret::new(url);
        let link = Link { url: url.expose(), works_for: ADDRESS_PROOF };
        let to = UserRecord { email: due.address, ..due.user };
        self.tell(&to, |sender, to| AddressProof { code: code.expose(), link }.to(sender, to))
            .await;
        Ok(())
    }

    /// Takes the code: the address is the account's from now on, and proved.
    ///
    /// # Errors
    /// The outer: [`Error::Invalid`] for `code` (wrong, spent, expired, another session's, the account or the address is
    /// another one by now: which of them is not told). The inner: why not now.
    pub async fn prove_address(
        &self,
        session: Option<&SessionText>,
        code: &Secret<String>,
        origin: &Origin,
    ) -> Result<Result<Proved, ProofRefused>, Error> {
        let Some(current) = self.current(session).await? else {
            return Ok(Err(ProofRefused::NotSignedIn));
        };
        let net = network(origin.client_ip);
        let key = self.count_key("address-code", &format!("{}\0{net}", current.user.id));
        if let Err(early) = self.people.throttle.attempt(&[(key, TRIED)], self.parts.clock.now()) {
            return Ok(Err(ProofRefused::Later(RecoverRefused::TooEarly(early.wait))));
        }
        let mac = codes::normal(code.expose()).map(|normal| self.address_mac(&normal));
        let Some((mac, address)) = self.address_of(mac, &current).await? else {
            return self.proof_refused(&current, origin);
        };
        // The code was right.
        self.people.throttle.forgive(&[], &[key]);
        let Current { session: of, user } = &current;
        let changed = address != user.email;
        // Asked again: a directory or the file may have taken the account over since the letter was sent.
        if changed && !user.email_is_own() {
            return Ok(Err(ProofRefused::Directory));
        }
        let now = self.parts.clock.now();
        let after = UserRecord {
            email: address.clone(),
            email_verified: true,
            updated_at: now,
            // What was mailed to the old one opens nothing for whoever reads that.
            setup: user.setup.clone().filter(|_| !changed),
            ..user.clone()
        };
        let others = self.sessions_of(&user.id).await?;
        let mut event = self.event(origin, code::USER_CHANGED)?;
        event.principal = Some(Arc::from(user.id.as_str()));
        event.credential_id = Some(Arc::from(user.id.as_str()));
        let what = if changed { "another address was proved" } else { "the address was proved" };
        event.detail = Some(what.into());
        let proven = ProvenAddress { mac, now, session: of.id.clone(), ends_others: changed };
        match self.parts.store.prove_address(proven, user.clone(), after, event).await {
            Ok(Some(_)) => {}
            // Somebody was faster, the account changed, the session has ended, or the address is another account's now.
            Ok(None) | Err(PortError::Conflict) => return self.proof_refused(&current, origin),
            Err(error) => return Err(error.into()),
        }
        if changed {
            for ended in others.iter().filter(|it| it.id != of.id) {
                self.tell_clients(ended).await?;
            }
            // To the old address, which is still in `user`.
            self.tell_change(user, MethodChange::AddressChanged, origin).await;
        }
        Ok(Ok(Proved { address, changed }))
    }

    /// The address that a code proves, if this session asked for it and the account has the address that it had then.
    async fn address_of(
        &self,
        mac: Option<[u8; 32]>,
        current: &Current,
    ) -> Result<Option<([u8; 32], String)>, Error> {
        let Some(mac) = mac else { return Ok(None) };
        let letter = self.parts.store.letter(mac, self.parts.clock.now()).await?;
        let asked_in = self.asked_in(&current.session.id);
        let holds = |it: &LetterRecord| {
            it.purpose == LetterPurpose::Address
                && it.user == current.user.id
                && it.before.as_deref() == Some(current.user.email.as_str())
                && secrets::same_hex(&it.browser, &asked_in)
        };
        Ok(letter.filter(holds).map(|it| (mac, it.email)))
    }

    fn proof_refused<T>(&self, current: &Current, origin: &Origin) -> Result<T, Error> {
        let words =
            "this code is not right, was used, has expired, or was asked for in another session";
        let refusal = Error::invalid("code", words);
        let detail = format!("{}: {refusal}", code::USER_CHANGED);
        let mut event = self.denial(origin, code::ACT_REFUSED, detail)?;
        event.principal = Some(Arc::from(current.user.id.as_str()));
        self.parts.evidence.record_denial(event);
        Err(refusal)
    }
}

#[cfg(test)]
mod tests;
