//! Grants and what belongs to them, in memory.

use super::{KeptRefresh, Memory, conflict, done};
use crate::oauth::ports::{
    CodeCompany, GrantStore, GrantUse, Redeemed, Rotated, TokenNames, Window,
};
use crate::oauth::records::{
    AccessRecord, CodeRecord, GrantRecord, Mac, NewRefresh, PushedRecord, RefreshRecord,
    Revocation, RevocationKind, UserRecord,
};
use crate::ports::Answer;
use base::{Event, UnixMs};

impl GrantStore for Memory {
    fn create_code(
        &self,
        grant: GrantRecord,
        (mac, code): (Mac, CodeRecord),
        with: CodeCompany,
        event: Event,
    ) -> Answer<'_, ()> {
        let mut state = self.state();
        if with.pushed.is_some_and(|pushed| state.pushed.remove(&pushed).is_none()) {
            return conflict();
        }
        if let Some(consent) = with.consent {
            state.consents.insert((consent.user.clone(), consent.client.clone()), consent);
        }
        if let Some(id) = with.session
            && let Some(session) = state.sessions.values_mut().find(|session| session.id == id)
            && !session.clients.contains(&grant.client)
        {
            session.clients.push(grant.client.clone());
        }
        state.grants.insert(grant.id.clone(), grant);
        state.codes.insert(mac, (code, false));
        state.note(event);
        done(())
    }

    fn code(&self, mac: Mac) -> Answer<'_, Option<(CodeRecord, GrantRecord)>> {
        let state = self.state();
        let kept = state.codes.get(&mac).and_then(|(code, _)| {
            state.grants.get(&code.grant).map(|grant| (code.clone(), grant.clone()))
        });
        done(kept)
    }

    fn code_and_person(
        &self,
        mac: Mac,
    ) -> Answer<'_, Option<(CodeRecord, GrantRecord, Option<UserRecord>)>> {
        let state = self.state();
        let kept = state.codes.get(&mac).and_then(|(code, _)| {
            let grant = state.grants.get(&code.grant)?;
            Some((code.clone(), grant.clone(), state.person(grant)))
        });
        done(kept)
    }

    fn redeem_code(
        &self,
        mac: Mac,
        refresh: Option<NewRefresh>,
        now: UnixMs,
        event: Event,
    ) -> Answer<'_, Redeemed> {
        let mut state = self.state();
        let Some((code, spent)) = state.codes.get(&mac).cloned() else {
            return done(Redeemed::Gone);
        };
        if spent {
            state.end_grant(&code.grant, now);
            let seq = state.note(event);
            return done(Redeemed::Twice { grant: code.grant, seq });
        }
        let Some(grant) = state.live(&code.grant, now).filter(|_| now < code.expires_at) else {
            return done(Redeemed::Gone);
        };
        state.codes.insert(mac, (code, true));
        if let Some(refresh) = refresh {
            state.keep_refresh(refresh, &grant.id);
        }
        state.note(event);
        done(Redeemed::Now(grant))
    }

    fn create_grant(
        &self,
        grant: GrantRecord,
        refresh: Option<NewRefresh>,
        event: Event,
    ) -> Answer<'_, ()> {
        let mut state = self.state();
        if let Some(refresh) = refresh {
            state.keep_refresh(refresh, &grant.id);
        }
        state.grants.insert(grant.id.clone(), grant);
        state.note(event);
        done(())
    }

    fn refresh(&self, mac: Mac) -> Answer<'_, Option<(RefreshRecord, GrantRecord)>> {
        let state = self.state();
        let kept = state.refreshes.get(&mac).and_then(|kept| {
            let grant = state.grants.get(&kept.record.grant)?;
            Some((kept.seen(), grant.clone()))
        });
        done(kept)
    }

    fn refresh_and_person(
        &self,
        mac: Mac,
    ) -> Answer<'_, Option<(RefreshRecord, GrantRecord, Option<UserRecord>)>> {
        let state = self.state();
        let kept = state.refreshes.get(&mac).and_then(|kept| {
            let grant = state.grants.get(&kept.record.grant)?;
            Some((kept.seen(), grant.clone(), state.person(grant)))
        });
        done(kept)
    }

    fn rotate_refresh(
        &self,
        parent: Mac,
        child: NewRefresh,
        within: Window,
        event: Event,
    ) -> Answer<'_, Rotated> {
        let mut state = self.state();
        let Some(kept) = state.refreshes.get(&parent).cloned() else {
            return done(Rotated::Gone);
        };
        let live = state.live(&kept.record.grant, within.now);
        let Some(grant) = live.filter(|_| within.now < kept.record.expires_at) else {
            return done(Rotated::Gone);
        };
        match kept.child {
            None => {
                let mac = child.mac;
                state.keep_refresh(child, &grant.id);
                let spent = KeptRefresh { child: Some((within.now, mac)), ..kept };
                state.refreshes.insert(parent, spent);
                state.note(event);
                done(Rotated::Now(grant))
            }
            Some((at, mac)) if within.now.0 - at.0 <= within.length_ms => {
                let sealed = state.refreshes.get(&mac).map(|it| it.sealed.clone());
                done(sealed.map_or(Rotated::Gone, |sealed| Rotated::Same(grant, sealed)))
            }
            Some(_) => {
                state.end_grant(&grant.id, within.now);
                let seq = state.note(event);
                done(Rotated::Reused { grant: grant.id, seq })
            }
        }
    }

    fn keep_refresh(
        &self,
        mac: Mac,
        expires_at: UnixMs,
        now: UnixMs,
        event: Event,
    ) -> Answer<'_, Option<GrantRecord>> {
        let mut state = self.state();
        let Some(kept) = state.refreshes.get(&mac).cloned() else { return done(None) };
        let live = state.live(&kept.record.grant, now);
        let grant = live.filter(|_| now < kept.record.expires_at && kept.child.is_none());
        if grant.is_some() {
            let record = RefreshRecord { expires_at, ..kept.record.clone() };
            state.refreshes.insert(mac, KeptRefresh { record, ..kept });
            state.note(event);
        }
        done(grant)
    }

    fn grant(&self, id: String) -> Answer<'_, Option<GrantRecord>> {
        done(self.state().grants.get(&id).cloned())
    }

    fn grants_of_user(&self, user: String, now: UnixMs) -> Answer<'_, Vec<GrantRecord>> {
        let state = self.state();
        let of = state.grants.values().filter(|it| it.user.as_ref() == Some(&user));
        let live = of.filter(|it| it.revoked_at.is_none() && now < it.expires_at);
        done(live.cloned().collect())
    }

    fn uses_of_grants(&self, _: String, _: UnixMs) -> Answer<'_, Vec<GrantUse>> {
        // Shown by the contract suite of the real store.
        done(Vec::new())
    }

    fn revoke_grant(
        &self,
        id: String,
        now: UnixMs,
        _: UnixMs,
        event: Event,
    ) -> Answer<'_, Option<i64>> {
        let mut state = self.state();
        if !state.grants.contains_key(&id) {
            return done(None);
        }
        state.end_grant(&id, now);
        done(Some(state.note(event)))
    }

    fn revoke(&self, revocation: Revocation, event: Event) -> Answer<'_, i64> {
        let mut state = self.state();
        state.revoke(revocation);
        done(state.note(event))
    }

    fn revocation(
        &self,
        kind: RevocationKind,
        value: String,
        now: UnixMs,
    ) -> Answer<'_, Option<Revocation>> {
        let state = self.state();
        done(state.revocations.get(&(kind, value)).filter(|it| now < it.until).cloned())
    }

    fn revoked(&self, token: TokenNames, now: UnixMs) -> Answer<'_, Option<RevocationKind>> {
        let state = self.state();
        let names = [
            (RevocationKind::Token, token.token),
            (RevocationKind::Grant, token.grant),
            (RevocationKind::Client, token.client),
            (RevocationKind::Subject, token.subject),
        ];
        let found = names.into_iter().find_map(|(kind, name)| {
            let by_time = matches!(kind, RevocationKind::Client | RevocationKind::Subject);
            let found = state.revocations.get(&(kind, name?)).filter(|it| now < it.until)?;
            (!by_time || token.issued_at <= found.not_before).then_some(kind)
        });
        done(found)
    }

    fn put_access(&self, mac: Mac, access: AccessRecord, event: Event) -> Answer<'_, ()> {
        let mut state = self.state();
        state.access.insert(mac, access);
        state.note(event);
        done(())
    }

    fn access(&self, mac: Mac, now: UnixMs) -> Answer<'_, Option<AccessRecord>> {
        done(self.state().access.get(&mac).filter(|it| now < it.expires_at).cloned())
    }

    fn push(&self, mac: Mac, pushed: PushedRecord, event: Event) -> Answer<'_, ()> {
        let mut state = self.state();
        state.pushed.insert(mac, pushed);
        state.note(event);
        done(())
    }

    fn pushed(&self, mac: Mac, now: UnixMs) -> Answer<'_, Option<PushedRecord>> {
        done(self.state().pushed.get(&mac).filter(|it| now < it.expires_at).cloned())
    }

    fn once(&self, what: Mac, until: UnixMs) -> Answer<'_, bool> {
        done(self.state().once.insert(what, until).is_none())
    }
}
