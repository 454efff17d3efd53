//! The phases that judge, as types that consume each other. A [`Permit`] comes out at the end, and only
//! here can one be made: the gateway cannot forward without it.

use crate::credential::Credential;
use crate::decide::{self, Carried};
use crate::denial::Denial;
use crate::iplist::Verdict;
use crate::limit::{By, Counters, LimitKey, Spend};
use crate::policy::Route;
use crate::replay::{Once, Used};
use crate::schemes::{self, Asking, Context, Found, Lookup, Presented, Tools};
use crate::snapshot::Snapshot;
use crate::table::Lookup as Match;
use crate::verified::VerifiedCache;
use base::{Code, Monotonic, Phase, UnixMs, code};
use protocol::dpop::Proof;
use smallvec::SmallVec;
use std::net::IpAddr;
use std::sync::Arc;

/// What all phases judge by.
#[derive(Debug)]
pub struct Judge<'a, A> {
    /// The state, one for the whole request.
    pub snapshot: &'a Snapshot<A>,
    /// Keys and pepper.
    pub tools: &'a Tools,
    /// The shard's cache.
    pub cache: &'a VerifiedCache,
    /// The wall clock.
    pub now: UnixMs,
    /// The monotonic clock, for limits.
    pub monotonic: Monotonic,
}

/// Phase Route is behind it.
#[derive(Debug)]
pub struct Routed<A> {
    route: Arc<Route<A>>,
    would_deny: WouldDeny,
}

/// Codes of rules in shadow that would have refused.
pub type WouldDeny = SmallVec<[Code; 2]>;

/// Phase Limit is behind it.
#[derive(Debug)]
pub struct Admitted<A>(Routed<A>);

/// Phase Authenticate is behind it.
#[derive(Debug)]
pub struct Authenticated<A> {
    routed: Routed<A>,
    found: Found,
}

/// Phase Decide is behind it.
#[derive(Debug)]
pub struct Decided<A> {
    routed: Routed<A>,
    carried: Carried,
    proof: Option<Proof>,
}

/// Leave to forward one request.
///
/// INVARIANT: only [`Judge::spend`] makes one, from the results of all phases before it.
#[derive(Debug)]
pub struct Permit<A> {
    route: Arc<Route<A>>,
    carried: Carried,
    would_deny: WouldDeny,
}

impl<A> Permit<A> {
    /// The route.
    pub fn route(&self) -> &Arc<Route<A>> {
        &self.route
    }

    /// Who calls; none on a public route.
    pub fn principal(&self) -> Option<&Arc<Credential>> {
        self.carried.credentials.first()
    }

    /// All credentials that carried the decision.
    pub fn credentials(&self) -> &[Arc<Credential>] {
        &self.carried.credentials
    }

    /// The last moment at which the person's sign-in is as fresh as the route asks, if it asks.
    pub fn until(&self) -> Option<UnixMs> {
        self.carried.until
    }

    /// Rules in shadow that would have refused.
    pub fn would_deny(&self) -> &[Code] {
        &self.would_deny
    }
}

impl<A> Routed<A> {
    /// The route.
    pub fn route(&self) -> &Arc<Route<A>> {
        &self.route
    }
}

impl<A> Admitted<A> {
    /// The route.
    pub fn route(&self) -> &Arc<Route<A>> {
        &self.0.route
    }
}

/// What phase Authenticate came to.
#[derive(Debug)]
pub enum Step<A> {
    /// Go on.
    Done(Authenticated<A>),
    /// Look this up and ask again.
    Need(Admitted<A>, Lookup),
}

/// Why no route was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoRoute {
    /// Nothing at this host and path.
    NotFound,
    /// Something, with other methods.
    MethodNotAllowed {
        /// The value of `Allow`.
        allow: String,
    },
}

impl<A> Judge<'_, A> {
    /// Phase Route: finds the route of a canonical path.
    ///
    /// # Errors
    /// When none matches.
    pub fn route(&self, host: &str, path: &str, method: &str) -> Result<Routed<A>, NoRoute> {
        match self.snapshot.policy.table.find(host, path, method) {
            Match::Found(index) => {
                let route = self.snapshot.policy.routes.get(index).ok_or(NoRoute::NotFound)?;
                Ok(Routed { route: route.clone(), would_deny: SmallVec::new() })
            }
            Match::MethodNotAllowed(allowed) => {
                Err(NoRoute::MethodNotAllowed { allow: allowed.to_string() })
            }
            Match::NotFound => Err(NoRoute::NotFound),
        }
    }

    /// Phase Limit: limits by address and by route.
    ///
    /// # Errors
    /// When one is reached.
    pub fn admit(
        &self,
        mut routed: Routed<A>,
        ip: IpAddr,
        counters: &dyn Counters,
    ) -> Result<Admitted<A>, Denial> {
        for (number, rate) in routed.route.rates.iter().enumerate() {
            let key = match rate.by {
                By::Address => LimitKey::address(&routed.route.name, number, ip),
                By::Route => LimitKey::route(&routed.route.name, number),
                By::Principal => continue,
            };
            let shadow = routed.route.shadow.rate;
            if let Spend::Exceeded { retry_after } = counters.spend(&key, rate, self.monotonic) {
                if shadow {
                    routed.would_deny.push(code::RATE_EXCEEDED);
                } else {
                    return Err(exceeded(Phase::Limit, number, retry_after));
                }
            }
        }
        Ok(Admitted(routed))
    }

    /// Phase Authenticate: runs the route's schemes. `asking` says what look-ups brought, and whether
    /// another may be asked for.
    ///
    /// # Errors
    /// When a credential is invalid.
    pub fn authenticate(
        &self,
        admitted: Admitted<A>,
        presented: Presented<'_>,
        asking: Asking<'_>,
    ) -> Result<Step<A>, Denial> {
        let routed = admitted.0;
        if routed.route.is_public() {
            return Ok(Step::Done(Authenticated { routed, found: Found::default() }));
        }
        let context = Context {
            snapshot: self.snapshot,
            route: &*routed.route,
            cache: self.cache,
            tools: self.tools,
            now: self.now,
            asking,
        };
        match schemes::authenticate(&context, presented) {
            Err(mut denial) => {
                denial.scopes = routed.route.scopes_text.clone();
                Err(denial)
            }
            Ok(Ok(found)) => {
                // A credential of a kind that the route does not take is told apart from none at all.
                if found.credentials.is_empty()
                    && (presented.authorization.is_some() || presented.api_key.is_some())
                {
                    let mut denial = Denial::new(code::CREDENTIAL_WRONG_KIND, Phase::Authenticate);
                    denial.scopes = routed.route.scopes_text.clone();
                    return Err(denial);
                }
                Ok(Step::Done(Authenticated { routed, found }))
            }
            Ok(Err(lookup)) => Ok(Step::Need(Admitted(routed), lookup)),
        }
    }

    /// Phase Decide: scopes, claims, step-up, address lists. Pure.
    ///
    /// # Errors
    /// When a condition does not hold.
    pub fn decide(
        &self,
        authenticated: Authenticated<A>,
        ip: IpAddr,
    ) -> Result<Decided<A>, Denial> {
        let Authenticated { mut routed, found: Found { credentials, proof } } = authenticated;
        let route = &routed.route;
        let scopes = route.scopes_text.as_ref();
        let carried = decide::evaluate(&route.access, &credentials, scopes, self.now)
            .map_err(|denial| denial.of(credentials.first()))?;
        if let Err(denial) = self.lists(route, ip) {
            if !route.shadow.ip {
                return Err(denial.of(carried.credentials.first()));
            }
            routed.would_deny.push(denial.code);
        }
        if let Some(shadowed) = &routed.route.shadowed
            && let Err(denial) = decide::evaluate(shadowed, &credentials, None, self.now)
        {
            routed.would_deny.push(denial.code);
        }
        Ok(Decided { routed, carried, proof })
    }

    /// Any of the named lists must allow; one that denies by name wins over all.
    fn lists(&self, route: &Route<A>, ip: IpAddr) -> Result<(), Denial> {
        if route.lists.is_empty() {
            return Ok(());
        }
        let mut allowed = false;
        for index in &route.lists {
            let Some(named) = self.snapshot.lists.get(*index) else { continue };
            match named.list.judge(ip, self.now) {
                Verdict::Denied { .. } => {
                    return Err(Denial::new(code::ADDRESS_DENIED, Phase::Decide)
                        .detail(format!("list {}", named.name)));
                }
                Verdict::Allowed { .. } => allowed = true,
                Verdict::NotListed => {}
            }
        }
        if allowed {
            return Ok(());
        }
        let names: Vec<&str> = route
            .lists
            .iter()
            .filter_map(|index| self.snapshot.lists.get(*index).map(|named| &*named.name))
            .collect();
        Err(Denial::new(code::ADDRESS_NOT_LISTED, Phase::Decide)
            .detail(format!("list {}", names.join(", "))))
    }

    /// Phase Spend: limits by principal, proofs that count once. The last step: what it gives is leave to forward.
    ///
    /// # Errors
    /// When a limit is reached, or a proof was used before.
    pub fn spend(
        &self,
        decided: Decided<A>,
        ip: IpAddr,
        counters: &dyn Counters,
    ) -> Result<Permit<A>, Denial> {
        let Decided { routed, carried, proof } = decided;
        let Routed { route, mut would_deny } = routed;
        // WHY: looked at before the limits and taken after: who sends another's proof again uses up none of his
        // limit, and who is over his limit fills no table.
        let who = &carried.credentials;
        self.unused(&route, who, proof.as_ref())?;
        for (number, rate) in route.rates.iter().enumerate() {
            if rate.by != By::Principal {
                continue;
            }
            let key = match who.first() {
                Some(who) => {
                    let (scheme, issuer, subject) = who.principal_key();
                    LimitKey::principal(&route.name, number, (scheme, issuer, subject))
                }
                // On a public route nobody has a name; the address stands in for it.
                None => LimitKey::address(&route.name, number, ip),
            };
            if let Spend::Exceeded { retry_after } = counters.spend(&key, rate, self.monotonic) {
                if route.shadow.rate {
                    would_deny.push(code::RATE_EXCEEDED);
                } else {
                    return Err(exceeded(Phase::Spend, number, retry_after).of(who.first()));
                }
            }
        }
        self.use_up(&route, who, proof.as_ref())?;
        Ok(Permit { route, carried, would_deny })
    }

    /// RFC 9449 §11.1: a proof that was used is refused.
    fn unused(
        &self,
        route: &Route<A>,
        carried: &[Arc<Credential>],
        proof: Option<&Proof>,
    ) -> Result<(), Denial> {
        let known = |it: &Proof| self.tools.replays.knows(once(it), self.monotonic);
        match proof.is_some_and(known) {
            true => Err(not_once(code::DPOP_REPLAYED, route, carried)),
            false => Ok(()),
        }
    }

    /// RFC 9449 §11.1: a proof is used once, by whichever of several requests comes first.
    fn use_up(
        &self,
        route: &Route<A>,
        carried: &[Arc<Credential>],
        proof: Option<&Proof>,
    ) -> Result<(), Denial> {
        let Some(proof) = proof else { return Ok(()) };
        let left = u64::try_from(proof.until.since(self.now).as_nanos()).unwrap_or(u64::MAX);
        let until = Monotonic(self.monotonic.0.saturating_add(left));
        match self.tools.replays.take(once(proof), until, self.monotonic) {
            Used::First => Ok(()),
            Used::Again => Err(not_once(code::DPOP_REPLAYED, route, carried)),
            Used::Full => {
                let mut denial = not_once(code::DPOP_FULL, route, carried);
                denial.retry_after = Some(protocol::dpop::PROOF_AGE);
                Err(denial)
            }
        }
    }
}

fn once(proof: &Proof) -> Once<'_> {
    Once { key: &proof.jkt, id: &proof.jti }
}

fn not_once<A>(code: Code, route: &Route<A>, carried: &[Arc<Credential>]) -> Denial {
    let mut denial = Denial::new(code, Phase::Spend).of(carried.first());
    denial.scopes = route.scopes_text.clone();
    denial
}

fn exceeded(phase: Phase, number: usize, retry_after: std::time::Duration) -> Denial {
    let mut denial = Denial::new(code::RATE_EXCEEDED, phase)
        .detail(format!("limit {} of the route", number + 1));
    denial.retry_after = Some(retry_after);
    denial
}
