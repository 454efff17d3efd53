//! What these tests share: a gate with its authority, an application of somebody else's, and browsers.

use serde_json::Value;
use testkit::{Answer, Gate, Person, Upstream, WebDriver, encode, escape, request};

/// What the pages call the organisation.
pub(crate) const BRAND: &str = "Northwind APIs";
/// What the client asks for.
pub(crate) const SCOPE: &str = "openid email orders:read";
/// RFC 7636 appendix B.
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
/// The page of the application, whatever it is asked.
const APPLICATION: &str = "<!doctype html><html lang=en><title>Shop</title><link rel=icon href=data:,>\
                           <h1>Back at the shop</h1>";
/// What is no complaint about a page: that an answer of ours has a status of 4xx, or 503 where a provider does not answer
/// us, and that a script has moved the focus before the browser did.
const NO_COMPLAINTS: [&str; 3] = [
    "Failed to load resource: the server responded with a status of 4",
    "Failed to load resource: the server responded with a status of 503",
    "Autofocus processing was blocked because a document already has a focused element",
];

/// A gate whose authority has a brand and words, and an application on another port.
pub(crate) struct Stage {
    pub(crate) gate: Gate,
    pub(crate) application: Upstream,
}

impl Stage {
    pub(crate) fn start() -> Self {
        Self::start_with("")
    }

    /// The same, with further sections in its file.
    pub(crate) fn start_with(more: &str) -> Self {
        let application = Upstream::start(|_| page(APPLICATION));
        let rest = format!(
            "[authority]\nname = \"{BRAND}\"\nregistration = \"open\"\n\
             [authority.scopes]\n\"orders:read\" = \"See your orders and what became of them\"\n\
             \"orders:write\" = \"Change your orders, cancel them and ask for returns\"\n{more}\n\
             [[upstream]]\nname = \"site\"\nservers = [\"{}\"]\n\
             [[route]]\nname = \"site\"\npath = \"/site/{{**}}\"\nupstream = \"site\"\n\
             access = {{ session = {{}} }}\n\
             [[route]]\nname = \"payroll\"\npath = \"/payroll/{{**}}\"\nupstream = \"site\"\n\
             access = {{ session = {{ mfa = {{ acr = \"aal2\" }} }} }}\n",
            application.url()
        );
        Self { gate: Gate::start(&rest), application }
    }

    /// An address of the authority.
    pub(crate) fn at(&self, path: &str) -> String {
        self.gate.control() + path
    }

    /// An address behind the gate: the application's pages, for people who are signed in.
    pub(crate) fn site(&self, path: &str) -> String {
        self.gate.url() + path
    }

    /// Where the application wants people back.
    pub(crate) fn callback(&self) -> String {
        self.application.url() + "/callback"
    }

    /// A client for people that is called `name` and comes back to `back`.
    pub(crate) fn client_at(&self, name: &str, back: &str, more: &[&str]) -> String {
        let goodbye = self.application.url() + "/goodbye";
        let mut args = vec!["client", "create", "--name", name, "--redirect-uri", back];
        args.extend(["--post-logout-redirect-uri", &goodbye]);
        args.extend(["--scope", "orders:read", "orders:write"]);
        args.extend(more);
        let made = self.gate.done(&args);
        made["client_id"].as_str().expect("an id").to_owned()
    }

    /// The same, which comes back to the application.
    pub(crate) fn client(&self, name: &str) -> String {
        self.client_at(name, &self.callback(), &[])
    }

    /// Where a client sends people, with further parameters.
    pub(crate) fn authorize(&self, client: &str, more: &[(&str, &str)]) -> String {
        let callback = self.callback();
        let mut parameters = vec![
            ("response_type", "code"),
            ("client_id", client),
            ("state", "a state"),
            ("code_challenge", CHALLENGE),
            ("code_challenge_method", "S256"),
        ];
        for (name, value) in [("redirect_uri", callback.as_str()), ("scope", SCOPE)] {
            if !more.iter().any(|(other, _)| *other == name) {
                parameters.push((name, value));
            }
        }
        parameters.extend(more);
        self.at("/oauth/authorize?") + &encode(&parameters)
    }

    /// Begins a device flow: what the device is told.
    pub(crate) fn device(&self, client: &str) -> Value {
        let body = encode(&[("client_id", client), ("scope", SCOPE)]);
        let kind = ("content-type", "application/x-www-form-urlencoded");
        let url = self.at("/oauth/device_authorization");
        let answer = request("POST", &url, &[kind], body.as_bytes());
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()
    }

    /// Makes an account; the link behind which its password is set.
    pub(crate) fn invite(&self, email: &str) -> String {
        let made = self.gate.done(&["user", "create", "--email", email, "--name", "Ada"]);
        made["setup_url"].as_str().expect("a link").to_owned()
    }

    /// Signs a person in by the pages of a browser that opens `url`.
    pub(crate) fn sign_in(&self, browser: &WebDriver, url: &str, person: &Person) {
        browser.open(url);
        sign_in(browser, person);
    }

    /// Where a client sends people who want to sign out.
    pub(crate) fn logout(&self, client: &str) -> String {
        let goodbye = escape(&(self.application.url() + "/goodbye"));
        self.at(&format!(
            "/oauth/logout?client_id={client}&post_logout_redirect_uri={goodbye}&state=done"
        ))
    }
}

/// Types e-mail and password on the page that is open.
pub(crate) fn sign_in(browser: &WebDriver, person: &Person) {
    browser.fill("#email", person.email());
    browser.fill("#password", person.password());
    browser.click("button");
}

/// An answer that holds a page.
pub(crate) fn page(html: &str) -> Answer {
    Answer::with(200, &[("content-type", "text/html")], html.as_bytes())
}

/// Fails when the browser had anything to complain of since this was last asked.
pub(crate) fn quiet(browser: &WebDriver) {
    quiet_of(browser, "");
}

/// The same, of the pages of one server.
pub(crate) fn quiet_of(browser: &WebDriver, server: &str) {
    let mut complaints = browser.console();
    complaints.retain(|line| line.contains(server));
    complaints.retain(|line| !NO_COMPLAINTS.iter().any(|it| line.contains(it)));
    assert!(complaints.is_empty(), "at {}: {complaints:#?}", browser.url());
}

/// Runs `test` in a browser with scripts, and in one without.
pub(crate) fn either_way(test: impl Fn(&WebDriver, bool)) {
    test(&WebDriver::start(), true);
    test(&WebDriver::without_scripts(), false);
}
