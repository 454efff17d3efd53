//! The ledger as the control plane's edge reads it.

use audit::{Ledger, ReadError, Reader, Record};
use base::{BoxFuture, Clock, Event, RequestId};
use control::ports::{self, EventFilter, LedgerError, Read, Row};
use gateway::Metrics;
use std::fmt::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// How long a record may be on its way from a shard to the disk: the writer syncs every 5 ms.
const ON_ITS_WAY: Duration = Duration::from_secs(2);
/// How soon it is looked for again.
const AGAIN: Duration = Duration::from_millis(20);
/// How often a follower looks for what has come.
const FOLLOW: Duration = Duration::from_millis(100);

/// Reads the ledger's files.
#[derive(Debug)]
pub(super) struct Reads {
    reader: Reader,
    clock: Arc<dyn Clock>,
}

impl Reads {
    pub(super) fn new(dir: PathBuf, clock: Arc<dyn Clock>) -> Self {
        Self { reader: Reader::new(dir), clock }
    }

    /// Runs what waits for the disk on a thread that may wait.
    async fn blocking<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Reader) -> Result<T, ReadError> + Send + 'static,
    ) -> Result<T, LedgerError> {
        let reader = self.reader.clone();
        match tokio::task::spawn_blocking(move || read(&reader)).await {
            Ok(result) => result.map_err(failed),
            Err(error) => Err(LedgerError::Unavailable(error.to_string())),
        }
    }

    async fn find(&self, id: RequestId) -> Result<Option<Event>, LedgerError> {
        loop {
            let found = self.blocking(move |reader| reader.find(id)).await?;
            let young = self.clock.now().since(id.time()) < ON_ITS_WAY;
            match found {
                Some(record) => return Ok(Some(event(record))),
                None if young => tokio::time::sleep(AGAIN).await,
                None => return Ok(None),
            }
        }
    }

    async fn tail(
        &self,
        filter: EventFilter,
        limit: usize,
    ) -> Result<Box<dyn ports::Tail>, LedgerError> {
        let wanted = filter.clone();
        let (events, tail) =
            self.blocking(move |reader| reader.recent(limit, |event| wanted.wants(event))).await?;
        Ok(Box::new(Following { ready: events.into_iter(), tail: Some(tail), filter }))
    }
}

fn failed(error: ReadError) -> LedgerError {
    match error {
        ReadError::Query(error) => LedgerError::Query(error.to_string()),
        other => LedgerError::Unavailable(other.to_string()),
    }
}

fn event(record: Record) -> Event {
    let said = |mut event: Event, what: &str| {
        let before = event.detail.take();
        event.detail = Some(match before {
            Some(detail) => format!("{what}; {detail}").into(),
            None => what.into(),
        });
        event
    };
    match record {
        Record::Own(event) => event,
        Record::Folded(event) => said(event, "one of many equal denials, counted in one record"),
        Record::OneOf(mut events) => {
            let note = format!("one of {} counted records stands for it", events.len());
            match events.pop() {
                Some(event) => said(event, &note),
                // The reader gives at least one.
                None => Event::new(
                    base::EventId([0; 16]),
                    base::UnixMs(0),
                    base::NodeId(0),
                    base::Kind::Gap,
                    base::code::LEDGER_GAP,
                ),
            }
        }
    }
}

/// Tells a query that nobody waits for it any more.
struct Waiting(Arc<AtomicBool>);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Relaxed);
    }
}

impl ports::Ledger for Reads {
    fn explain(&self, id: RequestId) -> Read<'_, Option<Event>> {
        Box::pin(self.find(id))
    }

    fn recent(&self, filter: EventFilter, limit: usize) -> Read<'_, Vec<Event>> {
        Box::pin(async move {
            let found =
                self.blocking(move |reader| reader.recent(limit, |event| filter.wants(event)));
            Ok(found.await?.0)
        })
    }

    fn follow(&self, filter: EventFilter, limit: usize) -> Read<'_, Box<dyn ports::Tail>> {
        Box::pin(self.tail(filter, limit))
    }

    fn query(&self, sql: String) -> Read<'_, Vec<Row>> {
        Box::pin(async move {
            let wanted = Arc::new(AtomicBool::new(true));
            let _waiting = Waiting(wanted.clone());
            self.blocking(move |reader| {
                reader.query_while(&sql, &|| wanted.load(Ordering::Relaxed))
            })
            .await
        })
    }
}

/// Events as they come.
struct Following {
    ready: std::vec::IntoIter<Event>,
    tail: Option<audit::Tail>,
    filter: EventFilter,
}

impl Following {
    async fn advance(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.ready.next() {
                return Some(event);
            }
            let mut tail = self.tail.take()?;
            let read = tokio::task::spawn_blocking(move || {
                let events = tail.next_events();
                (tail, events)
            });
            let (tail, events) = read.await.ok()?;
            self.tail = Some(tail);
            match events {
                Ok(events) if events.is_empty() => tokio::time::sleep(FOLLOW).await,
                Ok(events) => {
                    let wanted: Vec<Event> =
                        events.into_iter().filter(|event| self.filter.wants(event)).collect();
                    self.ready = wanted.into_iter();
                }
                Err(error) => {
                    tracing::warn!(%error, "the ledger cannot be followed");
                    return None;
                }
            }
        }
    }
}

impl ports::Tail for Following {
    fn next(&mut self) -> BoxFuture<'_, Option<Event>> {
        Box::pin(self.advance())
    }
}

/// All metrics as OpenMetrics text.
pub(super) fn metrics(metrics: &Metrics, ledger: &Ledger, more: &str) -> String {
    const END: &str = "# EOF\n";
    let mut text = metrics.render();
    let start = text.strip_suffix(END).map_or(text.len(), str::len);
    text.truncate(start);
    let now = ledger.metrics();
    let rows = [
        ("appended", "Events given to the ledger", now.appended),
        ("synced", "Events that are durable", now.synced),
        ("lost", "Events that could not be recorded", now.lost),
        ("folded", "Denials in counted records", now.folded),
        ("bytes", "Bytes written", now.bytes),
        ("syncs", "Syncs", now.syncs),
        ("failures", "Commits that failed", now.failures),
    ];
    for (name, help, value) in rows {
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "# HELP portcullis_ledger_{name} {help}.\n# TYPE portcullis_ledger_{name} counter\n\
             portcullis_ledger_{name}_total {value}"
        );
    }
    let _ = writeln!(
        text,
        "# HELP portcullis_ledger_waiting Events that wait in rings.\n\
         # TYPE portcullis_ledger_waiting gauge\nportcullis_ledger_waiting {}",
        now.waiting
    );
    text.push_str(more);
    text.push_str(END);
    text
}
