//! Addresses that people let in for themselves, in memory.

use super::{Memory, done};
use crate::oauth::ports::{OwnAddressStore, PutOwn, Room};
use crate::ports::Answer;
use crate::records::{IpEntry, IpId};
use base::{Event, UnixMs};

impl OwnAddressStore for Memory {
    fn put_own_address(&self, mut entry: IpEntry, room: Room, event: Event) -> Answer<'_, PutOwn> {
        let mut state = self.state();
        let owner = entry.owner.clone().unwrap();
        let now = entry.created_at;
        let session = state.sessions.values().find(|it| it.id == owner.session).cloned();
        let user = state.users.get(&owner.user);
        let may = user.is_some_and(|it| it.roles.contains(&owner.group));
        let Some(session) = session.filter(|it| now < it.expires_at && may) else {
            return done(PutOwn::Gone);
        };
        entry.expires_at = entry.expires_at.min(session.expires_at);
        let latest = owner.latest.min(session.expires_at);
        entry.owner = Some(crate::IpOwner { latest, ..owner.clone() });
        let same = |it: &IpEntry| {
            let mine = it.owner.as_ref().is_some_and(|it| it.session == owner.session);
            mine && it.list == entry.list && it.net == entry.net
        };
        let of = |it: &&IpEntry| now < it.expires_at && !same(it);
        let mine = |it: &&IpEntry| it.owner.as_ref().is_some_and(|it| it.user == owner.user);
        let all = state.own_addresses.iter().filter(of);
        if all.clone().filter(mine).count() >= room.person as usize {
            return done(PutOwn::TooMany);
        }
        if all.filter(|it| it.list == entry.list).count() >= room.list as usize {
            return done(PutOwn::Full);
        }
        if let Some(old) = state.own_addresses.iter().position(same) {
            entry.id = state.own_addresses.remove(old).id;
        }
        state.own_addresses.push(entry.clone());
        let seq = state.note(event);
        done(PutOwn::Kept(entry, seq))
    }

    fn own_addresses(&self, user: String, now: UnixMs) -> Answer<'_, Vec<IpEntry>> {
        let state = self.state();
        let mine = |it: &&IpEntry| it.owner.as_ref().is_some_and(|it| it.user == user);
        let live = state.own_addresses.iter().filter(|it| now < it.expires_at);
        done(live.filter(mine).cloned().collect())
    }

    fn remove_own_address(
        &self,
        user: String,
        id: IpId,
        event: Event,
    ) -> Answer<'_, Option<(IpEntry, i64)>> {
        let mut state = self.state();
        let mine = |it: &IpEntry| it.owner.as_ref().is_some_and(|it| it.user == user);
        let at = state.own_addresses.iter().position(|it| it.id == id && mine(it));
        let Some(at) = at else { return done(None) };
        let gone = state.own_addresses.remove(at);
        let seq = state.note(event);
        done(Some((gone, seq)))
    }
}
