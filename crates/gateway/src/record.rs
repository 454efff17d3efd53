//! Phase Record: the event of a request, filled in as the phases go by, written exactly once.

use crate::settings::Act;
use crate::shard::Shard;
use access::{Credential, Denial, Permit};
use base::{Code, Event, EventId, Kind, Monotonic, Outcome, Phase, RequestId, UnixMs, code};
use std::borrow::Cow;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;

/// A request's event in the making.
///
/// INVARIANT: dropped without having been finished (a panic, a task that was thrown away), it records itself
/// as an error; so every exit passes here, exactly once.
#[derive(Debug)]
pub(crate) struct Draft {
    shard: Rc<Shard>,
    pub(crate) event: Event,
    started: Monotonic,
    route: Option<Arc<access::Route<Act>>>,
    finished: bool,
}

impl Draft {
    pub(crate) fn new(shard: &Rc<Shard>, id: RequestId, now: UnixMs, started: Monotonic) -> Self {
        let mut event =
            Event::new(EventId::from(id), now, shard.gate.node, Kind::Decision, code::CALLER_GONE);
        event.request_id = Some(id);
        event.outcome = Outcome::Error;
        Self { shard: shard.clone(), event, started, route: None, finished: false }
    }

    /// Of what cannot be read as a request, or not even be heard: a denial, whoever is to blame, so that a flood
    /// folds.
    pub(crate) fn refusal(shard: &Rc<Shard>, client: IpAddr, denial: &Denial) -> Self {
        let now = shard.gate.clock.now();
        let id = shard.ids.next(now);
        let mut draft = Self::new(shard, id, now, shard.gate.clock.monotonic());
        draft.caller(client);
        draft.denial(denial);
        draft.event.outcome = Outcome::Deny;
        draft
    }

    pub(crate) fn id(&self) -> RequestId {
        self.event.request_id.unwrap_or_else(|| RequestId::from_bytes([0; 16]))
    }

    /// Now, as the `Date` header has it (RFC 9110 §6.6.1).
    pub(crate) fn date(&self) -> [u8; 29] {
        *self.shard.dates.borrow_mut().at(self.shard.gate.clock.now())
    }

    pub(crate) fn caller(&mut self, ip: IpAddr) {
        self.event.client_ip = Some(ip);
    }

    /// The route that was found.
    pub(crate) fn found(&self) -> Option<&access::Route<Act>> {
        self.route.as_deref()
    }

    pub(crate) fn route(&mut self, route: &Arc<access::Route<Act>>) {
        self.event.route = Some(route.name.clone());
        self.route = Some(route.clone());
    }

    pub(crate) fn permit(&mut self, permit: &Permit<Act>) {
        self.event.code = code::OK;
        self.event.outcome = Outcome::Allow;
        self.event.phase = Some(Phase::Act);
        if let Some(who) = permit.principal() {
            self.who(who);
        }
        if !permit.would_deny().is_empty() {
            let codes: Vec<&str> = permit.would_deny().iter().map(Code::as_str).collect();
            self.event.detail = Some(format!("would_deny: {}", codes.join(", ")).into());
        }
    }

    /// Who called.
    pub(crate) fn who(&mut self, who: &Credential) {
        self.event.principal = Some(who.subject.clone());
        self.event.client_id = who.client_id.clone();
        self.event.credential_id = Some(who.id.clone());
        self.event.issuer = who.issuer.clone();
        self.event.scheme = Some(who.scheme);
    }

    pub(crate) fn denial(&mut self, denial: &Denial) {
        if let Some(who) = &denial.who {
            self.who(who);
        }
        self.event.code = denial.code.clone();
        // A peer or the operator being at fault is an error; only a judgement is a denial.
        let blame = denial.code.info().map(|info| info.blame);
        self.event.outcome = match blame {
            Some(base::Blame::Caller) => Outcome::Deny,
            _ => Outcome::Error,
        };
        self.event.phase = Some(denial.phase);
        self.event.detail = denial.detail.as_deref().map(Into::into);
    }

    /// In place of a refusal, the browser was led to the authority.
    pub(crate) fn sent_to_sign_in(&mut self) {
        let before = self.event.detail.take().unwrap_or_default();
        let separator = if before.is_empty() { "" } else { "; " };
        let detail = format!("{before}{separator}the browser was sent to sign in");
        self.event.detail = Some(detail.into());
    }

    pub(crate) fn error(&mut self, code: Code, detail: impl Into<Cow<'static, str>>) {
        self.event.code = code;
        self.event.outcome = Outcome::Error;
        self.event.phase = Some(Phase::Act);
        self.event.detail = Some(detail.into().into());
    }

    /// Microseconds since the head was read.
    pub(crate) fn elapsed_us(&self) -> u32 {
        let now = self.shard.gate.clock.monotonic();
        u32::try_from(now.since(self.started).as_micros()).unwrap_or(u32::MAX)
    }

    /// Writes the decision before the upstream is touched, and makes what follows a completion.
    ///
    /// # Errors
    /// When it cannot be made durable.
    pub(crate) async fn decision_first(&mut self) -> Result<(), audit::LedgerError> {
        self.event.latency_us = self.elapsed_us();
        self.shard.recorder.record_synced(&self.event).await?;
        self.event.kind = Kind::Completion;
        self.event.id = EventId::random().unwrap_or(self.event.id);
        Ok(())
    }

    /// Writes the decision without waiting, and makes what follows a completion; for streams.
    pub(crate) fn decision_now(&mut self) {
        if self.event.kind == Kind::Decision {
            self.event.latency_us = self.elapsed_us();
            self.shard.recorder.record(&self.event);
            self.event.kind = Kind::Completion;
            self.event.id = EventId::random().unwrap_or(self.event.id);
        }
    }

    /// The request is over.
    pub(crate) fn finish(mut self, status: u16) {
        self.event.status = status;
        self.write();
    }

    fn write(&mut self) {
        if std::mem::replace(&mut self.finished, true) {
            return;
        }
        self.event.latency_us = self.elapsed_us();
        if let Some(route) = &self.route {
            route.act.metrics.count(self.event.status, self.event.latency_us);
        }
        if self.event.outcome == Outcome::Deny {
            self.shard.gate.metrics.denied(self.event.code.as_str());
        }
        if let Some(log) = &**self.shard.gate.log.load() {
            log.line(&self.event);
        }
        self.shard.recorder.record(&self.event);
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if !self.finished && std::thread::panicking() {
            self.event.code = code::PANIC;
            self.event.outcome = Outcome::Error;
        }
        self.write();
    }
}
