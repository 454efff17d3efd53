//! The route table: host, path and method to a route's number.
//!
//! Owns: the grammar of host and path patterns, what is more specific, conflicts, and the look-up.
//!
//! Never does: canonicalise a request's path (it takes one that [`crate::path::canonical`] gave), or know
//! what a route demands.
//!
//! Invariants:
//! - **Order.** Exact host before wildcard host before no host; then, segment by segment from the left, a
//!   literal before `{name}` before `{**}`; then a route that names the method before one that takes any.
//!   The order in the file never matters.
//! - **A pattern owns its paths.** The most specific pattern that matches decides alone. When its routes do
//!   not take the method the answer is [`Lookup::MethodNotAllowed`], never a route of a wider pattern, which
//!   might ask for less. Routes with the same host and pattern (names of segments aside) share it.
//! - **Hosts.** When a host has routes of its own and none of them matches the path, only routes without a
//!   host are tried next: an exact host never falls back to a wildcard.
//! - `{name}` matches one segment that is not empty. `{**}` matches what is left, be it nothing:
//!   `/orders/{**}` matches `/orders`, `/orders/` and `/orders/7/items`. `/a` and `/a/` are different paths.
//! - Paths are case-sensitive, methods too (RFC 9110 §9.1); `GET` does not include `HEAD`.
//! - Escapes: a segment is compared decoded, so `/%40me` and `/@me` are the same to every pattern, as they
//!   are to most servers. The canonical path has no escape whose decoding could change its segments.
//! - The cost of a look-up depends on the path and on how many patterns match it in part, not on the number
//!   of routes.

use foldhash::fast::FixedState;
use std::collections::HashMap;

mod method;
mod pattern;
#[cfg(test)]
mod tests;
mod trie;

pub use method::{MethodError, MethodSet};
pub use pattern::{HostPattern, PathPattern, PatternError};
use trie::{End, Trie};

/// What a route asks of a request's place.
#[derive(Debug, Clone)]
pub struct RouteMatch {
    /// The host; any where there is none.
    pub host: Option<HostPattern>,
    /// The path.
    pub path: PathPattern,
    /// The methods; any where there is none.
    pub methods: Option<MethodSet>,
}

impl RouteMatch {
    fn place(&self) -> String {
        match &self.host {
            Some(host) => format!("{host}{}", self.path),
            None => self.path.to_string(),
        }
    }
}

/// Why a table could not be built.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TableError {
    /// Two routes would take the same requests.
    #[error("routes {first} and {second} both take {methods} {place}")]
    Conflict {
        /// The number of the route that stands first.
        first: usize,
        /// The number of the other.
        second: usize,
        /// Host and path of the other.
        place: String,
        /// The methods in question; `any method` when both take any.
        methods: String,
    },
}

/// What the table says of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lookup<'a> {
    /// A route takes it.
    ///
    /// The number is the route's place in the slice that the table was built from.
    Found(usize),
    /// No pattern matches host and path.
    NotFound,
    /// A pattern matches, and none of its routes takes the method.
    ///
    /// The set has the methods that its routes take, for `Allow` (RFC 9110 §15.5.6).
    MethodNotAllowed(&'a MethodSet),
}

type Hosts = HashMap<Box<str>, Trie, FixedState>;

/// A compiled table.
#[derive(Debug, Default)]
pub struct RouteTable {
    /// Routes of one host, by its name.
    exact: Hosts,
    /// Routes of `*.SUFFIX`, by the suffix.
    wildcard: Hosts,
    /// Routes without a host.
    any: Trie,
}

impl RouteTable {
    /// Compiles routes; a route's number is its place in the slice.
    ///
    /// # Errors
    /// All pairs of routes that take the same host, path and method.
    pub fn build(routes: &[RouteMatch]) -> Result<Self, Vec<TableError>> {
        let mut table = Self::default();
        let mut errors = Vec::new();
        for (index, route) in routes.iter().enumerate() {
            let trie = match &route.host {
                None => &mut table.any,
                Some(host) => host.slot(&mut table.exact, &mut table.wildcard),
            };
            for (first, methods) in trie.insert(&route.path, route.methods.as_ref(), index) {
                errors.push(TableError::Conflict {
                    first,
                    second: index,
                    place: route.place(),
                    methods,
                });
            }
        }
        if errors.is_empty() { Ok(table) } else { Err(errors) }
    }

    /// Finds the route of a request. `host` is the request's host in any case, with or without a port and a
    /// final dot; `path` is canonical, without the query.
    pub fn find(&self, host: &str, path: &str, method: &str) -> Lookup<'_> {
        match self.own(host).and_then(|trie| trie.find(path)).or_else(|| self.any.find(path)) {
            Some(end) => end.choose(method),
            None => Lookup::NotFound,
        }
    }

    /// The routes that a host has of its own.
    fn own(&self, host: &str) -> Option<&Trie> {
        if self.exact.is_empty() && self.wildcard.is_empty() {
            return None;
        }
        let host = pattern::bare_host(host);
        self.exact.get(&*host).or_else(|| {
            let (label, suffix) = host.split_once('.')?;
            if label.is_empty() { None } else { self.wildcard.get(suffix) }
        })
    }
}

impl End {
    /// The route of this end that takes a method.
    fn choose(&self, method: &str) -> Lookup<'_> {
        let mut any = None;
        for route in &self.routes {
            match &route.methods {
                Some(methods) if methods.contains(method) => return Lookup::Found(route.index),
                Some(_) => {}
                None => any = Some(route.index),
            }
        }
        match any {
            Some(index) => Lookup::Found(index),
            None => Lookup::MethodNotAllowed(&self.allowed),
        }
    }
}
