//! Revocations of the authority's own tokens: by token, by grant, and by *not-before* times of subjects and clients.
//!
//! Invariant: successive versions share what did not change, so that one revocation among many copies one part.

use crate::credential::Credential;
use base::{Scheme, UnixMs};
use foldhash::fast::RandomState;
use std::collections::HashMap;
use std::sync::Arc;

/// Parts that the table is cut into: of 100,000 revocations one change copies some 400.
const PARTS: usize = 256;
/// The configured name of the issuer whose tokens are meant.
const SELF: &str = "self";

/// What a revocation is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RevokedKind {
    /// One token, by its `jti`.
    Token,
    /// Everything of a grant, by its id.
    Grant,
    /// What was issued to a subject at or before a time.
    Subject,
    /// What was issued to a client at or before a time.
    Client,
    /// Browser sessions that rest on a sign-in, by its id.
    Session,
}

/// One revocation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Revoked {
    /// For subjects and clients: what was issued at or before this is dead.
    pub not_before: UnixMs,
    /// When it may be forgotten.
    pub until: UnixMs,
}

type Table = HashMap<Arc<str>, Revoked, RandomState>;

/// All revocations.
#[derive(Debug, Clone)]
pub struct Revocations {
    parts: Arc<[Arc<Table>]>,
    len: usize,
}

impl Default for Revocations {
    fn default() -> Self {
        let empty = Arc::new(Table::default());
        Self { parts: (0..PARTS).map(|_| empty.clone()).collect(), len: 0 }
    }
}

impl Revocations {
    /// The table after some changes. The later time of two revocations of the same thing counts.
    #[must_use]
    pub fn with(
        &self,
        changes: impl IntoIterator<Item = (RevokedKind, Arc<str>, Revoked)>,
    ) -> Self {
        let mut parts: Vec<Arc<Table>> = self.parts.to_vec();
        for (kind, value, revoked) in changes {
            let Some(part) = parts.get_mut(part_of(kind, &value)) else { continue };
            let table = Arc::make_mut(part);
            let known = table.entry(keyed(kind, &value)).or_insert(revoked);
            known.not_before = known.not_before.max(revoked.not_before);
            known.until = known.until.max(revoked.until);
        }
        Self::of(parts)
    }

    /// The table without what may be forgotten at `now`; `None` when that is nothing.
    pub fn expired(&self, now: UnixMs) -> Option<Self> {
        let over = |table: &Table| table.values().any(|it| it.until <= now);
        if !self.parts.iter().any(|part| over(part)) {
            return None;
        }
        let parts = self.parts.iter().map(|part| match over(part) {
            true => {
                let kept = part.iter().filter(|(_, it)| it.until > now);
                Arc::new(kept.map(|(key, it)| (key.clone(), *it)).collect())
            }
            false => part.clone(),
        });
        Some(Self::of(parts.collect()))
    }

    fn of(parts: Vec<Arc<Table>>) -> Self {
        let len = parts.iter().map(|part| part.len()).sum();
        Self { parts: parts.into(), len }
    }

    fn find(&self, kind: RevokedKind, value: &str) -> Option<&Revoked> {
        self.parts.get(part_of(kind, value))?.get(&*keyed(kind, value))
    }

    /// Whether `credential` is dead. Credentials of other issuers never are: they have blocks.
    pub fn refuses(&self, credential: &Credential) -> bool {
        // WHY: most of the time there is no revocation; the common path costs one branch.
        if self.len == 0 || credential.issuer.as_deref() != Some(SELF) {
            return false;
        }
        // INVARIANT: a token that does not say when it was issued counts as issued before everything.
        let issued_at = credential.issued_at.unwrap_or(UnixMs(i64::MIN));
        let before =
            |kind, value: &str| self.find(kind, value).is_some_and(|it| issued_at <= it.not_before);
        (credential.id_is_jti && self.find(RevokedKind::Token, &credential.id).is_some())
            || (credential.scheme == Scheme::Session
                && self.find(RevokedKind::Session, &credential.id).is_some())
            || credential
                .grant
                .as_deref()
                .is_some_and(|grant| self.find(RevokedKind::Grant, grant).is_some())
            || before(RevokedKind::Subject, &credential.subject)
            || credential
                .client_id
                .as_deref()
                .is_some_and(|client| before(RevokedKind::Client, client))
            || credential.lineage.iter().any(|client| before(RevokedKind::Client, client))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
}

fn letter(kind: RevokedKind) -> char {
    match kind {
        RevokedKind::Token => 't',
        RevokedKind::Grant => 'g',
        RevokedKind::Subject => 's',
        RevokedKind::Client => 'c',
        RevokedKind::Session => 'i',
    }
}

fn keyed(kind: RevokedKind, value: &str) -> Arc<str> {
    let mut key = String::with_capacity(value.len() + 1);
    key.push(letter(kind));
    key.push_str(value);
    key.into()
}

/// FNV-1a over the kind and the value; which part does not matter, only that they are even.
fn part_of(kind: RevokedKind, value: &str) -> usize {
    let start = 0xcbf2_9ce4_8422_2325u64 ^ u64::from(u32::from(letter(kind)));
    let hash = value
        .bytes()
        .fold(start, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    usize::try_from(hash % PARTS as u64).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn credential(issuer: &str) -> Credential {
        Credential {
            scheme: Scheme::Jwt,
            issuer: Some(issuer.into()),
            subject: "ada".into(),
            client_id: Some("app".into()),
            id: "j1".into(),
            id_is_jti: true,
            grant: Some("g1".into()),
            lineage: vec!["shop".into()],
            key: None,
            scopes: Default::default(),
            audiences: Vec::new(),
            claims: Default::default(),
            issued_at: Some(UnixMs(10_000)),
            not_before: None,
            expires_at: None,
            acr: None,
            authenticated_at: None,
            routes: Vec::new(),
        }
    }

    #[test]
    fn each_kind_refuses_what_it_names_and_nothing_else() {
        let check = |kind, value: &str, not_before: i64, expect: bool| {
            let revoked = Revoked { not_before: UnixMs(not_before), until: UnixMs(99_000) };
            let table = Revocations::default().with([(kind, Arc::from(value), revoked)]);
            assert_eq!(table.refuses(&credential("self")), expect, "{kind:?} {value} {not_before}");
            assert!(!table.refuses(&credential("corp")), "{kind:?}: another issuer");
        };
        check(RevokedKind::Token, "j1", 0, true);
        check(RevokedKind::Token, "g1", 0, false);
        check(RevokedKind::Grant, "g1", 0, true);
        check(RevokedKind::Grant, "j1", 0, false);
        check(RevokedKind::Subject, "ada", 10_000, true);
        check(RevokedKind::Subject, "ada", 9_999, false);
        check(RevokedKind::Subject, "app", 99_000, false);
        check(RevokedKind::Client, "app", 10_000, true);
        check(RevokedKind::Client, "app", 9_000, false);
        check(RevokedKind::Client, "shop", 10_000, true);
        check(RevokedKind::Client, "shop", 9_000, false);
        check(RevokedKind::Subject, "shop", 10_000, false);
        // A sign-in that has ended takes browser sessions with it, and no tokens.
        check(RevokedKind::Session, "j1", 99_000, false);
        let session =
            Credential { scheme: Scheme::Session, id_is_jti: false, ..credential("self") };
        let ended = Revoked { not_before: UnixMs(0), until: UnixMs(99_000) };
        let of = |kind, value: &str| {
            Revocations::default().with([(kind, Arc::from(value), ended)]).refuses(&session)
        };
        assert!(of(RevokedKind::Session, "j1") && of(RevokedKind::Grant, "g1"));
        assert!(!of(RevokedKind::Session, "g1") && !of(RevokedKind::Token, "j1"));
    }

    #[test]
    fn a_later_time_counts_and_forgetting_needs_its_time() {
        let at =
            |not_before, until| Revoked { not_before: UnixMs(not_before), until: UnixMs(until) };
        let ada: Arc<str> = "ada".into();
        let table = Revocations::default()
            .with([(RevokedKind::Subject, ada.clone(), at(10_000, 50_000))])
            .with([(RevokedKind::Subject, ada, at(5_000, 20_000))]);
        assert!(table.refuses(&credential("self")));
        assert!(table.expired(UnixMs(49_999)).is_none());
        let after = table.expired(UnixMs(50_000)).unwrap();
        assert!(after.is_empty() && !after.refuses(&credential("self")));
    }
}
