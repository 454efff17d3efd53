//! What a session proves.
//!
//! Never does: read a clock. Pure.

use super::records::FactorKind;
use crate::factors::passkey;
use base::UnixMs;
use serde::{Deserialize, Serialize};

/// How sure it is who somebody is (NIST SP 800-63B-4 §2; OpenID Connect EAP ACR Values 1.0). A higher one meets a lower one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// One factor.
    Aal1,
    /// Knowledge or inherence, and possession.
    Aal2,
    /// The same, with an authenticator that cannot be phished.
    Phr,
    /// The same, with one whose maker vouches that the key never leaves it.
    Aal3,
}

impl Level {
    /// All levels, the lowest first.
    pub const ALL: [Self; 4] = [Self::Aal1, Self::Aal2, Self::Phr, Self::Aal3];

    /// Its word in `acr`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Aal1 => "aal1",
            Self::Aal2 => "aal2",
            Self::Phr => "phr",
            Self::Aal3 => "aal3",
        }
    }

    /// From a word of `acr_values`; `phrh` is another name of the highest.
    pub fn read(word: &str) -> Option<Self> {
        if word == "phrh" {
            return Some(Self::Aal3);
        }
        Self::ALL.into_iter().find(|level| level.as_str() == word)
    }
}

/// One thing that a person has proved in a session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Proof {
    /// By which kind of factor.
    pub kind: FactorKind,
    /// By which authenticator; `None`: the password.
    pub authenticator: Option<String>,
    /// When.
    pub at: UnixMs,
    /// Whether the authenticator checked a PIN or biometric by itself (WebAuthn user verification).
    #[serde(default)]
    pub verified: bool,
    /// Whether it is a passkey whose maker vouches that its key never leaves it.
    #[serde(default)]
    pub hardware: bool,
    /// The level that a provider vouches for, where it is believed; of [`FactorKind::Federated`] only.
    #[serde(default)]
    pub upstream: Option<String>,
}

impl Proof {
    /// A proof of this kind and nothing special.
    pub fn new(kind: FactorKind, authenticator: Option<String>, at: UnixMs) -> Self {
        Self { kind, authenticator, at, verified: false, hardware: false, upstream: None }
    }

    fn is_possession(&self) -> bool {
        match self.kind {
            // A recovery code is a look-up secret: something that the person has (NIST SP 800-63B-4 §3.1.2).
            FactorKind::Totp | FactorKind::Passkey | FactorKind::Recovery => true,
            FactorKind::Federated => self.upstream_level() >= Some(Level::Aal2),
            FactorKind::Password | FactorKind::Device => false,
        }
    }

    fn is_knowledge_or_inherence(&self) -> bool {
        match self.kind {
            FactorKind::Password => true,
            FactorKind::Passkey => self.verified,
            // Somebody else has looked at a first factor.
            FactorKind::Federated => true,
            FactorKind::Totp | FactorKind::Recovery | FactorKind::Device => false,
        }
    }

    fn upstream_level(&self) -> Option<Level> {
        self.upstream.as_deref().and_then(Level::read)
    }

    fn is_phishing_resistant(&self) -> bool {
        self.kind == FactorKind::Passkey || self.upstream_level() >= Some(Level::Phr)
    }
}

/// The level that these proofs reach; `None`: nothing is proved that a session could stand on.
pub fn level(proofs: &[Proof]) -> Option<Level> {
    let any = |test: fn(&Proof) -> bool| proofs.iter().any(test);
    let possession = any(Proof::is_possession);
    let other = any(Proof::is_knowledge_or_inherence);
    match (other, possession) {
        (true, true) if any(|it| it.kind == FactorKind::Passkey && it.hardware) => {
            Some(Level::Aal3)
        }
        (true, true) if any(Proof::is_phishing_resistant) => Some(Level::Phr),
        (true, true) => Some(Level::Aal2),
        (true, false) => Some(Level::Aal1),
        // A security key alone is one factor; a code alone begins no session.
        (false, true) if any(|it| it.kind == FactorKind::Passkey) => Some(Level::Aal1),
        (false, _) => None,
    }
}

/// When the person proved themselves: the last proof of possession once there is one, else the last proof.
pub fn auth_time(proofs: &[Proof]) -> Option<UnixMs> {
    let latest = |of: &mut dyn Iterator<Item = &Proof>| of.map(|it| it.at).max();
    latest(&mut proofs.iter().filter(|it| it.is_possession()))
        .or_else(|| latest(&mut proofs.iter()))
}

/// Since when all that a session stands on has been proved: the earlier of the last proof of possession and the last one of
/// the other kind (NIST SP 800-63B-4 §2.2.3). WHY: a session that one factor alone could prolong would never ask for the
/// other one again.
pub fn stands_since(proofs: &[Proof]) -> Option<UnixMs> {
    let latest =
        |test: fn(&Proof) -> bool| proofs.iter().filter(|it| test(it)).map(|it| it.at).max();
    let both = [latest(Proof::is_possession), latest(Proof::is_knowledge_or_inherence)];
    both.into_iter().flatten().min()
}

/// The names of what was proved, and how (RFC 8176 §2).
pub fn amr(proofs: &[Proof]) -> Vec<String> {
    let mut names = Vec::new();
    for proof in proofs {
        let of: &[&str] = match proof.kind {
            FactorKind::Password => &["pwd"],
            FactorKind::Totp => &["otp"],
            FactorKind::Recovery => &["otp"],
            FactorKind::Passkey if proof.hardware => passkey::AMR_HARDWARE,
            FactorKind::Passkey => passkey::AMR,
            FactorKind::Federated => &["fed"],
            FactorKind::Device => &[],
        };
        names.extend(of.iter().filter(|it| !names.contains(*it)).copied().collect::<Vec<_>>());
    }
    if level(proofs) >= Some(Level::Aal2) {
        names.push("mfa");
    }
    names.into_iter().map(str::to_owned).collect()
}

/// The proofs of a session after another one: one of each authenticator, the latest.
pub fn with(mut proofs: Vec<Proof>, more: Proof) -> Vec<Proof> {
    proofs.retain(|it| (it.kind, &it.authenticator) != (more.kind, &more.authenticator));
    proofs.push(more);
    // One of each authenticator there can be, so this is no bound that a person meets.
    let surplus = proofs.len().saturating_sub(super::records::AUTHENTICATORS_MOST);
    proofs.drain(..surplus);
    proofs
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proof(kind: FactorKind, at: i64) -> Proof {
        Proof::new(
            kind,
            (kind != FactorKind::Password).then(|| kind.as_str().to_owned()),
            UnixMs(at),
        )
    }

    fn passkey(verified: bool, hardware: bool) -> Proof {
        Proof { verified, hardware, ..proof(FactorKind::Passkey, 3) }
    }

    #[test]
    fn nist_800_63b_s2_levels() {
        use FactorKind::{Device, Password, Recovery, Totp};
        let check = |proofs: &[Proof], expect: Option<Level>| {
            assert_eq!(level(proofs), expect, "{proofs:?}");
        };
        let (pwd, otp) = (proof(Password, 1), proof(Totp, 2));
        check(&[], None);
        check(std::slice::from_ref(&pwd), Some(Level::Aal1));
        check(std::slice::from_ref(&otp), None);
        check(&[proof(Recovery, 2)], None);
        check(&[proof(Device, 2)], None);
        check(&[otp.clone(), proof(Recovery, 2)], None);
        check(&[pwd.clone(), proof(Device, 2)], Some(Level::Aal1));
        check(&[pwd.clone(), otp.clone()], Some(Level::Aal2));
        check(&[pwd.clone(), proof(Recovery, 2)], Some(Level::Aal2));
        check(&[passkey(false, true)], Some(Level::Aal1));
        check(&[passkey(false, false), otp.clone()], Some(Level::Aal1));
        check(&[passkey(true, false)], Some(Level::Phr));
        check(&[pwd.clone(), passkey(false, false)], Some(Level::Phr));
        check(&[pwd, passkey(false, true)], Some(Level::Aal3));
        check(&[passkey(true, true)], Some(Level::Aal3));
        let fed = proof(FactorKind::Federated, 1);
        check(std::slice::from_ref(&fed), Some(Level::Aal1));
        check(&[Proof { upstream: Some("aal2".to_owned()), ..fed.clone() }], Some(Level::Aal2));
        check(&[Proof { upstream: Some("gold".to_owned()), ..fed }], Some(Level::Aal1));
    }

    #[test]
    fn a_password_alone_makes_nothing_of_two_factors_fresh() {
        let proofs = vec![proof(FactorKind::Password, 1), proof(FactorKind::Totp, 2)];
        let again = with(proofs, proof(FactorKind::Password, 900));
        assert_eq!((auth_time(&again), again.len()), (Some(UnixMs(2)), 2));
        let again = with(again, proof(FactorKind::Totp, 901));
        assert_eq!(auth_time(&again), Some(UnixMs(901)));
        assert_eq!(amr(&again), ["pwd", "otp", "mfa"]);
    }

    #[test]
    fn nist_800_63b_s2_2_3_one_factor_alone_prolongs_nothing() {
        use FactorKind::{Password, Recovery, Totp};
        assert_eq!(stands_since(&[]), None);
        assert_eq!(stands_since(&[proof(Password, 1)]), Some(UnixMs(1)));
        assert_eq!(stands_since(&[proof(Password, 1), proof(Totp, 9)]), Some(UnixMs(1)));
        assert_eq!(stands_since(&[proof(Password, 9), proof(Totp, 2)]), Some(UnixMs(2)));
        let three = [proof(Recovery, 1), proof(Password, 8), proof(Totp, 9)];
        assert_eq!(stands_since(&three), Some(UnixMs(8)));
        assert_eq!(stands_since(&[proof(Password, 1), passkey(true, false)]), Some(UnixMs(3)));
        assert_eq!(stands_since(&[proof(Password, 1), passkey(false, false)]), Some(UnixMs(1)));
    }

    #[test]
    fn phrh_is_the_highest() {
        assert_eq!(Level::read("phrh"), Some(Level::Aal3));
        assert_eq!(Level::read("aal4"), None);
        assert!(Level::Aal3 > Level::Phr && Level::Phr > Level::Aal2 && Level::Aal2 > Level::Aal1);
    }
}
