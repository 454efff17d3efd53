//! Revocation (RFC 7009): a client gives back what it has.
//!
//! Invariant: a client ends its own tokens only; a token that is unknown is as good as revoked.

use super::OAuth;
use super::client_auth::ClientCall;
use super::living::Seen;
use super::records::{ClientRecord, Revocation, RevocationKind};
use super::refusal::Failed;
use super::secrets::Purpose;
use super::settings::ACCESS_TOKEN_LONGEST;
use base::limits::CLOCK_SKEW;
use base::{Event, UnixMs, code};
use protocol::oauth::OAuthError;
use std::sync::Arc;

impl OAuth {
    /// Revokes a token: an access token alone, a refresh token with its grant and all that was issued on it.
    ///
    /// # Errors
    /// `invalid_client`, `invalid_request`, `invalid_grant` (it is another client's); the refusal is recorded.
    pub async fn revoke(&self, call: &ClientCall) -> Result<(), OAuthError> {
        let mut who = None;
        let outcome = self.given_back(call, &mut who).await;
        self.settle(&call.origin, who.as_deref(), outcome).await
    }

    async fn given_back(&self, call: &ClientCall, who: &mut Option<String>) -> Result<(), Failed> {
        let client = self.authenticate(call).await?;
        *who = Some(client.id.clone());
        let text = call.params.required("token")?;
        // RFC 7009 §2.1: the hint may be wrong, so both kinds are looked for, whatever it says.
        let mac = Purpose::Refresh.mac(&self.parts.pepper, text);
        if let Some((record, _)) = self.parts.store.refresh(mac).await? {
            owned(&client, &record.client)?;
            return self.end_grant(call, &client, record.grant).await;
        }
        match self.see(text).await? {
            Seen::Alive(claims) => {
                owned(&client, claims.client_id.as_deref().unwrap_or_default())?;
                let Some(jti) = claims.jti.as_deref() else { return Ok(()) };
                let until = claims.expires_at.unwrap_or(UnixMs(0)).plus(CLOCK_SKEW);
                let now = self.parts.clock.now();
                let (kind, value) = (RevocationKind::Token, jti.to_owned());
                let event = self.returned(call, &client, jti, "access token")?;
                let revocation = Revocation { kind, value, not_before: now, until };
                self.parts.store.revoke(revocation, event).await?;
                Ok(())
            }
            // RFC 7009 §2.2: what is unknown or dead needs no revoking.
            Seen::Dead(_) => Ok(()),
        }
    }

    async fn end_grant(
        &self,
        call: &ClientCall,
        client: &ClientRecord,
        grant: String,
    ) -> Result<(), Failed> {
        let now = self.parts.clock.now();
        let until = now.plus(ACCESS_TOKEN_LONGEST).plus(CLOCK_SKEW);
        let event = self.returned(call, client, &grant, "refresh token, and its grant")?;
        self.parts.store.revoke_grant(grant, now, until, event).await?;
        Ok(())
    }

    fn returned(
        &self,
        call: &ClientCall,
        client: &ClientRecord,
        id: &str,
        what: &'static str,
    ) -> Result<Event, Failed> {
        let mut event = self.event(&call.origin, code::TOKEN_REVOKED_ACT)?;
        event.client_id = Some(Arc::from(client.id.as_str()));
        event.credential_id = Some(Arc::from(id));
        event.detail = Some(what.into());
        event.status = 200;
        Ok(event)
    }
}

/// RFC 7009 §2.1: refused when the token was issued to another client.
fn owned(client: &ClientRecord, of: &str) -> Result<(), Failed> {
    match client.id == of {
        true => Ok(()),
        false => {
            let rule = "RFC 7009 §2.1: the token was issued to another client";
            Err(Failed::grant("the token is not one of this client", rule))
        }
    }
}

#[cfg(test)]
mod tests;
