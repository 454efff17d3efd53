//! Rules of RFC 9700 and OAuth 2.1 that a token request, a token or a proof can try to break: one test a rule.

use crate::rules_stage::*;
use serde_json::{Value, json};
use std::time::Duration;
use testkit::jose::{b64, hs256, sha256, unsigned};
use testkit::{Algorithm, Gate, Key, Person, Response, encode, get};

const ASSERTION: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
const EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const BEARER: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
const DEVICE: &str = "urn:ietf:params:oauth:grant-type:device_code";
const ACCESS: &str = "urn:ietf:params:oauth:token-type:access_token";

fn refresh<'a>(token: &'a str, more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    [&[("grant_type", "refresh_token"), ("refresh_token", token)], more].concat()
}

fn key() -> Key {
    Key::generate(Algorithm::Es256, "k1")
}

/// A client's assertion for itself, with changes.
fn assertion(gate: &Gate, app: &App, key: &Key, jti: &str, changes: &[(&str, Value)]) -> String {
    let mut claims = json!({
        "iss": app.id, "sub": app.id, "aud": gate.control(), "iat": now(), "exp": now() + 60,
        "jti": jti,
    });
    for (name, value) in changes {
        claims[*name] = value.clone();
    }
    key.token_with(&json!({"alg": "ES256", "kid": key.kid(), "typ": "JWT"}), &claims)
}

fn by_assertion(gate: &Gate, token: &str) -> Response {
    let fields = [
        ("grant_type", "client_credentials"),
        ("client_assertion_type", ASSERTION),
        ("client_assertion", token),
    ];
    post(gate, "/oauth/token", &fields)
}

/// A proof of possession for the token endpoint.
fn proof(gate: &Gate, key: &Key, nonce: Option<&str>, changes: &[(&str, Value)]) -> String {
    let mut claims = json!({
        "htm": "POST", "htu": gate.control() + "/oauth/token", "iat": now(),
        "jti": b64(sha256(format!("{:?}", std::thread::current().id()).as_bytes())),
    });
    if let Some(nonce) = nonce {
        claims["nonce"] = nonce.into();
    }
    for (name, value) in changes {
        claims[*name] = value.clone();
    }
    let mut jwk = key.jwk();
    let members = jwk.as_object_mut().expect("an object");
    members.retain(|name, _| matches!(name.as_str(), "kty" | "crv" | "x" | "y"));
    key.token_with(&json!({"alg": "ES256", "typ": "dpop+jwt", "jwk": jwk}), &claims)
}

#[test]
fn rfc6749_s10_5_a_code_is_its_clients_alone() {
    let (gate, _up) = gate("");
    let (app, thief) = (shop(&gate, &["--public"]), shop(&gate, &["--public"]));
    let confidential = shop(&gate, &[]);
    let mut person = Person::new(&gate, "Ada");
    for victim in [&app, &confidential] {
        let code = victim.code(&gate, &mut person);
        assert_eq!(error(&thief.redeem(&gate, &code, &[])), "invalid_grant");
        // The client's id without its secret, or with another client's.
        let bare = App { secret: None, ..confidential.clone() };
        assert_eq!(error(&bare.redeem(&gate, &code, &[])), "invalid_client");
        let wrong = App { secret: Some("pcx_x".to_owned()), ..victim.clone() };
        assert_eq!(error(&wrong.redeem(&gate, &code, &[])), "invalid_client");
        // None of it has hurt whose code it is.
        good(&victim.redeem(&gate, &code, &[]));
    }
}

#[test]
fn rfc9700_s4_5_a_code_is_redeemed_with_what_its_request_named() {
    let (gate, _up) = gate("");
    let app = shop(&gate, &["--redirect-uri", "https://shop.example/other", "--public"]);
    let mut person = Person::new(&gate, "Ada");
    let code = app.code(&gate, &mut person);
    for change in [
        ("redirect_uri", "https://shop.example/other"),
        ("redirect_uri", "https://shop.example/callback/"),
        ("redirect_uri", ""),
        ("code_verifier", ""),
        ("code_verifier", CHALLENGE),
        ("code_verifier", "short"),
        ("code", "pcc_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"),
    ] {
        assert_eq!(error(&app.redeem(&gate, &code, &[change])), "invalid_grant", "{change:?}");
    }
    good(&app.redeem(&gate, &code, &[]));
}

#[test]
fn rfc6749_s4_1_2_a_code_that_comes_twice_ends_what_it_gave() {
    let (gate, _up) = gate("");
    let app = shop(&gate, &["--public"]);
    let mut person = Person::new(&gate, "Ada");
    let code = app.code(&gate, &mut person);
    let tokens = good(&app.redeem(&gate, &code, &[]));
    assert_eq!(status(&gate, "/orders/1", &text(&tokens, "access_token")), 200);
    assert_eq!(error(&app.redeem(&gate, &code, &[])), "invalid_grant");
    let token = text(&tokens, "access_token");
    testkit::wait::until(Duration::from_secs(1), "its end", || {
        status(&gate, "/orders/1", &token) == 401
    });
    let answer = app.token(&gate, &refresh(&text(&tokens, "refresh_token"), &[]));
    assert_eq!(error(&answer), "invalid_grant");
    let bearer = format!("Bearer {token}");
    let info = get(&(gate.control() + "/oauth/userinfo"), &[("authorization", &bearer)]);
    assert_eq!(info.status, 401);
}

/// What ended with an account or a client stays ended when it is opened again.
#[test]
fn who_is_taken_back_in_has_none_of_the_old_grants() {
    let (gate, _up) = gate("");
    let app = shop(&gate, &["--public"]);
    let mut person = Person::new(&gate, "Ada");
    let signed_in = |person: &mut Person| {
        let code = app.code(&gate, person);
        let tokens = good(&app.redeem(&gate, &code, &[]));
        let (access, renew) = (text(&tokens, "access_token"), text(&tokens, "refresh_token"));
        assert_eq!(status(&gate, "/orders/1", &access), 200);
        (access, renew)
    };
    let (id, client) = (person.id().to_owned(), app.id.clone());
    for (what, id) in [("user", &id), ("client", &client)] {
        let (access, renew) = signed_in(&mut person);
        gate.done(&[what, "disable", id]);
        gate.done(&[what, "enable", id]);
        assert_eq!(status(&gate, "/orders/1", &access), 401, "{what}: the access token");
        let answer = app.token(&gate, &refresh(&renew, &[]));
        assert_eq!(error(&answer), "invalid_grant", "{what}: the refresh token");
        // What is granted from now on is good; a client's end reaches five seconds into the future.
        testkit::wait::until(Duration::from_secs(15), "its return", || {
            let code = app.code(&gate, &mut person);
            let answer = app.redeem(&gate, &code, &[]);
            answer.status == 200 && {
                let access = text(&good(&answer), "access_token");
                status(&gate, "/orders/1", &access) == 200
            }
        });
        let (_, renew) = signed_in(&mut person);
        good(&app.token(&gate, &refresh(&renew, &[])));
    }
}

#[test]
fn rfc9700_s2_4_the_password_grant_does_not_exist() {
    let (gate, _up) = gate("");
    let app = shop(&gate, &[]);
    let person = Person::new(&gate, "Ada");
    for grant in ["password", "implicit", "", "authorization_code ", "AUTHORIZATION_CODE"] {
        let fields =
            [("grant_type", grant), ("username", person.email()), ("password", person.password())];
        let said = error(&app.token(&gate, &fields));
        assert!(matches!(said.as_str(), "unsupported_grant_type" | "invalid_request"), "{said}");
    }
    let metadata = get(&(gate.control() + "/.well-known/oauth-authorization-server"), &[]).text();
    assert!(!metadata.contains("\"password\"") && !metadata.contains("implicit"));
}

#[test]
fn rfc6749_s5_2_a_client_uses_the_grants_that_it_has() {
    let (gate, _up) = gate("");
    let app = shop(&gate, &[]);
    for grant in ["client_credentials", DEVICE, EXCHANGE] {
        let said = error(&app.token(&gate, &[("grant_type", grant)]));
        assert_eq!(said, "unauthorized_client", "{grant}");
    }
    let robot = robot(&gate, &["orders:read"], &[]);
    let answer = get(&request_url(&gate, &robot, &[]), &[]);
    assert_eq!((answer.status, answer.header("location")), (400, None));
    let asked = error(&robot.call(&gate, "/oauth/device_authorization", &[]));
    assert_eq!(asked, "unauthorized_client");
}

#[test]
fn rfc9700_s4_14_a_refresh_token_is_its_clients_and_not_for_more() {
    let (gate, _up) = gate("");
    let app = shop(&gate, &["--public", "--scope", "openid", "orders:read", "stock:read"]);
    let other = shop(&gate, &["--public"]);
    let mut person = Person::new(&gate, "Ada");
    let narrow = request_url(&gate, &app, &[("scope", "openid orders:read")]);
    let code = code_of(&person.authorize(&narrow));
    let tokens = good(&app.redeem(&gate, &code, &[]));
    let token = text(&tokens, "refresh_token");
    assert_eq!(error(&other.token(&gate, &refresh(&token, &[]))), "invalid_grant");
    for scope in ["openid orders:read stock:read", "stock:read", "admin:write", "offline_access"] {
        let answer = app.token(&gate, &refresh(&token, &[("scope", scope)]));
        assert_eq!(error(&answer), "invalid_scope", "{scope}");
    }
    let issuer = gate.control();
    let resources =
        ["https://evil.example/", &(issuer.clone() + "/api"), &(gate.url() + "/stock/")];
    for resource in resources {
        let answer = app.token(&gate, &refresh(&token, &[("resource", resource)]));
        assert_eq!(error(&answer), "invalid_target", "{resource}");
    }
    let answer = good(&app.token(&gate, &refresh(&token, &[("scope", "orders:read")])));
    assert_eq!(claims(&text(&answer, "access_token"))["scope"], "orders:read");
}

#[test]
fn oauth21_s4_3_1_a_spent_refresh_token_ends_the_family() {
    let (gate, _up) = gate("");
    let app = shop(&gate, &["--public"]);
    let mut person = Person::new(&gate, "Ada");
    let first = app.tokens(&gate, &mut person);
    let parent = text(&first, "refresh_token");
    let second = good(&app.token(&gate, &refresh(&parent, &[])));
    testkit::wait::pause(Duration::from_secs(11));
    assert_eq!(error(&app.token(&gate, &refresh(&parent, &[]))), "invalid_grant");
    let child = text(&second, "refresh_token");
    assert_eq!(error(&app.token(&gate, &refresh(&child, &[]))), "invalid_grant");
    for tokens in [first, second] {
        let token = text(&tokens, "access_token");
        testkit::wait::until(Duration::from_secs(1), "the family's end", || {
            status(&gate, "/orders/1", &token) == 401
        });
    }
}

#[test]
fn rfc9700_s2_3_a_token_is_for_its_audience() {
    let (gate, _up) = gate("");
    let robot = robot(&gate, &["orders:read", "stock:read"], &[]);
    let orders = gate.url() + "/orders/";
    let token = robot.own_token(&gate, &[("resource", &orders)]);
    assert_eq!(claims(&token)["aud"], orders.as_str());
    assert_eq!(status(&gate, "/orders/1", &token), 200);
    assert_eq!(status(&gate, "/stock/1", &token), 401);
    let both = robot.own_token(&gate, &[]);
    assert_eq!((status(&gate, "/orders/1", &both), status(&gate, "/stock/1", &both)), (200, 200));
    let narrow = robot.own_token(&gate, &[("scope", "stock:read")]);
    assert_ne!(status(&gate, "/orders/1", &narrow), 200);
    for resource in ["https://evil.example/", "orders", "https://x.example/#f", "*"] {
        let fields = [("grant_type", "client_credentials"), ("resource", resource)];
        assert_eq!(error(&robot.token(&gate, &fields)), "invalid_target", "{resource}");
    }
    let fields = [("grant_type", "client_credentials"), ("scope", "orders:write")];
    assert_eq!(error(&robot.token(&gate, &fields)), "invalid_scope");
}

#[test]
fn rfc8725_s3_11_no_token_passes_for_one_of_another_kind() {
    let (gate, _up) = gate("");
    let app = shop(&gate, &["--grant", "token_exchange"]);
    let signer = with_key(&gate, &key(), &["--grant", "client_credentials"]);
    let mut person = Person::new(&gate, "Ada");
    let url = request_url(&gate, &app, &[("response_mode", "jwt")]);
    let signed = testkit::parameter(&person.authorize(&url), "response").expect("an answer");
    let tokens = app.tokens(&gate, &mut person);
    let (id, access) = (text(&tokens, "id_token"), text(&tokens, "access_token"));
    let renewed = text(&tokens, "refresh_token");
    let api = gate.control() + "/api/v1/clients";
    let info = gate.control() + "/oauth/userinfo";
    for (what, token) in
        [("ID token", &id), ("signed answer", &signed), ("refresh token", &renewed)]
    {
        assert_eq!(status(&gate, "/orders/1", token), 401, "{what} at the gate");
        let bearer = format!("Bearer {token}");
        for url in [&api, &info] {
            assert_eq!(get(url, &[("authorization", &bearer)]).status, 401, "{what} at {url}");
        }
        let fields =
            [("grant_type", EXCHANGE), ("subject_token", token), ("subject_token_type", ACCESS)];
        assert_eq!(error(&app.token(&gate, &fields)), "invalid_request", "{what} exchanged");
    }
    let bearer = format!("Bearer {access}");
    assert_eq!(get(&api, &[("authorization", &bearer)]).status, 401, "access token at the API");
    for token in [&id, &access, &signed] {
        assert_eq!(error(&by_assertion(&gate, token)), "invalid_client");
        let fields = [("grant_type", BEARER), ("assertion", token.as_str())];
        assert_eq!(error(&post(&gate, "/oauth/token", &fields)), "invalid_grant");
        let fields = [("grant_type", "authorization_code"), ("code", token.as_str())];
        assert_eq!(error(&app.token(&gate, &fields)), "invalid_grant");
        assert_eq!(error(&app.token(&gate, &refresh(token, &[]))), "invalid_grant");
    }
    for token in [&access, &signed, &renewed] {
        let back = person.authorize(&request_url(&gate, &app, &[("id_token_hint", token)]));
        assert!(back.contains("error=invalid_request") && !back.contains("code="), "{back}");
    }
    drop(signer);
}

#[test]
fn rfc8725_s3_1_the_algorithm_is_not_the_tokens_to_choose() {
    let (gate, _up) = gate("");
    let robot = robot(&gate, &["orders:read"], &[]);
    let token = robot.own_token(&gate, &[]);
    let claims = claims(&token);
    let set = get(&(gate.control() + "/.well-known/jwks.json"), &[]).json();
    let keys = set["keys"].as_array().expect("keys");
    let public = keys.iter().find(|key| key["alg"] == "ES256").expect("the key that signs").clone();
    let kid = public["kid"].clone();
    let header = |alg: &str| json!({"alg": alg, "kid": kid, "typ": "at+jwt"});
    let other = Key::generate(Algorithm::Es256, kid.as_str().expect("an id"));
    let parts: Vec<&str> = token.split('.').collect();
    let with_header =
        |header: Value| format!("{}.{}.{}", b64(header.to_string()), parts[1], parts[2]);
    let x = testkit::jose::unb64(public["x"].as_str().expect("a coordinate"));
    let bad = [
        unsigned(&claims),
        format!("{}.{}.", b64(header("none").to_string()), parts[1]),
        hs256(public.to_string().as_bytes(), &header("HS256"), &claims),
        hs256(&x, &header("HS256"), &claims),
        hs256(b"", &header("HS256"), &claims),
        other.token_with(&header("ES256"), &claims),
        other.token_with(
            &json!({"alg": "ES256", "kid": kid, "typ": "at+jwt", "jwk": other.jwk()}),
            &claims,
        ),
        other.token_with(
            &json!({"alg": "ES256", "typ": "at+jwt", "jku": "http://127.0.0.1:1/jwks"}),
            &claims,
        ),
        other.token_with(
            &json!({"alg": "ES256", "kid": "../../../../dev/null", "typ": "at+jwt"}),
            &claims,
        ),
        other.token_with(&json!({"alg": "ES256", "kid": "' OR 1=1 --", "typ": "at+jwt"}), &claims),
        with_header(json!({"alg": "ES256", "kid": kid, "typ": "JWT"})),
        with_header(json!({"alg": "ES256", "kid": kid, "typ": "at+jwt", "crit": ["x"], "x": 1})),
        format!("{}.{}.{}", parts[0], parts[1], b64([0u8; 64])),
        format!("{}.{}.", parts[0], parts[1]),
        format!("{token}A"),
        format!("{token}."),
    ];
    let app = client(
        &gate,
        "Reader",
        &[
            "--grant",
            "client_credentials",
            "--auth",
            "client_secret_post",
            "--resource",
            &(gate.url() + "/orders/"),
        ],
    );
    for token in &bad {
        assert_eq!(status(&gate, "/orders/1", token), 401, "{token}");
        let said = app.call(&gate, "/oauth/introspect", &[("token", token)]);
        assert_eq!(good(&said), json!({"active": false}), "{token}");
    }
    assert_eq!(good(&app.call(&gate, "/oauth/introspect", &[("token", &token)]))["active"], true);
}

#[test]
fn rfc7523_s3_an_assertion_is_the_clients_for_this_issuer_once() {
    let (gate, _up) = gate("");
    let key = key();
    let app = with_key(&gate, &key, &["--grant", "client_credentials", "--scope", "orders:read"]);
    let other = Key::generate(Algorithm::Es256, "k1");
    let ok = assertion(&gate, &app, &key, "a", &[]);
    good(&by_assertion(&gate, &ok));
    let bad = [
        ok,
        assertion(&gate, &app, &other, "b", &[]),
        assertion(&gate, &app, &key, "c", &[("aud", json!("https://other.example"))]),
        assertion(
            &gate,
            &app,
            &key,
            "d",
            &[("aud", json!([gate.control(), "https://other.example"]))],
        ),
        assertion(&gate, &app, &key, "e", &[("sub", json!("nobody"))]),
        assertion(&gate, &app, &key, "f", &[("iss", json!("nobody"))]),
        assertion(&gate, &app, &key, "g", &[("exp", json!(now() - 120))]),
        assertion(&gate, &app, &key, "h", &[("exp", json!(now() + 1_000_000))]),
        assertion(&gate, &app, &key, "i", &[("exp", json!(null))]),
        assertion(&gate, &app, &key, "j", &[("nbf", json!(now() + 1000))]),
        assertion(&gate, &app, &key, "", &[]),
        assertion(&gate, &app, &key, &"k".repeat(300), &[]),
        key.token_with(
            &json!({"alg": "ES256", "kid": "k1", "typ": "dpop+jwt"}),
            &json!({
            "iss": app.id, "sub": app.id, "aud": gate.control(), "exp": now() + 60, "jti": "l"}),
        ),
        unsigned(
            &json!({"iss": app.id, "sub": app.id, "aud": gate.control(), "exp": now() + 60, "jti": "m"}),
        ),
        hs256(
            key.public_pem().as_bytes(),
            &json!({"alg": "HS256", "kid": "k1"}),
            &json!({
            "iss": app.id, "sub": app.id, "aud": gate.control(), "exp": now() + 60, "jti": "n"}),
        ),
    ];
    for token in bad {
        assert_eq!(error(&by_assertion(&gate, &token)), "invalid_client", "{token}");
    }
}

#[test]
fn rfc9700_s2_5_a_client_proves_itself_in_one_way_its_own() {
    let (gate, _up) = gate("");
    let (app, public) = (shop(&gate, &[]), shop(&gate, &["--public"]));
    let secret = app.secret.clone().expect("a secret");
    let code = ("grant_type", "authorization_code");
    let basic = |id: &str, secret: &str| {
        use base64::Engine as _;
        let text = base64::engine::general_purpose::STANDARD.encode(format!("{id}:{secret}"));
        format!("Basic {text}")
    };
    let own = basic(&app.id, &secret);
    let ask = |headers: &[(&str, &str)], fields: &[(&str, &str)]| {
        error(&post_with(&gate, "/oauth/token", headers, &encode(fields)))
    };
    let (id, s) = (("client_id", app.id.as_str()), ("client_secret", secret.as_str()));
    // Registered for a secret in the body, and for nothing else.
    assert_eq!(ask(&[("authorization", &own)], &[code]), "invalid_client");
    assert_eq!(ask(&[("authorization", &own)], &[code, id, s]), "invalid_request");
    assert_eq!(
        ask(&[("authorization", &own), ("authorization", &own)], &[code]),
        "invalid_request"
    );
    assert_eq!(ask(&[], &[code, id]), "invalid_client");
    assert_eq!(ask(&[], &[code, id, ("client_secret", "")]), "invalid_client");
    assert_eq!(ask(&[], &[code, id, ("client_secret", "pcx_x")]), "invalid_client");
    assert_eq!(ask(&[], &[code, id, ("client_secret", &"x".repeat(2000))]), "invalid_client");
    assert_eq!(ask(&[], &[code, ("client_id", "nobody"), s]), "invalid_client");
    assert_eq!(ask(&[("authorization", "Bearer x")], &[code, id, s]), "invalid_client");
    // A public client has no secret that could be right.
    assert_eq!(ask(&[], &[code, ("client_id", &public.id), s]), "invalid_client");
    assert_eq!(
        ask(&[], &[code, ("client_id", &public.id), ("client_secret", "0")]),
        "invalid_client"
    );
    // The client of the header is not the one of the body.
    let header = basic(&public.id, "");
    assert_eq!(ask(&[("authorization", &header)], &[code, id]), "invalid_request");
}

#[test]
fn rfc6749_s3_2_a_parameter_stands_once_in_the_body_and_is_bounded() {
    let (gate, _up) = gate("");
    let robot = robot(&gate, &["orders:read"], &[]);
    let fields = encode(&[robot.proof(), vec![("grant_type", "client_credentials")]].concat());
    let ask = |body: &str| error(&post_with(&gate, "/oauth/token", &[], body));
    for more in [
        "&grant_type=client_credentials",
        "&scope=a&scope=b",
        "&%73cope=a&scope=b",
        "&scope=&scope=a",
    ] {
        assert_eq!(ask(&(fields.clone() + more)), "invalid_request", "{more}");
    }
    for more in ["&a=%00", "&a=%ff", "&a=%", "&a=%zz", "&a=%C3"] {
        assert_eq!(ask(&(fields.clone() + more)), "invalid_request", "{more}");
    }
    let many: String = (0..100).map(|n| format!("&p{n}=1")).collect();
    assert_eq!(ask(&(fields.clone() + &many)), "invalid_request");
    let resources = "&resource=https://x.example/".repeat(40);
    assert_eq!(ask(&(fields.clone() + &resources)), "invalid_request");
    assert_eq!(ask(&(fields.clone() + "&a=" + &"x".repeat(100_000))), "invalid_request");
    let scopes: String = (0..5000).map(|n| format!("s{n}+")).collect();
    let said = ask(&(fields.clone() + "&scope=" + &scopes));
    assert!(matches!(said.as_str(), "invalid_request" | "invalid_scope"), "{said}");
    // RFC 9700 §4.3.1: a secret in an address is refused, even where it would be right.
    let path = format!("/oauth/token?{fields}");
    assert!((400..500).contains(&post_with(&gate, &path, &[], "").status));
    assert_eq!(error(&post_with(&gate, &path, &[], &fields)), "invalid_request");
    assert_eq!(get(&(gate.control() + &path), &[]).status, 405);
    let json = [("content-type", "application/json")];
    let answer = testkit::request("POST", &(gate.control() + "/oauth/token"), &json, b"{}");
    assert_eq!(error(&answer), "invalid_request");
    assert_eq!(post_with(&gate, "/oauth/token", &[], &fields).status, 200);
}

#[test]
fn rfc9449_s4_3_a_proof_is_for_one_request_with_a_nonce_of_ours() {
    let (gate, _up) = gate("");
    let robot = robot(&gate, &["orders:read"], &["--dpop"]);
    let (own, other) = (key(), key());
    let body = encode(&[robot.proof(), vec![("grant_type", "client_credentials")]].concat());
    let ask = |proofs: &[&str]| {
        let headers: Vec<_> = proofs.iter().map(|it| ("dpop", *it)).collect();
        post_with(&gate, "/oauth/token", &headers, &body)
    };
    assert_eq!(error(&ask(&[])), "invalid_dpop_proof");
    let first = ask(&[&proof(&gate, &own, None, &[("jti", json!("0"))])]);
    assert_eq!(error(&first), "use_dpop_nonce");
    let nonce = first.header("dpop-nonce").expect("a nonce").to_owned();
    let with = |jti: &str, changes: &[(&str, Value)]| {
        proof(&gate, &own, Some(&nonce), &[&[("jti", json!(jti))], changes].concat())
    };
    let used = with("1", &[]);
    let token = text(&good(&ask(&[&used])), "access_token");
    let bad = [
        used.clone(),
        with("2", &[("htm", json!("GET"))]),
        with("3", &[("htu", json!(gate.control() + "/oauth/par"))]),
        with("4", &[("htu", json!("https://evil.example/oauth/token"))]),
        with("5", &[("iat", json!(now() - 600))]),
        with("6", &[("iat", json!(now() + 600))]),
        with("7", &[("nonce", json!("AAAAAAAAAAAAAAAAAAAAAA"))]),
        with("8", &[("jti", json!(null))]),
        unsigned(&json!({"htm": "POST", "jti": "9"})),
    ];
    for proof in bad {
        let said = error(&ask(&[&proof]));
        assert!(matches!(said.as_str(), "invalid_dpop_proof" | "use_dpop_nonce"), "{said}");
    }
    assert_eq!(error(&ask(&[&with("10", &[]), &with("11", &[])])), "invalid_dpop_proof");
    // What is bound is worth nothing as a bearer token, nor with another key's proof.
    assert_eq!(status(&gate, "/orders/1", &token), 401);
    let ath = b64(sha256(token.as_bytes()));
    let at = [
        ("htm", json!("GET")),
        ("htu", json!(gate.url() + "/orders/1")),
        ("ath", json!(ath)),
        ("jti", json!("12")),
    ];
    let theirs = proof(&gate, &other, None, &at);
    let dpop = format!("DPoP {token}");
    let headers = [("authorization", dpop.as_str()), ("dpop", theirs.as_str())];
    assert_eq!(gate.get("/orders/1", &headers).status, 401);
    let ours = proof(&gate, &own, None, &at);
    let headers = [("authorization", dpop.as_str()), ("dpop", ours.as_str())];
    assert_eq!(gate.get("/orders/1", &headers).status, 200);
    assert_eq!(gate.get("/orders/1", &headers).status, 401, "the proof was seen");
}

#[test]
fn rfc8693_s5_an_exchange_gives_nothing_more_and_nothing_of_others() {
    let (gate, _up) = gate("");
    let orders = gate.url() + "/orders/";
    let service = client(
        &gate,
        "Service",
        &[
            "--grant",
            "token_exchange",
            "--auth",
            "client_secret_post",
            "--resource",
            &orders,
            "--scope",
            "orders:read",
            "stock:read",
        ],
    );
    let stranger = client(
        &gate,
        "Stranger",
        &["--grant", "token_exchange", "--auth", "client_secret_post", "--scope", "orders:read"],
    );
    let robot = robot(&gate, &["orders:read", "stock:read"], &[]);
    let token = robot.own_token(&gate, &[("resource", &orders), ("scope", "orders:read")]);
    let exchange = |app: &App, more: &[(&str, &str)]| {
        let fields =
            [("grant_type", EXCHANGE), ("subject_token", &token), ("subject_token_type", ACCESS)];
        app.token(&gate, &[&fields, more].concat())
    };
    assert_eq!(error(&exchange(&stranger, &[])), "invalid_request");
    assert_eq!(error(&exchange(&service, &[("scope", "stock:read")])), "invalid_scope");
    assert_eq!(
        error(&exchange(&service, &[("scope", "orders:read admin:write")])),
        "invalid_scope"
    );
    let stock = gate.url() + "/stock/";
    assert_eq!(error(&exchange(&service, &[("resource", &stock)])), "invalid_target");
    assert_eq!(
        error(&exchange(&service, &[("audience", "https://evil.example")])),
        "invalid_target"
    );
    let kind = [("requested_token_type", "urn:ietf:params:oauth:token-type:refresh_token")];
    assert_eq!(error(&exchange(&service, &kind)), "invalid_request");
    let given = text(&good(&exchange(&service, &[])), "access_token");
    assert!(claims(&given)["exp"].as_i64() <= claims(&token)["exp"].as_i64());
    assert_eq!(claims(&given)["sub"], robot.id.as_str());
    assert_eq!((status(&gate, "/orders/1", &given), status(&gate, "/stock/1", &given)), (200, 401));
}

#[test]
fn rfc7009_s2_1_a_client_revokes_and_looks_at_what_is_its_own() {
    let (gate, _up) = gate("");
    let (app, other) = (shop(&gate, &[]), shop(&gate, &[]));
    let public = shop(&gate, &["--public"]);
    let mut person = Person::new(&gate, "Ada");
    let tokens = app.tokens(&gate, &mut person);
    let (access, renew) = (text(&tokens, "access_token"), text(&tokens, "refresh_token"));
    for token in [&access, &renew] {
        for thief in [&other, &public] {
            let answer = thief.call(&gate, "/oauth/revoke", &[("token", token)]);
            assert_eq!(error(&answer), "invalid_grant");
        }
        let said = other.call(&gate, "/oauth/introspect", &[("token", token)]);
        assert_eq!(good(&said), json!({"active": false}));
        let said = public.call(&gate, "/oauth/introspect", &[("token", token)]);
        assert_eq!(error(&said), "invalid_client");
        let said = post(&gate, "/oauth/introspect", &[("token", token)]);
        assert_eq!(error(&said), "invalid_client");
    }
    assert_eq!(status(&gate, "/orders/1", &access), 200);
    let unknown = app.call(&gate, "/oauth/revoke", &[("token", "pca_unknown")]);
    assert_eq!(unknown.status, 200);
    assert_eq!(app.call(&gate, "/oauth/revoke", &[("token", &renew)]).status, 200);
    testkit::wait::until(Duration::from_secs(1), "the end", || {
        status(&gate, "/orders/1", &access) == 401
    });
}

#[test]
fn rfc8628_s5_a_device_gets_what_a_person_has_seen_and_once() {
    let (gate, _up) = gate("");
    let app = client(
        &gate,
        "TV",
        &[
            "--public",
            "--grant",
            "device_code",
            "--grant",
            "refresh_token",
            "--scope",
            "orders:read",
        ],
    );
    let other = client(&gate, "Other", &["--public", "--grant", "device_code"]);
    let asked = app.call(&gate, "/oauth/device_authorization", &[("scope", "stock:read")]);
    assert_eq!(error(&asked), "invalid_scope");
    let asked = good(&app.call(&gate, "/oauth/device_authorization", &[("scope", "orders:read")]));
    let device = text(&asked, "device_code");
    let poll = |app: &App| app.token(&gate, &[("grant_type", DEVICE), ("device_code", &device)]);
    assert_eq!(error(&poll(&app)), "authorization_pending");
    // RFC 8628 §3.5: faster than the interval.
    assert_eq!(error(&poll(&app)), "slow_down");
    assert!(matches!(error(&poll(&other)).as_str(), "expired_token" | "invalid_grant"));
    // RFC 8628 §5.4: nobody agrees by a link alone, nor without the page's own token.
    let mut person = Person::new(&gate, "Ada");
    let code = text(&asked, "user_code");
    person.allow(false);
    let bare = encode(&[("user_code", code.as_str()), ("answer", "allow"), ("csrf", "x")]);
    let cookies = |person: &mut Person| -> String {
        let all = person.browser().cookies();
        all.iter().map(|(k, v)| format!("{k}={v}")).collect::<Vec<_>>().join("; ")
    };
    person.browser().open(&(gate.control() + "/login"));
    let url = gate.control() + "/device";
    for body in [&bare, ""] {
        let answer = person.browser().once("POST", &url, body);
        assert!(!answer.text().contains("Connected"), "{}", answer.text());
    }
    let cookie = cookies(&mut person);
    let link = text(&asked, "verification_uri_complete") + "&answer=allow";
    assert!(!get(&link, &[("cookie", &cookie)]).text().contains("Connected"));
    let said = error(&poll(&app));
    assert!(matches!(said.as_str(), "authorization_pending" | "slow_down"), "{said}");
    person.go(&text(&asked, "verification_uri_complete"));
    assert_eq!(error(&poll(&app)), "access_denied");
}

#[test]
fn rfc8707_s2_a_device_page_shows_where_the_device_would_go() {
    let (gate, _up) = gate("");
    let app = client(
        &gate,
        "TV",
        &["--public", "--grant", "device_code", "--scope", "orders:read", "stock:read"],
    );
    let orders = gate.url() + "/orders/";
    let fields = [("scope", "orders:read stock:read"), ("resource", orders.as_str())];
    let asked = good(&app.call(&gate, "/oauth/device_authorization", &fields));
    let mut person = Person::new(&gate, "Ada");
    person.allow(false);
    person.go(&(gate.control() + "/login"));
    let url = text(&asked, "verification_uri_complete");
    let page = person.browser().once("GET", &url, "");
    assert!(page.text().contains(&orders), "{}", page.text());
}
