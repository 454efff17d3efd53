//! The access log: one JSON line a request, where asked. The ledger is the record; this is a convenience, so
//! lines are dropped, and counted, rather than waited for.

use base::Event;
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

/// Lines that wait to be written; 4 KiB a line at most make 32 MiB.
const WAITING: usize = 8 * 1024;

/// Writes access lines on a thread of its own.
#[derive(Debug, Clone)]
pub struct AccessLog {
    lines: SyncSender<Vec<u8>>,
    dropped: Arc<AtomicU64>,
}

impl AccessLog {
    /// A log that writes to `out`.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn start(out: Box<dyn Write + Send>) -> std::io::Result<Self> {
        let (lines, waiting) = sync_channel(WAITING);
        std::thread::Builder::new().name("access-log".into()).spawn(move || write(waiting, out))?;
        Ok(Self { lines, dropped: Arc::default() })
    }

    /// Lines that found no place.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    pub(crate) fn line(&self, event: &Event) {
        let line = serde_json::json!({
            "time_ms": event.time.0,
            "request_id": event.request_id.map(|id| id.to_string()),
            "route": event.route.as_deref(),
            "method": event.method.as_deref(),
            "host": event.host.as_deref(),
            "path": event.path.as_deref(),
            "status": event.status,
            "outcome": event.outcome.as_str(),
            "code": event.code.as_str(),
            "client_ip": event.client_ip.map(|ip| ip.to_string()),
            "principal": event.principal.as_deref(),
            "client_id": event.client_id.as_deref(),
            "credential_id": event.credential_id.as_deref(),
            "scheme": event.scheme.map(base::Scheme::as_str),
            "latency_us": event.latency_us,
            "upstream_us": event.upstream_us,
            "bytes_in": event.bytes_in,
            "bytes_out": event.bytes_out,
            "trace_id": event.trace_id.map(hex::encode),
        });
        let mut line = line.to_string().into_bytes();
        line.push(b'\n');
        if self.lines.try_send(line).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

fn write(waiting: Receiver<Vec<u8>>, mut out: Box<dyn Write + Send>) {
    while let Ok(first) = waiting.recv() {
        let mut result = out.write_all(&first);
        while let Ok(line) = waiting.try_recv() {
            result = result.and_then(|()| out.write_all(&line));
        }
        if result.and_then(|()| out.flush()).is_err() {
            // A reader that went away (a closed pipe) ends the log, not the gate.
            return;
        }
    }
}
