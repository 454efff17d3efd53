//! Local blocks: a subject, client or token of a foreign issuer that is refused here.

use crate::actor::Actor;
use crate::authority::{Authority, Done};
use crate::error::Error;
use crate::ports::Page;
use crate::records::{Block, BlockId, BlockKind};
use crate::text;
use base::code;
use std::time::Duration;

/// The longest that a block with an end may hold; one without an end holds until it is lifted.
const LONGEST: Duration = Duration::from_secs(3650 * 24 * 60 * 60);

/// What shall be blocked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddBlock {
    /// What `value` is.
    pub kind: BlockKind,
    /// The configured name of an issuer; `None`: every issuer.
    pub issuer: Option<String>,
    /// The subject, client id, or `jti`, exactly as it stands in the token; 1 to 512 bytes.
    pub value: String,
    /// How long, 1 s to ten years; `None`: until it is lifted.
    pub expires: Option<Duration>,
    /// Why; at most 500 characters.
    pub reason: Option<String>,
}

impl Authority {
    /// Sets a block. One with the same kind, issuer and value is replaced.
    ///
    /// # Errors
    /// [`Error::Invalid`] when an input breaks its rule (recorded as `act.refused`).
    pub async fn add_block(&self, actor: &Actor, ask: AddBlock) -> Result<Done<Block>, Error> {
        let block = match self.draft_block(actor, &ask) {
            Ok(block) => block,
            Err(refusal) => return self.refused(actor, code::BLOCK_ADDED, None, refusal).await,
        };
        let event = self.event(actor, code::BLOCK_ADDED, Some(block.id.as_str()), &says(&block))?;
        Ok(self.registry.put_block(block, event).await?.into())
    }

    fn draft_block(&self, actor: &Actor, ask: &AddBlock) -> Result<Block, Error> {
        let longest = Duration::from_secs(1)..=LONGEST;
        if ask.expires.is_some_and(|it| !longest.contains(&it)) {
            return Err(Error::invalid("for", "must lie between 1 second and 3650 days"));
        }
        let value = text::value("value", &ask.value)?;
        // WHY: the value is recorded and shown, and a credential must be neither.
        if value.starts_with("pcl_") || value.starts_with("eyJ") {
            return Err(Error::invalid(
                "value",
                "looks like a whole key or token: name its id (`jti`), never the credential itself",
            ));
        }
        let now = self.clock.now();
        Ok(Block {
            id: BlockId::random()?,
            kind: ask.kind,
            issuer: ask
                .issuer
                .as_deref()
                .map(|name| text::config_name("issuer", name))
                .transpose()?,
            value,
            created_at: now,
            expires_at: ask.expires.map(|it| now.plus(it)),
            reason: text::optional_line("reason", ask.reason.as_deref(), text::NOTE_CHARS)?,
            created_by: actor.principal.to_string(),
        })
    }

    /// The blocks that hold now, by id.
    ///
    /// # Errors
    /// As the store says.
    pub async fn blocks(&self, page: Page) -> Result<Vec<Block>, Error> {
        Ok(self.registry.blocks(self.clock.now(), page).await?)
    }

    /// Lifts a block.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is none (recorded as `act.refused`).
    pub async fn remove_block(&self, actor: &Actor, id: BlockId) -> Result<Done<Block>, Error> {
        let event = self.event(actor, code::BLOCK_REMOVED, Some(id.as_str()), "")?;
        match self.registry.remove_block(id, event).await? {
            Some(done) => Ok(done.into()),
            None => {
                let refusal = Error::NotFound { what: "block", id: id.to_string() };
                self.refused(actor, code::BLOCK_REMOVED, Some(id.as_str()), refusal).await
            }
        }
    }
}

fn says(block: &Block) -> String {
    let issuer = block.issuer.as_deref().unwrap_or("any");
    let until = block.expires_at.map_or("lifted".to_owned(), |at| at.0.to_string());
    let reason = block.reason.as_deref().unwrap_or_default();
    format!("{} {:?} of issuer {issuer}, until {until}: {reason}", block.kind.as_str(), block.value)
}
