//! What is kept of people: accounts, codes that were mailed, browsers' sessions.

use crate::people::Proof;
use base::UnixMs;
use serde::{Deserialize, Serialize};

/// A person.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UserRecord {
    /// `sub` of tokens for everybody but pairwise clients: 12 base62 characters, never used again.
    pub id: String,
    /// The address that the person signs in with, lower case.
    pub email: String,
    /// Whether the person has shown that it is theirs.
    pub email_verified: bool,
    /// The full name.
    pub name: Option<String>,
    /// Further standard claims (OpenID Connect Core §5.1), as they go out.
    pub claims: serde_json::Map<String, serde_json::Value>,
    /// Groups and roles: `administrator`, `operator`, `auditor` give the `admin:*` scopes.
    pub roles: Vec<String>,
    /// Argon2id, PHC string; `None`: no password is set.
    pub password: Option<String>,
    /// Whether the password is good only beside a second factor: it would be too short alone.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub password_beside: bool,
    /// HMAC of the one-time set-up text, hexadecimal, and until when it holds.
    pub setup: Option<(String, UnixMs)>,
    /// When the account was made.
    pub created_at: UnixMs,
    /// Who made it.
    pub created_by: String,
    /// When it last changed (`updated_at`).
    pub updated_at: UnixMs,
    /// From when on it is refused.
    pub disabled_at: Option<UnixMs>,
    /// What a directory elsewhere (SCIM) keeps with it.
    #[serde(default)]
    pub directory: InDirectory,
    /// That it stands in the configuration file; read-only elsewhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub declared: Option<InFile>,
}

/// What is kept of an account's place in the configuration file.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InFile {
    /// SHA-256 of the password's hash that stood there last, hexadecimal: another one there replaces the password, the
    /// same one leaves what the person has chosen since.
    pub hash: Option<String>,
}

/// What a directory elsewhere keeps with an account (RFC 7643).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InDirectory {
    /// What the directory calls it (`externalId`).
    pub external_id: Option<String>,
    /// When the directory closed the account. Only where this is the account's `disabled_at` may it open it again.
    pub closed_at: Option<UnixMs>,
}

impl UserRecord {
    /// Whether the person may say which address is theirs; else a directory or the configuration file does.
    #[must_use]
    pub fn email_is_own(&self) -> bool {
        self.directory.external_id.is_none() && self.declared.is_none()
    }
}

impl std::fmt::Debug for UserRecord {
    /// Neither the password's hash nor personal data.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("UserRecord")
            .field("id", &self.id)
            .field("roles", &self.roles)
            .field("has_password", &self.password.is_some())
            .field("disabled_at", &self.disabled_at)
            .finish_non_exhaustive()
    }
}

/// What a mailed code is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LetterPurpose {
    /// A forgotten password is set anew.
    #[default]
    Recovery,
    /// An address is shown to be the person's.
    Address,
}

impl LetterPurpose {
    /// Its word in the store.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Recovery => "recovery",
            Self::Address => "address",
        }
    }
}

/// A code that was mailed.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LetterRecord {
    /// Whose.
    pub user: String,
    /// Where it was sent. Whoever has another address since then is somebody else for it.
    pub email: String,
    /// MAC of the cookie of the browser that asked, or of its session, hexadecimal.
    pub browser: String,
    /// When it was made.
    pub created_at: UnixMs,
    /// When it ends.
    pub expires_at: UnixMs,
    /// What it is good for.
    #[serde(default)]
    pub purpose: LetterPurpose,
    /// Which address the account had when it was asked for, where it proves one.
    #[serde(default)]
    pub before: Option<String>,
}

impl std::fmt::Debug for LetterRecord {
    /// Without what is personal.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LetterRecord")
            .field("user", &self.user)
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}

/// A browser's session at the authority.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SessionRecord {
    /// `sid` of tokens: 12 base62 characters. Not the secret.
    pub id: String,
    /// Whose.
    pub user: String,
    /// When the person proved themselves last.
    pub auth_time: UnixMs,
    /// How (RFC 8176).
    pub amr: Vec<String>,
    /// To which level.
    pub acr: String,
    /// When it began.
    pub created_at: UnixMs,
    /// When it ends whatever happens.
    pub expires_at: UnixMs,
    /// When it was last used, to an eighth of the time that it may lie idle; `None`: when it began.
    #[serde(default)]
    pub used_at: Option<UnixMs>,
    /// The browser as it called itself, cut to 200 characters.
    pub user_agent: String,
    /// The address it began from.
    pub client_ip: Option<std::net::IpAddr>,
    /// The clients that got tokens in it, for logout.
    pub clients: Vec<String>,
    /// What the person has proved in it; `auth_time`, `amr` and `acr` follow from this.
    #[serde(default)]
    pub proofs: Vec<Proof>,
}
