//! Both engines end in the same schema.

use crate::rig::{Rig, START};
use authority::oauth::ports::PeopleStore as _;
use sqlx::{Connection as _, PgConnection, Row as _, SqliteConnection};
use std::collections::BTreeSet;
use store::{OpenError, Store, StoreUrl};

const SQLITE_COLUMNS: &str = "SELECT m.name || '.' || c.name || ' ' || c.type || ' ' || \
     CASE WHEN c.\"notnull\" = 1 THEN 'not null' ELSE 'null' END || ' ' || \
     CASE WHEN c.pk > 0 THEN 'key' ELSE '' END \
     FROM sqlite_schema m JOIN pragma_table_info(m.name) c \
     WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite_%'";
const POSTGRES_COLUMNS: &str = "SELECT c.table_name || '.' || c.column_name || ' ' || \
     c.data_type || ' ' || CASE WHEN c.is_nullable = 'NO' THEN 'not null' ELSE 'null' END || ' ' || \
     CASE WHEN EXISTS (SELECT 1 FROM information_schema.key_column_usage k \
       JOIN information_schema.table_constraints t USING (constraint_name) \
       WHERE t.constraint_type = 'PRIMARY KEY' AND k.table_name = c.table_name \
       AND k.column_name = c.column_name) THEN 'key' ELSE '' END \
     FROM information_schema.columns c WHERE c.table_schema = 'public'";
const SQLITE_INDEXES: &str = "SELECT m.tbl_name || ': ' || m.sql FROM sqlite_schema m \
     WHERE m.type = 'index' AND m.sql IS NOT NULL";
const POSTGRES_INDEXES: &str = "SELECT tablename || ': ' || indexdef FROM pg_indexes \
     WHERE schemaname = 'public' AND indexname NOT LIKE '%_pkey'";

/// Words that mean the same.
fn normal(text: &str) -> String {
    let text = text.to_lowercase().replace("public.", "").replace("using btree ", "");
    let text = text.replace("bigint", "integer").replace("bytea", "blob");
    let text = text.replace(['(', ')', '"'], " ");
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[tokio::test]
async fn both_engines_end_in_the_same_schema() {
    let (sqlite, postgres) = (Rig::sqlite().await, Rig::postgres().await);
    let mut lite =
        SqliteConnection::connect(sqlite.folder.path().join("portcullis.db").to_str().unwrap())
            .await
            .unwrap();
    let mut pg = PgConnection::connect(&postgres.postgres.as_ref().unwrap().url()).await.unwrap();
    for (of_sqlite, of_postgres) in
        [(SQLITE_COLUMNS, POSTGRES_COLUMNS), (SQLITE_INDEXES, POSTGRES_INDEXES)]
    {
        let left = sqlx::query(of_sqlite).fetch_all(&mut lite).await.unwrap();
        let right = sqlx::query(of_postgres).fetch_all(&mut pg).await.unwrap();
        let left: BTreeSet<_> = left.iter().map(|row| normal(row.get(0))).collect();
        let right: BTreeSet<_> = right.iter().map(|row| normal(row.get(0))).collect();
        assert!(left.len() > 4);
        assert_eq!(left, right);
    }
}

#[tokio::test]
async fn a_newer_or_changed_schema_is_refused() {
    for (change, newer) in [
        ("INSERT INTO schema_migrations VALUES (99, 'x', 'y', 0)", true),
        ("UPDATE schema_migrations SET checksum = 'other'", false),
    ] {
        let rig = Rig::sqlite().await;
        let StoreUrl::Sqlite(path) = &rig.url else { unreachable!() };
        let mut conn = SqliteConnection::connect(path.to_str().unwrap()).await.unwrap();
        sqlx::query(change).execute(&mut conn).await.unwrap();
        let refused = Store::open(&rig.url, START).await.unwrap_err();
        assert_eq!(matches!(refused, OpenError::Newer { found: 99, .. }), newer);
        assert_eq!(matches!(refused, OpenError::Changed { version: 1 }), !newer);
    }
}

/// What an account says in its document is in its column after the migration that makes that.
#[tokio::test]
async fn accounts_of_before_are_found_by_what_a_directory_calls_them() {
    let fill = |text: &'static str| text.lines().find(|line| line.starts_with("UPDATE")).unwrap();
    let lite = fill(include_str!("../../migrations/sqlite/0006_declared.sql"));
    let pg = fill(include_str!("../../migrations/postgres/0006_declared.sql"));
    let mut user = crate::oauth::people::user("ada@example.com");
    user.directory.external_id = Some("e-\u{fc}\"7".to_owned());
    let event = || crate::oauth::event(base::code::USER_CREATED, 0);
    let before = [
        "UPDATE users SET external_id = NULL",
        // One that was written before there were directories.
        "INSERT INTO users (id, email, doc) VALUES ('x', 'y', '{\"id\":\"x\"}')",
    ];
    let found = async |rig: &Rig| {
        rig.store.users_by_external_id("e-\u{fc}\"7".to_owned()).await.unwrap().len()
    };
    let rig = Rig::sqlite().await;
    rig.store.create_user(user.clone(), event()).await.unwrap();
    let StoreUrl::Sqlite(path) = &rig.url else { unreachable!() };
    let mut conn = SqliteConnection::connect(path.to_str().unwrap()).await.unwrap();
    for sql in before.into_iter().chain([lite]) {
        sqlx::query(sql).execute(&mut conn).await.unwrap();
    }
    assert_eq!(found(&rig).await, 1);
    let rig = Rig::postgres().await;
    rig.store.create_user(user, event()).await.unwrap();
    let mut conn = PgConnection::connect(&rig.postgres.as_ref().unwrap().url()).await.unwrap();
    for sql in before.into_iter().chain([pg]) {
        sqlx::query(sql).execute(&mut conn).await.unwrap();
    }
    assert_eq!(found(&rig).await, 1);
}

#[test]
fn addresses_of_stores_are_told_apart() {
    assert!(matches!(StoreUrl::parse("postgres://u:p@h/d"), Ok(StoreUrl::Postgres(_))));
    assert!(matches!(StoreUrl::parse("data/state.db"), Ok(StoreUrl::Sqlite(_))));
    for wrong in ["", "mysql://h/d", "sqlite://"] {
        assert_eq!(StoreUrl::parse(wrong).unwrap_err(), OpenError::Url);
    }
    let shown = format!("{:?}", StoreUrl::parse("postgres://u:hunter2@h/d").unwrap());
    assert!(!shown.contains("hunter2"));
}

#[tokio::test]
async fn a_password_is_not_in_the_error() {
    for url in ["postgres://u:hunter2@h:port/d", "postgres://u:hunter2@localhost:1/d"] {
        let refused = Store::open(&StoreUrl::parse(url).unwrap(), START).await.unwrap_err();
        assert!(!format!("{refused} {refused:?}").contains("hunter2"));
    }
}
