//! Queries over a handful of rows.

use super::{QueryError, Run, parse};
use base::{Event, EventId, Kind, NodeId, Outcome, UnixMs, code};
use serde_json::{Value, json};

fn events() -> Vec<Event> {
    let row = |n: u8, outcome, route: &str, status, count| {
        let time = UnixMs(1_764_000_000_000 + i64::from(n) * 60_000);
        let mut event = Event::new(EventId([n; 16]), time, NodeId(1), Kind::Decision, code::OK);
        (event.outcome, event.status, event.count) = (outcome, status, count);
        event.route = Some(route.into());
        event.latency_us = u32::from(n) * 100;
        event
    };
    vec![
        row(0, Outcome::Allow, "orders", 200, 1),
        row(1, Outcome::Allow, "orders", 200, 1),
        row(2, Outcome::Deny, "orders", 403, 1),
        row(3, Outcome::Deny, "users", 401, 900),
        row(4, Outcome::Error, "users", 502, 1),
    ]
}

fn ask(sql: &str) -> Result<Value, QueryError> {
    let mut run = Run::new(parse(sql)?);
    events().iter().try_for_each(|event| run.row(event))?;
    Ok(json!(run.finish()?))
}

#[track_caller]
fn check(sql: &str, expect: Value) {
    assert_eq!(ask(sql).unwrap(), expect, "{sql}");
}

#[test]
fn rows_are_chosen_and_ordered() {
    check("select status from events where outcome = 'allow' limit 1", json!([{"status": 200}]));
    check(
        "SELECT route, status FROM events WHERE status >= 400 AND status < 500 ORDER BY status",
        json!([{"route": "users", "status": 401}, {"route": "orders", "status": 403}]),
    );
    check("select status s from events order by s desc limit 1 offset 1", json!([{"s": 403}]));
    check(
        "select status from events where route like 'us%' and not status = 401",
        json!([{"status": 502}]),
    );
    check(
        "select status from events where status in (401, 403) order by 1 desc",
        json!([{"status": 403}, {"status": 401}]),
    );
    check("select count(*) from events where principal is null", json!([{"count(*)": 5}]));
    check("select count(*) n from events where principal is not null", json!([{"n": 0}]));
    check("select count(*) n from events where principal = 'a' or status = 200", json!([{"n": 2}]));
    check("select count(*) n from events where status between 401 and 403", json!([{"n": 2}]));
    check("select count(*) n from events where status not in (200)", json!([{"n": 3}]));
    check(
        "select distinct route from events order by route",
        json!([{"route": "orders"}, {"route": "users"}]),
    );
}

#[test]
fn folded_denials_are_counted_by_sum() {
    check(
        "select outcome, count(*), sum(count) from events group by outcome order by outcome",
        json!([
            {"outcome": "allow", "count(*)": 2, "sum(count)": 2},
            {"outcome": "deny", "count(*)": 2, "sum(count)": 901},
            {"outcome": "error", "count(*)": 1, "sum(count)": 1},
        ]),
    );
}

#[test]
fn groups_have_aggregates() {
    check(
        "select route, min(latency_us) a, max(latency_us) b, avg(latency_us) c from events \
         group by route having count(*) > 2",
        json!([{"route": "orders", "a": 0, "b": 200, "c": 100.0}]),
    );
    check("select count(distinct status) n from events", json!([{"n": 4}]));
    check("select sum(status) from events where status = 1", json!([{"sum(status)": null}]));
    check(
        "select substr(time, 1, 16) as minute, count(*) n from events where outcome = 'allow' \
         group by minute order by minute",
        json!([{"minute": "2025-11-24T16:00", "n": 1}, {"minute": "2025-11-24T16:01", "n": 1}]),
    );
    check(
        "select route from events group by route order by count(*), route desc limit 1",
        json!([{"route": "users"}]),
    );
}

#[test]
fn times_compare_as_text() {
    check("select count(*) n from events where time >= '2025-11-24T16:02'", json!([{"n": 3}]));
    check("select count(*) n from events where time < '2025-11-24 16:02'", json!([{"n": 2}]));
    check("select count(*) n from events where time like '2025-11-24T16:0%'", json!([{"n": 5}]));
    let run = Run::new(
        parse(
            "select * from events where time >= '2025-11-24' and status = 1 and \
                              time < '2025-11-25'",
        )
        .unwrap(),
    );
    assert_eq!(run.time_range(), (1_763_942_400_000, 1_764_028_800_000));
    let run =
        Run::new(parse("select * from events where time >= '2025-11-24' or status = 1").unwrap());
    assert_eq!(run.time_range(), (i64::MIN, i64::MAX));
}

#[test]
fn a_star_gives_every_column_in_order() {
    let answer = ask("select * from events limit 1").unwrap();
    let names: Vec<&String> = answer[0].as_object().unwrap().keys().collect();
    assert_eq!(names, super::COLUMNS);
}

#[test]
fn mistakes_are_named_with_their_place() {
    for (sql, place, part) in [
        ("", 1, "expected SELECT"),
        ("select", 7, "expected a column or value"),
        ("select sttus from events", 8, "there is no column `sttus`; there are time"),
        ("select status from event", 20, "the table `events`"),
        ("select status from events where", 32, "expected a column or value"),
        ("select status from events where status = \"200\"", 42, "text stands in single quotes"),
        ("select status from events limit x", 33, "expected a number"),
        ("select status from events; drop table events", 28, "expected"),
        ("select median(status) from events", 8, "there is no function `median`"),
        ("select status from events where route = 'x", 41, "closing ' is missing"),
        ("select status from events where route ? 1", 39, "not part of a query"),
    ] {
        match ask(sql) {
            Err(QueryError::Syntax { position, what }) => {
                assert_eq!(position, place, "{sql}: {what}");
                assert!(what.contains(part), "{sql}: {what}");
            }
            other => panic!("{sql}: {other:?}"),
        }
    }
}

#[test]
fn nonsense_is_refused() {
    for (sql, part) in [
        ("select route, count(*) from events", "`route` must stand in GROUP BY"),
        ("select count(*) from events where sum(status) > 1", "HAVING"),
        ("select sum(max(status)) from events", "aggregate of an aggregate"),
        ("select status from events where status = 'abc'", "is a number"),
        ("select status from events where time > 5", "is text"),
        ("select status from events where time > 'yesterday'", "is no time"),
        ("select status from events where outcome = 'denied'", "one of allow, deny, error"),
        ("select status from events order by nothing", "neither a column"),
        ("select status from events order by 7", "no item number 7"),
        ("select status from events having status = 1", "HAVING needs"),
    ] {
        match ask(sql) {
            Err(QueryError::Meaning(what)) => assert!(what.contains(part), "{sql}: {what}"),
            other => panic!("{sql}: {other:?}"),
        }
    }
}

#[test]
fn depth_and_width_are_bounded() {
    let deep =
        format!("select 1 from events where {}status = 1{}", "(".repeat(500), ")".repeat(500));
    let calls = format!("select {}route{} from events", "lower(".repeat(500), ")".repeat(500));
    let wide = format!("select 1 from events where status = 1{}", " or status = 2".repeat(500));
    let long = format!("select '{}' from events", "x".repeat(20_000));
    for sql in [deep, calls, wide, long] {
        assert!(matches!(ask(&sql), Err(QueryError::TooMuch(_))), "{}", &sql[..40]);
    }
}

#[test]
fn like_matches_as_sql_does() {
    for (text, pattern, expect) in [
        ("abc", "abc", true),
        ("abc", "a%", true),
        ("abc", "%c", true),
        ("abc", "%b%", true),
        ("abc", "a_c", true),
        ("abc", "a_", false),
        ("", "%", true),
        ("", "_", false),
        ("aXbXc", "a%X_", true),
        ("aaaaaaaaaaaaaaaaaaaaaaab", "%a%a%a%a%a%c", false),
    ] {
        assert_eq!(super::evaluate::like(text, pattern), expect, "{text} {pattern}");
    }
}

proptest::proptest! {
    #[test]
    fn no_text_makes_the_parser_panic(text in ".{0,200}") {
        let _read = ask(&text);
        let _read = ask(&format!("select {text} from events where {text}"));
    }

    #[test]
    fn no_sequence_of_words_makes_it_panic(words in proptest::collection::vec(0usize..24, 0..30)) {
        const WORDS: [&str; 24] = ["select", "from", "events", "where", "count", "(", ")", "*", ",", "time",
            "'2025'", "status", "1", "-", "and", "or", "not", "in", "like", "between", "group by", "order by",
            "limit", "is null"];
        let text: Vec<&str> = words.iter().map(|at| WORDS[*at]).collect();
        let _read = ask(&text.join(" "));
    }
}
