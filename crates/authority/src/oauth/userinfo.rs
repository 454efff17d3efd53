//! The userinfo endpoint (OpenID Connect Core §5.3).
//!
//! Never does: answer for a token that is not about a person, or say more than its scopes and its grant's `claims`
//! parameter ask for.
//!
//! Invariant: a token that is bound to a key is taken with a proof of that key only (RFC 9449 §7.1).

use super::living::{Seen, grant_of};
use super::proof::{ProvedAt, invalid, presented};
use super::refusal::Failed;
use super::{OAuth, Origin};
use base::Secret;
use protocol::json::Object;
use protocol::oauth::{ClaimsRequest, ErrorCode, OAuthError};
use protocol::oidc;

/// Where the endpoint lies below the issuer.
pub const USERINFO_PATH: &str = "/oauth/userinfo";

/// A call of the endpoint.
#[derive(Debug, Clone)]
pub struct UserinfoCall {
    /// `GET` or `POST`.
    pub method: &'static str,
    /// The values of all `Authorization` headers.
    pub authorization: Vec<Vec<u8>>,
    /// `access_token` of a form (RFC 6750 §2.2).
    pub form_token: Option<Secret<String>>,
    /// The values of all `DPoP` headers.
    pub dpop: Vec<Vec<u8>>,
    /// Where it came from.
    pub origin: Origin,
}

/// The answer.
#[derive(Debug, Clone, PartialEq)]
pub enum Userinfo {
    /// As JSON.
    Json(Object),
    /// Signed, as the client has registered (`application/jwt`).
    Jwt(String),
}

impl OAuth {
    /// Answers who the person is.
    ///
    /// # Errors
    /// `invalid_request`, `invalid_token`, `insufficient_scope` (RFC 6750 §3.1), `invalid_dpop_proof` and
    /// `use_dpop_nonce`.
    pub async fn userinfo(&self, call: &UserinfoCall) -> Result<Userinfo, OAuthError> {
        let outcome = self.person_of(call).await;
        self.settle(&call.origin, None, outcome).await
    }

    async fn person_of(&self, call: &UserinfoCall) -> Result<Userinfo, Failed> {
        let presented = presented(&call.authorization, call.form_token.as_ref())?;
        let claims = match self.see(presented.token.expose()).await? {
            Seen::Alive(claims) => claims,
            Seen::Dead(why) => return Err(invalid(format!("RFC 6750 §3.1: {why}"))),
        };
        let uri = self.settings().url(USERINFO_PATH);
        let at = ProvedAt { method: call.method, uri: &uri, dpop: &call.dpop };
        self.bound(&at, &presented, &claims).await?;
        // OpenID Connect Core §5.3.1: a token that came of an OpenID Connect authentication.
        if !claims.scopes.contains("openid") {
            return Err(Failed::refused(
                ErrorCode::InsufficientScope,
                "the access token has not the scope openid",
                "OpenID Connect Core §5.3.1: the scope openid is missing",
            ));
        }
        let nobody = || invalid("OpenID Connect Core §5.3.1: the token is not about a person");
        let grant = match grant_of(&claims) {
            Some(id) => self.parts.store.grant(id.to_owned()).await?,
            None => None,
        };
        let grant = grant.ok_or_else(nobody)?;
        let user = grant.user.as_deref().ok_or_else(nobody)?;
        let client = self.client(&grant.client, &call.origin).await?;
        let client = client.filter(|it| it.disabled_at.is_none());
        let client = client.ok_or_else(|| invalid("the client of the token is gone"))?;
        let person = self.person_claims(user).await.map_err(|failed| match failed {
            Failed::Refused { rule, .. } => invalid(rule),
            other => other,
        })?;
        let asked: ClaimsRequest = serde_json::from_value(grant.claims).unwrap_or_default();
        let subject = self.subject_of(&client, user);
        let answer = oidc::userinfo(&subject, &person, &claims.scopes, &asked);
        let Some(name) = client.metadata.userinfo_signed_response_alg.as_deref() else {
            return Ok(Userinfo::Json(answer));
        };
        let busy = Failed::Busy("the signing key is being made");
        let signer = name.parse().ok().and_then(|it| self.signer(it, oidc::ID_TOKEN_TYP));
        let answer = oidc::signed_userinfo(answer, &self.settings().issuer, &client.id);
        Ok(Userinfo::Jwt(signer.ok_or(busy)?.sign(&answer)?))
    }
}

#[cfg(test)]
mod tests;
