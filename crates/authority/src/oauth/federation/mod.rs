//! Signing in with another OpenID provider (OpenID Connect Core §3.1).
//!
//! Owns: sending a person there and judging what comes back; which account here belongs to which account there.
//!
//! Never does: link an account by its mail address, or believe how strongly a provider signs in unless the file says so.
//!
//! Invariants:
//! - What comes back is taken once, in the browser that was sent away, from the provider that it was sent to.
//! - An account there belongs to one here because a person who was signed in here linked it, or because the account here
//!   was made for it.
//! - A mail address counts only where the provider says that it was verified.
//! - What people are told is ours; what the provider says stands in records.

mod account;
mod exchange;
pub(crate) mod metadata;
mod provider;
#[cfg(test)]
mod tests;
mod token;

pub use provider::{Provider, ProviderAuth};

use super::methods::MethodRefused;
use super::secrets::Purpose;
use super::sessions::{BrowserText, SessionText, SignedIn, network};
use super::{OAuth, Origin};
use crate::error::Error;
use crate::factors::throttle::Rule;
use crate::people::FactorKind;
use base::{Secret, UnixMs};
use metadata::Metadata;
use protocol::b64;
use protocol::oauth::pkce::{METHOD, challenge_s256};
use protocol::oauth::{Params, authorization_response};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;

/// Where people come back to, below the issuer; the provider's name follows.
pub const CALLBACK_PATH: &str = "/login/callback/";
/// How long a person may take elsewhere: they may have to find a second factor.
const PATIENCE: Duration = Duration::from_secs(15 * 60);
/// Characters of the text that says where a person was on the way to. Sealed, with the rest, it must fit into a cookie
/// (RFC 6265 §6.1: 4096 bytes).
const PROCEED_CHARS: usize = 2400;
/// Characters of a code (RFC 6749 leaves it open; those of known providers have some hundred, of one 1.5 KB).
const CODE_CHARS: usize = 4096;
/// What the text is sealed for that waits in the browser.
const AWAY: &str = "away at a provider";

/// Comings and goings of one network. Each may make us ask the provider; who succeeds takes none.
const TRIPS: Rule = Rule {
    free: 60,
    first: Duration::from_secs(1),
    longest: Duration::from_secs(60),
    forget: Duration::from_secs(10 * 60),
};

/// A provider, as the sign-in page shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderView {
    /// Its name in addresses.
    pub name: String,
    /// What people call it.
    pub display_name: String,
}

/// A person who wants to sign in elsewhere.
#[derive(Debug, Clone)]
pub struct Leave {
    /// At which provider.
    pub provider: String,
    /// The cookie that the browser's forms are bound to.
    pub visitor: Secret<String>,
    /// Where the person was on the way to; comes back unchanged.
    pub proceed: String,
    /// Whether they shall prove themselves there anew.
    pub fresh: bool,
}

/// Where the browser is sent.
#[derive(Debug, Clone)]
pub struct Left {
    /// The provider's page.
    pub url: String,
    /// What waits in the browser meanwhile.
    pub away: Secret<String>,
}

/// What came back.
#[derive(Debug, Clone)]
pub struct CameBack {
    /// To whose address.
    pub provider: String,
    /// With what.
    pub params: Params,
    /// [`Left::away`].
    pub away: Option<Secret<String>>,
    /// The cookie that the browser's forms are bound to.
    pub visitor: Option<Secret<String>>,
    /// The session that the browser has.
    pub session: Option<SessionText>,
    /// What the browser is known by.
    pub browser: Option<BrowserText>,
}

/// What became of it.
#[derive(Debug, Clone)]
pub enum Returned {
    /// The person is signed in; more may be asked of them.
    SignedIn {
        /// The session.
        signed_in: Box<SignedIn>,
        /// [`Leave::proceed`].
        proceed: String,
    },
    /// The account there is linked to the person's own.
    Linked {
        /// What people call the provider.
        provider: String,
    },
}

/// Why it did not do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FederationRefused {
    /// There is no such provider.
    #[error("there is no such provider")]
    Unknown,
    /// This browser was not sent away, too long ago, or has come back before.
    #[error("the sign-in has to begin anew")]
    NotBegun,
    /// The person, or the provider, has said no.
    #[error("the provider did not sign the person in")]
    Denied,
    /// The provider does not answer, or does not take us.
    #[error("the provider cannot be asked now")]
    Unavailable,
    /// What it says is not right.
    #[error("what the provider said is not right")]
    Wrong,
    /// No account here belongs to that one.
    #[error("no account here belongs to that account")]
    NotLinked,
    /// The account here is closed.
    #[error("the account is closed")]
    Closed,
    /// It belongs to another account here, or the person has too many.
    #[error("it cannot be linked to this account")]
    Taken,
    /// Too many attempts of late.
    #[error("too many attempts; wait a moment and try again")]
    TooEarly(Duration),
    /// What the person was on the way to is too long to be kept meanwhile.
    #[error("the request is too long to be kept meanwhile")]
    TooLong,
}

/// The same, with where the person was on the way to, where that is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TripRefused {
    /// Why.
    pub why: FederationRefused,
    /// [`Leave::proceed`].
    pub proceed: Option<String>,
}

/// What waits in the browser while its person is elsewhere.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Away {
    at: i64,
    provider: String,
    issuer: String,
    state: String,
    nonce: String,
    verifier: String,
    /// The MAC of the browser's cookie.
    visitor: String,
    proceed: String,
    /// The session whose person links the account.
    link: Option<String>,
}

impl Away {
    fn begun(&self) -> UnixMs {
        UnixMs(self.at)
    }
}

/// Why a provider's answer does not do, for the record.
#[derive(Debug)]
enum Fault {
    /// It cannot be asked, or does not take us.
    Unavailable(String),
    /// What it says is not right.
    Wrong(String),
}

/// Why a trip failed: for the person, and for the record.
type Failed = (FederationRefused, String);
type Answered<T> = Result<Result<T, TripRefused>, Error>;

impl From<Fault> for Failed {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Unavailable(why) => (FederationRefused::Unavailable, why),
            Fault::Wrong(why) => (FederationRefused::Wrong, why),
        }
    }
}

impl OAuth {
    /// The providers at which people may sign in, in the order of the file.
    #[must_use]
    pub fn provider_views(&self) -> Vec<ProviderView> {
        let view = |it: &Provider| ProviderView {
            name: it.name.clone(),
            display_name: it.display_name.clone(),
        };
        self.settings().providers.iter().map(view).collect()
    }

    fn provider(&self, name: &str) -> Option<Provider> {
        self.settings().providers.iter().find(|it| it.name == name).cloned()
    }

    fn callback_url(&self, provider: &Provider) -> String {
        self.settings().url(&format!("{CALLBACK_PATH}{}", provider.name))
    }

    /// Sends a person to a provider, to sign in.
    ///
    /// # Errors
    /// The outer: when there is no randomness. The inner: why not.
    pub async fn leave(&self, ask: Leave, origin: &Origin) -> Answered<Left> {
        self.sent(ask, None, origin).await
    }

    /// Sends a person who is signed in to a provider, to link the account that they have there.
    ///
    /// # Errors
    /// The outer: as the store says. The inner: what must be proved before, or why not.
    pub async fn leave_to_link(
        &self,
        ask: Leave,
        session: Option<&SessionText>,
        origin: &Origin,
    ) -> Result<Result<Result<Left, TripRefused>, MethodRefused>, Error> {
        let standing = match self.may_change(session).await? {
            Ok(standing) => standing,
            Err(refused) => return Ok(Err(refused)),
        };
        let link = Some(standing.current.session.id);
        Ok(Ok(self.sent(ask, link, origin).await?))
    }

    async fn sent(&self, ask: Leave, link: Option<String>, origin: &Origin) -> Answered<Left> {
        let proceed = Some(ask.proceed.clone());
        match self.send(ask, link, origin).await? {
            Ok(left) => Ok(Ok(left)),
            Err(failed) => self.trip_failed(failed, proceed, origin).map(Err),
        }
    }

    async fn send(
        &self,
        ask: Leave,
        link: Option<String>,
        origin: &Origin,
    ) -> Result<Result<Left, Failed>, Error> {
        let Some(provider) = self.provider(&ask.provider) else {
            return Ok(Err(failed(FederationRefused::Unknown, "no provider has this name")));
        };
        if ask.proceed.len() > PROCEED_CHARS {
            let why = "the text that continues the request is too long for a cookie";
            return Ok(Err(failed(FederationRefused::TooLong, why)));
        }
        if let Err(failed) = self.may_travel(origin) {
            return Ok(Err(failed));
        }
        let metadata = match self.provider_metadata(&provider).await {
            Ok(metadata) => metadata,
            Err(why) => return Ok(Err((FederationRefused::Unavailable, why))),
        };
        let fresh = || base::random_array::<32>().map(b64::encode);
        let away = Away {
            at: self.parts.clock.now().0,
            provider: provider.name.clone(),
            issuer: provider.issuer.clone(),
            state: fresh()?,
            nonce: fresh()?,
            verifier: fresh()?,
            visitor: self.visitor_mac(&ask.visitor),
            proceed: ask.proceed,
            link,
        };
        let plain = Secret::new(serde_json::to_vec(&away).unwrap_or_default());
        let sealed = self.parts.sealer.seal(AWAY, plain.expose())?;
        let url = self.page_of((&provider, &metadata), &away, ask.fresh);
        Ok(Ok(Left { url, away: Secret::new(b64::encode(sealed)) }))
    }

    /// The authorization request (OpenID Connect Core §3.1.2.1).
    fn page_of(
        &self,
        (provider, metadata): (&Provider, &Metadata),
        away: &Away,
        fresh: bool,
    ) -> String {
        let redirect_uri = self.callback_url(provider);
        let scope = provider.scopes.join(" ");
        let challenge = challenge_s256(&away.verifier);
        // WHY always: only then must the provider say when the person signed in (§2, `auth_time`).
        let max_age = match fresh {
            true => "0".to_owned(),
            false => self.settings().session.as_secs().to_string(),
        };
        let mut query = vec![
            ("response_type", "code"),
            ("client_id", &*provider.client_id),
            ("redirect_uri", &*redirect_uri),
            ("scope", &*scope),
            ("state", &*away.state),
            ("nonce", &*away.nonce),
            ("code_challenge", &*challenge),
            ("code_challenge_method", METHOD),
            ("max_age", &*max_age),
        ];
        if fresh && metadata.prompts {
            query.push(("prompt", "login"));
        }
        authorization_response::location(&metadata.authorization_endpoint, &query)
    }

    fn visitor_mac(&self, visitor: &Secret<String>) -> String {
        let text = Secret::new(format!("away\0{}", visitor.expose()));
        b64::encode(Purpose::Csrf.mac(&self.parts.pepper, text.expose()))
    }

    fn may_travel(&self, origin: &Origin) -> Result<(), Failed> {
        let key = self.count_key("provider-network", &network(origin.client_ip));
        let taken = self.people.throttle.attempt(&[(key, TRIPS)], self.parts.clock.now());
        taken.map_err(|early| {
            // One record for each delay.
            let why = if early.first { "too many attempts of late" } else { "" };
            failed(FederationRefused::TooEarly(early.wait), why)
        })
    }

    /// Records why, and keeps it from the person.
    fn trip_failed(
        &self,
        (refused, why): Failed,
        proceed: Option<String>,
        origin: &Origin,
    ) -> Result<TripRefused, Error> {
        if !why.is_empty() {
            self.proof_failed(None, (FactorKind::Federated, &why), origin)?;
        }
        Ok(TripRefused { why: refused, proceed })
    }

    /// Takes a person who comes back.
    ///
    /// # Errors
    /// The outer: as the store says. The inner: why not.
    pub async fn come_home(&self, back: CameBack, origin: &Origin) -> Answered<Returned> {
        let (provider, away) = match self.expected_back(&back).await? {
            Ok(expected) => expected,
            Err(failed) => return self.trip_failed(failed, None, origin).map(Err),
        };
        let proceed = Some(away.proceed.clone());
        match self.taken_back((&provider, &away), back, origin).await? {
            Ok(returned) => Ok(Ok(returned)),
            Err(failed) => self.trip_failed(failed, proceed, origin).map(Err),
        }
    }

    /// Whether this browser was sent to this provider, and what for; the first time only.
    async fn expected_back(
        &self,
        back: &CameBack,
    ) -> Result<Result<(Provider, Away), Failed>, Error> {
        let not = |why: &'static str| Ok(Err(failed(FederationRefused::NotBegun, why)));
        let Some(provider) = self.provider(&back.provider) else {
            return Ok(Err(failed(FederationRefused::Unknown, "no provider has this name")));
        };
        let Some(away) = back.away.as_ref().and_then(|text| self.away_of(text)) else {
            return not("this browser was not sent away");
        };
        let until = away.begun().plus(PATIENCE);
        if self.parts.clock.now() >= until {
            return not("the person was away for too long");
        }
        // RFC 9700 §4.7: the answer belongs to this browser.
        let visitor = back.visitor.as_ref().map(|it| self.visitor_mac(it));
        if !visitor.is_some_and(|it| same(&it, &away.visitor)) {
            return not("another browser was sent away");
        }
        if !back.params.get("state").is_some_and(|it| same(it, &away.state)) {
            return not("the state is not that of this browser");
        }
        // RFC 9700 §4.4.2: each provider has a redirect URI of its own, and answers there alone.
        if away.provider != provider.name || away.issuer != provider.issuer {
            return not("the answer of one provider came to the address of another");
        }
        let mac = Purpose::Once.mac(&self.parts.pepper, &format!("away\0{}", away.state));
        match self.parts.store.once(mac, until).await? {
            true => Ok(Ok((provider, away))),
            false => not("the answer has come before"),
        }
    }

    fn away_of(&self, text: &Secret<String>) -> Option<Away> {
        let sealed = b64::decode(text.expose().as_bytes()).ok()?;
        let plain = self.parts.sealer.open(AWAY, &sealed).ok()?;
        serde_json::from_slice(plain.expose()).ok()
    }

    async fn taken_back(
        &self,
        (provider, away): (&Provider, &Away),
        back: CameBack,
        origin: &Origin,
    ) -> Result<Result<Returned, Failed>, Error> {
        if let Err(failed) = self.may_travel(origin) {
            return Ok(Err(failed));
        }
        let metadata = match self.provider_metadata(provider).await {
            Ok(metadata) => metadata,
            Err(why) => return Ok(Err((FederationRefused::Unavailable, why))),
        };
        let code = match answered((provider, &metadata), &back.params) {
            Ok(code) => code,
            Err(failed) => return Ok(Err(failed)),
        };
        let claims = match self.provider_claims((provider, &metadata), away, code).await {
            Ok(claims) => claims,
            Err(fault) => return Ok(Err(fault.into())),
        };
        let key = self.count_key("provider-network", &network(origin.client_ip));
        // Both ways of this trip.
        self.people.throttle.forgive(&[], &[key, key]);
        match &away.link {
            Some(session) => {
                let session = (back.session.as_ref(), session.as_str());
                self.link(provider, &claims, session, origin).await
            }
            None => {
                let signed_in = self.entered((provider, away), &claims, &back, origin).await?;
                Ok(signed_in.map(|signed_in| Returned::SignedIn {
                    signed_in: Box::new(signed_in),
                    proceed: away.proceed.clone(),
                }))
            }
        }
    }
}

/// The code of an answer (RFC 6749 §4.1.2, RFC 9207 §2.4).
fn answered<'p>(
    (provider, metadata): (&Provider, &Arc<Metadata>),
    params: &'p Params,
) -> Result<&'p str, Failed> {
    match params.get("iss") {
        // RFC 9207 §2.4: compared by simple string comparison; an answer of another is rejected, errors too.
        Some(issuer) if issuer != provider.issuer => {
            return Err(failed(FederationRefused::Wrong, "the answer is of another issuer (iss)"));
        }
        // RFC 9207 §2.4: who always says it has not sent this.
        None if metadata.says_issuer => {
            return Err(failed(
                FederationRefused::Wrong,
                "the answer does not say its issuer (iss)",
            ));
        }
        _ => {}
    }
    if let Some(error) = params.get("error") {
        let why = format!("the provider answered {error}");
        return Err(match error {
            // RFC 6749 §4.1.2.1.
            "server_error" | "temporarily_unavailable" => (FederationRefused::Unavailable, why),
            _ => (FederationRefused::Denied, why),
        });
    }
    match params.get("code") {
        Some(code) if !code.is_empty() && code.len() <= CODE_CHARS => Ok(code),
        _ => Err(failed(FederationRefused::Wrong, "there is no code in the answer")),
    }
}

fn failed(refused: FederationRefused, why: &str) -> Failed {
    (refused, why.to_owned())
}

fn same(given: &str, own: &str) -> bool {
    aws_lc_rs::constant_time::verify_slices_are_equal(given.as_bytes(), own.as_bytes()).is_ok()
}
