//! What a good file comes to.

use super::*;
use std::time::Duration;

#[test]
fn the_example_of_the_guide() {
    let text = r#"
version = 1
[server]
data_dir   = "data"
public_url = "http://localhost:8001"
control    = "127.0.0.1:8001"
[[listener]]
name = "api"
bind = "0.0.0.0:8000"
tls = { cert = "server.pem", key = "server.key" }
client_certificates = "none"
proxies = { trusted = ["10.0.0.0/8"], header = "x-forwarded-for" }
[[issuer]]
name = "corp"
issuer = "https://login.corp.example"
audience = ["orders-api"]
algorithms = ["ES256", "RS256"]
[[ip_list]]
name  = "office"
allow = ["192.0.2.0/24", "2001:db8::/32", "dns:vpn.example.com"]
deny = ["192.0.2.66"]
[[upstream]]
name = "orders"
servers = ["http://127.0.0.1:9000"]
assertion = true
health = { path = "/healthz", every = "5s" }
[[route]]
name = "orders-read"
path = "/orders/{**}"
methods = ["GET"]
upstream = "orders"
strip_prefix = "/orders"
host_header = "keep"
headers = { set = { X-Team = "orders" }, remove = ["Cookie"] }
cors = { origins = ["https://app.example.com"], headers = ["X-A"], credentials = false, max_age = "10m" }
ip = ["office"]
rate = { limit = 100, per = "1m", by = "principal" }
audit = "strict"
shadow = ["rate"]
[route.access]
any = [
  { jwt = { issuer = "corp", scopes = ["orders:read"], claims = { team = ["a", "b"], level = 3 } } },
  { api_key = { scopes = ["orders:read"] } },
]
"#;
    let config = sound(text);
    assert_eq!(report(text).problems, []);
    assert_eq!(config.server.data_dir, Path::new("/etc/gate/data"));
    let listener = &config.listeners[0];
    assert_eq!(listener.public_url.as_str(), "https://localhost:8000");
    assert_eq!(listener.tls.as_ref().unwrap().cert, Path::new("/etc/gate/server.pem"));
    let route = &config.routes[0];
    assert_eq!(route.resource, "https://localhost:8000/orders/");
    assert_eq!(route.headers.set[0].0, "x-team");
    assert_eq!(route.headers.remove, ["cookie"]);
    assert_eq!(route.audit, AuditLevel::Strict);
    assert_eq!(route.shadow, Shadow { rate: true, ip: false, mfa: false });
    assert_eq!(route.rates[0].burst(), 100);
    let Access::Rule(Rule::Any(rules)) = &route.access else { panic!("{:?}", route.access) };
    let Rule::Jwt(jwt) = &rules[0] else { panic!("{rules:?}") };
    assert_eq!(jwt.claims.len(), 2);
}

#[test]
fn defaults() {
    let config = sound(BASE);
    assert_eq!(config.server.store, Store::Sqlite);
    assert_eq!(config.server.stale_limit, Duration::from_secs(30));
    assert_eq!(config.server.public_url.as_str(), "http://localhost:8001");
    assert_eq!(config.log, Log { level: LogLevel::Info, access: AccessLog::Off });
    let listener = &config.listeners[0];
    assert_eq!(listener.public_url.as_str(), "http://127.0.0.1:8000");
    assert_eq!((listener.max_connections, listener.max_per_address), (16_384, 4_096));
    assert_eq!(listener.timeouts, Timeouts::default());
    assert!(listener.http2 && !listener.h2c && listener.proxies.is_none());
    let issuer = &config.issuers[0];
    assert_eq!(issuer.algorithms, AlgorithmSet::DEFAULT);
    assert!(matches!(issuer.keys, KeySource::Discovery));
    let upstream = &config.upstreams[0];
    assert_eq!(upstream.timeout, Duration::from_secs(60));
    assert_eq!(upstream.connect_timeout, Duration::from_secs(5));
    assert_eq!((upstream.retries, upstream.protocol), (1, UpstreamProtocol::Http1));
    let route = &config.routes[0];
    assert_eq!(route.max_body, DEFAULT_MAX_BODY);
    assert!(!route.forward_credential && route.ip.is_empty() && route.rates.is_empty());
}

/// A section, and keys that it takes.
const SECTIONS: &[(&str, &str)] = &[
    ("server", "admin = \"127.0.0.1:8002\""),
    ("server", "admin = \"127.0.0.1:8002\"\nadmin_url = \"https://admin.example.com\""),
    ("server", "control = \"0.0.0.0:8001\"\ntls = { cert = \"server.pem\", key = \"server.key\" }"),
    (
        "server",
        "control = \"0.0.0.0:8001\"\nproxies = { trusted = [\"10.0.0.0/8\"], header = \"proxy-protocol\" }",
    ),
    ("server", "resolver = \"[::1]:5353\""),
    ("server", "role = \"all\"\nstale_limit = \"10s\"\nstore = \"sqlite\""),
    ("server", "store = { env = \"GATE_SECRET\" }\n[log]\nlevel = \"warn\""),
    ("server", "[log]\naccess = \"stdout\""),
    ("server", "[log]\naccess = { file = \"access.log\" }"),
    (
        "listener",
        "max_connections = 10\nmax_connections_per_address = 5\nhttp2 = false\nh2c = true",
    ),
    ("listener", "timeouts = { head = \"5s\", body = \"1m\", idle = \"2m\" }"),
    ("listener", "proxies = { trusted = [], header = \"proxy-protocol\" }"),
    ("listener", "public_url = \"https://api.example.com/\""),
    ("issuer", "jwks_uri = \"https://login.corp.example/keys\""),
    ("issuer", "jwks_file = \"jwks.json\"\nalgorithms = [\"EdDSA\", \"Ed25519\"]"),
    ("upstream", "protocol = \"h2\"\nidle = \"10s\"\nkeep_alive = 0\nretries = 0"),
    ("upstream", "timeout = \"5s\"\nconnect_timeout = \"1s\"\nassertion = false"),
    ("route", "host = \"API.example.com\"\nresource = \"https://api.example.com/orders\""),
    ("route", "rate = [{ limit = 1, per = \"1s\" }, { limit = 9, per = \"1h\", by = \"route\" }]"),
    ("route", "max_body = \"10MiB\"\ntimeout = \"5s\"\nforward_credential = true"),
    (
        "route",
        "response_headers = { set = { x-a = { file = \"secret.txt\" } }, remove = [\"server\"] }",
    ),
    ("route", "cors = { origins = [\"*\"], headers = [] }"),
    (
        "end",
        "[authority]\nname = \"Bank\"\nalgorithm = \"EdDSA\"\naccess_token = \"10m\"\nrefresh_idle = \"1d\"\nrefresh_absolute = \"30d\"\nsession = \"1h\"\nregistration = \"token\"\nclient_documents = false\npasskey_makers = \"server.pem\"\nscopes = { \"orders:read\" = \"See orders\" }",
    ),
    ("end", "[[provider]]\nname = \"corp\"\nclient_id = \"us\"\nissuer = \"http://127.0.0.1:9/\""),
    (
        "end",
        "[[provider]]\nname = \"g\"\npreset = \"google\"\nclient_id = \"us\"\nclient_secret = { env = \"GATE_SECRET\" }\ncreate = [\"Example.com\"]\nlink = \"explicit\"",
    ),
    (
        "end",
        "[[provider]]\nname = \"k\"\npreset = \"keycloak\"\nserver = \"https://kc.example/auth/\"\nrealm = \"main\"\nclient_id = \"us\"\nclient_auth = \"client_secret_post\"\nclient_secret = { file = \"secret.txt\" }\ngroups = { \"Ops Team\" = \"ops\" }\namr = { mfa = \"aal2\" }\ncreate = \"never\"",
    ),
    ("end", "[mail]\nserver = \"smtp://mail.example\"\nfrom = \"gate@example.com\""),
    (
        "end",
        "[mail]\nserver = \"smtps://mail.example:465/\"\nfrom = \"The Gate <gate@example.com>\"\nusername = \"gate\"\npassword = { file = \"secret.txt\" }\nca = \"server.pem\"",
    ),
    (
        "end",
        "[mail]\nserver = \"smtp+plain://[::1]:2525\"\nfrom = \"\\\"Gate, the\\\" <g@localhost>\"",
    ),
    ("end", "[mail]\nserver = \"smtp+plain://relay\"\nfrom = \"gate@example.com\""),
    (
        "end",
        "[[client]]\nname = \"ui\"\nredirect_uris = [\"https://a.example/cb\"]\nscopes = [\"openid\"]\npkce = \"optional\"\npost_logout_redirect_uris = [\"https://a.example/\"]\nbackchannel_logout_uri = \"https://a.example/out\"\nsecret = { env = \"GATE_SECRET\" }\nconsent = false",
    ),
    (
        "end",
        "[[client]]\nname = \"bank\"\njwks_uri = \"https://a.example/keys\"\ngrants = [\"client_credentials\", \"token_exchange\"]\nprofile = \"fapi2-security\"",
    ),
    (
        "end",
        "[[user]]\nemail = \"Ada@example.com\"\nname = \"Ada\"\ngroups = [\"ops\", \"administrator\"]\npassword_hash = \"$2b$05$aZ1i79Hf8rPCTH0ottk9guaxRlIjgio4PsPGFvCdNbiwcbj6VSRYO\"\n[[user]]\nemail = \"bob@example.com\"\ndisabled = true",
    ),
    (
        "end",
        "[[sign_in]]\nname = \"ops\"\ngroups = [\"ops\", \"administrator\"]\nfactors = [\"passkey\"]\n[[sign_in]]\nname = \"bank\"\nclients = [\"https://a.example/client.json\"]\nacr = \"phrh\"\nmax_age = \"10s\"",
    ),
    (
        "end",
        "[[route]]\nname = \"w\"\npath = \"/orders/{**}\"\nmethods = [\"POST\"]\nupstream = \"orders\"\naccess = { api_key = { scopes = [\"w\"] } }",
    ),
];

#[test]
fn every_section_takes_its_keys() {
    let table = SECTIONS;
    for (section, text) in table {
        let text = with(section, text);
        // GATE_SECRET is no PostgreSQL URL; that is the one problem of that row.
        let expected = usize::from(text.contains("store = { env"));
        assert_eq!(report(&text).problems.len(), expected, "{text}\n{:#?}", report(&text).problems);
    }
}

#[test]
fn introspection_and_its_secrets() {
    for secret in ["{ env = \"GATE_SECRET\" }", "{ file = \"secret.txt\" }", "\"hunter2\""] {
        let text = format!(
            "introspection = {{ url = \"https://x.example/i\", client_id = \"g\", client_secret = {secret} }}"
        );
        let config = sound(&with("issuer", &text));
        let introspection = config.issuers[0].introspection.as_ref().unwrap();
        assert_eq!(introspection.client_secret.expose(), "hunter2");
        assert_eq!(introspection.cache, Duration::from_secs(30));
    }
}

#[test]
fn an_issuer_of_opaque_tokens() {
    let introspection = "introspection = { url = \"https://x.example/i\", client_id = \"g\", client_secret = \"s\" }";
    let text = with("issuer", &format!("algorithms = []\n{introspection}"));
    let config = sound(&text.replace("https://login.corp.example", "corp"));
    assert_eq!(config.issuers[0].keys, KeySource::Nowhere);
}

#[test]
fn an_empty_allow_is_not_an_absent_one() {
    let allow = "allow = [\"192.0.2.0/24\"]";
    for (text, has_allow, has_deny) in [
        ("allow = []", true, false),
        ("allow = []\ndeny = [\"192.0.2.1\"]", true, true),
        ("deny = [\"192.0.2.1\"]", false, true),
    ] {
        let config = sound(&BASE.replace(allow, text));
        let list = &config.ip_lists[0];
        assert_eq!((list.allow.is_some(), list.deny.is_some()), (has_allow, has_deny), "{text}");
    }
}

#[test]
fn a_list_that_people_add_themselves_to() {
    let said = |text: &str| {
        let config = sound(&with("ip_list", text));
        config.ip_lists[0].self_service.clone()
    };
    assert_eq!(said(""), None, "nobody may, where nothing is said");
    let least = said("self_service = { groups = [\"ops\"] }").unwrap();
    assert_eq!((least.longest, least.private), (Duration::from_secs(8 * 3600), false));
    let most =
        "self_service = { groups = [\"ops\", \"dev\", \"ops\"], for = \"24h\", private = true }";
    let most = said(most).unwrap();
    assert_eq!((most.longest, most.private), (Duration::from_secs(24 * 3600), true));
    assert_eq!(most.groups, ["dev", "ops"]);
    assert_eq!(most.list, sound(BASE).ip_lists[0].name);
}

#[test]
fn two_readings_of_a_file_are_equal() {
    assert_eq!(sound(BASE), sound(BASE));
    assert_ne!(sound(BASE), sound(&with("route", "timeout = \"5s\"")));
}

#[test]
fn a_public_route() {
    let config = sound(&with_access("\"public\""));
    assert!(config.routes[0].access.is_public());
    assert_eq!(report(&with_access("\"public\"")).problems, []);
}
