//! What gates hear: revocations, in the feed and in snapshots.

use super::{DAY, HOUR, at, event, revocation};
use crate::both_engines;
use crate::following::Sink;
use crate::rig::Rig;
use authority::oauth::ports::{GrantStore as _, TokenNames};
use authority::oauth::records::{Revocation, RevocationKind};
use authority::{Change, Snapshots as _};
use base::code as codes;

both_engines!(
    a_token_is_revoked_by_any_of_its_names,
    a_client_or_subject_revocation_counts_from_its_time_back,
    the_later_of_two_revocations_counts,
    a_revocation_is_announced_as_it_stands,
    a_snapshot_holds_the_revocations_in_force,
);

async fn revoke(rig: &Rig, it: Revocation) -> i64 {
    rig.store.revoke(it, event(codes::TOKEN_REVOKED_ACT, 0)).await.unwrap()
}

/// The names of a token that was issued at 10.
fn names() -> TokenNames {
    TokenNames {
        token: Some("jti".to_owned()),
        grant: Some("gid".to_owned()),
        client: Some("app".to_owned()),
        subject: Some("alice".to_owned()),
        issued_at: at(10),
    }
}

async fn a_token_is_revoked_by_any_of_its_names(rig: Rig) {
    let by = |names: TokenNames, ms: i64| rig.store.revoked(names, at(ms));
    // The value of one kind under another is somebody else's.
    for (kind, value) in [
        (RevocationKind::Grant, "jti"),
        (RevocationKind::Token, "gid"),
        (RevocationKind::Subject, "app"),
        (RevocationKind::Client, "alice"),
    ] {
        revoke(&rig, revocation(kind, value, 20)).await;
    }
    assert_eq!(by(names(), 20).await.unwrap(), None);
    // From the last in order to the first: each is seen at once, and goes before those that were there.
    for (kind, value) in [
        (RevocationKind::Subject, "alice"),
        (RevocationKind::Client, "app"),
        (RevocationKind::Grant, "gid"),
        (RevocationKind::Token, "jti"),
    ] {
        revoke(&rig, Revocation { until: at(100), ..revocation(kind, value, 20) }).await;
        assert_eq!(by(names(), 20).await.unwrap(), Some(kind));
        assert_eq!(by(names(), 99).await.unwrap(), Some(kind));
    }
    // Nothing is in force after its end, nothing concerns a token without names, and no odd name is an error.
    assert_eq!(by(names(), 100).await.unwrap(), None);
    assert_eq!(by(TokenNames::default(), 20).await.unwrap(), None);
    let odd = TokenNames { token: Some("j\0ti".to_owned()), ..TokenNames::default() };
    assert_eq!(by(odd, 20).await.unwrap(), None);
    let only = TokenNames { subject: Some("alice".to_owned()), ..TokenNames::default() };
    assert_eq!(by(only, 20).await.unwrap(), Some(RevocationKind::Subject));
}

async fn a_client_or_subject_revocation_counts_from_its_time_back(rig: Rig) {
    let issued = |ms: i64| TokenNames { issued_at: at(ms), ..names() };
    for (kind, value) in [(RevocationKind::Client, "app"), (RevocationKind::Subject, "alice")] {
        revoke(&rig, revocation(kind, value, 20)).await;
        let by = |ms: i64| rig.store.revoked(issued(ms), at(30));
        let one = |it: TokenNames| match kind {
            RevocationKind::Client => TokenNames { subject: None, ..it },
            _ => TokenNames { client: None, ..it },
        };
        assert_eq!(by(21).await.unwrap(), None, "issued after it");
        for ms in [20, 19] {
            let found = rig.store.revoked(one(issued(ms)), at(30)).await.unwrap();
            assert_eq!(found, Some(kind), "issued at {ms}");
        }
    }
    // Tokens and grants are revoked whenever the token says that it was issued.
    revoke(&rig, revocation(RevocationKind::Grant, "gid", 5)).await;
    let found = rig.store.revoked(issued(25), at(30)).await.unwrap();
    assert_eq!(found, Some(RevocationKind::Grant));
}

async fn the_later_of_two_revocations_counts(rig: Rig) {
    let kind = RevocationKind::Subject;
    let of = |from: i64, until: i64| Revocation {
        kind,
        value: "alice".to_owned(),
        not_before: at(from),
        until: at(until),
    };
    for (put, kept) in [
        (of(5, 100), of(5, 100)),
        (of(3, 50), of(5, 100)),
        (of(7, 90), of(7, 100)),
        (of(6, 200), of(7, 200)),
    ] {
        revoke(&rig, put).await;
        let found = rig.store.revocation(kind, "alice".to_owned(), at(0)).await.unwrap();
        assert_eq!(found, Some(kept));
    }
    assert_eq!((rig.events().await.len(), rig.feed().await.len()), (4, 4));
}

async fn a_revocation_is_announced_as_it_stands(rig: Rig) {
    let mut expected = Vec::new();
    // A value that looks like a kind, or like another row's, is only a value.
    for value in ["x", "token:x", "client"] {
        for kind in RevocationKind::ALL {
            let it = revocation(kind, value, 1);
            let seq = revoke(&rig, it.clone()).await;
            expected.push((seq, Some(Change::Revoked(it))));
        }
    }
    let feed = rig.feed().await;
    let heard: Vec<_> = feed.into_iter().map(|row| (row.place.seq, row.change)).collect();
    assert_eq!(heard, expected);
    let longer = Revocation { until: at(DAY), ..revocation(RevocationKind::Token, "x", 1) };
    revoke(&rig, longer.clone()).await;
    assert_eq!(rig.changes().await[0], Change::Revoked(longer), "an early row tells the present");
    rig.store.sweep(at(2 * HOUR)).await.unwrap();
    let late = rig.store.sweep(at(2 * DAY)).await.unwrap();
    assert_eq!(late.authority, 1);
}

async fn a_snapshot_holds_the_revocations_in_force(rig: Rig) {
    let mut expected = Vec::new();
    for number in 0..30 {
        for kind in RevocationKind::ALL {
            let mut it = revocation(kind, &format!("v{number:02}"), 1);
            it.until = at(number);
            revoke(&rig, it.clone()).await;
            if number > 20 {
                expected.push(it);
            }
        }
    }
    let mut sink = Sink::default();
    rig.store.load(at(20), &mut sink).await.unwrap();
    let sort = |list: &mut Vec<Revocation>| list.sort_by_key(|it| (it.kind, it.value.clone()));
    sort(&mut expected);
    sort(&mut sink.revocations);
    assert_eq!(sink.revocations, expected);
}
