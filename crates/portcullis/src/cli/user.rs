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
        UserCommand::Create { email, name, roles, no_mail } => {
            let body = json!({ "email": email, "name": name, "roles": roles, "mail": !no_mail });
            let made = gate.post("/api/v1/users", &body).await?;
            Ok(printer.result(&made, &linked(&made))?)
        }
        // `run` has sent these elsewhere.
        UserCommand::Import(_) | UserCommand::Export { .. } => Ok(()),
        UserCommand::List => {
            let users = gate.list("/api/v1/users", &[], "users").await?;
            Ok(printer.rows(&users, &COLUMNS, "there are no accounts")?)
        }
        UserCommand::Show { id } => {
            let user = gate.fetch(&at(id, "")).await?;
            Ok(printer.result(&user, &shown(&user))?)
        }
        UserCommand::Invite { id } => {
            let made = gate.post(&at(id, "/invite"), &json!({})).await?;
            Ok(printer.result(&made, &linked(&made))?)
        }
        UserCommand::ResetFactors { id, break_glass } => {
            let what = if *break_glass { "/break-glass" } else { "/reset-factors" };
            let done = gate.post(&at(id, what), &json!({})).await?;
            let text = format!(
                "The account {id} has no password and no second factor any more; its sessions and tokens are dead.\n\n\
                 {}\n\nThe person sets a password there, once, within a day.",
                show(done.get("setup_url")),
            );
            Ok(printer.result(&done, &text)?)
        }
        UserCommand::EndSessions { id } => {
            let done = gate.post(&at(id, "/end-sessions"), &json!({})).await?;
            let count = show(done.get("ended"));
            let text = format!("{count} sessions of {id} are ended; what was issued is dead");
            Ok(printer.result(&done, &text)?)
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
    let mailed = match made.get("mailed").and_then(Value::as_bool) {
        Some(true) => " The link was mailed.",
        _ => "",
    };
    format!(
        "{}\n\nThe person sets a password there, once, within a day.{mailed} The account's id is {}.",
        show(made.get("setup_url")),
        show(made.get("id")),
    )
}

/// An account, a line each, and how its person signs in.
fn shown(user: &Value) -> String {
    let all = || user.as_object().into_iter().flatten();
    let plain = all().filter(|(field, value)| *field != "authenticators" && !value.is_null());
    let mut lines: Vec<String> =
        plain.map(|(field, value)| format!("{field:<14} {}", show(Some(value)))).collect();
    let owned = user.get("authenticators").and_then(Value::as_array);
    let words = [("created_at", "added"), ("last_used_at", "last used"), ("failures", "failures")];
    for it in owned.into_iter().flatten() {
        let said = words.iter().filter_map(|(field, word)| {
            let value = it.get(field).filter(|value| !value.is_null())?;
            Some(format!("; {word} {}", show(Some(value))))
        });
        let said: String = said.collect();
        lines.push(format!("{:<14} {}{said}", show(it.get("kind")), show(it.get("name"))));
    }
    lines.join("\n")
}
