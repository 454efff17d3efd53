//! Rules about what the authority may be made to ask, to keep or to tell: one test a rule.

use crate::rules_stage::*;
use base::{Clock as _, SystemClock};
use serde_json::json;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use testkit::{Algorithm, Gate, Key, Landing, Person, RawClient, Response, encode, get};

/// A port inside, of which every connection is counted.
struct Inside {
    address: SocketAddr,
    came: Arc<AtomicUsize>,
}

impl Inside {
    fn listen() -> Self {
        let listener = TcpListener::bind("0.0.0.0:0").expect("a free port");
        let address = listener.local_addr().expect("an address");
        let came = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&came);
        std::thread::spawn(move || {
            for _ in listener.incoming().map_while(Result::ok) {
                count.fetch_add(1, Ordering::SeqCst);
            }
        });
        Self { address, came }
    }

    /// Addresses that lead here, written in every way in which somebody may hide that.
    fn urls(&self) -> Vec<String> {
        let hosts = [
            "127.0.0.1",
            "localhost",
            "LOCALHOST",
            "localhost.",
            "a.localhost",
            "127.1",
            "2130706433",
            "0x7f000001",
            "0177.0.0.1",
            "0.0.0.0",
            "0",
            "[::1]",
            "[::]",
            "[::ffff:127.0.0.1]",
            "[::ffff:7f00:1]",
            "[64:ff9b::7f00:1]",
            "127.0.0.1.",
        ];
        let port = self.address.port();
        hosts.iter().map(|host| format!("https://{host}:{port}/x")).collect()
    }

    fn nobody_came(&self, what: &str) {
        assert_eq!(self.came.load(Ordering::SeqCst), 0, "{what}");
    }
}

fn post_json(gate: &Gate, path: &str, body: &serde_json::Value) -> Response {
    let json = [("content-type", "application/json")];
    testkit::request("POST", &(gate.control() + path), &json, body.to_string().as_bytes())
}

/// RFC 9700 §4.9 names the attack for `jwks_uri`.
#[test]
fn ssrf_through_the_jwks_uri_of_a_client() {
    let (gate, _up) = gate("");
    let inside = Inside::listen();
    let key = Key::generate(Algorithm::Es256, "k1");
    let mut asked = 0;
    for url in inside.urls() {
        let args = [
            "client",
            "create",
            "--name",
            "x",
            "--grant",
            "client_credentials",
            "--auth",
            "private_key_jwt",
            "--jwks-uri",
            &url,
        ];
        let made = gate.cli(&args);
        if made.code != 0 {
            continue;
        }
        asked += 1;
        let made = made.json();
        let claims = json!({"iss": made["client_id"], "sub": made["client_id"], "aud": gate.control(),
            "exp": now() + 60, "jti": "1"});
        let fields = encode(&[
            ("grant_type", "client_credentials"),
            ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
            ("client_assertion", &key.token(&claims)),
        ]);
        assert_eq!(
            error(&post_with(&gate, "/oauth/token", &[], &fields)),
            "invalid_client",
            "{url}"
        );
    }
    assert!(asked >= 8, "{asked}");
    inside.nobody_came("jwks_uri");
}

/// The draft of client ID metadata documents, §6.5.
#[test]
fn ssrf_through_the_url_of_a_metadata_document() {
    let (gate, _up) = gate("");
    let inside = Inside::listen();
    for url in inside.urls() {
        let app = App { id: url.clone(), secret: None };
        let answer = get(&request_url(&gate, &app, &[]), &[]);
        assert!((400..500).contains(&answer.status), "{url}: {}", answer.status);
        assert_eq!(answer.header("location"), None, "{url}");
        // Which addresses answer inside is not told.
        assert!(!answer.text().contains("refused") && !answer.text().contains("loopback"), "{url}");
        assert_eq!(
            error(&app.token(&gate, &[("grant_type", "authorization_code")])),
            "invalid_client"
        );
    }
    for scheme in ["http", "ftp", "file", "gopher", "unix"] {
        let app = App { id: format!("{scheme}://{}/x", inside.address), secret: None };
        assert_eq!(get(&request_url(&gate, &app, &[]), &[]).header("location"), None);
    }
    inside.nobody_came("a document");
}

/// RFC 7591 §5: what registers itself names addresses too.
#[test]
fn ssrf_through_dynamic_registration() {
    let (gate, _up) = gate("[authority]\nregistration = \"open\"\n");
    let inside = Inside::listen();
    let key = Key::generate(Algorithm::Es256, "k1");
    for (at, url) in inside.urls().into_iter().enumerate() {
        let names = ["sector_identifier_uri", "jwks_uri", "backchannel_logout_uri", "logo_uri"];
        let name = names[at % names.len()];
        let sector = ["sector_identifier_uri", name];
        for name in sector {
            let mut body = json!({
                "redirect_uris": [CALLBACK], "grant_types": ["authorization_code", "refresh_token"],
                "token_endpoint_auth_method": "client_secret_post", "subject_type": "pairwise",
            });
            body[name] = json!(url);
            if name == "jwks_uri" {
                body["token_endpoint_auth_method"] = json!("private_key_jwt");
            }
            let made = post_json(&gate, "/oauth/register", &body);
            assert!(matches!(made.status, 201 | 400 | 429 | 503), "{name} {url}: {}", made.text());
            if made.status != 201 || name != "jwks_uri" {
                continue;
            }
            let id = text(&made.json(), "client_id");
            let object = key.token(&json!({"iss": id, "aud": gate.control()}));
            let query = encode(&[("client_id", id.as_str()), ("request", &object)]);
            get(&format!("{}/oauth/authorize?{query}", gate.control()), &[]);
        }
    }
    inside.nobody_came("registration");
}

/// OpenID Connect Back-Channel Logout §2.5: the message goes to the client and not inside.
#[test]
fn ssrf_through_the_logout_uri_of_a_client() {
    let (gate, _up) = gate("");
    let inside = Inside::listen();
    let mut person = Person::new(&gate, "Ada");
    let urls = inside.urls();
    let mut apps = Vec::new();
    for url in urls.iter().take(6) {
        let made = gate.cli(&[
            "client",
            "create",
            "--name",
            "x",
            "--redirect-uri",
            CALLBACK,
            "--public",
            "--scope",
            "openid",
            "--backchannel-logout-uri",
            url,
        ]);
        if made.code == 0 {
            apps.push(App { id: text(&made.json(), "client_id"), secret: None });
        }
    }
    assert!(apps.len() >= 4, "{}", apps.len());
    for app in &apps {
        person.authorize(&request_url(&gate, app, &[("scope", "openid")]));
    }
    person.go(&(gate.control() + "/oauth/logout"));
    testkit::wait::pause(Duration::from_secs(4));
    inside.nobody_came("a logout");
}

/// OpenID Connect Core §6.2, RFC 9101 §10.4: nothing is fetched for a browser.
#[test]
fn ssrf_through_request_uri() {
    let (gate, _up) = gate("");
    let inside = Inside::listen();
    let app = shop(&gate, &["--public"]);
    for url in inside.urls() {
        let query = encode(&[("client_id", app.id.as_str()), ("request_uri", &url)]);
        let answer = get(&format!("{}/oauth/authorize?{query}", gate.control()), &[]);
        assert!((300..500).contains(&answer.status), "{url}: {}", answer.status);
        let fields = [("request_uri", url.as_str()), ("response_type", "code")];
        assert_eq!(error(&app.call(&gate, "/oauth/par", &fields)), "invalid_request", "{url}");
    }
    inside.nobody_came("request_uri");
}

/// RFC 9126 §2.2, §4: what was pushed is its client's, and is answered once.
#[test]
fn rfc9126_s4_a_pushed_request_is_its_clients_and_used_once() {
    let (gate, _up) = gate("");
    let (app, other) = (shop(&gate, &[]), shop(&gate, &["--public"]));
    let pushed = [
        ("response_type", "code"),
        ("redirect_uri", CALLBACK),
        ("scope", "openid"),
        ("code_challenge", CHALLENGE),
        ("code_challenge_method", "S256"),
        ("state", "s"),
    ];
    let wrong = changed(&pushed, &[("redirect_uri", "https://evil.example/")]);
    assert_eq!(error(&app.call(&gate, "/oauth/par", &wrong)), "invalid_request");
    assert_eq!(
        error(&app.call(&gate, "/oauth/par", &changed(&pushed, &[("code_challenge", "")]))),
        "invalid_request"
    );
    let made = app.call(&gate, "/oauth/par", &pushed);
    assert_eq!(made.status, 201, "{}", made.text());
    let uri = text(&made.json(), "request_uri");
    let url = |id: &str, more: &[(&str, &str)]| {
        let fields = [&[("client_id", id), ("request_uri", uri.as_str())], more].concat();
        format!("{}/oauth/authorize?{}", gate.control(), encode(&fields))
    };
    let answer = get(&url(&other.id, &[]), &[]);
    assert_eq!((answer.status, answer.header("location")), (400, None));
    // What stands beside it does not count.
    let mut person = Person::new(&gate, "Ada");
    let beside = [("redirect_uri", "https://evil.example/"), ("scope", "admin:write")];
    let back = person.authorize(&url(&app.id, &beside));
    assert!(back.starts_with(CALLBACK), "{back}");
    let Landing::Page(page) = person.browser().open(&url(&app.id, &[])) else {
        panic!("used twice")
    };
    assert_eq!(page.response.status, 400);
}

/// What strangers are told of an account: nothing, by words, status or time.
#[test]
fn nobody_learns_who_has_an_account() {
    let (gate, _up) = gate("");
    let person = Person::new(&gate, "Ada");
    let closed = Person::new(&gate, "Bob");
    gate.done(&["user", "disable", closed.id()]);
    gate.done(&["user", "create", "--email", "waiting@example.com"]);
    let clock = SystemClock::new();
    let ask = |email: &str, password: &str| {
        let mut browser = testkit::Browser::new(&gate.control());
        let Landing::Page(page) = browser.open(&(gate.control() + "/login")) else {
            panic!("elsewhere")
        };
        let form = page.form().expect("a form").with("email", email).with("password", password);
        let start = clock.monotonic();
        let answer = browser.once("POST", &(gate.control() + "/login"), &encode(&form.fields));
        (answer, clock.monotonic().since(start))
    };
    let alike = |answer: &Response, email: &str| {
        let mut text = answer.text().replace(email, "EMAIL");
        // What is random on each page.
        for fresh in ["name=\"csrf\" value=\"", "name=\"state\" value=\"", "challenge&#34;:&#34;"] {
            let parts: Vec<&str> = text.split(fresh).collect();
            assert!(parts.len() > 1, "{fresh} stands on the page");
            let rest = |part: &&str| part[part.find(['"', '&']).expect("an end")..].to_owned();
            let first = parts[0].to_owned();
            text = parts[1..].iter().fold(first, |text, part| text + fresh + &rest(part));
        }
        (answer.status, text)
    };
    let wrong = "a wrong password that is long";
    let (first, _) = ask(person.email(), wrong);
    let expect = alike(&first, person.email());
    for email in [closed.email(), "waiting@example.com", "nobody@example.com"] {
        let (answer, _) = ask(email, wrong);
        assert_eq!(alike(&answer, email), expect, "{email}");
    }
    // A closed account whose password is right looks like a wrong one.
    let (answer, _) = ask(closed.email(), closed.password());
    assert_eq!(alike(&answer, closed.email()), expect);
    // The shortest of a few is what hashing takes; a look-up alone would be far below it.
    let shortest = |email: &str| (0..3).map(|_| ask(email, wrong).1).min().expect("three");
    let (known, unknown) = (shortest(person.email()), shortest("nobody@example.com"));
    assert!(unknown * 3 > known, "{unknown:?} against {known:?}");
    assert!(known * 3 > unknown, "{unknown:?} against {known:?}");
}

/// Guesses are slowed, and no header makes them another's.
#[test]
fn guesses_are_slowed_whatever_headers_say() {
    let (gate, _up) = gate("");
    let person = Person::new(&gate, "Ada");
    let mut browser = testkit::Browser::new(&gate.control());
    let url = gate.control() + "/login";
    let Landing::Page(page) = browser.open(&url) else { panic!("elsewhere") };
    let form = page.form().expect("a form").with("email", person.email()).with("password", "wrong");
    let cookie = format!("portcullis_visit={}", browser.cookies()["portcullis_visit"]);
    let mut said = Vec::new();
    for n in 0..12 {
        let from = format!("198.51.100.{n}");
        let forwarded = format!("for={from}");
        let headers = [
            ("cookie", cookie.as_str()),
            ("x-forwarded-for", &from),
            ("x-real-ip", &from),
            ("forwarded", &forwarded),
            ("cf-connecting-ip", &from),
            ("true-client-ip", &from),
        ];
        said.push(post_with(&gate, "/login", &headers, &encode(&form.fields)));
    }
    let slowed: Vec<_> = said.iter().filter(|it| it.status == 429).collect();
    assert!(slowed.len() >= 4, "{:?}", said.iter().map(|it| it.status).collect::<Vec<_>>());
    assert!(slowed.iter().all(|it| it.header("retry-after").is_some()));
    // RFC 8628 §5.1: so are guesses at device codes.
    let mut eve = Person::new(&gate, "Eve");
    eve.browser().open(&url);
    let Landing::Page(login) = eve.browser().open(&url) else { panic!("elsewhere") };
    let (email, password) = (eve.email().to_owned(), eve.password());
    let form = login.form().expect("a form").with("email", &email).with("password", password);
    eve.browser().send(&login, &form);
    let device = gate.control() + "/device?user_code=BCDF-BCD";
    let letters = "BCDFGHJKLMNPQRSTVWXZ".chars();
    let said: Vec<u16> = letters
        .map(|letter| eve.browser().once("GET", &format!("{device}{letter}"), "").status)
        .collect();
    assert!(said.iter().filter(|it| **it == 429).count() >= 10, "{said:?}");
}

/// What a stranger sends leaves no trace that grows without bound.
#[test]
fn strangers_fill_neither_ledger_nor_store() {
    let (gate, _up) = gate("");
    let app = shop(&gate, &["--public", "--grant", "device_code", "--grant", "authorization_code"]);
    let size = |name: &str| {
        let all = crate::setup::files(gate.data());
        let of = all.iter().filter(|it| it.to_string_lossy().contains(name));
        of.map(|it| std::fs::metadata(it).map_or(0, |it| it.len())).sum::<u64>()
    };
    let before = (size("ledger"), size(".db"));
    let control = gate.control();
    let long = "x".repeat(20_000);
    let body = encode(&[("client_id", long.as_str()), ("grant_type", "refresh_token")]);
    let resource = format!("https://x.example/{}", "x".repeat(1900));
    let device = encode(&[("client_id", app.id.as_str()), ("resource", &resource)]);
    let setup = encode(&[("code", "pcu_x"), ("password", "x")]);
    let form = [("content-type", "application/x-www-form-urlencoded")];
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..250 {
                    for (path, body) in [
                        ("/oauth/token", &body),
                        ("/oauth/device_authorization", &device),
                        ("/setup", &setup),
                    ] {
                        let url = format!("{control}{path}");
                        let answer = testkit::request("POST", &url, &form, body.as_bytes());
                        assert!((400..500).contains(&answer.status), "{path}: {}", answer.status);
                    }
                }
            });
        }
    });
    testkit::wait::pause(Duration::from_secs(2));
    let grown = (size("ledger") - before.0, size(".db").saturating_sub(before.1));
    // 3,000 refusals: one by one, with all that was sent, they would be 30 MB and as many rows.
    assert!(grown.0 < 1_500_000, "the ledger grew by {grown:?}");
    assert!(grown.1 < 300_000, "the store grew by {grown:?}");
    // Rows for clients that anybody can be are counted.
    let said: Vec<u16> = (0..140)
        .map(|_| app.call(&gate, "/oauth/device_authorization", &[("scope", "openid")]).status)
        .collect();
    assert_eq!(said.iter().filter(|it| **it == 200).count(), 120, "{said:?}");
}

/// RFC 6265 §8.5: cookies ignore ports, so those of the authority must not pass the gate.
#[test]
fn no_session_passes_the_gate() {
    let up = testkit::Upstream::ok();
    let open = "[[route]]\nname = \"open\"\npath = \"/open/{**}\"\nupstream = \"shop\"\naccess = \"public\"\n";
    let gate = Gate::start(&(routes(&up) + open));
    let cookie = "portcullis_session=pcs_x; a=b; __Host-portcullis_session=y; portcullis_visit=z; \
                  __Host-portcullis_visit=w; PORTCULLIS_SESSION=v";
    assert_eq!(gate.get("/open/1", &[("cookie", cookie)]).status, 200);
    let seen = up.last().header("cookie").unwrap_or_default();
    assert!(!seen.to_ascii_lowercase().contains("portcullis"), "{seen}");
    assert!(seen.contains("a=b"), "{seen}");
}

/// The API of administrators is for tokens that were made for it: no session, no key, nobody else's token.
#[test]
fn the_control_api_takes_nothing_but_its_own_tokens() {
    let (gate, _up) = gate("");
    let mut person = Person::new(&gate, "Ada");
    let login = gate.control() + "/login";
    let Landing::Page(page) = person.browser().open(&login) else { panic!("elsewhere") };
    let (email, password) = (person.email().to_owned(), person.password());
    let form = page.form().expect("a form").with("email", &email).with("password", password);
    person.browser().send(&page, &form);
    let robot = robot(&gate, &["orders:read"], &[]);
    let token = robot.own_token(&gate, &[]);
    let key = gate.done(&["key", "create", "--name", "k", "--scope", "admin:write"]);
    let bearer = format!("Bearer {token}");
    let key_bearer = format!("Bearer {}", text(&key, "key"));
    let cookies: Vec<_> =
        person.browser().cookies().iter().map(|(k, v)| format!("{k}={v}")).collect();
    let cookies = cookies.join("; ");
    for path in
        ["/api/v1/clients", "/api/v1/users", "/api/v1/keys", "/api/v1/trust", "/api/v1/events"]
    {
        for header in [
            ("cookie", cookies.as_str()),
            ("authorization", &bearer),
            ("authorization", &key_bearer),
            ("x-api-key", &key_bearer),
        ] {
            let status = get(&(gate.control() + path), &[header]).status;
            assert!(matches!(status, 401 | 404), "{path} {header:?}: {status}");
        }
    }
    // A scope of the API is not for clients that it was not given to, nor for people without a role.
    let fields = [("grant_type", "client_credentials"), ("scope", "admin:write")];
    assert_eq!(error(&robot.token(&gate, &fields)), "invalid_scope");
}

/// A server that is sent half a request holds it for a bounded time, and answers others meanwhile.
#[test]
fn half_requests_hold_nobody_up() {
    let (gate, _up) = gate("");
    let address = gate.control().trim_start_matches("http://").to_owned();
    let mut half: Vec<RawClient> = (0..50)
        .map(|_| {
            let mut client = RawClient::connect(&address);
            client.send(format!(
                "POST /oauth/token HTTP/1.1\r\nHost: {address}\r\nContent-Length: 100000\r\n\
                 Content-Type: application/x-www-form-urlencoded\r\n\r\ngrant_type="
            ));
            client
        })
        .collect();
    let robot = robot(&gate, &["orders:read"], &[]);
    robot.own_token(&gate, &[]);
    let closed = half.iter_mut().filter_map(|it| it.try_response("POST").ok());
    assert!(closed.take(3).all(|it| (400..500).contains(&it.status)));
}
