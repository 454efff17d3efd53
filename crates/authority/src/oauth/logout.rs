//! Signing out: at a client's wish, and telling the clients.
//!
//! Owns: RP-initiated logout, the queue of logout tokens.
//!
//! Never does: end a session because a stranger's page said so: without a hint that vouches for the wish, the
//! person is asked.
//!
//! Invariants:
//! - Nobody is sent to an address that the client has not registered for this.
//! - The queue and the tries of each message are bounded; a client that cannot be told is recorded.

use super::authorize::{ErrorPage, FIX_CLIENT};
use super::records::{ClientRecord, Origin as From, SessionRecord};
use super::refusal::Failed;
use super::sessions::{Current, SessionText};
use super::{OAuth, Origin};
use crate::error::Error;
use base::{FetchRequest, Outcome, Secret, base62, code};
use protocol::AlgorithmSet;
use protocol::oauth::authorization_response::location;
use protocol::oauth::{Params, redirect};
use protocol::oidc::{IdTokenHint, LOGOUT_TYP, LogoutTokenClaims};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Mutex, Semaphore, mpsc};

/// Messages that wait. A thousand people who sign out at once of four clients each.
const QUEUE: usize = 4096;
/// Messages that are under way at once.
const PARALLEL: usize = 8;
/// How often one is tried, and the pause before each try (Back-Channel Logout §2.8 leaves it to us).
const TRIES: [Duration; 3] = [Duration::ZERO, Duration::from_secs(2), Duration::from_secs(15)];
/// How long one try may take.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Bytes of the answer that are read: only its status counts.
const ANSWER_BYTES: usize = 16 * 1024;
/// Characters of a `jti`.
const JTI_CHARS: usize = 22;

/// One client that is to be told that one session has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Notice {
    client: String,
    user: String,
    session: String,
}

/// The messages that wait.
#[derive(Debug)]
pub(crate) struct Logouts {
    send: mpsc::Sender<Notice>,
    receive: Mutex<mpsc::Receiver<Notice>>,
}

impl Default for Logouts {
    fn default() -> Self {
        let (send, receive) = mpsc::channel(QUEUE);
        Self { send, receive: Mutex::new(receive) }
    }
}

/// A call of the logout endpoint (RP-Initiated Logout §2).
#[derive(Debug, Clone)]
pub struct LogoutCall {
    /// The query, or the form.
    pub params: Params,
    /// The browser's session.
    pub session: Option<SessionText>,
    /// From our own page: its CSRF token, which is the person's yes.
    pub csrf: Option<String>,
    /// Where it came from.
    pub origin: Origin,
}

/// What the browser gets next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogoutStep {
    /// The person is asked. The page sends `query` back, and the CSRF token.
    Confirm {
        /// The call, to be sent again.
        query: String,
        /// What the page sends back, so that no other page can.
        csrf: String,
        /// Whose wish it seems to be, where that is known.
        client: Option<String>,
    },
    /// Signed out, and sent to the client.
    Redirect {
        /// Where.
        url: String,
    },
    /// Signed out.
    Done,
    /// Something is wrong; nothing was ended.
    ErrorPage(ErrorPage),
}

/// What is known of a wish to sign out.
struct Wish {
    client: Option<Arc<ClientRecord>>,
    hint: Option<IdTokenHint>,
    redirect: Option<String>,
}

impl OAuth {
    /// Signs a person out at a client's wish. With a hint that names this very session it is done at once; else the
    /// person is asked.
    pub async fn logout(&self, call: &LogoutCall) -> LogoutStep {
        let (client, outcome) = match self.wish(call).await {
            Ok(wish) => {
                let client = wish.client.as_ref().map(|client| client.id.clone());
                (client, self.granted(call, wish).await)
            }
            Err(failed) => (call.params.get("client_id").map(str::to_owned), Err(failed)),
        };
        match self.settle(&call.origin, client.as_deref(), outcome).await {
            Ok(step) => step,
            Err(error) => LogoutStep::ErrorPage(ErrorPage {
                status: error.status(),
                code: error.code(),
                description: error.description().to_owned(),
                fix: FIX_CLIENT,
            }),
        }
    }

    /// Reads and judges the wish; nothing has happened yet.
    async fn wish(&self, call: &LogoutCall) -> Result<Wish, Failed> {
        let params = &call.params;
        let settings = self.settings();
        let hint = params.get("id_token_hint").map(|text| {
            IdTokenHint::read(text, &settings.issuer, &self.key_set(), AlgorithmSet::ALL)
        });
        let hint = hint.transpose().map_err(|error| {
            Failed::request(
                "id_token_hint is not an ID token of this server",
                format!("RP-Initiated Logout §2: {error}"),
            )
        })?;
        let named = params.get("client_id");
        // RP-Initiated Logout §2: both name the same client.
        if let (Some(hint), Some(named)) = (&hint, named)
            && *hint.client_id != *named
        {
            return Err(Failed::request(
                "client_id is not the one that id_token_hint was issued to",
                "RP-Initiated Logout §2: client_id and id_token_hint name different clients",
            ));
        }
        let id = hint.as_ref().map(|hint| &*hint.client_id).or(named);
        let client = match id {
            Some(id) => self.client(id, &call.origin).await?.filter(|it| it.disabled_at.is_none()),
            None => None,
        };
        let redirect = self.way_back(params, client.as_deref())?;
        Ok(Wish { client, hint, redirect })
    }

    /// Where the person is sent afterwards.
    fn way_back(
        &self,
        params: &Params,
        client: Option<&ClientRecord>,
    ) -> Result<Option<String>, Failed> {
        let Some(asked) = params.get("post_logout_redirect_uri") else { return Ok(None) };
        // RP-Initiated Logout §3: without knowing whose it is, nobody is sent anywhere.
        let Some(client) = client else { return Ok(None) };
        let registered = &client.metadata.post_logout_redirect_uris;
        if !registered.iter().any(|own| redirect::matches(own, asked)) {
            return Err(Failed::request(
                "post_logout_redirect_uri is not one that the application has registered",
                "RP-Initiated Logout §3: post_logout_redirect_uri differs from every registered one",
            ));
        }
        let state = params.get("state").map(|state| ("state", state));
        let pairs: Vec<(&str, &str)> = state.into_iter().collect();
        Ok(Some(match pairs.is_empty() {
            true => asked.to_owned(),
            false => location(asked, &pairs),
        }))
    }

    async fn granted(&self, call: &LogoutCall, wish: Wish) -> Result<LogoutStep, Failed> {
        let done = match wish.redirect.clone() {
            Some(url) => LogoutStep::Redirect { url },
            None => LogoutStep::Done,
        };
        // Half a sign-in ends too.
        let current = self.standing(call.session.as_ref()).await?.map(|it| it.current);
        let Some((text, current)) = call.session.as_ref().zip(current) else {
            // Nobody is signed in. RP-Initiated Logout §2: without a hint nothing vouches for the way back. WHY not for
            // strangers with one: whoever has an account has a hint for a client of their own, and could lead anybody there
            // (RFC 9700 §4.11.2).
            let stranger =
                |it: &Arc<ClientRecord>| matches!(it.origin, From::Dynamic | From::Document);
            let vouched = wish.hint.is_some() && !wish.client.as_ref().is_some_and(stranger);
            return Ok(if vouched { done } else { LogoutStep::Done });
        };
        let query = call.params.encode();
        let form = format!("logout\0{query}");
        let said_yes = call.csrf.as_ref().is_some_and(|csrf| self.csrf_holds(text, &form, csrf));
        if !said_yes && !self.vouches(&wish, &current) {
            return Ok(LogoutStep::Confirm {
                csrf: self.csrf(text, &form),
                query,
                client: wish.client.map(|client| client.name.clone()),
            });
        }
        self.end_this_session(&current.session, &call.origin).await?;
        Ok(done)
    }

    /// Whether the hint names this very session: by its id, or, in ID tokens without one, by the person.
    fn vouches(&self, wish: &Wish, current: &Current) -> bool {
        let (Some(hint), Some(client)) = (&wish.hint, &wish.client) else { return false };
        let same_person = *hint.subject == self.subject_of(client, &current.user.id);
        same_person && hint.session_id.as_deref().is_none_or(|id| id == current.session.id)
    }

    /// Puts a message for each client of an ended session into the queue.
    pub(crate) async fn tell_clients(&self, ended: &SessionRecord) -> Result<(), Error> {
        for id in &ended.clients {
            let Some(client) = self.known_client(id) else { continue };
            if client.metadata.backchannel_logout_uri.is_none() {
                continue;
            }
            let notice =
                Notice { client: id.clone(), user: ended.user.clone(), session: ended.id.clone() };
            if self.people.logouts.send.try_send(notice.clone()).is_err() {
                self.not_told(&notice, "too many logouts wait").await?;
            }
        }
        Ok(())
    }

    /// Sends logout tokens for as long as the process lives; to be run once.
    pub async fn deliver_logouts(self: Arc<Self>) {
        let places = Arc::new(Semaphore::new(PARALLEL));
        let mut queue = self.people.logouts.receive.lock().await;
        while let Some(notice) = queue.recv().await {
            let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
            let this = Arc::clone(&self);
            tokio::spawn(async move {
                this.deliver(notice, &TRIES).await;
                drop(place);
            });
        }
    }

    async fn deliver(&self, notice: Notice, pauses: &[Duration]) {
        let mut problem = String::new();
        for pause in pauses {
            if !pause.is_zero() {
                tokio::time::sleep(*pause).await;
            }
            match self.try_to_tell(&notice).await {
                Ok(()) => return,
                Err(why) => problem = why,
            }
        }
        // The record is all that can be done; a ledger that is down has alarms of its own.
        let _ = self.not_told(&notice, &problem).await;
    }

    /// One try (Back-Channel Logout §2.5).
    async fn try_to_tell(&self, notice: &Notice) -> Result<(), String> {
        let Some(client) = self.known_client(&notice.client) else { return Ok(()) };
        let Some(uri) = client.metadata.backchannel_logout_uri.clone() else { return Ok(()) };
        let token = self.logout_token(&client, notice).map_err(|error| error.to_string())?;
        let request = FetchRequest {
            url: uri,
            form: Some(vec![("logout_token".to_owned(), Secret::new(token))]),
            bearer: None,
            basic: None,
            accept: "*/*",
            operator: client.origin == From::File,
            timeout: TIMEOUT,
            max_bytes: ANSWER_BYTES,
        };
        let answer = self.parts.fetch.fetch(request).await.map_err(|error| error.to_string())?;
        match answer.status {
            // §2.8: 200; 204 by those who answer an empty body.
            200 | 204 => Ok(()),
            other => Err(format!("the client answered {other}")),
        }
    }

    fn logout_token(&self, client: &ClientRecord, notice: &Notice) -> Result<String, Error> {
        let settings = self.settings();
        let jti = base62::random(JTI_CHARS)?;
        let subject = self.subject_of(client, &notice.user);
        let draft =
            LogoutTokenClaims::draft(&settings.issuer, &client.id, &jti, self.parts.clock.now());
        // §2.6: the client verifies it as it verifies ID tokens.
        let algorithm = self.id_token_algorithm(client);
        let signer = self.signer(algorithm, LOGOUT_TYP).ok_or(NO_KEY)?;
        let claims = draft.session(&subject, &notice.session);
        signer.sign(&claims).map_err(|_| NO_KEY)
    }

    async fn not_told(&self, notice: &Notice, why: &str) -> Result<(), Error> {
        let now = self.parts.clock.now();
        let id = base::EventId::random()?;
        let mut event =
            base::Event::new(id, now, self.parts.node, base::Kind::System, code::LOGOUT);
        event.outcome = Outcome::Error;
        event.principal = Some(Arc::from(notice.user.as_str()));
        event.client_id = Some(Arc::from(notice.client.as_str()));
        event.credential_id = Some(Arc::from(notice.session.as_str()));
        event.detail = Some(format!("the client could not be told of the logout: {why}").into());
        Ok(self.parts.audit.record(event).await?)
    }

    /// Ends the browser's session and tells its clients; whether there was one.
    ///
    /// # Errors
    /// As the store says.
    pub async fn sign_out(&self, text: &SessionText, origin: &Origin) -> Result<bool, Error> {
        // Half a sign-in ends too.
        let Some(standing) = self.standing(Some(text)).await? else { return Ok(false) };
        self.end_this_session(&standing.current.session, origin).await
    }

    pub(crate) async fn end_this_session(
        &self,
        session: &SessionRecord,
        origin: &Origin,
    ) -> Result<bool, Error> {
        let mut event = self.event(origin, code::LOGOUT)?;
        event.principal = Some(Arc::from(session.user.as_str()));
        event.credential_id = Some(Arc::from(session.id.as_str()));
        let ended = self.parts.store.end_session(session.id.clone(), event).await?;
        if let Some(ended) = &ended {
            self.tell_clients(ended).await?;
        }
        Ok(ended.is_some())
    }
}

const NO_KEY: Error = Error::Busy("there is no signing key of this algorithm yet");

#[cfg(test)]
mod tests;
