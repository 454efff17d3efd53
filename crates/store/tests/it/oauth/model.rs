//! Grants, codes and refresh tokens beside a naive model, step by step. A failure names the seed and the step.

use super::{DAY, HOUR, MINUTE, at, code, event, grant, mac, refresh, within};
use crate::both_engines;
use crate::rig::{Rig, START};
use authority::Outbox as _;
use authority::oauth::ports::{CodeCompany, GrantStore as _, Redeemed, Rotated};
use authority::oauth::records::{
    CodeRecord, GrantRecord, Mac, NewRefresh, Revocation, RevocationKind,
};
use base::{UnixMs, code as codes};
use std::collections::{BTreeSet, HashMap};

both_engines!(many_steps_end_as_in_the_model);

/// Steps of one seed.
const STEPS: u64 = 400;

/// xorshift64*.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % n
    }

    fn index(&mut self, n: u64) -> usize {
        usize::try_from(self.below(n)).unwrap()
    }

    /// One of the keys that there were, living or not.
    fn pick(&mut self, all: &[Mac]) -> Option<Mac> {
        let newest = u64::try_from(all.len()).unwrap();
        if newest == 0 {
            return None;
        }
        // Mostly a recent one.
        let back =
            self.below(newest).min(self.below(newest)).min(self.below(6) + self.below(3) * 40);
        all.get(usize::try_from(newest - 1 - back.min(newest - 1)).unwrap()).copied()
    }
}

struct Code {
    record: CodeRecord,
    spent: bool,
}

struct Token {
    new: NewRefresh,
    expires_at: UnixMs,
    /// When, and the child that was made, unless it was wiped.
    spent: Option<(UnixMs, Option<Vec<u8>>)>,
}

#[derive(Debug, PartialEq)]
enum Outcome {
    Nothing,
    Grant(GrantRecord),
    Same(GrantRecord, Vec<u8>),
    Ended(String),
}

impl Outcome {
    fn name(&self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::Grant(_) => "grant",
            Self::Same(..) => "same",
            Self::Ended(_) => "ended",
        }
    }
}

#[derive(Default)]
struct Model {
    now: i64,
    grants: HashMap<String, GrantRecord>,
    codes: HashMap<Mac, Code>,
    tokens: HashMap<Mac, Token>,
    cuts: HashMap<(RevocationKind, String), i64>,
    events: usize,
}

impl Model {
    /// The grant as a reader must see it.
    fn grant(&self, id: &str) -> Option<GrantRecord> {
        let mut grant = self.grants.get(id)?.clone();
        if grant.revoked_at.is_none() {
            let user = grant.user.clone().unwrap_or_default();
            let of =
                [(RevocationKind::Subject, user), (RevocationKind::Client, grant.client.clone())];
            let cuts = of.iter().filter_map(|it| self.cuts.get(it).copied());
            grant.revoked_at = cuts.map(at).find(|cut| *cut >= grant.created_at);
        }
        Some(grant)
    }

    fn live(&self, id: &str) -> Option<GrantRecord> {
        let grant = self.grant(id)?;
        (grant.revoked_at.is_none() && grant.expires_at > at(self.now)).then_some(grant)
    }

    fn end(&mut self, id: &str) -> Outcome {
        let now = at(self.now);
        self.grants.get_mut(id).unwrap().revoked_at.get_or_insert(now);
        self.events += 1;
        Outcome::Ended(id.to_owned())
    }

    fn keep(&mut self, new: NewRefresh, grant: &GrantRecord) -> Outcome {
        let expires_at = new.record.expires_at;
        self.tokens.insert(new.mac, Token { new, expires_at, spent: None });
        self.events += 1;
        Outcome::Grant(grant.clone())
    }

    fn redeem(&mut self, mac: Mac, new: NewRefresh) -> Outcome {
        let Some(code) = self.codes.get(&mac) else { return Outcome::Nothing };
        let (id, expires_at) = (code.record.grant.clone(), code.record.expires_at);
        // A grant that was swept away took its code with it, as far as anybody can see.
        let Some(seen) = self.grant(&id) else { return Outcome::Nothing };
        if code.spent {
            return self.end(&seen.id);
        }
        let Some(grant) = self.live(&id).filter(|_| expires_at > at(self.now)) else {
            return Outcome::Nothing;
        };
        self.codes.get_mut(&mac).unwrap().spent = true;
        self.keep(new, &grant)
    }

    fn rotate(&mut self, mac: Mac, child: NewRefresh) -> Outcome {
        let now = at(self.now);
        let Some(parent) = self.tokens.get(&mac) else { return Outcome::Nothing };
        let Some(grant) = self.live(&parent.new.record.grant) else { return Outcome::Nothing };
        match &parent.spent {
            None if parent.expires_at <= now => Outcome::Nothing,
            None => {
                let sealed = child.sealed.expose().clone();
                self.tokens.get_mut(&mac).unwrap().spent = Some((now, Some(sealed)));
                self.keep(child, &grant)
            }
            Some((then, _)) if now.0 - then.0 > 10_000 => self.end(&grant.id),
            Some((_, None)) => Outcome::Nothing,
            Some((_, Some(sealed))) => {
                self.events += 1;
                Outcome::Same(grant, sealed.clone())
            }
        }
    }

    fn sweep(&mut self) {
        let now = self.now;
        for token in self.tokens.values_mut() {
            if let Some((then, child)) = &mut token.spent
                && at(now).0 - then.0 > 12_000
            {
                *child = None;
            }
        }
        let ended = |it: UnixMs| it.0 < at(now).0 - HOUR;
        let grants = &mut self.grants;
        self.codes.retain(|_, code| {
            if ended(code.record.expires_at) && !code.spent {
                grants.remove(&code.record.grant);
            }
            !ended(code.record.expires_at)
        });
        grants.retain(|_, grant| !ended(grant.expires_at));
        self.tokens.retain(|_, token| grants.contains_key(&token.new.record.grant));
    }
}

/// The store and the model, and every key that either has seen.
struct Pair<'r> {
    rig: &'r Rig,
    model: Model,
    dice: Dice,
    people: [Option<String>; 3],
    clients: [String; 2],
    codes: Vec<Mac>,
    tokens: Vec<Mac>,
    /// Which answers there were, so that the walk is known to come by everywhere.
    seen: BTreeSet<(&'static str, &'static str)>,
}

impl Pair<'_> {
    fn event(&self) -> base::Event {
        event(codes::TOKEN_ISSUED, self.model.now)
    }

    async fn step(&mut self) {
        match self.dice.below(20) {
            0..=2 => self.give().await,
            3..=4 => self.redeem().await,
            5..=13 => self.rotate().await,
            14 => self.keep().await,
            15 => self.revoke().await,
            16 => {
                self.rig.store.sweep(at(self.model.now)).await.unwrap();
                self.model.sweep();
            }
            17 => self.model.now += i64::try_from(self.dice.below(30_000)).unwrap(),
            18 if self.dice.below(8) == 0 => {
                self.model.now += [HOUR, 3 * HOUR, DAY, 15 * DAY][self.dice.index(4)];
            }
            _ => self.model.now += i64::try_from(self.dice.below(2_000)).unwrap(),
        }
    }

    fn some_grant(&mut self) -> GrantRecord {
        let mut grant = grant();
        grant.user = self.people[self.dice.index(3)].clone();
        grant.client = self.clients[self.dice.index(2)].clone();
        grant.created_at = at(self.model.now);
        let lives = [20 * MINUTE, 30 * DAY, 30 * DAY][self.dice.index(3)];
        grant.expires_at = at(self.model.now + lives);
        grant
    }

    async fn give(&mut self) {
        let (grant, mac, event) = (self.some_grant(), mac(), self.event());
        let record = CodeRecord { expires_at: at(self.model.now + MINUTE), ..code(&grant) };
        let company = CodeCompany::default();
        let code = (mac, record.clone());
        self.rig.store.create_code(grant.clone(), code, company, event).await.unwrap();
        self.model.events += 1;
        self.model.codes.insert(mac, Code { record, spent: false });
        self.model.grants.insert(grant.id.clone(), grant);
        self.codes.push(mac);
    }

    /// A token for whatever grant the call finds; the store sets it.
    fn some_token(&mut self, grant: Option<String>) -> NewRefresh {
        let mut new = refresh(&grant_of(grant), self.model.now);
        let lives = [MINUTE, 14 * DAY, 14 * DAY, 14 * DAY][self.dice.index(4)];
        new.record.expires_at = at(self.model.now + lives);
        new
    }

    /// Tokens that were kept are used again, and some that were not.
    fn saw(&mut self, call: &'static str, done: &Outcome, mac: Mac) {
        self.seen.insert((call, done.name()));
        if matches!(done, Outcome::Grant(_)) || self.dice.below(8) == 0 {
            self.tokens.push(mac);
        }
    }

    async fn redeem(&mut self) {
        let Some(mac) = self.dice.pick(&self.codes) else { return };
        let grant = self.model.codes.get(&mac).map(|it| it.record.grant.clone());
        let (new, event) = (self.some_token(grant), self.event());
        let done =
            self.rig.store.redeem_code(mac, Some(new.clone()), at(self.model.now), event).await;
        let done = match done.unwrap() {
            Redeemed::Now(grant) => Outcome::Grant(grant),
            Redeemed::Twice { grant, .. } => Outcome::Ended(grant),
            Redeemed::Gone => Outcome::Nothing,
        };
        self.saw("redeem", &done, new.mac);
        assert_eq!(done, self.model.redeem(mac, new));
    }

    async fn rotate(&mut self) {
        let Some(mac) = self.dice.pick(&self.tokens) else { return };
        let grant = self.model.tokens.get(&mac).map(|it| it.new.record.grant.clone());
        let (new, event) = (self.some_token(grant), self.event());
        let done =
            self.rig.store.rotate_refresh(mac, new.clone(), within(self.model.now), event).await;
        let done = match done.unwrap() {
            Rotated::Now(grant) => Outcome::Grant(grant),
            Rotated::Same(grant, sealed) => Outcome::Same(grant, sealed),
            Rotated::Reused { grant, .. } => Outcome::Ended(grant),
            Rotated::Gone => Outcome::Nothing,
        };
        self.saw("rotate", &done, new.mac);
        assert_eq!(done, self.model.rotate(mac, new));
    }

    async fn keep(&mut self) {
        let Some(mac) = self.dice.pick(&self.tokens) else { return };
        let (until, now) = (at(self.model.now + DAY), at(self.model.now));
        let done = self.rig.store.keep_refresh(mac, until, now, self.event()).await.unwrap();
        let token = self.model.tokens.get(&mac);
        let token = token.filter(|it| it.spent.is_none() && it.expires_at > now);
        let expected = token.and_then(|it| self.model.live(&it.new.record.grant));
        assert_eq!(done, expected);
        if done.is_some() {
            self.model.events += 1;
            let token = self.model.tokens.get_mut(&mac).unwrap();
            token.expires_at = token.expires_at.max(until);
        }
    }

    async fn revoke(&mut self) {
        let (now, event) = (self.model.now, self.event());
        let (kind, value) = match self.dice.below(20) {
            0 => (RevocationKind::Subject, self.people[1].clone().unwrap()),
            1 => (RevocationKind::Client, self.clients[1].clone()),
            _ => {
                let Some(mac) = self.dice.pick(&self.codes) else { return };
                let Some(id) = self.model.codes.get(&mac).map(|it| it.record.grant.clone()) else {
                    return;
                };
                let done = self.rig.store.revoke_grant(id.clone(), at(now), at(now + HOUR), event);
                let there = self.model.grants.contains_key(&id);
                assert_eq!(done.await.unwrap().is_some(), there);
                if there {
                    self.model.end(&id);
                }
                return;
            }
        };
        let (not_before, until) = (at(now), at(now + HOUR));
        let cut = Revocation { kind, value: value.clone(), not_before, until };
        self.rig.store.revoke(cut, event).await.unwrap();
        self.model.events += 1;
        self.model.cuts.insert((kind, value), now);
    }

    /// Everything that was ever seen is as in the model.
    async fn compare(&self) {
        for mac in &self.codes {
            let kept = self.rig.store.code(*mac).await.unwrap();
            let code = self.model.codes.get(mac).map(|it| it.record.clone());
            let expected = code.and_then(|it| Some((it.clone(), self.model.grant(&it.grant)?)));
            assert_eq!(kept, expected);
        }
        for mac in &self.tokens {
            let kept = self.rig.store.refresh(*mac).await.unwrap();
            let expected = self.model.tokens.get(mac).map(|it| {
                let mut record = it.new.record.clone();
                record.expires_at = it.expires_at;
                record.spent_at = it.spent.as_ref().map(|(then, _)| *then);
                (record.clone(), self.model.grant(&record.grant).unwrap())
            });
            assert_eq!(kept, expected);
        }
        assert_eq!(self.rig.events().await.len(), self.model.events);
    }
}

/// A grant with this id, or with one of its own.
fn grant_of(id: Option<String>) -> GrantRecord {
    let mut grant = grant();
    grant.id = id.unwrap_or(grant.id);
    grant
}

async fn many_steps_end_as_in_the_model(rig: Rig) {
    for seed in 1..=u64::from(testkit::rounds(3)) {
        println!("seed {seed}");
        let mut pair = Pair {
            rig: &rig,
            model: Model::default(),
            dice: Dice(seed),
            people: [None, Some(format!("alice {seed}")), Some(format!("bob {seed}"))],
            clients: [format!("app {seed}"), format!("web {seed}")],
            codes: Vec::new(),
            tokens: Vec::new(),
            seen: BTreeSet::new(),
        };
        for step in 0..STEPS {
            println!("step {step}");
            pair.step().await;
            if step % 100 == 99 {
                pair.compare().await;
            }
        }
        let ids = rig.events().await.into_iter().map(|it| it.id).collect();
        rig.store.mark_done(ids, START).await.unwrap();
        assert_eq!(pair.seen.len(), 7, "every answer was given: {:?}", pair.seen);
    }
}
