//! Wakes those who wait for changes, within this process.

use base::BoxFuture;
use std::time::Duration;
use tokio::sync::watch;

/// A number that grows with each change. Nobody misses one: whoever says which number it saw last is woken
/// at once when there was a change since.
#[derive(Debug)]
pub(crate) struct Signal(watch::Sender<u64>);

impl Signal {
    pub(crate) fn new() -> Self {
        // 1, so that the first wait of somebody who has seen nothing (0) returns at once.
        Self(watch::Sender::new(1))
    }

    pub(crate) fn raise(&self) {
        self.0.send_modify(|it| *it = it.wrapping_add(1).max(1));
    }

    pub(crate) fn wait(&self, seen: u64, at_most: Duration) -> BoxFuture<'_, u64> {
        Box::pin(async move {
            let mut receiver = self.0.subscribe();
            // Both a time-out and a change end in a look at the present number.
            let _ = tokio::time::timeout(at_most, receiver.wait_for(|it| *it != seen)).await;
            *receiver.borrow()
        })
    }
}

/// What can be waited for.
#[derive(Debug)]
pub(crate) struct Signals {
    pub(crate) feed: Signal,
    pub(crate) outbox: Signal,
}

impl Signals {
    pub(crate) fn new() -> Self {
        Self { feed: Signal::new(), outbox: Signal::new() }
    }

    /// A transaction was committed.
    pub(crate) fn committed(&self) {
        self.feed.raise();
        self.outbox.raise();
    }
}
