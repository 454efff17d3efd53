//! Reads a TOML document and collects every problem on the way, each with its place.
//!
//! Never does: stop at the first mistake. A value that cannot be read becomes `None`, and the section goes
//! on; whether the whole is usable is asked once, at the end.
//!
//! Invariant: every key that a section asks for is known, every other is a problem, so a key can neither be
//! forgotten nor ignored.

use super::problem::{PROBLEMS, Problem, ProblemCode, Severity};
use super::secret::Surroundings;
use super::syntax::settle;
use super::text::nearest;
use std::collections::HashMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use toml::de::{DeTable, DeValue};

/// Longest source line that is shown; longer ones are not (nobody would find the caret).
const SHOWN_LINE: usize = 200;
/// Words beside which secrets stand; lines with one of them are not shown.
const SENSITIVE: [&str; 4] = ["secret", "password", "authorization", "token"];

/// One value and its place.
#[derive(Debug, Clone)]
pub(super) struct Field<'a> {
    pub(super) value: &'a DeValue<'a>,
    pub(super) at: At,
}

/// A place: bytes of the text and the path in the structure.
#[derive(Debug, Clone, Default)]
pub(super) struct At {
    pub(super) span: Range<usize>,
    pub(super) path: String,
}

impl At {
    fn key(&self, key: &str, span: Range<usize>) -> Self {
        let plain = key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
        let key = if plain { key.to_owned() } else { format!("{key:?}") };
        let path = if self.path.is_empty() { key } else { format!("{}.{key}", self.path) };
        Self { span, path }
    }

    pub(super) fn item(&self, index: usize, span: Range<usize>) -> Self {
        Self { span, path: format!("{}[{index}]", self.path) }
    }
}

/// What kind of thing bears a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Named {
    Listener,
    Issuer,
    IpList,
    Upstream,
    Route,
    Client,
    Provider,
    SignIn,
    User,
}

impl Named {
    /// Its section, as written in the file.
    pub(super) fn section(self) -> &'static str {
        match self {
            Self::Listener => "listener",
            Self::Issuer => "issuer",
            Self::IpList => "ip_list",
            Self::Upstream => "upstream",
            Self::Route => "route",
            Self::Client => "client",
            Self::Provider => "provider",
            Self::SignIn => "sign_in",
            Self::User => "user",
        }
    }
}

/// Collects problems and knows what was declared so far.
pub(super) struct Reader<'a> {
    text: &'a str,
    line_starts: Vec<usize>,
    base: PathBuf,
    around: &'a dyn Surroundings,
    problems: Vec<Problem>,
    failed: bool,
    secrets: Vec<Range<usize>>,
    names: HashMap<Named, HashMap<String, usize>>,
}

impl<'a> Reader<'a> {
    /// A reader of `text`, whose relative paths start at `base`.
    pub(super) fn new(text: &'a str, base: &Path, around: &'a dyn Surroundings) -> Self {
        let breaks = text.bytes().enumerate().filter(|(_, b)| *b == b'\n').map(|(at, _)| at + 1);
        Self {
            text,
            line_starts: std::iter::once(0).chain(breaks).collect(),
            base: base.to_path_buf(),
            around,
            problems: Vec::new(),
            failed: false,
            secrets: Vec::new(),
            names: HashMap::new(),
        }
    }

    /// The surroundings, for secrets and files.
    pub(super) fn around(&self) -> &'a dyn Surroundings {
        self.around
    }

    /// A path of the file made absolute against the file's folder.
    pub(super) fn resolve(&self, path: &str) -> PathBuf {
        self.base.join(path)
    }

    /// Notes a problem.
    pub(super) fn problem(&mut self, code: ProblemCode, at: &At, message: impl Into<String>) {
        self.note(code, at, message.into(), None);
    }

    /// Notes a problem with a hint.
    pub(super) fn hinted(
        &mut self,
        code: ProblemCode,
        at: &At,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) {
        self.note(code, at, message.into(), Some(hint.into()));
    }

    fn note(&mut self, code: ProblemCode, at: &At, message: String, hint: Option<String>) {
        let severity = code.severity();
        let first_error = severity == Severity::Error && !self.failed;
        self.failed |= first_error;
        if self.problems.len() >= PROBLEMS {
            // WHY: a thousand warnings must not hide that there is an error.
            if !first_error {
                return;
            }
            self.problems.pop();
        }
        let (line, column) = self.place(at.span.start);
        let start = floor_boundary(self.text, at.span.start);
        let end = floor_boundary(self.text, at.span.end.max(start));
        let covered = self.text.get(start..end).unwrap_or_default();
        let first = covered.lines().next().unwrap_or_default();
        let path = at.path.clone();
        self.problems.push(Problem {
            severity,
            code,
            line,
            column,
            path,
            message,
            hint,
            offset: start,
            width: first.chars().count().max(1),
            source: None,
        });
    }

    /// Line and column of a byte, both from 1.
    pub(super) fn place(&self, offset: usize) -> (usize, usize) {
        let offset = floor_boundary(self.text, offset);
        let line = self.line_starts.partition_point(|start| *start <= offset).max(1);
        let start = self.line_starts.get(line - 1).copied().unwrap_or(0);
        let column = self.text.get(start..offset).unwrap_or_default().chars().count() + 1;
        (line, column)
    }

    /// Marks bytes that must never be shown.
    pub(super) fn hide(&mut self, span: Range<usize>) {
        self.secrets.push(span);
    }

    /// Declares a name; a second one of the same kind is a problem.
    pub(super) fn declare(&mut self, kind: Named, name: &str, at: &At) {
        let here = at.span.start;
        let first = *self.names.entry(kind).or_default().entry(name.to_owned()).or_insert(here);
        if first != here {
            let section = kind.section();
            let (line, _) = self.place(first);
            self.hinted(
                ProblemCode::Duplicate,
                at,
                format!("another [[{section}]] is named {name:?}"),
                format!("the first stands in line {line}; give this one another name"),
            );
        }
    }

    /// Checks that a name was declared.
    pub(super) fn refer(&mut self, kind: Named, name: &str, at: &At) {
        let known = self.names.get(&kind);
        if known.is_some_and(|names| names.contains_key(name)) {
            return;
        }
        let section = kind.section();
        let near = known.and_then(|names| nearest(name, names.keys().map(String::as_str)));
        let hint = match near {
            Some(near) => format!("did you mean {near:?}?"),
            None => format!("declare it as [[{section}]] with name = {name:?}"),
        };
        self.hinted(
            ProblemCode::Reference,
            at,
            format!("no [[{section}]] is named {name:?}"),
            hint,
        );
    }

    /// Whether there was an error, be it listed or not.
    pub(super) fn failed(&self) -> bool {
        self.failed
    }

    /// All problems in the order of the file.
    pub(super) fn into_problems(mut self) -> Vec<Problem> {
        let mut problems = std::mem::take(&mut self.problems);
        for problem in &mut problems {
            problem.source = self.shown_line(problem.line);
        }
        problems.sort_by_key(|problem| problem.offset);
        settle(self.text, problems)
    }

    /// The text of a line, unless it may hold a secret.
    fn shown_line(&self, line: usize) -> Option<String> {
        let start = *self.line_starts.get(line.checked_sub(1)?)?;
        let end = self.line_starts.get(line).copied().unwrap_or(self.text.len());
        let text = self.text.get(start..end)?.trim_end();
        let lower = text.to_ascii_lowercase();
        // WHY: a line that is not valid TOML has no marked spans; words that stand beside secrets do.
        let sensitive = SENSITIVE.iter().any(|word| lower.contains(word))
            || (lower.contains(':') && lower.contains('@'));
        let marked = self.secrets.iter().any(|span| span.start < end && start < span.end);
        let shown = !marked && !sensitive && text.chars().count() <= SHOWN_LINE;
        let plain = !text.chars().any(|c| c.is_control() && c != '\t');
        (shown && plain).then(|| text.to_owned())
    }
}

fn floor_boundary(text: &str, mut at: usize) -> usize {
    at = at.min(text.len());
    while at > 0 && !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

/// One table of the document.
pub(super) struct Section<'a> {
    table: &'a DeTable<'a>,
    pub(super) at: At,
    known: Vec<&'static str>,
}

impl<'a> Section<'a> {
    /// A table at its place, of which no key is known yet.
    pub(super) fn new(table: &'a DeTable<'a>, at: At) -> Self {
        Self { table, at, known: Vec::new() }
    }

    /// The value of `key`, which is known from now on.
    pub(super) fn field(&mut self, key: &'static str) -> Option<Field<'a>> {
        self.known.push(key);
        let value = self.table.get(key)?;
        Some(Field { value: value.get_ref(), at: self.at.key(key, value.span()) })
    }

    /// Whether `key` is present.
    pub(super) fn has(&self, key: &str) -> bool {
        self.table.contains_key(key)
    }

    /// Reads `key` where it is present.
    pub(super) fn read<'r, T>(
        &mut self,
        reader: &mut Reader<'r>,
        key: &'static str,
        read: impl FnOnce(&mut Reader<'r>, &Field<'a>) -> Option<T>,
    ) -> Option<T> {
        let field = self.field(key)?;
        read(reader, &field)
    }

    /// Reads `key`, which must be present.
    pub(super) fn require<'r, T>(
        &mut self,
        reader: &mut Reader<'r>,
        key: &'static str,
        read: impl FnOnce(&mut Reader<'r>, &Field<'a>) -> Option<T>,
    ) -> Option<T> {
        match self.field(key) {
            Some(field) => read(reader, &field),
            None => {
                reader.problem(ProblemCode::Missing, &self.at, format!("`{key}` is missing"));
                None
            }
        }
    }

    /// Refuses keys whose feature is not built yet.
    pub(super) fn not_available(&mut self, reader: &mut Reader<'_>, keys: &[(&'static str, &str)]) {
        for (key, feature) in keys {
            if let Some(field) = self.field(key) {
                reader.problem(
                    ProblemCode::NotAvailable,
                    &field.at,
                    format!("`{key}` is not available yet: {feature}"),
                );
            }
        }
    }

    /// Every key and value, all of them known; for tables whose keys are data.
    pub(super) fn entries(&self) -> Vec<(&'a str, Field<'a>)> {
        self.table
            .iter()
            .map(|(key, value)| {
                let name: &'a str = key.get_ref().as_ref();
                (name, Field { value: value.get_ref(), at: self.at.key(name, value.span()) })
            })
            .collect()
    }

    /// Refuses every key that nobody asked for.
    pub(super) fn finish(self, reader: &mut Reader<'_>) {
        #[cfg(test)]
        super::tests::guide::note(&self.at.path, &self.known);
        for key in self.table.keys() {
            let name: &str = key.get_ref().as_ref();
            if self.known.contains(&name) {
                continue;
            }
            let at = self.at.key(name, key.span());
            let hint = match nearest(name, self.known.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("known here: {}", self.known.join(", ")),
            };
            reader.hinted(ProblemCode::UnknownKey, &at, format!("unknown key {name:?}"), hint);
        }
    }
}
