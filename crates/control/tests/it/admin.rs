//! The authority's use cases behind the socket, over a store in memory.

use crate::client::OnSocket;
use crate::fakes::{NOW, world_of};
use authority::{
    Answer, AuditLog, Authority, Block, BlockId, BlockStore, IpEntry, IpId, IpStore, KeyFilter,
    KeyId, KeyRecord, KeyStore, Page, Pepper, PortError,
};
use base::{Event, FakeClock, NodeId, UnixMs, code};
use std::sync::{Arc, Mutex};

#[derive(Default)]
struct Memory {
    keys: Mutex<Vec<KeyRecord>>,
    blocks: Mutex<Vec<Block>>,
    ips: Mutex<Vec<IpEntry>>,
    events: Mutex<Vec<Event>>,
}

impl Memory {
    fn note(&self, event: Event) -> i64 {
        let mut events = self.events.lock().unwrap();
        events.push(event);
        i64::try_from(events.len()).unwrap()
    }

    /// Takes out what `same` finds, and notes it.
    fn take<T>(
        &self,
        rows: &Mutex<Vec<T>>,
        event: Event,
        same: impl Fn(&T) -> bool,
    ) -> Option<(T, i64)> {
        let mut rows = rows.lock().unwrap();
        let at = rows.iter().position(same)?;
        Some((rows.remove(at), self.note(event)))
    }
}

fn now<'a, T: Send + 'a>(value: T) -> Answer<'a, T> {
    Box::pin(std::future::ready(Ok(value)))
}

impl KeyStore for Memory {
    fn create_key(&self, key: KeyRecord, event: Event) -> Answer<'_, i64> {
        if key.name == "down" {
            let broken = PortError::Unavailable("no answer".to_owned());
            return Box::pin(std::future::ready(Err(broken)));
        }
        self.keys.lock().unwrap().push(key);
        now(self.note(event))
    }

    fn key(&self, id: KeyId) -> Answer<'_, Option<KeyRecord>> {
        now(self.keys.lock().unwrap().iter().find(|key| key.id == id).cloned())
    }

    fn keys(&self, _: KeyFilter, page: Page) -> Answer<'_, Vec<KeyRecord>> {
        let mut keys = self.keys.lock().unwrap().clone();
        keys.sort_by_key(|key| key.id);
        keys.retain(|key| page.after.is_none_or(|after| key.id > after));
        keys.truncate(page.rows as usize);
        now(keys)
    }

    fn revoke_key(
        &self,
        id: KeyId,
        at: UnixMs,
        reason: Option<String>,
        event: Event,
    ) -> Answer<'_, Option<(KeyRecord, i64)>> {
        let mut keys = self.keys.lock().unwrap();
        let Some(key) = keys.iter_mut().find(|key| key.id == id) else { return now(None) };
        (key.revoked_at, key.revoked_reason) = (Some(at), reason);
        now(Some((key.clone(), self.note(event))))
    }
}

impl BlockStore for Memory {
    fn put_block(&self, block: Block, event: Event) -> Answer<'_, (Block, i64)> {
        self.blocks.lock().unwrap().push(block.clone());
        now((block, self.note(event)))
    }

    fn blocks(&self, _: UnixMs, _: Page) -> Answer<'_, Vec<Block>> {
        now(self.blocks.lock().unwrap().clone())
    }

    fn remove_block(&self, id: BlockId, event: Event) -> Answer<'_, Option<(Block, i64)>> {
        now(self.take(&self.blocks, event, |block| block.id == id))
    }
}

impl IpStore for Memory {
    fn put_ip(&self, entry: IpEntry, event: Event) -> Answer<'_, (IpEntry, i64)> {
        self.ips.lock().unwrap().push(entry.clone());
        now((entry, self.note(event)))
    }

    fn ips(&self, list: Option<String>, _: UnixMs, _: Page) -> Answer<'_, Vec<IpEntry>> {
        let mut ips = self.ips.lock().unwrap().clone();
        ips.retain(|it| list.as_ref().is_none_or(|list| *list == it.list));
        now(ips)
    }

    fn remove_ip(&self, id: IpId, event: Event) -> Answer<'_, Option<(IpEntry, i64)>> {
        now(self.take(&self.ips, event, |it| it.id == id))
    }
}

impl AuditLog for Memory {
    fn record(&self, event: Event) -> Answer<'_, ()> {
        self.note(event);
        now(())
    }
}

async fn start() -> (OnSocket, Arc<Memory>) {
    let memory = Arc::new(Memory::default());
    let clock = Arc::new(FakeClock::at(NOW));
    let pepper = Arc::new(Pepper::new([7; 32]));
    let authority = Arc::new(Authority::new(memory.clone(), clock, pepper, NodeId(7)));
    (OnSocket::start_with(world_of(authority)).await, memory)
}

#[tokio::test]
async fn a_real_key_is_made_listed_and_revoked() {
    let (edge, memory) = start().await;
    let made = edge.post("/api/v1/keys", r#"{"name":"ci","scopes":["echo:read"]}"#).await;
    assert_eq!(made.status, 201, "{made:?}");
    let made = made.json();
    let (id, text) = (made["id"].as_str().unwrap(), made["key"].as_str().unwrap());
    assert!(text.starts_with(&format!("pcl_live_{id}_")), "{text}");
    assert_eq!(made["expires_at"], "2026-02-22T16:00:00.123Z", "90 days");

    let listed = edge.get("/api/v1/keys").await;
    assert_eq!(listed.json()["keys"][0]["id"], id);
    assert!(!listed.body.contains(text));

    let path = format!("/api/v1/keys/{id}/revoke");
    let revoked = edge.post(&path, r#"{"reason":"lost"}"#).await.json();
    assert_eq!(revoked["revoked_at"], "2025-11-24T16:00:00.123Z");

    let events = memory.events.lock().unwrap();
    let codes: Vec<_> = events.iter().map(|event| event.code.clone()).collect();
    assert_eq!(codes, [code::KEY_CREATED, code::KEY_REVOKED_ACT]);
    let uid = format!("uid:{}", nix::unistd::geteuid());
    assert!(events.iter().all(|event| event.principal.as_deref() == Some(uid.as_str())));
    assert!(!format!("{events:?}").contains(text));
}

#[tokio::test]
async fn rules_of_the_authority_are_named_as_the_api_names_fields() {
    let (edge, memory) = start().await;
    let invalid = async |path: &str, body: &str, field: &str| {
        let detail = edge.post(path, body).await.problem(400, "api.invalid");
        assert!(detail.starts_with(&format!("{field}:")), "{body}: {detail}");
    };
    let keys = "/api/v1/keys";
    invalid(keys, r#"{"name":"","scopes":["a"]}"#, "name").await;
    invalid(keys, r#"{"name":"a","scopes":["a b"]}"#, "scopes").await;
    invalid(keys, r#"{"name":"a","scopes":["a"],"env":"PROD"}"#, "env").await;
    let forever = r#"{"name":"a","scopes":["a"],"expires_in_seconds":18446744073709551615}"#;
    invalid(keys, forever, "expires_in_seconds").await;
    let soon = r#"{"name":"a","scopes":["a"],"expires_in_seconds":0}"#;
    invalid(keys, soon, "expires_in_seconds").await;
    let blocks = "/api/v1/blocks";
    invalid(blocks, r#"{"kind":"token","value":"pcl_live_x"}"#, "value").await;
    invalid(
        blocks,
        r#"{"kind":"client","value":"a","expires_in_seconds":0}"#,
        "expires_in_seconds",
    )
    .await;
    let ips = "/api/v1/ip/entries";
    for (address, field) in [
        ("203.0.113.7/24", "address"),
        ("0.0.0.0/0", "address"),
        ("::/0", "address"),
        ("vpn.example.com", "address"),
    ] {
        let body = format!(r#"{{"address":"{address}","list":"office","expires_in_seconds":60}}"#);
        invalid(ips, &body, field).await;
    }
    let long = r#"{"address":"192.0.2.1","list":"office","expires_in_seconds":99999999}"#;
    invalid(ips, long, "expires_in_seconds").await;
    assert!(memory.keys.lock().unwrap().is_empty() && memory.ips.lock().unwrap().is_empty());
    let events = memory.events.lock().unwrap();
    assert!(events.iter().all(|event| event.code == code::ACT_REFUSED));
    assert!(events.len() >= 7, "refused acts are recorded");
}

#[tokio::test]
async fn blocks_and_entries_reach_the_store_and_leave_it() {
    let (edge, memory) = start().await;
    let block = r#"{"kind":"subject","value":"mallory","issuer":"corp","reason":"left"}"#;
    let made = edge.post("/api/v1/blocks", block).await;
    assert_eq!(made.status, 201, "{made:?}");
    let id = made.json()["id"].as_str().unwrap().to_owned();
    assert_eq!(edge.get("/api/v1/blocks").await.json()["blocks"][0]["issuer"], "corp");
    assert_eq!(edge.call("DELETE", &format!("/api/v1/blocks/{id}"), None).await.status, 200);
    let gone = edge.call("DELETE", &format!("/api/v1/blocks/{id}"), None).await;
    gone.problem(404, "api.not_found");

    let entry = r#"{"address":"::ffff:203.0.113.7","list":"office","expires_in_seconds":28800}"#;
    let made = edge.post("/api/v1/ip/entries", entry).await.json();
    assert_eq!(made["address"], "203.0.113.7/32");
    let path = format!("/api/v1/ip/entries/{}", made["id"].as_str().unwrap());
    assert_eq!(edge.call("DELETE", &path, None).await.status, 200);
    assert!(memory.ips.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_store_that_is_down_and_ids_that_are_none() {
    let (edge, _) = start().await;
    let down = edge.post("/api/v1/keys", r#"{"name":"down","scopes":["a"]}"#).await;
    assert_eq!(down.problem(503, "store.unavailable"), "no answer");
    for id in ["x", "..%2f..%2fkeys", "AAAAAAAAAAAA"] {
        edge.get(&format!("/api/v1/keys/{id}")).await.problem(404, "api.not_found");
    }
    edge.get("/api/v1/keys?after=x").await.problem(400, "api.invalid");
}
