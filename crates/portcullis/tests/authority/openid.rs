//! What the OpenID Foundation's plans for providers ask, request by request: `conformance/openid.md` says which module
//! each test stands for.

use crate::setup::*;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use std::time::Duration;
use testkit::{Arrival, Landing, Person, Response, encode, escape, parameter};

/// A provider, and a client as the plans register it: confidential, and without PKCE unless a module asks for it.
struct Provider {
    stage: Stage,
    client: Client,
    person: Person,
}

impl Provider {
    fn start() -> Self {
        Self::with(&[])
    }

    fn with(args: &[&str]) -> Self {
        let stage = Stage::start();
        let scopes = ["--scope", "address", "phone"];
        let client = stage.shop(&[&["--pkce-optional"], &scopes[..], args].concat());
        let person = Person::new(&stage.gate, "Ada Lovelace");
        Self { stage, client, person }
    }

    /// The authorization endpoint with the usual request; `change` adds parameters, replaces them, and takes away those
    /// that it leaves empty.
    fn url(&self, change: &[(&str, &str)]) -> String {
        format!("{}/oauth/authorize?{}", self.stage.issuer(), encode(&self.request(change)))
    }

    fn request(&self, change: &[(&str, &str)]) -> Vec<(String, String)> {
        let usual = [
            ("client_id", self.client.id()),
            ("response_type", "code"),
            ("redirect_uri", CALLBACK),
            ("scope", "openid"),
            ("state", "s-1"),
            ("nonce", "n-1"),
        ];
        let kept = usual.iter().filter(|(name, _)| change.iter().all(|(other, _)| other != name));
        let all = kept.chain(change.iter().filter(|(_, value)| !value.is_empty()));
        all.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    /// POST to an endpoint as the client.
    fn post(&self, path: &str, fields: &[(&str, &str)]) -> Response {
        self.post_as(&self.client, path, fields)
    }

    fn post_as(&self, client: &Client, path: &str, fields: &[(&str, &str)]) -> Response {
        let secret = client.facts["client_secret"].as_str().expect("a secret");
        let pair = format!("{}:{}", escape(client.id()), escape(secret));
        let basic = format!("Basic {}", STANDARD.encode(pair));
        let url = self.stage.issuer() + path;
        let headers = [
            ("authorization", basic.as_str()),
            ("content-type", "application/x-www-form-urlencoded"),
        ];
        testkit::request("POST", &url, &headers, encode(fields).as_bytes())
    }

    /// Redeems the code of an answer.
    fn redeem(&self, back: &str) -> Response {
        let code = parameter(back, "code").unwrap_or_else(|| panic!("no code: {back}"));
        let fields =
            [("grant_type", "authorization_code"), ("code", &code), ("redirect_uri", CALLBACK)];
        self.post("/oauth/token", &fields)
    }

    /// The whole flow: tokens, and the claims of the ID token.
    fn flow(&mut self, change: &[(&str, &str)]) -> (Value, Value) {
        let url = self.url(change);
        let back = self.person.authorize(&url);
        assert_eq!(parameter(&back, "iss"), Some(self.stage.issuer()), "{back}");
        let answer = self.redeem(&back);
        assert_eq!(answer.status, 200, "{change:?}: {}", answer.text());
        assert_eq!(answer.header("cache-control"), Some("no-store"), "{change:?}");
        let tokens = answer.json();
        let claims = payload(tokens["id_token"].as_str().expect("an ID token"));
        assert_eq!(claims["sub"], self.person.id(), "{claims}");
        assert_eq!(claims["iss"], self.stage.issuer().as_str(), "{claims}");
        (tokens, claims)
    }

    fn userinfo(&self, tokens: &Value) -> Value {
        let bearer = format!("Bearer {}", tokens["access_token"].as_str().expect("a token"));
        let url = self.stage.issuer() + "/oauth/userinfo";
        let answer = testkit::get(&url, &[("authorization", &bearer)]);
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()
    }

    /// Where a request that must be refused leads: the error.
    fn refused(&mut self, change: &[(&str, &str)]) -> String {
        let url = self.url(change);
        let back = self.person.authorize(&url);
        assert_eq!(parameter(&back, "code"), None, "{back}");
        parameter(&back, "error").unwrap_or_else(|| panic!("no error: {back}"))
    }

    /// A page that says what is wrong, and leads nowhere.
    fn page(&mut self, url: &str) -> (u16, String) {
        match self.person.go(url) {
            Arrival::Page(page) => (page.response.status, page.title()),
            other => panic!("{url} led to {other:?}"),
        }
    }
}

/// The claims of a JWT, unchecked: the libraries of the other tests check them.
fn payload(jwt: &str) -> Value {
    let middle = jwt.split('.').nth(1).expect("three parts");
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(middle).expect("base64url")).expect("JSON")
}

#[test]
fn what_a_request_may_carry_and_leave_out() {
    let mut provider = Provider::start();
    for change in [
        &[][..],
        &[("nonce", "")],
        &[("state", "")],
        &[("extra", "foobar")],
        &[("acr_values", "1 2")],
        &[("acr_values", "aal1")],
        &[("ui_locales", "se")],
        &[("claims_locales", "se")],
        &[("display", "page")],
        &[("display", "popup")],
        &[("login_hint", "somebody@example.com")],
        &[("scope", "email openid profile")],
        &[("nonce", &"n".repeat(64))],
        &[("state", &"s".repeat(384)), ("nonce", &"n".repeat(384))],
    ] {
        let (tokens, claims) = provider.flow(change);
        let nonce = change.iter().find(|(name, _)| *name == "nonce").map_or("n-1", |(_, it)| it);
        assert_eq!(claims["nonce"].as_str().unwrap_or_default(), nonce, "{change:?}");
        assert_eq!(tokens["token_type"], "Bearer", "{change:?}");
        assert_eq!(claims["aud"], provider.client.id(), "{change:?}: {claims}");
    }
}

#[test]
fn a_request_may_be_posted() {
    let mut provider = Provider::start();
    let url = provider.stage.issuer() + "/oauth/authorize";
    let fields = provider.request(&[]);
    let page = provider.person.browser().once("POST", &url, &encode(&fields));
    assert_eq!(page.status, 200, "{}", page.text());
    // A browser that has signed in before is sent back at once.
    provider.flow(&[]);
    let fields = provider.request(&[("state", "posted")]);
    let back = provider.person.browser().once("POST", &url, &encode(&fields));
    // RFC 9700 §4.12: never a 307, which would post the form on.
    assert_eq!(back.status, 303, "{}", back.text());
    let to = back.header("location").expect("an address").to_owned();
    assert_eq!(parameter(&to, "state").as_deref(), Some("posted"), "{to}");
    assert_eq!(provider.redeem(&to).status, 200);
}

#[test]
fn rfc6749_s4_1_2_1_errors_go_to_the_client_where_it_is_known() {
    let mut provider = Provider::start();
    let check = |provider: &mut Provider, change: &[(&str, &str)], expect: &str| {
        assert_eq!(provider.refused(change), expect, "{change:?}");
    };
    check(&mut provider, &[("response_type", "")], "invalid_request");
    check(&mut provider, &[("response_type", "token")], "unsupported_response_type");
    check(&mut provider, &[("response_type", "code id_token")], "unsupported_response_type");
    check(&mut provider, &[("scope", "openid admin:write")], "invalid_scope");
    check(&mut provider, &[("prompt", "none login")], "invalid_request");
    check(&mut provider, &[("prompt", "none")], "login_required");
    check(&mut provider, &[("max_age", "soon")], "invalid_request");
    check(
        &mut provider,
        &[("code_challenge", "x"), ("code_challenge_method", "plain")],
        "invalid_request",
    );
    check(&mut provider, &[("resource", "https://elsewhere.example/")], "invalid_target");
    check(&mut provider, &[("response_mode", "fragment")], "invalid_request");
    // OpenID Connect Core §6.1: without a signature.
    let header = URL_SAFE_NO_PAD.encode(r#"{"alg":"none"}"#);
    let object = format!("{header}.{}.", URL_SAFE_NO_PAD.encode(r#"{"scope":"openid"}"#));
    check(&mut provider, &[("request", &object)], "invalid_request_object");
}

#[test]
fn rfc9700_s4_1_nobody_is_sent_to_an_address_that_is_not_registered() {
    let mut provider = Provider::start();
    for redirect in [
        "https://shop.example/callback/",
        "https://shop.example/callback?x=1",
        "https://shop.example/Callback",
        "https://shop.example/callback/../evil",
        "https://shop.example/callback%2F",
        "https://shop.example.evil.example/callback",
        "https://shop.example@evil.example/callback",
        "http://shop.example/callback",
        "https://shop.example:444/callback",
        "https://shop.example/callback#x",
        "//shop.example/callback",
        "javascript:alert(1)",
    ] {
        let url = provider.url(&[("redirect_uri", redirect)]);
        assert_eq!(provider.page(&url).0, 400, "{redirect}");
        // Nor when the request has another mistake.
        let url = provider.url(&[("redirect_uri", redirect), ("response_type", "token")]);
        assert_eq!(provider.page(&url).0, 400, "{redirect}");
    }
    let url = provider.url(&[("client_id", "nobody")]);
    assert_eq!(provider.page(&url).0, 400);
    let twice = provider.url(&[]) + "&redirect_uri=https%3A%2F%2Fevil.example%2F";
    assert_eq!(provider.page(&twice).0, 400);
}

#[test]
fn userinfo_by_header_and_by_body() {
    let mut provider = Provider::start();
    let (tokens, _) = provider.flow(&[("scope", "openid email")]);
    let token = tokens["access_token"].as_str().expect("a token").to_owned();
    let url = provider.stage.issuer() + "/oauth/userinfo";
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let bearer = format!("Bearer {token}");
    let lower = format!("bearer {token}");
    let body = format!("access_token={token}");
    let answers = [
        testkit::get(&url, &[("authorization", &bearer)]),
        testkit::get(&url, &[("authorization", &lower)]),
        testkit::request("POST", &url, &[("authorization", &bearer)], b""),
        testkit::request("POST", &url, &form, body.as_bytes()),
    ];
    for answer in answers {
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(answer.json()["sub"], provider.person.id());
        assert_eq!(answer.json()["email"], provider.person.email());
    }
    // RFC 6750 §2.3 and OAuth 2.1 §5.1: never in the address; §2: one way at a time.
    let query = testkit::get(&format!("{url}?access_token={token}"), &[]);
    assert!(matches!(query.status, 400 | 401), "{}", query.text());
    let both = [form[0], ("authorization", &bearer)];
    let both = testkit::request("POST", &url, &both, body.as_bytes());
    assert_eq!(both.status, 400, "{}", both.text());
    let none = testkit::get(&url, &[]);
    assert_eq!(none.status, 401);
    assert!(none.header("www-authenticate").is_some_and(|it| it.starts_with("Bearer")), "{none:?}");
}

#[test]
fn scopes_and_claims_decide_what_is_told() {
    let mut provider = Provider::start();
    let (tokens, _) = provider.flow(&[]);
    let bare = provider.userinfo(&tokens);
    assert_eq!((&bare["email"], &bare["name"]), (&Value::Null, &Value::Null), "{bare}");
    let (tokens, _) = provider.flow(&[("scope", "openid profile email address phone")]);
    let all = provider.userinfo(&tokens);
    assert_eq!(
        (&all["email"], &all["name"]),
        (&json!(provider.person.email()), &json!("Ada Lovelace"))
    );
    for scope in ["profile", "email", "address", "phone"] {
        let (tokens, _) = provider.flow(&[("scope", &format!("openid {scope}"))]);
        let told = provider.userinfo(&tokens);
        assert_eq!(told["email"].is_string(), scope == "email", "{scope}: {told}");
        assert_eq!(told["name"].is_string(), scope == "profile", "{scope}: {told}");
    }
    let asks = r#"{"userinfo":{"name":{"essential":true}},"id_token":{"auth_time":null}}"#;
    let (tokens, claims) = provider.flow(&[("claims", asks)]);
    assert_eq!(provider.userinfo(&tokens)["name"], "Ada Lovelace");
    assert!(claims["auth_time"].is_number(), "{claims}");
}

#[test]
fn prompts_hints_and_ages() {
    let mut provider = Provider::start();
    let (tokens, first) = provider.flow(&[("max_age", "10000")]);
    provider.person.saw();
    // prompt=none, signed in: the same person at the same time.
    let (_, again) = provider.flow(&[("prompt", "none"), ("max_age", "10000")]);
    assert_eq!((&again["sub"], &again["auth_time"]), (&first["sub"], &first["auth_time"]));
    assert_eq!(provider.person.saw(), Vec::<String>::new());
    let hint = tokens["id_token"].as_str().expect("an ID token").to_owned();
    provider.flow(&[("prompt", "none"), ("id_token_hint", &hint)]);
    // Seconds are what `auth_time` counts.
    testkit::wait::pause(Duration::from_millis(2100));
    let (_, later) = provider.flow(&[("max_age", "1")]);
    assert_eq!(provider.person.saw(), ["Sign in"]);
    assert!(later["auth_time"].as_i64() > first["auth_time"].as_i64(), "{first} {later}");
    testkit::wait::pause(Duration::from_millis(1100));
    let (_, forced) = provider.flow(&[("prompt", "login"), ("max_age", "10000")]);
    assert_eq!(provider.person.saw(), ["Sign in"]);
    assert!(forced["auth_time"].as_i64() > later["auth_time"].as_i64(), "{later} {forced}");
    // Somebody else's ID token: the one who is signed in is not who is meant.
    let mut other = Person::new(&provider.stage.gate, "Bob");
    std::mem::swap(&mut provider.person, &mut other);
    provider.flow(&[]);
    assert_eq!(provider.refused(&[("prompt", "none"), ("id_token_hint", &hint)]), "login_required");
    // A login hint stands in the form.
    let url = provider.url(&[("prompt", "login"), ("login_hint", "ada@example.com")]);
    let Landing::Page(page) = provider.person.browser().open(&url) else { panic!("no page") };
    let form = page.form().expect("a form");
    assert_eq!(form.value("email"), Some("ada@example.com"), "{form:?}");
}

#[test]
fn what_belongs_to_one_client_is_nothing_to_another() {
    let mut provider = Provider::start();
    let other = provider.stage.shop(&["--pkce-optional"]);
    let url = provider.url(&[("scope", "openid offline_access"), ("prompt", "consent")]);
    let back = provider.person.authorize(&url);
    let code = parameter(&back, "code").expect("a code");
    let fields =
        [("grant_type", "authorization_code"), ("code", &*code), ("redirect_uri", CALLBACK)];
    let stolen = provider.post_as(&other, "/oauth/token", &fields);
    assert_eq!((stolen.status, &stolen.json()["error"]), (400, &json!("invalid_grant")));
    let (tokens, _) = provider.flow(&[("scope", "openid offline_access"), ("prompt", "consent")]);
    let refresh = tokens["refresh_token"].as_str().expect("a refresh token");
    let fields = [("grant_type", "refresh_token"), ("refresh_token", refresh)];
    let stolen = provider.post_as(&other, "/oauth/token", &fields);
    assert_eq!((stolen.status, &stolen.json()["error"]), (400, &json!("invalid_grant")));
    let own = provider.post("/oauth/token", &fields);
    assert_eq!(own.status, 200, "{}", own.text());
    // OpenID Connect Core §12.2: the same person, and no narrower scope unless asked.
    if let Some(id) = own.json()["id_token"].as_str() {
        assert_eq!(payload(id)["sub"], provider.person.id());
    }
}

#[test]
fn rfc7636_a_challenge_is_required_held_and_never_dropped() {
    let mut provider = Provider::start();
    let strict = provider.stage.shop(&[]);
    let url = provider.url(&[("client_id", strict.id())]);
    let back = provider.person.authorize(&url);
    assert_eq!(parameter(&back, "error").as_deref(), Some("invalid_request"), "{back}");
    // RFC 9700 §4.8.2: a verifier for a code that was asked for without a challenge.
    let url = provider.url(&[]);
    let back = provider.person.authorize(&url);
    let code = parameter(&back, "code").expect("a code");
    let verifier = "v".repeat(43);
    let fields = [
        ("grant_type", "authorization_code"),
        ("code", &code),
        ("redirect_uri", CALLBACK),
        ("code_verifier", &verifier),
    ];
    let answer = provider.post("/oauth/token", &fields);
    assert_eq!(answer.json()["error"], "invalid_grant", "{}", answer.text());
    // And a challenge whose verifier is wrong, or missing.
    let challenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
    for wrong in [Some(&*verifier), None] {
        let with = [("code_challenge", challenge), ("code_challenge_method", "S256")];
        let url = provider.url(&with);
        let back = provider.person.authorize(&url);
        let code = parameter(&back, "code").expect("a code");
        let mut fields =
            vec![("grant_type", "authorization_code"), ("code", &code), ("redirect_uri", CALLBACK)];
        fields.extend(wrong.map(|it| ("code_verifier", it)));
        let answer = provider.post("/oauth/token", &fields);
        assert_eq!(answer.json()["error"], "invalid_grant", "{wrong:?}: {}", answer.text());
    }
}

#[test]
fn the_metadata_tell_the_truth() {
    let provider = Provider::start();
    let issuer = provider.stage.issuer();
    let get = |path: &str| testkit::get(&(issuer.clone() + path), &[]);
    let found = get("/.well-known/openid-configuration");
    assert_eq!(found.status, 200);
    assert_eq!(found.header("content-type"), Some("application/json"));
    let metadata = found.json();
    let oauth = get("/.well-known/oauth-authorization-server").json();
    assert_eq!((&metadata["issuer"], &oauth["issuer"]), (&json!(issuer), &json!(issuer)));
    let list = |name: &str| metadata[name].as_array().cloned().unwrap_or_default();
    let has = |name: &str, value: &str| list(name).contains(&json!(value));
    assert_eq!(list("response_types_supported"), [json!("code")]);
    assert!(has("subject_types_supported", "public"));
    // OpenID Connect Discovery §3: RS256 must be there.
    assert!(has("id_token_signing_alg_values_supported", "RS256"), "{metadata}");
    assert!(!has("id_token_signing_alg_values_supported", "none"), "{metadata}");
    assert!(has("scopes_supported", "openid"), "{metadata}");
    assert!(has("code_challenge_methods_supported", "S256"));
    assert!(!has("code_challenge_methods_supported", "plain"));
    assert!(!has("grant_types_supported", "implicit") && !has("grant_types_supported", "password"));
    for flag in [
        "authorization_response_iss_parameter_supported",
        "claims_parameter_supported",
        "request_parameter_supported",
        "backchannel_logout_supported",
        "backchannel_logout_session_supported",
    ] {
        assert_eq!(metadata[flag], true, "{flag}: {metadata}");
    }
    // Every endpoint that is named is there.
    for (name, value) in metadata.as_object().expect("an object") {
        let Some(path) = value.as_str().and_then(|it| it.strip_prefix(&issuer)) else { continue };
        if name.ends_with("_endpoint") || name == "jwks_uri" {
            assert_ne!(get(path).status, 404, "{name}");
        }
    }
    let path = metadata["jwks_uri"].as_str().and_then(|it| it.strip_prefix(&issuer));
    let keys = || get(path.expect("ours")).json()["keys"].as_array().cloned().expect("keys");
    // RSA keys take their time; their tokens wait for them.
    testkit::wait::until(Duration::from_secs(30), "a key for each algorithm", || {
        let keys = keys();
        let has = |algorithm: &Value| keys.iter().any(|key| key["alg"] == *algorithm);
        list("id_token_signing_alg_values_supported").iter().all(has)
    });
    let keys = keys();
    assert!(keys.iter().all(|key| key["d"].is_null() && key["p"].is_null() && key["k"].is_null()));
}

#[test]
fn logout_at_a_clients_wish() {
    let mut provider = Provider::start();
    let end = provider.stage.issuer() + "/oauth/logout";
    let to = |change: &[(&str, &str)]| format!("{end}?{}", encode(change));
    let signed_in = |provider: &mut Provider| {
        let (tokens, _) = provider.flow(&[]);
        provider.person.saw();
        tokens["id_token"].as_str().expect("an ID token").to_owned()
    };
    let is_out = |provider: &mut Provider| {
        let back = provider.refused(&[("prompt", "none")]);
        assert_eq!(back, "login_required");
    };
    // With everything: at once, and back with the state.
    let hint = signed_in(&mut provider);
    let url =
        to(&[("id_token_hint", &hint), ("post_logout_redirect_uri", GOODBYE), ("state", "x")]);
    assert_eq!(provider.person.authorize(&url), format!("{GOODBYE}?state=x"));
    is_out(&mut provider);
    // Without state.
    let hint = signed_in(&mut provider);
    let url = to(&[("id_token_hint", &hint), ("post_logout_redirect_uri", GOODBYE)]);
    assert_eq!(provider.person.authorize(&url), GOODBYE);
    is_out(&mut provider);
    // Without an address: a page of ours.
    let hint = signed_in(&mut provider);
    assert_eq!(provider.page(&to(&[("id_token_hint", &hint)])).1, "You are signed out");
    is_out(&mut provider);
    // Without a hint the person is asked first; with nothing at all, with a state only.
    for change in [&[][..], &[("state", "x")]] {
        signed_in(&mut provider);
        assert_eq!(provider.page(&to(change)).1, "You are signed out", "{change:?}");
        assert_eq!(provider.person.saw(), ["Sign out?"], "{change:?}");
        is_out(&mut provider);
    }
    // Addresses that are not registered lead nowhere, and nobody is signed out by them.
    let hint = signed_in(&mut provider);
    for wrong in ["https://evil.example/", &format!("{GOODBYE}?foo=bar"), "https://shop.example/"] {
        let url = to(&[("id_token_hint", &hint), ("post_logout_redirect_uri", wrong)]);
        let (status, title) = provider.page(&url);
        assert_eq!(status, 400, "{wrong}: {title}");
        provider.flow(&[("prompt", "none")]);
    }
    // A hint that was changed, or that somebody else signed, is none.
    let (head, signature) = hint.rsplit_once('.').expect("three parts");
    let turned: String = signature.chars().rev().collect();
    for wrong in [format!("{head}.{turned}"), "nonsense".to_owned()] {
        let url = to(&[("id_token_hint", &wrong), ("post_logout_redirect_uri", GOODBYE)]);
        provider.person.saw();
        match provider.person.go(&url) {
            Arrival::Page(page) => assert_eq!(page.response.status, 400, "{}", page.title()),
            other => panic!("a forged hint led to {other:?}"),
        }
    }
}
