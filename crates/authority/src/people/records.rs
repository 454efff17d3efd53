//! What is kept of authenticators (NIST SP 800-63B-4 §1).

pub use crate::factors::recovery::KeptCode;
use base::UnixMs;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::net::IpAddr;
use std::time::Duration;

/// Authenticators of one person: a few phones, keys and browsers. A bound on what a sign-in reads.
pub const AUTHENTICATORS_MOST: usize = 64;
/// Browsers of one person that are known; the one that was used longest ago is forgotten for another.
pub const DEVICES_MOST: usize = 20;
/// Characters of what a browser calls itself that are kept.
const AGENT_CHARS: usize = 200;
/// Failures in a row after which an authenticator is shut (NIST SP 800-63B-4 §3.2.2).
pub const FAILURES_MOST: u32 = 100;

/// A kind of factor, or of what counts for one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FactorKind {
    /// The account's password. Its row holds failures only.
    Password,
    /// A one-time code by time (RFC 6238).
    Totp,
    /// A passkey or security key (WebAuthn).
    Passkey,
    /// Recovery codes.
    Recovery,
    /// Not a factor: a browser that has signed in before.
    Device,
    /// Not a factor of ours: a provider where the person has signed in (federation).
    Federated,
}

impl FactorKind {
    /// All kinds.
    pub const ALL: [Self; 6] =
        [Self::Password, Self::Totp, Self::Passkey, Self::Recovery, Self::Device, Self::Federated];

    /// Its word in the store, in forms and in events.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Password => "password",
            Self::Totp => "totp",
            Self::Passkey => "passkey",
            Self::Recovery => "recovery",
            Self::Device => "device",
            Self::Federated => "federated",
        }
    }

    /// From its word.
    pub fn read(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word)
    }

    /// Whether an authenticator of this kind makes a second factor.
    pub fn is_second(self) -> bool {
        matches!(self, Self::Totp | Self::Passkey)
    }
}

/// What belongs to a kind.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum AuthenticatorData {
    /// Nothing but the count of failures.
    Password {},
    /// A shared secret.
    Totp {
        /// Sealed under the master key, hexadecimal.
        sealed: String,
        /// `SHA1` or `SHA256`.
        algorithm: String,
        /// The last time step that was used (RFC 6238 §5.2: each is used once).
        last_step: Option<i64>,
        /// How many steps its clock was off, when it was last used.
        drift: i8,
    },
    /// A public key.
    Passkey {
        /// The credential as the library keeps it.
        credential: Value,
        /// Whether its maker vouches for it, and it keeps its key to itself: with another factor, or user verification, `aal3`.
        hardware: bool,
        /// Whether it is kept elsewhere too.
        backed_up: bool,
    },
    /// Codes on paper.
    Recovery {
        /// The codes.
        codes: Vec<KeptCode>,
    },
    /// A browser.
    Device {
        /// As it called itself when it was last used.
        user_agent: String,
    },
    /// An account at a provider.
    Federated {
        /// The provider's issuer.
        issuer: String,
        /// The person's `sub` there.
        subject: String,
    },
}

impl std::fmt::Debug for AuthenticatorData {
    /// The kind and nothing else.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.kind().as_str())
    }
}

impl AuthenticatorData {
    /// Its kind.
    pub fn kind(&self) -> FactorKind {
        match self {
            Self::Password {} => FactorKind::Password,
            Self::Totp { .. } => FactorKind::Totp,
            Self::Passkey { .. } => FactorKind::Passkey,
            Self::Recovery { .. } => FactorKind::Recovery,
            Self::Device { .. } => FactorKind::Device,
            Self::Federated { .. } => FactorKind::Federated,
        }
    }
}

/// One authenticator of a person.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuthenticatorRecord {
    /// 12 base62 characters.
    pub id: String,
    /// Whose.
    pub user: String,
    /// What people call it.
    pub name: String,
    /// By what it is found when nobody has said who they are: the credential's id of a passkey (base64url), issuer and
    /// subject of a federated account. Unique.
    pub handle: Option<String>,
    /// What belongs to its kind.
    pub data: AuthenticatorData,
    /// When it was added.
    pub created_at: UnixMs,
    /// When it last accepted.
    pub last_used_at: Option<UnixMs>,
    /// Failures since it last accepted.
    pub failures: u32,
    /// The latest spell of failures, for the person to look at. Nothing is judged by it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed: Option<Failed>,
}

/// Where an address is: its network, as people can compare it.
pub fn place(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(it) => {
            let [a, b, c, _] = it.octets();
            format!("{a}.{b}.{c}.0/24")
        }
        IpAddr::V6(it) => {
            let [a, b, c, ..] = it.segments();
            format!("{a:x}:{b:x}:{c:x}::/48")
        }
    }
}

/// Failures of one way of signing in that came close upon each other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Failed {
    /// How many.
    pub count: u32,
    /// The first.
    pub since: UnixMs,
    /// The last.
    pub at: UnixMs,
    /// The network that the last one came from.
    pub network: Option<String>,
    /// The browser of the last one, as it called itself.
    pub user_agent: String,
}

/// Failures that lie further apart than this are told apart.
const SPELL: Duration = Duration::from_secs(24 * 60 * 60);

impl Failed {
    /// One failure more.
    pub(crate) fn more(
        before: Option<&Self>,
        now: UnixMs,
        (from, user_agent): (Option<IpAddr>, &str),
    ) -> Self {
        let same = before.filter(|it| now.since(it.at) < SPELL);
        Self {
            count: same.map_or(0, |it| it.count).saturating_add(1),
            since: same.map_or(now, |it| it.since),
            at: now,
            network: from.map(place),
            user_agent: user_agent.chars().take(AGENT_CHARS).collect(),
        }
    }
}

impl AuthenticatorRecord {
    /// Its kind.
    pub fn kind(&self) -> FactorKind {
        self.data.kind()
    }

    /// Whether it is shut after too many failures.
    pub fn is_shut(&self) -> bool {
        self.failures >= FAILURES_MOST
    }
}
