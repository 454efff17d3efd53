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
use super::sessions::{Current, SessionText, Standing};
use super::{OAuth, Origin};
use crate::people::policy::Missing;
use crate::people::{Level, Need, Offers, Proof, level};
use base::{Secret, UnixMs};
use consent::{Needed, Stopped};
use decide::Given;
use protocol::b64;
use protocol::oauth::{ErrorCode, OAuthError, Params};
use serde_json::Value;
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
        let standing = self.standing(ask.session.as_ref()).await?;
        let current = match self.stands(&prepared, standing)? {
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

    /// Whether the person who is there may answer this request; if not, why they must sign in or prove more (OpenID
    /// Connect Core §3.1.2.3, RFC 9470 §5).
    pub(crate) fn stands(
        &self,
        prepared: &Prepared,
        standing: Option<Standing>,
    ) -> Result<Result<Current, Stopped>, Stop> {
        let stopped = match standing {
            None => LoginReason::NotSignedIn.into(),
            Some(standing) => match self.too_weak(prepared, &standing)? {
                None => return Ok(Ok(standing.current)),
                Some(stopped) => stopped,
            },
        };
        if prepared.request.prompt.none {
            // §3.1.2.6: no page may be shown.
            let rule = "OpenID Connect Core §3.1.2.1: prompt=none, and the person must sign in";
            return Err(prepared.refuse(ErrorCode::LoginRequired, "the person must sign in", rule));
        }
        Ok(Err(stopped))
    }

    fn too_weak(&self, prepared: &Prepared, standing: &Standing) -> Result<Option<Stopped>, Stop> {
        let request = &prepared.request;
        let current = &standing.current;
        // OpenID Connect Core §3.1.2.1 (`id_token_hint`), §5.5.1 (`sub` with a value).
        if let Some(wanted) = self.wanted_subject(prepared)?
            && wanted != self.subject_of(&prepared.client, &current.user.id)
        {
            return Ok(Some(LoginReason::OtherPerson.into()));
        }
        // Who was there before may not be who is there now: these ask from the beginning.
        // A code alone begins nothing, wherever it was posted to.
        let begun =
            |it: &Proof| it.at >= prepared.seen && level::level(std::slice::from_ref(it)).is_some();
        let begun = current.session.proofs.iter().any(begun);
        if request.prompt.select_account && !begun {
            return Ok(Some(LoginReason::Choose.into()));
        }
        if request.prompt.login && !begun {
            return Ok(Some(LoginReason::Again.into()));
        }
        let need = self.need(prepared, standing);
        // Words that are not ours and essential: nothing reaches them.
        let foreign = request.claims.essential_acr().is_some_and(|it| !it.is_empty())
            && asked_level(prepared).is_none();
        let missing = match foreign {
            true => Missing::Unreachable,
            false => standing.missing(&need, self.parts.clock.now()),
        };
        let (reason, passkey) = match missing {
            Missing::Nothing => return Ok(None),
            // One factor that is too old is asked for from the beginning, so that another person may come instead.
            Missing::Proof(Offers { password: true, .. } | Offers { federated: true, .. }) => {
                return Ok(Some(LoginReason::TooLongAgo.into()));
            }
            Missing::Proof(offers) => {
                let passkey = self.offered_passkey(standing, &offers);
                (LoginReason::More(offers), passkey)
            }
            Missing::Enrolment => (LoginReason::Enrolment, None),
            Missing::Unreachable => {
                // RFC 9470 §5; OpenID Connect Core §5.5.1.1: an essential `acr` that is not met is a failed authentication.
                let rule = "RFC 9470 §5: nothing that the person has reaches what is asked for";
                let code = ErrorCode::UnmetAuthenticationRequirements;
                return Err(prepared.refuse(code, "the level of sign-in cannot be reached", rule));
            }
        };
        let account = Some(current.user.email.clone());
        Ok(Some(Stopped { reason, account, passkey }))
    }

    /// What this request asks of the person: what their account does, what policies say of the client, and what the
    /// client asks for itself.
    fn need(&self, prepared: &Prepared, standing: &Standing) -> Need {
        let (now, request) = (self.parts.clock.now(), &prepared.request);
        let mut need = self.baseline(standing);
        let user = &standing.current.user;
        need.add(&self.settings().sign_in, &user.roles, &prepared.client.id, now);
        if request.prompt.login || request.prompt.select_account {
            need.not_before(prepared.seen);
        }
        let longest = request.max_age.map(u64::from).or(prepared.client.metadata.default_max_age);
        if let Some(longest) = longest {
            need.not_before(whole(now.minus(Duration::from_secs(longest))));
        }
        // What was proved for this very request is fresh, however long the person took.
        need.since = need.since.map(|since| since.min(prepared.seen));
        if let Some(level) = asked_level(prepared) {
            need.level = need.level.max(level);
        }
        need
    }
}

/// The first whole second at or after this moment.
///
/// WHY: `auth_time` is told in whole seconds, rounded down, and a gate judges that. A sign-in that stands here for the rest
/// of its second would bring a token that the gate refuses as too old, and the client would be sent in circles.
fn whole(moment: UnixMs) -> UnixMs {
    let rest = moment.0.rem_euclid(1000);
    if rest == 0 { moment } else { UnixMs(moment.0.saturating_add(1000 - rest)) }
}

/// The words of `acr` that would do, the best first: those of an essential claim, else `acr_values`.
pub(crate) fn asked_words(prepared: &Prepared) -> Vec<&str> {
    let request = &prepared.request;
    match request.claims.essential_acr() {
        Some(values) if !values.is_empty() => values.iter().filter_map(Value::as_str).collect(),
        _ => request.acr_values.iter().map(|it| &**it).collect(),
    }
}

/// The lowest level that would do. Words that are not ours ask for nothing (OpenID Connect Core §3.1.2.1: `acr_values` are
/// a wish), unless they are essential: then nothing does.
fn asked_level(prepared: &Prepared) -> Option<Level> {
    asked_words(prepared).into_iter().filter_map(Level::read).min()
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
