//! The rules on small examples.

use super::dependencies::{Table, compare, table};
use super::{Findings, docs, size, words};

fn members(rows: &[(&str, &[&str])]) -> Table {
    let row = |(name, list): &(&str, &[&str])| {
        ((*name).to_owned(), list.iter().map(|word| (*word).to_owned()).collect())
    };
    rows.iter().map(row).collect()
}

#[test]
fn tests_inside_a_file_do_not_count() {
    let text =
        "//! Doc.\nfn a() {}\n#[cfg(test)]\nmod tests {\n    fn b() {\n    }\n}\nfn c() {}\n";
    assert_eq!(size::lines_without_tests(text), 3);
    assert_eq!(size::lines_without_tests("#[cfg(test)]\nmod tests;\nfn a() {}\n"), 3);
}

#[test]
fn test_files_do_not_count() {
    for path in ["crates/a/src/b/tests.rs", "crates/a/tests/it/main.rs"] {
        assert!(size::is_test(path), "{path}");
    }
    assert!(!size::is_test("crates/a/src/attests.rs"));
}

#[test]
fn words_that_lead_nowhere_are_found() {
    let check = |path: &str, line: String, expect: usize| {
        assert_eq!(words::line_findings(path, &line).len(), expect, "{path}: {line}");
    };
    check("README.md", format!("see {}main", "/wo".to_owned() + "rk/"), 1);
    check("README.md", format!("cd {}x", "/ro".to_owned() + "ot/"), 1);
    check("README.md", format!("the framework{}x", "/ro".to_owned() + "ot/"), 0);
    check("README.md", format!("as {}design.md says", "sha".to_owned() + "red/"), 1);
    check("conformance/src/lib.rs", format!("../{}vectors/x", "sha".to_owned() + "red/"), 0);
    check("crates/a/src/lib.rs", format!("../{}vectors/x", "sha".to_owned() + "red/"), 1);
    check("crates/a/src/lib.rs", format!("{}()", "to".to_owned() + "do!"), 1);
    check("crates/a/src/lib.rs", format!("#[igno{}]", "re"), 1);
    check("crates/a/src/lib.rs", "#[ignore = \"needs an hour\"]".to_owned(), 0);
}

#[test]
fn dependencies_are_held_to_the_table() {
    let page = "x\n<!-- dependencies -->\n| crate | may depend on |\n|---|---|\n| `base` | – |\n\
                | `store` | base |\n| `bin` | all |\n<!-- /dependencies -->\n";
    let table = table(page).unwrap();
    let check = |rows: &[(&str, &[&str])], expect: usize| {
        let mut findings = Findings::default();
        compare(&table, &members(rows), &mut findings);
        assert_eq!(findings.errors.len(), expect, "{:?}", findings.errors);
    };
    check(&[("base", &["serde"]), ("store", &["base", "sqlx"]), ("bin", &["store"])], 0);
    check(&[("base", &["store"]), ("store", &[]), ("bin", &[])], 1);
    check(&[("base", &[]), ("store", &["bin"]), ("bin", &[]), ("new", &[])], 2);
    check(&[("base", &[]), ("store", &[])], 1);
}

#[test]
fn decisions_have_numbers_of_their_own() {
    let check = |paths: &[&str], expect: usize| {
        let mut findings = Findings::default();
        docs::decisions(paths.iter().copied(), &mut findings);
        assert_eq!(findings.errors.len(), expect, "{:?}", findings.errors);
    };
    check(&["docs/adr/0001-a.md", "docs/adr/0002-b.md", "README.md"], 0);
    check(&["docs/adr/0001-a.md", "docs/adr/0001-b.md"], 1);
    check(&["docs/adr/a.md", "docs/adr/1-b.md"], 2);
}

#[test]
fn the_phases_are_the_headings() {
    let names = base::Phase::ALL.map(|phase| format!("## {}. {phase:?}\n", phase as u8));
    let mut findings = Findings::default();
    docs::phases(&(names.concat() + "## Afterwards\n"), &mut findings);
    assert!(findings.errors.is_empty(), "{:?}", findings.errors);
    docs::phases(&names.concat().replace("Spend", "Pay"), &mut findings);
    assert_eq!(findings.errors.len(), 1);
}
