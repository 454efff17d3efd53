//! `portcullis scope`.

use super::args::ScopeCommand;
use super::error::CliError;
use super::gate::{Gate, escape};
use super::print::{Printer, show};
use serde_json::{Value, json};

const COLUMNS: [(&str, &str); 3] =
    [("SCOPE", "name"), ("MEANS", "description"), ("ORIGIN", "origin")];

pub(super) async fn run(
    gate: &Gate,
    command: &ScopeCommand,
    printer: &mut Printer<'_>,
) -> Result<(), CliError> {
    match command {
        ScopeCommand::Set { scope, description } => {
            let body = json!({ "name": scope, "description": description });
            let scope = gate.post("/api/v1/scopes", &body).await?;
            let text =
                format!("{} means: {}", show(scope.get("name")), show(scope.get("description")));
            Ok(printer.result(&scope, &text)?)
        }
        ScopeCommand::List => {
            let mut answer = gate.fetch("/api/v1/scopes").await?;
            let scopes = answer.get_mut("scopes").map(Value::take);
            let Some(Value::Array(scopes)) = scopes else {
                return Err(CliError::Broken("the answer has no `scopes`".to_owned()));
            };
            Ok(printer.rows(&scopes, &COLUMNS, "no scope has words yet")?)
        }
        ScopeCommand::Remove { scope } => {
            let removed = gate.delete(&format!("/api/v1/scopes/{}", escape(scope))).await?;
            Ok(printer.result(&removed, &format!("the words of {scope} are removed"))?)
        }
    }
}
