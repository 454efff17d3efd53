//! `portcullis check`.

use super::Exit;
use super::args::CheckArgs;
use super::error::CliError;
use super::print::Printer;
use crate::config::{Config, Report};
use std::path::Path;

/// Reads a file and prints all that is wrong with it.
pub(super) fn run(args: &CheckArgs, printer: &mut Printer<'_>) -> Result<Exit, CliError> {
    let named = args.file.as_deref().or(args.config.as_deref());
    let path = named.unwrap_or(Path::new("portcullis.toml"));
    let report = Config::load(path)
        .map_err(|error| CliError::Unreadable { path: path.to_owned(), why: error.to_string() })?;
    if printer.wants_json() {
        printer.json(&report.problems)?;
    } else {
        printer.line(&show(path, &report))?;
    }
    Ok(if report.errors() == 0 { Exit::Done } else { Exit::Refused })
}

fn show(path: &Path, report: &Report) -> String {
    let file = path.display().to_string();
    let mut text = String::new();
    for problem in &report.problems {
        text.push_str(&problem.render(&file));
        text.push('\n');
    }
    let errors = report.errors();
    let warnings = report.problems.len() - errors;
    let count = |number: usize, word: &str| {
        format!("{number} {word}{}", if number == 1 { "" } else { "s" })
    };
    let found = match (errors, warnings) {
        (0, 0) => "no problems".to_owned(),
        (0, _) => count(warnings, "warning"),
        (_, 0) => count(errors, "error"),
        _ => format!("{}, {}", count(errors, "error"), count(warnings, "warning")),
    };
    text.push_str(&format!("{file}: {found}"));
    if let Some(config) = &report.config {
        let listeners = count(config.listeners.len(), "listener");
        let upstreams = count(config.upstreams.len(), "upstream");
        let routes = count(config.routes.len(), "route");
        text.push_str(&format!(" ({listeners}, {upstreams}, {routes})"));
    }
    text
}
