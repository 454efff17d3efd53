//! A store of either engine, empty, with all that tests need beside it.

use authority::{Change, Cursor, Feed as _, FeedRow, KeyId, KeyRecord, Outbox as _};
use base::{Code, Event, EventId, FakeClock, Kind, NodeId, UnixMs, code};
use std::path::PathBuf;
use std::sync::Arc;
use store::{Store, StoreUrl};
use testkit::postgres::PrivatePostgres;

/// The node whose events tests write.
pub(crate) const NODE: NodeId = NodeId(7);
/// When tests begin.
pub(crate) const START: UnixMs = UnixMs(1_764_000_000_000);

/// A store and what it stands on.
pub(crate) struct Rig {
    pub(crate) store: Store,
    pub(crate) url: StoreUrl,
    pub(crate) clock: Arc<FakeClock>,
    pub(crate) postgres: Option<PrivatePostgres>,
    pub(crate) folder: tempfile::TempDir,
}

impl Rig {
    pub(crate) async fn sqlite() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = StoreUrl::Sqlite(path(&folder));
        Self::over(url, None, folder).await
    }

    /// A server for this test alone.
    pub(crate) async fn postgres() -> Self {
        let server = server();
        let url = StoreUrl::parse(&server.url()).unwrap();
        Self::over(url, Some(server), tempfile::tempdir().unwrap()).await
    }

    /// A database of its own in a server that others use too.
    pub(crate) async fn within(server: &PrivatePostgres, name: &str) -> Self {
        let name = name.get(..60).unwrap_or(name);
        let url = StoreUrl::parse(&server.database(name).unwrap()).unwrap();
        Self::over(url, None, tempfile::tempdir().unwrap()).await
    }

    async fn over(
        url: StoreUrl,
        postgres: Option<PrivatePostgres>,
        folder: tempfile::TempDir,
    ) -> Self {
        let store = Store::open(&url, START).await.unwrap();
        Self { store, url, clock: Arc::new(FakeClock::at(START)), postgres, folder }
    }

    /// All events that wait in the outbox.
    pub(crate) async fn events(&self) -> Vec<Event> {
        let rows = self.store.take(NODE, 10_000).await.unwrap();
        rows.into_iter().map(|row| row.event).collect()
    }

    /// All rows of the feed.
    pub(crate) async fn feed(&self) -> Vec<FeedRow> {
        let page = self.store.changes_since(Cursor::default(), 10_000).await.unwrap();
        assert!(!page.lost);
        page.rows
    }

    /// All changes of the feed.
    pub(crate) async fn changes(&self) -> Vec<Change> {
        self.feed().await.into_iter().filter_map(|row| row.change).collect()
    }
}

/// # Panics
/// When PostgreSQL is not installed; the message says what to do.
pub(crate) fn server() -> PrivatePostgres {
    PrivatePostgres::start().unwrap_or_else(|problem| panic!("{problem}"))
}

fn path(folder: &tempfile::TempDir) -> PathBuf {
    folder.path().join("portcullis.db")
}

/// An event of an act.
pub(crate) fn event(code: Code) -> Event {
    let mut event = Event::new(EventId::random().unwrap(), START, NODE, Kind::Admin, code);
    event.principal = Some("uid:0".into());
    event
}

/// An event for a new key.
pub(crate) fn created() -> Event {
    event(code::KEY_CREATED)
}

/// A key with something in every field.
pub(crate) fn key() -> KeyRecord {
    let id = KeyId::random().unwrap();
    KeyRecord {
        id,
        env: "live".to_owned(),
        name: "n\u{e4}me '\"; DROP TABLE api_keys; -- \u{1f511}".to_owned(),
        mac: [0xa5; 32],
        scopes: vec!["echo:read".to_owned(), "orders:*".to_owned()],
        routes: Some(vec!["a".to_owned(), "b".to_owned()]),
        created_at: START,
        expires_at: Some(UnixMs(START.0 + 1_000)),
        revoked_at: None,
        revoked_reason: None,
        created_by: "uid:0".to_owned(),
        owner: None,
    }
}
