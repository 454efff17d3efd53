//! Clients and people, in memory.

use super::{Memory, conflict, done, page};
use crate::oauth::ports::{ClientStore, PeopleStore, TextPage};
use crate::oauth::records::{
    ClientRecord, ConsentRecord, Mac, Revocation, SessionRecord, UserRecord,
};
use crate::ports::Answer;
use base::{Event, UnixMs};

impl ClientStore for Memory {
    fn create_client(&self, client: ClientRecord, event: Event) -> Answer<'_, i64> {
        let mut state = self.state();
        if state.clients.contains_key(&client.id) {
            return conflict();
        }
        state.clients.insert(client.id.clone(), client);
        done(state.note(event))
    }

    fn replace_client(
        &self,
        before: ClientRecord,
        after: ClientRecord,
        revoke: Option<Revocation>,
        event: Event,
    ) -> Answer<'_, Option<i64>> {
        let mut state = self.state();
        if state.clients.get(&before.id) != Some(&before) {
            return done(None);
        }
        state.clients.insert(before.id, after);
        if let Some(revocation) = revoke {
            state.revoke(revocation);
        }
        done(Some(state.note(event)))
    }

    fn remove_client(
        &self,
        id: String,
        revoke: Revocation,
        event: Event,
    ) -> Answer<'_, Option<i64>> {
        let mut state = self.state();
        if state.clients.remove(&id).is_none() {
            return done(None);
        }
        state.revoke(revoke);
        done(Some(state.note(event)))
    }

    fn declared_clients(&self, wanted: TextPage) -> Answer<'_, Vec<String>> {
        let state = self.state();
        let later = state.declared_clients.iter().filter(|id| **id > wanted.after);
        done(later.take(wanted.rows as usize).cloned().collect())
    }

    fn put_declared_client(&self, id: String) -> Answer<'_, ()> {
        self.state().declared_clients.insert(id);
        done(())
    }

    fn remove_declared_client(
        &self,
        id: String,
        revoke: Revocation,
        event: Event,
    ) -> Answer<'_, bool> {
        let mut state = self.state();
        if !state.declared_clients.remove(&id) {
            return done(false);
        }
        state.revoke(revoke);
        state.note(event);
        done(true)
    }

    fn unused_clients(&self, rows: u32) -> Answer<'_, Vec<String>> {
        let state = self.state();
        let used = |id: &String| {
            state.grants.values().any(|grant| grant.client == *id)
                || state.consents.keys().any(|(_, client)| client == id)
        };
        let unused = state.clients.keys().filter(|id| !used(id)).take(rows as usize);
        done(unused.cloned().collect())
    }

    fn client(&self, id: String) -> Answer<'_, Option<ClientRecord>> {
        done(self.state().clients.get(&id).cloned())
    }

    fn clients(&self, wanted: TextPage) -> Answer<'_, Vec<ClientRecord>> {
        done(page(&self.state().clients, &wanted))
    }
}

impl PeopleStore for Memory {
    fn create_user(&self, user: UserRecord, event: Event) -> Answer<'_, i64> {
        let mut state = self.state();
        let taken = |other: &UserRecord| other.id == user.id || other.email == user.email;
        if state.users.values().any(taken) {
            return conflict();
        }
        state.users.insert(user.id.clone(), user);
        done(state.note(event))
    }

    fn replace_user(
        &self,
        before: UserRecord,
        after: UserRecord,
        revoke: Option<Revocation>,
        event: Event,
    ) -> Answer<'_, Option<i64>> {
        let mut state = self.state();
        if state.users.get(&before.id) != Some(&before) {
            return done(None);
        }
        if state.users.values().any(|it| it.id != after.id && it.email == after.email) {
            return conflict();
        }
        let ended = revoke.is_some() && before.roles == after.roles;
        if let Some(revocation) = revoke {
            state.revoke(revocation);
            state.sessions.retain(|_, session| session.user != before.id);
        }
        state.users.insert(before.id, after.clone());
        state.follow(&after, ended, &event);
        done(Some(state.note(event)))
    }

    fn user(&self, id: String) -> Answer<'_, Option<UserRecord>> {
        done(self.state().users.get(&id).cloned())
    }

    fn user_by_email(&self, email: String) -> Answer<'_, Option<UserRecord>> {
        done(self.state().users.values().find(|user| user.email == email).cloned())
    }

    fn users_by_external_id(&self, external: String) -> Answer<'_, Vec<UserRecord>> {
        let state = self.state();
        let called = |it: &&UserRecord| it.directory.external_id.as_ref() == Some(&external);
        done(state.users.values().filter(called).cloned().collect())
    }

    fn declared_users(&self, wanted: TextPage) -> Answer<'_, Vec<UserRecord>> {
        let mut declared = self.state().users.clone();
        declared.retain(|_, user| user.declared.is_some());
        done(page(&declared, &wanted))
    }

    fn users(&self, wanted: TextPage) -> Answer<'_, Vec<UserRecord>> {
        done(page(&self.state().users, &wanted))
    }

    fn create_session(&self, mac: Mac, session: SessionRecord, event: Event) -> Answer<'_, ()> {
        let mut state = self.state();
        if state.sessions.values().any(|other| other.id == session.id) {
            return conflict();
        }
        state.sessions.insert(mac, session);
        state.note(event);
        done(())
    }

    fn renew_session(
        &self,
        before: SessionRecord,
        (mac, session): (Mac, SessionRecord),
        events: [Event; 2],
    ) -> Answer<'_, bool> {
        let mut state = self.state();
        let old = state.sessions.iter().find(|(_, it)| it.id == before.id);
        let same = |it: &SessionRecord| it.user == before.user && it.proofs == before.proofs;
        let Some(old) = old.filter(|(_, it)| same(it)).map(|(mac, _)| *mac) else {
            return done(false);
        };
        state.sessions.remove(&old);
        state.sessions.insert(mac, session);
        for event in events {
            state.note(event);
        }
        done(true)
    }

    fn session(&self, mac: Mac, now: UnixMs) -> Answer<'_, Option<SessionRecord>> {
        done(self.state().sessions.get(&mac).filter(|it| now < it.expires_at).cloned())
    }

    fn replace_session(&self, mac: Mac, session: SessionRecord) -> Answer<'_, bool> {
        let mut state = self.state();
        let kept = state.sessions.contains_key(&mac);
        if kept {
            state.sessions.insert(mac, session);
        }
        done(kept)
    }

    fn end_session(&self, id: String, event: Event) -> Answer<'_, Option<SessionRecord>> {
        let mut state = self.state();
        let mac = state.sessions.iter().find(|(_, it)| it.id == id).map(|(mac, _)| *mac);
        let ended = mac.and_then(|mac| state.sessions.remove(&mac));
        if ended.is_some() {
            state.end_login(id);
            state.note(event);
        }
        done(ended)
    }

    fn sessions(&self, user: String, now: UnixMs) -> Answer<'_, Vec<SessionRecord>> {
        let state = self.state();
        let of = state.sessions.values().filter(|it| it.user == user && now < it.expires_at);
        done(of.cloned().collect())
    }

    fn consent(&self, user: String, client: String) -> Answer<'_, Option<ConsentRecord>> {
        done(self.state().consents.get(&(user, client)).cloned())
    }

    fn forget_consent(&self, user: String, client: String, event: Event) -> Answer<'_, bool> {
        let mut state = self.state();
        let there = state.consents.remove(&(user, client)).is_some();
        if there {
            state.note(event);
        }
        done(there)
    }
}
