//! The compiled policy: what the configuration says of issuers, lists and routes.

use crate::issuer::Issuer;
use crate::limit::Rate;
use crate::mfa::Mfa;
use crate::resource::Resources;
use crate::schemes::session::Limits;
use crate::table::RouteTable;
use protocol::oauth::ScopeSet;
use std::sync::Arc;

/// What a route asks of who calls. Nestable.
#[derive(Debug, Clone, PartialEq)]
pub enum Expr {
    /// Nothing: the route is open.
    Public,
    /// One of these.
    Any(Vec<Expr>),
    /// All of these.
    All(Vec<Expr>),
    /// A token.
    Jwt(JwtRule),
    /// An API key.
    ApiKey(ApiKeyRule),
    /// A browser in which somebody has signed in.
    Session(SessionRule),
}

/// A token of one issuer.
#[derive(Debug, Clone, PartialEq)]
pub struct JwtRule {
    /// The issuer's configured name.
    pub issuer: Arc<str>,
    /// All of these scopes.
    pub scopes: ScopeSet,
    /// One of these audiences, beyond the issuer's own rule; empty: no further rule.
    pub audiences: Vec<Box<str>>,
    /// All of these claims.
    pub claims: Vec<ClaimRule>,
    /// How the person must have signed in.
    pub mfa: Option<Mfa>,
}

/// A claim must be one of the values, or an array that holds one of them.
#[derive(Debug, Clone, PartialEq)]
pub struct ClaimRule {
    /// The claim's name.
    pub name: Box<str>,
    /// The values.
    pub values: Vec<serde_json::Value>,
}

/// An API key.
#[derive(Debug, Clone, PartialEq)]
pub struct ApiKeyRule {
    /// All of these scopes.
    pub scopes: ScopeSet,
    /// What the route asks of everybody's sign-in, and no key can meet.
    pub mfa: Option<Mfa>,
}

/// A browser in which somebody has signed in.
#[derive(Debug, Clone, PartialEq)]
pub struct SessionRule {
    /// One of these groups; empty: everybody who can sign in.
    pub groups: Arc<[Box<str>]>,
    /// How long it lasts.
    pub limits: Limits,
    /// How the person must have signed in.
    pub mfa: Option<Mfa>,
}

/// One route, with what the gateway does for it (`A`), which this crate does not look at.
#[derive(Debug)]
pub struct Route<A> {
    /// Its name.
    pub name: Arc<str>,
    /// Who may call; with what the route asks of everybody's sign-in, unless that is in shadow.
    pub access: Expr,
    /// The same with what is in shadow, where the route's `mfa` is.
    pub shadowed: Option<Expr>,
    /// The address lists, by their place in the live tables; empty: no rule. Any of them.
    pub lists: Vec<usize>,
    /// Limits by address and by route (phase Limit), and by principal (phase Spend).
    pub rates: Vec<Rate>,
    /// Rules that are judged and recorded, and not enforced.
    pub shadow: Shadow,
    /// Whether the caller must be recorded before the upstream is touched.
    pub strict: bool,
    /// Whether tokens must be bound to a key that the caller has.
    pub dpop: Possession,
    /// All scopes that any alternative asks, for challenges.
    pub scopes_text: Option<Arc<str>>,
    /// What the gateway does.
    pub act: A,
}

/// What a route asks of how credentials come (RFC 9449).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Possession {
    /// What is bound to a key comes with a proof; what is not bound passes without.
    #[default]
    Optional,
    /// Nothing passes without a proof.
    Required,
    /// Nor without one that carries a nonce of the gate's: it was made just now (RFC 9449 §9).
    Nonce,
}

/// Rules in shadow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Shadow {
    /// The route's limits.
    pub rate: bool,
    /// The route's address lists.
    pub ip: bool,
}

impl Expr {
    /// The same, with what `mfa` says of an issuer (`None`: of what has none) asked beside, at every leaf.
    ///
    /// INVARIANT: nobody passes who did not pass before, and nobody who does not meet it.
    #[must_use]
    pub fn bound_by(&self, mfa: &impl Fn(Option<&str>) -> Mfa) -> Self {
        let both = |own: &Option<Mfa>, asked: Mfa| {
            Some(own.as_ref().map_or_else(|| asked.clone(), |own| own.and(&asked)))
        };
        let each = |inner: &[Self]| inner.iter().map(|expr| expr.bound_by(mfa)).collect();
        match self {
            // Where nobody is asked who they are, nobody can show how they signed in.
            Self::Public => Self::Any(Vec::new()),
            Self::Any(inner) => Self::Any(each(inner)),
            Self::All(inner) => Self::All(each(inner)),
            Self::Jwt(rule) => {
                Self::Jwt(JwtRule { mfa: both(&rule.mfa, mfa(Some(&rule.issuer))), ..rule.clone() })
            }
            Self::ApiKey(rule) => {
                Self::ApiKey(ApiKeyRule { mfa: both(&rule.mfa, mfa(None)), ..rule.clone() })
            }
            // Who signs in to a browser does so at our own authority.
            Self::Session(rule) => {
                Self::Session(SessionRule { mfa: both(&rule.mfa, mfa(Some(OWN))), ..rule.clone() })
            }
        }
    }
}

/// The configured name of our own authority.
const OWN: &str = "self";

impl<A> Route<A> {
    /// The first alternative that takes browser sessions.
    pub fn session(&self) -> Option<&SessionRule> {
        first_session(&self.access)
    }

    /// How long sessions last here, where they are taken: the shortest of what its alternatives say.
    pub fn session_limits(&self) -> Option<Limits> {
        shortest(&self.access)
    }

    /// Whether an alternative takes API keys.
    pub fn takes_keys(&self) -> bool {
        holds(&self.access, &|leaf| matches!(leaf, Expr::ApiKey(_)))
    }

    /// Whether an alternative takes tokens of `issuer`.
    pub fn takes_issuer(&self, issuer: &str) -> bool {
        holds(&self.access, &|leaf| matches!(leaf, Expr::Jwt(rule) if *rule.issuer == *issuer))
    }

    /// Whether an alternative takes tokens.
    pub fn takes_tokens(&self) -> bool {
        holds(&self.access, &|leaf| matches!(leaf, Expr::Jwt(_)))
    }

    /// Whether nobody is asked who they are.
    pub fn is_public(&self) -> bool {
        matches!(self.access, Expr::Public)
    }
}

fn holds(expr: &Expr, leaf: &dyn Fn(&Expr) -> bool) -> bool {
    match expr {
        Expr::Any(inner) | Expr::All(inner) => inner.iter().any(|expr| holds(expr, leaf)),
        other => leaf(other),
    }
}

fn first_session(expr: &Expr) -> Option<&SessionRule> {
    match expr {
        Expr::Any(inner) | Expr::All(inner) => inner.iter().find_map(first_session),
        Expr::Session(rule) => Some(rule),
        _ => None,
    }
}

fn shortest(expr: &Expr) -> Option<Limits> {
    match expr {
        Expr::Any(inner) | Expr::All(inner) => {
            inner.iter().filter_map(shortest).reduce(Limits::and)
        }
        Expr::Session(rule) => Some(rule.limits),
        _ => None,
    }
}

/// Where browsers have sessions, and what of a person these remember.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Sessions {
    /// Hosts that routes with sessions name; sorted.
    pub hosts: Vec<Box<str>>,
    /// Whether one of them names none, so that they are at a listener's own host too.
    pub anywhere: bool,
    /// All groups that any rule asks for; sorted. A session remembers no others.
    pub groups: Vec<Box<str>>,
}

impl Sessions {
    /// Whether no route takes sessions.
    pub fn is_empty(&self) -> bool {
        !self.anywhere && self.hosts.is_empty()
    }
}

/// All that the file says and that judging needs.
#[derive(Debug)]
pub struct Policy<A> {
    /// The issuers.
    pub issuers: Vec<Arc<Issuer>>,
    /// The routes.
    pub routes: Vec<Arc<Route<A>>>,
    /// Finds a route.
    pub table: RouteTable,
    /// The protected resources.
    pub resources: Resources,
    /// Where browsers have sessions.
    pub sessions: Sessions,
}

impl<A> Policy<A> {
    /// The issuer whose `iss` this is.
    pub fn issuer_by_iss(&self, iss: &str) -> Option<&Arc<Issuer>> {
        self.issuers.iter().find(|issuer| issuer.settings.issuer == iss)
    }

    /// The issuer with this configured name.
    pub fn issuer(&self, name: &str) -> Option<&Arc<Issuer>> {
        self.issuers.iter().find(|issuer| *issuer.settings.name == *name)
    }
}
