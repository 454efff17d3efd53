//! Rules of RFC 9700 and OAuth 2.1 that an authorization request can try to break: one test a rule, named after it.

use crate::rules_stage::*;
use testkit::{Gate, Landing, Person, RawClient, Response, encode, escape, get, parameter};

/// Whether an answer leads the browser away.
fn leads_to(answer: &Response) -> Option<&str> {
    answer.header("location")
}

/// The page on which somebody stands who has opened an address.
fn page(landing: Landing) -> testkit::Page {
    match landing {
        Landing::Page(page) => page,
        Landing::Elsewhere(url) => panic!("led to {url}"),
    }
}

/// Opens the sign-in page of a request and signs in with the form of it.
fn sign_in(person: &mut Person, url: &str) -> testkit::Page {
    let login = page(person.browser().open(url));
    let form = login.form().expect("a form");
    let (email, password) = (person.email().to_owned(), person.password());
    let filled = form.with("email", &email).with("password", password);
    page(person.browser().send(&login, &filled))
}

#[test]
fn rfc9700_s2_1_redirect_uris_are_compared_exactly() {
    let (gate, _up) = gate("");
    let registered = "https://shop.example/callback?a=1";
    let app = client(&gate, "Shop", &["--redirect-uri", registered, "--public"]);
    for other in [
        "https://shop.example/callback",
        "https://shop.example/callback?a=1&b=2",
        "https://shop.example/callback?a=2",
        "https://shop.example/callback/?a=1",
        "https://shop.example/Callback?a=1",
        "https://SHOP.example/callback?a=1",
        "https://shop.example:443/callback?a=1",
        "https://shop.example:8443/callback?a=1",
        "http://shop.example/callback?a=1",
        "https://shop.example/callback?a=1#",
        "https://shop.example/callback?a=1#x",
        "https://shop.example/%63allback?a=1",
        "https://shop.example/x/../callback?a=1",
        "https://shop.example@evil.example/callback?a=1",
        "https://user@shop.example/callback?a=1",
        "https://shop.example.evil.example/callback?a=1",
        "https://evil.example/https://shop.example/callback?a=1",
        "https://shop.example\\@evil.example/callback?a=1",
        "https://shop.example/callback?a=1%0d%0aSet-Cookie:x=y",
        "https://shop.example/callback?a=1\r\nSet-Cookie:x=y",
        "https://shop.example/callback?a=1 ",
        "//shop.example/callback?a=1",
        "/callback?a=1",
        "javascript:alert(1)",
        "data:text/html,x",
        "*",
    ] {
        let answer = get(&request_url(&gate, &app, &[("redirect_uri", other)]), &[]);
        assert_eq!((answer.status, leads_to(&answer)), (400, None), "{other}");
        assert_eq!(answer.header("set-cookie"), None, "{other}");
    }
    let right = [("redirect_uri", registered), ("scope", "openid")];
    let answer = get(&request_url(&gate, &app, &right), &[]);
    assert_eq!(answer.status, 200, "{}", answer.text());
}

#[test]
fn rfc8252_s7_3_only_the_port_of_a_loopback_address_is_free() {
    let (gate, _up) = gate("");
    let app = client(&gate, "App", &["--redirect-uri", "http://127.0.0.1/cb", "--public"]);
    let ask = |uri: &str| {
        get(&request_url(&gate, &app, &[("redirect_uri", uri), ("scope", "openid")]), &[]).status
    };
    assert_eq!(ask("http://127.0.0.1:51004/cb"), 200);
    for other in [
        "http://127.0.0.2:51004/cb",
        "http://localhost:51004/cb",
        "http://[::1]:51004/cb",
        "http://127.0.0.1:51004/other",
        "http://127.0.0.1:51004/cb?x=1",
        "http://127.0.0.1:51004@evil.example/cb",
        "http://127.0.0.1:evil.example/cb",
        "http://127.0.0.1.evil.example:51004/cb",
        "https://127.0.0.1:51004/cb",
        "http://2130706433:51004/cb",
        "http://0x7f.1:51004/cb",
        "http://127.0.0.1:99999/cb",
    ] {
        assert_eq!(ask(other), 400, "{other}");
    }
}

#[test]
fn rfc9700_s4_11_what_is_wrong_before_the_client_is_known_leads_nowhere() {
    let (gate, _up) = gate("");
    let app = shop(&gate, &["--public"]);
    let control = gate.control();
    for query in [
        "client_id=nobody&response_type=code&redirect_uri=https://evil.example/".to_owned(),
        "response_type=code&redirect_uri=https://evil.example/".to_owned(),
        format!("client_id={}&response_type=code&redirect_uri=https://evil.example/", app.id),
        format!("client_id={0}&client_id={0}&redirect_uri={CALLBACK}", app.id),
        format!("client_id={}&redirect_uri={CALLBACK}&redirect_uri=https://evil.example/", app.id),
        format!("client_id={}%00&redirect_uri={CALLBACK}", app.id),
        format!("client_id={}&redirect_uri={CALLBACK}&state=%ff", app.id),
        format!("client_id={}&redirect_uri={CALLBACK}&state=%00", app.id),
        format!("client_id={}&redirect_uri={CALLBACK}&request_uri=https://evil.example/", app.id),
        format!("client_id={}&redirect_uri={CALLBACK}&request=x", app.id),
        "continue=https://evil.example/".to_owned(),
        "continue=AAAA.AAAA".to_owned(),
    ] {
        let answer = get(&format!("{control}/oauth/authorize?{query}"), &[]);
        // What is wrong with a request of a known client at its own address may be told there.
        let to = leads_to(&answer).unwrap_or(CALLBACK);
        assert!(to.starts_with(CALLBACK), "{query}: {to}");
        assert!((300..500).contains(&answer.status), "{query}: {}", answer.status);
    }
    for path in [
        "/login?next=https://evil.example/",
        "/login?next=//evil.example/",
        "/login?continue=next:https://evil.example/",
        "/device?next=https://evil.example/",
        "/oauth/logout?post_logout_redirect_uri=https://evil.example/",
        &format!(
            "/oauth/logout?client_id={}&post_logout_redirect_uri=https://evil.example/",
            app.id
        ),
    ] {
        let answer = get(&format!("{control}{path}"), &[]);
        assert_eq!(leads_to(&answer), None, "{path}");
        assert!(!answer.text().contains("href=\"https://evil.example"), "{path}");
    }
}

#[test]
fn rfc9700_s4_11_2_a_client_that_anybody_made_is_no_open_redirect() {
    let (gate, _up) = gate("[authority]\nregistration = \"open\"\n");
    let body =
        r#"{"redirect_uris":["https://evil.example/phish"],"token_endpoint_auth_method":"none"}"#;
    let url = gate.control() + "/oauth/register";
    let json = [("content-type", "application/json")];
    let made = testkit::request("POST", &url, &json, body.as_bytes());
    assert_eq!(made.status, 201, "{}", made.text());
    let app = App { id: text(&made.json(), "client_id"), secret: None };
    let evil = ("redirect_uri", "https://evil.example/phish");
    for wrong in [("response_type", "token"), ("scope", "admin:write"), ("code_challenge", "x")] {
        let answer = get(&request_url(&gate, &app, &[evil, wrong]), &[]);
        assert_eq!(leads_to(&answer), None, "{wrong:?}");
    }
}

#[test]
fn rfc9700_s4_4_iss_stands_in_answers_and_errors() {
    let (gate, _up) = gate("");
    let app = shop(&gate, &["--public"]);
    let mut person = Person::new(&gate, "Ada");
    let answer = person.authorize(&request_url(&gate, &app, &[]));
    assert_eq!(parameter(&answer, "iss"), Some(gate.control()), "{answer}");
    let answer = get(&request_url(&gate, &app, &[("response_type", "token")]), &[]);
    let to = leads_to(&answer).expect("a redirect");
    assert_eq!(parameter(to, "iss"), Some(gate.control()), "{to}");
    let metadata = get(&(gate.control() + "/.well-known/oauth-authorization-server"), &[]).json();
    assert_eq!(metadata["authorization_response_iss_parameter_supported"], true);
}

#[test]
fn rfc9700_s2_1_2_no_token_leaves_the_authorization_endpoint() {
    let (gate, _up) = gate("");
    let app = shop(&gate, &["--public"]);
    for kind in ["token", "id_token", "id_token token", "code token", "code id_token", "none"] {
        let answer = get(&request_url(&gate, &app, &[("response_type", kind)]), &[]);
        let to = leads_to(&answer).unwrap_or_default();
        assert!(to.contains("error=unsupported_response_type"), "{kind}: {to}");
        assert!(!to.contains("token=") && !to.contains('#'), "{kind}: {to}");
    }
    for mode in ["fragment", "web_message", "fragment.jwt"] {
        let answer = get(&request_url(&gate, &app, &[("response_mode", mode)]), &[]);
        assert!(!leads_to(&answer).unwrap_or_default().contains('#'), "{mode}");
    }
}

#[test]
fn rfc9700_s2_1_1_pkce_cannot_be_left_out_or_weakened() {
    let (gate, _up) = gate("");
    for app in [shop(&gate, &["--public"]), shop(&gate, &[])] {
        for changes in [
            [("code_challenge", ""), ("code_challenge_method", "")],
            [("code_challenge", ""), ("code_challenge_method", "S256")],
            [("code_challenge", VERIFIER), ("code_challenge_method", "plain")],
            [("code_challenge", CHALLENGE), ("code_challenge_method", "")],
            [("code_challenge", CHALLENGE), ("code_challenge_method", "s256")],
            [("code_challenge", "abc"), ("code_challenge_method", "S256")],
        ] {
            let answer = get(&request_url(&gate, &app, &changes), &[]);
            let to = leads_to(&answer).unwrap_or_default();
            assert!(to.contains("error=invalid_request"), "{changes:?}: {} {to}", answer.status);
        }
    }
}

#[test]
fn rfc9700_s4_8_2_a_verifier_for_a_request_without_challenge_is_a_downgrade() {
    let (gate, _up) = gate("");
    let app = shop(&gate, &["--pkce-optional"]);
    let mut person = Person::new(&gate, "Ada");
    let bare = [("code_challenge", ""), ("code_challenge_method", "")];
    // The attacker has taken the challenge out of the request; the client sends its verifier.
    let code = code_of(&person.authorize(&request_url(&gate, &app, &bare)));
    assert_eq!(error(&app.redeem(&gate, &code, &[])), "invalid_grant");
    // The other way round: the client's challenge stands, and the attacker has no verifier.
    let code = app.code(&gate, &mut person);
    assert_eq!(error(&app.redeem(&gate, &code, &[("code_verifier", "")])), "invalid_grant");
}

#[test]
fn rfc9700_s4_12_what_was_posted_is_not_posted_on() {
    let (gate, _up) = gate("");
    let app = shop(&gate, &["--public"]);
    let mut person = Person::new(&gate, "Ada");
    let consent = sign_in(&mut person, &request_url(&gate, &app, &[]));
    let form = consent.form().expect("a form").with("answer", "allow");
    let url = gate.control() + &form.action;
    let answer = person.browser().once("POST", &url, &encode(&form.fields));
    assert_eq!(answer.status, 303, "{}", answer.text());
    assert!(leads_to(&answer).expect("a redirect").starts_with(CALLBACK));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    // The sign-in too, where consent is remembered: the password goes nowhere.
    person.browser().forget();
    let url = request_url(&gate, &app, &[]);
    let login = page(person.browser().open(&url));
    let (email, password) = (person.email().to_owned(), person.password());
    let form = login.form().expect("a form").with("email", &email).with("password", password);
    let url = gate.control() + &form.action;
    let answer = person.browser().once("POST", &url, &encode(&form.fields));
    assert_eq!(answer.status, 303, "{}", answer.text());
}

#[test]
fn rfc9700_s4_16_no_page_can_be_framed_kept_or_tell_where_it_was() {
    let (gate, _up) = gate("");
    let app = shop(&gate, &["--public"]);
    let mut person = Person::new(&gate, "Ada");
    let request = request_url(&gate, &app, &[]);
    let consent = sign_in(&mut person, &request).response;
    let control = gate.control();
    let ask = |path: &str| get(&format!("{control}{path}"), &[]);
    let mut pages: Vec<Response> =
        ["/login", "/setup", "/device", "/oauth/logout", "/oauth/authorize"].map(ask).into();
    pages.extend([get(&request, &[]), consent]);
    for answer in pages {
        let policy = answer.header("content-security-policy").expect("a policy");
        assert!(policy.contains("frame-ancestors 'none'"), "{policy}");
        assert!(policy.contains("default-src 'none'"), "{policy}");
        assert!(policy.contains("base-uri 'none'"), "{policy}");
        assert!(!policy.contains("unsafe"), "{policy}");
        assert_eq!(answer.header("x-frame-options"), Some("DENY"));
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        assert_eq!(answer.header("referrer-policy"), Some("no-referrer"));
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
        // RFC 9700 §4.2.4, §4.3.1: nothing of other origins is loaded.
        let text = answer.text();
        assert!(!text.contains("src=\"http") && !text.contains("href=\"http"), "{text}");
        assert_eq!(answer.header("access-control-allow-origin"), None);
    }
}

#[test]
fn rfc9700_s4_7_a_page_of_somebody_else_cannot_agree_for_a_person() {
    let (gate, _up) = gate("");
    let app = shop(&gate, &["--public"]);
    let mut person = Person::new(&gate, "Ada");
    let mut other = Person::new(&gate, "Eve");
    let request = request_url(&gate, &app, &[]);
    let form = sign_in(&mut person, &request).form().expect("a form").with("answer", "allow");
    let of_eve = sign_in(&mut other, &request).form().expect("a form");
    let url = gate.control() + "/oauth/decide";
    let eves = of_eve.value("csrf").expect("a token").to_owned();
    for csrf in ["", "x", &eves, CHALLENGE] {
        let answer =
            person.browser().once("POST", &url, &encode(&form.clone().with("csrf", csrf).fields));
        assert!((400..500).contains(&answer.status), "{csrf}: {}", answer.status);
        assert_eq!(leads_to(&answer), None, "{csrf}");
    }
    // The right token for another request.
    let wider = request_url(&gate, &app, &[("state", "other")]);
    let other_request = page(person.browser().open(&wider)).form().expect("a form");
    let mixed = form.clone().with("continue", other_request.value("continue").expect("a text"));
    let answer = person.browser().once("POST", &url, &encode(&mixed.fields));
    assert_eq!((answer.status / 100, leads_to(&answer)), (4, None));
    // The right token, sent by a page of somebody else.
    let cookies: Vec<String> =
        person.browser().cookies().iter().map(|(k, v)| format!("{k}={v}")).collect();
    let cookies = cookies.join("; ");
    let body = encode(&form.fields);
    for header in [("origin", "https://evil.example"), ("sec-fetch-site", "cross-site")] {
        let headers = [("cookie", cookies.as_str()), header];
        let answer = post_with(&gate, "/oauth/decide", &headers, &body);
        assert_eq!((answer.status, leads_to(&answer)), (403, None), "{header:?}");
    }
    // A GET decides nothing.
    let answer = get(&format!("{url}?{body}"), &[("cookie", &cookies)]);
    assert_eq!(answer.status, 405);
}

#[test]
fn rfc9700_s4_7_nobody_is_signed_in_by_a_page_of_somebody_else() {
    let (gate, _up) = gate("");
    let mut victim = Person::new(&gate, "Ada");
    let mut attacker = Person::new(&gate, "Eve");
    let login = page(attacker.browser().open(&(gate.control() + "/login")));
    let (email, password) = (attacker.email().to_owned(), attacker.password());
    let form = login.form().expect("a form").with("email", &email).with("password", password);
    // The attacker's form, sent by the victim's browser: without a cookie, and with one of its own.
    let url = gate.control() + "/login";
    let answer = victim.browser().once("POST", &url, &encode(&form.fields));
    assert_eq!(answer.status, 403, "{}", answer.text());
    victim.browser().open(&url);
    let answer = victim.browser().once("POST", &url, &encode(&form.fields));
    assert_eq!(answer.status, 403, "{}", answer.text());
    assert!(!victim.browser().cookies().contains_key("portcullis_session"));
    for header in [("origin", "https://evil.example"), ("sec-fetch-site", "same-site")] {
        let answer = post_with(&gate, "/login", &[header], &encode(&form.fields));
        assert_eq!(answer.status, 403, "{header:?}");
    }
}

#[test]
fn oauth21_s7_a_planted_session_is_not_taken_up() {
    let (gate, _up) = gate("");
    let app = shop(&gate, &["--public"]);
    let mut person = Person::new(&gate, "Ada");
    let request = request_url(&gate, &app, &[]);
    sign_in(&mut person, &request);
    let first = person.browser().cookies()["portcullis_session"].clone();
    // The same browser signs in once more: what was known before is worth nothing.
    let again = request_url(&gate, &app, &[("prompt", "login")]);
    sign_in(&mut person, &again);
    let second = person.browser().cookies()["portcullis_session"].clone();
    assert_ne!(first, second);
    let silent = request_url(&gate, &app, &[("prompt", "none")]);
    for planted in [first.as_str(), "pcs_x", "", &"x".repeat(4000)] {
        let cookie = format!("portcullis_session={planted}");
        let answer = get(&silent, &[("cookie", &cookie)]);
        let to = leads_to(&answer).expect("a redirect");
        assert!(to.contains("error=login_required"), "{planted}: {to}");
    }
    // Two cookies of the name: one of them was planted, and neither is believed.
    let cookie = format!("portcullis_session={second}; portcullis_session=x");
    let answer = get(&silent, &[("cookie", &cookie)]);
    assert!(leads_to(&answer).expect("a redirect").contains("error=login_required"));
}

#[test]
fn rfc6265_s8_cookies_are_for_this_server_and_no_script() {
    let (gate, _up) = gate("");
    let mut person = Person::new(&gate, "Ada");
    let url = gate.control() + "/login";
    let login = person.browser().once("GET", &url, "");
    let shown = testkit::Page { url: url.clone(), response: login.clone() };
    let (email, password) = (person.email().to_owned(), person.password());
    let form = shown.form().expect("a form").with("email", &email).with("password", password);
    let done = person.browser().once("POST", &url, &encode(&form.fields));
    let lines: Vec<&str> = [&login, &done].iter().flat_map(|it| it.values("set-cookie")).collect();
    // The browser's before it has a session, the session's, and what the browser is known by.
    assert_eq!(lines.len(), 3, "{lines:?}");
    for line in lines {
        assert!(line.contains("; HttpOnly") && line.contains("; SameSite=Lax"), "{line}");
        assert!(
            line.contains("; Path=/") && !line.to_ascii_lowercase().contains("domain"),
            "{line}"
        );
    }
}

#[test]
fn what_is_sent_is_shown_as_text() {
    let (gate, _up) = gate("");
    let script = "<script>alert(1)</script>\"'&";
    let app = client(&gate, script, &["--redirect-uri", CALLBACK, "--public", "--scope", "a<b"]);
    let control = gate.control();
    let sent = escape(script);
    let mut pages = vec![
        request_url(&gate, &app, &[("login_hint", script), ("state", script), ("scope", "openid")]),
        request_url(&gate, &app, &[("scope", script)]),
        request_url(
            &gate,
            &app,
            &[("response_mode", "form_post"), ("response_type", "token"), ("state", script)],
        ),
        request_url(&gate, &app, &[("resource", script)]),
        format!("{control}/oauth/authorize?client_id={sent}&redirect_uri={sent}&{sent}={sent}"),
        format!("{control}/oauth/authorize?{sent}=1&{sent}=2"),
        format!("{control}/device?user_code={sent}"),
        format!("{control}/login?next={sent}&continue={sent}"),
        format!("{control}/setup?code={sent}&email={sent}&first={sent}"),
        format!(
            "{control}/oauth/logout?client_id={sent}&post_logout_redirect_uri={sent}&state={sent}"
        ),
        format!("{control}/oauth/logout?id_token_hint={sent}"),
    ];
    let mut person = Person::new(&gate, "Ada");
    pages.push(request_url(&gate, &app, &[("scope", "openid"), ("prompt", "login")]));
    for url in pages {
        for answer in [get(&url, &[]), person.browser().once("GET", &url, "")] {
            let body = answer.text();
            assert!(!body.contains("<script>alert"), "{url}: {body}");
            assert!(!body.contains("\"<script"), "{url}: {body}");
            for (name, value) in &answer.headers {
                assert!(!value.contains("<script"), "{url}: {name}: {value}");
            }
        }
    }
    let consent = sign_in(&mut person, &request_url(&gate, &app, &[("scope", "openid")]));
    assert!(consent.response.text().contains("&#60;script&#62;"), "{}", consent.response.text());
}

#[test]
fn rfc9110_s5_5_an_answer_cannot_be_split() {
    let (gate, _up) = gate("");
    let app = shop(&gate, &["--public"]);
    let split = "x\r\nSet-Cookie: evil=1\r\n\r\n<html>";
    for name in ["state", "scope", "nonce", "response_mode", "prompt", "client_id", "claims"] {
        let answer = get(&request_url(&gate, &app, &[(name, split)]), &[]);
        assert!(answer.values("set-cookie").iter().all(|it| !it.contains("evil")), "{name}");
        let to = leads_to(&answer).unwrap_or_default();
        assert!(!to.contains(['\r', '\n']), "{name}: {to}");
    }
}

#[test]
fn rfc9110_s7_2_the_issuer_is_not_what_the_host_header_says() {
    let (gate, _up) = gate("");
    let address = gate.control().trim_start_matches("http://").to_owned();
    let port = address.rsplit(':').next().expect("a port").to_owned();
    for path in ["/.well-known/openid-configuration", "/login", "/oauth/authorize?client_id=x"] {
        let ask = |host: &str| {
            let mut client = RawClient::connect(&address);
            let head = format!(
                "GET {path} HTTP/1.1\r\nHost: {host}\r\nX-Forwarded-Host: evil.example\r\n"
            );
            client.exchange(head + "Forwarded: host=evil.example\r\nConnection: close\r\n\r\n")
        };
        let answer = ask("evil.example");
        assert!((400..500).contains(&answer.status), "{path}");
        let answer = ask(&format!("localhost:{port}"));
        assert!(!answer.text().contains("evil.example"), "{path}: {}", answer.text());
    }
}

#[test]
fn rfc9101_s10_5_a_request_object_is_the_clients_or_nothing() {
    let (gate, _up) = gate("");
    let key = testkit::Key::generate(testkit::Algorithm::Es256, "k1");
    let app = with_key(&gate, &key, &["--redirect-uri", CALLBACK, "--scope", "openid"]);
    let now = now();
    let object = serde_json::json!({
        "iss": app.id, "aud": gate.control(), "client_id": app.id, "response_type": "code",
        "redirect_uri": CALLBACK, "scope": "openid", "code_challenge": CHALLENGE,
        "code_challenge_method": "S256", "nbf": now, "exp": now + 60, "jti": "o-1",
    });
    let with = |name: &str, value: serde_json::Value| {
        let mut object = object.clone();
        object[name] = value;
        object
    };
    let header =
        |alg: &str| serde_json::json!({"alg": alg, "kid": "k1", "typ": "oauth-authz-req+jwt"});
    let other = testkit::Key::generate(testkit::Algorithm::Es256, "k1");
    let pem = key.public_pem();
    let bad = [
        testkit::jose::unsigned(&object),
        testkit::jose::hs256(pem.as_bytes(), &header("HS256"), &object),
        testkit::jose::hs256(key.jwk().to_string().as_bytes(), &header("HS256"), &object),
        other.token_with(&header("ES256"), &object),
        key.token_with(&header("ES256"), &with("iss", "nobody".into())),
        key.token_with(&header("ES256"), &with("aud", "https://other.example".into())),
        key.token_with(&header("ES256"), &with("exp", (now - 600).into())),
        key.token_with(&header("ES256"), &with("sub", app.id.clone().into())),
        key.token_with(&header("ES256"), &with("request_uri", "https://evil.example/".into())),
        key.token_with(&serde_json::json!({"alg": "ES256", "typ": "at+jwt"}), &object),
        key.token_with(&serde_json::json!({"alg": "ES256", "typ": "dpop+jwt"}), &object),
    ];
    let ask = |object: &str| {
        let query = encode(&[("client_id", app.id.as_str()), ("request", object)]);
        get(&format!("{}/oauth/authorize?{query}", gate.control()), &[])
    };
    for token in bad {
        let answer = ask(&token);
        // The client is told, at the one address that it has; nothing of the object counts.
        let to = leads_to(&answer).expect("a redirect");
        let expect = format!("{CALLBACK}?error=invalid_request_object");
        assert!(to.starts_with(&expect) && !to.contains("code="), "{token}: {to}");
    }
    let answer = ask(&key.token_with(&header("ES256"), &object));
    assert_eq!(answer.status, 200, "{}", answer.text());
    let evil = with("redirect_uri", "https://evil.example/".into());
    let answer = ask(&key.token_with(&header("ES256"), &evil));
    assert_eq!((answer.status, leads_to(&answer)), (400, None));
}

/// A gate of its own for `rfc9700_s4_3_1`.
fn ledger_and_log(gate: &Gate) -> String {
    let rows = gate.done(&["audit", "query", "SELECT * FROM events"]);
    gate.log() + &rows.to_string()
}

#[test]
fn rfc9700_s4_3_1_no_secret_stands_in_log_ledger_or_address() {
    let (gate, _up) = gate("");
    let app = shop(&gate, &[]);
    let mut person = Person::new(&gate, "Ada");
    let code = app.code(&gate, &mut person);
    let tokens = good(&app.redeem(&gate, &code, &[]));
    let session = person.browser().cookies()["portcullis_session"].clone();
    let secret = app.secret.clone().expect("a secret");
    // Wrong calls are recorded with what was wrong, and not with what was sent.
    app.redeem(&gate, "pcc_wrong", &[]);
    app.token(&gate, &[("grant_type", &secret)]);
    let mixed_up = App { id: secret.clone(), secret: Some(app.id.clone()) };
    mixed_up.token(&gate, &[("grant_type", "refresh_token")]);
    get(&request_url(&gate, &mixed_up, &[("redirect_uri", "https://evil.example/")]), &[]);
    app.token(&gate, &[("grant_type", "authorization_code"), ("code", "pcc_wrong")]);
    let access = text(&tokens, "access_token");
    let refresh = text(&tokens, "refresh_token");
    let id_token = text(&tokens, "id_token");
    get(
        &format!("{}/oauth/userinfo", gate.control()),
        &[("authorization", &format!("Bearer {access}x"))],
    );
    let known = ledger_and_log(&gate);
    for (what, secret) in [
        ("code", code.as_str()),
        ("access token", access.as_str()),
        ("refresh token", refresh.as_str()),
        ("ID token", id_token.as_str()),
        ("session", session.as_str()),
        ("verifier", VERIFIER),
        ("password", person.password()),
    ] {
        assert!(!known.contains(secret), "the {what} is known");
    }
    // Nor in any file: the store knows what it must compare by MACs, and what it must give out again sealed.
    let again =
        good(&app.token(&gate, &[("grant_type", "refresh_token"), ("refresh_token", &refresh)]));
    let child = text(&again, "refresh_token");
    for path in crate::setup::files(gate.data()) {
        let bytes = std::fs::read(&path).unwrap_or_default();
        for (what, secret) in [
            ("code", code.as_str()),
            ("access token", access.as_str()),
            ("refresh token", refresh.as_str()),
            ("child", child.as_str()),
            ("session", session.as_str()),
            ("client's secret", secret.as_str()),
            ("password", person.password()),
        ] {
            let found = bytes.windows(secret.len()).any(|it| it == secret.as_bytes());
            assert!(!found, "the {what} stands in {}", path.display());
        }
    }
    // RFC 9700 §4.3.1, OAuth 2.1 §5.1: no token in an address.
    let url = format!("{}/oauth/userinfo?access_token={access}", gate.control());
    assert_eq!(get(&url, &[]).status, 401);
    let path = format!("/orders/1?access_token={access}");
    assert!((400..500).contains(&gate.get(&path, &[]).status));
}
