//! The person's answer, and the code that comes of it.

use super::consent::{details, form, remembered};
use super::{Prepared, Step, Stop, answer, asked_words};
use crate::error::PortError;
use crate::oauth::ports::CodeCompany;
use crate::oauth::records::{CodeRecord, GrantKind, GrantRecord, SessionRecord};
use crate::oauth::secrets::Purpose;
use crate::oauth::sessions::{Current, SessionText};
use crate::oauth::{OAuth, Origin};
use crate::people::{Level, level};
use base::{Outcome, Secret, UnixMs, base62, code};
use protocol::oauth::{ErrorCode, OAuthError};
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;

/// Characters of a grant's id.
const ID_CHARS: usize = 12;
/// No code lives longer (OAuth 2.1 §4.1.2 recommends ten minutes at most; FAPI 2.0 §5.3.2.1: one).
const CODE_LONGEST: Duration = Duration::from_secs(60);

/// What a person gives.
#[derive(Debug)]
pub(super) struct Given {
    pub(super) scopes: Vec<String>,
    /// Whether they were asked just now; then it is remembered.
    pub(super) asked: bool,
}

/// What came from the consent page.
#[derive(Debug, Clone)]
pub struct ConsentAnswer {
    /// [`super::ConsentView::continue_text`].
    pub continue_text: String,
    /// [`super::ConsentView::csrf`].
    pub csrf: String,
    /// Whether the person agrees.
    pub allow: bool,
    /// The scopes that the person keeps; `None`: all that were shown.
    pub scopes: Option<Vec<String>>,
}

/// The word for the level: the first of those asked for that is met, since clients compare words; else the highest.
fn acr_word(prepared: &Prepared, session: &SessionRecord) -> String {
    let reached = level::level(&session.proofs);
    let met = |word: &&str| Level::read(word).is_some_and(|it| reached >= Some(it));
    let word = asked_words(prepared).into_iter().find(met);
    word.map_or_else(|| session.acr.clone(), str::to_owned)
}

impl OAuth {
    /// Takes the person's answer. The request is judged anew, the session too.
    pub async fn decide(
        &self,
        ask: ConsentAnswer,
        session: Option<SessionText>,
        origin: &Origin,
    ) -> Step {
        let outcome = self.decided(ask, session, origin).await;
        self.step_of(outcome, origin).await
    }

    async fn decided(
        &self,
        ask: ConsentAnswer,
        session: Option<SessionText>,
        origin: &Origin,
    ) -> Result<Step, Stop> {
        let continued = self.reopened(&ask.continue_text)?;
        let prepared = self.prepare(continued, origin).await?;
        let standing = self.standing(session.as_ref()).await?;
        let current = match self.stands(&prepared, standing)? {
            Ok(current) => current,
            Err(reason) => return Ok(self.login_step(&prepared, reason)),
        };
        let form = form(&ask.continue_text);
        // RFC 6749 §10.12, RFC 9700 §4.7: the answer comes from the page that this very session was shown.
        if !session.is_some_and(|session| self.csrf_holds(&session, &form, &ask.csrf)) {
            return Err(Stop::Page {
                client: Some(prepared.client.id.clone()),
                error: OAuthError::new(
                    ErrorCode::InvalidRequest,
                    "the answer is not from our page",
                ),
                rule: "RFC 9700 §4.7: the consent form's CSRF token is not this session's".into(),
                fix: "Go back to the application and begin again.",
            });
        }
        let reply = prepared.reply.clone();
        if !ask.allow {
            self.denied(&prepared, &current, origin).await?;
            let error = OAuthError::new(ErrorCode::AccessDenied, "the person said no");
            return self.authorization_answer(&reply, answer::error(error)).map_err(Stop::from);
        }
        let mut given = self.of_person(prepared.scopes.clone(), &current.user);
        if let Some(kept) = &ask.scopes {
            // Only ever less than what was asked.
            given.retain(|scope| scope == "openid" || kept.contains(scope));
        }
        let code =
            self.give(prepared, &current, Given { scopes: given, asked: true }, origin).await?;
        self.authorization_answer(&reply, answer::code(code)).map_err(Stop::from)
    }

    async fn denied(
        &self,
        prepared: &Prepared,
        current: &Current,
        origin: &Origin,
    ) -> Result<(), Stop> {
        let mut event = self.event(origin, code::GRANT_DENIED)?;
        event.outcome = Outcome::Deny;
        event.principal = Some(Arc::from(current.user.id.as_str()));
        event.client_id = Some(Arc::from(prepared.client.id.as_str()));
        event.detail = Some(prepared.scopes.join(" ").into());
        Ok(self.parts.audit.record(event).await?)
    }

    /// Gives a grant and its code.
    pub(super) async fn give(
        &self,
        prepared: Prepared,
        current: &Current,
        given: Given,
        origin: &Origin,
    ) -> Result<Secret<String>, Stop> {
        let now = self.parts.clock.now();
        self.spend_object(&prepared, now).await?;
        let text = Purpose::Code.fresh().map_err(Stop::Broken)?;
        let grant = self.grant_of(&prepared, current, given.scopes, now)?;
        let consent = match given.asked {
            false => None,
            true => {
                let (user, client) = (current.user.id.clone(), prepared.client.id.clone());
                let kept = self.parts.store.consent(user, client).await?;
                Some(remembered(kept, &prepared, current, &grant.scopes, now))
            }
        };
        let record = CodeRecord {
            grant: grant.id.clone(),
            client: grant.client.clone(),
            redirect_uri: prepared.request.redirect_uri.as_deref().map(str::to_owned),
            challenge: prepared.request.code_challenge.as_deref().map(str::to_owned),
            expires_at: now.plus(self.settings().code.min(CODE_LONGEST)),
        };
        let company = CodeCompany {
            pushed: prepared.pushed,
            consent,
            session: Some(current.session.id.clone()),
        };
        let event = self.grant_event(&grant, origin)?;
        let mac = Purpose::Code.mac(&self.parts.pepper, text.expose());
        match self.parts.store.create_code(grant, (mac, record), company, event).await {
            Ok(()) => Ok(text),
            // RFC 9126 §4: a request_uri is used once.
            Err(PortError::Conflict) => Err(Stop::Page {
                client: Some(prepared.client.id.clone()),
                error: OAuthError::new(ErrorCode::InvalidRequestUri, "the request was used before"),
                rule: "RFC 9126 §4: the pushed request was answered before".into(),
                fix: "Go back to the application and begin again.",
            }),
            Err(error) => Err(error.into()),
        }
    }

    /// RFC 9101 §10.2 with `jti`: a request object is answered once.
    async fn spend_object(&self, prepared: &Prepared, now: UnixMs) -> Result<(), Stop> {
        let Some((mac, until)) = prepared.once else { return Ok(()) };
        let until = until.max(now.plus(super::CONTINUE_LONGEST));
        match self.parts.store.once(mac, until).await? {
            true => Ok(()),
            false => Err(prepared.refuse(
                ErrorCode::InvalidRequestObject,
                "the request object was used before",
                "RFC 9101 §10.2: the jti of the request object was answered before",
            )),
        }
    }

    fn grant_of(
        &self,
        prepared: &Prepared,
        current: &Current,
        mut scopes: Vec<String>,
        now: UnixMs,
    ) -> Result<GrantRecord, Stop> {
        scopes.sort_unstable();
        scopes.dedup();
        let request = &prepared.request;
        let session = &current.session;
        let claims = match request.claims.is_empty() {
            true => Value::Null,
            false => serde_json::to_value(&request.claims).unwrap_or_default(),
        };
        Ok(GrantRecord {
            id: base62::random(ID_CHARS).map_err(|error| Stop::Broken(error.into()))?,
            kind: GrantKind::Code,
            client: prepared.client.id.clone(),
            user: Some(current.user.id.clone()),
            scopes,
            resources: prepared.resources.clone(),
            authorization_details: details(prepared),
            session: Some(session.id.clone()),
            auth_time: Some(session.auth_time),
            amr: session.amr.clone(),
            acr: Some(acr_word(prepared, session)),
            nonce: request.nonce.as_deref().map(str::to_owned),
            claims,
            dpop_jkt: prepared.dpop_jkt.clone(),
            created_at: now,
            expires_at: now.plus(self.settings().refresh_absolute),
            revoked_at: None,
        })
    }

    pub(crate) fn grant_event(
        &self,
        grant: &GrantRecord,
        origin: &Origin,
    ) -> Result<base::Event, crate::Error> {
        let mut event = self.event(origin, code::GRANT_GIVEN)?;
        event.principal = grant.user.as_deref().map(Arc::from);
        event.client_id = Some(Arc::from(grant.client.as_str()));
        event.credential_id = Some(Arc::from(grant.id.as_str()));
        event.detail = Some(grant.scopes.join(" ").into());
        Ok(event)
    }
}
