//! Messages that wait to be sent, so that nobody who sends one waits for a mail server.
//!
//! Never does: it keeps nothing over a restart. WHY: what is sent is a code of some minutes, which people ask for again,
//! or news that the ledger holds too.
//!
//! Invariants: at most [`WAITING`] messages wait and [`CONNECTIONS`] connections are open; a message is tried at most
//! as often as there are [`DELAYS`] and once more, and never after it has lost its use.

use super::smtp::{Smtp, SmtpError};
use base::{BoxFuture, Mail, MailError, Message};
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, TryAcquireError};

/// Messages that may wait; at most 32 KB each, so 32 MB, and usually 6 MB. A server that is down for an hour gathers
/// fewer from an organisation of thousands.
pub const WAITING: u32 = 1000;
/// Connections to the server at a time: few servers grant one client more than ten.
const CONNECTIONS: usize = 4;
/// After how long a message is tried again: soon, since somebody waits for it, then ever later.
const DELAYS: [Duration; 7] = [
    Duration::from_secs(5),
    Duration::from_secs(30),
    Duration::from_secs(2 * 60),
    Duration::from_secs(5 * 60),
    Duration::from_secs(15 * 60),
    Duration::from_secs(3600),
    Duration::from_secs(4 * 3600),
];

/// What became of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Carried {
    /// The server has it.
    Sent,
    /// Not yet; it is tried again.
    Delayed(SmtpError),
    /// It is not tried any more.
    GivenUp(SmtpError),
    /// It lost its use before the server took it.
    TooLate,
    /// It was not taken, since as many wait as may.
    NoRoom,
}

/// What is told of a message. It names neither the person nor what was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// Which message: [`Message::kind`].
    pub kind: &'static str,
    /// How often it was tried by now.
    pub attempts: usize,
    /// What became of it.
    pub carried: Carried,
}

/// Who is told.
pub type Told = Arc<dyn Fn(&Delivery) + Send + Sync>;

/// Takes one message to a server.
trait Deliver: Send + Sync {
    fn deliver<'a>(&'a self, message: &'a Message) -> BoxFuture<'a, Result<(), SmtpError>>;
}

impl Deliver for Smtp {
    fn deliver<'a>(&'a self, message: &'a Message) -> BoxFuture<'a, Result<(), SmtpError>> {
        Box::pin(self.deliver(message))
    }
}

/// Sends in the background.
pub struct MailQueue {
    carrier: Arc<Carrier>,
    places: Arc<Semaphore>,
    runtime: Handle,
}

struct Carrier {
    server: Box<dyn Deliver>,
    connections: Semaphore,
    told: Told,
}

impl std::fmt::Debug for MailQueue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MailQueue").field("free", &self.places.available_permits()).finish()
    }
}

impl MailQueue {
    /// A queue before `server`, on the runtime that this is called on; `told` learns of each attempt.
    ///
    /// # Panics
    /// Outside a runtime, as [`Handle::current`] does.
    pub fn new(server: Smtp, told: Told) -> Self {
        Self::before(Box::new(server), told)
    }

    fn before(server: Box<dyn Deliver>, told: Told) -> Self {
        let connections = Semaphore::new(CONNECTIONS);
        Self {
            carrier: Arc::new(Carrier { server, connections, told }),
            places: Arc::new(Semaphore::new(usize::try_from(WAITING).unwrap_or(usize::MAX))),
            runtime: Handle::current(),
        }
    }

    /// Takes no more messages and waits until all are gone, at most `limit`; how many are left then.
    pub async fn close(&self, limit: Duration) -> usize {
        // WHY not closed first: a closed semaphore says nothing of those that are out.
        let all = self.places.acquire_many(WAITING);
        let left = match tokio::time::timeout(limit, all).await {
            Ok(_) => 0,
            Err(_) => usize::try_from(WAITING)
                .unwrap_or(usize::MAX)
                .saturating_sub(self.places.available_permits()),
        };
        self.places.close();
        left
    }
}

impl Mail for MailQueue {
    fn send(&self, message: Message) -> BoxFuture<'_, Result<(), MailError>> {
        let taken = match Arc::clone(&self.places).try_acquire_owned() {
            Err(TryAcquireError::NoPermits) => {
                let kind = message.kind();
                (self.carrier.told)(&Delivery { kind, attempts: 0, carried: Carried::NoRoom });
                Err(MailError::Full)
            }
            Err(TryAcquireError::Closed) => Err(MailError::Closed),
            Ok(place) => {
                let carrier = Arc::clone(&self.carrier);
                self.runtime.spawn(async move {
                    carrier.carry(message).await;
                    drop(place);
                });
                Ok(())
            }
        };
        Box::pin(std::future::ready(taken))
    }
}

impl Carrier {
    /// Tries until the server has it, it cannot be sent, or it has lost its use.
    async fn carry(&self, message: Message) {
        let mut attempts = 0;
        let trying = self.attempts(&message, &mut attempts);
        let carried = match tokio::time::timeout(message.useful_for(), trying).await {
            Ok(carried) => carried,
            Err(_) => Carried::TooLate,
        };
        (self.told)(&Delivery { kind: message.kind(), attempts, carried });
    }

    async fn attempts(&self, message: &Message, attempts: &mut usize) -> Carried {
        loop {
            let outcome = {
                // It is never closed; without a permit there are only more connections for a moment.
                let _one = self.connections.acquire().await;
                *attempts += 1;
                self.server.deliver(message).await
            };
            let error = match outcome {
                Ok(()) => return Carried::Sent,
                Err(error) if error.is_final() => return Carried::GivenUp(error),
                Err(error) => error,
            };
            let Some(delay) = DELAYS.get(attempts.saturating_sub(1)) else {
                return Carried::GivenUp(error);
            };
            let (kind, carried) = (message.kind(), Carried::Delayed(error));
            (self.told)(&Delivery { kind, attempts: *attempts, carried });
            tokio::time::sleep(*delay).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base::mail::{Draft, MailAddress};
    use std::sync::Mutex;

    /// Answers as told, then well; or never.
    struct Server {
        answers: Mutex<Vec<SmtpError>>,
        silent: bool,
    }

    impl Deliver for Server {
        fn deliver<'a>(&'a self, _: &'a Message) -> BoxFuture<'a, Result<(), SmtpError>> {
            Box::pin(async move {
                if self.silent {
                    std::future::pending::<()>().await;
                }
                self.answers.lock().unwrap().pop().map_or(Ok(()), Err)
            })
        }
    }

    struct World {
        queue: MailQueue,
        log: Arc<Mutex<Vec<Delivery>>>,
    }

    fn world(answers: Vec<SmtpError>, silent: bool) -> World {
        let log = Arc::new(Mutex::new(Vec::new()));
        let told: Told = {
            let log = Arc::clone(&log);
            Arc::new(move |delivery: &Delivery| log.lock().unwrap().push(delivery.clone()))
        };
        let server = Box::new(Server { answers: Mutex::new(answers), silent });
        World { queue: MailQueue::before(server, told), log }
    }

    fn message(useful_for: u64) -> Message {
        Message::new(Draft {
            kind: "test",
            to: MailAddress::parse("ada@example.com").unwrap(),
            subject: "Hello".to_owned(),
            text: "Hello".to_owned(),
            html: "<p>Hello</p>".to_owned(),
            useful_for: Duration::from_secs(useful_for),
        })
        .unwrap()
    }

    const LONG: Duration = Duration::from_secs(100 * 3600);

    #[tokio::test(start_paused = true)]
    async fn a_message_is_tried_again_until_it_is_taken() {
        let busy = || SmtpError::Later(451);
        let it = world(vec![busy(), busy()], false);
        it.queue.send(message(3600)).await.unwrap();
        assert_eq!(it.queue.close(LONG).await, 0);
        let log = it.log.lock().unwrap();
        let told: Vec<_> = log.iter().map(|it| (it.attempts, it.carried.clone())).collect();
        assert_eq!(
            told,
            [(1, Carried::Delayed(busy())), (2, Carried::Delayed(busy())), (3, Carried::Sent)]
        );
    }

    #[tokio::test(start_paused = true)]
    async fn rfc5321_s4_2_1_a_5xx_reply_ends_it() {
        let it = world(vec![SmtpError::Refused(550)], false);
        it.queue.send(message(3600)).await.unwrap();
        it.queue.close(LONG).await;
        let log = it.log.lock().unwrap();
        assert_eq!(log.len(), 1);
        assert_eq!(log[0].carried, Carried::GivenUp(SmtpError::Refused(550)));
    }

    #[tokio::test(start_paused = true)]
    async fn attempts_have_a_bound() {
        let it = world(vec![SmtpError::NoTls; 100], false);
        it.queue.send(message(1_000_000)).await.unwrap();
        it.queue.close(LONG).await;
        let log = it.log.lock().unwrap();
        let last = log.last().unwrap();
        assert_eq!((last.attempts, log.len()), (DELAYS.len() + 1, DELAYS.len() + 1));
        assert_eq!(last.carried, Carried::GivenUp(SmtpError::NoTls));
    }

    #[tokio::test(start_paused = true)]
    async fn what_has_lost_its_use_is_not_sent() {
        let it = world(vec![SmtpError::Later(421); 100], false);
        it.queue.send(message(600)).await.unwrap();
        it.queue.close(LONG).await;
        let log = it.log.lock().unwrap();
        assert_eq!(log.last().unwrap().carried, Carried::TooLate);
    }

    #[tokio::test(start_paused = true)]
    async fn the_queue_has_a_bound_and_a_silent_server_holds_nobody() {
        let it = world(Vec::new(), true);
        for _ in 0..WAITING {
            it.queue.send(message(3600)).await.unwrap();
        }
        assert_eq!(it.queue.send(message(3600)).await, Err(MailError::Full));
        assert_eq!(it.log.lock().unwrap().last().unwrap().carried, Carried::NoRoom);
        // What has lost its use makes room.
        tokio::time::sleep(Duration::from_secs(3601)).await;
        it.queue.send(message(3600)).await.unwrap();
        assert_eq!(it.queue.close(Duration::from_secs(5)).await, 1);
        assert_eq!(it.queue.send(message(3600)).await, Err(MailError::Closed));
    }
}
