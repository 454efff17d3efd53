//! `portcullis audit`.

use super::Exit;
use super::args::AuditCommand;
use super::error::CliError;
use super::gate::{Gate, target};
use super::print::{Printer, cell, plain, show};
use serde_json::{Value, json};

pub(super) async fn run(
    gate: &Gate,
    command: &AuditCommand,
    printer: &mut Printer<'_>,
) -> Result<Exit, CliError> {
    match command {
        AuditCommand::Tail { lines, follow, filters } => {
            let limit = lines.to_string();
            let mut query = vec![("limit", limit.as_str())];
            query.extend(filters.iter().map(|(field, value)| (field.as_str(), value.as_str())));
            tail(gate, query, *follow, printer).await?;
        }
        AuditCommand::Query { sql } => {
            let rows = gate.post("/api/v1/audit/query", &json!({ "sql": sql })).await?;
            print_rows(&rows, printer)?;
        }
        AuditCommand::Verify if gate.is_remote() => {
            let why = "`audit verify` reads the files of this machine: leave --url out";
            return Err(CliError::Usage(why.to_owned()));
        }
        AuditCommand::Verify => return verify(gate, printer),
        AuditCommand::Export(_) => return Err(CliError::NotAvailable("audit export")),
        AuditCommand::Receipt(_) => return Err(CliError::NotAvailable("audit receipt")),
    }
    Ok(Exit::Done)
}

async fn tail(
    gate: &Gate,
    mut query: Vec<(&str, &str)>,
    follow: bool,
    printer: &mut Printer<'_>,
) -> Result<(), CliError> {
    let path = "/api/v1/audit/events";
    if follow {
        query.push(("follow", "true"));
        let mut lines = gate.follow(&target(path, &query)).await?;
        while let Some(event) = lines.next().await? {
            printer.result(&event, &event_line(&event))?;
        }
        return Ok(());
    }
    let events = gate.fetch(&target(path, &query)).await?;
    if printer.wants_json() {
        return Ok(printer.json(&events)?);
    }
    let events = events.as_array().map(Vec::as_slice).unwrap_or_default();
    if events.is_empty() {
        return Ok(printer.line("no such event is recorded")?);
    }
    for event in events {
        printer.line(&event_line(event))?;
    }
    Ok(())
}

/// One line: when, what came of it, what was asked, by whom, and the id to `explain`.
fn event_line(event: &Value) -> String {
    let field = |name: &str| event.get(name).filter(|value| !value.is_null());
    let mut parts = vec![show(field("time")), format!("{:<5}", show(field("outcome")))];
    if field("kind").is_some_and(|kind| kind == "decision" || kind == "completion") {
        parts.push(show(field("status")));
        parts.push(format!("{} {}", show(field("method")), cell(field("path"))));
    } else {
        parts.push(show(field("kind")));
    }
    parts.push(show(field("code")));
    for name in ["route", "principal", "client_ip", "detail"] {
        if let Some(value) = field(name) {
            parts.push(format!("{name}={}", cell(Some(value))));
        }
    }
    if let Some(count) = field("count").filter(|count| **count != 1) {
        parts.push(format!("count={count}"));
    }
    if let Some(id) = field("request_id") {
        parts.push(show(Some(id)));
    }
    parts.join("  ")
}

fn print_rows(rows: &Value, printer: &mut Printer<'_>) -> Result<(), CliError> {
    let Some(list) = rows.as_array() else {
        return Err(CliError::Broken("the answer is not a list of rows".to_owned()));
    };
    let mut names: Vec<&str> = Vec::new();
    for row in list {
        for name in row.as_object().into_iter().flat_map(|row| row.keys()) {
            if !names.contains(&name.as_str()) {
                names.push(name);
            }
        }
    }
    let columns: Vec<_> = names.into_iter().map(|name| (name, name)).collect();
    Ok(printer.rows(list, &columns, "no rows")?)
}

/// Checks the files alone; the gate may run or not.
fn verify(gate: &Gate, printer: &mut Printer<'_>) -> Result<Exit, CliError> {
    let path = gate.data().join("ledger");
    // WHY: a folder that is not there is a slip of `--data`, not a ledger without problems.
    let report = std::fs::metadata(&path)
        .and_then(|_| audit::verify(&path))
        .map_err(|error| CliError::Unreadable { path: path.clone(), why: error.to_string() })?;
    let problems: Vec<_> = report.problems.iter().map(ToString::to_string).collect();
    let value = json!({
        "ok": report.ok,
        "entries": report.entries,
        "root": report.root,
        "problems": problems,
    });
    let text = if report.ok {
        format!(
            "the ledger holds {} entries, and every byte is as it was written\nroot {}",
            report.entries, report.root
        )
    } else {
        let lines: Vec<_> = problems.iter().map(|problem| plain(problem)).collect();
        format!("the ledger was changed or damaged:\n{}", lines.join("\n"))
    };
    printer.result(&value, &text)?;
    Ok(if report.ok { Exit::Done } else { Exit::Refused })
}
