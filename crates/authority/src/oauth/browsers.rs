//! Browsers that have signed in before, and failures in a row.
//!
//! Owns: which count of failures a password attempt belongs to, and when it shuts the password.
//!
//! Invariants:
//! - At most [`FAILURES_MOST`] failures in a row are judged, by strangers together and by each known browser (NIST SP
//!   800-63B-4 §3.2.2).
//! - Strangers never shut a browser out that the person has signed in with.
//! - A browser becomes known when all that the account asks for was proved in it, and not before.
//! - To be known is no proof of anything.

use super::records::UserRecord;
use super::secrets::Purpose;
use super::sessions::{BrowserText, Current, SignedIn, Standing};
use super::{OAuth, Origin};
use crate::error::{Error, PortError};
use crate::mail::{NewDevice, Seen};
#[cfg(doc)]
use crate::people::records::FAILURES_MOST;
use crate::people::records::{DEVICES_MOST, Failed};
use crate::people::{AuthenticatorData, AuthenticatorRecord, FactorKind};
use base::base62;
use std::time::Duration;

/// Characters of a record's id.
pub(super) const ID_CHARS: usize = 12;
/// How often a count is tried again that another failure came before.
const TRIES: usize = 4;
/// How often the use of a known browser is noted at most: it says which one was used longest ago, and no more.
const NOTED: Duration = Duration::from_secs(60 * 60);
/// Characters of what a browser calls itself.
pub(super) const AGENT_CHARS: usize = 200;

/// Whose failures an attempt counts to.
#[derive(Debug)]
pub(crate) struct Guard {
    owned: Vec<AuthenticatorRecord>,
    /// The row of this browser, if it is known.
    browser: Option<AuthenticatorRecord>,
    /// The row of the password itself, if strangers have failed before.
    password: Option<AuthenticatorRecord>,
    /// Whether the attempt was counted in one of them.
    counted: bool,
    /// The failures before that, as their person sees them.
    earlier: Option<Failed>,
}

impl Guard {
    /// Whether the password is shut for who asks.
    pub(crate) fn is_shut(&self) -> bool {
        let row = self.browser.as_ref().or(self.password.as_ref());
        row.is_some_and(AuthenticatorRecord::is_shut)
    }
}

impl OAuth {
    pub(super) fn password_guard(
        &self,
        user: Option<&UserRecord>,
        owned: Vec<AuthenticatorRecord>,
        browser: Option<&BrowserText>,
    ) -> Guard {
        let of = |kind: FactorKind| owned.iter().filter(move |it| it.kind() == kind);
        let handle = browser.map(|text| self.browser_handle(text));
        let known = handle.and_then(|handle| {
            of(FactorKind::Device).find(|it| it.handle.as_ref() == Some(&handle))
        });
        let known = known.filter(|it| user.is_some_and(|user| user.id == it.user)).cloned();
        let password = of(FactorKind::Password).next().cloned();
        let row = known.as_ref().or(password.as_ref());
        let earlier = row.and_then(|it| it.failed.clone());
        Guard { browser: known, password, owned, counted: false, earlier }
    }

    fn browser_handle(&self, text: &BrowserText) -> String {
        let mac = Purpose::Browser.mac(&self.parts.pepper, text.expose());
        format!("browser:{}", hex::encode(mac))
    }

    /// Counts an attempt as a failure, until it is forgiven. Gives back the rows as they are then.
    pub(super) async fn count_attempt(
        &self,
        user: Option<&UserRecord>,
        guard: Guard,
        origin: &Origin,
    ) -> Result<Guard, Error> {
        let Some(user) = user else { return Ok(guard) };
        if let Some(row) = guard.browser {
            let (browser, counted) = self.count_once(row, origin).await?;
            return Ok(Guard { browser, counted, ..guard });
        }
        if let Some(row) = guard.password {
            let (password, counted) = self.count_once(row, origin).await?;
            return Ok(Guard { password, counted, ..guard });
        }
        let fresh = AuthenticatorRecord {
            id: base62::random(ID_CHARS)?,
            user: user.id.clone(),
            name: String::new(),
            // One a person, so that two nodes do not count apart.
            handle: Some(format!("password:{}", user.id)),
            data: AuthenticatorData::Password {},
            created_at: self.parts.clock.now(),
            last_used_at: None,
            failures: 1,
            failed: Some(self.one_more(None, origin)),
        };
        match self.parts.store.add_authenticator(fresh.clone(), None, None).await {
            Ok(()) => Ok(Guard { password: Some(fresh), counted: true, ..guard }),
            // Another attempt was the first; this one is counted by its delays alone.
            Err(PortError::Conflict) => Ok(guard),
            Err(error) => Err(error.into()),
        }
    }

    /// A new password is a new authenticator: what was counted at the old one is forgotten (NIST SP 800-63B-4 §3.2.2).
    pub(super) async fn forget_password_failures(&self, user: &str) -> Result<(), Error> {
        let owned = self.parts.store.authenticators(user.to_owned()).await?;
        let counts = |it: &AuthenticatorRecord| {
            matches!(it.kind(), FactorKind::Password | FactorKind::Device)
        };
        for row in owned.into_iter().filter(|it| counts(it) && it.failures > 0) {
            let after = AuthenticatorRecord { failures: 0, ..row.clone() };
            self.parts.store.replace_authenticator(row, after, None).await?;
        }
        Ok(())
    }

    /// Takes the count of an attempt back that was not judged. WHY only one that was counted: else whoever keeps this
    /// server busy could count a shut password down, and guess on.
    pub(super) async fn uncount(&self, guard: Guard) -> Result<(), Error> {
        if !guard.counted {
            return Ok(());
        }
        let row = guard.browser.or(guard.password);
        if let Some(row) = row {
            let failures = row.failures.saturating_sub(1);
            let after = AuthenticatorRecord { failures, failed: guard.earlier, ..row.clone() };
            self.parts.store.replace_authenticator(row, after, None).await?;
        }
        Ok(())
    }

    /// Adds one failure to a row, however many come at once.
    pub(super) async fn count_failure(
        &self,
        row: AuthenticatorRecord,
        origin: &Origin,
    ) -> Result<(), Error> {
        self.count_once(row, origin).await.map(drop)
    }

    fn one_more(&self, before: Option<&Failed>, origin: &Origin) -> Failed {
        let from = (origin.client_ip, &*origin.user_agent);
        Failed::more(before, self.parts.clock.now(), from)
    }

    /// The same; the row as it is then, and whether the failure was added: to a row that is shut none is.
    pub(super) async fn count_once(
        &self,
        mut row: AuthenticatorRecord,
        origin: &Origin,
    ) -> Result<(Option<AuthenticatorRecord>, bool), Error> {
        for _ in 0..TRIES {
            if row.is_shut() {
                break;
            }
            let after = AuthenticatorRecord {
                failures: row.failures + 1,
                failed: Some(self.one_more(row.failed.as_ref(), origin)),
                ..row.clone()
            };
            if self.parts.store.replace_authenticator(row.clone(), after.clone(), None).await? {
                return Ok((Some(after), true));
            }
            let owned = self.parts.store.authenticators(row.user.clone()).await?;
            match owned.into_iter().find(|it| it.id == row.id) {
                Some(now) => row = now,
                None => return Ok((None, false)),
            }
        }
        Ok((Some(row), false))
    }

    /// Forgets the failures of who was right, whether or not more is to be proved. It makes no browser known.
    pub(super) async fn forgive(&self, guard: Guard) -> Result<(), Error> {
        let now = self.parts.clock.now();
        if let Some(row) = guard.browser.or(guard.password).filter(|it| it.failures > 0) {
            let after = AuthenticatorRecord {
                failures: 0,
                failed: guard.earlier,
                last_used_at: Some(now),
                ..row.clone()
            };
            self.parts.store.replace_authenticator(row, after, None).await?;
        }
        Ok(())
    }

    /// Makes the browser known once everything that the account asks for is proved in its session. WHY not before: who
    /// has nothing but a password could push out all browsers that the person signs in with.
    pub(super) async fn came_in(
        &self,
        begun: SignedIn,
        user: &UserRecord,
        browser: Option<&BrowserText>,
        origin: &Origin,
    ) -> Result<SignedIn, Error> {
        let owned = self.parts.store.authenticators(user.id.clone()).await?;
        let current = Current { session: begun.session.clone(), user: user.clone() };
        let standing = Standing { current, owned };
        if !self.baseline(&standing).is_met(&begun.session.proofs) {
            return Ok(begun);
        }
        self.note_network(user, origin);
        let guard = self.password_guard(Some(user), standing.owned, browser);
        match guard.browser {
            Some(row) => {
                self.seen_again(row, origin).await?;
                Ok(begun)
            }
            None => Ok(SignedIn { browser: self.known(user, guard.owned, origin).await?, ..begun }),
        }
    }

    async fn seen_again(&self, row: AuthenticatorRecord, origin: &Origin) -> Result<(), Error> {
        let now = self.parts.clock.now();
        let data = AuthenticatorData::Device { user_agent: agent(origin) };
        if row.data == data && row.last_used_at.is_some_and(|it| now.since(it) < NOTED) {
            return Ok(());
        }
        let after = AuthenticatorRecord { last_used_at: Some(now), data, ..row.clone() };
        self.parts.store.replace_authenticator(row, after, None).await?;
        Ok(())
    }

    /// Makes a browser known: the text that it keeps.
    async fn known(
        &self,
        user: &UserRecord,
        owned: Vec<AuthenticatorRecord>,
        origin: &Origin,
    ) -> Result<Option<BrowserText>, Error> {
        let now = self.parts.clock.now();
        let mut devices: Vec<_> =
            owned.into_iter().filter(|it| it.kind() == FactorKind::Device).collect();
        let first = devices.is_empty();
        devices.sort_by_key(|it| it.last_used_at);
        let surplus = (devices.len() + 1).saturating_sub(DEVICES_MOST);
        for old in devices.into_iter().take(surplus) {
            self.parts.store.remove_authenticator(old, None, None).await?;
        }
        let text = Purpose::Browser.fresh()?;
        let record = AuthenticatorRecord {
            id: base62::random(ID_CHARS)?,
            user: user.id.clone(),
            name: String::new(),
            handle: Some(self.browser_handle(&text)),
            data: AuthenticatorData::Device { user_agent: agent(origin) },
            created_at: now,
            last_used_at: Some(now),
            failures: 0,
            failed: None,
        };
        match self.parts.store.add_authenticator(record, None, None).await {
            Ok(()) => {}
            // Too many of other kinds: the person signs in all the same.
            Err(PortError::Conflict) => return Ok(None),
            Err(error) => return Err(error.into()),
        }
        if !first {
            let seen = Seen { at: now, address: origin.client_ip, user_agent: &origin.user_agent };
            self.tell(user, |sender, to| NewDevice { seen }.to(sender, to)).await;
        }
        Ok(Some(text))
    }
}

fn agent(origin: &Origin) -> String {
    origin.user_agent.chars().take(AGENT_CHARS).collect()
}
