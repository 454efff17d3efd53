//! Every connection is a descriptor, and systems begin with few: as many as we may have.

use crate::config::Config;
use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// What the process needs beside callers: files, timers, the control plane.
const OTHERS: u64 = 256;

/// Raises the soft limit of descriptors to the hard one, and says so where that is too little for what the listeners
/// may hold. A caller's connection takes one, and one to an upstream.
pub(super) fn raise(config: &Config) {
    let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else { return };
    let limit = match setrlimit(Resource::RLIMIT_NOFILE, hard, hard) {
        Ok(()) => hard,
        Err(_) => soft,
    };
    let callers: u64 = config.listeners.iter().map(|it| u64::from(it.max_connections)).sum();
    if limit < callers.saturating_add(OTHERS) {
        tracing::warn!(
            limit,
            callers,
            "fewer descriptors than max_connections allows for; raise the limit of open files"
        );
    }
}
