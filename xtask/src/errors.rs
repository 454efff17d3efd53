//! `docs/errors.md`, generated from the table of codes in `base`.

use crate::workspace;
use anyhow::{Context, Result};
use base::{Blame, CodeInfo};
use std::fmt::Write as _;

const PREFACE: &str = "\
# Error codes

<!-- Generated from the table of codes in crates/base/src/codes.rs; `cargo xtask errors` writes it anew. -->

Every refusal is an `application/problem+json` (RFC 9457) whose `code` is one of these and never changes its
meaning. `portcullis explain REQUEST_ID` shows what the answer leaves out: the rule, claim, list or upstream.
";

/// Where the page lies.
pub(crate) const PATH: &str = "docs/errors.md";

/// The page as the table has it now.
pub(crate) fn page() -> String {
    let mut statuses: Vec<u16> = CodeInfo::all().iter().map(|row| row.status).collect();
    statuses.sort_unstable();
    statuses.dedup();
    // What answers no request comes last.
    statuses.sort_by_key(|status| (*status == 0, *status));
    let mut page = String::from(PREFACE);
    for status in statuses {
        let heading = match status {
            0 => "Recorded, never answered".to_owned(),
            status => format!("{status} {}", reason_phrase(status)),
        };
        let _ = write!(page, "\n## {heading}\n\n");
        page.push_str(
            "| code | status | title | meaning | what to do | who |\n|---|---|---|---|---|---|\n",
        );
        for row in CodeInfo::all().iter().filter(|row| row.status == status) {
            page.push_str(&line(row));
        }
    }
    page
}

/// Writes the page.
///
/// # Errors
/// When the file cannot be written.
pub(crate) fn write() -> Result<()> {
    std::fs::write(workspace::root().join(PATH), page()).context("cannot write docs/errors.md")
}

fn line(row: &CodeInfo) -> String {
    let status = if row.status == 0 { "–".to_owned() } else { row.status.to_string() };
    let cells =
        [row.title, row.reason, row.fix, who(row.blame)].map(|cell| cell.replace('|', "\\|"));
    // The anchor is what the `type` of a problem points to.
    let code = format!("<a id=\"{0}\"></a>`{0}`", row.code);
    format!("| {code} | {status} | {} |\n", cells.join(" | "))
}

fn who(blame: Blame) -> &'static str {
    match blame {
        Blame::Caller => "caller",
        Blame::Peer => "service or issuer behind",
        Blame::Operator => "operator",
        Blame::Bug => "us: please report it",
        Blame::Nobody => "nobody",
    }
}

fn reason_phrase(status: u16) -> &'static str {
    match status {
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        409 => "Conflict",
        410 => "Gone",
        411 => "Length Required",
        412 => "Precondition Failed",
        413 => "Content Too Large",
        414 => "URI Too Long",
        415 => "Unsupported Media Type",
        417 => "Expectation Failed",
        421 => "Misdirected Request",
        422 => "Unprocessable Content",
        426 => "Upgrade Required",
        428 => "Precondition Required",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        505 => "HTTP Version Not Supported",
        _ => "",
    }
}
