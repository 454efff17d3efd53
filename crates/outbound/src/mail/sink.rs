//! Keeps messages in memory instead of sending them: what runs where no mail server is configured.
//!
//! Never does: it writes nothing to disk and to no log. Its messages hold links that sign in, so whoever shows them
//! must know that an administrator asks.

use base::{BoxFuture, Clock, Mail, MailError, Message, UnixMs};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Messages that are kept; at most 32 KB each, so 2 MB.
pub const KEPT_MESSAGES: usize = 50;

/// A message that was kept.
#[derive(Debug, Clone)]
pub struct Kept {
    /// Its number, from 1, since the process started.
    pub number: u64,
    /// When it came.
    pub at: UnixMs,
    /// The message.
    pub message: Message,
}

/// The last messages, oldest first.
#[derive(Debug)]
pub struct MailSink {
    clock: Arc<dyn Clock>,
    kept: Mutex<(u64, VecDeque<Kept>)>,
}

impl MailSink {
    /// An empty sink.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, kept: Mutex::default() }
    }

    /// The messages that are kept, newest first.
    pub fn messages(&self) -> Vec<Kept> {
        self.lock().1.iter().rev().cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, (u64, VecDeque<Kept>)> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Mail for MailSink {
    fn send(&self, message: Message) -> BoxFuture<'_, Result<(), MailError>> {
        let at = self.clock.now();
        let mut guard = self.lock();
        let (last, kept) = &mut *guard;
        *last = last.saturating_add(1);
        // INVARIANT: never more than KEPT_MESSAGES.
        if kept.len() >= KEPT_MESSAGES {
            kept.pop_front();
        }
        kept.push_back(Kept { number: *last, at, message });
        Box::pin(std::future::ready(Ok(())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base::FakeClock;
    use base::mail::{Draft, MailAddress};
    use std::time::Duration;

    fn message(subject: String) -> Message {
        Message::new(Draft {
            kind: "test",
            to: MailAddress::parse("ada@example.com").unwrap(),
            subject,
            text: "https://login.example/in#secret".to_owned(),
            html: "<p>secret</p>".to_owned(),
            useful_for: Duration::from_secs(60),
        })
        .unwrap()
    }

    #[tokio::test]
    async fn the_last_messages_are_kept_and_no_more() {
        let sink = MailSink::new(Arc::new(FakeClock::at(UnixMs(7))));
        for n in 0..KEPT_MESSAGES + 3 {
            sink.send(message(format!("number {n}"))).await.unwrap();
        }
        let kept = sink.messages();
        assert_eq!(kept.len(), KEPT_MESSAGES);
        assert_eq!((kept[0].number, kept[0].at), (53, UnixMs(7)));
        assert_eq!(kept[0].message.subject(), "number 52");
        assert_eq!(kept[KEPT_MESSAGES - 1].message.subject(), "number 3");
    }

    #[tokio::test]
    async fn debug_shows_no_secret() {
        let sink = MailSink::new(Arc::new(FakeClock::at(UnixMs(7))));
        sink.send(message("hello".to_owned())).await.unwrap();
        let shown = format!("{sink:?}");
        assert!(!shown.contains("secret") && !shown.contains("ada"), "{shown}");
    }
}
