//! The connections that read at SQLite.
//!
//! WHY not the driver's pool: it asks each connection for a sign of life when it hands it out and again when it takes it
//! back. With a file in this process these say nothing, and cost more than most reads.
//!
//! Invariant: a connection is used again only after a read on it has ended well. One whose caller went away or whose
//! read failed is closed, and another takes its place.

use crate::conn::{Conn, args};
use crate::error::port;
use crate::writer::{Work, closed};
use authority::PortError;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection as _, SqliteConnection};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Semaphore;

/// Reads at once, and so connections. Listings, look-ups and the follower; a few suffice on any machine.
const READERS: u32 = 4;
/// How long a caller waits for its turn.
const TURN: Duration = Duration::from_secs(5);

/// The connections, and whose turn it is.
#[derive(Debug)]
pub(crate) struct Readers {
    options: SqliteConnectOptions,
    idle: Mutex<Vec<SqliteConnection>>,
    turns: Semaphore,
}

impl Readers {
    /// Opens the first of them, so that what is wrong with the file is found now.
    pub(crate) async fn open(options: SqliteConnectOptions) -> Result<Self, PortError> {
        let first = options.connect().await.map_err(port)?;
        let turns = Semaphore::new(READERS as usize);
        Ok(Self { options, idle: Mutex::new(vec![first]), turns })
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<SqliteConnection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs statements that read.
    pub(crate) async fn read<T>(&self, work: Work<T>) -> Result<T, PortError> {
        let late = |_| PortError::Unavailable(format!("no turn to read within {TURN:?}"));
        let turn = tokio::time::timeout(TURN, self.turns.acquire()).await.map_err(late)?;
        let _turn = turn.map_err(|_| closed())?;
        let idle = self.idle().pop();
        let mut conn = Conn::Sqlite(match idle {
            Some(conn) => conn,
            None => self.options.connect().await.map_err(port)?,
        });
        let value = work(&mut conn).await?;
        if let Conn::Sqlite(conn) = conn {
            self.idle().push(conn);
        }
        Ok(value)
    }

    /// A transaction in which all reads see the same moment, on a connection of its own that ends with it. For
    /// snapshots, of which a node takes one when it starts.
    pub(crate) async fn one_moment(&self) -> Result<Conn, PortError> {
        if self.turns.is_closed() {
            return Err(closed());
        }
        let mut conn = Conn::Sqlite(self.options.connect().await.map_err(port)?);
        conn.execute("BEGIN", args![]).await?;
        Ok(conn)
    }

    /// Lets no further read begin, waits for those that run, and ends the connections.
    pub(crate) async fn close(&self) {
        let all = self.turns.acquire_many(READERS).await;
        self.turns.close();
        drop(all);
        let idle = std::mem::take(&mut *self.idle());
        for conn in idle {
            // What it read is read; the file is the writer's.
            let _ = conn.close().await;
        }
    }
}
