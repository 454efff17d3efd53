//! JWTs of trusted issuers (RFC 9068, RFC 7519, RFC 8725).

use super::{Context, Lookup, Outcome, reject, reject_known, reject_with};
use crate::credential::Credential;
use crate::issuer::{Issuer, KeySource};
use crate::live::still_good;
use crate::mfa::ACR_BYTES;
use crate::verified::Verified;
use base::{Code, Scheme, code, limits};
use protocol::jws::Compact;
use protocol::jwt::{Claims, Confirmation, Expectation, TokenTypes};
use protocol::oauth::access_token::exchanged_from;
use std::sync::Arc;

/// Registered claims that a route's claim rules may speak of, beside all that are not registered.
const RULED: [&str; 7] = ["sub", "client_id", "azp", "acr", "amr", "sid", "scope"];

/// Judges a JWT.
pub fn authenticate<A>(ctx: &Context<'_, A>, token: &str) -> Outcome {
    if !ctx.route.takes_tokens() {
        return Outcome::NotPresented;
    }
    if token.len() > limits::CREDENTIAL_BYTES {
        return reject(code::TOKEN_MALFORMED);
    }
    let fingerprint = ctx.tools.fingerprints.of(token.as_bytes());
    if let Some(hit) = ctx.cache.find(&fingerprint, ctx.now)
        && let Some(issuer) = ctx.snapshot.policy.issuer(&hit.issuer)
        && issuer.keys().generation == hit.generation
    {
        return judge_again(ctx, issuer, hit);
    }
    match verify(ctx, token, fingerprint) {
        Ok(outcome) | Err(outcome) => outcome,
    }
}

/// What a cache hit does not spare: route, audience, time, revocation.
fn judge_again<A>(ctx: &Context<'_, A>, issuer: &Arc<Issuer>, hit: Verified) -> Outcome {
    if !ctx.route.takes_issuer(&issuer.settings.name) {
        return reject_known(code::TOKEN_WRONG_ISSUER, &hit.credential);
    }
    if !issuer.takes_audience(&hit.credential.audiences) {
        return reject_known(code::TOKEN_WRONG_AUDIENCE, &hit.credential);
    }
    match still_good(&hit.credential, ctx.snapshot.standing(ctx.now)) {
        Ok(()) => Outcome::Accepted(hit.credential),
        Err(code) => reject_known(code, &hit.credential),
    }
}

fn verify<A>(ctx: &Context<'_, A>, token: &str, fingerprint: [u8; 32]) -> Result<Outcome, Outcome> {
    let refuse = |error: protocol::jwt::JwtError| reject_with(error.code(), error.to_string());
    let compact = Compact::parse(token.as_bytes(), limits::CREDENTIAL_BYTES)
        .map_err(|error| reject_with(error.code(), error.to_string()))?;
    let iss = compact
        .unverified_issuer()
        .map_err(|error| reject_with(error.code(), error.to_string()))?
        .ok_or_else(|| reject_with(code::TOKEN_CLAIM, "iss is missing"))?;
    let issuer = ctx
        .snapshot
        .policy
        .issuer_by_iss(&iss)
        .filter(|issuer| issuer.settings.source != KeySource::Nowhere)
        .ok_or_else(|| reject(code::TOKEN_UNKNOWN_ISSUER))?;
    if !ctx.route.takes_issuer(&issuer.settings.name) {
        return Err(reject(code::TOKEN_WRONG_ISSUER));
    }
    let keys = issuer.keys();
    if let Some(code) = ctx.cache.rejected(&fingerprint, keys.generation, ctx.now) {
        return Err(reject(code));
    }
    if let Err(error) = compact.verify(&keys.set, issuer.settings.algorithms) {
        return Err(unverified(ctx, issuer, &keys, fingerprint, &error));
    }
    let claims = Claims::parse(compact.payload()).map_err(refuse)?;
    claims
        .validate(
            compact.header(),
            &Expectation {
                issuer: &issuer.settings.issuer,
                audiences: &issuer.settings.audiences,
                types: match issuer.settings.source {
                    KeySource::Own => TokenTypes::AT_JWT,
                    _ => TokenTypes::ACCESS,
                },
                now: ctx.now,
                skew: limits::CLOCK_SKEW,
            },
        )
        .map_err(refuse)?;
    let credential = Arc::new(credential(issuer, claims, &fingerprint).map_err(reject)?);
    still_good(&credential, ctx.snapshot.standing(ctx.now))
        .map_err(|code| reject_known(code, &credential))?;
    ctx.cache.remember(fingerprint, credential.clone(), keys.generation, ctx.now);
    Ok(Outcome::Accepted(credential))
}

fn unverified<A>(
    ctx: &Context<'_, A>,
    issuer: &Arc<Issuer>,
    keys: &crate::issuer::IssuerKeys,
    fingerprint: [u8; 32],
    error: &protocol::jwt::JwtError,
) -> Outcome {
    let code = error.code();
    if code == code::TOKEN_UNKNOWN_KEY {
        if ctx.asking.may_ask {
            return Outcome::Need(Lookup::Keys(issuer.clone()));
        }
        if keys.set.is_empty() {
            return reject_with(code::ISSUER_UNAVAILABLE, "the issuer's keys were never fetched");
        }
    } else if code == code::TOKEN_BAD_SIGNATURE {
        ctx.cache.reject(fingerprint, code.clone(), keys.generation, ctx.now);
    }
    reject_with(code, error.to_string())
}

/// The credential that verified claims make.
///
/// # Errors
/// When the token is bound in a way that cannot be proven here, lacks what the authority always writes, or names somebody whose name cannot be sent on.
pub(crate) fn credential(
    issuer: &Issuer,
    claims: Claims,
    fingerprint: &[u8; 32],
) -> Result<Credential, Code> {
    // RFC 7800 §3.1: who does not understand how a token is bound must not take it.
    let key = match claims.confirmation {
        None => None,
        Some(Confirmation { jkt: Some(ref jkt), x5t_s256: None, other: false }) => {
            Some(jkt.as_ref().into())
        }
        Some(_) => return Err(code::TOKEN_PROOF_MISSING),
    };
    // RFC 9068 §2.2: what our own authority always writes. By these its tokens are revoked.
    let own = issuer.settings.source == KeySource::Own;
    let lineage = match own {
        true => exchanged_from(&claims).ok_or(code::TOKEN_CLAIM)?,
        // Whoever else writes this claim means something else.
        false => Vec::new(),
    };
    if own
        && (claims.subject.is_none()
            || claims.client_id.is_none()
            || claims.issued_at.is_none()
            || claims.jti.is_none())
    {
        return Err(code::TOKEN_CLAIM);
    }
    // WHY: names go on in headers. One that cannot stand there whole is refused rather than changed: two
    // different subjects must never look the same to an upstream.
    let names = [&claims.subject, &claims.client_id, &claims.authorized_party];
    if names.into_iter().flatten().any(|name| !stands_in_a_header(name)) {
        return Err(code::TOKEN_CLAIM);
    }
    // WHY: a cached credential lives for a minute, among thousands; what no rule asks for is not kept.
    let rules = if issuer.settings.claim_rules { ruled(&claims) } else { Default::default() };
    let (head, _) = fingerprint.split_at(8);
    let grant = claims.other.get("gid").and_then(serde_json::Value::as_str).map(Into::into);
    let id_is_jti = claims.jti.is_some();
    Ok(Credential {
        scheme: Scheme::Jwt,
        issuer: Some(issuer.settings.name.clone()),
        subject: claims.subject.as_deref().unwrap_or_default().into(),
        client_id: claims
            .client_id
            .as_deref()
            .or(claims.authorized_party.as_deref())
            .map(Into::into),
        id: claims.jti.map_or_else(|| hex::encode(head).into(), |jti| jti.into()),
        id_is_jti,
        scopes: claims.scopes,
        audiences: claims.audiences,
        issued_at: claims.issued_at,
        not_before: claims.not_before,
        expires_at: claims.expires_at,
        claims: rules,
        acr: claims.acr.filter(|acr| acr.len() <= ACR_BYTES),
        authenticated_at: claims.authenticated_at,
        routes: Vec::new(),
        grant,
        lineage: lineage.into_iter().map(Into::into).collect(),
        key,
    })
}

/// The claims that a route's rules may speak of.
fn ruled(claims: &Claims) -> serde_json::Map<String, serde_json::Value> {
    let mut rules = claims.other.clone();
    for name in RULED {
        if let Some(value) = claims.claim(name) {
            rules.insert(name.to_owned(), value.into_owned());
        }
    }
    rules
}

/// RFC 9110 §5.5: no control characters, and no white space at the ends, where it would be stripped.
fn stands_in_a_header(name: &str) -> bool {
    !name.chars().any(char::is_control) && name.trim() == name
}
