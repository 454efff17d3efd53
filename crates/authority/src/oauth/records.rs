//! What is kept of clients, people, sessions, grants and what belongs to grants.
//!
//! Every record that is kept as a document serialises with `serde`; unknown members are refused, so that a
//! newer program's rows are never half understood.

mod people;

pub use people::{InDirectory, InFile, LetterPurpose, LetterRecord, SessionRecord, UserRecord};

use crate::error::PortError;
use base::{Secret, UnixMs};
use protocol::oauth::metadata::ClientMetadata;
use serde::{Deserialize, Serialize};

/// HMAC-SHA-256 under the pepper of a secret text and what it is used for.
pub type Mac = [u8; 32];

/// Which rules a client is held to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Profile {
    /// OAuth 2.1.
    #[default]
    Standard,
    /// FAPI 2.0 Security Profile.
    Fapi2Security,
    /// FAPI 2.0 Message Signing, which includes the Security Profile.
    Fapi2MessageSigning,
}

/// Whether a confidential client may leave PKCE out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Pkce {
    /// No code without a challenge.
    #[default]
    Required,
    /// A confidential standard client may; RFC 9700 §2.1.1's downgrade check holds all the same.
    Optional,
}

/// What access tokens look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TokenFormat {
    /// RFC 9068.
    #[default]
    Jwt,
    /// A reference that only introspection can read.
    Opaque,
}

/// What a used refresh token becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RefreshRotation {
    /// A new one each time; a spent one that comes back ends the grant.
    #[default]
    Rotate,
    /// The same one for as long as it lives (FAPI 2.0 §5.3.2.1, sender-constrained clients only).
    Keep,
}

/// Where a client came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Origin {
    /// An administrator made it.
    Admin,
    /// It stands in the configuration file; read-only elsewhere.
    File,
    /// Dynamic registration (RFC 7591).
    Dynamic,
    /// A client ID metadata document; the id is its URL.
    Document,
}

/// A client's secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClientSecret {
    /// HMAC under the pepper, hexadecimal.
    pub mac: String,
    /// When it was made.
    pub created_at: UnixMs,
    /// From when on it is refused; `None`: never by age.
    pub expires_at: Option<UnixMs>,
}

/// A client.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClientRecord {
    /// `client_id`: 12 base62 characters, or the URL of its metadata document, or what the file says.
    pub id: String,
    /// What people call it.
    pub name: String,
    /// Which rules hold.
    pub profile: Profile,
    /// PKCE.
    pub pkce: Pkce,
    /// Its access tokens.
    pub token_format: TokenFormat,
    /// Its refresh tokens.
    pub refresh: RefreshRotation,
    /// Seconds that its access tokens live; `None`: the authority's default.
    pub access_token_seconds: Option<u32>,
    /// The scopes that it may ask for, sorted. Empty: what any client may ask (`openid` and its kin).
    pub scopes: Vec<String>,
    /// The resources (RFC 8707) that it may ask for; empty: those of the routes that its scopes open.
    pub resources: Vec<String>,
    /// RFC 7591 metadata: redirect URIs, grants, authentication method, keys and the rest.
    pub metadata: ClientMetadata,
    /// Its secrets: one, or two while one is being replaced.
    pub secrets: Vec<ClientSecret>,
    /// HMAC of the registration access token (RFC 7592), hexadecimal.
    pub registration: Option<String>,
    /// Its metadata document as it was last fetched: SHA-256, hexadecimal. A change is shown and alerted.
    pub document_sha256: Option<String>,
    /// Whether people must be asked even where they agreed before, or (`false`) never for a client of our own.
    pub consent: bool,
    /// Where it came from.
    pub origin: Origin,
    /// When it was made.
    pub created_at: UnixMs,
    /// Who made it.
    pub created_by: String,
    /// From when on it is refused.
    pub disabled_at: Option<UnixMs>,
}

/// How a grant came about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GrantKind {
    /// Authorization code.
    Code,
    /// Device authorization (RFC 8628).
    Device,
    /// Token exchange (RFC 8693).
    Exchange,
}

/// What a person (or a client for itself) has allowed, and what is issued on it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GrantRecord {
    /// 12 base62 characters; the tokens' `gid`.
    pub id: String,
    /// How it came about.
    pub kind: GrantKind,
    /// To whom.
    pub client: String,
    /// On whose behalf.
    pub user: Option<String>,
    /// The scopes allowed, sorted.
    pub scopes: Vec<String>,
    /// The resources allowed (RFC 8707); empty: by scope.
    pub resources: Vec<String>,
    /// RFC 9396 details as granted: a JSON array, or null.
    pub authorization_details: serde_json::Value,
    /// The session in which it was given.
    pub session: Option<String>,
    /// When the person proved themselves.
    pub auth_time: Option<UnixMs>,
    /// How.
    pub amr: Vec<String>,
    /// To which level.
    pub acr: Option<String>,
    /// The OpenID Connect `nonce`.
    pub nonce: Option<String>,
    /// The OpenID Connect `claims` parameter.
    pub claims: serde_json::Value,
    /// RFC 9449 §10: the key to which everything is bound.
    pub dpop_jkt: Option<String>,
    /// When it was given.
    pub created_at: UnixMs,
    /// When it ends whatever happens.
    pub expires_at: UnixMs,
    /// From when on it is dead.
    pub revoked_at: Option<UnixMs>,
}

/// An authorization code.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CodeRecord {
    /// Its grant.
    pub grant: String,
    /// Who may redeem it.
    pub client: String,
    /// The `redirect_uri` of the request, if it named one.
    pub redirect_uri: Option<String>,
    /// RFC 7636 `code_challenge` (S256).
    pub challenge: Option<String>,
    /// From when on it is refused.
    pub expires_at: UnixMs,
}

/// A refresh token.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RefreshRecord {
    /// Its grant.
    pub grant: String,
    /// Who may use it.
    pub client: String,
    /// When it was made.
    pub created_at: UnixMs,
    /// From when on it is refused: the earlier of idle and absolute end.
    pub expires_at: UnixMs,
    /// When it was used; `None` in one that is made. What a store reads says it, to look at: whether a use is right,
    /// only the use itself finds out.
    pub spent_at: Option<UnixMs>,
}

/// An opaque access token.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccessRecord {
    /// The RFC 9068 claims that a JWT would have carried.
    pub claims: serde_json::Value,
    /// From when on it is refused.
    pub expires_at: UnixMs,
}

/// A pushed authorization request (RFC 9126).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PushedRecord {
    /// Who pushed it.
    pub client: String,
    /// The parameters, form-encoded, as they were judged.
    pub params: String,
    /// RFC 9449 §10.1: the key of the proof that came with it.
    pub dpop_jkt: Option<String>,
    /// From when on it is refused.
    pub expires_at: UnixMs,
}

/// Where a device authorization stands (RFC 8628).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DeviceState {
    /// Nobody has decided.
    Waiting,
    /// Somebody has agreed; the grant is there.
    Allowed {
        /// The grant's id.
        grant: String,
    },
    /// Somebody has refused.
    Denied,
    /// It was redeemed.
    Redeemed,
}

/// A device authorization.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeviceRecord {
    /// What the person types: 8 letters without vowels, upper case, no hyphen.
    pub user_code: String,
    /// Who asked.
    pub client: String,
    /// The scopes asked.
    pub scopes: Vec<String>,
    /// The resources asked.
    pub resources: Vec<String>,
    /// RFC 9396 details, or null.
    pub authorization_details: serde_json::Value,
    /// Where it stands.
    pub state: DeviceState,
    /// When it may be asked next.
    pub next_poll_at: UnixMs,
    /// Seconds between polls; grows by five with each that comes too early (RFC 8628 §3.5).
    pub interval_seconds: u32,
    /// From when on it is refused.
    pub expires_at: UnixMs,
}

/// What a person has agreed to for good, so that they are not asked again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConsentRecord {
    /// Who.
    pub user: String,
    /// To which client.
    pub client: String,
    /// The scopes, sorted.
    pub scopes: Vec<String>,
    /// The resources, sorted; an empty text stands for wherever the scopes lead.
    pub resources: Vec<String>,
    /// The RFC 9396 details that were agreed to: a JSON array, or null.
    pub authorization_details: serde_json::Value,
    /// When.
    pub at: UnixMs,
}

/// Where a signing key stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KeyStage {
    /// In the JWKS, so that everybody knows it before it is used.
    Published,
    /// Signs.
    Signing,
    /// Still in the JWKS, for the tokens that it has signed.
    Retired,
}

/// A signing key of the authority.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SigningKeyRecord {
    /// `kid`: the RFC 7638 thumbprint.
    pub kid: String,
    /// `ES256`, `EdDSA`, `PS256` or `RS256`.
    pub algorithm: String,
    /// Where it stands.
    pub stage: KeyStage,
    /// Since when.
    pub since: UnixMs,
    /// The public half, a JWK.
    pub public: serde_json::Value,
    /// The private half, PKCS#8, sealed under the master key, hexadecimal.
    pub sealed: String,
}

/// A trust rule for workload identity (RFC 7523): tokens of this issuer whose `sub` matches become the client.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrustRecord {
    /// 12 base62 characters.
    pub id: String,
    /// What people call it.
    pub name: String,
    /// The exact `iss`.
    pub issuer: String,
    /// Where its keys are; `None`: by discovery.
    pub jwks_uri: Option<String>,
    /// The `sub` that is let in; `*` stands for any run of characters but `:` and `/`.
    pub subject: String,
    /// The `aud` that the assertion must name; empty: our issuer.
    pub audience: String,
    /// Further claims that must have exactly these values.
    pub claims: serde_json::Map<String, serde_json::Value>,
    /// The client that the bearer becomes.
    pub client: String,
    /// At most these scopes, sorted.
    pub scopes: Vec<String>,
    /// When it was made.
    pub created_at: UnixMs,
    /// Who made it.
    pub created_by: String,
}

/// What a scope means, in words that people read at consent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScopeRecord {
    /// The scope.
    pub name: String,
    /// The words.
    pub description: String,
}

/// A group: what it is for, and which scopes only members may give.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GroupRecord {
    /// Its name, as it stands among the roles of accounts.
    pub name: String,
    /// What it is for; may be empty.
    pub description: String,
    /// The scopes, sorted.
    pub scopes: Vec<String>,
    /// When it was made.
    pub created_at: UnixMs,
    /// Who made it.
    pub created_by: String,
}

/// What a revocation is about. Tokens of `self` only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RevocationKind {
    /// One access token, by `jti`.
    Token,
    /// A grant, by `gid`: all that was or will be issued on it.
    Grant,
    /// A subject: what was issued at or before `not_before`.
    Subject,
    /// A client: what was issued at or before `not_before`.
    Client,
    /// A login session, by `sid`: the sessions of browsers at the gate that rest on it. Tokens go on.
    Session,
}

impl RevocationKind {
    /// All kinds.
    pub const ALL: [Self; 5] =
        [Self::Token, Self::Grant, Self::Subject, Self::Client, Self::Session];

    /// Its word in the store and in the feed.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::Grant => "grant",
            Self::Subject => "subject",
            Self::Client => "client",
            Self::Session => "session",
        }
    }

    /// From its word.
    ///
    /// # Errors
    /// [`PortError::Corrupt`] when it is none.
    pub fn read(word: &str) -> Result<Self, PortError> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.as_str() == word)
            .ok_or_else(|| PortError::Corrupt("a revocation's kind is malformed".to_owned()))
    }
}

/// A revocation. There is at most one for each kind and value; the later time counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revocation {
    /// What it is about.
    pub kind: RevocationKind,
    /// The `jti`, grant, subject, client or login session.
    pub value: String,
    /// For subjects and clients: what was issued at or before this is dead. For the others: when it was revoked.
    pub not_before: UnixMs,
    /// When it may be forgotten: everything that it concerns has expired.
    pub until: UnixMs,
}

/// A refresh token as it was just made: its MAC and, so that the same parent can be answered alike for some
/// seconds, its text sealed.
#[derive(Debug, Clone)]
pub struct NewRefresh {
    /// Its MAC.
    pub mac: Mac,
    /// What is kept.
    pub record: RefreshRecord,
    /// Its text, sealed under the master key.
    pub sealed: Secret<Vec<u8>>,
}
