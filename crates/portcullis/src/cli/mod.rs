//! The command line: what can be typed, and the commands that are a client of a running gate.
//!
//! Owns: the names of commands and options (design §4 is their contract), exit codes, and what is printed.
//!
//! Never does: start the gate (`up` is wired in `main`), decide anything, or read the store.
//!
//! Invariants: with `--json`, standard output holds JSON and nothing else; text that came from elsewhere is
//! printed without control characters; a command of a later feature is refused, never half done.

mod address;
mod args;
mod block;
mod check;
mod client;
mod credentials;
mod error;
mod explain;
mod gate;
mod group;
mod key;
mod ledger;
mod login;
mod mail;
mod print;
mod scope;
#[cfg(test)]
mod tests;
mod transfer;
mod trust;
mod user;
mod web;

pub use args::{
    AddressCommand, AuditCommand, BlockCommand, BlockTarget, CheckArgs, Cli, Command, KeyCommand,
    UpArgs,
};
pub use error::CliError;

use args::UserCommand;
use gate::Gate;
use print::Printer;
use std::io::Write;
use std::path::Path;

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Done.
    Done,
    /// Refused, failed, or something was found.
    Refused,
    /// The command line is wrong.
    Usage,
}

impl Exit {
    /// The process's exit code.
    pub fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Refused => 1,
            Self::Usage => 2,
        }
    }
}

/// Where a command prints.
pub struct Streams<'a> {
    /// Results.
    pub out: &'a mut (dyn Write + Send),
    /// Errors.
    pub err: &'a mut (dyn Write + Send),
}

/// Runs any command but `up`, which is refused here.
pub async fn run(cli: &Cli, streams: Streams<'_>) -> Exit {
    let Streams { out, err } = streams;
    let mut printer = Printer::new(cli.json, out);
    let ended = run_command(cli, &mut printer, &mut *err).await;
    let error = match ended {
        Ok(exit) => return exit,
        // WHY: `portcullis audit tail | head` ends by closing the pipe; that is no failure.
        Err(CliError::Output(error)) if error.kind() == std::io::ErrorKind::BrokenPipe => {
            return Exit::Done;
        }
        Err(error) => error,
    };
    let text = if cli.json { error.to_json() } else { format!("error: {}", error.to_text()) };
    // WHY: when standard error is gone there is nobody left to tell.
    let _ = writeln!(err, "{text}");
    error.exit()
}

async fn run_command(
    cli: &Cli,
    printer: &mut Printer<'_>,
    err: &mut (dyn Write + Send),
) -> Result<Exit, CliError> {
    let gate = Gate::new(cli.data_dir(), cli.url.as_deref())?;
    match &cli.command {
        Command::Up(_) => return Err(CliError::Usage("`up` is not a client command".to_owned())),
        Command::Check(args) => return check::run(args, printer),
        Command::Login { forget } => {
            let missing =
                || CliError::Usage("name the gate: portcullis login --url URL".to_owned());
            let url = cli.url.as_deref().ok_or_else(missing)?;
            login::run(url, *forget, printer, err).await?;
        }
        Command::Explain { id } => explain::run(&gate, id, printer).await?,
        Command::Block(command) => block::run(&gate, command, printer).await?,
        Command::Key(command) => key::run(&gate, command, printer).await?,
        Command::Client(command) => client::run(&gate, command, printer).await?,
        Command::User(UserCommand::Import(args)) => {
            return transfer::import(&gate, args, printer).await;
        }
        Command::User(UserCommand::Export { with_hashes, out }) => {
            return transfer::export(&gate, (*with_hashes, out.as_deref()), printer).await;
        }
        Command::User(command) => user::run(&gate, command, printer).await?,
        Command::Trust(command) => trust::run(&gate, command, printer).await?,
        Command::Group(command) => group::run(&gate, command, printer).await?,
        Command::Scope(command) => scope::run(&gate, command, printer).await?,
        Command::Mail(command) => mail::run(&gate, command, printer).await?,
        Command::Ip(command) => address::run(&gate, command, printer).await?,
        Command::Audit(command) => return ledger::run(&gate, command, printer).await,
        later => return Err(CliError::NotAvailable(later.name())),
    }
    Ok(Exit::Done)
}

/// The folder of commands that name none.
pub fn default_data_dir() -> &'static Path {
    Path::new("data")
}
