//! The protected resources of a configuration and their metadata (RFC 9728).

use super::compile::own_audiences;
use crate::config::{self, Config, Rule, SELF, WebUrl};
use access::issuer::KeySource;
use access::path;
use access::policy::Possession;
use access::resource::{Resource, Resources};
use access::schemes::dpop;
use protocol::challenge;
use protocol::oauth::metadata::{
    ProtectedResourceMetadata, RESOURCE_WELL_KNOWN, resource_metadata_url,
};
use std::sync::Arc;

/// What is gathered of one resource over all its routes.
struct Gathered {
    metadata: ProtectedResourceMetadata,
    any_host: bool,
}

/// The identifiers of the resources that a route's tokens are for, as far as metadata can be found by them.
fn identifiers(route: &config::Route) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for rule in route.credential_rules() {
        let Rule::Jwt(jwt) = rule else { continue };
        found.extend(match jwt.issuer.as_str() {
            SELF => own_audiences(route, jwt),
            _ => vec![route.resource.clone()],
        });
    }
    found.retain(|it| resource_metadata_url(it).is_some());
    found.dedup();
    found
}

/// Where the metadata of a route's resource lies; none for a route that takes no tokens.
pub(super) fn metadata_url(route: &config::Route) -> Option<String> {
    identifiers(route).first().and_then(|it| resource_metadata_url(it))
}

/// All protected resources.
pub(super) fn protected(config: &Config) -> Resources {
    let mut all: Vec<Gathered> = Vec::new();
    for route in &config.routes {
        for identifier in identifiers(route) {
            let at = all.iter().position(|it| it.metadata.resource == identifier);
            let at = at.unwrap_or_else(|| {
                all.push(Gathered { metadata: begin(&identifier, route), any_host: true });
                all.len() - 1
            });
            if let Some(gathered) = all.get_mut(at) {
                gathered.any_host &= route.host.is_none();
                add(&mut gathered.metadata, config, route);
            }
        }
    }
    all.into_iter().filter_map(finish).collect()
}

fn begin(identifier: &str, route: &config::Route) -> ProtectedResourceMetadata {
    let algorithms = challenge::names(dpop::ALGORITHMS);
    ProtectedResourceMetadata {
        resource: identifier.to_owned(),
        bearer_methods_supported: vec!["header".to_owned()],
        resource_name: Some(route.name.clone()),
        // Until one of its routes takes others.
        dpop_bound_access_tokens_required: true,
        dpop_signing_alg_values_supported: algorithms.into_iter().map(ToOwned::to_owned).collect(),
        ..ProtectedResourceMetadata::default()
    }
}

/// What a route adds: who issues tokens for it, and the scopes that these need.
fn add(metadata: &mut ProtectedResourceMetadata, config: &Config, route: &config::Route) {
    metadata.dpop_bound_access_tokens_required &= route.dpop != Possession::Optional;
    for rule in route.credential_rules() {
        let Rule::Jwt(jwt) = rule else { continue };
        metadata.scopes_supported.extend(jwt.scopes.iter().cloned());
        metadata.authorization_servers.extend(server(config, &jwt.issuer));
    }
    for list in [&mut metadata.scopes_supported, &mut metadata.authorization_servers] {
        list.sort_unstable();
        list.dedup();
    }
}

/// The issuer, where it can be discovered: a client finds the rest by it.
fn server(config: &Config, name: &str) -> Option<String> {
    if name == SELF {
        return Some(config.server.public_url.as_str().trim_end_matches('/').to_owned());
    }
    let issuer = config.issuers.iter().find(|it| it.name == name)?;
    (issuer.keys == KeySource::Discovery).then(|| issuer.issuer.clone())
}

fn finish(gathered: Gathered) -> Option<Resource> {
    let url = WebUrl::parse(&gathered.metadata.resource).ok()?;
    let below = match url.path() {
        "" | "/" => String::new(),
        path => path::canonical(path.as_bytes()).ok()?.into_owned(),
    };
    let below = below.strip_suffix('/').unwrap_or(&below);
    Some(Resource {
        host: url.host().into(),
        path: format!("{RESOURCE_WELL_KNOWN}{below}").into(),
        any_host: gathered.any_host,
        document: Arc::from(serde_json::to_string(&gathered.metadata).ok()?),
    })
}
