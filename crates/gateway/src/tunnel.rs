//! A WebSocket after its handshake: bytes both ways until one side ends or the credential does.

use crate::act::{Job, SILENCE, session};
use crate::body::{LINGER, Patience, Pump, Sink, Source};
use crate::caller::{Caller, HeadOut};
use crate::h1::{Conn, Wire, encode};
use crate::head::{Framing, Known, ResponseHead};
use crate::hygiene;
use crate::live::Live;
use crate::record::Draft;
use crate::stream::Stream;
use base::code;
use std::cell::RefCell;
use std::task::Poll;

/// Runs the tunnel. The caller's connection never carries a request again.
pub(crate) async fn run(
    job: &Job<'_>,
    mut draft: Draft,
    head: &ResponseHead,
    (caller, up): (Caller<'_>, &RefCell<Conn<Stream>>),
    live: &Live,
) -> bool {
    let Some(down) = caller.connection() else { return false };
    {
        let mut guard = down.borrow_mut();
        let out = guard.wbuf();
        encode::write_status_line(out, 101);
        for field in head.headers.fields() {
            if hygiene::passes_down(&field) && field.known() != Known::Upgrade {
                encode::write_field(out, field);
            }
        }
        session(job, &mut HeadOut::H1(out));
        out.extend_from_slice(b"connection: upgrade\r\nupgrade: websocket\r\nx-request-id: ");
        out.extend_from_slice(&job.id);
        out.extend_from_slice(b"\r\n");
        encode::end_head(out);
    }
    let patience =
        Patience { source: SILENCE, sink: job.connection.listener.settings().timeouts.body };
    let pump = |from, to| {
        let sink = Sink::H1 { conn: to, wire: Wire::Plain };
        Pump::new(Source::h1(from, Framing::UntilClose), sink, None, patience)
    };
    let (mut upward, mut downward) = (pump(down, up), pump(up, down));
    let ended = std::future::poll_fn(|cx| {
        // The first side to end ends both: a WebSocket closes by its own frames before that.
        for pump in [&mut upward, &mut downward] {
            if let Poll::Ready(result) = pump.poll(cx) {
                return Poll::Ready(result.map_err(|error| (code::CALLER_GONE, error.to_string())));
            }
        }
        match live.poll_cut(cx) {
            Some(code) => Poll::Ready(Err((code::STREAM_CUT, code.to_string()))),
            None => Poll::Pending,
        }
    })
    .await;
    draft.event.bytes_in = upward.moved;
    draft.event.bytes_out = downward.moved;
    if let Err((code, why)) = ended {
        let cut = code == code::STREAM_CUT;
        draft.error(code, why);
        if cut {
            draft.event.outcome = base::Outcome::Deny;
        }
    }
    draft.finish(101);
    // An upstream that has stopped reading is not waited for: what is left for it goes nowhere.
    let closing = std::future::poll_fn(|cx| up.borrow_mut().poll_shutdown(cx));
    let _ = tokio::time::timeout(LINGER.0, closing).await;
    false
}
