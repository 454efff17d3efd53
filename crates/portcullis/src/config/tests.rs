//! Tables of texts and what comes of them. The world around the file is [`Around`].

use super::*;
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::OnceLock;

mod accepted;
pub(super) mod guide;
mod mistakes;
mod properties;
mod refused;

/// Files and variables that a test says exist.
#[derive(Default)]
struct Around {
    files: HashMap<PathBuf, Vec<u8>>,
    variables: HashMap<String, String>,
}

impl Around {
    fn usual() -> Self {
        let (certificate, key) = pair();
        let file =
            |name: &str, text: String| (PathBuf::from("/etc/gate").join(name), text.into_bytes());
        Self {
            files: HashMap::from([
                file("server.pem", certificate),
                file("server.key", key),
                file("other.key", other_key()),
                file("odd.pem", ODD.to_owned()),
                file("jwks.json", KEYS.to_owned()),
                file("odd.json", r#"{"keys":[{"kty":"oct","k":"AA"}]}"#.to_owned()),
                file("empty.json", r#"{"keys":[]}"#.to_owned()),
                file("secret.txt", "hunter2\n".to_owned()),
                file("blank.txt", "\n".to_owned()),
            ]),
            variables: HashMap::from([("GATE_SECRET".to_owned(), "hunter2".to_owned())]),
        }
    }
}

/// PEM around something that is no certificate.
const ODD: &str = "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n";

/// A certificate and its key, made once.
fn pair() -> (String, String) {
    static PAIR: OnceLock<(String, String)> = OnceLock::new();
    let make = || {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        (made.cert.pem(), made.signing_key.serialize_pem())
    };
    PAIR.get_or_init(make).clone()
}

/// A key of nobody.
fn other_key() -> String {
    static KEY: OnceLock<String> = OnceLock::new();
    KEY.get_or_init(|| rcgen::KeyPair::generate().unwrap().serialize_pem()).clone()
}

impl Surroundings for Around {
    fn file(&self, path: &Path) -> io::Result<Vec<u8>> {
        self.files.get(path).cloned().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn variable(&self, name: &str) -> Option<String> {
        self.variables.get(name).cloned()
    }
}

fn report(text: &str) -> Report {
    Config::read(text, Path::new("/etc/gate"), &Around::usual())
}

/// A key set with the key of RFC 8037 appendix A.2.
const KEYS: &str = r#"{"keys":[{"kty":"OKP","crv":"Ed25519",
"x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;

/// A sound file with one thing of each kind; `{…}` of a test's text is put in at the named place.
const BASE: &str = r#"version = 1
[server]
#server
[[listener]]
name = "api"
bind = "127.0.0.1:8000"
#listener
[[issuer]]
name = "corp"
issuer = "https://login.corp.example"
audience = ["orders-api"]
#issuer
[[ip_list]]
name = "office"
allow = ["192.0.2.0/24"]
#ip_list
[[upstream]]
name = "orders"
servers = ["http://127.0.0.1:9000"]
#upstream
[[route]]
name = "orders-read"
path = "/orders/{**}"
methods = ["GET"]
upstream = "orders"
#route
[route.access]
any = [{ api_key = { scopes = ["orders:read"] } }]
#end
"#;

/// The base with a text in place of the mark `#section`.
fn with(section: &str, text: &str) -> String {
    BASE.replace(&format!("#{section}\n"), &format!("{text}\n"))
}

/// The base with `access` of the route replaced.
fn with_access(access: &str) -> String {
    let open = BASE.find("[route.access]").unwrap();
    BASE[..open].replace("#route\n", &format!("access = {access}\n"))
}

fn sound(text: &str) -> Config {
    let report = report(text);
    assert_eq!(report.errors(), 0, "{text}\n{:#?}", report.problems);
    report.config.unwrap()
}

/// Checks that a text has exactly one problem, and which.
fn check(text: &str, code: &str, path: &str) {
    let report = report(text);
    let found: Vec<_> =
        report.problems.iter().map(|it| (it.code.as_str(), it.path.as_str())).collect();
    assert_eq!(found, [(code, path)], "{text}\n{:#?}", report.problems);
    assert_eq!(report.config.is_none(), report.errors() > 0);
}

#[test]
fn the_built_in_configuration_is_sound() {
    let report = Config::embedded_default();
    assert_eq!(report.problems, []);
    let config = report.config.unwrap();
    assert_eq!(config.upstreams[0].servers[0].target, Target::BuiltinEcho);
    assert_eq!(config.listeners[0].public_url.as_str(), "http://localhost:8000");
    assert_eq!(config.server.control.to_string(), "127.0.0.1:8001");
    let refused = Config::read(EMBEDDED, Path::new(""), &Nothing);
    assert!(refused.config.is_none(), "the echo service cannot be named from outside");
}

#[test]
fn the_base_is_sound() {
    assert_eq!(report(BASE).problems, []);
}

#[test]
fn the_place_of_a_problem_is_exact() {
    let report = report(&with("route", "  # über\n  timeuot = \"5s\""));
    let problem = &report.problems[0];
    assert_eq!((problem.line, problem.column), (27, 3));
    assert_eq!(problem.hint.as_deref(), Some("did you mean `timeout`?"));
    let shown = problem.render("portcullis.toml");
    assert_eq!(
        shown,
        "error[unknown_key]: unknown key \"timeuot\"\n  \
           --> portcullis.toml:27:3 (route[0].timeuot)\n   \
            |\n27 |   timeuot = \"5s\"\n   |   ^^^^^^^\n  hint: did you mean `timeout`?\n"
    );
}

#[test]
fn secrets_are_never_shown() {
    let introspection = "introspection = { url = \"https://x.example/i\", client_id = \"gate\", \
                         client_secret = \"hunter2\", cashe = \"1s\" }";
    let set = "headers = { set = { x-key = \"hunter2\", Connection = \"hunter2\" } }";
    for text in [
        with("issuer", introspection),
        with("route", set),
        with("route", "headers = { set = { x-key = { value = \"hunter2\" } } }"),
        with("route", "headers = { set = { x-key = [\"hunter2\"] } }"),
        with("server", "store = \"mysql://gate:hunter2@db\""),
        BASE.replace("http://127.0.0.1:9000", "http://gate:hunter2@127.0.0.1:9000"),
        BASE.replace("http://127.0.0.1:9000", "gate:hunter2@127.0.0.1:9000"),
        with("server", "store = \"postgres://gate:hunter2@db"),
        with("issuer", "client_secret = \"hunter2"),
    ] {
        let report = report(&text);
        assert!(report.errors() > 0, "{text}");
        for problem in &report.problems {
            assert!(!problem.render("f").contains("hunter2"), "{}", problem.render("f"));
            assert!(!format!("{problem:?}").contains("hunter2"));
        }
    }
    let config = sound(&with("issuer", &introspection.replace(", cashe = \"1s\"", "")));
    assert!(!format!("{config:?}").contains("hunter2"));
    let config = sound(&with("server", "store = \"postgres://gate:hunter2@db\""));
    assert!(!format!("{config:?}").contains("hunter2"));
}
