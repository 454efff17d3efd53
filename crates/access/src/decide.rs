//! May they: pure evaluation of a route's expression over verified credentials.

use crate::credential::Credential;
use crate::denial::Denial;
use crate::mfa::{Asked, Mfa};
use crate::policy::{ClaimRule, Expr, JwtRule, SessionRule};
use base::{Code, Phase, Scheme, UnixMs, code};
use std::sync::Arc;

#[cfg(test)]
mod tests;

/// How near an alternative came; the nearest miss is what the caller is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Miss {
    /// No credential of the kind.
    NoCredential,
    /// One of the kind, of another issuer or for another audience.
    WrongParty,
    /// The right one, with another claim than asked.
    Claim,
    /// A session of somebody who is in none of the groups.
    Group,
    /// The right one, without a scope.
    Scope,
    /// All that was asked, but for how the person signed in.
    StepUp,
}

#[derive(Debug)]
struct Missed {
    miss: Miss,
    detail: String,
    asked: Option<Box<Asked>>,
}

/// What an expression is met by.
#[derive(Debug, Default)]
pub struct Carried {
    /// The credentials, first the one that names the principal.
    pub credentials: Vec<Arc<Credential>>,
    /// The last moment at which the person's sign-in is fresh enough, if it ends.
    pub until: Option<UnixMs>,
}

/// Evaluates `expr` at `now`.
///
/// # Errors
/// The nearest miss, as a denial.
pub fn evaluate(
    expr: &Expr,
    credentials: &[Arc<Credential>],
    scopes: Option<&Arc<str>>,
    now: UnixMs,
) -> Result<Carried, Denial> {
    judge(expr, credentials, now).map_err(|missed| {
        let code = match missed.miss {
            Miss::NoCredential if credentials.is_empty() => code::CREDENTIAL_MISSING,
            Miss::NoCredential => code::CREDENTIAL_WRONG_KIND,
            Miss::WrongParty => code::TOKEN_WRONG_AUDIENCE,
            Miss::Claim => code::CLAIM_MISMATCH,
            Miss::Group => code::GROUP_MISSING,
            Miss::Scope => code::SCOPE_MISSING,
            Miss::StepUp => code::STEP_UP_REQUIRED,
        };
        let phase = phase_of(&code);
        let mut denial = Denial::new(code, phase).detail(missed.detail);
        denial.scopes = scopes.cloned();
        denial.step_up = missed.asked;
        denial
    })
}

/// All scopes that any alternative asks, sorted, once each; for challenges.
pub fn scopes_of(expr: &Expr) -> Vec<String> {
    let mut scopes = std::collections::BTreeSet::new();
    collect(expr, &mut scopes);
    scopes.into_iter().collect()
}

fn collect(expr: &Expr, into: &mut std::collections::BTreeSet<String>) {
    match expr {
        Expr::Public | Expr::Session(_) => {}
        Expr::Any(inner) | Expr::All(inner) => inner.iter().for_each(|expr| collect(expr, into)),
        Expr::Jwt(rule) => into.extend(rule.scopes.iter().map(ToOwned::to_owned)),
        Expr::ApiKey(rule) => into.extend(rule.scopes.iter().map(ToOwned::to_owned)),
    }
}

fn phase_of(code: &Code) -> Phase {
    if *code == code::CREDENTIAL_MISSING || *code == code::CREDENTIAL_WRONG_KIND {
        Phase::Authenticate
    } else {
        Phase::Decide
    }
}

fn judge(expr: &Expr, credentials: &[Arc<Credential>], now: UnixMs) -> Result<Carried, Missed> {
    match expr {
        Expr::Public => Ok(Carried::default()),
        Expr::Any(alternatives) => {
            let mut nearest: Option<Missed> = None;
            for alternative in alternatives {
                match judge(alternative, credentials, now) {
                    Ok(carried) => return Ok(carried),
                    Err(missed) => {
                        if nearest.as_ref().is_none_or(|best| missed.miss > best.miss) {
                            nearest = Some(missed);
                        }
                    }
                }
            }
            // INVARIANT: an empty `any` lets nobody through.
            Err(nearest.unwrap_or_else(|| missed(Miss::NoCredential, "no alternative".to_owned())))
        }
        Expr::All(parts) => all(parts, credentials, now),
        Expr::Jwt(rule) => leaf(credentials, |credential| jwt(rule, credential, now)),
        Expr::ApiKey(rule) => leaf(credentials, |credential| {
            if credential.scheme != Scheme::ApiKey {
                return Err(missed(Miss::NoCredential, "an API key is needed".to_owned()));
            }
            scopes(&rule.scopes, credential)?;
            sign_in(rule.mfa.as_ref(), credential, now)
        }),
        Expr::Session(rule) => leaf(credentials, |credential| session(rule, credential, now)),
    }
}

fn all(parts: &[Expr], credentials: &[Arc<Credential>], now: UnixMs) -> Result<Carried, Missed> {
    if parts.is_empty() {
        // INVARIANT: an empty `all` lets nobody through; it is a mistake, not an open door.
        return Err(missed(Miss::NoCredential, "no condition".to_owned()));
    }
    let mut carried = Carried::default();
    for part in parts {
        let more = judge(part, credentials, now)?;
        for credential in more.credentials {
            if !carried.credentials.iter().any(|had| Arc::ptr_eq(had, &credential)) {
                carried.credentials.push(credential);
            }
        }
        carried.until = carried.until.into_iter().chain(more.until).min();
    }
    Ok(carried)
}

fn leaf(
    credentials: &[Arc<Credential>],
    rule: impl Fn(&Credential) -> Result<Option<UnixMs>, Missed>,
) -> Result<Carried, Missed> {
    let mut nearest = missed(Miss::NoCredential, "no credential".to_owned());
    for credential in credentials {
        match rule(credential) {
            Ok(until) => return Ok(Carried { credentials: vec![credential.clone()], until }),
            Err(missed) if missed.miss >= nearest.miss => nearest = missed,
            Err(_) => {}
        }
    }
    Err(nearest)
}

fn jwt(rule: &JwtRule, credential: &Credential, now: UnixMs) -> Result<Option<UnixMs>, Missed> {
    if !matches!(credential.scheme, Scheme::Jwt | Scheme::Opaque) {
        return Err(missed(Miss::NoCredential, "a token is needed".to_owned()));
    }
    if credential.issuer.as_deref() != Some(&*rule.issuer) {
        return Err(missed(
            Miss::NoCredential,
            format!("a token of issuer {} is needed", rule.issuer),
        ));
    }
    if !rule.audiences.is_empty()
        && !rule.audiences.iter().any(|wanted| credential.audiences.contains(wanted))
    {
        return Err(missed(Miss::WrongParty, "aud names none of the route's audiences".to_owned()));
    }
    for claim in &rule.claims {
        if !claim_holds(claim, credential) {
            return Err(missed(
                Miss::Claim,
                format!("claim {} is not what the route asks", claim.name),
            ));
        }
    }
    scopes(&rule.scopes, credential)?;
    sign_in(rule.mfa.as_ref(), credential, now)
}

fn session(
    rule: &SessionRule,
    credential: &Credential,
    now: UnixMs,
) -> Result<Option<UnixMs>, Missed> {
    if credential.scheme != Scheme::Session {
        return Err(missed(Miss::NoCredential, "a browser session is needed".to_owned()));
    }
    let held = credential.claims.get("groups").and_then(serde_json::Value::as_array);
    let is_in =
        |group: &str| held.is_some_and(|held| held.iter().any(|it| it.as_str() == Some(group)));
    if !rule.groups.is_empty() && !rule.groups.iter().any(|group| is_in(group)) {
        let detail = format!("the person is in none of the groups {}", rule.groups.join(", "));
        return Err(missed(Miss::Group, detail));
    }
    sign_in(rule.mfa.as_ref(), credential, now)
}

/// RFC 9470 §3. The last condition: who is told to sign in again passes once that is done.
fn sign_in(
    mfa: Option<&Mfa>,
    credential: &Credential,
    now: UnixMs,
) -> Result<Option<UnixMs>, Missed> {
    let Some(mfa) = mfa else { return Ok(None) };
    mfa.judge(credential, now).map_err(|detail| Missed {
        asked: Some(Box::new(mfa.asked())),
        ..missed(Miss::StepUp, detail)
    })
}

fn scopes(wanted: &protocol::oauth::ScopeSet, credential: &Credential) -> Result<(), Missed> {
    match wanted.iter().find(|scope| !credential.scopes.contains(scope)) {
        None => Ok(()),
        Some(scope) => Err(missed(Miss::Scope, format!("scope {scope} is missing"))),
    }
}

fn claim_holds(rule: &ClaimRule, credential: &Credential) -> bool {
    let Some(claim) = credential.claims.get(&*rule.name) else { return false };
    match claim {
        serde_json::Value::Array(held) => held.iter().any(|value| rule.values.contains(value)),
        value => rule.values.contains(value),
    }
}

fn missed(miss: Miss, detail: String) -> Missed {
    Missed { miss, detail, asked: None }
}
