//! Messages that were kept instead of sent, where no mail server is configured.
//!
//! Invariant: a message may hold a link that signs in as somebody, so its text is shown only to who may make such links
//! (the scope `admin:write`), and that it was shown is recorded.

use crate::ports::Caller;
use crate::time::rfc3339;
use base::{Message, UnixMs};
use serde_json::{Value, json};

/// A message that was kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptMessage {
    /// Its number, from 1, since the process started.
    pub number: u64,
    /// When it came.
    pub at: UnixMs,
    /// The message.
    pub message: Message,
}

/// Where they are kept.
pub trait KeptMail: Send + Sync + std::fmt::Debug {
    /// The messages, newest first; `None` where they are sent.
    fn list(&self) -> Option<Vec<KeptMessage>>;

    /// One of them, to be shown to `caller`; recorded.
    fn show(&self, number: u64, caller: &Caller) -> Option<KeptMessage>;
}

impl KeptMessage {
    /// Without what it says.
    pub(crate) fn line(&self) -> Value {
        json!({
            "number": self.number,
            "at": rfc3339(self.at),
            "kind": self.message.kind(),
            "to": self.message.to().as_str(),
            "subject": self.message.subject(),
        })
    }

    /// With all that it says.
    pub(crate) fn whole(&self) -> Value {
        let mut whole = self.line();
        if let Some(whole) = whole.as_object_mut() {
            whole.insert("text".to_owned(), json!(self.message.text().expose()));
            whole.insert("html".to_owned(), json!(self.message.html().expose()));
        }
        whole
    }
}
