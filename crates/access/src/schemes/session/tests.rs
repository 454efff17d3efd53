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
        let found = cookie(std::iter::once(header.as_bytes()), COOKIE);
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
        let _ = cookie(std::iter::once(&bytes[..]), COOKIE);
    }
}

/// What judging comes to: a route with these limits, a state, and what a look-up brought.
mod judged {
    use super::*;
    use crate::live::{Block, BlockKind};
    use crate::policy::{Expr, Policy, Possession, Route, SessionRule, Shadow};
    use crate::replay::Replays;
    use crate::schemes::api_key::Pepper;
    use crate::schemes::{Asking, Tools};
    use crate::snapshot::Snapshot;
    use crate::table::RouteTable;
    use crate::verified::{Fingerprints, VerifiedCache};
    use protocol::dpop::NonceMaker;

    const OWN: &str = "https://api.example.com";
    const SAFE: Origins<'_> =
        Origins { method: "GET", upgrade: false, sites: &[], origins: &[], own: OWN };

    struct World {
        snapshot: Snapshot<()>,
        tools: Tools,
        route: Route<()>,
    }

    impl World {
        fn new() -> Self {
            let policy = Policy {
                issuers: Vec::new(),
                routes: Vec::new(),
                table: RouteTable::build(&[]).expect("a table"),
                resources: Default::default(),
                sessions: Default::default(),
            };
            let rule = SessionRule { groups: Arc::new([]), limits: LIMITS, mfa: None };
            let route = Route {
                name: "app".into(),
                access: Expr::Any(vec![Expr::Session(rule)]),
                shadowed: None,
                lists: Vec::new(),
                rates: Vec::new(),
                dpop: Possession::Optional,
                shadow: Shadow::default(),
                strict: false,
                scopes_text: None,
                act: (),
            };
            let snapshot = Snapshot {
                version: 0,
                policy: Arc::new(policy),
                keys: Default::default(),
                blocks: Default::default(),
                revoked: Default::default(),
                lists: Vec::new().into(),
                stale: false,
            };
            let tools = Tools {
                fingerprints: Fingerprints::new().expect("randomness"),
                pepper: Pepper::new(&Secret::new([1; 32])),
                replays: Arc::new(Replays::new()),
                nonces: Arc::new(
                    NonceMaker::new(&Secret::new([1; 32]), Duration::from_secs(60)).expect("a key"),
                ),
                sessions: sealer(1),
            };
            Self { snapshot, tools, route }
        }

        fn judge(
            &self,
            session: &Session,
            (origins, alone): (Origins<'_>, bool),
            asking: Asking<'_>,
        ) -> Outcome {
            let value = sealer(1).seal(session, HOST).expect("a cookie");
            let shown = Shown { value: value.as_bytes(), host: HOST, origins };
            let cache = VerifiedCache::default();
            let ctx = Context {
                snapshot: &self.snapshot,
                route: &self.route,
                cache: &cache,
                tools: &self.tools,
                now: NOW,
                asking,
            };
            authenticate(&ctx, shown, alone)
        }
    }

    const MAY: Asking<'_> = Asking { may_ask: true, learnt: None };

    /// One word for what came of it.
    fn word(outcome: Outcome) -> String {
        match outcome {
            Outcome::NotPresented => "nothing".to_owned(),
            Outcome::Accepted(credential) => format!("{} in {}", credential.subject, credential.id),
            Outcome::Rejected(denial) => denial.code.to_string(),
            Outcome::Need(crate::schemes::Lookup::Session(kept)) => format!("ask {}", kept.grant),
            Outcome::Need(other) => format!("{other:?}"),
        }
    }

    #[test]
    fn a_session_is_taken_asked_about_or_over() {
        let world = World::new();
        let check = |session: &Session, asking: Asking<'_>, expect: &str| {
            assert_eq!(word(world.judge(session, (SAFE, true), asking)), expect, "{asking:?}");
        };
        check(&age(0, 60), MAY, "ada in s1");
        check(&age(299, 600), MAY, "ada in s1");
        check(&age(300, 600), MAY, "ask g1");
        check(&age(1_800, 1_900), MAY, "nothing");
        check(&age(10, 12 * 3_600), MAY, "nothing");
        check(&age(-60, 60), MAY, "nothing");
        // The authority cannot be asked: nothing is known, and nobody is let in.
        check(&age(300, 600), Asking { may_ask: false, learnt: None }, "issuer.unavailable");
        // It was asked.
        let learnt = |it: Option<Session>| Learnt::Session(it.map(Arc::new));
        let judge = |learnt: &Learnt, expect: &str| {
            check(&age(300, 600), Asking { may_ask: false, learnt: Some(learnt) }, expect);
        };
        judge(&learnt(Some(age(0, 600))), "ada in s1");
        judge(&learnt(None), "nothing");
        // What came of it is no better than what was asked.
        judge(&learnt(Some(age(400, 600))), "nothing");
        judge(&learnt(Some(age(0, 12 * 3_600))), "nothing");
        judge(
            &learnt(Some(Session { grant: "another".into(), ..age(0, 600) })),
            "issuer.unavailable",
        );
    }

    #[test]
    fn what_ended_is_nothing_and_who_is_blocked_is_refused() {
        let mut world = World::new();
        let revoked = Revoked { not_before: NOW, until: UnixMs(NOW.0 + 3_600_000) };
        for (kind, value) in [
            (RevokedKind::Session, "s1"),
            (RevokedKind::Grant, "g1"),
            (RevokedKind::Subject, "ada"),
            (RevokedKind::Client, "portcullis-gate"),
        ] {
            world.snapshot.revoked = Revocations::default().with([(kind, value.into(), revoked)]);
            assert_eq!(word(world.judge(&session(), (SAFE, true), MAY)), "nothing", "{kind:?}");
        }
        let block =
            Block { kind: BlockKind::Subject, issuer: None, value: "ada".into(), expires_at: None };
        world.snapshot.blocks = Arc::new([block].into_iter().collect());
        assert_eq!(word(world.judge(&session(), (SAFE, true), MAY)), "token.revoked");
    }

    #[test]
    fn a_route_that_insists_on_keys_takes_no_cookie() {
        let mut world = World::new();
        world.route.dpop = Possession::Required;
        assert_eq!(word(world.judge(&session(), (SAFE, true), MAY)), "nothing");
        assert_eq!(word(world.judge(&age(300, 600), (SAFE, true), MAY)), "nothing");
    }

    #[test]
    fn attack_csrf_is_refused_before_anybody_is_asked() {
        let world = World::new();
        let other = Origins { method: "POST", sites: &[b"cross-site"], ..SAFE };
        let check = |session: &Session, alone: bool, expect: &str| {
            assert_eq!(word(world.judge(session, (other, alone), MAY)), expect);
        };
        check(&age(0, 60), true, "session.cross_site");
        check(&age(300, 600), true, "session.cross_site");
        // Beside another credential the cookie counts for nothing, and harms nothing.
        check(&age(0, 60), false, "nothing");
        // One that is over is none, wherever it comes from.
        check(&age(1_800, 1_900), true, "nothing");
    }
}
