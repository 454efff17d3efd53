//! What these tests share: a gate whose route asks for tokens of `self`, clients, and people who answer scripts.

use base::{Clock, SystemClock};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::time::Duration;
use testkit::{Arrival, Gate, Person, Response, Upstream, converse};

/// Where clients are sent back to. Nobody listens there: the person's browser stops before.
pub(crate) const CALLBACK: &str = "https://shop.example/callback";
/// Where people go after they have signed out.
pub(crate) const GOODBYE: &str = "https://shop.example/goodbye";
/// What a signed-in person's client asks for.
pub(crate) const SCOPES: &str = "openid profile email offline_access orders:read";
/// The scope of the one route.
pub(crate) const SCOPE: &str = "orders:read";
/// Within what the end of a token is felt everywhere; the promise is a second, and machines are busy.
pub(crate) const SOON: Duration = Duration::from_secs(5);
/// How long a spent refresh token is taken once more, and a little (issue: 10 s).
pub(crate) const WINDOW: Duration = Duration::from_secs(11);

/// A gate in front of an upstream, and its authority.
pub(crate) struct Stage {
    pub(crate) gate: Gate,
    pub(crate) upstream: Upstream,
}

impl Stage {
    /// With one route, `/orders/{**}`, that asks for [`SCOPE`].
    pub(crate) fn start() -> Self {
        Self::with("")
    }

    /// The same, with further lines of the file.
    pub(crate) fn with(lines: &str) -> Self {
        let upstream = Upstream::ok();
        let rest = format!(
            "{lines}\n[[upstream]]\nname = \"orders\"\nservers = [\"{}\"]\n\
             [[route]]\nname = \"orders\"\npath = \"/orders/{{**}}\"\nupstream = \"orders\"\n\
             access = {{ jwt = {{ issuer = \"self\", scopes = [\"{SCOPE}\"] }} }}\n",
            upstream.url()
        );
        Self { gate: Gate::start(&rest), upstream }
    }

    /// The issuer's identifier.
    pub(crate) fn issuer(&self) -> String {
        self.gate.control()
    }

    /// The protected address.
    pub(crate) fn api(&self) -> String {
        self.gate.url() + "/orders/1"
    }

    /// GET of it with a bearer token.
    pub(crate) fn call(&self, token: &str) -> Response {
        self.gate.get("/orders/1", &[("authorization", &format!("Bearer {token}"))])
    }

    /// Whether a token passes.
    pub(crate) fn passes(&self, token: &str) -> bool {
        self.call(token).status == 200
    }

    /// A client that is made with these arguments; what a script needs to be it.
    pub(crate) fn client(&self, name: &str, args: &[&str]) -> Client {
        let key = converse(&script("key"), &json!({ "kid": "k1" }), |_| Value::Null);
        let jwks = self.gate.folder().join(format!("{name}.jwks"));
        std::fs::write(&jwks, key["jwks"].to_string()).expect("the keys are written");
        let jwks = jwks.display().to_string();
        let mut all = vec!["client", "create", "--name", name];
        let auth = args.iter().position(|arg| *arg == "--auth").map(|at| args[at + 1]);
        let auth =
            auth.unwrap_or(if args.contains(&"--public") { "none" } else { "client_secret_basic" });
        if auth == "private_key_jwt" {
            all.extend(["--jwks", &jwks]);
        }
        all.extend(args);
        let made = self.gate.done(&all);
        let facts = json!({
            "issuer": self.issuer(),
            "client_id": made["client_id"],
            "client_secret": made["client_secret"],
            "auth": auth,
            "key": key["key"],
            "redirect_uri": CALLBACK,
            "post_logout": GOODBYE,
            "scope": SCOPES,
        });
        Client { facts }
    }

    /// A client for people, with whatever further arguments.
    pub(crate) fn shop(&self, args: &[&str]) -> Client {
        let mut all = vec!["--redirect-uri", CALLBACK, "--post-logout-redirect-uri", GOODBYE];
        all.extend(["--grant", "authorization_code", "--grant", "refresh_token"]);
        all.push("--scope");
        all.extend(SCOPES.split(' '));
        all.extend(args);
        self.client("Shop", &all)
    }

    /// The events of a code, newest last.
    pub(crate) fn events(&self, code: &str) -> Vec<Value> {
        let sql = format!("SELECT * FROM events WHERE code = '{code}' ORDER BY time");
        self.gate.done(&["audit", "query", &sql]).as_array().cloned().unwrap_or_default()
    }
}

/// A client, as a script gets to know it.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    pub(crate) facts: Value,
}

impl Client {
    /// Its id.
    pub(crate) fn id(&self) -> &str {
        self.facts["client_id"].as_str().expect("an id")
    }

    /// The client with another fact for the script.
    #[must_use]
    pub(crate) fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.facts[name] = value.into();
        self
    }

    /// Runs a flow of a library with a person who answers.
    pub(crate) fn flow(&self, library: &str, flow: &str, person: &mut Person) -> Value {
        let facts = self.clone().with("flow", flow).facts;
        converse(&script(library), &facts, |question| answer(question, person))
    }

    /// Runs a flow in which nobody has to answer.
    pub(crate) fn alone(&self, library: &str, flow: &str) -> Value {
        let facts = self.clone().with("flow", flow).facts;
        converse(&script(library), &facts, |question| panic!("{question} is asked"))
    }
}

/// The script of a library.
pub(crate) fn script(library: &str) -> PathBuf {
    let folder = testkit::workspace().join("crates/portcullis/tests/authority/js");
    folder.join(format!("{library}.mjs"))
}

/// What a person does when a script asks.
pub(crate) fn answer(question: &Value, person: &mut Person) -> Value {
    let text = |name: &str| question[name].as_str().unwrap_or_default().to_owned();
    match text("ask").as_str() {
        "authorize" => match person.go(&text("url")) {
            Arrival::Redirect(url) => json!({ "url": url }),
            Arrival::Posted { action, fields } => json!({ "url": action, "form": fields }),
            Arrival::Page(page) => {
                panic!("{} {}: {}", page.response.status, page.url, page.response.text())
            }
        },
        "device" => match person.go(&text("verification_uri_complete")) {
            Arrival::Page(page) => json!({ "page": page.title() }),
            other => panic!("the device page led to {other:?}"),
        },
        "wait" => {
            let seconds = question["seconds"].as_u64().map(Duration::from_secs);
            testkit::wait::pause(seconds.unwrap_or(WINDOW));
            json!({})
        }
        other => panic!("{other:?} is asked"),
    }
}

/// All files below a folder.
pub(crate) fn files(folder: &std::path::Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).expect("a folder").flatten().map(|it| it.path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

/// Seconds since 1970.
pub(crate) fn now() -> i64 {
    SystemClock::new().now().seconds()
}
