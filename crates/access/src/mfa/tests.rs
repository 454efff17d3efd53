//! The order of levels, freshness, and what is not known.

use super::{ACR_BYTES, Acr, Asked, Mfa, OWN_LEVELS};
use crate::credential::Credential;
use base::{Scheme, UnixMs};
use std::time::Duration;

const NOW: UnixMs = UnixMs(1_800_000_000_000);

fn credential(acr: Option<&str>, age_s: Option<i64>) -> Credential {
    Credential {
        scheme: Scheme::Jwt,
        issuer: Some("self".into()),
        subject: "ada".into(),
        client_id: Some("app".into()),
        id: "j1".into(),
        id_is_jti: true,
        grant: None,
        lineage: Vec::new(),
        key: None,
        scopes: Default::default(),
        audiences: Vec::new(),
        claims: Default::default(),
        issued_at: None,
        not_before: None,
        expires_at: None,
        acr: acr.map(Into::into),
        authenticated_at: age_s.map(|age| UnixMs(NOW.0 - age * 1_000)),
        routes: Vec::new(),
    }
}

fn mfa(acr: Option<&str>, max_age_s: Option<u64>) -> Mfa {
    Mfa {
        acr: acr.map(|word| Acr::own(word).expect("a level")),
        max_age: max_age_s.map(Duration::from_secs),
    }
}

#[test]
fn eap_acr_values_s2_order_of_our_own_levels() {
    let words: Vec<(usize, &str)> = OWN_LEVELS
        .iter()
        .enumerate()
        .flat_map(|(at, level)| level.iter().map(move |word| (at, *word)))
        .collect();
    for (wanted_at, wanted) in &words {
        for (held_at, held) in &words {
            let met = Acr::own(wanted).expect("a level").is_met_by(held);
            assert_eq!(met, held_at >= wanted_at, "{wanted} by {held}");
        }
        for held in ["", "AAL3", "aal3 ", "aal4", "aal", "urn:aal3", "mfa"] {
            assert!(!Acr::own(wanted).expect("a level").is_met_by(held), "{wanted} by {held:?}");
        }
    }
    assert_eq!(Acr::own("aal4"), None);
    assert_eq!(Acr::own(""), None);
}

#[test]
fn words_of_other_issuers_have_no_order_but_the_one_that_is_said() {
    let exact = Acr::exact("aal1");
    assert!(exact.is_met_by("aal1") && !exact.is_met_by("aal2") && !exact.is_met_by(""));
    let order = ["low", "high"];
    let low = Acr::ordered("low", &order).expect("a word");
    let high = Acr::ordered("high", &order).expect("a word");
    assert!(low.is_met_by("high") && low.is_met_by("low") && !low.is_met_by("lower"));
    assert!(high.is_met_by("high") && !high.is_met_by("low"));
    assert_eq!(Acr::ordered("aal2", &order), None);
}

#[test]
fn openid_core_s3_1_2_1_max_age() {
    let check = |age: Option<i64>, most: u64, met: bool| {
        let verdict = mfa(None, Some(most)).judge(&credential(None, age), NOW);
        assert_eq!(verdict.is_ok(), met, "{age:?} of {most}: {verdict:?}");
    };
    check(Some(0), 300, true);
    check(Some(300), 300, true);
    check(Some(301), 300, false);
    check(Some(-30), 300, true);
    check(Some(-31), 300, false);
    check(Some(1_000_000_000), u64::MAX, true);
    check(None, u64::MAX, false);
    let end = mfa(None, Some(300)).judge(&credential(None, Some(100)), NOW);
    assert_eq!(end, Ok(Some(UnixMs(NOW.0 + 200_000))));
    // Nothing overflows at the ends of time.
    for at in [i64::MIN, i64::MAX, 0] {
        let mut held = credential(Some("aal3"), None);
        held.authenticated_at = Some(UnixMs(at));
        assert!(mfa(Some("aal1"), Some(300)).judge(&held, NOW).is_err(), "{at}");
    }
}

#[test]
fn rfc9470_s3_what_is_not_known_does_not_count() {
    let ask = mfa(Some("aal2"), None);
    assert!(ask.judge(&credential(Some("aal2"), Some(9_999_999)), NOW).is_ok());
    for (acr, age) in [
        (None, Some(1)),
        (Some(""), Some(1)),
        (Some("aal1"), Some(1)),
        (Some("aal2"), None),
        (Some("aal2"), Some(-31)),
        (Some("AAL2"), Some(1)),
        (Some("aal1 aal2"), Some(1)),
    ] {
        assert!(ask.judge(&credential(acr, age), NOW).is_err(), "{acr:?} {age:?}");
    }
}

#[test]
fn rfc9068_s2_2_a_clients_own_token_speaks_for_no_person() {
    let good = || credential(Some("aal3"), Some(1));
    let ask = mfa(Some("aal1"), Some(300));
    assert!(ask.judge(&good(), NOW).is_ok());
    assert!(ask.judge(&Credential { client_id: None, ..good() }, NOW).is_ok());
    assert!(ask.judge(&Credential { scheme: Scheme::Opaque, ..good() }, NOW).is_ok());
    assert!(ask.judge(&Credential { subject: "app".into(), ..good() }, NOW).is_err());
    assert!(ask.judge(&Credential { subject: "".into(), ..good() }, NOW).is_err());
    assert!(ask.judge(&Credential { scheme: Scheme::ApiKey, ..good() }, NOW).is_err());
}

#[test]
fn both_of_two_rules_hold_and_one_prompt_suffices() {
    let both = mfa(Some("aal2"), Some(900)).and(&mfa(Some("phr"), Some(300)));
    let other = mfa(Some("phr"), Some(300)).and(&mfa(Some("aal2"), Some(900)));
    for both in [&both, &other] {
        let asked = Asked { acr: Some("phr".into()), max_age: Some(Duration::from_secs(300)) };
        assert_eq!(both.asked(), asked);
        assert!(both.judge(&credential(Some("aal3"), Some(300)), NOW).is_ok());
        assert!(both.judge(&credential(Some("aal2"), Some(1)), NOW).is_err());
        assert!(both.judge(&credential(Some("phr"), Some(301)), NOW).is_err());
    }
    let apart = Mfa { acr: Some(Acr::exact("gold")), max_age: None };
    let never = apart.and(&Mfa { acr: Some(Acr::exact("silver")), max_age: None });
    assert!(never.acr.as_ref().is_some_and(Acr::is_unreachable));
    for word in ["gold", "silver", ""] {
        assert!(never.judge(&credential(Some(word), Some(1)), NOW).is_err());
    }
    assert_eq!(mfa(None, Some(60)).and(&mfa(Some("aal2"), None)), mfa(Some("aal2"), Some(60)));
}

#[test]
fn a_word_that_is_too_long_is_no_word_of_a_rule() {
    assert!(OWN_LEVELS.iter().flat_map(|level| *level).all(|word| word.len() <= ACR_BYTES));
}

#[test]
fn the_record_says_what_was_there_and_what_is_asked() {
    let why = mfa(Some("aal2"), Some(300)).judge(&credential(Some("aal1"), Some(900)), NOW);
    assert_eq!(why, Err("acr aal1, 900 s ago; asked: acr aal2, at most 300 s ago".to_owned()));
}
