//! Signing in with a provider that we did not write (npm `oidc-provider`): there and back, linking, and what must not be.

use super::setup::{CALLBACK, Stage};
use testkit::{Arrival, Browser, Landing, Node, Page, Person, escape, parameter, request};

/// Pages in a row at the provider: its sign-in and its consent, and as many again.
const PAGES: usize = 4;

struct World {
    stage: Stage,
    provider: Node,
}

impl World {
    fn start() -> Self {
        let provider = Node::start("provider.mjs", &[]);
        let stage = Stage::with(&format!(
            "[[provider]]\nname = \"corp\"\ndisplay_name = \"Example <Corp>\"\nissuer = \"{}\"\n\
             client_id = \"us\"\nclient_secret = \"shared\"\n\
             scopes = [\"openid\", \"email\", \"profile\", \"groups\"]\n\
             groups = {{ \"Ops Team\" = \"ops\" }}\ncreate = [\"example.com\"]\n",
            provider.url()
        ));
        let back = stage.issuer() + "/login/callback/corp";
        let url = provider.url() + "/test/redirect";
        assert_eq!(request("POST", &url, &[], back.as_bytes()).status, 200);
        Self { stage, provider }
    }

    fn browser(&self) -> Browser {
        Browser::new(&self.stage.issuer())
    }

    /// Follows the link of a page to the provider; where the browser is sent.
    fn away(&self, browser: &mut Browser, page: &Page, begins: &str) -> String {
        let link = link(page, begins);
        match browser.open(&(self.stage.issuer() + &link)) {
            Landing::Elsewhere(url) => url,
            Landing::Page(page) => panic!("{} {}", page.response.status, page.response.text()),
        }
    }

    /// Signs in at the provider as `name`; the address at which it sends the browser back.
    fn at_provider(&self, url: &str, name: &str) -> String {
        assert!(url.starts_with(&self.provider.url()), "{url}");
        let mut browser = Browser::new(&self.provider.url());
        let mut landing = browser.open(url);
        for _ in 0..PAGES {
            let page = match landing {
                Landing::Elsewhere(url) => return url,
                Landing::Page(page) => page,
            };
            let form = page.form().unwrap_or_else(|| panic!("{}", page.response.text()));
            let form = match form.value("prompt") {
                Some("login") => form.with("login", name).with("password", "anything"),
                _ => form,
            };
            landing = browser.send(&page, &form);
        }
        panic!("the provider asks again and again");
    }

    /// Signs in here through the provider, on the way to the page of one's own ways of signing in.
    fn sign_in(&self, browser: &mut Browser, name: &str) -> Page {
        let page = page(browser.open(&(self.stage.issuer() + "/login?next=/account/methods")));
        let url = self.away(browser, &page, "/login/with?");
        page_of(browser, &self.at_provider(&url, name))
    }
}

fn page(landing: Landing) -> Page {
    match landing {
        Landing::Page(page) => page,
        Landing::Elsewhere(url) => panic!("sent to {url}"),
    }
}

fn page_of(browser: &mut Browser, url: &str) -> Page {
    page(browser.open(url))
}

/// The first link of a page that begins like this.
fn link(page: &Page, begins: &str) -> String {
    let text = page.response.text();
    let found = text.split("href=\"").find(|it| it.starts_with(begins));
    let found = found.unwrap_or_else(|| panic!("no link {begins}: {text}"));
    let raw = found.split('"').next().expect("an end");
    raw.replace("&amp;", "&").replace("&#38;", "&")
}

#[test]
fn people_sign_in_with_a_provider_that_we_did_not_write() {
    let world = World::start();
    let mut browser = world.browser();
    let methods = world.sign_in(&mut browser, "anna");
    assert_eq!((methods.response.status, methods.title().as_str()), (200, "How you sign in"));
    let text = methods.response.text();
    assert!(text.contains("anna@example.com"), "{text}");
    // What the file calls the provider is shown as it is, and is no markup.
    assert!(!text.contains("<Corp>") && text.contains("Corp"), "{text}");
    // What the groups there are here, and no more.
    let people = world.stage.gate.done(&["user", "list"]);
    let people = people.as_array().or_else(|| people["users"].as_array()).expect("a list");
    let anna = people.iter().find(|it| it["email"] == "anna@example.com").expect("anna");
    assert_eq!(anna["roles"], serde_json::json!(["ops"]));
    // Another browser, the same person: no second account.
    world.sign_in(&mut world.browser(), "anna");
    let again = world.stage.gate.done(&["user", "list"]);
    assert_eq!(
        again.as_array().or_else(|| again["users"].as_array()).map(Vec::len),
        Some(people.len())
    );
}

#[test]
fn a_client_gets_its_code_after_a_sign_in_elsewhere() {
    let world = World::start();
    let args = ["--redirect-uri", CALLBACK, "--scope", "openid", "--public"];
    let made =
        world.stage.gate.done(&[&["client", "create", "--name", "shop"], &args[..]].concat());
    let client = made["client_id"].as_str().expect("an id");
    let url = format!(
        "{}/oauth/authorize?response_type=code&client_id={client}&redirect_uri={}&scope=openid&state=s1\
         &code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&code_challenge_method=S256",
        world.stage.issuer(),
        escape(CALLBACK)
    );
    let mut browser = world.browser();
    let login = page(browser.open(&url));
    let away = world.away(&mut browser, &login, "/login/with?");
    let back = world.at_provider(&away, "carl");
    let mut landing = browser.open(&back);
    if let Landing::Page(consent) = &landing {
        let form = consent.form().expect("a form").with("answer", "allow");
        assert_eq!(form.action, "/oauth/decide", "{}", consent.response.text());
        landing = browser.send(consent, &form);
    }
    let Landing::Elsewhere(url) = landing else { panic!("{landing:?}") };
    assert!(url.starts_with(CALLBACK), "{url}");
    assert_eq!(parameter(&url, "state").as_deref(), Some("s1"));
    assert!(parameter(&url, "code").is_some(), "{url}");
}

#[test]
fn answers_that_are_not_this_browsers_are_refused() {
    let world = World::start();
    let mut browser = world.browser();
    let login = page(browser.open(&(world.stage.issuer() + "/login")));
    let url = world.away(&mut browser, &login, "/login/with?");
    let back = world.at_provider(&url, "dora");
    // Login CSRF: somebody's answer in a browser that was not sent away, and in one that was, elsewhere.
    let mut other = world.browser();
    let refused = page_of(&mut other, &back);
    assert_eq!((refused.response.status, &*refused.title()), (403, "Please begin again"));
    assert!(!other.cookies().contains_key("portcullis_session"));
    let login = page(other.open(&(world.stage.issuer() + "/login")));
    world.away(&mut other, &login, "/login/with?");
    assert_eq!(page_of(&mut other, &back).response.status, 403);
    // Forced: the way there without a page of ours before it.
    let bare = world.stage.issuer() + "/login/with?provider=corp&continue=next%3A";
    assert_eq!(page_of(&mut world.browser(), &bare).response.status, 403);
    // The browser itself: once.
    assert_eq!(page_of(&mut browser, &back).response.status, 200);
    assert_eq!(page_of(&mut browser, &back).response.status, 403);
    // An answer that is said to be of somebody else (RFC 9207).
    let mut third = world.browser();
    let login = page(third.open(&(world.stage.issuer() + "/login")));
    let url = world.away(&mut third, &login, "/login/with?");
    let back = world.at_provider(&url, "dora");
    let own = escape(&world.provider.url());
    assert!(back.contains(&own), "{back}");
    let swapped = back.replace(&own, &escape("https://evil.example"));
    let refused = page_of(&mut third, &swapped);
    assert_eq!((refused.response.status, &*refused.title()), (400, "The answer cannot be used"));
    // Nobody is led elsewhere (RFC 9700 §4.11).
    let mut fourth = world.browser();
    let login = page(fourth.open(&(world.stage.issuer() + "/login?next=https://evil.example/")));
    let link = link(&login, "/login/with?");
    let link = link.replace("continue=next%3A", "continue=next%3Ahttps%3A%2F%2Fevil.example%2F");
    let Landing::Elsewhere(url) = fourth.open(&(world.stage.issuer() + &link)) else {
        panic!("not sent away")
    };
    let done = page_of(&mut fourth, &world.at_provider(&url, "dora"));
    assert_eq!((done.response.status, &*done.title()), (200, "You are signed in"));
}

#[test]
fn an_address_takes_nobodys_account_and_who_has_it_links_it() {
    let world = World::start();
    let mut bert = Person::new(&world.stage.gate, "Bert");
    let name = bert.email().split('@').next().expect("a name").to_owned();
    for who in [&*name, "eve"] {
        let mut browser = world.browser();
        let refused = world.sign_in(&mut browser, who);
        let expect = (403, "No account here belongs to that one");
        assert_eq!((refused.response.status, &*refused.title()), expect, "{who}");
        assert!(!browser.cookies().contains_key("portcullis_session"), "{who}");
    }
    // Signed in with his own password, he links it.
    let url = world.stage.issuer() + "/login?next=/account/methods";
    let Arrival::Page(methods) = bert.go(&url) else { panic!("elsewhere") };
    assert_eq!(methods.title(), "How you sign in");
    let away = world.away(bert.browser(), &methods, "/account/methods/link?");
    let back = world.at_provider(&away, &name);
    // Not in somebody else's browser.
    assert_eq!(page_of(&mut world.browser(), &back).response.status, 403);
    let done = page_of(bert.browser(), &back);
    assert_eq!((done.response.status, &*done.title()), (200, "Your account is linked"));
    let methods = world.sign_in(&mut world.browser(), &name);
    assert_eq!(methods.response.status, 200);
    assert!(methods.response.text().contains(bert.email()), "{}", methods.response.text());
}

#[test]
fn a_provider_that_is_down_keeps_nobody_from_their_password() {
    let mut world = World::start();
    world.provider.kill();
    let mut browser = world.browser();
    let login = page(browser.open(&(world.stage.issuer() + "/login")));
    let link = link(&login, "/login/with?");
    let said = page_of(&mut browser, &(world.stage.issuer() + &link));
    assert_eq!((said.response.status, &*said.title()), (503, "That is not possible now"));
    let mut person = Person::new(&world.stage.gate, "Carla");
    let Arrival::Page(page) = person.go(&(world.stage.issuer() + "/login?next=/account/methods"))
    else {
        panic!("elsewhere")
    };
    assert_eq!(page.title(), "How you sign in");
}
