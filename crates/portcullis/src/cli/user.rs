//! `portcullis user`.

use super::args::UserCommand;
use super::error::CliError;
use super::gate::{Gate, escape};
use super::print::{Printer, show};
use serde_json::{Value, json};

const COLUMNS: [(&str, &str); 6] = [
    ("ID", "id"),
    ("E-MAIL", "email"),
    ("NAME", "name"),
    ("ROLES", "roles"),
    ("CREATED", "created_at"),
    ("DISABLED", "disabled_at"),
];

pub(super) async fn run(
    gate: &Gate,
    command: &UserCommand,
    printer: &mut Printer<'_>,
) -> Result<(), CliError> {
    match command {
        UserCommand::Create { email, name, roles } => {
            let body = json!({ "email": email, "name": name, "roles": roles });
            let made = gate.post("/api/v1/users", &body).await?;
            Ok(printer.result(&made, &linked(&made))?)
        }
        UserCommand::List => {
            let users = gate.list("/api/v1/users", &[], "users").await?;
            Ok(printer.rows(&users, &COLUMNS, "there are no accounts")?)
        }
        UserCommand::Show { id } => {
            let user = gate.fetch(&at(id, "")).await?;
            let lines: Vec<String> = user
                .as_object()
                .into_iter()
                .flatten()
                .filter(|(_, value)| !value.is_null())
                .map(|(field, value)| format!("{field:<14} {}", show(Some(value))))
                .collect();
            Ok(printer.result(&user, &lines.join("\n"))?)
        }
        UserCommand::Setup { id } => {
            let made = gate.post(&at(id, "/setup"), &json!({})).await?;
            Ok(printer.result(&made, &linked(&made))?)
        }
        UserCommand::Roles { id, roles } => {
            let user = gate.post(&at(id, "/roles"), &json!({ "roles": roles })).await?;
            let held = show(user.get("roles"));
            let text = match held.is_empty() {
                true => format!("the account {id} has no role"),
                false => format!("the account {id} has the roles {held}"),
            };
            Ok(printer.result(&user, &format!("{text}; it must sign in again"))?)
        }
        UserCommand::Disable { id } => {
            let user = gate.post(&at(id, "/disable"), &json!({})).await?;
            let text = format!("the account {id} is closed; its sessions and tokens are dead");
            Ok(printer.result(&user, &text)?)
        }
        UserCommand::Enable { id } => {
            let user = gate.post(&at(id, "/enable"), &json!({})).await?;
            Ok(printer.result(&user, &format!("the account {id} is open"))?)
        }
    }
}

fn at(id: &str, what: &str) -> String {
    format!("/api/v1/users/{}{what}", escape(id))
}

fn linked(made: &Value) -> String {
    format!(
        "{}\n\nThe person sets a password there, once, within a day. The account's id is {}.",
        show(made.get("setup_url")),
        show(made.get("id")),
    )
}
