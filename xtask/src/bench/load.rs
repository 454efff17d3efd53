//! The load: wrk for CPU per request, our own open-loop generator for latency at a fixed rate.

use super::process::Process;
use crate::workspace;
use anyhow::{Context, Result, bail};
use std::path::Path;
use std::process::Command;

/// The core that load and upstream share.
pub(crate) const LOAD_CORE: usize = 1;
/// Connections that wrk keeps.
const CONNECTIONS: u32 = 32;
/// Seconds of warming up before a case is measured.
const WARM: u32 = 1;
/// Requests a second at which latency is measured.
const FIXED_RATE: u32 = 10_000;
/// Connections over which they are spread.
const FIXED_CONNECTIONS: u32 = 32;

/// What is sent.
#[derive(Clone, Debug)]
pub(crate) enum Send {
    /// The same request each time, with this header or none.
    Same(Option<String>),
    /// Another token in each request.
    Cold,
}

/// One measurement.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    /// User and system time of the proxy per request, in microseconds.
    pub(crate) cpu_us: f64,
    /// Requests a second.
    pub(crate) rate: f64,
}

/// Latencies at a fixed rate, in microseconds from the moment a request was due.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Latency {
    /// Half are at or below.
    pub(crate) p50: u64,
    /// 99 of 100 are at or below.
    pub(crate) p99: u64,
    /// 999 of 1000 are at or below.
    pub(crate) p999: u64,
}

/// The load on one address.
pub(crate) struct Load<'a> {
    /// Where keys and tokens lie.
    pub(crate) folder: &'a Path,
    /// `http://HOST:PORT/PATH`.
    pub(crate) url: &'a str,
    /// What is sent.
    pub(crate) send: &'a Send,
}

impl Load<'_> {
    /// Warms up, then measures `process` for `seconds`. `next` is the number of the next unused token, and
    /// moves on.
    ///
    /// # Errors
    /// When wrk cannot be run, or any answer is not a 2xx.
    pub(crate) fn measure(
        &self,
        process: &Process,
        seconds: u32,
        next: &mut u64,
    ) -> Result<Sample> {
        self.wrk(WARM, next)?;
        let before = process.cpu_seconds();
        let count = self.wrk(seconds, next)?;
        let used = process.cpu_seconds() - before;
        let count = count as f64;
        Ok(Sample { cpu_us: used * 1e6 / count, rate: count / f64::from(seconds) })
    }

    /// Latencies at the fixed rate.
    ///
    /// # Errors
    /// When the generator cannot be run, or any answer is not 200.
    pub(crate) fn latency(&self, seconds: u32) -> Result<Latency> {
        let mut command = Command::new("taskset");
        command.args(["-c", &LOAD_CORE.to_string()]);
        command.arg(workspace::target().join("release/bench-load"));
        command.arg(self.url).arg(FIXED_RATE.to_string()).arg(seconds.to_string());
        command.arg(FIXED_CONNECTIONS.to_string());
        if let Send::Same(Some(header)) = self.send {
            command.arg(header);
        }
        let text = workspace::output(&mut command)?;
        let json: serde_json::Value = serde_json::from_str(&text).context("no JSON")?;
        let number = |name: &str| json.get(name).and_then(serde_json::Value::as_u64);
        if number("errors") != Some(0) {
            bail!("{}: {text}", self.url);
        }
        let of = |name: &str| number(name).with_context(|| format!("no {name}"));
        Ok(Latency { p50: of("p50_us")?, p99: of("p99_us")?, p999: of("p999_us")? })
    }

    /// Runs wrk and gives the number of requests that were answered.
    fn wrk(&self, seconds: u32, next: &mut u64) -> Result<u64> {
        let mut command = Command::new("taskset");
        command.args(["-c", &LOAD_CORE.to_string(), "wrk", "-t1"]);
        command.arg(format!("-c{CONNECTIONS}")).arg(format!("-d{seconds}s"));
        match self.send {
            Send::Same(header) => {
                if let Some(header) = header {
                    command.args(["-H", header]);
                }
                command.arg(self.url);
            }
            Send::Cold => self.cold(&mut command, *next)?,
        }
        let text = workspace::output(&mut command)?;
        if text.contains("Non-2xx") || text.contains("Socket errors") {
            bail!("{}: not every request was answered with 2xx:\n{text}", self.url);
        }
        let count = requests(&text).with_context(|| format!("wrk says no count:\n{text}"))?;
        *next += count + u64::from(CONNECTIONS);
        Ok(count)
    }

    fn cold(&self, command: &mut Command, next: u64) -> Result<()> {
        let tokens = self.folder.join("cold.tokens");
        let path = self.url.splitn(4, '/').nth(3).unwrap_or_default();
        let length =
            std::fs::read_to_string(self.folder.join("es.token")).context("no token")?.len() + 1;
        command.arg("-s").arg(workspace::root().join("bench/load/cold.lua")).arg(self.url);
        command.arg("--").arg(tokens).arg(next.to_string()).arg(length.to_string());
        command.arg(format!("/{path}"));
        Ok(())
    }
}

/// The count in wrk's line `  123 requests in 5.00s, …`.
fn requests(text: &str) -> Option<u64> {
    let line = text.lines().find(|line| line.contains(" requests in "))?;
    line.split_whitespace().next()?.parse().ok()
}
