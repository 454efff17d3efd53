//! Authorization code (RFC 6749 §4.1.3).
//!
//! Invariant: a code is redeemed by the client that it was issued to, at the redirect URI, with the verifier and the
//! key that its request named; once. A second redemption ends the grant.

use super::grants::subject;
use super::{Caller, OAuth};
use crate::oauth::ports::Redeemed;
use crate::oauth::records::{CodeRecord, GrantRecord, Pkce, Profile};
use crate::oauth::refusal::Failed;
use crate::oauth::secrets::Purpose;
use protocol::oauth::client_auth::AuthMethod;
use protocol::oauth::pkce;
use protocol::oauth::token_response::TokenResponse;

impl OAuth {
    pub(super) async fn by_code(&self, caller: &Caller<'_>) -> Result<TokenResponse, Failed> {
        let text = caller.call.params.required("code")?;
        let mac = Purpose::Code.mac(&self.parts.pepper, text);
        let found = self.parts.store.code_and_person(mac).await?;
        let (code, grant, person) = found.ok_or_else(|| gone("there is no such code"))?;
        bindings(caller, &code, &grant)?;
        let of = (&grant, person.as_ref());
        let given = self.tokens_of(caller, of, "authorization_code").await?;
        let (refresh_text, refresh) = self.first_refresh(caller, &grant)?.unzip();
        let (client, origin) = (caller.client, &caller.call.origin);
        let about = (subject(&grant), &given.minted);
        let event = self.issued(origin, client, about, given.detail.clone())?;
        // Before the code is spent, so that a failure here costs the client nothing.
        self.pin(client, origin).await?;
        let now = self.parts.clock.now();
        match self.parts.store.redeem_code(mac, refresh, now, event.clone()).await? {
            Redeemed::Now(_) => {}
            // RFC 6749 §4.1.2, §10.5: used twice, it ends what was issued on it.
            Redeemed::Twice { grant, .. } => {
                let rule =
                    format!("RFC 6749 §4.1.2: the code was used before; grant {grant} is revoked");
                return Err(Failed::grant("the code was used before", rule));
            }
            Redeemed::Gone => return Err(gone("the code has expired, or its grant is dead")),
        }
        if given.minted.opaque.is_some() {
            self.keep_token(&given.minted, self.again(event)?).await?;
        }
        Ok(given.answer(refresh_text))
    }
}

fn gone(rule: &'static str) -> Failed {
    Failed::grant("the code is unknown, expired or used", format!("RFC 6749 §5.2: {rule}"))
}

/// Everything that the code is bound to.
pub(super) fn bindings(
    caller: &Caller<'_>,
    code: &CodeRecord,
    grant: &GrantRecord,
) -> Result<(), Failed> {
    let (client, params) = (caller.client, &caller.call.params);
    // RFC 6749 §4.1.3: issued to this client.
    if code.client != client.id {
        return Err(gone("the code was issued to another client"));
    }
    // RFC 6749 §4.1.3: the values are identical, when the request named one.
    let redirect_uri = params.get("redirect_uri");
    let same = match &code.redirect_uri {
        Some(asked) => redirect_uri == Some(asked),
        None => redirect_uri.is_none_or(|it| client.metadata.has_redirect_uri(it)),
    };
    if !same {
        let rule = "RFC 6749 §4.1.3: redirect_uri is not the one of the authorization request";
        return Err(Failed::grant("redirect_uri is not that of the authorization request", rule));
    }
    verifier(caller, code)?;
    // RFC 9449 §10: the code is bound to the key that the request named.
    if grant.dpop_jkt.as_deref().is_some_and(|jkt| caller.jkt() != Some(jkt)) {
        let rule = "RFC 9449 §10: the proof is not made with the key of dpop_jkt";
        return Err(Failed::grant("the code is bound to another key", rule));
    }
    Ok(())
}

fn verifier(caller: &Caller<'_>, code: &CodeRecord) -> Result<(), Failed> {
    let wrong =
        |rule: &'static str| Err(Failed::grant("code_verifier does not belong to the code", rule));
    match (&code.challenge, caller.call.params.get("code_verifier")) {
        // RFC 7636 §4.6.
        (Some(challenge), Some(verifier)) if pkce::matches(challenge, verifier) => Ok(()),
        (Some(_), Some(_)) => wrong("RFC 7636 §4.6: the verifier does not match the challenge"),
        (Some(_), None) => wrong("RFC 7636 §4.6: the verifier is missing"),
        // RFC 9700 §4.8.2: a verifier without a challenge is a downgrade.
        (None, Some(_)) => wrong("RFC 9700 §4.8.2: a verifier came for a code without challenge"),
        (None, None) => {
            let client = caller.client;
            let may = client.pkce == Pkce::Optional
                && client.profile == Profile::Standard
                && client.metadata.auth_method() != Some(AuthMethod::None);
            match may {
                true => Ok(()),
                false => wrong("OAuth 2.1 §4.1.1: the client must use PKCE"),
            }
        }
    }
}
