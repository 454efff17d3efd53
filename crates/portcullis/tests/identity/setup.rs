//! What these tests share: a gate in front of one upstream, and words for requests.

use base::{Clock, SystemClock};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use testkit::{Gate, RawClient, Response, Upstream};

/// The audience that the tests' issuers name.
pub(crate) const AUDIENCE: &str = "orders-api";
/// How long something may take that has no promise of its own; busy machines are slow.
pub(crate) const PATIENCE: Duration = Duration::from_secs(15);
/// The promise of revocation (design §6): a second. A machine with far more to do than it has cores stretches it,
/// since even the command that waits for it gets its turn late then.
pub(crate) fn second() -> Duration {
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load: f64 = load.split(' ').next().and_then(|it| it.parse().ok()).unwrap_or(0.0);
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    Duration::from_secs(1).mul_f64((load / (cores * 4) as f64).clamp(1.0, 10.0))
}

/// Tells threads to end when it goes, also when the test fails: else the failure would wait for them for ever.
pub(crate) struct Ends<'a>(pub(crate) &'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// An `[[upstream]]` called `up`.
pub(crate) fn upstream(to: &Upstream) -> String {
    format!("[[upstream]]\nname = \"up\"\nservers = [\"{}\"]\n", to.url())
}

/// A `[[route]]` to `up`, with further lines.
pub(crate) fn route(name: &str, path: &str, lines: &str) -> String {
    format!("[[route]]\nname = \"{name}\"\npath = \"{path}\"\nupstream = \"up\"\n{lines}\n")
}

/// The line `access` of a route that takes tokens of `issuer` with `scope`.
pub(crate) fn jwt(issuer: &str, scope: &str) -> String {
    format!("access = {{ jwt = {{ issuer = \"{issuer}\", scopes = [\"{scope}\"] }} }}")
}

/// The line `access` of a route that takes keys with `scope`.
pub(crate) fn api_key(scope: &str) -> String {
    format!("access = {{ api_key = {{ scopes = [\"{scope}\"] }} }}")
}

/// GET under another host than the address's own, over a connection of its own.
pub(crate) fn get_at(gate: &Gate, host: &str, path: &str, headers: &[(&str, &str)]) -> Response {
    let mut request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n");
    for (name, value) in headers {
        request += &format!("{name}: {value}\r\n");
    }
    RawClient::connect(&gate.address()).exchange(request + "\r\n")
}

/// GET with a bearer credential, over a connection of its own.
pub(crate) fn get(gate: &Gate, path: &str, bearer: &str) -> Response {
    gate.get(path, &[("authorization", &format!("Bearer {bearer}"))])
}

/// Status and code of a GET at an address, for threads that a gate cannot be lent to.
pub(crate) fn answer_at(address: &str, path: &str, bearer: &str) -> (u16, String) {
    let value = format!("Bearer {bearer}");
    said(&testkit::get(&format!("{address}{path}"), &[("authorization", &value)]))
}

/// Status and code of such a GET: code is empty where the upstream answered.
pub(crate) fn answer(gate: &Gate, path: &str, bearer: &str) -> (u16, String) {
    said(&get(gate, path, bearer))
}

/// Status and code.
pub(crate) fn said(response: &Response) -> (u16, String) {
    (response.status, response.code())
}

/// A status and a code to compare with.
pub(crate) fn refused(status: u16, code: &str) -> (u16, String) {
    (status, code.to_owned())
}

/// What an upstream's 200 looks like.
pub(crate) fn passed() -> (u16, String) {
    (200, String::new())
}

/// The same GET on one connection after another until every shard has surely seen it: the kernel spreads
/// connections over the shards by their ports.
pub(crate) fn everywhere(gate: &Gate, path: &str, bearer: &str) -> Vec<(u16, String)> {
    (0..16).map(|_| answer(gate, path, bearer)).collect()
}

/// A GET on a connection that is kept.
pub(crate) fn again(client: &mut RawClient, path: &str, bearer: &str) -> (u16, String) {
    said(&client.exchange(format!(
        "GET {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {bearer}\r\n\r\n"
    )))
}

/// A new key through the command line: id and text.
pub(crate) fn key(gate: &Gate, name: &str, scope: &str) -> (String, String) {
    let made = gate.done(&["key", "create", "--name", name, "--scope", scope]);
    let text = |field: &str| made[field].as_str().expect("a text").to_owned();
    (text("id"), text("key"))
}

/// Waits until the gate has fetched the keys of so many issuers by itself: without a token that asks for them,
/// since unknown keys are worth one fetch in 30 s only.
pub(crate) fn keys_known(gate: &Gate, issuers: i64) {
    let sql = "SELECT count(*) FROM events WHERE code = 'issuer.keys_changed'";
    testkit::wait::until(PATIENCE, "the issuers' keys", || {
        gate.done(&["audit", "query", sql])[0]["count(*)"].as_i64() >= Some(issuers)
    });
}

/// Seconds since 1970.
pub(crate) fn now() -> i64 {
    SystemClock::new().now().seconds()
}

/// How long `act` took.
pub(crate) fn timed<T>(act: impl FnOnce() -> T) -> (T, Duration) {
    let clock = SystemClock::new();
    let start = clock.monotonic();
    let result = act();
    (result, clock.monotonic().since(start))
}

/// All files below a folder.
pub(crate) fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).expect("a folder").flatten().map(|it| it.path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}
