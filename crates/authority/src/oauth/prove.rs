//! Second proofs: what a person who has begun to sign in shows beside.
//!
//! Never does: begin a session out of nothing; that takes a password or a passkey.
//!
//! Invariants:
//! - A code counts once, on any number of nodes: its row is compared and set.
//! - What is wrong is counted, delayed and recorded, whichever it is.

use super::secrets::Purpose;
use super::sessions::{BrowserText, SessionText, SignInRefused, SignedIn, Standing};
use super::{OAuth, Origin};
use crate::error::{Error, PortError};
use crate::factors::throttle::{Key, Rule};
use crate::factors::{recovery, totp};
use crate::people::records::Failed;
use crate::people::{AuthenticatorData, AuthenticatorRecord, FactorKind, Proof};
use base::Secret;
use std::time::Duration;

/// Guesses at a person's second factors. They take the first one, so strangers delay nobody.
const SECOND: Rule = Rule {
    free: 5,
    first: Duration::from_secs(2),
    longest: Duration::from_secs(15 * 60),
    forget: Duration::from_secs(60 * 60),
};
/// What TOTP secrets are sealed for.
pub(super) const TOTP_SEALED: &str = "totp";

/// What a person shows.
#[derive(Debug, Clone)]
pub enum Presented {
    /// A code of an app.
    Totp(Secret<String>),
    /// A recovery code.
    Recovery(Secret<String>),
}

impl Presented {
    fn kind(&self) -> FactorKind {
        match self {
            Self::Totp(_) => FactorKind::Totp,
            Self::Recovery(_) => FactorKind::Recovery,
        }
    }
}

impl OAuth {
    /// Takes a proof of a person who has begun to sign in, or is asked for more: the session is renewed with it.
    /// `browser`: what the browser is known by.
    ///
    /// # Errors
    /// The outer: as the store says. The inner: why it does not count.
    pub async fn prove(
        &self,
        session: &SessionText,
        presented: &Presented,
        browser: Option<&BrowserText>,
        origin: &Origin,
    ) -> Result<Result<SignedIn, SignInRefused>, Error> {
        let Some(standing) = self.standing(Some(session)).await? else {
            return Ok(Err(SignInRefused::NotBegun));
        };
        let key = self.second_key(&standing);
        let now = self.parts.clock.now();
        if let Err(early) = self.people.throttle.attempt(&[(key, SECOND)], now) {
            if early.first {
                let why = (presented.kind(), "too many attempts of late");
                self.proof_failed(Some(&standing.current.user), why, origin)?;
            }
            return Ok(Err(SignInRefused::TooEarly(early.wait)));
        }
        let proof = match presented {
            Presented::Totp(typed) => self.prove_totp(&standing, typed, origin).await?,
            Presented::Recovery(typed) => self.prove_recovery(&standing, typed, origin).await?,
        };
        match proof {
            Ok(proof) => {
                self.people.throttle.forgive(&[key], &[]);
                let user = &standing.current.user;
                let begun = self.begin_session(user, proof, Some(session), origin).await?;
                self.came_in(begun, user, browser, origin).await.map(Ok)
            }
            Err(refused) => {
                let why = match refused {
                    SignInRefused::Shut => "shut after 100 failures",
                    _ => "it is wrong, or was used before",
                };
                let user = Some(&standing.current.user);
                self.proof_failed(user, (presented.kind(), why), origin)?;
                Ok(Err(refused))
            }
        }
    }

    fn second_key(&self, standing: &Standing) -> Key {
        self.count_key("second", &standing.current.user.id)
    }

    async fn prove_totp(
        &self,
        standing: &Standing,
        typed: &Secret<String>,
        origin: &Origin,
    ) -> Result<Result<Proof, SignInRefused>, Error> {
        let now = self.parts.clock.now();
        let mut any_open = false;
        let mut tried = Vec::new();
        for row in standing.owned.iter().filter(|it| it.kind() == FactorKind::Totp) {
            // INVARIANT: a guess is counted before it is judged, so that any number at once stays below the bound.
            let Some(counted) = self.reserve(row, origin).await? else { continue };
            any_open = true;
            let AuthenticatorData::Totp { sealed, algorithm, last_step, .. } = &counted.data else {
                continue;
            };
            let algorithm = totp_algorithm(algorithm);
            let secret = self.open_totp(sealed)?;
            let checked = totp::verify(&secret, algorithm, typed.expose(), now, *last_step);
            let totp::Checked::Accepted { step, drift } = checked else {
                tried.push((counted, row.failed.clone()));
                continue;
            };
            let mut after = AuthenticatorRecord {
                failures: 0,
                failed: row.failed.clone(),
                last_used_at: Some(now),
                ..counted.clone()
            };
            if let AuthenticatorData::Totp { last_step, drift: noted, .. } = &mut after.data {
                (*last_step, *noted) = (Some(step), drift);
            }
            let id = counted.id.clone();
            // RFC 6238 §5.2: whoever came second with this code finds another row.
            if !self.parts.store.replace_authenticator(counted, after, None).await? {
                return Ok(Err(SignInRefused::NoMatch));
            }
            // The code was that of another app: nobody has guessed.
            for (other, earlier) in tried {
                self.release(other, earlier).await?;
            }
            return Ok(Ok(Proof::new(FactorKind::Totp, Some(id), now)));
        }
        Ok(Err(if any_open { SignInRefused::NoMatch } else { SignInRefused::Shut }))
    }

    /// Counts a failure before it is known to be one; the row as it is then. `None` where it is shut, or changes so often
    /// that nothing could be counted.
    async fn reserve(
        &self,
        row: &AuthenticatorRecord,
        origin: &Origin,
    ) -> Result<Option<AuthenticatorRecord>, Error> {
        let (row, counted) = self.count_once(row.clone(), origin).await?;
        Ok(row.filter(|_| counted))
    }

    /// Takes the count back. What came between stands.
    async fn release(
        &self,
        counted: AuthenticatorRecord,
        earlier: Option<Failed>,
    ) -> Result<(), Error> {
        let failures = counted.failures.saturating_sub(1);
        let after = AuthenticatorRecord { failures, failed: earlier, ..counted.clone() };
        self.parts.store.replace_authenticator(counted, after, None).await?;
        Ok(())
    }

    pub(super) fn open_totp(&self, sealed: &str) -> Result<totp::TotpSecret, Error> {
        let broken =
            || Error::Store(PortError::Corrupt("a TOTP secret cannot be opened".to_owned()));
        let sealed = hex::decode(sealed).map_err(|_| broken())?;
        let plain = self.parts.sealer.open(TOTP_SEALED, &sealed)?;
        totp::TotpSecret::from_bytes(plain.expose()).ok_or_else(broken)
    }

    async fn prove_recovery(
        &self,
        standing: &Standing,
        typed: &Secret<String>,
        origin: &Origin,
    ) -> Result<Result<Proof, SignInRefused>, Error> {
        let now = self.parts.clock.now();
        let mut rows = standing.owned.iter().filter(|it| it.kind() == FactorKind::Recovery);
        let Some(row) = rows.next() else { return Ok(Err(SignInRefused::NoMatch)) };
        let earlier = row.failed.clone();
        let Some(row) = self.reserve(row, origin).await? else {
            return Ok(Err(SignInRefused::Shut));
        };
        let AuthenticatorData::Recovery { codes } = &row.data else {
            return Ok(Err(SignInRefused::NoMatch));
        };
        let normal = recovery::normal(typed.expose());
        let mac = normal.map(|it| Purpose::Recovery.mac(&self.parts.pepper, it.expose()));
        let Some(place) = mac.and_then(|mac| recovery::verify(codes, &mac)) else {
            return Ok(Err(SignInRefused::NoMatch));
        };
        let mut after = AuthenticatorRecord {
            failures: 0,
            failed: earlier,
            last_used_at: Some(now),
            ..row.clone()
        };
        if let AuthenticatorData::Recovery { codes } = &mut after.data
            && let Some(code) = codes.get_mut(place)
        {
            code.spent_at = Some(now);
        }
        match self.parts.store.replace_authenticator(row.clone(), after, None).await? {
            true => Ok(Ok(Proof::new(FactorKind::Recovery, Some(row.id.clone()), now))),
            false => Ok(Err(SignInRefused::NoMatch)),
        }
    }
}

pub(super) fn totp_algorithm(word: &str) -> totp::Algorithm {
    if word == totp::Algorithm::Sha256.name() {
        totp::Algorithm::Sha256
    } else {
        totp::Algorithm::Sha1
    }
}

#[cfg(test)]
pub(crate) mod tests;
