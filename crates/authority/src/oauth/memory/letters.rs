//! Letters, in memory.

use super::{Memory, conflict, done};
use crate::PortError;
use crate::oauth::ports::{LetterStore, ProvenAddress, Spent};
use crate::oauth::records::{LetterPurpose, LetterRecord, Mac, UserRecord};
use crate::ports::Answer;
use base::{Event, UnixMs};

impl LetterStore for Memory {
    fn put_letter(
        &self,
        mac: Mac,
        letter: LetterRecord,
        most: u32,
        event: Event,
    ) -> Answer<'_, ()> {
        let mut state = self.state();
        if state.broken {
            return Box::pin(async { Err(PortError::Unavailable("silent".to_owned())) });
        }
        let same = |it: &LetterRecord| it.user == letter.user && it.purpose == letter.purpose;
        let of = state.letters.iter().filter(|(_, it)| same(it));
        let mut of: Vec<_> = of.map(|(mac, it)| (it.expires_at, *mac)).collect();
        of.sort_unstable();
        let surplus = (of.len() + 1).saturating_sub(most as usize);
        for (_, old) in of.into_iter().take(surplus) {
            state.letters.remove(&old);
        }
        state.letters.insert(mac, letter);
        state.note(event);
        done(())
    }

    fn letter(&self, mac: Mac, now: UnixMs) -> Answer<'_, Option<LetterRecord>> {
        done(self.state().letters.get(&mac).filter(|it| now < it.expires_at).cloned())
    }

    fn spend_letter(
        &self,
        spent: Spent,
        before: UserRecord,
        after: UserRecord,
        event: Event,
    ) -> Answer<'_, Option<i64>> {
        let mut state = self.state();
        let letter = state.letters.get(&spent.mac);
        let holds = letter.is_some_and(|it| {
            let right = it.purpose == LetterPurpose::Recovery && it.user == before.id;
            right && spent.now < it.expires_at
        });
        if !holds || state.users.get(&before.id) != Some(&before) {
            return done(None);
        }
        state.letters.retain(|_, it| it.user != before.id);
        state.revoke(spent.revoke);
        state.sessions.retain(|_, session| session.user != before.id);
        state.users.insert(before.id, after);
        done(Some(state.note(event)))
    }

    fn prove_address(
        &self,
        proven: ProvenAddress,
        before: UserRecord,
        after: UserRecord,
        event: Event,
    ) -> Answer<'_, Option<i64>> {
        let mut state = self.state();
        let letter = state.letters.get(&proven.mac);
        let holds = letter.is_some_and(|it| {
            let right = it.purpose == LetterPurpose::Address && it.user == before.id;
            right && proven.now < it.expires_at
        });
        if !holds || state.users.get(&before.id) != Some(&before) {
            return done(None);
        }
        let taken = state.users.values().any(|it| it.id != after.id && it.email == after.email);
        let alive = state.sessions.values().any(|it| it.id == proven.session);
        if taken || !alive {
            return conflict();
        }
        state.letters.retain(|_, it| it.user != before.id);
        if proven.ends_others {
            state.sessions.retain(|_, it| it.user != before.id || it.id == proven.session);
        }
        state.users.insert(before.id, after);
        done(Some(state.note(event)))
    }
}
