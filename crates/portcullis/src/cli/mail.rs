//! `portcullis mail`.

use super::args::MailCommand;
use super::error::CliError;
use super::gate::{Gate, escape};
use super::print::{Printer, show};
use serde_json::Value;

const COLUMNS: [(&str, &str); 5] =
    [("NUMBER", "number"), ("TIME", "at"), ("KIND", "kind"), ("TO", "to"), ("SUBJECT", "subject")];

pub(super) async fn run(
    gate: &Gate,
    command: &MailCommand,
    printer: &mut Printer<'_>,
) -> Result<(), CliError> {
    match command {
        MailCommand::List => {
            let mut answer = gate.fetch("/api/v1/mail").await?;
            let kept = answer.get("kept").and_then(Value::as_bool) == Some(true);
            let messages = answer.get_mut("messages").map(Value::take);
            let Some(Value::Array(messages)) = messages else {
                return Err(CliError::Broken("the answer has no `messages`".to_owned()));
            };
            let none = match kept {
                true => "no message yet",
                false => "messages are sent to the server of [mail], not kept",
            };
            Ok(printer.rows(&messages, &COLUMNS, none)?)
        }
        MailCommand::Show { number } => {
            let message = gate.fetch(&format!("/api/v1/mail/{}", escape(number))).await?;
            let text = message.get("text").and_then(Value::as_str).unwrap_or_default();
            let text: String = text.lines().map(|line| super::print::plain(line) + "\n").collect();
            let shown = format!("To: {}\n\n{text}", show(message.get("to")));
            Ok(printer.result(&message, shown.trim_end())?)
        }
    }
}
