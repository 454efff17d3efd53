//! How much of the machine hashing may take.

use std::sync::Arc;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;

/// Hashes at once at most, however many cores there are: 76 MiB.
const PARALLEL_MOST: usize = 4;
/// Hashes that wait at most. At 25 ms each and two at once, the last of them waits 0.8 s; who comes later is asked to
/// try again rather than left to wait.
const WAITING: usize = 64;

/// All places are taken, or nothing can run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Busy;

/// The threads for hashing, and the queue before them.
#[derive(Debug)]
pub(crate) struct Pool {
    running: Arc<Semaphore>,
    places: Arc<Semaphore>,
}

impl Default for Pool {
    /// Half of the cores, so that the other half stays for tokens.
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self::new((cores / 2).clamp(1, PARALLEL_MOST), WAITING)
    }
}

impl Pool {
    pub(crate) fn new(parallel: usize, waiting: usize) -> Self {
        let places = Arc::new(Semaphore::new(parallel.saturating_add(waiting)));
        Self { running: Arc::new(Semaphore::new(parallel)), places }
    }

    /// Runs slow work on a thread of its own.
    ///
    /// # Errors
    /// When the queue is full.
    pub(crate) async fn run<T, F>(&self, work: F) -> Result<T, Busy>
    where
        T: Send + 'static,
        F: FnOnce() -> T + Send + 'static,
    {
        let place = Arc::clone(&self.places).try_acquire_owned().map_err(|_| Busy)?;
        let turn = Arc::clone(&self.running).acquire_owned().await.map_err(|_| Busy)?;
        let runtime = Handle::try_current().map_err(|_| Busy)?;
        let done = runtime.spawn_blocking(move || {
            let result = work();
            // WHY: given back by the thread and not by the caller, who may have gone away meanwhile.
            drop((turn, place));
            result
        });
        done.await.map_err(|_| Busy)
    }
}
