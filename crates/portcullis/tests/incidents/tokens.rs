//! Incidents of tokens: confused algorithms, mistyped claims, caches, stampedes, sizes.

use crate::stage::{AUDIENCE, SOON, Stage, refused};
use serde_json::{Value, json};
use testkit::{Algorithm, Answer, Behaviour, Endpoint, Key, Upstream, jose, wait};

/// Claims that are good but for what a test changes.
fn claims(stage: &Stage) -> Value {
    stage.issuer.claims(AUDIENCE, "read")
}

/// That none of these tokens passes, each for a reason that its caller is told, and that honest ones do.
#[track_caller]
fn all_refused(stage: &Stage, attacks: Vec<(String, String)>) {
    for (what, token) in attacks {
        let answer = stage.get("/api/x", &stage.secret(token));
        assert_eq!(answer.status, 401, "{what}: {}", answer.text());
        assert!(answer.header("www-authenticate").is_some(), "{what}");
    }
    stage.untouched();
    for kid in ["k1", "r1"] {
        let honest = stage.secret(stage.issuer.key(kid).token(&claims(stage)));
        assert_eq!(stage.get("/api/x", &honest).status, 200);
    }
}

/// Row 1: APISIX CVE-2026-39999. What the attacker chooses must never choose the key or the check.
#[test]
fn incident_01_algorithm_confusion() {
    let stage = Stage::standard();
    let (ec, rsa) = (stage.issuer.key("k1"), stage.issuer.key("r1"));
    let claims = claims(&stage);
    let mut attacks = Vec::new();
    let mut add = |what: &str, token: String| attacks.push((what.to_owned(), token));
    // The public key as the secret of an HMAC, in each form that an implementation might hold it.
    for (kid, key) in [("r1", &rsa), ("k1", &ec)] {
        let pem = key.public_pem();
        let one_line = pem.lines().filter(|line| !line.starts_with("--")).collect::<String>();
        let secrets = [
            pem.clone(),
            pem.trim().to_owned(),
            pem.replace('\n', "\r\n"),
            one_line,
            key.jwk().to_string(),
        ];
        for (number, secret) in secrets.iter().enumerate() {
            for alg in ["HS256", "hs256", "HS384", "HS512", "RS256", "ES256"] {
                let header = json!({ "alg": alg, "kid": kid, "typ": "at+jwt" });
                add(
                    &format!("{alg} with {kid}, form {number}"),
                    jose::hs256(secret.as_bytes(), &header, &claims),
                );
            }
        }
        for secret in ["", "\0", "secret"] {
            let header = json!({ "alg": "HS256", "kid": kid });
            add("HS256 with a guess", jose::hs256(secret.as_bytes(), &header, &claims));
        }
    }
    all_refused(&stage, attacks);
}

/// Row 1: no algorithm, in each spelling, and a true key under another algorithm than its own.
#[test]
fn incident_01_no_algorithm_or_another() {
    let stage = Stage::standard();
    let (ec, rsa) = (stage.issuer.key("k1"), stage.issuer.key("r1"));
    let claims = claims(&stage);
    let mut attacks = Vec::new();
    let mut add = |what: &str, token: String| attacks.push((what.to_owned(), token));
    add("none", jose::unsigned(&claims));
    for alg in [
        json!("none"),
        json!("None"),
        json!("nOnE"),
        json!(""),
        json!(null),
        json!(0),
        json!(["ES256"]),
    ] {
        for kid in [json!("k1"), json!(null)] {
            let input = format!(
                "{}.{}",
                jose::b64(json!({ "alg": alg, "kid": kid }).to_string()),
                jose::b64(claims.to_string())
            );
            add(&format!("alg {alg}"), format!("{input}."));
            add(
                &format!("alg {alg}, signed"),
                format!("{input}.{}", jose::b64(ec.signature(input.as_bytes()))),
            );
        }
    }
    let input = format!("{}.{}", jose::b64(r#"{"kid":"k1"}"#), jose::b64(claims.to_string()));
    add("no alg", format!("{input}.{}", jose::b64(ec.signature(input.as_bytes()))));
    // A true key under another algorithm than its own.
    for alg in ["RS256", "PS256", "ES384", "EdDSA", "ES256K", "HS256"] {
        add("k1 under another", ec.token_with(&json!({ "alg": alg, "kid": "k1" }), &claims));
    }
    for alg in ["ES256", "PS256", "RS384", "RS512", "RS1"] {
        add("r1 under another", rsa.token_with(&json!({ "alg": alg, "kid": "r1" }), &claims));
    }
    all_refused(&stage, attacks);
}

/// Row 1: header members twice, and text that is not quite a token (RFC 7515 §2).
#[test]
fn incident_01_malformed_tokens() {
    let stage = Stage::standard();
    let ec = stage.issuer.key("k1");
    let claims = claims(&stage);
    let mut attacks = Vec::new();
    let mut add = |what: &str, token: String| attacks.push((what.to_owned(), token));
    for header in [
        r#"{"alg":"none","alg":"ES256","kid":"k1"}"#,
        r#"{"alg":"ES256","alg":"none","kid":"k1"}"#,
        r#"{"alg":"ES256","kid":"k9","kid":"k1"}"#,
        r#"{"alg":"ES256","kid":"k1","b64":false,"crit":["b64"]}"#,
        r#"{"alg":"ES256","kid":"k1","crit":[]}"#,
    ] {
        add(header, ec.token_of(header.as_bytes(), claims.to_string().as_bytes()));
    }
    let good = ec.token(&claims);
    for tail in ["=", "==", ".", "..", "A", "%3D", ".x"] {
        add(tail, format!("{good}{tail}"));
    }
    let parts: Vec<&str> = good.split('.').collect();
    add("padded", format!("{}==.{}.{}", parts[0], parts[1], parts[2]));
    add("turned", format!("{}.{}.{}", parts[1], parts[0], parts[2]));
    add("two parts", format!("{}.{}", parts[0], parts[1]));
    add("five parts", format!("{}..{}.{}.", parts[0], parts[1], parts[2]));
    all_refused(&stage, attacks);
}

/// Row 1, second half: a key that the token brings along, or says where to find, is no key.
#[test]
fn incident_01_embedded_keys() {
    let stage = Stage::standard();
    let claims = claims(&stage);
    for algorithm in [Algorithm::Es256, Algorithm::Rs256] {
        let own = Key::generate(algorithm, "k1");
        let set = jose::key_set([&own]);
        let host = Upstream::start(move |_| Answer::json(200, &set));
        let (url, alg) = (host.url() + "/jwks", algorithm.name());
        let headers = [
            json!({ "alg": alg, "jwk": own.jwk() }),
            json!({ "alg": alg, "jwk": own.jwk(), "kid": "k1" }),
            json!({ "alg": alg, "jwk": own.jwk(), "kid": "unknown" }),
            json!({ "alg": alg, "jku": url, "kid": "k1" }),
            json!({ "alg": alg, "jku": url, "kid": "unknown" }),
            json!({ "alg": alg, "x5u": url, "kid": "k1" }),
            json!({ "alg": alg, "x5c": [jose::b64("certificate")], "kid": "k1" }),
            json!({ "alg": alg, "kid": url }),
            json!({ "alg": alg, "kid": "../../../../dev/null" }),
            json!({ "alg": alg, "kid": ["k1"] }),
            json!({ "alg": alg, "crit": ["jwk"], "jwk": own.jwk() }),
            json!({ "alg": alg }),
        ];
        for header in headers {
            let token = stage.secret(own.token_with(&header, &claims));
            let answer = stage.get("/api/x", &token);
            assert_eq!(answer.status, 401, "{header}: {}", answer.text());
        }
        assert_eq!(host.count(), 0, "the gate fetched what a token pointed to");
    }
    stage.untouched();
    stage.alive();
}

/// Members of a claim set that are not of the type that RFC 7519 §4.1 gives them, or stand there twice.
fn mistyped(now: i64) -> Vec<String> {
    let odd = [
        format!("\"{}\"", now + 300),
        format!("\"{now}\""),
        "\"\"".to_owned(),
        format!("{}.5", now + 300),
        format!("{now}.0"),
        "1e400".to_owned(),
        "1e308".to_owned(),
        "99999999999999999999999".to_owned(),
        "18446744073709551615".to_owned(),
        "9223372036854775807".to_owned(),
        "-1".to_owned(),
        "-9223372036854775809".to_owned(),
        "null".to_owned(),
        "true".to_owned(),
        format!("[{}]", now + 300),
        "[]".to_owned(),
        "{}".to_owned(),
        "NaN".to_owned(),
    ];
    let mut members: Vec<String> = Vec::new();
    for claim in ["exp", "nbf", "iat"] {
        members.extend(odd.iter().map(|value| format!("\"{claim}\":{value}")));
        // Twice: which one counts depends on the reader.
        members.push(format!("\"{claim}\":{now},\"{claim}\":{}", now + 3000));
        members.push(format!(
            "\"{claim}\":{now},\"{}\\u00{:x}\":1",
            &claim[..2],
            claim.as_bytes()[2]
        ));
    }
    for value in
        ["null", "7", "[]", "[7]", "{}", "\"other\"", "[\"other\"]", "[null,\"orders-api\"]"]
    {
        members.push(format!("\"aud\":{value}"));
    }
    for value in ["null", "7", "[]", "{}", "[\"alice\"]"] {
        members.push(format!("\"sub\":{value}"));
        members.push(format!("\"jti\":{value}"));
    }
    for value in ["null", "7", "[7]", "{}", "{\"read\":true}"] {
        members.push(format!("\"scope\":{value}"));
    }
    members
}

/// Row 2: jsonwebtoken CVE-2026-25537. A claim of the wrong type fails its check; it does not skip it.
#[test]
fn incident_02_mistyped_claims() {
    let stage = Stage::standard();
    let good = claims(&stage);
    let now = good["iat"].as_i64().expect("a time");
    let key = stage.issuer.key("k1");
    let header = json!({ "alg": "ES256", "kid": "k1", "typ": "at+jwt" }).to_string();
    for member in &mistyped(now) {
        let name = member.split('"').nth(1).expect("a name");
        let mut rest = good.clone();
        rest.as_object_mut().expect("an object").remove(name);
        let body = format!("{{{member},{}", &rest.to_string()[1..]);
        let token = stage.secret(key.token_of(header.as_bytes(), body.as_bytes()));
        let answer = stage.get("/api/x", &token);
        let status = if name == "scope" { 401..=403 } else { 401..=401 };
        assert!(status.contains(&answer.status), "{member}: {} {}", answer.status, answer.text());
    }
    // Without the claim at all; and times that say no.
    for name in ["exp", "aud", "iss"] {
        let mut rest = good.clone();
        rest.as_object_mut().expect("an object").remove(name);
        assert_eq!(
            stage.get("/api/x", &stage.secret(key.token(&rest))).status,
            401,
            "{name} is missing"
        );
    }
    for (name, value) in [("exp", now - 60), ("exp", 0), ("nbf", now + 600), ("iat", now + 600)] {
        let mut rest = good.clone();
        rest[name] = json!(value);
        assert_eq!(
            stage.get("/api/x", &stage.secret(key.token(&rest))).status,
            401,
            "{name}: {value}"
        );
    }
    stage.untouched();
    assert_eq!(stage.get("/api/x", &stage.secret(key.token(&good))).status, 200);
}

/// Routes of the third row: the same token is good on the first alone.
const PARTIES: &str = r#"
[[issuer]]
name = "other"
issuer = "https://other.example"
audience = ["orders-api"]
jwks_file = "other.json"

[[route]]
name = "a"
path = "/a/{**}"
upstream = "orders"
access = { jwt = { issuer = "corp", scopes = ["read"] } }

[[route]]
name = "scope"
path = "/scope/{**}"
upstream = "orders"
access = { jwt = { issuer = "corp", scopes = ["write"] } }

[[route]]
name = "issuer"
path = "/issuer/{**}"
upstream = "orders"
access = { jwt = { issuer = "other", scopes = ["read"] } }

[[route]]
name = "audience"
path = "/audience/{**}"
upstream = "orders"
access = { jwt = { issuer = "corp", scopes = ["read"], audience = ["billing-api"] } }

[[route]]
name = "claims"
path = "/claims/{**}"
upstream = "orders"
access = { jwt = { issuer = "corp", scopes = ["read"], claims = { team = "blue" } } }

[[route]]
name = "all"
path = "/all/{**}"
upstream = "orders"
access = { all = [{ jwt = { issuer = "corp", scopes = ["read"] } }, { api_key = { scopes = ["read"] } }] }

[[route]]
name = "key"
path = "/key/{**}"
upstream = "orders"
access = { api_key = { scopes = ["read"] } }
"#;

/// Row 3: Oathkeeper's cache, fast-jwt CVE-2026-35039. What was true on one route is judged again on the next.
#[test]
fn incident_03_cache_across_routes() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("other.json");
    let set = jose::key_set([&Key::generate(Algorithm::Es256, "k1")]);
    std::fs::write(&file, set.to_string()).expect("a key set");
    let stage = Stage::of("", &PARTIES.replace("other.json", &file.to_string_lossy()));
    let token = stage.token("read");
    // One connection, so that one shard with one cache answers all.
    let mut client = stage.connect();
    let mut get = |path: &str| {
        client.exchange(format!(
            "GET {path} HTTP/1.1\r\nHost: gate\r\nAuthorization: Bearer {token}\r\n\r\n"
        ))
    };
    let elsewhere = [
        ("/scope/x", 403, "scope.missing"),
        ("/issuer/x", 401, "token.wrong_issuer"),
        ("/audience/x", 401, "token.wrong_audience"),
        ("/claims/x", 403, "claim.mismatch"),
        ("/all/x", 401, "credential.wrong_kind"),
        ("/key/x", 401, "credential.wrong_kind"),
    ];
    for round in 0..3 {
        assert_eq!(get("/a/x").status, 200, "round {round}");
        for (path, status, code) in elsewhere {
            refused(&get(path), status, code);
        }
    }
    assert_eq!(stage.upstream.count(), 3);
}

/// Row 3, once more: what a cache holds ends with the token, and with a block.
#[test]
fn incident_03_cache_outlives_nothing() {
    let stage = Stage::standard();
    let mut client = stage.connect();
    let mut get = |token: &str| {
        client.exchange(format!(
            "GET /api/x HTTP/1.1\r\nHost: gate\r\nAuthorization: Bearer {token}\r\n\r\n"
        ))
    };
    let mut short = claims(&stage);
    // Thirty seconds of skew are forgiven, so this one ends three seconds from now.
    short["exp"] = json!(short["iat"].as_i64().expect("a time") - 27);
    let short = stage.secret(stage.issuer.sign(&short));
    assert_eq!(get(&short).status, 200);
    wait::until(SOON, "the end of a cached token", || get(&short).code() == "token.expired");
    let token = stage.token("read");
    assert_eq!(get(&token).status, 200);
    stage.gate.done(&["block", "subject", "alice"]);
    wait::until(SOON, "the block of a cached subject", || get(&token).code() == "token.revoked");
    // A key that its issuer withdraws takes its cached tokens along.
    let mut bob = claims(&stage);
    bob["sub"] = json!("bob");
    let bob = stage.secret(stage.issuer.sign(&bob));
    assert_eq!(get(&bob).status, 200);
    stage.issuer.replace_keys([Key::generate(Algorithm::Es256, "k2")]);
    // An unknown key makes the gate look at once; the regular look is a minute away.
    let mut new = claims(&stage);
    new["sub"] = json!("carol");
    let new = stage.secret(stage.issuer.sign(&new));
    wait::until(SOON * 4, "the new key", || get(&new).status == 200);
    assert_eq!(get(&bob).code(), "token.unknown_key");
}

/// Row 3 for opaque tokens: what one issuer said of a token is not what another says of it, for good or ill.
#[test]
fn incident_03_cache_across_introspecting_issuers() {
    let (first, second) = (testkit::Issuer::start(), testkit::Issuer::start());
    let upstream = Upstream::ok();
    let part = |name: &str, issuer: &testkit::Issuer| {
        format!(
            "[[issuer]]\nname = \"{name}\"\nissuer = \"{0}\"\naudience = [\"{AUDIENCE}\"]\nalgorithms = []\n\
             introspection = {{ url = \"{0}/introspect\", client_id = \"gate\", client_secret = \"0123456789\" }}\n\
             [[route]]\nname = \"{name}\"\npath = \"/{name}/{{**}}\"\nupstream = \"orders\"\n\
             access = {{ jwt = {{ issuer = \"{name}\", scopes = [\"read\"] }} }}\n",
            issuer.url()
        )
    };
    let gate = testkit::Gate::start(&format!(
        "{}{}{}",
        part("first", &first),
        part("second", &second),
        crate::stage::service(&upstream, "")
    ));
    let mut client = testkit::RawClient::connect(&gate.address());
    let mut get = |path: &str, token: &str| {
        client.exchange(format!(
            "GET {path} HTTP/1.1\r\nHost: gate\r\nAuthorization: Bearer {token}\r\n\r\n"
        ))
    };
    let mut answer = first.claims(AUDIENCE, "read");
    answer["active"] = json!(true);
    for token in ["good-then-bad", "bad-then-good"] {
        first.introspects(token, answer.clone());
    }
    for _ in 0..2 {
        assert_eq!(get("/first/x", "good-then-bad").status, 200);
        refused(&get("/second/x", "good-then-bad"), 401, "token.inactive");
        refused(&get("/second/x", "bad-then-good"), 401, "token.inactive");
        let good = get("/first/x", "bad-then-good");
        assert_eq!(good.status, 200, "{}", good.text());
    }
}

/// Row 3 for what the gate signs: two issuers that give the same subject and the same id are two callers.
#[test]
fn incident_03_assertion_of_another_issuer() {
    let (first, second) = (testkit::Issuer::start(), testkit::Issuer::start());
    let upstream = Upstream::ok();
    let gate = testkit::Gate::start(&format!(
        "{}{}{}[[route]]\nname = \"both\"\npath = \"/both/{{**}}\"\nupstream = \"orders\"\n\
         access = {{ any = [{{ jwt = {{ issuer = \"first\", scopes = [\"read\"] }} }}, \
         {{ jwt = {{ issuer = \"second\", scopes = [\"read\"] }} }}] }}\n",
        first.config("first", AUDIENCE),
        second.config("second", AUDIENCE),
        crate::stage::service(&upstream, "assertion = true"),
    ));
    let mut client = testkit::RawClient::connect(&gate.address());
    let mut said = |issuer: &testkit::Issuer, scope: &str, client_id: &str| {
        let mut claims = issuer.claims(AUDIENCE, scope);
        (claims["jti"], claims["client_id"]) = (json!("same"), json!(client_id));
        let answer = client.exchange(format!(
            "GET /both/x HTTP/1.1\r\nHost: gate\r\nAuthorization: Bearer {}\r\n\
             Portcullis-Assertion: root\r\n\r\n",
            issuer.sign(&claims)
        ));
        assert_eq!(answer.status, 200, "{}", answer.text());
        let assertion = upstream.last().header("portcullis-assertion").expect("one assertion");
        let payload = assertion.split('.').nth(1).expect("a payload").to_owned();
        let claims: Value = serde_json::from_slice(&jose::unb64(&payload)).expect("claims");
        (claims["subject_issuer"].clone(), claims["scope"].clone(), claims["client_id"].clone())
    };
    for _ in 0..2 {
        for (issuer, name) in [(&first, "first"), (&second, "second")] {
            for (scope, client) in [("read", "shop"), ("admin read", "shop"), ("read", "app")] {
                let expected = (json!(name), json!(scope), json!(client));
                assert_eq!(said(issuer, scope, client), expected);
            }
        }
    }
}

/// Row 3 across a reload: what a cache holds is judged by the configuration that is in force.
#[test]
fn incident_03_cache_across_reloads() {
    let mut stage = Stage::standard();
    let token = stage.token("read");
    let address = stage.gate.address();
    let mut client = testkit::RawClient::connect(&address);
    let mut get = || {
        client.exchange(format!(
            "GET /api/x HTTP/1.1\r\nHost: gate\r\nAuthorization: Bearer {token}\r\n\r\n"
        ))
    };
    let good = std::fs::read_to_string(stage.gate.config()).expect("the file");
    let good = good.split_once("[log]").expect("the third part").1.to_owned();
    let part = |text: &str| format!("[log]{text}");
    for (old, new, status) in [
        ("audience = [\"orders-api\"]", "audience = [\"billing-api\"]", 401..=401),
        ("algorithms = [\"ES256\", \"RS256\"]", "algorithms = [\"RS256\"]", 401..=401),
        ("scopes = [\"read\"] } }", "scopes = [\"read\", \"write\"] } }", 403..=403),
        ("issuer = \"http://127.0.0.1", "issuer = \"http://127.0.0.2", 401..=401),
    ] {
        assert_eq!(get().status, 200);
        let changed = good.replacen(old, new, 1);
        assert_ne!(changed, good, "{old}");
        stage.gate.rewrite(&part(&changed));
        stage.gate.sighup();
        wait::until(SOON, new, || status.contains(&get().status));
        for _ in 0..5 {
            assert!(status.contains(&get().status), "{new}");
        }
        stage.gate.rewrite(&part(&good));
        stage.gate.sighup();
        wait::until(SOON, "the first configuration", || get().status == 200);
    }
}

/// Row 4: go-oidc#482. A flood of unknown keys costs the issuer one fetch, and the good callers nothing.
#[test]
fn incident_04_key_stampede() {
    const FLOOD: usize = 10_000;
    const AT_ONCE: usize = 50;
    let stage = Stage::standard();
    stage.alive();
    let before = stage.issuer.fetches(Endpoint::Keys);
    let payload = jose::b64(claims(&stage).to_string());
    let signature = jose::b64([7; 64]);
    let gate = stage.gate.address();
    std::thread::scope(|scope| {
        for part in 0..2 {
            let (payload, signature, gate) = (&payload, &signature, &gate);
            scope.spawn(move || {
                let mut client = testkit::RawClient::connect(gate);
                for batch in 0..FLOOD / AT_ONCE / 2 {
                    let requests: String = (0..AT_ONCE)
                        .map(|number| {
                            let kid = format!("{part}-{batch}-{number}");
                            let header =
                                jose::b64(json!({ "alg": "ES256", "kid": kid }).to_string());
                            format!(
                                "GET /api/x HTTP/1.1\r\nHost: gate\r\n\
                                 Authorization: Bearer {header}.{payload}.{signature}\r\n\r\n"
                            )
                        })
                        .collect();
                    client.send(requests);
                    for _ in 0..AT_ONCE {
                        let answer = client.response();
                        assert_eq!(answer.code(), "token.unknown_key", "{}", answer.text());
                    }
                }
            });
        }
    });
    let fetched = stage.issuer.fetches(Endpoint::Keys) - before;
    // One for the unknown keys; the regular one, once a minute, may fall into the same time.
    assert!(fetched <= 2, "{fetched} fetches");
    assert_eq!(stage.upstream.count(), 1);
    stage.alive();
}

/// Row 4, second half: while the issuer is down, known keys verify, new tokens and old.
#[test]
fn incident_04_known_keys_survive_the_issuer() {
    let stage = Stage::standard();
    let old = stage.token("read");
    assert_eq!(stage.get("/api/x", &old).status, 200);
    let stranger = Key::generate(Algorithm::Es256, "nobody-knows");
    for behaviour in [Behaviour::Status(503), Behaviour::Garbage, Behaviour::Silence] {
        stage.issuer.behave(behaviour.clone());
        let unknown = stage.secret(stranger.token(&claims(&stage)));
        let gate = stage.gate.address();
        // Somebody asks for a key that only the issuer could know; nobody else waits for that.
        let asking = std::thread::spawn(move || {
            testkit::get(&(gate + "/api/x"), &[("authorization", &format!("Bearer {unknown}"))])
        });
        for _ in 0..5 {
            assert_eq!(stage.get("/api/x", &old).status, 200, "{behaviour:?}");
            stage.alive();
        }
        let answer = asking.join().expect("an answer");
        assert_eq!(answer.status, 401, "{behaviour:?}: {}", answer.text());
    }
}

/// Row 19: HAProxy's overflow. What is too large costs little, and the gate is there afterwards.
#[test]
fn incident_19_oversized_credentials() {
    let stage = Stage::standard();
    stage.alive();
    let good = stage.token("read");
    let (input, _) = good.rsplit_once('.').expect("a signature");
    let before = stage.gate.resident_kib();
    let clock = stage.upstream.count();
    for bytes in [0, 1, 63, 65, 70, 72, 96, 132, 256, 512, 4096, 11_000, 15_000] {
        for filler in [0, 0x30, 0xff] {
            let token = format!("{input}.{}", jose::b64(vec![filler; bytes]));
            let answer = stage.get("/api/x", &token);
            assert_eq!(answer.status, 401, "a signature of {bytes} bytes: {}", answer.text());
        }
    }
    for _ in 0..20 {
        let token = format!("{input}.{}", jose::b64(vec![0x5a; 20 * 1024]));
        let answer = stage.get("/api/x", &token);
        assert!(matches!(answer.status, 401 | 431), "20 KB: {}", answer.text());
        let token = format!("{input}.{}", "A".repeat(1024 * 1024));
        refused(&stage.get("/api/x", &token), 431, "head.too_large");
        refused(
            &stage.gate.get("/keys/x", &[("x-api-key", &"A".repeat(1024 * 1024))]),
            431,
            "head.too_large",
        );
    }
    for nested in ["[".repeat(5000), "{\"a\":".repeat(1500)] {
        for (header, payload) in
            [(nested.as_str(), "{}"), (r#"{"alg":"ES256","kid":"k1"}"#, &nested)]
        {
            let token = stage.issuer.key("k1").token_of(header.as_bytes(), payload.as_bytes());
            assert_eq!(stage.get("/api/x", &token).status, 401);
        }
    }
    assert_eq!(stage.upstream.count(), clock, "the upstream was reached");
    let grown = stage.gate.resident_kib().saturating_sub(before);
    assert!(grown < 24 * 1024, "the gate grew by {grown} KiB");
    stage.alive();
}

/// Row 19, second half: ten thousand headers, over HTTP/1.1 and HTTP/2.
#[test]
fn incident_19_ten_thousand_headers() {
    let stage = Stage::of("h2c = true", crate::stage::ROUTES);
    let many: Vec<(String, String)> =
        (0..10_000).map(|number| (format!("x-{number}"), "1".to_owned())).collect();
    let many: Vec<(&str, &str)> =
        many.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let same = vec![("x", ""); 10_000];
    let long = "a".repeat(200_000);
    let long = [("x", long.as_str())];
    let gate = stage.gate.address();
    for headers in [many.as_slice(), same.as_slice(), long.as_slice()] {
        for _ in 0..5 {
            refused(&stage.gate.get("/open/x", headers), 431, "head.too_large");
            let came = crate::http2::get(&gate, "/open/x", headers);
            assert!(came.is_refusal(), "{came:?}");
        }
    }
    let some = vec![("x", "1"); 101];
    refused(&stage.gate.get("/open/x", &some), 431, "head.too_large");
    assert_eq!(crate::http2::get(&gate, "/open/x", &some), crate::http2::Came::Status(431));
    // A flood of CONTINUATION frames ends the connection, and is not kept.
    let before = stage.gate.resident_kib();
    let flood = "a".repeat(16 * 1024 * 1024);
    let came = crate::http2::get(&gate, "/open/x", &[("x", &flood)]);
    assert!(came.is_refusal(), "{came:?}");
    let grown = stage.gate.resident_kib().saturating_sub(before);
    assert!(grown < 12 * 1024, "the gate grew by {grown} KiB");
    // What is not hopeless gets an answer of ours: recorded, with an id.
    for over in [vec![("x", "1"); 101], vec![("x", &*"a".repeat(33_000).leak())]] {
        let (came, body) = crate::http2::get_body(&gate, "/open/x", &over);
        assert_eq!(came, crate::http2::Came::Status(431));
        assert_eq!(body["code"], "head.too_large", "{body}");
    }
    // A hundred fields and nearly 32 KiB are in order.
    let value = "a".repeat(300);
    let just = vec![("x", value.as_str()); 90];
    assert_eq!(crate::http2::get(&gate, "/open/just", &just), crate::http2::Came::Status(200));
    assert_eq!(stage.gate.get("/open/just", &just).status, 200);
    let target = format!("/open/{}", "a".repeat(8200));
    refused(&stage.gate.get(&target, &[]), 414, "target.too_long");
    assert_eq!(crate::http2::get(&gate, &target, &[]), crate::http2::Came::Status(414));
    assert_eq!(stage.upstream.count(), 2);
    stage.alive();
}
