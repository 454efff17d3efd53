//! How much of the machine hashing may take.
//!
//! Invariant: at most half of the processor's time, however many people sign in. With two cores and more, at most half
//! of them hash at once. On one core, each hash is followed by a rest as long as it took, in which no other begins.

use base::{Clock, SystemClock};
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;

/// Hashes at once at most, however many cores there are: 76 MiB, or 512 MiB should all be from elsewhere.
const PARALLEL_MOST: usize = 4;
/// Hashes that wait at most. At 25 ms each and two at once, the last of them waits 0.8 s; who comes later is asked to
/// try again rather than left to wait.
const WAITING: usize = 64;
/// Nobody waits longer than this for a turn. Hashes from elsewhere take up to 0.9 s each, and a queue of them must not
/// hold people for minutes.
const WAIT_MOST: Duration = Duration::from_secs(10);
/// A rest is no longer than this, should the machine have slept meanwhile: twice what the costliest hash takes.
const REST_MOST: Duration = Duration::from_secs(2);

/// All places are taken, or nothing can run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Busy;

/// The threads for hashing, and the queue before them.
#[derive(Debug)]
pub(crate) struct Pool {
    running: Arc<Semaphore>,
    places: Arc<Semaphore>,
    /// Where hashes must rest after each other, the clock by which.
    rest: Option<Arc<dyn Clock>>,
}

impl Default for Pool {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self::for_cores(cores, Arc::new(SystemClock::new()))
    }
}

impl Pool {
    /// Half of the cores, so that the other half stays for tokens.
    pub(crate) fn for_cores(cores: usize, clock: Arc<dyn Clock>) -> Self {
        let pool = Self::new((cores / 2).clamp(1, PARALLEL_MOST), WAITING);
        Self { rest: (cores < 2).then_some(clock), ..pool }
    }

    pub(crate) fn new(parallel: usize, waiting: usize) -> Self {
        let places = Arc::new(Semaphore::new(parallel.saturating_add(waiting)));
        Self { running: Arc::new(Semaphore::new(parallel)), places, rest: None }
    }

    /// How many may begin at this moment.
    #[cfg(test)]
    pub(super) fn turns(&self) -> usize {
        self.running.available_permits()
    }

    /// Runs slow work on a thread of its own.
    ///
    /// # Errors
    /// When the queue is full, or does not move on.
    pub(crate) async fn run<T, F>(&self, work: F) -> Result<T, Busy>
    where
        T: Send + 'static,
        F: FnOnce() -> T + Send + 'static,
    {
        let place = Arc::clone(&self.places).try_acquire_owned().map_err(|_| Busy)?;
        let turn = Arc::clone(&self.running).acquire_owned();
        let turn = tokio::time::timeout(WAIT_MOST, turn).await.map_err(|_| Busy)?;
        let turn = turn.map_err(|_| Busy)?;
        let runtime = Handle::try_current().map_err(|_| Busy)?;
        let clock = self.rest.clone();
        let after = runtime.clone();
        let done = runtime.spawn_blocking(move || {
            let began = clock.as_ref().map(|clock| clock.monotonic());
            let result = work();
            let rest = clock.zip(began).map(|(clock, began)| clock.monotonic().since(began));
            // WHY: given back by the thread and not by the caller, who may have gone away meanwhile.
            match rest {
                None => drop((turn, place)),
                Some(rest) => drop(after.spawn(async move {
                    tokio::time::sleep(rest.min(REST_MOST)).await;
                    drop((turn, place));
                })),
            }
            result
        });
        done.await.map_err(|_| Busy)
    }
}
