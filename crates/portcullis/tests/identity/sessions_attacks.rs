//! Attacks on browsers at the gate: what other sites, other browsers, other hosts and upstreams try.

use crate::setup::*;
use crate::visitor::{COOKIE, HOST, Stage, Visitor};
use access::schemes::session::Session;
use testkit::{Node, RawClient, Upstream, parameter, request, wait};

/// A page of the gate's that refuses.
fn page_of(response: &testkit::Response) -> (u16, bool) {
    let html = response.header("content-type").is_some_and(|it| it.starts_with("text/html"));
    (response.status, html)
}

#[test]
fn attack_csrf_other_sites_change_nothing() {
    let stage = Stage::start();
    let mut ada = Visitor::new(&stage, "Ada");
    assert_eq!(ada.sign_in("/app/x").status, 200);
    let (own, count) = (ada.origin(), stage.up.count());
    let neighbour = own.replace("http://127.0.0.1", "http://localhost");
    let cases: [&[(&str, &str)]; 12] = [
        &[],
        &[("sec-fetch-site", "cross-site"), ("origin", "https://evil.example")],
        &[("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "navigate")],
        &[("sec-fetch-site", "same-site"), ("origin", &neighbour)],
        &[("sec-fetch-site", "none")],
        &[("sec-fetch-site", "same-origin"), ("origin", "https://evil.example")],
        &[("sec-fetch-site", "same-origin"), ("origin", "null")],
        &[("sec-fetch-site", "same-origin"), ("origin", &own), ("origin", &own)],
        &[("sec-fetch-site", "same-origin"), ("sec-fetch-site", "cross-site")],
        &[("origin", "null")],
        &[("origin", "https://evil.example")],
        &[("referer", &own)],
    ];
    for method in ["POST", "PUT", "PATCH", "DELETE", "PROPFIND"] {
        for headers in cases {
            let told = ada.send(method, "/app/x", headers);
            assert_eq!(said(&told), refused(403, "session.cross_site"), "{method} {headers:?}");
        }
    }
    // A WebSocket is a GET that does whatever the upstream takes.
    let cookie = format!("{COOKIE}={}", ada.session());
    let upgrade = |site: &str, origin: &str| {
        let mut client = RawClient::connect(&stage.gate.address());
        let address = stage.gate.address();
        client.exchange(format!(
            "GET /app/ws HTTP/1.1\r\nHost: {address}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
             Sec-Fetch-Mode: websocket\r\nSec-Fetch-Site: {site}\r\nOrigin: {origin}\r\nCookie: {cookie}\r\n\r\n"
        ))
    };
    for (site, origin) in [("cross-site", "https://evil.example"), ("same-site", &*neighbour)] {
        assert_eq!(said(&upgrade(site, origin)), refused(403, "session.cross_site"));
    }
    assert_eq!(stage.up.count(), count);
    assert_ne!(upgrade("same-origin", &own).status, 403);
    assert_eq!(ada.send("POST", "/app/x", &[("origin", &own)]).status, 200);
    // Reading changes nothing, and its answer is nobody's but the page's.
    assert_eq!(ada.send("GET", "/app/x", &[("sec-fetch-site", "cross-site")]).status, 200);
    // Signing somebody out is a change too.
    for headers in cases {
        let told = ada.send("POST", "/.portcullis/sign-out", headers);
        assert_eq!(page_of(&told), (403, true), "{headers:?}");
    }
    assert_eq!(ada.fetch("GET", "/app/x").status, 200);
}

#[test]
fn attack_websocket_of_a_page_of_ours_passes() {
    let server = Node::start("websocket.mjs", &["serve"]);
    let rest = format!("[[upstream]]\nname = \"up\"\nservers = [\"{}\"]\n", server.url())
        + &route("app", "/app/{**}", "access = { session = {} }");
    let gate = testkit::Gate::start(&rest);
    let up = Upstream::ok();
    let mut ada = Visitor::of(&gate, "Ada");
    // The upstream answers pages with 426; what counts is that the session is there.
    let way = ada.leave("/app/room");
    let back = ada.at_authority(&way);
    ada.come_back(&back);
    let shake = |site: &str, cookie: &str| {
        let mut client = RawClient::connect(&gate.address());
        let address = gate.address();
        client.send(format!(
            "GET /app/room HTTP/1.1\r\nHost: {address}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
             Sec-Fetch-Site: {site}\r\nOrigin: http://{address}\r\nCookie: {cookie}\r\n\r\n"
        ));
        let status = client.response_head().status;
        (client, status)
    };
    let cookie = format!("{COOKIE}={}", ada.session());
    assert_eq!(shake("cross-site", &cookie).1, 403);
    assert_eq!(shake("same-origin", "").1, 401);
    let (mut open, status) = shake("same-origin", &cookie);
    assert_eq!(status, 101);
    // It ends with the session.
    assert_eq!(ada.fetch("POST", "/.portcullis/sign-out").status, 303);
    assert!(open.is_closed(second()), "the WebSocket goes on");
    drop(up);
}

#[test]
fn attack_cookies_that_were_not_given() {
    let stage = Stage::start();
    let mut ada = Visitor::new(&stage, "Ada");
    assert_eq!(ada.sign_in("/app/x").status, 200);
    let good = ada.session();
    let with = |cookie: &str| {
        let told = stage.gate.get("/app/x", &[("cookie", cookie)]);
        said(&told)
    };
    assert_eq!(with(&format!("{COOKIE}={good}")), passed());
    let session = stage.opened(&good);
    let elsewhere = |host: &str| stage.sealed(&session, host);
    let other = if good.as_bytes()[40] == b'A' { 'B' } else { 'A' };
    let flipped = format!("{}{other}{}", &good[..40], &good[41..]);
    let none = [
        format!("{COOKIE}={flipped}"),
        format!("{COOKIE}={}", &good[..good.len() - 1]),
        format!("{COOKIE}={good}A"),
        format!("{COOKIE}="),
        COOKIE.to_owned(),
        format!("{COOKIE}=\"{good}\""),
        format!("{COOKIE} ={good}"),
        format!("{}={good}", COOKIE.to_uppercase()),
        // Over TLS it has another name, which here is nobody's.
        format!("__Host-{COOKIE}={good}"),
        format!("portcullis_session={good}"),
        // Two of a name: one was planted.
        format!("{COOKIE}={good}; {COOKIE}={good}"),
        format!("{COOKIE}={good}; {COOKIE}=x"),
        // Another host's.
        format!("{COOKIE}={}", elsewhere("localhost")),
        format!("{COOKIE}={}", elsewhere("127.0.0.2")),
        format!("{COOKIE}={}", "A".repeat(4_000)),
        format!("{COOKIE}={}", "A".repeat(7_000)),
    ];
    for cookie in none {
        assert_eq!(with(&cookie), refused(401, "credential.missing"), "{cookie:.60}");
    }
    // In two header lines it stands twice as well.
    let pair = format!("{COOKIE}={good}");
    let told = stage.gate.get("/app/x", &[("cookie", &pair), ("cookie", &pair)]);
    assert_eq!(said(&told), refused(401, "credential.missing"));
    // As a token it is nothing.
    assert_eq!(said(&get(&stage.gate, "/token/x", &good)).0, 401);
    let renewal = session.renewal.0.expose().clone();
    assert_eq!(said(&get(&stage.gate, "/token/x", &renewal)).0, 401);
}

#[test]
fn attack_the_upstream_sets_or_sees_no_cookie_of_ours() {
    let stage = Stage::start();
    let mut ada = Visitor::new(&stage, "Ada");
    assert_eq!(ada.sign_in("/app/x").status, 200);
    let before = ada.session();
    let page = ada.fetch("GET", "/app/planted");
    assert_eq!((page.status, page.values("set-cookie")), (200, vec!["theirs=1; Path=/"]));
    assert_eq!(ada.session(), before);
    let all = format!(
        "{COOKIE}={before}; a=1; portcullis-visit-abcdefabcdef=x;portcullis_session=y; \
         __Host-portcullis-session=z; =portcullis-session=w; b=2"
    );
    assert_eq!(stage.gate.get("/app/x", &[("cookie", &all)]).status, 200);
    assert_eq!(stage.up.last().header("cookie").as_deref(), Some("a=1; b=2"));
}

#[test]
fn attack_login_csrf_an_answer_is_of_use_in_its_own_browser_alone() {
    let stage = Stage::start();
    let (mut mallory, mut ada) = (Visitor::new(&stage, "Mallory"), Visitor::new(&stage, "Ada"));
    let way = mallory.leave("/app/x");
    let planted = mallory.at_authority(&way);
    // Ada is made to open Mallory's answer: without a visit, and with one of her own.
    for _ in 0..2 {
        let told = ada.visit(&planted);
        assert_eq!(page_of(&told), (400, true), "{}", told.text());
        assert!(!ada.cookies.contains_key(COOKIE));
        ada.leave("/app/x");
    }
    // With her state and his code, or his state and her cookie.
    let hers = ada.leave("/app/y");
    let (state, code) = (parameter(&hers, "state"), parameter(&planted, "code"));
    let mixed = format!(
        "/.portcullis/callback?iss={}&state={}&code={}",
        testkit::escape(&stage.gate.control()),
        state.expect("a state"),
        code.expect("a code")
    );
    let told = ada.visit(&mixed);
    assert_eq!(page_of(&told), (403, true), "{}", told.text());
    assert!(!ada.cookies.contains_key(COOKIE));
    // Nothing of this was of use to anybody, and nobody is shut out.
    assert_eq!(ada.sign_in("/app/x").status, 200);
    assert_eq!(stage.up.last().header("portcullis-subject").as_deref(), Some(ada.person.id()));
    assert_eq!(mallory.sign_in("/app/x").status, 200);
}

#[test]
fn attack_an_answer_that_comes_again() {
    let stage = Stage::start();
    let mut ada = Visitor::new(&stage, "Ada");
    let way = ada.leave("/app/x");
    let before = ada.cookies.clone();
    let back = ada.at_authority(&way);
    assert_eq!(ada.come_back(&back).status, 200);
    // By the same browser: its visit is over, and the session goes on.
    assert_eq!(page_of(&ada.visit(&back)), (400, true));
    assert_eq!(ada.fetch("GET", "/app/x").status, 200);
    // By who has kept the cookie of the visit: the code was used, which ends what came of it (RFC 6749 §4.1.2).
    let pairs: Vec<String> = before.iter().map(|(k, v)| format!("{k}={v}")).collect();
    let told = request("GET", &back, &[("cookie", &pairs.join("; "))], b"");
    assert_eq!(page_of(&told), (403, true), "{}", told.text());
    assert_eq!(told.values("set-cookie").iter().filter(|it| it.starts_with(COOKIE)).count(), 0);
    wait::until(second(), "the end of the session", || {
        said(&ada.fetch("GET", "/app/x")) == refused(401, "credential.missing")
    });
}

#[test]
fn attack_answers_that_nobody_gave() {
    let stage = Stage::start();
    let mut ada = Visitor::new(&stage, "Ada");
    let way = ada.leave("/app/x");
    let state = parameter(&way, "state").expect("a state");
    let issuer = testkit::escape(&stage.gate.control());
    let good = format!("iss={issuer}&state={state}");
    let cases = [
        (400, String::new()),
        (400, format!("state={state}&code=x")),
        (400, format!("iss=https://evil.example&state={state}&code=x")),
        (400, format!("iss={issuer}&code=x")),
        (400, format!("{good}&code=x&code=y")),
        (400, format!("{good}&state={state}&code=x")),
        (400, good.clone()),
        (400, format!("{good}&code=x&error=y")),
        (400, format!("iss={issuer}&state={}&code=x", "A".repeat(43))),
        (400, format!("iss={issuer}&state=%00%0d%0a&code=x")),
        (400, format!("{good}&code=%00")),
    ];
    for (status, query) in cases {
        let told = ada.visit(&format!("/.portcullis/callback?{query}"));
        assert_eq!(page_of(&told), (status, true), "{query}");
        assert!(!ada.cookies.contains_key(COOKIE));
        assert!(!told.text().contains("evil"), "{}", told.text());
    }
    // What the authority never gave is its to refuse; so is what it refused itself. Each ends the visit.
    for answer in ["code=pcc_nonsense", "error=access_denied", "error=%3Cscript%3E"] {
        let way = ada.leave("/app/x");
        let state = parameter(&way, "state").expect("a state");
        let path = format!("/.portcullis/callback?iss={issuer}&state={state}&{answer}");
        let told = ada.visit(&path);
        assert_eq!(page_of(&told), (403, true), "{answer}: {}", told.text());
        assert!(!told.text().contains("script"), "{}", told.text());
        assert!(told.header("content-security-policy").is_some_and(|it| it.contains("'none'")));
        assert_eq!(page_of(&ada.visit(&path)), (400, true), "{answer}");
    }
    for path in ["/.portcullis/", "/.portcullis/x", "/.portcullis/callback/x"] {
        assert_eq!(ada.visit(path).status, 404, "{path}");
    }
    assert_eq!(ada.send("POST", "/.portcullis/callback", &[]).status, 405);
    assert_eq!(stage.up.count(), 0);
}

#[test]
fn attack_open_redirect() {
    let stage = Stage::start();
    let mut ada = Visitor::new(&stage, "Ada");
    // What is no path of this host is refused before anybody is sent anywhere.
    for path in
        ["//evil.example/app", "/app//evil.example", "/\\evil.example", "/app/..//evil.example"]
    {
        ada.cookies.clear();
        assert_eq!(ada.visit(path).status, 400, "{path}");
    }
    // What stands in the query comes back as it was, and leads nowhere.
    for query in
        ["next=https://evil.example/", "//evil.example", "a=%0d%0alocation:%20x", "%2f%2fevil"]
    {
        ada.cookies.clear();
        let way = ada.leave(&format!("/app/x?{query}"));
        let back = ada.at_authority(&way);
        let returned = ada.visit(&back);
        assert_eq!(returned.header("location"), Some(&*format!("/app/x?{query}")), "{query}");
    }
    // A backslash in the query is not brought back: browsers read it as a slash.
    ada.cookies.clear();
    let way = ada.leave("/app/x?a=\\evil.example");
    let back = ada.at_authority(&way);
    assert_eq!(ada.visit(&back).header("location"), Some("/"));
    // The authority sends people nowhere but to the gate's own hosts.
    ada.cookies.clear();
    let way = ada.leave("/app/x");
    let own = testkit::escape(&format!("{}/.portcullis/callback", ada.origin()));
    for other in
        ["https://evil.example/.portcullis/callback", "http://127.0.0.1/.portcullis/callback"]
    {
        let url = way.replace(&own, &testkit::escape(other));
        assert_ne!(url, way);
        let told = request("GET", &url, &[], b"");
        assert_eq!((told.status, told.header("location")), (400, None), "{other}");
    }
}

#[test]
fn attack_many_visits_do_not_fill_the_jar() {
    let stage = Stage::start();
    let mut ada = Visitor::new(&stage, "Ada");
    // Two tabs at once, each to its own place.
    let (one, two) = (ada.leave("/app/one"), ada.leave("/app/two"));
    let back = ada.at_authority(&two);
    assert_eq!(ada.come_back(&back).status, 200);
    assert_eq!(stage.up.last().target(), "/app/two");
    let back = ada.at_authority(&one);
    assert_eq!(ada.come_back(&back).status, 200);
    assert_eq!(stage.up.last().target(), "/app/one");
    // A page elsewhere makes the browser begin one visit after another.
    ada.cookies.clear();
    let long = format!("/app/x?{}", "a".repeat(1_900));
    for _ in 0..12 {
        ada.leave(&long);
        assert!(ada.cookies.len() <= 4, "{}", ada.cookies.len());
    }
    ada.cookies.insert("portcullis-visit-AAAAAAAAAAAA".to_owned(), "planted".to_owned());
    let way = ada.leave(&long);
    assert!(!ada.cookies.contains_key("portcullis-visit-AAAAAAAAAAAA"));
    let back = ada.at_authority(&way);
    assert_eq!(ada.come_back(&back).status, 200);
}

#[test]
fn attack_nobody_else_is_the_gate() {
    let stage = Stage::start();
    let mut ada = Visitor::new(&stage, "Ada");
    let way = ada.leave("/app/x");
    let back = ada.at_authority(&way);
    let code = parameter(&back, "code").expect("a code");
    let callback = format!("{}/.portcullis/callback", ada.origin());
    let token = stage.gate.control() + "/oauth/token";
    let form = ("content-type", "application/x-www-form-urlencoded");
    let basic = ("authorization", "Basic cG9ydGN1bGxpcy1nYXRlOg==");
    let bodies = [
        vec![("grant_type", "authorization_code"), ("code", &*code), ("redirect_uri", &*callback)],
        vec![("grant_type", "refresh_token"), ("refresh_token", "pcr_x")],
        vec![("grant_type", "client_credentials")],
    ];
    for mut body in bodies {
        body.push(("client_id", "portcullis-gate"));
        let text = testkit::encode(&body);
        for headers in [&[form][..], &[form, basic]] {
            let told = request("POST", &token, headers, text.as_bytes());
            assert!(matches!(told.status, 400 | 401), "{}", told.text());
            let error = told.json()["error"].as_str().expect("an error").to_owned();
            assert!(["invalid_client", "invalid_request"].contains(&&*error), "{error}");
        }
    }
    // The code is still good for the gate, and its refresh token for nobody else.
    assert_eq!(ada.come_back(&back).status, 200);
    let renewal = stage.opened(&ada.session()).renewal.0.expose().clone();
    let made = stage.gate.done(&[
        "client",
        "create",
        "--name",
        "other",
        "--public",
        "--redirect-uri",
        "https://other.example/cb",
    ]);
    let text = |name: &str| made[name].as_str().expect("a text").to_owned();
    let body = testkit::encode(&[
        ("grant_type", "refresh_token"),
        ("refresh_token", &renewal),
        ("client_id", &text("client_id")),
    ]);
    let told = request("POST", &token, &[form], body.as_bytes());
    assert_eq!(told.json()["error"], "invalid_grant", "{}", told.text());
    assert_eq!(ada.fetch("GET", "/app/x").status, 200);
}

#[test]
fn attack_a_session_of_another_time_is_no_better() {
    let stage = Stage::start();
    let mut ada = Visitor::new(&stage, "Ada");
    assert_eq!(ada.sign_in("/app/x").status, 200);
    let session = stage.opened(&ada.session());
    let old = ada.session();
    // Signing out and in again: the old cookie stays dead.
    assert_eq!(ada.fetch("POST", "/.portcullis/sign-out").status, 303);
    assert_eq!(ada.sign_in("/app/x").status, 200);
    assert_ne!(stage.opened(&ada.session()).id, session.id);
    let cookie = format!("{COOKIE}={old}");
    let told = stage.gate.get("/app/x", &[("cookie", &cookie)]);
    assert_eq!(said(&told), refused(401, "credential.missing"));
    // From the future, by more than clocks differ.
    let ahead = base::UnixMs(session.vouched_at.0 + 120_000);
    let future = stage.sealed(&Session { vouched_at: ahead, ..session }, HOST);
    let told = stage.gate.get("/app/x", &[("cookie", &format!("{COOKIE}={future}"))]);
    assert_eq!(said(&told), refused(401, "credential.missing"));
}
