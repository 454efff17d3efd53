//! Live exchanges of a shard, so that revocation and expiry reach what is already streaming.

use access::credential::Credential;
use access::live::{Standing, still_good};
use base::{Code, UnixMs, code};
use slab::Slab;
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::Duration;
use tokio::time::Instant;

/// How often live exchanges are judged again. A revocation must reach them within a second.
pub(crate) const SWEEP: Duration = Duration::from_millis(250);

#[derive(Debug)]
struct Entry {
    credentials: Vec<Arc<Credential>>,
    /// The last moment at which the sign-in is fresh enough for the route.
    until: Option<UnixMs>,
    cut: Option<Code>,
    /// When the exchange is to be woken because it waits for an upstream's answer.
    deadline: Option<Instant>,
    waker: Option<Waker>,
}

/// All live exchanges of one shard.
#[derive(Debug, Default, Clone)]
pub(crate) struct LiveIndex(Rc<RefCell<Slab<Entry>>>);

/// One live exchange; taken out of the index on drop.
#[derive(Debug)]
pub(crate) struct Live {
    index: LiveIndex,
    key: usize,
}

impl LiveIndex {
    pub(crate) fn enter(&self, credentials: Vec<Arc<Credential>>, until: Option<UnixMs>) -> Live {
        let key = self.0.borrow_mut().insert(Entry {
            credentials,
            until,
            cut: None,
            deadline: None,
            waker: None,
        });
        Live { index: self.clone(), key }
    }

    pub(crate) fn len(&self) -> usize {
        self.0.borrow().len()
    }

    /// Cuts what is not good any more, and wakes what has waited for long enough.
    ///
    /// WHY: one sweep over all exchanges costs less than a timer for each; a time-out of seconds may be a
    /// quarter of one late.
    pub(crate) fn sweep(&self, standing: Standing<'_>) {
        let at_now = Instant::now();
        for (_, entry) in self.0.borrow_mut().iter_mut() {
            if entry.cut.is_some() {
                continue;
            }
            if entry.deadline.is_some_and(|at| at <= at_now) {
                entry.deadline = None;
                if let Some(waker) = entry.waker.take() {
                    waker.wake();
                }
            }
            let stale = entry.until.is_some_and(|until| standing.now > until);
            let verdict = entry.credentials.iter().find_map(|it| still_good(it, standing).err());
            let verdict = verdict.or(stale.then_some(code::STEP_UP_REQUIRED));
            if let Some(code) = verdict {
                entry.cut = Some(code);
                if let Some(waker) = entry.waker.take() {
                    waker.wake();
                }
            }
        }
    }
}

impl Live {
    /// The task is to be woken at `at`, give or take a sweep.
    pub(crate) fn wake_at(&self, at: Option<Instant>) {
        if let Some(entry) = self.index.0.borrow_mut().get_mut(self.key) {
            entry.deadline = at;
        }
    }

    /// Why the exchange must end, if the last sweep found that it must.
    pub(crate) fn cut(&self) -> Option<Code> {
        self.index.0.borrow().get(self.key).and_then(|entry| entry.cut.clone())
    }

    /// Why the exchange must end, if it must; else the task is woken when it has to.
    pub(crate) fn poll_cut(&self, cx: &mut Context<'_>) -> Option<Code> {
        let mut entries = self.index.0.borrow_mut();
        let entry = entries.get_mut(self.key)?;
        if entry.cut.is_some() {
            return entry.cut.clone();
        }
        if !entry.waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            entry.waker = Some(cx.waker().clone());
        }
        None
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        let mut entries = self.index.0.borrow_mut();
        if entries.contains(self.key) {
            entries.remove(self.key);
        }
    }
}
