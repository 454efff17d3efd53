//! API keys.

use crate::conn::args;
use crate::feed::Subject;
use crate::open::Store;
use crate::outbox::put_event;
use crate::rows::{self, joined, key_columns};
use authority::{Answer, KeyFilter, KeyId, KeyRecord, KeyStore, PAGE_ROWS, Page};
use base::{Event, UnixMs};

pub(crate) const INSERT: &str = "INSERT INTO api_keys (id, env, name, mac, scopes, routes, \
     created_at, expires_at, revoked_at, revoked_reason, created_by, owner) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)";
const ONE: &str = concat!("SELECT ", key_columns!(""), " FROM api_keys WHERE id = $1");
const LIST: &str =
    concat!("SELECT ", key_columns!(""), " FROM api_keys WHERE id > $1 ORDER BY id LIMIT $2");
const LIST_LIVE: &str = concat!(
    "SELECT ",
    key_columns!(""),
    " FROM api_keys WHERE id > $1 AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > $3) \
     ORDER BY id LIMIT $2"
);
/// The first revocation's time and reason stay.
const REVOKE: &str = concat!(
    "UPDATE api_keys SET revoked_reason = CASE WHEN revoked_at IS NULL THEN $3 ELSE revoked_reason END, \
     revoked_at = COALESCE(revoked_at, $2) WHERE id = $1 RETURNING ",
    key_columns!("")
);

/// The arguments of [`INSERT`].
pub(crate) fn insert_args(key: &KeyRecord) -> Vec<crate::conn::Arg> {
    args![
        key.id.as_str(),
        key.env.as_str(),
        key.name.as_str(),
        key.mac.as_slice(),
        joined(&key.scopes),
        key.routes.as_deref().map(joined),
        key.created_at.0,
        key.expires_at.map(|it| it.0),
        key.revoked_at.map(|it| it.0),
        key.revoked_reason.clone(),
        key.created_by.as_str(),
        key.owner.clone(),
    ]
}

impl KeyStore for Store {
    fn create_key(&self, key: KeyRecord, event: Event) -> Answer<'_, i64> {
        self.write(Box::new(move |conn| {
            Box::pin(async move {
                conn.execute(INSERT, insert_args(&key)).await?;
                put_event(conn, &event).await?;
                Subject::Key(key.id).announce(conn, event.time).await
            })
        }))
    }

    fn key(&self, id: KeyId) -> Answer<'_, Option<KeyRecord>> {
        self.read(Box::new(move |conn| {
            Box::pin(conn.optional(ONE, args![id.as_str()], |row| rows::key(row, 0)))
        }))
    }

    fn keys(&self, filter: KeyFilter, page: Page) -> Answer<'_, Vec<KeyRecord>> {
        self.read(Box::new(move |conn| {
            let mut args = page_args(page);
            let sql = match filter {
                KeyFilter::All => LIST,
                KeyFilter::LiveAt(now) => {
                    args.push(now.0.into());
                    LIST_LIVE
                }
            };
            Box::pin(conn.all(sql, args, |row| rows::key(row, 0)))
        }))
    }

    fn revoke_key(
        &self,
        id: KeyId,
        at: UnixMs,
        reason: Option<String>,
        event: Event,
    ) -> Answer<'_, Option<(KeyRecord, i64)>> {
        self.write(Box::new(move |conn| {
            Box::pin(async move {
                let args = args![id.as_str(), at.0, reason];
                let Some(key) = conn.optional(REVOKE, args, |row| rows::key(row, 0)).await? else {
                    return Ok(None);
                };
                put_event(conn, &event).await?;
                let seq = Subject::Revocation(id).announce(conn, event.time).await?;
                Ok(Some((key, seq)))
            })
        }))
    }
}

/// The first two arguments of every listing: after which id, how many rows.
pub(crate) fn page_args(page: Page) -> Vec<crate::conn::Arg> {
    let after = page.after.map(|it| it.to_string()).unwrap_or_default();
    args![after, i64::from(page.rows.min(PAGE_ROWS))]
}
