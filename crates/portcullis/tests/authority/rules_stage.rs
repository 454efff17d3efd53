//! What attacks on the authority share: a gate with two resources, clients, codes, and requests that say what an
//! attacker wants them to say.

use base::{Clock as _, SystemClock};
use serde_json::{Value, json};
use testkit::{Gate, Key, Person, Response, Upstream, encode, parameter};

/// RFC 7636 Appendix B.
pub(crate) const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
/// The same.
pub(crate) const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
/// Where clients are sent back to. Nobody listens there.
pub(crate) const CALLBACK: &str = "https://shop.example/callback";
/// What people's clients ask for.
pub(crate) const SCOPES: &str = "openid email offline_access orders:read";

/// An upstream and two routes: `/orders/{**}` asks for `orders:read`, `/stock/{**}` for `stock:read`.
pub(crate) fn routes(up: &Upstream) -> String {
    let route = |name: &str| {
        format!(
            "[[route]]\nname = \"{name}\"\npath = \"/{name}/{{**}}\"\nupstream = \"shop\"\n\
             access = {{ jwt = {{ issuer = \"self\", scopes = [\"{name}:read\"] }} }}\n"
        )
    };
    let up = format!("[[upstream]]\nname = \"shop\"\nservers = [\"{}\"]\n", up.url());
    up + &route("orders") + &route("stock")
}

/// A gate with these routes, and further lines of the file before them.
pub(crate) fn gate(lines: &str) -> (Gate, Upstream) {
    let up = Upstream::ok();
    let gate = Gate::start(&format!("{lines}\n{}", routes(&up)));
    (gate, up)
}

/// A client.
#[derive(Debug, Clone)]
pub(crate) struct App {
    pub(crate) id: String,
    pub(crate) secret: Option<String>,
}

/// Makes a client with these arguments.
pub(crate) fn client(gate: &Gate, name: &str, args: &[&str]) -> App {
    let made = gate.done(&[&["client", "create", "--name", name], args].concat());
    App {
        id: made["client_id"].as_str().expect("an id").to_owned(),
        secret: made["client_secret"].as_str().map(str::to_owned),
    }
}

/// A client for people, with these further arguments; it proves itself by a secret in the body unless they say else.
pub(crate) fn shop(gate: &Gate, args: &[&str]) -> App {
    let mut all = vec!["--redirect-uri", CALLBACK];
    all.extend(["--grant", "authorization_code", "--grant", "refresh_token"]);
    if !args.contains(&"--public") && !args.contains(&"--auth") {
        all.extend(["--auth", "client_secret_post"]);
    }
    if !args.contains(&"--scope") {
        all.push("--scope");
        all.extend(SCOPES.split(' '));
    }
    all.extend(args);
    client(gate, "Shop", &all)
}

/// A client for itself.
pub(crate) fn robot(gate: &Gate, scopes: &[&str], args: &[&str]) -> App {
    let mut all = vec!["--grant", "client_credentials", "--auth", "client_secret_post", "--scope"];
    all.extend(scopes);
    all.extend(args);
    client(gate, "Robot", &all)
}

/// A client that signs with this key.
pub(crate) fn with_key(gate: &Gate, key: &Key, args: &[&str]) -> App {
    let path = gate.folder().join("client.jwks");
    std::fs::write(&path, testkit::jose::key_set([key]).to_string()).expect("a file");
    let path = path.display().to_string();
    let own = ["--auth", "private_key_jwt", "--jwks", &path];
    client(gate, "Signer", &[&own, args].concat())
}

/// Seconds since 1970.
pub(crate) fn now() -> i64 {
    SystemClock::new().now().seconds()
}

/// Pairs with some of them replaced; an empty value takes one out.
pub(crate) fn changed<'a>(
    pairs: &[(&'a str, &'a str)],
    changes: &[(&'a str, &'a str)],
) -> Vec<(&'a str, &'a str)> {
    let mut all: Vec<_> =
        pairs.iter().filter(|(name, _)| changes.iter().all(|it| it.0 != *name)).copied().collect();
    all.extend(changes.iter().filter(|it| !it.1.is_empty()));
    all
}

/// The authorization request of a client, with changes.
pub(crate) fn request_url(gate: &Gate, app: &App, changes: &[(&str, &str)]) -> String {
    let pairs = [
        ("client_id", app.id.as_str()),
        ("response_type", "code"),
        ("redirect_uri", CALLBACK),
        ("scope", SCOPES),
        ("state", "s-1"),
        ("nonce", "n-1"),
        ("code_challenge", CHALLENGE),
        ("code_challenge_method", "S256"),
    ];
    format!("{}/oauth/authorize?{}", gate.control(), encode(&changed(&pairs, changes)))
}

/// POST of a form, without following.
pub(crate) fn post(gate: &Gate, path: &str, fields: &[(&str, &str)]) -> Response {
    post_with(gate, path, &[], &encode(fields))
}

/// The same with headers and the body as it is.
pub(crate) fn post_with(gate: &Gate, path: &str, headers: &[(&str, &str)], body: &str) -> Response {
    let form = ("content-type", "application/x-www-form-urlencoded");
    let headers = [&[form], headers].concat();
    testkit::request("POST", &(gate.control() + path), &headers, body.as_bytes())
}

impl App {
    /// The fields by which it proves itself.
    pub(crate) fn proof(&self) -> Vec<(&str, &str)> {
        let secret = self.secret.as_deref().map(|it| ("client_secret", it));
        [("client_id", self.id.as_str())].into_iter().chain(secret).collect()
    }

    /// A call of an endpoint at which it proves itself.
    pub(crate) fn call(&self, gate: &Gate, path: &str, fields: &[(&str, &str)]) -> Response {
        self.ask(&gate.control(), path, fields)
    }

    /// The same at an issuer, for threads.
    pub(crate) fn ask(&self, issuer: &str, path: &str, fields: &[(&str, &str)]) -> Response {
        let body = encode(&[&self.proof(), fields].concat());
        let form = [("content-type", "application/x-www-form-urlencoded")];
        testkit::request("POST", &format!("{issuer}{path}"), &form, body.as_bytes())
    }

    /// A token request.
    pub(crate) fn token(&self, gate: &Gate, fields: &[(&str, &str)]) -> Response {
        self.call(gate, "/oauth/token", fields)
    }

    /// Redeems a code, with changes.
    pub(crate) fn redeem(&self, gate: &Gate, code: &str, changes: &[(&str, &str)]) -> Response {
        self.token(gate, &changed(&redemption(code), changes))
    }

    /// A code that a person gives.
    pub(crate) fn code(&self, gate: &Gate, person: &mut Person) -> String {
        code_of(&person.authorize(&request_url(gate, self, &[])))
    }

    /// The tokens of a whole flow.
    pub(crate) fn tokens(&self, gate: &Gate, person: &mut Person) -> Value {
        let code = self.code(gate, person);
        good(&self.redeem(gate, &code, &[]))
    }

    /// A token of its own.
    pub(crate) fn own_token(&self, gate: &Gate, fields: &[(&str, &str)]) -> String {
        let grant = [("grant_type", "client_credentials")];
        text(&good(&self.token(gate, &[&grant, fields].concat())), "access_token")
    }
}

/// The fields of a redemption.
pub(crate) fn redemption(code: &str) -> [(&str, &str); 4] {
    [
        ("grant_type", "authorization_code"),
        ("code", code),
        ("redirect_uri", CALLBACK),
        ("code_verifier", VERIFIER),
    ]
}

/// The code in an address.
pub(crate) fn code_of(url: &str) -> String {
    parameter(url, "code").unwrap_or_else(|| panic!("no code in {url}"))
}

/// The JSON of an answer that must be good.
pub(crate) fn good(answer: &Response) -> Value {
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

/// The error of an answer that must be none of 200 and 5xx.
pub(crate) fn error(answer: &Response) -> String {
    assert!((400..500).contains(&answer.status), "{}: {}", answer.status, answer.text());
    text(&answer.json(), "error")
}

/// A member that must be a text.
pub(crate) fn text(value: &Value, name: &str) -> String {
    value[name].as_str().unwrap_or_else(|| panic!("no {name}: {value}")).to_owned()
}

/// The status of a call through the gate with a bearer token.
pub(crate) fn status(gate: &Gate, path: &str, token: &str) -> u16 {
    gate.get(path, &[("authorization", &format!("Bearer {token}"))]).status
}

/// The claims of a JWT, without a look at its signature.
pub(crate) fn claims(token: &str) -> Value {
    let part = token.split('.').nth(1).expect("three parts");
    let bytes = testkit::jose::unb64(part);
    serde_json::from_slice(&bytes).unwrap_or(json!(null))
}
