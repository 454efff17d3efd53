//! May they: pure evaluation of a route's expression over verified credentials.

use crate::credential::Credential;
use crate::denial::Denial;
use crate::policy::{ClaimRule, Expr, JwtRule};
use base::{Code, Phase, Scheme, code};
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
    /// The right one, without a scope.
    Scope,
}

#[derive(Debug)]
struct Missed {
    miss: Miss,
    detail: String,
}

/// Evaluates `expr`. On success the credentials that carried it, first the one that names the principal.
///
/// # Errors
/// The nearest miss, as a denial.
pub fn evaluate(
    expr: &Expr,
    credentials: &[Arc<Credential>],
    scopes: Option<&Arc<str>>,
) -> Result<Vec<Arc<Credential>>, Denial> {
    judge(expr, credentials).map_err(|missed| {
        let code = match missed.miss {
            Miss::NoCredential if credentials.is_empty() => code::CREDENTIAL_MISSING,
            Miss::NoCredential => code::CREDENTIAL_WRONG_KIND,
            Miss::WrongParty => code::TOKEN_WRONG_AUDIENCE,
            Miss::Claim => code::CLAIM_MISMATCH,
            Miss::Scope => code::SCOPE_MISSING,
        };
        let phase = phase_of(&code);
        let mut denial = Denial::new(code, phase).detail(missed.detail);
        denial.scopes = scopes.cloned();
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
        Expr::Public => {}
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

fn judge(expr: &Expr, credentials: &[Arc<Credential>]) -> Result<Vec<Arc<Credential>>, Missed> {
    match expr {
        Expr::Public => Ok(Vec::new()),
        Expr::Any(alternatives) => {
            let mut nearest: Option<Missed> = None;
            for alternative in alternatives {
                match judge(alternative, credentials) {
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
        Expr::All(parts) => {
            if parts.is_empty() {
                // INVARIANT: an empty `all` lets nobody through; it is a mistake, not an open door.
                return Err(missed(Miss::NoCredential, "no condition".to_owned()));
            }
            let mut carried: Vec<Arc<Credential>> = Vec::new();
            for part in parts {
                for credential in judge(part, credentials)? {
                    if !carried.iter().any(|had| Arc::ptr_eq(had, &credential)) {
                        carried.push(credential);
                    }
                }
            }
            Ok(carried)
        }
        Expr::Jwt(rule) => leaf(credentials, |credential| jwt(rule, credential)),
        Expr::ApiKey(rule) => leaf(credentials, |credential| {
            if credential.scheme != Scheme::ApiKey {
                return Err(missed(Miss::NoCredential, "an API key is needed".to_owned()));
            }
            scopes(&rule.scopes, credential)
        }),
    }
}

fn leaf(
    credentials: &[Arc<Credential>],
    rule: impl Fn(&Credential) -> Result<(), Missed>,
) -> Result<Vec<Arc<Credential>>, Missed> {
    let mut nearest = missed(Miss::NoCredential, "no credential".to_owned());
    for credential in credentials {
        match rule(credential) {
            Ok(()) => return Ok(vec![credential.clone()]),
            Err(missed) if missed.miss >= nearest.miss => nearest = missed,
            Err(_) => {}
        }
    }
    Err(nearest)
}

fn jwt(rule: &JwtRule, credential: &Credential) -> Result<(), Missed> {
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
    scopes(&rule.scopes, credential)
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
    Missed { miss, detail }
}
