//! Whatever comes, in whatever order, and breaks off wherever: nothing panics, and the gate goes on.

use crate::frames::{Frames, frame, request};
use crate::setup::{open, raw_server, service, upstream};
use std::io::{Read, Write};
use std::time::Duration;
use testkit::{Answer, Gate, RawClient, Upstream, wait};

/// Callers at once, and connections of each.
const CALLERS: u64 = 8;
const CONNECTIONS: u64 = 60;

/// A generator of numbers that a failing test can be repeated with (xorshift64, Marsaglia 2003).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }

    fn of<'a, T>(&mut self, choices: &'a [T]) -> &'a T {
        &choices[usize::try_from(self.roll(choices.len() as u64)).expect("small")]
    }

    fn bytes(&mut self, most: u64) -> Vec<u8> {
        (0..self.roll(most)).map(|_| u8::try_from(self.roll(256)).expect("a byte")).collect()
    }
}

const METHODS: [&str; 3] = ["GET", "POST", "HEAD"];
const PATHS: [&str; 3] = ["/a/x", "/b/x", "/nowhere"];

/// Pieces of what a caller over HTTP/1.1 might send.
const PIECES: [&str; 17] = [
    "GET /a/x HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "HEAD /a/x HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "POST /a/x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\n",
    "POST /a/x HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n",
    "PUT /a/x HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 9\r\n\r\n",
    "GET /a/x HTTP/1.1\r\nHost: localhost\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
    "GET /b/x HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "GET /nowhere HTTP/1.0\r\nHost: localhost\r\nConnection: keep-alive\r\n\r\n",
    "5\r\nhello\r\n",
    "0\r\n\r\n",
    "0\r\nX-Trailer: 1\r\n\r\n",
    "ffffffffffffffff\r\n",
    "hello",
    "\r\n",
    "\r\n\r\n",
    "GET ",
    "\u{0}",
];

/// What an upstream might answer, well-formed or not.
const ANSWERS: [&[u8]; 12] = [
    b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok",
    b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nx-t: 1\r\n\r\n",
    b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok",
    b"HTTP/1.1 200 OK\r\n\r\nuntil the end",
    b"HTTP/1.1 204 No\r\n\r\n",
    b"HTTP/1.1 304 No\r\ncontent-length: 5\r\n\r\n",
    b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n\x81\x00",
    b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n3\r\na\n\n\r\n",
    b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nmore than five",
    b"nonsense",
    b"",
];

fn by_hand(dice: &mut Dice, address: &str) {
    let mut client = RawClient::connect(address);
    client.patience(Duration::from_millis(200));
    for _ in 0..1 + dice.roll(6) {
        let piece = dice.of(&PIECES).as_bytes();
        let cut = match dice.roll(5) {
            0 => usize::try_from(dice.roll(piece.len() as u64 + 1)).expect("small"),
            _ => piece.len(),
        };
        if client.try_send(&piece[..cut]).is_err() {
            return;
        }
        match dice.roll(6) {
            0 => wait::pause(Duration::from_millis(dice.roll(20))),
            1 => drop(client.read_some()),
            _ => {}
        }
    }
    leave(dice, client.stream());
}

fn in_frames(dice: &mut Dice, address: &str) {
    let settings = [(4, u32::try_from(dice.roll(70_000)).expect("small"))];
    let mut frames = Frames::connect(address, &settings);
    let _ = frames.0.set_read_timeout(Some(Duration::from_millis(50)));
    for _ in 0..1 + dice.roll(12) {
        let stream = u32::try_from(dice.roll(8)).expect("small");
        let flags = u8::try_from(*dice.of(&[0, 1, 4, 5, 8, 0x20, 0xff])).expect("a byte");
        let payload = match dice.roll(4) {
            0 => dice.bytes(64),
            1 => vec![0; 8],
            2 => u32::try_from(dice.roll(9)).expect("small").to_be_bytes().to_vec(),
            _ => {
                let (method, path) = (*dice.of(&METHODS), *dice.of(&PATHS));
                request(method, path, &[])
            }
        };
        let kind =
            u8::try_from(*dice.of(&[0, 0, 1, 1, 1, 2, 3, 4, 6, 7, 8, 9, 200])).expect("a byte");
        if frames.bytes(&frame(kind, flags, stream, &payload)).is_err() {
            return;
        }
        match dice.roll(5) {
            0 => wait::pause(Duration::from_millis(dice.roll(10))),
            1 => drop(frames.0.read(&mut [0; 512])),
            _ => {}
        }
    }
    leave(dice, &frames.0);
}

/// In order, at half, or with a reset.
fn leave(dice: &mut Dice, stream: &std::net::TcpStream) {
    match dice.roll(3) {
        0 => drop(socket2::SockRef::from(stream).set_linger(Some(Duration::ZERO))),
        1 => {
            let _ = stream.shutdown(std::net::Shutdown::Write);
            wait::pause(Duration::from_millis(dice.roll(20)));
        }
        _ => {}
    }
}

#[test]
fn some_order_of_events_ends_a_connection_in_a_panic() {
    let dice = std::sync::Mutex::new(Dice(0x5eed_0001));
    let address = raw_server(move |mut stream| {
        let _ = stream.set_read_timeout(Some(Duration::from_secs(2)));
        let mut bytes = [0; 4096];
        while let Ok(1..) = stream.read(&mut bytes) {
            let (answer, ends) = {
                let mut dice = dice.lock().expect("nobody panics");
                (*dice.of(&ANSWERS), dice.roll(4) == 0)
            };
            if stream.write_all(answer).is_err() || ends {
                return;
            }
        }
    });
    let good = Upstream::start(|_| Answer::ok("ok"));
    let other = upstream(&good).replace("\"up\"", "\"good\"");
    let gate = Gate::builder()
        .listener("h2c = true\ntimeouts = { head = \"1s\", body = \"1s\", idle = \"1s\" }")
        .rest(
            &(service(&format!("http://{address}"), "timeout = \"1s\"\nretries = 2")
                + &other
                + &open("a", "/a/{**}", "max_body = \"1KiB\"")
                + &open("b", "/b/{**}", "audit = \"strict\"")
                + &open("good", "/good", "").replace("\"up\"", "\"good\"")),
        )
        .start();
    let address = gate.address();
    let callers: Vec<_> = (1..=CALLERS)
        .map(|number| {
            let address = address.clone();
            std::thread::spawn(move || {
                let mut dice = Dice(0x5eed_1000 + number);
                for _ in 0..CONNECTIONS {
                    match dice.roll(2) {
                        0 => by_hand(&mut dice, &address),
                        _ => in_frames(&mut dice, &address),
                    }
                }
            })
        })
        .collect();
    for caller in callers {
        caller.join().expect("a caller ends");
    }
    assert_eq!(gate.get("/good", &[]).status, 200);
    // Every connection and exchange ends by itself.
    let metric = |name: &str| {
        let metrics = testkit::get(&format!("{}/metrics", gate.control()), &[]).text();
        let line = metrics.lines().find(|line| line.starts_with(&format!("{name} ")));
        line.and_then(|it| it.split(' ').nth(1)?.parse::<u64>().ok()).unwrap_or(0)
    };
    wait::until(Duration::from_secs(15), "the end of all connections", || {
        metric("portcullis_connections") == 0
    });
    let sql = "SELECT count(*) FROM events WHERE code = 'gate.panic' OR code = 'gate.internal'";
    assert_eq!(gate.done(&["audit", "query", sql])[0]["count(*)"], 0);
    assert!(!gate.log().contains("panicked"), "{}", gate.log());
}
