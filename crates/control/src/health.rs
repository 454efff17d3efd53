//! Whether the node lives and serves, and where.

use serde::{Deserialize, Serialize};
use std::sync::{PoisonError, RwLock};

/// What `up` prints when it is ready, and `/readyz` answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Up {
    /// The gateway's base URLs.
    pub gateway: Vec<String>,
    /// The control plane's base URL.
    pub control: String,
    /// The one-time set-up link of the first administrator; none off a terminal.
    pub setup_url: Option<String>,
}

#[derive(Debug)]
enum State {
    Starting,
    Ready(Up),
    Unready(String),
}

/// The node's health, told by the binary and asked by `/readyz`.
#[derive(Debug)]
pub struct Health {
    state: RwLock<State>,
}

impl Health {
    /// A node that is starting.
    pub fn starting() -> Self {
        Self { state: RwLock::new(State::Starting) }
    }

    /// The node serves.
    pub fn ready(&self, up: Up) {
        self.set(State::Ready(up));
    }

    /// The node lives but must get no traffic: it drains, or has lost its state. `why` is public.
    pub fn unready(&self, why: impl Into<String>) {
        self.set(State::Unready(why.into()));
    }

    /// Where the node serves.
    ///
    /// # Errors
    /// Why it does not: `None` while it starts.
    pub fn check(&self) -> Result<Up, Option<String>> {
        match &*self.state.read().unwrap_or_else(PoisonError::into_inner) {
            State::Starting => Err(None),
            State::Ready(up) => Ok(up.clone()),
            State::Unready(why) => Err(Some(why.clone())),
        }
    }

    fn set(&self, state: State) {
        *self.state.write().unwrap_or_else(PoisonError::into_inner) = state;
    }
}
