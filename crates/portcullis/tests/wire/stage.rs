//! What every test here needs: pieces of configuration, curl, and a look at sockets.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

/// How long anything that must happen soon may take on a busy machine.
pub(crate) const SOON: Duration = Duration::from_secs(10);

/// An `[[upstream]]` called `name`, with further lines.
pub(crate) fn upstream(name: &str, servers: &[String], lines: &str) -> String {
    format!("[[upstream]]\nname = \"{name}\"\nservers = {servers:?}\n{lines}\n")
}

/// A route open to everybody: `/NAME/…` to the upstream `name`, with further lines.
pub(crate) fn open(name: &str, lines: &str) -> String {
    format!(
        "[[route]]\nname = \"{name}\"\npath = \"/{name}/{{**}}\"\nupstream = \"{name}\"\n\
         access = \"public\"\n{lines}\n"
    )
}

/// A further listener on 127.0.0.1, and its port.
pub(crate) fn listener(name: &str, lines: &str) -> (String, u16) {
    let port = testkit::free_port();
    (format!("[[listener]]\nname = \"{name}\"\nbind = \"127.0.0.1:{port}\"\n{lines}\n"), port)
}

/// The `tls` line of a listener with the certificate `NAME.pem` and `NAME.key` in `folder`.
pub(crate) fn tls(folder: &Path, name: &str) -> String {
    let file = |ending: &str| folder.join(format!("{name}.{ending}")).display().to_string();
    format!("tls = {{ cert = {:?}, key = {:?} }}", file("pem"), file("key"))
}

/// What came of a request that curl made.
#[derive(Debug)]
pub(crate) struct Curl {
    /// curl's exit code.
    pub(crate) exit: i32,
    /// The last answer's status; 0 without one.
    pub(crate) status: u16,
    /// The HTTP version: `1`, `1.1` or `2`.
    pub(crate) version: String,
    /// Connections that were made.
    pub(crate) connects: u32,
    /// All heads, in order, interim ones and trailers included.
    pub(crate) heads: String,
    /// The body.
    pub(crate) body: Vec<u8>,
}

impl Curl {
    /// The last value of `name` in the heads.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let named = |line: &'_ str| -> Option<(usize, usize)> {
            let (key, _) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then_some((key.len() + 1, line.len()))
        };
        let mut lines =
            self.heads.lines().filter_map(|line| named(line).map(|(from, to)| &line[from..to]));
        lines.next_back().map(str::trim)
    }
}

/// Runs curl with `args`; `stdin` is what `-T -` and `--data-binary @-` send.
pub(crate) fn curl(args: &[&str]) -> Curl {
    let folder = tempfile::tempdir().expect("a folder");
    let (heads, body) = (folder.path().join("heads"), folder.path().join("body"));
    let mut command = Command::new("curl");
    command.args(["--silent", "--max-time", "20", "--noproxy", "*"]);
    command.args(["--write-out", "%{http_code} %{http_version} %{num_connects}\n"]);
    command.arg("--dump-header").arg(&heads).arg("--output").arg(&body).args(args);
    let output = command.stdin(Stdio::null()).output().expect("curl runs");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let last: Vec<&str> = said.lines().last().unwrap_or_default().split(' ').collect();
    let word = |at: usize| last.get(at).copied().unwrap_or_default();
    Curl {
        exit: output.status.code().unwrap_or(-1),
        status: word(0).parse().unwrap_or(0),
        version: word(1).to_owned(),
        connects: said.lines().filter_map(|line| line.split(' ').nth(2)?.parse::<u32>().ok()).sum(),
        heads: std::fs::read_to_string(heads).unwrap_or_default(),
        body: std::fs::read(body).unwrap_or_default(),
    }
}

/// Resident memory of a process in KiB.
pub(crate) fn resident_kib(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}
