//! What an attacker wins by asking two nodes with one PostgreSQL at the same moment.

use crate::authority_stage::*;
use serde_json::Value;
use std::time::Duration;
use testkit::postgres::PrivatePostgres;
use testkit::{Builder, Gate, Person, Response, Upstream, wait};

/// How many ask at once.
const AT_ONCE: usize = 50;
/// What is revoked is refused everywhere within this time.
const SECOND: Duration = Duration::from_secs(1);
/// How long a spent refresh token is taken once more, and a little (issue 3: 10 s).
const WINDOW: Duration = Duration::from_secs(11);

/// Two nodes of one installation.
pub(crate) struct Nodes {
    one: Gate,
    two: Gate,
    _up: Upstream,
    _folder: tempfile::TempDir,
    _postgres: PrivatePostgres,
}

impl Nodes {
    pub(crate) fn start() -> Self {
        let postgres = PrivatePostgres::start().expect("PostgreSQL");
        let up = Upstream::ok();
        let first = Gate::builder();
        let issuer = format!("http://localhost:{}", first.control_port());
        let node = |builder: Builder| {
            builder.whole(&format!(
                "version = 1\n[server]\npublic_url = \"{issuer}\"\n\
                 control = \"127.0.0.1:@control@\"\nstore = \"{}\"\n\
                 [[listener]]\nname = \"api\"\nbind = \"127.0.0.1:@gateway@\"\n\
                 public_url = \"https://api.example\"\n{}",
                postgres.url(),
                routes(&up)
            ))
        };
        let one = node(first).start();
        // Nodes of one installation share the key that seals their secrets.
        let folder = tempfile::tempdir().expect("a folder");
        let data = folder.path().join("data");
        std::fs::create_dir(&data).expect("a folder");
        let key = "master.key";
        std::fs::copy(one.data().join(key), data.join(key)).expect("the master key");
        let two = node(Gate::builder()).data(&data).start();
        Self { one, two, _up: up, _folder: folder, _postgres: postgres }
    }

    pub(crate) fn both(&self) -> [&Gate; 2] {
        [&self.one, &self.two]
    }

    /// The same call, many times at once, at both nodes in turn.
    fn at_once(&self, call: impl Fn(&str) -> Response + Sync) -> Vec<Response> {
        let (call, both) = (&call, &self.both().map(Gate::control));
        std::thread::scope(|scope| {
            let asked: Vec<_> =
                (0..AT_ONCE).map(|n| scope.spawn(move || call(&both[n % 2]))).collect();
            asked.into_iter().map(|it| it.join().expect("an answer")).collect()
        })
    }

    /// Waits until both nodes know the client.
    fn know(&self, app: &App) {
        for gate in self.both() {
            wait::until(Duration::from_secs(5), "the client", || {
                error(&app.redeem(gate, "pcc_none", &[])) == "invalid_grant"
            });
        }
    }

    /// Fails unless a token is refused at both gates within a second.
    fn is_dead(&self, token: &str) {
        for gate in self.both() {
            wait::until(SECOND, "the end of a token", || status(gate, "/orders/1", token) == 401);
        }
    }
}

fn split(answers: &[Response]) -> (Vec<Value>, Vec<String>) {
    let (good, bad): (Vec<_>, Vec<_>) = answers.iter().partition(|it| it.status == 200);
    (good.into_iter().map(Response::json).collect(), bad.into_iter().map(error).collect())
}

/// RFC 6749 §4.1.2, §10.5: a code is used once; used twice, it ends what was issued on it.
#[test]
fn a_code_is_redeemed_twice_at_two_nodes() {
    let nodes = Nodes::start();
    for args in [&["--public"] as &[&str], &["--token-format", "opaque"]] {
        let app = shop(&nodes.one, args);
        nodes.know(&app);
        let mut person = Person::new(&nodes.one, "Ada");
        for round in 0..3 {
            let code = app.code(&nodes.one, &mut person);
            let answers =
                nodes.at_once(|issuer| app.ask(issuer, "/oauth/token", &redemption(&code)));
            let (good, bad) = split(&answers);
            assert!(good.len() <= 1, "round {round}: {} tokens for one code", good.len());
            assert!(bad.iter().all(|it| it == "invalid_grant"), "round {round}: {bad:?}");
            for tokens in good {
                nodes.is_dead(&text(&tokens, "access_token"));
                let refresh = text(&tokens, "refresh_token");
                for gate in nodes.both() {
                    let fields =
                        [("grant_type", "refresh_token"), ("refresh_token", refresh.as_str())];
                    assert_eq!(error(&app.token(gate, &fields)), "invalid_grant");
                }
            }
        }
    }
}

/// RFC 9700 §4.14.2: within the window one parent has one child, after it the family is dead.
#[test]
fn a_refresh_token_has_two_children_at_two_nodes_or_outlives_its_theft() {
    let nodes = Nodes::start();
    let app = shop(&nodes.one, &["--public"]);
    nodes.know(&app);
    let mut person = Person::new(&nodes.one, "Ada");
    let parent = text(&app.tokens(&nodes.one, &mut person), "refresh_token");
    let refresh = |issuer: &str, token: &str| {
        let fields = [("grant_type", "refresh_token"), ("refresh_token", token)];
        app.ask(issuer, "/oauth/token", &fields)
    };
    let answers = nodes.at_once(|issuer| refresh(issuer, &parent));
    let (good, bad) = split(&answers);
    assert_eq!((good.len(), bad.as_slice()), (AT_ONCE, [].as_slice()));
    let mut children: Vec<_> = good.iter().map(|it| text(it, "refresh_token")).collect();
    children.sort_unstable();
    children.dedup();
    assert_eq!(children.len(), 1, "children of one parent");
    let tokens: Vec<_> = good.iter().map(|it| text(it, "access_token")).collect();
    for gate in nodes.both() {
        assert!(tokens.iter().all(|it| status(gate, "/orders/1", it) == 200));
    }
    wait::pause(WINDOW);
    // The thief comes with the parent, at either node.
    assert_eq!(error(&refresh(&nodes.two.control(), &parent)), "invalid_grant");
    for gate in nodes.both() {
        wait::until(SECOND, "the family's end", || {
            tokens.iter().all(|it| status(gate, "/orders/1", it) == 401)
        });
        assert_eq!(error(&refresh(&gate.control(), &children[0])), "invalid_grant");
    }
}

/// RFC 8628 §3.5, RFC 9126 §4: what is answered once is answered once, whichever node is asked.
#[test]
fn a_device_code_and_a_pushed_request_are_used_twice_at_two_nodes() {
    let nodes = Nodes::start();
    let grant = ["--grant", "device_code", "--grant", "authorization_code"];
    let app = shop(&nodes.one, &[&["--public"], grant.as_slice()].concat());
    nodes.know(&app);
    let mut person = Person::new(&nodes.one, "Ada");
    let asked = good(&app.call(&nodes.one, "/oauth/device_authorization", &[("scope", SCOPES)]));
    person.go(&text(&asked, "verification_uri_complete"));
    let device = text(&asked, "device_code");
    let answers = nodes.at_once(|issuer| {
        let grant = "urn:ietf:params:oauth:grant-type:device_code";
        let fields = [("grant_type", grant), ("device_code", &device)];
        app.ask(issuer, "/oauth/token", &fields)
    });
    let (good_ones, bad) = split(&answers);
    assert_eq!(good_ones.len(), 1, "{bad:?}");
    assert!(bad.iter().all(|it| it == "expired_token" || it == "invalid_grant"), "{bad:?}");
}

/// A thief has a client's secret and asks both nodes without pause, while an administrator ends the client. What a node
/// gives that has not heard of it yet must be as dead as all else.
#[test]
fn a_client_that_is_ended_gets_a_token_that_lives_on() {
    let nodes = Nodes::start();
    let issuers = nodes.both().map(Gate::control);
    for round in 0..8 {
        let app = robot(&nodes.one, &["orders:read"], &[]);
        let fields = [("grant_type", "client_credentials")];
        let ask = |issuer: &str| app.ask(issuer, "/oauth/token", &fields);
        wait::until(Duration::from_secs(5), "the client", || ask(&issuers[1]).status == 200);
        let given: Vec<String> = std::thread::scope(|scope| {
            let (ask, mut thieves) = (&ask, Vec::new());
            for issuer in &issuers {
                thieves.push(scope.spawn(move || {
                    let mut given = Vec::new();
                    loop {
                        let answer = ask(issuer);
                        match answer.status {
                            200 => given.push(text(&answer.json(), "access_token")),
                            _ => return given,
                        }
                    }
                }));
            }
            wait::pause(Duration::from_millis(300 + 90 * round));
            nodes.one.done(&["client", "disable", &app.id]);
            thieves.into_iter().flat_map(|it| it.join().expect("what was given")).collect()
        });
        for gate in nodes.both() {
            let alive = || given.iter().filter(|it| status(gate, "/orders/1", it) == 200).count();
            let last = wait::until(Duration::from_secs(2), "the end of all", || alive() == 0);
            assert!(last < SECOND * 2, "round {round}");
        }
    }
}
