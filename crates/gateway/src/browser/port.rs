//! The port through which the gate, as a client of the authority, asks it about people in browsers.

use base::{BoxFuture, RequestId, Secret, UnixMs};
use std::net::IpAddr;

/// Where the authority is, and what the gate is called there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignInPlace {
    /// Its issuer, as `iss` of its answers says it (RFC 9207 §2).
    pub issuer: Box<str>,
    /// Its authorization endpoint.
    pub authorize: Box<str>,
    /// The gate's own client.
    pub client_id: Box<str>,
}

/// Where a question comes from; stands in the authority's records.
#[derive(Debug, Clone)]
pub struct SignInOrigin {
    /// The request's id.
    pub request_id: RequestId,
    /// The true address of the browser.
    pub client_ip: IpAddr,
    /// The browser as it calls itself; as long as it was sent.
    pub user_agent: String,
}

/// A code that a browser brought (RFC 6749 §4.1.3).
#[derive(Debug, Clone)]
pub struct SignInCode {
    /// The code.
    pub code: Secret<String>,
    /// Where it was to be brought.
    pub redirect_uri: String,
    /// RFC 7636 §4.5.
    pub verifier: Secret<String>,
    /// Where it came from.
    pub from: SignInOrigin,
}

/// A session that is asked about again, or ended.
#[derive(Debug, Clone)]
pub struct SignInKept {
    /// The grant's refresh token.
    pub renewal: Secret<String>,
    /// Where it came from.
    pub from: SignInOrigin,
    /// When it is asked.
    pub asked_at: UnixMs,
}

/// What the authority says of somebody who signed in.
#[derive(Debug, Clone)]
pub struct SignInFacts {
    /// Who.
    pub subject: Box<str>,
    /// The login session (`sid`).
    pub session: Box<str>,
    /// The grant.
    pub grant: Box<str>,
    /// The person's groups, all of them.
    pub groups: Vec<Box<str>>,
    /// How strongly they signed in.
    pub acr: Option<Box<str>>,
    /// When.
    pub authenticated_at: Option<UnixMs>,
    /// The `nonce` of the request, where a code brought this.
    pub nonce: Option<Box<str>>,
    /// What asks again.
    pub renewal: Secret<String>,
}

/// Why the authority gave nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignInError {
    /// It says no: the code or the session is unknown, used, over or another's.
    #[error("the authority refused: {0}")]
    Refused(String),
    /// It did not answer.
    #[error("the authority cannot be asked: {0}")]
    Unavailable(String),
}

/// Asks the authority. Implementations bound how many questions are under way, and go on when whoever asked stops
/// waiting.
pub trait SignIns: Send + Sync + std::fmt::Debug {
    /// Where the authority is.
    fn place(&self) -> &SignInPlace;

    /// Redeems a code, once; who brought it.
    fn redeem(&self, code: SignInCode) -> BoxFuture<'_, Result<SignInFacts, SignInError>>;

    /// What is true of a session now. What comes back may be handed to several who ask about the same session at once.
    /// The time is that of before the question that was asked in the end.
    fn renew(&self, kept: SignInKept) -> BoxFuture<'_, Result<(SignInFacts, UnixMs), SignInError>>;

    /// Signs the person out: ends the grant, and the login session that it rests on.
    fn end(&self, kept: SignInKept) -> BoxFuture<'_, Result<(), SignInError>>;
}
