//! Proof of possession (RFC 9449 §7): a token that names a key passes with a proof by that key, and only so.
//!
//! INVARIANT: the proof is judged at every request; what the cache knows of a token never stands in for it.

use super::Context;
use crate::credential::Credential;
use crate::denial::Denial;
use crate::policy::Possession;
use base::{Code, Phase, code};
use protocol::AlgorithmSet;
use protocol::dpop::{self, DpopError, Expectation, Proof};
use std::sync::Arc;

/// The algorithms that proofs may be signed with.
pub const ALGORITHMS: AlgorithmSet = AlgorithmSet::DEFAULT;

/// What a request shows of possession.
#[derive(Debug, Clone, Copy, Default)]
pub struct Shown<'a> {
    /// The values of all its `DPoP` headers.
    pub proofs: &'a [&'a [u8]],
    /// Its method.
    pub method: &'a str,
    /// Its URL as callers write it: the listener's public name and the canonical path, without query.
    pub uri: &'a str,
}

/// A token as it was sent.
#[derive(Clone, Copy)]
pub(super) struct Sent<'a> {
    pub(super) token: &'a str,
    /// Under the scheme `DPoP`, not `Bearer`.
    pub(super) dpop: bool,
}

/// Judges how a credential that is good was sent. Gives the proof, of which the `jti` is still to be spent.
///
/// # Errors
/// When the credential is bound and possession is not proven, or the reverse.
pub(super) fn judge<A>(
    ctx: &Context<'_, A>,
    sent: Sent<'_>,
    shown: Shown<'_>,
    credential: &Arc<Credential>,
) -> Result<Option<Proof>, Denial> {
    let refuse = |code| Denial::new(code, Phase::Authenticate).of(Some(credential));
    let key = match (&credential.key, sent.dpop) {
        (None, false) => return Ok(None),
        // RFC 9449 §7.2: a bound token is refused when it comes as a bearer token.
        (Some(_), false) => return Err(refuse(code::TOKEN_PROOF_MISSING)),
        // RFC 9449 §7.1: the scheme is for tokens that are bound to a key.
        (None, true) => return Err(refuse(code::DPOP_NOT_BOUND)),
        (Some(key), true) => key,
    };
    let expect = Expectation {
        method: shown.method,
        uri: shown.uri,
        access_token: Some(sent.token.as_bytes()),
        algorithms: ALGORITHMS,
        nonces: (ctx.route.dpop == Possession::Nonce).then_some(&*ctx.tools.nonces),
        now: ctx.now,
    };
    let proof = dpop::verify(shown.proofs, &expect)
        .map_err(|error| refuse(code_of(&error)).detail(error.to_string()))?;
    // RFC 9449 §4.3 check 12, §7.1: the proof's key is the one that the token is bound to.
    if *proof.jkt != **key {
        return Err(refuse(code::DPOP_WRONG_KEY));
    }
    Ok(Some(proof))
}

fn code_of(error: &DpopError) -> Code {
    match error {
        DpopError::Missing => code::DPOP_MISSING,
        DpopError::Method | DpopError::Uri => code::DPOP_WRONG_REQUEST,
        DpopError::AccessToken => code::DPOP_WRONG_TOKEN,
        DpopError::Stale => code::DPOP_STALE,
        DpopError::Several | DpopError::Token(_) | DpopError::Key(_) | DpopError::Jti => {
            code::DPOP_INVALID
        }
        DpopError::UseNonce => code::DPOP_NONCE,
    }
}
