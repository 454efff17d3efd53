//! Scopes and resources: which a client may ask for, which a person may give, and what they mean in words.
//!
//! Invariants:
//! - A scope of the control API is granted only to who has a role that holds it, whatever the client may ask.
//! - A resource is one that this authority knows, in its own spelling.

use super::OAuth;
use super::clients::PERSONAL_SCOPES;
use super::records::{ClientRecord, Origin};
use super::refusal::Failed;
use super::scim::SCIM_SCOPE;
use super::settings::Settings;
use crate::error::Error;
use protocol::oauth::uri::Uri;
use protocol::oauth::{AuthorizationDetails, ErrorCode};
use std::collections::BTreeMap;

/// The scopes of the control API: what each means, and which roles hold it.
pub const ADMIN_SCOPES: [(&str, &str, &[&str]); 3] = [
    (
        "admin:operate",
        "Block callers, let addresses in and revoke keys and tokens of this gate",
        &["administrator", "operator"],
    ),
    (
        "admin:read",
        "See the settings, clients, people and records of this gate",
        &["administrator", "operator", "auditor"],
    ),
    (
        "admin:write",
        "Change clients, people, keys and everything else of this gate",
        &["administrator"],
    ),
];

/// What standard scopes mean (OpenID Connect Core §5.4, §11).
const PERSONAL_WORDS: [(&str, &str); 7] = [
    ("openid", "Know who you are by a number of this site"),
    ("profile", "See your name and what your profile says"),
    ("email", "See your e-mail address"),
    ("address", "See your postal address"),
    ("phone", "See your telephone number"),
    ("groups", "See which groups you belong to here"),
    ("offline_access", "Keep this access while you are away"),
];

/// A scope as people read it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScopeView {
    /// The scope.
    pub name: String,
    /// What it means; the scope's own text where nobody has written words.
    pub words: String,
    /// Whether it cannot be left out.
    pub required: bool,
}

/// The scopes of the control API that these roles hold, sorted.
pub fn admin_scopes(roles: &[String]) -> Vec<&'static str> {
    let holds = |holders: &[&str]| roles.iter().any(|role| holders.contains(&role.as_str()));
    ADMIN_SCOPES.iter().filter(|(_, _, holders)| holds(holders)).map(|(name, ..)| *name).collect()
}

fn is_admin(scope: &str) -> bool {
    scope.starts_with("admin:")
}

/// Whether the client may ask for the scope at all.
pub(crate) fn may_ask(client: &ClientRecord, settings: &Settings, scope: &str) -> bool {
    if PERSONAL_SCOPES.contains(&scope) || client.scopes.iter().any(|own| own == scope) {
        return true;
    }
    // WHY: a client that nobody here has registered has no list; the person decides on what routes ask for. The
    // control API is never among it.
    let stranger = matches!(client.origin, Origin::Dynamic | Origin::Document);
    let of_a_route =
        || settings.resources.iter().any(|it| it.scopes.iter().any(|own| own == scope));
    stranger && client.scopes.is_empty() && !is_admin(scope) && of_a_route()
}

/// Refuses the first scope that the client may not ask for (RFC 6749 §4.1.2.1).
pub(crate) fn judge_scopes<'a>(
    client: &ClientRecord,
    settings: &Settings,
    asked: impl Iterator<Item = &'a str>,
) -> Result<Vec<String>, Failed> {
    let mut kept = Vec::new();
    for scope in asked {
        if !may_ask(client, settings, scope) {
            return Err(Failed::refused(
                ErrorCode::InvalidScope,
                format!("the client may not ask for the scope {scope}"),
                format!("RFC 6749 §3.3: the client's record does not list the scope {scope}"),
            ));
        }
        kept.push(scope.to_owned());
    }
    Ok(kept)
}

/// The resources that were asked for, as this authority spells them (RFC 8707 §2).
pub(crate) fn judge_resources<'a>(
    client: &ClientRecord,
    settings: &Settings,
    asked: impl Iterator<Item = &'a str>,
) -> Result<Vec<String>, Failed> {
    let mut kept: Vec<String> = Vec::new();
    for resource in asked {
        let known = known_resource(settings, resource);
        let allowed =
            known.filter(|it| client.resources.is_empty() || client.resources.contains(it));
        let Some(allowed) = allowed else {
            return Err(Failed::refused(
                ErrorCode::InvalidTarget,
                "a resource is not one that the client may ask for",
                format!("RFC 8707 §2: {resource} is no resource of this gate, or not the client's"),
            ));
        };
        if !kept.contains(&allowed) {
            kept.push(allowed);
        }
    }
    kept.sort_unstable();
    Ok(kept)
}

fn known_resource(settings: &Settings, asked: &str) -> Option<String> {
    let admin = settings.admin_resource();
    let all = || {
        let routes = settings.resources.iter().map(|it| it.uri.as_str());
        let extra = settings.extra_audiences.iter().map(String::as_str);
        routes.chain(extra).chain([admin.as_str()])
    };
    if let Some(exact) = all().find(|it| *it == asked) {
        return Some(exact.to_owned());
    }
    // WHY: programs that build URLs add the slash after a bare host, or a default port.
    let normal = |text: &str| {
        let uri = Uri::parse(text).filter(|uri| uri.query.is_none() && uri.fragment.is_none())?;
        uri.normal_web()
    };
    let asked = normal(asked)?;
    all().find(|it| normal(it).as_ref() == Some(&asked)).map(str::to_owned)
}

/// Refuses details of a type that the client has not registered (RFC 9396 §5, §10).
pub(crate) fn judge_details(
    client: &ClientRecord,
    details: &AuthorizationDetails,
) -> Result<(), Failed> {
    let types = &client.metadata.authorization_details_types;
    match details.types().find(|wanted| !types.iter().any(|own| own == wanted)) {
        None => Ok(()),
        Some(_) => Err(Failed::refused(
            ErrorCode::InvalidAuthorizationDetails,
            "a type of authorization_details is not one that the client may ask for",
            "RFC 9396 §5: the type is not among the client's authorization_details_types",
        )),
    }
}

impl OAuth {
    /// What scopes mean, in their order.
    pub(crate) async fn scope_views(&self, scopes: &[String]) -> Result<Vec<ScopeView>, Error> {
        let written = self.parts.store.scopes().await?;
        let declared = self.settings().scope_words.clone();
        // The store's words stand above the file's.
        let written: BTreeMap<String, String> =
            declared.into_iter().chain(written).map(|it| (it.name, it.description)).collect();
        let view = |name: &String| ScopeView {
            name: name.clone(),
            words: written.get(name).cloned().unwrap_or_else(|| default_words(name)),
            required: name == "openid",
        };
        Ok(scopes.iter().map(view).collect())
    }
}

fn default_words(scope: &str) -> String {
    let personal = PERSONAL_WORDS.iter().map(|(name, words)| (*name, *words));
    let admin = ADMIN_SCOPES.iter().map(|(name, words, _)| (*name, *words));
    let scim = (SCIM_SCOPE, "Keep people and groups of this gate, but no administrators");
    let found = personal.chain(admin).chain([scim]).find(|(name, _)| *name == scope);
    found.map_or(scope, |(_, words)| words).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oauth::settings::Resource;

    #[test]
    fn roles_hold_scopes() {
        let of = |roles: &[&str]| {
            admin_scopes(&roles.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>())
        };
        assert_eq!(of(&["administrator"]), ["admin:operate", "admin:read", "admin:write"]);
        assert_eq!(of(&["operator", "x"]), ["admin:operate", "admin:read"]);
        assert_eq!(of(&["auditor"]), ["admin:read"]);
        assert!(of(&["Administrator", "admin"]).is_empty());
    }

    #[test]
    fn rfc8707_s2_a_resource_is_one_of_ours_in_our_spelling() {
        let mut settings = Settings::new("https://login.example");
        settings.resources =
            vec![Resource { uri: "https://mcp.example".to_owned(), scopes: vec![] }];
        let check = |asked: &str, expect: Option<&str>| {
            assert_eq!(known_resource(&settings, asked).as_deref(), expect, "{asked}");
        };
        check("https://mcp.example", Some("https://mcp.example"));
        check("https://mcp.example/", Some("https://mcp.example"));
        check("HTTPS://MCP.example:443/", Some("https://mcp.example"));
        check("https://login.example/api", Some("https://login.example/api"));
        for other in ["https://mcp.example/x", "http://mcp.example", "https://mcp.example/?a", ""] {
            check(other, None);
        }
    }
}
