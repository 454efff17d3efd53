//! The evaluation of a route's expression against a naive model, and the incident of rules that lie within others
//! (Envoy Gateway #8781, #9958): a nested rule is never weaker than its parent.

use super::{evaluate, scopes_of};
use crate::credential::Credential;
use crate::mfa::{Acr, Mfa};
use crate::policy::{ApiKeyRule, ClaimRule, Expr, JwtRule, SessionRule};
use crate::schemes::session::Limits;
use base::{Scheme, UnixMs};
use proptest::prelude::*;
use protocol::oauth::ScopeSet;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

const SCOPES: [&str; 3] = ["read", "write", "admin"];
const ISSUERS: [&str; 2] = ["corp", "partner"];
const GROUPS: [&str; 3] = ["ops", "dev", "admins"];
const AUDIENCES: [&str; 2] = ["orders", "billing"];
const NOW: UnixMs = UnixMs(1_000_000_000);
const WORDS: [&str; 4] = ["aal1", "aal2", "phr", "gold"];

fn mfa() -> impl Strategy<Value = Mfa> {
    let acr = prop::option::of(prop::sample::select(WORDS.to_vec()));
    let max_age = prop::option::of(prop::sample::select(vec![60_u64, 300, 900]));
    (acr, max_age).prop_map(|(acr, max_age)| Mfa {
        acr: acr.map(|word| Acr::own(word).unwrap_or_else(|| Acr::exact(word))),
        max_age: max_age.map(Duration::from_secs),
    })
}

fn scopes() -> impl Strategy<Value = ScopeSet> {
    prop::sample::subsequence(SCOPES.to_vec(), 0..=2)
        .prop_map(|scopes| ScopeSet::of(scopes).expect("well-formed scopes"))
}

fn claim_value() -> impl Strategy<Value = Value> {
    prop::sample::select(vec![json!("blue"), json!("red"), json!(7), json!(true), json!(null)])
}

fn jwt_rule() -> impl Strategy<Value = JwtRule> {
    let audiences = prop::sample::subsequence(AUDIENCES.to_vec(), 0..=1);
    let claims = prop::collection::vec(prop::collection::vec(claim_value(), 1..3), 0..2);
    (prop::sample::select(ISSUERS.to_vec()), scopes(), audiences, claims, prop::option::of(mfa()))
        .prop_map(|(issuer, scopes, audiences, claims, mfa)| JwtRule {
            mfa,
            issuer: issuer.into(),
            scopes,
            audiences: audiences.into_iter().map(Into::into).collect(),
            claims: claims
                .into_iter()
                .map(|values| ClaimRule { name: "team".into(), values })
                .collect(),
        })
}

fn session_rule() -> impl Strategy<Value = SessionRule> {
    let groups = prop::sample::subsequence(GROUPS.to_vec(), 0..=2);
    let day = Duration::from_secs(86_400);
    (groups, prop::option::of(mfa())).prop_map(move |(groups, mfa)| SessionRule {
        groups: groups.into_iter().map(Into::into).collect(),
        limits: Limits { idle: day, absolute: day },
        mfa,
    })
}

fn leaf() -> impl Strategy<Value = Expr> {
    prop_oneof![
        8 => jwt_rule().prop_map(Expr::Jwt),
        5 => scopes().prop_map(|scopes| Expr::ApiKey(ApiKeyRule { scopes, mfa: None })),
        4 => session_rule().prop_map(Expr::Session),
        1 => Just(Expr::Public),
    ]
}

fn expr() -> impl Strategy<Value = Expr> {
    leaf().prop_recursive(4, 24, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Expr::Any),
            prop::collection::vec(inner, 0..4).prop_map(Expr::All),
        ]
    })
}

fn credential() -> impl Strategy<Value = Arc<Credential>> {
    let schemes = [Scheme::Jwt, Scheme::Opaque, Scheme::ApiKey, Scheme::Session];
    let scheme = prop::sample::select(schemes.to_vec());
    let groups = prop::option::of(prop::sample::subsequence(GROUPS.to_vec(), 0..=2));
    let team = prop_oneof![
        Just(None),
        claim_value().prop_map(Some),
        prop::collection::vec(claim_value(), 0..3).prop_map(|values| Some(Value::Array(values))),
    ];
    let audiences = prop::sample::subsequence(AUDIENCES.to_vec(), 0..=2);
    let signed_in = (
        prop::option::of(prop::sample::select(WORDS.to_vec())),
        prop::option::of(prop::sample::select(vec![-100_i64, 0, 30, 200, 500, 5_000])),
        prop::option::of(prop::sample::select(vec!["alice", "app"])),
    );
    let parts = (scheme, prop::sample::select(ISSUERS.to_vec()), scopes(), audiences, team);
    (parts, groups, signed_in).prop_map(
        |((scheme, issuer, scopes, audiences, team), groups, (acr, age, client))| {
            let mut claims = serde_json::Map::new();
            claims.extend(team.map(|team| ("team".to_owned(), team)));
            claims.extend(groups.map(|groups| ("groups".to_owned(), json!(groups))));
            Arc::new(Credential {
                scheme,
                issuer: (scheme != Scheme::ApiKey).then(|| issuer.into()),
                subject: "alice".into(),
                client_id: client.map(Into::into),
                id: "id".into(),
                id_is_jti: false,
                scopes,
                audiences: audiences.into_iter().map(Into::into).collect(),
                claims,
                issued_at: None,
                not_before: None,
                expires_at: None,
                acr: acr.map(Into::into),
                authenticated_at: age.map(|age| UnixMs(NOW.0 - age * 1_000)),
                routes: Vec::new(),
                grant: None,
                lineage: Vec::new(),
                key: None,
            })
        },
    )
}

fn credentials() -> impl Strategy<Value = Vec<Arc<Credential>>> {
    prop::collection::vec(credential(), 0..3)
}

/// Whether the person signed in as asked, as one would say it.
fn signed_in(asked: Option<&Mfa>, held: &Credential) -> bool {
    let Some(asked) = asked else { return true };
    let Some(at) = held.authenticated_at else { return false };
    let age = NOW.0 - at.0;
    held.scheme != Scheme::ApiKey
        && held.client_id.as_deref() != Some("alice")
        && age >= -30_000
        && asked.max_age.is_none_or(|most| age <= i64::try_from(most.as_millis()).unwrap())
        && asked
            .acr
            .as_ref()
            .is_none_or(|acr| held.acr.as_ref().is_some_and(|it| acr.is_met_by(it)))
}

/// The meaning of an expression, as one would say it.
fn model(expr: &Expr, credentials: &[Arc<Credential>]) -> bool {
    match expr {
        Expr::Public => true,
        Expr::Any(inner) => inner.iter().any(|expr| model(expr, credentials)),
        Expr::All(inner) => !inner.is_empty() && inner.iter().all(|expr| model(expr, credentials)),
        Expr::ApiKey(rule) => credentials.iter().any(|held| {
            held.scheme == Scheme::ApiKey
                && rule.scopes.iter().all(|s| held.scopes.contains(s))
                && signed_in(rule.mfa.as_ref(), held)
        }),
        Expr::Jwt(rule) => credentials.iter().any(|held| {
            matches!(held.scheme, Scheme::Jwt | Scheme::Opaque)
                && held.issuer.as_ref() == Some(&rule.issuer)
                && signed_in(rule.mfa.as_ref(), held)
                && rule.scopes.iter().all(|scope| held.scopes.contains(scope))
                && (rule.audiences.is_empty()
                    || rule.audiences.iter().any(|aud| held.audiences.contains(aud)))
                && rule.claims.iter().all(|claim| match held.claims.get(&*claim.name) {
                    None => false,
                    Some(Value::Array(all)) => all.iter().any(|one| claim.values.contains(one)),
                    Some(one) => claim.values.contains(one),
                })
        }),
        Expr::Session(rule) => credentials.iter().any(|held| {
            let groups = held.claims.get("groups").and_then(Value::as_array);
            let is_in = |group: &str| groups.is_some_and(|all| all.contains(&json!(group)));
            held.scheme == Scheme::Session
                && (rule.groups.is_empty() || rule.groups.iter().any(|group| is_in(group)))
                && signed_in(rule.mfa.as_ref(), held)
        }),
    }
}

fn passes(expr: &Expr, credentials: &[Arc<Credential>]) -> bool {
    evaluate(expr, credentials, None, NOW).is_ok()
}

/// How a rule somewhere inside an expression is made stricter.
#[derive(Debug, Clone)]
enum Stricter {
    /// A further condition beside it.
    Beside(Expr),
    /// A further scope on it, where it is a leaf.
    Scope(&'static str),
    /// A sign-in that it must show as well.
    SignIn(Mfa),
    /// A claim that it must hold as well, where it is a leaf.
    Claim(Value),
    /// One alternative less, where it has several.
    Fewer,
}

fn stricter() -> impl Strategy<Value = Stricter> {
    prop_oneof![
        leaf().prop_map(Stricter::Beside),
        prop::sample::select(SCOPES.to_vec()).prop_map(Stricter::Scope),
        claim_value().prop_map(Stricter::Claim),
        mfa().prop_map(Stricter::SignIn),
        Just(Stricter::Fewer),
    ]
}

/// `expr` with the rule at `path` made stricter: the first step of the path chooses the child, and so on down.
fn tighten(expr: &Expr, path: &[usize], how: &Stricter) -> Expr {
    match (expr, path.split_first()) {
        (Expr::Any(inner), Some((at, rest))) if !inner.is_empty() => {
            Expr::Any(tighten_one(inner, *at, rest, how))
        }
        (Expr::All(inner), Some((at, rest))) if !inner.is_empty() => {
            Expr::All(tighten_one(inner, *at, rest, how))
        }
        (here, _) => tighten_here(here, how),
    }
}

fn tighten_one(inner: &[Expr], at: usize, rest: &[usize], how: &Stricter) -> Vec<Expr> {
    let mut inner = inner.to_vec();
    let at = at % inner.len();
    inner[at] = tighten(&inner[at], rest, how);
    inner
}

fn tighten_here(expr: &Expr, how: &Stricter) -> Expr {
    let more = |scopes: &ScopeSet, scope: &str| {
        ScopeSet::of(scopes.iter().chain([scope])).expect("well-formed scopes")
    };
    match (how, expr) {
        (Stricter::Scope(scope), Expr::Jwt(rule)) => {
            Expr::Jwt(JwtRule { scopes: more(&rule.scopes, scope), ..rule.clone() })
        }
        (Stricter::Scope(scope), Expr::ApiKey(rule)) => {
            Expr::ApiKey(ApiKeyRule { scopes: more(&rule.scopes, scope), ..rule.clone() })
        }
        (Stricter::Claim(value), Expr::Jwt(rule)) => {
            let mut rule = rule.clone();
            rule.claims.push(ClaimRule { name: "team".into(), values: vec![value.clone()] });
            Expr::Jwt(rule)
        }
        (Stricter::Fewer, Expr::Any(inner)) => Expr::Any(inner.iter().skip(1).cloned().collect()),
        (Stricter::SignIn(mfa), here) => here.bound_by(&|_| mfa.clone()),
        (Stricter::Beside(other), here) => Expr::All(vec![here.clone(), other.clone()]),
        (_, here) => here.clone(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn agrees_with_the_model(expr in expr(), credentials in credentials()) {
        prop_assert_eq!(passes(&expr, &credentials), model(&expr, &credentials));
    }

    /// Row 17: what a child asks is asked beside what its parent asks, wherever the child lies.
    #[test]
    fn incident_17_nested_rule_is_never_weaker_than_its_parent(
        parent in expr(),
        child in expr(),
        credentials in credentials(),
    ) {
        let nested = Expr::All(vec![parent.clone(), child.clone()]);
        let turned = Expr::All(vec![child.clone(), parent.clone()]);
        let both = passes(&parent, &credentials) && passes(&child, &credentials);
        prop_assert_eq!(passes(&nested, &credentials), both);
        prop_assert_eq!(passes(&turned, &credentials), both);
        let deeper = Expr::All(vec![Expr::All(vec![parent]), Expr::Any(vec![Expr::All(vec![child])])]);
        prop_assert_eq!(passes(&deeper, &credentials), both);
    }

    /// Row 17: a rule that is made stricter, at whatever depth, lets nobody in who was kept out.
    #[test]
    fn incident_17_a_stricter_part_never_widens_the_whole(
        expr in expr(),
        path in prop::collection::vec(any::<usize>(), 0..5),
        how in stricter(),
        credentials in credentials(),
    ) {
        let tight = tighten(&expr, &path, &how);
        if passes(&tight, &credentials) {
            prop_assert!(passes(&expr, &credentials), "{:?} is weaker than {:?}", tight, expr);
        }
    }

    /// An alternative more lets in whom it lets in, and nobody else.
    #[test]
    fn an_alternative_lets_in_its_own_only(
        expr in expr(),
        other in expr(),
        credentials in credentials(),
    ) {
        let either = Expr::Any(vec![expr.clone(), other.clone()]);
        let expected = passes(&expr, &credentials) || passes(&other, &credentials);
        prop_assert_eq!(passes(&either, &credentials), expected);
    }

    /// Nobody passes without a credential but where the expression says so.
    #[test]
    fn only_public_is_open(expr in expr()) {
        fn names_public(expr: &Expr) -> bool {
            match expr {
                Expr::Public => true,
                Expr::Any(inner) | Expr::All(inner) => inner.iter().any(names_public),
                _ => false,
            }
        }
        if passes(&expr, &[]) {
            prop_assert!(names_public(&expr));
        }
    }

    /// What carried the decision was presented, and carries it alone; so a revocation of what is left out may not
    /// matter, and of what is named always does.
    #[test]
    fn what_carried_the_decision_suffices(expr in expr(), credentials in credentials()) {
        if let Ok(carried) = evaluate(&expr, &credentials, None, NOW) {
            let carried = carried.credentials;
            prop_assert!(carried.iter().all(|one| credentials.iter().any(|had| Arc::ptr_eq(one, had))));
            prop_assert!(passes(&expr, &carried));
        }
    }

    /// A refusal is one, and its challenge names scopes that the route asks for.
    #[test]
    fn a_refusal_is_the_callers(expr in expr(), credentials in credentials()) {
        let asked = scopes_of(&expr).join(" ");
        if let Err(denial) = evaluate(&expr, &credentials, Some(&asked.as_str().into()), NOW) {
            prop_assert!(matches!(denial.code.status(), 401 | 403), "{:?}", denial);
            let named: BTreeSet<&str> = denial.scopes.as_deref().unwrap_or_default().split(' ').collect();
            prop_assert!(named.iter().all(|scope| scope.is_empty() || SCOPES.contains(scope)));
            // RFC 9470 §3: the challenge says what is asked, and only there.
            let step_up = denial.code == base::code::STEP_UP_REQUIRED;
            prop_assert_eq!(denial.step_up.is_some(), step_up);
            // RFC 6750 §3.1: no credential at all is told apart from one that does not do.
            prop_assert!(!credentials.is_empty() || denial.code == base::code::CREDENTIAL_MISSING);
        }
    }
    /// What the route asks of everybody holds for every alternative; keys never pass, and neither does nobody.
    #[test]
    fn a_routes_own_mfa_binds_every_alternative(
        expr in expr(),
        asked in mfa(),
        credentials in credentials(),
    ) {
        let bound = expr.bound_by(&|_| asked.clone());
        prop_assert!(!passes(&bound, &[]));
        if let Ok(carried) = evaluate(&bound, &credentials, None, NOW) {
            prop_assert!(passes(&expr, &credentials));
            prop_assert!(!carried.credentials.is_empty());
            for it in &carried.credentials {
                prop_assert!(it.scheme != Scheme::ApiKey && signed_in(Some(&asked), it));
            }
        }
    }

    /// Who passes now passes until the moment that is said, and not after it.
    #[test]
    fn rfc9470_s3_freshness_ends_when_it_says(expr in expr(), credentials in credentials()) {
        let Ok(carried) = evaluate(&expr, &credentials, None, NOW) else { return Ok(()) };
        if let Some(until) = carried.until {
            let carried = carried.credentials;
            prop_assert!(until >= NOW);
            prop_assert!(evaluate(&expr, &carried, None, until).is_ok());
            let after = evaluate(&expr, &carried, None, UnixMs(until.0 + 1));
            // Another alternative may still be met; its end is another.
            prop_assert!(after.is_err() || (has_any(&expr) && after.is_ok_and(|it| it.until != Some(until))));
        }
    }
}

/// Whether several alternatives could meet it, each with an end of its own.
fn has_any(expr: &Expr) -> bool {
    match expr {
        Expr::Any(_) => true,
        Expr::All(inner) => inner.iter().any(has_any),
        _ => false,
    }
}
