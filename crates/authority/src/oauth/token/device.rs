//! Device authorization: what the device polls for (RFC 8628 §3.4, §3.5).

use super::grants::subject;
use super::{Caller, OAuth};
use crate::oauth::ports::Polled;
use crate::oauth::records::{GrantKind, GrantRecord};
use crate::oauth::refusal::Failed;
use crate::oauth::secrets::Purpose;
use base::UnixMs;
use protocol::oauth::ErrorCode;
use protocol::oauth::token_response::TokenResponse;

/// Characters of a device code: prefix and 256 bits.
const CODE_CHARS: usize = 4 + 43;

impl OAuth {
    pub(super) async fn by_device(&self, caller: &Caller<'_>) -> Result<TokenResponse, Failed> {
        let text = caller.call.params.required("device_code")?;
        if text.len() != CODE_CHARS || !text.starts_with(Purpose::Device.prefix()) {
            let rule = "RFC 8628 §3.5: it is not a device code of this server";
            return Err(Failed::grant("the device code is unknown", rule));
        }
        let mac = Purpose::Device.mac(&self.parts.pepper, text);
        let (client, origin) = (caller.client, &caller.call.origin);
        let now = self.parts.clock.now();
        // The grant is not known before the poll, so the store fills in whose the refresh token is.
        let (text, refresh) = self.first_refresh(caller, &nobodys(&client.id, now))?.unzip();
        let mut event = self.event(origin, base::code::TOKEN_ISSUED)?;
        event.client_id = Some(client.id.as_str().into());
        event.detail = Some("device_code: the code is spent".into());
        let polled = self.parts.store.poll_device((mac, client.id.clone()), refresh, now, event);
        let answer = |code, rule: &'static str| Err(Failed::refused(code, "", rule));
        let grant = match polled.await? {
            Polled::Allowed(grant) => grant,
            Polled::Waiting => {
                return answer(
                    ErrorCode::AuthorizationPending,
                    "RFC 8628 §3.5: nobody has decided",
                );
            }
            Polled::TooEarly => {
                return answer(ErrorCode::SlowDown, "RFC 8628 §3.5: asked before the interval");
            }
            Polled::Denied => {
                return answer(ErrorCode::AccessDenied, "RFC 8628 §3.5: the person has refused");
            }
            Polled::Gone => {
                let rule = "RFC 8628 §3.5: unknown, expired, used, or another client's";
                return answer(ErrorCode::ExpiredToken, rule);
            }
        };
        let person = match &grant.user {
            Some(user) => self.parts.store.user(user.clone()).await?,
            None => None,
        };
        let of = (&grant, person.as_ref());
        let given = self.tokens_of(caller, of, "device_code").await?;
        let about = (subject(&grant), &given.minted);
        let event = self.issued(origin, client, about, given.detail.clone())?;
        match given.minted.opaque.is_some() {
            true => self.keep_token(&given.minted, event).await?,
            false => self.parts.audit.record(event).await?,
        }
        self.pin(client, origin).await?;
        Ok(given.answer(text))
    }
}

/// What a refresh token is drawn for while its grant is not known: it lives for as long as it may lie unused.
fn nobodys(client: &str, now: UnixMs) -> GrantRecord {
    GrantRecord {
        id: String::new(),
        kind: GrantKind::Device,
        client: client.to_owned(),
        user: None,
        scopes: Vec::new(),
        resources: Vec::new(),
        authorization_details: serde_json::Value::Null,
        session: None,
        auth_time: None,
        amr: Vec::new(),
        acr: None,
        nonce: None,
        claims: serde_json::Value::Null,
        dpop_jkt: None,
        created_at: now,
        expires_at: UnixMs(i64::MAX),
        revoked_at: None,
    }
}
