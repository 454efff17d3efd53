//! `portcullis trust`.

use super::args::{NewTrust, TrustCommand};
use super::error::CliError;
use super::gate::{Gate, escape};
use super::print::{Printer, show};
use serde_json::{Map, Value, json};

const COLUMNS: [(&str, &str); 6] = [
    ("ID", "id"),
    ("NAME", "name"),
    ("ISSUER", "issuer"),
    ("SUBJECT", "subject"),
    ("CLIENT", "client"),
    ("SCOPES", "scopes"),
];

pub(super) async fn run(
    gate: &Gate,
    command: &TrustCommand,
    printer: &mut Printer<'_>,
) -> Result<(), CliError> {
    match command {
        TrustCommand::Put(ask) => {
            let rule = gate.post("/api/v1/trust", &body(ask)).await?;
            let text = format!(
                "{}\n\ntokens of {} whose subject is {} become the client {}",
                show(rule.get("id")),
                show(rule.get("issuer")),
                show(rule.get("subject")),
                show(rule.get("client")),
            );
            Ok(printer.result(&rule, &text)?)
        }
        TrustCommand::List => {
            let mut answer = gate.fetch("/api/v1/trust").await?;
            let rules = answer.get_mut("rules").map(Value::take);
            let Some(Value::Array(rules)) = rules else {
                return Err(CliError::Broken("the answer has no `rules`".to_owned()));
            };
            Ok(printer.rows(&rules, &COLUMNS, "no other issuer is trusted")?)
        }
        TrustCommand::Remove { id } => {
            let rule = gate.delete(&format!("/api/v1/trust/{}", escape(id))).await?;
            Ok(printer.result(&rule, &format!("the rule {id} is removed"))?)
        }
    }
}

fn body(ask: &NewTrust) -> Value {
    let scopes: Vec<&str> = ask.scopes.iter().flat_map(|it| it.split_whitespace()).collect();
    let claims: Map<String, Value> =
        ask.claims.iter().map(|(name, value)| (name.clone(), value.as_str().into())).collect();
    json!({
        "name": ask.name,
        "issuer": ask.issuer,
        "jwks_uri": ask.jwks_uri,
        "subject": ask.subject,
        "audience": ask.audience,
        "claims": claims,
        "client": ask.client,
        "scopes": scopes,
    })
}
