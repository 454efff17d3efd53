//! `cargo xtask tidy`: the rules that neither the compiler nor clippy knows.
//!
//! Each rule is a file here and one line in [`run`]. A rule gives findings, one line each with the place;
//! it never stops at the first.

mod dependencies;
mod docs;
mod size;
#[cfg(test)]
mod tests;
mod words;

use crate::{errors, soak, workspace};
use anyhow::{Context, Result, bail};
use std::path::PathBuf;
use std::process::Command;

/// A text file of the tree.
pub(crate) struct Source {
    /// Its path from the root, with `/` between the parts.
    pub(crate) path: String,
    /// What stands in it.
    pub(crate) text: String,
}

/// What the rules found.
#[derive(Default)]
pub(crate) struct Findings {
    /// What has to be put right.
    pub(crate) errors: Vec<String>,
    /// What is worth a look.
    pub(crate) notes: Vec<String>,
}

impl Findings {
    /// Something that has to be put right.
    pub(crate) fn error(&mut self, text: impl Into<String>) {
        self.errors.push(text.into());
    }

    /// Something worth a look.
    pub(crate) fn note(&mut self, text: impl Into<String>) {
        self.notes.push(text.into());
    }
}

/// Applies every rule; with `--fix` it first rewrites what is generated.
///
/// # Errors
/// When a rule finds an error, or the tree cannot be read.
pub(crate) fn run(args: &[String]) -> Result<()> {
    match args {
        [] => {}
        [arg] if arg == "--fix" => errors::write()?,
        _ => bail!("usage: cargo xtask tidy [--fix]"),
    }
    let sources = sources()?;
    let mut findings = Findings::default();
    size::check(&sources, &mut findings);
    words::check(&sources, &mut findings);
    docs::check(&sources, &mut findings);
    soak::check(&sources, &mut findings);
    dependencies::check(&sources, &mut findings)?;
    for note in &findings.notes {
        println!("note: {note}");
    }
    for error in &findings.errors {
        eprintln!("error: {error}");
    }
    println!("tidy: {} files, {} errors", sources.len(), findings.errors.len());
    if !findings.errors.is_empty() {
        bail!("the tree is not tidy");
    }
    Ok(())
}

/// Every text file that is, or could be, committed.
///
/// # Errors
/// When git cannot list them, or one cannot be read.
pub(crate) fn sources() -> Result<Vec<Source>> {
    let root = workspace::root();
    let mut git = Command::new("git");
    git.current_dir(&root);
    git.args(["ls-files", "--cached", "--others", "--exclude-standard", "-z"]);
    let listed = workspace::output(&mut git)?;
    let mut sources = Vec::new();
    for path in listed.split('\0').filter(|path| !path.is_empty()) {
        let file: PathBuf = root.join(path);
        // A file that was removed but is still in the index, or a link to a folder.
        if !file.is_file() {
            continue;
        }
        let bytes = std::fs::read(&file).with_context(|| format!("cannot read {path}"))?;
        // What is not UTF-8 is no text and has no words.
        if let Ok(text) = String::from_utf8(bytes) {
            sources.push(Source { path: path.to_owned(), text });
        }
    }
    Ok(sources)
}
