//! `portcullis client`.

use super::args::ClientCommand;
use super::error::CliError;
use super::gate::{Gate, escape};
use super::print::{Printer, show};
use serde_json::{Value, json};

const COLUMNS: [(&str, &str); 7] = [
    ("CLIENT_ID", "client_id"),
    ("NAME", "name"),
    ("AUTH", "auth"),
    ("GRANTS", "grants"),
    ("SCOPES", "scopes"),
    ("ORIGIN", "origin"),
    ("DISABLED", "disabled_at"),
];
const RULES: [(&str, &str); 4] =
    [("MET", "met"), ("SOURCE", "source"), ("SECTION", "section"), ("RULE", "text")];

pub(super) async fn run(
    gate: &Gate,
    command: &ClientCommand,
    printer: &mut Printer<'_>,
) -> Result<(), CliError> {
    match command {
        ClientCommand::Create(ask) => {
            let made = gate.post("/api/v1/clients", &ask.body()?).await?;
            Ok(printer.result(&made, &created(&made))?)
        }
        ClientCommand::List => {
            let clients = gate.list("/api/v1/clients", &[], "clients").await?;
            Ok(printer.rows(&clients, &COLUMNS, "there are no clients")?)
        }
        ClientCommand::Show { id } => {
            let client = gate.fetch(&at(id, "")).await?;
            Ok(printer.result(&client, &describe(&client))?)
        }
        ClientCommand::RotateSecret { id, overlap } => {
            let body = json!({ "overlap_seconds": overlap.map(|it| it.as_secs()) });
            let made = gate.post(&at(id, "/rotate-secret"), &body).await?;
            Ok(printer.result(&made, &created(&made))?)
        }
        ClientCommand::Disable { id } => {
            let client = gate.post(&at(id, "/disable"), &json!({})).await?;
            let text = format!("the client {id} and all its tokens are refused");
            Ok(printer.result(&client, &text)?)
        }
        ClientCommand::Enable { id } => {
            let client = gate.post(&at(id, "/enable"), &json!({})).await?;
            let text = format!("the client {id} is taken in again; its old tokens stay dead");
            Ok(printer.result(&client, &text)?)
        }
        ClientCommand::Grade { id } => {
            let grade = gate.fetch(&at(id, "/grade")).await?;
            let rules = grade.get("rules").and_then(Value::as_array).cloned().unwrap_or_default();
            Ok(printer.rows(&rules, &RULES, "no rule concerns this client")?)
        }
    }
}

fn at(id: &str, what: &str) -> String {
    format!("/api/v1/clients/{}{what}", escape(id))
}

fn created(made: &Value) -> String {
    let id = show(made.get("client_id"));
    match made.get("client_secret").and_then(Value::as_str) {
        Some(secret) => format!(
            "client_id      {id}\nclient_secret  {secret}\n\nThis is the only time that the secret is shown."
        ),
        None => format!("client_id      {id}\n\nIt has no secret."),
    }
}

fn describe(client: &Value) -> String {
    let fields = [
        "client_id",
        "name",
        "profile",
        "origin",
        "auth",
        "grants",
        "redirect_uris",
        "scopes",
        "resources",
        "pkce",
        "token_format",
        "refresh",
        "consent",
        "secrets",
        "created_at",
        "created_by",
        "disabled_at",
    ];
    let shown = fields.iter().filter(|field| client.get(**field).is_some_and(|it| !it.is_null()));
    let lines: Vec<_> =
        shown.map(|field| format!("{field:<14} {}", show(client.get(*field)))).collect();
    lines.join("\n")
}
