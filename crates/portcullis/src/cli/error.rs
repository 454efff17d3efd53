//! Why a command was not done.

use super::Exit;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// A refusal by the control API (RFC 9457).
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Refusal {
    /// The stable code.
    #[serde(default)]
    pub code: String,
    /// What it means.
    #[serde(default)]
    pub title: String,
    /// What the code does not say.
    #[serde(default)]
    pub detail: Option<String>,
}

/// Why a command was not done.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// The caller's: the command line is wrong.
    #[error("{0}")]
    Usage(String),
    /// The caller's: the command or option is of a later feature.
    #[error("not_available: `{0}` is not available yet")]
    NotAvailable(&'static str),
    /// The operator's: nothing listens on the socket.
    #[error("no gate runs on {0}: start it with `portcullis up --data {0}`")]
    NoGate(PathBuf),
    /// The operator's: the socket belongs to another user.
    #[error("the gate on {0} belongs to another user: run this command as that user")]
    Forbidden(PathBuf),
    /// The caller's: there is no token for this gate, or it is dead.
    #[error("you are not signed in to {0}: run `portcullis login --url {0}`")]
    SignIn(String),
    /// The authority or the person refused to sign in.
    #[error("not signed in: {0}")]
    Denied(String),
    /// The gate refused.
    #[error("{}", show(.0))]
    Refused(Refusal),
    /// The gate went away or spoke something else.
    #[error("the gate gave no usable answer: {0}")]
    Broken(String),
    /// The operator's: a file cannot be read.
    #[error("cannot read {}: {why}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// The output cannot be written.
    #[error("cannot write the output: {0}")]
    Output(#[from] std::io::Error),
}

fn show(refusal: &Refusal) -> String {
    let Refusal { code, title, detail } = refusal;
    match detail {
        Some(detail) => format!("{title}: {detail} ({code})"),
        None => format!("{title} ({code})"),
    }
}

#[derive(Serialize)]
struct Shape<'a> {
    code: &'a str,
    message: String,
}

impl CliError {
    /// The process's end.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Usage(_) | Self::NotAvailable(_) | Self::Unreadable { .. } => Exit::Usage,
            _ => Exit::Refused,
        }
    }

    /// A stable code.
    pub fn code(&self) -> &str {
        match self {
            Self::Usage(_) => "usage",
            Self::NotAvailable(_) => "not_available",
            Self::NoGate(_) => "no_gate",
            Self::Forbidden(_) => "forbidden",
            Self::SignIn(_) => "not_signed_in",
            Self::Denied(_) => "denied",
            Self::Refused(refusal) => &refusal.code,
            Self::Broken(_) => "broken",
            Self::Unreadable { .. } => "unreadable",
            Self::Output(_) => "output",
        }
    }

    /// One line for a person.
    pub fn to_text(&self) -> String {
        super::print::plain(&self.to_string())
    }

    /// One line of JSON.
    pub fn to_json(&self) -> String {
        let shape = Shape { code: self.code(), message: self.to_string() };
        serde_json::to_string(&shape).unwrap_or_default()
    }
}
