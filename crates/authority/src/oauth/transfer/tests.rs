//! What lines may say, and what becomes of accounts by them.

use super::line::Line;
use super::*;
use crate::oauth::fixture::{World, actor, world};
use serde_json::json;

const HASH: &str = "$2b$05$aZ1i79Hf8rPCTH0ottk9guaxRlIjgio4PsPGFvCdNbiwcbj6VSRYO";
/// RFC 6238's, in base32.
const SECRET: &str = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";

fn refused(line: Value, field: &str, word: &str) {
    match Line::read(&line) {
        Err(Error::Invalid { field: found, problem }) => {
            assert_eq!(found, field, "{line}: {problem}");
            assert!(problem.contains(word), "{line}: {problem}");
        }
        other => panic!("{line}: {other:?}"),
    }
}

#[test]
fn a_line_that_breaks_a_rule_is_refused_by_its_member() {
    refused(json!([]), "line", "object");
    refused(json!({ "email": "a@example.com", "mail": "x" }), "line", "`mail`");
    refused(json!({}), "email", "missing");
    refused(json!({ "email": 7 }), "email", "text");
    refused(json!({ "email": "a" }), "email", "name@example.com");
    refused(json!({ "email": "x@deleted.invalid" }), "email", "deleted");
    let with = |name: &str, value: Value| json!({ "email": "a@example.com", name: value });
    refused(with("id", json!("short")), "id", "12");
    refused(with("id", json!("../../../../x")), "id", "12");
    refused(with("email_verified", json!("yes")), "email_verified", "true or false");
    refused(with("name", json!("a\nb")), "name", "control");
    refused(with("groups", json!("ops")), "groups", "list");
    refused(with("groups", json!([1])), "groups", "list");
    refused(with("groups", json!(["a b"])), "groups", "letters");
    refused(with("groups", json!(vec!["g"; 51])), "groups", "50");
    refused(with("claims", json!({ "sub": "x" })), "claims", "`sub`");
    refused(with("claims", json!({ "locale": "x".repeat(9000) })), "claims", "bytes");
    refused(with("disabled", json!(1)), "disabled", "true or false");
    refused(with("external_id", json!("x".repeat(256))), "external_id", "255");
    refused(with("password_hash", json!("hunter2")), "password_hash", "not a password hash");
    refused(with("password_hash", json!("$2b$31$x")), "password_hash", "not a password hash");
    let dear = HASH.replace("$05$", "$20$");
    refused(with("password_hash", json!(dear)), "password_hash", "cost too much");
    refused(with("password_hash", json!("$".repeat(600))), "password_hash", "not a");
    refused(with("totp", json!({})), "totp", "list");
    refused(with("totp", json!([SECRET])), "totp", "objects");
    refused(with("totp", json!(vec![json!({ "secret": SECRET }); 6])), "totp", "5");
    for (app, word) in [
        (json!({}), "secret"),
        (json!({ "secret": "GEZA" }), "secret"),
        (json!({ "secret": "not base32 at all, 18" }), "secret"),
        (json!({ "secret": SECRET, "digits": 8 }), "digits"),
        (json!({ "secret": SECRET, "period": "30" }), "period"),
        (json!({ "secret": SECRET, "algorithm": "SHA512" }), "algorithm"),
        (json!({ "secret": SECRET, "name": 1 }), "name"),
        (json!({ "secret": SECRET, "issuer": "x" }), "issuer"),
    ] {
        refused(with("totp", json!([app])), "totp", word);
    }
}

#[test]
fn what_is_wrong_with_a_secret_is_said_without_it() {
    for (name, value) in [
        ("password_hash", json!("$2b$hunter2")),
        ("totp", json!([{ "secret": "hunter2" }])),
        ("totp", json!("hunter2")),
    ] {
        let Err(error) = Line::read(&json!({ "email": "a@example.com", name: value })) else {
            panic!("{name} is taken")
        };
        assert!(!error.to_string().contains("hunter2"), "{error}");
    }
}

#[test]
fn secrets_of_apps_are_read_as_people_write_them() {
    let read = |secret: &str| {
        let line = json!({ "email": "a@example.com", "totp": [{ "secret": secret }] });
        Line::read(&line).unwrap().apps[0].secret.base32()
    };
    for text in
        [SECRET, "gezd gnbv gy3t qojq gezd gnbv gy3t qojq", "GEZDGNBV-GY3TQOJQ-GEZDGNBV-GY3TQOJQ"]
    {
        assert_eq!(read(text), SECRET);
    }
    // RFC 4648 §6: 18 bytes, padded.
    assert_eq!(read("GEZDGNBVGY3TQOJQGEZDGNBVGY3TQ==="), "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQ");
}

async fn import(world: &World, line: Value, rules: ImportRules) -> LineDone {
    world.oauth.import_people(&actor(), &[line], rules).await.unwrap().remove(0)
}

#[tokio::test]
async fn an_account_that_is_there_is_changed_only_where_that_is_asked_for() {
    let world = world().await;
    let (plain, update) =
        (ImportRules::default(), ImportRules { update: true, ..ImportRules::default() });
    let first = json!({ "email": "a@example.com", "name": "A", "groups": ["ops"] });
    let made = import(&world, first.clone(), plain).await;
    assert_eq!(made.outcome, LineOutcome::Created);
    assert_eq!(import(&world, first, update).await.outcome, LineOutcome::Unchanged);
    let other = json!({ "email": " A@Example.com", "name": "B", "password_hash": HASH });
    let kept = import(&world, other.clone(), plain).await;
    assert_eq!((kept.outcome, kept.differs), (LineOutcome::Kept, vec!["name", "password_hash"]));
    let changed = import(&world, other.clone(), update).await;
    assert_eq!((changed.outcome, changed.id), (LineOutcome::Changed, made.id.clone()));
    let user = world.oauth.show_user(&made.id.unwrap()).await.unwrap();
    assert_eq!((user.name.as_deref(), user.password.as_deref()), (Some("B"), Some(HASH)));
    assert_eq!(user.roles, ["ops"], "what a line leaves out stays");
    // A password that is there never changes, and an account is never opened.
    let hash = HASH.replace("aZ1", "aZ2");
    let next = json!({ "email": "a@example.com", "password_hash": hash, "disabled": true });
    assert_eq!(import(&world, next, update).await.outcome, LineOutcome::Changed);
    let open = json!({ "email": "a@example.com", "disabled": false });
    let kept = import(&world, open, update).await;
    assert_eq!((kept.outcome, kept.differs), (LineOutcome::Kept, vec!["disabled"]));
    let user = world.oauth.show_user(&user.id).await.unwrap();
    assert_eq!(user.password.as_deref(), Some(HASH));
    assert!(user.disabled_at.is_some());
}

#[tokio::test]
async fn an_id_comes_along_and_is_nobody_elses() {
    let world = world().await;
    let rules = ImportRules::default();
    let line = json!({ "email": "a@example.com", "id": "abcdefghijkl" });
    assert_eq!(import(&world, line, rules).await.id.as_deref(), Some("abcdefghijkl"));
    for line in [
        json!({ "email": "b@example.com", "id": "abcdefghijkl" }),
        json!({ "email": "a@example.com", "id": "lkjihgfedcba" }),
    ] {
        for rules in [rules, ImportRules { dry_run: true, update: true, ..rules }] {
            let done = import(&world, line.clone(), rules).await;
            assert_eq!(done.problem.map(|it| it.0), Some("id"), "{line}");
        }
    }
    // RFC 9700 §4.15: nor a client's.
    let client = world.client(&["client_credentials"], |_| ()).await.client.id;
    let done = import(&world, json!({ "email": "c@example.com", "id": client }), rules).await;
    assert_eq!(done.problem.map(|it| it.0), Some("id"));
    assert_eq!(world.store.state().users.len(), 1);
}

#[tokio::test]
async fn a_group_elsewhere_that_is_called_like_a_role_is_none() {
    let world = world().await;
    let line = |groups: Value| json!({ "email": "a@example.com", "groups": groups });
    let rules = ImportRules { update: true, ..ImportRules::default() };
    for role in ["administrator", "Operator", "AUDITOR"] {
        let done = import(&world, line(json!([role])), rules).await;
        assert_eq!(done.problem.map(|it| it.0), Some("groups"), "{role}");
    }
    let all = ImportRules { with_roles: true, ..rules };
    assert_eq!(
        import(&world, line(json!(["administrator"])), all).await.outcome,
        LineOutcome::Created
    );
    // Nor is one who holds a role changed by the way.
    for dry_run in [true, false] {
        let done = import(&world, line(json!([])), ImportRules { dry_run, ..rules }).await;
        assert_eq!(done.outcome, LineOutcome::Refused);
    }
    assert_eq!(import(&world, line(json!([])), all).await.outcome, LineOutcome::Changed);
}

#[tokio::test]
async fn looking_changes_and_records_nothing() {
    let world = world().await;
    let before = world.store.state().events.len();
    let rules = ImportRules { dry_run: true, ..ImportRules::default() };
    let lines = [json!({ "email": "a@example.com" }), json!({ "email": "b" })];
    let done = world.oauth.import_people(&actor(), &lines, rules).await.unwrap();
    let outcomes: Vec<_> = done.iter().map(|it| it.outcome).collect();
    assert_eq!(outcomes, [LineOutcome::Created, LineOutcome::Refused]);
    assert_eq!(world.store.state().events.len(), before);
    assert!(world.store.state().users.is_empty());
    // Else each is recorded, the refused one too.
    world.oauth.import_people(&actor(), &lines, ImportRules::default()).await.unwrap();
    let codes: Vec<_> =
        world.store.state().events[before..].iter().map(|it| it.code.clone()).collect();
    assert_eq!(codes, [code::USER_CREATED, code::ACT_REFUSED]);
    let many = vec![json!({}); LINES_MOST + 1];
    assert!(world.oauth.import_people(&actor(), &many, rules).await.is_err());
}

#[tokio::test]
async fn an_export_has_no_secret_that_was_not_asked_for() {
    let world = world().await;
    let app = json!([{ "secret": SECRET }]);
    let line = json!({ "email": "a@example.com", "password_hash": HASH, "totp": app });
    // The first administrator, who has not come yet, is nobody to bring anywhere.
    world.oauth.bootstrap(&actor()).await.unwrap().unwrap();
    import(&world, line, ImportRules::default()).await;
    let page = || TextPage { after: String::new(), rows: 10 };
    let plain = world.oauth.export_people(&actor(), page(), false).await.unwrap();
    assert_eq!(plain.people.len(), 1);
    assert!(plain.people[0].password_hash.is_none() && plain.people[0].second_factor);
    let full = world.oauth.export_people(&actor(), page(), true).await.unwrap();
    assert_eq!(full.people[0].password_hash.as_ref().unwrap().expose(), HASH);
    assert!(!format!("{full:?}").contains(HASH));
    // What somebody asks for does not fill the ledger.
    let long = TextPage { after: "z".repeat(60_000), rows: 10 };
    world.oauth.export_people(&actor(), long, false).await.unwrap();
    let last = world.store.state().events.last().cloned().unwrap();
    assert!(last.detail.unwrap().len() < 100);
    // What cannot be recorded is not given out.
    world.ledger.broken.store(true, std::sync::atomic::Ordering::SeqCst);
    assert!(world.oauth.export_people(&actor(), page(), true).await.is_err());
}
