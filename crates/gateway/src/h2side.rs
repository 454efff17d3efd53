//! A connection's life over HTTP/2: each stream an exchange of its own.

mod tap;

use self::tap::{Log, Tap};
use crate::body::Source;
use crate::caller::Caller;
use crate::exchange;
use crate::head::{HeadLimits, RequestHead};
use crate::record::Draft;
use crate::serve::{Connection, refuse};
use crate::stream::Stream;
use access::Denial;
use base::{Phase, code};
use bytes::Bytes;
use std::cell::RefCell;
use std::rc::Rc;
use tokio::time::timeout;

/// Streams at once on one connection (RFC 9113 §6.5.2 recommends no fewer than 100).
const STREAMS: u32 = 128;
/// Bytes that a caller may send ahead on one stream, and on the connection.
const WINDOWS: (u32, u32) = (128 * 1024, 512 * 1024);
/// Streams that a caller may reset before they were looked at (CVE-2023-44487, rapid reset).
const RESETS: usize = 32;
/// Exchanges at once on one connection, those among them whose streams were reset and that have not ended yet; more
/// are refused.
const EXCHANGES: usize = 2 * STREAMS as usize;
/// Bytes of a header list as HTTP/2 counts it (RFC 9113 §6.5.2: 32 more for each field) that are read at all. More
/// than a head may have, so that one that is somewhat too large is refused by us, with an id and a record; beyond,
/// the library answers a bare 431, which the tap sees.
const HEAD_LIST: u32 = 4 * base::limits::REQUEST_HEAD_BYTES as u32;
/// Bytes that wait to be sent on one stream.
const SEND_BUFFER: usize = 64 * 1024;

/// Serves one connection to its end.
pub(crate) async fn serve(connection: Rc<Connection>, stream: Stream) {
    let timeouts = connection.listener.settings().timeouts;
    let (stream, log) = Tap::new(stream);
    let handshake = h2::server::Builder::new()
        .max_concurrent_streams(STREAMS)
        .initial_window_size(WINDOWS.0)
        .initial_connection_window_size(WINDOWS.1)
        .max_header_list_size(HEAD_LIST)
        .max_pending_accept_reset_streams(RESETS)
        .max_concurrent_reset_streams(RESETS)
        .max_send_buffer_size(SEND_BUFFER)
        .handshake::<_, Bytes>(stream);
    let mut h2 = match timeout(timeouts.head, handshake).await {
        Ok(Ok(h2)) => h2,
        Ok(Err(error)) => return broken(&connection, &error),
        Err(_) => return,
    };
    let idle = connection.shard.idle.enter();
    let (mut draining, mut parting) = (false, false);
    loop {
        if connection.is_over() && !draining {
            draining = true;
            h2.graceful_shutdown();
        }
        let next = std::future::poll_fn(|cx| {
            idle.register(cx);
            if connection.is_over() && !draining {
                return std::task::Poll::Ready(None);
            }
            let next = h2.poll_accept(cx);
            if !matches!(next, std::task::Poll::Ready(Some(Ok(_)))) {
                told(&connection, &log);
            }
            next.map(Some)
        });
        let limit = if parting { timeouts.head } else { timeouts.idle };
        match timeout(limit, next).await {
            Ok(Some(Some(Ok((request, respond))))) => {
                log.borrow_mut().ours(respond.stream_id().as_u32());
                // Each exchange holds the connection.
                if Rc::strong_count(&connection) > EXCHANGES {
                    let denial = Denial::new(code::OVERLOADED, Phase::Accept);
                    refuse(&connection, Caller::h2(respond), denial).await;
                    continue;
                }
                let connection = connection.clone();
                tokio::task::spawn_local(
                    async move { stream_of(&connection, request, respond).await },
                );
            }
            Ok(Some(Some(Err(error)))) => return broken(&connection, &error),
            Ok(Some(None)) => return,
            // It is over: round the loop for the farewell.
            Ok(None) => {}
            // Each stream that is served holds the connection; each has time-outs of its own.
            Err(_) if Rc::strong_count(&connection) > 1 => {}
            Err(_) if !parting => {
                parting = true;
                h2.graceful_shutdown();
            }
            // WHY: a farewell is over once the caller has answered it, and some never do; what is left then is
            // heads that do not end and answers that nobody takes.
            Err(_) => return,
        }
    }
}

/// Records what the library refused by itself.
///
/// WHY only when it hands nothing over: until then, what it wrote may concern a stream that is still on its way to us.
fn told(connection: &Connection, log: &RefCell<Log>) {
    let mut log = log.borrow_mut();
    if log.is_empty() {
        return;
    }
    for sign in log.refused() {
        let (denial, status) = sign.denial();
        Draft::refusal(&connection.shard, connection.client, &denial).finish(status);
    }
}

/// Records that the library ended the connection because of what the caller sent. Its answer was a GOAWAY: there is
/// no request, and no id that could have been told.
fn broken(connection: &Connection, error: &h2::Error) {
    // That a caller goes away, or ends it himself, is no refusal.
    if error.is_io() || error.is_remote() {
        return;
    }
    let denial =
        Denial::new(code::REQUEST_MALFORMED, Phase::Accept).detail(format!("HTTP/2: {error}"));
    Draft::refusal(&connection.shard, connection.client, &denial).finish(0);
}

async fn stream_of(
    connection: &Connection,
    request: http::Request<h2::RecvStream>,
    respond: h2::server::SendResponse<Bytes>,
) {
    let (parts, body) = request.into_parts();
    let ended = body.is_end_stream();
    let caller = Caller::h2(respond);
    match RequestHead::from_h2(&parts, ended, &HeadLimits::REQUEST) {
        Ok(head) => {
            let source = if ended { Source::Done } else { Source::H2(body) };
            exchange::run(connection, head, source, caller).await;
        }
        Err(error) => {
            let denial = Denial::new(error.code(), Phase::Accept).detail(error.to_string());
            refuse(connection, caller, denial).await;
        }
    }
}
