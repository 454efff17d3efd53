//! A person's own ways of signing in: look, add, remove.
//!
//! Invariants:
//! - Nothing changes without a fresh proof of as much as the account asks for; the first second factor may be added by
//!   who has just proved the first.
//! - A change ends the person's other sessions in the same transaction, and the person is told by mail.
//! - Secrets and codes are shown once.

use super::browsers::ID_CHARS;
use super::prove::{TOTP_SEALED, totp_algorithm};
use super::records::UserRecord;
use super::secrets::Purpose;
use super::sessions::{SessionText, SignedIn, Standing};
use super::{OAuth, Origin};
use crate::error::{Error, PortError};
use crate::factors::{recovery, totp};
use crate::mail::{Language, MethodChange, MethodsChanged, Seen, Sender};
use crate::people::policy::Missing;
use crate::people::{AuthenticatorData, AuthenticatorRecord, FactorKind, KeptCode, Offers, Proof};
use crate::text;
use base::mail::MessageError;
use base::{MailAddress, Message, Secret, UnixMs, base62, code};
use std::sync::Arc;
use std::time::Duration;

/// How long ago the proof may lie on which a change stands.
pub(super) const FRESH: Duration = Duration::from_secs(5 * 60);
/// How long a person may take to add an app.
const ENROL: Duration = Duration::from_secs(15 * 60);
/// Characters of a name that a person gives to an authenticator.
const NAME_CHARS: usize = 60;

/// Why a change is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MethodRefused {
    /// Nobody is signed in.
    NotSignedIn,
    /// One of these is to be proved first.
    Prove(Offers),
    /// An input breaks its rule: which, and how.
    Invalid(&'static str, String),
    /// It is gone, or was changed meanwhile.
    Gone,
    /// A second factor is to be added first.
    Enrol,
    /// The person has as many as there may be.
    TooMany,
    /// Nothing that the person has reaches what a change asks for: an administrator must help.
    Unreachable,
}

/// A person's ways of signing in.
#[derive(Debug, Clone)]
pub struct OwnMethods {
    /// The person.
    pub user: UserRecord,
    /// Their authenticators, without browsers and counts.
    pub authenticators: Vec<AuthenticatorRecord>,
    /// The browsers that have signed in before.
    pub browsers: Vec<AuthenticatorRecord>,
    /// How many recovery codes are left; `None`: there are none.
    pub recovery_left: Option<usize>,
    /// Whether the account asks for a second factor and has none.
    pub must_add: bool,
}

/// A secret that is to be added.
#[derive(Debug, Clone)]
pub struct NewTotp {
    /// As text to be typed.
    pub base32: String,
    /// As what apps read.
    pub uri: String,
    /// What the form sends back.
    pub state: String,
}

/// A secret with the first code of it.
#[derive(Debug, Clone)]
pub struct AddTotp {
    /// [`NewTotp::state`].
    pub state: String,
    /// What the person calls the app.
    pub name: String,
    /// A code.
    pub code: Secret<String>,
}

/// What a change brings.
#[derive(Debug, Clone)]
pub struct Changed {
    /// The renewed session, where the change proved something.
    pub session: Option<SignedIn>,
    /// Recovery codes, to be shown now and never again.
    pub codes: Vec<Secret<String>>,
}

type Answered<T> = Result<Result<T, MethodRefused>, Error>;

impl OAuth {
    /// What a person has, for their own page. A person who must add a second factor sees it too.
    ///
    /// # Errors
    /// As the store says.
    pub async fn own_methods(&self, session: Option<&SessionText>) -> Answered<OwnMethods> {
        let Some(standing) = self.standing(session).await? else {
            return Ok(Err(MethodRefused::NotSignedIn));
        };
        let must_add = match standing.missing(&self.baseline(&standing), self.parts.clock.now()) {
            Missing::Nothing => false,
            Missing::Enrolment => true,
            Missing::Proof(offers) => return Ok(Err(MethodRefused::Prove(offers))),
            Missing::Unreachable => return Ok(Err(MethodRefused::Unreachable)),
        };
        let (browsers, rest): (Vec<_>, Vec<_>) =
            standing.owned.into_iter().partition(|it| it.kind() == FactorKind::Device);
        let codes = rest.iter().find_map(|it| match &it.data {
            AuthenticatorData::Recovery { codes } => Some(recovery::left(codes)),
            _ => None,
        });
        let shown =
            |it: &AuthenticatorRecord| it.kind().is_second() || it.kind() == FactorKind::Federated;
        Ok(Ok(OwnMethods {
            user: standing.current.user,
            authenticators: rest.into_iter().filter(shown).collect(),
            browsers,
            recovery_left: codes,
            must_add,
        }))
    }

    /// The session, if what it proves is enough and fresh enough to change how its person signs in.
    pub(crate) async fn may_change(&self, session: Option<&SessionText>) -> Answered<Standing> {
        let Some(standing) = self.standing(session).await? else {
            return Ok(Err(MethodRefused::NotSignedIn));
        };
        let now = self.parts.clock.now();
        let mut need = self.baseline(&standing);
        let first = standing.missing(&need, now) == Missing::Enrolment;
        if first {
            need = crate::people::Need::LEAST;
        }
        need.not_before(now.minus(FRESH));
        Ok(match standing.missing(&need, now) {
            Missing::Nothing => Ok(standing),
            Missing::Proof(offers) => Err(MethodRefused::Prove(offers)),
            Missing::Enrolment | Missing::Unreachable => Err(MethodRefused::Unreachable),
        })
    }

    /// A fresh secret for an app; nothing is kept yet.
    ///
    /// # Errors
    /// As the store says, or when there is no randomness.
    pub async fn new_totp(&self, session: Option<&SessionText>) -> Answered<NewTotp> {
        let standing = match self.may_change(session).await? {
            Ok(standing) => standing,
            Err(refused) => return Ok(Err(refused)),
        };
        let algorithm = totp::Algorithm::Sha1;
        let secret = totp::TotpSecret::fresh(algorithm)?;
        let mut plain = self.parts.clock.now().0.to_be_bytes().to_vec();
        plain.extend_from_slice(standing.current.session.id.as_bytes());
        plain.extend_from_slice(secret.bytes());
        let plain = Secret::new(plain);
        let sealed = self.parts.sealer.seal(ENROLMENT, plain.expose())?;
        let host = self.settings().issuer_host().to_owned();
        Ok(Ok(NewTotp {
            base32: secret.base32(),
            uri: secret.uri(&host, &standing.current.user.email, algorithm),
            state: hex::encode(sealed),
        }))
    }

    /// The page of a secret once more, after a wrong code.
    #[must_use]
    pub fn totp_again(&self, state: &str, email: &str) -> Option<NewTotp> {
        let (_, _, secret) = self.open_enrolment(state)?;
        let host = self.settings().issuer_host().to_owned();
        Some(NewTotp {
            base32: secret.base32(),
            uri: secret.uri(&host, email, totp::Algorithm::Sha1),
            state: state.to_owned(),
        })
    }

    fn open_enrolment(&self, state: &str) -> Option<(UnixMs, String, totp::TotpSecret)> {
        let sealed = hex::decode(state).ok()?;
        let plain = self.parts.sealer.open(ENROLMENT, &sealed).ok()?;
        let (at, rest) = plain.expose().split_first_chunk::<8>()?;
        let (session, secret) = rest.split_at_checked(ID_CHARS)?;
        let session = String::from_utf8(session.to_vec()).ok()?;
        let secret = totp::TotpSecret::from_bytes(secret)?;
        Some((UnixMs(i64::from_be_bytes(*at)), session, secret))
    }

    /// Adds an app, with a code that shows that it has the secret. The first second factor brings recovery codes.
    ///
    /// # Errors
    /// As the store says.
    pub async fn add_totp(
        &self,
        session: Option<&SessionText>,
        ask: &AddTotp,
        origin: &Origin,
    ) -> Answered<Changed> {
        let standing = match self.may_change(session).await? {
            Ok(standing) => standing,
            Err(refused) => return Ok(Err(refused)),
        };
        let now = self.parts.clock.now();
        let opened = self.open_enrolment(&ask.state);
        let mine = opened
            .filter(|(at, of, _)| now.since(*at) <= ENROL && *of == standing.current.session.id);
        let Some((_, _, secret)) = mine else { return Ok(Err(MethodRefused::Gone)) };
        let algorithm = totp_algorithm("SHA1");
        let checked = totp::verify(&secret, algorithm, ask.code.expose(), now, None);
        let totp::Checked::Accepted { step, drift } = checked else {
            let why = "That code is not right. Codes change every 30 seconds: type the one that the app shows now.";
            return Ok(Err(MethodRefused::Invalid("code", why.to_owned())));
        };
        let name = match name(&ask.name, "Authenticator app") {
            Ok(name) => name,
            Err(refused) => return Ok(Err(refused)),
        };
        let sealed = self.parts.sealer.seal(TOTP_SEALED, secret.bytes())?;
        let data = AuthenticatorData::Totp {
            sealed: hex::encode(sealed),
            algorithm: algorithm.name().to_owned(),
            last_step: Some(step),
            drift,
        };
        // One row a secret: with two, a code would count twice.
        let text = Secret::new(hex::encode(secret.bytes()));
        let mac = Purpose::Once.mac(&self.parts.pepper, text.expose());
        let handle = Some(format!("totp:{}", hex::encode(mac)));
        let record = self.fresh_record(&standing, name, handle, data)?;
        self.added(session, standing, record, Proof::new(FactorKind::Totp, None, now), origin).await
    }

    pub(crate) fn fresh_record(
        &self,
        standing: &Standing,
        name: String,
        handle: Option<String>,
        data: AuthenticatorData,
    ) -> Result<AuthenticatorRecord, Error> {
        let now = self.parts.clock.now();
        Ok(AuthenticatorRecord {
            id: base62::random(ID_CHARS)?,
            user: standing.current.user.id.clone(),
            name,
            handle,
            data,
            created_at: now,
            last_used_at: Some(now),
            failures: 0,
            failed: None,
        })
    }

    /// Keeps a new second factor that was just shown to work: the other sessions end, this one is renewed with `proof`,
    /// the person is told, and with the first one come recovery codes.
    #[expect(
        clippy::too_many_arguments,
        reason = "one change: who, what, how it was shown, from where"
    )]
    pub(crate) async fn added(
        &self,
        session: Option<&SessionText>,
        standing: Standing,
        record: AuthenticatorRecord,
        proof: Proof,
        origin: &Origin,
    ) -> Answered<Changed> {
        let (user, kept) = (&standing.current.user, standing.current.session.id.clone());
        let proof = Proof { authenticator: Some(record.id.clone()), ..proof };
        let mut event = self.event(origin, code::AUTHENTICATOR_ADDED)?;
        event.principal = Some(Arc::from(user.id.as_str()));
        event.credential_id = Some(Arc::from(record.id.as_str()));
        event.detail = Some(record.kind().as_str().into());
        let added = record.name.clone();
        match self.parts.store.add_authenticator(record, Some(kept), Some(event)).await {
            Ok(()) => {}
            Err(PortError::Conflict) => return Ok(Err(MethodRefused::TooMany)),
            Err(error) => return Err(error.into()),
        }
        let has_codes = standing.owned.iter().any(|it| it.kind() == FactorKind::Recovery);
        let codes = match has_codes {
            true => Vec::new(),
            false => self.fresh_codes(&standing, None, origin).await?,
        };
        let change = match proof.kind {
            FactorKind::Passkey => MethodChange::PasskeyAdded(&added),
            _ => MethodChange::AppAdded(&added),
        };
        self.tell_change(user, change, origin).await;
        let session = self.begin_session(user, proof, session, origin).await?;
        Ok(Ok(Changed { session: Some(session), codes }))
    }

    /// Ten fresh recovery codes in place of those of before.
    ///
    /// # Errors
    /// As the store says.
    pub async fn renew_codes(
        &self,
        session: Option<&SessionText>,
        origin: &Origin,
    ) -> Answered<Changed> {
        let standing = match self.may_change(session).await? {
            Ok(standing) => standing,
            Err(refused) => return Ok(Err(refused)),
        };
        if !standing.owned.iter().any(|it| it.kind().is_second()) {
            return Ok(Err(MethodRefused::Gone));
        }
        let old = standing.owned.iter().find(|it| it.kind() == FactorKind::Recovery).cloned();
        let codes = self.fresh_codes(&standing, old, origin).await?;
        if codes.is_empty() {
            return Ok(Err(MethodRefused::Gone));
        }
        // Whoever came in with one of the old codes does not stay.
        self.end_other_sessions_of(&standing.current, origin).await?;
        let user = &standing.current.user;
        self.tell_change(user, MethodChange::CodesMade, origin).await;
        Ok(Ok(Changed { session: None, codes }))
    }

    /// Empty when another change came between.
    async fn fresh_codes(
        &self,
        standing: &Standing,
        old: Option<AuthenticatorRecord>,
        origin: &Origin,
    ) -> Result<Vec<Secret<String>>, Error> {
        let codes = recovery::fresh()?;
        let kept = codes.iter().filter_map(|it| recovery::normal(it.expose())).map(|it| {
            let mac = Purpose::Recovery.mac(&self.parts.pepper, it.expose());
            KeptCode { mac: hex::encode(mac), spent_at: None }
        });
        let data = AuthenticatorData::Recovery { codes: kept.collect() };
        // One row a person.
        let handle = Some(format!("recovery:{}", standing.current.user.id));
        let fresh = self.fresh_record(standing, "Recovery codes".to_owned(), handle, data)?;
        let keep = Some(standing.current.session.id.clone());
        let mut event = self.event(origin, code::AUTHENTICATOR_ADDED)?;
        event.principal = Some(Arc::from(standing.current.user.id.as_str()));
        event.detail = Some(FactorKind::Recovery.as_str().into());
        let made = match old {
            None => match self.parts.store.add_authenticator(fresh, keep, Some(event)).await {
                Ok(()) => true,
                Err(PortError::Conflict) => false,
                Err(error) => return Err(error.into()),
            },
            Some(old) => {
                let after = AuthenticatorRecord { id: old.id.clone(), last_used_at: None, ..fresh };
                self.parts.store.replace_authenticator(old, after, Some(event)).await?
            }
        };
        Ok(if made { codes } else { Vec::new() })
    }

    /// Removes a second factor, or forgets a browser. With the last second factor go the recovery codes.
    ///
    /// # Errors
    /// As the store says.
    pub async fn remove_method(
        &self,
        session: Option<&SessionText>,
        id: &str,
        origin: &Origin,
    ) -> Answered<()> {
        let standing = match self.may_change(session).await? {
            Ok(standing) => standing,
            Err(refused) => return Ok(Err(refused)),
        };
        let removable = |it: &&AuthenticatorRecord| {
            it.id == id && !matches!(it.kind(), FactorKind::Password | FactorKind::Recovery)
        };
        let Some(record) = standing.owned.iter().find(removable).cloned() else {
            return Ok(Err(MethodRefused::Gone));
        };
        let rest = standing.owned.iter().filter(|it| it.id != id);
        if is_only_way_in(&standing, &record) {
            let why = "This is your only way of signing in. Set a password or add a passkey first.";
            return Ok(Err(MethodRefused::Invalid("method", why.to_owned())));
        }
        let last = record.kind().is_second() && !rest.clone().any(|it| it.kind().is_second());
        if last && standing.current.user.password_beside {
            let why = "Your password is too short to stand alone. Set one of 15 characters or more first (\"Forgot \
                       your password?\" on the sign-in page), or add another second step.";
            return Ok(Err(MethodRefused::Invalid("method", why.to_owned())));
        }
        let keep = Some(standing.current.session.id.clone());
        let ends = keep.clone().filter(|_| record.kind() != FactorKind::Device);
        if !self.remove_one(record.clone(), ends, origin).await? {
            return Ok(Err(MethodRefused::Gone));
        }
        if last {
            for codes in rest.filter(|it| it.kind() == FactorKind::Recovery) {
                self.remove_one(codes.clone(), keep.clone(), origin).await?;
            }
        }
        let change = match &record.data {
            AuthenticatorData::Passkey { .. } => MethodChange::PasskeyRemoved(&record.name),
            AuthenticatorData::Federated { issuer, .. } => MethodChange::ProviderUnlinked(issuer),
            AuthenticatorData::Totp { .. } => MethodChange::AppRemoved(&record.name),
            _ => return Ok(Ok(())),
        };
        self.tell_change(&standing.current.user, change, origin).await;
        Ok(Ok(()))
    }

    async fn remove_one(
        &self,
        record: AuthenticatorRecord,
        keep: Option<String>,
        origin: &Origin,
    ) -> Result<bool, Error> {
        let mut event = self.event(origin, code::AUTHENTICATOR_REMOVED)?;
        event.principal = Some(Arc::from(record.user.as_str()));
        event.credential_id = Some(Arc::from(record.id.as_str()));
        event.detail = Some(record.kind().as_str().into());
        match self.parts.store.remove_authenticator(record, keep, Some(event)).await {
            // The session was ended meanwhile.
            Err(PortError::Conflict) => Ok(false),
            done => Ok(done?),
        }
    }

    pub(crate) async fn tell_change(
        &self,
        user: &UserRecord,
        change: MethodChange<'_>,
        origin: &Origin,
    ) {
        let at = self.parts.clock.now();
        let seen = Seen { at, address: origin.client_ip, user_agent: &origin.user_agent };
        self.tell(user, |sender, to| MethodsChanged { change, seen }.to(sender, to)).await;
    }

    /// Sends a person a letter; whether it was taken. What cannot be sent stops nothing: mail is news, not proof.
    pub(crate) async fn tell(
        &self,
        user: &UserRecord,
        letter: impl FnOnce(Sender<'_>, MailAddress) -> Result<Message, MessageError>,
    ) -> bool {
        let settings = self.settings();
        let sender =
            Sender { name: &settings.name, url: &settings.issuer, language: Language::default() };
        let Ok(to) = MailAddress::parse(&user.email) else { return false };
        match letter(sender, to) {
            // The outbox logs what it cannot send.
            Ok(message) => self.parts.mail.send(message).await.is_ok(),
            Err(_) => false,
        }
    }
}

/// Whether a person without a password begins every sign-in with this account elsewhere.
fn is_only_way_in(standing: &Standing, record: &AuthenticatorRecord) -> bool {
    let begins = |it: &AuthenticatorRecord| {
        matches!(it.kind(), FactorKind::Federated | FactorKind::Passkey) && it.id != record.id
    };
    record.kind() == FactorKind::Federated
        && standing.current.user.password.is_none()
        && !standing.owned.iter().any(begins)
}

/// What the state of an enrolment is sealed for.
const ENROLMENT: &str = "totp enrolment";

/// The name of an authenticator as it is kept.
pub(crate) fn name(typed: &str, otherwise: &str) -> Result<String, MethodRefused> {
    match text::optional_line("name", Some(typed.trim()), NAME_CHARS) {
        Ok(Some(name)) if !name.is_empty() => Ok(name),
        Ok(_) => Ok(otherwise.to_owned()),
        Err(Error::Invalid { problem, .. }) => Err(MethodRefused::Invalid("name", problem)),
        Err(error) => Err(MethodRefused::Invalid("name", error.to_string())),
    }
}

#[cfg(test)]
mod tests;
