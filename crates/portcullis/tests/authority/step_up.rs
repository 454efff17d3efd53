//! Step-up end to end (RFC 9470): a client library that we did not write reads the challenge of the gate, sends its person
//! back for what it asks, and passes. The person's browser runs no scripts; their codes come from Debian's oathtool.

use crate::setup::*;
use serde_json::{Value, json};
use std::process::Command;
use std::time::Duration;
use testkit::{Form, Landing, Page, Person, Response, parameter, wait};

/// `max_age` of the route `strong`, in seconds: long enough for what is shown while a sign-in is fresh.
const MAX_AGE: u64 = 20;
/// Seconds of one code (RFC 6238 §4).
const STEP: i64 = 30;
/// Requests on connections of their own, until every shard has surely seen one.
const EVERYWHERE: usize = 16;
/// Pages in a row before a person gives up.
const PAGES: usize = 4;

/// `plain` asks for no sign-in, `level` for a level, `strong` for a level and its freshness.
fn stage() -> Stage {
    let route = |name: &str, mfa: &str| {
        format!(
            "[[route]]\nname = \"{name}\"\npath = \"/{name}/{{**}}\"\nupstream = \"orders\"\n{mfa}\n\
             access = {{ any = [{{ jwt = {{ issuer = \"self\", scopes = [\"{SCOPE}\"] }} }}, \
             {{ api_key = {{ scopes = [\"{SCOPE}\"] }} }}] }}\n"
        )
    };
    let strong = format!("mfa = {{ acr = \"aal2\", max_age = \"{MAX_AGE}s\" }}");
    let lines = route("plain", "")
        + &route("level", "mfa = { acr = \"aal2\" }")
        + &route("strong", &strong);
    Stage::with(&lines)
}

fn get(stage: &Stage, path: &str, token: &str) -> Response {
    stage.gate.get(path, &[("authorization", &format!("Bearer {token}"))])
}

/// Status and code on every shard.
fn everywhere(stage: &Stage, path: &str, token: &str) -> Vec<(u16, String)> {
    let all = (0..EVERYWHERE).map(|_| get(stage, path, token));
    all.map(|it| (it.status, it.code())).collect()
}

fn passes(stage: &Stage, path: &str, token: &str) {
    let expected = vec![(200, String::new()); EVERYWHERE];
    assert_eq!(everywhere(stage, path, token), expected, "{path}");
}

/// Refused on every shard, and the upstream is not touched.
fn refused(stage: &Stage, path: &str, token: &str) {
    let count = stage.upstream.count();
    let expected = vec![(401, "step_up.required".to_owned()); EVERYWHERE];
    assert_eq!(everywhere(stage, path, token), expected, "{path}");
    assert_eq!(stage.upstream.count(), count, "{path}");
}

/// Never passes where more is asked for: cold, and after every shard has let it pass where nothing is.
fn never(stage: &Stage, token: &str) {
    for _ in ["cold", "warm"] {
        refused(stage, "/strong/1", token);
        refused(stage, "/level/1", token);
        passes(stage, "/plain/1", token);
    }
    refused(stage, "/strong/1", token);
}

/// An authenticator app, by oathtool's hand.
struct App {
    secret: String,
    /// The step of the last code that was typed: each works once.
    last: i64,
}

impl App {
    fn code(&mut self) -> String {
        self.last = (now() / STEP).max(self.last + 1);
        let time = format!("@{}", self.last * STEP);
        let mut oathtool = Command::new("oathtool");
        oathtool.args(["--totp", "--base32", "--now", &time, &self.secret]);
        let output = oathtool.output().expect("oathtool is installed: cargo xtask test");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }
}

fn page(landing: Landing) -> Page {
    match landing {
        Landing::Page(page) => page,
        Landing::Elsewhere(url) => panic!("led to {url}"),
    }
}

fn form(page: &Page, action: &str) -> Form {
    let form = page.form().unwrap_or_else(|| panic!("no form: {}", page.response.text()));
    assert_eq!((form.action.as_str(), form.method.as_str()), (action, "post"));
    form
}

/// Adds an app to the account that is signed in.
fn add_app(stage: &Stage, person: &mut Person) -> App {
    let browser = person.browser();
    let methods = page(browser.open(&(stage.issuer() + "/account/methods")));
    let begin = form(&methods, "/account/methods/app");
    let shown = page(browser.send(&methods, &begin));
    assert_eq!(shown.title(), "Add an authenticator app");
    let text = shown.response.text();
    let secret = text.split("<code>").nth(1).and_then(|it| it.split("</code>").next());
    let secret = secret.expect("a text to type").split_whitespace().collect();
    let mut app = App { secret, last: 0 };
    let typed = form(&shown, "/account/methods/app/add").with("code", &app.code());
    let done = page(browser.send(&shown, &typed));
    assert_eq!(done.title(), "Your recovery codes", "{}", done.response.text());
    app
}

/// Opens `url` and types codes where they are asked for, and nothing else: the headings, and where it led.
fn step_up(person: &mut Person, app: &mut App, url: &str) -> (Vec<String>, String) {
    let mut titles = Vec::new();
    let mut landing = person.browser().open(url);
    for _ in 0..PAGES {
        let page = match landing {
            Landing::Elsewhere(url) => return (titles, url),
            Landing::Page(page) => page,
        };
        titles.push(page.title());
        let asked = form(&page, "/login");
        assert_eq!(asked.value("factor"), Some("totp"), "{}", page.response.text());
        for more in ["email", "password"] {
            assert!(!page.response.text().contains(&format!("name=\"{more}\"")), "{more}");
        }
        landing = person.browser().send(&page, &asked.with("code", &app.code()));
    }
    panic!("asked again and again: {titles:?}");
}

/// The test's side of the script: what the person does, and what the gate says of a token at this moment.
struct Story<'a> {
    stage: &'a Stage,
    person: Person,
    app: Option<App>,
    /// The headings of each way through the authority.
    saw: Vec<Vec<String>>,
}

impl Story<'_> {
    fn answer(&mut self, question: &Value) -> Value {
        let text = |name: &str| question[name].as_str().unwrap_or_default().to_owned();
        let (stage, token) = (self.stage, text("token"));
        match text("ask").as_str() {
            "authorize" => {
                let url = self.person.authorize(&text("url"));
                self.saw.push(self.person.saw());
                return json!({ "url": url });
            }
            "app" => self.app = Some(add_app(stage, &mut self.person)),
            "step_up" => {
                let app = self.app.as_mut().expect("an app");
                let (titles, url) = step_up(&mut self.person, app, &text("url"));
                self.saw.push(titles);
                return json!({ "url": url });
            }
            "never" => never(stage, &token),
            "passes" => {
                for path in ["/strong/1", "/level/1", "/plain/1"] {
                    passes(stage, path, &token);
                }
            }
            "stale" => {
                refused(stage, "/strong/1", &token);
                passes(stage, "/level/1", &token);
                refused(stage, "/strong/1", &token);
            }
            "outlive" => {
                let longest = Duration::from_secs(MAX_AGE) + SOON;
                wait::until(longest, "the end of max_age", || {
                    get(stage, "/strong/1", &token).status == 401
                });
            }
            "wait" => wait::pause(Duration::from_secs(MAX_AGE + 1)),
            other => panic!("{other:?} is asked"),
        }
        json!({})
    }
}

/// The whole way with access tokens of this format.
fn story(format: &str) {
    let stage = stage();
    let client = stage.shop(&["--token-format", format]);
    let facts = client.with("flow", "step_up").with("gate", stage.gate.url()).facts;
    let person = Person::new(&stage.gate, "Ada Lovelace");
    let mut story = Story { stage: &stage, person, app: None, saw: Vec::new() };
    let told = testkit::converse(&script("openid-client"), &facts, |it| story.answer(it));
    // RFC 9470 §3: both challenges say what is needed, the second one too when only the age is not enough.
    for challenge in [&told["challenge"], &told["again"]] {
        assert_eq!(challenge["status"], 401, "{told}");
        assert_eq!(challenge["scheme"], "bearer", "{told}");
        assert_eq!(challenge["error"], "insufficient_user_authentication", "{told}");
        assert_eq!(challenge["acr_values"], "aal2", "{told}");
        assert_eq!(challenge["max_age"], MAX_AGE.to_string(), "{told}");
    }
    let saw: Vec<Vec<&str>> =
        story.saw.iter().map(|it| it.iter().map(String::as_str).collect()).collect();
    let one = vec!["One more step"];
    assert_eq!(saw, [vec!["Sign in", "Allow Shop?"], one.clone(), one, vec![]], "{told}");
    // RFC 9470 §6.2: what introspection says of each token.
    let acr = |name: &str| told["seen"][name]["acr"].as_str().unwrap_or_default();
    let at = |name: &str| told["seen"][name]["auth_time"].as_i64().expect("auth_time");
    assert_eq!(["first", "old", "low"].map(acr), ["aal1"; 3], "{told}");
    assert_eq!(["second", "third", "renewed"].map(acr), ["aal2"; 3], "{told}");
    // RFC 9700 §4.14, RFC 9470 §6.1: a refresh is no sign-in.
    assert_eq!((at("old"), at("renewed")), (at("first"), at("second")), "{told}");
    let max_age = i64::try_from(MAX_AGE).expect("seconds");
    assert!(at("second") - at("first") >= max_age, "{told}");
    assert!(at("third") - at("second") >= max_age, "{told}");
}

#[test]
fn rfc9470_s5_a_client_steps_up_with_one_question_and_again_after_max_age() {
    story("jwt");
}

#[test]
fn rfc9470_s6_2_the_same_with_tokens_that_are_looked_up() {
    story("opaque");
}

#[test]
fn keys_and_tokens_that_clients_get_for_themselves_never_pass() {
    let stage = stage();
    let made = stage.gate.done(&["key", "create", "--name", "job", "--scope", SCOPE]);
    never(&stage, made["key"].as_str().expect("a key"));
    for format in ["jwt", "opaque"] {
        let args = ["--grant", "client_credentials", "--scope", SCOPE, "--token-format", format];
        let client = stage.client("Nightly job", &args).with("scope", SCOPE);
        // What is asked for changes nothing: nobody signs in.
        for parameters in [json!({}), json!({ "acr_values": "aal2", "max_age": "20" })] {
            let client = client.clone().with("parameters", parameters);
            let told = client.alone("openid-client", "client_credentials");
            never(&stage, told["tokens"]["access_token"].as_str().expect("a token"));
        }
    }
}

#[test]
fn who_has_no_second_factor_yet_adds_one_and_passes_without_a_further_question() {
    let stage = stage();
    let client = stage.shop(&[]);
    let wanted = json!({ "acr_values": "aal2", "max_age": MAX_AGE.to_string() });
    let client = client.with("parameters", wanted).with("api", stage.gate.url() + "/strong/1");
    let mut person = Person::new(&stage.gate, "Ada Lovelace");
    let facts = client.with("flow", "code").facts;
    let told = testkit::converse(&script("openid-client"), &facts, |question| {
        let url = question["url"].as_str().expect("an address");
        let testkit::Arrival::Page(stopped) = person.go(url) else { panic!("nothing is missing") };
        assert_eq!(stopped.title(), "A second step is needed");
        assert_eq!(person.saw(), ["Sign in"]);
        add_app(&stage, &mut person);
        let back = person.authorize(url);
        assert_eq!(person.saw(), ["Allow Shop?"]);
        assert!(parameter(&back, "code").is_some(), "{back}");
        json!({ "url": back })
    });
    assert_eq!((&told["called"], &told["claims"]["acr"]), (&json!(200), &json!("aal2")), "{told}");
    assert_eq!(told["claims"]["amr"], json!(["pwd", "otp", "mfa"]), "{told}");
}
