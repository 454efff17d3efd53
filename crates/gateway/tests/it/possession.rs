//! Bound tokens, metadata of protected resources and challenges, over the network.

use super::*;
use access::resource::Resource;
use aws_lc_rs::digest::{SHA256, digest};
use protocol::sign::{Signer, SigningKey};
use protocol::{Algorithm, b64};
use serde_json::json;

const WELL_KNOWN: &str = "/.well-known/oauth-protected-resource";

struct Stage {
    running: Running,
    token: String,
    holder: SigningKey,
}

impl Stage {
    fn start() -> Self {
        let key = || SigningKey::generate(Algorithm::Es256).unwrap();
        let (issuing, holder) = (Arc::new(key()), key());
        let metrics = Arc::new(Metrics::new());
        let mut snapshot = snapshot(&metrics);
        let policy = Arc::get_mut(&mut snapshot.policy).unwrap();
        policy.issuers[0].replace_keys(KeySet::new(vec![issuing.public().clone()]));
        let resource = Resource {
            host: "localhost".into(),
            path: format!("{WELL_KNOWN}/closed").into(),
            any_host: false,
            document: "{\"resource\":\"http://localhost/closed\"}".into(),
        };
        policy.resources = [resource].into_iter().collect();
        let closed = Arc::get_mut(&mut policy.routes[1]).unwrap();
        closed.scopes_text = Some("read".into());
        closed.act.metadata_url = Some(format!("http://localhost{WELL_KNOWN}/closed").into());
        let now = SystemClock::new().now().seconds();
        let claims = json!({
            "iss": "https://login.example", "aud": "api", "sub": "ada", "iat": now,
            "exp": now + 300, "jti": "t1", "cnf": {"jkt": holder.id()},
        });
        let token = Signer::new(issuing, "at+jwt").sign(&claims).unwrap();
        Self { running: start(snapshot, metrics), token, holder }
    }

    fn proof(&self, jti: &str, uri: &str) -> String {
        let ath = b64::encode(digest(&SHA256, self.token.as_bytes()));
        let iat = SystemClock::new().now().seconds();
        let claims = json!({"jti": jti, "htm": "GET", "htu": uri, "iat": iat, "ath": ath});
        let jwk = self.holder.public().to_json();
        let header = json!({"typ": "dpop+jwt", "alg": "ES256", "jwk": jwk});
        let text = |value: &serde_json::Value| b64::encode(value.to_string());
        let input = format!("{}.{}", text(&header), text(&claims));
        format!("{input}.{}", b64::encode(self.holder.sign(input.as_bytes()).unwrap()))
    }

    fn ask(&self, line: &str, fields: &str) -> String {
        let request =
            format!("{line} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{fields}\r\n");
        super::ask(self.running.address(), &request)
    }

    fn call(&self, scheme: &str, proofs: &[&str]) -> String {
        let mut fields = format!("Authorization: {scheme} {}\r\n", self.token);
        fields.extend(proofs.iter().map(|proof| format!("DPoP: {proof}\r\n")));
        self.ask("GET /closed", &fields)
    }
}

/// The status and all challenges of an answer.
fn challenges(answer: &str) -> (&str, Vec<&str>) {
    let fields = answer.lines().filter_map(|line| line.strip_prefix("www-authenticate: "));
    (&answer["HTTP/1.1 ".len()..][..3], fields.collect())
}

#[test]
fn rfc9449_s7_1_a_bound_token_needs_a_fresh_proof() {
    let stage = Stage::start();
    let url = "http://localhost/closed";
    let good = stage.proof("1", url);
    let passed = stage.call("DPoP", &[&good]);
    assert!(passed.starts_with("HTTP/1.1 200 "), "{passed}");
    let (_, shown) = passed.split_once("\r\n\r\n").unwrap();
    assert!(!shown.contains("dpop") && !shown.contains("authorization"), "{shown}");
    let refused = |answer: &str, code: &str| {
        assert!(answer.starts_with("HTTP/1.1 401 ") && answer.contains(code), "{code}: {answer}");
    };
    refused(&stage.call("DPoP", &[&good]), "dpop.replayed");
    refused(&stage.call("DPoP", &[]), "dpop.missing");
    refused(&stage.call("DPoP", &[&good, &stage.proof("2", url)]), "dpop.invalid");
    refused(
        &stage.call("DPoP", &[&stage.proof("3", "http://localhost/open")]),
        "dpop.wrong_request",
    );
    refused(&stage.call("Bearer", &[&stage.proof("4", url)]), "token.proof_missing");
    let codes = stage.running.codes();
    assert_eq!(codes.iter().filter(|code| code.starts_with("dpop.")).count(), 4, "{codes:?}");
}

#[test]
fn rfc9449_s7_1_the_error_stands_in_the_challenge_of_the_scheme_that_was_used() {
    let stage = Stage::start();
    let metadata = format!("resource_metadata=\"http://localhost{WELL_KNOWN}/closed\"");
    for (answer, bearer, dpop) in [
        (stage.ask("GET /closed", ""), None, None),
        (stage.call("Bearer", &[]), Some("invalid_token"), None),
        (stage.call("DPoP", &[]), None, Some("invalid_dpop_proof")),
        (stage.ask("GET /closed", "Authorization: DPoP x\r\n"), None, Some("invalid_token")),
    ] {
        let (status, challenges) = challenges(&answer);
        assert_eq!((status, challenges.len()), ("401", 2), "{answer}");
        for (challenge, scheme, error) in
            [(challenges[0], "Bearer ", bearer), (challenges[1], "DPoP algs=\"ES256 ", dpop)]
        {
            assert!(challenge.starts_with(scheme), "{challenge}");
            assert!(challenge.contains(&metadata), "{challenge}");
            match error {
                None => assert!(!challenge.contains("error"), "{challenge}"),
                Some(error) => {
                    assert!(challenge.contains(&format!("error=\"{error}\"")), "{challenge}")
                }
            }
        }
    }
}

#[test]
fn rfc9728_s3_metadata_is_served_before_routing_and_recorded() {
    let stage = Stage::start();
    let found = stage.ask(&format!("GET {WELL_KNOWN}/closed"), "Origin: https://app.example\r\n");
    assert!(found.starts_with("HTTP/1.1 200 "), "{found}");
    assert!(found.contains("access-control-allow-origin: *\r\n"), "{found}");
    assert!(found.ends_with("{\"resource\":\"http://localhost/closed\"}"), "{found}");
    let head = stage.ask(&format!("HEAD {WELL_KNOWN}/closed"), "");
    assert!(head.starts_with("HTTP/1.1 200 ") && head.ends_with("\r\n\r\n"), "{head}");
    let other = stage.ask(&format!("GET {WELL_KNOWN}/open"), "");
    assert!(other.starts_with("HTTP/1.1 404 "), "{other}");
    let posted = stage.ask(&format!("POST {WELL_KNOWN}/closed"), "");
    assert!(posted.starts_with("HTTP/1.1 405 "), "{posted}");
    assert!(posted.contains("allow: GET, HEAD, OPTIONS\r\n"), "{posted}");
    let preflight = stage.ask(&format!("OPTIONS {WELL_KNOWN}/closed"), "");
    assert!(preflight.starts_with("HTTP/1.1 204 "), "{preflight}");
    let mut codes = stage.running.codes();
    codes.sort_unstable();
    codes.retain(|code| !code.starts_with("ledger."));
    assert_eq!(codes, ["ok", "ok", "ok", "route.method_not_allowed", "route.not_found"]);
}
