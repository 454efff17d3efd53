//! Protected resources and their metadata (RFC 9728), found by the path that the metadata lies at.

use foldhash::fast::RandomState;
use std::collections::HashMap;
use std::sync::Arc;

/// The metadata of one protected resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resource {
    /// The host of its identifier, in lower case.
    pub host: Box<str>,
    /// The path of its metadata: the well-known path and the path of its identifier, canonical, without a slash at the
    /// end.
    pub path: Box<str>,
    /// Whether it is found under other hosts as well: none of its routes asks for one.
    pub any_host: bool,
    /// The document, JSON.
    pub document: Arc<str>,
}

/// All protected resources of a policy.
#[derive(Debug, Clone, Default)]
pub struct Resources {
    by_path: HashMap<Box<str>, Vec<Resource>, RandomState>,
}

impl FromIterator<Resource> for Resources {
    fn from_iter<I: IntoIterator<Item = Resource>>(resources: I) -> Self {
        let mut by_path: HashMap<Box<str>, Vec<Resource>, RandomState> = HashMap::default();
        for resource in resources {
            by_path.entry(resource.path.clone()).or_default().push(resource);
        }
        Self { by_path }
    }
}

impl Resources {
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.by_path.is_empty()
    }

    /// The resource whose metadata lies at a canonical path. One of the host asked for goes before others.
    ///
    /// WHY: with or without a slash at the end it is found all the same; who asks compares the identifier in it with
    /// the one it wanted (RFC 9728 §3.3).
    pub fn find(&self, host: &str, path: &str) -> Option<&Resource> {
        let found = self.by_path.get(path.strip_suffix('/').unwrap_or(path))?;
        let same = found.iter().find(|it| it.host.eq_ignore_ascii_case(host));
        same.or_else(|| found.iter().find(|it| it.any_host))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_that_was_asked_for_goes_first() {
        let of = |host: &str, path: &str, any_host| Resource {
            host: host.into(),
            path: path.into(),
            any_host,
            document: format!("{host}{path}").into(),
        };
        let resources: Resources = [
            of("a.example", "/w/x", false),
            of("b.example", "/w/x", true),
            of("c.example", "/w", false),
        ]
        .into_iter()
        .collect();
        let check = |host: &str, path: &str, expect: Option<&str>| {
            assert_eq!(resources.find(host, path).map(|it| &*it.document), expect, "{host} {path}");
        };
        check("A.example", "/w/x", Some("a.example/w/x"));
        check("b.example", "/w/x/", Some("b.example/w/x"));
        check("d.example", "/w/x", Some("b.example/w/x"));
        check("c.example", "/w", Some("c.example/w"));
        check("d.example", "/w", None);
        check("a.example", "/w/x/y", None);
        assert!(!resources.is_empty() && Resources::default().is_empty());
    }
}
