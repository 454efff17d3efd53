//! The gate as a client of the authority in this process: what it asks of people in browsers.
//!
//! INVARIANT: what the gate asks is asked on the control plane's runtime and goes on when the browser has gone, so a
//! code is never half redeemed. INVARIANT: so many questions are under way at once and no more.

use authority::oauth::{GATE_CLIENT, GateCode, GateSession, OAuth, Origin};
use base::{BoxFuture, UnixMs};
use gateway::{
    SignInCode, SignInError, SignInFacts, SignInKept, SignInOrigin, SignInPlace, SignIns,
};
use protocol::oauth::{ErrorCode, OAuthError};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{OnceCell, OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinHandle;

/// Questions under way at once; more are refused rather than queued. Each is a few milliseconds of the store.
const ASKING: usize = 64;

/// What the authority answered to one renewal, for all who wait for it.
type Renewing = OnceCell<Result<(SignInFacts, UnixMs), SignInError>>;

/// Renewals under way, by what is renewed: the requests of one page are one question. At most [`ASKING`].
type Book = Arc<Mutex<HashMap<String, Arc<Renewing>>>>;

/// The authority of this process.
pub(super) struct Own {
    oauth: Arc<OAuth>,
    place: SignInPlace,
    runtime: tokio::runtime::Handle,
    asking: Arc<Semaphore>,
    renewing: Book,
}

impl std::fmt::Debug for Own {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Own")
    }
}

impl Own {
    pub(super) fn new(oauth: Arc<OAuth>) -> Self {
        let settings = oauth.settings();
        let place = SignInPlace {
            issuer: settings.issuer.as_str().into(),
            authorize: settings.url("/oauth/authorize").into(),
            client_id: GATE_CLIENT.into(),
        };
        Self {
            oauth,
            place,
            runtime: tokio::runtime::Handle::current(),
            asking: Arc::new(Semaphore::new(ASKING)),
            renewing: Arc::default(),
        }
    }

    /// Room for one more question.
    fn room(&self) -> Result<OwnedSemaphorePermit, SignInError> {
        let room = self.asking.clone().try_acquire_owned();
        room.map_err(|_| unavailable("too many questions at once"))
    }

    /// Runs a question on the control runtime, if there is room for one more.
    fn ask<T, F>(&self, question: F) -> BoxFuture<'_, Result<T, SignInError>>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, SignInError>> + Send + 'static,
    {
        match self.room() {
            Err(error) => Box::pin(async { Err(error) }),
            Ok(room) => joined(self.runtime.spawn(async move {
                let answer = question.await;
                drop(room);
                answer
            })),
        }
    }
}

fn joined<T: Send + 'static>(
    task: JoinHandle<Result<T, SignInError>>,
) -> BoxFuture<'static, Result<T, SignInError>> {
    Box::pin(async move { task.await.unwrap_or_else(|error| Err(unavailable(&error.to_string()))) })
}

fn unavailable(why: &str) -> SignInError {
    SignInError::Unavailable(why.to_owned())
}

fn refused(error: &OAuthError) -> SignInError {
    let text = error.description().to_owned();
    match error.code() {
        ErrorCode::TemporarilyUnavailable | ErrorCode::ServerError => {
            SignInError::Unavailable(text)
        }
        _ => SignInError::Refused(text),
    }
}

fn origin(from: SignInOrigin) -> Origin {
    Origin {
        request_id: from.request_id,
        client_ip: Some(from.client_ip),
        user_agent: from.user_agent,
    }
}

fn facts(it: GateSession) -> SignInFacts {
    SignInFacts {
        subject: it.subject.into(),
        session: it.session.into(),
        grant: it.grant.into(),
        groups: it.groups.into_iter().map(Into::into).collect(),
        acr: it.acr.map(Into::into),
        authenticated_at: it.auth_time,
        nonce: it.nonce.map(Into::into),
        renewal: it.refresh,
    }
}

/// One renewal, for all who ask for it at this moment.
async fn renewed(
    oauth: Arc<OAuth>,
    (cell, book): (Arc<Renewing>, Book),
    SignInKept { renewal, from, asked_at }: SignInKept,
) -> Result<(SignInFacts, UnixMs), SignInError> {
    let asking = || async {
        let answer = oauth.gate_renew(&renewal, &origin(from)).await;
        answer.map(|it| (facts(it), asked_at)).map_err(|error| refused(&error))
    };
    let answer = cell.get_or_init(asking).await.clone();
    // Who comes now asks anew.
    let mut book = book.lock().unwrap_or_else(PoisonError::into_inner);
    if book.get(renewal.expose()).is_some_and(|it| Arc::ptr_eq(it, &cell)) {
        book.remove(renewal.expose());
    }
    answer
}

impl SignIns for Own {
    fn place(&self) -> &SignInPlace {
        &self.place
    }

    fn redeem(&self, code: SignInCode) -> BoxFuture<'_, Result<SignInFacts, SignInError>> {
        let oauth = self.oauth.clone();
        self.ask(async move {
            let SignInCode { code, redirect_uri, verifier, from } = code;
            let ask = GateCode { code, redirect_uri, verifier };
            let answer = oauth.gate_redeem(&ask, &origin(from)).await;
            answer.map(facts).map_err(|error| refused(&error))
        })
    }

    fn renew(&self, kept: SignInKept) -> BoxFuture<'_, Result<(SignInFacts, UnixMs), SignInError>> {
        let renewal = &kept.renewal;
        let mut book = self.renewing.lock().unwrap_or_else(PoisonError::into_inner);
        let (cell, room) = match book.get(renewal.expose()) {
            // Who joins a question takes no room.
            Some(cell) => (cell.clone(), None),
            None => match self.room() {
                Err(error) => return Box::pin(async { Err(error) }),
                Ok(room) => {
                    let cell = Arc::new(Renewing::new());
                    book.insert(renewal.expose().clone(), cell.clone());
                    (cell, Some(room))
                }
            },
        };
        drop(book);
        let question = renewed(self.oauth.clone(), (cell, self.renewing.clone()), kept);
        joined(self.runtime.spawn(async move {
            let answer = question.await;
            drop(room);
            answer
        }))
    }

    fn end(&self, kept: SignInKept) -> BoxFuture<'_, Result<(), SignInError>> {
        let oauth = self.oauth.clone();
        self.ask(async move {
            let ended = oauth.gate_end(&kept.renewal, &origin(kept.from)).await;
            ended.map_err(|error| refused(&error))
        })
    }
}
