//! Addresses that people let in for themselves: whatever ends a session ends them, with a record and news for the gate.

use super::authenticators::{app, person, session};
use super::{HOUR, at, event, mac, revocation, together};
use crate::both_engines;
use crate::rig::{Rig, START};
use authority::oauth::ports::{
    AuthenticatorStore as _, LetterStore as _, OwnAddressStore as _, PeopleStore as _, PutOwn,
    Room, Spent,
};
use authority::oauth::records::{
    LetterPurpose, LetterRecord, RevocationKind, SessionRecord, UserRecord,
};
use authority::people::{FactorKind, Proof};
use authority::{Change, IpEntry, IpId, IpOwner, IpStore as _, Page};
use base::{UnixMs, code as codes};
use store::Store;

both_engines!(
    an_own_address_is_read_back_as_it_was_written,
    whatever_ends_a_session_ends_what_was_let_in_with_it,
    other_sessions_keep_what_was_let_in_with_them,
    who_is_not_in_the_group_any_more_has_nothing_let_in,
    a_renewed_session_keeps_it_but_no_longer_than_itself,
    a_session_that_is_used_keeps_it_longer,
    attack_nothing_is_let_in_after_the_session_has_ended,
    attack_nothing_is_let_in_without_the_group,
    nobody_lets_in_more_than_there_may_be,
    an_administrators_entry_stands_beside_it,
    attack_nobody_ends_what_is_anothers,
    sessions_end_while_addresses_are_let_in,
);

const ROOM: Room = Room { person: 3, list: 5 };

async fn member(store: &Store) -> UserRecord {
    let id = person(store).await;
    let user = store.user(id).await.unwrap().unwrap();
    let after = UserRecord { roles: vec!["ops".to_owned()], ..user.clone() };
    let change = event(codes::USER_CHANGED, 0);
    store.replace_user(user, after.clone(), None, change).await.unwrap().unwrap();
    after
}

fn entry(session: &SessionRecord, list: &str, net: &str) -> IpEntry {
    IpEntry {
        id: IpId::random().unwrap(),
        list: list.to_owned(),
        net: net.parse().unwrap(),
        created_at: START,
        expires_at: at(8 * HOUR),
        note: None,
        created_by: session.user.clone(),
        owner: Some(IpOwner {
            user: session.user.clone(),
            session: session.id.clone(),
            group: "ops".to_owned(),
            latest: at(8 * HOUR),
        }),
    }
}

async fn put(store: &Store, entry: IpEntry) -> PutOwn {
    store.put_own_address(entry, ROOM, event(codes::IP_ALLOWED, 0)).await.unwrap()
}

async fn let_in(store: &Store, session: &SessionRecord, net: &str) -> IpEntry {
    match put(store, entry(session, "office", net)).await {
        PutOwn::Kept(kept, _) => kept,
        other => panic!("{other:?}"),
    }
}

async fn own(store: &Store, user: &str) -> Vec<IpEntry> {
    store.own_addresses(user.to_owned(), START).await.unwrap()
}

/// Everything that the gate hears of `entry` ends with its end, and the end stands in the outbox.
async fn is_gone(rig: &Rig, entry: &IpEntry) {
    assert_eq!(rig.changes().await.last_of(entry.id), Some(Change::IpRemoved(entry.id)));
    let events = rig.events().await;
    let id = entry.id.to_string();
    let of = events.iter().rfind(|it| it.credential_id.as_deref() == Some(id.as_str())).unwrap();
    assert_eq!(of.code, codes::IP_REMOVED);
    assert!(!of.detail.as_deref().unwrap().contains(&entry.net.addr().to_string()));
}

trait LastOf {
    fn last_of(&self, id: IpId) -> Option<Change>;
}

impl LastOf for Vec<Change> {
    fn last_of(&self, id: IpId) -> Option<Change> {
        let of = |it: &&Change| match it {
            Change::IpUpserted(entry) => entry.id == id,
            Change::IpRemoved(gone) => *gone == id,
            _ => false,
        };
        self.iter().rfind(of).cloned()
    }
}

async fn an_own_address_is_read_back_as_it_was_written(rig: Rig) {
    let store = &rig.store;
    let user = member(store).await;
    let session = session(store, &user.id).await;
    for net in ["203.0.113.7/32", "2001:db8::7/128"] {
        let entry = entry(&session, "office", net);
        let PutOwn::Kept(kept, _) = put(store, entry.clone()).await else { panic!("refused") };
        assert_eq!(kept, entry);
        assert_eq!(rig.changes().await.last(), Some(&Change::IpUpserted(entry)));
    }
    assert_eq!(own(store, &user.id).await.len(), 2);
    let late = store.own_addresses(user.id.clone(), at(8 * HOUR)).await.unwrap();
    assert!(late.is_empty(), "their time is over");
    // The same address once more is the same entry, for longer.
    let mut again = entry(&session, "office", "203.0.113.7/32");
    again.expires_at = at(9 * HOUR);
    again.owner.as_mut().unwrap().latest = at(9 * HOUR);
    let PutOwn::Kept(kept, _) = put(store, again).await else { panic!("refused") };
    assert_eq!((kept.expires_at, own(store, &user.id).await.len()), (at(9 * HOUR), 2));
    // No longer than the session, whatever is asked.
    let mut long = entry(&session, "office", "203.0.113.7/32");
    long.expires_at = at(99 * HOUR);
    long.owner.as_mut().unwrap().latest = at(99 * HOUR);
    let PutOwn::Kept(kept, _) = put(store, long).await else { panic!("refused") };
    assert_eq!((kept.expires_at, kept.owner.unwrap().latest), (at(12 * HOUR), at(12 * HOUR)));
}

/// The ways in which sessions end.
#[derive(Debug, Clone, Copy)]
enum Way {
    SignedOut,
    Changed,
    Disabled,
    FactorAdded,
    FactorRemoved,
    Recovered,
    Reset,
}

async fn end(store: &Store, user: &UserRecord, session: &SessionRecord, way: Way) {
    let change = event(codes::USER_CHANGED, 1);
    let revoke = || revocation(RevocationKind::Subject, &user.id, 1);
    let after = |name: &str| UserRecord { name: Some(name.to_owned()), ..user.clone() };
    match way {
        Way::SignedOut => {
            store.end_session(session.id.clone(), change).await.unwrap().unwrap();
        }
        Way::Changed => {
            let done = store.replace_user(user.clone(), after("x"), Some(revoke()), change).await;
            done.unwrap().unwrap();
        }
        Way::Disabled => {
            let shut = UserRecord { disabled_at: Some(START), ..user.clone() };
            store.replace_user(user.clone(), shut, None, change).await.unwrap().unwrap();
        }
        Way::FactorAdded => {
            let other = super::authenticators::session(store, &user.id).await;
            store.add_authenticator(app(&user.id), Some(other.id), Some(change)).await.unwrap();
        }
        Way::FactorRemoved => {
            let (other, app) =
                (super::authenticators::session(store, &user.id).await, app(&user.id));
            store.add_authenticator(app.clone(), None, None).await.unwrap();
            let keep = Some(other.id);
            assert!(store.remove_authenticator(app, keep, Some(change)).await.unwrap());
        }
        Way::Recovered => {
            let letter = LetterRecord {
                user: user.id.clone(),
                email: user.email.clone(),
                browser: "00".to_owned(),
                created_at: START,
                expires_at: at(HOUR),
                purpose: LetterPurpose::Recovery,
                before: None,
            };
            let code = mac();
            store.put_letter(code, letter, 3, event(codes::USER_CHANGED, 0)).await.unwrap();
            let spent = Spent { mac: code, now: at(1), revoke: revoke() };
            store.spend_letter(spent, user.clone(), after("y"), change).await.unwrap().unwrap();
        }
        Way::Reset => {
            let done = store.reset_user(user.clone(), after("z"), revoke(), change).await;
            done.unwrap().unwrap();
        }
    }
}

async fn whatever_ends_a_session_ends_what_was_let_in_with_it(rig: Rig) {
    let store = &rig.store;
    for way in [
        Way::SignedOut,
        Way::Changed,
        Way::Disabled,
        Way::FactorAdded,
        Way::FactorRemoved,
        Way::Recovered,
        Way::Reset,
    ] {
        let user = member(store).await;
        let session = session(store, &user.id).await;
        let entries = [
            let_in(store, &session, "203.0.113.7/32").await,
            let_in(store, &session, "203.0.113.8/32").await,
        ];
        end(store, &user, &session, way).await;
        assert!(own(store, &user.id).await.is_empty(), "{way:?}");
        for entry in &entries {
            is_gone(&rig, entry).await;
        }
    }
}

async fn other_sessions_keep_what_was_let_in_with_them(rig: Rig) {
    let store = &rig.store;
    let user = member(store).await;
    let (one, other) = (session(store, &user.id).await, session(store, &user.id).await);
    // Both from the same address: each has its own.
    let first = let_in(store, &one, "203.0.113.7/32").await;
    let second = let_in(store, &other, "203.0.113.7/32").await;
    assert_ne!(first.id, second.id);
    end(store, &user, &one, Way::SignedOut).await;
    is_gone(&rig, &first).await;
    assert_eq!(own(store, &user.id).await, std::slice::from_ref(&second));
    let keep = Some(other.id.clone());
    let change = event(codes::AUTHENTICATOR_ADDED, 1);
    store.add_authenticator(app(&user.id), keep, Some(change)).await.unwrap();
    assert_eq!(own(store, &user.id).await, [second]);
}

async fn who_is_not_in_the_group_any_more_has_nothing_let_in(rig: Rig) {
    let store = &rig.store;
    let user = member(store).await;
    let session = session(store, &user.id).await;
    let kept = let_in(store, &session, "203.0.113.7/32").await;
    let more = UserRecord { roles: vec!["dev".to_owned(), "ops".to_owned()], ..user.clone() };
    let change = event(codes::USER_CHANGED, 1);
    store.replace_user(user.clone(), more.clone(), None, change.clone()).await.unwrap().unwrap();
    assert_eq!(own(store, &user.id).await.len(), 1, "the group is still theirs");
    let fewer = UserRecord { roles: vec!["dev".to_owned()], ..user.clone() };
    let change = event(codes::USER_CHANGED, 2);
    store.replace_user(more, fewer, None, change).await.unwrap().unwrap();
    is_gone(&rig, &kept).await;
    assert_eq!(store.sessions(user.id, START).await.unwrap().len(), 1, "the session stands");
}

async fn a_renewed_session_keeps_it_but_no_longer_than_itself(rig: Rig) {
    let store = &rig.store;
    let user = member(store).await;
    let before = session(store, &user.id).await;
    let kept = let_in(store, &before, "203.0.113.7/32").await;
    let proof = Proof::new(FactorKind::Password, None, at(5));
    let text = mac();
    let events = || [event(codes::LOGOUT, 5), event(codes::LOGIN, 5)];
    let after = SessionRecord { proofs: vec![proof], expires_at: at(HOUR), ..before.clone() };
    assert!(store.renew_session(before.clone(), (text, after.clone()), events()).await.unwrap());
    let [now] = &own(store, &user.id).await[..] else { panic!("one") };
    assert_eq!((now.id, now.expires_at), (kept.id, at(HOUR)));
    let heard = rig.changes().await.last_of(kept.id);
    assert_eq!(heard, Some(Change::IpUpserted(now.clone())));
    assert_eq!(store.session(text, START).await.unwrap(), Some(after.clone()));
    let one = std::slice::from_ref(&after);
    assert_eq!(store.sessions(user.id.clone(), START).await.unwrap(), one);
    // Once: who has looked before it finds another one.
    let count = rig.events().await.len();
    assert!(!store.renew_session(before, (mac(), after.clone()), events()).await.unwrap());
    assert_eq!(rig.events().await.len(), count);
    // A longer session makes no entry longer.
    let later = SessionRecord { expires_at: at(20 * HOUR), ..after.clone() };
    assert!(store.renew_session(after.clone(), (mac(), later), events()).await.unwrap());
    assert_eq!(own(store, &user.id).await[0].expires_at, at(HOUR));
    end(store, &user, &after, Way::SignedOut).await;
    is_gone(&rig, &kept).await;
}

async fn a_session_that_is_used_keeps_it_longer(rig: Rig) {
    let store = &rig.store;
    let user = member(store).await;
    let text = mac();
    let begun = session(store, &user.id).await;
    let proof = Proof::new(FactorKind::Password, None, at(0));
    let now = SessionRecord { proofs: vec![proof], used_at: Some(at(0)), ..begun.clone() };
    let events = || [event(codes::LOGOUT, 5), event(codes::LOGIN, 5)];
    assert!(store.renew_session(begun, (text, now.clone()), events()).await.unwrap());
    let mut entry = entry(&now, "office", "203.0.113.7/32");
    entry.expires_at = at(HOUR);
    let PutOwn::Kept(kept, _) = put(store, entry).await else { panic!("refused") };
    let used = |minutes: i64| SessionRecord { used_at: Some(at(minutes * 60_000)), ..now.clone() };
    for (minutes, end) in [(10, 70), (10, 70), (65, 125), (8 * 60 - 30, 8 * 60), (8 * 60, 8 * 60)] {
        assert!(store.replace_session(text, used(minutes)).await.unwrap());
        let [it] = &own(store, &user.id).await[..] else { panic!("one") };
        assert_eq!((it.id, it.expires_at), (kept.id, at(end * 60_000)), "{minutes}");
        let heard = rig.changes().await.last_of(kept.id);
        assert_eq!(heard, Some(Change::IpUpserted(it.clone())), "the gate hears of it");
    }
    let count = rig.feed().await.len();
    assert!(store.replace_session(text, used(8 * 60)).await.unwrap());
    assert_eq!(rig.feed().await.len(), count, "no news where nothing moved");
}

async fn attack_nothing_is_let_in_after_the_session_has_ended(rig: Rig) {
    let store = &rig.store;
    let user = member(store).await;
    let session = session(store, &user.id).await;
    let entry = entry(&session, "office", "203.0.113.7/32");
    let late = IpEntry { created_at: at(12 * HOUR), ..entry.clone() };
    assert_eq!(put(store, late).await, PutOwn::Gone, "the session's time is over");
    let other = person(store).await;
    let mut stolen = entry.clone();
    stolen.owner.as_mut().unwrap().user = other;
    assert_eq!(put(store, stolen).await, PutOwn::Gone, "it is another person's");
    end(store, &user, &session, Way::SignedOut).await;
    let count = rig.events().await.len();
    assert_eq!(put(store, entry).await, PutOwn::Gone);
    assert_eq!(rig.events().await.len(), count, "no event says that it was done");
    assert!(store.ips(None, START, Page::default()).await.unwrap().is_empty());
}

async fn attack_nothing_is_let_in_without_the_group(rig: Rig) {
    let store = &rig.store;
    let user = member(store).await;
    let session = session(store, &user.id).await;
    let mut entry = entry(&session, "office", "203.0.113.7/32");
    entry.owner.as_mut().unwrap().group = "admin".to_owned();
    assert_eq!(put(store, entry.clone()).await, PutOwn::Gone);
    // An entry of a person that names nobody is none.
    entry.owner = None;
    assert_eq!(put(store, entry).await, PutOwn::Gone);
}

async fn nobody_lets_in_more_than_there_may_be(rig: Rig) {
    let store = &rig.store;
    let user = member(store).await;
    let one = session(store, &user.id).await;
    for last in 1..=3 {
        let_in(store, &one, &format!("203.0.113.{last}/32")).await;
    }
    let second = session(store, &user.id).await;
    let more = entry(&second, "office", "203.0.113.4/32");
    assert_eq!(
        put(store, more.clone()).await,
        PutOwn::TooMany,
        "another session is the same person"
    );
    assert!(matches!(put(store, entry(&one, "office", "203.0.113.3/32")).await, PutOwn::Kept(..)));
    let other = member(store).await;
    let third = session(store, &other.id).await;
    for last in 1..=2 {
        let_in(store, &third, &format!("203.0.113.{last}/32")).await;
    }
    assert_eq!(put(store, entry(&third, "office", "203.0.113.9/32")).await, PutOwn::Full);
    // Another list has room of its own, and what is over counts no more.
    assert!(matches!(put(store, entry(&third, "home", "203.0.113.9/32")).await, PutOwn::Kept(..)));
    let late = IpEntry {
        created_at: at(9 * HOUR),
        expires_at: at(10 * HOUR),
        ..entry(&second, "office", "203.0.113.4/32")
    };
    assert!(matches!(put(store, late).await, PutOwn::Kept(..)));
}

async fn an_administrators_entry_stands_beside_it(rig: Rig) {
    let store = &rig.store;
    let user = member(store).await;
    let session = session(store, &user.id).await;
    let mine = let_in(store, &session, "203.0.113.7/32").await;
    let fixed = IpEntry {
        id: IpId::random().unwrap(),
        expires_at: UnixMs(START.0 + 1_000),
        created_by: "uid:0".to_owned(),
        owner: None,
        ..mine.clone()
    };
    let kept = store.put_ip(fixed.clone(), event(codes::IP_ALLOWED, 0)).await.unwrap().0;
    assert_eq!(kept, fixed, "it replaces nothing of a person's");
    assert_eq!(store.ips(None, START, Page::default()).await.unwrap().len(), 2);
    // An administrator ends a person's like any other; the end of a session ends none of an administrator's.
    end(store, &user, &session, Way::SignedOut).await;
    let left = store.ips(None, START, Page::default()).await.unwrap();
    assert_eq!(left, [fixed]);
    let again = super::authenticators::session(store, &user.id).await;
    let mine = let_in(store, &again, "203.0.113.7/32").await;
    let gone = store.remove_ip(mine.id, event(codes::IP_REMOVED, 0)).await.unwrap();
    assert_eq!(gone.unwrap().0, mine);
}

async fn attack_nobody_ends_what_is_anothers(rig: Rig) {
    let store = &rig.store;
    let (ada, eve) = (member(store).await, member(store).await);
    let session = session(store, &ada.id).await;
    let mine = let_in(store, &session, "203.0.113.7/32").await;
    let remove = |user: &UserRecord, id: IpId| {
        store.remove_own_address(user.id.clone(), id, event(codes::IP_REMOVED, 0))
    };
    assert_eq!(remove(&eve, mine.id).await.unwrap(), None);
    let fixed = IpEntry { id: IpId::random().unwrap(), owner: None, ..mine.clone() };
    store.put_ip(fixed.clone(), event(codes::IP_ALLOWED, 0)).await.unwrap();
    assert_eq!(remove(&ada, fixed.id).await.unwrap(), None, "an administrator's is nobody's own");
    assert_eq!(remove(&ada, mine.id).await.unwrap().unwrap().0, mine);
    is_gone(&rig, &mine).await;
}

async fn sessions_end_while_addresses_are_let_in(rig: Rig) {
    let store = &rig.store;
    let user = member(store).await;
    for round in 0..8 {
        let session = session(store, &user.id).await;
        let work = (0..4).map(|part| {
            let (store, session) = (store.clone(), session.clone());
            async move {
                if part == round % 4 {
                    let change = event(codes::LOGOUT, 1);
                    store.end_session(session.id.clone(), change).await?;
                } else {
                    let entry = entry(&session, "office", &format!("203.0.113.{part}/32"));
                    store.put_own_address(entry, ROOM, event(codes::IP_ALLOWED, 0)).await?;
                }
                Ok(())
            }
        });
        together(work).await;
        assert!(
            own(store, &user.id).await.is_empty(),
            "round {round}: one has outlived its session"
        );
    }
}
