//! What the tests of browsers at the gate share: a gate with routes for people, and somebody who visits it.

use access::schemes::session::{PLAIN_COOKIE, Sealer, Session};
use authority::Keyring;
use base::SystemClock;
use std::collections::BTreeMap;
use std::time::Duration;
use store::{Store, StoreUrl};
use testkit::{Answer, Arrival, Gate, Person, Response, Seen, Upstream, request, wait};

/// The name of the session's cookie where there is no TLS.
pub(crate) const COOKIE: &str = PLAIN_COOKIE;
/// The host of the gate in these tests.
pub(crate) const HOST: &str = "127.0.0.1";
/// Between two events of a stream.
const TICK: Duration = Duration::from_millis(50);

/// A gate with routes for people before one upstream.
pub(crate) struct Stage {
    pub(crate) up: Upstream,
    pub(crate) gate: Gate,
    sealer: Sealer,
}

fn answers(seen: &Seen) -> Answer {
    if seen.target().contains("/events") {
        return Answer::takeover(|socket| {
            use std::io::Write;
            let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\
                        transfer-encoding: chunked\r\n\r\n";
            let mut result = socket.write_all(head.as_bytes());
            while result.is_ok() {
                result = socket.write_all(b"9\r\ndata: x\n\n\r\n");
                wait::pause(TICK);
            }
        });
    }
    if seen.target().contains("/planted") {
        let cookies = [
            ("set-cookie", "portcullis-session=planted; Path=/"),
            ("set-cookie", "__Host-portcullis-session=planted; Path=/; Secure"),
            ("set-cookie", " =portcullis-session=planted; Path=/"),
            ("set-cookie", "PORTCULLIS-SESSION=planted; Path=/"),
            ("set-cookie", "portcullis-visit-abc=planted; Path=/"),
            ("set-cookie", "theirs=1; Path=/"),
            ("cache-control", "public, max-age=600"),
            ("cdn-cache-control", "max-age=600"),
        ];
        return Answer::with(200, &cookies, b"ok");
    }
    Answer::ok("ok")
}

/// Routes of these tests: `/app` for everybody who signs in, `/ops` for a group, `/strong` for `aal2`, `/fresh` for a
/// sign-in of the last minute, `/bound` for what the route itself asks, `/both` for a browser or a key, `/key` for a key alone.
const ROUTES: [(&str, &str); 9] = [
    ("app", "{ session = {} }"),
    ("ops", "{ session = { groups = [\"ops\", \"admins\"] } }"),
    ("strong", "{ session = { mfa = { acr = \"aal2\" } } }"),
    ("fresh", "{ session = { mfa = { max_age = \"60s\" } } }"),
    ("bound", "{ session = {} }\nmfa = { acr = \"aal2\", max_age = \"8h\" }"),
    ("both", "{ any = [{ session = {} }, { api_key = { scopes = [\"read\"] } }] }"),
    ("key", "{ api_key = { scopes = [\"read\"] } }"),
    ("brief", "{ session = { idle = \"6m\", absolute = \"10m\" } }"),
    ("token", "{ any = [{ jwt = { issuer = \"self\", scopes = [\"read\"] } }, { session = {} }] }"),
];

impl Stage {
    pub(crate) fn start() -> Self {
        Self::start_with("", "")
    }

    /// With further lines of the listener, and further sections.
    pub(crate) fn start_with(listener: &str, more: &str) -> Self {
        let up = Upstream::start(answers);
        let mut rest = format!("{more}\n{}", crate::setup::upstream(&up));
        for (name, access) in ROUTES {
            let path = format!("/{name}/{{**}}");
            rest += &crate::setup::route(name, &path, &format!("access = {access}"));
        }
        let gate = Gate::builder().listener(listener).rest(&rest).start();
        let sealer = sealer(&gate);
        Self { up, gate, sealer }
    }

    /// What a session's cookie holds.
    pub(crate) fn opened(&self, cookie: &str) -> Session {
        self.sealer.open(cookie.as_bytes(), HOST).expect("a session")
    }

    /// A session as the gate would seal it for a host.
    pub(crate) fn sealed(&self, session: &Session, host: &str) -> String {
        self.sealer.seal(session, host).expect("a cookie")
    }
}

/// What the gate seals cookies with: the tests make sessions of other times with it.
fn sealer(gate: &Gate) -> Sealer {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(async {
        let clock = SystemClock::new();
        let url = StoreUrl::Sqlite(gate.data().join("portcullis.db"));
        let store = Store::open(&url, base::Clock::now(&clock)).await.expect("the store");
        let keyring = Keyring::open(gate.data(), &store, &clock).await.expect("the keyring");
        let sealer = Sealer::new(keyring.pepper.bytes()).expect("a sealer");
        store.close().await;
        sealer
    })
}

/// Somebody with a browser.
pub(crate) struct Visitor {
    pub(crate) person: Person,
    pub(crate) cookies: BTreeMap<String, String>,
    origin: String,
}

impl Visitor {
    pub(crate) fn new(stage: &Stage, name: &str) -> Self {
        Self::of(&stage.gate, name)
    }

    pub(crate) fn of(gate: &Gate, name: &str) -> Self {
        Self {
            person: Person::new(gate, name),
            cookies: BTreeMap::new(),
            origin: format!("http://{}", gate.address()),
        }
    }

    /// The origin of the gate.
    pub(crate) fn origin(&self) -> String {
        self.origin.clone()
    }

    /// The session's cookie.
    pub(crate) fn session(&self) -> String {
        self.cookies.get(COOKIE).cloned().expect("a session")
    }

    /// One request with the browser's cookies.
    pub(crate) fn send(&mut self, method: &str, path: &str, headers: &[(&str, &str)]) -> Response {
        let url = if path.starts_with('/') { self.origin.clone() + path } else { path.to_owned() };
        let pairs: Vec<String> = self.cookies.iter().map(|(k, v)| format!("{k}={v}")).collect();
        let cookie = pairs.join("; ");
        let mut all = headers.to_vec();
        if !cookie.is_empty() {
            all.push(("cookie", &cookie));
        }
        let response = request(method, &url, &all, b"");
        for line in response.values("set-cookie") {
            keep(&mut self.cookies, line);
        }
        response
    }

    /// A link that is followed, without what it leads to.
    pub(crate) fn visit(&mut self, path: &str) -> Response {
        let headers = [("sec-fetch-mode", "navigate"), ("sec-fetch-site", "none")];
        self.send("GET", path, &headers)
    }

    /// What a script on a page of the gate's own sends.
    pub(crate) fn fetch(&mut self, method: &str, path: &str) -> Response {
        let origin = self.origin.clone();
        let mut headers = vec![("sec-fetch-mode", "cors"), ("sec-fetch-site", "same-origin")];
        if method != "GET" {
            headers.push(("origin", &origin));
        }
        self.send(method, path, &headers)
    }

    /// Where the visit leads: to the authority.
    pub(crate) fn leave(&mut self, path: &str) -> String {
        let sent = self.visit(path);
        assert_eq!(sent.status, 303, "{path}: {}", sent.text());
        sent.header("location").expect("a way").to_owned()
    }

    /// Signs in there; where that leads: back to the gate.
    pub(crate) fn at_authority(&mut self, url: &str) -> String {
        way_back(self.person.go(url))
    }

    /// The whole way, from a link to its page.
    pub(crate) fn sign_in(&mut self, path: &str) -> Response {
        let way = self.leave(path);
        let back = self.at_authority(&way);
        self.come_back(&back)
    }

    /// The way from the authority to the page.
    pub(crate) fn come_back(&mut self, back: &str) -> Response {
        let returned = self.visit(back);
        assert_eq!(returned.status, 303, "{back}: {}", returned.text());
        let to = returned.header("location").expect("a way").to_owned();
        self.visit(&to)
    }
}

/// Where somebody was sent in the end.
pub(crate) fn way_back(arrival: Arrival) -> String {
    let back = match arrival {
        Arrival::Redirect(back) => Ok(back),
        other => Err(other),
    };
    back.expect("a way back")
}

fn keep(cookies: &mut BTreeMap<String, String>, line: &str) {
    let mut parts = line.split(';').map(str::trim);
    let Some((name, value)) = parts.next().and_then(|pair| pair.split_once('=')) else { return };
    if parts.any(|it| it.eq_ignore_ascii_case("max-age=0")) {
        cookies.remove(name);
    } else {
        cookies.insert(name.to_owned(), value.to_owned());
    }
}
