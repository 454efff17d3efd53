//! Subject identifiers (OpenID Connect Core §8).

use crate::b64;
use crate::oauth::uri::Uri;
use aws_lc_rs::digest::{Context, SHA256};
use base::Secret;
use serde::{Deserialize, Serialize};

/// Bytes that the salt has at least: with a short one, subjects could be guessed.
pub const SALT_BYTES_MIN: usize = 16;

/// Whether all clients see a person under one name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SubjectType {
    /// One name for all.
    #[default]
    Public,
    /// One name for each sector.
    Pairwise,
}

/// The name of `subject` for the clients of `sector` (§8.1): SHA-256 over sector, subject and salt, each
/// with its length before it, so that no two inputs run together. `None` when the salt is too short.
pub fn pairwise(sector: &str, subject: &str, salt: &Secret<Vec<u8>>) -> Option<String> {
    let salt = salt.expose();
    if salt.len() < SALT_BYTES_MIN {
        return None;
    }
    let mut hash = Context::new(&SHA256);
    for part in [sector.as_bytes(), subject.as_bytes(), salt] {
        hash.update(&(part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    Some(b64::encode(hash.finish()))
}

/// The sector of a client (§8.1): the host of its `sector_identifier_uri`, else the one host of all its
/// redirect URIs. `None` when there is none, or the redirect URIs have several and no URI decides.
pub fn sector<U: AsRef<str>>(
    sector_identifier_uri: Option<&str>,
    redirect_uris: &[U],
) -> Option<String> {
    let host = |uri: &str| Uri::parse(uri)?.web_host().map(str::to_ascii_lowercase);
    if let Some(uri) = sector_identifier_uri {
        return host(uri);
    }
    let mut hosts = redirect_uris.iter().map(|uri| host(uri.as_ref()));
    let first = hosts.next()??;
    hosts.all(|other| other.as_deref() == Some(&*first)).then_some(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn oidc_core_s8_1_one_name_for_each_sector() {
        let salt = Secret::new(vec![7; SALT_BYTES_MIN]);
        let of = |sector, subject| pairwise(sector, subject, &salt).unwrap();
        assert_eq!(of("a.example", "anna"), of("a.example", "anna"));
        let others = [of("b.example", "anna"), of("a.example", "bert"), of("a.examplea", "nna")];
        assert!(others.iter().all(|other| *other != of("a.example", "anna")));
        assert_ne!(
            pairwise("a.example", "anna", &Secret::new(vec![8; 16])),
            Some(of("a.example", "anna"))
        );
        assert_eq!(pairwise("a", "b", &Secret::new(vec![7; SALT_BYTES_MIN - 1])), None);
    }

    #[test]
    fn oidc_core_s8_1_the_sector_is_a_host() {
        let uris: Vec<Box<str>> =
            vec!["https://a.example/1".into(), "https://A.example:8443/2".into()];
        assert_eq!(sector(None, &uris).as_deref(), Some("a.example"));
        let several: Vec<Box<str>> =
            vec!["https://a.example/1".into(), "https://b.example/2".into()];
        assert_eq!(sector(None, &several), None);
        assert_eq!(
            sector(Some("https://c.example/s.json"), &several).as_deref(),
            Some("c.example")
        );
        assert_eq!(sector::<Box<str>>(None, &[]), None);
        assert_eq!(sector(None, &["com.example.app:/cb"]), None);
    }
}
