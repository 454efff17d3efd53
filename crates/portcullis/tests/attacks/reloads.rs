//! Slipping through while the configuration changes.

use crate::setup::{AUDIENCE, PATIENCE, open, route, service, upstream};
use serde_json::json;
use std::time::Duration;
use testkit::{Authority, Behaviour, Endpoint, Gate, Issuer, RawClient, Upstream, free_port};

fn reloaded(gate: &Gate) {
    gate.wait_for_log("the configuration was reloaded", PATIENCE);
}

struct Waiting {
    up: Upstream,
    issuer: Issuer,
    gate: Gate,
}

const TOKEN: &str = "opaque-token-of-alice";

impl Waiting {
    /// A gate whose issuer takes some seconds to say that the token is good.
    fn start(lists: &str, lines: &str) -> Self {
        let (up, issuer) = (Upstream::ok(), Issuer::start());
        issuer.introspects(TOKEN, {
            let mut claims = issuer.claims(AUDIENCE, "read");
            claims["active"] = json!(true);
            claims
        });
        let gate = Gate::start(&Self::config(&up, &issuer, lists, lines));
        issuer.behave_at(Endpoint::Introspection, Behaviour::Drip(Duration::from_millis(6)));
        Self { up, issuer, gate }
    }

    fn config(up: &Upstream, issuer: &Issuer, lists: &str, lines: &str) -> String {
        format!(
            "{}algorithms = []\nintrospection = {{ url = \"{}/introspect\", client_id = \"gate\", \
             client_secret = \"secret\" }}\n{lists}\n{}{}",
            issuer.config("corp", AUDIENCE),
            issuer.url(),
            upstream(up),
            route("a", "/a/{**}", lines),
        )
    }

    /// Sends a request, changes the configuration while the issuer is being asked, and returns the answer.
    fn meanwhile(&mut self, lists: &str, lines: &str) -> (u16, String) {
        let mut client = RawClient::connect(&self.gate.address());
        client.send(format!(
            "GET /a/x HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {TOKEN}\r\n\r\n"
        ));
        testkit::wait::until(PATIENCE, "the question", || {
            self.issuer.fetches(Endpoint::Introspection) > 0
        });
        self.gate.rewrite(&Self::config(&self.up, &self.issuer, lists, lines));
        self.gate.sighup();
        reloaded(&self.gate);
        let answer = client.response();
        (answer.status, answer.code())
    }
}

const READ: &str = "access = { jwt = { issuer = \"corp\", scopes = [\"read\"] } }\n";
const CLOSED: &str = "[[ip_list]]\nname = \"closed\"\nallow = [\"192.0.2.0/24\"]\n";
const WIDE: &str = "[[ip_list]]\nname = \"wide\"\nallow = [\"0.0.0.0/0\"]\n";

/// A request waits for its issuer while a reload puts the address lists in another order: it is still judged by the
/// list that its route names.
#[test]
fn a_reload_during_a_look_up_exchanges_the_address_list() {
    let lines = format!("{READ}ip = [\"closed\"]");
    let mut it = Waiting::start(&[CLOSED, WIDE].concat(), &lines);
    let answer = it.meanwhile(&[WIDE, CLOSED].concat(), &lines);
    assert_eq!(answer, (403, "address.not_listed".to_owned()));
    assert_eq!(it.up.count(), 0);
}

/// A request waits for its issuer while a reload asks more of its route: it is judged by the state that is in force
/// after the wait.
#[test]
fn a_reload_during_a_look_up_comes_too_late() {
    let mut it = Waiting::start("", READ);
    let answer =
        it.meanwhile("", "access = { jwt = { issuer = \"corp\", scopes = [\"admin\"] } }\n");
    assert_eq!(answer, (403, "scope.missing".to_owned()));
    assert_eq!(it.up.count(), 0);
}

/// The same with a route that is gone.
#[test]
fn a_route_that_is_gone_serves_who_waited() {
    let mut it = Waiting::start("", READ);
    let lines = format!("{READ}methods = [\"POST\"]");
    let answer = it.meanwhile("", &lines);
    assert_eq!(answer, (405, "route.method_not_allowed".to_owned()));
    assert_eq!(it.up.count(), 0);
}

/// An operator closes a listener; who holds a connection to it must not go on for as long as he likes.
#[test]
fn a_connection_to_a_listener_that_is_gone_goes_on() {
    let up = Upstream::ok();
    let rest = upstream(&up) + &open("a", "/{**}", "");
    let port = free_port();
    let second = format!("[[listener]]\nname = \"second\"\nbind = \"127.0.0.1:{port}\"\n");
    let mut gate = Gate::start(&(second + &rest));
    let get = "GET /a HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let mut held = RawClient::connect(&format!("127.0.0.1:{port}"));
    let mut kept = RawClient::connect(&gate.address());
    assert_eq!((held.exchange(get).status, kept.exchange(get).status), (200, 200));
    gate.rewrite(&rest);
    reloaded(&gate);
    assert!(held.is_closed(Duration::from_secs(5)), "the idle connection lives on");
    assert_eq!(kept.exchange(get).status, 200, "another listener's connections stay");
}

/// Somebody is blocked while his request waits for the issuer.
#[test]
fn a_block_during_a_look_up_comes_too_late() {
    let it = Waiting::start("", READ);
    let mut client = RawClient::connect(&it.gate.address());
    client.send(format!(
        "GET /a/x HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {TOKEN}\r\n\r\n"
    ));
    testkit::wait::until(PATIENCE, "the question", || {
        it.issuer.fetches(Endpoint::Introspection) > 0
    });
    it.gate.done(&["block", "subject", "alice"]);
    let answer = client.response();
    assert_eq!((answer.status, answer.code().as_str()), (401, "token.revoked"));
    assert_eq!(it.up.count(), 0);
}

/// What an endpoint said of a token is worth nothing once the issuer has another endpoint.
#[test]
fn a_warm_opaque_token_outlives_its_endpoint() {
    let mut it = Waiting::start("", READ);
    it.issuer.behave_at(Endpoint::Introspection, Behaviour::Honest);
    let get =
        |it: &Waiting| it.gate.get("/a/x", &[("authorization", &format!("Bearer {TOKEN}"))]).status;
    assert_eq!([get(&it), get(&it), get(&it)], [200; 3]);
    let other = Issuer::start();
    let config = Waiting::config(&it.up, &it.issuer, "", READ).replace(
        &format!("{}/introspect", it.issuer.url()),
        &format!("{}/introspect", other.url()),
    );
    it.gate.rewrite(&config);
    reloaded(&it.gate);
    for _ in 0..8 {
        assert_eq!(get(&it), 401);
    }
    assert!(other.fetches(Endpoint::Introspection) > 0);
}

/// An authority is taken out of an upstream's CA file, because it signs for others now.
#[test]
fn an_upstreams_old_authority_is_believed_after_a_reload() {
    let folder = tempfile::tempdir().expect("a folder");
    let (old, new) = (Authority::new(), Authority::new());
    let (cert, key) = old.write(folder.path(), "server", &["127.0.0.1"]);
    let up = Upstream::ok();
    let behind = Gate::builder()
        .listener(&format!("tls = {{ cert = {cert:?}, key = {key:?} }}"))
        .rest(&(upstream(&up) + &open("a", "/{**}", "")))
        .start();
    let ca = folder.path().join("ca.pem");
    let gate = Gate::start(
        &(service(&format!("https://{}", behind.address()), &format!("tls = {{ ca = {ca:?} }}"))
            + &open("a", "/{**}", "host_header = \"upstream\"")),
    );
    assert_eq!(gate.get("/a", &[]).status, 200);
    std::fs::write(&ca, new.pem()).expect("the file is written");
    reloaded(&gate);
    let answer = gate.get("/a", &[]);
    assert_eq!((answer.status, answer.code().as_str()), (502, "upstream.unreachable"));
}
