//! Tokens of issuers: a real one, one on disk, and one that lies.

use crate::setup::*;
use serde_json::{Value, json};
use std::sync::Mutex;
use std::time::Duration;
use testkit::{Algorithm, Behaviour, Endpoint, Gate, Issuer, Key, Node, Upstream, jose, wait};

/// oidc-provider, and tokens of its two clients.
struct Real(Node);

impl Real {
    fn start() -> Self {
        Self(Node::start("issuer.mjs", &[AUDIENCE]))
    }

    fn config(&self) -> String {
        format!(
            "[[issuer]]\nname = \"corp\"\nissuer = \"{}\"\naudience = [\"{AUDIENCE}\"]\n",
            self.0.url()
        )
    }

    fn token(&self, client: &str, scope: &str) -> String {
        let form = format!(
            "grant_type=client_credentials&client_id={client}\
             &client_secret=secret-of-the-test-client&scope={scope}"
        );
        let kind = [("content-type", "application/x-www-form-urlencoded")];
        let url = format!("{}/token", self.0.url());
        let answer = testkit::request("POST", &url, &kind, form.as_bytes());
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()["access_token"].as_str().expect("a token").to_owned()
    }

    fn tell(&self, what: &str) {
        let url = format!("{}/test/{what}", self.0.url());
        assert_eq!(testkit::request("POST", &url, &[], b"").status, 200);
    }
}

fn header_of(token: &str) -> Value {
    use base64::Engine;
    let head = token.split('.').next().expect("a header");
    let bytes = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(head).expect("base64url");
    serde_json::from_slice(&bytes).expect("JSON")
}

#[test]
fn a_real_issuer_is_followed_through_rotation_withdrawal_and_its_end() {
    let (up, mut real) = (Upstream::ok(), Real::start());
    let gate = Gate::start(
        &(real.config()
            + &upstream(&up)
            + &route("read", "/read/{**}", &jwt("corp", "read"))
            + &route("write", "/write/{**}", &jwt("corp", "write"))),
    );
    keys_known(&gate, 1);
    for (client, algorithm) in [("es256", "ES256"), ("rs256", "RS256")] {
        let token = real.token(client, "read");
        assert_eq!(header_of(&token)["alg"], algorithm);
        let passes = get(&gate, "/read/x", &token);
        assert_eq!(said(&passes), passed(), "{algorithm}: {}", passes.text());
        let seen = up.last();
        assert_eq!(seen.header("portcullis-client").as_deref(), Some(client));
        assert_eq!(seen.header("portcullis-scopes").as_deref(), Some("read"));
        assert_eq!(seen.header("authorization"), None);
        let (before, denied) = (up.count(), get(&gate, "/write/x", &token));
        assert_eq!(said(&denied), refused(403, "scope.missing"));
        let challenge = denied.header("www-authenticate").unwrap_or_default();
        assert!(challenge.contains("insufficient_scope"), "{challenge}");
        assert!(challenge.contains("scope=\"write\""), "{challenge}");
        assert_eq!(up.count(), before);
    }

    // Warm on every shard, so that what comes next is judged against full caches.
    let old = real.token("es256", "read");
    assert_eq!(everywhere(&gate, "/read/x", &old), vec![passed(); 16]);
    real.tell("rotate");
    let new = real.token("es256", "read");
    assert_ne!(header_of(&old)["kid"], header_of(&new)["kid"]);
    // The new key is fetched because it is asked for; nobody restarts anything. The old one still stands.
    assert_eq!(answer(&gate, "/read/x", &new), passed());
    assert_eq!(everywhere(&gate, "/read/x", &old), vec![passed(); 16]);

    // Its issuer goes away: known keys go on, for tokens that were seen and for new ones.
    let unseen = real.token("es256", "read");
    let unseen_rsa = real.token("rs256", "read");
    real.0.kill();
    assert_eq!(answer(&gate, "/read/x", &old), passed());
    assert_eq!(answer(&gate, "/read/x", &unseen), passed());
    assert_eq!(answer(&gate, "/read/x", &unseen_rsa), passed());
}

#[test]
fn a_key_withdrawn_at_a_real_issuer_takes_its_warm_tokens_with_it() {
    let (up, real) = (Upstream::ok(), Real::start());
    let gate = Gate::start(
        &(real.config() + &upstream(&up) + &route("read", "/read/{**}", &jwt("corp", "read"))),
    );
    keys_known(&gate, 1);
    let old = real.token("es256", "read");
    let old_rsa = real.token("rs256", "read");
    assert_eq!(everywhere(&gate, "/read/x", &old), vec![passed(); 16]);
    assert_eq!(everywhere(&gate, "/read/x", &old_rsa), vec![passed(); 16]);
    real.tell("rotate");
    real.tell("withdraw");
    let new = real.token("es256", "read");
    // The first token of the new key makes the gate look; from then on the old ones are worth nothing.
    assert_eq!(answer(&gate, "/read/x", &new), passed());
    let count = up.count();
    let gone = vec![refused(401, "token.unknown_key"); 16];
    assert_eq!(everywhere(&gate, "/read/x", &old), gone);
    assert_eq!(everywhere(&gate, "/read/x", &old_rsa), gone);
    assert_eq!(up.count(), count);
}

#[test]
fn a_replaced_key_file_is_picked_up_within_two_seconds() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("keys.json");
    let write = |keys: &[&Key]| {
        let new = file.with_extension("new");
        std::fs::write(&new, jose::key_set(keys.iter().copied()).to_string()).expect("written");
        std::fs::rename(&new, &file).expect("replaced");
    };
    let (one, two) =
        (Key::generate(Algorithm::Es256, "one"), Key::generate(Algorithm::EdDsa, "two"));
    write(&[&one]);
    let (up, silent) = (Upstream::ok(), Issuer::start());
    // Another issuer that never answers must not hold this one up.
    silent.behave(Behaviour::Silence);
    let issuer = "https://files.test";
    let gate = Gate::start(
        &(silent.config("aaa", AUDIENCE)
            + &format!(
                "[[issuer]]\nname = \"disk\"\nissuer = \"{issuer}\"\naudience = [\"{AUDIENCE}\"]\n\
                 jwks_file = \"{}\"\n",
                file.display()
            )
            + &upstream(&up)
            + &route("read", "/read/{**}", &jwt("disk", "read"))),
    );
    let claims = |jti: &str| {
        json!({ "iss": issuer, "aud": AUDIENCE, "sub": "s", "scope": "read", "jti": jti,
                "iat": now(), "exp": now() + 300 })
    };
    let (first, second) = (one.token(&claims("a")), two.token(&claims("b")));
    keys_known(&gate, 1);
    assert_eq!(answer(&gate, "/read/x", &first), passed());
    // Asking for a key that is not there spends the one look-up in 30 s that unknown keys are worth.
    assert_eq!(answer(&gate, "/read/x", &second), refused(401, "token.unknown_key"));
    write(&[&two]);
    let limit = Duration::from_secs(2);
    wait::until(limit, "the new key", || answer(&gate, "/read/x", &second) == passed());
    assert_eq!(everywhere(&gate, "/read/x", &first), vec![refused(401, "token.unknown_key"); 16]);
    // A file with nonsense changes nothing.
    std::fs::write(&file, "{").expect("written");
    gate.wait_for_log("keys not fetched", PATIENCE);
    assert_eq!(everywhere(&gate, "/read/x", &second), vec![passed(); 16]);
}

#[test]
fn an_expired_token_is_refused_warm_and_cold() {
    let (up, issuer) = (Upstream::ok(), Issuer::start());
    let gate = Gate::start(
        &(issuer.config("corp", AUDIENCE)
            + &upstream(&up)
            + &route("read", "/read/{**}", &jwt("corp", "read"))),
    );
    let with_exp = |exp: i64| {
        let mut claims = issuer.claims(AUDIENCE, "read");
        claims["iat"] = json!(now() - 60);
        claims["exp"] = json!(exp);
        issuer.sign(&claims)
    };
    keys_known(&gate, 1);
    let count = up.count();
    let cold = with_exp(now() - 31);
    let denied = get(&gate, "/read/x", &cold);
    assert_eq!(said(&denied), refused(401, "token.expired"));
    assert!(denied.header("www-authenticate").unwrap_or_default().contains("invalid_token"));
    assert!(!denied.text().contains(&cold), "a token is never echoed");
    assert_eq!(up.count(), count);
    // 30 s of skew are forgiven: this one has about two seconds left.
    let ending = with_exp(now() - 27);
    assert_eq!(answer(&gate, "/read/x", &ending), passed());
    wait::until(PATIENCE, "its end", || {
        let said = answer(&gate, "/read/x", &ending);
        assert!(said == passed() || said == refused(401, "token.expired"), "{said:?}");
        said != passed()
    });
    assert_eq!(everywhere(&gate, "/read/x", &ending), vec![refused(401, "token.expired"); 16]);
}

#[test]
fn a_flood_of_unknown_keys_causes_one_fetch() {
    let (up, issuer) = (Upstream::ok(), Issuer::start());
    let gate = Gate::start(
        &(issuer.config("corp", AUDIENCE)
            + &upstream(&up)
            + &route("read", "/read/{**}", &jwt("corp", "read"))),
    );
    let good = issuer.token(AUDIENCE, "read");
    keys_known(&gate, 1);
    assert_eq!(answer(&gate, "/read/x", &good), passed());
    let (fetched, count) = (issuer.fetches(Endpoint::Keys), up.count());
    let discovered = issuer.fetches(Endpoint::Discovery);
    // Tokens of one stranger under 10,000 names. Only the header differs: a signature is never reached.
    let stranger = Key::generate(Algorithm::Es256, "x").token(&issuer.claims(AUDIENCE, "read"));
    let rest = stranger.split_once('.').expect("a token").1.to_owned();
    let (address, threads) = (gate.address(), 4);
    let last = Mutex::new(String::new());
    std::thread::scope(|scope| {
        for thread in 0..threads {
            let (address, rest, last) = (&address, &rest, &last);
            scope.spawn(move || {
                let mut client = testkit::RawClient::connect(address);
                let mut sent = 0;
                while sent < 10_000 / threads {
                    // Pipelined, fifty at a time.
                    let batch: String = (0..50)
                        .map(|number| {
                            let kid = format!("k{thread}-{}", sent + number);
                            let head = json!({ "alg": "ES256", "kid": kid }).to_string();
                            format!(
                                "GET /read/x HTTP/1.1\r\nHost: localhost\r\n\
                                 Authorization: Bearer {}.{rest}\r\n\r\n",
                                jose::b64(head)
                            )
                        })
                        .collect();
                    client.send(batch);
                    for _ in 0..50 {
                        let answer = client.response();
                        assert_eq!(said(&answer), refused(401, "token.unknown_key"));
                        let id = answer.header("x-request-id").expect("an id");
                        *last.lock().expect("the last id") = id.to_owned();
                    }
                    sent += 50;
                }
            });
        }
    });
    assert!(issuer.fetches(Endpoint::Keys) <= fetched + 1, "{}", issuer.fetches(Endpoint::Keys));
    assert!(issuer.fetches(Endpoint::Discovery) <= discovered + 1);
    assert_eq!(up.count(), count);
    assert_eq!(answer(&gate, "/read/x", &good), passed());
    // Each of them is in the ledger, most of them folded; and each can be explained.
    let sql = "SELECT sum(count) FROM events WHERE code = 'token.unknown_key'";
    wait::until(PATIENCE, "10,000 denials in the ledger", || {
        let counted = gate.done(&["audit", "query", sql])[0]["sum(count)"].clone();
        assert!(counted.as_i64() <= Some(10_000), "{counted}");
        counted == 10_000
    });
    let id = last.lock().expect("the last id").clone();
    let told = gate.done(&["explain", &id]);
    assert_eq!((&told["code"], &told["route"]), (&json!("token.unknown_key"), &json!("read")));
    assert_eq!(gate.done(&["audit", "verify"])["ok"], true);
}

/// What an issuer does instead of publishing keys, at the start and later.
#[test]
fn an_issuer_that_lies_opens_nothing() {
    let lies = [
        ("status 500", Behaviour::Status(500)),
        ("status 401", Behaviour::Status(401)),
        ("status 204", Behaviour::Status(204)),
        ("garbage", Behaviour::Garbage),
        ("silence", Behaviour::Silence),
        ("slow", Behaviour::Drip(Duration::from_millis(400))),
        ("huge", Behaviour::Huge(1 << 20)),
        ("no keys", Behaviour::Document(json!({ "keys": [] }))),
        ("a list", Behaviour::Document(json!([1, 2]))),
    ];
    // Two issuers a lie: one lies from the start, one after its keys were known.
    let always: Vec<Issuer> = lies.iter().map(|_| Issuer::start()).collect();
    let later: Vec<Issuer> = lies.iter().map(|_| Issuer::start()).collect();
    let up = Upstream::ok();
    let mut file = upstream(&up);
    for (index, (_, lie)) in lies.iter().enumerate() {
        always[index].behave_at(Endpoint::Keys, lie.clone());
        for (kind, issuer) in [("always", &always[index]), ("later", &later[index])] {
            let name = format!("{kind}{index}");
            file += &issuer.config(&name, AUDIENCE);
            file += &route(&name, &format!("/{name}/{{**}}"), &jwt(&name, "read"));
        }
    }
    let gate = Gate::start(&file);
    keys_known(&gate, later.len() as i64);
    for (index, issuer) in later.iter().enumerate() {
        let token = issuer.token(AUDIENCE, "read");
        assert_eq!(answer(&gate, &format!("/later{index}/x"), &token), passed());
        let lie = lies[index].1.clone();
        match lies[index].0 {
            // Metadata without keys is no metadata; the key set itself is what is empty here.
            "no keys" => issuer.behave_at(Endpoint::Keys, lie),
            _ => issuer.behave(lie),
        }
    }
    let (count, address) = (up.count(), gate.address());
    std::thread::scope(|scope| {
        for (index, (what, _)) in lies.iter().enumerate() {
            let (gate, always, later) = (&address, &always[index], &later[index]);
            scope.spawn(move || {
                // Right token, no keys: we cannot know, and it is not the caller's fault.
                let path = format!("/always{index}/x");
                let said = answer_at(gate, &path, &always.token(AUDIENCE, "read"));
                assert_eq!(said, refused(503, "issuer.unavailable"), "{what} from the start");
                // A stranger's token after the keys were known.
                let stranger = Key::generate(Algorithm::Es256, "stranger");
                let path = format!("/later{index}/x");
                let token = stranger.token(&later.claims(AUDIENCE, "read"));
                let said = answer_at(gate, &path, &token);
                if *what == "no keys" {
                    assert_eq!(said.0, 503, "{what}, later");
                } else {
                    assert_eq!(said, refused(401, "token.unknown_key"), "{what}, later");
                }
            });
        }
    });
    assert_eq!(up.count(), count, "the upstream is never touched");
    // Known keys go on, except where the issuer truthfully says that it has none.
    for (index, (what, _)) in lies.iter().enumerate() {
        let token = later[index].token(AUDIENCE, "read");
        let said = answer(&gate, &format!("/later{index}/x"), &token);
        if *what == "no keys" {
            assert_eq!(said, refused(503, "issuer.unavailable"));
        } else {
            assert_eq!(said, passed(), "{what}");
        }
    }
}

#[test]
#[ignore = "takes a minute: how long a withdrawn key may go on at most"]
fn a_withdrawn_key_stops_its_tokens_though_nobody_brings_another() {
    let (up, issuer) = (Upstream::ok(), Issuer::start());
    let gate = Gate::start(
        &(issuer.config("corp", AUDIENCE)
            + &upstream(&up)
            + &route("read", "/read/{**}", &jwt("corp", "read"))),
    );
    keys_known(&gate, 1);
    let mut claims = issuer.claims(AUDIENCE, "read");
    claims["exp"] = json!(now() + 3600);
    let old = issuer.sign(&claims);
    assert_eq!(everywhere(&gate, "/read/x", &old), vec![passed(); 16]);
    issuer.replace_keys([Key::generate(Algorithm::Es256, "k2")]);
    let gone = refused(401, "token.unknown_key");
    wait::until(Duration::from_secs(70), "its end", || answer(&gate, "/read/x", &old) == gone);
    assert_eq!(everywhere(&gate, "/read/x", &old), vec![gone; 16]);
    assert_eq!(answer(&gate, "/read/x", &issuer.token(AUDIENCE, "read")), passed());
}
