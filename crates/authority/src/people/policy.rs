//! What is asked of a person, and what of it is missing.
//!
//! Never does: read a clock or a store. Pure.
//!
//! Invariant: what is offered can meet the need; where nothing can, that is said and nothing is let through.

use super::level::{self, Level, Proof};
use super::records::{AuthenticatorData, AuthenticatorRecord, FactorKind};
use base::UnixMs;
use std::time::Duration;

/// A rule of the file: who signs in how (`[[sign_in]]`). All that match hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// What people call it; stands in records.
    pub name: String,
    /// For people in any of these groups; empty: for everybody.
    pub groups: Vec<String>,
    /// For sign-ins to any of these clients; empty: to all.
    pub clients: Vec<String>,
    /// To which level at least.
    pub level: Level,
    /// How long ago at most the person proved themselves.
    pub max_age: Option<Duration>,
    /// By which second factors; empty: by any.
    pub factors: Vec<FactorKind>,
}

impl Policy {
    /// Whether it is about a person of these groups at this client (`None`: our own pages).
    pub fn matches(&self, groups: &[String], client: Option<&str>) -> bool {
        let group = self.groups.is_empty() || self.groups.iter().any(|it| groups.contains(it));
        let client = self.clients.is_empty()
            || client.is_some_and(|client| self.clients.iter().any(|it| it == client));
        group && client
    }
}

/// What a sign-in must reach.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Need {
    /// To which level at least.
    pub level: Level,
    /// Not before this time.
    pub since: Option<UnixMs>,
    /// By which second factors; empty: by any.
    pub factors: Vec<FactorKind>,
}

impl Need {
    /// One factor, whenever.
    pub const LEAST: Self = Self { level: Level::Aal1, since: None, factors: Vec::new() };

    /// What a person's account asks for whatever they do: two factors where there are two, and what policies say. A
    /// rule of freshness is about what is asked just now, so it does not count here.
    pub fn baseline(policies: &[Policy], groups: &[String], owned: &[AuthenticatorRecord]) -> Self {
        let mut need = Self::LEAST;
        if owned.iter().any(|it| it.kind().is_second()) {
            need.level = Level::Aal2;
        }
        for policy in policies.iter().filter(|it| it.matches(groups, None)) {
            need.add_level(policy);
        }
        need
    }

    fn add_level(&mut self, policy: &Policy) {
        self.level = self.level.max(policy.level);
        if !policy.factors.is_empty() {
            // All that match hold: what every one of them allows.
            let allowed = |it: &FactorKind| self.factors.is_empty() || self.factors.contains(it);
            self.factors = policy.factors.iter().copied().filter(allowed).collect();
            if self.factors.is_empty() {
                // Nothing is allowed by all: nothing can meet it.
                self.factors = vec![FactorKind::Device];
            }
        }
    }

    /// Adds the rules for a client.
    pub fn add(&mut self, policies: &[Policy], groups: &[String], client: &str, now: UnixMs) {
        for policy in policies.iter().filter(|it| it.matches(groups, Some(client))) {
            self.add_level(policy);
            if let Some(max_age) = policy.max_age {
                self.not_before(now.minus(max_age));
            }
        }
    }

    /// Not before this time either.
    pub fn not_before(&mut self, since: UnixMs) {
        self.since = Some(self.since.map_or(since, |it| it.max(since)));
    }

    /// Whether these proofs meet it.
    pub fn is_met(&self, proofs: &[Proof]) -> bool {
        let second = self.factors.is_empty()
            || self.level < Level::Aal2
            || proofs.iter().any(|it| self.factors.contains(&it.kind));
        level::level(proofs) >= Some(self.level)
            && second
            && self.since.is_none_or(|since| level::auth_time(proofs) >= Some(since))
    }
}

/// What may be asked of a person next.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Offers {
    /// Their password.
    pub password: bool,
    /// A code of their app.
    pub totp: bool,
    /// A passkey; with whether it must check PIN or biometric by itself.
    pub passkey: Option<bool>,
    /// A recovery code.
    pub recovery: bool,
    /// A sign-in at a provider that is linked. What the provider will say of it is not known, so it counts as one factor.
    pub federated: bool,
}

/// What stands between a person and what they want.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Missing {
    /// Nothing.
    Nothing,
    /// One of these.
    Proof(Offers),
    /// A second factor that they do not have yet.
    Enrolment,
    /// Nothing that they have, or may add, reaches it.
    Unreachable,
}

/// What is missing of `need` at `now`. `password`: whether the account has one.
pub fn missing(
    need: &Need,
    proofs: &[Proof],
    owned: &[AuthenticatorRecord],
    (password, now): (bool, UnixMs),
) -> Missing {
    if need.is_met(proofs) {
        return Missing::Nothing;
    }
    let offers = offers(need, proofs, &candidates(owned, password, now));
    if offers != Offers::default() {
        return Missing::Proof(offers);
    }
    let enrollable = need.factors.is_empty() || need.factors.iter().any(|it| it.is_second());
    // Only where there is no second factor at all: else whoever has stolen the first would add one of their own.
    let none = !owned.iter().any(|it| it.kind().is_second());
    match enrollable && none && level::level(proofs).is_some() {
        true => Missing::Enrolment,
        false => Missing::Unreachable,
    }
}

/// The proofs that the person could give now.
fn candidates(owned: &[AuthenticatorRecord], password: bool, now: UnixMs) -> Vec<Proof> {
    let mut all = Vec::new();
    if password {
        all.push(Proof::new(FactorKind::Password, None, now));
    }
    for it in owned {
        let usable = match &it.data {
            AuthenticatorData::Recovery { codes } => codes.iter().any(|it| it.spent_at.is_none()),
            AuthenticatorData::Federated { .. } => true,
            other => other.kind().is_second(),
        };
        if usable && !it.is_shut() {
            let mut proof = Proof::new(it.kind(), Some(it.id.clone()), now);
            proof.verified = it.kind() == FactorKind::Passkey;
            proof.hardware = matches!(it.data, AuthenticatorData::Passkey { hardware: true, .. });
            all.push(proof);
        }
    }
    all
}

/// Those that help: with it, and perhaps one more, the need is met, and without it not.
fn offers(need: &Need, proofs: &[Proof], candidates: &[Proof]) -> Offers {
    let met = |more: &[&Proof]| {
        let add = |all, one: &&Proof| level::with(all, (*one).clone());
        need.is_met(&more.iter().fold(proofs.to_vec(), add))
    };
    let helps = |it: &Proof| {
        met(&[it]) || candidates.iter().any(|other| met(&[it, other]) && !met(&[other]))
    };
    let mut offers = Offers::default();
    for it in candidates.iter().filter(|it| helps(it)) {
        match it.kind {
            FactorKind::Password => offers.password = true,
            FactorKind::Totp => offers.totp = true,
            FactorKind::Recovery => offers.recovery = true,
            FactorKind::Passkey => {
                // Whether it counts without a PIN or biometric, as possession beside what was proved.
                let plain = Proof { verified: false, ..it.clone() };
                let must_verify = offers.passkey.unwrap_or(true) && !met(&[&plain]);
                offers.passkey = Some(must_verify);
            }
            FactorKind::Federated => offers.federated = true,
            FactorKind::Device => {}
        }
    }
    offers
}

#[cfg(test)]
mod tests;
