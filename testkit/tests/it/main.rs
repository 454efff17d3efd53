//! The kit on itself: what tests rely on has to be right first.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256, RSA_PSS_2048_8192_SHA256,
    RsaPublicKeyComponents, UnparsedPublicKey,
};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use std::collections::HashSet;
use std::io::{Read, Write};
use std::time::Duration;
use testkit::{
    Algorithm, Answer, Authority, Behaviour, Endpoint, Gate, Issuer, Key, Node, RawClient,
    Upstream, free_port, get, jose, node, request, wait,
};

#[test]
fn upstream_keeps_the_exact_bytes() {
    let upstream = Upstream::start(|seen| Answer::ok(&seen.target()));
    let mut client = RawClient::connect(&upstream.url());
    let head = b"GET /a%2Fb?x HTTP/1.1\r\nHOST: a\r\nx-Odd:  b \r\nX-odd: c\r\n\r\n";
    let response = client.exchange(head);
    assert_eq!((response.status, response.text().as_str()), (200, "/a%2Fb?x"));
    let seen = upstream.last();
    assert_eq!(seen.head, head);
    assert_eq!(seen.values("X-ODD"), ["b", "c"]);
    assert_eq!(seen.header("x-odd"), None);
    assert_eq!(seen.header("host").as_deref(), Some("a"));
    // The same connection serves the next.
    client.exchange(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc");
    assert_eq!(upstream.last().body.kept, b"abc");
    assert_eq!((upstream.connections(), upstream.count()), (1, 2));
}

#[test]
fn chunks_and_trailers_are_read() {
    let upstream = Upstream::start(|seen| {
        assert!(seen.body.complete);
        let body = format!("{:x}\r\n{}\r\n0\r\ngrpc-status: 0\r\n\r\n", 5, "hello");
        let head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
        Answer::Bytes((head.to_owned() + &body).into_bytes())
    });
    let mut client = RawClient::connect(&upstream.url());
    let response = client.exchange(
        b"PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2;x=y\r\nab\r\n1\r\nc\r\n0\r\nT: 1\r\n\r\n",
    );
    assert_eq!(response.text(), "hello");
    assert_eq!(response.body.trailers, [("grpc-status".to_owned(), "0".to_owned())]);
    let seen = upstream.last();
    assert_eq!((seen.body.kept.as_slice(), seen.body.trailers.len()), (b"abc".as_slice(), 1));
}

#[test]
fn a_broken_off_answer_is_not_complete() {
    let upstream = Upstream::start(|_| {
        Answer::Close(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf".to_vec())
    });
    let response = get(&upstream.url(), &[]);
    assert_eq!(
        (response.body.kept.as_slice(), response.body.complete),
        (b"half".as_slice(), false)
    );
}

#[test]
fn silence_and_the_end_are_told_apart() {
    let upstream = Upstream::start(|_| Answer::Silence);
    let mut client = RawClient::connect(&upstream.url());
    client.patience(Duration::from_millis(50));
    client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(client.try_response("GET").is_err());
    assert!(!client.is_closed(Duration::from_millis(50)));
    upstream.wait_for(1, Duration::from_secs(5));
    drop(upstream);
    assert!(client.is_closed(Duration::from_secs(5)));
}

#[test]
fn a_script_can_take_the_socket() {
    let upstream = Upstream::start(|_| {
        Answer::takeover(|stream| {
            stream.write_all(b"HTTP/1.1 101 Switching\r\nupgrade: echo\r\n\r\n").unwrap();
            let mut bytes = [0; 4];
            stream.read_exact(&mut bytes).unwrap();
            stream.write_all(&bytes).unwrap();
        })
    });
    let mut client = RawClient::connect(&upstream.url());
    assert_eq!(client.exchange(b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: echo\r\n\r\n").status, 101);
    client.send(b"ping");
    assert_eq!(client.read_some().unwrap(), b"ping");
}

#[test]
fn the_client_can_come_from_another_address() {
    let upstream = Upstream::start(|_| Answer::ok("x"));
    let mut client = RawClient::connect_from("127.0.0.9".parse().unwrap(), &upstream.url());
    assert_eq!(client.local().ip().to_string(), "127.0.0.9");
    assert_eq!(client.exchange(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").status, 200);
}

#[test]
fn ports_are_handed_out_once() {
    let ports: HashSet<u16> = (0..50).map(|_| free_port()).collect();
    assert_eq!(ports.len(), 50);
}

#[test]
fn tokens_verify_with_the_published_keys() {
    let check = |algorithm: Algorithm| {
        let key = Key::generate(algorithm, "k");
        let token = key.token(&json!({ "sub": "a" }));
        let (input, signature) = token.rsplit_once('.').unwrap();
        let (jwk, signature) = (key.jwk(), decode(signature));
        let part = |name: &str| decode(jwk[name].as_str().unwrap());
        let good = match algorithm {
            Algorithm::Es256 => {
                let point = [vec![4], part("x"), part("y")].concat();
                UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point)
                    .verify(input.as_bytes(), &signature)
            }
            Algorithm::EdDsa => {
                UnparsedPublicKey::new(&ED25519, part("x")).verify(input.as_bytes(), &signature)
            }
            _ => {
                let rsa = match algorithm {
                    Algorithm::Ps256 => &RSA_PSS_2048_8192_SHA256,
                    _ => &RSA_PKCS1_2048_8192_SHA256,
                };
                RsaPublicKeyComponents { n: part("n"), e: part("e") }.verify(
                    rsa,
                    input.as_bytes(),
                    &signature,
                )
            }
        };
        assert!(good.is_ok(), "{algorithm:?}");
        assert!(key.public_pem().starts_with("-----BEGIN PUBLIC KEY-----\nM"), "{algorithm:?}");
    };
    let all = [Algorithm::Es256, Algorithm::EdDsa, Algorithm::Rs256, Algorithm::Ps256];
    all.into_iter().for_each(check);
}

#[test]
fn the_issuer_publishes_rotates_and_counts() {
    let issuer = Issuer::start();
    let discovery = get(&(issuer.url() + "/.well-known/openid-configuration"), &[]).json();
    assert_eq!(discovery["issuer"], issuer.url());
    let keys = |expect: &[&str]| {
        let set = get(discovery["jwks_uri"].as_str().unwrap(), &[]).json();
        let kids = set["keys"].as_array().unwrap().iter().map(|key| key["kid"].as_str().unwrap());
        assert_eq!(kids.collect::<Vec<_>>(), expect);
    };
    keys(&["k1"]);
    issuer.add_key(Key::generate(Algorithm::EdDsa, "k2"));
    keys(&["k1", "k2"]);
    issuer.remove_key("k1");
    keys(&["k2"]);
    assert_eq!((issuer.fetches(Endpoint::Keys), issuer.fetches(Endpoint::Discovery)), (3, 1));
    let token = issuer.token("api", "read");
    let claims: Value = serde_json::from_slice(&decode(token.split('.').nth(1).unwrap())).unwrap();
    assert_eq!((&claims["aud"], &claims["iss"]), (&json!("api"), &json!(issuer.url())));
}

#[test]
fn the_issuer_lies_when_told_to() {
    let issuer = Issuer::start();
    let url = issuer.url() + "/jwks";
    issuer.behave(Behaviour::Status(500));
    assert_eq!(get(&url, &[]).status, 500);
    issuer.behave(Behaviour::Garbage);
    assert_eq!(get(&url, &[]).json(), Value::Null);
    issuer.behave(Behaviour::Drip(Duration::from_millis(1)));
    let passed = wait::until(Duration::from_secs(10), "a slow answer", || {
        get(&url, &[]).json()["keys"].is_array()
    });
    assert!(passed < Duration::from_secs(10));
    issuer.behave(Behaviour::Honest);
    assert_eq!(get(&url, &[]).json()["keys"].as_array().map(Vec::len), Some(1));
}

#[test]
fn introspection_knows_what_it_was_told() {
    let issuer = Issuer::start();
    issuer.introspects("abc", json!({ "active": true, "sub": "bob" }));
    let ask = |token: &str| {
        let body = format!("token={token}&token_type_hint=access_token");
        request("POST", &(issuer.url() + "/introspect"), &[], body.as_bytes()).json()
    };
    assert_eq!(ask("abc")["sub"], "bob");
    assert_eq!(ask("abd"), json!({ "active": false }));
}

#[test]
fn attack_tokens_have_the_form_of_tokens() {
    let claims = json!({ "sub": "a" });
    assert!(jose::unsigned(&claims).ends_with('.'));
    assert_eq!(jose::hs256(b"secret", &json!({ "alg": "HS256" }), &claims).split('.').count(), 3);
}

/// A stand-in for the binary: it says that it is ready, and logs what it was called with.
fn stand_in(folder: &std::path::Path, script: &str) -> std::path::PathBuf {
    use std::os::unix::fs::PermissionsExt;
    let path = folder.join("stand-in");
    std::fs::write(&path, format!("#!/bin/sh\necho \"called $*\" >&2\n{script}\n")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o700)).unwrap();
    path
}

#[test]
fn a_gate_starts_is_killed_and_starts_again() {
    let folder = tempfile::tempdir().unwrap();
    let script = "echo starting; echo '{\"gateway\":[\"http://localhost:1\"],\"control\":\"http://localhost:2\"}'; echo more; exec sleep 600";
    let mut gate = Gate::builder().program(&stand_in(folder.path(), script)).start();
    assert_eq!(
        (gate.url().as_str(), gate.control().as_str()),
        ("http://localhost:1", "http://localhost:2")
    );
    gate.wait_for_log("called up --json --config ", Duration::from_secs(5));
    assert!(gate.resident_kib() > 0);
    gate.kill9();
    gate.restart();
    gate.sigterm();
    assert!(!gate.ended().success());
}

#[test]
fn a_gate_that_does_not_start_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let program = stand_in(folder.path(), "echo no; exit 1");
    let output = Gate::builder().program(&program).try_start().unwrap_err();
    assert_eq!((output.code, output.stdout.as_str()), (1, "no\n"));
    assert!(output.stderr.contains("called up"));
}

#[test]
fn a_real_issuer_issues_and_rotates() {
    let issuer = Node::start("issuer.mjs", &["api"]);
    let token = |client: &str| {
        let form = format!(
            "grant_type=client_credentials&client_id={client}&client_secret=secret-of-the-test-client&scope=read"
        );
        let headers = [("content-type", "application/x-www-form-urlencoded")];
        let answer = request("POST", &(issuer.url() + "/token"), &headers, form.as_bytes());
        answer.json()["access_token"].as_str().unwrap().to_owned()
    };
    let part = |token: &str, number: usize| -> Value {
        serde_json::from_slice(&decode(token.split('.').nth(number).unwrap())).unwrap()
    };
    let kids = || -> Vec<Value> {
        let set = get(&(issuer.url() + "/jwks"), &[]).json();
        set["keys"].as_array().unwrap().iter().map(|key| key["kid"].clone()).collect()
    };
    for (client, algorithm) in [("es256", "ES256"), ("rs256", "RS256")] {
        let token = token(client);
        assert_eq!(part(&token, 0)["alg"], algorithm);
        assert_eq!(
            (&part(&token, 1)["aud"], &part(&token, 1)["iss"]),
            (&json!("api"), &json!(issuer.url()))
        );
        assert!(kids().contains(&part(&token, 0)["kid"]));
    }
    let old = kids();
    request("POST", &(issuer.url() + "/test/rotate"), &[], &[]);
    assert_eq!((kids().len(), &kids()[2..]), (4, old.as_slice()));
    request("POST", &(issuer.url() + "/test/withdraw"), &[], &[]);
    assert_eq!(kids().len(), 2);
    assert!(!old.contains(&part(&token("es256"), 0)["kid"]));
}

#[test]
fn real_peers_speak_with_each_other() {
    let run = |script: &str, args: &[&str]| -> Value {
        let output = node(script, args);
        assert!(output.status.success(), "{output:?}");
        serde_json::from_slice(&output.stdout).unwrap()
    };
    let sockets = Node::start("websocket.mjs", &["serve"]);
    let url = sockets.url().replace("http://", "ws://");
    let opened = run("websocket.mjs", &["call", &url, "Bearer x", "18"]);
    assert_eq!(opened["headers"]["authorization"], "Bearer x");
    let calls = Node::start("grpc.mjs", &["serve"]);
    let called = run("grpc.mjs", &["call", calls.url().trim_start_matches("http://"), "Bearer x"]);
    assert_eq!((&called["once"]["count"], &called["many"]["count"]), (&json!("1"), &json!("100")));
    assert_eq!((&called["chat"]["messages"], &called["refuse"]["code"]), (&json!(10), &json!(7)));
}

#[test]
fn the_client_speaks_tls() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new();
    authority.write(folder.path(), "server", &["localhost", "127.0.0.1"]);
    let script = "const f=require('fs');const s=require('https').createServer({cert:f.readFileSync(process.argv[2]+'/server.pem'),\
        key:f.readFileSync(process.argv[2]+'/server.key'),ALPNProtocols:['http/1.1']},(q,r)=>r.end(q.url));\
        s.listen(0,'127.0.0.1',()=>console.log(JSON.stringify({url:'127.0.0.1:'+s.address().port})))";
    let file = folder.path().join("server.cjs");
    std::fs::write(&file, script).unwrap();
    let server = Node::start(file.to_str().unwrap(), &[folder.path().to_str().unwrap()]);
    let mut client = RawClient::connect_tls(&server.url(), "localhost", &authority, &["http/1.1"]);
    let response = client.exchange(b"GET /tls HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert_eq!((response.status, response.text().as_str()), (200, "/tls"));
    assert_eq!(client.tls().unwrap().alpn_protocol(), Some(b"http/1.1".as_slice()));
}

#[test]
fn the_real_gate_is_driven_through_its_life() {
    let (upstream, issuer) = (Upstream::ok(), Issuer::start());
    let routes = |path: &str| {
        format!(
            "{}\n[[upstream]]\nname = \"u\"\nservers = [\"{}\"]\n[[route]]\nname = \"r\"\npath = \"{path}\"\n\
             upstream = \"u\"\n[route.access]\nany = [{{ api_key = {{ scopes = [\"read\"] }} }}, \
             {{ jwt = {{ issuer = \"i\", scopes = [\"read\"] }} }}]\n",
            issuer.config("i", "api"),
            upstream.url()
        )
    };
    let mut gate = Gate::start(&routes("/a/{**}"));
    assert_eq!(gate.get("/a/x", &[]).status, 401);
    let key = gate.done(&["key", "create", "--name", "n", "--scope", "read"]);
    let key = key["key"].as_str().unwrap().to_owned();
    assert_eq!(gate.get("/a/x", &[("x-api-key", &key)]).text(), "ok");
    let bearer = format!("Bearer {}", issuer.token("api", "read"));
    assert_eq!(gate.get("/a/x", &[("authorization", &bearer)]).status, 200);
    assert_eq!(upstream.last().header("portcullis-subject").as_deref(), Some("alice"));
    // A change of the file is taken up, the running connections notwithstanding.
    gate.rewrite(&routes("/b/{**}"));
    gate.sighup();
    wait::until(Duration::from_secs(10), "the new route", || {
        gate.get("/b/x", &[("x-api-key", &key)]).status == 200
    });
    assert_eq!(gate.get("/a/x", &[]).status, 404);
    // What was acknowledged survives a kill.
    gate.kill9();
    gate.restart();
    assert_eq!(gate.get("/b/x", &[("x-api-key", &key)]).status, 200);
    gate.sigterm();
    assert!(gate.ended().success());
    assert_eq!(gate.cli(&["audit", "verify"]).json()["ok"], true);
}

fn decode(text: &str) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(text).unwrap()
}
