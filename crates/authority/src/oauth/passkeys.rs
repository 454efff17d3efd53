//! Passkeys and security keys: signing in with them, and adding them.
//!
//! Never does: judge an answer (`factors::passkey` does), or say to a stranger whether a credential is known.
//!
//! Invariants:
//! - What a page asks the browser for is good once, for [`PATIENCE`], and where it belongs to a session, for that one.
//! - The credential's row is compared and set: of two uses with one counter, one is refused.
//! - A passkey that signs in by itself has verified its person.

use super::methods::{Changed, MethodRefused, name};
use super::records::UserRecord;
use super::secrets::Purpose;
use super::sessions::{BrowserText, SessionText, SignInRefused, SignedIn, Standing, network};
use super::{OAuth, Origin};
use crate::error::Error;
use crate::factors::passkey::{
    self, Attestation, Authenticated, Authenticating, Kept, Refused, Registered, Registering,
    Relying, Verification,
};
use crate::factors::throttle::Rule;
use crate::mail::{PasskeyCopied, Seen};
use crate::people::{
    AuthenticatorData, AuthenticatorRecord, FactorKind, Level, Need, Offers, Proof,
};
use base::{Secret, UnixMs};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// How long a page may be open before its passkey is used: people leave sign-in pages open.
const PATIENCE: Duration = Duration::from_secs(15 * 60);
/// How often a use is judged again that another one came before: a person with two windows.
const TRIES: usize = 3;
/// Milliseconds of a day (UTC).
const DAY_MS: i64 = 24 * 60 * 60 * 1000;
/// What the state of a sign-in is sealed for.
const SIGN_IN: &str = "passkey sign-in";
/// What the state of a registration is sealed for.
const ENROLMENT: &str = "passkey enrolment";

/// Answers from one network. No signature can be guessed; this bounds what they cost.
const ANSWERS: Rule = Rule {
    free: 50,
    first: Duration::from_secs(1),
    longest: Duration::from_secs(5 * 60),
    forget: Duration::from_secs(60 * 60),
};

/// What a page needs to ask the browser for a passkey.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PasskeyAsk {
    /// The options, JSON (WebAuthn L3 §5.1.8).
    pub options: String,
    /// What the form sends back beside the answer. Sealed.
    pub state: String,
}

/// What came back.
#[derive(Debug, Clone)]
pub struct ShownPasskey {
    /// [`PasskeyAsk::state`].
    pub state: String,
    /// The browser's answer, JSON.
    pub answer: String,
}

/// A new passkey with the name that its person gives it.
#[derive(Debug, Clone)]
pub struct AddPasskey {
    /// What came back.
    pub shown: ShownPasskey,
    /// What the person calls it.
    pub name: String,
}

/// A state on its way through the browser.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Travelling<S> {
    at: i64,
    session: Option<String>,
    state: S,
}

/// The same, opened, in time, and of the right session.
struct Opened<S> {
    state: S,
    session: Option<String>,
    /// For [`super::ports::AuthorityStore::once`].
    mac: [u8; 32],
    until: UnixMs,
}

type Answered<T> = Result<Result<T, MethodRefused>, Error>;
type Shown = Result<Result<SignedIn, SignInRefused>, Error>;

impl OAuth {
    /// The relying party that this authority is; `None` where browsers offer no passkeys (no https, no name).
    fn relying(&self) -> Option<Relying> {
        Relying::of(&self.settings().issuer, self.settings().issuer_host()).ok()
    }

    /// Whether there are passkeys at this authority.
    #[must_use]
    pub fn has_passkeys(&self) -> bool {
        self.relying().is_some()
    }

    /// For the page on which nobody has said who they are: any passkey that the browser has for this place.
    ///
    /// # Errors
    /// When there is no randomness.
    pub fn ask_any_passkey(&self) -> Result<Option<PasskeyAsk>, Error> {
        let Some(relying) = self.relying() else { return Ok(None) };
        match relying.start_authentication(None, Verification::Required) {
            Ok((options, state)) => self.travelling(SIGN_IN, (options, state), None).map(Some),
            Err(_) => Ok(None),
        }
    }

    /// For somebody who has begun to sign in, or is asked for more: one of their passkeys. `verify`: whether it must
    /// check PIN or biometric, because it counts for both kinds of factor.
    ///
    /// # Errors
    /// When there is no randomness.
    pub fn ask_own_passkey(
        &self,
        standing: &Standing,
        verify: bool,
    ) -> Result<Option<PasskeyAsk>, Error> {
        let Some(relying) = self.relying() else { return Ok(None) };
        let open = passkeys(&standing.owned).filter(|(row, _)| !row.is_shut());
        let allow: Vec<Kept> = open.map(|(_, kept)| kept).collect();
        let verification = if verify { Verification::Required } else { Verification::Preferred };
        match relying.start_authentication(Some(&allow), verification) {
            Ok((options, state)) => {
                let session = Some(standing.current.session.id.clone());
                self.travelling(SIGN_IN, (options, state), session).map(Some)
            }
            Err(_) => Ok(None),
        }
    }

    /// The same, where a passkey is among what would do. Without one the page is still good.
    #[must_use]
    pub fn offered_passkey(&self, standing: &Standing, offers: &Offers) -> Option<PasskeyAsk> {
        let verify = offers.passkey?;
        self.ask_own_passkey(standing, verify).ok().flatten()
    }

    fn travelling<S: Serialize>(
        &self,
        purpose: &'static str,
        (options, state): (serde_json::Value, S),
        session: Option<String>,
    ) -> Result<PasskeyAsk, Error> {
        let it = Travelling { at: self.parts.clock.now().0, session, state };
        let plain = serde_json::to_vec(&it).unwrap_or_default();
        let sealed = self.parts.sealer.seal(purpose, &plain)?;
        Ok(PasskeyAsk { options: options.to_string(), state: protocol::b64::encode(sealed) })
    }

    fn come_back<S: DeserializeOwned>(
        &self,
        purpose: &'static str,
        state: &str,
    ) -> Option<Opened<S>> {
        let sealed = protocol::b64::decode(state.as_bytes()).ok()?;
        let plain = self.parts.sealer.open(purpose, &sealed).ok()?;
        let it: Travelling<S> = serde_json::from_slice(plain.expose()).ok()?;
        let until = UnixMs(it.at).plus(PATIENCE);
        // WHY of the plain text: it holds the challenge, and cannot be spelled in another way.
        let text = Secret::new(hex::encode(plain.expose()));
        let mac = Purpose::Once.mac(&self.parts.pepper, text.expose());
        (self.parts.clock.now() < until).then_some(Opened {
            state: it.state,
            session: it.session,
            mac,
            until,
        })
    }

    /// Takes a passkey: of somebody who signs in with it, or who has begun to and shows it beside.
    ///
    /// # Errors
    /// The outer: as the store says. The inner: why it does not count.
    pub async fn show_passkey(
        &self,
        shown: &ShownPasskey,
        session: Option<&SessionText>,
        browser: Option<&BrowserText>,
        origin: &Origin,
    ) -> Shown {
        let key = self.count_key("passkey-network", &network(origin.client_ip));
        let now = self.parts.clock.now();
        if let Err(early) = self.people.throttle.attempt(&[(key, ANSWERS)], now) {
            if early.first {
                let why = (FactorKind::Passkey, "too many attempts of late");
                self.proof_failed(None, why, origin)?;
            }
            return Ok(Err(SignInRefused::TooEarly(early.wait)));
        }
        let Some(opened) = self.come_back::<Authenticating>(SIGN_IN, &shown.state) else {
            return Ok(Err(SignInRefused::NotBegun));
        };
        if let Some(of) = &opened.session {
            let standing = self.standing(session).await?;
            if standing.is_none_or(|it| it.current.session.id != *of) {
                return Ok(Err(SignInRefused::NotBegun));
            }
        }
        let (user, row, verified) = match self.used(opened, &shown.answer, origin).await? {
            Ok(used) => used,
            Err(refused) => return Ok(Err(refused)),
        };
        self.people.throttle.forgive(&[], &[key]);
        let hardware = matches!(row.data, AuthenticatorData::Passkey { hardware: true, .. });
        let proof = Proof {
            verified,
            hardware,
            ..Proof::new(FactorKind::Passkey, Some(row.id.clone()), now)
        };
        let owned = self.parts.store.authenticators(user.id.clone()).await?;
        let guard = self.password_guard(Some(&user), owned, browser);
        // Who proves themselves opens the password again that strangers have shut.
        self.forgive(guard).await?;
        let begun = self.begin_session(&user, proof, session, origin).await?;
        self.came_in(begun, &user, browser, origin).await.map(Ok)
    }

    /// Judges an answer, and keeps what it changes: whose it is, by which credential, and whether it verified them.
    async fn used(
        &self,
        opened: Opened<Authenticating>,
        answer: &str,
        origin: &Origin,
    ) -> Result<Result<(UserRecord, AuthenticatorRecord, bool), SignInRefused>, Error> {
        let failed = |user: Option<&UserRecord>, why: &str| {
            self.proof_failed(user, (FactorKind::Passkey, why), origin)
        };
        let Some(relying) = self.relying() else { return Ok(Err(SignInRefused::NotBegun)) };
        let claimed = match passkey::handle_of(answer) {
            Ok(claimed) => claimed,
            Err(refused) => {
                failed(None, &refused.to_string())?;
                return Ok(Err(SignInRefused::NoMatch));
            }
        };
        let mut first = true;
        for _ in 0..TRIES {
            let found = self.parts.store.authenticator_by_handle(handle(&claimed.handle)).await?;
            let (Some(row), Some(data)) = (found.clone(), found.and_then(credential)) else {
                failed(None, "no account has this credential")?;
                return Ok(Err(SignInRefused::NoMatch));
            };
            let user = self.parts.store.user(row.user.clone()).await?;
            let judged = relying.finish_authentication(opened.state.clone(), answer, &data);
            let why = match (&user, &judged) {
                (_, Err(refused)) => Some(refused.to_string()),
                (Some(user), Ok(_)) if user.disabled_at.is_none() => None,
                _ => Some("the account is closed".to_owned()),
            };
            // Both follow a right signature, so strangers keep no rows. A form that is sent twice is no copy.
            let signed = matches!(judged, Ok(_) | Err(Refused::Cloned { .. }));
            if first && signed && !self.parts.store.once(opened.mac, opened.until).await? {
                failed(user.as_ref(), "it was used before")?;
                return Ok(Err(SignInRefused::NotBegun));
            }
            first = false;
            let (Some(user), Ok(used), None) = (&user, &judged, &why) else {
                failed(user.as_ref(), &why.unwrap_or_default())?;
                // WHY only a copy is counted: whoever knows a credential's id could shut its owner out with nonsense.
                if let Err(Refused::Cloned { .. }) = judged {
                    self.count_failure(row.clone(), origin).await?;
                    self.tell_of_copy(user, &row, origin).await?;
                }
                return Ok(Err(SignInRefused::NoMatch));
            };
            if row.is_shut() {
                failed(Some(user), "shut after 100 failures")?;
                return Ok(Err(SignInRefused::Shut));
            }
            let after = self.after_use(&row, used);
            if self.parts.store.replace_authenticator(row, after.clone(), None).await? {
                return Ok(Ok((user.clone(), after, used.user_verified)));
            }
        }
        Ok(Err(SignInRefused::Busy))
    }

    /// Tells a person that there may be a copy of their passkey: once a passkey and day, however often it comes.
    async fn tell_of_copy(
        &self,
        user: Option<UserRecord>,
        row: &AuthenticatorRecord,
        origin: &Origin,
    ) -> Result<(), Error> {
        let Some(user) = user.filter(|it| it.disabled_at.is_none()) else { return Ok(()) };
        let now = self.parts.clock.now();
        let day = now.0.div_euclid(DAY_MS);
        let what = Secret::new(format!("copied\0{}\0{day}", row.id));
        let mac = Purpose::Once.mac(&self.parts.pepper, what.expose());
        let until = UnixMs(day.saturating_add(1).saturating_mul(DAY_MS));
        if self.parts.store.once(mac, until).await? {
            let seen = Seen { at: now, address: origin.client_ip, user_agent: &origin.user_agent };
            let letter = PasskeyCopied { name: &row.name, seen };
            self.tell(&user, |sender, to| letter.to(sender, to)).await;
        }
        Ok(())
    }

    fn after_use(&self, row: &AuthenticatorRecord, used: &Authenticated) -> AuthenticatorRecord {
        let now = Some(self.parts.clock.now());
        let mut after = AuthenticatorRecord { failures: 0, last_used_at: now, ..row.clone() };
        if let AuthenticatorData::Passkey { credential, backed_up, .. } = &mut after.data {
            *backed_up = used.backed_up;
            if let Some(next) = &used.credential {
                credential.clone_from(next);
            }
        }
        after
    }

    /// What to ask the browser for so that a passkey is made; nothing is kept yet.
    ///
    /// # Errors
    /// As the store says, or when there is no randomness.
    pub async fn new_passkey(&self, session: Option<&SessionText>) -> Answered<PasskeyAsk> {
        let standing = match self.may_change(session).await? {
            Ok(standing) => standing,
            Err(refused) => return Ok(Err(refused)),
        };
        let Some(relying) = self.relying() else { return Ok(Err(MethodRefused::Unreachable)) };
        let user = &standing.current.user;
        let person = passkey::Person { id: &user.id, name: &user.email };
        let exclude: Vec<String> = passkeys(&standing.owned).map(|(_, kept)| kept.id).collect();
        let attestation =
            if self.must_vouch(&standing) { Attestation::Direct } else { Attestation::None };
        let begun =
            relying.start_registration(person, &exclude, Verification::Preferred, attestation);
        let Ok(begun) = begun else { return Ok(Err(MethodRefused::TooMany)) };
        let session = Some(standing.current.session.id.clone());
        self.travelling(ENROLMENT, begun, session).map(Ok)
    }

    /// Whether a maker must vouch for the person's new passkeys: where their groups need the highest level, another one
    /// would be of no use to them.
    fn must_vouch(&self, standing: &Standing) -> bool {
        let roles = &standing.current.user.roles;
        Need::baseline(&self.settings().sign_in, roles, &standing.owned).level == Level::Aal3
    }

    /// Adds a passkey. The first second factor brings recovery codes.
    ///
    /// # Errors
    /// As the store says.
    pub async fn add_passkey(
        &self,
        session: Option<&SessionText>,
        ask: &AddPasskey,
        origin: &Origin,
    ) -> Answered<Changed> {
        let standing = match self.may_change(session).await? {
            Ok(standing) => standing,
            Err(refused) => return Ok(Err(refused)),
        };
        let opened = self
            .come_back::<Registering>(ENROLMENT, &ask.shown.state)
            .filter(|it| it.session.as_ref() == Some(&standing.current.session.id));
        let (Some(opened), Some(relying)) = (opened, self.relying()) else {
            return Ok(Err(MethodRefused::Gone));
        };
        let now = self.parts.clock.now();
        let anchors = &self.settings().passkey_makers;
        let judged = relying.finish_registration(opened.state, &ask.shown.answer, anchors, now);
        let made = match judged {
            Ok(made) if made.is_hardware() || !self.must_vouch(&standing) => made,
            Ok(_) => {
                let why = "the maker does not vouch for it";
                let user = Some(&standing.current.user);
                self.proof_failed(user, (FactorKind::Passkey, why), origin)?;
                return Ok(Err(MethodRefused::Invalid("answer", NOT_VOUCHED.to_owned())));
            }
            Err(refused) => {
                let user = Some(&standing.current.user);
                self.proof_failed(user, (FactorKind::Passkey, &refused.to_string()), origin)?;
                return Ok(Err(MethodRefused::Invalid("answer", not_added(refused).to_owned())));
            }
        };
        let name = match name(&ask.name, usual_name(&made)) {
            Ok(name) => name,
            Err(refused) => return Ok(Err(refused)),
        };
        // WebAuthn L3 §7.1 step 26: nobody has it already; the store says so again.
        let known = self.parts.store.authenticator_by_handle(handle(&made.handle)).await?;
        if known.is_some() {
            let why = not_added(Refused::Registered).to_owned();
            return Ok(Err(MethodRefused::Invalid("answer", why)));
        }
        if !self.parts.store.once(opened.mac, opened.until).await? {
            return Ok(Err(MethodRefused::Gone));
        }
        let hardware = made.is_hardware();
        let (verified, found) = (made.user_verified, Some(handle(&made.handle)));
        let data = AuthenticatorData::Passkey {
            hardware,
            backed_up: made.backed_up,
            credential: made.credential,
        };
        let record = self.fresh_record(&standing, name, found, data)?;
        let proof = Proof { verified, hardware, ..Proof::new(FactorKind::Passkey, None, now) };
        self.added(session, standing, record, proof, origin).await
    }
}

/// By what a passkey is found.
fn handle(id: &str) -> String {
    format!("passkey:{id}")
}

fn credential(row: AuthenticatorRecord) -> Option<serde_json::Value> {
    match row.data {
        AuthenticatorData::Passkey { credential, .. } => Some(credential),
        _ => None,
    }
}

fn passkeys(owned: &[AuthenticatorRecord]) -> impl Iterator<Item = (&AuthenticatorRecord, Kept)> {
    owned.iter().filter_map(|row| match &row.data {
        AuthenticatorData::Passkey { credential, .. } => Some((row, Kept::read(credential).ok()?)),
        _ => None,
    })
}

/// What a passkey is called that its person has given no name.
fn usual_name(made: &Registered) -> &'static str {
    let at_hand = |it: &String| it == "internal" || it == "hybrid";
    match made.transports.is_empty() || made.transports.iter().any(at_hand) {
        true => "Passkey",
        false => "Security key",
    }
}

/// Where only passkeys are taken for which their maker vouches.
const NOT_VOUCHED: &str = "Your organisation takes only security keys of makers that it knows, and this is none of \
                           them. Try another one.";

/// What to tell a person whose passkey was not added.
fn not_added(refused: Refused) -> &'static str {
    match refused {
        Refused::Registered => "This passkey is added already.",
        Refused::NotVerified => {
            "This key has not checked your PIN or fingerprint. Set one up on it, or try another one."
        }
        _ => "Your browser's answer did not match. Try again.",
    }
}

#[cfg(test)]
mod tests;
