//! `portcullis explain`.

use super::error::CliError;
use super::gate::{Gate, escape};
use super::print::{Printer, show};
use serde_json::Value;

/// Says what happened to a request.
pub(super) async fn run(gate: &Gate, id: &str, printer: &mut Printer<'_>) -> Result<(), CliError> {
    let record = gate.fetch(&format!("/api/v1/explain/{}", escape(id))).await?;
    printer.result(&record, &text(&record))?;
    Ok(())
}

const LINES: [(&str, &str); 12] = [
    ("request", "request_id"),
    ("time", "time"),
    ("asked for", "path"),
    ("route", "route"),
    ("from", "client_ip"),
    ("as", "principal"),
    ("outcome", "outcome"),
    ("phase", "phase"),
    ("code", "code"),
    ("reason", "reason"),
    ("detail", "detail"),
    ("fix", "fix"),
];

fn text(record: &Value) -> String {
    let mut lines = Vec::new();
    for (word, field) in LINES {
        let value = record.get(field).filter(|value| !value.is_null());
        if value.is_none() {
            continue;
        }
        let mut value = show(value);
        if field == "path" && record.get("method").is_some_and(Value::is_string) {
            value = format!("{} {value}", show(record.get("method")));
        }
        if field == "outcome" && record.get("status").is_some_and(|status| *status != 0) {
            value = format!("{value} ({})", show(record.get("status")));
        }
        lines.push(format!("{word:<10} {value}"));
    }
    lines.join("\n")
}
