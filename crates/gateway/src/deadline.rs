//! A deadline that costs nothing while it keeps moving.
//!
//! One timer a connection is armed once and looks, when it fires, whether the deadline has moved on since.
//! So a request that starts and ends in time never touches the timer wheel.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::time::{Instant, Sleep, sleep_until};

#[derive(Debug)]
pub(crate) struct Deadline {
    at: Instant,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Deadline {
    pub(crate) fn new(at: Instant) -> Self {
        Self { at, timer: None }
    }

    /// Moves the deadline.
    pub(crate) fn set(&mut self, at: Instant) {
        self.at = at;
    }

    /// Ready once the deadline has passed; otherwise the task is woken in time.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let timer = match &mut self.timer {
            Some(timer) if timer.deadline() <= self.at => timer,
            // None yet, or the deadline came nearer than the timer.
            slot => slot.insert(Box::pin(sleep_until(self.at))),
        };
        loop {
            match timer.as_mut().poll(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(()) if Instant::now() >= self.at => return Poll::Ready(()),
                Poll::Ready(()) => timer.as_mut().reset(self.at),
            }
        }
    }
}
