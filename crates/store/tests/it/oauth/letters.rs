//! Codes that were mailed: each is used once, and a person has few.

use super::authenticators::person;
use super::{at, event, mac, revocation, together};
use crate::both_engines;
use crate::rig::{Rig, START};
use authority::oauth::ports::{LetterStore as _, PeopleStore as _, Spent};
use authority::oauth::records::{LetterRecord, Mac, RevocationKind, UserRecord};
use base::code as codes;
use store::Store;

both_engines!(
    a_letter_is_read_until_its_end,
    the_oldest_of_a_person_make_room,
    of_many_that_use_a_code_at_once_one_does,
    an_expired_code_and_another_persons_change_nothing,
);

const MOST: u32 = 3;

fn letter(user: &str, made: i64) -> LetterRecord {
    LetterRecord {
        user: user.to_owned(),
        email: "a@example.com".to_owned(),
        browser: "5a".repeat(32),
        created_at: at(made),
        expires_at: at(made + 600),
    }
}

async fn put(store: &Store, user: &str, made: i64) -> Mac {
    let mac = mac();
    let event = event(codes::USER_CHANGED, 0);
    store.put_letter(mac, letter(user, made), MOST, event).await.unwrap();
    mac
}

async fn spend(
    store: &Store,
    (mac, ms): (Mac, i64),
    before: &UserRecord,
    name: &str,
) -> Result<Option<i64>, authority::PortError> {
    let after = UserRecord { name: Some(name.to_owned()), ..before.clone() };
    let revoke = revocation(RevocationKind::Subject, &before.id, 1);
    let spent = Spent { mac, now: at(ms), revoke };
    store.spend_letter(spent, before.clone(), after, event(codes::USER_CHANGED, 0)).await
}

async fn a_letter_is_read_until_its_end(rig: Rig) {
    let store = &rig.store;
    let user = person(store).await;
    let mac = put(store, &user, 0).await;
    assert_eq!(store.letter(mac, at(599)).await.unwrap(), Some(letter(&user, 0)));
    assert_eq!(store.letter(mac, at(600)).await.unwrap(), None);
    assert_eq!(store.letter(super::mac(), START).await.unwrap(), None);
}

async fn the_oldest_of_a_person_make_room(rig: Rig) {
    let store = &rig.store;
    let (user, other) = (person(store).await, person(store).await);
    let kept = put(store, &other, 0).await;
    let mut all = Vec::new();
    for made in 1..=5 {
        all.push(put(store, &user, made).await);
    }
    let mut there = Vec::new();
    for mac in &all {
        there.push(store.letter(*mac, at(5)).await.unwrap().is_some());
    }
    assert_eq!(there, [false, false, true, true, true]);
    assert!(store.letter(kept, at(5)).await.unwrap().is_some());
}

async fn of_many_that_use_a_code_at_once_one_does(rig: Rig) {
    let store = &rig.store;
    let user = person(store).await;
    let (mac, second) = (put(store, &user, 0).await, put(store, &user, 1).await);
    let before = store.user(user.clone()).await.unwrap().unwrap();
    let tries = (0..20).map(|number| {
        let (store, before, name) = (store.clone(), before.clone(), format!("n{number}"));
        let mac = if number % 2 == 0 { mac } else { second };
        async move { spend(&store, (mac, 10), &before, &name).await }
    });
    let won = together(tries).await.into_iter().filter(Option::is_some).count();
    assert_eq!(won, 1);
    // The one that was used voids the others, and whoever knows the account as it is now gains nothing by them.
    let now = store.user(user).await.unwrap().unwrap();
    for mac in [mac, second] {
        assert_eq!(store.letter(mac, at(10)).await.unwrap(), None);
        assert_eq!(spend(store, (mac, 10), &now, "late").await.unwrap(), None);
    }
}

async fn an_expired_code_and_another_persons_change_nothing(rig: Rig) {
    let store = &rig.store;
    let (user, other) = (person(store).await, person(store).await);
    let mac = put(store, &user, 0).await;
    let mine = store.user(user.clone()).await.unwrap().unwrap();
    let theirs = store.user(other.clone()).await.unwrap().unwrap();
    assert_eq!(spend(store, (mac, 600), &mine, "late").await.unwrap(), None);
    assert_eq!(spend(store, (mac, 599), &theirs, "theirs").await.unwrap(), None);
    let stale = UserRecord { name: Some("Old".to_owned()), ..mine.clone() };
    assert_eq!(spend(store, (mac, 599), &stale, "stale").await.unwrap(), None);
    assert_eq!(store.user(other).await.unwrap(), Some(theirs));
    // None of these has used it.
    assert!(spend(store, (mac, 599), &mine, "mine").await.unwrap().is_some());
    assert_eq!(store.user(user).await.unwrap().unwrap().name.as_deref(), Some("mine"));
}
