//! What scopes mean, in words that an administrator writes; and the signing keys as administrators see them.
//!
//! Invariant: words of the store stand above the file's, and the file's above our own.

use super::OAuth;
use super::records::{ScopeRecord, SigningKeyRecord};
use crate::actor::Actor;
use crate::authority::Done;
use crate::error::Error;
use crate::text;
use base::code;
use std::collections::BTreeMap;

/// Characters of a scope's words: two lines on a consent page.
const WORDS_CHARS: usize = 200;
/// Scopes with words in the store.
const SCOPES: usize = 1000;

/// A scope with its words, and whether these stand in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DescribedScope {
    /// The scope and its words.
    pub scope: ScopeRecord,
    /// Whether the words come from the file, where alone they can be changed.
    pub declared: bool,
}

impl OAuth {
    /// Says what a scope means from now on.
    ///
    /// # Errors
    /// [`Error::Invalid`] when an input breaks its rule (recorded as `act.refused`); else as the store says.
    pub async fn describe_scope(
        &self,
        actor: &Actor,
        name: &str,
        words: &str,
    ) -> Result<Done<ScopeRecord>, Error> {
        match self.described(name, words).await {
            Ok(scope) => {
                let detail = format!("means {:?}", scope.description);
                let event = self.act(actor, code::SCOPE_CHANGED, Some(&scope.name), &detail)?;
                let seq = self.parts.store.put_scope(scope.clone(), event).await?;
                Ok((scope, seq).into())
            }
            Err(refusal) => self.act_refused(actor, code::SCOPE_CHANGED, None, refusal).await,
        }
    }

    async fn described(&self, name: &str, words: &str) -> Result<ScopeRecord, Error> {
        let names = text::scopes(&[name.to_owned()])?;
        let name = names.into_iter().next().unwrap_or_default();
        let description = text::line("description", words, WORDS_CHARS)?;
        let kept = self.parts.store.scopes().await?;
        if kept.len() >= SCOPES && kept.iter().all(|it| it.name != name) {
            return Err(Error::invalid("scope", format!("{SCOPES} scopes have words already")));
        }
        Ok(ScopeRecord { name, description })
    }

    /// All scopes with words, by name.
    ///
    /// # Errors
    /// As the store says.
    pub async fn described_scopes(&self) -> Result<Vec<DescribedScope>, Error> {
        let of = |declared| {
            move |scope: ScopeRecord| (scope.name.clone(), DescribedScope { scope, declared })
        };
        let file = self.settings().scope_words.clone().into_iter().map(of(true));
        let kept = self.parts.store.scopes().await?.into_iter().map(of(false));
        let all: BTreeMap<String, DescribedScope> = file.chain(kept).collect();
        Ok(all.into_values().collect())
    }

    /// Forgets the words of the store.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there are none (recorded).
    pub async fn forget_scope(&self, actor: &Actor, name: &str) -> Result<i64, Error> {
        let event = self.act(actor, code::SCOPE_CHANGED, Some(name), "its words were removed")?;
        match self.parts.store.remove_scope(name.to_owned(), event).await? {
            Some(seq) => Ok(seq),
            None => {
                let id = name.escape_default().take(64).collect::<String>();
                let refusal = Error::NotFound { what: "scope with words", id: id.clone() };
                self.act_refused(actor, code::SCOPE_CHANGED, Some(&id), refusal).await
            }
        }
    }

    /// The signing keys, the newest first; what is sealed in them stays sealed.
    ///
    /// # Errors
    /// As the store says.
    pub async fn signing_keys(&self) -> Result<Vec<SigningKeyRecord>, Error> {
        let mut keys = self.parts.store.signing_keys().await?;
        keys.sort_by(|a, b| (b.since, &b.kid).cmp(&(a.since, &a.kid)));
        Ok(keys)
    }
}
