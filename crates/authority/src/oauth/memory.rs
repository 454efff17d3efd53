//! A store in memory, for the tests of the use cases. It keeps to the ports' words; what the real one must do under
//! concurrency is shown by the contract suite of `store`.

mod authenticators;
mod directory;
mod grants;
mod letters;
mod own_addresses;
mod own_keys;
mod people;
mod rules;

use super::ports::TextPage;
use super::records::{
    AccessRecord, ClientRecord, CodeRecord, ConsentRecord, DeviceRecord, GrantRecord, GroupRecord,
    LetterRecord, Mac, NewRefresh, PushedRecord, RefreshRecord, Revocation, RevocationKind,
    ScopeRecord, SessionRecord, SigningKeyRecord, TrustRecord, UserRecord,
};
use super::{Evidence, Parts};
use crate::PortError;
use crate::people::AuthenticatorRecord;
use crate::ports::{Answer, AuditLog};
use crate::sealing::{MasterKey, Pepper, Sealer};
use base::{BoxFuture, Clock, Event, FakeClock, Fetch, Mail, MailError, Message, NodeId, UnixMs};
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
    pub(crate) authenticators: BTreeMap<String, AuthenticatorRecord>,
    pub(crate) own_addresses: Vec<crate::IpEntry>,
    pub(crate) letters: HashMap<Mac, LetterRecord>,
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
    pub(crate) groups: BTreeMap<String, GroupRecord>,
    pub(crate) declared_clients: std::collections::BTreeSet<String>,
    pub(crate) directory: BTreeMap<String, super::scim::DirectoryGroup>,
    /// Whether letters cannot be kept.
    pub(crate) broken: bool,
    pub(crate) keys: BTreeMap<crate::KeyId, crate::KeyRecord>,
    /// Mail that was sent, oldest first.
    pub(crate) posted: Vec<Message>,
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

    fn end_login(&mut self, value: String) {
        let (not_before, until) = (UnixMs(0), UnixMs(i64::MAX));
        self.revoke(Revocation { kind: RevocationKind::Session, value, not_before, until });
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
            mail: memory.clone(),
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

impl Mail for Memory {
    fn send(&self, message: Message) -> BoxFuture<'_, Result<(), MailError>> {
        self.state().posted.push(message);
        Box::pin(async { Ok(()) })
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
