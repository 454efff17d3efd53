//! Token exchange (RFC 8693): impersonation, and delegation with `act`.
//!
//! Invariants:
//! - What comes out is for no audience, scope or time that the subject token was not for, and belongs to its grant.
//! - A token that is bound to a key is exchanged only with a proof of that key.
//! - A chain of actors only grows.
//! - What comes out names each client from whose tokens it came, and ends with each of them.

use super::{Caller, OAuth};
use crate::oauth::introspect::is_for;
use crate::oauth::living::{Seen, grant_of};
use crate::oauth::mint::{AccessAsk, client_scopes, may_have};
use crate::oauth::refusal::Failed;
use crate::oauth::scopes::judge_resources;
use protocol::jwt::Claims;
use protocol::oauth::access_token::{EXCHANGED_FROM_MOST, exchanged_from};
use protocol::oauth::exchange::{
    self, Actor, ExchangeRequest, SentToken, TokenKind, narrow_audience, narrow_scope,
};
use protocol::oauth::token_response::TokenResponse;
use protocol::oauth::{AuthorizationDetails, ErrorCode};

impl OAuth {
    pub(super) async fn by_exchange(&self, caller: &Caller<'_>) -> Result<TokenResponse, Failed> {
        let (client, call) = (caller.client, caller.call);
        let ask = ExchangeRequest::read(&call.params)?;
        if !matches!(ask.requested, TokenKind::AccessToken | TokenKind::Jwt) {
            let rule = "RFC 8693 §2.2.2: only access tokens are issued";
            return Err(Failed::request("requested_token_type is not one that is issued", rule));
        }
        let subject = self.shown_token(caller, &ask.subject, "subject_token").await?;
        if !is_for(client, &subject) {
            let rule = "RFC 8693 §2.1: the subject token is neither the client's nor for it";
            return Err(Failed::request(
                "subject_token is not one that this client may exchange",
                rule,
            ));
        }
        let (actor, mut lineage) = self.actor(caller, &ask, &subject).await?;
        lineage.extend(clients_of(&subject)?);
        let lineage = ancestors(lineage, &client.id)?;
        let settings = self.settings();
        let names: Vec<String> = subject.scopes.iter().map(str::to_owned).collect();
        let own = client_scopes(&settings, client, &names);
        let scopes = narrow_scope(&subject.scopes, &own, ask.scope.as_ref())?;
        let audience = self.targets(caller, &ask, &subject)?;
        let details: AuthorizationDetails = subject
            .other
            .get("authorization_details")
            .and_then(|it| serde_json::from_value(it.clone()).ok())
            .unwrap_or_default();
        let (Some(sub), Some(grant)) = (subject.subject.as_deref(), grant_of(&subject)) else {
            return Err(Failed::request(
                "subject_token cannot be exchanged",
                "it has no sub or gid",
            ));
        };
        let minted = self.access_token(&AccessAsk {
            client,
            subject: sub,
            grant,
            scopes: &scopes,
            audience: &audience,
            cnf: caller.cnf.as_ref(),
            actor: actor.as_ref(),
            exchanged_from: &lineage,
            details: &details,
            login: None,
            until: subject.expires_at,
        })?;
        let by = actor.as_ref().map_or("itself", |it| &*it.subject);
        let detail = format!(
            "token-exchange of {}, by {by}, scope {:?}, for {}",
            subject.jti.as_deref().unwrap_or_default(),
            scopes.to_string(),
            audience.join(" ")
        );
        let event = self.issued(&call.origin, client, (sub, &minted), detail)?;
        self.keep_token(&minted, event).await?;
        Ok(TokenResponse {
            access_token: minted.text,
            token_type: minted.token_type,
            expires_in: minted.expires_in,
            refresh_token: None,
            scope: scopes,
            id_token: None,
            issued_token_type: Some(TokenKind::AccessToken),
            authorization_details: details,
        })
    }

    /// A token that was shown: ours, an access token, alive, and used by who may use it.
    async fn shown_token(
        &self,
        caller: &Caller<'_>,
        sent: &SentToken,
        name: &str,
    ) -> Result<Claims, Failed> {
        // RFC 8693 §2.2.2: what is invalid or unacceptable is `invalid_request`.
        let refused = |rule: String| {
            Err(Failed::request(format!("{name} is not one that is accepted"), rule))
        };
        if !matches!(sent.kind, TokenKind::AccessToken | TokenKind::Jwt) {
            return refused(format!(
                "RFC 8693 §2.1: {name} must be an access token of this server"
            ));
        }
        let claims = match self.see(sent.token.expose()).await? {
            Seen::Alive(claims) => *claims,
            Seen::Dead(why) => return refused(format!("RFC 8693 §2.1: {name}: {why}")),
        };
        // RFC 9449 §7: whoever cannot prove the key has no use of the token, here neither.
        let unproved = match &claims.confirmation {
            None => false,
            Some(cnf) => cnf.other || cnf.x5t_s256.is_some() || cnf.jkt.as_deref() != caller.jkt(),
        };
        match unproved {
            true => {
                refused(format!("RFC 9449 §7: {name} is bound to another key than the proof's"))
            }
            false => Ok(claims),
        }
    }

    /// Who acts: with an actor token, its subject after those that acted before; else those alone. And the clients behind the
    /// actor token.
    async fn actor(
        &self,
        caller: &Caller<'_>,
        ask: &ExchangeRequest,
        subject: &Claims,
    ) -> Result<(Option<Actor>, Vec<Box<str>>), Failed> {
        let before = subject.other.get("act").map(Actor::read).transpose()?;
        let may = subject.other.get("may_act");
        let Some(sent) = &ask.actor else {
            // RFC 8693 §4.4: who may act is named, so nobody else acts in silence.
            return match may {
                Some(_) => Err(Failed::request(
                    "subject_token needs an actor_token",
                    "RFC 8693 §4.4: may_act names who may act, and nobody is shown",
                )),
                None => Ok((before, Vec::new())),
            };
        };
        let shown = self.shown_token(caller, sent, "actor_token").await?;
        if !is_for(caller.client, &shown) {
            let rule = "RFC 8693 §2.1: the actor token is neither the client's nor for it";
            return Err(Failed::request("actor_token is not one that this client may use", rule));
        }
        let clients = clients_of(&shown)?;
        let mut actor = Actor::of(shown.subject.unwrap_or_default());
        actor.client_id = shown.client_id;
        if may.is_some_and(|claim| !exchange::may_act(claim, &actor)) {
            let rule = "RFC 8693 §4.4: may_act names another actor";
            return Err(Failed::request("the actor may not act for the subject", rule));
        }
        Ok((Some(actor.after(before)?), clients))
    }

    /// The audience: never one that the subject token was not for.
    fn targets(
        &self,
        caller: &Caller<'_>,
        ask: &ExchangeRequest,
        subject: &Claims,
    ) -> Result<Vec<Box<str>>, Failed> {
        let (settings, client) = (self.settings(), caller.client);
        let asked = ask.resource.iter().chain(&ask.audience).map(|it| &**it);
        let asked = judge_resources(client, &settings, asked)?;
        let asked: Vec<Box<str>> = asked.into_iter().map(Into::into).collect();
        let mut found = narrow_audience(&subject.audiences, &asked)?;
        found.retain(|it| may_have(client, it));
        match found.is_empty() {
            false => Ok(found),
            true => Err(Failed::refused(
                ErrorCode::InvalidTarget,
                "no audience of subject_token is one that the client may ask for",
                "RFC 8693 §2.2.2: nothing is left of the audience",
            )),
        }
    }
}

/// The clients by whose end a token ends.
fn clients_of(claims: &Claims) -> Result<Vec<Box<str>>, Failed> {
    let before = exchanged_from(claims);
    let mut clients = before.ok_or_else(|| {
        Failed::request("the token cannot be exchanged", "what it was exchanged from is malformed")
    })?;
    clients.extend(claims.client_id.clone());
    Ok(clients)
}

/// Each of these once, without the client that the new token is issued to: by that it ends anyhow.
fn ancestors(mut clients: Vec<Box<str>>, own: &str) -> Result<Vec<Box<str>>, Failed> {
    clients.retain(|it| **it != *own);
    clients.sort_unstable();
    clients.dedup();
    match clients.len() <= EXCHANGED_FROM_MOST {
        true => Ok(clients),
        // INVARIANT: none is left out, so that the end of each is felt.
        false => Err(Failed::request(
            "subject_token was exchanged too often",
            format!("more than {EXCHANGED_FROM_MOST} clients have handed it on"),
        )),
    }
}
