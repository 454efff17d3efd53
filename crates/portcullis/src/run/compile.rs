//! From the file's words to what the gate judges by.
//!
//! INVARIANT: what did not change between two configurations is the same object afterwards: an issuer keeps its
//! keys, an upstream its connections and its health.

use super::resources;
use crate::config::{self, Config, SELF};
use access::decide;
use access::iplist::{IpList, IpListBuilder, Side};
use access::issuer::{Issuer, IssuerSettings, KeySource};
use access::policy::{
    self, ApiKeyRule, ClaimRule, Expr, JwtRule, Policy, Route, SessionRule, Sessions,
};
use access::schemes::session::Limits;
use access::table::{RouteMatch, RouteTable};
use authority::oauth::SelfService;
use authority::oauth::settings::Resource;
use gateway::{
    Act, CorsSettings, HeaderRules, HealthSettings, HostHeader, ListenerSettings, Metrics, Proxies,
    ProxyHeader, PublicOrigin, ServerSettings, Timeouts, TlsFiles, Upstream, UpstreamProtocol,
    UpstreamSettings, UpstreamTls,
};
use protocol::jws::{Algorithm, AlgorithmSet};
use protocol::oauth::ScopeSet;
use std::sync::Arc;

/// A compiled configuration.
pub(super) struct Compiled {
    pub(super) policy: Policy<Act>,
    pub(super) lists: Vec<(Arc<str>, IpList)>,
    pub(super) self_service: Vec<SelfService>,
    pub(super) listeners: Vec<ListenerSettings>,
}

/// Compiles `config`, keeping what `before` already has.
///
/// # Errors
/// A sentence: what the check could not see, such as a CA file that holds no certificate.
pub(super) fn compile(
    config: &Config,
    before: Option<&Policy<Act>>,
    metrics: &Metrics,
) -> Result<Compiled, String> {
    let own = own_issuer(config).map(|settings| keep(settings, before));
    let issuers = config.issuers.iter().map(|it| issuer(it, config, before)).chain(own).collect();
    let upstreams: Result<Vec<Arc<Upstream>>, String> =
        config.upstreams.iter().map(|it| upstream(it, before)).collect();
    let upstreams = upstreams?;
    let mut lists = Vec::new();
    for list in &config.ip_lists {
        lists.push((Arc::from(list.name.as_str()), ip_list(list)?));
    }
    let mut routes = Vec::new();
    let mut matches = Vec::new();
    for it in &config.routes {
        let upstream = upstreams
            .iter()
            .find(|upstream| *upstream.settings.name == *it.upstream)
            .ok_or_else(|| format!("route {}: no upstream {}", it.name, it.upstream))?;
        matches.push(RouteMatch {
            host: it.host.clone(),
            path: it.path.clone(),
            methods: it.methods.clone(),
        });
        let indexes = list_indexes(it, &lists)?;
        let access = access(it, &config.issuers)?;
        routes.push(Arc::new(route(it, (indexes, access), act(it, upstream.clone(), metrics))));
    }
    let table = RouteTable::build(&matches)
        .map_err(|errors| errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))?;
    let listeners = config.listeners.iter().map(listener).collect();
    Ok(Compiled {
        policy: Policy {
            issuers,
            routes,
            table,
            resources: resources::protected(config),
            sessions: sessions(config),
        },
        lists,
        self_service: config.ip_lists.iter().filter_map(|it| it.self_service.clone()).collect(),
        listeners,
    })
}

fn issuer(it: &config::Issuer, config: &Config, before: Option<&Policy<Act>>) -> Arc<Issuer> {
    let settings = IssuerSettings {
        name: it.name.as_str().into(),
        issuer: it.issuer.clone(),
        audiences: it.audience.clone(),
        algorithms: it.algorithms,
        source: it.keys.clone(),
        introspection: it.introspection.as_ref().map(|it| it.url.as_str().to_owned()),
        claim_rules: jwt_rules(config, &it.name).any(|(_, jwt)| !jwt.claims.is_empty()),
    };
    keep(settings, before)
}

/// Every rule on tokens of `issuer`, with its route.
fn jwt_rules<'a>(
    config: &'a Config,
    issuer: &'a str,
) -> impl Iterator<Item = (&'a config::Route, &'a config::JwtRule)> {
    config.routes.iter().flat_map(move |route| {
        route.credential_rules().into_iter().filter_map(move |rule| match rule {
            config::Rule::Jwt(jwt) if jwt.issuer == issuer => Some((route, jwt)),
            _ => None,
        })
    })
}

/// The built-in authority as an issuer, where a route takes its tokens.
fn own_issuer(config: &Config) -> Option<IssuerSettings> {
    let mut audiences: Vec<String> =
        jwt_rules(config, SELF).flat_map(|(route, jwt)| own_audiences(route, jwt)).collect();
    audiences.sort_unstable();
    audiences.dedup();
    (!audiences.is_empty()).then(|| IssuerSettings {
        name: SELF.into(),
        issuer: config.server.public_url.as_str().trim_end_matches('/').to_owned(),
        audiences,
        algorithms: AlgorithmSet::of(&OWN_ALGORITHMS),
        source: KeySource::Own,
        introspection: None,
        claim_rules: jwt_rules(config, SELF).any(|(_, jwt)| !jwt.claims.is_empty()),
    })
}

/// What a token of the authority must be for at this route (RFC 8707, RFC 9068 §4): its resource, unless the rule
/// says otherwise.
pub(super) fn own_audiences(route: &config::Route, jwt: &config::JwtRule) -> Vec<String> {
    if jwt.audience.is_empty() { vec![route.resource.clone()] } else { jwt.audience.clone() }
}

/// What the authority signs with.
const OWN_ALGORITHMS: [Algorithm; 4] =
    [Algorithm::Es256, Algorithm::EdDsa, Algorithm::Ps256, Algorithm::Rs256];

/// What the authority is told of the routes: each resource with the scopes that its routes ask for.
pub(super) fn resources(config: &Config) -> Vec<Resource> {
    let mut resources: Vec<Resource> = Vec::new();
    for (route, jwt) in jwt_rules(config, SELF) {
        for uri in own_audiences(route, jwt) {
            let at = resources.iter().position(|it| it.uri == uri).unwrap_or_else(|| {
                resources.push(Resource { uri, scopes: Vec::new() });
                resources.len() - 1
            });
            if let Some(resource) = resources.get_mut(at) {
                resource.scopes.extend(jwt.scopes.iter().cloned());
                resource.scopes.sort_unstable();
                resource.scopes.dedup();
            }
        }
    }
    resources
}

/// Where browsers have sessions, and which groups matter there.
fn sessions(config: &Config) -> Sessions {
    let mut found = Sessions::default();
    for route in config.routes.iter().filter(|it| it.takes_sessions()) {
        match route.host.as_ref().and_then(|it| it.exact()) {
            Some(host) => found.hosts.push(host.into()),
            None => found.anywhere = true,
        }
        for rule in route.credential_rules() {
            let config::Rule::Session(session) = rule else { continue };
            found.groups.extend(session.groups.iter().map(|it| it.as_str().into()));
        }
    }
    for list in [&mut found.hosts, &mut found.groups] {
        list.sort_unstable();
        list.dedup();
    }
    found
}

/// Where the authority may send browsers back to: each host with sessions, at each listener that can keep them.
pub(super) fn callbacks(config: &Config) -> Vec<String> {
    let sessions = sessions(config);
    let mut found = Vec::new();
    for it in config.listeners.iter().filter(|it| it.keeps_sessions()) {
        let public = listener(it).public;
        let kept = sessions.hosts.iter().filter(|host| it.keeps_sessions_of(host));
        found.extend(kept.map(|host| public.callback(Some(host))));
        found.extend(sessions.anywhere.then(|| public.callback(None)));
    }
    found.sort_unstable();
    found.dedup();
    found
}

/// The issuer that `before` has, if it is the same; else a new one, with the keys that it had.
fn keep(settings: IssuerSettings, before: Option<&Policy<Act>>) -> Arc<Issuer> {
    match before.and_then(|policy| policy.issuer(&settings.name)) {
        Some(kept) if kept.settings == settings => kept.clone(),
        Some(kept)
            if (&kept.settings.issuer, &kept.settings.source)
                == (&settings.issuer, &settings.source) =>
        {
            // The same keys under a generation of their own: what was cached is judged anew.
            let issuer = Issuer::new(settings);
            issuer.replace_keys(kept.keys().set.clone());
            Arc::new(issuer)
        }
        _ => Arc::new(Issuer::new(settings)),
    }
}

fn upstream(it: &config::Upstream, before: Option<&Policy<Act>>) -> Result<Arc<Upstream>, String> {
    let servers = it.servers.iter().map(|server| match &server.target {
        config::Target::Url(url) => ServerSettings {
            tls: url.is_https(),
            host: url.host().trim_start_matches('[').trim_end_matches(']').to_owned(),
            port: url.port(),
            weight: server.weight,
            echo: false,
        },
        config::Target::BuiltinEcho => ServerSettings {
            tls: false,
            host: "localhost".to_owned(),
            port: 0,
            weight: server.weight,
            echo: true,
        },
    });
    let settings = UpstreamSettings {
        name: it.name.as_str().into(),
        servers: servers.collect(),
        protocol: match it.protocol {
            config::UpstreamProtocol::Http1 => UpstreamProtocol::Http1,
            config::UpstreamProtocol::Http2 => UpstreamProtocol::Http2,
        },
        tls: UpstreamTls { ca: it.tls.ca.clone(), server_name: it.tls.server_name.clone() },
        assertion: it.assertion,
        timeout: it.timeout,
        connect_timeout: it.connect_timeout,
        retries: it.retries,
        health: it.health.as_ref().map(|health| HealthSettings {
            path: health.path.clone(),
            every: health.every,
            timeout: health.timeout,
            healthy: health.healthy,
            unhealthy: health.unhealthy,
        }),
        keep_alive: it.keep_alive as usize,
        idle: it.idle,
    };
    let kept = before.and_then(|policy| {
        policy.routes.iter().map(|route| &route.act.upstream).find(|it| it.is_as(&settings))
    });
    match kept {
        Some(kept) => Ok(kept.clone()),
        None => Upstream::new(settings).map(Arc::new).map_err(|error| error.to_string()),
    }
}

fn ip_list(it: &config::IpList) -> Result<IpList, String> {
    let mut builder = IpListBuilder::new();
    for (side, entries) in [(Side::Allow, &it.allow), (Side::Deny, &it.deny)] {
        // An `allow` without entries still closes the list; they come in at run time.
        if entries.is_some() {
            builder.declare(side);
        }
        for entry in entries.iter().flatten() {
            builder.add(side, entry.clone());
        }
    }
    builder.build().map_err(|error| format!("ip_list {}: {error}", it.name))
}

fn list_indexes(it: &config::Route, lists: &[(Arc<str>, IpList)]) -> Result<Vec<usize>, String> {
    let index = |name: &String| {
        let index = lists.iter().position(|(list, _)| **list == **name);
        index.ok_or_else(|| format!("route {}: no ip_list {name}", it.name))
    };
    it.ip.iter().map(index).collect()
}

/// Who may call, and the same with the route's own `mfa`, where it has one.
struct Access {
    plain: Expr,
    bound: Option<Expr>,
}

fn access(it: &config::Route, issuers: &[config::Issuer]) -> Result<Access, String> {
    let plain = match &it.access {
        config::Access::Public => Expr::Public,
        config::Access::Rule(rule) => expr((it, issuers), rule)?,
    };
    let bound = it
        .mfa
        .as_ref()
        .map(|asked| plain.bound_by(&|issuer| config::compile_mfa(asked, issuer, issuers)));
    Ok(Access { plain, bound })
}

fn route(it: &config::Route, (lists, access): (Vec<usize>, Access), act: Act) -> Route<Act> {
    let scopes = decide::scopes_of(&access.plain);
    let (access, shadowed) = match access.bound {
        Some(bound) if it.shadow.mfa => (access.plain, Some(bound)),
        Some(bound) => (bound, None),
        None => (access.plain, None),
    };
    Route {
        name: it.name.as_str().into(),
        dpop: it.dpop,
        scopes_text: (!scopes.is_empty()).then(|| scopes.join(" ").into()),
        access,
        shadowed,
        lists,
        rates: it.rates.clone(),
        shadow: policy::Shadow { rate: it.shadow.rate, ip: it.shadow.ip },
        strict: it.audit == config::AuditLevel::Strict,
        act,
    }
}

fn act(it: &config::Route, upstream: Arc<Upstream>, metrics: &Metrics) -> Act {
    Act {
        upstream,
        strip_prefix: it.strip_prefix.as_deref().map(Into::into),
        host_header: match it.host_header {
            config::HostHeader::Upstream => HostHeader::Upstream,
            config::HostHeader::Keep => HostHeader::Keep,
        },
        request_headers: rules(&it.headers),
        response_headers: rules(&it.response_headers),
        cors: it.cors.as_ref().map(|cors| CorsSettings {
            origins: match &cors.origins {
                config::Origins::Any => vec!["*".to_owned()],
                config::Origins::Listed(origins) => origins.clone(),
            },
            headers: cors.headers.clone(),
            credentials: cors.credentials,
            max_age: cors.max_age,
        }),
        max_body: Some(it.max_body),
        timeout: it.timeout,
        forward_credential: it.forward_credential,
        methods: it.methods.as_ref().map(|methods| methods.iter().map(ToOwned::to_owned).collect()),
        by_host: it.host.is_some(),
        metadata_url: resources::metadata_url(it).map(Into::into),
        metrics: metrics.route(&it.name),
    }
}

fn rules(it: &config::HeaderRules) -> HeaderRules {
    HeaderRules {
        set: it
            .set
            .iter()
            .map(|(name, value)| (name.as_str().into(), value.expose().as_str().into()))
            .collect(),
        remove: it.remove.iter().map(|name| name.as_str().into()).collect(),
    }
}

fn expr(
    (route, issuers): (&config::Route, &[config::Issuer]),
    rule: &config::Rule,
) -> Result<Expr, String> {
    let each = |rules: &[config::Rule]| {
        rules.iter().map(|rule| expr((route, issuers), rule)).collect::<Result<_, _>>()
    };
    let scopes = |names: &[String]| {
        ScopeSet::of(names.iter().map(String::as_str)).map_err(|error| error.to_string())
    };
    Ok(match rule {
        config::Rule::Any(rules) => Expr::Any(each(rules)?),
        config::Rule::All(rules) => Expr::All(each(rules)?),
        config::Rule::ApiKey(key) => {
            Expr::ApiKey(ApiKeyRule { scopes: scopes(&key.scopes)?, mfa: None })
        }
        config::Rule::Session(session) => Expr::Session(SessionRule {
            groups: session.groups.iter().map(|it| it.as_str().into()).collect(),
            limits: Limits { idle: session.idle, absolute: session.absolute },
            mfa: session.mfa.as_ref().map(|it| config::compile_mfa(it, Some(SELF), issuers)),
        }),
        config::Rule::Jwt(jwt) => Expr::Jwt(JwtRule {
            issuer: jwt.issuer.as_str().into(),
            scopes: scopes(&jwt.scopes)?,
            audiences: match jwt.issuer.as_str() {
                SELF => own_audiences(route, jwt).into_iter().map(Into::into).collect(),
                _ => jwt.audience.iter().map(|it| it.as_str().into()).collect(),
            },
            claims: jwt
                .claims
                .iter()
                .map(|claim| ClaimRule {
                    name: claim.name.as_str().into(),
                    values: claim.any_of.iter().map(value).collect(),
                })
                .collect(),
            mfa: jwt.mfa.as_ref().map(|it| config::compile_mfa(it, Some(&jwt.issuer), issuers)),
        }),
    })
}

fn value(it: &config::ClaimValue) -> serde_json::Value {
    match it {
        config::ClaimValue::Text(text) => text.as_str().into(),
        config::ClaimValue::Integer(number) => (*number).into(),
        config::ClaimValue::Boolean(truth) => (*truth).into(),
    }
}

fn listener(it: &config::Listener) -> ListenerSettings {
    let proxies = it.proxies.as_ref();
    ListenerSettings {
        name: it.name.as_str().into(),
        bind: it.bind,
        public: PublicOrigin {
            https: it.public_url.is_https(),
            host: it.public_url.host().into(),
            port: (it.public_url.port() != if it.public_url.is_https() { 443 } else { 80 })
                .then(|| it.public_url.port()),
        },
        tls: it.tls.as_ref().map(|tls| TlsFiles { cert: tls.cert.clone(), key: tls.key.clone() }),
        proxies: Proxies {
            trusted: access::address::TrustedProxies::new(
                proxies.map(|it| it.trusted.clone()).unwrap_or_default(),
            ),
            header: match proxies.map(|it| it.header) {
                Some(config::AddressHeader::ProxyProtocol) => ProxyHeader::ProxyProtocol,
                Some(config::AddressHeader::Forwarded) => {
                    ProxyHeader::Header(access::address::AddressHeader::Forwarded)
                }
                _ => ProxyHeader::Header(access::address::AddressHeader::XForwardedFor),
            },
        },
        max_connections: it.max_connections as usize,
        max_per_address: it.max_per_address as usize,
        timeouts: Timeouts {
            head: it.timeouts.head,
            body: it.timeouts.body,
            idle: it.timeouts.idle,
        },
        http2: it.http2,
        h2c: it.h2c,
    }
}
