//! What the HTTP/2 library refuses before the gate hears of it stands in the ledger all the same.

use crate::http2::{self, Came};
use crate::stage::{ROUTES, SOON, Stage};
use testkit::wait;

type Fields<'a> = Vec<(&'a [u8], &'a [u8])>;

/// A whole request with one field more, or one less.
fn fields<'a>(without: &[u8], extra: &[(&'a [u8], &'a [u8])]) -> Fields<'a> {
    let whole: Fields<'a> = vec![
        (b":method", b"GET"),
        (b":scheme", b"http"),
        (b":authority", b"gate"),
        (b":path", b"/open/x"),
    ];
    whole.into_iter().filter(|(name, _)| *name != without).chain(extra.iter().copied()).collect()
}

fn records(stage: &Stage) -> Vec<(String, i64)> {
    let sql = "SELECT code, status FROM events WHERE phase = 'accept' ORDER BY time";
    let rows = stage.gate.done(&["audit", "query", sql]);
    let rows = rows.as_array().cloned().unwrap_or_default();
    rows.iter()
        .map(|row| {
            (
                row["code"].as_str().unwrap_or_default().to_owned(),
                row["status"].as_i64().unwrap_or(-1),
            )
        })
        .collect()
}

/// RFC 9113 §8.1.1: a malformed request is a stream error, and a head beyond all measure is 431 (RFC 6585 §5): each is
/// recorded once, whoever refused it.
#[test]
fn rfc9113_s8_1_1_what_the_library_refuses_is_recorded_once() {
    let stage = Stage::of("h2c = true", ROUTES);
    let gate = stage.gate.address();
    let malformed: [Fields<'_>; 6] = [
        fields(b"", &[(b"Upper", b"x")]),
        fields(b"", &[(b"connection", b"close")]),
        fields(b"", &[(b":status", b"200")]),
        fields(b"", &[(b":protocol", b"websocket")]),
        fields(b"", &[(b"x", b"y"), (b":path", b"/admin/x")]),
        fields(b":path", &[]),
    ];
    for request in &malformed {
        let before = records(&stage).len();
        let came = http2::send(&gate, request, b"");
        assert!(
            matches!(came, Came::Reset(1) | Came::GoAway(1) | Came::Status(400)),
            "{request:?}: {came:?}"
        );
        wait::until(SOON, "the record", || records(&stage).len() > before);
    }
    // More than 128 KiB, in no more pieces than the library takes.
    let huge = "a".repeat(140_000);
    assert_eq!(http2::get(&gate, "/open/x", &[("x", &huge)]), Came::Status(431));
    wait::until(SOON, "the record", || records(&stage).len() > malformed.len());
    let all = records(&stage);
    assert_eq!(all.len(), malformed.len() + 1, "once each: {all:?}");
    assert_eq!(all.last(), Some(&("head.too_large".to_owned(), 431)));
    let refused = all.iter().filter(|(code, _)| code == "request.malformed").count();
    assert_eq!(refused, malformed.len(), "{all:?}");
    let resets = all.iter().filter(|(_, status)| *status == 0).count();
    assert!(resets > 0, "none was refused by the library: {all:?}");
    // What passes is recorded by its exchange, and by nobody else.
    assert_eq!(http2::send(&gate, &fields(b"", &[]), b""), Came::Status(200));
    let sql = "SELECT count(*) FROM events WHERE method = 'GET' OR phase = 'accept'";
    let count = || stage.gate.done(&["audit", "query", sql])[0]["count(*)"].as_u64();
    wait::until(SOON, "its record", || count() > Some(all.len() as u64));
    assert_eq!(count(), Some(all.len() as u64 + 1));
    stage.alive();
}
