//! Filters, PATCH, and what a directory may and may not do.

mod acts;

use super::filter::Filter;
use super::patch::{self, PATCH_OP};
use super::users::ATTRIBUTES;
use super::*;

fn person() -> Map<String, Value> {
    let person = json!({
        "id": "Ab1", "userName": "ann@example.com", "externalId": "X7", "active": true,
        "name": { "givenName": "Ann", "familyName": "Lee" }, "nickName": "",
        "emails": [{ "value": "ann@example.com", "type": "work" }],
    });
    person.as_object().unwrap().clone()
}

#[test]
fn rfc7644_s3_4_2_2_filters() {
    let check = |text: &str, expect: bool| {
        let filter = Filter::read(text).unwrap_or_else(|it| panic!("{text}: {it}"));
        assert_eq!(filter.holds(&person()), expect, "{text}");
    };
    check(r#"userName eq "ann@example.com""#, true);
    // RFC 7643 §2.2: texts in any case, but ids exactly.
    check(r#"USERNAME EQ "ANN@EXAMPLE.COM""#, true);
    check(r#"externalId eq "X7""#, true);
    check(r#"externalId eq "x7""#, false);
    check(r#"id eq "ab1""#, false);
    check(r#"urn:ietf:params:scim:schemas:core:2.0:User:userName sw "ann""#, true);
    check(r#"userName co "example" and userName ew ".com""#, true);
    check(r#"userName co "x@" or name.familyName eq "lee""#, true);
    check(r#"not (userName pr)"#, false);
    check(r#"nickName pr"#, false);
    check(r#"title pr"#, false);
    check(r#"title eq "x""#, false);
    check(r#"title ne "x""#, true);
    check(r#"active eq true"#, true);
    check(r#"active eq false"#, false);
    check(r#"active eq "true""#, false);
    check(r#"emails eq "ann@example.com""#, true);
    check(r#"emails.type eq "work""#, true);
    check(r#"userName gt "am" and userName le "ann@example.com""#, true);
    // `and` binds tighter than `or`.
    check(r#"active eq true or active eq false and active eq false"#, true);
    check(r#"(active eq true or active eq false) and active eq false"#, false);
    check(r#"userName eq "a\"b\u0061""#, false);
}

#[test]
fn rfc7644_s3_12_what_is_no_filter_is_refused() {
    let long = format!("userName eq \"{}\"", "x".repeat(2000));
    let deep = format!("{}a pr{}", "(".repeat(40), ")".repeat(40));
    let many = vec!["a pr"; 40].join(" and ");
    for text in [
        "",
        "userName",
        "userName eq",
        "userName is \"x\"",
        "userName eq x",
        "userName eq \"x",
        "userName eq {}",
        "eq \"x\"",
        "a.b.c eq \"x\"",
        "a pr b pr",
        "(a pr",
        "a pr)",
        "not a pr",
        "and",
        "a[b eq 1] pr",
        &long,
        &deep,
        &many,
    ] {
        let refused = Filter::read(text).expect_err(text);
        assert_eq!((refused.status, refused.scim_type), (400, Some("invalidFilter")), "{text}");
    }
}

/// Numbers without a library: what a filter says must not depend on luck.
fn next(state: &mut u64) -> usize {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    usize::try_from(*state % 1_000_003).unwrap()
}

#[test]
fn any_text_is_read_or_refused_and_ends() {
    let pieces = [
        "userName",
        "eq",
        "pr",
        "and",
        "or",
        "not",
        "(",
        ")",
        "\"",
        "\"x\"",
        "\\",
        "[",
        "]",
        ".",
        ":",
        " ",
        "\u{e9}",
        "\u{1f600}",
        "true",
        "null",
        "1e9999",
        "-",
        "\0",
        "\\u12",
        "emails.value",
        "$ref",
    ];
    let mut state = 0x5eed_1234_u64;
    let (mut read, mut refused) = (0, 0);
    for _ in 0..20_000 {
        // Every fourth begins as a filter does.
        let begun = next(&mut state).is_multiple_of(4);
        let length = next(&mut state) % if begun { 4 } else { 14 };
        let glue = if next(&mut state).is_multiple_of(2) { " " } else { "" };
        let words: Vec<&str> =
            (0..length).map(|_| pieces[next(&mut state) % pieces.len()]).collect();
        let start = if begun { "userName eq \"x\" " } else { "" };
        let text = format!("{start}{}", words.join(glue));
        match Filter::read(&text) {
            Ok(filter) => {
                read += 1;
                filter.holds(&person());
            }
            Err(error) => {
                refused += 1;
                assert_eq!(error.scim_type, Some("invalidFilter"), "{text}");
            }
        }
        let mut resource = person();
        let body = json!({ "schemas": [PATCH_OP], "Operations": [
            { "op": "add", "path": text, "value": "x" } ] });
        let _ = patch::apply(&mut resource, &ATTRIBUTES, body.as_object().unwrap());
        assert_eq!(resource["id"], "Ab1", "{text}");
    }
    assert!(read > 50 && refused > 50, "{read} {refused}");
}

fn patched(operations: Value) -> Result<Map<String, Value>, Refused> {
    let mut resource = person();
    resource.insert("members".to_owned(), json!([{ "value": "a" }, { "value": "b" }]));
    let attributes = [&ATTRIBUTES[..], &[("members", patch::Shape::Many)]].concat();
    let body = json!({ "schemas": [PATCH_OP], "Operations": operations });
    patch::apply(&mut resource, &attributes, body.as_object().unwrap()).map(|()| resource)
}

#[test]
fn rfc7644_s3_5_2_operations() {
    let check = |operation: Value, pointer: &str, expect: Value| {
        let changed = Value::Object(patched(json!([operation.clone()])).unwrap());
        assert_eq!(changed.pointer(pointer).cloned().unwrap_or_default(), expect, "{operation}");
    };
    check(json!({ "op": "replace", "path": "active", "value": false }), "/active", json!(false));
    check(json!({ "op": "Replace", "value": { "ACTIVE": false } }), "/active", json!(false));
    check(json!({ "op": "add", "path": "displayName", "value": "A" }), "/displayName", json!("A"));
    check(json!({ "op": "remove", "path": "externalId" }), "/externalId", Value::Null);
    check(
        json!({ "op": "replace", "path": "externalId", "value": null }),
        "/externalId",
        Value::Null,
    );
    check(
        json!({ "op": "add", "path": "name.givenName", "value": "Bo" }),
        "/name",
        json!({ "givenName": "Bo", "familyName": "Lee" }),
    );
    check(
        json!({ "op": "add", "value": { "name.familyName": "Ko" } }),
        "/name/familyName",
        json!("Ko"),
    );
    check(
        json!({ "op": "add", "path": "name", "value": { "middleName": "C" } }),
        "/name/givenName",
        json!("Ann"),
    );
    check(json!({ "op": "remove", "path": "name" }), "/name", Value::Null);
    check(
        json!({ "op": "add",
            "path": "urn:ietf:params:scim:schemas:core:2.0:User:nickName", "value": "N" }),
        "/nickName",
        json!("N"),
    );
    let members = |operation: Value, expect: Value| check(operation, "/members", expect);
    members(
        json!({ "op": "add", "path": "members", "value": [{ "value": "b" }, { "value": "c" }] }),
        json!([{ "value": "a" }, { "value": "b" }, { "value": "c" }]),
    );
    members(
        json!({ "op": "remove", "path": "members[value eq \"a\"]" }),
        json!([{ "value": "b" }]),
    );
    members(
        json!({ "op": "remove", "path": "members", "value": [{ "value": "b" }] }),
        json!([{ "value": "a" }]),
    );
    members(
        json!({ "op": "remove", "path": "members", "value": [] }),
        json!([{ "value": "a" }, { "value": "b" }]),
    );
    members(json!({ "op": "remove", "path": "members" }), json!([]));
    members(
        json!({ "op": "replace", "path": "members", "value": [{ "value": "z" }] }),
        json!([{ "value": "z" }]),
    );
}

#[test]
fn rfc7644_s3_5_2_bad_operations_are_refused() {
    let check = |operations: Value, expect: &str| {
        let refused = patched(operations.clone()).expect_err("it is refused");
        assert_eq!(refused.scim_type, Some(expect), "{operations}");
    };
    check(json!([]), "invalidSyntax");
    check(json!([1]), "invalidSyntax");
    check(json!({}), "invalidSyntax");
    check(json!([{ "op": "move", "path": "active" }]), "invalidSyntax");
    check(json!([{ "op": "remove" }]), "noTarget");
    check(json!([{ "op": "add", "value": "x" }]), "invalidValue");
    check(json!([{ "op": "add", "path": "active" }]), "invalidValue");
    check(json!([{ "op": "add", "path": 1, "value": "x" }]), "invalidPath");
    check(json!([{ "op": "add", "path": "title", "value": "x" }]), "invalidPath");
    check(json!([{ "op": "add", "path": "userName.x", "value": "x" }]), "invalidPath");
    check(json!([{ "op": "add", "path": "name.age", "value": "x" }]), "invalidPath");
    check(
        json!([{ "op": "replace", "path": "members[value eq \"a\"]", "value": {} }]),
        "invalidPath",
    );
    check(json!([{ "op": "remove", "path": "members[value" }]), "invalidPath");
    check(json!([{ "op": "replace", "path": "id", "value": "x" }]), "mutability");
    check(json!([{ "op": "replace", "path": "groups", "value": [] }]), "mutability");
    check(json!([{ "op": "add", "path": "password", "value": "x" }]), "mutability");
    check(json!([{ "op": "add", "value": { "PassWord": "x" } }]), "mutability");
    let many: Vec<Value> =
        (0..101).map(|_| json!({ "op": "remove", "path": "externalId" })).collect();
    check(many.into(), "invalidSyntax");
}

#[test]
fn rfc7644_s3_9_only_what_is_wanted_is_returned() {
    let check = |attributes: &[&str], excluded: &[&str], expect: &[&str]| {
        let own = |names: &[&str]| names.iter().map(|it| (*it).to_owned()).collect();
        let query =
            Query { attributes: own(attributes), excluded: own(excluded), ..Query::default() };
        let mut resource = Value::Object(person());
        query.project(&mut resource);
        let mut names: Vec<&String> = resource.as_object().unwrap().keys().collect();
        names.sort_unstable();
        assert_eq!(names, expect, "{attributes:?} {excluded:?}");
        resource
    };
    check(&["userName"], &[], &["id", "userName"]);
    check(&["USERNAME"], &[], &["id", "userName"]);
    let name = check(&["name.givenName"], &[], &["id", "name"]);
    assert_eq!(name["name"], json!({ "givenName": "Ann" }));
    let rest = check(
        &[],
        &["emails", "name.givenName", "id", "nickName"],
        &["active", "externalId", "id", "name", "userName"],
    );
    assert_eq!(rest["name"], json!({ "familyName": "Lee" }));
}

#[test]
fn rfc7644_s3_4_2_4_pages() {
    let all: Vec<Value> = (1..=5).map(|id| json!({ "id": id })).collect();
    let check = |start: Option<i64>, count: Option<i64>, expect: &[i64], index: i64| {
        let query = Query { start_index: start, count, ..Query::default() };
        let page = query.page(all.clone());
        let ids: Vec<i64> = page["Resources"]
            .as_array()
            .unwrap()
            .iter()
            .map(|it| it["id"].as_i64().unwrap())
            .collect();
        assert_eq!(ids, expect, "{start:?} {count:?}");
        assert_eq!((&page["totalResults"], &page["startIndex"]), (&json!(5), &json!(index)));
        assert_eq!(page["itemsPerPage"], expect.len());
    };
    check(None, None, &[1, 2, 3, 4, 5], 1);
    check(Some(2), Some(2), &[2, 3], 2);
    check(Some(0), Some(1), &[1], 1);
    check(Some(-4), Some(-1), &[], 1);
    check(Some(9), None, &[], 9);
    check(Some(i64::MAX), Some(i64::MAX), &[], i64::MAX);
}
