//! Authenticators, in memory.

use super::{Memory, State, conflict, done};
use crate::oauth::ports::AuthenticatorStore;
use crate::people::AuthenticatorRecord;
use crate::people::records::AUTHENTICATORS_MOST;
use crate::ports::Answer;
use base::Event;

impl State {
    fn end_others(&mut self, user: &str, keep: Option<String>) {
        if let Some(keep) = keep {
            self.sessions.retain(|_, it| it.user != user || it.id == keep);
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
        {
            return conflict();
        }
        state.end_others(&record.user, keep);
        state.authenticators.insert(record.id.clone(), record);
        event.map(|event| state.note(event));
        done(())
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
        state.authenticators.remove(&before.id);
        state.end_others(&before.user, keep);
        event.map(|event| state.note(event));
        done(true)
    }

    fn remove_authenticators(&self, user: String, event: Event) -> Answer<'_, u64> {
        let mut state = self.state();
        let before = state.authenticators.len();
        state.authenticators.retain(|_, it| it.user != user);
        let removed = (before - state.authenticators.len()) as u64;
        state.end_others(&user, Some(String::new()));
        state.note(event);
        done(removed)
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
