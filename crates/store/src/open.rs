//! Opens a store.

use crate::conn::Conn;
use crate::dialect::{CHANNEL, Dialect, postgres_options, sqlite_options};
use crate::error::{OpenError, port};
use crate::migrate;
use crate::readers::Readers;
use crate::signals::Signals;
use crate::writer::{self, Job, QUEUE, Work};
use authority::{Answer, PortError};
use base::{Secret, UnixMs};
use sqlx::pool::PoolOptions;
use sqlx::postgres::{PgConnectOptions, PgListener};
use sqlx::{ConnectOptions, PgPool};
use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinHandle};

/// Connections to PostgreSQL. Its default allows 100 in all, for perhaps eight nodes.
const POSTGRES_CONNECTIONS: u32 = 10;
/// How long a caller waits for a free connection, or for a server that is starting.
const ACQUIRE: Duration = Duration::from_secs(5);
/// How long a read may take before it counts as unanswered.
const READ: Duration = Duration::from_secs(10);
/// How long the listener waits before it connects again; the poll goes on meanwhile.
const LISTEN_AGAIN: Duration = Duration::from_secs(1);

/// Where the state is kept.
#[derive(Debug, Clone)]
pub enum StoreUrl {
    /// A file, made when it is not there (its folder must be).
    Sqlite(PathBuf),
    /// `postgres://user:password@host:port/database?…`.
    Postgres(Secret<String>),
}

impl StoreUrl {
    /// Reads the value of `server.store`.
    ///
    /// # Errors
    /// [`OpenError::Url`] when it is none.
    pub fn parse(text: &str) -> Result<Self, OpenError> {
        if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            return Ok(Self::Postgres(Secret::new(text.to_owned())));
        }
        let path = text.strip_prefix("sqlite://").unwrap_or(text);
        if path.is_empty() || path.contains("://") {
            return Err(OpenError::Url);
        }
        Ok(Self::Sqlite(PathBuf::from(path)))
    }
}

/// The state of an installation. Cheap to clone; closed when the last clone is dropped.
#[derive(Debug, Clone)]
pub struct Store(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    engine: Engine,
    signals: Arc<Signals>,
}

enum Engine {
    Sqlite { readers: Box<Readers>, writer: Writer },
    Postgres { pool: PgPool, listener: AbortHandle },
}

/// The queue of the SQLite writer and its task; nothing once the store is closed.
type Writer = Mutex<Option<(mpsc::Sender<Box<dyn Job>>, JoinHandle<()>)>>;

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Sqlite { .. } => "Sqlite",
            Self::Postgres { .. } => "Postgres",
        })
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        if let Self::Postgres { listener, .. } = self {
            listener.abort();
        }
    }
}

impl Store {
    /// Opens the store and brings its schema up to date. Must be called within a Tokio runtime, which runs
    /// its tasks from then on.
    ///
    /// # Errors
    /// When the database does not answer, or its schema is not one that this program knows.
    pub async fn open(url: &StoreUrl, now: UnixMs) -> Result<Self, OpenError> {
        let signals = Arc::new(Signals::new());
        let engine = match url {
            StoreUrl::Sqlite(path) => open_sqlite(path, now, signals.clone()).await?,
            StoreUrl::Postgres(url) => open_postgres(url, now, signals.clone()).await?,
        };
        Ok(Self(Arc::new(Inner { engine, signals })))
    }

    /// Takes no more intentions, lets those that wait finish, and ends all connections. What is acknowledged
    /// is durable with or without this.
    pub async fn close(&self) {
        match &self.0.engine {
            Engine::Sqlite { readers, writer } => {
                let taken = writer.lock().unwrap_or_else(PoisonError::into_inner).take();
                if let Some((queue, task)) = taken {
                    drop(queue);
                    // It ends once those who are queueing up have their answers.
                    let _ = task.await;
                }
                readers.close().await;
            }
            Engine::Postgres { pool, listener } => {
                listener.abort();
                pool.close().await;
            }
        }
    }

    pub(crate) fn signals(&self) -> &Signals {
        &self.0.signals
    }

    /// How long a follower should wait at most before it looks again.
    pub(crate) fn poll(&self) -> Duration {
        match &self.0.engine {
            // Every change comes through this process; the poll only shows that the database answers.
            Engine::Sqlite { .. } => Duration::from_secs(1),
            Engine::Postgres { .. } => Duration::from_millis(250),
        }
    }

    /// Runs an intention; answers when it is durable.
    pub(crate) fn write<T: Send + 'static>(&self, work: Work<T>) -> Answer<'_, T> {
        Box::pin(async move {
            match &self.0.engine {
                Engine::Sqlite { writer, .. } => {
                    let queue = {
                        let writer = writer.lock().unwrap_or_else(PoisonError::into_inner);
                        writer.as_ref().map(|(queue, _)| queue.clone())
                    };
                    writer::submit(queue.ok_or_else(writer::closed)?, work).await
                }
                Engine::Postgres { pool, .. } => {
                    writer::at_postgres(pool, self.0.signals.clone(), work).await
                }
            }
        })
    }

    /// Runs statements that read.
    pub(crate) fn read<T: Send + 'static>(&self, work: Work<T>) -> Answer<'_, T> {
        Box::pin(async move {
            let reading = async {
                match &self.0.engine {
                    Engine::Sqlite { readers, .. } => readers.read(work).await,
                    Engine::Postgres { pool, .. } => {
                        let conn = pool.acquire().await.map_err(port)?;
                        work(&mut Conn::PostgresReader(conn)).await
                    }
                }
            };
            let slow = |_| PortError::Unavailable(format!("no answer within {READ:?}"));
            tokio::time::timeout(READ, reading).await.map_err(slow)?
        })
    }

    /// A transaction in which all reads see the same moment.
    pub(crate) async fn one_moment(&self) -> Result<Conn, PortError> {
        match &self.0.engine {
            Engine::Sqlite { readers, .. } => readers.one_moment().await,
            Engine::Postgres { pool, .. } => {
                let mut conn = Conn::Postgres(pool.begin().await.map_err(port)?);
                conn.script("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY").await?;
                Ok(conn)
            }
        }
    }
}

async fn open_sqlite(path: &Path, now: UnixMs, signals: Arc<Signals>) -> Result<Engine, OpenError> {
    // SQLite gives its further files the permissions of this one.
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
        .map_err(|e| OpenError::File { path: path.to_owned(), problem: e.to_string() })?;
    let options = sqlite_options(path);
    let mut conn = Conn::Sqlite(options.connect().await.map_err(port)?);
    conn.script(Dialect::Sqlite.begin_migration()).await?;
    migrate::run(&mut conn, now).await?;
    conn.script("COMMIT").await?;
    let readers = Box::new(Readers::open(options.pragma("query_only", "ON")).await?);
    let (writer, queue) = mpsc::channel(QUEUE);
    let task = tokio::spawn(writer::run(conn, queue, signals));
    Ok(Engine::Sqlite { readers, writer: Mutex::new(Some((writer, task))) })
}

async fn open_postgres(
    url: &Secret<String>,
    now: UnixMs,
    signals: Arc<Signals>,
) -> Result<Engine, OpenError> {
    // WHY the parser's own error is dropped: it may repeat the address, and a password stands in it.
    let options: PgConnectOptions = url.expose().parse().map_err(|_| OpenError::Url)?;
    let pool = PoolOptions::new()
        .max_connections(POSTGRES_CONNECTIONS)
        .acquire_timeout(ACQUIRE)
        .connect_with(postgres_options(options))
        .await
        .map_err(port)?;
    let mut conn = Conn::Postgres(pool.begin().await.map_err(port)?);
    conn.script(Dialect::Postgres.begin_migration()).await?;
    migrate::run(&mut conn, now).await?;
    if let Conn::Postgres(transaction) = conn {
        transaction.commit().await.map_err(port)?;
    }
    let listener = tokio::spawn(listen(pool.clone(), signals)).abort_handle();
    Ok(Engine::Postgres { pool, listener })
}

/// Raises the feed's signal for each announcement of any node. When the connection breaks it is made anew;
/// what was announced meanwhile the poll finds.
async fn listen(pool: PgPool, signals: Arc<Signals>) {
    loop {
        if let Err(error) = listen_once(&pool, &signals).await {
            tracing::warn!(%error, "the database's announcements are not heard, polling goes on");
        }
        tokio::time::sleep(LISTEN_AGAIN).await;
    }
}

async fn listen_once(pool: &PgPool, signals: &Signals) -> Result<(), sqlx::Error> {
    let mut listener = PgListener::connect_with(pool).await?;
    listener.listen(CHANNEL).await?;
    loop {
        // `None`: the connection broke and stands again, so announcements may have been missed.
        let _ = listener.try_recv().await?;
        signals.feed.raise();
    }
}
