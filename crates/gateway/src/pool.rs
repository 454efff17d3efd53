//! Idle upstream connections of one shard.

use crate::h1::Conn;
use crate::stream::Stream;
use crate::upstream::Upstream;
use bytes::Bytes;
use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tokio::time::Instant;

/// Upstream and server number.
type Key = (u64, usize);

/// HTTP/2 connections to one server at most: with the usual 100 streams each, 1,600 requests a shard.
const CONNECTIONS: usize = 16;

/// An HTTP/2 connection, held by each request that goes over it.
#[derive(Debug, Clone)]
pub(crate) struct Shared {
    pub(crate) send: h2::client::SendRequest<Bytes>,
    requests: Rc<()>,
}

impl Shared {
    /// Requests under way; the pool holds one handle more.
    fn load(&self) -> usize {
        Rc::strong_count(&self.requests).saturating_sub(1)
    }
}
/// Since when it has been idle, and the connection.
type Kept = (Instant, Box<Conn<Stream>>);

/// Idle connections, and the HTTP/2 connections in use.
#[derive(Debug, Default)]
pub(crate) struct Pool {
    idle: RefCell<HashMap<Key, Vec<Kept>>>,
    shared: RefCell<HashMap<Key, Vec<(Instant, Shared)>>>,
    turns: RefCell<HashMap<u64, Vec<i64>>>,
}

impl Pool {
    /// An idle HTTP/1.1 connection that still stands. The one used last comes first, so that the others can
    /// grow old and go.
    pub(crate) fn take(&self, upstream: &Upstream, server: usize) -> Option<Box<Conn<Stream>>> {
        let mut idle = self.idle.borrow_mut();
        let list = idle.get_mut(&(upstream.id, server))?;
        let now = Instant::now();
        while let Some((since, mut conn)) = list.pop() {
            if now.duration_since(since) > upstream.settings.idle {
                // What lies below is older still.
                list.clear();
                return None;
            }
            // A connection that has anything to say while it is idle (its end, mostly) is of no use.
            let mut cx = Context::from_waker(Waker::noop());
            if conn.buffered().is_empty() && matches!(conn.poll_fill(&mut cx), Poll::Pending) {
                return Some(conn);
            }
        }
        None
    }

    /// Keeps a connection for the next request.
    pub(crate) fn put(&self, upstream: &Upstream, server: usize, conn: Box<Conn<Stream>>) {
        let mut idle = self.idle.borrow_mut();
        let list = idle.entry((upstream.id, server)).or_default();
        if list.len() < upstream.settings.keep_alive {
            list.push((Instant::now(), conn));
        }
    }

    /// An HTTP/2 connection to a server that takes another stream (RFC 9113 §5.1.2); where there may be no further
    /// one, that with the fewest requests.
    pub(crate) fn shared(&self, upstream: &Upstream, server: usize) -> Option<Shared> {
        let mut shared = self.shared.borrow_mut();
        let list = shared.get_mut(&(upstream.id, server))?;
        let full = list.len() >= CONNECTIONS;
        let has_room = |it: &Shared| it.load() < it.send.current_max_send_streams();
        let found = match list.iter().position(|(_, it)| has_room(it)) {
            Some(found) => found,
            None if full => {
                let loads = list.iter().enumerate().map(|(index, (_, it))| (it.load(), index));
                loads.min()?.1
            }
            None => return None,
        };
        let (used, connection) = list.get_mut(found)?;
        *used = Instant::now();
        Some(connection.clone())
    }

    /// Lets others use an HTTP/2 connection as well; returns a handle for the request that it was made for.
    pub(crate) fn share(
        &self,
        upstream: &Upstream,
        server: usize,
        send: h2::client::SendRequest<Bytes>,
    ) -> Shared {
        let connection = Shared { send, requests: Rc::new(()) };
        let mut shared = self.shared.borrow_mut();
        let list = shared.entry((upstream.id, server)).or_default();
        if list.len() < CONNECTIONS {
            list.push((Instant::now(), connection.clone()));
        }
        connection
    }

    /// No further request goes over the HTTP/2 connections to a server; those under way do.
    pub(crate) fn forget(&self, upstream: &Upstream, server: usize) {
        self.shared.borrow_mut().remove(&(upstream.id, server));
    }

    /// Whose turn it is; `now_ms` is asked only where there is a choice.
    pub(crate) fn choose(
        &self,
        upstream: &Upstream,
        tried: &[usize],
        now_ms: impl FnOnce() -> u64,
    ) -> Option<usize> {
        if let Some(only) = upstream.only() {
            return only.filter(|_| tried.is_empty());
        }
        let mut turns = self.turns.borrow_mut();
        upstream.choose(turns.entry(upstream.id).or_default(), tried, now_ms())
    }

    /// Lets go of what has been idle for too long, and of upstreams that are gone.
    pub(crate) fn tidy(&self, alive: &HashMap<u64, Duration>) {
        let now = Instant::now();
        self.idle.borrow_mut().retain(|(upstream, _), list| match alive.get(upstream) {
            Some(idle) => {
                list.retain(|(since, _)| now.duration_since(*since) <= *idle);
                // What has not been used for a moment holds no buffers.
                list.iter_mut()
                    .filter(|(since, _)| now.duration_since(*since) > Duration::from_secs(1))
                    .for_each(|(_, conn)| conn.park());
                !list.is_empty()
            }
            None => false,
        });
        self.shared.borrow_mut().retain(|(upstream, _), list| match alive.get(upstream) {
            Some(idle) => {
                list.retain(|(used, it)| it.load() > 0 || now.duration_since(*used) <= *idle);
                !list.is_empty()
            }
            None => false,
        });
        self.turns.borrow_mut().retain(|upstream, _| alive.contains_key(upstream));
    }
}
