//! Why a request does not pass.

use crate::credential::Credential;
use crate::mfa::Asked;
use base::{Code, Phase};
use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

/// A refusal: what the caller is told is derived from the code alone; `detail` goes to the record only.
#[derive(Debug, Clone, PartialEq)]
pub struct Denial {
    /// The stable code.
    pub code: Code,
    /// Where it was decided.
    pub phase: Phase,
    /// The rule, claim or list in question. Shown by `explain`, never to the caller.
    pub detail: Option<Cow<'static, str>>,
    /// Whose request it is, where a proof held although the request does not pass. For the record only.
    pub who: Option<Arc<Credential>>,
    /// The scopes that the route asks for, for the challenge of a 403 (RFC 6750 §3.1).
    pub scopes: Option<Arc<str>>,
    /// How the person must sign in again, for the challenge of RFC 9470 §3.
    pub step_up: Option<Box<Asked>>,
    /// For 429 and 503: when to come back.
    pub retry_after: Option<Duration>,
}

impl Denial {
    /// A refusal with nothing to add.
    pub fn new(code: Code, phase: Phase) -> Self {
        Self {
            code,
            phase,
            detail: None,
            who: None,
            scopes: None,
            step_up: None,
            retry_after: None,
        }
    }

    /// With a detail for the record.
    #[must_use]
    pub fn detail(mut self, detail: impl Into<Cow<'static, str>>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// Of this caller.
    #[must_use]
    pub fn of(mut self, who: Option<&Arc<Credential>>) -> Self {
        self.who = who.cloned();
        self
    }
}
