//! What stands behind the edge in these tests.

use authority::oauth::OAuth;
use base::Message;
use base::mail::{Draft, MailAddress};
use base::{
    BoxFuture, Code, Event, EventId, Kind, NodeId, Outcome, Phase, RequestId, Scheme, Secret,
    UnixMs, code,
};
use control::ports::{
    Act, ActError, Admin, Applied, Caller, Done, EventFilter, IpTest, Ledger, LedgerError, Page,
    Read, Row, Tail, Witness,
};
use control::views::{
    BlockView, CreatedKeyView, IpEntryView, IpTestView, IpVerdict, KeyView, NewBlock, NewIpEntry,
    NewKey,
};
use control::{Api, Health, KeptMail, KeptMessage, Parts};
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use tokio::sync::broadcast;

pub(crate) const NOW: UnixMs = UnixMs(1_764_000_000_123);

/// Keeps everything in memory; while `stuck`, changes never come into force.
#[derive(Debug, Default)]
pub(crate) struct FakeAdmin {
    pub(crate) keys: Mutex<Vec<KeyView>>,
    pub(crate) blocks: Mutex<Vec<BlockView>>,
    pub(crate) ips: Mutex<Vec<IpEntryView>>,
    pub(crate) callers: Mutex<Vec<Caller>>,
    pub(crate) stuck: AtomicBool,
}

impl FakeAdmin {
    fn heard(&self, by: Caller) {
        self.callers.lock().unwrap().push(by);
    }

    fn done<T>(&self, record: T) -> Done<T> {
        let seq = if self.stuck.load(Ordering::SeqCst) { -1 } else { 1 };
        Done { record, seq }
    }
}

fn missing(what: &'static str, id: &str) -> ActError {
    ActError::NotFound { what, id: id.to_owned() }
}

fn paged<T: Clone>(rows: &[T], page: &Page, id: impl Fn(&T) -> &str) -> Vec<T> {
    let after = page.after.clone().unwrap_or_default();
    let rest = rows.iter().filter(|row| id(row) > after.as_str());
    rest.take(page.rows as usize).cloned().collect()
}

impl Admin for FakeAdmin {
    fn create_key(&self, by: Caller, ask: NewKey) -> Act<'_, Done<CreatedKeyView>> {
        Box::pin(async move {
            assert_ne!(ask.name, "panic", "asked for");
            self.heard(by);
            if ask.scopes.is_empty() {
                let problem = "may not be empty".to_owned();
                return Err(ActError::Invalid { field: "scopes".to_owned(), problem });
            }
            let mut keys = self.keys.lock().unwrap();
            let id = format!("key{:09}", keys.len());
            keys.push(KeyView {
                id: id.clone(),
                name: ask.name,
                env: "live".to_owned(),
                scopes: ask.scopes.clone(),
                routes: ask.routes,
                created_at: NOW,
                created_by: "uid:0".to_owned(),
                expires_at: Some(NOW),
                revoked_at: None,
                revoked_reason: None,
            });
            let key = Secret::new(format!("pcl_live_{id}_secret"));
            let view = CreatedKeyView { id, key, scopes: ask.scopes, expires_at: Some(NOW) };
            Ok(self.done(view))
        })
    }

    fn keys(&self, page: Page) -> Act<'_, Vec<KeyView>> {
        Box::pin(async move { Ok(paged(&self.keys.lock().unwrap(), &page, |key| &key.id)) })
    }

    fn key(&self, id: String) -> Act<'_, KeyView> {
        Box::pin(async move {
            let keys = self.keys.lock().unwrap();
            keys.iter().find(|key| key.id == id).cloned().ok_or_else(|| missing("key", &id))
        })
    }

    fn revoke_key(&self, by: Caller, id: String, reason: Option<String>) -> Act<'_, Done<KeyView>> {
        Box::pin(async move {
            self.heard(by);
            let mut keys = self.keys.lock().unwrap();
            let key = keys.iter_mut().find(|key| key.id == id);
            let key = key.ok_or_else(|| missing("key", &id))?;
            key.revoked_at = Some(NOW);
            key.revoked_reason = reason;
            Ok(self.done(key.clone()))
        })
    }

    fn add_block(&self, by: Caller, ask: NewBlock) -> Act<'_, Done<BlockView>> {
        Box::pin(async move {
            self.heard(by);
            if ask.value == "down" {
                return Err(ActError::Unavailable("disk full".to_owned()));
            }
            let mut blocks = self.blocks.lock().unwrap();
            let view = BlockView {
                id: format!("block{:07}", blocks.len()),
                kind: ask.kind,
                value: ask.value,
                issuer: ask.issuer,
                reason: ask.reason,
                created_at: NOW,
                created_by: "uid:0".to_owned(),
                expires_at: None,
            };
            blocks.push(view.clone());
            Ok(self.done(view))
        })
    }

    fn blocks(&self, page: Page) -> Act<'_, Vec<BlockView>> {
        Box::pin(async move { Ok(paged(&self.blocks.lock().unwrap(), &page, |block| &block.id)) })
    }

    fn remove_block(&self, by: Caller, id: String) -> Act<'_, Done<BlockView>> {
        Box::pin(async move {
            self.heard(by);
            let mut blocks = self.blocks.lock().unwrap();
            let at = blocks.iter().position(|block| block.id == id);
            let at = at.ok_or_else(|| missing("block", &id))?;
            Ok(self.done(blocks.remove(at)))
        })
    }

    fn add_ip(&self, by: Caller, ask: NewIpEntry) -> Act<'_, Done<IpEntryView>> {
        Box::pin(async move {
            self.heard(by);
            let mut ips = self.ips.lock().unwrap();
            let view = IpEntryView {
                owner: None,
                id: format!("entry{:07}", ips.len()),
                address: ask.address,
                list: ask.list,
                note: ask.note,
                created_at: NOW,
                created_by: "uid:0".to_owned(),
                expires_at: NOW.plus(std::time::Duration::from_secs(ask.expires_in_seconds)),
            };
            ips.push(view.clone());
            Ok(self.done(view))
        })
    }

    fn ips(&self, list: Option<String>, page: Page) -> Act<'_, Vec<IpEntryView>> {
        Box::pin(async move {
            let mut ips = self.ips.lock().unwrap().clone();
            ips.retain(|it| list.as_deref().is_none_or(|list| it.list == list));
            Ok(paged(&ips, &page, |it| &it.id))
        })
    }

    fn remove_ip(&self, by: Caller, id: String) -> Act<'_, Done<IpEntryView>> {
        Box::pin(async move {
            self.heard(by);
            let mut ips = self.ips.lock().unwrap();
            let at = ips.iter().position(|it| it.id == id);
            let at = at.ok_or_else(|| missing("address entry", &id))?;
            Ok(self.done(ips.remove(at)))
        })
    }
}

/// Has taken up everything, but for negative numbers.
#[derive(Debug)]
pub(crate) struct FakeApplied;

impl Applied for FakeApplied {
    fn applied(&self, seq: i64) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            if seq < 0 {
                std::future::pending::<()>().await;
            }
        })
    }
}

#[derive(Debug)]
pub(crate) struct FakeIps;

impl IpTest for FakeIps {
    fn lists(&self) -> Vec<String> {
        vec!["office".to_owned(), "partners".to_owned()]
    }

    fn issuers(&self) -> Vec<String> {
        vec!["corp".to_owned()]
    }

    fn test(&self, address: IpAddr, list: Option<&str>) -> IpTestView {
        let wanted = self.lists().into_iter().filter(|it| list.is_none_or(|list| list == it));
        let verdict = |list| IpVerdict {
            list,
            verdict: "allow",
            rule: Some("203.0.113.0/24".to_owned()),
            source: Some("file"),
        };
        IpTestView { address: address.to_string(), lists: wanted.map(verdict).collect() }
    }
}

/// A request that was denied, and one that was folded with others.
pub(crate) fn denied(count: u32) -> Event {
    let id = RequestId::compose(NOW, NodeId(7), u64::from(count));
    let mut event = Event::new(id.into(), NOW, NodeId(7), Kind::Decision, code::SCOPE_MISSING);
    event.request_id = Some(id);
    event.outcome = Outcome::Deny;
    event.phase = Some(Phase::Decide);
    event.route = Some("orders-read".into());
    event.method = Some("GET".into());
    event.path = Some("/orders/1".into());
    event.client_ip = Some("203.0.113.7".parse().unwrap());
    event.principal = Some("alice".into());
    event.scheme = Some(Scheme::Jwt);
    event.status = 403;
    event.count = count;
    event.detail = Some("needs orders:read".into());
    event
}

#[derive(Debug)]
pub(crate) struct FakeLedger {
    pub(crate) live: broadcast::Sender<Event>,
}

struct FakeTail {
    first: Vec<Event>,
    live: broadcast::Receiver<Event>,
    filter: EventFilter,
}

impl Tail for FakeTail {
    fn next(&mut self) -> BoxFuture<'_, Option<Event>> {
        Box::pin(async move {
            if let Some(event) = self.first.pop() {
                return Some(event);
            }
            loop {
                let event = self.live.recv().await.ok()?;
                if self.filter.wants(&event) {
                    return Some(event);
                }
            }
        })
    }
}

impl Ledger for FakeLedger {
    fn explain(&self, id: RequestId) -> Read<'_, Option<Event>> {
        let found = [denied(1), denied(250)].into_iter().find(|it| it.request_id == Some(id));
        Box::pin(async move { Ok(found) })
    }

    fn recent(&self, filter: EventFilter, limit: usize) -> Read<'_, Vec<Event>> {
        let started =
            Event::new(EventId([1; 16]), NOW, NodeId(7), Kind::System, code::NODE_STARTED);
        let mut events = vec![started, denied(1), denied(250)];
        events.retain(|event| filter.wants(event));
        events.truncate(limit);
        Box::pin(async move { Ok(events) })
    }

    fn follow(&self, filter: EventFilter, _: usize) -> Read<'_, Box<dyn Tail>> {
        let first = vec![denied(1)];
        let live = self.live.subscribe();
        Box::pin(async move { Ok(Box::new(FakeTail { first, live, filter }) as Box<dyn Tail>) })
    }

    fn query(&self, sql: String) -> Read<'_, Vec<Row>> {
        Box::pin(async move {
            match sql.as_str() {
                "slow" => std::future::pending().await,
                "SELECT 1" => {
                    let row = Row::from_iter([("n".to_owned(), serde_json::json!(1))]);
                    Ok(vec![row])
                }
                "lost" => Err(LedgerError::Unavailable("no such file".to_owned())),
                _ => Err(LedgerError::Query("unexpected word at 1".to_owned())),
            }
        })
    }
}

#[derive(Debug, Default)]
pub(crate) struct FakeWitness {
    pub(crate) panics: AtomicUsize,
    pub(crate) strangers: AtomicUsize,
}

impl Witness for FakeWitness {
    fn stranger(&self, _: u32) {
        self.strangers.fetch_add(1, Ordering::SeqCst);
    }

    fn crowded(&self, _: IpAddr) {}

    fn panicked(&self) {
        self.panics.fetch_add(1, Ordering::SeqCst);
    }
}

/// The fakes, and the API over them.
pub(crate) struct World {
    pub(crate) admin: Arc<FakeAdmin>,
    pub(crate) ledger: Arc<FakeLedger>,
    pub(crate) witness: Arc<FakeWitness>,
    pub(crate) health: Arc<Health>,
    pub(crate) api: Api,
}

pub(crate) fn world() -> World {
    let admin = Arc::new(FakeAdmin::default());
    World { admin: admin.clone(), ..world_of(admin) }
}

/// The same over another authority.
pub(crate) fn world_of(authority: Arc<dyn Admin>) -> World {
    world_over(authority, None)
}

/// The fakes beside a real authority.
pub(crate) fn world_beside(oauth: Arc<OAuth>) -> World {
    let admin = Arc::new(FakeAdmin::default());
    World { admin: admin.clone(), ..world_over(admin, Some(oauth)) }
}

fn world_over(authority: Arc<dyn Admin>, oauth: Option<Arc<OAuth>>) -> World {
    let ledger = Arc::new(FakeLedger { live: broadcast::channel(16).0 });
    let witness = Arc::new(FakeWitness::default());
    let health = Arc::new(Health::starting());
    let api = Api::new(Parts {
        admin: authority,
        oauth,
        applied: Arc::new(FakeApplied),
        ledger: ledger.clone(),
        ip_test: Arc::new(FakeIps),
        witness: witness.clone(),
        mail: Arc::new(FakeMail),
        health: health.clone(),
        keys: Arc::new(|| serde_json::json!({ "keys": [] })),
        metrics: Arc::new(|| "portcullis_up 1\n".to_owned()),
    });
    World { admin: Arc::default(), ledger, witness, health, api }
}

/// Two messages, and who looked.
#[derive(Debug)]
pub(crate) struct FakeMail;

impl KeptMail for FakeMail {
    fn list(&self) -> Option<Vec<KeptMessage>> {
        let message = |number: u64| KeptMessage {
            number,
            at: UnixMs(1_764_000_000_000),
            message: Message::new(Draft {
                kind: "recovery",
                to: MailAddress::parse("ada@example.com").unwrap(),
                subject: format!("Message {number}"),
                text: "https://login.example/recover#secret".to_owned(),
                html: "<p>secret</p>".to_owned(),
                useful_for: std::time::Duration::from_secs(600),
            })
            .unwrap(),
        };
        Some(vec![message(2), message(1)])
    }

    fn show(&self, number: u64, _: &Caller) -> Option<KeptMessage> {
        self.list()?.into_iter().find(|it| it.number == number)
    }
}

/// A code that the table does not know.
pub(crate) fn foreign() -> Code {
    Code::read("no.such")
}
