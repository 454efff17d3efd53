//! Who may ask the API, and how they are told when they may not.
//!
//! Owns: turning a way in (the socket's user, an access token) into a [`Caller`]; the challenges (RFC 6750 §3,
//! RFC 9728 §5.1).
//!
//! Never does: judge a token; [`authority::oauth::OAuth::admin_caller`] does.
//!
//! Invariants: a handler gets a caller from here or not at all; over the network each endpoint is asked for with the
//! scope that [`crate::routes`] names; a cookie never counts.

use crate::api::Api;
use crate::input::Via;
use crate::oauth::Tagged;
use crate::ports::Caller;
use crate::problem::Problem;
use authority::oauth::{AdminCall, AdminCaller, Origin};
use axum::extract::{FromRequestParts, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use base::{Scheme, code};
use http::header::{AUTHORIZATION, HeaderName, USER_AGENT, WWW_AUTHENTICATE};
use http::request::Parts;
use http::{HeaderMap, HeaderValue};
use protocol::AlgorithmSet;
use protocol::challenge::{Challenge, ChallengeError};
use protocol::oauth::{ErrorCode, OAuthError};
use std::sync::Arc;
use std::time::Duration;

/// Values of one header that are looked at; more than one is refused.
const VALUES: usize = 4;
/// Characters that are kept of what a program calls itself.
const USER_AGENT_CHARS: usize = 200;
/// How often somebody who is being answered for long is judged again: revocation is promised within a second.
const AGAIN: Duration = Duration::from_millis(500);
/// RFC 9449 §4.1.
const DPOP: HeaderName = HeaderName::from_static("dpop");

/// A caller who was let in, and by what.
#[derive(Debug, Clone)]
pub(crate) struct Admitted {
    caller: Caller,
    lease: Option<Lease>,
}

/// What somebody from the network was let in by. It may end while they are answered.
#[derive(Debug, Clone)]
pub(crate) struct Lease {
    api: Api,
    caller: Arc<AdminCaller>,
}

impl Lease {
    /// Ends when the caller would no longer be let in.
    pub(crate) async fn over(self) {
        let mut ticks = tokio::time::interval(AGAIN);
        loop {
            ticks.tick().await;
            let still = match self.api.oauth() {
                Ok(oauth) => oauth.admin_still(&self.caller).await,
                Err(_) => false,
            };
            if !still {
                return;
            }
        }
    }
}

/// The lease of a caller from the network; nobody's at the socket, who is the system's user for as long as it is open.
#[derive(Debug)]
pub(crate) struct Leased(pub(crate) Option<Lease>);

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let admitted = parts.extensions.get::<Admitted>();
        admitted.map(|it| it.caller.clone()).ok_or_else(|| Problem::new(code::API_UNAUTHENTICATED))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Leased {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let admitted = parts.extensions.get::<Admitted>();
        let admitted = admitted.ok_or_else(|| Problem::new(code::API_UNAUTHENTICATED))?;
        Ok(Self(admitted.lease.clone()))
    }
}

/// Stands before every endpoint of the API.
pub(crate) async fn require(
    State((api, scope)): State<(Api, &'static str)>,
    mut request: Request,
    next: Next,
) -> Response {
    let admitted = match request.extensions().get::<Via>() {
        Some(Via::Socket { uid }) => Admitted {
            caller: Caller {
                principal: Arc::from(format!("uid:{uid}")),
                scheme: Scheme::Local,
                client_ip: None,
            },
            lease: None,
        },
        Some(Via::Tcp { peer, .. }) => {
            let client_ip = Some(peer.ip().to_canonical());
            let call = call_of(&request, scope);
            let judged = match (api.oauth(), call) {
                (Ok(oauth), Some(call)) => oauth.admin_caller(&call).await,
                _ => Err(OAuthError::new(ErrorCode::InvalidToken, "there is no authority here")),
            };
            match judged {
                Ok(caller) => Admitted {
                    caller: Caller {
                        principal: caller.subject.clone(),
                        scheme: caller.scheme,
                        client_ip,
                    },
                    lease: Some(Lease { api, caller: Arc::new(caller) }),
                },
                Err(error) => return refused(&api, &error, scope, request.headers()),
            }
        }
        None => return Problem::new(code::API_UNAUTHENTICATED).into_response(),
    };
    request.extensions_mut().insert(admitted);
    next.run(request).await
}

fn call_of<'a>(request: &'a Request, scope: &'static str) -> Option<AdminCall<'a>> {
    let headers = request.headers();
    let values = |name: &HeaderName| {
        headers.get_all(name).iter().take(VALUES).map(|it| it.as_bytes().to_vec()).collect()
    };
    Some(AdminCall {
        method: request.method().as_str(),
        path: request.uri().path(),
        authorization: values(&AUTHORIZATION),
        dpop: values(&DPOP),
        scope,
        origin: origin_of(request)?,
    })
}

fn origin_of(request: &Request) -> Option<Origin> {
    let Tagged(request_id) = *request.extensions().get::<Tagged>()?;
    let client_ip = match request.extensions().get::<Via>()? {
        Via::Tcp { peer, .. } => Some(peer.ip().to_canonical()),
        Via::Socket { .. } => None,
    };
    let agent = request.headers().get(USER_AGENT).and_then(|it| it.to_str().ok()).unwrap_or("");
    let user_agent = agent.chars().take(USER_AGENT_CHARS).collect();
    Some(Origin { request_id, client_ip, user_agent })
}

/// RFC 6750 §3: what is missing, in the challenge too.
fn refused(api: &Api, error: &OAuthError, scope: &str, headers: &HeaderMap) -> Response {
    let (code, problem) = match error.code() {
        ErrorCode::InsufficientScope => {
            (code::SCOPE_MISSING, Some(ChallengeError::InsufficientScope))
        }
        ErrorCode::InvalidRequest => {
            (code::REQUEST_MALFORMED, Some(ChallengeError::InvalidRequest))
        }
        ErrorCode::InvalidDpopProof => {
            (code::API_UNAUTHENTICATED, Some(ChallengeError::InvalidDpopProof))
        }
        ErrorCode::TemporarilyUnavailable => (code::STORE_UNAVAILABLE, None),
        ErrorCode::ServerError => (code::INTERNAL, None),
        // RFC 6750 §3.1: who shows nothing is told the scheme and no error.
        _ if !headers.contains_key(AUTHORIZATION) => (code::API_UNAUTHENTICATED, None),
        _ => (code::API_UNAUTHENTICATED, Some(ChallengeError::InvalidToken)),
    };
    let detail = error.description().to_owned();
    let ours = code.status() >= 500;
    let mut response = Problem::with(code, detail).into_response();
    if ours {
        return response;
    }
    let scheme = headers.get(AUTHORIZATION).map_or(&b""[..], |it| it.as_bytes()).get(..5);
    let by_proof =
        headers.contains_key(&DPOP) || scheme.is_some_and(|it| it.eq_ignore_ascii_case(b"dpop "));
    let mut challenge = match by_proof {
        true => Challenge::dpop().algorithms(AlgorithmSet::DEFAULT),
        false => Challenge::bearer(),
    };
    if let Some(problem) = problem {
        challenge = challenge.error(problem).description(error.description());
    }
    challenge = challenge.scope(scope);
    // RFC 9728 §5.1: where a client that knows only this address learns the rest.
    if let Ok(oauth) = api.oauth() {
        challenge = challenge.resource_metadata(&oauth.settings().admin_metadata_url());
    }
    if let Ok(value) = HeaderValue::try_from(challenge.into_value()) {
        response.headers_mut().insert(WWW_AUTHENTICATE, value);
    }
    response
}
