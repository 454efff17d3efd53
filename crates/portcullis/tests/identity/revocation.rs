//! Blocks and revocations: cold, warm, and on what already streams, within a second.

use crate::setup::*;
use serde_json::json;
use std::io::{Read, Write};
use std::time::Duration;
use testkit::{Answer, Gate, Issuer, RawClient, Seen, Upstream, wait};

/// Between two events of the stream: it never falls silent by itself.
const TICK: Duration = Duration::from_millis(50);
/// The example of RFC 6455 §1.3.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

/// Streams events at `/events`, echoes at `/socket`, never answers at `/wait`, else says ok.
fn streams(seen: &Seen) -> Answer {
    match seen.target().as_str() {
        "/s/events" => Answer::takeover(|socket| {
            let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\
                        transfer-encoding: chunked\r\n\r\n";
            let mut result = socket.write_all(head.as_bytes());
            while result.is_ok() {
                result = socket.write_all(b"9\r\ndata: x\n\n\r\n");
                wait::pause(TICK);
            }
        }),
        // As fast as it is taken: nobody waits, so nobody has to be woken.
        "/s/flood" => Answer::takeover(|socket| {
            let head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
            let chunk = [&b"4000\r\n"[..], &[b'x'; 0x4000], b"\r\n"].concat();
            let mut result = socket.write_all(head.as_bytes());
            while result.is_ok() {
                result = socket.write_all(&chunk);
            }
        }),
        "/s/quiet" => Answer::takeover(|socket| {
            let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\
                        transfer-encoding: chunked\r\n\r\n9\r\ndata: x\n\n\r\n";
            let _ = socket.write_all(head.as_bytes());
            let _ = socket.read(&mut [0; 64]);
        }),
        "/s/socket" => {
            assert_eq!(seen.header("sec-websocket-key").as_deref(), Some(KEY));
            Answer::takeover(move |socket| {
                let head = format!(
                    "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\n\
                     connection: upgrade\r\nsec-websocket-accept: {ACCEPT}\r\n\r\n"
                );
                let _ = socket.write_all(head.as_bytes());
                let mut bytes = [0; 1024];
                while let Ok(read @ 1..) = socket.read(&mut bytes) {
                    if socket.write_all(&bytes[..read]).is_err() {
                        return;
                    }
                }
            })
        }
        "/s/wait" => Answer::Silence,
        _ => Answer::ok("ok"),
    }
}

struct It {
    up: Upstream,
    issuer: Issuer,
    gate: Gate,
}

fn start() -> It {
    let (up, issuer) = (Upstream::start(streams), Issuer::start());
    let both = "[route.access]\nany = [{ jwt = { issuer = \"corp\", scopes = [\"read\"] } }, \
                { api_key = { scopes = [\"read\"] } }]";
    let gate = Gate::start(
        &(issuer.config("corp", AUDIENCE) + &upstream(&up) + &route("s", "/s/{**}", both)),
    );
    keys_known(&gate, 1);
    It { up, issuer, gate }
}

/// What streams over one credential.
struct Streams(Vec<(&'static str, RawClient)>);

impl It {
    fn token(&self, sub: &str, client: &str, jti: &str) -> String {
        let mut claims = self.issuer.claims(AUDIENCE, "read");
        claims["sub"] = json!(sub);
        claims["client_id"] = json!(client);
        claims["jti"] = json!(jti);
        self.issuer.sign(&claims)
    }

    fn open(&self, bearer: &str) -> Streams {
        let request = |path: &str, more: &str| {
            let mut client = RawClient::connect(&self.gate.address());
            client.send(format!(
                "GET {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {bearer}\r\n{more}\r\n"
            ));
            client
        };
        let mut streams = Vec::new();
        for path in ["/s/events", "/s/quiet", "/s/flood"] {
            let mut client = request(path, "");
            assert_eq!(client.response_head().status, 200, "{path}");
            assert!(!client.read_some().expect("an event").is_empty());
            streams.push((path, client));
        }
        let mut socket = request(
            "/s/socket",
            &format!(
                "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                 Sec-WebSocket-Key: {KEY}\r\n"
            ),
        );
        let head = socket.response_head();
        assert_eq!(head.status, 101, "{head:?}");
        assert_eq!(head.header("sec-websocket-accept"), Some(ACCEPT));
        // A masked text frame, which comes back as it is.
        let frame = b"\x81\x82\x00\x00\x00\x00hi";
        socket.send(frame);
        assert_eq!(socket.read_some().expect("an echo"), frame);
        streams.push(("/s/socket", socket));
        // An exchange that still waits for its answer.
        let seen = self.up.count();
        let waiting = request("/s/wait", "");
        self.up.wait_for(seen + 1, PATIENCE);
        streams.push(("/s/wait", waiting));
        Streams(streams)
    }

    /// Everything that carries `bearer` is refused from now on, and the upstream is not reached.
    fn stopped(&self, bearer: &str, code: &str) {
        let count = self.up.count();
        let gone = vec![refused(401, code); 16];
        assert_eq!(everywhere(&self.gate, "/s/x", bearer), gone);
        assert_eq!(self.up.count(), count);
    }

    fn goes_on(&self, bearer: &str) {
        assert_eq!(everywhere(&self.gate, "/s/x", bearer), vec![passed(); 16]);
    }
}

impl Streams {
    /// All end within a second of now.
    /// What waits for its answer is told why.
    fn end(self, code: &str) {
        let ends = self.0.into_iter().map(|(path, mut client)| {
            let code = code.to_owned();
            std::thread::spawn(move || {
                let (ended, took) = timed(|| match path {
                    "/s/wait" => said(&client.response()) == refused(401, &code),
                    _ => client.is_closed(second()),
                });
                assert!(ended, "{path} is still open");
                assert!(took < second(), "{path}: {took:?}");
            })
        });
        for end in ends.collect::<Vec<_>>() {
            end.join().expect("all end in time");
        }
    }

    /// All still live.
    fn live(&mut self) {
        for (path, client) in &mut self.0 {
            match *path {
                "/s/events" | "/s/flood" => {
                    assert!(!client.read_some().expect("an event").is_empty())
                }
                "/s/socket" => {
                    client.send(b"\x81\x82\x00\x00\x00\x00hi");
                    assert!(!client.read_some().expect("an echo").is_empty());
                }
                _ => assert!(!client.is_closed(Duration::from_millis(20)), "{path} was cut"),
            }
        }
    }
}

#[test]
fn blocks_reach_cold_warm_and_live_tokens() {
    let it = start();
    for (kind, value) in [("subject", "eve"), ("client", "shady"), ("token", "stolen")] {
        let hit = it.token("eve", "shady", "stolen");
        let cold = it.token("eve", "shady", "stolen");
        // Alike but for the one thing that is blocked.
        let spared = match kind {
            "subject" => it.token("bob", "shady", "stolen"),
            "client" => it.token("eve", "shop", "stolen"),
            _ => it.token("eve", "shady", "another"),
        };
        it.goes_on(&hit);
        it.goes_on(&spared);
        let (streams, mut others) = (it.open(&hit), it.open(&spared));
        let (made, took) = timed(|| it.gate.done(&["block", kind, value, "--reason", "test"]));
        assert!(took < second(), "blocking took {took:?}");
        assert_eq!((&made["kind"], &made["value"]), (&json!(kind), &json!(value)));
        streams.end("token.revoked");
        it.stopped(&hit, "token.revoked");
        it.stopped(&cold, "token.revoked");
        others.live();
        it.goes_on(&spared);
        let list = it.gate.done(&["block", "list"]);
        assert_eq!(list.as_array().map(Vec::len), Some(1));
        assert_eq!(list[0]["id"], made["id"]);
        it.gate.done(&["block", "remove", made["id"].as_str().expect("an id")]);
        it.goes_on(&hit);
        it.goes_on(&cold);
        assert_eq!(it.gate.done(&["block", "list"]), json!([]));
    }
}

#[test]
fn a_block_ends_by_itself_and_may_name_an_issuer() {
    let it = start();
    let token = it.token("eve", "c", "t");
    it.gate.done(&["block", "subject", "eve", "--issuer", "corp", "--for", "2s"]);
    it.stopped(&token, "token.revoked");
    wait::until(PATIENCE, "the block's end", || answer(&it.gate, "/s/x", &token) == passed());
    it.goes_on(&token);
    let unknown = it.gate.cli(&["block", "subject", "eve", "--issuer", "nobody"]);
    // A slip in the name must not look like a block.
    assert_eq!(unknown.code, 1, "{unknown:?}");
    it.goes_on(&token);
}

#[test]
fn a_revoked_key_is_cut_from_its_streams() {
    let it = start();
    let ((id, key), (_, other)) =
        (self::key(&it.gate, "k", "read"), self::key(&it.gate, "o", "read"));
    it.goes_on(&key);
    let (streams, mut others) = (it.open(&key), it.open(&other));
    let (_, took) = timed(|| it.gate.done(&["key", "revoke", &id]));
    assert!(took < second(), "{took:?}");
    streams.end("key.revoked");
    it.stopped(&key, "key.revoked");
    others.live();
    it.goes_on(&other);
}

#[test]
fn blocks_outlive_a_restart() {
    let mut it = start();
    let token = it.token("eve", "c", "t");
    it.gate.done(&["block", "token", "t"]);
    it.gate.kill9();
    it.gate.restart();
    keys_known(&it.gate, 2);
    assert_eq!(answer(&it.gate, "/s/x", &it.token("eve", "c", "u")), passed());
    it.stopped(&token, "token.revoked");
}

#[test]
fn the_end_of_a_token_cuts_its_streams() {
    let it = start();
    let mut claims = it.issuer.claims(AUDIENCE, "read");
    claims["iat"] = json!(now() - 100);
    // 30 s of skew: about three seconds are left.
    let exp = now() - 27;
    claims["exp"] = json!(exp);
    let token = it.issuer.sign(&claims);
    let mut streams = it.open(&token);
    streams.live();
    wait::until(PATIENCE, "its end", || now() >= exp + 30);
    streams.end("token.expired");
    it.stopped(&token, "token.expired");
}

#[test]
fn a_stream_over_http2_is_cut_too() {
    let (up, issuer) = (Upstream::start(streams), Issuer::start());
    let gate = Gate::builder()
        .listener("h2c = true")
        .rest(
            &(issuer.config("corp", AUDIENCE)
                + &upstream(&up)
                + &route("s", "/s/{**}", &api_key("read"))),
        )
        .start();
    let (id, key) = self::key(&gate, "k", "read");
    for path in ["/s/events", "/s/quiet"] {
        let mut curl = std::process::Command::new("curl")
            .args(["--silent", "--no-buffer", "--http2-prior-knowledge", "--max-time", "20"])
            .args(["-H", &format!("x-api-key: {key}"), &format!("{}{path}", gate.address())])
            .stdout(std::process::Stdio::piped())
            .spawn()
            .expect("curl runs");
        let mut out = curl.stdout.take().expect("a pipe");
        assert_eq!(out.read(&mut [0; 9]).expect("an event"), 9);
        gate.done(&["block", "subject", &id, "--for", "2s"]);
        wait::until(second(), "curl's end", || curl.try_wait().is_ok_and(|it| it.is_some()));
        wait::until(PATIENCE, "the block's end", || answer(&gate, "/s/x", &key) == passed());
        let status = curl.wait().expect("a status");
        // A stream that is cut must not look as if it had ended well.
        assert!(!status.success(), "{path}");
    }
}
