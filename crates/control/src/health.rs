//! Whether the node lives and serves, and where.

use crate::problem::Problem;
use base::{Code, code};
use serde::{Deserialize, Serialize};
use std::sync::{PoisonError, RwLock};

/// What `up` prints when it is ready, and `/readyz` answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Up {
    /// The gateway's base URLs.
    pub gateway: Vec<String>,
    /// The control plane's base URL.
    pub control: String,
    /// The base URL of console, API and metrics, where they have an address of their own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub admin: Option<String>,
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

    /// The node lives but must get no traffic. `why` is a stable code that answers with 503 (`state.stale`,
    /// `gate.draining`), or a sentence, which stands as the detail of `gate.draining`. It is public.
    pub fn unready(&self, why: impl Into<String>) {
        self.set(State::Unready(why.into()));
    }

    /// Where the node serves.
    ///
    /// # Errors
    /// Why it does not, always with status 503.
    pub fn check(&self) -> Result<Up, Problem> {
        match &*self.state.read().unwrap_or_else(PoisonError::into_inner) {
            State::Starting => Err(Problem::new(code::NODE_STARTING)),
            State::Ready(up) => Ok(up.clone()),
            State::Unready(why) => Err(match Code::read(why) {
                known if known.info().is_some_and(|info| info.status == 503) => Problem::new(known),
                _ => Problem::with(code::SHUTTING_DOWN, why),
            }),
        }
    }

    fn set(&self, state: State) {
        *self.state.write().unwrap_or_else(PoisonError::into_inner) = state;
    }
}
