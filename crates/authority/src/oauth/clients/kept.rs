//! The copy of the store's clients in memory: small while a client is not used.
//!
//! WHY: a client's record takes 1.5 KiB, most of it for what few clients have, and a node may know ten thousand of
//! which it sees a hundred. What is kept of each is what differs from a client that has nothing; those in use are kept
//! whole besides.
//!
//! Never does: decide. What cannot be read is no client.
//!
//! INVARIANT: a client that was put or removed is not found as it was before.

use super::CreateClient;
use crate::oauth::records::{ClientRecord, Origin};
use base::UnixMs;
use quick_cache::unsync::Cache;
use serde_json::{Map, Value};
use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

/// Clients that are kept whole: those of a busy node, in 1.5 MB.
const WHOLE: usize = 1024;

/// A client that has nothing, as it is written.
static MODEL: LazyLock<Map<String, Value>> = LazyLock::new(|| {
    let CreateClient { profile, pkce, token_format, refresh, metadata, consent, .. } =
        CreateClient::default();
    let nothing = ClientRecord {
        id: String::new(),
        name: String::new(),
        profile,
        pkce,
        token_format,
        refresh,
        access_token_seconds: None,
        scopes: Vec::new(),
        resources: Vec::new(),
        metadata,
        secrets: Vec::new(),
        registration: None,
        document_sha256: None,
        consent,
        origin: Origin::Admin,
        created_at: UnixMs(0),
        created_by: String::new(),
        disabled_at: None,
    };
    match serde_json::to_value(nothing) {
        Ok(Value::Object(map)) => map,
        _ => Map::new(),
    }
});

/// What is kept of a client.
#[derive(Debug)]
struct Row {
    /// What differs from [`MODEL`], as JSON.
    differs: Box<[u8]>,
    dynamic: bool,
}

/// The store's clients by their ids.
#[derive(Debug)]
pub(super) struct Kept {
    rows: HashMap<Box<str>, Row>,
    whole: Mutex<Cache<Box<str>, Arc<ClientRecord>>>,
}

impl Default for Kept {
    fn default() -> Self {
        Self { rows: HashMap::new(), whole: Mutex::new(Cache::new(WHOLE)) }
    }
}

impl Kept {
    /// Puts a client in place of what was kept under its id.
    pub(super) fn put(&mut self, record: &ClientRecord) {
        let dynamic = record.origin == Origin::Dynamic;
        self.remove(&record.id);
        if let Some(differs) = thin(record) {
            self.rows.insert((*record.id).into(), Row { differs, dynamic });
        }
    }

    /// Forgets a client.
    pub(super) fn remove(&mut self, id: &str) {
        self.rows.remove(id);
        self.whole.get_mut().unwrap_or_else(PoisonError::into_inner).remove(id);
    }

    /// The client with this id.
    pub(super) fn find(&self, id: &str) -> Option<Arc<ClientRecord>> {
        // Held while the row is read: nothing is found that was replaced meanwhile.
        let mut whole = self.whole.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = whole.get(id) {
            return Some(Arc::clone(found));
        }
        let found = Arc::new(full(&self.rows.get(id)?.differs)?);
        whole.insert(id.into(), Arc::clone(&found));
        Some(found)
    }

    /// How many have registered themselves.
    pub(super) fn dynamic(&self) -> usize {
        self.rows.values().filter(|row| row.dynamic).count()
    }
}

/// What of a record differs from [`MODEL`].
fn thin(record: &ClientRecord) -> Option<Box<[u8]>> {
    let Ok(Value::Object(mut map)) = serde_json::to_value(record) else { return None };
    subtract(&mut map, &MODEL);
    serde_json::to_vec(&map).ok().map(Vec::into_boxed_slice)
}

/// The record again.
fn full(differs: &[u8]) -> Option<ClientRecord> {
    let mut map: Map<String, Value> = serde_json::from_slice(differs).ok()?;
    add(&mut map, &MODEL);
    serde_json::from_value(Value::Object(map)).ok()
}

/// INVARIANT: every name in `model` stands in `map` too, since what may be left out is not in a client that has
/// nothing; so a name that is missing afterwards was equal.
fn subtract(map: &mut Map<String, Value>, model: &Map<String, Value>) {
    map.retain(|name, value| match (value, model.get(name)) {
        (Value::Object(value), Some(Value::Object(model))) => {
            subtract(value, model);
            !value.is_empty()
        }
        (value, Some(model)) => value != model,
        (_, None) => true,
    });
}

fn add(map: &mut Map<String, Value>, model: &Map<String, Value>) {
    for (name, model) in model {
        match (map.get_mut(name), model) {
            (Some(Value::Object(value)), Value::Object(model)) => add(value, model),
            (Some(_), _) => {}
            (None, model) => drop(map.insert(name.clone(), model.clone())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oauth::records::{ClientSecret, Profile};
    use protocol::oauth::metadata::ClientMetadata;
    use serde_json::json;

    fn nothing() -> ClientRecord {
        serde_json::from_value(Value::Object(MODEL.clone())).unwrap()
    }

    fn everything() -> ClientRecord {
        ClientRecord {
            id: "all".into(),
            name: "All".into(),
            profile: Profile::Fapi2Security,
            access_token_seconds: Some(60),
            scopes: vec!["read".into()],
            resources: vec!["https://api.example".into()],
            metadata: ClientMetadata {
                redirect_uris: vec!["https://app.example/cb".into()],
                token_endpoint_auth_method: "none".into(),
                grant_types: Vec::new(),
                jwks: Some(json!({"keys": [{"kty": "EC"}], "empty": {}})),
                logo_uri: Some(String::new()),
                require_pushed_authorization_requests: true,
                default_max_age: Some(0),
                ..ClientMetadata::default()
            },
            secrets: vec![ClientSecret {
                mac: "00".into(),
                created_at: UnixMs(1),
                expires_at: Some(UnixMs(2)),
            }],
            registration: Some("00".into()),
            document_sha256: Some("00".into()),
            consent: false,
            origin: Origin::Dynamic,
            created_at: UnixMs(5),
            created_by: "uid:0".into(),
            disabled_at: Some(UnixMs(6)),
            ..nothing()
        }
    }

    #[test]
    fn a_client_is_found_as_it_was_put() {
        let mut kept = Kept::default();
        for record in [nothing(), everything()] {
            kept.put(&record);
            assert_eq!(full(&thin(&record).unwrap()).unwrap(), record);
            for _whole in 0..2 {
                assert_eq!(*kept.find(&record.id).unwrap(), record);
            }
        }
        assert!(thin(&nothing()).unwrap().len() < 10, "nothing is kept of what has nothing");
        assert_eq!(kept.dynamic(), 1);
    }

    #[test]
    fn what_was_replaced_or_removed_is_not_found() {
        let mut kept = Kept::default();
        kept.put(&everything());
        assert!(kept.find("all").is_some());
        let next = ClientRecord { disabled_at: Some(UnixMs(9)), ..everything() };
        kept.put(&next);
        assert_eq!(kept.find("all").unwrap().disabled_at, Some(UnixMs(9)));
        kept.remove("all");
        assert!(kept.find("all").is_none());
    }

    #[test]
    fn more_clients_than_are_kept_whole_are_all_found() {
        let mut kept = Kept::default();
        let named = |n: usize| ClientRecord { id: format!("c{n}"), ..everything() };
        (0..3 * WHOLE).for_each(|n| kept.put(&named(n)));
        for n in (0..3 * WHOLE).chain(0..10) {
            assert_eq!(kept.find(&format!("c{n}")).as_deref(), Some(&named(n)));
        }
        assert!(kept.whole.lock().unwrap().len() <= WHOLE);
    }
}
