//! A PostgreSQL of one's own, in a folder of its own, reached over a socket file.
//!
//! Owns: making the cluster, starting, stopping and crashing the server. Needs Debian's package
//! `postgresql`; the server refuses to run as root, so as root it is started as the user `postgres`.

use crate::wait;
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, Uid, User};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// How long a server may take to start or to stop; recovery included.
const PATIENCE: Duration = Duration::from_secs(60);
/// The one user of the private server.
const USER: &str = "portcullis";

/// A private server; stopped, and its folder removed, on drop.
#[derive(Debug)]
pub struct PrivatePostgres {
    bin: PathBuf,
    folder: tempfile::TempDir,
    user: Option<User>,
    server: Option<Child>,
}

impl PrivatePostgres {
    /// Makes a cluster and starts its server.
    ///
    /// # Errors
    /// When PostgreSQL is not installed, or cannot be started; the text says what to do.
    pub fn start() -> Result<Self, String> {
        let bin = programs()?;
        let folder = tempfile::Builder::new()
            .prefix("pg-")
            .tempdir()
            .map_err(|e| format!("no temporary folder: {e}"))?;
        let user = if Uid::effective().is_root() { Some(unprivileged()?) } else { None };
        if let Some(user) = &user {
            let (uid, gid) = (Some(user.uid.as_raw()), Some(user.gid.as_raw()));
            std::os::unix::fs::chown(folder.path(), uid, gid)
                .map_err(|e| format!("the folder cannot be given away: {e}"))?;
        }
        let mut made = Self { bin, folder, user, server: None };
        made.make()?;
        made.run()?;
        Ok(made)
    }

    /// The address of the database `postgres`.
    pub fn url(&self) -> String {
        self.url_of("postgres")
    }

    /// The address of another database.
    pub fn url_of(&self, database: &str) -> String {
        format!("postgres://{USER}@localhost/{database}?host={}", self.folder.path().display())
    }

    /// Makes an empty database and returns its address. `name` is used as it is.
    ///
    /// # Errors
    /// What the server says.
    pub fn database(&self, name: &str) -> Result<String, String> {
        self.psql(&format!("CREATE DATABASE {name}"))?;
        Ok(self.url_of(name))
    }

    /// Runs a statement in the database `postgres`; what it prints, without headings.
    ///
    /// # Errors
    /// What the server says.
    pub fn psql(&self, sql: &str) -> Result<String, String> {
        let mut command = self.command("psql");
        command.arg("-h").arg(self.folder.path()).args(["-U", USER, "-d", "postgres"]);
        command.args(["-v", "ON_ERROR_STOP=1", "-A", "-t", "-q", "-c", sql]);
        finished("psql", &mut command)
    }

    /// Ends the server as a crash would (no checkpoint, sessions cut) and starts it again.
    ///
    /// # Errors
    /// When it does not come back.
    pub fn restart(&mut self) -> Result<(), String> {
        self.end(Signal::SIGQUIT);
        self.run()
    }

    /// Ends the server in order; sessions are cut. [`Self::restart`] starts it again.
    pub fn stop(&mut self) {
        self.end(Signal::SIGINT);
    }

    /// Stops the processes that serve sessions, as a network does that swallows every packet: nothing answers,
    /// and no connection ends. New sessions are served. [`Self::thaw`] lets them go on.
    pub fn freeze_sessions(&self) {
        self.signal_sessions(Signal::SIGSTOP);
    }

    /// Lets go on what [`Self::freeze_sessions`] stopped.
    pub fn thaw(&self) {
        self.signal_sessions(Signal::SIGCONT);
    }

    fn signal_sessions(&self, signal: Signal) {
        let Some(server) = self.server.as_ref().map(Child::id) else { return };
        let list = std::fs::read_to_string(format!("/proc/{server}/task/{server}/children"));
        for id in list.unwrap_or_default().split_whitespace() {
            // The server's title names its sessions: `postgres: USER DATABASE [local] idle`.
            let title = std::fs::read_to_string(format!("/proc/{id}/cmdline")).unwrap_or_default();
            if let (true, Ok(id)) = (title.contains(USER), id.parse()) {
                let _ = kill(Pid::from_raw(id), signal);
            }
        }
    }

    fn make(&self) -> Result<(), String> {
        let mut command = self.command("initdb");
        command.arg("-D").arg(self.data()).args(["-U", USER, "--auth=trust", "--no-sync"]);
        // The C locale exists everywhere.
        command.args(["-E", "UTF8", "--locale=C"]);
        finished("initdb", &mut command).map(drop)
    }

    fn run(&mut self) -> Result<(), String> {
        let log = std::fs::File::options()
            .create(true)
            .append(true)
            .open(self.folder.path().join("log"))
            .map_err(|e| format!("no log: {e}"))?;
        let mut command = self.command("postgres");
        command.arg("-D").arg(self.data()).arg("-k").arg(self.folder.path());
        command.args(["-c", "listen_addresses=", "-c", "max_connections=200"]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::from(log));
        let server = command.spawn().map_err(|e| format!("postgres does not start: {e}"))?;
        self.server = Some(server);
        let mut gone = false;
        wait::until(PATIENCE, "PostgreSQL to take connections", || {
            gone = self.server.as_mut().is_some_and(|it| !matches!(it.try_wait(), Ok(None)));
            gone || self.ready()
        });
        if gone {
            let log = std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
            return Err(format!("postgres ended at once: {log}"));
        }
        Ok(())
    }

    fn ready(&self) -> bool {
        let mut command = self.command("pg_isready");
        command.arg("-q").arg("-h").arg(self.folder.path()).args(["-U", USER]);
        command.status().is_ok_and(|it| it.success())
    }

    fn end(&mut self, signal: Signal) {
        let Some(mut server) = self.server.take() else { return };
        if let Ok(id) = i32::try_from(server.id()) {
            // One that is gone already needs no signal.
            let _ = kill(Pid::from_raw(id), signal);
        }
        let _ = server.wait();
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.bin.join(program));
        // A folder that the other user may enter.
        command.current_dir(self.folder.path()).env_remove("PGDATA").env_remove("PGOPTIONS");
        if let Some(user) = &self.user {
            command.uid(user.uid.as_raw()).gid(user.gid.as_raw());
        }
        command
    }
}

impl Drop for PrivatePostgres {
    fn drop(&mut self) {
        self.end(Signal::SIGQUIT);
    }
}

fn finished(what: &str, command: &mut Command) -> Result<String, String> {
    let output = command.stdin(Stdio::null()).output();
    let output = output.map_err(|e| format!("{what} does not start: {e}"))?;
    if !output.status.success() {
        return Err(format!("{what} failed: {}", String::from_utf8_lossy(&output.stderr)));
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// The folder of the server's programs: `PORTCULLIS_TEST_POSTGRES`, or that of the newest installed version.
fn programs() -> Result<PathBuf, String> {
    if let Some(bin) = std::env::var_os("PORTCULLIS_TEST_POSTGRES") {
        return Ok(PathBuf::from(bin));
    }
    let missing = || {
        "PostgreSQL is not installed: install Debian's package postgresql, or run the tests with \
         cargo xtask test"
            .to_owned()
    };
    let versions = std::fs::read_dir("/usr/lib/postgresql").map_err(|_| missing())?;
    let version = |path: &Path| {
        path.file_name().and_then(|it| it.to_str()).and_then(|it| it.parse::<u32>().ok())
    };
    versions
        .flatten()
        .map(|it| it.path())
        .filter(|path| path.join("bin/postgres").is_file() && path.join("bin/initdb").is_file())
        .max_by_key(|path| version(path))
        .map(|path| path.join("bin"))
        .ok_or_else(missing)
}

fn unprivileged() -> Result<User, String> {
    ["postgres", "nobody"]
        .into_iter()
        .find_map(|name| User::from_name(name).ok().flatten())
        .ok_or_else(|| "there is no user postgres to run the server as".to_owned())
}
