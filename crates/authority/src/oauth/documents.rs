//! Client ID metadata documents: clients whose id is the URL of what they say of themselves.
//!
//! Owns: fetching them, keeping them in memory, the row of those that people have let in, and news of a change.
//!
//! Never does: fetch from a private address, or store what nobody has agreed to: strangers fill no disk.
//!
//! Invariants:
//! - A document gives a client no more than any stranger may have: grants of people, no secret, no list of scopes.
//! - What an administrator has said of such a client (disabled, limited) outlives a change of its document.

use super::OAuth;
use super::clients::{CODE, DEVICE, REFRESH, check};
use super::records::{ClientRecord, Origin, Pkce, Profile, RefreshRotation, TokenFormat};
use super::refusal::Failed;
use super::remote_keys::FETCH_TIME;
use crate::error::{Error, PortError};
use aws_lc_rs::digest::{SHA256, digest};
use base::{Event, EventId, FetchRequest, Kind, UnixMs, code};
use protocol::oauth::metadata::{client_id_url, read_document};
use protocol::oauth::uri::Uri;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Bytes of a document: the draft's recommendation (§6.6 of the draft: at most 5 KB).
const DOCUMENT_BYTES: usize = 5 * 1024;
/// How long a document is used without asking again.
const FRESH: Duration = Duration::from_secs(10 * 60);
/// How long one is used while its server does not answer.
const STALE: Duration = Duration::from_secs(24 * 60 * 60);
/// How soon a fetch that failed is tried again.
const RETRY: Duration = Duration::from_secs(30);
/// Documents in memory. At some KB each that is a few MB; the one used longest ago goes first.
const DOCUMENTS: usize = 1024;
/// URLs that were never fetched before, per minute: what strangers can make this server ask.
const STRANGERS_PER_MINUTE: u32 = 120;

/// A document as it was last read.
#[derive(Debug, Default)]
struct Kept {
    client: Option<(Arc<ClientRecord>, UnixMs)>,
    tried_at: Option<UnixMs>,
    problem: Option<String>,
}

type Slot = Arc<tokio::sync::Mutex<Kept>>;

#[derive(Debug, Default)]
struct Slots {
    by_url: BTreeMap<String, (Slot, UnixMs)>,
    /// The minute that is counted, and how many strangers came in it.
    minute: (i64, u32),
}

/// The documents in memory.
#[derive(Debug, Default)]
pub(crate) struct Documents(Mutex<Slots>);

impl Documents {
    /// The place of a URL; `None` when too many new ones come, from everywhere or from where this one does.
    fn slot(&self, url: &str, now: UnixMs, may: impl FnOnce() -> bool) -> Option<Slot> {
        let mut slots = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((slot, used)) = slots.by_url.get_mut(url) {
            *used = now;
            return Some(Arc::clone(slot));
        }
        let minute = now.0.div_euclid(60_000);
        if slots.minute.0 != minute {
            slots.minute = (minute, 0);
        }
        if slots.minute.1 >= STRANGERS_PER_MINUTE || !may() {
            return None;
        }
        slots.minute.1 += 1;
        if slots.by_url.len() >= DOCUMENTS {
            let used = |(_, (_, used)): &(&String, &(Slot, UnixMs))| *used;
            let oldest = slots.by_url.iter().min_by_key(used).map(|(url, _)| url.clone());
            oldest.and_then(|url| slots.by_url.remove(&url));
        }
        let slot = Slot::default();
        slots.by_url.insert(url.to_owned(), (Arc::clone(&slot), now));
        Some(slot)
    }
}

impl OAuth {
    /// The client with this id, wherever it comes from: the file, the store, or its metadata document.
    ///
    /// # Errors
    /// As the store says.
    pub(crate) async fn client(
        &self,
        id: &str,
        origin: &super::Origin,
    ) -> Result<Option<Arc<ClientRecord>>, Error> {
        let known = self.known_client(id);
        let is_document = match &known {
            Some(client) => client.origin == Origin::Document,
            None => id.starts_with("https://"),
        };
        // One that is disabled stays so, whatever its document says.
        if !is_document || known.as_ref().is_some_and(|it| it.disabled_at.is_some()) {
            return Ok(known);
        }
        if !self.settings().client_documents || client_id_url(id).is_err() {
            return Ok(None);
        }
        self.by_document(id, known, origin).await
    }

    /// Why there is no client with this URL, when its document was fetched lately and was no good.
    pub async fn document_problem(&self, url: &str) -> Option<String> {
        let slot = {
            let slots = self.documents.0.lock().unwrap_or_else(PoisonError::into_inner);
            slots.by_url.get(url).map(|(slot, _)| Arc::clone(slot))
        };
        slot?.lock().await.problem.clone()
    }

    async fn by_document(
        &self,
        url: &str,
        pinned: Option<Arc<ClientRecord>>,
        origin: &super::Origin,
    ) -> Result<Option<Arc<ClientRecord>>, Error> {
        let now = self.parts.clock.now();
        let may = || self.may_ask_elsewhere(origin);
        let Some(slot) = self.documents.slot(url, now, may) else { return Ok(pinned) };
        // Whoever waits here finds what the first one has fetched.
        let mut kept = slot.lock().await;
        let since = |at: UnixMs| self.parts.clock.now().since(at);
        // What an administrator has said of it since counts at once, so the kept row goes before the memory.
        let current = |client: &Arc<ClientRecord>| match &pinned {
            Some(own) if own.document_sha256 == client.document_sha256 => Arc::clone(own),
            _ => Arc::clone(client),
        };
        if let Some((client, _)) = kept.client.as_ref().filter(|(_, at)| since(*at) < FRESH) {
            return Ok(Some(current(client)));
        }
        let usable = match &kept.client {
            Some((client, at)) if since(*at) < STALE => Some(current(client)),
            // Its server has not answered for too long.
            Some(_) => None,
            // After a start, the row stands for the document until its server answers.
            None => pinned.clone(),
        };
        if kept.tried_at.is_some_and(|at| since(at) < RETRY) {
            return Ok(usable);
        }
        kept.tried_at = Some(now);
        match self.fetched_document(url, pinned.as_deref()).await {
            Ok(client) => {
                let client = Arc::new(client);
                if let Some(pinned) = pinned {
                    self.compare(&pinned, &client, origin).await?;
                }
                kept.client = Some((Arc::clone(&client), now));
                kept.problem = None;
                Ok(Some(client))
            }
            Err(problem) => {
                kept.problem = Some(problem);
                Ok(usable)
            }
        }
    }

    async fn fetched_document(
        &self,
        url: &str,
        pinned: Option<&ClientRecord>,
    ) -> Result<ClientRecord, String> {
        let request = FetchRequest {
            url: url.to_owned(),
            form: None,
            bearer: None,
            basic: None,
            accept: "application/json",
            // A URL of the outside never leads to a private address (§6.5 of the draft).
            operator: false,
            timeout: FETCH_TIME,
            max_bytes: DOCUMENT_BYTES,
        };
        let response = self.parts.fetch.fetch(request).await.map_err(|error| error.to_string())?;
        // §5 of the draft: 200 and nothing else; redirects are not followed.
        if response.status != 200 {
            return Err(format!("its answer has the status {}", response.status));
        }
        if response.media_type != "application/json" && !response.media_type.ends_with("+json") {
            return Err(format!("it is {}, not JSON", response.media_type.escape_default()));
        }
        let mut metadata =
            read_document(&response.body, url).map_err(|error| error.description().to_owned())?;
        // A document speaks to every server; what is not for strangers here is left out.
        metadata.grant_types.retain(|it| [CODE, REFRESH, DEVICE].contains(&it.as_str()));
        let host = Uri::parse(url).and_then(|uri| uri.web_host()).unwrap_or_default();
        let name = metadata.client_name.clone().unwrap_or_else(|| host.to_owned());
        let sha256 = Some(hex::encode(digest(&SHA256, &response.body)));
        let mut client = match pinned {
            Some(own) => {
                // One that leads elsewhere is another client to people: they are asked again.
                let moved = own.metadata.redirect_uris != metadata.redirect_uris;
                let created_at = if moved { self.parts.clock.now() } else { own.created_at };
                let own = own.clone();
                ClientRecord { name, metadata, document_sha256: sha256, created_at, ..own }
            }
            None => ClientRecord {
                id: url.to_owned(),
                name,
                profile: Profile::Standard,
                pkce: Pkce::Required,
                token_format: TokenFormat::Jwt,
                refresh: RefreshRotation::Rotate,
                access_token_seconds: None,
                scopes: Vec::new(),
                resources: Vec::new(),
                metadata,
                secrets: Vec::new(),
                registration: None,
                document_sha256: sha256,
                consent: true,
                origin: Origin::Document,
                created_at: self.parts.clock.now(),
                created_by: "metadata document".to_owned(),
                disabled_at: None,
            },
        };
        check(&mut client).map_err(|error| error.to_string())?;
        Ok(client)
    }

    /// Writes down that a document says something else than when it was let in.
    async fn compare(
        &self,
        pinned: &ClientRecord,
        now: &ClientRecord,
        origin: &super::Origin,
    ) -> Result<(), Error> {
        if pinned.document_sha256 == now.document_sha256 {
            return Ok(());
        }
        let mut event = self.document_event(code::CLIENT_DOCUMENT_CHANGED, now, origin)?;
        let moved = pinned.metadata.redirect_uris != now.metadata.redirect_uris;
        let keys = pinned.metadata.jwks != now.metadata.jwks
            || pinned.metadata.jwks_uri != now.metadata.jwks_uri;
        let detail = format!(
            "was {}, is {}{}{}",
            pinned.document_sha256.as_deref().unwrap_or("unknown"),
            now.document_sha256.as_deref().unwrap_or("unknown"),
            if moved { "; redirect URIs changed" } else { "" },
            if keys { "; keys changed" } else { "" }
        );
        event.detail = Some(detail.into());
        let replaced = self.parts.store.replace_client(pinned.clone(), now.clone(), None, event);
        // `None`: another node has said it already.
        replaced.await?;
        self.reload_client(&now.id).await
    }

    /// Keeps a client of a document for good, once a person has let it in.
    pub(crate) async fn pin(
        &self,
        client: &ClientRecord,
        origin: &super::Origin,
    ) -> Result<(), Failed> {
        if client.origin != Origin::Document || self.known_client(&client.id).is_some() {
            return Ok(());
        }
        let event = self.document_event(code::CLIENT_CREATED, client, origin)?;
        match self.parts.store.create_client(client.clone(), event).await {
            Ok(_) | Err(PortError::Conflict) => Ok(self.reload_client(&client.id).await?),
            Err(error) => Err(error.into()),
        }
    }

    fn document_event(
        &self,
        code: base::Code,
        client: &ClientRecord,
        origin: &super::Origin,
    ) -> Result<Event, Error> {
        let now = self.parts.clock.now();
        let mut event = Event::new(EventId::random()?, now, self.parts.node, Kind::Admin, code);
        event.request_id = Some(origin.request_id);
        event.client_id = Some(Arc::from(client.id.as_str()));
        event.detail = Some("by its metadata document".into());
        Ok(event)
    }
}

#[cfg(test)]
mod tests;
