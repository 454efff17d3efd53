//! The cookie, its limits, and other sites.

use super::*;
use crate::live::{Blocks, Keys, Standing, still_good};
use crate::mfa::{Acr, Mfa};
use crate::revoked::{Revocations, Revoked, RevokedKind};
use proptest::prelude::*;

const NOW: UnixMs = UnixMs(1_800_000_000_000);
const HOST: &str = "api.example.com";
const LIMITS: Limits =
    Limits { idle: Duration::from_secs(1_800), absolute: Duration::from_secs(12 * 3_600) };

pub(super) fn session() -> Session {
    Session {
        subject: "ada".into(),
        client_id: "portcullis-gate".into(),
        id: "s1".into(),
        grant: "g1".into(),
        groups: vec!["ops".into(), "dev".into()],
        acr: Some("aal2".into()),
        authenticated_at: Some(UnixMs(NOW.0 - 60_000)),
        began_at: UnixMs(NOW.0 - 60_000),
        vouched_at: NOW,
        renewal: Renewal(Secret::new("pcr_secret".to_owned())),
    }
}

fn sealer(byte: u8) -> Sealer {
    Sealer::new(&Secret::new([byte; 32])).expect("a key")
}

fn age(vouched_s: i64, began_s: i64) -> Session {
    Session {
        vouched_at: UnixMs(NOW.0 - vouched_s * 1_000),
        began_at: UnixMs(NOW.0 - began_s * 1_000),
        ..session()
    }
}

#[test]
fn a_cookie_is_opened_for_its_host_and_by_its_key_alone() {
    let value = sealer(1).seal(&session(), HOST).expect("a cookie");
    assert!(value.len() < 600 && value.bytes().all(|c| c.is_ascii_graphic() && c != b';'));
    assert_eq!(sealer(1).open(value.as_bytes(), HOST), Some(session()));
    assert_eq!(sealer(1).open(value.as_bytes(), "API.example.com"), Some(session()));
    for host in ["", "example.com", "evil-api.example.com", "api.example.com.", "api.example.co"] {
        assert_eq!(sealer(1).open(value.as_bytes(), host), None, "{host}");
    }
    assert_eq!(sealer(2).open(value.as_bytes(), HOST), None);
    // Two of the same session differ: nothing is to be learnt from comparing.
    assert_ne!(sealer(1).seal(&session(), HOST), Ok(value));
}

#[test]
fn every_changed_byte_of_a_cookie_makes_it_none() {
    let value = sealer(1).seal(&session(), HOST).expect("a cookie").into_bytes();
    for at in 0..value.len() {
        let mut changed = value.clone();
        changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
        assert_eq!(sealer(1).open(&changed, HOST), None, "{at}");
        assert_eq!(sealer(1).open(&value[..at], HOST), None, "{at}");
    }
}

#[test]
fn rfc6265_s6_1_what_no_browser_would_keep_is_not_sealed() {
    let many = |count: usize, len: usize| Session {
        groups: (0..count).map(|_| "g".repeat(len).into()).collect(),
        ..session()
    };
    assert!(sealer(1).seal(&many(GROUPS, 10), HOST).is_ok());
    assert_eq!(sealer(1).seal(&many(GROUPS + 1, 1), HOST), Err(SealError::TooLarge));
    assert_eq!(sealer(1).seal(&many(GROUPS, 100), HOST), Err(SealError::TooLarge));
}

#[test]
fn idle_and_absolute_limits() {
    let check = |vouched: i64, began: i64, expect: State| {
        assert_eq!(age(vouched, began).state(LIMITS, NOW), expect, "{vouched} {began}");
    };
    check(0, 0, State::Fresh);
    check(299, 299, State::Fresh);
    check(300, 300, State::Stale);
    check(1_799, 1_799, State::Stale);
    check(1_800, 1_800, State::Over);
    check(0, 12 * 3_600 - 1, State::Fresh);
    check(0, 12 * 3_600, State::Over);
    check(-30, 0, State::Fresh);
    check(-31, 0, State::Over);
    check(0, -31, State::Over);
    // An idle limit below what is fresh would end a session that is in use.
    let short = Limits { idle: Duration::from_secs(1), ..LIMITS };
    assert_eq!(age(299, 299).state(short, NOW), State::Fresh);
    assert_eq!(age(300, 300).state(short, NOW), State::Over);
}

#[test]
fn revocations_of_grant_subject_and_client_reach_a_session() {
    let credential = session().credential(LIMITS);
    let (keys, blocks) = (Keys::default(), Blocks::default());
    let judged = |revoked: &Revocations, now| {
        let standing = Standing { keys: &keys, blocks: &blocks, revoked, now };
        still_good(&credential, standing)
    };
    assert_eq!(judged(&Revocations::default(), NOW), Ok(()));
    for (kind, value) in [
        (RevokedKind::Grant, "g1"),
        (RevokedKind::Subject, "ada"),
        (RevokedKind::Client, "portcullis-gate"),
    ] {
        let revoked = Revoked { not_before: NOW, until: UnixMs(NOW.0 + 3_600_000) };
        let table = Revocations::default().with([(kind, value.into(), revoked)]);
        assert_eq!(judged(&table, NOW), Err(base::code::TOKEN_REVOKED), "{kind:?}");
    }
    // No credential outlives the authority's word but by what clocks differ.
    let late = NOW.plus(FRESH).plus(base::limits::CLOCK_SKEW);
    assert_eq!(judged(&Revocations::default(), late), Err(base::code::TOKEN_EXPIRED));
}

#[test]
fn a_session_can_meet_an_mfa() {
    let ask = |word: &str| Mfa { acr: Acr::own(word), max_age: Some(Duration::from_secs(300)) };
    let credential = session().credential(LIMITS);
    assert!(ask("aal2").judge(&credential, NOW).is_ok());
    assert!(ask("phr").judge(&credential, NOW).is_err());
    assert!(ask("aal2").judge(&credential, UnixMs(NOW.0 + 240_001)).is_err());
}

#[test]
fn attack_csrf_what_changes_something_comes_from_our_own_pages() {
    const OWN: &str = "https://api.example.com";
    let check = |method: &str, site: &[&str], origin: &[&str], expect: bool| {
        let sites: Vec<&[u8]> = site.iter().map(|it| it.as_bytes()).collect();
        let origins: Vec<&[u8]> = origin.iter().map(|it| it.as_bytes()).collect();
        let asked = Origins { method, upgrade: false, sites: &sites, origins: &origins, own: OWN };
        assert_eq!(asked.let_a_cookie_pass(), expect, "{method} {site:?} {origin:?}");
        // A WebSocket is judged like what changes something, whatever its method.
        let upgrade = Origins { upgrade: true, ..asked };
        let strict = Origins { method: "POST", ..asked };
        assert_eq!(upgrade.let_a_cookie_pass(), strict.let_a_cookie_pass());
    };
    for method in ["GET", "HEAD", "OPTIONS"] {
        check(method, &["cross-site"], &["https://evil.example"], true);
        check(method, &[], &[], true);
    }
    for method in ["POST", "PUT", "PATCH", "DELETE", "get", "QUERY", ""] {
        check(method, &["same-origin"], &[OWN], true);
        check(method, &["same-origin"], &[], true);
        check(method, &[], &[OWN], true);
        for (site, origin) in [
            (&[][..], &[][..]),
            (&["cross-site"], &[OWN]),
            (&["same-site"], &[OWN]),
            (&["none"], &[]),
            (&["Same-Origin"], &[OWN]),
            (&["same-origin", "same-origin"], &[OWN]),
            (&["same-origin"], &["https://evil.example"]),
            (&["same-origin"], &["null"]),
            (&["same-origin"], &[OWN, OWN]),
            (&[], &["null"]),
            (&[], &["http://api.example.com"]),
            (&[], &["https://api.example.com:8443"]),
            (&[], &["https://api.example.com.evil.example"]),
            (&[], &["https://evil-api.example.com"]),
            (&[], &["https://api.example.com/"]),
            (&[], &[""]),
            (&[""], &[OWN]),
        ] {
            check(method, site, origin, false);
        }
    }
}

#[test]
fn rfc6265bis_s8_6_two_cookies_of_one_name_are_none() {
    let check = |header: &str, expect: Option<&str>| {
        let found = cookie(header.as_bytes(), COOKIE);
        assert_eq!(found, expect.map(str::as_bytes), "{header}");
    };
    check("__Host-portcullis-session=x", Some("x"));
    check("a=1; __Host-portcullis-session=x;b=2", Some("x"));
    check("a=1;__Host-portcullis-session=", Some(""));
    check("__Host-portcullis-session=x; __Host-portcullis-session=y", None);
    check("__Host-portcullis-session2=x", None);
    check("x__Host-portcullis-session=x", None);
    check("a=__Host-portcullis-session=x", None);
    check("__host-portcullis-session=x", None);
    check("__Host-portcullis-session", None);
    check("", None);
}

#[test]
fn no_secret_is_printed() {
    let text = format!("{:?} {:?}", session(), sealer(7));
    assert!(!text.contains("pcr_secret") && !text.contains("[7"), "{text}");
}

proptest! {
    #[test]
    fn nothing_opens_but_what_was_sealed(bytes in prop::collection::vec(any::<u8>(), 0..5_000)) {
        prop_assert_eq!(sealer(1).open(&bytes, HOST), None);
        let spelled = protocol::b64::encode(&bytes);
        prop_assert_eq!(sealer(1).open(spelled.as_bytes(), HOST), None);
        let _ = cookie(&bytes, COOKIE);
    }
}
