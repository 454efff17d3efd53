//! `kill -9` between the steps of the authority: what it has acknowledged holds ever after.
//!
//! Each round draws from its number what is done at which moment the process dies; the same number draws the same
//! again. Codes are redeemed, refresh tokens used one after the other, tokens given back, clients disabled and devices
//! let in, all at once, until the process is killed and started again on the same data.

use crate::rules_stage::*;
use base::{Clock as _, SystemClock, UnixMs};
use serde_json::Value;
use std::collections::HashSet;
use std::net::TcpStream;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;
use testkit::{Arrival, Gate, Person, RawClient, Response, Upstream, encode, wait};

/// Crashes of one gate before another begins: what is read at the end stays small.
const CRASHES: u32 = 10;
/// The latest moment of a crash. By then most of what ends by itself is done.
const LATEST_MS: u64 = 400;
/// How many chains, and how many of each other thing, a round begins with.
const CHAINS: usize = 2;
const EACH: usize = 6;
/// For so long a spent refresh token gives the same child; after it, its use ends the grant (issue 3).
const WINDOW: Duration = Duration::from_secs(10);
/// What is asked for this early is answered within the window, but by a machine that has no time at all.
const EARLY: Duration = Duration::from_secs(7);
/// A code lives for a minute; one that is younger than this is not too old by accident.
const YOUNG: Duration = Duration::from_secs(45);
/// What is revoked while the gate runs is refused within this time.
const SECOND: Duration = Duration::from_secs(1);
/// Within what the records of the store have reached the ledger.
const SOON: Duration = Duration::from_secs(20);
const DEVICE: &str = "urn:ietf:params:oauth:grant-type:device_code";

/// Numbers from a seed (SplitMix64).
struct Draw(u64);

impl Draw {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % end
    }
}

fn clock() -> UnixMs {
    SystemClock::new().now()
}

/// A call that may find nobody there, or be cut off: then there was no answer.
fn ask(app: &App, issuer: &str, path: &str, fields: &[(&str, &str)]) -> Option<Response> {
    let host = issuer.strip_prefix("http://").expect("http");
    let body = encode(&[&app.proof(), fields].concat());
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nContent-Length: {}\r\n\
         Content-Type: application/x-www-form-urlencoded\r\n\r\n",
        body.len()
    );
    let mut client = RawClient::over(TcpStream::connect(host).ok()?);
    client.try_send((head + &body).as_bytes()).ok()?;
    client.try_response("POST").ok().filter(|it| it.body.complete)
}

fn refreshing(token: &str) -> [(&str, &str); 2] {
    [("grant_type", "refresh_token"), ("refresh_token", token)]
}

/// One answer to a refresh token.
struct Link {
    refresh: String,
    access: String,
    /// Before its parent was sent.
    asked: UnixMs,
}

impl Link {
    fn of(answer: &Value, asked: UnixMs) -> Self {
        let part = |name| text(answer, name);
        Self { refresh: part("refresh_token"), access: part("access_token"), asked }
    }
}

/// Uses one refresh token after the other until there is no answer; now and then one twice.
fn refreshes(app: &App, issuer: &str, first: &Value, mut draw: Draw) -> Vec<Link> {
    let mut links = vec![Link::of(first, clock())];
    while links.len() < 1000 {
        let parent = links.last().expect("a link").refresh.clone();
        let asked = clock();
        let uses = if draw.below(4) == 0 { 2 } else { 1 };
        for _ in 0..uses {
            let Some(answer) = ask(app, issuer, "/oauth/token", &refreshing(&parent)) else {
                return links;
            };
            let link = Link::of(&good(&answer), asked);
            let known = links.iter().rev().take(1).find(|it| it.refresh != parent);
            assert!(
                known.is_none_or(|it| it.refresh == link.refresh),
                "two children of one parent"
            );
            links.push(link);
        }
    }
    links
}

/// A code: not sent, sent, or answered with tokens.
struct Code {
    text: String,
    given: UnixMs,
    sent: bool,
    tokens: Option<Value>,
}

fn redemptions(app: &App, issuer: &str, mut codes: Vec<Code>) -> Vec<Code> {
    for code in &mut codes {
        code.sent = true;
        let answer = ask(app, issuer, "/oauth/token", &redemption(&code.text));
        let Some(answer) = answer else { break };
        code.tokens = Some(good(&answer));
    }
    codes
}

/// Tokens that were given back, and whether by the refresh token.
fn revocations(app: &App, issuer: &str, tokens: Vec<Value>, mut draw: Draw) -> Vec<(Value, bool)> {
    let mut returned = Vec::new();
    for tokens in tokens {
        let whole = draw.below(2) == 0;
        let token = text(&tokens, if whole { "refresh_token" } else { "access_token" });
        let Some(answer) = ask(app, issuer, "/oauth/revoke", &[("token", &token)]) else { break };
        assert_eq!(answer.status, 200, "{}", answer.text());
        returned.push((tokens, whole));
    }
    returned
}

fn disabled(data: &str, robots: Vec<(App, String)>) -> Vec<(App, String)> {
    let done = |robot: &(App, String)| {
        testkit::run(&["client", "disable", &robot.0.id, "--json", "--data", data]).code == 0
    };
    robots.into_iter().take_while(done).collect()
}

/// A device whose person has been told that it is let in.
struct Device {
    code: String,
    polled: bool,
    tokens: Option<Value>,
}

fn devices(app: &App, issuer: &str, person: &mut Person, asked: &[Value]) -> Vec<Device> {
    let mut let_in = Vec::new();
    for asked in asked {
        let page = text(asked, "verification_uri_complete");
        // A browser whose server is gone panics.
        let arrival = catch_unwind(AssertUnwindSafe(|| person.go(&page)));
        let Ok(Arrival::Page(page)) = arrival else { break };
        assert_eq!(page.response.status, 200, "{}", page.response.text());
        let code = text(asked, "device_code");
        let fields = [("grant_type", DEVICE), ("device_code", code.as_str())];
        let answer = ask(app, issuer, "/oauth/token", &fields);
        let tokens = answer.as_ref().map(good);
        let_in.push(Device { code, polled: true, tokens });
        if answer.is_none() {
            break;
        }
    }
    let_in
}

/// What one round was told.
struct Told {
    codes: Vec<Code>,
    chains: Vec<Vec<Link>>,
    returned: Vec<(Value, bool)>,
    disabled: Vec<(App, String)>,
    devices: Vec<Device>,
}

/// A gate and who speaks with it.
struct Field {
    gate: Gate,
    _up: Upstream,
    shop: App,
    /// A resource server: what others get is for it.
    server: App,
    person: Person,
    guest: Person,
    /// The ids of all tokens that anybody was given.
    issued: HashSet<String>,
    /// Access tokens that were ended.
    dead: Vec<String>,
    /// Checks that a machine which is too slow leaves out.
    proved: usize,
}

impl Field {
    fn start() -> Self {
        let (gate, up) = gate("");
        let shop = shop(&gate, &["--grant", "device_code"]);
        let mut person = Person::new(&gate, "Ada");
        let guest = Person::new(&gate, "Grace");
        let audience = claims(&text(&shop.tokens(&gate, &mut person), "access_token"));
        let audience = audience["aud"].as_str().expect("an audience").to_owned();
        let server = robot(&gate, &["orders:read"], &["--resource", &audience]);
        let (issued, dead) = (HashSet::new(), Vec::new());
        Self { gate, _up: up, shop, server, person, guest, issued, dead, proved: 0 }
    }

    /// Remembers an access token that was acknowledged.
    fn note(&mut self, token: &str) {
        self.issued.insert(text(&claims(token), "jti"));
    }

    fn code(&mut self) -> Code {
        let (text, given) = (self.shop.code(&self.gate, &mut self.person), clock());
        Code { text, given, sent: false, tokens: None }
    }

    fn tokens(&mut self) -> Value {
        let tokens = self.shop.tokens(&self.gate, &mut self.person);
        self.note(&text(&tokens, "access_token"));
        tokens
    }

    fn robots(&mut self) -> Vec<(App, String)> {
        let robots = (0..EACH / 2).map(|_| robot(&self.gate, &["orders:read"], &[]));
        let robots: Vec<_> = robots.collect();
        let with_token = |app: App| (app.own_token(&self.gate, &[]), app);
        let robots: Vec<_> = robots.into_iter().map(with_token).collect();
        robots.iter().for_each(|(token, _)| self.note(token));
        robots.into_iter().map(|(token, app)| (app, token)).collect()
    }

    /// Everything at once, until the process dies.
    fn storm(&mut self, seed: u64) -> Told {
        let mut draw = Draw(seed);
        let firsts: Vec<Value> = (0..CHAINS).map(|_| self.tokens()).collect();
        let tokens: Vec<Value> = (0..EACH).map(|_| self.tokens()).collect();
        let robots = self.robots();
        let asked = (0..EACH).map(|_| {
            let scope = [("scope", SCOPES)];
            good(&self.shop.call(&self.gate, "/oauth/device_authorization", &scope))
        });
        let asked: Vec<Value> = asked.collect();
        let codes: Vec<Code> = (0..EACH).map(|_| self.code()).collect();
        let (issuer, data) = (self.gate.control(), self.gate.data().display().to_string());
        let moment = Duration::from_millis(draw.below(LATEST_MS));
        let mut seeds = || Draw(draw.below(u64::MAX));
        let seeds: [Draw; CHAINS + 1] = std::array::from_fn(|_| seeds());
        let [first, second, third] = seeds;
        let (gate, shop, guest, issuer) = (&mut self.gate, &self.shop, &mut self.guest, &*issuer);
        std::thread::scope(|scope| {
            let codes = scope.spawn(move || redemptions(shop, issuer, codes));
            let chains = [(0, first), (1, second)].map(|(number, draw)| {
                let start = &firsts[number];
                scope.spawn(move || refreshes(shop, issuer, start, draw))
            });
            let returned = scope.spawn(move || revocations(shop, issuer, tokens, third));
            let disabled = scope.spawn(move || disabled(&data, robots));
            let devices = scope.spawn(|| devices(shop, issuer, guest, &asked));
            wait::pause(moment);
            gate.kill9();
            Told {
                codes: codes.join().expect("codes"),
                chains: chains.map(|it| it.join().expect("a chain")).into(),
                returned: returned.join().expect("tokens that were given back"),
                disabled: disabled.join().expect("clients that were disabled"),
                devices: devices.join().expect("devices"),
            }
        })
    }

    /// That an access token is refused, at the gate and by introspection, at once.
    fn is_dead(&mut self, token: &str) {
        assert_eq!(status(&self.gate, "/orders/1", token), 401, "it passes the gate");
        let said = self.server.call(&self.gate, "/oauth/introspect", &[("token", token)]);
        assert_eq!(good(&said)["active"], false, "it is active");
    }

    fn lives(&self, token: &str) {
        assert_eq!(status(&self.gate, "/orders/1", token), 200, "a living token is refused");
        let said = self.server.call(&self.gate, "/oauth/introspect", &[("token", token)]);
        assert_eq!(good(&said)["active"], true);
    }

    /// What a refresh token gives; `None` when the answer came too late to show anything.
    fn refreshed(&mut self, token: &str, asked: UnixMs) -> Option<Value> {
        let answer = self.shop.token(&self.gate, &refreshing(token));
        if answer.status != 200 && clock().since(asked) >= WINDOW {
            return None;
        }
        let tokens = good(&answer);
        self.note(&text(&tokens, "access_token"));
        Some(tokens)
    }

    /// The last token works; the parent of the last gives, in time, the same last once more.
    fn chain_holds(&mut self, chain: &[Link]) {
        chain.iter().for_each(|link| self.note(&link.access));
        let last = chain.last().expect("a link");
        let parent = chain.iter().rev().find(|it| it.refresh != last.refresh);
        if let Some(parent) = parent.filter(|_| clock().since(last.asked) < EARLY) {
            let Some(again) = self.refreshed(&parent.refresh, last.asked) else { return };
            assert_eq!(text(&again, "refresh_token"), last.refresh, "two children of one parent");
            self.proved += 1;
        }
        // Whether the process died before or after the last was spent: it gives a child, and one only.
        if clock().since(last.asked) < EARLY {
            let Some(one) = self.refreshed(&last.refresh, last.asked) else { return };
            let Some(two) = self.refreshed(&last.refresh, last.asked) else { return };
            let child = |of| text(of, "refresh_token");
            assert_eq!(child(&one), child(&two), "two children of one parent");
            self.lives(&text(&two, "access_token"));
            self.proved += 1;
        }
        self.lives(&last.access);
    }

    /// However often a code was and is brought, one answer has tokens.
    fn code_holds(&mut self, code: &Code) {
        let again = self.shop.redeem(&self.gate, &code.text, &[]);
        let first = match &code.tokens {
            Some(tokens) => {
                assert_eq!(error(&again), "invalid_grant", "a code is redeemed twice");
                tokens.clone()
            }
            None if again.status == 200 => {
                let tokens = again.json();
                self.note(&text(&tokens, "access_token"));
                self.lives(&text(&tokens, "access_token"));
                let thrice = self.shop.redeem(&self.gate, &code.text, &[]);
                assert_eq!(error(&thrice), "invalid_grant", "a code is redeemed twice");
                tokens
            }
            None => {
                assert_eq!(error(&again), "invalid_grant");
                let lost = !code.sent && clock().since(code.given) < YOUNG;
                assert!(!lost, "a code that nobody brought is gone");
                return;
            }
        };
        // RFC 6749 §4.1.2: the second use has ended what came of the first.
        let (access, refresh) = (text(&first, "access_token"), text(&first, "refresh_token"));
        self.note(&access);
        wait::until(SECOND, "the end of a token", || {
            status(&self.gate, "/orders/1", &access) == 401
        });
        let refreshed = self.shop.token(&self.gate, &refreshing(&refresh));
        assert_eq!(error(&refreshed), "invalid_grant");
        self.dead.push(access);
    }

    fn device_holds(&mut self, device: &Device) {
        let fields = [("grant_type", DEVICE), ("device_code", device.code.as_str())];
        let answer = self.shop.token(&self.gate, &fields);
        let tokens = match &device.tokens {
            Some(tokens) => {
                assert_eq!(error(&answer), "expired_token", "a device code is used twice");
                tokens.clone()
            }
            None if answer.status == 200 => answer.json(),
            // Its one answer was cut off.
            None => return assert!(device.polled, "{}", answer.text()),
        };
        let access = text(&tokens, "access_token");
        self.note(&access);
        self.lives(&access);
    }

    fn holds(&mut self, told: &Told) {
        // What depends on time first.
        told.chains.iter().for_each(|chain| self.chain_holds(chain));
        for (tokens, whole) in &told.returned {
            let access = text(tokens, "access_token");
            self.is_dead(&access);
            self.dead.push(access);
            let refresh = text(tokens, "refresh_token");
            let answer = self.shop.token(&self.gate, &refreshing(&refresh));
            assert_eq!(answer.status, if *whole { 400 } else { 200 }, "{}", answer.text());
        }
        for (app, token) in &told.disabled {
            self.is_dead(token);
            self.dead.push(token.clone());
            let grant = [("grant_type", "client_credentials")];
            assert_eq!(error(&app.token(&self.gate, &grant)), "invalid_client");
        }
        told.codes.iter().for_each(|code| self.code_holds(code));
        told.devices.iter().for_each(|device| self.device_holds(device));
        for token in self.dead.clone() {
            self.is_dead(&token);
        }
    }

    /// Every token that was given out stands in the ledger, which holds together.
    fn recorded(&self) {
        let sql = "SELECT credential_id FROM events WHERE code = 'token.issued' \
                   OR code = 'token.refreshed' LIMIT 1000000";
        wait::until(SOON, "the records of all tokens", || {
            let rows = self.gate.done(&["audit", "query", sql]);
            let rows = rows.as_array().expect("rows").iter();
            let known: HashSet<&str> = rows.filter_map(|it| it["credential_id"].as_str()).collect();
            self.issued.iter().all(|jti| known.contains(jti.as_str()))
        });
        let report = self.gate.done(&["audit", "verify"]);
        assert_eq!(report["ok"], true, "{report}");
    }
}

/// What was shown, in numbers.
#[derive(Debug, Default)]
struct Shown {
    tokens: usize,
    ended: usize,
    proved: usize,
}

fn crash(rounds: Range<u32>) -> Shown {
    let mut field = Field::start();
    for round in rounds {
        println!("round {round}");
        let told = field.storm(u64::from(round));
        field.gate.restart();
        field.holds(&told);
    }
    field.recorded();
    Shown { tokens: field.issued.len(), ended: field.dead.len(), proved: field.proved }
}

#[test]
fn what_the_authority_has_acknowledged_survives_kill_9() {
    let rounds = testkit::rounds(4);
    let mut all = Shown::default();
    for first in (0..rounds).step_by(CRASHES as usize) {
        let shown = crash(first..rounds.min(first + CRASHES));
        all.tokens += shown.tokens;
        all.ended += shown.ended;
        all.proved += shown.proved;
    }
    println!("{rounds} crashes, {all:?}, none lost");
    let least = rounds as usize;
    assert!(all.tokens > 10 * least && all.ended >= least && all.proved > 0, "too little: {all:?}");
}
