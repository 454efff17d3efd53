//! `portcullis key`.

use super::args::KeyCommand;
use super::error::CliError;
use super::gate::{Gate, escape};
use super::print::{Printer, show};
use serde_json::{Value, json};

const COLUMNS: [(&str, &str); 7] = [
    ("ID", "id"),
    ("NAME", "name"),
    ("ENV", "env"),
    ("SCOPES", "scopes"),
    ("CREATED", "created_at"),
    ("EXPIRES", "expires_at"),
    ("REVOKED", "revoked_at"),
];

pub(super) async fn run(
    gate: &Gate,
    command: &KeyCommand,
    printer: &mut Printer<'_>,
) -> Result<(), CliError> {
    match command {
        KeyCommand::Create { .. } => create(gate, command, printer).await,
        KeyCommand::List => {
            let keys = gate.list("/api/v1/keys", &[], "keys").await?;
            Ok(printer.rows(&keys, &COLUMNS, "there are no keys")?)
        }
        KeyCommand::Show { id } => {
            let key = gate.fetch(&format!("/api/v1/keys/{}", escape(id))).await?;
            Ok(printer.result(&key, &describe(&key))?)
        }
        KeyCommand::Revoke { id, reason } => {
            let path = format!("/api/v1/keys/{}/revoke", escape(id));
            let key = gate.post(&path, &json!({ "reason": reason })).await?;
            let text = format!("the key {} is revoked", show(key.get("id")));
            Ok(printer.result(&key, &text)?)
        }
        KeyCommand::Rotate(_) => Err(CliError::NotAvailable("key rotate")),
    }
}

async fn create(
    gate: &Gate,
    command: &KeyCommand,
    printer: &mut Printer<'_>,
) -> Result<(), CliError> {
    let KeyCommand::Create { name, scopes, expires, routes, env } = command else { return Ok(()) };
    let scopes: Vec<&str> = scopes.iter().flat_map(|scope| scope.split_whitespace()).collect();
    let body = json!({
        "name": name,
        "scopes": scopes,
        "expires_in_seconds": expires.map(|span| span.as_secs()),
        "env": env.as_str(),
        "routes": if routes.is_empty() { Value::Null } else { json!(routes) },
    });
    let key = gate.post("/api/v1/keys", &body).await?;
    let text = format!(
        "{}\n\nThis is the only time that the key is shown. Its id is {}, its scopes are {}, it expires {}.",
        show(key.get("key")),
        show(key.get("id")),
        show(key.get("scopes")),
        show(key.get("expires_at")),
    );
    Ok(printer.result(&key, &text)?)
}

fn describe(key: &Value) -> String {
    let fields = [
        ("id", "id"),
        ("name", "name"),
        ("env", "env"),
        ("scopes", "scopes"),
        ("routes", "routes"),
        ("created", "created_at"),
        ("by", "created_by"),
        ("expires", "expires_at"),
        ("revoked", "revoked_at"),
        ("reason", "revoked_reason"),
    ];
    let shown = fields.iter().filter(|(_, field)| key.get(*field).is_some_and(|it| !it.is_null()));
    let lines: Vec<_> =
        shown.map(|(word, field)| format!("{word:<10} {}", show(key.get(*field)))).collect();
    lines.join("\n")
}
