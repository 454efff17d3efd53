//! Where the vectors lie, and the tables of exceptions.

use serde::de::DeserializeOwned;
use serde_json::Value;
use std::path::Path;

/// Reads one file of vectors; `None`, with a word on standard output, where it is absent.
pub(crate) fn load<T: DeserializeOwned>(path: &str) -> Option<T> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/vectors");
    match std::fs::read(root.join(path)) {
        Ok(bytes) => Some(serde_json::from_slice(&bytes).unwrap()),
        Err(_) => {
            println!("skipped: vectors not present ({path})");
            None
        }
    }
}

/// A key set document of one key.
pub(crate) fn set_of(jwk: &Value) -> Vec<u8> {
    serde_json::json!({ "keys": [jwk] }).to_string().into_bytes()
}

/// The public part of a JWK. Only for vectors that give the private one alone.
pub(crate) fn public_part(jwk: &Value) -> Value {
    let mut jwk = jwk.clone();
    for name in ["d", "p", "q", "dp", "dq", "qi"] {
        jwk.as_object_mut().unwrap().remove(name);
    }
    jwk
}
