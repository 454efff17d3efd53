//! Trust rules: whose tokens stand for which client (RFC 7523, workload identity federation).
//!
//! Invariant: a rule names one issuer, one pattern of subjects and one client; it never gives more than that client
//! may have for itself.

use super::OAuth;
use super::clients::{JWT_BEARER, PERSONAL_SCOPES};
use super::records::TrustRecord;
use crate::actor::Actor;
use crate::authority::Done;
use crate::error::Error;
use crate::text;
use base::{base62, code};
use protocol::oauth::uri;
use serde_json::{Map, Value};
use std::sync::Arc;

/// Characters of a rule's id.
const ID_CHARS: usize = 12;
/// Bytes of a pattern of subjects.
const SUBJECT_BYTES: usize = 512;
/// Bytes of a subject that is looked at; those of known issuers stay below 300.
const SUBJECT_LONGEST: usize = 1024;
/// Further claims of one rule.
const CLAIMS: usize = 16;
/// Rules of one installation; each token is held against those of its issuer.
const RULES: usize = 1000;

/// What a new rule shall say.
#[derive(Debug, Clone, PartialEq)]
pub struct AddTrust {
    /// What people call it.
    pub name: String,
    /// The exact `iss`, an https URL.
    pub issuer: String,
    /// Where its keys are; `None`: by discovery.
    pub jwks_uri: Option<String>,
    /// The `sub` that is let in; `*` stands for any run of characters but `:` and `/`.
    pub subject: String,
    /// The `aud` that the assertion must name; empty: our issuer.
    pub audience: String,
    /// Further claims that must have exactly these values.
    pub claims: Map<String, Value>,
    /// The client that the bearer becomes.
    pub client: String,
    /// At most these scopes; empty: all that the client may have for itself.
    pub scopes: Vec<String>,
}

impl OAuth {
    /// Makes a trust rule, or replaces the one of the same name, which keeps its id.
    ///
    /// WHY: whoever narrows a rule must not leave the wider one standing beside it.
    ///
    /// # Errors
    /// [`Error::Invalid`] when several rules bear the name already, or an input breaks its rule (recorded as `act.refused`); else as the store says.
    pub async fn add_trust(
        &self,
        actor: &Actor,
        ask: AddTrust,
    ) -> Result<Done<TrustRecord>, Error> {
        // Of the store, not of memory: another node may have made it a moment ago.
        let mut same = self.parts.store.trusts().await?;
        same.retain(|it| it.name == ask.name.trim());
        match self.rule(actor, ask, &same) {
            Ok(rule) => {
                let what = if same.is_empty() { "added" } else { "replaced" };
                let detail = format!(
                    "{what}: {} of {} becomes {}, scope {:?}",
                    rule.subject,
                    rule.issuer,
                    rule.client,
                    rule.scopes.join(" ")
                );
                let event = self.act(actor, code::TRUST_CHANGED, Some(&rule.id), &detail)?;
                let seq = self.parts.store.put_trust(rule.clone(), event).await?;
                self.load_trusts().await?;
                Ok((rule, seq).into())
            }
            Err(refusal) => self.act_refused(actor, code::TRUST_CHANGED, None, refusal).await,
        }
    }

    /// `same`: those that bear the name.
    fn rule(
        &self,
        actor: &Actor,
        ask: AddTrust,
        same: &[TrustRecord],
    ) -> Result<TrustRecord, Error> {
        if same.len() > 1 {
            let rule = "is borne by several rules: remove all but one first";
            return Err(Error::invalid("name", rule));
        }
        if same.is_empty() && self.trust.load().len() >= RULES {
            return Err(Error::invalid("trust", format!("there are {RULES} rules already")));
        }
        if !uri::is_https(&ask.issuer) {
            return Err(Error::invalid("issuer", "must be an https URL"));
        }
        if ask.issuer == self.settings().issuer {
            return Err(Error::invalid("issuer", "is this server itself"));
        }
        if ask.jwks_uri.as_ref().is_some_and(|it| !uri::is_https(it)) {
            return Err(Error::invalid("jwks_uri", "must be an https URL"));
        }
        let subject = text::value("subject", &ask.subject)?;
        // A pattern without a fixed part would let everybody of the issuer in.
        if subject.len() > SUBJECT_BYTES || subject.bytes().all(|c| matches!(c, b'*' | b':' | b'/'))
        {
            let rule = format!("must have a fixed part, and at most {SUBJECT_BYTES} bytes");
            return Err(Error::invalid("subject", rule));
        }
        let audience = match ask.audience.is_empty() {
            true => String::new(),
            false => text::value("audience", &ask.audience)?,
        };
        if ask.claims.len() > CLAIMS {
            return Err(Error::invalid("claims", format!("at most {CLAIMS} may be named")));
        }
        let scopes = text::scopes(&ask.scopes)?;
        let client = self.known_client(&ask.client);
        let client = client.ok_or_else(|| Error::invalid("client", "there is no such client"))?;
        if !client.metadata.grant_types.iter().any(|it| it == JWT_BEARER) {
            return Err(Error::invalid("client", format!("is not registered for {JWT_BEARER}")));
        }
        let own =
            |it: &&String| !client.scopes.contains(it) || PERSONAL_SCOPES.contains(&it.as_str());
        if let Some(wider) = scopes.iter().find(own) {
            let rule = format!("`{wider}` is not one that the client may have for itself");
            return Err(Error::invalid("scope", rule));
        }
        Ok(TrustRecord {
            id: match same.first() {
                Some(before) => before.id.clone(),
                None => base62::random(ID_CHARS)?,
            },
            name: text::line("name", &ask.name, text::NAME_CHARS)?,
            issuer: ask.issuer,
            jwks_uri: ask.jwks_uri,
            subject,
            audience,
            claims: ask.claims,
            client: ask.client,
            scopes,
            created_at: self.parts.clock.now(),
            created_by: actor.principal.to_string(),
        })
    }

    /// All trust rules, by id.
    ///
    /// # Errors
    /// As the store says.
    pub async fn trusts(&self) -> Result<Vec<TrustRecord>, Error> {
        Ok(self.parts.store.trusts().await?)
    }

    /// Removes a trust rule; tokens that were issued by it end by time.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is none.
    pub async fn remove_trust(&self, actor: &Actor, id: &str) -> Result<i64, Error> {
        let event = self.act(actor, code::TRUST_CHANGED, Some(id), "removed")?;
        match self.parts.store.remove_trust(id.to_owned(), event).await? {
            Some(seq) => {
                self.load_trusts().await?;
                Ok(seq)
            }
            None => {
                let id = id.escape_default().take(64).collect::<String>();
                let refusal = Error::NotFound { what: "trust rule", id: id.clone() };
                self.act_refused(actor, code::TRUST_CHANGED, Some(&id), refusal).await
            }
        }
    }

    /// Reads the rules anew.
    pub(crate) async fn load_trusts(&self) -> Result<(), Error> {
        let rules = self.parts.store.trusts().await?;
        self.trust.store(Arc::new(rules));
        Ok(())
    }
}

/// Whether a subject meets a pattern: `*` stands for any run of characters but `:` and `/`. The time is that of the
/// two lengths multiplied, whatever the pattern.
pub(crate) fn meets(pattern: &str, subject: &str) -> bool {
    if subject.len() > SUBJECT_LONGEST {
        return false;
    }
    // Which beginnings of the subject the pattern so far stands for, by their length.
    let mut reached = vec![false; subject.len() + 1];
    if let Some(empty) = reached.first_mut() {
        *empty = true;
    }
    for wanted in pattern.bytes() {
        let mut next = Vec::with_capacity(reached.len());
        // Before the first byte only a star stands for nothing.
        let mut last = wanted == b'*' && reached.first() == Some(&true);
        next.push(last);
        for ((before, here), byte) in
            reached.iter().zip(reached.iter().skip(1)).zip(subject.bytes())
        {
            last = match wanted {
                b'*' => *here || (last && !matches!(byte, b':' | b'/')),
                other => *before && byte == other,
            };
            next.push(last);
        }
        reached = next;
    }
    reached.last() == Some(&true)
}

#[cfg(test)]
mod tests;
