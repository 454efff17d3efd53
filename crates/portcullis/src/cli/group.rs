//! `portcullis group`.

use super::args::GroupCommand;
use super::error::CliError;
use super::gate::{Gate, escape};
use super::print::{Printer, show};
use serde_json::{Value, json};

const COLUMNS: [(&str, &str); 3] =
    [("GROUP", "name"), ("SCOPES", "scopes"), ("DESCRIPTION", "description")];

pub(super) async fn run(
    gate: &Gate,
    command: &GroupCommand,
    printer: &mut Printer<'_>,
) -> Result<(), CliError> {
    match command {
        GroupCommand::Create { name, description, scopes } => {
            let body = json!({ "name": name, "description": description, "scopes": scopes });
            let group = gate.post("/api/v1/groups", &body).await?;
            let text = match show(group.get("scopes")) {
                none if none.is_empty() => format!("the group {name} opens no scope"),
                held => format!(
                    "only members of {name}, and of groups that name them too, may give {held}"
                ),
            };
            Ok(printer.result(&group, &text)?)
        }
        GroupCommand::List => {
            let mut answer = gate.fetch("/api/v1/groups").await?;
            let groups = answer.get_mut("groups").map(Value::take);
            let Some(Value::Array(groups)) = groups else {
                return Err(CliError::Broken("the answer has no `groups`".to_owned()));
            };
            Ok(printer.rows(&groups, &COLUMNS, "there are no groups")?)
        }
        GroupCommand::Show { name } => {
            let group = gate.fetch(&at(name)).await?;
            let fields = group.as_object().into_iter().flatten();
            let lines = fields.map(|(field, value)| format!("{field:<14} {}", show(Some(value))));
            Ok(printer.result(&group, &lines.collect::<Vec<_>>().join("\n"))?)
        }
        GroupCommand::Remove { name } => {
            let gone = gate.delete(&at(name)).await?;
            let text = match show(gone.get("opened")) {
                none if none.is_empty() => format!("the group {name} is removed"),
                open => {
                    format!("the group {name} is removed; open to everybody from now on: {open}")
                }
            };
            Ok(printer.result(&gone, &text)?)
        }
    }
}

fn at(name: &str) -> String {
    format!("/api/v1/groups/{}", escape(name))
}
