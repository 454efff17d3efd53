//! The `portcullis` binary.

use clap::Parser;
use portcullis::cli::{self, Cli, Command, Streams};
use std::process::ExitCode;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let exit = match &cli.command {
        Command::Up(args) => portcullis::run::up(args, cli.data.as_deref(), cli.json),
        _ => client(&cli),
    };
    ExitCode::from(exit.code())
}

/// Runs a command that is no server.
fn client(cli: &Cli) -> cli::Exit {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    match runtime {
        Ok(runtime) => {
            let (mut out, mut err) = (std::io::stdout(), std::io::stderr());
            runtime.block_on(cli::run(cli, Streams { out: &mut out, err: &mut err }))
        }
        Err(error) => {
            eprintln!("error: {error}");
            cli::Exit::Refused
        }
    }
}
