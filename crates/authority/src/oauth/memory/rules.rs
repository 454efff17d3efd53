//! Devices, signing keys, trust rules and scopes' words, in memory.

use super::{Memory, conflict, done};
use crate::oauth::ports::{AuthorityStore, DeviceStore, Polled};
use crate::oauth::records::{
    DeviceRecord, DeviceState, GrantRecord, GroupRecord, KeyStage, Mac, NewRefresh, ScopeRecord,
    SigningKeyRecord, TrustRecord,
};
use crate::ports::Answer;
use base::{Event, UnixMs};

impl DeviceStore for Memory {
    fn create_device(&self, mac: Mac, device: DeviceRecord, event: Event) -> Answer<'_, ()> {
        let mut state = self.state();
        if state.devices.values().any(|other| other.user_code == device.user_code) {
            return conflict();
        }
        state.devices.insert(mac, device);
        state.note(event);
        done(())
    }

    fn device_by_user_code(&self, code: String, now: UnixMs) -> Answer<'_, Option<DeviceRecord>> {
        let state = self.state();
        let waits = |it: &&DeviceRecord| {
            it.user_code == code && it.state == DeviceState::Waiting && now < it.expires_at
        };
        done(state.devices.values().find(waits).cloned())
    }

    fn decide_device(
        &self,
        user_code: String,
        grant: Option<GrantRecord>,
        now: UnixMs,
        event: Event,
    ) -> Answer<'_, bool> {
        let mut state = self.state();
        let decided = match &grant {
            Some(grant) => DeviceState::Allowed { grant: grant.id.clone() },
            None => DeviceState::Denied,
        };
        let waiting = state.devices.values_mut().find(|it| {
            it.user_code == user_code && it.state == DeviceState::Waiting && now < it.expires_at
        });
        let Some(device) = waiting else { return done(false) };
        device.state = decided;
        if let Some(grant) = grant {
            state.grants.insert(grant.id.clone(), grant);
        }
        state.note(event);
        done(true)
    }

    fn poll_device(
        &self,
        (mac, client): (Mac, String),
        refresh: Option<NewRefresh>,
        now: UnixMs,
        event: Event,
    ) -> Answer<'_, Polled> {
        let mut state = self.state();
        let Some(device) = state.devices.get_mut(&mac) else { return done(Polled::Gone) };
        if device.client != client || now >= device.expires_at {
            return done(Polled::Gone);
        }
        if now < device.next_poll_at {
            device.interval_seconds += 5;
            device.next_poll_at = UnixMs(now.0 + i64::from(device.interval_seconds) * 1000);
            return done(Polled::TooEarly);
        }
        device.next_poll_at = UnixMs(now.0 + i64::from(device.interval_seconds) * 1000);
        match device.state.clone() {
            DeviceState::Waiting => done(Polled::Waiting),
            DeviceState::Denied => done(Polled::Denied),
            DeviceState::Redeemed => done(Polled::Gone),
            DeviceState::Allowed { grant } => {
                device.state = DeviceState::Redeemed;
                let Some(grant) = state.live(&grant, now) else { return done(Polled::Gone) };
                if let Some(refresh) = refresh {
                    state.keep_refresh(refresh, &grant.id);
                }
                state.note(event);
                done(Polled::Allowed(grant))
            }
        }
    }
}

impl AuthorityStore for Memory {
    fn signing_keys(&self) -> Answer<'_, Vec<SigningKeyRecord>> {
        done(self.state().signing.values().cloned().collect())
    }

    fn add_signing_key(&self, key: SigningKeyRecord, event: Event) -> Answer<'_, Option<i64>> {
        let mut state = self.state();
        let same = |it: &SigningKeyRecord| it.algorithm == key.algorithm && it.stage == key.stage;
        if state.signing.values().any(same) {
            return done(None);
        }
        state.signing.insert(key.kid.clone(), key);
        done(Some(state.note(event)))
    }

    fn stage_signing_key(
        &self,
        kid: String,
        from: KeyStage,
        to: Option<KeyStage>,
        now: UnixMs,
        event: Event,
    ) -> Answer<'_, Option<i64>> {
        let mut state = self.state();
        let Some(key) = state.signing.get_mut(&kid).filter(|key| key.stage == from) else {
            return done(None);
        };
        match to {
            Some(stage) => (key.stage, key.since) = (stage, now),
            None => {
                state.signing.remove(&kid);
            }
        }
        done(Some(state.note(event)))
    }

    fn put_trust(&self, rule: TrustRecord, event: Event) -> Answer<'_, i64> {
        let mut state = self.state();
        state.trusts.insert(rule.id.clone(), rule);
        done(state.note(event))
    }

    fn remove_trust(&self, id: String, event: Event) -> Answer<'_, Option<i64>> {
        let mut state = self.state();
        match state.trusts.remove(&id) {
            None => done(None),
            Some(_) => done(Some(state.note(event))),
        }
    }

    fn trusts(&self) -> Answer<'_, Vec<TrustRecord>> {
        done(self.state().trusts.values().cloned().collect())
    }

    fn put_group(&self, group: GroupRecord, event: Event) -> Answer<'_, i64> {
        let mut state = self.state();
        state.groups.insert(group.name.clone(), group);
        state.follow_all(&event);
        done(state.note(event))
    }

    fn remove_group(&self, name: String, event: Event) -> Answer<'_, Option<i64>> {
        let mut state = self.state();
        match state.groups.remove(&name) {
            None => done(None),
            Some(_) => {
                state.follow_all(&event);
                done(Some(state.note(event)))
            }
        }
    }

    fn groups(&self) -> Answer<'_, Vec<GroupRecord>> {
        done(self.state().groups.values().cloned().collect())
    }

    fn put_scope(&self, scope: ScopeRecord, event: Event) -> Answer<'_, i64> {
        let mut state = self.state();
        state.scopes.insert(scope.name.clone(), scope);
        done(state.note(event))
    }

    fn remove_scope(&self, name: String, event: Event) -> Answer<'_, Option<i64>> {
        let mut state = self.state();
        match state.scopes.remove(&name) {
            None => done(None),
            Some(_) => done(Some(state.note(event))),
        }
    }

    fn scopes(&self) -> Answer<'_, Vec<ScopeRecord>> {
        done(self.state().scopes.values().cloned().collect())
    }
}
