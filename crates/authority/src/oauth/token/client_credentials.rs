//! Client credentials (RFC 6749 §4.4).
//!
//! Invariant: a JWT issued here touches no table; it waits for the ledger's sync instead.

use super::{Caller, fresh_grant_id};
use crate::oauth::OAuth;
use crate::oauth::clients::PERSONAL_SCOPES;
use crate::oauth::mint::{AccessAsk, audience};
use crate::oauth::refusal::Failed;
use protocol::oauth::token_response::TokenResponse;
use protocol::oauth::{AuthorizationDetails, ErrorCode, ScopeSet};

impl OAuth {
    pub(super) async fn by_client_credentials(
        &self,
        caller: &Caller<'_>,
    ) -> Result<TokenResponse, Failed> {
        let (client, call) = (caller.client, caller.call);
        let scopes = scopes(&client.scopes, caller.scopes()?)?;
        let settings = self.settings();
        let audience = audience(&settings, client, call.params.all("resource"), &scopes)?;
        let details = AuthorizationDetails::default();
        let grant = fresh_grant_id()?;
        let minted = self.access_token(&AccessAsk {
            client,
            // RFC 9068 §2.2: the subject is the client itself.
            subject: &client.id,
            grant: &grant,
            scopes: &scopes,
            audience: &audience,
            cnf: caller.cnf.as_ref(),
            actor: None,
            exchanged_from: &[],
            details: &details,
            login: None,
            until: None,
        })?;
        let detail = format!(
            "client_credentials, scope {:?}, for {}",
            scopes.to_string(),
            audience.join(" ")
        );
        let event = self.issued(&call.origin, client, (&client.id, &minted), detail)?;
        self.keep_token(&minted, event).await?;
        Ok(TokenResponse {
            access_token: minted.text,
            token_type: minted.token_type,
            expires_in: minted.expires_in,
            // RFC 6749 §4.4.3: no refresh token.
            refresh_token: None,
            scope: scopes,
            id_token: None,
            issued_token_type: None,
            authorization_details: details,
        })
    }
}

/// What was asked for, which must all be the client's; without a question, all that it may have for itself.
fn scopes(own: &[String], asked: Option<ScopeSet>) -> Result<ScopeSet, Failed> {
    let invalid = |rule: String| {
        Failed::refused(
            ErrorCode::InvalidScope,
            "a scope is not one that the client may have",
            rule,
        )
    };
    let mine = own.iter().map(String::as_str).filter(|it| !PERSONAL_SCOPES.contains(it));
    let mine = ScopeSet::of(mine).map_err(|error| invalid(error.to_string()))?;
    let Some(asked) = asked else { return Ok(mine) };
    match mine.missing(&asked) {
        None => Ok(asked),
        Some(wider) => Err(invalid(format!(
            "RFC 6749 §3.3: the client may not have the scope {wider} for itself"
        ))),
    }
}
