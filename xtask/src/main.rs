//! One entry for every chore of the project: `cargo xtask test | lint | tidy | errors | bench | mutants | screens | soak`.
//!
//! Owns: what has to be on the machine, what has to be run, and the rules that no compiler knows. Never
//! does: anything that the product does. Each command runs on a machine where only Rust was installed, and
//! says in one line what it found or installed.

mod bench;
mod errors;
mod lint;
mod mutants;
mod parts;
mod screens;
mod soak;
mod test;
mod tidy;
mod workspace;

use anyhow::{Result, bail};
use std::process::ExitCode;

const USAGE: &str = "\
usage: cargo xtask COMMAND

  test [--unit] [ARGS…]   build the binary and run every test (--unit: none that needs other programs)
  lint                    formatting, clippy, tidy, and cargo-deny where it is installed
  tidy [--fix]            the project's own rules; --fix rewrites what is generated
  errors                  write docs/errors.md from the table of codes
  bench [NAME…]           measure against nginx, HAProxy and Envoy; prints Markdown
  bench-authority         measure the authority against oidc-provider; prints Markdown
  mutants [--list] [NAME…]  break one rule at a time in a copy, and see which test notices
  screens                 take pictures of the pages into docs/screens
  soak [--short] [--tests] [--list] [NAME…]
                          the long tests: fuzzing, crashes, slow peers (--tests: without fuzzing); ends with one
                          line of JSON a step
";

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    let command = args.next().unwrap_or_default();
    let rest: Vec<String> = args.collect();
    match run(&command, &rest) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask {command}: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: &str, args: &[String]) -> Result<()> {
    match command {
        "test" => test::run(args),
        "lint" => lint::run(args),
        "tidy" => tidy::run(args),
        "errors" => errors::write(),
        "bench" => bench::run(args),
        "bench-authority" => bench::authority::run(args),
        "mutants" => mutants::run(args),
        "screens" => screens::run(args),
        "soak" => soak::run(args),
        "" | "help" | "--help" | "-h" => {
            print!("{USAGE}");
            Ok(())
        }
        other => bail!("there is no command {other:?}\n{USAGE}"),
    }
}
