//! Device authorization (RFC 8628): the device's question, and the page on which a person answers it.
//!
//! Never does: answer a device's polls; that is the token endpoint's.
//!
//! Invariants:
//! - A person decides only while signed in, and only what the page has shown.
//! - Guesses at user codes are counted by session and by network (RFC 8628 §5.1).

use super::authorize::{ClientView, client_view};
use super::clients::DEVICE;
use super::passkeys::PasskeyAsk;
use super::records::{ClientRecord, DeviceRecord, DeviceState, GrantKind, GrantRecord};
use super::refusal::Failed;
use super::scopes::{self, ScopeView};
use super::secrets::Purpose;
use super::sessions::{Current, SessionText, Standing, network};
use super::{ClientCall, OAuth, Origin};
use crate::error::{Error, PortError};
use crate::factors::throttle::{Key, Rule};
use crate::people::policy::Missing;
use base::{IdError, Outcome, Secret, base62, code, random_array};
use protocol::oauth::{AuthorizationDetails, ErrorCode, OAuthError, Params, ScopeSet, uri};
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;

/// Letters of a user code: no vowels, so that none spells a word (RFC 8628 §6.1).
const LETTERS: &[u8; 20] = b"BCDFGHJKLMNPQRSTVWXZ";
/// Letters of one code: 20⁸ are some 34 bits, of which a guess every few seconds for ten minutes finds nothing.
const CODE_CHARS: usize = 8;
/// Seconds between polls (RFC 8628 §3.2).
const INTERVAL: u32 = 5;
/// How often another code is drawn when one is in use.
const TRIES: usize = 3;
/// The page on which people type the code, below the issuer.
pub const DEVICE_PAGE: &str = "/device";
/// Characters of a grant's id.
const ID_CHARS: usize = 12;

/// Wrong codes from one session or network.
const GUESSES: Rule = Rule {
    free: 5,
    first: Duration::from_secs(2),
    longest: Duration::from_secs(5 * 60),
    forget: Duration::from_secs(60 * 60),
};

/// The answer to a device (RFC 8628 §3.2).
#[derive(Debug, Clone)]
pub struct DeviceAnswer {
    /// `device_code`.
    pub device_code: Secret<String>,
    /// `user_code`, with a hyphen.
    pub user_code: String,
    /// `verification_uri`.
    pub verification_uri: String,
    /// `verification_uri_complete`.
    pub verification_uri_complete: String,
    /// `expires_in`, seconds.
    pub expires_in: u64,
    /// `interval`, seconds.
    pub interval: u32,
}

/// What the person at the page sees next.
#[derive(Debug, Clone, PartialEq)]
pub enum DeviceStep {
    /// They sign in first.
    Login,
    /// What rules of signing in ask for at this client is not proved yet.
    More(Box<DeviceMore>),
    /// They are asked.
    Ask(Box<DeviceView>),
    /// No device waits with this code.
    Unknown,
    /// Too many codes were wrong of late.
    TooEarly(Duration),
    /// The answer is not from our page.
    Forged,
    /// They have answered: whether with yes.
    Done(bool),
}

/// What a person must prove before they may answer.
#[derive(Debug, Clone, PartialEq)]
pub struct DeviceMore {
    /// What is missing; never nothing.
    pub missing: Missing,
    /// Whose it is.
    pub account: String,
    /// What to ask the browser for, where a passkey would do.
    pub passkey: Option<PasskeyAsk>,
}

/// What the page shows.
#[derive(Debug, Clone, PartialEq)]
pub struct DeviceView {
    /// The code, with a hyphen: the person compares it with the device's (RFC 8628 §3.3.1).
    pub user_code: String,
    /// Who asks.
    pub client: ClientView,
    /// Who is asked.
    pub email: String,
    /// What for.
    pub scopes: Vec<ScopeView>,
    /// At which resources.
    pub resources: Vec<String>,
    /// RFC 9396 details.
    pub details: Vec<Value>,
    /// What the page sends back, so that no other page can.
    pub csrf: String,
}

/// What came from the page.
#[derive(Debug, Clone)]
pub struct DeviceDecision {
    /// The code as it was shown.
    pub user_code: String,
    /// [`DeviceView::csrf`].
    pub csrf: String,
    /// Whether the person agrees.
    pub allow: bool,
}

impl OAuth {
    /// Takes a device's question.
    ///
    /// # Errors
    /// As the token endpoint (RFC 8628 §3.2).
    pub async fn device_authorization(
        &self,
        call: &ClientCall,
    ) -> Result<DeviceAnswer, OAuthError> {
        let client = match self.authenticate(call).await {
            Ok(client) => client,
            Err(failed) => {
                let id = call.params.get("client_id");
                return self.settle(&call.origin, id, Err(failed)).await;
            }
        };
        let outcome = self.device_asked(&client, &call.params, &call.origin).await;
        self.settle(&call.origin, Some(&client.id), outcome).await
    }

    async fn device_asked(
        &self,
        client: &Arc<ClientRecord>,
        params: &Params,
        origin: &Origin,
    ) -> Result<DeviceAnswer, Failed> {
        let settings = self.settings();
        let device_code = Purpose::Device.fresh()?;
        let mac = Purpose::Device.mac(&self.parts.pepper, device_code.expose());
        let mut record = self.device_record(client, params)?;
        self.may_keep_row(client, origin)?;
        for _ in 0..TRIES {
            record.user_code = fresh_user_code()?;
            let mut event = self.event(origin, code::DEVICE_ASKED)?;
            event.client_id = Some(Arc::from(client.id.as_str()));
            event.detail = Some(record.scopes.join(" ").into());
            match self.parts.store.create_device(mac, record.clone(), event).await {
                Ok(()) => {
                    let user_code = shown(&record.user_code);
                    let page = settings.url(DEVICE_PAGE);
                    return Ok(DeviceAnswer {
                        device_code,
                        verification_uri_complete: format!("{page}?user_code={user_code}"),
                        verification_uri: page,
                        user_code,
                        expires_in: settings.device.as_secs(),
                        interval: record.interval_seconds,
                    });
                }
                Err(PortError::Conflict) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(Failed::Busy("no user code is free"))
    }

    /// What is kept of the question, but for the user code.
    fn device_record(
        &self,
        client: &ClientRecord,
        params: &Params,
    ) -> Result<DeviceRecord, Failed> {
        let settings = self.settings();
        if !client.metadata.grant_types.iter().any(|it| it == DEVICE) {
            return Err(Failed::refused(
                ErrorCode::UnauthorizedClient,
                "the client may not use the device grant",
                "RFC 8628 §3.1: grant_types of the client has no device_code",
            ));
        }
        let scope = ScopeSet::parse(params.get("scope").unwrap_or_default());
        let scope = scope.map_err(|_| {
            let rule = "RFC 6749 §3.3: scope is malformed";
            Failed::refused(ErrorCode::InvalidScope, "scope is malformed", rule)
        })?;
        let asked = scopes::judge_scopes(client, &settings, scope.iter())?;
        if let Some(bad) = params.all("resource").find(|it| !uri::is_absolute(it)) {
            let rule = format!("RFC 8707 §2: {bad} is not an absolute URI without fragment");
            let code = ErrorCode::InvalidTarget;
            return Err(Failed::refused(code, "a resource is malformed", rule));
        }
        let resources = scopes::judge_resources(client, &settings, params.all("resource"))?;
        let details = params.get("authorization_details").map(AuthorizationDetails::parse);
        let details = details.transpose()?.unwrap_or_default();
        scopes::judge_details(client, &details)?;
        let now = self.parts.clock.now();
        Ok(DeviceRecord {
            user_code: String::new(),
            client: client.id.clone(),
            scopes: asked,
            resources,
            authorization_details: match details.is_empty() {
                true => Value::Null,
                false => serde_json::to_value(details).unwrap_or_default(),
            },
            state: DeviceState::Waiting,
            next_poll_at: now,
            interval_seconds: INTERVAL,
            expires_at: now.plus(settings.device),
        })
    }

    /// What the person who typed this code is asked.
    ///
    /// # Errors
    /// As the store says.
    pub async fn device_view(
        &self,
        typed: &str,
        session: Option<&SessionText>,
        origin: &Origin,
    ) -> Result<DeviceStep, Error> {
        let Some((session, standing)) = self.person(session).await? else {
            return Ok(DeviceStep::Login);
        };
        let (device, client) = match self.waiting_device(typed, &standing, origin).await? {
            Ok(found) => found,
            Err(step) => return Ok(step),
        };
        let current = standing.current;
        let given = self.of_person(device.scopes, &current.user);
        Ok(DeviceStep::Ask(Box::new(DeviceView {
            user_code: shown(&device.user_code),
            csrf: self.csrf(session, &form(&device.user_code)),
            client: client_view(&client, client.metadata.client_uri.as_deref().unwrap_or_default()),
            email: current.user.email,
            scopes: self.scope_views(&given).await?,
            resources: device.resources,
            details: device.authorization_details.as_array().cloned().unwrap_or_default(),
        })))
    }

    async fn person<'s>(
        &self,
        session: Option<&'s SessionText>,
    ) -> Result<Option<(&'s SessionText, Standing)>, Error> {
        let Some(standing) = self.standing(session).await? else { return Ok(None) };
        let complete = self.baseline(&standing).is_met(&standing.current.session.proofs);
        Ok(session.zip(complete.then_some(standing)))
    }

    /// What the rules of signing in ask for at this client beside what the person has proved. WHY here too: a device is
    /// another way to the same client.
    fn more_for_device(&self, standing: &Standing, client: &ClientRecord) -> Option<DeviceStep> {
        let now = self.parts.clock.now();
        let user = &standing.current.user;
        let mut need = self.baseline(standing);
        need.add(&self.settings().sign_in, &user.roles, &client.id, now);
        let (missing, passkey) = match standing.missing(&need, now) {
            Missing::Nothing => return None,
            Missing::Proof(offers) => {
                let passkey = self.offered_passkey(standing, &offers);
                (Missing::Proof(offers), passkey)
            }
            other => (other, None),
        };
        let account = user.email.clone();
        Some(DeviceStep::More(Box::new(DeviceMore { missing, account, passkey })))
    }

    /// The device that waits with this code, and its client.
    async fn waiting_device(
        &self,
        typed: &str,
        standing: &Standing,
        origin: &Origin,
    ) -> Result<Result<(DeviceRecord, Arc<ClientRecord>), DeviceStep>, Error> {
        let now = self.parts.clock.now();
        let keys: [Key; 2] = [
            self.count_key("device-session", &standing.current.session.id),
            self.count_key("device-network", &network(origin.client_ip)),
        ];
        let counted = keys.map(|key| (key, GUESSES));
        if let Err(early) = self.people.throttle.attempt(&counted, now) {
            return Ok(Err(DeviceStep::TooEarly(early.wait)));
        }
        let Some(user_code) = plain(typed) else { return Ok(Err(DeviceStep::Unknown)) };
        let device = self.parts.store.device_by_user_code(user_code, now).await?;
        let Some(device) = device else { return Ok(Err(DeviceStep::Unknown)) };
        self.people.throttle.forgive(&[], &keys);
        let client = self.client(&device.client, origin).await?;
        let client = client.filter(|client| client.disabled_at.is_none());
        let Some(client) = client else { return Ok(Err(DeviceStep::Unknown)) };
        Ok(match self.more_for_device(standing, &client) {
            Some(more) => Err(more),
            None => Ok((device, client)),
        })
    }

    /// Takes the person's answer.
    ///
    /// # Errors
    /// As the store says.
    pub async fn device_decide(
        &self,
        ask: &DeviceDecision,
        session: Option<&SessionText>,
        origin: &Origin,
    ) -> Result<DeviceStep, Error> {
        let Some((text, standing)) = self.person(session).await? else {
            return Ok(DeviceStep::Login);
        };
        // RFC 8628 §5.4, RFC 9700 §4.7: the answer comes from the page that this session was shown for this code.
        let form = plain(&ask.user_code).map(|code| form(&code));
        if !form.is_some_and(|form| self.csrf_holds(text, &form, &ask.csrf)) {
            return Ok(DeviceStep::Forged);
        }
        let (device, client) = match self.waiting_device(&ask.user_code, &standing, origin).await? {
            Ok(found) => found,
            Err(step) => return Ok(step),
        };
        let current = standing.current;
        let (grant, event) = match ask.allow {
            true => {
                let grant = self.device_grant(&device, &current)?;
                let event = self.grant_event(&grant, origin)?;
                (Some(grant), event)
            }
            false => {
                let mut event = self.event(origin, code::GRANT_DENIED)?;
                event.outcome = Outcome::Deny;
                event.principal = Some(Arc::from(current.user.id.as_str()));
                event.client_id = Some(Arc::from(client.id.as_str()));
                (None, event)
            }
        };
        let now = self.parts.clock.now();
        let decided = self.parts.store.decide_device(device.user_code, grant, now, event).await?;
        if !decided {
            return Ok(DeviceStep::Unknown);
        }
        if ask.allow {
            self.join_session(text, current, &client.id).await?;
        }
        Ok(DeviceStep::Done(ask.allow))
    }

    fn device_grant(&self, device: &DeviceRecord, current: &Current) -> Result<GrantRecord, Error> {
        let now = self.parts.clock.now();
        let session = &current.session;
        let mut scopes = self.of_person(device.scopes.clone(), &current.user);
        scopes.sort_unstable();
        Ok(GrantRecord {
            id: base62::random(ID_CHARS)?,
            kind: GrantKind::Device,
            client: device.client.clone(),
            user: Some(current.user.id.clone()),
            scopes,
            resources: device.resources.clone(),
            authorization_details: device.authorization_details.clone(),
            session: Some(session.id.clone()),
            auth_time: Some(session.auth_time),
            amr: session.amr.clone(),
            acr: Some(session.acr.clone()),
            nonce: None,
            claims: Value::Null,
            dpop_jkt: None,
            created_at: now,
            expires_at: now.plus(self.settings().refresh_absolute),
            revoked_at: None,
        })
    }

    /// The client is told when the session ends.
    async fn join_session(
        &self,
        text: &SessionText,
        current: Current,
        client: &str,
    ) -> Result<(), Error> {
        let mut session = current.session;
        if session.clients.iter().any(|own| own == client) {
            return Ok(());
        }
        session.clients.push(client.to_owned());
        let mac = Purpose::Session.mac(&self.parts.pepper, text.expose());
        self.parts.store.replace_session(mac, session).await?;
        Ok(())
    }
}

fn form(user_code: &str) -> String {
    format!("device\0{user_code}")
}

/// A code drawn without bias: bytes from 240 on are drawn again.
fn fresh_user_code() -> Result<String, IdError> {
    let mut out = String::with_capacity(CODE_CHARS);
    while out.len() < CODE_CHARS {
        for byte in random_array::<16>()? {
            let letter = LETTERS.get(usize::from(byte % 20)).copied();
            if let Some(letter) = letter.filter(|_| byte < 240 && out.len() < CODE_CHARS) {
                out.push(char::from(letter));
            }
        }
    }
    Ok(out)
}

/// A code as people read it.
fn shown(user_code: &str) -> String {
    let (left, right) = user_code.split_at_checked(CODE_CHARS / 2).unwrap_or((user_code, ""));
    format!("{left}-{right}")
}

/// A code as people type it: without regard to case, and to hyphens and spaces (RFC 8628 §6.1).
fn plain(typed: &str) -> Option<String> {
    // WHY the bound: nobody types more around eight letters.
    if typed.len() > 4 * CODE_CHARS {
        return None;
    }
    let letters: String = typed
        .chars()
        .filter(|c| !c.is_whitespace() && *c != '-')
        .map(|c| c.to_ascii_uppercase())
        .collect();
    let good = letters.len() == CODE_CHARS && letters.bytes().all(|c| LETTERS.contains(&c));
    good.then_some(letters)
}

#[cfg(test)]
mod tests;
