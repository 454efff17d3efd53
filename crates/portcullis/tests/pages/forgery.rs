//! Every page of the tour as somebody else would use it: in a frame, by a form of their own, with a token from elsewhere;
//! and what each page loads.

use crate::stage::*;
use crate::tour::{Scene, Sight};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use testkit::{Asked, Landing, Person, Response, WebDriver, encode, get, request};

/// Where forms of ours go: all that the templates name, so that a form which is not in the tour is noticed.
fn actions() -> BTreeSet<String> {
    let folder = testkit::workspace().join("crates/control/templates");
    let mut all = BTreeSet::new();
    for entry in std::fs::read_dir(folder).expect("the templates") {
        let text = std::fs::read_to_string(entry.expect("a template").path()).expect("a template");
        let forms = text.split("method=\"post\" action=\"").skip(1);
        let named = forms.filter_map(|it| it.split('"').next()).filter(|it| it.starts_with('/'));
        all.extend(named.map(str::to_owned));
    }
    assert!(all.len() >= 15, "{all:?}");
    all
}

/// The forms of the page, with the first of their buttons pressed, and the links that carry a token.
const FORMS: &str = "\
    const fields = (form) => { \
      const data = [...new FormData(form)].map((it) => it.map(String)); \
      const button = form.querySelector('button[name]'); \
      return button ? [...data, [button.name, button.value]] : data; }; \
    const posts = [...document.forms].filter((it) => it.method === 'post'); \
    const links = [...document.querySelectorAll('a[href*=\"csrf=\"]')]; \
    return { forms: posts.map((it) => ({ action: it.action, fields: fields(it) })), \
      links: links.map((it) => it.href) };";

type Fields = Vec<(String, String)>;

/// Whoever would like to act for others: with an account of their own, and tokens for all its forms.
struct Mallory {
    tokens: BTreeMap<&'static str, String>,
}

impl Mallory {
    fn new(stage: &Stage) -> Self {
        let mut person = Person::new(&stage.gate, "Mallory");
        stage.gate.done(&["user", "roles", person.id(), "--role", "ops"]);
        let grants = ["--public", "--grant", "device_code"];
        let device = stage.client_at("Radio", &stage.callback(), &grants);
        let code = stage.device(&device)["verification_uri_complete"].clone();
        let (client, kept) = (stage.client("Payments"), stage.client("Kept"));
        person.authorize(&stage.authorize(&kept, &[]));
        let pages = [
            ("/login", stage.at("/login")),
            ("/setup", stage.at("/setup")),
            ("/recover", stage.at("/recover")),
            ("/account/", stage.at("/account")),
            ("/account/methods", stage.at("/account/methods")),
            ("/account/addresses", stage.at("/account/addresses")),
            ("/account/email", stage.at("/account/email")),
            ("/device", code.as_str().expect("an address").to_owned()),
            ("/oauth/decide", stage.authorize(&client, &[])),
            ("/oauth/logout/decide", stage.logout(&client)),
        ];
        let mut token = |url: &str| {
            let Landing::Page(page) = person.browser().open(url) else { panic!("{url}") };
            let text = page.response.text();
            let found =
                text.split_once("name=\"csrf\" value=\"").and_then(|it| it.1.split_once('"'));
            found.unwrap_or_else(|| panic!("{url}: {text}")).0.to_owned()
        };
        Self { tokens: pages.iter().map(|(path, url)| (*path, token(url))).collect() }
    }

    /// Their own token for the form that goes to `path`; of another form where they have none for that.
    fn token(&self, path: &str) -> &str {
        let known = self.tokens.iter().filter(|(prefix, _)| path.starts_with(**prefix));
        let nearest = known.max_by_key(|(prefix, _)| prefix.len()).map(|it| it.1);
        nearest.unwrap_or(&self.tokens["/login"])
    }
}

/// RFC 9700 §4.7: whatever somebody else sends does nothing.
fn is_refused(answer: &Response, what: &str) {
    let text = answer.text();
    let asks = what.contains("/oauth/logout/decide") && text.contains("<h1>Sign out?</h1>");
    // Without a cookie nobody is there, who would be asked to sign in.
    let said =
        ["<h1>Sign in</h1>", "<h1>You are signed out</h1>"].iter().any(|it| text.contains(it));
    let nobody = !what.contains("\"cookie\"") && said;
    let not_ours = answer.status == 400 && text.contains("The answer is not from our page");
    assert!(answer.status == 403 || asks || not_ours || nobody, "{what}: {} {text}", answer.status);
    for cookie in answer.values("set-cookie") {
        assert!(!cookie.starts_with("portcullis_session="), "{what}: {cookie}");
    }
}

fn with(fields: &Fields, token: Option<&str>) -> String {
    let others = fields.iter().filter(|(name, _)| name != "csrf").cloned();
    let token = token.map(|it| ("csrf".to_owned(), it.to_owned()));
    encode(&others.chain(token).collect::<Fields>())
}

fn forge(browser: &WebDriver, (url, fields): (&str, &Fields), mallory: &str) {
    let kind = ("content-type", "application/x-www-form-urlencoded");
    let cookies = browser.cookies();
    let cookie = ("cookie", &*cookies);
    let own = fields.iter().find(|(name, _)| name == "csrf").map(|(_, value)| value.as_str());
    let own = own.unwrap_or_else(|| panic!("{url} has no token: {fields:?}"));
    let post = |headers: &[(&str, &str)], token: Option<&str>| {
        let what = format!("{url} {headers:?} {token:?}");
        is_refused(&request("POST", url, headers, with(fields, token).as_bytes()), &what);
    };
    post(&[kind, cookie], None);
    post(&[kind, cookie], Some(""));
    post(&[kind, cookie], Some(mallory));
    post(&[kind, cookie, ("sec-fetch-site", "same-origin")], Some(mallory));
    post(&[kind], Some(own));
    for origin in ["https://evil.example", "http://localhost", "https://localhost.evil.example"] {
        post(&[kind, cookie, ("origin", origin)], Some(own));
    }
    for site in ["cross-site", "same-site", ""] {
        post(&[kind, cookie, ("origin", "null"), ("sec-fetch-site", site)], Some(own));
    }
    // A form that is sent as something else, so that no question is asked before (Fetch §2.2.2).
    let plain = [("content-type", "text/plain"), cookie];
    let answer = request("POST", url, &plain, with(fields, Some(own)).as_bytes());
    assert_eq!(answer.status, 400, "{url} as text");
    // What a form does is not done by an address either.
    let answer = get(&format!("{url}?{}", with(fields, Some(own))), &[cookie]);
    assert!(matches!(answer.status, 200 | 400 | 404 | 405), "{url} by GET: {}", answer.status);
    assert!(answer.values("set-cookie").iter().all(|it| !it.starts_with("portcullis_session=")));
}

#[test]
fn rfc9700_s4_7_no_form_of_any_page_does_anything_for_somebody_else() {
    let scene = Scene::set();
    let (browser, mallory) = (WebDriver::start(), Mallory::new(&scene.stage));
    let control = scene.stage.gate.control();
    let mut seen = BTreeSet::new();
    scene.take(&browser, |sight: &Sight| {
        let found = browser.run(FORMS, &[]);
        for form in found["forms"].as_array().into_iter().flatten() {
            let url = form["action"].as_str().expect("an address");
            // The one form that leads to somebody else carries their answer, and no token; sites behind the gate have
            // pages of their own, with rules of their own.
            let Some(path) = url.strip_prefix(&control) else {
                let known = sight.name == "one-moment" || sight.name.starts_with("gate-");
                assert!(known, "{} leads to {url}", sight.name);
                continue;
            };
            let fields: Fields = serde_json::from_value(form["fields"].clone()).expect("fields");
            forge(&browser, (url, &fields), mallory.token(path));
            seen.insert(path.to_owned());
        }
        for link in found["links"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            let (url, query) = link.split_once('?').expect("a query");
            let pairs = query.split('&').filter(|it| !it.starts_with("csrf="));
            let bare = pairs.collect::<Vec<_>>().join("&");
            let cookies = browser.cookies();
            let other = format!("{url}?{bare}&csrf={}", mallory.token("/login"));
            for (url, cookie) in
                [(&*other, &*cookies), (&format!("{url}?{bare}"), &cookies), (link, "")]
            {
                is_refused(&get(url, &[("cookie", cookie)]), url);
            }
        }
    });
    assert_eq!(seen, actions());
}

/// RFC 9700 §4.16, ASVS 3.4: what holds for each answer that is a page.
fn is_guarded(answer: &Asked, newcomers: bool) {
    let header = |name: &str| answer.headers.get(name).map(String::as_str).unwrap_or_default();
    let policy = header("content-security-policy");
    for part in ["default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'"] {
        assert!(policy.contains(part), "{}: {policy}", answer.url);
    }
    assert!(!policy.contains("unsafe") && !policy.contains('*'), "{}: {policy}", answer.url);
    assert_eq!(header("x-frame-options"), "DENY", "{}", answer.url);
    assert_eq!(header("x-content-type-options"), "nosniff", "{}", answer.url);
    assert_eq!(header("referrer-policy"), "no-referrer", "{}", answer.url);
    assert!(newcomers || header("cache-control") == "no-store", "{}", answer.url);
    assert_eq!(header("access-control-allow-origin"), "", "{}", answer.url);
}

#[test]
fn rfc9700_s4_16_no_page_can_be_framed_or_loads_anything_from_elsewhere() {
    let (scene, browser) = (Scene::set(), WebDriver::watched());
    let control = scene.stage.gate.control();
    let (mut pages, mut loaded) = (0, 0);
    scene.take(&browser, |sight: &Sight| {
        for asked in browser.network() {
            let ours = asked.url.starts_with(&control);
            if asked.page.starts_with(&control) && asked.kind != "Document" {
                assert!(ours, "{}: {} loads {}", sight.name, asked.page, asked.url);
                loaded += 1;
            }
            if asked.status.is_some() && ours && asked.kind == "Document" {
                is_guarded(&asked, asked.url == format!("{control}/"));
                pages += 1;
            }
        }
    });
    assert!(pages > 65 && loaded > 65, "{pages} pages loaded {loaded} things");
}
