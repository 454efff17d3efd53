//! What is wrong with a configuration, where, and what to write instead.

use serde::Serialize;
use std::fmt;

/// Problems that are kept of one file. A file that is no configuration at all would otherwise fill memory
/// with its own echo; nobody reads further than this.
pub const PROBLEMS: usize = 1000;

/// Whether the file can be used in spite of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The configuration is refused.
    Error,
    /// It works as written; somebody should look whether that was meant.
    Warning,
}

/// The kinds of problem; stable, `check --json` shows them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ProblemCode {
    /// Not TOML.
    Syntax,
    /// A key that does not exist.
    UnknownKey,
    /// A key that must be there and is not.
    Missing,
    /// A value of the wrong type.
    Type,
    /// A value that is not possible here.
    Value,
    /// Two things that may exist only once.
    Duplicate,
    /// A name that nothing bears.
    Reference,
    /// Two settings that exclude each other.
    Conflict,
    /// A file or environment variable that cannot be read, or holds nothing usable.
    Unreadable,
    /// A key or value of a feature that is not built yet.
    NotAvailable,
    /// Something that would leave a door open.
    FailOpen,
    /// Warning: a rule that any credential of its kind meets.
    NoScopes,
    /// Warning: a public route that takes more than reads.
    PublicWrite,
    /// Warning: credentials cross a network unencrypted.
    PlainCredential,
    /// Warning: something that never takes effect.
    NoEffect,
}

impl ProblemCode {
    /// Its word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Syntax => "syntax",
            Self::UnknownKey => "unknown_key",
            Self::Missing => "missing",
            Self::Type => "type",
            Self::Value => "value",
            Self::Duplicate => "duplicate",
            Self::Reference => "reference",
            Self::Conflict => "conflict",
            Self::Unreadable => "unreadable",
            Self::NotAvailable => "not_available",
            Self::FailOpen => "fail_open",
            Self::NoScopes => "no_scopes",
            Self::PublicWrite => "public_write",
            Self::PlainCredential => "plain_credential",
            Self::NoEffect => "no_effect",
        }
    }

    /// How serious it is.
    pub fn severity(self) -> Severity {
        match self {
            Self::NoScopes | Self::PublicWrite | Self::PlainCredential | Self::NoEffect => {
                Severity::Warning
            }
            _ => Severity::Error,
        }
    }
}

impl fmt::Display for ProblemCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One problem. Its text never holds a secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// Error or warning.
    pub severity: Severity,
    /// The kind.
    pub code: ProblemCode,
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// The place in the structure, such as `route[2].access.any[0].jwt.scopes`; list items count from 0.
    pub path: String,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// The byte where it begins, for sorting.
    #[serde(skip)]
    pub(super) offset: usize,
    /// How many characters of the line it covers, for the caret.
    #[serde(skip)]
    pub(super) width: usize,
    /// The line's text, absent where it may hold a secret.
    #[serde(skip)]
    pub(super) source: Option<String>,
}

impl Problem {
    /// Whether the configuration is refused because of it.
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }

    /// Several lines for a person: what, where, the source line with a caret, and the hint.
    pub fn render(&self, file: &str) -> String {
        let severity = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        let mut out = format!("{severity}[{}]: {}\n", self.code, self.message);
        let place = if self.path.is_empty() { String::new() } else { format!(" ({})", self.path) };
        out.push_str(&format!("  --> {file}:{}:{}{place}\n", self.line, self.column));
        if let Some(source) = &self.source {
            let number = self.line.to_string();
            let margin = " ".repeat(number.len());
            let indent: String = source
                .chars()
                .take(self.column.saturating_sub(1))
                .map(|c| if c == '\t' { '\t' } else { ' ' })
                .collect();
            let room = source.chars().count().saturating_sub(self.column - 1).max(1);
            let carets = "^".repeat(self.width.clamp(1, room));
            out.push_str(&format!(
                "{margin} |\n{number} | {source}\n{margin} | {indent}{carets}\n"
            ));
        }
        if let Some(hint) = &self.hint {
            out.push_str(&format!("  hint: {hint}\n"));
        }
        out
    }
}
