//! One face for connections of both engines: static SQL, typed arguments, typed columns.

use crate::dialect::Dialect;
use crate::error::port;
use authority::PortError;
use futures_util::TryStreamExt;
use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgArguments, PgRow};
use sqlx::query::Query;
use sqlx::sqlite::{SqliteArguments, SqliteRow};
use sqlx::{PgConnection, Postgres, Row as _, Sqlite, SqliteConnection, Transaction};

/// A connection, or a transaction on one.
pub(crate) enum Conn {
    /// The one that writes, or one that reads.
    Sqlite(SqliteConnection),
    /// One that reads.
    PostgresReader(PoolConnection<Postgres>),
    /// A transaction.
    Postgres(Transaction<'static, Postgres>),
}

enum Side<'c> {
    Sqlite(&'c mut SqliteConnection),
    Postgres(&'c mut PgConnection),
}

/// A value for a placeholder. The absent ones keep their type, which PostgreSQL wants to know.
#[derive(Debug)]
pub(crate) enum Arg {
    Int(Option<i64>),
    Text(Option<String>),
    Blob(Vec<u8>),
}

impl From<i64> for Arg {
    fn from(it: i64) -> Self {
        Self::Int(Some(it))
    }
}

impl From<Option<i64>> for Arg {
    fn from(it: Option<i64>) -> Self {
        Self::Int(it)
    }
}

impl From<&str> for Arg {
    fn from(it: &str) -> Self {
        Self::Text(Some(it.to_owned()))
    }
}

impl From<String> for Arg {
    fn from(it: String) -> Self {
        Self::Text(Some(it))
    }
}

impl From<Option<String>> for Arg {
    fn from(it: Option<String>) -> Self {
        Self::Text(it)
    }
}

impl From<&[u8]> for Arg {
    fn from(it: &[u8]) -> Self {
        Self::Blob(it.to_vec())
    }
}

/// The arguments of a statement.
macro_rules! args {
    ($($it:expr),* $(,)?) => { vec![$($crate::conn::Arg::from($it)),*] };
}
pub(crate) use args;

fn sqlite(sql: &'static str, args: Vec<Arg>) -> Query<'static, Sqlite, SqliteArguments> {
    args.into_iter().fold(sqlx::query(sql), |query, arg| match arg {
        Arg::Int(it) => query.bind(it),
        Arg::Text(it) => query.bind(it),
        Arg::Blob(it) => query.bind(it),
    })
}

fn postgres(sql: &'static str, args: Vec<Arg>) -> Query<'static, Postgres, PgArguments> {
    args.into_iter().fold(sqlx::query(sql), |query, arg| match arg {
        Arg::Int(it) => query.bind(it),
        Arg::Text(it) => query.bind(it),
        Arg::Blob(it) => query.bind(it),
    })
}

impl Conn {
    /// Which engine this is.
    pub(crate) fn dialect(&self) -> Dialect {
        match self {
            Self::Sqlite(_) => Dialect::Sqlite,
            Self::PostgresReader(_) | Self::Postgres(_) => Dialect::Postgres,
        }
    }

    fn side(&mut self) -> Side<'_> {
        match self {
            Self::Sqlite(it) => Side::Sqlite(it),
            Self::PostgresReader(it) => Side::Postgres(it),
            Self::Postgres(it) => Side::Postgres(it),
        }
    }

    /// Runs a statement; how many rows it touched.
    pub(crate) async fn execute(
        &mut self,
        sql: &'static str,
        args: Vec<Arg>,
    ) -> Result<u64, PortError> {
        match self.side() {
            Side::Sqlite(it) => sqlite(sql, args).execute(it).await.map(|r| r.rows_affected()),
            Side::Postgres(it) => postgres(sql, args).execute(it).await.map(|r| r.rows_affected()),
        }
        .map_err(port)
    }

    /// Runs statements without arguments, several at once.
    pub(crate) async fn script(&mut self, sql: &'static str) -> Result<(), PortError> {
        match self.side() {
            Side::Sqlite(it) => sqlx::raw_sql(sql).execute(it).await.map(drop),
            Side::Postgres(it) => sqlx::raw_sql(sql).execute(it).await.map(drop),
        }
        .map_err(port)
    }

    /// All rows, each read by `read` as it comes.
    pub(crate) async fn all<T>(
        &mut self,
        sql: &'static str,
        args: Vec<Arg>,
        read: impl Fn(&Row) -> Result<T, PortError>,
    ) -> Result<Vec<T>, PortError> {
        let mut out = Vec::new();
        match self.side() {
            Side::Sqlite(it) => {
                let mut rows = sqlite(sql, args).fetch(it);
                while let Some(row) = rows.try_next().await.map_err(port)? {
                    out.push(read(&Row::Sqlite(row))?);
                }
            }
            Side::Postgres(it) => {
                let mut rows = postgres(sql, args).fetch(it);
                while let Some(row) = rows.try_next().await.map_err(port)? {
                    out.push(read(&Row::Postgres(row))?);
                }
            }
        }
        Ok(out)
    }

    /// The first row of a query that changes nothing, when there is one. WHY apart from [`Self::optional`]: at SQLite
    /// each row and the end are messages between threads, and after the first nothing more is waited for.
    pub(crate) async fn first<T>(
        &mut self,
        sql: &'static str,
        args: Vec<Arg>,
        read: impl Fn(&Row) -> Result<T, PortError>,
    ) -> Result<Option<T>, PortError> {
        match self.side() {
            Side::Sqlite(it) => {
                let row = sqlite(sql, args).fetch_optional(it).await.map_err(port)?;
                row.map(|row| read(&Row::Sqlite(row))).transpose()
            }
            Side::Postgres(_) => self.optional(sql, args, read).await,
        }
    }

    /// The row, when there is one.
    pub(crate) async fn optional<T>(
        &mut self,
        sql: &'static str,
        args: Vec<Arg>,
        read: impl Fn(&Row) -> Result<T, PortError>,
    ) -> Result<Option<T>, PortError> {
        Ok(self.all(sql, args, read).await?.into_iter().next())
    }

    /// The one row.
    pub(crate) async fn one<T>(
        &mut self,
        sql: &'static str,
        args: Vec<Arg>,
        read: impl Fn(&Row) -> Result<T, PortError>,
    ) -> Result<T, PortError> {
        self.optional(sql, args, read)
            .await?
            .ok_or_else(|| PortError::Corrupt("a row that must be there is missing".to_owned()))
    }
}

/// A row of either engine. Columns are named by their place, from 0.
pub(crate) enum Row {
    Sqlite(SqliteRow),
    Postgres(PgRow),
}

impl Row {
    pub(crate) fn int(&self, at: usize) -> Result<i64, PortError> {
        match self {
            Self::Sqlite(row) => row.try_get(at),
            Self::Postgres(row) => row.try_get(at),
        }
        .map_err(port)
    }

    pub(crate) fn optional_int(&self, at: usize) -> Result<Option<i64>, PortError> {
        match self {
            Self::Sqlite(row) => row.try_get(at),
            Self::Postgres(row) => row.try_get(at),
        }
        .map_err(port)
    }

    pub(crate) fn text(&self, at: usize) -> Result<&str, PortError> {
        match self {
            Self::Sqlite(row) => row.try_get(at),
            Self::Postgres(row) => row.try_get(at),
        }
        .map_err(port)
    }

    pub(crate) fn optional_text(&self, at: usize) -> Result<Option<&str>, PortError> {
        match self {
            Self::Sqlite(row) => row.try_get(at),
            Self::Postgres(row) => row.try_get(at),
        }
        .map_err(port)
    }

    pub(crate) fn blob(&self, at: usize) -> Result<&[u8], PortError> {
        match self {
            Self::Sqlite(row) => row.try_get(at),
            Self::Postgres(row) => row.try_get(at),
        }
        .map_err(port)
    }

    pub(crate) fn optional_blob(&self, at: usize) -> Result<Option<&[u8]>, PortError> {
        match self {
            Self::Sqlite(row) => row.try_get(at),
            Self::Postgres(row) => row.try_get(at),
        }
        .map_err(port)
    }
}
