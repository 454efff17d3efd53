//! Codes that were mailed: each is used once, and a person has few.

use super::authenticators::{person, session};
use super::{at, event, mac, revocation, together};
use crate::both_engines;
use crate::rig::{Rig, START};
use authority::oauth::ports::{LetterStore as _, PeopleStore as _, ProvenAddress, Spent};
use authority::oauth::records::{LetterPurpose, LetterRecord, Mac, RevocationKind, UserRecord};
use base::code as codes;
use store::Store;

both_engines!(
    a_letter_is_read_until_its_end,
    the_oldest_of_a_person_make_room,
    of_many_that_use_a_code_at_once_one_does,
    an_expired_code_and_another_persons_change_nothing,
    an_address_is_proved_once_and_other_sessions_end,
    attack_a_code_of_one_purpose_is_none_of_another,
    nobody_takes_the_address_of_another_account,
);

const MOST: u32 = 3;

fn letter(user: &str, made: i64) -> LetterRecord {
    LetterRecord {
        user: user.to_owned(),
        email: "a@example.com".to_owned(),
        browser: "5a".repeat(32),
        created_at: at(made),
        expires_at: at(made + 600),
        purpose: LetterPurpose::Recovery,
        before: None,
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

/// A letter that proves `email` for a person; its code.
async fn address_letter(store: &Store, user: &UserRecord, email: &str, made: i64) -> Mac {
    let letter = LetterRecord {
        email: email.to_owned(),
        purpose: LetterPurpose::Address,
        before: Some(user.email.clone()),
        ..letter(&user.id, made)
    };
    let mac = mac();
    let event = event(codes::USER_CHANGED, 0);
    store.put_letter(mac, letter.clone(), MOST, event).await.unwrap();
    assert_eq!(store.letter(mac, at(made)).await.unwrap(), Some(letter));
    mac
}

async fn prove(
    store: &Store,
    (mac, session): (Mac, &str),
    before: &UserRecord,
    email: &str,
) -> Result<Option<i64>, authority::PortError> {
    let after = UserRecord { email: email.to_owned(), email_verified: true, ..before.clone() };
    let ends_others = before.email != email;
    let proven = ProvenAddress { mac, now: at(5), session: session.to_owned(), ends_others };
    store.prove_address(proven, before.clone(), after, event(codes::USER_CHANGED, 0)).await
}

async fn account(store: &Store) -> UserRecord {
    let id = person(store).await;
    store.user(id).await.unwrap().unwrap()
}

async fn an_address_is_proved_once_and_other_sessions_end(rig: Rig) {
    let store = &rig.store;
    let user = account(store).await;
    let (this, other) = (session(store, &user.id).await, session(store, &user.id).await);
    let mac = address_letter(store, &user, "new@example.com", 1).await;
    let tries = (0..20).map(|_| {
        let (store, user, this) = (store.clone(), user.clone(), this.id.clone());
        async move { prove(&store, (mac, &this), &user, "new@example.com").await }
    });
    let done: Vec<_> = together(tries).await.into_iter().flatten().collect();
    assert_eq!(done.len(), 1);
    let now = store.user(user.id.clone()).await.unwrap().unwrap();
    assert_eq!((now.email.as_str(), now.email_verified), ("new@example.com", true));
    assert_eq!(store.user_by_email(user.email.clone()).await.unwrap(), None);
    let left = store.sessions(user.id.clone(), START).await.unwrap();
    assert_eq!(left, std::slice::from_ref(&this), "{} is ended", other.id);
    // To show the address that one has ends nobody's session.
    let second = session(store, &user.id).await;
    let mac = address_letter(store, &now, &now.email, 2).await;
    let shown = UserRecord { email_verified: false, ..now.clone() };
    let change = event(codes::USER_CHANGED, 0);
    store.replace_user(now, shown.clone(), None, change).await.unwrap().unwrap();
    assert!(prove(store, (mac, &second.id), &shown, &shown.email).await.unwrap().is_some());
    assert_eq!(store.sessions(user.id, START).await.unwrap().len(), 2);
}

async fn attack_a_code_of_one_purpose_is_none_of_another(rig: Rig) {
    let store = &rig.store;
    let user = account(store).await;
    let this = session(store, &user.id).await;
    let recovery = put(store, &user.id, 1).await;
    let address = address_letter(store, &user, "new@example.com", 1).await;
    assert_eq!(spend(store, (address, 5), &user, "x").await.unwrap(), None);
    let mut before = user.clone();
    assert_eq!(prove(store, (recovery, &this.id), &before, "new@example.com").await.unwrap(), None);
    // Nor does one kind make room for the other.
    for made in 2..=5 {
        put(store, &user.id, made).await;
    }
    assert!(store.letter(address, at(5)).await.unwrap().is_some());
    // Not in a session that has ended, nor for an account that is another by now.
    let gone = prove(store, (address, "nobody"), &user, "new@example.com").await;
    assert_eq!(gone, Err(authority::PortError::Conflict));
    before.name = Some("Other".to_owned());
    assert_eq!(prove(store, (address, &this.id), &before, "new@example.com").await.unwrap(), None);
    let late = ProvenAddress { mac: address, now: at(601), session: this.id, ends_others: true };
    let after = UserRecord { email: "new@example.com".to_owned(), ..user.clone() };
    let done = store.prove_address(late, user.clone(), after, event(codes::USER_CHANGED, 0)).await;
    assert_eq!(done.unwrap(), None);
    assert_eq!(store.user(user.id.clone()).await.unwrap(), Some(user));
}

async fn nobody_takes_the_address_of_another_account(rig: Rig) {
    let store = &rig.store;
    let (ada, eve) = (account(store).await, account(store).await);
    let this = session(store, &eve.id).await;
    let mac = address_letter(store, &eve, &ada.email, 1).await;
    let count = rig.events().await.len();
    let taken = prove(store, (mac, &this.id), &eve, &ada.email).await;
    assert_eq!(taken, Err(authority::PortError::Conflict));
    assert_eq!(rig.events().await.len(), count);
    assert_eq!(store.user(eve.id.clone()).await.unwrap(), Some(eve));
    assert_eq!(store.user_by_email(ada.email.clone()).await.unwrap(), Some(ada));
}
