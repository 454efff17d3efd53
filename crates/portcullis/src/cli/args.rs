//! What can be typed.

mod authority;

pub(super) use authority::{
    ClientCommand, GroupCommand, ImportArgs, MailCommand, NewTrust, ScopeCommand, TrustCommand,
    UserCommand,
};

use super::default_data_dir;
use crate::config::parse_duration;
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The gate in front of an organisation's APIs.
#[derive(Debug, Parser)]
#[command(name = "portcullis", version, max_term_width = 100)]
pub struct Cli {
    /// Print JSON and nothing else
    #[arg(long, global = true)]
    pub json: bool,
    /// The gate's data folder [default: data; for `up`: data_dir of the configuration]
    #[arg(long, global = true, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// The control API of a gate elsewhere, with the token of `portcullis login`
    #[arg(long, global = true, value_name = "URL")]
    pub url: Option<String>,
    /// The command
    #[command(subcommand)]
    pub command: Command,
}

impl Cli {
    /// The data folder, `data` unless said.
    pub fn data_dir(&self) -> &Path {
        self.data.as_deref().unwrap_or(default_data_dir())
    }
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Start the gate
    Up(UpArgs),
    /// Check a configuration file and report every mistake in it
    Check(CheckArgs),
    /// Say what happened to a request, why, and what to do
    Explain {
        /// The request's id, from its answer's X-Request-Id
        #[arg(value_name = "REQUEST_ID")]
        id: String,
    },
    /// Block a subject, a client or a token at once
    #[command(subcommand)]
    Block(BlockCommand),
    /// API keys
    #[command(subcommand)]
    Key(KeyCommand),
    /// Addresses let in at run time
    #[command(subcommand)]
    Ip(AddressCommand),
    /// The ledger of decisions and changes
    #[command(subcommand)]
    Audit(AuditCommand),
    /// Clients of the built-in authority
    #[command(subcommand)]
    Client(ClientCommand),
    /// Accounts of people
    #[command(subcommand)]
    User(UserCommand),
    /// Whose tokens stand for which client: CI jobs and workloads without a stored secret
    #[command(subcommand)]
    Trust(TrustCommand),
    /// Groups of people, and the scopes that only their members may give
    #[command(subcommand)]
    Group(GroupCommand),
    /// What scopes mean, in words that people read at consent
    #[command(subcommand)]
    Scope(ScopeCommand),
    /// Messages that are kept instead of sent, where no mail server is configured
    #[command(subcommand)]
    Mail(MailCommand),
    /// Not available yet
    #[command(hide = true)]
    Cert(Later),
    /// Not available yet
    #[command(hide = true)]
    Ca(Later),
    /// Not available yet
    #[command(hide = true)]
    Alert(Later),
    /// Not available yet
    #[command(hide = true)]
    Scan(Later),
    /// Not available yet
    #[command(hide = true)]
    Replay(Later),
    /// Not available yet
    #[command(hide = true)]
    Backup(Later),
    /// Not available yet
    #[command(hide = true)]
    Restore(Later),
    /// Sign in to the gate at --url with a browser, for the commands that name the same --url
    Login {
        /// Sign out instead: the token is revoked and forgotten
        #[arg(long)]
        forget: bool,
    },
    /// Not available yet
    #[command(hide = true)]
    Doctor(Later),
}

impl Command {
    /// Its word on the command line.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Up(_) => "up",
            Self::Check(_) => "check",
            Self::Explain { .. } => "explain",
            Self::Block(_) => "block",
            Self::Key(_) => "key",
            Self::Ip(_) => "ip",
            Self::Audit(_) => "audit",
            Self::Client(_) => "client",
            Self::User(_) => "user",
            Self::Trust(_) => "trust",
            Self::Group(_) => "group",
            Self::Scope(_) => "scope",
            Self::Mail(_) => "mail",
            Self::Cert(_) => "cert",
            Self::Ca(_) => "ca",
            Self::Alert(_) => "alert",
            Self::Scan(_) => "scan",
            Self::Replay(_) => "replay",
            Self::Backup(_) => "backup",
            Self::Restore(_) => "restore",
            Self::Login { .. } => "login",
            Self::Doctor(_) => "doctor",
        }
    }
}

/// A command of a later feature: whatever follows it is taken, and it is refused.
#[derive(Debug, Args)]
#[command(disable_help_flag = true)]
pub struct Later {
    /// What follows
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, num_args = 0..)]
    rest: Vec<String>,
}

/// `up`.
#[derive(Debug, Args)]
pub struct UpArgs {
    /// The configuration file; without one the gate starts on built-in defaults
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

/// `check`.
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// The configuration file [default: portcullis.toml]
    #[arg(value_name = "FILE", conflicts_with = "config")]
    pub file: Option<PathBuf>,
    /// The configuration file
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

/// `block`.
#[derive(Debug, Subcommand)]
pub enum BlockCommand {
    /// Block everything of a subject (`sub`)
    Subject(BlockTarget),
    /// Block everything of a client (`client_id`, `azp`)
    Client(BlockTarget),
    /// Block one token by its `jti`
    Token(BlockTarget),
    /// List blocks
    List,
    /// Lift a block
    Remove {
        /// The block's id
        id: String,
    },
}

/// What to block.
#[derive(Debug, Args)]
pub struct BlockTarget {
    /// The subject, client id or token id
    pub value: String,
    /// Only of this issuer, by its name in the configuration
    #[arg(long, value_name = "NAME")]
    pub issuer: Option<String>,
    /// For how long, such as 24h; for good unless said
    #[arg(long = "for", value_name = "DURATION", value_parser = duration)]
    pub duration: Option<Duration>,
    /// Why; kept with the block
    #[arg(long)]
    pub reason: Option<String>,
}

/// The part of the name of a key that says what it is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum KeyEnv {
    /// Production
    Live,
    /// Tests
    Test,
}

impl KeyEnv {
    /// Its word in the key.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Test => "test",
        }
    }
}

/// `key`.
#[derive(Debug, Subcommand)]
pub enum KeyCommand {
    /// Make a key; it is shown once
    Create {
        /// What the key is for
        #[arg(long)]
        name: String,
        /// A scope; repeat for several
        #[arg(long = "scope", required = true, num_args = 1.., value_name = "SCOPE")]
        scopes: Vec<String>,
        /// How long it lives, such as 30d [default: 90d]
        #[arg(long, value_name = "DURATION", value_parser = duration)]
        expires: Option<Duration>,
        /// Only on this route; repeat for several
        #[arg(long = "route", value_name = "NAME")]
        routes: Vec<String>,
        /// What stands in the key
        #[arg(long, value_enum, default_value_t = KeyEnv::Live)]
        env: KeyEnv,
    },
    /// List keys, without their secrets
    List,
    /// Show a key, without its secret
    Show {
        /// The key's id
        id: String,
    },
    /// Revoke a key for good
    Revoke {
        /// The key's id
        id: String,
        /// Why; kept with the key
        #[arg(long)]
        reason: Option<String>,
    },
    /// Not available yet
    #[command(hide = true)]
    Rotate(Later),
}

/// `ip`.
#[derive(Debug, Subcommand)]
pub enum AddressCommand {
    /// Let an address or network into a list for a time
    Allow {
        /// The address or network
        address: String,
        /// The list, by its name in the configuration
        #[arg(long)]
        list: String,
        /// For how long, such as 8h
        #[arg(long = "for", value_name = "DURATION", value_parser = duration)]
        duration: Duration,
        /// Why; kept with the entry
        #[arg(long)]
        note: Option<String>,
    },
    /// List the entries made at run time
    List {
        /// Only those of this list
        #[arg(long)]
        list: Option<String>,
    },
    /// Remove an entry before its time
    Remove {
        /// The entry's id
        id: String,
    },
    /// Say which rule of which list matches an address
    Test {
        /// The address
        address: String,
        /// Only this list
        #[arg(long)]
        list: Option<String>,
    },
}

/// `audit`.
#[derive(Debug, Subcommand)]
pub enum AuditCommand {
    /// Show the newest events
    Tail {
        /// How many
        #[arg(short = 'n', long = "lines", default_value_t = 20, value_name = "N",
              value_parser = clap::value_parser!(u32).range(1..=1000))]
        lines: u32,
        /// Go on with what comes
        #[arg(short = 'f', long)]
        follow: bool,
        /// Only events with outcome=…, route=… or code=…; repeat for several
        #[arg(long = "filter", value_name = "FIELD=VALUE", value_parser = filter)]
        filters: Vec<(String, String)>,
    },
    /// Check the ledger in the data folder; needs no running gate
    Verify,
    /// Ask the ledger in SQL, over the table `events`
    Query {
        /// The query, such as "SELECT code, count(*) FROM events GROUP BY code"
        sql: String,
    },
    /// Not available yet
    #[command(hide = true)]
    Export(Later),
    /// Not available yet
    #[command(hide = true)]
    Receipt(Later),
}

fn duration(text: &str) -> Result<Duration, String> {
    match parse_duration(text) {
        Some(span) if span >= Duration::from_secs(1) => Ok(span),
        _ => Err("write a whole number and one of s, m, h, d, such as 8h".to_owned()),
    }
}

/// Fields that events can be chosen by.
const FILTERS: [&str; 3] = ["outcome", "route", "code"];

fn filter(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((field, value)) if FILTERS.contains(&field) && !value.is_empty() => {
            Ok((field.to_owned(), value.to_owned()))
        }
        _ => Err(format!("write one of {} and a value, such as outcome=deny", FILTERS.join(", "))),
    }
}
