//! Signing in and out.
//!
//! Owns: browsers' sessions, the delays before guesses, CSRF tokens.
//!
//! Never does: keep or print a session's text, or tell an unknown account from a wrong password.
//!
//! Invariants:
//! - Each sign-in brings a new text, so that none that was planted before is worth anything.
//! - A session whose account is closed is none.

use super::clients::auth_method;
use super::logout::Logouts;
use super::news::REPLACED;
use super::records::{ClientRecord, Origin as From, SessionRecord, UserRecord};
use super::recover::WRITING_MOST;
use super::refusal::Failed;
use super::secrets::{self, Purpose};
use super::users::email;
use super::{OAuth, Origin};
use crate::actor::Actor;
use crate::error::Error;
use crate::factors::throttle::{Allowance, Key, Known, Rule, Throttle, TooEarly, Windows};
use crate::factors::{Verdict, password};
use crate::people::policy::{self, Missing};
use crate::people::{AuthenticatorRecord, FactorKind, Level, Need, Proof, level};
use base::{Secret, UnixMs, base62, code};
use protocol::oauth::client_auth::AuthMethod;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The value of the session's cookie.
pub type SessionText = Secret<String>;
/// The value of the cookie by which a browser is known that has signed in before.
pub type BrowserText = Secret<String>;

/// Characters of a session's id.
const ID_CHARS: usize = 12;
/// Characters of a user agent that are kept.
const AGENT_CHARS: usize = 200;
/// How many times, while a session may lie idle, it is noted that it is used: no more than eight writes an hour.
const USE_NOTED: u32 = 8;
/// Characters of a session's text.
const TEXT_CHARS: usize = 4 + 43;

/// Guesses at one account from one network.
const PAIR: Rule = Rule {
    free: 5,
    first: Duration::from_secs(1),
    longest: Duration::from_secs(15 * 60),
    forget: Duration::from_secs(60 * 60),
};
/// Guesses at one account from anywhere. WHY so short: strangers must not be able to shut its owner out.
const ACCOUNT: Rule = Rule {
    free: 20,
    first: Duration::from_secs(1),
    longest: Duration::from_secs(30),
    forget: Duration::from_secs(60 * 60),
};
/// Guesses from one network at any accounts. WHY so many: an office has one address.
const NETWORK: Rule = Rule {
    free: 50,
    first: Duration::from_secs(1),
    longest: Duration::from_secs(5 * 60),
    forget: Duration::from_secs(60 * 60),
};

/// Rows (pushed requests, device codes) that one network may have kept through clients that do not authenticate. An
/// office of a thousand people signs in at less than this.
const ROWS_NETWORK: Allowance = Allowance { times: 120, within: Duration::from_secs(60) };
/// Rows of all such callers together. At 64 KiB, the most that one may have, half an hour of them are 2.4 GB.
const ROWS_ALL: Allowance = Allowance { times: 1200, within: Duration::from_secs(60) };

/// New addresses that one network may make this server ask. WHY fewer than all may: who uses them up shuts out only
/// their own network.
const ASKED_NETWORK: Allowance = Allowance { times: 30, within: Duration::from_secs(60) };

/// What people's use cases hold in memory.
#[derive(Debug, Default)]
pub(crate) struct People {
    pub(crate) pool: password::Pool,
    pub(crate) throttle: Throttle,
    /// From which networks people have signed in of late.
    known: Known,
    /// What clients that do not authenticate have asked to be kept.
    kept_for_strangers: Windows,
    pub(crate) logouts: Logouts,
    /// Places of letters that are being written.
    pub(crate) letters: Letters,
}

/// How many letters are being written.
#[derive(Debug)]
pub(crate) struct Letters(Arc<Semaphore>);

impl Default for Letters {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(WRITING_MOST)))
    }
}

impl Letters {
    /// A place for one more.
    pub(crate) fn place(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.0).try_acquire_owned().ok()
    }
}

/// What a person types to sign in.
#[derive(Debug, Clone)]
pub struct SignIn {
    /// The address.
    pub email: String,
    /// The password.
    pub password: Secret<String>,
    /// The session that the browser has already.
    pub session: Option<SessionText>,
    /// What the browser is known by, where it has signed in before.
    pub browser: Option<BrowserText>,
}

/// A person who has signed in.
#[derive(Debug, Clone)]
pub struct SignedIn {
    /// The new value of the cookie.
    pub text: SessionText,
    /// What is kept.
    pub session: SessionRecord,
    /// What the browser shall be known by from now on, where it was not known before.
    pub browser: Option<BrowserText>,
}

/// Why somebody could not sign in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignInRefused {
    /// Address and password do not belong together, or the account is closed.
    #[error("the e-mail address and the password do not belong together")]
    Wrong,
    /// Too many attempts of late.
    #[error("too many attempts; wait a moment and try again")]
    TooEarly(Duration),
    /// Too many people sign in.
    #[error("too many people sign in at this moment; try again")]
    Busy,
    /// The code or key that was shown is not right, or was used before.
    #[error("that did not match")]
    NoMatch,
    /// Too many failures in a row have shut what was used.
    #[error("too many failures have shut this way of signing in")]
    Shut,
    /// Nobody has begun to sign in with this browser, or too long ago.
    #[error("the sign-in has to begin anew")]
    NotBegun,
}

/// A session and its person.
#[derive(Debug, Clone)]
pub struct Current {
    /// The session.
    pub session: SessionRecord,
    /// The person.
    pub user: UserRecord,
}

/// A session, complete or not, and what its person has to prove themselves with.
#[derive(Debug, Clone)]
pub struct Standing {
    /// The session and the person. Nothing may be done on it before [`Standing::missing`] says so.
    pub current: Current,
    /// The person's authenticators.
    pub owned: Vec<AuthenticatorRecord>,
}

impl Standing {
    /// What is missing of `need` at `now`.
    pub fn missing(&self, need: &Need, now: UnixMs) -> Missing {
        let password = self.current.user.password.is_some();
        policy::missing(need, &self.current.session.proofs, &self.owned, (password, now))
    }
}

impl OAuth {
    /// Signs a person in. A session that the browser has of the same person is renewed: it keeps its id and its
    /// clients, and gets another text. One of another person ends.
    ///
    /// # Errors
    /// The outer: as the store says. The inner: why not.
    pub async fn sign_in(
        &self,
        ask: SignIn,
        origin: &Origin,
    ) -> Result<Result<SignedIn, SignInRefused>, Error> {
        // What is no address has no account, and costs the same.
        let address = email(&ask.email).unwrap_or_default();
        let keys = self.guess_keys(&address, origin.client_ip);
        let mut counted = vec![(keys.pair, PAIR), (keys.network, NETWORK)];
        // WHY: strangers who guess from everywhere must not delay the person at home.
        if !self.people.known.contains(&keys.pair) {
            counted.push((keys.account, ACCOUNT));
        }
        if let Err(early) = self.people.throttle.attempt(&counted, self.parts.clock.now()) {
            return self.too_early(early, origin).map(Err);
        }
        let user = match address.is_empty() {
            true => None,
            false => self.parts.store.user_by_email(address).await?,
        };
        // What is no account has no rows, and is looked for all the same.
        let whose = user.as_ref().map(|user| user.id.clone()).unwrap_or_default();
        let owned = self.parts.store.authenticators(whose).await?;
        let guard = self.password_guard(user.as_ref(), owned, ask.browser.as_ref());
        let shut = guard.is_shut();
        // What is shut costs the same time as what is not.
        let open = user.as_ref().filter(|_| !shut);
        let hash = open.and_then(|user| user.password.clone());
        let typed = ask.password.clone();
        let judging = self.people.pool.run(move || password::verify(hash.as_deref(), &typed));
        // WHY beside the hash, and before it is known: the time that it takes must not tell whether there is an account,
        // and any number of guesses at once gain nothing.
        let counting = self.count_attempt(user.as_ref(), guard, origin);
        let (judged, guard) = futures_util::future::join(judging, counting).await;
        let guard = guard?;
        let Ok(verdict) = judged else {
            // Nothing was guessed.
            let taken: Vec<Key> = counted.iter().map(|(key, _)| *key).collect();
            self.people.throttle.forgive(&[], &taken);
            self.uncount(guard).await?;
            return Ok(Err(SignInRefused::Busy));
        };
        match user {
            Some(user) if verdict == Verdict::Accepted && user.disabled_at.is_none() => {
                self.people.throttle.forgive(&[keys.pair, keys.account], &[keys.network]);
                let user = self.rehash(user, &ask.password, origin).await?;
                self.forgive(guard).await?;
                let proof = Proof::new(FactorKind::Password, None, self.parts.clock.now());
                let old = ask.session.as_ref();
                let begun = self.begin_session(&user, proof, old, origin).await?;
                self.came_in(begun, &user, ask.browser.as_ref(), origin).await.map(Ok)
            }
            user => {
                let why = match (&user, verdict) {
                    (None, _) => "no account has this address",
                    (Some(_), _) if shut => "the password is shut after 100 failures",
                    (Some(_), Verdict::Accepted) => "the account is closed",
                    (Some(user), _) if user.password.is_none() => "the account has no password yet",
                    _ => "the password is wrong",
                };
                self.sign_in_failed(user.as_ref(), why, origin)?;
                Ok(Err(SignInRefused::Wrong))
            }
        }
    }

    fn too_early(&self, early: TooEarly, origin: &Origin) -> Result<SignInRefused, Error> {
        // One record for each delay: who knocks a thousand times meanwhile fills no disk.
        if early.first {
            self.sign_in_failed(None, "too many attempts of late", origin)?;
        }
        Ok(SignInRefused::TooEarly(early.wait))
    }

    /// Strangers can fail as often as they like, so it is recorded as a denial: folded, and never in the store.
    fn sign_in_failed(
        &self,
        user: Option<&UserRecord>,
        why: &str,
        origin: &Origin,
    ) -> Result<(), Error> {
        self.proof_failed(user, (FactorKind::Password, why), origin)
    }

    /// Records that a proof failed.
    pub(crate) fn proof_failed(
        &self,
        user: Option<&UserRecord>,
        (kind, why): (FactorKind, &str),
        origin: &Origin,
    ) -> Result<(), Error> {
        let detail = format!("{}: {why}", kind.as_str());
        let mut event = self.denial(origin, code::LOGIN_FAILED, detail)?;
        event.principal = user.map(|user| Arc::from(user.id.as_str()));
        self.parts.evidence.record_denial(event);
        Ok(())
    }

    /// Begins a session of a person who has just proved who they are, or renews the one that the browser has: what was
    /// proved in that still counts, each with its time.
    pub(crate) async fn begin_session(
        &self,
        user: &UserRecord,
        proof: Proof,
        old: Option<&SessionText>,
        origin: &Origin,
    ) -> Result<SignedIn, Error> {
        let text = Purpose::Session.fresh()?;
        let mac = Purpose::Session.mac(&self.parts.pepper, text.expose());
        let mut before = self.own_old_session(user, old, origin).await?;
        let session = loop {
            let session = self.drafted(user, &proof, before.as_ref(), origin)?;
            let mut event = self.event(origin, code::LOGIN)?;
            event.principal = Some(Arc::from(user.id.as_str()));
            event.credential_id = Some(Arc::from(session.id.as_str()));
            event.detail = Some(format!("{}: {}", proof.kind.as_str(), session.acr).into());
            let Some(old) = before.take() else {
                self.parts.store.create_session(mac, session.clone(), event).await?;
                break session;
            };
            let mut ended = self.event(origin, code::LOGOUT)?;
            ended.principal = Some(Arc::from(old.user.as_str()));
            ended.credential_id = Some(Arc::from(old.id.as_str()));
            ended.detail = Some(REPLACED.into());
            let renewed = (mac, session.clone());
            if self.parts.store.renew_session(old, renewed, [ended, event]).await? {
                break session;
            }
            // It has ended or changed meanwhile: what was proved in it counts for nobody else.
        };
        self.still_stands(user, (&session, proof.authenticator.as_deref()), origin).await?;
        Ok(SignedIn { text, session, browser: None })
    }

    /// What is to be kept of a session with one proof more; what was proved in the one before still counts, each with its
    /// time.
    fn drafted(
        &self,
        user: &UserRecord,
        proof: &Proof,
        before: Option<&SessionRecord>,
        origin: &Origin,
    ) -> Result<SessionRecord, Error> {
        let now = self.parts.clock.now();
        let mut proofs = before.map(|before| before.proofs.clone()).unwrap_or_default();
        // What was proved longer ago than a session lasts counts no more.
        let longest = self.settings().session;
        proofs.retain(|it| now.since(it.at) < longest);
        let proofs = level::with(proofs, proof.clone());
        let reached = level::level(&proofs).unwrap_or(Level::Aal1);
        Ok(SessionRecord {
            id: match before {
                Some(before) => before.id.clone(),
                None => base62::random(ID_CHARS)?,
            },
            user: user.id.clone(),
            auth_time: level::auth_time(&proofs).unwrap_or(now),
            amr: level::amr(&proofs),
            acr: reached.as_str().to_owned(),
            created_at: before.map_or(now, |before| before.created_at),
            expires_at: level::stands_since(&proofs).unwrap_or(now).plus(longest),
            used_at: Some(now),
            user_agent: origin.user_agent.chars().take(AGENT_CHARS).collect(),
            client_ip: origin.client_ip,
            clients: before.map(|before| before.clients.clone()).unwrap_or_default(),
            proofs,
        })
    }

    /// Ends the session again where the password was changed, the account closed, or what was just shown removed, while it was
    /// judged. WHY after
    /// it is kept: a change before that is seen here, and one after it ends the session itself.
    async fn still_stands(
        &self,
        user: &UserRecord,
        (session, shown): (&SessionRecord, Option<&str>),
        origin: &Origin,
    ) -> Result<(), Error> {
        let found = self.parts.store.user(user.id.clone()).await?;
        let same = |it: &UserRecord| it.password == user.password && it.disabled_at.is_none();
        let there = match shown {
            None => true,
            Some(id) => {
                let owned = self.parts.store.authenticators(user.id.clone()).await?;
                owned.iter().any(|it| it.id == id)
            }
        };
        if there && found.as_ref().is_some_and(same) {
            return Ok(());
        }
        let mut event = self.event(origin, code::LOGOUT)?;
        event.principal = Some(Arc::from(user.id.as_str()));
        event.credential_id = Some(Arc::from(session.id.as_str()));
        event.detail = Some("the account was changed during the sign-in".into());
        self.parts.store.end_session(session.id.clone(), event).await?;
        Err(Error::Busy("the account was changed at this moment"))
    }

    /// The session that the browser had, when it was the same person's; another person's ends.
    async fn own_old_session(
        &self,
        user: &UserRecord,
        old: Option<&SessionText>,
        origin: &Origin,
    ) -> Result<Option<SessionRecord>, Error> {
        let Some(old) = old else { return Ok(None) };
        let Some(before) = self.session_record(old).await? else { return Ok(None) };
        if before.user == user.id {
            return Ok(Some(before));
        }
        self.end_for_another(before, origin).await?;
        Ok(None)
    }

    async fn end_for_another(&self, before: SessionRecord, origin: &Origin) -> Result<(), Error> {
        let mut event = self.event(origin, code::LOGOUT)?;
        event.principal = Some(Arc::from(before.user.as_str()));
        event.credential_id = Some(Arc::from(before.id.as_str()));
        event.detail = Some("another person signed in with the same browser".into());
        match self.parts.store.end_session(before.id, event).await? {
            Some(ended) => self.tell_clients(&ended).await,
            None => Ok(()),
        }
    }

    /// Ends the session of a browser, complete or not, whose person makes room for another one; nothing where there is none.
    ///
    /// # Errors
    /// As the store says.
    pub async fn abandon(&self, session: &SessionText, origin: &Origin) -> Result<(), Error> {
        match self.session_record(session).await? {
            Some(before) => self.end_for_another(before, origin).await,
            None => Ok(()),
        }
    }

    async fn session_record(&self, text: &SessionText) -> Result<Option<SessionRecord>, Error> {
        if text.expose().len() != TEXT_CHARS {
            return Ok(None);
        }
        let (mac, now) =
            (Purpose::Session.mac(&self.parts.pepper, text.expose()), self.parts.clock.now());
        let Some(mut session) = self.parts.store.session(mac, now).await? else { return Ok(None) };
        // NIST SP 800-63B-4 §2.2.3, §5.2: who comes back after that signs in again.
        if self.is_idle(&session) {
            return Ok(None);
        }
        let unused = now.since(session.used_at.unwrap_or(session.created_at));
        if unused >= self.settings().session_idle / USE_NOTED {
            session.used_at = Some(now);
            // Where that cannot be kept, the session ends a little sooner.
            drop(self.parts.store.replace_session(mac, session.clone()).await);
        }
        Ok(Some(session))
    }

    /// The session with this text, its person and their authenticators, complete or not; `None` when it has ended or the
    /// account is closed.
    ///
    /// # Errors
    /// As the store says.
    pub async fn standing(&self, text: Option<&SessionText>) -> Result<Option<Standing>, Error> {
        let Some(text) = text else { return Ok(None) };
        let Some(session) = self.session_record(text).await? else { return Ok(None) };
        let user = self.parts.store.user(session.user.clone()).await?;
        let Some(user) = user.filter(|user| user.disabled_at.is_none()) else { return Ok(None) };
        let owned = self.parts.store.authenticators(user.id.clone()).await?;
        Ok(Some(Standing { current: Current { session, user }, owned }))
    }

    /// What the person's account asks for, whatever they do.
    #[must_use]
    pub fn baseline(&self, standing: &Standing) -> Need {
        let user = &standing.current.user;
        let mut need = Need::baseline(&self.settings().sign_in, &user.roles, &standing.owned);
        if user.password_beside {
            // NIST SP 800-63B-4 §3.1.1.2: a password that is short never stands alone.
            need.level = need.level.max(Level::Aal2);
        }
        need
    }

    /// The session with this text and its person; `None` when it has ended, the account is closed, or something that the
    /// account asks for is not proved yet.
    ///
    /// INVARIANT: whatever a person may see or do stands on this; what is between is reached by [`Self::standing`] alone.
    ///
    /// # Errors
    /// As the store says.
    pub async fn current(&self, text: Option<&SessionText>) -> Result<Option<Current>, Error> {
        let Some(standing) = self.standing(text).await? else { return Ok(None) };
        let complete = self.baseline(&standing).is_met(&standing.current.session.proofs);
        Ok(complete.then_some(standing.current))
    }

    /// The sessions of a person that live.
    ///
    /// # Errors
    /// As the store says.
    pub async fn sessions_of(&self, user: &str) -> Result<Vec<SessionRecord>, Error> {
        Ok(self.parts.store.sessions(user.to_owned(), self.parts.clock.now()).await?)
    }

    /// Whether a session has lain unused for so long that nothing can be done on it any more.
    pub(super) fn is_idle(&self, session: &SessionRecord) -> bool {
        let used = session.used_at.unwrap_or(session.created_at);
        self.parts.clock.now().since(used) >= self.settings().session_idle
    }

    /// Ends one session of a person, and tells its clients.
    ///
    /// # Errors
    /// [`Error::NotFound`] when the person has no session with this id (recorded).
    pub async fn end_session_of(&self, actor: &Actor, user: &str, id: &str) -> Result<(), Error> {
        let all = self.sessions_of(user).await?;
        let event = self.act(actor, code::LOGOUT, Some(id), "ended by an act")?;
        let ended = match all.iter().any(|session| session.id == id) {
            true => self.parts.store.end_session(id.to_owned(), event).await?,
            false => None,
        };
        match ended {
            Some(ended) => self.tell_clients(&ended).await,
            None => {
                let shown = id.escape_default().take(64).collect();
                let refusal = Error::NotFound { what: "session", id: shown };
                self.act_refused(actor, code::LOGOUT, None, refusal).await
            }
        }
    }

    /// The CSRF token of a form: a MAC of the browser's cookie (the session's, or that of a browser without one)
    /// and the form's name.
    pub fn csrf(&self, cookie: &Secret<String>, form: &str) -> String {
        let text = Secret::new(format!("{form}\0{}", cookie.expose()));
        protocol::b64::encode(Purpose::Csrf.mac(&self.parts.pepper, text.expose()))
    }

    /// Whether a CSRF token belongs to this cookie and form.
    #[must_use]
    pub fn csrf_holds(&self, cookie: &Secret<String>, form: &str, token: &str) -> bool {
        let text = Secret::new(format!("{form}\0{}", cookie.expose()));
        let mac = Purpose::Csrf.mac(&self.parts.pepper, text.expose());
        let given: Option<[u8; 32]> =
            protocol::b64::decode(token.as_bytes()).ok().and_then(|it| it.try_into().ok());
        given.is_some_and(|given| secrets::same(&given, &mac))
    }

    /// Whether a row may be kept for this client. Those that somebody here has registered and that authenticate answer
    /// for what they do. Of others anybody knows the name, or makes as many as they like, and nobody shall fill the disk
    /// in it.
    pub(crate) fn may_keep_row(
        &self,
        client: &ClientRecord,
        origin: &Origin,
    ) -> Result<(), Failed> {
        let stranger = matches!(client.origin, From::Dynamic | From::Document);
        if !stranger && auth_method(client).is_some_and(|method| method != AuthMethod::None) {
            return Ok(());
        }
        let from = self.count_key("rows-network", &network(origin.client_ip));
        let counted = [(from, ROWS_NETWORK), (self.count_key("rows-all", ""), ROWS_ALL)];
        match self.people.kept_for_strangers.take(&counted, self.parts.clock.now()) {
            true => Ok(()),
            false => Err(Failed::Busy("too many requests; try again in a minute")),
        }
    }

    /// Whether this server asks elsewhere once more because somebody there named a new address.
    pub(crate) fn may_ask_elsewhere(&self, origin: &Origin) -> bool {
        let from = self.count_key("asked-network", &network(origin.client_ip));
        self.people.kept_for_strangers.take(&[(from, ASKED_NETWORK)], self.parts.clock.now())
    }

    /// Whether somebody of this network has signed in with this address of late.
    pub(super) fn is_known(&self, address: &str, from: Option<IpAddr>) -> bool {
        self.people.known.contains(&self.guess_keys(address, from).pair)
    }

    /// Takes note of a network from which this person has signed in.
    pub(super) fn note_network(&self, user: &UserRecord, origin: &Origin) {
        self.people.known.insert(self.guess_keys(&user.email, origin.client_ip).pair);
    }

    fn guess_keys(&self, address: &str, from: Option<IpAddr>) -> GuessKeys {
        let network = network(from);
        GuessKeys {
            pair: self.count_key("pair", &format!("{network}\0{address}")),
            account: self.count_key("account", address),
            network: self.count_key("network", &network),
        }
    }

    /// The key under which attempts of this kind are counted. A MAC: the tables hold no addresses, and nobody can
    /// choose keys that collide.
    pub(crate) fn count_key(&self, kind: &str, what: &str) -> Key {
        let mac = self.parts.pepper.mac(format!("attempts\0{kind}\0{what}").as_bytes());
        let mut key = Key::default();
        key.iter_mut().zip(mac).for_each(|(to, from)| *to = from);
        key
    }
}

struct GuessKeys {
    pair: Key,
    account: Key,
    network: Key,
}

/// What is counted as one place: an IPv4 address, or the /64 that one subscriber has at least (RFC 6177 §2).
pub(crate) fn network(from: Option<IpAddr>) -> String {
    match from.map(|it| it.to_canonical()) {
        None => String::new(),
        Some(IpAddr::V4(address)) => address.to_string(),
        Some(IpAddr::V6(address)) => {
            let [a, b, c, d, ..] = address.segments();
            format!("{a:x}:{b:x}:{c:x}:{d:x}")
        }
    }
}

#[cfg(test)]
mod tests;
