//! JOSE and OAuth: bytes in, checked values out.
//!
//! Owns: the strict readers of base64url, JSON, JWK, JWS and JWT, of introspection and discovery
//! documents, of the `Authorization` header and of API keys; the signing of our own tokens; the text of
//! `WWW-Authenticate`; the pure part of an authorization server: requests, client authentication, metadata,
//! DPoP, the claims of every token.
//!
//! Never does: read a clock, the network or a store. Time comes in as an argument, key sets as bytes.
//!
//! Invariant: a [`jwk::VerifyingKey`] carries its kind in its type, and an algorithm either fits that kind
//! or cannot be used with it; nothing that a token says can change how a key is used.
//!
//! Invariant: claims of a token can be had only after its signature was verified ([`jwt::Token::verify`]);
//! before that only what is needed to find the right key is readable.

mod algorithm;
pub mod apikey;
pub mod b64;
pub mod bearer;
pub mod challenge;
pub mod dpop;
mod error;
pub mod json;
pub mod jwk;
pub mod jws;
pub mod jwt;
pub mod oauth;
pub mod oidc;
mod p256;
pub mod sign;

pub use algorithm::{Algorithm, AlgorithmFault, AlgorithmSet};
pub use error::JwtError;
