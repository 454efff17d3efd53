//! Opaque tokens, judged by their issuer's introspection endpoint (RFC 7662), with the verified cache.

use super::{Context, Lookup, Outcome, reject, reject_with};
use crate::denial::Denial;
use crate::issuer::Issuer;
use crate::live::still_good;
use crate::verified::{Fingerprint, VerifiedCache};
use base::{Phase, Scheme, UnixMs, code, limits};
use protocol::oauth::Introspection;
use std::sync::Arc;
use std::time::Duration;

/// Opaque tokens hang on no key set.
const NO_GENERATION: u64 = 0;

/// Judges an opaque token.
pub fn authenticate<A>(ctx: &Context<'_, A>, token: &str) -> Outcome {
    let mut asked = ctx.snapshot.policy.issuers.iter().filter(|issuer| {
        issuer.settings.introspects && ctx.route.takes_issuer(&issuer.settings.name)
    });
    let Some(issuer) = asked.next() else {
        return if ctx.route.takes_tokens() {
            reject_with(code::TOKEN_MALFORMED, "not a JWT, and no issuer of the route introspects")
        } else {
            Outcome::NotPresented
        };
    };
    let fingerprint = ctx.tools.fingerprints.of(token.as_bytes());
    if let Some(hit) = ctx.cache.find(&fingerprint, ctx.now)
        && *hit.issuer == *issuer.settings.name
    {
        if !issuer.takes_audience(&hit.credential.audiences) {
            return reject(code::TOKEN_WRONG_AUDIENCE);
        }
        return match still_good(&hit.credential, &ctx.snapshot.keys, &ctx.snapshot.blocks, ctx.now)
        {
            Ok(()) => Outcome::Accepted(hit.credential),
            Err(code) => reject(code),
        };
    }
    if let Some(code) = ctx.cache.rejected(&fingerprint, NO_GENERATION, ctx.now) {
        return reject(code);
    }
    if ctx.may_ask {
        Outcome::Need(Lookup::Introspection { issuer: issuer.clone(), fingerprint })
    } else {
        reject_with(code::ISSUER_UNAVAILABLE, "the introspection endpoint gave no usable answer")
    }
}

/// Takes an issuer's answer into the cache, so that the scheme finds it when it is asked again.
///
/// # Errors
/// When the answer cannot be used; nothing is remembered then.
pub fn learn(
    cache: &VerifiedCache,
    issuer: &Issuer,
    fingerprint: Fingerprint,
    answer: Introspection,
    (now, longest): (UnixMs, Duration),
) -> Result<(), Denial> {
    let Introspection::Active(token) = answer else {
        cache.reject(fingerprint, code::TOKEN_INACTIVE, NO_GENERATION, now);
        return Ok(());
    };
    // RFC 7662 §4: what the answer states must hold here too.
    let settings = &issuer.settings;
    token.validate(&settings.issuer, &settings.audiences, now, limits::CLOCK_SKEW).map_err(
        |error| Denial::new(error.code(), Phase::Authenticate).detail(error.to_string()),
    )?;
    let mut credential = super::jwt::credential(issuer, token.claims, &fingerprint)
        .map_err(|code| Denial::new(code, Phase::Authenticate))?;
    credential.scheme = Scheme::Opaque;
    let until = now.plus(longest);
    cache.remember_until(fingerprint, Arc::new(credential), NO_GENERATION, until);
    Ok(())
}
