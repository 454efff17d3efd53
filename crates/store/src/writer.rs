//! Runs intentions, each in a transaction.
//!
//! SQLite has one writer. Its task takes all intentions that wait (at most [`BATCH`]), runs each in a
//! savepoint, commits once, and then acknowledges them all: the disk's sync time bounds latency, not
//! throughput. PostgreSQL groups commits itself, so each intention has a transaction of its own there.

use crate::conn::Conn;
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
        let _ = reply.send(end.and_then(|()| value.ok_or_else(gone)));
    }
}

fn gone() -> PortError {
    PortError::Unavailable("the store is closed".to_owned())
}

/// Puts an intention into the queue and waits for its end.
pub(crate) async fn submit<T: Send + 'static>(
    queue: &mpsc::Sender<Box<dyn Job>>,
    work: Work<T>,
) -> Result<T, PortError> {
    let (reply, answer) = oneshot::channel();
    let job = Box::new(Intention { work: Some(work), value: None, reply });
    queue.send(job).await.map_err(|_| gone())?;
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

/// Runs all jobs in one transaction; how each ended, in their order.
async fn commit_batch(conn: &mut Conn, batch: &mut [Box<dyn Job>]) -> Vec<Result<(), PortError>> {
    let count = batch.len();
    let all = |error: PortError| vec![Err(error); count];
    if let Err(error) = conn.script("BEGIN IMMEDIATE").await {
        // A transaction that a former failure left open is closed, so that the next batch can begin.
        let _ = conn.script("ROLLBACK").await;
        return all(error);
    }
    let mut ends = Vec::with_capacity(count);
    for job in batch {
        match savepoint(conn, job.as_mut()).await {
            Ok(end) => ends.push(end),
            Err(fatal) => {
                let _ = conn.script("ROLLBACK").await;
                return all(fatal);
            }
        }
    }
    if let Err(error) = conn.script("COMMIT").await {
        let _ = conn.script("ROLLBACK").await;
        return all(PortError::Uncertain(error.to_string()));
    }
    ends
}

/// Runs one job in a savepoint. The outer error means that the whole transaction is lost.
///
/// INVARIANT: SQLite ends a transaction by itself on some errors (disk full, I/O), and statements after that
/// would commit one by one. Then there is no savepoint to go back to, the rollback to it fails, and nothing
/// of the batch is acknowledged.
async fn savepoint(conn: &mut Conn, job: &mut dyn Job) -> Result<Result<(), PortError>, PortError> {
    conn.script("SAVEPOINT intention").await?;
    let end = job.run(conn).await;
    if let Err(error) = &end {
        conn.script("ROLLBACK TO intention").await.map_err(|_| error.clone())?;
    }
    conn.script("RELEASE intention").await?;
    Ok(end)
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
        let Conn::Postgres(transaction) = conn else { return Err(gone()) };
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
