//! The product under measurement: its configurations, and how it is started.

use super::peers::PROXY_CORE;
use super::process::Process;
use crate::workspace;
use anyhow::{Context, Result};
use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

/// What one gate is configured with, beside the routes that are measured.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Size {
    /// Routes in all.
    pub(crate) routes: u32,
    /// Prefixes of the list that every measured route asks for.
    pub(crate) prefixes: u32,
}

/// A gate as people run it.
pub(crate) const PLAIN: Size = Size { routes: 10, prefixes: 1 };
/// A gate with a thousand times the routes.
pub(crate) const ROUTES: Size = Size { routes: 10_000, prefixes: 1 };
/// A gate with a long list.
pub(crate) const PREFIXES: Size = Size { routes: 10, prefixes: 100_000 };

/// Keys of a gate that holds many.
const MANY_KEYS: u32 = 1_000_000;

/// Starts a gate on `port` in a folder of its own, with an empty store and ledger.
///
/// # Errors
/// When it does not start.
pub(crate) fn start(folder: &Path, name: &str, port: u16, size: Size) -> Result<Process> {
    let data = folder.join(format!("{name}.data"));
    if data.exists() {
        std::fs::remove_dir_all(&data).context("cannot empty the data folder")?;
    }
    launch(folder, name, port, size)
}

/// Starts a gate that holds a million keys, in SQLite.
///
/// # Errors
/// When it does not start, or the keys cannot be written.
pub(crate) fn start_with_keys(folder: &Path, name: &str, port: u16) -> Result<Process> {
    let first = start(folder, name, port, PLAIN)?;
    key(folder, name)?;
    drop(first);
    let mut python = Command::new("python3");
    python.arg(workspace::root().join("bench/load/keys.py"));
    workspace::run(python.arg(folder.join(format!("{name}.data"))).arg(MANY_KEYS.to_string()))?;
    launch(folder, name, port, PLAIN)
}

fn launch(folder: &Path, name: &str, port: u16, size: Size) -> Result<Process> {
    let data = folder.join(format!("{name}.data"));
    let config = folder.join(format!("{name}.toml"));
    std::fs::write(&config, configuration(folder, port, size)).context("cannot write")?;
    let mut args = vec!["up".to_owned(), "--json".to_owned()];
    for (option, path) in [("--config", &config), ("--data", &data)] {
        args.extend([option.to_owned(), path.to_string_lossy().into_owned()]);
    }
    let binary = workspace::target().join("release/portcullis");
    Process::start(name, PROXY_CORE, folder, (binary, args), port)
}

/// Makes an API key with the scope that the measured routes ask for.
///
/// # Errors
/// When the gate does not make one.
pub(crate) fn key(folder: &Path, name: &str) -> Result<String> {
    let mut command = Command::new(workspace::target().join("release/portcullis"));
    command.args(["key", "create", "--name", "bench", "--scope", "read", "--json", "--data"]);
    command.arg(folder.join(format!("{name}.data")));
    let text = workspace::output(&mut command)?;
    let json: serde_json::Value = serde_json::from_str(&text).context("key create: no JSON")?;
    let key = json.get("key").and_then(serde_json::Value::as_str).context("key create: no key")?;
    Ok(key.to_owned())
}

fn configuration(folder: &Path, port: u16, size: Size) -> String {
    let control = port + 1;
    let keys = folder.join("jwks.json");
    let mut text = format!(
        r#"version = 1

[server]
public_url = "http://localhost:{control}"
control = "127.0.0.1:{control}"

[[listener]]
name = "api"
bind = "127.0.0.1:{port}"

[[issuer]]
name = "idp"
issuer = "https://idp.test"
audience = ["api"]
algorithms = ["ES256", "RS256"]
jwks_file = "{keys}"

[[upstream]]
name = "behind"
servers = ["http://127.0.0.1:7000"]

[[upstream]]
name = "signed"
servers = ["http://127.0.0.1:7000"]
assertion = true

[[ip_list]]
name = "callers"
allow = ["127.0.0.0/8"{prefixes}]

[[route]]
name = "open"
path = "/open/{{**}}"
methods = ["GET"]
upstream = "behind"
access = "public"
"#,
        keys = keys.display(),
        prefixes = prefixes(size.prefixes.saturating_sub(1)),
    );
    let token = r#"{ jwt = { issuer = "idp", scopes = ["read"] } }"#;
    let key = r#"{ api_key = { scopes = ["read"] } }"#;
    let measured =
        [("token", "behind", token), ("key", "behind", key), ("signed", "signed", token)];
    for (name, upstream, access) in measured {
        text += &route(name, &format!("/{name}/{{**}}"), upstream, access);
    }
    for number in 4..size.routes {
        text += &route(&format!("r{number}"), &format!("/r{number}/items/{{**}}"), "behind", token);
    }
    text
}

fn route(name: &str, path: &str, upstream: &str, access: &str) -> String {
    format!(
        "\n[[route]]\nname = \"{name}\"\npath = \"{path}\"\nmethods = [\"GET\"]\n\
         upstream = \"{upstream}\"\nip = [\"callers\"]\n[route.access]\nany = [{access}]\n"
    )
}

/// `count` further prefixes, /32 and /28, in 10.0.0.0/7, none of which holds another.
fn prefixes(count: u32) -> String {
    let mut text = String::new();
    for number in 0..count {
        let [_, a, b, c] = number.to_be_bytes();
        let (network, length) = match number % 2 {
            0 => ([10, a, b, c], 32),
            _ => ([11, b, c, a << 4], 28),
        };
        let [p, q, r, s] = network;
        let _ = write!(text, ", \"{p}.{q}.{r}.{s}/{length}\"");
    }
    text
}
