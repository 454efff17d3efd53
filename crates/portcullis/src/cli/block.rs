//! `portcullis block`.

use super::args::{BlockCommand, BlockTarget};
use super::error::CliError;
use super::gate::{Gate, escape};
use super::print::{Printer, show};
use serde_json::json;

const COLUMNS: [(&str, &str); 7] = [
    ("ID", "id"),
    ("KIND", "kind"),
    ("VALUE", "value"),
    ("ISSUER", "issuer"),
    ("UNTIL", "expires_at"),
    ("BY", "created_by"),
    ("REASON", "reason"),
];

pub(super) async fn run(
    gate: &Gate,
    command: &BlockCommand,
    printer: &mut Printer<'_>,
) -> Result<(), CliError> {
    match command {
        BlockCommand::Subject(target) => add(gate, "subject", target, printer).await,
        BlockCommand::Client(target) => add(gate, "client", target, printer).await,
        BlockCommand::Token(target) => add(gate, "token", target, printer).await,
        BlockCommand::List => {
            let blocks = gate.list("/api/v1/blocks", &[], "blocks").await?;
            Ok(printer.rows(&blocks, &COLUMNS, "nothing is blocked")?)
        }
        BlockCommand::Remove { id } => {
            let block = gate.delete(&format!("/api/v1/blocks/{}", escape(id))).await?;
            let (kind, value) = (show(block.get("kind")), show(block.get("value")));
            Ok(printer.result(&block, &format!("the {kind} {value} is no longer blocked"))?)
        }
    }
}

async fn add(
    gate: &Gate,
    kind: &str,
    target: &BlockTarget,
    printer: &mut Printer<'_>,
) -> Result<(), CliError> {
    let body = json!({
        "kind": kind,
        "value": target.value,
        "issuer": target.issuer,
        "reason": target.reason,
        "expires_in_seconds": target.duration.map(|span| span.as_secs()),
    });
    let block = gate.post("/api/v1/blocks", &body).await?;
    let (id, value) = (show(block.get("id")), show(block.get("value")));
    let until = match block.get("expires_at").and_then(|at| at.as_str()) {
        Some(_) => format!("until {}", show(block.get("expires_at"))),
        None => "for good".to_owned(),
    };
    let text =
        format!("the {kind} {value} is blocked {until}; `portcullis block remove {id}` lifts it");
    Ok(printer.result(&block, &text)?)
}
