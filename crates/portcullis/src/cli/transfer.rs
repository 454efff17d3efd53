//! `portcullis user import` and `portcullis user export`.
//!
//! Invariant: what is printed never repeats a line's value but its e-mail address.

use super::Exit;
use super::args::ImportArgs;
use super::error::CliError;
use super::gate::Gate;
use super::print::{Printer, show};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::fs::OpenOptions;
use std::io::{self, Read as _, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

/// Bytes of a file: it is held in memory as a whole.
const FILE_BYTES: u64 = 64 << 20;
/// Lines of a file.
const LINES: usize = 100_000;
/// Bytes of a line: claims of 8 KiB, and as much again for all the rest.
const LINE_BYTES: usize = 16 << 10;
/// Lines of one call; the API takes no more.
const BATCH: usize = 100;
/// Bytes of one call's lines; the API takes 64 KiB.
const BATCH_BYTES: usize = 40 << 10;
/// Lines about which something is said; a file that is wrong in all is wrong in the first.
const SHOWN: usize = 1000;
/// Rows of one page of an export.
const PAGE: u32 = 500;

/// A line that can be sent: its number, its bytes, what it says.
struct Line {
    number: usize,
    bytes: usize,
    person: Value,
}

/// A line that cannot be sent.
struct Bad {
    number: usize,
    email: Option<String>,
    field: &'static str,
    problem: String,
}

/// What became of a file.
#[derive(Debug, Default)]
struct Sum {
    counts: HashMap<String, usize>,
    not_mailed: usize,
    /// The first line that may not have been worked off.
    stopped_before: Option<usize>,
    /// Line, e-mail, field, problem.
    errors: Vec<Value>,
    /// Accounts that were left as they are, and in what they differ.
    kept: Vec<Value>,
}

impl Sum {
    fn count(&self, outcome: &str) -> usize {
        self.counts.get(outcome).copied().unwrap_or_default()
    }

    fn add(&mut self, line: &Line, result: &Value, invited: bool) {
        let outcome = result.get("outcome").and_then(Value::as_str).unwrap_or("refused");
        *self.counts.entry(outcome.to_owned()).or_default() += 1;
        let has_password = line.person.get("password_hash").is_some_and(Value::is_string);
        let mailed = result.get("mailed").and_then(Value::as_bool).unwrap_or_default();
        self.not_mailed += usize::from(invited && outcome == "created" && !has_password && !mailed);
        let email = line.person.get("email").filter(|it| it.is_string());
        let differs = result.get("differs").and_then(Value::as_array);
        if outcome == "refused" && self.errors.len() < SHOWN {
            self.errors.push(json!({
                "line": line.number, "email": email,
                "field": result.get("field"), "problem": result.get("problem"),
            }));
        } else if differs.is_some_and(|it| !it.is_empty()) && self.kept.len() < SHOWN {
            self.kept.push(json!({ "line": line.number, "email": email, "differs": differs }));
        }
    }

    /// Begins with the lines that cannot be sent.
    fn of(bad: &[Bad]) -> Self {
        let error = |it: &Bad| json!({ "line": it.number, "email": it.email, "field": it.field, "problem": it.problem });
        Self {
            counts: HashMap::from([("refused".to_owned(), bad.len())]),
            errors: bad.iter().take(SHOWN).map(error).collect(),
            ..Self::default()
        }
    }

    fn print(&mut self, dry_run: bool, printer: &mut Printer<'_>) -> io::Result<()> {
        let number = |it: &Value| it.get("line").and_then(Value::as_u64);
        self.errors.sort_by_key(number);
        let count = |outcome: &str| self.count(outcome);
        let shape = json!({
            "dry_run": dry_run, "created": count("created"), "changed": count("changed"),
            "unchanged": count("unchanged"), "kept": count("kept"), "refused": count("refused"),
            "not_mailed": self.not_mailed, "stopped_before": self.stopped_before, "errors": self.errors, "differing": self.kept,
        });
        if printer.wants_json() {
            return printer.json(&shape);
        }
        for error in &self.errors {
            printer.line(&format!(
                "line {}: {} {}: {}",
                show(error.get("line")),
                show(error.get("email")),
                show(error.get("field")),
                show(error.get("problem")),
            ))?;
        }
        for kept in &self.kept {
            printer.line(&format!(
                "line {}: {} is there already and differs in {}",
                show(kept.get("line")),
                show(kept.get("email")),
                show(kept.get("differs")),
            ))?;
        }
        let would = if dry_run { "would be " } else { "" };
        printer.line(&format!(
            "{} {would}created, {} {would}changed, {} the same, {} left as they are, {} refused",
            count("created"),
            count("changed"),
            count("unchanged"),
            count("kept"),
            count("refused"),
        ))?;
        if self.not_mailed > 0 {
            let text = "could not be mailed a link: `portcullis user invite ID`";
            printer.line(&format!("{} {text}", self.not_mailed))?;
        }
        if dry_run {
            printer.line("nothing was changed")?;
        }
        if let Some(line) = self.stopped_before {
            printer.line(&format!(
                "it was stopped before line {line}; what was done stays: run it again"
            ))?;
        }
        Ok(())
    }
}

/// Imports a file.
pub(super) async fn import(
    gate: &Gate,
    args: &ImportArgs,
    printer: &mut Printer<'_>,
) -> Result<Exit, CliError> {
    let (lines, bad) = lines(&read(&args.file)?)?;
    if args.dry_run || args.all_or_nothing {
        let mut would = send(gate, &lines, &bad, (args, true), printer).await?;
        let refused = would.count("refused") > 0;
        if args.dry_run || refused {
            would.print(true, printer)?;
            return Ok(if refused { Exit::Refused } else { Exit::Done });
        }
    }
    let mut sum = send(gate, &lines, &bad, (args, false), printer).await?;
    sum.print(false, printer)?;
    Ok(if sum.count("refused") > 0 { Exit::Refused } else { Exit::Done })
}

async fn send(
    gate: &Gate,
    lines: &[Line],
    bad: &[Bad],
    (args, dry_run): (&ImportArgs, bool),
    printer: &mut Printer<'_>,
) -> Result<Sum, CliError> {
    let mut sum = Sum::of(bad);
    let mut rest = lines;
    while let Some(first) = rest.first() {
        let (mut count, mut bytes) = (0, 0);
        for line in rest.iter().take(BATCH) {
            if count > 0 && bytes + line.bytes > BATCH_BYTES {
                break;
            }
            (count, bytes) = (count + 1, bytes + line.bytes);
        }
        let (batch, later) = rest.split_at(count);
        let people: Vec<&Value> = batch.iter().map(|line| &line.person).collect();
        let body = json!({
            "people": people, "dry_run": dry_run, "update": args.update,
            "with_roles": args.with_roles, "invite": args.invite,
        });
        let answer = match gate.post("/api/v1/users/import", &body).await {
            Ok(answer) => answer,
            Err(error) => {
                // What was done stays, and is the same when it is run again.
                sum.stopped_before = Some(first.number);
                sum.print(dry_run, printer)?;
                return Err(error);
            }
        };
        let results = answer.get("results").and_then(Value::as_array);
        let results = results.filter(|results| results.len() == batch.len());
        let results = results.ok_or_else(|| CliError::Broken("results are missing".to_owned()))?;
        for (line, result) in batch.iter().zip(results) {
            sum.add(line, result, args.invite && !dry_run);
        }
        rest = later;
    }
    Ok(sum)
}

fn read(file: &Path) -> Result<Vec<u8>, CliError> {
    let wrong = |why: String| CliError::Unreadable { path: file.to_path_buf(), why };
    let mut bytes = Vec::new();
    let most = FILE_BYTES + 1;
    let done = match file == Path::new("-") {
        true => io::stdin().lock().take(most).read_to_end(&mut bytes),
        false => std::fs::File::open(file).and_then(|it| it.take(most).read_to_end(&mut bytes)),
    };
    done.map_err(|error| wrong(error.to_string()))?;
    match bytes.len() as u64 > FILE_BYTES {
        true => Err(wrong("it has more than 64 MiB; split it".to_owned())),
        false => Ok(bytes),
    }
}

/// The lines of a file that are JSON, and those that are not, or name a person a second time.
fn lines(text: &[u8]) -> Result<(Vec<Line>, Vec<Bad>), CliError> {
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    let (mut good, mut bad) = (Vec::new(), Vec::new());
    let mut seen: HashMap<String, usize> = HashMap::new();
    for (index, line) in text.split(|byte| *byte == b'\n').enumerate() {
        let (number, line) = (index + 1, line.trim_ascii());
        if line.is_empty() {
            continue;
        }
        if good.len() + bad.len() == LINES {
            return Err(CliError::Usage(format!("more than {LINES} lines; split the file")));
        }
        match person(line) {
            Err((field, problem)) => bad.push(Bad { number, email: None, field, problem }),
            Ok(person) => {
                let email = person.get("email").and_then(Value::as_str);
                let email = email.map(|it| it.trim().to_lowercase());
                let before = email.as_ref().and_then(|it| seen.get(it));
                if let Some(before) = before {
                    let problem = format!("stands in line {before} already; keep one of the two");
                    bad.push(Bad { number, email, field: "email", problem });
                    continue;
                }
                seen.extend(email.map(|email| (email, number)));
                good.push(Line { number, bytes: line.len(), person });
            }
        }
    }
    Ok((good, bad))
}

fn person(line: &[u8]) -> Result<Value, (&'static str, String)> {
    if line.len() > LINE_BYTES {
        return Err(("line", "is longer than 16 KiB".to_owned()));
    }
    // WHY without the parser's words: they may repeat what stands there.
    let value: Value = serde_json::from_slice(line)
        .map_err(|error| ("line", format!("is not JSON, from column {} on", error.column())))?;
    match value.is_object() {
        true => Ok(value),
        false => Err(("line", "must be a JSON object".to_owned())),
    }
}

/// Exports everybody.
pub(super) async fn export(
    gate: &Gate,
    (with_hashes, out): (bool, Option<&Path>),
    printer: &mut Printer<'_>,
) -> Result<Exit, CliError> {
    let mut file = out.map(create).transpose()?;
    let (mut after, mut count) = (Value::Null, 0usize);
    loop {
        let body = json!({ "limit": PAGE, "after": after, "with_hashes": with_hashes });
        let page = gate.post("/api/v1/users/export", &body).await?;
        let people = page.get("people").and_then(Value::as_array);
        let people =
            people.ok_or_else(|| CliError::Broken("the answer has no `people`".to_owned()))?;
        for person in people {
            count += 1;
            match &mut file {
                Some(file) => writeln!(file, "{person}")?,
                None => printer.json(person)?,
            }
        }
        let next = page.get("next").cloned().unwrap_or_default();
        if next.is_null() || next == after {
            break;
        }
        after = next;
    }
    if let (Some(file), Some(out)) = (&mut file, out) {
        file.flush()?;
        let told = json!({ "exported": count, "file": out });
        printer.result(&told, &format!("{count} people are in {}", out.display()))?;
    }
    Ok(Exit::Done)
}

/// A new file that nobody else can read.
fn create(path: &Path) -> Result<io::BufWriter<std::fs::File>, CliError> {
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    let wrong = |error: io::Error| CliError::Usage(format!("{}: {error}", path.display()));
    file.map(io::BufWriter::new).map_err(wrong)
}
