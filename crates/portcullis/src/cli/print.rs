//! Prints results: JSON as it came, or text for a person.

use serde_json::Value;
use std::io::{self, Write};

/// Characters of one cell of a table; what is longer is cut, since `--json` has the whole.
const CELL: usize = 60;

/// Where results go.
pub(super) struct Printer<'a> {
    json: bool,
    out: &'a mut (dyn Write + Send),
}

impl<'a> Printer<'a> {
    pub(super) fn new(json: bool, out: &'a mut (dyn Write + Send)) -> Self {
        Self { json, out }
    }

    /// Whether JSON is wanted.
    pub(super) fn wants_json(&self) -> bool {
        self.json
    }

    /// One line of JSON.
    pub(super) fn json(&mut self, value: &impl serde::Serialize) -> io::Result<()> {
        let line = serde_json::to_string(value).map_err(io::Error::other)?;
        writeln!(self.out, "{line}")?;
        self.out.flush()
    }

    /// One line of text.
    pub(super) fn line(&mut self, text: &str) -> io::Result<()> {
        writeln!(self.out, "{}", text.trim_end())?;
        self.out.flush()
    }

    /// JSON as it is, or the text.
    pub(super) fn result(&mut self, value: &Value, text: &str) -> io::Result<()> {
        if self.json { self.json(value) } else { self.line(text) }
    }

    /// JSON as it is, or a table of some columns. `columns` are pairs of a heading and a field.
    pub(super) fn rows(
        &mut self,
        rows: &[Value],
        columns: &[(&str, &str)],
        empty: &str,
    ) -> io::Result<()> {
        if self.json {
            return self.json(&rows);
        }
        if rows.is_empty() {
            return self.line(empty);
        }
        let head = columns.iter().map(|(heading, _)| (*heading).to_owned()).collect();
        let body =
            rows.iter().map(|row| columns.iter().map(|(_, field)| cell(row.get(*field))).collect());
        let table: Vec<Vec<String>> = std::iter::once(head).chain(body).collect();
        self.line(&align(&table))
    }
}

/// A field's value as text in a cell.
pub(super) fn cell(value: Option<&Value>) -> String {
    let text = show(value);
    if text.chars().count() <= CELL {
        return text;
    }
    let cut: String = text.chars().take(CELL - 1).collect();
    format!("{cut}…")
}

/// A value as text; `-` for what is absent.
pub(super) fn show(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => "-".to_owned(),
        Some(Value::String(text)) => plain(text),
        Some(Value::Array(items)) => {
            let items: Vec<_> = items.iter().map(|item| show(Some(item))).collect();
            items.join(" ")
        }
        Some(other) => plain(&other.to_string()),
    }
}

/// Text without control characters, which a terminal would obey (names and paths are written by strangers).
pub(super) fn plain(text: &str) -> String {
    let hidden = |c: char| {
        // Controls, and the marks that turn the direction of text.
        c.is_control()
            || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    text.chars().map(|c| if hidden(c) { '\u{fffd}' } else { c }).collect()
}

fn align(table: &[Vec<String>]) -> String {
    let columns = table.first().map_or(0, Vec::len);
    let width = |column: usize| {
        let cells = table.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let lines = table.iter().map(|row| {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    });
    lines.collect::<Vec<_>>().join("\n")
}
