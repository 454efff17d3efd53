//! Browsers at the gate: sent to sign in, back where they were, kept, renewed, refused and signed out.

use crate::setup::*;
use crate::visitor::{COOKIE, HOST, Stage, Visitor};
use access::schemes::session::Session;
use base::{Clock, SystemClock, UnixMs};
use testkit::{RawClient, Response, parameter, request};

/// Milliseconds since 1970, some minutes ago.
fn ago(minutes: i64) -> UnixMs {
    UnixMs(SystemClock::new().now().0 - minutes * 60_000)
}

/// The session of a browser as it would be at another time.
fn changed(stage: &Stage, visitor: &mut Visitor, change: impl FnOnce(&mut Session)) {
    let mut session = stage.opened(&visitor.session());
    change(&mut session);
    visitor.cookies.insert(COOKIE.to_owned(), stage.sealed(&session, HOST));
}

/// What a refusal says of itself in the record.
fn explained(stage: &Stage, response: &Response) -> serde_json::Value {
    let id = response.header("x-request-id").expect("an id").to_owned();
    stage.gate.done(&["explain", &id])
}

#[test]
fn a_browser_is_sent_to_sign_in_and_comes_back_where_it_was() {
    let stage = Stage::start();
    let mut ada = Visitor::new(&stage, "Ada");
    let way = ada.leave("/app/a%20page?x=1&y=%2F");
    assert!(way.starts_with(&format!("{}/oauth/authorize?", stage.gate.control())), "{way}");
    let parameters = [
        ("response_type", "code"),
        ("client_id", "portcullis-gate"),
        ("scope", "openid"),
        ("code_challenge_method", "S256"),
        ("max_age", "43200"),
    ];
    for (name, value) in parameters {
        assert_eq!(parameter(&way, name).as_deref(), Some(value), "{way}");
    }
    assert_eq!((parameter(&way, "prompt"), parameter(&way, "acr_values")), (None, None));
    assert_eq!(stage.up.count(), 0);
    let back = ada.at_authority(&way);
    assert!(back.starts_with(&(ada.origin() + "/.portcullis/callback?")), "{back}");
    let returned = ada.visit(&back);
    assert_eq!(returned.status, 303, "{}", returned.text());
    assert_eq!(returned.header("location"), Some("/app/a%20page?x=1&y=%2F"));
    assert_eq!(returned.header("cache-control"), Some("no-store"));
    assert_eq!(ada.cookies.keys().map(String::as_str).collect::<Vec<_>>(), [COOKIE]);
    let set = returned.values("set-cookie");
    let set = set.iter().find(|it| it.starts_with("portcullis-session=")).expect("a session");
    assert!(set.ends_with("; Path=/; HttpOnly; SameSite=Lax"), "{set}");
    let page = ada.visit("/app/a%20page?x=1&y=%2F");
    assert_eq!((page.status, page.text().as_str()), (200, "ok"));
    assert_eq!(page.header("set-cookie"), None);
    // The upstream is told who it is, and never sees the cookie.
    ada.cookies.insert("theirs".to_owned(), "1".to_owned());
    ada.visit("/app/a%20page?x=1&y=%2F");
    let seen = stage.up.last();
    assert_eq!(seen.target(), "/app/a%20page?x=1&y=%2F");
    assert_eq!(seen.header("portcullis-subject").as_deref(), Some(ada.person.id()));
    assert_eq!(seen.header("portcullis-client").as_deref(), Some("portcullis-gate"));
    assert_eq!(seen.header("cookie").as_deref(), Some("theirs=1"));
    // Nobody was asked for consent.
    assert_eq!(ada.person.saw(), ["Sign in"]);
    // Its scripts pass by the same cookie.
    for method in ["GET", "POST", "PUT", "DELETE"] {
        assert_eq!(ada.fetch(method, "/app/data").status, 200, "{method}");
    }
}

#[test]
fn programs_and_scripts_are_told_and_never_sent() {
    let stage = Stage::start();
    let url = stage.gate.url() + "/app/x";
    let navigates = ("sec-fetch-mode", "navigate");
    let html = ("accept", "text/html,application/xhtml+xml");
    let sent = |method: &str, headers: &[(&str, &str)]| request(method, &url, headers, b"");
    let cases: [(&str, &[(&str, &str)]); 12] = [
        ("GET", &[]),
        ("GET", &[("accept", "*/*")]),
        ("GET", &[("accept", "application/json")]),
        ("GET", &[("sec-fetch-mode", "cors"), html]),
        ("GET", &[("sec-fetch-mode", "no-cors"), html]),
        ("GET", &[("sec-fetch-mode", "websocket"), html]),
        ("GET", &[navigates, navigates, html]),
        ("GET", &[navigates, ("connection", "upgrade"), ("upgrade", "websocket")]),
        ("POST", &[navigates, html]),
        ("PUT", &[navigates, html]),
        ("DELETE", &[navigates, html]),
        ("OPTIONS", &[navigates, html]),
    ];
    for (method, headers) in cases {
        let told = sent(method, headers);
        assert_eq!(said(&told), refused(401, "credential.missing"), "{method} {headers:?}");
        assert_eq!((told.header("location"), told.header("set-cookie")), (None, None));
        assert!(told.header("www-authenticate").is_some(), "{method} {headers:?}");
    }
    for (method, headers) in [("GET", [navigates]), ("HEAD", [navigates]), ("GET", [html])] {
        assert_eq!(sent(method, &headers).status, 303, "{method} {headers:?}");
    }
    // Who comes with another credential is told what is wrong with that.
    let wrong = sent("GET", &[navigates, ("authorization", "Bearer nonsense")]);
    assert_eq!(said(&wrong), refused(401, "credential.wrong_kind"));
    // Where no session is taken, nobody is sent.
    let key = request("GET", &(stage.gate.url() + "/key/x"), &[navigates, html], b"");
    assert_eq!(said(&key), refused(401, "credential.missing"));
    assert_eq!(stage.up.count(), 0);
}

#[test]
fn the_record_says_who_was_sent_who_came_back_and_who_left() {
    let stage = Stage::start();
    let mut ada = Visitor::new(&stage, "Ada");
    let sent = ada.visit("/app/x");
    let told = explained(&stage, &sent);
    assert_eq!((&told["code"], &told["outcome"]), (&"credential.missing".into(), &"deny".into()));
    assert!(told.to_string().contains("the browser was sent to sign in"), "{told}");
    let way = sent.header("location").expect("a way").to_owned();
    let back = ada.at_authority(&way);
    let returned = ada.visit(&back);
    let told = explained(&stage, &returned);
    assert_eq!((&told["code"], &told["outcome"]), (&"ok".into(), &"allow".into()), "{told}");
    assert_eq!(ada.visit("/app/x").status, 200);
    assert_eq!(ada.fetch("POST", "/.portcullis/sign-out").status, 303);
    let sql = "SELECT code, scheme, principal, client_id FROM events \
               WHERE code IN ('session.begun', 'session.ended') ORDER BY time";
    let rows = stage.gate.done(&["audit", "query", sql]);
    for (at, code) in ["session.begun", "session.ended"].into_iter().enumerate() {
        let row = &rows[at];
        assert_eq!(row["code"], code, "{rows}");
        assert_eq!(
            (&row["scheme"], &row["client_id"]),
            (&"session".into(), &"portcullis-gate".into())
        );
        assert_eq!(row["principal"], ada.person.id(), "{rows}");
    }
    let sql = "SELECT scheme FROM events WHERE path = '/app/x' AND outcome = 'allow'";
    let rows = stage.gate.done(&["audit", "query", sql]);
    assert_eq!(rows[0]["scheme"], "session", "{rows}");
    // Codes and cookies stand nowhere.
    let code = parameter(&back, "code").expect("a code");
    for file in files(&stage.gate.data().join("ledger")) {
        let bytes = std::fs::read(&file).expect("a file");
        let holds = |text: &str| bytes.windows(text.len()).any(|it| it == text.as_bytes());
        assert!(!holds(&code) && !holds("pcr_"), "{}", file.display());
    }
    assert!(!stage.gate.log().contains(&code));
}

#[test]
fn groups_are_judged_and_a_change_is_noticed() {
    let stage = Stage::start();
    let mut ada = Visitor::new(&stage, "Ada");
    let lacking = ada.sign_in("/ops/x");
    assert_eq!(said(&lacking), refused(403, "group.missing"));
    assert_eq!(stage.up.count(), 0);
    let text = explained(&stage, &lacking).to_string();
    assert!(text.contains("none of the groups admins, ops"), "{text}");
    assert!(!lacking.text().contains("admins"), "{}", lacking.text());
    // In a group: what was known before is dead at once, and signing in anew shows it.
    let id = ada.person.id().to_owned();
    stage.gate.done(&["user", "roles", &id, "--role", "ops", "--role", "unasked"]);
    assert_eq!(said(&ada.fetch("GET", "/ops/x")), refused(401, "credential.missing"));
    assert_eq!(ada.sign_in("/ops/x").status, 200);
    // The cookie remembers what some rule asks for, and nothing else.
    let groups = stage.opened(&ada.session()).groups;
    assert_eq!(groups, [Box::from("ops")]);
    assert_eq!(ada.fetch("POST", "/ops/x").status, 200);
    // Out of it again.
    stage.gate.done(&["user", "roles", &id, "--role", "unasked"]);
    assert_eq!(said(&ada.fetch("GET", "/ops/x")), refused(401, "credential.missing"));
    assert_eq!(said(&ada.sign_in("/ops/x")), refused(403, "group.missing"));
}

#[test]
fn what_is_older_than_five_minutes_is_asked_for_again() {
    let stage = Stage::start();
    let mut ada = Visitor::new(&stage, "Ada");
    assert_eq!(ada.sign_in("/app/x").status, 200);
    let before = stage.opened(&ada.session());
    changed(&stage, &mut ada, |it| {
        it.vouched_at = ago(6);
        // What a cookie says of groups is not believed beyond its time either.
        it.groups = vec!["ops".into()];
    });
    // Whatever the answer is, the browser gets the new session, and no cache in between keeps it.
    let stale = ada.session();
    let refusal = ada.fetch("GET", "/ops/x");
    assert_eq!(said(&refusal), refused(403, "group.missing"));
    assert_ne!(ada.session(), stale);
    let after = stage.opened(&ada.session());
    assert!(after.vouched_at > ago(1) && after.groups.is_empty(), "{after:?}");
    assert_eq!(
        (&after.id, &after.grant, after.began_at),
        (&before.id, &before.grant, before.began_at)
    );
    changed(&stage, &mut ada, |it| it.vouched_at = ago(6));
    let page = ada.fetch("GET", "/app/planted");
    assert_eq!((page.status, page.header("cache-control")), (200, Some("no-store")));
    assert_eq!(page.header("cdn-cache-control"), None);
    assert_eq!(page.values("set-cookie").len(), 2, "{:?}", page.values("set-cookie"));
    // A burst of a page that wakes up: all pass, and each gets a session that is good.
    let stale = stage.sealed(&Session { vouched_at: ago(6), ..before }, HOST);
    let url = stage.gate.url() + "/app/data";
    let answers: Vec<Response> = std::thread::scope(|scope| {
        let ask = || {
            let cookie = format!("{COOKIE}={stale}");
            request("GET", &url, &[("cookie", &cookie)], b"")
        };
        let all: Vec<_> = (0..24).map(|_| scope.spawn(ask)).collect();
        all.into_iter().map(|it| it.join().expect("an answer")).collect()
    });
    for answer in answers {
        assert_eq!(answer.status, 200, "{}", answer.text());
        let set = answer.header("set-cookie").expect("a session").to_owned();
        let value = set.split([';', '=']).nth(1).expect("a value");
        assert!(stage.opened(value).vouched_at > ago(1));
    }
    // Once used, always good: an answer that never reached the browser costs nothing.
    let cookie = format!("{COOKIE}={stale}");
    assert_eq!(stage.gate.get("/app/data", &[("cookie", &cookie)]).status, 200);
}

#[test]
fn a_session_ends_by_idle_and_by_absolute_time() {
    let stage = Stage::start();
    let mut ada = Visitor::new(&stage, "Ada");
    assert_eq!(ada.sign_in("/app/x").status, 200);
    let fresh = ada.session();
    let over = |visitor: &mut Visitor, path: &str| {
        assert_eq!(said(&visitor.fetch("GET", path)), refused(401, "credential.missing"));
        let way = visitor.leave(path);
        parameter(&way, "prompt")
    };
    // Idle: whoever comes back must sign in again, though the authority knows them still.
    changed(&stage, &mut ada, |it| it.vouched_at = ago(31));
    assert_eq!(over(&mut ada, "/app/x").as_deref(), Some("login"));
    // Absolute: from the sign-in, and asked for as its age.
    ada.cookies.insert(COOKIE.to_owned(), fresh.clone());
    changed(&stage, &mut ada, |it| it.began_at = ago(12 * 60));
    assert_eq!(over(&mut ada, "/app/x"), None);
    // Each route by its own limits.
    ada.cookies.insert(COOKIE.to_owned(), fresh);
    changed(&stage, &mut ada, |it| it.began_at = ago(11));
    assert_eq!(ada.fetch("GET", "/app/x").status, 200);
    assert_eq!(over(&mut ada, "/brief/x"), None);
    let way = ada.leave("/brief/x");
    assert_eq!(parameter(&way, "max_age").as_deref(), Some("600"));
    changed(&stage, &mut ada, |it| (it.began_at, it.vouched_at) = (ago(9), ago(7)));
    assert_eq!(over(&mut ada, "/brief/x").as_deref(), Some("login"));
    ada.person.saw();
    let way = ada.leave("/brief/x");
    let back = ada.at_authority(&way);
    assert_eq!(ada.person.saw(), ["Sign in"]);
    assert_eq!(ada.come_back(&back).status, 200);
}

/// What ends somebody's sign-in.
type End<'a> = dyn Fn(&mut Visitor) + 'a;

#[test]
fn a_session_ends_with_the_sign_in_that_it_rests_on() {
    let stage = Stage::start();
    let ends: [(&str, &End<'_>); 4] = [
        ("signed out there", &|it| {
            let url = stage.gate.control() + "/oauth/logout";
            let _ = it.person.go(&url);
        }),
        ("ended by an administrator", &|it| {
            stage.gate.done(&["user", "end-sessions", it.person.id()]);
        }),
        ("closed", &|it| {
            stage.gate.done(&["user", "disable", it.person.id()]);
        }),
        ("blocked", &|it| {
            stage.gate.done(&["block", "subject", it.person.id()]);
        }),
    ];
    for (what, end) in ends {
        let mut ada = Visitor::new(&stage, "Ada");
        assert_eq!(ada.sign_in("/app/x").status, 200, "{what}");
        let cookie = format!("{COOKIE}={}", ada.session());
        let mut stream = RawClient::connect(&stage.gate.address());
        stream
            .send(format!("GET /app/events HTTP/1.1\r\nHost: {HOST}\r\nCookie: {cookie}\r\n\r\n"));
        assert_eq!(stream.response_head().status, 200, "{what}");
        assert!(!stream.read_some().expect("an event").is_empty());
        end(&mut ada);
        assert!(stream.is_closed(second()), "{what}: the stream goes on");
        let code = if what == "blocked" { "token.revoked" } else { "credential.missing" };
        for _ in 0..8 {
            assert_eq!(said(&ada.fetch("GET", "/app/x")), refused(401, code), "{what}");
            assert_eq!(said(&ada.fetch("POST", "/app/x")), refused(401, code), "{what}");
        }
        // The authority does not renew it either.
        changed(&stage, &mut ada, |it| it.vouched_at = ago(6));
        let told = said(&ada.fetch("GET", "/app/x"));
        assert_eq!(told, refused(401, code), "{what}");
    }
}

#[test]
fn signing_out_ends_it_here_and_there() {
    let stage = Stage::start();
    let mut ada = Visitor::new(&stage, "Ada");
    assert_eq!(ada.sign_in("/app/x").status, 200);
    let cookie = format!("{COOKIE}={}", ada.session());
    // The page asks, and a link alone does nothing.
    let page = ada.visit("/.portcullis/sign-out");
    assert_eq!(page.status, 200);
    assert!(page.text().contains("<form method=\"post\" action=\"/.portcullis/sign-out\">"));
    assert_eq!(ada.fetch("GET", "/app/x").status, 200);
    let mut stream = RawClient::connect(&stage.gate.address());
    stream.send(format!("GET /app/events HTTP/1.1\r\nHost: {HOST}\r\nCookie: {cookie}\r\n\r\n"));
    assert_eq!(stream.response_head().status, 200);
    let out = ada.fetch("POST", "/.portcullis/sign-out");
    assert_eq!((out.status, out.header("location")), (303, Some("/.portcullis/sign-out")));
    assert!(ada.cookies.is_empty(), "{:?}", ada.cookies);
    assert!(stream.is_closed(second()), "the stream goes on");
    assert!(ada.visit("/.portcullis/sign-out").text().contains("You are signed out"));
    // Who has kept the cookie has nothing.
    let kept = stage.gate.get("/app/x", &[("cookie", &cookie)]);
    assert_eq!(said(&kept), refused(401, "credential.missing"));
    // And who comes back signs in.
    ada.person.saw();
    assert_eq!(ada.sign_in("/app/x").status, 200);
    assert_eq!(ada.person.saw(), ["Sign in"]);
    // Twice is once.
    assert_eq!(ada.fetch("POST", "/.portcullis/sign-out").status, 303);
    assert_eq!(ada.fetch("POST", "/.portcullis/sign-out").status, 303);
}

#[test]
fn rfc9470_a_route_asks_a_browser_for_more() {
    let stage = Stage::start();
    let mut ada = Visitor::new(&stage, "Ada");
    // The first visit asks for it at once.
    let way = ada.leave("/strong/x");
    assert_eq!(parameter(&way, "acr_values").as_deref(), Some("aal2"));
    // So does one to a route that asks it of everybody.
    let way = ada.leave("/bound/x");
    assert_eq!(parameter(&way, "acr_values").as_deref(), Some("aal2"));
    assert_eq!(parameter(&way, "max_age").as_deref(), Some("28800"));
    assert_eq!(ada.sign_in("/app/x").status, 200);
    assert_eq!(said(&ada.fetch("GET", "/bound/x")), refused(401, "step_up.required"));
    // Signed in, and not strongly enough: a page is sent on, a script is told.
    let told = ada.fetch("GET", "/strong/x");
    assert_eq!(said(&told), refused(401, "step_up.required"));
    assert!(told.header("www-authenticate").expect("a challenge").contains("acr_values=\"aal2\""));
    assert_eq!(said(&ada.fetch("POST", "/strong/x")), refused(401, "step_up.required"));
    let way = ada.leave("/strong/x");
    assert_eq!(parameter(&way, "acr_values").as_deref(), Some("aal2"));
    // Freshness: the session goes on where it is not asked.
    assert_eq!(ada.fetch("GET", "/fresh/x").status, 200);
    changed(&stage, &mut ada, |it| it.authenticated_at = Some(ago(2)));
    assert_eq!(said(&ada.fetch("GET", "/fresh/x")), refused(401, "step_up.required"));
    assert_eq!(ada.fetch("GET", "/app/x").status, 200);
    let way = ada.leave("/fresh/x");
    assert_eq!(parameter(&way, "max_age").as_deref(), Some("60"));
    let back = ada.at_authority(&way);
    assert_eq!(ada.come_back(&back).status, 200);
}

#[test]
fn a_key_beside_a_session_is_judged_as_a_key() {
    let stage = Stage::start();
    let (_, key) = key(&stage.gate, "k", "read");
    let mut ada = Visitor::new(&stage, "Ada");
    assert_eq!(ada.sign_in("/both/x").status, 200);
    let bearer = format!("Bearer {key}");
    let elsewhere = [("authorization", bearer.as_str()), ("sec-fetch-site", "cross-site")];
    // The cookie cannot carry it, the key does.
    assert_eq!(ada.send("POST", "/both/x", &elsewhere).status, 200);
    let seen = stage.up.last();
    assert_eq!((seen.header("cookie"), seen.header("authorization")), (None, None));
    assert_ne!(seen.header("portcullis-subject").as_deref(), Some(ada.person.id()));
    let alone = ada.send("POST", "/both/x", &[("sec-fetch-site", "cross-site")]);
    assert_eq!(said(&alone), refused(403, "session.cross_site"));
    // An API key is never a session, and a session no key.
    assert_eq!(said(&get(&stage.gate, "/app/x", &key)), refused(401, "credential.wrong_kind"));
    assert_eq!(said(&ada.fetch("GET", "/key/x")), refused(401, "credential.missing"));
    // A bad credential is refused, whatever else comes with it.
    let bad = ada.send("GET", "/both/x", &[("authorization", "Bearer pcl_bad")]);
    assert_eq!(said(&bad), refused(401, "key.malformed"));
}

#[test]
fn the_gate_leads_to_the_name_that_it_goes_by() {
    let stage = Stage::start();
    let port = stage.gate.address().split(':').nth(1).expect("a port").to_owned();
    let ask =
        |host: &str| get_at(&stage.gate, host, "/app/x?y=1", &[("sec-fetch-mode", "navigate")]);
    for host in [format!("localhost:{port}"), "evil.example".to_owned()] {
        let sent = ask(&host);
        let to = format!("http://{HOST}:{port}/app/x?y=1");
        assert_eq!((sent.status, sent.header("location")), (303, Some(to.as_str())), "{host}");
        assert_eq!(sent.header("set-cookie"), None);
    }
    // A cookie at another name is none.
    let mut ada = Visitor::new(&stage, "Ada");
    assert_eq!(ada.sign_in("/app/x").status, 200);
    let cookie = format!("{COOKIE}={}", ada.session());
    let there = get_at(&stage.gate, &format!("localhost:{port}"), "/app/x", &[("cookie", &cookie)]);
    assert_eq!(said(&there), refused(401, "credential.missing"));
}
