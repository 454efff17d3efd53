//! Loads everything that the gate must know, of one moment, page by page.

use crate::conn::{Conn, args};
use crate::open::Store;
use crate::rows::{self, block_columns, ip_columns, key_columns};
use authority::{Answer, Cursor, PortError, SnapshotSink, Snapshots};
use base::UnixMs;

/// Rows that are held in memory at a time: some 2 MB.
const PAGE: i64 = 5_000;

const COUNT: &str = "SELECT COUNT(*) FROM api_keys";
const KEYS: &str = concat!(
    "SELECT ",
    key_columns!(""),
    " FROM api_keys WHERE id > $1 AND (expires_at IS NULL OR expires_at > $3) ORDER BY id LIMIT $2"
);
const BLOCKS: &str = concat!(
    "SELECT ",
    block_columns!(""),
    " FROM blocks WHERE id > $1 AND (expires_at IS NULL OR expires_at > $3) ORDER BY id LIMIT $2"
);
const IPS: &str = concat!(
    "SELECT ",
    ip_columns!(""),
    " FROM ip_entries WHERE id > $1 AND expires_at > $3 ORDER BY id LIMIT $2"
);

const REVOCATIONS: &str = "SELECT kind, value, not_before, until FROM revocations \
     WHERE (kind, value) > ($1, $2) AND until > $4 ORDER BY kind, value LIMIT $3";

impl Snapshots for Store {
    fn load<'a>(&'a self, since: UnixMs, sink: &'a mut dyn SnapshotSink) -> Answer<'a, Cursor> {
        Box::pin(async move {
            // The transaction only reads; dropping it ends it.
            let mut conn = self.one_moment().await?;
            let conn = &mut conn;
            let cursor = conn
                .one(conn.dialect().seen(), args![], |row| {
                    Ok(Cursor { xid: row.int(0)?, seq: row.int(1)? })
                })
                .await?;
            let count = conn.one(COUNT, args![], |row| row.int(0)).await?;
            sink.expect_keys(usize::try_from(count).unwrap_or(0));
            pages(conn, KEYS, since, rows::key, |key| {
                let id = key.id;
                sink.key(key);
                id
            })
            .await?;
            pages(conn, BLOCKS, since, rows::block, |block| {
                let id = block.id;
                sink.block(block);
                id
            })
            .await?;
            pages(conn, IPS, since, rows::ip, |entry| {
                let id = entry.id;
                sink.ip(entry);
                id
            })
            .await?;
            revocations(conn, since, sink).await?;
            Ok(cursor)
        })
    }
}

/// Reads a listing to its end; `take` gets each record and says its id.
async fn pages<T: Send>(
    conn: &mut Conn,
    sql: &'static str,
    since: UnixMs,
    read: fn(&crate::conn::Row, usize) -> Result<T, PortError>,
    mut take: impl FnMut(T) -> authority::ShortId + Send,
) -> Result<(), PortError> {
    let mut after = String::new();
    loop {
        let args = args![after.as_str(), PAGE, since.0];
        let page = conn.all(sql, args, |row| read(row, 0)).await?;
        let full = page.len() >= usize::try_from(PAGE).unwrap_or(usize::MAX);
        for record in page {
            let id = take(record);
            if full {
                after.clear();
                after.push_str(id.as_str());
            }
        }
        if !full {
            return Ok(());
        }
    }
}

/// Hands out all revocations that are in force at `since`.
async fn revocations(
    conn: &mut Conn,
    since: UnixMs,
    sink: &mut dyn SnapshotSink,
) -> Result<(), PortError> {
    let mut after = (String::new(), String::new());
    loop {
        let args = args![after.0.as_str(), after.1.as_str(), PAGE, since.0];
        let page = conn.all(REVOCATIONS, args, |row| rows::revocation(row, 0)).await?;
        let full = page.len() >= usize::try_from(PAGE).unwrap_or(usize::MAX);
        if let Some(last) = page.last() {
            after = (last.kind.as_str().to_owned(), last.value.clone());
        }
        for revocation in page {
            sink.revocation(revocation);
        }
        if !full {
            return Ok(());
        }
    }
}
