//! The authority's use cases behind the port [`Admin`]: only words change hands here.

use crate::ports::{Act, ActError, Admin, Caller, Done, Page};
use crate::views::{
    BlockKind, BlockView, CreatedKeyView, IpEntryView, KeyView, NewBlock, NewIpEntry, NewKey,
};
use authority::{
    Actor, AddBlock, AllowIp, Authority, Block, CreateKey, Error, IpEntry, KeyFilter, KeyRecord,
    PortError, ShortId,
};
use ipnet::IpNet;
use std::net::IpAddr;
use std::time::Duration;

/// The environment's word in a key's text unless said.
const ENV: &str = "live";

impl Admin for Authority {
    fn create_key(&self, by: Caller, ask: NewKey) -> Act<'_, Done<CreatedKeyView>> {
        Box::pin(async move {
            // WHY: a limit that would be forgotten must not be promised.
            if ask.routes.is_some() {
                return Err(invalid("routes", "limiting a key to routes is not available yet"));
            }
            let ask = CreateKey {
                name: ask.name,
                env: ask.env.unwrap_or_else(|| ENV.to_owned()),
                scopes: ask.scopes,
                expires: ask.expires_in_seconds.map(Duration::from_secs),
            };
            let made = Self::create_key(self, &actor(by), ask).await?;
            let record = CreatedKeyView {
                id: made.id.to_string(),
                key: made.key,
                scopes: made.scopes,
                expires_at: made.expires_at,
            };
            Ok(Done { record, seq: made.seq })
        })
    }

    fn keys(&self, page: Page) -> Act<'_, Vec<KeyView>> {
        Box::pin(async move {
            let keys = Self::keys(self, KeyFilter::All, part(page)?).await?;
            Ok(keys.into_iter().map(KeyView::from).collect())
        })
    }

    fn key(&self, id: String) -> Act<'_, KeyView> {
        Box::pin(async move { Ok(Self::key(self, known("key", &id)?).await?.into()) })
    }

    fn revoke_key(&self, by: Caller, id: String, reason: Option<String>) -> Act<'_, Done<KeyView>> {
        Box::pin(async move {
            let id = known("key", &id)?;
            let done = Self::revoke_key(self, &actor(by), id, reason.as_deref()).await?;
            Ok(Done { record: done.record.into(), seq: done.seq })
        })
    }

    fn add_block(&self, by: Caller, ask: NewBlock) -> Act<'_, Done<BlockView>> {
        Box::pin(async move {
            let ask = AddBlock {
                kind: ask.kind.into(),
                issuer: ask.issuer,
                value: ask.value,
                expires: ask.expires_in_seconds.map(Duration::from_secs),
                reason: ask.reason,
            };
            let done = Self::add_block(self, &actor(by), ask).await?;
            Ok(Done { record: done.record.into(), seq: done.seq })
        })
    }

    fn blocks(&self, page: Page) -> Act<'_, Vec<BlockView>> {
        Box::pin(async move {
            let blocks = Self::blocks(self, part(page)?).await?;
            Ok(blocks.into_iter().map(BlockView::from).collect())
        })
    }

    fn remove_block(&self, by: Caller, id: String) -> Act<'_, Done<BlockView>> {
        Box::pin(async move {
            let done = Self::remove_block(self, &actor(by), known("block", &id)?).await?;
            Ok(Done { record: done.record.into(), seq: done.seq })
        })
    }

    fn add_ip(&self, by: Caller, ask: NewIpEntry) -> Act<'_, Done<IpEntryView>> {
        Box::pin(async move {
            let ask = AllowIp {
                list: ask.list,
                net: network(&ask.address)?,
                expires: Duration::from_secs(ask.expires_in_seconds),
                note: ask.note,
            };
            let done = Self::allow_ip(self, &actor(by), ask).await?;
            Ok(Done { record: done.record.into(), seq: done.seq })
        })
    }

    fn ips(&self, list: Option<String>, page: Page) -> Act<'_, Vec<IpEntryView>> {
        Box::pin(async move {
            let entries = Self::ips(self, list.as_deref(), part(page)?).await?;
            Ok(entries.into_iter().map(IpEntryView::from).collect())
        })
    }

    fn remove_ip(&self, by: Caller, id: String) -> Act<'_, Done<IpEntryView>> {
        Box::pin(async move {
            let id = known("address entry", &id)?;
            let done = Self::remove_ip(self, &actor(by), id).await?;
            Ok(Done { record: done.record.into(), seq: done.seq })
        })
    }
}

fn actor(by: Caller) -> Actor {
    Actor { principal: by.principal, scheme: by.scheme, client_ip: by.client_ip }
}

impl Caller {
    /// As the authority knows it.
    pub(crate) fn actor(&self) -> Actor {
        actor(self.clone())
    }
}

fn invalid(field: &str, problem: impl Into<String>) -> ActError {
    ActError::Invalid { field: field.to_owned(), problem: problem.into() }
}

/// An id that cannot be one names nothing.
fn known(what: &'static str, id: &str) -> Result<ShortId, ActError> {
    id.parse().map_err(|_| ActError::NotFound { what, id: id.to_owned() })
}

fn part(page: Page) -> Result<authority::Page, ActError> {
    let after = page.after.map(|id| id.parse().map_err(|_| invalid("after", "is not an id")));
    Ok(authority::Page { after: after.transpose()?, rows: page.rows })
}

/// A network, or an address as the network of its own.
fn network(text: &str) -> Result<IpNet, ActError> {
    text.parse::<IpNet>()
        .or_else(|_| text.parse::<IpAddr>().map(IpNet::from))
        .map_err(|_| invalid("address", "is neither an address nor a network"))
}

impl From<Error> for ActError {
    fn from(error: Error) -> Self {
        match error {
            Error::Invalid { field, problem } => invalid(api_name(field), problem),
            Error::NotFound { what, id } => Self::NotFound { what, id },
            Error::Store(PortError::Conflict) => Self::Conflict,
            Error::Store(PortError::Unavailable(why)) => Self::Unavailable(why),
            Error::Store(PortError::Uncertain(why)) => Self::Uncertain(why),
            Error::Busy(what) => Self::Busy(what),
            // WHY no catch-all: whoever adds an error decides here what its callers are told.
            Error::Store(PortError::Corrupt(_)) | Error::Seal(_) | Error::Randomness(_) => {
                Self::Broken(error.to_string())
            }
        }
    }
}

/// The authority names inputs as the command line does.
fn api_name(field: &'static str) -> &'static str {
    match field {
        "expires" | "for" => "expires_in_seconds",
        "scope" => "scopes",
        other => other,
    }
}

impl From<KeyRecord> for KeyView {
    fn from(key: KeyRecord) -> Self {
        Self {
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
}

impl From<Block> for BlockView {
    fn from(block: Block) -> Self {
        Self {
            id: block.id.to_string(),
            kind: block.kind.into(),
            value: block.value,
            issuer: block.issuer,
            reason: block.reason,
            created_at: block.created_at,
            created_by: block.created_by,
            expires_at: block.expires_at,
        }
    }
}

impl From<IpEntry> for IpEntryView {
    fn from(entry: IpEntry) -> Self {
        Self {
            id: entry.id.to_string(),
            address: entry.net.to_string(),
            list: entry.list,
            note: entry.note,
            owner: entry.owner.map(|it| it.user),
            created_at: entry.created_at,
            created_by: entry.created_by,
            expires_at: entry.expires_at,
        }
    }
}

impl From<BlockKind> for authority::BlockKind {
    fn from(kind: BlockKind) -> Self {
        match kind {
            BlockKind::Subject => Self::Subject,
            BlockKind::Client => Self::Client,
            BlockKind::Token => Self::Token,
        }
    }
}

impl From<authority::BlockKind> for BlockKind {
    fn from(kind: authority::BlockKind) -> Self {
        match kind {
            authority::BlockKind::Subject => Self::Subject,
            authority::BlockKind::Client => Self::Client,
            authority::BlockKind::Token => Self::Token,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::problem::Problem;
    use authority::SealError;
    use axum::response::IntoResponse;
    use base::{Code, IdError, code};

    #[test]
    fn an_address_is_a_network_of_its_own() {
        let check = |text: &str, expect: Option<&str>| {
            assert_eq!(network(text).ok().map(|it| it.to_string()).as_deref(), expect, "{text}");
        };
        check("203.0.113.7", Some("203.0.113.7/32"));
        check("203.0.113.0/24", Some("203.0.113.0/24"));
        check("2001:db8::1", Some("2001:db8::1/128"));
        check("203.0.113.7/33", None);
        check("vpn.example.com", None);
        check("", None);
    }

    #[test]
    fn every_error_has_its_status() {
        let why = || "disk full".to_owned();
        let check = |error: Error, status: u16, code: Code, detail: Option<&str>| {
            let problem = Problem::from(ActError::from(error));
            assert_eq!(problem.code, code);
            assert_eq!(problem.detail.as_deref(), detail);
            let response = problem.into_response();
            assert_eq!(response.status(), status, "{code}");
            // RFC 9110 §10.2.3: who may try again is told when.
            let again = response.headers().contains_key("retry-after");
            assert_eq!(again, status == 503 && code != code::STORE_UNCERTAIN, "{code}");
        };
        check(
            Error::Invalid { field: "for", problem: "too long".to_owned() },
            400,
            code::API_INVALID,
            Some("expires_in_seconds: too long"),
        );
        let missing = Error::NotFound { what: "key", id: "x".to_owned() };
        check(missing, 404, code::API_NOT_FOUND, Some("no key has the id x"));
        check(PortError::Conflict.into(), 409, code::API_CONFLICT, None);
        check(
            PortError::Unavailable(why()).into(),
            503,
            code::STORE_UNAVAILABLE,
            Some("disk full"),
        );
        check(PortError::Uncertain(why()).into(), 503, code::STORE_UNCERTAIN, Some("disk full"));
        check(Error::Busy("too many"), 503, code::API_BUSY, Some("too many"));
        let corrupt = "the store holds a row that cannot be read: disk full";
        check(PortError::Corrupt(why()).into(), 500, code::INTERNAL, Some(corrupt));
        let random = "the system has no randomness to give";
        check(IdError::NoRandomness.into(), 500, code::INTERNAL, Some(random));
        let path = std::path::PathBuf::from("master.key");
        let key = "master.key is not a master key: it must hold 64 hexadecimal characters";
        check(SealError::MasterMalformed { path }.into(), 500, code::INTERNAL, Some(key));
    }

    #[test]
    fn what_cannot_be_an_id_names_nothing() {
        assert!(matches!(known("key", "../x"), Err(ActError::NotFound { .. })));
        let page = Page { after: Some("x".to_owned()), rows: 1 };
        assert!(matches!(part(page), Err(ActError::Invalid { .. })));
    }
}
