//! Idle upstream connections of one shard.

use crate::h1::Conn;
use crate::stream::Stream;
use crate::upstream::Upstream;
use bytes::Bytes;
use std::cell::RefCell;
use std::collections::HashMap;
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tokio::time::Instant;

/// Upstream and server number.
type Key = (u64, usize);
/// Since when it has been idle, and the connection.
type Kept = (Instant, Box<Conn<Stream>>);

/// Idle connections, and the HTTP/2 connections in use.
#[derive(Debug, Default)]
pub(crate) struct Pool {
    idle: RefCell<HashMap<Key, Vec<Kept>>>,
    shared: RefCell<HashMap<Key, h2::client::SendRequest<Bytes>>>,
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

    /// The HTTP/2 connection to a server, if one stands.
    pub(crate) fn shared(
        &self,
        upstream: &Upstream,
        server: usize,
    ) -> Option<h2::client::SendRequest<Bytes>> {
        self.shared.borrow().get(&(upstream.id, server)).cloned()
    }

    pub(crate) fn share(
        &self,
        upstream: &Upstream,
        server: usize,
        connection: h2::client::SendRequest<Bytes>,
    ) {
        self.shared.borrow_mut().insert((upstream.id, server), connection);
    }

    pub(crate) fn forget(&self, upstream: &Upstream, server: usize) {
        self.shared.borrow_mut().remove(&(upstream.id, server));
    }

    /// Whose turn it is.
    pub(crate) fn choose(
        &self,
        upstream: &Upstream,
        tried: &[usize],
        now_ms: u64,
    ) -> Option<usize> {
        let mut turns = self.turns.borrow_mut();
        upstream.choose(turns.entry(upstream.id).or_default(), tried, now_ms)
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
        let alive = |id| alive.contains_key(&id);
        self.shared.borrow_mut().retain(|(upstream, _), _| alive(*upstream));
        self.turns.borrow_mut().retain(|upstream, _| alive(*upstream));
    }
}
