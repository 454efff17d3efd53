//! Where things are: the binary under test, the other programs, free ports; and how long a test may go on.

use std::net::{TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Mutex, PoisonError};

/// Ports that are handed out: below those that the system takes for outgoing connections (32768 and up).
const PORTS: std::ops::Range<u16> = 12_000..32_000;

/// The folder of the workspace's `Cargo.toml`.
pub fn workspace() -> PathBuf {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.parent().unwrap_or(own).to_path_buf()
}

/// The binary under test: `PORTCULLIS_TEST_BINARY`, or the one that was built for debugging, or for release.
///
/// # Panics
/// When it was not built.
pub fn binary() -> PathBuf {
    if let Some(path) = std::env::var_os("PORTCULLIS_TEST_BINARY") {
        return PathBuf::from(path);
    }
    let target = target();
    ["debug", "release"]
        .map(|profile| target.join(profile).join("portcullis"))
        .into_iter()
        .find(|path| path.is_file())
        .expect("the binary is built: cargo build --package portcullis")
}

/// The folder that holds what npm installed (`node_modules`): `PORTCULLIS_TEST_PARTS`, or `target/parts`.
///
/// # Panics
/// When nothing is installed there.
pub fn parts() -> PathBuf {
    let folder = std::env::var_os("PORTCULLIS_TEST_PARTS").map(PathBuf::from);
    let folder = folder.unwrap_or_else(|| target().join("parts"));
    assert!(folder.is_dir(), "the parts are not installed: run the tests with cargo xtask test");
    folder
}

/// Whether this is a soak (`PORTCULLIS_SOAK` is set), where a test may take its full length.
pub fn soak() -> bool {
    std::env::var_os("PORTCULLIS_SOAK").is_some_and(|value| !value.is_empty())
}

/// Where pictures of pages are to be put (`PORTCULLIS_SCREENS`), if anywhere: `cargo xtask screens` asks for them.
pub fn screens() -> Option<PathBuf> {
    std::env::var_os("PORTCULLIS_SCREENS").map(PathBuf::from)
}

/// How many rounds a long test makes: `short` in an ordinary run, `PORTCULLIS_SOAK_ROUNDS` in a soak.
pub fn rounds(short: u32) -> u32 {
    let asked = std::env::var_os("PORTCULLIS_SOAK_ROUNDS");
    asked.and_then(|rounds| rounds.to_str()?.parse().ok()).unwrap_or(short)
}

fn target() -> PathBuf {
    workspace().join(std::env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into()))
}

/// A port of 127.0.0.1 that nobody listens on, and that no other test is handed while this process lives.
///
/// # Panics
/// When all are taken.
pub fn free_port() -> u16 {
    /// Sockets that tell other processes that a port is taken; UDP, so that TCP stays free for the gate.
    static RESERVED: Mutex<Vec<UdpSocket>> = Mutex::new(Vec::new());
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let width = PORTS.end - PORTS.start;
    // Processes start at different places, so that they seldom meet.
    let offset = u16::try_from(std::process::id().wrapping_mul(37) % u32::from(width)).unwrap_or(0);
    for _ in 0..width {
        let step = NEXT.fetch_add(1, Ordering::SeqCst);
        let port = PORTS.start + (offset.wrapping_add(step) % width);
        let Ok(mark) = UdpSocket::bind(("127.0.0.1", port)) else { continue };
        if TcpListener::bind(("0.0.0.0", port)).is_ok() {
            RESERVED.lock().unwrap_or_else(PoisonError::into_inner).push(mark);
            return port;
        }
    }
    panic!("no port is free");
}
