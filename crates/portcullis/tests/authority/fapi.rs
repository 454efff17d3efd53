//! What the OpenID Foundation's plans for FAPI 2.0 ask, with `private_key_jwt` and DPoP: `conformance/openid.md` says
//! which module each test stands for.

use crate::setup::*;
use serde_json::{Value, json};
use std::sync::atomic::{AtomicU32, Ordering};
use testkit::{Algorithm, Arrival, Key, Output, Person, Response, encode, jose, parameter};

/// RFC 7636, appendix B.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
const ASSERTION: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
const PAR: &str = "/oauth/par";
const TOKEN: &str = "/oauth/token";

/// A text that no other test of this process has used.
fn fresh() -> String {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    format!("unique-{}-{}", now(), NUMBER.fetch_add(1, Ordering::SeqCst))
}

/// A client that makes its messages itself, so that it can make wrong ones.
struct Signer {
    id: String,
    key: Key,
    proofs: Key,
    issuer: String,
}

/// What a message may have differently: nothing, unless a test says so.
#[derive(Default, Clone)]
struct Change {
    claims: Value,
    header: Value,
}

fn claims(claims: Value) -> Change {
    Change { claims, ..Change::default() }
}

/// `base` with the members of `change`; what is `null` there is taken away.
fn changed(mut base: Value, change: &Value) -> Value {
    for (name, value) in change.as_object().into_iter().flatten() {
        base[name] = value.clone();
    }
    if let Some(members) = base.as_object_mut() {
        members.retain(|_, value| !value.is_null());
    }
    base
}

impl Signer {
    fn new(stage: &Stage, profile: &str, algorithm: Algorithm) -> Self {
        Self::try_new(stage, profile, algorithm).unwrap_or_else(|output| panic!("{output:?}"))
    }

    /// The same; what the command says where such a client is refused already.
    fn try_new(stage: &Stage, profile: &str, algorithm: Algorithm) -> Result<Self, Output> {
        let key = Key::generate(algorithm, "own");
        let file = stage.gate.folder().join(format!("{}.jwks", fresh()));
        std::fs::write(&file, jose::key_set([&key]).to_string()).expect("the keys are written");
        let file = file.display().to_string();
        let mut args = vec!["client", "create", "--name", "Bank", "--profile", profile];
        args.extend(["--auth", "private_key_jwt", "--jwks", &file, "--redirect-uri", CALLBACK]);
        args.extend(["--grant", "authorization_code", "--grant", "refresh_token", "--scope"]);
        args.extend(SCOPES.split(' '));
        let output = stage.gate.cli(&args);
        if output.code != 0 {
            return Err(output);
        }
        Ok(Self {
            id: output.json()["client_id"].as_str().expect("an id").to_owned(),
            key,
            proofs: Key::generate(Algorithm::Es256, "proofs"),
            issuer: stage.issuer(),
        })
    }

    fn assertion(&self, change: &Change) -> String {
        let base = json!({
            "iss": self.id, "sub": self.id, "aud": self.issuer, "jti": fresh(),
            "iat": now(), "exp": now() + 60,
        });
        let header = json!({ "alg": self.key.algorithm().name(), "kid": "own" });
        self.key.token_with(&changed(header, &change.header), &changed(base, &change.claims))
    }

    fn proof(&self, path: &str, nonce: Option<&str>, change: &Change) -> String {
        let mut jwk = self.proofs.jwk();
        for name in ["kid", "use", "alg"] {
            jwk.as_object_mut().expect("an object").remove(name);
        }
        let header = json!({ "typ": "dpop+jwt", "alg": "ES256", "jwk": jwk });
        let base = json!({
            "htm": "POST", "htu": format!("{}{path}", self.issuer), "iat": now(), "jti": fresh(),
            "nonce": nonce,
        });
        self.proofs.token_with(&changed(header, &change.header), &changed(base, &change.claims))
    }

    /// POST with an assertion and, where `proof` is given, a proof; once more when a nonce is asked for.
    fn post(
        &self,
        path: &str,
        fields: &[(&str, &str)],
        assertion: &Change,
        proof: Option<&Change>,
    ) -> Response {
        let mut nonce = None;
        loop {
            let signed = self.assertion(assertion);
            let mut all = fields.to_vec();
            all.extend([("client_assertion_type", ASSERTION), ("client_assertion", &signed)]);
            let proof = proof.map(|change| self.proof(path, nonce.as_deref(), change));
            let mut headers = vec![("content-type", "application/x-www-form-urlencoded")];
            headers.extend(proof.iter().map(|proof| ("dpop", proof.as_str())));
            let body = encode(&all);
            let url = format!("{}{path}", self.issuer);
            let answer = testkit::request("POST", &url, &headers, body.as_bytes());
            if nonce.is_some() || answer.json()["error"] != "use_dpop_nonce" {
                return answer;
            }
            nonce = Some(answer.header("dpop-nonce").expect("a nonce").to_owned());
        }
    }

    /// The usual request, with changes as in [`changed`].
    fn request(&self, change: &Value) -> Vec<(String, String)> {
        let base = json!({
            "client_id": self.id, "response_type": "code", "redirect_uri": CALLBACK,
            "scope": SCOPES, "state": "s", "nonce": "n",
            "code_challenge": CHALLENGE, "code_challenge_method": "S256",
        });
        let all = changed(base, change);
        let pairs = all.as_object().into_iter().flatten();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        pairs.map(|(name, value)| (name.clone(), text(value))).collect()
    }

    fn push_with(&self, change: &Value, assertion: &Change, proof: Option<&Change>) -> Response {
        let request = self.request(change);
        let fields: Vec<(&str, &str)> =
            request.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        self.post(PAR, &fields, assertion, proof)
    }

    /// Pushes a request that must be taken; the address for the person.
    fn push(&self, change: &Value) -> String {
        let answer = self.push_with(change, &Change::default(), None);
        assert_eq!(answer.status, 201, "{}", answer.text());
        self.url(answer.json()["request_uri"].as_str().expect("a request_uri"))
    }

    fn url(&self, request_uri: &str) -> String {
        let query = encode(&[("client_id", &*self.id), ("request_uri", request_uri)]);
        format!("{}/oauth/authorize?{query}", self.issuer)
    }

    /// A signed request object (RFC 9101), with changes.
    fn object(&self, change: &Change) -> String {
        let pairs = self.request(&json!({}));
        let mut base: Value = pairs.into_iter().collect();
        base["iss"] = json!(self.id);
        base["aud"] = json!(self.issuer);
        base["jti"] = json!(fresh());
        base["nbf"] = json!(now());
        base["exp"] = json!(now() + 300);
        let alg = self.key.algorithm().name();
        let header = json!({ "alg": alg, "kid": "own", "typ": "oauth-authz-req+jwt" });
        self.key.token_with(&changed(header, &change.header), &changed(base, &change.claims))
    }

    /// Pushes a signed object beside further parameters.
    fn push_object(&self, object: &str, beside: &[(&str, &str)]) -> Response {
        let mut fields = vec![("client_id", self.id.as_str()), ("request", object)];
        fields.extend(beside);
        self.post(PAR, &fields, &Change::default(), None)
    }

    fn redeem_with(
        &self,
        code: &str,
        change: &Value,
        assertion: &Change,
        proof: Option<&Change>,
    ) -> Response {
        let base = json!({
            "grant_type": "authorization_code", "code": code, "redirect_uri": CALLBACK,
            "code_verifier": VERIFIER,
        });
        let all = changed(base, change);
        let fields: Vec<(&str, &str)> = all
            .as_object()
            .into_iter()
            .flatten()
            .map(|(name, value)| (name.as_str(), value.as_str().unwrap_or_default()))
            .collect();
        self.post(TOKEN, &fields, assertion, proof)
    }

    fn redeem(&self, code: &str) -> Response {
        self.redeem_with(code, &json!({}), &Change::default(), Some(&Change::default()))
    }

    /// A code of somebody who agrees.
    fn code(&self, person: &mut Person, change: &Value) -> String {
        let back = person.authorize(&self.push(change));
        parameter(&back, "code").unwrap_or_else(|| panic!("no code: {back}"))
    }
}

fn error(answer: &Response) -> String {
    assert!(matches!(answer.status, 400 | 401), "{} {}", answer.status, answer.text());
    answer.json()["error"].as_str().unwrap_or_default().to_owned()
}

fn start(profile: &str) -> (Stage, Signer, Person) {
    let stage = Stage::start();
    let signer = Signer::new(&stage, profile, Algorithm::Es256);
    let person = Person::new(&stage.gate, "Ada");
    (stage, signer, person)
}

#[test]
fn fapi2_flows_of_a_library_that_we_did_not_write() {
    let stage = Stage::start();
    let mut person = Person::new(&stage.gate, "Ada");
    for (profile, jar, mode) in
        [("fapi2-security", false, "query"), ("fapi2-message-signing", true, "jwt")]
    {
        let client = stage.shop(&["--auth", "private_key_jwt", "--profile", profile]);
        let client =
            client.with("par", true).with("dpop", true).with("jar", jar).with("mode", mode);
        for library in ["openid-client", "oauth4webapi"] {
            let client = client.clone().with("api", stage.api());
            let result = client.flow(library, "code", &mut person);
            assert_eq!(result["called"], 200, "{profile}, {library}: {result}");
            assert_eq!(result["claims"]["sub"], person.id(), "{profile}, {library}");
            // FAPI 2.0 §5.3.2.1: refresh tokens do not rotate.
            let renewed = client.flow(library, "refresh", &mut person);
            let refresh = |which: &str| renewed[which]["refresh_token"].as_str().map(str::to_owned);
            let first = refresh("first");
            assert!(first.is_some(), "{renewed}");
            for which in ["second", "same", "third"] {
                // RFC 6749 §6: none in the answer means that the old one goes on.
                assert!(refresh(which).is_none_or(|it| Some(it) == first), "{renewed}");
            }
        }
    }
}

#[test]
fn what_is_pushed_keeps_the_rules() {
    let (_stage, signer, _) = start("fapi2-security");
    let plain = Change::default();
    let check = |change: Value, expect: &str| {
        let answer = signer.push_with(&change, &plain, None);
        assert_eq!(error(&answer), expect, "{change}: {}", answer.text());
    };
    check(json!({ "code_challenge": null, "code_challenge_method": null }), "invalid_request");
    check(json!({ "code_challenge_method": "plain" }), "invalid_request");
    check(json!({ "code_challenge_method": null }), "invalid_request");
    check(json!({ "response_type": "code id_token" }), "unsupported_response_type");
    check(json!({ "response_type": "token" }), "unsupported_response_type");
    check(json!({ "redirect_uri": null }), "invalid_request");
    check(json!({ "redirect_uri": "https://evil.example/callback" }), "invalid_request");
    check(json!({ "request_uri": "urn:ietf:params:oauth:request_uri:x" }), "invalid_request");
    check(json!({ "client_id": "somebody" }), "invalid_request");
    for method in ["GET", "PUT", "DELETE"] {
        let url = format!("{}{PAR}", signer.issuer);
        assert_eq!(testkit::request(method, &url, &[], b"").status, 405, "{method}");
    }
    for change in [
        json!({ "state": null }),
        json!({ "nonce": null }),
        json!({ "nonce": "n".repeat(64) }),
        json!({ "nonce": "n".repeat(384), "state": "s".repeat(384) }),
        json!({ "scope": "orders:read email openid" }),
    ] {
        signer.push(&change);
    }
}

#[test]
fn rfc7523_s3_assertions_are_for_the_issuer_once_and_now() {
    let (stage, signer, _) = start("fapi2-security");
    let check = |change: Change, expect: Option<&str>| {
        let answer = signer.push_with(&json!({}), &change, None);
        let what = format!("{}: {}", change.claims, answer.text());
        match expect {
            None => assert_eq!(answer.status, 201, "{what}"),
            Some(expect) => assert_eq!(error(&answer), expect, "{what}"),
        }
    };
    let refused = Some("invalid_client");
    let (issuer, time) = (signer.issuer.clone(), now());
    check(claims(json!({ "aud": format!("{issuer}{PAR}") })), refused);
    check(claims(json!({ "aud": [format!("{issuer}{PAR}")] })), refused);
    check(claims(json!({ "aud": format!("{issuer}{TOKEN}") })), refused);
    check(claims(json!({ "aud": "https://elsewhere.example" })), refused);
    check(claims(json!({ "aud": null })), refused);
    check(claims(json!({ "sub": null })), refused);
    // Another's than the one that the request names.
    check(claims(json!({ "iss": "somebody" })), Some("invalid_request"));
    check(claims(json!({ "jti": null })), refused);
    check(claims(json!({ "exp": null })), refused);
    check(claims(json!({ "exp": time - 300, "iat": time - 360 })), refused);
    check(claims(json!({ "iat": time + 100, "nbf": time + 100, "exp": time + 160 })), refused);
    check(claims(json!({ "iat": time + 8, "nbf": time + 8 })), None);
    let wrong = Change { header: json!({ "alg": "none" }), ..Change::default() };
    check(wrong, refused);
    let twice = claims(json!({ "jti": "the-same" }));
    check(twice.clone(), None);
    check(twice, refused);
    // FAPI 2.0 §5.4.1: PS256, ES256, EdDSA; never RS256.
    match Signer::try_new(&stage, "fapi2-security", Algorithm::Rs256) {
        Ok(rsa) => {
            let answer = rsa.push_with(&json!({}), &Change::default(), None);
            assert_eq!(error(&answer), "invalid_client", "{}", answer.text());
        }
        Err(output) => assert!(output.stderr.contains("RS256"), "{output:?}"),
    }
    // Nor without any.
    let fields = encode(&signer.request(&json!({})));
    let kind = [("content-type", "application/x-www-form-urlencoded")];
    let url = format!("{}{PAR}", signer.issuer);
    let answer = testkit::request("POST", &url, &kind, fields.as_bytes());
    assert_eq!(error(&answer), "invalid_client", "{}", answer.text());
}

#[test]
fn fapi2_s5_3_2_2_only_pushed_requests_are_taken() {
    let (stage, signer, mut person) = start("fapi2-security");
    // An unsigned request in the address.
    let url = format!("{}/oauth/authorize?{}", signer.issuer, encode(&signer.request(&json!({}))));
    let refused = |arrival: Arrival| match arrival {
        Arrival::Redirect(back) => {
            assert_eq!(parameter(&back, "code"), None, "{back}");
            parameter(&back, "error").unwrap_or_default()
        }
        Arrival::Page(page) => page.response.status.to_string(),
        Arrival::Posted { action, .. } => panic!("posted to {action}"),
    };
    assert_eq!(refused(person.go(&url)), "invalid_request");
    // A page that is loaded again before anybody has signed in is no second use.
    let url = signer.push(&json!({}));
    person.browser().open(&url);
    person.browser().open(&url);
    let back = person.authorize(&url);
    assert_eq!(signer.redeem(&parameter(&back, "code").expect("a code")).status, 200);
    // Afterwards it is.
    assert_eq!(refused(person.go(&url)), "400", "{url}");
    // Another client's.
    let other = Signer::new(&stage, "fapi2-security", Algorithm::Es256);
    let stolen = parameter(&signer.push(&json!({})), "request_uri").expect("a request_uri");
    assert_eq!(refused(person.go(&other.url(&stolen))), "400");
    assert_eq!(refused(person.go(&signer.url("urn:ietf:params:oauth:request_uri:x"))), "400");
    // Nobody agrees.
    person.allow(false);
    let again = signer.push(&json!({ "prompt": "consent" }));
    assert_eq!(refused(person.go(&again)), "access_denied");
}

#[test]
fn codes_are_bound_to_client_verifier_and_key() {
    let (stage, signer, mut person) = start("fapi2-security");
    let (plain, nothing) = (Change::default(), json!({}));
    let check = |person: &mut Person, change: Value, expect: &str| {
        let code = signer.code(person, &json!({}));
        let answer = signer.redeem_with(&code, &change, &plain, Some(&plain));
        assert_eq!(error(&answer), expect, "{change}: {}", answer.text());
    };
    check(&mut person, json!({ "code_verifier": null }), "invalid_grant");
    check(&mut person, json!({ "code_verifier": "w".repeat(43) }), "invalid_grant");
    check(&mut person, json!({ "redirect_uri": "https://shop.example/other" }), "invalid_grant");
    // FAPI 2.0 §5.3.2.1: only tokens that are bound to a key.
    let code = signer.code(&mut person, &nothing);
    let answer = signer.redeem_with(&code, &nothing, &plain, None);
    assert_eq!(error(&answer), "invalid_dpop_proof", "{}", answer.text());
    let code = signer.code(&mut person, &nothing);
    let other = Signer::new(&stage, "fapi2-security", Algorithm::Es256);
    assert_eq!(error(&other.redeem(&code)), "invalid_grant");
    // An assertion of the other client, signed with the key of the first.
    let code = signer.code(&mut person, &nothing);
    let claimed = claims(json!({ "iss": other.id, "sub": other.id }));
    let named = json!({ "client_id": other.id });
    let answer = signer.redeem_with(&code, &named, &claimed, Some(&plain));
    assert_eq!(error(&answer), "invalid_client", "{}", answer.text());
    // RFC 9449 §10: the key is named with the request, or proved with it.
    let stranger = json!({ "dpop_jkt": "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I" });
    let code = signer.code(&mut person, &stranger);
    assert_eq!(error(&signer.redeem(&code)), "invalid_grant");
    let answer = signer.push_with(&stranger, &plain, Some(&plain));
    assert_eq!(error(&answer), "invalid_dpop_proof", "{}", answer.text());
    let pushed = signer.push_with(&nothing, &plain, Some(&plain));
    let url = signer.url(pushed.json()["request_uri"].as_str().expect("a request_uri"));
    let code = parameter(&person.authorize(&url), "code").expect("a code");
    let answer = signer.redeem(&code);
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.json()["token_type"], "DPoP");
    // Used before.
    testkit::wait::pause(std::time::Duration::from_secs(1));
    assert_eq!(error(&signer.redeem(&code)), "invalid_grant");
}

#[test]
fn rfc9449_s4_3_proofs_are_for_this_request_now() {
    let (_stage, signer, mut person) = start("fapi2-security");
    let time = now();
    let mut check = |change: Change, expect: Option<&str>| {
        let code = signer.code(&mut person, &json!({}));
        let answer = signer.redeem_with(&code, &json!({}), &Change::default(), Some(&change));
        let what = format!("{} {}: {}", change.claims, change.header, answer.text());
        match expect {
            None => assert_eq!(answer.status, 200, "{what}"),
            Some(expect) => assert_eq!(error(&answer), expect, "{what}"),
        }
    };
    let refused = Some("invalid_dpop_proof");
    check(claims(json!({ "htm": "GET" })), refused);
    check(claims(json!({ "htu": "https://elsewhere.example/token" })), refused);
    check(claims(json!({ "htu": null })), refused);
    check(claims(json!({ "jti": null })), refused);
    check(claims(json!({ "iat": null })), refused);
    check(claims(json!({ "iat": time - 3600 })), refused);
    check(claims(json!({ "iat": time + 3600 })), refused);
    check(claims(json!({ "nonce": "made-up" })), Some("use_dpop_nonce"));
    let header = |header: Value| Change { header, ..Change::default() };
    check(header(json!({ "typ": "jwt" })), refused);
    check(header(json!({ "alg": "none" })), refused);
    check(header(json!({ "jwk": null })), refused);
    check(claims(json!({ "iat": now() - 10 })), None);
    check(claims(json!({ "iat": now() + 10 })), None);
    // Members that RFC 9449 does not ask for.
    check(claims(json!({ "nbf": now(), "exp": now() + 300 })), None);
}

#[test]
fn fapi2_message_signing_s5_3_request_objects() {
    let (_stage, signer, mut person) = start("fapi2-message-signing");
    let time = now();
    let check = |change: Change, taken: bool| {
        let answer = signer.push_object(&signer.object(&change), &[]);
        let what = format!("{} {}: {}", change.claims, change.header, answer.text());
        if taken {
            assert_eq!(answer.status, 201, "{what}");
        } else {
            let error = error(&answer);
            assert!(error == "invalid_request_object" || error == "invalid_request", "{what}");
        }
    };
    check(Change::default(), true);
    check(claims(json!({ "aud": [signer.issuer, "https://elsewhere.example"] })), true);
    check(claims(json!({ "nbf": time + 8 })), true);
    check(claims(json!({ "exp": null })), false);
    check(claims(json!({ "nbf": null })), false);
    check(claims(json!({ "exp": time - 300, "nbf": time - 600 })), false);
    check(claims(json!({ "aud": "https://elsewhere.example" })), false);
    check(claims(json!({ "aud": null })), false);
    check(claims(json!({ "exp": time + 70 * 60 })), false);
    check(claims(json!({ "nbf": time - 70 * 60 })), false);
    check(claims(json!({ "redirect_uri": null })), false);
    check(claims(json!({ "request_uri": "urn:ietf:params:oauth:request_uri:x" })), false);
    check(claims(json!({ "client_id": "somebody" })), false);
    let header = |header: Value| Change { header, ..Change::default() };
    check(header(json!({ "alg": "none" })), false);
    check(header(json!({ "alg": "RS256" })), false);
    // A signature of another key, under the id of the client's.
    let stranger = Key::generate(Algorithm::Es256, "own");
    let object = signer.object(&Change::default());
    let (input, _) = object.rsplit_once('.').expect("three parts");
    let forged = format!("{input}.{}", jose::b64(stranger.signature(input.as_bytes())));
    assert_eq!(error(&signer.push_object(&forged, &[])), "invalid_request_object");
    // Without a signature, at both endpoints.
    let answer = signer.push_with(&json!({}), &Change::default(), None);
    assert_eq!(error(&answer), "invalid_request", "{}", answer.text());
    let plain = signer.request(&json!({}));
    let url = format!("{}/oauth/authorize?{}", signer.issuer, encode(&plain));
    let back = person.authorize(&url);
    assert_eq!(parameter(&back, "error").as_deref(), Some("invalid_request"), "{back}");
    assert_eq!(parameter(&back, "code"), None, "{back}");
    // What stands beside the object is nothing: RFC 9101 §6.3.
    let object = signer.object(&claims(json!({ "state": null, "response_mode": "jwt" })));
    let answer = signer.push_object(&object, &[("state", "outside"), ("nonce", "outside")]);
    assert_eq!(answer.status, 201, "{}", answer.text());
    let url = signer.url(answer.json()["request_uri"].as_str().expect("a request_uri"));
    let back = person.authorize(&url);
    let response = parameter(&back, "response").unwrap_or_else(|| panic!("no JARM: {back}"));
    let answer = payload(&response);
    assert_eq!(answer["state"], Value::Null, "{answer}");
    assert_eq!((&answer["iss"], &answer["aud"]), (&json!(signer.issuer), &json!(signer.id)));
    let tokens = signer.redeem(answer["code"].as_str().expect("a code"));
    assert_eq!(tokens.status, 200, "{}", tokens.text());
    assert_eq!(payload(tokens.json()["id_token"].as_str().expect("an ID token"))["nonce"], "n");
}

fn payload(jwt: &str) -> Value {
    let middle = jwt.split('.').nth(1).expect("three parts");
    serde_json::from_slice(&jose::unb64(middle)).expect("JSON")
}
