//! Secrets of the file, and the world that the file speaks of: files and environment variables.
//!
//! Owns: the only place where the environment is read. Never does: put a secret into a problem.

use super::problem::ProblemCode;
use super::reader::{Field, Reader};
use base::Secret;
use std::io::{self, Read};
use std::path::Path;
use toml::de::DeValue;

/// Bytes of a file that the configuration names: secrets, certificates, key sets. A chain of certificates
/// has about 10 KB, a large key set 100.
pub const FILE_BYTES: u64 = 1 << 20;

/// What the configuration may look at beside its own text.
pub trait Surroundings {
    /// The bytes of a file, at most [`FILE_BYTES`].
    ///
    /// # Errors
    /// When it cannot be read or is larger.
    fn file(&self, path: &Path) -> io::Result<Vec<u8>>;

    /// An environment variable; `None` when it is not set or not Unicode.
    fn variable(&self, name: &str) -> Option<String>;
}

/// The real file system and environment.
#[derive(Debug, Clone, Copy, Default)]
pub struct System;

impl Surroundings for System {
    fn file(&self, path: &Path) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        std::fs::File::open(path)?.take(FILE_BYTES + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > FILE_BYTES {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, "larger than 1 MiB"));
        }
        Ok(bytes)
    }

    #[expect(clippy::disallowed_methods, reason = "the one home of the environment")]
    fn variable(&self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }
}

/// No files and no environment; for fuzzing and for the built-in configuration.
#[derive(Debug, Clone, Copy, Default)]
pub struct Nothing;

impl Surroundings for Nothing {
    fn file(&self, _: &Path) -> io::Result<Vec<u8>> {
        Err(io::ErrorKind::NotFound.into())
    }

    fn variable(&self, _: &str) -> Option<String> {
        None
    }
}

impl Reader<'_> {
    /// A secret: a string, `{ env = "NAME" }` or `{ file = "path" }`.
    pub(super) fn secret(&mut self, field: &Field<'_>) -> Option<Secret<String>> {
        match field.value {
            DeValue::String(_) => {
                self.hide(field.at.span.clone());
                self.text(field).map(Secret::new)
            }
            DeValue::Table(_) => self.secret_elsewhere(field),
            _ => {
                self.hide(field.at.span.clone());
                self.wrong_type(field, "a string, { env = \"NAME\" } or { file = \"path\" }");
                None
            }
        }
    }

    fn secret_elsewhere(&mut self, field: &Field<'_>) -> Option<Secret<String>> {
        let mut table = self.table(field)?;
        let (env, file) = (table.field("env"), table.field("file"));
        // WHY: whoever writes another key here may have put the secret behind it.
        if table.entries().iter().any(|(key, _)| !matches!(*key, "env" | "file")) {
            self.hide(field.at.span.clone());
        }
        table.finish(self);
        match (env, file) {
            (Some(env), None) => {
                let name = self.text(&env)?;
                let value = self.around().variable(&name).filter(|value| !value.is_empty());
                if value.is_none() {
                    let message = format!("the environment variable {name:?} is not set or empty");
                    self.problem(ProblemCode::Unreadable, &env.at, message);
                }
                value.map(Secret::new)
            }
            (None, Some(file)) => {
                let (_, bytes) = self.file(&file)?;
                let text = String::from_utf8(bytes).ok();
                let text = text.map(|text| text.trim_end_matches(['\r', '\n']).to_owned());
                let text = text.filter(|text| !text.is_empty());
                if text.is_none() {
                    let message = "the file is empty or not UTF-8 text";
                    self.problem(ProblemCode::Unreadable, &file.at, message);
                }
                text.map(Secret::new)
            }
            _ => {
                let message = "a secret has either `env` or `file`";
                self.problem(ProblemCode::Conflict, &field.at, message);
                None
            }
        }
    }

    /// The path and bytes of a file that the configuration names.
    pub(super) fn file(&mut self, field: &Field<'_>) -> Option<(std::path::PathBuf, Vec<u8>)> {
        let text = self.text(field)?;
        let path = self.resolve(&text);
        match self.around().file(&path) {
            Ok(bytes) => Some((path, bytes)),
            Err(error) => {
                let shown = path.display();
                let message = format!("cannot read {shown}: {error}");
                let hint = "relative paths start at the folder of the configuration file";
                self.hinted(ProblemCode::Unreadable, &field.at, message, hint);
                None
            }
        }
    }
}
