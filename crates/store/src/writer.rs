//! Runs intentions, each in a transaction.
//!
//! SQLite has one writer. Its task takes all intentions that wait (at most [`BATCH`]), runs each in a
//! savepoint, commits once, and then acknowledges them all: the disk's sync time bounds latency, not
//! throughput. PostgreSQL groups commits itself, so each intention has a transaction of its own there.

use crate::conn::{Conn, args};
use crate::error::port;
use crate::signals::Signals;
use authority::PortError;
use base::BoxFuture;
use sqlx::PgPool;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

/// Intentions that share one commit at most: with some 50 µs each, the first waits no longer than 15 ms.
const BATCH: usize = 256;
/// Intentions that wait at most before callers wait to queue up.
pub(crate) const QUEUE: usize = 1024;
/// How long an intention may take at PostgreSQL, its waiting for a connection included.
const LONGEST: Duration = Duration::from_secs(20);

/// An intention's work: statements that belong together.
pub(crate) type Work<T> =
    Box<dyn for<'c> FnOnce(&'c mut Conn) -> BoxFuture<'c, Result<T, PortError>> + Send>;

/// An intention in the queue, its type forgotten.
pub(crate) trait Job: Send {
    /// Runs the statements; keeps the result.
    fn run<'c>(&'c mut self, conn: &'c mut Conn) -> BoxFuture<'c, Result<(), PortError>>;
    /// Tells the caller how it ended.
    fn finish(self: Box<Self>, end: Result<(), PortError>);
}

pub(crate) struct Intention<T> {
    work: Option<Work<T>>,
    value: Option<T>,
    reply: oneshot::Sender<Result<T, PortError>>,
}

impl<T: Send> Job for Intention<T> {
    fn run<'c>(&'c mut self, conn: &'c mut Conn) -> BoxFuture<'c, Result<(), PortError>> {
        Box::pin(async move {
            if let Some(work) = self.work.take() {
                self.value = Some(work(conn).await?);
            }
            Ok(())
        })
    }

    fn finish(self: Box<Self>, end: Result<(), PortError>) {
        let Self { value, reply, .. } = *self;
        // A caller that went away does not undo what is committed.
        let _ = reply.send(end.and_then(|()| value.ok_or_else(closed)));
    }
}

pub(crate) fn closed() -> PortError {
    PortError::Unavailable("the store is closed".to_owned())
}

/// Puts an intention into the queue and waits for its end.
pub(crate) async fn submit<T: Send + 'static>(
    queue: mpsc::Sender<Box<dyn Job>>,
    work: Work<T>,
) -> Result<T, PortError> {
    let (reply, answer) = oneshot::channel();
    let job = Box::new(Intention { work: Some(work), value: None, reply });
    queue.send(job).await.map_err(|_| closed())?;
    drop(queue);
    // The task ends between queue and answer only with the process.
    answer.await.map_err(|_| PortError::Uncertain("the store was closed".to_owned()))?
}

/// The task of the one SQLite writer; ends when the last sender is gone.
pub(crate) async fn run(
    mut conn: Conn,
    mut queue: mpsc::Receiver<Box<dyn Job>>,
    signals: Arc<Signals>,
) {
    let mut batch: Vec<Box<dyn Job>> = Vec::with_capacity(BATCH);
    while queue.recv_many(&mut batch, BATCH).await > 0 {
        let ends = commit_batch(&mut conn, &mut batch).await;
        signals.committed();
        for (job, end) in batch.drain(..).zip(ends) {
            job.finish(end);
        }
    }
}

/// Runs all jobs in one transaction, each in a savepoint; how each ended, in their order.
///
/// WHY statements that share a call: each call goes to the connection's thread and back, which costs several times
/// what these statements do.
///
/// INVARIANT: SQLite ends a transaction by itself on some errors (disk full, I/O), and statements after that
/// would commit one by one. Then there is no savepoint to go back to or to release, that fails, and nothing of the
/// batch is acknowledged. A call ends with its first statement that fails.
async fn commit_batch(conn: &mut Conn, batch: &mut [Box<dyn Job>]) -> Vec<Result<(), PortError>> {
    let count = batch.len();
    let all = |error: PortError| vec![Err(error); count];
    let mut ends = Vec::with_capacity(count);
    let mut next = "BEGIN IMMEDIATE; SAVEPOINT intention";
    for job in batch {
        if let Err(fatal) = conn.execute(next, args![]).await {
            // A transaction that a former failure left open is closed, so that the next batch can begin.
            let _ = conn.script("ROLLBACK").await;
            return all(fatal);
        }
        let end = job.run(conn).await;
        next = match end {
            Ok(()) => "RELEASE intention; SAVEPOINT intention",
            // The savepoint itself stays.
            Err(_) => "ROLLBACK TO intention",
        };
        ends.push(end);
    }
    // After a failure there is something to undo before the commit.
    let last = match ends.last() {
        Some(Err(_)) => "ROLLBACK TO intention; RELEASE intention",
        _ => "RELEASE intention",
    };
    if let Err(fatal) = conn.execute(last, args![]).await {
        let _ = conn.script("ROLLBACK").await;
        return all(fatal);
    }
    if let Err(error) = conn.execute("COMMIT", args![]).await {
        let _ = conn.script("ROLLBACK").await;
        return all(PortError::Uncertain(error.to_string()));
    }
    ends
}

/// Runs one intention at PostgreSQL.
pub(crate) async fn at_postgres<T: Send + 'static>(
    pool: &PgPool,
    signals: Arc<Signals>,
    work: Work<T>,
) -> Result<T, PortError> {
    let pool = pool.clone();
    // WHY a task: a caller that goes away must not cut a commit in two.
    let task = tokio::spawn(async move {
        let slow = |_| PortError::Unavailable(format!("no answer within {LONGEST:?}"));
        let done = tokio::time::timeout(LONGEST, async {
            let mut conn = Conn::Postgres(pool.begin().await.map_err(port)?);
            let value = work(&mut conn).await?;
            Ok::<_, PortError>((conn, value))
        });
        let (conn, value) = done.await.map_err(slow)??;
        let Conn::Postgres(transaction) = conn else { return Err(closed()) };
        match tokio::time::timeout(LONGEST, transaction.commit()).await {
            Ok(Ok(())) => {
                signals.committed();
                Ok(value)
            }
            Ok(Err(error)) if rolled_back(&error) => Err(port(error)),
            Ok(Err(error)) => Err(PortError::Uncertain(error.to_string())),
            Err(_) => Err(PortError::Uncertain(format!("no answer within {LONGEST:?}"))),
        }
    });
    task.await.unwrap_or_else(|error| Err(PortError::Uncertain(error.to_string())))
}

/// Whether the server says that it has not committed: a constraint (class 23) or a conflict (class 40).
/// WHY not every answer of the server: a session that is ended by an administrator (57P01) may say so after
/// the commit is done.
fn rolled_back(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(|it| it.code());
    code.is_some_and(|it| it.starts_with("23") || it.starts_with("40"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::sqlite_options;
    use sqlx::ConnectOptions as _;

    async fn writer(folder: &tempfile::TempDir) -> Conn {
        let options = sqlite_options(&folder.path().join("t.db"));
        let mut conn = Conn::Sqlite(options.connect().await.unwrap());
        conn.script("CREATE TABLE t (id INTEGER PRIMARY KEY, pad BLOB NOT NULL)").await.unwrap();
        conn
    }

    /// Inserts rows of these ids, each with so many bytes.
    fn insert(
        ids: &'static [i64],
        bytes: usize,
    ) -> (Box<dyn Job>, oneshot::Receiver<Result<(), PortError>>) {
        let (reply, answer) = oneshot::channel();
        let work: Work<()> = Box::new(move |conn| {
            Box::pin(async move {
                for id in ids {
                    let pad = vec![0u8; bytes];
                    let sql = "INSERT INTO t (id, pad) VALUES ($1, $2)";
                    conn.execute(sql, args![*id, pad.as_slice()]).await?;
                }
                Ok(())
            })
        });
        (Box::new(Intention { work: Some(work), value: None, reply }), answer)
    }

    async fn ids(conn: &mut Conn) -> Vec<i64> {
        conn.all("SELECT id FROM t ORDER BY id", args![], |row| row.int(0)).await.unwrap()
    }

    #[tokio::test]
    async fn a_failed_intention_leaves_no_trace_and_harms_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let mut conn = writer(&folder).await;
        let mut batch = vec![insert(&[1], 1).0, insert(&[2, 1], 1).0, insert(&[3], 1).0];
        let ends = commit_batch(&mut conn, &mut batch).await;
        assert_eq!(ends, [Ok(()), Err(PortError::Conflict), Ok(())]);
        assert_eq!(ids(&mut conn).await, [1, 3]);
    }

    #[tokio::test]
    async fn a_full_disk_acknowledges_nothing_that_is_not_there() {
        let folder = tempfile::tempdir().unwrap();
        let mut conn = writer(&folder).await;
        conn.script("PRAGMA max_page_count = 20").await.unwrap();
        for round in 0..4 {
            let sizes = [[100, 200_000, 100], [200_000, 1, 1], [1, 1, 200_000], [1, 1, 1]];
            let each: [&[i64]; 3] = [&[1], &[2], &[3]];
            conn.script("DELETE FROM t").await.unwrap();
            let mut batch: Vec<_> =
                each.iter().zip(sizes[round]).map(|(ids, size)| insert(ids, size).0).collect();
            let ends = commit_batch(&mut conn, &mut batch).await;
            let kept: Vec<i64> =
                (1..).zip(&ends).filter(|(_, end)| end.is_ok()).map(|(id, _)| id).collect();
            assert_eq!(ids(&mut conn).await, kept, "round {round}: {ends:?}");
        }
    }

    #[tokio::test]
    async fn a_transaction_that_ends_by_itself_acknowledges_nothing_of_the_batch() {
        let folder = tempfile::tempdir().unwrap();
        let mut conn = writer(&folder).await;
        // As SQLite does on some errors: the whole transaction is gone, and the statement fails.
        let (reply, _answer) = oneshot::channel();
        let work: Work<()> = Box::new(|conn| {
            Box::pin(async move {
                conn.script("ROLLBACK").await?;
                Err(PortError::Unavailable("disk".to_owned()))
            })
        });
        let lost = Box::new(Intention { work: Some(work), value: None, reply });
        let mut batch: Vec<Box<dyn Job>> = vec![insert(&[1], 1).0, lost, insert(&[2], 1).0];
        let ends = commit_batch(&mut conn, &mut batch).await;
        assert!(ends.iter().all(Result::is_err));
        assert!(ids(&mut conn).await.is_empty());
        let mut batch = vec![insert(&[4], 1).0];
        assert_eq!(commit_batch(&mut conn, &mut batch).await, [Ok(())]);
    }

    #[tokio::test]
    async fn every_commit_is_synced() {
        let folder = tempfile::tempdir().unwrap();
        let mut conn = writer(&folder).await;
        let level = conn.one("PRAGMA synchronous", args![], |row| row.int(0)).await.unwrap();
        assert_eq!(level, 2, "FULL");
        let mode =
            conn.one("PRAGMA journal_mode", args![], |row| Ok(row.text(0)?.to_owned())).await;
        assert_eq!(mode.unwrap(), "wal");
    }

    #[tokio::test]
    async fn intentions_that_wait_share_a_commit() {
        let folder = tempfile::tempdir().unwrap();
        let conn = writer(&folder).await;
        let (queue, waiting) = mpsc::channel(QUEUE);
        let (first, one) = insert(&[1], 1);
        let (second, two) = insert(&[2], 1);
        queue.send(first).await.unwrap();
        queue.send(second).await.unwrap();
        let signals = Arc::new(Signals::new());
        let before = signals.feed.wait(0, Duration::ZERO).await;
        drop(queue);
        run(conn, waiting, signals.clone()).await;
        assert_eq!((one.await.unwrap(), two.await.unwrap()), (Ok(()), Ok(())));
        assert_eq!(signals.feed.wait(before, Duration::ZERO).await, before + 1, "one commit");
    }
}
