//! Local blocks.

use crate::conn::args;
use crate::feed::Subject;
use crate::keys::page_args;
use crate::open::Store;
use crate::outbox::put_event;
use crate::rows::{self, block_columns};
use authority::{Answer, Block, BlockId, BlockStore, Page};
use base::{Event, UnixMs};

const PUT: &str = concat!(
    "INSERT INTO blocks (id, kind, issuer, value, created_at, expires_at, reason, created_by) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8) \
     ON CONFLICT (kind, issuer, value) DO UPDATE SET created_at = excluded.created_at, \
     expires_at = excluded.expires_at, reason = excluded.reason, created_by = excluded.created_by \
     RETURNING ",
    block_columns!("")
);
const LIST: &str = concat!(
    "SELECT ",
    block_columns!(""),
    " FROM blocks WHERE id > $1 AND (expires_at IS NULL OR expires_at > $3) ORDER BY id LIMIT $2"
);
const REMOVE: &str = concat!("DELETE FROM blocks WHERE id = $1 RETURNING ", block_columns!(""));

impl BlockStore for Store {
    fn put_block(&self, block: Block, mut event: Event) -> Answer<'_, (Block, i64)> {
        self.write(Box::new(move |conn| {
            Box::pin(async move {
                let args = args![
                    block.id.as_str(),
                    block.kind.as_str(),
                    block.issuer.unwrap_or_default(),
                    block.value,
                    block.created_at.0,
                    block.expires_at.map(|it| it.0),
                    block.reason,
                    block.created_by,
                ];
                let kept = conn.one(PUT, args, |row| rows::block(row, 0)).await?;
                event.credential_id = Some(kept.id.as_str().into());
                put_event(conn, &event).await?;
                let seq = Subject::Block(kept.id).announce(conn, event.time).await?;
                Ok((kept, seq))
            })
        }))
    }

    fn blocks(&self, now: UnixMs, page: Page) -> Answer<'_, Vec<Block>> {
        self.read(Box::new(move |conn| {
            let mut args = page_args(page);
            args.push(now.0.into());
            Box::pin(conn.all(LIST, args, |row| rows::block(row, 0)))
        }))
    }

    fn remove_block(&self, id: BlockId, event: Event) -> Answer<'_, Option<(Block, i64)>> {
        self.write(Box::new(move |conn| {
            Box::pin(async move {
                let args = args![id.as_str()];
                let gone = conn.optional(REMOVE, args, |row| rows::block(row, 0)).await?;
                let Some(gone) = gone else { return Ok(None) };
                put_event(conn, &event).await?;
                let seq = Subject::NoBlock(id).announce(conn, event.time).await?;
                Ok(Some((gone, seq)))
            })
        }))
    }
}
