//! Authenticators, in memory.

use super::{Memory, State, conflict, done};
use crate::oauth::ports::AuthenticatorStore;
use crate::oauth::records::{Revocation, UserRecord};
use crate::people::AuthenticatorRecord;
use crate::people::records::AUTHENTICATORS_MOST;
use crate::ports::Answer;
use base::Event;

impl State {
    fn has_ended(&self, user: &str, keep: Option<&String>) -> bool {
        keep.is_some_and(|keep| !self.sessions.values().any(|it| it.user == user && it.id == *keep))
    }

    fn end_others(&mut self, user: &str, keep: Option<String>) {
        let Some(keep) = keep else { return };
        let ended = self.sessions.values().filter(|it| it.user == user && it.id != keep);
        let ended: Vec<String> = ended.map(|it| it.id.clone()).collect();
        self.sessions.retain(|_, it| it.user != user || it.id == keep);
        for id in ended {
            self.end_login(id);
        }
    }
}

impl AuthenticatorStore for Memory {
    fn add_authenticator(
        &self,
        record: AuthenticatorRecord,
        keep: Option<String>,
        event: Option<Event>,
    ) -> Answer<'_, ()> {
        let mut state = self.state();
        let taken = |it: &AuthenticatorRecord| it.handle.is_some() && it.handle == record.handle;
        let owned = state.authenticators.values().filter(|it| it.user == record.user).count();
        if state.authenticators.contains_key(&record.id)
            || state.authenticators.values().any(taken)
            || owned >= AUTHENTICATORS_MOST
            || state.has_ended(&record.user, keep.as_ref())
        {
            return conflict();
        }
        state.end_others(&record.user, keep);
        state.authenticators.insert(record.id.clone(), record);
        event.map(|event| state.note(event));
        done(())
    }

    fn import_user(
        &self,
        user: UserRecord,
        owned: Vec<AuthenticatorRecord>,
        event: Event,
    ) -> Answer<'_, i64> {
        let mut state = self.state();
        let there = |it: &UserRecord| it.id == user.id || it.email == user.email;
        let taken = |new: &AuthenticatorRecord| {
            let same = |it: &AuthenticatorRecord| {
                it.id == new.id || (it.handle.is_some() && it.handle == new.handle)
            };
            state.authenticators.values().any(same)
        };
        if state.users.values().any(there) || owned.iter().any(taken) {
            return conflict();
        }
        state.users.insert(user.id.clone(), user);
        state.authenticators.extend(owned.into_iter().map(|it| (it.id.clone(), it)));
        done(state.note(event))
    }

    fn replace_authenticator(
        &self,
        before: AuthenticatorRecord,
        after: AuthenticatorRecord,
        event: Option<Event>,
    ) -> Answer<'_, bool> {
        let mut state = self.state();
        if state.authenticators.get(&before.id) != Some(&before) {
            return done(false);
        }
        state.authenticators.insert(before.id, after);
        if let Some(event) = event {
            state.note(event);
        }
        done(true)
    }

    fn remove_authenticator(
        &self,
        before: AuthenticatorRecord,
        keep: Option<String>,
        event: Option<Event>,
    ) -> Answer<'_, bool> {
        let mut state = self.state();
        if state.authenticators.get(&before.id) != Some(&before) {
            return done(false);
        }
        if state.has_ended(&before.user, keep.as_ref()) {
            return conflict();
        }
        state.authenticators.remove(&before.id);
        state.end_others(&before.user, keep);
        event.map(|event| state.note(event));
        done(true)
    }

    fn reset_user(
        &self,
        before: UserRecord,
        after: UserRecord,
        revoke: Revocation,
        event: Event,
    ) -> Answer<'_, Option<(i64, u64)>> {
        let mut state = self.state();
        if state.users.get(&before.id) != Some(&before) {
            return done(None);
        }
        let had = state.authenticators.len();
        state.authenticators.retain(|_, it| it.user != before.id);
        let removed = (had - state.authenticators.len()) as u64;
        state.sessions.retain(|_, session| session.user != before.id);
        state.revoke(revoke);
        state.users.insert(before.id, after.clone());
        state.follow(&after, true, &event);
        done(Some((state.note(event), removed)))
    }

    fn authenticators(&self, user: String) -> Answer<'_, Vec<AuthenticatorRecord>> {
        let state = self.state();
        done(state.authenticators.values().filter(|it| it.user == user).cloned().collect())
    }

    fn authenticator_by_handle(&self, handle: String) -> Answer<'_, Option<AuthenticatorRecord>> {
        let state = self.state();
        let handle = Some(handle);
        done(state.authenticators.values().find(|it| it.handle == handle).cloned())
    }
}
