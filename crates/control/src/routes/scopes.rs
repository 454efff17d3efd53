//! Which scope each endpoint needs over the network.
//!
//! Invariant: every endpoint below `/api/v1` stands here; one that did not would need [`STRICTEST`].

/// What an endpoint needs that was forgotten here.
pub(crate) const STRICTEST: &str = "admin:write";
const READ: &str = "admin:read";
/// What stops an attack or lets somebody in for hours; it makes nothing that lasts.
const OPERATE: &str = "admin:operate";
const WRITE: &str = "admin:write";

/// Method, path and scope.
pub(crate) const SCOPES: [(&str, &str, &str); 47] = [
    ("get", "/api/v1/keys", READ),
    ("post", "/api/v1/keys", WRITE),
    ("get", "/api/v1/keys/{id}", READ),
    ("post", "/api/v1/keys/{id}/revoke", OPERATE),
    ("get", "/api/v1/blocks", READ),
    ("post", "/api/v1/blocks", OPERATE),
    ("delete", "/api/v1/blocks/{id}", OPERATE),
    ("get", "/api/v1/ip/entries", READ),
    ("post", "/api/v1/ip/entries", OPERATE),
    ("delete", "/api/v1/ip/entries/{id}", OPERATE),
    ("get", "/api/v1/ip/test", READ),
    ("get", "/api/v1/clients", READ),
    ("post", "/api/v1/clients", WRITE),
    ("get", "/api/v1/clients/{id}", READ),
    ("get", "/api/v1/clients/{id}/grade", READ),
    ("post", "/api/v1/clients/{id}/rotate-secret", WRITE),
    ("post", "/api/v1/clients/{id}/disable", WRITE),
    ("post", "/api/v1/clients/{id}/enable", WRITE),
    ("get", "/api/v1/users", READ),
    ("post", "/api/v1/users", WRITE),
    // WHY not to read: every account at once, and where it is asked for the hashes of passwords.
    ("post", "/api/v1/users/export", WRITE),
    ("post", "/api/v1/users/import", WRITE),
    ("get", "/api/v1/users/{id}", READ),
    ("post", "/api/v1/users/{id}/setup", WRITE),
    ("post", "/api/v1/users/{id}/roles", WRITE),
    ("post", "/api/v1/users/{id}/disable", WRITE),
    ("post", "/api/v1/users/{id}/enable", WRITE),
    ("post", "/api/v1/users/{id}/invite", WRITE),
    ("post", "/api/v1/users/{id}/reset-factors", WRITE),
    ("post", "/api/v1/users/{id}/break-glass", WRITE),
    ("post", "/api/v1/users/{id}/end-sessions", OPERATE),
    ("get", "/api/v1/groups", READ),
    ("post", "/api/v1/groups", WRITE),
    ("get", "/api/v1/groups/{id}", READ),
    ("delete", "/api/v1/groups/{id}", WRITE),
    ("get", "/api/v1/trust", READ),
    ("post", "/api/v1/trust", WRITE),
    ("delete", "/api/v1/trust/{id}", WRITE),
    ("get", "/api/v1/scopes", READ),
    ("post", "/api/v1/scopes", WRITE),
    ("delete", "/api/v1/scopes/{id}", WRITE),
    ("get", "/api/v1/signing-keys", READ),
    ("get", "/api/v1/mail", READ),
    // WHY more than to read: a message may hold a link that signs in as somebody else.
    ("get", "/api/v1/mail/{id}", WRITE),
    ("get", "/api/v1/audit/events", READ),
    // A query changes nothing; it is a POST since it may be long.
    ("post", "/api/v1/audit/query", READ),
    ("get", "/api/v1/explain/{request_id}", READ),
];

/// The scope that an endpoint needs; `None` for what is not below `/api/v1`.
pub(crate) fn scope_of(method: &str, path: &str) -> Option<&'static str> {
    if !path.starts_with("/api/v1/") {
        return None;
    }
    let found = SCOPES.iter().find(|(verb, place, _)| *verb == method && *place == path);
    Some(found.map_or(STRICTEST, |(_, _, scope)| *scope))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_endpoint_stands_here_once() {
        let endpoints = super::super::endpoints();
        let is: BTreeSet<_> = endpoints
            .iter()
            .filter(|it| it.path.starts_with("/api/v1"))
            .map(|it| (it.method, it.path))
            .collect();
        let said: BTreeSet<_> = SCOPES.iter().map(|(method, path, _)| (*method, *path)).collect();
        assert_eq!(said, is);
        assert_eq!(said.len(), SCOPES.len());
    }

    #[test]
    fn a_forgotten_endpoint_needs_the_most() {
        assert_eq!(scope_of("get", "/api/v1/forgotten"), Some("admin:write"));
        assert_eq!(scope_of("put", "/api/v1/keys"), Some("admin:write"));
        assert_eq!(scope_of("get", "/livez"), None);
    }
}
