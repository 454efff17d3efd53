//! Who is this: one folder a request scheme, tried in a fixed order, each with a clear outcome.
//!
//! INVARIANT: a credential goes only to the scheme that its syntax names: `pcl_` is an API key, three
//! base64url parts are a JWT, all else is an opaque token. A scheme never tries what another refused.
//!
//! INVARIANT: a credential in `Authorization` that is good is accepted only after [`dpop`] judged how it was sent.

pub mod api_key;
pub mod dpop;
pub mod jwt;
pub mod opaque;
pub mod session;
#[cfg(test)]
mod tests;

use crate::credential::Credential;
use crate::denial::Denial;
use crate::issuer::Issuer;
use crate::policy::{Possession, Route};
use crate::replay::ReplayCache;
use crate::snapshot::Snapshot;
use crate::verified::{Fingerprint, Fingerprints, VerifiedCache};
use base::{Code, Phase, UnixMs, code};
use dpop::{Sent, Shown};
use protocol::dpop::{NonceMaker, Proof};
use std::sync::Arc;

/// What a scheme found.
#[derive(Debug)]
pub enum Outcome {
    /// No credential of this scheme.
    NotPresented,
    /// A valid one.
    Accepted(Arc<Credential>),
    /// An invalid one: the request ends.
    Rejected(Denial),
    /// The scheme cannot know without asking somebody.
    Need(Lookup),
}

/// What the gateway must look up before the scheme can answer.
#[derive(Debug, Clone)]
pub enum Lookup {
    /// The issuer's key set: the token's key is not in the one at hand.
    Keys(Arc<Issuer>),
    /// The issuer's word on an opaque token (RFC 7662).
    Introspection {
        /// Whom to ask.
        issuer: Arc<Issuer>,
        /// Under which fingerprint the answer is remembered.
        fingerprint: Fingerprint,
    },
    /// Whether a browser's session still stands, and what is true of its person now.
    Session(Arc<session::Session>),
}

/// What a look-up brought for the request that had it made.
#[derive(Debug, Clone)]
pub enum Learnt {
    /// Of an opaque token.
    Token(opaque::Learnt),
    /// Of a session: as the authority has just vouched for it, or `None` when it is over.
    Session(Option<Arc<session::Session>>),
}

impl Learnt {
    fn token(&self) -> Option<&opaque::Learnt> {
        match self {
            Self::Token(learnt) => Some(learnt),
            Self::Session(_) => None,
        }
    }
}

/// What judging needs beside the snapshot; one a process.
#[derive(Debug, Clone)]
pub struct Tools {
    /// Fingerprints of credentials.
    pub fingerprints: Fingerprints,
    /// The pepper of API keys.
    pub pepper: api_key::Pepper,
    /// Proofs that were used.
    pub replays: Arc<dyn ReplayCache>,
    /// Nonces for proofs.
    pub nonces: Arc<NonceMaker>,
    /// Opens browsers' sessions.
    pub sessions: session::Sealer,
}

/// What a scheme judges by.
#[derive(Debug)]
pub struct Context<'a, A> {
    /// The state.
    pub snapshot: &'a Snapshot<A>,
    /// The route.
    pub route: &'a Route<A>,
    /// The shard's cache.
    pub cache: &'a VerifiedCache,
    /// Keys and pepper.
    pub tools: &'a Tools,
    /// The wall clock.
    pub now: UnixMs,
    /// What was asked before, and may be asked yet.
    pub asking: Asking<'a>,
}

/// Where a request stands with its look-ups.
#[derive(Debug, Clone, Copy)]
pub struct Asking<'a> {
    /// Whether another may be asked for.
    pub may_ask: bool,
    /// What the last one brought for this request alone. WHY: the cache may not keep it at all, and the request
    /// that had it asked is judged by it all the same.
    pub learnt: Option<&'a Learnt>,
}

/// What the request carries, by header.
#[derive(Debug, Clone, Copy, Default)]
pub struct Presented<'a> {
    /// The one `Authorization` header.
    pub authorization: Option<&'a [u8]>,
    /// The one `X-API-Key` header.
    pub api_key: Option<&'a [u8]>,
    /// What it shows of possession.
    pub dpop: Shown<'a>,
    /// The cookie of a browser.
    pub session: Option<session::Shown<'a>>,
}

/// The credentials of a request that are good.
#[derive(Debug, Default)]
pub struct Found {
    /// Them.
    pub credentials: Vec<Arc<Credential>>,
    /// The proof that came with one of them; it is not spent yet.
    pub proof: Option<Proof>,
}

/// The kinds that a bearer token can be, by its syntax alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `pcl_…`
    ApiKey,
    /// `eyJ….….…`
    Jwt,
    /// Anything else.
    Opaque,
}

impl Kind {
    /// Of this token.
    pub fn of(token: &str) -> Self {
        if token.starts_with("pcl_") {
            Self::ApiKey
        } else if token.starts_with("eyJ")
            && token.split('.').nth(2).is_some_and(|third| !third.contains('.'))
        {
            Self::Jwt
        } else {
            Self::Opaque
        }
    }
}

/// Runs the route's schemes over what the request carries.
///
/// # Errors
/// The first credential that is invalid ends it.
pub fn authenticate<A>(
    ctx: &Context<'_, A>,
    presented: Presented<'_>,
) -> Result<Result<Found, Lookup>, Denial> {
    let mut found = Found::default();
    if let Some(value) = presented.authorization
        && let Some(sent) = sent(value)?
    {
        match authorization(ctx, sent) {
            Outcome::NotPresented => {}
            Outcome::Accepted(credential) => {
                found.proof = dpop::judge(ctx, sent, presented.dpop, &credential)?;
                found.credentials.push(credential);
            }
            Outcome::Rejected(denial) => return Err(denial),
            Outcome::Need(lookup) => return Ok(Err(lookup)),
        }
    }
    if let Some(value) = presented.api_key {
        let outcome = match std::str::from_utf8(value) {
            Ok(key) => api_key::authenticate(ctx, key),
            Err(_) => reject(code::KEY_MALFORMED),
        };
        match outcome {
            Outcome::NotPresented => {}
            Outcome::Accepted(credential) => found.credentials.push(credential),
            Outcome::Rejected(denial) => return Err(denial),
            Outcome::Need(lookup) => return Ok(Err(lookup)),
        }
    }
    if let Some(shown) = presented.session {
        // Only the cookie is judged by where a request comes from: other sites cannot send another credential.
        let alone = found.credentials.is_empty();
        match session::authenticate(ctx, shown, alone) {
            Outcome::NotPresented => {}
            Outcome::Accepted(credential) => found.credentials.push(credential),
            Outcome::Rejected(denial) => return Err(denial),
            Outcome::Need(lookup) => return Ok(Err(lookup)),
        }
    }
    if ctx.route.dpop != Possession::Optional && !found.credentials.is_empty() {
        let first = found.credentials.first().cloned();
        // INVARIANT: what is bound came with its proof, or it was refused above; nothing passes beside it.
        found.credentials.retain(|it| it.key.is_some());
        if found.credentials.is_empty() {
            let refusal = Denial::new(code::DPOP_REQUIRED, Phase::Authenticate);
            return Err(refusal.of(first.as_ref()));
        }
    }
    Ok(Ok(found))
}

/// The token of an `Authorization` header, whichever way it was sent.
pub fn token_of(value: &[u8]) -> Option<&str> {
    sent(value).ok().flatten().map(|sent| sent.token)
}

/// Whether an `Authorization` header names the scheme `DPoP`.
pub fn is_dpop(value: &[u8]) -> bool {
    !matches!(protocol::bearer::parse_as(DPOP, value), Ok(None))
}

/// RFC 9449 §7.1.
const DPOP: &str = "DPoP";

/// Another authentication scheme (Basic, say) is none of ours: not presented.
fn sent(value: &[u8]) -> Result<Option<Sent<'_>>, Denial> {
    let malformed = |_| Denial::new(code::CREDENTIAL_MALFORMED, Phase::Authenticate);
    if let Some(bearer) = protocol::bearer::parse(value).map_err(malformed)? {
        return Ok(Some(Sent { token: bearer.as_str(), dpop: false }));
    }
    let bound = protocol::bearer::parse_as(DPOP, value).map_err(malformed)?;
    Ok(bound.map(|bound| Sent { token: bound.as_str(), dpop: true }))
}

fn authorization<A>(ctx: &Context<'_, A>, sent: Sent<'_>) -> Outcome {
    match Kind::of(sent.token) {
        Kind::ApiKey => api_key::authenticate(ctx, sent.token),
        Kind::Jwt => jwt::authenticate(ctx, sent.token),
        Kind::Opaque => opaque::authenticate(ctx, sent.token),
    }
}

pub(crate) fn reject(code: Code) -> Outcome {
    Outcome::Rejected(Denial::new(code, Phase::Authenticate))
}

/// A credential whose proof holds, and which is refused all the same.
pub(crate) fn reject_known(code: Code, credential: &Arc<Credential>) -> Outcome {
    Outcome::Rejected(Denial::new(code, Phase::Authenticate).of(Some(credential)))
}

pub(crate) fn reject_with(
    code: Code,
    detail: impl Into<std::borrow::Cow<'static, str>>,
) -> Outcome {
    Outcome::Rejected(Denial::new(code, Phase::Authenticate).detail(detail))
}
