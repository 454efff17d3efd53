//! Tokens that one client exchanged from another's end with that other client, and with its grant: warm, at the gate and at
//! introspection (RFC 8693 leaves it open; here nothing outlives what it was made of).

use super::rules_stage::{App, claims, client, error, gate, good, shop, status, text};
use crate::setup::SOON;
use serde_json::json;
use testkit::{Gate, Person, wait};

const EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const ACCESS: &str = "urn:ietf:params:oauth:token-type:access_token";

fn service(gate: &Gate, name: &str, more: &[&str]) -> App {
    let orders = gate.url() + "/orders/";
    let args = ["--grant", "token_exchange", "--auth", "client_secret_post", "--resource", &orders];
    client(gate, name, &[&args[..], &["--scope", "orders:read"], more].concat())
}

fn exchanged(gate: &Gate, by: &App, token: &str) -> String {
    let fields =
        [("grant_type", EXCHANGE), ("subject_token", token), ("subject_token_type", ACCESS)];
    text(&good(&by.token(gate, &fields)), "access_token")
}

fn is_active(gate: &Gate, by: &App, token: &str) -> bool {
    good(&by.call(gate, "/oauth/introspect", &[("token", token)]))["active"] == true
}

/// A person's client, two services that hand its token on, and a third whose tokens are references.
struct Chain {
    app: App,
    services: [App; 3],
    person: Person,
}

impl Chain {
    fn new(gate: &Gate) -> Self {
        let services = [
            service(gate, "First", &[]),
            service(gate, "Second", &[]),
            service(gate, "Third", &["--token-format", "opaque"]),
        ];
        Self { app: shop(gate, &[]), services, person: Person::new(gate, "Ada") }
    }

    /// The refresh token, and what the services have: each of them known to the shards, and good.
    fn warm(&mut self, gate: &Gate) -> (String, [String; 3]) {
        let tokens = self.app.tokens(gate, &mut self.person);
        let own = text(&tokens, "access_token");
        let [first, second, third] = &self.services;
        let one = exchanged(gate, first, &own);
        let two = exchanged(gate, second, &one);
        let three = exchanged(gate, third, &two);
        let all = [one, two, three];
        for token in all.iter().chain(&all) {
            assert_eq!(status(gate, "/orders/1", token), 200);
        }
        (text(&tokens, "refresh_token"), all)
    }

    fn dead(&self, gate: &Gate, tokens: &[String], why: &str) {
        for token in tokens {
            wait::until(SOON, why, || status(gate, "/orders/1", token) == 401);
        }
    }
}

#[test]
fn what_was_exchanged_ends_with_the_client_whose_token_it_was() {
    let (gate, _up) = gate("");
    let mut chain = Chain::new(&gate);
    let (_, tokens) = chain.warm(&gate);
    let mut names = [chain.app.id.clone(), chain.services[0].id.clone()];
    names.sort();
    assert_eq!(claims(&tokens[1])["exchanged_from"], json!(names));
    gate.done(&["client", "disable", &chain.app.id]);
    chain.dead(&gate, &tokens, "the app's client has ended");
    for (service, token) in chain.services.iter().zip(&tokens) {
        assert!(!is_active(&gate, service, token));
        let fields =
            [("grant_type", EXCHANGE), ("subject_token", token), ("subject_token_type", ACCESS)];
        assert_eq!(error(&service.token(&gate, &fields)), "invalid_request");
    }
}

#[test]
fn what_was_exchanged_ends_with_each_client_between_and_with_no_other() {
    let (gate, _up) = gate("");
    let mut chain = Chain::new(&gate);
    let (_, tokens) = chain.warm(&gate);
    gate.done(&["client", "disable", &chain.services[1].id]);
    chain.dead(&gate, &tokens[1..], "a client between has ended");
    assert_eq!(status(&gate, "/orders/1", &tokens[0]), 200, "it was there before");
    assert!(is_active(&gate, &chain.services[0], &tokens[0]));
    assert!(!is_active(&gate, &chain.services[2], &tokens[2]));
}

#[test]
fn what_was_exchanged_ends_with_the_grant() {
    let (gate, _up) = gate("");
    let mut chain = Chain::new(&gate);
    let (renew, tokens) = chain.warm(&gate);
    let answer = chain.app.call(&gate, "/oauth/revoke", &[("token", &renew)]);
    assert_eq!(answer.status, 200, "{}", answer.text());
    chain.dead(&gate, &tokens, "the grant was revoked");
}

#[test]
fn a_block_of_a_client_refuses_what_was_exchanged_from_its_tokens() {
    let (gate, _up) = gate("");
    let mut chain = Chain::new(&gate);
    let (_, tokens) = chain.warm(&gate);
    gate.done(&["block", "client", &chain.app.id]);
    chain.dead(&gate, &tokens, "the client is blocked");
}
