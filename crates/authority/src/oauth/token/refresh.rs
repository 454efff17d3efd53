//! Refresh (RFC 6749 §6).
//!
//! Invariants:
//! - A spent token gives the same child within the window, and ends the grant after it.
//! - What comes out is never wider than the grant, whatever was issued before.

use super::grants::subject;
use super::{Caller, OAuth};
use crate::oauth::mint::bound_to;
use crate::oauth::ports::{Rotated, Window};
use crate::oauth::records::{GrantRecord, RefreshRotation};
use crate::oauth::refusal::Failed;
use crate::oauth::secrets::Purpose;
use base::{Secret, code};
use protocol::oauth::token_response::TokenResponse;

impl OAuth {
    pub(super) async fn by_refresh(&self, caller: &Caller<'_>) -> Result<TokenResponse, Failed> {
        let text = caller.call.params.required("refresh_token")?;
        let mac = Purpose::Refresh.mac(&self.parts.pepper, text);
        let found = self.parts.store.refresh_and_person(mac).await?;
        let (record, grant, person) =
            found.ok_or_else(|| gone("there is no such refresh token"))?;
        // RFC 6749 §6: bound to the client that it was issued to.
        if record.client != caller.client.id {
            return Err(gone("the refresh token was issued to another client"));
        }
        // RFC 9449 §5: of a public client, bound to its key.
        if bound_to(text).is_some_and(|jkt| caller.jkt() != Some(jkt)) {
            return Err(gone(
                "RFC 9449 §5: the proof is not made with the key of the refresh token",
            ));
        }
        // OpenID Connect Core §12.2: an ID token that comes with a refresh has no nonce.
        let grant = GrantRecord { nonce: None, ..grant };
        let given = self.tokens_of(caller, (&grant, person.as_ref()), "refresh_token").await?;
        let about = (subject(&grant), &given.minted);
        let mut event =
            self.issued(&caller.call.origin, caller.client, about, given.detail.clone())?;
        event.code = code::TOKEN_REFRESHED;
        let refresh_token = match caller.client.refresh {
            RefreshRotation::Rotate => self.rotate_to(text, &grant, event.clone()).await?,
            RefreshRotation::Keep => {
                let now = self.parts.clock.now();
                let idle = now.plus(self.settings().refresh_idle).min(grant.expires_at);
                let kept = self.parts.store.keep_refresh(mac, idle, now, event.clone()).await?;
                kept.ok_or_else(|| gone("the refresh token has expired, or its grant is dead"))?;
                Secret::new(text.to_owned())
            }
        };
        if given.minted.opaque.is_some() {
            self.keep_token(&given.minted, self.again(event)?).await?;
        }
        Ok(given.answer(Some(refresh_token)))
    }

    /// Spends the parent; the child that counts.
    async fn rotate_to(
        &self,
        parent: &str,
        grant: &GrantRecord,
        event: base::Event,
    ) -> Result<Secret<String>, Failed> {
        let (text, child) = self.refresh_token(grant, bound_to(parent))?;
        let length = self.settings().refresh_window.as_millis();
        let now = self.parts.clock.now();
        let within = Window { now, length_ms: i64::try_from(length).unwrap_or(i64::MAX) };
        let mac = Purpose::Refresh.mac(&self.parts.pepper, parent);
        match self.parts.store.rotate_refresh(mac, child, within, event).await? {
            Rotated::Now(_) => Ok(text),
            Rotated::Same(_, sealed) => self.open_child(&sealed),
            // RFC 9700 §4.14.2: somebody has a token that was replaced.
            Rotated::Reused { grant, .. } => {
                let rule = format!(
                    "RFC 9700 §4.14.2: the refresh token was used before; grant {grant} is revoked"
                );
                Err(Failed::grant("the refresh token was used before", rule))
            }
            Rotated::Gone => Err(gone("the refresh token has expired, or its grant is dead")),
        }
    }
}

fn gone(rule: &'static str) -> Failed {
    let rule = format!("RFC 6749 §5.2: {rule}");
    Failed::grant("the refresh token is unknown, expired, revoked or bound to another", rule)
}
