//! The pages on which people sign in, agree and decide. Templates lie in `templates/`; what they show is escaped
//! by their engine.

use super::words::Words;
use super::{Page, leads_to};
use askama::Template;
use http::StatusCode;

/// What a person is told of a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ClientView {
    /// Its name.
    pub(crate) name: String,
    /// Where it lives, if that is known.
    pub(crate) host: Option<String>,
    /// It made itself known; nobody here has looked at it.
    pub(crate) unverified: bool,
    /// It is a program on the person's own device.
    pub(crate) local: bool,
}

/// A scope in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ScopeView {
    pub(crate) name: String,
    pub(crate) words: String,
}

/// One RFC 9396 authorization detail, as facts in the order in which they came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DetailView {
    pub(crate) kind: String,
    pub(crate) facts: Vec<(String, String)>,
}

/// The form that asks the browser for a passkey.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PasskeyView {
    /// JSON.
    pub(crate) options: String,
    pub(crate) state: String,
    pub(crate) error: Option<String>,
    /// Whether it stands on the page of the second step.
    pub(crate) begun: bool,
    /// Whether the browser offers passkeys among the names that it knows.
    pub(crate) conditional: bool,
}

/// Makes a passkey.
#[derive(Debug, Template)]
#[template(path = "passkey_add.html")]
pub(crate) struct AddPasskeyPage {
    pub(crate) brand: String,
    pub(crate) csrf: String,
    /// JSON.
    pub(crate) options: String,
    pub(crate) state: String,
    pub(crate) name: String,
    /// What is wrong, and with which input: `name` or `answer`.
    pub(crate) error: Option<(&'static str, String)>,
}

impl AddPasskeyPage {
    /// What is wrong with an input.
    fn wrong(&self, input: &str) -> Option<&str> {
        let it = self.error.as_ref()?;
        let place = if it.0 == "name" { "name" } else { "answer" };
        (place == input).then_some(it.1.as_str())
    }
}

/// A link that leads to another provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ProviderLink {
    pub(crate) href: String,
    /// What people call it.
    pub(crate) label: String,
}

/// Asks for e-mail and password.
#[derive(Debug, Template)]
#[template(path = "login.html")]
pub(crate) struct Login {
    pub(crate) brand: String,
    pub(crate) client: Option<ClientView>,
    /// Why the person is asked again.
    pub(crate) reason: Option<String>,
    /// Where else the person may sign in.
    pub(crate) providers: Vec<ProviderLink>,
    pub(crate) csrf: String,
    pub(crate) proceed: String,
    pub(crate) email: String,
    pub(crate) error: Option<String>,
    pub(crate) passkey: Option<PasskeyView>,
}

/// Asks for a second proof.
#[derive(Debug, Template)]
#[template(path = "second.html")]
pub(crate) struct Second {
    pub(crate) brand: String,
    pub(crate) csrf: String,
    pub(crate) proceed: String,
    /// Who is known to be there.
    pub(crate) account: String,
    pub(crate) reason: Option<String>,
    pub(crate) totp: bool,
    pub(crate) recovery: bool,
    pub(crate) passkey: Option<PasskeyView>,
    /// The factor that was tried.
    pub(crate) tried: String,
    pub(crate) error: Option<String>,
}

/// A way of signing in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MethodView {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) kind: &'static str,
    pub(crate) added: String,
    pub(crate) used: Option<String>,
}

/// A person's ways of signing in.
#[derive(Debug, Template)]
#[template(path = "methods.html")]
pub(crate) struct Methods {
    pub(crate) brand: String,
    pub(crate) csrf: String,
    pub(crate) account: String,
    pub(crate) must_add: bool,
    /// Whether passkeys can be added.
    pub(crate) passkeys: bool,
    /// The method that cannot be changed, by its id, and why.
    pub(crate) error: Option<(String, String)>,
    pub(crate) methods: Vec<MethodView>,
    /// Accounts elsewhere that are linked.
    pub(crate) accounts: Vec<MethodView>,
    /// Where else one may be linked.
    pub(crate) providers: Vec<ProviderLink>,
    /// Recovery codes that are left.
    pub(crate) left: Option<usize>,
}

impl Methods {
    /// What is wrong with a method.
    fn wrong(&self, id: &str) -> Option<&str> {
        self.error.as_ref().filter(|it| it.0 == id).map(|it| it.1.as_str())
    }
}

/// A session of a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SessionView {
    pub(crate) id: String,
    pub(crate) browser: String,
    /// Whether it is the one that looks.
    pub(crate) this: bool,
    pub(crate) since: String,
    pub(crate) from: Option<String>,
    pub(crate) how: &'static str,
}

/// An application that a person has allowed something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AppView {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) since: String,
    pub(crate) scopes: String,
    /// When it was last used, in words.
    pub(crate) used: String,
}

/// A person's account.
#[derive(Debug, Template)]
#[template(path = "account.html")]
pub(crate) struct Account {
    pub(crate) t: &'static Words,
    pub(crate) brand: String,
    pub(crate) csrf: String,
    pub(crate) account: String,
    /// Whether the person has shown that the address is theirs.
    pub(crate) proved: bool,
    /// Whether there is a list to which the person may add the address that they come from.
    pub(crate) addresses: bool,
    pub(crate) said: Option<String>,
    pub(crate) sessions: Vec<SessionView>,
    pub(crate) clients: Vec<AppView>,
}

/// A key of a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct KeyView {
    pub(crate) id: String,
    pub(crate) name: String,
    /// When it was made and ends, in words.
    pub(crate) line: String,
    pub(crate) scopes: String,
}

/// A person's keys.
#[derive(Debug, Template)]
#[template(path = "keys.html")]
pub(crate) struct Keys {
    pub(crate) t: &'static Words,
    pub(crate) brand: String,
    pub(crate) csrf: String,
    pub(crate) account: String,
    pub(crate) keys: Vec<KeyView>,
    /// Whether there is a scope that a key could have.
    pub(crate) may: bool,
    /// Whether a second factor is to be added first.
    pub(crate) must_add: bool,
}

/// Asks what a key shall be.
#[derive(Debug, Template)]
#[template(path = "key_new.html")]
pub(crate) struct KeyForm {
    pub(crate) t: &'static Words,
    pub(crate) brand: String,
    pub(crate) csrf: String,
    pub(crate) name: String,
    pub(crate) days: String,
    /// Scopes, and whether each is ticked.
    pub(crate) scopes: Vec<(bool, ScopeView)>,
    /// What is wrong, and with which input: `name`, `scope` or `days`.
    pub(crate) error: Option<(&'static str, String)>,
}

impl KeyForm {
    /// What is wrong with an input.
    fn wrong(&self, input: &str) -> Option<&str> {
        self.error.as_ref().filter(|it| it.0 == input).map(|it| it.1.as_str())
    }
}

/// Shows a key, once.
#[derive(Template)]
#[template(path = "key_made.html")]
pub(crate) struct KeyMade {
    pub(crate) t: &'static Words,
    pub(crate) brand: String,
    pub(crate) name: String,
    /// The text.
    pub(crate) key: String,
    pub(crate) ends: String,
}

/// Something that happened to an account, in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NewsView {
    pub(crate) at: String,
    pub(crate) what: String,
    pub(crate) place: Option<String>,
}

/// What happened to an account.
#[derive(Debug, Template)]
#[template(path = "events.html")]
pub(crate) struct NewsPage {
    pub(crate) t: &'static Words,
    pub(crate) brand: String,
    pub(crate) csrf: String,
    pub(crate) account: String,
    pub(crate) news: Vec<NewsView>,
    pub(crate) failed: Vec<NewsView>,
}

/// Shows a secret for an app and takes the first code.
#[derive(Debug, Template)]
#[template(path = "app.html")]
pub(crate) struct AddApp {
    pub(crate) brand: String,
    pub(crate) csrf: String,
    pub(crate) state: String,
    /// SVG of ours.
    pub(crate) picture: String,
    pub(crate) text: String,
    pub(crate) name: String,
    /// What is wrong, and with which input: `name` or `code`.
    pub(crate) error: Option<(&'static str, String)>,
}

impl AddApp {
    /// What is wrong with an input.
    fn wrong(&self, input: &str) -> Option<&str> {
        let it = self.error.as_ref()?;
        let place = if it.0 == "name" { "name" } else { "code" };
        (place == input).then_some(it.1.as_str())
    }
}

/// Shows recovery codes, once.
#[derive(Debug, Template)]
#[template(path = "codes.html")]
pub(crate) struct Codes {
    pub(crate) brand: String,
    pub(crate) codes: Vec<String>,
}

/// Asks whether a client may.
#[derive(Debug, Template)]
#[template(path = "consent.html")]
pub(crate) struct Consent {
    pub(crate) brand: String,
    pub(crate) client: ClientView,
    pub(crate) account: String,
    pub(crate) redirect_host: String,
    pub(crate) scopes: Vec<ScopeView>,
    pub(crate) resources: Vec<String>,
    pub(crate) details: Vec<DetailView>,
    pub(crate) csrf: String,
    pub(crate) proceed: String,
}

/// Asks for the code that a device shows.
#[derive(Debug, Template)]
#[template(path = "device.html")]
pub(crate) struct Device {
    pub(crate) brand: String,
    pub(crate) code: String,
    pub(crate) error: Option<String>,
}

/// Asks whether a device may.
#[derive(Debug, Template)]
#[template(path = "device_consent.html")]
pub(crate) struct DeviceConsent {
    pub(crate) brand: String,
    pub(crate) client: ClientView,
    pub(crate) account: String,
    pub(crate) code: String,
    pub(crate) scopes: Vec<ScopeView>,
    pub(crate) resources: Vec<String>,
    pub(crate) details: Vec<DetailView>,
    pub(crate) csrf: String,
}

/// Takes the first password of an account.
#[derive(Debug, Template)]
#[template(path = "setup.html")]
pub(crate) struct Setup {
    pub(crate) brand: String,
    pub(crate) csrf: String,
    pub(crate) code: String,
    /// Whether the person says which address is theirs: the first administrator does.
    pub(crate) first: bool,
    pub(crate) email: String,
    /// What is wrong, and with which input: `setup`, `email` or `password`.
    pub(crate) error: Option<(&'static str, String)>,
}

impl Setup {
    /// What is wrong with an input.
    fn wrong(&self, input: &str) -> Option<&str> {
        let it = self.error.as_ref()?;
        // An input without a place of its own on this page has its words under the last one.
        let place = match it.0 {
            "email" if self.first => "email",
            "setup" => "setup",
            _ => "password",
        };
        (place == input).then_some(it.1.as_str())
    }
}

/// Asks for the address of who has forgotten the password.
#[derive(Debug, Template)]
#[template(path = "recover.html")]
pub(crate) struct Recover {
    pub(crate) brand: String,
    pub(crate) csrf: String,
    pub(crate) email: String,
    pub(crate) error: Option<String>,
}

/// Takes the code from the letter and the new password.
#[derive(Debug, Template)]
#[template(path = "recover_set.html")]
pub(crate) struct RecoverSet {
    pub(crate) brand: String,
    pub(crate) csrf: String,
    /// Whether a letter was just asked for.
    pub(crate) sent: bool,
    /// What is wrong, and with which input: `code` or `password`.
    pub(crate) error: Option<(&'static str, String)>,
}

impl RecoverSet {
    /// What is wrong with an input.
    fn wrong(&self, input: &str) -> Option<&str> {
        let it = self.error.as_ref()?;
        let place = if it.0 == "code" { "code" } else { "password" };
        (place == input).then_some(it.1.as_str())
    }
}

/// Asks whether to sign out.
#[derive(Debug, Template)]
#[template(path = "logout.html")]
pub(crate) struct Logout {
    pub(crate) brand: String,
    pub(crate) account: String,
    pub(crate) client: Option<String>,
    pub(crate) csrf: String,
    pub(crate) proceed: String,
}

/// Says something, and at most one way on.
#[derive(Debug, Template)]
#[template(path = "message.html")]
pub(crate) struct Message {
    pub(crate) brand: String,
    pub(crate) title: String,
    pub(crate) text: String,
    pub(crate) fix: Option<String>,
    pub(crate) link: Option<(String, String)>,
    pub(crate) request_id: Option<String>,
}

/// Takes an answer on to a client by POST (OAuth 2.0 Form Post Response Mode).
#[derive(Debug, Template)]
#[template(path = "form_post.html")]
pub(crate) struct FormPost {
    pub(crate) brand: String,
    pub(crate) action: String,
    pub(crate) host: String,
    pub(crate) fields: Vec<(String, String)>,
}

/// A rendered page. `goes_to` is where its form may end up after redirects: browsers hold all of them to the
/// policy's `form-action` (CSP 3 §4.2.1).
pub(crate) fn page(status: StatusCode, template: &impl Template, goes_to: Option<&str>) -> Page {
    Page { status, html: template.render(), goes_to: goes_to.and_then(leads_to) }
}
