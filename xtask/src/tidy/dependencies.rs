//! Who may depend on whom, and what may not be in the tree at all.

use super::{Findings, Source};
use crate::workspace;
use anyhow::{Context, Result};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// The page with the table, and what stands before and after it.
const PAGE: &str = "docs/ARCHITECTURE.md";
const BEGIN: &str = "<!-- dependencies -->";
const END: &str = "<!-- /dependencies -->";

/// What may not be in the tree: a second TLS stack, and what it brings.
const BANNED: [&str; 6] =
    ["openssl", "openssl-sys", "native-tls", "ring", "rusqlite", "tokio-postgres"];
/// What one crate alone may depend on.
const KEPT_TO_ONE: [(&str, &str); 2] = [("sqlx", "store"), ("datafusion", "query")];

/// The crates of the workspace that may be depended on, by who may do it.
pub(super) type Table = BTreeMap<String, BTreeSet<String>>;

/// Compares the workspace with the table, and the whole tree with the bans.
///
/// # Errors
/// When cargo cannot tell what the dependencies are.
pub(super) fn check(sources: &[Source], findings: &mut Findings) -> Result<()> {
    let mut cargo = workspace::cargo();
    let text = workspace::output(cargo.args(["metadata", "--format-version", "1", "--no-deps"]))?;
    let metadata: Value = serde_json::from_str(&text).context("cargo metadata is not JSON")?;
    let members = members(&metadata);
    match sources.iter().find(|source| source.path == PAGE) {
        None => findings.error(format!("{PAGE}: missing, and with it the table of dependencies")),
        Some(source) => match table(&source.text) {
            None => findings.error(format!("{PAGE}: no table between {BEGIN} and {END}")),
            Some(table) => compare(&table, &members, findings),
        },
    }
    kept(&members, findings);
    banned(findings)
}

/// The table of the page: `| crate | may depend on |`, names parted by commas, `all` for any, `–` for none.
pub(super) fn table(page: &str) -> Option<Table> {
    let (_, rest) = page.split_once(BEGIN)?;
    let (body, _) = rest.split_once(END)?;
    let mut table = Table::new();
    for line in body.lines().filter(|line| line.starts_with('|')).skip(2) {
        let mut cells = line.trim_matches('|').split('|').map(|cell| cell.replace('`', ""));
        let (name, list) = (cells.next()?, cells.next()?);
        let list = list.split(',').map(|word| word.trim().to_owned());
        table.insert(name.trim().to_owned(), list.filter(|word| word != "–").collect());
    }
    Some(table)
}

/// Compares each crate's own dependencies on other crates of the workspace with the table.
pub(super) fn compare(table: &Table, members: &Table, findings: &mut Findings) {
    for (name, dependencies) in members {
        let Some(allowed) = table.get(name) else {
            findings.error(format!("{PAGE}: the table lacks `{name}`"));
            continue;
        };
        for dependency in dependencies.iter().filter(|other| members.contains_key(*other)) {
            if !allowed.contains(dependency) && !allowed.contains("all") {
                findings
                    .error(format!("{name} depends on {dependency}, which {PAGE} does not allow"));
            }
        }
    }
    for name in table.keys().filter(|name| !members.contains_key(*name)) {
        findings.error(format!("{PAGE}: the table has `{name}`, which is no crate under crates/"));
    }
}

/// The crates under `crates/` with the names of what they depend on in the product, not in tests.
fn members(metadata: &Value) -> Table {
    let mut members = Table::new();
    for package in list(metadata, "packages") {
        let path = text(package, "manifest_path");
        if !package.get("source").is_some_and(Value::is_null) || !path.contains("/crates/") {
            continue;
        }
        let dependencies = list(package, "dependencies")
            .filter(|dependency| dependency.get("kind").is_some_and(Value::is_null))
            .map(|dependency| text(dependency, "name").to_owned());
        members.insert(text(package, "name").to_owned(), dependencies.collect());
    }
    members
}

fn kept(members: &Table, findings: &mut Findings) {
    for (name, dependencies) in members {
        for (kept, owner) in KEPT_TO_ONE {
            if dependencies.contains(kept) && name != owner {
                findings.error(format!("{name} depends on {kept}, which is {owner}'s alone"));
            }
        }
    }
}

/// What is banned and yet part of the build, of tests and build scripts too. It asks `cargo tree`, since
/// `cargo metadata` also lists what is optional and never chosen.
fn banned(findings: &mut Findings) -> Result<()> {
    let mut cargo = workspace::cargo();
    cargo.args(["tree", "--workspace", "--all-features", "--prefix", "none", "--format", "{p}"]);
    let tree = workspace::output(&mut cargo)?;
    let names: BTreeSet<&str> = tree.lines().filter_map(|line| line.split(' ').next()).collect();
    for name in BANNED.iter().filter(|name| names.contains(**name)) {
        findings.error(format!(
            "{name} is in the tree; `cargo tree --workspace --all-features --invert {name}` shows why"
        ));
    }
    Ok(())
}

fn list<'a>(value: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> {
    value.get(key).and_then(Value::as_array).into_iter().flatten()
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}
