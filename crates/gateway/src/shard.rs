//! One shard: one thread, one runtime, its own sockets, pool, caches and audit ring.

use crate::accept;
use crate::assertion::Assertions;
use crate::gate::{GateShared, Listener};
use crate::h1::DateCache;
use crate::live::{LiveIndex, SWEEP};
use crate::pool::Pool;
use access::verified::VerifiedCache;
use audit::Recorder;
use base::RequestIds;
use slab::Slab;
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Waker};
use tokio::sync::mpsc;

/// What a shard works with.
#[derive(Debug)]
pub(crate) struct Shard {
    pub(crate) gate: Arc<GateShared>,
    pub(crate) cache: VerifiedCache,
    pub(crate) recorder: Recorder,
    pub(crate) ids: RequestIds,
    pub(crate) pool: Pool,
    pub(crate) live: LiveIndex,
    pub(crate) idle: IdleIndex,
    pub(crate) dates: RefCell<DateCache>,
    pub(crate) assertions: Assertions,
}

impl Shard {
    /// Milliseconds of the monotonic clock.
    pub(crate) fn monotonic_ms(&self) -> u64 {
        self.gate.clock.monotonic().0 / 1_000_000
    }
}

/// What a shard is told.
#[derive(Debug)]
pub(crate) enum Order {
    /// Listen here as well.
    Listen(Arc<Listener>, std::net::TcpListener),
    /// Wake idle connections, so that they see that the gate is draining, or their listener another.
    Wake,
}

/// Connections between two requests, so that draining and reloads can wake them.
#[derive(Debug, Default, Clone)]
pub(crate) struct IdleIndex(Rc<RefCell<Slab<Option<Waker>>>>);

/// One idle connection; taken out on drop.
#[derive(Debug)]
pub(crate) struct Idle {
    index: IdleIndex,
    key: usize,
}

impl IdleIndex {
    pub(crate) fn enter(&self) -> Idle {
        let key = self.0.borrow_mut().insert(None);
        Idle { index: self.clone(), key }
    }

    fn wake(&self) {
        for (_, waker) in self.0.borrow_mut().iter_mut() {
            if let Some(waker) = waker.take() {
                waker.wake();
            }
        }
    }
}

impl Idle {
    pub(crate) fn register(&self, cx: &Context<'_>) {
        if let Some(slot) = self.index.0.borrow_mut().get_mut(self.key)
            && !slot.as_ref().is_some_and(|waker| waker.will_wake(cx.waker()))
        {
            *slot = Some(cx.waker().clone());
        }
    }
}

impl Drop for Idle {
    fn drop(&mut self) {
        let mut index = self.index.0.borrow_mut();
        if index.contains(self.key) {
            index.remove(self.key);
        }
    }
}

/// Runs a shard until its orders end and its connections are gone.
pub(crate) async fn run(shard: Rc<Shard>, mut orders: mpsc::UnboundedReceiver<Order>) {
    tokio::task::spawn_local(sweep(shard.clone()));
    while let Some(order) = orders.recv().await {
        match order {
            Order::Listen(listener, socket) => {
                tokio::task::spawn_local(accept::run(shard.clone(), listener, socket));
            }
            Order::Wake => shard.idle.wake(),
        }
    }
}

/// Judges live exchanges again, and keeps the pool tidy.
async fn sweep(shard: Rc<Shard>) {
    let mut ticks = tokio::time::interval(SWEEP);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut round = 0u32;
    loop {
        ticks.tick().await;
        let snapshot = shard.gate.snapshots.load_full();
        if shard.live.len() > 0 {
            shard.live.sweep(snapshot.standing(shard.gate.clock.now()));
        }
        round = round.wrapping_add(1);
        if round.is_multiple_of(8) {
            let upstreams = snapshot.policy.routes.iter().map(|route| &route.act.upstream);
            shard.pool.tidy(&upstreams.map(|it| (it.id, it.settings.idle)).collect());
        }
    }
}
