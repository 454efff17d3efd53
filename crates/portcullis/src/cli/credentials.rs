//! What `portcullis login` has brought, by the URL of the gate.
//!
//! Invariants: the file and its folder are this user's alone; what was kept for one URL is never read for another.

use super::error::CliError;
use crate::config::{Surroundings as _, System};
use base::{Secret, UnixMs};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::PathBuf;

/// Bytes of the file; a sign-in has some 2 KB.
const FILE_BYTES: u64 = 1 << 20;

/// A sign-in at one gate.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Entry {
    /// The authority.
    pub(super) issuer: String,
    /// Its token endpoint.
    pub(super) token_endpoint: String,
    /// The audience of the tokens.
    pub(super) resource: String,
    access_token: String,
    refresh_token: Option<String>,
    /// When the access token ends, milliseconds since 1970.
    pub(super) expires_at: UnixMs,
    /// The scopes.
    pub(super) scope: String,
}

impl std::fmt::Debug for Entry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Entry").field("issuer", &self.issuer).finish_non_exhaustive()
    }
}

/// What a token endpoint has answered.
#[derive(Deserialize)]
pub(super) struct Tokens {
    access_token: String,
    token_type: String,
    #[serde(default)]
    refresh_token: Option<String>,
    expires_in: u64,
    #[serde(default)]
    scope: Option<String>,
}

impl Entry {
    /// From the answer of the token endpoint; `before` is what it replaces.
    ///
    /// # Errors
    /// When the token is not one that can be used as it is.
    pub(super) fn new(
        (issuer, token_endpoint, resource): (String, String, String),
        tokens: Tokens,
        before: Option<&Self>,
        now: UnixMs,
    ) -> Result<Self, CliError> {
        if !tokens.token_type.eq_ignore_ascii_case("bearer") {
            return Err(CliError::Broken("the token is no bearer token".to_owned()));
        }
        let old = |of: fn(&Self) -> String| before.map(of).unwrap_or_default();
        Ok(Self {
            issuer,
            token_endpoint,
            resource,
            access_token: tokens.access_token,
            refresh_token: tokens
                .refresh_token
                .or_else(|| before.and_then(|it| it.refresh_token.clone())),
            expires_at: now.plus(std::time::Duration::from_secs(tokens.expires_in)),
            scope: tokens.scope.unwrap_or_else(|| old(|it| it.scope.clone())),
        })
    }

    pub(super) fn access_token(&self) -> Secret<String> {
        Secret::new(self.access_token.clone())
    }

    pub(super) fn refresh_token(&self) -> Option<Secret<String>> {
        self.refresh_token.clone().map(Secret::new)
    }
}

/// The file, while nobody else of this user changes it.
#[derive(Debug)]
pub(super) struct Credentials {
    path: PathBuf,
    entries: BTreeMap<String, Entry>,
    _lock: File,
}

fn place() -> Result<PathBuf, CliError> {
    let configured = System.variable("XDG_CONFIG_HOME").map(PathBuf::from);
    let folder = configured.filter(|path| path.is_absolute());
    let folder = folder.or_else(|| std::env::home_dir().map(|home| home.join(".config")));
    let folder = folder.ok_or_else(|| CliError::Usage("there is no home folder".to_owned()))?;
    Ok(folder.join("portcullis").join("credentials.json"))
}

impl Credentials {
    /// Opens the file, and keeps others from changing it until this is dropped.
    ///
    /// # Errors
    /// When it cannot be read, is no such file, or others could read it.
    pub(super) async fn open() -> Result<Self, CliError> {
        let path = place()?;
        let failed = |why: String| CliError::Unreadable { path: place().unwrap_or_default(), why };
        let opening = tokio::task::spawn_blocking(move || Self::open_at(path));
        match opening.await {
            Ok(Ok(opened)) => Ok(opened),
            Ok(Err(error)) => Err(failed(error.to_string())),
            Err(error) => Err(failed(error.to_string())),
        }
    }

    fn open_at(path: PathBuf) -> std::io::Result<Self> {
        let folder = path.parent().map(PathBuf::from).unwrap_or_default();
        DirBuilder::new().recursive(true).mode(0o700).create(&folder)?;
        let mut options = OpenOptions::new();
        let lock = folder.join("credentials.lock");
        let lock = options.create(true).truncate(false).write(true).mode(0o600).open(lock)?;
        lock.lock()?;
        let entries = match File::open(&path) {
            Ok(file) => {
                let facts = file.metadata()?;
                // WHY: a file of somebody else, or that somebody else reads, is no place for a token.
                if facts.uid() != nix::unistd::geteuid().as_raw() || facts.mode() & 0o077 != 0 {
                    let why = "it must be yours alone: chmod 600";
                    return Err(std::io::Error::new(ErrorKind::PermissionDenied, why));
                }
                let mut text = String::new();
                file.take(FILE_BYTES).read_to_string(&mut text)?;
                let broken = |_| std::io::Error::new(ErrorKind::InvalidData, "it is not ours");
                serde_json::from_str(&text).map_err(broken)?
            }
            Err(error) if error.kind() == ErrorKind::NotFound => BTreeMap::new(),
            Err(error) => return Err(error),
        };
        Ok(Self { path, entries, _lock: lock })
    }

    /// What is kept for this URL.
    pub(super) fn get(&self, url: &str) -> Option<&Entry> {
        self.entries.get(url)
    }

    /// Keeps an entry, or forgets it.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub(super) fn put(&mut self, url: &str, entry: Option<Entry>) -> Result<(), CliError> {
        match entry {
            Some(entry) => drop(self.entries.insert(url.to_owned(), entry)),
            None => drop(self.entries.remove(url)),
        }
        let text = serde_json::to_string_pretty(&self.entries).map_err(std::io::Error::other)?;
        // The whole file appears at once, and never with other rights.
        let fresh = self.path.with_extension("new");
        let removed = std::fs::remove_file(&fresh);
        if let Err(error) = removed
            && error.kind() != ErrorKind::NotFound
        {
            return Err(error.into());
        }
        let mut file = OpenOptions::new().create_new(true).write(true).mode(0o600).open(&fresh)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        std::fs::rename(&fresh, &self.path)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn entry() -> Entry {
        let tokens = Tokens {
            access_token: "at".to_owned(),
            token_type: "Bearer".to_owned(),
            refresh_token: Some("rt".to_owned()),
            expires_in: 300,
            scope: Some("admin:read".to_owned()),
        };
        let places = ("https://a".to_owned(), "https://a/t".to_owned(), "https://a/api".to_owned());
        Entry::new(places, tokens, None, UnixMs(0)).unwrap()
    }

    #[test]
    fn what_is_kept_is_this_users_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x/credentials.json");
        let mut kept = Credentials::open_at(path.clone()).unwrap();
        kept.put("https://a", Some(entry())).unwrap();
        drop(kept);
        let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().mode() & 0o777;
        assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
        let mut kept = Credentials::open_at(path.clone()).unwrap();
        assert_eq!(kept.get("https://a").unwrap().access_token().expose(), "at");
        assert!(kept.get("https://b").is_none());
        kept.put("https://a", None).unwrap();
        drop(kept);
        assert!(Credentials::open_at(path.clone()).unwrap().get("https://a").is_none());
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        let refused = Credentials::open_at(path).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::PermissionDenied);
    }

    #[test]
    fn no_token_is_shown() {
        let shown = format!("{:?}", entry());
        assert!(!shown.contains("at\"") && !shown.contains("rt"), "{shown}");
    }

    #[test]
    fn what_is_not_sent_again_stays() {
        let before = entry();
        let tokens = Tokens {
            access_token: "at2".to_owned(),
            token_type: "bearer".to_owned(),
            refresh_token: None,
            expires_in: 1,
            scope: None,
        };
        let places = ("i".to_owned(), "t".to_owned(), "r".to_owned());
        let after = Entry::new(places.clone(), tokens, Some(&before), UnixMs(5)).unwrap();
        assert_eq!(after.refresh_token().unwrap().expose(), "rt");
        assert_eq!((after.scope.as_str(), after.expires_at), ("admin:read", UnixMs(1005)));
        let bound = Tokens {
            access_token: "x".to_owned(),
            token_type: "DPoP".to_owned(),
            refresh_token: None,
            expires_in: 1,
            scope: None,
        };
        assert!(Entry::new(places, bound, None, UnixMs(0)).is_err());
    }
}
