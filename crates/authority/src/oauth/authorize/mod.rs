//! The authorization endpoint (RFC 6749 §3.1, OpenID Connect Core §3.1.2).
//!
//! Owns: what happens to an authorization request, step by step: refuse, sign in, ask, answer.
//!
//! Never does: keep anything for strangers. A request that waits for a person travels through the browser, with a
//! MAC over it and the time at which it was first seen, and is judged anew at each step.
//!
//! Invariants:
//! - Nothing is sent to a redirect URI that is not the client's (RFC 9700 §2.1).
//! - What `prompt=login` and `max_age` ask for is met only by a sign-in after the request was first seen.
//! - Every refusal is recorded.

mod answer;
mod consent;
mod decide;
mod object;
mod request;
mod rules;
#[cfg(test)]
mod tests;

pub use consent::{ClientView, ConsentView, LoginReason, LoginView};
pub use decide::ConsentAnswer;

pub(crate) use answer::Reply;
pub(crate) use consent::client_view;
pub(crate) use request::{Prepared, Stop, read};
pub(crate) use rules::{Came, must_sign};

use super::secrets::{self, Purpose};
use super::sessions::{Current, SessionText};
use super::{OAuth, Origin};
use base::{Secret, UnixMs};
use consent::Needed;
use decide::Given;
use protocol::b64;
use protocol::oauth::{ErrorCode, OAuthError, Params};
use std::time::Duration;

/// The parameter that carries a request which waits for a person.
pub const CONTINUE: &str = "continue";
/// How long a person may take from the first page to the last.
pub const CONTINUE_LONGEST: Duration = Duration::from_secs(30 * 60);

/// A call of the authorization endpoint.
#[derive(Debug, Clone)]
pub struct Asked {
    /// The query, or the form; or only [`CONTINUE`].
    pub params: Params,
    /// The browser's session.
    pub session: Option<SessionText>,
    /// Where it came from.
    pub origin: Origin,
}

/// What the browser gets next.
#[derive(Debug, Clone)]
pub enum Step {
    /// It is sent away, by 303 (RFC 9700 §4.12). The URL holds a code.
    Redirect {
        /// Where.
        url: Secret<String>,
    },
    /// It posts a form by itself (OAuth 2.0 Form Post Response Mode §2).
    FormPost {
        /// Where.
        action: String,
        /// The fields.
        fields: Vec<(&'static str, Secret<String>)>,
    },
    /// The person signs in.
    Login(Box<LoginView>),
    /// The person is asked.
    Consent(Box<ConsentView>),
    /// The person is told what is wrong (RFC 6749 §4.1.2.1: no redirect).
    ErrorPage(ErrorPage),
}

/// An error that is shown and not sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ErrorPage {
    /// The HTTP status.
    pub status: u16,
    /// The error's code.
    pub code: ErrorCode,
    /// What is wrong, for the developer.
    pub description: String,
    /// What to do.
    pub fix: &'static str,
}

/// A request as it goes on: its query, and when it was first seen.
#[derive(Debug, Clone)]
pub(crate) struct Continued {
    pub(crate) params: Params,
    pub(crate) seen: UnixMs,
}

impl OAuth {
    /// Takes an authorization request one step further.
    pub async fn authorize(&self, ask: Asked) -> Step {
        let outcome = self.next_step(&ask).await;
        self.step_of(outcome, &ask.origin).await
    }

    async fn next_step(&self, ask: &Asked) -> Result<Step, Stop> {
        let continued = self.continued(&ask.params)?;
        let prepared = self.prepare(continued, &ask.origin).await?;
        let current = self.current(ask.session.as_ref()).await?;
        let current = match self.stands(&prepared, current)? {
            Ok(current) => current,
            Err(reason) => return Ok(self.login_step(&prepared, reason)),
        };
        match self.needed(&prepared, &current).await? {
            Needed::Nothing { scopes } => {
                let reply = prepared.reply.clone();
                let code = self
                    .give(prepared, &current, Given { scopes, asked: false }, &ask.origin)
                    .await?;
                self.authorization_answer(&reply, answer::code(code)).map_err(Stop::from)
            }
            Needed::Question { scopes } => {
                let session = ask.session.as_ref();
                self.consent_step(&prepared, &current, &scopes, session).await
            }
        }
    }

    /// Turns what stopped a request into what the browser gets, and records it.
    pub(crate) async fn step_of(&self, outcome: Result<Step, Stop>, origin: &Origin) -> Step {
        match outcome {
            Ok(step) => step,
            Err(Stop::Broken(error)) => page(super::refusal::broken(&error), FIX_OURS),
            Err(Stop::Page { client, error, rule, fix }) => {
                match self.refused(origin, client.as_deref(), &error, &rule) {
                    Ok(()) => page(error, fix),
                    Err(failure) => page(super::refusal::broken(&failure), FIX_OURS),
                }
            }
            Err(Stop::Reply { reply, error, rule }) => {
                let client = Some(reply.client.id.as_str());
                if let Err(failure) = self.refused(origin, client, &error, &rule) {
                    return page(super::refusal::broken(&failure), FIX_OURS);
                }
                if !reply.may_be_sent(self.known_client(&reply.client.id).is_some()) {
                    // RFC 9700 §4.11.2: no automatic redirect to who may have registered to be redirected to.
                    return page(error, FIX_CLIENT);
                }
                self.authorization_answer(&reply, answer::error(error))
                    .unwrap_or_else(|error| page(error, FIX_OURS))
            }
        }
    }

    /// The request in `params`, or the one that comes back in [`CONTINUE`].
    fn continued(&self, params: &Params) -> Result<Continued, Stop> {
        let now = self.parts.clock.now();
        match params.get(CONTINUE) {
            None => Ok(Continued { params: params.clone(), seen: now }),
            Some(text) => self.reopened(text),
        }
    }

    /// Reads what [`OAuth::continue_text`] wrote.
    pub(crate) fn reopened(&self, text: &str) -> Result<Continued, Stop> {
        let stale = |rule: &'static str| {
            let error = OAuthError::new(ErrorCode::InvalidRequest, "this page is too old");
            Stop::Page { client: None, error, rule: rule.into(), fix: FIX_STALE }
        };
        let forged = || stale("the text that continues a request is not ours");
        let (body, mac) = text.split_once('.').ok_or_else(forged)?;
        let given: Option<[u8; 32]> =
            b64::decode(mac.as_bytes()).ok().and_then(|it| it.try_into().ok());
        let own = Purpose::Continue.mac(&self.parts.pepper, body);
        if !given.is_some_and(|given| secrets::same(&given, &own)) {
            return Err(forged());
        }
        let body = b64::decode(body.as_bytes()).map_err(|_| forged())?;
        let (seen, query) = body.split_first_chunk::<8>().ok_or_else(forged)?;
        let seen = UnixMs(i64::from_be_bytes(*seen));
        let now = self.parts.clock.now();
        if now.since(seen) > CONTINUE_LONGEST {
            return Err(stale("the request was first seen more than half an hour ago"));
        }
        let params = Params::parse(query).map_err(|_| forged())?;
        Ok(Continued { params, seen })
    }

    /// The request as a text that only we can have written.
    pub(crate) fn continue_text(&self, prepared: &Prepared) -> String {
        let mut body = prepared.seen.0.to_be_bytes().to_vec();
        body.extend_from_slice(prepared.query.as_bytes());
        let body = b64::encode(body);
        let mac = Purpose::Continue.mac(&self.parts.pepper, &body);
        format!("{body}.{}", b64::encode(mac))
    }

    /// Whether the person who is there may answer this request; if not, why they must sign in (OpenID Connect
    /// Core §3.1.2.3).
    pub(crate) fn stands(
        &self,
        prepared: &Prepared,
        current: Option<Current>,
    ) -> Result<Result<Current, LoginReason>, Stop> {
        let reason = match current {
            None => LoginReason::NotSignedIn,
            Some(current) => match self.too_weak(prepared, &current)? {
                None => return Ok(Ok(current)),
                Some(reason) => reason,
            },
        };
        if prepared.request.prompt.none {
            // §3.1.2.6: no page may be shown.
            let rule = "OpenID Connect Core §3.1.2.1: prompt=none, and the person must sign in";
            return Err(prepared.refuse(ErrorCode::LoginRequired, "the person must sign in", rule));
        }
        Ok(Err(reason))
    }

    fn too_weak(
        &self,
        prepared: &Prepared,
        current: &Current,
    ) -> Result<Option<LoginReason>, Stop> {
        let request = &prepared.request;
        let signed_in_for_this = current.session.auth_time >= prepared.seen;
        // OpenID Connect Core §3.1.2.1 (`id_token_hint`), §5.5.1 (`sub` with a value).
        if let Some(wanted) = self.wanted_subject(prepared)?
            && wanted != self.subject_of(&prepared.client, &current.user.id)
        {
            return Ok(Some(LoginReason::OtherPerson));
        }
        if request.prompt.login && !signed_in_for_this {
            return Ok(Some(LoginReason::Again));
        }
        if request.prompt.select_account && !signed_in_for_this {
            return Ok(Some(LoginReason::Choose));
        }
        let longest = request.max_age.map(u64::from).or(prepared.client.metadata.default_max_age);
        let age = self.parts.clock.now().since(current.session.auth_time);
        if longest.is_some_and(|longest| age > Duration::from_secs(longest)) && !signed_in_for_this
        {
            return Ok(Some(LoginReason::TooLongAgo));
        }
        // §5.5.1.1: an essential `acr` that is not met is a failed authentication.
        if let Some(values) = request.claims.essential_acr()
            && !values.is_empty()
            && !values.iter().any(|it| it.as_str() == Some(&current.session.acr))
        {
            let rule = "OpenID Connect Core §5.5.1.1: no sign-in reaches the essential acr";
            let code = ErrorCode::UnmetAuthenticationRequirements;
            return Err(prepared.refuse(code, "the level of sign-in cannot be reached", rule));
        }
        Ok(None)
    }
}

const FIX_OURS: &str = "Try again in a moment. If it stays so, tell who runs this site.";
const FIX_STALE: &str = "Go back to the application and begin again.";
pub(crate) const FIX_CLIENT: &str = "Tell who makes the application; this page is for them.";

fn page(error: OAuthError, fix: &'static str) -> Step {
    Step::ErrorPage(ErrorPage {
        // RFC 9110 §15.5.2: a 401 asks for credentials of HTTP, and nobody is asked for any here.
        status: if error.status() == 401 { 400 } else { error.status() },
        code: error.code(),
        description: error.description().to_owned(),
        fix,
    })
}
