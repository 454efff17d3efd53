//! People's own keys, and what happened to their accounts.

use super::people::{begun, made, session};
use super::{DAY, HOUR, at, event, grant, mac, revocation};
use crate::both_engines;
use crate::rig::{Rig, START, key};
use authority::oauth::ports::{
    AuthenticatorStore as _, AuthorityStore as _, GrantStore as _, PeopleStore as _,
};
use authority::oauth::records::{GroupRecord, RevocationKind, UserRecord};
use authority::oauth::{
    KeptOwnKey, NEWS_MOST, NewOwnKey, NewsStore as _, OWN_KEYS_MOST, OwnKeyStore as _,
};
use authority::{Change, KeyRecord, KeyStore as _};
use base::code as codes;
use store::Store;

both_engines!(
    an_own_key_is_kept_for_its_owner_and_announced,
    attack_nothing_is_kept_of_a_key_that_was_judged_by_what_is_past,
    a_person_has_only_so_many_keys,
    own_keys_end_or_narrow_with_the_account,
    own_keys_narrow_with_a_group,
    attack_a_key_made_while_its_scope_is_taken_does_not_keep_it,
    what_happened_is_kept_within_bounds,
    a_use_of_a_grant_is_noted_to_the_minute,
);

async fn group(store: &Store, name: &str, scopes: &[&str]) {
    let group = GroupRecord {
        name: name.to_owned(),
        description: String::new(),
        scopes: scopes.iter().map(|it| (*it).to_owned()).collect(),
        created_at: START,
        created_by: "uid:0".to_owned(),
    };
    store.put_group(group, event(codes::GROUP_CHANGED, 0)).await.unwrap();
}

/// A person of the group `operator`, and a key that they may have.
async fn drafted(store: &Store, email: &str) -> (UserRecord, NewOwnKey) {
    group(store, "operator", &["orders:read", "orders:write"]).await;
    let owner = made(store, email).await;
    let (_, session) = begun(store, &owner.id).await;
    (owner.clone(), fresh(&owner, &session.id))
}

fn fresh(owner: &UserRecord, session: &str) -> NewOwnKey {
    let key = KeyRecord {
        owner: Some(owner.id.clone()),
        scopes: vec!["orders:read".to_owned(), "orders:write".to_owned()],
        expires_at: Some(at(90 * DAY)),
        routes: None,
        ..key()
    };
    NewOwnKey { key, owner: owner.clone(), session: session.to_owned() }
}

async fn keep(store: &Store, new: NewOwnKey) -> KeptOwnKey {
    store.create_own_key(new, event(codes::KEY_CREATED, 0)).await.unwrap()
}

async fn an_own_key_is_kept_for_its_owner_and_announced(rig: Rig) {
    let (owner, new) = drafted(&rig.store, "a@example.com").await;
    let kept = keep(&rig.store, new.clone()).await;
    assert!(matches!(kept, KeptOwnKey::Now(_)), "{kept:?}");
    assert_eq!(rig.store.key(new.key.id).await.unwrap(), Some(new.key.clone()));
    let of = |owner: &str| rig.store.own_keys(owner.to_owned(), at(HOUR));
    assert_eq!(of(&owner.id).await.unwrap(), std::slice::from_ref(&new.key));
    assert_eq!(of("somebody").await.unwrap(), []);
    assert_eq!(rig.changes().await.pop(), Some(Change::KeyUpserted(new.key.clone())));
    let end = |owner: &str| {
        let key = (owner.to_owned(), new.key.id);
        rig.store.end_own_key(key, at(HOUR), event(codes::KEY_REVOKED_ACT, HOUR))
    };
    assert_eq!(end("somebody").await.unwrap(), None, "it is not theirs");
    assert!(end(&owner.id).await.unwrap().is_some());
    assert_eq!(end(&owner.id).await.unwrap(), None, "once");
    assert!(matches!(rig.changes().await.pop(), Some(Change::KeyRevoked { .. })));
    let news = rig.store.news(owner.id, START.minus(std::time::Duration::from_secs(1)), 10).await;
    let codes: Vec<String> = news.unwrap().into_iter().map(|it| it.code).collect();
    assert_eq!(codes.iter().filter(|it| it.starts_with("key.")).count(), 2, "{codes:?}");
}

async fn attack_nothing_is_kept_of_a_key_that_was_judged_by_what_is_past(rig: Rig) {
    let (owner, new) = drafted(&rig.store, "a@example.com").await;
    let refused = async |new: NewOwnKey, why: &str| {
        assert_eq!(keep(&rig.store, new.clone()).await, KeptOwnKey::Changed, "{why}");
        assert_eq!(rig.store.key(new.key.id).await.unwrap(), None, "{why}");
    };
    let mut more = new.clone();
    more.key.scopes.push("salaries:read".to_owned());
    refused(more, "a scope that no group gives").await;
    let mut nobodys = new.clone();
    nobodys.key.owner = Some("somebody".to_owned());
    refused(nobodys, "another owner").await;
    let other = session(&owner.id);
    refused(NewOwnKey { session: other.id, ..new.clone() }, "no such session").await;
    let stranger = made(&rig.store, "b@example.com").await;
    let (_, theirs) = begun(&rig.store, &stranger.id).await;
    refused(NewOwnKey { session: theirs.id, ..new.clone() }, "another person's session").await;
    let after = UserRecord { name: None, ..owner.clone() };
    let done = rig.store.replace_user(owner, after, None, event(codes::USER_CHANGED, 0)).await;
    done.unwrap().unwrap();
    refused(new, "the account was changed").await;
}

async fn a_person_has_only_so_many_keys(rig: Rig) {
    let (owner, first) = drafted(&rig.store, "a@example.com").await;
    for _ in 0..OWN_KEYS_MOST {
        let kept = keep(&rig.store, fresh(&owner, &first.session)).await;
        assert!(matches!(kept, KeptOwnKey::Now(_)), "{kept:?}");
    }
    assert_eq!(keep(&rig.store, first.clone()).await, KeptOwnKey::TooMany);
    let another = drafted(&rig.store, "b@example.com").await.1;
    assert!(matches!(keep(&rig.store, another).await, KeptOwnKey::Now(_)));
}

/// What is changed, how, whether all tokens end by it, and what is left of the key.
type Case = (&'static str, fn(&mut UserRecord), bool, Option<&'static [&'static str]>);

async fn own_keys_end_or_narrow_with_the_account(rig: Rig) {
    let changes: [Case; 6] = [
        ("a name", |it| it.name = None, false, Some(&["orders:read", "orders:write"])),
        ("fewer groups", |it| it.roles = vec!["reader".to_owned()], true, Some(&["orders:read"])),
        ("no group", |it| it.roles = Vec::new(), true, None),
        ("closed", |it| it.disabled_at = Some(START), true, None),
        ("all is ended", |it| it.password = None, true, None),
        (
            "another password, and other groups",
            |it| (it.password, it.roles) = (Some("hash".to_owned()), vec!["reader".to_owned()]),
            true,
            None,
        ),
    ];
    group(&rig.store, "reader", &["orders:read"]).await;
    for (number, (what, change, revokes, left)) in changes.into_iter().enumerate() {
        let (owner, new) = drafted(&rig.store, &format!("{number}@example.com")).await;
        keep(&rig.store, new.clone()).await;
        let mut after = owner.clone();
        change(&mut after);
        let revoke = revokes.then(|| revocation(RevocationKind::Subject, &owner.id, 1));
        let cause = event(codes::USER_CHANGED, 1);
        rig.store.replace_user(owner, after, revoke, cause).await.unwrap().unwrap();
        let key = rig.store.key(new.key.id).await.unwrap().unwrap();
        assert_eq!(key.revoked_at.is_none(), left.is_some(), "{what}");
        if let Some(left) = left {
            assert_eq!(key.scopes, left, "{what}");
        }
        let told = rig.events().await.into_iter().filter(|it| {
            it.credential_id.as_deref() == Some(key.id.as_str()) && it.code != codes::KEY_CREATED
        });
        assert_eq!(told.count(), usize::from(number > 0), "{what}: one event an outcome");
    }
    // A new beginning ends them too, whatever else it says.
    let (owner, new) = drafted(&rig.store, "reset@example.com").await;
    keep(&rig.store, new.clone()).await;
    let revoke = revocation(RevocationKind::Subject, &owner.id, 1);
    let cause = event(codes::AUTHENTICATOR_REMOVED, 1);
    rig.store.reset_user(owner.clone(), owner, revoke, cause).await.unwrap().unwrap();
    assert!(rig.store.key(new.key.id).await.unwrap().unwrap().revoked_at.is_some());
}

async fn own_keys_narrow_with_a_group(rig: Rig) {
    let (_, new) = drafted(&rig.store, "a@example.com").await;
    keep(&rig.store, new.clone()).await;
    // An administrator's key is nobody's, and keeps what it was given.
    let bare = KeyRecord { scopes: vec!["orders:read".to_owned()], ..key() };
    rig.store.create_key(bare.clone(), event(codes::KEY_CREATED, 0)).await.unwrap();
    group(&rig.store, "operator", &["orders:write"]).await;
    let key = rig.store.key(new.key.id).await.unwrap().unwrap();
    assert_eq!((key.scopes.clone(), key.revoked_at), (vec!["orders:write".to_owned()], None));
    assert!(rig.changes().await.contains(&Change::KeyUpserted(key)));
    let gone = rig.store.remove_group("operator".to_owned(), event(codes::GROUP_CHANGED, 1));
    gone.await.unwrap().unwrap();
    assert!(rig.store.key(new.key.id).await.unwrap().unwrap().revoked_at.is_some());
    assert_eq!(rig.store.key(bare.id).await.unwrap(), Some(bare));
}

async fn attack_a_key_made_while_its_scope_is_taken_does_not_keep_it(rig: Rig) {
    for round in 0..8 {
        let (owner, new) = drafted(&rig.store, &format!("{round}@example.com")).await;
        let after = UserRecord { roles: Vec::new(), ..owner.clone() };
        let less = async {
            match round % 2 {
                0 => group(&rig.store, "operator", &["orders:write"]).await,
                _ => {
                    let revoke = Some(revocation(RevocationKind::Subject, &owner.id, 1));
                    let cause = event(codes::USER_CHANGED, 1);
                    let done = rig.store.replace_user(owner.clone(), after, revoke, cause);
                    done.await.unwrap().unwrap();
                }
            }
        };
        tokio::join!(less, keep(&rig.store, new.clone()));
        let key = rig.store.key(new.key.id).await.unwrap();
        let holds = |it: &KeyRecord| {
            it.revoked_at.is_none() && it.scopes.contains(&"orders:read".to_owned())
        };
        assert!(!key.as_ref().is_some_and(holds), "{round}: {key:?}");
    }
}

async fn what_happened_is_kept_within_bounds(rig: Rig) {
    let owner = made(&rig.store, "a@example.com").await;
    let most = i64::from(NEWS_MOST);
    let change = rig.store.replace_user(
        owner.clone(),
        UserRecord { name: None, ..owner.clone() },
        None,
        event(codes::USER_CHANGED, 1),
    );
    change.await.unwrap().unwrap();
    for number in 0..most + 20 {
        let mut session = session(&owner.id);
        session.expires_at = at(200 * DAY);
        let login = event(codes::LOGIN, 10 + number);
        rig.store.create_session(mac(), session, login).await.unwrap();
    }
    let news = async |since| rig.store.news(owner.id.clone(), since, 1000).await.unwrap();
    let all = news(at(0)).await;
    assert_eq!(all.len(), NEWS_MOST as usize + 1, "sign-ins push out no change");
    assert!(all.is_sorted_by_key(|it| std::cmp::Reverse(it.at)));
    assert_eq!(all.last().unwrap().code, "user.changed");
    assert_eq!(all[0].at, at(10 + most + 19), "the latest stay");
    assert_eq!(all[0].user_agent.as_deref(), Some("Mozilla/5.0"));
    rig.store.sweep(at(89 * DAY)).await.unwrap();
    assert_eq!(news(at(0)).await.len(), all.len());
    rig.store.sweep(at(91 * DAY)).await.unwrap();
    assert_eq!(news(at(0)).await, [], "90 days, and no longer");
}

async fn a_use_of_a_grant_is_noted_to_the_minute(rig: Rig) {
    let mut grant = grant();
    let user = grant.user.clone().unwrap();
    grant.created_at = START;
    let mut given = event(codes::TOKEN_ISSUED, 0);
    given.client_ip = Some("198.51.100.7".parse().unwrap());
    rig.store.create_grant(grant.clone(), None, given).await.unwrap();
    let uses = rig.store.uses_of_grants(user.clone(), at(HOUR)).await.unwrap();
    assert_eq!(uses.len(), 1);
    let used = &uses[0];
    assert_eq!((&*used.grant, used.at), (&*grant.id, at(0)));
    assert_eq!(used.network.as_deref(), Some("198.51.100.0/24"));
    assert_eq!(rig.store.uses_of_grants("somebody".to_owned(), at(0)).await.unwrap(), []);
}
