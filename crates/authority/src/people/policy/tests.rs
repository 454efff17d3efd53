//! What is asked, and that nothing less will do.

use super::*;
use crate::people::records::KeptCode;
use serde_json::Value;

const NOW: UnixMs = UnixMs(1_000_000);

fn owned(kinds: &[FactorKind]) -> Vec<AuthenticatorRecord> {
    let one = |kind: &FactorKind| AuthenticatorRecord {
        id: kind.as_str().to_owned(),
        user: "ann".to_owned(),
        name: String::new(),
        handle: None,
        data: match kind {
            FactorKind::Totp => AuthenticatorData::Totp {
                sealed: String::new(),
                algorithm: "SHA1".to_owned(),
                last_step: None,
                drift: 0,
            },
            FactorKind::Passkey => AuthenticatorData::Passkey {
                credential: Value::Null,
                hardware: false,
                backed_up: true,
            },
            _ => AuthenticatorData::Recovery {
                codes: vec![KeptCode { mac: String::new(), spent_at: None }],
            },
        },
        created_at: NOW,
        last_used_at: None,
        failures: 0,
        failed: None,
    };
    kinds.iter().map(one).collect()
}

fn proof(kind: FactorKind, at: UnixMs) -> Proof {
    let id = (kind != FactorKind::Password).then(|| kind.as_str().to_owned());
    Proof::new(kind, id, at)
}

fn need(level: Level) -> Need {
    Need { level, ..Need::LEAST }
}

#[test]
fn only_what_helps_is_offered() {
    use FactorKind::{Passkey, Password, Recovery, Totp};
    let check = |need: &Need, proofs: &[Proof], has: &[FactorKind], expect: Missing| {
        assert_eq!(missing(need, proofs, &owned(has), (true, NOW)), expect, "{need:?} {proofs:?}");
    };
    let pwd = proof(Password, NOW);
    let offer = |password, totp, passkey, recovery| {
        Missing::Proof(Offers { password, totp, passkey, recovery, federated: false })
    };
    check(&Need::LEAST, std::slice::from_ref(&pwd), &[], Missing::Nothing);
    check(&Need::LEAST, &[], &[], offer(true, false, None, false));
    check(
        &need(Level::Aal2),
        std::slice::from_ref(&pwd),
        &[Totp, Recovery],
        offer(false, true, None, true),
    );
    check(
        &need(Level::Aal2),
        std::slice::from_ref(&pwd),
        &[Totp, Passkey],
        offer(false, true, Some(false), false),
    );
    check(
        &need(Level::Phr),
        std::slice::from_ref(&pwd),
        &[Totp, Passkey, Recovery],
        offer(false, false, Some(false), false),
    );
    // A key that was only touched knows nothing of who holds it.
    check(
        &need(Level::Aal2),
        &[proof(Passkey, NOW)],
        &[Passkey],
        offer(true, false, Some(true), false),
    );
    check(&need(Level::Aal2), std::slice::from_ref(&pwd), &[], Missing::Enrolment);
    // With another second factor in place, a stolen password adds none.
    check(&need(Level::Phr), &[pwd.clone(), proof(Totp, NOW)], &[Totp], Missing::Unreachable);
    check(&need(Level::Aal3), &[pwd], &[Passkey], Missing::Unreachable);
}

#[test]
fn rfc9470_s4_what_is_too_old_is_asked_again_and_nothing_else() {
    let old = UnixMs(1000);
    let proofs = [proof(FactorKind::Password, old), proof(FactorKind::Totp, old)];
    let fresh = Need { since: Some(UnixMs(500_000)), ..need(Level::Aal2) };
    let has = owned(&[FactorKind::Totp]);
    let expect = Offers { totp: true, ..Offers::default() };
    assert_eq!(missing(&fresh, &proofs, &has, (true, NOW)), Missing::Proof(expect));
    let again = level::with(proofs.to_vec(), proof(FactorKind::Password, NOW));
    assert!(!fresh.is_met(&again), "a password alone makes nothing fresh");
    let again = level::with(proofs.to_vec(), proof(FactorKind::Totp, NOW));
    assert!(fresh.is_met(&again));
}

#[test]
fn an_authenticator_that_is_shut_or_empty_is_not_offered() {
    let mut has = owned(&[FactorKind::Totp, FactorKind::Recovery]);
    has[0].failures = crate::people::records::FAILURES_MOST;
    has[1].data = AuthenticatorData::Recovery {
        codes: vec![KeptCode { mac: String::new(), spent_at: Some(NOW) }],
    };
    let proofs = [proof(FactorKind::Password, NOW)];
    let found = missing(&need(Level::Aal2), &proofs, &has, (true, NOW));
    assert_eq!(
        found,
        Missing::Unreachable,
        "and no new one may be added by who knows the password"
    );
}

#[test]
fn policies_add_up() {
    let policy = |level, groups: &[&str], clients: &[&str], factors: &[FactorKind]| Policy {
        name: "p".to_owned(),
        groups: groups.iter().map(|it| (*it).to_owned()).collect(),
        clients: clients.iter().map(|it| (*it).to_owned()).collect(),
        level,
        max_age: Some(Duration::from_secs(60)),
        factors: factors.to_vec(),
    };
    let policies = [
        policy(Level::Aal2, &["ops"], &[], &[FactorKind::Totp, FactorKind::Passkey]),
        policy(Level::Aal1, &[], &["bank"], &[FactorKind::Passkey]),
    ];
    let ops = ["ops".to_owned()];
    let base = Need::baseline(&policies, &ops, &[]);
    assert_eq!((base.level, base.since, base.factors.len()), (Level::Aal2, None, 2));
    assert_eq!(Need::baseline(&policies, &[], &[]), Need::LEAST);
    assert_eq!(Need::baseline(&[], &[], &owned(&[FactorKind::Totp])).level, Level::Aal2);
    let mut need = base;
    need.add(&policies, &ops, "bank", NOW);
    assert_eq!(need.factors, [FactorKind::Passkey]);
    assert_eq!(need.since, Some(UnixMs(NOW.0 - 60_000)));
    let totp = [proof(FactorKind::Password, NOW), proof(FactorKind::Totp, NOW)];
    assert!(!need.is_met(&totp));
    let none = [
        policy(Level::Aal2, &[], &[], &[FactorKind::Totp]),
        policy(Level::Aal2, &[], &[], &[FactorKind::Passkey]),
    ];
    let need = Need::baseline(&none, &[], &[]);
    assert!(!need.is_met(&[proof(FactorKind::Password, NOW), proof(FactorKind::Passkey, NOW)]));
}
