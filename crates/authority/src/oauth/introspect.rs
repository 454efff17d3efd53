//! Introspection (RFC 7662), for resource servers.
//!
//! Invariants:
//! - Only a client that authenticates is answered.
//! - What is not for the one who asks looks like what does not exist.

use super::OAuth;
use super::client_auth::ClientCall;
use super::living::Seen;
use super::records::{ClientRecord, Profile};
use super::refusal::Failed;
use super::secrets::Purpose;
use protocol::Algorithm;
use protocol::jwt::Claims;
use protocol::oauth::claim::{Audience, Cnf};
use protocol::oauth::client_auth::AuthMethod;
use protocol::oauth::exchange::Actor;
use protocol::oauth::introspection_response::{
    self, ActiveToken, IntrospectionJwt, IntrospectionResponse,
};
use protocol::oauth::token_response::TokenType;
use protocol::oauth::{AuthorizationDetails, OAuthError, ScopeSet};
use serde_json::Value;

/// An answer.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// RFC 7662 §2.2, a JSON object.
    Plain(Value),
    /// RFC 9701 §5, a JWT.
    Signed(String),
}

impl OAuth {
    /// Says what a token is. `signed`: the caller's `Accept` asks for a JWT.
    ///
    /// # Errors
    /// `invalid_client`, `invalid_request`; the refusal is recorded.
    pub async fn introspect(&self, call: &ClientCall, signed: bool) -> Result<Answer, OAuthError> {
        let mut who = None;
        let outcome = self.introspected(call, signed, &mut who).await;
        self.settle(&call.origin, who.as_deref(), outcome).await
    }

    async fn introspected(
        &self,
        call: &ClientCall,
        signed: bool,
        who: &mut Option<String>,
    ) -> Result<Answer, Failed> {
        let client = self.authenticate(call).await?;
        *who = Some(client.id.clone());
        // RFC 7662 §2.1: the endpoint requires authorization, so that nobody scans for tokens.
        if client.metadata.auth_method() == Some(AuthMethod::None) {
            return Err(Failed::client("RFC 7662 §2.1: a public client may not introspect"));
        }
        let text = call.params.required("token")?;
        match self.see(text).await? {
            Seen::Alive(claims) if is_for(&client, &claims) => {
                self.access(&client, &claims, signed)
            }
            Seen::Alive(_) => self.said(&client, IntrospectionResponse::Inactive, signed),
            Seen::Dead(_) => self.refresh_seen(&client, text, signed).await,
        }
    }

    fn access(
        &self,
        client: &ClientRecord,
        claims: &Claims,
        signed: bool,
    ) -> Result<Answer, Failed> {
        let member = |name: &str| claims.other.get(name);
        let cnf = claims
            .confirmation
            .as_ref()
            .map(|own| Cnf { jkt: own.jkt.clone(), x5t_s256: own.x5t_s256.clone() });
        let actor = member("act").map(Actor::read).transpose()?;
        let details: AuthorizationDetails = member("authorization_details")
            .and_then(|it| serde_json::from_value(it.clone()).ok())
            .unwrap_or_default();
        let bound = cnf.as_ref().is_some_and(|it| it.jkt.is_some());
        let issuer = claims.issuer.as_deref().unwrap_or_default();
        let token = ActiveToken {
            scope: &claims.scopes,
            client_id: claims.client_id.as_deref().unwrap_or_default(),
            username: None,
            token_type: Some(if bound { TokenType::DPoP } else { TokenType::Bearer }),
            expires_at: claims.expires_at.map(Into::into),
            issued_at: claims.issued_at.map(Into::into),
            not_before: claims.not_before.map(Into::into),
            subject: claims.subject.as_deref(),
            audience: Audience(&claims.audiences),
            issuer,
            jti: claims.jti.as_deref(),
            acr: claims.acr.as_deref(),
            amr: &claims.amr,
            authenticated_at: claims.authenticated_at.map(Into::into),
            confirmation: cnf.as_ref(),
            actor: actor.as_ref(),
            authorization_details: &details,
        };
        self.said(client, IntrospectionResponse::Active(Box::new(token)), signed)
    }

    /// A refresh token may be looked at by its own client.
    async fn refresh_seen(
        &self,
        client: &ClientRecord,
        text: &str,
        signed: bool,
    ) -> Result<Answer, Failed> {
        let mac = Purpose::Refresh.mac(&self.parts.pepper, text);
        let now = self.parts.clock.now();
        let found = self.parts.store.refresh(mac).await?.filter(|(record, grant)| {
            let lives = grant.revoked_at.is_none() && now < record.expires_at.min(grant.expires_at);
            // RFC 7662 §2.2: active is what could be used now; a spent one brings nothing new.
            record.client == client.id && lives && record.spent_at.is_none()
        });
        let Some((record, grant)) = found else {
            return self.said(client, IntrospectionResponse::Inactive, signed);
        };
        let settings = self.settings();
        let scopes = ScopeSet::of(grant.scopes.iter().map(String::as_str)).unwrap_or_default();
        let token = ActiveToken {
            scope: &scopes,
            client_id: &client.id,
            username: None,
            token_type: None,
            expires_at: Some(record.expires_at.into()),
            issued_at: Some(record.created_at.into()),
            not_before: None,
            subject: grant.user.as_deref(),
            audience: Audience(&[]),
            issuer: &settings.issuer,
            jti: None,
            acr: None,
            amr: &[],
            authenticated_at: None,
            confirmation: None,
            actor: None,
            authorization_details: &AuthorizationDetails::default(),
        };
        self.said(client, IntrospectionResponse::Active(Box::new(token)), signed)
    }

    fn said(
        &self,
        client: &ClientRecord,
        response: IntrospectionResponse<'_>,
        signed: bool,
    ) -> Result<Answer, Failed> {
        // FAPI 2.0 Message Signing §5.5: such a client gets nothing unsigned.
        if !signed && client.profile != Profile::Fapi2MessageSigning {
            return Ok(Answer::Plain(serde_json::to_value(&response).unwrap_or_default()));
        }
        let settings = self.settings();
        let own = client.metadata.introspection_signed_response_alg.as_deref();
        let algorithm: Algorithm = own.and_then(|it| it.parse().ok()).unwrap_or(settings.algorithm);
        let signer = self.signer(algorithm, introspection_response::TYP);
        let signer = signer.ok_or(Failed::Busy("the signing key is being made"))?;
        Ok(Answer::Signed(signer.sign(&IntrospectionJwt {
            issuer: &settings.issuer,
            audience: &client.id,
            issued_at: self.parts.clock.now().into(),
            token_introspection: response,
        })?))
    }
}

/// Whether a token concerns a client: it was issued to it, or it is the audience, by its own id or by a resource
/// that it has.
pub(crate) fn is_for(client: &ClientRecord, claims: &Claims) -> bool {
    let audience = |own: &str| claims.audiences.iter().any(|aud| **aud == *own);
    claims.client_id.as_deref() == Some(&*client.id)
        || audience(&client.id)
        || client.resources.iter().any(|it| audience(it))
}

#[cfg(test)]
mod tests;
