//! Roles and endpoints over the network.

use crate::authority::{ISSUER, WithAuthority, proof};
use crate::network::every_endpoint;
use authority::Actor;
use authority::oauth::ports::GrantStore as _;
use authority::oauth::records::{Revocation, RevocationKind};
use base::{Clock as _, Event, EventId, Kind, NodeId, Scheme, SystemClock, UnixMs, code};
use control::{Door, PUBLIC_PATHS, Proxies, ProxyHeader, ServerTls, Surface};
use protocol::Algorithm;
use protocol::sign::SigningKey;
use std::fmt::Write as _;
use std::sync::Arc;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

const MATRIX: &str = include_str!("roles.txt");
const ROLES: [&str; 4] = ["administrator", "operator", "auditor", "nobody"];

#[tokio::test]
async fn the_matrix_of_roles_and_endpoints() {
    let stage = WithAuthority::start().await;
    let mut headers = Vec::new();
    for role in ROLES {
        let (_, token) = stage.signed_in(role, &[role]).await;
        headers.push(format!("Authorization: Bearer {token}\r\n"));
    }
    let mut found = format!("{:<44}", "endpoint");
    for column in ROLES.into_iter().chain(["unauthenticated"]) {
        let _ = write!(found, " {column:<13}");
    }
    found.push('\n');
    let mut endpoints = every_endpoint();
    endpoints.retain(|(_, path)| !PUBLIC_PATHS.contains(&path.as_str()));
    endpoints.sort_by(|(a, x), (b, y)| (x, a).cmp(&(y, b)));
    for (method, path) in endpoints {
        let body = (method == "POST").then_some("{}");
        let mut line = format!("{:<44}", format!("{method} {path}"));
        for lines in headers.iter().map(String::as_str).chain([""]) {
            let answer = stage.edge.call_with((&method, &path), body, lines).await;
            let word = match answer.status {
                401 => "401",
                403 => "403",
                _ => "may",
            };
            let _ = write!(line, " {word:<13}");
        }
        found.push_str(line.trim_end());
        found.push('\n');
    }
    assert_eq!(found, MATRIX, "\n{found}");
}

#[tokio::test]
async fn rfc6750_s3_and_rfc9728_s5_1_challenges() {
    let stage = WithAuthority::start().await;
    let metadata = format!("{ISSUER}/.well-known/oauth-protected-resource/api");
    let challenge = async |lines: &str, status: u16| {
        let answer = stage.edge.call_with(("GET", "/api/v1/keys"), None, lines).await;
        assert_eq!(answer.status, status, "{answer:?}");
        assert!(answer.header("x-request-id").is_some());
        answer.header("www-authenticate").unwrap().to_owned()
    };
    let bare = challenge("", 401).await;
    assert_eq!(bare, format!("Bearer scope=\"admin:read\", resource_metadata=\"{metadata}\""));
    let wrong = challenge("Authorization: Bearer x\r\n", 401).await;
    assert!(wrong.starts_with("Bearer error=\"invalid_token\""), "{wrong}");
    assert!(wrong.contains(&metadata));
    let (_, token) = stage.signed_in("eve", &["staff"]).await;
    let narrow = challenge(&format!("Authorization: Bearer {token}\r\n"), 403).await;
    assert!(narrow.starts_with("Bearer error=\"insufficient_scope\""), "{narrow}");
    assert!(narrow.contains("scope=\"admin:read\"") && narrow.contains(&metadata), "{narrow}");
    let twice = format!("Authorization: Bearer {token}\r\nAuthorization: Bearer {token}\r\n");
    let answer = stage.edge.call_with(("GET", "/api/v1/keys"), None, &twice).await;
    assert_eq!(answer.status, 400, "{answer:?}");
    let document = stage.edge.get("/.well-known/oauth-protected-resource/api").await.json();
    assert_eq!(document["resource"], format!("{ISSUER}/api"));
    assert_eq!(document["authorization_servers"][0], ISSUER);
    assert_eq!(document["scopes_supported"].as_array().unwrap().len(), 4);
}

#[tokio::test]
async fn a_token_in_a_url_or_a_cookie_is_none() {
    let stage = WithAuthority::start().await;
    let (_, token) = stage.signed_in("ann", &["administrator"]).await;
    let path = format!("/api/v1/keys?access_token={token}");
    assert_eq!(stage.edge.get(&path).await.status, 401);
    let cookie = format!("Cookie: portcullis_session={token}\r\n");
    assert_eq!(stage.edge.call_with(("GET", "/api/v1/keys"), None, &cookie).await.status, 401);
}

#[tokio::test]
async fn rfc9449_s7_a_bound_token_comes_with_a_proof_for_this_address() {
    let stage = WithAuthority::start().await;
    let key = SigningKey::generate(Algorithm::Es256).unwrap();
    let (_, token) = stage.signed_in_with("ann", &["auditor"], Some(&key)).await;
    let asked = async |scheme: &str, method: &str, uri: &str| {
        let proof = proof(&key, (method, uri), None, Some(&token));
        let lines = format!("Authorization: {scheme} {token}\r\nDPoP: {proof}\r\n");
        stage.edge.call_with(("GET", "/api/v1/keys?limit=5"), None, &lines).await
    };
    let own = format!("{ISSUER}/api/v1/keys");
    assert_eq!(asked("DPoP", "GET", &own).await.status, 200);
    for (scheme, method, uri) in [
        ("Bearer", "GET", own.clone()),
        ("DPoP", "POST", own.clone()),
        ("DPoP", "GET", format!("{ISSUER}/api/v1/users")),
        ("DPoP", "GET", "http://localhost/api/v1/keys".to_owned()),
    ] {
        let refused = asked(scheme, method, &uri).await;
        refused.problem(401, "api.unauthenticated");
        let challenge = refused.header("www-authenticate").unwrap();
        assert!(challenge.starts_with("DPoP algs="), "{challenge}");
        assert!(challenge.contains("resource_metadata="), "{challenge}");
    }
    let lines = format!("Authorization: DPoP {token}\r\n");
    let refused = stage.edge.call_with(("GET", "/api/v1/keys"), None, &lines).await;
    refused.problem(401, "api.unauthenticated");
    assert!(refused.header("www-authenticate").unwrap().starts_with("DPoP algs="));
}

#[tokio::test]
async fn an_act_is_recorded_as_the_persons_with_their_address() {
    let stage = WithAuthority::start().await;
    let (id, token) = stage.signed_in("ann", &["administrator"]).await;
    let lines = format!("Authorization: Bearer {token}\r\nX-Forwarded-For: 203.0.113.7\r\n");
    let body = r#"{"name":"ci","scopes":["a"]}"#;
    let made = stage.edge.call_with(("POST", "/api/v1/keys"), Some(body), &lines).await;
    assert_eq!(made.status, 201, "{made:?}");
    stage.edge.door.send_replace(Door {
        tls: None,
        proxies: Arc::new(Proxies {
            trusted: access::address::TrustedProxies::new(["127.0.0.0/8".parse().unwrap()]),
            header: Some(ProxyHeader::Header(access::address::AddressHeader::XForwardedFor)),
        }),
    });
    stage.edge.call_with(("POST", "/api/v1/keys"), Some(body), &lines).await;
    let unreadable = lines.replace("203.0.113.7", "unknown");
    let refused = stage.edge.call_with(("POST", "/api/v1/keys"), Some(body), &unreadable).await;
    refused.problem(400, "address.malformed");
    let callers = stage.edge.world.admin.callers.lock().unwrap();
    let addresses: Vec<_> = callers.iter().map(|it| it.client_ip.unwrap().to_string()).collect();
    assert_eq!(addresses, ["127.0.0.1", "203.0.113.7"], "a stranger's word is not taken");
    assert!(callers.iter().all(|it| *it.principal == *id && it.scheme == Scheme::Jwt));
}

#[tokio::test]
async fn who_loses_a_role_or_a_token_is_out_at_once() {
    let stage = WithAuthority::start().await;
    let by = Actor::local("uid:0");
    let (id, token) = stage.signed_in("ann", &["administrator"]).await;
    let lines = format!("Authorization: Bearer {token}\r\n");
    let asked = async || stage.edge.call_with(("GET", "/api/v1/keys"), None, &lines).await.status;
    assert_eq!(asked().await, 200);
    stage.oauth.set_roles(&by, &id, &["staff".to_owned()]).await.unwrap();
    assert_eq!(asked().await, 401);
    // Somebody who listens is cut off, too.
    let (id, token) = stage.signed_in("bob", &["auditor"]).await;
    let mut stream = stage.edge.connect().await;
    let ask = format!(
        "GET /api/v1/audit/events?follow=true HTTP/1.1\r\nHost: localhost\r\n\
         Authorization: Bearer {token}\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(ask.as_bytes()).await.unwrap();
    let mut first = [0; 1024];
    assert!(stream.read(&mut first).await.unwrap() > 0);
    let now = SystemClock::new().now();
    let event = Event::new(EventId::random().unwrap(), now, NodeId(1), Kind::Admin, code::OK);
    let (kind, until) = (RevocationKind::Subject, UnixMs(now.0 + 3_630_000));
    let ended = Revocation { kind, value: id, not_before: now, until };
    stage.store.revoke(ended, event).await.unwrap();
    let mut rest = Vec::new();
    let end = stream.read_to_end(&mut rest);
    tokio::time::timeout(std::time::Duration::from_secs(5), end).await.unwrap().unwrap();
}

#[tokio::test]
async fn two_addresses_serve_their_own() {
    let admin = Surface { authority: false, admin: true };
    let stage = WithAuthority::start_with(admin).await;
    let (_, token) = stage.signed_in("ann", &["auditor"]).await;
    let lines = format!("Authorization: Bearer {token}\r\n");
    let status = async |path: &str| stage.edge.call_with(("GET", path), None, &lines).await.status;
    for path in ["/api/v1/keys", "/metrics", "/", "/api/openapi.json", "/livez"] {
        assert_eq!(status(path).await, 200, "{path}");
    }
    for path in ["/oauth/authorize", "/login", "/.well-known/openid-configuration", "/setup"] {
        assert_eq!(status(path).await, 404, "{path}");
    }
    let authority = Surface { authority: true, admin: false };
    let stage = WithAuthority::start_with(authority).await;
    let (_, token) = stage.signed_in("ann", &["auditor"]).await;
    let lines = format!("Authorization: Bearer {token}\r\n");
    let status = async |path: &str| stage.edge.call_with(("GET", path), None, &lines).await.status;
    for path in ["/login", "/.well-known/openid-configuration", "/.well-known/jwks.json"] {
        assert_eq!(status(path).await, 200, "{path}");
    }
    for path in ["/api/v1/keys", "/metrics", "/", "/api/openapi.json"] {
        assert_eq!(status(path).await, 404, "{path}");
    }
}

#[tokio::test]
async fn tls_from_the_next_connection_on() {
    let stage = WithAuthority::start().await;
    assert_eq!(stage.edge.get("/livez").await.status, 200);
    let folder = tempfile::tempdir().unwrap();
    let own = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let (cert, key) = (folder.path().join("a.pem"), folder.path().join("a.key"));
    std::fs::write(&cert, own.cert.pem()).unwrap();
    std::fs::write(&key, own.signing_key.serialize_pem()).unwrap();
    let tls = ServerTls::read(&cert, &key).unwrap();
    stage.edge.door.send_replace(Door { tls: Some(tls), proxies: Arc::default() });
    // Plain HTTP is no handshake.
    assert_eq!(stage.edge.get("/livez").await.status, 0);
    let mut roots = rustls::RootCertStore::empty();
    roots.add(own.cert.der().clone()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
    let name = rustls::pki_types::ServerName::try_from("localhost").unwrap();
    let stream = connector.connect(name, stage.edge.connect().await).await.unwrap();
    let message = "GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    let answer = crate::client::exchange(stream, message).await;
    assert_eq!(answer.status, 200, "{answer:?}");
}

#[tokio::test]
async fn the_proxy_protocol_names_the_client() {
    let stage = WithAuthority::start().await;
    let (_, token) = stage.signed_in("ann", &["administrator"]).await;
    stage.edge.door.send_replace(Door {
        tls: None,
        proxies: Arc::new(Proxies {
            trusted: access::address::TrustedProxies::new(["127.0.0.0/8".parse().unwrap()]),
            header: Some(ProxyHeader::Protocol),
        }),
    });
    let body = r#"{"name":"ci","scopes":["a"]}"#;
    let message = format!(
        "PROXY TCP4 203.0.113.9 192.0.2.1 4000 8001\r\nPOST /api/v1/keys HTTP/1.1\r\n\
         Host: localhost\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
    assert_eq!(stage.edge.send(&message).await.status, 201);
    assert_eq!(stage.edge.get("/livez").await.status, 0, "without the header nobody is heard");
    let callers = stage.edge.world.admin.callers.lock().unwrap();
    assert_eq!(callers[0].client_ip.unwrap().to_string(), "203.0.113.9");
}
