//! `cargo xtask mutants`: deliberately broken builds, each of which a named test must catch.
//!
//! Owns: reading `conformance/mutants.toml`, breaking one rule at a time in a copy of the sources, and telling
//! which test noticed.
//!
//! Never does: touch the tree that people work in, or take a build that does not compile for a mutant that was
//! caught.
//!
//! Invariant: before anything is broken, the same tests pass in the same copy.

use crate::workspace;
use anyhow::{Context, Result, bail};
use base::{Clock, SystemClock};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

/// How long the tests of one mutant may run: they take seconds, and a mutant may wait for ever.
const LONGEST: Duration = Duration::from_secs(300);
/// Lines of a compiler's complaint that are shown.
const COMPLAINT: usize = 12;
/// Folders that no build needs.
const LEFT_OUT: [&str; 4] = ["target", ".git", "fuzz", "node_modules"];

/// One rule, broken.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Mutant {
    /// What it is called on the command line.
    name: String,
    /// The rule that it breaks, with its section.
    rule: String,
    /// The file, from the root of the workspace.
    file: String,
    /// What is replaced; it stands there exactly once.
    find: String,
    /// What stands there instead.
    replace: String,
    /// Where the tests are.
    suite: Suite,
    /// Parts of the names of the tests that must fail.
    tests: Vec<String>,
}

/// Tests that are built together: a package, and `lib` or the name of an integration test.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Suite {
    package: String,
    target: String,
}

/// What became of a mutant.
#[derive(Debug)]
enum Verdict {
    /// These tests failed.
    Caught(Vec<String>),
    /// Every test passed.
    Survived,
    /// It says nothing: it does not apply, does not compile, or its tests did not run.
    Broken(String),
}

/// Runs the named mutants, or all. `--list` names them instead.
///
/// # Errors
/// When one survives or says nothing, or when the tests fail without any.
pub(crate) fn run(args: &[String]) -> Result<()> {
    let all = read(&std::fs::read_to_string(workspace::root().join(TABLE))?)?;
    let (flags, names): (Vec<&String>, Vec<&String>) =
        args.iter().partition(|arg| arg.starts_with('-'));
    if let Some(unknown) = flags.iter().find(|flag| *flag.as_str() != *"--list") {
        bail!("there is no option {unknown}; there is --list");
    }
    if let Some(unknown) = names.iter().find(|name| all.iter().all(|it| it.name != ***name)) {
        bail!("there is no mutant {unknown:?}; --list names them");
    }
    let chosen: Vec<&Mutant> =
        all.iter().filter(|it| names.is_empty() || names.contains(&&it.name)).collect();
    if !flags.is_empty() {
        chosen.iter().for_each(|it| println!("{}: {} ({})", it.name, it.rule, it.file));
        return Ok(());
    }
    let copy = Copy::of(&workspace::root(), &std::env::temp_dir().join("portcullis-mutants"))?;
    workspace::step("without a mutant");
    sound(&copy, &chosen)?;
    let clock = SystemClock::new();
    let mut bad = Vec::new();
    for mutant in chosen {
        let start = clock.monotonic();
        let verdict = copy.judge(mutant)?;
        let seconds = clock.monotonic().since(start).as_secs();
        println!("{}", line(mutant, &verdict, seconds));
        if !matches!(verdict, Verdict::Caught(_)) {
            bad.push(mutant.name.as_str());
        }
    }
    match bad.is_empty() {
        true => Ok(()),
        false => bail!("not caught: {}", bad.join(", ")),
    }
}

/// Where the mutants are described.
const TABLE: &str = "conformance/mutants.toml";

/// Reads the table.
fn read(text: &str) -> Result<Vec<Mutant>> {
    let table: toml::Table = text.parse().context(TABLE)?;
    let list = table.get("mutant").and_then(toml::Value::as_array).context("no [[mutant]]")?;
    let mut names = BTreeSet::new();
    let mut mutants = Vec::new();
    for entry in list {
        let mutant = mutant(entry)?;
        if !names.insert(mutant.name.clone()) {
            bail!("two mutants are called {}", mutant.name);
        }
        mutants.push(mutant);
    }
    Ok(mutants)
}

fn mutant(entry: &toml::Value) -> Result<Mutant> {
    let name = entry.get("name").and_then(toml::Value::as_str).context("a mutant has no name")?;
    let text = |member: &str| {
        let text = entry.get(member).and_then(toml::Value::as_str).map(str::to_owned);
        text.with_context(|| format!("{name} has no {member}"))
    };
    let tests = entry.get("tests").and_then(toml::Value::as_array).cloned().unwrap_or_default();
    let tests: Vec<String> = tests.iter().filter_map(|it| it.as_str().map(Into::into)).collect();
    if tests.is_empty() {
        bail!("{name} names no tests");
    }
    Ok(Mutant {
        name: name.to_owned(),
        rule: text("rule")?,
        file: text("file")?,
        find: text("find")?,
        replace: text("replace")?,
        suite: Suite {
            package: text("package")?,
            target: text("target").unwrap_or_else(|_| "lib".to_owned()),
        },
        tests,
    })
}

/// The file with the rule broken.
fn broken(mutant: &Mutant, source: &str) -> Result<String> {
    match source.matches(&mutant.find).count() {
        1 => Ok(source.replacen(&mutant.find, &mutant.replace, 1)),
        count => bail!("does not apply: its text stands {count} times in {}", mutant.file),
    }
}

/// Fails unless every test that some mutant names is there and passes.
fn sound(copy: &Copy, chosen: &[&Mutant]) -> Result<()> {
    let mut suites: BTreeMap<&Suite, BTreeSet<&str>> = BTreeMap::new();
    for mutant in chosen {
        let tests = mutant.tests.iter().map(String::as_str);
        suites.entry(&mutant.suite).or_default().extend(tests);
    }
    for (suite, tests) in suites {
        let tests: Vec<String> = tests.into_iter().map(str::to_owned).collect();
        let program = match copy.build(suite)? {
            Ok(program) => program,
            Err(complaint) => bail!("{} does not compile:\n{complaint}", suite.package),
        };
        let ran = copy.tests(suite, &program, &tests)?.context("the tests do not end")?;
        let named = |test: &&String| !ran.passed.iter().any(|it| it.contains(test.as_str()));
        if !ran.failed.is_empty() {
            bail!("{}: {} fail without a mutant", suite.package, ran.failed.join(", "));
        }
        if let Some(missing) = tests.iter().find(named) {
            bail!("{} has no test {missing:?}", suite.package);
        }
        println!("{}: {} tests pass", suite.package, ran.passed.len());
    }
    Ok(())
}

fn line(mutant: &Mutant, verdict: &Verdict, seconds: u64) -> String {
    let result = match verdict {
        Verdict::Caught(tests) => format!("caught by {}", tests.join(", ")),
        Verdict::Survived => "SURVIVED".to_owned(),
        Verdict::Broken(why) => format!("BROKEN: {why}"),
    };
    format!("| {} | {} | {result} | {seconds} s |", mutant.name, mutant.rule)
}

/// What tests did.
#[derive(Debug, Default, PartialEq, Eq)]
struct Ran {
    passed: Vec<String>,
    failed: Vec<String>,
}

impl Ran {
    /// Reads what the test runner printed.
    fn read(printed: &str) -> Self {
        let mut ran = Self::default();
        for line in printed.lines() {
            let Some((name, result)) =
                line.strip_prefix("test ").and_then(|it| it.split_once(" ... "))
            else {
                continue;
            };
            let name = name.trim_end_matches(" - should panic").to_owned();
            match result.trim() {
                "ok" => ran.passed.push(name),
                "FAILED" => ran.failed.push(name),
                _ => {}
            }
        }
        ran
    }
}

/// A copy of the sources, with a folder of its own for what is built: both are kept, so that only what a mutant
/// changes is built again.
struct Copy {
    root: PathBuf,
    target: PathBuf,
}

impl Copy {
    fn of(from: &Path, folder: &Path) -> Result<Self> {
        let copy = Self { root: folder.join("sources"), target: folder.join("target") };
        std::fs::create_dir_all(&copy.root)?;
        bring(from, &copy.root).with_context(|| format!("copying to {}", copy.root.display()))?;
        Ok(copy)
    }

    /// Breaks the rule, builds, runs the tests, and mends it again.
    fn judge(&self, mutant: &Mutant) -> Result<Verdict> {
        let path = self.root.join(&mutant.file);
        let Ok(source) = std::fs::read_to_string(&path) else {
            return Ok(Verdict::Broken(format!("there is no {}", mutant.file)));
        };
        let changed = match broken(mutant, &source) {
            Ok(changed) => changed,
            Err(why) => return Ok(Verdict::Broken(why.to_string())),
        };
        std::fs::write(&path, changed)?;
        let verdict = self.verdict(mutant);
        std::fs::write(&path, source)?;
        verdict
    }

    fn verdict(&self, mutant: &Mutant) -> Result<Verdict> {
        let program = match self.build(&mutant.suite)? {
            Ok(program) => program,
            Err(complaint) => return Ok(Verdict::Broken(format!("no build: {complaint}"))),
        };
        Ok(match self.tests(&mutant.suite, &program, &mutant.tests)? {
            None => Verdict::Broken("the tests do not end".to_owned()),
            Some(ran) if !ran.failed.is_empty() => Verdict::Caught(ran.failed),
            Some(ran) if ran.passed.is_empty() => Verdict::Broken("no test ran".to_owned()),
            Some(_) => Verdict::Survived,
        })
    }

    /// Builds a suite: its program, or what the compiler says.
    fn build(&self, suite: &Suite) -> Result<Result<PathBuf, String>> {
        let mut cargo = workspace::cargo();
        cargo.current_dir(&self.root).env("CARGO_TARGET_DIR", &self.target);
        // Nobody debugs a mutant, and what is linked often should be small.
        cargo.env("CARGO_PROFILE_DEV_DEBUG", "0");
        cargo.args(["test", "--quiet", "--no-run", "--message-format", "json-render-diagnostics"]);
        cargo.args(["--package", &suite.package]);
        match suite.target.as_str() {
            "lib" => cargo.arg("--lib"),
            other => cargo.args(["--test", other]),
        };
        let out = cargo.stdin(Stdio::null()).output().context("cargo cannot be started")?;
        if !out.status.success() {
            let said = String::from_utf8_lossy(&out.stderr).into_owned();
            let errors: Vec<&str> =
                said.lines().skip_while(|it| !it.starts_with("error")).take(COMPLAINT).collect();
            return Ok(Err(errors.join("\n")));
        }
        let printed = String::from_utf8_lossy(&out.stdout).into_owned();
        let program = printed.lines().filter_map(executable).next_back();
        Ok(Ok(program.with_context(|| format!("{} has no tests", suite.package))?))
    }

    /// Runs some tests; `None` when they do not end.
    fn tests(&self, suite: &Suite, program: &Path, tests: &[String]) -> Result<Option<Ran>> {
        let folder = self.root.join("crates").join(&suite.package);
        let mut child = Command::new(program)
            .args(tests)
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .with_context(|| format!("{} does not start", program.display()))?;
        let mut out = child.stdout.take().context("no pipe")?;
        let (done, wait) = mpsc::channel();
        std::thread::spawn(move || {
            let mut printed = Vec::new();
            let _ = out.read_to_end(&mut printed);
            // Nobody may be waiting any more.
            let _ = done.send(printed);
        });
        let printed = wait.recv_timeout(LONGEST).ok();
        let _ = child.kill();
        let _ = child.wait();
        Ok(printed.map(|it| Ran::read(&String::from_utf8_lossy(&it))))
    }
}

/// The test program that one line of cargo's report names.
fn executable(line: &str) -> Option<PathBuf> {
    let message: serde_json::Value = serde_json::from_str(line).ok()?;
    let is_test = message.pointer("/profile/test")?.as_bool()?;
    let program = message.get("executable")?.as_str()?;
    is_test.then(|| PathBuf::from(program))
}

/// Makes `to` hold what `from` holds. What is the same already is not written, so that it is not built again.
fn bring(from: &Path, to: &Path) -> Result<()> {
    let mut names = BTreeSet::new();
    for entry in std::fs::read_dir(from)? {
        let (path, name) = entry.map(|it| (it.path(), it.file_name()))?;
        if LEFT_OUT.iter().any(|it| name == *it) {
            continue;
        }
        let place = to.join(&name);
        names.insert(name);
        if path.is_dir() {
            std::fs::create_dir_all(&place)?;
            bring(&path, &place)?;
            continue;
        }
        // Somebody may be saving it at this moment.
        let Ok(bytes) = std::fs::read(&path) else { continue };
        if std::fs::read(&place).ok().as_ref() != Some(&bytes) {
            std::fs::write(&place, bytes)?;
        }
    }
    for entry in std::fs::read_dir(to)? {
        let (path, name) = entry.map(|it| (it.path(), it.file_name()))?;
        if names.contains(&name) {
            continue;
        }
        if path.is_dir() { std::fs::remove_dir_all(&path)? } else { std::fs::remove_file(&path)? }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mutant_applies() {
        let root = workspace::root();
        let all = read(&std::fs::read_to_string(root.join(TABLE)).unwrap()).unwrap();
        assert!(all.len() >= 20, "{}", all.len());
        for mutant in all {
            let source = std::fs::read_to_string(root.join(&mutant.file)).unwrap();
            let changed = broken(&mutant, &source).map_err(|why| format!("{}: {why}", mutant.name));
            assert_ne!(changed.unwrap(), source, "{}", mutant.name);
        }
    }

    #[test]
    fn what_tests_print_is_read() {
        let printed = "running 3 tests\ntest a::b ... ok\ntest c ... FAILED\ntest d ... ignored\n\
                       test result: FAILED. 1 passed; 1 failed";
        let (passed, failed) = (vec!["a::b".to_owned()], vec!["c".to_owned()]);
        assert_eq!(Ran::read(printed), Ran { passed, failed });
        let line = r#"{"reason":"compiler-artifact","profile":{"test":true},"executable":"/x"}"#;
        assert_eq!(executable(line), Some(PathBuf::from("/x")));
        assert_eq!(executable(&line.replace("true", "false")), None);
    }

    #[test]
    fn a_table_that_is_wrong_is_refused() {
        let one = "[[mutant]]\nname = 'a'\nrule = 'r'\nfile = 'f'\nfind = 'x'\nreplace = 'y'\n\
                   package = 'p'\ntests = ['t']\n";
        let read_one = read(one).unwrap();
        assert_eq!(read_one[0].suite.target, "lib");
        assert_eq!(broken(&read_one[0], "a x b").unwrap(), "a y b");
        assert!(broken(&read_one[0], "x x").is_err() && broken(&read_one[0], "").is_err());
        assert!(read(&format!("{one}{one}")).is_err(), "the same name twice");
        assert!(read(&one.replace("['t']", "[]")).is_err(), "no tests");
        assert!(read("").is_err());
    }
}
