//! The authority's use cases as the control plane's edge asks for them.

use authority::{
    Actor, AddBlock, AllowIp, Authority, Block, BlockKind, CreateKey, Done, Error, IpEntry,
    KeyFilter, KeyRecord, Page, ShortId,
};
use control::ports::{self, ActError, Admin, Caller};
use control::views::{
    self, BlockView, CreatedKeyView, IpEntryView, KeyView, NewBlock, NewIpEntry, NewKey,
};
use std::sync::Arc;
use std::time::Duration;

/// The environment's word in a key where none is given.
const ENVIRONMENT: &str = "live";

/// The adapter.
#[derive(Debug, Clone)]
pub(super) struct Acts {
    pub(super) authority: Arc<Authority>,
}

fn actor(by: Caller) -> Actor {
    Actor { principal: by.principal, scheme: by.scheme, client_ip: by.client_ip }
}

fn page(page: ports::Page) -> Result<Page, ActError> {
    let after = page.after.map(|id| parse("after", &id)).transpose()?;
    Ok(Page { after, rows: page.rows })
}

fn parse(field: &str, id: &str) -> Result<ShortId, ActError> {
    id.parse().map_err(|_| ActError::Invalid {
        field: field.to_owned(),
        problem: "is no id; ids have 12 letters and digits".to_owned(),
    })
}

fn named(what: &'static str, id: &str) -> Result<ShortId, ActError> {
    id.parse().map_err(|_| ActError::NotFound { what, id: id.to_owned() })
}

fn failed(error: Error) -> ActError {
    use authority::PortError;
    match error {
        Error::Invalid { field, problem } => {
            let field = if field == "expires" { "expires_in_seconds" } else { field };
            ActError::Invalid { field: field.to_owned(), problem }
        }
        Error::NotFound { what, id } => ActError::NotFound { what, id },
        Error::Store(PortError::Unavailable(why)) => ActError::Unavailable(why),
        Error::Store(PortError::Uncertain(why)) => ActError::Uncertain(why),
        Error::Store(PortError::Conflict) => ActError::Conflict,
        other => ActError::Broken(other.to_string()),
    }
}

fn done<T, V>(done: Done<T>, view: impl Fn(T) -> V) -> ports::Done<V> {
    ports::Done { record: view(done.record), seq: done.seq }
}

fn key_view(key: KeyRecord) -> KeyView {
    KeyView {
        id: key.id.to_string(),
        name: key.name,
        env: key.env,
        scopes: key.scopes,
        routes: key.routes,
        created_at: key.created_at,
        created_by: key.created_by,
        expires_at: key.expires_at,
        revoked_at: key.revoked_at,
        revoked_reason: key.revoked_reason,
    }
}

fn block_view(block: Block) -> BlockView {
    BlockView {
        id: block.id.to_string(),
        kind: match block.kind {
            BlockKind::Subject => views::BlockKind::Subject,
            BlockKind::Client => views::BlockKind::Client,
            BlockKind::Token => views::BlockKind::Token,
        },
        value: block.value,
        issuer: block.issuer,
        reason: block.reason,
        created_at: block.created_at,
        created_by: block.created_by,
        expires_at: block.expires_at,
    }
}

fn entry_view(entry: IpEntry) -> IpEntryView {
    IpEntryView {
        id: entry.id.to_string(),
        address: entry.net.to_string(),
        list: entry.list,
        note: entry.note,
        created_at: entry.created_at,
        created_by: entry.created_by,
        expires_at: entry.expires_at,
    }
}

impl Acts {
    async fn make_key(
        &self,
        by: Caller,
        ask: NewKey,
    ) -> Result<ports::Done<CreatedKeyView>, ActError> {
        if ask.routes.is_some() {
            return Err(ActError::Invalid {
                field: "routes".to_owned(),
                problem: "is not available yet".to_owned(),
            });
        }
        let command = CreateKey {
            name: ask.name,
            env: ask.env.unwrap_or_else(|| ENVIRONMENT.to_owned()),
            scopes: ask.scopes,
            expires: ask.expires_in_seconds.map(Duration::from_secs),
        };
        let made = self.authority.create_key(&actor(by), command).await.map_err(failed)?;
        let record = CreatedKeyView {
            id: made.id.to_string(),
            key: made.key,
            scopes: made.scopes,
            expires_at: made.expires_at,
        };
        Ok(ports::Done { record, seq: made.seq })
    }

    async fn allow(
        &self,
        by: Caller,
        ask: NewIpEntry,
    ) -> Result<ports::Done<IpEntryView>, ActError> {
        let net = access::iplist::parse_net(&ask.address).map_err(|error| ActError::Invalid {
            field: "address".to_owned(),
            problem: error.to_string(),
        })?;
        let command = AllowIp {
            list: ask.list,
            net,
            expires: Duration::from_secs(ask.expires_in_seconds),
            note: ask.note,
        };
        let made = self.authority.allow_ip(&actor(by), command).await.map_err(failed)?;
        Ok(done(made, entry_view))
    }
}

impl Admin for Acts {
    fn create_key(&self, by: Caller, ask: NewKey) -> ports::Act<'_, ports::Done<CreatedKeyView>> {
        Box::pin(self.make_key(by, ask))
    }

    fn keys(&self, asked: ports::Page) -> ports::Act<'_, Vec<KeyView>> {
        Box::pin(async move {
            let keys = self.authority.keys(KeyFilter::All, page(asked)?).await.map_err(failed)?;
            Ok(keys.into_iter().map(key_view).collect())
        })
    }

    fn key(&self, id: String) -> ports::Act<'_, KeyView> {
        Box::pin(async move {
            self.authority.key(named("key", &id)?).await.map(key_view).map_err(failed)
        })
    }

    fn revoke_key(
        &self,
        by: Caller,
        id: String,
        reason: Option<String>,
    ) -> ports::Act<'_, ports::Done<KeyView>> {
        Box::pin(async move {
            let id = named("key", &id)?;
            let revoked = self.authority.revoke_key(&actor(by), id, reason.as_deref()).await;
            Ok(done(revoked.map_err(failed)?, key_view))
        })
    }

    fn add_block(&self, by: Caller, ask: NewBlock) -> ports::Act<'_, ports::Done<BlockView>> {
        Box::pin(async move {
            let command = AddBlock {
                kind: match ask.kind {
                    views::BlockKind::Subject => BlockKind::Subject,
                    views::BlockKind::Client => BlockKind::Client,
                    views::BlockKind::Token => BlockKind::Token,
                },
                issuer: ask.issuer,
                value: ask.value,
                expires: ask.expires_in_seconds.map(Duration::from_secs),
                reason: ask.reason,
            };
            let added = self.authority.add_block(&actor(by), command).await.map_err(failed)?;
            Ok(done(added, block_view))
        })
    }

    fn blocks(&self, asked: ports::Page) -> ports::Act<'_, Vec<BlockView>> {
        Box::pin(async move {
            let blocks = self.authority.blocks(page(asked)?).await.map_err(failed)?;
            Ok(blocks.into_iter().map(block_view).collect())
        })
    }

    fn remove_block(&self, by: Caller, id: String) -> ports::Act<'_, ports::Done<BlockView>> {
        Box::pin(async move {
            let id = named("block", &id)?;
            let removed = self.authority.remove_block(&actor(by), id).await.map_err(failed)?;
            Ok(done(removed, block_view))
        })
    }

    fn add_ip(&self, by: Caller, ask: NewIpEntry) -> ports::Act<'_, ports::Done<IpEntryView>> {
        Box::pin(self.allow(by, ask))
    }

    fn ips(&self, list: Option<String>, asked: ports::Page) -> ports::Act<'_, Vec<IpEntryView>> {
        Box::pin(async move {
            let ips = self.authority.ips(list.as_deref(), page(asked)?).await.map_err(failed)?;
            Ok(ips.into_iter().map(entry_view).collect())
        })
    }

    fn remove_ip(&self, by: Caller, id: String) -> ports::Act<'_, ports::Done<IpEntryView>> {
        Box::pin(async move {
            let id = named("address entry", &id)?;
            let removed = self.authority.remove_ip(&actor(by), id).await.map_err(failed)?;
            Ok(done(removed, entry_view))
        })
    }
}
