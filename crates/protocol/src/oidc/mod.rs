//! OpenID Connect: what is said of a person, and to whom.
//!
//! Owns: ID tokens and their hashes, logout tokens, the hint that an ID token is, standard scopes and
//! claims, pairwise subjects.
//!
//! Never does: know where a person's data lies; it is handed in as an object of claims.
//!
//! Invariant: a claim is given only if a scope or the `claims` parameter asks for it.

mod claims;
mod hint;
mod id_token;
mod logout;
mod subject;

pub use claims::{STANDARD_CLAIMS, id_token_claims, scope_claims, signed_userinfo, userinfo};
pub use hint::{HintError, IdTokenHint};
pub use id_token::{IdTokenClaims, token_hash};
pub use logout::{LOGOUT_EVENT, LOGOUT_LIFETIME, LOGOUT_TYP, LogoutDraft, LogoutTokenClaims};
pub use subject::{SALT_BYTES_MIN, SubjectType, pairwise, sector};

/// `typ` of an ID token.
pub const ID_TOKEN_TYP: &str = "JWT";
