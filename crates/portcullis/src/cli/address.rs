//! `portcullis ip`.

use super::args::AddressCommand;
use super::error::CliError;
use super::gate::{Gate, escape, target};
use super::print::{Printer, show};
use serde_json::{Value, json};

const COLUMNS: [(&str, &str); 7] = [
    ("ID", "id"),
    ("ADDRESS", "address"),
    ("LIST", "list"),
    ("UNTIL", "expires_at"),
    ("BY", "created_by"),
    ("OWNER", "owner"),
    ("NOTE", "note"),
];

pub(super) async fn run(
    gate: &Gate,
    command: &AddressCommand,
    printer: &mut Printer<'_>,
) -> Result<(), CliError> {
    match command {
        AddressCommand::Allow { address, list, duration, note } => {
            let seconds = duration.as_secs();
            let body = json!({
                "address": address, "list": list, "expires_in_seconds": seconds, "note": note,
            });
            let entry = gate.post("/api/v1/ip/entries", &body).await?;
            let text = format!(
                "{} is on the list {} until {}; `portcullis ip remove {}` ends it earlier",
                show(entry.get("address")),
                show(entry.get("list")),
                show(entry.get("expires_at")),
                show(entry.get("id")),
            );
            Ok(printer.result(&entry, &text)?)
        }
        AddressCommand::List { list } => {
            let query: Vec<_> = list.iter().map(|list| ("list", list.as_str())).collect();
            let entries = gate.list("/api/v1/ip/entries", &query, "entries").await?;
            Ok(printer.rows(&entries, &COLUMNS, "no address was added at run time")?)
        }
        AddressCommand::Remove { id } => {
            let entry = gate.delete(&format!("/api/v1/ip/entries/{}", escape(id))).await?;
            let (address, list) = (show(entry.get("address")), show(entry.get("list")));
            Ok(printer.result(&entry, &format!("{address} is off the list {list}"))?)
        }
        AddressCommand::Test { address, list } => {
            let mut query = vec![("address", address.as_str())];
            query.extend(list.iter().map(|list| ("list", list.as_str())));
            let verdicts = gate.fetch(&target("/api/v1/ip/test", &query)).await?;
            Ok(printer.result(&verdicts, &describe(&verdicts))?)
        }
    }
}

fn describe(answer: &Value) -> String {
    let address = show(answer.get("address"));
    let lists =
        answer.get("lists").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    if lists.is_empty() {
        return format!("{address}: no list is declared");
    }
    let line = |verdict: &Value| {
        let (list, said) = (show(verdict.get("list")), show(verdict.get("verdict")));
        match verdict.get("rule").filter(|rule| !rule.is_null()) {
            // A rule that was added at run time, or that comes from a name, says so itself.
            Some(rule) if verdict.get("source").is_some_and(|source| source == "file") => {
                format!("{address}: {list}: {said} by {} (file)", show(Some(rule)))
            }
            Some(rule) => format!("{address}: {list}: {said} by {}", show(Some(rule))),
            None => format!("{address}: {list}: {said}"),
        }
    };
    lists.iter().map(line).collect::<Vec<_>>().join("\n")
}
