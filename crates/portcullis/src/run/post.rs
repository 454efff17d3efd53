//! Mail: sent to the server that the file names, or kept for administrators to read.

use super::events::Events;
use super::{Failure, text};
use crate::config::Config;
use base::{Clock, Kind, Mail, Outcome, Resolve, code};
use control::ports::Caller;
use control::{KeptMail, KeptMessage};
use outbound::mail::{Carried, Delivery, Kept, MailQueue, MailSink, Smtp, SmtpServer, Told};
use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// How long a stop waits for messages that are on their way.
const LAST: Duration = Duration::from_secs(5);

/// How messages leave.
#[derive(Debug, Clone)]
pub(super) enum Post {
    /// To a server.
    Sent(Arc<MailQueue>, Arc<Counts>),
    /// Not at all.
    Kept(Arc<MailSink>, Events),
}

/// What became of messages, since the start.
#[derive(Debug, Default)]
pub(super) struct Counts {
    sent: AtomicU64,
    delayed: AtomicU64,
    failed: AtomicU64,
}

impl Post {
    /// As the file says.
    ///
    /// # Errors
    /// A sentence, when the file of certificate authorities cannot be read.
    pub(super) fn new(
        config: &Config,
        resolve: Arc<dyn Resolve>,
        clock: Arc<dyn Clock>,
        events: Events,
    ) -> Result<Self, Failure> {
        let Some(said) = &config.mail else {
            return Ok(Self::Kept(Arc::new(MailSink::new(clock)), events));
        };
        let read = |path: &std::path::PathBuf| {
            std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()))
        };
        let server = SmtpServer {
            security: said.security,
            host: said.host.clone(),
            port: said.port,
            credentials: said.credentials.clone(),
            extra_roots: said.ca.as_ref().map(read).transpose()?,
            from_name: said.from_name.clone(),
            from: said.from.clone(),
        };
        let smtp = Smtp::with_resolver(server, clock, resolve).map_err(text)?;
        let counts = Arc::new(Counts::default());
        let queue = MailQueue::new(smtp, told(counts.clone(), events));
        Ok(Self::Sent(Arc::new(queue), counts))
    }

    /// What the authority hands its messages to.
    pub(super) fn mail(&self) -> Arc<dyn Mail> {
        match self {
            Self::Sent(queue, _) => queue.clone(),
            Self::Kept(sink, _) => sink.clone(),
        }
    }

    /// Waits a moment for what is on its way.
    pub(super) async fn close(&self) {
        if let Self::Sent(queue, _) = self {
            let left = queue.close(LAST).await;
            if left > 0 {
                tracing::warn!(left, "messages were not sent before the stop");
            }
        }
    }

    /// Its counters as OpenMetrics text; nothing where nothing is sent.
    pub(super) fn metrics(&self) -> String {
        let Self::Sent(_, counts) = self else { return String::new() };
        let rows = [
            ("sent", "Messages that the mail server took", &counts.sent),
            ("delayed", "Attempts that will be repeated", &counts.delayed),
            ("failed", "Messages that were given up", &counts.failed),
        ];
        let mut text = String::new();
        for (name, help, count) in rows {
            // Writing to a string cannot fail.
            let _ = writeln!(
                text,
                "# HELP portcullis_mail_{name} {help}.\n# TYPE portcullis_mail_{name} counter\n\
                 portcullis_mail_{name}_total {}",
                count.load(Ordering::Relaxed)
            );
        }
        text
    }
}

/// Counts, says and records what became of messages. Neither address nor text is known here.
fn told(counts: Arc<Counts>, events: Events) -> Told {
    Arc::new(move |delivery: &Delivery| {
        let Delivery { kind, attempts, carried } = delivery;
        let why = match carried {
            Carried::Sent => {
                counts.sent.fetch_add(1, Ordering::Relaxed);
                tracing::debug!(kind, attempts, "a message was sent");
                return;
            }
            Carried::Delayed(error) => {
                counts.delayed.fetch_add(1, Ordering::Relaxed);
                tracing::warn!(kind, attempts, %error, "a message could not be sent yet");
                return;
            }
            Carried::GivenUp(error) => error.to_string(),
            Carried::TooLate => "it expired before the mail server took it".to_owned(),
            Carried::NoRoom => "too many messages wait".to_owned(),
        };
        counts.failed.fetch_add(1, Ordering::Relaxed);
        tracing::error!(kind, attempts, why, "a message was not sent");
        let mut event = events.event(code::MAIL_FAILED);
        event.outcome = Outcome::Error;
        event.detail = Some(format!("{kind}: {why}").into());
        events.record(event);
    })
}

fn kept(it: Kept) -> KeptMessage {
    KeptMessage { number: it.number, at: it.at, message: it.message }
}

impl KeptMail for Post {
    fn list(&self) -> Option<Vec<KeptMessage>> {
        match self {
            Self::Sent(..) => None,
            Self::Kept(sink, _) => Some(sink.messages().into_iter().map(kept).collect()),
        }
    }

    fn show(&self, number: u64, caller: &Caller) -> Option<KeptMessage> {
        let Self::Kept(sink, events) = self else { return None };
        let found = sink.messages().into_iter().find(|it| it.number == number)?;
        let mut event = events.event(code::MAIL_SHOWN);
        event.kind = Kind::Admin;
        event.principal = Some(caller.principal.to_string().into());
        event.scheme = Some(caller.scheme);
        event.client_ip = caller.client_ip;
        event.detail = Some(format!("message {number}: {}", found.message.kind()).into());
        events.record(event);
        Some(kept(found))
    }
}
