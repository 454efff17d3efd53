//! Checks across sections: what only shows when the whole file is known.

use super::Config;
use super::mfa;
use super::problem::ProblemCode;
use super::reader::{At, Reader};
use super::route::Route;
use super::rule::{Access, Rule};
use super::session;
use super::upstream::{Target, Upstream};
use access::policy::Possession;
use access::table::{RouteMatch, RouteTable, TableError};
use protocol::oauth::metadata::RESOURCE_WELL_KNOWN;
use std::collections::{BTreeSet, HashMap};

/// Where routes and listeners stand, in their order.
pub(super) struct Places {
    pub(super) routes: Vec<At>,
    pub(super) listeners: Vec<At>,
}

/// Looks at the whole configuration.
pub(super) fn lint(reader: &mut Reader<'_>, config: &Config, places: &Places) {
    let upstreams: HashMap<&str, &Upstream> =
        config.upstreams.iter().map(|upstream| (upstream.name.as_str(), upstream)).collect();
    let asking: BTreeSet<&str> = config
        .issuers
        .iter()
        .filter(|issuer| issuer.introspection.is_some())
        .map(|issuer| issuer.name.as_str())
        .collect();
    for (route, at) in config.routes.iter().zip(&places.routes) {
        public_write(reader, route, at);
        plain_forwarding(reader, route, at, upstreams.get(route.upstream.as_str()).copied());
        ambiguous_introspection(reader, route, at, &asking);
        never_asked(reader, config, (route, at));
        mfa::lint(reader, config, route, at);
        unbound(reader, route, at);
        session::lint(reader, config, (route, at));
    }
    same_requests(reader, config, &places.routes);
    plain_listeners(reader, config, &places.listeners);
}

/// Two routes for the same host, path and method would leave open which one judges.
fn same_requests(reader: &mut Reader<'_>, config: &Config, places: &[At]) {
    let matches = config.routes.iter().map(|route| RouteMatch {
        host: route.host.clone(),
        path: route.path.clone(),
        methods: route.methods.clone(),
    });
    let Err(errors) = RouteTable::build(&matches.collect::<Vec<_>>()) else { return };
    for TableError::Conflict { first, second, place, methods } in errors {
        let names = config.routes.get(first).zip(places.get(second));
        let Some((other, at)) = names else { continue };
        let message = format!("route {:?} takes {methods} of {place} already", other.name);
        let hint = "merge the two, or give them different methods";
        reader.hinted(ProblemCode::Duplicate, at, message, hint);
    }
}

/// Where a route takes tokens, the gate itself answers at the well-known path of RFC 9728 and all below it.
fn never_asked(reader: &mut Reader<'_>, config: &Config, (route, at): (&Route, &At)) {
    let tokens = |route: &Route| {
        route.credential_rules().into_iter().any(|rule| matches!(rule, Rule::Jwt(_)))
    };
    let rest = route.path.as_str().strip_prefix(RESOURCE_WELL_KNOWN);
    let below = rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    if below && config.routes.iter().any(tokens) {
        let message = format!("the gate itself answers at {RESOURCE_WELL_KNOWN}");
        let hint = "leave the route out; `resource` and `scopes` of routes make the metadata";
        reader.hinted(ProblemCode::Conflict, at, message, hint);
    }
}

/// Only tokens can be bound to a key (RFC 9449).
fn unbound(reader: &mut Reader<'_>, route: &Route, at: &At) {
    let tokens = route.credential_rules().into_iter().any(|rule| matches!(rule, Rule::Jwt(_)));
    if route.dpop != Possession::Optional && !tokens {
        let message = "no credential that the route takes can be bound to a key";
        let hint = "add a jwt alternative, or leave `dpop` out";
        reader.hinted(ProblemCode::Conflict, at, message, hint);
    }
}

fn public_write(reader: &mut Reader<'_>, route: &Route, at: &At) {
    let reads = |method: &str| matches!(method, "GET" | "HEAD" | "OPTIONS");
    let only_reads = route.methods.as_ref().is_some_and(|methods| methods.iter().all(reads));
    if route.access == Access::Public && !only_reads {
        let methods = match &route.methods {
            None => "every method".to_owned(),
            Some(methods) => methods.to_string(),
        };
        let message = format!("a public route takes {methods} from everybody");
        let hint = "add methods = [\"GET\", \"HEAD\"] if it only serves reads";
        reader.hinted(ProblemCode::PublicWrite, at, message, hint);
    }
}

fn plain_forwarding(reader: &mut Reader<'_>, route: &Route, at: &At, upstream: Option<&Upstream>) {
    if !route.forward_credential {
        return;
    }
    let servers = upstream.map(|upstream| upstream.servers.as_slice()).unwrap_or_default();
    for server in servers {
        if let Target::Url(url) = &server.target
            && !url.is_https()
            && !url.is_loopback()
        {
            let message = format!("the caller's credential is forwarded in plain to {url}");
            let hint = "use an https server, or leave `forward_credential` out";
            reader.hinted(ProblemCode::PlainCredential, at, message, hint);
            return;
        }
    }
}

/// An opaque token does not say whose it is. Asking one issuer about another's token would hand it over.
fn ambiguous_introspection(
    reader: &mut Reader<'_>,
    route: &Route,
    at: &At,
    asking: &BTreeSet<&str>,
) {
    let named: BTreeSet<&str> = route
        .credential_rules()
        .into_iter()
        .filter_map(|rule| match rule {
            Rule::Jwt(jwt) => asking.get(jwt.issuer.as_str()).copied(),
            _ => None,
        })
        .collect();
    if named.len() > 1 {
        let names: Vec<_> = named.into_iter().collect();
        let message = format!(
            "opaque tokens could be of {}: none of them may see the others'",
            names.join(" or ")
        );
        let hint = "name one issuer with `introspection` in each route";
        reader.hinted(ProblemCode::Conflict, at, message, hint);
    }
}

fn plain_listeners(reader: &mut Reader<'_>, config: &Config, places: &[At]) {
    let Some(route) = config.routes.iter().find(|route| !route.access.is_public()) else { return };
    for (listener, at) in config.listeners.iter().zip(places) {
        let behind_proxy = listener.proxies.as_ref().is_some_and(|p| !p.trusted.is_empty());
        if listener.tls.is_some() || listener.bind.ip().is_loopback() || behind_proxy {
            continue;
        }
        let (bind, name) = (listener.bind, &route.name);
        let message =
            format!("{bind} is reachable from outside without TLS, and {name:?} takes credentials");
        let hint = "add tls = { cert = \"…\", key = \"…\" }, bind to 127.0.0.1, or name the proxy in front";
        reader.hinted(ProblemCode::PlainCredential, at, message, hint);
    }
}
