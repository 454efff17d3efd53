//! Waiting for something that another process does. Unit tests never wait; they move a clock.

use base::{Clock, SystemClock};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

/// How often a condition is looked at again.
const LOOK: Duration = Duration::from_millis(5);

/// Waits until `condition` holds and says how long that took.
///
/// # Panics
/// When it does not hold within `within`; the message names `what`.
pub fn until(within: Duration, what: &str, mut condition: impl FnMut() -> bool) -> Duration {
    let clock = SystemClock::new();
    let start = clock.monotonic();
    loop {
        let passed = clock.monotonic().since(start);
        if condition() {
            return passed;
        }
        assert!(passed < within, "waited {within:?} for {what} in vain");
        pause(LOOK);
    }
}

/// Lets `span` pass: for servers and clients that are slow on purpose, never for guessing when something is
/// done.
pub fn pause(span: Duration) {
    let nobody = Mutex::new(());
    let guard = nobody.lock().unwrap_or_else(PoisonError::into_inner);
    // Nobody wakes it; a spurious wake-up makes the pause shorter, which no caller minds.
    let _ = Condvar::new().wait_timeout(guard, span);
}
