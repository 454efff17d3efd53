//! Opaque tokens, judged by their issuer's introspection endpoint (RFC 7662), with the verified cache; those of the
//! authority in this process by itself.

use super::{Context, Lookup, Outcome, reject, reject_known, reject_with};
use crate::credential::Credential;
use crate::denial::Denial;
use crate::issuer::{Issuer, KeySource};
use crate::live::still_good;
use crate::verified::{Fingerprint, VerifiedCache};
use base::{Phase, Scheme, UnixMs, code, limits};
use protocol::oauth::Introspection;
use std::sync::Arc;
use std::time::Duration;

/// What the authority's own opaque tokens begin with.
const OWN: &str = "pca_";

/// Judges an opaque token.
pub fn authenticate<A>(ctx: &Context<'_, A>, token: &str) -> Outcome {
    // INVARIANT: a token of our own is shown to nobody else, and nobody else's to the authority.
    let own = token.starts_with(OWN);
    let mut asked = ctx.snapshot.policy.issuers.iter().filter(|issuer| {
        let its = match own {
            true => issuer.settings.source == KeySource::Own,
            false => issuer.settings.introspection.is_some(),
        };
        its && ctx.route.takes_issuer(&issuer.settings.name)
    });
    let Some(issuer) = asked.next() else {
        return if own && ctx.route.takes_tokens() {
            reject(code::TOKEN_WRONG_ISSUER)
        } else if ctx.route.takes_tokens() {
            reject_with(code::TOKEN_MALFORMED, "not a JWT, and no issuer of the route introspects")
        } else {
            Outcome::NotPresented
        };
    };
    // WHY: what one issuer says of a token is not what another says, so the issuer is part of the key. No issuer
    // and no token holds a NUL.
    let keyed = [issuer.settings.issuer.as_bytes(), token.as_bytes()].join(&0);
    let fingerprint = ctx.tools.fingerprints.of(&keyed);
    // WHY: an opaque token hangs on no key, but an issuer that a reload made another has another generation.
    let generation = issuer.keys().generation;
    let learnt = ctx
        .asking
        .learnt
        .and_then(super::Learnt::token)
        .filter(|learnt| (learnt.fingerprint, learnt.generation) == (fingerprint, generation));
    let cached = || ctx.cache.find(&fingerprint, ctx.now).filter(|it| it.generation == generation);
    let known = learnt
        .map(|learnt| learnt.credential.clone())
        .or_else(|| cached().map(|hit| hit.credential))
        .filter(|credential| credential.issuer.as_deref() == Some(&*issuer.settings.name));
    if let Some(credential) = known {
        if !issuer.takes_audience(&credential.audiences) {
            return reject_known(code::TOKEN_WRONG_AUDIENCE, &credential);
        }
        return match still_good(&credential, ctx.snapshot.standing(ctx.now)) {
            Ok(()) => Outcome::Accepted(credential),
            Err(code) => reject_known(code, &credential),
        };
    }
    if let Some(code) = ctx.cache.rejected(&fingerprint, generation, ctx.now) {
        return reject(code);
    }
    if ctx.asking.may_ask {
        Outcome::Need(Lookup::Introspection { issuer: issuer.clone(), fingerprint })
    } else {
        reject_with(code::ISSUER_UNAVAILABLE, "the introspection endpoint gave no usable answer")
    }
}

/// An issuer's word on one token, for the request that had it asked.
#[derive(Debug, Clone)]
pub struct Learnt {
    fingerprint: Fingerprint,
    generation: u64,
    credential: Arc<Credential>,
}

/// Takes an issuer's answer into the cache for at most `longest`. The request that had it asked is judged by
/// what is returned; there is nothing for a token that is not active, which the cache knows from now on.
///
/// # Errors
/// When the answer cannot be used; nothing is remembered then.
pub fn learn(
    cache: &VerifiedCache,
    issuer: &Issuer,
    fingerprint: Fingerprint,
    answer: Introspection,
    (now, longest): (UnixMs, Duration),
) -> Result<Option<Learnt>, Denial> {
    let generation = issuer.keys().generation;
    let Introspection::Active(token) = answer else {
        cache.reject(fingerprint, code::TOKEN_INACTIVE, generation, now);
        return Ok(None);
    };
    // RFC 7662 §4: what the answer states must hold here too.
    let settings = &issuer.settings;
    token.validate(&settings.issuer, &settings.audiences, now, limits::CLOCK_SKEW).map_err(
        |error| Denial::new(error.code(), Phase::Authenticate).detail(error.to_string()),
    )?;
    let mut credential = super::jwt::credential(issuer, token.claims, &fingerprint)
        .map_err(|code| Denial::new(code, Phase::Authenticate))?;
    credential.scheme = Scheme::Opaque;
    let credential = Arc::new(credential);
    cache.remember_until(fingerprint, credential.clone(), generation, now.plus(longest));
    Ok(Some(Learnt { fingerprint, generation, credential }))
}
