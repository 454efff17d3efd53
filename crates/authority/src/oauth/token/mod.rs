//! The token endpoint (RFC 6749 §3.2): one file a grant.
//!
//! Owns: who may use which grant, and what comes out.
//!
//! Invariants:
//! - Nothing is given out before what it rests on is durable: the spent code, the kept child, the event.
//! - What comes out is never wider than what it rests on, nor than what the client may have.

mod client_credentials;
mod code;
mod device;
mod exchange;
mod gate;
mod grants;
mod jwt_bearer;
mod refresh;
#[cfg(test)]
mod tests;

pub use gate::{GATE_CLIENT, GateCode, GateSession, gate_client};

use super::client_auth::ClientCall;
use super::clients::{CLIENT_CREDENTIALS, CODE, DEVICE, EXCHANGE, GRANTS, JWT_BEARER, REFRESH};
use super::mint::Minted;
use super::records::ClientRecord;
use super::refusal::Failed;
use super::{OAuth, Origin};
use base::{Event, EventId, Scheme, base62};
use protocol::oauth::claim::Cnf;
use protocol::oauth::token_response::TokenResponse;
use protocol::oauth::{ErrorCode, OAuthError, ScopeSet};
use std::sync::Arc;

/// Characters of a grant id.
const GRANT_CHARS: usize = 12;

/// A call whose client is known.
pub(crate) struct Caller<'a> {
    pub(crate) client: &'a Arc<ClientRecord>,
    pub(crate) call: &'a ClientCall,
    /// To what access tokens are bound.
    pub(crate) cnf: Option<Cnf>,
}

impl Caller<'_> {
    /// The thumbprint of the key that the caller has proved to hold.
    pub(crate) fn jkt(&self) -> Option<&str> {
        self.cnf.as_ref().and_then(|cnf| cnf.jkt.as_deref())
    }

    /// The scopes asked for.
    fn scopes(&self) -> Result<Option<ScopeSet>, Failed> {
        let asked = self.call.params.get("scope").map(ScopeSet::parse).transpose();
        asked.map_err(|error| {
            let rule = format!("RFC 6749 §3.3: {error}");
            Failed::refused(ErrorCode::InvalidScope, "scope is malformed", rule)
        })
    }
}

impl OAuth {
    /// Answers a token request.
    ///
    /// # Errors
    /// What RFC 6749 §5.2 and the grant's own specification say; the refusal is recorded.
    pub async fn token(&self, call: &ClientCall) -> Result<TokenResponse, OAuthError> {
        let mut who = None;
        let outcome = self.judged(call, &mut who).await;
        self.settle(&call.origin, who.as_deref(), outcome).await
    }

    async fn judged(
        &self,
        call: &ClientCall,
        who: &mut Option<String>,
    ) -> Result<TokenResponse, Failed> {
        // Until it is proved, the client is the one that the call names; it helps whoever reads the record.
        *who = call
            .params
            .get("client_id")
            .and_then(|id| self.known_client(id))
            .map(|it| it.id.clone());
        let grant = call.params.required("grant_type")?;
        // RFC 6749 §5.2; OAuth 2.1 §10: neither password nor implicit.
        if !GRANTS.contains(&grant) {
            let grant: String = grant.escape_default().take(64).collect();
            let rule = format!("RFC 6749 §5.2: the grant type `{grant}` is not offered");
            let code = ErrorCode::UnsupportedGrantType;
            return Err(Failed::refused(code, "the grant type is not offered", rule));
        }
        if grant == JWT_BEARER {
            return self.by_jwt(call, who).await;
        }
        let client = self.authenticate(call).await?;
        *who = Some(client.id.clone());
        // RFC 6749 §5.2: a client uses the grants that it is registered for.
        if !client.metadata.grant_types.iter().any(|own| own == grant) {
            let rule = format!("RFC 6749 §5.2: the client is not registered for {grant}");
            let code = ErrorCode::UnauthorizedClient;
            return Err(Failed::refused(code, "the client may not use this grant type", rule));
        }
        let cnf = self.binding(call, &client).await?;
        let caller = Caller { client: &client, call, cnf };
        match grant {
            CODE => self.by_code(&caller).await,
            REFRESH => self.by_refresh(&caller).await,
            CLIENT_CREDENTIALS => self.by_client_credentials(&caller).await,
            DEVICE => self.by_device(&caller).await,
            EXCHANGE => self.by_exchange(&caller).await,
            // Every grant on offer stands above.
            _ => Err(OAuthError::from(ErrorCode::UnsupportedGrantType).into()),
        }
    }

    /// The event of a token that was issued.
    pub(crate) fn issued(
        &self,
        origin: &Origin,
        client: &ClientRecord,
        (subject, minted): (&str, &Minted),
        detail: String,
    ) -> Result<Event, Failed> {
        let mut event = self.event(origin, base::code::TOKEN_ISSUED)?;
        event.status = 200;
        event.client_id = Some(Arc::from(client.id.as_str()));
        event.principal = Some(Arc::from(subject));
        event.credential_id = Some(Arc::from(&*minted.jti));
        event.scheme = Some(Scheme::Jwt).filter(|_| minted.opaque.is_none());
        event.detail = Some(detail.into());
        Ok(event)
    }

    /// The same event once more, for the token's own row.
    fn again(&self, event: Event) -> Result<Event, Failed> {
        Ok(Event { id: EventId::random()?, ..event })
    }

    /// Records a token that touches no table but its own, before it is given out.
    pub(crate) async fn keep_token(&self, minted: &Minted, event: Event) -> Result<(), Failed> {
        match &minted.opaque {
            Some((mac, record)) => {
                Ok(self.parts.store.put_access(*mac, record.clone(), event).await?)
            }
            // WHY: no transaction would notice that the client has ended meanwhile.
            None if !self.is_in_touch() => Err(Failed::Busy("the server cannot reach its store")),
            None => {
                let recorded = self.parts.evidence.record_synced(event).await;
                recorded.map_err(|_| Failed::Busy("the token cannot be recorded"))
            }
        }
    }
}

/// A grant id that stands for no row.
pub(crate) fn fresh_grant_id() -> Result<String, Failed> {
    Ok(base62::random(GRANT_CHARS)?)
}
