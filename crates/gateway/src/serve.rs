//! A connection's life over HTTP/1.1: heads one after the other, each an exchange.

use crate::body::{LINGER, Source};
use crate::caller::Caller;
use crate::deadline::Deadline;
use crate::exchange;
use crate::gate::Listener;
use crate::h1::{Conn, parse_request};
use crate::head::{HeadError, HeadLimits, RequestHead, Version};
use crate::problem::{self, Told};
use crate::record::Draft;
use crate::shard::Shard;
use crate::stream::Stream;
use access::Denial;
use base::{Phase, code};
use std::cell::RefCell;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;
use tokio::time::Instant;

/// After this long without a request a connection gives its buffers back.
const PARK: Duration = Duration::from_secs(2);

/// What all requests of a connection share.
#[derive(Debug, Clone)]
pub(crate) struct Connection {
    pub(crate) shard: Rc<Shard>,
    pub(crate) listener: Arc<Listener>,
    /// The listener's when the connection was made.
    pub(crate) epoch: u32,
    /// The socket's peer, or what the PROXY protocol said of it.
    pub(crate) client: IpAddr,
    pub(crate) tls: bool,
    /// The server name of the TLS handshake.
    pub(crate) server_name: Option<Box<str>>,
}

impl Connection {
    /// Whether it may carry no further request: the gate is stopping, or its listener is gone or another.
    pub(crate) fn is_over(&self) -> bool {
        self.shard.gate.is_draining() || self.listener.epoch() != self.epoch
    }
}

/// Why no further head came.
enum NoHead {
    /// The caller is done, or said nothing for long enough, or we are stopping.
    End,
    /// It sent what is no head.
    Bad(HeadError),
    /// It sent half a head.
    Slow,
}

/// Serves one connection to its end.
pub(crate) async fn h1(connection: Rc<Connection>, conn: Conn<Stream>) {
    let conn = RefCell::new(conn);
    let mut first = true;
    // WHY: one timer for the connection's whole life: moving it on costs nothing, arming it does.
    let mut timer = Deadline::new(Instant::now() + connection.listener.settings().timeouts.head);
    loop {
        match next_head(&connection, &conn, &mut timer, first).await {
            Ok(mut head) => {
                if connection.is_over() {
                    head.keep_alive = false;
                }
                let source = Source::h1(&conn, head.framing);
                let caller = Caller::h1(&conn, head.version, head.keep_alive);
                // WHY: an exchange holds ten kilobytes of state, which a connection between two requests, of which
                // there may be ten thousand, does not need.
                if !Box::pin(exchange::run(&connection, head, source, caller)).await {
                    break;
                }
            }
            Err(NoHead::End) => return,
            Err(NoHead::Bad(error)) => {
                let denial = Denial::new(error.code(), Phase::Accept).detail(error.to_string());
                refuse(&connection, Caller::h1(&conn, Version::Http11, false), denial).await;
                break;
            }
            Err(NoHead::Slow) => {
                let denial = Denial::new(code::HEAD_TIMEOUT, Phase::Accept);
                refuse(&connection, Caller::h1(&conn, Version::Http11, false), denial).await;
                break;
            }
        }
        first = false;
    }
    linger(&conn).await;
}

async fn next_head(
    connection: &Connection,
    conn: &RefCell<Conn<Stream>>,
    timer: &mut Deadline,
    first: bool,
) -> Result<RequestHead, NoHead> {
    let timeouts = connection.listener.settings().timeouts;
    let mut began = false;
    let mut waiting = first;
    let mut parked = false;
    let idle = connection.shard.idle.enter();
    std::future::poll_fn(|cx| {
        let mut conn = conn.borrow_mut();
        loop {
            match parse_request(conn.rbuf(), &HeadLimits::REQUEST) {
                Ok(Some(head)) => return Poll::Ready(Ok(head)),
                Ok(None) => {}
                Err(error) => return Poll::Ready(Err(NoHead::Bad(error))),
            }
            match conn.poll_fill(cx) {
                Poll::Ready(Ok(0)) if conn.buffered().is_empty() => {
                    return Poll::Ready(Err(NoHead::End));
                }
                Poll::Ready(Ok(0)) => {
                    let error =
                        HeadError::Malformed("the connection ended in the middle of a head");
                    return Poll::Ready(Err(NoHead::Bad(error)));
                }
                Poll::Ready(Ok(_)) => continue,
                Poll::Ready(Err(_)) => return Poll::Ready(Err(NoHead::End)),
                Poll::Pending => {}
            }
            // Nothing to read now. Whatever is still to be written goes out.
            if let Poll::Ready(Err(_)) = conn.poll_flush(cx) {
                return Poll::Ready(Err(NoHead::End));
            }
            let silent = conn.buffered().is_empty();
            if silent && connection.is_over() {
                return Poll::Ready(Err(NoHead::End));
            }
            idle.register(cx);
            let now = Instant::now();
            if !std::mem::replace(&mut waiting, true) {
                timer.set(now + PARK.min(timeouts.idle));
            }
            if !silent && !began {
                // INVARIANT: the clock of a head starts with its first byte and is never wound up again.
                began = true;
                timer.set(now + timeouts.head);
            }
            return match timer.poll(cx) {
                Poll::Pending => Poll::Pending,
                Poll::Ready(()) if !silent => Poll::Ready(Err(NoHead::Slow)),
                Poll::Ready(()) if !parked && !first => {
                    parked = true;
                    conn.park();
                    timer.set(now + timeouts.idle.saturating_sub(PARK));
                    continue;
                }
                Poll::Ready(()) => Poll::Ready(Err(NoHead::End)),
            };
        }
    })
    .await
}

/// Answers what could not even be read as a request, and records it.
pub(crate) async fn refuse(connection: &Connection, mut caller: Caller<'_>, denial: Denial) {
    let draft = Draft::refusal(&connection.shard, connection.client, &denial);
    let answer = problem::answer(&denial, draft.id(), Told::default());
    let text = draft.id().text();
    let mut fill = |out: &mut crate::caller::HeadOut<'_>| out.put(b"x-request-id", &text);
    let _ = tokio::time::timeout(LINGER.0, caller.answer(&answer, &mut fill)).await;
    draft.finish(answer.status);
}

/// Ends our direction and listens for a moment, so that no reset overtakes the answer.
async fn linger(conn: &RefCell<Conn<Stream>>) {
    let closing = std::future::poll_fn(|cx| conn.borrow_mut().poll_shutdown(cx));
    if !matches!(tokio::time::timeout(LINGER.0, closing).await, Ok(Ok(()))) {
        return;
    }
    let mut heard = 0;
    let listening = std::future::poll_fn(|cx| {
        let mut conn = conn.borrow_mut();
        loop {
            conn.rbuf().clear();
            match conn.poll_fill(cx) {
                Poll::Ready(Ok(0) | Err(_)) => return Poll::Ready(()),
                Poll::Ready(Ok(count)) => {
                    heard += count;
                    if heard > LINGER.1 {
                        return Poll::Ready(());
                    }
                }
                Poll::Pending => return Poll::Pending,
            }
        }
    });
    let _ = tokio::time::timeout(LINGER.0, listening).await;
}
