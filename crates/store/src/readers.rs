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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::sqlite_options;
    use futures_util::FutureExt as _;
    use std::sync::Arc;

    async fn readers(folder: &tempfile::TempDir) -> Readers {
        let path = folder.path().join("t.db");
        let mut conn = Conn::Sqlite(sqlite_options(&path).connect().await.unwrap());
        conn.script("CREATE TABLE t (n INTEGER NOT NULL); INSERT INTO t VALUES (7)").await.unwrap();
        Readers::open(sqlite_options(&path).pragma("query_only", "ON")).await.unwrap()
    }

    fn number() -> Work<i64> {
        Box::new(|conn| Box::pin(conn.one("SELECT n FROM t", args![], |row| row.int(0))))
    }

    #[tokio::test]
    async fn a_connection_is_kept_and_one_that_failed_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let readers = readers(&folder).await;
        for _ in 0..10 {
            assert_eq!(readers.read(number()).await.unwrap(), 7);
        }
        assert_eq!(readers.idle().len(), 1);
        let wrong: Work<i64> =
            Box::new(|conn| Box::pin(conn.one("SELECT n FROM u", args![], |row| row.int(0))));
        readers.read(wrong).await.unwrap_err();
        assert_eq!(readers.idle().len(), 0);
        assert_eq!(readers.read(number()).await.unwrap(), 7);
    }

    #[tokio::test]
    async fn nothing_is_written_by_a_reader() {
        let folder = tempfile::tempdir().unwrap();
        let readers = readers(&folder).await;
        let write: Work<u64> = Box::new(|conn| Box::pin(conn.execute("DELETE FROM t", args![])));
        readers.read(write).await.unwrap_err();
        assert_eq!(readers.read(number()).await.unwrap(), 7);
    }

    #[tokio::test]
    async fn a_caller_that_goes_away_gives_its_turn_back_and_no_connection() {
        let folder = tempfile::tempdir().unwrap();
        let readers = readers(&folder).await;
        for _ in 0..2 * READERS {
            let waits: Work<i64> = Box::new(|_| Box::pin(std::future::pending()));
            // It is polled once, and dropped where it stands.
            let mut read = Box::pin(readers.read(waits));
            while readers.turns.available_permits() == READERS as usize {
                assert!((&mut read).now_or_never().is_none());
            }
            drop(read);
        }
        assert_eq!(readers.turns.available_permits(), READERS as usize);
        assert_eq!(readers.read(number()).await.unwrap(), 7);
    }

    #[tokio::test]
    async fn many_reads_share_few_connections_and_the_end_waits_for_them() {
        let folder = tempfile::tempdir().unwrap();
        let readers = Arc::new(readers(&folder).await);
        let reads: Vec<_> = (0..50)
            .map(|_| {
                let readers = Arc::clone(&readers);
                tokio::spawn(async move { readers.read(number()).await })
            })
            .collect();
        for read in reads {
            assert_eq!(read.await.unwrap().unwrap(), 7);
        }
        assert!(readers.idle().len() <= READERS as usize);
        readers.close().await;
        assert!(readers.read(number()).await.is_err());
        assert!(readers.one_moment().await.is_err());
        assert!(readers.idle().is_empty());
        readers.close().await;
    }
}
