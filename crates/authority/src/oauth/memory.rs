//! A store in memory, for the tests of the use cases. It keeps to the ports' words; what the real one must do under
//! concurrency is shown by the contract suite of `store`.

use super::ports::{
    AuthorityStore, ClientStore, CodeCompany, DeviceStore, GrantStore, PeopleStore, Polled,
    Redeemed, Rotated, TextPage, TokenNames, Window,
};
use super::records::{
    AccessRecord, ClientRecord, CodeRecord, ConsentRecord, DeviceRecord, DeviceState, GrantRecord,
    KeyStage, Mac, NewRefresh, PushedRecord, RefreshRecord, Revocation, RevocationKind,
    ScopeRecord, SessionRecord, SigningKeyRecord, TrustRecord, UserRecord,
};
use super::{Evidence, Parts};
use crate::PortError;
use crate::ports::{Answer, AuditLog};
use crate::sealing::{MasterKey, Pepper, Sealer};
use base::{BoxFuture, Clock, Event, FakeClock, Fetch, NodeId, UnixMs};
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard};

/// Where a refresh token stands: unspent, or spent when for which child.
#[derive(Debug, Clone)]
pub(crate) struct KeptRefresh {
    pub(crate) record: RefreshRecord,
    pub(crate) sealed: Vec<u8>,
    pub(crate) child: Option<(UnixMs, Mac)>,
}

impl KeptRefresh {
    /// The record as a look shows it.
    fn seen(&self) -> RefreshRecord {
        RefreshRecord { spent_at: self.child.map(|(at, _)| at), ..self.record.clone() }
    }
}

/// All that is kept.
#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) seq: i64,
    pub(crate) events: Vec<Event>,
    pub(crate) clients: BTreeMap<String, ClientRecord>,
    pub(crate) users: BTreeMap<String, UserRecord>,
    pub(crate) sessions: HashMap<Mac, SessionRecord>,
    pub(crate) consents: BTreeMap<(String, String), ConsentRecord>,
    pub(crate) grants: BTreeMap<String, GrantRecord>,
    pub(crate) codes: HashMap<Mac, (CodeRecord, bool)>,
    pub(crate) refreshes: HashMap<Mac, KeptRefresh>,
    pub(crate) access: HashMap<Mac, AccessRecord>,
    pub(crate) pushed: HashMap<Mac, PushedRecord>,
    pub(crate) once: HashMap<Mac, UnixMs>,
    pub(crate) devices: HashMap<Mac, DeviceRecord>,
    pub(crate) revocations: BTreeMap<(RevocationKind, String), Revocation>,
    pub(crate) signing: BTreeMap<String, SigningKeyRecord>,
    pub(crate) trusts: BTreeMap<String, TrustRecord>,
    pub(crate) scopes: BTreeMap<String, ScopeRecord>,
}

impl State {
    /// The account of a grant's person.
    fn person(&self, grant: &GrantRecord) -> Option<UserRecord> {
        self.users.get(grant.user.as_ref()?).cloned()
    }

    fn note(&mut self, event: Event) -> i64 {
        self.events.push(event);
        self.seq += 1;
        self.seq
    }

    fn revoke(&mut self, revocation: Revocation) {
        let place = (revocation.kind, revocation.value.clone());
        self.revocations.insert(place, revocation);
    }

    fn live(&self, grant: &str, now: UnixMs) -> Option<GrantRecord> {
        let grant = self.grants.get(grant)?;
        (grant.revoked_at.is_none() && now < grant.expires_at).then(|| grant.clone())
    }

    fn end_grant(&mut self, grant: &str, now: UnixMs) {
        if let Some(kept) = self.grants.get_mut(grant) {
            kept.revoked_at.get_or_insert(now);
        }
        let value = grant.to_owned();
        let until = UnixMs(now.0 + 3_630_000);
        self.revoke(Revocation { kind: RevocationKind::Grant, value, not_before: now, until });
    }

    fn keep_refresh(&mut self, refresh: NewRefresh, grant: &str) {
        let record = RefreshRecord { grant: grant.to_owned(), ..refresh.record };
        let sealed = refresh.sealed.expose().clone();
        self.refreshes.insert(refresh.mac, KeptRefresh { record, sealed, child: None });
    }
}

/// The store.
#[derive(Debug, Default)]
pub(crate) struct Memory(Mutex<State>);

impl Memory {
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    /// What [`super::OAuth`] is wired from in tests.
    pub(crate) fn parts(
        memory: &Arc<Self>,
        clock: &Arc<FakeClock>,
        fetch: Arc<dyn Fetch>,
    ) -> Parts {
        let master = MasterKey::from_hex(&"5a".repeat(32)).unwrap();
        Parts {
            store: memory.clone(),
            audit: memory.clone(),
            evidence: memory.clone(),
            clock: clock.clone() as Arc<dyn Clock>,
            pepper: Arc::new(Pepper::new([9; 32])),
            sealer: Arc::new(Sealer::new(&master).unwrap()),
            fetch,
            node: NodeId(1),
        }
    }
}

fn done<T: Send + 'static>(value: T) -> Answer<'static, T> {
    Box::pin(async move { Ok(value) })
}

fn conflict<T: Send + 'static>() -> Answer<'static, T> {
    Box::pin(async { Err(PortError::Conflict) })
}

fn page<T: Clone>(of: &BTreeMap<String, T>, page: &TextPage) -> Vec<T> {
    let rows = usize::try_from(page.rows).unwrap_or(0);
    let after = of.iter().filter(|(id, _)| **id > page.after);
    after.take(rows).map(|(_, record)| record.clone()).collect()
}

impl AuditLog for Memory {
    fn record(&self, event: Event) -> Answer<'_, ()> {
        self.state().note(event);
        done(())
    }
}

impl Evidence for Memory {
    fn record_denial(&self, event: Event) {
        self.state().note(event);
    }

    fn record_synced(&self, event: Event) -> BoxFuture<'_, Result<(), String>> {
        self.state().note(event);
        Box::pin(async { Ok(()) })
    }
}

impl ClientStore for Memory {
    fn create_client(&self, client: ClientRecord, event: Event) -> Answer<'_, i64> {
        let mut state = self.state();
        if state.clients.contains_key(&client.id) {
            return conflict();
        }
        state.clients.insert(client.id.clone(), client);
        done(state.note(event))
    }

    fn replace_client(
        &self,
        before: ClientRecord,
        after: ClientRecord,
        revoke: Option<Revocation>,
        event: Event,
    ) -> Answer<'_, Option<i64>> {
        let mut state = self.state();
        if state.clients.get(&before.id) != Some(&before) {
            return done(None);
        }
        state.clients.insert(before.id, after);
        if let Some(revocation) = revoke {
            state.revoke(revocation);
        }
        done(Some(state.note(event)))
    }

    fn remove_client(
        &self,
        id: String,
        revoke: Revocation,
        event: Event,
    ) -> Answer<'_, Option<i64>> {
        let mut state = self.state();
        if state.clients.remove(&id).is_none() {
            return done(None);
        }
        state.revoke(revoke);
        done(Some(state.note(event)))
    }

    fn client(&self, id: String) -> Answer<'_, Option<ClientRecord>> {
        done(self.state().clients.get(&id).cloned())
    }

    fn clients(&self, wanted: TextPage) -> Answer<'_, Vec<ClientRecord>> {
        done(page(&self.state().clients, &wanted))
    }
}

impl PeopleStore for Memory {
    fn create_user(&self, user: UserRecord, event: Event) -> Answer<'_, i64> {
        let mut state = self.state();
        let taken = |other: &UserRecord| other.id == user.id || other.email == user.email;
        if state.users.values().any(taken) {
            return conflict();
        }
        state.users.insert(user.id.clone(), user);
        done(state.note(event))
    }

    fn replace_user(
        &self,
        before: UserRecord,
        after: UserRecord,
        revoke: Option<Revocation>,
        event: Event,
    ) -> Answer<'_, Option<i64>> {
        let mut state = self.state();
        if state.users.get(&before.id) != Some(&before) {
            return done(None);
        }
        if let Some(revocation) = revoke {
            state.revoke(revocation);
            state.sessions.retain(|_, session| session.user != before.id);
        }
        state.users.insert(before.id, after);
        done(Some(state.note(event)))
    }

    fn user(&self, id: String) -> Answer<'_, Option<UserRecord>> {
        done(self.state().users.get(&id).cloned())
    }

    fn user_by_email(&self, email: String) -> Answer<'_, Option<UserRecord>> {
        done(self.state().users.values().find(|user| user.email == email).cloned())
    }

    fn users(&self, wanted: TextPage) -> Answer<'_, Vec<UserRecord>> {
        done(page(&self.state().users, &wanted))
    }

    fn create_session(&self, mac: Mac, session: SessionRecord, event: Event) -> Answer<'_, ()> {
        let mut state = self.state();
        if state.sessions.values().any(|other| other.id == session.id) {
            return conflict();
        }
        state.sessions.insert(mac, session);
        state.note(event);
        done(())
    }

    fn session(&self, mac: Mac, now: UnixMs) -> Answer<'_, Option<SessionRecord>> {
        done(self.state().sessions.get(&mac).filter(|it| now < it.expires_at).cloned())
    }

    fn replace_session(&self, mac: Mac, session: SessionRecord) -> Answer<'_, bool> {
        let mut state = self.state();
        let kept = state.sessions.contains_key(&mac);
        if kept {
            state.sessions.insert(mac, session);
        }
        done(kept)
    }

    fn end_session(&self, id: String, event: Event) -> Answer<'_, Option<SessionRecord>> {
        let mut state = self.state();
        let mac = state.sessions.iter().find(|(_, it)| it.id == id).map(|(mac, _)| *mac);
        let ended = mac.and_then(|mac| state.sessions.remove(&mac));
        if ended.is_some() {
            state.note(event);
        }
        done(ended)
    }

    fn sessions(&self, user: String, now: UnixMs) -> Answer<'_, Vec<SessionRecord>> {
        let state = self.state();
        let of = state.sessions.values().filter(|it| it.user == user && now < it.expires_at);
        done(of.cloned().collect())
    }

    fn consent(&self, user: String, client: String) -> Answer<'_, Option<ConsentRecord>> {
        done(self.state().consents.get(&(user, client)).cloned())
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
        let mut state = self.state();
        if with.pushed.is_some_and(|pushed| state.pushed.remove(&pushed).is_none()) {
            return conflict();
        }
        if let Some(consent) = with.consent {
            state.consents.insert((consent.user.clone(), consent.client.clone()), consent);
        }
        if let Some(id) = with.session
            && let Some(session) = state.sessions.values_mut().find(|session| session.id == id)
            && !session.clients.contains(&grant.client)
        {
            session.clients.push(grant.client.clone());
        }
        state.grants.insert(grant.id.clone(), grant);
        state.codes.insert(mac, (code, false));
        state.note(event);
        done(())
    }

    fn code(&self, mac: Mac) -> Answer<'_, Option<(CodeRecord, GrantRecord)>> {
        let state = self.state();
        let kept = state.codes.get(&mac).and_then(|(code, _)| {
            state.grants.get(&code.grant).map(|grant| (code.clone(), grant.clone()))
        });
        done(kept)
    }

    fn code_and_person(
        &self,
        mac: Mac,
    ) -> Answer<'_, Option<(CodeRecord, GrantRecord, Option<UserRecord>)>> {
        let state = self.state();
        let kept = state.codes.get(&mac).and_then(|(code, _)| {
            let grant = state.grants.get(&code.grant)?;
            Some((code.clone(), grant.clone(), state.person(grant)))
        });
        done(kept)
    }

    fn redeem_code(
        &self,
        mac: Mac,
        refresh: Option<NewRefresh>,
        now: UnixMs,
        event: Event,
    ) -> Answer<'_, Redeemed> {
        let mut state = self.state();
        let Some((code, spent)) = state.codes.get(&mac).cloned() else {
            return done(Redeemed::Gone);
        };
        if spent {
            state.end_grant(&code.grant, now);
            let seq = state.note(event);
            return done(Redeemed::Twice { grant: code.grant, seq });
        }
        let Some(grant) = state.live(&code.grant, now).filter(|_| now < code.expires_at) else {
            return done(Redeemed::Gone);
        };
        state.codes.insert(mac, (code, true));
        if let Some(refresh) = refresh {
            state.keep_refresh(refresh, &grant.id);
        }
        state.note(event);
        done(Redeemed::Now(grant))
    }

    fn create_grant(
        &self,
        grant: GrantRecord,
        refresh: Option<NewRefresh>,
        event: Event,
    ) -> Answer<'_, ()> {
        let mut state = self.state();
        if let Some(refresh) = refresh {
            state.keep_refresh(refresh, &grant.id);
        }
        state.grants.insert(grant.id.clone(), grant);
        state.note(event);
        done(())
    }

    fn refresh(&self, mac: Mac) -> Answer<'_, Option<(RefreshRecord, GrantRecord)>> {
        let state = self.state();
        let kept = state.refreshes.get(&mac).and_then(|kept| {
            let grant = state.grants.get(&kept.record.grant)?;
            Some((kept.seen(), grant.clone()))
        });
        done(kept)
    }

    fn refresh_and_person(
        &self,
        mac: Mac,
    ) -> Answer<'_, Option<(RefreshRecord, GrantRecord, Option<UserRecord>)>> {
        let state = self.state();
        let kept = state.refreshes.get(&mac).and_then(|kept| {
            let grant = state.grants.get(&kept.record.grant)?;
            Some((kept.seen(), grant.clone(), state.person(grant)))
        });
        done(kept)
    }

    fn rotate_refresh(
        &self,
        parent: Mac,
        child: NewRefresh,
        within: Window,
        event: Event,
    ) -> Answer<'_, Rotated> {
        let mut state = self.state();
        let Some(kept) = state.refreshes.get(&parent).cloned() else {
            return done(Rotated::Gone);
        };
        let live = state.live(&kept.record.grant, within.now);
        let Some(grant) = live.filter(|_| within.now < kept.record.expires_at) else {
            return done(Rotated::Gone);
        };
        match kept.child {
            None => {
                let mac = child.mac;
                state.keep_refresh(child, &grant.id);
                let spent = KeptRefresh { child: Some((within.now, mac)), ..kept };
                state.refreshes.insert(parent, spent);
                state.note(event);
                done(Rotated::Now(grant))
            }
            Some((at, mac)) if within.now.0 - at.0 <= within.length_ms => {
                let sealed = state.refreshes.get(&mac).map(|it| it.sealed.clone());
                done(sealed.map_or(Rotated::Gone, |sealed| Rotated::Same(grant, sealed)))
            }
            Some(_) => {
                state.end_grant(&grant.id, within.now);
                let seq = state.note(event);
                done(Rotated::Reused { grant: grant.id, seq })
            }
        }
    }

    fn keep_refresh(
        &self,
        mac: Mac,
        expires_at: UnixMs,
        now: UnixMs,
        event: Event,
    ) -> Answer<'_, Option<GrantRecord>> {
        let mut state = self.state();
        let Some(kept) = state.refreshes.get(&mac).cloned() else { return done(None) };
        let live = state.live(&kept.record.grant, now);
        let grant = live.filter(|_| now < kept.record.expires_at && kept.child.is_none());
        if grant.is_some() {
            let record = RefreshRecord { expires_at, ..kept.record.clone() };
            state.refreshes.insert(mac, KeptRefresh { record, ..kept });
            state.note(event);
        }
        done(grant)
    }

    fn grant(&self, id: String) -> Answer<'_, Option<GrantRecord>> {
        done(self.state().grants.get(&id).cloned())
    }

    fn grants_of_user(&self, user: String, now: UnixMs) -> Answer<'_, Vec<GrantRecord>> {
        let state = self.state();
        let of = state.grants.values().filter(|it| it.user.as_ref() == Some(&user));
        let live = of.filter(|it| it.revoked_at.is_none() && now < it.expires_at);
        done(live.cloned().collect())
    }

    fn revoke_grant(
        &self,
        id: String,
        now: UnixMs,
        _: UnixMs,
        event: Event,
    ) -> Answer<'_, Option<i64>> {
        let mut state = self.state();
        if !state.grants.contains_key(&id) {
            return done(None);
        }
        state.end_grant(&id, now);
        done(Some(state.note(event)))
    }

    fn revoke(&self, revocation: Revocation, event: Event) -> Answer<'_, i64> {
        let mut state = self.state();
        state.revoke(revocation);
        done(state.note(event))
    }

    fn revocation(
        &self,
        kind: RevocationKind,
        value: String,
        now: UnixMs,
    ) -> Answer<'_, Option<Revocation>> {
        let state = self.state();
        done(state.revocations.get(&(kind, value)).filter(|it| now < it.until).cloned())
    }

    fn revoked(&self, token: TokenNames, now: UnixMs) -> Answer<'_, Option<RevocationKind>> {
        let state = self.state();
        let names = [
            (RevocationKind::Token, token.token),
            (RevocationKind::Grant, token.grant),
            (RevocationKind::Client, token.client),
            (RevocationKind::Subject, token.subject),
        ];
        let found = names.into_iter().find_map(|(kind, name)| {
            let by_time = matches!(kind, RevocationKind::Client | RevocationKind::Subject);
            let found = state.revocations.get(&(kind, name?)).filter(|it| now < it.until)?;
            (!by_time || token.issued_at <= found.not_before).then_some(kind)
        });
        done(found)
    }

    fn put_access(&self, mac: Mac, access: AccessRecord, event: Event) -> Answer<'_, ()> {
        let mut state = self.state();
        state.access.insert(mac, access);
        state.note(event);
        done(())
    }

    fn access(&self, mac: Mac, now: UnixMs) -> Answer<'_, Option<AccessRecord>> {
        done(self.state().access.get(&mac).filter(|it| now < it.expires_at).cloned())
    }

    fn push(&self, mac: Mac, pushed: PushedRecord, event: Event) -> Answer<'_, ()> {
        let mut state = self.state();
        state.pushed.insert(mac, pushed);
        state.note(event);
        done(())
    }

    fn pushed(&self, mac: Mac, now: UnixMs) -> Answer<'_, Option<PushedRecord>> {
        done(self.state().pushed.get(&mac).filter(|it| now < it.expires_at).cloned())
    }

    fn once(&self, what: Mac, until: UnixMs) -> Answer<'_, bool> {
        done(self.state().once.insert(what, until).is_none())
    }
}

impl DeviceStore for Memory {
    fn create_device(&self, mac: Mac, device: DeviceRecord, event: Event) -> Answer<'_, ()> {
        let mut state = self.state();
        if state.devices.values().any(|other| other.user_code == device.user_code) {
            return conflict();
        }
        state.devices.insert(mac, device);
        state.note(event);
        done(())
    }

    fn device_by_user_code(&self, code: String, now: UnixMs) -> Answer<'_, Option<DeviceRecord>> {
        let state = self.state();
        let waits = |it: &&DeviceRecord| {
            it.user_code == code && it.state == DeviceState::Waiting && now < it.expires_at
        };
        done(state.devices.values().find(waits).cloned())
    }

    fn decide_device(
        &self,
        user_code: String,
        grant: Option<GrantRecord>,
        now: UnixMs,
        event: Event,
    ) -> Answer<'_, bool> {
        let mut state = self.state();
        let decided = match &grant {
            Some(grant) => DeviceState::Allowed { grant: grant.id.clone() },
            None => DeviceState::Denied,
        };
        let waiting = state.devices.values_mut().find(|it| {
            it.user_code == user_code && it.state == DeviceState::Waiting && now < it.expires_at
        });
        let Some(device) = waiting else { return done(false) };
        device.state = decided;
        if let Some(grant) = grant {
            state.grants.insert(grant.id.clone(), grant);
        }
        state.note(event);
        done(true)
    }

    fn poll_device(
        &self,
        (mac, client): (Mac, String),
        refresh: Option<NewRefresh>,
        now: UnixMs,
        event: Event,
    ) -> Answer<'_, Polled> {
        let mut state = self.state();
        let Some(device) = state.devices.get_mut(&mac) else { return done(Polled::Gone) };
        if device.client != client || now >= device.expires_at {
            return done(Polled::Gone);
        }
        if now < device.next_poll_at {
            device.interval_seconds += 5;
            device.next_poll_at = UnixMs(now.0 + i64::from(device.interval_seconds) * 1000);
            return done(Polled::TooEarly);
        }
        device.next_poll_at = UnixMs(now.0 + i64::from(device.interval_seconds) * 1000);
        match device.state.clone() {
            DeviceState::Waiting => done(Polled::Waiting),
            DeviceState::Denied => done(Polled::Denied),
            DeviceState::Redeemed => done(Polled::Gone),
            DeviceState::Allowed { grant } => {
                device.state = DeviceState::Redeemed;
                let Some(grant) = state.live(&grant, now) else { return done(Polled::Gone) };
                if let Some(refresh) = refresh {
                    state.keep_refresh(refresh, &grant.id);
                }
                state.note(event);
                done(Polled::Allowed(grant))
            }
        }
    }
}

impl AuthorityStore for Memory {
    fn signing_keys(&self) -> Answer<'_, Vec<SigningKeyRecord>> {
        done(self.state().signing.values().cloned().collect())
    }

    fn add_signing_key(&self, key: SigningKeyRecord, event: Event) -> Answer<'_, Option<i64>> {
        let mut state = self.state();
        let same = |it: &SigningKeyRecord| it.algorithm == key.algorithm && it.stage == key.stage;
        if state.signing.values().any(same) {
            return done(None);
        }
        state.signing.insert(key.kid.clone(), key);
        done(Some(state.note(event)))
    }

    fn stage_signing_key(
        &self,
        kid: String,
        from: KeyStage,
        to: Option<KeyStage>,
        now: UnixMs,
        event: Event,
    ) -> Answer<'_, Option<i64>> {
        let mut state = self.state();
        let Some(key) = state.signing.get_mut(&kid).filter(|key| key.stage == from) else {
            return done(None);
        };
        match to {
            Some(stage) => (key.stage, key.since) = (stage, now),
            None => {
                state.signing.remove(&kid);
            }
        }
        done(Some(state.note(event)))
    }

    fn put_trust(&self, rule: TrustRecord, event: Event) -> Answer<'_, i64> {
        let mut state = self.state();
        state.trusts.insert(rule.id.clone(), rule);
        done(state.note(event))
    }

    fn remove_trust(&self, id: String, event: Event) -> Answer<'_, Option<i64>> {
        let mut state = self.state();
        match state.trusts.remove(&id) {
            None => done(None),
            Some(_) => done(Some(state.note(event))),
        }
    }

    fn trusts(&self) -> Answer<'_, Vec<TrustRecord>> {
        done(self.state().trusts.values().cloned().collect())
    }

    fn put_scope(&self, scope: ScopeRecord, event: Event) -> Answer<'_, i64> {
        let mut state = self.state();
        state.scopes.insert(scope.name.clone(), scope);
        done(state.note(event))
    }

    fn remove_scope(&self, name: String, event: Event) -> Answer<'_, Option<i64>> {
        let mut state = self.state();
        match state.scopes.remove(&name) {
            None => done(None),
            Some(_) => done(Some(state.note(event))),
        }
    }

    fn scopes(&self) -> Answer<'_, Vec<ScopeRecord>> {
        done(self.state().scopes.values().cloned().collect())
    }
}
