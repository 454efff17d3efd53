//! A store in memory that keeps the ports' promises; for tests here and in crates above.
//!
//! Never does: last. Built only for tests and with the feature `memory`.
//!
//! Invariant: each method holds the one lock from beginning to end, so that it is one transaction.

use super::ports::{
    AuthorityStore, ClientStore, CodeCompany, DeviceStore, GrantStore, PeopleStore, Polled,
    Redeemed, Rotated, TextPage, Window,
};
use super::records::{
    AccessRecord, ClientRecord, CodeRecord, ConsentRecord, DeviceRecord, DeviceState, GrantRecord,
    KeyStage, Mac, NewRefresh, PushedRecord, RefreshRecord, Revocation, RevocationKind,
    ScopeRecord, SessionRecord, SigningKeyRecord, TrustRecord, UserRecord,
};
use super::settings::ACCESS_TOKEN_LONGEST;
use crate::error::PortError;
use crate::ports::{Answer, AuditLog};
use crate::records::Change;
use base::{BoxFuture, Event, UnixMs};
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

#[derive(Debug, Clone)]
struct KeptRefresh {
    record: RefreshRecord,
    sealed: Vec<u8>,
    /// When it was spent, and for which child.
    spent: Option<(UnixMs, Mac)>,
}

#[derive(Debug, Default)]
struct State {
    clients: BTreeMap<String, ClientRecord>,
    users: BTreeMap<String, UserRecord>,
    sessions: BTreeMap<Mac, SessionRecord>,
    consents: BTreeMap<(String, String), ConsentRecord>,
    grants: BTreeMap<String, GrantRecord>,
    codes: BTreeMap<Mac, (CodeRecord, bool)>,
    refresh: BTreeMap<Mac, KeptRefresh>,
    revocations: BTreeMap<(RevocationKind, String), Revocation>,
    access: BTreeMap<Mac, AccessRecord>,
    pushed: BTreeMap<Mac, PushedRecord>,
    once: BTreeMap<Mac, UnixMs>,
    devices: BTreeMap<Mac, DeviceRecord>,
    keys: Vec<SigningKeyRecord>,
    trusts: BTreeMap<String, TrustRecord>,
    scopes: BTreeMap<String, ScopeRecord>,
    events: Vec<Event>,
    feed: Vec<Change>,
    broken: bool,
}

impl State {
    /// Appends to the feed and the events; the number of the feed row.
    fn change(&mut self, change: Change, event: Event) -> i64 {
        self.events.push(event);
        self.feed.push(change);
        i64::try_from(self.feed.len()).unwrap_or(i64::MAX)
    }

    fn revoked(&mut self, revocation: Revocation, event: Event) -> i64 {
        let key = (revocation.kind, revocation.value.clone());
        let kept = self.revocations.entry(key).or_insert_with(|| revocation.clone());
        if kept.not_before < revocation.not_before {
            *kept = revocation.clone();
        }
        self.change(Change::Revoked(revocation), event)
    }

    fn living(&self, grant: &str, now: UnixMs) -> Option<GrantRecord> {
        let grant = self.grants.get(grant)?;
        (grant.revoked_at.is_none() && now < grant.expires_at).then(|| grant.clone())
    }

    fn end_grant(&mut self, id: &str, now: UnixMs, until: UnixMs, event: Event) -> Option<i64> {
        let grant = self.grants.get_mut(id)?;
        grant.revoked_at.get_or_insert(now);
        let value = id.to_owned();
        let revocation = Revocation { kind: RevocationKind::Grant, value, not_before: now, until };
        Some(self.revoked(revocation, event))
    }

    fn keep_refresh(&mut self, refresh: Option<NewRefresh>) {
        if let Some(NewRefresh { mac, record, sealed }) = refresh {
            let kept = KeptRefresh { record, sealed: sealed.expose().clone(), spent: None };
            self.refresh.insert(mac, kept);
        }
    }
}

/// The store.
#[derive(Debug, Default)]
pub struct Memory(Mutex<State>);

impl Memory {
    /// The events so far, which are then forgotten.
    pub fn take_events(&self) -> Vec<Event> {
        std::mem::take(&mut self.lock().events)
    }

    /// The feed's rows after `seq`.
    pub fn changes_after(&self, seq: usize) -> Vec<Change> {
        self.lock().feed.get(seq..).unwrap_or_default().to_vec()
    }

    /// From now on nothing answers, or (`false`) all is well again.
    pub fn set_broken(&self, broken: bool) {
        self.lock().broken = broken;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run<T: Send + 'static>(
        &self,
        act: impl FnOnce(&mut State) -> Result<T, PortError>,
    ) -> Answer<'static, T> {
        let mut state = self.lock();
        let outcome = match state.broken {
            true => Err(PortError::Unavailable("it is switched off".to_owned())),
            false => act(&mut state),
        };
        Box::pin(std::future::ready(outcome))
    }
}

fn page<T: Clone>(from: &BTreeMap<String, T>, page: &TextPage) -> Vec<T> {
    let rows = usize::try_from(page.rows).unwrap_or(usize::MAX);
    let after = from.iter().filter(|(id, _)| page.after.is_empty() || **id > page.after);
    after.take(rows).map(|(_, record)| record.clone()).collect()
}

fn after(now: UnixMs) -> UnixMs {
    now.plus(ACCESS_TOKEN_LONGEST).plus(base::limits::CLOCK_SKEW)
}

impl AuditLog for Memory {
    fn record(&self, event: Event) -> Answer<'_, ()> {
        self.run(|state| {
            state.events.push(event);
            Ok(())
        })
    }
}

impl super::Evidence for Memory {
    fn record_synced(&self, event: Event) -> BoxFuture<'_, Result<(), String>> {
        let recorded = self.record(event);
        Box::pin(async move { recorded.await.map_err(|error| error.to_string()) })
    }
}

impl ClientStore for Memory {
    fn create_client(&self, client: ClientRecord, event: Event) -> Answer<'_, i64> {
        self.run(|state| {
            if state.clients.contains_key(&client.id) {
                return Err(PortError::Conflict);
            }
            let id = client.id.clone();
            state.clients.insert(id.clone(), client);
            Ok(state.change(Change::ClientChanged(id), event))
        })
    }

    fn replace_client(
        &self,
        before: ClientRecord,
        after: ClientRecord,
        revoke: Option<Revocation>,
        event: Event,
    ) -> Answer<'_, Option<i64>> {
        self.run(|state| {
            if state.clients.get(&before.id) != Some(&before) {
                return Ok(None);
            }
            if let Some(revocation) = revoke {
                state.revoked(revocation, event.clone());
                state.events.pop();
            }
            let id = after.id.clone();
            state.clients.insert(id.clone(), after);
            Ok(Some(state.change(Change::ClientChanged(id), event)))
        })
    }

    fn remove_client(
        &self,
        id: String,
        revoke: Revocation,
        event: Event,
    ) -> Answer<'_, Option<i64>> {
        self.run(|state| {
            if state.clients.remove(&id).is_none() {
                return Ok(None);
            }
            state.revoked(revoke, event.clone());
            state.events.pop();
            state.grants.retain(|_, grant| grant.client != id);
            Ok(Some(state.change(Change::ClientChanged(id), event)))
        })
    }

    fn client(&self, id: String) -> Answer<'_, Option<ClientRecord>> {
        self.run(|state| Ok(state.clients.get(&id).cloned()))
    }

    fn clients(&self, from: TextPage) -> Answer<'_, Vec<ClientRecord>> {
        self.run(|state| Ok(page(&state.clients, &from)))
    }
}

impl PeopleStore for Memory {
    fn create_user(&self, user: UserRecord, event: Event) -> Answer<'_, i64> {
        self.run(|state| {
            let taken = |own: &UserRecord| own.id == user.id || own.email == user.email;
            if state.users.values().any(taken) {
                return Err(PortError::Conflict);
            }
            let id = user.id.clone();
            state.users.insert(id.clone(), user);
            Ok(state.change(Change::UserChanged(id), event))
        })
    }

    fn replace_user(
        &self,
        before: UserRecord,
        after: UserRecord,
        revoke: Option<Revocation>,
        event: Event,
    ) -> Answer<'_, Option<i64>> {
        self.run(|state| {
            if state.users.get(&before.id) != Some(&before) {
                return Ok(None);
            }
            if let Some(revocation) = revoke {
                state.revoked(revocation, event.clone());
                state.events.pop();
                state.sessions.retain(|_, session| session.user != before.id);
            }
            let id = after.id.clone();
            state.users.insert(id.clone(), after);
            Ok(Some(state.change(Change::UserChanged(id), event)))
        })
    }

    fn user(&self, id: String) -> Answer<'_, Option<UserRecord>> {
        self.run(|state| Ok(state.users.get(&id).cloned()))
    }

    fn user_by_email(&self, email: String) -> Answer<'_, Option<UserRecord>> {
        self.run(|state| Ok(state.users.values().find(|user| user.email == email).cloned()))
    }

    fn users(&self, from: TextPage) -> Answer<'_, Vec<UserRecord>> {
        self.run(|state| Ok(page(&state.users, &from)))
    }

    fn create_session(&self, mac: Mac, session: SessionRecord, event: Event) -> Answer<'_, ()> {
        self.run(|state| {
            state.sessions.insert(mac, session);
            state.events.push(event);
            Ok(())
        })
    }

    fn session(&self, mac: Mac, now: UnixMs) -> Answer<'_, Option<SessionRecord>> {
        self.run(|state| {
            Ok(state.sessions.get(&mac).filter(|session| now < session.expires_at).cloned())
        })
    }

    fn replace_session(&self, mac: Mac, session: SessionRecord) -> Answer<'_, bool> {
        self.run(|state| {
            let kept = state.sessions.get_mut(&mac);
            Ok(kept.map(|kept| *kept = session).is_some())
        })
    }

    fn end_session(&self, id: String, event: Event) -> Answer<'_, Option<SessionRecord>> {
        self.run(|state| {
            let found = state.sessions.iter().find(|(_, session)| session.id == id);
            let Some(mac) = found.map(|(mac, _)| *mac) else { return Ok(None) };
            state.events.push(event);
            Ok(state.sessions.remove(&mac))
        })
    }

    fn sessions(&self, user: String, now: UnixMs) -> Answer<'_, Vec<SessionRecord>> {
        self.run(|state| {
            let own = |session: &&SessionRecord| session.user == user && now < session.expires_at;
            Ok(state.sessions.values().filter(own).cloned().collect())
        })
    }

    fn consent(&self, user: String, client: String) -> Answer<'_, Option<ConsentRecord>> {
        self.run(|state| Ok(state.consents.get(&(user, client)).cloned()))
    }
}

impl GrantStore for Memory {
    fn create_code(
        &self,
        grant: GrantRecord,
        (mac, code): (Mac, CodeRecord),
        with: CodeCompany,
        event: Event,
    ) -> Answer<'_, ()> {
        self.run(|state| {
            if with.pushed.is_some_and(|pushed| state.pushed.remove(&pushed).is_none()) {
                return Err(PortError::Conflict);
            }
            if let Some(consent) = with.consent {
                state.consents.insert((consent.user.clone(), consent.client.clone()), consent);
            }
            let session =
                state.sessions.values_mut().find(|own| Some(&own.id) == with.session.as_ref());
            if let Some(session) = session.filter(|own| !own.clients.contains(&grant.client)) {
                session.clients.push(grant.client.clone());
            }
            state.grants.insert(grant.id.clone(), grant);
            state.codes.insert(mac, (code, false));
            state.events.push(event);
            Ok(())
        })
    }

    fn code(&self, mac: Mac) -> Answer<'_, Option<(CodeRecord, GrantRecord)>> {
        self.run(|state| {
            let code = state.codes.get(&mac).map(|(code, _)| code.clone());
            Ok(code.and_then(|code| {
                let grant = state.grants.get(&code.grant)?.clone();
                Some((code, grant))
            }))
        })
    }

    fn redeem_code(
        &self,
        mac: Mac,
        refresh: Option<NewRefresh>,
        now: UnixMs,
        event: Event,
    ) -> Answer<'_, Redeemed> {
        self.run(|state| {
            let Some((code, spent)) = state.codes.get(&mac).cloned() else {
                return Ok(Redeemed::Gone);
            };
            if spent {
                let event = Event { code: base::code::CODE_REUSED, ..event };
                let seq = state.end_grant(&code.grant, now, after(now), event);
                return Ok(
                    seq.map_or(Redeemed::Gone, |seq| Redeemed::Twice { grant: code.grant, seq })
                );
            }
            let Some(grant) = state.living(&code.grant, now).filter(|_| now < code.expires_at)
            else {
                return Ok(Redeemed::Gone);
            };
            state.codes.insert(mac, (code, true));
            state.keep_refresh(refresh);
            state.events.push(event);
            Ok(Redeemed::Now(grant))
        })
    }

    fn create_grant(
        &self,
        grant: GrantRecord,
        refresh: Option<NewRefresh>,
        event: Event,
    ) -> Answer<'_, ()> {
        self.run(|state| {
            state.grants.insert(grant.id.clone(), grant);
            state.keep_refresh(refresh);
            state.events.push(event);
            Ok(())
        })
    }

    fn refresh(&self, mac: Mac) -> Answer<'_, Option<(RefreshRecord, GrantRecord)>> {
        self.run(|state| {
            let record = state.refresh.get(&mac).map(|kept| kept.record.clone());
            Ok(record.and_then(|record| {
                let grant = state.grants.get(&record.grant)?.clone();
                Some((record, grant))
            }))
        })
    }

    fn rotate_refresh(
        &self,
        parent: Mac,
        child: NewRefresh,
        within: Window,
        event: Event,
    ) -> Answer<'_, Rotated> {
        self.run(|state| {
            let now = within.now;
            let Some(kept) = state.refresh.get(&parent).cloned() else { return Ok(Rotated::Gone) };
            let Some(grant) = state.living(&kept.record.grant, now) else {
                return Ok(Rotated::Gone);
            };
            match kept.spent {
                None if now >= kept.record.expires_at => Ok(Rotated::Gone),
                None => {
                    let spent = Some((now, child.mac));
                    state.refresh.insert(parent, KeptRefresh { spent, ..kept });
                    state.keep_refresh(Some(child));
                    state.events.push(event);
                    Ok(Rotated::Now(grant))
                }
                Some((at, child)) if now.0.saturating_sub(at.0) <= within.length_ms => {
                    let sealed = state.refresh.get(&child).map(|child| child.sealed.clone());
                    Ok(sealed.map_or(Rotated::Gone, |sealed| Rotated::Same(grant, sealed)))
                }
                Some(_) => {
                    let event = Event { code: base::code::REFRESH_REUSED, ..event };
                    let seq = state.end_grant(&grant.id, now, after(now), event);
                    Ok(seq.map_or(Rotated::Gone, |seq| Rotated::Reused { grant: grant.id, seq }))
                }
            }
        })
    }

    fn keep_refresh(
        &self,
        mac: Mac,
        expires_at: UnixMs,
        now: UnixMs,
        event: Event,
    ) -> Answer<'_, Option<GrantRecord>> {
        self.run(|state| {
            let Some(kept) = state.refresh.get(&mac).cloned() else { return Ok(None) };
            let grant = state.living(&kept.record.grant, now);
            if grant.is_some() && now < kept.record.expires_at && kept.spent.is_none() {
                let record = RefreshRecord { expires_at, ..kept.record };
                state.refresh.insert(mac, KeptRefresh { record, ..kept });
                state.events.push(event);
                return Ok(grant);
            }
            Ok(None)
        })
    }

    fn grant(&self, id: String) -> Answer<'_, Option<GrantRecord>> {
        self.run(|state| Ok(state.grants.get(&id).cloned()))
    }

    fn grants_of_user(&self, user: String, now: UnixMs) -> Answer<'_, Vec<GrantRecord>> {
        self.run(|state| {
            let own = state.grants.values().filter(|it| it.user.as_deref() == Some(&*user));
            Ok(own.filter(|it| it.revoked_at.is_none() && now < it.expires_at).cloned().collect())
        })
    }

    fn revoke_grant(
        &self,
        id: String,
        now: UnixMs,
        until: UnixMs,
        event: Event,
    ) -> Answer<'_, Option<i64>> {
        self.run(|state| Ok(state.end_grant(&id, now, until, event)))
    }

    fn revoke(&self, revocation: Revocation, event: Event) -> Answer<'_, i64> {
        self.run(|state| Ok(state.revoked(revocation, event)))
    }

    fn revocation(
        &self,
        kind: RevocationKind,
        value: String,
        now: UnixMs,
    ) -> Answer<'_, Option<Revocation>> {
        self.run(|state| {
            let found = state.revocations.get(&(kind, value));
            Ok(found.filter(|it| now < it.until).cloned())
        })
    }

    fn put_access(&self, mac: Mac, access: AccessRecord, event: Event) -> Answer<'_, ()> {
        self.run(|state| {
            state.access.insert(mac, access);
            state.events.push(event);
            Ok(())
        })
    }

    fn access(&self, mac: Mac, now: UnixMs) -> Answer<'_, Option<AccessRecord>> {
        self.run(|state| Ok(state.access.get(&mac).filter(|it| now < it.expires_at).cloned()))
    }

    fn push(&self, mac: Mac, pushed: PushedRecord, event: Event) -> Answer<'_, ()> {
        self.run(|state| {
            state.pushed.insert(mac, pushed);
            state.events.push(event);
            Ok(())
        })
    }

    fn pushed(&self, mac: Mac, now: UnixMs) -> Answer<'_, Option<PushedRecord>> {
        self.run(|state| Ok(state.pushed.get(&mac).filter(|it| now < it.expires_at).cloned()))
    }

    fn once(&self, what: Mac, until: UnixMs) -> Answer<'_, bool> {
        self.run(|state| Ok(state.once.insert(what, until).is_none()))
    }
}

impl DeviceStore for Memory {
    fn create_device(&self, mac: Mac, device: DeviceRecord, event: Event) -> Answer<'_, ()> {
        self.run(|state| {
            if state.devices.values().any(|own| own.user_code == device.user_code) {
                return Err(PortError::Conflict);
            }
            state.devices.insert(mac, device);
            state.events.push(event);
            Ok(())
        })
    }

    fn device_by_user_code(&self, code: String, now: UnixMs) -> Answer<'_, Option<DeviceRecord>> {
        self.run(|state| {
            let waits = |own: &&DeviceRecord| {
                own.user_code == code && own.state == DeviceState::Waiting && now < own.expires_at
            };
            Ok(state.devices.values().find(waits).cloned())
        })
    }

    fn decide_device(
        &self,
        user_code: String,
        grant: Option<GrantRecord>,
        now: UnixMs,
        event: Event,
    ) -> Answer<'_, bool> {
        self.run(|state| {
            let waits = |own: &&mut DeviceRecord| {
                own.user_code == user_code
                    && own.state == DeviceState::Waiting
                    && now < own.expires_at
            };
            let Some(device) = state.devices.values_mut().find(waits) else { return Ok(false) };
            device.state = grant.as_ref().map_or(DeviceState::Denied, |grant| {
                DeviceState::Allowed { grant: grant.id.clone() }
            });
            if let Some(grant) = grant {
                state.grants.insert(grant.id.clone(), grant);
            }
            state.events.push(event);
            Ok(true)
        })
    }

    fn poll_device(
        &self,
        (mac, client): (Mac, String),
        refresh: Option<NewRefresh>,
        now: UnixMs,
        event: Event,
    ) -> Answer<'_, Polled> {
        self.run(|state| {
            let own = state.devices.get(&mac).filter(|own| own.client == client);
            let Some(mut device) = own.filter(|own| now < own.expires_at).cloned() else {
                return Ok(Polled::Gone);
            };
            let early = now < device.next_poll_at;
            if early && device.state == DeviceState::Waiting {
                device.interval_seconds = device.interval_seconds.saturating_add(5);
            }
            let wait = std::time::Duration::from_secs(device.interval_seconds.into());
            device.next_poll_at = now.plus(wait);
            let polled = match device.state.clone() {
                DeviceState::Waiting if early => Polled::TooEarly,
                DeviceState::Waiting => Polled::Waiting,
                DeviceState::Denied => Polled::Denied,
                DeviceState::Redeemed => Polled::Gone,
                DeviceState::Allowed { grant } => match state.living(&grant, now) {
                    None => Polled::Gone,
                    Some(found) => {
                        device.state = DeviceState::Redeemed;
                        let refresh = refresh.map(|mut it| {
                            it.record.grant = grant;
                            it
                        });
                        state.keep_refresh(refresh);
                        state.events.push(event);
                        Polled::Allowed(found)
                    }
                },
            };
            state.devices.insert(mac, device);
            Ok(polled)
        })
    }
}

impl AuthorityStore for Memory {
    fn signing_keys(&self) -> Answer<'_, Vec<SigningKeyRecord>> {
        self.run(|state| Ok(state.keys.clone()))
    }

    fn add_signing_key(&self, key: SigningKeyRecord, event: Event) -> Answer<'_, Option<i64>> {
        self.run(|state| {
            let same =
                |own: &SigningKeyRecord| own.algorithm == key.algorithm && own.stage == key.stage;
            if state.keys.iter().any(same) {
                return Ok(None);
            }
            state.keys.push(key);
            Ok(Some(state.change(Change::SigningKeysChanged, event)))
        })
    }

    fn stage_signing_key(
        &self,
        kid: String,
        from: KeyStage,
        to: Option<KeyStage>,
        now: UnixMs,
        event: Event,
    ) -> Answer<'_, Option<i64>> {
        self.run(|state| {
            let place = state.keys.iter().position(|own| own.kid == kid && own.stage == from);
            let Some(place) = place else { return Ok(None) };
            match (to, state.keys.get_mut(place)) {
                (Some(stage), Some(key)) => {
                    key.stage = stage;
                    key.since = now;
                }
                _ => drop(state.keys.remove(place)),
            }
            Ok(Some(state.change(Change::SigningKeysChanged, event)))
        })
    }

    fn put_trust(&self, rule: TrustRecord, event: Event) -> Answer<'_, i64> {
        self.run(|state| {
            state.trusts.insert(rule.id.clone(), rule);
            Ok(state.change(Change::RulesChanged, event))
        })
    }

    fn remove_trust(&self, id: String, event: Event) -> Answer<'_, Option<i64>> {
        self.run(|state| {
            let gone = state.trusts.remove(&id);
            Ok(gone.map(|_| state.change(Change::RulesChanged, event)))
        })
    }

    fn trusts(&self) -> Answer<'_, Vec<TrustRecord>> {
        self.run(|state| Ok(state.trusts.values().cloned().collect()))
    }

    fn put_scope(&self, scope: ScopeRecord, event: Event) -> Answer<'_, i64> {
        self.run(|state| {
            state.scopes.insert(scope.name.clone(), scope);
            Ok(state.change(Change::RulesChanged, event))
        })
    }

    fn remove_scope(&self, name: String, event: Event) -> Answer<'_, Option<i64>> {
        self.run(|state| {
            let gone = state.scopes.remove(&name);
            Ok(gone.map(|_| state.change(Change::RulesChanged, event)))
        })
    }

    fn scopes(&self) -> Answer<'_, Vec<ScopeRecord>> {
        self.run(|state| Ok(state.scopes.values().cloned().collect()))
    }
}
