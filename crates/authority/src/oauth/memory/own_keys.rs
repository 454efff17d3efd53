//! People's keys and news, in memory.

use super::{Memory, State, done};
use crate::oauth::news::{NewsRecord, NewsStore};
use crate::oauth::own_keys::{
    ENDED_BY_OWNER, Fate, KeptOwnKey, NewOwnKey, OWN_KEYS_MADE_MOST, OWN_KEYS_MOST,
    OWN_KEYS_WINDOW, OwnKeyStore, fate, fate_event,
};
use crate::oauth::records::{GroupRecord, UserRecord};
use crate::ports::Answer;
use crate::{KeyId, KeyRecord};
use base::{Event, UnixMs};

impl State {
    fn live_keys(&self, owner: &str, now: UnixMs) -> Vec<KeyRecord> {
        let lives = |it: &&KeyRecord| {
            it.owner.as_deref() == Some(owner)
                && it.revoked_at.is_none()
                && it.expires_at.is_some_and(|end| now < end)
        };
        self.keys.values().filter(lives).cloned().collect()
    }

    fn all_groups(&self) -> Vec<GroupRecord> {
        self.groups.values().cloned().collect()
    }

    /// Lets a person's keys follow a change.
    pub(super) fn follow(&mut self, owner: &UserRecord, ended: bool, cause: &Event) {
        let groups = self.all_groups();
        for key in self.live_keys(&owner.id, cause.time) {
            let becomes = fate(&key, owner, ended, &groups);
            let event = fate_event(cause, &key, &becomes).unwrap();
            let Some(kept) = self.keys.get_mut(&key.id) else { continue };
            match becomes {
                Fate::Stays => {}
                Fate::Narrower(scopes) => kept.scopes = scopes,
                Fate::Ends(why) => {
                    kept.revoked_at = Some(cause.time);
                    kept.revoked_reason = Some(why.to_owned());
                }
            }
            event.map(|event| self.note(event));
        }
    }

    pub(super) fn follow_all(&mut self, cause: &Event) {
        for owner in self.users.values().cloned().collect::<Vec<_>>() {
            self.follow(&owner, false, cause);
        }
    }
}

impl OwnKeyStore for Memory {
    fn create_own_key(&self, new: NewOwnKey, event: Event) -> Answer<'_, KeptOwnKey> {
        let mut state = self.state();
        let (owner, now) = (new.owner.id.clone(), new.key.created_at);
        let alive = state.sessions.values().any(|it| it.user == owner && it.id == new.session);
        let stays = fate(&new.key, &new.owner, false, &state.all_groups()) == Fate::Stays;
        if state.users.get(&owner) != Some(&new.owner) || !alive || !stays {
            return done(KeptOwnKey::Changed);
        }
        let since = now.minus(OWN_KEYS_WINDOW);
        let of_late = |it: &&KeyRecord| it.owner.as_ref() == Some(&owner) && it.created_at > since;
        let made = state.keys.values().filter(of_late).count();
        if made >= OWN_KEYS_MADE_MOST || state.live_keys(&owner, now).len() >= OWN_KEYS_MOST {
            return done(KeptOwnKey::TooMany);
        }
        state.keys.insert(new.key.id, new.key);
        done(KeptOwnKey::Now(state.note(event)))
    }

    fn own_keys(&self, owner: String, now: UnixMs) -> Answer<'_, Vec<KeyRecord>> {
        done(self.state().live_keys(&owner, now))
    }

    fn end_own_key(
        &self,
        (owner, id): (String, KeyId),
        now: UnixMs,
        event: Event,
    ) -> Answer<'_, Option<i64>> {
        let mut state = self.state();
        if !state.live_keys(&owner, now).iter().any(|it| it.id == id) {
            return done(None);
        }
        if let Some(key) = state.keys.get_mut(&id) {
            key.revoked_at = Some(now);
            key.revoked_reason = Some(ENDED_BY_OWNER.to_owned());
        }
        done(Some(state.note(event)))
    }
}

impl NewsStore for Memory {
    fn news(&self, user: String, since: UnixMs, rows: u32) -> Answer<'_, Vec<NewsRecord>> {
        let state = self.state();
        let own = |it: &&Event| it.principal.as_deref() == Some(&*user) && it.time > since;
        let news = state.events.iter().rev().filter(own).filter_map(|it| NewsRecord::of(it, None));
        done(news.take(rows as usize).collect())
    }
}
