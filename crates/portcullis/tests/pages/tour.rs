//! Every page in every state that people meet, with what is hard to lay out: the tour that [`crate::sights`] and others
//! take.

mod elsewhere;
mod passkeys;
mod recovery;
mod trouble;

use crate::account;
use crate::second::{code, forget};
use crate::stage::*;
use serde_json::json;
use testkit::{Gate, Node, Person, WebDriver, free_port, request};

/// A name as long as names may be, in one word.
const LONG: &str = "Internationalisierungsarbeitsgruppenverwaltungsanwendungsbetriebsgesellschaftsoberflächenschnittst";
/// Scopes of a client that asks for a lot; none has words.
const SCOPES: usize = 12;
/// A name that is read from right to left.
const HEBREW: &str = "לוח ההזמנות של צפון";

/// A page in a state.
pub(crate) struct Sight {
    /// What its picture is called.
    pub(crate) name: &'static str,
    /// Whether there is to be a picture of it, at which widths.
    pub(crate) widths: &'static [u32],
}

/// A window on a desk, and a telephone.
const BOTH: &[u32] = &[1280, 360];
const DESK: &[u32] = &[1280];
const PHONE: &[u32] = &[360];
const NONE: &[u32] = &[];

/// Where the tour is taken: an authority with providers and rules, so that every page can be met.
pub(crate) struct Scene {
    pub(crate) stage: Stage,
    provider: Node,
}

impl Scene {
    /// Sets it.
    pub(crate) fn set() -> Self {
        let (provider, corp) = crate::elsewhere::provider();
        // Nobody listens there.
        let away = format!("http://127.0.0.1:{}", free_port());
        let stage = Stage::start_with(&format!(
            "{corp}[[provider]]\nname = \"away\"\ndisplay_name = \"Fabrikam Verwaltungsgesellschaft mbH\"\n\
             issuer = \"{away}\"\nclient_id = \"us\"\nclient_secret = \"shared\"\n\
             [[sign_in]]\nname = \"crew\"\ngroups = [\"crew\"]\nacr = \"aal2\"\n\
             [[sign_in]]\nname = \"vault\"\ngroups = [\"vault\"]\nacr = \"phr\"\n{}",
            crate::addresses::LISTS
        ));
        crate::elsewhere::introduce(&stage, &provider);
        Self { stage, provider }
    }

    /// Opens every page in every state, and calls `look` at each.
    pub(crate) fn take(&self, browser: &WebDriver, mut look: impl FnMut(&Sight)) {
        let mut at = |name: &'static str, heading: &str, widths: &'static [u32]| {
            let found = browser.text("h1");
            assert!(found.contains(heading), "{name}: {found}: {}", browser.text("body"));
            look(&Sight { name, widths });
        };
        let stage = &self.stage;
        browser.open(&stage.at("/"));
        at("root", "The gate", BOTH);
        set_up(stage, browser, &mut at);
        clients(stage, browser, &mut at);
        strangers(stage, browser, &mut at);
        second_steps(stage, browser, &mut at);
        crate::addresses::tour(stage, browser, &mut at);
        crate::email::tour(stage, browser, &mut at);
        recovery::take(stage, browser, &mut at);
        elsewhere::take(self, browser, &mut at);
        passkeys::take(stage, browser, &mut at);
        trouble::take(stage, browser, &mut at);
    }
}

/// What a client leads to.
fn clients(stage: &Stage, browser: &WebDriver, at: &mut Look<'_>) {
    let mut person = Person::new(&stage.gate, "Ada Lovelace");
    let client = stage.client("Orders dashboard");
    browser.open(&stage.authorize(&client, &[]));
    at("sign-in", "Sign in", BOTH);
    browser.fill("#email", "ada@example.com");
    browser.fill("#password", "not the one");
    browser.click("button");
    at("sign-in-wrong", "Sign in", BOTH);
    sign_in(browser, &person);
    at("consent", "Allow Orders dashboard?", BOTH);
    browser.open(&stage.authorize("nobody", &[]));
    at("error", "This request cannot go on", DESK);
    devices(stage, browser, at);
    // The page goes on by itself where scripts run.
    browser.scripts(false);
    browser.open(&stage.authorize(&client, &[("response_mode", "form_post")]));
    browser.click("button[value=allow]");
    browser.scripts(true);
    at("one-moment", "One moment", NONE);
    // The same person somewhere else, where they allow what has a long name.
    for name in ["Orders dashboard", LONG] {
        person.authorize(&stage.authorize(&stage.client(name), &[]));
    }
    browser.open(&stage.at("/account"));
    assert!(browser.has("input[value=others]") && browser.text("main").contains(LONG));
    at("account-many", "Your account", BOTH);
    browser.open(&stage.logout(&client));
    at("sign-out", "Sign out?", DESK);
    browser.click("button[value=deny]");
    at("stays-signed-in", "You stay signed in", NONE);
    browser.open(&stage.at("/oauth/logout"));
    browser.click("button[value=allow]");
    at("signed-out", "You are signed out", NONE);
    gate(stage, browser, &person, at);
}

/// Two factors: adding one, and being asked for it.
fn second_steps(stage: &Stage, browser: &WebDriver, at: &mut Look<'_>) {
    forget(browser);
    let person = Person::new(&stage.gate, "Ada Lovelace");
    account::join(stage, &person);
    let client = stage.client("Payments");
    stage.sign_in(browser, &stage.authorize(&client, &[("acr_values", "aal2")]), &person);
    at("second-step-needed", "A second step is needed", PHONE);
    browser.click("a.button");
    at("methods-empty", "How you sign in", BOTH);
    browser.click("form[action='/account/methods/app'] button");
    at("add-app", "Add an authenticator app", BOTH);
    browser.fill("#code", "000000");
    browser.click("form.panel button");
    at("add-app-wrong", "Add an authenticator app", PHONE);
    let secret: String = browser.text("form code").split_whitespace().collect();
    browser.fill("#name", "My phone");
    browser.fill("#code", &code(&secret, 0));
    browser.click("form.panel button");
    at("recovery-codes", "Your recovery codes", BOTH);
    browser.click("a.button");
    at("methods", "How you sign in", BOTH);
    browser.open(&stage.at("/account"));
    at("account", "Your account", BOTH);
    account::sights(stage, browser, at);
    forget(browser);
    stage.sign_in(browser, &stage.authorize(&client, &[]), &person);
    at("second-step", "One more step", BOTH);
    browser.fill("#code", "000000");
    browser.click("form.panel button");
    at("second-step-wrong", "One more step", PHONE);
    browser.touch("summary");
    at("second-step-recovery", "One more step", PHONE);
}

/// The pages of the gate itself, at a site behind it.
fn gate(stage: &Stage, browser: &WebDriver, person: &Person, at: &mut Look<'_>) {
    stage.sign_in(browser, &stage.site("/site/orders"), person);
    assert_eq!(browser.text("h1"), "Back at the shop", "{}", browser.url());
    browser.open(&stage.site("/.portcullis/sign-out"));
    at("gate-sign-out", "Sign out?", BOTH);
    browser.click("button");
    at("gate-signed-out", "Signed out", NONE);
    browser.open(&stage.site("/.portcullis/callback"));
    at("gate-not-completed", "Signing in was not completed", DESK);
}

pub(crate) type Look<'a> = dyn FnMut(&'static str, &str, &'static [u32]) + 'a;

fn set_up(stage: &Stage, browser: &WebDriver, at: &mut Look<'_>) {
    let link = stage.invite("ada@example.com");
    browser.open(&link);
    at("set-up", "Set your password", DESK);
    browser.open(&stage.at("/setup?first=1"));
    at("set-up-first", "Set your password", NONE);
    for (css, text) in
        [("#code", "spent"), ("#email", "a@b.example"), ("#password", "four words are enough")]
    {
        browser.fill(css, text);
    }
    browser.click("button");
    at("set-up-spent", "Set your password", PHONE);
    browser.open(&link);
    browser.fill("#password", "passwordpassword");
    browser.click("button");
    at("set-up-weak", "Set your password", NONE);
    browser.open(&(link.clone() + "#"));
    browser.fill("#code", link.split_once('#').expect("a code").1);
    browser.fill("#password", "four words are long enough");
    browser.click("button");
    at("set-up-done", "Your password is set", DESK);
}

fn devices(stage: &Stage, browser: &WebDriver, at: &mut Look<'_>) {
    let client =
        stage.client_at("Television", &stage.callback(), &["--public", "--grant", "device_code"]);
    browser.open(&stage.at("/device"));
    at("device", "Connect a device", DESK);
    browser.fill("#user_code", "BBBB-BBBB");
    browser.click("button");
    at("device-unknown", "Connect a device", PHONE);
    let told = stage.device(&client);
    browser.open(told["verification_uri_complete"].as_str().expect("an address"));
    at("device-consent", "Connect Television?", BOTH);
    browser.click("button[value=allow]");
    at("device-done", "Connected", NONE);
}

/// Names, addresses and requests that nobody here has chosen.
fn strangers(stage: &Stage, browser: &WebDriver, at: &mut Look<'_>) {
    let email = long_email();
    let link = stage.invite(&email);
    browser.devtools("Network.clearBrowserCookies", &json!({}));
    browser.open(&link);
    browser.fill("#password", "four words are long enough");
    browser.click("button");
    let host = format!("{}.example.com", "a-very-long-name-of-a-host".repeat(2));
    let back = format!("https://{host}/callback");
    let many: Vec<String> =
        (0..SCOPES).map(|number| format!("resource-{number}:administer-everything")).collect();
    let mut scopes = vec!["--scope"];
    scopes.extend(many.iter().map(String::as_str));
    let long = stage.client_at(LONG, &back, &scopes);
    let scope = format!("openid {}", many.join(" "));
    let wanted = [("redirect_uri", &*back), ("login_hint", &*email), ("scope", &*scope)];
    let url = stage.authorize(&long, &wanted);
    browser.open(&url);
    at("sign-in-long", "Sign in", PHONE);
    browser.fill("#password", "four words are long enough");
    browser.click("button");
    at("consent-long", "Allow Internationalisierung", PHONE);
    let right_to_left = stage.client(HEBREW);
    browser.open(&stage.authorize(&right_to_left, &[]));
    at("consent-right-to-left", "Allow", PHONE);
    let stranger = register(&stage.gate, "Budget helper", &back);
    let (scope, details) = ("openid email offline_access", details());
    let wanted = [("redirect_uri", &*back), ("scope", scope), ("authorization_details", &*details)];
    browser.open(&stage.authorize(&stranger, &wanted));
    assert_eq!(browser.text("h1"), "Allow Budget helper?", "{}", browser.text("main"));
    assert!(browser.text(".note").contains("Nobody here has checked"), "{}", browser.text("main"));
    assert!(browser.text(".facts").contains("DE02100100109307118603"), "{}", browser.text("main"));
    at("consent-stranger", "Allow Budget helper?", BOTH);
}

/// A client that made itself known (RFC 7591).
fn register(gate: &Gate, name: &str, back: &str) -> String {
    let body = json!({
        "client_name": name,
        "redirect_uris": [back],
        "token_endpoint_auth_method": "none",
        "authorization_details_types": ["payment_initiation"],
        "scope": "openid email offline_access",
    });
    let kind = ("content-type", "application/json");
    let url = gate.control() + "/oauth/register";
    let answer = request("POST", &url, &[kind], body.to_string().as_bytes());
    assert_eq!(answer.status, 201, "{}", answer.text());
    answer.json()["client_id"].as_str().expect("an id").to_owned()
}

/// RFC 9396 §2, an order to pay, with members that are hard to show.
fn details() -> String {
    json!([{
        "type": "payment_initiation",
        "actions": ["initiate", "status", "cancel"],
        "instructedAmount": { "currency": "EUR", "amount": "123.50" },
        "creditorName": "Merchant A",
        "creditorAccount": { "bic": "ABCIDEFF", "iban": "DE02100100109307118603" },
        "remittanceInformationUnstructured": "Ref Number Merchant",
        "x".repeat(60): "y".repeat(120),
    }])
    .to_string()
}

/// An address as long as addresses may be (RFC 5321 §4.5.3.1.3, less the brackets).
fn long_email() -> String {
    let label = "b".repeat(61);
    format!("{}@{label}.{label}.{label}.com", "a".repeat(64))
}
